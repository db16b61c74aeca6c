/*-------------------------------------------------------------------------
 *
 * entry.c
 *	  Reading MigEntry: what is stored, applied and partly done of a project.
 *
 * A migration and its row of the ledger are read together, with what is known
 * of its steps, and of its last failure if the caller wants details.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/qunique.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/errors.h"
#include "base/version_order.h"
#include "ledger/entry.h"
#include "ledger/key_lookup.h"
#include "ledger/tables.h"
#include "source/conventions.h"
#include "source/trial_parse.h"

static const MigKeyLookup migration_row = {
	"migration", 2, {"project", "version"}, {NULL}
};
static const MigKeyLookup applied_row = {
	"applied", 3, {"project", "target", "version"}, {NULL}
};

/* columns of the queries; those from the checksum on are details */
enum EntryColumn
{
	E_VERSION = 1, E_KIND, E_STORED, E_APPLIED, E_UP_CHANGED, E_DOWN_CHANGED,
	E_HELD_REASON, E_RUN, E_SEQ, E_PARTIAL, E_PARTLY_UNDONE,
	E_NAME, E_REQUIRES, E_HAS_DOWN, E_HAS_VERIFY, E_IRREVERSIBLE,
	E_TRANSACTIONAL, E_PATH, E_DOWN_PATH, E_VERIFY_PATH, E_UP_LINE,
	E_DOWN_LINE, E_VERIFY_LINE, E_LENGTH, E_ORIGIN, E_SOURCE, E_EMPTY,
	E_EMPTY_DOWN,
	E_CHECKSUM, E_DOWN_CHECKSUM, E_APPLIED_BY, E_APPLIED_AT,
	E_EXECUTION_MS
};

/*
 * A text that may turn out to have no statement.  Of E'...' it does not matter
 * what standard_conforming_strings is in the session.
 */
#define MAY_BE_EMPTY(text) \
	"pg_catalog.octet_length(" text ") OPERATOR(pg_catalog.<) 8192" \
	" AND " text " OPERATOR(pg_catalog.~*)" \
	"  E'^[[:space:]]*($|--|/[*]|;|begin|start|commit|end|[\\\\\\\\])'"

#define PLAN_COLUMNS \
	"coalesce(m.version, a.version)," \
	" m.kind OPERATOR(pg_catalog.=) 'repeatable'," \
	" m.version IS NOT NULL, a.version IS NOT NULL," \
	" m.checksum OPERATOR(pg_catalog.<>) a.checksum," \
	" m.version IS NOT NULL AND a.version IS NOT NULL" \
	"  AND m.down_checksum IS DISTINCT FROM a.down_checksum," \
	" m.held_reason, a.run, a.applied_seq," \
	" coalesce(m.version, a.version) OPERATOR(pg_catalog.=) ANY (" \
	"  SELECT s.version FROM migrate.step s" \
	"  WHERE s.project OPERATOR(pg_catalog.=) $1" \
	"  AND s.target OPERATOR(pg_catalog.=) '')," \
	" coalesce(m.version, a.version) OPERATOR(pg_catalog.=) ANY (" \
	"  SELECT s.version FROM migrate.step s" \
	"  WHERE s.project OPERATOR(pg_catalog.=) $1" \
	"  AND s.target OPERATOR(pg_catalog.=) ''" \
	"  AND s.body OPERATOR(pg_catalog.=) 'down')," \
	" coalesce(m.name, a.name), m.requires," \
	" m.down IS NOT NULL, m.verify IS NOT NULL, m.irreversible," \
	" CASE m.transactional WHEN false THEN 1 WHEN true THEN 2 ELSE 0 END," \
	" m.path, m.down_path, m.verify_path, m.up_line, m.down_line," \
	" m.verify_line," \
	" (pg_catalog.octet_length(m.up)::pg_catalog.int8" \
	"  OPERATOR(pg_catalog.+)" \
	"  coalesce(pg_catalog.octet_length(m.down), 0)" \
	"  OPERATOR(pg_catalog.+)" \
	"  coalesce(pg_catalog.octet_length(m.verify), 0))," \
	" a.origin, m.source," \
	" CASE WHEN (m.down IS NULL AND NOT m.irreversible" \
	"   AND m.kind OPERATOR(pg_catalog.=) 'versioned'" \
	"   AND (a.version IS NOT NULL OR m.source IS DISTINCT FROM 'sqitch'" \
	"    AND pg_catalog.cardinality(m.requires) OPERATOR(pg_catalog.>) 0)" \
	"   OR " MAY_BE_EMPTY("m.down") ")" \
	"  AND " MAY_BE_EMPTY("m.up") " THEN m.up END," \
	" CASE WHEN " MAY_BE_EMPTY("m.down") " THEN m.down END"

