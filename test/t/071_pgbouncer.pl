# pgbouncer itself, pooling transactions: apply() and apply_each() work through
# it, and however a call ends, the next client on the same server connection
# finds nothing of it: no lock, no setting, no name.
#
# Needs a pooler, which nothing but a process of its own can be.
#
# Packages: pgbouncer

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $timeout = $PostgreSQL::Test::Utils::timeout_default;

# ---------------------------------------------------------------------------
# Server and pooler
# ---------------------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
migrate.failure_quiet = 0
# bodies wait at a gate until the test opens it
migrate.lock_timeout = 0
# nobody waits ten minutes for somebody who has gone wrong
migrate.wait_timeout = 1min
});
$node->start;
owner_database($node, 'app');

# "one" is the database app through one server connection, "two" through two
my $pooler_dir = PostgreSQL::Test::Utils::tempdir_short();
my $pooler_port = 6432;
append_to_file("$pooler_dir/users", qq{"app" ""\n});
append_to_file("$pooler_dir/ini", <<"END");
[databases]
one = host=${\$node->host} port=${\$node->port} dbname=app pool_size=1
two = host=${\$node->host} port=${\$node->port} dbname=app pool_size=2
[pgbouncer]
listen_addr =
listen_port = $pooler_port
unix_socket_dir = $pooler_dir
auth_type = trust
auth_file = $pooler_dir/users
pool_mode = transaction
logfile = $pooler_dir/log
END
my $pooler = IPC::Run::start([ 'pgbouncer', '-q', "$pooler_dir/ini" ],
	'<', \undef, '>&', "$pooler_dir/output");

END
{
	my $status = $?;
	$pooler->kill_kill if $pooler;
	$? = $status;
}

# psql's command for a client of the pooler.
sub client
{
	my ($db) = @_;
	return (
		$node->installed_command('psql'), '-XAtq',
		'-v', 'ON_ERROR_STOP=1',
		'-v', 'VERBOSITY=verbose',
		'-d', "host=$pooler_dir port=$pooler_port dbname=$db user=app"
		  . " application_name='next client'");
}

# Start a client that runs this.
sub start_client
{
	my ($db, $sql) = @_;
	my $client = { sql => "$sql\n;\n", out => '', err => '' };

	$client->{run} = IPC::Run::start(
		[ client($db) ], '<', \$client->{sql}, '>', \$client->{out},
		'2>', \$client->{err}, IPC::Run::timeout($timeout));
	$client->{run}->pump_nb while length $client->{sql};
	return $client;
}

# Its exit status, output and messages.
sub finish_client
{
	my ($client) = @_;
	$client->{run}->finish;
	return ($client->{run}->full_result(0) >> 8, $client->{out}, $client->{err});
}

sub through
{
	my ($sql) = @_;
	return finish_client(start_client('one', $sql));
}

sub wait_for_pooler
{
	my $end = time + $timeout;

	# a psql that cannot connect may be gone before it is told anything
	while (!eval { (through('SELECT 1'))[0] == 0 })
	{
		die 'pgbouncer does not answer: '
		  . slurp_file("$pooler_dir/output")
		  if time > $end || !$pooler->pumpable;
		usleep(50_000);
	}
	return;
}

# ---------------------------------------------------------------------------
# What a client finds on its server connection
# ---------------------------------------------------------------------------

# Everything that a session can leave to the next one, after the process that
# it is left in.
my $surroundings = q{
	SELECT pg_backend_pid();
	SELECT 'lock', mode, classid, objid, objsubid FROM pg_locks
		WHERE pid = pg_backend_pid() AND locktype IN ('object', 'advisory');
	SELECT 'name', application_name FROM pg_stat_activity
		WHERE pid = pg_backend_pid();
	SELECT 'setting', name, setting FROM pg_settings
		WHERE source = 'session' OR name IN ('search_path', 'role', 'is_superuser')
		ORDER BY name;
	SELECT 'prepared', name FROM pg_prepared_statements;
	SELECT 'cursor', name FROM pg_cursors WHERE name NOT IN ('', 'C_1');
	SELECT 'channel', pg_listening_channels();
	SELECT 'temporary', relname FROM pg_class WHERE pg_my_temp_schema() = relnamespace;
};
my ($pid, $clean);

