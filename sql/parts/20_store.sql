-- ---------------------------------------------------------------------------
-- The gate
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.gate() RETURNS pg_catalog.trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_gate';
COMMENT ON FUNCTION migrate.gate() IS
	'trigger of the tables: parses and hashes what is stored, protects what is applied and what was written down';

CREATE TRIGGER gate
	BEFORE INSERT OR UPDATE OR DELETE ON migrate.migration
	FOR EACH ROW EXECUTE FUNCTION migrate.gate();
CREATE TRIGGER gate_statement
	BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON migrate.migration
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();

-- what it says decides which statements run and which leftovers are dropped, so
-- only a superuser brings it along; a restore of no rows takes the right to INSERT
CREATE TRIGGER gate
	BEFORE INSERT ON migrate.step
	FOR EACH ROW EXECUTE FUNCTION migrate.gate();

CREATE TRIGGER gate
	BEFORE INSERT OR UPDATE ON migrate.policy
	FOR EACH ROW EXECUTE FUNCTION migrate.gate();

-- what they say is changed by a superuser alone, whatever other roles have been
-- given
CREATE TRIGGER gate_statement
	BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON migrate.applied
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();
CREATE TRIGGER gate_statement
	BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON migrate.journal
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();
CREATE TRIGGER gate_statement
	BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON migrate.executed_text
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();
CREATE TRIGGER gate_statement
	BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON migrate.step
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();
CREATE TRIGGER gate_statement
	BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON migrate.run
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();
CREATE TRIGGER gate_statement
	BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON migrate.state
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();

-- what is changed in the ledger, by us or by hand, is looked at again
CREATE TRIGGER gate_insert
	AFTER INSERT ON migrate.applied REFERENCING NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();
CREATE TRIGGER gate_update
	AFTER UPDATE ON migrate.applied REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();
CREATE TRIGGER gate_delete
	AFTER DELETE ON migrate.applied REFERENCING OLD TABLE AS before
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();
CREATE TRIGGER gate_truncate
	AFTER TRUNCATE ON migrate.applied
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();

ALTER TABLE migrate.applied ENABLE ALWAYS TRIGGER gate_truncate;
CREATE TRIGGER gate_truncate
	AFTER TRUNCATE ON migrate.migration
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();
ALTER TABLE migrate.migration ENABLE ALWAYS TRIGGER gate_truncate;

-- what logical replication brings passes by the others
CREATE TRIGGER gate_replica
	AFTER INSERT OR UPDATE OR DELETE ON migrate.migration
	FOR EACH ROW EXECUTE FUNCTION migrate.gate();
ALTER TABLE migrate.migration ENABLE REPLICA TRIGGER gate_replica;
CREATE TRIGGER gate_replica
	AFTER INSERT OR UPDATE OR DELETE ON migrate.applied
	FOR EACH ROW EXECUTE FUNCTION migrate.gate();
ALTER TABLE migrate.applied ENABLE REPLICA TRIGGER gate_replica;


-- ---------------------------------------------------------------------------
-- Writing
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.add(version pg_catalog.text, up pg_catalog.text,
		down pg_catalog.text DEFAULT NULL,
		name pg_catalog.text DEFAULT NULL,
		requires pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		verify pg_catalog.text DEFAULT NULL,
		kind pg_catalog.text DEFAULT 'versioned',
		transactional pg_catalog.bool DEFAULT NULL,
		irreversible pg_catalog.bool DEFAULT false,
		project pg_catalog.text DEFAULT 'default',
		author pg_catalog.text DEFAULT NULL,
		provenance pg_catalog.jsonb DEFAULT NULL)
	RETURNS pg_catalog.text
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_add';
COMMENT ON FUNCTION migrate.add(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.anycompatiblearray, pg_catalog.text, pg_catalog.text, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) IS
	'store one migration; the same text again is a no-op';

