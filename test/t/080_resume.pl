# Migrations that run in several transactions, cut off or failed in the middle:
# what is left of the attempt, that the next call goes on exactly there, and
# that nothing is dropped, repeated or passed over that is not its own.
#
# Needs sessions that hold a build up while it is canceled or terminated.

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
max_prepared_transactions = 5
# nobody waits ten minutes for somebody who has gone wrong
migrate.wait_timeout = 1min
# each attempt is looked at
migrate.lock_retries = 0
migrate.lock_timeout = 0
migrate.failure_quiet = 0
migrate.progress_notices = off
});
$node->start;

# ---------------------------------------------------------------------------
# Helpers
# ---------------------------------------------------------------------------

my $db = 'resume';

# A fresh database of the role app's.
sub fresh
{
	my ($sql) = @_;
	owner_database($node, $db);
	app($sql) if defined $sql;
	return;
}

# Run SQL as app; dies if it fails.
sub app
{
	my ($sql) = @_;
	return query($node, $db, 'app', $sql);
}

# The same as superuser.
sub super
{
	my ($sql) = @_;
	return query($node, $db, $superuser, $sql);
}

# Store a migration; more arguments of add() go along as they are.
sub add
{
	my ($version, $up, @more) = @_;
	app('SELECT migrate.add('
		  . join(', ', quote($version), 'up => ' . quote($up), @more) . ')');
	return;
}

my $each = 'CALL migrate.apply_each()';

sub fails
{
	my ($name, $pattern, $call, $role) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) =
	  run_sql($node, $db, $role // 'app', $call // $each);

	like($err, $pattern, $name);
	return $err;
}

sub works
{
	my ($name, $call, $role) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) =
	  run_sql($node, $db, $role // 'app', $call // $each);

	is($status, 0, $name) or diag($err);
	return $err;
}

# The state of each migration, and how far the ones in steps have come: a
# statement number for what is finished, with a question mark what was started.
sub states
{
	return app(
		q{SELECT concat_ws(' ', version, state, (SELECT
				string_agg(last_statement || CASE WHEN finished_at IS NULL
					THEN '?' ELSE '' END, ',' ORDER BY statement)
				FROM migrate.step s WHERE s.version = t.version))
			FROM migrate.status() t});
}

# The indexes of some tables; those that are not valid with a question mark.
sub indexes
{
	my ($tables) = @_;
	return super(
		qq{SELECT coalesce(string_agg(indexrelid::regclass
				|| CASE WHEN indisvalid THEN '' ELSE '?' END, ' '
				ORDER BY indexrelid::regclass::text), '')
			FROM pg_index WHERE indrelid::regclass::text = ANY ('{$tables}')});
}

# Open a transaction that has done something and stays open.
sub blocker
{
	my ($sql) = @_;
	my $session = session($node, $db);

	ask($session, "BEGIN; $sql");
	return $session;
}

# Start a call in a session of its own, wait until it waits for a lock; returns
# the session and its process.
sub start_and_block
{
	my ($sql, $role) = @_;
	my $session = session($node, $db, $role // 'app');
	my $pid = pid_of($session);

	ask_start($session, $sql);
	is_waiting($node, $pid) or die "$sql does not wait";
	return ($session, $pid);
}

# Run SQL against a transaction that holds it up, and end it there: with
# pg_cancel_backend or pg_terminate_backend.
sub cut_off
{
	my ($how, $blocker_sql, $sql, $role) = @_;
	my $blocker = blocker($blocker_sql);
	my ($session, $pid) = start_and_block($sql // $each, $role);

	super("SELECT $how($pid)");
	my (undef, $err) = ask_wait($session);
	die "not cut off: $err" if $err !~ /ERROR:  57014|FATAL:  57P01/;
	$blocker->quit;
	$session->quit if $session->{run}->pumpable;
	$node->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)")
	  or die 'a session does not end';
	return $err;
}

# What must hold after each story.
sub sound
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is(locks_left($node, $db), '', "$name: no lock is left");
	is( super(q{SELECT count(*) FROM migrate.run WHERE outcome IS NULL}),
		'0', "$name: no run is open");
	is( super(
			q{SELECT count(*) FROM migrate.applied a FULL JOIN
				(SELECT DISTINCT ON (version) version, action
					FROM migrate.journal WHERE outcome = 'success'
						AND action IN ('apply', 'rollback')
					ORDER BY version, run DESC, seq DESC) j USING (version)
				WHERE (a.version IS NULL) <> (j.action = 'rollback')}),
		'0', "$name: ledger and journal agree");
	return;
}

my $err;

# ---------------------------------------------------------------------------
# CREATE INDEX CONCURRENTLY
# ---------------------------------------------------------------------------

# indexes that are not valid and none of ours: on the same table, and of the
# same name on another one
fresh(
	q{CREATE TABLE doubled (id int, n int);
	INSERT INTO doubled SELECT i, i / 2 FROM generate_series(1, 10) i;
	CREATE SCHEMA s;
	CREATE TABLE s.other (n int);
	INSERT INTO s.other VALUES (1), (1)});
run_sql($node, $db, 'app',
	'CREATE UNIQUE INDEX CONCURRENTLY old_idx ON doubled (n)');
run_sql($node, $db, 'app',
	'CREATE UNIQUE INDEX CONCURRENTLY doubled_n_idx ON s.other (n)');
