# Whose text runs in whose session: what an ordinary role has stored must not run
# where it could become a superuser, whoever calls, in whatever mode, and however
# often the row has changed since the run began.
#
# Needs sessions of several roles at the same time, roles that come and go, and
# psql as the victim of a script.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Rights;
use Test::More;

start_server();

my $escalate = 'ALTER ROLE writer SUPERUSER';

# The superusers there are; the roles of the tests are made ordinary again.
sub superusers
{
	my $found = value('postgres',
		"string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolsuper AND rolname <> 'boss'");

	$node->safe_psql('postgres',
		join('', map { "ALTER ROLE $_ NOSUPERUSER;\n" } @Rights::roles));
	return $found;
}

# The flags of a migration, and whose its texts are.
sub trust
{
	my ($db, $version, $project) = @_;

	return value($db,
		"up_author, up_trusted, down_author, down_trusted, verify_author, verify_trusted FROM migrate.migration WHERE version = '$version' AND project = '$project'");
}

# ---------------------------------------------------------------------------
# What is read at one time and run at another
# ---------------------------------------------------------------------------

# A verify body is replaced while the one before it runs.
my $db = database('verify');
my $file = sub {
	my ($verify) = @_;
	return "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n-- migrate:verify\n$verify;\n";
};
my $load = sub {
	my ($second) = @_;
	return "SELECT * FROM migrate.load(jsonb_build_object('1_a.sql', \$f\$"
	  . $file->('SELECT pg_advisory_lock(1)')
	  . "\$f\$, '2_b.sql', \$f\$" . $file->($second) . "\$f\$), project => 'p');";
};
my $gate = session($super, $db);
allowed($super, $db, $load->('SELECT true'));
allowed($super, $db, "SELECT migrate.apply(project => 'p')");
$gate->query('SELECT pg_advisory_lock(1);');
my $victim = session($super, $db);
$victim->send("SELECT * FROM migrate.verify('p');");
ok($node->poll_query_until($db,
		q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)}),
	'verify(): the first body runs');
run('writer', $db, $load->("$escalate; SELECT true"));
$gate->query('SELECT pg_advisory_unlock(1);');
my (undef, $err) = $victim->answer;
is(superusers(), $super, 'verify(): a body that came meanwhile is not run') or diag($err);
like($err, qr/MG017/, 'verify(): but refused');
is(trust($db, '2', 'p'), "$super|t|$super|t|writer|f",
	'verify(): only the text that came has another author');
$_->close foreach $gate, $victim;

# A pending text of a later portion is replaced while the run waits for a lock.
$db = database('portions');
allowed($super, $db, <<'END');
CREATE TABLE public.busy (id int);
GRANT SELECT ON public.busy TO low;
SELECT migrate.add('1', 'ALTER TABLE busy ADD x int', project => 'p');
SELECT migrate.add('2', 'SELECT 1 -- ' || repeat('x', 2000000), project => 'p');
SELECT migrate.add('3', 'SELECT 1', project => 'p');
END
my $holder = session('low', $db);
$holder->query('BEGIN; SELECT * FROM public.busy;');
$victim = session($super, $db);
$victim->send("SET migrate.lock_timeout = '50ms'; SET migrate.lock_retries = 1000;\nCALL migrate.apply_each(project => 'p');");
ok($node->poll_query_until($db,
		q{SELECT EXISTS (SELECT FROM migrate.run WHERE project = 'p' AND outcome IS NULL)}),
	'apply_each(): the run has begun');
allowed('writer', $db, <<"END");
SET migrate.wait_timeout = '1min';
SELECT migrate.remove('3', project => 'p');
SELECT migrate.add('3', '$escalate', project => 'p');
END
$holder->query('ROLLBACK;');
(undef, $err) = $victim->answer;
is(superusers(), $super, 'apply_each(): a text that came meanwhile is not run') or diag($err);
like($err, qr/MG017|40001/, 'apply_each(): but refused');
is( value($db, "count(*) FROM migrate.applied WHERE project = 'p' AND version = '3'"),
	'0',
	'apply_each(): nor recorded');
