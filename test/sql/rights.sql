--
-- Rights: look, run, write, repair
--
DROP EXTENSION migrate;
CREATE EXTENSION migrate;
CREATE ROLE regress_migrate_look;
CREATE ROLE regress_migrate_run;
CREATE ROLE regress_migrate_write;
CREATE ROLE regress_migrate_repair;
CREATE ROLE regress_migrate_none;
SELECT migrate.grant('look', 'regress_migrate_look');
SELECT migrate.grant('run', 'regress_migrate_run');
SELECT migrate.grant('write', 'regress_migrate_write');
SELECT migrate.grant('repair', 'regress_migrate_repair');
SELECT migrate.grant('own', 'regress_migrate_look');
SELECT migrate.grant('look', 'nosuch');
\echo :SQLSTATE

-- which role may call which function; every function is in the list
SELECT p.oid::regprocedure::text COLLATE "C" AS function,
	has_function_privilege('regress_migrate_none', p.oid, 'EXECUTE') AS none,
	has_function_privilege('regress_migrate_look', p.oid, 'EXECUTE') AS look,
	has_function_privilege('regress_migrate_run', p.oid, 'EXECUTE') AS run,
	has_function_privilege('regress_migrate_write', p.oid, 'EXECUTE') AS write,
	has_function_privilege('regress_migrate_repair', p.oid, 'EXECUTE') AS repair,
	has_function_privilege('pg_database_owner', p.oid, 'EXECUTE WITH GRANT OPTION') AS owner
	FROM pg_proc p WHERE p.pronamespace = 'migrate'::regnamespace ORDER BY 1;