my $others = 's.doubled_n_idx?';
my $was_there = 'old_idx?';
my $oids =
  q{SELECT string_agg(oid::text, ' ' ORDER BY oid) FROM pg_class
	WHERE relname = 'old_idx' OR relnamespace = 's'::regnamespace};
my $oids_before = super($oids);
is(indexes('doubled,s.other'), "$was_there $others",
	'index: two are there already that are not valid');

add('1', 'CREATE UNIQUE INDEX CONCURRENTLY doubled_n_idx ON doubled (n)');
$err = fails('index: the build fails',
	qr/ERROR:  23505: could not create unique index "doubled_n_idx"/);
like($err, qr/CONTEXT:  migration "1", up body, statement 1, line 1/,
	'index: the error says where');
like($err, qr/None of its statements is committed/,
	'index: and what the next call does');
is(states(), '1 partial 1?', 'index: the migration is partly applied');
is( app(q{SELECT state, error IS NOT NULL FROM migrate.status()}),
	'partial|t', 'index: the error is in status()');
is(indexes('doubled'), "doubled_n_idx? $was_there", 'index: it has left one');

# the same failure again: the leftover is dropped, and another one made
$err = fails('index: it fails again', qr/ERROR:  23505/);
like($err, qr/NOTICE: .*dropped invalid index public.doubled_n_idx\b/,
	'index: what the first attempt had left was dropped');
is(indexes('doubled,s.other'), "doubled_n_idx? $was_there $others",
	'index: there is one again, and the others');

# a colleague clears up and builds an index of that very name, at this moment
app('DROP INDEX doubled_n_idx');
my $blocker = blocker('INSERT INTO doubled VALUES (11, 11)');
my ($colleague) =
  start_and_block('CREATE INDEX CONCURRENTLY doubled_n_idx ON doubled (n)');
is(indexes('doubled'), "doubled_n_idx? $was_there",
	'colleague: it looks just like ours');
$err = fails('colleague: we keep away from it',
	qr/ERROR:  55P03: cannot drop invalid index public.doubled_n_idx, which an earlier attempt has left/);
like($err, qr/may be building an index/, 'colleague: and say why');
$blocker->quit;
(undef, $err) = ask_wait($colleague);
unlike($err, qr/ERROR/, 'colleague: his build comes to its end');
$colleague->quit;
is(indexes('doubled'), "doubled_n_idx $was_there", 'colleague: with a valid index');
fails('colleague: the name is taken', qr/ERROR:  42P07/);
is(indexes('doubled'), "doubled_n_idx $was_there",
	'colleague: a valid index is not dropped');

# another one is built while there is a leftover of ours
app('DROP INDEX doubled_n_idx');
fails('colleague: another leftover', qr/ERROR:  23505/);
$blocker = blocker('INSERT INTO doubled VALUES (12, 12)');
($colleague) =
  start_and_block('CREATE INDEX CONCURRENTLY colleagues ON doubled (id)');
fails('colleague: ours stays while he builds', qr/ERROR:  55P03: cannot drop/);
$blocker->quit;
(undef, $err) = ask_wait($colleague);
unlike($err, qr/ERROR/, 'colleague: that build comes to its end too');
$colleague->quit;
is(indexes('doubled'), "colleagues doubled_n_idx? $was_there",
	'colleague: both are there');

app('DELETE FROM doubled WHERE id % 2 = 0');
$err = works('index: it works when the cause is gone');
like($err, qr/NOTICE: .*dropped invalid index public.doubled_n_idx\b/,
	'index: what the last attempt had left was dropped');
is(states(), '1 applied', 'index: applied');
is(indexes('doubled,s.other'), "colleagues doubled_n_idx $was_there $others",
	'index: it is valid, and there are no others');
is(super($oids), $oids_before, 'index: those of before are the same ones');
is( app(q{SELECT count(*) FILTER (WHERE outcome = 'success'), count(*) > 4
		FROM migrate.journal}),
	'1|t', 'index: the journal has the failures and one success');
sound('index');

# cut off by a cancel and by the end of the session, without a name
foreach my $how ('pg_cancel_backend', 'pg_terminate_backend')
{
	fresh('CREATE TABLE t (id int)');
	add('1', 'CREATE INDEX CONCURRENTLY ON t (id); CREATE TABLE after (id int)');
	cut_off($how, 'INSERT INTO t VALUES (1)') foreach 1 .. 2;
	is(indexes('t'), 't_id_idx?', "$how twice: one index is left");
	is(states(), '1 partial 1?', "$how: partly applied");
	works("$how: the next call goes on");
	is(indexes('t'), 't_id_idx', "$how: there is one index, and it is valid");
	is(states(), '1 applied', "$how: applied");
	sound($how);
}
is( app(q{SELECT action, version, sqlstate FROM migrate.failures}),
	"apply|1|57P02\napply|1|57P02",
	'the journal says that sessions have ended before their run did');

# what somebody else has left meanwhile, and names that the server makes
fresh(
	q{CREATE TABLE t (a int, "B b" int, c int);
	INSERT INTO t VALUES (1, 1, 1), (1, 1, 1)});
