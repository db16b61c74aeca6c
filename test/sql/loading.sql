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

--
-- What is wrong with one file is no reason to refuse the others
--
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
-- a down and a verify that do not parse, a down that no migration can run, an
-- orphan: stored with a warning, and only what would run one is an error
SELECT version, result FROM migrate.load('{"1_a.sql": "-- migrate:up\nCREATE TABLE a ();\n-- migrate:down\nDROP IF\n", "2_b.sql": "CREATE TABLE b ()", "2_b.down.sql": "\\copy b from x", "3_c.sql": "SELECT 3", "3_c.verify.sql": "SELEC", "4_d.down.sql": "SELECT 4", "5_e.sql": "SELECT 5", "5_e.down.sql": "COPY b FROM STDIN"}');
SELECT version, rule, severity, message FROM migrate.lint() WHERE rule = 'body-refused';
SELECT migrate.report('markdown') IS NOT NULL, migrate.report('json') IS NOT NULL, migrate.report('html') IS NOT NULL;
SELECT version, own_transaction FROM migrate.plan();
SELECT version FROM migrate.apply('2');
SELECT version FROM migrate.apply('3');
SELECT version, own_transaction, reason FROM migrate.plan_rollback(2);
SELECT version FROM migrate.rollback();
SELECT version FROM migrate.rollback(versions => '{1}');
\echo :SQLSTATE
SELECT version, state FROM migrate.status();
-- the same again is not reported again
SELECT version, result FROM migrate.load('{"2_b.sql": "CREATE TABLE b ()", "2_b.down.sql": "\\copy b from x"}') WHERE result <> 'absent';
-- one migration at a time is told at once
SELECT migrate.add('9', 'SELECT 9', 'DROP IF');
SELECT migrate.add('9', 'SELECT 9', verify => 'SELEC');

-- another tool may have run what cannot be run here: it can be stamped
SELECT version, result FROM migrate.load('{"1_a.up.sql": "SELECT 1", "2_b.up.sql": "\\copy b from x", "3_c.up.sql": "ROLLBACK", "4_d.up.sql": "SELECT 4"}', project => 'other tool');
SELECT version, rule, severity, message FROM migrate.lint(project => 'other tool') WHERE rule = 'body-refused';
SELECT version FROM migrate.apply(project => 'other tool');
SELECT version, action FROM migrate.stamp_to('3', project => 'other tool');
SELECT version FROM migrate.apply(project => 'other tool');

-- the rest of a project of which some files are refused
SELECT version, result, path FROM migrate.load('{"10_a.sql": "SELECT 10", "11_b.sql": "SELEC 11", "12_c.sql": "SELECT 12;\n-- +migrate Down\nSELECT 1", "13_d.sql": "-- migrate:dwon", "seed.sql": "", "test/14_x.sql": "SELECT 14", "15_e.sql": "-- migrate:requires 11\n-- migrate:up\nSELECT 15", "x.txt": ""}',
	partial => true, project => 'partial');
SELECT version, result, path FROM migrate.load('{"10_a.sql": "SELECT 10", "11_b.sql": "SELEC 11"}', project => 'partial');
SELECT version, result, path FROM migrate.load('{"10_a.sql": "SELECT 10", "11_b.sql": "SELECT 11"}', project => 'partial');
-- a refused file is not one that is gone
SELECT version, result, path FROM migrate.load('{"10_a.sql": "SELEC 10", "11_b.sql": "SELECT 1;\n-- +goose Down"}',
	partial => true, prune => true, convention => 'native', project => 'partial');
SELECT version, up FROM migrate.migration WHERE project = 'partial' ORDER BY 1;