#define DETAIL_COLUMNS \
	PLAN_COLUMNS ", coalesce(m.checksum, a.checksum)," \
	" m.down_checksum, a.applied_by, a.applied_at, a.execution_ms"

/* all of a project, and those of the versions in $2 */
#define ALL_ENTRIES \
	" FROM (SELECT * FROM migrate.migration" \
	"  WHERE project OPERATOR(pg_catalog.=) $1) m" \
	" FULL JOIN (SELECT * FROM migrate.applied" \
	"  WHERE project OPERATOR(pg_catalog.=) $1" \
	"  AND target OPERATOR(pg_catalog.=) '') a" \
	" ON a.version OPERATOR(pg_catalog.=) m.version"
#define THESE_ENTRIES \
	" FROM pg_catalog.unnest($2) v (version)" \
	MIG_MIGRATION_OF("v.version") MIG_APPLIED_OF("v.version") \
	" WHERE m.version IS NOT NULL OR a.version IS NOT NULL"

/*
 * Like mig_sql_row_text(), but the string of the row before serves again if it
 * is the same: few roles apply many migrations.
 */
static char *
get_repeated_text(MigSqlScope *scope, const MigRow *row, int col, char *before)
{
	char	   *text = mig_sql_row_text(scope, row, col);

	if (text != NULL && before != NULL && strcmp(text, before) == 0)
	{
		pfree(text);
		return before;
	}
	return text;
}

static const MigConvention *
get_convention(MigSqlScope *scope, const MigRow *row)
{
	char	   *source = mig_sql_row_text(scope, row, E_SOURCE);
	const MigConvention *result = mig_convention_of_source(source);

	if (source != NULL)
		pfree(source);
	return result;
}

static void
read_standing(MigSqlScope *scope, const MigRow *row, MigEntry *entry)
{
	entry->version = mig_sql_row_text_not_null(scope, row, E_VERSION);
	entry->kind = mig_sql_row_bool(row, E_KIND) ? MIG_REPEATABLE :
		MIG_VERSIONED;
	entry->stored = mig_sql_row_bool(row, E_STORED);
	entry->applied = mig_sql_row_bool(row, E_APPLIED);
	entry->up_changed = mig_sql_row_bool(row, E_UP_CHANGED);
	entry->down_changed = mig_sql_row_bool(row, E_DOWN_CHANGED);
	entry->held_reason = mig_sql_row_text(scope, row, E_HELD_REASON);
	entry->run = mig_sql_row_int8(row, E_RUN);
	entry->seq = mig_sql_row_int8(row, E_SEQ);
	entry->partial = mig_sql_row_bool(row, E_PARTIAL);
	entry->partial_part = mig_sql_row_bool(row, E_PARTLY_UNDONE) ?
		MIG_DOWN : MIG_UP;
}

static bool
is_empty(MigSqlScope *scope, const MigRow *row, int column)
{
	char	   *text = mig_sql_row_text(scope, row, column);
	bool		result = text != NULL && mig_trial_is_empty(text);

	if (text != NULL)
		pfree(text);
	return result;
}

/*
 * A migration that was applied without a statement has nothing to undo, and can
 * be rolled back without a down body.  Of a pending one, which may have to be
 * filled in yet, that is said only if it joins others; Sqitch's changes all
 * require the one before, so an empty one of these joins nothing.
 */
static void
set_down(MigSqlScope *scope, const MigRow *row, MigEntry *entry)
{
	bool		does_nothing = is_empty(scope, row, E_EMPTY);

	entry->has_down = mig_sql_row_bool(row, E_HAS_DOWN) || does_nothing;
	entry->down_is_empty = !does_nothing &&
		is_empty(scope, row, E_EMPTY_DOWN);
}

