/*-------------------------------------------------------------------------
 *
 * status_functions.c
 *	  The SQL-callable functions that look at what is and what would be.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "admin/monitor.h"
#include "admin/psql_script.h"
#include "admin/status.h"
#include "base/argument.h"
#include "base/put_row.h"
#include "base/sql.h"
#include "ledger/project_names.h"
#include "ledger/tables.h"
#include "plan/plan.h"
#include "plan/project.h"
#include "plan/plan_run.h"

PG_FUNCTION_INFO_V1(migrate_status);
PG_FUNCTION_INFO_V1(migrate_outcome);
PG_FUNCTION_INFO_V1(migrate_progress);
PG_FUNCTION_INFO_V1(migrate_plan);
PG_FUNCTION_INFO_V1(migrate_plan_rollback);
PG_FUNCTION_INFO_V1(migrate_check);
PG_FUNCTION_INFO_V1(migrate_heads);
PG_FUNCTION_INFO_V1(migrate_current);
PG_FUNCTION_INFO_V1(migrate_has_files);
PG_FUNCTION_INFO_V1(migrate_verify);
PG_FUNCTION_INFO_V1(migrate_script);
PG_FUNCTION_INFO_V1(migrate_known_project);

/* warn unless the caller knows that the project has no migrations */
static MigProject *
warn_if_empty(MigProject *project)
{
	if (project->count == 0)
		mig_project_names_tell_empty(project->name, WARNING);
	return project;
}

/* without those that only status() tells about */
static MigProject *
read_project_argument(FunctionCallInfo fcinfo)
{
	return warn_if_empty(mig_project_read(mig_argument_project(fcinfo, 0), NIL,
										  false, false));
}

/* may the caller see what a short text could be guessed from? */
static bool
may_see_checksums(void)
{
	Oid			relation = mig_tables_relation("applied");

	return pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) ==
		ACLCHECK_OK ||
		pg_attribute_aclcheck(relation, get_attnum(relation, "checksum"),
							  GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/*
 * Without checksums for callers who may not read bodies, since a short body
 * could be guessed.
 */
static void
put_status(ReturnSetInfo *rsinfo, const MigEntry *entry, bool checksums)
{
	Datum		values[11];
	bool		nulls[11] = {false};

	values[0] = CStringGetTextDatum(entry->version);
	values[1] = CStringGetTextDatum(mig_status_state(entry));
	values[2] = CStringGetTextDatum(entry->name);
	values[3] = mig_sql_text_datum(entry->error, &nulls[3]);
	values[4] = TimestampTzGetDatum(entry->applied_at);
	nulls[4] = !entry->applied;
	values[5] = mig_sql_text_datum(entry->applied_by, &nulls[5]);
	values[6] = Float8GetDatum(entry->execution_ms);
	nulls[6] = !entry->applied;
	values[7] = mig_sql_text_datum(entry->origin, &nulls[7]);
	values[8] = CStringGetTextDatum(entry->kind == MIG_REPEATABLE ?
									"repeatable" : "versioned");
	values[9] = mig_sql_text_datum(entry->path, &nulls[9]);
	values[10] = mig_sql_text_datum(checksums ? entry->checksum : NULL,
									&nulls[10]);
	mig_put_row(rsinfo, values, nulls);
}

Datum
migrate_status(PG_FUNCTION_ARGS)
{
	MigProject *project;
	bool		checksums = may_see_checksums();
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	project =
		warn_if_empty(mig_project_read_all(mig_argument_project(fcinfo, 0),
										   true, false));
	for (i = 0; i < project->count; i++)
		put_status((ReturnSetInfo *) fcinfo->resultinfo, project->order[i],
				   checksums);
	mig_status_notice_late(project);
	mig_plan_run_warn_of_schemas(project);
	return (Datum) 0;
}

/* a MigPlanSink that adds to the function's result */
static void
put_plan_step(int step, const MigEntry *entry, const char *action,
			  bool own_transaction, const char *reason, void *arg)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) arg;
	Datum		values[6];
	bool		nulls[6] = {false};

	values[0] = Int32GetDatum(step);
	values[1] = CStringGetTextDatum(entry->version);
	values[2] = CStringGetTextDatum(entry->name);
	values[3] = CStringGetTextDatum(action);
	values[4] = BoolGetDatum(own_transaction);
	values[5] = CStringGetTextDatum(reason);
	mig_put_row(rsinfo, values, nulls);
}

