# Errors that users rarely meet: of an extension that somebody has altered, of files
# that cannot be read, and of what only a mistaken program passes.
#
# Needs a superuser who breaks the catalogs, other roles, and files of the server.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'rare';

$node->init;
$node->start;
owner_database($node, $db);

sub raises
{
	my ($role, $sql, $error, $what) = @_;
	my (undef, undef, $err) = run_sql($node, $db, $role, $sql);

	like($err, qr/ERROR:  $error/, $what);
	return;
}

# ---------------------------------------------------------------------------
# The origin of a migration
# ---------------------------------------------------------------------------

foreach my $case (
	[ '[]', '22023: argument "provenance" must be an object' ],
	[ '{"color": "red"}', '22023: argument "provenance" has an unknown member "color"' ],
	[ '{"path": 1}', '22023: member "path" of argument "provenance" has a value of the wrong type' ],
	[ '{"up_line": "1"}', '22023: member "up_line" of argument' ],
	[ '{"up_trusted": {}}', '22023: member "up_trusted" of argument' ],
	[ '{"up_line": 1e10}', '22003: integer out of range' ])
{
	raises('app', "SELECT migrate.add('1', 'SELECT 1', provenance => '$case->[0]')",
		$case->[1], "provenance => $case->[0]");
}
is(query($node, $db, 'app', 'SELECT count(*) FROM migrate.migration'),
	0, 'nothing is stored');
is( query($node, $db, 'app', q{
	SELECT migrate.add('1', 'SELECT 1', provenance => '{"path": "a/1.sql", "up_line": 3, "source": null}');
	SELECT path, up_line, source IS NULL FROM migrate.migration}),
	"1\na/1.sql|3|t", 'a good origin is stored');

# ---------------------------------------------------------------------------
# An extension that is not as it was made
# ---------------------------------------------------------------------------

my @calls = ('SELECT FROM migrate.status()', 'SELECT FROM migrate.plan()', 'CALL migrate.apply_each()');

query($node, $db, $superuser, q{UPDATE pg_extension SET extversion = '0.0' WHERE extname = 'migrate'});
raises('app', $_, 'MG021: installed version of extension "migrate" does not match its library', "another version: $_")
  foreach @calls;
query($node, $db, $superuser, q{UPDATE pg_extension SET extversion =
	(SELECT default_version FROM pg_available_extensions WHERE name = 'migrate')
	WHERE extname = 'migrate'});
is((run_sql($node, $db, 'app', $_))[0], 0, "its own version again: $_") foreach @calls;

foreach my $table (qw(migration run journal))
{
	owner_database($node, 'altered');
	query($node, 'altered', 'app', q{SELECT migrate.add('1', 'SELECT 1')});
	query($node, 'altered', $superuser, "ALTER TABLE migrate.$table ADD COLUMN mine int");
	like(
		(run_sql($node, 'altered', 'app',
			$table eq 'migration' ? q{SELECT migrate.add('2', 'SELECT 2')} : 'SELECT FROM migrate.apply()'))[2],
		qr/ERROR:  MG021: table "migrate.$table" of extension "migrate" has been altered/,
		"a column too many in migrate.$table");
}

# as many, under other names
query($node, $db, $superuser, 'ALTER TABLE migrate.journal RENAME client_address TO address');
raises('app', q{SELECT migrate.unstamp('1')},
	'MG021: table "migrate.journal" of extension "migrate" has been altered\n.*DETAIL:  Column "client_address" is not where it was',
	'a column with another name');
query($node, $db, $superuser, 'ALTER TABLE migrate.journal RENAME address TO client_address');

# The constraints that rows of ours meet by construction are known by name.
is( join(' ', sort { $a cmp $b } slurp_file("$FindBin::RealBin/../../src/ledger/bulk_insert.c") =~ /"(\w+_check)"/g),
	query($node, $db, $superuser, q{
		SELECT string_agg(conname, ' ' ORDER BY conname COLLATE "C") FROM pg_constraint
		WHERE contype = 'c' AND conrelid::regclass::text IN ('migrate.applied', 'migrate.journal', 'migrate.executed_text')}),
	'all CHECK constraints of the tables that are written in bulk are known');

