--
-- load(), load_table(), load_directory(), script()
--
\pset null '(null)'
DROP EXTENSION migrate;
CREATE EXTENSION migrate;

SELECT * FROM migrate.load('{"001_a.sql": "-- migrate:up\nCREATE TABLE a ();\n-- migrate:down\nDROP TABLE a;\n",
	"002_b.sql": "-- migrate:requires 001\n-- migrate:up\nCREATE TABLE b ();\n-- migrate:down\nDROP TABLE b;\n-- migrate:verify\nSELECT true;\n",
	"README.md": "# not a migration"}'::jsonb);
SELECT version, name, kind, up, down, verify, requires, path, source FROM migrate.migration ORDER BY 1;
SELECT migrate.remove('001');
\echo :SQLSTATE
SELECT complete FROM migrate.state;
SELECT version FROM migrate.apply();
SELECT complete, applied, newest FROM migrate.state;
-- the same again writes nothing and takes no lock
SELECT xmin AS before FROM migrate.state \gset
SELECT version, result FROM migrate.load('{"001_a.sql": "-- migrate:up\nCREATE TABLE a ();\n-- migrate:down\nDROP TABLE a;\n",
	"002_b.sql": "-- migrate:requires 001\n-- migrate:up\nCREATE TABLE b ();\n-- migrate:down\nDROP TABLE b;\n-- migrate:verify\nSELECT true;\n"}'::jsonb);
SELECT xmin = :'before' AS untouched FROM migrate.state;
BEGIN READ ONLY;
SELECT version, result FROM migrate.load('{"001_a.sql": "-- migrate:up\nCREATE TABLE a ();\n-- migrate:down\nDROP TABLE a;\n"}'::jsonb);
COMMIT;
-- a pending one takes its new text, an applied one does not
SELECT version, result FROM migrate.load('{"003_c.sql": "CREATE TABLE c ()"}'::jsonb);
SELECT version, result FROM migrate.load('{"003_c.sql": "CREATE TABLE c (id int)"}'::jsonb);
SELECT version, result FROM migrate.load('{"001_a.sql": "CREATE TABLE a (id int)", "002_b.sql": "SELECT 2", "004_d.sql": "SELECT 4"}'::jsonb);
\echo :SQLSTATE
SELECT version, state FROM migrate.status();
-- all or nothing
SELECT version, result FROM migrate.load('{"005_e.sql": "SELECT 5", "006_f.sql": "SELECT 1;\n SELEC 6"}'::jsonb);
\echo :SQLSTATE
SELECT version, result FROM migrate.load('{"005_e.sql": "SELECT 5", "006_f.sql": "-- migrate:requires 007\n-- migrate:up\nSELECT 1"}'::jsonb);
\echo :SQLSTATE
SELECT version, state FROM migrate.status();
-- one version, two files
SELECT version, result FROM migrate.load('{"x/007_e.sql": "SELECT 5", "y/007_f.sql": "SELECT 6"}'::jsonb);
\echo :SQLSTATE
-- prune takes out what is pending and not in the set
SELECT version, result FROM migrate.load('{"001_a.sql": "-- migrate:up\nCREATE TABLE a ();\n-- migrate:down\nDROP TABLE a;\n"}'::jsonb, prune => true);
SELECT version, state FROM migrate.status();
-- a file that was renamed
SELECT version, result FROM migrate.load('{"dir/001_new_name.sql": "-- migrate:up\nCREATE TABLE a ();\n-- migrate:down\nDROP TABLE a;\n"}'::jsonb);
SELECT version, name, path, state FROM migrate.status();
SELECT version FROM migrate.apply();
-- arguments
SELECT * FROM migrate.load(NULL);
SELECT * FROM migrate.load('[]'::jsonb);
\echo :SQLSTATE
SELECT * FROM migrate.load('{"001_a.sql": 1}'::jsonb);
SELECT * FROM migrate.load('{}'::jsonb, 'cobol');
\echo :SQLSTATE
SELECT * FROM migrate.load('{}'::jsonb, project => 'none');
-- a down of another tool that does not parse is a warning, until it is needed
SELECT version, result FROM migrate.load('{"1_x.up.sql": "SELECT 1", "1_x.down.sql": "DROP IF"}'::jsonb, project => 'go');
SELECT version FROM migrate.apply(project => 'go');
SELECT version FROM migrate.rollback(project => 'go');

-- what is said of the transaction is about the up body
SELECT version, result FROM migrate.load('{"1_x.sql": "-- migrate:up transaction:false\nSELECT 1;\n-- migrate:down\nSELECT 2;\n"}'::jsonb, project => 'notx');
SELECT version FROM migrate.apply(project => 'notx');
\echo :SQLSTATE
SELECT version, action FROM migrate.stamp('1', project => 'notx');
SELECT version, statements FROM migrate.rollback(project => 'notx');
-- a script carries what load() has let in
SELECT version, action FROM migrate.unstamp('1', project => 'go');
SELECT migrate.script(project => 'go');
SELECT migrate.hold('1', 'why', project => 'go');
SELECT migrate.script(project => 'go');
SELECT version, path, down_path FROM migrate.migration WHERE project = 'go';

-- tables
CREATE TEMP TABLE files (content text, path varchar(100));
INSERT INTO files VALUES ('SELECT 1', '1_one.sql'), ('SELECT 2', '2_two.sql');
SELECT * FROM migrate.load_table('files', project => 'table');
SELECT * FROM migrate.load_table('files', 'name', project => 'table2');
INSERT INTO files VALUES (NULL, '3_three.sql');
SELECT * FROM migrate.load_table('files', project => 'table');
SELECT * FROM migrate.load_table('pg_class', project => 'table');
SELECT * FROM migrate.load_table(NULL);
SELECT * FROM migrate.load_directory('/nonexistent/directory');

-- a script leaves the same ledger
SELECT migrate.add('1', 'CREATE TABLE s1 (a text DEFAULT ''$mig$'')', 'DROP TABLE s1 -- gone', name => 'it''s', project => 'scripted');
SELECT migrate.add('2', E'BEGIN;\nCREATE TABLE s2 (); -- why\nCOMMIT; -- really', 'DROP TABLE s2', verify => 'SELECT true', project => 'scripted');
SELECT migrate.add('3', 'VACUUM', irreversible => true, project => 'scripted');
SELECT migrate.script(project => 'scripted');
SELECT migrate.script('2', '1', project => 'scripted');
SELECT migrate.script('head', 'base', project => 'scripted');
\echo :SQLSTATE
SELECT migrate.script('1', 'nosuch', project => 'scripted');
SELECT migrate.script('1', '1', project => 'scripted');
DROP TABLE a, b;
