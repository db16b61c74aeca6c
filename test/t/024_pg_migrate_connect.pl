# bin/pg_migrate: every usual way to connect works, no password is printed or on
# a command line, wrong usage has no effect, and a signal ends the run in the
# server, in every shell.
#
# Needs a server of its own: it is stopped, started and asked for passwords.
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
my ($status, $out, $err, $seconds);

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
		[ '-wh', $host, '-p', $port, '-wUapp', '-dtarget' ]);
	connects('long options',
		[ '--host', $host, "--port=$port", '--username', 'app', '--dbname=target' ]);
	connects('the environment', [], PGHOST => $host, PGPORT => $port,
		PGUSER => 'app', PGDATABASE => 'target');
	connects('a service', [], PGSERVICE => 'there',
		PGSERVICEFILE => "$work/service.conf");
	connects('a service in a connection string', [ '-d', 'service=there' ],
		PGSERVICEFILE => "$work/service.conf");
	connects('a password file', [ '-U', 'secret', '-d', 'target' ], PGHOST => $host,
		PGPORT => $port, PGPASSFILE => "$work/pgpass");
	connects('a password of the environment', [ '-U', 'secret', '-d', 'target' ],
		PGHOST => $host, PGPORT => $port, PGPASSWORD => "pass word's \@secret");
	connects('keywords and values',
		[ '-d', "host='$host' port=$port user=secret dbname=target password='pass word\\'s \@secret'" ]);
	connects('a URI', [ "postgresql://secret:$uri_password\@$uri_host:$port/target" ]);
	connects('DATABASE_URL', [], DATABASE_URL => "postgres://secret:$uri_password\@/target?host=$host&port=$port",
		PGHOST => '/nowhere', PGDATABASE => 'none', PGUSER => 'nobody');
	connects('parts of DATABASE_URL', [ '-d', 'target', '-U', 'app' ],
		DATABASE_URL => "postgres://secret:$uri_password\@/none?host=$host&port=$port");
	connects('an option before DATABASE_URL', [ '-d', "host='$host' port=$port user=app dbname=target" ],
		DATABASE_URL => 'postgres://nobody@localhost/none');
	connects('a URI after the options',
		[ '--wait', '60', '-d', "postgres://secret:$uri_password\@/target?host=$host&port=$port" ]);
}

# JSON, and a directory relative to where we are, named by the environment or not
# at all
{
	my $here = directory('here', 'migrations/0001_a.sql' => 'SELECT 1', 'more/0002_b.sql' => 'SELECT 1');
	my $cwd = do { local $ENV{PATH} = '/bin:/usr/bin'; `pwd` };
	chomp $cwd;
	chdir $here or die $!;
	($status, $out, $err) = client([ 'load', '--json', '-d', 'target' ]);
	is($status, 0, 'load --json') or diag $err;
	is_deeply(decode_json($out), { done => JSON::PP::true, error => undef, run => undef, migrations => [],
			loaded => [ { version => '0001', result => 'added', name => 'a', path => '0001_a.sql' } ] },
		'prints what it has done') or diag $out;
	is($err, '', 'and nothing else');
	local $ENV{MIGRATE_DIR} = 'more';
	($status, $out, $err) = client([ 'load', '-d', 'target' ]);
	is($out, "added      0002 b  0002_b.sql\nloaded 1 file: 1 added, 1 absent\n", 'MIGRATE_DIR') or diag $err;
	chdir $cwd or die $!;
	query('target', q{SELECT migrate.remove('0001'), migrate.remove('0002')});
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
	CREATE TABLE evil.pg_migrate_files (path text, content text);
	GRANT USAGE ON SCHEMA evil TO app;
	ALTER DATABASE hostile SET search_path = evil, public, pg_catalog;
	ALTER DATABASE hostile SET standard_conforming_strings = off;
	ALTER DATABASE hostile SET bytea_output = escape;
	ALTER DATABASE hostile SET quote_all_identifiers = on;});
($status, $out, $err) = load([ directory('hostile', %files), '-d', 'hostile', '--subdirectories' ]);
is($status, 0, 'hostile objects in the search path') or diag $err;
{
	local $ENV{PGOPTIONS} = '-c search_path=pg_catalog -c bytea_output=hex';
	is(stored('hostile', 'default'), expected(%files), 'change nothing');
}

