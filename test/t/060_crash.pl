# Runs that are killed, canceled, cut off or shut down in the middle, and what
# is kept of a failure: whatever happens, ledger, journal and schema agree
# afterwards, nothing is locked, and the next call does the work.
#
# Needs servers that crash, and settings that only a restart changes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use JSON::PP;
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
restart_after_crash = on
# nobody waits ten minutes for somebody who has gone wrong
migrate.wait_timeout = 1min
max_prepared_transactions = 5
log_statement = none
log_min_duration_statement = -1
});
$node->start;

# ---------------------------------------------------------------------------
# Helpers
# ---------------------------------------------------------------------------

# Run SQL as app; dies if it fails.
sub app
{
	my ($db, $sql) = @_;
	return query($node, $db, 'app', $sql);
}

# The number of times that a pattern is in the server log since an offset.
sub count_in_log
{
	my ($offset, $pattern) = @_;
	return scalar(() = log_since($node, $offset) =~ /$pattern/g);
}

# Three migrations, of which the second stops in the middle of each body for as
# long as somebody holds the advisory lock 1000.
my $stop = 'SELECT pg_advisory_xact_lock_shared(1000)';

sub database
{
	my ($db) = @_;
	owner_database($node, $db);
	$node->safe_psql('postgres',
		"ALTER DATABASE $db SET migrate.lock_timeout = 0");
	app( $db, qq{
		SELECT migrate.add('1', 'CREATE TABLE t_1 (id int)', 'DROP TABLE t_1');
		SELECT migrate.add('2', E'CREATE TABLE t_2 (id int);\n$stop;\nINSERT INTO t_2 VALUES (1)',
			E'DELETE FROM t_2;\n$stop;\nDROP TABLE t_2');
		SELECT migrate.add('3', 'CREATE TABLE t_3 (id int);
			INSERT INTO t_3 VALUES (1)', 'DROP TABLE t_3')}
	);
	return;
}

# Start a call and wait until it has come to the middle of migration 2; returns
# the session, its process and the session that holds it up.
sub stopped_in_the_middle
{
	my ($db, $sql) = @_;
	my $holder = session($node, $db);
	my $runner = session($node, $db, 'app');
	my $pid = pid_of($runner);

	ask($holder, 'SELECT pg_advisory_lock(1000)');
	ask_start($runner, $sql);
	is_waiting($node, $pid) or die "$sql does not come to its middle";
	return ($runner, $pid, $holder);
}

# Wait until a backend is gone.
sub is_gone
{
	my ($pid) = @_;
	return $node->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
}

# What must hold after a run of any kind.
sub sound
{
	my ($db, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	agreement($node, $db, "$name: ledger, journal and schema agree");
	is(locks_left($node, $db), '', "$name: no lock is left");
	return;
}

# The journal's rows about failures.
sub failures
{
	my ($db) = @_;
	return app($db,
		'SELECT action, version, body, statement, line, sqlstate'
		  . ' FROM migrate.failures ORDER BY run, seq');
}

# ---------------------------------------------------------------------------
# Interrupted in the middle
# ---------------------------------------------------------------------------

# Each way to interrupt a run: what to do with the runner's process, what the
# runner's client sees, and what is in the server log.  With them whether the
# failure is journalled, and whether the server goes on running.
my %interruptions = (
	'kill -9' => {
		how => sub {
			my (undef, $pid) = @_;
			PostgreSQL::Test::Utils::system_or_bail('pg_ctl', 'kill', 'KILL',
				$pid);
		},
		client => qr/server closed the connection unexpectedly|terminating connection/,
		log => sub {
			my ($pid, $call) = @_;
			return qr/\(PID $pid\) was terminated by signal 9.*\n.*Failed process was running: \Q$call\E/;
		}
	},
	'pg_terminate_backend' => {
		how => sub {
			my ($db, $pid) = @_;
			$node->safe_psql($db, "SELECT pg_terminate_backend($pid)");
		},
		client => qr/FATAL:  57P01/,
		log => sub {
			my ($pid) = @_;
			return qr/\[$pid\] .*FATAL: .*\n.*CONTEXT:  SQL statement .*\n\s+migration "2", (up|down) body, statement 2, line 2\n/;
		}
	},
	'pg_cancel_backend' => {
		how => sub {
			my ($db, $pid) = @_;
			$node->safe_psql($db, "SELECT pg_cancel_backend($pid)");
		},
		client =>
		  qr/ERROR:  57014.*CONTEXT: .*migration "2", (up|down) body, statement 2, line 2/s,
		journalled => 1,
		stays => 1,
		log => sub {
			my ($pid) = @_;
			return qr/\[$pid\] .*LOG:  migrate: (apply|rollback) of migration "2" of project "default" failed in run \d+: 57014: canceling/;
		}
	},
	'an immediate shutdown' => {
		how => sub {
			$node->stop('immediate');
			$node->start;
		},
		client => qr/server closed the connection unexpectedly|terminating connection/,
		log => sub { return qr/received immediate shutdown request/ }
	});

foreach my $name (sort keys %interruptions)
{
	my $way = $interruptions{$name};

	foreach my $action ('apply', 'rollback')
	{
		my $db = 'interrupted';
		my $call = "SELECT count(*) FROM migrate.$action("
		  . ($action eq 'rollback' ? '3)' : ')');
		my $rows = $action eq 'apply' ? '0' : '3';

		database($db);
		app($db, 'SELECT migrate.apply()') if $action eq 'rollback';
		my $offset = log_size($node);
		my ($runner, $pid, $holder) = stopped_in_the_middle($db, $call);
		$way->{how}->($db, $pid);
		my ($out, $err) = ask_wait($runner);
		like($err, $way->{client}, "$action, $name: the client is told");
		is_gone($pid) unless $way->{stays};
		like(
			log_since($node, $offset),
			$way->{log}->($pid, $call),
			"$action, $name: the server log has it");

		# the runner's session stays open if it can: nothing may hang on its end
		sound($db, "$action, $name");
		is(app($db, 'SELECT count(*) FROM migrate.applied'),
			$rows, "$action, $name: nothing is half done");
		is( failures($db),
			$way->{journalled} ? ($action . '|2|'
				  . ($action eq 'apply' ? 'up' : 'down') . '|2|2|57014') : '',
			"$action, $name: the journal has what the backend lived to see");

		$_->{run}->pumpable && $_->quit foreach $holder;
		is(app($db, $call), '3', "$action, $name: the next call does the work");
		sound($db, "$action, $name, and again");
		$runner->quit if $way->{stays};
	}
}

# inside a transaction of the client's
database('interrupted');
my ($runner, $pid, $holder) = stopped_in_the_middle('interrupted',
	"BEGIN; CREATE TABLE mine (id int); SELECT count(*) FROM migrate.apply()");
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
ask_wait($runner);
is_gone($pid);
$holder->quit;
sound('interrupted', 'terminated in a transaction');
is(app('interrupted', q{SELECT to_regclass('mine')}),
	'', "the client's own work is gone as well");
is(app('interrupted', 'SELECT count(*) FROM migrate.apply()'),
	'3', 'and the next call does the work');

# ---------------------------------------------------------------------------
# The client is gone
# ---------------------------------------------------------------------------

foreach my $case (
	[
		'a run that has something to say to it is taken back',
		q{SET migrate.progress_notices = 'all'; SELECT migrate.apply()}, 0
	],
	[
		'a quiet one comes to its end',
		'SET migrate.progress_notices = off; SELECT migrate.apply()', 3
	],
	[
		'but not in a transaction',
		'SET migrate.progress_notices = off; BEGIN; SELECT migrate.apply()', 0
	],
	[
		'any is ended at once if the server looks',
		q{SET migrate.progress_notices = off;
			SET client_connection_check_interval = '50ms'; SELECT migrate.apply()},
		0, 'at once'
	])
{
	my ($what, $call, $applied, $at_once) = @$case;

	database('gone');
	($runner, $pid, $holder) = stopped_in_the_middle('gone', $call);
	$runner->{run}->kill_kill;
	if ($at_once)
	{
		ok(is_gone($pid), "client gone: $what: the backend notices");
	}
	$holder->quit;
	ok(is_gone($pid), "client gone: $what: the backend ends");
	sound('gone', "client gone: $what");
	is(app('gone', 'SELECT count(*) FROM migrate.applied'),
		$applied, "client gone: $what");
	is(app('gone', 'SELECT count(*) FROM migrate.apply()'),
		3 - $applied, "client gone: $what: the next call does the rest");
}

# ---------------------------------------------------------------------------
# Failures
# ---------------------------------------------------------------------------

# the first migration is good, the second fails after having changed something
my $bad = q{SELECT migrate.add('1', 'CREATE TABLE t_1 (id int)', 'DROP TABLE t_1');
	SELECT migrate.add('2', E'CREATE TABLE t_2 (id int);\nSELECT 1/0', 'SELECT 1')};
my $failed_line =
  qr/LOG:  migrate: apply of migration "2" of project "default" failed in run \d+: 22012: division by zero\n/;
my ($status, $out, $err);

# reported as a row, nothing of it stays but the journal's
owner_database($node, 'failing');
app('failing', $bad);
is( app('failing',
		q{SELECT action, version, error->>'sqlstate', error->>'line'
			FROM migrate.apply(raise => false)}),
	'failed|2|22012|2',
	'raise => false: a row says what failed');
sound('failing', 'raise => false');
is(app('failing', 'SELECT count(*) FROM migrate.applied'),
	'0', 'raise => false: nothing is half done');
is(failures('failing'), 'apply|2|up|2|2|22012', 'raise => false: journalled');

# raised: the journal has it all the same, by way of a worker
owner_database($node, 'failing');
app('failing', $bad);
my $offset = log_size($node);
($status, $out, $err) =
  run_sql($node, 'failing', 'app', q{SELECT migrate.apply(note => 'n')});
like($err, qr/ERROR:  22012: division by zero\n/, 'raised: the error');
unlike($err, qr/WARNING/, 'raised: nothing was in the way');
sound('failing', 'raised');
is(failures('failing'), 'apply|2|up|2|2|22012', 'raised: journalled');
is( app('failing',
		q{SELECT j.note, j.role, j.session_role, j.context, b.text
			FROM migrate.journal j JOIN migrate.executed_text b ON b.body_hash = j.body_hash}),
	"n|app|app|migration \"2\", up body, statement 2, line 2|CREATE TABLE t_2 (id int);\nSELECT 1/0",
	'raised: with everything about it, and the text');
is(count_in_log($offset, $failed_line), 1, 'raised: the server log has a line');

# the same failure again is a log line only
($status, $out, $err) =
  run_sql($node, 'failing', 'app', 'SELECT migrate.apply()')
  foreach 1 .. 3;
like($err, qr/ERROR:  22012/, 'again: the error');
is(failures('failing'), 'apply|2|up|2|2|22012', 'again: not journalled again');
is(count_in_log($offset, $failed_line), 4, 'again: logged each time');
run_sql($node, 'failing', 'app',
	'SET migrate.failure_quiet = 0; SELECT migrate.apply()');
is( failures('failing'),
	"apply|2|up|2|2|22012\napply|2|up|2|2|22012",
	'again: journalled if failure_quiet is off');

# another failure is another matter: another error, another text
app('failing', q{SELECT migrate.remove('2');
	SELECT migrate.add('2', E'SELECT 1/0')});
run_sql($node, 'failing', 'app', 'SELECT migrate.apply()');
app('failing', q{SELECT migrate.remove('2');
	SELECT migrate.add('2', E'SELECT nothing')});
run_sql($node, 'failing', 'app', 'SELECT migrate.apply()');
is( failures('failing'),
	join("\n",
		'apply|2|up|2|2|22012', 'apply|2|up|2|2|22012',
		'apply|2|up|1|1|22012', 'apply|2|up|1|1|42703'),
	'another failure: journalled');
sound('failing', 'after many failures');

# a failure that is not of a body
app('failing', q{SELECT migrate.remove('2');
	SELECT migrate.add('3', 'CREATE TABLE t_3 (id int PRIMARY KEY)');
	SELECT migrate.add('4', 'CREATE TABLE t_4 (id int REFERENCES t_3
		DEFERRABLE INITIALLY DEFERRED); INSERT INTO t_4 VALUES (1)')});
run_sql($node, 'failing', 'app', 'SELECT migrate.apply()');
like(failures('failing'), qr/^apply\|4\|.*\|23503$/m,
	'a deferred constraint: journalled');
sound('failing', 'a deferred constraint');

# ---------------------------------------------------------------------------
# The caller's own uncommitted rows
# ---------------------------------------------------------------------------

owner_database($node, 'own');
my $caller = session($node, 'own', 'app');

# Fail in a transaction that has gone through some statements before: fast, and
# to be seen by others while that transaction is still open.
sub fails_in_transaction
{
	my ($name, $before, $journalled) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my (undef, $messages) = ask($caller, "BEGIN; $before");
	unlike($messages, qr/ERROR/, "$name: so far so good");
	my $start = time;
	(undef, $messages) = ask($caller, 'SELECT migrate.apply()');
	my $duration = time - $start;
	like($messages, qr/ERROR:  22012/, "$name: the error");
	unlike($messages, qr/WARNING/, "$name: nothing was in the way");
	cmp_ok($duration, '<', 2, "$name: in less than two seconds");
	is(app('own', 'SELECT count(*) FROM migrate.failures'),
		$journalled, "$name: journalled while the caller's transaction is open");
	ask($caller, 'ROLLBACK');
	sound('own', $name);
	return;
}
ask($caller, 'SET migrate.failure_quiet = 0');
fails_in_transaction('add() and apply()',
	q{SELECT migrate.add('1', 'SELECT 1/0')}, 1);
fails_in_transaction(
	'a text that is stored in the same transaction already',
	q{SELECT migrate.add('1', 'SELECT 2/0');
	SELECT migrate.apply(raise => false)}, 2);
fails_in_transaction(
	'apply(), add() and apply()',
	q{SELECT migrate.add('0', 'CREATE TABLE t_0 (id int)', 'DROP TABLE t_0');
	SELECT migrate.apply();
	SELECT migrate.add('1', 'SELECT 1/0')}, 3);
fails_in_transaction(
	'apply(), rollback(), apply()',
	q{SELECT migrate.add('0', 'CREATE TABLE t_0 (id int)', 'DROP TABLE t_0');
	SELECT migrate.apply(); SELECT migrate.rollback();
	SELECT migrate.add('1', 'SELECT 1/0')}, 4);
is(app('own', 'SELECT text FROM migrate.executed_text ORDER BY 1'),
	"SELECT 1/0\nSELECT 2/0", 'and the texts that failed are kept once');
$caller->quit;

# the books themselves are not committed yet: nobody else can write into them
owner_database($node, 'fresh', without_extension => 1);
($status, $out, $err) = run_sql($node, 'fresh', 'app',
	q{BEGIN; CREATE EXTENSION migrate; SELECT migrate.add('1', 'SELECT 1/0');
	SELECT migrate.apply()});
like($err, qr/ERROR:  22012/, 'in the transaction of CREATE EXTENSION: the error');
like($err, qr/WARNING:  55000: could not confirm that the failure was recorded/,
	'in the transaction of CREATE EXTENSION: a warning');

# somebody else is in the way: the error comes all the same, and is the same
app('own', q{SELECT migrate.add('1', 'SELECT 1/0')});
my $blocker = session($node, 'own');
$caller = session($node, 'own', 'app');
$pid = pid_of($caller);
ask($blocker, 'BEGIN; LOCK TABLE migrate.journal IN SHARE ROW EXCLUSIVE MODE');
$offset = log_size($node);
ask_start($caller, 'SET migrate.failure_quiet = 0; SELECT migrate.apply()');
$node->poll_query_until(
	'postgres', qq{SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE backend_type = 'migrate worker' AND wait_event_type = 'Lock')
		OR NOT EXISTS (SELECT FROM pg_stat_activity
			WHERE pid = $pid AND state = 'active')})
  or die 'the worker does not come';
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
($out, $err) = ask_wait($caller);
like($err, qr/ERROR:  22012/, 'journal locked: the error is the original one');
like($err, qr/WARNING:  55000: could not confirm that the failure was recorded/,
	'journal locked: a warning says that it may not be journalled');
is( count_in_log($offset,
		qr/apply of migration "1" of project "default" failed in run \d+: 22012/),
	1,
	'journal locked: the server log has it');
ask($blocker, 'ROLLBACK');
is(app('own', 'SELECT count(*) FROM migrate.failures'),
	'4', 'journal locked: nothing is written later');
$_->quit foreach $caller, $blocker;
sound('own', 'journal locked');

# ---------------------------------------------------------------------------
# Settings that reach background workers
# ---------------------------------------------------------------------------

owner_database($node, 'settings');
app('settings', $bad);
# without it the search_path would be the bodies' too
app('settings', q{INSERT INTO migrate.policy (search_path) VALUES ('public')});
$node->safe_psql(
	'postgres',
	join ';',
	(   map { "ALTER DATABASE settings SET $_" } 'default_transaction_read_only = on',
		'default_transaction_isolation = serializable',
		'default_transaction_deferrable = on',
		'search_path = nowhere',
		'lock_timeout = 1',
		'row_security = off',
		'session_replication_role = replica',
		'migrate.notify = off'),
	# for the role that the worker connects as: our own sessions would suffer
	(   map { "ALTER ROLE \"$superuser\" IN DATABASE settings SET $_" }
		  'statement_timeout = 1',
		'idle_in_transaction_session_timeout = 1',
		'role = viewer',
		'default_transaction_read_only = on'));
($status, $out, $err) = run_sql($node, 'settings', 'app',
	'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT migrate.apply()');
like($err, qr/ERROR:  22012/, 'hostile settings: the error');
unlike($err, qr/WARNING/, 'hostile settings: the worker has written');
is(failures('settings'), 'apply|2|up|2|2|22012',
	'hostile settings: journalled');

# ---------------------------------------------------------------------------
# No worker to be had
# ---------------------------------------------------------------------------

owner_database($node, 'workers');
app('workers', $bad);
$node->append_conf('postgresql.conf', "max_worker_processes = 0\n");
$node->restart;
$offset = log_size($node);
($status, $out, $err) =
  run_sql($node, 'workers', 'app', 'SELECT migrate.apply()');
like($err, qr/ERROR:  22012: division by zero\n/,
	'no worker: the original error');
like(
	$err,
	qr/WARNING:  53000: could not record the failure in migrate\.journal\nDETAIL:  No background worker could be started\.\nHINT: .*max_worker_processes/,
	'no worker: a warning says that it is not journalled');
is(count_in_log($offset, $failed_line), 1, 'no worker: the server log has it');
is(failures('workers'), '', 'no worker: the journal has not');
sound('workers', 'no worker');
app('workers', 'SELECT migrate.apply(raise => false)');
is(failures('workers'), 'apply|2|up|2|2|22012',
	'no worker: raise => false needs none');
app('workers', q{SELECT migrate.remove('2'); SELECT migrate.apply()});
sound('workers', 'no worker, and a run that succeeds');
$node->append_conf('postgresql.conf', "max_worker_processes = 8\n");
$node->restart;

# ---------------------------------------------------------------------------
# PREPARE TRANSACTION
# ---------------------------------------------------------------------------

# NOTIFY alone would refuse it; what must is the runner lock
database('prepared');
$node->safe_psql('postgres', 'ALTER DATABASE prepared SET migrate.notify = off');
foreach my $call (
	'migrate.apply()',
	q{migrate.add('4', 'SELECT 1')},
	q{migrate.load('{"005_x.sql": "SELECT 1"}')},
	q{migrate.hold('1', 'no')},
	q{migrate.stamp('1')})
{
	($status, $out, $err) = run_sql($node, 'prepared', 'app',
		"BEGIN; SELECT $call; PREPARE TRANSACTION 'p'");
	my ($function) = $call =~ /(\w+)\(/;
	like($err,
		qr/ERROR:  0A000: cannot PREPARE a transaction that has run or changed migrations/,
		"PREPARE TRANSACTION after $function() is refused");
}
is(app('prepared', 'SELECT count(*) FROM pg_prepared_xacts'),
	'0', 'no transaction is prepared');
sound('prepared', 'PREPARE TRANSACTION');
app('prepared', 'SELECT migrate.apply()');
($status, $out, $err) = run_sql($node, 'prepared', 'app',
	q{BEGIN; SELECT migrate.apply(); PREPARE TRANSACTION 'p';
	ROLLBACK PREPARED 'p'});
is($status, 0, 'PREPARE TRANSACTION after a call that did nothing is not')
  or diag($err);

# ---------------------------------------------------------------------------
# statement_timeout
# ---------------------------------------------------------------------------

# Each statement takes less than the time, all together take more.
owner_database($node, 'timeout');
app('timeout', q{SELECT migrate.add('1',
	'CREATE TABLE t_1 (id int);' || repeat('SELECT pg_sleep(0.6);', 5),
	'DROP TABLE t_1')});
my $start = time;
($status, $out, $err) = run_sql($node, 'timeout', 'app',
	q{SET statement_timeout = '2500ms'; SELECT count(*) FROM migrate.apply()});
is("$status $out", '0 1', 'statement_timeout is not for the whole call')
  or diag($err);
cmp_ok(time - $start, '>', 2.5, 'which took longer than that');
app('timeout', q{SELECT migrate.add('2', E'SELECT 1;\nSELECT pg_sleep(600)')});
($status, $out, $err) = run_sql($node, 'timeout', 'app',
	q{SET statement_timeout = '500ms'; SELECT migrate.apply()});
like($err,
	qr/ERROR:  57014: canceling statement due to statement timeout\nCONTEXT:  migration "2", up body, statement 2, line 2/,
	'it is for each statement of a body');
is(failures('timeout'), 'apply|2|up|2|2|57014', 'and journalled');
sound('timeout', 'statement_timeout');

# ---------------------------------------------------------------------------
# log_statement
# ---------------------------------------------------------------------------

owner_database($node, 'logged');
app('logged', q{SELECT migrate.add('1', 'CREATE TABLE t_1 (id int);
	INSERT INTO t_1 VALUES (42); SELECT 43', 'DROP TABLE t_1')});
my %logged = (
	CREATE => qr/LOG:  statement: CREATE TABLE t_1 \(id int\)\n/,
	INSERT => qr/LOG:  statement: INSERT INTO t_1 VALUES \(42\)\n/,
	SELECT => qr/LOG:  statement: SELECT 43\n/,
	DROP => qr/LOG:  statement: DROP TABLE t_1\n/,
	call => qr/LOG:  statement: SELECT migrate\.apply\(\);?\n/);
foreach my $case (
	[ none => '' ],
	[ ddl => 'CREATE DROP' ],
	[ mod => 'CREATE DROP INSERT' ],
	[ all => 'CREATE DROP INSERT SELECT call' ])
{
	my ($setting, $expected) = @$case;

	$node->safe_psql('postgres',
		"ALTER DATABASE logged SET log_statement = '$setting'");
	$offset = log_size($node);
	app('logged', 'SELECT migrate.apply()');
	app('logged', 'SELECT migrate.rollback()');
	is( join(' ',
			grep { count_in_log($offset, $logged{$_}) == 1 } sort keys %logged),
		$expected,
		"log_statement = $setting");
}

# ---------------------------------------------------------------------------
# NOTIFY
# ---------------------------------------------------------------------------

owner_database($node, 'notified');
my $listener = session($node, 'notified', 'viewer');
my $sender = session($node, 'notified', 'app');
ask($listener, 'LISTEN migrate; LISTEN fence');

# The payloads that have been sent up to now.
sub notifications
{
	my @payloads;
	my $output = '';
	app('notified', 'NOTIFY fence');
	$output .= ask($listener, 'SELECT 1') until $output =~ /"fence"/;
	push @payloads, decode_json($1)
	  while $output =~
	  /^Asynchronous notification "migrate" with payload "(.*)" received/mg;
	return @payloads;
}
app('notified', $bad);
ask($sender, q{BEGIN; SELECT migrate.apply(versions => '{1}')});
is(scalar(notifications()), 0, 'nothing is sent before the commit');
ask($sender, 'COMMIT');
my @sent = notifications();
is(scalar(@sent), 1, 'one notification for a run');
is( join(' ', sort keys %{ $sent[0] }),
	'action milliseconds outcome project run sqlstate version',
	'its keys are the documented ones');
like(delete $sent[0]{milliseconds}, qr/^\d+(\.\d+)?$/, 'its milliseconds');
is_deeply(
	$sent[0],
	{
		run => 1,
		project => 'default',
		version => '1',
		action => 'apply',
		outcome => 'success',
		sqlstate => undef
	},
	'its content');

ask($sender, 'BEGIN; SELECT migrate.rollback(); ROLLBACK');
is(scalar(notifications()), 0, 'nothing is sent for what was taken back');

# the message of this failure would tell something
app('notified', q{SELECT migrate.remove('2');
	SELECT migrate.add('2', 'CREATE TABLE t_2 (secret text PRIMARY KEY);
		INSERT INTO t_2 VALUES (''hunter2''), (''hunter2'')')});
(undef, $err) = ask($sender, 'SELECT migrate.apply()');
like($err, qr/ERROR:  23505: .*DETAIL:  .*hunter2/s, 'a failure that says much');
@sent = notifications();
is(scalar(@sent), 1, 'a failure is sent');
like(delete $sent[0]{milliseconds}, qr/^\d+(\.\d+)?$/, 'its milliseconds');
is_deeply(
	$sent[0],
	{
		run => 3,
		project => 'default',
		version => '2',
		action => 'apply',
		outcome => 'failure',
		sqlstate => '23505'
	},
	'its content says nothing of it');
ask($sender, 'SET migrate.failure_quiet = 0');
ask($sender, 'SELECT migrate.apply(raise => false)');
@sent = notifications();
is(scalar(@sent), 1, 'one that is reported as a row is sent');
is($sent[0]{outcome}, 'failure', 'as a failure');

ask($sender, 'SELECT migrate.rollback()');
@sent = notifications();
is("$sent[0]{action} $sent[0]{version} $sent[0]{outcome}",
	'rollback 1 success', 'a roll-back is sent');
ask($sender, 'SELECT migrate.apply(dry_run => true)');
ask($sender, q{SELECT migrate.apply(versions => '{1}', dry_run => true)});
is(scalar(notifications()), 0, 'a dry run is not');
ask($sender, 'SET migrate.notify = off');
ask($sender, q{SELECT migrate.apply(versions => '{1}')});
ask($sender, 'SELECT migrate.apply()');
is(scalar(notifications()), 0, 'nothing is sent if migrate.notify is off');
is(app('notified', q{SELECT count(*) FROM migrate.applied}),
	'1', 'though there was a run');
$_->quit foreach $listener, $sender;

done_testing();
