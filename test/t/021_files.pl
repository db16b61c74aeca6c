# Directories as people have them: files of other tools are refused by the tool's
# name, strays by theirs, and edits of comments alone are taken, whoever makes
# them and however they get into the table.
#
# Needs directories of the server, the client, roles, and sessions side by side.

use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $client = "$FindBin::RealBin/../../bin/pg_migrate";
my $work = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'files';

$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
owner_database($node, $db);
query($node, $db, $superuser,
	q{SELECT migrate.grant('write', 'deployer'); SELECT migrate.grant('run', 'deployer'); GRANT CREATE ON SCHEMA public TO deployer});
$ENV{PATH} = $node->config_data('--bindir') . ":$ENV{PATH}";

# A new directory with these files; returns its path.
my $directories = 0;

sub directory
{
	my (%files) = @_;
	my $dir = "$work/" . ++$directories;

	foreach my $path (keys %files)
	{
		my ($above) = "$dir/$path" =~ m{^(.*)/};
		make_path($above);
		append_to_file("$dir/$path", $files{$path});
	}
	return $dir;
}

# Run the client; returns its exit status, output and messages.
sub client
{
	my (@args) = @_;
	my ($out, $err);
	my $ok = IPC::Run::run([ $client, @args, '-h', $node->host,
			'-p', $node->port, '-U', 'deployer', '-d', $db ],
		'>', \$out, '2>', \$err);

	return ($ok ? 0 : $? >> 8, $out, $err);
}

sub load
{
	my ($dir, @options) = @_;
	return client('load', $dir, @options);
}

sub up
{
	my ($dir, @options) = @_;
	return client('up', '--dir', $dir, @options);
}

# pg_migrate new; returns its output and messages.
sub run_new
{
	my ($name, $dir) = @_;

	IPC::Run::run([ $client, 'new', $name, '--dir', $dir ], '>', \my $out, '2>', \my $err);
	return ($out, $err);
}

sub stored
{
	my ($project) = @_;
	return query($node, $db, $superuser,
		"SELECT string_agg(version || ' ' || path, ', ' ORDER BY version) FROM migrate.migration WHERE project = '$project'");
}

# ---------------------------------------------------------------------------
# What a directory may have in it
# ---------------------------------------------------------------------------

my $dir = directory('001_a.SQL' => 'SELECT 1;', '002_b.sql' => 'SELECT 2;', '002_b.Down.Sql' => 'SELECT 2;');
my ($status, $out, $err) = load($dir, '--project', 'case');
is($status, 0, 'upper case: loaded') or diag $err;
is(stored('case'), '001 001_a.SQL, 002 002_b.sql', '... all of it');
query($node, $db, $superuser, "SELECT migrate.load_directory('$dir', project => 'case2')");
is(stored('case2'), stored('case'), '... and by the server');

# A migration that is not SQL, or whose name ends wrongly, is not left out in silence.
my %strange = map { $_ => 'DROP TABLE a;' } '002_b.psql', '003_b.go', 'V4__b.java', '005_c.sql.txt', '006_c.sql ', '007_c',
  'later/008_d.ddl', 'abd2_x.py', 'm20240101_x.rs', 'Version20240101.php';
$dir = directory('001_a.sql' => 'CREATE TABLE IF NOT EXISTS a ();', 'embed.go' => '', 'Makefile' => '', 'docs/2_x.md' => '',
	'meta/0000_snapshot.json' => '{}', '001_a.sql~' => '', '001_a.sql.orig' => '', '2024-notes.txt' => '', %strange);
($status, $out, $err) = up($dir, '--project', 'strange');
is($status, 3, 'files that are not SQL: refused');
like($err, qr/\b10 files cannot be loaded/, '... those with the names of migrations');
like($err, qr/file "\Q$_\E" does not fit convention "native"/, "... naming '$_'") foreach sort keys %strange;
is(stored('strange'), '', '... and nothing is stored');
like((run_sql($node, $db, $superuser, "SELECT migrate.load_directory('$dir', project => 'strange')"))[2],
	qr/10 files cannot be loaded/, '... by the server neither');
