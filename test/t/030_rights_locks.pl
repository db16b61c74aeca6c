# Locks, constraints and prepared transactions: no role without the right to
# run or write can stop or delay a run, none can take the runner lock away from
# a run, and a run leaves the transaction that it is part of as it was.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Utils;
use Rights;
use Test::More;
use Time::HiRes qw(time);

start_server('max_prepared_transactions = 5');

# A run must get its lock at once here; the time-out is how one sees that it
# did not.
my $patience = "SET migrate.wait_timeout = '2s';\n";
my $version = 100;

sub runs
{
	my ($role, $db, $name) = @_;

	$version++;
	my ($status, $out, $err) = run($super, $db, $patience
		  . "INSERT INTO migrate.migration (version, up, added_by) VALUES ('$version', 'SELECT 1', '$role')"
	);
	($status, $out, $err) =
	  run($role, $db, $patience . 'SELECT version FROM migrate.apply()')
	  if $status == 0;
	my $ok = ok($status == 0 && $out eq $version, "$name: a run of $role goes on");

	diag("status $status, output \"$out\", messages:\n$err") if !$ok;

	# nothing that could not be run is left for the next case
	run($super, $db, "SELECT migrate.stamp_to('head')") if !$ok;
	return $ok;
}

# A session of a role that holds something in an open transaction meanwhile.
# The statements must have worked if anything is to be shown by it, except
# where errors are expected.
sub held_by
{
	my ($role, $db, $sql, $name, %option) = @_;
	my $session = session($role, $db);
	my ($out, $err) = $session->query("BEGIN;\n$sql");

	ok($err !~ /ERROR/, "$name: $role has it") or diag($err)
	  if !$option{errors};
	like($err, $option{errors}, "$name: $role is refused") if $option{errors};
	return $session;
}

# ---------------------------------------------------------------------------
# Locks of roles that have no right to run or write
# ---------------------------------------------------------------------------

my $db = database('locks');
my $extension = value($db, "oid FROM pg_extension WHERE extname = 'migrate'");
my $class = value($db, "'pg_extension'::regclass::oid");

