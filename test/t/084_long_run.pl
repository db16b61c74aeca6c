# Runs of thousands of migrations.
#
# A run does not need more memory because it is longer: neither while its last
# body runs nor afterwards, when the session goes back to its pool.  What it
# reads when it has begun long ago it compares with what it has planned.
#
# A plan has to be made of all migrations, so the peak before the first body is
# not the same; bench/run measures it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'long';
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\n");
$node->start;

# What the contexts of the backend hold while the last body runs.
my $inside = <<'END';
CREATE TABLE inside AS SELECT sum(used_bytes) AS bytes FROM pg_backend_memory_contexts
END

# Private memory of this process and what else it is made of, in kB.
my $now = <<'END';
SELECT substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s+(\d+)'),
	pg_read_file('/proc/self/maps') LIKE '%libasan%'
END

# Run migrations up or down, the bodies of which SQL makes of n, and return the
# bytes of the contexts inside of the last, the kB of the process afterwards, and
# whether a sanitizer has a share in these.
sub memory_of
{
	my ($count, $down, $before, $body) = @_;
	my $name = $down ? "$count down" : "$count up";
	my @last = $down ? ('000001', 'SELECT 1', $inside) : ('999999', $inside);

	owner_database($node, $db, owner => $superuser);
	query($node, $db, $superuser, $before);
	query($node, $db, $superuser, qq{
SELECT count(*) FROM migrate.load((
	SELECT jsonb_object_agg(format('%s_x.sql', 100000 + n),
		format(E'-- migrate:up\n%1\$s\n-- migrate:down\n%1\$s\n', $body))
	FROM generate_series(1, $count) n))});
	query($node, $db, $superuser,
		'SELECT migrate.add(' . join(', ', map { quote($_) } @last) . ')');
	query($node, $db, $superuser, 'CALL migrate.apply_each()') if $down;
	my $call = $down ? 'CALL migrate.rollback_each(target => \'base\')' : 'CALL migrate.apply_each()';
	my ($status, $out, $err) = run_sql($node, $db, $superuser,
		"\\o /dev/null\nSET migrate.progress_notices = off;\n$call;\n\\o\n$now");

	is($status, 0, "$name: no error") or diag($err);
	is(query($node, $db, $superuser, q{
SELECT count(*) FROM (
	SELECT version, lag(version) OVER (ORDER BY seq) AS before FROM migrate.journal
	WHERE run = (SELECT max(run) FROM migrate.journal)) j
WHERE before IS NULL OR } . ($down ? 'version < before' : 'version > before')),
		$count + 1, "$name: each one in its turn");
	my ($kb, $sanitizer) = $out =~ /^(\d+)\|([tf])$/m;
	my $bytes = query($node, $db, $superuser, 'SELECT bytes FROM inside');
	note("$name: $bytes bytes inside, $kb kB afterwards");
	return [ $bytes, $kb, $sanitizer ];
}

# At most so many times as much, where the process's memory is its own.
sub at_most
{
	my ($name, $factor, $large, $small) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	cmp_ok($large->[0], '<=', $factor * $small->[0], "$name: in the last body");
	cmp_ok($large->[1], '<=', $factor * $small->[1], "$name: afterwards")
	  if $large->[2] eq 'f';
	return;
}

my $trivial = q{format('SELECT %s;', n)};
my $thousand = memory_of(1000, 0, 'SELECT', $trivial);

at_most('10,000 beside 1,000', 1.2, memory_of(10000, 0, 'SELECT', $trivial), $thousand);
at_most('down, 5,000 beside 1,000', 1.2,
	memory_of(5000, 1, 'SELECT', $trivial),
	memory_of(1000, 1, 'SELECT', $trivial));

# In one transaction the server itself would keep a description of a table for
# each of its new columns.
my $columns = memory_of(2000, 0, q{
DO $$ BEGIN
	FOR i IN 0..7 LOOP EXECUTE format('CREATE TABLE t%s (id int)', i); END LOOP;
END $$}, q{format('ALTER TABLE t%s ADD COLUMN c%s int;', n % 8, n)});

at_most('2,000 ADD COLUMN beside 1,000 trivial ones', 2, $columns, $thousand);
cmp_ok($columns->[0], '<', 20 * 1024 * 1024, '2,000 ADD COLUMN: less than 20 MB');

# A session that finds 10,000 migrations and applies one of them.
owner_database($node, $db, owner => $superuser);
query($node, $db, $superuser, q{
SELECT count(*) FROM migrate.load((
	SELECT jsonb_object_agg(format('%s_x.sql', 100000 + n), 'SELECT 1;')
	FROM generate_series(1, 10000) n));
SELECT count(*) FROM migrate.stamp_to('head');
SELECT migrate.add('999999', 'SELECT 1')});
my ($status, $out, $err) = run_sql($node, $db, $superuser, qq{
SET migrate.progress_notices = off;
\\o /dev/null
CALL migrate.apply_each();
\\o
$now});
is($status, 0, 'one of 10,000: is applied') or diag($err);
cmp_ok($out =~ /^(\d+)\|f$/m ? $1 : 0, '<=', 1.2 * $thousand->[1],
	'one of 10,000: afterwards')
  if $thousand->[2] eq 'f';

