# Forged rows: whatever a restore may INSERT into the books, and whatever a
# superuser has written into them by hand, crashes nobody, signals nobody and
# does not make runs fail for ever.  And triggers that a superuser has put on
# the books, to audit them, do not harm the sessions in which they fire.
#
# Needs roles, a server that must not restart, and sessions that stay open.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Utils;
use Rights;
use Test::More;

start_server();

my $columns = 'project, version, body, statement, last_statement, text_hash, token_hash, run, started_at';

# A migration in two steps, the second of which fails: it stands half-way.
sub half_way
{
	my ($role, $db, $version, $project) = @_;

	$project //= 'default';
	allowed($role, $db, "SELECT migrate.add('$version', \$\$CREATE TABLE t$version (id int);
		VACUUM; SELECT 1/0\$\$, project => '$project')");
	my (undef, undef, $err) =
	  run($role, $db, "CALL migrate.apply_each(project => '$project')");
	like($err, qr/22012/, "$version stands half-way");
	return;
}

# ---------------------------------------------------------------------------
# What the owner of the database may not insert
# ---------------------------------------------------------------------------

my $db = database('forged');
half_way('owner', $db, '010');
refused_each(
	'owner', $db, qr/ERROR:  42501/,
	"INSERT INTO migrate.run (run, project, action, mode, role, session_role, backend_pid, backend_start, requested_at) VALUES (77, 'default', 'apply', 'call', 'owner', 'owner', -1, now(), now());",
	'INSERT INTO migrate.run SELECT * FROM migrate.run;',
	"COPY migrate.run FROM '/dev/null';",
	"INSERT INTO migrate.state VALUES ('other', '', true, 1, 'x');",
	"INSERT INTO migrate.step ($columns) VALUES ('default', '011', 'up', 1, 1, 'x', 'x', 1, now());",
	'INSERT INTO migrate.step SELECT * FROM migrate.step;');
refused('owner', $db,
	"INSERT INTO migrate.step ($columns) VALUES ('default', '011', 'up', 1, 1, 'x', 'x', 1, now())",
	qr/Only a superuser can restore migrations that are partly applied.*HINT:.*migrate\.resume/s,
	'a step is not taken from the owner, and he learns what to do');
{
	my ($status, undef, $err) =
	  run('owner', $db, 'COPY migrate.step FROM stdin;');
	is("$status $err", '0 ', 'a restore of no steps is nothing');
}
allowed($super, $db,
	"BEGIN; INSERT INTO migrate.step ($columns) VALUES ('default', '011', 'up', 1, 1, 'x', 'x', 1, now()); ROLLBACK");

# ---------------------------------------------------------------------------
# What no row may say
# ---------------------------------------------------------------------------

sub journal_row
{
	my (%change) = @_;
	my %row = (
		run => 500, seq => 1, action => "'apply'", project => "'default'",
		version => "'x'", outcome => "'success'", started_at => 'now()',
		execution_ms => 0, role => "'owner'", session_role => "'owner'",
		backend_pid => 1, server_version => "'x'", extension_version => "'x'",
		%change);
	my @names = sort keys %row;

	return 'INSERT INTO migrate.journal (' . join(', ', map { "\"$_\"" } @names)
	  . ') VALUES (' . join(', ', @row{@names}) . ');';
}

sub applied_row
{
	my (%change) = @_;
	my %row = (
		project => "'default'", version => "'x'", name => "''",
		checksum => "'x'", applied_at => 'now()', applied_by => "'owner'",
		origin => "'apply'", execution_ms => 0, run => 500, seq => 1, %change);
	my @names = sort keys %row;

	return 'INSERT INTO migrate.applied (' . join(', ', @names) . ') VALUES ('
	  . join(', ', @row{@names}) . ');';
}

