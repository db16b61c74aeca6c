# Rights that come from elsewhere than migrate.grant(): predefined roles, default
# privileges, and what one right gives of another one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Utils;
use Rights;
use Test::More;

start_server();

# ---------------------------------------------------------------------------
# A role that may write into all tables
# ---------------------------------------------------------------------------

my $db = database('given');
allowed($super, $db, 'GRANT pg_write_all_data, pg_read_all_data TO low');
refused_each('low', $db, qr/42501: permission denied to change table migrate\./,
	(map { ("DELETE FROM migrate.$_;", "UPDATE migrate.$_ SET project = 'x';") }
		  qw(applied journal run step state)),
	'DELETE FROM migrate.executed_text;',
	"UPDATE migrate.executed_text SET text = 'x';",
	"INSERT INTO migrate.state (project, complete, applied) VALUES ('p', true, 0);",
	'INSERT INTO migrate.run SELECT * FROM migrate.run;'
);
refused('low', $db, q{UPDATE migrate.migration SET up = 'SELECT 2' WHERE version = '001'},
	qr/MG0\d\d: cannot change migration "001" because it is applied/, 'the text of what is applied');
allowed($super, $db, 'REVOKE pg_write_all_data, pg_read_all_data FROM low');
ok(value($db, 'count(*) FROM migrate.journal') > 0, 'the journal has its rows');
allowed($super, $db, q{UPDATE migrate.journal SET note = 'seen' WHERE version = '001'});
is(value($db, q{note FROM migrate.journal WHERE version = '001'}), 'seen', 'a superuser changes it');
drop_database($db);

# ---------------------------------------------------------------------------
# Default privileges of the superuser
# ---------------------------------------------------------------------------

$db = 'defaults';
$Rights::node->safe_psql('postgres', "CREATE DATABASE $db OWNER owner");
allowed($super, $db, <<'END');
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO low, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO low;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO low WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO low;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO low;
END
allowed('owner', $db, q{CREATE EXTENSION migrate; SELECT migrate.add('001', 'SELECT 1'); SELECT migrate.apply()});
my $grantees = <<'END';
coalesce(string_agg(DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, ' '), 'nobody')
FROM (SELECT relowner AS owner, relacl AS acl FROM pg_class WHERE relnamespace = 'migrate'::regnamespace
	UNION ALL SELECT nspowner, nspacl FROM pg_namespace WHERE nspname = 'migrate'
	UNION ALL SELECT proowner, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc WHERE pronamespace = 'migrate'::regnamespace
	UNION ALL SELECT typowner, coalesce(typacl, acldefault('T', typowner)) FROM pg_type
		WHERE typnamespace = 'migrate'::regnamespace AND typtype = 'c'
		AND EXISTS (SELECT FROM pg_class c WHERE c.oid = typrelid AND c.relkind = 'c')) o, aclexplode(acl)
WHERE grantee <> owner
END
is(value($db, $grantees), 'pg_database_owner', 'only the owner of the database has been given anything');
refused_each('low', $db, qr/42501: permission denied for schema migrate/,
	'SELECT up FROM migrate.migration;', 'DELETE FROM migrate.journal;',
	q{SELECT migrate.add('002', 'SELECT 1');}, 'SELECT migrate.apply();');
allowed('owner', $db, q{SELECT migrate.grant('look', 'low')});
refused_each('low', $db, qr/42501: permission denied for (table|function)/,
	'SELECT up FROM migrate.migration;', 'DELETE FROM migrate.journal;',
	q{SELECT migrate.add('002', 'SELECT 1');}, 'SELECT migrate.apply();');
drop_database($db);

# ---------------------------------------------------------------------------
# write is not repair
# ---------------------------------------------------------------------------

$db = database('accept');
my $file = sub {
	my ($up, $down) = @_;
	return "jsonb_build_object('002_a.sql', \$f\$-- migrate:up\n$up\n-- migrate:down\n$down\n\$f\$)";
};
my $accepted = 'SELECT * FROM migrate.load('
  . $file->('CREATE TABLE a2 ()', 'DROP TABLE a; GRANT ALL ON users TO writer') . ', accept => true)';
allowed('writer', $db, 'SELECT * FROM migrate.load(' . $file->('CREATE TABLE a ()', 'DROP TABLE a') . ')');
allowed('owner', $db, 'SELECT * FROM migrate.apply()');
refused('writer', $db, $accepted,
	qr/42501: permission denied to accept new texts of applied migrations/, 'accepts nothing');
allowed($super, $db, q{SELECT migrate.grant('repair', 'writer')});
like(allowed('writer', $db, $accepted), qr/002\|amended/, 'with the right to amend');
allowed($super, $db, q{SELECT migrate.revoke('repair', 'writer')});

