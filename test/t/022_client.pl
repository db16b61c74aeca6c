# bin/pg_migrate beside others and at its end: who comes late waits, first
# starts at once create the extension once, a killed client leaves nothing
# running, and what is missing is said with the way out.
#
# Needs sessions that hold others up, and processes that are killed.

use strict;
use warnings;

use File::Path qw(make_path);
use FindBin;
use IPC::Run;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $client = "$FindBin::RealBin/../../bin/pg_migrate";
my $work = PostgreSQL::Test::Utils::tempdir();
my $timeout = $PostgreSQL::Test::Utils::timeout_default;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$ENV{PATH} = $node->config_data('--bindir') . ":$ENV{PATH}";
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
delete $ENV{PGAPPNAME};

sub directory
{
	my ($name, %files) = @_;
	my $dir = "$work/$name";
	make_path($dir);
	while (my ($path, $content) = each %files)
	{
		append_to_file("$dir/$path", $content);
	}
	return $dir;
}

# In a process group of its own, as a job of a pipeline is.
sub start_client
{
	my (@args) = @_;
	my $h = { out => '', err => '' };
	$h->{run} = IPC::Run::start([ 'sh', $client, @args ], '<', \'',
		'>', \$h->{out}, '2>', \$h->{err},
		init => sub { POSIX::setsid(); $h->{pid} = $$ },
		IPC::Run::timeout($timeout));
	$h->{pid} = $h->{run}->{KIDS}[0]{PID};
	return $h;
}

sub finish_client
{
	my ($h) = @_;
	$h->{run}->finish;
	return $h->{run}->full_result(0) >> 8;
}

sub wait_for_message
{
	my ($h, $pattern) = @_;
	while ($h->{err} !~ $pattern && $h->{run}->pumpable) { $h->{run}->pump }
	return $h->{err};
}

sub query { return $node->safe_psql(@_) }

sub until_true
{
	my ($db, $sql, $what) = @_;
	$node->poll_query_until($db, $sql) or BAIL_OUT("waited in vain: $what");
	return;
}

# ---------------------------------------------------------------------------
# First errors
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', 'CREATE DATABASE first');
my $two = directory('two', '001_a.sql' => 'CREATE TABLE a (n int)', '002_b.sql' => 'CREATE TABLE b (n int)');
my $h = start_client('up', '--one-transaction', '--dir', $two, '-d', 'first');
is(finish_client($h), 3, 'without the extension: status');
like($h->{err}, qr/no extension "migrate" in database "first"\n.*CREATE EXTENSION migrate/, 'and the way out');
query('first', 'CREATE EXTENSION migrate; CREATE ROLE guest LOGIN; CREATE ROLE writer LOGIN;');
query('first', q{SELECT migrate.grant('write', 'writer')});
$h = start_client('up', '--one-transaction', '--dir', $two, '-d', 'first', '-U', 'guest');
is(finish_client($h), 3, 'without privileges: status');
like($h->{err}, qr/role "guest" lacks privileges .*\n.*SELECT migrate.grant\('write', 'guest'\); SELECT migrate.grant\('run', 'guest'\);/,
	'and which ones');
$h = start_client('up', '--dir', $two, '-d', 'first', '-U', 'writer');
is(finish_client($h), 3, 'with one right of two: status');
like($h->{err}, qr/grants them: SELECT migrate.grant\('run', 'writer'\);$/m, 'and the other');
is(query('first', 'SELECT count(*) FROM migrate.migration'), 0, 'nothing was loaded');
$h = start_client('load', $two, '-d', 'first', '-U', 'writer');
is(finish_client($h), 0, 'who only loads needs one') or diag $h->{err};
query('first', q{SELECT migrate.remove('001'), migrate.remove('002')});
$h = start_client('load', $two, '-d', 'first');
is(finish_client($h), 0, 'loaded by another') or diag $h->{err};

