# What finished steps of a migration leave in the session: settings, however they
# were set, are there for the rest of the body in a retry and in another call;
# temporary objects and the like are there in a retry, and if they are gone the
# rest is not run without them.  Nobody goes on with settings of somebody else.
#
# Needs several sessions and roles, a run that is cut off, and one that waits.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use InSteps;
use MigrateTest;
use PostgreSQL::Test::Utils;
use Test::More;

start_in('left_behind');

my $off = q{, transactional => 'off'};

sub schemas_with
{
	my ($table) = @_;
	return app("SELECT string_agg(relnamespace::regnamespace::text, ' ') FROM pg_class WHERE relname = '$table'");
}

sub state
{
	return app(q{SELECT state FROM migrate.status() WHERE version = '1'});
}

# Run it and have it fail in the middle; mend the cause.
sub fail_half_way
{
	my ($call, $name, $before) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, undef, $err) = run_sql($node, $db, 'app', ($before // '') . $call);

	like($err, qr/22012/, "$name: fails half-way") or diag($err);
	is(state(), 'partial', "$name: and stands there");
	app('UPDATE public.ctl SET n = 1');
	return $err;
}

# Run a call while somebody reads the table that it changes, until it has
# waited in vain at least once.
sub run_with_retry
{
	my ($call, $before) = @_;
	my $reader = session($node, $db, 'app');
	my $runner = session($node, $db, 'app');

	ask($runner, "SET migrate.progress_notices = on; SET client_min_messages = notice; $before");
	ask($reader, 'BEGIN; SELECT * FROM public.ctl');
	ask_start($runner, $call);
	$runner->{run}->pump until $runner->{stderr} =~ /trying again|ERROR|end of question/
	  || $runner->{timeout}->is_expired;
	ask($reader, 'COMMIT');
	my ($out, $err) = ask_wait($runner);
	$_->quit for $reader, $runner;
	return $err;
}

# ---------------------------------------------------------------------------
# Settings
# ---------------------------------------------------------------------------

# what sets something, and where the table is then
my @settings = (
	[ 'SET', 'SET search_path = side', 'side' ],
	[ 'set_config()', q{SELECT set_config('search_path', 'side', false)}, 'side' ],
	[ 'DO', 'DO $$ BEGIN SET search_path = side; END $$', 'side' ],
	[ 'a function', q{SELECT public.sets('search_path', 'side')}, 'side' ],
	[ 'a function in an INSERT', q{INSERT INTO public.ctl SELECT 1 FROM public.sets('search_path', 'side') WHERE false; SELECT public.sets('search_path', 'side')}, 'side' ],
	[ 'a procedure that commits', q{CALL public.sets_and_commits('side')}, 'side', $off ],
	[ 'a block', q{BEGIN; SELECT set_config('search_path', 'side', false); COMMIT}, 'side' ],
	[ 'SET, then set_config()', q{SET search_path = side; SELECT set_config('search_path', 'public', false)}, 'public' ],
	[ 'set_config(), then RESET', q{SELECT set_config('search_path', 'side', false); RESET search_path}, 'public' ],
	[ 'SET LOCAL', 'SET LOCAL search_path = side', 'public' ],
	[ 'SET, then SET LOCAL', 'SET search_path = side; SET LOCAL search_path = public', 'side' ],
	[ 'a SET that is rolled back', 'BEGIN; SAVEPOINT s; SET search_path = side; ROLLBACK TO s; COMMIT', 'public' ],
	[ 'DISCARD ALL', 'SET search_path = side; DISCARD ALL', 'public' ]);

foreach my $direction (sort keys %directions)
{
	my $way = $directions{$direction};

	foreach my $case (@settings)
	{
		my ($what, $sets, $expected, $more) = @$case;
		my $name = "$direction: $what";

		# after an error, in another session
		fresh();
		$way->{add}("$sets; VACUUM public.ctl; SELECT 1 / n FROM public.ctl; CREATE TABLE t (i int)", $more);
		fail_half_way($way->{call}, $name);
		my ($status, undef, $err) = run_sql($node, $db, 'app', $way->{call});
		is($status, 0, "$name: the next call goes on") or diag($err);
		is(schemas_with('t'), $expected, "$name: with what the finished part has set");
		is(state(), $way->{done}, "$name: done");
	}

	# a retry in the same call
	foreach my $case (@settings[0, 1, 7])
	{
		my ($what, $sets, $expected) = @$case;
		my $name = "$direction: retry after $what";

		fresh();
		$way->{add}("$sets; VACUUM public.ctl; ALTER TABLE public.ctl ADD x int; CREATE TABLE t (i int)");
		my $err = run_with_retry($way->{call}, '');
		like($err, qr/trying again/, "$name: there was one");
		is(schemas_with('t'), $expected, "$name: with what the finished part has set");
	}

	# the search_path of the session that began
	fresh();
	$way->{add}("CREATE TABLE t1 (i int); VACUUM public.ctl; SELECT 1 / n FROM public.ctl; CREATE TABLE t2 (i int)");
	fail_half_way($way->{call}, "$direction: search_path of the session", 'SET search_path = side;');
	app($way->{call});
	is(schemas_with('t1') . schemas_with('t2'), 'sideside', "$direction: a body ends with the search_path that it began with");
	is(app(q{SELECT search_path FROM migrate.journal WHERE version = '1' AND outcome = 'success' ORDER BY run DESC LIMIT 1}),
		'side', "$direction: and the journal says so");
}

# settings of the caller that the body takes back, and other ones
fresh();
app(q{SELECT migrate.add('1', 'RESET work_mem; SELECT set_config(''app.tenant'', ''a=b'', false); VACUUM ctl; SELECT 1 / n FROM ctl;
	CREATE TABLE t AS SELECT current_setting(''work_mem''), current_setting(''app.tenant'') AS tenant')});
fail_half_way('CALL migrate.apply_each();', 'other settings', q{SET work_mem = '7MB';});
my ($status, $out, $err) = run_sql($node, $db, 'app',
	q{SET work_mem = '8MB'; CALL migrate.apply_each(); SHOW work_mem; SELECT current_setting('app.tenant', true)});
is($status, 0, 'other settings: goes on') or diag($err);
is(app('SELECT current_setting <> $$8MB$$, tenant FROM t'), 't|a=b', 'other settings: set, and taken back');
like($out, qr/\n8MB\n?$/, 'other settings: the session has its own in the end');

# roles: one that is gone does no harm if it is not the current one
fresh();
query($node, $db, $superuser, q{SELECT migrate.add('1', 'CREATE ROLE rtmp; SET ROLE rtmp; RESET ROLE; DROP ROLE rtmp; VACUUM ctl; SELECT 1 / n FROM ctl; CREATE TABLE t ()')});
run_sql($node, $db, $superuser, 'CALL migrate.apply_each()');
is(state(), 'partial', 'a role that was dropped: half-way');
app('UPDATE ctl SET n = 1');
($status, undef, $err) = run_sql($node, $db, $superuser, 'CALL migrate.apply_each()');
is($status, 0, 'a role that was dropped: goes on') or diag($err);

# and if it is, resume() leads out
fresh();
query($node, $db, $superuser, q{
	CREATE ROLE rtmp;
	GRANT app TO rtmp;
	SELECT migrate.add('1', 'SET ROLE rtmp; VACUUM ctl; SELECT 1 / n FROM ctl; CREATE TABLE t AS SELECT current_user::text')});
run_sql($node, $db, $superuser, 'CALL migrate.apply_each()');
app('UPDATE ctl SET n = 1');
query($node, $db, $superuser, 'ALTER ROLE rtmp RENAME TO rother');
(undef, undef, $err) = run_sql($node, $db, $superuser, 'CALL migrate.apply_each()');
like($err, qr/MG022: migration "1" cannot go on with the settings.*role=rtmp cannot be set: role "rtmp" does not exist.*resume\('1', at => 3\)/s,
	'a role that cannot be set any more: says so');
(undef, undef, $err) = run_sql($node, $db, $superuser, q{SELECT migrate.resume('1', at => 3)});
like($err, qr/WARNING: .*will not have what the finished part had left.*\n.*role=rtmp/, 'resume() says what is given up');
query($node, $db, $superuser, 'CALL migrate.apply_each()');
is(query($node, $db, $superuser, 'SELECT current_user = $$' . $superuser . '$$ AND current_user <> $$app$$ FROM t'), 't', 'and leads out');
query($node, $db, $superuser, 'DROP OWNED BY rother; DROP ROLE rother');

# resume() keeps the settings of what is done
fresh();
app(q{SELECT migrate.add('1', 'SELECT set_config(''search_path'', ''side'', false); VACUUM public.ctl; SELECT 1 / n FROM public.ctl; CREATE TABLE t ()')});
fail_half_way('CALL migrate.apply_each();', 'resume');
app(q{SELECT migrate.resume('1', done => 3); CALL migrate.apply_each()});
is(schemas_with('t'), 'side', 'resume() keeps what the finished part has set');

# ---------------------------------------------------------------------------
# Settings of somebody else
# ---------------------------------------------------------------------------

# who runs the first half decides by search_path which function the rest calls
foreach my $how ('SET search_path = evil, public; CALL migrate.apply_each()', 'CALL migrate.apply_each()')
{
	fresh();
	query($node, $db, $superuser, q{
		GRANT CREATE ON DATABASE left_behind TO app;
		CREATE FUNCTION public.counts() RETURNS int LANGUAGE sql AS 'SELECT 1';
		SELECT migrate.add('1', 'SELECT hook(); VACUUM public.ctl; SELECT 1 / n FROM public.ctl; SELECT counts()')});
	app(q{CREATE SCHEMA evil;
		CREATE FUNCTION public.hook() RETURNS void LANGUAGE sql AS $$SELECT set_config('search_path', 'evil, public', false)$$;
		CREATE FUNCTION evil.hook() RETURNS void LANGUAGE sql AS 'SELECT';
		CREATE FUNCTION evil.counts() RETURNS int LANGUAGE plpgsql
			AS $$ BEGIN EXECUTE 'ALTER ROLE app SUPERUSER'; RETURN 1; END $$});
	my (undef, undef, $first) = run_sql($node, $db, 'app', $how);
	like($first, qr/22012/, 'a role has run one half');
	app('UPDATE public.ctl SET n = 1');
	(undef, undef, $err) = run_sql($node, $db, $superuser, 'CALL migrate.apply_each()');
	like($err, qr/MG022.*Role "app" has run them, with: search_path=.*evil/s, 'a superuser does not go on with its settings');
	query($node, $db, $superuser, q{SELECT migrate.resume('1', at => 4)});
	query($node, $db, $superuser, 'CALL migrate.apply_each()');
	is(query($node, $db, $superuser, q{SELECT rolsuper FROM pg_roles WHERE rolname = 'app'}), 'f', 'nor after resume()');
}

# ---------------------------------------------------------------------------
# What else is in a session
# ---------------------------------------------------------------------------

my @left = (
	[ 'temporary table', 'CREATE TEMP TABLE users AS SELECT * FROM public.users WHERE id > 5', qr/table pg_temp\.users/ ],
	[ 'by search_path', 'SET search_path = pg_temp, public; CREATE TABLE users (LIKE public.users)', qr/table pg_temp\.users/ ],
	[ 'in a block', 'BEGIN; CREATE TEMP TABLE users AS SELECT * FROM public.users WHERE id > 5; COMMIT', qr/table pg_temp\.users/ ],
	[ 'in DO', q{DO $$ BEGIN EXECUTE 'CREATE TEMP VIEW users AS SELECT * FROM public.users WHERE id > 5'; END $$}, qr/view pg_temp\.users/ ],
	[ 'temporary function', q{CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'}, qr/function pg_temp\.f\(\)/ ],
	[ 'prepared statement', 'PREPARE q AS SELECT 1', qr/prepared statement "q"/ ],
	[ 'advisory lock', 'SELECT pg_advisory_lock(77)', qr/advisory lock 77/ ],
	[ 'two keys, shared', 'SELECT pg_advisory_lock_shared(7, -8)', qr/shared advisory lock \(7, -8\)/ ],
	[ 'cursor', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1', qr/cursor "c"/ ],
	[ 'LISTEN', 'LISTEN news', qr/LISTEN "news"/ ],
	[ 'by a trigger', q{INSERT INTO fires VALUES (1)}, qr/prepared statement "of_trigger"/ ]);

foreach my $direction (sort keys %directions)
{
	my $way = $directions{$direction};

	foreach my $case (@left)
	{
		my ($what, $leaves, $expected) = @$case;
		my $name = "$direction: $what";

		foreach my $session ($what =~ /^(temporary table|advisory lock)$/ ? 'same' : (), 'another')
		{
			fresh();
			app(q{CREATE TABLE fires (a int);
				CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'PREPARE of_trigger AS SELECT 1'; RETURN NEW; END $$;
				CREATE TRIGGER fires BEFORE INSERT ON fires FOR EACH ROW EXECUTE FUNCTION fire()});
			$way->{add}("$leaves; VACUUM public.ctl; SELECT 1 / n FROM public.ctl; DELETE FROM users");
			my $runner = session($node, $db, 'app');
			(undef, $err) = ask($runner, $way->{call});
			like($err, qr/22012/, "$name: fails half-way");
			like($err, $expected, "$name: and says what has gone");
			app('UPDATE public.ctl SET n = 1');
			if ($session eq 'same')
			{
				(undef, $err) = ask($runner, $way->{call});
			}
			else
			{
				(undef, undef, $err) = run_sql($node, $db, 'app', $way->{call});
			}
			$runner->quit;
			like($err, qr/MG022: migration "1" cannot go on in this session.*had left: .*$expected/s,
				"$name: the rest is not run without it in $session session");
			like($err, qr/resume\('1', at => 1\)/, "$name: there is a way out");
			is(app('SELECT count(*) FROM public.users'), '10', "$name: no row is lost");
		}

		# the way out
		(undef, undef, $err) = run_sql($node, $db, 'app', q{SELECT migrate.resume('1', at => 3)});
		like($err, qr/WARNING: .*will not have.*\n.*$expected/, "$name: resume() says what is given up");
		app(q{SELECT migrate.resume('1', at => 1)});
		app($way->{call});
		is(state(), $way->{done}, "$name: done by another start");
	}

	# what ends with its step is not missed
	foreach my $leaves ('CREATE TEMP TABLE x ON COMMIT DROP AS SELECT 1', 'DECLARE c CURSOR FOR SELECT 1',
		'SELECT pg_advisory_xact_lock(1)', 'PREPARE q AS SELECT 1; DEALLOCATE q',
		'CREATE TEMP TABLE x (); DROP TABLE x', 'SELECT pg_advisory_lock(1); SELECT pg_advisory_unlock(1)',
		'CREATE TEMP TABLE x (); VACUUM public.ctl; DROP TABLE x')
	{
		fresh();
		$way->{add}("$leaves; VACUUM public.ctl; SELECT 1 / n FROM public.ctl; CREATE TABLE t ()");
		fail_half_way($way->{call}, "$direction: $leaves");
		($status, undef, $err) = run_sql($node, $db, 'app', $way->{call});
		is($status, 0, "$direction: $leaves: goes on") or diag($err);
	}

	# a retry keeps what finished steps have left, and takes back the attempt's own
	fresh();
	$way->{add}(q{CREATE TEMP TABLE users AS SELECT * FROM public.users WHERE id > 5; PREPARE p AS SELECT 1;
		VACUUM public.ctl; PREPARE q AS SELECT 2; ALTER TABLE public.ctl ADD x int; EXECUTE p; DELETE FROM users});
	$err = run_with_retry($way->{call}, '');
	like($err, qr/trying again/, "$direction: retry: there was one");
	unlike($err, qr/ERROR/, "$direction: retry: and it has all that it needs");
	is(state(), $way->{done}, "$direction: retry: done");
	is(app('SELECT count(*) FROM public.users'), '10', "$direction: retry: no row is lost");

	# a verify body, or a mark
	fresh();
	$way->{add}('CREATE TEMP TABLE users AS SELECT * FROM public.users WHERE id > 5; SELECT 1 / n FROM public.ctl; DELETE FROM users; DO $$ BEGIN END $$', $off);
	if ($direction eq 'up')
	{
		fail_half_way($way->{call}, 'marked');
		(undef, undef, $err) = run_sql($node, $db, 'app', $way->{call});
		like($err, qr/MG022/, 'marked: not without it');
	}
}

# cut off while it runs
foreach my $how ('pg_cancel_backend', 'pg_terminate_backend')
{
	fresh();
	app(q{SELECT migrate.add('1', 'CREATE TEMP TABLE users AS SELECT * FROM public.users WHERE id > 5; VACUUM public.ctl; SELECT pg_sleep(600) FROM ctl WHERE n = 0; DELETE FROM users')});
	my $runner = session($node, $db, 'app');
	my $pid = pid_of($runner);
	ask_start($runner, 'CALL migrate.apply_each()');
	is_waiting($node, $pid, 'Timeout');
	query($node, $db, $superuser, "SELECT $how($pid)");
	ask_wait($runner);
	$runner->quit if $runner->{run}->pumpable;
	$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid AND state = 'active')");
	app('UPDATE public.ctl SET n = 1');
	foreach my $call ('CALL migrate.apply_each();', 'SELECT migrate.start() AS run \gset
CALL migrate.wait(:run);')
	{
		(undef, undef, $err) = run_sql($node, $db, 'app', $call);
		like($err, qr/MG022: .*table pg_temp\.users/s, "$how: not without it");
	}
	is(app('SELECT count(*) FROM public.users'), '10', "$how: no row is lost");
}

done_testing();