foreach my $case (
	[ low => 'every advisory lock that might mean something', <<"END" ],
SELECT pg_advisory_lock($extension), pg_advisory_lock($class, $extension),
	pg_advisory_lock($extension, 0), pg_advisory_lock(0, $extension),
	pg_advisory_lock(hashtext('migrate')), pg_advisory_lock(hashtextextended('migrate', 0)),
	pg_advisory_lock(0), pg_advisory_lock(1);
END
	[ looker => 'a snapshot and read locks on the books', <<'END' ],
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM migrate.status();
SELECT count(*) FROM migrate.applied;
SELECT count(*) FROM migrate.failures;
END
	[ low => 'an object that depends on the extension (index)', <<'END' ],
CREATE TEMP TABLE t (i int PRIMARY KEY);
ALTER INDEX t_pkey DEPENDS ON EXTENSION migrate;
END
	[ low => 'an object that depends on the extension (function)', <<'END' ],
CREATE FUNCTION own_low.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION own_low.f() DEPENDS ON EXTENSION migrate;
END
	[ low => 'a deferred constraint of a temporary table', <<'END' ],
CREATE TEMP TABLE t (i int UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO t VALUES (1), (1);
END
	[ looker => 'a subscription to the notifications', 'LISTEN migrate;' ],
	[ looker => 'a view of the books', 'CREATE VIEW own_looker.v AS SELECT * FROM migrate.applied;' ],
	[ looker => 'a table of their type', 'CREATE TABLE own_looker.t (a migrate.applied);' ])
{
	my ($role, $name, $sql) = @$case;
	my $session = held_by($role, $db, $sql, $name);

	runs('owner', $db, $name);
	runs('runner', $db, $name);
	ok( ( run('writer', $db,
				$patience . "SELECT migrate.add('zz', 'SELECT 1'), migrate.remove('zz')"))[0]
		  == 0,
		"$name: writing goes on");
	$session->query('ROLLBACK;');
	$session->close;
	run($super, $db, "SELECT migrate.stamp_to('head')");
}

# The same of tables that stay, where one cannot look
allowed('low', $db, <<'END');
CREATE TABLE own_low.deferred (i int UNIQUE DEFERRABLE INITIALLY DEFERRED);
REVOKE ALL ON SCHEMA own_low FROM PUBLIC;
END
runs('runner', $db, 'a deferred constraint in a schema without rights');
{
	my $session = session('low', $db);
	$session->query(
		'CREATE TEMP TABLE t (i int UNIQUE DEFERRABLE INITIALLY DEFERRED);');
	runs('owner', $db, 'a deferred constraint of another session');
	$session->close;
}
allowed('low', $db, 'DROP TABLE own_low.deferred');

# What these roles are refused must not leave a lock either.
foreach my $case (
	[ low => 'DROP EXTENSION migrate' ],
	[ low => 'DROP EXTENSION migrate CASCADE' ],
	[ low => "COMMENT ON EXTENSION migrate IS 'x'" ],
	[ low => 'ALTER EXTENSION migrate UPDATE' ],
	[ low => 'ALTER EXTENSION migrate ADD SCHEMA own_low' ],
	[ runner => 'DROP EXTENSION migrate' ],
	[ looker => 'LOCK TABLE migrate.applied IN ACCESS SHARE MODE' ],
	[ looker => 'LOCK TABLE migrate.applied IN SHARE MODE' ],
	[ looker => 'LOCK TABLE migrate.migration IN ROW EXCLUSIVE MODE' ],
	[ writer => 'LOCK TABLE migrate.migration IN SHARE ROW EXCLUSIVE MODE' ],
	[ runner => 'LOCK TABLE migrate.journal' ],
	[ mender => 'LOCK TABLE migrate.executed_text IN ROW SHARE MODE' ],
	[ owner => 'LOCK TABLE migrate.journal IN SHARE MODE' ],
	[ owner => 'LOCK TABLE migrate.applied IN SHARE ROW EXCLUSIVE MODE' ],
	[ looker => 'SELECT version FROM migrate.migration FOR UPDATE' ],
	[ owner => 'SELECT version FROM migrate.applied FOR KEY SHARE' ],
	[ looker => 'COMMENT ON TABLE migrate.applied IS NULL' ],
	[ looker => 'ALTER TABLE migrate.applied ADD x int' ],
	[ looker => 'DROP TABLE migrate.applied' ],
	[ owner => 'CREATE PUBLICATION p FOR TABLE migrate.applied' ])
{
	my ($role, $sql) = @$case;
	my $session = held_by($role, $db, "SAVEPOINT a;\n$sql;\nROLLBACK TO a;",
		$sql, errors => qr/ERROR:  42501/);

	runs('owner', $db, $sql);
	$session->query('ROLLBACK;');
	$session->close;
}

# ---------------------------------------------------------------------------
# A run keeps its lock, whatever its bodies do
# ---------------------------------------------------------------------------

# A body stops at an advisory lock of the test's until it is let go.
my $gate = 4711;
$db = database('holding');
my $keeper = session($super, $db);

sub run_in_progress
{
	my ($body) = @_;
	my $session = session('owner', $db);

	$version++;
	$keeper->query("SELECT pg_advisory_lock($gate);");
	allowed('owner', $db,
		"SELECT migrate.add('$version', \$b\$$body; SELECT pg_advisory_xact_lock($gate)\$b\$)"
	);
	$session->send('SELECT version FROM migrate.apply();');
	$node->poll_query_until($db,
		"SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
	  or die 'the body does not reach its end';
	return $session;
}

foreach my $body (
	'SELECT 1',
	'SELECT pg_advisory_unlock_all()',
	'DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *',
	'RESET ALL',
	"DO 'BEGIN BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END; END'",
	"DO 'BEGIN BEGIN PERFORM migrate.apply(); EXCEPTION WHEN OTHERS THEN NULL; END; END'",
	"DO 'BEGIN BEGIN DROP EXTENSION migrate; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END; END'")
{
	my $session = run_in_progress($body);

	foreach my $call ('apply()', 'rollback()', "add('zz', 'SELECT 1')",
		"hold('001', 'x')", "stamp('$version')", "unstamp('001')",
		"prune_journal('1 day')", "amend('001', verify => 'SELECT 1')",
		"remove('001')", q{load('{"900_x.sql": "SELECT 1;"}')})
	{
		my ($status, undef, $err) = run('owner', $db,
			"SET migrate.wait_timeout = '100ms';\nSELECT migrate.$call");
		like(
			$err,
			qr/55P03: could not obtain the runner lock/,
			"while a body runs ($body): $call waits");
		last if $body ne 'SELECT 1';
	}
	if ($body eq 'SELECT 1')
	{
		my (undef, undef, $err) = run('owner', $db,
			"SET migrate.wait_timeout = '100ms';\nINSERT INTO migrate.migration (version, up) VALUES ('zz', 'SELECT 1')");
		like($err, qr/55P03/, 'so does a plain INSERT');
		(undef, undef, $err) = run('owner', $db,
			"SET lock_timeout = '100ms';\nDROP EXTENSION migrate");
		like($err, qr/55P03: canceling statement due to lock timeout/,
			'so does DROP EXTENSION');
		is((run('looker', $db, "SET lock_timeout = '100ms';\nSELECT migrate.status()"))[0],
			0, 'looking does not wait');
	}
	$keeper->query("SELECT pg_advisory_unlock($gate);");
	my ($out, $err) = $session->answer;
	is($out, $version, "the run ends ($body)") or diag($err);
	$session->close;
}

# The lock is gone with the transaction, however that ends.
foreach my $case (
	[ 'a roll-back' => "BEGIN;\nSELECT migrate.add('zz', 'SELECT 1');\nROLLBACK;" ],
	[ 'a savepoint' => "BEGIN;\nSAVEPOINT a;\nSELECT migrate.add('zz', 'SELECT 1');\nROLLBACK TO a;" ],
	[ 'an error' => "BEGIN;\nSELECT migrate.add('zz', 'SELECT 1');\nSELECT 1/0;" ],
	[ 'the end of the session' => "BEGIN;\nSELECT migrate.add('zz', 'SELECT 1');\nSELECT pg_terminate_backend(pg_backend_pid());" ])
{
	my $session = session('owner', $db);
	if ($case->[1] =~ /terminate/)
	{
		$session->send($case->[1]);
		eval { $session->close };
	}
	else
	{
		$session->query($case->[1]);
	}
	runs('owner', $db, "after $case->[0]");
	eval { $session->close } if $case->[1] !~ /terminate/;
}

# ---------------------------------------------------------------------------
# Prepared transactions would keep the lock over a restart
# ---------------------------------------------------------------------------

$db = database('prepared');
allowed('owner', $db, "SELECT migrate.add('002', 'SELECT 1', 'SELECT 2')");
foreach my $sql (
	'SELECT migrate.apply()',
	'SET LOCAL migrate.notify = off; SELECT migrate.apply()',
	'SET LOCAL migrate.notify = off; SELECT migrate.rollback()',
	"SELECT migrate.add('003', 'SELECT 1')",
	q{SELECT migrate.load('{"004_x.sql": "SELECT 1;"}')},
	"SELECT migrate.remove('002')",
	"SELECT migrate.hold('002', 'x')",
	"SELECT migrate.stamp('002')",
	"SELECT migrate.unstamp('001')",
	"SELECT migrate.amend('001', verify => 'SELECT 1')",
	"SELECT migrate.prune_journal('1 day')",
	"INSERT INTO migrate.migration (version, up) VALUES ('005', 'SELECT 1')",
	"SAVEPOINT a; SELECT migrate.add('003', 'SELECT 1'); RELEASE a")
{
	refused('owner', $db, "BEGIN; $sql; PREPARE TRANSACTION 'x'",
		qr/0A000: cannot PREPARE a transaction that has (run or changed migrations|executed)/,
		"cannot prepare: $sql");
}
is(value($db, 'count(*) FROM pg_prepared_xacts'), '0', 'nothing is prepared');
my $before = books($db);
allowed('owner', $db,
	"BEGIN; SELECT migrate.status(); SELECT migrate.plan(); PREPARE TRANSACTION 'x'; COMMIT PREPARED 'x'"
);
is(books($db), $before, 'a transaction that has only looked can be prepared');
allowed('owner', $db,
	"BEGIN; SAVEPOINT a; SELECT migrate.add('003', 'SELECT 1'); ROLLBACK TO a; PREPARE TRANSACTION 'x'; COMMIT PREPARED 'x'"
);
is(books($db), $before, 'so can one that has rolled back what it did');

# ---------------------------------------------------------------------------
# Deferred constraints
# ---------------------------------------------------------------------------

# Two tables that refer to one another, filled in the order that only works if
# the constraint is deferred: in the second migration of a run, and in a third.
$db = database('deferred');
my $circle = <<'END';
INSERT INTO own_owner.a VALUES (%d, %d);
INSERT INTO own_owner.b VALUES (%d, %d);
END
allowed('owner', $db,
	    "SELECT migrate.add('002', 'CREATE TABLE own_owner.a (id int PRIMARY KEY, b int);"
	  . ' CREATE TABLE own_owner.b (id int PRIMARY KEY, a int REFERENCES own_owner.a DEFERRABLE INITIALLY DEFERRED);'
	  . " ALTER TABLE own_owner.a ADD FOREIGN KEY (b) REFERENCES own_owner.b DEFERRABLE INITIALLY DEFERRED');"
	  . join('', map { "SELECT migrate.add('$_', '" . sprintf($circle, ($_) x 4) . "');" } qw(003 004)));
{
	my ($status, undef, $err) = run('owner', $db, 'SELECT migrate.apply()');
	is($status, 0, 'deferred constraints are deferred in every body') or diag($err);
}
allowed('owner', $db, "SELECT migrate.add('005', 'INSERT INTO own_owner.a VALUES (5, 99)'), migrate.add('006', 'SELECT 1')");
{
	my ($status, undef, $err) = run('owner', $db, 'SELECT migrate.apply()');
	like($err, qr/23503: .*\n(.*\n)*CONTEXT: .*migration "005"|23503/,
		'a violation is found');
	is( value(
			$db,
			"string_agg(version, ' ') FROM migrate.journal WHERE outcome = 'failure'"),
		'005',
		'and is that of the migration that caused it');
}
allowed('owner', $db, "SELECT migrate.remove('005')");
{
	# the caller's own transaction
	my $session = session('owner', $db);
	my ($out, $err) = $session->query(<<'END');
BEGIN;
SELECT version FROM migrate.apply();
INSERT INTO own_owner.a VALUES (7, 7);
INSERT INTO own_owner.b VALUES (7, 7);
COMMIT;
SELECT count(*) FROM own_owner.b WHERE id = 7;
END
	is($out, "006\n1", 'and for the caller after the run') or diag($err);
	$session->close;
}

# ---------------------------------------------------------------------------
# A failure is recorded while the caller's transaction is open
# ---------------------------------------------------------------------------

$db = database('recording');
foreach my $case (
	[ 'add and apply' => "SELECT migrate.add('002', 'SELECT 1/0');", '002' ],
	[ 'apply, roll back, apply' => "SELECT migrate.add('003', 'SELECT 1', 'SELECT 1'); SELECT migrate.apply(); SELECT migrate.rollback(); SELECT migrate.remove('003'); SELECT migrate.add('003', 'SELECT 1/0');", '003' ],
	[ 'a text that the caller has stored and not committed' => "SELECT migrate.add('004', 'SELECT 1'); SELECT migrate.apply(); SELECT migrate.add('005', 'SELECT 1/0');", '005' ],
	[ 'locks on the books' => "SELECT migrate.add('006', 'SELECT 1/0'); LOCK TABLE migrate.journal, migrate.executed_text IN ROW EXCLUSIVE MODE;", '006' ])
{
	my ($name, $sql, $failing) = @$case;
	my $session = session('owner', $db);
	my $started;
	my ($out, $err) = $session->query("BEGIN;\n$sql");

	unlike($err, qr/ERROR/, "$name: in one transaction");
	$started = time;
	($out, $err) = $session->query('SELECT migrate.apply();');
	like($err, qr/22012/, "$name: the error is the body's");
	unlike($err, qr/WARNING/, "$name: it was recorded");
	cmp_ok(time - $started, '<', 2, "$name: without waiting for the caller");
	is( value(
			$db,
			"count(*) FROM migrate.journal WHERE version = '$failing' AND outcome = 'failure'"
		),
		'1',
		"$name: others see it before the caller ends");
	is( value(
			$db,
			"count(*) FROM migrate.journal j JOIN migrate.executed_text b ON b.body_hash = j.body_hash WHERE j.version = '$failing' AND j.outcome = 'failure'"
		),
		'1',
		"$name: with its text");
	$session->query('ROLLBACK;');
	$session->close;
	is( value(
			$db,
			"count(*) FROM migrate.journal WHERE version = '$failing' AND outcome = 'failure'"
		),
		'1',
		"$name: and after he rolls back");
}

# Others cannot stop the recording with what they may lock.
{
	my $session = held_by('owner', $db,
		'LOCK TABLE migrate.journal IN ROW EXCLUSIVE MODE; LOCK TABLE migrate.policy IN ROW EXCLUSIVE MODE;',
		'the strongest locks of the owner');
	allowed('owner', $db, "SELECT migrate.add('010', 'SELECT 1/0')");
	run('owner', $db, 'SELECT migrate.apply()');
	is( value(
			$db,
			"count(*) FROM migrate.journal WHERE version = '010' AND outcome = 'failure'"
		),
		'1',
		'a failure is recorded beside them');
	$session->close;
}

$keeper->close;
stop_server();
done_testing();
