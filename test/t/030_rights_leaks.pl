# What others come to know, and what is read from them: notifications, what the
# right to look shows, the activity views and the server log; and the ways in
# for texts and out for scripts, with hostile names and contents.

use strict;
use warnings;

use Encode qw(encode_utf8);
use File::Path qw(make_path);
use File::Spec::Functions qw(rel2abs);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use JSON::PP qw(decode_json);
use POSIX qw(mkfifo);

use PostgreSQL::Test::Utils;
use Rights;
use Test::More;

start_server("log_statement = none\nlog_min_error_statement = panic");

my $work = rel2abs(PostgreSQL::Test::Utils::tempdir());
my $secret = 'hunter2';

# ---------------------------------------------------------------------------
# Notifications: anybody can listen
# ---------------------------------------------------------------------------

my $db = database('notify');
my $listener = session('low', $db);
$listener->query('LISTEN migrate;');

# The payloads that have come, in order
sub notifications
{
	my ($out) = $listener->query('SELECT 1;');

	return
	  map { decode_json($_) }
	  $out =~ /^Asynchronous notification "migrate" with payload "(.*)" received/mg;
}

my @keys = qw(action milliseconds outcome project run sqlstate version);
allowed('owner', $db, "SELECT migrate.add('002', 'SELECT 1', 'SELECT 2')");
allowed('owner', $db, 'SELECT migrate.apply()');
my @got = notifications();
is(scalar @got, 1, 'one notification for a run');
is(join(' ', sort keys %{ $got[0] }), "@keys", 'has these keys');
is("@{$got[0]}{qw(action outcome version project)}",
	'apply success 002 default', 'and says what happened');

allowed('owner', $db, <<"END");
CREATE TABLE own_owner.t (email text UNIQUE);
INSERT INTO own_owner.t VALUES ('$secret\@example.org');
SELECT migrate.add('003', 'INSERT INTO own_owner.t VALUES (''$secret\@example.org'')');
END
run('owner', $db, 'SELECT migrate.apply()');
$node->poll_query_until($db,
	"SELECT count(*) = 1 FROM migrate.journal WHERE version = '003'");
@got = notifications();
is(scalar @got, 1, 'one notification for a failure');
is(join(' ', sort keys %{ $got[0] }), "@keys", 'has the same keys');
is("@{$got[0]}{qw(action outcome version sqlstate)}",
	'apply failure 003 23505', 'and says which error it was');
unlike(join(' ', %{ $got[0] }), qr/$secret|duplicate|email/,
	'but neither its message nor its detail');
allowed('owner', $db, 'SELECT count(*) FROM migrate.apply(raise => false)');
@got = notifications();
is(scalar @got, 1, 'so does a failure that is not raised');
unlike(join(' ', %{ $got[0] }), qr/$secret|duplicate|email/,
	'without message and detail');
allowed('owner', $db, "SELECT migrate.remove('003')");

