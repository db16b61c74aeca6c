# The alarms of doc/monitoring.md, as they are on the page and as the role that
# the page makes: each fires for what it is for, and for nothing else.
#
# Needs sessions that are in the middle of a run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my %page = page_blocks('doc/monitoring.md');
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'migrate.lock_timeout = 0');
$node->start;
owner_database($node, 'app');
$node->safe_psql('app', $page{role});

# Run an alarm of the page as the role of the page; returns its rows.
sub alarm_rows
{
	my ($name, $change) = @_;
	my $sql = $page{$name};

	$sql = $change->($sql) if $change;
	return query($node, 'app', 'monitor', $sql);
}

sub add
{
	my ($version, $up, $down) = @_;
	query($node, 'app', 'app',
		"SELECT migrate.add('$version', " . quote($up) . ', ' . quote($down // 'SELECT 1') . ')');
	return;
}

# Make a call whose migration fails, as app.
sub fails
{
	my ($sql) = @_;
	my ($status, undef, $err) = run_sql($node, 'app', 'app', $sql);
	die "no migration has failed: $sql: $err" if $err !~ /^CONTEXT:  migration/m;
	return;
}

# Put the failures that there are this far into the past.
sub age
{
	my ($interval) = @_;
	$node->safe_psql('app',
		"UPDATE migrate.journal SET started_at = started_at - interval '$interval'");
	return;
}

my $apply = 'SELECT * FROM migrate.apply()';
my $not_quiet = 'SET migrate.failure_quiet = 0; ';

# ---------------------------------------------------------------------------
# A migration has failed
# ---------------------------------------------------------------------------

add('001', 'CREATE TABLE users (id int)');
query($node, 'app', 'app', $apply);
is(alarm_rows('failed'), '', 'failed: quiet after a success');

add('002', 'SELECT 1 / 0');
is(alarm_rows('failed'), '', 'failed: quiet while something is only pending');
fails($apply);
age('2 days');
fails($apply);
my $rows = alarm_rows('failed');
like($rows, qr/^default\|002\|apply\|.*\|2\|22012: division by zero\|app$/,
	'failed: says which, how often, the error and the role');
is(query($node, 'app', 'monitor',
		'SELECT now() - since > \'2 days\' AND now() - last < \'1 hour\' FROM ('
		  . ($page{failed} =~ s/;\s*$//r) . ') x'),
	't', 'failed: says since when');

query($node, 'app', 'app', q{SELECT migrate.hold('002', 'later')});
is(alarm_rows('failed'), '', 'failed: quiet when it is held');
query($node, 'app', 'app', q{SELECT migrate.unhold('002')});
isnt(alarm_rows('failed'), '', 'failed: fires when it is not held any more');
query($node, 'app', 'app', q{SELECT migrate.remove('002')});
is(alarm_rows('failed'), '', 'failed: quiet when it is removed');

add('002', 'CREATE TABLE orders (id int)', 'DROP TABLE nobody');
isnt(alarm_rows('failed'), '', 'failed: fires while the mended one is not applied');
query($node, 'app', 'app', $apply);
is(alarm_rows('failed'), '', 'failed: quiet when it is applied');

fails('SELECT * FROM migrate.rollback()');
like(alarm_rows('failed'), qr/^default\|002\|rollback\|.*\|1\|42P01: /,
	'failed: fires for a roll-back, too');
query($node, 'app', 'app', 'CREATE TABLE nobody ()');
query($node, 'app', 'app', 'SELECT * FROM migrate.rollback()');
is(alarm_rows('failed'), '', 'failed: quiet when it is rolled back');
query($node, 'app', 'app', q{SELECT migrate.remove('002')});

# ---------------------------------------------------------------------------
# The same migration fails again and again
# ---------------------------------------------------------------------------

age('2 hours');
add('003', 'SELECT 1 / 0');
fails($not_quiet . $apply) foreach 1 .. 2;
is(alarm_rows('repeated'), '', 'repeated: quiet after two failures');
fails($not_quiet . $apply);
like(alarm_rows('repeated'), qr/^default\|003\|3\|.*\|\{22012\}$/,
	'repeated: fires after the third');
age('2 hours');
is(alarm_rows('repeated'), '', 'repeated: quiet when they are old');
my $before = log_size($node);
fails($apply) foreach 1 .. 3;
is(alarm_rows('repeated'), '',
	'repeated: the same failure is not counted within migrate.failure_quiet');
is(scalar(() = log_since($node, $before) =~ /migrate: apply of migration "003"/g),
	3, '... but the server log has each of them');
query($node, 'app', 'app', q{SELECT migrate.remove('003')});

# ---------------------------------------------------------------------------
# A migration is running for over five minutes
# ---------------------------------------------------------------------------

# Whoever works or waits on this page does so for a fraction of a second.
my $shorter = sub { $_[0] =~ s/5 minutes/10 milliseconds/r };

sub has_lasted
{
	my ($pid) = @_;
	$node->poll_query_until('app',
		"SELECT now() - query_start > '20 milliseconds' FROM pg_stat_activity WHERE pid = $pid")
	  or die "process $pid is gone";
	return;
}

sub check_running
{
	my ($name, $version, $call) = @_;
	my $gate = session($node, 'app', 'app');
	my $runner = session($node, 'app', 'app');
	my $second = session($node, 'app', 'app');
	my ($pid, $second_pid) = (pid_of($runner), pid_of($second));

	is(alarm_rows('running', $shorter), '', "running $name: quiet when nothing runs");
	add($version, 'SELECT 1; SELECT pg_advisory_xact_lock(73)');
	ask($gate, 'SELECT pg_advisory_lock(73)');
	ask_start($runner, $call);
	is_waiting($node, $pid) or die 'the run does not wait';
	ask_start($second, $call);
	is_waiting($node, $second_pid, 'Extension') or die 'the second run does not wait';
	has_lasted($second_pid);
	is(alarm_rows('running'), '', "running $name: quiet before the time");
	like(alarm_rows('running', $shorter),
		qr/^\d+\|apply\|$version\|2\|2\|[^\n]*\|t\|$pid\|app$/,
		"running $name: fires when it takes longer, and says which and what it waits for");
	$gate->quit;
	ask_wait($_) foreach $runner, $second;
	is(alarm_rows('running', $shorter), '', "running $name: quiet afterwards");
	$_->quit foreach $runner, $second;
	return;
}

check_running('apply()', '004', "$apply;");
check_running('apply_each()', '005', 'CALL migrate.apply_each();');
done_testing();
