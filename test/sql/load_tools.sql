--
-- Files of tools that keep both ways in one file, or name them in their own way
--
\pset null '(null)'
DROP EXTENSION migrate;
CREATE EXTENSION migrate;

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

--
-- dbmate: in the order of the names' bytes; auto takes the files for native ones and says so
--
SELECT * FROM pg_temp.loaded(jsonb_build_object(
	'20231231120000_a.sql', E'-- migrate:up\nSELECT 1;\n\n-- migrate:down\nSELECT -1;\n',
	'20240101_b.sql', E'-- migrate:up transaction:false\nSELECT 2;\n\n-- migrate:down transaction:false\nSELECT -2;\n',
	'20240102-no-underscore.sql', E'-- migrate:up\n-- migrate:lint-off drop-table\nSELECT 3;\n-- migrate:down\n'), 'dbmate');
SELECT version, source FROM pg_temp.loaded(jsonb_build_object(
	'1_a.sql', E'-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT -1;\n',
	'2_b.sql', E'-- migrate:up\nSELECT 2;\n-- migrate:down\nSELECT -2;\n',
	'10_c.sql', E'-- migrate:up\nSELECT 10;\n-- migrate:down\nSELECT -10;\n'));
SELECT version, source FROM pg_temp.loaded(jsonb_build_object(
	'2_b.sql', E'-- migrate:up\nSELECT 2;\n-- migrate:down\nSELECT -2;\n',
	'10_c.sql', E'-- migrate:up\nSELECT 10;\n-- migrate:down\nSELECT -10;\n'), 'native');
SELECT version, source FROM pg_temp.loaded(jsonb_build_object(
	'2_b.sql', E'-- migrate:up\nSELECT 2;\n', '10_c.sql', E'-- migrate:up\nSELECT 10;\n-- migrate:down\nSELECT -10;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:up transaction=false\nSELECT 1;\n'), 'dbmate');
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:up\nSELECT 1;\n-- migrate:verify\nSELECT true;\n'), 'dbmate');
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- migrate:up\nSELECT 1;\n-- migrate down\nSELECT 2;\n'), 'dbmate');

--
-- Drizzle: what the journal lists, in its order
--
SELECT * FROM pg_temp.loaded(jsonb_build_object(
	'drizzle/0000_init.sql', E'CREATE TABLE "users" ("id" serial)\n--> statement-breakpoint\nCREATE INDEX ON "users" ("id");',
	'drizzle/0002_second.sql', 'SELECT 2;',
	'drizzle/0001_third.sql', 'SELECT 3;',
	'drizzle/meta/0000_snapshot.json', '',
	'drizzle/meta/_journal.json', E'{\n  "version": "7",\n  "dialect": "postgresql",\n  "entries": [\n    {\n      "idx": 0,\n      "version": "7",\n      "when": 1700000000000,\n      "tag": "0000_init",\n      "breakpoints": true\n    },\n    { "idx": 1, "when": 1700000000001, "tag": "0002_second" },\n    { "idx": 2, "when": 1700000000002, "tag": "0001_third" }\n  ]\n}\n'));
SELECT pg_temp.refused('{"0000_a.sql": "SELECT 1", "0001_b.sql": "SELECT 2", "meta/_journal.json": "{\"entries\": [{\"tag\": \"0000_a\"}]}"}');
SELECT pg_temp.refused('{"0000_a.sql": "SELECT 1", "meta/_journal.json": "{\"entries\": [{\"tag\": \"0000_a\"}, {\"tag\": \"0001_b\"}]}"}');
SELECT pg_temp.refused('{"0000_a.sql": "SELECT 1", "meta/_journal.json": "{\"dialect\": \"mysql\", \"entries\": [{\"tag\": \"0000_a\"}]}"}');
SELECT pg_temp.refused('{"0000_a.sql": "SELECT 1", "meta/_journal.json": "{\"entries\": [{\"tag\": 1}]}"}');
SELECT pg_temp.refused('{"0000_a.sql": "SELECT 1", "meta/_journal.json": "{\"entries\": [{\"tag\": \"0000_a\"}, {\"tag\": \"0000_a\"}]}"}');
SELECT pg_temp.refused('{"0000_a.sql": "SELECT 1"}', 'drizzle');

--
-- Postgrator, db-migrate, yoyo: a file for each way
--
SELECT * FROM pg_temp.loaded(jsonb_build_object(
	'001.do.sql', 'SELECT 1;', '001.undo.sql', 'SELECT -1;',
	'002.do.some-description.sql', 'SELECT 2;', '002.undo.some-description.sql', 'SELECT -2;',
	'10.do.a.b.sql', 'SELECT 10;'));
