-- sql/migrate.sql: everything CREATE EXTENSION migrate creates
--
-- make copies this file to sql/migrate--<version>.sql.
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


-- ---------------------------------------------------------------------------
-- Tables
-- ---------------------------------------------------------------------------

CREATE TABLE migrate.migration (
	project			pg_catalog.text COLLATE "C" NOT NULL DEFAULT 'default',
	version			pg_catalog.text COLLATE "C" NOT NULL,
	name			pg_catalog.text NOT NULL DEFAULT '',
	kind			pg_catalog.text COLLATE "C" NOT NULL DEFAULT 'versioned',
	up				pg_catalog.text NOT NULL,
	down			pg_catalog.text,
	verify			pg_catalog.text,
	requires		pg_catalog.text[] COLLATE "C" NOT NULL DEFAULT '{}',
	transactional	pg_catalog.bool,
	irreversible	pg_catalog.bool NOT NULL DEFAULT false,
	path			pg_catalog.text,
	down_path		pg_catalog.text,
	verify_path		pg_catalog.text,
	up_line			pg_catalog.int4,
	down_line		pg_catalog.int4,
	verify_line		pg_catalog.int4,
	source			pg_catalog.text,
	checksum		pg_catalog.text COLLATE "C" NOT NULL,
	down_checksum	pg_catalog.text COLLATE "C",
	added_at		pg_catalog.timestamptz NOT NULL,
	added_by		pg_catalog.text NOT NULL,
	up_author		pg_catalog.text,
	up_trusted		pg_catalog.bool NOT NULL,
	down_author		pg_catalog.text,
	down_trusted	pg_catalog.bool NOT NULL,
	verify_author	pg_catalog.text,
	verify_trusted	pg_catalog.bool NOT NULL,
	held_reason		pg_catalog.text,
	CONSTRAINT migration_pkey PRIMARY KEY (project, version),
	CONSTRAINT migration_version_check
		CHECK (version OPERATOR(pg_catalog.<>) ''
			AND project OPERATOR(pg_catalog.<>) ''
			AND migrate.are_lines(500, version, project)),
	CONSTRAINT migration_name_check
		CHECK (migrate.are_lines(1001, name, source, added_by, up_author,
				down_author, verify_author)
			AND migrate.are_lines(4096, path, down_path, verify_path)
			AND migrate.are_lines(10000, held_reason)
			AND migrate.are_lines(1001, VARIADIC requires)
			AND pg_catalog.cardinality(requires) OPERATOR(pg_catalog.<=) 1000
			AND migrate.are_lines(100, checksum, down_checksum)),
	CONSTRAINT migration_reserved_check
		CHECK (version OPERATOR(pg_catalog.<>) ALL (ARRAY['head', 'base'])),
	CONSTRAINT migration_kind_check
		CHECK (kind OPERATOR(pg_catalog.=) ANY (ARRAY['versioned', 'repeatable'])),
	CONSTRAINT migration_requires_check
		CHECK (pg_catalog.array_position(requires, NULL) IS NULL
			AND pg_catalog.cardinality(requires) OPERATOR(pg_catalog.=)
				coalesce(pg_catalog.array_length(requires, 1), 0)),
	CONSTRAINT migration_irreversible_check
		CHECK (NOT (irreversible AND down IS NOT NULL)),
	CONSTRAINT migration_line_check
		CHECK (up_line OPERATOR(pg_catalog.>) 0
			AND down_line OPERATOR(pg_catalog.>) 0
			AND verify_line OPERATOR(pg_catalog.>) 0)
);
COMMENT ON TABLE migrate.migration IS
	'the texts: a row per migration, applied or not';

CREATE SEQUENCE migrate.applied_seq;
COMMENT ON SEQUENCE migrate.applied_seq IS 'the order of application';

CREATE TABLE migrate.applied (
	project			pg_catalog.text COLLATE "C" NOT NULL,
	target			pg_catalog.text COLLATE "C" NOT NULL DEFAULT '',
	version			pg_catalog.text COLLATE "C" NOT NULL,
	name			pg_catalog.text NOT NULL,
	checksum		pg_catalog.text COLLATE "C" NOT NULL,
	down_checksum	pg_catalog.text COLLATE "C",
	applied_at		pg_catalog.timestamptz NOT NULL,
	applied_by		pg_catalog.text NOT NULL,
	how				pg_catalog.text COLLATE "C" NOT NULL,
	execution_ms	pg_catalog.float8 NOT NULL,
	run				pg_catalog.int8 NOT NULL,
	n				pg_catalog.int4 NOT NULL,
	seq				pg_catalog.int8 NOT NULL
		DEFAULT pg_catalog.nextval('migrate.applied_seq'),
	CONSTRAINT applied_pkey PRIMARY KEY (project, target, version),
	CONSTRAINT applied_how_check
		CHECK (how OPERATOR(pg_catalog.=) ANY (ARRAY['apply', 'stamp', 'adopt'])),
	CONSTRAINT applied_version_check
		CHECK (version OPERATOR(pg_catalog.<>) ''
			AND project OPERATOR(pg_catalog.<>) ''
			AND migrate.are_lines(500, version, project, target)),
	CONSTRAINT applied_line_check
		CHECK (migrate.are_lines(1001, name, applied_by)
			AND migrate.are_lines(100, checksum, down_checksum)),
	CONSTRAINT applied_number_check
		CHECK (run OPERATOR(pg_catalog.>) 0
			AND run OPERATOR(pg_catalog.<=) 281474976710655
			AND n OPERATOR(pg_catalog.>) 0
			AND seq OPERATOR(pg_catalog.>) 0
			AND seq OPERATOR(pg_catalog.<=) 281474976710655
			AND execution_ms OPERATOR(pg_catalog.>=) 0
			AND execution_ms OPERATOR(pg_catalog.<) 1e15
			AND pg_catalog.isfinite(applied_at))
);
COMMENT ON TABLE migrate.applied IS
	'the ledger: what is applied now';

