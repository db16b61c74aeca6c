# bin/pg_migrate runs nobody's operators: those of a schema that stands before
# the server's in the search_path of a database are not used by its own queries.
#
# Needs the program, with sessions that hold it up.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run;
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $client = "$FindBin::RealBin/../../bin/pg_migrate";
my $work = PostgreSQL::Test::Utils::tempdir();
my $timeout = $PostgreSQL::Test::Utils::timeout_default;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$ENV{PATH} = $node->config_data('--bindir') . ":$ENV{PATH}";
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;

my $db = 'hostile';

owner_database($node, $db);

# every operator of two built-in types that a query is likely to use, once more
query($node, $db, 'app', q{
	CREATE SCHEMA evil;
	GRANT USAGE ON SCHEMA evil TO PUBLIC;
	DO $do$
	DECLARE
		o record;
		n int := 0;
	BEGIN
		FOR o IN SELECT oprname, l.typname AS l, r.typname AS r, pg_catalog.format_type(oprresult, NULL) AS result
				FROM pg_operator
					JOIN pg_type l ON l.oid = oprleft JOIN pg_type r ON r.oid = oprright
				WHERE oprname IN ('=', '<>', '<', '>', '<=', '>=', '+', '-', '*', '/', '%', '||', '~', '~*', '~~', '!~', '!~~', '&&', '@>')
					AND l.typtype = 'b' AND r.typtype = 'b' AND oprresult <> 0
			UNION ALL SELECT op, l, r, 'float8' FROM unnest('{*,/,+,-}'::text[]) op,
				(VALUES ('float8', 'int4'), ('int4', 'float8'), ('float8', 'int8')) AS t (l, r)
		LOOP
			n := n + 1;
			EXECUTE format('CREATE FUNCTION evil.f%s(pg_catalog.%I, pg_catalog.%I) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN RAISE WARNING ''a stranger runs''; RETURN NULL; END $f$',
				n, o.l, o.r, o.result);
			EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = pg_catalog.%I, RIGHTARG = pg_catalog.%I, FUNCTION = evil.f%s)',
				o.oprname, o.l, o.r, n);
		END LOOP;
	END $do$;
	ALTER DATABASE hostile SET search_path = evil, pg_catalog, public;
	CREATE TABLE public.gate ()});
like(($node->psql($db, 'SELECT 1.5::float8 * 2'))[2], qr/a stranger runs/, 'the operators are there');

sub start_client
{
	my (@args) = @_;
	my $h = { out => '', err => '' };

	$h->{run} = IPC::Run::start([ 'sh', $client, @args, '-d', $db, '-U', $superuser ],
		'<', \'', '>', \$h->{out}, '2>', \$h->{err}, IPC::Run::timeout($timeout));
	return $h;
}

sub finish_client
{
	my ($h) = @_;

	$h->{run}->finish;
	return $h->{run}->full_result(0) >> 8;
}

foreach my $case ([ 1, 'load only', 'load' ], [ 2, 'apply', 'up', '--one-transaction' ], [ 3, 'apply_each', 'up' ],
	[ 4, 'with the extension', 'up', '--create-extension' ])
{
	my ($n, $name, @args) = @$case;
	my $dir = "$work/$n";

	mkdir $dir or die $!;
	append_to_file("$dir/00${n}_a.sql", "-- migrate:up\nCREATE TABLE public.t$n (id int);\n-- migrate:down\nDROP TABLE public.t$n;\n");
	my $h = start_client(@args, '--dir', $dir);
	is(finish_client($h), 0, "$name: status");
	unlike($h->{err}, qr/a stranger runs/, "$name: nobody's operator is run");
	query($node, $db, $superuser, q{SELECT migrate.apply()}) if $n == 1;
}

# whatever else it does
foreach my $args ([ 'up', '--json' ], ['status'], [ 'status', '--json' ], [ 'check', '--json' ], ['plan'], [ 'plan', '--sql' ],
	['lint'], ['rehearse'], [ 'rehearse', '--statements' ], [ 'report', '--rehearse' ], ['script'], ['log'], ['progress'], ['cancel'],
	[ 'hold', '004', 'later' ], [ 'unhold', '004' ], ['redo'], ['down'], [ 'up', '--json' ], [ 'stamp', '004' ],
	[ 'stamp', '--to', 'head' ], ['init'], ['version'])
{
	my $h = start_client(@$args, $args->[0] =~ /^(?:up|plan|lint|rehearse|report)$/ ? ('--dir', "$work/4") : ());
	is(finish_client($h), 0, "@$args: status") or diag $h->{err};
	unlike("$h->{out}$h->{err}", qr/a stranger runs/, "@$args: nobody's operator is run");
}

# while it waits for another run, and when it is ended
my $dir = "$work/5";
mkdir $dir or die $!;
append_to_file("$dir/006_a.sql", "CREATE TABLE public.t5 (id int);\n");
my ($gate, $holder) = map { session($node, $db, $superuser) } 1, 2;
query($node, $db, $superuser, q{SET search_path = pg_catalog;
	SELECT migrate.add('005', 'CREATE INDEX CONCURRENTLY ON public.t1 (id)')});
ask($gate, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM public.t1');
ask_start($holder, 'SET search_path = pg_catalog; CALL migrate.apply_each()');
$node->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'virtualxid'}) or die 'the build does not wait';
my $h = start_client('up', '--dir', $dir);
$h->{run}->pump until $h->{err} =~ /waiting for it/;
ask($gate, 'COMMIT');
ask_wait($holder);
is(finish_client($h), 0, 'waiting: status');
unlike($h->{err}, qr/a stranger runs/, "waiting: nobody's operator is run");

done_testing();
