/*-------------------------------------------------------------------------
 *
 * run_functions.c
 *	  The SQL-callable functions and procedures that run migrations, and what
 *	  refuses text where they want a number.
 *
 * Arguments in, result rows out; see doc/reference.md for what they do.
 * EXECUTE is the right to call a function, and nothing here checks more; what
 * a body may do is decided by the role that calls.
 *
 * The procedures must not have a SET clause and must not be SECURITY DEFINER:
 * the server lets such a procedure commit nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/argument.h"
#include "base/migrate.h"
#include "base/printable.h"
#include "base/put_row.h"
#include "base/sql.h"
#include "exec/toplevel.h"
#include "ledger/applied.h"
#include "ledger/migration.h"
#include "run/apply.h"
#include "run/apply_each.h"
#include "run/background.h"
#include "source/body.h"

PG_FUNCTION_INFO_V1(migrate_apply);
PG_FUNCTION_INFO_V1(migrate_rollback);
PG_FUNCTION_INFO_V1(migrate_rollback_to);
PG_FUNCTION_INFO_V1(migrate_rollback_run);
PG_FUNCTION_INFO_V1(migrate_redo);
PG_FUNCTION_INFO_V1(migrate_apply_each);
PG_FUNCTION_INFO_V1(migrate_rollback_each);
PG_FUNCTION_INFO_V1(migrate_start);
PG_FUNCTION_INFO_V1(migrate_wait);
PG_FUNCTION_INFO_V1(migrate_cancel);
PG_FUNCTION_INFO_V1(migrate_refuse_text);

/*
 * The functions that have a number first: what it is for, where the project is,
 * and what who gave text may have meant; %s is that text as a literal.
 */
typedef struct NumberArgument
{
	const char *function;
	int			project;
	const char *argument;
	const char *what;
	const char *only;			/* the call for a version alone, with %s for
								 * it; NULL: there is none */
	const char *after;			/* that for all after it; NULL: there is none */
} NumberArgument;

static const NumberArgument numbers[] = {
	{"rollback", 7, "steps", "number of migrations",
		"SELECT * FROM migrate.rollback(versions => ARRAY[%s])",
	"SELECT * FROM migrate.rollback_to(%s)"},
	{"plan_rollback", 1, "steps", "number of migrations",
		"SELECT * FROM migrate.rollback(versions => ARRAY[%s], dry_run => true)",
	"SELECT * FROM migrate.rollback_to(%s, dry_run => true)"},
	{"redo", 5, "steps", "number of migrations", NULL, NULL},
	{"rollback_run", 6, "run", "number of a run",
		"SELECT * FROM migrate.rollback(versions => ARRAY[%s])",
	"SELECT * FROM migrate.rollback_to(%s)"},
	{"rollback_each", 5, "steps", "number of migrations", NULL,
	"CALL migrate.rollback_each(target => %s)"},
	{"rehearse_rollback", 3, "steps", "number of migrations",
		"SELECT * FROM migrate.rehearse_rollback(versions => ARRAY[%s])",
	"SELECT * FROM migrate.rehearse_rollback(target => %s)"},
	{"history", 1, "max_rows", "number of attempts",
	"SELECT * FROM migrate.history() WHERE version = %s", NULL},
	{"failures", 1, "max_rows", "number of attempts",
	"SELECT * FROM migrate.failures() WHERE version = %s", NULL},
};

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
						 mig_body_part_name(failure->part), failure->statement,
						 failure->line);
	appendStringInfoChar(&buf, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data));
}

/* a MigApplySink that adds to the function's result */
static void
put_run_result(const MigApplyResult *result, void *arg)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) arg;
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = Int64GetDatum(result->run);
	nulls[0] = (result->run == 0);
	values[1] = mig_sql_text_datum(result->version, &nulls[1]);
	values[2] = mig_sql_text_datum(result->name, &nulls[2]);
	values[3] = CStringGetTextDatum(result->action);
	values[4] = Int32GetDatum(result->statements);
	values[5] = Float8GetDatum(result->execution_ms);
	nulls[6] = (result->failure == NULL);
	if (result->failure != NULL)
		values[6] = failure_to_jsonb(result->failure);
	mig_put_row(rsinfo, values, nulls);
}

Datum
migrate_apply(PG_FUNCTION_ARGS)
{
	MigRunOptions options;

	InitMaterializedSRF(fcinfo, 0);
	memset(&options, 0, sizeof(options));
	options.target = mig_argument_version(fcinfo, 0);
	options.restricted = !PG_ARGISNULL(1);
	options.versions = mig_argument_text_list(fcinfo, 1);
	options.dry_run = mig_argument_bool(fcinfo, 2, "dry_run");
	options.raise = mig_argument_bool(fcinfo, 3, "raise");
	options.note = mig_argument_note(fcinfo, 4);
	options.project = mig_argument_project(fcinfo, 5);
	mig_apply_up(&options, put_run_result, fcinfo->resultinfo);
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
	options->dry_run = mig_argument_bool(fcinfo, first++, "dry_run");
	options->raise = mig_argument_bool(fcinfo, first++, "raise");
	options->note = mig_argument_note(fcinfo, first++);
	if (has_hold)
	{
		options->hold_given = !PG_ARGISNULL(first);
		options->hold = options->hold_given && PG_GETARG_BOOL(first);
		first++;
	}
	options->confirm = mig_argument_text(fcinfo, first++);
	options->project = mig_argument_project(fcinfo, first);
}

