-- ---------------------------------------------------------------------------
-- Running
-- ---------------------------------------------------------------------------

CREATE TYPE migrate.run_result AS (
	run				pg_catalog.int8,
	version			pg_catalog.text,
	name			pg_catalog.text,
	action			pg_catalog.text,
	statements		pg_catalog.int4,
	execution_ms	pg_catalog.float8,
	error			pg_catalog.jsonb
);
COMMENT ON TYPE migrate.run_result IS
	'a row of apply() and of the functions that roll back';

CREATE FUNCTION migrate.apply(target pg_catalog.text DEFAULT NULL,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.run_result
	LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_apply';
COMMENT ON FUNCTION migrate.apply(pg_catalog.text, pg_catalog.anycompatiblearray, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'apply what is pending in one transaction, all or nothing';

CREATE FUNCTION migrate.apply(target pg_catalog.anyelement,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.run_result
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_version_type';
COMMENT ON FUNCTION migrate.apply(pg_catalog.anyelement, pg_catalog.anycompatiblearray, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'refuses a number or another type where a version is wanted';

CREATE FUNCTION migrate.rollback(steps pg_catalog.int8 DEFAULT 1,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		hold pg_catalog.bool DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.run_result
	LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_rollback';
COMMENT ON FUNCTION migrate.rollback(pg_catalog.int8, pg_catalog.anycompatiblearray, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'undo the newest migrations in one transaction';

CREATE FUNCTION migrate.rollback(steps pg_catalog.text,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		hold pg_catalog.bool DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.run_result
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON FUNCTION migrate.rollback(pg_catalog.text, pg_catalog.anycompatiblearray, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'refuses a version where a number is wanted';

CREATE FUNCTION migrate.rollback_to(target pg_catalog.anycompatible,
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		hold pg_catalog.bool DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.run_result
	LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_rollback_to';
COMMENT ON FUNCTION migrate.rollback_to(pg_catalog.anycompatible, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'undo everything after the target, which stays applied';

CREATE FUNCTION migrate.rollback_run(run pg_catalog.int8 DEFAULT NULL,
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		hold pg_catalog.bool DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.run_result
	LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_rollback_run';
COMMENT ON FUNCTION migrate.rollback_run(pg_catalog.int8, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'undo what one run applied, by default the last run that applied anything';

CREATE FUNCTION migrate.rollback_run(run pg_catalog.text,
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		hold pg_catalog.bool DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.run_result
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON FUNCTION migrate.rollback_run(pg_catalog.text, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'refuses a version where a number is wanted';

CREATE FUNCTION migrate.redo(steps pg_catalog.int8 DEFAULT 1,
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.run_result
	LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_redo';
COMMENT ON FUNCTION migrate.redo(pg_catalog.int8, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
	'undo the newest migrations and apply the same ones again, in one transaction';

CREATE FUNCTION migrate.redo(steps pg_catalog.text,
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.run_result
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON FUNCTION migrate.redo(pg_catalog.text, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
	'refuses a version where a number is wanted';

CREATE PROCEDURE migrate.apply_each(target pg_catalog.text DEFAULT NULL,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		INOUT run pg_catalog.int8 DEFAULT NULL,
		INOUT applied pg_catalog.int4 DEFAULT NULL,
		INOUT statements pg_catalog.int8 DEFAULT NULL,
		INOUT execution_ms pg_catalog.float8 DEFAULT NULL)
	LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_apply_each';
COMMENT ON PROCEDURE migrate.apply_each(pg_catalog.text, pg_catalog.anycompatiblearray, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int4, pg_catalog.int8, pg_catalog.float8) IS
	'apply what is pending, each migration in a transaction of its own, or in several where its statements need that';

CREATE PROCEDURE migrate.apply_each(target pg_catalog.anyelement,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		INOUT run pg_catalog.int8 DEFAULT NULL,
		INOUT applied pg_catalog.int4 DEFAULT NULL,
		INOUT statements pg_catalog.int8 DEFAULT NULL,
		INOUT execution_ms pg_catalog.float8 DEFAULT NULL)
	LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_refuse_version_type';
COMMENT ON PROCEDURE migrate.apply_each(pg_catalog.anyelement, pg_catalog.anycompatiblearray, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int4, pg_catalog.int8, pg_catalog.float8) IS
	'refuses a number or another type where a version is wanted';

CREATE PROCEDURE migrate.rollback_each(steps pg_catalog.int8 DEFAULT 1,
		target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		note pg_catalog.text DEFAULT NULL,
		hold pg_catalog.bool DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		INOUT run pg_catalog.int8 DEFAULT NULL,
		INOUT rolled_back pg_catalog.int4 DEFAULT NULL,
		INOUT statements pg_catalog.int8 DEFAULT NULL,
		INOUT execution_ms pg_catalog.float8 DEFAULT NULL)
	LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_rollback_each';
COMMENT ON PROCEDURE migrate.rollback_each(pg_catalog.int8, pg_catalog.anycompatible, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int4, pg_catalog.int8, pg_catalog.float8) IS
	'undo the newest migrations, or everything after a target, each in a transaction of its own';

CREATE PROCEDURE migrate.rollback_each(steps pg_catalog.text,
		target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		note pg_catalog.text DEFAULT NULL,
		hold pg_catalog.bool DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		INOUT run pg_catalog.int8 DEFAULT NULL,
		INOUT rolled_back pg_catalog.int4 DEFAULT NULL,
		INOUT statements pg_catalog.int8 DEFAULT NULL,
		INOUT execution_ms pg_catalog.float8 DEFAULT NULL)
	LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON PROCEDURE migrate.rollback_each(pg_catalog.text, pg_catalog.anycompatible, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int4, pg_catalog.int8, pg_catalog.float8) IS
	'refuses a version where a number is wanted';

CREATE FUNCTION migrate.start(target pg_catalog.text DEFAULT NULL,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.int8
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_start';
COMMENT ON FUNCTION migrate.start(pg_catalog.text, pg_catalog.anycompatiblearray, pg_catalog.text, pg_catalog.text) IS
	'have a background worker do what apply_each() does, once the transaction is committed; returns the run';

CREATE FUNCTION migrate.start(target pg_catalog.anyelement,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.int8
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_version_type';
COMMENT ON FUNCTION migrate.start(pg_catalog.anyelement, pg_catalog.anycompatiblearray, pg_catalog.text, pg_catalog.text) IS
	'refuses a number or another type where a version is wanted';

CREATE PROCEDURE migrate.wait(run pg_catalog.int8,
		timeout pg_catalog.interval DEFAULT NULL,
		INOUT outcome pg_catalog.text DEFAULT NULL)
	LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_wait';
COMMENT ON PROCEDURE migrate.wait(pg_catalog.int8, pg_catalog.interval, pg_catalog.text) IS
	'wait until a run has ended, and raise its error if it failed';

CREATE FUNCTION migrate.cancel(run pg_catalog.int8)
	RETURNS pg_catalog.bool
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_cancel';
COMMENT ON FUNCTION migrate.cancel(pg_catalog.int8) IS
	'end a run, in the background or not; false if it has ended already';