# what is not applied is no success
query('first', q{SELECT migrate.hold('001', 'later'), migrate.hold('002', 'later')});
foreach my $mode ([], ['--one-transaction'])
{
	$h = start_client('up', @$mode, '--dir', $two, '-d', 'first');
	is(finish_client($h), 4, "@$mode: all is held");
	like($h->{err}, qr/^pg_migrate: not applied: 001 \(held\), 002 \(held\)$/m, "@$mode: and named");
}
query('first', q{SELECT migrate.unhold('001')});
$h = start_client('up', '--one-transaction', '--dir', $two, '-d', 'first');
is(finish_client($h), 4, 'one is held');
like($h->{err}, qr/^pg_migrate: not applied: 002 \(held\)$/m, 'and named');
query('first', q{SELECT migrate.unhold('002')});
$h = start_client('up', '--one-transaction', '--dir', $two, '-d', 'first');
is(finish_client($h), 0, 'none is held') or diag $h->{err};

# ---------------------------------------------------------------------------
# Where it is
# ---------------------------------------------------------------------------

{
	my $top = "$FindBin::RealBin/../..";
	my @make = ('make', '-s', '-C', $top, "DESTDIR=$work/root", 'PG_CONFIG=pg_config');
	my $installed = "$work/root" . $node->config_data('--bindir') . '/pg_migrate';
	is(system(@make, 'install'), 0, 'make install');
	ok(-x $installed, 'puts it into the directory of psql');
	is(system(@make, 'uninstall'), 0, 'make uninstall');
	ok(!-e $installed, 'removes it');
}

# ---------------------------------------------------------------------------
# First starts at once
# ---------------------------------------------------------------------------

foreach my $round (1 .. 3)
{
	query('postgres', "CREATE DATABASE starts$round");
	my @starts = map { start_client('up', '--dir', $two, '--create-extension', '-d', "starts$round") } 1 .. 8;
	is(join(' ', map { finish_client($_) } @starts), '0 0 0 0 0 0 0 0', "round $round: eight first starts")
	  or diag map { $_->{err} } @starts;
	is(query("starts$round", 'SELECT count(*) FROM migrate.applied'), 2, "round $round: all is applied");
}

# ---------------------------------------------------------------------------
# A concurrent build in the release
# ---------------------------------------------------------------------------

query('postgres', 'CREATE DATABASE builds');
query('builds', 'CREATE EXTENSION migrate; CREATE TABLE big (n int)');
my $build = directory('build', '001_i.sql' => 'CREATE INDEX CONCURRENTLY big_n ON big (n)',
	'002_c.sql' => 'CREATE TABLE c (n int)');
my $newer = directory('newer', '001_i.sql' => 'CREATE INDEX CONCURRENTLY big_n ON big (n)',
	'002_c.sql' => 'CREATE TABLE c (n int)', '003_d.sql' => 'CREATE TABLE d (n int)');
my $blocker = $node->background_psql('builds');
$blocker->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM big');
my $first = start_client('up', '--dir', $build, '-d', 'builds');
until_true('builds', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'virtualxid'}, 'the build waits');
my @late = map { start_client('up', '--dir', $_, '-d', 'builds') } $build, $newer, $build, $newer, $newer;
push @late, start_client('up', '--one-transaction', '--dir', $newer, '--wait', '60', '-d', 'builds');
until_true('builds', q{SELECT count(*) >= 7 FROM pg_stat_activity WHERE application_name ~ 'pg_migrate|^migrate '}, 'all have come');
foreach my $late (@late[ 1, 5 ])
{
	like(wait_for_message($late, qr/another session is running, waiting for it/), qr/waiting/, 'who comes late waits');
	unlike($late->{err}, qr/ERROR/, 'who waits shows no error');
}
$blocker->quit;
is(join(' ', map { finish_client($_) } $first, @late), '0 0 0 0 0 0 0', 'all come to a good end')
  or diag map { $_->{err} } $first, @late;
is(query('builds', q{SELECT string_agg(version, ' ' ORDER BY version) FROM migrate.applied}), '001 002 003', 'all is applied');
is(query('builds', q{SELECT count(*) FROM migrate.journal WHERE outcome = 'failure'}), 0, 'without a failure');
is(query('builds', q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'big_n'::regclass}), 't', 'the index is valid');

