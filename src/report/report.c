/*-------------------------------------------------------------------------
 *
 * report.c
 *	  The facts of a report.
 *
 * Everything is read with SQL, as the caller: a report shows no more than the
 * functions that it calls, and the columns that the caller may read.  The
 * search_path is locked, except for lint() and rehearse(), which need the
 * caller's: there every name is qualified, operators too.
 *
 * An error that would stop a run only replaces a part of the report: one of
 * class MG is a fact like the others.  Any other error ends the call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"

#include "base/errors.h"
#include "base/sql.h"
#include "base/subxact.h"
#include "ledger/entry.h"
#include "ledger/policy.h"
#include "plan/project.h"
#include "plan/plan_run.h"
#include "report/report.h"

/* a body has less than 1 GB, so counting on from there cannot overflow */
#define MAX_FIRST_LINE 1000000000

#define EQ " OPERATOR(pg_catalog.=) "

/* a point in time, in UTC whatever the session's time zone */
#define UTC(time) \
	"pg_catalog.to_char(pg_catalog.timezone('UTC', " time ")," \
	" 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

/* mig_sql_begin() without a change of the user */
static void
open_as_caller(MigSqlScope *scope)
{
	scope->outer = CurrentMemoryContext;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	scope->guc_level = NewGUCNestLevel();
}

/* the same with a search_path without user-defined objects */
static void
open_locked(MigSqlScope *scope)
{
	open_as_caller(scope);
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
run_query(const char *sql, int nargs, const char *const *args)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	char		nulls[2];
	int			i;

	Assert(nargs <= lengthof(types));
	for (i = 0; i < nargs; i++)
	{
		bool		isnull;

		values[i] = mig_sql_text_datum(args[i], &isnull);
		nulls[i] = isnull ? 'n' : ' ';
	}
	return mig_sql_execute(sql, nargs, types, values, nulls);
}

