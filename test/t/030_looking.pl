# What only looks runs nobody's code: a role that may write migrations and
# nothing else stores some about types, domains, casts, indexes, defaults and
# operators of its own, each of which calls a function of its own wherever the
# server folds a constant; then a superuser calls every function that looks.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Rights;
use Test::More;

start_server();

my $db = database('looking');

# Whatever calls trap() leaves its mark in a sequence, whose numbers no
# roll-back takes back.
my $traps = <<'END';
SET search_path = own_writer;
CREATE SEQUENCE ran;
GRANT USAGE ON SCHEMA own_writer TO PUBLIC;
CREATE FUNCTION trap(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE 'SELECT nextval(''own_writer.ran'')'; RETURN n; END $$;
CREATE FUNCTION trap(n text) RETURNS text IMMUTABLE LANGUAGE sql AS
	'SELECT n || own_writer.trap(1)::text';
CREATE FUNCTION trap_equal(a text, b text) RETURNS bool IMMUTABLE LANGUAGE sql AS
	'SELECT own_writer.trap(1) = 1';

-- casts to and from types of its own
CREATE TYPE pair AS (a text, b int);
CREATE FUNCTION to_pair(text) RETURNS pair IMMUTABLE LANGUAGE sql AS
	'SELECT ROW($1, own_writer.trap(1))::own_writer.pair';
CREATE CAST (text AS pair) WITH FUNCTION to_pair(text) AS ASSIGNMENT;
CREATE FUNCTION to_text(pair) RETURNS text IMMUTABLE LANGUAGE sql AS
	'SELECT own_writer.trap($1.a)';
CREATE CAST (pair AS text) WITH FUNCTION to_text(pair) AS ASSIGNMENT;

-- domains
CREATE DOMAIN checked AS text CHECK (VALUE <> own_writer.trap('x')) DEFAULT own_writer.trap('y');
CREATE DOMAIN over_checked AS checked;
CREATE DOMAIN number AS int CHECK (VALUE > own_writer.trap(1)) NOT NULL;

-- tables with all that has expressions
CREATE TABLE own (id int PRIMARY KEY, email text, p pair, d checked,
	n int DEFAULT own_writer.trap(1),
	g int GENERATED ALWAYS AS (own_writer.trap(1)) STORED,
	CHECK (n > own_writer.trap(1) AND n IS NOT NULL));
CREATE INDEX ON own ((id + own_writer.trap(1))) WHERE n > own_writer.trap(1);
CREATE STATISTICS own_statistics ON (id + own_writer.trap(1)), n FROM own;
ALTER TABLE own ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_policy ON own USING (n > own_writer.trap(1));
CREATE VIEW shown AS SELECT id, own_writer.trap(email) AS email FROM own;
CREATE TABLE parted (id int, at int) PARTITION BY RANGE ((at + own_writer.trap(1)));
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (1000);
INSERT INTO parted VALUES (1, 1);
ALTER TABLE own NO FORCE ROW LEVEL SECURITY;
INSERT INTO own VALUES (1, 'a', ROW('a', 1), 'z', 2);
GRANT ALL ON ALL TABLES IN SCHEMA own_writer TO PUBLIC;

-- operators and functions that have the names of the server's
CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = trap_equal);
CREATE OPERATOR || (LEFTARG = text, RIGHTARG = text, FUNCTION = trap_equal);
CREATE FUNCTION length(text) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT own_writer.trap(1)';
CREATE FUNCTION to_jsonb(text) RETURNS jsonb IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN PERFORM own_writer.trap(1); RETURN 'null'; END $$;
END
allowed('writer', $db, $traps);
observe($db, <<'END');
ALTER TABLE public.users ADD COLUMN email text, ADD COLUMN n int;
INSERT INTO public.users SELECT n, 'a', n FROM generate_series(1, 100) n;
ANALYZE public.users
END

