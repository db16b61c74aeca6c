#!/usr/bin/perl
#
# 085_rehearse.pl: what rehearse() tells, and that nothing is left of it
#
# Sessions that hold locks, a dump before and after, other roles, and what a
# session has beside its transactions.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use MigrateTest;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
allow_in_place_tablespaces = on
autovacuum = off
lc_messages = 'C'
END
$node->start;
my $major = $node->safe_psql('postgres', 'SHOW server_version_num') / 10000;
$major = int $major;

# ---------------------------------------------------------------------------
# Locks and rewrites: what PostgreSQL's documentation says of each form of DDL
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', q{CREATE TABLESPACE elsewhere LOCATION ''});
owner_database($node, 'forms', owner => $superuser);
query($node, 'forms', $superuser, <<'END');
CREATE ROLE somebody;
CREATE SCHEMA attic;
CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(10), c text,
	d numeric(10, 2), e int NOT NULL DEFAULT 0, f timestamp);
INSERT INTO t SELECT i, i, i, repeat('long ', 10), i, i FROM generate_series(1, 300) i;
ALTER TABLE t ADD CONSTRAINT checked CHECK (a > 0) NOT VALID;
CREATE INDEX t_a_idx ON t (a);
CREATE UNIQUE INDEX t_d_idx ON t (d);
CREATE TABLE child (id int PRIMARY KEY, t_id int NOT NULL);
INSERT INTO child SELECT i, i FROM generate_series(1, 200) i;
CREATE TABLE bound (id int PRIMARY KEY, t_id int CONSTRAINT bond REFERENCES t);
INSERT INTO bound SELECT i, i FROM generate_series(1, 100) i;
ALTER TABLE bound ADD CONSTRAINT loose FOREIGN KEY (id) REFERENCES t NOT VALID;
CREATE TABLE heap (id int, a text);
INSERT INTO heap SELECT i, i FROM generate_series(1, 50) i;
CREATE INDEX heap_id_idx ON heap (id);
CREATE TABLE parent (id int);
CREATE TABLE kid (id int);
CREATE TABLE part (id int, k int) PARTITION BY RANGE (k);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE piece (id int, k int);
INSERT INTO piece SELECT i, 12 FROM generate_series(1, 40) i;
CREATE VIEW v AS SELECT id FROM t;
CREATE MATERIALIZED VIEW mv AS SELECT id FROM t;
CREATE UNIQUE INDEX mv_id_idx ON mv (id);
CREATE SEQUENCE s;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER old BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE POLICY all_of_it ON t USING (true);
CREATE STATISTICS st ON a, b FROM t;
ANALYZE;
END

my $ae = 'ACCESS EXCLUSIVE';
my $sre = 'SHARE ROW EXCLUSIVE';
my $sue = 'SHARE UPDATE EXCLUSIVE';

