/*-------------------------------------------------------------------------
 *
 * execute.c
 *	  Running one body in the current transaction.
 *
 * A body runs as the caller, statement by statement, each as a string of its
 * own: that gives every statement its own timing, error position and log
 * line, and extensions that pass the query string on see one statement in it.
 *
 * Each body has a GUC nest level of its own, which is undone at its end in the
 * way of an aborted transaction, so that neither SET nor set_config() nor SET
 * ROLE in one body reaches the next one or the session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "storage/proc.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

#include "base/errors.h"
#include "base/guc.h"
#include "base/session_settings.h"
#include "base/subxact.h"
#include "exec/deferred.h"
#include "exec/execute.h"
#include "exec/lock_wait.h"
#include "exec/timeout.h"
#include "exec/toplevel.h"


/* receives the rows of a verify body's statement */
typedef struct VerifyReceiver
{
	DestReceiver pub;
	bool		failed;
} VerifyReceiver;

void
mig_execute_init(MigExecution *execution, MemoryContext context)
{
	Assert(MemoryContextIsValid(context));
	memset(execution, 0, sizeof(MigExecution));
	execution->context = context;
	execution->statement = -1;
	execution->has_escapes = !standard_conforming_strings;
}

void
mig_execute_reset(MigExecution *execution)
{
	execution->body = NULL;
	execution->label = NULL;
	execution->statement = -1;
	execution->toplevel = false;
	execution->ntimings = 0;
}

void
mig_execute_locate(const MigExecution *execution, ErrorData *edata,
				   MigFailure *failure)
{
	const MigStatement *statement;
	MigPlace	place;

	if (execution->body == NULL || execution->statement < 0)
	{
		mig_error_clip_query(edata);
		return;
	}
	statement = &execution->body->statements[execution->statement];
	mig_body_statement_place(&place, execution->label, execution->body,
							 execution->statement);
	failure->position = mig_error_locate(edata, &place);
	failure->in_body = true;
	failure->part = execution->label->part;
	failure->statement = execution->statement + 1;
	failure->line = statement->line;
}

void
mig_execute_add_timing(MigExecution *execution, const MigTiming *timing)
{
	Assert(timing->execution_ms >= 0);
	if (execution->ntimings == execution->max_timings)
	{
		execution->max_timings = Max(16, 2 * execution->max_timings);
		if (execution->timings == NULL)
			execution->timings =
				MemoryContextAlloc(execution->context,
								   sizeof(MigTiming) * execution->max_timings);
		else
			execution->timings =
				repalloc_huge(execution->timings,
							  sizeof(MigTiming) * execution->max_timings);
	}
	execution->timings[execution->ntimings++] = *timing;
}

static void
set_for_bodies(const char *name, const char *value, GucAction action)
{
	const char *current = GetConfigOption(name, false, false);

	/* in most sessions they are all as they should be */
	if (strcmp(current, value) == 0)
		return;
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, action,
							 true, 0, false);
}

/* bodies have been parsed with the second of these, see source/body.c */
static void
pin_settings(const char *search_path, GucAction action)
{
	set_for_bodies("search_path", search_path, action);
	set_for_bodies("standard_conforming_strings", "on", action);
}

void
mig_execute_set_settings(MigExecution *execution, const char *search_path,
						 bool path_is_policys)
{
	execution->search_path = search_path;
	execution->path_is_policys = path_is_policys;
	pin_settings(search_path, GUC_ACTION_SAVE);
}

void
mig_execute_set_session(MigExecution *execution, const char *search_path,
						bool path_is_policys)
{
	execution->search_path = search_path;
	execution->path_is_policys = path_is_policys;
	pin_settings(search_path, GUC_ACTION_SET);
}

/* says which statement of which body it was */
static void
statement_context_callback(void *arg)
{
	MigExecution *execution = (MigExecution *) arg;
	const MigLabel *label = execution->label;
	const MigStatement *statement;
	char	   *place;

	if (execution->statement < 0)
		return;
	statement = &execution->body->statements[execution->statement];

	/* a LOG or NOTICE is no end of the context that this is made in */
	place = mig_body_label_place(label, execution->statement + 1,
								 statement->line);
	errcontext("%s", place);
	pfree(place);
}

