# Statements of bodies that wait for a lock in vain: the error and the journal
# name who had it, and migrate.lock_retries tries the run again.
#
# Needs several sessions at once whose process numbers are in the output, roles
# with and without rights, and prepared transactions.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
max_prepared_transactions = 5
# only the run that is to be its victim looks for a deadlock
deadlock_timeout = 100s
});
$node->start;

my $db = 'locks';

owner_database($node, $db);
$node->safe_psql(
	$db, q{
	CREATE ROLE reporter LOGIN;
	ALTER DATABASE locks SET migrate.lock_timeout = '200ms';
	ALTER DATABASE locks SET migrate.failure_quiet = 0;
	ALTER DATABASE locks SET migrate.progress_notices = off;
	CREATE SCHEMA shop AUTHORIZATION app;
	GRANT USAGE ON SCHEMA shop TO reporter});
query(
	$node, $db, 'app', q{
	CREATE TABLE shop.orders (id int PRIMARY KEY, total int);
	CREATE TABLE shop.items (id int);
	INSERT INTO shop.orders VALUES (1, 0), (2, 0);
	GRANT ALL ON shop.orders, shop.items TO reporter});

my $runner = session($node, $db, 'app');
my $runner_pid = pid_of($runner);
my $other = session($node, $db, 'reporter');
my $other_pid = pid_of($other);
my $third = session($node, $db, 'reporter');
my $third_pid = pid_of($third);

ask($other, "SET application_name = 'reports'");
ask($third, "SET application_name = 'nightly job'");

# ---------------------------------------------------------------------------
# Helpers
# ---------------------------------------------------------------------------

my $version = 0;

# Store a migration, the only one that is pending, and return its version.
sub add
{
	my ($up, $down) = @_;
	$version++;
	query($node, $db, 'app',
		'SELECT migrate.add(' . join(', ', map { defined $_ ? quote($_) : 'NULL' }
			  ($version, $up, $down)) . ')');
	return $version;
}

sub forget
{
	return query($node, $db, 'app', "SELECT migrate.remove('$version')");
}

# The messages of a call in the runner's session.
sub messages_of
{
	my ($sql) = @_;
	return (ask($runner, $sql))[1];
}

# What the journal has of the last attempt.
sub journalled
{
	my ($column) = @_;
	return query($node, $db, 'app',
		"SELECT $column FROM migrate.journal ORDER BY run DESC, seq DESC LIMIT 1");
}

# How often a pattern is in a text.
sub count_of
{
	my ($text, $pattern) = @_;
	return scalar(() = $text =~ /$pattern/g);
}

# Does the runner pause before its next attempt?
sub pausing
{
	return "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $runner_pid";
}

# Wait until it does.
sub is_pausing
{
	return $node->poll_query_until($db, pausing());
}

my $age = qr/\d+\.\d s/;
my $alter = 'ALTER TABLE shop.orders ADD note text';

# ---------------------------------------------------------------------------
# What was waited for, and who had it
# ---------------------------------------------------------------------------

# a reader who has left a transaction open
ask($other, 'BEGIN; SELECT count(*) FROM shop.orders');
is( $node->safe_psql($db,
		"SELECT bool_and(fastpath) FROM pg_locks WHERE pid = $other_pid AND relation = 'shop.orders'::regclass"
	),
	't',
	'the lock of the reader is on the fast path');
add($alter);
my $messages = messages_of('SELECT * FROM migrate.apply()');

like($messages, qr/ERROR:  55P03: /, 'a table: the SQLSTATE is the server\'s');
my $named =
  qr/Waited for AccessExclusiveLock on table shop\.orders\.\nProcess $other_pid of role "reporter", application "reports", holds AccessShareLock on table shop\.orders: idle in transaction, transaction open for $age\n/;
like($messages, qr/DETAIL:  $named/, 'a table: the reader is named');
like($messages, qr/HINT:  Let the sessions that are named .*migrate\.lock_retries/,
	'a table: the hint says what to do');
