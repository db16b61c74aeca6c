/*-------------------------------------------------------------------------
 *
 * repair_functions.c
 *	  The SQL-callable functions that change the ledger by hand.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "admin/repair.h"
#include "base/argument.h"
#include "base/printable.h"
#include "base/put_row.h"

PG_FUNCTION_INFO_V1(migrate_stamp);
PG_FUNCTION_INFO_V1(migrate_unstamp);
PG_FUNCTION_INFO_V1(migrate_stamp_to);
PG_FUNCTION_INFO_V1(migrate_resume);
PG_FUNCTION_INFO_V1(migrate_prune_journal);

/* a MigRepairSink that adds to the function's result */
static void
put_repair_result(int64 run, const char *version, const char *name,
				  const char *action, void *arg)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) arg;
	Datum		values[4];
	bool		nulls[4] = {false};

	values[0] = Int64GetDatum(run);
	values[1] = CStringGetTextDatum(version);
	values[2] = CStringGetTextDatum(name);
	values[3] = CStringGetTextDatum(action);
	mig_put_row(rsinfo, values, nulls);
}

Datum
migrate_stamp(PG_FUNCTION_ARGS)
{
	char	   *origin;

	InitMaterializedSRF(fcinfo, 0);
	origin = mig_argument_required_text(fcinfo, 2, "origin");
	if (strcmp(origin, "stamp") != 0 && strcmp(origin, "apply") != 0 &&
		strcmp(origin, "adopt") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"origin\": \"%s\"", origin),
				 errhint("Valid values are stamp, apply and adopt.")));
	mig_repair_stamp(mig_argument_project(fcinfo, 3),
					 mig_argument_required_version(fcinfo, 0, "version"),
					 origin, mig_argument_note(fcinfo, 1), put_repair_result,
					 fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
migrate_unstamp(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	mig_repair_unstamp(mig_argument_project(fcinfo, 3),
					   mig_argument_required_version(fcinfo, 0, "version"),
					   mig_argument_note(fcinfo, 1),
					   mig_argument_text(fcinfo, 2),
					   put_repair_result, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
migrate_stamp_to(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	mig_repair_stamp_to(mig_argument_project(fcinfo, 3),
						mig_argument_required_version(fcinfo, 0, "target"),
						mig_argument_note(fcinfo, 1),
						mig_argument_text(fcinfo, 2),
						put_repair_result, fcinfo->resultinfo);
	return (Datum) 0;
}

/* a number of a statement, 0 for null */
static int
get_statement_number(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		return 0;
	if (PG_GETARG_INT32(n) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be the number of a statement",
						name)));
	return PG_GETARG_INT32(n);
}

Datum
migrate_resume(PG_FUNCTION_ARGS)
{
	char	   *project;
	char	   *version;
	int			at;
	int			done;

	InitMaterializedSRF(fcinfo, 0);
	project = mig_argument_project(fcinfo, 4);
	version = mig_argument_required_version(fcinfo, 0, "version");
	at = get_statement_number(fcinfo, 1, "at");
	done = get_statement_number(fcinfo, 2, "done");
	if ((at == 0) == (done == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("either \"at\" or \"done\" must be given"),
				 errhint("at => N runs statement N again, done => N goes on after it.")));
	mig_repair_resume(project, version, at, done, mig_argument_note(fcinfo, 3),
					  put_repair_result, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
migrate_prune_journal(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		mig_argument_must_not_be_null("older_than");
	PG_RETURN_INT64(mig_repair_prune_journal(mig_argument_project(fcinfo, 2),
											 PG_GETARG_DATUM(0),
											 mig_argument_note(fcinfo, 1)));
}
