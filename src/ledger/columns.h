/*-------------------------------------------------------------------------
 *
 * columns.h
 *	  The columns of those tables whose rows are read or written by number.
 *
 * A line per column, in the order of sql/parts/10_ledger.sql: the number, from
 * 0, and the name.  Everything else names its columns in SQL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_COLUMNS_H
#define MIG_LEDGER_COLUMNS_H

#include "access/tupdesc.h"

#define MIG_MIGRATION_COLUMNS(COLUMN) \
	COLUMN(M_PROJECT, "project") \
	COLUMN(M_VERSION, "version") \
	COLUMN(M_NAME, "name") \
	COLUMN(M_KIND, "kind") \
	COLUMN(M_UP, "up") \
	COLUMN(M_DOWN, "down") \
	COLUMN(M_VERIFY, "verify") \
	COLUMN(M_REQUIRES, "requires") \
	COLUMN(M_TRANSACTIONAL, "transactional") \
	COLUMN(M_IRREVERSIBLE, "irreversible") \
	COLUMN(M_PATH, "path") \
	COLUMN(M_DOWN_PATH, "down_path") \
	COLUMN(M_VERIFY_PATH, "verify_path") \
	COLUMN(M_UP_LINE, "up_line") \
	COLUMN(M_DOWN_LINE, "down_line") \
	COLUMN(M_VERIFY_LINE, "verify_line") \
	COLUMN(M_SOURCE, "source") \
	COLUMN(M_CHECKSUM, "checksum") \
	COLUMN(M_DOWN_CHECKSUM, "down_checksum") \
	COLUMN(M_ADDED_AT, "added_at") \
	COLUMN(M_ADDED_BY, "added_by") \
	COLUMN(M_UP_AUTHOR, "up_author") \
	COLUMN(M_UP_TRUSTED, "up_trusted") \
	COLUMN(M_DOWN_AUTHOR, "down_author") \
	COLUMN(M_DOWN_TRUSTED, "down_trusted") \
	COLUMN(M_VERIFY_AUTHOR, "verify_author") \
	COLUMN(M_VERIFY_TRUSTED, "verify_trusted") \
	COLUMN(M_HELD_REASON, "held_reason")

#define MIG_APPLIED_COLUMNS(COLUMN) \
	COLUMN(A_PROJECT, "project") \
	COLUMN(A_TARGET, "target") \
	COLUMN(A_VERSION, "version") \
	COLUMN(A_NAME, "name") \
	COLUMN(A_CHECKSUM, "checksum") \
	COLUMN(A_DOWN_CHECKSUM, "down_checksum") \
	COLUMN(A_APPLIED_AT, "applied_at") \
	COLUMN(A_APPLIED_BY, "applied_by") \
	COLUMN(A_ORIGIN, "origin") \
	COLUMN(A_EXECUTION_MS, "execution_ms") \
	COLUMN(A_RUN, "run") \
	COLUMN(A_SEQ, "seq") \
	COLUMN(A_APPLIED_SEQ, "applied_seq")

#define MIG_JOURNAL_COLUMNS(COLUMN) \
	COLUMN(J_RUN, "run") \
	COLUMN(J_SEQ, "seq") \
	COLUMN(J_ACTION, "action") \
	COLUMN(J_PROJECT, "project") \
	COLUMN(J_TARGET, "target") \
	COLUMN(J_VERSION, "version") \
	COLUMN(J_NAME, "name") \
	COLUMN(J_OUTCOME, "outcome") \
	COLUMN(J_STARTED_AT, "started_at") \
	COLUMN(J_EXECUTION_MS, "execution_ms") \
	COLUMN(J_CHECKSUM, "checksum") \
	COLUMN(J_DOWN_CHECKSUM, "down_checksum") \
	COLUMN(J_BODY_HASH, "body_hash") \
	COLUMN(J_VERIFY_HASH, "verify_hash") \
	COLUMN(J_STATEMENTS, "statements") \
	COLUMN(J_BODY, "body") \
	COLUMN(J_STATEMENT, "statement") \
	COLUMN(J_LINE, "line") \
	COLUMN(J_POSITION, "position") \
	COLUMN(J_SQLSTATE, "sqlstate") \
	COLUMN(J_MESSAGE, "message") \
	COLUMN(J_DETAIL, "detail") \
	COLUMN(J_HINT, "hint") \
	COLUMN(J_CONTEXT, "context") \
	COLUMN(J_ROLE, "role") \
	COLUMN(J_SEARCH_PATH, "search_path") \
	COLUMN(J_SESSION_ROLE, "session_role") \
	COLUMN(J_CLIENT_ADDRESS, "client_address") \
	COLUMN(J_APPLICATION, "application") \
	COLUMN(J_BACKEND_PID, "backend_pid") \
	COLUMN(J_XID, "xid") \
	COLUMN(J_WAL_START, "wal_start") \
	COLUMN(J_WAL_END, "wal_end") \
	COLUMN(J_NOTE, "note") \
	COLUMN(J_SERVER_VERSION, "server_version") \
	COLUMN(J_EXTENSION_VERSION, "extension_version")

#define MIG_EXECUTED_TEXT_COLUMNS(COLUMN) \
	COLUMN(X_RUN, "run") \
	COLUMN(X_BODY_HASH, "body_hash") \
	COLUMN(X_TEXT, "text")

#define MIG_RUN_COLUMNS(COLUMN) \
	COLUMN(R_RUN, "run") \
	COLUMN(R_PROJECT, "project") \
	COLUMN(R_ACTION, "action") \
	COLUMN(R_MODE, "mode") \
	COLUMN(R_TARGET, "target") \
	COLUMN(R_VERSIONS, "versions") \
	COLUMN(R_NOTE, "note") \
	COLUMN(R_SETTINGS, "settings") \
	COLUMN(R_ROLE, "role") \
	COLUMN(R_SESSION_ROLE, "session_role") \
	COLUMN(R_BACKEND_PID, "backend_pid") \
	COLUMN(R_BACKEND_START, "backend_start") \
	COLUMN(R_REQUESTED_AT, "requested_at") \
	COLUMN(R_STARTED_AT, "started_at") \
	COLUMN(R_ENDED_AT, "ended_at") \
	COLUMN(R_OUTCOME, "outcome") \
	COLUMN(R_MIGRATIONS, "migrations")

#define MIG_STATEMENT_TIMING_COLUMNS(COLUMN) \
	COLUMN(T_BODY, "body") \
	COLUMN(T_LINE, "line") \
	COLUMN(T_TAG, "tag") \
	COLUMN(T_EXECUTION_MS, "execution_ms") \
	COLUMN(T_ROW_COUNT, "row_count")

#define MIG_COLUMN_NUMBER(number, name) number,
#define MIG_COLUMN_NAME(number, name) name,

typedef enum MigMigrationColumn
{
	MIG_MIGRATION_COLUMNS(MIG_COLUMN_NUMBER)
	M_NCOLUMNS
} MigMigrationColumn;

typedef enum MigAppliedColumn
{
	MIG_APPLIED_COLUMNS(MIG_COLUMN_NUMBER)
	A_NCOLUMNS
} MigAppliedColumn;

typedef enum MigJournalColumn
{
	MIG_JOURNAL_COLUMNS(MIG_COLUMN_NUMBER)
	J_NCOLUMNS
} MigJournalColumn;

typedef enum MigExecutedTextColumn
{
	MIG_EXECUTED_TEXT_COLUMNS(MIG_COLUMN_NUMBER)
	X_NCOLUMNS
} MigExecutedTextColumn;

typedef enum MigRunColumn
{
	MIG_RUN_COLUMNS(MIG_COLUMN_NUMBER)
	R_NCOLUMNS
} MigRunColumn;

typedef enum MigTimingColumn
{
	MIG_STATEMENT_TIMING_COLUMNS(MIG_COLUMN_NUMBER)
	T_NCOLUMNS
} MigTimingColumn;

/*
 * Raise MIG_ERRCODE_EXTENSION unless the table, or the type statement_timing,
 * has exactly these columns: a superuser may have altered it.  To be called
 * before a row of it is read or made by number.
 */
extern void mig_columns_check(const char *table, TupleDesc desc);

#endif							/* MIG_LEDGER_COLUMNS_H */
