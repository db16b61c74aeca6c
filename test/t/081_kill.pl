# Runs of every kind that are ended at random moments, in every way: kill -9 of
# the process, pg_terminate_backend, a cancel, statement_timeout, a client that
# is gone, an immediate shutdown of the server.  After each of them books and
# schema agree, nothing is locked, and the next call finishes the work.
#
# Needs servers that crash.  MIGRATE_KILLS says how many runs to end, and
# MIGRATE_SEED repeats the choices of an earlier one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use List::Util qw(shuffle);
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $kills = $ENV{MIGRATE_KILLS} || 60;
my $seed = $ENV{MIGRATE_SEED} || int(rand(1_000_000));
srand($seed);
diag("MIGRATE_KILLS=$kills MIGRATE_SEED=$seed");

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
restart_after_crash = on
autovacuum = off
max_worker_processes = 16
max_connections = 30
migrate.wait_timeout = 1min
migrate.progress_notices = off
});
$node->start;

my $db = 'killed';

# ---------------------------------------------------------------------------
# The work
# ---------------------------------------------------------------------------

# Each statement of a migration that has an effect is in the table effect: a row
# of table log, which would be there twice if it were run twice, or an index.
# down_statement is the statement of the down body that takes it back.
#
# disagreements() says where books and schema contradict each other.  A statement
# of a migration that is partly done has its effect when its step is finished, and
# has none when it is not.  A concurrent build that was cut off may leave an index
# that is not valid, and one that was dropped an index that is there, valid or
# not: but never a valid one whose step is not finished, nor none whose drop is
# not, for these are committed together.
my $schema = q{
CREATE TABLE big AS SELECT i AS n FROM generate_series(1, 2000) i;
CREATE TABLE log (version text, statement int);
CREATE TABLE effect (version text, statement int, index text, down_statement int);
CREATE VIEW fact AS
	SELECT e.version, e.statement, e.index,
		a.version IS NOT NULL AS applied,
		coalesce(up.finished, false) AS up_finished,
		coalesce(NOT up.finished, false) AS up_started,
		coalesce(down.finished, false) AS down_finished,
		coalesce(NOT down.finished, false) AS down_started,
		(SELECT count(*) FROM log l WHERE l.version = e.version
			AND l.statement = e.statement) AS log_rows,
		i.indisvalid
	FROM effect e
	LEFT JOIN migrate.applied a ON a.version = e.version
	LEFT JOIN LATERAL (SELECT finished_at IS NOT NULL AS finished
		FROM migrate.step s WHERE s.version = e.version AND s.body = 'up'
			AND e.statement BETWEEN s.statement AND s.last_statement) up ON true
	LEFT JOIN LATERAL (SELECT finished_at IS NOT NULL AS finished
		FROM migrate.step s WHERE s.version = e.version AND s.body = 'down'
			AND e.down_statement BETWEEN s.statement AND s.last_statement) down ON true
	LEFT JOIN pg_class c ON c.relname = e.index
	LEFT JOIN pg_index i ON i.indexrelid = c.oid;
CREATE FUNCTION disagreements() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('log of %s, statement %s: %s rows', version, statement, log_rows)
		FROM fact
		WHERE index IS NULL
			AND log_rows <> (applied AND NOT down_finished OR up_finished)::int
	UNION ALL
	SELECT format('index of %s is %s: applied %s, up finished %s started %s, down finished %s started %s',
			version, CASE WHEN indisvalid THEN 'valid'
				WHEN NOT indisvalid THEN 'not valid' ELSE 'not there' END,
			applied, up_finished, up_started, down_finished, down_started)
		FROM fact
		WHERE index IS NOT NULL AND NOT CASE
			WHEN down_finished THEN indisvalid IS NULL
			WHEN applied AND down_started THEN indisvalid IS NOT NULL
			WHEN applied OR up_finished THEN coalesce(indisvalid, false)
			WHEN up_started THEN indisvalid IS NOT TRUE
			ELSE indisvalid IS NULL END
	UNION ALL
	SELECT format('ledger of %s: %s, journal: %s', version, a.version IS NOT NULL, j.action)
		FROM migrate.applied a FULL JOIN
			(SELECT DISTINCT ON (version) version, action FROM migrate.journal
				WHERE outcome = 'success' AND action IN ('apply', 'rollback')
				ORDER BY version, run DESC, seq DESC) j USING (version)
		WHERE (a.version IS NOT NULL) <> (coalesce(j.action, '') = 'apply')
	UNION ALL
	SELECT format('state: %s applied, complete: %s', applied, complete)
		FROM migrate.state
		WHERE applied <> (SELECT count(*) FROM migrate.applied)
				AND complete
			OR complete AND (SELECT count(*) FROM migrate.migration m
				LEFT JOIN migrate.applied a USING (version)
				WHERE a.version IS NULL) > 0
	UNION ALL
	SELECT format('more than one step of %s is open', version)
		FROM migrate.step WHERE finished_at IS NULL
		GROUP BY version, body HAVING count(*) > 1
$$;
-- one in the background that never began is believed to do so for ten seconds
CREATE FUNCTION open_runs() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('run %s of process %s is open', run, backend_pid)
		FROM migrate.run r WHERE outcome IS NULL
			AND NOT EXISTS (SELECT FROM pg_stat_activity
				WHERE pid = r.backend_pid AND backend_start = r.backend_start)
			AND NOT (mode = 'background' AND started_at IS NULL
				AND requested_at > clock_timestamp() - interval '12 s')
$$;
GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
ALTER TABLE big OWNER TO app;
};