my $max8 = '9223372036854775807';
refused_each(
	'owner', $db,
	qr/ERROR:  (23514|23502|22003|0A000|22023)/,
	(map { (journal_row(%$_), applied_row(%$_)) }
		{ run => $max8 }, { run => 0 }, { run => -1 }, { seq => 0 },
		{ seq => -2147483648 }, { execution_ms => "'NaN'" },
		{ execution_ms => "'Infinity'" }, { execution_ms => -1 },
		{ execution_ms => '1.7e308' }, { execution_ms => '1e15' },
		{ project => "''" }, { version => "E'a\\nb'" }),
	(map { journal_row(%$_) }
		{ started_at => "'infinity'" }, { started_at => "'-infinity'" },
		{ outcome => "'odd'" }, { outcome => "'failure'" },
		{ outcome => "'failure'", sqlstate => "'22012'" },
		{ outcome => "'failure'", message => "'no'", sqlstate => "'odd'" },
		{ outcome => "'failure'", message => "'no'", sqlstate => "'00000'" },
		{ outcome => "'failure'", message => "'no'", sqlstate => "''" },
		{ sqlstate => "'22012'" }, { body => "'odd'" }, { statement => -1 },
		{ line => -2147483648 }, { position => 0 },
		{ action => "E'a\\nb'" },
		{ statements => "'{{\"(up,1,x,1,1)\"}}'::migrate.statement_timing[]" }),
	(map { applied_row(%$_) }
		{ origin => "'odd'" }, { applied_seq => 0 }, { applied_at => "'infinity'" },
		{ version => "''" }),
	"INSERT INTO migrate.executed_text VALUES (500, 'x', 'SELECT 1');",
	"INSERT INTO migrate.executed_text VALUES (0, repeat('0', 64), 'SELECT 1');",
	"INSERT INTO migrate.policy (project, lint_off) VALUES ('odd', '{{a},{b}}');",
	"INSERT INTO migrate.policy (project, lint_off) VALUES ('odd', '{NULL}');",
	"INSERT INTO migrate.policy (project, lint) VALUES ('odd', 'odd');",
	"INSERT INTO migrate.migration (version, up, requires) VALUES ('odd', 'SELECT 1', '{{a},{b}}');");

# ---------------------------------------------------------------------------
# Numbers that are taken
# ---------------------------------------------------------------------------

$db = database('numbers');
allowed('owner', $db, "INSERT INTO migrate.policy (project, out_of_order) VALUES ('default', 'allow')");
allowed('owner', $db, join('', journal_row(run => '281474976710655', seq => 2147483647),
		applied_row(run => '281474976710655', seq => 2147483647, version => "'zz'"),
		map { journal_row(run => "(SELECT last_value + $_ FROM migrate.run_seq)",
				version => 'NULL') } 1 .. 3));
allowed('owner', $db, q{SELECT migrate.add('002', 'CREATE TABLE two (id int)');
	SELECT migrate.apply();
	SELECT migrate.add('003', 'CREATE TABLE three (id int)');});
allowed('owner', $db, 'CALL migrate.apply_each()');
is(value($db, "count(*) FROM migrate.applied WHERE version IN ('002', '003')"),
	'2', 'numbers that forged rows have are left out');
allowed('owner', $db, q{SELECT setval('migrate.run_seq', 281474976710655);
	SELECT migrate.add('004', 'CREATE TABLE four (id int)');
	SELECT migrate.apply();});
is(value($db, "count(*) FROM migrate.applied WHERE version = '004'"),
	'1', 'a sequence at its end begins again');

allowed('owner', $db, applied_row(execution_ms => '9.9e14', version => "'ages'"));
is(value($db, "execution_time_ms FROM migrate.schema_migrations WHERE version = 'ages'"),
	'990000000000000', 'every view can be read with the longest time there may be');

# A run whose session is gone gets its line in the journal, whatever numbers
# its lines have.
allowed($super, $db, q{INSERT INTO migrate.run (run, project, action, mode, role,
	session_role, backend_pid, backend_start, requested_at, started_at)
	VALUES (900, 'default', 'apply', 'call', 'owner', 'owner', 1, now(), now(), now())});
allowed('owner', $db, journal_row(run => 900, seq => 2147483647) . journal_row(run => 900, seq => 1));
allowed('owner', $db, q{SELECT migrate.add('005', 'CREATE TABLE five (id int)')});
allowed('owner', $db, 'CALL migrate.apply_each()');
is(value($db, "concat_ws(' ', outcome, (SELECT seq FROM migrate.journal WHERE run = 900 AND sqlstate = '57P02')) FROM migrate.run WHERE run = 900"),
	'interrupted 2', 'a run that was cut off is closed, with the first number that is free');

# ---------------------------------------------------------------------------
# Rows that only a superuser could write
# ---------------------------------------------------------------------------