# Each form: the statement, the locks on relations that are no index, and what
# else it does: "rewritten t" and so on, "scan t 300" with the number of rows.
# Locks on indexes are given only where the statement names the index.
my @forms = (
	# ALTER TABLE, columns
	[ 'ALTER TABLE t ADD COLUMN x int', "t $ae" ],
	[ 'ALTER TABLE t ADD COLUMN x int NOT NULL DEFAULT 7', "t $ae" ],
	[ 'ALTER TABLE t ADD COLUMN x float DEFAULT random()', "t $ae", 'rewritten t', 'scan t 1200', 'reindexed t_a_idx t_d_idx t_pkey' ],
	[ 'ALTER TABLE t ADD COLUMN x int GENERATED ALWAYS AS (a + 1) STORED', "t $ae", 'rewritten t', 'reindexed t_a_idx t_d_idx t_pkey' ],
	[ 'ALTER TABLE heap ADD COLUMN x int GENERATED ALWAYS AS IDENTITY', "heap $ae", 'rewritten heap', 'reindexed heap_id_idx', 'created heap_x_seq' ],
	[ 'ALTER TABLE t DROP COLUMN c', "t $ae" ],
	[ 'ALTER TABLE t ALTER a TYPE bigint', "t $ae", 'rewritten t', 'reindexed t_a_idx t_d_idx t_pkey' ],
	[ 'ALTER TABLE t ALTER b TYPE varchar(20)', "t $ae", 'no scan' ],
	[ 'ALTER TABLE t ALTER b TYPE text', "t $ae", 'no scan' ],
	[ 'ALTER TABLE t ALTER b TYPE varchar(5)', "t $ae", 'rewritten t', 'reindexed t_a_idx t_d_idx t_pkey' ],
	[ 'ALTER TABLE t ALTER d TYPE numeric(12, 2)', "t $ae", 'no scan' ],
	[ 'ALTER TABLE t ALTER d TYPE numeric(12, 3)', "t $ae", 'rewritten t', 'reindexed t_a_idx t_d_idx t_pkey' ],
	[ 'ALTER TABLE t ALTER a SET DEFAULT 7', "t $ae" ],
	[ 'ALTER TABLE t ALTER e DROP DEFAULT', "t $ae" ],
	[ 'ALTER TABLE t ALTER a SET NOT NULL', "t $ae", 'scan t 300' ],
	[ 'ALTER TABLE t ALTER e DROP NOT NULL', "t $ae", 'no scan' ],
	[ 'ALTER TABLE t ALTER a SET STATISTICS 500', "t $sue" ],
	[ 'ALTER TABLE t ALTER a SET (n_distinct = 5)', "t $sue" ],
	[ 'ALTER TABLE t ALTER c SET STORAGE EXTERNAL', "t $ae" ],
	[ 'ALTER TABLE t RENAME c TO cc', "t $ae" ],

	# ALTER TABLE, constraints
	[ 'ALTER TABLE t ADD CHECK (a > 0)', "t $ae", 'scan t 300' ],
	[ 'ALTER TABLE t ADD CHECK (a > 0) NOT VALID', "t $ae", 'no scan' ],
	[ 'ALTER TABLE t VALIDATE CONSTRAINT checked', "t $sue", 'scan t 300' ],
	[ 'ALTER TABLE child ADD FOREIGN KEY (t_id) REFERENCES t', "child $sre", "t $sre", 'scan child 200', 'scan t 300' ],
	[ 'ALTER TABLE child ADD FOREIGN KEY (t_id) REFERENCES t NOT VALID', "child $sre", "t $sre", 'no scan' ],
	[ 'ALTER TABLE bound VALIDATE CONSTRAINT loose', "bound $sue", 't ROW SHARE', 'scan bound 100', 'scan t 300' ],
	[ 'ALTER TABLE child ADD UNIQUE (t_id)', "child $ae", 'created child_t_id_key', 'scan child 200' ],
	[ 'ALTER TABLE t ADD CONSTRAINT unique_d UNIQUE USING INDEX t_d_idx', "t $ae", 'no scan' ],
	[ 'ALTER TABLE t DROP CONSTRAINT checked', "t $ae" ],
	[ 'ALTER TABLE bound DROP CONSTRAINT bond', "bound $ae", "t $ae" ],
	[ 'ALTER TABLE bound ALTER CONSTRAINT bond DEFERRABLE', "bound $ae", 'no scan' ],
	[ 'ALTER TABLE t RENAME CONSTRAINT checked TO cc', "t $ae" ],

	# ALTER TABLE, the table
	[ 'ALTER TABLE t RENAME TO tt', "t $ae" ],
	[ 'ALTER TABLE t SET SCHEMA attic', "t $ae" ],
	[ 'ALTER TABLE t OWNER TO somebody', "t $ae" ],
	[ 'ALTER TABLE t SET (fillfactor = 70)', "t $sue" ],
	[ 'ALTER TABLE t CLUSTER ON t_pkey', "t $sue" ],
	[ 'ALTER TABLE t SET WITHOUT CLUSTER', "t $sue" ],
	[ 'ALTER TABLE heap SET UNLOGGED', "heap $ae", 'rewritten heap', 'reindexed heap_id_idx' ],
	[ 'ALTER TABLE heap SET TABLESPACE elsewhere', "heap $ae", 'rewritten heap' ],
	[ 'ALTER TABLE t DISABLE TRIGGER old', "t $sre" ],
	[ 'ALTER TABLE t ENABLE ROW LEVEL SECURITY', "t $ae" ],
	[ 'ALTER TABLE t REPLICA IDENTITY FULL', "t $ae" ],
	[ 'ALTER TABLE kid INHERIT parent', "kid $ae", "parent $sue" ],
	[ 'ALTER TABLE part ATTACH PARTITION piece FOR VALUES FROM (10) TO (20)', "part $sue", "piece $ae", 'scan piece 40' ],
	[ 'ALTER TABLE part DETACH PARTITION part_1', "part $ae", "part_1 $ae" ],

	# indexes
	[ 'CREATE INDEX t_e_idx ON t (e)', 't SHARE', 'created t_e_idx', 'scan t 300' ],
	[ 'CREATE UNIQUE INDEX t_e_idx ON t (a, e)', 't SHARE', 'created t_e_idx', 'scan t 300' ],
	[ 'DROP INDEX t_a_idx', "t $ae", "t_a_idx $ae", 'dropped t_a_idx' ],
	[ 'REINDEX INDEX t_a_idx', 't SHARE', "t_a_idx $ae", 'reindexed t_a_idx' ],
	[ 'REINDEX TABLE t', 't SHARE', 'reindexed t_a_idx t_d_idx t_pkey' ],
	[ 'ALTER INDEX t_a_idx RENAME TO other', "t_a_idx $sue" ],
	[ 'ALTER INDEX t_a_idx SET (fillfactor = 70)', "t_a_idx $sue" ],

	# what hangs on a table
	[ 'CREATE TRIGGER new BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()', "t $sre" ],
	[ 'DROP TRIGGER old ON t', "t $ae" ],
	[ 'ALTER TRIGGER old ON t RENAME TO older', "t $ae" ],
	[ 'CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING', "t $ae" ],
	[ 'CREATE POLICY few ON t USING (a > 0)', "t $ae" ],
	[ 'DROP POLICY all_of_it ON t', "t $ae" ],
	[ 'CREATE STATISTICS st2 ON a, c FROM t', "t $sue" ],
	[ q{COMMENT ON TABLE t IS 'x'}, "t $sue" ],
	[ 'CREATE PUBLICATION p FOR TABLE t', "t $sue" ],

	# whole relations
	[ 'TRUNCATE heap', "heap $ae", 'truncated heap' ],
	[ 'TRUNCATE t, bound', "t $ae", "bound $ae", 'truncated bound t' ],
	[ 'DROP TABLE heap', "heap $ae", 'dropped heap heap_id_idx' ],
	[ 'DROP TABLE bound', "bound $ae", "t $ae", 'dropped bound bound_pkey' ],
	[ 'CLUSTER t USING t_a_idx', "t $ae", 'rewritten t', 'reindexed t_a_idx t_d_idx t_pkey' ],
	[ 'ANALYZE t', "t $sue" ],
	[ 'CREATE TABLE n (id serial PRIMARY KEY)', 'created n n_id_seq n_pkey' ],
	[ 'CREATE TABLE n (t_id int REFERENCES t)', "t $sre", 'created n', 'no scan' ],
	[ 'CREATE TABLE n (LIKE t)', 't ACCESS SHARE', 'created n' ],
	[ 'CREATE TABLE n AS SELECT * FROM t', 't ACCESS SHARE', 'created n', 'scan t 300' ],
	[ 'CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (20) TO (30)', "part $ae", 'created part_2' ],
	[ 'CREATE TABLE n () INHERITS (parent)', "parent $sue", 'created n' ],
	[ 'CREATE VIEW w AS SELECT * FROM t', 't ACCESS SHARE', 'created w' ],
	[ 'CREATE OR REPLACE VIEW v AS SELECT id, b FROM t', "v $ae", 't ACCESS SHARE' ],
	[ 'DROP VIEW v', "v $ae", 'dropped v' ],
	[ 'REFRESH MATERIALIZED VIEW mv', "mv $ae", 't ACCESS SHARE', 'rewritten mv', 'reindexed mv_id_idx' ],
	[ 'REFRESH MATERIALIZED VIEW CONCURRENTLY mv', 'mv EXCLUSIVE', 't ACCESS SHARE' ],
	[ 'ALTER SEQUENCE s INCREMENT 2', "s $sre" ],
	[ 'DROP SEQUENCE s', "s $ae", 'dropped s' ],
	[ 'LOCK TABLE t IN EXCLUSIVE MODE', 't EXCLUSIVE' ],

	# rows
	[ 'SELECT count(c) FROM t', 't ACCESS SHARE', 'scan t 300' ],
	[ 'SELECT * FROM t WHERE id = 1 FOR UPDATE', 't ROW SHARE' ],
	[ 'SELECT count(*) FROM information_schema.tables' ],
	[ 'INSERT INTO heap VALUES (0)', 'heap ROW EXCLUSIVE' ],
	[ 'UPDATE t SET c = NULL', 't ROW EXCLUSIVE', 'scan t 300' ],
	[ 'DELETE FROM heap', 'heap ROW EXCLUSIVE', 'scan heap 50' ],
	[ 'MERGE INTO heap USING t ON heap.id = t.id WHEN MATCHED THEN DELETE', 'heap ROW EXCLUSIVE', 't ACCESS SHARE' ],
	[ q{DO 'BEGIN EXECUTE ''ALTER TABLE t ADD x int''; DELETE FROM heap; END'}, "t $ae", 'heap ROW EXCLUSIVE', 'scan heap 50' ],
	[ 'GRANT SELECT ON t TO somebody', $major >= 18 ? 't ACCESS SHARE' : () ],
);