# What the first body does to the books of one that is read much later.
foreach my $case (
	[
		'applied by somebody else, with another text',
		q{INSERT INTO migrate.applied
			(project, target, version, name, checksum, applied_at, applied_by, origin, execution_ms, run, seq)
		SELECT project, '', version, name, repeat('0', 64), now(), current_user, 'apply', 0, 1, 1
		FROM migrate.migration WHERE version = '101150'},
		qr/ERROR:  MG003: .*DETAIL:  Changed: "101150"/s
	],
	[
		'removed',
		q{ALTER TABLE migrate.migration DISABLE TRIGGER ALL;
		DELETE FROM migrate.migration WHERE version = '101150';
		ALTER TABLE migrate.migration ENABLE TRIGGER ALL},
		qr/^$/
	])
{
	my ($name, $body, $error) = @$case;

	owner_database($node, $db, owner => $superuser);
	query($node, $db, $superuser, q{
SELECT count(*) FROM migrate.load((
	SELECT jsonb_object_agg(format('%s_x.sql', 100000 + n), 'SELECT 1;')
	FROM generate_series(1, 1200) n));
SELECT migrate.add('000001', } . quote($body) . ')');
	my (undef, undef, $messages) = run_sql($node, $db, $superuser,
		'SET migrate.progress_notices = off; ' . "\nCALL migrate.apply_each()");
	like($messages, $error, "$name: is noticed") or diag($messages);
	is(query($node, $db, $superuser, q{
SELECT count(*) FROM migrate.journal WHERE outcome = 'success' AND version = '101150'}),
		0, "$name: is not run");
}

# A superuser's trigger on the books may change them in the run's own transactions.
foreach my $table (qw(run executed_text journal applied))
{
	owner_database($node, $db, owner => $superuser);
	query($node, $db, $superuser, qq{
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	INSERT INTO migrate.policy (project, frozen_reason) VALUES ('default', 'audit')
	ON CONFLICT DO NOTHING;
	RETURN NULL;
END \$\$;
SELECT migrate.add('1', 'CREATE TABLE made_1 ()');
SELECT migrate.add('2', 'CREATE TABLE made_2 ()');
CREATE TRIGGER audit AFTER INSERT ON migrate.$table FOR EACH ROW EXECUTE FUNCTION audit()});
	my (undef, undef, $messages) = run_sql($node, $db, $superuser,
		'SET migrate.progress_notices = off; CALL migrate.apply_each()');
	like($messages, qr/ERROR:  MG\d+: .*frozen/, "frozen by a trigger on $table: is noticed");
	is(query($node, $db, $superuser, q{SELECT to_regclass('made_2') IS NULL}), 't',
		"frozen by a trigger on $table: is not run");
}

# What a superuser does to the books while a body waits that only creates a table
# is seen before the next one.
foreach my $case (
	[
		'held', q{UPDATE migrate.migration SET held_reason = 'bad' WHERE version = '2'},
		qr/NOTICE:  00000: migration "2" is held and was skipped: bad/
	],
	[
		'frozen', q{INSERT INTO migrate.policy (project, frozen_reason) VALUES ('default', 'audit')},
		qr/ERROR:  MG\d+: .*frozen/
	],
	[
		'applied',
		q{INSERT INTO migrate.applied
			(project, target, version, name, checksum, down_checksum, applied_at, applied_by, origin, execution_ms, run, seq)
		SELECT project, '', version, name, checksum, down_checksum, now(), current_user, 'apply', 0, 1, 1
		FROM migrate.migration WHERE version = '2'},
		qr/NOTICE:  00000: nothing to apply: 2 applied/
	])
{
	my ($name, $change, $error) = @$case;

	foreach my $stored (0, 1)
	{
		my $test = $stored ? "$name, texts stored before" : $name;

		owner_database($node, $db, owner => $superuser);
		query($node, $db, $superuser, q{
SELECT migrate.add('1', 'CREATE TABLE made_1 ()', 'DROP TABLE made_1');
SELECT migrate.add('2', 'CREATE TABLE made_2 ()', 'DROP TABLE made_2')});
		query($node, $db, $superuser,
			'CALL migrate.apply_each(); CALL migrate.rollback_each(2)')
		  if $stored;

		my $runner = session($node, $db, $superuser);
		my $runner_pid = pid_of($runner);
		my $blocker = session($node, $db, $superuser);

		ask($blocker, 'BEGIN; LOCK TABLE pg_type IN SHARE MODE');
		ask_start($runner,
			'SET migrate.progress_notices = off; SET migrate.lock_timeout = 0; CALL migrate.apply_each()');
		is_waiting($node, $runner_pid) or die 'the first body does not wait';
		query($node, $db, $superuser, "SET session_replication_role = replica; $change");
		ask($blocker, 'COMMIT');
		like((ask_wait($runner))[1], $error, "$test: is noticed");
		is(query($node, $db, $superuser, q{SELECT to_regclass('made_1'), to_regclass('made_2')}),
			'made_1|', "$test: is not run");
		$_->quit foreach $runner, $blocker;
	}
}

$node->stop;
done_testing();
