# Deferred constraints of migrations that share a transaction: each migration ends
# as if it had one of its own, whatever the constraints are called, wherever they
# are, and whatever SET CONSTRAINTS the others say.
#
# Needs failures that are committed, sessions in a transaction, and a rehearsal.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'deferred';

$node->init;
$node->append_conf('postgresql.conf', q{
autovacuum = off
migrate.failure_quiet = 0
migrate.progress_notices = off
});
$node->start;
owner_database($node, $db);

# hidden.child is in a schema that app may not use, and comes in through a view.
$node->safe_psql($db, q{
	CREATE SCHEMA hidden;
	CREATE TABLE hidden.parent (i int PRIMARY KEY);
	CREATE TABLE hidden.child (i int REFERENCES hidden.parent DEFERRABLE INITIALLY DEFERRED);
	CREATE VIEW hidden_child AS SELECT * FROM hidden.child;
	CREATE VIEW hidden_parent AS SELECT * FROM hidden.parent;
	GRANT ALL ON hidden_child, hidden_parent TO app});
query($node, $db, 'app', q{
	CREATE TABLE p (i int PRIMARY KEY);
	CREATE TABLE c1 (i int CONSTRAINT fk REFERENCES p DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE c2 (i int CONSTRAINT fk REFERENCES p);
	CREATE TABLE c3 (i int REFERENCES p DEFERRABLE);
	CREATE TABLE parted (i int REFERENCES p DEFERRABLE INITIALLY DEFERRED) PARTITION BY LIST (i);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1, 2, 3);
	CREATE TABLE log (what text);
	CREATE TABLE t (what text);
	CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO log VALUES (new.what);
		EXECUTE new.what;
		RETURN NULL;
	END $$;
	CREATE CONSTRAINT TRIGGER ct AFTER INSERT ON t
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION act();
	CREATE TABLE named_so (i int CONSTRAINT ct CHECK (i > 0))});

my $apply = 'SELECT version, action FROM migrate.apply()';
my $each = 'CALL migrate.apply_each()';

# Begin with these migrations, 1 and on.
sub store
{
	my @ups = @_;
	my $version = 0;

	$node->safe_psql($db, q{
		DELETE FROM migrate.applied; DELETE FROM migrate.migration;
		TRUNCATE hidden.parent CASCADE});
	query($node, $db, 'app',
		'TRUNCATE p CASCADE; TRUNCATE log, t; DROP TABLE IF EXISTS x, child, parent;'
		  . join '', map { "SELECT migrate.add('" . ++$version . "', " . quote($_) . ", 'SELECT 1');" } @ups);
	return;
}

sub applied
{
	return $node->safe_psql($db,
		q{SELECT coalesce(string_agg(version, ' ' ORDER BY version), 'none') FROM migrate.applied});
}

sub journalled
{
	return $node->safe_psql($db,
		q{SELECT version || ' ' || sqlstate FROM migrate.journal ORDER BY run DESC, seq DESC LIMIT 1});
}

# ---------------------------------------------------------------------------
# What cannot be named
# ---------------------------------------------------------------------------

my $temporary = 'CREATE TEMP TABLE tp (i int PRIMARY KEY);'
  . 'CREATE TEMP TABLE tc (i int REFERENCES tp DEFERRABLE INITIALLY DEFERRED); INSERT INTO tc VALUES (1)';

