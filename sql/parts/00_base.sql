-- sql/parts: everything CREATE EXTENSION migrate creates
--
-- make puts the files here together, in the order of their names, as
-- sql/migrate--<version>.sql.
--
-- The control file says schema = pg_catalog, so the search_path of this script
-- is pg_catalog alone, and the CREATE SCHEMA below fails where somebody has
-- made a schema of that name before: no object that another role could have
-- planted is ever in the path of a script that runs as superuser.  Every name
-- is qualified all the same.
--
-- Tables, schema and functions belong to the superuser that the script runs
-- as (the extension is trusted).  pg_database_owner gets what a dump, a
-- restore and a run need, with grant option, and nobody else gets anything but
-- the function of the constraints.

\echo Use "CREATE EXTENSION migrate" to load this file. \quit

CREATE SCHEMA migrate;

COMMENT ON SCHEMA migrate IS 'migrations, what was applied, and every attempt';


-- ---------------------------------------------------------------------------
-- Lines
-- ---------------------------------------------------------------------------

-- What others write into the tables gets into messages, and onto terminals: see
-- src/base/printable.h, which has the same lengths.  Whoever inserts has to be able to
-- call it.
CREATE FUNCTION migrate.are_lines(bytes pg_catalog.int4,
		VARIADIC lines pg_catalog.text[])
	RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'migrate_lines';
COMMENT ON FUNCTION migrate.are_lines(pg_catalog.int4, pg_catalog.text[]) IS
	'whether each text is null, or one line of at most so many bytes without control or invisible characters';