# What rehearse() says of project 'form', in the words of the table above.
my $said = <<'END';
SELECT string_agg(x, E'\n' ORDER BY x) FROM migrate.rehearse(project => 'form') r,
LATERAL (
	SELECT CASE WHEN l.kind = 'index' THEN 'index ' ELSE 'lock ' END
		|| replace(l.relation, 'public.', '') || ' ' || l.mode
	FROM unnest(r.locks) l
	UNION ALL SELECT w.what || ' ' || replace(array_to_string(w.names, ' '), 'public.', '')
	FROM (VALUES ('rewritten', rewritten), ('reindexed', reindexed),
		('created', created), ('dropped', dropped), ('truncated', truncated)) w (what, names)
	WHERE w.names <> '{}'
	UNION ALL SELECT 'scan ' || replace(s.relation, 'public.', '') || ' ' || s.row_count
	FROM unnest(r.scans) s
	UNION ALL SELECT 'error ' || r.message WHERE r.message IS NOT NULL
	UNION ALL SELECT 'skipped ' || r.skipped WHERE r.skipped IS NOT NULL
) x (x)
END

sub dump_of
{
	my ($db) = @_;
	my ($out, $err) = run_command(
		[
			$node->installed_command('pg_dump'), '-d', $node->connstr($db)
		]);

	die $err if $out eq '';
	$out =~ s/^\\(un)?restrict .*\n//mg;
	return $out;
}

# the project has a row in migrate.state from then on
query($node, 'forms', $superuser, <<'END');
SELECT FROM migrate.add('1', 'SELECT 1', project => 'form');
SELECT FROM migrate.remove('1', project => 'form');
END
my $before = dump_of('forms');
foreach my $form (@forms)
{
	my ($sql, @expected) = @$form;
	my %expected = map { $_ => 1 } @expected;
	my @out = split /\n/,
	  query($node, 'forms', $superuser,
		  "SELECT FROM migrate.add('1', " . quote($sql)
		  . ", project => 'form');\n$said;\nSELECT FROM migrate.remove('1', project => 'form')");
	my @got;

	foreach my $line (@out)
	{
		if ($line =~ /^index (.*)$/)
		{
			# indexes that the statement does not name
			push @got, $1 if $expected{$1} || $sql =~ /INDEX/ && $sql !~ /USING|TABLE/ && $sql !~ /^CREATE/;
		}
		elsif ($line =~ /^scan /)
		{
			# a rewrite reads as often as there are indexes
			push @got, $line if $expected{'no scan'} || grep { /^scan/ } @expected;
		}
		else
		{
			push @got, $line =~ s/^lock //r;
		}
	}
	is(join("\n", sort @got),
		join("\n", sort grep { $_ ne 'no scan' } @expected), $sql);
}
cmp_ok(scalar(@forms), '>=', 40, 'so many forms of DDL');
is(dump_of('forms'), $before, 'no form has left anything');


