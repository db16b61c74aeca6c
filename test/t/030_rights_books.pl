# The books: nobody but a superuser changes or deletes what they say, other
# than through the functions that he was granted, and nothing that other roles
# put into their place or hang on them is believed or run with more rights.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Utils;
use Rights;
use Test::More;

start_server();

my @tables = qw(migration applied journal executed_text policy state);
my $db = database('books');

# ---------------------------------------------------------------------------
# Plain statements
# ---------------------------------------------------------------------------

my %column = (
	migration => 'up',
	applied => 'checksum',
	journal => 'message',
	executed_text => 'text',
	policy => 'role',
	state => 'newest');

foreach my $role (@Rights::roles)
{
	my @statements;

	foreach my $table (@tables)
	{
		push @statements,
		  "DELETE FROM migrate.$table;",
		  "TRUNCATE migrate.$table;",
		  "UPDATE migrate.$table SET project = 'x';",
		  "SELECT * FROM migrate.$table FOR UPDATE;",
		  "DO 'BEGIN LOCK TABLE migrate.$table IN SHARE MODE; END';"
		  unless $table eq 'executed_text' || ($role eq 'owner' && $table eq 'policy');
		push @statements, "UPDATE migrate.$table SET $column{$table} = 'x';"
		  unless $role eq 'owner' && $table eq 'policy';
		push @statements,
		  "MERGE INTO migrate.$table USING (VALUES (1)) AS v ON true WHEN MATCHED THEN DELETE;",
		  "COPY migrate.$table FROM '/dev/null';";
	}
	push @statements,
	  'DELETE FROM migrate.policy;', 'TRUNCATE migrate.policy;',
	  'DELETE FROM migrate.executed_text;', 'TRUNCATE migrate.executed_text;',
	  'TRUNCATE migrate.applied, migrate.journal;',
	  "UPDATE migrate.schema_migrations SET version = '1';",
	  'DELETE FROM migrate.schema_migrations;',
	  'DELETE FROM migrate.failures;',
	  "INSERT INTO migrate.schema_migrations (version) VALUES ('1');",
	  'UPDATE pg_catalog.pg_class SET relowner = 0;',
	  "INSERT INTO migrate.applied SELECT * FROM migrate.applied ON CONFLICT (project, target, version) DO UPDATE SET checksum = 'x';",
	  "INSERT INTO migrate.migration (version, up) VALUES ('001', 'x') ON CONFLICT (project, version) DO UPDATE SET up = 'y';";
	if ($role ne 'owner')
	{
		push @statements, map { "INSERT INTO migrate.$_ DEFAULT VALUES;" }
		  grep { $role ne 'writer' || $_ ne 'migration' } @tables;
		push @statements,
		  "SELECT nextval('migrate.run_seq');",
		  "SELECT setval('migrate.run_seq', 1);",
		  'SELECT last_value FROM migrate.run_seq;',
		  "UPDATE migrate.policy SET search_path = 'evil';",
		  "INSERT INTO migrate.policy (project, search_path) VALUES ('default', 'evil');";
	}
	refused_each($role, $db, qr/ERROR:  (42501|55000: cannot (update|delete|insert))/,
		@statements);
}

my %column_of_key =
  (migration => 'version', applied => 'target, version', state => 'target');
