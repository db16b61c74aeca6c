-- check() is not content where something was expected and nothing is there
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
SELECT migrate.check();
\echo :SQLSTATE
SELECT migrate.check('base');
SELECT migrate.check(project => 'shpo');
SELECT migrate.check('001', 'shpo');
\set VERBOSITY sqlstate
SELECT * FROM migrate.load('{"001_a.sql": "SELECT (", "002_b.sql": "SELECT 1"}');
\set VERBOSITY default
SELECT migrate.check();
SELECT migrate.add('001', 'CREATE TABLE a (n int)', 'DROP TABLE a', project => 'shop');
SELECT migrate.check(project => 'shpo');

-- whoever says "nothing" of a project that is not there says that
\set VERBOSITY terse
SELECT count(*) FROM migrate.apply(project => 'shpo');
SELECT count(*) FROM migrate.apply('001', project => 'shpo', dry_run => true);
SELECT count(*) FROM migrate.rollback(project => 'shpo');
SELECT count(*) FROM migrate.rollback_to('base', project => 'shpo');
SELECT count(*) FROM migrate.rollback_run(project => 'shpo');
SELECT count(*) FROM migrate.redo(project => 'shpo');
CALL migrate.apply_each(project => 'shpo') \gset
CALL migrate.rollback_each(project => 'shpo') \gset
BEGIN;
SELECT migrate.start(project => 'shpo') IS NULL;
ROLLBACK;
SELECT count(*) FROM migrate.plan(project => 'shpo');
SELECT count(*) FROM migrate.plan_rollback(project => 'shpo');
SELECT count(*) FROM migrate.rehearse(project => 'shpo');
SELECT count(*) FROM migrate.rehearse_rollback(project => 'shpo');
SELECT count(*) FROM migrate.rehearse_summary(project => 'shpo');
SELECT count(*) FROM migrate.lint(project => 'shpo');
SELECT count(*) FROM migrate.status('shpo');
SELECT count(*) FROM migrate.verify('shpo');
SELECT migrate.current('shpo');
SELECT count(*) FROM migrate.heads('shpo');
SELECT count(*) FROM migrate.failures(project => 'shpo');
SELECT count(*) FROM migrate.history(project => 'shpo');
SELECT migrate.report('json', rehearse => true, project => 'shpo')::jsonb ->> 'verdict_text' AS said;
\set VERBOSITY default
SELECT split_part(migrate.report(project => 'shpo'), E'\n', 3) AS verdict;
CALL migrate.apply_each(project => 'shpo') \gset
SELECT count(*) FROM migrate.apply(project => 'shop');
SELECT migrate.check(project => 'shop');

-- what was applied is gone with its schema
CREATE SCHEMA app;
SELECT migrate.add('001', 'CREATE TABLE users (n int)', project => 'app');
BEGIN;
SET LOCAL search_path = app;
SELECT count(*) FROM migrate.apply(project => 'app');
COMMIT;
SELECT migrate.check(project => 'app');
DROP SCHEMA app CASCADE;
SELECT migrate.check(project => 'app');
\echo :SQLSTATE
SELECT version FROM migrate.stamp_to('base', project => 'app');
SELECT migrate.check('base', 'app');
CREATE SCHEMA app;
SELECT count(*) FROM migrate.apply(project => 'app', dry_run => true);
INSERT INTO migrate.policy (project, search_path) VALUES ('app', 'app, public');
SELECT count(*) FROM migrate.apply(project => 'app');
DROP SCHEMA app CASCADE;
SELECT migrate.check(project => 'app');
BEGIN;
DROP SCHEMA public CASCADE;
SELECT migrate.check(project => 'shop');
ROLLBACK;

-- two heads are said
SELECT migrate.add('a', 'SELECT 1', 'SELECT 2', project => 'ids');
SELECT migrate.add('b', 'SELECT 1', 'SELECT 2', project => 'ids', requires => '{a}');
SELECT migrate.add('c', 'SELECT 1', 'SELECT 2', project => 'ids', requires => '{a}');
SELECT version FROM migrate.apply(project => 'ids');
SELECT migrate.check(project => 'ids');
SELECT migrate.add('d', 'SELECT 1', 'SELECT 2', project => 'ids', requires => '{b,c}');
SELECT version FROM migrate.apply(project => 'ids');
SELECT migrate.check(project => 'ids');
SELECT migrate.add('e', 'SELECT 1', project => 'ids', requires => '{d}');
SELECT migrate.add('f', 'SELECT 1', project => 'ids', requires => '{d}');
SET migrate.progress_notices = off;
CALL migrate.apply_each(project => 'ids') \gset
\echo :applied

-- an unknown word in the policy, and who has a version
INSERT INTO migrate.policy (project, lint) VALUES ('p', 'warning');
\echo :SQLSTATE
INSERT INTO migrate.policy (project, out_of_order) VALUES ('p', 'yes');
UPDATE migrate.policy SET lint = 'error', out_of_order = 'ok';
INSERT INTO migrate.policy (project, edits) VALUES ('p', 'comments');
INSERT INTO migrate.policy (project, lint, out_of_order) VALUES ('p', 'warn', 'allow');
SELECT * FROM migrate.load('{"001_a.sql": "SELECT 1", "001_b.sql": "SELECT 2"}');
SELECT * FROM migrate.load('{"1_a.up.sql": "SELECT 1", "1_b.up.sql": "SELECT 2"}');
DROP TABLE a;

