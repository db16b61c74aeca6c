# Installing: what somebody left in the database before CREATE EXTENSION runs
# as a superuser must not matter, and afterwards everything belongs to that
# superuser, with exactly the rights for others that are documented.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Utils;
use Rights;
use Test::More;

start_server();

sub empty_database
{
	my ($db) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db OWNER owner");
	return $db;
}

sub is_superuser
{
	my ($role) = @_;

	return value('postgres', "rolsuper FROM pg_roles WHERE rolname = '$role'");
}

# ---------------------------------------------------------------------------
# What is there before the extension
# ---------------------------------------------------------------------------

# A function body that says that it was called, and takes what it can get.
sub trap
{
	my ($return) = @_;

	return "LANGUAGE plpgsql AS \$trap\$ BEGIN"
	  . ' INSERT INTO evil.calls VALUES (current_user);'
	  . " IF current_setting('is_superuser') = 'on' THEN ALTER ROLE owner SUPERUSER; END IF;"
	  . " $return END \$trap\$";
}
my $trap = trap('');
my $trap_false = trap('RETURN false;');
my $trap_null = trap('RETURN NULL;');

my $db = empty_database('schema_of_owner');
allowed('owner', $db, <<"END");
CREATE SCHEMA evil;
CREATE TABLE evil.calls (who text);
CREATE SCHEMA migrate;
CREATE FUNCTION migrate.pg_extension_config_dump(text, text) RETURNS void $trap;
CREATE FUNCTION migrate.pg_extension_config_dump(regclass, text) RETURNS void $trap;
END
{
	my ($status, undef, $err) = run('owner', $db, 'CREATE EXTENSION migrate');
	like($err, qr/42P06: schema "migrate" already exists/,
		'a schema that the installer made before is not used');
}
is(value($db, 'count(*) FROM evil.calls'), '0', 'nothing in it was called');
is(value($db, "count(*) FROM pg_extension WHERE extname = 'migrate'"),
	'0', 'and nothing was installed');
{
	my ($status, undef, $err) =
	  run('owner', $db, 'CREATE EXTENSION migrate SCHEMA evil');
	like($err,
		qr/0A000: extension "migrate" must be installed in schema "pg_catalog"/,
		'no other schema can be given');
}

$db = empty_database('schema_of_low');
allowed($super, $db, "GRANT CREATE ON DATABASE $db TO low");
allowed('low', $db, 'CREATE SCHEMA migrate');
{
	my (undef, undef, $err) = run('owner', $db, 'CREATE EXTENSION migrate');
	like($err, qr/42P06: schema "migrate" already exists/,
		'a schema that another role made before is not used');
	(undef, undef, $err) = run('low', $db, 'CREATE EXTENSION migrate');
	like($err, qr/42P06/, 'nor by that role');
	allowed('low', $db, 'DROP SCHEMA migrate');
	(undef, undef, $err) =
	  run('low', $db, 'CREATE EXTENSION migrate VERSION "9.9"');
	like($err, qr/22023: extension "migrate" has no installation script nor update path/,
		'a version that does not exist');
}
allowed($super, $db, "REVOKE CREATE ON DATABASE $db FROM low");
{
	my (undef, undef, $err) = run('low', $db, 'CREATE EXTENSION migrate');
	like($err, qr/42501: permission denied to create extension "migrate"/,
		'who may not create in the database cannot install');
}