is(count_of($messages, 'NOTICE'), 0, 'nothing is tried again by default');
like(journalled('detail') . "\n", qr/\A$named\z/, 'a table: the journal names the reader');
is(journalled('sqlstate'), '55P03', 'the journal has the SQLSTATE');

# a row as the result has it
like(
	ask($runner,
		"SELECT error ->> 'detail' FROM migrate.apply(raise => false)") . "\n",
	qr/\A$named\z/,
	'as a row: the reader is named');

# in a function, and with the session's and the body's own lock_timeout
forget();
add("DO \$\$ BEGIN EXECUTE '$alter'; END \$\$");
$messages = messages_of(
	"SET lock_timeout = '50ms'; SELECT * FROM migrate.apply(); RESET lock_timeout");
like($messages, qr/DETAIL:  $named/, 'in a DO block: the reader is named');
forget();
add("SET lock_timeout = '30ms'; $alter");
$messages = messages_of(
	'SET migrate.lock_timeout = 0; SELECT * FROM migrate.apply(); RESET migrate.lock_timeout'
);
like($messages, qr/DETAIL:  $named/,
	'with a short lock_timeout of the body: the reader is named');
forget();

# rollback
add('SELECT 1', $alter);
ask($runner, 'SELECT migrate.apply()');
$messages = messages_of('SELECT * FROM migrate.rollback()');
like($messages, qr/DETAIL:  $named/, 'rollback: the reader is named');

# a waiter in front, and whom it waits for
ask_start($third, 'BEGIN; LOCK TABLE shop.orders; COMMIT');
is_waiting($node, $third_pid) or die 'there is no waiter in front';
add('SELECT count(*) FROM shop.orders');
$messages = messages_of('SELECT * FROM migrate.apply()');
like(
	$messages,
	qr/DETAIL:  Waited for AccessShareLock on table shop\.orders\.\nProcess $other_pid .* holds AccessShareLock on table shop\.orders: idle in transaction, /,
	'a waiter in front: whom it waits for is named');
unlike($messages, qr/Process $third_pid of role/, 'and not the waiter, which holds nothing');
ask($other, 'COMMIT');
ask_wait($third);
forget();

# rows, of which the second waiter waits for the first
ask($other, 'BEGIN; UPDATE shop.orders SET total = 1 WHERE id = 1');
add('DO $$ BEGIN UPDATE shop.orders SET total = 2 WHERE id = 1; END $$');
$messages = messages_of('SELECT * FROM migrate.apply()');
my $row =
  qr/Process $other_pid .* holds ExclusiveLock on a row of transaction \d+: idle in transaction, /;
like($messages,
	qr/DETAIL:  Waited for ShareLock on a row of transaction \d+\.\n$row/,
	'a row, in a DO block: who changed it is named');
ask_start($third, 'UPDATE shop.orders SET total = 3 WHERE id = 1');
is_waiting($node, $third_pid) or die 'there is no waiter for the row';
$messages = messages_of('SELECT * FROM migrate.apply()');
like(
	$messages,
	qr/DETAIL:  Waited for ExclusiveLock on row \(0,\d+\) of table shop\.orders\.\n$row.*\nProcess $third_pid .* holds ExclusiveLock on row .*: active, /,
	'a row that others wait for: all are named, the oldest transaction first');
ask($other, 'COMMIT');
ask_wait($third);
forget();

# an advisory lock and a schema
foreach my $case (
	[
		'SELECT pg_advisory_lock(7, 8)', 'SELECT pg_advisory_unlock(7, 8)',
		'SELECT pg_advisory_xact_lock(7, 8)',
		qr/Waited for ExclusiveLock on advisory lock \[.*7,8.*\]\.\nProcess $other_pid .* holds ExclusiveLock on advisory lock .*: idle\n/,
		'an advisory lock'
	])
{
	my ($take, $give, $body, $expected, $name) = @$case;

	ask($other, $take);
	add($body);
	like(messages_of('SELECT * FROM migrate.apply()'),
		qr/DETAIL:  $expected/, "$name: who has it is named");
	ask($other, $give);
	forget();
}

