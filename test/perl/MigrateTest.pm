# MigrateTest: what the tests of test/t share
#
# Sessions that can be left waiting, databases whose owner is no superuser, and
# the books of a database as text that can be compared.

package MigrateTest;

use strict;
use warnings;

use Exporter qw(import);
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  owner_database query run_sql run_parallel
  session ask ask_start ask_wait is_waiting pid_of
  books agreement locks_left log_size log_since quote page_blocks $superuser
);

# The role that initdb makes.
our $superuser = getpwuid($<);

# What the roles of these tests may do: app owns databases, the others have
# what the tests grant to them.
my $roles = <<'END';
CREATE ROLE app LOGIN CREATEDB;
CREATE ROLE viewer LOGIN;
CREATE ROLE deployer LOGIN;
END

# A text as an SQL literal.
sub quote
{
	my ($text) = @_;
	$text =~ s/'/''/g;
	$text =~ s/\\/\\\\/g;
	$text =~ s/\r/\\r/g;
	return "E'$text'";
}

# Make a database that the role app owns and, unless told otherwise, in which
# it has installed the extension.
sub owner_database
{
	my ($node, $db, %opt) = @_;
	my $owner = $opt{owner} // 'app';

	$node->safe_psql('postgres', $roles)
	  if $node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_roles WHERE rolname = 'app'}) eq '0';
	$node->safe_psql('postgres',
		qq{DROP DATABASE IF EXISTS "$db" WITH (FORCE)});
	$node->safe_psql('postgres', qq{CREATE DATABASE "$db" OWNER $owner});
	$node->safe_psql($db, 'CREATE EXTENSION migrate',
		extra_params => [ '-U', $owner ])
	  unless $opt{without_extension};
	return;
}

# Run SQL as a role and return its output; dies if it fails.
sub query
{
	my ($node, $db, $role, $sql) = @_;
	return $node->safe_psql(
		$db, $sql,
		timeout => $PostgreSQL::Test::Utils::timeout_default,
		extra_params => [ '-U', $role ]);
}

# Run SQL as a role; returns psql's exit status, output and messages, the latter
# with SQLSTATEs.
sub run_sql
{
	my ($node, $db, $role, $sql) = @_;
	my ($status, $out, $err) = $node->psql(
		$db, $sql,
		on_error_stop => 1,
		timeout => $PostgreSQL::Test::Utils::timeout_default,
		extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ]);
	return ($status, $out, $err);
}

