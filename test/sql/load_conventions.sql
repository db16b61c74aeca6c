--
-- The conventions of load(): file names and markers, and what is refused
--
\pset null '(null)'
DROP EXTENSION migrate;
CREATE EXTENSION migrate;

-- what is stored for a project; texts as JSON strings, so that a line is a line
CREATE FUNCTION pg_temp.stored(project text)
	RETURNS TABLE (version text, name text, kind text, transactional bool,
		irreversible bool, requires text[], path text, source text)
	LANGUAGE sql AS $$
	SELECT m.version, m.name, m.kind, m.transactional, m.irreversible,
		m.requires, m.path, m.source
	FROM migrate.migration m
	WHERE m.project = $1
	ORDER BY m.path COLLATE "C"
$$;
CREATE FUNCTION pg_temp.texts(project text)
	RETURNS TABLE (version text, up text, down text, verify text)
	LANGUAGE sql AS $$
	SELECT m.version, to_json(m.up)::text, to_json(m.down)::text,
		to_json(m.verify)::text
	FROM migrate.migration m
	WHERE m.project = $1
	ORDER BY m.path COLLATE "C"
$$;

-- SQLSTATE, message, detail and hint of a load() that is refused
CREATE FUNCTION pg_temp.refused(files jsonb, convention text DEFAULT 'auto')
	RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text;
	message text;
	detail text;
	hint text;
BEGIN
	PERFORM migrate.load(files, convention => convention, project => 'refused');
	RETURN 'NOT REFUSED';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE,
		message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n    ', state || ' ' || message, nullif(detail, ''),
		nullif(hint, ''));
END
$$;

-- the convention that auto finds
CREATE FUNCTION pg_temp.recognized(VARIADIC files text[])
	RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM migrate.load(jsonb_object(files), project => 'recognized');
	SELECT string_agg(DISTINCT source, ' ') INTO result
		FROM migrate.migration WHERE project = 'recognized';
	DELETE FROM migrate.migration WHERE project = 'recognized';
	RETURN result;
END
$$;

--
-- native
--
-- no marker: one up body, byte for byte; what is no migration is named
SELECT * FROM migrate.load(jsonb_build_object(
	'db/001_create_users.sql', E'\n-- users\r\nCREATE TABLE users (id int);  ',
	'db/1.10_ten.sql', 'SELECT 10',
	'db/1.9_nine_of_ten.sql', 'SELECT 9',
	'2024-01-02-030405_dashes.sql', '',
	'db/20240101120000.sql', 'SELECT 1;',
	'db/a1b2c3d4_hash.SQL', 'SELECT 1;',
	'db/README.md', '# read me',
	'db/app.toml', '',
	'db/.gitkeep', ''),
	subdirectories => true, project => 'bodies')
	ORDER BY path COLLATE "C";
SELECT * FROM pg_temp.stored('bodies');
SELECT * FROM pg_temp.texts('bodies');
SELECT version, name = repeat('x', 148) AS has_its_name, result
	FROM migrate.load(jsonb_build_object('1_' || repeat('x', 148) || '.sql', ''),
		project => 'long');

-- sections and head lines, in any place
SELECT * FROM migrate.load(jsonb_build_object(
	'001_sections.sql',
	E'-- Copyright\n/* several\n /* nested */ lines */\n\n-- migrate:up\nCREATE TABLE a ();\n'
	'-- migrate:down\nDROP TABLE a;\n'
	'-- migrate:verify\nSELECT true;\n',
	'002_spaces.sql',
	E'--migrate:up\nCREATE TABLE b ();\n--  migrate:down\nDROP TABLE b;',
	'003_head.sql',
	E'-- migrate:requires 005 001\n-- migrate:up\nSELECT 3;\n'
	'-- migrate:requires 001 002\nSELECT 33;\n-- migrate:irreversible\n',
	'004_repeatable.sql', E'CREATE OR REPLACE VIEW v AS SELECT 4 AS four;\n-- migrate:repeatable',
	'005_off.sql', E'-- migrate:transactional off\nSELECT 5;\n',
	'006_on.sql', E'-- migrate:transactional on\n-- migrate:up transaction:true\nSELECT 6;\n',
	'007_dbmate.sql',
	E'-- a remark\n-- migrate:up transaction:false\nSELECT 7;\n-- migrate:down transaction:true\n\n',
	'008_case.sql', E'-- Migrate:UP\nSELECT 8;\n-- MIGRATE:Down\nSELECT -8;\n',
	'009_empty.sql', E'-- migrate:up\n-- migrate:down\n-- nothing to undo\n'),
	project => 'sections')
	ORDER BY path COLLATE "C";
SELECT * FROM pg_temp.stored('sections');
SELECT * FROM pg_temp.texts('sections');

-- line ends of Windows, and a byte-order mark before the first marker
SELECT version, result FROM migrate.load(jsonb_build_object(
	'1_crlf.sql', E'-- migrate:requires 2\r\n-- migrate:up\r\nSELECT 1;\r\n-- migrate:down\r\nSELECT -1;\r\n',
	'2_bom.sql', E'\uFEFF-- migrate:up transaction:false\nSELECT 2;\n-- migrate:down\nSELECT -2;\n',
	'3_bom.sql', E'\uFEFF-- migrate:transactional off\nSELECT 3;\n'),
	project => 'windows')
	ORDER BY version;
SELECT version, transactional, requires FROM pg_temp.stored('windows');
SELECT * FROM pg_temp.texts('windows') WHERE version < '3';
SELECT up = E'\uFEFF-- migrate:transactional off\nSELECT 3;\n' AS has_its_bytes
	FROM migrate.migration WHERE project = 'windows' AND version = '3';

-- files for down and verify, wherever they lie
SELECT version, name, path, result FROM migrate.load(jsonb_build_object(
	'up/001_a.sql', 'CREATE TABLE a ();',
	'down/001_a.down.sql', 'DROP TABLE a;',
	'up/001_a.verify.sql', 'SELECT true;',
	'1.1_b.up.sql', 'CREATE TABLE b ();',
	'1.1_b.down.sql', '',
	'up/002_c.sql', E'-- migrate:up\nSELECT 2;\n-- migrate:down\nSELECT -2;\n',
	'up/002_c.verify.sql', 'SELECT true;'),
	subdirectories => true, project => 'beside')
	ORDER BY path COLLATE "C";
SELECT * FROM pg_temp.texts('beside');

-- again: nothing changes
SELECT version, result FROM migrate.load(jsonb_build_object(
	'up/001_a.sql', 'CREATE TABLE a ();',
	'down/001_a.down.sql', 'DROP TABLE a;',
	'up/001_a.verify.sql', 'SELECT true;',
	'1.1_b.up.sql', 'CREATE TABLE b ();',
	'1.1_b.down.sql', '',
	'up/002_c.sql', E'-- migrate:up\nSELECT 2;\n-- migrate:down\nSELECT -2;\n',
	'up/002_c.verify.sql', 'SELECT true;'),
	subdirectories => true, project => 'beside')
	ORDER BY path COLLATE "C";

