# What an error shows of a body: the file, its line and what is around it, and
# not the whole text; to the client, in the server log and in the journal.
#
# Needs the server log, and output that is measured.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'texts';

$node->init;
$node->append_conf('postgresql.conf', q{
autovacuum = off
log_statement = none
log_min_error_statement = error
migrate.failure_quiet = 0
});
$node->start;
owner_database($node, $db);

# Run a call; returns what the client and what the log got.
sub fails
{
	my ($sql) = @_;
	my $offset = log_size($node);
	my ($status, $out, $err) = run_sql($node, $db, 'app', $sql);

	isnt($status, 0, 'the call fails');
	return ($err, log_since($node, $offset));
}

sub store
{
	my ($version, $text, $line, $path) = @_;
	query($node, $db, 'app',
		'SELECT migrate.remove(version) FROM migrate.migration;'
		  . ' INSERT INTO migrate.migration (version, up, down, verify, path, up_line, down_line, verify_line)'
		  . " VALUES ('$version', $text, $text, $text, '$path', $line, $line, $line)");
	return;
}

# ---------------------------------------------------------------------------
# Lines of the file
# ---------------------------------------------------------------------------

store('001', quote("SELECT 1;\n\nSELECT 2,\n  x;\n"), 7, '001_a.sql');
my ($client, $log) = fails('SELECT migrate.apply()');
like($client, qr/^CONTEXT:  migration "001" \(001_a\.sql:9\), up body, statement 2$/m,
	'CONTEXT has the line of the file');
like($client, qr/^LINE 10:   x$/m, 'and so has LINE');
unlike($client, qr/line \d/, 'and no other line is named');
like($log, qr/\(001_a\.sql:9\)/, 'so has the log');
like(query($node, $db, $superuser, 'SELECT line, context FROM migrate.failures()'),
	qr/^9\|migration "001" \(001_a\.sql:9\)/, 'and the journal');

($client) = fails('CALL migrate.apply_each()');
like($client, qr/\(001_a\.sql:9\), up body/, 'apply_each() says the same');
query($node, $db, $superuser, "SELECT migrate.stamp('001')");
($client) = fails('SELECT migrate.rollback()');
like($client, qr/\(001_a\.sql:9\), down body/, 'so does a roll-back');
query($node, $db, $superuser, "SELECT migrate.unstamp('001', confirm => 'texts');"
	  . " UPDATE migrate.migration SET up = ''");
($client) = fails('SELECT migrate.apply()');
like($client, qr/\(001_a\.sql:9\), verify body/, 'and a verify body');
query($node, $db, $superuser, 'UPDATE migrate.migration SET up = verify');

my $run = query($node, $db, 'app', 'SELECT migrate.start()');
($client) = fails("CALL migrate.wait($run)");
like($client, qr/\(001_a\.sql:9\), up body/, 'a background run has it');
like($client, qr/^LINE 10:   x$/m, 'and LINE of the file');

($client) = fails(q{SELECT migrate.load('{"d/2_b.sql": "SELECT 1;\n\nSELEC 2;\n"}', 'plain')});
like($client, qr/^DETAIL:  d\/2_b\.sql:3, column 1: SELEC 2;$/m,
	'a syntax error has file and line in DETAIL');
like($client, qr/\(d\/2_b\.sql:3\), up body/, 'and in CONTEXT');
($client) = fails(q{SELECT migrate.add('2', E'SELECT 1;\n\nSELEC 2;\n')});
like($client, qr/^DETAIL:  Line 3, column 1: SELEC 2;$/m,
	'without a file it is the line of the body');

# ---------------------------------------------------------------------------
# Long texts
# ---------------------------------------------------------------------------

