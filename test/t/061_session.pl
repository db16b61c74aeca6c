# A body does what it does in psql, in the same session as the same role: names
# mean the same, the settings of role, database and session count, and nothing
# that it leaves in the session is there for the next migration, for another
# attempt at it, or for the session afterwards.
#
# Needs roles with settings of their own, several sessions at once, and
# databases without a schema public.

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
$node->append_conf('postgresql.conf',
	"migrate.failure_quiet = 0\nmigrate.progress_notices = off");
$node->start;

my $db = 'session';

# Everything that runs what is pending, in the session that calls it.
my %modes = (
	apply => 'SELECT migrate.apply();',
	apply_each => 'CALL migrate.apply_each();');

# In the background: what a client would wait for.
my $background = <<'END';
SELECT migrate.start() AS run \gset
CALL migrate.wait(:run);
END

# A database of the role app, as empty as a new one.
sub fresh
{
	$node->safe_psql('postgres', qq{DROP DATABASE IF EXISTS "$db" WITH (FORCE)});
	owner_database($node, $db);
	return;
}

sub add
{
	my ($version, $up, $more) = @_;
	return query($node, $db, 'app',
		"SELECT migrate.add('$version', " . quote($up) . ($more ? ", $more" : '') . ')');
}

sub value
{
	my ($sql) = @_;
	return query($node, $db, 'app', "SELECT $sql");
}

# Run a script in one session of the role app: its output and its messages.
sub script
{
	my ($sql) = @_;
	my (undef, $out, $err) = run_sql($node, $db, 'app', $sql);
	return ($out, $err);
}

sub succeeds
{
	my ($sql, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) = run_sql($node, $db, 'app', $sql);

	is($status, 0, $name) or diag($err);
	return $out;
}

sub fails
{
	my ($sql, $error, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) = run_sql($node, $db, 'app', $sql);

	isnt($status, 0, "$name: fails");
	like($err, $error, $name);
	return;
}

sub schemas_with
{
	my ($table) = @_;
	return value(
		"string_agg(relnamespace::regnamespace::text, ' ') FROM pg_class WHERE relname = '$table'");
}

# ---------------------------------------------------------------------------
# A place to create in
# ---------------------------------------------------------------------------

foreach my $mode (sort keys %modes, 'start')
{
	my $run = $modes{$mode} // $background;

	foreach my $case (
		[ 'the policy names a schema that is not there', q{
			INSERT INTO migrate.policy (search_path) VALUES ('nowhere')} ],
		[ 'and pg_temp after it', q{
			INSERT INTO migrate.policy (search_path) VALUES ('nowhere, pg_temp')} ],
		[ 'or pg_temp alone', q{
			INSERT INTO migrate.policy (search_path) VALUES ('pg_temp')} ],
		[ 'nothing', q{INSERT INTO migrate.policy (search_path) VALUES ('')} ],
		[ 'public was dropped', 'DROP SCHEMA public' ],
		[ 'the path of the role ends with pg_temp', q{
			ALTER ROLE app IN DATABASE session SET search_path = nowhere, pg_temp} ],
		[ 'or begins with it, and public was dropped', q{
			DROP SCHEMA public;
			ALTER ROLE app IN DATABASE session SET search_path = pg_temp, public} ],
		[ 'the role may not use the schema', q{
			CREATE SCHEMA closed;
			INSERT INTO migrate.policy (search_path) VALUES ('closed, pg_temp')} ])
	{
		my ($name, $setup) = @$case;

		fresh();
		$node->safe_psql($db, $setup);
		add('1', 'CREATE TABLE t (a int)');
		fails($run, qr/3F000: no schema has been selected to create in/, "$mode: $name");
		is(value('count(*) FROM migrate.applied'), '0', "$mode: $name: nothing is recorded");
	}
}

# a body that makes the schema first
foreach my $mode (sort keys %modes)
{
	fresh();
	query($node, $db, 'app',
		"INSERT INTO migrate.policy (search_path) VALUES ('later, pg_temp')");
	add('1', 'CREATE SCHEMA later; CREATE TABLE t (a int)', "down => 'DROP SCHEMA later CASCADE; CREATE TABLE t (a int)'");
	succeeds($modes{$mode}, "$mode: a body makes the schema of the path");
	is(schemas_with('t'), 'later', "$mode: and has its table there");
	fails($mode eq 'apply' ? 'SELECT migrate.rollback()' : 'CALL migrate.rollback_each()',
		qr/3F000: no schema has been selected/, "$mode: a down body too needs a schema");
	is(schemas_with('t'), 'later', "$mode: and has changed nothing");
}

