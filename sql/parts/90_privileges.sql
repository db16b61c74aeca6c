-- ---------------------------------------------------------------------------
-- Privileges
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.grant(privilege pg_catalog.text, role pg_catalog.text)
	RETURNS pg_catalog.void
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_grant';
COMMENT ON FUNCTION migrate.grant(pg_catalog.text, pg_catalog.text) IS
	'give a role a privilege: look, run, write or repair';

CREATE FUNCTION migrate.revoke(privilege pg_catalog.text, role pg_catalog.text)
	RETURNS pg_catalog.void
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_revoke';
COMMENT ON FUNCTION migrate.revoke(pg_catalog.text, pg_catalog.text) IS
	'take a privilege, look, run, write or repair, from a role';

-- what PUBLIC has by default, and whatever default privileges of the owner have
-- given to others just now
CREATE FUNCTION migrate.take_back() RETURNS pg_catalog.void
	LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_take_back';
SELECT migrate.take_back();
DROP FUNCTION migrate.take_back();

GRANT USAGE ON SCHEMA migrate TO pg_database_owner WITH GRANT OPTION;
GRANT SELECT, INSERT ON migrate.migration, migrate.applied, migrate.journal,
	migrate.executed_text, migrate.step, migrate.policy
	TO pg_database_owner WITH GRANT OPTION;
GRANT SELECT ON migrate.run, migrate.state TO pg_database_owner WITH GRANT OPTION;
GRANT UPDATE ON migrate.policy TO pg_database_owner WITH GRANT OPTION;
GRANT SELECT ON migrate.failures, migrate.statements, migrate.schema_migrations,
	migrate.history TO pg_database_owner WITH GRANT OPTION;
GRANT SELECT, UPDATE ON SEQUENCE migrate.run_seq, migrate.applied_seq TO pg_database_owner WITH GRANT OPTION;
GRANT USAGE ON TYPE migrate.statement_timing, migrate.rehearsed_lock,
	migrate.rehearsed_scan, migrate.rehearsed_statement TO pg_database_owner WITH GRANT OPTION;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA migrate TO pg_database_owner WITH GRANT OPTION;
REVOKE ALL ON FUNCTION migrate.gate() FROM pg_database_owner;