# An error is read by a person.
sub is_short
{
	my ($what) = @_;
	my $name = shift @{$what};

	foreach my $text (@{$what})
	{
		cmp_ok($text =~ tr/\n//, '<', 60, "$name: few lines");
		cmp_ok(length $text, '<', 12000, "$name: few bytes");
	}
	return;
}

my $rows = q{repeat('INSERT INTO none VALUES (1);' || chr(10), 30000)};

query($node, $db, 'app', 'CREATE TABLE none (i int)');
store('002', "$rows || 'SELECT x;' || chr(10) || $rows", 1, '002_big.sql');
($client, $log) = fails('SELECT migrate.apply()');
is_short([ 'in the middle of a long body', $client, $log ]);
like($client, qr/002_big\.sql:30001, column 8: SELECT x$/m,
	'the line is named where clients cannot count it');
unlike($client, qr/^LINE/m, 'and LINE does not name another');
like(query($node, $db, $superuser, 'SELECT detail FROM migrate.failures(1)'),
	qr/002_big\.sql:30001, column 8/, 'the journal has it');
($client, $log) = fails('CALL migrate.apply_each()');
is_short([ 'with apply_each()', $client, $log ]);
$run = query($node, $db, 'app', 'SELECT migrate.start()');
($client, $log) = fails("CALL migrate.wait($run)");
is_short([ 'with a background run', $client, $log ]);
like($client, qr/002_big\.sql:30001/, 'it has the line, too');

store('003', "'INSERT INTO none VALUES (0)' || repeat(',' || chr(10) || '(1)', 100000) || ', (x)'",
	1, '003_big.sql');
($client, $log) = fails('SELECT migrate.apply()');
is_short([ 'at the end of a long statement', $client, $log ]);
like($client, qr/003_big\.sql:100001, column 7: \(1\), \(x\)$/m, 'the line is named');

store('004', "'INSERT INTO none VALUES (0' || repeat('), (0', 100000) || '), (x)'",
	1, '004_big.sql');
($client, $log) = fails('SELECT migrate.apply()');
is_short([ 'in a long line', $client, $log ]);
like($client, qr/^QUERY:  \.\.\..*\(0\), \(x\)$/m,
	'the part of it is shown');

store('005', "'DO \$\$BEGIN EXECUTE ''SELECT ' || repeat('1, ', 100000) || ' x''; END\$\$'",
	1, '005_big.sql');
($client, $log) = fails('SELECT migrate.apply()');
is_short([ 'in a query of a function', $client, $log ]);
store('006', "'DO \$\$BEGIN EXECUTE ''SELECT ' || repeat('1, ', 100000) || ' 1/0''; END\$\$'",
	1, '006_big.sql');
($client, $log) = fails('SELECT migrate.apply()');
is_short([ 'in the context of a function', $client, $log ]);
like($client, qr/006_big\.sql:1\), up body/, 'our own context is there');

query($node, $db, $superuser, 'CREATE TABLE long (t text)');
foreach my $case (
	[ 'a syntax error at a long literal', q{'SELECT 1 ''' || repeat('x', 1000000) || ''''} ],
	[ 'one after long lines', "$rows || 'SELEC'" ],
	[ 'a literal without an end', q{'SELECT ''' || repeat('x' || chr(10), 100000)} ],
	[ 'a refused statement', "$rows || 'ROLLBACK;' || $rows" ])
{
	my ($name, $text) = @$case;

	# the text must not be in the call, which the log has as its STATEMENT
	query($node, $db, $superuser, "TRUNCATE long; INSERT INTO long SELECT $text");
	query($node, $db, $superuser, 'GRANT SELECT ON long TO app');
	($client, $log) = fails(q{SELECT migrate.add('7', t) FROM long});
	is_short([ $name, $client, $log ]);
}

# ---------------------------------------------------------------------------
# Data of others
# ---------------------------------------------------------------------------

my $dump = <<'END';
SET client_encoding = 'UTF8';
CREATE TABLE customer (name text, phone text);
COPY public.customer (name, phone) FROM stdin;
Smith	555-0101
O'Brien	555-0102
\.

SELECT 1;
END

foreach my $text ($dump, $dump =~ s/COPY/-- rows\ncopy/r, $dump =~ s/stdin/STDIN WITH (FORMAT csv)/r,
	$dump =~ s/FROM stdin/\n  FROM -- here\n  stdin/r)
{
	($client, $log) = fails('SELECT migrate.load((SELECT jsonb_build_object(\'8_c.sql\', t) FROM long), \'plain\')')
	  if query($node, $db, $superuser,
		'TRUNCATE long; INSERT INTO long VALUES (' . quote($text) . ') RETURNING 1');
	like($client, qr/MG009: migration "8" cannot contain COPY from or to the client/,
		'COPY with data is refused');
	like($client, qr/\(8_c\.sql:[34]\), up body/, 'at its line');
	unlike("$client$log", qr/Smith|Brien|555/, 'and no row is shown');
}

# the words alone are not enough
query($node, $db, 'app', q{SELECT migrate.add('9', $$
SELECT 'COPY t FROM stdin;' AS "copy t from stdin"; -- COPY t FROM stdin
CREATE VIEW stdin AS SELECT 1; SELECT * FROM stdin;
COPY (SELECT * FROM stdin) TO '/dev/null'$$)});

done_testing();
