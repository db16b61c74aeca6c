# A text that the server's lexer would read for hours, without looking at a
# cancel or a time-out, gets nowhere near it: neither when it is stored nor when
# somebody else makes a plan.
#
# Needs a role that stores and another that runs, and texts that got past the
# trigger.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'slow';

$node->init;
$node->append_conf('postgresql.conf', q{
autovacuum = off
migrate.failure_quiet = 0
});
$node->start;
owner_database($node, $db);

# Without the check each of them takes minutes: the time-out would come late,
# but it would come.
my %slow = (
	'nested comments' => q{repeat('/*', 100000) || repeat('*/', 100000) || ' SELECT 1'},
	'comments one after another' => q{repeat('/**/', 100000) || ' SELECT 1'},
	'plus signs' => q{repeat('SELECT ' || repeat('+', 9000) || '1;', 200)},
	'signs of both kinds' => q{repeat('SELECT ' || repeat('+-', 4500) || '1;', 200)},
	'signs between comments' => q{repeat('SELECT 1' || repeat('/**/+1', 2) || repeat('/**/+/**/-', 20000) || '1;', 10)},
	'comments in a comment' => q{'/*' || repeat('/**/', 100000) || '*/ SELECT 1'});

my $limit = "SET statement_timeout = '60s'; ";

# The SQLSTATE of a statement's error.
sub state_of
{
	my ($role, $sql) = @_;
	my ($status, $out, $err) = run_sql($node, $db, $role, $limit . $sql);
	return $err =~ /ERROR:  (\w{5}):/ ? $1 : 'none';
}

foreach my $what (sort keys %slow)
{
	my $text = $slow{$what};

	is(state_of('app', "SELECT migrate.add('1', $text)"),
		'MG009', "add() refuses $what");
	is(state_of('app', "SELECT migrate.add('1', '', $text)"),
		'MG009', "as a down body");
	is(state_of('app', "SELECT migrate.add('1', '', verify => $text)"),
		'MG009', "as a verify body");
	is(state_of('app',
			"SELECT migrate.load(jsonb_build_object('1_a.sql', $text))"),
		'MG009', 'load() does');
	my ($status, $out, $err) = run_sql($node, $db, 'app',
		$limit . "SELECT migrate.load(jsonb_build_object('1_a.up.sql', '', '1_a.down.sql', $text), 'plain')");
	like($err, qr/WARNING:  MG009: .*cannot be run/, 'in a file of its own it is told');
	query($node, $db, 'app', "SELECT migrate.remove('1')");
	is( state_of('app',
			"INSERT INTO migrate.migration (version, up) VALUES ('1', $text)"),
		'MG009', 'the trigger does');
}
is($node->safe_psql($db, 'SELECT count(*) FROM migrate.migration'),
	'0', 'nothing of it is stored');

# What has got there all the same.
query($node, $db, $superuser, <<"END");
SELECT migrate.add('1', 'CREATE TABLE t ()', '');
ALTER TABLE migrate.migration DISABLE TRIGGER USER;
UPDATE migrate.migration SET up = t, checksum = encode(sha256(t::bytea), 'hex')
	FROM (SELECT $slow{'nested comments'} AS t) s;
ALTER TABLE migrate.migration ENABLE TRIGGER USER;
END
foreach my $call ('SELECT reason FROM migrate.plan()', 'SELECT message FROM migrate.lint()')
{
	my ($status, $out, $err) = run_sql($node, $db, $superuser, $limit . $call);
	like($out, qr/^the up body cannot be run \(MG009\)/m,
		"$call says why it does not read it");
}
foreach my $call ('SELECT * FROM migrate.apply()', 'CALL migrate.apply_each()',
	'SELECT * FROM migrate.rehearse()')
{
	is(state_of($superuser, $call), 'MG009', "$call does not read it");
}

# What people write is not refused.
my %usual = (
	'a banner on every line' => q{repeat('/' || repeat('*', 78) || '/' || chr(10), 20000)},
	'boxes in comments' => q{repeat('-- +' || repeat('-', 30) || '+' || repeat('-', 30) || '+' || chr(10), 20000)},
	'comments that are nested' => q{repeat('/* ', 1000) || repeat(' */', 1000)},
	'a literal of signs' => q{'SELECT ''' || repeat('+', 4000) || ''''},
	'base 64' => q{'SELECT ''' || repeat('ab+/cd//ef++', 200000) || ''''});

foreach my $what (sort keys %usual)
{
	is(state_of('app', "SELECT migrate.add('$what', $usual{$what})"),
		'none', "$what can be stored");
}

done_testing();