--
-- Empty bodies
--
SELECT version, result FROM migrate.load('{"1_a.sql": "-- migrate:up\n\n-- migrate:down\n", "2_b.sql": "/* later */ ;", "3_c.sql": "-- migrate:requires 1\n-- migrate:requires 2\n-- migrate:up\n", "4_d.sql": "BEGIN;\nCOMMIT;"}', project => 'empty');
SELECT version, rule, severity, message FROM migrate.lint(project => 'empty') WHERE rule IN ('empty-body', 'missing-down');
SELECT migrate.add('5', '-- nothing', project => 'empty');
INSERT INTO migrate.migration (project, version, up) VALUES ('empty', '6', ' ');
SELECT migrate.add('7', '-- joins', requires => '{5,6}', project => 'empty');
SELECT version, down FROM migrate.migration WHERE project = 'empty' ORDER BY 1;
-- one that joins others is no obstacle to a roll-back
SELECT version FROM migrate.apply(versions => '{1,2,3}', project => 'empty');
SELECT version, action FROM migrate.rollback(project => 'empty');
-- one that was applied by mistake: how to fill it
SELECT version, result FROM migrate.load('{"2_b.sql": "CREATE TABLE filled ()"}', project => 'empty') WHERE result <> 'absent';
SELECT version FROM migrate.unstamp('2', project => 'empty');
SELECT version, result FROM migrate.load('{"2_b.sql": "CREATE TABLE filled ()"}', project => 'empty') WHERE result <> 'absent';
SELECT version FROM migrate.apply(versions => '{2}', project => 'empty');
DROP TABLE filled;

--
-- Downs without a statement: the same in all conventions
--
INSERT INTO migrate.policy (project) VALUES ('downs');
DO $do$
DECLARE
	files jsonb;
BEGIN
	SET LOCAL client_min_messages = error;
	FOREACH files IN ARRAY ARRAY[
		'{"1_a/up.sql": "CREATE TABLE down1 ()", "1_a/down.sql": "-- This file should undo anything in `up.sql`"}',
		'{"1_a.up.sql": "CREATE TABLE down1 ()", "1_a.down.sql": ""}',
		'{"1_a.sql": "-- migrate:up\nCREATE TABLE down1 ();\n-- migrate:down\n\n"}',
		'{"1_a.sql": "-- migrate:up\nCREATE TABLE down1 ();\n-- migrate:down\n-- TODO\n"}',
		'{"1_a.sql": "-- +goose Up\nCREATE TABLE down1 ();\n-- +goose Down\n"}',
		'{"1_a.sql": "-- +goose Up\nCREATE TABLE down1 ();\n-- +goose Down\n-- later\n"}',
		'{"V1__a.sql": "CREATE TABLE down1 ()", "U1__a.sql": "/* none */"}',
		'{"1_a.up.sql": "CREATE TABLE down1 ()", "1_a.down.sql": "BEGIN;\n-- XXX Add DDLs here.\nCOMMIT;\n"}']::jsonb[]
	LOOP
		UPDATE migrate.policy SET require_down = true WHERE project = 'downs';
		BEGIN
			PERFORM migrate.load(files, project => 'downs');
			RAISE 'not refused: %', files;
		EXCEPTION WHEN SQLSTATE 'MG007' THEN
			NULL;
		END;
		UPDATE migrate.policy SET require_down = false WHERE project = 'downs';
		PERFORM migrate.load(files, project => 'downs');
		ASSERT (SELECT count(*) = 1 FROM migrate.lint(project => 'downs') WHERE rule = 'empty-down'), files;
		UPDATE migrate.policy SET require_down = true WHERE project = 'downs';
		BEGIN
			PERFORM migrate.apply(project => 'downs');
			RAISE 'not refused: %', files;
		EXCEPTION WHEN SQLSTATE 'MG007' THEN
			NULL;
		END;
		UPDATE migrate.policy SET require_down = false WHERE project = 'downs';
		PERFORM migrate.apply(project => 'downs');
		ASSERT (SELECT reason = 'the down body has no statement: nothing would be undone' FROM migrate.plan_rollback(project => 'downs')), files;
		PERFORM migrate.rollback(project => 'downs');
		DROP TABLE down1;
		PERFORM migrate.remove('1', project => 'downs');
	END LOOP;
