# The extension as programs use it: the drivers and frameworks themselves, each
# in its own idea of transactions, parameters, notices and exceptions; and the
# examples of doc/clients.md, which are run from the page.
#
# Needs a server that a program can reach by TCP, since JDBC knows nothing else.
#
# Packages: python3-psycopg2 python3-sqlalchemy python3-django
# Packages: node:nodejs node:node-pg javac:default-jdk-headless libpostgresql-jdbc-java

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use JSON::PP;
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $programs = "$FindBin::RealBin/../clients";
my $work = PostgreSQL::Test::Utils::tempdir();
my $timeout = $PostgreSQL::Test::Utils::timeout_default;
my %page = page_blocks('doc/clients.md');

# Debian's Python, and not another one that may come before it in the path: the
# modules are Debian's.
my $python = '/usr/bin/python3';
my $jdbc = '/usr/share/java/postgresql.jar';

# By client: how a program is run, the name of the program, and what the hint of
# apply_each() in a transaction has to name.
my %clients = (
	psycopg2 => {
		command => [$python], file => 'with_psycopg2.py',
		switch => qr/psycopg connection\.autocommit = True/
	},
	sqlalchemy => {
		command => [$python], file => 'with_sqlalchemy.py',
		switch => qr/SQLAlchemy isolation_level="AUTOCOMMIT"/
	},
	django => {
		command => [$python], file => 'with_django.py',
		switch => qr/Django outside of atomic\(\)/
	},
	'node-postgres' => {
		command => ['node'], file => 'with_node_postgres.js',
		switch => qr/node-postgres without BEGIN/
	},
	jdbc => {
		command => [ 'java', '-cp', $jdbc ], file => 'WithJdbc.java',
		switch => qr/JDBC setAutoCommit\(true\)/
	});

# ---------------------------------------------------------------------------
# Server and packages
# ---------------------------------------------------------------------------

my $password = join '', map { ('a' .. 'z')[ rand 26 ] } 1 .. 20;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8' ]);
$node->append_conf(
	'postgresql.conf', q{
listen_addresses = '127.0.0.1'
# the same failure comes twice, from apply() and from apply_each()
migrate.failure_quiet = 0
});
unlink $node->data_dir . '/pg_hba.conf';
$node->append_conf(
	'pg_hba.conf', q{
local all all trust
host all all 127.0.0.1/32 scram-sha-256
});
$ENV{PGUSER} = 'postgres';
$node->start;
$node->safe_psql('postgres', "ALTER ROLE postgres PASSWORD '$password'");

# Run a command; returns its exit status, output and messages.
sub run_program
{
	my (@command) = @_;
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start(
		\@command, '<', \undef, '>', \$out, '2>', \$err,
		init => sub { chdir $work or die "$work: $!" },
		IPC::Run::timeout($timeout));

	$run->finish;
	my $status = $run->full_result(0);
	return ($status >> 8 || $status, $out, $err);
}

# Everything on the way to the database that a program is given.
sub surroundings
{
	my ($db) = @_;
	return (
		PGHOST => $node->host,
		PGPORT => $node->port,
		PGDATABASE => $db,
		NODE_PATH => "$work/node_modules:/usr/share/nodejs",
		JDBC_URL => 'jdbc:postgresql://127.0.0.1:'
		  . $node->port
		  . "/$db?user=postgres&password=$password");
}

# Debian's package if it is there, which needs Debian's own node; else npm's.
sub install_node_postgres
{
	return if -d '/usr/share/nodejs/pg';
	local $ENV{npm_config_cache} = "$work/npm-cache";

	# npm brings its own certificates; a network may have some of its own, too
	my $certificates = '/etc/ssl/certs/ca-certificates.crt';
	local $ENV{NODE_EXTRA_CA_CERTS} = $ENV{NODE_EXTRA_CA_CERTS}
	  // (-e $certificates ? $certificates : '');
	append_to_file("$work/package.json", '{"private": true}');
	my ($status, $out, $err) = run_program(
		qw(npm install --no-audit --no-fund --no-update-notifier pg@8));

	is($status, 0, 'npm installs pg') or diag $out, $err;
	return;
}

# Make a database in which these migrations are pending.
sub create_database
{
	my ($db, @migrations) = @_;

	$node->safe_psql('postgres', qq{CREATE DATABASE "$db"});
	$node->safe_psql($db, 'CREATE EXTENSION migrate');
	add($db, @$_) foreach @migrations;
	return;
}

