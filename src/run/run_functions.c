/*-------------------------------------------------------------------------
 *
 * run_functions.c
 *	  The SQL-callable functions that run, mend and grant.
 *
 * Arguments in, result rows out; see doc/reference.md for what they do.
 * EXECUTE is the right to call a function, and nothing here checks more; what
 * a body may do is decided by the role that calls.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "admin/privileges.h"
#include "admin/repair.h"
#include "base/argument.h"
#include "base/compat.h"
#include "base/sql.h"
#include "base/version_order.h"
#include "run/apply.h"
#include "source/body.h"

PG_FUNCTION_INFO_V1(mig_apply);
PG_FUNCTION_INFO_V1(mig_rollback);
PG_FUNCTION_INFO_V1(mig_rollback_to);
PG_FUNCTION_INFO_V1(mig_rollback_run);
PG_FUNCTION_INFO_V1(mig_redo);
PG_FUNCTION_INFO_V1(mig_refuse_text);
PG_FUNCTION_INFO_V1(mig_stamp);
PG_FUNCTION_INFO_V1(mig_unstamp);
PG_FUNCTION_INFO_V1(mig_stamp_to);
PG_FUNCTION_INFO_V1(mig_resume);
PG_FUNCTION_INFO_V1(mig_prune_journal);
PG_FUNCTION_INFO_V1(mig_grant);
PG_FUNCTION_INFO_V1(mig_revoke);
PG_FUNCTION_INFO_V1(mig_take_back);
PG_FUNCTION_INFO_V1(mig_version);
PG_FUNCTION_INFO_V1(mig_version_key);

static void
append_json_text(StringInfo buf, const char *key, const char *value)
{
	appendStringInfo(buf, "%s\"%s\": ", buf->len > 1 ? ", " : "", key);
	if (value == NULL)
		appendStringInfoString(buf, "null");
	else
		escape_json(buf, value);
}

static Datum
failure_to_jsonb(const MigFailure *failure)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	append_json_text(&buf, "sqlstate", failure->sqlstate);
	append_json_text(&buf, "message", failure->message);
	append_json_text(&buf, "detail", failure->detail);
	append_json_text(&buf, "hint", failure->hint);
	append_json_text(&buf, "context", failure->context);
	if (failure->in_body)
		appendStringInfo(&buf, ", \"body\": \"%s\", \"statement\": %d, \"line\": %d",
						 mig_part_name(failure->part), failure->statement,
						 failure->line);
	appendStringInfoChar(&buf, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data));
}

/* a MigRunSink that adds to the function's result */
static void
put_run_result(const MigRunResult *result, void *arg)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) arg;
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = Int64GetDatum(result->run);
	nulls[0] = (result->run == 0);
	values[1] = mig_text_datum(result->version, &nulls[1]);
	values[2] = mig_text_datum(result->name, &nulls[2]);
	values[3] = CStringGetTextDatum(result->action);
	values[4] = Int32GetDatum(result->statements);
	values[5] = Float8GetDatum(result->execution_ms);
	nulls[6] = (result->failure == NULL);
	if (result->failure != NULL)
		values[6] = failure_to_jsonb(result->failure);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
mig_apply(PG_FUNCTION_ARGS)
{
	MigRunOptions options;

	InitMaterializedSRF(fcinfo, 0);
	memset(&options, 0, sizeof(options));
	options.target = mig_arg_version(fcinfo, 0);
	options.restricted = !PG_ARGISNULL(1);
	options.versions = mig_arg_text_list(fcinfo, 1);
	options.dry_run = mig_arg_bool(fcinfo, 2, "dry_run");
	options.raise = mig_arg_bool(fcinfo, 3, "raise");
	options.note = mig_arg_note(fcinfo, 4);
	options.project = mig_arg_project(fcinfo, 5);
	mig_run_apply(&options, put_run_result, fcinfo->resultinfo);
	return (Datum) 0;
}

/*
 * The arguments that all roll-backs have, in this order, from the one at
 * position first: dry_run, raise, note, hold (if has_hold), confirm, project.
 */