# ---------------------------------------------------------------------------
# Names
# ---------------------------------------------------------------------------

my $delete = <<'END';
CREATE TEMP TABLE users AS SELECT * FROM public.users WHERE id > 5;
DELETE FROM users;
CREATE TABLE kept AS SELECT count(*) FROM users;
END
my $users = 'CREATE TABLE users AS SELECT generate_series(1, 10) AS id;';

foreach my $mode (sort keys %modes, 'start')
{
	my $run = $modes{$mode} // $background;

	fresh();
	query($node, $db, 'app', $users);
	add('1', $delete);
	succeeds($run, "$mode: a temporary table of the body hides the real one");
	is(value('count(*) FROM public.users'), '10', "$mode: so the real one keeps its rows");

	# in psql pg_temp may be named last
	fresh();
	query($node, $db, 'app',
		"$users ALTER ROLE app IN DATABASE session SET search_path = public, pg_temp");
	add('1', $delete);
	succeeds($run, "$mode: pg_temp is named last");
	is(value('count(*) FROM public.users'), '0', "$mode: and then the real one is meant, as in psql");

	# steps
	fresh();
	query($node, $db, 'app', $users);
	add('1', 'CREATE TEMP TABLE users AS SELECT * FROM public.users; VACUUM public.users; DELETE FROM users; VACUUM public.users; CREATE TABLE left_over AS SELECT * FROM users');
	next if $mode eq 'apply';
	succeeds($run, "$mode: a temporary table lives as long as its migration");
	is(value('count(*) FROM left_over'), '0', "$mode: and is found in each of its steps");
	is(value('count(*) FROM public.users'), '10', "$mode: none of which has touched the real one");
}

# in a verify body, a down body and a rehearsal
fresh();
query($node, $db, 'app', $users);
add('1', 'CREATE TABLE other (a int)',
	"down => \$\$DROP TABLE other; $delete\$\$, verify => \$\$CREATE TEMP TABLE users (id int); SELECT count(*) = 0 FROM users\$\$");
succeeds('SELECT migrate.rehearse()', 'a rehearsal');
succeeds('SELECT migrate.apply()', 'a verify body with a temporary table that hides another');
is(value("sqlstate IS NULL FROM migrate.verify()"), 't', 'again in verify()');
succeeds('SELECT migrate.rollback()', 'a down body with one');
is(value('count(*) FROM public.users'), '10', 'and nothing has happened to the real one');

# what the session has
foreach my $mode (sort keys %modes, 'rehearse', 'verify', 'rollback')
{
	my $run = $modes{$mode} // "SELECT * FROM migrate.$mode();";

	fresh();
	query($node, $db, 'app', "$users CREATE TYPE kind AS ENUM ('a'); CREATE DOMAIN _odd AS int");
	add('1', 'SELECT 1', q{down => 'ALTER TABLE users ADD COLUMN a int', verify => 'SELECT count(*) = 10 FROM users'})
	  if $mode eq 'verify' || $mode eq 'rollback';
	succeeds('SELECT migrate.apply()', "$mode: prepared") if $mode eq 'verify' || $mode eq 'rollback';
	add('2', "DO \$\$ BEGIN EXECUTE 'ALTER TABLE us' || 'ers ADD COLUMN b int'; END \$\$")
	  unless $mode eq 'verify' || $mode eq 'rollback';
	foreach my $temporary (
		'CREATE TEMP TABLE users (id int)',
		'CREATE TEMP VIEW users AS SELECT 1 AS id',
		'CREATE TEMP SEQUENCE users',
		'CREATE DOMAIN pg_temp.kind AS int',
		'CREATE TEMP TABLE kind (id int)',
		'CREATE TEMP TABLE other (id int); CREATE TEMP VIEW kind AS TABLE other',
		'CREATE TYPE pg_temp.kind AS (id int)',
		'CREATE TEMP TABLE odd (id int)')
	{
		my ($out, $err) = script("$temporary; $run");

		like($out . $err, qr/MG032/, "$mode: $temporary in the session is in the way");
	}
	is(value("count(*) FROM pg_attribute WHERE attrelid = 'public.users'::regclass AND attnum > 0"),
		'1', "$mode: the real one is as it was");
	next if $mode eq 'verify' || $mode eq 'rollback';
	succeeds("CREATE TEMP TABLE users (id int); DISCARD TEMP; $run", "$mode: DISCARD TEMP helps");
	is(value("count(*) FROM pg_attribute WHERE attrelid = 'public.users'::regclass AND attnum > 0"),
		$mode eq 'rehearse' ? '1' : '2', "$mode: and the right one is changed");
}

