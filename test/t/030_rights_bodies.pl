# Bodies: what one role stores must give it nothing when another one, up to a
# superuser, runs it, and no body gets at the books, at the run that it is part
# of, or at what comes after it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Utils;
use Rights;
use Test::More;

start_server();

# SQL that stores a migration; the bodies may hold anything.
sub add
{
	my ($version, $up, %more) = @_;

	$more{up} //= $up;
	return "SELECT migrate.add('$version'"
	  . join('', map { ", $_ => \$body\$$more{$_}\$body\$" } sort keys %more)
	  . ");\n";
}

# What everybody would want from a superuser
my $escalate = 'ALTER ROLE writer SUPERUSER';

sub superusers
{
	my $found = value('postgres',
		"string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolsuper");

	$node->safe_psql('postgres',
		join('', map { "ALTER ROLE $_ NOSUPERUSER;\n" } @Rights::roles));
	return $found;
}

# ---------------------------------------------------------------------------
# A superuser runs nothing that somebody else stored
# ---------------------------------------------------------------------------

my $db = database('authors');
allowed('writer', $db, add('002', 'SELECT 1; ' . $escalate,
	down => $escalate, verify => $escalate));
foreach my $call (
	'apply()', 'apply(dry_run => true)',
	'apply(raise => false)', "apply(versions => '{002}')",
	"apply('002')", "apply('head', raise => false, dry_run => true)")
{
	refused($super, $db, "SELECT migrate.$call",
		qr/MG017: a superuser cannot run migration "002", which role "writer" stored/,
		"does not run what a writer stored: $call");
}
allowed($super, $db, "SELECT migrate.stamp('002')");
foreach my $call (
	'rollback()', 'rollback(dry_run => true)', 'rollback(raise => false)',
	"rollback(versions => '{002}')", "rollback_to('001')",
	"rollback_to('base')", 'rollback_run()', 'redo()', 'redo(2)', 'verify()')
{
	refused($super, $db, "SELECT migrate.$call",
		qr/MG017: a superuser cannot run migration "00\d", which role "(writer|owner)" stored/,
		"does not run what a writer stored: $call");
}
is(superusers(), $super, 'nobody has become a superuser');

# A repeatable migration of a superuser, with a new text by a writer
my $repeatable = sub {
	my ($text) = @_;

	return "SELECT migrate.load(jsonb_build_object('1_a.sql', \$t\$-- migrate:repeatable\n-- migrate:up\n$text\n\$t\$), project => 'r');";
};
allowed($super, $db, $repeatable->('SELECT 1;'));
allowed($super, $db, "SELECT migrate.apply(project => 'r')");
allowed('writer', $db, $repeatable->($escalate));
refused($super, $db, "SELECT migrate.apply(project => 'r')",
	qr/MG017/, 'does not run the new text of what was his own');

# Who replaces one text vouches for that text only.
allowed('writer', $db, <<"END");
SELECT migrate.add('1', 'SELECT 1', '$escalate', project => 'a');
SELECT migrate.add('2', '$escalate', 'SELECT 1', project => 'a');
END
allowed('runner', $db, "SELECT migrate.apply('1', project => 'a')");
allowed($super, $db, "SELECT migrate.stamp('2', project => 'a')");
run($super, $db,
	"SELECT migrate.amend('1', verify => 'SELECT true', project => 'a')");
run($super, $db,
	"SELECT migrate.amend('2', down => 'SELECT 2', project => 'a')");
run($super, $db, "SELECT migrate.$_") for "rollback(1, project => 'a')",
  "rollback(1, project => 'a')", "redo(1, project => 'a')",
  "apply(project => 'a')";
is(superusers(), $super,
	'amending one text of a migration does not vouch for the others');
refused_each(
	'mender', $db, qr/42501: permission denied for function/,
	"SELECT migrate.apply(project => 'a');",
	"SELECT migrate.add('1', 'SELECT 1');");

# A superuser may run his own, and may decide to trust.
allowed($super, $db, "SELECT migrate.add('1', 'SELECT 1', project => 'own')");
allowed($super, $db, "SELECT migrate.apply(project => 'own')");
is(value($db, "applied_by FROM migrate.applied WHERE project = 'own'"),
	$super, 'a superuser runs what he stored');
allowed('writer', $db, "SELECT migrate.add('2', 'SELECT 1', project => 'own')");
allowed($super, $db,
	"SET migrate.trust_authors = on; SELECT migrate.apply(project => 'own')");
is( value($db, "count(*) FROM migrate.applied WHERE project = 'own'"),
	'2', 'a superuser runs what he decides to trust');
allowed($super, $db, 'CREATE ROLE leaving LOGIN');
allowed('owner', $db, "SELECT migrate.grant('write', 'leaving')");
allowed('leaving', $db, "SELECT migrate.add('1', 'SELECT 1', project => 'left')");
allowed('owner', $db, "SELECT migrate.revoke('look', 'leaving')");
allowed($super, $db, 'DROP ROLE leaving');
refused($super, $db, "SELECT migrate.apply(project => 'left')",
	qr/MG017: .* which role "leaving" stored/,
	'does not run what a role stored that is gone');