# ---------------------------------------------------------------------------
# Several migrations
# ---------------------------------------------------------------------------

# Load bodies as the migrations of a project, named 1, 2 and so on.
sub plan_of
{
	my ($db, $role, $project, @bodies) = @_;
	my $number = 0;

	query($node, $db, $role,
		"DELETE FROM migrate.migration WHERE project = '$project';\n"
		  . join('', map { 'SELECT FROM migrate.add(' . quote(++$number) . ', '
				. quote($_) . ", project => '$project');\n" } @bodies));
	return;
}

plan_of('forms', $superuser, 'plan',
	'ALTER TABLE t ADD x int; CREATE INDEX ON t (x); ALTER TABLE t ADD y int',
	'ALTER TABLE t ADD z int; SELECT count(*) FROM t; COMMENT ON TABLE t IS NULL',
	'CREATE INDEX ON heap (a); CREATE INDEX ON heap (id, a)',
	'CREATE INDEX ON heap (a, id)',
	'UPDATE heap SET a = id; ALTER TABLE heap ALTER id TYPE bigint',
	'CREATE TABLE n (id int); ALTER TABLE n ADD a int; INSERT INTO n VALUES (1); DROP TABLE n');
is( query($node, 'forms', $superuser, q{
	SELECT version, statement, string_agg(replace(l.relation, 'public.', '')
			|| ' ' || l.mode || CASE WHEN l.held_before THEN ' again' ELSE '' END, ', ')
	FROM migrate.rehearse(project => 'plan') r LEFT JOIN LATERAL unnest(r.locks) l ON l.kind <> 'index'
	GROUP BY 1, 2 ORDER BY 1, 2}),
	"1|1|t $ae\n1|2|\n1|3|\n2|1|t $ae again\n2|2|\n2|3|\n3|1|heap SHARE\n3|2|\n4|1|heap SHARE again\n"
	  . "5|1|heap ROW EXCLUSIVE\n5|2|heap $ae\n6|1|\n6|2|\n6|3|\n6|4|",
	'each migration is told the locks that it would take by itself');
is( query($node, 'forms', $superuser, q{
	SELECT version, statement, created, dropped, rewritten FROM migrate.rehearse(project => 'plan')
	WHERE created <> '{}' OR dropped <> '{}' OR rewritten <> '{}'}),
	"1|2|{public.t_x_idx}|{}|{}\n3|1|{public.heap_a_idx}|{}|{}\n3|2|{public.heap_id_a_idx}|{}|{}\n"
	  . "4|1|{public.heap_a_id_idx}|{}|{}\n5|2|{}|{}|{public.heap}\n6|1|{public.n}|{}|{}\n6|4|{}|{public.n}|{}",
	'and what has become of relations belongs to the statement that did it');

# A roll-back inside a body, and what the caller holds already.
plan_of('forms', $superuser, 'plan',
	q{DO 'BEGIN ALTER TABLE t ADD x int; RAISE ''no''; EXCEPTION WHEN OTHERS THEN NULL; END'},
	'ALTER TABLE t ADD x int');
like(
	query($node, 'forms', $superuser, q{
	BEGIN; LOCK heap IN ACCESS EXCLUSIVE MODE; ALTER TABLE heap ADD w int;
	SELECT version, locks, rewritten FROM migrate.rehearse(project => 'plan'); ROLLBACK}),
	qr/^1\|\{\}\|\{\}\n2\|\{"\(public.t,table,\\"ACCESS EXCLUSIVE\\",t,t,f,\d+,300\)"\}\|\{\}$/,
	'what is rolled back inside of a statement is no effect of it');

plan_of('forms', $superuser, 'plan',
	'SELECT pg_sleep(0.2); ALTER TABLE t ADD x int',
	'ALTER TABLE heap ALTER id TYPE bigint; SELECT pg_sleep(0.2); LOCK TABLE t IN SHARE MODE',
	'SELECT 1',
	'',
	'SELECT 1; VACUUM heap');
is( query($node, 'forms', $superuser, q{
	SELECT version, outcome, statements, skipped, worst_lock, relation, execution_ms > 200,
		held_ms > 200, blocks_reads, bytes = pg_relation_size(relation::regclass), estimated_rows,
		rewritten_bytes > 0, wal_bytes > 0, message
	FROM migrate.rehearse_summary(project => 'plan')}),
	"1|ok|2|0|$ae|public.t|t|f|t|t|300|f|t|\n2|ok|3|0|$ae|public.heap|t|t|t|t|50|t|t|\n3|ok|1|0|||f|||||f|f|\n"
	  . "4|ok|0|0||||||||||\n5|partly|1|1|||f|||||f|f|",
	'the summary: the worst lock and how long it is held');
is( query($node, 'forms', $superuser, q{
	SELECT version, worst_lock FROM migrate.rehearse_summary('2', project => 'plan')}),
	"1|$ae\n2|$ae", 'up to a target');
is( query($node, 'forms', $superuser, q{
	SELECT version, statement, tag FROM migrate.rehearse(versions => '{3,5}', project => 'plan')}),
	"3|1|SELECT\n5|1|SELECT\n5|2|VACUUM", 'or some versions');