static void
check_line(const MigEntry *entry, const char *column, const char *text,
		   int bytes)
{
	if (text != NULL && !mig_is_line(text, bytes))
		mig_sql_refuse_value(entry->stored ? "migration" : "applied", column,
							 mig_printable_line(entry->version,
												MIG_EXCERPT_BYTES));
}

/* a superuser can get past the constraints */
static void
check_lines(const MigEntry *entry)
{
	int			i;

	check_line(entry, "version", entry->version, MIG_VERSION_BYTES);
	check_line(entry, "name", entry->name, MIG_NAME_BYTES);
	check_line(entry, "path", entry->path, MIG_PATH_BYTES);
	check_line(entry, "down_path", entry->down_path, MIG_PATH_BYTES);
	check_line(entry, "verify_path", entry->verify_path, MIG_PATH_BYTES);
	check_line(entry, "held_reason", entry->held_reason, MIG_NOTE_BYTES);
	for (i = 0; i < entry->nrequires; i++)
		check_line(entry, "requires", entry->requires[i], MIG_NAME_BYTES);
}

/* before is the entry that was read before this one, or NULL */
static void
read_entry(MigSqlScope *scope, uint64 number, bool details, MigEntry *entry,
		   const MigEntry *before)
{
	MigRow		row;

	mig_sql_row_read(&row, number);
	read_standing(scope, &row, entry);
	entry->name = mig_sql_row_text_not_null(scope, &row, E_NAME);
	entry->requires = mig_sql_row_text_array(scope, &row, E_REQUIRES,
											 &entry->nrequires);
	set_down(scope, &row, entry);
	entry->has_verify = mig_sql_row_bool(&row, E_HAS_VERIFY);
	entry->irreversible = mig_sql_row_bool(&row, E_IRREVERSIBLE);
	entry->transactional = mig_sql_row_int4(&row, E_TRANSACTIONAL);
	entry->path = mig_sql_row_text(scope, &row, E_PATH);
	entry->down_path = mig_sql_row_text(scope, &row, E_DOWN_PATH);
	entry->verify_path = mig_sql_row_text(scope, &row, E_VERIFY_PATH);
	entry->lines[MIG_UP] = mig_sql_row_int4(&row, E_UP_LINE);
	entry->lines[MIG_DOWN] = mig_sql_row_int4(&row, E_DOWN_LINE);
	entry->lines[MIG_VERIFY] = mig_sql_row_int4(&row, E_VERIFY_LINE);
	entry->length = mig_sql_row_int8(&row, E_LENGTH);
	entry->origin = get_repeated_text(scope, &row, E_ORIGIN,
									  before ? before->origin : NULL);
	entry->convention = get_convention(scope, &row);
	check_lines(entry);
	if (entry->applied && entry->origin == NULL)
		mig_sql_refuse_value("applied", "origin", entry->version);
	if (!details)
		return;
	entry->checksum = mig_sql_row_text_not_null(scope, &row, E_CHECKSUM);
	entry->down_checksum = mig_sql_row_text(scope, &row, E_DOWN_CHECKSUM);
	entry->applied_by = get_repeated_text(scope, &row, E_APPLIED_BY,
										  before ? before->applied_by : NULL);
	if (entry->applied && entry->applied_by == NULL)
		mig_sql_refuse_value("applied", "applied_by", entry->version);
	entry->applied_at = mig_sql_row_timestamptz(&row, E_APPLIED_AT);
	entry->execution_ms = mig_sql_row_float8(&row, E_EXECUTION_MS);
}

/*
 * Reading entries in portions, so that their rows and they themselves are not
 * in memory together.
 */
typedef struct EntryCursor
{
	MigSqlScope scope;
	Portal		portal;
} EntryCursor;

#define ROWS_AT_ONCE 256

/* all versions, or these if versions is not NULL; by the active snapshot */
static void
open_entries(EntryCursor *cursor, const char *sql, const char *project,
			 char **versions, int count)
{
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2] = {CStringGetTextDatum(project)};
	char		nulls[2] = {' ', ' '};

	if (versions != NULL)
		values[1] = mig_sql_text_array(versions, count);
	else
		nulls[1] = 'n';
	mig_tables_open(&cursor->scope);
	cursor->portal = SPI_cursor_open_with_args(NULL, sql, 2, types, values,
											   nulls, true, 0);
}

