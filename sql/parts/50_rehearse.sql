-- ---------------------------------------------------------------------------
-- Linting and rehearsing
-- ---------------------------------------------------------------------------

CREATE TYPE migrate.rehearsed_lock AS (
	relation		pg_catalog.text,
	kind			pg_catalog.text,
	mode			pg_catalog.text,
	blocks_reads	pg_catalog.bool,
	blocks_writes	pg_catalog.bool,
	held_before		pg_catalog.bool,
	bytes			pg_catalog.int8,
	estimated_rows	pg_catalog.int8
);
COMMENT ON TYPE migrate.rehearsed_lock IS
	'a lock that a statement took: relation, mode, who waits behind it, whether an earlier migration had it already, size of the relation';

CREATE TYPE migrate.rehearsed_scan AS (
	relation		pg_catalog.text,
	scans			pg_catalog.int8,
	row_count		pg_catalog.int8
);
COMMENT ON TYPE migrate.rehearsed_scan IS
	'a table that a statement read from one end to the other: how often, how many rows in all';

CREATE TYPE migrate.rehearsed_statement AS (
	version			pg_catalog.text,
	name			pg_catalog.text,
	statement		pg_catalog.int4,
	tag				pg_catalog.text,
	execution_ms	pg_catalog.float8,
	message			pg_catalog.text,
	skipped			pg_catalog.text,
	body			pg_catalog.text,
	line			pg_catalog.int4,
	row_count		pg_catalog.int8,
	rewritten		pg_catalog.text[],
	reindexed		pg_catalog.text[],
	created			pg_catalog.text[],
	dropped			pg_catalog.text[],
	truncated		pg_catalog.text[],
	rewritten_bytes	pg_catalog.int8,
	wal_bytes		pg_catalog.int8,
	blocks_read		pg_catalog.int8,
	blocks_dirtied	pg_catalog.int8,
	sqlstate		pg_catalog.text,
	hint			pg_catalog.text,
	detail			pg_catalog.text,
	locks			migrate.rehearsed_lock[],
	scans			migrate.rehearsed_scan[]
);
COMMENT ON TYPE migrate.rehearsed_statement IS
	'a row of rehearse() and rehearse_rollback()';

