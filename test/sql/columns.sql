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
	AND p.prorettype NOT IN ('text'::regtype, 'migrate.history_of_runs'::regtype, 'migrate.failure'::regtype,
		'migrate.statement'::regtype)
ORDER BY 1, 2;

-- every function is in the list, with its comment, and the arguments that can be left out
SELECT * FROM migrate.help() WHERE function ~ '(add|apply|each|wait|help|current)\(';
SELECT count(*) = (SELECT count(DISTINCT proname) FROM pg_proc WHERE pronamespace = 'migrate'::regnamespace
		AND prorettype <> 'trigger'::regtype AND prosrc <> 'migrate_lines') AS complete,
	bool_and(description <> '') AS described, max(length(description)) < 140 AS short
FROM migrate.help();

DROP TABLE orders;
