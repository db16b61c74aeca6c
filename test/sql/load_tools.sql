--
-- Files of tools that keep both ways in one file, or name them in their own way
--
\pset null '(null)'

-- what auto makes of files, in the order of the plan, with its bodies
CREATE FUNCTION pg_temp.loaded(files jsonb, convention text DEFAULT 'auto')
	RETURNS TABLE (version text, name text, tx bool, requires text[], up_line int,
		down_line int, up text, down text, source text)
	LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM migrate.migration m WHERE m.project = 'loaded';
	PERFORM migrate.load(files, convention => convention, project => 'loaded');
	RETURN QUERY SELECT m.version, m.name, m.transactional, m.requires, m.up_line,
			m.down_line, to_json(m.up)::text, to_json(m.down)::text, m.source
		FROM migrate.plan(project => 'loaded') p
		JOIN migrate.migration m ON m.project = 'loaded' AND m.version = p.version
		ORDER BY p.step;
	DELETE FROM migrate.migration m WHERE m.project = 'loaded';
END
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
	DELETE FROM migrate.migration m WHERE m.project = 'refused';
	RETURN 'NOT REFUSED';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE,
		message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n    ', state || ' ' || message, nullif(detail, ''),
		nullif(hint, ''));
END
$$;
\pset format unaligned
\pset tuples_only on

--
-- sql-migrate: the whole name is the version
--
SELECT * FROM pg_temp.loaded(jsonb_build_object(
	'1_initial.sql', E'-- +migrate Up\n-- SQL in section ''Up'' is executed when this migration is applied\nCREATE TABLE people (id int);\n\n\n-- +migrate Down\n-- SQL section ''Down'' is executed when this migration is rolled back\nDROP TABLE people;\n',
	'10_index.sql', E'-- +migrate Up notransaction\nCREATE UNIQUE INDEX CONCURRENTLY people_unique_id_idx ON people (id);\n\n-- +migrate Down\nDROP INDEX people_unique_id_idx;\n',
	'2_function.sql', E'-- +migrate Up\n-- +migrate StatementBegin\nCREATE FUNCTION do_something() RETURNS void AS $$ BEGIN NULL; END; $$ LANGUAGE plpgsql\n-- +migrate StatementEnd\nSELECT 1;\n\n-- +migrate Down\n-- nothing to downgrade!\n',
	'2_same_number.sql', E'-- +migrate Up\nSELECT 2;\n-- +migrate Down notransaction\nSELECT 3;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'SELECT 1;\n-- +migrate Up\nSELECT 1;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +migrate Up\nSELECT 1;\n-- +migrate down\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +migrate Up no-transaction\nSELECT 1;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'--+migrate Up\nSELECT 1;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +migrate Up\nSELECT 1;\n-- +migrate Up\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +migrate Up\n-- +migrate StatementBegin\nSELECT 1;\n-- +migrate Down\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +migrate Up\nSELECT 1;\n', '2_b.sql', 'SELECT 2;'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +migrate Up\nSELECT 1;\n-- migrate down\nSELECT 2;\n'));

--
-- micrate and rambler
--
SELECT * FROM pg_temp.loaded(jsonb_build_object(
	'20160101000000_users.sql', E'-- +micrate Up\nCREATE TABLE users(id INT PRIMARY KEY, email TEXT NOT NULL);\n\n-- +micrate Down\nDROP TABLE users;\n',
	'20160102000000_f.sql', E'-- +micrate Up\n-- +micrate StatementBegin\nSELECT 1;\n-- +micrate StatementEnd\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +micrate Up notransaction\nSELECT 1;\n'));
SELECT * FROM pg_temp.loaded(jsonb_build_object(
	'201409272258_Added_table_foo.sql', E'-- rambler up\nCREATE TABLE foo (id INTEGER PRIMARY KEY);\n\n-- rambler down\nDROP TABLE foo;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- rambler up\nSELECT 1;\n-- rambler down\nSELECT 2;\n-- rambler up\nSELECT 3;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- rambler up\nSELECT 1;\n-- rambler: a remark\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- rambler up\nSELECT 1;\n-- Rambler Down\nSELECT 2;\n'));

--
-- tern: up until the separator
--
SELECT * FROM pg_temp.loaded(jsonb_build_object(
	'001_create_people.sql', E'create table people(id serial primary key);\n\n---- create above / drop below ----\n\ndrop table people;\n',
	'002_index.sql', E'---- tern: disable-tx ----\ncreate index concurrently on people(id);\n',
	'003_last.sql', E'select 3;\n---- create above / drop below ----\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'select 1;\n-- create above / drop below\nselect 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'select 1;\n---- create above / drop below ----\nselect 2;\n---- create above / drop below ----\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'---- tern: disable-transaction ----\nselect 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- {{ none }}\ngrant select on t to {{.role}};\n---- create above / drop below ----\n'));

--
-- node-pg-migrate: the whole name is the version; one file, or two
--
SELECT * FROM pg_temp.loaded(jsonb_build_object(
	'1577836800000_create-users.sql', E'-- Up Migration\nCREATE TABLE users (id int);\n\n-- Down Migration\nDROP TABLE users;\n',
	'1577836800001_down-first.sql', E'-- mine\n--- down migration\nSELECT -2;\n---- up migration ----\nSELECT 2;\n',
	'1577836800002_none.sql', 'SELECT 3;',
	'1577836800003_two.up.sql', 'SELECT 4;',
	'1577836800003_two.down.sql', 'SELECT -4;'), 'node-pg-migrate');
SELECT version, source FROM pg_temp.loaded(jsonb_build_object('1_a.sql', E'-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 2;\n-- Up Migration\nSELECT 3;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'SELECT 0;\n-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', 'SELECT 1;', '1_a.up.sql', 'SELECT 2;'), 'node-pg-migrate');

--
-- MyBatis Migrations
--
SELECT * FROM pg_temp.loaded(jsonb_build_object(
	'20090802210738_create_changelog.sql', E'--// Create Changelog\n\nCREATE TABLE changelog (id numeric(20));\n\n--//@UNDO\n\nDROP TABLE changelog;\n',
	'20090802210739_more.sql', E'-- // More\nSELECT 2;\n\n-- //@UNDO\nSELECT -2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'SELECT 1;\n-- //@undo\nSELECT 2;\n', '2_b.sql', E'-- //@UNDO\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- ${none}\nSELECT ''${changelog}'';\n-- //@UNDO\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'SELECT 1;\n-- //@UNDO\n', 'bootstrap.sql', 'SELECT 1;'));

--
-- Play: either sort of comment
--
SELECT * FROM pg_temp.loaded(jsonb_build_object(
	'conf/evolutions/default/1.sql', E'-- Users schema\n\n-- !Ups\n\nCREATE TABLE users (id bigint);\n\n-- !Downs\n\nDROP TABLE users;\n',
	'conf/evolutions/default/10.sql', E'# --- !Ups\nSELECT 10;\n# --- !Downs\nSELECT -10;\n',
	'conf/evolutions/default/2.sql', E'-- !Ups\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1.sql', E'-- !Ups\nCREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN\nRETURN 1;;\nEND $$;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- !Ups\nSELECT 1;\n-- !Downs\nSELECT 2;\n'));

-- each by its own convention only
SELECT c, pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +migrate Up\nSELECT 1;\n-- +migrate Down\nSELECT 2;\n'), c)
FROM unnest('{native,goose,micrate,rambler,tern,node-pg-migrate,mybatis}'::text[]) AS c;
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- +migrate Up\nSELECT 1;\n', '2_b.sql', E'-- +goose Up\nSELECT 1;\n'));
