--
-- Errors in bodies: where, what to do, and what is remembered
--
\pset null '(null)'
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
SET migrate.failure_quiet = 0;
-- the journal of a run that failed here; times aside
PREPARE failure AS SELECT action, version, body, statement, line, sqlstate, message, detail, hint, context
	FROM migrate.failures(1);

SELECT migrate.add('1', 'CREATE TABLE t1 (a int CONSTRAINT positive CHECK (a > 0) NOT NULL)', 'DROP TABLE t1', name => 'first');
-- analysis: position in the body, after characters of several bytes
SELECT migrate.add('2', E'-- Zürich\nSELECT ''é'' AS "ü";\n\nSELECT ''ß'',\n       nosuch FROM t1;');
SELECT version FROM migrate.apply();
\echo :SQLSTATE
EXECUTE failure;
SELECT to_regclass('t1');
SELECT version, state, error FROM migrate.status();
SELECT migrate.check();

-- run time: the server's SQLSTATE, DETAIL, HINT and names
SELECT migrate.remove('2');
SELECT migrate.add('2', E'INSERT INTO t1 VALUES (1);\nINSERT INTO t1 VALUES (-1)');
DO $$
DECLARE c text; t text; s text; st text; d text;
BEGIN
	PERFORM migrate.apply();
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS c = CONSTRAINT_NAME, t = TABLE_NAME, s = SCHEMA_NAME, st = RETURNED_SQLSTATE, d = PG_EXCEPTION_DETAIL;
	RAISE NOTICE '% % % % %', st, s, t, c, d;
END $$;
SELECT version FROM migrate.apply();

-- a function, a DO block and a syntax error inside keep their own position
SELECT migrate.remove('2');
SELECT migrate.add('2', E'SELECT 1;\nDO $x$\nBEGIN\n  PERFORM 1 / 0;\nEND $x$;');
SELECT version FROM migrate.apply();
EXECUTE failure;
SELECT migrate.remove('2');
SELECT migrate.add('2', E'DO $x$\nBEGIN\n  RAISE SQLSTATE ''XX123'' USING MESSAGE = ''mine'', DETAIL = ''a detail'', HINT = ''a hint'';\nEND $x$;');
SELECT version FROM migrate.apply();
\echo :SQLSTATE
EXECUTE failure;
SELECT migrate.remove('2');
SELECT migrate.add('2', E'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $x$\n SELECT nosuch $x$;');
SELECT version FROM migrate.apply();

-- as a row
SELECT run, version, action, statements, error FROM migrate.apply(raise => false);
SELECT (SELECT error ->> 'sqlstate' FROM migrate.apply(raise => false)) AS sqlstate;
SELECT version, state FROM migrate.status();
-- in a transaction block the block goes on
BEGIN;
SELECT action, error ->> 'sqlstate' AS sqlstate FROM migrate.apply(raise => false);
SELECT 'still here' AS here;
COMMIT;
SELECT count(*) FROM migrate.failures(100);

-- verify bodies
SELECT migrate.remove('2');
SELECT migrate.add('2', 'CREATE TABLE t2 ()', 'DROP TABLE t2', verify => E'SELECT true;\nSELECT to_regclass(''t2'') IS NULL');
SELECT version FROM migrate.apply();
\echo :SQLSTATE
EXECUTE failure;
SELECT migrate.remove('2');
SELECT migrate.add('2', 'CREATE TABLE t2 ()', 'DROP TABLE t2', verify => 'SELECT to_regclass(''t3'')');
SELECT version FROM migrate.apply();
SELECT migrate.remove('2');
SELECT migrate.add('2', 'CREATE TABLE t2 ()', 'DROP TABLE t2', verify => 'SELECT 1 / 0');
SELECT version FROM migrate.apply();
SELECT migrate.remove('2');
-- no rows, other types and true pass; what a verify body does is undone
SELECT migrate.add('2', 'CREATE TABLE t2 (a int)', 'DROP TABLE t2',
	verify => 'SELECT a FROM t2 WHERE false; SELECT 0, false; SELECT true; INSERT INTO t2 VALUES (1); SELECT count(*) = 1 FROM t2');
SELECT version, statements FROM migrate.apply();
SELECT count(*) FROM t2;
SELECT * FROM migrate.verify();
ALTER TABLE t2 ADD COLUMN b int NOT NULL;
SELECT * FROM migrate.verify();
SELECT count(*) FROM t2;