CREATE INDEX applied_seq_idx ON migrate.applied (seq);

CREATE TYPE migrate.statement_timing AS (
	body			pg_catalog.text,
	line			pg_catalog.int4,
	tag				pg_catalog.text,
	execution_ms	pg_catalog.float8,
	row_count		pg_catalog.int8
);
COMMENT ON TYPE migrate.statement_timing IS
	'one statement of a body that ran: which body (up, down, verify), line, command tag, milliseconds, rows';

CREATE TABLE migrate.journal (
	run				pg_catalog.int8 NOT NULL,
	n				pg_catalog.int4 NOT NULL,
	action			pg_catalog.text COLLATE "C" NOT NULL,
	project			pg_catalog.text COLLATE "C" NOT NULL,
	target			pg_catalog.text COLLATE "C" NOT NULL DEFAULT '',
	version			pg_catalog.text COLLATE "C",
	name			pg_catalog.text,
	outcome			pg_catalog.text COLLATE "C" NOT NULL,
	started_at		pg_catalog.timestamptz NOT NULL,
	execution_ms	pg_catalog.float8 NOT NULL,
	checksum		pg_catalog.text COLLATE "C",
	down_checksum	pg_catalog.text COLLATE "C",
	body			pg_catalog.text COLLATE "C",
	verify_body		pg_catalog.text COLLATE "C",
	statements		migrate.statement_timing[],
	part			pg_catalog.text COLLATE "C",
	statement		pg_catalog.int4,
	line			pg_catalog.int4,
	"position"		pg_catalog.int4,
	sqlstate		pg_catalog.text COLLATE "C",
	message			pg_catalog.text,
	detail			pg_catalog.text,
	hint			pg_catalog.text,
	context			pg_catalog.text,
	role			pg_catalog.text NOT NULL,
	search_path		pg_catalog.text,
	session_role	pg_catalog.text NOT NULL,
	client_address	pg_catalog.inet,
	application		pg_catalog.text,
	backend_pid		pg_catalog.int4 NOT NULL,
	xid				pg_catalog.xid8,
	wal_start		pg_catalog.pg_lsn,
	wal_end			pg_catalog.pg_lsn,
	note			pg_catalog.text,
	server_version	pg_catalog.text NOT NULL,
	extension_version pg_catalog.text NOT NULL,
	CONSTRAINT journal_pkey PRIMARY KEY (run, n),
	CONSTRAINT journal_outcome_check
		CHECK (outcome OPERATOR(pg_catalog.=) ANY (ARRAY['success', 'failure'])),
	CONSTRAINT journal_version_check
		CHECK (version OPERATOR(pg_catalog.<>) ''
			AND project OPERATOR(pg_catalog.<>) ''
			AND migrate.are_lines(500, version, project, target)
			AND action OPERATOR(pg_catalog.~) '^[a-z_]{1,20}$'),
	CONSTRAINT journal_line_check
		CHECK (migrate.are_lines(1001, name, role, session_role, application)
			AND migrate.are_lines(10000, note, search_path)
			AND migrate.are_lines(100, checksum, down_checksum, body,
				verify_body, server_version, extension_version)
			AND coalesce(pg_catalog.octet_length(message), 0)
				OPERATOR(pg_catalog.<=) 10000
			AND coalesce(pg_catalog.octet_length(detail), 0)
				OPERATOR(pg_catalog.<=) 10000
			AND coalesce(pg_catalog.octet_length(hint), 0)
				OPERATOR(pg_catalog.<=) 10000
			AND coalesce(pg_catalog.octet_length(context), 0)
				OPERATOR(pg_catalog.<=) 10000),
	CONSTRAINT journal_number_check
		CHECK (run OPERATOR(pg_catalog.>) 0
			AND run OPERATOR(pg_catalog.<=) 281474976710655
			AND n OPERATOR(pg_catalog.>) 0
			AND execution_ms OPERATOR(pg_catalog.>=) 0
			AND execution_ms OPERATOR(pg_catalog.<) 1e15
			AND pg_catalog.isfinite(started_at)),
	CONSTRAINT journal_failure_check
		CHECK (CASE WHEN outcome OPERATOR(pg_catalog.=) 'failure'
			THEN message IS NOT NULL AND sqlstate IS NOT NULL
				AND sqlstate OPERATOR(pg_catalog.~) '^[0-9A-Z]{5}$'
				AND sqlstate OPERATOR(pg_catalog.!~) '^00'
			ELSE sqlstate IS NULL END),
	CONSTRAINT journal_place_check
		CHECK (part OPERATOR(pg_catalog.=) ANY (ARRAY['up', 'down', 'verify'])
			AND statement OPERATOR(pg_catalog.>) 0
			AND line OPERATOR(pg_catalog.>) 0
			AND "position" OPERATOR(pg_catalog.>) 0),
	CONSTRAINT journal_statements_check
		CHECK (pg_catalog.array_ndims(statements) OPERATOR(pg_catalog.=) 1)
);
COMMENT ON TABLE migrate.journal IS
	'every attempt that a backend lived to see end; rows are only ever inserted';

CREATE INDEX journal_failure_idx ON migrate.journal (project, version, run, n)
	WHERE outcome OPERATOR(pg_catalog.=) 'failure';

CREATE TABLE migrate.body (
	run				pg_catalog.int8 NOT NULL,
	hash			pg_catalog.text COLLATE "C" NOT NULL,
	text			pg_catalog.text NOT NULL,
	CONSTRAINT body_pkey PRIMARY KEY (hash, run),
	CONSTRAINT body_hash_check
		CHECK (hash OPERATOR(pg_catalog.~) '^[0-9a-f]{64}$'
			AND run OPERATOR(pg_catalog.>) 0)
);
COMMENT ON TABLE migrate.body IS
	'the bytes that ran, once per distinct text as far as the run that stored it could see; hash is the SHA-256 of exactly these bytes';