add('1', q{CREATE INDEX CONCURRENTLY ON t (a, (c + 1), "B b" DESC, (c + 2)) INCLUDE (c)});
cut_off('pg_terminate_backend', 'INSERT INTO t VALUES (1, 1, 1)');
my $made_name = q{"t_a_expr_B b_expr1_c_idx"};
is(indexes('t'), "$made_name?", 'names: it has got one');
run_sql($node, $db, 'app', "CREATE UNIQUE INDEX CONCURRENTLY $_")
  foreach 'his_idx ON t (a)', 'ON t (c)';
is(indexes('t'), "$made_name? his_idx? t_c_idx?", 'names: others have failed too');
works('names: the next call goes on');
is(indexes('t'), "$made_name his_idx? t_c_idx?",
	'names: has dropped its own and no other');
sound('names');

# a build of its partitions, one of which has a leftover
fresh(
	q{CREATE TABLE parted (n int) PARTITION BY LIST (n);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
	CREATE INDEX parted_idx ON ONLY parted (n)});
add('1', 'CREATE INDEX CONCURRENTLY parted_1_idx ON parted_1 (n);
	ALTER INDEX parted_idx ATTACH PARTITION parted_1_idx');
cut_off('pg_cancel_backend', 'INSERT INTO parted VALUES (1)');
works('partition: the next call goes on');
is(indexes('parted,parted_1'), 'parted_1_idx parted_idx',
	'partition: and that of the partitioned table is valid');
sound('partition');

# IF NOT EXISTS
fresh('CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1)');
run_sql($node, $db, 'app', 'CREATE UNIQUE INDEX CONCURRENTLY i ON t (id)');
add('1', 'CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (id)');
$err = fails('IF NOT EXISTS: refused if it is there and not valid',
	qr/ERROR:  MG023: index public.i already exists but is invalid/);
is(indexes('t'), 'i?', 'IF NOT EXISTS: it stays');
fails('IF NOT EXISTS: refused again', qr/ERROR:  MG023/);
is(indexes('t'), 'i?', 'IF NOT EXISTS: it still stays');
app('DROP INDEX i');
works('IF NOT EXISTS: works when it is gone');
is(indexes('t'), 'i', 'IF NOT EXISTS: and the index is valid');
add('2', 'CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (id)');
works('IF NOT EXISTS: works if a valid one is there');
add('3', 'CREATE INDEX CONCURRENTLY IF NOT EXISTS j ON t (id)');
cut_off('pg_cancel_backend', 'INSERT INTO t VALUES (1)');
is(indexes('t'), 'i j?', 'IF NOT EXISTS: cut off, with a leftover');
works('IF NOT EXISTS: what is ours is built again');
is(indexes('t'), 'i j', 'IF NOT EXISTS: and valid');
sound('IF NOT EXISTS');

# ---------------------------------------------------------------------------
# Other statements about indexes and partitions
# ---------------------------------------------------------------------------

# REINDEX CONCURRENTLY, with somebody else's leftover of before
fresh('CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t VALUES (1)');
cut_off('pg_cancel_backend', 'INSERT INTO t VALUES (2)',
	'REINDEX INDEX CONCURRENTLY t_pkey');
is(indexes('t'), 't_pkey t_pkey_ccnew?', 'REINDEX: somebody else has left one');
add('1', 'REINDEX INDEX CONCURRENTLY t_pkey');
cut_off('pg_cancel_backend', 'INSERT INTO t VALUES (2)');
is(indexes('t'), 't_pkey t_pkey_ccnew? t_pkey_ccnew1?',
	'REINDEX: cut off, with a leftover');
works('REINDEX: the next call goes on');
is(indexes('t'), 't_pkey t_pkey_ccnew?', 'REINDEX: ours is gone, the other stays');
sound('REINDEX');

# of a table, with what it keeps in its TOAST table, cut off at the end, when
# the old indexes are to be dropped
add('2', 'REINDEX TABLE CONCURRENTLY t');
cut_off('pg_terminate_backend', 'INSERT INTO t VALUES (2)');
my $all_invalid =
  q{SELECT count(*) FROM pg_index WHERE NOT indisvalid};
cmp_ok(super($all_invalid), '>=', 3, 'REINDEX of a table: has left several');
$err = works('REINDEX of a table: the next call goes on');
is(indexes('t'), 't_pkey t_pkey_ccnew?', 'REINDEX of a table: ours is gone');
like($err, qr/WARNING: .*invalid index pg_toast\.\w+, which an earlier attempt at migration "2" has left, stays.*HINT:  Only a superuser/s,
	'REINDEX of a table: one of its TOAST table is not for app to drop');
sound('REINDEX of a table');
super(q{SELECT migrate.add('3', 'REINDEX TABLE CONCURRENTLY t')});
cut_off('pg_terminate_backend', 'INSERT INTO t VALUES (2)', $each, $superuser);
cmp_ok(super($all_invalid), '>=', 4, 'REINDEX of a table: has left several');
$err = works('REINDEX of a table, superuser: the next call goes on',
	$each, $superuser);
like($err, qr/NOTICE: .*dropped invalid index pg_toast\./,
	'REINDEX of a table, superuser: drops those too');
is(super($all_invalid), '2', 'REINDEX of a table: those of before stay');
sound('REINDEX of a table, superuser');

# DROP INDEX CONCURRENTLY, up
fresh('CREATE TABLE t (id int); CREATE INDEX i ON t (id)');
add('1', 'DROP INDEX CONCURRENTLY i');
cut_off('pg_cancel_backend', 'INSERT INTO t VALUES (1)');
is(indexes('t'), 'i?', 'DROP INDEX: cut off');
works('DROP INDEX: the next call goes on');
is(indexes('t'), '', 'DROP INDEX: the index is gone');
is(states(), '1 applied', 'DROP INDEX: applied');
sound('DROP INDEX');

# and down
fresh('CREATE TABLE t (id int)');
add('1', 'CREATE INDEX CONCURRENTLY i ON t (id)',
	q{down => 'DROP INDEX CONCURRENTLY i; DROP TABLE IF EXISTS nothing'});
works('rollback_each: applied');
cut_off('pg_cancel_backend', 'INSERT INTO t VALUES (1)',
	'CALL migrate.rollback_each()');
is(states(), '1 partial 1?', 'rollback_each: partly undone');
fails('rollback_each: partly undone is not up to date',
	qr/ERROR:  MG020/, 'SELECT migrate.check()');
works('rollback_each: the next call goes on', 'CALL migrate.rollback_each()');
is(indexes('t'), '', 'rollback_each: the index is gone');
is(states(), '1 pending', 'rollback_each: pending');
sound('rollback_each');
works('rollback_each: and can be applied again');
is(indexes('t'), 'i', 'rollback_each: with its index');
works('rollback_each: and undone', 'CALL migrate.rollback_each()');
sound('rollback_each again');

# DETACH PARTITION CONCURRENTLY
foreach my $how ('pg_cancel_backend', 'pg_terminate_backend')
{
	fresh(
		q{CREATE TABLE parted (n int) PARTITION BY LIST (n);
		CREATE TABLE "p 1" PARTITION OF parted FOR VALUES IN (1)});
	add('1', 'ALTER TABLE parted DETACH PARTITION "p 1" CONCURRENTLY;
		ALTER TABLE "p 1" ADD c int');
	cut_off($how, 'SELECT * FROM parted');
	is(super('SELECT inhdetachpending FROM pg_inherits'),
		't', "DETACH, $how: pending");
	is(states(), '1 partial 1?', "DETACH, $how: partly applied");
	works("DETACH, $how: the next call goes on");
	is(super('SELECT count(*) FROM pg_inherits'),
		'0', "DETACH, $how: detached");
	is(states(), '1 applied', "DETACH, $how: applied");
	sound("DETACH, $how");
}

# ---------------------------------------------------------------------------
# Databases, VACUUM, ALTER SYSTEM
# ---------------------------------------------------------------------------

# Say that an attempt was cut off in a statement, as a crash would leave it.
sub started
{
	my ($version, $statement) = @_;
	super(
		qq{INSERT INTO migrate.step (project, version, body, statement,
				last_statement, text_hash, token_hash, run, started_at)
			VALUES ('default', '$version', 'up', $statement, $statement, '', '', 1, now())});
	return;
}

fresh();
$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS made');
add('1', 'CREATE DATABASE made');
add('2', 'DROP DATABASE made');
started('1', 1);
works('CREATE DATABASE: one that was cut off is repeated',
	q{CALL migrate.apply_each('1')});
my $made = q{SELECT count(*) FROM pg_database WHERE datname = 'made'};
is(app($made), '1', 'CREATE DATABASE: there it is');
my $user = session($node, 'made');
fails('DROP DATABASE: fails while somebody is connected', qr/ERROR:  55006/);
is(states(), "1 applied\n2 failed", 'DROP DATABASE: has left nothing');
$user->quit;
$node->poll_query_until('postgres',
	q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'made')});
