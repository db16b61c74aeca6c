/*-------------------------------------------------------------------------
 *
 * rehearse_functions.c
 *	  The SQL-callable functions that run a plan and roll it back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "base/argument.h"
#include "base/compat.h"
#include "base/held_locks.h"
#include "base/put_row.h"
#include "base/sql.h"
#include "rehearse/rehearse.h"
#include "source/body.h"

PG_FUNCTION_INFO_V1(migrate_rehearse);
PG_FUNCTION_INFO_V1(migrate_rehearse_rollback);

/* columns of the result, from 0 */
#define COLUMN_EFFECTS 10
#define COLUMN_LOCKS 22
#define COLUMN_SCANS 23
#define COLUMNS 24

/* how many there are from COLUMN_EFFECTS on */
#define EFFECTS 9

typedef struct RehearsalResult
{
	ReturnSetInfo *rsinfo;
	MemoryContext scratch;		/* one row */
	TupleDesc	lock;
	TupleDesc	scan;
} RehearsalResult;

/* the row type of an array column of the result */
static TupleDesc
element_desc(TupleDesc result, int column)
{
	Oid			type = get_element_type(TupleDescAttr(result, column)->atttypid);

	return lookup_rowtype_tupdesc_copy(type, -1);
}

static Datum
names_datum(List *names)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(names), 1));
	int			count = 0;
	ListCell   *lc;

	if (names == NIL)
		return PointerGetDatum(construct_empty_array(TEXTOID));
	foreach(lc, names)
		elements[count++] = CStringGetTextDatum((char *) lfirst(lc));
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

static Datum
lock_datum(const MigLockTaken *lock, TupleDesc desc)
{
	Datum		values[8];
	bool		nulls[8] = {false};

	values[0] = CStringGetTextDatum(lock->relation);
	values[1] = CStringGetTextDatum(lock->kind);
	values[2] = CStringGetTextDatum(mig_held_locks_mode_name(lock->mode));
	values[3] = BoolGetDatum(lock->blocks_reads);
	values[4] = BoolGetDatum(lock->blocks_writes);
	values[5] = BoolGetDatum(lock->held_before);
	values[6] = Int64GetDatum(lock->bytes);
	nulls[6] = (lock->bytes < 0);
	values[7] = Int64GetDatum((int64) lock->rows);
	nulls[7] = (lock->rows < 0);
	return mig_put_row_datum(desc, values, nulls);
}

static Datum
scan_datum(const MigTableScan *scan, TupleDesc desc)
{
	Datum		values[3];
	bool		nulls[3] = {false};

	values[0] = CStringGetTextDatum(scan->relation);
	values[1] = Int64GetDatum(scan->scans);
	values[2] = Int64GetDatum(scan->rows);
	return mig_put_row_datum(desc, values, nulls);
}

static Datum
composite_array(Datum *elements, int count, TupleDesc desc)
{
	if (count == 0)
		return PointerGetDatum(construct_empty_array(desc->tdtypeid));
	return PointerGetDatum(construct_array(elements, count, desc->tdtypeid,
										   -1, false, TYPALIGN_DOUBLE));
}

static Datum
locks_datum(List *locks, TupleDesc desc)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(locks), 1));
	int			count = 0;
	ListCell   *lc;

	foreach(lc, locks)
		elements[count++] = lock_datum((MigLockTaken *) lfirst(lc), desc);
	return composite_array(elements, count, desc);
}

static Datum
scans_datum(List *scans, TupleDesc desc)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(scans), 1));
	int			count = 0;
	ListCell   *lc;

	foreach(lc, scans)
		elements[count++] = scan_datum((MigTableScan *) lfirst(lc), desc);
	return composite_array(elements, count, desc);
}

/* what is known only of a statement that ran */
static void
put_effects(const RehearsalResult *result, const MigStatementEffects *effects,
			Datum *values, bool *nulls)
{
	int			column = COLUMN_EFFECTS;
	int			i;

	for (i = COLUMN_EFFECTS; i < COLUMN_EFFECTS + EFFECTS; i++)
		nulls[i] = (effects == NULL);
	nulls[COLUMN_LOCKS] = nulls[COLUMN_SCANS] = (effects == NULL);
	if (effects == NULL)
		return;
	values[column++] = names_datum(effects->rewritten);
	values[column++] = names_datum(effects->reindexed);
	values[column++] = names_datum(effects->created);
	values[column++] = names_datum(effects->dropped);
	values[column++] = names_datum(effects->truncated);
	values[column++] = Int64GetDatum(effects->rewritten_bytes);
	values[column++] = Int64GetDatum(effects->wal_bytes);
	values[column++] = Int64GetDatum(effects->blocks_read);
	values[column++] = Int64GetDatum(effects->blocks_dirtied);
	Assert(column == COLUMN_EFFECTS + EFFECTS);
	values[COLUMN_LOCKS] = locks_datum(effects->locks, result->lock);
	values[COLUMN_SCANS] = scans_datum(effects->scans, result->scan);
}

