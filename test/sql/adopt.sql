-- Histories of other tools: what detect() sees and what adopt() takes over.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET migrate.progress_notices = off;

CREATE FUNCTION files(VARIADIC pairs text[]) RETURNS jsonb LANGUAGE sql AS
	'SELECT jsonb_object(pairs)';

-- nothing is there
SELECT * FROM migrate.detect();
SELECT * FROM migrate.adopt();
SELECT * FROM migrate.adopt('no such tool');
SELECT * FROM migrate.adopt(NULL);

-- golang-migrate: one row stands for all below it
BEGIN;
CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
INSERT INTO schema_migrations VALUES (2, false);
SELECT version, result FROM migrate.load(files(
	'000001_a.up.sql', 'CREATE TABLE a ()', '000001_a.down.sql', 'DROP TABLE a',
	'000002_b.up.sql', 'CREATE TABLE b ()', '000010_c.up.sql', 'CREATE TABLE c ()'));
CREATE TABLE a ();
CREATE TABLE b ();
SELECT * FROM migrate.detect();
SELECT version, action, entry FROM migrate.adopt(dry_run => true);
SELECT version FROM migrate.applied;
-- a first run would apply again what the tool has applied
SELECT version, action FROM migrate.plan();
SAVEPOINT s;
SELECT migrate.apply();
ROLLBACK TO s;
SET LOCAL migrate.ignore_ledgers = on;
SELECT version, action FROM migrate.plan() LIMIT 1;
SELECT migrate.apply('000001');
ROLLBACK TO s;
SELECT version, action, entry FROM migrate.adopt();
SELECT version, state, origin FROM migrate.status();
SELECT version, action FROM migrate.apply();
SELECT version, action FROM migrate.adopt();
UPDATE schema_migrations SET dirty = true;
SELECT tool, state, detail FROM migrate.detect();
SELECT version, action, detail FROM migrate.adopt(dry_run => true);
SELECT migrate.adopt();
ROLLBACK;

-- Flyway: checksums, a baseline, an undo, a repeatable one, and what has failed
BEGIN;
CREATE SCHEMA app;
CREATE TABLE app.flyway_schema_history (
	installed_rank int PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL,
	type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum int,
	installed_by varchar(100) NOT NULL, installed_on timestamp NOT NULL DEFAULT now(),
	execution_time int NOT NULL, success boolean NOT NULL);
SELECT version, result FROM migrate.load(files(
	'V1__base.sql', E'SELECT 1;\n', 'V2__two.sql', E'SELECT 2;\r\nSELECT 22;\n',
	'V3__three.sql', 'SELECT 3', 'V3.1__four.sql', 'SELECT 4', 'R__views.sql', 'SELECT 5'));
INSERT INTO app.flyway_schema_history VALUES
	(0, NULL, '<< Flyway Schema Creation >>', 'SCHEMA', '"app"', NULL, 'deploy', '2024-01-01 10:00', 0, true),
	(1, '1', '<< Flyway Baseline >>', 'BASELINE', '<< Flyway Baseline >>', NULL, 'deploy', '2024-01-01 10:00', 0, true),
	(2, '2', 'two', 'SQL', 'V2__two.sql', 12345, 'deploy', '2024-01-02 10:00', 15, true),
	(3, '3', 'three', 'SQL', 'V3__three.sql', NULL, 'deploy', '2024-01-03 10:00', 1, true),
	(4, '3', 'three', 'UNDO_SQL', 'U3__three.sql', NULL, 'deploy', '2024-01-04 10:00', 1, true),
	(5, NULL, 'views', 'SQL', 'R__views.sql', NULL, 'ops', '2024-01-05 10:00', 7, true),
	(6, '9', 'gone', 'SQL', 'V9__gone.sql', NULL, 'ops', '2024-01-06 10:00', 7, true);
SELECT * FROM migrate.detect();
SELECT version, action, entry, detail FROM migrate.adopt('flyway', true);
SAVEPOINT s;
SELECT migrate.adopt();
ROLLBACK TO s;
UPDATE app.flyway_schema_history SET checksum = 1908543933 WHERE version = '2';
SELECT version, action, entry, applied_at, detail FROM migrate.adopt();
SELECT version, applied_at, applied_by, execution_ms, origin FROM migrate.applied ORDER BY applied_seq;
SELECT action, version, note FROM migrate.journal WHERE action = 'adopt' ORDER BY seq;
INSERT INTO app.flyway_schema_history VALUES
	(7, '3.1', 'four', 'SQL', 'V3.1__four.sql', NULL, 'ops', '2024-01-07 10:00', 7, false);