$_->close foreach $holder, $victim;

# ---------------------------------------------------------------------------
# Who may become a superuser
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', <<'END');
CREATE ROLE boss SUPERUSER;
CREATE ROLE staff;
GRANT boss TO staff;
CREATE ROLE dba LOGIN NOINHERIT;
GRANT staff TO dba;
CREATE ROLE runs_programs LOGIN;
GRANT pg_execute_server_program TO runs_programs;
CREATE ROLE writes_files LOGIN;
GRANT pg_write_server_files TO writes_files;
CREATE ROLE reads_files LOGIN;
GRANT pg_read_server_files TO reads_files;
GRANT writer TO dba;
END
$db = database('members');
my @members = qw(dba runs_programs writes_files);
allowed($super, $db, <<"END");
CREATE SCHEMA proof; CREATE SEQUENCE proof.taken;
GRANT USAGE ON SCHEMA proof TO PUBLIC; GRANT UPDATE ON SEQUENCE proof.taken TO PUBLIC;
CREATE TABLE proof.inserted (id int); GRANT INSERT ON proof.inserted TO PUBLIC;
CREATE FUNCTION proof.leaves() RETURNS trigger LANGUAGE plpgsql AS
	\$\$ BEGIN RESET ROLE; PERFORM nextval('proof.taken'); RETURN NEW; END \$\$;
CREATE TRIGGER leaves BEFORE INSERT ON proof.inserted FOR EACH ROW EXECUTE FUNCTION proof.leaves();
END
allowed('owner', $db,
	join('', map { "SELECT migrate.grant('run', '$_');\n" } @members, 'writer', 'reads_files'));

my $proof = "SELECT pg_catalog.nextval('proof.taken')";
my %escapes = (
	'plain' => $proof,
	'SET ROLE' => "SET ROLE \"$super\"; $proof",
	'RESET ROLE' => "RESET ROLE; $proof",
	'set_config' => "SELECT set_config('role', 'none', false); $proof",
	'a trigger of the application' => 'INSERT INTO proof.inserted VALUES (1)');
my @forward = (
	'SELECT migrate.apply(%s);', 'SELECT migrate.apply(dry_run => true, %s);',
	'SELECT migrate.apply(raise => false, %s);', 'CALL migrate.apply_each(%s);',
	'SELECT migrate.rehearse(%s);');
my @backward = (
	'SELECT migrate.rollback(%s);', "SELECT migrate.rollback_to('base', %s);",
	'CALL migrate.rollback_each(%s);', 'SELECT migrate.redo(%s);',
	'SELECT migrate.rehearse_rollback(%s);', 'SELECT migrate.verify(%s);');

# every call of a session, in a mode, over a project
sub all_refused
{
	my ($role, $before, $project, @calls) = @_;

	foreach my $call (@calls)
	{
		my (undef, undef, $message) = run($role, $db,
			$before . ($call =~ s/%s/project => '$project'/r), on_error_stop => 0);
		like($message, qr/MG017/, "$role: $before$call")
	}
	return;
}

my $number = 0;
foreach my $name (sort keys %escapes)
{
	my $body = $escapes{$name};
	my ($up, $down) = map { $_ . ++$number } 'up', 'down';

	allowed('writer', $db,
		"SELECT migrate.add('1', \$b\$$body\$b\$, \$b\$$body\$b\$, verify => \$b\$$body\$b\$, project => '$up')");
	allowed('writer', $db,
		"SELECT migrate.add('1', 'SELECT 1', \$b\$$body\$b\$, verify => \$b\$$body\$b\$, project => '$down')");
	allowed($super, $db, "SELECT migrate.stamp('1', project => '$down')");
	foreach my $member (@members)
	{
		all_refused($member, '', $up, @forward);
		all_refused($member, '', $down, @backward);
	}
	foreach my $session ([ 'dba', 'SET ROLE writer; ' ], [ $super, 'SET ROLE writer; ' ],
		[ $super, 'SET SESSION AUTHORIZATION writer; ' ])
	{
		all_refused(@$session, $up, @forward);
		all_refused(@$session, $down, @backward);
	}
}
is(value($db, 'is_called FROM proof.taken'), 'f', 'nothing of all that has run');

