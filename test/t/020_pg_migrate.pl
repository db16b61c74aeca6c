# bin/pg_migrate: every byte of a file arrives, exactly the directory's versions
# are applied, and what a pipeline sees (exit status, messages, what is left
# behind) is right, in every shell.
#
# Needs a server and shells with tools of their own.
#
# Packages: bash busybox

use strict;
use warnings;

use Encode qw(encode_utf8);
use File::Path qw(make_path);
use FindBin;
use lib "$FindBin::RealBin/../perl";

use ClientShells;
use PostgreSQL::Test::Utils;
use Test::More;

set_up();
my ($status, $out, $err);

# ---------------------------------------------------------------------------
# In each shell: load, apply, bytes
# ---------------------------------------------------------------------------

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
	($status, $out, $err) = up([ $dir, '--subdirectories', '--one-transaction', '--note', $note ]);
	is($status, 0, "$name: the directory is applied") or diag $err;
	like($out, qr/^loaded 6 files: 6 unchanged, 2 absent$/m,
		"$name: what is stored already is unchanged");
	unlike($out, qr/^(unchanged|absent)/m, "$name: and not listed");
	is(applied($db), '0001 0002 0003 0004 0005 0006',
		"$name: exactly the versions of the directory are applied");
	like($out, qr/^applying "0001" first \(1 of 6\)\napplied "0001" first \(1 of 6, [0-9.]+ ms\)\napplying "0002"/m,
		"$name: each has a line when it begins and one when it ends");
	is(query($db, q{SELECT encode(convert_to(t, 'UTF8'), 'hex') FROM texts WHERE id = 2}),
		unpack('H*', $hostile =~ s/^\$x\$|\$x\$$//gr),
		"$name: a literal of a body is as it was written");
	is(query($db, q{SELECT DISTINCT encode(convert_to(note, 'UTF8'), 'hex')
		FROM migrate.journal WHERE action = 'apply'}),
		unpack('H*', $note), "$name: the note is in the journal");

	# An error in the server
	directory("files_$name", %files, '0007_fails.sql' => "SELECT 1;\nSELECT 1/0;\n");
	($status, $out, $err) = up([ $dir, '--subdirectories', '--one-transaction' ]);
	is($status, 3, "$name: a failing migration gives status 3");
	like($err, qr/ERROR:  division by zero/, "$name: and the server's message");
	is(query($db, q{SELECT count(*) FROM migrate.migration WHERE version = '0007'}),
		1, "$name: it is loaded");
	unlike(applied($db), qr/0007/, "$name: and not applied");
	append_to_file("$work/psqlrc", "\\set ON_ERROR_STOP off\n\\echo psqlrc was read\n")
	  unless -f "$work/psqlrc";
	local $ENV{PSQLRC} = "$work/psqlrc";
	($status, $out, $err) = up([ $dir, '--subdirectories', '--one-transaction' ]);
	is($status, 3, "$name: also with a start-up file of psql");
	unlike($out, qr/psqlrc/, "$name: which is not read");

	# --prune
	directory("files_$name", %files);
	($status, $out, $err) = up([ $dir, '--subdirectories', '--prune', '--one-transaction' ]);
	is($status, 0, "$name: --prune") or diag $err;
	like($out, qr/^loaded 6 files: 6 unchanged, 3 pruned$/m,
		"$name: --prune deletes what is pending and not among the files");

	# Big bodies
	my %big = ('0008_long.sql' => $long, '0009_one_line.sql' => $one_line);
	$dir = directory("big_$name", %big);
	($status, $out, $err) = up([ $dir, '--one-transaction', '--project', 'big' ]);
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
	($status, $out, $err) = up([ '-', '--one-transaction', '--project', 'long' ],
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
	  up([ $dir, '--note=n', "--project=each $name" ]);
	is($status, 0, "$name: each in its own transaction") or diag $err;
	is( query($db, "SELECT string_agg(concat_ws(' ', version, state), ', ' ORDER BY version) FROM migrate.status('each $name')"),
		'0001 applied, 0002 applied',
		"$name: runs what cannot run in a transaction, too");
	($status) = up([ $dir, '--one-transaction', "--project=each $name" ]);
	is($status, 0, "$name: and nothing is left for one transaction");

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
	($status, $out, $err) = load([ "$work/linked_$name", '-d', $db, '--subdirectories' ]);
	is($status, 0, "$name: links are followed") or diag $err;
	is(query($db, 'SELECT string_agg(path, $$ $$ ORDER BY path) FROM migrate.migration'),
		'0002_b.sql more/0001_a.sql', "$name: to files and directories");
}

opendir my $dh, $left or die $!;
is(join(' ', grep { !/^\.\.?$/ } readdir $dh), '',
	'no run has left a temporary file');
closedir $dh;

done_testing();
