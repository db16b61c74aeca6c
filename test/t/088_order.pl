# The order of application, and runs that have given up the runner lock.
#
# Needs sessions that run at the same time, background workers and a look at what
# the server reads.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'ordered';
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
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
	return app(q{SELECT string_agg(version, ' ' ORDER BY applied_seq) FROM migrate.applied});
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

# And rows that came without the sequence, by logical replication for example.
$node->safe_psql($db, q{SELECT setval('migrate.applied_seq', 1, false)});
app(q{SELECT migrate.apply()});
is(applied(), '001 002 003', 'without the sequence: the order goes on');
is(app('SELECT version FROM migrate.rollback(1)'), '003', 'without the sequence: rollback(1)');
app(q{SELECT migrate.apply()});
$node->safe_psql($db, q{SELECT setval('migrate.applied_seq', 1, false)});
app(q{SELECT migrate.add('004', 'CREATE TABLE t4 (id int)', 'DROP TABLE t4')});
app(q{CALL migrate.apply_each()});
is(app('SELECT version FROM migrate.rollback(1)'), '004', 'without the sequence: after apply_each()');
app(q{SELECT migrate.remove('004'); SELECT migrate.rollback(1)});

# A sequence at its end, or near it, and rows at the end of what a row can have
# stop nobody: it goes on after the others, in both modes, also with none left.
foreach my $last ('9223372036854775807', '9223372036854775806', '281474976710655', '281474976710654')
{
	foreach my $call ('SELECT migrate.apply()', 'CALL migrate.apply_each()')
	{
		$node->safe_psql($db, "SELECT setval('migrate.applied_seq', $last)");
		app($call);
		is(applied(), '001 002 003', "$call after a sequence at $last");
		is(app('SELECT version FROM migrate.rollback(1)'), '003', "... and the order goes on");
	}
}
app(q{SELECT migrate.stamp_to('base')});
$node->safe_psql($db, q{SELECT setval('migrate.applied_seq', 9223372036854775807)});
app(q{SELECT migrate.stamp_to('002'); SELECT migrate.apply()});
is(applied(), '001 002 003', 'a sequence at its end, and no rows');
$node->safe_psql($db, q{
	INSERT INTO migrate.applied SELECT * FROM json_populate_record((SELECT a FROM migrate.applied a WHERE version = '001'),
		'{"version": "000", "applied_seq": 281474976710655}')});
app(q{SELECT migrate.rollback(versions => '{003}'); SELECT migrate.apply()});
is(applied(), '001 002 003 000', 'a row at the end is no end');
$node->safe_psql($db, q{DELETE FROM migrate.applied WHERE version = '000'});
app(q{SELECT migrate.rollback(1)});


# ---------------------------------------------------------------------------
# After a pause the plan is made of what is there
# ---------------------------------------------------------------------------

# Have a call wait for a lock of somebody's, again and again, do something in a
# pause, and let it go on.  Returns its messages.
sub in_a_pause
{
	my ($call, $meanwhile) = @_;
	my $blocker = session($node, $db, 'app');
	my $runner = session($node, $db, 'app');
	my $runner_pid = pid_of($runner);

	ask($blocker, 'BEGIN; LOCK TABLE busy');
	ask_start($runner, $call);
	$node->poll_query_until($db,
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name LIKE 'migrate %' AND wait_event = 'PgSleep'})
	  or die 'the run does not pause';
	app($meanwhile);

	# the pause is short: an attempt may have begun before that
	my $now = app('SELECT clock_timestamp()');
	$node->poll_query_until($db,
		"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $runner_pid AND state = 'active'"
		  . " AND (xact_start IS NULL OR xact_start <= '$now'))")
	  or die 'the attempt does not end';
	ask($blocker, 'COMMIT');
	my (undef, $messages) = ask_wait($runner);
	$_->quit foreach $blocker, $runner;
	is(locks_left($node, $db), '', 'a pause: no lock is left');
	return $messages;
}

my $busy = 'CREATE TABLE IF NOT EXISTS busy (id int)';
my @column = ('ALTER TABLE busy ADD c int', 'ALTER TABLE busy DROP c');

stored([ $busy, 'SELECT 1' ], table_migration('t2'), [ @column, q{requires => '{002}'} ]);
app(q{SELECT migrate.apply('002')});
my $messages = in_a_pause('CALL migrate.apply_each()',
	q{SELECT migrate.rollback(versions => '{002}', hold => true)});