# start() runs as the current role; what that may become is asked again there.
allowed('writer', $db,
	"SELECT migrate.add('1', 'CREATE TABLE own_writer.made (i int)', 'DROP TABLE own_writer.made', project => 'start')");
foreach my $role ($super, 'dba')
{
	my (undef, undef, $message) = run($role, $db, <<'END');
SELECT migrate.start(project => 'start') AS run \gset
CALL migrate.wait(:run);
END
	like($message, qr/MG017/, "$role: a run in the background is refused as well");
}
allowed('dba', $db, <<'END');
SET ROLE writer;
SELECT migrate.start(project => 'start') AS run \gset
CALL migrate.wait(:run);
END
is( value($db, "applied_by FROM migrate.applied WHERE project = 'start'"),
	'writer', 'and is the way out after SET ROLE');
allowed('writer', $db, "SELECT migrate.add('2', 'SELECT 1', 'SELECT 1', project => 'start')");
allowed('reads_files', $db, "SELECT migrate.apply(project => 'start')");
allowed($super, $db, <<'END');
SET migrate.trust_authors = on;
SELECT migrate.rollback(2, project => 'start');
END
foreach my $role (@members, 'owner')
{
	refused($role, $db, 'SELECT migrate.version(); SET migrate.trust_authors = on;',
		qr/42501: permission denied to set parameter/, 'only a superuser can trust all');
}

# ---------------------------------------------------------------------------
# The flag
# ---------------------------------------------------------------------------

$db = database('flags');
allowed('owner', $db, "SELECT migrate.grant('repair', 'writer')");
allowed('writer', $db, <<"END");
SELECT migrate.add('1', '$escalate', '$escalate', verify => '$escalate', project => 'p',
	author => '$super', provenance => '{"up_trusted": true, "down_trusted": true, "up_author": "$super"}');
END
is(trust($db, '1', 'p'), 'writer|f|writer|f|writer|f', 'only a superuser is believed: add()');
allowed('owner', $db, <<"END");
INSERT INTO migrate.migration (project, version, up, down, up_author, up_trusted, down_author, down_trusted)
	VALUES ('p', '2', '$escalate', '$escalate', '$super', true, '$super', true);
END
is(trust($db, '2', 'p'), 'owner|f|owner|f||f', 'only a superuser is believed: INSERT');
allowed($super, $db, <<"END");
SELECT migrate.add('3', 'SELECT 1', 'SELECT 1', verify => 'SELECT true', project => 'p');
SELECT migrate.add('4', 'SELECT 1', 'SELECT 1', project => 'p', author => '$super');
SELECT migrate.add('5', 'SELECT 1', 'SELECT 1', project => 'p', provenance => '{"up_author": "writer", "up_trusted": true}');
INSERT INTO migrate.migration (project, version, up, down) VALUES ('p', '6', 'SELECT 1', 'SELECT 1');
INSERT INTO migrate.migration (project, version, up, down, up_author, up_trusted)
	VALUES ('p', '7', 'SELECT 1', 'SELECT 1', '$super', false);
INSERT INTO migrate.migration (project, version, up, added_by) VALUES ('p', '8', 'SELECT 1', '$super');
END
is(trust($db, '3', 'p'), "$super|t|$super|t|$super|t", "a superuser's own texts are trusted");
is(trust($db, '4', 'p'), "$super|f|$super|f||f", 'a name alone is not, not even his own');
is(trust($db, '5', 'p'), 'writer|t||f||f', 'what he says is, and no more');
is(trust($db, '6', 'p'), "$super|t|$super|t||f", 'by INSERT too');
is(trust($db, '7', 'p'), "$super|f|$super|t||f", 'unless he says otherwise');
is(trust($db, '8', 'p'), "$super|f||f||f", 'what is not said is not assumed');

