# BEGIN and COMMIT in a body that runs in several transactions: what is between
# them is one transaction, as it is in psql, and is not done half.
#
# Needs other sessions at certain moments, and sessions that are ended.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'groups';

$node->init;
$node->append_conf('postgresql.conf', q{
autovacuum = off
migrate.failure_quiet = 0
});
$node->start;
owner_database($node, $db);
query($node, $db, 'app', q{
	CREATE TABLE account (id int PRIMARY KEY, amount int CHECK (amount >= 0));
	CREATE TABLE seen (what text, value text);
	CREATE TABLE parent (id int PRIMARY KEY);
	CREATE TABLE child (id int REFERENCES parent DEFERRABLE)});

# Begin with nothing stored.
sub clean
{
	$node->safe_psql($db, q{
		DELETE FROM migrate.step; DELETE FROM migrate.applied;
		DELETE FROM migrate.migration});
	return;
}

# Begin with nothing stored but these texts.
sub store
{
	my ($up, %more) = @_;
	my $arguments = join '', map { ", $_ => $more{$_}" } sort keys %more;

	clean();
	query($node, $db, 'app', q{
		TRUNCATE account, seen, parent, child;
		INSERT INTO account VALUES (1, 100), (2, 100)});
	query($node, $db, 'app', 'SELECT migrate.add(\'1\', ' . quote($up) . "$arguments)");
	return;
}

sub fails_with
{
	my ($call, $state, $name) = @_;
	my ($status, $out, $err) = run_sql($node, $db, 'app', $call);

	like($err, qr/ERROR:  $state:/, $name);
	return $err;
}

sub amounts
{
	return query($node, $db, 'app', 'SELECT string_agg(amount::text, \' \' ORDER BY id) FROM account');
}

sub seen
{
	return query($node, $db, 'app',
		q{SELECT string_agg(concat_ws(' ', what, value), ', ' ORDER BY what) FROM seen});
}

my $each = 'CALL migrate.apply_each()';
my %off = (transactional => 'false');
my $transfer = q{UPDATE account SET amount = amount + 150 WHERE id = 1;
	UPDATE account SET amount = amount - 150 WHERE id = 2;};

# ---------------------------------------------------------------------------
# All or nothing
# ---------------------------------------------------------------------------

foreach my $case (
	[ 'BEGIN', 'COMMIT' ], [ 'START TRANSACTION', 'COMMIT WORK' ],
	[ 'BEGIN TRANSACTION', 'END' ], [ 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'COMMIT' ],
	[ 'BEGIN', 'COMMIT AND CHAIN; SELECT 1; COMMIT' ])
{
	my ($begin, $commit) = @$case;

	foreach my $text ("$begin; $transfer $commit", "SELECT 1; $begin; $transfer $commit; SELECT 2")
	{
		store($text, %off);
		my $err = fails_with($each, '23514', "$begin ... $commit fails");
		is(amounts(), '100 100', 'and nothing of it stays');
		like($err, qr/HINT:  .*(?:None of its statements is|The first of its statements is) committed/,
			'which the hint says');
		$node->safe_psql($db, 'UPDATE account SET amount = 200 WHERE id = 2');
		query($node, $db, 'app', $each);
		is(amounts(), '250 50', 'the next call does all of it, once');
	}
}

# beside a statement that cannot be in one, without a mark, and on the way back
store("BEGIN; $transfer COMMIT; VACUUM account",
	down => quote("VACUUM account; BEGIN; $transfer COMMIT"));
fails_with($each, '23514', 'beside VACUUM');
is(amounts(), '100 100', 'nothing of it stays');
$node->safe_psql($db, 'UPDATE account SET amount = 350 WHERE id = 2');
query($node, $db, 'app', $each);
is(amounts(), '250 200', 'then it is applied');
$node->safe_psql($db, 'UPDATE account SET amount = 100 WHERE id = 2');
fails_with('CALL migrate.rollback_each()', '23514', 'a roll-back that fails');
is(amounts(), '250 100', 'is not done half');
$node->safe_psql($db, 'UPDATE account SET amount = 200 WHERE id = 2');
query($node, $db, 'app', 'CALL migrate.rollback_each()');
is(amounts(), '400 50', 'and rolled back');

# in the background
store("BEGIN; $transfer COMMIT", %off);
my $run = query($node, $db, 'app', 'SELECT migrate.start()');
fails_with("CALL migrate.wait($run)", '23514', 'in the background');
is(amounts(), '100 100', 'nothing of it stays');

# ---------------------------------------------------------------------------
# As it is written
# ---------------------------------------------------------------------------