# The setting that lifts this is a superuser's.
my $on = 'migrate.trust_authors = on';
allowed('owner', $db,
	"CREATE FUNCTION own_owner.nothing() RETURNS int LANGUAGE sql AS 'SELECT 1'"
);
refused_each(
	'owner', $db,
	qr/ERROR:  42501: permission denied to set parameter "migrate.trust_authors"/,
	"SELECT migrate.version(); SET $on;",
	"SET $on;",
	"SET LOCAL $on;",
	q{SELECT set_config('migrate.trust_authors', 'on', false);},
	"ALTER DATABASE $db SET $on;",
	"ALTER ROLE owner SET $on;",
	"ALTER FUNCTION own_owner.nothing() SET $on;");
{
	# set before the library is there to say whose it is
	local $ENV{PGOPTIONS} = '-c migrate.trust_authors=on';
	my ($status, $out, $err) =
	  run('owner', $db, 'SELECT migrate.version(); SHOW migrate.trust_authors');
	like($out, qr/^off$/m, 'it cannot be set by way of a connection');
	($status, $out, $err) =
	  run('low', $db, "SELECT migrate.version(); SHOW migrate.trust_authors");
	unlike($out, qr/^on$/m, 'by nobody');
}
# ---------------------------------------------------------------------------
# A superuser in the clothes of another role
# ---------------------------------------------------------------------------

# SET ROLE is no prison: what runs in such a session can leave it again.  So
# that a superuser calls as another role must not be enough to have a body of
# that role run where it can become him.
my %escapes = (
	'RESET ROLE' => "RESET ROLE; $escalate",
	'SET ROLE NONE' => "SET ROLE NONE; $escalate",
	'SET ROLE' => "SET ROLE \"$super\"; $escalate",
	'SET LOCAL ROLE' => "SET LOCAL ROLE \"$super\"; $escalate",
	'RESET ALL' => "RESET ALL; RESET ROLE; $escalate",
	'set_config' => "SELECT set_config('role', 'none', false); $escalate",
	'SET SESSION AUTHORIZATION' =>
	  "SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; $escalate",
	'RESET SESSION AUTHORIZATION' =>
	  "RESET SESSION AUTHORIZATION; RESET ROLE; $escalate",
	'SESSION AUTHORIZATION by name' =>
	  "SET SESSION AUTHORIZATION \"$super\"; $escalate",
	'a DO block' =>
	  "DO \$\$BEGIN EXECUTE 'RESET ROLE'; EXECUTE '$escalate'; END\$\$",
	'an exception block' =>
	  "DO \$\$BEGIN BEGIN EXECUTE 'RESET ROLE'; EXECUTE '$escalate'; EXCEPTION WHEN division_by_zero THEN NULL; END; END\$\$");
my $trap = <<"END";
CREATE FUNCTION pg_temp.trap() RETURNS int LANGUAGE plpgsql AS \$\$ BEGIN
	BEGIN EXECUTE 'RESET ROLE'; EXCEPTION WHEN OTHERS THEN NULL; END;
	IF current_setting('is_superuser') = 'on' THEN $escalate; END IF;
	RETURN 1;
END \$\$;
CREATE FUNCTION pg_temp.trap_trigger() RETURNS trigger LANGUAGE plpgsql AS
	\$\$ BEGIN PERFORM pg_temp.trap(); RETURN NULL; END \$\$;
END
my %delayed = (
	'a deferred trigger' => <<"END",
$trap CREATE TEMP TABLE t (i int);
CREATE CONSTRAINT TRIGGER c AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION pg_temp.trap_trigger();
INSERT INTO t VALUES (1);
END
	'a deferred trigger that hides' => <<"END",
$trap CREATE TEMP TABLE t (i int);
DO \$\$BEGIN EXECUTE 'CREATE CONSTRAINT TRIGGER c AFTER INSERT ON t DEF' || 'ERRABLE INITIALLY DEF' || 'ERRED FOR EACH ROW EXECUTE FUNCTION pg_temp.trap_trigger()'; END\$\$;
INSERT INTO t VALUES (1);
END
	'a cursor with hold' =>
	  "$trap DECLARE c CURSOR WITH HOLD FOR SELECT pg_temp.trap()",
	'a table that shadows another' => <<"END",
$trap CREATE TEMP TABLE users (id int);
CREATE TRIGGER c AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION pg_temp.trap_trigger();
END
	'a type that shadows another' => <<'END',
CREATE FUNCTION pg_temp.trap(pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE plpgsql AS
	$$ BEGIN IF current_setting('is_superuser') = 'on' THEN ALTER ROLE writer SUPERUSER; END IF; RETURN true; END $$;
CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.trap(VALUE));
END
	'a prepared statement' => "$trap PREPARE p AS SELECT pg_temp.trap()");

my $disguises = 0;
$db = database('disguise');
allowed($super, $db, 'CREATE SCHEMA proof; CREATE SEQUENCE proof.taken');
allowed('owner', $db, "SELECT migrate.grant('run', 'writer')");

