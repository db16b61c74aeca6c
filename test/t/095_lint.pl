# lint() takes no lock and waits for none, works on a standby, needs no more
# than the right to look, and tells nothing of what is in a body but names.
#
# pg_regress has no second session, no standby and no other role that connects.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
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