CREATE FUNCTION migrate.add(version pg_catalog.anyelement, up pg_catalog.text,
		down pg_catalog.text DEFAULT NULL,
		name pg_catalog.text DEFAULT NULL,
		requires pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		verify pg_catalog.text DEFAULT NULL,
		kind pg_catalog.text DEFAULT 'versioned',
		transactional pg_catalog.bool DEFAULT NULL,
		irreversible pg_catalog.bool DEFAULT false,
		project pg_catalog.text DEFAULT 'default',
		author pg_catalog.text DEFAULT NULL,
		provenance pg_catalog.jsonb DEFAULT NULL)
	RETURNS pg_catalog.text
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_version_type';
COMMENT ON FUNCTION migrate.add(pg_catalog.anyelement, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.anycompatiblearray, pg_catalog.text, pg_catalog.text, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) IS
	'refuses a number or another type where a version is wanted';

CREATE TYPE migrate.load_result AS (
	version	pg_catalog.text,
	result	pg_catalog.text,
	name	pg_catalog.text,
	path	pg_catalog.text
);
COMMENT ON TYPE migrate.load_result IS
	'a row of the functions that load files';

CREATE FUNCTION migrate.load(files pg_catalog.jsonb,
		convention pg_catalog.text DEFAULT 'auto',
		prune pg_catalog.bool DEFAULT false,
		project pg_catalog.text DEFAULT 'default',
		ignore pg_catalog.text[] DEFAULT NULL,
		subdirectories pg_catalog.bool DEFAULT false,
		partial pg_catalog.bool DEFAULT false,
		accept pg_catalog.bool DEFAULT false)
	RETURNS SETOF migrate.load_result
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_load';
COMMENT ON FUNCTION migrate.load(pg_catalog.jsonb, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text[], pg_catalog.bool, pg_catalog.bool, pg_catalog.bool) IS
	'store the migrations of a set of files, given as {"path": "content"}';

CREATE FUNCTION migrate.load_table(source pg_catalog.regclass,
		convention pg_catalog.text DEFAULT 'auto',
		prune pg_catalog.bool DEFAULT false,
		project pg_catalog.text DEFAULT 'default',
		ignore pg_catalog.text[] DEFAULT NULL,
		subdirectories pg_catalog.bool DEFAULT false,
		partial pg_catalog.bool DEFAULT false,
		accept pg_catalog.bool DEFAULT false)
	RETURNS SETOF migrate.load_result
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_load_table';
COMMENT ON FUNCTION migrate.load_table(pg_catalog.regclass, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text[], pg_catalog.bool, pg_catalog.bool, pg_catalog.bool) IS
	'store the migrations of a set of files, given as a table with the columns path and content';

CREATE FUNCTION migrate.load_directory(path pg_catalog.text,
		convention pg_catalog.text DEFAULT 'auto',
		prune pg_catalog.bool DEFAULT false,
		project pg_catalog.text DEFAULT 'default',
		ignore pg_catalog.text[] DEFAULT NULL,
		subdirectories pg_catalog.bool DEFAULT false,
		partial pg_catalog.bool DEFAULT false,
		accept pg_catalog.bool DEFAULT false)
	RETURNS SETOF migrate.load_result
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_load_directory';
COMMENT ON FUNCTION migrate.load_directory(pg_catalog.text, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text[], pg_catalog.bool, pg_catalog.bool, pg_catalog.bool) IS
	'store the migrations of a directory of the server, for members of pg_read_server_files';

CREATE FUNCTION migrate.remove(version pg_catalog.anycompatible,
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.text
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_remove';
COMMENT ON FUNCTION migrate.remove(pg_catalog.anycompatible, pg_catalog.text) IS
	'delete the text of a pending migration';

CREATE FUNCTION migrate.amend(version pg_catalog.anycompatible,
		up pg_catalog.text DEFAULT NULL,
		down pg_catalog.text DEFAULT NULL,
		verify pg_catalog.text DEFAULT NULL,
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.text
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_amend';
COMMENT ON FUNCTION migrate.amend(pg_catalog.anycompatible, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
	'replace the text of an applied migration on purpose; the old text is kept, nothing is run';

CREATE FUNCTION migrate.hold(version pg_catalog.anycompatible,
		reason pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.text
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_hold';
COMMENT ON FUNCTION migrate.hold(pg_catalog.anycompatible, pg_catalog.text, pg_catalog.text) IS
	'have every runner skip a migration and what requires it';

CREATE FUNCTION migrate.unhold(version pg_catalog.anycompatible,
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.text
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_unhold';
COMMENT ON FUNCTION migrate.unhold(pg_catalog.anycompatible, pg_catalog.text) IS
	'let runners apply a held migration again';