# Everything that the script names, in the way wherever a name is looked up.
$db = empty_database('traps');
allowed('owner', $db, <<"END");
CREATE SCHEMA evil;
CREATE TABLE evil.calls (who text);
GRANT USAGE ON SCHEMA evil TO PUBLIC;
GRANT INSERT ON evil.calls TO PUBLIC;
CREATE FUNCTION evil.pg_extension_config_dump(text, text) RETURNS void $trap;
CREATE FUNCTION public.pg_extension_config_dump(text, text) RETURNS void $trap;
CREATE FUNCTION evil.has_column_privilege(text, text, text) RETURNS bool $trap_false;
CREATE FUNCTION evil.round(float8) RETURNS int8 $trap_null;
CREATE FUNCTION evil.unnest(anyarray) RETURNS SETOF record $trap;
CREATE FUNCTION evil.matches(text, text) RETURNS bool $trap_false;
CREATE OPERATOR evil.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.matches);
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.matches);
CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.matches);
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.matches);
CREATE DOMAIN evil.text AS pg_catalog.text CHECK (evil.matches(VALUE::pg_catalog.text, ''));
CREATE DOMAIN evil.bool AS pg_catalog.bool;
CREATE DOMAIN evil.int8 AS pg_catalog.int8;
CREATE TYPE evil.statement_timing AS (x pg_catalog.int4);
CREATE DOMAIN public.text AS pg_catalog.text;
CREATE TABLE evil.migration (version pg_catalog.text);
CREATE TABLE public.applied (version pg_catalog.text);
CREATE COLLATION evil."C" FROM pg_catalog."POSIX";
ALTER DATABASE traps SET search_path = evil, public, pg_catalog;
END
{
	my ($status, undef, $err) = run('owner', $db, <<"END");
CREATE FUNCTION pg_temp.pg_extension_config_dump(text, text) RETURNS void $trap;
CREATE TABLE pg_temp.migration (version pg_catalog.text);
CREATE TABLE pg_temp.pg_extension (oid pg_catalog.oid, extname pg_catalog.name);
SET search_path = pg_temp, evil, public, pg_catalog;
CREATE EXTENSION migrate;
END
	is($status, 0, 'installed among traps') or diag($err);
}
is(value($db, 'pg_catalog.count(*) FROM evil.calls'),
	'0', 'no trap was called by the install script');
is( value(
		$db, <<'END'),
pg_catalog.count(*) FROM pg_catalog.pg_depend d
	JOIN pg_catalog.pg_depend e ON e.classid OPERATOR(pg_catalog.=) d.classid
		AND e.objid OPERATOR(pg_catalog.=) d.objid AND e.deptype OPERATOR(pg_catalog.=) 'e'
	CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.refclassid, d.refobjid, 0) AS o
	WHERE o.schema OPERATOR(pg_catalog.=) ANY ('{evil,public}')
END
	'0',
	'no object of the extension depends on one');

# The same traps while it is used, by the owner and by a superuser.
my $use = <<'END';
CREATE FUNCTION pg_temp.count(int) RETURNS int8 LANGUAGE sql AS 'SELECT 0::pg_catalog.int8';
CREATE TABLE pg_temp.state (complete pg_catalog.bool);
CREATE TABLE pg_temp.incoming (version pg_catalog.text);
CREATE TABLE pg_temp.journal_rows (version pg_catalog.text);
CREATE TABLE pg_temp.body_rows (hash pg_catalog.text);
SET search_path = pg_temp, evil, public, pg_catalog;
SELECT migrate.add('%1$s', 'CREATE TABLE own_%1$s (i pg_catalog.int4)', 'DROP TABLE own_%1$s',
	name => 'x', requires => '{}', verify => 'SELECT true', project => '%1$s');
SELECT migrate.load('{"2_b.sql": "SELECT 2;"}', project => '%1$s');
SELECT migrate.status('%1$s'), migrate.plan(project => '%1$s');
SELECT migrate.apply(project => '%1$s');
SELECT migrate.check(project => '%1$s'), migrate.current('%1$s'), migrate.heads('%1$s');
SELECT migrate.history(5, '%1$s'), migrate.failures(5, '%1$s');
SELECT migrate.verify('%1$s');
SELECT migrate.stamp('2', project => '%1$s'), migrate.unstamp('2', project => '%1$s');
SELECT migrate.hold('2', 'x', project => '%1$s'), migrate.unhold('2', project => '%1$s');
SELECT migrate.amend('1', verify => 'SELECT 1', project => '%1$s') WHERE false;
SELECT migrate.rollback(project => '%1$s');
SELECT migrate.script(project => '%1$s');
SELECT migrate.remove('2', '%1$s');
SELECT migrate.prune_journal('1 day', project => '%1$s');
TABLE migrate.failures; TABLE migrate.statements; TABLE migrate.schema_migrations;
TABLE migrate.history;
END
foreach my $role ('owner', $super)
{
	my ($status, undef, $err) = run($role, $db, sprintf($use, $role eq 'owner' ? 'p1' : 'p2'));
	is($status, 0, "used among traps by $role") or diag($err);
}
is(value($db, 'pg_catalog.count(*) FROM evil.calls'),
	'0', 'no trap was called by the functions');