$db = database('written');
half_way('owner', $db, '010');
foreach my $case (
	[ 'statements', q{'{"(,,,,)"}'} ],
	[ 'statements', q{'{NULL}'} ],
	[ 'statements', q{ARRAY[ROW('up', -5, 'x', 'NaN', 1)]::migrate.statement_timing[]} ],
	[ 'text_hash', 'NULL' ],
	[ 'token_hash', 'NULL' ],
	[ 'indexes', q{'{NULL}'} ],
	[ 'indexes', q{'{{1},{2}}'} ],
	[ 'last_statement', '-1' ])
{
	my ($column, $value) = @$case;

	allowed($super, $db, qq{
		CREATE TABLE own_owner.kept AS TABLE migrate.step;
		ALTER TABLE migrate.step DROP CONSTRAINT step_array_check,
			DROP CONSTRAINT step_statement_check, ALTER text_hash DROP NOT NULL,
			ALTER token_hash DROP NOT NULL;
		UPDATE migrate.step SET $column = $value});
	foreach my $call ('CALL migrate.apply_each()',
		"SELECT migrate.resume('010', at => 2)")
	{
		my (undef, undef, $err) = run('owner', $db, $call);
		like($err, qr/MG036.*"$column" of table "migrate.step".*Row: .*version "010"/s,
			"$column = $value: $call");
	}
	allowed($super, $db, q{
		TRUNCATE migrate.step;
		INSERT INTO migrate.step TABLE own_owner.kept;
		DROP TABLE own_owner.kept;
		ALTER TABLE migrate.step
			ADD CONSTRAINT step_array_check CHECK (true),
			ADD CONSTRAINT step_statement_check CHECK (true),
			ALTER text_hash SET NOT NULL,
			ALTER token_hash SET NOT NULL});
}

# a step of a body that does not exist
allowed($super, $db, q{UPDATE migrate.step SET body = 'down'});
{
	my (undef, undef, $err) = run('owner', $db, "SELECT migrate.resume('010', at => 1)");
	like($err, qr/MG007: migration "010" is partly rolled back, and its down body is not stored/,
		'resume() of a body that does not exist');
}
foreach my $call ('CALL migrate.apply_each()', 'SELECT migrate.apply()',
	'CALL migrate.rollback_each()', 'SELECT migrate.status()',
	'SELECT migrate.plan()', 'SELECT migrate.check()')
{
	run('owner', $db, $call);
	is(value($db, '1'), '1', "$call with such a step");
}

# the honest way to the same
allowed('owner', $db, q{SELECT migrate.load('{"900_v.sql": "-- migrate:repeatable\n-- migrate:up\nSELECT 1;\n-- migrate:down\nCREATE TABLE d (id int); VACUUM; SELECT 1/0;\n"}', convention => 'native', project => 'again');
	SELECT migrate.apply(project => 'again')});
run('owner', $db, "CALL migrate.rollback_each(project => 'again')");
is(value($db, "count(*) FROM migrate.step WHERE project = 'again' AND body = 'down'"),
	'2', 'a roll-back in steps stands half-way');
allowed('owner', $db, q{SELECT migrate.load('{"900_v.sql": "-- migrate:repeatable\n-- migrate:up\nSELECT 1;\n"}', convention => 'native', project => 'again')});
{
	my (undef, undef, $err) =
	  run('owner', $db, "SELECT migrate.resume((SELECT version FROM migrate.step WHERE project = 'again' LIMIT 1), at => 1, project => 'again')");
	like($err, qr/MG007.*HINT:/s, 'resume() after its file has lost the down section');
}

# an error without a code
$db = database('codeless');
allowed($super, $db, q{ALTER TABLE migrate.journal DROP CONSTRAINT journal_failure_check;
	INSERT INTO migrate.run (run, project, action, mode, role, session_role,
		backend_pid, backend_start, requested_at, started_at, ended_at, outcome)
	SELECT i, 'default', 'apply', 'call', 'owner', 'owner', 1, now(), now(), now(), now(), 'failure'
	FROM generate_series(901, 904) i} );
my @codes = ([ 901, 'NULL', 'NULL' ], [ 902, "'x'", "'m'" ], [ 903, "'00000'", "'m'" ], [ 904, "'22012'", 'NULL' ]);
allowed($super, $db, join('', map {
	journal_row(run => $_->[0], outcome => "'failure'", sqlstate => $_->[1], message => $_->[2],
		position => 2147483647, statement => 2147483647) } @codes));
foreach my $case (@codes)
{
	my (undef, undef, $err) = run('owner', $db, "CALL migrate.wait($case->[0])");
	like($err, $case->[0] == 904 ? qr/ERROR:  22012/ : qr/ERROR:  MG026/,
		"wait() for a failure with code $case->[1] and message $case->[2]");
	run('looker', $db, "SELECT migrate.outcome($case->[0])");
	is(value($db, '1'), '1', 'and outcome() of it');
}

# ---------------------------------------------------------------------------
# Triggers on the books
# ---------------------------------------------------------------------------

# One that catches errors itself: after an error of its own the session must
# take a cancel as before.
$db = database('audited');
allowed($super, $db, q{
	CREATE TABLE public.audit (what text);
	CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		BEGIN
			INSERT INTO public.nowhere VALUES (1);
		EXCEPTION WHEN undefined_table THEN
			INSERT INTO public.audit VALUES (TG_TABLE_NAME || ' ' || TG_OP);
		END;
		RETURN coalesce(NEW, OLD);
	END $$;});