like($messages, qr/NOTICE:  00000: migration "003" was skipped because it requires one that is held/,
	'requirement: it is said');
is(applied(), '001', 'requirement: 003 is not applied without 002');
app(q{SELECT migrate.unhold('002'); SELECT migrate.apply('002')});
$messages = in_a_pause('CALL migrate.apply_each()', q{SELECT migrate.rollback(versions => '{002}')});
unlike($messages, qr/ERROR/, 'requirement, pending again: no error');
is(applied(), '001 002 003', 'requirement, pending again: it comes first');

$messages = in_a_pause('CALL migrate.rollback_each()',
	q{SELECT migrate.add('004', 'CREATE TABLE t4 (id int)', 'DROP TABLE t4', requires => '{003}');
	SELECT migrate.apply()});
like($messages, qr/ERROR:  MG005: cannot roll back migration "003" because "004" requires it/,
	'dependent: refused');
is(applied(), '001 002 003 004', 'dependent: nothing is undone');

# what is newer does not take the place of what was to be undone
stored([ $busy, 'SELECT 1' ], [@column]);
app('SELECT migrate.apply()');
$messages = in_a_pause('CALL migrate.rollback_each()',
	q{SELECT migrate.add('003', 'CREATE TABLE t3 (id int)', 'DROP TABLE t3'); SELECT migrate.apply()});
unlike($messages, qr/ERROR/, 'newer: no error');
is(applied(), '001 003', 'newer: 002 is undone');

stored([ $busy, 'SELECT 1' ], [@column], table_migration('t3'));
app(q{SELECT migrate.apply('001')});
$messages = in_a_pause('CALL migrate.apply_each()', q{SELECT migrate.apply(versions => '{003}')});
like($messages, qr/ERROR:  MG006: 1 pending migration is out of order/, 'order: refused');
is(applied(), '001 003', 'order: 002 is not applied');

stored([ $busy, 'SELECT 1' ], [@column], table_migration('t3'));
app(q{SELECT migrate.apply('001')});
$messages = in_a_pause('CALL migrate.apply_each()', q{SELECT migrate.hold('003', 'not yet')});
unlike($messages, qr/ERROR/, 'held: no error');
like($messages, qr/NOTICE:  00000: migration "003" is held and was skipped: not yet/, 'held: it is said');
is(applied(), '001 002', 'held: 003 is not applied');

stored([ $busy, 'SELECT 1' ], [@column], table_migration('t3'));
app(q{SELECT migrate.apply('001')});
$messages = in_a_pause('CALL migrate.apply_each()', q{SELECT migrate.remove('002')});
unlike($messages, qr/ERROR/, 'removed: no error');
is(applied(), '001 003', 'removed: it is not run');
$messages = in_a_pause(q{SELECT migrate.add('004', 'ALTER TABLE busy ADD d int'); CALL migrate.apply_each()},
	q{INSERT INTO migrate.policy (project, frozen_reason) VALUES ('default', 'sales')});
like($messages, qr/ERROR:  MG\d+: project "default" is frozen/, 'frozen: refused');
is(applied(), '001 003', 'frozen: nothing is applied');

# ---------------------------------------------------------------------------
# What stands half-way comes first
# ---------------------------------------------------------------------------

# Fails after its first statement, which cannot be undone, as long as t has a zero.
sub half
{
	my ($name) = @_;
	return [
		"CREATE INDEX CONCURRENTLY $name ON t (n); SELECT 1 / n FROM t",
		"DROP INDEX CONCURRENTLY $name; SELECT 1 / n FROM t"
	];
}

sub half_way
{
	my @migrations = @_;

	stored([ 'CREATE TABLE IF NOT EXISTS t (n int)', 'SELECT 1' ], @migrations);
	app(q{SELECT migrate.apply('001'); INSERT INTO t VALUES (0)});
	return;
}

sub fails
{
	my ($name, $sql, $pattern) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my (undef, undef, $err) = run_sql($node, $db, 'app', $sql);

	like($err, $pattern, $name);
	return;
}

