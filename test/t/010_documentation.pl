# The documentation is true: its examples run, print what it says they print,
# fail as it says they fail, its tables of functions, columns, settings and files
# are those of the sources, and its links lead somewhere.
#
# Needs a server of its own per page: the pages create roles, need a second
# session while the first one runs, and call psql and pg_migrate in a shell.
#
# What is run, in order, per page:
#
#	```sql		by psql -X -v ON_ERROR_STOP=1, in a session per block
#	```sh		by sh -e, in a directory that has the checkout's "examples"
#	```yaml		its shell parts (see shell_parts), in a new database, where
#	```json		everything must be applied afterwards
#	```text		the output of the block before, if that is one of the first two
#
# A block with a name (```sql name) is run by the test that names page and block.
#
# An output is compared without regard to blanks, numbers with a decimal point,
# times and hashes; "..." stands for anything, on a line of its own for any lines
# or none.  Other blocks are not run.
#
# A reader sees everything that is run.  Comments of the page, one line each and
# without SQL or shell, say how the next block is run:
#
#	<!-- test: fails MG008 -->			it fails with that SQLSTATE
#	<!-- test: fails 28000 before 17 -->	... and succeeds in that version
#	<!-- test: status 3 -->				... with that exit status (sh)
#	<!-- test: session 2 -->			it runs in a session that stays, and goes on
#										in the next block with this name
#	<!-- test: session 2 waits relation -->	it ends later, and waits by then: the name
#										is a wait_event of pg_stat_activity
#	<!-- test: session 2 waits relation fails 57014 -->
#	<!-- test: finish -->				(no block) sessions that wait end here
#	<!-- test: each section -->			it is run at each heading of the third level
#										that follows, in a new database

use strict;
use warnings;

use Cwd qw(abs_path);
use CPAN::Meta::YAML;
use File::Path qw(make_path);
use FindBin;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $top = abs_path("$FindBin::RealBin/../..");
my $timeout = $PostgreSQL::Test::Utils::timeout_default;
my @pages = ('README.md',
	map { s{^\Q$top\E/}{}r } sort(glob("$top/doc/*.md")));
my @other_tests = map { slurp_file($_) }
  grep { !/010_documentation/ } glob("$top/test/t/*.pl");
@pages = @ARGV if @ARGV;

delete @ENV{
	qw(PGPASSWORD PGSERVICE PGCLIENTENCODING PGAPPNAME PGOPTIONS PAGER PSQL_PAGER)
};
$ENV{PGUSER} = 'postgres';
$ENV{PATH} = "$top/bin:$ENV{PATH}";
$ENV{$_} = '0123abc'
  foreach qw(GITHUB_SHA CI_COMMIT_SHA CODEBUILD_RESOLVED_SOURCE_VERSION);

# ---------------------------------------------------------------------------
# Reading a page
# ---------------------------------------------------------------------------

