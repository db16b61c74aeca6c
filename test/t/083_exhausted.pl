# Something has run out: the lock table, the slots for background workers, the
# connections of a role.  The run fails with the server's error and a way out,
# nothing is half done, the failure is journalled where that is possible, the server
# stays up, and when there is enough again the next call works.  For disk space see
# 087_full_disk.pl.
#
# Needs settings that only a restart changes.

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
autovacuum = off
max_connections = 20
migrate.wait_timeout = 1min
migrate.failure_quiet = 0
migrate.progress_notices = off
});
$node->start;

my $db = 'exhausted';

# Run SQL as app; dies if it fails.
sub app
{
	my ($sql) = @_;
	return query($node, $db, 'app', $sql);
}

sub super
{
	my ($sql) = @_;
	return query($node, $db, $superuser, $sql);
}

sub fails
{
	my ($name, $pattern, $sql) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) = run_sql($node, $db, 'app', $sql);

	like($err, $pattern, $name);
	return $err;
}

sub works
{
	my ($name, $sql) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) = run_sql($node, $db, 'app', $sql);

	is($status, 0, $name) or diag($err);
	return $err;
}

# What must hold after a failure.
sub sound
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	agreement($node, $db, "$name: ledger, journal and schema agree");
	is(locks_left($node, $db), '', "$name: no lock is left");
	is(super('SELECT count(*) FROM migrate.run WHERE outcome IS NULL'),
		'0', "$name: no run is open");
	unlike(slurp_file($node->logfile), qr/PANIC:|was terminated by signal/,
		"$name: the server stays up");
	return;
}

sub failures
{
	return app('SELECT count(*) FROM migrate.failures');
}

my $apply = 'SELECT count(*) FROM migrate.apply()';
my $each = 'CALL migrate.apply_each()';
my $err;

# ---------------------------------------------------------------------------
# The lock table
# ---------------------------------------------------------------------------

$node->append_conf('postgresql.conf', q{
max_locks_per_transaction = 10
max_wal_senders = 0
max_worker_processes = 2
max_prepared_transactions = 0
});
$node->restart;
owner_database($node, $db);
app(q{SELECT count(migrate.add(i::text, format('CREATE TABLE t_%s (id int)', i)))
	FROM generate_series(1001, 2000) i});
$err = fails('locks, apply(): fails', qr/ERROR:  53200: out of shared memory/, $apply);
like($err, qr/HINT:  .*max_locks_per_transaction.*apply in parts/s,
	'locks, apply(): the hint says what to do');
unlike($err, qr/WARNING/, 'locks, apply(): it is journalled');
is(app('SELECT sqlstate FROM migrate.failures'), '53200', 'locks, apply(): as it was');
is(app('SELECT count(*) FROM migrate.applied'),
	'0', 'locks, apply(): nothing is half done');
sound('locks, apply()');
works('locks: apply_each() needs few at a time', $each);
is(app('SELECT count(*) FROM migrate.applied'), '1000', 'locks: all is applied');
sound('locks, apply_each()');

# one migration that is too large for both
my $many = q{DO $$ BEGIN FOR i IN 3001 .. 4000 LOOP
	EXECUTE format('CREATE TABLE many_%s (id int)', i); END LOOP; END $$};
app('SELECT migrate.add(\'9\', ' . quote("CREATE TABLE t_9 (id int); $many") . ')');
app(q{INSERT INTO migrate.policy (project, out_of_order) VALUES ('default', 'allow')});
foreach my $call ($apply, $each)
{
	fails("locks, a large one: $call fails",
		qr/ERROR:  53200: .*HINT:  .*max_locks_per_transaction/s, $call);
	is(app(q{SELECT count(*) FROM pg_class WHERE relname ~ '^(t_9|many_.*)$'}),
		'0', 'locks, a large one: nothing is half done');
	sound('locks, a large one');
}
is(failures(), '3', 'locks, a large one: in the journal');
$node->append_conf('postgresql.conf', 'max_locks_per_transaction = 200');
$node->restart;
works('locks: there are enough now', $each);
is(app(q{SELECT count(*) FROM pg_class WHERE relname ~ '^(t_9|many_.*)$'}),
	'1001', 'locks: the work is done');
sound('locks, again');

# ---------------------------------------------------------------------------
# Slots for background workers
# ---------------------------------------------------------------------------

# the server itself takes the only one
$node->append_conf('postgresql.conf', 'max_worker_processes = 1');
$node->restart;
owner_database($node, $db);
app(q{SELECT migrate.add('1', 'CREATE TABLE t_1 (id int)', 'DROP TABLE t_1')});
$node->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'logical replication launcher'})
  or die 'the slot is not taken';
