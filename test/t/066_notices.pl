# What apply_each() tells its client arrives while the run goes on: whoever waits
# has been told of all that is done.
#
# Needs a client that is watched while its call has not returned, and calls that
# are canceled and ended from outside.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'notices';

$node->init;
$node->append_conf('postgresql.conf', q{
autovacuum = off
# no NOTICE of another attempt
migrate.lock_timeout = 0
migrate.failure_quiet = 0
});
$node->start;
owner_database($node, $db);
query($node, $db, 'app', 'CREATE TABLE t (id int)');

my $version = 0;

# Store migrations that only make something new, and then one more.
sub add
{
	my ($brief, $last, @more) = @_;
	my @texts = ((map { 'CREATE TABLE brief_' . ($version + $_) . ' (id int)' } 1 .. $brief),
		$last);

	query($node, $db, 'app', join ';', map {
			'SELECT migrate.add('
			  . join(', ', quote(sprintf '%03d', ++$version), quote($_),
				$_ eq $last ? @more : ())
			  . ')'
	} @texts);
	return;
}

# The versions that a client has been told of, in that order.
sub told
{
	my ($messages) = @_;
	return join ' ', $messages =~ /NOTICE:  00000: applied "(\d+)"/g;
}

sub versions
{
	my ($first, $last) = @_;
	return join ' ', map { sprintf '%03d', $_ } $first .. $last;
}

# What has arrived when so many versions have, or time is over.
sub arrived
{
	my ($session, $count) = @_;
	my $timer = IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default);

	$timer->start;
	until ($timer->is_expired
		|| scalar(() = $session->{stderr} =~ /NOTICE:  00000: applied/g) >= $count)
	{
		$session->{run}->pump_nb;
		select undef, undef, undef, 0.01;
	}
	return told($session->{stderr});
}

my $client = session($node, $db, 'app');
my $pid = pid_of($client);
my $other = session($node, $db, 'app');

# The last of them waits for somebody, and the others have just run.
foreach my $case (
	[ 'a statement', 'ALTER TABLE t ADD a int' ],
	[ 'a verify body', 'CREATE TABLE lone (id int)', 'verify => $$SELECT id FROM t$$' ],
	[ 'a foreign key', 'CREATE TABLE child (id int REFERENCES t2)' ],
	[ 'a copy', 'CREATE TABLE twin (LIKE t)' ],
	[ 'a partition', 'CREATE TABLE part PARTITION OF p DEFAULT' ],
	[ 'an heir', 'CREATE TABLE heir () INHERITS (t)' ],
	[ 'a row type', 'CREATE TYPE row AS (a t2)' ],
	[ 'a function', q{CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t'} ],
	[ 'a step', 'CREATE INDEX CONCURRENTLY ON t (id)' ],
	[ 'a block', 'DO $$BEGIN PERFORM FROM t; END$$' ])
{
	my ($name, @last) = @$case;
	my $first = $version + 1;

	query($node, $db, 'app', q{
CREATE TABLE IF NOT EXISTS t2 (id int PRIMARY KEY);
CREATE TABLE IF NOT EXISTS p (id int) PARTITION BY LIST (id)});
	add(20, @last);
	ask($other, 'BEGIN; LOCK TABLE t, t2, p');
	ask_start($client, 'CALL migrate.apply_each()');
	is_waiting($node, $pid) or die "$name does not wait";
	is(arrived($client, 20), versions($first, $first + 19),
		"$name waits: the client knows what has run before");
	ask($other, 'COMMIT');
	my (undef, $messages) = ask_wait($client);
	is(told($messages), versions($first, $first + 20), "$name: and all of it at the end");
}

# An error comes after what was told before it.
my $first = $version + 1;
add(20, 'SELECT 1 / 0');
my (undef, $messages) = ask($client, 'CALL migrate.apply_each()');
is(told($messages), versions($first, $first + 19), 'an error: all that has run');
like($messages, qr/\(20 of 21, .*\n.*ERROR:  22012: division by zero/s,
	'an error: comes after it');

# So does what a body says itself.
query($node, $db, 'app', "SELECT migrate.remove('$version')");
add(20, q{DO $$BEGIN RAISE NOTICE 'by the way'; END$$});
(undef, $messages) = ask($client, 'CALL migrate.apply_each()');
like($messages, qr/\(20 of 21, .*NOTICE:  00000: by the way.*\(21 of 21, /s,
	'what a body says is where it belongs');

# A trigger for DDL may do anything.
$node->safe_psql($db, q{
CREATE FUNCTION wait_for_t() RETURNS event_trigger LANGUAGE plpgsql AS
	'BEGIN IF tg_tag = ''CREATE TYPE'' THEN PERFORM FROM public.t; END IF; END';
GRANT SELECT ON t TO PUBLIC;
CREATE EVENT TRIGGER wait_for_t ON ddl_command_end EXECUTE FUNCTION wait_for_t()});
$first = $version + 1;
add(20, q{CREATE TYPE mood AS ENUM ('good')});
ask($other, 'BEGIN; LOCK TABLE t');
ask_start($client, 'CALL migrate.apply_each()');
is_waiting($node, $pid) or die 'the trigger does not wait';
is(arrived($client, 20), versions($first, $first + 19),
	'an event trigger waits: the client knows what has run before');
ask($other, 'COMMIT');
ask_wait($client);
$node->safe_psql($db, 'DROP EVENT TRIGGER wait_for_t');

sub add_small
{
	my ($count) = @_;
	my $last = $version + $count;

	query($node, $db, 'app', qq{
SELECT count(migrate.add(to_char(n, 'FM000000'), format('CREATE TABLE small_%s (id int)', n)))
FROM generate_series($version + 1, $last) n});
	$version = $last;
	return;
}

$other->quit;

# Interrupted at any moment, at that of a NOTICE too.
sub interrupt
{
	my ($how) = @_;

	add_small(600);
	ask_start($client, 'CALL migrate.apply_each()');
	$node->poll_query_until($db, "SELECT application_name LIKE 'migrate apply %'
		FROM pg_stat_activity WHERE pid = $pid") or die 'the run does not begin';
	$node->safe_psql($db, "SELECT $how($pid)");
	return (ask_wait($client))[1];
}

foreach my $try (1 .. 15)
{
	my $failures = query($node, $db, 'app', 'SELECT count(*) FROM migrate.failures');

	$messages = interrupt('pg_cancel_backend');
	if ($messages !~ /ERROR:  57014/)
	{
		note('the run was quicker than the cancel');
		ask($client, 'SELECT');
		next;
	}
	is(ask($client, 'SHOW search_path'), '"$user", public',
		"canceled ($try): the settings are the session's own");
	is(query($node, $db, 'app', 'SELECT count(*) FROM migrate.failures'),
		$failures + 1, "canceled ($try): it is journalled");
	is(query($node, $db, 'app', 'SELECT count(*) FROM migrate.run WHERE outcome IS NULL'),
		0, "canceled ($try): no run is open");
}
foreach my $try (1 .. 15)
{
	like(interrupt('pg_terminate_backend'),
		qr/FATAL:  57P01: terminating connection due to administrator command/,
		"terminated ($try): the client is told");
	eval { $client->quit };
	$client = session($node, $db, 'app');
	$pid = pid_of($client);
}
(undef, $messages) = ask($client, 'CALL migrate.apply_each()');
unlike($messages, qr/ERROR|FATAL/, 'interrupted: the next call works');
is(query($node, $db, 'app', 'SELECT count(*) FROM migrate.status() WHERE state <> $$applied$$'),
	0, 'interrupted: everything is applied');

$client->quit;
$node->stop;
done_testing();