# Forget the server connection that was looked at before.
sub look
{
	my ($status, $out, $err) = through("BEGIN;$surroundings;COMMIT");

	die "cannot look: $err" if $status != 0;
	return split /\n/, $out, 2;
}

# The next client is on the same server connection, or on a new one.
sub check_next
{
	my ($name, %opt) = @_;
	my ($next_pid, $next) = look();

	if ($opt{new}) { isnt($next_pid, $pid, "$name: the server connection is gone") }
	else { is($next_pid, $pid, "$name: the next client has the same connection") }
	is($next, $clean, "$name: ... and finds nothing on it");
	$pid = $next_pid;
	return;
}

# ---------------------------------------------------------------------------
# Migrations
# ---------------------------------------------------------------------------

my $last = 0;

# Store the next migration of a project; "%" in its text is its version.
sub add
{
	my ($project, $up) = @_;
	my $version = sprintf '%03d', ++$last;

	$up =~ s/%/$version/g;
	query($node, 'app', 'app',
		    "SELECT migrate.add('$version', "
		  . quote($up)
		  . ", 'SELECT 1', project => '$project')");
	return $version;
}

sub applied
{
	my ($project) = @_;
	return query($node, 'app', 'app', qq{
		SELECT string_agg(version, ' ' ORDER BY version) FROM migrate.applied
		WHERE project = '$project'});
}

# A body that waits until the gate is opened.
my $gate_key = 71;
my $at_the_gate = "SELECT pg_advisory_xact_lock($gate_key)";

# Close the gate; quit the session that this returns to open it.
sub close_gate
{
	my $gate = session($node, 'app', 'app');

	ask($gate, "SELECT pg_advisory_lock($gate_key)");
	return $gate;
}

sub wait_at_gate
{
	$node->poll_query_until('app', qq{
		SELECT count(*) = 1 FROM pg_locks
		WHERE locktype = 'advisory' AND objid = $gate_key AND NOT granted})
	  or die 'nobody waits at the gate';
	return;
}

# Both ways to run a project, as SQL.
my %calls = (
	'apply()' => sub { "SELECT version FROM migrate.apply(project => '$_[0]')" },
	'apply_each()' => sub { "CALL migrate.apply_each(project => '$_[0]')" });

# How many of three migrations are applied when the client is gone during the
# second.  apply() has nothing to say before its end; apply_each() says that the
# second is done, and nobody hears it.
my %without_client = ('apply()' => 3, 'apply_each()' => 2);

# ---------------------------------------------------------------------------
# Each way that a call can end
# ---------------------------------------------------------------------------

sub check_success
{
	my ($name, $call) = @_;
	my $project = "success of $name";
	my @versions = map { add($project, $_) } (
		'CREATE TABLE t_% (id int)',
		"SET search_path = pg_catalog; SET lock_timeout = '7s'; SET work_mem = '7MB'");

	push @versions, add($project,
		"SET work_mem = '7MB'; CREATE INDEX CONCURRENTLY ON public.migrated (id)")
	  if $name eq 'apply_each()';
	my ($status, undef, $err) = through($call->($project));
	is($status, 0, "$name: succeeds") or diag $err;
	is(applied($project), "@versions", "$name: everything is applied");
	check_next("after $name");
	is((through($call->($project)))[0], 0, "$name with nothing to do: succeeds");
	check_next("after $name with nothing to do");
	return;
}

sub check_failure
{
	my ($name, $call) = @_;
	my $project = "failure of $name";
	my $first = add($project, 'CREATE TABLE t_% (id int)');

	add($project, "SET search_path = pg_catalog; SET work_mem = '7MB'; SELECT 1 / 0");
	my ($status, undef, $err) = through($call->($project));
	is($status, 3, "$name that fails: has failed");
	like($err, qr/ERROR:  22012: division by zero/, "$name that fails: says why");
	is(applied($project), $name eq 'apply()' ? '' : $first,
		"$name that fails: what stays");
	check_next("after $name that fails");
	return;
}