my @not_the_owner = map {
	my $t = "migrate.$_";
	(
		"ALTER TABLE $t OWNER TO owner;",
		"ALTER TABLE $t RENAME TO other;",
		"ALTER TABLE $t SET SCHEMA public;",
		"ALTER TABLE $t RENAME COLUMN project TO other;",
		"ALTER TABLE $t ADD COLUMN mine text DEFAULT own_owner.trap();",
		"ALTER TABLE $t ALTER COLUMN $column{$_} SET DEFAULT 'x';",
		"ALTER TABLE $t ALTER COLUMN $column{$_} DROP NOT NULL;",
		"ALTER TABLE $t DROP CONSTRAINT ${_}_pkey;",
		"ALTER TABLE $t ADD CHECK (own_owner.trap() IS NULL);",
		"ALTER TABLE $t DISABLE TRIGGER ALL;",
		"ALTER TABLE $t ENABLE ROW LEVEL SECURITY;",
		"ALTER TABLE $t FORCE ROW LEVEL SECURITY;",
		"ALTER TABLE $t INHERIT public.users;",
		"ALTER TABLE $t SET UNLOGGED;",
		"ALTER TABLE $t SET (fillfactor = 50);",
		"ALTER TABLE $t REPLICA IDENTITY NOTHING;",
		"CREATE TRIGGER mine BEFORE INSERT ON $t FOR EACH ROW EXECUTE FUNCTION own_owner.trap_trigger();",
		"CREATE CONSTRAINT TRIGGER mine AFTER INSERT ON $t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION own_owner.trap_trigger();",
		"CREATE RULE mine AS ON INSERT TO $t DO INSTEAD NOTHING;",
		"CREATE POLICY mine ON $t USING (own_owner.trap() IS NULL);",
		"CREATE INDEX mine ON $t ((own_owner.trap()));",
		"CREATE STATISTICS own_owner.mine ON project, $column{$_} FROM $t;",
		"CREATE TABLE own_owner.child () INHERITS ($t);",
		"CREATE PUBLICATION mine FOR TABLE $t;",
		"DROP TABLE $t;",
		"DROP TABLE $t CASCADE;",
		"CLUSTER $t USING ${_}_pkey;",
		"REINDEX TABLE $t;")
} @tables;

allowed('owner', $db, <<'END');
CREATE FUNCTION own_owner.trap() RETURNS text IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN IF current_setting('is_superuser') = 'on' THEN ALTER ROLE owner SUPERUSER; END IF; RETURN NULL; END $$;
CREATE FUNCTION own_owner.trap_trigger() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN IF current_setting('is_superuser') = 'on' THEN ALTER ROLE owner SUPERUSER; END IF; RETURN NULL; END $$;
END
refused_each(
	'owner', $db,
	qr/ERROR:  (42501|42P16)/,
	@not_the_owner,
	(
		map { "CREATE TABLE own_owner.pointer (LIKE migrate.$_, FOREIGN KEY (project, $column_of_key{$_}) REFERENCES migrate.$_);" }
		  sort keys %column_of_key),
	'DROP TRIGGER gate ON migrate.migration;',
	'DROP TRIGGER gate_statement ON migrate.migration;',
	'ALTER TABLE migrate.migration DISABLE TRIGGER gate;',
	'ALTER TRIGGER gate ON migrate.migration RENAME TO other;',
	'DROP VIEW migrate.failures;',
	'ALTER VIEW migrate.failures RENAME TO other;',
	'CREATE RULE "_RETURN" AS ON SELECT TO migrate.failures DO INSTEAD SELECT 1;',
	'CREATE TRIGGER mine INSTEAD OF INSERT ON migrate.failures FOR EACH ROW EXECUTE FUNCTION own_owner.trap_trigger();',
	'ALTER SEQUENCE migrate.run_seq RESTART;',
	'ALTER SEQUENCE migrate.run_seq OWNED BY NONE;',
	'ALTER SEQUENCE migrate.run_seq MAXVALUE 2;',
	'DROP SEQUENCE migrate.run_seq;',
	'DROP INDEX migrate.state_pkey;',
	'ALTER INDEX migrate.applied_pkey RENAME TO other;',
	'CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION own_owner.trap_trigger();',
	'SET session_replication_role = replica;',
	'SET allow_system_table_mods = on;',
	'CREATE PUBLICATION mine FOR ALL TABLES;');
refused_each(
	'low', $db, qr/ERROR:  42501/,
	'SELECT * FROM migrate.status();',
	'SELECT * FROM migrate.apply();',
	'SELECT * FROM migrate.migration;',
	'SELECT * FROM migrate.schema_migrations;',
	q{SELECT migrate.add('x', 'SELECT 1');},
	q{SELECT migrate.version();},
	'CREATE TABLE own_low.child () INHERITS (migrate.applied);',
	'CREATE VIEW own_low.mine AS SELECT * FROM migrate.executed_text;',
	'CREATE TRIGGER mine BEFORE INSERT ON migrate.applied FOR EACH ROW EXECUTE FUNCTION migrate.gate();');

# ---------------------------------------------------------------------------
# Columns of migrate.migration that say who, when and whether
# ---------------------------------------------------------------------------