is( query($node, 'forms', $superuser, q{
	SELECT version FROM migrate.rehearse(versions => '{}', project => 'plan')}),
	'', 'or nothing');

# ---------------------------------------------------------------------------
# What fails and what is left out
# ---------------------------------------------------------------------------

my $outcomes = q{
	SELECT version, statement, line, sqlstate, message, skipped, locks IS NULL, hint IS NULL
	FROM migrate.rehearse(project => 'plan') ORDER BY version::int, statement};

plan_of('forms', $superuser, 'plan',
	'SELECT 1',
	"SELECT 2;\n\nALTER TABLE t ADD a int; SELECT 3",
	'SELECT 4');
is( query($node, 'forms', $superuser, $outcomes),
	"1|1|1||||f|t\n2|1|1||||f|t\n"
	  . qq{2|2|3|42701|column "a" of relation "t" already exists||t|f\n}
	  . '3|||||not run, because migration "2" failed|t|t',
	'an error ends the rehearsal and has a row');
is( query($node, 'forms', $superuser, q{
	SELECT version, outcome, message FROM migrate.rehearse_summary(project => 'plan')}),
	qq{1|ok|\n2|failed|column "a" of relation "t" already exists\n3|not run|},
	'in the summary too');

plan_of('forms', $superuser, 'plan',
	'ALTER TABLE t ADD w int; CREATE INDEX CONCURRENTLY w_idx ON t (w); ALTER INDEX w_idx RENAME TO ww; ALTER TABLE t ADD ww int',
	'SELECT ww FROM t LIMIT 1; DROP INDEX ww',
	'SELECT 1 / 0',
	'SELECT 5');
is( query($node, 'forms', $superuser, $outcomes),
	"1|1|1||||f|t\n1|2|1|||CREATE INDEX CONCURRENTLY cannot run in a transaction block|t|t\n"
	  . qq{1|3|1|42P01|relation "w_idx" does not exist|may depend on a statement that was left out|t|t\n}
	  . "1|4|1||||f|t\n2|1|1||||f|t\n"
	  . qq{2|2|1|42704|index "ww" does not exist|may depend on a statement that was left out|t|t\n}
	  . "3|1|1|22012|division by zero||t|t\n"
	  . '4|||||not run, because migration "3" failed|t|t',
	'what cannot run in a transaction is left out, and what depends on it');

query($node, 'forms', $superuser, q{CREATE TYPE mood AS ENUM ('sad')});
plan_of('forms', $superuser, 'plan',
	q{ALTER TYPE mood ADD VALUE 'glad'},
	q{CREATE TABLE moods (m mood DEFAULT 'glad')},
	'SELECT 3');
like(
	query($node, 'forms', $superuser, $outcomes),
	qr/^1\|1\|1\|\|\|\|f\|t\n2\|1\|1\|55P04\|.*\|uses an enum value that has to be committed first\|t\|f\n3\|1\|1\|\|\|\|f\|t$/,
	'a new value of an enum in a later migration is left out');
plan_of('forms', $superuser, 'plan',
	q{ALTER TYPE mood ADD VALUE 'glad'; SELECT 'glad'::mood});
like(
	query($node, 'forms', $superuser, $outcomes),
	qr/^1\|1\|1\|\|\|\|f\|t\n1\|2\|1\|55P04\|[^|]*\|\|t\|f$/,
	'in the same one it is an error, as it will be');

query($node, 'forms', $superuser, q{
	CREATE PROCEDURE two() LANGUAGE plpgsql AS 'BEGIN COMMIT; END';
	DELETE FROM migrate.migration WHERE project = 'plan';
	SELECT FROM migrate.add('1', 'CALL two(); SELECT 1', transactional => false, project => 'plan')});
is( query($node, 'forms', $superuser, $outcomes),
	"1|1|1|2D000|invalid transaction termination|cannot run in a transaction block|t|f\n1|2|1||||f|t",
	'a procedure that commits is left out where the migration is marked for it');

# deferred constraints, verify bodies
plan_of('forms', $superuser, 'plan', <<'END');
ALTER TABLE bound ALTER CONSTRAINT bond DEFERRABLE INITIALLY DEFERRED;
INSERT INTO bound VALUES (200, 1000)
END
query($node, 'forms', $superuser, q{
	SELECT FROM migrate.add('2', 'ALTER TABLE heap ADD x int',
		verify => 'SELECT count(*) > 10 FROM heap; ALTER TABLE t ADD x int; SELECT x = 1 FROM heap', project => 'plan')});
like(query($node, 'forms', $superuser, $outcomes),
	qr/^1\|1\|1\|\|.*\n1\|2\|2\|\|.*\n1\|\|\|23503\|insert or update on table "bound" violates foreign key constraint "bond"\|\|t\|t\n2\|\|\|\|\|not run/,
	'a deferred constraint fails after the last statement');
query($node, 'forms', $superuser, q{SELECT FROM migrate.remove('1', project => 'plan');
	SELECT FROM migrate.add('3', 'ALTER TABLE t ADD x int', project => 'plan')});
is( query($node, 'forms', $superuser, q{
	SELECT version, body, statement, sqlstate FROM migrate.rehearse(project => 'plan')}),
	"2|up|1|\n2|verify|1|\n2|verify|2|\n2|verify|3|MG010\n3|up||", 'verify bodies are run');
query($node, 'forms', $superuser, q{
	UPDATE migrate.migration SET verify = 'ALTER TABLE t ADD x int; SELECT true' WHERE project = 'plan' AND version = '2'});