SELECT tool, state, detail FROM migrate.detect();
SAVEPOINT s;
SELECT migrate.adopt();
ROLLBACK TO s;
UPDATE app.flyway_schema_history SET success = true;
SELECT version, action FROM migrate.adopt() WHERE action <> 'applied';
ROLLBACK;

-- Alembic: a head stands for what it requires
BEGIN;
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY);
SELECT migrate.add('aaa', 'SELECT 1'), migrate.add('bbb', 'SELECT 2', requires => '{aaa}'),
	migrate.add('ccc', 'SELECT 3', requires => '{aaa}'), migrate.add('ddd', 'SELECT 4', requires => '{ccc}');
INSERT INTO alembic_version VALUES ('ccc');
SELECT version, action, entry FROM migrate.adopt();
INSERT INTO alembic_version VALUES ('ddd');
SELECT version, action, entry FROM migrate.adopt();
ROLLBACK;

-- what is in two places must be named
BEGIN;
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY);
CREATE SCHEMA other;
CREATE TABLE other.alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY);
SELECT tool, ledger, state FROM migrate.detect();
SAVEPOINT s;
SELECT migrate.adopt();
ROLLBACK TO s;
SELECT migrate.adopt(ledger => 'other.alembic_version');
SELECT migrate.adopt(ledger => 'pg_class');
ROLLBACK;

-- Prisma: a row for each attempt, the hash of the file, times of start and end
BEGIN;
CREATE TABLE _prisma_migrations (
	id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at timestamptz,
	migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz,
	started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count int NOT NULL DEFAULT 0);
SELECT version, result FROM migrate.load(files(
	'20240101_a/migration.sql', E'CREATE TABLE a ();\n', '20240102_b/migration.sql', E'CREATE TABLE b ();\n'));
INSERT INTO _prisma_migrations VALUES
	('1', encode(sha256(E'CREATE TABLE a ();\r\n'), 'hex'), '2024-01-01 10:00:02Z', '20240101_a', NULL, NULL, '2024-01-01 10:00:00Z', 1),
	('2', 'ffff', NULL, '20240102_b', 'oh no', '2024-01-02 11:00Z', '2024-01-02 10:00Z', 0),
	('3', encode(sha256(E'CREATE TABLE b ();\n'), 'hex'), NULL, '20240102_b', E'oh\nno', NULL, '2024-01-02 12:00Z', 0);
SELECT * FROM migrate.detect();
SELECT version, action, detail FROM migrate.adopt(dry_run => true);
UPDATE _prisma_migrations SET finished_at = '2024-01-02 12:00:01.5Z' WHERE id = '3';
SELECT version, action, applied_at FROM migrate.adopt();
SELECT version, applied_at, execution_ms, applied_by = current_user FROM migrate.applied ORDER BY applied_seq;
ROLLBACK;

-- goose: the last row of a version counts
BEGIN;
CREATE TABLE goose_db_version (id int PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY,
	version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());
SELECT version, result FROM migrate.load(files(
	'00001_a.sql', E'-- +goose Up\nSELECT 1;', '00002_b.sql', E'-- +goose Up\nSELECT 2;', '00003_c.sql', E'-- +goose Up\nSELECT 3;'));
INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (1, true), (2, true), (2, false), (3, true), (3, false), (3, true);
SELECT tool, entries, newest FROM migrate.detect();
SELECT version, action, entry FROM migrate.adopt();
INSERT INTO goose_db_version (version_id, is_applied) VALUES (3, false), (2, true);
SELECT version, action, entry, detail FROM migrate.adopt();
ROLLBACK;

-- sqlx, diesel, drizzle: a hash of the file, a number without dashes, and nothing but a hash
BEGIN;
CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL,
	installed_on timestamptz NOT NULL DEFAULT now(), success boolean NOT NULL, checksum bytea NOT NULL, execution_time bigint NOT NULL);
SELECT version, result FROM migrate.load(files('1_a.sql', E'-- no-transaction\nSELECT 1;', '2_b.sql', 'SELECT 2'));
INSERT INTO _sqlx_migrations VALUES (1, 'a', '2024-01-01Z', true, sha384(E'-- no-transaction\nSELECT 1;'), 1500000),
	(2, 'b', '2024-01-01Z', true, sha384('SELECT 22'), 1500000);
