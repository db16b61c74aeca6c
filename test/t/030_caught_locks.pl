# A limit of ours on a wait for a lock is no error that a body can catch in order
# to go on without the lock: what it left out would count as applied.  A
# lock_timeout of the session or the body is, as in psql.
#
# Needs a second session that has the lock, and runs that commit.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'caught';

$node->init;
$node->append_conf('postgresql.conf', q{
autovacuum = off
migrate.failure_quiet = 0
migrate.progress_notices = off
migrate.lock_timeout = '200ms'
});
$node->start;
owner_database($node, $db);

# All of these skip the change if the lock is not to be had.
query($node, $db, 'app', q{
	CREATE TABLE t (i int);
	CREATE TABLE u (i int);
	CREATE TABLE v (i int);
	INSERT INTO u VALUES (1);
	CREATE FUNCTION change() RETURNS bool LANGUAGE plpgsql AS $$
	BEGIN
		ALTER TABLE t ADD COLUMN IF NOT EXISTS j int;
		RETURN true;
	EXCEPTION WHEN others THEN
		RETURN true;
	END $$;
	CREATE FUNCTION change_row() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM change(); RETURN NULL; END';
	CREATE TRIGGER change AFTER UPDATE ON u FOR EACH ROW EXECUTE FUNCTION change_row();
	CREATE CONSTRAINT TRIGGER change AFTER INSERT ON v
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION change_row();
	CREATE PROCEDURE change_it() LANGUAGE plpgsql AS 'BEGIN PERFORM change(); END';
	CREATE PROCEDURE change_and_commit() LANGUAGE plpgsql AS
		'BEGIN PERFORM change(); INSERT INTO u VALUES (2); COMMIT; END';
	CREATE PROCEDURE catch_and_commit() LANGUAGE plpgsql AS $$
	BEGIN
		BEGIN
			ALTER TABLE t ADD COLUMN IF NOT EXISTS j int;
		EXCEPTION WHEN query_canceled THEN
			NULL;
		END;
		INSERT INTO u VALUES (2);
		COMMIT;
	END $$;
	CREATE SEQUENCE attempt;
	CREATE PROCEDURE change_and_roll_back() LANGUAGE plpgsql AS
		'BEGIN PERFORM change(); ROLLBACK; INSERT INTO u VALUES (2); COMMIT; END'});

my ($reader, $runner) = map { session($node, $db, 'app') } 1, 2;
my $runner_pid = pid_of($runner);

my $apply = 'SELECT * FROM migrate.apply()';
my $each = 'CALL migrate.apply_each()';
my $alter = 'ALTER TABLE t ADD COLUMN IF NOT EXISTS j int';
my %off = (transactional => 'false');

sub block
{
	my ($when, $then) = @_;
	$then //= 'NULL';
	return "DO \$\$ BEGIN $alter; EXCEPTION WHEN $when THEN $then; END \$\$";
}

# Begin with this migration alone, and a reader of t.
sub store
{
	my ($up, %more) = @_;
	my $arguments = join '', map { ", $_ => $more{$_}" } sort keys %more;

	ask($reader, 'ROLLBACK');
	$node->safe_psql($db, q{
		DELETE FROM migrate.step; DELETE FROM migrate.applied;
		DELETE FROM migrate.migration});
	query($node, $db, 'app', 'ALTER TABLE t DROP COLUMN IF EXISTS j; TRUNCATE v; DELETE FROM u WHERE i > 1;'
		  . "SELECT migrate.add('1', " . quote($up) . "$arguments)");
	return;
}

sub block_readers
{
	ask($reader, 'BEGIN; SELECT count(*) FROM t');
	return;
}

sub applied
{
	return $node->safe_psql($db, 'SELECT count(*) FROM migrate.applied');
}

sub changed
{
	return $node->safe_psql($db,
		q{SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'j'});
}

# ---------------------------------------------------------------------------
# Runs
# ---------------------------------------------------------------------------

my @cases = (
	[ 'DO, others', block('others') ],
	[ 'DO, lock_not_available', block('lock_not_available') ],
	[ 'DO, query_canceled', block('query_canceled OR others') ],
	[ 'DO, another error', block('query_canceled', q{RAISE 'no'}) ],
	[ 'a function', 'SELECT change()' ],
	[ 'a procedure', 'CALL change_it()' ],
	[ 'a trigger', 'UPDATE u SET i = i' ],
	[ 'a deferred trigger', 'INSERT INTO v VALUES (1)' ],
	[ 'a default', 'CREATE TABLE w (b bool DEFAULT change()); INSERT INTO w DEFAULT VALUES; DROP TABLE w' ],
	[ 'a cursor WITH HOLD', 'DECLARE c CURSOR WITH HOLD FOR SELECT change()' ],
	[ 'a prepared statement', 'PREPARE p AS SELECT change(); EXECUTE p' ],
	[ 'a verify body', 'SELECT 1', verify => q{'SELECT change()'} ]);
