# Texts of strangers, of a megabyte and made of nothing but openers, prefixes or
# separators of what is looked for in texts: whoever loads one, or makes a plan,
# a report or a run with it, gets his answer or his time-out, and never later
# than that.
#
# Needs texts that somebody else has stored, and time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('main');
my $db = 'scans';

$node->init;
$node->append_conf('postgresql.conf', q{
autovacuum = off
migrate.failure_quiet = 0
});
$node->start;
owner_database($node, $db);

# A scan that looks at its interrupts ends within a second or so, one that does
# not, or that takes the square of the length, within a quarter of an hour.
my $limit = 15;

# Send statements one after another, each of which has a second.
sub in_time
{
	my ($name, @statements) = @_;
	my $start = time;
	my ($status, undef, $err) = run_sql($node, $db, 'app',
		"\\set ON_ERROR_STOP off\nSET client_min_messages = error;\nSET statement_timeout = '1s';\n"
		  . join('', map { "$_;\n" } @statements));
	my $seconds = time - $start;

	cmp_ok($seconds, '<', $limit + @statements, $name)
	  or diag(substr($err, 0, 500));
	return;
}

# An SQL expression for what is repeated up to a megabyte.
sub megabyte
{
	my ($piece) = @_;
	return 'repeat(' . quote($piece) . ', ' . int(1000000 / length $piece) . ')';
}

my @openers = (
	'/*', '/* ', '*/', "'", "''", '"', '""', "E'", "E'\\\\'", '$', '$a$', '$a', '$1', '$$', '${', '${}',
	'--', "--\n", "-- \r", '#', "#\n", '# ', ' #', "\n", "\r", "\r\n", "\t", ' ', ';', ':', '.', ',',
	'=', '[', ']', '@', '%', '!', '\\', "\\\\\n", '(', ')', '{', '+', '-', '_', '0', '9', 'a', 'a ', "a\n");
my @prefixes = (
	'AKIA', 'ASIA', 'ghp_', 'gho_', 'github_pat_', 'glpat-', 'xoxb-', 'xoxp-', 'sk_live_',
	'rk_live_', 'AIza', 'eyJhbGciOi', '-----BEGIN ', '-----BEGIN', '-----', 'PRIVATE KEY', '://',
	'://a:', '://a:a', '://a.', 'stdin', 'copy ', '\\\\restrict ', 'migrate:lint-off ');
my @markers = (
	'-- +goose', "-- +goose Up\n", "-- +goose Down\n", "-- +goose StatementBegin\n", '-- +goose ',
	'-- migrate:', "-- migrate:up\n", "-- migrate:down\n", "-- migrate:requires 1\n",
	"-- migrate:transactional off\n", "-- migrate:lint-off\n", "-- no-transaction\n",
	"-- down\n", "-- down =", "--downdowndowndowndowndowndowndown\n", "/* down */\n", "-- Down Migration\nx\n", "-- !", "--! ", "# !Ups\n", "//\n",
	"-- changeset \n", "-- rambler up\n", "%\n", "%project=\n", "\@a 2024-01-31T23:59:59Z\n",
	"a 2024-01-31T23:59:59Z\n", "a [b] 2024-01-31T23:59:59Z\n", "[a]\n", "a = b\n");
my %texts = map { $_ => megabyte($_) } @openers, @prefixes, @markers;

$texts{'different dollar tags'} = q{(SELECT string_agg('$a' || i || '$ ', '') FROM generate_series(1, 120000) i)};
$texts{'a requirement each'} = q{'-- migrate:requires ' || (SELECT string_agg(i::text, ' ') FROM generate_series(1, 150000) i)};
$texts{'a line of requirements each'} = q{(SELECT string_agg('-- migrate:requires ' || i, chr(10)) FROM generate_series(1, 40000) i)};
$texts{'Sqitch: changes that come again after many tags'} = q{(SELECT string_agg('c' || i || ' 2024-01-31T23:59:59Z', chr(10)) FROM generate_series(1, 13000) i)
	|| chr(10) || (SELECT string_agg('@t' || i || ' 2024-01-31T23:59:59Z', chr(10)) FROM generate_series(1, 13000) i)
	|| chr(10) || (SELECT string_agg('c' || i || ' 2024-01-31T23:59:59Z', chr(10)) FROM generate_series(1, 13000) i)};
