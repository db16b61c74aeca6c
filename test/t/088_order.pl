# The order of application, and runs that have given up the runner lock.
#
# Needs sessions that run at the same time, background workers and a look at what
# the server reads.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'ordered';
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
fsync = off
autovacuum = off
migrate.failure_quiet = 0
});
$node->start;

sub app
{
	my ($sql) = @_;
	return query($node, $db, 'app', $sql);
}

# A database in which these migrations are stored, 001 and so on; each is text of
# the up body, down body and further arguments of add().
sub stored
{
	my @migrations = @_;
	my $n = 0;

	owner_database($node, $db);
	app(join ';', map {
			my ($up, $down, @more) = @$_;
			'SELECT migrate.add('
			  . join(', ', quote(sprintf '%03d', ++$n), quote($up),
				defined $down ? quote($down) : 'NULL', @more)
			  . ')'
	} @migrations);
	return;
}

sub table_migration
{
	my ($name, @more) = @_;
	return [ "CREATE TABLE $name (id int)", "DROP TABLE $name", @more ];
}

# What is applied, in the order of application.
sub applied
{
	return app(q{SELECT string_agg(version, ' ' ORDER BY seq) FROM migrate.applied});
}

# ---------------------------------------------------------------------------
# Newest is what was applied last
# ---------------------------------------------------------------------------

# A run in the background has its number long before it runs.
stored(table_migration('t1'));
{
	my $starter = session($node, $db, 'app');
	ask($starter, 'BEGIN');
	my $run = ask($starter, 'SELECT migrate.start()');
	app('SELECT migrate.apply()');
	app(q{SELECT migrate.add('002', 'CREATE TABLE t2 (id int)', 'DROP TABLE t2')});
	ask($starter, 'COMMIT');
	app("CALL migrate.wait($run)");
	is(app(q{SELECT (SELECT run FROM migrate.applied WHERE version = '001')
			> (SELECT run FROM migrate.applied WHERE version = '002')}),
		't', 'number: 002 was applied later, by an older run');
	$starter->quit;
}
is(applied(), '001 002', 'number: in the order of application');
is(app('SELECT newest FROM migrate.state'), '002', 'number: the state knows the newest');
is(app('SELECT version FROM migrate.plan_rollback()'), '002', 'number: plan_rollback()');
is(app(q{SELECT string_agg(concat_ws(' ', action, version), ', ') FROM migrate.redo()}),
	'rollback 002, apply 002', 'number: redo()');
is(app('SELECT version FROM migrate.rollback(1)'), '002', 'number: rollback(1)');
is(app('SELECT newest FROM migrate.state'), '001', 'number: the state after that');

# What is stamped comes into the same order.
app(q{SELECT migrate.stamp('002')});
is(app('SELECT version FROM migrate.plan_rollback()'), '002', 'stamped: is the newest');
is(applied(), '001 002', 'stamped: after what was applied before');

# So is what a restore brings, and what comes after it.
{
	my $dump = $node->backup_dir . '/ordered.sql';
	$node->command_ok([ 'pg_dump', '-d', $node->connstr($db), '-f', $dump ], 'dumped');
	owner_database($node, $db, without_extension => 1);
	$node->command_ok([ 'psql', '-XqAt', '-o', '/dev/null', '-d', $node->connstr($db), '-f', $dump ], 'restored');
	app(q{SELECT migrate.add('003', 'CREATE TABLE t3 (id int)', 'DROP TABLE t3');
		SELECT migrate.apply()});
	is(applied(), '001 002 003', 'restored: the order goes on');
	is(app('SELECT version FROM migrate.rollback(1)'), '003', 'restored: rollback(1)');
}

$node->stop;
done_testing();