# a prepared transaction
ask($other, "BEGIN; LOCK TABLE shop.items; PREPARE TRANSACTION 'left over'");
add('ALTER TABLE shop.items ADD note text');
$messages = messages_of('SELECT * FROM migrate.apply()');
like(
	$messages,
	qr/DETAIL:  Waited for AccessExclusiveLock on table shop\.items\.\nPrepared transaction "left over" of role "reporter", holds AccessExclusiveLock on table shop\.items: in pg_prepared_xacts for $age\n/,
	'a prepared transaction is named');
$node->restart;
$_ = session($node, $db, $_ == $runner ? 'app' : 'reporter')
  foreach $runner, $other, $third;
($runner_pid, $other_pid, $third_pid) = map { pid_of($_) } $runner, $other, $third;
like(
	messages_of('SELECT * FROM migrate.apply()'),
	qr/Prepared transaction "left over" of role "reporter", holds/,
	'also after a restart of the server');
ask($other, "ROLLBACK PREPARED 'left over'");
forget();

# who queued behind the run and has the lock now was never in its way
ask($other, 'BEGIN; SELECT count(*) FROM shop.orders');
add($alter);
ask_start($runner,
	"SET lock_timeout = '3s'; SELECT * FROM migrate.apply(); RESET lock_timeout");
is_waiting($node, $runner_pid) or die 'the run does not wait';
ask_start($third, 'BEGIN; SELECT count(*) FROM shop.orders');
is_waiting($node, $third_pid) or die 'nobody waits for the run';
$messages = (ask_wait($runner))[1];
ask_wait($third);
like($messages, qr/\nProcess $other_pid of role/, 'who had the lock is named');
unlike($messages, qr/Process $third_pid of/,
	'who waited for the run itself is not');
ask($third, 'COMMIT');

# ---------------------------------------------------------------------------
# Queries are for those who may see them
# ---------------------------------------------------------------------------

my $query = "SELECT 'caf\303\251\n\t', '" . ("\303\251" x 150) . "' FROM shop.orders";
my $shown = qr/, query: SELECT 'caf\303\251  ', '(?:\303\251)+\.\.\.\n/;

ask($other, $query);
foreach my $case (
	[ 'SELECT 1', 0, 'a stranger' ],
	[ 'GRANT pg_read_all_stats TO app', 1, 'one who may read all statistics' ],
	[ 'REVOKE pg_read_all_stats FROM app', 0, 'a stranger again' ],
	[ 'GRANT reporter TO app', 1, 'a member of the role' ],
	[ 'REVOKE reporter FROM app', 0, 'a stranger after all' ])
{
	my ($grant, $sees, $name) = @$case;

	$node->safe_psql('postgres', $grant);
	$messages = messages_of('SELECT * FROM migrate.apply()');
	like($messages, qr/holds AccessShareLock .* idle in transaction, transaction open for $age/,
		"$name sees state and age");
	is($messages =~ $shown ? 1 : 0,
		$sees, "$name " . ($sees ? 'sees the query' : 'does not see the query'));
	unlike($messages, qr/caf/, "$name does not see any of it") if !$sees;
}
$node->safe_psql('postgres', 'GRANT reporter TO app');
my ($clipped) =
  messages_of('SELECT * FROM migrate.apply()') =~ /, query: (.*)\.\.\.\n/;
$node->safe_psql('postgres', 'REVOKE reporter FROM app');
cmp_ok(length($clipped), '<=', 200, 'a query is cut');
cmp_ok(length($clipped), '>=', 199, 'where a character ends');

# ---------------------------------------------------------------------------
# What is not a wait that failed
# ---------------------------------------------------------------------------

