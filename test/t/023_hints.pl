# Every call that a message names can be made: the function or procedure is
# there, it is called as what it is, and its arguments have these names; and
# those with which doc/night.md rolls back work.
#
# Here, since the messages are collected from the sources.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $node = PostgreSQL::Test::Cluster->new('hints');

$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION migrate');

my %kinds = map { split /\|/ } split /\n/, $node->safe_psql('postgres',
	q{SELECT DISTINCT proname, prokind FROM pg_proc WHERE pronamespace = 'migrate'::regnamespace});

# The literals of a C source, those that stand beside one another as one.
sub literals
{
	my ($text) = @_;

	$text =~ s{/\*.*?\*/}{}gs;
	$text =~ s/"\s*"//g;
	return $text =~ /"((?:[^"\\]|\\.)*)"/g;
}

# Whether a statement means something, without running it: its SQLSTATE, or
# nothing.
sub error_of
{
	my ($sql) = @_;
	my ($status, undef, $err) = run_sql($node, 'postgres', $superuser, "$sql;");

	return $status == 0 ? '' : ($err =~ /ERROR:\s+([0-9A-Z]{5})/)[0] // $err;
}

my $calls = 0;
foreach my $file (glob("$top/src/*/*.c"))
{
	my $name = $file =~ s{.*/src/}{src/}r;

	foreach my $literal (literals(slurp_file($file)))
	{
		while ($literal =~
			/(CALL |SELECT (?:\* FROM )?)?migrate\.(\w+)\(([^()]*)(\))?/g)
		{
			my ($verb, $function, $arguments) = ($1 // '', $2, $3);

			# SQL of our own, that of script() and lengthened at run time, is run by other tests
			next if !defined $4 || $arguments =~ /\$\d/;
			my $said = "$name: ${verb}migrate.$function($arguments)";

			$calls++;
			ok($kinds{$function}, "$said: is there") or next;
			next if $arguments eq '' && $verb eq '';
			is($verb =~ s/ .*//r, $kinds{$function} eq 'p' ? 'CALL' : 'SELECT',
				"$said: how it is called");
			$arguments =~ s/%s/'x'/g;
			$arguments =~ s/%l?d|\bN\b/1/g;

			# a procedure that has results can be named, and not called, in a body
			is( $kinds{$function} eq 'p'
				? error_of(
					"CREATE PROCEDURE pg_temp.hint() BEGIN ATOMIC CALL migrate.$function($arguments); END"
				  ) =~ s/^0A000$//r
				: error_of("PREPARE hint AS SELECT * FROM migrate.$function($arguments)"),
				'', "$said: can be called");
		}
	}
}
cmp_ok($calls, '>', 60, 'there are calls in messages');

# What doc/night.md has for the person who rolls back at night works where a
# project is protected, as doc/deploy.md has it.
my ($night) = slurp_file("$top/doc/night.md") =~ /^## Roll back and hold\n(.*?)^## /ms;
my @undo = $night =~ /`((?:CALL )?migrate\.rollback[^`]*\))`/g;

cmp_ok(scalar(@undo), '>=', 8, 'doc/night.md has calls that roll back');
foreach my $call (@undo)
{
	owner_database($node, 'app');
	query($node, 'app', 'app', <<'END');
SELECT setval('migrate.run_seq', 11);
SELECT migrate.add(v, format('CREATE TABLE t%s ()', v), format('DROP TABLE t%s', v)) FROM unnest('{041,042,043}'::text[]) v;
SELECT migrate.apply();
INSERT INTO migrate.policy (project, protected) VALUES ('default', true);
END
	my ($status, undef, $err) = run_sql($node, 'app', 'app', ($call =~ /^CALL/ ? '' : 'SELECT * FROM ') . $call);
	is($status, 0, "$call works in a protected project") or diag $err;
	cmp_ok(query($node, 'app', 'app', 'SELECT count(*) FROM migrate.applied'), '<', 3, '... and has undone something');
}

# And so does what its section "Partly done" ends with, in the order of the page.
my ($partly) = slurp_file("$top/doc/night.md") =~ /^## Partly done\n(.*?)^## /ms;
my @last = split /(?<=;)\n/, ($partly =~ /```sql\n(.*?)```/gs)[-1];

owner_database($node, 'app');
query($node, 'app', 'app', <<'END');
SELECT migrate.add('0065', 'CREATE TABLE users ()', 'DROP TABLE users');
SELECT migrate.apply();
INSERT INTO migrate.policy (project, protected) VALUES ('default', true);
END
cmp_ok(scalar(@last), '==', 2, 'doc/night.md: "Partly done" ends with two calls');
foreach my $call (@last)
{
	my ($status, undef, $err) = run_sql($node, 'app', 'app', $call);
	is($status, 0, "$call works in a protected project") or diag $err;
}

done_testing();