-- what is wrong with markers is an error, with file and line
\pset format unaligned
\pset tuples_only on
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:up\nSELECT 1;\n-- migrate:dwon\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate: up\nSELECT 1;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:up\nSELECT 1;\n  -- migrate:down\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'/* a\n */ -- b\n\nSELECT 0;\n-- migrate:up\nSELECT 1;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:down\nSELECT 1;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:up transaction:no\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:up lock:false\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:up transaction=false\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:up\nSELECT 1;\n-- migrate:down notransaction\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:transactional off\n-- migrate:up transaction:true\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:transactional\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:transactional maybe\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:transactional on off\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:requires\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:requires 001, 000\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:repeatable always\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:irreversible really\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:irreversible\n-- migrate:up\n-- migrate:down\nSELECT 1;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:irreversible\n', '1_a.down.sql', 'SELECT 1;'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', 'SELECT 1;', '1_a.down.sql', E'SELECT 1;\n-- migrate:down\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:up\n-- migrate:down\nSELECT 1;\n', '1_a.down.sql', 'SELECT 1;'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:up\n-- migrate:verify\nSELECT true;\n', '1_a.verify.sql', 'SELECT true;'));

-- so are names
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', 'SELECT 1;', '1_b.down.sql', 'SELECT 1;'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', 'SELECT 1;', 'x/2_b.verify.sql', 'SELECT true;'));
SELECT pg_temp.refused(jsonb_build_object('a/1_a.sql', 'SELECT 1;', 'b/1_a.sql', 'SELECT 2;'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', 'SELECT 1;', '1_b.sql', 'SELECT 2;'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', 'SELECT 1;', '1_a.up.sql', 'SELECT 2;'), 'native');
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', '', 'a/1_a.down.sql', '', 'b/1_a.down.sql', ''));
SELECT pg_temp.refused(jsonb_build_object('x/_a.sql', 'SELECT 1;'));
SELECT pg_temp.refused(jsonb_build_object('x/.1_a.sql', 'SELECT 1;'));
SELECT pg_temp.refused(jsonb_build_object('.sql', 'SELECT 1;'));
SELECT pg_temp.refused(jsonb_build_object('.down.sql', 'SELECT 1;'));
SELECT pg_temp.refused(jsonb_build_object('head_of_department.sql', 'SELECT 1;'));
SELECT pg_temp.refused(jsonb_build_object('base.sql', 'SELECT 1;'));

-- and files that another tool would cut, whose down would follow the up
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +migrate Up\nSELECT 1;\n-- +migrate Down\nSELECT 2;\n'), 'native');
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'SELECT 1;\n---- create above / drop below ----\nSELECT 2;\n'), 'native');
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- Up Migration\nSELECT 1;\n\n-- Down Migration\nSELECT 2;\n'), 'native');
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'SELECT 1;\r\n-- Down Migration\r\nSELECT 2;\r\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'--liquibase formatted sql\nSELECT 1;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\nSELECT 1;\n'), 'native');
\pset format aligned
\pset tuples_only off

--
-- plain: names as in the native form, markers are comments
--
SELECT version, name, path, result FROM migrate.load(jsonb_build_object(
	'001_a.sql', E'-- migrate:dwon is no marker of anybody\nSELECT 1;\n',
	'001_a.down.sql', E'-- migrate:nonsense\n',
	'002.sql', E'-- Down Migration\nSELECT 3;\n',
	'002.verify.sql', 'SELECT true;'),
	convention => 'plain', project => 'plain')
	ORDER BY path COLLATE "C";
SELECT version, source FROM pg_temp.stored('plain');
SELECT * FROM pg_temp.texts('plain');

--
-- name: the whole name of the file is the version
--
SELECT version, name, path, result FROM migrate.load(jsonb_build_object(
	'x/create_users.sql', 'SELECT 1;',
	'x/create_users.down.sql', 'SELECT -1;',
	'x/create_orders.up.sql', 'SELECT 2;',
	'y/create_orders.down.sql', 'SELECT -2;',
	'1_a.sql', E'-- migrate:requires create_users\n-- migrate:up\nSELECT 3;\n-- migrate:down\nSELECT -3;\n',
	'1_b.sql', 'SELECT 4;',
	'_c.sql', 'SELECT 5;'),
	convention => 'name', subdirectories => true, project => 'name')
	ORDER BY path COLLATE "C";
SELECT version, requires, source FROM pg_temp.stored('name');
SELECT * FROM pg_temp.texts('name');

--
-- golang-migrate
--
SELECT version, name, path, result FROM migrate.load(jsonb_build_object(
	'm/000001_create_users.up.sql', 'CREATE TABLE users ();',
	'm/000001_create_users.down.sql', 'DROP TABLE users;',
	'm/2_two.up.sql', 'SELECT 2;',
	'm/002_too.down.sql', 'SELECT -2;',
	'm/12345678901234567890_forward.up.sql', '',
	'm/4_.up.sql', E'-- migrate:is not looked at\n'),
	convention => 'golang-migrate', project => 'golang-migrate')
	ORDER BY path COLLATE "C";
SELECT version, source FROM pg_temp.stored('golang-migrate');
SELECT * FROM pg_temp.texts('golang-migrate');

--
-- sqlx
--
SELECT version, name, path, result FROM migrate.load(jsonb_build_object(
	'1_only_up.sql', 'SELECT 1;',
	'2_both.up.sql', 'SELECT 2;',
	'2_both.down.sql', E'-- no-transaction\nSELECT -2;',
	'10_alone.sql', E'-- no-transaction\nSELECT 10;',
	'11_bom.up.sql', E'\uFEFF-- no-transaction\r\nSELECT 11;',
	'12_later.up.sql', E'\n-- no-transaction\nSELECT 12;'),
	project => 'sqlx')
	ORDER BY path COLLATE "C";
SELECT version, transactional, source FROM pg_temp.stored('sqlx');
SELECT version, down FROM pg_temp.texts('sqlx');

\pset format unaligned
\pset tuples_only on
SELECT pg_temp.refused(jsonb_build_object('1_a.up.sql', '', '2_b.sql', ''), 'golang-migrate');
SELECT pg_temp.refused(jsonb_build_object('1_a.up.sql', '', '1.1_b.up.sql', ''), 'golang-migrate');
SELECT pg_temp.refused(jsonb_build_object('1_a.up.sql', '', '1_a.verify.sql', ''), 'golang-migrate');
SELECT pg_temp.refused(jsonb_build_object('1_a.up.sql', '', '2_b.down.sql', ''), 'golang-migrate');
SELECT pg_temp.refused(jsonb_build_object('1_a.up.sql', '', '001_b.up.sql', ''), 'golang-migrate');
SELECT pg_temp.refused(jsonb_build_object('1_a.up.sql', '', '1_a.sql', ''), 'sqlx');
SELECT pg_temp.refused(jsonb_build_object('1_a.up.sql', '', 'seed.sql', ''));
\pset format aligned
\pset tuples_only off

