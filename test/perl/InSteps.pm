# InSteps: what the tests of migrations of several transactions share
#
# A server, and a database whose tables, functions and state are those of a
# template however often it is made anew, with migration 1 in it.

package InSteps;

use strict;
use warnings;

use Exporter qw(import);
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw($node $db start_in app fresh %directions);

our $node;
our $db;

# Start the server; the database that the others are about has this name.
sub start_in
{
	($db) = @_;
	$node = PostgreSQL::Test::Cluster->new('main');
	$node->init;
	$node->append_conf('postgresql.conf',
		"autovacuum = off\nmigrate.failure_quiet = 0\nmigrate.progress_notices = off");
	$node->start;
	# Databases that look the same are made from one of them.
	owner_database($node, 'like_this');
	query($node, 'like_this', 'app', q{CREATE SCHEMA side;
			CREATE TABLE public.ctl AS SELECT 0 AS n;
			CREATE TABLE public.users AS SELECT i AS id FROM generate_series(1, 10) i;
			CREATE FUNCTION public.sets(name text, value text) RETURNS void LANGUAGE plpgsql
				AS $f$ BEGIN PERFORM set_config(name, value, false); END $f$;
			CREATE PROCEDURE public.sets_and_commits(value text) LANGUAGE plpgsql
				AS $f$ BEGIN PERFORM set_config('search_path', value, false); COMMIT; END $f$});
	return;
}

# SQL as the owner of the database.
sub app
{
	my ($sql) = @_;
	return query($node, $db, 'app', $sql);
}

# The database as it was at first.
sub fresh
{
	$node->safe_psql('postgres', qq{DROP DATABASE IF EXISTS "$db" WITH (FORCE)});
	$node->safe_psql('postgres', qq{CREATE DATABASE "$db" OWNER app TEMPLATE like_this});
	return;
}

# Both directions: how a body is stored, what runs it, and what it is then.
our %directions = (
	up => {
		add => sub {
			my ($body, $more) = @_;
			app("SELECT migrate.add('1', up => " . quote($body) . ($more // '') . ')');
		},
		call => 'CALL migrate.apply_each();',
		done => 'applied' },
	down => {
		add => sub {
			my ($body, $more) = @_;
			app("SELECT migrate.add('1', 'SELECT 1', down => " . quote($body) . ($more // '') . ')');
			app('SELECT migrate.apply()') unless ($more // '') =~ /off/;
			app('CALL migrate.apply_each()') if ($more // '') =~ /off/;
		},
		call => 'CALL migrate.rollback_each();',
		done => 'pending' });

1;