foreach my $case (
	[ 'a name that another one bears', 'INSERT INTO c1 VALUES (1)' ],
	[ 'a schema without USAGE', 'INSERT INTO hidden_child VALUES (1)' ],
	[ 'temporary tables', $temporary ],
	[ 'a partition', 'INSERT INTO parted VALUES (1)' ],
	[ 'what a function makes', 'DO $$ BEGIN CREATE TABLE child (i int REFERENCES p DEFERRABLE INITIALLY DEFERRED); INSERT INTO child VALUES (1); END $$' ],
	[ 'DDL that runs a function', q{CREATE TABLE x (i int); INSERT INTO x VALUES (1); SET CONSTRAINTS ALL DEFERRED; INSERT INTO c3 VALUES (1)} ],
	[ 'a trigger that puts off something', q{INSERT INTO t VALUES ('SET CONSTRAINTS ALL DEFERRED; INSERT INTO c3 VALUES (1)')} ],
	[ 'and that again', q{INSERT INTO t VALUES ('SET CONSTRAINTS ALL DEFERRED; INSERT INTO t VALUES (''SET CONSTRAINTS ALL DEFERRED; INSERT INTO c3 VALUES (1)'')')} ])
{
	my ($name, $up) = @$case;

	foreach my $call ($apply, $each)
	{
		store($up, 'CREATE TABLE x2 ()');
		my (undef, undef, $err) = run_sql($node, $db, 'app', $call);
		like($err, qr/ERROR:  23503: .*CONTEXT: .*up body of migration "1"/s, "$name, $call: fails");
		is(applied(), 'none', 'nothing is applied');
		is(journalled(), '1 23503', 'and the journal names the migration');
	}
	like((run_sql($node, $db, 'app', 'SELECT * FROM migrate.apply(dry_run => true)'))[2],
		qr/ERROR:  23503/, 'a dry run says so');
	is(query($node, $db, 'app', q{SELECT string_agg(DISTINCT version || ' ' || sqlstate, ',') FROM migrate.rehearse() WHERE sqlstate IS NOT NULL}),
		'1 23503', 'a rehearsal says so');
	is(query($node, $db, 'app', q{SELECT version, error->>'sqlstate' FROM migrate.apply(raise => false)}),
		'1|23503', 'a failure as a row says so');
}

# the trigger of a name that is another constraint's cannot change migrations
store(q{INSERT INTO t VALUES ('SELECT migrate.unstamp(''1'')')}, 'CREATE TABLE x ()');
foreach my $call ($apply, $each)
{
	like((run_sql($node, $db, 'app', $call))[2],
		qr/ERROR:  MG019: a migration cannot run or change migrations/, "$call: a deferred trigger runs nothing");
	is(applied(), 'none', 'nothing is applied');
}

# ---------------------------------------------------------------------------
# SET CONSTRAINTS of another migration
# ---------------------------------------------------------------------------

my $function = q{DO $$ BEGIN SET CONSTRAINTS ALL DEFERRED; END $$};
my $immediately = 'CREATE TABLE parent (i int PRIMARY KEY); CREATE TABLE child (i int REFERENCES parent DEFERRABLE);'
  . 'INSERT INTO child VALUES (1); INSERT INTO parent VALUES (1)';
my $deferred = $immediately =~ s/DEFERRABLE/DEFERRABLE INITIALLY DEFERRED/r;

foreach my $all ('SET CONSTRAINTS ALL DEFERRED', $function,
	'SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS c3_i_fkey DEFERRED',
	'INSERT INTO p VALUES (1); SET CONSTRAINTS ALL DEFERRED; INSERT INTO c3 VALUES (1)')
{
	foreach my $call ($apply, $each)
	{
		store($all, $immediately);
		my (undef, undef, $err) = run_sql($node, $db, 'app', $call);
		like($err, qr/ERROR:  23503: .*"child_i_fkey".*migration "2", up body, statement 3/s,
			"$all, $call: does not hold for the next migration");
		is(applied(), $call eq $each ? '1' : 'none', 'which is not applied');
		store("$all; INSERT INTO p VALUES (2); INSERT INTO c1 VALUES (2)", $deferred);
		unlike((run_sql($node, $db, 'app', $call))[2], qr/ERROR/, 'nor for what is initially deferred');
		is(applied(), '1 2', 'which is applied');
	}
}
foreach my $call ($apply, $each)
{
	store('SET CONSTRAINTS ALL IMMEDIATE', $deferred, 'INSERT INTO c1 VALUES (7); INSERT INTO p VALUES (7)');
	unlike((run_sql($node, $db, 'app', $call))[2], qr/ERROR/, "SET CONSTRAINTS ALL IMMEDIATE, $call: does not hold");
	is(applied(), '1 2 3', 'and all is applied');
}
store('SET CONSTRAINTS ALL DEFERRED', $immediately);
is(query($node, $db, 'app', q{SELECT version, statement, sqlstate FROM migrate.rehearse() WHERE sqlstate IS NOT NULL}),
	'2|3|23503', 'a rehearsal agrees');
