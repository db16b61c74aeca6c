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