# Long names of every kind: a payload of 8000 bytes would be an error.
foreach my $name (
	'x' x 490,
	q{"} x 490,
	'\\' x 490,
	"\x{e4}" x 240,
	"\x{1f600}" x 120,
	'x' x 199 . "\x{1f600}",
	'<script>"$(rm -rf .)`;\\')
{
	my $literal = encode_utf8("\$n\$$name\$n\$");

	allowed('owner', $db, "SELECT migrate.add($literal, 'SELECT 1', project => $literal)");
	my ($status, undef, $err) =
	  run('owner', $db, "SELECT migrate.apply(project => $literal)");
	is($status, 0, sprintf('a run with a name of %d characters like U+%04X',
		length $name, ord $name))
	  or diag($err);
	@got = notifications();
	is(scalar @got, 1, 'is notified');
	is(substr($name, 0, length $got[0]{version}),
		$got[0]{version}, 'with the start of the version');
	cmp_ok(length(encode_utf8($got[0]{version})), '<=', 200, 'of 200 bytes');
	allowed('owner', $db,
		"SELECT migrate.add($literal || '2', 'SELECT 1/0', project => $literal)");
	($status, undef, $err) =
	  run('owner', $db, "SELECT migrate.apply(project => $literal)");
	like($err, qr/22012/, 'a failure with that name');
	unlike($err, qr/WARNING/, 'is recorded');
	is(scalar(notifications()), 1, 'and notified');
	allowed('owner', $db, "SELECT migrate.remove($literal || '2', $literal)");
}
allowed('owner', $db,
	"SET migrate.notify = off; SELECT migrate.rollback(); SELECT migrate.apply()");
is(scalar(notifications()), 0, 'they can be switched off');
$listener->close;

# ---------------------------------------------------------------------------
# The right to look: no bodies, no data
# ---------------------------------------------------------------------------

$db = database('look');
allowed('owner', $db, <<"END");
CREATE TABLE own_owner.t (email text UNIQUE);
INSERT INTO own_owner.t VALUES ('$secret');
SELECT migrate.add('002', 'SELECT ''$secret''', 'SELECT ''$secret''', verify => 'SELECT ''$secret''');
SELECT migrate.apply();
SET migrate.failure_quiet = 0;
SELECT migrate.add('003', 'INSERT INTO own_owner.t VALUES (''$secret'')');
SELECT count(*) FROM migrate.apply(raise => false);
SELECT migrate.remove('003');
SELECT migrate.add('003', \$b\$DO \$d\$ BEGIN EXECUTE 'CREATE ROLE x PASSWORD ''$secret'' IN ROLE nobody'; END \$d\$\$b\$);
SELECT count(*) FROM migrate.apply(raise => false);
SELECT migrate.remove('003');
SELECT migrate.add('003', 'SELECT ''$secret''; SELECT 1/0');
SELECT count(*) FROM migrate.apply(raise => false);
END
run('owner', $db, 'SET migrate.failure_quiet = 0; SELECT migrate.apply()');

refused_each(
	'looker', $db,
	qr/ERROR:  42501/,
	(map { "SELECT $_ FROM migrate.migration;" } qw(up down verify *)),
	'SELECT m FROM migrate.migration m;',
	'SELECT to_jsonb(m) FROM migrate.migration m;',
	'SELECT version FROM migrate.migration WHERE up LIKE \'%x%\';',
	'SELECT version FROM migrate.migration ORDER BY down;',
	'SELECT count(m.*) FROM migrate.migration m;',
	'SELECT * FROM migrate.executed_text;',
	'SELECT * FROM migrate.journal;',
	'SELECT detail FROM migrate.journal;',
	'SELECT count(*) FROM migrate.journal;',
	'SELECT * FROM migrate.state;',
	'COPY migrate.executed_text TO STDOUT;',
	'SELECT migrate.script();',
	'SELECT migrate.verify();',
	'SELECT migrate.apply(dry_run => true);');
foreach my $sql (
	'SELECT * FROM migrate.status()',
	'SELECT * FROM migrate.plan()',
	'SELECT * FROM migrate.plan_rollback()',
	'SELECT migrate.check(\'002\')',
	'SELECT migrate.current(), migrate.heads()',
	'SELECT * FROM migrate.history(99)',
	'SELECT * FROM migrate.failures(99)',
	'SELECT o.* FROM generate_series(1, 9) AS r, migrate.outcome(r) AS o',
	'SELECT * FROM migrate.progress()',
	'SELECT s.* FROM generate_series(1, 9) AS r, migrate.statements(r) AS s',
	'TABLE migrate.failures',
	'TABLE migrate.statements',
	'TABLE migrate.schema_migrations',
	'TABLE migrate.history',
	'SELECT project, target, version, name, applied_at, applied_by, origin, execution_ms, run, seq, applied_seq FROM migrate.applied',
	'TABLE migrate.policy',
	'SELECT project, version, name, requires, path, source, added_at, added_by, held_reason FROM migrate.migration',
	"SELECT * FROM pg_catalog.pg_stats WHERE schemaname = 'migrate'")
{
	my ($status, $out, $err) = run('looker', $db, $sql);

	# check() has something to say
	is($status, 0, "looker may $sql") if $err !~ /MG020/;
	unlike("$out$err", qr/$secret|[0-9a-f]{64}/, "and sees no body, no checksum and no data");
}
is( allowed('owner', $db, "SELECT count(*) > 0 FROM migrate.failures(99) WHERE detail LIKE '%$secret%'"),
	't',
	'the owner sees the detail');

# A function of the looker's own, cheap enough to be called first
allowed('looker', $db, <<'END');
CREATE FUNCTION own_looker.leak(text) RETURNS bool COST 0.0001 LANGUAGE plpgsql AS
	$$ BEGIN RAISE NOTICE 'leak %', $1; RETURN true; END $$;
CREATE FUNCTION own_looker.leak_row(record) RETURNS bool COST 0.0001 LANGUAGE plpgsql AS
	$$ BEGIN RAISE NOTICE 'leak %', $1; RETURN true; END $$;
END
foreach my $sql (
	'SELECT version FROM migrate.failures f WHERE own_looker.leak(detail)',
	'SELECT version FROM migrate.failures f WHERE own_looker.leak(context)',
	'SELECT version FROM migrate.failures f WHERE own_looker.leak_row(f)',
	'SELECT version FROM migrate.history h WHERE own_looker.leak_row(h)',
	'SELECT version FROM migrate.status() s WHERE own_looker.leak_row(s)')
{
	my (undef, $out, $err) = run('looker', $db, $sql);

	like($err, qr/leak/, "a function of one's own is called: $sql");
	unlike("$out$err", qr/$secret/, 'and sees no more');
}

# A text that this server cannot parse, as after a restore from another one
allowed($super, $db, <<"END");
INSERT INTO migrate.migration (version, up, checksum)
	SELECT '900', t, encode(sha256(convert_to(t, 'UTF8')), 'hex')
	FROM (VALUES (E'CREATE ROLE x PASSWORD ''$secret'';\\nSELEC ''$secret''')) AS v(t);
END
foreach my $sql ('SELECT * FROM migrate.plan()',
	'SELECT * FROM migrate.status()', 'SELECT migrate.check()')
{
	my (undef, $out, $err) = run('looker', $db, $sql);

	unlike("$out$err", qr/$secret/, "a text that does not parse is not shown: $sql");
}
allowed($super, $db, "SELECT migrate.remove('900')");

# ---------------------------------------------------------------------------
# While it runs
# ---------------------------------------------------------------------------

$db = database('activity');
my $keeper = session($super, $db);
$keeper->query('SELECT pg_advisory_lock(4711);');
allowed('owner', $db,
	"SELECT migrate.add('002', 'SELECT ''$secret'', pg_advisory_xact_lock(4711)')"
);
my $session = session('owner', $db);
$session->send('SELECT version FROM migrate.apply();');
$node->poll_query_until($db,
	"SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
  or die;
foreach my $role (@Rights::roles, $super)
{
	my $out = allowed($role, $db,
		"SELECT to_jsonb(a) FROM pg_stat_activity a WHERE datname = '$db' AND pid <> pg_backend_pid()"
	);

	like($out, qr/"application_name": "migrate apply \d+ 1\/1 1\/1 002"/,
		"$role sees which migration is running");
	unlike($out, qr/$secret/, 'but not its text');
}
unlike(
	allowed(
		'low', $db,
		"SELECT to_jsonb(a) FROM pg_stat_activity a WHERE datname = '$db' AND pid <> pg_backend_pid()"
	),
	qr/migrate\.apply/,
	'nor the call, for a role without rights');
$keeper->query('SELECT pg_advisory_unlock(4711);');
is($session->answer, "002", 'the run ends');
is( $session->query(
		'SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid();'),
	$node->name eq 'rights' ? $0 =~ s{.*/}{}r : '',
	'application_name is the client\'s again');
$session->close;
$keeper->close;

# ---------------------------------------------------------------------------
# The server log
# ---------------------------------------------------------------------------

# What fails is logged, and what the body did before that is not: a client that
# sends one statement at a time has no more of it in the log.
$db = database('log');
foreach my $case (
	[ 'an error of the executor' => 'SELECT 1/0', '22012' ],
	[ 'an error with a position' => 'SELECT * FROM nosuch', '42P01' ],
	[ 'an error on the same line' => '/* */ SELECT nosuch', '42703' ],
	[ 'an error in a function' => "DO \$d\$ BEGIN PERFORM 1/0; END \$d\$", '22012' ])
{
	my ($name, $failing, $sqlstate) = @$case;
	my $size = log_size();

	allowed('owner', $db,
		"SELECT migrate.add('002', \$b\$SELECT '$secret';"
		  . ($name =~ /same line/ ? ' ' : "\n")
		  . "$failing;\nSELECT '$secret' AS later;\$b\$)");
	my (undef, undef, $err) = run('owner', $db, 'SELECT migrate.apply()');
	my $log = log_since($size);
	like($err, qr/ERROR:  $sqlstate/, "$name is the client's");
	like($log,
		qr/LOG:  migrate: apply of migration "002" of project "default" failed in run \d+: $sqlstate/,
		"$name is logged");
	unlike($log, qr/$secret/, "$name does not bring other statements into the log");
	allowed('owner', $db, "SELECT migrate.remove('002')");
}
{
	my $size = log_size();
	allowed('owner', $db,
		"SELECT migrate.add('002', 'CREATE TABLE own_owner.logged (i int); SELECT ''$secret''')");
	allowed($super, $db, "ALTER ROLE owner SET log_statement = 'ddl'");
	allowed('owner', $db, 'SELECT migrate.apply()');
	allowed($super, $db, 'ALTER ROLE owner RESET ALL');
	my $log = log_since($size);
	like($log, qr/LOG:  statement: CREATE TABLE own_owner.logged/,
		'log_statement holds for the statements of a body');
	unlike($log, qr/$secret/, 'and for those that it names only');
}

# ---------------------------------------------------------------------------
# Texts from tables
# ---------------------------------------------------------------------------

# Whatever hangs on a table of somebody else is code of his, and must not run
# as whoever loads the table.
$db = database('tables');
allowed('writer', $db, <<'END');
CREATE TABLE own_writer.calls (who name);
GRANT USAGE ON SCHEMA own_writer TO PUBLIC;
GRANT INSERT ON own_writer.calls TO PUBLIC;
CREATE FUNCTION own_writer.trap() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO own_writer.calls VALUES (current_user);
	IF current_setting('is_superuser') = 'on' THEN ALTER ROLE writer SUPERUSER; END IF;
	RETURN 'SELECT 1;';
END $$;
CREATE VIEW own_writer.v AS SELECT '901_a.sql'::text AS path, own_writer.trap() AS content;
CREATE MATERIALIZED VIEW own_writer.m AS SELECT '901_a.sql'::text AS path, 'SELECT 1;'::text AS content;
CREATE TABLE own_writer.t (path text, content text);
INSERT INTO own_writer.t VALUES ('901_a.sql', 'SELECT 1;');
CREATE TABLE own_writer.row_security (LIKE own_writer.t);
INSERT INTO own_writer.row_security TABLE own_writer.t;
CREATE POLICY p ON own_writer.row_security USING (own_writer.trap() IS NOT NULL);
ALTER TABLE own_writer.row_security ENABLE ROW LEVEL SECURITY;
CREATE TYPE own_writer.r AS (x int);
CREATE FUNCTION own_writer.r_to_text(own_writer.r) RETURNS text LANGUAGE sql AS 'SELECT own_writer.trap()';
CREATE CAST (own_writer.r AS text) WITH FUNCTION own_writer.r_to_text(own_writer.r);
CREATE TABLE own_writer.cast_of_row (path text, content own_writer.r);
INSERT INTO own_writer.cast_of_row VALUES ('901_a.sql', ROW(1));
CREATE TYPE own_writer.e AS ENUM ('901_a.sql');
CREATE FUNCTION own_writer.e_to_text(own_writer.e) RETURNS text LANGUAGE sql AS $$SELECT '901_a.sql' || left(own_writer.trap(), 0)$$;
CREATE CAST (own_writer.e AS text) WITH FUNCTION own_writer.e_to_text(own_writer.e);
CREATE TABLE own_writer.cast_of_enum (path own_writer.e, content text);
INSERT INTO own_writer.cast_of_enum VALUES ('901_a.sql', 'SELECT 1;');
CREATE TABLE own_writer.parent (path text, content text);
CREATE TABLE own_writer.child (LIKE own_writer.parent) INHERITS (own_writer.parent);
INSERT INTO own_writer.child TABLE own_writer.t;
ALTER TABLE own_writer.child ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON own_writer.child USING (own_writer.trap() IS NOT NULL);
CREATE DOMAIN own_writer.d AS text;
CREATE TABLE own_writer.of_domain (path own_writer.d, content own_writer.d);
INSERT INTO own_writer.of_domain TABLE own_writer.t;
ALTER DOMAIN own_writer.d ADD CHECK (own_writer.trap() IS NOT NULL) NOT VALID;
CREATE FUNCTION own_writer.path(own_writer.calls) RETURNS text LANGUAGE sql AS 'SELECT own_writer.trap()';
CREATE FUNCTION own_writer.content(own_writer.calls) RETURNS text LANGUAGE sql AS 'SELECT own_writer.trap()';
CREATE TABLE own_writer.odd (LIKE own_writer.t);
ALTER TABLE own_writer.odd RENAME TO "odd; SELECT own_writer.trap()--";
GRANT SELECT ON ALL TABLES IN SCHEMA own_writer TO PUBLIC;
DELETE FROM own_writer.calls;
END
foreach my $role ($super, 'owner')
{
	foreach my $relation (
		qw(v m t row_security cast_of_row cast_of_enum parent child of_domain calls),
		'"odd; SELECT own_writer.trap()--"')
	{
		my (undef, undef, $err) = run($role, $db,
			"BEGIN; SELECT migrate.load_table('own_writer.$relation'); COMMIT");
		is( value($db, "string_agg(who, ' ') FROM own_writer.calls WHERE who <> 'writer'"),
			'',
			"$role loads own_writer.$relation and runs nothing of its owner's");
		allowed('writer', $db, 'DELETE FROM own_writer.calls');
		run($role, $db, "SELECT migrate.remove('1')");
	}
}
is(value($db, "rolsuper FROM pg_roles WHERE rolname = 'writer'"),
	'f', 'writer is no superuser');
allowed($super, $db, 'ALTER ROLE writer NOSUPERUSER');
is( allowed('writer', $db, "SELECT path FROM migrate.load_table('own_writer.t') WHERE result = 'added'"),
	'901_a.sql', 'a plain table can be loaded');
allowed('owner', $db, 'CREATE TABLE own_owner.t (path text, content text)');
refused('writer', $db, "SELECT migrate.load_table('own_owner.t')",
	qr/42501: permission denied for (schema|table)/,
	'cannot read tables of others by loading them');
allowed('owner', $db, 'GRANT USAGE ON SCHEMA own_owner TO writer');
refused('writer', $db, "SELECT migrate.load_table('own_owner.t')",
	qr/42501: must be owner of table t/, 'even with USAGE on the schema');
refused('writer', $db, "SELECT migrate.load_table('pg_catalog.pg_authid')",
	qr/42501|42703/, 'nor the passwords');
refused('writer', $db, "SELECT migrate.load_table('own_writer.calls')",
	qr/42804: table "calls" has no column "path" of type text/, 'columns are columns, not functions');
refused('writer', $db, 'SELECT migrate.load_table(4294967295)',
	qr/42P01/, 'an OID of nothing');

# ---------------------------------------------------------------------------
# Texts from files
# ---------------------------------------------------------------------------

$db = database('files');
make_path("$work/plain/deep");
append_to_file("$work/plain/deep/901_a.sql", "SELECT 1;\n");
refused($_, $db, "SELECT migrate.load_directory('$work/plain')",
	qr/42501: permission denied (to read files of the server|for function load_directory|for schema migrate)/,
	'cannot read files of the server')
  for @Rights::roles;
refused('writer', $db, "SELECT migrate.load_directory('/nowhere')",
	qr/42501/, 'nor find out which there are');
allowed($super, $db, 'GRANT pg_read_server_files TO writer');
is( allowed('writer', $db,
		"SELECT version, path, result FROM migrate.load_directory('$work/plain') WHERE result = 'added'"),
	'901|deep/901_a.sql|added',
	'a member of pg_read_server_files can');
refused('writer', $db, "SELECT migrate.load_directory('$work/plain', convention => '../../x')",
	qr/ERROR:  (22023|MG011)/, 'a convention is no path');

# Things that are no files, or no text
make_path("$work/odd/loop");
mkfifo("$work/odd/2_fifo.sql", 0600) or die $!;
symlink('..', "$work/odd/loop/back") or die $!;
{
	my ($status, undef, $err) = run('writer', $db,
		"SET statement_timeout = '20s'; SELECT migrate.load_directory('$work/odd')");
	unlike($err, qr/57014/, 'a FIFO and a loop of links do not hang it');
}
make_path("$work/zero", "$work/latin");
append_to_file("$work/zero/2_a.sql", "SELECT 1;\0DROP TABLE users;");
append_to_file("$work/latin/2_a.sql", "SELECT '\xe4';");
refused('writer', $db, "SELECT migrate.load_directory('$work/zero')",
	qr/22021/, 'a zero byte in a file');
refused('writer', $db, "SELECT migrate.load_directory('$work/latin')",
	qr/22021/, 'bytes that are no UTF-8');
allowed($super, $db, 'REVOKE pg_read_server_files FROM writer');
is( allowed('writer', $db,
		q{SELECT version, path FROM migrate.load('{"../../../../etc/passwd/3_a.sql": "SELECT 3 AS path;"}', 'plain') WHERE result = 'added'}
	),
	'3|../../../../etc/passwd/3_a.sql',
	'a path in load() is a name and nothing more');

# ---------------------------------------------------------------------------
# Scripts
# ---------------------------------------------------------------------------

# psql runs a script on the machine of whoever calls it.  Nothing in a body or
# a name may become a command of psql's there.
my $mark = "$work/mark";
my @names = (
	q{a'b"c\d},
	q{$mig$ $mig1$ $mig$},
	q{\! touch } . $mark,
	q{:USER :'USER' :"USER" :{?USER}},
	q{--},
	q{/* },
	q{'; DROP TABLE public.users; --});
my @bodies = (
	"SELECT '\\! touch $mark';",
	"SELECT '\n\\! touch $mark\n';",
	"SELECT \$\$\n\\! touch $mark\n\$\$;",
	"/*\n\\! touch $mark\n*/ SELECT 1;",
	"SELECT 1; -- \\! touch $mark",
	"SELECT '\$mig\$'; SELECT \$mig\$ \n\\! touch $mark\n \$mig\$;",
	"SELECT '\$mig';",
	"SELECT '\$mig\$\$mig1\$\$mig2\$'",
	"SELECT ':USER', ':''USER''', \$\$:USER\$\$;",
	"SELECT E'\\'; \\\\! touch $mark';",
	"SELECT 'a\\';",
	"SELECT U&'\\0041';",
	"SELECT 'a' -- '\n'\\! touch $mark';",
	"SELECT \"column\n\\! touch $mark\" FROM (SELECT 1) AS t(\"column\n\\! touch $mark\");",
	"SELECT 1 /* \\restrict x */;",
	"SELECT 1");

sub scripted
{
	my ($db, $name, @options) = @_;
	my $file = "$work/script.sql";
	my $script = allowed($super, $db, "SELECT migrate.script(project => 's')");

	unlink $mark, $file;
	append_to_file($file, $script);
	my $target = database('target');
	my $result = IPC::Run::run(
		[
			$node->installed_command('psql'), '-Xq', '-U', 'owner', '-d',
			$node->connstr($target), @options, '-f', $file
		],
		'<', \undef, '>', \my $out, '2>', \my $err);
	my $ran = value($target, "md5(string_agg(version || checksum, ' ' ORDER BY version)) FROM migrate.applied WHERE project = 's'");
	drop_database($target);
	ok(!-e $mark, "$name: no command of psql's was run");
	return ($result, $ran, $err);
}

$db = database('scripts');
foreach my $i (0 .. $#names)
{
	my $literal = "\$n\$$names[$i]\$n\$";
	my $body = "\$body\$$bodies[$i]\$body\$";

	allowed('writer', $db,
		"SELECT migrate.add($literal, 'SELECT 1', 'SELECT 2', name => $literal, verify => 'SELECT true', project => 's')");
}
foreach my $i (0 .. $#bodies)
{
	allowed('writer', $db,
		"SELECT migrate.add('b$i', \$body\$$bodies[$i]\$body\$, \$body\$$bodies[$i]\$body\$, verify => \$body\$$bodies[$i]\$body\$, name => E'\\\\! touch $mark', project => 's')"
	);
}
my $stored = value($db, "md5(string_agg(version || checksum, ' ' ORDER BY version)) FROM migrate.migration WHERE project = 's'");
{
	my ($result, $ran, $err) = scripted($db, 'hostile names and bodies');
	ok($result, 'the script runs') or diag($err);
	is($ran, $stored, 'and leaves the same ledger');
	($result, $ran, $err) = scripted($db, 'with variables of psql',
		'-v', 'USER=x', '-v', 'mig=$mig$');
	ok($result, 'the script runs with variables') or diag($err);
	is($ran, $stored, 'which are not put into it');
}
refused($super, $db,
	"SELECT migrate.script(project => E'x\\n\\\\! touch $mark')",
	qr/22023: the name of a project must not contain control characters/,
	'a project with a line feed starts no line of the script');

# What psql takes for the end of a literal depends on a setting of the server.
my $literal = "SELECT 'a\\', '\n; \\! touch $mark # ', 'b'";
foreach my $change (
	[ 'in a body' => "SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false);" ],
	[ 'in a DO block' => "DO \$d\$ BEGIN EXECUTE 'SET standard_conforming_strings = off'; END \$d\$;" ])
{
	$db = database('literal');
	allowed('writer', $db,
		"SELECT migrate.add('1', \$body\$$change->[1]\n$literal\$body\$, project => 's')");
	scripted($db, "standard_conforming_strings $change->[0]");
	drop_database($db);
}
{
	# two bodies, and the setting of the database or of the role
	$db = database('literal');
	allowed('writer', $db,
		"SELECT migrate.add('1', \$body\$$literal\$body\$, project => 's'), migrate.add('2', \$body\$$literal\$body\$, project => 's')"
	);
	local $ENV{PGOPTIONS} = '-c standard_conforming_strings=off';
	scripted($db, 'standard_conforming_strings of the session');
}

stop_server();
done_testing();