is( query($node, 'forms', $superuser, q{
	SELECT version, body, statement, (SELECT string_agg(l.relation || ' ' || l.mode, '') FROM unnest(locks) l WHERE kind = 'table')
	FROM migrate.rehearse(project => 'plan')}),
	"2|up|1|public.heap $ae\n2|verify|1|public.t $ae\n2|verify|2|public.t $ae\n3|up|1|public.t $ae",
	'and take nothing away from what follows');
is( query($node, 'forms', $superuser, q{
	SELECT migrate.add('4', 'SELECT migrate.rehearse()', project => 'plan')}), '4', 'a body that rehearses');
like(
	query($node, 'forms', $superuser, q{SELECT sqlstate, message FROM migrate.rehearse(project => 'plan') WHERE version = '4'}),
	qr/^MG019\|/, 'cannot do so');

# ---------------------------------------------------------------------------
# Nothing is left
# ---------------------------------------------------------------------------

owner_database($node, 'left', owner => $superuser);
query($node, 'left', $superuser, <<'END');
CREATE TABLE t (id int PRIMARY KEY, a text);
INSERT INTO t SELECT i, i FROM generate_series(1, 1000) i;
CREATE SEQUENCE s;
END
plan_of('left', $superuser, 'default', <<'END');
SET work_mem = '123MB';
SELECT set_config('migrate.timeout', '1h', false), set_config('search_path', 'pg_temp', false);
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;
SET ROLE somebody;
RESET ROLE;
PREPARE made AS SELECT 1;
DEALLOCATE old;
PREPARE old AS SELECT 2;
LISTEN other;
UNLISTEN mine;
NOTIFY mine, 'from a body';
DECLARE held CURSOR WITH HOLD FOR SELECT 1;
SELECT pg_advisory_lock(1), pg_advisory_lock(2), pg_advisory_lock(2), pg_advisory_lock_shared(3),
	pg_advisory_xact_lock(4), pg_advisory_lock(5, 6);
SELECT pg_advisory_unlock(7), pg_advisory_unlock(8), pg_advisory_lock(8), pg_advisory_lock(8);
CREATE TEMP TABLE mine (id int);
CREATE TYPE pg_temp.own AS (x int);
DO 'BEGIN CREATE TABLE public.d (id int); RAISE ''no''; EXCEPTION WHEN OTHERS THEN NULL; END';
SELECT lo_from_bytea(0, 'x');
CREATE ROLE another;
ALTER DATABASE "left" SET work_mem = '1MB';
CREATE SCHEMA x CREATE TABLE y (id serial PRIMARY KEY, t text) CREATE VIEW z AS SELECT * FROM y;
INSERT INTO x.y (t) SELECT repeat('x', i) FROM generate_series(1, 3000) i;
UPDATE public.t SET a = 'other' WHERE id > 10;
DELETE FROM public.t WHERE id > 500;
ALTER TABLE public.t ALTER id TYPE bigint, ADD b int DEFAULT 1;
CREATE INDEX ON public.t (a);
TRUNCATE public.t;
DROP SEQUENCE public.s;
COMMENT ON SCHEMA public IS 'other';
GRANT ALL ON public.t TO PUBLIC;
LOCK TABLE pg_catalog.pg_class IN SHARE MODE
END

# The lines that only one of two texts has.
sub difference
{
	my ($one, $two) = @_;
	my %lines;

	$lines{$_}-- foreach split /\n/, $one;
	$lines{$_}++ foreach split /\n/, $two;
	return join '', map { $lines{$_} > 0 ? "+$_\n" : $lines{$_} < 0 ? "-$_\n" : '' } sort keys %lines;
}

my $session_state = <<'END';
SELECT 'setting', name, setting, source FROM pg_settings WHERE name <> 'application_name'
UNION ALL SELECT 'role', current_user, session_user, current_setting('role')
UNION ALL SELECT 'prepared', name, statement, prepare_time::text FROM pg_prepared_statements
UNION ALL SELECT 'cursor', name, statement, is_holdable::text FROM pg_cursors WHERE name <> ''
UNION ALL SELECT 'channel', c, '', '' FROM pg_listening_channels() c
UNION ALL SELECT 'lock', locktype, concat_ws(' ', relation::regclass, classid, objid, objsubid), mode
	FROM pg_locks WHERE pid = pg_backend_pid() AND locktype NOT IN ('virtualxid', 'transactionid')
UNION ALL SELECT 'application', application_name, '', '' FROM pg_stat_activity WHERE pid = pg_backend_pid()
UNION ALL SELECT 'temporary', nspname, '', '' FROM pg_namespace WHERE oid = pg_my_temp_schema()
UNION ALL SELECT 'file', relname, pg_relation_filenode(oid)::text, relfilenode::text FROM pg_class
UNION ALL SELECT 'sequence', last_value::text, is_called::text, '' FROM s
UNION ALL SELECT 'rows', md5(string_agg(t::text, ',' ORDER BY id)), '', '' FROM t
ORDER BY 1, 2, 3, 4;
END
my $session = session($node, 'left');
ask($session, <<'END');
LOAD 'migrate';
LOAD 'plpgsql';
PREPARE old AS SELECT 1;
PREPARE kept AS SELECT 1;
LISTEN mine;
SELECT pg_advisory_lock(2), pg_advisory_lock(7), pg_advisory_lock(8), pg_advisory_lock(8), pg_advisory_lock(9);
BEGIN;
SELECT count(*) FROM migrate.migration;
SELECT pg_advisory_xact_lock(4);
LOCK TABLE pg_class IN ACCESS SHARE MODE;
END
my ($state) = ask($session, $session_state);
my $dump = dump_of('left');
my $locks = sub {
	return scalar ask($session, q{
		SELECT classid, objid, objsubid, mode, count(*) FROM pg_locks
		WHERE locktype = 'advisory' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4});
};