SELECT version, action FROM migrate.adopt(dry_run => true);
SELECT version, action, detail FROM migrate.adopt(accept => true);
SELECT version, execution_ms FROM migrate.applied ORDER BY applied_seq;
ROLLBACK;
BEGIN;
CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, run_on timestamp NOT NULL DEFAULT now());
SELECT version, result FROM migrate.load(files('2024-01-31-120000_a/up.sql', 'SELECT 1', '2024-02-01-120000_b/up.sql', 'SELECT 2'));
INSERT INTO __diesel_schema_migrations VALUES ('20240131120000');
SELECT version, action, entry FROM migrate.adopt();
ROLLBACK;
BEGIN;
CREATE SCHEMA drizzle;
CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint);
SELECT version, result FROM migrate.load(files('0000_a.sql', 'SELECT 1', '0001_b.sql', 'SELECT 2'));
INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES (encode(sha256('SELECT 1'), 'hex'), 1700000000000);
SELECT version, action, applied_at FROM migrate.adopt();
ROLLBACK;

-- Sqitch and Django: the histories of several projects in one table
BEGIN;
CREATE SCHEMA sqitch;
CREATE TABLE sqitch.changes (change_id text PRIMARY KEY, script_hash text, change text NOT NULL, project text NOT NULL,
	note text NOT NULL DEFAULT '', committed_at timestamptz NOT NULL DEFAULT now(), committer_name text NOT NULL);
SELECT migrate.add('users', E'-- Deploy shop:users to pg\nSELECT 1;', project => 'shop'), migrate.add('users', 'SELECT 2', project => 'other');
INSERT INTO sqitch.changes (change_id, script_hash, change, project, committer_name, committed_at) VALUES
	('1', '1408dfa5509293a6f13387586bbd908e2a22a424', 'users', 'shop', 'Ada', '2024-01-01Z'),
	('2', NULL, 'users', 'elsewhere', 'Bob', '2024-01-02Z'), ('3', NULL, 'users', 'shop', 'Cy', '2024-01-03Z');
SELECT version, action, entry FROM migrate.adopt(project => 'shop');
SELECT version, applied_by FROM migrate.applied;
ROLLBACK;
BEGIN;
CREATE TABLE django_migrations (id bigserial PRIMARY KEY, app varchar(255) NOT NULL, name varchar(255) NOT NULL, applied timestamptz NOT NULL);
SELECT migrate.add('0001_initial', 'SELECT 1', project => 'shop'), migrate.add('0002_more', 'SELECT 1', project => 'shop');
INSERT INTO django_migrations (app, name, applied) VALUES ('auth', '0001_initial', '2024-01-01Z'), ('shop', '0001_initial', '2024-01-02Z'), ('auth', '0002_more', '2024-01-03Z');
SELECT version, action, applied_at FROM migrate.adopt('django', project => 'shop');
-- in a project of another name an app is a part of the version
SELECT migrate.add('0001_initial', 'SELECT 1', project => 'all'), migrate.add('auth.0001_initial', 'SELECT 1', project => 'all');
SELECT version, action, entry FROM migrate.adopt('django', project => 'all');
ROLLBACK;

-- Supabase and Play keep the texts: nobody has to load files, and nobody's name stands for them
BEGIN;
CREATE SCHEMA supabase_migrations;
CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text);
INSERT INTO supabase_migrations.schema_migrations VALUES ('20240101', ARRAY['CREATE TABLE a ()', 'CREATE TABLE b ()'], 'two');
SELECT version, action, entry, detail FROM migrate.adopt(dry_run => true);
SELECT version, name, action, entry, detail FROM migrate.adopt();
SELECT version, name, up, up_author, up_trusted FROM migrate.migration;
SELECT version, state FROM migrate.status();
ROLLBACK;
BEGIN;
CREATE TABLE play_evolutions (id int PRIMARY KEY, hash varchar(255) NOT NULL, applied_at timestamp NOT NULL,
	apply_script text, revert_script text, state varchar(255), last_problem text);
INSERT INTO play_evolutions VALUES (1, 'x', '2024-01-01', 'CREATE TABLE a ();', 'DROP TABLE a;', 'applied', ''),
	(2, 'y', '2024-01-02', 'CREATE TABLE b ();', '', 'applying_up', 'syntax error');
