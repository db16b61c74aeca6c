# pg_upgrade of a cluster whose databases have the extension, installed by an
# owner who is no superuser: the books arrive, and the owner goes on.
#
# Needs two clusters.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->start;

# one database that is complete, one with work left
foreach my $db ('complete', 'pending')
{
	owner_database($old, $db);
	$old->safe_psql(
		$db, q{
		SELECT migrate.add('1', 'CREATE TABLE t_1 (id int);
			INSERT INTO t_1 VALUES (7)', 'DROP TABLE t_1');
		SELECT migrate.add('2', 'CREATE TABLE t_2 (id int)', 'DROP TABLE t_2');
		SELECT migrate.apply(note => 'before'); SELECT migrate.apply();
		SELECT migrate.grant('look', 'viewer');
		INSERT INTO migrate.policy (project, role) VALUES ('default', 'app')},
		extra_params => [ '-U', 'app' ]);
}
my ($status, $out, $err) = run_sql(
	$old, 'pending', 'app', q{
	SELECT migrate.add('3', 'CREATE TABLE t_3 (id int)', 'DROP TABLE t_3');
	SELECT migrate.add('4', 'CREATE TABLE t_1 (id int)', 'SELECT 1');
	SELECT migrate.hold('3', 'not before the upgrade');
	SELECT migrate.apply()});
like($err, qr/ERROR: +42P07/, 'a run has failed before the upgrade');
my %books = map { $_ => books($old, $_) } ('complete', 'pending');
my %next = map {
	$_ => 1 + $old->safe_psql($_, 'SELECT last_value FROM migrate.run_seq')
} keys %books;
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
my $bindir = $new->config_data('--bindir');
chdir(PostgreSQL::Test::Utils::tempdir()) or die $!;
command_ok(
	[
		'pg_upgrade', '--no-sync',
		'-d', $old->data_dir, '-D', $new->data_dir,
		'-b', $bindir, '-B', $bindir,
		'-s', $new->host,
		'-p', $old->port, '-P', $new->port
	],
	'pg_upgrade');
$new->start;

foreach my $db ('complete', 'pending')
{
	is(books($new, $db), $books{$db}, "$db: every column is equal");
	is( $new->safe_psql(
			$db, q{SELECT DISTINCT relowner::regrole FROM pg_class
				WHERE relnamespace = 'migrate'::regnamespace}),
		$superuser,
		"$db: the books belong to the superuser");
	is((run_sql($new, $db, 'viewer', 'SELECT count(*) > 1 FROM migrate.status()'))[1],
		't', "$db: one who may look does");
	like((run_sql($new, $db, 'viewer', 'SELECT migrate.apply()'))[2],
		qr/ERROR: +42501/, "$db: and may do no more");
	like((run_sql($new, $db, 'app', 'DELETE FROM migrate.journal'))[2],
		qr/ERROR: +42501/, "$db: the owner cannot change the books");
}

# a no-op stays one
($status, $out, $err) =
  run_sql($new, 'complete', 'app', 'SELECT * FROM migrate.apply()');
is("$status $out", '0 ', 'complete: nothing to apply');
like($err, qr/nothing to apply: 2 applied, newest "2"/,
	'complete: and that is said');
is(books($new, 'complete'), $books{complete}, 'complete: nothing was written');

# what failed fails again, is mended, and what was held goes on
($status, $out, $err) = run_sql($new, 'pending', 'app',
	'SET migrate.failure_quiet = 0; SELECT migrate.apply()');
like($err, qr/ERROR: +42P07/, 'pending: what failed fails');
is($new->safe_psql('pending', 'SELECT count(*) FROM migrate.failures()'),
	'2', 'pending: and that is journalled beside the old failure');
($status, $out, $err) = run_sql(
	$new, 'pending', 'app', q{
	SELECT migrate.remove('4');
	SELECT migrate.unhold('3');
	SELECT version FROM migrate.apply();
	SELECT version FROM migrate.rollback(2)});
is($out, "4\n3\n3\n3\n2", 'pending: mended, applied, rolled back')
  or diag($err);
agreement($new, 'pending', 'pending: ledger, journal and schema agree');
is( $new->safe_psql(
		'pending', "SELECT min(run) FROM migrate.journal WHERE run >= $next{pending}"
	),
	$next{pending},
	'pending: runs are numbered on');
is($new->safe_psql('pending', 'TABLE t_1'), '7', 'pending: the data is there');
($status, $out, $err) = run_sql(
	$new, 'pending', 'app', q{
	SELECT migrate.grant('run', 'deployer');
	SELECT has_function_privilege('deployer',
		'migrate.apply(text, anycompatiblearray, bool, bool, text, text)', 'EXECUTE')});
like($out, qr/^t$/m, 'pending: the owner can grant on') or diag($err);

done_testing();
