# What is not read: a plan that is made without the migrations that have been
# settled for long is the one that is made with all of them.
#
# Random changes, each followed by the same questions asked twice: once as the
# extension reads, once after migrate.state has been told that nothing is
# settled.  SETTLED_SEED repeats a sequence, SETTLED_STEPS says how long it is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'settled';
my $seed = $ENV{SETTLED_SEED} // 20261130;
my $steps = $ENV{SETTLED_STEPS} // 250;
my $node = PostgreSQL::Test::Cluster->new('main');

$node->init;
$node->append_conf('postgresql.conf', q{
fsync = off
autovacuum = off
migrate.failure_quiet = 0
});
$node->start;
$node->safe_psql('postgres', "CREATE DATABASE $db");

my $helpers = q{
	CREATE EXTENSION migrate;

	-- what migrate.state says of settled migrations and is not so
	CREATE VIEW violation AS
	WITH entry AS (
		SELECT project, version, m.version IS NOT NULL AS stored,
			a.version IS NOT NULL AS applied, a.applied_seq,
			m.checksum = a.checksum
				AND m.down_checksum IS NOT DISTINCT FROM a.down_checksum
				AS unchanged,
			coalesce(m.kind <> 'versioned' OR m.requires <> '{}'
				OR m.held_reason IS NOT NULL, false) AS special
		FROM migrate.migration m FULL JOIN migrate.applied a
			USING (project, version)
	), settled AS (
		SELECT e.*, s.settled_seq, s.settled_highest FROM entry e
		JOIN migrate.state s USING (project)
		WHERE e.version <= s.settled_through AND NOT e.special
			AND e.version <> ALL (s.unsettled)
	)
	SELECT project || ' ' || version AS what FROM settled
	WHERE (stored AND applied AND unchanged) IS NOT TRUE
		OR applied_seq > settled_seq
		OR migrate.version_key(version) > migrate.version_key(settled_highest)
	UNION ALL
	SELECT format('%s has %s', project, settled_count) FROM migrate.state s
	WHERE settled_count <> (SELECT count(*) FROM settled t
		WHERE t.project = s.project);

	-- the rows or the error of a query, which is rolled back
	CREATE FUNCTION ask_rolled_back(everything bool, query text) RETURNS void
	LANGUAGE plpgsql AS $$
	DECLARE
		r record;
		answer text := '';
		d text;
		h text;
	BEGIN
		UPDATE migrate.state SET complete = false;
		IF everything THEN
			UPDATE migrate.state SET settled_through = NULL,
				settled_count = NULL, settled_seq = NULL,
				settled_highest = NULL, unsettled = NULL;
		END IF;
		FOR r IN EXECUTE query LOOP
			answer := answer || r::text || ' ';
		END LOOP;
		RAISE EXCEPTION USING ERRCODE = 'ZZ999', MESSAGE = answer;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL,
			h = PG_EXCEPTION_HINT;
		RAISE INFO '% % (%) (%)', SQLSTATE, SQLERRM, d, h;
	END $$;
};
$node->safe_psql($db, $helpers);

my $session = session($node, $db);
my $settled = 0;
my %answers;

sub violations
{
	return $node->safe_psql($db, 'SELECT what FROM violation LIMIT 5');
}

sub knows_settled
{
	return $node->safe_psql($db,
		q{SELECT count(settled_through) FROM migrate.state}) ne '0';
}

# What the same question is answered by both ways of reading; times and numbers
# of runs aside.
sub both_answers
{
	my ($query) = @_;
	my @answers;

	foreach my $everything ('false', 'true')
	{
		my (undef, $err) = ask($session,
			"SELECT ask_rolled_back($everything, " . quote($query) . ')');

		$err =~ s/^.*(?:LOCATION|CONTEXT|PL\/pgSQL function|SQL statement).*\n//mg;
		$err =~ s/^psql:\S+ //mg;
		$err =~ s/[0-9.]+ ms/N ms/g;
		$err =~ s/\brun \d+/run N/g;
		push @answers, $err;
	}
	return @answers;
}

sub agree
{
	my ($query, $after) = @_;
	my ($some, $all) = both_answers($query);

	$answers{$1}++ if $all =~ /INFO:\s+00000: (\w{5}) /;
	return 1 if $some eq $all;
	diag("seed $seed, after $after:\n$query\n-- as it reads\n$some"
		. "-- with all migrations\n$all");
	return 0;
}

# ---------------------------------------------------------------------------
# Random changes
# ---------------------------------------------------------------------------

my @versions = (1 .. 140);
my $next = 141;

sub one_of
{
	return $_[ int(rand(@_)) ];
}

# more often one of the last
sub version
{
	return rand() < 0.5 ? one_of(@versions) : one_of(@versions[ -20 .. -1 ]);
}

