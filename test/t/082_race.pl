# Everybody at once: 64 sessions that apply, undo and look in every way, over
# transactions and without.  Each migration has its effect exactly as often as the
# journal says, nobody deadlocks, and no error comes but those that say "somebody
# else is at it".
#
# Needs many sessions at the same moment.  MIGRATE_RACE_SECONDS says for how long,
# and MIGRATE_SEED repeats the choices of an earlier run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{MIGRATE_RACE_SECONDS} || 10;
my $seed = $ENV{MIGRATE_SEED} || int(rand(1_000_000));
my $callers = 64;
srand($seed);
diag("MIGRATE_RACE_SECONDS=$seconds MIGRATE_SEED=$seed");

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
max_connections = 120
max_worker_processes = 24
deadlock_timeout = 20ms
migrate.wait_timeout = 1min
migrate.progress_notices = off
});
$node->start;

# Run SQL as app; dies if it fails.
sub app
{
	my ($db, $sql) = @_;
	return query($node, $db, 'app', $sql);
}

# ---------------------------------------------------------------------------
# A build, and who waits for its end in three ways
# ---------------------------------------------------------------------------

my $db = 'waiting';
owner_database($node, $db);
app($db, q{CREATE TABLE big (n int);
	SELECT migrate.add('1', 'SELECT pg_advisory_xact_lock(5)');
	SELECT migrate.add('2', 'CREATE INDEX CONCURRENTLY big_n ON big (n)')});