$db = database('forging');
refused_each(
	'writer', $db,
	qr/ERROR:  42501: permission denied for table migration/,
	(
		map {
			"INSERT INTO migrate.migration (version, up, $_->[0]) VALUES ('900', 'SELECT 1', '$_->[1]');"
		  } [ added_by => $super ],
		[ added_at => '2001-01-01' ], [ checksum => 'x' ],
		[ down_checksum => 'x' ], [ held_reason => 'x' ]),
	"INSERT INTO migrate.migration (version, up) VALUES ('900', 'SELECT 1') RETURNING up;",
	"UPDATE migrate.migration SET held_reason = NULL;",
	"UPDATE migrate.migration SET added_by = '$super';");
refused('writer', $db,
	"INSERT INTO migrate.migration (version, up) VALUES ('900', 'SELEC 1')",
	qr/42601: syntax error at or near "SELEC"/,
	'a plain INSERT goes through the gate');
refused('writer', $db,
	"INSERT INTO migrate.migration (version, up) VALUES ('900', 'ROLLBACK')",
	qr/MG009/, 'a plain INSERT of what can never run');
allowed('writer', $db,
	"INSERT INTO migrate.migration (version, up) VALUES ('901', 'SELECT 1')");
allowed('owner', $db, <<"END");
INSERT INTO migrate.migration (version, up, added_by, added_at)
	VALUES ('902', 'SELECT 1', '$super', '2001-01-01');
COPY (SELECT 'default', '903', 'x', '$super') TO STDOUT
END
is( value(
		$db,
		"string_agg(version || added_by, ' ' ORDER BY version) FROM migrate.migration WHERE version > '9'"
	),
	'901writer 902owner',
	'whoever stores a text is its author, whatever he says');
refused(
	'owner', $db,
	"INSERT INTO migrate.migration (version, up, checksum) VALUES ('904', 'SELECT 1', repeat('0', 64))",
	qr/MG003: the checksum given for migration "904" is not that of its text/,
	'a checksum that is not that of the text');
refused(
	'owner', $db,
	"INSERT INTO migrate.migration (version, up, down, down_checksum) VALUES ('904', 'SELECT 1', 'SELECT 2', repeat('0', 64))",
	qr/MG003/, 'a checksum that is not that of the down body');
allowed($super, $db,
	"INSERT INTO migrate.migration (version, up, added_by) VALUES ('905', 'SELECT 1', 'writer')"
);
is(value($db, "added_by FROM migrate.migration WHERE version = '905'"),
	'writer', 'a superuser is believed, as in a restore');
allowed('writer', $db, <<'END');
SELECT migrate.add('906', 'SELECT 1');
SELECT migrate.load('{"907_x.sql": "SELECT 1;"}');
END
is( value(
		$db,
		"string_agg(DISTINCT added_by, ' ') FROM migrate.migration WHERE version IN ('906', '907')"
	),
	'writer',
	'the functions store their caller as author');
allowed($super, $db, 'CREATE ROLE definer LOGIN SUPERUSER');
allowed('owner', $db, <<'END');
CREATE FUNCTION own_owner.add(version text, up text) RETURNS text
	SECURITY DEFINER LANGUAGE sql AS 'SELECT migrate.add($1, $2)';
GRANT USAGE ON SCHEMA own_owner TO low;
GRANT EXECUTE ON FUNCTION own_owner.add TO low;
END
allowed('low', $db, "SELECT own_owner.add('908', 'SELECT 1')");
is(value($db, "added_by FROM migrate.migration WHERE version = '908'"),
	'owner', 'a SECURITY DEFINER function stores with the identity of its owner');

# A version, a project: text that a person or psql can read without harm.
foreach my $bad ("E'a\\nb'", "E'\\x1b[2J'", "E'\\x7f'", "''", "'head'", "'base'")
{
	refused('writer', $db, "SELECT migrate.add($bad, 'SELECT 1')",
		qr/ERROR:  22023/, "add() of version $bad");
	refused(
		'writer', $db,
		"INSERT INTO migrate.migration (version, up) VALUES ($bad, 'SELECT 1')",
		qr/ERROR:  23514/,
		"plain INSERT of version $bad");
}
refused('writer', $db,
	"SELECT migrate.add('910', 'SELECT 1', project => E'a\\nb')",
	qr/ERROR:  (22023|23514)/, 'a project with a line feed');