# ---------------------------------------------------------------------------
# What trust depends on
# ---------------------------------------------------------------------------

# comments do not take a text from a superuser
my $native = sub {
	my ($remark) = @_;
	return "SELECT * FROM migrate.load(jsonb_build_object('003_c.sql', "
	  . "\$f\$-- migrate:up\nCREATE TABLE c ();\n-- migrate:down\n${remark}DROP TABLE c;\n\$f\$))";
};
my $trust = q{up_author, up_trusted, down_author, down_trusted FROM migrate.migration WHERE version = '003'};
allowed($super, $db, $native->('') . q{; SET migrate.trust_authors = on; SELECT * FROM migrate.apply()});
my $before = value($db, $trust);
like($before, qr/\|t\|.*\|t$/, 'a superuser has stored it');
like(allowed('writer', $db, $native->("-- a remark\n")), qr/003\|amended/, 'a comment of another role is taken');
is(value($db, $trust), $before, 'and the text is trusted as before');
like(allowed($super, $db, q{SELECT version, action FROM migrate.rollback(1)}), qr/003\|rollback/,
	'a superuser rolls it back');

# nor does a string that only looks like a comment keep the trust
$native = sub {
	my ($statement) = @_;
	return "SELECT * FROM migrate.load(jsonb_build_object('004_d.sql', "
	  . "\$f\$-- migrate:up\n$statement\n-- migrate:down\nDROP TABLE d;\n\$f\$))";
};
allowed($super, $db, $native->(q{SELECT 'a'; CREATE TABLE d ();}));
like(allowed('writer', $db, $native->(q{SELECT 'a -- b'; CREATE TABLE d ();})), qr/004\|changed/, 'another literal');
is(value($db, q{up_author, up_trusted FROM migrate.migration WHERE version = '004'}), 'writer|f',
	'another literal is another text');

# how a verify body is judged is part of what was trusted
my $up = "create table public.judged (i int);\n";
my $down = "drop table public.judged;\n";
my $verify = "select count(*) > 0 from public.judged;\n";
allowed($super, $db, "SELECT migrate.add('judged', \$f\$$up\$f\$, \$f\$$down\$f\$, verify => \$f\$$verify\$f\$, project => 's')");
is(value($db, q{verify_trusted FROM migrate.migration WHERE project = 's'}), 't', 'a verify body of a superuser');
allowed('writer', $db, <<"END");
SELECT * FROM migrate.load(jsonb_build_object('sqitch.plan', E'%syntax-version=1.0.0\\n%project=s\\n\\njudged 2024-01-01T00:00:00Z a <a\@b> # judged\\n',
	'deploy/judged.sql', \$f\$$up\$f\$, 'revert/judged.sql', \$f\$$down\$f\$, 'verify/judged.sql', \$f\$$verify\$f\$), 'sqitch', project => 's')
END
is(value($db, q{source, up_trusted, down_trusted, verify_trusted FROM migrate.migration WHERE project = 's'}),
	'sqitch|f|f|f', 'is not trusted once another role has it judged in another way');

# ---------------------------------------------------------------------------
# A version in a hint that is SQL
# ---------------------------------------------------------------------------

$db = database('hints');
my $evil = q{1''); ALTER ROLE writer SUPERUSER; --};
allowed('writer', $db, "SELECT migrate.add('$evil', 'CREATE TABLE h (); VACUUM users; SELECT 1/0', 'SELECT 1')");
my (undef, undef, $err) = run('owner', $db, 'CALL migrate.apply_each()');
like($err, qr/division by zero/, 'half-way');
foreach my $call ("SELECT migrate.remove('$evil')", 'SELECT migrate.rollback(1)',
	"SELECT migrate.hold('$evil', 'x'); SELECT migrate.add('2', 'SELECT 1'); SELECT migrate.apply()")
{
	(undef, undef, $err) = run('owner', $db, $call);
	my @literals = $err =~ /HINT:.*?migrate\.\w+\(('(?:[^']|'')*')/g;
	ok(@literals > 0, "$call: a hint with a call");
	is($_, "'$evil'", "$call: has the version as a literal") foreach @literals;
}

# ---------------------------------------------------------------------------
# A body that writes history
# ---------------------------------------------------------------------------

