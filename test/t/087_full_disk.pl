# The disk is full: a file system of 96 MB, with the database on it and the log of
# the server elsewhere, or with both.
#
# In the first case the run fails with the server's error, nothing is half done and
# the server stays up.  In the second the server itself gives up.  In both the next
# call finishes the work when there is room again.
#
# test/run mounts that file system if it may; otherwise this file tries to do so
# in a user namespace.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

my ($elsewhere, $disk);

# Everything that belongs to a server is on the small disk, before
# PostgreSQL::Test::Utils looks for a place.  This file's own log is not, and
# neither is the server's, in which test/run would not like to see a PANIC.
BEGIN
{
	$elsewhere = $ENV{TESTDATADIR} . '/087_elsewhere';
	system('mkdir', '-p', $elsewhere) == 0 or die "could not make $elsewhere";
	$disk = $ENV{MIGRATE_SMALL_DISK};
	if (!defined $disk && !$ENV{MIGRATE_OWN_NAMESPACE})
	{
		$ENV{MIGRATE_OWN_NAMESPACE} = 1;
		my @unshare = qw(unshare --user --map-current-user --keep-caps --mount);
		exec @unshare, '--', $^X, $0
		  if system("@unshare true 2>/dev/null") == 0;
	}
	elsif (!defined $disk)
	{
		mkdir "$elsewhere/small";
		$disk = "$elsewhere/small"
		  if system("mount -t tmpfs -o size=96m tmpfs '$elsewhere/small'") == 0;
	}
	if (defined $disk)
	{
		# 15 knows only one variable
		@ENV{qw(TESTDIR TESTDATADIR TESTLOGDIR)} =
		  ($disk, "$disk/tmp_check", "$elsewhere/log");
		mkdir $_ or die "$_: $!" foreach "$disk/tmp_check", "$elsewhere/log";
		symlink("$elsewhere/log", "$disk/tmp_check/log") or die $!;
	}
}

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

if (!defined $disk)
{
	SKIP:
	{
		skip 'it may not mount a file system', 1 if ($ENV{CI} // '') ne 'true';
		fail('there is a small disk: run as root, or allow user namespaces');
	}
	done_testing();
	exit;
}

my $db = 'small';
my $node;
my $apply = 'SELECT count(*) FROM migrate.apply()';
my $each = 'CALL migrate.apply_each()';
my $no_space = qr/No space left on device/;

sub app
{
	my ($sql) = @_;
	return query($node, $db, 'app', $sql);
}

# Leave only so many kB, or all that there is.  The server may take some of it at
# the same moment.
sub leave
{
	my ($kb) = @_;
	my $filler = "$disk/filler";

	unlink $filler;
	return unless defined $kb;
	foreach (1 .. 20)
	{
		my ($free) = `df --output=avail -k '$disk'` =~ /(\d+)\s*\z/;

		die "only $free kB are free" if $free < $kb;
		return if system('fallocate', '--length', ($free - $kb) . 'KiB', $filler) == 0;
	}
	die 'could not fill the disk';
}

sub fails
{
	my ($name, $pattern, $sql) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) = run_sql($node, $db, 'app', $sql);

	like($err, $pattern, "$name: fails");
	return $err;
}

sub works
{
	my ($name, $sql) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) = run_sql($node, $db, 'app', $sql);

	is($status, 0, "$name: works") or diag($err);
	return;
}

sub sound
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	agreement($node, $db, "$name: ledger, journal and schema agree");
	is(locks_left($node, $db), '', "$name: no lock is left");
	return;
}

sub crashes
{
	return scalar(() = slurp_file($node->logfile) =~ /PANIC:/g);
}

# test/run does not see this log: nothing but an abort after a PANIC may be in it.
sub no_other_crash
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	unlike(slurp_file($node->logfile),
		qr/TRAP:|was terminated by signal (?!6:)|Sanitizer/, 'no other crash');
	return;
}

sub start_server
{
	my ($name, @initdb) = @_;

	$node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => [ '--wal-segsize=1', @initdb ]);
	$node->append_conf(
		'postgresql.conf', q{
autovacuum = off
min_wal_size = 2MB
max_wal_size = 32MB
restart_after_crash = off
migrate.failure_quiet = 0
migrate.progress_notices = off
});
	$node->start;
	owner_database($node, $db);
	app(q{CREATE TABLE big AS SELECT i, repeat(md5(i::text), 8) AS x
	FROM generate_series(1, 40000) i});
	return;
}

# Start the server that has given up, once it is gone.
sub start_again
{
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;

	while (-e $node->data_dir . '/postmaster.pid')
	{
		die 'the server does not go' if time > $end;
		usleep(20_000);
	}
	$node->_update_pid(0);
	$node->start;
	return;
}