# NOWAIT, after a wait that was successful for a lock that somebody else gets
# after the roll-back
forget();
ask($third, 'BEGIN; LOCK TABLE shop.items');
add('LOCK TABLE shop.items; LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE NOWAIT');
ask_start($runner,
	'SET migrate.lock_timeout = 0; SELECT * FROM migrate.apply(); RESET migrate.lock_timeout'
);
$node->poll_query_until($db,
	"SELECT count(*) = 1 FROM pg_locks WHERE pid = $runner_pid AND NOT granted AND clock_timestamp() - waitstart > '250ms'"
) or die 'the run does not wait';
ask_start($other, 'LOCK TABLE shop.items IN ACCESS SHARE MODE');
is_waiting($node, $other_pid) or die 'nobody waits behind the run';
ask($third, 'COMMIT');
$messages = (ask_wait($runner))[1];
ask_wait($other);
like($messages, qr/ERROR:  55P03: /, 'NOWAIT fails');
unlike($messages, qr/Waited for|DETAIL/, 'NOWAIT names nobody');
like($messages, qr/HINT:  The lock was not waited for, as with NOWAIT/,
	'the hint does not speak of names then');
forget();

# nor is an error of that name, or of a deadlock's, that a body raises by itself
foreach my $state ('55P03', '40P01')
{
	add("DO \$\$ BEGIN RAISE EXCEPTION 'by itself' USING ERRCODE = '$state'; END \$\$");
	$messages = messages_of('CALL migrate.apply_each()');
	like($messages, qr/ERROR:  $state: by itself/, "$state of a body: is the error");
	unlike($messages, qr/trying again/, "$state of a body: is not tried again");
	forget();
}

# what says NOWAIT is not tried again, wherever it says so
ask($third, 'BEGIN; LOCK TABLE shop.items IN ROW EXCLUSIVE MODE; UPDATE shop.orders SET total = 4 WHERE id = 1');
foreach my $text (
	'LOCK TABLE shop.items IN SHARE MODE NOWAIT',
	'SELECT * FROM shop.orders FOR UPDATE NOWAIT',
	'WITH o AS (SELECT * FROM shop.orders FOR NO KEY UPDATE NOWAIT) SELECT * FROM o',
	'DO $$ BEGIN LOCK TABLE shop.items NOWAIT; END $$',
	'DO $$ BEGIN PERFORM 1 FROM shop.orders FOR SHARE NOWAIT; END $$')
{
	add($text);
	foreach my $call ('SELECT * FROM migrate.apply()', 'CALL migrate.apply_each()')
	{
		$messages = messages_of(
			"SET migrate.lock_retries = 2; $call; RESET migrate.lock_retries");
		like($messages, qr/ERROR:  55P03: /, "$text: fails with $call");
		unlike($messages, qr/NOTICE/, 'and is not tried again');
	}
	forget();
	add('SELECT 1', $text);
	ask($runner, "SELECT migrate.apply(versions => ARRAY['$version'])");
	$messages = messages_of(
		'SET migrate.lock_retries = 2; CALL migrate.rollback_each(); RESET migrate.lock_retries');
	like($messages, qr/ERROR:  55P03: /, "$text: fails in a roll-back");
	unlike($messages, qr/NOTICE/, 'and is not tried again');
	ask($runner, "SELECT migrate.unstamp('$version', confirm => 'locks')");
	forget();
}
ask($third, 'COMMIT');

# a wait that the body gave up itself
add("SET lock_timeout = '50ms'; DO \$\$ BEGIN $alter; EXCEPTION WHEN lock_not_available THEN NULL; END \$\$;\nSELECT 1/0");
$messages = messages_of('SELECT * FROM migrate.apply()');
like($messages, qr/ERROR:  22012: /, 'an error after that is that error');
unlike($messages, qr/Waited for|NOTICE/, 'and names nobody');
forget();

# ---------------------------------------------------------------------------
# Trying again
# ---------------------------------------------------------------------------