$texts{'Sqitch: requirements'} = q{'a 2024-01-31T23:59:59Z' || chr(10) || '@t 2024-01-31T23:59:59Z' || chr(10)
	|| 'b [' || repeat('a@t @t ', 130000) || '] 2024-01-31T23:59:59Z'};

# ---------------------------------------------------------------------------
# Who loads them
# ---------------------------------------------------------------------------

# the files of a text in each convention, and in two that no convention fits
my %files = (
	native => q{'1_a.sql', text},
	unclosed => q{'1_a.sql', 'SELECT ''' || text},
	goose => q{'1_a.sql', E'-- +goose Up\nSELECT 1;\n' || text},
	sqlx => q{'1_a.up.sql', text, '1_a.down.sql', text},
	diesel => q{'1_a/up.sql', 'SELECT 1', '1_a/down.sql', text, '1_a/metadata.toml', text},
	flyway => q{'V1__a.sql', text},
	'flyway with settings' => q{'V1__a.sql', text, 'V1__a.sql.conf', text},
	sqitch => q{'sqitch.plan', text, 'deploy/a.sql', text, 'deploy/c13000@t1.sql', 'SELECT 1'},
	prisma => q{'1_a/migration.sql', text, 'migration_lock.toml', text});

foreach my $what (sort keys %texts)
{
	in_time("load: $what", map {
		my ($name) = /^unclosed/ ? 'native' : /^(\S+)/;
		"BEGIN; SELECT count(*) FROM (SELECT $texts{$what} AS text OFFSET 0) t,
			migrate.load(jsonb_build_object($files{$_}), '$name', partial => true, project => 'l'); ROLLBACK" }
		sort keys %files);
}

# ---------------------------------------------------------------------------
# Who makes a plan with what others have stored
# ---------------------------------------------------------------------------

my %bodies = (
	'lint-off' => q{repeat('-- migrate:lint-off drop-table' || chr(10) || 'SELECT 1;', 24000)},
	'lint-off of a file' => q{repeat('-- migrate:lint-off-file drop-table' || chr(10) || 'SELECT 1;', 22000)},
	'lint-off of many rules' => q{'-- migrate:lint-off ' || repeat('no-rule ', 120000) || chr(10) || 'SELECT 1'},
	'long names' => q{repeat('SELECT 1 AS ' || repeat('a', 70) || ';', 12000)},
	'LISTEN' => q{(SELECT string_agg('LISTEN c' || i, ';') FROM generate_series(1, 20000) i)});
foreach my $what (@openers, @prefixes)
{
	(my $piece = $what) =~ tr/\n\r/  /;
	$bodies{"comment of $what"} = q{'-- x ' || } . megabyte($piece) . q{ || chr(10) || 'SELECT 1'};
	$bodies{"literal of $what"} = q{'SELECT ' || quote_literal(} . megabyte($what) . q{)};
}
foreach my $what (sort keys %bodies)
{
	my ($status, undef, $err) = run_sql($node, $db, 'app',
		"SELECT migrate.add('1', $bodies{$what}); INSERT INTO migrate.policy (lint) VALUES ('warn')");
	next if $err =~ /MG009/;    # nobody gets to read it
	is($status, 0, "stored: $what") or diag(substr($err, 0, 500));
	in_time("look and run: $what",
		(map { "SELECT count(*) FROM migrate.$_" }
			'lint()', 'plan()', 'status()', 'script()', 'report()', q{report(format => 'html')}),
		'CALL migrate.apply_each()');
	$node->safe_psql($db, q{SELECT migrate.unstamp(version) FROM migrate.applied;
		SELECT migrate.remove(version) FROM migrate.migration; DELETE FROM migrate.policy});
}

done_testing();
