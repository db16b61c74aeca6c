-- apply_each() and rollback_each(): results, steps, refusals; what goes on after
-- a failure is in test/t/080_resume.pl
\set VERBOSITY terse
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
SET migrate.failure_quiet = 0;
SET migrate.progress_notices = 'off';
CREATE FUNCTION add(version text, up text, down text DEFAULT NULL, transactional bool DEFAULT NULL) RETURNS text
	LANGUAGE sql BEGIN ATOMIC SELECT migrate.add(version, up, down, transactional => transactional); END;

-- nothing to do
CALL migrate.apply_each() \gset
\echo run :run: :applied migrations, :statements statements
CALL migrate.rollback_each() \gset
\echo run :run: :rolled_back migrations, :statements statements

-- a transaction for each: what was committed before a failure stays
SELECT add('001', 'CREATE TABLE a (i int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 10)', 'DROP TABLE a');
SELECT add('002', 'ALTER TABLE a ADD b int', 'ALTER TABLE a DROP b');
SELECT add('003', 'INSERT INTO a VALUES (1)');
CALL migrate.apply_each();
SELECT version, state, error FROM migrate.status();
SELECT run, project, action, mode, note, role, outcome, migrations, ended_at >= started_at AS ended FROM migrate.run;
SELECT state, migrations, version, statement, sqlstate FROM migrate.outcome(1);
SELECT migrate.remove('003');

-- the same books as of apply(), and a transaction of its own for each
SELECT count(DISTINCT xid), count(DISTINCT run), bool_and(wal_end > wal_start) FROM migrate.journal WHERE outcome = 'success';
SELECT seq, version, statement, tag, row_count FROM migrate.statements(1);

-- versions and targets
SELECT add('004', 'SELECT 4', ''), add('005', 'SELECT 5', ''), add('006', 'SELECT 6', '');
CALL migrate.apply_each('004', note => 'up to 4') \gset
\echo run :run: :applied migrations, :statements statements
SELECT migrate.current();
CALL migrate.apply_each(versions => '{005}') \gset
\echo run :run: :applied migrations, :statements statements
CALL migrate.apply_each(target => 'nothing');
CALL migrate.apply_each(project => NULL);
CALL migrate.apply_each() \gset
\echo run :run: :applied migrations, :statements statements
SELECT migrate.check();
CALL migrate.rollback_each(2) \gset
\echo run :run: :rolled_back migrations, :statements statements
CALL migrate.rollback_each(target => '001') \gset
\echo run :run: :rolled_back migrations, :statements statements
CALL migrate.rollback_each(steps => NULL);
CALL migrate.rollback_each(target => 'base', hold => true) \gset
\echo run :run: :rolled_back migrations, :statements statements
SELECT version, state FROM migrate.status();
SELECT count(*) FROM pg_class WHERE relname = 'a';
SELECT count(migrate.unhold(version)) FROM migrate.status() WHERE state = 'held';
CALL migrate.apply_each() \gset
\echo run :run: :applied migrations, :statements statements

-- statements that cannot run in a transaction block, and others around them
SELECT add('010', 'SET work_mem = ''7MB''; SET LOCAL maintenance_work_mem = ''8MB''; INSERT INTO a VALUES (11);
CREATE INDEX CONCURRENTLY a_b ON a (b); INSERT INTO a VALUES (12); VACUUM a;
CREATE TABLE seen AS SELECT current_setting(''work_mem'') AS work_mem, current_setting(''maintenance_work_mem'') AS maintenance_work_mem',
	'DROP INDEX CONCURRENTLY a_b; DROP TABLE seen; DELETE FROM a WHERE i > 10');
SELECT step, version, action, own_transaction, reason FROM migrate.plan();
SELECT migrate.apply();
CALL migrate.apply_each() \gset
\echo run :run: :applied migrations, :statements statements
SELECT * FROM seen;
SHOW work_mem;
SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_b'::regclass;
SELECT statement, tag FROM migrate.statements((SELECT max(run) FROM migrate.journal));
SELECT count(*) FROM migrate.step;
SELECT migrate.rollback();
CALL migrate.rollback_each() \gset
\echo run :run: :rolled_back migrations, :statements statements
SELECT count(*) FROM a;