my $ups = <<'END';
ALTER TABLE public.users ALTER email TYPE own_writer.pair
ALTER TABLE public.users ALTER email TYPE own_writer.pair USING email
ALTER TABLE public.users ALTER email TYPE own_writer.pair USING email::own_writer.pair
ALTER TABLE public.users ALTER email TYPE own_writer.checked
ALTER TABLE public.users ALTER email TYPE own_writer.over_checked USING email::own_writer.over_checked
ALTER TABLE public.users ALTER n TYPE own_writer.number
ALTER TABLE public.users ALTER n TYPE int USING own_writer.trap(1)
ALTER TABLE public.users ADD COLUMN c own_writer.checked
ALTER TABLE public.users ADD COLUMN c own_writer.over_checked
ALTER TABLE public.users ADD COLUMN c own_writer.number DEFAULT own_writer.trap(1)
ALTER TABLE public.users ADD COLUMN c own_writer.checked[]
ALTER TABLE public.users ADD COLUMN c int GENERATED ALWAYS AS (own_writer.trap(1)) STORED CHECK (c > own_writer.trap(1))
ALTER TABLE own_writer.own ALTER p TYPE text
ALTER TABLE own_writer.own ALTER d TYPE text, ALTER n SET NOT NULL
ALTER TABLE own_writer.own ALTER n TYPE bigint, ALTER id TYPE bigint
ALTER TABLE own_writer.own DROP COLUMN n
ALTER TABLE own_writer.own ADD CONSTRAINT u UNIQUE (n), ADD CHECK (n > own_writer.trap(1))
CREATE INDEX ON own_writer.own ((id + own_writer.trap(1))) WHERE n > own_writer.trap(1)
REINDEX TABLE own_writer.own
ALTER TABLE own_writer.parted ADD COLUMN c int DEFAULT own_writer.trap(1)
CREATE TABLE own_writer.parted_2 PARTITION OF own_writer.parted FOR VALUES FROM (1000) TO (own_writer.trap(2000))
ALTER TABLE own_writer.parted DETACH PARTITION own_writer.parted_1
ALTER DOMAIN own_writer.checked ADD CHECK (VALUE <> own_writer.trap('z'))
DROP DOMAIN own_writer.checked
DROP TYPE own_writer.pair
DROP VIEW own_writer.shown
DROP TABLE own_writer.own
UPDATE own_writer.own SET email = own_writer.trap('x')
SELECT own_writer.trap(1), * FROM own_writer.shown
END
my @ups = split /\n/, $ups;

sub version_of { return sprintf('%03d', 100 + $_[0]) }

foreach my $n (1 .. @ups)
{
	allowed('writer', $db,
		sprintf(
			"SELECT migrate.add('%s', \$u\$%s\$u\$, \$u\$%s\$u\$, verify => 'SELECT own_writer.trap(1)')",
			version_of($n), $ups[ $n - 1 ], $ups[ -$n ]));
}

my $before;

# Nothing of the role's has run since the last call
sub nothing_ran
{
	my ($what) = @_;
	my $now = observe($db, 'SELECT last_value FROM own_writer.ran');

	$before //= $now;
	is($now, $before, $what);
	$before = $now;
	return;
}
nothing_ran('the beginning');

# Each in a session of its own, in which nothing is cached yet; once as people
# call them, once with the role's schema before the server's
foreach my $look (
	(map { "SELECT * FROM migrate.$_()" }
		qw(status plan lint heads current history failures progress version help)),
	'SELECT * FROM migrate.plan_rollback()',
	'SELECT migrate.check()',
	'SELECT migrate.script()',
	"SELECT migrate.script('base', '001')",
	(map { "SELECT migrate.report('$_')" } qw(markdown html json)),
	'SELECT * FROM migrate.outcome(1)',
	'SELECT * FROM migrate.statements(1)',
	(map { "SELECT * FROM migrate.$_" }
		qw(failures statements schema_migrations history)))
{
	foreach my $path ('"$user", public', 'own_writer, pg_catalog')
	{
		run($super, $db, "SET search_path = $path;\n$look");
		nothing_ran("$look with search_path $path");
	}
}

# One by one, since an error about one migration would hide the next
foreach my $n (1 .. @ups)
{
	my ($status, $out, $err) = run($super, $db,
		sprintf("SELECT count(*) FROM migrate.lint(versions => '{%s}')", version_of($n)));

	is($status, 0, "lint() of $ups[$n - 1]") or diag($err);
	nothing_ran('runs nothing');
}

# What looks before it runs: a superuser's run of a stranger's text is refused
observe($db, "INSERT INTO migrate.policy (lint) VALUES ('error')");
foreach my $call ('SELECT migrate.apply()', 'CALL migrate.apply_each()',
	'SELECT * FROM migrate.apply(dry_run => true)')
{
	my ($status) = run($super, $db, $call);

	isnt($status, 0, "$call is refused");
	nothing_ran('and runs nothing');
}

stop_server();
done_testing();