--
-- goose: annotations within a section stay, they are comments
--
SELECT version, name, path, result FROM migrate.load(jsonb_build_object(
	'00001_init.sql',
	E'-- a comment\n\n-- +goose Up\nCREATE TABLE a ();\n-- +goose StatementBegin\nSELECT 1;\n-- +goose StatementEnd\n'
	'-- +goose Down\nDROP TABLE a;\n',
	'00002_up.sql', E'-- +goose up\nSELECT 2;',
	'00003_blank.sql', E'--+goose Up\r\nSELECT 3;\r\n-- +goose Down\r\n-- +goose StatementBegin\r\n\r\n-- +goose StatementEnd\r\n',
	'00004_no.sql', E'-- +goose NO TRANSACTION\n-- +goose Up\nSELECT 4;\n-- +goose ENVSUB OFF\n',
	'00005_no.sql', E'-- +goose Up\n-- +goose no transaction\nSELECT 5;\n'),
	project => 'goose')
	ORDER BY path COLLATE "C";
SELECT version, transactional, source FROM pg_temp.stored('goose');
SELECT * FROM pg_temp.texts('goose');

\pset format unaligned
\pset tuples_only on
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\n-- +goose ENVSUB ON\nSELECT ''$HOME'';\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\nSELECT 1;\n', '2_b.sql', 'SELECT 2;'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'SELECT 1;\n-- +goose Up\nSELECT 1;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\n-- +goose Up\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Down\n-- +goose Up\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\n-- +goose Down\n-- +goose Down\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose StatementBegin\n-- +goose Up\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\n-- +goose StatementBegin\n-- +goose Down\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\n-- +goose StatementBegin\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\n-- +goose StatementEnd\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\n-- +goose Upwards\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\n -- +goose Down\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\n', '001_b.sql', E'-- +goose Up\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\n', 'b_c.sql', E'-- +goose Up\n'));
\pset format aligned
\pset tuples_only off

--
-- diesel: a directory is a migration, other files are named and left out
--
SELECT version, name, path, result FROM migrate.load(jsonb_build_object(
	'migrations/00000000000000_diesel_initial_setup/up.sql', 'SELECT 0;',
	'migrations/00000000000000_diesel_initial_setup/down.sql', '',
	'migrations/2024-01-02-030405_add_users/up.sql', 'CREATE TABLE users ();',
	'migrations/2024-01-02-030405_add_users/down.sql', 'DROP TABLE users;',
	'migrations/2024-01-03-000000_index/up.sql', 'CREATE INDEX CONCURRENTLY ON users ((1));',
	'migrations/2024-01-03-000000_index/metadata.toml', E'# why\n"run_in_transaction" = false  # because\n',
	'migrations/2024-01-04-000000_table/up.sql', 'SELECT 4;',
	'migrations/2024-01-04-000000_table/metadata.toml', E'title = "x"\r\n[other]\r\nrun_in_transaction = false\r\n',
	'migrations/2024-01-05-000000/up.sql', 'SELECT 5;',
	'migrations/2024-01-05-000000/metadata.toml', 'run_in_transaction=true',
	'migrations/seed.sql', 'SELECT 6;',
	'migrations/.keep', ''),
	project => 'diesel')
	ORDER BY path COLLATE "C";
SELECT version, transactional, source FROM pg_temp.stored('diesel');
SELECT * FROM pg_temp.texts('diesel');

-- diesel compares versions as strings: 2 before 10 needs a requirement here
SELECT version, result FROM migrate.load(jsonb_build_object(
	'20240101_a/up.sql', 'SELECT 1;',
	'2024-01-02-030405_b/up.sql', 'SELECT 2;',
	'20240103_c/up.sql', 'SELECT 3;',
	'20240104_d/up.sql', 'SELECT 4;',
	'2024-01-05-030405_e/up.sql', 'SELECT 5;'),
	convention => 'diesel', project => 'diesel order')
	ORDER BY path COLLATE "C";
SELECT version, requires FROM pg_temp.stored('diesel order');
SELECT string_agg(name, ' ' ORDER BY step) FROM migrate.plan(project => 'diesel order');

\pset format unaligned
\pset tuples_only on
SELECT pg_temp.refused(jsonb_build_object('2024_a/up.sql', '', '2024_b/down.sql', ''));
SELECT pg_temp.refused(jsonb_build_object('2024_a/up.sql', '', '20-24_b/up.sql', ''));
SELECT pg_temp.refused(jsonb_build_object('2024_a/up.sql', '', '2024_a/metadata.toml', 'run_in_transaction = 1'));
SELECT pg_temp.refused(jsonb_build_object('up.sql', ''), 'diesel');
SELECT pg_temp.refused(jsonb_build_object('x/_a/up.sql', ''), 'diesel');
\pset format aligned
\pset tuples_only off

--
-- Flyway
--
SELECT version, name, path, result FROM migrate.load(jsonb_build_object(
	'sql/V1__create_users.sql', 'CREATE TABLE users ();',
	'sql/U1.0__undo_users.sql', 'DROP TABLE users;',
	'sql/V1_2__two.sql', 'SELECT 1.2;',
	'sql/V1.10__ten__times.sql', 'SELECT 10;',
	'sql/V1.10__ten__times.sql.conf', E'# no\nexecuteInTransaction=false\nencoding=UTF-8\n',
	'sql/V2.sql', 'SELECT 2;',
	'sql/V2.sql.conf', E'executeInTransaction = TRUE\r\nplaceholderReplacement=false\r\nshouldExecute=true\r\n',
	'sql/R__my_view.sql', 'CREATE OR REPLACE VIEW my_view AS SELECT 1 AS one;',
	'sql/R__other.sql', 'SELECT 1;'),
	project => 'flyway')
	ORDER BY path COLLATE "C";
SELECT version, name, kind, transactional, source FROM pg_temp.stored('flyway');
SELECT * FROM pg_temp.texts('flyway');

\pset format unaligned
\pset tuples_only on
SELECT pg_temp.refused(jsonb_build_object('V1__a.sql', '', 'B2__base.sql', ''));
SELECT pg_temp.refused(jsonb_build_object('V1__a.sql', '', 'U2__b.sql', ''));
SELECT pg_temp.refused(jsonb_build_object('V1__a.sql', '', 'V01.0__b.sql', ''));
SELECT pg_temp.refused(jsonb_build_object('R__a.sql', '', 'x/R__a.sql', ''));
SELECT pg_temp.refused(jsonb_build_object('V1__a.sql', '', 'afterMigrate.sql', ''));
SELECT pg_temp.refused(jsonb_build_object('V1__a.sql', '', 'Vone__b.sql', ''));
SELECT pg_temp.refused(jsonb_build_object('V1__a.sql', '', 'V1..2__b.sql', ''));
SELECT pg_temp.refused(jsonb_build_object('V1__a.sql', '', 'V1.__b.sql', ''));
SELECT pg_temp.refused(jsonb_build_object('V1__a.sql', '', 'V1__a.sql.conf', 'placeholderReplacement=true'));
SELECT pg_temp.refused(jsonb_build_object('V1__a.sql', E'-- ${none}\nSELECT $1, ''$ {none}'';\nSELECT ''of ${flyway:user}'''));
SELECT pg_temp.refused(jsonb_build_object('R__a.sql', E'CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$\n\tSELECT ''${schema}'' $$'));
SELECT version, result FROM migrate.load(jsonb_build_object('V1__a.sql', 'SELECT ''${kept}''',
	'V1__a.sql.conf', 'placeholderReplacement=false'), project => 'kept');
