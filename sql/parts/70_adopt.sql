-- ---------------------------------------------------------------------------
-- Adopt
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.detect(OUT tool pg_catalog.text,
		OUT ledger pg_catalog.text, OUT state pg_catalog.text,
		OUT entries pg_catalog.int8, OUT newest pg_catalog.text,
		OUT newest_at pg_catalog.timestamptz, OUT detail pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c STABLE ROWS 2 AS 'MODULE_PATHNAME', 'migrate_detect';
COMMENT ON FUNCTION migrate.detect() IS
	'the ledgers of other migration tools in this database, and what they say';

CREATE FUNCTION migrate.adopt(tool pg_catalog.text DEFAULT 'auto',
		dry_run pg_catalog.bool DEFAULT false,
		ledger pg_catalog.regclass DEFAULT NULL,
		accept pg_catalog.bool DEFAULT false,
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT run pg_catalog.int8, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text,
		OUT entry pg_catalog.text, OUT applied_at pg_catalog.timestamptz,
		OUT detail pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 100 AS 'MODULE_PATHNAME', 'migrate_adopt';
COMMENT ON FUNCTION migrate.adopt(pg_catalog.text, pg_catalog.bool, pg_catalog.regclass, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'record what another tool has applied as applied, with its dates, from its ledger';

CREATE FUNCTION migrate.export(convention pg_catalog.text DEFAULT 'native',
		project pg_catalog.text DEFAULT 'default',
		OUT path pg_catalog.text, OUT content pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c STABLE ROWS 100 AS 'MODULE_PATHNAME', 'migrate_export';
COMMENT ON FUNCTION migrate.export(pg_catalog.text, pg_catalog.text) IS
	'the migrations as files that load() makes the same migrations of, and other tools can read';

