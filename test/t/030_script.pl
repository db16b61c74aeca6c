# What script() writes is read by psql, on the machine of whoever runs it: no
# text in it may be more than a literal there, whatever the settings of psql and
# of the server, and what is stored from it must be the same bytes.
#
# Needs psql as the victim, servers' settings and databases of several encodings.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Rights;
use Test::More;

start_server();

my $work = PostgreSQL::Test::Utils::tempdir;
my $mark = "$work/mark";
my $file = "$work/script.sql";

# A database of this encoding with the extension, and a policy that lets its
# owner apply whatever comes.
sub made
{
	my ($name, $encoding) = @_;

	$node->safe_psql('postgres',
		"CREATE DATABASE $name TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C' OWNER owner");
	allowed('owner', $name, 'CREATE EXTENSION migrate');
	return $name;
}

# Write the script of a project into the file, and check what it is made of.
sub written
{
	my ($db, $name, @versions) = @_;
	my $versions = join('', map { "'$_', " } @versions);
	my $script = allowed('owner', $db, "SELECT migrate.script(${versions}project => 'p')");

	unlink $file;
	append_to_file($file, "$script\n");
	unlike($script, qr/[^\n\x20-\x7e]/, "$name: printable ASCII");
	(my $rest = $script) =~ s/E'(?:[^'\\]|\\[nx]|\n|'\n +')*'/LITERAL/g;
	$rest =~ s/^--.*$//mg;
	$rest =~ s/^\\set ON_ERROR_STOP on$//m;
	$rest =~ s/\]::pg_catalog\.text\[\]//g;
	unlike($rest, qr/[\\\$':"]/,
		"$name: nothing else has a quote, a backslash, a dollar or a colon");
	return;
}

# Have psql run the file as a role.
sub psql
{
	my ($role, $db, @options) = @_;

	unlink $mark;
	my $result = IPC::Run::run(
		[
			$node->installed_command('psql'), '-Xq', '-U', $role, '-d',
			$node->connstr($db), @options, '-f', $file
		],
		'<', \undef, '>', \my $out, '2>', \my $err);
	return ($result, $err);
}

# everything of the books that load() and apply() fill, but for whose and when
my $books = q{concat(
	(SELECT string_agg(concat_ws('|', version, name, kind, encode(convert_to(up, 'SQL_ASCII'), 'hex'),
		md5(down), md5(verify), requires, transactional, irreversible, path, down_path, verify_path,
		up_line, down_line, verify_line, source, checksum, down_checksum), E'\n' ORDER BY version COLLATE "C")
	 FROM migrate.migration WHERE project = 'p'), E'\n',
	(SELECT string_agg(concat_ws('|', version, name, checksum, down_checksum, origin), E'\n' ORDER BY version COLLATE "C")
	 FROM migrate.applied WHERE project = 'p'))};

# ---------------------------------------------------------------------------
# Hostile texts
# ---------------------------------------------------------------------------

my $breakout = "SELECT 'a\\', '\n; \\! touch $mark # ', 'b'";
my @bodies = (
	"SET client_encoding = 'SQL_ASCII';\n$breakout",
	"CREATE TABLE t (a text DEFAULT '\\! touch $mark'); COMMENT ON TABLE t IS \$\$\n\\! touch $mark\n\$\$",
	"SELECT 1; /* '\r\n\\! touch $mark\r\n*/\r\n",
	"SELECT 2 /* ' \" \$a\$ ; \\! touch $mark */",
	"SELECT \$mig\$ \$mig1\$ \$mig\$, ':USER', ':''USER'''",
	"SELECT E'\\\\', '\\', U&'\\00e9'; \t",
	"SELECT 'é ü €', '\x01\x7f'",
	'');
