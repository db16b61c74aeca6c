# Nobody is to wait behind a migration for long, whatever statement it is that
# waits for a lock: one that commits before it takes its locks, or in between, and
# what comes after a wait whose end the body has caught.  What a concurrent build
# waits for when it has its locks takes as long as it takes.
#
# Needs sessions that have the locks, and runs that commit.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'limits';

$node->init;
$node->append_conf('postgresql.conf', q{
autovacuum = off
max_prepared_transactions = 2
migrate.failure_quiet = 0
migrate.progress_notices = off
migrate.lock_timeout = '300ms'
});
$node->start;
owner_database($node, $db);

my $apply = 'SELECT * FROM migrate.apply()';
my $each = 'CALL migrate.apply_each()';
my $once = 'SET migrate.lock_retries = 0';
my %off = (transactional => 'false');

my ($reader, $other, $runner) = map { session($node, $db, 'app') } 1 .. 3;
my $runner_pid = pid_of($runner);

# Begin with this migration alone.
sub store
{
	my ($up, %more) = @_;
	my $arguments = join '', map { ", $_ => $more{$_}" } sort keys %more;

	ask($_, 'ROLLBACK') foreach $reader, $other;
	$node->safe_psql($db, q{
		DELETE FROM migrate.step; DELETE FROM migrate.applied;
		DELETE FROM migrate.migration});
	query($node, $db, 'app', q{
		DROP SCHEMA IF EXISTS sx CASCADE;
		DROP TABLE IF EXISTS f, g, pt, pt1;
		CREATE TABLE f (i int PRIMARY KEY, j int);
		CREATE TABLE g (i int);
		CREATE INDEX f_j ON f (j);
		INSERT INTO f SELECT i, i FROM generate_series(1, 100) i;
		CREATE TABLE pt (i int PRIMARY KEY) PARTITION BY RANGE (i);
		CREATE TABLE pt1 PARTITION OF pt FOR VALUES FROM (0) TO (100);
		CREATE SCHEMA sx;
		CREATE TABLE sx.s (i int PRIMARY KEY);
		CREATE OR REPLACE PROCEDURE commits_and_alters() LANGUAGE plpgsql AS
			'BEGIN COMMIT; ALTER TABLE f ADD k int; END';}
		  . q{SELECT migrate.add('1', } . quote($up) . "$arguments)");
	return;
}

sub read_in_transaction
{
	my ($session, $table) = @_;
	ask($session, "BEGIN; SELECT count(*) FROM $table");
	return;
}

# Until it waits, granted or not, for longer than the limit and then some.
sub waits_long_for
{
	my ($type) = @_;
	return $node->poll_query_until($db, qq{
		SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $runner_pid AND NOT granted
			AND locktype = '$type' AND clock_timestamp() - waitstart > '900 ms')});
}

sub applied
{
	return $node->safe_psql($db, 'SELECT count(*) FROM migrate.applied');
}

# ---------------------------------------------------------------------------
# Statements that commit by themselves
# ---------------------------------------------------------------------------

foreach my $case (
	[ 'VACUUM FULL', 'VACUUM FULL f', 'f' ],
	[ 'VACUUM', 'VACUUM (FULL, ANALYZE) g, f', 'f' ],
	[ 'VACUUM in the middle', 'VACUUM g; VACUUM FULL f; SELECT 1', 'f' ],
	[ 'REINDEX SCHEMA', 'REINDEX SCHEMA sx', 'sx.s' ],
	[ 'REINDEX of a partitioned table', 'REINDEX TABLE pt', 'pt1', undef, %off ],
	[ 'CLUSTER of a partitioned table', 'CLUSTER pt USING pt_pkey', 'pt1', undef, %off ],
	[ 'DROP INDEX CONCURRENTLY', 'DROP INDEX CONCURRENTLY f_j', 'f', 'LOCK TABLE f IN SHARE UPDATE EXCLUSIVE MODE' ],
	[ 'REINDEX CONCURRENTLY', 'REINDEX TABLE CONCURRENTLY f', 'f', 'LOCK TABLE f IN SHARE UPDATE EXCLUSIVE MODE' ],
	[ 'DETACH PARTITION CONCURRENTLY', 'ALTER TABLE pt DETACH PARTITION pt1 CONCURRENTLY', 'pt1' ])
{
	my ($name, $statement, $table, $lock, %more) = @$case;
	my $hold = $lock // "LOCK TABLE $table IN ROW EXCLUSIVE MODE";

	foreach my $direction (
		[ 'up', $each ],
		[ 'down', 'CALL migrate.rollback_each()' ],
		[ 'in the background', "SELECT migrate.start() AS run \\gset\nCALL migrate.wait(:run)" ])
	{
		my ($way, $call) = @$direction;

		if ($way eq 'down')
		{
			store('SELECT 1', down => quote($statement), %more);
			ask($runner, $each);
		}
		else
		{
			store($statement, %more);
		}
		ask($reader, "BEGIN; $hold");
		my (undef, $err) = ask($runner, "$once; $call");
		like($err,
			qr/ERROR:  55P03: canceling statement due to lock timeout\n.*Waited for \w+Lock on /s,
			"$name, $way: the wait is ended");
		is(applied(), $way eq 'down' ? 1 : 0, 'it is not done');
		ask($reader, 'COMMIT');
		unlike((ask($runner, "RESET migrate.lock_retries; $call"))[1], qr/ERROR/,
			'and is, when the lock is free');
		is(applied(), $way eq 'down' ? 0 : 1, 'with its record');
	}
}

