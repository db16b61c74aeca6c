# bin/pg_migrate: what each command does, prints and ends with, for people and for
# programs; that nothing of a body reaches a terminal or psql's parser by way of
# it; where it is installed, and what completes its commands.
#
# Needs a server of its own, runs in the background, and a terminal.
#
# Packages: libio-pty-perl man:man-db zsh fish

use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use FindBin;
use IPC::Run;
use JSON::PP;
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
delete @ENV{qw(PGAPPNAME PGPASSWORD PGSERVICE PGOPTIONS DATABASE_URL MIGRATE_DIR NO_COLOR PAGER)};
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'shop';
$ENV{TMPDIR} = "$work/tmp";
make_path($ENV{TMPDIR}, "$work/shop");
chdir "$work/shop" or die $!;

my ($status, $out, $err);
my $spoken = 0;

sub run_client
{
	my (@args) = @_;

	IPC::Run::run([ 'sh', $client, @args ], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout($timeout));
	$status = $? >> 8;
	return $out;
}

# The same, with the exit status that is expected
sub expect
{
	my ($expected, @args) = @_;

	run_client(@args);
	is($status, $expected, "@args: status") or diag "$out$err";
	is((grep { length > 100 } split /\n/, $out), 0, "@args: in 100 columns")
	  unless "@args" =~ /^(?:report|script)|--json|--sql/;
	return $out;
}

sub json
{
	my ($expected, @args) = @_;

	expect($expected, @args, '--json');
	my $value = eval { decode_json($out) };
	ok(defined $value, "@args: prints JSON") or diag $out;
	return $value;
}

sub write_file
{
	my ($path, $content) = @_;

	unlink "migrations/$path";
	append_to_file("migrations/$path", $content);
	return;
}

sub query { return $node->safe_psql('shop', @_) }

# ---------------------------------------------------------------------------
# A new database
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', 'CREATE DATABASE shop');
like(expect(0, 'version'), qr/^pg_migrate [0-9.]+\nextension "migrate" is not in database "shop"$/m, 'no extension yet');
expect(3, 'status');
like($err, qr/no extension "migrate" in database "shop"\n.*pg_migrate init/, 'and the way out');
my @starts = map {
	my $h = { out => '', err => '' };
	$h->{run} = IPC::Run::start([ 'sh', $client, 'init' ], '<', \undef, '>', \$h->{out}, '2>', \$h->{err},
		IPC::Run::timeout($timeout));
	$h
} 1 .. 8;
$_->{run}->finish foreach @starts;
is(join(' ', map { $_->{run}->full_result(0) } @starts), '0 0 0 0 0 0 0 0', 'eight create it at once')
  or diag map { $_->{err} } @starts;
like(expect(0, 'init'), qr/is there already in database "shop"/, 'once more');
like(expect(0, 'status'), qr/^no migrations are loaded$/m, 'nothing is there');
is_deeply(json(0, 'status'), [], 'nor in JSON');
expect(1, 'up');
like($err, qr/"migrations" is not a directory/, 'without a directory there is nothing to load');
like(expect(0, 'plan'), qr/^nothing to apply$/m, 'but what is loaded can be looked at');

# ---------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------

is(expect(0, 'new', 'create users'), "migrations/001_create_users.sql\n", 'the first file makes the directory');
my $escape = "\e[31m\b\x07";
write_file('001_create_users.sql', "-- migrate:up\nCREATE TABLE users (id int); -- $escape \\! touch $work/pwned\n-- migrate:down\nDROP TABLE users;\n");
write_file('002_add.sql', "-- migrate:up\nALTER TABLE users ADD a int; ALTER TABLE users ADD b int;\n-- migrate:down\nALTER TABLE users DROP a, DROP b;\n");
like(expect(0, 'plan'), qr/^ 001 .*\n 002 .*\n\n2 migrations$/m, 'plan');
is(join(' ', map { $_->{version} } @{ json(0, 'plan') }), '001 002', 'plan in JSON');
like(expect(0, 'plan', '001'), qr/^1 migration$/m, 'plan up to a version');
like(expect(0, 'plan', '--sql'), qr/^-- 001 create_users 001_create_users\.sql\nCREATE TABLE users \(id int\);.*\n.*ALTER TABLE users ADD a int/ms,
	'plan --sql');