my @alone = (
	[ 'a procedure that commits', 'CALL change_and_commit()' ],
	[ 'a procedure that commits after it has caught the cancel', 'CALL catch_and_commit()' ],
	[ 'a procedure that rolls back', 'CALL change_and_roll_back()' ],
	[ 'DO at top level', block('others') ],
	[ 'a block', 'BEGIN; SELECT change(); COMMIT' ]);

foreach my $case (
	(map { my $call = $_; map { [ $call, @$_ ] } @cases } $apply, $each),
	(map { [ $each, @$_, %off ] } @alone))
{
	my ($call, $name, $up, %more) = @$case;

	# one attempt
	store($up, %more);
	block_readers();
	my (undef, $err) = ask($runner, "SET migrate.lock_retries = 0; $call");
	like($err,
		qr/ERROR:  55P03: canceling statement due to lock timeout\n.*Waited for AccessExclusiveLock on table public\.t\.\nProcess /s,
		"$name, $call: a lock time-out");
	is(applied() . changed(), '00', 'it is not applied');
	is($node->safe_psql($db, 'SELECT count(*) FROM u WHERE i > 1'), '0', 'and has committed nothing');
	is($node->safe_psql($db,
			'SELECT version, sqlstate FROM migrate.journal ORDER BY run DESC, seq DESC LIMIT 1'),
		'1|55P03', 'and the journal says so');

	# which is tried again
	ask_start($runner, "SET migrate.lock_retries = 1000; $call");
	$node->poll_query_until($db,
		"SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $runner_pid")
	  or die 'there is no pause';
	ask($reader, 'COMMIT');
	(undef, $err) = ask_wait($runner);
	unlike($err, qr/ERROR/, 'it works when the lock is free');
	is(applied(), 1, 'and is applied');
	is(changed(), $more{verify} ? 0 : $name =~ /rolls back/ ? 0 : 1, 'with its change');
}

# down bodies
foreach my $call ('SELECT * FROM migrate.rollback(1)', 'CALL migrate.rollback_each()',
	'SELECT * FROM migrate.redo(1)')
{
	store('SELECT 1', down => quote(block('others')));
	ask($runner, $apply);
	block_readers();
	my (undef, $err) = ask($runner, "SET migrate.lock_retries = 0; $call");
	like($err, qr/ERROR:  55P03: /, "$call: a lock time-out");
	is(applied() . changed(), '10', 'it is not undone');
}

# in the background
store(block('others'));
block_readers();
like((ask($runner, "SELECT migrate.start() AS run \\gset\nCALL migrate.wait(:run)"))[1],
	qr/ERROR:  55P03: /, 'start(): a lock time-out');
is(applied() . changed(), '00', 'it is not applied');

# what only tries
is((ask($runner, 'SELECT version, sqlstate FROM migrate.rehearse()'))[0],
	'1|55P03', 'rehearse(): a lock time-out');
like((ask($runner, 'SELECT * FROM migrate.apply(dry_run => true)'))[1],
	qr/ERROR:  55P03: /, 'a dry run: a lock time-out');
like((ask($runner, 'SELECT version, error->>$$sqlstate$$ FROM migrate.apply(raise => false)'))[0],
	qr/^1\|55P03$/, 'raise => false: a lock time-out');
store('SELECT 1', verify => q{'SELECT change()'});
ask($runner, $apply);
block_readers();
like((ask($runner, 'SELECT * FROM migrate.verify()'))[0],
	qr/^1\|.*55P03/, 'verify(): a lock time-out');

# ---------------------------------------------------------------------------
# Limits that are not ours
# ---------------------------------------------------------------------------