SELECT pg_temp.refused(jsonb_build_object('V1__a.sql', '', 'V1__a.sql.conf', 'shouldExecute=${x}==y'));
SELECT pg_temp.refused(jsonb_build_object('V1__a.sql', '', 'V1__a.sql.conf', E'\nexecuteInTransaction=no'));
SELECT pg_temp.refused(jsonb_build_object('V1__a.sql', '', 'V1__a.sql.conf', 'executeInTransactions=false'));
SELECT pg_temp.refused(jsonb_build_object('V1__a.sql', '', 'V2__b.sql.conf', ''));
\pset format aligned
\pset tuples_only off

--
-- Sqitch: the plan's order, whatever the names; a reworked change
--
CREATE TEMP TABLE sqitch AS SELECT jsonb_build_object(
	'db/sqitch.plan',
	E'%syntax-version=1.0.0\n%project=shop # ours\n%uri=https://example.com/\n\n'
	'# the beginning\n'
	'users 2024-01-01T00:00:00Z A. Planner <a@example.com> # Adds users.\n'
	'schema/app [users] 2024-01-01T00:00:01Z A. Planner <a@example.com>\r\n'
	'   + areas [shop:users !nothing] 2024-01-01T00:00:02Z A. Planner <a@example.com>\n'
	'@v1 2024-01-02T00:00:00Z A. Planner <a@example.com> # The first.\n'
	'@v1.1 2024-01-02T00:00:01Z A. Planner <a@example.com>\n'
	'users [users@v1 @v1.1 areas] 2024-01-03T00:00:00Z A. Planner <a@example.com> # More of them.\n'
	'archive [users users@v1] 2024-01-03T00:00:01Z A. Planner <a@example.com>\n'
	'@v2 2024-01-04T00:00:00Z A. Planner <a@example.com>\n'
	'users [users@v2] 2024-01-05T00:00:00Z A. Planner <a@example.com>',
	'db/deploy/users@v1.1.sql', E'BEGIN;\nCREATE TABLE users ();\nCOMMIT;\n',
	'db/revert/users@v1.1.sql', E'BEGIN;\nDROP TABLE users;\nCOMMIT;\n',
	'db/verify/users@v1.1.sql', E'BEGIN;\nSELECT FROM users WHERE false;\nROLLBACK;\n',
	'db/deploy/users@v2.sql', 'SELECT 2;',
	'db/revert/users@v2.sql', 'SELECT -2;',
	'db/deploy/users.sql', 'SELECT 3;',
	'db/deploy/schema/app.sql', 'SELECT 4;',
	'db/revert/schema/app.sql', 'SELECT -4;',
	'db/deploy/areas.sql', 'SELECT 5;',
	'db/deploy/archive.sql', 'SELECT 6;',
	'db/verify/archive.sql', 'SELECT true;') AS files;
SELECT version, name, path, result
	FROM sqitch, migrate.load(files, project => 'sqitch')
	ORDER BY path COLLATE "C";
SELECT version, name, requires, source FROM pg_temp.stored('sqitch');
SELECT * FROM pg_temp.texts('sqitch');
SELECT string_agg(version, ' ' ORDER BY step) FROM migrate.plan(project => 'sqitch');

-- scripts that are not planned, and all that lies elsewhere, are left out
SELECT version, result FROM sqitch, migrate.load(files || jsonb_build_object(
	'db/deploy/forgotten.sql', 'SELECT 7;',
	'db/test/users.sql', 'SELECT 8;',
	'db/sqitch.conf', '[core]'), project => 'sqitch')
	ORDER BY path COLLATE "C";

-- a COMMIT at the end, which psql only warns of: an applied script cannot be edited
SELECT version, result FROM migrate.load(jsonb_build_object(
	'sqitch.plan', E'%project=stray\n\na 2024-01-01T00:00:00Z A <a@b.c>\n',
	'deploy/a.sql', E'SELECT 1;\ncommit; -- the end\n',
	'revert/a.sql', E'SELECT -1;\nEND'), project => 'stray');
SELECT version, statements FROM migrate.apply(project => 'stray');
SELECT version, statements FROM migrate.rollback(project => 'stray');
SELECT migrate.add('y', 'SELECT 1; COMMIT', project => 'stray');

-- a change of another project
SELECT migrate.add('x', 'SELECT 1', project => 'other');
SELECT version, result FROM migrate.load(jsonb_build_object(
	'sqitch.plan', 'a [other:x] 2024-01-01T00:00:00Z A. Planner <a@example.com>',
	'deploy/a.sql', 'SELECT 1;'), project => 'sqitch requires');
SELECT version, requires FROM pg_temp.stored('sqitch requires');

-- what is wrong with a plan
\pset format unaligned
\pset tuples_only on
CREATE FUNCTION pg_temp.planned(VARIADIC lines text[]) RETURNS jsonb
	LANGUAGE sql AS $$
	SELECT jsonb_build_object('sqitch.plan', E'%project=p\n\n' ||
		string_agg(replace(line, ' T', ' 2024-01-01T00:00:00Z A <a@b>'), E'\n'),
		'deploy/a.sql', '', 'deploy/b.sql', '')
	FROM unnest(lines) AS line
$$;
SELECT pg_temp.refused(pg_temp.planned('a T', 'c T'));
SELECT pg_temp.refused(pg_temp.planned('a T', 'a T'));
SELECT pg_temp.refused(pg_temp.planned('a T', '@v1 T', 'a T', 'b T', 'a T') || '{"deploy/a@v1.sql": ""}');
SELECT pg_temp.refused(pg_temp.planned('a T', '@v1 T', '@v2 T', 'a T'));
SELECT pg_temp.refused(pg_temp.planned('@v1 T', 'a T'));
SELECT pg_temp.refused(pg_temp.planned('a [b] T', 'b T'));
SELECT pg_temp.refused(pg_temp.planned('a [a] T'));
SELECT pg_temp.refused(pg_temp.planned('a T', 'b [a@v1] T', '@v1 T'));
SELECT pg_temp.refused(pg_temp.planned('a T', '@v1 T', 'b [b@v1] T'));
SELECT pg_temp.refused(pg_temp.planned('a T', 'b [a@nowhere] T'));
SELECT pg_temp.refused(pg_temp.planned('a T', 'b [0123456789abcdef0123456789abcdef01234567] T'));
SELECT pg_temp.refused(pg_temp.planned('a', 'b T'));
SELECT pg_temp.refused(pg_temp.planned('a T', 'b [a T'));
SELECT pg_temp.refused(pg_temp.planned('a T', 'b:c T'));
SELECT pg_temp.refused(pg_temp.planned('a T', '-a T'));
SELECT pg_temp.refused(pg_temp.planned('a T', '@'));
SELECT pg_temp.refused(pg_temp.planned('a T') || '{"x/sqitch.plan": ""}');
SELECT pg_temp.refused('{"deploy/a.sql": ""}', 'sqitch');
\pset format aligned
\pset tuples_only off

--
-- auto
--
SELECT pg_temp.recognized('1_a.sql', '') AS plain,
	pg_temp.recognized('1_a.sql', '', '1_a.down.sql', '') AS with_down,
	pg_temp.recognized('1_a.up.sql', '', '1_a.verify.sql', '') AS with_verify,
	pg_temp.recognized('1.1_a.up.sql', '', '1.1_a.down.sql', '') AS with_dots,
	pg_temp.recognized('1_a.sql', '-- migrate:up') AS dbmate;
