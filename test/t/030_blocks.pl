# Bodies with BEGIN and COMMIT of their own: what these end in psql -f they end
# here, in a body that is run up, down and to verify, killed in the middle too;
# and what cannot be told is refused.  Comments that a carriage return ends.
#
# Needs calls at top level, sessions that die, and what psql makes of the same
# text.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use InSteps;
use MigrateTest;
use PostgreSQL::Test::Utils;
use Test::More;

start_in('blocks');
$node->safe_psql('postgres', 'CREATE ROLE other; GRANT other TO app');

my ($status, $out, $err);

sub prepare
{
	fresh();
	$node->safe_psql($db, q{GRANT CREATE ON SCHEMA public TO other});
	app(q{CREATE TYPE public.mood AS ENUM ('a');
		CREATE TABLE public.seen (what text);
		CREATE TABLE public.p (id int PRIMARY KEY);
		CREATE TABLE public.c (id int REFERENCES p DEFERRABLE INITIALLY DEFERRED)});
	return;
}

# What the body has made, where, whose, and what it has seen.
sub outcome
{
	return app(q{SELECT string_agg(relnamespace::regnamespace || '.' || relname || ' ' || relowner::regrole, ', ' ORDER BY relname)
			FROM pg_class WHERE relname ~ '^x'})
	  . '; ' . app(q{SELECT string_agg(what, ', ' ORDER BY what) FROM seen})
	  . '; ' . app(q{SELECT count(*) FROM c});
}

# How many statements of a rehearsal have failed.
sub failing
{
	my ($call) = @_;
	return app("SELECT count(*) FROM migrate.$call WHERE sqlstate IS NOT NULL AND skipped IS NULL");
}

sub in_psql
{
	my ($body) = @_;

	prepare();
	run_sql($node, $db, 'app', $body);
	return outcome();
}

# ---------------------------------------------------------------------------
# What a COMMIT ends
# ---------------------------------------------------------------------------

my $die = q{SELECT pg_terminate_backend(pg_backend_pid()) FROM public.ctl WHERE n = 0;};
my %bodies = (
	'SET LOCAL before others' => qq{BEGIN; SET LOCAL search_path = side; CREATE TABLE x1 (); COMMIT; $die CREATE TABLE x2 ();},
	'SET LOCAL after others' => qq{CREATE TABLE x1 (); BEGIN; SET LOCAL search_path = side; CREATE TABLE x2 (); COMMIT; $die CREATE TABLE x3 ();},
	'SET LOCAL ROLE' => qq{BEGIN; SET LOCAL ROLE other; CREATE TABLE x1 (); END; $die CREATE TABLE x2 ();},
	'SET in a block' => qq{BEGIN; SET search_path = side; COMMIT; $die CREATE TABLE x1 ();},
	'two blocks' => qq{BEGIN; SET LOCAL search_path = side; CREATE TABLE x1 (); COMMIT; START TRANSACTION; $die CREATE TABLE x2 (); COMMIT;},
	'AND CHAIN' => qq{BEGIN; SET LOCAL search_path = side; CREATE TABLE x1 (); COMMIT AND CHAIN; $die CREATE TABLE x2 (); COMMIT;},
	'ON COMMIT DROP' => qq{BEGIN; CREATE TEMP TABLE y ON COMMIT DROP AS SELECT 1 AS i; INSERT INTO seen SELECT 'y1' FROM y; COMMIT; $die
		BEGIN; CREATE TEMP TABLE y ON COMMIT DROP AS SELECT 2 AS i; INSERT INTO seen SELECT 'y2' FROM y; COMMIT;},
	'ON COMMIT DELETE ROWS' => q{CREATE TEMP TABLE y (i int) ON COMMIT DELETE ROWS; BEGIN; INSERT INTO y VALUES (1); INSERT INTO seen SELECT i FROM y; COMMIT;
		BEGIN; INSERT INTO y VALUES (2); INSERT INTO seen SELECT i FROM y; COMMIT;},
	'a new value of an enum' => qq{BEGIN; ALTER TYPE mood ADD VALUE 'b'; COMMIT; $die INSERT INTO seen VALUES ('b'::mood);},
	'what is put off' => qq{BEGIN; INSERT INTO c VALUES (1); INSERT INTO p VALUES (1); COMMIT; $die BEGIN; SET CONSTRAINTS ALL IMMEDIATE; INSERT INTO p VALUES (2); INSERT INTO c VALUES (2); COMMIT;},
	'an empty block' => qq{CREATE TABLE x1 (); BEGIN; COMMIT; $die CREATE TABLE x2 ();},
	'comments' => qq{-- BEGIN\nBEGIN; /* ; COMMIT; */ SET LOCAL search_path = side; CREATE TABLE x1 (); COMMIT\n; -- no more\n$die CREATE TABLE x2 ();});