my ($out, $err) = ask($session,
	'SELECT count(*), count(effects), string_agg(message, chr(10)) FROM (SELECT wal_bytes AS effects, message FROM migrate.rehearse()) r;');
is($out, '31|31|', 'a body that does all sorts of things runs through');
unlike($err, qr/ERROR/, 'without an error');
like($err, qr/WARNING:  01000: prepared statement "old" was deallocated by a body and cannot be restored/,
	'a prepared statement that a body deallocated is mentioned');
my ($after) = ask($session, $session_state);
$state =~ s/^prepared\|old\|.*\n//m;

# the server takes these for the whole transaction, in a savepoint too
is(difference($state, $after) =~ s/\d+\|/the sequence|/r, <<'END', 'nothing else of the session has changed');
+lock|relation|the sequence|RowExclusiveLock
+lock|relation|pg_largeobject_loid_pn_index|RowExclusiveLock
+lock|relation|pg_largeobject|RowExclusiveLock
END
ask($session, 'COMMIT;');
is(dump_of('left'), $dump, 'nor has anything in the database');

# how often a lock was taken is known only by giving it up
is( scalar ask($session, q{
	SELECT pg_advisory_unlock(1), pg_advisory_unlock(2), pg_advisory_unlock(2), pg_advisory_unlock(7),
		pg_advisory_unlock(7), pg_advisory_unlock(8), pg_advisory_unlock(8), pg_advisory_unlock(8),
		pg_advisory_unlock(9), pg_advisory_unlock(9);}),
	'f|t|f|t|f|t|t|f|t|f',
	'advisory locks are held as often as before');
($out, $err) = ask($session, 'SELECT 1;');
unlike($out . $err, qr/from a body/, 'no notification was sent');
is( query($node, 'left', $superuser, q{SELECT (SELECT count(*) FROM migrate.journal),
	(SELECT count(*) FROM migrate.applied), (SELECT count(*) FROM migrate.run)}),
	'0|0|0', 'nothing was journalled');
is(query($node, 'left', $superuser, 'SELECT last_value, is_called FROM migrate.run_seq'),
	'1|f', 'and no number of a run was used');
is(locks_left($node, 'left'), '', 'the runner lock was given up');

# an advisory lock that somebody else took meanwhile
plan_of('left', $superuser, 'default', <<'END');
SELECT pg_advisory_unlock(20);
SELECT pg_advisory_lock(21)
END
my $other = session($node, 'left');
ask($session, 'SELECT pg_advisory_lock(20);');
ask($other, 'SELECT pg_advisory_lock(21);');
my $pid = pid_of($session);
ask_start($session, 'SELECT sqlstate FROM migrate.rehearse();');
is_waiting($node, $pid) or die 'the rehearsal does not wait';
ask($other, 'SELECT pg_advisory_lock(20), pg_advisory_unlock(21);');
($out, $err) = ask_wait($session);
like($err, qr/WARNING:  01000: could not restore an advisory lock that a body released: another session holds it/,
	'an advisory lock that cannot be had again is mentioned');
ask($other, 'SELECT pg_advisory_unlock_all();');
is(scalar ask($session, 'SELECT pg_advisory_unlock(21);'), 'f', 'the others are right all the same');

# ---------------------------------------------------------------------------
# Locks of others
# ---------------------------------------------------------------------------

plan_of('left', $superuser, 'default', 'SELECT 1', 'ALTER TABLE t ADD b int', 'SELECT 3');
ask($other, q{SET application_name = 'reporting'; BEGIN; SELECT count(*) FROM t;});
ask_start($session, q{SET migrate.lock_timeout = '600s'; SELECT version, sqlstate FROM migrate.rehearse();});
is_waiting($node, $pid) or die 'the rehearsal does not wait';
is( query($node, 'left', $superuser, 'SELECT run, action, state, version, position, total, waits_for_lock FROM migrate.progress()'),
	'|rehearse|running|2|2|3|t', 'progress() shows a rehearsal');
my ($status, undef, $message) = run_sql($node, 'left', $superuser,
	q{SET migrate.wait_timeout = '100ms'; SELECT migrate.apply()});
like($message, qr/55P03: could not obtain the runner lock/, 'which has the runner lock');
query($node, 'left', $superuser, "SELECT pg_cancel_backend($pid)");
($out, $err) = ask_wait($session);
is($out, '', 'who cancels gets no rows');
like($err, qr/ERROR:  57014: canceling statement due to user request/, 'but the error');
is(scalar ask($session, q{SELECT application_name = current_setting('application_name')
	FROM pg_stat_activity WHERE pid = pg_backend_pid();}), 't', 'application_name is as it was');
($out, $err) = ask($session, q{SET migrate.lock_timeout = '200ms'; SET migrate.lock_retries = 5;
	SELECT version, sqlstate, detail, hint IS NULL FROM migrate.rehearse();});
like($out, qr/^1\|\|\|t\n2\|55P03\|Waited for AccessExclusiveLock on table public\.t\..*application "reporting", holds AccessShareLock.*\|f\n3\|/s,
	'a lock that is not to be had ends the rehearsal and is explained');