END $do$;
SELECT version, result FROM migrate.load('{"1_a.up.sql": "CREATE TABLE down1 ()", "1_a.down.sql": "-- later"}', project => 'downs');
SELECT version FROM migrate.apply(project => 'downs');
SELECT version FROM migrate.rollback(project => 'downs');
DROP TABLE down1;
SET migrate.progress_notices = 'off';
CALL migrate.apply_each(project => 'downs') \gset
CALL migrate.rollback_each(project => 'downs') \gset
RESET migrate.progress_notices;
DROP TABLE down1;
SELECT migrate.remove('1', project => 'downs');
SELECT migrate.add('1', 'SELECT 1', '-- nothing', project => 'downs');
SELECT migrate.remove('1', project => 'downs');
-- none is needed where there is nothing to undo, or no way back
UPDATE migrate.policy SET require_down = true WHERE project = 'downs';
SELECT version, result FROM migrate.load('{"1_a.up.sql": "-- nothing", "1_a.down.sql": "-- nothing"}', project => 'downs');
SELECT version FROM migrate.apply(project => 'downs');
SELECT version FROM migrate.rollback(project => 'downs');
SELECT migrate.remove('1', project => 'downs');
SELECT version, result FROM migrate.load('{"1_a.sql": "-- migrate:irreversible\n-- migrate:up\nSELECT 1;\n-- migrate:down\n-- there is none\n"}', project => 'downs');
SELECT version FROM migrate.apply(project => 'downs');
SELECT version FROM migrate.rollback(project => 'downs');

