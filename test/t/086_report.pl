# Reports in all formats: their facts are those of the other functions, nothing
# in the database can make them say or do anything else, and people can read
# them.  Pages and screenshots go to tmp_check/output, which .ci/run keeps.
#
# Needs roles, a browser, and parsers of HTML and of GitHub's Markdown that are
# not ours.
#
# Packages: chromium chromium-driver fonts-dejavu-core python3-html5lib cmark-gfm

use strict;
use warnings;

use CPAN::Meta::YAML;
use Encode qw(decode_utf8 encode_utf8);
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::RealBin/../perl";

use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use MIME::Base64;
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'migrate.failure_quiet = 0');
$node->start;
my $output = "$PostgreSQL::Test::Utils::tmp_check/output";
mkdir $output;

my $db;

sub database
{
	($db) = @_;
	owner_database($node, $db);
	return;
}

sub sql
{
	my ($sql, $role) = @_;
	return query($node, $db, $role // 'app', $sql);
}

# $format, and arguments of report() as SQL
sub report
{
	my ($format, $arguments, $role) = @_;
	return sql("SELECT migrate.report('$format'" . ($arguments ? ", $arguments" : '') . ')',
		$role);
}

# the same, decoded
sub json_report
{
	return JSON::PP->new->utf8->decode(report('json', @_));
}

# Rows of a query as decoded JSON.
sub rows
{
	my ($sql) = @_;
	return JSON::PP->new->utf8->decode(
		sql("SELECT coalesce(jsonb_agg(to_jsonb(q)), '[]') FROM ($sql) q"));
}

# Run a filter: input, command; returns its output.
sub filter
{
	my ($input, @command) = @_;
	my ($out, $err);

	IPC::Run::run(\@command, '<', \$input, '>', \$out, '2>', \$err)
	  or die "$command[0]: $err";
	return $out;
}

# What a strict parser makes of HTML: a list of [element, attributes, text that
# is directly in it], and of its complaints.
my $parser = <<'END';
import html5lib, json, sys
parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder('etree'), namespaceHTMLElements=False)
data = sys.stdin.buffer.read()
if sys.argv[1] == 'document':
    tree = parser.parse(data, transport_encoding='ascii')
else:
    tree = parser.parseFragment(data, transport_encoding='utf-8')
def tag(e):
    return e.tag.rsplit('}', 1)[-1] if isinstance(e.tag, str) else '!'
print(json.dumps({
    'errors': [str(e) for e in parser.errors],
    'elements': [[tag(e), {str(k): v for k, v in e.attrib.items()}, ''.join(e.itertext())]
        for e in tree.iter()]}))
END

sub parse_html
{
	my ($html, $kind) = @_;
	return JSON::PP->new->utf8->decode(
		filter($html, 'python3', '-c', $parser, $kind));
}