# not for ever
query('builds', q{ALTER DATABASE builds SET migrate.wait_timeout = '1s';
	SELECT migrate.add('004', 'CREATE INDEX CONCURRENTLY again ON big (n)')});
$blocker = $node->background_psql('builds');
$blocker->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM big');
my $builder = $node->background_psql('builds');
$builder->query_until(qr/^$/, "CALL migrate.apply_each();\n");
until_true('builds', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'virtualxid'}, 'the build waits');
my $more = directory('more', '005_e.sql' => 'CREATE TABLE e (n int)');
$h = start_client('up', '--one-transaction', '--dir', $more, '-d', 'builds');
is(finish_client($h), 3, 'after migrate.wait_timeout it is an error');
like($h->{err}, qr/another session is still running, giving up/, 'which says so');
$h = start_client('up', '--one-transaction', '--dir', $more, '--wait', '60', '-d', 'builds');
wait_for_message($h, qr/waiting for it/);
usleep(2_500_000);    # longer than migrate.wait_timeout: --wait counts
$blocker->quit;
is(finish_client($h), 0, '--wait really waits') or diag $h->{err};
$builder->quit;

# a schema of that name is in the way, which another try does not change
query('postgres', 'CREATE DATABASE taken');
query('taken', 'CREATE SCHEMA migrate');
my $taken = start_client('load', $two, '--create-extension', '-d', 'taken');
is(finish_client($taken), 3, 'a schema in the way of the extension: status');
like($taken->{err}, qr/^ERROR:  schema "migrate" already exists$/m, 'and the error of the server');

# ---------------------------------------------------------------------------
# A client that is killed
# ---------------------------------------------------------------------------

query('postgres', 'CREATE DATABASE killed');
query('killed', 'CREATE EXTENSION migrate; CREATE TABLE gate (n int)');
my $slow = directory('slow', '001_a.sql' => 'CREATE TABLE k (n int); SELECT pg_sleep(600)', '002_b.sql' => 'SELECT 1');
my $running = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'killed' AND wait_event = 'PgSleep'};
my $none = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'killed' AND state <> 'idle' AND pid <> pg_backend_pid()};

# what => whom to send which signals
my %ways = (
	'TERM to the group' => [ 'TERM', -1 ],
	'INT to the group, twice' => [ 'INT', -1, 'INT', -1 ],
	'HUP to the group' => [ 'HUP', -1 ],
	'TERM to the shell' => [ 'TERM', 1 ]);
foreach my $way (sort keys %ways)
{
	foreach my $mode ([], ['--one-transaction'])
	{
		my @signals = @{ $ways{$way} };
		my $load = start_client('up', @$mode, '--dir', $slow, '-d', 'killed');
		until_true('killed', $running, 'it runs');
		while (my ($signal, $sign) = splice(@signals, 0, 2))
		{
			kill $signal, $sign * $load->{pid} or die "kill: $!";
		}
		cmp_ok(finish_client($load), '>', 128, "$way, @$mode: status");
		is(query('killed', $none), 't', "$way, @$mode: nothing is left running");
		like($load->{err}, qr/nothing of this call runs in the server any more/, "$way, @$mode: which is said");
		is(query('killed', q{SELECT count(*) FROM migrate.applied}), 0, "$way, @$mode: nothing is applied");
		is(query('killed', q{SELECT to_regclass('k') IS NULL}), 't', "$way, @$mode: nothing is left");
	}
}

# without a chance to say anything, and a lost connection
my $load = start_client('up', '--dir', $slow, '-d', 'killed');
until_true('killed', $running, 'it runs');
kill 'KILL', -$load->{pid};
$load->{run}->finish;
until_true('killed', $none, 'the server notices by itself');
is(query('killed', q{SELECT count(*) FROM migrate.applied}), 0, 'KILL: nothing is applied');

