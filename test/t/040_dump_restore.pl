# What a dump carries and a restore brings back, by psql and by pg_restore, as
# superuser and as an owner who is none; and the removal of the extension with
# its history kept, by the very commands of doc/remove.md.
#
# Needs databases that come and go, and the programs pg_dump and pg_restore.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

my $work = PostgreSQL::Test::Utils::tempdir();
my $state_of_source;
my $doc = slurp_file("$FindBin::RealBin/../../doc/remove.md");

# ---------------------------------------------------------------------------
# Helpers
# ---------------------------------------------------------------------------

# The commands of doc/remove.md that carry a name.
sub documented
{
	my ($name) = @_;
	my ($block) = $doc =~ /^```\w+ \Q$name\E\n(.*?)^```$/ms
	  or die "doc/remove.md has no commands named $name";
	return $block;
}

# Run a program with what a shell of that role would have for this database.
sub run_program
{
	my ($role, $db, @command) = @_;
	local %ENV = (
		%ENV,
		PGHOST => $node->host,
		PGPORT => $node->port,
		PGUSER => $role,
		DB => $db);
	local $ENV{PATH} = $node->config_data('--bindir') . ":$ENV{PATH}";
	my $out = '';
	my $err = '';
	my $run = IPC::Run::start(\@command, '<', \undef, '>', \$out, '2>',
		\$err, init => sub { chdir $work or die $! });
	$run->finish;
	note join(' ', @command), "\n", $err;
	return ($run->full_result(0) >> 8, $out, $err);
}

# The same for something that must succeed.
sub run_ok
{
	my ($name, $role, $db, @command) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, undef, $err) = run_program($role, $db, @command);
	is($status, 0, $name) or diag($err);
	return;
}

sub documented_ok
{
	my ($name, $role, $db) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	run_ok("doc/remove.md, $name, as $role", $role, $db, 'sh', '-ec',
		documented($name));
	return;
}

# Rows of a query, as the superuser.
sub rows
{
	my ($db, $sql) = @_;
	return $node->safe_psql($db, $sql);
}

# Run SQL as app; dies if it fails.
sub app
{
	my ($db, $sql) = @_;
	return query($node, $db, 'app', $sql);
}

# Rights of others on objects of the extension, but for who gave them.
my $rights_query = <<'END';
SELECT c.oid::regclass || ' ' || a.grantee::regrole || ' ' || a.privilege_type
	FROM pg_class c, aclexplode(c.relacl) a
	WHERE c.relnamespace = 'migrate'::regnamespace
UNION ALL
SELECT p.oid::regprocedure || ' ' || a.grantee::regrole || ' ' || a.privilege_type
	FROM pg_proc p, aclexplode(p.proacl) a
	WHERE p.pronamespace = 'migrate'::regnamespace
UNION ALL
SELECT t.attrelid::regclass || '.' || t.attname || ' ' || a.grantee::regrole || ' ' || a.privilege_type
	FROM pg_attribute t, aclexplode(t.attacl) a
	WHERE t.attrelid = 'migrate.migration'::regclass
UNION ALL
SELECT n.nspname || ' ' || a.grantee::regrole || ' ' || a.privilege_type
	FROM pg_namespace n, aclexplode(n.nspacl) a
	WHERE n.nspname = 'migrate'
ORDER BY 1
END

# What can be done with restored books: a no-op stays one, the next run has the
# next number, what was pending runs, and what was refused is refused.
sub goes_on
{
	my ($db, $role, $last_run, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err);

	($status, $out, $err) = run_sql($node, $db, $role,
		q{SELECT migrate.apply(); SELECT migrate.apply(project => 'history')});
	is("$status $out", '0 ', "$name: nothing to apply");
	like($err, qr/nothing to apply: 4 applied, newest "900"/,
		"$name: and that is said");

	# the first call has made the row that others say changes in
	run_sql($node, $db, $role,
		q{SELECT migrate.apply(); SELECT migrate.apply(project => 'history')});
	is(books($node, $db, 'state'), $state_of_source,
		"$name: what is known to be complete is known again");

	($status, $out, $err) = run_sql(
		$node, $db, $role, q{
		SELECT migrate.add('004', 'CREATE TABLE later (id int)',
			'DROP TABLE later');
		SELECT run, version, action FROM migrate.apply()});
	is($out, "004\n" . ($last_run + 1) . '|004|apply',
		"$name: the next run has the next number")
	  or diag($err);
	($status, $out, $err) = run_sql(
		$node, $db, $role, q{
		SELECT migrate.unhold('a2', project => 'side');
		SELECT version FROM migrate.apply(versions => '{a2}', project => 'side')});
	is($out, "a2\na2", "$name: what was held runs when it no longer is")
	  or diag($err);
	($status, $out, $err) = run_sql($node, $db, $role,
		q{SELECT migrate.load('{"001_users.sql": "SELECT 1"}')});
	like($err, qr/ERROR:  MG0/, "$name: an edit of what is applied is refused");
	($status, $out, $err) = run_sql($node, $db, $role,
		q{SELECT version FROM migrate.rollback(2)});
	is($out, "004\n003", "$name: and the old ones can be rolled back")
	  or diag($err);
	return;
}