my $retry =
  qr/NOTICE:  00000: migration "\d+" could not obtain a lock, trying again in \d+ ms \(retry \d+ of \d+\)\nDETAIL:  Waited for AccessExclusiveLock on table shop\.orders\.\nProcess $other_pid of role /;

# in vain: the number of attempts, and every one with the whole run
add($alter);
ask($runner, "SET lock_timeout = '50ms'");
$messages = messages_of(
	'SET migrate.lock_retries = 2; SELECT * FROM migrate.apply()');
is(count_of($messages, $retry), 2, 'two retries, two notices');
like($messages, qr/\(retry 1 of 2\).*\(retry 2 of 2\)/s, 'which are counted');
like($messages, qr/ERROR:  55P03: .*DETAIL:  Waited for/s, 'and then the error');
is( query($node, $db, 'app',
		"SELECT count(*) FROM migrate.journal WHERE version = '$version'"),
	1,
	'which is journalled once');
$messages = messages_of(
	'SET migrate.lock_retries = 0; SELECT * FROM migrate.apply()');
is(count_of($messages, 'NOTICE'), 0, 'lock_retries = 0 fails at once');
$messages = messages_of(
	'SET migrate.lock_retries = 1; SELECT * FROM migrate.apply(dry_run => true)');
is(count_of($messages, $retry), 1, 'a dry run is tried again as well');
is(count_of(messages_of('SELECT * FROM migrate.apply(raise => false)'), $retry),
	1, 'and one whose error is a row');

# each attempt looks anew
$node->safe_psql('postgres', 'GRANT reporter TO app');
ask($runner, 'SET migrate.lock_retries = 2');
ask_start($runner, 'SELECT * FROM migrate.apply()');
is_pausing() or die 'there is no pause';
ask($other, "SELECT 'something else'");
$messages = (ask_wait($runner))[1];
unlike($messages, qr/retry 1 of 2.*something else.*retry 2/s,
	'the first notice has what was going on then');
like($messages, qr/ERROR:  55P03.*, query: SELECT 'something else'/s,
	'the error has what went on later');
$node->safe_psql('postgres', 'REVOKE reporter FROM app');

# canceled in the pause, which statement_timeout does not count
ask($runner, 'SET migrate.lock_retries = 100');
ask_start($runner, 'SELECT * FROM migrate.apply()');

# in one go, for the pause may be short
$node->safe_psql($db, qq{DO \$\$
BEGIN
	LOOP
		PERFORM pg_stat_clear_snapshot();
		EXIT WHEN (${\pausing()});
	END LOOP;
	PERFORM pg_cancel_backend($runner_pid);
END\$\$});
$messages = (ask_wait($runner))[1];
like($messages, qr/ERROR:  57014: .*DETAIL:  The run was to be tried again after this error: .*Process $other_pid /s,
	'a pause can be canceled');
is(journalled('sqlstate'), '57014', 'which is journalled');
is(locks_left($node, $db), '', 'no lock is left');
ask($runner,
	"SET migrate.lock_retries = 2; SET statement_timeout = '120ms'");
$messages = messages_of('SELECT * FROM migrate.apply()');
is(count_of($messages, 'ERROR:  55P03: '), 1,
	'statement_timeout does not end a pause that is longer');
ask($runner, 'RESET statement_timeout');

# with success: two migrations, of which the first one works each time
forget();
add('INSERT INTO shop.items VALUES (1)');
add($alter);
ask($runner, 'SET migrate.lock_retries = 1000');
ask_start($runner,
	'SELECT version, statements FROM migrate.apply()');
ok( $node->poll_query_until(
		$db, qq{
		SELECT wait_event = 'PgSleep' AND NOT EXISTS (SELECT FROM pg_locks
				WHERE pid = $runner_pid AND relation = 'shop.items'::regclass)
		FROM pg_stat_activity WHERE pid = $runner_pid}),
	'the pause holds no lock of the run');
