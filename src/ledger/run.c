/*-------------------------------------------------------------------------
 *
 * run.c
 *	  The runs that take several transactions: rows of migrate.run.
 *
 * The journal learns of a run when it is over.  What commits as it goes needs
 * a place that says that it has begun, so that others can wait for it and
 * cancel it, and that shows when its session was killed before it could say
 * how it ended.  A session is known by process id and start time: after a
 * crash the server gives process ids again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "ledger/columns.h"
#include "ledger/run.h"
#include "ledger/tables.h"

/* SQL: the first number in the journal that is free; others may insert rows */
#define FREE_NUMBER(run) \
	"(SELECT pg_catalog.min(k.n)::pg_catalog.int4 FROM (" \
	"  SELECT 1::pg_catalog.int8 AS n UNION ALL" \
	"  SELECT j.seq::pg_catalog.int8 OPERATOR(pg_catalog.+) 1" \
	"  FROM migrate.journal j WHERE j.run OPERATOR(pg_catalog.=) " run ") k" \
	" WHERE NOT EXISTS (SELECT FROM migrate.journal x" \
	"  WHERE x.run OPERATOR(pg_catalog.=) " run \
	"  AND x.seq OPERATOR(pg_catalog.=) k.n))"

static Datum
list_datum(List *strings, char *null, bool given)
{
	char	  **array = palloc(sizeof(char *) * Max(list_length(strings), 1));
	ListCell   *lc;
	int			n = 0;

	foreach(lc, strings)
		array[n++] = lfirst(lc);
	*null = given ? ' ' : 'n';
	return mig_sql_text_array(array, n);
}

static Datum
text_datum(const char *string, char *null)
{
	bool		isnull;
	Datum		datum = mig_sql_text_datum(string, &isnull);

	*null = isnull ? 'n' : ' ';
	return datum;
}

void
mig_run_insert(const MigRunRow *row)
{
	MigSqlScope scope;
	Oid			types[12] = {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
	TEXTARRAYOID, TEXTOID, TEXTARRAYOID, TEXTOID, TEXTOID, INT4OID, BOOLOID};
	Datum		values[12];
	char		nulls[12];

	Assert(row->run > 0);
	Assert(row->project != NULL && row->action != NULL);
	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(row->run);
	values[1] = CStringGetTextDatum(row->project);
	values[2] = CStringGetTextDatum(row->action);
	values[3] = CStringGetTextDatum(row->background ? "background" : "call");
	values[4] = text_datum(row->target, &nulls[4]);
	values[5] = list_datum(row->versions, &nulls[5], row->restricted);
	values[6] = text_datum(row->note, &nulls[6]);
	values[7] = list_datum(row->settings, &nulls[7], row->settings != NIL);
	values[8] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	values[9] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(),
													  false));
	values[10] = Int32GetDatum(row->backend_pid);
	values[11] = BoolGetDatum(row->background);
	mig_tables_open(&scope);
	mig_sql_execute("INSERT INTO migrate.run (run, project, action, mode, target,"
					" versions, note, settings, role, session_role, backend_pid,"
					" backend_start, requested_at, started_at)"
					" SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
					"  coalesce((SELECT a.backend_start"
					"   FROM pg_catalog.pg_stat_get_activity($11) a"
					"   WHERE NOT $12), '-infinity'),"
					"  pg_catalog.clock_timestamp(),"
					"  CASE WHEN NOT $12 THEN pg_catalog.clock_timestamp() END",
					12, types, values, nulls);
	mig_tables_close(&scope);
}

void
mig_run_set_worker(int64 run, int pid)
{
	MigSqlScope scope;
	Oid			types[2] = {INT8OID, INT4OID};
	Datum		values[2] = {Int64GetDatum(run), Int32GetDatum(pid)};

	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.run SET backend_pid = $2"
					" WHERE run OPERATOR(pg_catalog.=) $1",
					2, types, values, NULL);
	mig_tables_close(&scope);
}

