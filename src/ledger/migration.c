/*-------------------------------------------------------------------------
 *
 * migration.c
 *	  Reading the books, and writing migrate.migration, policy and state.
 *
 * Which files name a table of schema migrate is in doc/architecture.md.  All
 * SQL is constant; values are parameters, and sets of rows come in as named
 * tuplestores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "lib/qunique.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/session_settings.h"
#include "base/version_order.h"
#include "ledger/key_lookup.h"
#include "ledger/migration.h"
#include "ledger/state.h"
#include "ledger/tables.h"
#include "source/lenient_scan.h"

static const MigKeyLookup migration_row = {
	"migration", 2, {"project", "version"}, {NULL}
};
static const MigKeyLookup applied_row = {
	"applied", 3, {"project", "target", "version"}, {NULL}
};

/* has those of some kind that a plan cannot do without, see sql/parts */
#define SPECIAL_INDEX "migration_special_idx"

static Datum
list_to_array(List *strings)
{
	char	  **array = palloc(sizeof(char *) * Max(list_length(strings), 1));
	ListCell   *lc;
	int			n = 0;

	foreach(lc, strings)
		array[n++] = lfirst(lc);
	return mig_sql_text_array(array, n);
}

List *
mig_migration_projects(void)
{
	MigSqlScope scope;
	uint64		nrows;
	uint64		row;
	List	   *projects = NIL;

	mig_tables_open(&scope);
	nrows = mig_sql_execute("SELECT project FROM migrate.migration"
							" UNION SELECT project FROM migrate.applied ORDER BY 1",
							0, NULL, NULL, NULL);
	for (row = 0; row < nrows; row++)
		projects = mig_sql_append(&scope, projects,
								  mig_sql_get_text(&scope, row, 1));
	mig_tables_close(&scope);
	return projects;
}

void
mig_migration_tell_empty(const char *project, int elevel)
{
	List	   *projects = mig_migration_projects();

	ereport(elevel,
			(errcode(elevel >= ERROR ? MIG_ERRCODE_PENDING : ERRCODE_WARNING),
			 errmsg("project \"%s\" has no migrations", project),
			 projects != NIL ?
			 errdetail("Projects of this database: %s.",
					   mig_error_name_list(projects)) :
			 errdetail("None are stored or applied in this database."),
			 elevel >= ERROR ?
			 errhint("Load them, or correct the name of the project or the database.  SELECT migrate.check('base') is content with nothing.") :
			 errhint("Load them, or correct the name of the project or the database.")));
}

void
mig_migration_warn_if_empty(const char *project)
{
	MigSqlScope scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(project)};
	bool		empty;

	mig_tables_open(&scope);
	mig_sql_execute("SELECT NOT (EXISTS (SELECT FROM migrate.migration m"
					"  WHERE m.project OPERATOR(pg_catalog.=) $1)"
					" OR EXISTS (SELECT FROM migrate.applied a"
					"  WHERE a.project OPERATOR(pg_catalog.=) $1))",
					1, types, values, NULL);
	empty = mig_sql_get_bool(0, 1);
	mig_tables_close(&scope);
	if (empty)
		mig_migration_tell_empty(project, WARNING);
}

char *
mig_migration_newest_path(const char *project)
{
	MigSqlScope scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(project)};
	char	   *path = NULL;

	mig_tables_open(&scope);
	if (mig_sql_execute("SELECT j.search_path FROM (SELECT a.run, a.seq"
						"  FROM migrate.applied a"
						"  WHERE a.project OPERATOR(pg_catalog.=) $1"
						"  AND a.target OPERATOR(pg_catalog.=) ''"
						"  AND a.origin OPERATOR(pg_catalog.=) 'apply'"
						"  ORDER BY a.applied_seq DESC LIMIT 1) a"
						" JOIN migrate.journal j ON j.run OPERATOR(pg_catalog.=) a.run"
						" AND j.seq OPERATOR(pg_catalog.=) a.seq",
						1, types, values, NULL) > 0)
		path = mig_sql_get_text(&scope, 0, 1);
	mig_tables_close(&scope);
	return path;
}