# each of those who wait comes before the build or while it is held up
foreach my $when ('before the build', 'in the build')
{
	my $holder = session($node, $db);
	my ($worker, $run, $out, $err);
	my %waiting;

	ask($holder,
		$when eq 'before the build'
		? 'SELECT pg_advisory_lock(5)'
		: 'BEGIN; INSERT INTO big VALUES (1)');
	$run = app($db, q{SET migrate.lock_timeout = 0; SELECT migrate.start()});
	$node->poll_query_until(
		$db, q{SELECT count(*) = 1 FROM pg_locks JOIN pg_stat_activity USING (pid)
			WHERE backend_type = 'migrate run' AND NOT granted
				AND locktype = '}
		  . ($when eq 'before the build' ? 'advisory' : 'virtualxid') . q{'})
	  or die 'the run does not wait';
	foreach my $call (
		"CALL migrate.wait($run)",
		'CALL migrate.apply_each()',
		'SELECT migrate.apply()')
	{
		my $session = session($node, $db, 'app');
		my $pid = pid_of($session);

		ask_start($session, $call);
		is_waiting($node, $pid, 'Extension') or die "$call does not wait"
		  unless $call =~ /apply\(/ && $when eq 'in the build';
		$waiting{$call} = $session;
	}
	(undef, $err) = ask_wait($waiting{'SELECT migrate.apply()'})
	  if $when eq 'in the build';
	$holder->quit;
	(undef, $err) = ask_wait($waiting{'SELECT migrate.apply()'})
	  if $when eq 'before the build';
	like($err, qr/ERROR:  MG041: another session is running a migration that cannot/,
		"$when: apply() gives up");
	foreach my $call (grep { /CALL/ } sort keys %waiting)
	{
		(undef, $err) = ask_wait($waiting{$call});
		unlike($err, qr/ERROR/, "$when: $call comes to its end");
	}
	$_->quit foreach values %waiting;
	is(app($db, q{SELECT indisvalid FROM pg_index WHERE indrelid = 'big'::regclass}),
		't', "$when: the index is built");
	is(app($db, 'SELECT string_agg(outcome, $$ $$) FROM migrate.run'),
		'success', "$when: the run has come to its end")
	  if $when eq 'before the build';
	is(locks_left($node, $db), '', "$when: no lock is left");
	app($db, q{SELECT migrate.unstamp('2'); DROP INDEX big_n});
}

# ---------------------------------------------------------------------------
# Everybody at once
# ---------------------------------------------------------------------------

$db = 'race';
owner_database($node, $db);
app($db, q{
	CREATE TABLE done (version text, what text);
	CREATE TABLE present (version text);
	CREATE TABLE big AS SELECT i AS n FROM generate_series(1, 500) i;
	INSERT INTO migrate.policy (project, out_of_order) VALUES ('default', 'allow')});
my @versions = ('01' .. '08');
foreach my $version (@versions)
{
	my $up = "INSERT INTO done VALUES ('$version', 'apply'); "
	  . "INSERT INTO present VALUES ('$version'); ";
	my $down = "INSERT INTO done VALUES ('$version', 'rollback'); "
	  . "DELETE FROM present WHERE version = '$version'; ";

	# every fourth has a build in the middle, or one in the end
	if ($version % 4 == 0)
	{
		my $build = "CREATE INDEX CONCURRENTLY i_$version ON big (n); ";
		my $drop = "DROP INDEX CONCURRENTLY i_$version; ";

		$up = $version == 4 ? $build . $up : $up . $build;
		$down = $version == 4 ? $down . $drop : $drop . $down;
	}
	app($db, "SELECT migrate.add('$version', " . quote($up) . ', ' . quote($down) . ')');
}

# What one of them does next.
sub a_call
{
	my @plain = grep { $_ % 4 } @versions;
	my $some = join(',', map { $plain[ rand(@plain) ] } 1 .. 2);
	my $n = 1 + int(rand(3));
	my @calls = (
		'CALL migrate.apply_each();',
		'CALL migrate.apply_each();',
		"CALL migrate.rollback_each($n);",
		"CALL migrate.rollback_each($n);",
		"SELECT count(*) FROM migrate.apply(versions => '{$some}');",
		"SELECT count(*) FROM migrate.rollback(versions => '{$plain[rand(@plain)]}');",
		"BEGIN; SELECT count(*) FROM migrate.apply(versions => '{$some}'); ROLLBACK;",
		"SELECT migrate.start() AS run \\gset\n"
		  . "\\if :{?run}\nCALL migrate.wait(:run);\n\\unset run\n\\endif",
		'SELECT count(*) FROM migrate.status();',
		# it has no lock, and says so if what it reads stands half-way
		q{DO $$ BEGIN PERFORM FROM migrate.plan(); EXCEPTION WHEN SQLSTATE 'MG022' THEN NULL; END $$;},
		'SELECT count(*) FROM migrate.progress();');
	return $calls[ rand(@calls) ];
}

my @runs;
my $start = time;
foreach my $caller (1 .. $callers)
{
	my $script = PostgreSQL::Test::Utils::tempdir_short() . "/$caller.sql";
	my $run = { out => '', err => '' };
	my $sql = "SELECT clock_timestamp() + interval '$seconds s' AS until \\gset\n";

	foreach (1 .. 40 * $seconds)
	{
		$sql .= "SELECT clock_timestamp() > :'until' AS over \\gset\n"
		  . "\\if :over\n\\q\n\\endif\n"
		  . a_call() . "\n";
	}
	append_to_file($script, $sql);
	$run->{handle} = IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq',
			'-v', 'VERBOSITY=verbose',
			'-d', $node->connstr($db) . ' user=app',
			'-f', $script
		],
		'<', \undef, '>', \$run->{out}, '2>', \$run->{err},
		IPC::Run::timeout(
			$seconds + $PostgreSQL::Test::Utils::timeout_default));
	push @runs, $run;
}
foreach my $run (@runs)
{
	$run->{handle}->finish;
	$run->{status} = $run->{handle}->full_result(0);
}
cmp_ok(time - $start, '<', $seconds + 60, 'nobody hangs');
is(scalar(grep { $_->{status} != 0 } @runs), 0, 'every session lasts');

# what somebody may be told who was not alone
my %expected = (
	'55P03' => 'somebody else has the runner lock',
	'53400' => 'enough runs of the role are waiting in the background',
	'MG041' => 'somebody else is inside a statement that waits for all',
	'MG001' => 'somebody else has undone it already',
	'22023' => 'somebody else has undone some of them already',
	'53000' => 'no slot for another background worker',
	'40001' => 'it was changed at this moment');
my %errors;
foreach my $run (@runs)
{
	$errors{$1}{$2}++ while $run->{err} =~ /ERROR:  (\w+): (.*)/g;
}
my @unexpected = grep { !$expected{$_} } sort keys %errors;
is("@unexpected", '', 'no error but those that were expected')
  or diag(map { my $state = $_; map { "$state $_\n" } keys %{ $errors{$state} } }
	@unexpected);

# go to a definite end
app($db, 'CALL migrate.apply_each()');
is( app(
		$db, q{SELECT coalesce(d.version, j.version), coalesce(d.what, j.action),
			d.count, j.count
		FROM (SELECT version, what, count(*) FROM done GROUP BY 1, 2) d
		FULL JOIN (SELECT version, action, count(*) FROM migrate.journal
			WHERE outcome = 'success' AND action IN ('apply', 'rollback')
			GROUP BY 1, 2) j ON j.version = d.version AND j.action = d.what
		WHERE d.count IS DISTINCT FROM j.count}),
	'',
	'each effect is there as often as the journal says');
is( app($db, q{SELECT string_agg(version, ' ' ORDER BY version) FROM present}),
	"@versions", 'and each migration is there once');
is( app($db, q{SELECT string_agg(state, ' ') FROM migrate.status()}),
	join(' ', ('applied') x @versions), 'all are applied');
is( app($db, q{SELECT string_agg(indexrelid::regclass::text, ' '
			ORDER BY indexrelid::regclass::text)
		FROM pg_index WHERE indrelid = 'big'::regclass AND indisvalid}),
	'i_04 i_08', 'the indexes are valid');
is( app($db, q{SELECT count(*) FROM pg_index WHERE NOT indisvalid}),
	'0', 'and no other was left');
is(app($db, 'SELECT count(*) FROM migrate.step'), '0', 'nothing is partly done');
is(app($db, 'SELECT count(*) FROM migrate.run WHERE outcome IS NULL'),
	'0', 'no run is open');
is(locks_left($node, $db), '', 'no lock is left');

my $log = slurp_file($node->logfile);
unlike($log, qr/deadlock detected/, 'nobody has deadlocked');
unlike($log, qr/PANIC:|TRAP:|was terminated by signal|XX000/, 'nothing has crashed');
cmp_ok(app($db, q{SELECT count(*) FROM migrate.journal WHERE outcome = 'success'}),
	'>', 10 * $seconds / 10, 'something was done');
diag(sprintf('%s migrations up and down in %d runs in %d s; errors: %s',
		app($db, q{SELECT count(*) FROM migrate.journal WHERE outcome = 'success'}),
		app($db, q{SELECT count(DISTINCT run) FROM migrate.journal}),
		$seconds,
		join(', ',
			map { my $n = 0; $n += $_ foreach values %{ $errors{$_} }; "$n $_" }
			  sort keys %errors)));
done_testing();