sub new_version
{
	my $version = rand() < 0.7 ? $next++ :
	  one_of(map { $_ . '.' . int(rand(9)) } @versions[ 0 .. 99 ]) ;

	$version = one_of('0', 'a', 'zz') . $next++ if rand() < 0.1;
	push @versions, $version;
	return $version;
}

my $head = q{SELECT version FROM migrate.migration WHERE kind = 'versioned'};

# a name of the change, and how it is made
my @changes = (
	[ 8, sub { "SELECT migrate.add('" . new_version() . "', 'SELECT 1', 'SELECT 0')" } ],
	[ 3, sub { "SELECT migrate.add('" . new_version()
		. "', 'SELECT 1', 'SELECT 0', requires => '{" . version() . "}')" } ],
	[ 2, sub { "SELECT migrate.add('r" . int(rand(5)) . one_of('', 'x')
		. "', 'SELECT 1', kind => 'repeatable')" } ],
	[ 1, sub { "SELECT migrate.add('0r" . int(rand(3))
		. "', 'SELECT 1', 'SELECT 0', kind => 'repeatable')" } ],
	[ 1, sub { "SELECT migrate.add('" . new_version() . "', 'SELECT 1/0')" } ],
	[ 2, sub { "SELECT migrate.add('" . new_version()
		. "', 'SELECT 1; SELECT 2; SELECT 3', 'SELECT 0', transactional => false)" } ],
	[ 10, sub { 'SELECT version FROM migrate.apply()' } ],
	[ 3, sub { "SELECT version FROM migrate.apply('" . version() . "')" } ],
	[ 2, sub { "SELECT version FROM migrate.apply(versions => '{" . version() . "}')" } ],
	[ 6, sub { 'CALL migrate.apply_each()' } ],
	[ 2, sub { "CALL migrate.apply_each('" . version() . "')" } ],
	[ 6, sub { 'SELECT version FROM migrate.rollback(' . (1 + int(rand(4))) . ')' } ],
	[ 3, sub { 'CALL migrate.rollback_each(' . (1 + int(rand(4))) . ')' } ],
	[ 1, sub { 'SELECT version FROM migrate.rollback(' . (1 + int(rand(90))) . ')' } ],
	[ 2, sub { "SELECT version FROM migrate.rollback_to('" . version() . "')" } ],
	[ 3, sub { "SELECT version FROM migrate.rollback(versions => '{" . version() . ',' . version() . "}')" } ],
	[ 1, sub { 'SELECT version FROM migrate.rollback_run()' } ],
	[ 2, sub { 'SELECT version FROM migrate.redo(' . (1 + int(rand(3))) . ')' } ],
	[ 3, sub { "SELECT migrate.hold('" . version() . "', 'not now')" } ],
	[ 2, sub { "SELECT migrate.unhold('" . version() . "')" } ],
	[ 2, sub { 'SELECT migrate.unhold(version) FROM migrate.migration WHERE held_reason IS NOT NULL' } ],
	[ 3, sub { "SELECT migrate.amend('" . version() . "', down => 'SELECT " . int(rand(9)) . "')" } ],
	[ 2, sub { "SELECT version FROM migrate.stamp('" . version() . "')" } ],
	[ 3, sub { "SELECT version FROM migrate.unstamp('" . version() . "')" } ],
	[ 1, sub { "SELECT count(*) FROM migrate.stamp_to('" . version() . "')" } ],
	[ 4, sub { "SELECT migrate.remove('" . version() . "')" } ],
	[ 2, sub { "SELECT version FROM migrate.resume('" . version() . "', done => 1)" } ],
	[ 1, sub { "SELECT version FROM migrate.resume('" . version() . "', at => 1)" } ],
	[ 3, sub { my $v = version(); "SELECT version FROM migrate.load('{\"$v" . one_of('_a', '') . ".sql\": \"SELECT 1"
		. one_of('; -- ' . int(rand(99)), ' + ' . int(rand(9))) . "\"}'"
		. one_of('', '', ', accept => true') . ')' } ],

	# a superuser can do everything
	[ 2, sub { "UPDATE migrate.migration SET path = 'x' WHERE version = '" . version() . "'" } ],
	[ 2, sub { "UPDATE migrate.migration SET requires = '{" . one_of('', version()) . "}' WHERE version = '" . version() . "'" } ],
	[ 1, sub { "UPDATE migrate.migration SET held_reason = 'by hand' WHERE version = '" . version() . "'" } ],
	[ 1, sub { "UPDATE migrate.migration SET version = version || '.5' WHERE version = '" . version() . "'" } ],
	[ 2, sub { "DELETE FROM migrate.migration WHERE version = '" . version() . "'" } ],
	[ 3, sub { "DELETE FROM migrate.applied WHERE version = '" . version() . "'" } ],
	[ 1, sub { "UPDATE migrate.applied SET checksum = repeat('0', 64) WHERE version = '" . version() . "'" } ],
	[ 1, sub { "UPDATE migrate.applied a SET checksum = m.checksum, down_checksum = m.down_checksum FROM migrate.migration m WHERE m.version = a.version AND m.project = a.project" } ],
	[ 1, sub { "UPDATE migrate.applied SET applied_seq = nextval('migrate.applied_seq') WHERE version = '" . version() . "'" } ],
	[ 1, sub { "UPDATE migrate.applied SET version = version || 'x' WHERE version = '" . version() . "'" } ],
	[ 1, sub { 'DELETE FROM migrate.applied WHERE applied_seq > (SELECT max(applied_seq) - ' . (50 + int(rand(30))) . ' FROM migrate.applied)' } ],
	[ 2, sub { "INSERT INTO migrate.step (project, version, body, statement, last_statement, text_hash, token_hash, run, started_at) VALUES ('default', '"
		. version() . "', '" . one_of('up', 'down') . "', 1, 1, repeat('0', 64), repeat('0', 64), 1, now())" } ],
	[ 2, sub { 'DELETE FROM migrate.step' } ],
	[ 3, sub { "INSERT INTO migrate.applied SELECT project, target, '" . version() . one_of('', 'm') . "', name, checksum, down_checksum, applied_at, applied_by, origin, execution_ms, run, seq FROM migrate.applied LIMIT 1" } ],
	[ 1, sub { "UPDATE migrate.applied SET origin = 'stamp' WHERE version::text LIKE '" . version() . "%'" } ],
	[ 2, sub { "INSERT INTO migrate.policy (out_of_order) VALUES ('allow') ON CONFLICT (project) DO UPDATE SET out_of_order = '"
		. one_of('allow', 'allow', 'error') . "'" } ],
	[ 1, sub { "UPDATE migrate.policy SET require_down = NOT require_down" } ],
	[ 1, sub { "UPDATE migrate.policy SET edits = '" . one_of('refuse', 'ignore comments') . "'" } ],
);

