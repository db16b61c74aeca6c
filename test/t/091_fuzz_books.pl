# Whatever rows somebody has written into the books, whatever arguments a
# function is given, and while the extension is dropped and created again: the
# server stays up, no error is an internal one, and no call hangs.
#
# Rows are inserted as a restore may insert them, by the owner of the database,
# and by a superuser after the constraints have gone.  The functions are those
# of pg_proc, so that none is forgotten.
#
# Needs thousands of calls, several sessions, and the server's log.
#
# MIGRATE_FUZZ_SECONDS says how long each part takes (10), MIGRATE_FUZZ_SEED
# which cases are made (1); a run prints it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Fuzz;
use IPC::Run ();
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{MIGRATE_FUZZ_SEED} // 1;
my $seconds = $ENV{MIGRATE_FUZZ_SECONDS} // 10;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
autovacuum = off
log_statement = none
log_line_prefix = '%m [%p] %e '
log_error_verbosity = verbose
migrate.wait_timeout = '1s'
migrate.progress_notices = off
max_worker_processes = 16
});
$node->start;
diag("MIGRATE_FUZZ_SECONDS=$seconds MIGRATE_FUZZ_SEED=$seed");

# A project with migrations of every state, made anew for each batch.
my $project = q{
TRUNCATE migrate.applied, migrate.journal, migrate.executed_text, migrate.run, migrate.step, migrate.policy, migrate.state;
ALTER TABLE migrate.migration DISABLE TRIGGER USER; DELETE FROM migrate.migration; ALTER TABLE migrate.migration ENABLE TRIGGER USER;
DROP TABLE IF EXISTS t1, t2, t3, t4; SELECT migrate.add('1', 'CREATE TABLE t1 (id int)', 'DROP TABLE t1', verify => 'SELECT true');
SELECT migrate.add('2', 'CREATE TABLE t2 (id int)', 'DROP TABLE t2; VACUUM; SELECT 1/0'); SELECT migrate.apply();
CALL migrate.rollback_each(1);
SELECT migrate.add('3', 'CREATE TABLE t3 (id int); VACUUM; SELECT 1/0', 'SELECT 1'), migrate.add('r', 'SELECT 1', kind => 'repeatable');
CALL migrate.apply_each(versions => '{3}');
SELECT migrate.add('4', 'CREATE TABLE t4 (id int)', requires => '{1}'), migrate.add('5', 'SELECT 1/0');
};

# ---------------------------------------------------------------------------
# Running statements, each on a line of its own
# ---------------------------------------------------------------------------

my %outcomes;
my @wrong;

# Start psql; a statement that takes longer than ten seconds hangs.
sub start_batch
{
	my ($role, $db, @lines) = @_;
	my $self = { lines => \@lines, err => '', out => '' };
	my $file = PostgreSQL::Test::Utils::tempdir() . '/batch.sql';

	open(my $sql, '>:raw', $file) or die $!;
	print $sql join("\n", @lines), "\n";
	close($sql) or die $!;
	local $ENV{PGOPTIONS} = '-c statement_timeout=10s -c client_min_messages=error';
	$self->{run} = IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq', '-v',
			'VERBOSITY=verbose', '-v', 'HIDE_TABLEAM=on', '-f', $file, '-d',
			$node->connstr($db) . " user=$role"
		],
		'<', \undef, '>', \$self->{out}, '2>', \$self->{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default * 2));
	return $self;
}

# What came of it; allowed says of which internal errors nothing is to be said.
sub finish_batch
{
	my ($self, $allowed) = @_;

	$self->{run}->finish;
	push @wrong, 'the server has gone: ' . substr($self->{err}, -2000)
	  if $self->{run}->full_result(0) != 0;
	while ($self->{err} =~ /^psql:[^\n]*?:(\d+): (?:ERROR|FATAL):  (\w+): ([^\n]*)/mg)
	{
		my ($line, $code, $message) = ($1, $2, $3);

		$outcomes{$code}++;
		push @wrong, "$code $message: $self->{lines}[$line - 1]"
		  if ($code =~ /^XX/ && !($allowed && $message =~ $allowed))
		  || $code eq '57014' && $message =~ /statement timeout/;
	}
	$outcomes{'all'} += @{ $self->{lines} };
	return;
}

# ---------------------------------------------------------------------------
# Rows and calls
# ---------------------------------------------------------------------------

