# Whatever text and files somebody gives to add() and load(): the server stays
# up, no error is an internal one, what is taken is stored byte for byte, the
# same call again changes nothing, and what is stored can be looked at.
#
# Needs thousands of calls with bytes of its own, in several encodings, and the
# server's log.
#
# MIGRATE_FUZZ_SECONDS says how long (20), MIGRATE_FUZZ_SEED which cases are made
# (1); a run prints it.  A case depends on the seed and on its number, not on the
# cases before it: MIGRATE_FUZZ_CASE runs one alone and shows its statement.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use File::Path qw(make_path remove_tree);
use Fuzz;
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{MIGRATE_FUZZ_SEED} // 1;
my $seconds = $ENV{MIGRATE_FUZZ_SECONDS} // 20;
my $only = $ENV{MIGRATE_FUZZ_CASE};
my $batch_size = 200;
my @databases = (
	{ name => 'fuzz_utf8', encoding => 'UTF8', locale => 'C.UTF-8' },
	{ name => 'fuzz_ascii', encoding => 'SQL_ASCII', locale => 'C' },
	{ name => 'fuzz_euc', encoding => 'EUC_JP', locale => 'C' });

# what a session may have set when it stores migrations; one for each batch
my @settings = (
	'', '-c standard_conforming_strings=off',
	'-c backslash_quote=off -c escape_string_warning=off',
	'-c search_path=pg_catalog -c default_transaction_deferrable=on');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
autovacuum = off
restart_after_crash = on
log_statement = none
log_line_prefix = '%m [%p] %e '
log_error_verbosity = verbose
});
$node->start;

# ---------------------------------------------------------------------------
# The server's side of a case
# ---------------------------------------------------------------------------

# A case returns "stored", "refused SQLSTATE" or, if something is wrong, "WRONG"
# and what.  It is undone in any case.
my $functions = <<'END';
CREATE SCHEMA fuzz;

-- fails where the bytes are none of the encoding
CREATE FUNCTION fuzz.text(bytes bytea) RETURNS text LANGUAGE sql AS
	$$ SELECT convert_from(bytes, getdatabaseencoding()) $$;
CREATE FUNCTION fuzz.texts(list bytea[]) RETURNS text[] LANGUAGE sql AS $$
	SELECT coalesce(array_agg(fuzz.text(bytes) ORDER BY n), '{}')
	FROM unnest(list) WITH ORDINALITY AS u (bytes, n) $$;
CREATE FUNCTION fuzz.bytes(string text) RETURNS bytea LANGUAGE sql AS
	$$ SELECT convert_to(string, getdatabaseencoding()) $$;

-- where each row is: any row that is written goes somewhere else
CREATE FUNCTION fuzz.places() RETURNS text LANGUAGE sql AS $$
	SELECT (SELECT string_agg(ctid::text || cmin::text, ' ' ORDER BY ctid) FROM migrate.migration)
		|| ' / ' || (SELECT string_agg(ctid::text || cmin::text, ' ' ORDER BY ctid) FROM migrate.state)
		|| ' / ' || (SELECT count(*) FROM migrate.journal) $$;

CREATE FUNCTION fuzz.wrong(what text) RETURNS void LANGUAGE plpgsql AS
	$$ BEGIN RAISE SQLSTATE 'FZ001' USING MESSAGE = what; END $$;