# psql sends a cancel request when it is interrupted, which the pooler passes on.
sub check_cancel
{
	my ($name, $call) = @_;
	my $project = "cancel of $name";
	my $gate = close_gate();
	my $client;

	add($project, 'CREATE TABLE t_% (id int)');
	add($project, $at_the_gate);
	$client = start_client('one', $call->($project));
	wait_at_gate();
	$client->{run}->signal('INT');
	my (undef, undef, $err) = finish_client($client);
	like($err, qr/ERROR:  57014: canceling statement due to user request/,
		"$name that is canceled: says so");
	check_next("after $name that is canceled");
	$gate->quit;
	return;
}

# The pooler closes the server connection, whose process notices that when it
# has something to say, which is before a body that does more than make a table.
sub check_disconnect
{
	my ($name, $call) = @_;
	my $project = "disconnect of $name";
	my $gate = close_gate();
	my @versions = map { add($project, $_) }
	  ('CREATE TABLE t_% (id int)', $at_the_gate, 'CREATE TABLE t_% AS SELECT 1 AS id');
	my $client = start_client('one', $call->($project));

	wait_at_gate();
	my $old_pid = $pid;
	$client->{run}->signal('KILL');
	$client->{run}->finish;
	check_next("after a client is gone in the middle of $name", new => 1);
	$gate->quit;
	$node->poll_query_until('app',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $old_pid")
	  or die "process $old_pid does not end";
	is(applied($project), "@versions[ 0 .. $without_client{$name} - 1 ]",
		"$name without its client: what is applied");
	is(locks_left($node, 'app'), '', "$name without its client: no lock is left");
	is((through($call->($project)))[0], 0, "$name without its client: can be called again");
	is(applied($project), "@versions", "$name without its client: everything is applied");
	check_next("after $name is called again");
	return;
}

sub check_refusal
{
	my $project = 'refusal';

	add($project, 'CREATE TABLE t_% (id int)');
	my (undef, undef, $err) = through(
		"\\set ON_ERROR_STOP off\nBEGIN;\n"
		  . $calls{'apply_each()'}->($project)
		  . ";\nROLLBACK");
	like($err, qr/ERROR:  2D000:/, 'apply_each() in a transaction: is refused');
	is(applied($project), '', 'apply_each() in a transaction: nothing is applied');
	check_next('after apply_each() in a transaction');
	return;
}

# The same for a statement that cannot run in a transaction block: it fails, is
# canceled while it waits for somebody, and loses its client.
sub check_steps
{
	my $call = $calls{'apply_each()'};
	my $index = "SET work_mem = '7MB'; CREATE UNIQUE INDEX CONCURRENTLY ON public.twice (id)";

	query($node, 'app', 'app', 'CREATE TABLE twice AS SELECT 1 AS id FROM generate_series(1, 2)');
	my $version = add('index', $index);
	my (undef, undef, $err) = through($call->('index'));
	like($err, qr/ERROR:  23505: /, 'an index that fails: says why');
	check_next('after an index that fails');

	query($node, 'app', 'app', 'TRUNCATE twice');
	my $blocker = session($node, 'app', 'app');
	ask($blocker, 'BEGIN; LOCK TABLE twice IN ROW EXCLUSIVE MODE');
	my $client = start_client('one', $call->('index'));
	is_waiting($node, $pid) or die 'the index does not wait';
	$client->{run}->signal('INT');
	(undef, undef, $err) = finish_client($client);
	like($err, qr/ERROR:  57014: /, 'an index that is canceled: says so');
	check_next('after an index that is canceled');

	my $old_pid = $pid;
	$client = start_client('one', $call->('index'));
	is_waiting($node, $pid) or die 'the index does not wait';
	$client->{run}->signal('KILL');
	$client->{run}->finish;
	check_next('after a client is gone while an index is built', new => 1);
	$blocker->quit;
	$node->poll_query_until('app',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $old_pid")
	  or die "process $old_pid does not end";
	is((through($call->('index')))[0], 0, 'an index without its client: can be called again');
	is(applied('index'), $version, 'an index without its client: is applied');
	is(query($node, 'app', 'app',
			q{SELECT string_agg(indisvalid::text, ' ') FROM pg_index WHERE indrelid = 'twice'::regclass}),
		'true', 'an index without its client: there is one, and it is valid');
	check_next('after an index is built by the next call');
	return;
}

# More clients than server connections; each of them finds everything applied.
sub check_crowd
{
	my ($name, $call) = @_;
	my $project = "crowd of $name";
	my @versions = map { add($project, 'CREATE TABLE t_% (id int)') } 1 .. 5;
	my @clients = map { start_client('two', $call->($project)) } 1 .. 8;
	my @ends = map { [ finish_client($_) ] } @clients;

	is(join(' ', map { $_->[0] } @ends), '0 0 0 0 0 0 0 0',
		"$name by a crowd: all succeed")
	  or diag map { $_->[2] } @ends;
	is(applied($project), "@versions", "$name by a crowd: everything is applied");
	is(query($node, 'app', 'app', qq{
			SELECT count(*) || ' ' || count(DISTINCT run) FROM migrate.journal
			WHERE project = '$project'}),
		'5 1', "$name by a crowd: once, by one of them");
	is(locks_left($node, 'app'), '', "$name by a crowd: no lock is left");
	return;
}

# pgbench parses, binds and executes, with the project as a parameter.
sub check_extended
{
	my ($name, $call) = @_;
	my $project = 'extended' . ($name =~ s/\W//gr);
	my $version = add($project, 'CREATE TABLE t_% (id int)');
	my $script = "$pooler_dir/script";

	unlink $script;
	append_to_file($script, $call->('') =~ s/''/:project/r);
	my ($out, $err) = run_command(
		[
			$node->installed_command('pgbench'), '-n', '-t', '2',
			'-M', 'extended', '-D', "project=$project", '-f', $script,
			'-h', $pooler_dir, '-p', $pooler_port, '-U', 'app', 'one'
		]);
	like($out, qr{actually processed: 2/2}, "$name with a parameter: runs") or diag $err;
	is(applied($project), $version, "$name with a parameter: it is applied");
	check_next("after $name with a parameter");
	return;
}

wait_for_pooler();
query($node, 'app', 'app', 'CREATE TABLE public.migrated (id int)');
($pid, $clean) = look();
like($clean, qr/^name\|next client$/m, 'a client has its own name');
unlike($clean, qr/^lock/m, 'a client has no lock');
foreach my $name (sort keys %calls)
{
	my $call = $calls{$name};

	check_success($name, $call);
	check_failure($name, $call);
	check_cancel($name, $call);
	check_disconnect($name, $call);
	check_crowd($name, $call);
	check_extended($name, $call);
}
check_steps();
check_refusal();
# ---------------------------------------------------------------------------
# pg_migrate
# ---------------------------------------------------------------------------

my $files = PostgreSQL::Test::Utils::tempdir();
my $number = 990000;
my $interval = (through('SHOW client_connection_check_interval'))[1];
foreach my $mode ([], ['--one-transaction'])
{
	foreach my $case ([ 'SELECT 1;', 0 ], [ 'SELECT 1/0;', 3 ])
	{
		my ($text, $expected) = @$case;
		my $name = "pg_migrate up @$mode, $text";

		through('SELECT migrate.remove(version) FROM migrate.status() WHERE applied_at IS NULL');
		unlink glob "$files/*";
		append_to_file("$files/" . ++$number . '_x.sql', "SELECT $number;\n$text\n");
		my ($out, $err) = ('', '');
		IPC::Run::run([
				'sh', "$FindBin::RealBin/../../bin/pg_migrate", 'up', '--dir', $files, @$mode,
				'--convention', 'plain', '-d', "host=$pooler_dir port=$pooler_port dbname=one user=app"
			], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout($timeout));
		is($? >> 8, $expected, "$name: status") or diag("$out$err");
		is((through('SHOW client_connection_check_interval'))[1], $interval, "$name: the next client has its own setting");
	}
}

done_testing();