CREATE TABLE migrate.run (
	run				pg_catalog.int8 NOT NULL,
	project			pg_catalog.text COLLATE "C" NOT NULL,
	action			pg_catalog.text COLLATE "C" NOT NULL,
	mode			pg_catalog.text COLLATE "C" NOT NULL,
	target			pg_catalog.text,
	versions		pg_catalog.text[],
	note			pg_catalog.text,
	settings		pg_catalog.text[],
	role			pg_catalog.text NOT NULL,
	session_role	pg_catalog.text NOT NULL,
	backend_pid		pg_catalog.int4 NOT NULL,
	backend_start	pg_catalog.timestamptz NOT NULL,
	requested_at	pg_catalog.timestamptz NOT NULL,
	started_at		pg_catalog.timestamptz,
	ended_at		pg_catalog.timestamptz,
	outcome			pg_catalog.text COLLATE "C",
	migrations		pg_catalog.int4 NOT NULL DEFAULT 0,
	CONSTRAINT run_pkey PRIMARY KEY (run),
	CONSTRAINT run_mode_check
		CHECK (mode OPERATOR(pg_catalog.=) ANY (ARRAY['call', 'background'])),
	CONSTRAINT run_outcome_check
		CHECK (outcome OPERATOR(pg_catalog.=) ANY (ARRAY['success', 'failure', 'interrupted'])),
	CONSTRAINT run_action_check
		CHECK (action OPERATOR(pg_catalog.=) ANY (ARRAY['apply', 'rollback'])),
	CONSTRAINT run_number_check
		CHECK (run OPERATOR(pg_catalog.>) 0
			AND run OPERATOR(pg_catalog.<=) 281474976710655
			AND backend_pid OPERATOR(pg_catalog.>) 0
			AND migrations OPERATOR(pg_catalog.>=) 0),
	CONSTRAINT run_array_check
		CHECK (coalesce(pg_catalog.array_ndims(versions), 1) OPERATOR(pg_catalog.=) 1
			AND pg_catalog.array_position(versions, NULL) IS NULL
			AND coalesce(pg_catalog.array_ndims(settings), 1) OPERATOR(pg_catalog.=) 1
			AND pg_catalog.array_position(settings, NULL) IS NULL)
);
COMMENT ON TABLE migrate.run IS
	'the runs of apply_each(), rollback_each() and start(); outcome is null while one is waiting or running';

CREATE INDEX run_open_idx ON migrate.run (run) WHERE outcome IS NULL;

CREATE TABLE migrate.step (
	project			pg_catalog.text COLLATE "C" NOT NULL,
	target			pg_catalog.text COLLATE "C" NOT NULL DEFAULT '',
	version			pg_catalog.text COLLATE "C" NOT NULL,
	part			pg_catalog.text COLLATE "C" NOT NULL,
	statement		pg_catalog.int4 NOT NULL,
	last_statement	pg_catalog.int4 NOT NULL,
	text_hash		pg_catalog.text COLLATE "C" NOT NULL,
	token_hash		pg_catalog.text COLLATE "C" NOT NULL,
	run				pg_catalog.int8 NOT NULL,
	started_at		pg_catalog.timestamptz NOT NULL,
	finished_at		pg_catalog.timestamptz,
	execution_ms	pg_catalog.float8,
	statements		migrate.statement_timing[],
	commits			pg_catalog.int4 NOT NULL DEFAULT 0,
	relation		pg_catalog.oid,
	indexes			pg_catalog.oid[],
	definitions		pg_catalog.text[] COLLATE "C",
	role			pg_catalog.text,
	trusted			pg_catalog.bool,
	search_path		pg_catalog.text,
	settings		pg_catalog.text[],
	residue			pg_catalog.text[],
	CONSTRAINT step_pkey PRIMARY KEY (project, target, version, part, statement),
	CONSTRAINT step_version_check
		CHECK (migrate.are_lines(500, version, project, target)
			AND migrate.are_lines(100, text_hash)),
	CONSTRAINT step_part_check
		CHECK (part OPERATOR(pg_catalog.=) ANY (ARRAY['up', 'down'])),
	CONSTRAINT step_statement_check
		CHECK (statement OPERATOR(pg_catalog.>) 0
			AND last_statement OPERATOR(pg_catalog.>=) statement),
	CONSTRAINT step_number_check
		CHECK (run OPERATOR(pg_catalog.>) 0
			AND run OPERATOR(pg_catalog.<=) 281474976710655
			AND commits OPERATOR(pg_catalog.>=) 0
			AND execution_ms OPERATOR(pg_catalog.>=) 0
			AND execution_ms OPERATOR(pg_catalog.<) 1e15),
	CONSTRAINT step_array_check
		CHECK (coalesce(pg_catalog.array_ndims(statements), 1) OPERATOR(pg_catalog.=) 1
			AND coalesce(pg_catalog.array_ndims(indexes), 1) OPERATOR(pg_catalog.=) 1
			AND pg_catalog.array_position(indexes, NULL) IS NULL
			AND coalesce(pg_catalog.array_ndims(definitions), 1) OPERATOR(pg_catalog.=) 1
			AND pg_catalog.array_position(definitions, NULL) IS NULL
			AND coalesce(pg_catalog.array_ndims(settings), 1) OPERATOR(pg_catalog.=) 1
			AND pg_catalog.array_position(settings, NULL) IS NULL
			AND coalesce(pg_catalog.array_ndims(residue), 1) OPERATOR(pg_catalog.=) 1
			AND pg_catalog.array_position(residue, NULL) IS NULL),
	CONSTRAINT step_session_check
		CHECK ((settings IS NULL AND residue IS NULL)
			OR (role IS NOT NULL AND trusted IS NOT NULL
				AND finished_at IS NOT NULL))
);
COMMENT ON TABLE migrate.step IS
	'how far the migrations have come that run in several transactions and are not done: finished statements, and the one that was started';