bool
mig_run_is_run_worker(int pid)
{
	MigSqlScope scope;
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(pid)};
	bool		result;

	mig_tables_open(&scope);
	result =
		mig_sql_execute("SELECT FROM pg_catalog.pg_stat_get_activity($1) a"
						" WHERE a.backend_type OPERATOR(pg_catalog.=) 'migrate run'"
						" AND a.usesysid IS NOT NULL",
						1, types, values, NULL) > 0;
	mig_tables_close(&scope);
	return result;
}

bool
mig_run_start(int64 run)
{
	MigSqlScope scope;
	Oid			types[2] = {INT8OID, INT4OID};
	Datum		values[2] = {Int64GetDatum(run), Int32GetDatum(MyProcPid)};
	bool		open;

	mig_tables_open(&scope);
	open = mig_sql_execute("UPDATE migrate.run SET"
						   " started_at = pg_catalog.clock_timestamp(), backend_pid = $2,"
						   " backend_start = (SELECT a.backend_start"
						   "  FROM pg_catalog.pg_stat_get_activity($2) a)"
						   " WHERE run OPERATOR(pg_catalog.=) $1 AND outcome IS NULL",
						   2, types, values, NULL) > 0;
	mig_tables_close(&scope);
	return open;
}

int
mig_run_close(int64 run, bool unstarted)
{
	MigSqlScope scope;
	Oid			types[2] = {INT8OID, BOOLOID};
	Datum		values[2] = {Int64GetDatum(run), BoolGetDatum(unstarted)};
	int			n = 0;

	mig_tables_open(&scope);
	if (mig_sql_execute("UPDATE migrate.run r SET"
						" ended_at = pg_catalog.clock_timestamp(),"
						" outcome = '" MIG_RUN_FAILURE "'"
						" WHERE r.run OPERATOR(pg_catalog.=) $1 AND r.outcome IS NULL"
						" AND (r.started_at IS NULL OR NOT $2)"
						" RETURNING " FREE_NUMBER("r.run"),
						2, types, values, NULL) > 0)
		n = mig_sql_get_int4(0, 1);
	mig_tables_close(&scope);
	return n;
}

void
mig_run_end(int64 run, const char *outcome, int migrations)
{
	MigSqlScope scope;
	Oid			types[3] = {INT8OID, TEXTOID, INT4OID};
	Datum		values[3] = {Int64GetDatum(run), CStringGetTextDatum(outcome),
	Int32GetDatum(migrations)};

	Assert(run > 0);
	Assert(migrations >= 0);
	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.run SET"
					" ended_at = pg_catalog.clock_timestamp(), outcome = $2,"
					" migrations = $3"
					" WHERE run OPERATOR(pg_catalog.=) $1",
					3, types, values, NULL);
	mig_tables_close(&scope);
}

void
mig_run_forget(int64 run)
{
	MigSqlScope scope;
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(run)};

	mig_tables_open(&scope);
	mig_sql_execute("DELETE FROM migrate.run WHERE run OPERATOR(pg_catalog.=) $1",
					1, types, values, NULL);
	mig_tables_close(&scope);
}

static List *
text_list(char **strings, int count)
{
	List	   *list = NIL;
	int			i;

	for (i = 0; i < count; i++)
		list = lappend(list, strings[i]);
	return list;
}

/* result columns as in mig_run_read() */
static MigRunRow *
read_row(MigSqlScope *scope)
{
	MemoryContext old = MemoryContextSwitchTo(scope->outer);
	MigRunRow  *row = palloc0(sizeof(MigRunRow));
	char	  **strings;
	int			count;
	bool		isnull;

	row->project = mig_sql_get_text_not_null(scope, 0, 1);
	row->action = mig_sql_get_text_not_null(scope, 0, 2);
	row->background = mig_sql_get_bool(0, 3);
	row->target = mig_sql_get_text(scope, 0, 4);
	strings = mig_sql_get_text_array(scope, 0, 5, &count);
	row->versions = text_list(strings, count);
	row->note = mig_sql_get_text(scope, 0, 6);
	strings = mig_sql_get_text_array(scope, 0, 7, &count);
	row->settings = text_list(strings, count);
	row->role = mig_sql_get_text_not_null(scope, 0, 8);
	row->backend_pid = mig_sql_get_int4(0, 9);
	row->backend_start = mig_sql_get_timestamptz(0, 10);
	row->started = mig_sql_get_bool(0, 11);
	row->outcome = mig_sql_get_text(scope, 0, 12);
	row->migrations = mig_sql_get_int4(0, 13);
	row->alive = mig_sql_get_bool(0, 14);
	row->restricted = mig_sql_get_bool(0, 15);
	row->xmin = DatumGetTransactionId(SPI_getbinval(SPI_tuptable->vals[0],
													SPI_tuptable->tupdesc, 16,
													&isnull));
	MemoryContextSwitchTo(old);
	return row;
}

