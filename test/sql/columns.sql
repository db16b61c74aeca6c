-- what SELECT * shows first: the first 100 characters tell the story, and
-- migrate.help()
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
SET client_min_messages = warning;
SELECT version, result FROM migrate.load('{
	"001_orders.sql": "CREATE TABLE orders (id int)",
	"002_lines.sql": "CREATE TABLE lines (id int);\nALTER TABLE nowhere ADD n int"}');
SELECT count(*) FROM migrate.apply(versions => '{001}');
SELECT count(*) FROM migrate.apply(raise => false);
SELECT left(s::text, 100) FROM migrate.status() s WHERE version = '002';
SELECT left(f::text, 60) FROM migrate.failures() f;
SELECT left(h::text, 26) FROM migrate.history() h WHERE version = '001';
SELECT left(h::text, 64) FROM migrate.history() h WHERE version = '002';
SELECT left(o::text, 66) FROM migrate.outcome(2) o;
SELECT left(l::text, 100) FROM migrate.lint() l WHERE rule = 'unknown-object';
SELECT left(regexp_replace(r::text, '\d+\.\d+', 'ms'), 58) FROM migrate.rehearse() r WHERE statement = 2;
SELECT left(regexp_replace(r::text, '\d+\.\d+', 'ms'), 62) FROM migrate.rehearse_summary() r;
SELECT migrate.remove('002');
SELECT left(s::text, 28) FROM migrate.statements(1) s;

-- the columns in their order; a checksum or a long text is never before the rest
SELECT p.proname, coalesce((SELECT string_agg(a.attname, ' ' ORDER BY a.attnum)
		FROM pg_attribute a JOIN pg_type t ON a.attrelid = t.typrelid WHERE t.oid = p.prorettype),
	array_to_string(p.proargnames[p.pronargs + 1:], ' ')) AS columns
FROM pg_proc p
WHERE p.pronamespace = 'migrate'::regnamespace AND p.proretset AND p.prosrc !~ '^migrate_refuse'
	AND p.prorettype NOT IN ('text'::regtype, 'migrate.history'::regtype, 'migrate.failures'::regtype,
		'migrate.statements'::regtype)
ORDER BY 1, 2;

-- every function is in the list, with its comment, and the arguments that can be left out
SELECT * FROM migrate.help() WHERE function ~ '(add|apply|each|wait|help|current)\(';
SELECT string_agg(DISTINCT p.proname, ' ') AS not_in_the_list
FROM pg_proc p
WHERE p.pronamespace = 'migrate'::regnamespace
	AND NOT EXISTS (SELECT FROM migrate.help() WHERE function = ANY (ARRAY['migrate.' || proname || '()', 'CALL migrate.' || proname || '()']));
SELECT count(*) = count(DISTINCT function) AS once, bool_and(description <> '') AS described,
	max(length(description)) < 140 AS short
FROM migrate.help();
-- each with the right that lets a role call it
CREATE ROLE regress_migrate_helped;
CREATE TEMP TABLE helped AS SELECT *, false AS may FROM migrate.help() h, unnest('{look,run,write,repair,owner}'::text[]) r (granted);
DO $$ DECLARE r text; BEGIN
	FOREACH r IN ARRAY '{look,run,write,repair}'::text[] LOOP
		PERFORM migrate.grant(r, 'regress_migrate_helped');
		UPDATE helped SET may = (SELECT bool_or(has_function_privilege('regress_migrate_helped', p.oid, 'EXECUTE'))
			FROM pg_proc p WHERE p.pronamespace = 'migrate'::regnamespace AND proname = substring(function FROM '\.(\w+)'))
		WHERE granted = r;
		PERFORM migrate.revoke('look', 'regress_migrate_helped');
	END LOOP;
END $$;
SELECT function, privilege, granted, may FROM helped
WHERE may <> (granted <> 'owner' AND privilege IN (granted, 'look')) ORDER BY 1;
SELECT privilege, count(DISTINCT function) > 1 AS some FROM helped GROUP BY 1 ORDER BY 1;
DROP TABLE helped;
DROP ROLE regress_migrate_helped;

DROP TABLE orders;

-- a declaration with another number of columns than the library's rows: an error, and nothing is
-- read past the end of a row
SELECT version, result FROM migrate.load('{
	"003_notes.sql": "-- migrate:up\nCREATE TABLE notes (id varchar(9))\n-- migrate:down\nDROP TABLE notes",
	"003_notes.verify.sql": "SELECT 1 / count(*) FROM pg_tables"}', project => 'odd');
SELECT count(*) FROM migrate.apply(project => 'odd');
SELECT version, result FROM migrate.load('{"004_more.sql": "CREATE TABLE more (id varchar(9))"}', project => 'odd');
CREATE TABLE public.schema_migrations (version varchar(128) PRIMARY KEY);
CREATE SCHEMA odd;
CREATE FUNCTION odd.call(p pg_proc, columns int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	arguments text := (SELECT string_agg(CASE p.proargnames[i] WHEN 'project' THEN quote_literal('odd')
			WHEN 'run' THEN '1' WHEN 'versions' THEN 'NULL' WHEN 'version' THEN quote_literal('003')
			WHEN 'files' THEN quote_literal('{"009_x.sql": "SELECT 1"}')
			ELSE pg_get_function_arg_default(p.oid, i) END, ', ' ORDER BY i)
		FROM generate_series(1, p.pronargs) i);
BEGIN
	EXECUTE format('CREATE FUNCTION odd.%I(%s) RETURNS SETOF record LANGUAGE c AS ''$libdir/migrate'', %L', p.proname,
		(SELECT string_agg(format_type(t, NULL), ', ' ORDER BY i) FROM unnest(p.proargtypes) WITH ORDINALITY u (t, i)),
		p.prosrc);
	EXECUTE format('SELECT count(*) FROM odd.%I(%s) AS (%s)', p.proname, arguments,
		(SELECT string_agg('c' || i || ' text', ', ') FROM generate_series(1, columns) i));
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
SELECT p.proname, odd.call(p, 3) AS too_few, regexp_replace(odd.call(p, 99), '.*but', '...') AS too_many
FROM pg_proc p
WHERE p.pronamespace = 'migrate'::regnamespace AND p.prosrc = 'migrate_' || p.proname
	AND p.proname IN ('apply', 'detect', 'heads', 'help', 'lint', 'load', 'outcome', 'plan', 'plan_rollback',
		'rehearse', 'rehearse_rollback', 'rollback', 'status', 'unstamp', 'verify')
ORDER BY 1;
DROP SCHEMA odd CASCADE;
DROP TABLE public.schema_migrations, notes;
