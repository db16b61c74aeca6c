# Two sessions and migrate.state: a run that has read the ledger, a change of the
# ledger that does not wait for it, and what the run then says of the project.
#
# A superuser can change the ledger by hand, and logical replication brings rows,
# both without the runner lock.  Wherever that happens between the reading and
# the writing of a call, nothing that is pending may be hidden afterwards.  The
# calls are stopped at each row that they write and in each body, one after the
# other, by triggers and bodies that wait for a lock; an isolation spec would
# need a permutation for each of these places.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'races';
my $node = PostgreSQL::Test::Cluster->new('main');

$node->init;
$node->append_conf('postgresql.conf', q{
fsync = off
autovacuum = off
migrate.failure_quiet = 0
migrate.progress_notices = off
});
$node->start;
$node->safe_psql('postgres', "CREATE DATABASE $db");

# The place number "at" waits for the other session; 0: none does.
$node->safe_psql($db, q{
	CREATE EXTENSION migrate;
	CREATE SEQUENCE place;
	CREATE TABLE stop (at int);
	CREATE FUNCTION wait_here() RETURNS void LANGUAGE sql AS $$
		SELECT pg_advisory_xact_lock(1) FROM public.stop
		WHERE at = nextval('public.place')
	$$;
	CREATE FUNCTION wait_at_row() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM public.wait_here();
		IF TG_OP = 'DELETE' THEN
			RETURN old;
		END IF;
		RETURN new;
	END $$;
	CREATE TABLE looked (pending bigint);
});

my $worker = session($node, $db);
my $other = session($node, $db);
my $changer = session($node, $db);
my $pid = pid_of($worker);
my $changer_pid = pid_of($changer);

# Versions 1 to 140, most of which are settled by the second call.
sub begin_again
{
	my (undef, $err) = ask($other, q{
		TRUNCATE migrate.applied, migrate.step, migrate.policy, migrate.state;
		SET session_replication_role = replica;
		DELETE FROM migrate.migration;
		RESET session_replication_role;
		INSERT INTO migrate.policy (out_of_order) VALUES ('allow');
		TRUNCATE public.stop;
		INSERT INTO migrate.migration (version, up, down)
		SELECT i, 'SELECT public.wait_here()', 'SELECT public.wait_here()'
		FROM generate_series(1, 140) i;
		SELECT count(*) FROM migrate.apply();
		SELECT migrate.add('140.1', 'SELECT public.wait_here()', 'SELECT public.wait_here()');
		SELECT count(*) FROM migrate.apply()});

	die $err if $err =~ /ERROR/;
	die 'nothing is settled' if ask($other, 'SELECT settled_through FROM migrate.state') eq '';
	return;
}

# Changes that do not wait for a run.
my %changes = (
	'a DELETE by hand' => q{DELETE FROM migrate.applied WHERE version = '5'},
	'a changed text by replication' => q{
		SET LOCAL session_replication_role = replica;
		DELETE FROM migrate.applied WHERE version = '5'},
	'a new text by replication' => q{
		SET LOCAL session_replication_role = replica;
		INSERT INTO migrate.migration SELECT (jsonb_populate_record(m, '{"version": "5.5"}')).*
		FROM migrate.migration m WHERE version = '5'});

# What is pending is what apply() applies: its answer against that of status(),
# which reads everything.
sub hides_nothing
{
	my ($what) = @_;

	ask($other, 'TRUNCATE public.stop');
	my $pending = ask($other, q{SELECT string_agg(version, ' ' ORDER BY version)
		FROM migrate.status() WHERE state = 'pending'});
	my ($applied, $err) = ask($other, q{SELECT string_agg(version, ' ' ORDER BY version) FROM migrate.apply()});

	return 1 if $pending ne '' && $applied eq $pending;
	diag("$what: pending are $pending, and applied $applied: $err");
	return 0;
}

# Wait until a session has its answer, true, or waits for a lock.
sub has_answer
{
	my ($session, $pid) = @_;

	for (;;)
	{
		$session->{run}->pump_nb;
		return 1 if $session->{stdout} =~ $session->{end} && $session->{stderr} =~ $session->{end};
		return 0 if ask($other, "SELECT pg_stat_clear_snapshot(), wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid") =~ /t$/;
	}
}

# The messages of a call that is stopped at a place, and whether it was.
sub stopped_at
{
	my ($call, $at, $change) = @_;

	ask($other, "SELECT setval('public.place', 1, false); INSERT INTO public.stop VALUES ($at);"
		. 'SELECT pg_advisory_lock(1)');
	ask_start($worker, $call);
	my $stopped = !has_answer($worker, $pid);

	# it may have to wait for what the call has written already
	ask_start($changer, "BEGIN; $change; COMMIT") if $stopped;
	has_answer($changer, $changer_pid) if $stopped;
	ask($other, 'SELECT pg_advisory_unlock(1)');
	my (undef, $err) = ask_wait($worker);
	my (undef, $wrong) = $stopped ? ask_wait($changer) : ('', '');
	die "$change: $wrong" if $wrong =~ /ERROR/;
	return ($stopped, $err);
}