-- a query that may fail, but not with an internal error
CREATE FUNCTION fuzz.try(query text, project text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE query USING project;
EXCEPTION WHEN OTHERS THEN
	IF SQLSTATE LIKE 'XX%' OR SQLSTATE = 'FZ001' THEN
		RAISE SQLSTATE 'FZ001' USING MESSAGE = query || ': ' || SQLSTATE || ' ' || SQLERRM;
	END IF;
END $$;

-- what script() writes can be parsed, but for the line that is psql's
CREATE FUNCTION fuzz.parse_script(from_version text, to_version text, project text)
	RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	script text;
BEGIN
	BEGIN
		script := migrate.script(from_version, to_version, project);
	EXCEPTION WHEN OTHERS THEN
		RETURN;
	END;
	PERFORM migrate.add('from ' || from_version,
		replace(script, chr(92) || 'set ON_ERROR_STOP on', ''), project => 'script');
EXCEPTION WHEN untranslatable_character THEN
	-- in a name, say: not all of EUC_JP is in Unicode, which checksums are made of
	NULL;
END $$;

CREATE FUNCTION fuzz.look(project text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF (SELECT count(*) FROM migrate.status(project) s) <>
		(SELECT count(*) FROM migrate.migration m WHERE m.project = look.project) THEN
		PERFORM fuzz.wrong('status() has not all migrations');
	END IF;
	PERFORM fuzz.try('SELECT * FROM migrate.plan(project => $1)', project);
	PERFORM fuzz.try('SELECT migrate.check(project => $1)', project);
	PERFORM fuzz.try('SELECT * FROM migrate.lint(project => $1)', project);
	PERFORM fuzz.try('SELECT migrate.script(''base'', ''head'', $1)', project);
	PERFORM fuzz.try('SELECT migrate.script(''head'', ''base'', $1)', project);
	PERFORM fuzz.parse_script('base', 'head', project);
	PERFORM fuzz.parse_script('head', 'base', project);
END $$;

-- what became of a case, from an error that ended it at a stage
CREATE FUNCTION fuzz.outcome(stage text, state text, message text)
	RETURNS text LANGUAGE sql AS $$
	SELECT CASE
		WHEN state = 'FZ000' THEN 'stored'
		WHEN state = 'FZ002' THEN 'nothing to store'
		WHEN state = 'FZ001' OR state LIKE 'XX%' OR stage NOT IN ('convert', 'call')
			THEN 'WRONG ' || stage || ': ' || state || ' '
				|| left(regexp_replace(message, '[^ -~]+', ' ', 'g'), 200)
		WHEN stage = 'convert' THEN 'bytes ' || state
		ELSE 'refused ' || state
	END $$;

CREATE FUNCTION fuzz.add(raw_project bytea, raw_version bytea, up bytea,
	down bytea, verify bytea, raw_name bytea, raw_requires bytea[], kind text,
	transactional bool, irreversible bool) RETURNS text LANGUAGE plpgsql AS $$
<<mine>>
DECLARE
	stage text := 'convert';
	project text; version text; up_text text; down_text text; verify_text text;
	name text; requires text[]; stored migrate.migration; before text;
BEGIN
	project := fuzz.text(raw_project);
	version := fuzz.text(raw_version);
	up_text := fuzz.text(up);
	down_text := fuzz.text(down);
	verify_text := fuzz.text(verify);
	name := fuzz.text(raw_name);
	requires := fuzz.texts(raw_requires);
	stage := 'call';
	PERFORM migrate.add(version, up_text, down_text, name, requires, verify_text,
		kind, transactional, irreversible, project);
	stage := 'compare';
	SELECT * INTO STRICT stored FROM migrate.migration m
		WHERE m.project = mine.project AND m.version = mine.version;
	IF (fuzz.bytes(stored.up), fuzz.bytes(stored.down), fuzz.bytes(stored.verify))
		IS DISTINCT FROM (up, down, verify) THEN
		PERFORM fuzz.wrong('the texts are not those that were given');
	END IF;
	stage := 'again';
	before := fuzz.places();
	PERFORM migrate.add(version, up_text, down_text, name, requires, verify_text,
		kind, transactional, irreversible, project);
	IF fuzz.places() IS DISTINCT FROM before THEN
		PERFORM fuzz.wrong('the second call has written something');
	END IF;
	stage := 'look';
	PERFORM fuzz.look(project);
	RAISE SQLSTATE 'FZ000';
EXCEPTION WHEN OTHERS THEN
	RETURN fuzz.outcome(stage, SQLSTATE, SQLERRM);
END $$;

-- files of a call of load() in one of its forms
CREATE TABLE fuzz.file (path text, content text);
CREATE FUNCTION fuzz.load_once(how text, directory text, paths text[],
	contents text[], convention text, project text)
	RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	CASE how
	WHEN 'load' THEN
		RETURN QUERY SELECT l.result FROM migrate.load(jsonb_object(paths, contents),
			convention, project => load_once.project) l;
	WHEN 'table' THEN
		DELETE FROM fuzz.file;
		INSERT INTO fuzz.file SELECT * FROM unnest(paths, contents);
		RETURN QUERY SELECT l.result FROM migrate.load_table('fuzz.file', convention,
			project => load_once.project) l;
	ELSE
		RETURN QUERY SELECT l.result FROM migrate.load_directory(directory, convention,
			project => load_once.project) l;
	END CASE;
END $$;

-- is each stored text the file, or the sections of it, that it has to be?
CREATE FUNCTION fuzz.compare(project text, paths bytea[], contents bytea[],
	native_up bytea[], native_down bytea[], native_verify bytea[],
	goose_up bytea[], goose_down bytea[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	stored migrate.migration;
	used bytea[] := '{}';
	i int; down bytea; verify bytea; up bytea; source text;
BEGIN
	FOR stored IN SELECT * FROM migrate.migration m WHERE m.project = compare.project
	LOOP
		source := stored.source;
		i := array_position(paths, fuzz.bytes(stored.path));
		up := CASE WHEN source IN ('native', 'name') THEN native_up[i]
			WHEN source = 'goose' THEN goose_up[i] ELSE contents[i] END;
		down := CASE
			WHEN stored.down_path IS NOT NULL
				THEN contents[array_position(paths, fuzz.bytes(stored.down_path))]
			WHEN source IN ('native', 'name') THEN native_down[i]
			WHEN source = 'goose' THEN goose_down[i] END;
		verify := CASE
			WHEN stored.verify_path IS NOT NULL
				THEN contents[array_position(paths, fuzz.bytes(stored.verify_path))]
			WHEN source IN ('native', 'name') THEN native_verify[i] END;

		-- sections whose markers are not modelled here: each is a piece of the file
		IF source IN ('sql-migrate', 'node-pg-migrate', 'tern', 'mybatis', 'play', 'micrate', 'rambler') THEN
			up := CASE WHEN position(fuzz.bytes(stored.up) IN contents[i]) > 0 THEN fuzz.bytes(stored.up) END;
			down := CASE WHEN stored.down IS NULL THEN NULL
				WHEN stored.down_path IS NOT NULL THEN down
				WHEN position(fuzz.bytes(stored.down) IN contents[i]) > 0 THEN fuzz.bytes(stored.down) ELSE '' END;
		END IF;
		IF (fuzz.bytes(stored.up), fuzz.bytes(stored.down), fuzz.bytes(stored.verify))
			IS DISTINCT FROM (up, down, verify) THEN
			PERFORM fuzz.wrong(source || ': the texts are not those of the files');
		END IF;
		used := used || fuzz.bytes(stored.path) || fuzz.bytes(stored.down_path)
			|| fuzz.bytes(stored.verify_path);
	END LOOP;
	IF source NOT IN ('diesel', 'sqitch') AND EXISTS (
		SELECT FROM unnest(paths) AS p WHERE p <> ALL (used)
			AND lower(encode(substr(p, greatest(length(p) - 3, 1)), 'escape')) = '.sql') THEN
		PERFORM fuzz.wrong(source || ': a file was left out');
	END IF;
END $$;

CREATE FUNCTION fuzz.load(raw_project bytea, how text, directory text,
	convention text, raw_paths bytea[], raw_contents bytea[],
	native_up bytea[], native_down bytea[], native_verify bytea[],
	goose_up bytea[], goose_down bytea[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	stage text := 'convert';
	project text; paths text[]; contents text[]; results text[]; before text;
BEGIN
	project := fuzz.text(raw_project);
	IF how <> 'directory' THEN
		paths := fuzz.texts(raw_paths);
		contents := fuzz.texts(raw_contents);
	END IF;
	stage := 'call';
	results := ARRAY(SELECT * FROM fuzz.load_once(how, directory, paths, contents,
		convention, project));
	stage := 'compare';
	IF 'added' <> ANY (results) THEN
		PERFORM fuzz.wrong('the first call says ' || results::text);
	END IF;
	PERFORM fuzz.compare(project, raw_paths, raw_contents, native_up,
		native_down, native_verify, goose_up, goose_down);
	stage := 'again';
	before := fuzz.places();
	results := ARRAY(SELECT * FROM fuzz.load_once(how, directory, paths, contents,
		convention, project));
	IF 'unchanged' <> ANY (results) THEN
		PERFORM fuzz.wrong('the second call says ' || results::text);
	END IF;
	IF fuzz.places() IS DISTINCT FROM before THEN
		PERFORM fuzz.wrong('the second call has written something');
	END IF;
	stage := 'look';
	PERFORM fuzz.look(project);
	IF results = '{}' THEN
		RAISE SQLSTATE 'FZ002';
	END IF;
	RAISE SQLSTATE 'FZ000';
EXCEPTION WHEN OTHERS THEN
	RETURN fuzz.outcome(stage, SQLSTATE, SQLERRM);
END $$;
END

# ---------------------------------------------------------------------------
# A case as a statement
# ---------------------------------------------------------------------------

sub bytea
{
	my ($bytes) = @_;
	return defined $bytes ? "decode('" . unpack('H*', $bytes) . "', 'hex')" : 'null';
}

sub bytea_array
{
	return 'ARRAY[' . join(', ', map { bytea($_) } @_) . ']::bytea[]';
}

sub bool
{
	my ($value) = @_;
	return !defined $value ? 'null' : $value ? 'true' : 'false';
}

my $directories = PostgreSQL::Test::Utils::tempdir();

# Write the files of a case that a directory can have; returns them.
sub write_files
{
	my ($directory, $files) = @_;
	my %written;

	make_path($directory);
	foreach my $path (sort keys %$files)
	{
		next
		  if $path eq '' || $path =~ m{\0|(?:^|/)(?:\.|/|\z)|[^/]{256}}
		  || length($path) > 900;
		my ($parent) = $path =~ m{\A(.*)/};

		make_path("$directory/$parent", { error => \my $errors }) if defined $parent;
		open(my $file, '>:raw', "$directory/$path") or next;
		print $file $files->{$path};
		close($file) or die "could not write $directory/$path: $!";
		$written{$path} = $files->{$path}
		  if $path =~ /[^\/]\.(?:sql|plan|toml|conf)\z/;
	}
	return \%written;
}

sub statement
{
	my ($number, $case, $encoding) = @_;
	my ($how, $files) = @$case{qw(call files)};
	my $directory = '';

	return "SELECT $number, fuzz.add("
	  . join(', ',
		map({ bytea($_) } @$case{qw(project version up down verify name)}),
		bytea_array(@{ $case->{requires} }),
		"'$case->{kind}'", bool($case->{transactional}),
		bool($case->{irreversible})) . ");\n"
	  if $how eq 'add';

	# a directory is read as UTF-8, which other encodings do not get back
	$how = 'load' if $how eq 'directory' && $encoding ne 'UTF8';
	if ($how eq 'directory')
	{
		$directory = "$directories/$number";
		$files = write_files($directory, $files);
	}
	my @paths = sort keys %$files;
	my @native = map { [ cut_native($files->{$_}) ] } @paths;
	my @goose = map { [ cut_goose($files->{$_}) ] } @paths;

	return "SELECT $number, fuzz.load("
	  . join(', ',
		bytea($case->{project}), "'$how'", "'$directory'",
		"'$case->{convention}'", bytea_array(@paths),
		bytea_array(map { $files->{$_} } @paths),
		(map { my $i = $_; bytea_array(map { $_->[$i] } @native) } 0 .. 2),
		(map { my $i = $_; bytea_array(map { $_->[$i] } @goose) } 0 .. 1))
	  . ");\n";
}

# ---------------------------------------------------------------------------
# Running them
# ---------------------------------------------------------------------------

# The server's process and its start, when it answers.
sub postmaster
{
	$node->poll_query_until('postgres', 'SELECT true')
	  or die 'the server does not answer';
	my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /\A(\d+)/;
	return $pid . ' '
	  . $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
}

# Start psql with the cases of a batch, which are all in one database.
sub start_batch
{
	my ($batch) = @_;
	my $database = $databases[ $batch % @databases ];
	my $file = "$directories/batch.sql";
	my @numbers = defined $only ? ($only)
	  : ($batch * $batch_size .. ($batch + 1) * $batch_size - 1);
	my %cases;

	open(my $sql, '>:raw', $file) or die "could not write $file: $!";
	print $sql "SET statement_timeout = '60s';\n",
	  "SET client_min_messages = error;\n";
	foreach my $number (@numbers)
	{
		my $case = case_of($seed, $number, $database->{encoding});
		my $statement = statement($number, $case, $database->{encoding});

		$cases{$number} = $case;
		print $sql $statement;
		diag($statement) if defined $only;
	}
	close($sql) or die "could not write $file: $!";
	local $ENV{PGOPTIONS} = $settings[ int($batch / @databases) % @settings ];
	open(
		my $psql, '-|', $node->installed_command('psql'), '-XAtq',
		'-v', 'ON_ERROR_STOP=1', '-f', $file,
		'-d', $node->connstr($database->{name}) . ' user=app')
	  or die "could not start psql: $!";
	return { psql => $psql, cases => \%cases, database => $database };
}

my $cases = 0;
my $calls = 0;
my (%outcomes, %stored, @wrong);

# Read what a batch has to say; false if it has not come to its end.
sub finish_batch
{
	my ($batch) = @_;
	my $psql = $batch->{psql};
	my %waiting = %{ $batch->{cases} };

	while (my $line = <$psql>)
	{
		chomp $line;
		my ($number, $outcome) = split /\|/, $line, 2;
		my $case = delete $waiting{$number};
		my $what = $case->{made_as} // 'add';

		$cases++;
		$calls += $outcome eq 'stored' ? 2 : 1 if $outcome !~ /^bytes/;
		$stored{"$what $batch->{database}{encoding}"}++ if $outcome eq 'stored';
		$outcomes{ $outcome =~ s/ .*//r }{ $outcome =~ s/^\w+ ?//r }++
		  if $outcome !~ /^WRONG/;
		push @wrong, "case $number ($what): $outcome" if $outcome =~ /^WRONG/;
	}
	close($psql);
	return 1 if !%waiting;
	push @wrong, 'psql ended in case ' . (sort { $a <=> $b } keys %waiting)[0];
	return 0;
}

# Which kinds of migrations have not been stored in which encodings yet.
sub missing
{
	return grep { !$stored{$_} }
	  map { my $d = $_; map { "$_ $d->{encoding}" } 'add', Fuzz::conventions() }
	  @databases;
}

# Run batches for as long as there is time, and on a slow machine until there was
# something of every kind.
sub run_batches
{
	my ($deadline) = @_;
	my $batch = defined $only ? int($only / $batch_size) : 0;
	my $running = start_batch($batch);

	while (1)
	{
		my $alive = finish_batch($running);

		remove_tree(glob("$directories/[0-9]*"));
		last if !$alive || defined $only || @wrong > 20;
		last if time > $deadline && ($cases > 20_000 || !missing());
		$running = start_batch(++$batch);
	}
	return;
}

my $statements = read_seeds("$FindBin::RealBin/../..");

$node->safe_psql('postgres',
	'CREATE ROLE app LOGIN; GRANT pg_read_server_files TO app');
foreach my $database (@databases)
{
	$node->safe_psql('postgres',
		"CREATE DATABASE $database->{name} OWNER app TEMPLATE template0"
		  . " ENCODING '$database->{encoding}' LOCALE '$database->{locale}'");
	query($node, $database->{name}, 'app', "CREATE EXTENSION migrate; $functions");
}

my $started = postmaster();
my $log_start = log_size($node);
my $began = time;

note("seed $seed, $seconds s, $statements statements to begin with");
run_batches($began + $seconds);
diag(
	sprintf(
		'seed %s: %d cases, %d calls of add() and load(), %d stored, %.0f s',
		$seed, $cases, $calls, $outcomes{stored}{''} // 0, time - $began));
foreach my $outcome (sort keys %outcomes)
{
	note(join(' ', "$outcome:",
			map { "$_ $outcomes{$outcome}{$_}" } sort keys %{ $outcomes{$outcome} }));
}

# ---------------------------------------------------------------------------
# What must hold
# ---------------------------------------------------------------------------

is(join("\n", @wrong), '', "every case ends as it has to, with seed $seed");
is(postmaster(), $started, 'the server is the one that was started');
my @bad_lines = grep {
	/^\S+ \S+ \S+ \[\d+\] (?:XX\w+ |.*(?:was terminated by signal|TRAP:|PANIC:|leak|write past chunk|alloc set|memory context))/
	  || /^TRAP:|Sanitizer:|runtime error:/
} split /\n/, log_since($node, $log_start);
is(join("\n", @bad_lines), '', 'the log has no crash, internal error or leak');

# so that none of this is true because nothing was stored
if (!defined $only)
{
	is(join(', ', missing()), '',
		'migrations of every kind were stored in every encoding');
	ok($outcomes{refused} && $outcomes{bytes}, 'others were refused');
}
$node->stop;
done_testing();