unlike($out, qr/[\x00-\x08\x0b-\x1f\x7f]/, 'no control character of a body is printed');
append_to_file("$work/plan.sql", "SELECT 'psql went on';\n$out\n\\! touch $work/pwned\nSELECT 'psql went on';\n");
IPC::Run::run([ 'psql', '-X', '-A', '-t', '-f', "$work/plan.sql" ], '>', \my $read, '2>', \my $errors);
is($read, "psql went on\n", 'psql stops at its first line');
ok(!-e "$work/pwned", 'and runs nothing of it');
is(query('SELECT count(*) FROM migrate.migration'), 0, 'none of these has stored anything');
like(expect(0, 'lint'), qr/^\d+ errors, \d+ warnings, \d+ notes$/m, 'lint');
like(expect(0, 'rehearse'), qr/^ 001 .* ok .*\n 002 .* ok /m, 'rehearse');
like(expect(0, 'rehearse', '--statements'), qr/^ 001 .* CREATE TABLE .*\n 002 .* ALTER TABLE .*\n 002 .* ALTER TABLE /m, 'rehearse --statements');
is(scalar(@{ json(0, 'rehearse', '--statements') }), 3, 'rehearse in JSON');
is(query(q{SELECT to_regclass('users') IS NULL}), 't', 'is rolled back');
like(expect(0, 'report'), qr/2 pending/, 'report');
like(expect(0, 'report', '--rehearse', '--html'), qr/<html.*002/s, 'report as a page');
is(ref(json(0, 'report')), 'HASH', 'report in JSON');

# ---------------------------------------------------------------------------
# Up and down
# ---------------------------------------------------------------------------

expect(4, 'check');
like($err, qr/project "default" has no migrations/, 'check: nothing is loaded');
is(expect(0, 'up', '001') =~ s/[0-9.]+ ms/N ms/gr, <<'END', 'up to a version');
added      001 create_users  001_create_users.sql
added      002 add  002_add.sql
loaded 2 files: 2 added
applying "001" create_users (1 of 1)
applied "001" create_users (1 of 1, N ms)
run 1 took N ms
END
expect(4, 'check');
like($err, qr/Pending: "002"/, 'check says what is missing');
my $check = json(4, 'check');
is($check->{migrations}[0]{version}, '002', 'in JSON as well');
expect(0, 'check', '001');
my $done = json(0, 'up', '--one-transaction', '--note', 'a ticket');
is_deeply([ $done->{done}, $done->{run}, map { @$_{qw(version action outcome)} } @{ $done->{migrations} } ],
	[ JSON::PP::true, 2, '002', 'apply', 'success' ], 'up in JSON') or diag $out;