($status, $out, $err) = load($dir, '--project', 'strange', map { ('--ignore', $_) } keys %strange);
is($status, 0, '... unless they are ignored') or diag $err;
like($out, qr/loaded 1 file: 1 added/, '... and they are not counted');
like("$out$err", qr/5 files are not part of convention "native".*001_a\.sql\.orig.*docs\/2_x\.md.*snapshot/s, '... a text is named');
$dir = directory('0_a/migration.sql' => 'SELECT 1;', '1_b/migration.ts' => 'x');
($status, $out, $err) = load($dir, '--project', 'prisma');
like("$out$err", qr/1 file is not part of convention "prisma".*1_b\/migration\.ts/s, 'files of a tool with places: named');
like((run_new('x', directory('00001_a.sql' => "-- +goose Up\n", '00002_b.go' => '')))[0], qr/\/00003_x\.sql$/,
	'new does not take the number of such a file');

# What "new" has written is not applied before somebody has filled it in.
$dir = directory();
make_path($dir);
my ($new_file) = run_new('x', $dir);
chomp $new_file;
($status, $out, $err) = up($dir, '--project', 'new', '--one-transaction');
is($status, 1, 'new and up: refused');
like($err, qr/"new" has written "001_x\.sql" and nobody has filled it in/, '... naming the file');
is(stored('new'), '', '... and it is not stored');
is((up($dir, '--project', 'new'))[0], 1, '... nor each in its own transaction');
is((load($dir, '--project', 'new'))[0], 0, '... but it may be loaded');
is((up($dir, '--project', 'new', '--one-transaction'))[0], 1, '... and still not be applied');
append_to_file("$dir/002_y.sql", '-- migrate:up');
my $text = slurp_file($new_file);
$text =~ s/^-- migrate:up\n/$&SELECT 1;/m;
unlink($new_file);
append_to_file($new_file, $text);
($status, $out, $err) = up($dir, '--project', 'new', '--one-transaction');
is($status, 0, 'filled in, it is applied') or diag $err;
like($err, qr/WARNING:  the up body of 1 migration is empty.*002/s, '... and what somebody has written so, with a WARNING');

# Nor what has a remark alone, or statements in the wrong place, or is of another form.
my ($head) = $text =~ /^(.*)/;
my %unfilled = (
	'a remark' => { '001_x.sql' => "$head\n-- adds x, see #77\n-- migrate:up\n\n\n-- migrate:down\n\n" },
	'below down' => { '001_x.sql' => "$head\n-- migrate:up\n\n\n-- migrate:down\n\nSELECT 1;\n" },
	'goose' => { '00001_x.sql' => "-- +goose Up\n\n\n-- +goose Down\n\n" },
	'pair' => { '001_x.up.sql' => "\n", '001_x.down.sql' => "\n" });
foreach my $name (sort keys %unfilled)
{
	($status, $out, $err) = up(directory(%{ $unfilled{$name} }), '--project', "unfilled $name", '--one-transaction');
	is($status, 1, "not filled in: $name") or diag $err;
	is(stored("unfilled $name"), '', '... and it is not stored');
}

# "new" writes no file that the directory's tool, and its convention, do not read.
my %of_tools = (
	'yoyo' => { '1.a.sql' => 'SELECT 1;', '1.a.rollback.sql' => 'SELECT 1;' },
	'postgrator' => { '001.do.a.sql' => 'SELECT 1;' },
	'db-migrate' => { '20240101-a-up.sql' => 'SELECT 1;', '20240101-a-down.sql' => 'SELECT 1;' },
	'micrate' => { '1_a.sql' => "-- +micrate Up\nSELECT 1;\n" },
	'sql-migrate' => { '1_a.sql' => "-- +migrate Up\nSELECT 1;\n" },
	'rambler' => { '1_a.sql' => "-- rambler up\nSELECT 1;\n" },
	'play' => { '1.sql' => "# --- !Ups\nSELECT 1;\n" },
	'mybatis' => { '1_a.sql' => "-- // a\nSELECT 1;\n-- //\@UNDO\nSELECT 2;\n" },
	'tern' => { '001_a.sql' => "SELECT 1;\n---- create above / drop below ----\nSELECT 2;\n" },
	'node-pg-migrate' => { '1_a.sql' => "-- Up Migration\nSELECT 1;\n" });
foreach my $name (sort keys %of_tools)
{
	is((run_new('b', directory(%{ $of_tools{$name} })))[0], '', "new: no file for $name");
}