refused('writer', $db,
	q{SELECT migrate.load(jsonb_build_object(E'9\n11_x.sql', 'SELECT 1;'), 'name')},
	qr/ERROR:  22023/, 'a file name with a line feed');

# What the functions could not have stored must not stop the project either.
{
	my ($status, undef, $err) = run('writer', $db,
		"INSERT INTO migrate.migration (project, version, up, requires) VALUES ('nulls', '1', 'SELECT 1', ARRAY[NULL::text])"
	);
	my ($status_of_status, undef, $why) =
	  run('looker', $db, "SELECT * FROM migrate.status('nulls')");
	ok($status_of_status == 0,
		'a null among the requirements does not stop status()')
	  or diag($why);
	ok($status != 0 || run('writer', $db, "SELECT migrate.remove('1', 'nulls')") == 0,
		'and does not stop remove()');
}
allowed('writer', $db, <<'END');
INSERT INTO migrate.migration (project, version, up, requires) VALUES
	('circles', '1', 'SELECT 1', '{2}'), ('circles', '2', 'SELECT 1', '{1}'),
	('circles', '3', 'SELECT 1', '{4}'), ('circles', '4', 'SELECT 1', '{3}'),
	('circles', '5', 'SELECT 1', '{nowhere}'), ('circles', '6', 'SELECT 1', '{erewhon}');
END
allowed('writer', $db, "SELECT migrate.remove('5', 'circles'), migrate.remove('6', 'circles')");
refused('writer', $db, "SELECT migrate.remove('1', 'circles')",
	qr/MG005: cannot remove migration "1" because "2" requires it/,
	'half a circle cannot be removed');
allowed('writer', $db,
	q{SELECT migrate.load('{"9.sql": "SELECT 1"}', 'name', prune => true, project => 'circles')});
is(value($db, "string_agg(version, ',') FROM migrate.migration WHERE project = 'circles'"),
	'9', 'but the whole');

# An applied text is changed by amend() alone, which needs the privilege to repair.
my $file = sub {
	my ($text) = @_;

	return "SELECT migrate.load(jsonb_build_object('1_a.sql', \$text\$$text\$text\$), project => 'kinds')";
};
allowed('writer', $db, $file->("-- migrate:up\nSELECT 1;\n"));
allowed('runner', $db, "SELECT migrate.apply(project => 'kinds')");
my $applied = value($db,
	"m.checksum || m.up FROM migrate.migration m WHERE project = 'kinds'");
refused('writer', $db, $file->("-- migrate:up\nSELECT 2;\n"),
	qr/MG002/, 'loads another text of an applied migration');
run('writer', $db, $file->("-- migrate:repeatable\n-- migrate:up\nSELECT 1;\n"));
run('writer', $db, $file->("-- migrate:repeatable\n-- migrate:up\nSELECT 2;\n"));
is( value(
		$db,
		"m.checksum || m.up FROM migrate.migration m WHERE project = 'kinds'"),
	$applied,
	'an applied text does not change by way of another kind');
refused_each(
	'writer', $db,
	qr/ERROR:  (42501|MG013|MG002)/,
	q{SELECT migrate.amend('001', up => 'SELECT 1');},
	q{SELECT migrate.remove('001');},
	q{SELECT migrate.add('001', 'SELECT 1');},
	q{SELECT migrate.load('{"001_users.sql": "SELECT 1;"}');},
	q{SELECT migrate.hold('906', 'x');},
	q{SELECT migrate.unhold('906');},
	q{SELECT migrate.stamp('906');},
	q{SELECT migrate.unstamp('001');},
	q{SELECT migrate.stamp_to('906');},
	q{SELECT migrate.apply();},
	q{SELECT migrate.rollback();},
	q{SELECT migrate.prune_journal('0 days');});
allowed('mender', $db, "SELECT migrate.hold('906', 'not yet')");
run('writer', $db, "SELECT migrate.remove('906')");
run('writer', $db, "SELECT migrate.add('906', 'SELECT 1')");
is( value(
		$db, "held_reason FROM migrate.migration WHERE version = '906'"),
	'not yet',
	'who may write does not lift a hold by removing and adding again');