$db = database('history');
allowed('owner', $db, 'CREATE TABLE secret ()');
my $plant = q{INSERT INTO migrate.executed_text SELECT 1, m.checksum, 'CREATE TABLE h ()' FROM migrate.migration m WHERE version = 'h'};
foreach my $mode (
	'SELECT migrate.apply()', 'CALL migrate.apply_each()',
	"SELECT migrate.start() AS run \\gset\nCALL migrate.wait(:run)", 'SELECT migrate.rehearse()')
{
	foreach my $statement ($plant,
		q{INSERT INTO migrate.applied SELECT 'default', '', 'x', 'x', 'x', NULL, now(), 'me', 'apply', 0, 1, 1},
		q{INSERT INTO migrate.journal SELECT (jsonb_populate_record(j, jsonb_build_object('seq', 99))).* FROM migrate.journal j LIMIT 1},
		"DO \$\$ BEGIN $plant; END \$\$",
		"$plant; VACUUM users")
	{
		my $sql = $statement;

		next if $sql =~ /VACUUM/ && $mode !~ /each|start/;
		allowed('writer', $db,
			"SELECT migrate.add('h', \$m\$CREATE TABLE h (); GRANT ALL ON secret TO writer; $sql\$m\$, 'DROP TABLE h')");
		(undef, undef, $err) = run('owner', $db, $mode);
		like($err, qr/MG019: a migration cannot change table migrate\.(executed_text|applied|journal)/,
			"$mode: $sql: is refused")
		  unless $mode =~ /rehearse/;
		is( value($db, q{count(*) FILTER (WHERE version = 'h' AND outcome = 'failure') FROM migrate.journal}) > 0,
			$mode =~ /rehearse/ ? '' : 1,
			"$mode: $sql: and the failure is in the journal");
		is(value($db, q{count(*) FROM migrate.executed_text WHERE text = 'CREATE TABLE h ()'}), '0',
			"$mode: $sql: nothing was planted");
		allowed($super, $db, q{DELETE FROM migrate.step; DELETE FROM migrate.journal WHERE version = 'h'; DROP TABLE IF EXISTS h});
		allowed('writer', $db, q{SELECT migrate.remove('h')});
	}
}

# What was planted beforehand gives way to what has run.
allowed('writer', $db, q{SELECT migrate.add('h', 'CREATE TABLE h (); GRANT ALL ON secret TO writer', 'DROP TABLE h')});
foreach my $mode ('SELECT migrate.apply()', 'CALL migrate.apply_each()')
{
	allowed($super, $db, 'DELETE FROM migrate.executed_text');
	allowed('owner', $db, $plant);
	is(value($db, q{count(*) FROM migrate.executed_text WHERE text = 'CREATE TABLE h ()'}), '1', "$mode: planted beforehand");
	allowed('owner', $db, $mode);
	is( value($db, q{string_agg(b.text, '|') FROM migrate.journal j JOIN migrate.executed_text b ON b.body_hash = j.body_hash
		WHERE j.run = (SELECT max(run) FROM migrate.journal)}),
		'CREATE TABLE h (); GRANT ALL ON secret TO writer', "$mode: the text that ran is kept");
	allowed('owner', $db, 'SELECT migrate.rollback(1)');
}
allowed('writer', $db, q{SELECT migrate.remove('h'); SELECT migrate.add('h', 'CREATE TABLE h (); SELECT 1/0')});
allowed($super, $db, 'DELETE FROM migrate.executed_text');
allowed('owner', $db, $plant);
run('owner', $db, 'SELECT migrate.apply()');
is( value($db, q{string_agg(b.text, '|') FROM migrate.journal j JOIN migrate.executed_text b ON b.body_hash = j.body_hash WHERE outcome = 'failure' AND version = 'h'}),
	'CREATE TABLE h (); SELECT 1/0', 'a failure: the text that ran is kept');

# ---------------------------------------------------------------------------
# What logical replication brings
# ---------------------------------------------------------------------------

$db = database('replica');
allowed('owner', $db, 'SELECT migrate.apply()');
like(allowed('owner', $db, 'SELECT complete FROM migrate.state'), qr/t/, 'complete');
allowed($super, $db, <<'END');
SET session_replication_role = replica;
INSERT INTO migrate.migration SELECT (jsonb_populate_record(m, jsonb_build_object('version', '002',
	'up', 'SELECT 1', 'checksum', encode(sha256('SELECT 1'), 'hex')))).* FROM migrate.migration m;
END
is(allowed('owner', $db, q{SELECT version FROM migrate.apply()}), '002', 'a text that came past the gate is applied');
allowed($super, $db, q{SET session_replication_role = replica; DELETE FROM migrate.applied WHERE version = '002'});
is(allowed('owner', $db, q{SELECT version FROM migrate.apply()}), '002', 'and so is one whose ledger row went past it');

# In the first run of a project there is nothing yet to be unsure of.
allowed('owner', $db, q{SELECT migrate.add('1', 'SELECT pg_advisory_xact_lock(9)', project => 'first')});
my $holder = session($super, $db);
$holder->query('SELECT pg_advisory_lock(9);');
my $first = session('owner', $db);
$first->query('SELECT 1;');
$first->send(q{SELECT version FROM migrate.apply(project => 'first');});
observe($db, 'SELECT 1') until value($db, q{count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}) > 0;
allowed($super, $db, <<'END');
SET session_replication_role = replica;
INSERT INTO migrate.migration SELECT (jsonb_populate_record(m, jsonb_build_object('version', '2',
	'up', 'SELECT 1', 'checksum', encode(sha256('SELECT 1'), 'hex')))).* FROM migrate.migration m WHERE project = 'first';