# Store what one round has to do; returns nothing.
my $round = 0;

sub add_migrations
{
	my ($in_steps) = @_;
	my $sql = '';
	my $n = 0;
	my $add = sub {
		my ($kind) = @_;
		my $version = sprintf('%04d_%d', $round, ++$n);
		my $log = sub { "INSERT INTO log VALUES (''$version'', $_[0]); " };
		my $unlog =
		  sub { "DELETE FROM log WHERE version = ''$version'' AND statement = $_[0]; " };
		my $effect = sub {
			my ($statement, $down, $index) = @_;
			$sql .= "INSERT INTO effect VALUES ('$version', $statement, "
			  . ($index ? "'i_$version'" : 'NULL') . ", $down);\n";
		};
		my $build = "CREATE INDEX CONCURRENTLY i_$version ON big (n); ";
		my $drop = "DROP INDEX CONCURRENTLY i_$version; ";

		if ($kind eq 'one')
		{
			$effect->(1, 1);
			$effect->(3, 2);
			$sql .= "SELECT migrate.add('$version', '"
			  . $log->(1) . 'SELECT pg_sleep(0.003); ' . $log->(3) . "', '"
			  . $unlog->(1) . $unlog->(3) . "');\n";
		}
		elsif ($kind eq 'middle')
		{
			$effect->(1, 3);
			$effect->(2, 2, 1);
			$effect->(3, 1);
			$sql .= "SELECT migrate.add('$version', '"
			  . $log->(1) . $build . $log->(3) . "', '"
			  . $unlog->(3) . $drop . $unlog->(1)
			  . "', verify => 'SELECT indisvalid FROM pg_index WHERE indexrelid = ''i_$version''::regclass');\n";
		}
		elsif ($kind eq 'last')
		{
			$effect->(1, 1, 1);
			$sql .= "SELECT migrate.add('$version', '$build', '$drop');\n";
		}
		elsif ($kind eq 'off')
		{
			$effect->($_, $_) foreach 1 .. 3;
			$sql .= "SELECT migrate.add('$version', '"
			  . join('', map { $log->($_) } 1 .. 3) . "', '"
			  . join('', map { $unlog->($_) } 1 .. 3)
			  . "', transactional => false);\n";
		}
	};
	my @kinds = $in_steps ? qw(one middle last off) : qw(one one one);

	$round++;
	$add->($_) foreach shuffle(@kinds);
	query($node, $db, 'app', "BEGIN;\n${sql}COMMIT");
	return;
}

# ---------------------------------------------------------------------------
# One round
# ---------------------------------------------------------------------------

my %calls = (
	apply => 'SELECT count(*) FROM migrate.apply()',
	apply_each => 'CALL migrate.apply_each()',
	rollback_each => 'CALL migrate.rollback_each(4)',
	start => undef);

# the plain one has been interrupted in every way by other tests
my @choices = ('apply', ('apply_each', 'rollback_each', 'start') x 2);

# about how long they take, in seconds; goes up when one was cut off, and down
# when it was over before
my %duration = map { $_ => 0.1 } keys %calls;

my $control;

# A superuser's session that looks on; there is a new one after a crash.
sub control
{
	$control //= session($node, $db);
	return $control;
}

sub server_is_back
{
	$control->{run}->kill_kill if $control;
	undef $control;
	$node->poll_query_until('postgres', 'SELECT 1', '1')
	  or die 'the server does not come back';
	return;
}

sub is_gone
{
	my ($pid) = @_;
	my $limit = time + $PostgreSQL::Test::Utils::timeout_default;

	while (kill(0, $pid))
	{
		die "process $pid does not end" if time > $limit;
		usleep(2000);
	}
	return;
}

# Each way to end a run: what to do.  crash: all sessions are gone then.
my %ways = (
	'kill -9' => {
		weight => 3,
		crash => 1,
		how => sub {
			my ($pid) = @_;
			kill('KILL', $pid) or return;
			is_gone($pid);
		}
	},
	'pg_terminate_backend' => {
		weight => 5,
		how => sub { ask(control(), "SELECT pg_terminate_backend($_[0])") }
	},
	'a cancel' => {
		weight => 5,
		how => sub {
			my ($pid, undef, $run) = @_;
			ask(control(),
				$run ? "SELECT migrate.cancel($run)" : "SELECT pg_cancel_backend($pid)");
		}
	},
	'statement_timeout' => { weight => 3, timeout => 1 },
	'a client that is gone' => {
		weight => 3,
		how => sub {
			my (undef, $session) = @_;
			$session->{run}->kill_kill;
		}
	},
	'an immediate shutdown' => {
		weight => 1,
		crash => 1,
		how => sub {
			$node->stop('immediate');
			$node->start;
		}
	});