is(is_superuser('owner'), 'f', 'the owner is no superuser');
is( value(
		$db,
		"pg_catalog.string_agg(project, ' ' ORDER BY project) FROM migrate.applied"
	),
	'',
	'all was rolled back');

# ---------------------------------------------------------------------------
# Whose it is, and who may use it
# ---------------------------------------------------------------------------

$db = empty_database('plain');
allowed('owner', $db, 'CREATE EXTENSION migrate');

my $bootstrap = value($db, '10::oid::regrole');
is( value(
		$db, <<'END'),
string_agg(DISTINCT owner::regrole::text, ' ') FROM (
	SELECT relowner FROM pg_class WHERE relnamespace = 'migrate'::regnamespace
	UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = 'migrate'::regnamespace
	UNION ALL SELECT typowner FROM pg_type WHERE typnamespace = 'migrate'::regnamespace
	UNION ALL SELECT nspowner FROM pg_namespace WHERE nspname = 'migrate') AS all_of_it(owner)
END
	$bootstrap,
	'all objects belong to the superuser that the script ran as');
is( value(
		$db, <<'END'),
count(*) FROM pg_proc WHERE pronamespace = 'migrate'::regnamespace
	AND (prosecdef OR proconfig IS NOT NULL)
END
	'0',
	'no function is SECURITY DEFINER or has a SET clause');
is( value(
		$db, <<'END'),
count(*) FROM (
	SELECT acldefault('f', proowner), proacl FROM pg_proc WHERE pronamespace = 'migrate'::regnamespace
	UNION ALL SELECT acldefault('r', relowner), relacl FROM pg_class WHERE relnamespace = 'migrate'::regnamespace
	UNION ALL SELECT acldefault('n', nspowner), nspacl FROM pg_namespace WHERE nspname = 'migrate'
	UNION ALL SELECT NULL, attacl FROM pg_attribute JOIN pg_class c ON attrelid = c.oid
		WHERE relnamespace = 'migrate'::regnamespace) AS o(none, acl)
	CROSS JOIN LATERAL aclexplode(coalesce(acl, none)) WHERE grantee = 0
END
	'0',
	'PUBLIC has no right on anything');
is( value(
		$db, <<'END'),
string_agg(right_, E'\n' ORDER BY right_) FROM (
	SELECT concat_ws(' ', privilege_type, relname,
		CASE WHEN is_grantable THEN 'grantable' END)
	FROM pg_class CROSS JOIN LATERAL aclexplode(relacl)
	WHERE relnamespace = 'migrate'::regnamespace AND relkind IN ('r', 'S')
		AND grantee = 'pg_database_owner'::regrole) AS r(right_)
END
	join(
		"\n",
		sort map { "$_ grantable" } (
			(map { "SELECT $_" } qw(applied executed_text journal migration policy run state step)),
			(map { "INSERT $_" } qw(applied executed_text journal migration policy step)),
			'UPDATE policy', 'SELECT run_seq', 'UPDATE run_seq',
			'SELECT applied_seq', 'UPDATE applied_seq')),
	'what the owner of the database may do with the tables');
is( value(
		$db, <<'END'),
string_agg(DISTINCT grantee::regrole::text, ' ' ORDER BY grantee::regrole::text)
	FROM (SELECT proacl FROM pg_proc WHERE pronamespace = 'migrate'::regnamespace
	UNION ALL SELECT relacl FROM pg_class WHERE relnamespace = 'migrate'::regnamespace) AS o(acl)
	CROSS JOIN LATERAL aclexplode(acl)
END
	join(' ', sort 'pg_database_owner', $bootstrap),
	'nobody else has any right');

