# bin/pg_migrate: moving in from another tool and out to one, and that files which
# were refused are never success, in every shell.
#
# Needs a server and shells with tools of their own.
#
# Packages: bash busybox

use strict;
use warnings;

use Encode qw(encode_utf8);
use FindBin;
use lib "$FindBin::RealBin/../perl";

use ClientShells;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

set_up();
my ($status, $out, $err);

sub expect
{
	my ($expected, $what, @args) = @_;
	($status, $out, $err) = client(\@args);
	is($status, $expected, $what) or diag "@args\n$out$err";
	return;
}

foreach my $name (sort keys %shells)
{
	$shell = $shells{$name};

	# in
	my $db = "in_$name";
	database($db);
	local $ENV{PGDATABASE} = $db;
	my $dir = directory("in_$name",
		map { ("00000${_}_t$_.up.sql" => "CREATE TABLE t$_ ()", "00000${_}_t$_.down.sql" => "DROP TABLE t$_") } 1 .. 3);
	expect(0, "$name: detect without a ledger", 'detect');
	like($out, qr/^no ledger of another tool is here$/m, "$name: says so");
	query($db, q{CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
		INSERT INTO schema_migrations VALUES (2, true); CREATE TABLE t1 (); CREATE TABLE t2 ();
		ALTER TABLE schema_migrations OWNER TO app; ALTER TABLE t1 OWNER TO app; ALTER TABLE t2 OWNER TO app});
	expect(0, "$name: detect", 'detect', '--json');
	is_deeply([ map { @$_{qw(tool state)} } @{ decode_json($out) } ], [ 'golang-migrate', 'failed' ], "$name: finds it");
	expect(4, "$name: a dry run finds what has failed", 'adopt', '--dry-run', '--dir', $dir);
	is(query($db, 'SELECT count(*) FROM migrate.migration'), 0, "$name: and stores nothing");
	expect(3, "$name: which is refused", 'adopt', '--dir', $dir);
	is(applied($db), '', "$name: nothing is recorded");
	query($db, 'UPDATE schema_migrations SET dirty = false');
	expect(0, "$name: a dry run", 'adopt', '--dry-run', '--dir', $dir);
	is(applied($db), '', "$name: records nothing");
	expect(3, "$name: a table that is none", 'adopt', '--dir', $dir, '--ledger', 'pg_class');
	expect(3, "$name: a tool that is none", 'adopt', "it's", '--dir', $dir);
	like($err, qr/unrecognized tool: "it's"/, "$name: is named");
	expect(0, "$name: adopt", 'adopt', 'golang-migrate', '--ledger', 'public.schema_migrations',
		'--note', "it's", '--dir', $dir, '--json');
	is(join(' ', map { "$_->{version}:$_->{action}" } @{ decode_json($out) }),
		'000001:adopt 000002:adopt 000003:pending', "$name: its rows");
	is(applied($db), '000001 000002', "$name: is recorded");
	is(query($db, q{SELECT to_regclass('t3') IS NULL}), 't', "$name: nothing is run");
	is(query($db, q{SELECT DISTINCT note FROM migrate.journal WHERE action = 'adopt'}), "it's", "$name: with the note");
	expect(0, "$name: once more, without files", 'adopt', '--no-load');
	like($out, qr/^2 applied, 1 pending$/m, "$name: all is there");

	# out
	my $text = "SELECT $hostile;\n\n\n";
	my @bodies = ($text, "SELECT 1;\r\n\r\n", 'SELECT 2', "SELECT '" . encode_utf8("\x{20ac}") x 100_000 . "';\n");
	database("out_$name");
	local $ENV{PGDATABASE} = "out_$name";
	query("out_$name", sprintf q{SELECT migrate.add('%03d', convert_from(decode('%s', 'hex'), 'UTF8'))}, $_ + 1, unpack('H*', $bodies[$_]))
	  foreach 0 .. $#bodies;
	my $to = "$work/out $name";
	expect(0, "$name: export", 'export', "$to/deep", '--as', 'golang-migrate');
	is(slurp_file((glob(sprintf("'$to/deep'/%03d*.up.sql", $_ + 1)))[0] // die $out), $bodies[$_], "$name: every byte of body $_")
	  foreach 0 .. $#bodies;
	my @before = split /\n/, `ls -lR --full-time "$to"`;
	expect(1, "$name: not over files", 'export', "$to/deep", '--as', 'golang-migrate');
	like($err, qr/is not empty/, "$name: and says so");
	is_deeply([ split /\n/, `ls -lR --full-time "$to"` ], \@before, "$name: which stay");
	expect(3, "$name: a form that is none", 'export', "$work/none $name", '--as', "it's");
	ok(!-e "$work/none $name", "$name: makes no directory");
	expect(0, "$name: diesel", 'export', "$work/diesel $name", '--as', 'diesel');
	is(slurp_file((glob("'$work/diesel $name'/003*/up.sql"))[0] // die "no up.sql"), 'SELECT 2', "$name: has directories");

	# what a server that means harm sends
	foreach my $path ('../x.sql', 'a/../../x.sql', "$work/x.sql", 'a/..')
	{
		query("out_$name", "CREATE OR REPLACE FUNCTION migrate.export(convention text DEFAULT 'native', project text DEFAULT 'default', OUT path text, OUT content text)
			RETURNS SETOF record LANGUAGE sql AS \$\$ VALUES ('good.sql', 'x'), ('$path', 'x') \$\$");
		expect(1, "$name: $path is refused", 'export', "$work/harm $name");
		ok(!-e "$work/harm $name" && !-e "$work/x.sql", "$name: nothing is written");
	}

	# files that are refused
	database("partial_$name");
	local $ENV{PGDATABASE} = "partial_$name";
	$dir = directory("partial_$name", '1_a.sql' => 'CREATE TABLE a ()', '2_b.sql' => 'CREATE TABEL b ()');
	expect(4, "$name: up --partial", 'up', '--dir', $dir, '--partial');
	is(applied("partial_$name"), '1', "$name: has applied the rest");
	expect(4, "$name: load --partial", 'load', $dir, '--partial');
	expect(4, "$name: up --partial --json", 'up', '--dir', $dir, '--partial', '--json');
	$dir = directory("refused_$name", '2_b.sql' => 'CREATE TABEL b ()');
	expect(4, "$name: all are refused", 'up', '--dir', $dir, '--partial');
	$dir = directory("good_$name", '1_a.sql' => 'CREATE TABLE a ()');
	expect(0, "$name: --partial with nothing refused", 'up', '--dir', $dir, '--partial');
}

done_testing();
