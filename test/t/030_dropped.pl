# DROP EXTENSION migrate in a body that commits, by what a body puts off, and beside
# a run: the books are not lost by a migration, and a run that has lost them says so.
#
# Needs several sessions at once, and bodies that commit.

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
$node->append_conf('postgresql.conf', q{
autovacuum = off
migrate.failure_quiet = 0
migrate.progress_notices = off
deadlock_timeout = 100ms
});
$node->start;

# ---------------------------------------------------------------------------
# By a body
# ---------------------------------------------------------------------------

my $db = 'by_body';
my $again = q{EXECUTE 'DROP EXTENSION migrate'; EXECUTE 'CREATE EXTENSION migrate'};

owner_database($node, $db);
query($node, $db, 'app', qq{
	CREATE TABLE t (i int);
	CREATE FUNCTION drops() RETURNS trigger LANGUAGE plpgsql AS \$\$
	BEGIN $again; RETURN NULL; END \$\$;
	CREATE CONSTRAINT TRIGGER later AFTER INSERT ON t
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION drops();
	CREATE PROCEDURE drops_it() LANGUAGE plpgsql AS \$\$
	BEGIN $again; COMMIT; END \$\$;
	SELECT migrate.add('1', 'SELECT 1', 'SELECT 1'), migrate.add('2', 'SELECT 2')});
query($node, $db, 'app', q{SELECT migrate.apply(versions => ARRAY['1'])});
query($node, $db, 'app', q{SELECT migrate.remove('2')});
my $oid = query($node, $db, 'app', q{SELECT oid FROM pg_extension WHERE extname = 'migrate'});

foreach my $case (
	[ 'DO that commits', "DO \$\$ BEGIN $again; COMMIT; END \$\$; SELECT 1", 'transactional => false' ],
	[ 'DO that commits twice', "DO \$\$ BEGIN COMMIT; $again; COMMIT; END \$\$; SELECT 1", 'transactional => false' ],
	[ 'DO that does not', "DO \$\$ BEGIN $again; END \$\$; SELECT 1", 'transactional => false' ],
	[ 'a procedure', 'CALL drops_it(); SELECT 1', 'transactional => false' ],
	[ 'a block', "BEGIN; DO \$\$ BEGIN $again; END \$\$; COMMIT", 'transactional => false' ],
	[ 'a deferred trigger', 'INSERT INTO t VALUES (1)' ],
	[ 'a deferred trigger in steps', 'INSERT INTO t VALUES (1); VACUUM t' ],
	[ 'a deferred trigger of a block', 'BEGIN; INSERT INTO t VALUES (1); COMMIT; SELECT 1', 'transactional => false' ],
	[ 'DO in one transaction', "DO \$\$ BEGIN $again; END \$\$" ])
{
	my ($name, $up, $more) = @$case;

	query($node, $db, 'app', q{SELECT migrate.add('2', } . quote($up) . ($more ? ", $more" : '') . ')');
	foreach my $call ('CALL migrate.apply_each()', $more ? () : 'SELECT migrate.apply()')
	{
		like((run_sql($node, $db, 'app', $call))[2], qr/ERROR:  (MG|2BP01|55006|XX000)/, "$name, $call: an error");
		is(query($node, $db, 'app', q{SELECT oid, (SELECT string_agg(version, ' ') FROM migrate.applied) FROM pg_extension WHERE extname = 'migrate'}),
			"$oid|1", 'and the books are there still');
	}
	$node->safe_psql($db, q{DELETE FROM migrate.step; DELETE FROM migrate.migration WHERE version = '2'});
}

# ---------------------------------------------------------------------------
# Beside a run that fails in between
# ---------------------------------------------------------------------------

$db = 'beside';
owner_database($node, $db);
my ($reader, $run, $drop) = map { session($node, $db, 'app') } 1 .. 3;
my ($run_pid, $drop_pid) = map { pid_of($_) } $run, $drop;

query($node, $db, 'app', q{
	CREATE TABLE t (i int);
	SELECT migrate.add('1', 'CREATE TABLE one ()'), migrate.add('2', 'SELECT pg_advisory_xact_lock(5)'),
		migrate.add('3', 'ALTER TABLE t ADD j int'), migrate.add('4', 'CREATE TABLE four ()')});
ask($reader, 'SELECT pg_advisory_lock(5); BEGIN; SELECT count(*) FROM t');
ask($run, q{PREPARE mine AS SELECT 1; SET work_mem = '7MB'});
ask_start($run, 'CALL migrate.apply_each()');
is_waiting($node, $run_pid) or die 'the run does not wait';
ask_start($drop, 'DROP EXTENSION migrate');
is_waiting($node, $drop_pid) or die 'DROP does not wait';
ask($reader, 'SELECT pg_advisory_unlock(5)');
unlike((ask_wait($drop))[1], qr/ERROR/, 'a lock time-out lets DROP EXTENSION in');
my (undef, $err) = ask_wait($run);
like($err, qr/ERROR:  MG021: extension "migrate" was dropped during the run\nDETAIL:  The run has ended with this error: /,
	'the run ends with an error that says so');
unlike($err, qr/WARNING/, 'and with no other message about it');
is(query($node, $db, 'app', q{SELECT to_regclass('one') IS NOT NULL, to_regclass('four') IS NULL}),
	't|t', 'what it has committed stays');
is(ask($run, q{EXECUTE mine; SHOW work_mem}), "1\n7MB", 'and the session is as it was');
is(locks_left($node, $db), '', 'no lock is left');
$_->quit foreach $reader, $run, $drop;

# ---------------------------------------------------------------------------
# Beside a run that waits for another one
# ---------------------------------------------------------------------------

$db = 'waiting';
foreach my $i (1 .. 5)
{
	owner_database($node, $db);
	my ($holder, $first, $second, $drop) = map { session($node, $db, 'app') } 1 .. 4;
	my ($first_pid, $second_pid, $drop_pid) = map { pid_of($_) } $first, $second, $drop;

	query($node, $db, 'app', q{SELECT migrate.add('1', 'SELECT pg_advisory_xact_lock(5)'), migrate.add('2', 'SELECT 1')});
	ask($holder, 'SELECT pg_advisory_lock(5)');
	ask_start($first, 'CALL migrate.apply_each()');
	is_waiting($node, $first_pid) or die 'the run does not wait';
	ask_start($second, 'CALL migrate.apply_each()');
	is_waiting($node, $second_pid, 'Extension') or die 'the second does not poll';
	ask_start($drop, 'DROP EXTENSION migrate');
	is_waiting($node, $drop_pid) or die 'DROP does not wait';
	ask($holder, 'SELECT pg_advisory_unlock(5)');
	unlike((ask_wait($first))[1], qr/ERROR/, "round $i: the first run comes to its end");
	ask_wait($drop);

	# which of the other two comes first is up to them
	my (undef, $err) = ask_wait($second);
	unlike($err, qr/WARNING|ERROR:  (?!MG021: extension "migrate" was dropped during the run\n)/,
		'the second says what has happened, or has come first');
	$_->quit foreach $holder, $first, $second, $drop;
}
unlike(slurp_file($node->logfile), qr/terminated by signal|TRAP:|PANIC:/, 'no process has crashed');

$node->stop;
done_testing();