# the shell alone, as who ends a child after a time-out does
foreach my $mode ([], ['--one-transaction'])
{
	local $ENV{TMPDIR} = directory("tmp@$mode");
	$load = start_client('up', @$mode, '--dir', $slow, '-d', 'killed');
	until_true('killed', $running, 'it runs');
	isnt(join(' ', glob("$ENV{TMPDIR}/*")), '', "KILL to the shell, @$mode: there are temporary files");
	kill 'KILL', $load->{pid};
	$load->{run}->finish;
	is(query('killed', $none), 't', "KILL to the shell, @$mode: nothing is left running");
	like($load->{err}, qr/nothing of this call runs in the server any more/, "KILL to the shell, @$mode: which is said");
	is(query('killed', q{SELECT count(*) FROM migrate.applied}), 0, "KILL to the shell, @$mode: nothing is applied");
	is(join(' ', glob("$ENV{TMPDIR}/*")), '', "KILL to the shell, @$mode: no temporary file is left");
}

$load = start_client('up', '--dir', $slow, '-d', 'killed');
until_true('killed', $running, 'it runs');
query('killed', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
isnt(finish_client($load), 0, 'lost connection: status');
like($load->{err}, qr/nothing of this call runs in the server any more/, 'lost connection: what is certain is said');

# somebody else's run with the same role is left alone
my $other = start_client('up', '--dir', $slow, '-d', 'killed', '--project', 'other');
until_true('killed', $running, 'the other one runs');
$load = start_client('up', '--dir', $slow, '-d', 'killed');
until_true('killed', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = 'killed' AND wait_event = 'Extension'}, 'ours waits');
kill 'TERM', -$load->{pid};
cmp_ok(finish_client($load), '>', 128, 'a call that waits: status');
is(query('killed', $running), 't', 'the run of somebody else goes on');
kill 'TERM', -$other->{pid};
finish_client($other);
is(query('killed', $none), 't', 'until it is ended as well');

# ---------------------------------------------------------------------------
# new goes on as the directory has begun
# ---------------------------------------------------------------------------

my $day = qr/20\d\d(?:0[1-9]|1[0-2])\d\d/;
my @schemes = (
	[ [ '0001_a.sql', '0009_b.sql' ], qr/^0010_x\.sql$/ ],
	[ [ '1.9_a.sql', '1.10_b.sql' ], qr/^1\.11_x\.sql$/ ],
	[ [ '001_2fa.sql' ], qr/^002_x\.sql$/ ],
	[ [ 'V1__a.sql', 'V1.9__b.sql', 'V10__c.sql' ], qr/^V11__x\.sql$/ ],
	[ [ 'V20240101.120000__a.sql' ], qr/^V$day\.\d{6}__x\.sql$/ ],
	[ [ '20240101120000_a.sql' ], qr/^$day\d{6}_x\.sql$/ ],
	[ [ '202401011200_a.sql' ], qr/^$day\d{4}_x\.sql$/ ],
	[ [ '20240101_a.sql' ], qr/^${day}_x\.sql$/ ],
	[ [ '2024-01-02-030405_a.sql' ], qr/^20\d\d-\d\d-\d\d-\d{6}_x\.sql$/ ],
	[ [ '2024_01_02_030405_a.sql' ], qr/^20\d\d_\d\d_\d\d_\d{6}_x\.sql$/ ],
	[ [ '1704164645_a.sql' ], qr/^[1-9]\d{9}_x\.sql$/ ],
	[ [ '1704164645123_a.sql' ], qr/^[1-9]\d{12}_x\.sql$/ ],
	[ [ 'a1b2c3d4_a.sql' ], qr/^[0-9a-f]{8}_x\.sql$/ ],
	[ [ '1_a.up.sql', '1_a.down.sql' ], qr/^2_x\.down\.sql 2_x\.up\.sql$/ ]);
my $n = 0;
foreach my $scheme (@schemes)
{
	my ($files, $expected) = @$scheme;
	my $dir = directory('new' . $n++, map { $_ => 'SELECT 1' } @$files);
	$h = start_client('new', 'x', '--dir', $dir);
	is(finish_client($h), 0, "@$files: new") or diag $h->{err};
	like(join(' ', sort map { s{.*/}{}r } glob("$dir/*x*.sql")), $expected, "@$files: the next one");
}
is((grep { /a1b2c3d4/ } split /\n/, slurp_file((glob("$work/new12/*_x.sql"))[0]))[0],
	'-- migrate:requires a1b2c3d4', 'an id requires the one before');

done_testing();
