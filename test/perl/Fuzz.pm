# Fuzz: migrations and sets of files as nobody would write them
#
# case_of(SEED, NUMBER, ENCODING) returns the same case for the same arguments,
# whatever was made before it.  All texts are bytes.

package Fuzz;

use strict;
use warnings;

use Exporter qw(import);
use PostgreSQL::Test::Utils;

our @EXPORT = qw(read_seeds case_of cut_native cut_goose odd_value likely_value);

my @statements;
my @good_statements;	# those that begin as statements do
my @words;

# ---------------------------------------------------------------------------
# Seeds
# ---------------------------------------------------------------------------

# What the server has rules of its own for, or the extension has.
my @own_statements = split /\n%%\n/, <<'END';
BEGIN; CREATE TABLE a (id int); COMMIT
%%
START TRANSACTION; SELECT 1; END; BEGIN WORK; SELECT 2; COMMIT WORK
%%
BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT AND CHAIN
%%
SAVEPOINT a; ROLLBACK TO a; RELEASE a; PREPARE TRANSACTION 'a'
%%
COMMIT PREPARED 'a'; ROLLBACK PREPARED 'b'
%%
CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON a USING gin ((lower(b)) DESC) INCLUDE (c) WHERE d
%%
DROP INDEX CONCURRENTLY i; REINDEX (CONCURRENTLY off, VERBOSE) TABLE a; REINDEX SCHEMA CONCURRENTLY s
%%
REINDEX (CONCURRENTLY 2) INDEX i; REINDEX SYSTEM d; REINDEX (TABLESPACE t) DATABASE d
%%
VACUUM (FULL, ANALYZE off) a (b); ANALYZE a; CLUSTER; CLUSTER a USING i
%%
ALTER TABLE p DETACH PARTITION c CONCURRENTLY; ALTER TABLE p DETACH PARTITION c FINALIZE
%%
CREATE DATABASE d TABLESPACE t; ALTER DATABASE d SET TABLESPACE t; ALTER DATABASE d SET work_mem = 1; DROP DATABASE d (FORCE)
%%
CREATE SUBSCRIPTION s CONNECTION 'c' PUBLICATION p WITH (create_slot = false, connect = 'no'); DROP SUBSCRIPTION s
%%
ALTER SUBSCRIPTION s SET PUBLICATION p WITH (refresh = maybe); ALTER SUBSCRIPTION s REFRESH PUBLICATION
%%
ALTER SUBSCRIPTION s SET (two_phase = on, failover, slot_name = NONE)
%%
ALTER SYSTEM SET work_mem = '1MB'; DISCARD ALL; DISCARD TEMP; CHECKPOINT; LOAD 'x'
%%
COPY t FROM stdin; COPY t TO STDOUT (FORMAT csv); COPY t FROM PROGRAM 'x'; COPY (SELECT 1) TO '/x'
%%
COPY t FROM stdin;
1	\N
\.

%%
SET standard_conforming_strings TO off; SET standard_conforming_strings = 'on'; SET LOCAL standard_conforming_strings TO DEFAULT
%%
SET search_path = a, "b"; SET TIME ZONE LOCAL; RESET ALL; SET SESSION AUTHORIZATION DEFAULT; SET ROLE r; SET a.b = 1e5
%%
DROP EXTENSION migrate CASCADE; ALTER EXTENSION migrate DROP TABLE migrate.journal; CREATE EXTENSION migrate
%%
\restrict aBc123
SELECT 1;
\unrestrict aBc123
%%
CREATE FUNCTION f(a int, OUT b int) LANGUAGE sql BEGIN ATOMIC SELECT a; SELECT CASE WHEN a > 1 THEN 2 END; END; SELECT 2
%%
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN EXECUTE $$ SELECT 'a;b' $$; END $f$
%%
CREATE RULE r AS ON INSERT TO a DO ALSO (INSERT INTO b VALUES (1); NOTIFY n)
%%
DO $$ BEGIN COMMIT; END $$; CALL p(1, b => 2); EXECUTE q(1); PREPARE q AS SELECT $1; DEALLOCATE q
%%
SELECT U&'\0441\+000061' UESCAPE '!', U&"d\0061t", E'\x41\u00e9\'\\', B'01', X'1F', N'n', $1, 'a'
  'b', 1.5e-3, 9999999999999999999