--
-- Verify bodies of applied migrations, and how they are said to be run
--
CREATE FUNCTION pg_temp.reload(content text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(result, ' ') FROM migrate.load(jsonb_build_object('1_a.sql', content), project => 'verified') $$;
SELECT pg_temp.reload(E'-- migrate:up\nSELECT 1;\n-- migrate:verify\nSELECT true;\n');
SELECT version FROM migrate.apply(project => 'verified');
SELECT pg_temp.reload(E'-- migrate:up\nSELECT 1;\n-- migrate:verify\nSELECT false;\n');
SELECT pg_temp.reload(E'-- migrate:up\nSELECT 1;\n-- migrate:verify\nSELECT false;\n');
SELECT pg_temp.reload(E'-- migrate:up\nSELECT 1;\n');
SELECT pg_temp.reload(E'-- migrate:transactional off\n-- migrate:up\nSELECT 1;\n');
SELECT pg_temp.reload(E'-- +goose NO TRANSACTION\n-- +goose Up\nSELECT 1;\n');
SELECT j.version, j.body, j.note, b.text FROM migrate.journal j LEFT JOIN migrate.executed_text b ON b.body_hash = j.body_hash
	WHERE j.project = 'verified' AND j.action = 'amend' ORDER BY j.run, j.seq;
SELECT version, state FROM migrate.status('verified');
SELECT count(*) FROM migrate.stamp_to('base', project => 'verified');

--
-- Edits of applied texts that change comments and blanks alone
--
SELECT version, result FROM migrate.load('{"1_a.sql": "-- migrate:up\nCREATE TABLE e (a text DEFAULT ''x  -- y'');\n-- migrate:down\nDROP TABLE e;\n", "2_b.sql": "-- migrate:up\nCREATE FUNCTION e() RETURNS int LANGUAGE sql AS $$ SELECT 1 -- one\n$$;\n-- migrate:down\nDROP FUNCTION e();\n", "3_c.sql": "SELECT 3"}', project => 'edits');
SELECT version FROM migrate.apply('2', project => 'edits');
-- up and down, by load(), add() and UPDATE
SELECT version, result FROM migrate.load('{"1_a.sql": "-- License\n-- migrate:up\n/* why /* really */ */ CREATE\n\tTABLE e (a text DEFAULT ''x  -- y'') -- done\n;\n-- migrate:down\n-- and back\nDROP TABLE e;\n", "2_b.sql": "-- migrate:up\nCREATE FUNCTION e() RETURNS int LANGUAGE sql AS $$ SELECT 1 -- one\n$$;\n-- migrate:down\nDROP FUNCTION e();\n", "3_c.sql": "SELECT 3 -- pending"}', project => 'edits');
SELECT migrate.add('1', 'CREATE TABLE e(a text DEFAULT ''x  -- y'');', 'DROP TABLE e;--', project => 'edits');
UPDATE migrate.migration SET up = '-- again' || E'\n' || up WHERE project = 'edits' AND version = '2';
SELECT seq, action, version, body, note, b.text = E'DROP TABLE e;\n' AS first_down
	FROM migrate.journal j LEFT JOIN migrate.executed_text b ON b.body_hash = j.body_hash
	WHERE j.project = 'edits' AND action = 'amend' ORDER BY j.run, seq;
SELECT m.version, m.checksum = a.checksum AND m.down_checksum = a.down_checksum AS known
	FROM migrate.migration m JOIN migrate.applied a USING (project, version) WHERE project = 'edits' ORDER BY 1;
SELECT migrate.check('2', project => 'edits');
-- not: a literal, a dollar body, a name, a word more, a down that is there or not
SELECT migrate.add('1', 'CREATE TABLE e(a text DEFAULT ''x -- y'');', 'DROP TABLE e;', project => 'edits');
SELECT migrate.add('1', 'CREATE TABLE "e "(a text DEFAULT ''x  -- y'');', 'DROP TABLE e;', project => 'edits');
SELECT migrate.add('1', 'CREATE TABLE e(a text DEFAULT ''x  -- y'');', 'DROP TABLE IF EXISTS e;', project => 'edits');
SELECT migrate.add('1', 'CREATE TABLE e(a text DEFAULT ''x  -- y'');', project => 'edits');
SELECT version, result FROM migrate.load('{"2_b.sql": "-- migrate:up\nCREATE FUNCTION e() RETURNS int LANGUAGE sql AS $$ SELECT 1 -- two\n$$;\n-- migrate:down\nDROP FUNCTION e();\n"}', project => 'edits');
UPDATE migrate.migration SET down = 'DROP FUNCTION e() CASCADE;' WHERE project = 'edits' AND version = '2';
-- a comment that is a marker says something
SELECT version, result FROM migrate.load('{"7_g.sql": "SELECT 7 -- x"}', project => 'edits') WHERE result <> 'absent';
SELECT version FROM migrate.apply(project => 'edits');
SELECT version, result FROM migrate.load('{"7_g.sql": "-- migrate:transactional off\nSELECT 7 -- x"}', project => 'edits');
SELECT version, result FROM migrate.load('{"7_g.sql": "-- migrate:irreversible\nSELECT 7 -- x"}', project => 'edits');
SELECT version, result FROM migrate.load('{"7_g.sql": "-- migrate:requires 3\nSELECT 7 -- x"}', project => 'edits');
-- the policy has the last word
INSERT INTO migrate.policy (project, edits) VALUES ('edits', 'refuse');
SELECT version, result FROM migrate.load('{"7_g.sql": "SELECT 7 -- y"}', project => 'edits');
SELECT migrate.add('7', 'SELECT 7 -- y', name => 'g', project => 'edits');
UPDATE migrate.migration SET up = 'SELECT 7 -- y' WHERE project = 'edits' AND version = '7';
UPDATE migrate.policy SET edits = 'maybe' WHERE project = 'edits';
DELETE FROM migrate.policy;
-- many at once, on purpose
SELECT version, result FROM migrate.load('{"3_c.sql": "SELECT 33", "7_g.sql": "SELECT 77"}', project => 'edits');
SELECT version, result FROM migrate.load('{"3_c.sql": "SELECT 33", "7_g.sql": "SELECT 77"}', accept => true, project => 'edits') WHERE result <> 'absent';
SELECT seq, version, body, note FROM migrate.journal WHERE project = 'edits' AND action = 'amend' ORDER BY run DESC, seq LIMIT 2;
SELECT migrate.check(project => 'edits');
SELECT version, result FROM migrate.load('{"3_c.sql": "-- migrate:repeatable\nSELECT 33"}', accept => true, project => 'edits');
-- a repeatable migration runs again, whatever has changed
SELECT version, result FROM migrate.load('{"8_r.sql": "-- migrate:repeatable\nSELECT 8"}', project => 'edits') WHERE result <> 'absent';
SELECT version FROM migrate.apply(project => 'edits');
SELECT version, result FROM migrate.load('{"8_r.sql": "-- migrate:repeatable\nSELECT 8 -- more"}', project => 'edits') WHERE result <> 'absent';
SELECT version FROM migrate.apply(project => 'edits');
DROP TABLE e; DROP FUNCTION e();
DROP TABLE a, b;

-- digits come before letters, in this order and in that of a directory
SELECT migrate.add('a1', 'SELECT 1', project => 'letters');
SELECT version FROM migrate.apply(project => 'letters');
SELECT migrate.add('1b', 'SELECT 1', project => 'letters');
SELECT version FROM migrate.apply(project => 'letters');

-- what was applied without a statement has nothing to undo, and what was not may have
SELECT version, result FROM migrate.load('{"1_a.sql": "-- +goose Up\n-- +goose Down\n", "2_b.sql": "-- +goose Up\nSELECT 2;\n-- +goose Down\nSELECT 2;", "3_c.sql": "-- +goose Up\n/* later */ ;"}', project => 'nothing');
SET migrate.progress_notices = 'off';
CALL migrate.apply_each(project => 'nothing') \gset
CALL migrate.rollback_each(3, project => 'nothing') \gset
RESET migrate.progress_notices;
SELECT :applied AS applied, :rolled_back AS rolled_back;
SELECT version FROM migrate.apply(project => 'nothing');
SELECT version, action FROM migrate.rollback(3, project => 'nothing');
SELECT version, state FROM migrate.status('nothing');
SELECT migrate.add('4', '/**/ SELECT 1', project => 'nothing');
SELECT version FROM migrate.apply(project => 'nothing');
SELECT version FROM migrate.rollback(1, project => 'nothing');

-- another migration in the place of an applied one is no edit of it
SELECT version, result FROM migrate.load('{"001_a.sql": "SELECT 1", "002_mine.sql": "SELECT 2", "003_old.sql": "SELECT 3"}', project => 'taken');
SELECT version FROM migrate.apply(project => 'taken');
SELECT version, result FROM migrate.load('{"001_a.sql": "SELECT 1", "002_theirs.sql": "SELECT 22", "003_old.sql": "SELECT 33"}', project => 'taken');
SELECT version, result FROM migrate.load('{"001_a.sql": "SELECT 1", "002_theirs.sql": "SELECT 22", "003_old.sql": "SELECT 3"}', accept => true, project => 'taken');
SELECT version, name, up FROM migrate.migration WHERE project = 'taken' ORDER BY 1;
-- another name, or a comment beside it, is one
SELECT version, result FROM migrate.load('{"001_b.sql": "SELECT 1", "002_ours.sql": "SELECT 2 -- two", "dir/003_old.sql": "SELECT 33"}', accept => true, subdirectories => true, project => 'taken');
SELECT migrate.amend('002', 'SELECT 22', project => 'taken');
SELECT version, result FROM migrate.load('{"002_theirs.sql": "SELECT 22"}', project => 'taken') WHERE result <> 'absent';
DELETE FROM migrate.policy;

-- a file that says nothing of the way back leaves the one that was given to amend()
SELECT version, result FROM migrate.load('{"1_a.sql": "SELECT 1", "2_b.sql": "SELECT 2", "3_c.sql": "SELECT 3"}', project => 'kept');
SELECT version FROM migrate.apply(project => 'kept');
SELECT migrate.amend('2', down => 'SELECT -2', project => 'kept');
SELECT version, result FROM migrate.load('{"1_a.sql": "SELECT 1", "2_b.sql": "SELECT 2"}', project => 'kept');
SELECT version, result FROM migrate.load('{"1_a.sql": "SELECT 1", "2_b.sql": "SELECT 22"}', project => 'kept');
SELECT version, result FROM migrate.load('{"1_a.sql": "SELECT 1", "2_b.sql": "SELECT 22"}', accept => true, project => 'kept');
SELECT version, up, down, down_author = session_user AS own FROM migrate.migration WHERE project = 'kept' ORDER BY 1;
SELECT migrate.amend('3', down => 'SELECT -3', project => 'kept');
SELECT version FROM migrate.rollback(2, hold => false, project => 'kept');
SELECT version, result FROM migrate.load('{"2_b.sql": "SELECT 222", "3_c.sql": "-- migrate:up\nSELECT 33"}', project => 'kept');
SELECT version, up, down FROM migrate.migration WHERE project = 'kept' ORDER BY 1;
-- but not if the file says that there is none
SELECT version, result FROM migrate.load('{"2_b.sql": "-- migrate:irreversible\nSELECT 222", "3_c.sql": "-- migrate:up\nSELECT 33\n-- migrate:down\n"}', project => 'kept');
SELECT version, up, down FROM migrate.migration WHERE project = 'kept' ORDER BY 1;

-- what was applied in several transactions is replayed in several: a value of
-- an enum has to be committed before it is used, wherever it was added
SELECT migrate.add('1', 'CREATE TYPE mood AS ENUM (''a'')', 'DROP TYPE mood', project => 'enum');
SELECT migrate.add('2', $up$DO $do$ BEGIN EXECUTE 'ALTER TYPE mood ADD VALUE ''b'''; END $do$ $up$, 'SELECT 2', project => 'enum');
SELECT migrate.add('3', 'CREATE TABLE moods (m mood DEFAULT ''b'')', 'DROP TABLE moods', project => 'enum');
CREATE FUNCTION pg_temp.call_of(script text) RETURNS text LANGUAGE sql AS
	$$SELECT substring(script FROM 'COMMIT;\n([A-Z]+ [a-z, ]*(?:FROM )?migrate.[a-z_]*)')$$;
SELECT regexp_replace(migrate.script(project => 'enum'), '^\\set.*$', '', 'n') AS script \gset
SELECT pg_temp.call_of(:'script');
SET migrate.progress_notices = off;
\o /dev/null
:script
\o
RESET migrate.progress_notices;
SELECT version, origin FROM migrate.applied WHERE project = 'enum' ORDER BY 1;
SELECT pg_temp.call_of(migrate.script(one_transaction => true, project => 'enum')),
	pg_temp.call_of(migrate.script('3', 'base', project => 'enum')) AS down;
SELECT migrate.script(one_transaction => NULL, project => 'enum');
SELECT version FROM migrate.rollback(3, project => 'enum');

-- a file that has another version, with a text that has run, would run it again
CREATE TABLE balances AS SELECT 100 AS cents;
SELECT version, result FROM migrate.load('{"1_a.sql": "SELECT 1", "2_cents.sql": "UPDATE balances SET cents = cents * 100", "3_c.sql": "SELECT 3"}', project => 'renamed');
SELECT version FROM migrate.apply(project => 'renamed');
SELECT version, result FROM migrate.load('{"1_a.sql": "SELECT 1", "4_other.sql": "UPDATE balances SET cents = cents * 100", "3_c.sql": "SELECT 3"}', project => 'renamed');
\echo :SQLSTATE
-- nor with a comment in it, if it has its name still
SELECT version, result FROM migrate.load('{"1_a.sql": "SELECT 1", "20240102_cents.sql": "/* 20240102 */\nUPDATE balances SET cents = cents * 100", "20240103_c.sql": "SELECT 3"}', project => 'renamed');
SELECT version, result FROM migrate.load('{"1_a.sql": "SELECT 1", "20240102_cents.sql": "/* 20240102 */\nUPDATE balances SET cents = cents * 100", "20240103_c.sql": "SELECT 3", "20240104_e.sql": "SELECT 5"}', accept => true, project => 'renamed');
SELECT version FROM migrate.apply(project => 'renamed');
SELECT * FROM balances;
SELECT version, name, state FROM migrate.status('renamed');
SELECT seq, version, action, note FROM migrate.journal WHERE project = 'renamed' AND action LIKE '%stamp' ORDER BY run, seq;
-- what was applied last is the newest still
SELECT version FROM migrate.applied WHERE project = 'renamed' ORDER BY applied_seq;
-- two files with one text are two migrations, whichever came first
SELECT version, result FROM migrate.load('{"20240104_e.sql": "SELECT 5", "20240105_e.sql": "SELECT 5", "20240106_e.sql": "SELECT 5"}', project => 'renamed') WHERE result <> 'absent';
SELECT version, result FROM migrate.load('{"20240105_e.sql": "SELECT 5"}', project => 'renamed') WHERE result <> 'absent';
-- of what is pending the renamed file takes the place
SELECT version, result FROM migrate.load('{"20240104_e.sql": "SELECT 5", "20240105_e.sql": "SELECT 5", "20240107_e.sql": "SELECT 5"}', project => 'renamed') WHERE result <> 'absent';
SELECT version, state FROM migrate.status('renamed') WHERE state <> 'applied';
-- repeatable ones, and those that do nothing, may run as often as they like
SELECT version, result FROM migrate.load('{"1_v.sql": "-- migrate:repeatable\n-- migrate:up\nSELECT 1", "2_m.sql": "-- later", "3_h.sql": "SELECT 3"}', project => 'renamed too');
SELECT version FROM migrate.apply(project => 'renamed too');
SELECT version, result FROM migrate.load('{"4_v.sql": "-- migrate:repeatable\n-- migrate:up\nSELECT 1", "5_m.sql": "-- later"}', project => 'renamed too');
-- what stands half-way keeps its version
SELECT migrate.add('9', 'VACUUM balances; SELECT 1/0', name => 'half', project => 'renamed half');
CALL migrate.apply_each(project => 'renamed half');
SELECT version, result FROM migrate.load('{"10_half.sql": "VACUUM balances; SELECT 1/0"}', accept => true, project => 'renamed half');
\echo :SQLSTATE
DROP TABLE balances;

-- with a file that is refused nothing is pruned: it may be what is missing
SELECT version, result FROM migrate.load('{"001_a.sql": "SELECT 1;", "002_b.sql": "SELECT 2;"}', 'name', project => 'left');
SELECT version, result, path FROM migrate.load('{"001_a.sql": "SELECT 1;", "002_b.go": "package b"}', 'name',
	prune => true, partial => true, project => 'left');
SELECT version, result FROM migrate.load('{"001_a.sql": "SELECT 1;"}', 'name', prune => true, project => 'left');
-- nor with a body that is refused, which leaves the set unfinished
SELECT version, result FROM migrate.load('{"1_a.sql": "SELECT 1;", "2_b.sql": "SELECT 2;"}', project => 'left body');
SELECT version, result, path FROM migrate.load('{"1_a.sql": "SELECT 1;", "3_b.sql": "SELEC 2;"}',
	prune => true, partial => true, project => 'left body');
SELECT version, up FROM migrate.migration WHERE project = 'left body' ORDER BY 1;
SELECT version, result FROM migrate.load('{"02_b.sql": "SELECT 22;", "3_b.sql": "SELEC 2;"}',
	prune => true, partial => true, project => 'left body');
SELECT version, result FROM migrate.load('{"4_d.sql": "SELECT 4;", "3_b.sql": "SELEC 2;"}',
	prune => true, partial => true, project => 'left body');
SELECT files FROM migrate.state WHERE project = 'left body';
SELECT version, result FROM migrate.load('{"02_b.sql": "SELECT 22;", "3_b.sql": "SELECT 3;"}', prune => true, project => 'left body');
-- and a set without migrations does not empty the project
SELECT version, result FROM migrate.load('{}', prune => true, project => 'left body');
\echo :SQLSTATE
SELECT version, result FROM migrate.load('{"02_b.sql": "SELECT 22;", "README.md": ""}', ignore => '{*.sql}', prune => true, project => 'left body');
SELECT version, result FROM migrate.load('{"02_b.sql": "SELEC 22;"}', partial => true, prune => true, project => 'left body');
SELECT migrate.remove('3', 'left body');
SELECT migrate.remove('02', 'left body');
SELECT version, result FROM migrate.load('{}', prune => true, project => 'left body');