SELECT pg_temp.recognized('1_a.up.sql', '', '1_a.down.sql', '') AS golang_migrate,
	pg_temp.recognized('1_a.up.sql', '', '2_b.sql', '') AS sqlx_up,
	pg_temp.recognized('1_a.sql', E'-- no-transaction\n') AS sqlx_no_transaction,
	pg_temp.recognized('1_a.sql', E'SELECT 1;\n-- no-transaction\n') AS not_sqlx;
SELECT pg_temp.recognized('1_a.sql', '-- +goose Up') AS goose,
	pg_temp.recognized('2024_a/up.sql', '') AS diesel,
	pg_temp.recognized('V1__a.sql', '') AS flyway,
	pg_temp.recognized('R__a.sql', '') AS flyway_repeatable,
	pg_temp.recognized('Victory1_a.sql', '') AS not_flyway,
	pg_temp.recognized('sqitch.plan', 'a 2024-01-01T00:00:00Z A <a@b>',
		'deploy/a.sql', '') AS sqitch;

-- nothing to load
SELECT * FROM migrate.load('{}', project => 'nothing');
SELECT * FROM migrate.load('{}', convention => 'sqitch', project => 'nothing');
SELECT * FROM migrate.load('{"README.md": "# read me", ".keep": ""}', project => 'nothing');
SELECT * FROM migrate.load('{"README.md": "# read me"}', convention => 'flyway', project => 'nothing');
SELECT * FROM migrate.load('{"1_a.down.sql": "SELECT 1"}', ignore => '{*.down.sql}', project => 'nothing');
SELECT * FROM migrate.load('{"1_a.sql": "SELEC 1", "2_b.down.sql": ""}', partial => true, project => 'nothing');

-- files, and no migration
\pset format unaligned
\pset tuples_only on
SELECT pg_temp.refused('{"1_a.down.sql": "SELECT 1", "2_b.down.sql": "SELECT 2"}');
SELECT pg_temp.refused('{"1_a.verify.sql": "SELECT 1", "README.md": ""}');
SELECT pg_temp.refused('{"000001_a.down.sql": "SELECT 1"}', 'golang-migrate');
SELECT pg_temp.refused('{"2024_b/down.sql": ""}', 'diesel');
SELECT pg_temp.refused('{"seed.sql": "SELECT 1", "schema.prisma": ""}', 'prisma');
SELECT pg_temp.refused('{"sqitch.plan": "%syntax-version=1.0.0\n%project=p\n", "deploy/a.sql": ""}');
SELECT pg_temp.refused('{"readme.sql": "SELECT 1"}', 'flyway');
\pset format aligned
\pset tuples_only off

-- two conventions, and one that does not exist
\pset format unaligned
\pset tuples_only on
SELECT pg_temp.refused('{"1_a.sql": "-- migrate:up", "2_b.sql": "-- +goose Up"}');
SELECT pg_temp.refused('{"1_a.up.sql": "", "1_a.down.sql": "", "2_b.up.sql": "-- migrate:up"}');
SELECT pg_temp.refused('{"1_a.up.sql": "", "2_b.sql": "-- migrate:up"}');
SELECT pg_temp.refused('{"V1__a.sql": "-- +goose Up"}');
SELECT pg_temp.refused('{"2024_a/up.sql": "", "V1__b.sql": ""}');
SELECT pg_temp.refused('{"sqitch.plan": "", "1_a.up.sql": ""}');
SELECT pg_temp.refused('{"1_a.sql": ""}', 'knex');
SELECT pg_temp.refused('{}', 'Native');

-- nothing of what was refused is there
SELECT count(*) FROM migrate.migration WHERE project = 'refused';
\pset format aligned
\pset tuples_only off
DELETE FROM migrate.migration WHERE project <> 'default';

--
-- Files of tools that no convention reads, and of those that another one does:
-- refused by the tool's name in every convention, explicit or not
--
\pset format unaligned
\pset tuples_only on
-- the tool that is named, in each convention, for one file
CREATE FUNCTION pg_temp.named(files jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(tool || ': ' || cs, '; ' ORDER BY cs)
	FROM (SELECT tool, string_agg(c, ' ' ORDER BY n) AS cs
		FROM (SELECT c, n, coalesce(replace(substring(pg_temp.refused(files, c) FROM '(?:marker of|name as) ([^,]*), which'), ' gives it', ''), 'not refused by name') AS tool
			FROM unnest('{auto,native,plain,name,golang-migrate,sqlx,goose,flyway}'::text[]) WITH ORDINALITY AS u (c, n)) a
		GROUP BY tool) b
$$;
SET client_min_messages = error;
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'-- +migrate Up\nSELECT 1;\n-- +migrate Down\nSELECT 2;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'SELECT 1;\n---- create above / drop below ----\nSELECT 2;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'---- tern: disable-tx ----\nSELECT 1;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 2;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'-- //@UNDO\nSELECT 2;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'-- // First.\nSELECT 1;\n--//@UNDO\r\nSELECT 2;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'-- rambler up\nSELECT 1;\n-- rambler down\nSELECT 2;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'-- +micrate Up\nSELECT 1;\n-- +micrate Down\nSELECT 2;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'# --- !Ups\nSELECT 1;\n# --- !Downs\nSELECT 2;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'SELECT 1;\n  -- !Downs\nSELECT 2;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'--liquibase formatted sql\n--changeset a:1\nSELECT 1;\n--rollback SELECT 2;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'-- changeset a:1 runInTransaction:false\nSELECT 1;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'--! Previous: -\n--! Hash: sha1:abc\n\nSELECT 1;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'--!include x.sql\nSELECT 1;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'-- atlas:txmode none\n\nSELECT 1;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'-- ==== UP ====\nSELECT 1;\n-- ==== DOWN ====\nSELECT 2;\n'));
SELECT pg_temp.named(jsonb_build_object('001.do.a.sql', 'SELECT 1;', '001.undo.a.sql', 'SELECT 2;'));
SELECT pg_temp.named(jsonb_build_object('001_a.sql', 'SELECT 1;', '001_a.rollback.sql', 'SELECT 2;'));
SELECT pg_temp.named(jsonb_build_object('20240101-a-up.sql', 'SELECT 1;', '20240101-a-down.sql', 'SELECT 2;'));
-- those that some convention reads: not by the others
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;\n'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', E'-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n'));
SELECT pg_temp.named(jsonb_build_object('V1__a.sql', 'SELECT 1;', 'U1__a.sql', 'SELECT 2;'));
SELECT pg_temp.named(jsonb_build_object('1_a.up.sql', 'SELECT 1;', '1_a.down.sql', 'SELECT 2;'));
SELECT pg_temp.named(jsonb_build_object('2024_a/up.sql', 'SELECT 1;', '2024_a/down.sql', 'SELECT 2;'));
SELECT pg_temp.named(jsonb_build_object('2024_a/migration.sql', 'SELECT 1;', '2025_b/migration.sql', 'SELECT 2;'));
SELECT pg_temp.named(jsonb_build_object('1_a.sql', 'SELECT 1;', 'sqitch.plan', ''));
-- in files of conventions that look into certain places
SELECT pg_temp.refused(jsonb_build_object('2024_a/up.sql', E'-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('sqitch.plan', 'a 2024-01-01T00:00:00Z A <a@b>', 'deploy/a.sql', E'-- +goose Up\nSELECT 1;\n'));
-- with what to do
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\nSELECT 1;\n'), 'native');
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'SELECT 1;\n-- rambler down\nSELECT 2;\n', '2_b.rollback.sql', '', '3_c.sql', E'\n-- +migrate Up'), 'native');