-- hints
SELECT migrate.add('3', 'CREATE TYPE mood AS ENUM (''a'')', 'DROP TYPE mood');
SELECT version FROM migrate.apply();
SELECT migrate.add('4', E'ALTER TYPE mood ADD VALUE ''b'';\nCREATE TABLE moods AS SELECT ''b''::mood AS m');
SELECT version FROM migrate.apply();
\echo :SQLSTATE
SELECT migrate.remove('4');
SELECT migrate.add('4', 'DO $$ BEGIN COMMIT; END $$');
SELECT version FROM migrate.apply();
\echo :SQLSTATE
SELECT migrate.remove('4');
SELECT migrate.add('4', 'SELECT 1', 'DO $$ BEGIN COMMIT; END $$');
SELECT version FROM migrate.apply();
SELECT version FROM migrate.rollback();
\echo :SQLSTATE
SELECT version FROM migrate.unstamp('4');
SELECT migrate.remove('4');
SELECT migrate.add('4', 'DO $$ BEGIN EXECUTE ''VACUUM t1''; END $$');
SELECT version FROM migrate.apply();
\echo :SQLSTATE
SELECT migrate.remove('4');
CREATE TABLE existing ();
SELECT migrate.add('1', 'CREATE TABLE existing ()', project => 'old');
SELECT version FROM migrate.apply(project => 'old');
\echo :SQLSTATE
DROP TABLE existing;
-- a role is of all databases, and says nothing about this one
SELECT migrate.remove('1', 'old');
CREATE ROLE regress_migrate_known;
SELECT migrate.add('1', 'CREATE ROLE regress_migrate_known', project => 'old');
SELECT version FROM migrate.apply(project => 'old');
CALL migrate.apply_each(project => 'old');
SELECT migrate.remove('1', 'old');
SELECT migrate.add('1', 'ALTER ROLE regress_migrate_known RENAME TO regress_migrate_new; CREATE ROLE regress_migrate_known; ALTER ROLE regress_migrate_new RENAME TO regress_migrate_known', project => 'old');
SELECT version FROM migrate.apply(project => 'old');
DROP ROLE regress_migrate_known;
SELECT migrate.remove('1', 'old');
SELECT migrate.add('1', 'CREATE TYPE existing AS (); CREATE TYPE existing AS ()', project => 'old');
SELECT version FROM migrate.apply(project => 'old');
CREATE ROLE regress_migrate_other;
SELECT migrate.grant('run', 'regress_migrate_other');
SELECT migrate.add('4', 'CREATE TABLE t4 ()');
SET migrate.trust_authors = on;
SET ROLE regress_migrate_other;
SELECT version FROM migrate.apply();
\echo :SQLSTATE
RESET ROLE;
RESET migrate.trust_authors;

-- statements that need a transaction of their own are refused up front, all named
SELECT migrate.remove('4');
SELECT migrate.add('4', 'CREATE TABLE t4 ()');
SELECT migrate.add('5', E'SELECT 1;\nCREATE INDEX CONCURRENTLY ON t1 (a)');
SELECT migrate.add('6', 'SELECT 1', transactional => false);
SELECT migrate.add('7', 'VACUUM t1');
SELECT version, own_transaction, reason FROM migrate.plan();
SELECT version FROM migrate.apply();
\echo :SQLSTATE
SELECT to_regclass('t4');
SELECT count(migrate.remove(v)) FROM unnest(ARRAY['5', '6', '7']) v;
SELECT count(*) FROM unnest(ARRAY['CREATE INDEX CONCURRENTLY ON t (a)', 'DROP INDEX CONCURRENTLY i', 'REINDEX INDEX CONCURRENTLY i',
	'REINDEX (CONCURRENTLY) TABLE t', 'REINDEX SCHEMA s', 'REINDEX DATABASE d', 'REINDEX SYSTEM d', 'VACUUM', 'CLUSTER',
	'ALTER TABLE t DETACH PARTITION p CONCURRENTLY', 'CREATE DATABASE d', 'DROP DATABASE d', 'ALTER DATABASE d SET TABLESPACE t',
	'CREATE TABLESPACE t LOCATION ''/x''', 'DROP TABLESPACE t', 'ALTER SYSTEM SET work_mem = 1', 'DISCARD ALL',
	'CREATE SUBSCRIPTION s CONNECTION '''' PUBLICATION p', 'ALTER SUBSCRIPTION s REFRESH PUBLICATION', 'ALTER SUBSCRIPTION s SET PUBLICATION p',
	'DROP SUBSCRIPTION s', 'COMMIT PREPARED ''x''', 'ROLLBACK PREPARED ''x''']) WITH ORDINALITY AS b (body, n),
	LATERAL migrate.add('nt' || n, body, project => 'nt');