my $source = made('source', 'UTF8');
foreach my $i (0 .. $#bodies)
{
	my $body = "\$body\$$bodies[$i]\$body\$";

	allowed('owner', $source,
		"SELECT migrate.add('b$i', $body, $body, verify => 'SELECT ''\\''', name => E'\\\\! touch $mark ''', project => 'p')");
}
allowed('owner', $source, <<"END");
SELECT migrate.add(E'v''\\\\"\$a\$ :x', 'SELECT 1', 'SELECT 2', kind => 'repeatable', name => 'é', project => 'p');
SELECT migrate.add('x2', 'SELECT 1', irreversible => true, transactional => true, requires => ARRAY['b7', E'v''\\\\"\$a\$ :x'], project => 'p');
END
written($source, 'hostile texts');
allowed('owner', $source, "SELECT migrate.apply(project => 'p')");
my $expected = value($source, $books);
my $number = 0;
foreach my $settings (
	'',
	'-c standard_conforming_strings=off',
	'-c standard_conforming_strings=off -c backslash_quote=off',
	'-c client_encoding=LATIN1',
	'-c client_encoding=SQL_ASCII -c escape_string_warning=on',
	'-c client_encoding=SJIS')
{
	my $target = made('target' . ++$number, 'UTF8');
	my ($result, $err);
	{
		local $ENV{PGOPTIONS} = $settings;
		($result, $err) = psql('owner', $target, '-v', 'USER=x', '-v', 'x=y');
	}
	ok($result, "$settings: the script runs") or diag($err);
	ok(!-e $mark, "$settings: no command of psql's was run");
	is(value($target, $books), $expected, "$settings: the books are the same");
}
is(value('target1', "string_agg(DISTINCT applied_by || up_author, ' ') FROM migrate.applied JOIN migrate.migration USING (project, version) WHERE project = 'p'"),
	'ownerowner', 'who ran it is who ran it');

# What turns the syntax of literals around is refused where it runs, and psql has
# not read it by then.
foreach my $change (
	"SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false);",
	"DO \$d\$ BEGIN EXECUTE 'SET standard_conforming_strings = off'; END \$d\$;")
{
	my $db = made('turned' . ++$number, 'UTF8');
	allowed('owner', $db,
		"SELECT migrate.add('1', \$body\$$change\n$breakout\$body\$, project => 'p')");
	written($db, $change);
	my ($result, $err) = psql('owner', made('turned_to' . $number, 'UTF8'));
	ok(!$result && $err =~ /has turned standard_conforming_strings off/, "$change: is refused") or diag($err);
	ok(!-e $mark, "$change: no command of psql's was run");
}

# Bytes of a database of another encoding, or of none
foreach my $encoding ('LATIN1', 'SQL_ASCII')
{
	my $db = made(lc "from_$encoding", $encoding);
	allowed('owner', $db,
		"SET client_encoding = '$encoding';\nSELECT migrate.add('1', E'SELECT ''\\xe9\\xfc''', E'SELECT ''\\xe9''', name => E'\\xe9', project => 'p');");
	written($db, $encoding);
	allowed('owner', $db, "SELECT migrate.apply(project => 'p')");
	my $target = made(lc "to_$encoding", $encoding);
	my ($result, $err) = psql('owner', $target);
	ok($result, "$encoding: the script runs") or diag($err);
	is(value($target, $books), value($db, $books), "$encoding: the books are the same");
	($result, $err) = psql('owner', made(lc "wrong_$encoding", 'UTF8'));
	ok(!$result && $err =~ /invalid byte sequence/, "$encoding: no other characters in a database of UTF8");
}

# ---------------------------------------------------------------------------
# Files, both modes, both directions
# ---------------------------------------------------------------------------

my $files = q{'{"001_users.sql": "-- migrate:up\nCREATE TABLE users (id int);\n-- migrate:down\nDROP TABLE users;\n-- migrate:verify\nSELECT true;\n",
	"002_index.sql": "-- a comment\n\n-- migrate:up\nCREATE INDEX CONCURRENTLY users_id ON users (id);\n-- migrate:down\nDROP INDEX CONCURRENTLY users_id;\n"}'};
my $golang = q{'{"1_x.up.sql": "SELECT 1", "1_x.down.sql": "DROP IF", "2_y.up.sql": "SELECT 2", "2_y.down.sql": "SELECT 3"}'};
foreach my $case ([ 'own files', $files, '001' ], [ 'files of another tool', $golang, '1' ])
{
	my ($name, $set, $first) = @$case;
	my $load = "SELECT DISTINCT result FROM migrate.load($set, project => 'p')";
	my $db = made('files' . ++$number, 'UTF8');
	my $target = made('files_to' . $number, 'UTF8');

	allowed('owner', $db, "$load; CALL migrate.apply_each(project => 'p')");
	written($db, $name);
	my ($result, $err) = psql('owner', $target);
	ok($result, "$name: the script runs") or diag($err);
	is(value($target, $books), value($db, $books), "$name: the books are the same");
	is(allowed('owner', $target, $load), 'unchanged', "$name: the next load changes nothing");
	($result, $err) = psql('owner', $target);
	ok($result, "$name: once more") or diag($err);
	is(value($target, $books), value($db, $books), "$name: which changes nothing");

	written($db, "$name, back", 'head', $first);
	($result, $err) = psql('owner', $target);
	ok($result, "$name: the script back runs") or diag($err);
	is(value($target, "string_agg(version, ' ') FROM migrate.applied WHERE project = 'p'"),
		$first, "$name: and goes back");
}

# ---------------------------------------------------------------------------
# A value of an enum that later migrations use, however it is added
# ---------------------------------------------------------------------------

my $mood = q{SELECT migrate.add('1', $$CREATE TYPE mood AS ENUM ('sad')$$, 'DROP TYPE mood', project => 'p');
	SELECT migrate.add('3', $$CREATE TABLE moods (m mood DEFAULT 'glad'); INSERT INTO moods DEFAULT VALUES$$,
		'DROP TABLE moods', project => 'p');
	SELECT migrate.add('2', $up$%s$up$, 'SELECT 1', project => 'p')};
my $glad = "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'glad'";
foreach my $case (
	[ 'a statement', $glad ],
	[ 'a DO block', "DO \$do\$ BEGIN EXECUTE '" . ($glad =~ s/'/''/gr) . "'; END \$do\$" ],
	[ 'a function', "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS \$f\$ BEGIN $glad; END \$f\$; SELECT f()" ])
{
	my ($name, $up) = @$case;
	my $db = made('enum' . ++$number, 'UTF8');
	my $target = made('enum_to' . $number, 'UTF8');

	allowed('owner', $db, sprintf($mood, $up));
	written($db, "an enum value in $name");
	my ($result, $err) = psql('owner', $target);
	ok($result, "an enum value in $name: the script runs in an empty database") or diag($err);
	is(value($target, q{concat(enum_range(NULL::mood), ' ',
			(SELECT string_agg(state, ' ') FROM migrate.status('p')))}),
		'{sad,glad}' . ' applied' x 3, "an enum value in $name: all of it is applied");
	($result, $err) = psql('owner', $target);
	ok($result, "an enum value in $name: once more") or diag($err);
}

stop_server();
done_testing();
