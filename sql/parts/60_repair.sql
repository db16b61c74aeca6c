-- ---------------------------------------------------------------------------
-- Repair
-- ---------------------------------------------------------------------------

CREATE TYPE migrate.repair_result AS (
	run		pg_catalog.int8,
	version	pg_catalog.text,
	name	pg_catalog.text,
	action	pg_catalog.text
);
COMMENT ON TYPE migrate.repair_result IS
	'a row of the functions that change the ledger';

CREATE FUNCTION migrate.stamp(version pg_catalog.anycompatible,
		note pg_catalog.text DEFAULT NULL,
		origin pg_catalog.text DEFAULT 'stamp',
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.repair_result
	LANGUAGE c VOLATILE ROWS 1 AS 'MODULE_PATHNAME', 'migrate_stamp';
COMMENT ON FUNCTION migrate.stamp(pg_catalog.anycompatible, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
	'record a migration as applied without running it';

CREATE FUNCTION migrate.unstamp(version pg_catalog.anycompatible,
		note pg_catalog.text DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.repair_result
	LANGUAGE c VOLATILE ROWS 1 AS 'MODULE_PATHNAME', 'migrate_unstamp';
COMMENT ON FUNCTION migrate.unstamp(pg_catalog.anycompatible, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
	'record a migration as not applied without running anything';

CREATE FUNCTION migrate.stamp_to(target pg_catalog.anycompatible,
		note pg_catalog.text DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.repair_result
	LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_stamp_to';
COMMENT ON FUNCTION migrate.stamp_to(pg_catalog.anycompatible, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
	'record exactly the migrations up to the target as applied, without running anything';

CREATE FUNCTION migrate.resume(version pg_catalog.anycompatible,
		at pg_catalog.int4 DEFAULT NULL,
		done pg_catalog.int4 DEFAULT NULL,
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.repair_result
	LANGUAGE c VOLATILE ROWS 1 AS 'MODULE_PATHNAME', 'migrate_resume';
COMMENT ON FUNCTION migrate.resume(pg_catalog.anycompatible, pg_catalog.int4, pg_catalog.int4, pg_catalog.text, pg_catalog.text) IS
	'say where the next run goes on with a migration that is partly done';

CREATE FUNCTION migrate.prune_journal(older_than pg_catalog.interval,
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.int8
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_prune_journal';
COMMENT ON FUNCTION migrate.prune_journal(pg_catalog.interval, pg_catalog.text, pg_catalog.text) IS
	'delete failures and statement timings older than this; the runs themselves stay';