store('SET CONSTRAINTS ALL IMMEDIATE', $deferred);
is(query($node, $db, 'app', q{SELECT count(*) FROM migrate.rehearse() WHERE sqlstate IS NOT NULL}),
	'0', 'both ways');

# ---------------------------------------------------------------------------
# Each event is fired once
# ---------------------------------------------------------------------------

foreach my $call ($apply, "BEGIN; $apply; COMMIT", "BEGIN; $apply; SAVEPOINT a; ROLLBACK TO a; COMMIT", $each)
{
	store(q{INSERT INTO t VALUES ('SELECT 1')}, q{INSERT INTO t VALUES ('SELECT 2')}, 'SELECT 3');
	run_sql($node, $db, 'app', $call);
	is(query($node, $db, 'app', q{SELECT string_agg(what, ',' ORDER BY what) FROM log}),
		'SELECT 1,SELECT 2', "$call: each event is fired once");
}

# of a caller's transaction too
store(q{INSERT INTO t VALUES ('SELECT 1')}, q{INSERT INTO t VALUES ('SELECT 2')});
my (undef, undef, $err) = run_sql($node, $db, 'app', qq{
	BEGIN;
	INSERT INTO t VALUES ('SELECT 0');
	INSERT INTO c1 VALUES (1); INSERT INTO p VALUES (1);
	INSERT INTO parted VALUES (1);
	$apply;
	INSERT INTO parted VALUES (2); INSERT INTO p VALUES (2);
	COMMIT});
unlike($err, qr/ERROR/, 'a caller with deferred events of its own');
is(query($node, $db, 'app', q{SELECT string_agg(what, ',' ORDER BY what) FROM log}),
	'SELECT 0,SELECT 1,SELECT 2', 'has them fired once');
is(applied(), '1 2', 'and its migrations applied');

# and again, if the run has failed
store(q{INSERT INTO t VALUES ('SELECT 1')}, 'SELECT 1/0');
(undef, undef, $err) = run_sql($node, $db, 'app', qq{
	BEGIN;
	INSERT INTO t VALUES ('SELECT 0');
	SELECT version, action FROM migrate.apply(raise => false);
	SELECT version, action FROM migrate.apply(raise => false);
	COMMIT});
is(query($node, $db, 'app', q{SELECT string_agg(what, ',' ORDER BY what) FROM log}),
	'SELECT 0', 'two runs that fail fire them once, and nothing of their own');
is(applied(), 'none', 'and apply nothing');

# what is wrong with them is the caller's
store('SELECT 1');
(undef, undef, $err) = run_sql($node, $db, 'app', "BEGIN; INSERT INTO c1 VALUES (1); $apply");
like($err, qr/ERROR:  23503: .*CONTEXT:  .*deferred constraints of the transaction before the run/s,
	'a violation by the caller is not that of a migration');
(undef, undef, $err) = run_sql($node, $db, 'app', qq{
	BEGIN; INSERT INTO t VALUES ('SELECT migrate.add(''9'', ''SELECT 9'')'); $apply});
like($err, qr/ERROR:  MG019/, 'nor do its triggers change migrations under a run');