/* as the server does for a statement that comes from a client */
static void
log_statement_of_body(const MigStatement *statement, const char *sql)
{
	if (log_statement != LOGSTMT_NONE &&
		(log_statement == LOGSTMT_ALL ||
		 statement->log_level <= log_statement))
		ereport(LOG,
				(errmsg("statement: %s", sql),
				 errhidestmt(true), errhidecontext(true)));
}

static bool
verify_receive(TupleTableSlot *slot, DestReceiver *self)
{
	VerifyReceiver *receiver = (VerifyReceiver *) self;
	bool		isnull;
	Datum		value;

	Oid			type;

	if (slot->tts_tupleDescriptor->natts == 0)
		return true;
	type = TupleDescAttr(slot->tts_tupleDescriptor, 0)->atttypid;

	/* a function that returns nothing may say so with a null */
	if (type == VOIDOID)
		return true;
	value = slot_getattr(slot, 1, &isnull);
	if (isnull || (type == BOOLOID && !DatumGetBool(value)))
		receiver->failed = true;
	return true;
}

static void
verify_startup(DestReceiver *self, int operation, TupleDesc typeinfo)
{
}

static void
verify_nothing(DestReceiver *self)
{
}

/* raise what a negative result of SPI means */
static void
raise_spi_error(int rc, const MigLabel *label)
{
	if (rc >= 0)
		return;
	if (rc == SPI_ERROR_TRANSACTION)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_BODY),
				 errmsg("migration \"%s\" cannot contain transaction control",
						label->version)));
	if (rc == SPI_ERROR_COPY)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_BODY),
				 errmsg("migration \"%s\" cannot contain COPY from or to the client",
						label->version)));
	elog(ERROR, "SPI failed with code %d", rc);
}

/*
 * Run one statement; returns the number of rows.
 *
 * How a statement gets to the server is known here alone.
 */
static uint64
run_statement(const char *sql, const MigLabel *label)
{
	SPIExecuteOptions options;
	VerifyReceiver receiver = {0};
	uint64		rows;

	memset(&options, 0, sizeof(options));
	if (label->part == MIG_VERIFY && !label->verify_by_errors)
	{
		receiver.pub.receiveSlot = verify_receive;
		receiver.pub.rStartup = verify_startup;
		receiver.pub.rShutdown = verify_nothing;
		receiver.pub.rDestroy = verify_nothing;
		receiver.pub.mydest = DestNone;
		options.dest = (DestReceiver *) &receiver;
	}
	else
		options.dest = None_Receiver;
	raise_spi_error(SPI_execute_extended(sql, &options), label);
	rows = SPI_processed;

	if (receiver.failed)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_VERIFY),
				 errmsg("migration \"%s\" does not verify", label->version),
				 errdetail("The first column of a row is false or null.")));
	return rows;
}

/* the same text as it is read with and without backslash escapes */
typedef struct Reading
{
	const char *sql;
	bool		same;
} Reading;

/* in a subtransaction, as the second reading may be a syntax error */
static void
read_both_ways(void *arg)
{
	Reading    *reading = (Reading *) arg;
	List	   *trees = raw_parser(reading->sql, RAW_PARSE_DEFAULT);

	set_for_bodies("standard_conforming_strings", "off", GUC_ACTION_LOCAL);
	reading->same = equal(trees, raw_parser(reading->sql, RAW_PARSE_DEFAULT));
}

/*
 * Bodies are parsed with standard_conforming_strings on, and must run with it.
 * Where the session has it off, a statement that would mean something else then
 * is refused.  What a DO block says is parsed when it runs, so a backslash is
 * enough there.
 */
