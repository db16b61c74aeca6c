# A body can raise any error: with a SQLSTATE of class 00, which is that of
# success, or with a message of megabytes.  Each is in the journal, whoever runs
# it and however, and the journal can be dumped and restored.
#
# Needs a role that stores and another that runs, a dump, and a background run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'odd';

$node->init;
$node->append_conf('postgresql.conf', q{
autovacuum = off
migrate.failure_quiet = 0
});
$node->start;
owner_database($node, $db);

# What a run's only attempt left in the journal.
sub attempt
{
	my ($project, $what) = @_;
	return $node->safe_psql($db,
		"SELECT concat_ws(' ', $what) FROM migrate.journal WHERE project = '$project' AND outcome = 'failure'");
}

# All the ways to run what fails; PROJECT stands for one of its own.
my %ways = (
	apply => q{SELECT FROM migrate.apply(project => 'PROJECT')},
	no_raise => q{SELECT FROM migrate.apply(project => 'PROJECT', raise => false)},
	apply_each => q{CALL migrate.apply_each(project => 'PROJECT')},
	start => q{SELECT migrate.start(project => 'PROJECT') AS run \gset
CALL migrate.wait(:run)});

# A body that fails; its deferred trigger; its verify body.
my %bodies = (
	body => q{migrate.add('1', $b$ DO $d$ BEGIN RAISE_IT END $d$ $b$, project => 'PROJECT')},
	verify => q{migrate.add('1', 'SELECT 1', verify => $b$ SELECT public.PROJECT() $b$, project => 'PROJECT')},
	deferred => q{migrate.add('1', $b$ CREATE TABLE public.t_PROJECT (i int);
		CREATE CONSTRAINT TRIGGER x AFTER INSERT ON public.t_PROJECT DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION public.trigger_PROJECT();
		INSERT INTO public.t_PROJECT VALUES (1) $b$, project => 'PROJECT')});

# Run each body in each way.
sub run_all
{
	my ($kind, $raise, $check) = @_;

	foreach my $body (sort keys %bodies)
	{
		foreach my $way (sort keys %ways)
		{
			my $project = "${kind}_${body}_$way";
			my $sql = <<"END";
CREATE FUNCTION public.$project() RETURNS bool LANGUAGE plpgsql AS \$f\$ BEGIN $raise END \$f\$;
CREATE FUNCTION public.trigger_$project() RETURNS trigger LANGUAGE plpgsql AS \$f\$ BEGIN $raise END \$f\$;
SELECT $bodies{$body};
END
			$sql =~ s/PROJECT/$project/g;
			$sql =~ s/RAISE_IT/$raise/;
			query($node, $db, 'app', $sql);
			($sql = $ways{$way}) =~ s/PROJECT/$project/g;
			my ($status, $out, $err) = run_sql($node, $db, 'app', $sql);
			unlike($err, qr/could not (?:record|confirm)|MG025|MG026/,
				"$project: nothing is said to be missing");
			$check->($project);
		}
	}
	return;
}

run_all('code', q{RAISE EXCEPTION 'hm' USING errcode = '00001';},
	sub {
		my ($project) = @_;
		is(attempt($project, 'sqlstate, message'),
			'XX000 hm', "$project: the attempt is in the journal, as an error");
	});
run_all('long', q{RAISE EXCEPTION '%', repeat('abcdefghij', 200000)
	USING detail = repeat('x', 2000000), hint = repeat('y', 2000000);},
	sub {
		my ($project) = @_;
		is(attempt($project, q{sqlstate, left(message, 5), length(message) < 10000,
			left(detail, 3), length(detail) < 10000, left(hint, 3), length(hint) < 10000,
			length(context) < 10000}),
			'P0001 abcde t xxx t yyy t t', "$project: the attempt is in the journal, and it is not long");
	});

# All of it can go elsewhere.
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
my $books = "SELECT count(*), sum(hashtext(j::text)::bigint) FROM migrate.journal j";
my $before = $node->safe_psql($db, $books);
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr($db) ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(
	[ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $dump ], 'restore');
is($node->safe_psql('restored', $books), $before, 'the journal is the same');

done_testing();