char *
mig_migration_path_of(const char *project, const char *version)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {CStringGetTextDatum(project),
	CStringGetTextDatum(version)};
	char	   *path = NULL;

	mig_tables_open(&scope);
	if (mig_sql_execute("SELECT j.search_path FROM (SELECT a.run, a.seq"
						"  FROM migrate.applied a"
						"  WHERE a.project OPERATOR(pg_catalog.=) $1"
						"  AND a.target OPERATOR(pg_catalog.=) ''"
						"  AND a.version OPERATOR(pg_catalog.=) $2 OFFSET 0) a"
						" JOIN migrate.journal j ON j.run OPERATOR(pg_catalog.=) a.run"
						" AND j.seq OPERATOR(pg_catalog.=) a.seq",
						2, types, values, NULL) > 0)
		path = mig_sql_get_text(&scope, 0, 1);
	mig_tables_close(&scope);
	return path;
}

MigPolicy *
mig_policy_read(const char *project)
{
	static SPIPlanPtr plan = NULL;
	MigSqlScope scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(project)};
	MigPolicy  *policy = palloc0(sizeof(MigPolicy));

	mig_tables_open(&scope);
	if (mig_sql_kept(&plan,
					 "SELECT role, search_path,"
					 " out_of_order OPERATOR(pg_catalog.=) 'allow',"
					 " protected, require_down, frozen_reason,"
					 " CASE lint WHEN 'warn' THEN 1 WHEN 'error' THEN 2 ELSE 0 END,"
					 " lint_off, edits OPERATOR(pg_catalog.=) 'refuse'"
					 " FROM migrate.policy"
					 " WHERE project OPERATOR(pg_catalog.=) $1",
					 1, types, values, NULL) > 0)
	{
		policy->role = mig_sql_get_text(&scope, 0, 1);
		policy->search_path = mig_sql_get_text(&scope, 0, 2);
		policy->allow_out_of_order = mig_sql_get_bool(0, 3);
		policy->protected = mig_sql_get_bool(0, 4);
		policy->require_down = mig_sql_get_bool(0, 5);
		policy->frozen_reason = mig_sql_get_text(&scope, 0, 6);
		policy->lint = mig_sql_get_int4(0, 7);
		policy->lint_off = mig_sql_get_text_array(&scope, 0, 8,
												  &policy->nlint_off);
		policy->refuse_edits = mig_sql_get_bool(0, 9);
	}
	mig_tables_close(&scope);
	policy->sets_search_path = (policy->search_path != NULL);
	policy->search_path =
		mig_session_settings_search_path(policy->search_path);
	return policy;
}

/* columns of the queries; those from the checksum on are details */
enum EntryColumn
{
	E_VERSION = 1, E_KIND, E_STORED, E_APPLIED, E_UP_CHANGED, E_DOWN_CHANGED,
	E_HELD_REASON, E_RUN, E_SEQ, E_PARTIAL, E_PARTLY_UNDONE,
	E_NAME, E_REQUIRES, E_HAS_DOWN, E_HAS_VERIFY, E_IRREVERSIBLE,
	E_TRANSACTIONAL, E_PATH, E_DOWN_PATH, E_VERIFY_PATH, E_UP_LINE,
	E_DOWN_LINE, E_VERIFY_LINE, E_LENGTH, E_ORIGIN, E_OF_SQITCH, E_EMPTY,
	E_EMPTY_DOWN,
	E_CHECKSUM, E_DOWN_CHECKSUM, E_APPLIED_BY, E_APPLIED_AT,
	E_EXECUTION_MS
};

/* a text that may turn out to have no statement */
#define MAY_BE_EMPTY(text) \
	"pg_catalog.octet_length(" text ") OPERATOR(pg_catalog.<) 8192" \
	" AND " text " OPERATOR(pg_catalog.~*)" \
	"  '^[[:space:]]*($|--|/[*]|;|begin|start)'"

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
	" a.origin, m.source OPERATOR(pg_catalog.=) 'sqitch'," \
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

/*
 * The row of a project, $1, with this version, if there is one.  OFFSET keeps it
 * a look-up by the whole key for each row before it: plans for rows that are
 * thought to be few read all rows of the project again for each, and "version =
 * ANY" may be a filter on all of them.
 */
#define ROW_OF(columns, rows, version) \
	" LEFT JOIN LATERAL (SELECT " columns " FROM " rows \
	"  project OPERATOR(pg_catalog.=) $1" \
	"  AND version OPERATOR(pg_catalog.=) " version " OFFSET 0)"
#define MIGRATION_OF(version) \
	ROW_OF("*", "migrate.migration WHERE", version) " m ON true"
#define APPLIED_OF(version) \
	ROW_OF("*", "migrate.applied WHERE target OPERATOR(pg_catalog.=) '' AND", \
		   version) " a ON true"

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
	MIGRATION_OF("v.version") APPLIED_OF("v.version") \
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
	bool		result = text != NULL && mig_lenient_scan_is_empty(text);

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
	entry->of_sqitch = mig_sql_row_bool(&row, E_OF_SQITCH);
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