# table => its columns, with type and whether they may be null
my %tables;
# functions and procedures with their kind and the types of their arguments
my @routines;

sub read_catalog
{
	my ($db) = @_;

	foreach my $line (split /\n/, $node->safe_psql($db, q{
		SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'migrate'::regnamespace AND c.relkind = 'r'
			AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, a.attnum}))
	{
		my ($table, $column, $type) = split /\|/, $line;
		push @{ $tables{$table} }, [ $column, $type ];
	}
	foreach my $line (split /\n/, $node->safe_psql($db, q{
		SELECT p.proname, p.prokind, p.pronargdefaults,
			(SELECT string_agg(format_type(t, NULL), ';' ORDER BY n)
			FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u (t, n))
		FROM pg_proc p WHERE p.pronamespace = 'migrate'::regnamespace
		ORDER BY p.oid}))
	{
		my ($name, $kind, $defaults, $types) = split /\|/, $line, 4;
		push @routines,
		  { name => $name, kind => $kind, defaults => $defaults,
			types => [ split /;/, $types // '' ] };
	}
	return;
}

sub forged_row
{
	my ($table) = @_;
	my @columns = grep { rand() < 0.95 } @{ $tables{$table} };

	return "INSERT INTO migrate.$table (" . join(', ', map { qq{"$_->[0]"} } @columns)
	  . ') VALUES (' . join(', ', map { likely_value(@$_) } @columns) . ');';
}

sub forged_update
{
	my ($table) = @_;
	my $column = $tables{$table}[ rand @{ $tables{$table} } ];

	return qq{UPDATE migrate.$table SET "$column->[0]" = } . odd_value($column->[1]) . ';';
}

sub odd_call
{
	my ($routine) = @_;
	my @types = @{ $routine->{types} };
	my $given = @types - int(rand(1 + $routine->{defaults}));
	my $arguments = join(', ', map { odd_value($_) } @types[ 0 .. $given - 1 ]);

	return "CALL migrate.$routine->{name}($arguments);" if $routine->{kind} eq 'p';
	return (rand() < 0.5 ? 'SELECT * FROM ' : 'SELECT ')
	  . "migrate.$routine->{name}($arguments);";
}

# Calls that read and run what is there.
my @readers = (
	map({ "SELECT * FROM migrate.$_;" }
		'status()', 'plan()', 'plan_rollback(2)', 'lint()', 'verify()', 'history()',
		'failures()', 'progress()', 'heads()', 'current()', 'report()',
		"report('json')", "report('html', rehearse => true)", 'rehearse()',
		'rehearse_rollback(1)', 'rehearse_summary()', 'script()',
		"script('head', 'base')", 'check()', 'apply()', 'rollback(1)',
		'rollback_run()', "rollback_to('base')", 'redo(1)',
		"resume('2', at => 1)", "resume('3', at => 1)", "resume('3', done => 2)",
		"unstamp('1')", "stamp_to('head')", "stamp('1')", "prune_journal('0')",
		"hold('1', 'x')", "unhold('1')", "remove('5')", "amend('1', 'SELECT 2')",
		q{load('{"1_a.sql": "SELECT 1"}')}),
	'CALL migrate.apply_each();', 'CALL migrate.apply_each();',
	'CALL migrate.rollback_each(1);',
	(map { ("CALL migrate.wait($_, '0');", "SELECT * FROM migrate.outcome($_);",
			"SELECT migrate.cancel($_);", "SELECT * FROM migrate.statements($_);") } 1 .. 3),
	'TABLE migrate.failures;', 'TABLE migrate.statements;',
	'TABLE migrate.schema_migrations;', 'TABLE migrate.history;');

sub reader { return $readers[ rand @readers ] }

my $parts = 0;

sub for_a_while
{
	my ($what) = @_;
	my $end = time + $seconds;
	my $batches = 0;

	# the same cases, however many there is time for
	$parts++;
	while ($batches < 3 || time < $end)
	{
		srand($seed * 1_000_003 + $parts * 10_007 + $batches++);
		$what->();
		last if @wrong > 20;
	}
	return;
}

# ---------------------------------------------------------------------------
# The parts
# ---------------------------------------------------------------------------

# The server's process and its start, when it answers.
sub postmaster
{
	$node->poll_query_until('postgres', 'SELECT true')
	  or die 'the server does not answer';
	return $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()')
	  . slurp_file($node->data_dir . '/postmaster.pid') =~ s/\n.*//sr;
}

owner_database($node, $_) foreach qw(forged written odd dropped);
read_catalog('forged');
cmp_ok(scalar(keys %tables), '>=', 8, 'the tables are known');
cmp_ok(scalar(@routines), '>=', 40, 'and the functions');
# a name that no file system takes
my $too_long = qr/could not open directory "[x(]+"/;
my $started = postmaster();
my $log_start = log_size($node);
my @names = sort keys %tables;

# rows that a restore may insert, by the owner
for_a_while(sub {
	finish_batch(start_batch($superuser, 'forged', split /\n/, $project));
	finish_batch(start_batch('app', 'forged',
			map { (map { forged_row($names[ rand @names ]) } 1 .. 6), reader(), reader() } 1 .. 12));
});

# rows that nobody but a superuser could write
$node->safe_psql('written', q{DO $$ DECLARE r record; BEGIN
	FOR r IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
		WHERE connamespace = 'migrate'::regnamespace AND contype = 'c' LOOP
		EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', r.t, r.conname);
	END LOOP;
	FOR r IN SELECT attrelid::regclass AS t, attname FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
		WHERE relnamespace = 'migrate'::regnamespace AND relkind = 'r' AND attnum > 0
			AND attnotnull AND NOT EXISTS (SELECT FROM pg_index i WHERE indrelid = attrelid AND indisprimary AND attnum = ANY (indkey)) LOOP
		EXECUTE format('ALTER TABLE %s ALTER %I DROP NOT NULL', r.t, r.attname);
	END LOOP; END $$});
for_a_while(sub {
	finish_batch(start_batch($superuser, 'written', split /\n/, $project));
	finish_batch(start_batch($superuser, 'written',
			map {
				('SET session_replication_role = replica;',
					map({ my $t = $names[ rand @names ]; rand() < 0.5 ? forged_row($t) : forged_update($t) } 1 .. 6),
					'RESET session_replication_role;', reader(), reader())
			} 1 .. 12));
});

# arguments
my %called;
for_a_while(sub {
	finish_batch(start_batch($superuser, 'odd', split /\n/, $project));
	foreach my $role ('app', $superuser)
	{
		my @calls = map { odd_call($_) } @routines;

		finish_batch(start_batch($role, 'odd', @calls), $too_long);
	}
});

# DROP and CREATE EXTENSION beside calls; what is dropped while it is looked up
# is an internal error of the server's own
my $gone = qr/could not open relation with OID|cache lookup failed|tuple concurrently|could not find tuple|relation \d+ (?:deleted|does not exist)|type with OID|$too_long/;
for_a_while(sub {
	my $drops = start_batch('app', 'dropped',
		map { ('DROP EXTENSION IF EXISTS migrate;', 'CREATE EXTENSION IF NOT EXISTS migrate;', 'SELECT pg_sleep(0.2);') } 1 .. 10);
	my @others = map {
		start_batch('app', 'dropped',
			map { (q{SELECT migrate.add((random() * 100)::int::text, 'SELECT 1', 'SELECT 1');}, reader(), odd_call($routines[ rand @routines ])) } 1 .. 40)
	} 1 .. 3;

	finish_batch($_, $gone) foreach $drops, @others;
});
$node->poll_query_until('postgres',
	q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'migrate %'})
  or push @wrong, 'a background worker stays';

# ---------------------------------------------------------------------------
# What must hold
# ---------------------------------------------------------------------------

note(join(' ', map { "$_ $outcomes{$_}" } sort keys %outcomes));
diag("seed $seed: $outcomes{all} statements, " . scalar(keys %outcomes) . ' SQLSTATEs');
is(join("\n", @wrong), '', "no call ends in an internal error, with seed $seed");
is(postmaster(), $started, 'the server is the one that was started');
my @bad_lines = grep {
	/^\S+ \S+ \S+ \[\d+\] .*(?:was terminated by signal|TRAP:|PANIC:|leak|write past chunk|alloc set|memory context|protocol synchronization)/
	  || /^TRAP:|Sanitizer:|runtime error:/
} split /\n/, log_since($node, $log_start);
is(join("\n", @bad_lines), '', 'the log has no crash and no leak');

# so that none of this is true because nothing was reached
foreach my $code (qw(23514 23502 42501 MG036 3F000 22012))
{
	ok($outcomes{$code}, "there were errors $code");
}
$node->stop;
done_testing();
