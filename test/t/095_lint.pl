# lint() takes no lock and waits for none, works on a standby, needs no more
# than the right to look, and tells nothing of what is in a body but names.
#
# pg_regress has no second session, no standby and no other role that connects.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "lock_timeout = 0\nautovacuum = off\n");
$node->start;
owner_database($node, 'linted');
query($node, 'linted', 'app', <<'END');
CREATE TABLE t (id int PRIMARY KEY, a int);
INSERT INTO t SELECT n, n FROM generate_series(1, 20000) n;
ANALYZE t;
SELECT migrate.grant('look', 'viewer');
SELECT migrate.add('1', $$CREATE INDEX ON t (a);
ALTER TABLE t ADD CHECK (a <> 4711);
ALTER TABLE t ADD COLUMN c text DEFAULT 'geheim' || gen_random_uuid();
INSERT INTO nowhere VALUES ('geheim');
CREATE ROLE somebody PASSWORD 'geheim';
SELECT 'postgres://me:geheim@host/'$$, 'SELECT ''geheim''');
END
my $rules = q{SELECT string_agg(rule || ' ' || severity, ', ' ORDER BY statement, rule)
	FROM migrate.lint()};
my $expected = 'create-index-blocks-writes warning, check-validates warning, '
  . 'add-column-volatile-default warning, merge-alter-table note, '
  . 'unknown-object error, secret-in-body warning, '
  . 'secret-in-body warning';
my $found = query($node, 'linted', 'app', $rules);

is( join(', ', sort split /, /, $found),
	join(', ', sort split /, /, $expected),
	'the owner sees findings');

# a role that may only look
is(query($node, 'linted', 'viewer', $rules), $found, 'who may look sees the same');
my $text = query($node, 'linted', 'viewer', 'SELECT * FROM migrate.lint()');
unlike($text, qr/geheim|4711/, 'no literal of a body is shown');
my ($status, $out, $err) = run_sql($node, 'linted', 'deployer', $rules);
isnt($status, 0, 'who may not look is refused');
like($err, qr/42501/, 'for want of the right');

# locks
my $other = session($node, 'linted', 'app');
ask($other, 'BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE');
is( query($node, 'linted', 'viewer', "SET lock_timeout = '10s'; $rules"),
	$found, 'a table that somebody has locked is looked at all the same');
ask($other, 'ROLLBACK');
is( query($node, 'linted', 'app', <<'END'), '0', 'no lock of a table is left or taken');
BEGIN;
SELECT FROM migrate.lint();
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'
	AND relation = 't'::regclass;
END
my $holder = session($node, 'linted', 'app');
ask($holder, 'BEGIN; SELECT migrate.add(\'2\', \'SELECT 1\')');
is( query($node, 'linted', 'viewer', "SET lock_timeout = '10s'; $rules"),
	$found, 'whoever holds the runner lock is in nobody\'s way');
ask($holder, 'ROLLBACK');
$_->quit foreach $other, $holder;

# What is advised is SQL that the server takes, for tables of all kinds: each
# piece of it in a migration of its own, with what stands for names filled in
query($node, 'linted', 'app', <<'END');
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO other SELECT n FROM generate_series(0, 999) n;
CREATE TABLE plain (id int, at int, other_id int, n int, "Odd name" int);
INSERT INTO plain SELECT n, n, n % 1000, n, n FROM generate_series(1, 1999) n;
CREATE TABLE parted (id int, at int, other_id int, n int) PARTITION BY RANGE (at);
CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (9999);
INSERT INTO parted SELECT n, n, n % 1000, n FROM generate_series(1, 1999) n;
CREATE TABLE leaving PARTITION OF parted FOR VALUES FROM (9999) TO (19999);
CREATE TABLE taken (id int CONSTRAINT taken_check CHECK (id > 0), n int);
INSERT INTO taken SELECT n, n FROM generate_series(1, 999) n;
CREATE INDEX taken_n_idx ON taken (n) WHERE n > 5;
CREATE SEQUENCE taken_n_idx1;
CREATE TABLE parent (id int, other_id int, n int);
CREATE TABLE kid () INHERITS (parent);
INSERT INTO kid SELECT n, n % 1000, n FROM generate_series(1, 1999) n;
CREATE TABLE joining (LIKE parted);
INSERT INTO joining VALUES (20000, 20000, 1, 1);
CREATE INDEX plain_old ON plain (at);
CREATE MATERIALIZED VIEW sums AS SELECT id, n FROM plain;
CREATE UNIQUE INDEX ON sums (id);
ANALYZE;
END