CREATE TABLE migrate.policy (
	project			pg_catalog.text COLLATE "C" NOT NULL DEFAULT 'default',
	role			pg_catalog.text,
	search_path		pg_catalog.text,
	out_of_order	pg_catalog.text COLLATE "C" NOT NULL DEFAULT 'error',
	protected		pg_catalog.bool NOT NULL DEFAULT false,
	environment		pg_catalog.text,
	lint			pg_catalog.text COLLATE "C" NOT NULL DEFAULT 'off',
	lint_off		pg_catalog.text[] COLLATE "C" NOT NULL DEFAULT '{}',
	require_down	pg_catalog.bool NOT NULL DEFAULT false,
	edits			pg_catalog.text COLLATE "C" NOT NULL DEFAULT 'ignore comments',
	frozen_reason	pg_catalog.text,
	CONSTRAINT policy_pkey PRIMARY KEY (project),
	CONSTRAINT policy_line_check
		CHECK (migrate.are_lines(500, project)
			AND migrate.are_lines(1001, role, environment)
			AND migrate.are_lines(10000, search_path, frozen_reason)
			AND migrate.are_lines(100, VARIADIC lint_off)),
	CONSTRAINT policy_out_of_order_check
		CHECK (out_of_order OPERATOR(pg_catalog.=) ANY (ARRAY['error', 'allow'])),
	CONSTRAINT policy_lint_check
		CHECK (lint OPERATOR(pg_catalog.=) ANY (ARRAY['off', 'warn', 'error'])),
	CONSTRAINT policy_edits_check
		CHECK (edits OPERATOR(pg_catalog.=) ANY (ARRAY['ignore comments', 'refuse'])),
	CONSTRAINT policy_lint_off_check
		CHECK (coalesce(pg_catalog.array_ndims(lint_off), 1) OPERATOR(pg_catalog.=) 1
			AND pg_catalog.array_position(lint_off, NULL) IS NULL)
);
COMMENT ON TABLE migrate.policy IS
	'the rules of a project; a project without a row has the defaults of the columns';

CREATE TABLE migrate.state (
	project			pg_catalog.text COLLATE "C" NOT NULL,
	target			pg_catalog.text COLLATE "C" NOT NULL DEFAULT '',
	complete		pg_catalog.bool NOT NULL,
	applied			pg_catalog.int8 NOT NULL,
	newest			pg_catalog.text COLLATE "C",
	CONSTRAINT state_pkey PRIMARY KEY (project, target),
	CONSTRAINT state_applied_check
		CHECK (applied OPERATOR(pg_catalog.>=) 0)
);
COMMENT ON TABLE migrate.state IS
	'whether anything is pending, so that a run with nothing to do is one look-up';

-- as many as fit into the tag of a lock, see src/plan/run_lock.c; numbers that are in use
-- are left out
CREATE SEQUENCE migrate.run_seq MAXVALUE 281474976710655 CYCLE;
COMMENT ON SEQUENCE migrate.run_seq IS 'numbers the runs';

-- not run, whose rows are about sessions of this server, nor state, which the
-- next run finds out
SELECT pg_catalog.pg_extension_config_dump('migrate.migration', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.applied', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.journal', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.body', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.step', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.policy', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.run_seq', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.applied_seq', '');


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
-- given; and changes of the ledger by hand make migrate.state unsure
CREATE TRIGGER gate_statement
	BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON migrate.applied
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();
CREATE TRIGGER gate_statement
	BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON migrate.journal
	FOR EACH STATEMENT EXECUTE FUNCTION migrate.gate();
CREATE TRIGGER gate_statement
	BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON migrate.body
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

CREATE FUNCTION migrate.add(version pg_catalog.anycompatible, up pg_catalog.text,
		down pg_catalog.text DEFAULT NULL,
		name pg_catalog.text DEFAULT NULL,
		requires pg_catalog.text[] DEFAULT NULL,
		verify pg_catalog.text DEFAULT NULL,
		kind pg_catalog.text DEFAULT 'versioned',
		transactional pg_catalog.bool DEFAULT NULL,
		irreversible pg_catalog.bool DEFAULT false,
		project pg_catalog.text DEFAULT 'default',
		author pg_catalog.text DEFAULT NULL,
		origin pg_catalog.jsonb DEFAULT NULL)
	RETURNS pg_catalog.text
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_add';
COMMENT ON FUNCTION migrate.add(pg_catalog.anycompatible, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text[], pg_catalog.text, pg_catalog.text, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) IS
	'store one migration; the same text again is a no-op';

CREATE FUNCTION migrate.load(files pg_catalog.jsonb,
		convention pg_catalog.text DEFAULT 'auto',
		prune pg_catalog.bool DEFAULT false,
		project pg_catalog.text DEFAULT 'default',
		ignore pg_catalog.text[] DEFAULT NULL,
		subdirectories pg_catalog.bool DEFAULT false,
		partial pg_catalog.bool DEFAULT false,
		accept pg_catalog.bool DEFAULT false,
		OUT version pg_catalog.text, OUT result pg_catalog.text,
		OUT name pg_catalog.text, OUT path pg_catalog.text)
	RETURNS SETOF pg_catalog.record
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
		accept pg_catalog.bool DEFAULT false,
		OUT version pg_catalog.text, OUT result pg_catalog.text,
		OUT name pg_catalog.text, OUT path pg_catalog.text)
	RETURNS SETOF pg_catalog.record
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
		accept pg_catalog.bool DEFAULT false,
		OUT version pg_catalog.text, OUT result pg_catalog.text,
		OUT name pg_catalog.text, OUT path pg_catalog.text)
	RETURNS SETOF pg_catalog.record
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