unlike($err, qr/trying again/, 'without another attempt');
ask($other, 'COMMIT;');
$other->quit;
$session->quit;

# ---------------------------------------------------------------------------
# Downs
# ---------------------------------------------------------------------------

query($node, 'left', $superuser, <<'END');
SELECT count(migrate.add(v, 'CREATE TABLE n' || v || ' (id int)', 'DROP TABLE n' || v, project => 'downs'))
FROM unnest('{1,2,3}'::text[]) v;
SELECT FROM migrate.apply(project => 'downs');
INSERT INTO migrate.policy (project, protected) VALUES ('downs', true);
END
my $downs = q{SELECT version, body, tag, dropped FROM migrate.rehearse_rollback};
is(query($node, 'left', $superuser, "$downs(project => 'downs')"),
	'3|down|DROP TABLE|{public.n3}', 'the newest down, in a protected project too');
is(query($node, 'left', $superuser, "$downs(2, project => 'downs')"),
	"3|down|DROP TABLE|{public.n3}\n2|down|DROP TABLE|{public.n2}", 'two');
is(query($node, 'left', $superuser, "$downs(target => '1', project => 'downs')"),
	"3|down|DROP TABLE|{public.n3}\n2|down|DROP TABLE|{public.n2}", 'all after a target');
is(query($node, 'left', $superuser, "$downs(versions => '{3}', project => 'downs')"),
	'3|down|DROP TABLE|{public.n3}', 'chosen ones');
($status, undef, $message) = run_sql($node, 'left', $superuser,
	"$downs(target => '1', versions => '{3}', project => 'downs')");
like($message, qr/22023: only one of "target" and "versions" can be given/, 'not both');
($status, undef, $message) = run_sql($node, 'left', $superuser, "$downs(NULL, project => 'downs')");
like($message, qr/22004: argument "steps" must not be null/, 'null is no number of steps');
is( query($node, 'left', $superuser, q{SELECT count(*) FROM migrate.applied WHERE project = 'downs';
	SELECT count(*) FROM migrate.journal WHERE project = 'downs' AND action = 'rollback';
	SELECT count(*) FROM pg_tables WHERE tablename IN ('n1', 'n2', 'n3')}),
	"3\n0\n3", 'all of it stays applied');

# ---------------------------------------------------------------------------
# Who may, and when
# ---------------------------------------------------------------------------

owner_database($node, 'rights');
query($node, 'rights', 'app', 'CREATE TABLE own (id int)');
query($node, 'rights', 'app', q{SELECT migrate.add('1', 'ALTER TABLE own ADD a int')});
foreach my $function ('rehearse', 'rehearse_summary', 'rehearse_rollback')
{
	($status, undef, $message) = run_sql($node, 'rights', 'viewer', "SELECT migrate.$function()");
	like($message, qr/42501: permission denied for schema migrate/, "$function() is not for everybody");
}
query($node, 'rights', 'app', q{SELECT migrate.grant('look', 'viewer'), migrate.grant('run', 'deployer')});
($status, undef, $message) = run_sql($node, 'rights', 'viewer', 'SELECT migrate.rehearse()');
like($message, qr/42501: permission denied for function rehearse/, 'nor for who may look');
is(query($node, 'rights', 'deployer', 'SELECT version, sqlstate, message FROM migrate.rehearse()'),
	'1|42501|must be owner of table own', 'bodies run as the caller');
is(query($node, 'rights', 'deployer', 'SELECT outcome FROM migrate.rehearse_summary()'), 'failed',
	'in the summary too');
is(query($node, 'rights', 'app', 'SELECT outcome, worst_lock FROM migrate.rehearse_summary()'), "ok|$ae",
	'the owner may');
($status, undef, $message) = run_sql($node, 'rights', $superuser, 'SELECT migrate.rehearse()');
like($message, qr/MG017/, 'a superuser does not run what others have stored');
query($node, 'rights', 'app', q{SELECT migrate.remove('1');
	SELECT migrate.add('1', 'CREATE TEMP TABLE x (id int)')});
foreach my $disguise ('SET ROLE', 'SET SESSION AUTHORIZATION')
{
	($status, undef, $message) = run_sql($node, 'rights', $superuser,
		"$disguise app; SELECT sqlstate, message FROM migrate.rehearse()");
	like($message, qr/MG017/, "nor after $disguise");
}
query($node, 'rights', 'app', q{INSERT INTO migrate.policy (project, frozen_reason) VALUES ('default', 'holidays')});
($status, undef, $message) = run_sql($node, 'rights', 'app', 'SELECT migrate.rehearse()');
like($message, qr/MG015/, 'a frozen project is not rehearsed');
query($node, 'rights', 'app', 'UPDATE migrate.policy SET frozen_reason = NULL');
($status, undef, $message) = run_sql($node, 'rights', 'app', 'BEGIN READ ONLY; SELECT migrate.rehearse()');
like($message, qr/25006/, 'nor in a transaction that is read only');
($status, undef, $message) = run_sql($node, 'rights', 'app',
	'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT migrate.rehearse()');
like($message, qr/25000/, 'or sees old data');
query($node, 'rights', 'app', q{SELECT migrate.remove('1')});
($status, $out, $message) = run_sql($node, 'rights', 'app', 'SELECT migrate.rehearse()');
is($out, '', 'nothing to do is no error');
like($message, qr/WARNING:.*project "default" has no migrations/, 'and is said');

done_testing();