%%
/* a /* b */ ; */ -- ;
SELECT ';' /* unfinished
%%
CREATE TABLE t (a int DEFAULT 1 CHECK (a > 0) REFERENCES b DEFERRABLE INITIALLY DEFERRED, PRIMARY KEY (a)) PARTITION BY RANGE (a)
%%
ALTER TABLE t ADD COLUMN a int, ALTER b TYPE text USING b::text, DROP COLUMN IF EXISTS c CASCADE, ENABLE ROW LEVEL SECURITY
%%
WITH RECURSIVE x AS MATERIALIZED (SELECT 1 UNION ALL TABLE x) INSERT INTO t SELECT * FROM x ON CONFLICT DO NOTHING RETURNING *
%%
MERGE INTO t USING s ON t.a = s.a WHEN MATCHED AND t.b THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)
%%
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT 1; FETCH ALL c; MOVE 1 IN c; CLOSE ALL; LISTEN n; LOCK TABLE a; EXPLAIN ANALYZE SELECT 1
%%
CREATE SCHEMA s CREATE TABLE t (a int) CREATE VIEW v AS SELECT 1; GRANT ALL ON ALL TABLES IN SCHEMA s TO PUBLIC
END

# Read what cases are made of from a checkout.
sub read_seeds
{
	my ($top) = @_;
	my %seen;

	@statements = @own_statements;
	foreach my $file (sort glob("$top/examples/*/*.sql $top/test/sql/*.sql"))
	{
		my $text = slurp_file($file);

		push @statements, split /;[ \t]*\n/, $text;
		next if $file !~ m{/test/sql/};

		# the bodies that regression tests give to the functions
		while ($text =~ /(E?)'((?:[^'\\]|''|\\.)+)'|\$(\w*)\$(.+?)\$\3\$/gs)
		{
			my ($escapes, $body) = ($1, $2 // $4);
			next if length($body) < 12;
			$body =~ s/''/'/g if defined $2;
			$body =~ s/\\([nrt])/{n => "\n", r => "\r", t => "\t"}->{$1}/ge
			  if $escapes;
			push @statements, $body;
		}
	}
	@statements = grep { /\S/ && length($_) < 4000 && !$seen{$_}++ } @statements;
	@good_statements = grep {
		/\A\s*(?:--[^\n]*\n\s*)*
			(?:CREATE|ALTER|DROP|INSERT|UPDATE|DELETE|GRANT|COMMENT|SELECT\s[^']*\z)/x
	} @statements;
	@words = (
		';', ';', '$$', '$a$', '/*', '*/', '--', "\n", "'", '"', "E'", "U&'",
		'\\', "\\restrict x\n", "\\unrestrict x\n", '(', ')', ',', '.', ':=',
		'$1', '$99999999999', '1e', '0x', "\t", "\r", "\r\n", '::', "'\\'",
		"-- migrate:down\n", "-- +goose Down\n", "\xEF\xBB\xBF", 'deferrable',
		'x' x 70, '(' x 50, 'BEGIN', 'COMMIT', 'END', 'ATOMIC', 'CONCURRENTLY');
	undef %seen;
	push @words, grep { !$seen{$_}++ } map { /(\w+)/g } @own_statements;
	return scalar @statements;
}

# ---------------------------------------------------------------------------
# Chance
# ---------------------------------------------------------------------------

sub one_of { return $_[ rand @_ ] }

sub chance { return rand() < $_[0] }

# A character of the encoding, beyond ASCII most times.
sub character
{
	my ($encoding) = @_;

	return chr(1 + int rand 127) if chance(0.3);
	return chr(1 + int rand 255) if $encoding eq 'SQL_ASCII';
	if ($encoding eq 'EUC_JP')
	{
		my $kanji = pack('CC', 0xA1 + rand 94, 0xA1 + rand 94);
		return one_of($kanji, "\x8F$kanji", "\x8E" . chr(0xA1 + int rand 63));
	}
	my $code = one_of(0x80, 0xA0, 0xE9, 0x2028, 0xFEFF, 0xFFFF, 0x10FFFF,
		0x80 + int rand 0x780, 0x3000 + int rand 0x5000,
		0x10000 + int rand 0x10000);
	my $char = chr($code);
	utf8::encode($char);
	return $char;
}

# Bytes, of the encoding or any.
sub bytes
{
	my ($encoding, $length) = @_;

	return join('', map { character($encoding) } 1 .. $length)
	  if chance(0.7);
	return join('', map { chr(int rand 256) } 1 .. $length);
}