# ---------------------------------------------------------------------------
# A database with every kind of row in its books
# ---------------------------------------------------------------------------

owner_database($node, 'source');
my %files = (
	'001_users.sql' => "-- migrate:up\r\n"
	  . "CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE,\r\n"
	  . "  motto text DEFAULT 'two\r\nlines');\r\n"
	  . "INSERT INTO users VALUES (1, 'a\@example.org', E'\\\\ \\t \xc3\xa9');\r\n"
	  . "-- migrate:down\r\nDROP TABLE users;\r\n",
	'002_orders.sql' => "-- migrate:up\n"
	  . "CREATE TABLE orders (id int, \"user\" int REFERENCES users);\n"
	  . "-- migrate:verify\nSELECT count(*) = 0 FROM orders;\n"
	  . "-- migrate:down\nDROP TABLE orders;\n",
	'003_nullable.sql' => "-- migrate:requires 002\n-- migrate:up\n"
	  . "ALTER TABLE orders ADD note text; COMMENT ON TABLE orders IS \$\$a\tb\\.\n\\.\n\$\$;\n"
	  . "-- migrate:down\nALTER TABLE orders DROP note;\n",
	'900_totals.sql' => "-- migrate:repeatable\n-- migrate:up\n"
	  . "CREATE OR REPLACE VIEW totals AS SELECT count(*) FROM users;\n");
my $files_json = 'jsonb_build_object('
  . join(', ', map { quote($_) . ', ' . quote($files{$_}) } sort keys %files)
  . ')';

app('source', "SELECT migrate.load($files_json)");
app('source',
	"SELECT migrate.apply(note => E'ticket #1 \\\\ \"q\" ''s'' \xc3\xa9')");
app('source', q{SELECT migrate.amend('002', verify => 'SELECT true',
	note => 'orders come in')});

# a failure with DETAIL, HINT and CONTEXT, and one text of every other sort
app('source', q{SELECT migrate.add('a1', 'SELECT 1', project => 'side');
	SELECT migrate.stamp('a1', note => 'was there', project => 'side');
	SELECT migrate.add('a2', 'CREATE TABLE a2 (id int)', project => 'side');
	SELECT migrate.hold('a2', E'waits for the others', project => 'side');
	SELECT migrate.add('a3', $$DO 'BEGIN RAISE EXCEPTION ''no''
		USING DETAIL = ''d'', HINT = ''h''; END'$$, project => 'side',
		irreversible => true, transactional => true);
	INSERT INTO migrate.policy (project, search_path, out_of_order, protected,
		lint, require_down, frozen_reason)
		VALUES ('side', 'public, pg_temp', 'allow', false, 'warn',
		false, NULL), ('frozen', 'x', 'error', true, 'error', true,
		'no work on Fridays')});
my ($status, $out, $err) = run_sql($node, 'source', 'app',
	q{SELECT migrate.apply(project => 'side')});
like($err, qr/P0001: +no\nDETAIL: +d\nHINT: +h/, 'a run has failed');
app('source', q{SELECT migrate.add('b1', 'SELECT ' || quote_literal(
	string_agg(md5(i::text), '')), project => 'large')
	FROM generate_series(1, 20000) i});
$node->safe_psql('source',
	q{SELECT migrate.add('c1', 'SELECT 1', project => 'written by another')});
app('source', q{SELECT migrate.grant('look', 'viewer');
	SELECT migrate.grant('run', 'deployer')});

# An applied body that the parser of today refuses: as if an older server had
# taken it.
my $unparsable = 'CREATE TABLE old (system_user text) WITH OIDS OF YORE';
$node->safe_psql(
	'source', qq{
	SELECT migrate.add('old', 'SELECT 1', 'SELECT 2', project => 'history');
	SELECT migrate.apply(project => 'history');
	ALTER TABLE migrate.migration DISABLE TRIGGER USER;
	UPDATE migrate.migration SET up = '$unparsable', added_by = 'app',
		checksum = encode(sha256('$unparsable'), 'hex') WHERE version = 'old';
	ALTER TABLE migrate.migration ENABLE TRIGGER USER;
	UPDATE migrate.applied SET checksum = encode(sha256('$unparsable'), 'hex')
		WHERE version = 'old'});
