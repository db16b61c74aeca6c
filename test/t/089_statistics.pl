# Nothing that the extension asks of its tables depends on their statistics: in
# tables that were never analyzed, that were analyzed while they were empty, and
# that were when they had the rows of another project alone, each call reads a
# number of rows that grows with the project, and not with its square.
#
# Needs a server without autovacuum, and databases of its own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl", $FindBin::RealBin;

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
autovacuum = off
migrate.progress_notices = off
client_min_messages = error
});
$node->start;

my $db = 'statistics';
my $count = 2000;
my $applied = $count * 9 / 10;

# of a call that reads each row of each table this often nobody complains
my $at_most = 100 * $count;

my $tables = join ', ', map { "migrate.$_" } qw(migration applied journal executed_text step run state policy);

sub files
{
	my ($number, $up, $down) = @_;
	return "(SELECT jsonb_object_agg(format('%s_x.sql', 10000 + n),
		format(E'-- migrate:up\\n$up;\\n', n) || "
	  . quote($down ? "-- migrate:down\n$down;\n" : '') . ")
		FROM generate_series(1, $number) n)";
}

my %statistics = (
	'never analyzed' => '',
	'analyzed when empty' => "ANALYZE $tables",
	'analyzed with another project' => 'SELECT FROM migrate.load('
	  . files(20, 'SELECT %s', 'SELECT 1')
	  . ", project => 'other'); SELECT FROM migrate.apply(project => 'other'); ANALYZE $tables",
	'analyzed' => undef);

# a roll-back or an edit of many is of half of them, of one of any of them
my $half = $count / 2;
my $last = 10000 + $count;
my $newest = 10000 + $applied;
my $files = files($count, 'SELECT %s', 'SELECT 1');
my @calls = (
	'SELECT count(*) FROM migrate.status()',
	'SELECT count(*) FROM migrate.plan()',
	"SELECT count(*) FROM migrate.plan_rollback($half)",
	'SELECT migrate.current()',
	'SELECT migrate.heads()',
	'SELECT count(*) FROM migrate.history(1000000)',
	'SELECT count(*) FROM migrate.failures(1000000)',
	'SELECT count(*) FROM migrate.progress()',
	'SELECT count(*) FROM migrate.outcome(1)',
	'SELECT count(*) FROM migrate.statements(1)',
	'SELECT count(*) FROM migrate.schema_migrations',
	'SELECT count(*) FROM migrate.verify()',
	'SELECT count(*) FROM migrate.lint()',
	'SELECT length(migrate.report())',
	"SELECT length(migrate.report('json', rehearse => true))",
	'SELECT length(migrate.script())',
	'DO $$ BEGIN PERFORM migrate.check(); EXCEPTION WHEN SQLSTATE \'MG020\' THEN NULL; END $$',
	"SELECT count(*) FROM migrate.load($files)",
	'SELECT count(*) FROM migrate.load(' . files($half, 'SELECT %s', 'SELECT 1') . ', prune => true)',
	'SELECT count(*) FROM migrate.load(' . files($count, 'SELECT /**/ %s', 'SELECT 1') . ')',
	'SELECT count(*) FROM migrate.load(' . files($count, 'SELECT %s + 1') . ', accept => true)',
	'SELECT count(*) FROM migrate.rehearse()',
	'SELECT count(*) FROM migrate.apply()',
	"SELECT count(*) FROM migrate.rollback($half)",
	"SELECT count(*) FROM migrate.redo($half)",
	"SELECT count(*) FROM migrate.stamp_to('$last')",
	"SELECT count(*) FROM migrate.stamp('$last')",
	"SELECT count(*) FROM migrate.unstamp('$newest')",
	"SELECT migrate.hold('$last', 'x')",
	"SELECT migrate.remove('$last')",
	"SELECT migrate.amend('$newest', up => 'SELECT 0')",
	q{UPDATE migrate.migration SET up = up || '-- x'},
	"SELECT migrate.prune_journal('0 s')",
	'CALL migrate.rollback_each(100)',
	'CALL migrate.apply_each()');

# The rows that each call reads: they run one after the other in one session, in
# transactions that are rolled back where that is possible.
sub rows_read
{
	my $read = q{SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))
		FROM pg_stat_user_tables WHERE schemaname = 'migrate'};
	my $flush = "SELECT pg_stat_force_next_flush() \\g /dev/null\n";
	my $script = "$flush$read;\n";

	foreach my $call (@calls)
	{
		my $sql = $call =~ /^CALL/ ? "$call;\n" : "BEGIN;\n$call;\nROLLBACK;\n";
		$script .= "\\o /dev/null\n$sql\\o\n$flush$read;\n";
	}
	return split /\n/, query($node, $db, $superuser, $script);
}

foreach my $name (sort keys %statistics)
{
	my $before = $statistics{$name};

	owner_database($node, $db);
	query($node, $db, $superuser, $before) if $before;
	query($node, $db, $superuser, qq{
		SELECT count(*) FROM migrate.load($files);
		SELECT count(*) FROM migrate.apply('$newest');
		INSERT INTO migrate.journal (run, seq, action, project, version, name, checksum,
				outcome, started_at, execution_ms, role, session_role, backend_pid,
				server_version, extension_version, sqlstate, message)
			SELECT nextval('migrate.run_seq'), 1, 'apply', project, version, name, checksum,
				'failure', now(), 1, 'x', 'x', 1, 'x', 'x', '42P01', 'failed'
			FROM migrate.migration WHERE project = 'default'});
	query($node, $db, $superuser, "ANALYZE $tables") if !defined $before;
	is(query($node, $db, $superuser, q{SELECT state, count(*) FROM migrate.status() GROUP BY 1 ORDER BY 1}),
		"applied|$applied\nfailed|" . ($count - $applied), "$name: the states are right");
	my @rows = rows_read();
	is(scalar(@rows), @calls + 1, "$name: all calls have run");
	foreach my $i (0 .. $#calls)
	{
		my $call = length $calls[$i] > 80 ? substr($calls[$i], 0, 60) . '...' . substr($calls[$i], -20) : $calls[$i];

		cmp_ok($rows[ $i + 1 ] - $rows[$i], '<', $at_most, "$name: $call");
	}
}

done_testing();
