-- ---------------------------------------------------------------------------
-- Status
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.help(OUT function pg_catalog.text,
		OUT privilege pg_catalog.text, OUT description pg_catalog.text,
		OUT arguments pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c STABLE ROWS 50 AS 'MODULE_PATHNAME', 'migrate_help';
COMMENT ON FUNCTION migrate.help() IS
	'list these functions, a line each';

CREATE FUNCTION migrate.version() RETURNS pg_catalog.text
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'migrate_version';
COMMENT ON FUNCTION migrate.version() IS
	'version of the extension''s library';

CREATE FUNCTION migrate.version_key(version pg_catalog.text) RETURNS pg_catalog.bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'migrate_version_key';
COMMENT ON FUNCTION migrate.version_key(pg_catalog.text) IS
	'sort key of the natural order of versions, "9" before "10"';

CREATE FUNCTION migrate.status(project pg_catalog.text DEFAULT 'default',
		OUT version pg_catalog.text, OUT state pg_catalog.text,
		OUT name pg_catalog.text, OUT error pg_catalog.text,
		OUT applied_at pg_catalog.timestamptz, OUT applied_by pg_catalog.text,
		OUT execution_ms pg_catalog.float8, OUT origin pg_catalog.text,
		OUT kind pg_catalog.text, OUT path pg_catalog.text,
		OUT checksum pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c STABLE ROWS 100 AS 'MODULE_PATHNAME', 'migrate_status';
COMMENT ON FUNCTION migrate.status(pg_catalog.text) IS
	'a row per migration in the order of application';

CREATE TYPE migrate.planned_step AS (
	step			pg_catalog.int4,
	version			pg_catalog.text,
	name			pg_catalog.text,
	action			pg_catalog.text,
	own_transaction	pg_catalog.bool,
	reason			pg_catalog.text
);
COMMENT ON TYPE migrate.planned_step IS
	'a row of plan() and plan_rollback()';

CREATE FUNCTION migrate.plan(target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.planned_step
	LANGUAGE c STABLE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_plan';
COMMENT ON FUNCTION migrate.plan(pg_catalog.anycompatible, pg_catalog.text) IS
	'what apply() would do, and why each migration needs a transaction of its own or not';

CREATE FUNCTION migrate.plan_rollback(steps pg_catalog.int8 DEFAULT 1,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.planned_step
	LANGUAGE c STABLE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_plan_rollback';
COMMENT ON FUNCTION migrate.plan_rollback(pg_catalog.int8, pg_catalog.text) IS
	'what rollback() would do';

CREATE FUNCTION migrate.plan_rollback(steps pg_catalog.text,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.planned_step
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON FUNCTION migrate.plan_rollback(pg_catalog.text, pg_catalog.text) IS
	'refuses a version where a number is wanted';

CREATE TYPE migrate.finding AS (
	version			pg_catalog.text,
	severity		pg_catalog.text,
	body			pg_catalog.text,
	line			pg_catalog.int4,
	rule			pg_catalog.text,
	message			pg_catalog.text,
	relation		pg_catalog.text,
	name			pg_catalog.text,
	statement		pg_catalog.int4,
	relation_bytes	pg_catalog.int8,
	relation_rows	pg_catalog.float8,
	link			pg_catalog.text,
	instead			pg_catalog.text
);
COMMENT ON TYPE migrate.finding IS
	'a row of lint()';

CREATE FUNCTION migrate.lint(target pg_catalog.text DEFAULT NULL,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.finding
	LANGUAGE c STABLE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_lint';
COMMENT ON FUNCTION migrate.lint(pg_catalog.text, pg_catalog.anycompatiblearray, pg_catalog.text) IS
	'what is wrong with pending migrations, and how to do it instead; nothing is run';

CREATE FUNCTION migrate.lint(target pg_catalog.anyelement,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.finding
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'migrate_refuse_version_type';
COMMENT ON FUNCTION migrate.lint(pg_catalog.anyelement, pg_catalog.anycompatiblearray, pg_catalog.text) IS
	'refuses a number or another type where a version is wanted';

CREATE FUNCTION migrate.check(target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.void
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'migrate_check';
COMMENT ON FUNCTION migrate.check(pg_catalog.anycompatible, pg_catalog.text) IS
	'raise an error unless everything up to the target is applied and unchanged';

CREATE FUNCTION migrate.heads(project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF pg_catalog.text
	LANGUAGE c STABLE ROWS 1 AS 'MODULE_PATHNAME', 'migrate_heads';
COMMENT ON FUNCTION migrate.heads(pg_catalog.text) IS
	'the migrations that no other one follows';

CREATE FUNCTION migrate.verify(project pg_catalog.text DEFAULT 'default',
		OUT version pg_catalog.text, OUT name pg_catalog.text,
		OUT ok pg_catalog.bool, OUT sqlstate pg_catalog.text,
		OUT message pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 100 AS 'MODULE_PATHNAME', 'migrate_verify';
COMMENT ON FUNCTION migrate.verify(pg_catalog.text) IS
	'run the verify bodies of what is applied and roll each back';

CREATE FUNCTION migrate.script(from_version pg_catalog.anycompatible DEFAULT NULL,
		to_version pg_catalog.anycompatible DEFAULT NULL,
		one_transaction pg_catalog.bool DEFAULT false,
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.text
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'migrate_script';
COMMENT ON FUNCTION migrate.script(pg_catalog.anycompatible, pg_catalog.anycompatible, pg_catalog.bool, pg_catalog.text) IS
	'SQL for psql that takes a database from one version to another, books included';

CREATE VIEW migrate.failures AS
	SELECT j.run, j.version, j.name, j.action, j.body, j.line, j.sqlstate,
		j.message, j.started_at, j.execution_ms, j.role, j.statement,
		j."position", j.session_role, j.client_address, j.application,
		j.backend_pid, j.seq, j.project, j.note, j.hint,
		CASE WHEN pg_catalog.has_column_privilege('migrate.journal', 'detail', 'SELECT')
			THEN j.detail END AS detail,
		CASE WHEN pg_catalog.has_column_privilege('migrate.journal', 'context', 'SELECT')
			THEN j.context END AS context
	FROM migrate.journal j
	WHERE j.outcome OPERATOR(pg_catalog.=) 'failure';
COMMENT ON VIEW migrate.failures IS
	'the failed attempts; detail and context, which may quote data and bodies, only for who may read them in migrate.journal';

CREATE VIEW migrate.statements AS
	SELECT j.run, j.version, s.body, s.statement::pg_catalog.int4 AS statement,
		s.line, s.tag, s.execution_ms, s.row_count, j.seq, j.project
	FROM migrate.journal j
		CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(j.statements)) WITH ORDINALITY
			AS s (body, line, tag, execution_ms, row_count, statement);
COMMENT ON VIEW migrate.statements IS
	'how long each statement took';

CREATE VIEW migrate.schema_migrations AS
	SELECT a.version, a.name, a.applied_at,
		CASE WHEN pg_catalog.has_column_privilege('migrate.applied', 'checksum', 'SELECT')
			THEN a.checksum END AS checksum,
		pg_catalog.round(a.execution_ms)::pg_catalog.int8 AS execution_time_ms,
		true AS success
	FROM migrate.applied a
	WHERE a.project OPERATOR(pg_catalog.=) 'default' AND a.target OPERATOR(pg_catalog.=) '';
COMMENT ON VIEW migrate.schema_migrations IS
	'the ledger of the default project with the columns that home-made runners keep; checksums only for who may read them in migrate.applied';

CREATE VIEW migrate.history AS
	SELECT j.run, j.version, j.name, j.action, j.outcome, j.message, j.started_at,
		j.execution_ms, j.role, j.sqlstate, j.session_role, j.client_address,
		j.application, j.backend_pid, j.seq, j.project, j.xid, j.wal_start, j.wal_end,
		j.note
	FROM migrate.journal j;
COMMENT ON VIEW migrate.history IS
	'the journal without bodies, DETAIL and context';

CREATE FUNCTION migrate.current(project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.text
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'migrate_current';
COMMENT ON FUNCTION migrate.current(pg_catalog.text) IS
	'the applied migration that comes last in the order, null when there is none';

CREATE FUNCTION migrate.has_files(fingerprint pg_catalog.text,
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.bool
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'migrate_has_files';
COMMENT ON FUNCTION migrate.has_files(pg_catalog.text, pg_catalog.text) IS
	'whether files with this fingerprint were loaded last, and everything is applied';

CREATE FUNCTION migrate.required(value pg_catalog.anyelement, argument pg_catalog.text)
	RETURNS pg_catalog.anyelement
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'migrate_required';
COMMENT ON FUNCTION migrate.required(pg_catalog.anyelement, pg_catalog.text) IS
	'refuses a null in an argument of the functions below';

CREATE FUNCTION migrate.known_project(project pg_catalog.text)
	RETURNS pg_catalog.text
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_known_project';
COMMENT ON FUNCTION migrate.known_project(pg_catalog.text) IS
	'the name of a project, with a warning if it has no migrations';

-- a LIMIT is evaluated once, whatever the plan, and so are the checks in it
CREATE FUNCTION migrate.history(max_rows pg_catalog.int4 DEFAULT 20,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.history
	LANGUAGE sql STABLE ROWS 20
	BEGIN ATOMIC
		SELECT h.* FROM migrate.history h
		WHERE h.project OPERATOR(pg_catalog.=) history.project
		ORDER BY h.run DESC, h.seq DESC
		LIMIT CASE WHEN migrate.known_project(history.project) IS NOT NULL
			THEN migrate.required(history.max_rows, 'max_rows') END;
	END;
COMMENT ON FUNCTION migrate.history(pg_catalog.int4, pg_catalog.text) IS
	'the newest attempts of a project, newest first';

CREATE FUNCTION migrate.history(max_rows pg_catalog.text,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.history
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON FUNCTION migrate.history(pg_catalog.text, pg_catalog.text) IS
	'refuses a version where a number is wanted';

CREATE FUNCTION migrate.failures(max_rows pg_catalog.int4 DEFAULT 20,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.failures
	LANGUAGE sql STABLE ROWS 20
	BEGIN ATOMIC
		SELECT f.* FROM migrate.failures f
		WHERE f.project OPERATOR(pg_catalog.=) failures.project
		ORDER BY f.run DESC, f.seq DESC
		LIMIT CASE WHEN migrate.known_project(failures.project) IS NOT NULL
			THEN migrate.required(failures.max_rows, 'max_rows') END;
	END;
COMMENT ON FUNCTION migrate.failures(pg_catalog.int4, pg_catalog.text) IS
	'the newest failed attempts of a project, newest first';

CREATE FUNCTION migrate.failures(max_rows pg_catalog.text,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.failures
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON FUNCTION migrate.failures(pg_catalog.text, pg_catalog.text) IS
	'refuses a version where a number is wanted';

CREATE FUNCTION migrate.outcome(run pg_catalog.int8,
		OUT run pg_catalog.int8, OUT state pg_catalog.text,
		OUT action pg_catalog.text, OUT version pg_catalog.text,
		OUT line pg_catalog.int4, OUT sqlstate pg_catalog.text,
		OUT message pg_catalog.text, OUT migrations pg_catalog.int4,
		OUT started_at pg_catalog.timestamptz,
		OUT ended_at pg_catalog.timestamptz, OUT body pg_catalog.text,
		OUT statement pg_catalog.int4, OUT role pg_catalog.text,
		OUT project pg_catalog.text, OUT hint pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 1 AS 'MODULE_PATHNAME', 'migrate_outcome';
COMMENT ON FUNCTION migrate.outcome(pg_catalog.int8) IS
	'how a run is doing or has ended, at once';

CREATE FUNCTION migrate.progress(OUT run pg_catalog.int8, OUT state pg_catalog.text,
		OUT action pg_catalog.text, OUT version pg_catalog.text,
		OUT "position" pg_catalog.int4, OUT total pg_catalog.int4,
		OUT statement pg_catalog.int4, OUT statements pg_catalog.int4,
		OUT elapsed pg_catalog.interval, OUT waits_for_lock pg_catalog.bool,
		OUT last_ms pg_catalog.float8, OUT pid pg_catalog.int4,
		OUT role pg_catalog.text, OUT client_address pg_catalog.inet,
		OUT started_at pg_catalog.timestamptz, OUT project pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 1 AS 'MODULE_PATHNAME', 'migrate_progress';
COMMENT ON FUNCTION migrate.progress() IS
	'who is running which migration in this database, and since when';

CREATE FUNCTION migrate.statements(run pg_catalog.int8)
	RETURNS SETOF migrate.statements
	LANGUAGE sql STABLE ROWS 100
	BEGIN ATOMIC
		SELECT s.* FROM migrate.statements s
		WHERE s.run OPERATOR(pg_catalog.=) statements.run
		ORDER BY s.seq, s.statement
		LIMIT CASE WHEN migrate.required(statements.run, 'run') IS NULL THEN 0 END;
	END;
COMMENT ON FUNCTION migrate.statements(pg_catalog.int8) IS
	'how long each statement of a run took';

CREATE FUNCTION migrate.report(format pg_catalog.text DEFAULT 'markdown',
		target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		rehearse pg_catalog.bool DEFAULT false,
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.text
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_report';
COMMENT ON FUNCTION migrate.report(pg_catalog.text, pg_catalog.anycompatible, pg_catalog.bool, pg_catalog.text) IS
	'what is applied and what is pending, for people: markdown, html or json';

CREATE FUNCTION migrate.report(format pg_catalog.anyelement,
		target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		rehearse pg_catalog.bool DEFAULT false,
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.text
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_version_type';
COMMENT ON FUNCTION migrate.report(pg_catalog.anyelement, pg_catalog.anycompatible, pg_catalog.bool, pg_catalog.text) IS
	'refuses a number or another type where a format is wanted';