# nor does the run change what the caller has said
store('SELECT 1', 'SET CONSTRAINTS ALL IMMEDIATE');
(undef, undef, $err) = run_sql($node, $db, 'app', qq{
	BEGIN; SET CONSTRAINTS ALL DEFERRED; $apply;
	INSERT INTO c3 VALUES (1); INSERT INTO p VALUES (1); COMMIT});
unlike($err, qr/ERROR/, 'SET CONSTRAINTS of the caller holds after the run');
is(applied(), '1 2', 'which is applied');

# what the caller's role cannot name would be fired by the run and by the commit
query($node, $db, $superuser, q{
	CREATE SCHEMA hid; CREATE TABLE hid.log (n int); CREATE TABLE hid.acc (i int);
	CREATE FUNCTION hid.f() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO hid.log VALUES (new.i); RETURN NULL; END $$;
	CREATE CONSTRAINT TRIGGER ct AFTER INSERT ON hid.acc DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hid.f();
	CREATE FUNCTION public.book(int) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO hid.acc VALUES ($1)'});
store('SELECT 1');
(undef, undef, $err) = run_sql($node, $db, 'app', "BEGIN; SELECT public.book(7); $apply; COMMIT");
like($err, qr/ERROR:  25001: cannot run migrations in this transaction/, 'a trigger of a schema that it may not use: refused');
query($node, $db, 'app', 'SELECT public.book(8)');
is(query($node, $db, $superuser, q{SELECT string_agg(n::text, ',') FROM hid.log}), '8', 'and nothing fires twice');
query($node, $db, 'app', $apply);
is(applied(), '1', 'without that it is applied');

# ---------------------------------------------------------------------------
# Ways back
# ---------------------------------------------------------------------------

foreach my $call ('SELECT * FROM migrate.rollback(2)', 'CALL migrate.rollback_each(2)', 'SELECT * FROM migrate.redo(1)')
{
	store('SELECT 1', 'SELECT 2');
	query($node, $db, 'app', q{SELECT migrate.add('3', 'SELECT 3', 'INSERT INTO c1 VALUES (1)')});
	query($node, $db, 'app', $apply);
	like((run_sql($node, $db, 'app', $call))[2],
		qr/ERROR:  23503: .*CONTEXT: .*down body of migration "3"/s, "$call: fails");
	is(applied(), '1 2 3', 'nothing is undone');
	is(journalled(), '3 23503', 'and the journal names the migration');
}

# ---------------------------------------------------------------------------
# Which tables may have events
# ---------------------------------------------------------------------------

# A trigger that puts off another event, of a table that was locked before it had one.
my $again = q{INSERT INTO x VALUES ('SET CONSTRAINTS xt DEFERRED; INSERT INTO x VALUES (''SELECT 1/0'')')};
my $make_trigger = 'CREATE CONSTRAINT TRIGGER xt AFTER INSERT ON x DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION act()';

foreach my $case (
	[ 'in one migration', "CREATE TABLE x (what text); $make_trigger; $again" ],
	[ 'in three', 'CREATE TABLE x (what text)', $make_trigger, $again ],
	[ 'after one that has read it', "CREATE TABLE x (what text); $make_trigger", 'SELECT * FROM x', $again ],
	[ 'after one that has written to it', "CREATE TABLE x (what text); $make_trigger", q{INSERT INTO x VALUES ('SELECT 1')}, $again ],
	[ 'after many others', 'CREATE TABLE x (what text)',
		(map { "CREATE TABLE many_$_ (i int PRIMARY KEY); DROP TABLE many_$_" } 1 .. 30),
		"DO \$\$ BEGIN FOR n IN 1 .. 300 LOOP EXECUTE 'CREATE TEMP TABLE many_' || n || ' () ON COMMIT DROP'; END LOOP; END \$\$; $make_trigger", $again ],
	[ 'after a subtransaction that has given up locks', 'CREATE TABLE x (what text)',
		'DO $$ BEGIN BEGIN LOCK TABLE p, c1, c2, c3; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END; END $$',
		$make_trigger, $again ])
{
	my ($name, @ups) = @$case;

	foreach my $call ($apply, $each)
	{
		store(@ups);
		like((run_sql($node, $db, 'app', $call))[2], qr/ERROR:  22012: division by zero/,
			"$call: what a trigger puts off again, $name, is fired");
	}
}

# They are asked for one by one: nobody reads pg_trigger as a whole.
store((q{INSERT INTO log VALUES ('1')}) x 3);
my $counter = session($node, $db, 'app');
my $scans = q{SELECT pg_stat_get_numscans('pg_trigger'::regclass)};
ask($counter, 'SELECT pg_stat_force_next_flush()');
my $before = ask($counter, $scans);
is(scalar(ask($counter, 'SELECT count(*) FROM migrate.apply()')), '3', 'three migrations');
ask($counter, 'SELECT pg_stat_force_next_flush()');
is(scalar(ask($counter, $scans)), $before, 'pg_trigger is not scanned');
$counter->quit;

my $session = session($node, $db, 'app');
my $late = 'REFERENCES p DEFERRABLE INITIALLY DEFERRED';

foreach my $case (
	[ 'made by the session', "CREATE TABLE late (i int $late)" ],
	[ 'made by another one', '', "CREATE TABLE late (i int $late)" ],
	[ 'that had none', 'CREATE TABLE late (i int)', "ALTER TABLE late ADD FOREIGN KEY (i) $late" ],
	[ 'made deferrable', 'CREATE TABLE late (i int CONSTRAINT l REFERENCES p)',
		'ALTER TABLE late ALTER CONSTRAINT l DEFERRABLE INITIALLY DEFERRED' ],
	[ 'lost in a transaction that was rolled back',
		"CREATE TABLE late (i int $late); BEGIN; DROP TABLE late; SELECT migrate.apply(dry_run => true); ROLLBACK" ],
	[ 'made by a migration', q{SELECT migrate.add('10', 'CREATE TABLE late (i int } . $late . q{)'); SELECT count(*) FROM migrate.apply()} ],
	[ 'after many others',
		"CREATE TABLE late (i int $late); DO \$\$ BEGIN FOR n IN 1 .. 300 LOOP EXECUTE 'CREATE TEMP TABLE many_' || n || ' ()'; END LOOP; END \$\$; DISCARD TEMP" ])
{
	my ($name, $own, $others) = @$case;

	store('SELECT 1');
	ask($session, "SELECT count(*) FROM migrate.apply(); $own");
	query($node, $db, 'app', "$others; SELECT migrate.add('11', 'SELECT 1')");
	my (undef, $err) = ask($session,
		'BEGIN; INSERT INTO late VALUES (1); SELECT count(*) FROM migrate.apply(); ROLLBACK; DROP TABLE late');
	like($err, qr/ERROR:  23503: .*CONTEXT:  deferred constraints of the transaction before the run/s,
		"a table with a deferred constraint, $name: is looked at");
}

# ---------------------------------------------------------------------------
# In the session as the body has left it, and before the verify body
# ---------------------------------------------------------------------------

# What a trigger, or the query of a cursor WITH HOLD, sees at the end of a body is
# what it sees in psql at the COMMIT.
my $seen = 'seen';
owner_database($node, $seen);
$node->safe_psql($seen, q{
	CREATE ROLE deputy; GRANT deputy TO app;
	CREATE SCHEMA other; GRANT ALL ON SCHEMA other, public TO PUBLIC;
	CREATE TABLE public.audit (role text, path text, mem text);
	CREATE TABLE other.audit (role text, path text, mem text);
	CREATE TABLE public.items (i int); CREATE TABLE public.total (n bigint);
	INSERT INTO total VALUES (0);
	GRANT ALL ON public.items, public.total, public.audit, other.audit TO PUBLIC;
	CREATE FUNCTION note() RETURNS int LANGUAGE sql AS $$
		INSERT INTO audit VALUES (current_user, current_setting('search_path'), current_setting('work_mem')) RETURNING 1 $$;
	CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM public.note();
		UPDATE public.total SET n = (SELECT sum(i) FROM public.items);
		RETURN NULL;
	END $$;
	CREATE CONSTRAINT TRIGGER noted AFTER INSERT ON public.items
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION noted()});
my $version = 1;
my $trigger = q{SET ROLE deputy; SET search_path = other; SET work_mem = '7MB'; INSERT INTO public.items VALUES (1);};
my $held = q{SET search_path = other; SET work_mem = '8MB'; DECLARE c CURSOR WITH HOLD FOR SELECT public.note();};
my $observed = q{SELECT string_agg(concat_ws(' ', t, role, path, mem), ', ') FROM
	(SELECT 'other' AS t, * FROM other.audit UNION ALL SELECT 'public', * FROM public.audit) a};

foreach my $body ($trigger, $held)
{
	query($node, $seen, $superuser, 'TRUNCATE public.audit, other.audit');
	query($node, $seen, 'app', "BEGIN; $body COMMIT");
	my $in_psql = query($node, $seen, $superuser, $observed);

	like($in_psql, qr/^other (deputy|app) other [78]MB$/, 'in psql: in the session as it is at the COMMIT');
	foreach my $call ($apply, $each, 'SELECT count(*) FROM migrate.rehearse()')
	{
		query($node, $seen, $superuser, 'TRUNCATE public.audit, other.audit');
		query($node, $seen, 'app', "SELECT migrate.add('$version', " . quote($body) . ')');
		if ($call =~ /rehearse/)
		{
			is(query($node, $seen, 'app', q{SELECT count(*) FROM migrate.rehearse() WHERE sqlstate IS NOT NULL}), '0', 'a rehearsal: no error');
			query($node, $seen, 'app', "SELECT migrate.remove('$version')");
			next;
		}
		query($node, $seen, 'app', $call);
		is(query($node, $seen, $superuser, $observed), $in_psql, "$call: the same");
		$version++;
	}
}

# A way back as well.
foreach my $call ('SELECT migrate.rollback()', 'CALL migrate.rollback_each()')
{
	query($node, $seen, $superuser, 'TRUNCATE public.audit, other.audit');
	query($node, $seen, 'app', "SELECT migrate.add('$version', 'SELECT 1', " . quote($trigger) . '); SELECT migrate.apply()');
	query($node, $seen, 'app', $call);
	is(query($node, $seen, $superuser, $observed), 'other deputy other 7MB', "$call: the same");
	query($node, $seen, 'app', "SELECT migrate.remove('$version')");
}

# The verify body sees what the end of the transaction has done.
foreach my $call ($apply, $each)
{
	query($node, $seen, $superuser, 'TRUNCATE public.items');
	query($node, $seen, 'app', "SELECT migrate.add('$version', 'INSERT INTO items VALUES (5)',
		verify => 'SELECT n = 5 FROM total')");
	query($node, $seen, 'app', $call);
	is(query($node, $seen, 'app', "SELECT count(*) FROM migrate.applied WHERE version = '$version'"), '1', "$call: verifies");
	$version++;

	# with constraints in their own states, whatever the body has said
	query($node, $seen, 'app', "SELECT migrate.add('$version', 'SET CONSTRAINTS ALL IMMEDIATE; INSERT INTO items VALUES (6)',
		verify => 'INSERT INTO items VALUES (7); SELECT n <> 18 FROM total')");
	query($node, $seen, 'app', $call);
	is(query($node, $seen, 'app', "SELECT count(*) FROM migrate.applied WHERE version = '$version'"), '1', "$call: constraints are deferred again");
	$version++;
}

$node->stop;
done_testing();
