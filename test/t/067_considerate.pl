# A migration that waits for a lock stops nobody for long: the first attempts of
# apply_each() are short, with pauses in which the queue drains.
#
# Needs several sessions at once, one of which measures how long it is stopped,
# and an autovacuum.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;

my $db = 'shop';

owner_database($node, $db);
query($node, $db, 'app', q{
	CREATE TABLE orders (id int PRIMARY KEY, total int);
	CREATE TABLE items (i int);
	INSERT INTO orders SELECT i, 0 FROM generate_series(1, 1000) i});
$node->safe_psql($db, 'ALTER DATABASE shop SET migrate.progress_notices = off');

my ($runner, $report, $user) = map { session($node, $db, 'app') } 1 .. 3;
my $runner_pid = pid_of($runner);
my $version = 0;

sub add
{
	my ($up) = @_;
	$version++;
	query($node, $db, 'app', "SELECT migrate.add('$version', " . quote($up) . ')');
	return $version;
}

# ---------------------------------------------------------------------------
# Others are stopped for a moment, and the run is done soon after the blocker
# ---------------------------------------------------------------------------

add('ALTER TABLE orders ADD note text');
ask($report, 'BEGIN; SELECT count(*) FROM orders');
ask_start($runner, 'CALL migrate.apply_each()');
$node->poll_query_until($db,
	"SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $runner_pid")
  or die 'the run does not pause';
my $longest = 0;
my $end = time + 4;
while (time < $end)
{
	my $start = time;

	ask($user, 'SELECT total FROM orders WHERE id = 7');
	$longest = time - $start if time - $start > $longest;
}
cmp_ok($longest, '<', 1.5, 'a reader is never stopped for long');
ask($report, 'COMMIT');
my $start = time;
my $messages = (ask_wait($runner))[1];
cmp_ok(time - $start, '<', 4, 'the migration is applied soon after the report has ended');
unlike($messages, qr/ERROR/, 'without an error');
like($messages, qr/\(retry 1\).*\(retry 2\).*\(retry 4\)/s,
	'the client is told of retries');
unlike($messages, qr/\(retry 3\)/, 'but not of each');

# ---------------------------------------------------------------------------
# How long each attempt may wait
# ---------------------------------------------------------------------------

# the limits that the attempts of a call have reached
sub limits
{
	my ($sql) = @_;
	my ($out, $err) =
	  ask($runner, "SET client_min_messages = debug1; $sql; RESET client_min_messages");

	return join(' ', map { $_ . 'ms' } $err =~ /a wait for a lock was ended after (\d+) ms/g);
}

ask($report, 'BEGIN; SELECT count(*) FROM orders');
add('ALTER TABLE orders ADD note_2 text');
is(limits('SET migrate.lock_retries = 1; CALL migrate.apply_each()'),
	'50ms 50ms', 'apply_each(): short attempts');
is(limits('SELECT migrate.apply()'), '50ms 50ms', 'apply(), if it may try again');
is(limits("SET migrate.lock_timeout = '20ms'; CALL migrate.apply_each()"),
	'20ms 20ms', 'migrate.lock_timeout is the longest wait');
is(limits("SET migrate.lock_timeout = '30s'; SET lock_timeout = '30ms'; CALL migrate.apply_each()"),
	'', 'lock_timeout of the session comes first where it is shorter');
is(limits("SET lock_timeout = '10s'; CALL migrate.apply_each()"),
	'50ms 50ms', 'and need not be reached where it is longer');
is(limits("RESET lock_timeout; SET migrate.lock_timeout = '400ms'; SET migrate.lock_retries = 0; CALL migrate.apply_each()"),
	'400ms', 'the only attempt has the whole of it');
is(limits("RESET migrate.lock_retries; SELECT migrate.apply()"),
	'400ms', 'as has that of apply()');

# the waits grow, and the time ends it
my ($began, $limits) = (time, '');
$limits = limits(
	"SET migrate.lock_timeout = '5s'; SET migrate.lock_retry_timeout = '7s'; CALL migrate.apply_each()");
cmp_ok(time - $began, '>=', 7, 'tried again until migrate.lock_retry_timeout is over');
like($limits, qr/^50ms (?:50ms )+100ms(?: 100ms)*$/, 'the waits grow slowly');
is(query($node, $db, 'app',
		"SELECT sqlstate, count(*) FROM migrate.journal WHERE version = '$version' GROUP BY sqlstate"),
	"55P03|" . query($node, $db, 'app',
		"SELECT count(*) FROM migrate.journal WHERE version = '$version'"),
	'each call is a failure in the journal');
query($node, $db, 'app', "SELECT migrate.remove('$version')");