static void
check_string_syntax(const MigExecution *execution, const char *sql,
					const char *tag)
{
	Reading		reading = {sql, false};
	const char *version = execution->label->version;

	if (!standard_conforming_strings)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_BODY),
				 errmsg("migration \"%s\" has turned standard_conforming_strings off",
						version),
				 errhint("Write backslash escapes as E'...' instead.")));
	if (!execution->has_escapes || strchr(sql, '\\') == NULL)
		return;
	if (strcmp(tag, "DO") != 0)
		(void) mig_subxact_run(read_both_ways, &reading, false);
	if (!reading.same)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_BODY),
				 errmsg("migration \"%s\" has a backslash in a plain string literal, and the session has standard_conforming_strings off",
						version),
				 errdetail("Bodies run with standard_conforming_strings on, where a backslash is an ordinary character."),
				 errhint("Write backslash escapes as E'...', or SET standard_conforming_strings = on before the call.")));
}

static void
show_progress(MigExecution *execution)
{
	MigProgress *progress = &execution->progress;

	if (progress->action == NULL || execution->label->part == MIG_VERIFY)
		return;
	progress->version = execution->label->version;
	progress->statement = execution->statement + 1;
	progress->statements = execution->body->nstatements;
	mig_progress_show(progress);
}

/* run a statement and measure it */
static void
run_timed(MigExecution *execution, const char *sql)
{
	const MigStatement *statement = &execution->body->statements[execution->statement];
	const MigObserver *observer = execution->observer;
	MemoryContext context = CurrentMemoryContext;
	instr_time	start;
	instr_time	duration;
	MigTiming	timing;

	if (observer != NULL)
		observer->begin(observer->arg);
	INSTR_TIME_SET_CURRENT(start);
	if (execution->toplevel)
		timing.row_count = mig_toplevel_run(sql);
	else
		timing.row_count = run_statement(sql, execution->label);
	mig_lock_wait_check();
	/* SPI leaves its own, which lives as long as the run */
	MemoryContextSwitchTo(context);
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	timing.part = execution->label->part;
	timing.line = statement->line;
	timing.tag = statement->tag;
	timing.execution_ms = INSTR_TIME_GET_MILLISEC(duration);
	mig_execute_add_timing(execution, &timing);
	if (observer != NULL)
		observer->end(&timing, observer->arg);
}

typedef struct Trial
{
	MigExecution *execution;
	const char *sql;
} Trial;

static void
run_trial(void *arg)
{
	Trial	   *trial = (Trial *) arg;

	run_timed(trial->execution, trial->sql);
}

/* run a statement whose failure need not be that of the run */
static void
try_statement(MigExecution *execution, const char *sql)
{
	const MigObserver *observer = execution->observer;
	Trial		trial = {execution, sql};
	ErrorData  *edata = mig_subxact_run(run_trial, &trial, true);

	if (edata == NULL)
		return;
	mig_lock_wait_explain(edata);
	if (!observer->failed(edata, observer->arg))
		ReThrowError(edata);
}

/* a limit of the session comes before that of migrate.lock_timeout */
static int
longest_lock_wait(void)
{
	int			timeout = mig_lock_wait_session_timeout();

	return timeout > 0 ? timeout : mig_guc_lock_timeout;
}

/*
 * For as long as the statement runs that comes next.  Of a procedure, what it has
 * committed cannot be tried again, so that its waits are no brief ones from then on.
 */
static void
limit_lock_wait(const MigExecution *execution, const MigStatement *statement)
{
	int			longest = longest_lock_wait();
	int			ms = mig_lock_schedule_limit(execution->schedule, statement,
											 longest);

	mig_lock_wait_limit(ms, statement->resume == MIG_RESUME_PROCEDURE ?
						longest : ms);
}

/* what comes after it may wait longer, but not for ever */
static void
end_lock_wait_limit(void)
{
	int			longest = longest_lock_wait();

	mig_lock_wait_limit(longest, longest);
}

/*
 * The schema to create in may have been dropped by the body, and pg_temp be the
 * next one.  If the body has SET a path itself, that is what it wants.
 */
