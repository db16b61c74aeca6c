# A migration of several transactions and others: objects of its session that
# come to hide its own, RESET, who waits inside of a transaction, down bodies of
# which the server alone can tell how they run, and DROP EXTENSION beside calls.
#
# Needs several sessions at once, and databases that are dropped into.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use InSteps;
use MigrateTest;
use PostgreSQL::Test::Utils;
use Test::More;

start_in('half_way');

my ($status, $err);
my $off = q{, transactional => 'off'};

sub schemas_with
{
	my ($table) = @_;
	return app("SELECT string_agg(relnamespace::regnamespace::text, ' ') FROM pg_class WHERE relname = '$table'");
}

sub state
{
	return app(q{SELECT state FROM migrate.status() WHERE version = '1'});
}

# ---------------------------------------------------------------------------
# Temporary objects of the session that come to hide something
# ---------------------------------------------------------------------------

my @hidden = (
	[ 'one statement', 'CREATE TABLE users2 (i int); INSERT INTO users2 VALUES (1)', '' ],
	[ 'marked', 'CREATE TABLE users2 (i int); INSERT INTO users2 VALUES (1)', $off ],
	[ 'marked, renamed', 'ALTER TABLE users RENAME TO users2; INSERT INTO users2 VALUES (1)', $off ],
	[ 'marked, in DO', q{DO $$ BEGIN EXECUTE 'CREATE TABLE public.users2 (i int)'; END $$; INSERT INTO users2 VALUES (1)}, $off ],
	[ 'an index', 'CREATE INDEX hidden_idx ON users (id); DROP INDEX hidden_idx', $off ],
	[ 'in a block', 'BEGIN; CREATE TABLE public.users2 (i int); INSERT INTO users2 VALUES (1); COMMIT; VACUUM ctl', '' ],
	[ 'a block that sets its level', 'BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; LOCK TABLE ctl; CREATE TABLE public.users2 (i int); INSERT INTO users2 VALUES (1); COMMIT; VACUUM ctl', '' ],
	[ 'a type', q{CREATE TYPE mood AS ENUM ('a'); CREATE TABLE t (m mood)}, $off ],
	[ 'a type with the name of a table', q{CREATE TYPE users2 AS ENUM ('a'); CREATE TABLE t (m users2)}, $off ]);
foreach my $direction (sort keys %directions)
{
	my $way = $directions{$direction};

	foreach my $case (@hidden)
	{
		my ($what, $body, $more) = @$case;

		fresh();
		$way->{add}($body, $more);
		(undef, undef, $err) = run_sql($node, $db, 'app',
			"CREATE TEMP TABLE users2 (i int); CREATE INDEX hidden_idx ON users2 (i); CREATE TYPE pg_temp.mood AS ENUM ('b'); $way->{call}");
		like($err, qr/temporary (relation|type) "\w+" of the session is in the way of migration "1"/, "$direction: $what: refused");
		(undef, undef, $err) = run_sql($node, $db, 'app',
			"CREATE TEMP TABLE other (i int); BEGIN; COMMIT; $way->{call}");
		unlike($err, qr/is in the way/, "$direction: $what: others are not in the way");
	}
}

# ---------------------------------------------------------------------------
# RESET gives what a body begins with
# ---------------------------------------------------------------------------

my @resets = ('RESET search_path', 'SET search_path TO DEFAULT', 'RESET ALL', 'SET search_path = public; RESET search_path',
	'DO $$ BEGIN RESET search_path; END $$', 'SET LOCAL search_path TO DEFAULT');
foreach my $direction (sort keys %directions)
{
	my $way = $directions{$direction};
	my $function = $direction eq 'up' ? 'SELECT migrate.apply();' : 'SELECT migrate.rollback();';

	foreach my $call ($way->{call}, $function)
	{
		foreach my $reset (@resets, $call =~ /CALL/ ? 'DISCARD ALL' : ())
		{
			foreach my $more ($call =~ /CALL/ ? ('', $off) : (''))
			{
				next if $more && $reset =~ /LOCAL/;
				fresh();
				app(q{INSERT INTO migrate.policy (search_path) VALUES ('side')});
				$way->{add}("$reset; CREATE TABLE t ()", $more);
				run_sql($node, $db, 'app', $call);
				is(schemas_with('t'), 'side', "$call $reset$more");
			}
		}
	}
}

# ---------------------------------------------------------------------------
# Who waits inside a transaction for a migration that stands half-way
# ---------------------------------------------------------------------------

foreach my $direction (sort keys %directions)
{
	my $way = $directions{$direction};

	foreach my $limit ('50ms', '0')
	{
		fresh();
		app('CREATE TABLE t ()');
		$way->{add}('VACUUM ctl; ALTER TABLE t ADD x int');
		app(q{SELECT migrate.add('2', 'SELECT 1')});
		my $reader = session($node, $db, 'app');
		my $runner = session($node, $db, 'app');
		my $pid = pid_of($runner);

		ask($reader, q{SET migrate.wait_timeout = '20s'; BEGIN; SELECT * FROM t});
		ask($runner, "SET migrate.lock_timeout = '$limit'");
		ask_start($runner, $way->{call});
		is_waiting($node, $pid);
		foreach my $call (q{SELECT migrate.apply()}, q{SELECT migrate.add('3', 'SELECT 1')}, q{SELECT migrate.hold('2', 'later')})
		{
			ask($reader, 'SAVEPOINT s');
			(undef, $err) = ask($reader, $call);
			like($err, qr/ERROR:  MG041/, "$direction, $limit: $call says at once that it cannot wait");
			ask($reader, 'ROLLBACK TO s');
		}
		ask($reader, 'COMMIT');
		(undef, $err) = ask_wait($runner);
		unlike($err, qr/ERROR/, "$direction, $limit: the run goes on");
		is(state(), $way->{done}, "$direction, $limit: and is done");
		is(locks_left($node, $db), '', "$direction, $limit: no lock is left");
		(undef, $err) = ask($reader, q{SELECT migrate.add('3', 'SELECT 1')});
		unlike($err, qr/ERROR/, "$direction, $limit: nor in anybody's way");
		$_->quit for $reader, $runner;
	}
}