MigRunRow *
mig_run_read(int64 run)
{
	MigSqlScope scope;
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(run)};
	MigRunRow  *row = NULL;

	mig_tables_open(&scope);
	if (mig_sql_execute("SELECT r.project, r.action,"
						" r.mode OPERATOR(pg_catalog.=) 'background', r.target,"
						" r.versions, r.note, r.settings, r.role, r.backend_pid,"
						" r.backend_start, r.started_at IS NOT NULL, r.outcome,"
						" r.migrations, pg_catalog.pg_is_in_recovery()"
						"  OR (" MIG_RUN_IS_ALIVE "),"
						" r.versions IS NOT NULL, r.xmin"
						" FROM migrate.run r"
						" WHERE r.run OPERATOR(pg_catalog.=) $1",
						1, types, values, NULL) > 0)
	{
		row = read_row(&scope);
		row->run = run;
	}
	mig_tables_close(&scope);
	return row;
}

/* asked by whoever takes the runner lock, so by the index and without SQL */
static bool
has_open_runs(void)
{
	Relation	rel = mig_tables_open_table("run", AccessShareLock);
	Oid			index = get_relname_relid("run_open_idx",
										  RelationGetNamespace(rel));
	SysScanDesc scan;
	bool		found = false;
	HeapTuple	tuple;

	mig_columns_check("run", RelationGetDescr(rel));
	PushActiveSnapshot(GetTransactionSnapshot());
	scan = systable_beginscan(rel, index, OidIsValid(index),
							  GetActiveSnapshot(), 0, NULL);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = heap_attisnull(tuple, R_OUTCOME + 1, RelationGetDescr(rel));
	systable_endscan(scan);
	PopActiveSnapshot();
	table_close(rel, AccessShareLock);
	return found;
}

int
mig_run_sweep(void)
{
	MigSqlScope scope;
	int			count;

	(void) mig_tables_owner();
	if (!has_open_runs())
		return 0;

	/* the server keeps a copy of the list of sessions for a transaction */
	pgstat_clear_backend_activity_snapshot();
	mig_tables_open(&scope);
	count = (int)
		mig_sql_execute("WITH gone AS ("
						" UPDATE migrate.run r SET outcome = 'interrupted',"
						"  ended_at = pg_catalog.clock_timestamp()"
						" WHERE r.outcome IS NULL"
						" AND NOT (" MIG_RUN_IS_ALIVE ") RETURNING r.*)"
						"INSERT INTO migrate.journal (run, seq, action, project,"
						" version, outcome, started_at, execution_ms, sqlstate,"
						" message, hint, role, session_role, backend_pid, note,"
						" server_version, extension_version)"
						" SELECT g.run, " FREE_NUMBER("g.run") ","
						"  g.action, g.project,"
						"  (SELECT s.version FROM migrate.step s"
						"   WHERE s.run OPERATOR(pg_catalog.=) g.run"
						"   AND s.project OPERATOR(pg_catalog.=) g.project"
						"   ORDER BY s.started_at DESC LIMIT 1),"
						"  'failure', coalesce(g.started_at, g.requested_at), 0, '57P02',"
						"  'the session of the run ended before the run did',"
						"  'The next run goes on where this one was cut off.',"
						"  g.role, g.session_role, g.backend_pid, g.note,"
						"  pg_catalog.current_setting('server_version'), '" MIG_VERSION "'"
						" FROM gone g",
						0, NULL, NULL, NULL);
	mig_tables_close(&scope);
	return count;
}