/* an array for the rows of the last result, in the caller's context */
static void *
rows_for(MigSqlScope *scope, uint64 nrows, Size size)
{
	return MemoryContextAllocExtended(scope->outer,
									  Max(nrows, 1) * size,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* asks for nothing that would warn a second time of an empty project */
static void
gather_head(MigReport *report)
{
	const char *args[2] = {report->project, report->nentries > 0 ? "" : NULL};
	MigSqlScope scope;

	open_locked(&scope);
	(void) run_query("SELECT pg_catalog.current_database()::pg_catalog.text,"
					 " pg_catalog.current_setting('server_version'),"
					 " migrate.version(), current_user::pg_catalog.text,"
					 " " UTC("pg_catalog.clock_timestamp()") ","
					 " CASE WHEN $2 IS NOT NULL THEN migrate.current($1) END,"
					 " pg_catalog.has_column_privilege('migrate.migration', 'up', 'SELECT')"
					 " AND pg_catalog.has_column_privilege('migrate.migration', 'down', 'SELECT')",
					 2, args);
	report->database = mig_sql_get_text(&scope, 0, 1);
	report->server_version = mig_sql_get_text(&scope, 0, 2);
	report->extension_version = mig_sql_get_text(&scope, 0, 3);
	report->role = mig_sql_get_text(&scope, 0, 4);
	report->made_at = mig_sql_get_text(&scope, 0, 5);
	report->newest = mig_sql_get_text(&scope, 0, 6);
	report->bodies_shown = mig_sql_get_bool(0, 7);
	close_as_caller(&scope);
}

/*
 * The columns are those of the query of entries; texts are copied into the
 * report's memory.
 */
static void
read_report_entry(MigSqlScope *scope, uint64 row, MigReportEntry *entry)
{
	entry->version = mig_sql_get_text_not_null(scope, row, 1);
	entry->name = mig_sql_get_text_not_null(scope, row, 2);
	entry->kind = mig_sql_get_text_not_null(scope, row, 3);
	entry->state = mig_sql_get_text_not_null(scope, row, 4);
	entry->origin = mig_sql_get_text(scope, row, 5);
	entry->applied_at = mig_sql_get_text(scope, row, 6);
	entry->applied_by = mig_sql_get_text(scope, row, 7);
	entry->execution_ms = mig_sql_get_float8(row, 8);
	entry->path = mig_sql_get_text(scope, row, 9);
	entry->held_reason = mig_sql_get_text(scope, row, 10);
	entry->error = mig_sql_get_text(scope, row, 11);
	entry->sqlstate = mig_sql_get_text(scope, row, 12);
	entry->hint = mig_sql_get_text(scope, row, 13);
	entry->part = mig_sql_get_text(scope, row, 14);
	entry->statement = mig_sql_get_int4(row, 15);
	entry->line = mig_sql_get_int4(row, 16);
	entry->failed_at = mig_sql_get_text(scope, row, 17);
	entry->failed_by = mig_sql_get_text(scope, row, 18);
}

/*
 * Number of the rows before the first one without a version.  Tables are joined
 * by FULL JOIN, which nothing but a hash or a merge join can do, since a plan for
 * rows that are thought to be few would read all of them again for each.  The
 * rows of the other table alone come last.
 */
static int
without_rest(int nrows)
{
	while (nrows > 0 &&
		   SPI_getvalue(SPI_tuptable->vals[nrows - 1], SPI_tuptable->tupdesc,
						1) == NULL)
		nrows--;
	return nrows;
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

	open_locked(&scope);
	report->nentries =
		run_query("SELECT s.version, s.name, s.kind, s.state, s.origin,"
				  " " UTC("s.applied_at") ", s.applied_by, s.execution_ms, s.path,"
				  " m.held_reason, coalesce(s.error, f.message), f.sqlstate,"
				  " f.hint, f.body, f.statement, f.line, " UTC("f.started_at") ","
				  " f.role"
				  " FROM migrate.status($1) WITH ORDINALITY s"
				  " FULL JOIN (SELECT version, held_reason FROM migrate.migration"
				  "  WHERE project" EQ "$1) m ON m.version" EQ "s.version"
				  " FULL JOIN (SELECT DISTINCT ON (x.version) x.*"
				  "  FROM migrate.failures x WHERE x.project" EQ "$1"
				  "  ORDER BY x.version, x.run DESC, x.seq DESC) f"
				  " ON f.version" EQ "CASE WHEN s.error IS NOT NULL"
				  "  OR s.state" EQ "'partial' THEN s.version END"
				  " ORDER BY s.ordinality",
				  1, args);
	report->nentries = without_rest(report->nentries);
	report->entries = rows_for(&scope, report->nentries,
							   sizeof(MigReportEntry));
	for (i = 0; i < report->nentries; i++)
		read_report_entry(&scope, i, &report->entries[i]);
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

/* what is applied, newest first, and what is neither applied nor pending */
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

/* whether there is a down body is no secret, unlike texts and checksums */
static void
note_downs(MigReport *report)
{
	char	  **versions = palloc(sizeof(char *) * Max(report->nsteps, 1));
	MigEntry  **entries;
	int			i;

	for (i = 0; i < report->nsteps; i++)
		versions[i] = report->steps[i].version;
	entries = mig_entry_in_order(report->project, versions,
								 report->nsteps);
	for (i = 0; i < report->nsteps; i++)
		report->steps[i].has_down = entries[i]->has_down;
}

/* 0: not known; whoever may write may have stored any number */
static void
set_first_line(MigReportBody *body, int line)
{
	body->in_file = body->path != NULL && line > 0 && line <= MAX_FIRST_LINE;
	body->first_line = body->in_file ? line : 1;
}

/*
 * The steps of the plan.  Runs in a subtransaction: an error of it is what
 * the report says.
 */
static void
gather_plan(void *arg)
{
	MigReport  *report = (MigReport *) arg;
	const char *args[2] = {report->project, report->target};
	MigSqlScope scope;
	int			nsteps;
	int			i;

	open_locked(&scope);
	nsteps = run_query("SELECT p.version, p.step, p.name, m.kind, m.path,"
					   " m.added_by, p.own_transaction, p.reason, m.irreversible,"
					   " coalesce(m.down_path, m.path),"
					   " coalesce(m.up_line, 0), coalesce(m.down_line, 0)"
					   " FROM migrate.plan($2, $1) p"
					   " FULL JOIN (SELECT version, kind, path, added_by, irreversible,"
					   "  down_path, up_line, down_line FROM migrate.migration"
					   "  WHERE project" EQ "$1) m"
					   " ON m.version" EQ "p.version ORDER BY p.step",
					   2, args);
	nsteps = without_rest(nsteps);
	report->steps = rows_for(&scope, nsteps, sizeof(MigReportStep));
	for (i = 0; i < nsteps; i++)
	{
		MigReportStep *step = &report->steps[i];

		step->version = mig_sql_get_text_not_null(&scope, i, 1);
		step->step = mig_sql_get_int4(i, 2);
		step->name = mig_sql_get_text_not_null(&scope, i, 3);
		step->kind = mig_sql_get_text_not_null(&scope, i, 4);
		step->up.path = mig_sql_get_text(&scope, i, 5);
		step->added_by = mig_sql_get_text_not_null(&scope, i, 6);
		step->own_transaction = mig_sql_get_bool(i, 7);
		step->reason = mig_sql_get_text_not_null(&scope, i, 8);
		step->irreversible = mig_sql_get_bool(i, 9);
		step->down.path = mig_sql_get_text(&scope, i, 10);
		set_first_line(&step->up, mig_sql_get_int4(i, 11));
		set_first_line(&step->down, mig_sql_get_int4(i, 12));
	}
	close_as_caller(&scope);
	report->nsteps = nsteps;
	note_downs(report);
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
			strcmp(entry->state, "failed") != 0 &&
			(strcmp(entry->state, "partial") != 0 || entry->applied_at != NULL))
			continue;
		step->step = ++report->nsteps;
		step->version = entry->version;
		step->name = entry->name;
		step->kind = entry->kind;
		step->up.path = step->down.path = entry->path;
		set_first_line(&step->up, 0);
		set_first_line(&step->down, 0);
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
	body->text = mig_sql_get_text(scope, row, col);
	body->bytes = mig_sql_get_int8(row, col + 1);
	body->lines = mig_sql_get_int8(row, col + 2);
}

/* what rows about migrations are joined with, to know which step they are of */
static Datum
versions_of_steps(const MigReport *report)
{
	char	  **versions = palloc(sizeof(char *) * Max(report->nsteps, 1));
	int			i;

	for (i = 0; i < report->nsteps; i++)
		versions[i] = report->steps[i].version;
	return mig_sql_text_array(versions, report->nsteps);
}

#define STEPS(parameter) \
	"ROWS FROM (pg_catalog.unnest(" parameter ")) WITH ORDINALITY v (version, n)"

/* the texts of the steps, each up to body_limit bytes */
static void
gather_bodies(MigReport *report, int body_limit)
{
	Oid			types[3] = {TEXTOID, TEXTARRAYOID, INT4OID};
	Datum		values[3];
	MigSqlScope scope;
	uint64		nrows;
	uint64		row;

	if (!report->bodies_shown || report->nsteps == 0)
		return;
	values[0] = CStringGetTextDatum(report->project);
	values[1] = versions_of_steps(report);
	values[2] = Int32GetDatum(body_limit);

	open_locked(&scope);
	nrows = mig_sql_execute("SELECT v.n, " BODY_COLUMNS("m.up") ", "
							BODY_COLUMNS("m.down")
							" FROM " STEPS("$2")
							" FULL JOIN (SELECT version, up, down FROM migrate.migration"
							"  WHERE project" EQ "$1 AND version" EQ "ANY ($2)) m"
							" ON m.version" EQ "v.version",
							3, types, values, NULL);
	for (row = 0; row < nrows; row++)
	{
		MigReportStep *step = &report->steps[mig_sql_get_int8(row, 1) - 1];

		read_body(&scope, row, 2, &step->up);
		read_body(&scope, row, 5, &step->down);
	}
	close_as_caller(&scope);
}


/*
 * Lint
 */

void
mig_report_count(MigReportCounts *counts, const char *severity)
{
	if (strcmp(severity, "error") == 0)
		counts->errors++;
	else if (strcmp(severity, "warning") == 0)
		counts->warnings++;
	else
		counts->notes++;
}

/* the columns are those of the query of findings */
static MigReportFinding *
read_finding(MigSqlScope *scope, uint64 row)
{
	MigReportFinding *finding = rows_for(scope, 1, sizeof(MigReportFinding));

	finding->part = mig_sql_get_text(scope, row, 2);
	finding->line = mig_sql_get_int4(row, 3);
	finding->rule = mig_sql_get_text_not_null(scope, row, 4);
	finding->severity = mig_sql_get_text_not_null(scope, row, 5);
	finding->relation = mig_sql_get_text(scope, row, 6);
	finding->bytes = mig_sql_get_int8(row, 7);
	finding->rows = mig_sql_get_float8(row, 8);
	finding->message = mig_sql_get_text_not_null(scope, row, 9);
	finding->instead = mig_sql_get_text(scope, row, 10);
	finding->link = mig_sql_get_text(scope, row, 11);
	finding->json = mig_sql_get_text(scope, row, 12);
	return finding;
}

/*
 * What lint() says of each step, read as the caller, whose privileges decide.
 */
static void
gather_findings(void *arg)
{
	MigReport  *report = (MigReport *) arg;
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTARRAYOID};
	Datum		values[3];
	char		nulls[3] = {' ', ' ', ' '};
	bool		no_target;
	MigSqlScope scope;
	uint64		nrows;
	uint64		row;

	values[0] = CStringGetTextDatum(report->project);
	values[1] = mig_sql_text_datum(report->target, &no_target);
	nulls[1] = no_target ? 'n' : ' ';
	values[2] = versions_of_steps(report);

	open_as_caller(&scope);
	nrows = mig_sql_execute("SELECT v.n, f.body, f.line, f.rule, f.severity,"
							" f.relation, coalesce(f.relation_bytes, -1),"
							" coalesce(f.relation_rows, -1), f.message, f.instead,"
							" f.link, (pg_catalog.to_jsonb(f) OPERATOR(pg_catalog.-)"
							"  '{version,name,ordinality}'::pg_catalog.text[])::pg_catalog.text"
							" FROM migrate.lint($2, NULL, $1) WITH ORDINALITY f"
							" JOIN " STEPS("$3") " ON v.version" EQ "f.version"
							" ORDER BY f.ordinality",
							3, types, values, nulls);
	for (row = 0; row < nrows; row++)
	{
		MigReportStep *step = &report->steps[mig_sql_get_int8(row, 1) - 1];
		MigReportFinding *finding = read_finding(&scope, row);
		MemoryContext old = MemoryContextSwitchTo(scope.outer);

		step->findings = lappend(step->findings, finding);
		MemoryContextSwitchTo(old);
		mig_report_count(&step->counts, finding->severity);
		mig_report_count(&report->counts, finding->severity);
	}
	close_as_caller(&scope);
}


/*
 * Rehearsal
 */

/* a field of the elements of an array of rows, as texts without nulls */
#define FIELD(array, field) \
	" ARRAY(SELECT coalesce(u." field "::pg_catalog.text, '-1')" \
	"  FROM pg_catalog.unnest(r." array ") WITH ORDINALITY u" \
	"  ORDER BY u.ordinality)"

#define NAMES(array) \
	" CASE WHEN pg_catalog.cardinality(r." array ")" \
	"  OPERATOR(pg_catalog.>) 0" \
	" THEN pg_catalog.array_to_string(r." array ", ', ') END"

/* eight columns from col on, arrays with an element per lock */
static void
read_locks(MigSqlScope *scope, uint64 row, int col,
		   MigReportStatement *statement)
{
	char	  **fields[8];
	int			count;
	int			i;

	for (i = 0; i < lengthof(fields); i++)
		fields[i] = mig_sql_get_text_array(scope, row, col + i, &count);
	statement->nlocks = count;
	statement->locks = rows_for(scope, count, sizeof(MigReportLock));
	for (i = 0; i < count; i++)
	{
		MigReportLock *lock = &statement->locks[i];

		lock->held_before = fields[0][i][0] == 't';
		lock->relation = fields[1][i];
		lock->kind = fields[2][i];
		lock->mode = fields[3][i];
		lock->blocks_reads = fields[4][i][0] == 't';
		lock->blocks_writes = fields[5][i][0] == 't';
		lock->bytes = strtoll(fields[6][i], NULL, 10);
		lock->rows = strtod(fields[7][i], NULL);
	}
}

/* two columns from col on, arrays with an element per table */
static void
read_scans(MigSqlScope *scope, uint64 row, int col,
		   MigReportStatement *statement)
{
	int			count;
	char	  **relations = mig_sql_get_text_array(scope, row, col, &count);
	char	  **rows = mig_sql_get_text_array(scope, row, col + 1, &count);
	int			i;

	statement->nscans = count;
	statement->scans = rows_for(scope, count, sizeof(MigReportScan));
	for (i = 0; i < count; i++)
	{
		statement->scans[i].relation = relations[i];
		statement->scans[i].rows = strtod(rows[i], NULL);
	}
}

/* the columns are those of the query of statements */
static void
read_statement(MigSqlScope *scope, uint64 row, MigReportStatement *statement)
{
	statement->part = mig_sql_get_text(scope, row, 2);
	statement->statement = mig_sql_get_int4(row, 3);
	statement->line = mig_sql_get_int4(row, 4);
	statement->tag = mig_sql_get_text(scope, row, 5);
	statement->execution_ms = mig_sql_get_float8(row, 6);
	statement->row_count = mig_sql_get_int8(row, 7);
	statement->wal_bytes = mig_sql_get_int8(row, 8);
	statement->rewritten = mig_sql_get_text(scope, row, 9);
	statement->reindexed = mig_sql_get_text(scope, row, 10);
	statement->created = mig_sql_get_text(scope, row, 11);
	statement->dropped = mig_sql_get_text(scope, row, 12);
	statement->truncated = mig_sql_get_text(scope, row, 13);
	statement->skipped = mig_sql_get_text(scope, row, 14);
	statement->sqlstate = mig_sql_get_text(scope, row, 15);
	statement->message = mig_sql_get_text(scope, row, 16);
	statement->hint = mig_sql_get_text(scope, row, 17);
	statement->json = mig_sql_get_text(scope, row, 18);
	read_locks(scope, row, 19, statement);
	read_scans(scope, row, 27, statement);
}

int
mig_report_strength(const MigReportLock *lock)
{
	if (lock->blocks_reads)
		return 3;
	if (lock->blocks_writes)
		return 2;
	return strcmp(lock->mode, "SHARE UPDATE EXCLUSIVE") == 0 ? 1 : 0;
}

/* is the first lock more in the way than the second, which may be NULL? */
static bool
is_worse(const MigReportLock *lock, const MigReportLock *other)
{
	int			strength = mig_report_strength(lock);
	int			other_strength;

	if (other == NULL)
		return true;
	other_strength = mig_report_strength(other);
	return strength > other_strength ||
		(strength == other_strength && lock->bytes > other->bytes);
}

/* add up what the statements of a migration say; a lock is held to its end */
static void
sum_up(MigReport *report, MigReportStep *step)
{
	double		worst_start = 0;
	int			i;
	int			j;

	for (i = 0; i < step->nstatements; i++)
	{
		MigReportStatement *statement = &step->statements[i];

		statement->start_ms = step->execution_ms;
		step->execution_ms += statement->execution_ms;
		if (statement->skipped != NULL)
			step->skipped++;
		else if (statement->sqlstate != NULL)
			step->failed = statement;
		for (j = 0; j < statement->nlocks; j++)
		{
			if (!is_worse(&statement->locks[j], step->worst))
				continue;
			step->worst = &statement->locks[j];
			worst_start = statement->start_ms;
		}
	}
	step->worst_ms = step->execution_ms - worst_start;
	step->start_ms = report->execution_ms;
	report->execution_ms += step->execution_ms;
}

/* the rows of a migration follow each other */
static void
share_out(MigReport *report, MigReportStatement *statements, const int *owners,
		  int count)
{
	int			i;

	for (i = 0; i < count; i++)
	{
		MigReportStep *step = &report->steps[owners[i]];

		if (step->nstatements == 0)
			step->statements = &statements[i];
		step->nstatements++;
	}
	for (i = 0; i < report->nsteps; i++)
		sum_up(report, &report->steps[i]);
}

/*
 * What rehearse() says of each statement, read as the caller, whose privileges
 * decide.
 */
static void
gather_rehearsal(void *arg)
{
	MigReport  *report = (MigReport *) arg;
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTARRAYOID};
	Datum		values[3];
	char		nulls[3] = {' ', ' ', ' '};
	bool		no_target;
	MigReportStatement *statements;
	int		   *owners;
	MigSqlScope scope;
	int			nrows;
	int			row;

	values[0] = CStringGetTextDatum(report->project);
	values[1] = mig_sql_text_datum(report->target, &no_target);
	nulls[1] = no_target ? 'n' : ' ';
	values[2] = versions_of_steps(report);

	open_as_caller(&scope);
	nrows = mig_sql_execute("SELECT v.n, r.body, r.statement, r.line, r.tag,"
							" r.execution_ms, r.row_count, r.wal_bytes,"
							NAMES("rewritten") "," NAMES("reindexed") ","
							NAMES("created") "," NAMES("dropped") ","
							NAMES("truncated") ", r.skipped, r.sqlstate, r.message,"
							" r.hint, (pg_catalog.to_jsonb(r) OPERATOR(pg_catalog.-)"
							"  '{version,name,detail,ordinality,locks}'::pg_catalog.text[])::pg_catalog.text,"
							FIELD("locks", "held_before") ","
							FIELD("locks", "relation") "," FIELD("locks",
																 "kind") ","
							FIELD("locks", "mode") "," FIELD("locks",
															 "blocks_reads") ","
							FIELD("locks", "blocks_writes") ","
							FIELD("locks", "bytes") ","
							FIELD("locks", "estimated_rows") ","
							FIELD("scans", "relation") "," FIELD("scans",
																 "row_count")
							" FROM migrate.rehearse($2, NULL, $1) WITH ORDINALITY r"
							" JOIN " STEPS("$3") " ON v.version" EQ "r.version"
							" ORDER BY v.n, r.ordinality",
							3, types, values, nulls);
	statements = rows_for(&scope, nrows, sizeof(MigReportStatement));
	owners = rows_for(&scope, nrows, sizeof(int));
	for (row = 0; row < nrows; row++)
	{
		owners[row] = mig_sql_get_int8(row, 1) - 1;
		read_statement(&scope, row, &statements[row]);
	}
	close_as_caller(&scope);
	share_out(report, statements, owners, nrows);
	report->rehearsed = true;
}


