# The background worker that records failures is connected as the bootstrap
# superuser: nothing that others can set or hang on a database may keep it from
# recording, or run in it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Utils;
use Rights;
use Test::More;
use Time::HiRes qw(time);

start_server('max_worker_processes = 4');

my $db = database('worker');
my $number = 100;
value($db, '1');

# A body fails in a session with settings of its own; what became of it?
sub fails
{
	my ($role, $name, %option) = @_;
	my $settings = $option{settings} // '';
	my $version = ++$number;

	# these would end the session before it could take them back
	local $ENV{PGOPTIONS} = join(' ',
		map { "-c $_=0" } qw(statement_timeout lock_timeout idle_session_timeout
		  idle_in_transaction_session_timeout));

	# the observer's session is older than the settings
	observe($db,
		"INSERT INTO migrate.migration (version, up, added_by) VALUES ('$version', 'SELECT 1/0', '$role')"
	);
	my $started = time;
	my ($status, $out, $err) =
	  run($role, $db, "$settings SELECT version FROM migrate.apply()");
	my $seconds = time - $started;
	like($err, qr/ERROR:  22012: division by zero/,
		"$name: the error is the body's");
	cmp_ok($seconds, '<', 10, "$name: and comes soon");
	is( value(
			$db,
			"concat_ws(' ', action, outcome, sqlstate, message, role, session_role, statement, line) FROM migrate.journal WHERE version = '$version'"
		),
		$option{journal}
		  // "apply failure 22012 division by zero $role $role 1 1",
		"$name: it is in the journal");
	like($err, $option{warning}, "$name: a warning says so")
	  if $option{warning};
	unlike($err, qr/could not record the failure/, "$name: without a warning")
	  if !$option{warning};
	observe($db, "SELECT migrate.remove('$version')");
	return;
}

# ---------------------------------------------------------------------------
# Settings of the database, which its owner may make
# ---------------------------------------------------------------------------

# what a session must take back to get as far as a failure itself
my $own = join(
	' ',
	map { "SET $_;" } 'default_transaction_read_only = off',
	'default_transaction_isolation = "read committed"',
	'role = none', 'exit_on_error = off');

allowed('owner', $db, <<'END');
CREATE FUNCTION own_owner.now() RETURNS timestamptz LANGUAGE plpgsql AS
	$$ BEGIN ALTER ROLE owner SUPERUSER; RETURN NULL; END $$;
CREATE FUNCTION own_owner.make_interval(secs float8) RETURNS interval LANGUAGE plpgsql AS
	$$ BEGIN ALTER ROLE owner SUPERUSER; RETURN NULL; END $$;
CREATE FUNCTION own_owner.eq(text, text) RETURNS bool LANGUAGE plpgsql AS
	$$ BEGIN ALTER ROLE owner SUPERUSER; RETURN NULL; END $$;
CREATE OPERATOR own_owner.= (LEFTARG = text, RIGHTARG = text, FUNCTION = own_owner.eq);
END
foreach my $setting (
	'default_transaction_read_only = on',
	'default_transaction_isolation = serializable',
	'default_transaction_deferrable = on',
	'transaction_read_only = on',
	"statement_timeout = '1ms'",
	"lock_timeout = '1ms'",
	"idle_in_transaction_session_timeout = '1ms'",
	"idle_session_timeout = '1ms'",
	'search_path = own_owner, pg_catalog, pg_temp',
	'row_security = off',
	'role = low',
	'session_authorization = low',
	'exit_on_error = on',
	'client_encoding = latin1',
	'standard_conforming_strings = off',
	"DateStyle = 'German'",
	"bytea_output = 'escape'",
	"temp_tablespaces = 'nowhere'",
	"default_tablespace = 'nowhere'",
	"default_table_access_method = 'nowhere'",
	'enable_seqscan = off',
	"work_mem = '64kB'",
	"application_name = 'somebody else'",
	'check_function_bodies = off',
	'synchronous_commit = off')
{
	my ($status, undef, $err) =
	  run('owner', $db, "ALTER DATABASE $db SET $setting");
	is($status, 0, "the owner may ALTER DATABASE SET $setting") or diag($err);
	fails('owner', $setting, settings => $own);
	$node->safe_psql('postgres', "ALTER DATABASE $db RESET ALL");
}
foreach my $setting (
	'session_replication_role = replica',
	"session_preload_libraries = 'x'",
	'migrate.trust_authors = on',
	"dynamic_library_path = '/tmp'",
	'ignore_checksum_failure = on',
	'log_statement = none')
{
	refused('owner', $db, "ALTER DATABASE $db SET $setting",
		qr/42501: permission denied to set parameter/,
		"ALTER DATABASE SET $setting");
}

