# bin/migrate-load: every byte of a file arrives, exactly the directory's
# versions are applied, every usual way to connect works, and what a pipeline
# sees (exit status, messages, what is left behind) is right.
#
# Needs a server of its own: it is stopped, started and asked for passwords.
#
# Packages: bash busybox

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Encode qw(encode_utf8);
use File::Path qw(make_path remove_tree);
use FindBin;
use IPC::Run;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $loader = "$FindBin::RealBin/../../bin/migrate-load";
my $work = PostgreSQL::Test::Utils::tempdir();
my $superuser = getpwuid($<);
my $left = "$work/left behind";
make_path($left);

# ---------------------------------------------------------------------------
# Shells: each with the tools of the system, busybox with its own tools only
# ---------------------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('main');
my $bindir = $node->config_data('--bindir');
my $system_path = "$bindir:$ENV{PATH}";

# Where a program is; a missing one must not pass as a test that was skipped.
sub program
{
	my ($name) = @_;
	foreach my $dir (split /:/, $system_path)
	{
		return "$dir/$name" if -x "$dir/$name" && !-d _;
	}
	BAIL_OUT("$name is not installed");
}

my $busybox = program('busybox');
my $applets = "$work/applets";
make_path($applets);
foreach my $applet (split /\n/, `$busybox --list`)
{
	symlink($busybox, "$applets/$applet") or die "$applet: $!";
}
symlink("$bindir/psql", "$applets/psql") or die $!;
make_path("$work/isready");
symlink("$bindir/pg_isready", "$work/isready/pg_isready") or die $!;

my %shells = (
	dash => { command => [ program('dash') ], path => $system_path },
	bash => { command => [ program('bash') ], path => $system_path },
	busybox => {
		command => [ $busybox, 'sh' ],
		path => "$applets:$work/isready"
	});
my $shell = $shells{dash};

# ---------------------------------------------------------------------------
# Helpers
# ---------------------------------------------------------------------------