-- no marker: in a literal, a dollar body, a block comment or an ordinary one
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', $$
/* how to cut a file:
-- +migrate Down
/*
-- rambler down
*/
-- !Downs
*/
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $f$
-- +goose Down
SELECT 'x
-- //@UNDO' $f$;
INSERT INTO "a
-- +micrate Down
" VALUES ('it''s
---- create above / drop below ----
', E'\'
-- migrate:down
');
-- +migration of users, !downside, undo, atlas: a book, changesets are fine
-- Down migration is not needed, rollback: DROP TABLE x;
SELECT 1 # 2;
$$), 'plain');
-- a title over a file that has one body, and one over what is commented out
SELECT pg_temp.refused(jsonb_build_object('1_a.up.sql', E'-- Up Migration\nSELECT 1;\n', '1_a.down.sql', E'-- Down Migration\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'SELECT 1;\n-- DOWN\n-- SELECT 2;\n'));
-- a marker of the way back that is misspelt, or of whatever tool: in no convention
-- but plain does what follows it run as a part of the way forth
SELECT c, string_agg(quote_literal(marker), ' ' ORDER BY marker) AS not_refused
FROM unnest('{auto,native,name,golang-migrate,sqlx,goose,plain}'::text[]) AS c,
	unnest(ARRAY['-- migrate down', '-- migrate-down', '-- migrations:down', '-- migration:down', '-- migrat:down', '--- migrate:down',
		'/* migrate:down */', '/****' || chr(10) || '* Down' || chr(10) || '****/', '-- migrate :down', '-- migratedown', E'-- \u00a0migrate:down', E'-- \u200bmigrate:down',
		E'-- migrate\uff1adown', '-- dbmate:down', '-- rollback', '-- ROLLBACK:', '-- undo', '-- revert', '-- +down', '-- @down',
		'-- [down]', '--!down', '-- downgrade', '-- backward', '-- + goose Down', '-- goose Down', '-- sqlx down',
		'-- Down (rollback)', '-- rollback (down)', '-- down / rollback', '-- To undo:', '-- for rollback', '-- rollback plan',
		'-- rollback below', '-- Rolling back', '-- Reverting', '-- undoing', E'-- \u2193 down', '-- step down', '-- The way back', '-- to roll back:',
		E'  --\trollback script\r']) AS marker
WHERE pg_temp.refused(jsonb_build_object(CASE c WHEN 'golang-migrate' THEN '1_a.up.sql' ELSE '1_a.sql' END,
	CASE c WHEN 'goose' THEN E'-- +goose Up\n' ELSE '' END || E'SELECT 1;\n\n' || marker || E'\nSELECT 2;\n'), c)
	!~ '^MG011 file "1_a(.up)?.sql" line [34] has (statements after|a marker of |".*", which looks like a marker of )'
GROUP BY c ORDER BY c;
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:up\nSELECT 1;\n--migrate -> down\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- Up\n-- nothing to do\n-- Undo\nSELECT 2;\n'));
-- and none: a remark that says more, a title of the way back itself, the end of a line
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'SELECT 1;\n-- rollback of the first step\n-- undo_log\n-- down 2\n-- \u2193 \u0432\u043d\u0438\u0437 down\n-- breakdown\n-- back to the step for this part\nSELECT 2; -- rollback\nSELECT 3 /* undo */; SELECT 4;\n/* revert */ SELECT 5;\nDO $$BEGIN\n-- rollback\nEND$$;\n'),
	'native');
SELECT pg_temp.refused(jsonb_build_object('2_a.sql', E'-- migrate:up\nSELECT 1;\n-- migrate:down\n-- undo\nSELECT 2;\n-- revert\nSELECT 3;\n',
	'3_a.sql', E'SELECT 1;\n', '3_a.down.sql', E'-- rollback\nSELECT 2;\n-- undo\nSELECT 3;\n'));
SELECT pg_temp.refused(jsonb_build_object('4_a.sql', E'SELECT 1;\n-- rollback\nSELECT 2;\n'), 'plain');
-- nor does a file that is the way back by its name
SELECT names AS not_refused
FROM unnest(ARRAY['001_a|001a_down', '001_a|001-down_a', '001_a|001.1_rollback_a', '001-a|001-a.revert', '001-a|001-a.dn', '001-a|001-a-rollback',
	'001-a|001-a-undo', '001 a|001 a down', '001 a|001 a (down)', 'V1__a|V1_1__undo_a', '1-up-a|1-down-a', 'up-001|down-001',
	'001.up.a|001.down.a', 'V001_a|U001_a', '1-create-a|1-down-a', '001-a|001-A-Undo']) AS names,
	split_part(names, '|', 1) AS f, split_part(names, '|', 2) AS b
WHERE pg_temp.refused(jsonb_build_object(f || '.sql', 'SELECT 1;', b || '.sql', 'SELECT 2;')) !~ '^MG011 .*(name as .* gives it|seems to be the way back of)';
SELECT pg_temp.refused('{"001_a.sql": "SELECT 1;", "001.1_rollback_a.sql": "SELECT 2;"}');
DELETE FROM migrate.migration WHERE project = 'refused';
SELECT pg_temp.refused('{"001_a.sql": "SELECT 1;", "002_rollback_a.sql": "SELECT 2;", "005_rollback_table.sql": "SELECT 3;", "006_add_undo.sql": "SELECT 4;", "007_add.sql": "SELECT 5;", "10_down.sql": "SELECT 6;", "20240101-a_x.sql": "SELECT 7;", "20240101-revert_y.sql": "SELECT 8;", "008_shutdown.sql": "SELECT 9;", "008-a_shutdown.sql": "SELECT 9;"}');
-- a text whose end nobody can find is looked at as it stands
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'SELECT $x$;\n-- +migrate Down\n'), 'plain');
DELETE FROM migrate.migration WHERE project = 'refused';

