# Texts of strangers in what a terminal is shown: control characters and other
# ones that are not seen are refused where they come in, and no message has them.
#
# Needs roles, databases of other encodings, and what psql prints as messages.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'lines';

$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nmax_prepared_transactions = 2\n");
$node->start;
owner_database($node, $db);
query($node, $db, 'app', "SELECT migrate.add('1', 'SELECT 1')");

# nothing but printable ASCII, line feeds and tabs
sub is_clean
{
	my ($text, $name) = @_;
	unlike($text, qr/[^\n\t\x20-\x7e]/, $name);
	return;
}

# what may not be in a line, as SQL, and an SQL expression that is too long
my %bad = (
	'escape' => q{E'a\x1b[31mb'},
	'C1' => q{U&'a\009Bb'},
	'override' => q{U&'a\202Eb'},
	'isolate' => q{U&'a\2066b'},
	'separator' => q{U&'a\2028b'},
	'no width' => q{U&'a\200Bb'},
	'line feed' => q{E'a\nb'},
	'DEL' => q{E'a\x7Fb'},
	'length' => q{repeat('a', 20000)});
my %entries = (
	'version' => q{SELECT migrate.add(%s, 'SELECT 1')},
	'name' => q{SELECT migrate.add('2', 'SELECT 1', name => %s)},
	'project' => q{SELECT migrate.add('2', 'SELECT 1', project => %s)},
	'requirement' => q{SELECT migrate.add('2', 'SELECT 1', requires => ARRAY[%s])},
	'path' => q{SELECT migrate.add('2', 'SELECT 1', provenance => jsonb_build_object('path', %s))},
	'file' => q{SELECT migrate.load(jsonb_build_object('2_' || %s || '.sql', 'SELECT 1'))},
	'reason' => q{SELECT migrate.hold('1', %s)},
	'note of apply()' => q{SELECT migrate.apply(note => %s)},
	'note of apply_each()' => q{CALL migrate.apply_each(note => %s)},
	'note of start()' => q{SELECT migrate.start(note => %s)},
	'note of stamp()' => q{SELECT migrate.stamp('1', note => %s)},
	'target' => q{SELECT migrate.apply(target => %s)},
	'plain version' => q{INSERT INTO migrate.migration (version, up) VALUES (%s, '')},
	'plain name' => q{INSERT INTO migrate.migration (version, up, name) VALUES ('2', '', %s)},
	'plain path' => q{INSERT INTO migrate.migration (version, up, path) VALUES ('2', '', %s)},
	'policy' => q{INSERT INTO migrate.policy (project, frozen_reason) VALUES ('x', %s)});
foreach my $entry (sort keys %entries)
{
	foreach my $kind (sort keys %bad)
	{
		next if $kind eq 'line feed' && $entry =~ /note/;
		my ($status, undef, $err) =
		  run_sql($node, $db, 'app', sprintf($entries{$entry}, $bad{$kind}) . ';');

		isnt($status, 0, "$entry, $kind: refused");
		like($err, qr/(22023|23514): .*(must not contain|is too long)/, "$entry, $kind: and why");
		is_clean($err, "$entry, $kind: in a message that can be shown");
	}
}
is(query($node, $db, 'app', 'SELECT version FROM migrate.migration'), '1', 'nothing was stored');

# what only a superuser can have put there is in no message either
query($node, $db, $superuser, q{
	ALTER TABLE migrate.migration DROP CONSTRAINT migration_name_check;
	SET session_replication_role = replica;
	UPDATE migrate.migration SET name = E'n\x1b[31m'});
foreach my $call ('SELECT * FROM migrate.status()', 'SELECT migrate.apply()', 'CALL migrate.apply_each()')
{
	my ($status, undef, $err) = run_sql($node, $db, 'app', "$call;");
	like($err, qr/MG036/, "$call: refuses a forged name");
	is_clean($err, "$call: and does not show it");
}
query($node, $db, $superuser, q{
	SET session_replication_role = replica; UPDATE migrate.migration SET name = ''});