void
mig_migration_removed_meanwhile(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("a migration was removed at this moment"),
			 errhint("Make the call again.")));
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
	Datum		values[2] = {CStringGetTextDatum(project), list_to_array(versions)};
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
							ROW_OF("*", "migrate.journal WHERE outcome"
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
mig_migration_entries(const char *project, bool details, int *count)
{
	return read_entries_now(project, NULL, 0, details, count);
}

MigEntry *
mig_migration_entries_named(const char *project, List *versions, bool details,
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
mig_migration_unsettled(const char *project, const MigSettled *settled,
						List **versions)
{
	static const MigKeyLookup step_row = {
		"step", 3, {"project", "target", "version"}, {NULL}
	};
	int			i;

	if (!mig_key_lookup_versions_in(&migration_row, SPECIAL_INDEX, project,
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
mig_migration_entries_of(const char *project, char **versions, int count)
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
mig_migration_entry(const char *project, const char *version)
{
	int			count;
	MigEntry   *entry = read_entries_now(project, unconstify(char **, &version),
										 1, true, &count);

	return count > 0 ? entry : NULL;
}

const char *
mig_migration_texts_part(const MigTexts *texts, MigPart part)
{
	switch (part)
	{
		case MIG_UP:
			return texts->up;
		case MIG_DOWN:
			return texts->does_nothing ? "" : texts->down;
		case MIG_VERIFY:
			return texts->verify;
	}
	return NULL;				/* keep compiler quiet */
}

MigTexts *
mig_migration_texts(const char *project, MigEntry **entries, int count)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2];
	char	  **versions = palloc(sizeof(char *) * Max(count, 1));
	MigTexts   *texts = palloc0(sizeof(MigTexts) * Max(count, 1));
	int			i;
	int			part;

	Assert(count == 0 || entries != NULL);
	for (i = 0; i < count; i++)
		versions[i] = entries[i]->version;
	values[0] = CStringGetTextDatum(project);
	values[1] = mig_sql_text_array(versions, count);

	mig_tables_open(&scope);
	mig_sql_execute("SELECT v.ord::pg_catalog.int4, m.up, m.down, m.verify,"
					" m.checksum, m.down_checksum,"
					" m.up_author, m.up_trusted, m.down_author,"
					" m.down_trusted, m.verify_author, m.verify_trusted,"
					" m.source"
					" FROM pg_catalog.unnest($2) WITH ORDINALITY AS v (version, ord)"
					MIGRATION_OF("v.version"),
					2, types, values, NULL);
	for (i = 0; i < count; i++)
	{
		MigTexts   *text = &texts[mig_sql_get_int4(i, 1) - 1];

		if (mig_sql_get_text(&scope, i, 2) == NULL)
			mig_migration_removed_meanwhile();
		text->up = mig_sql_get_text_not_null(&scope, i, 2);
		text->down = mig_sql_get_text(&scope, i, 3);
		text->verify = mig_sql_get_text(&scope, i, 4);
		text->checksum = mig_sql_get_text_not_null(&scope, i, 5);
		text->down_checksum = mig_sql_get_text(&scope, i, 6);
		text->source = mig_sql_get_text(&scope, i, 13);

		/* of the text that is there now: an empty one has nothing to undo */
		text->does_nothing = text->down == NULL &&
			entries[mig_sql_get_int4(i, 1) - 1]->has_down &&
			mig_lenient_scan_is_empty(text->up);
		for (part = MIG_UP; part <= MIG_VERIFY; part++)
		{
			text->authors[part].name =
				mig_sql_get_text(&scope, i, 7 + 2 * part);
			text->authors[part].trusted = mig_sql_get_bool(i, 8 + 2 * part);
		}
	}
	mig_tables_close(&scope);
	return texts;
}

bool
mig_migration_stranger(const char *project, MigPart part, char **versions,
					   int count, char **version, MigAuthor *author)
{
	MigSqlScope scope;
	Oid			types[3] = {TEXTOID, TEXTARRAYOID, BOOLOID};
	Datum		values[3];
	bool		found;

	values[0] = CStringGetTextDatum(project);
	values[1] = mig_sql_text_array(versions, count);
	values[2] = BoolGetDatum(part == MIG_UP);
	mig_tables_open(&scope);
	found = mig_sql_execute("SELECT m.version,"
							" CASE WHEN NOT $3 THEN m.down_author"
							"  WHEN m.up_trusted THEN m.verify_author"
							"  ELSE m.up_author END"
							" FROM pg_catalog.unnest($2) WITH ORDINALITY AS v (version, ord)"
							MIGRATION_OF("v.version")
							" WHERE CASE WHEN m.version IS NULL THEN false"
							"  WHEN NOT $3"
							"  THEN m.down IS NOT NULL AND NOT m.down_trusted"
							"  WHEN m.up_trusted"
							"  THEN m.verify IS NOT NULL AND NOT m.verify_trusted"
							"  ELSE true END"
							" ORDER BY v.ord LIMIT 1",
							3, types, values, NULL) > 0;
	if (found)
	{
		*version = mig_sql_get_text(&scope, 0, 1);
		author->name = mig_sql_get_text(&scope, 0, 2);
		author->trusted = false;
	}
	mig_tables_close(&scope);
	return found;
}

bool
mig_migration_is_applied(const char *project, const char *version)
{
	const char *key[] = {project, "", version};

	return mig_key_lookup_row(&applied_row, key, NULL, NULL);
}

List *
mig_migration_dependents(const char *project, List *versions)
{
	MigSqlScope scope;
	Oid			types[3] = {TEXTOID, TEXTARRAYOID, TIDARRAYOID};
	Datum		values[3];
	List	   *requirements = NIL;
	List	   *dependents = NIL;
	ListCell   *lc;
	uint64		nrows;
	uint64		i;

	foreach(lc, versions)
		requirements = lappend(requirements,
							   psprintf("%s:%s", project, (char *) lfirst(lc)));
	values[0] = CStringGetTextDatum(project);
	values[1] = list_to_array(requirements);
	mig_tables_open(&scope);
	PushActiveSnapshot(GetTransactionSnapshot());
	values[2] = mig_key_lookup_tids_in(&migration_row, SPECIAL_INDEX);
	PopActiveSnapshot();
	nrows = mig_sql_execute("SELECT m.project, m.version,"
							" pg_catalog.concat(m.project, ':', m.version)"
							" FROM migrate.migration m"
							" WHERE m.ctid OPERATOR(pg_catalog.=) ANY ($3)"
							" AND m.project OPERATOR(pg_catalog.<>) $1"
							" AND m.requires OPERATOR(pg_catalog.&&) $2"
							" ORDER BY 3",
							3, types, values, NULL);
	for (i = 0; i < nrows; i++)
	{
		char	   *other = mig_sql_get_text(&scope, i, 1);
		char	   *version = mig_sql_get_text(&scope, i, 2);

		if (mig_migration_is_applied(other, version))
			dependents = mig_sql_append(&scope, dependents,
										mig_sql_get_text(&scope, i, 3));
	}
	mig_tables_close(&scope);
	return dependents;
}

char *
mig_migration_last_role(const char *project)
{
	MigSqlScope scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(project)};
	char	   *role = NULL;

	mig_tables_open(&scope);
	if (mig_sql_execute("SELECT applied_by FROM migrate.applied"
						" WHERE project OPERATOR(pg_catalog.=) $1"
						" AND target OPERATOR(pg_catalog.=) ''"
						" AND origin OPERATOR(pg_catalog.=) 'apply'"
						" ORDER BY applied_seq DESC LIMIT 1",
						1, types, values, NULL) > 0)
		role = mig_sql_get_text(&scope, 0, 1);
	mig_tables_close(&scope);
	return role;
}


/*
 * Writing migrations
 */

/* columns of the rows that go into migrate.migration */
enum SourceColumn
{
	S_ORD, S_VERSION, S_NAME, S_KIND, S_UP, S_DOWN, S_VERIFY, S_REQUIRES,
	S_TRANSACTIONAL, S_IRREVERSIBLE, S_PATH, S_DOWN_PATH, S_VERIFY_PATH,
	S_UP_LINE, S_DOWN_LINE, S_VERIFY_LINE, S_SOURCE, S_CHECKSUM,
	S_DOWN_CHECKSUM, S_NCOLUMNS
};

static TupleDesc
source_desc(void)
{
	static const struct
	{
		const char *name;
		Oid			type;
	}			columns[S_NCOLUMNS] = {
		{"ord", INT4OID}, {"version", TEXTOID}, {"name", TEXTOID},
		{"kind", TEXTOID}, {"up", TEXTOID}, {"down", TEXTOID},
		{"verify", TEXTOID}, {"requires", TEXTARRAYOID},
		{"transactional", BOOLOID}, {"irreversible", BOOLOID},
		{"path", TEXTOID}, {"down_path", TEXTOID}, {"verify_path", TEXTOID},
		{"up_line", INT4OID}, {"down_line", INT4OID}, {"verify_line", INT4OID},
		{"source", TEXTOID}, {"checksum", TEXTOID}, {"down_checksum", TEXTOID}
	};
	TupleDesc	desc = CreateTemplateTupleDesc(S_NCOLUMNS);
	int			i;

	for (i = 0; i < S_NCOLUMNS; i++)
		TupleDescInitEntry(desc, i + 1, columns[i].name, columns[i].type,
						   -1, columns[i].type == TEXTARRAYOID ? 1 : 0);
	return desc;
}

/*
 * A source as a row of the relation that the statements of load() call
 * incoming.
 */
static void
put_source(Tuplestorestate *rows, TupleDesc desc, int ord,
		   const MigSource *source, const char *checksum,
		   const char *down_checksum)
{
	Datum		values[S_NCOLUMNS];
	bool		nulls[S_NCOLUMNS] = {false};
	int			part;

	values[S_ORD] = Int32GetDatum(ord);
	values[S_VERSION] = CStringGetTextDatum(source->version);
	values[S_NAME] = CStringGetTextDatum(source->name);
	values[S_KIND] = CStringGetTextDatum(source->kind == MIG_REPEATABLE ?
										 "repeatable" : "versioned");
	if (checksum != NULL)
		nulls[S_UP] = nulls[S_DOWN] = true; /* it stands for them */
	else
	{
		values[S_UP] = CStringGetTextDatum(source->up);
		values[S_DOWN] = mig_sql_text_datum(source->down, &nulls[S_DOWN]);
	}
	values[S_VERIFY] = mig_sql_text_datum(source->verify, &nulls[S_VERIFY]);
	values[S_REQUIRES] = list_to_array(source->requires);
	values[S_TRANSACTIONAL] = BoolGetDatum(source->transactional == MIG_TX_ON);
	nulls[S_TRANSACTIONAL] = source->transactional == MIG_TX_RECOGNIZE;
	values[S_IRREVERSIBLE] = BoolGetDatum(source->irreversible);
	values[S_PATH] = mig_sql_text_datum(source->path, &nulls[S_PATH]);
	values[S_DOWN_PATH] = mig_sql_text_datum(source->down_path,
											 &nulls[S_DOWN_PATH]);
	values[S_VERIFY_PATH] = mig_sql_text_datum(source->verify_path,
											   &nulls[S_VERIFY_PATH]);
	for (part = MIG_UP; part <= MIG_VERIFY; part++)
	{
		values[S_UP_LINE + part] = Int32GetDatum(source->lines[part]);
		nulls[S_UP_LINE + part] = source->lines[part] == 0;
	}
	values[S_SOURCE] = mig_sql_text_datum(source->source, &nulls[S_SOURCE]);
	values[S_CHECKSUM] = mig_sql_text_datum(checksum, &nulls[S_CHECKSUM]);
	values[S_DOWN_CHECKSUM] = mig_sql_text_datum(down_checksum,
												 &nulls[S_DOWN_CHECKSUM]);
	tuplestore_putvalues(rows, desc, values, nulls);
}

/*
 * Make the sources readable as "incoming" for the statements of the current
 * scope.  The checksum lists may be NIL where they are not looked at.
 */
static Tuplestorestate *
register_sources(List *sources, List *checksums, List *down_checksums)
{
	TupleDesc	desc = source_desc();
	Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
	MemoryContext row_context =
		AllocSetContextCreate(CurrentMemoryContext, "migrate source row",
							  ALLOCSET_DEFAULT_SIZES);
	EphemeralNamedRelation enr;
	int			i;

	for (i = 0; i < list_length(sources); i++)
	{
		MemoryContext old = MemoryContextSwitchTo(row_context);

		put_source(rows, desc, i, list_nth(sources, i),
				   checksums ? list_nth(checksums, i) : NULL,
				   down_checksums ? list_nth(down_checksums, i) : NULL);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_context);
	}
	enr = palloc0(sizeof(EphemeralNamedRelationData));
	enr->md.name = "incoming";
	enr->md.tupdesc = desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = list_length(sources);
	enr->reldata = rows;
	if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register rows");
	return rows;
}

bool
mig_migration_is_stored(const char *project, const char *version)
{
	const char *key[] = {project, version};

	return mig_key_lookup_row(&migration_row, key, NULL, NULL);
}

/* what the journal may know of a source, and what it knows */
typedef struct Past
{
	bool		asked;			/* whether this very text was applied before */
	char	   *stored;			/* the text in the place of the applied one */
	char	   *down;			/* the down body that the source has not */
	bool		ran;
	bool		stored_failed;
	bool		down_amended;
} Past;

#define SOURCE_RAN 1
#define SOURCE_FAILED 2
#define SOURCE_DOWN_AMENDED 3

/* ask it, with project and versions in values */
static void
read_pasts(Datum *values, List *checksums, Past *pasts)
{
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	uint64		nrows;
	uint64		i;

	nrows = mig_sql_execute("SELECT i.ord, j.what, j.hash FROM incoming i"
							" FULL JOIN (SELECT DISTINCT x.version, x.what,"
							"   CASE x.what WHEN 3 THEN x.down_checksum"
							"    ELSE x.checksum END AS hash"
							"  FROM (SELECT *, CASE WHEN outcome"
							"    OPERATOR(pg_catalog.=) 'failure' THEN 2"
							"    WHEN action OPERATOR(pg_catalog.=) 'apply' THEN 1"
							"    WHEN action OPERATOR(pg_catalog.=) 'amend'"
							"     AND body OPERATOR(pg_catalog.=) 'down' THEN 3"
							"    END AS what FROM migrate.journal) x"
							"  WHERE x.project OPERATOR(pg_catalog.=) $1"
							"  AND x.version OPERATOR(pg_catalog.=) ANY ($2)"
							"  AND x.what IS NOT NULL) j"
							" ON j.version OPERATOR(pg_catalog.=) i.version",
							2, types, values, NULL);
	for (i = 0; i < nrows; i++)
	{
		int			ord = mig_sql_get_int4(i, 1);
		char	   *hash = SPI_getvalue(SPI_tuptable->vals[i],
										SPI_tuptable->tupdesc, 3);
		Past	   *past = &pasts[ord];

		if (hash == NULL)
			continue;
		switch (mig_sql_get_int4(i, 2))
		{
			case SOURCE_RAN:
				past->ran |= past->asked &&
					strcmp(hash, list_nth(checksums, ord)) == 0;
				break;
			case SOURCE_FAILED:
				past->stored_failed |= past->stored != NULL &&
					strcmp(hash, past->stored) == 0;
				break;
			case SOURCE_DOWN_AMENDED:
				past->down_amended |= past->down != NULL &&
					strcmp(hash, past->down) == 0;
				break;
		}
		pfree(hash);
	}
}

/*
 * ran_before is about repeatable migrations whose text is not the stored one.
 * It is false for the text that is still in force if the stored, newer one has
 * failed: that is a way back.
 */
MigComparison *
mig_migration_compare(const char *project, List *sources, List *checksums,
					  List *down_checksums)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2] = {CStringGetTextDatum(project)};
	int			count = list_length(sources);
	MigComparison *result = palloc0(sizeof(MigComparison) * Max(count, 1));
	Past	   *pasts = palloc0(sizeof(Past) * Max(count, 1));
	char	  **versions = palloc(sizeof(char *) * Max(count, 1));
	bool		ask = false;
	uint64		nrows;
	uint64		i;
	Tuplestorestate *rows;
	ListCell   *lc;

	Assert(list_length(sources) == list_length(checksums));
	Assert(list_length(sources) == list_length(down_checksums));
	foreach(lc, sources)
		versions[foreach_current_index(lc)] = ((MigSource *) lfirst(lc))->version;
	values[1] = mig_sql_text_array(versions, count);
	mig_tables_open(&scope);
	rows = register_sources(sources, checksums, down_checksums);
	nrows =
		mig_sql_execute("SELECT i.ord, m.version IS NOT NULL, a.version IS NOT NULL,"
						" m.checksum OPERATOR(pg_catalog.=) i.checksum,"
						" NOT (m.down_checksum IS DISTINCT FROM i.down_checksum),"
						" m.kind OPERATOR(pg_catalog.=) i.kind,"
						" m.kind OPERATOR(pg_catalog.=) i.kind"
						"  AND m.requires OPERATOR(pg_catalog.=) i.requires"
						"  AND m.irreversible OPERATOR(pg_catalog.=) i.irreversible"
						"  AND NOT (m.transactional IS DISTINCT FROM i.transactional),"
						" NOT (m.verify IS DISTINCT FROM i.verify),"
						" m.name OPERATOR(pg_catalog.=) i.name"
						"  AND NOT (m.path IS DISTINCT FROM i.path)"
						"  AND NOT (m.down_path IS DISTINCT FROM i.down_path)"
						"  AND NOT (m.verify_path IS DISTINCT FROM i.verify_path)"
						"  AND NOT (m.up_line IS DISTINCT FROM i.up_line)"
						"  AND NOT (m.down_line IS DISTINCT FROM i.down_line)"
						"  AND NOT (m.verify_line IS DISTINCT FROM i.verify_line)"
						"  AND NOT (m.source IS DISTINCT FROM i.source),"
						" i.kind OPERATOR(pg_catalog.=) 'repeatable'"
						"  AND m.checksum OPERATOR(pg_catalog.<>) i.checksum"
						"  AND m.checksum IS NOT NULL,"
						" CASE WHEN a.checksum OPERATOR(pg_catalog.=) i.checksum"
						"  THEN m.checksum END,"
						" CASE WHEN i.down_checksum IS NULL"
						"  THEN m.down_checksum END"
						" FROM incoming i"
						MIGRATION_OF("i.version") APPLIED_OF("i.version"),
						1, types, values, NULL);
	for (i = 0; i < nrows; i++)
	{
		int			ord = mig_sql_get_int4(i, 1);
		MigComparison *row = &result[ord];

		row->stored = mig_sql_get_bool(i, 2);
		row->applied = mig_sql_get_bool(i, 3);
		row->same_up = mig_sql_get_bool(i, 4);
		row->same_down = mig_sql_get_bool(i, 5);
		row->same_kind = mig_sql_get_bool(i, 6);
		row->same_head = mig_sql_get_bool(i, 7);
		row->same_verify = mig_sql_get_bool(i, 8);
		row->same_place = mig_sql_get_bool(i, 9);
		pasts[ord].asked = mig_sql_get_bool(i, 10);
		pasts[ord].stored = mig_sql_get_text(&scope, i, 11);
		pasts[ord].down = mig_sql_get_text(&scope, i, 12);
		ask |= pasts[ord].asked || pasts[ord].down != NULL;
	}
	if (ask)
		read_pasts(values, checksums, pasts);
	for (i = 0; i < count; i++)
	{
		result[i].ran_before = pasts[i].ran && !pasts[i].stored_failed;
		result[i].amended_down = pasts[i].down_amended;
	}
	tuplestore_end(rows);
	mig_tables_close(&scope);
	return result;
}

