# What a body puts off to the end of its transaction: deferred triggers and the
# queries of cursors WITH HOLD.  It is done in each kind of run, as psql does it,
# and it is the body's, so it cannot run or change migrations either.
#
# Needs a run in the background, and failures that are committed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'put_off';

$node->init;
$node->append_conf('postgresql.conf', q{
autovacuum = off
migrate.failure_quiet = 0
});
$node->start;
owner_database($node, $db);

# act() does what the table says, in the name of whatever calls it.
query($node, $db, 'app', q{
	CREATE TABLE act (what text);
	CREATE TABLE done (i int);
	CREATE TABLE t (i int);
	CREATE TABLE parent (i int PRIMARY KEY);
	CREATE TABLE child (i int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
	CREATE FUNCTION act() RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE (SELECT what FROM act);
		RETURN 1;
	END $$;
	CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM act();
		RETURN NULL;
	END $$;
	CREATE CONSTRAINT TRIGGER later AFTER INSERT ON t
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fire();
	CREATE PROCEDURE by_trigger() LANGUAGE sql AS 'INSERT INTO t VALUES (1)';
	CREATE PROCEDURE by_cursor() LANGUAGE plpgsql AS
		'BEGIN EXECUTE ''DECLARE c CURSOR WITH HOLD FOR SELECT act()''; END';
	CREATE PROCEDURE by_trigger_commit() LANGUAGE plpgsql AS
		'BEGIN INSERT INTO t VALUES (1); COMMIT; END';
	CREATE PROCEDURE by_cursor_commit() LANGUAGE plpgsql AS
		'BEGIN EXECUTE ''DECLARE c CURSOR WITH HOLD FOR SELECT act()''; COMMIT; END';
	-- nothing in a body that calls it tells what is to come
	CREATE TABLE plain (i int);
	CREATE FUNCTION prepare_trigger() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		CREATE CONSTRAINT TRIGGER later AFTER INSERT ON plain
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fire();
		INSERT INTO plain VALUES (1);
	END $$});

my $apply = 'SELECT * FROM migrate.apply()';
my $each = 'CALL migrate.apply_each()';
my $background = 'SELECT migrate.start() AS run \\gset' . "\nCALL migrate.wait(:run)";
my $undo = 'CALL migrate.rollback_each(hold => true)';
my %off = (transactional => 'false');

my %puts_off = (
	trigger => 'INSERT INTO t VALUES (1)',
	cursor => 'DECLARE c CURSOR WITH HOLD FOR SELECT act()');

# Begin with these texts, and one more.
sub store
{
	my ($what, $up, %more) = @_;
	my $arguments = join '', map { ", $_ => $more{$_}" } sort keys %more;

	$node->safe_psql($db, q{
		DELETE FROM migrate.step; DELETE FROM migrate.applied;
		DELETE FROM migrate.migration});
	query($node, $db, 'app', 'TRUNCATE act, done, t, parent, child, plain; DROP TABLE IF EXISTS other;'
		  . 'INSERT INTO act VALUES (' . quote($what) . ');'
		  . 'SELECT migrate.add(\'1\', ' . quote($up) . "$arguments);"
		  . q{SELECT migrate.add('2', 'CREATE TABLE other ()')});
	return;
}

sub applied
{
	return $node->safe_psql($db,
		q{SELECT coalesce(string_agg(version, ' ' ORDER BY version), 'none') FROM migrate.applied});
}

# The run fails because of what was put off, and nobody has changed the books.
sub stopped
{
	my ($call, $name, $expected) = @_;
	my ($status, $out, $err) = run_sql($node, $db, 'app', $call);

	like($err, qr/ERROR:  MG019: a migration cannot run or change migrations/, $name);
	is(applied(), $expected, 'and the books are as they were');
	is($node->safe_psql($db, q{SELECT to_regclass('other') IS NULL}), 't',
		'and nothing else has run');
	return;
}

# ---------------------------------------------------------------------------
# No run inside the end of a transaction
# ---------------------------------------------------------------------------

foreach my $kind (sort keys %puts_off)
{
	my $text = $puts_off{$kind};

	foreach my $act ('SELECT migrate.apply()', q{SELECT migrate.unstamp('1')},
		q{SELECT migrate.add('3', 'SELECT 1')})
	{
		foreach my $case (
			[ 'apply()', $apply, $text ],
			[ 'apply_each()', $each, $text ],
			[ 'start()', $background, $text ],
			[ 'a step of several statements', $each, "$text; VACUUM done" ],
			[ 'the last step', $each, "VACUUM done; $text" ],
			[ 'a step before a verify body', $each, "VACUUM done; $text", verify => quote('SELECT true') ],
			[ 'a statement of its own', $each, $text, %off ],
			[ 'a block', $each, "BEGIN; $text; COMMIT", %off ],
			[ 'the end of a procedure', $each, "CALL by_$kind()", %off ],
			[ 'a COMMIT in a procedure', $each, "CALL by_${kind}_commit()", %off ])
		{
			my ($name, $call, $up, %more) = @$case;

			store($act, $up, %more);
			stopped($call, "$kind, $act: $name", 'none');
		}
	}

	# a down body, in the transaction of which the migration is put on hold
	store(q{SELECT migrate.unstamp('1')}, 'SELECT 1', down => quote($text));
	query($node, $db, 'app', q{SELECT migrate.apply('1')});
	stopped($undo, "$kind: rollback_each()", '1');
	store('INSERT INTO done VALUES (1)', 'SELECT 1', down => quote($text));
	query($node, $db, 'app', q{SELECT migrate.apply('1')});
	query($node, $db, 'app', $undo);
	is($node->safe_psql($db, q{SELECT state FROM migrate.status() WHERE version = '1'}),
		'held', "$kind: and it works with anything else");
}
foreach my $call ($apply, $each)
{
	store('SELECT migrate.apply()', 'SELECT prepare_trigger()');
	stopped($call, "a trigger that a function has made, $call", 'none');
}

# nor is the session left like that
foreach my $call ($apply, $each)
{
	store(q{SELECT migrate.unstamp('1')}, $puts_off{trigger});
	my (undef, $out, $err) = run_sql($node, $db, 'app',
		"\\set ON_ERROR_STOP off\n$call;\nTRUNCATE act; INSERT INTO act VALUES ('SELECT 1');\nCALL migrate.apply_each(); SELECT migrate.stamp_to('base');");
	is(() = $err =~ /ERROR:/g, 1, "after $call the session goes on");
	is(applied(), 'none', 'and can change migrations');
}

# ---------------------------------------------------------------------------
# The queries of cursors are run
# ---------------------------------------------------------------------------

my $cursor = $puts_off{cursor};

sub done
{
	return $node->safe_psql($db, 'SELECT count(*) FROM done');
}

foreach my $case (
	[ 'apply()', $apply, $cursor ],
	[ 'in a transaction block', "BEGIN; $apply; COMMIT", $cursor ],
	[ 'with one that it opens', $apply, 'SELECT 1; CALL by_cursor(); SELECT 2' ],
	[ 'with a verify body', $apply, $cursor, verify => quote('SELECT true') ],
	[ 'one that was read to the end', $apply, "$cursor; MOVE ALL IN c" ],
	[ 'a SCROLL cursor', $apply, 'DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT act()' ],
	[ 'apply_each()', $each, $cursor ],
	[ 'start()', $background, $cursor ],
	[ 'steps', $each, $cursor, %off ],
	[ 'a block', $each, "BEGIN; $cursor; COMMIT", %off ])
{
	my ($name, $call, $up, %more) = @$case;

	store('INSERT INTO done VALUES (1)', $up, %more);
	query($node, $db, 'app', $call);
	is(done(), '1', "the query of a cursor WITH HOLD is run: $name");
	is(applied(), '1 2', 'and the migrations are applied');
}

# rolled back with the rest
foreach my $case (
	[ 'a dry run', 'SELECT * FROM migrate.apply(dry_run => true)' ],
	[ 'a rehearsal', 'SELECT * FROM migrate.rehearse()' ],
	[ 'a transaction that is rolled back', "BEGIN; $apply; ROLLBACK" ])
{
	my ($name, $call) = @$case;

	store('INSERT INTO done VALUES (1)', $cursor);
	query($node, $db, 'app', $call);
	is(done(), '0', "$name leaves nothing");
}
store('INSERT INTO done VALUES (1)', 'SELECT 1', verify => quote("$cursor; SELECT true"));
query($node, $db, 'app', $apply);
is(done(), '0', 'nor does that of a verify body');

# its error is the migration's, and so is that of a constraint
foreach my $call ($apply, $each, 'SELECT * FROM migrate.apply(dry_run => true)',
	"$apply \\; SELECT 1")
{
	foreach my $case ([ 'SELECT 1/0', '22012' ], [ 'INSERT INTO child VALUES (7)', '23503' ])
	{
		store($case->[0], $cursor);
		my ($status, undef, $err) = run_sql($node, $db, 'app', $call);
		like($err, qr/ERROR:  $case->[1]:.*up body of migration "1"/s, "$call: an error of it, $case->[0]");
		is(applied(), 'none', 'and nothing is applied');
	}
}
store('SELECT 1/0', $cursor);
is(query($node, $db, 'app', q{SELECT sqlstate FROM migrate.rehearse() WHERE sqlstate IS NOT NULL}),
	'22012', 'a rehearsal finds it');

# ---------------------------------------------------------------------------
# What no text tells of
# ---------------------------------------------------------------------------

# Constraints that come into being unseen, and rows that do
query($node, $db, 'app', q{
	CREATE FUNCTION install() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		CREATE TABLE a (i int PRIMARY KEY);
		CREATE TABLE b (i int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
	END $$;
	CREATE FUNCTION adds_row() RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO child VALUES (7);
		RETURN 1;
	END $$});
foreach my $case (
	[ 'in another body', [ 'SELECT install()', 'INSERT INTO b VALUES (7)' ], '2' ],
	[ 'in the same body', [ 'SELECT install(); INSERT INTO b VALUES (7)' ], '1' ],
	[ 'in a DO block', [ q{DO 'BEGIN PERFORM install(); END'; INSERT INTO b VALUES (7)} ], '1' ],
	[ 'by a default', [ 'ALTER TABLE plain ADD j int DEFAULT adds_row()' ], '1' ])
{
	my ($name, $texts, $culprit) = @$case;
	my @texts = @$texts;
	my $journal = q{SELECT count(*), max(version) FROM migrate.journal WHERE outcome = 'failure' AND sqlstate = '23503'};

	store('SELECT 1', 'SELECT 1');
	query($node, $db, 'app', q{SELECT migrate.remove('1'), migrate.remove('2'); INSERT INTO plain VALUES (1)});
	query($node, $db, 'app', "SELECT migrate.add('" . ($_ + 1) . "', " . quote($texts[$_]) . ')') foreach 0 .. $#texts;
	$node->safe_psql($db, 'DELETE FROM migrate.journal');
	my (undef, undef, $err) = run_sql($node, $db, 'app', $apply);
	like($err, qr/ERROR:  23503/, "a constraint is violated $name");
	is($node->safe_psql($db, $journal), "1|$culprit", 'which is journalled for the migration');
	is(applied(), 'none', 'and nothing is applied');
	is(query($node, $db, 'app', q{SELECT error->>'sqlstate' FROM migrate.apply(raise => false) WHERE error IS NOT NULL}),
		'23503', 'and is a row with raise => false');
	is(query($node, $db, 'app', q{SELECT error->>'sqlstate' FROM migrate.apply(raise => false, dry_run => true) WHERE error IS NOT NULL}),
		'23503', 'in a dry run, too');
	is(query($node, $db, 'app', q{SELECT sqlstate FROM migrate.rehearse() WHERE sqlstate IS NOT NULL}),
		'23503', 'and in a rehearsal') if $culprit ne '';
}

# LISTEN takes effect at the end
query($node, $db, 'app', q{
	CREATE FUNCTION listens() RETURNS void LANGUAGE plpgsql AS
		'BEGIN LISTEN of_body; UNLISTEN of_session; END'});
foreach my $call ($apply, $each, 'SELECT * FROM migrate.redo()', 'SELECT * FROM migrate.rollback()', 'CALL migrate.rollback_each()')
{
	store('SELECT 1', 'SELECT listens()', down => quote('SELECT listens()'));
	query($node, $db, 'app', q{SELECT migrate.remove('2'); SELECT * FROM migrate.apply()}) if $call =~ /redo|rollback/;
	is((split /\n/, query($node, $db, 'app', "LISTEN of_session;\n$call;\nSELECT 'now ' || string_agg(c, ' ') FROM pg_listening_channels() c"))[-1],
		'now of_session', "channels of the session after $call");
}
store('SELECT 1', 'LISTEN of_body');
is((split /\n/, query($node, $db, 'app', "BEGIN; LISTEN of_session; $apply; COMMIT; SELECT 'now ' || string_agg(c, ' ') FROM pg_listening_channels() c"))[-1],
	'now of_session', 'in a transaction of the caller');

# and another cursor of the session is not touched
store('INSERT INTO done VALUES (1)', $cursor);
is( query($node, $db, 'app',
		"BEGIN; DECLARE mine CURSOR WITH HOLD FOR SELECT 5; $apply; COMMIT; FETCH mine; SELECT count(*) FROM pg_cursors")
	  =~ /\n5\n1$/, 1, 'a cursor of the session stays, and that of the body goes');

$node->stop;
done_testing();