# ---------------------------------------------------------------------------
# Down bodies of which the server alone can tell how they run
# ---------------------------------------------------------------------------

foreach my $more ('', $off)
{
	foreach my $down ('REINDEX INDEX tti', 'REINDEX TABLE tt', 'REINDEX INDEX public.tti; ALTER TABLE tt ADD x int',
		'SET search_path = public; SELECT 1; REINDEX TABLE tt; SELECT 1', 'ALTER TABLE tt ADD x int; REINDEX (VERBOSE) TABLE tt; DROP TABLE tt',
		$node->safe_psql('postgres', 'SHOW server_version_num') >= 150000 ? 'CLUSTER tt USING tti' : ())
	{
		fresh();
		app('CREATE TABLE tt (i int) PARTITION BY RANGE (i); CREATE TABLE tt1 PARTITION OF tt FOR VALUES FROM (0) TO (10); CREATE INDEX tti ON tt (i)');
		$directions{down}{add}($down, $more);
		(undef, undef, $err) = run_sql($node, $db, 'app', 'SELECT migrate.rollback()');
		like($err, qr/HINT: .*rollback_each\(\)/, "$down$more: rollback() says what to call");
		($status, undef, $err) = run_sql($node, $db, 'app', 'CALL migrate.rollback_each()');
		is($status, 0, "$down$more: rollback_each() runs it") or diag($err);
		is(state(), 'pending', "$down$more: done");
	}

	# what is not partitioned stays in one transaction, unless it is marked
	fresh();
	app('CREATE TABLE tt (i int PRIMARY KEY)');
	$directions{down}{add}('CREATE TABLE t (); REINDEX TABLE tt; SELECT 1 / n FROM ctl', $more);
	run_sql($node, $db, 'app', 'CALL migrate.rollback_each()');
	is(state(), $more ? 'partial' : 'applied', "an ordinary REINDEX$more");

	# and one that stands half-way goes on there, whatever has become of its table
	fresh();
	app('CREATE TABLE tt (i int) PARTITION BY RANGE (i); CREATE INDEX tti ON tt (i)');
	$directions{down}{add}('CREATE TABLE t (); REINDEX TABLE tt; SELECT 1 / n FROM ctl', $more);
	run_sql($node, $db, 'app', 'CALL migrate.rollback_each()');
	is(state(), 'partial', 'a REINDEX of something partitioned');
	app('DROP TABLE tt; UPDATE ctl SET n = 1');
	($status, undef, $err) = run_sql($node, $db, 'app', 'CALL migrate.rollback_each()');
	is($status, 0, 'goes on where it was') or diag($err);
}

# ---------------------------------------------------------------------------
# DROP EXTENSION beside calls
# ---------------------------------------------------------------------------

foreach my $call ('CALL migrate.apply_each()', 'SELECT migrate.apply()', q{SELECT migrate.add('2', 'SELECT 1')},
	'CALL migrate.rollback_each()', 'SELECT * FROM migrate.status()')
{
	# it is being dropped when the call begins
	fresh();
	app(q{SELECT migrate.add('1', 'SELECT 1', 'SELECT 1'); SELECT migrate.apply(); SELECT migrate.add('1b', 'SELECT 1', 'SELECT 1')});
	my $dropper = session($node, $db);
	my $caller = session($node, $db, 'app');
	my $pid = pid_of($caller);
	ask($dropper, 'BEGIN; DROP EXTENSION migrate');
	ask_start($caller, $call);
	is_waiting($node, $pid);
	ask($dropper, 'COMMIT');
	(undef, $err) = ask_wait($caller);

	# the server itself looks the type of such rows up before it calls a function
	like($err, qr/ERROR:  (MG021: extension "migrate" (is not installed|was dropped)|XX000: could not open relation with OID)/,
		"$call: waits for DROP EXTENSION, and says what has become of it");
	$_->quit for $dropper, $caller;
	next if $call !~ /apply|add|rollback/;

	# it is dropped while the call polls for the lock
	for my $try (1 .. 3)
	{
		fresh();
		app(q{SELECT migrate.add('1', 'SELECT 1', 'SELECT 1'); SELECT migrate.apply(); SELECT migrate.add('1b', 'SELECT 1', 'SELECT 1')});
		my ($holder, $waiter, $drop) = (session($node, $db, 'app'), session($node, $db, 'app'), session($node, $db));
		my ($waiter_pid, $drop_pid) = (pid_of($waiter), pid_of($drop));
		ask($holder, q{BEGIN; SELECT migrate.add('9', 'SELECT 1')});
		ask_start($waiter, $call);
		is_waiting($node, $waiter_pid, 'Extension');
		ask_start($drop, 'DROP EXTENSION migrate');
		is_waiting($node, $drop_pid);
		ask($holder, 'COMMIT');
		(undef, $err) = ask_wait($waiter);
		unlike($err, qr/XX000|42P01/, "$call: dropped while it waits: no strange error ($try)");
		my (undef, $drop_err) = ask_wait($drop);
		unlike($drop_err, qr/XX000/, "$call: nor there ($try)");
		$_->quit for $holder, $waiter, $drop;
	}
}

done_testing();