CREATE TABLE a ();
SELECT tool, state, detail FROM migrate.detect();
DELETE FROM play_evolutions WHERE id = 2;
SELECT version, action FROM migrate.adopt();
SELECT version, action FROM migrate.rollback();
ROLLBACK;

-- the four others whose table is schema_migrations, and one of one's own
BEGIN;
SELECT version, result FROM migrate.load(files('001_a.sql', 'SELECT 1', '002_b.sql', 'SELECT 2'));
CREATE TABLE schema_migrations (version varchar PRIMARY KEY);
INSERT INTO schema_migrations VALUES ('001');
SELECT tool FROM migrate.detect();
CREATE TABLE ar_internal_metadata (key varchar PRIMARY KEY, value varchar);
SELECT tool FROM migrate.detect();
SELECT version, action FROM migrate.adopt();
DROP TABLE schema_migrations;
CREATE TABLE schema_migrations (version bigint PRIMARY KEY, inserted_at timestamp(0));
SELECT tool FROM migrate.detect();
DROP TABLE schema_migrations;
CREATE TABLE schema_migrations (version varchar PRIMARY KEY, name text, applied_at timestamptz, checksum text, execution_time_ms int, success bool);
INSERT INTO schema_migrations VALUES ('002', 'b', '2024-01-01Z', md5('SELECT 2'), 12, true), ('001_a.sql', 'a', '2024-01-01Z', encode(sha256('SELECT 1'), 'hex'), 12, true);
SELECT tool FROM migrate.detect();
SELECT version, action, entry, detail FROM migrate.adopt();
SELECT version, execution_ms FROM migrate.applied WHERE version = '002';
ROLLBACK;

-- names with an ending, and graphile-migrate's chain of hashes
BEGIN;
SELECT version, result FROM migrate.load(files('20240101120000_a.sql', 'SELECT 1', '20240102120000_b.sql', 'SELECT 2'));
CREATE TABLE knex_migrations (id serial PRIMARY KEY, name varchar(255), batch int, migration_time timestamptz);
INSERT INTO knex_migrations (name, batch, migration_time) VALUES ('20240101120000_a.js', 1, '2024-01-01Z');
CREATE TABLE knex_migrations_lock (index serial PRIMARY KEY, is_locked int);
INSERT INTO knex_migrations_lock (is_locked) VALUES (1);
SELECT tool, state, detail FROM migrate.detect();
SAVEPOINT s;
SELECT migrate.adopt();
ROLLBACK TO s;
UPDATE knex_migrations_lock SET is_locked = 0;
SELECT version, action, entry FROM migrate.adopt();
DROP TABLE knex_migrations, knex_migrations_lock;
CREATE TABLE pgmigrations (id serial PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL);
INSERT INTO pgmigrations (name, run_on) VALUES ('20240101120000_a', '2024-01-01'), ('20240102120000_b', '2024-01-01');
SELECT version, action, entry FROM migrate.adopt();
ROLLBACK;

-- who may, and what cannot be read
BEGIN;
CREATE ROLE regress_adopter;
SELECT migrate.grant('look', 'regress_adopter');
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY);
INSERT INTO alembic_version VALUES ('a');
SELECT migrate.add('a', 'SELECT 1');
SET ROLE regress_adopter;
SELECT tool, state, entries, detail FROM migrate.detect();
SAVEPOINT s;
SELECT migrate.adopt();
ROLLBACK TO s;
RESET ROLE;
SELECT migrate.grant('repair', 'regress_adopter');
GRANT SELECT ON alembic_version TO regress_adopter;
SET ROLE regress_adopter;
SELECT tool, state, entries, detail FROM migrate.detect();
SAVEPOINT s;
SELECT migrate.adopt();
ROLLBACK TO s;
RESET ROLE;
GRANT UPDATE ON alembic_version TO regress_adopter;
ALTER TABLE alembic_version ENABLE ROW LEVEL SECURITY;
SET ROLE regress_adopter;
SELECT tool, state, entries, detail FROM migrate.detect();
SAVEPOINT s;
SELECT migrate.adopt();
ROLLBACK TO s;
RESET ROLE;
ALTER TABLE alembic_version DISABLE ROW LEVEL SECURITY;
SET ROLE regress_adopter;
SELECT version, action FROM migrate.adopt();
RESET ROLE;
ROLLBACK;