/*
 * Run a statement over "incoming" with project and author as $1 and $2; plan is
 * where its plan is kept, or NULL.
 */
static void
write_incoming(SPIPlanPtr *plan, const char *sql, const char *project,
			   List *sources, const char *added_by)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {CStringGetTextDatum(project),
	CStringGetTextDatum(added_by)};
	Tuplestorestate *rows;

	if (sources == NIL)
		return;
	mig_tables_open(&scope);
	rows = register_sources(sources, NIL, NIL);
	if (plan != NULL)
		mig_sql_kept(plan, sql, 2, types, values, NULL);
	else
		mig_sql_execute(sql, 2, types, values, NULL);
	tuplestore_end(rows);
	mig_tables_close(&scope);
}

void
mig_migration_insert(const char *project, List *sources, const char *added_by)
{
	static SPIPlanPtr plan = NULL;

	write_incoming(&plan,
				   "INSERT INTO migrate.migration (project, version, name, kind,"
				   " up, down, verify, requires, transactional, irreversible,"
				   " path, down_path, verify_path, up_line, down_line,"
				   " verify_line, source, added_by)"
				   " SELECT $1, i.version, i.name, i.kind, i.up, i.down,"
				   " i.verify, i.requires, i.transactional, i.irreversible,"
				   " i.path, i.down_path, i.verify_path, i.up_line,"
				   " i.down_line, i.verify_line, i.source, $2"
				   " FROM incoming i ORDER BY i.ord",
				   project, sources, added_by);
}

