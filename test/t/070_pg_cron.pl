# pg_cron itself runs apply() and apply_each(), through libpq and in background
# workers, from the jobs of doc/scheduling.md: what it reports of a run that has
# done something, had nothing to do, or failed, and what the journal has.
#
# Needs servers that preload pg_cron.  Takes up to 75 seconds: a job runs at the
# next full minute.  All jobs of both servers run at the same time.
#
# Packages: postgresql-MAJOR-cron

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my %page = page_blocks('doc/scheduling.md');

# A body that fails with every field, in its second line.
my $broken = <<'END';
SELECT 1;
DO $$ BEGIN RAISE EXCEPTION 'the shop is closed' USING ERRCODE = 'P0042',
	DETAIL = 'It is Sunday.', HINT = 'Come on Monday.'; END $$
END

my @databases = qw(app billing);
my %migrations = (
	default => [
		[ '001', 'CREATE TABLE users (id int)' ],
		[ '002', 'CREATE INDEX CONCURRENTLY users_id ON users (id)' ],
		[ '003', 'ALTER TABLE users ADD name text' ]
	],
	broken => [ [ 'b1', 'CREATE TABLE kept (id int)' ], [ 'b2', $broken ] ],
	background => [ [ 'g1', $broken ] ],
	idle => [ [ 'i1', 'CREATE TABLE idle (id int)' ] ],
	refused => [ [ 'r1', 'CREATE TABLE refused (id int)' ] ]);

# Jobs beside those of the page: name, database, command.
my @jobs = (
	[ 'apply broken', 'billing', q{SELECT migrate.apply(project => 'broken')} ],
	[ 'apply idle', 'billing', q{SELECT migrate.apply(project => 'idle')} ],
	[ 'each broken', 'app', q{CALL migrate.apply_each(project => 'broken')} ],
	[ 'each idle', 'app', q{CALL migrate.apply_each(project => 'idle')} ],
	[ 'start', 'app', q{SELECT migrate.start(project => 'background')} ],
	[
		'two statements', 'app',
		q{SET lock_timeout = '1s'; CALL migrate.apply_each(project => 'refused')}
	]);

# ---------------------------------------------------------------------------
# Two servers with the same jobs
# ---------------------------------------------------------------------------

sub start_server
{
	my ($name, $settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => [ '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8' ]);
	$node->append_conf('postgresql.conf', $page{settings});
	$node->append_conf('postgresql.conf', $settings);
	$node->start;
	return $node;
}

sub add_migrations
{
	my ($node, $db) = @_;

	foreach my $project (sort keys %migrations)
	{
		foreach my $migration (@{ $migrations{$project} })
		{
			my ($version, $up) = @$migration;
			# one transaction cannot build an index concurrently
			$up =~ s/CONCURRENTLY // if $db eq 'billing';
			query($node, $db, 'app_owner',
				    "SELECT migrate.add('$version', "
				  . quote($up)
				  . ", project => '$project')");
		}
	}
	query($node, $db, 'app_owner', q{SELECT migrate.apply(project => 'idle')});
	return;
}

# All jobs begin with the next full minute.
sub schedule
{
	my ($node) = @_;
	my $sql = join "\n", map { $page{$_} =~ s/'0 3 \* \* \*'/'* * * * *'/r } qw(each apply);

	$sql .= "SELECT cron.schedule_in_database('$_->[0]', '* * * * *', "
	  . quote($_->[2])
	  . ", '$_->[1]', 'app_owner');\n"
	  foreach @jobs;
	$node->safe_psql('postgres', $sql);
	return;
}

sub prepare
{
	my ($node) = @_;

	$node->safe_psql('postgres', "CREATE ROLE app_owner LOGIN; $page{setup}");
	owner_database($node, $_, owner => 'app_owner') foreach @databases;
	$node->safe_psql('postgres', $page{'role-settings'});
	add_migrations($node, $_) foreach @databases;
	schedule($node);
	return;
}

# ---------------------------------------------------------------------------
# What has happened
# ---------------------------------------------------------------------------

# Wait until a query returns true.  It takes up to a minute, so look once a second.
sub wait_until
{
	my ($node, $db, $sql) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;

	while ($node->safe_psql($db, $sql) ne 't')
	{
		die "waited in vain for $sql" if time > $end;
		sleep 1;
	}
	return;
}