SELECT pg_temp.refused('{"1.do.sql": "SELECT 1", "001.do.a.sql": "SELECT 2"}');
SELECT pg_temp.refused('{"1.do.sql": "SELECT 1", "2.redo.a.sql": "SELECT 2"}');
SELECT * FROM pg_temp.loaded(jsonb_build_object(
	'migrations/20150207134657-add-people.js', '',
	'migrations/sqls/20150207134657-add-people-up.sql', E'/* Replace with your SQL commands */\nSELECT 1;',
	'migrations/sqls/20150207134657-add-people-down.sql', 'SELECT -1;'));
SELECT pg_temp.refused('{"m/20240101000000-a.js": "", "m/sqls/20240101000000-a-up.sql": "SELECT 1", "m/20240102000000-b.js": "", "m/20240103000000-c.coffee": "", "m/index.js": ""}');
SELECT pg_temp.refused('{"20240101000000-a.ts": "", "sqls/20240101000000-a-up.sql": "SELECT 1"}');
SELECT * FROM pg_temp.loaded(jsonb_build_object(
	'0001.create-foo.sql', E'--\n-- file: migrations/0001.create-foo.sql\n--\nCREATE TABLE foo (a int);',
	'0001.create-foo.rollback.sql', 'DROP TABLE foo;',
	'zeroth.sql', E'-- transactional: false\nSELECT 0;\n-- depends: on nothing here\n',
	'0002.create-bar.sql', E'-- depends: 0001.create-foo zeroth\n\n-- transactional: true\nSELECT 2;'));
SELECT pg_temp.refused('{"a.sql": "-- transactional: no\nSELECT 1", "b.rollback.sql": ""}');
-- yoyo, rambler and db-migrate go by the bytes of names, yoyo where no file says otherwise
SELECT version, requires FROM pg_temp.loaded('{"10.a.sql": "SELECT 1", "10.a.rollback.sql": "SELECT 2", "2.b.sql": "SELECT 3", "10.a-b.sql": "SELECT 4"}');
SELECT version, requires FROM pg_temp.loaded('{"10.a.sql": "-- depends: 2.b\nSELECT 1", "10.a.rollback.sql": "SELECT 2", "2.b.sql": "SELECT 3", "3.c.sql": "SELECT 4"}');
SELECT pg_temp.refused('{"1.a.sql": "-- depends: 2.b\nSELECT 1", "2.b.sql": "-- depends: 1.a\nSELECT 2", "1.a.rollback.sql": ""}');
SELECT version, requires FROM pg_temp.loaded('{"10_a.sql": "-- rambler up\nSELECT 1;\n-- rambler down\nSELECT 2;", "2_b.sql": "-- rambler up\nSELECT 3;"}');
SELECT version, requires FROM pg_temp.loaded('{"20240101000000-a10-up.sql": "SELECT 1", "20240101000000-a2-up.sql": "SELECT 2"}');
SELECT pg_temp.refused('{"a.sql": "SELECT 1", "a.rollback.sql": "", "post-apply.sql": "SELECT 2"}');
SELECT pg_temp.refused('{"a.sql": "-- depends: none\nSELECT 1", "a.rollback.sql": ""}');

--
-- refinery: Flyway's names, which mean something else
--
SELECT * FROM pg_temp.loaded('{"migrations/V1__initial.sql": "SELECT 1", "migrations/V3__add_brand.sql": "SELECT 3", "migrations/U2__add_cars.sql": "SELECT 2"}', 'refinery');
-- without a V file they are nobody's way back
SELECT pg_temp.refused('{"m/U1__a.sql": "SELECT 1", "m/U2__b.sql": "SELECT 2", "m/README.md": ""}');
SELECT version FROM pg_temp.loaded('{"m/U1__a.sql": "SELECT 1", "m/U2__b.sql": "SELECT 2", "m/README.md": ""}', 'refinery');
SELECT pg_temp.refused('{"V1__a.sql": "SELECT 1", "U1__b.sql": "SELECT 2"}', 'refinery');
SELECT pg_temp.refused('{"V1__a.sql": "SELECT 1", "V1.1__b.sql": "SELECT 2"}', 'refinery');

--
-- graphile-migrate: the chain of what is committed
--
CREATE TEMP TABLE graphile AS SELECT jsonb_build_object(
	'migrations/committed/000001.sql', E'--! Previous: -\n--! Hash: sha1:b7daec7860139d91ccd2a339ea5ce4ffddacd64c\n\n-- Enter migration here\nCREATE TABLE users (id int);\n',
	'migrations/committed/000002-an-index.sql', E'--! Previous: sha1:b7daec7860139d91ccd2a339ea5ce4ffddacd64c\n--! Hash: sha1:fbf56b97410827817154ac9f3effe5200ad9d314\n--! Message: an index\n\n--! no-transaction\nCREATE INDEX CONCURRENTLY ON users (id);\n',
	'migrations/current.sql', 'SELECT 3;',
	'migrations/fixtures/x.sql', 'SELECT 4;') AS files;