# tried again
store('VACUUM FULL f');
read_in_transaction($reader, 'f');
ask_start($runner, "SET migrate.lock_retries = 1000; $each");
$node->poll_query_until($db,
	"SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $runner_pid")
  or die 'there is no pause';
ask($reader, 'COMMIT');
unlike((ask_wait($runner))[1], qr/ERROR/, 'VACUUM FULL is tried again');
is(applied(), 1, 'and is applied');

# What FINALIZE waits for, it waits for with ACCESS EXCLUSIVE on the partition.
store('ALTER TABLE pt DETACH PARTITION pt1 CONCURRENTLY');
ask($other, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
read_in_transaction($reader, 'pt1');
like((ask($runner, "$once; $each"))[1], qr/55P03: .*Waited for AccessExclusiveLock on table public\.pt1/s,
	'DETACH waits for the partition');
ask($reader, 'COMMIT');
like((ask($runner, $each))[1], qr/55P03: .*Waited for ShareLock on virtual/s,
	'FINALIZE for a snapshot, not for ever');
ask($other, 'COMMIT');
unlike((ask($runner, $each))[1], qr/ERROR/, 'it works when that is gone');
is(applied(), 1, 'and is applied');

# ---------------------------------------------------------------------------
# Procedures that commit
# ---------------------------------------------------------------------------

foreach my $case (
	[ 'DO', 'DO $$ BEGIN COMMIT; ALTER TABLE f ADD k int; END $$' ],
	[ 'DO that rolls back', 'DO $$ BEGIN ROLLBACK; COMMIT; ALTER TABLE f ADD k int; END $$' ],
	[ 'CALL', 'CALL commits_and_alters()' ])
{
	my ($name, $statement) = @$case;

	store($statement, %off);
	read_in_transaction($reader, 'f');

	# what it has committed is not tried again, so the limit is not a brief one
	ask_start($runner, "RESET migrate.lock_retries; SET migrate.lock_timeout = '3s'; $each");
	ok($node->poll_query_until($db, qq{
		SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $runner_pid AND NOT granted
			AND clock_timestamp() - waitstart > '500 ms')}),
		"$name: the wait after a commit is no brief one");
	my (undef, $err) = ask_wait($runner);
	like($err, qr/ERROR:  55P03: .*Waited for \w+Lock on table public\.f/s, 'but is ended');
	unlike($err, qr/trying again/, 'and is not tried again');
	like($err, qr/migrate\.resume/, 'but says what can be done then');
	ask($reader, 'COMMIT');
	query($node, $db, 'app', q{SELECT migrate.resume('1', at => 1)});
	unlike((ask($runner, "RESET migrate.lock_timeout; $each"))[1], qr/ERROR/, 'it works when the lock is free');
	is(applied(), 1, 'and is applied');
}

# after a ROLLBACK it is still the first transaction
store('DO $$ BEGIN ROLLBACK; LOCK TABLE f; END $$', %off);
read_in_transaction($reader, 'f');
like((ask($runner, "$once; $each"))[1], qr/ERROR:  55P03: /, 'DO after a ROLLBACK: is ended');

# ---------------------------------------------------------------------------
# Concurrent builds, which have their locks and wait for others' transactions
# ---------------------------------------------------------------------------

my $snapshot = 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1';