# Wait until each job has run; returns the first run of each by its name.
sub runs
{
	my ($node) = @_;

	wait_until($node, 'postgres', q{
		SELECT count(DISTINCT jobid) = (SELECT count(*) FROM cron.job)
		FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')});
	my @runs = split /\x1e/, $node->safe_psql('postgres', q{
		SELECT string_agg(concat_ws(E'\x1f', jobname, status, return_message), E'\x1e')
		FROM (SELECT DISTINCT ON (jobid) jobname, status, return_message
			FROM cron.job_run_details JOIN cron.job USING (jobid)
			ORDER BY jobid, runid) x});
	return map { my ($name, @rest) = split /\x1f/; $name => \@rest } @runs;
}

# The message is the number of rows, or the command tag.
sub check_success
{
	my ($mode, $what, $run, $rows, $tag) = @_;

	is($run->[0], 'succeeded', "$mode, $what: has succeeded") or diag $run->[1];
	is($run->[1], $mode eq 'libpq' ? $rows : $tag, "$mode, $what: its message");
	return;
}

sub check_failure
{
	my ($name, $run) = @_;

	is($run->[0], 'failed', "$name: has failed");
	like($run->[1], qr/ERROR: +the shop is closed/, "$name: the message");
	like($run->[1], qr/DETAIL: +It is Sunday\./, "$name: DETAIL");
	like($run->[1], qr/HINT: +Come on Monday\./, "$name: HINT");
	like($run->[1], qr/migration "b2", up body, statement 2, line 2/,
		"$name: migration, statement and line");
	return;
}

# The first failure that the journal has, as the page asks for it.
sub check_journal
{
	my ($mode, $node, $db) = @_;

	$page{journal} =~ s/failures\(5\)/failures(5, 'broken')/;
	like(query($node, $db, 'app_owner', $page{journal}),
		qr/\|b2\|2\|2\|P0042\|the shop is closed\|Come on Monday\.\|app_owner\|$/m,
		"$mode, $db: the failure is in the journal");
	is(query($node, $db, 'app_owner', q{
			SELECT string_agg(DISTINCT role, ' ') FROM migrate.journal}),
		'app_owner', "$mode, $db: everything was done as the role of the job");
	is(query($node, $db, 'app_owner', q{
			SELECT string_agg(version, ' ' ORDER BY version) FROM migrate.journal
			WHERE note = 'nightly' AND outcome = 'success'}),
		'001 002 003', "$mode, $db: the job of the page has applied everything");
	is(locks_left($node, $db), '', "$mode, $db: no lock is left");
	return;
}

sub applied
{
	my ($node, $db, $project) = @_;
	return query($node, $db, 'app_owner', qq{
		SELECT string_agg(version, ' ' ORDER BY version) FROM migrate.applied
		WHERE project = '$project'});
}

sub check_apply
{
	my ($mode, $node, %runs) = @_;

	check_success($mode, 'apply()', $runs{'migrate billing'}, '3 rows', 'SELECT 3');
	check_success($mode, 'apply() with nothing to do',
		$runs{'apply idle'}, '0 rows', 'SELECT 0');
	check_failure("$mode, apply()", $runs{'apply broken'});
	is(applied($node, 'billing', 'broken'), '', "$mode, apply(): nothing is left");
	check_journal($mode, $node, 'billing');
	return;
}

sub check_each
{
	my ($mode, $node, %runs) = @_;

	check_success($mode, 'apply_each()', $runs{'migrate app'}, '1 row', 'CALL');
	is(query($node, 'app', 'app_owner', q{
			SELECT indisvalid FROM pg_index
			WHERE indexrelid = to_regclass('users_id')}),
		't', "$mode, apply_each(): the index is valid");
	check_success($mode, 'apply_each() with nothing to do',
		$runs{'each idle'}, '1 row', 'CALL');
	check_failure("$mode, apply_each()", $runs{'each broken'});
	is(applied($node, 'app', 'broken'), 'b1',
		"$mode, apply_each(): what came before the failure stays");
	check_success($mode, 'start()', $runs{start}, '1 row', 'SELECT 1');
	wait_until($node, 'app', q{
		SELECT count(*) > 0 FROM migrate.failures
		WHERE project = 'background' AND sqlstate = 'P0042'});
	is($runs{'two statements'}[0], 'failed', "$mode: two statements are refused");
	like($runs{'two statements'}[1], qr/apply_each\(\).*transaction/,
		"$mode: ... and it says why");
	is(applied($node, 'app', 'refused'), '', "$mode: ... and nothing was run");
	check_journal($mode, $node, 'app');
	return;
}

sub check_alarm
{
	my ($mode, $node) = @_;
	my $alarm = $node->safe_psql('postgres',
		"SELECT string_agg(jobname, ', ' ORDER BY jobname) FROM ("
		  . ($page{'failed-jobs'} =~ s/;\s*$//r)
		  . ') x');

	is($alarm, 'apply broken, each broken, two statements',
		"$mode: the alarm of the page names the jobs that have failed");
	$node->safe_psql('postgres', $page{details});
	return;
}

my $libpq = start_server('libpq', 'cron.use_background_workers = off');
my $workers = start_server('workers', '');
my %servers = (libpq => $libpq, 'background workers' => $workers);

# pg_cron's own connections come by the socket, too
$libpq->append_conf('postgresql.conf', "cron.host = '" . $libpq->host . "'");
$libpq->restart;
foreach my $mode (sort keys %servers)
{
	prepare($servers{$mode});
}
foreach my $mode (sort keys %servers)
{
	my $node = $servers{$mode};
	my %runs = runs($node);

	check_apply($mode, $node, %runs);
	check_each($mode, $node, %runs);
	check_alarm($mode, $node);
	$node->stop('fast');
}
done_testing();