void
mig_migration_replace(const char *project, List *sources, const char *added_by)
{
	write_incoming(NULL, "UPDATE migrate.migration m SET name = i.name,"
				   " kind = i.kind, up = i.up, down = i.down,"
				   " verify = i.verify, requires = i.requires,"
				   " transactional = i.transactional,"
				   " irreversible = i.irreversible, path = i.path,"
				   " down_path = i.down_path, verify_path = i.verify_path,"
				   " up_line = i.up_line, down_line = i.down_line,"
				   " verify_line = i.verify_line,"
				   " source = i.source, added_by = $2,"
				   " added_at = pg_catalog.clock_timestamp()"
				   " FROM incoming i"
				   ROW_OF("ctid", "migrate.migration WHERE",
						  "i.version") " r ON true"
				   " WHERE m.ctid OPERATOR(pg_catalog.=) r.ctid",
				   project, sources, added_by);
}

void
mig_migration_move(const char *project, List *sources)
{
	write_incoming(NULL, "UPDATE migrate.migration m SET name = i.name,"
				   " path = i.path, down_path = i.down_path,"
				   " verify_path = i.verify_path, up_line = i.up_line,"
				   " down_line = i.down_line, verify_line = i.verify_line,"
				   " source = i.source"
				   " FROM incoming i"
				   ROW_OF("ctid", "migrate.migration WHERE",
						  "i.version") " r ON true"
				   " WHERE m.ctid OPERATOR(pg_catalog.=) r.ctid",
				   project, sources, "");
}