my @bag = map { ($_->[1]) x $_->[0] } @changes;

sub change
{
	my $first = one_of(@bag)->();

	return $first if $first =~ /^CALL/ || rand() < 0.85;
	my $second = one_of(@bag)->();
	return $first if $second =~ /^CALL/;
	return "BEGIN; $first; " . one_of('SAVEPOINT s; ', '')
	  . "$second; " . one_of('COMMIT', 'COMMIT', 'ROLLBACK');
}

my @questions = (
	sub { 'SELECT * FROM migrate.plan()' },
	sub { "SELECT * FROM migrate.plan('" . version() . "')" },
	sub { 'SELECT migrate.check()' },
	sub { "SELECT migrate.check('" . version() . "')" },
	sub { 'SELECT * FROM migrate.plan_rollback(' . (1 + int(rand(5))) . ')' },
	sub { 'SELECT * FROM migrate.plan_rollback(' . (1 + int(rand(200))) . ')' },
	sub { 'SELECT migrate.current(), migrate.heads()' },
	sub { 'SELECT version, action FROM migrate.apply(raise => false)' },
	sub { "SELECT version, action FROM migrate.apply('" . version() . "', raise => false)" },
	sub { "SELECT version, action FROM migrate.apply(versions => '{" . version() . ',' . version() . "}', raise => false)" },
	sub { 'SELECT version, action FROM migrate.rollback(' . (1 + int(rand(9))) . ', raise => false)' },
	sub { "SELECT version, action FROM migrate.rollback(versions => '{" . version() . "}', raise => false)" },
	sub { "SELECT version, action FROM migrate.rollback_to('" . version() . "', raise => false)" },
	sub { 'SELECT version, action FROM migrate.redo(' . (1 + int(rand(3))) . ', raise => false)' },
	sub { "SELECT migrate.remove('" . version() . "')" },
);

# ---------------------------------------------------------------------------
# The sequence
# ---------------------------------------------------------------------------

srand($seed);
note("seed $seed");

sub begin_again
{
	@versions = (1 .. 140);
	$next = 141;
	ask($session, q{
		TRUNCATE migrate.applied, migrate.step, migrate.policy, migrate.state;
		SET session_replication_role = replica;
		DELETE FROM migrate.migration;
		RESET session_replication_role;
		INSERT INTO migrate.policy (out_of_order) VALUES ('allow');
		SELECT count(migrate.add(i::text, 'SELECT 1',
			CASE WHEN i % 7 > 0 THEN 'SELECT 0' END,
			requires => CASE WHEN i % 20 = 0 THEN ARRAY[(i - 1)::text] END))
		FROM generate_series(1, 140) i;
		SELECT count(*) FROM migrate.apply()});
	return;
}