static void
guard_search_path(const MigExecution *execution)
{
	if (strstr(namespace_search_path, "pg_temp") != NULL &&
		strcmp(namespace_search_path, execution->search_path) == 0)
		set_for_bodies("search_path", mig_session_settings_search_path(NULL),
					   GUC_ACTION_LOCAL);
}

static void
pin_after_reset(const char *name, const char *value)
{
	if (mig_session_settings_is_reset(name))
		set_for_bodies(name, value, GUC_ACTION_SET);
}

/*
 * RESET, SET TO DEFAULT, RESET ALL and DISCARD ALL are to give what a body
 * begins with.  Where that is the session's own, it is the server's business.
 */
static void
pin_what_was_reset(const MigExecution *execution)
{
	if (execution->path_is_policys &&
		strcmp(namespace_search_path, execution->search_path) != 0)
		pin_after_reset("search_path", execution->search_path);
	if (!standard_conforming_strings)
		pin_after_reset("standard_conforming_strings", "on");
}

/* one statement, with all that goes with it */
static void
run_one_statement(MigExecution *execution, int i, const char *replacement)
{
	const MigStatement *statement = &execution->body->statements[i];
	const MigObserver *observer = execution->observer;
	MigDecision decision = MIG_RUN_STATEMENT;
	char	   *sql;

	Assert(i >= 0 && i < execution->body->nstatements);
	execution->statement = i;
	if (observer != NULL)
		decision = observer->decide(observer->arg);
	if (decision == MIG_SKIP_STATEMENT)
		return;
	sql = replacement ? pstrdup(replacement) :
		pnstrdup(execution->body->text + statement->location,
				 statement->length);
	check_string_syntax(execution, sql, statement->tag);
	guard_search_path(execution);
	log_statement_of_body(statement, sql);
	show_progress(execution);
	mig_timeout_restart();
	SetCurrentStatementStartTimestamp();
	limit_lock_wait(execution, statement);
	if (decision == MIG_TRY_STATEMENT)
		try_statement(execution, sql);
	else
		run_timed(execution, sql);
	end_lock_wait_limit();
	if (execution->toplevel)
		CommandCounterIncrement();
	pin_what_was_reset(execution);
	mig_session_state_check_names(execution->session_state, execution->label);
	pfree(sql);
}

static void
run_statement_range(MigExecution *execution, int first, int end)
{
	int			i;

	Assert(first >= 0 && first <= end);
	Assert(end <= execution->body->nstatements);
	for (i = first; i < end; i++)
		run_one_statement(execution, i, NULL);
	execution->statement = -1;
}

static void
run_statements(void *arg)
{
	MigExecution *execution = (MigExecution *) arg;

	run_statement_range(execution, 0, execution->body->nstatements);
}

static void
run_rolled_back(void (*function) (void *arg), void *arg)
{
	ErrorData  *edata = mig_subxact_run(function, arg, false);

	if (edata != NULL)
		ReThrowError(edata);
}

typedef struct VerifyBlock
{
	MigExecution *execution;
	const MigBlock *block;
} VerifyBlock;

static void
run_verify_block(void *arg)
{
	VerifyBlock *verify = (VerifyBlock *) arg;

	run_statement_range(verify->execution, verify->block->first, verify->block->end);
}

/* whatever it does is rolled back, and each of its blocks at its end */
static void
run_verify(void *arg)
{
	MigExecution *execution = (MigExecution *) arg;
	const MigBody *body = execution->body;
	int			next = 0;
	ListCell   *lc;

	foreach(lc, body->blocks)
	{
		VerifyBlock verify = {execution, (const MigBlock *) lfirst(lc)};

		run_statement_range(execution, next, verify.block->first);
		run_rolled_back(run_verify_block, &verify);
		next = verify.block->end;
	}
	run_statement_range(execution, next, body->nstatements);
}