END
$holder->query('SELECT pg_advisory_unlock(9);');
is($first->answer, '1', 'first run: has its plan');
is(allowed('owner', $db, q{SELECT version FROM migrate.apply(project => 'first')}), '2', 'first run: what came meanwhile is applied by the next');

# Triggers that are switched off notice nothing, and nothing is believed then.
allowed('owner', $db, q{SELECT migrate.apply(project => 'first')});
is(value($db, q{complete FROM migrate.state WHERE project = 'first'}), 't', 'complete');
allowed($super, $db, <<'END');
ALTER TABLE migrate.applied DISABLE TRIGGER ALL;
DELETE FROM migrate.applied WHERE project = 'first' AND version = '2';
END
is(allowed('owner', $db, q{SELECT version FROM migrate.apply(project => 'first')}), '2', 'with its triggers disabled: applied again');
allowed($super, $db, <<'END');
ALTER TABLE migrate.applied ENABLE TRIGGER ALL;
SET session_replication_role = replica;
DELETE FROM migrate.applied WHERE project = 'first' AND version = '2';
END
is(allowed('owner', $db, q{SELECT version FROM migrate.apply(project => 'first')}), '2', 'with all of them enabled in the ordinary way: as well');
allowed($super, $db, 'ALTER TABLE migrate.applied ENABLE REPLICA TRIGGER gate_replica');

# TRUNCATE comes by logical replication as well, as statements do.
allowed($super, $db, q{SELECT migrate.apply(project => 'first')}) foreach 1 .. 2;
is(value($db, q{complete FROM migrate.state WHERE project = 'first'}), 't', 'complete');
allowed($super, $db, 'SET session_replication_role = replica; TRUNCATE migrate.applied');
is(allowed('owner', $db, q{SELECT count(*) FROM migrate.apply(project => 'first')}), '2', 'what was truncated in the ledger is applied again');
allowed($super, $db, q{SELECT migrate.apply(project => 'first')});
is(value($db, q{complete FROM migrate.state WHERE project = 'first'}), 't', 'complete');
allowed($super, $db, 'SET session_replication_role = replica; TRUNCATE migrate.migration');
is(value($db, q{coalesce(bool_or(complete), false) FROM migrate.state}), 'f', 'and without texts nothing is known to be complete');

# A roll-back makes the row of the state itself, where there was none, and has not
# seen what came before that.
$db = database('restored');
allowed('owner', $db, q{SELECT migrate.add('9', 'SELECT 1', 'SELECT pg_advisory_xact_lock(9)')});
allowed('owner', $db, 'SELECT migrate.apply()') foreach 1 .. 2;
foreach my $call ('migrate.redo()', 'migrate.rollback()')
{
	allowed($super, $db, 'DELETE FROM migrate.state');
	$holder = session($super, $db);
	$holder->query('SELECT pg_advisory_lock(9);');
	my $back = session('owner', $db);
	$back->query('SELECT 1;');
	$back->send("SELECT count(*) FROM $call;");
	observe($db, 'SELECT 1') until value($db, q{count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}) > 0;
	my $version = $call =~ /redo/ ? '991' : '992';
	allowed($super, $db, <<"END");
SET session_replication_role = replica;
INSERT INTO migrate.migration SELECT (jsonb_populate_record(m, jsonb_build_object('version', '$version',
	'up', 'SELECT 1', 'checksum', encode(sha256('SELECT 1'), 'hex')))).* FROM migrate.migration m WHERE version = '9';
END
	$holder->query('SELECT pg_advisory_unlock(9);');
	$back->answer;
	like(allowed('owner', $db, 'SELECT version FROM migrate.apply()'), qr/$version/, "without a row of the state: what came during $call is applied");
}
$db = database('sequence');
allowed('owner', $db, 'SELECT migrate.apply()');

# A sequence that is far behind is set once.
allowed($super, $db, q{INSERT INTO migrate.journal SELECT (jsonb_populate_record(j, jsonb_build_object('run', g))).*
	FROM migrate.journal j, generate_series(1000, 60000) g WHERE (j.run, j.seq) = (1, 1)});
allowed($super, $db, q{SELECT setval('migrate.run_seq', 1000); SELECT migrate.add('003', 'SELECT 1'); SELECT migrate.apply()});
is(value($db, 'max(run) FROM migrate.applied'), '60001', 'the next run has the next number');
is(value($db, q{(SELECT last_value FROM migrate.run_seq)}), '60001', 'and the sequence is there');

stop_server();
done_testing();