sub mutate_tokens
{
	my ($text) = @_;
	my @tokens =
	  $text =~ /(\s+|\w+|'(?:[^']|'')*'|\$\w*\$|--[^\n]*|.)/gs;

	return one_of(@words) if !@tokens;
	foreach (1 .. 1 + int rand 3)
	{
		my $at = int rand @tokens;
		my $other = int rand @tokens;
		my $what = int rand 5;

		if ($what == 0) { $tokens[$at] = '' }
		elsif ($what == 1) { $tokens[$at] .= " $tokens[$other]" }
		elsif ($what == 2)
		{
			@tokens[ $at, $other ] = @tokens[ $other, $at ];
		}
		elsif ($what == 3) { $tokens[$at] = one_of(@words) }
		else { $tokens[$at] .= ' ' . one_of(@words) . ' ' }
	}
	return join('', @tokens);
}

sub mutate_bytes
{
	my ($text, $encoding) = @_;

	foreach (1 .. 1 + int rand 3)
	{
		my $at = int rand(1 + length $text);
		my $what = int rand 4;

		if ($what == 0) { substr($text, $at, 0) = character($encoding) }
		elsif ($what == 1) { substr($text, $at, rand 4) = '' }
		elsif ($what == 2) { substr($text, $at, rand 4) = bytes($encoding, 1) }
		elsif ($at < length $text)
		{
			substr($text, $at, 1) ^= chr(1 << int rand 8);
		}
	}
	return $text;
}

sub mutate
{
	my ($text, $encoding) = @_;
	my $what = int rand 8;

	return mutate_tokens($text) if $what < 3;
	return mutate_bytes($text, $encoding) if $what < 5;
	return substr($text, 0, rand length $text) if $what == 5;
	if ($what == 6)
	{
		my $other = one_of(@statements);
		return substr($text, 0, rand length $text)
		  . substr($other, rand length $other);
	}
	$text =~ s/\n/\r\n/g;
	return $text;
}

# A body.
sub sql
{
	my ($encoding) = @_;

	return bytes($encoding, rand 60) if chance(0.04);
	return one_of('', ' ', ';', "\n", '--', '/**/', ';;;') if chance(0.04);

	my $text = join(
		one_of(";\n", ';', ";\n\n-- next\n"),
		map { chance(0.7) ? one_of(@good_statements) : one_of(@statements) }
		  1 .. 1 + int rand 3);
	$text .= one_of(";\n", ';', '', "\n", '--', ";\r\n");
	$text = mutate($text, $encoding) while chance(0.3);
	return $text;
}

# ---------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------

sub number
{
	return one_of('0', '1', '001', '2', '10', '0010', '20240101120000',
		'99999999999999999999999', 1 + int rand 50);
}

sub word
{
	return one_of('a', 'create_users', 'x__y', 'B', 'up', 'down', 'verify',
		'head', '', 'z' x (rand 200));
}

