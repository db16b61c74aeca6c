# What apply_each() tells its client arrives while the run goes on: before
# anything that may take long, whoever waits has been told of all that is done.
#
# Needs a client that is watched while its call has not returned.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

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

$_->quit foreach $client, $other;
$node->stop;
done_testing();
