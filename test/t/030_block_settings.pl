# What a block between BEGIN and COMMIT has SET, where it has SET LOCAL the same
# setting, in any order and at any savepoint: the rest of the body, the verify body
# and a later call have what psql has after the COMMIT.
#
# Needs failures between the steps, and a session that is ended in one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use InSteps;
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

start_in('block_settings');

# What a setting is after the block, in psql.
sub in_psql
{
	my ($block, $name) = @_;
	return (split /\n/, app("$block; SHOW $name"))[-1];
}

my @blocks = (
	[ 'search_path', 'SET search_path = side; SET LOCAL search_path = public' ],
	[ 'search_path', 'SET LOCAL search_path = public; SET search_path = side' ],
	[ 'search_path', 'SET LOCAL search_path = side' ],
	[ 'search_path', 'SAVEPOINT a; SET search_path = side; SET LOCAL search_path = public' ],
	[ 'search_path', 'SET search_path = side; SAVEPOINT a; SET LOCAL search_path = public' ],
	[ 'search_path', 'SET LOCAL search_path = public; SAVEPOINT a; SET search_path = side; SAVEPOINT b; SET LOCAL search_path = pg_temp' ],
	[ 'search_path', 'SET search_path = side; SET LOCAL search_path TO DEFAULT' ],
	[ 'search_path', q{SELECT set_config('search_path', 'side', false), set_config('search_path', 'public', true)} ],
	[ 'work_mem', q{SET work_mem = '7MB'; SET LOCAL work_mem = '8MB'} ],
	[ 'seq_page_cost', 'SET seq_page_cost = 1.25; SET LOCAL seq_page_cost = 2' ],
	[ 'enable_seqscan', 'SET enable_seqscan = off; SET LOCAL enable_seqscan = on' ],
	[ 'bytea_output', 'SET bytea_output = escape; SET LOCAL bytea_output = hex' ],
	[ 'my.own', q{SET my.own = 'a=b'; SET LOCAL my.own = 'c'} ],
	[ 'role', 'SET ROLE pg_read_all_stats; SET LOCAL ROLE none' ]);

$node->safe_psql('postgres', 'GRANT pg_read_all_stats TO app');
foreach my $case (@blocks)
{
	my ($name, $set) = @$case;
	my $block = "BEGIN; $set; COMMIT";

	fresh();
	my $expected = in_psql($block, $name);
	my $sees = "1 / n > 0 AND current_setting('$name') = " . quote($expected);

	foreach my $way (keys %directions)
	{
		my ($add, $call, $done) = @{ $directions{$way} }{qw(add call done)};

		# A verify body is one of the up body's.
		if ($way eq 'up')
		{
			fresh();
			app('GRANT USAGE ON SCHEMA side TO pg_read_all_stats; GRANT SELECT ON public.ctl TO pg_read_all_stats');
			$add->("VACUUM public.ctl; $block", ', verify => ' . quote("SELECT $sees FROM public.ctl"));
			foreach my $attempt (1, 2)
			{
				like((run_sql($node, $db, 'app', $call))[2], qr/22012: division by zero/,
					"$set, verify body, call $attempt: fails as it is to");
			}
			app('UPDATE public.ctl SET n = 1');
			my (undef, undef, $err) = run_sql($node, $db, 'app', $call);
			unlike($err, qr/ERROR/, "$set: a later call verifies with what psql has");
			is(app(q{SELECT state FROM migrate.status()}), $done, 'and is done');
		}

		# A later step.
		fresh();
		app('GRANT SELECT ON public.ctl TO pg_read_all_stats');
		$add->("VACUUM public.ctl; $block; SELECT 1 / (CASE WHEN $sees THEN 1 ELSE 0 END) FROM public.ctl");
		like((run_sql($node, $db, 'app', $call))[2], qr/22012: division by zero/,
			"$set, $way, later step: fails as it is to");
		app('UPDATE public.ctl SET n = 1');
		my (undef, undef, $err) = run_sql($node, $db, 'app', $call);
		unlike($err, qr/ERROR/, 'and a later call goes on with what psql has');
		is(app(q{SELECT state FROM migrate.status()}), $done, 'and is done');
	}
}

# A session that ends right after the block's COMMIT: what was noted in there counts.
fresh();
app(q{
	CREATE TABLE t (i int);
	CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END';
	CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION wait()});
$directions{up}{add}->(
	q{VACUUM public.ctl; BEGIN; INSERT INTO public.t VALUES (1); SET search_path = side; SET LOCAL search_path = public; COMMIT},
	q{, verify => $$SELECT current_setting('search_path') = 'side'$$});

my ($gate, $books, $runner) = map { session($node, $db, 'app') } 1 .. 3;
my $superuser = session($node, $db);
my $pid = pid_of($runner);
my $books_pid = pid_of($superuser);

# the COMMIT waits for gate, and what comes after it for a lock on migrate.step
ask($gate, 'SELECT pg_advisory_lock(7)');
ask_start($runner, 'SET migrate.lock_timeout = 0; CALL migrate.apply_each()');
is_waiting($node, $pid) or die 'the COMMIT does not wait';
ask_start($superuser, 'BEGIN; LOCK TABLE migrate.step IN SHARE MODE');
is_waiting($node, $books_pid) or die 'the lock does not wait';
ask($gate, 'SELECT pg_advisory_unlock(7)');
ask_wait($superuser);
is_waiting($node, $pid) or die 'the run does not wait';
is(scalar(ask($superuser, 'SELECT settings FROM migrate.step WHERE statement = 2')),
	'{search_path=side}', 'the step has noted what will be after its COMMIT');
ask($superuser, "SELECT pg_terminate_backend($pid)");
$node->poll_query_until($db, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid")
  or die 'the session does not end';
ask($superuser, 'COMMIT');
my (undef, undef, $err) = run_sql($node, $db, 'app', 'CALL migrate.apply_each()');
unlike($err, qr/ERROR/, 'the next call verifies with that');
is(app(q{SELECT state FROM migrate.status()}), 'applied', 'and is done');

$_->quit foreach $gate, $books, $superuser;
$node->stop;
done_testing();