# Stop a call everywhere, for each of the changes.
sub try_everywhere
{
	my ($name, $prepare, $call) = @_;
	my $hidden = 0;
	my $places = 0;

	foreach my $change (sort keys %changes)
	{
		for (my $at = 1;; $at++)
		{
			begin_again();
			my (undef, $refused) = ask($other, $prepare);
			die "$prepare: $refused" if $refused =~ /ERROR/;
			my ($stopped, $err) = stopped_at($call, $at, $changes{$change});
			last if !$stopped;
			die "$call: $err" if $err =~ /ERROR/;
			$places++;
			$hidden++ if !hides_nothing("$name, $change at place $at");
		}
	}
	is($hidden, 0, "$name: at $places places");
	cmp_ok($places, '>=', 3, "$name: is stopped");
	return;
}

# A change that has begun before the call, and ends while it waits for it.
sub try_open
{
	my ($name, $prepare, $call) = @_;
	my $hidden = 0;

	foreach my $change (sort keys %changes)
	{
		begin_again();
		ask($other, $prepare);
		ask($changer, "BEGIN; $changes{$change}");
		ask_start($worker, $call);
		die "$call does not wait" if has_answer($worker, $pid);
		ask($changer, 'COMMIT');
		my (undef, $err) = ask_wait($worker);
		die "$call: $err" if $err =~ /ERROR/;
		$hidden++ if !hides_nothing("$name, $change was open");
	}
	is($hidden, 0, "$name: waits for an open change");
	return;
}

# ---------------------------------------------------------------------------
# Calls with a body
# ---------------------------------------------------------------------------

my $repeatable = q{SELECT migrate.add('r', 'SELECT public.wait_here()', kind => 'repeatable');
	SELECT count(*) FROM migrate.apply();
	UPDATE migrate.migration SET up = 'SELECT public.wait_here(), 2' WHERE version = 'r'};
my $looks = 'INSERT INTO public.looked SELECT count(*) FROM migrate.plan()';
my @runs = (
	[ 'apply', q{SELECT migrate.add('141', 'SELECT public.wait_here()')}, 'SELECT version FROM migrate.apply()' ],
	[ 'apply of a repeatable', $repeatable, 'SELECT version FROM migrate.apply()' ],
	[ 'apply_each', q{SELECT migrate.add('141', 'SELECT public.wait_here()')}, 'CALL migrate.apply_each()' ],
	[ 'rollback', '', 'SELECT version FROM migrate.rollback(2, hold => true)' ],
	[ 'rollback without a hold', '', 'SELECT version FROM migrate.rollback(2)' ],
	[ 'rollback_each', '', 'CALL migrate.rollback_each(2)' ],
	[ 'redo', '', 'SELECT version FROM migrate.redo(2)' ],
	[ 'a body that looks', qq{SELECT migrate.add('141', 'SELECT public.wait_here(); $looks', 'SELECT public.wait_here(); $looks');
		SELECT count(*) FROM migrate.apply()}, 'SELECT version FROM migrate.redo(1)' ],
);

try_everywhere(@$_) foreach @runs;
try_open(@$_) foreach @runs;

# ---------------------------------------------------------------------------
# Calls that write rows
# ---------------------------------------------------------------------------

# An audit trigger on each of the books.  What is written goes by SQL then.
$node->safe_psql($db, join('', map { qq{
	CREATE TRIGGER a_stop BEFORE INSERT OR UPDATE OR DELETE ON migrate.$_
	FOR EACH ROW EXECUTE FUNCTION wait_at_row();
	CREATE TRIGGER z_stop AFTER INSERT OR UPDATE OR DELETE ON migrate.$_
	FOR EACH ROW EXECUTE FUNCTION wait_at_row();
} } qw(migration applied journal)));

my @writes = (
	[ 'stamp', q{SELECT migrate.add('141', 'SELECT 1')}, q{SELECT version FROM migrate.stamp('141')} ],
	[ 'unstamp', '', q{SELECT version FROM migrate.unstamp('139')} ],
	[ 'hold', q{SELECT migrate.add('141', 'SELECT 1')}, q{SELECT migrate.hold('141', 'not now')} ],
	[ 'add', '', q{SELECT migrate.add('141', 'SELECT 1')} ],
	[ 'remove', q{SELECT migrate.add('141', 'SELECT 1')}, q{SELECT migrate.remove('141')} ],
	[ 'amend', '', q{SELECT migrate.amend('7', down => 'SELECT 2')} ],
);

try_everywhere("with a trigger, $_->[0]", @$_[ 1, 2 ]) foreach @runs, @writes;

# ---------------------------------------------------------------------------
# Triggers that are switched off
# ---------------------------------------------------------------------------

# What says that something has changed, as a restore of data alone leaves it.
foreach my $off (
	[ 'migration', 'a new text by replication', '' ],
	[ 'applied', 'a DELETE by hand', '' ],
	[ 'applied', 'a changed text by replication', 'ALTER TABLE migrate.applied ENABLE TRIGGER ALL;' ])
{
	my ($table, $change, $then) = @$off;

	begin_again();
	ask($other, "ALTER TABLE migrate.$table DISABLE TRIGGER ALL; $then BEGIN; $changes{$change}; COMMIT");
	ok(hides_nothing("$change, $then"), "$table without its triggers: $change is found $then");
	ask($other, "ALTER TABLE migrate.$table ENABLE TRIGGER ALL;"
		. "ALTER TABLE migrate.$table ENABLE REPLICA TRIGGER gate_replica;"
		. "ALTER TABLE migrate.$table ENABLE ALWAYS TRIGGER gate_truncate");
}

done_testing();