sub add
{
	my ($db, $project, $version, $up) = @_;
	$node->safe_psql($db,
		    "SELECT migrate.add('$version', "
		  . quote($up)
		  . ", 'SELECT 1', project => '$project')");
	return;
}

# ---------------------------------------------------------------------------
# The programs of test/clients
# ---------------------------------------------------------------------------

my $wrong = "\n\nUPDATE people SET address = emial";
my %located = (
	sqlstate => '42703',
	message => 'column "emial" does not exist',
	detail => undef,
	hint => 'Perhaps you meant to reference the column "people.email".',
	where => qr/^migration "l2", up body, statement 2, line 3$/,
	position => index($wrong, 'emial') + 1,
	query => $wrong);
my %raised = (
	sqlstate => 'P0042',
	message => 'not today',
	where => qr/^migration "r2", up body, statement 1, line 1$/m,
	detail => 'It is Friday.',
	hint => 'Wait for Monday.',
	position => undef,
	query => undef);
my @migrations = (
	[ 'default', '001', 'CREATE TABLE one (id int)' ],
	[
		'default', '002',
		q{DO $$ BEGIN RAISE NOTICE 'hello from 002'; END $$; CREATE TABLE two (id int)}
	],
	[ 'each', 'e1', 'CREATE TABLE e (id int)' ],
	[ 'each', 'e2', 'CREATE INDEX CONCURRENTLY e_id ON e (id)' ],
	[ 'each', 'e3', 'ALTER TABLE e ADD name text' ],
	[ 'located', 'l1', 'CREATE TABLE people (id int, email text, address text)' ],
	[ 'located', 'l2', "SELECT 1;\n\n" . ($wrong =~ s/^\s+//r) ],
	[ 'raised', 'r1', 'CREATE TABLE r (id int)' ],
	[
		'raised', 'r2',
		q{DO $$ BEGIN RAISE EXCEPTION 'not today' USING ERRCODE = 'P0042',
			DETAIL = 'It is Friday.', HINT = 'Wait for Monday.'; END $$}
	],
	[ 'background', 'g1', 'CREATE TABLE g (id int)' ],
	[ 'background located', 'l2', "SELECT 1;\n\n" . ($wrong =~ s/^\s+//r) ],
	[ 'other', 'o1', 'SELECT 1' ]);

# Run a client's program; returns what it reports, by step.
sub run_steps
{
	my ($name, $db) = @_;
	local %ENV = (%ENV, surroundings($db));
	my ($status, $out, $err) =
	  run_program(@{ $clients{$name}{command} }, "$programs/$clients{$name}{file}");

	is($status, 0, "$name: the program runs to its end") or diag $out, $err;
	return map { ($_->{step} => $_) } map { decode_json($_) } split /\n/, $out;
}

sub check_error
{
	my ($name, $got, %expected) = @_;
	my $where = delete $expected{where};
	my %fields = map { $_ => $got->{$_} } keys %expected;

	like($got->{where}, $where, "$name: where it was");
	is_deeply(\%fields, \%expected, "$name: every field of the error")
	  or diag encode_json($got);
	return;
}

# A procedure's row is the run, what it has applied, statements, milliseconds.
sub check_summary
{
	my ($name, $got, $applied) = @_;

	is($got->{rows} && $got->{rows}[0][1], $applied, "$name: applied $applied")
	  or diag encode_json($got);
	return;
}

sub check_refusal
{
	my ($name, $got, $switch) = @_;

	is($got->{sqlstate}, '2D000', "$name: SQLSTATE of the refusal")
	  or diag encode_json($got);
	ok($got->{detail}, "$name: says why");
	like($got->{hint}, $switch, "$name: the hint names the switch");
	return;
}

sub check_apply
{
	my ($name, %got) = @_;

	is_deeply($got{apply}{rows}, [ ['001'] ], "$name: apply()");
	is_deeply($got{forgotten}{rows}, [ ['002'] ], "$name: apply(), not committed");
	is_deeply($got{'apply again'}{rows}, [ ['002'] ], "$name: ... can be repeated");
	like("@{ $got{'apply again'}{notices} // [] }", qr/hello from 002/,
		"$name: the notices of a body arrive");
	check_error("$name: apply()", $got{'apply, located'}, %located);
	check_error("$name: apply()", $got{'apply, raised'}, %raised);
	return;
}

sub check_each
{
	my ($name, %got) = @_;

	foreach my $step (sort grep { /^refused/ } keys %got)
	{
		check_refusal("$name: $step", $got{$step}, $clients{$name}{switch});
	}
	check_summary("$name: apply_each() to a target", $got{each}, 2);
	like("@{ $got{each}{notices} // [] }", qr/e1.*e2/s,
		"$name: a notice for each migration arrives");
	check_summary("$name: the rest", $got{'each, rest'}, 1);
	foreach my $step (sort grep { /^each, (nothing|prepared)/ } keys %got)
	{
		check_summary("$name: $step", $got{$step}, 0);
	}
	check_error("$name: apply_each()", $got{'each, located'}, %located);
	check_error("$name: apply_each()", $got{'each, raised'}, %raised);
	return;
}

# Runs that a client has started inside a transaction, and waited for after it.
sub check_background
{
	my ($name, $db, %got) = @_;

	is($node->safe_psql($db,
			q{SELECT version FROM migrate.applied WHERE project = 'background'}),
		'g1', "$name: start() has applied it");
	like(encode_json($got{wait}{rows} // []), qr/"success"/, "$name: wait() says so");
	check_error("$name: wait()", $got{'wait, located'}, %located,
		where => qr/^migration "l2", up body, statement 2, line 3\nrun \d+$/);
	return;
}

# What the database says that the client has done.
sub check_books
{
	my ($name, $db) = @_;

	is( $node->safe_psql($db,
			q{SELECT string_agg(version, ' ' ORDER BY version) FROM migrate.applied
				WHERE project NOT LIKE 'background%'}),
		'001 002 e1 e2 e3 l1 r1', "$name: what is applied");
	is( $node->safe_psql($db,
			q{SELECT string_agg(version, ' ' ORDER BY version) FROM migrate.journal
				WHERE outcome = 'success' AND note = 'sent by the client'}),
		'001 e1 e2', "$name: the note arrived as a parameter");
	is( $node->safe_psql($db,
			q{SELECT string_agg(version || ' ' || sqlstate, ', ' ORDER BY run)
				FROM migrate.failures WHERE project NOT LIKE 'background%'}),
		'l2 42703, r2 P0042, l2 42703, r2 P0042', "$name: the failures are journalled");
	is($node->safe_psql($db, q{SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('e_id')}),
		't', "$name: the index is valid");
	is(locks_left($node, $db), '', "$name: no lock is left");
	return;
}

# ---------------------------------------------------------------------------
# The examples of the page
# ---------------------------------------------------------------------------

# Run an example; it prints what the page says, with this exit status.
sub run_example
{
	my ($name, $db, $file, $expected, $status) = @_;
	local %ENV = (%ENV, surroundings($db));
	my ($got, $out, $err) = run_program(@{ $clients{$name}{command} }, $file);

	is($got, $status, "example $name: exit status") or diag $err;
	is($out, $expected, "example $name: prints what the page says") or diag $err;
	return $err;
}

sub check_example
{
	my ($name) = @_;
	my $db = "example_$name";
	my $file = "$work/" . ($name eq 'jdbc' ? 'Migrate.java' : "example_$name");

	ok($page{$name}, "doc/clients.md has an example for $name") or return;
	append_to_file($file, $page{$name});
	create_database(
		$db,
		[ 'default', '001', 'CREATE TABLE users (id int, email text)' ],
		[ 'default', '002', 'CREATE INDEX CONCURRENTLY users_email ON users (email)' ],
		[ 'default', '003', 'ALTER TABLE users ADD phone text' ]);
	like(run_example($name, $db, $file, $page{success}, 0),
		qr/001.*002.*003/s, "example $name: shows the notices");
	add($db, 'default', '004', 'UPDATE users SET phone = emial');
	run_example($name, $db, $file, $page{failure}, 1);
	return;
}

install_node_postgres();
foreach my $name (sort keys %clients)
{
	create_database("client_$name", @migrations);
	my %got = run_steps($name, "client_$name");

	check_apply($name, %got);
	check_each($name, %got);
	check_background($name, "client_$name", %got) if $got{wait};
	check_books($name, "client_$name");
	check_example($name);
}
done_testing();