# Each right gives exactly its functions and columns.
my %functions = (
	look => [ qw(are_lines check current detect failures has_files heads help history known_project lint outcome plan plan_rollback
		  progress report required statements status version version_key) ],
	run => [ qw(apply apply_each cancel redo rehearse rehearse_rollback
		  rehearse_summary rollback rollback_each rollback_run
		  rollback_to start verify wait) ],
	write => [qw(add export load load_directory load_table remove script)],
	repair => [qw(adopt amend hold prune_journal resume stamp stamp_to unhold unstamp)]);
my %role_of =
  (look => 'looker', run => 'runner', write => 'writer', repair => 'mender');
allowed('owner', $db, "SELECT migrate.grant('$_', '$role_of{$_}')")
  for keys %role_of;
foreach my $right (qw(look run write repair))
{
	my $role = $role_of{$right};
	my @expected = sort @{ $functions{look} },
	  ($right eq 'look' ? () : @{ $functions{$right} });

	is( value(
			$db,
			"string_agg(DISTINCT proname, ' ' ORDER BY proname) FROM pg_proc"
			  . " WHERE pronamespace = 'migrate'::regnamespace"
			  . " AND has_function_privilege('$role', oid, 'EXECUTE')"),
		"@expected",
		"the functions that right $right gives");
	is( value(
			$db, <<"END"),
string_agg(what, ' ' ORDER BY what) FROM (
	SELECT relname || '.' || attname || ':' || p FROM pg_class c
	JOIN pg_attribute ON attrelid = c.oid AND attnum > 0
	CROSS JOIN unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) AS p
	WHERE relnamespace = 'migrate'::regnamespace AND relkind = 'r'
		AND NOT (relname IN ('applied', 'policy') AND p = 'SELECT')
		AND has_column_privilege('$role', c.oid, attnum, p)) AS r(what)
END
		join(
			' ',
			sort((map { "migration.$_:SELECT" }
				  qw(project version name kind requires transactional irreversible
				  path down_path verify_path up_line down_line verify_line source added_at added_by
				  up_author up_trusted down_author down_trusted verify_author verify_trusted held_reason)),
				$right eq 'write'
				? (map { "migration.$_:INSERT" }
					  qw(project version name kind up down verify requires
					  transactional irreversible path down_path verify_path up_line down_line verify_line source))
				: ())),
		"the columns of tables that right $right gives");
	is( value(
			$db, <<"END"),
count(*) FROM pg_class WHERE relnamespace = 'migrate'::regnamespace AND (
	relkind = 'r' AND has_table_privilege('$role', oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')
	OR relkind = 'S' AND has_sequence_privilege('$role', oid, 'USAGE, SELECT, UPDATE')
	OR has_schema_privilege('$role', relnamespace, 'CREATE'))
END
		'0',
		"right $right changes and creates nothing directly");
}

# ---------------------------------------------------------------------------
# Giving rights and taking them away
# ---------------------------------------------------------------------------

$db = database('rights');
my $may_add =
  "has_function_privilege('low', 'migrate.add(text,text,text,text,anycompatiblearray,text,text,bool,bool,text,text,jsonb)', 'EXECUTE')";
# to which the server gives an SQLSTATE up to version 15
my $no_members = qr/role "pg_database_owner" cannot have explicit members/;
my $may_look = "has_schema_privilege('low', 'migrate', 'USAGE')";

refused($_, $db, "SELECT migrate.grant('repair', '$_')",
	qr/42501: permission denied for (schema migrate|function grant)/,
	'cannot give himself a right')
  for qw(low looker writer runner mender);
refused($_, $db, "SELECT migrate.revoke('look', 'runner')",
	qr/42501: permission denied for (schema migrate|function revoke)/,
	'cannot take a right from another role')
  for qw(low looker writer runner mender);