-- partly done
SELECT migrate.remove('010');
SELECT add('010', 'INSERT INTO a VALUES (11); CREATE UNIQUE INDEX CONCURRENTLY a_u ON a ((i / 2)); INSERT INTO a VALUES (13)', 'DROP INDEX a_u; DELETE FROM a WHERE i > 10');
CALL migrate.apply_each();
SELECT version, state, error FROM migrate.status() WHERE state <> 'applied';
SELECT body, statement, last_statement, finished_at IS NOT NULL AS finished, relation::regclass, cardinality(indexes) AS indexes FROM migrate.step;
SELECT migrate.check();
SELECT migrate.apply();
SELECT migrate.remove('010');
SELECT migrate.load('{}', prune => true);
SELECT migrate.resume('010');
SELECT migrate.resume('010', at => 1, done => 1);
SELECT migrate.resume('010', at => 4);
SELECT migrate.resume('010', done => 0);
SELECT migrate.resume('001', done => 1);
SELECT migrate.resume('nothing', done => 1);
SELECT migrate.amend('010', 'INSERT INTO a VALUES (99); SELECT 1');
CALL migrate.apply_each();
SELECT migrate.amend('010', 'INSERT INTO a VALUES (11); CREATE UNIQUE INDEX CONCURRENTLY a_u ON a (i); INSERT INTO a VALUES (13)');
CALL migrate.apply_each() \gset
\echo run :run: :applied migrations, :statements statements
SELECT i FROM a WHERE i > 10 ORDER BY 1;
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'a'::regclass ORDER BY 1;
CALL migrate.rollback_each() \gset
\echo run :run: :rolled_back migrations, :statements statements

-- at the statement that was cut off: its index is still known to be its own
INSERT INTO a VALUES (20);
SELECT add('011', 'SELECT 11; CREATE UNIQUE INDEX CONCURRENTLY a_v ON a ((i / 2)); SELECT 12', 'DROP INDEX a_v');
CALL migrate.apply_each(versions => '{011}');
SELECT version, action FROM migrate.resume('011', at => 2, note => 'TICKET-9');
SELECT action, version, body, note FROM migrate.journal ORDER BY run DESC LIMIT 1;
DELETE FROM a WHERE i % 2 = 1;
CALL migrate.apply_each(versions => '{011}') \gset
\echo run :run: :applied migrations, :statements statements
SELECT statement, tag, execution_ms > 0 AS timed FROM migrate.statements(:run);
CALL migrate.rollback_each() \gset
SELECT migrate.remove('011');

-- stamp says that it is wholly done
SELECT migrate.remove('010');
SELECT add('010', 'INSERT INTO a VALUES (11); VACUUM a; SELECT 1/0');
CALL migrate.apply_each();
SELECT version, action FROM migrate.stamp('010');
SELECT state FROM migrate.status() WHERE version = '010';
SELECT version, action FROM migrate.unstamp('010');
SELECT state FROM migrate.status() WHERE version = '010';
SELECT migrate.remove('010');

-- an enum value in the migration that adds it
SELECT add('020', 'CREATE TYPE mood AS ENUM (''sad''); CREATE TABLE m (m mood)', 'DROP TABLE m; DROP TYPE mood');
CALL migrate.apply_each() \gset
\echo run :run: :applied migrations, :statements statements
SELECT add('021', 'ALTER TYPE mood ADD VALUE ''happy''; INSERT INTO m VALUES (''happy'')', 'DELETE FROM m');
\set VERBOSITY default
CALL migrate.apply_each();
\set VERBOSITY terse
SELECT migrate.remove('021');
SELECT add('021', 'ALTER TYPE mood ADD VALUE ''happy''; INSERT INTO m VALUES (''happy'')', 'DELETE FROM m', false);
CALL migrate.apply_each() \gset
\echo run :run: :applied migrations, :statements statements
SELECT * FROM m;

-- what only the server can tell
CREATE TABLE part (i int) PARTITION BY RANGE (i);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (10);
SELECT add('030', 'REINDEX TABLE part', '');
\set VERBOSITY default
CALL migrate.apply_each();
\set VERBOSITY terse
SELECT migrate.remove('030');
SELECT add('030', 'REINDEX TABLE part', '', false), add('031', 'DO $$ BEGIN INSERT INTO a VALUES (31); COMMIT; INSERT INTO a VALUES (32); END $$', '', false);
CALL migrate.apply_each() \gset
\echo run :run: :applied migrations, :statements statements
SELECT count(*) FROM a WHERE i > 30;
SELECT add('032', 'VACUUM a', '', true);
CALL migrate.apply_each();
SELECT migrate.remove('032');

-- a body cannot call it, not even one that may commit
SELECT add('040', 'CALL migrate.apply_each()', '', false);
CALL migrate.apply_each();
SELECT migrate.remove('040');