# A page's blocks, test comments and headings of the third level, as a list of
# hashes with line, kind and text; kind is the language of a block, "comment" or
# "heading".
sub parse_page
{
	my ($path) = @_;
	my @lines = split /\n/, slurp_file("$top/$path");
	my @items;
	my $open;

	for my $i (0 .. $#lines)
	{
		my $line = $lines[$i];

		if ($open && $line =~ /^\s*```\s*$/)
		{
			push @items, $open;
			undef $open;
		}
		elsif ($open)
		{
			$open->{text} .= substr($line, 0, $open->{indent}) =~ /\S/
			  ? "$line\n"
			  : (length($line) < $open->{indent} ? "\n"
				: substr($line, $open->{indent}) . "\n");
		}
		elsif ($line =~ /^(\s*)```(\w*)(?:[ ]([\w-]+))?\s*$/)
		{
			$open = {
				line => $i + 1, kind => $2, name => $3, text => '',
				indent => length($1)
			};
		}
		elsif ($line =~ /^\s*<!--\s*test:\s*(.*?)\s*(-->)?\s*$/)
		{
			die "$path line " . ($i + 1) . ": what a page runs stands in it for all to see\n"
			  if !$2;
			push @items, { line => $i + 1, kind => 'comment', what => $1 };
		}
		elsif ($line =~ /^### /)
		{
			push @items, { line => $i + 1, kind => 'heading' };
		}
		elsif ($line =~ /^\s*```/)
		{
			die "$path line " . ($i + 1) . ": cannot read this fence\n";
		}
	}
	die "$path line $open->{line}: not closed\n" if $open;
	return @items;
}

# ---------------------------------------------------------------------------
# Running
# ---------------------------------------------------------------------------

my $node;		# of the page
my $work;		# its directory

my @psql = qw(psql -X -q -v ON_ERROR_STOP=1 -P pager=off);

# Start a command; finish() returns its exit status and its output.  The input
# is a file, since a scalar would be sent only while somebody waits.
sub start
{
	my ($command, $input) = @_;
	my $h = { output => '' };
	my $file = "$work.input";

	open my $fh, '>', $file or die "$file: $!";
	print $fh $input;
	close $fh or die "$file: $!";
	$h->{run} = IPC::Run::start(
		$command, '<', $file, '>&', \$h->{output},
		init => sub { chdir $work or die "$work: $!" },
		IPC::Run::timeout($timeout));
	unlink $file or die "$file: $!";
	return $h;
}

sub finish
{
	my ($h) = @_;

	$h->{run}->finish;
	my $status = $h->{run}->full_result(0);
	return ($status >> 8 || $status, $h->{output});
}

# Errors come with their SQLSTATEs; as_shown() takes them out again.
sub start_sql
{
	my ($sql) = @_;
	return start([ @psql, '-v', 'VERBOSITY=verbose' ], $sql);
}

sub as_shown
{
	my ($output) = @_;

	$output =~ s/^((?:psql:\S+ )?[A-Z]+:  )[0-9A-Z]{5}: /$1/mg;
	$output =~ s/^LOCATION:  .*\n//mg;
	return $output;
}

sub start_shell
{
	my ($script) = @_;
	return start([ 'sh', '-e', '-c', $script ], '');
}

# What an output looks like when everything that differs from run to run is
# taken out.
sub normalize
{
	my ($text) = @_;

	$text =~ s/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:\d\d)?)?/TIME/g;
	$text =~ s/\b[0-9a-f]{64}\b/HASH/g;
	$text =~ s/\b\d+(\.\d+)?(e-\d+)? ms\b/<N> ms/g;
	$text =~ s/\b\d+\.\d+(e-\d+)?\b/<N>/g;
	$text =~ s/\b(process|PID) \d+/$1 <N>/gi;
	$text =~ s/"(\w+_\w+)"/$1/g;    # messages quote settings from 17 on
	$text =~ s/-{2,}/-/g;
	$text =~ s/[ \t]+/ /g;
	$text =~ s/ $//mg;
	$text =~ s/^ //mg;
	$text =~ s/\n{2,}/\n/g;
	$text =~ s/^\n+|\n+$//g;
	return $text;
}

sub matches
{
	my ($expected, $actual) = @_;
	my $pattern = join '(?:\n.*?)?', map {
		join '.*?', map { quotemeta } split /\.\.\./, $_, -1
	} split /\n\.\.\.(?=\n)/, normalize($expected), -1;

	$pattern =~ s/\\<N\\>/(?:<N>|\\d+)/g;    # a time may be 3 as well as 3.001
	return normalize($actual) =~ /\A$pattern\z/s;
}

# The commands for a shell that a CI file, a manifest or a task has.
sub shell_parts
{
	my ($data, $key) = @_;

	if (ref $data eq 'HASH')
	{
		return map { shell_parts($data->{$_}, $_) } sort keys %$data;
	}
	if (ref $data eq 'ARRAY')
	{
		my @list = grep { !ref } @$data;

		if (@list == @$data && ($key // '') =~ /^(command|args|entrypoint)$/i)
		{
			return $list[2] if @list == 3 && $list[0] eq 'sh' && $list[1] =~ /^-\w*c$/;
			return join ' ', map { "'" . s/'/'\\''/gr . "'" } @list;
		}
		return map { shell_parts($_, $key) } @$data;
	}
	return ($data) if ($key // '') =~ /^(run|script|before_script|commands)$/;
	return ();
}

# Has it ended the way it should, and printed what it should?
sub check_output
{
	my ($name, $item, $status, $output) = @_;
	my $code = $item->{fails};
	my $expected = $item->{expected};

	is($status, $item->{status} // (defined $code ? 3 : 0), "$name: exit status")
	  or diag $output;
	if (defined $code)
	{
		like($output, qr/^(?:psql:\S+ )?(?:ERROR|FATAL):  \Q$code\E:/m,
			"$name: fails with $code")
		  or diag $output;
	}
	if (defined $expected)
	{
		ok(matches($expected, as_shown($output)), "$name: prints what the page says")
		  or diag "expected:\n", normalize($expected), "\ngot:\n",
		  normalize(as_shown($output));
	}
	return;
}

# One block of SQL or shell.
sub run_block
{
	my ($name, $item) = @_;

	check_output($name, $item,
		finish($item->{kind} eq 'sql'
			? start_sql($item->{text})
			: start_shell($item->{text})));
	return;
}

# The recipe must leave everything applied in a database that was empty.
sub run_recipe
{
	my ($name, $item) = @_;
	my $data = $item->{kind} eq 'json'
	  ? decode_json($item->{text})
	  : [ @{ CPAN::Meta::YAML->read_string($item->{text}) } ];
	my @parts = shell_parts($data);
	my $db = 'recipe_' . $item->{line};

	cmp_ok(scalar(@parts), '>', 0, "$name: has shell parts") or return;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, 'CREATE EXTENSION migrate');
	local $ENV{PGDATABASE} = $db;
	local $ENV{DATABASE_URL} = "postgresql:///$db" if $item->{text} =~ /DATABASE_URL/;
	foreach my $part (@parts)
	{
		my ($status, $output) = finish(start_shell($part));
		is($status, 0, "$name: runs") or diag "$part\n$output";
	}
	is($node->safe_psql($db,
			q{SELECT count(*) > 0 AND bool_and(state = 'applied') FROM migrate.status()}),
		't', "$name: everything is applied");
	return;
}

sub wait_until
{
	my ($name, $sql) = @_;
	my $end = time + $timeout;

	while ($node->safe_psql('postgres', $sql) ne 't')
	{
		if (time > $end)
		{
			fail("$name: waited in vain for $sql");
			return;
		}
		usleep(20_000);
	}
	pass("$name: waited for a condition");
	return;
}

# ---------------------------------------------------------------------------
# Sessions that stay
# ---------------------------------------------------------------------------

my %sessions;		# by name; one with an "item" has not finished it yet

sub open_session
{
	my $s = { input => '', output => '' };

	$s->{run} = IPC::Run::start([ @psql, '-v', 'VERBOSITY=verbose' ],
		'<', \$s->{input}, '>&', \$s->{output}, IPC::Run::timeout($timeout));
	$s->{input} = "SELECT pg_backend_pid() AS pid \\gset\n\\echo :pid\n";
	$s->{run}->pump until $s->{output} =~ /^(\d+)\n/;
	$s->{pid} = $1;
	return $s;
}

# Waits until the session has done its block or is gone, and checks how it ended.
sub end_item
{
	my ($s) = @_;
	my $item = delete $s->{item} or return;
	my $done = qr/^done with line $item->{line}\n/m;

	$s->{run}->pump while $s->{output} !~ $done && $s->{run}->pumpable;
	if ($s->{output} =~ s/$done//)
	{
		$s->{status} = 0;
	}
	else
	{
		($s->{status}) = finish($s);
		$s->{gone} = 1;
	}
	check_output($item->{where}, $item, @{$s}{qw(status output)});
	return;
}

sub run_in_session
{
	my ($where, $item) = @_;
	my $name = $item->{session};

	end_item($sessions{$name}) if $sessions{$name};
	$sessions{$name} = open_session()
	  if !$sessions{$name} || $sessions{$name}{gone};
	my $s = $sessions{$name};

	$s->{item} = { %$item, where => $where };
	$s->{output} = '';
	$s->{input} = "$item->{text}\n\\echo done with line $item->{line}\n";
	while ($s->{input} ne '')
	{
		$s->{run}->pump_nb;    # pump() would wait for output
		usleep(1_000);
	}
	if ($item->{waits})
	{
		wait_until($where,
			"SELECT count(*) > 0 FROM pg_stat_activity"
			  . " WHERE pid = $s->{pid} AND wait_event = '$item->{waits}'");
	}
	else
	{
		end_item($s);
	}
	return;
}

sub finish_sessions
{
	end_item($_) foreach map { $sessions{$_} } sort keys %sessions;
	return;
}

sub close_sessions
{
	finish_sessions();
	finish($_) foreach grep { !$_->{gone} } values %sessions;
	%sessions = ();
	return;
}

# ---------------------------------------------------------------------------
# A page
# ---------------------------------------------------------------------------

my %next;			# what comments say about the next block
my $template;		# the block that each section begins with

sub start_server
{
	my ($page) = @_;

	$node = PostgreSQL::Test::Cluster->new($page =~ s/\W+/_/gr);
	$node->init(extra => [ '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8' ]);
	$node->append_conf('postgresql.conf', "timezone = 'UTC'");
	$node->start;
	$node->safe_psql('postgres', 'CREATE DATABASE app');
	$work = PostgreSQL::Test::Utils::tempdir();
	symlink("$top/examples", "$work/examples") or die $!;
	return;
}

sub stop_server
{
	my ($page) = @_;

	close_sessions();
	is(scalar(grep { /server process .* was terminated|PANIC:/ }
			split(/\n/, slurp_file($node->logfile))),
		0, "$page: the server has not crashed");
	$node->stop('fast');
	return;
}

# The next section has a database of its own.
sub start_section
{
	my ($name) = @_;

	close_sessions();
	if (!$template->{database})
	{
		$template->{database} = 'section';
		$ENV{PGDATABASE} = $template->{database};
		$node->safe_psql('postgres', 'CREATE DATABASE section');
		run_block("line $template->{line}", $template);
	}
	$ENV{PGDATABASE} = $name =~ s/\W+/_/gr;
	$node->safe_psql('postgres',
		"CREATE DATABASE $ENV{PGDATABASE} TEMPLATE $template->{database}");
	return;
}

sub run_comment
{
	my ($name, $item) = @_;
	my $what = $item->{what};

	if ($what =~ /^fails (\w{5})(?: before (\d+))?$/)
	{
		%next = (%next, defined $2 && $node->pg_version >= $2 ?
			  (succeeds => 1) : (fails => $1));
	}
	elsif ($what =~ /^status (\d+)$/)
	{
		$next{status} = $1;
	}
	elsif ($what =~ /^session (\w+)(?: waits (\w+)(?: fails (\w{5}))?)?$/)
	{
		%next = (%next, session => $1, waits => $2, fails => $3 // $next{fails});
	}
	elsif ($what eq 'each section')
	{
		$next{template} = 1;
	}
	elsif ($what eq 'finish')
	{
		finish_sessions();
	}
	else
	{
		fail("$name: there is no such test comment: $what");
	}
	return;
}

sub run_item
{
	my ($page, $name, $item, $before, $after) = @_;

	if ($item->{kind} eq 'comment')
	{
		run_comment($name, $item);
		return;
	}
	if ($item->{kind} eq 'heading')
	{
		start_section($name) if $template;
		return;
	}
	if (defined $item->{name})
	{
		ok(scalar(grep { /\Q$page\E/ && /\b\Q$item->{name}\E\b/ } @other_tests),
			"$name: a test runs block $item->{name}");
	}
	elsif ($item->{kind} =~ /^(sql|sh)$/)
	{
		$item->{expected} = $after->{text}
		  if $after && $after->{kind} eq 'text' && !$next{succeeds};
		if ($next{template}) { $template = {%$item} }
		elsif ($next{session}) { run_in_session($name, { %$item, %next }) }
		else { run_block($name, { %$item, %next }) }
	}
	elsif ($item->{kind} =~ /^(yaml|json)$/)
	{
		run_recipe($name, $item);
	}
	elsif ($item->{kind} eq 'text')
	{
		ok($before && $before->{kind} =~ /^(sql|sh)$/,
			"$name: an output follows what prints it");
	}
	%next = ();
	return;
}

sub run_page
{
	my ($page) = @_;
	my @items;

	if (!eval { @items = parse_page($page); 1 })
	{
		fail($@ =~ s/\n//r);
		return;
	}
	my $needs_server =
	  grep { !defined $_->{name} && $_->{kind} =~ /^(sql|sh|yaml|json|comment)$/ } @items;

	undef $node;
	undef $template;
	start_server($page) if $needs_server;
	local @ENV{qw(PGHOST PGPORT PGDATABASE)} =
	  $node ? ($node->host, $node->port, 'app') : ();
	delete local $ENV{DATABASE_URL};

	for my $i (0 .. $#items)
	{
		run_item($page, "$page line $items[$i]->{line}",
			$items[$i], $i > 0 ? $items[ $i - 1 ] : undef, $items[ $i + 1 ]);
	}
	check_reference() if $page eq 'doc/reference.md';
	check_files() if $page eq 'doc/architecture.md';
	check_options() if $page eq 'doc/pg_migrate.md';
	stop_server($page) if $node;
	return;
}

# ---------------------------------------------------------------------------
# The reference has what the extension has
# ---------------------------------------------------------------------------

# The sections of the reference by heading: rows of their tables, and the text.
sub reference_sections
{
	my %sections;
	my $current;
	my $fenced = 0;

	foreach my $line (split /\n/, slurp_file("$top/doc/reference.md"))
	{
		$fenced = !$fenced if $line =~ /^```/;
		if (!$fenced && $line =~ /^#+\s+(.*?)\s*$/)
		{
			$current = $sections{$1} = { tables => {}, text => '' };
			next;
		}
		next if !$current;
		$current->{text} .= "$line\n";
		if ($line =~ /^\|\s*(argument|result|column|setting|convention)\s*\|/)
		{
			$current->{table} = $1;
		}
		elsif ($line =~ /^\|\s*`([^`]+)`\s*\|(.*)\|\s*$/ && $current->{table})
		{
			my ($key, $rest) = ($1, $2);
			my @cells = map { s/^\s+|\s+$//gr } split /\s\|\s/, " $rest ";
			push @{ $current->{tables}{ $current->{table} } }, [ $key, @cells ];
		}
		elsif ($line !~ /^\|/)
		{
			delete $current->{table};
		}
	}
	return \%sections;
}

# "name type [default]" lines of one table of a section
sub table_lines
{
	my ($section, $table, $columns) = @_;
	return join "\n", map {
		join ' ', map { s/`//gr } @{$_}[ 0 .. $columns - 1 ]
	} @{ $section->{tables}{$table} // [] };
}

sub check_functions
{
	my ($sections) = @_;
	my @functions = split /\n\n/, $node->safe_psql(
		'app', q{
		SELECT string_agg(format(E'%s(%s)\t%s\t%s\t%s', f.proname, f.names, f.arguments,
			f.results, f.rights), E'\n\n' ORDER BY f.proname)
		FROM (SELECT p.proname,
				(SELECT string_agg(a.name, ', ' ORDER BY a.n)
				 FROM unnest(p.proargnames) WITH ORDINALITY a (name, n)
				 WHERE a.n <= p.pronargs) AS names,
				(SELECT string_agg(concat_ws(' ', a.name,
					/* so that a number gets an error of our own */
					replace(replace(format_type(t.type, NULL), 'anycompatiblearray', 'text[]'),
						'anycompatible', 'text'),
					coalesce(regexp_replace(regexp_replace(
						lower(pg_get_function_arg_default(p.oid, a.n::int)),
						'::[a-z ]+(\[\])?', ''), '''', '', 'g'), 'required')), E'\x0B' ORDER BY a.n)
				 FROM unnest(p.proargnames) WITH ORDINALITY a (name, n)
				 JOIN unnest(p.proargtypes) WITH ORDINALITY t (type, n) USING (n)) AS arguments,
				(SELECT string_agg(concat_ws(' ', a.name, format_type(a.type, NULL)), E'\x0B' ORDER BY a.n)
				 FROM (SELECT a.name, t.type, a.n
					FROM unnest(p.proargnames) WITH ORDINALITY a (name, n)
					JOIN unnest(p.proallargtypes) WITH ORDINALITY t (type, n) USING (n)
					WHERE a.n > p.pronargs
					UNION ALL SELECT a.attname, a.atttypid, a.attnum
					FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
					WHERE c.reltype = p.prorettype AND c.relkind = 'c') a) AS results,
				(SELECT string_agg(r, ' ' ORDER BY n)
				 FROM unnest(ARRAY['look', 'run', 'write', 'repair']) WITH ORDINALITY r (r, n)
				 WHERE has_function_privilege('doc_' || r, p.oid, 'EXECUTE')) AS rights
			FROM pg_proc p
			WHERE p.pronamespace = 'migrate'::regnamespace
			AND p.prosrc NOT IN ('migrate_gate', 'migrate_refuse_text', 'migrate_refuse_version_type')) f});

	cmp_ok(scalar(@functions), '>', 30, 'the extension has functions');
	foreach my $function (@functions)
	{
		my ($heading, $arguments, $results, $rights) = split /\t/, $function, -1;
		my $section = $sections->{"migrate.$heading"};

		ok($section, "doc/reference.md has the heading migrate.$heading") or next;
		$rights = $rights eq 'look run write repair' ? 'look' : $rights || 'owner';
		is(table_lines($section, 'argument', 3), $arguments =~ tr/\013/\n/r,
			"migrate.$heading: arguments");
		my ($type) = $section->{text} =~ /^The rows have the type \[(migrate\.\w+)\]/m;
		is($type ? table_lines($sections->{$type}, 'column', 2) : table_lines($section, 'result', 2),
			$results =~ tr/\013/\n/r, "migrate.$heading: results");
		my ($said) = $section->{text} =~ /^Privilege: `?(\w+)/m;
		is($said, $rights, "migrate.$heading: right");
		like($section->{text}, qr/^```sql\n/m, "migrate.$heading: has an example");
	}
	my %known = map { ("migrate." . (split /\t/)[0]) => 1 } @functions;
	is(join(' ', grep { /^migrate\.\w+\(/ && !$known{$_} } sort keys %$sections),
		'', 'doc/reference.md describes no other function');
	return;
}

sub check_relations
{
	my ($sections) = @_;
	my @relations = split /\n\n/, $node->safe_psql(
		'app', q{
		SELECT string_agg(format(E'%s\t%s', c.relname, c.columns), E'\n\n' ORDER BY c.relname)
		FROM (SELECT c.relname, string_agg(a.attname || ' ' || format_type(a.atttypid, NULL),
				E'\x0B' ORDER BY a.attnum) AS columns
			FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
			WHERE c.relnamespace = 'migrate'::regnamespace AND c.relkind IN ('r', 'v', 'c')
			AND a.attnum > 0 AND NOT a.attisdropped
			/* a row of a function is described there */
			AND NOT EXISTS (SELECT FROM pg_proc p WHERE c.relkind = 'c' AND p.prorettype = c.reltype)
			GROUP BY c.oid, c.relname) c});

	cmp_ok(scalar(@relations), '>', 9, 'the extension has tables');
	foreach my $relation (@relations)
	{
		my ($name, $columns) = split /\t/, $relation, -1;
		my $section = $sections->{"migrate.$name"};

		ok($section, "doc/reference.md has the heading migrate.$name") or next;
		is(table_lines($section, 'column', 2), $columns =~ tr/\013/\n/r,
			"migrate.$name: columns");
	}
	return;
}

sub check_settings
{
	my ($sections) = @_;
	my $settings = $node->safe_psql(
		'postgres', q{
		LOAD 'migrate';
		SELECT string_agg(concat_ws(' ', name, vartype, current_setting(name), context),
			E'\n' ORDER BY name)
		FROM pg_settings WHERE name LIKE 'migrate.%'});

	is(table_lines($sections->{Settings}, 'setting', 4), $settings,
		'doc/reference.md has the settings');
	return;
}

sub check_conventions
{
	my ($sections) = @_;
	my ($out, $err);

	$node->psql('app', q{SELECT migrate.load('{}', 'none of them')},
		stdout => \$out, stderr => \$err);
	my ($names) = $err =~ /The conventions are auto, (.*)\./;
	is(join(', ', split /\n/,
			table_lines($sections->{'File conventions'}, 'convention', 1)),
		$names, 'doc/reference.md has the file conventions');
	return;
}

sub check_reference
{
	my $sections = reference_sections();

	$node->safe_psql('app', "CREATE ROLE doc_$_; SELECT migrate.grant('$_', 'doc_$_')")
	  foreach qw(look run write repair);
	check_functions($sections);
	check_relations($sections);
	check_settings($sections);
	check_conventions($sections);
	return;
}

# ---------------------------------------------------------------------------
# doc/pg_migrate.md has the commands and options of the client
# ---------------------------------------------------------------------------

sub check_options
{
	my $page = slurp_file("$top/doc/pg_migrate.md");
	my ($table) = slurp_file("$top/bin/pg_migrate") =~ /^table='\n(.*?)'$/ms;
	my $commands = join "\n", map { tr/|/ /r =~ s/ $//r } $table =~ /^command\|([^|]*\|[^|]*)/mg;
	my $options = join ' ', sort($table =~ /^option\|([^|]*)/mg);

	is(join("\n", $page =~ /^\| `([a-z][^`]*)` \|/mg), $commands, 'doc/pg_migrate.md: every command');
	is(join(' ', sort($page =~ /^\| `(--\S+?)[` ]/mg)), $options, 'doc/pg_migrate.md: every option');
	return;
}

# ---------------------------------------------------------------------------
# The tables of files in doc/architecture.md are the files
# ---------------------------------------------------------------------------

sub check_files
{
	my $expected = join "\n", sort map { m{^\Q$top\E/src/(.+)\.c$} } glob("$top/src/*.c $top/src/*/*.c");
	my @cells = slurp_file("$top/doc/architecture.md") =~ /^\| ((?:`[a-z_\/]+`(?:, )?)+) \|/mg;
	my $said = join "\n", sort(map { /`(.*?)`/g } @cells);

	is($said, $expected, 'doc/architecture.md: every file');
	return;
}

# ---------------------------------------------------------------------------
# Links
# ---------------------------------------------------------------------------

# The anchors that the headings of a page make.
sub anchors
{
	my ($path) = @_;
	my %anchors;
	my $fenced = 0;

	foreach my $line (split /\n/, slurp_file($path))
	{
		$fenced = !$fenced if $line =~ /^\s*```/;
		next if $fenced || $line !~ /^#+\s+(.*?)\s*$/;
		my $anchor = lc $1;
		$anchor =~ s/[^\w\- ]//g;
		$anchor =~ tr/ /-/;
		$anchors{$anchor} = 1;
	}
	return \%anchors;
}

sub check_links
{
	my ($page) = @_;
	my ($dir) = $page =~ m{^(.*/)?};
	my @dead;

	foreach my $link (slurp_file("$top/$page") =~ /\]\(([^)\s]+)\)/g)
	{
		next if $link =~ m{^[a-z]+://};
		my ($path, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
		my $file = $path eq '' ? "$top/$page" : "$top/" . ($dir // '') . $path;

		push @dead, $link
		  if !-e $file || (defined $anchor && !anchors($file)->{$anchor});
	}
	is(join(' ', @dead), '', "$page: no dead links");
	return;
}

foreach my $page (@pages)
{
	check_links($page);
	run_page($page);
}
done_testing();