/*
 * All together
 */

/*
 * Gather what may raise the errors of a run.  Returns the error, if it is one
 * that a report can show.
 */
static MigReportError *
gather_or_catch(void (*gather) (void *arg), MigReport *report)
{
	ErrorData  *edata = mig_subxact_run(gather, report, true);
	MigReportError *error;
	char	   *sqlstate;

	if (edata == NULL)
		return NULL;
	sqlstate = unpack_sql_state(edata->sqlerrcode);
	if (strncmp(sqlstate, "MG", 2) != 0 ||
		edata->sqlerrcode == MIG_ERRCODE_UNKNOWN_VERSION ||
		edata->sqlerrcode == MIG_ERRCODE_EXTENSION ||
		edata->sqlerrcode == MIG_ERRCODE_RECURSION)
		ReThrowError(edata);
	error = palloc(sizeof(MigReportError));
	error->sqlstate = pstrdup(sqlstate);
	error->message = edata->message;
	error->detail = edata->detail;
	error->hint = edata->hint;
	return error;
}

/*
 * A table has one size in a report: the first one that is seen, which is the
 * linter's, before a rehearsal has added its rows to the file.
 */
typedef struct SizeEntry
{
	char		relation[4 * NAMEDATALEN + 8];
	int64		bytes;
	double		rows;
} SizeEntry;