CREATE FUNCTION migrate.rehearse(target pg_catalog.text DEFAULT NULL,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.rehearsed_statement
	LANGUAGE c VOLATILE ROWS 100 AS 'MODULE_PATHNAME', 'migrate_rehearse';
COMMENT ON FUNCTION migrate.rehearse(pg_catalog.text, pg_catalog.anycompatiblearray, pg_catalog.text) IS
	'run what is pending, roll it back, and say what each statement took and did';

CREATE FUNCTION migrate.rehearse(target pg_catalog.anyelement,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.rehearsed_statement
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_version_type';
COMMENT ON FUNCTION migrate.rehearse(pg_catalog.anyelement, pg_catalog.anycompatiblearray, pg_catalog.text) IS
	'refuses a number or another type where a version is wanted';

-- the type to which any number goes rather than to the one with any type
CREATE FUNCTION migrate.rehearse_rollback(steps pg_catalog.float8 DEFAULT 1,
		target pg_catalog.text DEFAULT NULL,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.rehearsed_statement
	LANGUAGE c VOLATILE ROWS 100 AS 'MODULE_PATHNAME', 'migrate_rehearse_rollback';
COMMENT ON FUNCTION migrate.rehearse_rollback(pg_catalog.float8, pg_catalog.text, pg_catalog.anycompatiblearray, pg_catalog.text) IS
	'the same for the downs of the newest migrations, or of all after a target';

CREATE FUNCTION migrate.rehearse_rollback(steps pg_catalog.text,
		target pg_catalog.text DEFAULT NULL,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.rehearsed_statement
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON FUNCTION migrate.rehearse_rollback(pg_catalog.text, pg_catalog.text, pg_catalog.anycompatiblearray, pg_catalog.text) IS
	'refuses a version where a number is wanted';

CREATE FUNCTION migrate.rehearse_rollback(target pg_catalog.anyelement,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.rehearsed_statement
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_version_type';
COMMENT ON FUNCTION migrate.rehearse_rollback(pg_catalog.anyelement, pg_catalog.anycompatiblearray, pg_catalog.text) IS
	'refuses a number or another type where a version is wanted';

CREATE FUNCTION migrate.rehearse_rollback(steps pg_catalog.float8,
		target pg_catalog.anyelement,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.rehearsed_statement
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_version_type';
COMMENT ON FUNCTION migrate.rehearse_rollback(pg_catalog.float8, pg_catalog.anyelement, pg_catalog.anycompatiblearray, pg_catalog.text) IS
	'refuses a number or another type where a version is wanted';

CREATE TYPE migrate.rehearsed_migration AS (
	version			pg_catalog.text,
	outcome			pg_catalog.text,
	name			pg_catalog.text,
	worst_lock		pg_catalog.text,
	relation		pg_catalog.text,
	held_ms			pg_catalog.float8,
	message			pg_catalog.text,
	blocks_reads	pg_catalog.bool,
	blocks_writes	pg_catalog.bool,
	statements		pg_catalog.int8,
	skipped			pg_catalog.int8,
	execution_ms	pg_catalog.float8,
	bytes			pg_catalog.int8,
	estimated_rows	pg_catalog.int8,
	rewritten_bytes	pg_catalog.int8,
	wal_bytes		pg_catalog.int8
);
COMMENT ON TYPE migrate.rehearsed_migration IS
	'a row of rehearse_summary()';

-- a body in BEGIN ATOMIC could not have an argument of any type
CREATE FUNCTION migrate.rehearse_summary(target pg_catalog.text DEFAULT NULL,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.rehearsed_migration
	LANGUAGE sql VOLATILE ROWS 10 AS $$
		SELECT m.version,
			CASE WHEN m.message IS NOT NULL THEN 'failed'
				WHEN m.not_run THEN 'not run'
				WHEN m.skipped OPERATOR(pg_catalog.>) 0 THEN 'partly'
				ELSE 'ok' END,
			m.name, (m.lock).mode, (m.lock).relation, m.held_ms, m.message,
			(m.lock).blocks_reads, (m.lock).blocks_writes, m.statements,
			m.skipped, m.execution_ms, (m.lock).bytes,
			(m.lock).estimated_rows, m.rewritten_bytes, m.wal_bytes
		FROM (
			SELECT r.version, pg_catalog.min(r.name) AS name,
				pg_catalog.min(r.ordinality) AS first,
				pg_catalog.count(r.tag) FILTER (WHERE r.skipped IS NULL) AS statements,
				pg_catalog.count(r.skipped) AS skipped,
				pg_catalog.sum(r.execution_ms) AS execution_ms,
				(pg_catalog.array_agg(r.lock ORDER BY r.weight DESC, r.is_index,
					(r.lock).bytes DESC NULLS LAST, r.ordinality)
					FILTER (WHERE r.weight IS NOT NULL))[1] AS lock,
				(pg_catalog.array_agg(r.rest_ms ORDER BY r.weight DESC, r.is_index,
					(r.lock).bytes DESC NULLS LAST, r.ordinality)
					FILTER (WHERE r.weight IS NOT NULL))[1] AS held_ms,
				pg_catalog.sum(r.rewritten_bytes)::pg_catalog.int8 AS rewritten_bytes,
				pg_catalog.sum(r.wal_bytes)::pg_catalog.int8 AS wal_bytes,
				pg_catalog.min(r.message) FILTER (WHERE r.skipped IS NULL) AS message,
				pg_catalog.bool_and(r.statement IS NULL AND r.skipped IS NOT NULL) AS not_run
			FROM (
				SELECT s.*, k.lock, k.weight, k.is_index, pg_catalog.sum(s.execution_ms)
					OVER (PARTITION BY s.version ORDER BY s.ordinality DESC) AS rest_ms
				FROM migrate.rehearse(rehearse_summary.target,
					rehearse_summary.versions, rehearse_summary.project)
					WITH ORDINALITY s
				LEFT JOIN LATERAL (
					SELECT u AS lock, pg_catalog.array_position(ARRAY['ACCESS SHARE',
						'ROW SHARE', 'ROW EXCLUSIVE', 'SHARE UPDATE EXCLUSIVE',
						'SHARE', 'SHARE ROW EXCLUSIVE', 'EXCLUSIVE',
						'ACCESS EXCLUSIVE'], u.mode) AS weight,
						u.kind OPERATOR(pg_catalog.=) 'index' AS is_index
					FROM pg_catalog.unnest(s.locks) u
					ORDER BY 2 DESC, 3, u.bytes DESC NULLS LAST, u.relation LIMIT 1
				) k ON (true)
			) r
			GROUP BY r.version
		) m
		ORDER BY m.first;
	$$;
COMMENT ON FUNCTION migrate.rehearse_summary(pg_catalog.text, pg_catalog.anycompatiblearray, pg_catalog.text) IS
	'rehearse, and say for each migration which lock is the worst and how long it is held';

CREATE FUNCTION migrate.rehearse_summary(target pg_catalog.anyelement,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.rehearsed_migration
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_version_type';
COMMENT ON FUNCTION migrate.rehearse_summary(pg_catalog.anyelement, pg_catalog.anycompatiblearray, pg_catalog.text) IS
	'refuses a number or another type where a version is wanted';