# ---------------------------------------------------------------------------
# What is not for everybody
# ---------------------------------------------------------------------------

query($node, $db, 'app', q{SELECT migrate.grant('run', 'deployer')});
my $run = query($node, $db, 'app', 'SELECT max(run) FROM migrate.run');
raises('deployer', "SELECT migrate.cancel($run)",
	"42501: permission denied to cancel run $run\n.*DETAIL:  Only role \"app\"",
	'who may run migrations cannot cancel the run of another');
is(query($node, $db, 'app', "SELECT migrate.cancel($run)"), 'f', 'whose it is may try');

raises($superuser, "$_", '42704: run 99 does not exist\n.*HINT:  Only runs of apply_each.* can be waited for or canceled',
	"no such run: $_")
  for 'SELECT migrate.cancel(99)', 'CALL migrate.wait(99)';

# what all roles had in schema public before PostgreSQL 15
owner_database($node, 'schemas');
query($node, 'schemas', 'app', q{
	SELECT migrate.grant('run', 'deployer');
	CREATE SCHEMA closed;
	REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO deployer;
	SELECT migrate.add('1', 'CREATE TABLE public.t ()', project => 'create');
	SELECT migrate.add('1', 'CREATE TABLE closed.t ()', project => 'use')});
foreach my $case ([ 'create', 'CREATE ON SCHEMA public' ], [ 'use', 'USAGE ON SCHEMA closed' ])
{
	foreach my $call ("SELECT migrate.apply(project => '$case->[0]')", "CALL migrate.apply_each(project => '$case->[0]')")
	{
		like((run_sql($node, 'schemas', 'deployer', $call))[2],
			qr/42501: permission denied for schema.*HINT:  Its owner can GRANT $case->[1] TO deployer\./s,
			"a way out: $call");
	}
}

query($node, $db, $superuser, q{GRANT EXECUTE ON FUNCTION migrate.gate() TO app});
query($node, $db, 'app', q{
	CREATE TABLE own (i int);
	CREATE TRIGGER gate BEFORE INSERT ON own FOR EACH ROW EXECUTE FUNCTION migrate.gate()});
raises('app', 'INSERT INTO own VALUES (1)',
	q{39P01: function "migrate.gate" is a trigger of the extension's own tables},
	'the trigger function on a table of somebody else');

# ---------------------------------------------------------------------------
# Files of the server
# ---------------------------------------------------------------------------

my $directory = PostgreSQL::Test::Utils::tempdir;
my $load = "SELECT migrate.load_directory('$directory', project => 'files')";

append_to_file("$directory/1_a.sql", "SELECT 1;\n");
symlink("$directory/nowhere", "$directory/2_b.sql") or die "could not link: $!\n";
raises($superuser, $load, '58P01: could not stat file ".*/2_b.sql"', 'a link to nothing');
unlink("$directory/2_b.sql");

append_to_file("$directory/2_b.sql", "SELECT 2;\n");
chmod(0, "$directory/2_b.sql");
raises($superuser, $load, '42501: could not open file ".*/2_b.sql"', 'a file that may not be read');
chmod(0600, "$directory/2_b.sql");

# a hole, which takes no room
truncate("$directory/2_b.sql", 2**30) or die "could not extend a file: $!\n";
raises($superuser, $load, '54000: file ".*/2_b.sql" is too large', 'a file of a gigabyte');
truncate("$directory/2_b.sql", 10);

is(query($node, $db, $superuser, "SELECT string_agg(result, ',') FROM migrate.load_directory('$directory', project => 'files')"),
	'added,added', 'the directory can be loaded when they are in order');

$node->stop;
done_testing();