# Each convention: a list of path and content pairs.
my %makers = (
	native => sub {
		my $encoding = shift;
		my $text = '';

		$text .= one_of(
			"-- migrate:requires 1 2\n", "-- migrate:repeatable\n",
			"-- migrate:transactional off\n", "-- migrate:irreversible\n",
			"--migrate:requires\t" . number() . " x:1\r\n", "-- a comment\n",
			"/* a\n/* b */ */\n", "\xEF\xBB\xBF", "\n") while chance(0.4);
		$text .= one_of('-- migrate:up', '--migrate:UP',
			"-- migrate:up transaction:false", '-- migrate:up transaction:true')
		  . one_of("\n", "\r\n") . sql($encoding) . "\n"
		  if chance(0.9);
		$text .= "-- migrate:" . one_of('down', 'down', 'verify', 'up', 'Down')
		  . one_of("\n", "\r\n", ' ') . sql($encoding) . one_of("\n", '')
		  while chance(0.5);
		return (number() . '_' . word() . '.sql', $text);
	},
	plain => sub {
		my $base = number() . '_' . word();
		return ("$base.sql", sql(@_),
			chance(0.6) ? ("$base.down.sql", sql(@_)) : (),
			chance(0.3) ? ("$base.verify.sql", sql(@_)) : ());
	},
	name => sub {
		my $base = word() . number();
		return ("$base.sql", sql(@_),
			chance(0.6) ? ("$base.down.sql", sql(@_)) : ());
	},
	'golang-migrate' => sub {
		my $base = number() . '_' . word();
		return ("$base.up.sql", sql(@_),
			chance(0.8) ? ("$base.down.sql", sql(@_)) : ());
	},
	sqlx => sub {
		return (number() . '_' . word() . one_of('.sql', '.up.sql'),
			one_of('', "-- no-transaction\n") . sql(@_));
	},
	goose => sub {
		my $encoding = shift;
		my $text = one_of('', "-- +goose NO TRANSACTION\n", "\n", "-- x\n");

		$text .= "-- +goose Up\n" . sql($encoding) . "\n";
		$text .= "-- +goose StatementBegin\n" . sql($encoding)
		  . "\n-- +goose StatementEnd\n"
		  if chance(0.4);
		$text .= "-- +goose Down\r\n" . sql($encoding) if chance(0.7);
		return (number() . '_' . word() . '.sql', $text);
	},
	diesel => sub {
		my $directory = one_of('', 'm/', 'm/n/')
		  . one_of('2024-01-01-120000', '00000000000000', number(), '-')
		  . one_of('_', '')
		  . word();
		return (
			"$directory/up.sql", sql(@_),
			chance(0.8) ? ("$directory/down.sql", sql(@_)) : (),
			chance(0.3)
			? ( "$directory/metadata.toml",
				one_of('', "# x\n", "[a]\n", "\"run_in_transaction\" = true\n")
				  . 'run_in_transaction = '
				  . one_of('true', 'false # x', 'FALSE', 'maybe', ''))
			: ());
	},
	flyway => sub {
		my $base = one_of('V', 'V', 'U', 'R', 'B') . one_of(number(), '1.2', '1_2', '1..', '')
		  . '__' . word();
		return (
			"$base.sql", sql(@_),
			chance(0.3)
			? ( "$base.sql.conf",
				one_of('executeInTransaction', 'encoding', 'shouldExecute',
					'placeholderReplacement', 'x')
				  . one_of('=', ' = ', '') . one_of('true', 'false', 'UTF-8'))
			: ());
	},
	sqitch => sub {
		my @names = map { one_of('a', 'b', 'c', 'dir/d', word() || 'e') }
		  1 .. 1 + int rand 4;
		my $plan = one_of('', "%syntax-version=1.0.0\n%project=p\n\n", "%project\n");
		my @files;

		foreach my $name (@names)
		{
			$plan .= $name
			  . one_of('', '', " [$names[0]]", " [!$names[0] p:$names[-1] :@]",
				" [$names[0]\@v1 a\@HEAD^2]", ' [')
			  . ' 2024-01-31T23:59:59Z A B <a@b>'
			  . one_of('', ' # note') . "\n";
			$plan .= one_of('@v1', '@v2') . " 2024-01-31T23:59:59Z A <a>\n"
			  if chance(0.4);
			push @files, "deploy/$name.sql", sql(@_);
			push @files, "revert/$name.sql", sql(@_) if chance(0.7);
			push @files, "verify/$name.sql", sql(@_) if chance(0.5);
			push @files, "deploy/$name\@v1.sql", sql(@_) if chance(0.3);
		}
		return ('sqitch.plan', $plan, @files);
	});
my @conventions = sort keys %makers;

sub conventions { return @conventions }

my @odd = (
	' ', '.', '_', '__', '-', '/', '\\', '%', "\n", "\t", "'", '"', '$', '#',
	':', '@', '../', './', '//', '.sql', '.SQL', '.down', '.up', '.verify',
	'.conf', '~', '*', '0', 'V', 'R__', 'x' x 300);

sub mutate_name
{
	my ($name, $encoding) = @_;
	my $at = int rand(1 + length $name);
	my $what = int rand 6;

	if ($what < 3) { substr($name, $at, 0) = one_of(@odd) }
	elsif ($what == 3) { substr($name, $at, rand 3) = '' }
	elsif ($what == 4) { substr($name, $at, 0) = character($encoding) }
	else { $name = one_of(uc $name, "a/$name", "a/b c/$name", "$name.sql", '') }
	return $name;
}