$dir = directory('001_a.sql' => 'CREATE TABLE IF NOT EXISTS a ();', 'seed.sql' => 'DROP TABLE a;',
	'test/cleanup.sql' => 'DROP TABLE a;', 'test/002_x.sql' => 'DROP TABLE a;');
($status, $out, $err) = up($dir, '--project', 'strays', '--one-transaction');
is($status, 3, 'strays: refused');
like($err, qr/\Q$_\E/, "... naming $_") foreach 'seed.sql', 'test/cleanup.sql', 'test/002_x.sql';
is(stored('strays'), '', '... and nothing is stored');
($status, $out, $err) = up($dir, '--project', 'strays', '--ignore', 'seed.sql', '--ignore=test/*', '--one-transaction');
is($status, 0, '... unless they are ignored') or diag $err;
is(stored('strays'), '001 001_a.sql', '... one by one');
($status, $out, $err) = up($dir, '--project', 'strays2', '--partial', '--partial', '--one-transaction');
is($status, 4, '... or refused alone, which is told by the status') or diag $err;
like($err, qr/WARNING:  file "\Q$_\E" .* is left out/, "... naming $_")
  foreach 'seed.sql', 'test/cleanup.sql', 'test/002_x.sql';
is(stored('strays2'), '001 001_a.sql', '... and the rest is stored');
$dir = directory('2023/001_a.sql' => 'SELECT 1;', '2024/002_b.sql' => 'SELECT 2;');
($status) = load($dir, '--project', 'sub', '--subdirectories');
is($status, 0, 'sub-directories, if they are said to be meant');

# The way back is never run after the way forth, whatever the convention.
my %tools = (
	'sql-migrate' => { '001_a.sql' => "-- +migrate Up\nCREATE TABLE gone ();\n-- +migrate Down\nDROP TABLE gone;\n" },
	'tern' => { '001_a.sql' => "CREATE TABLE gone ();\n---- create above / drop below ----\nDROP TABLE gone;\n" },
	'node-pg-migrate' => { '001_a.sql' => "-- Up Migration\nCREATE TABLE gone ();\n\n-- Down Migration\nDROP TABLE gone;\n" },
	'Postgrator' => { '001.do.a.sql' => 'CREATE TABLE gone ();', '001.undo.a.sql' => 'DROP TABLE gone;' },
	'yoyo' => { '0001_a.sql' => 'CREATE TABLE gone ();', '0001_a.rollback.sql' => 'DROP TABLE gone;' },
	'db-migrate' => { '20240101-a-up.sql' => 'CREATE TABLE gone ();', '20240101-a-down.sql' => 'DROP TABLE gone;' },
	'MyBatis Migrations' => { '001_a.sql' => "-- // a\nCREATE TABLE gone ();\n\n-- //\@UNDO\nDROP TABLE gone;\n" },
	'rambler' => { '001_a.sql' => "-- rambler up\nCREATE TABLE gone ();\n-- rambler down\nDROP TABLE gone;\n" },
	'micrate' => { '001_a.sql' => "-- +micrate Up\nCREATE TABLE gone ();\n-- +micrate Down\nDROP TABLE gone;\n" },
	'Play' => { '1.sql' => "# --- !Ups\nCREATE TABLE gone ();\n# --- !Downs\nDROP TABLE gone;\n" },
	'Liquibase' => { '001_a.sql' => "--liquibase formatted sql\n--changeset a:1\nCREATE TABLE gone ();\n--rollback DROP TABLE gone;\n" },
);
foreach my $tool (sort keys %tools)
{
	my $files = directory(%{ $tools{$tool} });
	my @accepted = grep {
		my ($state, undef, $message) = load($files, '--project', 'tools', '--convention', $_);
		$state != 3 || $message !~ /\Q$tool\E/;
	} qw(native plain name golang-migrate sqlx goose flyway);
	is("@accepted", '', "$tool: refused by name in every convention but its own");
}
is(stored('tools'), '', 'nothing of these was stored');

# ---------------------------------------------------------------------------
# Edits of comments: by load(), add() and UPDATE, up and down, with the rights of
# whoever stores migrations
# ---------------------------------------------------------------------------

sub edited
{
	my ($up, $down) = @_;
	return directory('001_a.sql' => "-- migrate:up\n$up\n-- migrate:down\n$down\n");
}