# %s stands for the project, which each case has to itself.
sub in_disguise
{
	my ($name, $bodies, $statements) = @_;
	my $project = 'p' . ++$disguises;

	allowed('writer', $db, add('1', 'SELECT 1', project => $project, %$bodies));
	my (undef, undef, $err) = run($super, $db,
		$statements =~ s/%s/project => '$project'/gr, on_error_stop => 0);
	is(superusers(), $super, "SET ROLE is no way out: $name") or diag($err);
	allowed($super, $db, "SELECT migrate.hold('1', 'done', project => '$project')");
	return;
}

foreach my $escape (sort keys %escapes)
{
	foreach my $call ('apply(%s)', 'apply(raise => false, %s)')
	{
		in_disguise("$escape, $call", { up => $escapes{$escape} },
			"SET ROLE writer;\nSELECT migrate.$call;");
	}
}
foreach my $call ('rollback(%s)', 'redo(%s)', 'rollback_run(%s)')
{
	in_disguise("RESET ROLE, $call", { down => "RESET ROLE; $escalate" },
		"SET ROLE writer;\nSELECT migrate.apply(%s);\nSELECT migrate.$call;");
}
in_disguise(
	'RESET ROLE, verify()',
	{ verify => "RESET ROLE; SELECT nextval('proof.taken')" },
	"SELECT migrate.stamp('1', %s);\nSET ROLE writer;\nSELECT migrate.verify(%s);"
);
in_disguise(
	'RESET ROLE, apply(dry_run)',
	{ up => "RESET ROLE; SELECT nextval('proof.taken')" },
	"SET ROLE writer;\nSELECT migrate.apply(dry_run => true, %s);");
is(value($db, 'is_called FROM proof.taken'),
	'f', 'not even in what is rolled back');
in_disguise(
	'SET SESSION AUTHORIZATION',
	{ up => "RESET SESSION AUTHORIZATION; $escalate" },
	"SET SESSION AUTHORIZATION writer;\nSELECT migrate.apply(%s);");
foreach my $delay (sort keys %delayed)
{
	my $later = "INSERT INTO users VALUES (1);\nEXECUTE p;\nSELECT 'x'::text;";

	in_disguise(
		$delay,
		{ up => $delayed{$delay} },
		"SET ROLE writer;\nBEGIN;\nSELECT migrate.apply(%s);\nRESET ROLE;\nCOMMIT;\n$later"
	);
	in_disguise(
		"$delay, without a transaction block",
		{ up => $delayed{$delay} },
		"SET ROLE writer;\nSELECT migrate.apply(%s);\nRESET ROLE;\n$later");
}

# An honest body is not run either, but start() does it, in a session of the role
# that was set.
allowed('writer', $db, add('1', 'CREATE TABLE own_writer.honest (i int)',
		project => 'honest'));
refused(
	$super, $db,
	"SET ROLE writer; SELECT migrate.apply(project => 'honest')",
	qr/MG017: .*\n.*DETAIL:.*\n.*HINT: .*migrate\.start\(\)/,
	'SET ROLE does not make a stranger of a superuser');
allowed($super, $db, <<'END');
SET ROLE writer;
SELECT migrate.start(project => 'honest') AS run \gset
CALL migrate.wait(:run);
END
is( value(
		$db,
		"applied_by, tableowner FROM migrate.applied, pg_tables WHERE project = 'honest' AND tablename = 'honest'"
	),
	'writer|writer',
	'start() runs it as the role that was set');

# The same bodies as the role that stored them, with nothing to go back to
$db = database('alone');
allowed('owner', $db, "SELECT migrate.grant('run', 'writer')");
foreach my $escape (sort keys %escapes)
{
	allowed('writer', $db, add('002', $escapes{$escape}));
	harmless('writer', $db, 'SELECT migrate.apply()',
		"has nothing to go back to: $escape");
	run('owner', $db, "SELECT migrate.remove('002')");
}

# A SECURITY DEFINER function is the identity of its owner, and not more.
$db = database('definers');
allowed($super, $db, <<'END');
CREATE SCHEMA wrapper;
GRANT USAGE ON SCHEMA wrapper TO PUBLIC;
CREATE FUNCTION wrapper.apply() RETURNS SETOF record SECURITY DEFINER
	LANGUAGE sql AS 'SELECT migrate.apply()';
CREATE FUNCTION wrapper.add(version text, up text) RETURNS text SECURITY DEFINER
	LANGUAGE sql AS 'SELECT migrate.add($1, $2)';
REVOKE EXECUTE ON FUNCTION wrapper.add FROM PUBLIC;
END
allowed('writer', $db, add('002', $escalate));
foreach my $role (qw(low writer runner owner))
{
	refused($role, $db, 'SELECT wrapper.apply()',
		qr/MG017/, 'cannot have a superuser run it by way of his function');
}
allowed('owner', $db, <<'END');
SELECT migrate.remove('002');
CREATE FUNCTION own_owner.apply() RETURNS SETOF record SECURITY DEFINER
	LANGUAGE sql AS 'SELECT migrate.apply()';
