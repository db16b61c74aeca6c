/*-------------------------------------------------------------------------
 *
 * lint_functions.c
 *	  The SQL-callable function lint().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "base/argument.h"
#include "base/put_row.h"
#include "base/sql.h"
#include "lint/lint.h"

PG_FUNCTION_INFO_V1(migrate_lint);

/* a row of lint(), with nulls for what is about no statement or no table */
static void
put_finding(ReturnSetInfo *rsinfo, const MigFinding *finding)
{
	Datum		values[13];
	bool		nulls[13] = {false};

	values[0] = mig_sql_text_datum(finding->version, &nulls[0]);
	values[1] = CStringGetTextDatum(mig_lint_severity_name(finding->severity));
	values[2] = mig_sql_text_datum(finding->part, &nulls[2]);
	values[3] = Int32GetDatum(finding->line);
	values[4] = CStringGetTextDatum(finding->rule);
	values[5] = CStringGetTextDatum(finding->message);
	values[6] = mig_sql_text_datum(finding->relation, &nulls[6]);
	values[7] = mig_sql_text_datum(finding->name, &nulls[7]);
	values[8] = Int32GetDatum(finding->statement);
	nulls[3] = nulls[8] = finding->statement == 0;
	values[9] = Int64GetDatum(finding->bytes);
	values[10] = Float8GetDatum(finding->rows);
	nulls[9] = nulls[10] = !finding->has_size;
	values[11] = CStringGetTextDatum(mig_lint_link(finding->rule));
	values[12] = mig_sql_text_datum(finding->instead, &nulls[12]);
	mig_put_row(rsinfo, values, nulls);
}

Datum
migrate_lint(PG_FUNCTION_ARGS)
{
	ListCell   *lc;
	List	   *findings;

	InitMaterializedSRF(fcinfo, 0);
	findings = mig_lint(mig_argument_project(fcinfo, 2),
						mig_argument_version(fcinfo, 0),
						!PG_ARGISNULL(1), mig_argument_text_list(fcinfo, 1));
	foreach(lc, findings)
		put_finding((ReturnSetInfo *) fcinfo->resultinfo, lfirst(lc));
	return (Datum) 0;
}