/* number of rows that the getters of base/sql.h reach now; 0 after the last */
static uint64
fetch_entries(EntryCursor *cursor)
{
	SPI_freetuptable(SPI_tuptable);
	SPI_cursor_fetch(cursor->portal, true, ROWS_AT_ONCE);
	return SPI_processed;
}

static void
close_entries(EntryCursor *cursor)
{
	SPI_cursor_close(cursor->portal);
	mig_tables_close(&cursor->scope);
}

static int
compare_entry_version(const void *key, const void *entry)
{
	return strcmp(key, ((const MigEntry *) entry)->version);
}

static MigEntry *
find_entry(MigSqlScope *scope, uint64 row, MigEntry *entries, int count)
{
	return bsearch(mig_sql_get_text_not_null(scope, row, 1), entries, count,
				   sizeof(MigEntry), compare_entry_version);
}

/*
 * Take the errors away of those that were done since.  failed_runs has the run
 * of the error of each entry.
 */
static void
forget_old_errors(MigSqlScope *scope, const char *project, List *versions,
				  const int64 *failed_runs, MigEntry *entries, int count)
{
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2] = {CStringGetTextDatum(project), mig_sql_text_list(versions)};
	uint64		nrows;
	uint64		i;

	nrows =
		mig_sql_execute("SELECT version, pg_catalog.max(run) FROM migrate.journal"
						" WHERE project OPERATOR(pg_catalog.=) $1"
						" AND version OPERATOR(pg_catalog.=) ANY ($2)"
						" AND outcome OPERATOR(pg_catalog.=) 'success'"
						" AND action OPERATOR(pg_catalog.<>) ALL ("
						"  ARRAY['hold', 'unhold']) GROUP BY version",
						2, types, values, NULL);
	for (i = 0; i < nrows; i++)
	{
		MigEntry   *entry = find_entry(scope, i, entries, count);

		if (entry != NULL &&
			mig_sql_get_int8(i, 2) > failed_runs[entry - entries])
			entry->error = NULL;
	}
}

/*
 * The error of the newest attempt at a text that is not applied, if it failed.
 * The journal is not joined: a plan may then read it again for each row, which
 * depends on statistics that a table may not have.
 */
static void
read_errors(const char *project, char **versions, int nversions,
			MigEntry *entries, int count)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2] = {CStringGetTextDatum(project)};
	char		nulls[2] = {' ', versions ? ' ' : 'n'};
	int64	   *runs = palloc0(sizeof(int64) * Max(count, 1));
	List	   *failed = NIL;
	uint64		nrows;
	uint64		i;

	if (versions != NULL)
		values[1] = mig_sql_text_array(versions, nversions);
	mig_tables_open(&scope);
	nrows = mig_sql_execute(versions == NULL ?
							"SELECT DISTINCT ON (version) version, checksum, run,"
							" coalesce(message, '') FROM migrate.journal"
							" WHERE project OPERATOR(pg_catalog.=) $1"
							" AND outcome OPERATOR(pg_catalog.=) 'failure'"
							" AND version IS NOT NULL"
							" ORDER BY version, run DESC, seq DESC" :
							"SELECT DISTINCT ON (j.version) j.version, j.checksum,"
							" j.run, coalesce(j.message, '')"
							" FROM pg_catalog.unnest($2) v (version)"
							MIG_ROW_OF("*", "migrate.journal WHERE outcome"
									   " OPERATOR(pg_catalog.=) 'failure' AND",
									   "v.version")
							" j ON true WHERE j.version IS NOT NULL"
							" ORDER BY j.version, j.run DESC, j.seq DESC",
							2, types, values, nulls);
	for (i = 0; i < nrows; i++)
	{
		MigEntry   *entry = find_entry(&scope, i, entries, count);
		char	   *checksum = mig_sql_get_text(&scope, i, 2);

		if (entry == NULL || !entry->stored ||
			(entry->applied && !entry->up_changed) ||
			checksum == NULL || strcmp(checksum, entry->checksum) != 0)
			continue;
		runs[entry - entries] = mig_sql_get_int8(i, 3);
		entry->error = mig_sql_get_text(&scope, i, 4);
		failed = mig_sql_append(&scope, failed, entry->version);
	}
	if (failed != NIL)
		forget_old_errors(&scope, project, failed, runs, entries, count);
	mig_tables_close(&scope);
	pfree(runs);
}