ask($other, 'COMMIT');
(my $out, $messages) = ask_wait($runner);
cmp_ok(count_of($messages, $retry), '>=', 1, 'there was a retry');
unlike($messages, qr/ERROR/, 'and then the run succeeds');
is($out, ($version - 1) . "|1\n$version|1", 'with its results');
is( query(
		$node, $db, 'app',
		"SELECT string_agg(concat_ws(' ', seq, version, action, outcome), ', ' ORDER BY seq)"
		  . ' FROM migrate.journal WHERE run = (SELECT max(run) FROM migrate.journal)'
	),
	'1 ' . ($version - 1) . " apply success, 2 $version apply success",
	'the journal has each migration once');
is(query($node, $db, 'app', 'SELECT count(*) FROM shop.items'),
	1, 'and so has the table');

# ---------------------------------------------------------------------------
# Deadlocks
# ---------------------------------------------------------------------------

ask($third, 'SELECT pg_advisory_lock(1000)');
ask($runner, 'RESET ALL');
$node->safe_psql($db, "ALTER ROLE app SET deadlock_timeout = '400ms'");
$runner->quit;
$runner = session($node, $db, 'app');
$runner_pid = pid_of($runner);
add('LOCK TABLE shop.items; SELECT pg_advisory_xact_lock(1000); LOCK TABLE shop.orders');
ask_start($runner,
	'SET migrate.lock_timeout = 0; SELECT * FROM migrate.apply()');
is_waiting($node, $runner_pid) or die 'the run does not come to its middle';
ask($other, 'BEGIN; LOCK TABLE shop.orders');
ask_start($other, 'LOCK TABLE shop.items');
is_waiting($node, $other_pid) or die 'there is no deadlock';
ask($third, 'SELECT pg_advisory_unlock(1000)');
$messages = (ask_wait($runner))[1];
ask_wait($other);
like(
	$messages,
	qr/ERROR:  40P01: .*DETAIL:  Process $runner_pid waits for AccessExclusiveLock on .*\nWaited for AccessExclusiveLock on table shop\.orders\.\nProcess $other_pid of role "reporter", application .*, holds AccessExclusiveLock on table shop\.orders: .*HINT:  .*migrate\.lock_retries/s,
	'a deadlock: the other one is named after what the server says');
ask_start($runner,
	"SET migrate.lock_timeout = '50ms'; SET migrate.lock_retries = 1000; SELECT version FROM migrate.apply()"
);
is_pausing() or die 'there is no pause';
ask($other, 'COMMIT');
is((ask_wait($runner))[0], $version, 'and it goes away by trying again');

# ---------------------------------------------------------------------------
# A transaction per migration
# ---------------------------------------------------------------------------

# The other one has a snapshot, which is all that this waits for.  The time-out is
# the session's, since ours is not for such waits.
add('CREATE INDEX CONCURRENTLY orders_total ON shop.orders (total)',
	'DROP INDEX CONCURRENTLY shop.orders_total');
ask($other, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$messages = messages_of(
	"SET lock_timeout = '200ms'; SET migrate.lock_retries = 0; CALL migrate.apply_each()"
);
like(
	$messages,
	qr/ERROR:  55P03: .*DETAIL:  Waited for ShareLock on virtual transaction \S+\.\nProcess $other_pid of role "reporter", .*holds ExclusiveLock on virtual transaction \S+: idle in transaction, /s,
	'CREATE INDEX CONCURRENTLY: whose transaction it waits for is named');
ask($other, 'COMMIT');
ask($runner, 'CALL migrate.apply_each()');

# Ours is for what is in a body's transaction, not for a concurrent build after it,
# nor for what the run reads and writes between them.  Each wait lasts three times as long as the limit.
sub waits_for_long
{
	my ($what) = @_;
	$node->poll_query_until($db, qq{
SELECT state = 'idle' OR EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND NOT granted AND $what
	AND clock_timestamp() - waitstart > '600 ms')
FROM pg_stat_activity a WHERE pid = $runner_pid});
	return $node->safe_psql($db, "SELECT state FROM pg_stat_activity WHERE pid = $runner_pid") eq 'active';
}