# A superuser's rows: the gate holds for him too.
refused($super, $db, 'TRUNCATE migrate.migration',
	qr/MG013: cannot truncate/, 'cannot truncate the texts');
refused($super, $db, "DELETE FROM migrate.migration WHERE version = '001'",
	qr/MG013/, 'cannot delete an applied text');
refused($super, $db,
	"UPDATE migrate.migration SET up = 'SELECT 3' WHERE version = '001'",
	qr/MG013/, 'cannot change an applied text');
refused(
	$super, $db,
	"UPDATE migrate.migration SET kind = 'repeatable' WHERE version = '001'",
	qr/MG013/, 'cannot make an applied migration one that runs again');
refused(
	$super, $db,
	"UPDATE migrate.migration SET version = '002' WHERE version = '001'",
	qr/MG013/, 'cannot rename an applied migration');

# The gate can be switched off, by a superuser; what runs is hashed again.
allowed($super, $db, <<'END');
SELECT migrate.add('1', 'SELECT 1', 'SELECT 2', project => 'hash');
SET session_replication_role = replica;
UPDATE migrate.migration SET up = 'ALTER ROLE low SUPERUSER' WHERE project = 'hash';
END
refused($super, $db, "SELECT migrate.apply(project => 'hash')",
	qr/MG003: the up body of migration "1" does not match its checksum/,
	'does not run a text that was changed behind the gate');
allowed($super, $db, <<'END');
SET session_replication_role = replica;
UPDATE migrate.migration SET up = 'SELECT 1' WHERE project = 'hash';
RESET session_replication_role;
SELECT migrate.apply(project => 'hash');
SET session_replication_role = replica;
UPDATE migrate.migration SET down = 'ALTER ROLE low SUPERUSER' WHERE project = 'hash';
END
refused($super, $db, "SELECT migrate.rollback(project => 'hash')",
	qr/MG003: the down body/, 'nor a down body');

# ---------------------------------------------------------------------------
# The run numbers
# ---------------------------------------------------------------------------

$db = database('numbers');
{
	my $before = books($db);
	allowed('owner', $db, "SELECT setval('migrate.run_seq', 1, false)");
	allowed('owner', $db, "SELECT migrate.add('002', 'SELECT 1')");
	my $journal = value($db, 'md5(string_agg(j::text, chr(10))) FROM migrate.journal j');
	my ($status, undef, $err) = run('owner', $db, 'SELECT migrate.apply()');
	ok($status == 0 || $err =~ /23505/,
		'a number given twice is an error, or not given');
	is( value(
			$db,
			'md5(string_agg(j::text, chr(10))) FROM migrate.journal j WHERE run = 1'),
		$journal,
		'and never overwrites what another run has recorded');
}

# ---------------------------------------------------------------------------
# Tables of somebody else: a superuser has given them away
# ---------------------------------------------------------------------------

# Whatever such a table brings with it runs, if at all, as its owner.  The
# extension may also refuse such tables altogether (MG021).
sub given_away
{
	my ($name) = @_;

	$db = database($name);
	allowed($super, $db, <<'END');
DO $$DECLARE t name; BEGIN
	FOREACH t IN ARRAY '{migration,applied,journal,executed_text,policy,state,run_seq}'::name[] LOOP
		EXECUTE format('ALTER TABLE migrate.%I OWNER TO low', t);
	END LOOP; END$$;
GRANT USAGE, CREATE ON SCHEMA migrate TO low;
SELECT migrate.grant('run', 'low'), migrate.grant('write', 'low');
END
	allowed('low', $db, <<'END');
CREATE TABLE own_low.seen (who text, super text);
GRANT INSERT ON own_low.seen TO PUBLIC;
GRANT USAGE ON SCHEMA own_low TO PUBLIC;
CREATE FUNCTION own_low.try_it() RETURNS text VOLATILE LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO own_low.seen VALUES (current_user, current_setting('is_superuser'));
	IF current_setting('is_superuser') = 'on' AND current_user <> 'low' THEN
		ALTER ROLE low SUPERUSER;
	END IF;
	BEGIN
		EXECUTE 'RESET ROLE';
		ALTER ROLE low SUPERUSER;
	EXCEPTION WHEN OTHERS THEN NULL;
	END;
	RETURN NULL;
END $$;
CREATE FUNCTION own_low.escape() RETURNS text IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN RETURN own_low.try_it(); END $$;
CREATE FUNCTION own_low.escape_trigger() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN PERFORM own_low.escape(); RETURN NEW; END $$;
END
	return;
}