GRANT USAGE ON SCHEMA own_owner TO PUBLIC;
END
allowed('low', $db, 'CREATE TABLE own_low.who (c name, s name); GRANT ALL ON own_low.who TO owner; GRANT USAGE ON SCHEMA own_low TO owner');
allowed('writer', $db, add('002', 'INSERT INTO own_low.who VALUES (current_user, session_user)'));
allowed('low', $db, 'SELECT own_owner.apply()');
is(value($db, 'c, s FROM own_low.who'), 'owner|low',
	'a body runs as the owner of the function');
is( value(
		$db,
		"role, session_role FROM migrate.journal WHERE version = '002'"),
	'owner|low',
	'and the journal says so');
allowed('writer', $db, add('003', 'SET ROLE low'));
harmless('low', $db, 'SELECT own_owner.apply()',
	'a body cannot leave the identity of the function');
is(value($db, "count(*) FROM migrate.applied WHERE version = '003'"),
	'0', 'and the attempt fails');
{
	my ($out) = session('low', $db)->query(
		"SELECT own_owner.apply();\nSELECT current_user, session_user;");
	is($out, 'low|low', 'a failure gives the identity back');
}
allowed('low', $db,
	"CREATE FUNCTION own_low.apply() RETURNS void SECURITY DEFINER LANGUAGE plpgsql AS 'BEGIN PERFORM migrate.apply(); END'"
);
refused('owner', $db, 'SELECT own_low.apply()',
	qr/42501: permission denied for schema migrate/,
	'a function of a role without rights lends none');

# ---------------------------------------------------------------------------
# What a body may not do, with every right to run
# ---------------------------------------------------------------------------

# Run one body and see that it fails, is journalled, and nothing else happens.
my $ledger = "md5(string_agg(t::text, ' ')) FROM (SELECT * FROM migrate.applied ORDER BY project, version) AS t";

sub body_refused
{
	my ($role, $body, $pattern, $name) = @_;
	my $before = privileges($db) . value($db, $ledger);

	allowed($super, $db,
		"INSERT INTO migrate.migration (version, up, added_by) VALUES ('500', \$b\$$body\$b\$, '$role')"
	);
	my ($status, undef, $err) = run($role, $db, 'SELECT migrate.apply()');
	my $after = privileges($db) . value($db, $ledger);
	ok($status != 0 && $err =~ $pattern && $after eq $before,
		"a body run by $role: $name")
	  or diag("status $status, messages:\n$err");
	allowed($super, $db, "SELECT migrate.remove('500')");
	return;
}

