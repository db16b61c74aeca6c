# Signals, workers and names: nobody can have a process signalled that is not a
# run of this database, take the server's background workers, or make
# progress() fail by the name that he gives to his session.  DROP EXTENSION
# waits for a run.
#
# Needs roles, background workers and sessions that stay open.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Utils;
use Rights;
use Test::More;
use Time::HiRes qw(usleep);

start_server('max_worker_processes = 12');

my $db = database('signals');

# Wait until a query says true.
sub wait_for
{
	my ($sql, $name) = @_;

	$node->poll_query_until($db, $sql) or die "$name: $sql";
	return;
}

# ---------------------------------------------------------------------------
# Whom cancel() signals
# ---------------------------------------------------------------------------

# rows as only a superuser can write them: of a process that is no run
foreach my $who (-1, 'pg_backend_pid', 'checkpointer', 'idle', 'postmaster')
{
	my $victim = session('runner', $db);
	$victim->query("SET application_name = 'victim';");
	my %pid = (
		-1 => '-1',
		pg_backend_pid => 'pg_backend_pid()',
		checkpointer => "(SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer')",
		idle => "(SELECT pid FROM pg_stat_activity WHERE application_name = 'victim')",
		postmaster => slurp_file($node->data_dir . '/postmaster.pid') =~ s/\n.*//sr);

	allowed($super, $db, "ALTER TABLE migrate.run DROP CONSTRAINT IF EXISTS run_number_check;
		DELETE FROM migrate.run;
		INSERT INTO migrate.run (run, project, action, mode, role, session_role,
			backend_pid, backend_start, requested_at, started_at)
		SELECT 700, 'default', 'apply', 'call', 'owner', 'owner', p.pid,
			coalesce((SELECT backend_start FROM pg_stat_activity a WHERE a.pid = p.pid), now()), now(), now()
		FROM (SELECT $pid{$who}::int4 AS pid) p");
	$victim->send("SELECT 'survived', pg_sleep(3);") if $who eq 'idle';
	wait_for("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'victim' AND wait_event = 'PgSleep')", $who)
	  if $who eq 'idle';
	my ($status, $out, $err) = run('owner', $db, 'SELECT migrate.cancel(700)');
	is("$status $out", '0 f', "$who in migrate.run: nobody is signalled");
	is($victim->answer, 'survived|', "$who: the other session goes on") if $who eq 'idle';
	$victim->close;
}
allowed($super, $db, 'DELETE FROM migrate.run');
is(value($db, '1'), '1', 'the server is up');

# a run of this database, which holds the lock that says so
sub sleeping_run
{
	my ($how, $version) = @_;

	allowed('owner', $db, "SELECT migrate.add('$version', 'SELECT pg_sleep(600)', 'SELECT 1')");
	my $session = session('owner', $db);
	$session->send("CALL migrate.apply_each();") if $how eq 'call';
	$session->query('SELECT migrate.start();') if $how eq 'start';
	wait_for("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND wait_event = 'PgSleep' AND pid <> pg_backend_pid() OR wait_event = 'PgSleep')", $how);
	return $session;
}
foreach my $how ('call', 'start')
{
	my $session = sleeping_run($how, '100');
	my $run = value($db, 'max(run) FROM migrate.run');

	refused('looker', $db, "SELECT migrate.cancel($run)", qr/42501/, 'cancels a run of another role');
	# another pid in its row makes no difference
	allowed($super, $db, "UPDATE migrate.run SET backend_pid = (SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer') WHERE run = $run")
	  if $how eq 'call';
	is(allowed('owner', $db, "SELECT migrate.cancel($run)"), 't', "$how: a run is canceled");
	wait_for("SELECT outcome = 'failure' FROM migrate.run WHERE run = $run", $how);
	is(value($db, "sqlstate FROM migrate.journal WHERE run = $run"), '57014', "$how: and ends as canceled");
	like($session->answer, qr/57014/, 'call: its caller learns it') if $how eq 'call';
	$session->close;
	allowed('owner', $db, "SELECT migrate.remove('100')");
}

# at any moment after the commit: it is canceled, or it was over
allowed('owner', $db, "SELECT migrate.add('101', 'SELECT pg_sleep(600)', 'SELECT 1')");
my %ends;
foreach my $i (1 .. 60)
{
	my $session = session('owner', $db);
	my $run = $session->query('SELECT migrate.start();');

	usleep(500 * ($i % 30));
	my $answer = $session->query("SELECT migrate.cancel($run);");
	my $end = $session->query("CALL migrate.wait($run, '20 s');");
	$ends{"$answer " . ($end =~ /ERROR:  (\w+)/ ? $1 : 'none')}++;
	$session->close;
}
is_deeply(\%ends, { 't 57014' => 60 }, 'cancel() right after start(): always canceled')
  or diag(explain(\%ends));
is(value($db, "count(*) FROM migrate.run WHERE outcome IS NULL"), '0', 'no run stays open');
allowed('owner', $db, "BEGIN; SELECT migrate.start() AS run \\gset\nSELECT migrate.cancel(:run); COMMIT;");
is(value($db, "outcome || (SELECT j.sqlstate FROM migrate.journal j WHERE j.run = r.run) FROM migrate.run r ORDER BY run DESC LIMIT 1"),
	'failure57014', 'canceled by the transaction that has started it');
wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'migrate run'", 'workers');
allowed('owner', $db, "SELECT migrate.remove('101')");

# ---------------------------------------------------------------------------
# Who takes the workers
# ---------------------------------------------------------------------------

refused('owner', $db, 'BEGIN; SELECT migrate.start(); SELECT migrate.start(); COMMIT',
	qr/55000: a transaction can start one run in the background/, 'starts two runs in a transaction');
refused('owner', $db, "BEGIN; SELECT migrate.start(); PREPARE TRANSACTION 'x'",
	qr/0A000/, 'prepares a transaction with a run');
allowed('owner', $db, 'BEGIN; SAVEPOINT a; SELECT migrate.start(); ROLLBACK TO a; SELECT migrate.start() AS run \gset
COMMIT; CALL migrate.wait(:run)');
{
	my @sessions = map { session($_ % 2 ? 'owner' : 'runner', $db) } 1 .. 14;

	$_->query("BEGIN; SELECT migrate.start();") foreach @sessions;
	is(value($db, "count(*) FROM pg_stat_activity WHERE backend_type = 'migrate run'"),
		'0', 'no worker before a commit');
	$_->query("ROLLBACK;") foreach @sessions;
	is(value($db, 'count(*) FROM migrate.run WHERE outcome IS NULL'), '0', 'nor after a roll-back');

	# a run that stays, and others behind it
	allowed('owner', $db, "SELECT migrate.add('102', 'SELECT pg_sleep(600)', 'SELECT 1')");
	my $answers = join('', map { scalar $_->query("BEGIN; SELECT migrate.start();") . scalar $_->query('COMMIT;') } @sessions);
	is(value($db, "string_agg(n::text, ' ') FROM (SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'migrate run' GROUP BY usesysid) x"),
		'3 3', 'three workers for each role');
	like($answers, qr/ERROR:  53400: too many runs of role "owner".*HINT:.*migrate\.cancel/s, 'and an error for the rest');
	my $other = database('elsewhere');
	allowed('owner', $other, "SELECT migrate.add('1', 'SELECT 1/0')");
	my (undef, undef, $err) = run('owner', $other, 'SELECT migrate.start()');
	like($err, qr/53000: could not start a background worker.*half/s, 'half of the workers of the server are for others');
	(undef, undef, $err) = run('owner', $other, 'SELECT migrate.apply()');
	unlike($err, qr/could not record the failure/, 'a failure in another database');
	is(value($other, "count(*) FROM migrate.journal WHERE outcome = 'failure'"), '1', 'is journalled');
	observe($db, q{SELECT migrate.cancel(run) FROM migrate.run WHERE outcome IS NULL ORDER BY run DESC});
	observe($db, q{DO $$ BEGIN
		FOR i IN 1 .. 2000 LOOP
			PERFORM migrate.cancel(run) FROM migrate.run WHERE outcome IS NULL;
			EXIT WHEN NOT EXISTS (SELECT FROM migrate.run WHERE outcome IS NULL);
			COMMIT;
			PERFORM pg_sleep(0.01);
		END LOOP; END $$;});
	is(value($db, "string_agg(DISTINCT outcome || coalesce((SELECT max(sqlstate) FROM migrate.journal j WHERE j.run = r.run), ''), ' ') FROM migrate.run r WHERE run > (SELECT max(run) - 6 FROM migrate.run)"),
		'failure57014', 'all of them can be canceled');
	$_->close foreach @sessions;
}
wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'migrate run'", 'workers');
allowed('owner', $db, "SELECT migrate.remove('102')");

# ---------------------------------------------------------------------------
# Names of sessions
# ---------------------------------------------------------------------------

foreach my $name (
	'migrate apply 99999999999999999999 1/1 1/1 x',
	'migrate apply 1 99999999999/1 1/1 x',
	'migrate apply 1 1/1 1/99999999999 x',
	'migrate apply 1 1/1 1/1 nowhere',
	'migrate apply 1 1/1 1/1 ', 'migrate ', '(', '%s%n', '\\')
{
	my $session = session('writer', $db);
	my $literal = $name =~ s/'/''/gr;

	$session->query("BEGIN; SELECT migrate.add('name', 'SELECT 1'); SET application_name = '$literal';");
	my ($status, $out, $err) = run('looker', $db,
		"SELECT state, role, run IS NULL OR run = 1, version FROM migrate.progress()");
	is("$status $out", '0 running|writer|t|', "progress() while a session is called \"$name\"") or diag($err);
	(undef, undef, $err) = run('mender', $db, "SET migrate.wait_timeout = '10ms'; SELECT migrate.stamp('001')");
	like($err, qr/ERROR:  (55P03|MG041)/, 'and who waits for it');
	$session->query('ROLLBACK;');
	$session->close;
}
# the run itself, by its body: which run it is comes from a lock
allowed('owner', $db, q{SELECT migrate.add('103', 'SET application_name = ''migrate apply 77777777777777777 1/1 1/1 103''; SELECT pg_sleep(600)', 'SELECT 1')});
foreach my $call ('CALL migrate.apply_each();', 'SELECT migrate.apply();')
{
	my $session = session('owner', $db);

	$session->send($call);
	wait_for("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')", $call);
	my ($status, $out) = run('looker', $db, 'SELECT state, run = (SELECT max(run) FROM migrate.history) + 1 FROM migrate.progress()');
	like("$status $out", qr/^0 running\|/, "$call: progress() in spite of what the body says");
	observe($db, q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
	$session->answer;
	$session->close;
}
allowed('owner', $db, "SELECT migrate.remove('103')");

# ---------------------------------------------------------------------------
# DROP EXTENSION beside a run
# ---------------------------------------------------------------------------

foreach my $call ('CALL migrate.apply_each();', 'SELECT migrate.apply();', 'start',
	'CALL migrate.rollback_each(2);')
{
	my $drop_db = database('dropped');
	my $run = session('owner', $drop_db);
	my $holder = session($super, $drop_db);
	my $drop = session('owner', $drop_db);
	my $wait = 'SELECT pg_advisory_xact_lock(5)';

	$run->query("SELECT migrate.add('100', 'CREATE TABLE a (i int)', 'DROP TABLE a'), migrate.add('101', '$wait', '$wait'), migrate.add('102', 'CREATE TABLE b (i int)', 'DROP TABLE b');");
	$run->query('CALL migrate.apply_each();') if $call =~ /rollback/;
	$holder->query('SELECT pg_advisory_lock(5);');
	$call eq 'start' ? $run->query('SELECT migrate.start();') : $run->send($call);
	$node->poll_query_until($drop_db, q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)}) or die $call;
	$drop->send('DROP EXTENSION migrate;');
	$node->poll_query_until($drop_db, q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype IN ('object', 'relation') AND mode = 'AccessExclusiveLock' AND NOT granted)}) or die "$call: DROP does not wait";
	$holder->query('SELECT pg_advisory_unlock(5);');
	my $answer = $call eq 'start' ? '' : $run->answer;
	unlike($answer, qr/ERROR/, "$call: the run comes to its end");
	$answer = $drop->answer;
	unlike($answer, qr/ERROR/, "$call: then the extension goes");
	is( value($drop_db, "concat(to_regclass('a') IS NOT NULL, to_regclass('b') IS NOT NULL, to_regnamespace('migrate') IS NULL)"),
		$call =~ /rollback/ ? 'tft' : 'ttt', "$call: and nothing was cut off");
	$_->close foreach $run, $holder, $drop;
	drop_database($drop_db);
}

# the lock that it waits for is no way to keep others from running
{
	my $low = session('low', $db);

	$low->query('CREATE FUNCTION own_low.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
		BEGIN; ALTER FUNCTION own_low.f() DEPENDS ON EXTENSION migrate;');
	allowed('owner', $db, "SELECT migrate.add('104', 'CREATE TABLE c (i int)', 'DROP TABLE c')");
	my ($status, undef, $err) = run('owner', $db, "SET lock_timeout = '5s'; CALL migrate.apply_each()");
	is($status, 0, 'a lock on the extension stops no run') or diag($err);
	$low->query('ROLLBACK;');
	$low->close;
}
unlike(slurp_file($node->logfile), qr/terminated by signal|TRAP:|PANIC:|XX000/,
	'no process has crashed');
stop_server();
done_testing();