SELECT c.relname, r.role, has_table_privilege('regress_migrate_' || r.role, c.oid, 'SELECT') AS "select",
	has_table_privilege('regress_migrate_' || r.role, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') AS "write"
	FROM pg_class c, unnest(ARRAY['none', 'look', 'run', 'write', 'repair']) r (role)
	WHERE c.relnamespace = 'migrate'::regnamespace AND c.relkind IN ('r', 'v')
	AND has_table_privilege('regress_migrate_' || r.role, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
	ORDER BY 1, 2;
SELECT table_name, grantee, privilege_type, string_agg(column_name, ' ' ORDER BY ordinal_position)
	FROM information_schema.column_privileges JOIN information_schema.columns USING (table_schema, table_name, column_name)
	WHERE table_schema = 'migrate' AND table_name = 'migration' AND grantee LIKE 'regress_migrate%'
	GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

SELECT migrate.add('1', 'CREATE TABLE secret (password text DEFAULT ''hunter2'')', 'DROP TABLE secret');
SET ROLE regress_migrate_look;
SELECT version, state FROM migrate.status();
SELECT version, reason FROM migrate.plan();
SELECT migrate.check();
SELECT up FROM migrate.migration;
SELECT version, path FROM migrate.migration;
-- a short text can be guessed from its checksum
SELECT checksum FROM migrate.migration;
SELECT checksum FROM migrate.applied;
SELECT count(checksum) FROM migrate.status();
SELECT count(checksum) FROM migrate.schema_migrations;
RESET ROLE;
SELECT count(*) > 0 AND count(*) = count(checksum) AS all FROM migrate.status();
GRANT SELECT (checksum) ON migrate.applied TO regress_migrate_look;
SET ROLE regress_migrate_look;
SELECT count(*) > 0 AND count(*) = count(checksum) AS all FROM migrate.status();
RESET ROLE;
REVOKE SELECT (checksum) ON migrate.applied FROM regress_migrate_look;
SET ROLE regress_migrate_look;
SELECT * FROM migrate.apply();
\echo :SQLSTATE
SELECT migrate.add('2', '');
SELECT * FROM migrate.journal;
SELECT * FROM migrate.executed_text;
SELECT * FROM migrate.script();
RESET ROLE;
-- DETAIL may have data in it
SELECT migrate.add('2', 'CREATE TABLE u (a int UNIQUE); INSERT INTO u VALUES (42), (42)');
GRANT CREATE ON SCHEMA public TO regress_migrate_run;
SET ROLE regress_migrate_run;
SELECT version FROM migrate.apply();
SELECT sqlstate, message, detail, context FROM migrate.failures();
RESET ROLE;
SELECT sqlstate, message, detail, context FROM migrate.failures();
-- nor does plan() quote a body that does not parse
ALTER TABLE migrate.migration DISABLE TRIGGER ALL;
UPDATE migrate.migration SET up = 'CREATE ROLE r PASSWORD ''hunter2'' NO SUCH' WHERE version = '2';
ALTER TABLE migrate.migration ENABLE TRIGGER ALL;
SET ROLE regress_migrate_look;
SELECT version, reason FROM migrate.plan();
RESET ROLE;

-- a writer's body does not run as a superuser
SELECT migrate.remove('2');
SET ROLE regress_migrate_write;
SELECT migrate.add('2', 'ALTER ROLE regress_migrate_write SUPERUSER');
INSERT INTO migrate.migration (version, up) VALUES ('3', 'SELECT 1');
INSERT INTO migrate.migration (version, up, added_by) VALUES ('4', 'SELECT 1', 'postgres');
RESET ROLE;
SELECT version, added_by FROM migrate.migration ORDER BY 1;
SELECT version FROM migrate.apply();
\echo :SQLSTATE
SELECT migrate.remove('2');
SELECT version FROM migrate.apply('1');
SELECT version FROM migrate.apply();
SET migrate.trust_authors = on;
SELECT version FROM migrate.apply();
RESET migrate.trust_authors;
SET ROLE regress_migrate_write;
SET migrate.trust_authors = on;
RESET ROLE;

-- nor through SET ROLE, for the session could go back to its own
CREATE ROLE regress_migrate_both LOGIN;
SELECT migrate.grant('run', 'regress_migrate_both');
SELECT migrate.grant('write', 'regress_migrate_both');
GRANT CREATE ON SCHEMA public TO regress_migrate_both;
SET ROLE regress_migrate_both;
SELECT migrate.add('6', 'CREATE TABLE six (a int)', 'ALTER ROLE regress_migrate_both SUPERUSER');
SELECT version FROM migrate.apply();
\echo :SQLSTATE
SELECT version FROM migrate.apply(dry_run => true);
\echo :SQLSTATE
SELECT version FROM migrate.rehearse();
\echo :SQLSTATE
CALL migrate.apply_each();
\echo :SQLSTATE
-- a session of the role itself may, and start() has one
SELECT migrate.start() AS run \gset
CALL migrate.wait(:run);
SELECT version FROM migrate.rollback();
\echo :SQLSTATE
CALL migrate.rollback_each();
\echo :SQLSTATE
RESET ROLE;
SELECT applied_by FROM migrate.applied WHERE version = '6';
-- nor can a member of a superuser role, whatever it says
CREATE ROLE regress_migrate_boss SUPERUSER;
CREATE ROLE regress_migrate_staff;
GRANT regress_migrate_boss TO regress_migrate_staff;
GRANT regress_migrate_staff TO regress_migrate_run;
SET SESSION AUTHORIZATION regress_migrate_run;
SELECT version FROM migrate.rollback();
\echo :SQLSTATE
RESET SESSION AUTHORIZATION;
DROP ROLE regress_migrate_staff, regress_migrate_boss;
SELECT current_user, rolsuper FROM pg_roles WHERE rolname = 'regress_migrate_both';
-- who replaces one text does not answer for the others
SELECT migrate.amend('6', verify => 'SELECT true');
SELECT added_by, up_author, up_trusted, down_author, down_trusted, verify_author, verify_trusted
	FROM migrate.migration WHERE version = '6';
SELECT version FROM migrate.rollback();
\echo :SQLSTATE
SELECT migrate.amend('6', down => 'DROP TABLE six');
SELECT added_by, up_author, up_trusted, down_author, down_trusted, verify_author, verify_trusted
	FROM migrate.migration WHERE version = '6';
SELECT version FROM migrate.rollback();
SELECT migrate.remove('6');
DROP OWNED BY regress_migrate_both;
DROP ROLE regress_migrate_both;

-- taking it back
SELECT migrate.revoke('write', 'regress_migrate_write');
SET ROLE regress_migrate_write;
SELECT migrate.add('5', '');
SELECT migrate.current();
RESET ROLE;
SELECT migrate.revoke('look', 'regress_migrate_write');
SET ROLE regress_migrate_write;
SELECT migrate.current();
RESET ROLE;
SELECT version FROM migrate.rollback();
SELECT version FROM migrate.stamp_to('base');
DROP TABLE secret;
DROP OWNED BY regress_migrate_look, regress_migrate_run, regress_migrate_write, regress_migrate_repair;
DROP ROLE regress_migrate_look, regress_migrate_run, regress_migrate_write, regress_migrate_repair, regress_migrate_none;