--
-- Files that are no migrations are named, all at once
--
SELECT pg_temp.refused('{"001_a.sql": "SELECT 1;", "seed.sql": "SELECT 1;", "test/002_cleanup.sql": "SELECT 1;", "schema.sql": "", "a.txt": ""}');
SELECT pg_temp.refused('{"001_a.sql": "SELECT 1;", "test/cleanup.sql": "SELECT 1;", "test/fixtures/003_b.sql": "SELECT 1;"}');
SELECT pg_temp.refused('{"001_a.sql": "SELECT 1;", "test/cleanup.sql": "SELECT 1;"}', 'name');
SELECT pg_temp.refused('{"001_a.sql": "SELECT 1;", "test/002_b.sql": "SELECT 1;"}', 'plain');
SELECT pg_temp.refused('{"001_a.up.sql": "SELECT 1;", "old/000_b.up.sql": "SELECT 1;"}');
SELECT pg_temp.refused('{"db/seed.sql": "", "db/migrations/001_a.sql": "SELECT 1;", "db/migrations/002_b.sql": "SELECT 1;"}');
SELECT pg_temp.refused('{"001_a.sql": "SELECT 1;", "002_b.sq": ""}');
SELECT pg_temp.refused('{"001_a.sql": "-- +goose Up\nSELECT 1;", "002_b.go": "package migrations"}');
\pset format aligned
\pset tuples_only off
RESET client_min_messages;
SELECT version, result, path FROM migrate.load('{"001_a.SQL": "SELECT 1;", "002_b.sql": "SELECT 2;", "003_c.Up.Sql": "SELECT 3;"}', project => 'case');
SELECT version, result, path FROM migrate.load('{"001_a.sql": "SELECT 1;", "seed.sql": "SELECT 2;", "test/cleanup.sql": "SELECT 3;", "test/x/1_x.sql": "SELECT 4;", "notes.txt": "", "tests.sql": "SELECT 5;"}',
	ignore => '{seed.sql,test/*,*.TXT,test?.sql}', project => 'ignore');
SELECT version, result, path FROM migrate.load('{"2023/001_a.sql": "SELECT 1;", "2024/002_b.sql": "SELECT 2;", "down/002_b.down.sql": "SELECT 3;"}',
	subdirectories => true, project => 'sub');
SELECT count(*) FROM migrate.load('{"001_a.sql": "SELECT 1;"}', ignore => '{*}', project => 'ignore all');
SELECT * FROM migrate.load('{"001_a.sql": "SELECT 1;"}', ignore => '{NULL}');
SELECT * FROM migrate.load('{"001_a.sql": "SELECT 1;"}', partial => NULL);

--
-- Prisma: directories are versions, in the order of their bytes
--
SELECT version, result, path FROM migrate.load(jsonb_build_object(
	'prisma/migrations/migration_lock.toml', E'# Please do not edit\nprovider = "postgresql"\n',
	'prisma/migrations/0_init/migration.sql', 'SELECT 0;',
	'prisma/migrations/20240101_a/migration.sql', 'SELECT 1;',
	'prisma/migrations/20240101000000_b/migration.sql', 'SELECT 2;',
	'prisma/migrations/20240102_c/migration.sql', 'SELECT 3;',
	'prisma/migrations/20240102_c/down.sql', 'SELECT 4;',
	'prisma/seed.sql', 'SELECT 5;'), project => 'prisma')
	ORDER BY path COLLATE "C";
SELECT string_agg(version, ' ' ORDER BY step) FROM migrate.plan(project => 'prisma');
SELECT version, requires, source FROM pg_temp.stored('prisma');
SELECT pg_temp.recognized('20240101_init/migration.sql', 'SELECT 1;') AS without_lock;
\pset format unaligned
\pset tuples_only on
SELECT pg_temp.refused('{"a/2024_a/migration.sql": "SELECT 1;", "b/2024_a/migration.sql": "SELECT 2;"}');
SELECT pg_temp.refused('{"migration.sql": "SELECT 1;", "migration_lock.toml": ""}');
SELECT pg_temp.refused('{"1_a/migration.sql": "SELECT 1;", "migration_lock.toml": "provider = \"mysql\""}');
\pset format aligned
\pset tuples_only off

-- the line of its file on which each body begins
SELECT version, result FROM migrate.load(jsonb_build_object(
	'1_a.sql', E'-- why\n\n-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n-- migrate:verify\nSELECT true;\n',
	'2_b.sql', E'-- migrate:down\nSELECT 2;\n-- migrate:up\nSELECT 1;\n',
	'3_c.sql', 'SELECT 1;', '3_c.down.sql', 'SELECT 2;'), project => 'lines');
SELECT version, result FROM migrate.load(jsonb_build_object(
	'4_d.sql', E'-- +goose Up\nSELECT 1;\n\n-- +goose Down\nSELECT 2;\n'), project => 'lines');
SELECT version, up_line, down_line, verify_line FROM migrate.migration WHERE project = 'lines' ORDER BY 1;
-- so a part has one section
SELECT migrate.load(jsonb_build_object('5_e.sql', E'-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n-- migrate:up\nSELECT 3;\n'), project => 'lines');
SELECT migrate.load(jsonb_build_object('5_e.sql', E'-- migrate:up\nSELECT 1;\n-- migrate:down\n-- migrate:down\nSELECT 2;\n'), project => 'lines');
SELECT migrate.load(jsonb_build_object('5_e.sql', E'-- migrate:up\nSELECT 1;\n-- migrate:verify\nSELECT 2;\n-- migrate:verify\n'), project => 'lines');


-- what a tool ends statements with ends them here
SELECT version, result FROM migrate.load(jsonb_build_object('1_a.sql', E'-- +goose Up\n-- +goose StatementBegin\nCREATE FUNCTION separated() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$\n-- +goose StatementEnd\nCREATE TABLE separated(a int);\n'), project => 'separators');
SELECT version, result FROM migrate.load(jsonb_build_object('2_b.sql', E'INSERT INTO separated SELECT 1 WHERE true\n--> statement-breakpoint\nALTER TABLE separated ADD b text DEFAULT ''--> statement-breakpoint'';--> statement-breakpoint\nSELECT 1--> statement-breakpoint\n'), project => 'separators') WHERE result <> 'absent';
SELECT version, statements FROM migrate.apply(project => 'separators');
SELECT * FROM separated;
DROP TABLE separated;
DROP FUNCTION separated;
SELECT count(*) FROM migrate.stamp_to('base', project => 'separators');

-- tools that say in a comment at the head what they do
SELECT pg_temp.refused(jsonb_build_object('a10.sql', E'-- depends: z9\n\nALTER TABLE t ADD b int'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- Adds b\n-- transactional: false\nSELECT 1'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- postgres-migrations disable-transaction\nSELECT 1'));
SELECT result FROM migrate.load(jsonb_build_object('1_a.sql', E'SELECT 1;\n-- depends: on the weather\nSELECT 2'), project => 'remarks');

-- a remark does not decide, and a marker after SQL is none
SELECT version, result FROM migrate.load(jsonb_build_object('20240101_a/migration.sql', E'CREATE TABLE t(a int);\n-- Migrate: old rows\nUPDATE t SET a = 1', '20240102_b/migration.sql', 'SELECT 1'), project => 'remark');
SELECT version, source FROM migrate.migration WHERE project = 'remark' ORDER BY 1;
SELECT migrate.load(jsonb_build_object('20240101_a/migration.sql', E'SELECT 1;\n-- migrate:down\nSELECT 2'), project => 'marker');
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'CREATE TABLE t(a int); -- migrate:down\nDROP TABLE t;'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\nCREATE TABLE t(a int); -- +goose Down\nDROP TABLE t;'));
SELECT pg_temp.refused(jsonb_build_object('1_a.up.sql', E'CREATE TABLE t(a int); --migrate:down\nDROP TABLE t;'));
SELECT result FROM migrate.load(jsonb_build_object('1_a.sql', E'SELECT ''-- migrate:down''; -- migrate down is for tomorrow\n'), project => 'no marker');