# ---------------------------------------------------------------------------
# The database is on the full disk
# ---------------------------------------------------------------------------

start_server('database', '--waldir', "$elsewhere/wal");
app(q{SELECT migrate.add('1', 'CREATE TABLE t_1 (id int)', 'DROP TABLE t_1');
	SELECT migrate.add('2', 'CREATE TABLE t_2 AS TABLE big', 'DROP TABLE t_2')});

leave(4096);
my $err = fails('apply()', $no_space, $apply);
like($err, qr/ERROR:  53100: .*HINT:  .*free disk space/s, 'apply(): the hint says what to do');
like($err, qr/CONTEXT:  .*migration "2", up body, statement 1, line 1/s,
	'apply(): says where');
unlike($err, qr/WARNING/, 'apply(): is journalled');
is(app('SELECT count(*) FROM migrate.applied'), '0', 'apply(): nothing is half done');
sound('apply()');

fails('apply_each()', $no_space, $each);
is(app('SELECT string_agg(version, $$ $$) FROM migrate.applied'),
	'1', 'apply_each(): what came before stays');
is(app('SELECT string_agg(sqlstate, $$ $$) FROM migrate.failures'),
	'53100 53100', 'apply_each(): both failures are in the journal');
sound('apply_each()');
my $run = app('SELECT migrate.start()');
fails('start()', $no_space, "CALL migrate.wait($run)");
sound('start()');

leave(undef);
works('room again', $each);
is(app('SELECT count(*) FROM t_2'), '40000', 'room again: the work is done');
sound('room again');

# In the middle of a migration that takes several transactions.
app(q{SELECT migrate.add('3', 'CREATE TABLE t_3 (id int);
	CREATE INDEX CONCURRENTLY big_x ON t_2 (x, i);
	INSERT INTO t_3 VALUES (1)', 'DROP INDEX big_x; DROP TABLE t_3')});
leave(4096);
fails('a build', $no_space, $each);
is(app('SELECT string_agg(state, $$ $$) FROM migrate.status()'),
	'applied applied partial', 'a build: partly applied');
fails('a build, again', $no_space, $each);
is(app('SELECT count(*) FROM pg_index WHERE NOT indisvalid'),
	'1', 'a build: one index is left, not two');
leave(undef);
works('a build, room again', $each);
is(app(q{SELECT count(*) FILTER (WHERE indisvalid), count(*) FROM pg_index
		WHERE indrelid = 't_2'::regclass}),
	'1|1', 'a build: the index is valid');
is(app('SELECT count(*) FROM t_3'), '1', 'a build: the work is done once');
sound('a build');

# Not one page is left, for the books neither.
app(q{SELECT migrate.add('4', 'CREATE TABLE t_4 AS SELECT 1 AS id', 'DROP TABLE t_4')});
leave(0);
fails('no page is left, apply()', $no_space, $apply);
fails('no page is left, apply_each()', $no_space, $each);
sound('no page is left');
leave(undef);
works('no page was left', $each);
is(app('SELECT count(*) FROM t_4'), '1', 'no page was left: the work is done');
sound('no page was left');
is(crashes(), 0, 'the server stays up');
no_other_crash();
$node->stop;

# ---------------------------------------------------------------------------
# So is the log, without which the server cannot go on
# ---------------------------------------------------------------------------

system_or_bail('rm', '-r', $node->data_dir);
start_server('log');
app(q{SELECT migrate.add('1', 'CREATE TABLE t_1 (id int)', 'DROP TABLE t_1');
	SELECT migrate.add('2', 'CREATE TABLE t_2 AS SELECT 1 AS id;
	SELECT count(pg_logical_emit_message(true, $$x$$, repeat(md5(i::text), 10000)))
	FROM generate_series(1, 100) i', 'DROP TABLE t_2')});
foreach my $call ($apply, $each)
{
	query($node, $db, $superuser, 'CHECKPOINT');
	leave(3072);
	fails("log, $call", qr/server closed the connection|terminating connection/, $call);
	is(crashes(), $call eq $apply ? 1 : 2, "log, $call: the server gives up");
	leave(undef);
	start_again();
	is(app('SELECT string_agg(version, $$ $$) FROM migrate.applied'),
		$call eq $apply ? '' : '1', "log, $call: what was committed stays");
	sound("log, $call");
}
works('log, room again', $each);
is(app('SELECT count(*) FROM t_2'), '1', 'log, room again: the work is done');
is(app(q{SELECT count(*) FROM migrate.run WHERE outcome = 'interrupted'}),
	'1', 'log, room again: the run that was cut off is known');
sound('log, room again');
no_other_crash();
$node->stop;
done_testing();