# the tables that the calls below write to; not all of it is done by SQL, so a
# trap is put on each
my @written = qw(migration applied journal executed_text state);

# Have own_low.plant() called by whatever is written.
sub plant
{
	allowed('low', $db,
		join('', map { "CREATE TRIGGER c BEFORE INSERT OR UPDATE OR DELETE ON migrate.$_ FOR EACH ROW EXECUTE FUNCTION own_low.plant();\n" }
			@written));
	return;
}

# A superuser and the owner of the database do what writes and reads the books,
# and low is neither after it.  Without a pattern for what they see, the trap
# must have been run, as low.
sub used_by_others
{
	my ($pattern, $name) = @_;
	my $all = '';

	foreach my $role ($super, 'owner')
	{
		my ($good, $bad) = map { "project => '$_$role'" } qw(good bad);

		foreach my $call (
			"add('1', 'SELECT 1', $good)", "stamp('1', $good)",
			"status($good)", "apply($good)", "unstamp('1', $good)",
			"add('2', 'SELECT 1/0', $bad)", "apply($bad)")
		{
			my (undef, undef, $err) = run($role, $db, "SELECT migrate.$call");
			$all .= $err;
		}
	}
	if (defined $pattern)
	{
		like($all, $pattern, "$name: what the callers see of it");
	}
	else
	{
		ok( value($db, "count(*) FROM own_low.seen WHERE who = 'low'") > 0
			  || $all =~ /MG021/,
			"$name: it is run as the tables' owner, or refused")
		  or diag($all);
	}
	is( value(
			$db,
			"rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = 'low'"
		),
		'f|f|f',
		"$name: low is no superuser");
	is( value($db, "count(*) FROM own_low.seen WHERE who <> 'low'"),
		'0',
		"$name: nothing ran with another identity than that of the tables' owner");
	allowed($super, $db, 'ALTER ROLE low NOSUPERUSER');
	drop_database($db);
	return;
}

given_away('deferred_trigger');
allowed('low', $db,
	join('', map { "CREATE CONSTRAINT TRIGGER c AFTER INSERT OR UPDATE OR DELETE ON migrate.$_ DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION own_low.escape_trigger();\n" }
		@written));
used_by_others(
	qr/42501: cannot fire deferred trigger within security-restricted operation|MG021/,
	'deferred trigger');

given_away('temporary_table');
allowed('low', $db, <<'END');
CREATE FUNCTION own_low.plant() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN CREATE TEMP TABLE users (i int); RETURN coalesce(NEW, OLD); END $$;
END
plant();
used_by_others(
	qr/42501: cannot create temporary table within security-restricted operation|MG021/,
	'temporary table');

given_away('cursor');
allowed('low', $db, <<'END');
CREATE FUNCTION own_low.plant() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT own_low.escape()'; RETURN coalesce(NEW, OLD); END $$;
END
plant();
used_by_others(
	qr/42501: cannot create a cursor WITH HOLD within security-restricted operation|MG021/,
	'cursor with hold');

given_away('role_change');
allowed('low', $db, <<"END");
CREATE FUNCTION own_low.plant() RETURNS trigger LANGUAGE plpgsql AS
	\$\$ BEGIN EXECUTE 'SET ROLE "$super"'; PERFORM own_low.escape(); RETURN coalesce(NEW, OLD); END \$\$;
END
plant();
used_by_others(
	qr/42501: cannot set parameter "role" within security-definer function|MG021/,
	'change of role');

given_away('listening');
allowed('low', $db, <<'END');
CREATE FUNCTION own_low.plant() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE 'PREPARE p AS SELECT own_low.escape()'; RETURN coalesce(NEW, OLD); END $$;
END
plant();
used_by_others(
	qr/42501: cannot execute PREPARE within security-restricted operation|MG021/,
	'prepared statement');

# Triggers, constraints, defaults and indexes on all of them: the failure that
# the background worker records goes through them as well.
given_away('ordinary_trigger');
allowed('low', $db,
	join('', map { "CREATE TRIGGER c BEFORE INSERT OR UPDATE OR DELETE ON migrate.$_ FOR EACH ROW EXECUTE FUNCTION own_low.escape_trigger();\n" }
		@written));