# errors of bodies, of the parser, and names of roles and objects
foreach my $body (
	q{DO $$ BEGIN RAISE EXCEPTION E'm\x1b[31m' USING DETAIL = E'd\x1b[31m', HINT = E'h\u202E'; END $$},
	qq{SELECT "\x1b[31m" FROM nowhere},
	qq{SELECT 1,\n\t'\x1b[31m', nowhere})
{
	query($node, $db, 'app',
		"SELECT migrate.remove(version) FROM migrate.status() WHERE state <> 'applied';
		SELECT migrate.add('3', " . quote($body) . ')');
	foreach my $call ('SELECT migrate.apply()', 'CALL migrate.apply_each()')
	{
		my ($status, undef, $err) = run_sql($node, $db, 'app', "$call;");
		isnt($status, 0, "$call fails");
		is_clean($err, 'with a message that can be shown');
	}
}
foreach my $text ("SELECT '\x1b[31m' 'x' FROM FROM", "SELEC\x1b[31m")
{
	my ($status, undef, $err) =
	  run_sql($node, $db, 'app', "SELECT migrate.load(jsonb_build_object('9_x.sql', " . quote($text) . "));");
	like($err, qr/42601/, 'a file that is no SQL');
	unlike($err =~ s/^LINE .*//rmg, qr/\x1b/, 'is quoted as can be shown');
}

# who is in the way, by query, by the name of a prepared transaction and by that of
# the object; and what a body has left in its session
query($node, $db, 'app', qq{CREATE TABLE "t\nProcess 1 of role ""root"" \x1b[31m" (i int)});
my $table = query($node, $db, 'app', q{SELECT quote_ident(relname) FROM pg_class WHERE relname LIKE E't\n%'});
query($node, $db, 'app', "SELECT migrate.remove(version) FROM migrate.status() WHERE state <> 'applied';
	SELECT migrate.add('4', " . quote("ALTER TABLE $table ADD j int") . ')');
my $blocker = MigrateTest::session($node, $db, 'app');
foreach my $in_the_way ('query', 'prepared transaction')
{
	MigrateTest::ask($blocker, "BEGIN; LOCK TABLE $table; SELECT 1 /* \x1b[31m\xe2\x80\xae */;");
	MigrateTest::ask($blocker, qq{PREPARE TRANSACTION E'x\\nProcess 1 of role "root" \\x1b[31m';})
	  if $in_the_way ne 'query';
	foreach my $call ('SELECT migrate.apply()', 'CALL migrate.apply_each()')
	{
		my (undef, undef, $err) = run_sql($node, $db, 'app',
			"SET migrate.lock_timeout = '50ms'; SET migrate.lock_retry_timeout = 0; SET migrate.lock_retries = 0; $call;");
		like($err, qr/55P03.*DETAIL:.*(Process \d+ of role "app"|Prepared transaction)/s, "$call: names the $in_the_way");
		is_clean($err, 'in a message that can be shown');
		unlike($err, qr/^\s*Process 1 of/m, 'and of which no line is forged');
	}
	MigrateTest::ask($blocker, $in_the_way eq 'query' ? 'ROLLBACK;' :
		qq{ROLLBACK PREPARED E'x\\nProcess 1 of role "root" \\x1b[31m';});
}
$blocker->quit;
query($node, $db, 'app', "SELECT migrate.remove('4'); CREATE TABLE deferred (i int);
	CREATE FUNCTION put_off() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN EXECUTE E'SELECT 1 \\x1b[31m/* x */ FROM nosuch'; RETURN NULL; END \$\$;
	CREATE CONSTRAINT TRIGGER put_off AFTER INSERT ON deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION put_off()");
foreach my $body (qq{PREPARE "x\x1b[31m\nHINT: forged" AS SELECT 1; VACUUM deferred; SELECT 1/0},
	'INSERT INTO deferred VALUES (1)')
{
	query($node, $db, 'app', "SELECT migrate.add('5', " . quote($body) . ')');
	foreach my $call ('SELECT migrate.apply()', 'CALL migrate.apply_each()')
	{
		my ($status, undef, $err) = run_sql($node, $db, 'app', "$call;");
		isnt($status, 0, "$call fails");
		is_clean($err, 'with a message that can be shown');
		unlike($err, qr/^HINT: forged/m, 'and of which no line is forged');
	}
	query($node, $db, $superuser, "SELECT migrate.unstamp('5')") if $body =~ /VACUUM/;
	query($node, $db, 'app', "SELECT migrate.remove('5')");
}
is(query($node, $db, $superuser, q{SELECT count(*) FROM migrate.journal
	WHERE concat(message, detail, hint, context) ~ E'[\x01-\x08\x0b-\x1f\u202e]'}), '0', 'the journal has none');

# letters of other encodings are letters
foreach my $encoding ('WIN1252', 'KOI8R', 'WIN866', 'LATIN1')
{
	my $name = lc $encoding;
	my $byte = $encoding eq 'LATIN1' ? 0xe9 : $encoding eq 'WIN1252' ? 0x93 : 0x82;

	$node->safe_psql('postgres',
		"CREATE DATABASE $name ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0 OWNER app");
	query($node, $name, 'app', 'CREATE EXTENSION migrate');
	is( query($node, $name, 'app',
			"SELECT migrate.are_lines(10, convert_from('\\x" . sprintf('%02x', $byte) . "', '$encoding'))"),
		't', "$encoding: a letter");
	is(query($node, $name, 'app', q{SELECT migrate.are_lines(10, E'\x1b')}), 'f', "$encoding: no escape");
}
is(query($node, 'latin1', 'app', q{SELECT migrate.are_lines(10, convert_from('\x9b', 'LATIN1'))}),
	'f', 'LATIN1: no C1');

done_testing();
