# What a concurrent build leaves that was cut off is found again by what it is,
# whatever has become of its name and its table meanwhile, and nobody else's is
# taken for it.
#
# Needs sessions that are ended in the middle of a build, and others in its way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'leftovers';

$node->init;
$node->append_conf('postgresql.conf', q{
autovacuum = off
migrate.lock_retries = 0
migrate.lock_timeout = 0
migrate.failure_quiet = 0
migrate.progress_notices = off
});
$node->start;

my $each = 'CALL migrate.apply_each()';

sub app
{
	my ($sql) = @_;
	return query($node, $db, 'app', $sql);
}

# A fresh database with a table, and one migration.
sub fresh
{
	my ($text, $more) = @_;

	owner_database($node, $db);
	app('CREATE TABLE t (id int, x text); INSERT INTO t VALUES (1, \'a\');' . ($more // ''));
	app('SELECT migrate.add(\'1\', ' . quote($text) . ')');
	return;
}

# The indexes of all tables but those of the server and of the extension; those
# that are not valid with a question mark.
sub indexes
{
	return $node->safe_psql(
		$db, q{SELECT coalesce(string_agg(indexrelid::regclass
				|| CASE WHEN indisvalid THEN '' ELSE '?' END, ' '
				ORDER BY indexrelid::regclass::text COLLATE "C"), '')
			FROM pg_index JOIN pg_class c ON c.oid = indrelid
			WHERE relnamespace = 'public'::regnamespace});
}

# End the session of a call while it waits for somebody who has changed a table.
sub cut_off
{
	my ($call, $change) = @_;
	my $blocker = session($node, $db, 'app');
	my $session = session($node, $db, 'app');
	my $pid = pid_of($session);

	ask($blocker, 'BEGIN; ' . ($change // 'INSERT INTO t VALUES (2)'));
	ask_start($session, $call // $each);
	is_waiting($node, $pid) or die 'the build does not wait';
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	ask_wait($session);
	ask($blocker, 'ROLLBACK');
	$node->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
	return;
}

sub works
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) = run_sql($node, $db, 'app', $each);

	is($status, 0, $name) or diag($err);
	return $err;
}

sub fails
{
	my ($name, $pattern) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) = run_sql($node, $db, 'app', $each);

	like($err, $pattern, $name);
	return $err;
}

# ---------------------------------------------------------------------------
# CREATE INDEX
# ---------------------------------------------------------------------------

# what a rewrite makes valid is what the statement wanted
my $wide = q{CREATE INDEX CONCURRENTLY i ON t USING btree
	(lower(x) COLLATE "C" text_pattern_ops DESC NULLS LAST, id) INCLUDE (x)
	WITH (fillfactor = 70) WHERE id > 0 AND x IS NOT NULL};
foreach my $text ('CREATE INDEX CONCURRENTLY i ON t (id)', $wide,
	'CREATE INDEX CONCURRENTLY ON t ((id + 1))',
	'CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t USING hash (id)',
	'CREATE INDEX CONCURRENTLY i ON t (id, (x || x))')
{
	foreach my $rewrite ('VACUUM FULL t', 'ALTER TABLE t ALTER id TYPE bigint')
	{
		next if $rewrite =~ /ALTER/ && $text !~ /i ON t \(id\)/;
		fresh("$text; CREATE TABLE later ()");
		cut_off();
		like(indexes(), qr/^\w+\?$/, "$text, cut off");
		app($rewrite);
		unlike(indexes(), qr/\?/, "$rewrite makes it valid");
		my $err = works('the next call goes on');
		like($err, qr/NOTICE:  00000: index public\.\w+, which an earlier attempt at migration "1" has left, is valid by now/,
			'and says so');
		like(indexes(), qr/^\w+$/, 'there is one index');
		is(app(q{SELECT string_agg(s.tag, ', ' ORDER BY s.ordinality)
			FROM migrate.journal, unnest(statements) WITH ORDINALITY s
			WHERE outcome = 'success'}), 'CREATE INDEX, CREATE TABLE', 'both are in the journal');
		is(app("SELECT to_regclass('later') IS NOT NULL"), 't', 'and what comes after it ran');
	}
}

# a unique one is not made valid by it
fresh($wide =~ s/CREATE/CREATE UNIQUE/r);
cut_off();
app('VACUUM FULL t');
is(indexes(), 'i?', 'a unique one, cut off and rewritten');
works('the next call goes on');
is(indexes(), 'i', 'and builds it again');

# another index of that name is not
foreach my $other (
	'(x)', '(id DESC)', '(id, x)', '(id) INCLUDE (x)', '(id) WHERE id > 0',
	'USING hash (id)', '((id + 0))', '(id) WITH (fillfactor = 50)',
	'(id int4_minmax_multi_ops)')
{
	my $on = $other =~ /minmax/ ? "USING brin $other" : $other;

	fresh('CREATE INDEX CONCURRENTLY i ON t (id)');
	cut_off();
	app('DROP INDEX i');
	app("CREATE INDEX i ON t $on");
	my $err = fails("an index on t $on is another", qr/ERROR:  42P07: index public\.i has been made since .* and is another one/);
	like($err, qr/HINT:  Rename or drop it/, 'and the hint helps');
	app('ALTER INDEX i RENAME TO j');
	works('as it says');
	is(indexes(), 'i j', 'both are there');
}
fresh('CREATE UNIQUE INDEX CONCURRENTLY i ON t (id)');
cut_off();
app('DROP INDEX i; CREATE INDEX i ON t (id)');
fails('one that is not unique is another', qr/ERROR:  42P07: index public\.i has been made since/);

# somebody else's build of that name, cut off as well
fresh('CREATE INDEX CONCURRENTLY i ON t (id)');
cut_off();
app('DROP INDEX i');
cut_off('CREATE INDEX CONCURRENTLY i ON t (x)');
is(indexes(), 'i?', 'somebody else has left one of that name');
fails('it is not ours', qr/ERROR:  42P07/);
is(indexes(), 'i?', 'and stays');

# ours, of a table that has another name now
fresh('CREATE INDEX CONCURRENTLY i ON t (id)');
cut_off();
app('ALTER TABLE t RENAME TO u');
fails('the table has another name', qr/ERROR:  42P01/);
is(indexes(), '', 'and nothing is left of the build');

# ---------------------------------------------------------------------------
# REINDEX
# ---------------------------------------------------------------------------

my $long = 'x' x 63;
foreach my $name ('i', 'i_ccnew', 'i_ccnew_ccnew', 'i_ccold1', $long)
{
	foreach my $text ("REINDEX INDEX CONCURRENTLY $name", 'REINDEX TABLE CONCURRENTLY t')
	{
		fresh($text, "CREATE INDEX $name ON t (id, (x || 'b')) WHERE id > 0");
		cut_off();
		like(indexes(), qr/_ccnew\?/, "$text, cut off");
		works('the next call goes on');
		is(indexes(), $name, 'and leaves nothing');
	}
}

# renamed, dropped, or rewritten meanwhile
fresh('REINDEX INDEX CONCURRENTLY i', 'CREATE INDEX i ON t (id)');
cut_off();
app('ALTER INDEX i RENAME TO j');
fails('an index with another name now', qr/ERROR:  42P01|ERROR:  42704/);
is(indexes(), 'j', 'leaves nothing of the build');
fresh('REINDEX INDEX CONCURRENTLY i', 'CREATE INDEX i ON t (id)');
cut_off();
app('DROP INDEX i');
fails('an index that is dropped', qr/ERROR:  42P01|ERROR:  42704/);
is(indexes(), '', 'leaves nothing of the build');
fresh('REINDEX TABLE CONCURRENTLY t', 'CREATE INDEX i ON t (id)');
cut_off();
app('ALTER TABLE t RENAME TO u');
fails('a table with another name now', qr/ERROR:  42P01/);
is(indexes(), 'i', 'leaves nothing of the build');
fresh('REINDEX INDEX CONCURRENTLY i', 'CREATE INDEX i ON t (id)');
cut_off();
app('VACUUM FULL t');
is(indexes(), 'i i_ccnew', 'a rewrite makes it a second index');
works('the next call goes on');
is(indexes(), 'i', 'and leaves one');

# partitions
fresh('REINDEX TABLE CONCURRENTLY p1',
	'CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE INDEX pi ON p (id);'
	  . ' CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)');
cut_off($each, 'INSERT INTO p VALUES (1)');
like(indexes(), qr/p1_id_idx_ccnew\?/, 'of a partition, cut off');
works('the next call goes on');
is(indexes(), 'p1_id_idx pi', 'and leaves nothing');

# somebody else's: of before, of another definition, of another name, and live
fresh('REINDEX INDEX CONCURRENTLY i', 'CREATE INDEX i ON t (id)');
cut_off('REINDEX INDEX CONCURRENTLY i');
is(indexes(), 'i i_ccnew?', 'somebody else has left one before');
cut_off();
is(indexes(), 'i i_ccnew? i_ccnew1?', 'and now the migration');
cut_off('CREATE INDEX CONCURRENTLY other_ccnew ON t (x)');
cut_off('CREATE INDEX CONCURRENTLY other ON t (id)');
works('the next call goes on');
is(indexes(), 'i i_ccnew? other? other_ccnew?', 'what is not ours stays');

# what the names of valid indexes end in means nothing
fresh('REINDEX TABLE CONCURRENTLY t',
	'CREATE INDEX i ON t (id); CREATE INDEX i_ccold ON t (id); CREATE INDEX a_ccnew ON t (x)');
cut_off();
works('beside indexes with such names');
is(indexes(), 'a_ccnew i i_ccold', 'they stay');

# while somebody builds an index on the table nothing is dropped
fresh('REINDEX INDEX CONCURRENTLY i', 'CREATE INDEX i ON t (id)');
cut_off();
my $blocker = session($node, $db, 'app');
my $builder = session($node, $db, 'app');
my $builder_pid = pid_of($builder);
ask($blocker, 'BEGIN; INSERT INTO t VALUES (3)');
ask_start($builder, 'CREATE INDEX CONCURRENTLY live ON t (id)');
is_waiting($node, $builder_pid) or die 'the build does not wait';
fails('somebody builds an index', qr/ERROR:  55P03: cannot drop invalid index public\.i_ccnew/);
is(indexes(), 'i i_ccnew? live?', 'nothing is dropped');
ask($blocker, 'COMMIT');
ask_wait($builder);
works('then the run goes on');
is(indexes(), 'i live', 'and the other build was not touched');

# the server log names a migration only if there is one
fresh('SELECT 1');
app('SELECT migrate.apply()');
my $offset = log_size($node);
$node->safe_psql($db, q{UPDATE migrate.policy SET search_path = 'a,,b';
	INSERT INTO migrate.policy (search_path) VALUES ('a,,b')});
run_sql($node, $db, 'app', "SELECT migrate.add('2', 'SELECT 1', 'SELECT 1')");
run_sql($node, $db, 'app', $_)
  foreach 'SELECT migrate.apply()', $each, 'SELECT migrate.rollback()';
unlike(log_since($node, $offset), qr/migration ""/, 'no migration without a version');
like(log_since($node, $offset), qr/LOG:  migrate: apply of project "default" failed in run \d+: /,
	'but the project');

done_testing();