-- a null is an error in every argument whose default is not null; version_key() is strict
CREATE TABLE files (path text, content text);
SET client_min_messages = error;
CREATE FUNCTION null_in(routine oid, argument int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	call text;
BEGIN
	SELECT format('%s migrate.%I(%s)', CASE p.prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, p.proname,
			string_agg(format('%I => %s::%s', p.proargnames[n],
				CASE n WHEN argument THEN 'NULL' ELSE CASE t.typname WHEN 'jsonb' THEN '''{}''' WHEN 'regclass' THEN '''files'''
					WHEN 'interval' THEN '''1 day''' ELSE CASE p.proname WHEN 'load_directory'
					THEN quote_literal(current_setting('data_directory') || '/pg_twophase') ELSE '''1''' END END END, t.typname), ', ' ORDER BY n))
		INTO call
		FROM pg_proc p, generate_series(1, p.pronargs) n,
			LATERAL (SELECT CASE WHEN typname LIKE 'any%array' THEN '_text' WHEN typname LIKE 'any%' THEN 'text'
				ELSE typname END AS typname FROM pg_type WHERE oid = p.proargtypes[n - 1]) t
		WHERE p.oid = routine AND (n <= p.pronargs - p.pronargdefaults OR n = argument)
		GROUP BY p.oid;
	EXECUTE call;
	RETURN 'no error: ' || call;
EXCEPTION WHEN others THEN
	RETURN CASE WHEN SQLSTATE <> '22004' THEN SQLSTATE || ' ' || SQLERRM || ': ' || call END;
END $$;
SELECT count(*) > 50 AS many, string_agg(null_in(p.oid, n), E'\n' ORDER BY p.oid::regprocedure::text, n) AS taken
	FROM pg_proc p, generate_series(1, p.pronargs) n
	WHERE p.pronamespace = 'migrate'::regnamespace AND p.prorettype <> 'trigger'::regtype AND p.prosrc NOT IN ('migrate_lines', 'migrate_refuse_text', 'migrate_refuse_version_type', 'migrate_version_key')
		AND NOT coalesce(pg_get_function_arg_default(p.oid, n) LIKE 'NULL%', false);
RESET client_min_messages;
DROP TABLE files;
DROP FUNCTION null_in;
-- what is held is not "nothing at all"
SELECT migrate.add('001', 'CREATE TABLE held ()', project => 'held');
SELECT migrate.hold('001', 'not yet', project => 'held');
SELECT version FROM migrate.apply('001', project => 'held');
-- a policy about what is not there says so, and is stored
INSERT INTO migrate.policy (project, role, search_path, protected)
	VALUES ('held ', 'nosuch', 'public, nosuch, "$user", "No Such"', true);
UPDATE migrate.policy SET project = 'held', role = NULL, search_path = 'public' WHERE project = 'held ';
DELETE FROM migrate.policy WHERE project = 'held';
-- who has undone it by hand is told how to say so, and nobody else is
SELECT migrate.add('001', 'CREATE TABLE gone ()', 'DROP TABLE gone', project => 'gone');
SELECT version FROM migrate.apply(project => 'gone');
DROP TABLE gone;
SELECT version FROM migrate.rollback(project => 'gone');
CALL migrate.rollback_each(project => 'gone');
SELECT message, hint FROM migrate.rehearse_rollback(project => 'gone') WHERE message IS NOT NULL;
SELECT version FROM migrate.unstamp('001', project => 'gone');
SELECT migrate.add('002', 'DROP TABLE gone', project => 'gone');
SELECT version FROM migrate.apply(versions => '{002}', project => 'gone');

--
-- What was applied went with its schema
--
CREATE SCHEMA shop;
SET search_path = shop;
SELECT migrate.add('1', 'CREATE TABLE in_shop ()', 'DROP TABLE in_shop', project => 'shop');
SELECT version FROM migrate.apply(project => 'shop');
DROP SCHEMA shop CASCADE;
SELECT version FROM migrate.apply(project => 'shop');
CALL migrate.apply_each(project => 'shop');
SELECT version FROM migrate.apply(versions => '{1}', project => 'shop');
SELECT version, state FROM migrate.status('shop');
SELECT r ->> 'verdict' AS verdict, r ->> 'verdict_text' AS text FROM migrate.report('json', project => 'shop') AS t (j), LATERAL (SELECT j::json AS r) x;
-- another path: one look-up in the books does not tell, a closer look does
SET search_path = public;
SELECT version FROM migrate.apply(project => 'shop');
SELECT version FROM migrate.apply(versions => '{1}', project => 'shop');
CREATE SCHEMA shop;
SELECT version FROM migrate.apply(versions => '{1}', project => 'shop');
DROP SCHEMA shop;
RESET search_path;
-- a project that nobody knows: one warning
SELECT r ->> 'verdict' AS verdict, r ->> 'verdict_text' AS text FROM migrate.report('json', project => 'shpo') AS t (j), LATERAL (SELECT j::json AS r) x;
SELECT substring(migrate.report(target => '5', project => 'shpo') FROM '[^\n]*') AS first_line;
