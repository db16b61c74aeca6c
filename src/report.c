/*-------------------------------------------------------------------------
 *
 * report.c
 *	  The facts of a report.
 *
 * Everything is asked for with SQL, as the caller and under a locked
 * search_path: a report shows nobody more than the functions that it calls,
 * and the columns that he may read.
 *
 * What stops a run stops a part of the report and no more: an error of class
 * MG is a fact like the others.  Any other error ends the call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "errors.h"
#include "report.h"
#include "sqlutil.h"
#include "subxact.h"

#define EQ " OPERATOR(pg_catalog.=) "

/* a point in time, in UTC whatever the session's time zone */
#define UTC(time) \
	"pg_catalog.to_char(pg_catalog.timezone('UTC', " time ")," \
	" 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

typedef struct Gathering
{
	MigReport  *report;
	int			body_limit;
} Gathering;

/* mig_sql_begin() without becoming somebody else */
static void
open_as_caller(MigSqlScope *scope)
{
	scope->outer = CurrentMemoryContext;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	scope->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

static void
close_as_caller(MigSqlScope *scope)
{
	AtEOXact_GUC(false, scope->guc_level);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

/* run one of our statements whose parameters are texts, some of them null */
static uint64
ask(const char *sql, int nargs, const char *const *args)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	char		nulls[2];
	int			i;

	Assert(nargs <= lengthof(types));
	for (i = 0; i < nargs; i++)
	{
		bool		isnull;

		values[i] = mig_text_datum(args[i], &isnull);
		nulls[i] = isnull ? 'n' : ' ';
	}
	return mig_sql(sql, nargs, types, values, nulls);
}

/* an array for the rows of the last result, in the caller's context */
static void *
rows_for(MigSqlScope *scope, uint64 nrows, Size size)
{
	return MemoryContextAllocExtended(scope->outer,
									  Max(nrows, 1) * size,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static void
gather_head(MigReport *report)
{
	const char *args[1] = {report->project};
	MigSqlScope scope;

	open_as_caller(&scope);
	(void) ask("SELECT pg_catalog.current_database()::pg_catalog.text,"
			   " pg_catalog.current_setting('server_version'),"
			   " migrate.version(), current_user::pg_catalog.text,"
			   " " UTC("pg_catalog.clock_timestamp()") ","
			   " migrate.current($1),"
			   " pg_catalog.has_column_privilege('migrate.migration', 'up', 'SELECT')"
			   " AND pg_catalog.has_column_privilege('migrate.migration', 'down', 'SELECT')",
			   1, args);
	report->database = mig_get_text(&scope, 0, 1);
	report->server_version = mig_get_text(&scope, 0, 2);
	report->extension_version = mig_get_text(&scope, 0, 3);
	report->role = mig_get_text(&scope, 0, 4);
	report->made_at = mig_get_text(&scope, 0, 5);
	report->newest = mig_get_text(&scope, 0, 6);
	report->bodies_shown = mig_get_bool(0, 7);
	close_as_caller(&scope);
}

static void
read_entry(MigSqlScope *scope, uint64 row, MigReportEntry *entry)
{
	entry->version = mig_get_text(scope, row, 1);
	entry->name = mig_get_text(scope, row, 2);
	entry->kind = mig_get_text(scope, row, 3);
	entry->state = mig_get_text(scope, row, 4);
	entry->how = mig_get_text(scope, row, 5);
	entry->applied_at = mig_get_text(scope, row, 6);
	entry->applied_by = mig_get_text(scope, row, 7);
	entry->execution_ms = mig_get_float8(row, 8);
	entry->path = mig_get_text(scope, row, 9);
	entry->held_reason = mig_get_text(scope, row, 10);
	entry->error = mig_get_text(scope, row, 11);
	entry->sqlstate = mig_get_text(scope, row, 12);
	entry->hint = mig_get_text(scope, row, 13);
	entry->part = mig_get_text(scope, row, 14);
	entry->statement = mig_get_int4(row, 15);
	entry->line = mig_get_int4(row, 16);
	entry->failed_at = mig_get_text(scope, row, 17);
	entry->failed_by = mig_get_text(scope, row, 18);
}

/*
 * A partly done migration has an error in the journal that status() does not
 * show, if its last run failed.
 */
static void
gather_entries(MigReport *report)
{
	const char *args[1] = {report->project};
	MigSqlScope scope;
	int			i;

	open_as_caller(&scope);
	report->nentries =
		ask("SELECT s.version, s.name, s.kind, s.state, s.how,"
			" " UTC("s.applied_at") ", s.applied_by, s.execution_ms, s.path,"
			" m.held_reason, coalesce(s.error, f.message), f.sqlstate,"
			" f.hint, f.part, f.statement, f.line, " UTC("f.started_at") ","
			" f.role"
			" FROM migrate.status($1) WITH ORDINALITY s"
			" LEFT JOIN migrate.migration m ON m.project" EQ "$1"
			"  AND m.version" EQ "s.version"
			" LEFT JOIN LATERAL (SELECT x.* FROM migrate.failure x"
			"  WHERE x.project" EQ "$1 AND x.version" EQ "s.version"
			"  AND (s.error IS NOT NULL OR s.state" EQ "'partial')"
			"  ORDER BY x.run DESC, x.n DESC LIMIT 1) f ON true"
			" ORDER BY s.ordinality",
			1, args);
	report->entries = rows_for(&scope, report->nentries,
							   sizeof(MigReportEntry));
	for (i = 0; i < report->nentries; i++)
		read_entry(&scope, i, &report->entries[i]);
	close_as_caller(&scope);
}

/* newest first; of those applied at the same moment the last in the order */
static int
compare_applied(const void *a, const void *b)
{
	const MigReportEntry *x = *(MigReportEntry *const *) a;
	const MigReportEntry *y = *(MigReportEntry *const *) b;
	int			result = strcmp(y->applied_at, x->applied_at);

	return result != 0 ? result : (x < y ? 1 : -1);
}

static void
select_entries(MigReport *report)
{
	int			i;

	report->latest = palloc(sizeof(MigReportEntry *) *
							Max(report->nentries, 1));
	report->attention = palloc(sizeof(MigReportEntry *) *
							   Max(report->nentries, 1));
	for (i = 0; i < report->nentries; i++)
	{
		MigReportEntry *entry = &report->entries[i];

		if (entry->applied_at != NULL)
			report->latest[report->applied++] = entry;
		if (strcmp(entry->state, "applied") != 0 &&
			strcmp(entry->state, "pending") != 0)
			report->attention[report->nattention++] = entry;
	}
	qsort(report->latest, report->applied, sizeof(MigReportEntry *),
		  compare_applied);
	report->nlatest = Min(report->applied, MIG_REPORT_LATEST);
}

static void
gather_plan(void *arg)
{
	MigReport  *report = ((Gathering *) arg)->report;
	const char *args[2] = {report->project, report->target};
	MigSqlScope scope;
	int			nsteps;
	int			i;

	open_as_caller(&scope);
	nsteps = ask("SELECT p.step, p.version, p.name, m.kind, m.path,"
				 " m.added_by, p.own_transaction, p.reason, m.irreversible,"
				 " m.down_checksum IS NOT NULL"
				 " FROM migrate.plan($2, $1) p"
				 " LEFT JOIN migrate.migration m ON m.project" EQ "$1"
				 "  AND m.version" EQ "p.version"
				 " ORDER BY p.step",
				 2, args);
	report->steps = rows_for(&scope, nsteps, sizeof(MigReportStep));
	for (i = 0; i < nsteps; i++)
	{
		MigReportStep *step = &report->steps[i];

		step->step = mig_get_int4(i, 1);
		step->version = mig_get_text(&scope, i, 2);
		step->name = mig_get_text(&scope, i, 3);
		step->kind = mig_get_text(&scope, i, 4);
		step->path = mig_get_text(&scope, i, 5);
		step->added_by = mig_get_text(&scope, i, 6);
		step->own_transaction = mig_get_bool(i, 7);
		step->reason = mig_get_text(&scope, i, 8);
		step->irreversible = mig_get_bool(i, 9);
		step->has_down = mig_get_bool(i, 10);
	}
	close_as_caller(&scope);
	report->nsteps = nsteps;
}

/* without a plan, what would be in it: the order is that of status() */
static void
pending_instead_of_plan(MigReport *report)
{
	int			i;

	report->nsteps = 0;
	report->steps = palloc0(sizeof(MigReportStep) *
							Max(report->nentries, 1));
	for (i = 0; i < report->nentries; i++)
	{
		const MigReportEntry *entry = &report->entries[i];
		MigReportStep *step = &report->steps[report->nsteps];

		if (strcmp(entry->state, "pending") != 0 &&
			strcmp(entry->state, "failed") != 0)
			continue;
		step->step = ++report->nsteps;
		step->version = entry->version;
		step->name = entry->name;
		step->kind = entry->kind;
		step->path = entry->path;
	}
}

#define BODY_COLUMNS(part) \
	"CASE WHEN $3" EQ "0 THEN " part \
	" ELSE pg_catalog.substr(" part ", 1, $3) END," \
	" pg_catalog.octet_length(" part ")::pg_catalog.int8," \
	" (pg_catalog.length(" part ") OPERATOR(pg_catalog.-)" \
	"  pg_catalog.length(pg_catalog.replace(" part ", E'\\n', ''))" \
	"  OPERATOR(pg_catalog.+) CASE WHEN pg_catalog.right(" part ", 1)" EQ \
	"   E'\\n' THEN 0 ELSE 1 END)::pg_catalog.int8"

static void
read_body(MigSqlScope *scope, uint64 row, int col, MigReportBody *body)
{
	body->text = mig_get_text(scope, row, col);
	body->bytes = mig_get_int8(row, col + 1);
	body->lines = mig_get_int8(row, col + 2);
}

static void
gather_bodies(MigReport *report, int body_limit)
{
	Oid			types[3] = {TEXTOID, TEXTARRAYOID, INT4OID};
	Datum		values[3];
	char	  **versions = palloc(sizeof(char *) * Max(report->nsteps, 1));
	MigSqlScope scope;
	uint64		nrows;
	uint64		row;
	int			i;

	if (!report->bodies_shown || report->nsteps == 0)
		return;
	for (i = 0; i < report->nsteps; i++)
		versions[i] = report->steps[i].version;
	values[0] = CStringGetTextDatum(report->project);
	values[1] = mig_text_array(versions, report->nsteps);
	values[2] = Int32GetDatum(body_limit);

	open_as_caller(&scope);
	nrows = mig_sql("SELECT v.n, " BODY_COLUMNS("m.up") ", "
					BODY_COLUMNS("m.down")
					" FROM ROWS FROM (pg_catalog.unnest($2)) WITH ORDINALITY"
					"  v (version, n)"
					" JOIN migrate.migration m ON m.project" EQ "$1"
					"  AND m.version" EQ "v.version",
					3, types, values, NULL);
	for (row = 0; row < nrows; row++)
	{
		MigReportStep *step = &report->steps[mig_get_int8(row, 1) - 1];

		read_body(&scope, row, 2, &step->up);
		read_body(&scope, row, 5, &step->down);
	}
	close_as_caller(&scope);
}

/*
 * Gather what a run could be stopped from.  Returns its error, if it is one
 * that the report can show.
 */
static MigReportError *
attempt(void (*gather) (void *arg), Gathering *gathering)
{
	ErrorData  *edata = mig_subxact_run(gather, gathering, true);
	MigReportError *error;
	char	   *sqlstate;

	if (edata == NULL)
		return NULL;
	sqlstate = unpack_sql_state(edata->sqlerrcode);
	if (strncmp(sqlstate, "MG", 2) != 0 ||
		edata->sqlerrcode == MIG_ERRCODE_UNKNOWN_VERSION ||
		edata->sqlerrcode == MIG_ERRCODE_EXTENSION)
		ReThrowError(edata);
	error = palloc(sizeof(MigReportError));
	error->sqlstate = pstrdup(sqlstate);
	error->message = edata->message;
	error->detail = edata->detail;
	error->hint = edata->hint;
	return error;
}

MigReport *
mig_report_gather(const char *project, const char *target, bool rehearse,
				  int body_limit)
{
	MigReport  *report = palloc0(sizeof(MigReport));
	Gathering	gathering = {report, body_limit};

	report->project = pstrdup(project);
	report->target = target ? pstrdup(target) : NULL;
	gather_head(report);
	gather_entries(report);
	select_entries(report);
	report->plan_error = attempt(gather_plan, &gathering);
	if (report->plan_error != NULL)
		pending_instead_of_plan(report);
	gather_bodies(report, body_limit);
	return report;
}