my $look = q{INSERT INTO seen SELECT '%s', current_setting('transaction_isolation')
	|| ' ' || current_setting('work_mem');};

sub look
{
	my ($what) = @_;
	return sprintf $look, $what;
}

store(<<"END", %off);
SET LOCAL work_mem = '11MB';
${\look('a')}
BEGIN ISOLATION LEVEL SERIALIZABLE;
SET LOCAL work_mem = '12MB';
LOCK TABLE account IN SHARE MODE;
${\look('b')}
COMMIT;
${\look('c')}
BEGIN;
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
SET work_mem = '13MB';
${\look('d')}
COMMIT AND CHAIN;
${\look('e')}
COMMIT;
${\look('f')}
BEGIN;
SAVEPOINT s;
${\look('g')}
ROLLBACK TO SAVEPOINT s;
${\look('h')}
RELEASE s;
SAVEPOINT t;
${\look('i')}
END;
END
my ($status, $out, $err) = run_sql($node, $db, 'app', "SET work_mem = '4MB'; $each; SHOW work_mem");
is($status, 0, 'settings, levels and savepoints work') or diag $err;
is($out =~ /(\S+)\z/ ? $1 : '', '4MB', 'the session keeps its setting');
is( seen(),
	join(', ',
		'a read committed 4MB', 'b serializable 12MB',
		'c read committed 4MB', 'd repeatable read 13MB',
		'e repeatable read 13MB', 'f read committed 13MB',
		'h read committed 13MB', 'i read committed 13MB'),
	'as in psql');

# the snapshot is taken after the lock, as the body wants it
store(<<'END', %off);
BEGIN ISOLATION LEVEL REPEATABLE READ;
LOCK TABLE account IN EXCLUSIVE MODE;
INSERT INTO seen SELECT 'amount', amount FROM account WHERE id = 1;
COMMIT
END
my $other = session($node, $db, 'app');
my $runner = session($node, $db, 'app');
ask($other, 'BEGIN; UPDATE account SET amount = 77 WHERE id = 1');
ask($runner, 'SET lock_timeout = 0');
ask($runner, 'SET migrate.lock_timeout = 0');
ask_start($runner, $each);
is_waiting($node, pid_of_runner()) or die 'the run does not wait';
ask($other, 'COMMIT');
(undef, $err) = ask_wait($runner);
unlike($err, qr/ERROR/, 'a lock before the first snapshot');
is(seen(), 'amount 77', 'is one before what is read');

# deferred constraints are checked at COMMIT, and not before
my $deferred = q{SET CONSTRAINTS ALL DEFERRED; INSERT INTO child VALUES (1);};
store("BEGIN; $deferred INSERT INTO parent VALUES (1); COMMIT", %off);
query($node, $db, 'app', $each);
is(query($node, $db, 'app', 'SELECT count(*) FROM child'), '1', 'a constraint that is deferred');
store("SELECT 1; BEGIN; $deferred COMMIT; SELECT 2", %off);
$err = fails_with($each, '23503', 'and that is violated');
is(query($node, $db, 'app', 'SELECT count(*) FROM child'), '0', 'nothing of it stays');
like($err, qr/CONTEXT:  .*migration "1"/, 'the error names the migration');
query($node, $db, 'app', 'INSERT INTO parent VALUES (1)');
query($node, $db, 'app', $each);
is(query($node, $db, 'app', 'SELECT count(*) FROM child'), '1', 'and is done when it can');

# an error below a savepoint, and a session that goes on
store('BEGIN; SAVEPOINT a; SAVEPOINT b; SELECT 1/0; COMMIT', %off);
($out, $err) = ask($runner, $each);
like($err, qr/ERROR:  22012/, 'an error below savepoints');
like($err, qr/statement 3/, 'is at its statement');
is(ask($runner, 'SELECT pg_backend_pid() > 0, now() = statement_timestamp()'),
	't|t', 'the session is in no transaction');
is(query($node, $db, 'app', 'SELECT count(*) FROM migrate.run WHERE outcome IS NULL'),
	'0', 'and the run has ended');

# ---------------------------------------------------------------------------
# Cut off
# ---------------------------------------------------------------------------