# what reads and writes rows may wait longer
ask($user, 'BEGIN; LOCK TABLE items IN SHARE MODE');
add('INSERT INTO items VALUES (1)');
is(limits("SET migrate.lock_timeout = '300ms'; SET migrate.lock_retries = 1; CALL migrate.apply_each()"),
	'300ms 300ms', 'a statement that writes rows');
query($node, $db, 'app', "SELECT migrate.remove('$version')");

# and a body may say what it wants
add("SET lock_timeout = '20ms'; ALTER TABLE items ADD note text");
is(limits('CALL migrate.apply_each()'), '', 'a body that sets its own');
is(query($node, $db, 'app',
		"SELECT sqlstate FROM migrate.journal WHERE version = '$version'"),
	'55P03', 'which it has reached');
query($node, $db, 'app', "SELECT migrate.remove('$version')");
ask($user, 'COMMIT');
is(ask($runner, 'RESET migrate.lock_timeout; RESET migrate.lock_retries; RESET migrate.lock_retry_timeout; SHOW lock_timeout'),
	'0', 'the session has its own afterwards');
ask($report, 'COMMIT');

# ---------------------------------------------------------------------------
# Who is named
# ---------------------------------------------------------------------------

my @readers = map { session($node, $db, 'app') } 1 .. 7;
ask($_, 'BEGIN; SELECT count(*) FROM orders') foreach reverse @readers;
add('ALTER TABLE orders ADD note_3 text');
$messages = (ask($runner, 'SET migrate.lock_retries = 0; CALL migrate.apply_each()'))[1];
is( join(' ', $messages =~ /^Process (\d+) of role "app",.* holds AccessShareLock on table public\.orders: idle in transaction/gm),
	join(' ', map { pid_of($_) } (reverse @readers)[0 .. 4]),
	'the oldest transactions first');
like($messages, qr/\n2 other sessions hold such locks\.\n/, 'and the number of the others');
$_->quit foreach @readers;
query($node, $db, 'app', "SELECT migrate.remove('$version')");

# ---------------------------------------------------------------------------
# An autovacuum gives way to who has waited for deadlock_timeout
# ---------------------------------------------------------------------------

query($node, $db, 'app', q{
	CREATE TABLE big (id int, filler text) WITH (autovacuum_vacuum_threshold = 0,
		autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100,
		autovacuum_vacuum_cost_limit = 1);
	INSERT INTO big SELECT i, repeat('x', 700) FROM generate_series(1, 6000) i;
	DELETE FROM big});
add('ALTER TABLE big ADD note text');
$node->append_conf('postgresql.conf', "autovacuum = on\nautovacuum_naptime = 1s\ndeadlock_timeout = 500ms");
$node->restart;
$node->poll_query_until($db, q{
SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
	WHERE a.backend_type = 'autovacuum worker' AND l.relation = 'big'::regclass AND l.granted)})
  or die 'there is no autovacuum';
$start = time;
$runner = session($node, $db, 'app');
$messages = (ask($runner, 'CALL migrate.apply_each()'))[1];
unlike($messages, qr/ERROR/, 'a migration of a table that is vacuumed');
cmp_ok(time - $start, '<', 40, 'does not wait until the attempts have grown so long');

# ---------------------------------------------------------------------------
# A concurrent build does not wait for who has given up waiting for it
# ---------------------------------------------------------------------------

my ($holder, $late, $gate) = map { session($node, $db, 'app') } 1 .. 3;
my ($holder_pid, $late_pid) = map { pid_of($_) } $holder, $late;

ask($gate, 'SELECT pg_advisory_lock(7)');
add('SELECT pg_advisory_xact_lock(7)');
add('CREATE INDEX CONCURRENTLY orders_total ON orders (total)');
ask_start($holder, 'SET migrate.lock_timeout = 0; CALL migrate.apply_each()');
is_waiting($node, $holder_pid) or die 'the first migration does not wait';
ask($late, 'BEGIN; SAVEPOINT s');
ask_start($late, 'SELECT migrate.apply()');
$node->poll_query_until($db, "SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE pid = $late_pid")
  or die 'apply() does not wait';
ask($gate, 'SELECT pg_advisory_unlock(7)');
$messages = (ask_wait($late))[1];
like($messages, qr/ERROR:  \w+: another session is running a migration that cannot run in a transaction block.*HINT:  End this transaction/s,
	'who waits with a snapshot gives up, and is told to end the transaction');
ask($late, 'ROLLBACK TO SAVEPOINT s');
$messages = (ask_wait($holder))[1];
is($messages, '', 'the build ends while that transaction is open');
is(query($node, $db, 'app', "SELECT indisvalid FROM pg_index WHERE indexrelid = 'orders_total'::regclass"),
	't', 'with its index');
is(ask($late, "SELECT xact_start < clock_timestamp() FROM pg_stat_activity WHERE pid = $late_pid; COMMIT"),
	't', 'which it has been all the time');

done_testing();