foreach my $case (
	[ 'of the body', "SET lock_timeout = '50ms'; " . block('others') ],
	[ 'of the block', "DO \$\$ BEGIN SET LOCAL lock_timeout = '50ms'; $alter; EXCEPTION WHEN others THEN NULL; END \$\$" ],
	[ 'of the session', block('others'), "SET lock_timeout = '50ms';" ])
{
	my ($name, $up, $set) = @$case;

	foreach my $call ($apply, $each)
	{
		store($up);
		block_readers();
		my (undef, $err) = ask($runner,
			($set // '') . "SET migrate.lock_retries = 0; $call; RESET lock_timeout");
		unlike($err, qr/ERROR/, "lock_timeout $name, $call: the body goes on");
		is(applied() . changed(), '10', 'as in psql');
	}
}
# What is found out by comparing, each in a way of its own: the value, where it
# comes from, and that it has been put on the stack.
foreach my $case (
	[ 'SET LOCAL, 0 as before', '', "SET LOCAL lock_timeout = 0; $alter" ],
	[ 'set_config(), 0 as before', '', "SELECT set_config('lock_timeout', '0', false); $alter" ],
	[ 'SET LOCAL, 0 as the session has it', 'SET lock_timeout = 0', "SET LOCAL lock_timeout = 0; $alter" ],
	[ 'SET in a step of its own', '', "SET lock_timeout = 0; $alter", %off ],
	[ 'SET in a step of its own, after one of the session', q{SET lock_timeout = '300ms'}, "SET lock_timeout = '1h'; $alter", %off ])
{
	my ($name, $set, $up, %more) = @$case;

	store($up, %more);
	block_readers();
	ask($runner, $set);
	ask_start($runner, $each);
	ok($node->poll_query_until($db, qq{
		SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $runner_pid AND NOT granted
			AND clock_timestamp() - waitstart > '600 ms')}),
		"$name: there is no limit");
	ask($reader, 'COMMIT');
	unlike((ask_wait($runner))[1], qr/ERROR|trying again/, 'and it is applied');
	ask($runner, 'RESET lock_timeout');
}

# A body that has caught the limit in one attempt, and not in the next one.
store("DO \$\$ BEGIN $alter; EXCEPTION WHEN query_canceled THEN IF nextval('attempt') > 1 THEN RAISE; END IF; PERFORM pg_sleep(0.5); END \$\$");
foreach my $call ($apply, $each)
{
	ask($runner, "SELECT setval('attempt', 1, false)");
	block_readers();
	ask_start($runner, "SET migrate.lock_retries = 1000; $call");
	$node->poll_query_until($db, q{SELECT last_value > 2 FROM attempt})
	  or die 'there are no attempts';
	ask($reader, 'COMMIT');
	unlike((ask_wait($runner))[1], qr/ERROR/, "$call: each attempt begins without what the last one has noted");
	is(applied(), 1, 'and it is applied');
	query($node, $db, 'app', q{SELECT count(*) FROM migrate.unstamp('1')});
	query($node, $db, 'app', 'ALTER TABLE t DROP COLUMN j');
}
store(q{CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS lock_timeout});
ask($runner, $each);
is(query($node, $db, 'app', 'SELECT lock_timeout FROM seen'), '0',
	'lock_timeout is that of the session');

# who cancels is still believed
store(block('query_canceled OR others', 'PERFORM pg_sleep(600)'));
block_readers();
ask_start($runner, "SET migrate.lock_timeout = 0; $apply");
is_waiting($node, $runner_pid) or die 'the run does not wait';
$node->safe_psql($db, "SELECT pg_cancel_backend($runner_pid)");
$node->poll_query_until($db,
	"SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $runner_pid")
  or die 'the body does not go on';
$node->safe_psql($db, "SELECT pg_cancel_backend($runner_pid)");
like((ask_wait($runner))[1], qr/ERROR:  57014: canceling statement due to user request/,
	'a cancel is none of these');

# after a wait of ours has been caught as well, in both modes and by cancel()
foreach my $call ($apply, $each)
{
	foreach my $cancel ("pg_cancel_backend($runner_pid)", 'migrate.cancel((SELECT max(run) FROM migrate.run))')
	{
		next if $cancel =~ /migrate/ && $call eq $apply;
		store(block('query_canceled OR others', 'PERFORM pg_sleep(600)'));
		block_readers();
		ask_start($runner, "SET migrate.lock_timeout = '200ms'; $call");
		$node->poll_query_until($db,
			"SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $runner_pid")
		  or die 'the body does not go on';
		$node->safe_psql($db, "SELECT $cancel");
		like((ask_wait($runner))[1], qr/ERROR:  57014: canceling statement due to user request/,
			"$call: $cancel after a wait of ours that the body has caught");
		is(applied(), '0', 'and nothing is applied');
	}
}

$_->quit foreach $reader, $runner;
$node->stop;
done_testing();
