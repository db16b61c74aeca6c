/*-------------------------------------------------------------------------
 *
 * adopt_functions.c
 *	  The SQL-callable functions that take histories over from other tools.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "adopt/adopt.h"
#include "adopt/export.h"
#include "base/argument.h"
#include "base/put_row.h"
#include "base/sql.h"

PG_FUNCTION_INFO_V1(migrate_detect);
PG_FUNCTION_INFO_V1(migrate_adopt);
PG_FUNCTION_INFO_V1(migrate_export);

/* a MigDetectSink that adds to the function's result */
static void
put_detected(const MigDetected *detected, void *arg)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) arg;
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = CStringGetTextDatum(detected->tool);
	values[1] = CStringGetTextDatum(detected->ledger);
	values[2] = CStringGetTextDatum(detected->state);
	values[3] = Int64GetDatum(detected->entries);
	nulls[3] = detected->entries < 0;
	values[4] = mig_sql_text_datum(detected->newest, &nulls[4]);
	values[5] = TimestampTzGetDatum(detected->newest_at);
	nulls[5] = !detected->has_time;
	values[6] = mig_sql_text_datum(detected->detail, &nulls[6]);
	mig_put_row(rsinfo, values, nulls);
}

Datum
migrate_detect(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	mig_adopt_detect(put_detected, fcinfo->resultinfo);
	return (Datum) 0;
}

/* a MigAdoptSink that adds to the function's result */
static void
put_adopted(const MigAdopted *adopted, void *arg)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) arg;
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = Int64GetDatum(adopted->run);
	nulls[0] = adopted->run == 0;
	values[1] = mig_sql_text_datum(adopted->version, &nulls[1]);
	values[2] = mig_sql_text_datum(adopted->name, &nulls[2]);
	values[3] = CStringGetTextDatum(adopted->action);
	values[4] = mig_sql_text_datum(adopted->entry, &nulls[4]);
	values[5] = TimestampTzGetDatum(adopted->applied_at);
	nulls[5] = !adopted->has_time;
	values[6] = mig_sql_text_datum(adopted->detail, &nulls[6]);
	mig_put_row(rsinfo, values, nulls);
}

Datum
migrate_adopt(PG_FUNCTION_ARGS)
{
	MigAdoption adoption = {NULL};

	InitMaterializedSRF(fcinfo, 0);
	adoption.tool = mig_argument_required_text(fcinfo, 0, "tool");
	if (strcmp(adoption.tool, "auto") == 0)
		adoption.tool = NULL;
	adoption.dry_run = mig_argument_bool(fcinfo, 1, "dry_run");
	adoption.relation = PG_ARGISNULL(2) ? InvalidOid : PG_GETARG_OID(2);
	adoption.accept = mig_argument_bool(fcinfo, 3, "accept");
	adoption.note = mig_argument_note(fcinfo, 4);
	adoption.project = mig_argument_project(fcinfo, 5);
	mig_adopt_run(&adoption, put_adopted, fcinfo->resultinfo);
	return (Datum) 0;
}

/* a MigExportSink that adds to the function's result */
static void
put_file(const char *path, const char *content, void *arg)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) arg;
	Datum		values[2];
	bool		nulls[2] = {false};

	values[0] = CStringGetTextDatum(path);
	values[1] = CStringGetTextDatum(content);
	mig_put_row(rsinfo, values, nulls);
}

Datum
migrate_export(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	mig_export_project(mig_argument_project(fcinfo, 1),
					   mig_argument_required_text(fcinfo, 0, "convention"),
					   put_file, fcinfo->resultinfo);
	return (Datum) 0;
}