void
mig_migration_delete(const char *project, List *versions)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2] = {CStringGetTextDatum(project),
	list_to_array(versions)};

	mig_tables_open(&scope);
	mig_sql_execute("DELETE FROM migrate.migration"
					" WHERE project OPERATOR(pg_catalog.=) $1"
					" AND version OPERATOR(pg_catalog.=) ANY ($2)",
					2, types, values, NULL);
	mig_tables_close(&scope);
}

void
mig_migration_hold(const char *project, List *versions, const char *reason)
{
	MigSqlScope scope;
	Oid			types[2] = {TIDARRAYOID, TEXTOID};
	Datum		values[2];
	char		nulls[2] = {' ', ' '};
	bool		isnull;
	uint64		changes = mig_state_changes();

	values[0] = mig_key_lookup_tids(&migration_row, project, versions);
	values[1] = mig_sql_text_datum(reason, &isnull);
	if (isnull)
		nulls[1] = 'n';
	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.migration SET held_reason = $2"
					" WHERE ctid OPERATOR(pg_catalog.=) ANY ($1)",
					2, types, values, nulls);
	mig_tables_close(&scope);
	mig_state_explain(changes);
}

void
mig_migration_amend(const char *project, const char *version,
					const MigTexts *texts, const char *added_by)
{
	MigSqlScope scope;
	Oid			types[6] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	const char *strings[6] = {project, version, texts->up, texts->down,
	texts->verify, added_by};
	Datum		values[6];
	char		nulls[6];
	int			i;

	for (i = 0; i < 6; i++)
	{
		bool		isnull;

		values[i] = mig_sql_text_datum(strings[i], &isnull);
		nulls[i] = isnull ? 'n' : ' ';
	}
	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.migration SET up = $3, down = $4, verify = $5,"
					" irreversible = irreversible AND $4 IS NULL, added_by = $6,"
					" added_at = pg_catalog.clock_timestamp()"
					" WHERE project OPERATOR(pg_catalog.=) $1"
					" AND version OPERATOR(pg_catalog.=) $2",
					6, types, values, nulls);
	mig_tables_close(&scope);
}