# a name that is not there yet
foreach my $mode (sort keys %modes)
{
	fresh();
	add('1', "DO \$\$ BEGIN EXECUTE 'CREATE TABLE ' || quote_ident('N' || 'ew') || ' (a int)'; END \$\$; INSERT INTO \"New\" VALUES (1)");
	fails(qq{CREATE TEMP TABLE "New" (a int); $modes{$mode}},
		qr/MG032.*temporary relation "New" of the session is in the way of migration "1"/,
		"$mode: one of a name that the body makes is in the way");
	is(succeeds(qq{CREATE TEMP TABLE "before" AS SELECT 7 AS a; CREATE TEMP TABLE i (i int); $modes{$mode}; SELECT a FROM "before"}, "$mode: a temporary table that nobody means")
		=~ /^7$/m, 1, "$mode: is no reason to refuse, and stays");
}

# ---------------------------------------------------------------------------
# Settings
# ---------------------------------------------------------------------------

# what a body sees, beside what psql sees in the same session
my @settings = qw(search_path row_security default_tablespace
  default_table_access_method DateStyle IntervalStyle TimeZone xmloption
  array_nulls transform_null_equals check_function_bodies backslash_quote
  bytea_output extra_float_digits work_mem default_toast_compression
  default_transaction_deferrable escape_string_warning
  statement_timeout synchronous_commit);
my $see = 'SELECT string_agg(name || $$=$$ || setting, $$ $$ ORDER BY name) AS s FROM pg_settings WHERE name = ANY ('
  . quote('{' . join(',', map { lc } @settings) . '}') . ') OR name IN ($$DateStyle$$, $$IntervalStyle$$, $$TimeZone$$)';
my @odd = (
	[ search_path => 'app, extensions' ],
	[ row_security => 'off' ],
	[ DateStyle => "'German'" ],
	[ IntervalStyle => 'iso_8601' ],
	[ TimeZone => "'Asia/Tokyo'" ],
	[ xmloption => 'document' ],
	[ array_nulls => 'off' ],
	[ transform_null_equals => 'on' ],
	[ check_function_bodies => 'off' ],
	[ backslash_quote => 'off' ],
	[ bytea_output => 'escape' ],
	[ lock_timeout => "'7s'" ],
	[ statement_timeout => "'70s'" ],
	[ default_table_access_method => 'heap2' ],
	[ default_tablespace => "''" ]);