allowed($super, $db, "SELECT migrate.stamp('3', project => 'p')");
allowed('writer', $db, "SELECT migrate.amend('3', down => '$escalate', project => 'p')");
is(trust($db, '3', 'p'), "$super|t|writer|f|$super|t", 'who replaces a text takes the trust from that one');
foreach my $call ("rollback(versions => '{3}', project => 'p')", "redo(1, project => 'p')")
{
	refused($super, $db, "SELECT migrate.$call", qr/MG017/, "a down body of his is refused: $call");
}
allowed($super, $db, "SELECT migrate.amend('3', verify => 'SELECT 1', project => 'p')");
is(trust($db, '3', 'p'), "$super|t|writer|f|$super|t", 'and who replaces another one does not give it back');
allowed($super, $db,
	"UPDATE migrate.migration SET down = 'SELECT 2', held_reason = 'x' WHERE version = '5' AND project = 'p'");
is(trust($db, '5', 'p'), "writer|t|$super|t||f", 'an UPDATE is about the text that it changes');
allowed('writer', $db,
	"SELECT migrate.unhold('5', project => 'p'), migrate.hold('5', 'x', project => 'p')");
is(trust($db, '5', 'p'), "writer|t|$super|t||f", 'what changes no text changes no trust');

# Who calls a SECURITY DEFINER function of a superuser is none, but who has
# become one by SET ROLE is.
allowed($super, $db, <<'END');
CREATE FUNCTION public.add(version text, up text) RETURNS text SECURITY DEFINER
	LANGUAGE sql AS $$ SELECT migrate.add($1, $2, project => 'p') $$;
END
allowed('low', $db, "SELECT public.add('9', '$escalate')");
is(trust($db, '9', 'p'), "$super|f||f||f", 'a function of a superuser gives no trust away');
allowed('dba', $db, "SET ROLE boss; SELECT migrate.add('10', 'SELECT 1', project => 'p')");
is(trust($db, '10', 'p'), 'boss|t||f||f', 'a member who has become a superuser is one');