-- what looks like a ledger and is none, and nobody's code runs
BEGIN;
CREATE FUNCTION bang() RETURNS text LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN IF current_setting('regress.armed', true) = 'on' THEN RAISE EXCEPTION 'ran'; END IF; RETURN ''; END $$;
CREATE FUNCTION bang(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RETURN bang() = ''; END $$;
CREATE VIEW alembic_version AS SELECT bang()::varchar(32) AS version_num;
CREATE DOMAIN version AS text;
CREATE TABLE "SequelizeMeta" (name version);
CREATE TEMPORARY TABLE goose_db_version (id int, version_id bigint, is_applied bool, tstamp timestamp);
CREATE TABLE _sqlx_migrations (version bigint);
SELECT * FROM migrate.detect();
DROP VIEW alembic_version;
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL);
INSERT INTO alembic_version VALUES (E'a\u202e\nb\x1b[2J');
CREATE INDEX ON alembic_version ((version_num || 'x')) WHERE version_num IS NULL AND bang() = '';
ALTER TABLE alembic_version ADD CHECK (bang(version_num)) NOT VALID;
SET LOCAL regress.armed = on;
SELECT tool, entries, newest FROM migrate.detect();
SELECT entry, action FROM migrate.adopt(dry_run => true);
SELECT entry, action FROM migrate.adopt();
SELECT FROM alembic_version WHERE version_num IS NULL;
ROLLBACK;

-- out again: what is exported and loaded is the same
BEGIN;
CREATE FUNCTION again(convention text) RETURNS TABLE (version text, same_up bool, same_down bool, same_verify bool, same_head bool) LANGUAGE plpgsql AS $$
DECLARE
	copy text := 'again ' || convention;
BEGIN
	PERFORM migrate.load((SELECT jsonb_object_agg(path, content) FROM migrate.export(again.convention)),
		convention => CASE again.convention WHEN 'dbmate' THEN 'native' ELSE again.convention END, project => copy);
	RETURN QUERY SELECT a.version, a.up = b.up, a.down IS NOT DISTINCT FROM b.down, a.verify IS NOT DISTINCT FROM b.verify,
		(a.kind, a.requires, a.transactional, a.irreversible) IS NOT DISTINCT FROM (b.kind, b.requires, b.transactional, b.irreversible)
		FROM migrate.migration a FULL JOIN migrate.migration b ON b.version = a.version AND b.project = copy
		WHERE a.project = 'default' ORDER BY a.version COLLATE "C";
END $$;
SELECT migrate.add('001', E'CREATE TABLE a ();\n', E'DROP TABLE a;\n', 'first one, & more', verify => 'SELECT 1'),
	migrate.add('002', E'SELECT 1;\n', NULL, '', '{001}', irreversible => true),
	migrate.add('003', E'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $x$ SELECT 1; $x$;\n', E'DROP FUNCTION f();\n', transactional => false);
SELECT path, content FROM migrate.export();
SELECT * FROM again('native');
SELECT * FROM again('plain');
SELECT * FROM again('golang-migrate');
SELECT * FROM again('dbmate');
SELECT path, content FROM migrate.export('goose');
SELECT * FROM again('sqlx');
SELECT * FROM again('diesel');
SELECT * FROM again('flyway');
SELECT * FROM again('prisma');
SELECT * FROM again('sqitch');
SELECT path FROM migrate.export('sqitch') ORDER BY path COLLATE "C";
SELECT path FROM migrate.export('flyway') ORDER BY path COLLATE "C";
SAVEPOINT s;
SELECT migrate.export('alembic');
ROLLBACK TO s;
-- what looks like a marker is in no file of the native form
SELECT migrate.add('004', E'SELECT 1;\n-- migrate:down\nSELECT 2;');
SAVEPOINT s;
SELECT count(*) FROM migrate.export();
ROLLBACK TO s;
SELECT count(*) FROM migrate.export('plain');
ROLLBACK TO s;
-- a version that no file of the form can have
SELECT migrate.add('init', 'SELECT 1', project => 'named');
SAVEPOINT named;
SELECT migrate.export(project => 'named');
ROLLBACK TO named;
SELECT migrate.export('flyway', project => 'named');
ROLLBACK TO named;
SELECT path FROM migrate.export('sqitch', project => 'named');
ROLLBACK TO s;
SELECT count(*) FROM migrate.export(project => 'none');
ROLLBACK;
DROP FUNCTION files(text[]);