used_by_others(undef, 'ordinary triggers');

given_away('statement_trigger');
allowed('low', $db,
	join('', map { "CREATE TRIGGER c AFTER INSERT OR UPDATE OR DELETE ON migrate.$_ FOR EACH STATEMENT EXECUTE FUNCTION own_low.escape_trigger();\n" }
		@written));
used_by_others(undef, 'statement triggers');

given_away('expressions');
allowed('low', $db, <<'END');
ALTER TABLE migrate.journal ADD CHECK (own_low.escape() IS NULL);
ALTER TABLE migrate.applied ADD CHECK (own_low.escape() IS NULL);
CREATE INDEX c ON migrate.journal ((own_low.escape()));
CREATE INDEX c2 ON migrate.applied ((own_low.escape()));
ALTER TABLE migrate.migration ALTER COLUMN name SET DEFAULT own_low.escape();
CREATE DOMAIN own_low.d AS text CHECK (own_low.escape() IS NULL);
ALTER TABLE migrate.journal ALTER COLUMN server_version TYPE own_low.d;
CREATE RULE r AS ON UPDATE TO migrate.state DO ALSO SELECT own_low.escape();
END
used_by_others(undef, 'expressions');

given_away('worker');
allowed('low', $db, <<'END');
CREATE TRIGGER c BEFORE INSERT ON migrate.journal FOR EACH ROW EXECUTE FUNCTION own_low.escape_trigger();
END
run('low', $db,
	"SET migrate.failure_quiet = 0; SELECT migrate.add('9', 'SELECT 1/0'); SELECT migrate.apply(raise => false); SELECT migrate.apply()",
	on_error_stop => 0);
used_by_others(undef, 'background worker');

# Row security that hides the ledger would have everything run again.
given_away('row_security');
allowed('low', $db,
	'ALTER TABLE migrate.applied ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY'
);
refused($super, $db, 'SELECT migrate.status()',
	qr/42501: query would be affected by row-level security policy|MG021/,
	'row security that is forced is an error, not a shorter ledger');
used_by_others(qr/42501|MG021/, 'row security');

given_away('row_security_function');
allowed('low', $db, <<'END');
ALTER TABLE migrate.applied ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON migrate.applied USING (own_low.escape() IS NULL);
END
used_by_others(qr/42501|MG021/, 'row security with a function');

# Something else in the place of a table
foreach my $case (
	[ view => 'CREATE VIEW migrate.state AS SELECT project, target, (own_low.escape() IS NOT NULL) AS complete, applied, newest FROM migrate.state0' ],
	[ materialized_view => 'CREATE MATERIALIZED VIEW migrate.state AS SELECT *, own_low.escape() FROM migrate.state0' ],
	[ partitioned_table => 'CREATE TABLE migrate.state (LIKE migrate.state0) PARTITION BY LIST (project)' ],
	[ plain_table => 'CREATE TABLE migrate.state (LIKE migrate.state0 INCLUDING ALL)' ],
	[ sequence => 'CREATE SEQUENCE migrate.state' ],
	[ nothing => 'SELECT 1' ])
{
	given_away($case->[0]);
	allowed('low', $db,
		"ALTER TABLE migrate.state RENAME TO state0; $case->[1]");
	foreach my $call ('apply()', 'status()', 'plan()', "stamp('001')",
		'rollback()', 'verify()')
	{
		my (undef, undef, $err) = run($super, $db, "SELECT migrate.$call");
		like(
			$err,
			qr/MG021: relation "migrate.state" (is not the table of extension "migrate"|of extension "migrate" does not exist)|MG021/,
			"$case->[0] in the place of a table: $call");
	}
	used_by_others(qr/MG021/, "$case->[0] in the place of a table");
}

given_away('foreign_table');
allowed($super, $db, 'CREATE FOREIGN DATA WRAPPER f; CREATE SERVER s FOREIGN DATA WRAPPER f; GRANT USAGE ON FOREIGN SERVER s TO low');
allowed('low', $db,
	'ALTER TABLE migrate.applied RENAME TO applied0; CREATE FOREIGN TABLE migrate.applied (project text) SERVER s'
);
used_by_others(
	qr/MG021: relation "migrate.applied" is not the table|MG021/,
	'foreign table in the place of a table');