sub pid_of_runner
{
	return query($node, $db, $superuser,
		q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL migrate.apply_each%' AND state = 'active'});
}

foreach my $how ('pg_cancel_backend', 'pg_terminate_backend')
{
	my $session = session($node, $db, 'app');

	store("INSERT INTO seen VALUES ('a'); BEGIN; INSERT INTO seen VALUES ('b');"
		  . " SELECT pg_advisory_xact_lock(5); INSERT INTO seen VALUES ('c'); COMMIT AND CHAIN;"
		  . " INSERT INTO seen VALUES ('d'); COMMIT", %off);
	ask($other, 'SELECT pg_advisory_lock(5)');
	ask($session, 'SET migrate.lock_timeout = 0');
	my $pid = pid_of($session);
	ask_start($session, $each);
	is_waiting($node, $pid) or die 'the run does not wait';
	$node->safe_psql('postgres', "SELECT $how($pid)");
	ask_wait($session);
	ask($other, 'SELECT pg_advisory_unlock(5)');
	is(seen(), 'a', "$how: the block is not done");
	is(query($node, $db, 'app', 'SELECT state FROM migrate.status()'),
		$how =~ /cancel/ ? 'partial' : 'partial', 'the migration is, in part');
	query($node, $db, 'app', $each);
	is(seen(), 'a, b, c, d', 'the next call does it once');
}

# at a block that a chain begins, the next call begins it in the same way
store('BEGIN ISOLATION LEVEL SERIALIZABLE; COMMIT AND CHAIN; SELECT 1; SET TRANSACTION NOT DEFERRABLE;'
	  . ' COMMIT AND CHAIN; ' . look('x') . ' SELECT 1/count(*) FROM parent; COMMIT', %off);
fails_with($each, '25001|22012', 'the second block of a chain fails');
store('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT AND CHAIN; '
	  . look('x') . ' SELECT 1/count(*) FROM parent; COMMIT', %off);
fails_with($each, '22012', 'the second block of a chain fails');
query($node, $db, 'app', 'INSERT INTO parent VALUES (1)');
query($node, $db, 'app', $each);
like(seen(), qr/^x serializable/, 'and has its isolation level later');

# ---------------------------------------------------------------------------
# What cannot be kept
# ---------------------------------------------------------------------------

foreach my $case (
	[ 'ROLLBACK of a block', 'BEGIN; SELECT 1; ROLLBACK' ],
	[ 'ROLLBACK AND CHAIN', 'BEGIN; SELECT 1; ROLLBACK AND CHAIN; COMMIT' ],
	[ 'PREPARE TRANSACTION', q{BEGIN; SELECT 1; PREPARE TRANSACTION 'x'} ],
	[ 'BEGIN in a block', 'BEGIN; SELECT 1; BEGIN; COMMIT' ],
	[ 'BEGIN without COMMIT', 'BEGIN; SELECT 1' ],
	[ 'COMMIT without BEGIN', 'SELECT 1; COMMIT' ],
	[ 'COMMIT AND CHAIN without COMMIT', 'BEGIN; SELECT 1; COMMIT AND CHAIN; SELECT 1' ],
	[ 'a SAVEPOINT outside', 'SAVEPOINT s' ],
	[ 'a build in a block', 'BEGIN; CREATE INDEX CONCURRENTLY ON account (amount); COMMIT' ],
	[ 'VACUUM in a block', 'BEGIN; VACUUM account; COMMIT' ],
	[ 'COMMIT PREPARED in a block', q{BEGIN; COMMIT PREPARED 'x'; COMMIT} ],
	[ 'a READ ONLY block', 'BEGIN READ ONLY; SELECT 1; COMMIT' ],
	[ 'one that becomes READ ONLY', 'BEGIN; SET TRANSACTION READ ONLY; SELECT 1; COMMIT' ])
{
	my ($name, $text) = @$case;

	foreach my $more ('transactional => false', 'transactional => NULL')
	{
		my $body = $more =~ /false/ ? $text : "$text; VACUUM account";

		clean();
		fails_with('SELECT migrate.add(\'1\', ' . quote($body) . ", $more)", 'MG009',
			"$name is refused");
		fails_with('SELECT migrate.add(\'1\', \'\', ' . quote("$text; VACUUM account") . ')',
			'MG009', 'in a down body');
	}
	fails_with("INSERT INTO migrate.migration (version, up, transactional) VALUES ('1', "
		  . quote($text) . ', false)', 'MG009', 'by the trigger');
}

# in one transaction
foreach my $case (
	[ 'a chain', 'BEGIN; COMMIT AND CHAIN; COMMIT' ],
	[ 'a SAVEPOINT', 'BEGIN; SAVEPOINT s; COMMIT' ],
	[ 'a lone COMMIT', 'SELECT 1; COMMIT' ])
{
	fails_with('SELECT migrate.add(\'1\', ' . quote($case->[1]) . ')', 'MG009',
		"$case->[0] is refused in one transaction");
}
store('BEGIN; INSERT INTO seen VALUES (1); COMMIT; BEGIN; INSERT INTO seen VALUES (2); COMMIT');
fails_with('SELECT migrate.apply()', 'MG008', 'two blocks are no one transaction');
query($node, $db, 'app', 'CALL migrate.apply_each()');
is(seen(), '1, 2', 'and run as two');
store('BEGIN; INSERT INTO seen VALUES (1); COMMIT');
query($node, $db, 'app', 'SELECT migrate.apply()');
is(seen(), '1', 'a pair around all of it is taken off');
store('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT 1');
$err = fails_with('SELECT migrate.apply()', '25001', 'SET TRANSACTION comes too late there');
like($err, qr/HINT: .*write BEGIN and COMMIT around/, 'and the hint does not weaken it');

# A block that says what kind of transaction it is needs no mark, which most
# conventions do not have.
my $level = q{INSERT INTO seen VALUES (current_setting('transaction_isolation'))};
foreach my $block (
	"BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; $level; COMMIT;",
	"begin isolation level serializable; $level; end",
	"START TRANSACTION ISOLATION LEVEL SERIALIZABLE; $level; COMMIT",
	"BEGIN; SET LOCAL transaction_isolation = 'serializable'; $level; COMMIT")
{
	my $is_moded = qr/BEGIN with (?:SET TRANSACTION|an isolation level)/;

	clean();
	query($node, $db, 'app', 'TRUNCATE seen; SELECT migrate.load(jsonb_build_object(\'1_a.up.sql\', '
		  . quote($block) . ', \'1_a.down.sql\', ' . quote($block) . '))');
	is(query($node, $db, 'app', 'SELECT own_transaction FROM migrate.plan()'), 't', "the plan of $block");
	$err = fails_with('SELECT migrate.apply()', 'MG008', 'not in the transaction of apply()');
	like($err, $is_moded, 'and it says why');
	is(seen(), '', 'nothing has run');
	query($node, $db, 'app', 'CALL migrate.apply_each()');
	is(seen(), 'serializable', 'as it is written, up');
	$err = fails_with('SELECT migrate.rollback()', 'MG008', 'not in that of rollback()');
	like($err, $is_moded, 'and it says why');
	query($node, $db, 'app', 'CALL migrate.rollback_each()');
	is(seen(), 'serializable, serializable', 'and down');
	next unless $block =~ /START/;
	query($node, $db, 'app', "TRUNCATE seen; SELECT migrate.start() \\gset\nCALL migrate.wait(:start)");
	is(seen(), 'serializable', 'in the background');
}
store("BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; $level; COMMIT; $level");
query($node, $db, 'app', 'CALL migrate.apply_each()');
is(seen(), 'read committed, serializable', 'beside other statements');
is(query($node, $db, 'app',
		q{SELECT count(*) FROM migrate.script() s WHERE s LIKE '%apply\_each%'}) > 0, 1,
	'a script applies it in the same way');

# a rehearsal leaves out what it cannot do
store('BEGIN; SAVEPOINT s; INSERT INTO seen VALUES (1); COMMIT', %off);
is(query($node, $db, 'app',
		q{SELECT string_agg(coalesce(skipped, tag), ', ' ORDER BY statement) FROM migrate.rehearse() WHERE statement IS NOT NULL}),
	'SAVEPOINT has no meaning without its transaction, INSERT', 'a rehearsal');

# ---------------------------------------------------------------------------
# Transactions that become READ ONLY
# ---------------------------------------------------------------------------

# What bodies make of a transaction holds for them, and not for what is written
# about them.
query($node, $db, 'app', q{
	CREATE FUNCTION read_only() RETURNS void LANGUAGE plpgsql AS
		'BEGIN SET TRANSACTION READ ONLY; END';
	CREATE PROCEDURE reads_between() LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO seen VALUES ('first');
		COMMIT;
		SET TRANSACTION READ ONLY;
		PERFORM count(*) FROM seen;
		COMMIT;
		INSERT INTO seen VALUES ('second');
	END $$;
	CREATE PROCEDURE reads_last() LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO seen VALUES ('first');
		COMMIT;
		SET TRANSACTION READ ONLY;
		PERFORM count(*) FROM seen;
	END $$;
	CREATE PROCEDURE fails_reading() LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO seen VALUES ('first');
		SET TRANSACTION READ ONLY;
		COMMIT;
		PERFORM 1 / count(*) FROM parent;
	END $$});
my $off_and_on = q{SET default_transaction_read_only = on; VACUUM seen; SELECT 1;
	SET default_transaction_read_only = off; VACUUM seen; INSERT INTO seen VALUES ('last')};
foreach my $case (
	[ 'a procedure', 'CALL reads_between()', 'first, second', %off ],
	[ 'the end of a procedure', 'CALL reads_last()', 'first', %off ],
	[ 'a block', 'BEGIN; SELECT read_only(); COMMIT', '', %off ],
	[ 'a group', q{INSERT INTO seen VALUES ('group'); SELECT read_only(); VACUUM seen}, 'group' ],
	[ 'a statement', 'SELECT read_only()', '', %off ],
	[ 'one transaction', 'SELECT read_only()', '' ],
	[ 'a verify body', 'VACUUM seen', '', verify => quote('SELECT read_only()') ],
	[ 'the session', $off_and_on, 'last' ],
	[ 'the session, statement by statement', $off_and_on, 'last', %off ],
	map {
		[ "the session, until $_",
			"SET default_transaction_read_only = on; VACUUM seen; SELECT 1; $_; INSERT INTO seen VALUES ('last')", 'last' ]
	} 'RESET default_transaction_read_only', 'RESET ALL', 'SET default_transaction_read_only = off',
	'SET Default_Transaction_Read_Only TO DEFAULT', 'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE')
{
	my ($name, $text, $expected, %more) = @$case;

	store($text, %more);
	query($node, $db, 'app', $each);
	is(seen(), $expected, "READ ONLY in $name");
	is(query($node, $db, 'app', q{SELECT string_agg(state, ' ') FROM migrate.status()}),
		'applied', 'and it is applied');
}

# commits are counted there too
store('CALL fails_reading()', %off);
fails_with($each, '22012', 'a procedure that fails after it has committed');
is($node->safe_psql($db, 'SELECT commits FROM migrate.step'), '1', 'in a transaction that had become READ ONLY');

# and it does hold for them
store(q{SET default_transaction_read_only = on; VACUUM seen; INSERT INTO seen VALUES (1)});
fails_with($each, '25006', 'a body cannot write where it has said so');
is(query($node, $db, 'app', 'SHOW default_transaction_read_only'), 'off', 'which is not for the session');
store(q{VACUUM seen; SELECT 1; SET default_transaction_read_only = on; INSERT INTO seen VALUES (1)});
fails_with($each, '25006', 'nor after that in what would be the same step');
fails_with("SET default_transaction_read_only = on; $each", '25006', 'nor can a run where the session says so');

# ---------------------------------------------------------------------------
# Procedures in down bodies
# ---------------------------------------------------------------------------

# What a marked migration may do up, it may do down.
query($node, $db, 'app', q{
	CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO seen VALUES ('one');
		COMMIT;
		INSERT INTO seen VALUES ('two');
	END $$});
foreach my $case (
	[ 'CALL', 'CALL commits()' ],
	[ 'DO', q{DO 'BEGIN CALL commits(); END'} ],
	[ 'CALL between others', q{INSERT INTO seen VALUES ('a'); CALL commits(); INSERT INTO seen VALUES ('z')} ],
	[ 'CALL after VACUUM', 'VACUUM seen; CALL commits()' ])
{
	my ($name, $down) = @$case;

	store('SELECT 1', %off, down => quote($down));
	query($node, $db, 'app', $each);
	query($node, $db, 'app', 'CALL migrate.rollback_each()');
	like(seen(), qr/one.*two/, "a down body that commits in $name");
	is(query($node, $db, 'app', q{SELECT string_agg(state, ' ') FROM migrate.status()}),
		'pending', 'and it is undone');
}
# one that does not commit is undone in one transaction as well
store('SELECT 1', %off, down => quote(q{DO 'BEGIN INSERT INTO seen VALUES (1); END'}));
query($node, $db, 'app', $each);
query($node, $db, 'app', 'SELECT * FROM migrate.rollback()');
is(seen(), '1', 'rollback() needs no mark');

# ---------------------------------------------------------------------------
# Many steps
# ---------------------------------------------------------------------------

# Each step looks at its own row, and not at those of the steps before.
store(join(';', map { 'SELECT 1' } 1 .. 1000), %off);
$node->safe_psql($db, 'SELECT pg_stat_reset()');
query($node, $db, 'app', $each);
cmp_ok(
	$node->safe_psql($db, q{
		SELECT pg_stat_force_next_flush();
		SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_all_tables
		WHERE relid = 'migrate.step'::regclass}) =~ /(\d+)/ ? $1 : -1,
	'<', 20000, 'rows that 1,000 steps read');

done_testing();