my $done = 0;
my $wrong = 0;

while ($done < $steps && $wrong < 3)
{
	begin_again() if $done % 50 == 0;
	my $change = change();
	my ($out, $err) = ask($session, $change);
	my $violations = violations();

	$done++;
	$settled++ if knows_settled();
	note("$done: $change -- " . ($err =~ /(ERROR:.*)/ ? $1 : 'done'));
	if ($violations ne '')
	{
		diag("seed $seed, after $change:\n$violations");
		$wrong++;
	}
	foreach (1 .. 3)
	{
		$wrong++ unless agree(one_of(@questions)->(), $change);
	}
}
is($wrong, 0, "$done changes, and the plan does not depend on what is read");
cmp_ok($settled, '>', $done / 2, 'most plans were made by reading a part');
note(join ', ', map { "$_: $answers{$_}" } sort keys %answers);
cmp_ok(scalar(keys %answers), '>=', 6, 'many kinds of answers were compared');

# ---------------------------------------------------------------------------
# Two sessions
# ---------------------------------------------------------------------------

# A superuser takes one out of the ledger while a run is at work that has not
# read it.
my $other = session($node, $db);

begin_again();
ask($session, q{
	SELECT migrate.add('141', 'SELECT pg_advisory_xact_lock(1)', 'SELECT 0')});
ask($other, 'BEGIN; SELECT pg_advisory_xact_lock(1)');
ask_start($session, 'SELECT version FROM migrate.apply()');
is_waiting($node, $node->safe_psql($db,
	q{SELECT pid FROM pg_stat_activity WHERE query LIKE '%migrate.apply()%'
		AND pid <> pg_backend_pid()})) or die 'it does not wait';
ask($other, q{DELETE FROM migrate.applied WHERE version = '5'; COMMIT});
is((ask_wait($session))[0], '141', 'a run goes on');
is(violations(), '', 'and believes nothing that it has not read');
is(ask($session, 'SELECT version FROM migrate.apply()'),
	'5', 'so that the next one finds what is missing');

# The same inside a body.
begin_again();
ask($session, q{
	SELECT migrate.add('141', $$DELETE FROM migrate.applied WHERE version = '5'$$);
	SELECT version FROM migrate.apply()});
is(violations(), '', 'a body that changes the ledger is noticed');
is(ask($session, 'SELECT version FROM migrate.apply()'),
	'5', 'and what it has taken away is applied again');

# ---------------------------------------------------------------------------
# What is read
# ---------------------------------------------------------------------------

# Of many migrations a call reads few rows, whatever is known of the tables'
# contents.
my $count = 6000;

$node->safe_psql('postgres', 'CREATE DATABASE many');
my $many = session($node, 'many');

ask($many, qq{
	CREATE EXTENSION migrate;
	INSERT INTO migrate.migration (version, up, down)
	SELECT to_char(i, 'FM000000'), 'SELECT 1', 'SELECT 0'
	FROM generate_series(1, $count) i;
	SELECT count(*) FROM migrate.stamp_to('} . sprintf('%06d', $count - 10) . q{');
	SELECT migrate.amend('000100', down => 'SELECT 2')});

sub rows_read
{
	ask($many, 'SELECT pg_stat_force_next_flush()');
	return scalar ask($many, q{
		SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_user_tables
		WHERE schemaname = 'migrate'});
}

foreach my $call (
	'SELECT * FROM migrate.plan()',
	'SELECT * FROM migrate.plan_rollback(3)',
	'SELECT * FROM migrate.apply()',
	'SELECT migrate.current(), migrate.heads()',
	'SELECT * FROM migrate.rollback(3)',
	'SELECT migrate.check()',
	'CALL migrate.apply_each()',
	'CALL migrate.rollback_each(3)',
	q{SELECT migrate.add('999999', 'SELECT 1')},
	q{SELECT migrate.hold('999999', 'not now')},
	q{SELECT migrate.unhold('999999')},
	q{SELECT migrate.remove('999999')},
	q{SELECT migrate.hold('000200', 'not now')},
	q{SELECT migrate.unhold('000200')},
	q{SELECT migrate.amend('000300', down => 'SELECT 2')},
	q{SELECT migrate.unstamp('000300')},
	q{SELECT migrate.stamp('000300')},
	q{SELECT * FROM migrate.apply('000400')},
	'SELECT * FROM migrate.apply()')
{
	my $before = rows_read();

	ask($many, $call);
	my $read = rows_read() - $before;
	cmp_ok($read, '<', $count / 4, "$call: $read rows");
}

done_testing();