static void
get_rollback_options(FunctionCallInfo fcinfo, int first, bool has_hold,
					 MigRunOptions *options)
{
	memset(options, 0, sizeof(MigRunOptions));
	options->dry_run = mig_arg_bool(fcinfo, first++, "dry_run");
	options->raise = mig_arg_bool(fcinfo, first++, "raise");
	options->note = mig_arg_note(fcinfo, first++);
	if (has_hold)
	{
		options->hold_given = !PG_ARGISNULL(first);
		options->hold = options->hold_given && PG_GETARG_BOOL(first);
		first++;
	}
	options->confirm = mig_arg_text(fcinfo, first++);
	options->project = mig_arg_project(fcinfo, first);
}

Datum
mig_rollback(PG_FUNCTION_ARGS)
{
	MigRunOptions options;
	MigDownChoice choice;

	InitMaterializedSRF(fcinfo, 0);
	get_rollback_options(fcinfo, 2, true, &options);
	memset(&choice, 0, sizeof(choice));
	if (PG_ARGISNULL(1))
	{
		choice.kind = MIG_DOWN_STEPS;
		choice.steps = mig_arg_steps(fcinfo, 0);
	}
	else
	{
		choice.kind = MIG_DOWN_VERSIONS;
		choice.versions = mig_arg_text_list(fcinfo, 1);
	}
	mig_run_rollback(&options, &choice, put_run_result, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
mig_rollback_to(PG_FUNCTION_ARGS)
{
	MigRunOptions options;
	MigDownChoice choice;

	InitMaterializedSRF(fcinfo, 0);
	get_rollback_options(fcinfo, 1, true, &options);
	memset(&choice, 0, sizeof(choice));
	choice.kind = MIG_DOWN_TO;
	choice.target = mig_arg_required_version(fcinfo, 0, "target");
	mig_run_rollback(&options, &choice, put_run_result, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
mig_rollback_run(PG_FUNCTION_ARGS)
{
	MigRunOptions options;
	MigDownChoice choice;

	InitMaterializedSRF(fcinfo, 0);
	get_rollback_options(fcinfo, 1, true, &options);
	memset(&choice, 0, sizeof(choice));
	choice.kind = MIG_DOWN_RUN;
	choice.run = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT64(0);
	mig_run_rollback(&options, &choice, put_run_result, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
mig_redo(PG_FUNCTION_ARGS)
{
	MigRunOptions options;

	InitMaterializedSRF(fcinfo, 0);
	get_rollback_options(fcinfo, 1, false, &options);
	mig_run_redo(&options, mig_arg_steps(fcinfo, 0), put_run_result,
				 fcinfo->resultinfo);
	return (Datum) 0;
}

/*
 * What a number is for in the functions that have one first, and what who gave
 * text may have meant; %s is that text as a literal.
 */
typedef struct Number
{
	const char *function;
	const char *argument;
	const char *what;
	const char *instead;
} Number;

static const Number numbers[] = {
	{"history", "n", "number of attempts", "The rows of one version have version = %s."},
	{"failures", "n", "number of attempts", "The rows of one version have version = %s."},
	{"rollback_run", "run", "number of a run", "migrate.rollback_to(%s) undoes everything after that version."},
	{NULL, "steps", "number of migrations", "migrate.rollback_to(%s) undoes everything after that version."}
};

/*
 * An untyped literal is text to whoever looks for a function, so a version in
 * the place of a number ends here and not as a roll-back of 104 migrations.
 */
Datum
mig_refuse_text(PG_FUNCTION_ARGS)
{
	char	   *function = get_func_name(fcinfo->flinfo->fn_oid);
	const Number *number = numbers;
	char	   *given;

	while (number->function && strcmp(number->function, function) != 0)
		number++;
	if (PG_ARGISNULL(0))
		mig_arg_must_not_be_null(number->argument);
	given = quote_literal_cstr(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("migrate.%s() takes the %s, and %s is text",
					function, number->what, given),
			 errhint("%s  A number is written without quotes; a parameter of a driver may need a cast, $1::int.",
					 psprintf(number->instead, given))));
}

/* a MigMendSink that adds to the function's result */
static void
put_mend_result(int64 run, const char *version, const char *name,
				const char *action, void *arg)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) arg;
	Datum		values[4];
	bool		nulls[4] = {false};

	values[0] = Int64GetDatum(run);
	values[1] = CStringGetTextDatum(version);
	values[2] = CStringGetTextDatum(name);
	values[3] = CStringGetTextDatum(action);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
mig_stamp(PG_FUNCTION_ARGS)
{
	char	   *how;

	InitMaterializedSRF(fcinfo, 0);
	how = mig_arg_required_text(fcinfo, 2, "how");
	if (strcmp(how, "stamp") != 0 && strcmp(how, "apply") != 0 &&
		strcmp(how, "adopt") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"how\": \"%s\"", how),
				 errhint("Valid values are stamp, apply and adopt.")));
	mig_mend_stamp(mig_arg_project(fcinfo, 3),
				   mig_arg_required_version(fcinfo, 0, "version"),
				   how, mig_arg_note(fcinfo, 1), put_mend_result,
				   fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
mig_unstamp(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	mig_mend_unstamp(mig_arg_project(fcinfo, 3),
					 mig_arg_required_version(fcinfo, 0, "version"),
					 mig_arg_note(fcinfo, 1), mig_arg_text(fcinfo, 2),
					 put_mend_result, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
mig_stamp_to(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	mig_mend_stamp_to(mig_arg_project(fcinfo, 3),
					  mig_arg_required_version(fcinfo, 0, "target"),
					  mig_arg_note(fcinfo, 1), mig_arg_text(fcinfo, 2),
					  put_mend_result, fcinfo->resultinfo);
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
mig_resume(PG_FUNCTION_ARGS)
{
	char	   *project;
	char	   *version;
	int			at;
	int			done;

	InitMaterializedSRF(fcinfo, 0);
	project = mig_arg_project(fcinfo, 4);
	version = mig_arg_required_version(fcinfo, 0, "version");
	at = get_statement_number(fcinfo, 1, "at");
	done = get_statement_number(fcinfo, 2, "done");
	if ((at == 0) == (done == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("either \"at\" or \"done\" must be given"),
				 errhint("at => N runs statement N again, done => N goes on after it.")));
	mig_mend_resume(project, version, at, done, mig_arg_note(fcinfo, 3),
					put_mend_result, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
mig_prune_journal(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		mig_arg_must_not_be_null("older_than");
	PG_RETURN_INT64(mig_mend_prune_journal(mig_arg_project(fcinfo, 2),
										   PG_GETARG_DATUM(0),
										   mig_arg_note(fcinfo, 1)));
}

Datum
mig_grant(PG_FUNCTION_ARGS)
{
	mig_rights_change(true, mig_arg_required_text(fcinfo, 0, "right"),
					  mig_arg_required_text(fcinfo, 1, "role"));
	PG_RETURN_VOID();
}

Datum
mig_revoke(PG_FUNCTION_ARGS)
{
	mig_rights_change(false, mig_arg_required_text(fcinfo, 0, "right"),
					  mig_arg_required_text(fcinfo, 1, "role"));
	PG_RETURN_VOID();
}

/* of the install script */
Datum
mig_take_back(PG_FUNCTION_ARGS)
{
	mig_rights_take_back();
	PG_RETURN_VOID();
}

Datum
mig_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(MIG_VERSION));
}

Datum
mig_version_key(PG_FUNCTION_ARGS)
{
	int			length;
	char	   *key = mig_version_sort_key(text_to_cstring(PG_GETARG_TEXT_PP(0)),
										   &length);
	bytea	   *result = palloc(VARHDRSZ + length);

	SET_VARSIZE(result, VARHDRSZ + length);
	memcpy(VARDATA(result), key, length);
	PG_RETURN_BYTEA_P(result);
}