refused_each(
	'runner', $db,
	qr/0LP01|42501|01007: no privileges were granted|$no_members/,
	'GRANT EXECUTE ON FUNCTION migrate.rollback_to TO low;',
	'GRANT USAGE ON SCHEMA migrate TO low;',
	'GRANT SELECT ON migrate.applied TO low;',
	'GRANT SELECT ON migrate.executed_text TO runner;',
	'GRANT UPDATE ON migrate.applied TO runner;',
	'GRANT pg_database_owner TO runner;',
	'GRANT EXECUTE ON FUNCTION migrate.amend TO runner;');
refused_each(
	'owner', $db,
	qr/0LP01|42501|01007: (no|not all) privileges|$no_members/,
	'GRANT UPDATE ON migrate.applied TO owner;',
	'GRANT DELETE ON migrate.journal TO owner;',
	'GRANT TRIGGER ON migrate.migration TO owner;',
	'GRANT TRUNCATE ON migrate.executed_text TO owner;',
	'GRANT REFERENCES ON migrate.applied TO owner;',
	'GRANT CREATE ON SCHEMA migrate TO owner;',
	'GRANT pg_database_owner TO low;',
	"GRANT \"$super\" TO owner;");
refused('owner', $db, "SELECT migrate.grant('everything', 'low')",
	qr/22023: unrecognized privilege: "everything"/,
	'cannot give a right that does not exist');
refused(
	'owner', $db,
	"SELECT migrate.grant('look', 'low; ALTER ROLE low SUPERUSER')",
	qr/42704: role "low; ALTER ROLE low SUPERUSER" does not exist/,
	'a role is a name, not SQL');
refused('owner', $db, "SELECT migrate.grant('look', '$_')",
	qr/42704: role "$_" does not exist/, "\"$_\" is not a keyword here")
  for qw(public PUBLIC current_user none);

allowed($super, $db, 'CREATE ROLE "low"", PUBLIC; --" LOGIN');
allowed('owner', $db, q{SELECT migrate.grant('write', 'low", PUBLIC; --')});
is(value($db, "$may_add, $may_look"),
	'f|f', 'a role whose name is SQL has the right, and nobody else');
allowed('owner', $db, q{SELECT migrate.revoke('look', 'low", PUBLIC; --')});
allowed($super, $db, 'DROP ROLE "low"", PUBLIC; --"');

allowed('owner', $db,
	'GRANT EXECUTE ON FUNCTION migrate."grant", migrate.revoke TO looker');
run('looker', $db, "SELECT migrate.grant('look', 'low')");
run('looker', $db, "SELECT migrate.grant('repair', 'looker')");
is( value(
		$db,
		"$may_look, has_function_privilege('looker', 'migrate.stamp(anycompatible,text,text,text)', 'EXECUTE')"
	),
	'f|f',
	'who may call grant() but has no grant option gives nothing');
run('looker', $db, "SELECT migrate.revoke('look', 'runner')");
is( value(
		$db,
		"has_function_privilege('runner', 'migrate.status(text)', 'EXECUTE')"),
	't',
	'and takes nothing');

allowed('owner', $db,
	'GRANT EXECUTE ON FUNCTION migrate.status TO mender WITH GRANT OPTION');
allowed('mender', $db, 'GRANT EXECUTE ON FUNCTION migrate.status TO low');
is(value($db, "$may_look, $may_add"),
	'f|f', 'a grant option covers its own function only');
allowed('owner', $db,
	'REVOKE EXECUTE ON FUNCTION migrate.status FROM mender CASCADE');
allowed('owner', $db, "SELECT migrate.grant('repair', 'mender')");

# Whoever gave a right, taking it away must take it away, or say that it did
# not.
foreach my $case ([ 'owner', $super ], [ $super, 'owner' ],
	[ 'owner', 'owner' ], [ $super, $super ])
{
	my ($giver, $taker) = @$case;

	foreach my $right (qw(look write))
	{
		allowed($giver, $db, "SELECT migrate.grant('write', 'low')");
		my ($status, undef, $err) =
		  run($taker, $db, "SELECT migrate.revoke('$right', 'low')");
		my $left = value($db, $may_add);
		ok($left eq 'f' || $status != 0 || $err =~ /WARNING/,
			"$taker takes $right away that $giver gave");
		run($_, $db, "SELECT migrate.revoke('look', 'low')")
		  for 'owner', $super;
		is(value($db, "$may_add, $may_look"), 'f|f', 'it is gone');
	}
}