$err = fails('slots: start() fails',
	qr/ERROR:  53000: could not start a background worker/,
	'SELECT migrate.start()');
like($err, qr/HINT:  .*max_worker_processes.*apply_each\(\)/,
	'slots: the hint says what to do');
is(super('SELECT count(*) FROM migrate.run'), '0', 'slots: there is no run');
sound('slots, start()');
works('slots: apply_each() needs none', $each);

# without a worker a failure of apply() cannot be journalled, and the error says it
app(q{SELECT migrate.add('2', 'SELECT 1/0')});
$err = fails('slots: a failure of apply()', qr/ERROR:  22012/, $apply);
like($err, qr/WARNING:  \w+: could not record the failure in migrate\.journal/,
	'slots: is not in the journal');
fails('slots: one of apply_each()', qr/ERROR:  22012/, $each);
is(failures(), '1', 'slots: is in the journal');
sound('slots');
$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
$node->restart;
app(q{SELECT migrate.remove('2');
	SELECT migrate.add('2', 'CREATE TABLE t_2 (id int)', 'DROP TABLE t_2')});
my $run = app('SELECT migrate.start()');
works('slots: there are enough now', "CALL migrate.wait($run)");
is(app('SELECT count(*) FROM migrate.applied'), '2', 'slots: the work is done');
sound('slots, again');

# ---------------------------------------------------------------------------
# Connections
# ---------------------------------------------------------------------------

app(q{SELECT migrate.add('3', 'CREATE TABLE t_3 (id int)', 'DROP TABLE t_3')});
foreach my $case (
	[ 'ALTER ROLE app', qr/ERROR:  53300: too many connections for role "app"/ ],
	[ "ALTER DATABASE $db", qr/ERROR:  53300: too many connections for this database/ ])
{
	my ($what, $pattern) = @$case;
	my $session = session($node, $db, 'app');

	pid_of($session);
	super("$what CONNECTION LIMIT 0");
	(undef, $err) = ask($session, 'SELECT migrate.start()');
	like($err, $pattern, "$what: start() fails");
	like($err, qr/HINT:  Raise the limit/, "$what: the hint says what to do");
	super("$what CONNECTION LIMIT 1");

	# a session of ours that has just ended may still be counted
	$node->poll_query_until('postgres',
		"SELECT count(*) <= 1 FROM pg_stat_activity WHERE datname = '$db'")
	  or die;
	$run = ask($session, 'SELECT migrate.start()');
	(undef, $err) = ask($session, "CALL migrate.wait($run)");
	unlike($err, qr/ERROR/, "$what: a worker is not one of them");
	super("$what CONNECTION LIMIT -1");
	$session->quit;
	sound($what);
}
is(app('SELECT count(*) FROM migrate.applied'), '3', 'the work is done');

# a role that cannot log in cannot on 15 and 16 have a worker either
super(q{CREATE ROLE group_role NOLOGIN;
	GRANT CREATE ON SCHEMA public TO group_role;
	SELECT migrate.grant('run', 'group_role');
	SELECT migrate.grant('write', 'group_role')});
super(q{SET ROLE group_role;
	SELECT migrate.add('4', 'CREATE TABLE t_4 (id int)', 'DROP TABLE t_4')});
if ($node->pg_version < 17)
{
	my ($status, $out, $messages) = run_sql($node, $db, $superuser,
		'SET ROLE group_role; SELECT migrate.start()');
	like($messages,
		qr/ERROR:  28000: role "group_role" cannot run migrations in the background/,
		'NOLOGIN: start() fails');
	like($messages, qr/HINT:  ALTER ROLE group_role LOGIN, or use CALL/,
		'NOLOGIN: the hint says what to do');
	super('ALTER ROLE group_role LOGIN');
}
$run = super('SET ROLE group_role; SELECT migrate.start()');
super("CALL migrate.wait($run)");
is(super(q{SELECT tableowner FROM pg_tables WHERE tablename = 't_4'}),
	'group_role', 'the role that has asked for it runs it');
sound('NOLOGIN');

# ---------------------------------------------------------------------------
# Rows
# ---------------------------------------------------------------------------

# a superuser has taken that of the run away before the commit
super(q{BEGIN; SELECT migrate.start(); DELETE FROM migrate.run WHERE outcome IS NULL; COMMIT});
is(super(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migrate run'}),
	'0', 'a run without a row has no worker');
sound('a run without a row');

done_testing();