SELECT count(*), bool_and(own_transaction) FROM migrate.plan(project => 'nt');
SELECT count(*) FROM unnest(ARRAY['CREATE INDEX ON t (a)', 'DROP INDEX i', 'REINDEX INDEX i', 'REINDEX (CONCURRENTLY false) TABLE t', 'ANALYZE', 'CLUSTER t',
	'ALTER TABLE t DETACH PARTITION p', 'ALTER TABLE t DETACH PARTITION p FINALIZE', 'ALTER DATABASE d SET work_mem = 1', 'DISCARD PLANS',
	'CREATE SUBSCRIPTION s CONNECTION '''' PUBLICATION p WITH (connect = false)', 'ALTER SUBSCRIPTION s SET PUBLICATION p WITH (refresh = false)',
	'ALTER SUBSCRIPTION s DISABLE']) WITH ORDINALITY AS b (body, n),
	LATERAL migrate.add('t' || n, body, project => 'can');
SELECT count(*), bool_or(own_transaction) FROM migrate.plan(project => 'can');

-- the caller's transaction
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT version FROM migrate.apply();
\echo :SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT version, state FROM migrate.status() WHERE state = 'pending';
SELECT version FROM migrate.apply();
\echo :SQLSTATE
ROLLBACK;
SELECT version FROM migrate.apply();
-- with nothing to do neither matters
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT version FROM migrate.apply();
COMMIT;

-- what a body sets is undone, and no body sees another's settings
SELECT migrate.add('8', 'SET search_path = pg_catalog; SET LOCAL work_mem = ''64kB''; SELECT set_config(''DateStyle'', ''German'', false)');
SELECT migrate.add('9', 'CREATE TABLE settings AS SELECT current_setting(''search_path'') sp, current_setting(''work_mem'') wm, current_setting(''DateStyle'') ds');
SET work_mem = '5MB';
SET DateStyle = 'SQL, DMY';
SELECT version FROM migrate.apply();
SELECT * FROM settings;
SHOW work_mem;
SHOW DateStyle;
SHOW search_path;
RESET work_mem;
RESET DateStyle;

-- deferred constraints: each body answers for its own, the next one may defer again
SELECT migrate.add('10', 'CREATE TABLE p (id int PRIMARY KEY, c int); CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p DEFERRABLE INITIALLY DEFERRED);
	ALTER TABLE p ADD FOREIGN KEY (c) REFERENCES c DEFERRABLE INITIALLY DEFERRED');
SELECT migrate.add('11', 'INSERT INTO p VALUES (1, 1); INSERT INTO c VALUES (1, 1)');
SELECT migrate.add('12', 'INSERT INTO p VALUES (2, 2); INSERT INTO c VALUES (2, 2)');
SELECT version FROM migrate.apply();
-- one that a later body makes in the same run can be deferred as well
SELECT migrate.add('12.1', 'CREATE TABLE q (id int PRIMARY KEY, r int); CREATE TABLE r (id int PRIMARY KEY);
	ALTER TABLE q ADD FOREIGN KEY (r) REFERENCES r DEFERRABLE INITIALLY DEFERRED; INSERT INTO q VALUES (1, 1); INSERT INTO r VALUES (1)');
SELECT migrate.add('12.2', 'CREATE TABLE s (id int CONSTRAINT same REFERENCES r DEFERRABLE); CREATE TABLE t (id int CONSTRAINT same REFERENCES r);
	SET CONSTRAINTS q_r_fkey IMMEDIATE; INSERT INTO r VALUES (2); INSERT INTO q VALUES (2, 2)');
SELECT migrate.add('12.3', 'INSERT INTO q VALUES (3, 3); INSERT INTO r VALUES (3)');
SELECT version FROM migrate.apply();
SELECT migrate.add('13', 'INSERT INTO p VALUES (3, 3)');
SELECT migrate.add('14', 'INSERT INTO c VALUES (3, 3)');
SELECT version FROM migrate.apply();
\echo :SQLSTATE
SELECT count(migrate.remove(v)) FROM unnest(ARRAY['13', '14']) v;

-- calls from inside a body
SELECT migrate.add('15', 'SELECT migrate.apply()');
SELECT version FROM migrate.apply();
\echo :SQLSTATE
SELECT migrate.remove('15');
SELECT migrate.add('15', 'SELECT migrate.add(''99'', '''')');
SELECT version FROM migrate.apply();
SELECT migrate.remove('15');
SELECT migrate.add('15', 'INSERT INTO migrate.migration (version, up) VALUES (''99'', '''')');
SELECT version FROM migrate.apply();
-- looking is allowed
SELECT migrate.remove('15');
SELECT migrate.add('15', 'CREATE TABLE looked AS SELECT * FROM migrate.status()');
SELECT version FROM migrate.apply();

-- a temporary table of the session never gets what the real one is to have
CREATE TABLE shadowed (a int);
CREATE TEMP TABLE shadowed (a int);
SELECT migrate.add('15.1', 'ALTER TABLE shadowed ADD COLUMN b int');
SELECT version FROM migrate.apply();
DISCARD TEMP;
SELECT version FROM migrate.apply();
SELECT count(*) FROM pg_attribute WHERE attrelid = 'public.shadowed'::regclass AND attname = 'b';
DROP TABLE public.shadowed;
-- nor does another session's deferrable constraint, or one out of reach, matter
CREATE SCHEMA regress_private;
CREATE TABLE regress_private.one (a int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);
SELECT migrate.add('15.2', 'SELECT 1');
GRANT CREATE ON SCHEMA public TO regress_migrate_other;
SET migrate.trust_authors = on;
SET ROLE regress_migrate_other;
SELECT version FROM migrate.apply();
RESET ROLE;
RESET migrate.trust_authors;
DROP SCHEMA regress_private CASCADE;
-- a time-out that a body sets ends with it, however it ends
SELECT migrate.add('15.3', 'SET statement_timeout = 60; SELECT 1; SELECT 1 / 0');
DO $$
BEGIN
	PERFORM migrate.apply(raise => false);
	PERFORM pg_sleep(0.2);
	RAISE NOTICE 'not canceled';
END $$;
SELECT migrate.remove('15.3');
-- the error of a text that has been replaced is not the new one's
SELECT migrate.add('15.4', 'SELECT 1 / 0');
SELECT version FROM migrate.apply();
SELECT version, state, error FROM migrate.status() WHERE version = '15.4';
SELECT migrate.remove('15.4');
SELECT migrate.add('15.4', 'SELECT 1');
SELECT version, state, error FROM migrate.status() WHERE version = '15.4';
SELECT version FROM migrate.apply();
-- what fails between the migrations belongs to none of them
SELECT migrate.add('1', 'ALTER TABLE migrate.migration DISABLE TRIGGER ALL; DELETE FROM migrate.migration WHERE project = ''big'' AND version = ''3''', project => 'big');
SELECT migrate.add('2', 'SELECT ''' || repeat('x', 1100000) || '''', project => 'big');
SELECT migrate.add('3', 'SELECT ''' || repeat('y', 1100000) || '''', project => 'big');
SELECT version, action, error ->> 'message' AS message FROM migrate.apply(raise => false, project => 'big');
SELECT version, state FROM migrate.status('big');

-- the same failure is journalled once within failure_quiet
SET migrate.failure_quiet = '1h';
SELECT migrate.add('16', 'SELECT 1 / 0');
SELECT count(*) FROM migrate.failures(1000) \gset before_
SELECT version FROM migrate.apply();
SELECT version FROM migrate.apply();
SELECT count(*) - :before_count AS journalled FROM migrate.failures(1000);
SELECT migrate.remove('16');
SELECT migrate.add('16', 'SELECT 2 / 0');
SELECT version FROM migrate.apply();
SELECT count(*) - :before_count AS journalled FROM migrate.failures(1000);

-- nor is it one after another attempt, or in another statement
SELECT migrate.remove('16');
CREATE TABLE knob AS SELECT 0 AS k;
SELECT migrate.add('16', 'CREATE TABLE made AS SELECT 1 / k FROM knob', 'DROP TABLE made');
SELECT count(*) FROM migrate.failures(1000) \gset before_
SELECT version FROM migrate.apply();
UPDATE knob SET k = 1;
SELECT version FROM migrate.apply();
SELECT version FROM migrate.rollback();
UPDATE knob SET k = 0;
SELECT version FROM migrate.apply();
SELECT count(*) - :before_count AS journalled FROM migrate.failures(1000);
SELECT state, error FROM migrate.status() WHERE version = '16';
SELECT migrate.remove('16');
SELECT migrate.add('16', 'SELECT 1 / k FROM knob; SELECT 1 / (k - 1) FROM knob');
SELECT version FROM migrate.apply();
UPDATE knob SET k = 1;
SELECT version FROM migrate.apply();
SELECT count(*) - :before_count AS journalled FROM migrate.failures(1000);
DROP TABLE knob;

-- a failing down
SELECT migrate.remove('16');
SELECT migrate.add('16', '', E'SELECT 1;\nDROP TABLE nosuch');
SELECT version FROM migrate.apply();
SELECT version FROM migrate.rollback();
EXECUTE failure;
SELECT version, state FROM migrate.status() WHERE version = '16';
SELECT action, error ->> 'body' AS body, error ->> 'line' AS line FROM migrate.rollback(raise => false);

REVOKE ALL ON SCHEMA public FROM regress_migrate_other;
DROP OWNED BY regress_migrate_other;
DROP ROLE regress_migrate_other;
DROP TABLE t1, t2, settings, p, c, looked, t4, q, r, s, t;
DROP TYPE mood;