# Start the loader, without a terminal as in a pipeline.  Options: stdin, path.
sub start_load
{
	my ($args, %opt) = @_;
	my $h = { stdin => $opt{stdin} // '', out => '', err => '' };
	local $ENV{PATH} = $opt{path} // $shell->{path};
	local $ENV{TMPDIR} = $left;
	$h->{started} = time;
	$h->{run} = IPC::Run::start([ @{ $shell->{command} }, $loader, @$args ],
		'<', \$h->{stdin}, '>', \$h->{out}, '2>', \$h->{err},
		init => sub { POSIX::setsid() },
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return $h;
}

# Its exit status, output and messages, and the seconds that it took.
sub finish_load
{
	my ($h) = @_;
	$h->{run}->finish;
	my $status = $h->{run}->full_result(0);
	return ($status >> 8, $h->{out}, $h->{err}, time - $h->{started});
}

sub load
{
	my ($args, %opt) = @_;
	return finish_load(start_load($args, %opt));
}

# A directory with these files, given as path => content.
sub directory
{
	my ($name, %files) = @_;
	my $dir = "$work/$name";
	remove_tree($dir);
	make_path($dir);
	while (my ($path, $content) = each %files)
	{
		my ($parent) = "$dir/$path" =~ m{^(.*)/};
		make_path($parent);
		open my $fh, '>:raw', "$dir/$path" or die "$path: $!";
		print $fh $content;
		close $fh or die "$path: $!";
	}
	return $dir;
}

sub wait_until
{
	my ($what, $condition) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;
	until ($condition->())
	{
		die "timed out waiting until $what" if time > $end;
		usleep(20_000);
	}
}

sub query
{
	my ($db, $sql) = @_;
	local @ENV{qw(PGUSER PGCLIENTENCODING)} = ($superuser, 'UTF8');
	return $node->safe_psql($db, $sql);
}

# A database with the extension, owned by a role without further rights.
sub database
{
	my ($db, $options) = @_;
	$options //= '';
	query('postgres', "CREATE DATABASE $db OWNER app $options");
	local $ENV{PGUSER} = 'app';
	$node->safe_psql($db, 'CREATE EXTENSION migrate');
}

# What is stored, as "version path sha256" lines.
sub stored
{
	my ($db, $project) = @_;
	return query($db, qq{
		SELECT string_agg(format('%s %s %s', version, path,
			encode(sha256(convert_to(up, 'UTF8')), 'hex')), E'\\n' ORDER BY path COLLATE "C")
		FROM migrate.migration WHERE project = '$project'});
}

# The same of files in the form of directory(), by version.
sub expected
{
	my (%files) = @_;
	return join "\n", map {
		my ($version) = m{([0-9]+)_[^/]*$};
		"$version $_ " . sha256_hex($files{$_})
	} sort keys %files;
}

sub applied
{
	my ($db) = @_;
	return query($db,
		q{SELECT string_agg(version, ' ' ORDER BY version) FROM migrate.applied});
}

$node->init(allows_streaming => 0);
my $hba = $node->data_dir . '/pg_hba.conf';
my $hba_lines = slurp_file($hba);
unlink $hba or die $!;
append_to_file($hba, "local all secret scram-sha-256\n$hba_lines");
$node->start;
query('postgres', q{CREATE ROLE app LOGIN;
	CREATE ROLE secret LOGIN SUPERUSER PASSWORD 'pass word''s @secret'});

delete @ENV{qw(PGPASSWORD PGSERVICE PGCLIENTENCODING PGAPPNAME PGOPTIONS)};
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'postgres';
$ENV{PGUSER} = 'app';

my ($status, $out, $err, $seconds);

# ---------------------------------------------------------------------------
# In each shell: load, apply, bytes
# ---------------------------------------------------------------------------

my $hostile = join '', '$x$', "it's \"quoted\" \\ \\\\ \\n \\. :name :'name' ",
  "%s \$do\$ `id` \${HOME}\n\\.\n\\q\n-- migrated:up\n\ttab\r\n",
  encode_utf8("\x{e4}\x{20ac}\x{1f600} \x{feff}end"), '$x$';
my %files = (
	'0001_first.sql' => "CREATE TABLE texts (id int, t text);\n",
	encode_utf8("sub dir/0002_it's \"q\" \\back\\t %s \x{e4}\x{1f600}.sql") =>
	  "INSERT INTO texts VALUES (2, $hostile);\r\nSELECT 1;\r\n",
	'sub dir/deep/0003_no line end.sql' => 'INSERT INTO texts VALUES (3, $$x$$)',
	'0004_empty.sql' => '',
	'0005_only_line_ends.sql' => "\n\n\r\n",
	" leading/0006_colon:'x'.sql" => "SELECT 1 -- \\");
my $long = "INSERT INTO texts VALUES (8, \$x\$"
  . encode_utf8("a\\\\b\t\x{20ac}\r\n'\"") x 1_500_000
  . "\$x\$);\n";
my $one_line = "INSERT INTO texts VALUES (9, '" . "x\\y\t\"\\." x 2_400_000 . "')";
cmp_ok(length($_), '>', 16 * 1024 * 1024, 'a body of more than 16 MB')
  foreach ($long, $one_line);

foreach my $name (sort keys %shells)
{
	$shell = $shells{$name};
	my $db = "shell_$name";
	database($db);
	local $ENV{PGDATABASE} = $db;
	my $dir = directory("files_$name", %files,
		'README' => 'not sent', '.git/0007_hidden.sql' => 'not SQL',
		'.0007_hidden.sql' => 'not SQL', 'notes.md' => 'not sent');

	($status, $out, $err) = load([ $dir, '--subdirectories' ]);
	is($status, 0, "$name: a directory is loaded") or diag $err;
	like($err, qr/\AWARNING:  the up bodies of 2 migrations are empty\nDETAIL:[^\n]*\nHINT:[^\n]*\n\z/,
		"$name: with no message but of those that are empty");
	like($out, qr/^loaded 6 files: 6 added$/m, "$name: and a summary");
	is(stored($db, 'default'), expected(%files), "$name: every byte arrives");
	is(applied($db), '', "$name: and nothing is applied");

	# A pending migration of somebody else is none of this directory's
	query($db, q{SELECT migrate.add('0000', 'SELECT 1'), migrate.add('0009', 'SELECT 1')});
	my $note = "it's \\ \"n\" :'x' \$(id) " . encode_utf8("\x{e4}");
	($status, $out, $err) = load([ $dir, '--subdirectories', '--apply', '--note', $note ]);
	is($status, 0, "$name: the directory is applied") or diag $err;
	like($out, qr/^loaded 6 files: 6 unchanged, 2 absent$/m,
		"$name: what is stored already is unchanged");
	unlike($out, qr/\| unchanged/m, "$name: and not listed");
	like($out, qr/^ 0009 +\| absent /m, "$name: the others are listed as absent");
	is(applied($db), '0001 0002 0003 0004 0005 0006',
		"$name: exactly the versions of the directory are applied");
	like($out, qr/\| 0001 +\| first +\| apply/, "$name: and listed");
	is(query($db, q{SELECT encode(convert_to(t, 'UTF8'), 'hex') FROM texts WHERE id = 2}),
		unpack('H*', $hostile =~ s/^\$x\$|\$x\$$//gr),
		"$name: a literal of a body is as it was written");
	is(query($db, q{SELECT DISTINCT encode(convert_to(note, 'UTF8'), 'hex')
		FROM migrate.journal WHERE action = 'apply'}),
		unpack('H*', $note), "$name: the note is in the journal");

	# An error in the server
	directory("files_$name", %files, '0007_fails.sql' => "SELECT 1;\nSELECT 1/0;\n");
	($status, $out, $err) = load([ $dir, '--subdirectories', '--apply' ]);
	is($status, 3, "$name: a failing migration gives status 3");
	like($err, qr/ERROR:  division by zero/, "$name: and the server's message");
	is(query($db, q{SELECT count(*) FROM migrate.migration WHERE version = '0007'}),
		1, "$name: it is loaded");
	unlike(applied($db), qr/0007/, "$name: and not applied");
	append_to_file("$work/psqlrc", "\\set ON_ERROR_STOP off\n\\echo psqlrc was read\n")
	  unless -f "$work/psqlrc";
	local $ENV{PSQLRC} = "$work/psqlrc";
	($status, $out, $err) = load([ $dir, '--subdirectories', '--apply', '-v', 'ON_ERROR_STOP=0',
		'--set', 'AUTOCOMMIT=off', '-vFETCH_COUNT=1' ]);
	is($status, 3, "$name: also with other settings of psql");
	unlike($out, qr/psqlrc/, "$name: and a start-up file");

	# --prune
	directory("files_$name", %files);
	($status, $out, $err) = load([ $dir, '--subdirectories', '--prune', '--apply' ]);
	is($status, 0, "$name: --prune works together with --apply") or diag $err;
	like($out, qr/^loaded 6 files: 6 unchanged, 3 pruned$/m,
		"$name: --prune deletes what is pending and not among the files");

	# Big bodies
	my %big = ('0008_long.sql' => $long, '0009_one_line.sql' => $one_line);
	$dir = directory("big_$name", %big);
	($status, $out, $err) = load([ $dir, '--apply', '--project', 'big' ]);
	is($status, 0, "$name: bodies of 16 MB are loaded and applied") or diag $err;
	is(stored($db, 'big'), expected(%big), "$name: every byte of them arrives");
	is(query($db, 'SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM texts
		WHERE octet_length(t) > 16000000'),
		'8 9', "$name: and in the tables");

	# A stream
	my $stream = '';
	foreach my $path (sort { length $files{$a} <=> length $files{$b} } keys %files)
	{
		next if $path =~ /no line end|colon/;
		$stream .= "-- migrate:file ./$path\n$files{$path}";
	}
	$stream .= "-- migrate:file sub dir/deep/0003_no line end.sql\r\n"
	  . $files{'sub dir/deep/0003_no line end.sql'};
	my %streamed = %files;
	delete $streamed{" leading/0006_colon:'x'.sql"};
	($status, $out, $err) =
	  load([ '-', '--subdirectories', '--project', 'stream' ], stdin => $stream);
	is($status, 0, "$name: a stream is loaded") or diag $err;
	is(stored($db, 'stream'), expected(%streamed),
		"$name: every byte of a stream arrives");
	($status, $out, $err) = load([ '-', '--apply', '--project', 'long' ],
		stdin => "-- migrate:file 0008_long.sql\n"
		  . $long =~ s/\(8,/(108,/r
		  . "-- migrate:file 0009_one_line.sql\n"
		  . $one_line =~ s/\(9,/(109,/r);
	is($status, 0, "$name: a stream of 32 MB is applied") or diag $err;
	is(query($db, 'SELECT a.t = b.t FROM texts a, texts b
		WHERE a.id = 8 AND b.id = 108'), 't', "$name: as it was");
	foreach (
		[ "SELECT 1;\n", qr/line 1: the stream does not begin with/ ],
		[ "-- migrate:file 01_a.sql\nSELECT 1-- migrate:file 02_b.sql\n",
			qr/line 2: .* end without a line break/ ],
		[ "-- migrate:file  \n", qr/line 1: .* without a path/ ],
		[ "-- migrate:file 01_a.sql\n-- migrate:file ./01_a.sql\n",
			qr/line 2: file "01_a.sql" begins a second time/ ],
		[ '', qr/the standard input holds no files/ ])
	{
		my ($text, $message) = @$_;
		($status, $out, $err) = load(['-'], stdin => $text);
		is($status, 1, "$name: a wrong stream gives status 1");
		like($err, $message, "$name: and a message");
	}

	# Zero bytes and other encodings
	$dir = directory("latin_$name", '0001_good.sql' => '',
		'0002_bad.sql' => "SELECT 'caf\xe9';");
	($status, $out, $err) = load([ $dir, '--project', 'latin' ]);
	is($status, 3, "$name: a file that is not UTF-8 is refused");
	like($err, qr/file "0002_bad.sql" is not UTF-8/, "$name: and named");
	like($err, qr/^ERROR: .*\nDETAIL:  Line \d+: .*\nHINT:  Save the file in UTF-8 without zero bytes\.\n?\z/m,
		"$name: with its line, in one error");
	unlike($err, qr/CONTEXT|invalid.*\n.*ERROR/, "$name: and no word of how that was found out");
	directory("latin_$name", '0001_good.sql' => '', '0002_bad.sql' => "SELECT '\0';");
	($status, $out, $err) = load([ $dir, '--project', 'latin' ]);
	like($err, qr/file "0002_bad.sql" is not UTF-8/, "$name: so are zero bytes");
	is(stored($db, 'latin'), '', "$name: nothing of such a directory is stored");

	# Hints name the options of this command
	$dir = directory("options_$name", 'seed.sql' => 'SELECT 1');
	($status, $out, $err) = load([ $dir, '--project', 'options' ]);
	like($err, qr/HINT: .*pass --convention name .*leave it out with --ignore/, "$name: hints name options");
	unlike($err, qr/=>/, "$name: and no arguments");

	# --convention reaches the server
	$dir = directory("convention_$name", '0001_up.sql' => 'SELECT 1');
	($status, $out, $err) = load([ $dir, '--convention', "it's none",
		'--project', 'convention' ]);
	is($status, 3, "$name: an unknown convention is refused");
	like($err, qr/it's none/, "$name: and named");

	# Both ways of applying
	$dir = directory("each_$name",
		'0001_table.sql' => "CREATE TABLE each_$name (i int);",
		'0002_index.sql' => "CREATE INDEX CONCURRENTLY each_index_$name ON each_$name (i);");
	($status, $out, $err) =
	  load([ $dir, '--apply-each', '--note=n', "--project=each $name" ]);
	is($status, 0, "$name: --apply-each") or diag $err;
	is( query($db, "SELECT string_agg(concat_ws(' ', version, state), ', ' ORDER BY version) FROM migrate.status('each $name')"),
		'0001 applied, 0002 applied',
		"$name: runs what cannot run in a transaction, too");
	($status) = load([ $dir, '--apply', "--project=each $name" ]);
	is($status, 0, "$name: and nothing is left for --apply");

	# A base64 that cannot wrap as told, or does not wrap at all
	foreach my $wrap ('', ' | tr -d "\n"')
	{
		make_path("$work/base64");
		unlink "$work/base64/base64";
		append_to_file("$work/base64/base64",
			"#!/bin/sh\n[ \$# -eq 0 ] || exit 1\n"
			  . program('base64') . "$wrap\n");
		chmod 0755, "$work/base64/base64";
		($status, $out, $err) = load([ "$work/files_$name", '--subdirectories', '--project', 'base64' ],
			path => "$work/base64:$shell->{path}");
		is($status, 0, "$name: another base64") or diag $err;
		is(stored($db, 'base64'), expected(%files), "$name: with the same bytes");
		query($db, q{SELECT migrate.remove(version, 'base64')
			FROM migrate.migration WHERE project = 'base64'});
	}
}

# ---------------------------------------------------------------------------
# Directories that cannot be used
# ---------------------------------------------------------------------------

foreach my $name (sort keys %shells)
{
	$shell = $shells{$name};
	my $dir = directory("bad_$name", 'README' => 'x');
	($status, $out, $err) = load([$dir]);
	is($status, 1, "$name: a directory without files gives status 1");
	like($err, qr/has no \.sql files or settings of a tool/, "$name: and says so");
	($status, $out, $err) = load(["$dir/none"]);
	is($status, 1, "$name: so does one that is not there");
	like($err, qr/none" is not a directory/, "$name: and says so");

	symlink('nowhere', "$dir/0001_link.sql") or die $!;
	($status, $out, $err) = load([$dir]);
	is($status, 1, "$name: a link to nowhere is an error");
	like($err, qr/"0001_link.sql" is not a file/, "$name: and named");
	directory("bad_$name", "0001_a\nb.sql" => 'SELECT 1');
	($status, $out, $err) = load([$dir]);
	is($status, 1, "$name: a line break in a name is an error");

	directory("bad_$name", '0001_a.sql' => 'SELECT 1', '0002_b.sql' => 'SELECT 1');
	chmod 0, "$dir/0002_b.sql";
	($status, $out, $err) = load([$dir]);
	is($status, 1, "$name: a file that cannot be read is an error");
	like($err, qr/"0002_b.sql" cannot be read/, "$name: and named");

	# What arrives is counted: a pipeline hides the failure of its first command
	directory("bad_$name", '0001_a.sql' => 'SELECT 1', '0002_b.sql' => 'SELECT 1');
	directory("cat_$name", 'cat' => "#!/bin/sh\ncase \"\$*\" in\n"
		  . "*.sql*) printf 'SELECT 1'; exit 1 ;;\nesac\nexec "
		  . program('cat') . " \"\$\@\"\n");
	chmod 0755, "$work/cat_$name/cat";
	($status, $out, $err) = load([$dir], path => "$work/cat_$name:$shell->{path}");
	is($status, 1, "$name: a file that comes to an early end is an error");
	like($err, qr/could not be read, or changed/, "$name: and gets a message");

	# Links to files and directories are followed
	my $db = "links_$name";
	database($db);
	my $real = directory("real_$name", '0001_a.sql' => 'SELECT 1');
	directory("linked_$name");
	symlink("$real/0001_a.sql", "$work/linked_$name/0002_b.sql") or die $!;
	symlink($real, "$work/linked_$name/more") or die $!;
	($status, $out, $err) = load([ "$work/linked_$name", $db, '--subdirectories' ]);
	is($status, 0, "$name: links are followed") or diag $err;
	is(query($db, 'SELECT string_agg(path, $$ $$ ORDER BY path) FROM migrate.migration'),
		'0002_b.sql more/0001_a.sql', "$name: to files and directories");
}

# ---------------------------------------------------------------------------
# Ways to connect
# ---------------------------------------------------------------------------

my $dir = directory('connect', '0001_a.sql' => 'SELECT 1');
my ($host, $port) = ($node->host, $node->port);
my $uri_host = $host =~ s{([^A-Za-z0-9])}{sprintf '%%%02X', ord $1}ger;
my $uri_password = 'pass%20word%27s%20%40secret';
database('target');
append_to_file("$work/service.conf",
	"[there]\nhost=$host\nport=$port\nuser=app\ndbname=target\n");
append_to_file("$work/pgpass", "*:*:*:secret:pass word's \@secret\n");
chmod 0600, "$work/pgpass";

# whether the run reached the database "target", and left no trace of the password
sub connects
{
	my ($what, $args, %env) = @_;
	delete local @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)};
	local @ENV{ keys %env } = values %env;
	($status, $out, $err) = load([ $dir, @$args ]);
	is($status, 0, "connects with $what") or diag $err;
	is(query('target', q{SELECT string_agg(project || ' ' || version, ',') FROM migrate.migration}),
		'default 0001', 'to the right database');
	unlike("$out$err", qr/secret/, 'and prints no password');
	query('target', q{SELECT migrate.remove('0001')});
}

foreach my $name (sort keys %shells)
{
	$shell = $shells{$name};
	connects('short options',
		[ '-h', $host, "-p$port", '-Uapp', '-d', 'target' ]);
	connects('a cluster of options',
		[ '-Atqh', $host, '-p', $port, '-wUapp', '-dtarget' ]);
	connects('long options',
		[ '--host', $host, "--port=$port", '--username', 'app', '--dbname=target' ]);
	connects('arguments', [ 'target', 'app', '-h', $host, '-p', $port ]);
	connects('the environment', [], PGHOST => $host, PGPORT => $port,
		PGUSER => 'app', PGDATABASE => 'target');
	connects('a service', [], PGSERVICE => 'there',
		PGSERVICEFILE => "$work/service.conf");
	connects('a service in a connection string', [ '-d', 'service=there' ],
		PGSERVICEFILE => "$work/service.conf");
	connects('a password file', [ '-U', 'secret', 'target' ], PGHOST => $host,
		PGPORT => $port, PGPASSFILE => "$work/pgpass");
	connects('a password of the environment', [ '-U', 'secret', 'target' ],
		PGHOST => $host, PGPORT => $port, PGPASSWORD => "pass word's \@secret");
	connects('keywords and values',
		[ '-d', "host='$host' port=$port user=secret dbname=target password='pass word\\'s \@secret'" ]);
	connects('a URI', [ "postgresql://secret:$uri_password\@$uri_host:$port/target" ]);
	connects('a URI after the options',
		[ '--wait', '60', '-d', "postgres://secret:$uri_password\@/target?host=$host&port=$port" ]);
}

# psql's options for its output, and files named relative to where we are
{
	my $here = directory('here');
	my $cwd = do { local $ENV{PATH} = '/bin:/usr/bin'; `pwd` };
	chomp $cwd;
	chdir $here or die $!;
	($status, $out, $err) = load([ $dir, '-At', '-F', ';', '-o', 'out.txt', 'target' ]);
	chdir $cwd or die $!;
	is($status, 0, 'with -o') or diag $err;
	is($out, '', 'the output goes elsewhere');
	is(slurp_file("$here/out.txt"), "0001;added;a;0001_a.sql\nloaded 1 file: 1 added\n",
		'into a file of the directory that the call was made in');
	query('target', q{SELECT migrate.remove('0001')});
}

# hostile settings and objects of the role that loads
database('hostile');
query('hostile', q{
	CREATE SCHEMA evil AUTHORIZATION app;
	CREATE FUNCTION evil.convert_from(bytea, text) RETURNS text LANGUAGE sql AS 'SELECT $$evil$$';
	CREATE FUNCTION evil.substr(bytea, int4, int4) RETURNS bytea LANGUAGE sql AS 'SELECT $$evil$$::bytea';
	CREATE FUNCTION evil.count(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 13';
	CREATE FUNCTION evil.divide(bigint, int4) RETURNS bigint LANGUAGE sql AS 'SELECT 13';
	CREATE OPERATOR evil./ (LEFTARG = bigint, RIGHTARG = int4, FUNCTION = evil.divide);
	CREATE TABLE evil.migrate_load_files (path text, content text);
	GRANT USAGE ON SCHEMA evil TO app;
	ALTER DATABASE hostile SET search_path = evil, public, pg_catalog;
	ALTER DATABASE hostile SET standard_conforming_strings = off;
	ALTER DATABASE hostile SET bytea_output = escape;
	ALTER DATABASE hostile SET quote_all_identifiers = on;});
($status, $out, $err) = load([ directory('hostile', %files), 'hostile', '--subdirectories' ]);
is($status, 0, 'hostile objects in the search path') or diag $err;
{
	local $ENV{PGOPTIONS} = '-c search_path=pg_catalog -c bytea_output=hex';
	is(stored('hostile', 'default'), expected(%files), 'change nothing');
}

# a database with another encoding
database('latin', q{ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
{
	my %latin = (encode_utf8("0001_\x{e4}.sql") => encode_utf8("SELECT '\x{e4}'"));
	($status, $out, $err) = load([ directory('latin', %latin), '--apply',
		'--note', encode_utf8("\x{fc}"), 'latin' ]);
	is($status, 0, 'a database in LATIN1') or diag $err;
	is(stored('latin', 'default'), expected(%latin), 'stores the same text');
	is(query('latin', q{SELECT DISTINCT convert_to(note, 'UTF8') FROM migrate.journal
		WHERE note IS NOT NULL}), '\xc3bc', 'and the note');
	($status, $out, $err) = load([ directory('latin', '0002_euro.sql' => encode_utf8("SELECT '\x{20ac}'")), 'latin' ]);
	is($status, 3, 'and what it cannot store is refused');
	like($err, qr/file "0002_euro.sql" is not .* this database can store/, 'and named');
}

# ---------------------------------------------------------------------------
# Secrets
# ---------------------------------------------------------------------------

foreach my $name (sort keys %shells)
{
	$shell = $shells{$name};
	foreach (
		[ 'a wrong password', 2, "postgresql://secret:geheim\@$uri_host:$port/target" ],
		[ 'a database that does not exist', 2, '-d', "postgres://app:geheim\@$uri_host:$port/none" ],
		[ '"@" in a password', 2, 'postgres://app:12@geheim@localhost/x' ],
		[ '"/" in a password', 2, 'postgres://app:geheim/3@localhost/x' ],
		[ '"?" in a password', 2, 'postgres://app:geheim?3@localhost/x' ],
		[ '"%" in a password', 2, "-dpostgres://app:geheim%zz\@localhost/x" ],
		[ '"[" in a password', 2, "postgres://app:1\@[geheim/x" ],
		[ 'a blank in a password', 2, '--dbname', 'host=localhost password=12 geheim' ],
		[ 'an unknown keyword', 2, "--dbname=host=localhost geheim=x" ],
		[ 'a URI in the place of a host', 2, '-h', 'postgres://app:geheim@localhost/x' ],
		[ 'a URI as an unknown option', 2, '--url=postgres://app:geheim@localhost/x' ],
		[ 'two URIs', 2, 'x', '-dy', 'postgres://app:geheim@h/x', 'postgres://app:geheim@h/x' ])
	{
		my ($what, $expected, @args) = @$_;
		($status, $out, $err) = load([ $dir, '--apply', @args ]);
		is($status, $expected, "$name: $what gives status $expected");
		isnt($err, '', "$name: and a message");
		unlike("$out$err", qr/geheim/, "$name: without the password");
		($status, $out, $err) = load([ $dir, '--wait', '0', @args ]);
		unlike("$out$err", qr/geheim/, "$name: also with --wait");
	}
	($status, $out, $err) = load([ '--apply', 'postgres://app:geheim@h/x' ]);
	is($status, 1, "$name: a URI in the place of the directory");
	unlike("$out$err", qr/geheim/, "$name: is not printed");
	foreach my $variable (qw(PGDATABASE PGHOST PGPORT PGUSER))
	{
		local $ENV{$variable} = 'postgres://app:geheim@h/x';
		($status, $out, $err) = load([$dir]);
		is($status, 2, "$name: a URI in $variable is wrong usage");
		like($err, qr/\b$variable\b/, "$name: which names the variable");
		unlike("$out$err", qr/geheim/, "$name: and not its value");
	}

	# what the server says of a connection is not withheld
	($status, $out, $err) = load([ $dir, "postgres://app:geheim\@$uri_host:$port/none" ]);
	like($err, qr/FATAL:  database "none" does not exist/,
		"$name: a refusal by the server is shown");
	($status, $out, $err) = load([ $dir, 'postgres://app:geheim@nosuchhost.invalid/x' ]);
	like($err, qr/"nosuchhost\.invalid"/, "$name: so is a host that is not found");

	# what is on the command lines of psql and pg_isready
	my $spy = directory("spy_$name");
	foreach my $program (qw(psql pg_isready))
	{
		append_to_file("$spy/$program", "#!/bin/sh\n"
			  . "printf '%s\\n' $program \"\$@\" >>'$spy/seen'\n"
			  . "exec '$bindir/$program' \"\$@\"\n");
		chmod 0755, "$spy/$program";
	}
	local $ENV{PGPASSWORD} = "pass word's \@secret";
	($status, $out, $err) = load([ $dir, '-U', 'secret', '--wait', '9', 'target' ],
		path => "$spy:$shell->{path}");
	is($status, 0, "$name: a password of the environment") or diag $err;
	my $seen = slurp_file("$spy/seen");
	like($seen, qr/^psql$/m, "$name: psql was called");
	like($seen, qr/^pg_isready$/m, "$name: pg_isready was called");
	unlike($seen, qr/word's/, "$name: without the password as an argument");
	query('target', q{SELECT migrate.remove('0001')});
}

# ---------------------------------------------------------------------------
# Wrong usage
# ---------------------------------------------------------------------------

foreach my $name (sort keys %shells)
{
	$shell = $shells{$name};
	($status, $out, $err) = load(['--help']);
	is($status, 0, "$name: --help");
	like($out, qr/--apply-each/, "$name: prints the options");
	is($err, '', "$name: to the standard output");
	foreach (
		[], ['--apply'], [''], [ $dir, '--apply', '--apply-each' ],
		[ $dir, '--note', 'x' ], [ $dir, '--wait' ], [ $dir, '--wait', 'soon' ],
		[ $dir, '--wait=-1' ], [ $dir, '--project', '' ], [ $dir, '-d' ],
		[ $dir, '-c', 'SELECT 1' ], [ $dir, '-qc', 'SELECT 1' ],
		[ $dir, '-f', 'x' ], [ $dir, '--command=x' ], [ $dir, '-1' ],
		[ $dir, '-l' ], [ $dir, '--unheard-of' ], [ $dir, '-Z' ],
		[ $dir, 'a', 'b', 'c' ], [ '--new', 'x' ], [ '--new', 'x', $dir, '--apply' ],
		[ '--new', 'x', $dir, '-d', 'y' ], [ '--new', 'x', '-' ],
		[ '--new', 'a/b', $dir ], [ '--new', "a\nb", $dir ],
		[ '--new', 'x.down', $dir ])
	{
		($status, $out, $err) = load($_);
		is($status, 2, "$name: wrong usage: " . join(' ', map { s/\W+/ /gr } @$_));
		like($err, qr/^migrate-load: .*\nTry "migrate-load --help"\.\n\z/,
			"$name: has one message");
	}
	is(join(' ', glob "$dir/*"), "$dir/0001_a.sql", "$name: and no effect");
}

# ---------------------------------------------------------------------------
# --new
# ---------------------------------------------------------------------------

# What the next file is called when these are there
sub next_file
{
	my ($files, @name) = @_;
	my $new = directory('new', map { $_ => '' } @$files);
	($status, $out, $err) = load([ '--new', @name, $new ]);
	return "status $status: $err" if $status != 0;
	my ($file) = $out =~ m{^\Q$new\E/(.*)\n\z} or return "printed $out";
	return "$file was not written" unless -f "$new/$file";
	return $file;
}

foreach my $name (sort keys %shells)
{
	$shell = $shells{$name};
	is(next_file([], 'create users'), '001_create_users.sql', "$name: the first file");
	like(slurp_file("$work/new/001_create_users.sql"),
		qr/^-- Not for psql -f.*\n-- migrate:up\n\n\n-- migrate:down\n\n\z/, "$name: has both markers");
	is(next_file([ '0001_a.sql', '0009_b.sql' ], 'x.sql'), '0010_x.sql',
		"$name: the width stays");
	is(next_file([ '1_a.sql', '9_b.sql', '9_b.down.sql' ], 'x'), '10_x.sql',
		"$name: unpadded numbers");
	is(next_file([ '998_a.sql', 'sub/999_b.sql' ], 'x'), '1000_x.sql',
		"$name: one digit more");
	is(next_file([ '08_a.sql', '0000_b.sql' ], 'x'), '09_x.sql',
		"$name: numbers are decimal");
	is(next_file([ '99999999999999999998_a.sql' ], 'x'),
		'99999999999999999999_x.sql', "$name: twenty digits");
	like(next_file([ '001_a.sql', '20240101000000_b.sql' ], "\xc3\xa4 b"),
		qr/^20[0-9]{12}_\xc3\xa4_b\.sql$/, "$name: a time stamp");
	is(next_file([ '99981231235959_a.sql' ], 'x'), '99981231235960_x.sql',
		"$name: after one of the future");
	is(next_file([ 'V1__a.sql' ], 'x'), 'V2__x.sql', "$name: those of Flyway");
	like(next_file([ 'schema.sql' ], 'x'), qr/^status 1: .*no file .* begins with a number/,
		"$name: files without numbers");
	like(next_file([ '1_a/up.sql' ], 'x'), qr/^status 1: .*not single files/,
		"$name: directories");
	($status, $out, $err) = load([ '--new', 'x', directory('new') . '//' ]);
	is($out, "$work/new/001_x.sql\n", "$name: a slash after the directory");
	like((load([ '--new', 'x', "$work/none" ]))[2], qr/none" is not a directory/,
		"$name: no directory");
}

# What it writes is what the server reads
{
	my $new = directory('new');
	load([ '--new', 'create users', $new ]);
	my $text = slurp_file("$new/001_create_users.sql");
	$text =~ s/up\n/up\nCREATE TABLE users (id int);/;
	$text =~ s/down\n/down\nDROP TABLE users;/;
	directory('new', '001_create_users.sql' => $text);
	database('new');
	($status, $out, $err) = load([ $new, '--apply', 'new' ]);
	is($status, 0, 'a new file is applied') or diag $err;
	is(query('new', q{SELECT to_regclass('users') IS NOT NULL}), 't', 'its first part');
	$node->safe_psql('new', 'SELECT migrate.rollback()', extra_params => [ '-U', 'app' ]);
	is(query('new', q{SELECT to_regclass('users') IS NOT NULL}), 'f',
		'and rolled back with its second');
}

# ---------------------------------------------------------------------------
# A signal ends the run in the server, too
# ---------------------------------------------------------------------------

foreach my $name (sort keys %shells)
{
	$shell = $shells{$name};
	my $db = "signal_$name";
	database($db);
	my $sleep = directory('sleep', '0001_sleep.sql' => 'SELECT pg_sleep(1000)');
	foreach (
		[ INT => 130, $db ],
		[ TERM => 143, "dbname=$db user=app" ])
	{
		my ($signal, $expected, $conninfo) = @$_;
		my $active = qq{SELECT count(*) FROM pg_stat_activity
			WHERE datname = '$db' AND wait_event = 'PgSleep'};
		my $h = start_load([ $sleep, '--apply', '-d', $conninfo ]);
		wait_until('the migration runs', sub { query('postgres', $active) eq '1' });
		$h->{run}->signal($signal);
		($status, $out, $err) = finish_load($h);
		is($status, $expected, "$name: SIG$signal gives status $expected");
		like($err, qr/canceling statement due to user request/,
			"$name: the server was told");
		is(query('postgres', $active), 0, "$name: and has stopped");
		is(applied($db), '', "$name: with nothing applied");
	}
}

# ---------------------------------------------------------------------------
# --wait
# ---------------------------------------------------------------------------

$node->stop;
foreach my $name (sort keys %shells)
{
	foreach my $program (qw(pg_isready psql))
	{
		my $what = "$name, $program";
		$shell = $shells{$name};

		# With and without pg_isready; the spy says when the server was asked
		my $spy = directory("wait_$name");
		append_to_file("$spy/$program", "#!/bin/sh\necho \$\$ >>'$spy/seen'\n"
			  . "exec '$bindir/$program' \"\$@\"\n");
		chmod 0755, "$spy/$program";
		my $path = "$spy:" . ($program eq 'psql' ? $applets : $shell->{path});

		($status, $out, $err, $seconds) = load([ $dir, '--wait', '1', 'target' ], path => $path);
		is($status, 2, "$what: the server does not come up");
		like($err, qr/did not accept connections within 1 s$/, "$what: says so");
		cmp_ok($seconds, '>=', 1, "$what: not before the time is up");
		cmp_ok($seconds, '<', 30, "$what: and not long after");

		unlink "$spy/seen";
		my $h = start_load([ $dir, '--wait', '900', '--apply', 'target' ], path => $path);
		wait_until('the server was asked', sub { -s "$spy/seen" });
		$node->start;
		($status, $out, $err) = finish_load($h);
		is($status, 0, "$what: the server comes up later") or diag $err;
		like($out, qr/^loaded 1 file: /m, "$what: and gets the files");

		# Refusals are not waited out
		foreach (
			[ 'a wrong password', { PGPASSWORD => 'wrong', PGUSER => 'secret' },
				qr/password authentication failed/ ],
			[ 'no password', { PGUSER => 'secret' }, qr/no password supplied/ ],
			[ 'no such database', { PGDATABASE => 'none' }, qr/"none" does not exist/ ])
		{
			my ($refusal, $env, $message) = @$_;
			local @ENV{ keys %$env } = values %$env;
			local $ENV{PGPASSFILE} = '/dev/null';
			($status, $out, $err, $seconds) = load([ $dir, '--wait', '300' ], path => $path);
			is($status, 2, "$what: $refusal gives status 2");
			like($err, $message, "$what: and the server's message");
			cmp_ok($seconds, '<', 60, "$what: at once");
		}
		$node->stop;
	}
}

opendir my $dh, $left or die $!;
is(join(' ', grep { !/^\.\.?$/ } readdir $dh), '',
	'no run has left a temporary file');
closedir $dh;

done_testing();