# rule, statement, what to put in place of "..." one after the other, and what
# then holds
foreach my $case (
	[ 'create-index-blocks-writes', 'CREATE INDEX ON plain (n)', [],
		"to_regclass('plain_n_idx') IS NOT NULL" ],
	[ 'create-index-blocks-writes', 'CREATE INDEX ON parted (n)', [qw(part_n part part_n)],
		"(SELECT relispartition FROM pg_class WHERE relname = 'part_n')" ],
	[ 'create-index-blocks-writes', 'CREATE INDEX by_hash ON plain USING hash ("Odd name")', [],
		"to_regclass('by_hash') IS NOT NULL" ],
	[ 'foreign-key-without-index', 'ALTER TABLE parted ADD CONSTRAINT f1 FOREIGN KEY (n) REFERENCES other', [qw(part_k part part_k)],
		"(SELECT relispartition FROM pg_class WHERE relname = 'part_k')" ],
	[ 'foreign-key-without-index', 'ALTER TABLE taken ADD CONSTRAINT f2 FOREIGN KEY (n) REFERENCES other', [],
		"to_regclass('taken_n_idx2') IS NOT NULL" ],
	[ 'check-validates', 'ALTER TABLE taken ADD CHECK (n > 0)', ['n > 0'],
		"(SELECT count(*) = 2 FROM pg_constraint WHERE conrelid = 'taken'::regclass AND convalidated)" ],
	[ 'drop-index-blocks', 'DROP INDEX plain_old', [], "to_regclass('plain_old') IS NULL" ],
	[ 'reindex-blocks', 'REINDEX TABLE parted', [], 'true' ],
	[ 'refresh-blocks-reads', 'REFRESH MATERIALIZED VIEW sums', [], 'true' ],
	[ 'foreign-key-validates', 'ALTER TABLE plain ADD FOREIGN KEY (other_id) REFERENCES other ON DELETE CASCADE', [],
		"(SELECT convalidated AND confdeltype = 'c' FROM pg_constraint WHERE conname = 'plain_other_id_fkey')" ],
	[ 'foreign-key-validates', 'ALTER TABLE parted ADD CONSTRAINT f FOREIGN KEY (other_id) REFERENCES other (id)', [qw(part part)],
		"(SELECT bool_and(convalidated) FROM pg_constraint WHERE conname LIKE 'f%' AND conrelid IN ('parted'::regclass, 'part'::regclass))" ],
	[ 'unique-blocks', 'ALTER TABLE plain ADD UNIQUE (id)', [],
		"(SELECT count(*) = 1 FROM pg_constraint WHERE conname = 'plain_id_key')" ],
	[ 'unique-blocks', 'ALTER TABLE parted ADD UNIQUE (id, at)', [qw(part_u part part part_u part_u)],
		"(SELECT count(*) = 1 FROM pg_constraint WHERE conname = 'part_u' AND conparentid <> 0)" ],
	[ 'check-validates', 'ALTER TABLE parent ADD CHECK (n > 0)', ['n > 0'],
		"(SELECT bool_and(convalidated) FROM pg_constraint WHERE conname = 'parent_check')" ],
	[ 'set-not-null-scans', 'ALTER TABLE parent ALTER n SET NOT NULL', [],
		"(SELECT bool_and(attnotnull) FROM pg_attribute WHERE attrelid IN ('parent'::regclass, 'kid'::regclass) AND attname = 'n')" ],
	[ 'set-not-null-scans', 'ALTER TABLE parted ALTER n SET NOT NULL', [],
		"(SELECT bool_and(attnotnull) FROM pg_attribute WHERE attrelid IN ('parted'::regclass, 'part'::regclass) AND attname = 'n')" ],
	[ 'add-column-not-null', 'ALTER TABLE parent ADD COLUMN m int NOT NULL', [ 'int', '1' ],
		'(SELECT count(m) = 1999 FROM kid)' ],
	[ 'add-column-unique', 'ALTER TABLE plain ADD COLUMN m int UNIQUE', ['int'],
		"(SELECT count(*) = 1 FROM pg_constraint WHERE conname = 'plain_m_key')" ],
	[ 'add-column-check', 'ALTER TABLE parted ADD COLUMN m int CHECK (m > 0)', [ 'int', 'm > 0' ],
		"(SELECT bool_and(convalidated) FROM pg_constraint WHERE conname = 'parted_m_check')" ],
	[ 'detach-partition-blocks', 'ALTER TABLE parted DETACH PARTITION leaving', [],
		"(SELECT NOT relispartition FROM pg_class WHERE relname = 'leaving')" ],
	[ 'partition-of-blocks', 'CREATE TABLE fresh PARTITION OF parted FOR VALUES FROM (30000) TO (40000)', ['FROM (30000) TO (40000)'],
		"(SELECT relispartition FROM pg_class WHERE relname = 'fresh')" ],
	[ 'attach-partition-scans', 'ALTER TABLE parted ATTACH PARTITION joining FOR VALUES FROM (20000) TO (30000)', ['at >= 20000 AND at < 30000'],
		"(SELECT convalidated FROM pg_constraint WHERE conname = 'joining_bounds')" ])
{
	my ($rule, $statement, $names, $holds) = @$case;
	my @names = @$names;

	query($node, 'linted', 'app',
		"SELECT migrate.add('9', \$s\$$statement\$s\$, 'SELECT 1')");
	my $instead = query($node, 'linted', 'app',
		"SELECT instead FROM migrate.lint(versions => '{9}') WHERE rule = '$rule' AND body = 'up'");
	$instead =~ s/\.\.\./@names ? shift @names : '...'/ge;
	like($instead, qr/;\z/, "instead of $statement there is SQL");
	unlike($instead, qr/\.\.\./, 'with a name for everything');
	foreach my $sql (split /;\n?/, $instead)
	{
		my ($failed, undef, $message) = run_sql($node, 'linted', 'app', $sql);

		is($failed, 0, "the server takes $sql") or diag($message);
	}
	is(query($node, 'linted', 'app', "SELECT $holds"), 't', 'and it does what is meant');
	query($node, 'linted', 'app', "SELECT migrate.remove('9')");
}
query($node, 'linted', 'app', <<'END');
CREATE TABLE rest PARTITION OF parted DEFAULT;
SELECT migrate.add('9', 'DROP INDEX parted_n_idx; ALTER TABLE parted DETACH PARTITION part', 'SELECT 1');
END
is( query($node, 'linted', 'app', <<'END'), 'drop-index-blocks false, detach-partition-blocks false',
SELECT string_agg(rule || ' ' || (instead LIKE '%CONCURRENTLY%'), ', ' ORDER BY statement)
FROM migrate.lint(versions => '{9}') WHERE rule <> 'could-be-cut' AND body = 'up'
END
	'nothing is advised that the server refuses');
query($node, 'linted', 'app', "SELECT migrate.remove('9')");

# a standby
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(query($standby, 'linted', 'viewer', $rules), $found, 'a standby says the same');
$standby->stop;
$node->stop;

done_testing();