-- not in a transaction block, nor from code
\set VERBOSITY default
BEGIN;
CALL migrate.apply_each();
ROLLBACK;
SELECT 1 AS one \; CALL migrate.apply_each();
CREATE FUNCTION called_by_function() RETURNS void LANGUAGE plpgsql AS $$
DECLARE r int8; a int4; s int8; e float8;
BEGIN CALL migrate.apply_each(NULL, NULL, NULL, 'default', r, a, s, e); END $$;
SELECT called_by_function();
\set VERBOSITY terse
CREATE PROCEDURE called_by_procedure() LANGUAGE plpgsql AS $$
DECLARE r int8; a int4; s int8; e float8;
BEGIN CALL migrate.rollback_each(1, NULL, NULL, NULL, NULL, 'default', r, a, s, e); END $$;
CALL called_by_procedure();
CREATE PROCEDURE called_with_set() LANGUAGE plpgsql SET work_mem = '4MB' AS $$
DECLARE r int8; a int4; s int8; e float8;
BEGIN CALL migrate.apply_each(NULL, NULL, NULL, 'default', r, a, s, e); END $$;
CALL called_with_set();
DO $$ DECLARE o text; BEGIN CALL migrate.wait(1, NULL, o); EXCEPTION WHEN division_by_zero THEN NULL; END $$;

-- runs in the background
CALL migrate.rollback_each(target => '001') \gset
\echo run :run: :rolled_back migrations, :statements statements
BEGIN;
SELECT migrate.start(note => 'never') AS run \gset
CALL migrate.wait(:run);
ROLLBACK;
SELECT count(*) FROM migrate.outcome(:run);
-- what it is to do is looked at when it is called
SELECT migrate.start('nosuch');
SELECT migrate.start('base');
SELECT migrate.start(versions => '{001,nosuch}');
SELECT migrate.start('nosuch', project => 'nothing here');
SELECT migrate.start(target => '005', note => 'tonight') AS run \gset
CALL migrate.wait(:run);
SELECT state, migrations, action FROM migrate.outcome(:run);
SELECT version, note, application FROM migrate.journal WHERE run = :run ORDER BY seq;
SELECT add('050', 'SELECT 1;
SELECT nosuch');
SELECT migrate.start(versions => '{050}') AS run \gset
\set VERBOSITY default
CALL migrate.wait(:run);
\set VERBOSITY terse
SELECT state, version, statement, line, sqlstate FROM migrate.outcome(:run);
SELECT migrate.cancel(:run), migrate.cancel(NULL);
CALL migrate.wait(99999);
SELECT migrate.cancel(99999);
SELECT migrate.remove('050');

-- now() is when the transaction begins, as in psql, and not when the CALL did
CREATE TABLE moments (at timestamptz);
SELECT add('055', 'INSERT INTO moments SELECT now()');
SELECT add('056', 'INSERT INTO moments SELECT now();
VACUUM moments;
INSERT INTO moments SELECT now()', transactional => false);
CALL migrate.apply_each(versions => '{055,056}') \gset
\echo :applied migrations, :statements statements
SELECT count(*) AS moments, count(DISTINCT at) AS different, bool_and(at > now() - interval '1 min') FROM moments;
DROP TABLE moments;

-- a limit for a migration
SELECT add('060', 'SELECT pg_sleep(100)');
SET migrate.timeout = '100ms';
\set VERBOSITY default
CALL migrate.apply_each(versions => '{060}');
SELECT migrate.apply(versions => '{060}');
RESET migrate.timeout;
SELECT migrate.remove('060');

-- who looks at what stands half-way says what who runs would say
SELECT migrate.add('1', 'CREATE TABLE half ()', 'DROP TABLE half', project => 'half');
SELECT migrate.add('2', 'VACUUM half; SELECT 1 / 0', 'VACUUM half; SELECT 1 / 0', transactional => false, project => 'half');
SELECT migrate.add('3', '', '', project => 'half');
CALL migrate.apply_each(project => 'half');
SELECT * FROM migrate.plan_rollback(project => 'half');
SELECT * FROM migrate.rollback(project => 'half');
SELECT migrate.check(project => 'half');
SELECT version, own_transaction FROM migrate.plan(project => 'half');
SELECT version FROM migrate.resume('2', done => 2, project => 'half');
CALL migrate.apply_each(versions => '{2}', project => 'half') \gset
CALL migrate.rollback_each(project => 'half');
SELECT * FROM migrate.plan(project => 'half');
SELECT migrate.check(project => 'half');
SELECT version FROM migrate.resume('2', done => 2, project => 'half');
CALL migrate.rollback_each(2, project => 'half') \gset
SELECT version, state FROM migrate.status('half');

-- nobody is running anything
SELECT * FROM migrate.progress();
DROP FUNCTION add, called_by_function;
DROP PROCEDURE called_by_procedure, called_with_set;
DROP TABLE a, part;
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