allowed($super, $db, join('', map {
	"CREATE TRIGGER audit BEFORE INSERT OR UPDATE OR DELETE ON migrate.$_ FOR EACH ROW EXECUTE FUNCTION public.audit();"
} qw(migration applied journal executed_text run step policy state)));
allowed('owner', $db, 'SELECT migrate.remove(version) FROM migrate.status() WHERE state = \'pending\'');
my $n = 100;
foreach my $call (
	'CALL migrate.apply_each();',
	'SELECT migrate.apply();',
	'SELECT migrate.apply(raise => false);',
	'SELECT migrate.apply(dry_run => true);',
	'SELECT migrate.rehearse();',
	'CALL migrate.rollback_each();')
{
	my $session = session('owner', $db);
	my $other = session($super, $db);
	my $up = $call =~ /rollback/ ? 'SELECT 1' : 'SELECT 1/0';
	my $version = ++$n;

	allowed('owner', $db, "SELECT migrate.add('$version', '$up', 'SELECT 1/0')");
	allowed('owner', $db, 'SELECT migrate.apply()') if $call =~ /rollback/;
	my $answer = $session->query($call);
	like($answer, qr/22012/, "$call fails under audit");
	$session->query("SET application_name = 'sleeper';");
	$session->send("SELECT 'slept', pg_sleep(60);");
	$other->query(q{DO $$ BEGIN
		FOR i IN 1 .. 1000 LOOP
			EXIT WHEN EXISTS (SELECT FROM pg_stat_activity
				WHERE application_name = 'sleeper' AND wait_event = 'PgSleep');
			PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
		END LOOP; END $$;
		SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'sleeper';});
	$answer = $session->answer;
	like($answer, qr/57014/, "$call leaves a session that takes a cancel");
	$session->close;
	$other->close;
	allowed('owner', $db, "SELECT migrate.unstamp('$version'); SELECT migrate.remove('$version')") if $call =~ /rollback/;
	allowed('owner', $db, "SELECT migrate.remove('$version')") if $call !~ /rollback/;
}
cmp_ok(value($db, 'count(*) FROM public.audit'), '>', 10, 'the audit has what was written');

# ---------------------------------------------------------------------------
# The text of what ran stays known
# ---------------------------------------------------------------------------

# prune_journal() while a run waits to try again: its texts come with its rows
$db = database('pruned');
allowed('owner', $db, q{CREATE TABLE busy (id int);
	SELECT migrate.add('020', 'SELECT ''text of 020''', verify => 'SELECT true');
	SELECT migrate.add('021', 'ALTER TABLE busy ADD COLUMN note text')});
{
	my $holder = session('owner', $db);
	my $run = session('owner', $db);

	$holder->query('BEGIN; LOCK TABLE busy;');
	$run->query("SET migrate.lock_timeout = '50ms'; SET migrate.lock_retries = 1000;");
	$run->send('CALL migrate.apply_each();');
	observe($db, q{DO $$ BEGIN
		FOR i IN 1 .. 1000 LOOP
			EXIT WHEN EXISTS (SELECT FROM migrate.applied WHERE version = '020');
			PERFORM pg_sleep(0.01);
		END LOOP; END $$;});
	# the lock of the run is free while it waits to try again
	my $pruned = 0;
	for (1 .. 20)
	{
		my ($status) = run('owner', $db, q{SET migrate.wait_timeout = '1s'; SELECT migrate.prune_journal('0 s')});
		$pruned++ if $status == 0;
	}
	cmp_ok($pruned, '>', 0, 'the journal is pruned while a run is waiting');
	$holder->query('COMMIT;');
	$run->answer;
	$_->close foreach $holder, $run;
}
is( value($db, q{string_agg(j.version || ' ' || (b.text IS NOT NULL)::text || ' ' || (j.verify_hash IS NULL OR v.text IS NOT NULL)::text, ', ' ORDER BY j.version)
	FROM migrate.journal j LEFT JOIN migrate.executed_text b ON b.body_hash = j.body_hash
	LEFT JOIN migrate.executed_text v ON v.body_hash = j.verify_hash
	WHERE j.version IN ('020', '021') AND j.outcome = 'success'}),
	'020 true true, 021 true true',
	'every text that ran is there');

# what has run of a migration that stands half-way
half_way('owner', $db, '030');
allowed('owner', $db, "SELECT migrate.prune_journal('0 s')");
is( value($db, "count(*) FROM migrate.journal j JOIN migrate.executed_text b ON b.body_hash = j.body_hash WHERE j.version = '030'"),
	'1', 'the text of what stands half-way is not pruned');

unlike(slurp_file($node->logfile), qr/terminated by signal|TRAP:|PANIC:|protocol synchronization/,
	'no process has crashed');
stop_server();
done_testing();