Datum
migrate_plan(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	mig_status_plan(mig_argument_project(fcinfo, 1),
					mig_argument_version(fcinfo, 0), put_plan_step,
					fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
migrate_plan_rollback(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	mig_status_plan_rollback(mig_argument_project(fcinfo, 1),
							 mig_argument_steps(fcinfo, 0), put_plan_step,
							 fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
migrate_check(PG_FUNCTION_ARGS)
{
	mig_status_check(mig_argument_project(fcinfo, 1),
					 mig_argument_version(fcinfo, 0));
	PG_RETURN_VOID();
}

Datum
migrate_heads(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	ListCell   *lc;
	List	   *heads;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	heads = mig_plan_heads(read_project_argument(fcinfo));
	foreach(lc, heads)
	{
		Datum		values[1];
		bool		nulls[1] = {false};

		values[0] = CStringGetTextDatum(((MigEntry *) lfirst(lc))->version);
		mig_put_row(rsinfo, values, nulls);
	}
	return (Datum) 0;
}

Datum
migrate_has_files(PG_FUNCTION_ARGS)
{
	char	   *files = mig_argument_required_text(fcinfo, 0, "fingerprint");

	PG_RETURN_BOOL(mig_plan_run_has_files(mig_argument_project(fcinfo, 1),
										  files));
}

Datum
migrate_current(PG_FUNCTION_ARGS)
{
	MigProject *project = read_project_argument(fcinfo);
	int			i;

	for (i = project->count - 1; i >= 0; i--)
	{
		MigEntry   *entry = project->order[i];

		if (entry->applied && entry->kind == MIG_VERSIONED)
			PG_RETURN_TEXT_P(cstring_to_text(entry->version));
	}
	PG_RETURN_NULL();
}

/* a MigVerifySink that adds to the function's result */
static void
put_verify_result(const MigEntry *entry, const char *sqlstate,
				  const char *message, void *arg)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) arg;
	Datum		values[5];
	bool		nulls[5] = {false};

	values[0] = CStringGetTextDatum(entry->version);
	values[1] = CStringGetTextDatum(entry->name);
	values[2] = BoolGetDatum(sqlstate == NULL);
	values[3] = mig_sql_text_datum(sqlstate, &nulls[3]);
	values[4] = mig_sql_text_datum(message, &nulls[4]);
	mig_put_row(rsinfo, values, nulls);
}

Datum
migrate_verify(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	mig_status_verify(mig_argument_project(fcinfo, 0),
					  put_verify_result, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
migrate_script(PG_FUNCTION_ARGS)
{
	char	   *from = mig_argument_version(fcinfo, 0);
	char	   *to = mig_argument_version(fcinfo, 1);

	PG_RETURN_TEXT_P(cstring_to_text(mig_psql_script(mig_argument_project(fcinfo, 3),
													 from ? from : "base",
													 to ? to : "head",
													 mig_argument_bool(fcinfo, 2, "one_transaction"))));
}

/* a MigRowSink that adds to the function's result */
static void
put_result_row(Datum *values, bool *nulls, int count, void *arg)
{
	mig_put_row_counted((ReturnSetInfo *) arg, values, nulls, count);
}

Datum
migrate_outcome(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		mig_argument_must_not_be_null("run");
	mig_monitor_outcome(PG_GETARG_INT64(0), put_result_row,
						fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
migrate_progress(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	mig_monitor_progress(put_result_row, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
migrate_known_project(PG_FUNCTION_ARGS)
{
	char	   *project = mig_argument_project(fcinfo, 0);

	mig_project_names_warn_if_empty(project);
	PG_RETURN_TEXT_P(cstring_to_text(project));
}