$db = database('bodies');
foreach my $case (
	[ "SET ROLE \"$super\"", 'SET ROLE' ],
	[ 'SET ROLE owner', 'SET ROLE to the owner' ],
	[ "SET SESSION AUTHORIZATION \"$super\"", 'SET SESSION AUTHORIZATION' ],
	[ "ALTER ROLE runner SUPERUSER", 'ALTER ROLE' ],
	[ "GRANT \"$super\" TO runner", 'GRANT of a role' ],
	[ 'SET session_replication_role = replica', 'session_replication_role' ],
	[ 'SET migrate.trust_authors = on', 'trust_authors' ],
	[ "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION suppress_redundant_updates_trigger()", 'event trigger' ],
	[ "COPY (SELECT 1) TO PROGRAM 'cat'", 'COPY TO PROGRAM' ],
	[ "COPY public.users FROM '/etc/passwd'", 'COPY from a file' ],
	[ "CREATE FUNCTION own_runner.c() RETURNS int LANGUAGE c AS 'migrate', 'mig_bgworker_failure_main'", 'C function of the library' ],
	[ "CREATE EXTENSION file_fdw", 'extension that is not trusted' ],
	[ "SELECT pg_read_file('/etc/passwd')", 'pg_read_file' ],
	[ 'UPDATE migrate.applied SET checksum = checksum', 'UPDATE of the ledger' ],
	[ "DELETE FROM migrate.applied WHERE version = '001'", 'DELETE from the ledger' ],
	[ 'DELETE FROM migrate.journal', 'DELETE from the journal' ],
	[ "INSERT INTO migrate.applied SELECT * FROM migrate.applied", 'INSERT into the ledger' ],
	[ 'INSERT INTO migrate.executed_text SELECT * FROM migrate.executed_text', 'INSERT of a text that ran' ],
	[ 'TRUNCATE migrate.journal', 'TRUNCATE of the journal' ],
	[ 'DROP TABLE migrate.executed_text', 'DROP TABLE' ],
	[ 'ALTER TABLE migrate.applied DISABLE TRIGGER ALL', 'DISABLE TRIGGER' ],
	[ "SELECT setval('migrate.run_seq', 1)", 'setval' ],
	[ "SELECT nextval('migrate.run_seq')", 'nextval' ],
	[ 'CREATE TRIGGER t BEFORE INSERT ON migrate.applied FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'trigger on the ledger' ],
	[ "DO 'BEGIN LOCK TABLE migrate.applied; END'", 'LOCK TABLE' ],
	[ "DO 'BEGIN DROP EXTENSION migrate; END'", 'DROP EXTENSION in a DO block' ],
	[ "DO 'BEGIN ALTER EXTENSION migrate UPDATE; END'", 'ALTER EXTENSION in a DO block' ],
	[ 'DROP SCHEMA migrate CASCADE', 'DROP SCHEMA' ],
	[ "SELECT migrate.grant('repair', 'runner')", 'grant()' ],
	[ "UPDATE migrate.policy SET protected = false", 'policy' ],
	[ "COMMENT ON EXTENSION migrate IS 'x'", 'COMMENT ON EXTENSION' ])
{
	body_refused('runner', $case->[0], qr/ERROR:  (42501|2BP01)/, $case->[1]);
}

foreach my $body (
	'DROP EXTENSION migrate',
	'DROP EXTENSION IF EXISTS plpgsql, migrate CASCADE',
	'ALTER EXTENSION migrate UPDATE',
	'ALTER EXTENSION migrate ADD TABLE public.users',
	'SELECT 1; DROP EXTENSION "migrate"',
	'PREPARE TRANSACTION \'x\'', 'ROLLBACK', 'SAVEPOINT a',
	'ROLLBACK TO a', 'BEGIN; SELECT 1', 'COMMIT AND CHAIN',
	'SET standard_conforming_strings = off',
	'COPY public.users FROM STDIN')
{
	refused('writer', $db, add('600', $body), qr/MG009/, "cannot store $body");
	run('writer', $db, "SELECT migrate.remove('600')");
}
foreach my $body ('DISCARD ALL', 'VACUUM', 'ALTER SYSTEM SET work_mem = 64',
	"COMMIT PREPARED 'x'")
{
	allowed('owner', $db, add('601', $body));
	refused('runner', $db, 'SELECT migrate.apply()',
		qr/MG008/, "a body of $body is refused before anything runs");
	allowed('owner', $db, "SELECT migrate.remove('601')");
}

# The owner of the database owns the extension too, so these get further.
foreach my $case (
	[ "DO 'BEGIN DROP EXTENSION migrate; END'", 'drops the extension' ],
	[ "DO 'BEGIN DROP EXTENSION migrate; CREATE EXTENSION migrate; END'", 'drops the extension and creates it again' ],
	[ 'DROP OWNED BY owner', 'drops all that the owner has' ],
	[ 'DROP SCHEMA migrate CASCADE', 'drops the schema' ],
	[ 'DELETE FROM migrate.applied', 'deletes from the ledger' ],
	[ "UPDATE migrate.journal SET note = 'x'", 'updates the journal' ],
	[ 'TRUNCATE migrate.executed_text', 'truncates the texts that ran' ],
	[ "UPDATE migrate.migration SET added_by = '$super'", 'updates the texts' ],
	[ "INSERT INTO migrate.migration (version, up) VALUES ('501', 'SELECT 1')", 'inserts a text' ],
	[ "ALTER ROLE owner SUPERUSER", 'makes the owner a superuser' ])
{
	body_refused('owner', $case->[0],
		qr/ERROR:  (42501|2BP01|42704|MG019|MG021|XX000)/, $case->[1]);
}

# ---------------------------------------------------------------------------
# No run inside a run
# ---------------------------------------------------------------------------

$db = database('recursion');
allowed('owner', $db, add('900', 'SELECT 1'));
allowed('owner', $db, 'CREATE TABLE own_owner.files (path text, content text); INSERT INTO own_owner.files VALUES (\'950_x.sql\', \'SELECT 1;\')');
my @calls = (
	'apply()', 'apply(dry_run => true)', 'apply(raise => false)',
	'rollback()', 'rollback(raise => false)', "rollback_to('base')",
	'rollback_run()', 'redo()', 'verify()',
	"add('901', 'SELECT 1')",
	q{load('{"902_x.sql": "SELECT 1;"}')}, "load_table('own_owner.files')",
	"remove('900')", "amend('001', verify => 'SELECT true')",
	"hold('900', 'x')", "unhold('900')", "stamp('900')", "unstamp('001')",
	"stamp_to('base')", "stamp_to('900')", "prune_journal('0 days')");
foreach my $call (@calls)
{
	body_refused('owner', "SELECT migrate.$call",
		qr/MG019: a migration cannot run or change migrations/, $call);
}
body_refused('owner', "DO 'BEGIN PERFORM migrate.apply(); END'",
	qr/MG019/, 'in a DO block');
body_refused('owner', "INSERT INTO migrate.migration (version, up) SELECT '903', 'x' WHERE false",
	qr/MG019/, 'by a plain INSERT of nothing');
body_refused('owner', "CREATE TABLE own_owner.t AS SELECT version FROM migrate.rollback()",
	qr/MG019/, 'in the query of another statement');
body_refused('owner', "COPY (SELECT migrate.apply()) TO '/dev/null'",
	qr/MG019|42501/, 'in COPY');
body_refused('owner', "PREPARE p AS SELECT migrate.apply(); EXECUTE p",
	qr/MG019/, 'in a prepared statement');

# Caught, it does not count, and the run is still the only one.
my $caught = join(
	"\n",
	map {
		"BEGIN PERFORM migrate.$_; RAISE 'not refused'; EXCEPTION WHEN SQLSTATE 'MG019' THEN NULL; END;"
	} map { s/'/''/gr =~ s/''/'/gr } @calls);
allowed('owner', $db, "SELECT migrate.remove('900')");
allowed('owner', $db,
	add('910', "DO \$do\$ BEGIN\n$caught\nEND \$do\$",
		down => "DO \$do\$ BEGIN\n$caught\nEND \$do\$",
		verify => "DO \$do\$ BEGIN\n$caught\nEND \$do\$; SELECT true"));
{
	my ($status, undef, $err) = run('owner', $db, 'SELECT migrate.apply()');
	is($status, 0, 'a body that catches every refusal runs on') or diag($err);
}
is( value(
		$db, "string_agg(version, ' ' ORDER BY version) FROM migrate.applied"),
	'001 910',
	'and nothing but itself was applied');
allowed('owner', $db, 'SELECT migrate.verify()');
allowed('owner', $db, 'SELECT migrate.rollback()');
is( value(
		$db, "string_agg(version, ' ' ORDER BY version) FROM migrate.applied"),
	'001',
	'nor rolled back');
is( value(
		$db,
		"string_agg(action, ' ' ORDER BY run) FROM migrate.journal WHERE version = '910'"
	),
	'apply rollback',
	'nor journalled');
allowed('owner', $db, "SELECT migrate.remove('910')");

# After a failure, whatever way it was caught, the next call works.
{
	my $session = session('owner', $db);
	my ($out, $err) = $session->query(
		add('920', 'SELECT 1/0')
		  . "SELECT migrate.apply();\nSELECT migrate.remove('920');");
	like($err, qr/22012/, 'a body fails');
	unlike($err, qr/MG019/, 'and the session can go on');
	($out, $err) = $session->query(
		"BEGIN;\nSAVEPOINT a;\n"
		  . add('921', 'SELECT 1/0')
		  . "SELECT migrate.apply();\nROLLBACK TO a;\n"
		  . add('922', 'SELECT 1')
		  . "SELECT version FROM migrate.apply();\nCOMMIT;");
	like($out, qr/^922$/m, 'nor after a savepoint');
	($out, $err) = $session->query(<<"END");
SELECT migrate.add('923', 'SELECT 1/0', verify => 'SELECT 1');
DO \$\$ BEGIN PERFORM migrate.apply(); EXCEPTION WHEN division_by_zero THEN PERFORM migrate.remove('923'); PERFORM migrate.add('924', 'SELECT 1'); PERFORM migrate.apply(); END \$\$;
SELECT migrate.current();
END
	like($out, qr/^924$/m, 'nor after an exception that was caught');
	$session->close;
}

# ---------------------------------------------------------------------------
# What a body leaves behind for the next one
# ---------------------------------------------------------------------------

$db = database('surroundings');
allowed('owner', $db, 'CREATE TABLE own_owner.saw (what text, value text); CREATE SCHEMA evil');
my $watch = join(
	'',
	map {
		"INSERT INTO own_owner.saw VALUES ('$_', current_setting('$_'));\n"
	} qw(search_path role standard_conforming_strings DateStyle row_security
	  check_function_bodies statement_timeout lock_timeout work_mem
	  backslash_quote session_authorization default_tablespace));
my $settings_of = sub {
	my $seen = value($db,
		"string_agg(what || '=' || value, E'\\n' ORDER BY what) FROM own_owner.saw");

	allowed('owner', $db, 'TRUNCATE own_owner.saw');
	return $seen;
};
allowed('owner', $db, q{INSERT INTO migrate.policy (search_path) VALUES ('public')});
allowed('owner', $db, add('010', $watch));
allowed('owner', $db, 'SELECT migrate.apply()');
my $pinned = $settings_of->();
like($pinned, qr/^search_path=public$/m, 'a body has the search_path of the policy');
like($pinned, qr/^standard_conforming_strings=on$/m, 'and plain string literals');

# whatever the session has, but for what means something
allowed('owner', $db, add('011', $watch));
{
	my $session = session('owner', $db);
	$session->query(<<'END');
SET search_path = evil, pg_catalog;
SET DateStyle = 'German';
SET row_security = off;
SET check_function_bodies = off;
SET standard_conforming_strings = off;
SET backslash_quote = on;
END
	$session->query('SELECT migrate.apply();');
	is($settings_of->(),
		$pinned =~ s/^DateStyle=.*/DateStyle=German, DMY/mr
		  =~ s/^row_security=.*/row_security=off/mr
		  =~ s/^check_function_bodies=.*/check_function_bodies=off/mr
		  =~ s/^backslash_quote=.*/backslash_quote=on/mr,
		'and all else as the session has it');
	my ($out) = $session->query(
		'SHOW search_path; SHOW DateStyle; SHOW row_security; SHOW standard_conforming_strings;'
	);
	is($out, "evil, pg_catalog\nGerman, DMY\noff\noff",
		'and the session has its own again');
	$session->close;
}

# whatever the body before it did
my $untidy = <<'END';
SET search_path = evil, pg_catalog;
SET LOCAL DateStyle = 'German';
SELECT set_config('row_security', 'off', false);
SET check_function_bodies = off;
SET statement_timeout = '77s';
SET lock_timeout = '77s';
SET work_mem = '77MB';
RESET ALL;
SET search_path = evil, pg_catalog;
SELECT pg_advisory_unlock_all();
DISCARD PLANS;
DISCARD SEQUENCES;
DISCARD TEMP;
DEALLOCATE ALL;
CLOSE ALL;
UNLISTEN *;
SET TRANSACTION READ ONLY;
END
{
	my $session = session('owner', $db);
	$session->query(add('020', $untidy) . add('021', $watch));
	my ($out, $err) = $session->query("SELECT version FROM migrate.apply();");
	is($out, "020\n021", 'a body that changes every setting') or diag($err);
	is($settings_of->(), $pinned, 'changes none for the next one');
	($out) = $session->query(
		'SHOW search_path; SHOW statement_timeout; SHOW lock_timeout; SHOW work_mem; SHOW transaction_read_only; SELECT current_user;'
	);
	is($out, "\"\$user\", public\n0\n0\n4MB\noff\nowner", 'and none for the session');
	$session->close;
}

# a change of the syntax of literals, which would move the ends of statements
foreach my $change (
	q{SELECT set_config('standard_conforming_strings', 'off', false)},
	q{DO $do$ BEGIN EXECUTE 'SET standard_conforming_strings = off'; END $do$},
	'RESET ALL')
{
	# RESET gives what bodies begin with, and then the backslash is too much
	my $why = $change =~ /^RESET/ ?
	  'has a backslash in a plain string literal' :
	  'has turned standard_conforming_strings off';

	allowed($super, $db, "ALTER DATABASE $db SET standard_conforming_strings = off");
	body_refused(
		'owner',
		"$change; SELECT 'a\\', '; ALTER ROLE owner SUPERUSER; --', 'b'",
		qr/MG009: migration "500" $why/,
		"$change is noticed");
	allowed($super, $db, "ALTER DATABASE $db RESET ALL");
}

# The policy's search_path is the owner's to set.  A superuser's own body must
# not run what the owner has put before the functions of the server.
$db = database('policy');
allowed('owner', $db, <<"END");
CREATE FUNCTION own_owner.lower(text) RETURNS text LANGUAGE plpgsql AS \$\$
	BEGIN IF current_setting('is_superuser') = 'on' THEN ALTER ROLE owner SUPERUSER; END IF; RETURN \$1; END \$\$;
INSERT INTO migrate.policy (project, search_path) VALUES ('p', 'own_owner, pg_catalog');
END
allowed($super, $db, "SELECT migrate.add('1', 'SELECT lower(''X'')', project => 'p')");
run($super, $db, "SELECT migrate.apply(project => 'p')");
is(superusers(), $super,
	'a search_path of the owner does not come before the functions of the server');

# The policy itself holds for who may run.
allowed('owner', $db, <<'END');
INSERT INTO migrate.policy (project, role) VALUES ('r', 'runner');
INSERT INTO migrate.policy (project, frozen_reason) VALUES ('f', 'release');
INSERT INTO migrate.policy (project, protected) VALUES ('s', true);
SELECT migrate.add('1', 'SELECT 1', 'SELECT 2', project => p) FROM unnest('{r,f,s}'::text[]) AS p;
SELECT migrate.grant('run', 'writer');
SELECT migrate.apply(project => 's');
END
refused('writer', $db, "SELECT migrate.apply(project => 'r')",
	qr/MG016: migrations of project "r" run as role "runner"/,
	'is not the role that the policy names');
refused('mender', $db, "SELECT migrate.stamp('1', project => 'r')",
	qr/MG016/, 'nor when changing the ledger by hand');
refused($_, $db, "SELECT migrate.apply(project => 'f')",
	qr/MG015: project "f" is frozen/, 'does not run a frozen project')
  for 'writer', 'owner', $super;
refused('mender', $db, "SELECT migrate.stamp_to('head', project => 'f')",
	qr/MG015/, 'nor changes its ledger');
foreach my $call (
	"rollback(project => 's')", "rollback_to('base', project => 's')",
	"rollback_run(project => 's')", "redo(project => 's')")
{
	refused('writer', $db, "SELECT migrate.$call",
		qr/MG018: project "s" is protected/, $call);
}
refused('writer', $db, "SELECT migrate.rollback(confirm => 'other', project => '$_')",
	qr/MG018: confirm names database "other", and this is/, "another database in project $_")
  for 's', 'default';
refused('mender', $db, "SELECT migrate.$_", qr/MG018/, $_)
  for "unstamp('1', project => 's')", "stamp_to('base', project => 's')";

# ---------------------------------------------------------------------------
# Errors as a weapon
# ---------------------------------------------------------------------------

$db = database('errors');
my @nasty = (
	'%s %n %d %1$s %',
	"line\nfeed\n2026-01-01 00:00:00 UTC [1] LOG:  forged",
	q{quote ' " \ $body },
	'{"json": "\u0000"}',
	"\x{1b}[2J\x{07}",
	'x' x 1_000_000);

# A message is for a person: control characters are spelled out, and it is cut
# after 8,000 bytes.
sub shown
{
	my ($text) = @_;

	$text =~ s/([\x{1b}\x{07}])/sprintf '\\x%02X', ord $1/ge;
	return length $text > 8000 ? substr($text, 0, 8000) . '...' : $text;
}

foreach my $i (0 .. $#nasty)
{
	my $text = $nasty[$i];
	my $literal = "'" . ($text =~ s/'/''/gr) . "'";
	my $shown = "'" . (shown($text) =~ s/'/''/gr) . "'";
	my $size = log_size();
	my $body = "DO \$do\$ BEGIN RAISE EXCEPTION USING MESSAGE = $literal, DETAIL = $literal, HINT = $literal, ERRCODE = 'P0042'; END \$do\$";
	my $up = "\$up$i\$$body\$up$i\$";
	my $version = "10$i";

	allowed('owner', $db, "SELECT migrate.add('$version', $up)");
	my ($status, undef, $err) = run('owner', $db, 'SELECT migrate.apply()');
	like($err, qr/ERROR:  P0042: /, "message $i arrives");
	is( value(
			$db,
			"message = $shown AND detail = $shown AND hint = $shown FROM migrate.journal WHERE version = '$version' AND outcome = 'failure'"
		),
		't',
		"message $i is journalled as it is");
	is( allowed('looker', $db, "SELECT error = $shown FROM migrate.status() WHERE version = '$version'"),
		't',
		"message $i can be looked at");
	unlike(log_since($size), qr/^2026-01-01 00:00:00 UTC \[1\] LOG/m,
		"message $i forges no line of the server log");
	is( allowed('owner', $db,
			"SELECT error->>'message' = $shown FROM migrate.apply(raise => false)"),
		't',
		"message $i is reported as it is")
	  if $i != 3;
	allowed('owner', $db, "SELECT migrate.remove('$version')");
}
{
	# the same as JSON, where a zero byte cannot be
	my $literal = "'" . $nasty[3] . "'";
	allowed('owner', $db, "SELECT migrate.add('103', \$b\$DO \$d\$ BEGIN RAISE $literal; END \$d\$\$b\$)");
	my ($status, $out) =
	  run('owner', $db, "SELECT error->>'message' = $literal FROM migrate.apply(raise => false)");
	is("$status $out", '0 t', 'a message that looks like JSON');
	allowed('owner', $db, "SELECT migrate.remove('103')");
}

# A body that ends its own session, or makes an error end it
foreach my $body ('SELECT pg_terminate_backend(pg_backend_pid())',
	'SET exit_on_error = on; SELECT 1/0')
{
	allowed('owner', $db, add('700', "CREATE TABLE own_owner.left_over (i int); $body"));
	my $before = privileges($db) . value($db, $ledger);
	my ($status) = run('owner', $db, 'SELECT migrate.apply()');
	is($status, 2, "$body ends the session");
	is(privileges($db) . value($db, $ledger), $before, 'and changes nothing');
	allowed('owner', $db, "SET migrate.wait_timeout = '5s'; SELECT migrate.remove('700')");
}

# An error of one's own that looks like one of ours
body_refused('owner', "DO \$d\$ BEGIN RAISE 'x' USING ERRCODE = 'MG019'; END \$d\$",
	qr/ERROR:  MG019: x/, 'an SQLSTATE of the extension');
body_refused('owner', "DO \$d\$ BEGIN RAISE 'x' USING ERRCODE = '57014'; END \$d\$",
	qr/ERROR:  57014: x/, 'the SQLSTATE of a cancel');
is( value(
		$db,
		"string_agg(sqlstate, ' ' ORDER BY run) FROM migrate.journal WHERE version = '500'"
	),
	'MG019 57014',
	'are journalled');

# Nothing but nulls for every function, as its owner has them all; where any
# type is taken, of two
foreach my $call (
	split /\n/,
	value(
		$db, <<'END'))
string_agg(DISTINCT format('%s %s(%s)', CASE prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT * FROM' END,
		p.oid::regproc, array_to_string(ARRAY(
		SELECT CASE WHEN t.i = pronargs AND provariadic <> 0 THEN 'VARIADIC ' ELSE '' END || 'NULL::' || CASE t.oid
			WHEN 'anycompatible'::regtype THEN type
			WHEN 'anyelement'::regtype THEN type
			WHEN 'anycompatiblearray'::regtype THEN type || '[]'
			ELSE format_type(t.oid, NULL) END
		FROM unnest(p.proargtypes) WITH ORDINALITY AS t(oid, i) ORDER BY t.i), ', ')), E'\n')
	FROM pg_proc p, unnest(ARRAY['text', 'integer']) AS type
	WHERE pronamespace = 'migrate'::regnamespace AND prorettype <> 'trigger'::regtype
END
{
	my ($status, undef, $err) =
	  $call =~ /^CALL/ ? run('owner', $db, $call) :
	  run('owner', $db, "BEGIN; $call; ROLLBACK");

	ok($status == 0 || $err =~ /ERROR:  (22004|22023|MG\d{3}|42704|42804: a version is text)/,
		"$call is harmless")
	  or diag("status $status: $err");
}
refused('owner', $db, 'SELECT migrate.gate()', qr/42501: permission denied for function gate/,
	'the gate is a trigger and nothing else');

is(superusers(), $super, 'nobody has become a superuser');
stop_server();
done_testing();