my ($auditor, $vacuumer) = map { session($node, $db, $superuser) } 1, 2;
my $wait_for_key = q{DO $$ BEGIN
	WHILE NOT pg_try_advisory_xact_lock(1001) LOOP PERFORM pg_sleep(0.01); END LOOP;
END $$};

add('CREATE TABLE shop.limits (i int)');
add('CREATE INDEX CONCURRENTLY orders_id ON shop.orders (id)');
add("INSERT INTO shop.limits VALUES (1); $wait_for_key");
add('INSERT INTO shop.limits VALUES (2)');
add('INSERT INTO shop.limits VALUES (3) --' . 'x' x 1_100_000);
ask($other, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
ask($third, 'SELECT pg_advisory_lock(1001)');
ask_start($runner, "RESET lock_timeout; SET migrate.lock_retries = 0; SET migrate.lock_timeout = '200ms'; CALL migrate.apply_each()");
ok(waits_for_long(q{locktype = 'virtualxid'}), 'a concurrent build after a body: waits for longer');
ask($other, 'COMMIT');
ask($auditor, 'BEGIN; LOCK TABLE migrate.policy');
ask($vacuumer, 'BEGIN; LOCK TABLE migrate.state');
ask($third, 'SELECT pg_advisory_unlock(1001)');
ok(waits_for_long(q{relation = 'migrate.policy'::regclass}), 'a look at the books after a body: as well');
ask($auditor, 'COMMIT');
ok(waits_for_long(q{relation = 'migrate.state'::regclass}), 'the end of the run: as well');
ask($vacuumer, 'COMMIT');
is((ask_wait($runner))[1], '', 'and the run succeeds');

# nor if the end of the run is refused, when its work is done
query($node, $db, $superuser, q{
	CREATE FUNCTION shop.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN RAISE EXCEPTION 'no end'; END $$;
	CREATE TRIGGER refuse AFTER UPDATE ON migrate.run
		FOR EACH ROW WHEN (new.outcome = 'success') EXECUTE FUNCTION shop.refuse()});
add('SELECT 1');
like(messages_of("SET search_path = shop; CALL migrate.apply_each()"),
	qr/ERROR:  P0001: no end/, 'the end of a run is refused');
is(ask($runner, 'SHOW lock_timeout; SHOW search_path'), "0\nshop", 'the session has its settings');
query($node, $db, $superuser, 'DROP TRIGGER refuse ON migrate.run');
ask($runner, 'RESET search_path; CALL migrate.apply_each()');
is(query($node, $db, 'app', 'SELECT outcome, migrations FROM migrate.run ORDER BY run DESC LIMIT 1'),
	'failure|1', 'the run has failed, and the next one finds nothing to do');

# ---------------------------------------------------------------------------
# The timer is off afterwards
# ---------------------------------------------------------------------------

# How often a backend wakes up while it has nothing to do for a second.
sub wakeups
{
	my ($session, $pid) = @_;
	my @counts;

	foreach my $sql ('SELECT pg_sleep(1)', '')
	{
		slurp_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m
		  or die 'the kernel does not tell';
		push @counts, $1;
		ask($session, $sql) if $sql ne '';
	}
	return $counts[1] - $counts[0];
}

# looks every millisecond, if it is on
ask($runner, "RESET ALL; SET lock_timeout = '10ms'");
add('SELECT 1');
is(ask($runner, 'SELECT version FROM migrate.apply()'), $version, 'a run');
cmp_ok(wakeups($runner, $runner_pid), '<', 100, 'nothing goes on after it');
ask($other, 'BEGIN; SELECT FROM shop.orders');
add($alter . '_2');
like(messages_of('SELECT * FROM migrate.apply()'),
	qr/DETAIL:  Waited for/, 'a run that fails');
cmp_ok(wakeups($runner, $runner_pid), '<', 100, 'nothing goes on after that');
forget();
add('SELECT pg_sleep(1)');
ask_start($runner, 'SELECT migrate.apply()');
$node->poll_query_until($db,
	"SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $runner_pid")
  or die 'the run does not come to its body';
my ($before) = slurp_file("/proc/$runner_pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
ask_wait($runner);
my ($after) = slurp_file("/proc/$runner_pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
cmp_ok($after - $before, '>', 200, 'while a body runs it does look');

# Ended in the middle of a body, with the timer on: the server must survive it.
my $crashes = log_size($node);

add('SELECT pg_sleep(600)');
foreach (1 .. 10)
{
	my $victim = session($node, $db, 'app');
	my $pid = pid_of($victim);

	ask_start($victim, "SET lock_timeout = '1ms'; SELECT migrate.apply()");
	$node->poll_query_until($db,
		"SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid")
	  or die 'the run does not come to its body';
	$node->safe_psql($db, "SELECT pg_terminate_backend($pid, 60000)");
	eval { ask_wait($victim) };
	eval { $victim->quit };
}
unlike(log_since($node, $crashes), qr/terminated by signal|TRAP/,
	'a backend can be ended while the timer is on');

# ---------------------------------------------------------------------------
# Another attempt in a later portion
# ---------------------------------------------------------------------------

# Bodies are loaded in portions of limited size.  The pause before another attempt
# takes place in the second one, and the new plan begins with it.
$node->safe_psql('postgres', "CREATE DATABASE portions");
my $portions = session($node, 'portions');

ask($portions, q{
	CREATE EXTENSION migrate;
	CREATE TABLE busy ();
	SET migrate.lock_timeout = '50ms';
	SELECT migrate.add('1', 'SELECT 1', 'LOCK TABLE busy'),
		migrate.add('2', 'SELECT 2 -- ' || repeat('x', 2000000), 'SELECT 3'),
		migrate.add('3', 'LOCK TABLE busy', 'SELECT 4 -- ' || repeat('x', 2000000)),
		migrate.add('4', 'SELECT 5', 'SELECT 6 -- ' || repeat('x', 2000000))});
my $in_the_way = session($node, 'portions');

foreach my $call ('CALL migrate.apply_each()', 'CALL migrate.rollback_each(4)')
{
	ask($in_the_way, 'BEGIN; LOCK TABLE busy IN ACCESS SHARE MODE');
	ask_start($portions, $call);
	until ($portions->{stderr} =~ /trying again/)
	{
		last unless $portions->{run}->pumpable;
		$portions->{run}->pump;
	}
	ask($in_the_way, 'COMMIT');
	my (undef, $err) = ask_wait($portions);
	like($err, qr/\(4 of 4/, "$call: goes on with the migration that waited");
}
is($node->safe_psql('portions', 'SELECT count(*) FROM migrate.applied'), '0', 'all are undone');

# A wait of what the run itself writes, here in somebody's trigger: the next attempt
# writes the rows once.
ask($portions, q{
	CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN LOCK TABLE public.busy; RETURN NULL; END';
	CREATE TRIGGER audit AFTER INSERT ON migrate.applied FOR EACH ROW EXECUTE FUNCTION audit()});
ask($in_the_way, 'BEGIN; LOCK TABLE busy IN ACCESS SHARE MODE');
ask_start($portions, 'CALL migrate.apply_each()');
until ($portions->{stderr} =~ /trying again/)
{
	last unless $portions->{run}->pumpable;
	$portions->{run}->pump;
}
ask($in_the_way, 'COMMIT');
my (undef, $audited) = ask_wait($portions);
unlike($audited, qr/ERROR/, 'a lock that a trigger of the ledger waits for: tried again');
is($node->safe_psql('portions', q{SELECT count(*), count(DISTINCT version) FROM migrate.journal
	WHERE run = (SELECT max(run) FROM migrate.journal)}), '4|4', 'and each migration is journalled once');

$_->quit foreach $runner, $other, $third, $portions, $in_the_way;
$node->stop;
done_testing();