my @ways = map { ($_) x $ways{$_}{weight} } sort keys %ways;
my %count;
my $cut_off = 0;

sub one_round
{
	my $call = $choices[ rand(@choices) ];
	my $name = $ways[ rand(@ways) ];
	my $way = $ways{$name};
	my $moment = rand($duration{$call});
	my $title = sprintf('%s, %s after %.1f ms', $call, $name, $moment * 1000);
	my ($run, $err, @problems);

	add_migrations($call ne 'apply');
	query($node, $db, 'app', 'CALL migrate.apply_each()')
	  if $call eq 'rollback_each';

	control();
	my $session = session($node, $db, 'app');
	my $pid = pid_of($session);
	my $target = $pid;
	ask($session, sprintf('SET statement_timeout = %d', 1 + rand(6)))
	  if $way->{timeout};
	my $start = time;
	if ($call eq 'start')
	{
		$run = ask($session, 'SELECT migrate.start()');
		$run = undef if $run !~ /^\d+$/;
		$target = ask(control(), "SELECT backend_pid FROM migrate.run WHERE run = $run")
		  if $run;
		ask_start($session, $run ? "CALL migrate.wait($run)" : 'SELECT 1/0');
	}
	else
	{
		ask_start($session, $calls{$call});
	}
	if ($way->{how})
	{
		my $rest = $start + $moment - time;
		usleep($rest * 1_000_000) if $rest > 0;
		$way->{how}->($target, $session, $run) if $target =~ /^\d+$/;
	}
	server_is_back() if $way->{crash};
	(undef, $err) = ask_wait($session);
	push @problems, "nobody has ended the run in the background: $err"
	  if $call eq 'start' && $err =~ /MG025/ && $name =~ /timeout|client/;
	if ($err =~ /ERROR|FATAL|closed the connection/ || !$session->{run}->pumpable)
	{
		$cut_off++;
		$duration{$call} *= 1.05 if $way->{how};
	}
	else
	{
		$duration{$call} *= 0.85 if $way->{how};
	}
	push @problems, "an error that was not expected: $err"
	  if $err =~ /ERROR:  (\w+)/
	  && $1 !~ /^(57014|57P01|57P02|MG025|22012)$/;
	$session->{run}->pumpable ? $session->quit : $session->{run}->kill_kill;
	is_gone($pid);

	# a run in the background goes on without its client, or comes to its end
	is_gone($target) if $target =~ /^\d+$/;
	push @problems, query($node, $db, $superuser, 'SELECT disagreements()');
	push @problems, 'locks: ' . locks_left($node, $db)
	  if locks_left($node, $db) ne '';

	# what is left, and something more: a call with nothing to do writes nothing
	add_migrations(0);
	my ($status, $out, $messages) = run_sql(
		$node, $db, 'app', (
			query($node, $db, $superuser,
				q{SELECT count(*) FROM migrate.step WHERE body = 'down'})
			? "CALL migrate.rollback_each(1);\n"
			: '')
		  . 'CALL migrate.apply_each()');
	push @problems, "the next call fails: $messages" if $status != 0;
	push @problems, query($node, $db, $superuser,
		q{SELECT disagreements() UNION ALL SELECT 'not applied: ' || version
			FROM migrate.status() WHERE state <> 'applied'});
	push @problems, query($node, $db, $superuser, 'SELECT open_runs()');
	is(join("\n", grep { $_ ne '' } @problems), '', $title);
	$count{$name}++;
	return;
}

owner_database($node, $db);
query($node, $db, $superuser, $schema);
my $begin = time;
one_round() foreach 1 .. $kills;

# runs in the background that never began are not believed in for ever
$node->poll_query_until(
	$db,
	q{SELECT count(*) = 0 FROM migrate.run WHERE outcome IS NULL
		AND requested_at > clock_timestamp() - interval '11 s'});
add_migrations(1);
query($node, $db, 'app', 'CALL migrate.apply_each()');
is(query($node, $db, $superuser, 'SELECT count(*) FROM migrate.run WHERE outcome IS NULL'),
	'0', 'no run is open in the end');
is(query($node, $db, $superuser, 'SELECT disagreements()'),
	'', 'books and schema agree in the end');

cmp_ok($cut_off, '>', $kills / 3, 'many runs were cut off');
diag(sprintf('%d runs, %d of them cut off, in %.0f s: %s; interrupted in the journal: %s',
		$kills, $cut_off, time - $begin,
		join(', ', map { "$count{$_} $_" } sort keys %count),
		query($node, $db, $superuser,
			q{SELECT count(*) FROM migrate.journal WHERE sqlstate = '57P02'})));
unlike(slurp_file($node->logfile), qr/PANIC:|TRAP:|signal 11/,
	'nothing has crashed by itself');
done_testing();