($status, $out, $err) = run_sql($node, 'source', $superuser,
	"INSERT INTO migrate.migration (version, up) VALUES ('x', '$unparsable')");
like($err, qr/ERROR: +42601/, 'the parser refuses such a body by now');

app('source', q{SELECT migrate.rollback(); SELECT migrate.apply();
	SELECT migrate.apply(project => 'history')});

# What is known of a project without reading it is not a part of its history: it
# must be right once somebody has called apply().
my @history = qw(migration applied journal executed_text policy);
my $books = books($node, 'source', @history);
# what goes_on() calls apply() for
$state_of_source = books($node, 'source', 'state') =~ s/^.*"side".*\n//mr;
my $rights = rows('source', $rights_query);
my $last_numbers =
  'SELECT r.last_value, a.last_value FROM migrate.run_seq r, migrate.applied_seq a';
my $last_run = rows('source', $last_numbers);
my $all_rows = 'SELECT ' . join(
	' || \' \' || ',
	map { "(SELECT count(*) FROM migrate.$_)" }
	  qw(migration applied journal executed_text policy state));
is(rows('source', $all_rows), '10 6 13 8 2 3',
	'the books have rows of every kind');
like($rights, qr/^migrate\.status\(.*viewer EXECUTE$/m,
	'and others have rights on them') or diag $rights;

# Check a restored database.
sub same_books
{
	my ($db, $role, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	if ($role eq $superuser)
	{
		is(books($node, $db, @history),
			$books, "$name: every column is equal");
	}
	else
	{
		(my $expected = $books) =~ s/("(?:added_by|\w+_author)": )"[^"]*"/$1"$role"/g;
		$expected =~ s/("\w+_trusted": )true/$1false/g;
		is(books($node, $db, @history),
			$expected, "$name: every column is equal but those that say whose the texts are");
	}
	is(rows($db, $last_numbers), $last_run, "$name: the sequences are where they were");
	return;
}

# ---------------------------------------------------------------------------
# Dump and restore of everything
# ---------------------------------------------------------------------------

foreach my $role ($superuser, 'app')
{
	my $db = 'restored';
	my $is_super = $role eq $superuser;
	my $who = $is_super ? 'superuser' : 'owner';

	run_ok("$who: pg_dump", $role, 'source',
		'pg_dump', '-f', "$role.sql", 'source');
	run_ok("$who: pg_dump -Fc", $role, 'source',
		'pg_dump', '-Fc', '-f', "$role.dump", 'source');

	# plain SQL
	owner_database($node, $db, without_extension => 1);
	if ($is_super)
	{
		run_ok("$who: psql", $role, $db, 'psql', '-Xq', '-1', '-v',
			'ON_ERROR_STOP=1', '-d', $db, '-f', "$role.sql");
	}
	else
	{
		my ($code, undef, $messages) = run_program($role, $db, 'psql', '-Xq',
			'-d', $db, '-f', "$role.sql");
		is($code, 0, "$who: psql");
		my @others = grep {
			!/permission denied to set session authorization "pg_database_owner"$/
		} split /\n/, $messages;
		is("@others", '', "$who: no errors but the documented one");
	}
	same_books($db, $role, "$who, psql");
	is(rows($db, $rights_query), $rights, "$who, psql: others have their rights");
	goes_on($db, 'app', $last_run, "$who, psql");

	# an archive, with two workers
	owner_database($node, $db, without_extension => 1);
	if ($is_super)
	{
		run_ok("$who: pg_restore -j2", $role, $db,
			'pg_restore', '-j2', '-d', $db, "$role.dump");
	}
	else
	{
		my ($code, undef, $messages) = run_program($role, $db, 'pg_restore',
			'-j2', '-d', $db, "$role.dump");
		is($code, 1, "$who: pg_restore -j2 cannot give rights");
		my @others = grep {
			!/permission denied to set session authorization "pg_database_owner"$/
		} grep { /ERROR|FATAL/ } split /\n/, $messages;
		is("@others", '', "$who: and says nothing else");
		same_books($db, $role, "$who, pg_restore -j2 with rights");

		owner_database($node, $db, without_extension => 1);
		local $ENV{DUMP} = "$role.dump";
		documented_ok('rights', $role, $db);
	}
	same_books($db, $role, "$who, pg_restore -j2");
	is(rows($db, $rights_query), $rights,
		"$who, pg_restore -j2: others have their rights");
	is((run_sql($node, $db, 'viewer', 'SELECT count(*) FROM migrate.status()'))[1],
		'4', "$who, pg_restore -j2: one who may look does");
	like((run_sql($node, $db, 'viewer', 'SELECT migrate.apply()'))[2],
		qr/ERROR: +42501/, "$who, pg_restore -j2: and may do no more");
	goes_on($db, 'app', $last_run, "$who, pg_restore -j2");

	# as above, but the tables in an order that only luck would bring about
	my (undef, $list, undef) = run_program($role, $db, 'pg_restore', '-l',
		"$role.dump");
	my @entries = split /\n/, $list;
	my @data = grep { / TABLE DATA / } @entries;
	is(scalar(@data), 8, "$who: six tables of books and two of users");
	@entries = map { / TABLE DATA / ? pop(@data) : $_ } @entries;
	append_to_file("$work/$role.list", join("\n", @entries) . "\n");
	owner_database($node, $db, without_extension => 1);
	run_ok("$who: pg_restore -L", $role, $db, 'pg_restore', '-L',
		"$role.list", '--no-acl', '-d', $db, "$role.dump");
	same_books($db, $role, "$who, other order");
	goes_on($db, 'app', $last_run, "$who, other order");

	# a directory, written and read by two
	run_ok("$who: pg_dump -Fd -j2", $role, 'source',
		'pg_dump', '-Fd', '-j2', '-f', "$role.d", 'source');
	owner_database($node, $db, without_extension => 1);
	run_ok("$who: pg_restore of a directory", $role, $db,
		'pg_restore', '-j2', '--no-acl', '-d', $db, "$role.d");
	same_books($db, $role, "$who, directory");

	# without rights there is no error at all, in one transaction
	owner_database($node, $db, without_extension => 1);
	run_ok("$who: pg_restore -1 --no-acl", $role, $db,
		'pg_restore', '-1', '--no-acl', '-d', $db, "$role.dump");
	same_books($db, $role, "$who, pg_restore -1");
}

# ---------------------------------------------------------------------------
# Parts of a database
# ---------------------------------------------------------------------------

foreach my $role ($superuser, 'app')
{
	my $db = 'parts';
	my $who = $role eq $superuser ? 'superuser' : 'owner';

	# the schema alone: tables without history, then their texts and a stamp
	run_ok("$who: pg_dump -s", $role, 'source',
		'pg_dump', '-s', '--no-acl', '-f', "$role-schema.sql", 'source');
	run_ok("$who: pg_dump -a", $role, 'source',
		'pg_dump', '-a', '-f', "$role-data.sql", 'source');
	owner_database($node, $db, without_extension => 1);
	run_ok("$who: the schema", $role, $db, 'psql', '-Xq', '-v',
		'ON_ERROR_STOP=1', '-d', $db, '-f', "$role-schema.sql");
	is(rows($db, $all_rows), '0 0 0 0 0 0',
		"$who, schema only: the books are there and empty");
	is(rows($db, 'SELECT count(*) FROM orders'),
		'0', "$who, schema only: and so are the users' tables");

	# data alone, into that
	run_ok("$who: the data", $role, $db, 'psql', '-Xq', '-1', '-v',
		'ON_ERROR_STOP=1', '-d', $db, '-f', "$role-data.sql");
	same_books($db, $role, "$who, data only");
	is(rows($db, 'SELECT email FROM users'),
		'a@example.org', "$who, data only: the users' data too");

	# a second time there are two histories for one database, which is refused
	my $before = books($node, $db);
	my ($code, undef, $messages) = run_program($role, $db, 'psql', '-Xq',
		'-1', '-v', 'ON_ERROR_STOP=1', '-d', $db, '-f', "$role-data.sql");
	is($code, 3, "$who, data only: not into books that have rows");
	like($messages, qr/duplicate key .* "applied_pkey"/,
		"$who, data only: the error says so");
	is(books($node, $db), $before, "$who, data only: nothing has changed");
	goes_on($db, 'app', $last_run, "$who, data only");
}

# the schema alone, continued as doc/remove.md says
owner_database($node, 'parts', without_extension => 1);
run_ok('schema only', 'app', 'parts', 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1',
	'-d', 'parts', '-f', 'app-schema.sql');
app('parts', "SELECT migrate.load($files_json)");
($status, $out, $err) =
  run_sql($node, 'parts', 'app', 'SELECT migrate.apply()');
like($err, qr/ERROR: +42P07.*HINT: .*migrate\.stamp_to/s,
	'schema only: apply() runs into the first table and says what to do');
app('parts', "CREATE TEMP TABLE files AS SELECT key AS path, value AS content"
	  . " FROM jsonb_each_text($files_json);"
	  . documented('schema-only'));
is( app('parts',
		'SELECT version, state, origin FROM migrate.status() ORDER BY 1'),
	"001|applied|stamp\n002|applied|stamp\n003|applied|stamp\n900|applied|stamp",
	'schema only: everything is recorded as applied');
is(app('parts', 'SELECT count(*) FROM migrate.apply()'),
	'0', 'schema only: nothing is left to apply');

# one schema alone
run_ok('pg_dump -n public', 'app', 'source',
	'pg_dump', '-n', 'public', '-f', 'public.sql', 'source');
unlike(slurp_file("$work/public.sql"),
	qr/migrate/, 'pg_dump -n public has nothing of the extension');
owner_database($node, 'parts', without_extension => 1);
rows('parts', 'DROP SCHEMA public');
run_ok('one schema', 'app', 'parts', 'psql', '-Xq', '-v',
	'ON_ERROR_STOP=1', '-d', 'parts', '-f', 'public.sql');
app('parts', "CREATE TEMP TABLE files AS SELECT key AS path, value AS content"
	  . " FROM jsonb_each_text($files_json);"
	  . documented('schema-only'));
is(app('parts', 'SELECT count(*) FROM migrate.apply()'),
	'0', 'one schema: nothing is left to apply');
is(app('parts', 'SELECT email FROM users'),
	'a@example.org', 'one schema: the data is there');

# ---------------------------------------------------------------------------
# Removal
# ---------------------------------------------------------------------------

my $tables_query = q{
	CREATE FUNCTION pg_temp.rows_of(relation regclass) RETURNS int8
		LANGUAGE plpgsql AS $$
	DECLARE
		n int8;
	BEGIN
		EXECUTE format('SELECT count(*) FROM %s', relation) INTO n;
		RETURN n;
	END $$;
	SELECT c.relname, pg_get_userbyid(c.relowner), pg_temp.rows_of(c.oid)
	FROM pg_class c
	WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v')
	ORDER BY 1};

foreach my $way ('database', 'file')
{
	my $db = 'removal';

	owner_database($node, $db, without_extension => 1);
	run_ok("$way: a database to remove it from", 'app', $db,
		'pg_restore', '--no-acl', '-d', $db, 'app.dump');
	my $tables = rows($db, $tables_query);
	like($tables, qr/^orders\|app\|0\ntotals\|app\|1\nusers\|app\|1$/m,
		"$way: there are tables of migrations");

	if ($way eq 'database')
	{
		run_ok("$way: doc/remove.md, keep", 'app', $db, 'psql', '-Xq', '-v',
			'ON_ERROR_STOP=1', '-d', $db, '-c', documented('keep'));
	}
	else
	{
		documented_ok('keep-file', 'app', $db);
	}
	is( rows(
			$db,
			q{SELECT count(*) FROM pg_namespace WHERE nspname = 'migrate'}),
		'0',
		"$way: schema migrate is gone");
	is(rows($db, $tables_query), $tables,
		"$way: the users' tables are as they were");

	if ($way eq 'database')
	{
		is(rows($db, 'SELECT count(*) FROM migrate_kept.journal'),
			'13', "$way: the history can be read without the extension");
		run_ok("$way: doc/remove.md, return", 'app', $db, 'psql', '-Xq', '-v',
			'ON_ERROR_STOP=1', '-d', $db, '-c', documented('return'));
	}
	else
	{
		documented_ok('return-file', 'app', $db);
	}
	same_books($db, 'app', "$way, returned");
	goes_on($db, 'app', $last_run, "$way, returned");
}

# what hangs on the books is named, and what does not is not touched
owner_database($node, 'removal');
app('removal', q{SELECT migrate.add('1', 'CREATE TABLE t_1 (id int)');
	SELECT migrate.apply();
	CREATE VIEW dashboard AS SELECT * FROM migrate.schema_migrations});
($status, $out, $err) =
  run_sql($node, 'removal', 'app', 'DROP EXTENSION migrate');
like($err, qr/2BP01.*view dashboard depends on/s,
	'a view over the books is named');
app('removal', 'DROP VIEW dashboard; DROP EXTENSION migrate; TABLE t_1');
is( rows(
		'removal',
		q{SELECT count(*) FROM pg_depend WHERE deptype = 'e'
			AND refobjid NOT IN (SELECT oid FROM pg_extension WHERE extname = 'plpgsql')}
	),
	'0',
	'nothing is left of it');

done_testing();