foreach my $name (sort keys %bodies)
{
	my $body = $bodies{$name};
	my $expected = in_psql($body =~ s/\Q$die\E//r);

	foreach my $direction (sort keys %directions)
	{
		my $way = $directions{$direction};
		my $function = $direction eq 'up' ? 'apply' : 'rollback';
		my $what = "$name, $direction";

		prepare();
		$way->{add}($body);
		(undef, undef, $err) = run_sql($node, $db, 'app', "SELECT migrate.$function()");
		like($err, qr/MG008: 1 migration cannot run in a transaction block.*\nHINT:  CALL migrate\.${function}_each\(\) can/s, "$what: not in one transaction");
		is(app('SELECT state FROM migrate.status()'), $direction eq 'up' ? 'pending' : 'applied', "$what: and nothing is done");
		is(app($direction eq 'up' ? 'SELECT own_transaction FROM migrate.plan()' : 'SELECT own_transaction FROM migrate.plan_rollback(1)'),
			't', "$what: the plan says so");
		if ($body =~ /terminate/)
		{
			(undef, undef, $err) = run_sql($node, $db, 'app', $way->{call});
			like($err, qr/57P01|terminat/, "$what: killed half-way");
			is(app('SELECT state FROM migrate.status()'), 'partial', "$what: partly done");
		}
		app('UPDATE ctl SET n = 1');
		($status, undef, $err) = run_sql($node, $db, 'app', $way->{call});
		is($status, 0, "$what: runs to its end") or diag($err);
		is(outcome(), $expected, "$what: as in psql");
		is(app('SELECT state FROM migrate.status()'), $way->{done}, "$what: and is done");
	}
	prepare();
	app("UPDATE ctl SET n = 1; SELECT migrate.add('1', " . quote($body) . ')');
	($status, undef, $err) = run_sql($node, $db, 'app', q{SELECT migrate.start() AS run \gset
		CALL migrate.wait(:run)});
	is($status, 0, "$name: in the background") or diag($err);
	is(outcome(), $expected, "$name: as in psql, too");
}

# ---------------------------------------------------------------------------
# One block around everything is the transaction of the run
# ---------------------------------------------------------------------------

foreach my $body ("-- first\nBEGIN;\nCREATE TABLE x1 ();\nCREATE TABLE x2 ();\nCOMMIT; -- last", 'BEGIN; COMMIT; CREATE TABLE x1 (); CREATE TABLE x2 ()')
{
	prepare();
	app("SELECT migrate.add('1', " . quote($body) . ')');
	is(app('SELECT own_transaction FROM migrate.plan()'), 'f', "plan: $body");
	is(app('SELECT count(*) FROM migrate.apply()'), '1', 'and runs in one transaction');
	like(outcome(), qr/public\.x1 app, public\.x2 app/, 'as in psql');
}

# ---------------------------------------------------------------------------
# Verify bodies
# ---------------------------------------------------------------------------

my $verify = q{BEGIN; SET LOCAL search_path = side; CREATE TEMP TABLE y (i int) ON COMMIT DROP; SELECT current_schema() = 'side'; ROLLBACK;
	BEGIN; CREATE TEMP TABLE y (i int); SELECT count(*) = 0 FROM y; ROLLBACK; SELECT current_schema() = 'public'};
foreach my $call ('SELECT migrate.apply()', 'CALL migrate.apply_each()')
{
	prepare();
	app("SELECT migrate.add('1', 'CREATE TABLE x1 ()', verify => " . quote($verify) . ')');
	($status, undef, $err) = run_sql($node, $db, 'app', $call);
	is($status, 0, "$call: blocks of a verify body") or diag($err);
	is(app('SELECT ok FROM migrate.verify()'), 't', 'and again');
	prepare();
	app("SELECT migrate.add('1', 'CREATE TABLE x1 ()', verify => " . quote("$verify AND 1 / (SELECT 0) = 1") . ')');
	(undef, undef, $err) = run_sql($node, $db, 'app', $call);
	like($err, qr/22012: division by zero.*verify body, statement 6/s, "$call: an error has its place");
}
(undef, undef, $err) = run_sql($node, $db, 'app', q{SELECT migrate.add('2', 'SELECT 1', verify => 'BEGIN; SELECT true; COMMIT; SELECT true')});
like($err, qr/MG009: .*\nLINE 1: .*\nHINT:  A verify body is rolled back as a whole: end a block beside other statements with ROLLBACK/s,
	'a block of a verify body cannot be committed');

# ---------------------------------------------------------------------------
# A COMMIT without a BEGIN, in files of tools that begin a transaction
# ---------------------------------------------------------------------------

my %files = (
	'golang-migrate' => sub { my ($up, $down) = @_; return ('1_a.up.sql', $up, '1_a.down.sql', $down); },
	goose => sub { my ($up, $down) = @_; return ('1_a.sql', "-- +goose Up\n$up\n-- +goose Down\n$down"); },
	prisma => sub { my ($up) = @_; return ('20240101000000_a/migration.sql', $up); },
	flyway => sub { my ($up) = @_; return ('V1__a.sql', $up); },
	diesel => sub { my ($up, $down) = @_; return ('2024-01-01-000000_a/up.sql', $up, '2024-01-01-000000_a/down.sql', $down); });

sub load
{
	my (@files) = @_;
	($status, $out, $err) = run_sql($node, $db, 'app',
		'SELECT count(*) FROM migrate.load(jsonb_build_object(' . join(', ', map { quote($_) } @files) . '))');
	return $err;
}

foreach my $tool (sort keys %files)
{
	my $last = "CREATE TABLE x1 ();\nEND;\n-- done\n";
	my $middle = "ALTER TYPE mood ADD VALUE 'b';\nCOMMIT;\n$die\nINSERT INTO seen VALUES ('b'::mood);\nCOMMIT;\n";

	foreach my $each (0, 1)
	{
		prepare();
		is(load($files{$tool}->($last, "DROP TABLE x1; COMMIT;")), '', "$tool: a last COMMIT");
		($status, undef, $err) = run_sql($node, $db, 'app', $each ? 'CALL migrate.apply_each()' : 'SELECT migrate.apply()');
		is($status, 0, 'is taken off') or diag($err);
		like(outcome(), qr/public\.x1 app/, 'and applied');
		next if $tool =~ /prisma|flyway/;
		($status, undef, $err) = run_sql($node, $db, 'app', $each ? 'CALL migrate.rollback_each()' : 'SELECT migrate.rollback()');
		is($status, 0, 'rolled back') or diag($err);
		unlike(outcome(), qr/x1/, 'and it is gone');
	}
	prepare();
	is(load($files{$tool}->($middle, 'SELECT 1')), '', "$tool: a COMMIT in the middle");
	(undef, undef, $err) = run_sql($node, $db, 'app', 'SELECT migrate.apply()');
	like($err, qr/MG008: .*COMMIT before other statements.*\nHINT:  CALL migrate\.apply_each\(\) can/s, 'is no transaction');
	is(app(q{SELECT string_agg(rule, ' ') FROM migrate.lint() WHERE severity = 'error'}), '', 'lint has nothing against it');
	app('UPDATE ctl SET n = 1');
	is(failing('rehearse()'), '0', 'and nothing fails in a rehearsal');
	app('UPDATE ctl SET n = 0');
	(undef, undef, $err) = run_sql($node, $db, 'app', 'CALL migrate.apply_each()');
	is(app('SELECT state FROM migrate.status()'), 'partial', 'killed after it');
	app('UPDATE ctl SET n = 1');
	($status, undef, $err) = run_sql($node, $db, 'app', 'CALL migrate.apply_each()');
	is($status, 0, 'and continued') or diag($err);
	is(app('SELECT what FROM seen'), 'b', 'as in psql');

	# in another database
	prepare();
	load($files{$tool}->($middle =~ s/\Q$die\E//r, 'SELECT 1'));
	my $script = $node->safe_psql($db, 'SELECT migrate.script()');
	prepare();
	($status, undef, $err) = run_sql($node, $db, 'app', $script);
	is($status, 0, 'its script runs') or diag($err);
	is(app('SELECT what FROM seen'), 'b', 'with the same outcome');
}

# where nobody begins one, it is a mistake
prepare();
(undef, undef, $err) = run_sql($node, $db, 'app', q{SELECT migrate.add('1', E'SELECT 1;\n\nCOMMIT')});
like($err, qr/MG009: migration "1" cannot contain transaction control\nLINE 3: COMMIT\n.*\nHINT:  COMMIT stands where there is no BEGIN: take it out, or write BEGIN/s,
	'add(): line, reason and way out');
like(load('1_a.sql', "-- migrate:up\nSELECT 1;\nCOMMIT;\n-- migrate:down\n"),
	qr/MG009: .*\nHINT:  COMMIT stands where there is no BEGIN: take it out, or write BEGIN.*\nCONTEXT:  migration "1" \(1_a\.sql:3\), up body/s,
	'and a file of the native form');

# ---------------------------------------------------------------------------
# Rehearsals
# ---------------------------------------------------------------------------

foreach my $case (
	[ 'SET LOCAL ends', q{BEGIN; SET LOCAL search_path = side; COMMIT; SELECT 1 / (current_schema() = 'public')::int} ],
	[ 'SET does not', q{BEGIN; SET search_path = side; COMMIT; SELECT 1 / (current_schema() = 'side')::int} ],
	[ 'what is put off is done', q{BEGIN; INSERT INTO c VALUES (1); INSERT INTO p VALUES (1); COMMIT; ALTER TABLE c ADD n int} ],
	[ 'ON COMMIT DROP', q{BEGIN; CREATE TEMP TABLE y (i int) ON COMMIT DROP; COMMIT; BEGIN; CREATE TEMP TABLE y (i int) ON COMMIT DROP; COMMIT} ],
	[ 'a new value', q{BEGIN; ALTER TYPE mood ADD VALUE 'b'; COMMIT; INSERT INTO seen VALUES ('b'::mood)} ])
{
	my ($name, $body) = @$case;

	prepare();
	app("SELECT migrate.add('1', 'SELECT 1', down => " . quote($body) . ')');
	app('SELECT migrate.apply()');
	is(failing('rehearse_rollback()'), '0', "rehearse_rollback(): $name");
	app("SELECT migrate.add('2', " . quote($body) . ')');
	is(failing('rehearse()'), '0', "rehearse(): $name");
}

# ---------------------------------------------------------------------------
# Hints name no mark that the file cannot have
# ---------------------------------------------------------------------------

my $at_once = q{ALTER TYPE mood ADD VALUE 'b'; INSERT INTO seen VALUES ('b'::mood);};
my $commits = q{CALL sets_and_commits('side');};
foreach my $case (
	[ 'prisma', $at_once, qr/HINT:.*write BEGIN and COMMIT around the statement that adds it/ ],
	[ 'golang-migrate', $at_once, qr/HINT:.*write BEGIN and COMMIT around the statement that adds it/ ],
	[ 'goose', $at_once, qr/HINT:.*mark the migration "-- \+goose NO TRANSACTION"/ ],
	[ 'flyway', $at_once, qr/HINT:.*mark the migration "executeInTransaction=false"/ ],
	[ 'diesel', $at_once, qr/HINT:.*mark the migration "run_in_transaction = false"/ ],
	[ 'prisma', $commits, qr/HINT:.*no file of prisma can say so: run it by hand, and record that with migrate\.stamp\(\)/ ],
	[ 'golang-migrate', $commits, qr/HINT:.*no file of golang-migrate can say so/ ],
	[ 'goose', $commits, qr/HINT:.*mark the migration "-- \+goose NO TRANSACTION" and CALL migrate\.apply_each\(\)/ ])
{
	my ($tool, $body, $hint) = @$case;

	foreach my $call ('SELECT migrate.apply()', 'CALL migrate.apply_each()')
	{
		prepare();
		load($files{$tool}->($body, 'SELECT 1'));
		(undef, undef, $err) = run_sql($node, $db, 'app', $call);
		like($err, $hint, "$tool, $call: a way that there is");
		unlike($err, qr/transactional off/, 'and none that there is not');
	}
}

# ---------------------------------------------------------------------------
# A carriage return ends a comment, and the parser says what is empty
# ---------------------------------------------------------------------------

prepare();
app(q{SELECT migrate.add('1', E'-- x\rCREATE TABLE x1 ();')});
foreach my $call ('SELECT migrate.rollback()', 'CALL migrate.rollback_each()')
{
	app('SELECT migrate.apply()');
	(undef, undef, $err) = run_sql($node, $db, 'app', $call);
	like($err, qr/MG007/, "$call: a body behind a carriage return has something to undo");
	like(outcome(), qr/x1/, 'and its table stays');
}
prepare();
is(load('1_a.sql', "-- migrate:up\nCREATE TABLE x1 ();\n-- foo\r-- migrate:down\nDROP TABLE x1;\n"), '', 'a marker behind a carriage return');
app('SELECT migrate.apply()');
like(outcome(), qr/x1/, 'begins the way back');
app('SELECT migrate.rollback()');
unlike(outcome(), qr/x1/, 'which is run to roll back');
foreach my $empty ('', '-- nothing', "-- a\r-- b", 'BEGIN; COMMIT', 'BEGIN ISOLATION LEVEL SERIALIZABLE; COMMIT', ';;')
{
	prepare();
	app("SELECT migrate.add('1', " . quote($empty) . ')');
	app($empty =~ /LEVEL/ ? 'CALL migrate.apply_each()' : 'SELECT migrate.apply()');
	is(app('SELECT count(*) FROM migrate.rollback()'), '1', "nothing to undo: '$empty'");
}

done_testing();