# One that has been made a member, which takes the extension's owner and the
# rights of the schema's.
given_away('member_view');
{
	my $columns = value($db,
		"string_agg(CASE attname WHEN 'applied_by' THEN 'coalesce(own_low.escape(), applied_by) AS applied_by' ELSE attname END, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'migrate.applied'::regclass AND attnum > 0"
	);
	allowed('low', $db,
		"ALTER TABLE migrate.applied RENAME TO applied0; CREATE VIEW migrate.applied AS SELECT $columns FROM migrate.applied0"
	);
}
allowed($super, $db, 'ALTER EXTENSION migrate ADD VIEW migrate.applied');
used_by_others(
	qr/MG021: relation "migrate.applied" is not the table|MG021/,
	'view that is a member in the place of a table');

given_away('several_owners');
allowed($super, $db, 'ALTER TABLE migrate.journal OWNER TO owner');
used_by_others(
	qr/MG021: tables of extension "migrate" belong to several roles|MG021/,
	'tables of several roles');

# Who owns the texts could forge who stored them.
given_away('forging_owner');
run('low', $db, <<"END");
INSERT INTO migrate.migration (project, version, up, down)
	VALUES ('x', '1', 'ALTER ROLE low SUPERUSER', 'ALTER ROLE low SUPERUSER');
UPDATE migrate.migration SET added_by = '$super' WHERE project = 'x';
END
refused($super, $db, "SELECT migrate.apply(project => 'x')",
	qr/MG0(17|21)/, 'an author that the owner of the table wrote is not believed');
is(value($db, "rolsuper FROM pg_roles WHERE rolname = 'low'"),
	'f', 'low is no superuser');
allowed($super, $db, 'ALTER ROLE low NOSUPERUSER');

# The same when whoever installed it has ceased to be a superuser.
$node->safe_psql('postgres', 'CREATE DATABASE ceased OWNER definer');
allowed('definer', 'ceased', 'CREATE EXTENSION migrate');
allowed($super, 'ceased', 'ALTER ROLE definer NOSUPERUSER');
run('definer', 'ceased', <<"END");
INSERT INTO migrate.migration (version, up) VALUES ('1', 'ALTER ROLE definer SUPERUSER');
UPDATE migrate.migration SET added_by = '$super';
END
refused($super, 'ceased', 'SELECT migrate.apply()',
	qr/MG0(17|21)/, 'nor one that a former superuser wrote');
is(value('ceased', "rolsuper FROM pg_roles WHERE rolname = 'definer'"),
	'f', 'the former superuser is none');

# ---------------------------------------------------------------------------
# The gate as a trigger of another table
# ---------------------------------------------------------------------------

# Columns of the right number but of other types: what the trigger takes for a
# text is a number that the attacker chose.
$db = database('gate');
my $columns = value($db,
	"relnatts FROM pg_class WHERE oid = 'migrate.migration'::regclass");
my $shape = join(', ', map { "c$_ uuid" } 1 .. $columns);
run('owner', $db,
	"CREATE TABLE own_owner.fake ($shape); CREATE TRIGGER t BEFORE INSERT ON own_owner.fake FOR EACH ROW EXECUTE FUNCTION migrate.gate()"
);
{
	# taken for a text: the header of one of 1000 bytes
	my $text = 'b00f0000-4141-4141-4141-414141414141';
	my ($status, $out, $err) = run('owner', $db,
		"INSERT INTO own_owner.fake VALUES ("
		  . join(', ', map { "'$text'" } 1 .. $columns)
		  . ')');
	ok("$out$err" !~ /AAAAAAAA/,
		'the gate does not read the memory of the server from another table');
}
$shape = join(', ', map { "c$_ int8 DEFAULT 4096" } 1 .. $columns);
run('owner', $db,
	"CREATE TABLE own_owner.crash ($shape); CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON own_owner.crash FOR EACH ROW EXECUTE FUNCTION migrate.gate()"
);
run('owner', $db, 'INSERT INTO own_owner.crash DEFAULT VALUES');
my ($alive) = run($super, 'postgres', 'SELECT 1');
is($alive, 0, 'and does not crash it');

stop_server();
done_testing();