void
mig_migration_accept(const char *project, const char *version,
					 const char *checksum, const char *down_checksum)
{
	MigSqlScope scope;
	Oid			types[4] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[4];
	char		nulls[4] = {' ', ' ', ' ', ' '};
	bool		isnull;

	Assert(strlen(checksum) == 64);
	values[0] = CStringGetTextDatum(project);
	values[1] = CStringGetTextDatum(version);
	values[2] = CStringGetTextDatum(checksum);
	values[3] = mig_sql_text_datum(down_checksum, &isnull);
	if (isnull)
		nulls[3] = 'n';
	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.applied SET checksum = $3, down_checksum = $4"
					" WHERE project OPERATOR(pg_catalog.=) $1"
					" AND target OPERATOR(pg_catalog.=) ''"
					" AND version OPERATOR(pg_catalog.=) $2",
					4, types, values, nulls);
	mig_tables_close(&scope);
}

void
mig_migration_rename(const char *project, const char *version,
					 const MigSource *source, const char *checksum,
					 const char *down_checksum)
{
	MigSqlScope scope;
	Oid			types[6] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	const char *strings[6] = {project, version, source->version, source->name,
	checksum, down_checksum};
	Datum		values[6];
	char		nulls[6];
	int			i;

	for (i = 0; i < lengthof(strings); i++)
	{
		bool		isnull;

		values[i] = mig_sql_text_datum(strings[i], &isnull);
		nulls[i] = isnull ? 'n' : ' ';
	}
	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.applied SET version = $3, name = $4,"
					" checksum = $5, down_checksum = $6"
					" WHERE project OPERATOR(pg_catalog.=) $1"
					" AND version OPERATOR(pg_catalog.=) $2",
					6, types, values, nulls);
	mig_tables_close(&scope);
}