# up
half_way(half('i2'), table_migration('t3'));
fails('up: cut off', 'CALL migrate.apply_each()', qr/ERROR:  22012/);
is(app(q{SELECT version || ' ' || state FROM migrate.status() WHERE state = 'partial'}),
	'002 partial', 'up: stands half-way');
fails("up: $_", $_, qr/ERROR:  MG022: migration "002" is partly applied/)
  foreach 'CALL migrate.rollback_each()', 'SELECT migrate.rollback(1)',
  q{SELECT migrate.rollback_to('base')}, 'SELECT migrate.redo(1)', 'SELECT migrate.rollback_run()',
  q{CALL migrate.apply_each(versions => '{003}')}, q{SELECT migrate.apply(versions => '{003}')};
fails('up: resume() of another', q{SELECT migrate.resume('003', at => 1)},
	qr/ERROR:  MG022: migration "002" stands half-way/);
fails('up: apply()', 'SELECT migrate.apply()', qr/ERROR:  MG008/);
is(applied(), '001', 'up: nothing has happened');
{
	my $run = app('SELECT migrate.start()');
	fails('up: start() goes on with it', "CALL migrate.wait($run)", qr/ERROR:  22012/);
}
app(q{UPDATE t SET n = 1; CALL migrate.apply_each()});
is(applied(), '001 002 003', 'up: goes on with it first');

# up, before what is lower and says what it requires
half_way(half('i2'));
fails('first: cut off', 'CALL migrate.apply_each()', qr/ERROR:  22012/);
app(q{SELECT migrate.add('0015', 'CREATE TABLE u (id int)', requires => '{001}');
	UPDATE t SET n = 1; CALL migrate.apply_each()});
is(applied(), '001 002 0015', 'first: before what comes before it by its version');

# down
half_way(half('i2'));
app('UPDATE t SET n = 1; CALL migrate.apply_each(); UPDATE t SET n = 0');
is(app('SELECT complete FROM migrate.state'), 't', 'down: complete before');
fails('down: cut off', 'CALL migrate.rollback_each()', qr/ERROR:  22012/);
is(app('SELECT complete FROM migrate.state'), 'f', 'down: not complete');
fails("down: $_", $_, qr/ERROR:  MG022: migration "002" is partly rolled back/)
  foreach 'CALL migrate.apply_each()', 'SELECT migrate.apply()',
  q{SELECT migrate.rollback(versions => '{001}')}, q{SELECT migrate.rollback_to('002')};
app(q{SELECT migrate.add('003', 'CREATE TABLE t3 (id int)', 'DROP TABLE t3')});
fails('down: nothing new either', 'CALL migrate.apply_each()', qr/ERROR:  MG022/);
fails('down: redo()', 'SELECT migrate.redo(1)', qr/ERROR:  MG008/);
is(applied(), '001 002', 'down: nothing has happened');

# held in the middle
app(q{SELECT migrate.hold('002', 'night')});
fails('down, held: is not passed', 'CALL migrate.apply_each()',
	qr/ERROR:  MG006: cannot go past migration "002", which is held half-way/);
app(q{INSERT INTO migrate.policy (project, out_of_order) VALUES ('default', 'allow')});
fails('down, held: it is said', 'CALL migrate.apply_each()',
	qr/WARNING:  01000: migration "002" is partly rolled back and held: night/);
is(applied(), '001 002 003', 'down, held: is passed if the policy allows it');
fails('down, held: it is said again', 'CALL migrate.apply_each()',
	qr/WARNING:  01000: migration "002" is partly rolled back and held: night/);
app('UPDATE t SET n = 1; CALL migrate.rollback_each()');
is(applied(), '001 003', 'down: the roll-back goes on with what was begun, and not with the newest');

half_way(half('i2'), table_migration('t3'));
fails('up, held: cut off', 'CALL migrate.apply_each()', qr/ERROR:  22012/);
app(q{SELECT migrate.hold('002', 'night')});
fails("up, held: $_", $_, qr/ERROR:  MG006: cannot go past migration "002", which is held half-way/)
  foreach 'CALL migrate.apply_each()', 'SELECT migrate.apply()', 'CALL migrate.rollback_each()';
app(q{INSERT INTO migrate.policy (project, out_of_order) VALUES ('default', 'allow')});
fails('up, held: it is said', 'SELECT migrate.apply()',
	qr/WARNING:  01000: migration "002" is partly applied and held: night/);