SELECT l.* FROM graphile, pg_temp.loaded(files) l;
SELECT pg_temp.refused(files || jsonb_build_object('migrations/committed/000001.sql', replace(files->>'migrations/committed/000001.sql', 'int', 'bigint'))) FROM graphile;
SELECT pg_temp.refused(files - 'migrations/committed/000001.sql') FROM graphile;
SELECT pg_temp.refused(files || jsonb_build_object('migrations/committed/000003.sql', 'SELECT 5;')) FROM graphile;
SELECT pg_temp.refused(jsonb_build_object('committed/000001.sql', E'--! Previous: -\n--! Hash: x\n--! AllowInvalidHash\n\nGRANT CONNECT ON DATABASE\n:DATABASE_NAME TO x;'));
SELECT version FROM pg_temp.loaded(jsonb_build_object('000001.sql', E'--! Previous: -\n--! Hash: x\n--! AllowInvalidHash\n\nSELECT 1;'));

--
-- Atlas: the sums, and the order of the bytes of names
--
CREATE TEMP TABLE atlas AS SELECT jsonb_build_object(
	'20240101120000_b.sql', E'-- atlas:txmode none\n\nCREATE INDEX CONCURRENTLY ON a (a);\n',
	'20240101_a.sql', E'CREATE TABLE a (a int);\n',
	'20240102_c.sql', E'-- atlas:nolint\nSELECT 3;\n',
	'atlas.sum', E'h1:nyxcI3fCqqATuZux6NYDdIN8TA7Gk5lX1mtwPWGoWzI=\n20240101120000_b.sql h1:zvBLC0s27BKfunuUFTB6ukQruB2vW0v1rI8b/HZfl9A=\n20240101_a.sql h1:3+0Shm3NL9Cu4cpXHiq/JuH2IOUC2YKScLSO4UcjHa8=\n20240102_c.sql h1:6DVbDZhU2GtTDAE2Zq/W4951Ry11rYqw0Sd41CC46rI=\n') AS files;
SELECT l.* FROM atlas, pg_temp.loaded(files) l;
SELECT pg_temp.refused(files || '{"20240101120000_b.sql": "SELECT 2;"}') FROM atlas;
SELECT pg_temp.refused(files || '{"20240102_c.sql": "SELECT 2;"}') FROM atlas;
SELECT pg_temp.refused(files || '{"20240103_d.sql": "SELECT 2;"}') FROM atlas;
SELECT pg_temp.refused(files || '{"20231231_d.sql": "SELECT 2;"}') FROM atlas;
SELECT pg_temp.refused(files - '20240101_a.sql') FROM atlas;
SELECT pg_temp.refused(files - '20240102_c.sql') FROM atlas;
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- atlas:txmode never\n\nSELECT 1;'), 'atlas');
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- atlas:txmode none\nSELECT 1;'), 'atlas');
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'-- atlas:delimiter \\n\\n\n\nSELECT 1;'), 'atlas');
SELECT pg_temp.refused('{"1_a.up.sql": "SELECT 1;", "atlas.sum": "h1:x"}');
CREATE TEMP TABLE sums AS SELECT jsonb_build_object('1_a.sql', 'SELECT 1;',
	'atlas.sum', E'h1:x\n1_a.sql h1:' || encode(sha256('1_a.sqlSELECT 1;'), 'base64') || E'\n') AS files;
SELECT version, source FROM sums, pg_temp.loaded(files);
SELECT pg_temp.refused(files || jsonb_build_object('2_n.sql', E'-- migrate:up\nSELECT 2;\n')) FROM sums;
SELECT pg_temp.refused(files || jsonb_build_object('2_n.sql', E'-- migrate:up\nSELECT 2;\n', '1_a.sql', 'SELECT 3;')) FROM sums;
SELECT pg_temp.refused(files || jsonb_build_object('1_a.sql', E'-- +goose Up\nSELECT 3;')) FROM sums;
SELECT version FROM pg_temp.loaded(jsonb_build_object('1_a.up.sql', 'SELECT 1;', '1_a.down.sql', 'SELECT -1;',
	'atlas.sum', E'h1:x\n1_a.up.sql h1:' || encode(sha256('1_a.up.sqlSELECT 1;'), 'base64') || E'\n'));

--
-- the way back in the words of a tool that nobody knows
--
SELECT m, pg_temp.refused(jsonb_build_object('1_a.sql', format(E'%s\nCREATE TABLE t ();\n%s\nDROP TABLE t;\n', split_part(m, '|', 1), split_part(m, '|', 2))))
FROM unnest('{-- +duckdb up|-- +duckdb down,-- @my-tool up|--@my-tool: Down,/* +tool up */|/* +tool undo */,-- migrate forward|-- migrate reverse,-- forward|-- reverse,-- apply|-- unapply,|-- @down}'::text[]) m;
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'SELECT 1;\n-- @ada wrote this before the tables went down\nSELECT 2;\n'));
SELECT pg_temp.refused(jsonb_build_object('1_a.sql', E'SELECT 1;\n-- reverse the order of the keys\nSELECT 2;\n'));