works('DROP DATABASE: works afterwards');
is(app($made), '0', 'DROP DATABASE: it is gone');
sound('databases');

fresh('CREATE TABLE t (id int)');
add('1', 'CREATE TABLE before (id int); VACUUM t; CREATE TABLE after (id int)');
cut_off('pg_terminate_backend', 'LOCK TABLE t');
is(states(), '1 partial 1,2?', 'VACUUM: cut off in the second statement');
works('VACUUM: the next call goes on');
is(states(), '1 applied', 'VACUUM: applied');
is( app(q{SELECT version, statement, tag FROM migrate.statements WHERE version = '1'
		AND seq = (SELECT max(seq) FROM migrate.journal WHERE outcome = 'success')}),
	"1|1|CREATE TABLE\n1|2|VACUUM\n1|3|CREATE TABLE",
	'VACUUM: the journal has all statements, of both runs');
sound('VACUUM');

fresh();
super(
	q{SELECT migrate.add('1', 'ALTER SYSTEM SET work_mem = ''5MB'';
		SELECT 1 / count(*) FROM pg_class WHERE relname = ''wanted'';
		ALTER SYSTEM RESET work_mem')});
fails('ALTER SYSTEM: the statement after it fails',
	qr/ERROR:  22012/, $each, $superuser);
is(states(), '1 partial 1', 'ALTER SYSTEM: it is done');
super('CREATE TABLE wanted ()');
works('ALTER SYSTEM: the next call goes on', $each, $superuser);
is(states(), '1 applied', 'ALTER SYSTEM: applied');
sound('ALTER SYSTEM');

# ---------------------------------------------------------------------------
# COMMIT PREPARED
# ---------------------------------------------------------------------------

sub prepare
{
	app(q{BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'gid'});
	return;
}

fresh('CREATE TABLE t (id int)');
add('1', q{COMMIT PREPARED 'gid'; INSERT INTO t VALUES (2)});
fails('COMMIT PREPARED: an error', qr/ERROR:  42704/);
is(states(), '1 failed', 'COMMIT PREPARED: leaves no doubt');
prepare();
works('COMMIT PREPARED: it is there now');
is(app('SELECT array_agg(id ORDER BY id) FROM t'),
	'{1,2}', 'COMMIT PREPARED: done once');
sound('COMMIT PREPARED');

add('2', q{COMMIT PREPARED 'gid'; INSERT INTO t VALUES (3)});
prepare();
started('2', 1);
works('COMMIT PREPARED: cut off before');
is(app('SELECT array_agg(id ORDER BY id) FROM t'),
	'{1,1,2,3}', 'COMMIT PREPARED: done when it is there');

add('3', q{COMMIT PREPARED 'gid'; INSERT INTO t VALUES (4)});
started('3', 1);
$err = fails('COMMIT PREPARED: cut off, and it is not there',
	qr/ERROR:  MG022: migration "3" was cut off in statement 1/);
like($err, qr/migrate\.resume\('3', at => 1\).*done => 1/s,
	'COMMIT PREPARED: the hint says how to go on');
fails('COMMIT PREPARED: refused again', qr/ERROR:  MG022/);
app(q{SELECT migrate.resume('3', done => 1)});
works('COMMIT PREPARED: somebody has said that it is done');
is(app('SELECT array_agg(id ORDER BY id) FROM t'),
	'{1,1,2,3,4}', 'COMMIT PREPARED: the rest is done');
sound('COMMIT PREPARED');

add('4', q{ROLLBACK PREPARED 'gid'});
prepare();
works('ROLLBACK PREPARED');
is(super('SELECT count(*) FROM pg_prepared_xacts'),
	'0', 'ROLLBACK PREPARED: it is gone');

# ---------------------------------------------------------------------------
# Procedures and DO that commit
# ---------------------------------------------------------------------------

# Insert rows from a to b, with a commit after each, and fail at bad.
my $procedure = q{
	CREATE TABLE done (n int);
	CREATE TABLE bad (n int);
	CREATE PROCEDURE work(a int, b int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN a .. b LOOP
			IF EXISTS (SELECT FROM bad WHERE n = i) THEN
				RAISE 'bad %', i;
			END IF;
			INSERT INTO done VALUES (i);
			COMMIT;
		END LOOP;
	END $$};
my $done = q{SELECT string_agg(n::text, ' ' ORDER BY n) FROM done};
my $do = q{DO $$ BEGIN
	FOR i IN 1 .. 4 LOOP
		IF EXISTS (SELECT FROM bad WHERE n = i) THEN
			RAISE 'bad %', i;
		END IF;
		INSERT INTO done VALUES (i);
		COMMIT;
	END LOOP;
END $$};

foreach my $statement ('CALL work(1, 4)', $do)
{
	my $name = substr($statement, 0, 4);

	fresh($procedure);
	add('1', "INSERT INTO done VALUES (0); $statement; INSERT INTO done VALUES (9)",
		'transactional => false');
	app('INSERT INTO bad VALUES (1)');
	fails("$name: fails before the first commit", qr/ERROR:  P0001: bad 1/);
	is(states(), '1 partial 1', "$name: after the first statement");
	app('DELETE FROM bad; INSERT INTO bad VALUES (3)');
	fails("$name: without a commit it is repeated", qr/ERROR:  P0001: bad 3/);
	is(app($done), '0 1 2', "$name: two commits");
	is(app('SELECT max(commits) FROM migrate.step'),
		'2', "$name: they are counted");
	$err = fails("$name: with commits it is not repeated",
		qr/ERROR:  MG022: migration "1" was cut off in statement 2/);
	like($err, qr/It had committed 2 times/, "$name: and says why");
	is(app($done), '0 1 2', "$name: nothing was run");

	# "run it again" and "it is done" are both to be had
	app('DELETE FROM bad; DELETE FROM done WHERE n IN (1, 2)');
	fails("$name: refused until somebody decides", qr/ERROR:  MG022/);
	if ($name eq 'CALL')
	{
		app(q{SELECT migrate.resume('1', at => 2)});
		works("$name: run again");
		is(app($done), '0 1 2 3 4 9', "$name: all is done, once");
	}
	else
	{
		app(q{SELECT migrate.resume('1', done => 2)});
		works("$name: go on after it");
		is(app($done), '0 9', "$name: the rest is done, and nothing else");
	}
	is(states(), '1 applied', "$name: applied");
	sound($name);
}

# cut off by the end of the session, in the middle
fresh($procedure);
add('1', 'CALL work(1, 4)', 'transactional => false');
{
	my $lock = blocker('LOCK TABLE bad');
	my $lock_2;
	my ($session, $pid) = start_and_block($each);

	# let the first round through
	$lock_2 = session($node, $db);
	ask_start($lock_2, 'BEGIN; LOCK TABLE bad');
	$node->poll_query_until($db,
		q{SELECT count(*) = 2 FROM pg_locks WHERE NOT granted});
	$lock->quit;
	ask_wait($lock_2);
	is_waiting($node, $pid) or die 'the second round does not wait';
	super("SELECT pg_terminate_backend($pid)");
	ask_wait($session);
	$lock_2->quit;
}
is(app($done), '1', 'CALL, terminated: one round is done');
fails('CALL, terminated: it is not repeated', qr/ERROR:  MG022/);
app(q{SELECT migrate.resume('1', done => 1)});
works('CALL, terminated: after a word it goes on');
sound('CALL, terminated');

# one that rolls back does not give up the runner lock: another run waits
fresh(
	q{CREATE TABLE done (n int);
	CREATE PROCEDURE undo() LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO done VALUES (1);
		ROLLBACK;
		INSERT INTO done VALUES (2);
		PERFORM pg_advisory_xact_lock(1);
	END $$});
add('1', 'CALL undo(); INSERT INTO done VALUES (3)', 'transactional => false');
add('2', 'INSERT INTO done VALUES (4)');
$blocker = blocker('SELECT pg_advisory_xact_lock(1)');
my ($runner, $pid) = start_and_block($each);
my $second = session($node, $db, 'app');
my $second_pid = pid_of($second);
ask_start($second, $each);
is_waiting($node, $second_pid, 'Extension') or die 'the second run does not wait';
fails('ROLLBACK: nobody gets in', qr/ERROR:  55P03: could not obtain the runner lock/,
	q{SET migrate.wait_timeout = '200ms'; SELECT migrate.add('3', 'SELECT 1')});
$blocker->quit;
(undef, $err) = ask_wait($runner);
unlike($err, qr/ERROR/, 'ROLLBACK: the run comes to its end');
(undef, $err) = ask_wait($second);
unlike($err, qr/ERROR/, 'ROLLBACK: so does the one that has waited');
is(app($done), '2 3 4', 'ROLLBACK: each statement was run once');
$_->quit foreach $runner, $second;
sound('ROLLBACK');

# one that gives up all advisory locks as well may not commit any more
fresh(
	q{CREATE TABLE done (n int);
	CREATE PROCEDURE undo() LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_advisory_unlock_all();
		ROLLBACK;
		INSERT INTO done VALUES (2);
		COMMIT;
	END $$});
add('1', 'CALL undo()', 'transactional => false');
fails('all locks: refused', qr/ERROR:  55000: the migration has given up the runner lock/);
is(app($done), '', 'all locks: nothing was committed');
sound('all locks');

# each of them alone does no harm
fresh(
	q{CREATE TABLE done (n int);
	CREATE PROCEDURE undo() LANGUAGE plpgsql AS $$
	BEGIN
		ROLLBACK;
		INSERT INTO done VALUES (2);
		COMMIT;
		INSERT INTO done VALUES (3);
	END $$});
add('1', 'SELECT pg_advisory_unlock_all(); DISCARD ALL; CALL undo(); SELECT pg_advisory_unlock_all()',
	'transactional => false');
works('one lock after the other');
is(app($done), '2 3', 'one lock after the other: all is done');
sound('one lock after the other');

# ---------------------------------------------------------------------------
# Another text
# ---------------------------------------------------------------------------

sub load
{
	my ($text) = @_;
	return 'SELECT * FROM migrate.load(jsonb_build_object('
	  . quote('001_x.sql') . ', '
	  . quote("-- migrate:up\n$text-- migrate:down\nSELECT 1;\n") . '))';
}
my $first = "CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY a_idx ON a (id);\n";
fresh();
app(load($first . "SELECT 1/0;\n"));
fails('text: the last statement fails', qr/ERROR:  22012/);
is(states(), '001 partial 1,2', 'text: two steps are done');
works('text: the part that was not run may be changed',
	load($first . "CREATE TABLE b (id int) ;\nSELECT 1/0;\n"));
fails('text: the new text is run', qr/ERROR:  22012.*statement 4/s);
is(states(), '001 partial 1,2', 'text: to its error');
works('text: what was run may be changed in the files',
	load("CREATE TABLE a (id bigint);\nCREATE INDEX CONCURRENTLY a_idx ON a (id);\nSELECT 1;\n"));
$err = fails('text: but the next call refuses to go on',
	qr/ERROR:  MG022: migration "001" is partly applied, and the part that was run has been changed/);
is(states(), '001 partial 1,2', 'text: and changes nothing');
app(q{SELECT migrate.resume('001', done => 2)});
works('text: until somebody has said where to go on');
is(app(q{SELECT to_regclass('a'), to_regclass('b')}),
	'a|', 'text: nothing was run twice, the new end was run');
sound('text');

fresh();
app(load($first . "SELECT 1/0;\n"));
fails('text: fails', qr/ERROR:  22012/);
app(load("CREATE TABLE a (id int);\n"));
fails('text: what was run may not be cut off', qr/ERROR:  MG022/);
app(load($first . "CREATE TABLE b (id int);\n"));
works('text: and works when it is put back');
is(states(), '001 applied', 'text: applied');
sound('text, put back');

# New comments and blanks in what has run are taken, in both directions, and
# lines are those of the new file.
my $license = "-- License: some words\n-- and more of them\n";
my $commented = "-- a table\nCREATE TABLE a /* of */ (id\n int);\n"
  . "CREATE INDEX CONCURRENTLY a_idx\n -- by id\n ON a (id);\n";
my @bodies = (
	[ 'up', $first . 'SELECT 1/0;', $commented . "SELECT 1/0;\n", $commented . 'SELECT 1;' ],
	[
		'down', "DROP INDEX CONCURRENTLY IF EXISTS a_idx;\nDROP TABLE a;\nVACUUM nowhere;\n",
		"/* down */ DROP INDEX CONCURRENTLY\n IF EXISTS a_idx;\n\n-- and\nDROP TABLE a;\nVACUUM nowhere;\n",
		"/* down */ DROP INDEX CONCURRENTLY\n IF EXISTS a_idx;\n\n-- and\nDROP TABLE a;\n"
	]);

# a file of two bodies, of which one is at hand
sub file_of
{
	my ($part, $text, $head, $more) = @_;
	my ($up, $down) = $part eq 'up' ? ($text, 'SELECT 1;') : ($first, $text);
	return 'SELECT * FROM migrate.load(jsonb_build_object('
	  . quote('001_x.sql') . ', '
	  . quote(($head // '') . "-- migrate:up\n$up\n-- migrate:down\n$down")
	  . ')' . ($more // '') . ')';
}

foreach my $case (@bodies)
{
	my ($part, $old, $new, $mended) = @$case;
	my $run = $part eq 'up' ? $each : 'CALL migrate.rollback_each()';

	fresh();
	app(file_of($part, $old));
	works('comments: applied') if $part eq 'down';
	fails("comments, $part: fails", qr/ERROR: /, $run);
	my $before = states();
	like($before, qr/ 1,2$/, "comments, $part: two steps are done");

	app(file_of($part, $new, $license));
	app(q{INSERT INTO migrate.policy (project, edits) VALUES ('default', 'refuse')});
	fails("comments, $part: the policy may forbid it", qr/ERROR:  MG022/, $run);
	app(q{UPDATE migrate.policy SET edits = 'ignore comments'});
	my $line = $part eq 'up' ? 10 : 13;
	$err = fails("comments, $part: it goes on after them",
		qr/NOTICE:  00000: the part of migration "001" that has run has new comments or blanks, and is taken/, $run);
	like($err, qr/\(001_x\.sql:$line\), $part body, statement 3$/m, "comments, $part: the line is the new one");
	is(states(), $before, "comments, $part: nothing was repeated");
	app(file_of($part, $mended, $license, ', accept => true'));
	works("comments, $part: and to the end", $run);
	is( app(q{SELECT count(*), bool_and(s.line > 3) FROM migrate.journal j,
			unnest(j.statements) s WHERE j.outcome = 'success' AND j.action = '}
			  . ($part eq 'up' ? 'apply' : 'rollback') . q{'}),
		($part eq 'up' ? 3 : 2) . '|t',
		"comments, $part: the journal has the new lines of all statements");
	sound("comments, $part");
}

# a literal and a quoted name are no comments
fresh();
app(load("CREATE TABLE a (t text DEFAULT '-- x');\nVACUUM a;\nSELECT 1/0;\n"));
fails('comments: fails', qr/ERROR:  22012/);
app(load("CREATE TABLE a (t text DEFAULT '-- y');\nVACUUM a;\nSELECT 1/0;\n"));
fails('comments: not one in a literal', qr/ERROR:  MG022/);

# ---------------------------------------------------------------------------
# Settings
# ---------------------------------------------------------------------------

# They last over the steps, and are put back however the run ends.
my $settings = q{SET work_mem = '7MB';
	SELECT set_config('application_name', 'body', false);
	SET search_path = s;
	CREATE TABLE seen AS SELECT current_setting('work_mem') AS v;
	CREATE INDEX CONCURRENTLY seen_idx ON seen (v);
	INSERT INTO seen VALUES (current_setting('work_mem'));
	CREATE TABLE late ();};
my $show = q{SELECT concat_ws(' ', current_setting('work_mem'),
	current_setting('search_path'), current_setting('temp_buffers'),
	current_setting('application_name'), current_setting('role'))};
my $mine = q{SET work_mem = '6MB'; SET search_path = pg_catalog, public;
	SET application_name = mine};
my $expected = '6MB pg_catalog, public 8MB mine none';

foreach my $case (
	[ 'success', '' ],
	[ 'failure', 'SELECT 1/0' ],
	[ 'cancel', 'SELECT pg_advisory_xact_lock(1)' ])
{
	my ($name, $end) = @$case;

	fresh('CREATE SCHEMA s');
	app(q{INSERT INTO migrate.policy (search_path) VALUES ('public')});
	add('1', "$settings $end");
	add('2', q{CREATE TABLE next AS SELECT current_setting('work_mem') AS v});
	my $session = session($node, $db, 'app');
	my $mypid = pid_of($session);
	ask($session, $mine);
	is(ask($session, $show), $expected, "settings, $name: before");
	$blocker = blocker('SELECT pg_advisory_xact_lock(1)');
	ask_start($session, $each);
	if ($name eq 'cancel')
	{
		is_waiting($node, $mypid) or die;
		super("SELECT pg_cancel_backend($mypid)");
	}
	(undef, $err) = ask_wait($session);
	$blocker->quit;
	is($err =~ /ERROR:  (\w+)/ ? $1 : '',
		{ success => '', failure => '22012', cancel => '57014' }->{$name},
		"settings, $name: it ends so");
	is(ask($session, $show), $expected, "settings, $name: after");
	if ($name ne 'success')
	{
		# the steps that are done are not run again, their settings count
		is(states(), "1 partial 4,5\n2 pending", "settings, $name: partly applied");
		app(q{SELECT migrate.amend('1', up => } . quote($settings) . ')');
		(undef, $err) = ask($session, $each);
		unlike($err, qr/ERROR/, "settings, $name: the next call goes on");
		is(ask($session, $show), $expected, "settings, $name: and puts back");
	}
	is(app(q{SELECT string_agg(v, ' ') FROM s.seen}),
		'7MB 7MB', "settings, $name: they last over the steps");
	is(app(q{SELECT to_regclass('s.late')}),
		's.late', "settings, $name: the search_path too");
	is(app('SELECT v FROM next'),
		'6MB', "settings, $name: the next migration has those of the session");
	$session->quit;
	sound("settings, $name");
}

# DISCARD ALL leaves the surroundings of a body as they were pinned
fresh('CREATE SCHEMA s; CREATE TABLE public.wanted ()');
app(q{INSERT INTO migrate.policy (project, search_path) VALUES ('default', 's')});
my $discard = q{CREATE TABLE a (); SET work_mem = '7MB'; DISCARD ALL;};
add('1', "$discard CREATE TABLE b (); ANALYZE public.nothing");
fails('DISCARD ALL: the last statement fails', qr/ERROR:  42P01/);
app('SELECT migrate.amend(\'1\', up => ' . quote(
		"$discard CREATE TABLE b AS SELECT current_setting('work_mem') AS v")
	  . ')');
works('DISCARD ALL: the next call goes on');
is( app(q{SELECT string_agg(oid::regclass::text, ' ' ORDER BY relname)
		FROM pg_class WHERE relname IN ('a', 'b')}),
	's.a s.b', 'DISCARD ALL: the search_path is that of the policy');
is(app('SELECT v FROM s.b'), '4MB', 'DISCARD ALL: an older SET is not repeated');
sound('DISCARD ALL');

# ---------------------------------------------------------------------------
# Verify bodies
# ---------------------------------------------------------------------------

fresh('CREATE TABLE t (id int)');
add('1', 'CREATE INDEX CONCURRENTLY i ON t (id); INSERT INTO t VALUES (1)',
	q{verify => 'SELECT count(*) = 2 FROM t'});
fails('verify: fails after the last step', qr/ERROR:  MG010/);
is(states(), '1 partial 1,2', 'verify: all steps are done');
is(app('SELECT count(*) FROM migrate.applied'),
	'0', 'verify: and it is not applied');
fails('verify: fails again', qr/ERROR:  MG010/);
is(app('SELECT count(*) FROM t'), '1', 'verify: nothing was repeated');
app('INSERT INTO t VALUES (2)');
works('verify: works when the cause is gone');
is(app('SELECT count(*) FROM t'), '2', 'verify: nothing was repeated');
is(states(), '1 applied', 'verify: applied');
sound('verify');

# ---------------------------------------------------------------------------
# What is partly applied, for others
# ---------------------------------------------------------------------------

fresh('CREATE TABLE t (id int)');
my $files = q{SELECT * FROM migrate.load('{"002_b.sql":
	"-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 1;\n"}', prune => true)};
add('1', 'CREATE INDEX CONCURRENTLY i ON t (id); SELECT 1/0');
fails('partial: made', qr/ERROR:  22012/);
fails('partial: cannot be removed', qr/ERROR:  MG022/,
	q{SELECT migrate.remove('1')});
works('partial: prune leaves it alone', $files);
is(states(), "1 partial 1\n002 pending", 'partial: it is still there');
fails('partial: check() finds it', qr/ERROR:  MG020/,
	q{SELECT migrate.check()});
fails('partial: apply() does not run it', qr/ERROR:  MG0(08|22)/,
	'SELECT migrate.apply()');
is(app('SELECT version, action FROM migrate.plan()'),
	"1|apply\n002|apply", 'partial: plan() has it');
app(q{SELECT migrate.stamp('1')});
is(states(), "1 applied\n002 pending", 'partial: stamp() says that it is done');
app(q{SELECT migrate.unstamp('1')});
is(states(), "1 pending\n002 pending", 'partial: unstamp() that it is not');
app(q{SELECT migrate.remove('1')});
works('partial: the rest');

# a body that is not to get at the rights of the session
fresh('CREATE TABLE t (id int)');
add('1', 'CREATE INDEX CONCURRENTLY i ON t (id)');
$err = fails('stranger: refused after SET ROLE', qr/ERROR:  MG017/,
	"SET ROLE app;\n$each", $superuser);
is(indexes('t'), '', 'stranger: nothing was run');
fails('stranger: refused for a superuser as well',
	qr/ERROR:  MG017/, $each, $superuser);
works('stranger: as the role itself');
sound('stranger');

# a superuser's hand in the books, while the step runs that they are about
fresh('CREATE TABLE t (id int)');
my $build = 'CREATE TABLE t_1 (id int); CREATE INDEX CONCURRENTLY i ON t (id)';
my $add = q{SELECT migrate.add('1', up => };
super($add . quote("DELETE FROM migrate.step; $build") . ')');
$err = fails('step taken away: noticed',
	qr/ERROR:  MG022: progress of migration "1" was concurrently changed/, $each, $superuser);
like($err, qr/HINT:  .*migrate\.resume\(\)/, 'step taken away: says what to do');
is(states(), '1 failed', 'step taken away: it was rolled back');
super(q{SELECT migrate.remove('1')});
super($add . quote($build) . ')');
works('step taken away: another text', $each, $superuser);
is(indexes('t'), 'i', 'step taken away: the index is built');
sound('step taken away');

done_testing();