# a database with another encoding
database('latin', q{ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
{
	my %latin = (encode_utf8("0001_\x{e4}.sql") => encode_utf8("SELECT '\x{e4}'"));
	($status, $out, $err) = up([ directory('latin', %latin), '--one-transaction',
		'--note', encode_utf8("\x{fc}"), '-d', 'latin' ]);
	is($status, 0, 'a database in LATIN1') or diag $err;
	is(stored('latin', 'default'), expected(%latin), 'stores the same text');
	is(query('latin', q{SELECT DISTINCT convert_to(note, 'UTF8') FROM migrate.journal
		WHERE note IS NOT NULL}), '\xc3bc', 'and the note');
	($status, $out, $err) = load([ directory('latin', '0002_euro.sql' => encode_utf8("SELECT '\x{20ac}'")), '-d', 'latin' ]);
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
		[ 'a secret that has no variable', 2, 'postgres://app@localhost/x?sslpassword=geheim' ],
		[ 'another scheme', 2, 'mysql://app:geheim@localhost/x' ],
		[ 'a quote without an end', 2, "-dhost=localhost password='geheim" ],
		[ 'two URIs', 2, '-d', 'postgres://app:geheim@h/x', 'postgres://app:geheim@h/x' ])
	{
		my ($what, $expected, @args) = @$_;
		($status, $out, $err) = up([ $dir, '--one-transaction', @args ]);
		is($status, $expected, "$name: $what gives status $expected");
		isnt($err, '', "$name: and a message");
		unlike("$out$err", qr/geheim/, "$name: without the password");
		($status, $out, $err) = load([ $dir, '--wait', '0', @args ]);
		unlike("$out$err", qr/geheim/, "$name: also with --wait");
	}
	foreach (['up', 'postgres://app:geheim@h/x', 'y', 'z'], ['postgres://app:geheim@h/x'], [ 'help', 'postgres://app:geheim@h/x' ],
		[ 'load', '--dir', 'postgres://app:geheim@h/x' ], [ 'load', '--dir', 'postgres://app:geheim@h/x', 'postgres://app:geheim@h/x' ])
	{
		($status, $out, $err) = client($_);
		cmp_ok($status, '>', 0, "$name: a URI in a wrong place");
		isnt($err, '', "$name: gets a message");
		unlike("$out$err", qr/geheim/, "$name: in which it is not");
	}
	{
		local $ENV{DATABASE_URL} = 'postgres://app:geheim/3@localhost/x';
		($status, $out, $err) = load([$dir]);
		is($status, 2, "$name: a wrong DATABASE_URL is wrong usage");
		like($err, qr/DATABASE_URL has a port that is no number/, "$name: which names it");
		unlike("$out$err", qr/geheim/, "$name: and not the password");
	}
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
	($status, $out, $err) = load([ $dir, '-U', 'secret', '--wait', '9', '-d', 'target' ],
		path => "$spy:$shell->{path}");
	is($status, 0, "$name: a password of the environment") or diag $err;
	delete local $ENV{PGPASSWORD};
	($status, $out, $err) = load([ $dir, "postgresql://secret:$uri_password\@$uri_host:$port/target", '--wait', '9' ],
		path => "$spy:$shell->{path}");
	is($status, 0, "$name: a password in a connection string") or diag $err;
	my $seen = slurp_file("$spy/seen");
	like($seen, qr/^psql$/m, "$name: psql was called");
	like($seen, qr/^pg_isready$/m, "$name: pg_isready was called");
	unlike($seen, qr/word.*s/, "$name: without the password as an argument");
	query('target', q{SELECT migrate.remove('0001')});
}

# ---------------------------------------------------------------------------
# Wrong usage
# ---------------------------------------------------------------------------

foreach my $name (sort keys %shells)
{
	$shell = $shells{$name};
	foreach (['--help'], ['help'])
	{
		($status, $out, $err) = client($_);
		is($status, 0, "$name: @$_");
		like($out, qr/^  up \[VERSION\] +load, then apply/m, "$name: prints the commands");
		is($err, '', "$name: to the standard output");
		is((grep { length > 79 } split /\n/, $out), 0, "$name: in 79 columns");
	}
	foreach ([ 'help', 'up' ], [ 'up', '--help' ])
	{
		($status, $out, $err) = client($_);
		is("$status$err", 0, "$name: @$_");
		like($out, qr/^  --one-transaction +all or nothing/m, "$name: prints the options");
		unlike($out, qr/--up-down/, "$name: of that command");
	}
	is((client(['--version']))[1], "pg_migrate 1.0\n", "$name: --version");
	foreach (
		[], ['--json'], [''], ['fly'], [ 'load', '' ], [ 'up', '1', '2' ], [ 'status', '1' ],
		[ 'status', '--note', 'x' ], [ 'up', '--wait' ], [ 'up', '--wait', 'soon' ],
		[ 'up', '--wait=-1' ], [ 'up', '--project', '' ], [ 'up', '-d' ], [ 'up', '--json=x' ],
		[ 'up', '-c', 'SELECT 1' ], [ 'up', '-wc', 'SELECT 1' ],
		[ 'up', '-f', 'x' ], [ 'up', '--command=x' ], [ 'up', '-1' ],
		[ 'up', '--unheard-of' ], [ 'up', '--one-transaction', '--background' ],
		[ 'down', 'x' ], [ 'down', '001' ], [ 'down', '1', '--to', '001' ], [ 'redo', '007' ],
		[ 'wait' ], [ 'wait', 'x' ], [ 'hold', '001' ], ['unhold'], ['stamp'], [ 'stamp', '1', '--to', '2' ],
		[ 'report', '--html', '--json' ], [ 'plan', '--sql', '--json' ],
		['new'], [ 'new', 'x', 'y' ], [ 'new', 'x', '-d', 'y' ], [ 'new', 'x', '--dir', '-' ],
		[ 'new', 'a/b', '--dir', $dir ], [ 'new', "a\nb", '--dir', $dir ],
		[ 'new', 'x.down', '--dir', $dir ], [ 'help', 'fly' ])
	{
		($status, $out, $err) = client($_);
		is($status, 2, "$name: wrong usage: " . join(' ', map { s/\W+/ /gr } @$_));
		like($err, qr/^pg_migrate: .*\nTry "pg_migrate help[ a-z]*"\.\n\z/,
			"$name: has one message");
	}
	is(join(' ', glob "$dir/*"), "$dir/0001_a.sql", "$name: and no effect");
}

# ---------------------------------------------------------------------------
# new
# ---------------------------------------------------------------------------

# What the next file is called when these are there
sub next_file
{
	my ($files, @name) = @_;
	my $new = directory('new', map { $_ => '' } @$files);
	($status, $out, $err) = client([ 'new', @name, '--dir', $new ]);
	return "status $status: $err" if $status != 0;
	return "$1 and $2" if $out =~ m{^\Q$new\E/(.*)\n\Q$new\E/(.*)\n\z} && -f "$new/$1" && -f "$new/$2";
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
	is(next_file([ '1_a.sql' ], 'x', '--up-down'), '2_x.up.sql and 2_x.down.sql', "$name: two files");
	like(next_file([ '1_a/up.sql' ], 'x'), qr/^status 1: .*not single files/,
		"$name: directories");
	($status, $out, $err) = client([ 'new', 'x', '--dir', directory('new') . '//' ]);
	is($out, "$work/new/001_x.sql\n", "$name: a slash after the directory");
	like((client([ 'new', 'x', '--dir', "$work/none" ]))[2], qr/none" is not a directory/,
		"$name: no directory");
}

# What it writes is what the server reads
{
	my $new = directory('new');
	client([ 'new', 'create users', '--dir', $new ]);
	my $text = slurp_file("$new/001_create_users.sql");
	$text =~ s/up\n/up\nCREATE TABLE users (id int);/;
	$text =~ s/down\n/down\nDROP TABLE users;/;
	directory('new', '001_create_users.sql' => $text);
	database('new');
	($status, $out, $err) = up([ $new, '--one-transaction', '-d', 'new' ]);
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
		[ INT => 130, "dbname=$db" ],
		[ TERM => 143, "dbname=$db user=app" ])
	{
		my ($signal, $expected, $conninfo) = @$_;
		my $active = qq{SELECT count(*) FROM pg_stat_activity
			WHERE datname = '$db' AND wait_event = 'PgSleep'};
		my $h = start_client([ 'up', '--one-transaction', '--dir', $sleep, '-d', $conninfo ]);
		wait_until('the migration runs', sub { query('postgres', $active) eq '1' });
		$h->{run}->signal($signal);
		($status, $out, $err) = finish_client($h);
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

		($status, $out, $err, $seconds) = load([ $dir, '--wait', '1', '-d', 'target' ], path => $path);
		is($status, 2, "$what: the server does not come up");
		like($err, qr/did not accept connections within 1 s$/, "$what: says so");
		cmp_ok($seconds, '>=', 1, "$what: not before the time is up");
		cmp_ok($seconds, '<', 30, "$what: and not long after");

		unlink "$spy/seen";
		my $h = start_client([ 'up', '--dir', $dir, '--wait', '900', '-d', 'target' ], path => $path);
		wait_until('the server was asked', sub { -s "$spy/seen" });
		$node->start;
		($status, $out, $err) = finish_client($h);
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