# with nothing to do nothing is sent, and whatever is different is noticed
my $nothing = qq{loaded: all files are unchanged\nnothing to apply: 2 applied, newest "002"\n};
is(expect(0, 'up'), $nothing, 'nothing to do');
is(expect(0, 'up', '--note', 'x'), $nothing, 'nor with a note');
like(expect(0, 'up', '002'), qr/^loaded 2 files: 2 unchanged\nnothing to apply/m, 'a version is looked for');
expect(3, 'up', '099');
like($err, qr/^ERROR:  migration "099" does not exist$/m, '... and one that is not there is an error');
is_deeply(json(0, 'up'), { done => JSON::PP::true, loaded => [], run => undef, migrations => [], error => undef }, 'nor in JSON');
like(expect(0, 'up', '--ignore', 'x'), qr/^loaded 2 files: 2 unchanged$/m, 'files that are read in another way are sent');
like(expect(0, 'load', '--project', 'other', '--convention', 'native'), qr/^loaded 2 files: 2 added$/m, 'another project has its own');
like(expect(0, 'up'), qr/2 unchanged\n/, 'which may be required');
write_file('003_new.go', '');
expect(3, 'up');
like($err, qr/003_new\.go/, 'a file that is not SQL is seen');
unlink 'migrations/003_new.go';
symlink('nowhere', 'migrations/003_new.sql') or die $!;
expect(1, 'up');
unlink 'migrations/003_new.sql';
is(expect(0, 'up'), $nothing, 'nothing to do again');
write_file('notes.txt', 'not sent');
is(expect(0, 'up'), $nothing, 'a file that is not sent does not matter');
# whatever would be an error without the fingerprint is one with it
write_file('003_mine.sql', 'CREATE TABLE mine (id int);');
chmod(0, 'migrations/003_mine.sql') or die $!;
expect(1, 'up');
like($err, qr/"003_mine\.sql" cannot be read/, 'a new file that cannot be read');
unlink 'migrations/003_mine.sql';
make_path('migrations/mine', { mode => 0 });
expect(1, 'up');
like($err, qr/the directory cannot be read completely/, 'nor a new directory');
rmdir 'migrations/mine' or die $!;
query(q{CREATE ROLE looker; SELECT migrate.grant('look', 'looker')});
{
	local $ENV{PGOPTIONS} = '-c role=looker';

	expect(3, 'up');
	like($err, qr/role "looker" lacks privileges/, 'a role that may only look');
}
{
	local $ENV{PGOPTIONS} = '-c default_transaction_read_only=on';

	expect(3, 'up');
	like($err, qr/read-only transaction/, 'a session that cannot write');
}
query(q{DROP OWNED BY looker; DROP ROLE looker});
is(expect(0, 'up'), $nothing, 'nothing to do again');
make_path("$work/broken");
for my $tool (qw(find sha256sum sort))
{
	my $path = qx(command -v $tool) =~ s/\n//r;

	# as if a file could not be read: what it can be is printed
	append_to_file("$work/broken/$tool", <<"END");
#!/bin/sh
$path "\$@"
exit 1
END
	chmod(0755, "$work/broken/$tool") or die $!;
	for my $shell (grep { qx(command -v $_) } 'dash', 'bash', 'busybox sh')
	{
		local $ENV{PATH} = "$work/broken:$ENV{PATH}";

		IPC::Run::run([ split(/ /, $shell), $client, 'up' ], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout($timeout));
		unlike($out, qr/all files are unchanged/, "$shell: $tool that fails gives no fingerprint") or diag $err;
	}
	unlink "$work/broken/$tool";
}
# what a load has to say again makes the next one necessary
query('CREATE DATABASE spoken');
{
	local $ENV{PGDATABASE} = 'spoken';
	my $dir = "$work/spoken";

	$node->safe_psql('spoken', 'CREATE EXTENSION migrate');
	for my $case (
		[ '002_b.sql', 'CREATE TABEL b (id int);', 4, qr/refused/, '--partial' ],
		[ '002_b.sql', "-- migrate:up\nCREATE TABLE b (id int);\n-- migrate:down\n", 0, qr/no statement/ ],
		[ '002_b.sql', "-- nothing yet\n", 0, qr/is empty/ ],
		[ '007_b.down.sql', 'DROP TABLE b;', 0, qr/belongs to no migration/ ],
		[ '002_notes.md', '# Notes', 0, qr/left out/ ])
	{
		my ($path, $content, $expected, $said, @options) = @$case;
		my $project = 'p' . ++$spoken;

		remove_tree($dir);
		make_path($dir);
		append_to_file("$dir/001_a.sql", "CREATE TABLE a$spoken (id int);");
		append_to_file("$dir/$path", $content);
		run_client('up', '--dir', $dir, '--project', $project, @options);
		is($status, $expected, "$path: status") or diag $err;
		like("$out$err", $said, "$path: is told");
		run_client('up', '--dir', $dir, '--project', $project);
		unlike($out, qr/all files are unchanged/, "$path: and not forgotten");
	}

	# what is in the database alone
	remove_tree($dir);
	make_path($dir);
	append_to_file("$dir/$_.sql", "CREATE TABLE t$_ (id int);") for '001', '002';
	expect(0, 'up', '--dir', $dir);
	like(expect(0, 'up', '--dir', $dir), qr/all files are unchanged/, 'nothing is to be told');
	unlink "$dir/001.sql";
	append_to_file("$dir/003.sql", 'CREATE TABLE t003 (id int);');
	like(expect(0, 'up', '--dir', $dir), qr/1 absent/, 'a migration without a file is told');
	like(expect(0, 'up', '--dir', $dir), qr/1 absent/, '... each time');
}
query('DROP DATABASE spoken');
rename('migrations/002_add.sql', 'migrations/002_add_two.sql') or die $!;
like(expect(0, 'up'), qr/^changed +002 add_two  002_add_two\.sql\nloaded 2 files: 1 changed, 1 unchanged$/m, 'another name is seen');
rename('migrations/002_add_two.sql', 'migrations/002_add.sql') or die $!;
expect(0, 'up');
is(expect(0, 'up'), $nothing, 'and known then');
append_to_file('migrations/002_add.sql', "-- a comment\n");
like(expect(0, 'up'), qr/^amended +002 add /m, 'a comment is seen');
query(q{UPDATE migrate.migration SET name = 'other' WHERE version = '002' AND project = 'default'});
like(expect(0, 'up'), qr/^changed +002 add /m, 'what was changed by hand is seen');
is(expect(0, 'up'), $nothing, 'nothing to do again');
expect(0, 'hold', '002', 'later');
expect(0, 'unhold', '002');
like(expect(0, 'up'), qr/^loaded 2 files: 2 unchanged$/m, 'after another change the files are sent');
is(json(0, 'check')->{ok}, JSON::PP::true, 'all is applied');
like(expect(0, 'status'), qr/^ 001 .* applied .*\n 002 .* applied .*\n\n2 applied$/m, 'status');
is(join(' ', map { $_->{state} } @{ json(0, 'status') }), 'applied applied', 'status in JSON');
like(expect(0, 'log'), qr/^ +2 \| .* 002 .*success.* a ticket/m, 'log');
like(expect(0, 'log', '1'), qr/^ +\d+ \| .* unhold /m, 'the newest of it');
is(scalar(grep { $_->{action} eq 'apply' } @{ json(0, 'log') }), 2, 'log in JSON');
like(expect(0, 'redo'), qr/^rolling back "002".*\nrolled back "002".*\napplying "002".*\napplied "002"/m, 'redo');
like(expect(0, 'down'), qr/^rolling back "002" add \(1 of 1\)\nrolled back "002" add/m, 'down');
like(expect(0, 'down', '--one-transaction', '--to', 'base'), qr/^rolled back "001"/m, 'down to the beginning');
is(query('SELECT count(*) FROM migrate.applied'), 0, 'nothing is applied');
is(expect(0, 'down'), "nothing to roll back\n", 'once more');
expect(0, 'up');
expect(3, 'down', '3');
like($err, qr/cannot roll back 3 migrations/, 'more than there are');
expect(0, 'down', '--hold');
expect(4, 'up');
like($err, qr/^pg_migrate: not applied: 002 \(held\)$/m, 'what was taken back with --hold stays out');
like(expect(0, 'unhold', '002'), qr/002/, 'until it is let go');
like(expect(0, 'hold', '002', 'a = b, "later"'), qr/^held 002$/m, 'hold');
is(query(q{SELECT held_reason FROM migrate.migration WHERE version = '002' AND project = 'default'}), 'a = b, "later"', 'with its reason');
expect(0, 'unhold', '002');
is(expect(0, 'stamp', '002'), "stamp 002\n", 'stamp');
is(expect(0, 'stamp', '--to', '001'), "unstamp 002\n", 'stamp --to');
is(expect(0, 'stamp', '--to', '001'), qq{the ledger is at "001" already\n}, 'once more');
like(expect(0, 'script', '001'), qr/^SELECT migrate\.add\(version => E'002'/m, 'script');

# a protected project
query(q{INSERT INTO migrate.policy (project, protected) VALUES ('default', true)});
expect(3, 'down');
like($err, qr/--confirm 'shop' /, 'the hint is what a shell can read');
expect(0, 'down', '--confirm', 'shop');
query(q{UPDATE migrate.policy SET protected = false});
expect(0, 'unhold', '001');

# ---------------------------------------------------------------------------
# Failures
# ---------------------------------------------------------------------------

write_file('003_bad.sql', "SELECT 1;\nDO \$\$ BEGIN RAISE EXCEPTION E'bad \\x1b[31m\\nthing'; END \$\$;\n");
expect(4, 'rehearse');
expect(3, 'up');
like($err, qr/^ERROR:  bad \\x1B\[31m\nthing\nCONTEXT:  .*\nmigration "003" \(003_bad\.sql:2\)/m, 'an error says where')
  or diag $err;
unlike("$out$err", qr/\e/, 'and no control character of it is printed');
like(expect(0, 'status'), qr/^failed 003: bad \\x1B\[31m thing$/m, 'status has the error');
unlike($out, qr/\e/, 'without control characters');
like(expect(0, 'log', '--failures'), qr/003 .*failure/, 'so has the log');
$done = json(3, 'up');
is_deeply([ $done->{done}, $done->{error}{sqlstate} ], [ JSON::PP::false, 'P0001' ], 'a failure in JSON');
write_file('003_bad.sql', 'SELECT 1 +;');
expect(3, 'load');
$done = json(3, 'load');
is($done->{error}{sqlstate}, '42601', 'a file that cannot be parsed, in JSON');
unlink 'migrations/003_bad.sql';
is(expect(0, 'load', '--prune') =~ s/ +/ /gr, "pruned 003 bad 003_bad.sql\nloaded 2 files: 2 unchanged, 1 pruned\n", 'prune')
  or diag $out;
write_file('003_rename.sql', "-- migrate:up\nALTER TABLE users RENAME TO people;\n-- migrate:down\nALTER TABLE people RENAME TO users;\n");
run_client('lint');
is($status, $out =~ /^0 errors/m ? 0 : 4, 'lint: the status says whether there is an error');
unlink 'migrations/003_rename.sql';

# ---------------------------------------------------------------------------
# In the background
# ---------------------------------------------------------------------------

write_file('003_slow.sql', "SELECT pg_sleep(600) FROM generate_series(1, (SELECT count(*) FROM gate));\n");
query('CREATE TABLE gate (n int); INSERT INTO gate VALUES (1)');
my $run = expect(0, 'up', '--background') =~ /^(\d+)$/m ? $1 : 0;
$node->poll_query_until('shop', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) or die;
like(expect(0, 'progress'), qr/^ +$run \| running /m, 'progress');
is(json(0, 'progress')->[0]{run}, $run, 'progress in JSON');
expect(3, 'wait', $run, '--timeout', '1');
like(expect(0, 'cancel'), qr/^run $run is canceled$/m, 'cancel what is going on');
expect(3, 'wait', $run);
like($err, qr/canceling statement due to user request/, 'wait fails with the error of the run');
like(expect(0, 'cancel'), qr/^no run is going on$/m, 'nothing to cancel');
like(expect(0, 'cancel', $run), qr/^run $run is not going on$/m, 'nor by number');
query('DELETE FROM gate');
$run = expect(0, 'up', '--background') =~ /^(\d+)$/m ? $1 : 0;
is(expect(0, 'wait', $run), "success\n", 'wait');

# ---------------------------------------------------------------------------
# On a terminal
# ---------------------------------------------------------------------------

sub on_terminal
{
	my (@args) = @_;
	my $screen = '';
	my $h = IPC::Run::start([ 'sh', $client, @args ], '<pty<', \'', '>pty>', \$screen, IPC::Run::timeout($timeout));

	$h->finish;
	return $screen;
}

{
	local $ENV{TERM} = 'xterm';
	like(on_terminal('status'), qr/ \e\[32mapplied\e\[m /, 'color on a terminal');
	local $ENV{NO_COLOR} = 1;
	unlike(on_terminal('status'), qr/\e/, 'not with NO_COLOR');
	delete local $ENV{NO_COLOR};
	local $ENV{TERM} = 'dumb';
	unlike(on_terminal('status'), qr/\e/, 'nor where there is none');
}

# ---------------------------------------------------------------------------
# Installed, with its page and completions
# ---------------------------------------------------------------------------

{
	my $top = "$FindBin::RealBin/../..";
	my @make = ('make', '-s', '-C', $top, "DESTDIR=$work/root", 'PG_CONFIG=pg_config', 'bindir=/usr/lib/postgresql/15/bin');
	is(system(@make, 'install'), 0, 'make install where the programs are in nobody\'s path');
	my $local = "$work/root/usr/local";
	ok(-x "$local/bin/pg_migrate", 'puts it into /usr/local/bin');
	ok(-f "$local/share/man/man1/pg_migrate.1", 'with its page');
	IPC::Run::run([ 'man', '--warnings', '-l', "$local/share/man/man1/pg_migrate.1" ], '>', \$out, '2>', \$err);
	is($err, '', 'which man shows');
	like($out, qr/--one-transaction/, 'with all options');

	IPC::Run::run([ 'bash', '-c', <<'END', 'bash', "$local/share/bash-completion/completions/pg_migrate" ], '>', \$out, '2>', \$err);
. "$1"
complete_it() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _pg_migrate; echo "${COMPREPLY[*]}"; }
complete_it pg_migrate re
complete_it pg_migrate up --one
complete_it pg_migrate --json status --js
complete_it pg_migrate help pl
END
	is("$out$err", "redo rehearse report\n--one-transaction\n--json\nplan\n", 'bash completes');
	is(system('zsh', '-n', "$local/share/zsh/site-functions/_pg_migrate"), 0, 'zsh reads its completions');
	IPC::Run::run([ 'fish', '-c', "source $local/share/fish/vendor_completions.d/pg_migrate.fish; complete -C 'pg_migrate re'; complete -C 'pg_migrate up --one'" ],
		'>', \$out, '2>', \$err);
	is($err, '', 'fish reads its completions');
	like($out, qr/^redo\t.*^rehearse\t.*^report\t.*^--one-transaction\t/ms, 'and completes');
	is(system(@make, 'uninstall'), 0, 'make uninstall');
	is(join(' ', grep { -f } split /\n/, `find $work/root -name '*pg_migrate*'`), '', 'removes all of it');
}

is(join(' ', glob("$ENV{TMPDIR}/*")), '', 'no temporary file is left');

done_testing();