# ---------------------------------------------------------------------------
# Afterwards: the extension and its members
# ---------------------------------------------------------------------------

my @not_the_owner_of_members = (
	'ALTER EXTENSION migrate DROP TABLE migrate.journal;',
	'ALTER EXTENSION migrate DROP FUNCTION migrate.gate();',
	'ALTER EXTENSION migrate DROP SCHEMA migrate;',
	'ALTER EXTENSION migrate SET SCHEMA public;',
	q{ALTER EXTENSION migrate UPDATE TO '9.9';},
	'ALTER EXTENSION migrate ADD TABLE pg_catalog.pg_class;',
	'DROP SCHEMA migrate;',
	'DROP SCHEMA migrate CASCADE;',
	'ALTER SCHEMA migrate RENAME TO other;',
	'ALTER SCHEMA migrate OWNER TO owner;',
	'CREATE TABLE migrate.mine (i int);',
	'CREATE VIEW migrate.mine AS SELECT 1;',
	q{CREATE FUNCTION migrate.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';},
	q{CREATE FUNCTION migrate.apply() RETURNS int LANGUAGE sql AS 'SELECT 1';},
	q{CREATE OR REPLACE FUNCTION migrate.current(project text DEFAULT 'default') RETURNS text LANGUAGE sql AS 'SELECT 1';},
	'CREATE TYPE migrate.mine AS (i int);',
	'CREATE OPERATOR migrate.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);',
	'ALTER FUNCTION migrate.rollback_to SECURITY DEFINER;',
	'ALTER FUNCTION migrate.rollback_to OWNER TO owner;',
	'ALTER FUNCTION migrate.rollback_to RENAME TO other;',
	'ALTER FUNCTION migrate.rollback_to SET search_path = evil;',
	'ALTER FUNCTION migrate.rollback_to SET SCHEMA public;',
	'ALTER FUNCTION migrate.version() DEPENDS ON EXTENSION plpgsql;',
	'DROP FUNCTION migrate.rollback_to;',
	'ALTER TYPE migrate.statement_timing ADD ATTRIBUTE x int;',
	'ALTER TYPE migrate.statement_timing OWNER TO owner;',
	'ALTER VIEW migrate.failures OWNER TO owner;',
	'CREATE OR REPLACE VIEW migrate.schema_migrations AS SELECT 1;',
	"REASSIGN OWNED BY \"$super\" TO owner;",
	"ALTER DEFAULT PRIVILEGES FOR ROLE \"$super\" GRANT ALL ON TABLES TO owner;",
	"DROP OWNED BY \"$super\";",
	'COMMENT ON TABLE migrate.journal IS NULL;',
	'COMMENT ON FUNCTION migrate.rollback_to IS NULL;');

refused_each('owner', $db,
	qr/ERROR:  (42501|2BP01|0A000|22023|42P07|42723|55006)/,
	@not_the_owner_of_members);
refused_each(
	'mender', $db,
	qr/ERROR:  42501/,
	'DROP EXTENSION migrate;',
	'DROP EXTENSION migrate CASCADE;',
	'COMMENT ON EXTENSION migrate IS NULL;',
	'ALTER EXTENSION migrate UPDATE;',
	'ALTER EXTENSION migrate ADD TABLE own_mender.mine;',
	'ALTER DATABASE rights OWNER TO mender;');

# A new owner of the database has the rights, the old one has not.
$node->safe_psql('postgres', "ALTER DATABASE $db OWNER TO low");
is(value($db, $may_add), 't', 'a new owner of the database may write');
refused(
	'owner', $db,
	"SELECT migrate.add('900', 'SELECT 1')",
	qr/42501: permission denied for schema migrate/,
	'the old owner of the database may not');

is(is_superuser($_), 'f', "$_ is no superuser") for @Rights::roles;
stop_server();
done_testing();