# Run scripts, each in a session of its own, all released at the same moment;
# returns a hash of status, out and err for each.
sub run_parallel
{
	my ($node, $db, $role, @scripts) = @_;
	my $gate = session($node, $db);
	my @runs;

	ask($gate, 'SELECT pg_advisory_lock(1)');
	foreach my $script (@scripts)
	{
		my $run = {
			in => "SELECT pg_advisory_lock_shared(1);\n$script\n",
			out => '',
			err => ''
		};
		$run->{handle} = IPC::Run::start(
			[
				$node->installed_command('psql'), '-XAtq',
				'-v', 'ON_ERROR_STOP=1',
				'-v', 'VERBOSITY=verbose',
				'-d', $node->connstr($db) . " user=$role"
			],
			'<', \$run->{in}, '>', \$run->{out}, '2>', \$run->{err},
			IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
		$run->{handle}->pump_nb while length $run->{in};
		push @runs, $run;
	}
	$node->poll_query_until(
		$db,
		q{SELECT count(*) FROM pg_locks
			WHERE locktype = 'advisory' AND objid = 1 AND NOT granted},
		scalar(@scripts)) or die 'the sessions do not come to their start';
	$gate->quit;
	foreach my $run (@runs)
	{
		$run->{handle}->finish;
		$run->{status} = $run->{handle}->full_result(0);
	}
	return @runs;
}

# ---------------------------------------------------------------------------
# Sessions
# ---------------------------------------------------------------------------

# Open a session that goes on after errors and shows SQLSTATEs.
sub session
{
	my ($node, $db, $role) = @_;
	my @role = defined $role ? ('-U', $role) : ();
	return $node->background_psql(
		$db,
		on_error_stop => 0,
		extra_params => [ @role, '-v', 'VERBOSITY=verbose' ]);
}

my $questions = 0;

# Send statements and do not wait for their end.
sub ask_start
{
	my ($session, $sql) = @_;
	my $end = 'end of question ' . ++$questions;

	$session->{timeout}->start($PostgreSQL::Test::Utils::timeout_default);
	$session->{stdout} = '';
	$session->{stderr} = '';
	$session->{end} = qr/\Q$end\E\r?\n/;
	$session->{stdin} .= "$sql\n;\n\\echo '$end'\n\\warn '$end'\n";
	$session->{run}->pump_nb while length $session->{stdin};
	return;
}

# The output and the messages of what ask_start() sent, when it is done or the
# connection is lost.
sub ask_wait
{
	my ($session) = @_;
	my $end = delete $session->{end};

	while (!($session->{stdout} =~ $end && $session->{stderr} =~ $end))
	{
		die "a session does not answer: $session->{stderr}"
		  if $session->{timeout}->is_expired;
		last unless $session->{run}->pumpable;
		$session->{run}->pump;
	}
	my ($out, $err) = ($session->{stdout}, $session->{stderr});
	$out =~ s/\n?$end//;
	$err =~ s/$end//;
	return ($out, $err);
}

# Run statements; returns output and messages, or the output alone.
sub ask
{
	my ($session, $sql) = @_;
	ask_start($session, $sql);
	my ($out, $err) = ask_wait($session);
	return wantarray ? ($out, $err) : $out;
}

sub pid_of
{
	my ($session) = @_;
	return scalar ask($session, 'SELECT pg_backend_pid()');
}

# Wait until a backend waits in this way: "Lock" for a lock of the server's,
# "Extension" for the runner lock, which is polled for.
sub is_waiting
{
	my ($node, $pid, $how) = @_;
	$how //= 'Lock';
	return $node->poll_query_until(
		'postgres',
		qq{SELECT count(*) = 1 FROM pg_stat_activity
			WHERE pid = $pid AND state = 'active' AND wait_event_type = '$how'});
}

# ---------------------------------------------------------------------------
# What the books say
# ---------------------------------------------------------------------------

my %keys = (
	migration => 'project, version',
	applied => 'project, target, version',
	journal => 'run, seq',
	executed_text => 'body_hash, run',
	policy => 'project',
	state => 'project, target');

# Every column of every row of the books, or of some of their tables.  Text is
# shown as JSON, so each byte of it can be seen.
sub books
{
	my ($node, $db, @tables) = @_;
	my $text = '';

	@tables = sort keys %keys unless @tables;
	foreach my $table (@tables)
	{
		$text .= "$table\n"
		  . $node->safe_psql($db,
			"SELECT to_jsonb(t)::text FROM migrate.$table t"
			  . " ORDER BY $keys{$table}") . "\n";
	}
	return $text;
}

# Check that ledger, journal and state of the default project say the same, and
# that the tables of schema public whose names begin with t_ are exactly those
# whose versioned migrations (7 makes t_7) the ledger has.
sub agreement
{
	my ($node, $db, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is( $node->safe_psql(
			$db, q{
		WITH repeatable AS (
			SELECT version FROM migrate.migration
			WHERE project = 'default' AND kind = 'repeatable'
		), tables AS (
			SELECT substr(relname, 3) AS version FROM pg_class
			WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
				AND relname LIKE 't\_%'
		), ledger AS (
			SELECT version FROM migrate.applied WHERE project = 'default'
			EXCEPT TABLE repeatable
		), journal AS (
			SELECT DISTINCT ON (version) version, action FROM migrate.journal
			WHERE project = 'default' AND outcome = 'success'
				AND action IN ('apply', 'rollback')
			ORDER BY version, run DESC, seq DESC
		), journalled AS (
			SELECT version FROM journal WHERE action = 'apply'
			EXCEPT TABLE repeatable
		)
		SELECT 'table without ledger row: ' || version FROM
			(TABLE tables EXCEPT TABLE ledger) x
		UNION ALL SELECT 'ledger row without table: ' || version FROM
			(TABLE ledger EXCEPT TABLE tables) x
		UNION ALL SELECT 'in the journal alone: ' || version FROM
			(TABLE journalled EXCEPT TABLE ledger) x
		UNION ALL SELECT 'not in the journal: ' || version FROM
			(TABLE ledger EXCEPT TABLE journalled) x
		UNION ALL SELECT 'state has ' || applied FROM migrate.state
			WHERE project = 'default'
				AND applied <> (SELECT count(*) FROM migrate.applied
					WHERE project = 'default')
		UNION ALL SELECT 'state says complete' FROM migrate.state
			WHERE project = 'default' AND complete
				AND EXISTS (SELECT version FROM migrate.migration
					WHERE project = 'default'
					EXCEPT SELECT version FROM migrate.applied)}),
		'',
		$name);
	return;
}

# The locks on extensions that are held, as "pid mode" lines.
sub locks_left
{
	my ($node, $db) = @_;
	return $node->safe_psql($db,
		q{SELECT pid || ' ' || mode FROM pg_locks
			WHERE locktype = 'object' AND classid = 'pg_extension'::regclass
				AND pid <> pg_backend_pid()});
}

# How much the server has logged, for log_since().
sub log_size
{
	my ($node) = @_;
	return -s $node->logfile;
}

# What the server has logged since then.
sub log_since
{
	my ($node, $offset) = @_;
	return slurp_file($node->logfile, $offset);
}

# The named blocks of a page of the documentation, by name: those that
# 010_documentation.pl leaves to the test that names them.
sub page_blocks
{
	my ($path) = @_;
	my $page = slurp_file("$FindBin::RealBin/../../$path");
	my %blocks = $page =~ /^```\w+ ([\w-]+)\n(.*?)^```$/msg;

	die "$path has no named blocks" if !%blocks;
	return %blocks;
}

1;