is(applied(), '001 003', 'up, held: is passed if the policy allows it');

# a hold keeps the failure
stored([ 'SELECT 1/0', 'SELECT 1' ]);
fails('failed', 'SELECT migrate.apply()', qr/ERROR:  22012/);
app(q{SELECT migrate.hold('001', 'later')});
is(app('SELECT state, error FROM migrate.status()'), 'held|division by zero', 'failed, held: the error is there');
app(q{SELECT migrate.unhold('001')});
is(app('SELECT state, error FROM migrate.status()'), 'failed|division by zero', 'failed, let go: it has failed');

# ---------------------------------------------------------------------------
# What is read
# ---------------------------------------------------------------------------

# Rows of the books that a roll-back of a hundred migrations reads, in a project
# of so many, none of whose tables was ever analyzed.
sub rows_read
{
	my ($count, $call) = @_;
	my $rows = q{SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))
		FROM pg_stat_user_tables WHERE schemaname = 'migrate'};

	owner_database($node, $db);
	app(qq{SET client_min_messages = warning; SELECT count(*) FROM migrate.load((
		SELECT jsonb_object_agg(format('%s_x.sql', 100000 + n), E'-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 1;\n')
		FROM generate_series(1, $count) n)); SELECT count(*) FROM migrate.apply()});
	my ($before, $after) = split /\n/,
	  app(qq{SELECT pg_stat_force_next_flush() \\g /dev/null
		$rows;
		SET migrate.progress_notices = off;
		\\o /dev/null
		$call;
		SELECT pg_stat_force_next_flush();
		\\o
		$rows});
	return $after - $before;
}

foreach my $call ('CALL migrate.rollback_each(100, hold => false)', 'CALL migrate.rollback_each(100, hold => true)',
	'SELECT count(*) FROM migrate.rollback(100)')
{
	my $count = 2000;

	cmp_ok(rows_read($count, $call), '<', 25 * $count, "$call: does not read all rows for each");
}

# ---------------------------------------------------------------------------
# Runs whose session is gone
# ---------------------------------------------------------------------------

stored(table_migration('t1'), [ 'SELECT count(*) FROM t1', 'SELECT 1' ]);
{
	my $gone = q{INSERT INTO migrate.run (run, project, action, mode, role, session_role, backend_pid,
			backend_start, requested_at, started_at)
		SELECT nextval('migrate.run_seq'), 'default', 'apply', 'call', 'app', 'app', 1, '2000-01-01', now(), now()};
	my $open = 'SELECT count(*) FROM migrate.run WHERE outcome IS NULL';

	foreach my $call (q{SELECT migrate.apply('001')}, q{SELECT migrate.apply('001')},
		'SELECT migrate.rollback(1)', q{SELECT migrate.hold('002', 'x')}, q{SELECT migrate.unhold('002')},
		q{SELECT migrate.stamp('001')}, q{SELECT migrate.unstamp('001')}, q{CALL migrate.apply_each('001')})
	{
		query($node, $db, $superuser, $gone);
		is(app($open), '1', "$call: a run is open");
		app($call);
		is(app($open), '0', "$call: closes it");
	}
}

# A standby does not see who is at a run.
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
{
	my $blocker = session($node, $db, 'app');
	my $runner = session($node, $db, 'app');

	ask($blocker, 'BEGIN; LOCK TABLE t1');
	ask_start($runner, q{SET migrate.lock_timeout = 0; CALL migrate.apply_each()});
	is_waiting($node, $node->safe_psql($db,
			q{SELECT pid FROM pg_stat_activity WHERE query LIKE '%apply_each()%' AND pid <> pg_backend_pid()}))
	  or die 'the run does not wait';
	my $run = app('SELECT max(run) FROM migrate.run');
	$node->wait_for_catchup($standby);
	is($standby->safe_psql($db, "SELECT state FROM migrate.outcome($run)"), 'running', 'standby: is running');
	is(app("SELECT state FROM migrate.outcome($run)"), 'running', 'primary: is running');
	ask($blocker, 'COMMIT');
	ask_wait($runner);
	$node->wait_for_catchup($standby);
	is($standby->safe_psql($db, "SELECT state FROM migrate.outcome($run)"), 'success', 'standby: has ended');
	$_->quit foreach $blocker, $runner;
}
$standby->stop;

$node->stop;
done_testing();
