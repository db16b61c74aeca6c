# A process that is ended while it waits for the runner lock, outside of any
# transaction, leaves no lock behind: nobody would ever give it up.
#
# Needs sessions that are ended in the middle.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

my $db = 'locks';

owner_database($node, $db);
query($node, $db, 'app', q{
	CREATE TABLE gate ();
	SELECT migrate.add('001', 'LOCK TABLE gate IN ACCESS SHARE MODE')});

my $holder = session($node, $db, 'app');
my $gate = session($node, $db, 'app');

# Locks of processes that are not there.
my $of_the_dead = q{SELECT string_agg(concat_ws(' ', locktype, classid::regclass, objsubid, mode), ', ')
	FROM pg_locks WHERE pid NOT IN (SELECT pid FROM pg_stat_activity)};

sub end_process
{
	my ($pid) = @_;

	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	return $node->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
}

ask($gate, 'BEGIN; LOCK TABLE gate');
ask_start($holder, 'SET migrate.lock_timeout = 0; CALL migrate.apply_each()');
is_waiting($node, pid_of_query($db, 'apply_each')) or die 'the first run does not wait';

sub pid_of_query
{
	my ($database, $text) = @_;
	my $query = "SELECT pid FROM pg_stat_activity WHERE datname = '$database' AND query LIKE '%$text%' LIMIT 1";

	$node->poll_query_until('postgres', "SELECT EXISTS ($query)")
	  or die "nobody has said $text";
	return $node->safe_psql('postgres', $query);
}

# a worker, whose run has begun with its row
query($node, $db, 'app', 'SELECT migrate.start()');
my $worker = q{SELECT pid FROM pg_stat_activity
	WHERE backend_type = 'migrate run' AND wait_event = 'Extension' AND xact_start IS NULL};
$node->poll_query_until('postgres', "SELECT EXISTS ($worker)")
  or die 'the worker does not wait';
ok(end_process($node->safe_psql('postgres', "$worker")), 'a waiting worker is ended');
is($node->safe_psql($db, $of_the_dead), '', 'and leaves no lock');

# a session that has lost the lock in a pause, and waits for it again
query($node, $db, $superuser, q{CREATE TABLE public.other (); ALTER TABLE public.other OWNER TO app});
my $late = session($node, $db, 'app');
my $late_pid = pid_of($late);

ask_start($late, 'CALL migrate.apply_each()');
$node->poll_query_until('postgres',
	"SELECT wait_event = 'Extension' AND xact_start IS NULL FROM pg_stat_activity WHERE pid = $late_pid")
  or die 'the second run does not wait';
ok(end_process($late_pid), 'a waiting session is ended');
is($node->safe_psql($db, $of_the_dead), '', 'and leaves no lock');

ask($gate, 'COMMIT');
ask_wait($holder);
is(query($node, $db, 'app', q{SELECT state FROM migrate.status()}), 'applied', 'the first run succeeds');
is($node->safe_psql($db, 'DROP EXTENSION migrate CASCADE; SELECT 1'), '1', 'the extension can be dropped');

done_testing();