/* whether this session may run it is asked each time that a part of it begins */
static void
begin_body(MigExecution *execution, const MigRunnable *runnable,
		   ErrorContextCallback *callback)
{
	Assert(execution->session_state != NULL);
	mig_runnable_check(runnable);
	execution->body = mig_runnable_body(runnable);
	execution->label = mig_runnable_label(runnable);
	execution->statement = -1;
	mig_session_state_check_names(execution->session_state, execution->label);
	callback->callback = statement_context_callback;
	callback->arg = execution;
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

void
mig_execute_part(MigExecution *execution, const MigRunnable *runnable,
				 int first, int end)
{
	ErrorContextCallback callback;

	begin_body(execution, runnable, &callback);
	run_statement_range(execution, first, end);
	error_context_stack = callback.previous;
	mig_timeout_restart();
}

void
mig_execute_toplevel(MigExecution *execution, const MigRunnable *runnable,
					 int statement, const char *replacement)
{
	ErrorContextCallback callback;

	begin_body(execution, runnable, &callback);
	execution->toplevel = true;
	run_one_statement(execution, statement, replacement);
	execution->toplevel = false;
	execution->statement = -1;
	error_context_stack = callback.previous;
	mig_timeout_restart();
}

/* as the server's main loop does after a command of a transaction block */
static void
finish_command(MemoryContext context)
{
	CommitTransactionCommand();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
}

/*
 * Nothing before the first statement may take a snapshot: the block may say
 * what kind it is to be, or lock a table first.
 */
void
mig_execute_block(MigExecution *execution, const MigRunnable *runnable,
				  int first, int end)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorContextCallback callback;
	const MigBlock *block;
	ListCell   *lc;
	int			i;

	Assert(first < end);
	begin_body(execution, runnable, &callback);
	block = (const MigBlock *)
		list_nth(execution->body->blocks,
				 execution->body->statements[first].block - 1);
	execution->toplevel = true;
	foreach(lc, block->opening)
	{
		(void) mig_toplevel_run((const char *) lfirst(lc));
		finish_command(context);
	}
	for (i = first; i < end; i++)
	{
		run_one_statement(execution, i, NULL);
		finish_command(context);
	}
	execution->toplevel = false;
	execution->statement = -1;
	error_context_stack = callback.previous;
	mig_timeout_restart();
}

static void
constraints_context_callback(void *arg)
{
	const MigLabel *label = (const MigLabel *) arg;

	errcontext("deferred constraints after the %s body of migration \"%s\"",
			   mig_body_part_name(label->part), label->version);
}

static void
cursors_context_callback(void *arg)
{
	const MigLabel *label = (const MigLabel *) arg;

	errcontext("cursors WITH HOLD after the %s body of migration \"%s\"",
			   mig_body_part_name(label->part), label->version);
}

static void
push_context(ErrorContextCallback *callback, void (*function) (void *arg),
			 const MigRunnable *runnable)
{
	callback->callback = function;
	callback->arg = unconstify(MigLabel *, mig_runnable_label(runnable));
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

/*
 * What the end of the transaction would do with what the body has put off, in the
 * order of CommitTransaction(): the query of a cursor may put off something again.
 */
static void
do_what_was_put_off(MigExecution *execution, const MigRunnable *runnable)
{
	ErrorContextCallback callback;
	bool		ran;

	do
	{
		push_context(&callback, constraints_context_callback, runnable);
		mig_deferred_fire();
		error_context_stack = callback.previous;
		push_context(&callback, cursors_context_callback, runnable);
		ran = mig_session_state_end_cursors(execution->session_state,
											execution->body);
		mig_lock_wait_check();
		error_context_stack = callback.previous;
	} while (ran);
}

void
mig_execute_body(MigExecution *execution, const MigRunnable *runnable)
{
	ErrorContextCallback callback;
	int			guc_level = NewGUCNestLevel();

	begin_body(execution, runnable, &callback);
	if (execution->label->part == MIG_VERIFY &&
		execution->body->nstatements > 0)
		run_rolled_back(run_verify, execution);
	else
	{
		run_statements(execution);
		error_context_stack = callback.previous;
		do_what_was_put_off(execution, runnable);
	}
	error_context_stack = callback.previous;
	AtEOXact_GUC(false, guc_level);
	mig_timeout_restart();
}
