--
-- The main path: add, status, plan, apply, rollback, history
--
\pset null '(null)'
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
CREATE SCHEMA app;
INSERT INTO migrate.policy (search_path) VALUES ('app');

SELECT migrate.version();

-- nothing there
SELECT * FROM migrate.status();
SELECT * FROM migrate.apply();
SELECT * FROM migrate.rollback();
SELECT migrate.current();
SELECT * FROM migrate.heads();
SELECT migrate.check();

SELECT migrate.add('001', 'CREATE TABLE users (id bigint PRIMARY KEY)',
	'DROP TABLE users', name => 'create users');
SELECT migrate.add('002', E'CREATE TABLE items (id bigint);\n-- some rows\nINSERT INTO items SELECT generate_series(1, 10);',
	'DROP TABLE items', name => 'create items');
SELECT version, name, kind, state, origin, applied_by, checksum, path, error FROM migrate.status();
SELECT * FROM migrate.plan();
SELECT migrate.check();
\echo :SQLSTATE

SELECT run, version, name, action, statements, execution_ms >= 0 AS timed, error FROM migrate.apply(note => 'release 7');
SELECT version, state, origin, applied_by, applied_at IS NOT NULL AS stamped, execution_ms >= 0 AS timed FROM migrate.status();
SELECT count(*) FROM items;
SELECT count(*) FROM app.items;
SELECT migrate.check();
SELECT migrate.current();
SELECT * FROM migrate.heads();
SELECT version, name, execution_time_ms >= 0 AS timed, success,
	checksum = encode(sha256('CREATE TABLE users (id bigint PRIMARY KEY)'), 'hex') AS checksum_is_sha256
	FROM migrate.schema_migrations ORDER BY 1 LIMIT 1;

-- running again changes nothing and says so
SELECT * FROM migrate.apply();
SELECT count(*) FROM migrate.journal;

-- what is remembered of a run
SELECT run, seq, action, version, outcome, sqlstate, role, session_role, client_address, application, note,
	backend_pid = pg_backend_pid() AS this_backend, wal_end > wal_start AS wal, xid IS NOT NULL AS xid
	FROM migrate.history WHERE run = 1 ORDER BY seq;
SELECT run, project, action, state, migrations, role, started_at < now() AS started, ended_at, version, sqlstate, message FROM migrate.outcome(1);
SELECT * FROM migrate.outcome(99);
SELECT seq, version, body, statement, line, tag, row_count, execution_ms >= 0 AS timed FROM migrate.statements(1);
SELECT j.version, b.text, j.search_path, j.server_version = current_setting('server_version') AS server, j.extension_version
	FROM migrate.journal j JOIN migrate.executed_text b ON b.body_hash = j.body_hash ORDER BY j.run, j.seq;

-- one JSON value, for who wants one
SELECT json_agg(json_build_object('version', s.version, 'state', s.state)) FROM migrate.status() s;

SELECT * FROM migrate.plan_rollback();
SELECT run, version, action, statements FROM migrate.rollback(note => 'oops');
SELECT version, state FROM migrate.status();
SELECT to_regclass('app.items');
SELECT migrate.current();
SELECT run, seq, action, version, outcome, note FROM migrate.history();
SELECT version, action FROM migrate.apply();
SELECT version, action FROM migrate.redo();
SELECT run, seq, action, version, outcome FROM migrate.history(3);
SELECT version, action FROM migrate.rollback(2);

-- dry runs leave nothing behind, not even a number
SELECT run, version, action, statements FROM migrate.apply(dry_run => true);
SELECT count(*) FROM migrate.applied;
SELECT to_regclass('app.users');
SELECT last_value FROM migrate.run_seq;
SELECT version, action FROM migrate.apply();
SELECT version, action FROM migrate.rollback(2, dry_run => true);
SELECT version, action FROM migrate.redo(2, dry_run => true);
SELECT version, state FROM migrate.status();

-- in a transaction block it takes effect with the block
BEGIN;
SELECT version, action FROM migrate.rollback(2);
ROLLBACK;
SELECT version, state FROM migrate.status();

-- each call is materialised, however much of it is fetched
SELECT migrate.add('003', 'CREATE TABLE a (); CREATE TABLE b ()', 'DROP TABLE a, b');
SELECT migrate.add('004', 'CREATE TABLE c ()', 'DROP TABLE c');
SELECT version FROM migrate.apply() LIMIT 1;
SELECT count(*) FROM migrate.applied;

-- an empty body is legal
SELECT migrate.add('005', '', '-- nothing', name => 'merge');
SELECT version, statements FROM migrate.apply();
SELECT version, statements FROM migrate.rollback();
SELECT version, action FROM migrate.rollback_to('base');
SELECT count(*) FROM migrate.applied;
SELECT count(*) FROM pg_class WHERE relnamespace = 'app'::regnamespace;

-- notices of progress
SET migrate.progress_notices = 'all';
DO $$
BEGIN
	SET LOCAL client_min_messages = warning;
	PERFORM migrate.apply('002');
END $$;
SELECT migrate.current();
SET migrate.progress_notices = 'some';
DROP SCHEMA app CASCADE;