-- nearly a marker of ours: a word with what is meant, in the conventions that read it
\pset format unaligned
\pset tuples_only on
SELECT c, string_agg(quote_literal(marker), ' ' ORDER BY marker) AS not_refused
FROM unnest('{auto,native,name}'::text[]) AS c,
	unnest(ARRAY['-- migrate verify', '-- migration:up', '-- migrate:ups', '-- migrate:downs', '--migrate: verify', '-- migrate : verify', '-- MIGRATE VERIFY',
		'-- migrate-verify', '/* migrate:verify */', '-- migrations:requires 001', '-- migrate requires 001 002', '-- migrate irreversible', '-- migrate repeatable;',
		'-- migrate transactional off', '-- migrate transaction:false', '-- migrate:transaction off', '-- no transaction', '-- NO-TRANSACTION', '-- disable-transaction',
		'-- migrate:no-transaction', '-- migrate:notransaction', '-- migrate:up notransaction', '-- migrate:up transaction: false',
		'-- migrate:up transaction:off', '-- migrate:down transaction=false', '-- migrate:up (1)', '-- migrate:verify x', '-- migrate:repeatable on']) AS marker
WHERE pg_temp.refused(jsonb_build_object('1_a.sql', marker || E'\nSELECT 1;\n'), c)
	!~ '^MG011 .* file "1_a.sql" line 1|^MG011 file "1_a.sql" line 1 has'
GROUP BY c ORDER BY c;
SELECT string_agg(quote_literal(marker), ' ' ORDER BY marker) AS not_refused
FROM unnest(ARRAY['-- goose Up', '-- + goose NO TRANSACTION', '-- +goose NO_TRANSACTION', '-- +goose NO TRANSACTIONS', '-- no transaction', '-- goose: statementbegin', '-- +goose Ups', '-- +goose Up notransaction']) AS marker
WHERE pg_temp.refused(jsonb_build_object('1_a.sql', marker || E'\n-- +goose Up\nSELECT 1;\n'), 'goose')
	!~ '^MG011 .* file "1_a.sql" line 1|^MG011 file "1_a.sql" line 1 has';
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:up\nSELECT 1;\n-- migrate verify\nSELECT true;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- no transaction\nVACUUM;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +goose Up\n-- goose NO TRANSACTION\nVACUUM;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'CREATE TABLE t(a int); -- migrate down\nDROP TABLE t;'));
-- and remarks
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- Migration: require an address of users\n-- Migration: up to now\n-- migrate up to 3 users\n-- migration 3 verify\n-- Migrate, verify and drop\n-- transactions are slow\nSELECT 1; -- migrate down the road\n'));
DELETE FROM migrate.migration WHERE project = 'refused';

-- one number, two spellings: two migrations would be made of it
SELECT pg_temp.refused('{"1_a.sql": "SELECT 1", "01_b.sql": "SELECT 2"}');
SELECT pg_temp.refused('{"v1.2_a.sql": "SELECT 1", "v1.02_b.sql": "SELECT 2"}', 'plain');
SELECT pg_temp.refused('{"1_a.sql": "SELECT 1", "01_b.sql": "SELECT 2", "1.0_c.sql": "SELECT 3"}', 'name');
SELECT pg_temp.refused('{"1_a/migration.sql": "SELECT 1", "01_a/migration.sql": "SELECT 2"}');
SELECT pg_temp.refused('{"1_a/up.sql": "SELECT 1", "01_a/up.sql": "SELECT 2", "10_a/up.sql": "SELECT 2", "100_a/up.sql": "SELECT 2"}', 'diesel');
DELETE FROM migrate.migration WHERE project = 'refused';
\pset format aligned
\pset tuples_only off
-- against what is stored, pending or applied
SELECT version, result FROM migrate.load('{"1_a.sql": "SELECT 1"}', project => 'refused');
SELECT pg_temp.refused('{"001_b.sql": "SELECT 2"}');
SELECT pg_temp.refused('{"1_a.sql": "SELECT 1", "0010_b.sql": "SELECT 2"}');
SELECT pg_temp.refused('{"1_a.sql": "SELECT 1", "10_b.sql": "SELECT 2"}');
SELECT version, result FROM migrate.load('{"001_b.sql": "SELECT 2"}', project => 'refused', prune => true) ORDER BY 1;
SELECT version, result FROM migrate.load('{"1_b.sql": "SELECT 2"}', project => 'refused') ORDER BY 1;
DELETE FROM migrate.migration WHERE project = 'refused';
SELECT version, result FROM migrate.load('{"V1__a.sql": "SELECT 1"}', project => 'spelled');
SELECT version FROM migrate.apply(project => 'spelled');
SELECT migrate.load('{"V1.0__b.sql": "SELECT 2"}', project => 'spelled');
SELECT migrate.load('{"V1__a.sql": "SELECT 1", "V01__b.sql": "SELECT 2"}', project => 'spelled');
SELECT version, result FROM migrate.load('{"V1__a.sql": "SELECT 1", "V1.1__b.sql": "SELECT 2", "R__10.sql": "SELECT 3", "R__010.sql": "SELECT 3"}', project => 'spelled') ORDER BY 1;
SELECT count(*) FROM migrate.stamp_to('base', project => 'spelled');
-- the same text is the same migration, and takes the new spelling
SELECT version, result FROM migrate.load('{"1_a.sql": "SELECT 1"}', project => 'respelled');
SELECT version FROM migrate.apply(project => 'respelled');
SELECT version, result FROM migrate.load('{"001_a.sql": "SELECT 1"}', project => 'respelled', accept => true);
SELECT count(*) FROM migrate.stamp_to('base', project => 'respelled');
-- another project
SELECT version, result FROM migrate.load('{"01_a.sql": "SELECT 1"}', project => 'others');

-- files for other servers
SELECT file AS not_refused
FROM unnest('{2_b.mysql.up.sql,2_b.sqlite3.up.sql,2_b.cockroach.up.sql,2_b.cockroach.down.sql,2_b.mysql.sql,2_b.MariaDB.up.sql,b.h2.sql}'::text[]) AS file, unnest('{auto,native,name,golang-migrate}'::text[]) AS c
WHERE pg_temp.refused(jsonb_build_object('1_a.up.sql', 'SELECT 1', file, 'SELECT 2'), c)
	!~ 'is in the dialect of another database|no version number';
SELECT pg_temp.refused('{"1_a.up.sql": "SELECT 1", "1_a.cockroach.up.sql": "SELECT 2", "1_a.mysql.down.sql": "SELECT 2"}');
SELECT pg_temp.refused('{"2_b.mysql.up.sql": "SELECT 1"}');
SELECT version, name, result FROM migrate.load('{"2_b.postgres.up.sql": "SELECT 1", "3_mysql.up.sql": "SELECT 1", "4_h2.o.up.sql": "SELECT 1"}', project => 'dialect');

-- a body that cannot be run: line and reason
SELECT version, result FROM migrate.load(jsonb_build_object('6_a.up.sql', E'SELECT 1;\n\nROLLBACK;\n', '7_b.up.sql', E'SELECT 1;\nSELEC 2;\n', '7_b.down.sql', E'\n\nBEGIN;'), project => 'warned');

DELETE FROM migrate.migration WHERE project <> 'default';
