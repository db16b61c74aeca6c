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

-- what a plan has to know of, however long it has been applied; src/ledger/entry.c reads it by name
CREATE INDEX migration_special_idx ON migrate.migration (project)
	WHERE kind OPERATOR(pg_catalog.<>) 'versioned'
		OR requires OPERATOR(pg_catalog.<>) '{}'
		OR held_reason IS NOT NULL;

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
	origin			pg_catalog.text COLLATE "C" NOT NULL,
	execution_ms	pg_catalog.float8 NOT NULL,
	run				pg_catalog.int8 NOT NULL,
	seq				pg_catalog.int4 NOT NULL,
	applied_seq		pg_catalog.int8 NOT NULL
		DEFAULT pg_catalog.nextval('migrate.applied_seq'),
	CONSTRAINT applied_pkey PRIMARY KEY (project, target, version),
	CONSTRAINT applied_origin_check
		CHECK (origin OPERATOR(pg_catalog.=) ANY (ARRAY['apply', 'stamp', 'adopt'])),
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
			AND seq OPERATOR(pg_catalog.>) 0
			AND applied_seq OPERATOR(pg_catalog.>) 0
			AND applied_seq OPERATOR(pg_catalog.<=) 281474976710655
			AND execution_ms OPERATOR(pg_catalog.>=) 0
			AND execution_ms OPERATOR(pg_catalog.<) 1e15
			AND pg_catalog.isfinite(applied_at))
);
COMMENT ON TABLE migrate.applied IS
	'the ledger: what is applied now';

CREATE INDEX applied_seq_idx ON migrate.applied (applied_seq);

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
	seq				pg_catalog.int4 NOT NULL,
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
	body_hash		pg_catalog.text COLLATE "C",
	verify_hash		pg_catalog.text COLLATE "C",
	statements		migrate.statement_timing[],
	body			pg_catalog.text COLLATE "C",
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
	CONSTRAINT journal_pkey PRIMARY KEY (run, seq),
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
			AND migrate.are_lines(100, checksum, down_checksum, body_hash,
				verify_hash, server_version, extension_version)
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
			AND seq OPERATOR(pg_catalog.>) 0
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
		CHECK (body OPERATOR(pg_catalog.=) ANY (ARRAY['up', 'down', 'verify'])
			AND statement OPERATOR(pg_catalog.>) 0
			AND line OPERATOR(pg_catalog.>) 0
			AND "position" OPERATOR(pg_catalog.>) 0),
	CONSTRAINT journal_statements_check
		CHECK (pg_catalog.array_ndims(statements) OPERATOR(pg_catalog.=) 1)
);
COMMENT ON TABLE migrate.journal IS
	'every attempt that a backend lived to see end; rows are only ever inserted';

CREATE INDEX journal_failure_idx ON migrate.journal (project, version, run, seq)
	WHERE outcome OPERATOR(pg_catalog.=) 'failure';

CREATE TABLE migrate.executed_text (
	run				pg_catalog.int8 NOT NULL,
	body_hash		pg_catalog.text COLLATE "C" NOT NULL,
	text			pg_catalog.text NOT NULL,
	CONSTRAINT executed_text_pkey PRIMARY KEY (body_hash, run),
	CONSTRAINT executed_text_hash_check
		CHECK (body_hash OPERATOR(pg_catalog.~) '^[0-9a-f]{64}$'
			AND run OPERATOR(pg_catalog.>) 0)
);
COMMENT ON TABLE migrate.executed_text IS
	'the bytes that ran, once per distinct text as far as the run that stored it could see; body_hash is the SHA-256 of exactly these bytes';

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
	body			pg_catalog.text COLLATE "C" NOT NULL,
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
	session_state	pg_catalog.text[],
	CONSTRAINT step_pkey PRIMARY KEY (project, target, version, body, statement),
	CONSTRAINT step_version_check
		CHECK (migrate.are_lines(500, version, project, target)
			AND migrate.are_lines(100, text_hash)),
	CONSTRAINT step_body_check
		CHECK (body OPERATOR(pg_catalog.=) ANY (ARRAY['up', 'down'])),
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
			AND coalesce(pg_catalog.array_ndims(session_state), 1) OPERATOR(pg_catalog.=) 1
			AND pg_catalog.array_position(session_state, NULL) IS NULL),
	CONSTRAINT step_session_check
		CHECK ((settings IS NULL AND session_state IS NULL)
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
	lint			pg_catalog.text COLLATE "C" NOT NULL DEFAULT 'off',
	lint_off		pg_catalog.text[] COLLATE "C" NOT NULL DEFAULT '{}',
	require_down	pg_catalog.bool NOT NULL DEFAULT false,
	edits			pg_catalog.text COLLATE "C" NOT NULL DEFAULT 'ignore comments',
	frozen_reason	pg_catalog.text,
	CONSTRAINT policy_pkey PRIMARY KEY (project),
	CONSTRAINT policy_line_check
		CHECK (migrate.are_lines(500, project)
			AND migrate.are_lines(1001, role)
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
	settled_through	pg_catalog.text COLLATE "C",
	settled_count	pg_catalog.int8,
	settled_seq		pg_catalog.int8,
	settled_highest	pg_catalog.text COLLATE "C",
	unsettled		pg_catalog.text[] COLLATE "C",
	files			pg_catalog.text COLLATE "C",
	CONSTRAINT state_pkey PRIMARY KEY (project, target),
	CONSTRAINT state_applied_check
		CHECK (applied OPERATOR(pg_catalog.>=) 0),
	CONSTRAINT state_settled_check
		CHECK (CASE WHEN settled_through IS NULL
			THEN pg_catalog.num_nonnulls(settled_count, settled_seq,
				settled_highest, unsettled) OPERATOR(pg_catalog.=) 0
			ELSE pg_catalog.num_nulls(settled_count, settled_seq,
				settled_highest, unsettled) OPERATOR(pg_catalog.=) 0 END)
);
COMMENT ON TABLE migrate.state IS
	'whether anything is pending, and what need not be looked at, so that it does not matter how many migrations have been applied';

-- as many as fit into the tag of a lock, see src/plan/run_lock.c; numbers that are in use
-- are left out
CREATE SEQUENCE migrate.run_seq MAXVALUE 281474976710655 CYCLE;
COMMENT ON SEQUENCE migrate.run_seq IS 'numbers the runs';

-- not run, whose rows are about sessions of this server, nor state, which the
-- next run finds out
SELECT pg_catalog.pg_extension_config_dump('migrate.migration', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.applied', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.journal', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.executed_text', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.step', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.policy', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.run_seq', '');
SELECT pg_catalog.pg_extension_config_dump('migrate.applied_seq', '');