foreach my $mode (sort keys %modes, 'start')
{
	my $run = $modes{$mode} // $background;

	foreach my $where ('role', 'database', 'session')
	{
		# a worker has a session of its own
		next if $mode eq 'start' && $where eq 'session';
		my @set = map {
			$where eq 'role' ? "ALTER ROLE app IN DATABASE session SET $_->[0] = $_->[1];"
			  : $where eq 'database' ? "ALTER DATABASE session SET $_->[0] = $_->[1];"
			  : "SET $_->[0] = $_->[1];"
		} @odd;

		fresh();
		$node->safe_psql($db, 'CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
			CREATE SCHEMA app AUTHORIZATION app');
		$node->safe_psql($db, join("\n", @set)) if $where ne 'session';
		add('1', "CREATE TABLE seen AS $see");
		my $before = $where eq 'session' ? join("\n", @set) : '';
		my $psql = succeeds("$before $see;", "$mode: settings of the $where in psql");
		succeeds("$before $run", "$mode: with settings of the $where");
		is(value('s FROM app.seen'), $psql, "$mode: a body has those of the $where, as psql");
		is(value("amname FROM pg_am a JOIN pg_class c ON a.oid = c.relam WHERE c.oid = 'app.seen'::regclass"),
			'heap2', "$mode: and its tables go where they say");
		is(value(q{replace(search_path, '"', '') FROM migrate.journal WHERE outcome = 'success'}), 'app, extensions',
			"$mode: which is in the journal, $where");
	}
}

# row-level security that is an error is one
fresh();
query($node, $db, 'app', 'CREATE TABLE rls (a int); ALTER TABLE rls ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY');
foreach my $mode (sort keys %modes)
{
	add('1', 'DELETE FROM rls');
	fails("SET row_security = off; $modes{$mode}", qr/42501/, "$mode: row_security = off counts");
}

# what a worker has not from its caller
fresh();
query($node, $db, 'app', q{
	ALTER ROLE app IN DATABASE session SET default_transaction_read_only = on;
	ALTER ROLE app IN DATABASE session SET default_transaction_isolation = 'serializable'});
my $writable = q{SET default_transaction_read_only = off; SET default_transaction_isolation = 'read committed';};
succeeds("$writable SELECT migrate.add('1', 'CREATE TABLE t (a int)')", 'a role whose transactions are read-only');
succeeds("$writable $background", 'start(): the transactions of the run are like the one that has started it');
is(schemas_with('t'), 'public', 'and the migration is applied');

# backslashes
foreach my $mode (sort keys %modes)
{
	my $off = 'SET standard_conforming_strings = off; SET escape_string_warning = off;';

	fresh();
	query($node, $db, 'app', 'CREATE TABLE s (v text)');
	add('1', q{INSERT INTO s VALUES ('C:\new')});
	fails("$off $modes{$mode}", qr/MG009.*backslash in a plain string literal/,
		"$mode: a literal that is another one with standard_conforming_strings off");
	succeeds($modes{$mode}, "$mode: and that is meant as it stands with it on");
	is(value('v FROM s'), 'C:\new', "$mode: which has no escapes");
	add('2', q{DO $$ BEGIN INSERT INTO s VALUES ('a\tb'); END $$});
	fails("$off $modes{$mode}", qr/MG009/, "$mode: the same in a DO block");
	succeeds($modes{$mode}, "$mode: applied with it on");
	add('3', q{INSERT INTO s VALUES (E'x\ty', 'it''s'), ($$\d$$)});
	query($node, $db, 'app', "SELECT migrate.remove('3')");
	add('3', q{INSERT INTO s VALUES (E'x\\\\y' || 'it''s' || $$\d$$)});
	succeeds("$off $modes{$mode}", "$mode: one that is the same both ways");
	is(value(q{count(*) FROM s WHERE v = E'x\\\\yit''s\\\\d'}), '1', "$mode: is that");
}

# ---------------------------------------------------------------------------
# What a body leaves
# ---------------------------------------------------------------------------

my %leaves = (
	'a prepared statement' => 'PREPARE q AS SELECT 1',
	'one of EXECUTE' => "DO \$\$ BEGIN EXECUTE 'PREPARE q AS SELECT 1'; END \$\$",
	'one of a trigger' => 'INSERT INTO fired VALUES (1)',
	'a temporary table' => 'CREATE TEMP TABLE q (a int)',
	'one to be dropped at commit' => 'CREATE TEMP TABLE q (a serial PRIMARY KEY) ON COMMIT DROP',
	'a temporary view' => 'CREATE TEMP VIEW q AS SELECT 1',
	'a temporary type' => "CREATE TYPE pg_temp.q AS ENUM ('a')",
	'a temporary function' => 'CREATE FUNCTION pg_temp.q() RETURNS int LANGUAGE sql AS $$SELECT 1$$',
	'a cursor' => 'DECLARE q CURSOR FOR SELECT 1',
	'a cursor to be held' => 'DECLARE q CURSOR WITH HOLD FOR SELECT 1',
	'a registration' => 'LISTEN q',
	'an advisory lock' => 'SELECT pg_advisory_lock(77)',
	'two of them' => 'SELECT pg_advisory_lock(77), pg_advisory_lock(77), pg_advisory_lock_shared(78)');
my $fired = q{CREATE TABLE fired (a int);
	CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN EXECUTE 'PREPARE q AS SELECT 1'; RETURN NULL; END$$;
	CREATE TRIGGER fire AFTER INSERT ON fired FOR EACH ROW EXECUTE FUNCTION fire()};
my $left = <<'END';
SELECT count(*) FROM (SELECT name FROM pg_prepared_statements
	UNION ALL SELECT name FROM pg_cursors WHERE name <> ''
	UNION ALL SELECT pg_listening_channels()
	UNION ALL SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()
	UNION ALL SELECT typname FROM pg_type WHERE typnamespace = pg_my_temp_schema()
	UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = pg_my_temp_schema()
	UNION ALL SELECT objid::text FROM pg_locks
		WHERE locktype = 'advisory' AND pid = pg_backend_pid()) x;
END

foreach my $mode (sort keys %modes, 'start')
{
	my $run = $modes{$mode} // $background;

	my $version = 0;

	fresh();
	query($node, $db, 'app', $fired);
	foreach my $what (sort keys %leaves)
	{
		# the server has no LISTEN in background workers
		next if $mode eq 'start' && $what eq 'a registration';

		# as a transaction, and in steps
		for (1 .. 3)
		{
			add(++$version, $leaves{$what});
			add(++$version, $leaves{$what}, 'transactional => false')
			  if $mode ne 'apply' && $what !~ /^a cursor$|at commit/;
		}
		my $out = succeeds("$run $left", "$mode: three migrations, each with $what");
		like($out, qr/^0$/m, "$mode: of which none is left") if $mode ne 'start';
	}
}

# nor what an event trigger does, in any kind of DDL
foreach my $mode (sort keys %modes)
{
	fresh();
	query($node, $db, $superuser, q{CREATE FUNCTION fire() RETURNS event_trigger LANGUAGE plpgsql AS
			$$BEGIN EXECUTE 'PREPARE q AS SELECT 1'; END$$;
		CREATE EVENT TRIGGER fire ON ddl_command_end WHEN TAG IN ('COMMENT') EXECUTE FUNCTION fire();
		CREATE TABLE t (a int); ALTER TABLE t OWNER TO app});
	add($_, "COMMENT ON TABLE t IS 'x'") for 1 .. 3;
	my $out = succeeds("$modes{$mode} $left", "$mode: three migrations, each with one of an event trigger");
	like($out, qr/^0$/m, "$mode: of which none is left");
}

# of which verify bodies and rehearsals leave none either
foreach my $call ('migrate.apply()', 'migrate.verify()', 'migrate.rehearse()')
{
	my $version = 0;

	fresh();
	query($node, $db, 'app', $fired);
	foreach my $what (grep { $_ !~ /to be held|at commit/ } sort keys %leaves)
	{
		add(++$version, 'SELECT 1', "verify => " . quote($leaves{$what}));
		succeeds('SELECT migrate.apply()', "$call: prepared") if $call =~ /verify/;
		my $out = succeeds("SELECT count(*) FROM $call; $left", "$call: a verify body with $what");
		like($out, qr/^0$/m, "$call: which leaves nothing: $what");
		next unless $call =~ /rehearse/;
		add(++$version, $leaves{$what}) for 1 .. 2;
		$out = succeeds("SELECT string_agg(coalesce(message, 'fine'), ' ') FROM $call; $left", "$call: $what");
		like($out, qr/^(fine ?)+\n0$/m, "$call: rehearsed, and nothing is left: $what");
	}
}

# attempts
foreach my $mode (sort keys %modes)
{
	my $lock = "SET migrate.lock_timeout = '100ms'; SET migrate.lock_retries = 100;";

	foreach my $case (
		[ 'a prepared statement', 'PREPARE q AS SELECT 1; ALTER TABLE busy ADD COLUMN b int' ],
		[ 'an advisory lock', 'SELECT pg_advisory_lock(77); ALTER TABLE busy ADD COLUMN b int' ],
		[ 'a prepared statement of a step',
			'VACUUM idle; PREPARE q AS SELECT 1; ALTER TABLE busy ADD COLUMN b int' ],
		[ 'a table of the step before',
			'CREATE TEMP TABLE q AS SELECT 7 AS a; VACUUM idle; PREPARE q AS SELECT 1; ALTER TABLE busy ADD COLUMN b int; INSERT INTO idle SELECT a FROM q' ])
	{
		my ($what, $up) = @$case;

		next if $mode eq 'apply' && $up =~ /VACUUM/;
		fresh();
		query($node, $db, 'app', 'CREATE TABLE busy (a int); CREATE TABLE idle (a int)');
		add('1', $up);
		my $blocker = session($node, $db, 'app');
		my $runner = session($node, $db, 'app');
		my $pid = pid_of($runner);

		ask($blocker, 'BEGIN; SELECT * FROM busy');
		ask($runner, $lock);
		ask_start($runner, $modes{$mode});
		$runner->{run}->pump until $runner->{stderr} =~ /again|ERROR/;
		ask($blocker, 'COMMIT');
		my ($out, $err) = ask_wait($runner);
		unlike($err, qr/ERROR/, "$mode: $what in an attempt that fails does not fail the next");
		is(value("count(*) FROM migrate.applied"), '1', "$mode: which is applied: $what");
		is(ask($runner, $left), '0', "$mode: and nothing is left: $what");
		$_->quit for $blocker, $runner;
	}

	# and the call after one that has failed for good
	fresh();
	query($node, $db, 'app', 'CREATE TABLE ok ()');
	add('1', 'PREPARE q AS SELECT 1; SELECT pg_advisory_lock(77); SELECT 1 / (count(*) - 1) FROM pg_class WHERE relname = $$ok$$');
	my $session = session($node, $db, 'app');
	my ($out, $err) = ask($session, $modes{$mode});
	like($err, qr/22012/, "$mode: a migration that fails");
	is(ask($session, $left), '0', "$mode: leaves nothing");
	(undef, $err) = ask($session, "DROP TABLE ok; $modes{$mode}");
	unlike($err, qr/ERROR/, "$mode: so the next call in the session can succeed");
	$session->quit;
}

# what the session had stays
foreach my $mode (sort keys %modes)
{
	fresh();
	add('1', 'PREPARE q AS SELECT 1; LISTEN l; LISTEN m; SELECT pg_advisory_lock(77), pg_advisory_unlock(78); CREATE TEMP TABLE other (a int)');
	my $out = succeeds(
		"PREPARE p AS SELECT 1; LISTEN l; SELECT pg_advisory_lock(77), pg_advisory_lock(78);
		CREATE TEMP TABLE mine (a int); $modes{$mode}
		SELECT string_agg(name, ' ') FROM pg_prepared_statements;
		SELECT string_agg(c, ' ') FROM pg_listening_channels() c;
		SELECT string_agg(objid || ' ' || granted, ' ' ORDER BY objid) FROM pg_locks WHERE locktype = 'advisory';
		SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = pg_my_temp_schema();
		SELECT pg_advisory_unlock(77), pg_advisory_unlock(77)",
		"$mode: in a session that has such things itself");
	like($out, qr/p\nl\n77 true 78 true\nmine\nt\|f$/, "$mode: they are as they were");
}

# ---------------------------------------------------------------------------
# Verify bodies
# ---------------------------------------------------------------------------

fresh();
query($node, $db, 'app', q{
	CREATE FUNCTION nothing() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
	CREATE FUNCTION null_nothing() RETURNS void LANGUAGE sql AS 'SELECT 1'});
add('1', 'SELECT 1', q{verify => 'SELECT nothing(); SELECT null_nothing(); SELECT pg_sleep(0)'});
succeeds('SELECT migrate.apply()', 'a verify body that calls a function without a result');
is(value('sqlstate IS NULL FROM migrate.verify()'), 't', 'and again in verify()');
foreach my $mode (sort keys %modes)
{
	add('2', 'SELECT 1', q{verify => 'SELECT NULL::int'});
	fails($modes{$mode}, qr/MG010/, "$mode: a null is a failure");
	query($node, $db, 'app', "SELECT migrate.remove('2')");
}

my $sqitch = q{SELECT migrate.load(jsonb_build_object(
	'sqitch.plan', E'%syntax-version=1.0.0\n%project=default\n\na 2026-01-01T00:00:00Z A <a@b.c> # a\nb 2026-01-01T00:00:01Z A <a@b.c> # b\n',
	'deploy/a.sql', 'CREATE TABLE a ();', 'revert/a.sql', 'DROP TABLE a;',
	'verify/a.sql', 'SELECT false; SELECT NULL; SELECT has_table_privilege(''a'', ''select'') AND false;',
	'deploy/b.sql', 'CREATE TABLE b ();', 'revert/b.sql', 'DROP TABLE b;',
	'verify/b.sql', 'SELECT 1 / 0;'), 'sqitch')};
foreach my $mode (sort keys %modes)
{
	fresh();
	succeeds($sqitch, "$mode: a project of Sqitch");
	fails($modes{$mode}, qr/22012/, "$mode: its verify scripts fail by errors");
	succeeds("SELECT migrate.apply('a')", "$mode: and not by what they return");
	is(value("string_agg(coalesce(sqlstate, 'fine'), ' ') FROM migrate.verify()"), 'fine', "$mode: in verify() too");
}

# ---------------------------------------------------------------------------
# redo() of what needs transactions of its own
# ---------------------------------------------------------------------------

fresh();
query($node, $db, 'app', 'CREATE TABLE t (a int)');
add('1', 'CREATE INDEX CONCURRENTLY i ON t (a)', q{down => 'DROP INDEX CONCURRENTLY i'});
succeeds('CALL migrate.apply_each()', 'a concurrent build');
fails('SELECT migrate.redo()',
	qr/MG008: 1 migration cannot run.*\n.*Migrations: "1"\.  The first one/,
	'redo() names it once');

# ---------------------------------------------------------------------------
# lock_timeout of the role and a build that waits for others
# ---------------------------------------------------------------------------

fresh();
query($node, $db, 'app', q{CREATE TABLE t (a int);
	ALTER ROLE app IN DATABASE session SET lock_timeout = '200ms'});
add('1', 'CREATE INDEX CONCURRENTLY i ON t (a)');
{
	my $old = session($node, $db, 'app');

	ask($old, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1');
	fails('SET migrate.lock_retries = 100; CALL migrate.apply_each()',
		qr/55P03.*SET lock_timeout = 0 for the call/s, 'the time-out is that of the role, and the hint says so');
	is(value("count(*) FROM migrate.journal WHERE outcome = 'failure'"), '1', 'after one attempt');
	my $runner = session($node, $db, 'app');
	my $pid = pid_of($runner);
	ask($runner, 'SET lock_timeout = 0');
	ask_start($runner, 'CALL migrate.apply_each()');
	is_waiting($node, $pid);
	ask($old, 'COMMIT');
	my (undef, $err) = ask_wait($runner);
	unlike($err, qr/ERROR/, 'without it the build waits');
	$_->quit for $old, $runner;
}
is(value("indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"), 't', 'and is done');

# ---------------------------------------------------------------------------
# Time
# ---------------------------------------------------------------------------

# Each statement has its own statement_timestamp(), never earlier than now(),
# in all that runs bodies; now() is that of the transaction.
my $stamp = "INSERT INTO moments VALUES (now(), statement_timestamp(), clock_timestamp())";
my $stamps = "$stamp; SELECT pg_sleep(0.05); $stamp";

# How often a time is earlier than it can be, and whether statements differ.
my $moments = <<'END';
count(*) FILTER (WHERE at < transaction_at)::text || ' ' ||
	count(*) FILTER (WHERE clock - at > '40 ms')::text || ' ' ||
	count(DISTINCT at)::text || ' of ' || count(*) FROM moments
END

sub timed
{
	my ($run, $count, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	query($node, $db, 'app', 'TRUNCATE moments');
	succeeds($run, "time: $name");
	is(value($moments), "0 0 $count of $count", "time: statements of $name");
	return;
}

foreach my $mode (sort keys %modes, 'start')
{
	my $run = $modes{$mode} // $background;

	fresh();
	query($node, $db, 'app',
		'CREATE TABLE moments (transaction_at timestamptz, at timestamptz, clock timestamptz)');
	add($_, $stamps, 'down => ' . quote($stamps)) for 1, 2;
	timed($run, 4, $mode);
	is(value('count(DISTINCT transaction_at) FROM moments'), $mode eq 'apply' ? 1 : 2,
		"$mode: transactions");
	timed('SELECT migrate.rollback(2)', 4, 'rollback()') if $mode eq 'apply';
	timed('CALL migrate.rollback_each(2)', 4, 'rollback_each()') if $mode eq 'apply_each';
	next if $mode eq 'apply';
	add('3', "$stamps; VACUUM moments; BEGIN; $stamps; COMMIT; $stamps");
	timed($run, $mode eq 'start' ? 6 : 10, "$mode in steps");
}

# a rehearsal tells by a constraint; the session's own goes on afterwards
fresh();
query($node, $db, 'app', 'CREATE TABLE closed (at timestamptz, created timestamptz DEFAULT clock_timestamp(), CHECK (at >= created - interval \'40 ms\'))');
add('1', 'SELECT pg_sleep(0.1); INSERT INTO closed VALUES (statement_timestamp())');
is(succeeds('SELECT count(message) FROM migrate.rehearse()', 'a rehearsal'), '0', 'and its time');
is(succeeds("CALL migrate.apply_each() \\gset\nSELECT now() = statement_timestamp(), clock_timestamp() - now() < '1 s'", 'time after the call'),
	't|t', 'time after the call is that of the next statement');

done_testing();