Datum
migrate_rollback(PG_FUNCTION_ARGS)
{
	MigRunOptions options;
	MigDownChoice choice;

	InitMaterializedSRF(fcinfo, 0);
	get_rollback_options(fcinfo, 2, true, &options);
	memset(&choice, 0, sizeof(choice));
	if (PG_ARGISNULL(1))
	{
		choice.kind = MIG_DOWN_STEPS;
		choice.steps = mig_argument_steps(fcinfo, 0);
		choice.undo_to = "SELECT * FROM migrate.rollback_to(%s)";
	}
	else
	{
		choice.kind = MIG_DOWN_VERSIONS;
		choice.versions = mig_argument_text_list(fcinfo, 1);
	}
	mig_apply_down(&options, &choice, put_run_result, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
migrate_rollback_to(PG_FUNCTION_ARGS)
{
	MigRunOptions options;
	MigDownChoice choice;

	InitMaterializedSRF(fcinfo, 0);
	get_rollback_options(fcinfo, 1, true, &options);
	memset(&choice, 0, sizeof(choice));
	choice.kind = MIG_DOWN_TO;
	choice.target = mig_argument_required_version(fcinfo, 0, "target");
	mig_apply_down(&options, &choice, put_run_result, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
migrate_rollback_run(PG_FUNCTION_ARGS)
{
	MigRunOptions options;
	MigDownChoice choice;

	InitMaterializedSRF(fcinfo, 0);
	get_rollback_options(fcinfo, 1, true, &options);
	memset(&choice, 0, sizeof(choice));
	choice.kind = MIG_DOWN_RUN;
	if (!PG_ARGISNULL(0))
	{
		choice.run = PG_GETARG_INT64(0);
		if (choice.run < 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"run\" must be the number of a run")));
	}
	mig_apply_down(&options, &choice, put_run_result, fcinfo->resultinfo);
	return (Datum) 0;
}

Datum
migrate_redo(PG_FUNCTION_ARGS)
{
	MigRunOptions options;

	InitMaterializedSRF(fcinfo, 0);
	get_rollback_options(fcinfo, 1, false, &options);
	mig_apply_redo(&options, mig_argument_steps(fcinfo, 0), put_run_result,
				   fcinfo->resultinfo);
	return (Datum) 0;
}

/*
 * Leave the snapshot of the CALL behind, as COMMIT in a procedure does: from
 * here on no snapshot is active and nothing is connected to SPI.
 */
static void
leave_snapshot(void)
{
	MemoryContext context = CurrentMemoryContext;

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	SPI_commit();
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	MemoryContextSwitchTo(context);
}

static Datum
result_row(FunctionCallInfo fcinfo, const MigApplyEachResult *result)
{
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(result->run);
	nulls[0] = (result->run == 0);
	values[1] = Int32GetDatum(result->migrations);
	values[2] = Int64GetDatum(result->statements);
	values[3] = Float8GetDatum(result->execution_ms);
	return mig_put_row_datum(BlessTupleDesc(desc), values, nulls);
}

Datum
migrate_apply_each(PG_FUNCTION_ARGS)
{
	MigRunOptions options;
	MigApplyEachResult result;

	memset(&options, 0, sizeof(options));
	options.target = mig_argument_version(fcinfo, 0);
	options.restricted = !PG_ARGISNULL(1);
	options.versions = mig_argument_text_list(fcinfo, 1);
	options.note = mig_argument_note(fcinfo, 2);
	options.project = mig_argument_project(fcinfo, 3);
	options.raise = true;
	mig_toplevel_require(fcinfo->context, "migrate.apply_each()");
	leave_snapshot();
	mig_apply_each_up(&options, mig_background_run(), &result);
	return result_row(fcinfo, &result);
}

Datum
migrate_rollback_each(PG_FUNCTION_ARGS)
{
	MigRunOptions options;
	MigDownChoice choice;
	MigApplyEachResult result;

	memset(&options, 0, sizeof(options));
	memset(&choice, 0, sizeof(choice));
	choice.undo_to = "CALL migrate.rollback_each(target => %s)";
	choice.target = mig_argument_version(fcinfo, 1);
	choice.kind = choice.target ? MIG_DOWN_TO : MIG_DOWN_STEPS;
	if (choice.target == NULL)
		choice.steps = mig_argument_steps(fcinfo, 0);
	options.note = mig_argument_note(fcinfo, 2);
	options.hold_given = !PG_ARGISNULL(3);
	options.hold = options.hold_given && PG_GETARG_BOOL(3);
	options.confirm = mig_argument_text(fcinfo, 4);
	options.project = mig_argument_project(fcinfo, 5);
	options.raise = true;
	mig_toplevel_require(fcinfo->context, "migrate.rollback_each()");
	leave_snapshot();
	mig_apply_each_down(&options, &choice, &result);
	return result_row(fcinfo, &result);
}

Datum
migrate_start(PG_FUNCTION_ARGS)
{
	MigRunOptions options;

	memset(&options, 0, sizeof(options));
	options.target = mig_argument_version(fcinfo, 0);
	options.restricted = !PG_ARGISNULL(1);
	options.versions = mig_argument_text_list(fcinfo, 1);
	options.note = mig_argument_note(fcinfo, 2);
	options.project = mig_argument_project(fcinfo, 3);
	PG_RETURN_INT64(mig_background_start(&options));
}

/* milliseconds, months being 30 days; -1 for null */
static double
interval_ms(FunctionCallInfo fcinfo, int n)
{
	Interval   *interval;

	if (PG_ARGISNULL(n))
		return -1;
	interval = PG_GETARG_INTERVAL_P(n);
	return Max(0.0,
			   interval->time / 1000.0 +
			   (interval->day + interval->month * (double) DAYS_PER_MONTH) *
			   SECS_PER_DAY * 1000.0);
}

Datum
migrate_wait(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[1];
	bool		nulls[1] = {false};
	int64		run;
	double		timeout_ms;

	if (PG_ARGISNULL(0))
		mig_argument_must_not_be_null("run");
	run = PG_GETARG_INT64(0);
	timeout_ms = interval_ms(fcinfo, 1);
	mig_background_refuse_own(run);
	mig_toplevel_require(fcinfo->context, "migrate.wait()");
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	leave_snapshot();
	values[0] = CStringGetTextDatum(mig_background_wait(run, timeout_ms));
	return mig_put_row_datum(BlessTupleDesc(desc), values, nulls);
}

Datum
migrate_cancel(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		mig_argument_must_not_be_null("run");
	PG_RETURN_BOOL(mig_background_cancel(PG_GETARG_INT64(0)));
}

/* does a text look like a count, and not like a version, "002"? */
static bool
looks_like_count(const char *text)
{
	return *text >= '1' && *text <= '9' &&
		strspn(text, "0123456789") == strlen(text);
}

/*
 * What to write instead of a text that was given for a number, which is not to
 * undo more than the text names.
 */
static char *
instead_of_text(const NumberArgument *number, const char *given,
				const char *literal, bool is_version)
{
	StringInfoData hint;

	initStringInfo(&hint);
	if (is_version && number->only != NULL)
	{
		appendStringInfoString(&hint, "For this version alone: ");
		appendStringInfo(&hint, number->only, literal);
		appendStringInfoString(&hint, ".  ");
	}
	if (is_version && number->after != NULL)
	{
		appendStringInfoString(&hint, "For what was applied after this version: ");
		appendStringInfo(&hint, number->after, literal);
		appendStringInfoString(&hint, ".  ");
	}
	appendStringInfoString(&hint, "A number is written without quotes");
	if (!is_version && looks_like_count(given))
		appendStringInfo(&hint, ", migrate.%s(%s)", number->function,
						 mig_printable_line(given, MIG_EXCERPT_BYTES));
	appendStringInfoString(&hint,
						   "; a parameter of a driver may need a cast, $1::int.");
	if (!is_version && number->after != NULL &&
		(given[0] == '\0' || pg_strcasecmp(given, "all") == 0 ||
		 strcmp(given, MIG_TARGET_BASE) == 0))
	{
		appendStringInfoString(&hint, "  For everything: ");
		appendStringInfo(&hint, number->after, "'" MIG_TARGET_BASE "'");
		appendStringInfoChar(&hint, '.');
	}
	return hint.data;
}

/*
 * An untyped literal is text to whoever looks for a function, so a version in
 * the place of a number ends here and not as a roll-back of 104 migrations.
 */
Datum
migrate_refuse_text(PG_FUNCTION_ARGS)
{
	char	   *function = get_func_name(fcinfo->flinfo->fn_oid);
	const NumberArgument *number = numbers;
	char	   *given;
	char	   *literal;
	char	   *project;
	bool		is_version;

	while (strcmp(number->function, function) != 0)
	{
		number++;
		Assert(number < numbers + lengthof(numbers));
	}
	if (PG_ARGISNULL(0))
		mig_argument_must_not_be_null(number->argument);
	given = mig_argument_text(fcinfo, 0);
	literal = quote_literal_cstr(mig_printable_line(given, MIG_EXCERPT_BYTES));
	project = mig_argument_project(fcinfo, number->project);
	is_version = mig_migration_is_stored(project, given) ||
		mig_applied_exists(project, given);
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("migrate.%s() takes the %s, and %s is text",
					function, number->what, literal),
			 errhint("%s", instead_of_text(number, given, literal,
										   is_version))));
}