/* a MigRehearsalSink that adds to the function's result */
static void
put_rehearsed(const MigRehearsed *row, void *arg)
{
	RehearsalResult *result = (RehearsalResult *) arg;
	MemoryContext old = MemoryContextSwitchTo(result->scratch);
	const MigFailure *failure = row->failure;
	Datum		values[COLUMNS] = {0};
	bool		nulls[COLUMNS] = {false};

	values[0] = CStringGetTextDatum(row->version);
	values[1] = CStringGetTextDatum(row->name);
	values[2] = Int32GetDatum(row->statement);
	values[3] = mig_sql_text_datum(row->tag, &nulls[3]);
	values[4] = Float8GetDatum(row->execution_ms);
	nulls[4] = (row->statement == 0 || row->skipped != NULL);
	values[5] = mig_sql_text_datum(failure ? failure->message : NULL,
								   &nulls[5]);
	values[6] = mig_sql_text_datum(row->skipped, &nulls[6]);
	values[7] = CStringGetTextDatum(mig_body_part_name(row->part));
	values[8] = Int32GetDatum(row->line);
	nulls[2] = nulls[8] = (row->statement == 0);
	values[9] = Int64GetDatum((int64) row->row_count);
	nulls[9] = (row->effects == NULL);
	put_effects(result, row->effects, values, nulls);
	values[19] = mig_sql_text_datum(failure ? failure->sqlstate : NULL,
									&nulls[19]);
	values[20] = mig_sql_text_datum(failure ? failure->hint : NULL,
									&nulls[20]);
	values[21] = mig_sql_text_datum(failure ? failure->detail : NULL,
									&nulls[21]);
	mig_put_row(result->rsinfo, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextReset(result->scratch);
}

/* checks the columns first, since two of them are taken by their number here */
static void
init_result(FunctionCallInfo fcinfo, RehearsalResult *result)
{
	InitMaterializedSRF(fcinfo, 0);
	result->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	mig_put_row_check(result->rsinfo->setDesc, COLUMNS);
	result->scratch = AllocSetContextCreate(CurrentMemoryContext,
											"migrate result row",
											ALLOCSET_DEFAULT_SIZES);
	result->lock = element_desc(result->rsinfo->setDesc, COLUMN_LOCKS);
	result->scan = element_desc(result->rsinfo->setDesc, COLUMN_SCANS);
}

Datum
migrate_rehearse(PG_FUNCTION_ARGS)
{
	MigRunOptions options;
	RehearsalResult result;

	init_result(fcinfo, &result);
	memset(&options, 0, sizeof(options));
	options.dry_run = true;
	options.target = mig_argument_version(fcinfo, 0);
	options.restricted = !PG_ARGISNULL(1);
	options.versions = mig_argument_text_list(fcinfo, 1);
	options.project = mig_argument_project(fcinfo, 2);
	mig_rehearse_up(&options, put_rehearsed, &result);
	return (Datum) 0;
}

/* of the type that its SQL definition explains */
static int64
get_steps(FunctionCallInfo fcinfo, int n)
{
	double		steps;

	if (PG_ARGISNULL(n))
		mig_argument_must_not_be_null("steps");
	steps = PG_GETARG_FLOAT8(n);
	if (!(steps >= 0 && steps == rint(steps) && FLOAT8_FITS_IN_INT64(steps)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"steps\" must be a number of migrations")));
	return (int64) steps;
}

Datum
migrate_rehearse_rollback(PG_FUNCTION_ARGS)
{
	MigRunOptions options;
	MigDownChoice choice;
	RehearsalResult result;

	init_result(fcinfo, &result);
	memset(&options, 0, sizeof(options));
	memset(&choice, 0, sizeof(choice));
	options.dry_run = true;
	options.project = mig_argument_project(fcinfo, 3);
	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("only one of \"target\" and \"versions\" can be given")));
	choice.undo_to = "SELECT * FROM migrate.rehearse_rollback(target => %s)";
	choice.target = mig_argument_version(fcinfo, 1);
	choice.versions = mig_argument_text_list(fcinfo, 2);
	if (choice.target != NULL)
		choice.kind = MIG_DOWN_TO;
	else if (!PG_ARGISNULL(2))
		choice.kind = MIG_DOWN_VERSIONS;
	else
	{
		choice.kind = MIG_DOWN_STEPS;
		choice.steps = get_steps(fcinfo, 0);
	}
	mig_rehearse_down(&options, &choice, put_rehearsed, &result);
	return (Datum) 0;
}
