# What happens when every replica of a service loads and applies at its start:
# many at once, of two releases at once, behind a pooler, against a standby, and
# when one has to wait for another.
#
# Needs many sessions at the same moment, and a standby.

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
$node->append_conf(
	'postgresql.conf', q{
max_connections = 60
# nobody waits ten minutes for somebody who has gone wrong
migrate.wait_timeout = 1min
});
$node->start;

# ---------------------------------------------------------------------------
# Releases
# ---------------------------------------------------------------------------

# A migration that makes a table, and leaves a row each time that it runs.
sub file
{
	my ($version, %opt) = @_;
	return (
		$version . '_make.sql' => "-- migrate:up\n"
		  . ($opt{text} // '')
		  . "CREATE TABLE t_$version (id int);\n"
		  . "INSERT INTO ran VALUES ('up $version');\n"
		  . "-- migrate:down\n"
		  . ($opt{down} // '')
		  . "INSERT INTO ran VALUES ('down $version');\n"
		  . "DROP TABLE t_$version;\n");
}

# A repeatable one, which stands for the release that it is of.
sub repeatable
{
	my ($release) = @_;
	return ('900_release.sql' =>
		  "-- migrate:repeatable\n-- migrate:up\n"
		  . "CREATE OR REPLACE VIEW release AS SELECT '$release' AS name;\n"
		  . "INSERT INTO ran VALUES ('$release');\n"
		  . "-- migrate:verify\nSELECT count(*) = 1 FROM release;\n");
}

# The call that loads these files.
sub load
{
	my (%files) = @_;
	my $list = join ', ',
	  map { quote($_) . ', ' . quote($files{$_}) } sort keys %files;
	return "migrate.load(jsonb_build_object($list))";
}

# What a replica with these files does when it starts.
sub startup
{
	my (%files) = @_;
	return 'SELECT count(*) FROM ' . load(%files)
	  . ";\nSELECT count(*) FROM migrate.apply();";
}

sub database
{
	my ($db) = @_;
	owner_database($node, $db);
	app($db, 'CREATE TABLE ran (what text)');
	return;
}

# Run SQL as app; dies if it fails.
sub app
{
	my ($db, $sql) = @_;
	return query($node, $db, 'app', $sql);
}

# Start replicas at once; all must succeed.  Returns how many migrations they
# have applied together.
sub start_all
{
	my ($db, $name, @scripts) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @runs = run_parallel($node, $db, 'app', @scripts);
	my @failed = grep { $_->{status} != 0 } @runs;
	my $applied = 0;

	is(scalar(@failed), 0, "$name: all succeed")
	  or diag(join "\n", map { $_->{err} } @failed);
	$applied += ($_->{out} =~ /(\d+)\s*\z/)[0] foreach @runs;
	return $applied;
}

sub ran
{
	my ($db) = @_;
	return app($db, q{SELECT string_agg(what, ', ' ORDER BY what) FROM ran});
}

# ledger, journal and schema agree, nothing failed, no lock is left
sub sound
{
	my ($db, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	agreement($node, $db, "$name: ledger, journal and schema agree");
	is(app($db, q{SELECT count(*) FROM migrate.failures()}),
		'0', "$name: nothing has failed");
	is(locks_left($node, $db), '', "$name: no lock is left");
	return;
}

my %old = (file('001'), file('002'), file('003'));
my %new = (%old, file('004'), file('005'));

# ---------------------------------------------------------------------------
# Many at once
# ---------------------------------------------------------------------------

database('same');
is(start_all('same', '16 at once', (startup(%old)) x 16),
	3, '16 at once: each migration is applied by one of them');
is(ran('same'), 'up 001, up 002, up 003', '16 at once: the work is done once');
is(app('same', 'SELECT count(DISTINCT run) FROM migrate.journal'),
	'1', '16 at once: there was one run');
sound('same', '16 at once');

database('two');
my $count = start_all(
	'two', 'two releases',
	map { $_ % 2 ? startup(%old) : startup(%new) } 1 .. 32);
is($count, 5, 'two releases: each migration is applied by one of them');
is(ran('two'), 'up 001, up 002, up 003, up 004, up 005',
	'two releases: nothing is repeated or undone');
sound('two', 'two releases');

# the same where the old release has been running for a while, with a
# repeatable migration whose text the new release changes
database('rolling');
app('rolling', startup(%old, repeatable('old')));
$count = start_all(
	'rolling',
	'rolling update',
	map {
		$_ % 2
		  ? startup(%old, repeatable('old'))
		  : startup(%new, repeatable('new'))
	} 1 .. 32);
is($count, 3, 'rolling update: two new migrations, one changed');
is(ran('rolling'), 'new, old, up 001, up 002, up 003, up 004, up 005',
	'rolling update: nothing is repeated or undone');
is(app('rolling', 'TABLE release'), 'new',
	'rolling update: the new text has won');
sound('rolling', 'rolling update');

# an old release that starts afterwards, on its own
my ($status, $out, $err) =
  run_sql($node, 'rolling', 'app', startup(%old, repeatable('old')));
is("$status $out", "0 6\n0", 'an old release starts beside a newer ledger')
  or diag($err);
like($err, qr/nothing to apply: 6 applied, newest "900"/,
	'and finds nothing to do');
like($err, qr/WARNING: .*repeatable migration "900" keeps its newer text/,
	'and is told that its repeatable migration is superseded');
is( app('rolling',
		'SELECT version, result FROM '
		  . load(repeatable('old'), file('001'))
		  . ' ORDER BY version'),
	"001|unchanged\n002|absent\n003|absent\n004|absent\n005|absent\n900|superseded",
	'what load() says to it');
is(app('rolling', 'TABLE release'), 'new', 'the new text stays');
is(app('rolling', q{SELECT migrate.check('003')}),
	'', 'check() of its own newest version passes');

# ---------------------------------------------------------------------------
# What stays out
# ---------------------------------------------------------------------------

database('held');
app('held', startup(%old));
my %next = %new;
$next{'005_make.sql'} = "-- migrate:requires 004\n$next{'005_make.sql'}";
app('held', 'SELECT ' . load(%next)
	  . q{; SELECT migrate.hold('004', 'it locks too long')});
is(start_all('held', 'held', (startup(%next)) x 16),
	0, 'a held migration and what requires it stay out of 16 starts');
is(app('held', q{SELECT version, state FROM migrate.status()
		WHERE state <> 'applied'}),
	"004|held\n005|pending", 'and can be seen');
sound('held', 'held');
app('held', q{SELECT migrate.unhold('004')});
is(start_all('held', 'no longer held', (startup(%next)) x 16),
	2, 'both come in when it is no longer held');

app('held', q{SELECT migrate.rollback(2, hold => true)});
is(start_all('held', 'rolled back', (startup(%next)) x 16),
	0, 'what was rolled back and held stays out of 16 starts');
is(app('held', q{SELECT version, state FROM migrate.status()
		WHERE state <> 'applied'}),
	"004|held\n005|held", 'and can be seen');
sound('held', 'rolled back');
app('held', q{SELECT migrate.unhold('004'); SELECT migrate.unhold('005')});
is(start_all('held', 'unheld', (startup(%next)) x 16), 2, 'until unheld');
app('held', 'SELECT migrate.rollback(2)');
is(start_all('held', 'rolled back without hold', (startup(%next)) x 16),
	2, 'what was only rolled back comes in again');
sound('held', 'rolled back without hold');

# ---------------------------------------------------------------------------
# Edits of what is applied
# ---------------------------------------------------------------------------

database('edited');
app('edited', startup(%old));
my $before = books($node, 'edited');
foreach my $edit ([ 'up', text => "SELECT 1;\n" ], [ 'down', down => "SELECT 1;\n" ])
{
	my ($part, @text) = @$edit;
	($status, $out, $err) =
	  run_sql($node, 'edited', 'app', startup(%new, file('002', @text)));
	like($err, qr/^psql:<stdin>:\d+: ERROR:  MG002: .*"002\b/ms,
		"a release with an edited $part body of what is applied is refused");
	is(books($node, 'edited'), $before, "$part: and nothing was loaded");
}

# behind the gate's back: the checksum goes along or does not
sub tamper
{
	my ($sql) = @_;
	$node->safe_psql('edited',
		"ALTER TABLE migrate.migration DISABLE TRIGGER USER; $sql;"
		  . 'ALTER TABLE migrate.migration ENABLE TRIGGER USER');
	return;
}
app('edited', 'SELECT ' . load(file('004')));
foreach my $part ('up', 'down')
{
	my $checksum = $part eq 'up' ? 'checksum' : 'down_checksum';
	my $restore = app('edited',
		"SELECT format('UPDATE migrate.migration SET %I = %L, %I = %L WHERE version = ''002''',"
		  . " '$part', $part, '$checksum', $checksum)"
		  . " FROM migrate.migration WHERE version = '002'");
	tamper("UPDATE migrate.migration SET $part = 'SELECT 2',"
		  . " $checksum = encode(sha256('SELECT 2'), 'hex') WHERE version = '002'"
	);
	is( app('edited', q{SELECT state FROM migrate.status() WHERE version = '002'}),
		'changed',
		"$part, edited behind the gate: status() shows it");
	($status, $out, $err) = run_sql($node, 'edited', 'app',
		'SELECT migrate.apply()');
	like($err, qr/ERROR:  MG003: .*Changed: "002"/s,
		"$part, edited behind the gate: apply() is refused");
	like((run_sql($node, 'edited', 'app', 'SELECT migrate.check()'))[2],
		qr/ERROR:  MG020: .*Changed: "002"/s,
		"$part, edited behind the gate: check() fails");
	tamper($restore);
}
tamper(q{UPDATE migrate.migration SET up = 'SELECT 3' WHERE version = '004'});
like((run_sql($node, 'edited', 'app', 'SELECT migrate.apply()'))[2],
	qr/ERROR:  MG003: .*the up body of migration "004" does not match its checksum/,
	'a text that was changed without its checksum does not run');
tamper(q{UPDATE migrate.migration SET down = 'SELECT 3' WHERE version = '003'});
like((run_sql($node, 'edited', 'app', 'SELECT migrate.rollback()'))[2],
	qr/ERROR:  MG003: .*the down body of migration "003" does not match its checksum/,
	'neither up nor down');
is(ran('edited'), 'up 001, up 002, up 003', 'nothing of this has run');

# ---------------------------------------------------------------------------
# What ran stays known
# ---------------------------------------------------------------------------

database('known');
$node->safe_psql('known', 'GRANT app TO deployer');
my %lines = (
	'1' => "SELECT 1;\r\n\r\nCREATE TABLE t_1 (a text DEFAULT '\xc3\xa9\r\n');\r\n",
	'2' => "SELECT 1;\n\nCREATE TABLE t_2 (a text);\nINSERT INTO t_2 VALUES (1), (2);",
	'3' => "SELECT 1;\r\n\r\nCREATE TABLE t_2 (a text);\r\nINSERT INTO t_2 VALUES (1), (2);");
$lines{3} =~ s/t_2/t_3/g;
$lines{4} = $lines{3} =~ s/t_3/t_4/gr;

# two texts that differ in their line ends only have one checksum
$lines{5} = "CREATE TABLE IF NOT EXISTS t_5 (a text);\nCREATE TABLE IF NOT EXISTS t_6 (a text);";
$lines{6} = $lines{5} =~ s/\n/\r\n/r;
($status, $out, $err) = run_sql(
	$node, 'known',
	'deployer',
	q{SET application_name = 'release 7'; SET ROLE app;}
	  . join('', map { "SELECT migrate.add('$_', " . quote($lines{$_}) . ');' }
		  sort keys %lines)
	  . q{SELECT count(*) FROM migrate.apply(note => 'commit 0a1b')});
like($out, qr/^6$/m, 'a run of many lines') or diag($err);
is( app('known', q{SELECT DISTINCT applied_by, origin FROM migrate.applied}),
	'app|apply',
	'the ledger knows as whom it ran');
is( app('known',
		q{SELECT DISTINCT role, session_role, application, note, client_address,
			search_path, backend_pid > 0, xid IS NOT NULL, wal_end >= wal_start,
			split_part(server_version, ' ', 1) = split_part(
				current_setting('server_version'), ' ', 1), extension_version
			FROM migrate.journal}),
	"app|deployer|release 7|commit 0a1b||\"\$user\", public|t|t|t|t|"
	  . app('known', 'SELECT migrate.version()'),
	'the journal knows who, from where, and what for');
is( app('known',
		q{SELECT wal_end > wal_start FROM migrate.journal WHERE version = '1'}),
	't',
	'and which part of the WAL');
is( app('known',
		q{SELECT count(*) FROM migrate.journal
			WHERE started_at BETWEEN now() - interval '10 minutes' AND now()
				AND execution_ms BETWEEN 0 AND 600000}),
	'6',
	'and when, and how long');
is( app('known',
		q{SELECT version, statement, body, line, tag, row_count, execution_ms >= 0
			FROM migrate.statements WHERE version IN ('2', '4')
			ORDER BY version, statement}),
	join("\n",
		map { ("$_|1|up|1|SELECT|1|t", "$_|2|up|3|CREATE TABLE|0|t",
			"$_|3|up|4|INSERT|2|t") } 2, 4),
	'each statement has its line, tag, rows and time');
foreach my $version (sort keys %lines)
{
	is( app('known',
			q{SELECT encode(convert_to(b.text, 'UTF8'), 'hex')
				FROM migrate.journal j JOIN migrate.executed_text b ON b.body_hash = j.body_hash}
			  . " WHERE j.version = '$version'"),
		unpack('H*', $lines{$version}),
		"the bytes of $version are kept");
}
is( app('known',
		q{SELECT count(DISTINCT checksum), count(DISTINCT body_hash)
			FROM migrate.journal WHERE version IN ('5', '6')}),
	'1|2',
	'line ends do not count in a checksum, and do count as bytes');

# what ran stays known when it has been undone
app('known', q{SELECT migrate.amend('6', down => 'DROP TABLE t_6');
	SELECT migrate.rollback(1); SELECT migrate.remove('6')});
is( app('known',
		q{SELECT count(*) FROM migrate.journal j JOIN migrate.executed_text b
			ON b.body_hash = j.body_hash WHERE j.version = '6' AND j.outcome = 'success'
			AND j.action IN ('apply', 'rollback')}),
	'2',
	'the bytes that ran up and down are there after the migration has gone');

# ---------------------------------------------------------------------------
# Waiting for another one
# ---------------------------------------------------------------------------

database('waiting');
app('waiting', 'SELECT ' . load(%old));
app('waiting', q{SELECT migrate.grant('run', 'deployer');
	GRANT INSERT ON ran TO deployer});
my $first = session($node, 'waiting', 'app');
ask($first, q{SET application_name = 'first replica'});
my $first_pid = pid_of($first);
my $second = session($node, 'waiting', 'app');
my $second_pid = pid_of($second);
ask($first, 'BEGIN; SELECT migrate.apply()');

# a role that cannot see the other's activity is told all the same
($status, $out, $err) = run_sql($node, 'waiting', 'deployer',
	q{SET migrate.wait_timeout = '200ms'; SELECT migrate.apply()});
like($err, qr/ERROR:  55P03: could not obtain the runner lock .* within 200 ms/,
	'a wait for the runner lock ends in time');
like(
	$err,
	qr/DETAIL:  Process $first_pid of role "app", application "first replica", holds it; its transaction began at \d{4}-/,
	'and the holder is named');
like($err, qr/HINT:  .*migrate\.wait_timeout/, 'and what to do');

# it waits without queueing, and returns when the work is done
ask_start($second, 'SELECT count(*) FROM migrate.apply()');
ok(is_waiting($node, $second_pid, 'Extension'), 'a second one waits');
is( $node->safe_psql('waiting',
		"SELECT count(*) FROM pg_locks WHERE pid = $second_pid AND NOT granted"),
	'0',
	'and is in no queue');
ask($first, 'COMMIT');
($out, $err) = ask_wait($second);
is($out, '0', 'and comes back without work') or diag($err);
like($err, qr/nothing to apply: 3 applied, newest "003"/, 'and is told so');
sound('waiting', 'after the wait');

# the first one gives up: the second one does the work
app('waiting', 'SELECT migrate.rollback(2)');
ask($first, 'BEGIN; SELECT migrate.apply()');
ask_start($second, 'SELECT count(*) FROM migrate.apply()');
ok(is_waiting($node, $second_pid, 'Extension'), 'a second one waits again');
ask($first, 'ROLLBACK');
($out, $err) = ask_wait($second);
is($out, '2', 'and does what the first one took back') or diag($err);
sound('waiting', 'after a take-back');

# a savepoint that is rolled back gives the lock up as well
app('waiting', 'SELECT migrate.rollback(1)');
ask($first, 'BEGIN; SAVEPOINT s; SELECT migrate.apply(); ROLLBACK TO s');
is(app('waiting', 'SELECT count(*) FROM migrate.apply()'),
	'1', 'a savepoint that was rolled back holds nobody up');
ask($first, 'COMMIT');
sound('waiting', 'after a savepoint');

# a waiter can be canceled, and does not take the lock afterwards
app('waiting', 'SELECT migrate.rollback(1)');
ask($first, 'BEGIN; SELECT migrate.apply()');
ask_start($second, 'SELECT count(*) FROM migrate.apply()');
ok(is_waiting($node, $second_pid, 'Extension'), 'a second one waits once more');
$node->safe_psql('waiting', "SELECT pg_cancel_backend($second_pid)");
($out, $err) = ask_wait($second);
like($err, qr/ERROR:  57014/, 'and can be canceled');
ask($first, 'COMMIT');
sound('waiting', 'after a cancel');

# a body cannot drop the lock
app('waiting', q{SELECT migrate.add('004', $$
		SELECT pg_advisory_unlock_all();
		CREATE TABLE t_004 (id int);
		SELECT pg_advisory_lock_shared(99)$$, 'DROP TABLE t_004')});
my $gate = session($node, 'waiting');
ask($gate, 'SELECT pg_advisory_lock(99)');
ask_start($first, 'SELECT count(*) FROM migrate.apply()');
ok(is_waiting($node, $first_pid), 'a body waits in the middle');
ask_start($second, 'SELECT count(*) FROM migrate.apply()');
ok(is_waiting($node, $second_pid, 'Extension'),
	'its pg_advisory_unlock_all() has not let the second one in');
like(
	(run_sql($node, 'waiting', 'app',
		q{SET lock_timeout = '200ms'; DROP EXTENSION migrate}))[2],
	qr/ERROR:  55P03/,
	'DROP EXTENSION waits for a run');
ask($gate, 'SELECT pg_advisory_unlock(99)');
is((ask_wait($first))[0], '1', 'the first one has done it');
is((ask_wait($second))[0], '0', 'the second one has not');
sound('waiting', 'after pg_advisory_unlock_all()');
$_->quit foreach $first, $second, $gate;

# ---------------------------------------------------------------------------
# Behind a transaction pooler
# ---------------------------------------------------------------------------

database('pooled');
my $settings = q{SELECT string_agg(name || '=' || setting, ' ' ORDER BY name)
	FROM pg_settings WHERE name IN ('search_path', 'application_name',
		'standard_conforming_strings', 'lock_timeout', 'statement_timeout',
		'DateStyle', 'role', 'row_security', 'work_mem',
		'default_transaction_read_only')};
my @servers = map { session($node, 'pooled', 'app') } 1 .. 2;
my $used = 0;

# Run a transaction in the next of the pool's connections, as a pooler does;
# says in an array what it left behind.
sub pooled
{
	my ($sql) = @_;
	my $server = $servers[ $used++ % 2 ];
	my $settings_before = ask($server, $settings);
	my ($output, $messages) = ask($server, "BEGIN; $sql; COMMIT");
	my $pid = pid_of($server);
	my @left;

	push @left, "an error: $messages" if $messages =~ /ERROR|FATAL/;
	push @left, 'a lock' if locks_left($node, 'pooled') =~ /^$pid /m;
	push @left, 'a setting' if ask($server, $settings) ne $settings_before;
	push @left, "a reset that fails"
	  if (ask($server, 'DISCARD ALL'))[1] =~ /ERROR/;
	is("@left", '', "pooled: $sql leaves nothing behind");
	return $output;
}
my $load = 'SELECT count(*) FROM ' . load(%old);
my $apply = 'SELECT count(*) FROM migrate.apply()';
pooled($load);
is(pooled($apply), '3', 'pooled: applied');
is(pooled($load), '3', 'pooled: loaded again');
is(pooled($apply), '0', 'pooled: nothing is left');
pooled(q{SELECT migrate.add('004', $$SET search_path = pg_catalog;
	SET work_mem = '1MB'; SET standard_conforming_strings = on;
	SET statement_timeout = '1h';
	SELECT set_config('lock_timeout', '17', false);
	SET application_name = 'body'; SET DateStyle = 'German';
	CREATE TABLE public.t_004 (id int)$$, 'DROP TABLE t_004')});
is(pooled($apply), '1', 'pooled: a body that sets much');
is(pooled('SELECT count(*) FROM migrate.rollback()'),
	'1', 'pooled: rolled back');
is(pooled($apply), '1', 'pooled: applied again');
sound('pooled', 'pooled');

# ---------------------------------------------------------------------------
# One look-up
# ---------------------------------------------------------------------------

# what is known of one project does not depend on the others
app('pooled', q{SELECT migrate.add('1', 'SELECT 1', project => 'other');
	SELECT migrate.apply()});
is( app('pooled', q{SELECT complete FROM migrate.state
		WHERE project = 'default'}),
	't',
	'a project stays known as complete when another one is loaded');
is(app('pooled', q{SELECT count(*) FROM migrate.apply(project => 'other')}),
	'1', 'and the other one has its work');

# ---------------------------------------------------------------------------
# Isolation levels
# ---------------------------------------------------------------------------

foreach my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	database('level');
	app('level', startup(%old));
	($status, $out, $err) = run_sql($node, 'level', 'app',
		"BEGIN ISOLATION LEVEL $level; " . startup(%old) . ' COMMIT');
	is("$status $out", "0 3\n0", "$level: a start with nothing to do succeeds")
	  or diag($err);
	like(
		(run_sql($node, 'level', 'app',
			"BEGIN ISOLATION LEVEL $level; " . startup(%new)))[2],
		qr/ERROR:  25000: cannot load migrations under isolation level REPEATABLE READ or SERIALIZABLE/,
		"$level: loading what is new is refused");
	app('level', 'SELECT ' . load(%new));
	like(
		(run_sql($node, 'level', 'app',
			"BEGIN ISOLATION LEVEL $level; SELECT migrate.apply()"))[2],
		qr/ERROR:  25000: cannot apply migrations under .*HINT: .*READ COMMITTED/s,
		"$level: applying what is pending is refused");
	is(ran('level'), 'up 001, up 002, up 003', "$level: nothing has run");
}

# ---------------------------------------------------------------------------
# Standby and read-only transactions
# ---------------------------------------------------------------------------

database('read');
app('read', startup(%old, repeatable('old')));
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

my @looks = (
	'SELECT count(*) FROM migrate.status()',
	'SELECT count(*) FROM migrate.plan()',
	'SELECT count(*) FROM migrate.plan_rollback()',
	'SELECT migrate.current()',
	'SELECT count(*) FROM migrate.heads()',
	'SELECT count(*) FROM migrate.history()',
	'SELECT count(*) FROM migrate.failures()',
	'SELECT count(*) FROM migrate.statements(1)',
	'SELECT length(migrate.script()) > 0',
	'SELECT count(*) FROM migrate.schema_migrations',
	'SELECT bool_and(ok) FROM migrate.verify()');

# What a replica that can only read gets to see.
sub reads
{
	my ($server, $begin, $pending, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $steps = $pending ? 2 : 0;
	my @results;

	foreach my $look (@looks)
	{
		my ($code, $output, $messages) =
		  run_sql($server, 'read', 'app', "$begin; $look");
		push @results, $code == 0 ? $output : $messages;
	}
	is( join(' ', @results),
		join(' ', 4 + $steps, $steps, 1, '003', 1, 4, 0, 9, 't', 4, 't'),
		"$name: everything can be looked at");
	($status, $out, $err) =
	  run_sql($server, 'read', 'app', "$begin; SELECT migrate.check()");
	if ($pending)
	{
		like($err, qr/ERROR:  MG020: .*Pending: "004", "005"/s,
			"$name: check() tells what is pending");
	}
	else
	{
		is("$status $out", '0 ', "$name: check() passes") or diag($err);
	}

	($status, $out, $err) = run_sql($server, 'read', 'app',
		"$begin; " . startup($pending ? %new : %old, repeatable('old')));
	if ($pending)
	{
		like($err,
			qr/ERROR:  25006: cannot apply migrations (on a standby|in a read-only transaction)/,
			"$name: a start with work to do is refused");
	}
	else
	{
		is("$status $out", "0 4\n0", "$name: a start with nothing to do succeeds")
		  or diag($err);
		like($err, qr/nothing to apply: 4 applied/, "$name: and is told so");
	}
	foreach my $change (
		load(file('009')), 'migrate.rollback()',
		q{migrate.stamp('001')}, q{migrate.add('9', 'SELECT 1')},
		q{migrate.hold('001', 'no')}, 'migrate.redo()',
		'migrate.rollback(dry_run => true)')
	{
		like(
			(run_sql($server, 'read', 'app', "$begin; SELECT $change"))[2],
			qr/ERROR:  25006/,
			"$name: " . ($change =~ s/\(.*//sr) . '() is refused');
	}
	return;
}

my @readers = (
	[ $standby, 'BEGIN', 'standby' ],
	[ $node, 'BEGIN READ ONLY', 'read-only transaction' ],
	[ $node, 'SET default_transaction_read_only = on', 'read-only session' ]);
foreach my $pending (0, 1)
{
	app('read', 'SELECT ' . load(%new)) if $pending;
	my $there = books($node, 'read');
	$node->wait_for_catchup($standby);
	reads(@$_[ 0, 1 ], $pending,
		$_->[2] . ($pending ? ', work pending' : ', nothing pending'))
	  foreach @readers;
	is(books($node, 'read'), $there, 'nothing was written');
}
sound('read', 'read');

# a standby that becomes the primary goes on
$node->stop;
$standby->promote;
($status, $out, $err) = run_sql($standby, 'read', 'app',
	startup(%new, repeatable('new')));
is("$status $out", "0 6\n3", 'a promoted standby does the work') or diag($err);

done_testing();