# The sections of a file in the native form: up, down, verify.
sub cut_native
{
	my ($content) = @_;
	my %sections;
	my $section;
	my $text = $content =~ s/\A\xEF\xBB\xBF//r;

	foreach my $line (split /(?<=\n)|(?<=\r)(?!\n)/, $text)
	{
		if ($line =~
			/\A[ \t]*--[ \t]*migrate:(up|down|verify)(?![^ \t\r\n\x0B\f])/i)
		{
			$section = lc $1;
			$sections{$section} //= '';
		}
		elsif (defined $section)
		{
			$sections{$section} .= $line;
		}
	}
	return ($content, undef, undef) if !defined $section;
	delete $sections{verify}
	  if ($sections{verify} // '') =~ /\A[ \t\r\n\x0B\f]*\z/;
	return @sections{qw(up down verify)};
}

# The sections of a file of goose: up, down.
sub cut_goose
{
	my ($content) = @_;
	my %sections;
	my $section;
	my $text = $content =~ s/\A\xEF\xBB\xBF//r;

	foreach my $line (split /(?<=\n)|(?<=\r)(?!\n)/, $text)
	{
		if ($line =~ /\A[ \t]*--[ \t]*\+goose(.*)/is)
		{
			my $words = lc join(' ', grep { $_ ne '' } split /[ \t\r\n\x0B\f]+/, $1);
			if ($words eq 'up' || $words eq 'down')
			{
				$section = $words;
				$sections{$section} //= '';
				next;
			}
		}
		next if !defined $section;
		$sections{$section} .= $line;
	}
	return @sections{qw(up down)};
}

# ---------------------------------------------------------------------------
# Cases
# ---------------------------------------------------------------------------

sub odd_text
{
	my ($text, $encoding) = @_;
	$text = mutate_name($text, $encoding) while chance(0.15);
	return $text;
}

sub add_case
{
	my ($encoding) = @_;

	return {
		call => 'add',
		project => odd_text('p', $encoding),
		version => odd_text(number() . one_of('', '.1', 'a'), $encoding),
		up => sql($encoding),
		down => chance(0.6) ? sql($encoding) : undef,
		verify => chance(0.3) ? sql($encoding) : undef,
		name => chance(0.5) ? odd_text(word(), $encoding) : undef,
		requires => [ map { odd_text(number(), $encoding) } 1 .. rand 3 ],
		kind => one_of(('versioned') x 8, 'repeatable', 'repeatable', 'odd'),
		transactional => one_of((undef) x 6, 0, 1),
		irreversible => chance(0.05)
	};
}

sub load_case
{
	my ($encoding) = @_;
	my $convention = one_of(@conventions);
	my %files;

	# more files than one rarely fit together when they are mutated much
	do
	{
		my @files = $makers{$convention}->($encoding);
		while (my ($path, $content) = splice(@files, 0, 2))
		{
			$path = mutate_name($path, $encoding) while chance(0.06);
			$content = mutate($content, $encoding) while chance(0.12);
			$files{$path} = $content;
		}
	} while (chance(0.4));
	$files{ odd_text(one_of('README.md', 'a.plan', 'x.toml', 'y.conf'), $encoding)
	  } = sql($encoding)
	  if chance(0.2);

	return {
		call => one_of(qw(load load load table directory)),
		project => odd_text('p', $encoding),
		made_as => $convention,
		convention =>
		  one_of(('auto') x 4, ($convention) x 5, one_of(@conventions), 'odd'),
		files => \%files
	};
}

# ---------------------------------------------------------------------------
# Values
# ---------------------------------------------------------------------------

my @texts = (
	'NULL', "''", "'a'", "'1'", "'2'", "'3'", "'default'", "'head'", "'base'",
	"repeat('x', 5000)", "E'a\\nb'", "E'\\x1b[2J'", "'%s%n%d'", "'up'", "'down'",
	"'apply'", "'rollback'", "'success'", "'failure'", "'22012'", "'00000'", "'error'",
	"'json'", "'markdown'", "'look'", "'app'", "'/nowhere'", "'../x'", "'auto'",
	"repeat('/*', 200)", "repeat('(', 20000)", "'SELECT 1'", "'SELECT 1; VACUUM'",
	"'\\'", "E'\\''", "chr(1114111)", "encode(sha256('SELECT 1'), 'hex')");

# type => SQL of values that nobody would give
my %odd_values = (
	text => \@texts,
	integer => [ qw(NULL 0 -1 1 2 3 2147483647 -2147483648) ],
	smallint => [ qw(NULL 0 -1 1 32767) ],
	bigint => [ qw(NULL 0 -1 1 2 3 281474976710655 281474976710656 9223372036854775807 -9223372036854775808) ],
	boolean => [ qw(NULL true false) ],
	'double precision' => [ 'NULL', '0', '-1', '1e308', "'NaN'", "'Infinity'", "'-Infinity'" ],
	'timestamp with time zone' => [
		'NULL', 'now()', "'infinity'", "'-infinity'", "'4714-11-24 00:00:00+00 BC'",
		"'294276-12-31'" ],
	interval => [ 'NULL', "'0'", "'-1 day'", "'178000000 years'", "'-178000000 years'", "'1 us'", "'1 s'" ],
	'text[]' => [
		'NULL', "'{}'", "'{NULL}'", "'{a,NULL}'", "'{{a},{b}}'", "'{\"\"}'",
		"'[5:6]={1,2}'", "'{1}'", "'{1,1}'", "'{3,2,1}'",
		'(SELECT array_agg(i::text) FROM generate_series(1, 2000) i)' ],
	oid => [ 'NULL', '0', '4294967295', "'pg_class'::regclass::oid" ],
	'oid[]' => [ 'NULL', "'{}'", "'{NULL}'", "'{0}'", "'{{1},{2}}'", "'[9:9]={4294967295}'" ],
	jsonb => [
		'NULL', "'{}'", "'null'", "'[]'", "'1'", "'\"x\"'", "'{\"\": \"\"}'",
		"'{\"1_a.sql\": null}'", "'{\"1_a.sql\": {\"b\": [1]}}'", "'{\"1_a.sql\": \"SELECT 1\"}'",
		"(repeat('[', 2000) || repeat(']', 2000))::jsonb",
		"(repeat('{\"a\":', 2000) || '1' || repeat('}', 2000))::jsonb",
		"jsonb_build_object('1_a.sql', repeat('SELECT 1; ', 5000))",
		"(SELECT jsonb_object_agg(i || '_a.sql', 'SELECT 1') FROM generate_series(1, 300) i)" ],
	regclass => [ 'NULL', "'pg_class'", "'migrate.migration'", "'migrate.failures'", '0', '4294967295', "'pg_stat_activity'" ],
	inet => [ 'NULL', "'::1'" ],
	xid8 => [ 'NULL', "'18446744073709551615'" ],
	pg_lsn => [ 'NULL', "'FFFFFFFF/FFFFFFFF'" ],
	'migrate.statement_timing[]' => [
		'NULL', "'{}'", "'{NULL}'", "'{\"(,,,,)\"}'", "'{\"(up,1,SELECT,1,1)\"}'",
		"'{{\"(up,1,x,1,1)\"}}'", "'{\"(odd,-5,,NaN,-1)\"}'",
		"'{\"(up,2147483647,x,Infinity,9223372036854775807)\"}'" ]);

# An odd value of a type, as SQL.
sub odd_value
{
	my ($type) = @_;
	my $values = $odd_values{$type};

	return 'NULL' if !$values;
	my $value = one_of(@$values);
	return $value eq 'NULL' ? "NULL::$type" : $value =~ /^'/ ? "$value\::$type" : $value;
}

# Values that a constraint lets in, so that enough rows arrive: by column.
my %likely_values = (
	project => ["'default'"], target => ["''"],
	version => [ "'1'", "'2'", "'3'", "'4'", "'r'", "'9'" ],
	kind => [ "'versioned'", "'repeatable'" ], up => ["'SELECT 1'"],
	origin => [ "'apply'", "'stamp'" ], action => [ "'apply'", "'rollback'", "'redo'" ],
	outcome => [ "'success'", "'failure'" ], body => [ "'up'", "'down'", 'NULL' ],
	mode => [ "'call'", "'background'" ], seq => [ 1, 2, 3, 7, 2147483647 ],
	run => [ 1, 2, 3, 4, 50, 281474976710655 ], sqlstate => [ 'NULL', "'22012'", "'57014'" ],
	message => [ "'m'", "'%s'" ], statement => [ 1, 2, 3, 2147483647 ],
	last_statement => [ 1, 2, 3, 2147483647 ], line => [ 1, 2147483647 ],
	position => [ 1, 5, 2147483647, 'NULL' ], execution_ms => [ 0, '9e14' ],
	backend_pid => [ 1, 'pg_backend_pid()', 2147483647 ],
	body_hash => [ "encode(sha256('SELECT 1'), 'hex')", "'x'" ],
	started_at => ['now()'], applied_at => ['now()'], added_at => ['now()'],
	backend_start => [ 'now()', "'-infinity'" ], requested_at => ['now()'],
	lint => [ "'off'", "'warn'", "'error'" ], out_of_order => [ "'error'", "'allow'" ]);

# A value of a column that is odd only some of the time.
sub likely_value
{
	my ($column, $type) = @_;
	my $values = $likely_values{$column};

	return $values && chance(0.9) ? one_of(@$values) : odd_value($type);
}

sub case_of
{
	my ($seed, $number, $encoding) = @_;

	srand($seed * 1_000_003 + $number);
	return chance(0.45) ? add_case($encoding) : load_case($encoding);
}

1;