CREATE FUNCTION migrate.hold(version pg_catalog.anycompatible, reason pg_catalog.text,
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


-- ---------------------------------------------------------------------------
-- Looking
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.help(OUT function pg_catalog.text,
		OUT description pg_catalog.text, OUT arguments pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE sql STABLE ROWS 50
	BEGIN ATOMIC
		SELECT pg_catalog.concat(CASE p.prokind WHEN 'p' THEN 'CALL ' END,
				'migrate.', p.proname, '()'),
			pg_catalog.obj_description(p.oid, 'pg_proc'),
			coalesce((
				SELECT pg_catalog.string_agg(CASE
						WHEN a.n OPERATOR(pg_catalog.>)
							(p.pronargs OPERATOR(pg_catalog.-) p.pronargdefaults)
						THEN pg_catalog.concat('[', a.name, ']') ELSE a.name END,
					', ' ORDER BY a.n)
				FROM ROWS FROM (pg_catalog.unnest(p.proargnames)) WITH ORDINALITY AS a (name, n)
				WHERE a.n OPERATOR(pg_catalog.<=) p.pronargs
					AND coalesce(p.proargmodes[a.n], 'i') OPERATOR(pg_catalog.=) 'i'
			), '')
		FROM pg_catalog.pg_proc p
		WHERE p.pronamespace OPERATOR(pg_catalog.=) (
				SELECT n.oid FROM pg_catalog.pg_namespace n
				WHERE n.nspname OPERATOR(pg_catalog.=) 'migrate')
			AND p.prosrc OPERATOR(pg_catalog.<>)
				ALL (ARRAY['migrate_gate', 'migrate_lines', 'migrate_refuse_text'])
		ORDER BY p.oid;
	END;
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
		OUT execution_ms pg_catalog.float8, OUT how pg_catalog.text,
		OUT kind pg_catalog.text, OUT path pg_catalog.text,
		OUT checksum pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c STABLE ROWS 100 AS 'MODULE_PATHNAME', 'migrate_status';
COMMENT ON FUNCTION migrate.status(pg_catalog.text) IS
	'a row per migration in the order of application';

CREATE FUNCTION migrate.plan(target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		project pg_catalog.text DEFAULT 'default',
		OUT step pg_catalog.int4, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text,
		OUT own_transaction pg_catalog.bool, OUT reason pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c STABLE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_plan';
COMMENT ON FUNCTION migrate.plan(pg_catalog.anycompatible, pg_catalog.text) IS
	'what apply() would do, and why each migration needs a transaction of its own or not';

CREATE FUNCTION migrate.plan_rollback(steps pg_catalog.int4 DEFAULT 1,
		project pg_catalog.text DEFAULT 'default',
		OUT step pg_catalog.int4, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text,
		OUT own_transaction pg_catalog.bool, OUT reason pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c STABLE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_plan_rollback';
COMMENT ON FUNCTION migrate.plan_rollback(pg_catalog.int4, pg_catalog.text) IS
	'what rollback() would do';

CREATE FUNCTION migrate.plan_rollback(steps pg_catalog.text,
		project pg_catalog.text DEFAULT 'default',
		OUT step pg_catalog.int4, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text,
		OUT own_transaction pg_catalog.bool, OUT reason pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON FUNCTION migrate.plan_rollback(pg_catalog.text, pg_catalog.text) IS
	'refuses a version where a number is wanted';

CREATE FUNCTION migrate.lint(target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		versions pg_catalog.text[] DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT version pg_catalog.text, OUT severity pg_catalog.text,
		OUT body pg_catalog.text, OUT line pg_catalog.int4,
		OUT rule pg_catalog.text, OUT message pg_catalog.text,
		OUT relation pg_catalog.text, OUT name pg_catalog.text,
		OUT statement pg_catalog.int4, OUT relation_bytes pg_catalog.int8,
		OUT relation_rows pg_catalog.float8, OUT link pg_catalog.text,
		OUT instead pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c STABLE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_lint';
COMMENT ON FUNCTION migrate.lint(pg_catalog.anycompatible, pg_catalog.text[], pg_catalog.text) IS
	'what is wrong with pending migrations, and how to do it instead; nothing is run';

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

CREATE FUNCTION migrate.script(from_version pg_catalog.anycompatible DEFAULT 'base'::pg_catalog.text,
		to_version pg_catalog.text DEFAULT 'head',
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.text
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'migrate_script';
COMMENT ON FUNCTION migrate.script(pg_catalog.anycompatible, pg_catalog.text, pg_catalog.text) IS
	'SQL for psql that takes a database from one version to another, books included';

CREATE VIEW migrate.failure AS
	SELECT j.run, j.version, j.name, j.action, j.part, j.line, j.sqlstate,
		j.message, j.started_at, j.execution_ms, j.role, j.statement,
		j."position", j.session_role, j.client_address, j.application,
		j.backend_pid, j.n, j.project, j.note, j.hint,
		CASE WHEN pg_catalog.has_column_privilege('migrate.journal', 'detail', 'SELECT')
			THEN j.detail END AS detail,
		CASE WHEN pg_catalog.has_column_privilege('migrate.journal', 'context', 'SELECT')
			THEN j.context END AS context
	FROM migrate.journal j
	WHERE j.outcome OPERATOR(pg_catalog.=) 'failure';
COMMENT ON VIEW migrate.failure IS
	'the failed attempts; detail and context, which may quote data and bodies, only for who may read them in migrate.journal';

CREATE VIEW migrate.statement AS
	SELECT j.run, j.version, s.body, s.statement::pg_catalog.int4 AS statement,
		s.line, s.tag, s.execution_ms, s.row_count, j.n, j.project
	FROM migrate.journal j
		CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(j.statements)) WITH ORDINALITY
			AS s (body, line, tag, execution_ms, row_count, statement);
COMMENT ON VIEW migrate.statement IS
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

CREATE VIEW migrate.history_of_runs AS
	SELECT j.run, j.version, j.name, j.action, j.outcome, j.message, j.started_at,
		j.execution_ms, j.role, j.sqlstate, j.session_role, j.client_address,
		j.application, j.backend_pid, j.n, j.project, j.xid, j.wal_start, j.wal_end,
		j.note
	FROM migrate.journal j;
COMMENT ON VIEW migrate.history_of_runs IS
	'the journal without bodies, DETAIL and context';

CREATE FUNCTION migrate.current(project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.text
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'migrate_current';
COMMENT ON FUNCTION migrate.current(pg_catalog.text) IS
	'the applied migration that comes last in the order, null when there is none';

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
CREATE FUNCTION migrate.history(n pg_catalog.int4 DEFAULT 20,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.history_of_runs
	LANGUAGE sql STABLE ROWS 20
	BEGIN ATOMIC
		SELECT h.* FROM migrate.history_of_runs h
		WHERE h.project OPERATOR(pg_catalog.=) history.project
		ORDER BY h.run DESC, h.n DESC
		LIMIT CASE WHEN migrate.known_project(history.project) IS NOT NULL
			THEN migrate.required(history.n, 'n') END;
	END;
COMMENT ON FUNCTION migrate.history(pg_catalog.int4, pg_catalog.text) IS
	'the newest attempts of a project, newest first';

CREATE FUNCTION migrate.history(n pg_catalog.text,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.history_of_runs
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON FUNCTION migrate.history(pg_catalog.text, pg_catalog.text) IS
	'refuses a version where a number is wanted';

CREATE FUNCTION migrate.failures(n pg_catalog.int4 DEFAULT 20,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.failure
	LANGUAGE sql STABLE ROWS 20
	BEGIN ATOMIC
		SELECT f.* FROM migrate.failure f
		WHERE f.project OPERATOR(pg_catalog.=) failures.project
		ORDER BY f.run DESC, f.n DESC
		LIMIT CASE WHEN migrate.known_project(failures.project) IS NOT NULL
			THEN migrate.required(failures.n, 'n') END;
	END;
COMMENT ON FUNCTION migrate.failures(pg_catalog.int4, pg_catalog.text) IS
	'the newest failed attempts of a project, newest first';

CREATE FUNCTION migrate.failures(n pg_catalog.text,
		project pg_catalog.text DEFAULT 'default')
	RETURNS SETOF migrate.failure
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
	RETURNS SETOF migrate.statement
	LANGUAGE sql STABLE ROWS 100
	BEGIN ATOMIC
		SELECT s.* FROM migrate.statement s
		WHERE s.run OPERATOR(pg_catalog.=) statements.run
		ORDER BY s.n, s.statement
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


-- ---------------------------------------------------------------------------
-- Doing
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.apply(target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		versions pg_catalog.text[] DEFAULT NULL,
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT run pg_catalog.int8, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text,
		OUT statements pg_catalog.int4, OUT execution_ms pg_catalog.float8,
		OUT error pg_catalog.jsonb)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_apply';
COMMENT ON FUNCTION migrate.apply(pg_catalog.anycompatible, pg_catalog.text[], pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'apply what is pending in one transaction, all or nothing';

CREATE FUNCTION migrate.rollback(steps pg_catalog.int4 DEFAULT 1,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		hold pg_catalog.bool DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT run pg_catalog.int8, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text,
		OUT statements pg_catalog.int4, OUT execution_ms pg_catalog.float8,
		OUT error pg_catalog.jsonb)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_rollback';
COMMENT ON FUNCTION migrate.rollback(pg_catalog.int4, pg_catalog.anycompatiblearray, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'undo the newest migrations in one transaction';

CREATE FUNCTION migrate.rollback(steps pg_catalog.text,
		versions pg_catalog.anycompatiblearray DEFAULT NULL::pg_catalog.text[],
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		hold pg_catalog.bool DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT run pg_catalog.int8, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text,
		OUT statements pg_catalog.int4, OUT execution_ms pg_catalog.float8,
		OUT error pg_catalog.jsonb)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON FUNCTION migrate.rollback(pg_catalog.text, pg_catalog.anycompatiblearray, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'refuses a version where a number is wanted';

CREATE FUNCTION migrate.rollback_to(target pg_catalog.anycompatible,
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		hold pg_catalog.bool DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT run pg_catalog.int8, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text,
		OUT statements pg_catalog.int4, OUT execution_ms pg_catalog.float8,
		OUT error pg_catalog.jsonb)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_rollback_to';
COMMENT ON FUNCTION migrate.rollback_to(pg_catalog.anycompatible, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'undo everything after the target, which stays applied';

CREATE FUNCTION migrate.rollback_run(run pg_catalog.int8 DEFAULT NULL,
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		hold pg_catalog.bool DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT run pg_catalog.int8, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text,
		OUT statements pg_catalog.int4, OUT execution_ms pg_catalog.float8,
		OUT error pg_catalog.jsonb)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_rollback_run';
COMMENT ON FUNCTION migrate.rollback_run(pg_catalog.int8, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'undo what one run applied, by default the last run that applied anything';

CREATE FUNCTION migrate.rollback_run(run pg_catalog.text,
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		hold pg_catalog.bool DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT run pg_catalog.int8, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text,
		OUT statements pg_catalog.int4, OUT execution_ms pg_catalog.float8,
		OUT error pg_catalog.jsonb)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON FUNCTION migrate.rollback_run(pg_catalog.text, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text) IS
	'refuses a version where a number is wanted';

CREATE FUNCTION migrate.redo(steps pg_catalog.int4 DEFAULT 1,
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT run pg_catalog.int8, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text,
		OUT statements pg_catalog.int4, OUT execution_ms pg_catalog.float8,
		OUT error pg_catalog.jsonb)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_redo';
COMMENT ON FUNCTION migrate.redo(pg_catalog.int4, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
	'undo the newest migrations and apply the same ones again, in one transaction';

CREATE FUNCTION migrate.redo(steps pg_catalog.text,
		dry_run pg_catalog.bool DEFAULT false,
		raise pg_catalog.bool DEFAULT true,
		note pg_catalog.text DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT run pg_catalog.int8, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text,
		OUT statements pg_catalog.int4, OUT execution_ms pg_catalog.float8,
		OUT error pg_catalog.jsonb)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON FUNCTION migrate.redo(pg_catalog.text, pg_catalog.bool, pg_catalog.bool, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
	'refuses a version where a number is wanted';

CREATE PROCEDURE migrate.apply_each(target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		versions pg_catalog.text[] DEFAULT NULL,
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		INOUT run pg_catalog.int8 DEFAULT NULL,
		INOUT applied pg_catalog.int4 DEFAULT NULL,
		INOUT statements pg_catalog.int8 DEFAULT NULL,
		INOUT execution_ms pg_catalog.float8 DEFAULT NULL)
	LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_apply_each';
COMMENT ON PROCEDURE migrate.apply_each(pg_catalog.anycompatible, pg_catalog.text[], pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int4, pg_catalog.int8, pg_catalog.float8) IS
	'apply what is pending, each migration in a transaction of its own, or in several where its statements need that';

CREATE PROCEDURE migrate.rollback_each(steps pg_catalog.int4 DEFAULT 1,
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
COMMENT ON PROCEDURE migrate.rollback_each(pg_catalog.int4, pg_catalog.anycompatible, pg_catalog.text, pg_catalog.bool, pg_catalog.text, pg_catalog.text, pg_catalog.int8, pg_catalog.int4, pg_catalog.int8, pg_catalog.float8) IS
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

CREATE FUNCTION migrate.start(target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		versions pg_catalog.text[] DEFAULT NULL,
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default')
	RETURNS pg_catalog.int8
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_start';
COMMENT ON FUNCTION migrate.start(pg_catalog.anycompatible, pg_catalog.text[], pg_catalog.text, pg_catalog.text) IS
	'have a background worker do what apply_each() does, once the transaction is committed; returns the run';

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


-- ---------------------------------------------------------------------------
-- Judging
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

CREATE FUNCTION migrate.rehearse(target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		versions pg_catalog.text[] DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT version pg_catalog.text, OUT name pg_catalog.text,
		OUT statement pg_catalog.int4, OUT tag pg_catalog.text,
		OUT execution_ms pg_catalog.float8, OUT message pg_catalog.text,
		OUT skipped pg_catalog.text, OUT body pg_catalog.text,
		OUT line pg_catalog.int4, OUT row_count pg_catalog.int8,
		OUT rewritten pg_catalog.text[], OUT reindexed pg_catalog.text[],
		OUT created pg_catalog.text[], OUT dropped pg_catalog.text[],
		OUT truncated pg_catalog.text[], OUT rewritten_bytes pg_catalog.int8,
		OUT wal_bytes pg_catalog.int8, OUT blocks_read pg_catalog.int8,
		OUT blocks_dirtied pg_catalog.int8, OUT sqlstate pg_catalog.text,
		OUT hint pg_catalog.text, OUT detail pg_catalog.text,
		OUT locks migrate.rehearsed_lock[],
		OUT scans migrate.rehearsed_scan[])
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 100 AS 'MODULE_PATHNAME', 'migrate_rehearse';
COMMENT ON FUNCTION migrate.rehearse(pg_catalog.anycompatible, pg_catalog.text[], pg_catalog.text) IS
	'run what is pending, roll it back, and say what each statement took and did';

CREATE FUNCTION migrate.rehearse_rollback(steps pg_catalog.int4 DEFAULT 1,
		target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		versions pg_catalog.text[] DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT version pg_catalog.text, OUT name pg_catalog.text,
		OUT statement pg_catalog.int4, OUT tag pg_catalog.text,
		OUT execution_ms pg_catalog.float8, OUT message pg_catalog.text,
		OUT skipped pg_catalog.text, OUT body pg_catalog.text,
		OUT line pg_catalog.int4, OUT row_count pg_catalog.int8,
		OUT rewritten pg_catalog.text[], OUT reindexed pg_catalog.text[],
		OUT created pg_catalog.text[], OUT dropped pg_catalog.text[],
		OUT truncated pg_catalog.text[], OUT rewritten_bytes pg_catalog.int8,
		OUT wal_bytes pg_catalog.int8, OUT blocks_read pg_catalog.int8,
		OUT blocks_dirtied pg_catalog.int8, OUT sqlstate pg_catalog.text,
		OUT hint pg_catalog.text, OUT detail pg_catalog.text,
		OUT locks migrate.rehearsed_lock[],
		OUT scans migrate.rehearsed_scan[])
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 100 AS 'MODULE_PATHNAME', 'migrate_rehearse_rollback';
COMMENT ON FUNCTION migrate.rehearse_rollback(pg_catalog.int4, pg_catalog.anycompatible, pg_catalog.text[], pg_catalog.text) IS
	'the same for the downs of the newest migrations, or of all after a target';

CREATE FUNCTION migrate.rehearse_rollback(steps pg_catalog.text,
		target pg_catalog.anycompatible DEFAULT NULL::pg_catalog.text,
		versions pg_catalog.text[] DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT version pg_catalog.text, OUT name pg_catalog.text,
		OUT statement pg_catalog.int4, OUT tag pg_catalog.text,
		OUT execution_ms pg_catalog.float8, OUT message pg_catalog.text,
		OUT skipped pg_catalog.text, OUT body pg_catalog.text,
		OUT line pg_catalog.int4, OUT row_count pg_catalog.int8,
		OUT rewritten pg_catalog.text[], OUT reindexed pg_catalog.text[],
		OUT created pg_catalog.text[], OUT dropped pg_catalog.text[],
		OUT truncated pg_catalog.text[], OUT rewritten_bytes pg_catalog.int8,
		OUT wal_bytes pg_catalog.int8, OUT blocks_read pg_catalog.int8,
		OUT blocks_dirtied pg_catalog.int8, OUT sqlstate pg_catalog.text,
		OUT hint pg_catalog.text, OUT detail pg_catalog.text,
		OUT locks migrate.rehearsed_lock[],
		OUT scans migrate.rehearsed_scan[])
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_refuse_text';
COMMENT ON FUNCTION migrate.rehearse_rollback(pg_catalog.text, pg_catalog.anycompatible, pg_catalog.text[], pg_catalog.text) IS
	'refuses a version where a number is wanted';

CREATE FUNCTION migrate.rehearse_summary(target pg_catalog.text DEFAULT NULL,
		versions pg_catalog.text[] DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT version pg_catalog.text, OUT outcome pg_catalog.text,
		OUT name pg_catalog.text, OUT worst_lock pg_catalog.text,
		OUT relation pg_catalog.text, OUT held_ms pg_catalog.float8,
		OUT message pg_catalog.text, OUT blocks_reads pg_catalog.bool,
		OUT blocks_writes pg_catalog.bool, OUT statements pg_catalog.int8,
		OUT skipped pg_catalog.int8, OUT execution_ms pg_catalog.float8,
		OUT bytes pg_catalog.int8, OUT estimated_rows pg_catalog.int8,
		OUT rewritten_bytes pg_catalog.int8, OUT wal_bytes pg_catalog.int8)
	RETURNS SETOF pg_catalog.record
	LANGUAGE sql VOLATILE ROWS 10
	BEGIN ATOMIC
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
	END;
COMMENT ON FUNCTION migrate.rehearse_summary(pg_catalog.text, pg_catalog.text[], pg_catalog.text) IS
	'rehearse, and say for each migration which lock is the worst and how long it is held';


-- ---------------------------------------------------------------------------
-- Mending
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.stamp(version pg_catalog.anycompatible,
		note pg_catalog.text DEFAULT NULL,
		how pg_catalog.text DEFAULT 'stamp',
		project pg_catalog.text DEFAULT 'default',
		OUT run pg_catalog.int8, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 1 AS 'MODULE_PATHNAME', 'migrate_stamp';
COMMENT ON FUNCTION migrate.stamp(pg_catalog.anycompatible, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
	'record a migration as applied without running it';

CREATE FUNCTION migrate.unstamp(version pg_catalog.anycompatible,
		note pg_catalog.text DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT run pg_catalog.int8, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 1 AS 'MODULE_PATHNAME', 'migrate_unstamp';
COMMENT ON FUNCTION migrate.unstamp(pg_catalog.anycompatible, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
	'record a migration as not applied without running anything';

CREATE FUNCTION migrate.stamp_to(target pg_catalog.anycompatible,
		note pg_catalog.text DEFAULT NULL,
		confirm pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT run pg_catalog.int8, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text)
	RETURNS SETOF pg_catalog.record
	LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'migrate_stamp_to';
COMMENT ON FUNCTION migrate.stamp_to(pg_catalog.anycompatible, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
	'record exactly the migrations up to the target as applied, without running anything';

CREATE FUNCTION migrate.resume(version pg_catalog.anycompatible,
		at pg_catalog.int4 DEFAULT NULL,
		done pg_catalog.int4 DEFAULT NULL,
		note pg_catalog.text DEFAULT NULL,
		project pg_catalog.text DEFAULT 'default',
		OUT run pg_catalog.int8, OUT version pg_catalog.text,
		OUT name pg_catalog.text, OUT action pg_catalog.text)
	RETURNS SETOF pg_catalog.record
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


-- ---------------------------------------------------------------------------
-- Rights
-- ---------------------------------------------------------------------------

CREATE FUNCTION migrate.grant("right" pg_catalog.text, role pg_catalog.text)
	RETURNS pg_catalog.void
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_grant';
COMMENT ON FUNCTION migrate.grant(pg_catalog.text, pg_catalog.text) IS
	'give a role the right to look, run, write or mend';

CREATE FUNCTION migrate.revoke("right" pg_catalog.text, role pg_catalog.text)
	RETURNS pg_catalog.void
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'migrate_revoke';
COMMENT ON FUNCTION migrate.revoke(pg_catalog.text, pg_catalog.text) IS
	'take the right to look, run, write or mend from a role';

-- what PUBLIC has by default, and whatever default privileges of the owner have
-- given to others just now
CREATE FUNCTION migrate.take_back() RETURNS pg_catalog.void
	LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_take_back';
SELECT migrate.take_back();
DROP FUNCTION migrate.take_back();

GRANT USAGE ON SCHEMA migrate TO pg_database_owner WITH GRANT OPTION;
GRANT SELECT, INSERT ON migrate.migration, migrate.applied, migrate.journal,
	migrate.body, migrate.step, migrate.policy
	TO pg_database_owner WITH GRANT OPTION;
GRANT SELECT ON migrate.run, migrate.state TO pg_database_owner WITH GRANT OPTION;
GRANT UPDATE ON migrate.policy TO pg_database_owner WITH GRANT OPTION;
GRANT SELECT ON migrate.failure, migrate.statement, migrate.schema_migrations,
	migrate.history_of_runs TO pg_database_owner WITH GRANT OPTION;
GRANT SELECT, UPDATE ON SEQUENCE migrate.run_seq, migrate.applied_seq TO pg_database_owner WITH GRANT OPTION;
GRANT USAGE ON TYPE migrate.statement_timing, migrate.rehearsed_lock,
	migrate.rehearsed_scan TO pg_database_owner WITH GRANT OPTION;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA migrate TO pg_database_owner WITH GRANT OPTION;
REVOKE ALL ON FUNCTION migrate.gate() FROM pg_database_owner;