foreach my $case (
	[ 'CREATE INDEX CONCURRENTLY', $snapshot ],
	[ 'CREATE INDEX CONCURRENTLY', 'BEGIN; UPDATE f SET j = 2 WHERE i = 2' ],
	[ 'CREATE INDEX CONCURRENTLY', q{BEGIN; UPDATE f SET j = 2 WHERE i = 2; PREPARE TRANSACTION 'p'}, 'transactionid', q{COMMIT PREPARED 'p'} ],
	[ 'REINDEX TABLE CONCURRENTLY', 'BEGIN; SELECT count(*) FROM f' ],
	[ 'DROP INDEX CONCURRENTLY', 'BEGIN; SELECT count(*) FROM f' ],
	[ 'DETACH PARTITION CONCURRENTLY', 'BEGIN; LOCK TABLE ONLY pt IN ACCESS SHARE MODE' ])
{
	my ($name, $others, $type, $end) = @$case;
	my %statements = (
		'CREATE INDEX CONCURRENTLY' => 'CREATE INDEX CONCURRENTLY new ON f (i)',
		'REINDEX TABLE CONCURRENTLY' => 'REINDEX TABLE CONCURRENTLY f',
		'DROP INDEX CONCURRENTLY' => 'DROP INDEX CONCURRENTLY f_j',
		'DETACH PARTITION CONCURRENTLY' => 'ALTER TABLE pt DETACH PARTITION pt1 CONCURRENTLY');

	store($statements{$name});
	ask($reader, $others);
	ask_start($runner, "$once; $each");
	ok(waits_long_for($type // 'virtualxid'), "$name, $others: waits as long as it takes");
	ask($reader, $end // 'COMMIT');
	unlike((ask_wait($runner))[1], qr/ERROR/, 'and works then');
	is(applied(), 1, 'and is applied');
}

# ---------------------------------------------------------------------------
# After a body has caught the end of a wait
# ---------------------------------------------------------------------------

my $twice = 'DO $$ BEGIN BEGIN LOCK TABLE g; EXCEPTION WHEN query_canceled THEN NULL; END; LOCK TABLE f; END $$';
my $in_function = q{
	CREATE OR REPLACE FUNCTION lock_both() RETURNS bool LANGUAGE plpgsql AS $f$
	BEGIN
		BEGIN LOCK TABLE g; EXCEPTION WHEN query_canceled THEN NULL; END;
		BEGIN LOCK TABLE f; EXCEPTION WHEN query_canceled THEN NULL; END;
		LOCK TABLE f;
		RETURN true;
	END $f$};

query($node, $db, 'app', $in_function);
foreach my $case (
	[ 'apply()', $apply, $twice ],
	[ 'apply_each()', $each, $twice ],
	[ 'a function', $each, 'SELECT lock_both()' ],
	[ 'in steps', $each, "VACUUM sx.s; $twice" ],
	[ 'a verify body', $apply, 'SELECT 1', verify => q{'SELECT lock_both()'} ],
	[ 'a verify body of apply_each()', $each, 'SELECT 1', verify => q{'SELECT lock_both()'} ],
	[ 'a verify body after steps', $each, 'SET work_mem = 64; VACUUM sx.s', verify => q{'SELECT lock_both()'} ],
	[ 'a roll-back', 'SELECT * FROM migrate.rollback(1)', 'SELECT 1', down => quote($twice) ],
	[ 'a roll-back in transactions', 'CALL migrate.rollback_each()', 'SELECT 1', down => quote($twice) ],
	[ 'start()', "SELECT migrate.start() AS run \\gset\nCALL migrate.wait(:run)", $twice ],
	[ 'a rehearsal', 'SELECT version, sqlstate FROM migrate.rehearse()', $twice ])
{
	my ($name, $call, $up, %more) = @$case;

	store($up, %more);
	ask($runner, $apply) if $more{down};
	read_in_transaction($reader, 'f');
	read_in_transaction($other, 'g');

	# ask() comes back while both are still there
	my ($out, $err) = ask($runner, "$once; $call");
	if ($call =~ /rehearse/)
	{
		is($out, '1|55P03', "$name: its next wait is ended as well");
	}
	else
	{
		like($err, qr/ERROR:  55P03: .*Waited for AccessExclusiveLock on table public\.g/s,
			"$name: its next wait is ended as well");
	}
	unlike($err, qr/WARNING/, 'the session is as it was');
	is(scalar(ask($runner, 'SHOW work_mem')), '4MB', 'with its settings');
	is(applied(), $more{down} ? 1 : 0, 'and nothing is done');
}

# ---------------------------------------------------------------------------
# However long the server takes to raise the error
# ---------------------------------------------------------------------------

store(q{SELECT 1});
query($node, $db, 'app', q{
	SELECT migrate.add('2', 'LOCK TABLE /* ' || repeat('x', 4000000) || ' */ f', 'SELECT 1')});
foreach my $call ($apply, $each)
{
	read_in_transaction($reader, 'f');
	my (undef, $err) = ask($runner,
		"SET migrate.lock_timeout = '50ms'; SET migrate.lock_retries = 1; $call");
	like($err, qr/ERROR:  55P03: canceling statement due to lock timeout/,
		"$call: a statement of 4 MB: a lock time-out");
	like($err, qr/NOTICE:  .*trying again in/, 'which is tried again');
	ask($reader, 'COMMIT');
}
unlike((ask($runner, $each))[1], qr/ERROR/, 'it works when the lock is free');

$_->quit foreach $reader, $other, $runner;
$node->stop;
done_testing();