# Check that a page is well-formed, self-contained and does nothing; returns its
# elements.
sub page_is_sound
{
	my ($html, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $page = parse_html($html, 'document');
	my %seen = map { $_->[0] => 1 } @{ $page->{elements} };
	my @loads;

	is_deeply($page->{errors}, [], "$name: a strict parser has no complaints");
	unlike($html, qr/[^\t\n\x20-\x7e]/, "$name: plain ASCII");
	is_deeply(
		[
			grep { $seen{$_} }
			  qw(script link img iframe object embed form input button audio video base foreignObject image use)
		],
		[],
		"$name: has no element that loads or runs anything");
	foreach my $element (@{ $page->{elements} })
	{
		foreach my $name (keys %{ $element->[1] })
		{
			my $value = $element->[1]{$name};

			push @loads, "$element->[0] $name=$value"
			  if $name =~ /^on|src|action|style|background/i
			  || $value =~ /javascript:|data:/i && $name ne 'content'
			  || $name eq 'href' && $value !~ /^#/;
		}
	}
	is_deeply(\@loads, [], "$name: nor an attribute that does");
	my ($style) = $html =~ m{<style>(.*?)</style>}s;
	unlike($style, qr/url\(|\@import/, "$name: nor a style that does");
	my %ids = map { ($_->[1]{id} // '') => 1 } @{ $page->{elements} };
	is_deeply(
		[
			grep { !$ids{$_} }
			map { substr($_->[1]{href}, 1) }
			grep { exists $_->[1]{href} } @{ $page->{elements} }
		],
		[],
		"$name: links lead somewhere");
	return @{ $page->{elements} };
}

# Markdown as GitHub renders it: elements.
sub rendered
{
	my ($markdown) = @_;
	my $html = filter($markdown, 'cmark-gfm', '--unsafe', '-e', 'table', '-e',
		'strikethrough', '-e', 'autolink', '-e', 'tagfilter');
	return @{ parse_html($html, 'fragment')->{elements} };
}

sub texts_of
{
	my ($tag, @elements) = @_;
	return map { $_->[2] } grep { $_->[0] eq $tag } @elements;
}

# ---------------------------------------------------------------------------
# Nothing at all
# ---------------------------------------------------------------------------

database('empty');
my $json = json_report();
is_deeply($json->{applied}, { count => 0, newest => undef, latest => [] },
	'empty: nothing is applied');
is_deeply($json->{pending}, [], 'empty: nothing is pending');
like(report('markdown'), qr/^\*\*0 pending\*\* &middot; 0 applied$/m,
	'empty: as Markdown');
my @page = page_is_sound(report('html'), 'empty');
ok((grep { /Nothing is pending/ } texts_of('p', @page)), 'empty: as HTML');

my ($status, undef, $err) =
  run_sql($node, $db, 'app', "SELECT migrate.report('pdf')");
like($err, qr/22023: unrecognized format of a report: "pdf"/,
	'another format is an error');
(undef, undef, $err) =
  run_sql($node, $db, 'app', "SELECT migrate.report(target => '007')");
like($err, qr/WARNING:  01000: project "default" has no migrations/, 'a target in a project without migrations');
foreach my $arguments ('NULL', 'rehearse => NULL', 'project => NULL')
{
	(undef, undef, $err) =
	  run_sql($node, $db, 'app', "SELECT migrate.report($arguments)");
	like($err, qr/22004/, "null is refused: $arguments");
}

# ---------------------------------------------------------------------------
# The facts
# ---------------------------------------------------------------------------

database('shop');
sql(<<'END');
SELECT migrate.add('001', 'CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL, country text)', 'DROP TABLE users', name => 'create users');
SELECT migrate.add('002', 'CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint, amount int, placed_at timestamptz DEFAULT now())', 'DROP TABLE orders', name => 'create orders');
SELECT migrate.add('003', 'CREATE VIEW spent AS SELECT user_id, sum(amount) AS amount FROM orders GROUP BY 1', 'DROP VIEW spent', name => 'spent');
SELECT count(*) FROM migrate.apply();
INSERT INTO users (email, country) SELECT 'user' || n || '@example.com', 'LI' FROM generate_series(1, 30000) n;
INSERT INTO orders (user_id, amount) SELECT 1 + n % 30000, n % 90 FROM generate_series(1, 90000) n;
ANALYZE;
SELECT migrate.add('004', E'ALTER TABLE users ADD score numeric DEFAULT random();\n\nUPDATE users\n   SET country = lower(country)\n WHERE country <> lower(country);\n\nALTER TABLE users\n    ALTER country SET NOT NULL;\n', 'ALTER TABLE users DROP score', name => 'score and country');
SELECT migrate.add('005', E'-- orders of users that are gone\nDELETE FROM orders\n WHERE NOT EXISTS (SELECT FROM users WHERE users.id = user_id);\nALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users;\nCREATE INDEX orders_placed_at ON orders (placed_at);\n', name => 'orders belong to users');
SELECT migrate.add('006', E'CREATE INDEX CONCURRENTLY users_email ON users (email);', 'DROP INDEX users_email', name => 'index for log-in');
SELECT migrate.add('007', E'ALTER TABLE orders ALTER amount TYPE bigint;\n', E'SELECT 1;\n', name => 'money');
END

$json = json_report();
is($json->{applied}{count}, 3, 'three are applied');
is($json->{applied}{newest}, sql('SELECT migrate.current()'),
	'the newest is that of current()');
is_deeply(
	[ map { +{ %$_, applied_at => substr($_->{applied_at}, 0, 26) } } @{ $json->{applied}{latest} } ],
	rows(q{SELECT version, name, kind, state, origin,
		to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS applied_at,
		applied_by, execution_ms FROM migrate.status() WHERE applied_at IS NOT NULL
		ORDER BY status.applied_at DESC, version DESC}),
	'what is applied is what status() says');
is_deeply(
	[
		map {
			my $step = $_;
			+{ map { $_ => $step->{$_} } qw(step version name own_transaction reason up down) }
		} @{ $json->{pending} }
	],
	rows(q{SELECT step, version, p.name, own_transaction, reason, up, down
		FROM migrate.plan() p JOIN migrate.migration m USING (version)
		WHERE m.project = 'default' ORDER BY step}),
	'what is pending is what plan() says, with its SQL');
my $numbers = qr/[\d.]+ (writes per second)/;
my $findings = [ map { @{ $_->{findings} } } @{ $json->{pending} } ];
my $linted = rows(q{SELECT body, statement, line, rule, severity, relation,
	relation_bytes, relation_rows, message, instead, link FROM migrate.lint()});
$_->{message} =~ s/$numbers/N $1/ foreach @$findings, @$linted;
is_deeply($findings, $linted, 'the findings are those of lint()');
cmp_ok(scalar(@$findings), '>', 3, 'of which there are some');
foreach my $severity (qw(error warning note))
{
	is( $json->{lint}{$severity},
		scalar(grep { $_->{severity} eq $severity } @$findings),
		"they are counted: $severity");
}
ok(!exists $json->{pending}[0]{rehearsal}, 'nothing was rehearsed');
is(sql("SELECT string_agg(p ->> 'version', ' ') FROM jsonb_array_elements(migrate.report('json', '005')::jsonb -> 'pending') p"),
	'004 005', 'up to a target');

# What a rehearsal says twice the same way.
sub stable
{
	my ($statement) = @_;
	my %stable = %$statement;

	delete @stable{
		qw(execution_ms wal_bytes blocks_read blocks_dirtied rewritten_bytes scans)};
	$stable{locks} = [
		map { +{ relation => $_->{relation}, mode => $_->{mode} } }
		  @{ $stable{locks} // [] }
	];
	return \%stable;
}

my $rehearsed = json_report('rehearse => true');
my $rehearsal = rows('SELECT r.* FROM migrate.rehearse() r');
delete @$_{qw(name detail)} foreach @$rehearsal;
my @statements = map {
	my $version = $_->{version};
	map { +{ %$_, version => $version } } @{ $_->{rehearsal}{statements} }
} @{ $rehearsed->{pending} };
is_deeply([ map { stable($_) } @statements ],
	[ map { stable($_) } @$rehearsal ],
	'the statements are those of rehearse()');
my %summary =
  map { $_->{version} => $_ } @{ rows('SELECT * FROM migrate.rehearse_summary()') };
foreach my $step (@{ $rehearsed->{pending} })
{
	my $summary = $summary{ $step->{version} };

	is_deeply(
		[ @{ $step->{rehearsal} }{qw(worst_lock relation error skipped)} ],
		[ @$summary{qw(worst_lock relation message skipped)} ],
		"the worst of $step->{version} is what rehearse_summary() says");
}
is(sql('SELECT count(*) FROM migrate.applied'), '3',
	'a rehearsal leaves everything as it was');

# One string that is in all formats, for each kind of fact.
my %facts = (
	'applied' => qr/create orders/,
	'pending' => qr/orders belong to users/,
	'SQL' => qr/orders of users that are gone/,
	'SQL of the down body' => qr/users DROP score/,
	'finding' => qr/foreign-key-validates/,
	'lock' => qr/SHARE ROW EXCLUSIVE/,
	'error' => qr/cannot alter type of a column used by a view or rule/,
	'what is not run' => qr/CREATE INDEX CONCURRENTLY cannot run in a transaction/);
my %reports =
  map { $_ => report($_, 'rehearse => true') } qw(markdown html json);
foreach my $format (sort keys %reports)
{
	like($reports{$format}, $facts{$_}, "$format has: $_")
	  foreach sort keys %facts;
}

@page = page_is_sound($reports{html}, 'shop');
my @bars = grep { ($_->[1]{class} // '') =~ /^bar s/ && $_->[1]{x} } @page;
my @expected;
foreach my $step (@{ $rehearsed->{pending} })
{
	foreach my $statement (@{ $step->{rehearsal}{statements} })
	{
		push @expected, map { "$_->{mode} on $_->{relation}, migration $step->{version}, from line $statement->{line}" }
		  grep { $_->{kind} ne 'index' } @{ $statement->{locks} // [] };
	}
}
is_deeply(
	[ sort map { $_->[2] =~ s/ on: .*//r } @bars ],
	[ sort @expected ],
	'the picture has a bar for each lock on a table');
my %height;
foreach my $bar (@bars)
{
	my ($from, $width) = map { s/%$//r } @{ $bar->[1] }{qw(x width)};
	my ($mode) = $bar->[2] =~ /^(.*?) on /;

	cmp_ok($from + $width, '<=', 100.01, "$bar->[2]: within the picture");
	$height{$mode} = $bar->[1]{height};
}
cmp_ok($height{'ACCESS EXCLUSIVE'}, '>', $height{'SHARE ROW EXCLUSIVE'},
	'a lock that stops reads is drawn stronger than one that stops writes');
cmp_ok($height{'SHARE ROW EXCLUSIVE'}, '>', $height{'ROW EXCLUSIVE'},
	'and this one than one that stops hardly anybody');
ok((grep { $_->[0] eq 'b' && $_->[2] =~ /\x{2716} error/ } @page),
	'a severity has a sign and a word');

my @comment = rendered($reports{markdown});
my ($score) = grep { /ADD score/ } texts_of('code', @comment);
is($score, "ALTER TABLE users ADD score numeric DEFAULT random();\n\n"
	  . "UPDATE users\n   SET country = lower(country)\n WHERE country <> lower(country);\n\n"
	  . "ALTER TABLE users\n    ALTER country SET NOT NULL;\n",
	'the SQL arrives in a comment as it is');
is(scalar(grep { /^SQL \(/ } texts_of('summary', @comment)), 4,
	'folded away');

# ---------------------------------------------------------------------------
# Who may see what
# ---------------------------------------------------------------------------

sql("SELECT migrate.grant('look', 'viewer'), migrate.grant('run', 'deployer')");
foreach my $format (sort keys %reports)
{
	my $seen = report($format, undef, 'viewer');

	like($seen, qr/orders belong to users/, "who may look gets $format");
	unlike($seen, qr/that are gone|ADD score/, "but no bodies in $format");
}
like(report('markdown', undef, 'viewer'), qr/The SQL is not shown: role <code>viewer<\/code> may not read it/,
	'which it says');
is(json_report(undef, 'viewer')->{bodies_shown}, JSON::PP::false, 'in JSON too');
sql('GRANT SELECT (up, down) ON migrate.migration TO viewer');
like(report('markdown', undef, 'viewer'), qr/that are gone/,
	'who may read the columns sees them');
(undef, undef, $err) = run_sql($node, $db, 'viewer',
	'SELECT migrate.report(rehearse => true)');
like($err, qr/42501: permission denied for function rehearse/,
	'who may look may not rehearse');
(undef, undef, $err) = run_sql($node, $db, 'deployer',
	"SELECT migrate.report('json', rehearse => true)");
is($err, '', 'who may run may');
is( sql("BEGIN READ ONLY; SELECT length(migrate.report()) > 100; COMMIT"),
	't', 'a report writes nothing');
like(
	sql(q{CREATE SCHEMA trap; CREATE FUNCTION trap.has_column_privilege(text, text, text) RETURNS bool LANGUAGE sql AS 'SELECT 1 / 0 = 1';
		CREATE FUNCTION trap.eq(text, text) RETURNS bool LANGUAGE sql AS 'SELECT 1 / 0 = 1';
		CREATE OPERATOR trap.= (FUNCTION = trap.eq, LEFTARG = text, RIGHTARG = text);
		SET search_path = trap, pg_catalog; SELECT migrate.report()}),
	qr/4 pending/, 'whatever is in the search_path');

# ---------------------------------------------------------------------------
# What needs attention
# ---------------------------------------------------------------------------

database('trouble');
sql(<<'END');
SELECT migrate.add('1', 'CREATE TABLE t (a int)', 'DROP TABLE t');
SELECT migrate.add('2', 'INSERT INTO t VALUES (1), (1)', 'DELETE FROM t');
SELECT count(*) FROM migrate.apply();
SELECT migrate.add('3', E'SELECT 1;\n\nSELECT 1 / 0', 'SELECT 1', name => 'fails');
SELECT count(*) FROM migrate.apply(raise => false);
SELECT migrate.add('4', 'SELECT 4', 'SELECT 4');
SELECT migrate.hold('4', 'wait for | the *others*');
END
my %state = map { $_->{version} => $_ } @{ json_report()->{attention} };
is("@{$state{3}}{qw(state sqlstate error statement line failed_by)}",
	'failed 22012 division by zero 2 3 app', 'a failure and where');
is("@{$state{4}}{qw(state held_reason)}", 'held wait for | the *others*',
	'what is held, and why');
@comment = rendered(report('markdown'));
ok((grep { $_ eq 'wait for | the *others*' } texts_of('td', @comment)),
	'the reason is one cell of a table');
ok((grep { /22012: division by zero \(line 3\)/ } texts_of('td', @comment)),
	'the error as well');
page_is_sound(report('html'), 'trouble');

sql("SELECT migrate.remove('3')");
sql("SELECT migrate.add('5', 'CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a)', 'DROP INDEX t_a')");
run_sql($node, $db, 'app', 'CALL migrate.apply_each()');
%state = map { $_->{version} => $_ } @{ json_report()->{attention} };
is("@{$state{5}}{qw(state sqlstate)}", 'partial 23505',
	'what is partly done, and its error');
like(report('markdown'), qr/:warning: partial \| 23505: could not create unique index/,
	'partial, as Markdown');
page_is_sound(report('html'), 'partial');

$node->safe_psql($db,
	"SET session_replication_role = replica; UPDATE migrate.migration SET up = 'SELECT 2', checksum = md5('') WHERE version = '2'");
$json = json_report();
%state = map { $_->{version} => $_ } @{ $json->{attention} };
is($state{2}{state}, 'changed', 'what is changed');
is($json->{plan_error}{sqlstate}, 'MG003',
	'what would stop a run does not stop the report');
like(report('markdown', 'rehearse => true'), qr/\*\*A run would be refused\.\*\* MG003/,
	'and is said in Markdown');
@page = page_is_sound(report('html', 'rehearse => true'), 'changed');
ok((grep { /A run would be refused/ } texts_of('b', @page)), 'in HTML');

# ---------------------------------------------------------------------------
# Nasty texts
# ---------------------------------------------------------------------------

my $rlo = "\x{202e}";
my @nasty = (
	'</script><script>alert(1)</script>',
	'</style></title><img src=x onerror=alert(1)>',
	q{"'><svg onload=alert(1)> & &lt; &#60; &amp;},
	"]]> --> <!-- ${rlo}txt.exe\x{2066}\x{200b}",
	'a|b\\|c `d` ``e`` *f* _g_ [h](javascript:i) ![j](k) @somebody #1 ~~l~~ $m$ https://example.com',
	"caf\x{e9} \x{1f600} \x{5d0}\x{5d1}\x{5d2} \x{ffff}",
	"\x{1}\x{8}\x{b}\x{1b}[31m\x{7f}\x{85}\r\ttab");

# Names have no characters that are not seen; bodies may.
sub fit_for_a_line
{
	my ($text) = @_;

	return $text =~ s/[\x00-\x1f\x7f-\x9f\x{200b}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2066}-\x{2069}\x{ffff}]//gr;
}

database('nasty');
my $n = 0;
foreach my $text (@nasty)
{
	my $line = fit_for_a_line($text);
	my $literal = quote(encode_utf8($line));
	my $comment = $text =~ s{\*/}{* /}gr;

	$n++;
	sql("SELECT migrate.add($n || ' ' || $literal"
		  . ", up => '/* ' || "
		  . quote(encode_utf8($comment))
		  . " || E'\\n```\\n</details>\\n~~~\\n*/ SELECT 1', down => 'SELECT 1', name => $literal)");
	sql("SELECT migrate.hold($n || ' ' || $literal, $literal)")
	  if $n % 2 == 0;
}
sql("SELECT migrate.add('90', 'SELECT ''' || repeat('x', 300000) || '''', 'SELECT 1', name => repeat('long', 250))");

$json = json_report();
is_deeply(
	[ map { [ @$_{qw(version name up)} ] } @{ $json->{pending} } ],
	[
		map { [ @$_{qw(version name up)} ] } @{
			rows("SELECT p.version, p.name, m.up FROM migrate.plan() p JOIN migrate.migration m USING (version) ORDER BY step")
		}
	],
	'nasty texts are themselves in JSON');
my $html = report('html');
@page = page_is_sound($html, 'nasty');
my $visible = join '', map { $_->[2] } grep { $_->[0] eq 'body' } @page;
foreach my $i (grep { $_ % 2 == 0 } 0 .. $#nasty)
{
	my $shown = fit_for_a_line($nasty[$i]);
	ok(index($visible, $shown) >= 0, 'shown as it is: ' . encode_utf8($shown));
}
unlike($visible, qr/[\x{202a}-\x{202e}\x{2066}-\x{2069}]/,
	'nothing in the page turns the direction of text');
my $markdown = report('markdown');
@comment = rendered($markdown);
ok(!(grep { $_->[0] =~ /^(?:script|img|svg|a|del|em)$/ } @comment),
	'nasty texts make no element in a comment')
  or diag(join ', ', map { $_->[0] } @comment);
is_deeply([ grep { $_ ne 'SQL' && $_ !~ /^(?:SQL|SQL of the down body|Rehearsal|Applied last)/ } texts_of('summary', @comment) ],
	[], 'nor a block of their own');
my $bodies = join '', texts_of('pre', @comment);
my $fenced = () = $bodies =~ m{\n```\n</details>\n~~~\n\*/ SELECT 1}g;
is($fenced, scalar(grep { $_ % 2 } 1 .. @nasty),
	'a body with fences in it stays in its block');
my $decoded = decode_utf8($markdown);
unlike($decoded, qr/[\x{202a}-\x{202e}\x{2066}-\x{2069}\x00-\x08\x0b-\x1f\x7f]/,
	'nor does anything in the comment');

# GitHub looks for mentions in all text that is not in code.
my $prose = join '', map { $_->[2] } grep { $_->[0] eq 'h3' || $_->[0] eq 'td' } @comment;
my $code = join '|', map { quotemeta } sort { length $b <=> length $a } texts_of('code', @comment);
$prose =~ s/$code//g;
like($prose, qr/\@\x{200b}somebody/, 'a name that looks like a mention');
unlike($prose, qr/\@somebody|#1/, 'mentions nobody, and no issue');

# Other encodings than the browser's.
foreach my $encoding (qw(LATIN1 SQL_ASCII EUC_JP))
{
	$db = lc "enc_$encoding";
	$node->safe_psql('postgres',
		"CREATE DATABASE $db OWNER app TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	sql('CREATE EXTENSION migrate');
	my $e = $encoding eq 'EUC_JP' ? '\\xa5\\xab' : '\\xe9';
	sql("SET client_encoding = $encoding; SELECT migrate.add('1', E'SELECT ''caf$e''', 'SELECT 1')");
	$html = sql("SET client_encoding = $encoding; SELECT migrate.report('html')");
	@page = page_is_sound($html, $encoding);
	my %shown = (LATIN1 => "caf\x{e9}", SQL_ASCII => "caf\x{fffd}", EUC_JP => "caf\x{30ab}");
	ok((grep { index($_, "SELECT '$shown{$encoding}'") == 0 } texts_of('span', @page)),
		"$encoding: letters are what they are");
}

# ---------------------------------------------------------------------------
# What would happen comes first
# ---------------------------------------------------------------------------

# The first paragraph below the title, in all formats
sub verdict
{
	my ($arguments) = @_;
	my ($markdown) = report('markdown', $arguments) =~ /\A## [^\n]*\n\n([^\n]*)\n/;
	my @page = page_is_sound(report('html', $arguments), 'verdict');
	my ($html) = grep { ($_->[1]{class} // '') =~ /\bverdict\b/ } @page;
	my ($bold) = grep { $_->[0] eq 'b' } @page;

	($markdown) = texts_of('p', rendered($markdown));
	like($markdown, qr/^:\w+: \Q$json->{verdict_text}\E/, 'Markdown begins with it')
	  if $json = json_report($arguments);
	is($bold->[2] =~ s/^\S+ //r, $json->{verdict_text}, 'HTML as well');
	return "$json->{verdict}: $json->{verdict_text}";
}

database('verdicts');
is(verdict(), 'no migrations: project "default" has no migrations', 'no migrations');
sql('CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 20000); ANALYZE t');
sql("SELECT migrate.add('001', 'ALTER TABLE t ADD COLUMN b int', 'SELECT 1')");
is(verdict(), 'runs: would run, as far as can be seen without a rehearsal', 'not rehearsed');
is(verdict('rehearse => true'), 'runs: would run', 'rehearsed');
sql("SELECT migrate.add('002', 'VACUUM t', 'SELECT 1')");
like(verdict('rehearse => true'), qr/^runs: would run, as far as could be rehearsed/, 'in part');
sql("INSERT INTO migrate.policy (project, lint) VALUES ('default', 'error'); SELECT migrate.add('003', 'DROP TABLE nowhere', 'SELECT 1')");
like(verdict(), qr/^refused: would be refused: the linter has found an error/, 'refused by the linter');
like(verdict('rehearse => true'), qr/^refused: would be refused: /, 'and so is the rehearsal');
sql("UPDATE migrate.policy SET lint = 'off'; SELECT migrate.remove('002'), migrate.remove('003')");
sql('SELECT count(migrate.add(to_char(n, \'FM0000\'), CASE n WHEN 290 THEN \'SELECT 1; DROP TABLE nowhere\' ELSE \'SELECT \' || n END, \'SELECT 1\')) FROM generate_series(2, 300) n');
is(verdict('rehearse => true'),
	'fails: would fail: migration "0290", line 1: 42P01: table "nowhere" does not exist',
	'number 290 of 300 fails');
is( join(' ', map { $json->{rehearsal_error}{$_} // 'null' } qw(sqlstate message version body statement line path)),
	'42P01 table "nowhere" does not exist 0290 up 2 1 null', 'which is the error of the rehearsal');
ok(!exists $json->{rehearsal_error}{detail}, 'without a detail');
$markdown = report('markdown', 'rehearse => true');
like($markdown, qr/^\| 290 \| <code>0290<\/code> \| .*:x: fails/m, 'it is in the table');
@page = page_is_sound(report('html', 'rehearse => true'), 'fails');
is(scalar(grep { $_->[0] eq 'a' && ($_->[1]{href} // '') eq '#m290' } @page), 4,
	'the page leads to it: from the verdict, the picture, the table and the rules');
like((grep { ($_->[1]{class} // '') eq 'version' && $_->[2] =~ /^0290/ } @page)[0][2],
	qr/then it fails/, 'it has a head in the picture');

# Files: lines are theirs, and findings about the down body apart
database('files');
sql('CREATE TABLE t (a int, b int); INSERT INTO t SELECT n, n FROM generate_series(1, 20000) n; ANALYZE t; CREATE TABLE u (a int)');
sql(q{SELECT migrate.load('{"001_a.sql": "-- a comment\n\n-- migrate:up\nUPDATE t\n   SET a = 2;\nALTER TABLE t\n  ALTER b TYPE bigint;\n-- migrate:down\n\nDROP INDEX nowhere;\nDROP TABLE u;\n"}')});
my $in_files = json_report('rehearse => true');
is( join(' ', map { "$_->{rule}:$_->{line}" } grep { $_->{rule} =~ /rewrites|unknown|write-all/ } @{ $in_files->{pending}[0]{findings} }),
	'write-all-rows:4 change-type-rewrites:6 unknown-object:10', 'lines are those of the file');
@page = page_is_sound(report('html', 'rehearse => true'), 'files');
ok((grep { $_->[0] eq 'a' && $_->[2] eq '001_a.sql:6' } @page), 'which is named with them');
my ($shown_line) = grep { ($_->[1]{id} // '') eq 'up1-6' } @page;
is("$shown_line->[1]{'data-line'} $shown_line->[2]", "6 ALTER TABLE t\n", 'and leads to the line');
is(scalar(grep { $_->[0] eq 'h4' && $_->[2] eq 'Findings in the down body' } @page), 1, 'the down body is apart');
ok((grep { $_->[0] eq 'pre' && ($_->[1]{class} // '') eq 'instead' } page_is_sound($reports{html}, 'shop')),
	'what to do instead can be copied');
like(report('markdown'), qr/Findings in the down body.*001&\#95;a\.sql:10/s, 'in Markdown too');
unlike(report('markdown'), qr/^\| .*change-type-rewrites/m, 'where findings are folded away')
  or diag(report('markdown'));

# One size for a table, though the rehearsal has written its rows once more
my %sizes;
foreach my $step (@{ $in_files->{pending} })
{
	push @{ $sizes{ $_->{relation} } }, "$_->{relation_bytes} $_->{relation_rows}"
	  foreach grep { defined $_->{relation_bytes} } @{ $step->{findings} };
	push @{ $sizes{ $_->{relation} } }, "$_->{bytes} $_->{estimated_rows}"
	  foreach grep { defined $_->{bytes} && $_->{kind} eq 'table' } map { @{ $_->{locks} } } @{ $step->{rehearsal}{statements} };
}
cmp_ok(scalar(@{ $sizes{'public.t'} }), '>', 2, 'a size is said several times');
is_deeply([ grep { $_ ne $sizes{'public.t'}[0] } @{ $sizes{'public.t'} } ], [], 'it is one size');

# ---------------------------------------------------------------------------
# A comment has a limit
# ---------------------------------------------------------------------------

# How many migrations a comment shows, and how many it says are more.
sub shown_and_more
{
	my ($text) = @_;
	my $shown = () = $text =~ /^### /mg;
	my ($more) = $text =~ /^\*\*([\d,]+) migrations? more\*\*/m;

	return ($shown, ($more // 0) =~ s/,//gr);
}

database('many');
sql("SELECT count(migrate.add(to_char(n, 'FM0000'), 'SELECT ' || n, 'SELECT 1')) FROM generate_series(1, 60) n");
$markdown = report('markdown');
is_deeply([ shown_and_more($markdown) ], [ 60, 0 ],
	'all that has room is in a comment');
my $blocks = () = $markdown =~ /^SELECT \d+$/mg;
cmp_ok($blocks, '>=', 60, 'with its SQL');
sql("SELECT count(migrate.add(to_char(n, 'FM0000'), 'SELECT ''' || repeat(chr(233), 1000) || '''', 'SELECT 1')) FROM generate_series(61, 150) n");
$markdown = report('markdown');
cmp_ok(length(decode_utf8($markdown)), '<', 65536, 'a comment has fewer than 65,536 characters');
is_deeply([ shown_and_more($markdown) ], [ 150, 0 ],
	'SQL that has no room makes room for the rest');
like($markdown, qr/^SQL: 1 line, left out here\.$/m, 'which is said');
sql("SELECT count(migrate.add(to_char(n, 'FM0000') || repeat('|', 90), 'SELECT 1', 'SELECT 1', name => repeat('\@', 300))) FROM generate_series(151, 3000) n");
$markdown = report('markdown');
cmp_ok(length(decode_utf8($markdown)), '<', 65536, 'however many there are');
my ($shown, $more) = shown_and_more($markdown);
cmp_ok($shown, '>', 20, 'some are shown');
is($shown + $more, 3000, 'and the others are counted');
like($markdown, qr{</sub>\n*\z}, 'it ends where it should');
is(scalar(() = $markdown =~ /<details>/g), scalar(() = $markdown =~ m{</details>}g),
	'nothing is cut in the middle');

# ---------------------------------------------------------------------------
# The pipeline of the page
# ---------------------------------------------------------------------------

database('staging');
my %page = page_blocks('doc/report.md');
my $work = tempdir(CLEANUP => 1);
mkdir "$work/migrations";
append_to_file("$work/migrations/001_users.sql", "CREATE TABLE users (a int);\n");
mkdir "$work/bin";
append_to_file("$work/bin/gh", <<'END');
#!/bin/sh
# fails as if there were no comment to edit yet
case "$*" in *--edit-last*) exit 1 ;; esac
echo "$*" >gh.log
END
chmod 0755, "$work/bin/gh";
my $workflow = CPAN::Meta::YAML->read_string($page{'pull-request'})->[0];
{
	local $ENV{PATH} = "$work/bin:$FindBin::RealBin/../../bin:$ENV{PATH}";
	local $ENV{DATABASE_URL} = $node->connstr($db) . ' user=app';
	local $ENV{PULL_REQUEST} = 17;

	foreach my $step (grep { $_->{run} } @{ $workflow->{jobs}{report}{steps} })
	{
		append_to_file("$work/step.sh", "cd $work\n$step->{run}");
		command_ok([ 'sh', '-e', "$work/step.sh" ], "the step $step->{name}");
		unlink "$work/step.sh";
	}
}
is(slurp_file("$work/gh.log"), "pr comment 17 --body-file report.md\n",
	'comments on the pull request');
like(slurp_file("$work/report.md"), qr/CREATE TABLE users/, 'with the SQL');
page_is_sound(slurp_file("$work/report.html"), 'the artifact');
is(sql('SELECT count(*) FROM migrate.applied'), '0', 'and applies nothing');

# ---------------------------------------------------------------------------
# In a browser
# ---------------------------------------------------------------------------

my ($driver_out, $driver_err) = ('', '');
local $ENV{HOME} = $PostgreSQL::Test::Utils::tmp_check;
my $driver = IPC::Run::start([ 'chromedriver', '--port=0' ],
	'>', \$driver_out, '2>', \$driver_err,
	IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
$driver->pump until $driver_out =~ /started successfully on port (\d+)/;
my $http = HTTP::Tiny->new(timeout => 120);
my $base = "http://127.0.0.1:$1/session";

# A command of WebDriver; dies with the driver's message.
sub drive
{
	my ($method, $path, $body) = @_;
	my $answer = $http->request($method, "$base$path",
		{ content => JSON::PP->new->utf8->encode($body // {}) });
	my $value = JSON::PP->new->utf8->decode($answer->{content})->{value};

	die "$path: $value->{message}" if !$answer->{success};
	return $value;
}

# Load a page in a browser of this size, look for what is wrong, keep a picture.
sub look
{
	my ($file, $name, $width, $height, $scheme) = @_;
	my $mobile = $width < 600 ? JSON::PP::true : JSON::PP::false;
	my $session = drive(
		'POST', '',
		{
			capabilities => {
				alwaysMatch => {
					'goog:loggingPrefs' => { browser => 'ALL' },
					'goog:chromeOptions' => {
						args => [
							qw(--headless=new --no-sandbox --disable-gpu
							  --disable-dev-shm-usage --hide-scrollbars)
						]
					}
				}
			}
		});
	my $id = "/$session->{sessionId}";
	my $cdp = sub { return drive('POST', "$id/goog/cdp/execute", { cmd => $_[0], params => $_[1] }) };
	my $js = sub { return drive('POST', "$id/execute/sync", { script => $_[0], args => [] }) };

	$cdp->('Emulation.setDeviceMetricsOverride',
		{ width => $width, height => $height, deviceScaleFactor => $mobile ? 2 : 1, mobile => $mobile });
	$cdp->('Emulation.setEmulatedMedia',
		{ features => [ { name => 'prefers-color-scheme', value => $scheme } ] });
	drive('POST', "$id/url", { url => "file://$file" });
	is($js->('return innerWidth'), $width, "$name: as wide as the screen");
	cmp_ok($js->('return document.documentElement.scrollWidth'), '<=', $width,
		"$name: does not scroll sideways");
	is( $js->(
			q{return Array.from(document.querySelectorAll('h1,h2,h3,p,li,pre,summary,.timeline'))
				.filter(e => e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1
					&& !e.closest('.scroll')).map(e => e.tagName).join(' ')}),
		'', "$name: nothing sticks out");
	my $background = $js->('return getComputedStyle(document.body).backgroundColor');
	my ($red) = $background =~ /(\d+)/;
	ok($scheme eq 'dark' ? $red < 60 : $red > 200, "$name: is $scheme");
	is($js->('return performance.getEntriesByType("resource").length'), 0,
		"$name: loads nothing");
	is_deeply(drive('POST', "$id/se/log", { type => 'browser' }), [],
		"$name: the console is quiet");
	my $whole = $js->('return document.documentElement.scrollHeight');
	my $picture = $cdp->(
		'Page.captureScreenshot',
		{
			format => 'png',
			captureBeyondViewport => JSON::PP::true,
			clip => { x => 0, y => 0, width => $width, height => $whole > 6000 ? 6000 : $whole, scale => 1 }
		})->{data};
	open(my $png, '>:raw', "$output/report_$name.png") or die "$output: $!";
	print $png decode_base64($picture);
	close($png);
	cmp_ok(-s "$output/report_$name.png", '>', 10000, "$name: a picture is kept");
	drive('DELETE', $id);
	return;
}

my %pages = (shop => $reports{html});
foreach my $name (qw(nasty trouble))
{
	$db = $name;
	$pages{$name} = report('html');
}
append_to_file("$output/report_$_.html", $pages{$_}) foreach keys %pages;
look("$output/report_shop.html", 'shop_phone', 390, 844, 'light');
look("$output/report_shop.html", 'shop_desktop', 1280, 900, 'light');
look("$output/report_shop.html", 'shop_dark', 390, 844, 'dark');
look("$output/report_nasty.html", 'nasty_phone', 390, 844, 'light');
look("$output/report_trouble.html", 'trouble_desktop', 1280, 900, 'dark');
$driver->kill_kill;
$node->stop;

done_testing();