# Connections that the owner does not allow
foreach my $limit ('CONNECTION LIMIT 1', 'ALLOW_CONNECTIONS false')
{
	my $session = session('owner', $db);
	my $version = ++$number;

	# "ALLOW_CONNECTIONS" cannot be taken from the database one is in
	$session->query("SELECT migrate.add('$version', 'SELECT 1/0');");
	allowed('owner', 'postgres', "ALTER DATABASE $db $limit");
	my ($out, $err) = $session->query('SELECT migrate.apply();');
	like($err, qr/22012/, "$limit: the error is the body's");
	unlike($err, qr/could not record the failure/, "$limit: without a warning");
	is( value(
			$db,
			"count(*) FROM migrate.journal WHERE version = '$version' AND outcome = 'failure'"
		),
		'1',
		"$limit: it is in the journal");
	allowed('owner', 'postgres',
		"ALTER DATABASE $db CONNECTION LIMIT -1; ALTER DATABASE $db ALLOW_CONNECTIONS true"
	);
	$session->close;
	observe($db, "SELECT migrate.remove('$version')");
}

# Settings of a superuser, by mistake: as a restore or a standby may leave them
foreach my $setting (
	'session_replication_role = replica',
	'default_transaction_read_only = on',
	"statement_timeout = '1ms'",
	'row_security = off')
{
	foreach my $where ("DATABASE $db", "ROLE \"$super\"", "ROLE \"$super\" IN DATABASE $db")
	{
		$node->safe_psql('postgres', "ALTER $where SET $setting");
		fails('owner', "$where $setting", settings => $own);
		{
			local $ENV{PGOPTIONS} =
			  '-c default_transaction_read_only=off -c statement_timeout=0';
			$node->safe_psql('postgres', "ALTER $where RESET ALL");
		}
	}
}

# ---------------------------------------------------------------------------
# What the failing session brings along
# ---------------------------------------------------------------------------

foreach my $case (
	[ 'temporary tables of the same names' => join('', map { "CREATE TEMP TABLE $_ (i int); " } qw(journal executed_text migration applied)) ],
	[ 'a hostile search_path' => 'SET search_path = own_owner, pg_temp, pg_catalog;' ],
	[ 'a hostile role setting' => "SET DateStyle = 'German'; SET row_security = off; SET client_encoding = 'latin1';" ])
{
	fails('owner', $case->[0], settings => $case->[1]);
}
fails('runner', 'a role with the right to run');

# The role that is recorded is the one that ran, the session's beside it.
$node->safe_psql('postgres', 'GRANT runner TO low');
allowed('owner', $db, "SELECT migrate.grant('look', 'low')");
{
	my $version = ++$number;
	allowed($super, $db,
		"INSERT INTO migrate.migration (version, up, added_by) VALUES ('$version', 'SELECT 1/0', 'low')"
	);
	run('low', $db, 'SET ROLE runner; SELECT migrate.apply()');
	is( value(
			$db,
			"concat_ws(' ', role, session_role) FROM migrate.journal WHERE version = '$version'"
		),
		'runner low',
		'the journal has the current and the session\'s role');
	allowed($super, $db, "SELECT migrate.remove('$version')");
}

# Nobody else can have it record anything: the function is not to be had.
refused_each(
	'owner', $db, qr/ERROR:  42501/,
	"CREATE FUNCTION own_owner.w(internal) RETURNS void LANGUAGE c AS 'migrate', 'mig_bgworker_failure_main';",
	"LOAD '/etc/passwd';",
	"INSERT INTO pg_catalog.pg_proc SELECT * FROM pg_catalog.pg_proc;");

# Large and hostile failures
foreach my $text (
	'x' x 3_000_000,
	"a'b\"c\\d\n\$e\$",
	'%s%n')
{
	my $version = ++$number;
	my $literal = "'" . ($text =~ s/'/''/gr) . "'";

	# it is cut after 8,000 bytes
	my $shown = length $text > 8000 ? "left($literal, 8000) || '...'" : $literal;

	allowed($super, $db,
		"INSERT INTO migrate.migration (version, up, added_by) SELECT '$version', 'DO ' || quote_literal('BEGIN RAISE EXCEPTION USING MESSAGE = ' || quote_literal($literal) || ', DETAIL = ' || quote_literal($literal) || '; END'), 'owner'"
	);
	my ($status, undef, $err) = run('owner', $db, 'SELECT migrate.apply()');
	like($err, qr/ERROR:  P0001/, 'a failure of ' . length($text) . ' bytes');
	is( value(
			$db,
			"message = $shown AND detail = $shown FROM migrate.journal WHERE version = '$version'"
		),
		't',
		'is recorded as it is');
	allowed($super, $db, "SELECT migrate.remove('$version')");
}

# ---------------------------------------------------------------------------
# No worker to be had
# ---------------------------------------------------------------------------

# The launcher of logical replication takes one.
allowed($super, 'postgres', 'ALTER SYSTEM SET max_worker_processes = 1');
stop_server();
$node->start;
{
	my $before = privileges($db);

	fails(
		'owner',
		'no free worker',
		journal => '',
		warning => qr/WARNING:  53000: could not record the failure in migrate\.journal\nDETAIL:  No background worker could be started/);
	is(privileges($db), $before, 'nothing else has changed');
}

is( value(
		$db, "string_agg(rolname, ' ') FROM pg_roles WHERE rolsuper"),
	$super,
	'nobody has become a superuser');
unlike(slurp_file($node->logfile), qr/terminated by signal|TRAP:|PANIC:/,
	'and no process has crashed');
stop_server();
done_testing();