/*
 * All migrations of a project, or those of these versions, in bytewise order
 * of versions.  Fetched with a cursor, so that only the entries themselves
 * are in memory.
 */
static MigEntry *
read_entries(const char *project, char **versions, int nversions, bool details,
			 int *count)
{
	EntryCursor cursor;
	MigEntry   *entries;
	Size		room = versions ? Max(nversions, 1) : ROWS_AT_ONCE;
	Size		n = 0;
	uint64		nrows;
	uint64		i;

	open_entries(&cursor, details ?
				 (versions ? "SELECT " DETAIL_COLUMNS THESE_ENTRIES " ORDER BY 1" :
				  "SELECT " DETAIL_COLUMNS ALL_ENTRIES " ORDER BY 1") :
				 (versions ? "SELECT " PLAN_COLUMNS THESE_ENTRIES " ORDER BY 1" :
				  "SELECT " PLAN_COLUMNS ALL_ENTRIES " ORDER BY 1"),
				 project, versions, nversions);
	entries = MemoryContextAlloc(cursor.scope.outer, sizeof(MigEntry) * room);
	while ((nrows = fetch_entries(&cursor)) > 0)
	{
		while (n + nrows > room)
		{
			room *= 2;
			entries = repalloc_huge(entries, sizeof(MigEntry) * room);
		}
		memset(&entries[n], 0, sizeof(MigEntry) * nrows);
		for (i = 0; i < nrows; i++, n++)
			read_entry(&cursor.scope, i, details, &entries[n],
					   n > 0 ? &entries[n - 1] : NULL);
	}
	close_entries(&cursor);
	if (details)
		read_errors(project, versions, nversions, entries, (int) n);
	*count = (int) n;
	return entries;
}

/* by what is committed now */
static MigEntry *
read_entries_now(const char *project, char **versions, int nversions,
				 bool details, int *count)
{
	MigEntry   *entries;

	PushActiveSnapshot(GetTransactionSnapshot());
	entries = read_entries(project, versions, nversions, details, count);
	PopActiveSnapshot();
	return entries;
}

MigEntry *
mig_entry_all(const char *project, bool details, int *count)
{
	return read_entries_now(project, NULL, 0, details, count);
}

MigEntry *
mig_entry_named(const char *project, List *versions, bool details,
				int *count)
{
	char	  **array = palloc(sizeof(char *) * Max(list_length(versions), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, versions)
		array[n++] = lfirst(lc);
	qsort(array, n, sizeof(char *), mig_version_compare_bytes);
	n = qunique(array, n, sizeof(char *), mig_version_compare_bytes);
	return read_entries(project, array, n, details, count);
}

bool
mig_entry_unsettled(const char *project, const MigSettled *settled,
					List **versions)
{
	static const MigKeyLookup step_row = {
		"step", 3, {"project", "target", "version"}, {NULL}
	};
	int			i;

	if (!mig_key_lookup_versions_in(&migration_row, MIG_SPECIAL_INDEX, project,
									versions))
		return false;
	*versions = list_concat(*versions,
							mig_key_lookup_versions_after(&migration_row,
														  project,
														  settled->through));
	*versions = list_concat(*versions,
							mig_key_lookup_versions_after(&applied_row,
														  project,
														  settled->through));
	*versions = list_concat(*versions,
							mig_key_lookup_versions_after(&step_row, project,
														  ""));
	for (i = 0; i < settled->nexceptions; i++)
		*versions = lappend(*versions, settled->exceptions[i]);
	return true;
}

MigEntry **
mig_entry_in_order(const char *project, char **versions, int count)
{
	int			found;
	MigEntry   *entries = read_entries_now(project, versions, count, false, &found);
	MigEntry  **result = palloc(sizeof(MigEntry *) * count);
	int			i;

	Assert(count == 0 || versions != NULL);
	for (i = 0; i < count; i++)
	{
		result[i] = bsearch(versions[i], entries, found, sizeof(MigEntry),
							compare_entry_version);
		if (result[i] == NULL)
			return NULL;
	}
	return result;
}

MigEntry *
mig_entry_read(const char *project, const char *version)
{
	int			count;
	MigEntry   *entry = read_entries_now(project, unconstify(char **, &version),
										 1, true, &count);

	return count > 0 ? entry : NULL;
}