# The rest of a migration that stands half-way
allowed($super, $db, <<'END');
CREATE TABLE public.half (id int); INSERT INTO public.half VALUES (1), (1);
SELECT migrate.add('1', 'CREATE INDEX CONCURRENTLY half_1 ON half (id);
CREATE UNIQUE INDEX CONCURRENTLY half_2 ON half (id)', project => 'half');
END
my (undef, undef, $message) = run($super, $db, "CALL migrate.apply_each(project => 'half')");
like($message, qr/23505/, 'a migration stands half-way');
allowed('writer', $db,
	"SELECT migrate.amend('1', 'CREATE INDEX CONCURRENTLY half_1 ON half (id);\n$escalate', project => 'half')");
run($super, $db, "SELECT migrate.resume('1', done => 1, project => 'half')");
refused($super, $db, "CALL migrate.apply_each(project => 'half')", qr/MG017/,
	'its rest, which somebody else has replaced, is refused');
is(superusers(), $super, 'nobody has become a superuser');

# ---------------------------------------------------------------------------
# A text that stays, and is to be run in another way
# ---------------------------------------------------------------------------

$db = database('ways');
my $diesel = sub {
	my ($metadata) = @_;
	return q{SELECT * FROM migrate.load(jsonb_build_object('1_x/up.sql', 'CREATE TABLE s (i int); SELECT 1/0',
		'1_x/down.sql', 'DROP TABLE s'} . $metadata . q{), 'diesel', project => 'p')};
};
allowed($super, $db, $diesel->(''));
allowed('writer', $db, $diesel->(q{, '1_x/metadata.toml', 'run_in_transaction = false'}));
is(trust($db, '1', 'p'), 'writer|f|writer|f||f',
	'who says that it is to be run without a transaction answers for it');
refused($super, $db, "CALL migrate.apply_each(project => 'p')", qr/MG017/, 'and it is not run');
is(value($db, "to_regclass('public.s') IS NULL"), 't', 'nor is a half of it');
allowed($super, $db, 'GRANT UPDATE ON migrate.migration TO owner');
my $ways = 0;
foreach my $change ('transactional = false', 'transactional = true', "kind = 'repeatable'",
	"requires = '{base}'", "version = 'z' || version", "project = 'z'")
{
	my $project = 'way' . ++$ways;
	my $where = "WHERE up = 'SELECT ''$project'''";
	my $authors = "concat_ws(' ', up_author, up_trusted, down_trusted) FROM migrate.migration $where";

	allowed($super, $db, "SELECT migrate.add('$ways', 'SELECT ''$project''', 'SELECT 2', project => '$project')");
	allowed('owner', $db, "UPDATE migrate.migration SET $change $where");
	is(value($db, $authors), 'owner f f', "$change: who has changed that answers for it");
	allowed($super, $db, "UPDATE migrate.migration SET transactional = NOT coalesce(transactional, false) $where");
	is(value($db, $authors), 'owner f f', 'a superuser who changes it does not make it his text');
	allowed($super, $db, "SELECT migrate.add('s', 'SELECT ''s''', project => '$project')");
	allowed('owner', $db, "UPDATE migrate.migration SET name = 'y' WHERE version = 's' AND project = '$project'");
	is(trust($db, 's', $project), "$super|t||f||f", 'a name decides nothing');
}

# ---------------------------------------------------------------------------
# A script in another database, and a name that somebody else bears by now
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', 'CREATE ROLE bob LOGIN');
$db = database('source');
allowed('owner', $db, "SELECT migrate.grant('write', 'bob')");
allowed('bob', $db,
	"SELECT migrate.add('1', 'SELECT 1', '$escalate', verify => 'SELECT true', project => 'p')");
allowed($super, $db, "SELECT migrate.add('1', 'SELECT 1', 'SELECT 2', project => 'q')");
allowed('owner', $db, "SELECT migrate.revoke('write', 'bob'); SELECT migrate.revoke('look', 'bob')");
$node->safe_psql('postgres', 'DROP ROLE bob; CREATE ROLE bob LOGIN SUPERUSER');
refused('bob', $db, "SELECT migrate.apply(project => 'p')", qr/MG017/,
	'a role of the same name is another role');
my %script = map {
	$_ => allowed($super, $db, "SELECT migrate.script(project => '$_')")
} qw(p q);

my $target = database('target');
my $status;
($status, undef, $message) = run('bob', $target, $script{p});
like($message, qr/MG017/, 'nor does a script make it the author');
is(trust($target, '1', 'p'), 'bob|f|bob|f|bob|f', 'the author travels, the trust that was not there does not');
allowed('bob', $target, "SET migrate.trust_authors = on;\n$script{p}");
foreach my $call ('rollback', 'redo', 'verify')
{
	refused('bob', $target, "SELECT migrate.$call(project => 'p')", qr/MG017/,
		"having run a script is not to answer for what it has not run: $call()");
}
allowed($super, $target, $script{q});
is(trust($target, '1', 'q'), "$super|t|$super|t||f", 'what is trusted there is trusted where a superuser runs the script');
$target = database('target_of_owner');
allowed('owner', $target, $script{q});
is(trust($target, '1', 'q'), 'owner|f|owner|f||f', 'and not where the owner does');
is( value('postgres',
		"string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolsuper"),
	join(' ', sort('bob', 'boss', $super)),
	'there are no superusers but those that were made');

stop_server();
done_testing();