/* the first size that is seen of a relation is the one that all get */
static void
agree_on_size(HTAB *sizes, const char *relation, int64 *bytes, double *rows)
{
	char		key[4 * NAMEDATALEN + 8];
	SizeEntry  *entry;
	bool		found;

	if (relation == NULL || *bytes < 0)
		return;
	strlcpy(key, relation, sizeof(key));
	entry = hash_search(sizes, key, HASH_ENTER, &found);
	if (!found)
	{
		entry->bytes = *bytes;
		entry->rows = *rows;
	}
	*bytes = entry->bytes;
	*rows = entry->rows;
}

/*
 * Let all findings and locks have the same size for the same relation,
 * whenever it was looked at.
 */
static void
agree_on_sizes(MigReport *report)
{
	HASHCTL		control;
	HTAB	   *sizes;
	ListCell   *lc;
	int			i;
	int			j;
	int			k;

	memset(&control, 0, sizeof(control));
	control.keysize = sizeof(((SizeEntry *) NULL)->relation);
	control.entrysize = sizeof(SizeEntry);
	control.hcxt = CurrentMemoryContext;
	sizes = hash_create("migrate report sizes", 64, &control,
						HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	for (i = 0; i < report->nsteps; i++)
		foreach(lc, report->steps[i].findings)
	{
		MigReportFinding *finding = (MigReportFinding *) lfirst(lc);

		agree_on_size(sizes, finding->relation, &finding->bytes,
					  &finding->rows);
	}
	for (i = 0; i < report->nsteps; i++)
		for (j = 0; j < report->steps[i].nstatements; j++)
			for (k = 0; k < report->steps[i].statements[j].nlocks; k++)
			{
				MigReportLock *lock = &report->steps[i].statements[j].locks[k];

				agree_on_size(sizes, lock->relation, &lock->bytes, &lock->rows);
			}
	hash_destroy(sizes);
}

static void
set_verdict(MigReport *report, MigReportVerdict verdict, char *text)
{
	report->verdict = verdict;
	report->verdict_text = text;
}

/* errors in what would be applied, for which the policy lets nothing run */
static int
refused_findings(const MigReport *report)
{
	int			errors = 0;
	ListCell   *lc;
	int			i;

	if (mig_policy_read(report->project)->lint != MIG_LINT_REFUSE)
		return 0;
	for (i = 0; i < report->nsteps; i++)
		foreach(lc, report->steps[i].findings)
	{
		const MigReportFinding *finding = (MigReportFinding *) lfirst(lc);

		errors += strcmp(finding->severity, "error") == 0 &&
			(finding->part == NULL || strcmp(finding->part, "up") == 0);
	}
	return errors;
}

/* the verdict: what keeps the plan from running comes first */
static void
decide_verdict(MigReport *report)
{
	const MigReportError *error = report->plan_error ? report->plan_error :
		report->rehearsal_error ? report->rehearsal_error : report->lint_error;
	int			refused = refused_findings(report);
	List	   *missing =
		mig_plan_run_missing_schemas(mig_project_read(report->project, NIL,
													  false, false));
	int			skipped = 0;
	int			i;

	for (i = report->nsteps - 1; i >= 0; i--)
	{
		if (report->steps[i].failed != NULL)
			report->failed = &report->steps[i];
		skipped += report->steps[i].skipped;
	}
	if (error != NULL)
		set_verdict(report, MIG_VERDICT_REFUSED,
					psprintf("would be refused: %s", error->message));
	else if (report->failed != NULL)
	{
		const MigReportStep *step = report->failed;
		char	   *place = mig_report_place(step, step->failed->part,
											 step->failed->line);

		set_verdict(report, MIG_VERDICT_FAILS,
					psprintf("would fail: migration \"%s\"%s%s: %s: %s",
							 step->version, place ? ", " : "",
							 place ? place : "", step->failed->sqlstate,
							 step->failed->message));
	}
	else if (refused > 0)
		set_verdict(report, MIG_VERDICT_REFUSED,
					psprintf("would be refused: the linter has found %s, and lint is error in migrate.policy",
							 refused == 1 ? "an error" :
							 psprintf("%d errors", refused)));
	else if (report->nentries == 0)
		set_verdict(report, MIG_VERDICT_EMPTY,
					psprintf("project \"%s\" has no migrations",
							 report->project));
	else if (report->nsteps == 0 && missing != NIL)
		set_verdict(report, MIG_VERDICT_GONE,
					psprintf("schemas that migrations were applied to are gone: %s",
							 mig_error_name_list(missing)));
	else if (report->nsteps == 0)
		set_verdict(report, MIG_VERDICT_NOTHING, "nothing is pending");
	else if (!report->rehearsed)
		set_verdict(report, MIG_VERDICT_RUNS,
					"would run, as far as can be seen without a rehearsal");
	else if (skipped > 0)
		set_verdict(report, MIG_VERDICT_RUNS,
					psprintf("would run, as far as could be rehearsed: %d statements were not",
							 skipped));
	else
		set_verdict(report, MIG_VERDICT_RUNS, "would run");
}

bool
mig_report_is_good(const MigReport *report)
{
	return report->verdict == MIG_VERDICT_RUNS ||
		report->verdict == MIG_VERDICT_NOTHING;
}

const char *
mig_report_verdict_name(MigReportVerdict verdict)
{
	static const char *const names[] = {"nothing", "runs", "fails", "refused",
	"no migrations", "schemas gone"};

	return names[verdict];
}

const MigReportBody *
mig_report_body(const MigReportStep *step, const char *part)
{
	if (part == NULL)
		return NULL;
	if (strcmp(part, "up") == 0)
		return &step->up;
	return strcmp(part, "down") == 0 ? &step->down : NULL;
}

char *
mig_report_place(const MigReportStep *step, const char *part, int line)
{
	const MigReportBody *body = mig_report_body(step, part);

	if (part == NULL || line <= 0)
		return NULL;
	if (body != NULL && body->in_file)
		return psprintf("%s:%d", body->path, line);
	return strcmp(part, "up") == 0 ? psprintf("line %d", line) :
		psprintf("%s, line %d", part, line);
}

MigReport *
mig_report_gather(const char *project, const char *target, bool rehearse,
				  int body_limit)
{
	MigReport  *report = palloc0(sizeof(MigReport));

	report->project = pstrdup(project);
	report->target = target ? pstrdup(target) : NULL;
	gather_entries(report);
	gather_head(report);
	if (report->nentries == 0)
	{
		decide_verdict(report);
		return report;
	}
	select_entries(report);
	report->plan_error = gather_or_catch(gather_plan, report);
	if (report->plan_error != NULL)
		pending_instead_of_plan(report);
	gather_bodies(report, body_limit);

	/* these need a plan too */
	if (report->plan_error == NULL)
		report->lint_error = gather_or_catch(gather_findings, report);
	if (report->plan_error == NULL && rehearse)
		report->rehearsal_error = gather_or_catch(gather_rehearsal, report);
	agree_on_sizes(report);
	decide_verdict(report);
	return report;
}