up(edited('CREATE TABLE edits (a int);', 'DROP TABLE edits;'), '--project', 'edits', '--one-transaction');
($status, $out, $err) = up(edited("-- (c)\nCREATE TABLE edits\n\t(a int);", '/* back */ DROP TABLE edits;'),
	'--project', 'edits', '--one-transaction');
is($status, 0, 'comments: loaded') or diag $err;
like($out, qr/the text of 1 applied migration has new comments or blanks/, '... with a notice');
like($out, qr/^amended +001 /m, '... and says so');
# nobody may do that unless a superuser says so
query($node, $db, $superuser, 'GRANT SELECT, UPDATE ON migrate.migration TO app');
query($node, $db, 'app',
	q{UPDATE migrate.migration SET down = down || '-- more' WHERE project = 'edits'});
query($node, $db, 'deployer',
	q{SELECT migrate.add('001', 'CREATE TABLE edits(a int);', 'DROP TABLE edits;', project => 'edits')});
is( query($node, $db, $superuser,
		q{SELECT string_agg(concat_ws(' ', seq, version, body, role, outcome), ', ' ORDER BY run, seq) FROM migrate.journal WHERE project = 'edits' AND action = 'amend'}),
	'1 001 up deployer success, 2 001 down deployer success, 1 001 down app success, 1 001 up deployer success, 2 001 down deployer success',
	'each is in the journal, with who did it');
is( query($node, $db, $superuser,
		q{SELECT count(b.text), count(*) FROM migrate.journal j LEFT JOIN migrate.executed_text b ON b.body_hash = j.body_hash WHERE project = 'edits' AND action = 'amend'}),
	'5|5', 'and the old texts are kept');
query($node, $db, 'deployer', q{SELECT migrate.check(project => 'edits')});

# what it does is not changed under that name
($status, $out, $err) = load(edited('CREATE TABLE edits (a int8);', 'DROP TABLE edits;'), '--project', 'edits');
is($status, 3, 'another statement: refused');
like($err, qr/MG002|has another text or kind/, '... as a changed text');
($status, $out, $err) = load(edited('CREATE TABLE edits (a int8);', 'DROP TABLE edits;'), '--project', 'edits', '--accept');
is($status, 3, '... and not accepted either from who may not amend');
like($err, qr/permission denied to accept new texts of applied migrations/, '... which is said');
query($node, $db, 'app', q{SELECT migrate.grant('repair', 'deployer')});
($status, $out, $err) = load(edited('CREATE TABLE edits (a int8);', 'DROP TABLE edits;'), '--project', 'edits', '--accept');
is($status, 0, '... unless it is accepted') or diag $err;
like($out, qr/^amended +001 /m, '... by that word');

# the new down is what a roll-back runs, in both modes
query($node, $db, 'deployer', q{SELECT migrate.rollback(project => 'edits')});
is(query($node, $db, $superuser, q{SELECT to_regclass('public.edits')}), '', 'rolled back');
query($node, $db, 'deployer', q{CALL migrate.apply_each(project => 'edits')});
($status, $out, $err) = up(edited("CREATE TABLE edits (a int8)\n;", 'DROP TABLE edits; -- each'), '--project', 'edits');
is($status, 0, 'comments after apply_each()') or diag $err;
query($node, $db, 'deployer', q{CALL migrate.rollback_each(project => 'edits')});
is(query($node, $db, $superuser, q{SELECT to_regclass('public.edits')}), '', 'rolled back again');

# two sessions that load the same edit: one takes it, the other has nothing to do
query($node, $db, 'deployer', q{SELECT migrate.apply(project => 'edits')});
my $edit = q{SELECT string_agg(result, ' ') FROM migrate.load('{"001_a.sql": "-- migrate:up\n/* both */ CREATE TABLE edits (a int8);\n-- migrate:down\nDROP TABLE edits;\n"}', project => 'edits');};
my @runs = run_parallel($node, $db, 'deployer', $edit, $edit);
is(join(' ', map { $_->{status} } @runs), '0 0', 'two at once succeed');
is(join(' ', sort map { $_->{out} =~ /(\w+)\s*$/ } @runs), 'amended unchanged', '... and one of them takes the edit');

$node->stop;
done_testing();
