/*-------------------------------------------------------------------------
 *
 * rehearse.c
 *	  Running a plan to see what it does, and rolling it back.
 *
 * Two subtransactions.  All that touches the database, the reading of the books
 * and the runner lock included, is in the outer one, which is always rolled
 * back, so that not even a lock is left.  The bodies are in the inner one, whose
 * error is caught.  Rows go to the caller's sink while they run.
 *
 * What cannot run in a transaction block is left out.  From then on a statement
 * that fails may do so for that reason alone: each has a subtransaction of its
 * own, and the rehearsal goes on after an error that looks like it.  The same is
 * done after ALTER TYPE, as a value that it adds to an enum cannot be used
 * before it is committed, and after a COMMIT of a body, which is left out too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/session_settings.h"
#include "base/subxact.h"
#include "exec/deferred.h"
#include "exec/execute.h"
#include "exec/failure_record.h"
#include "exec/lock_blockers.h"
#include "exec/lock_wait.h"
#include "exec/progress.h"
#include "exec/session_state.h"
#include "exec/timeout.h"

#include "plan/loaded_bodies.h"
#include "plan/preflight.h"
#include "plan/run_lock.h"
#include "rehearse/rehearse.h"
#include "run/run_common.h"

typedef struct Rehearsal
{
	MigRunContext run;
	const MigDownChoice *choice;	/* NULL: apply */
	MigRehearsalSink sink;
	void	   *sink_arg;
	MigPlannedRun prepared;

	MigObserver observer;
	MigEffects *effects;

	int			rows;			/* of the current step */
	TimestampTz statement_start;
	bool		skipped;		/* something was left out */
	bool		merged;			/* a commit was, between statements */
	int			alter_type;		/* first step that had one, -1: none */
	bool		alter_committed;	/* and would have been committed since */

	/* settings of the transaction that the statement would be in */
	int			guc_level;
	List	   *settings;		/* before it */
} Rehearsal;


/*
 * Rows
 */

static void
put_rehearsed_row(Rehearsal *rehearsal, MigRehearsed *row)
{
	const MigStep *step = &rehearsal->run.steps[rehearsal->run.current];

	row->version = step->entry->version;
	row->name = step->entry->name;
	rehearsal->rows++;
	rehearsal->sink(row, rehearsal->sink_arg);
}

/* the row of the statement that is running, or of the migration as a whole */
static void
init_row(const Rehearsal *rehearsal, MigRehearsed *row)
{
	const MigExecution *execution = &rehearsal->run.execution;
	const MigStatement *statement;

	memset(row, 0, sizeof(MigRehearsed));
	row->part = rehearsal->run.steps[rehearsal->run.current].part;
	if (execution->body == NULL || execution->statement < 0)
		return;
	statement = &execution->body->statements[execution->statement];
	row->part = execution->label->part;
	row->statement = execution->statement + 1;
	row->line = statement->line;
	row->tag = statement->tag;
}

static void
put_skipped(Rehearsal *rehearsal, const char *reason,
			const MigFailure *failure)
{
	MigRehearsed row;

	init_row(rehearsal, &row);
	row.skipped = reason;
	row.failure = failure;
	put_rehearsed_row(rehearsal, &row);
}


/*
 * Errors
 */

/* what a body's error says, located and with its hints */
static void
describe_failure(Rehearsal *rehearsal, ErrorData *edata, MigFailure *failure)
{
	bool		autovacuum;

	rehearsal->run.blockers = mig_lock_wait_is_lock_failure(edata) ?
		mig_lock_blockers_describe(&autovacuum) : NULL;
	mig_run_common_describe_failure(&rehearsal->run, edata, failure);
}

/* may this error be there only because something was left out? */
static bool
looks_dependent(const ErrorData *edata)
{
	switch (edata->sqlerrcode)
	{
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_COLUMN:
		case ERRCODE_UNDEFINED_OBJECT:
		case ERRCODE_UNDEFINED_FUNCTION:
		case ERRCODE_UNDEFINED_SCHEMA:
		case ERRCODE_UNDEFINED_DATABASE:
		case ERRCODE_INVALID_COLUMN_REFERENCE:	/* ON CONFLICT */
		case ERRCODE_INVALID_FOREIGN_KEY:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
			return true;
		default:
			return false;
	}
}

/* why the rehearsal goes on after this error; NULL if it does not */
static const char *
why_not_rehearsed(const Rehearsal *rehearsal, const ErrorData *edata)
{
	const MigEntry *entry = rehearsal->run.steps[rehearsal->run.current].entry;

	if (edata->sqlerrcode == ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE)
	{
		/* a migration that does both in one transaction fails in any case */
		if (rehearsal->skipped || entry->transactional == MIG_TX_OFF ||
			rehearsal->alter_committed ||
			(rehearsal->alter_type >= 0 &&
			 rehearsal->alter_type < rehearsal->run.current))
			return "uses an enum value that has to be committed first";
		return NULL;
	}
	if (entry->transactional != MIG_TX_RECOGNIZE &&
		(edata->sqlerrcode == ERRCODE_ACTIVE_SQL_TRANSACTION ||
		 edata->sqlerrcode == ERRCODE_INVALID_TRANSACTION_TERMINATION))
		return "cannot run in a transaction block";
	if (rehearsal->merged && edata->sqlerrcode == ERRCODE_DUPLICATE_TABLE)
		return "may be there for want of a commit, with ON COMMIT DROP";
	if (rehearsal->skipped && looks_dependent(edata))
		return "may depend on a statement that was left out";
	return NULL;
}


/*
 * Statements
 */

static void
begin_settings(Rehearsal *rehearsal)
{
	MemoryContext old = MemoryContextSwitchTo(rehearsal->run.scratch);

	rehearsal->guc_level = NewGUCNestLevel();
	rehearsal->settings = mig_session_settings_save();
	MemoryContextSwitchTo(old);
}

/*
 * A commit before the statement at hand, as far as it can be had without one:
 * what is put off is done, and SET LOCAL ends.
 */
static void
pass_commit(Rehearsal *rehearsal)
{
	MigExecution *execution = &rehearsal->run.execution;
	int			statement = execution->statement;
	char	  **changes;
	int			count;

	execution->statement = -1;
	mig_deferred_fire();
	changes = mig_session_settings_changes(rehearsal->settings, NULL, 0, &count);
	AtEOXact_GUC(false, rehearsal->guc_level);
	begin_settings(rehearsal);
	for (int i = 0; i < count; i++)
		(void) mig_session_settings_repeat(changes[i]);
	execution->statement = statement;
	rehearsal->merged = true;
	if (rehearsal->alter_type >= 0)
		rehearsal->alter_committed = true;
}

static MigDecision
decide_plan(void *arg)
{
	Rehearsal  *rehearsal = (Rehearsal *) arg;
	const MigExecution *execution = &rehearsal->run.execution;
	const MigStatement *statement = &execution->body->statements[execution->statement];
	const MigEntry *entry = rehearsal->run.steps[rehearsal->run.current].entry;

	rehearsal->statement_start = GetCurrentTimestamp();
	if (execution->label->part == MIG_VERIFY)
		return MIG_RUN_STATEMENT;
	if (statement->starts_transaction)
		pass_commit(rehearsal);
	else if (execution->statement == 0)
		begin_settings(rehearsal);
	if (statement->own_transaction != NULL &&
		!(execution->label->part == MIG_UP &&
		  entry->transactional == MIG_TX_ON))
	{
		put_skipped(rehearsal,
					psprintf(_("%s cannot run in a transaction block"),
							 statement->own_transaction), NULL);
		rehearsal->skipped = true;
		return MIG_SKIP_STATEMENT;
	}
	if (statement->of_block != NULL && statement->block != 0)
	{
		put_skipped(rehearsal,
					psprintf(_("%s has no meaning without its transaction"),
							 statement->of_block), NULL);
		rehearsal->skipped = true;
		return MIG_SKIP_STATEMENT;
	}
	if (rehearsal->skipped || rehearsal->merged ||
		rehearsal->alter_type >= 0 ||
		entry->transactional != MIG_TX_RECOGNIZE)
		return MIG_TRY_STATEMENT;
	return MIG_RUN_STATEMENT;
}

static void
begin_statement(void *arg)
{
	Rehearsal  *rehearsal = (Rehearsal *) arg;

	mig_statement_effects_before(rehearsal->effects,
								 rehearsal->run.execution.label->part ==
								 MIG_VERIFY);
}

static void
end_statement(const MigTiming *timing, void *arg)
{
	Rehearsal  *rehearsal = (Rehearsal *) arg;
	MigRehearsed row;

	init_row(rehearsal, &row);
	row.execution_ms = timing->execution_ms;
	row.row_count = timing->row_count;
	row.effects = mig_statement_effects_after(rehearsal->effects, timing->tag);
	put_rehearsed_row(rehearsal, &row);
	if (strcmp(timing->tag, "ALTER TYPE") == 0 && rehearsal->alter_type < 0)
		rehearsal->alter_type = rehearsal->run.current;
}

static bool
statement_failed(ErrorData *edata, void *arg)
{
	Rehearsal  *rehearsal = (Rehearsal *) arg;
	const char *reason = why_not_rehearsed(rehearsal, edata);
	MigFailure	failure;

	mig_statement_effects_failed(rehearsal->effects);
	if (reason == NULL)
		return false;
	describe_failure(rehearsal, edata, &failure);
	put_skipped(rehearsal, reason, &failure);
	rehearsal->skipped = true;
	return true;
}


/*
 * Migrations
 */

static void
rehearse_step(Rehearsal *rehearsal)
{
	MigRunContext *run = &rehearsal->run;
	MigRehearsed row;

	rehearsal->rows = 0;
	mig_run_common_begin_step(run, 0, "rehearse", run->current + 1,
							  run->nsteps);
	if (run->current > 0)
		mig_statement_effects_next_migration(rehearsal->effects);
	mig_progress_mark(false);
	if (rehearsal->run.steps[rehearsal->run.current].entry->partial)
	{
		put_skipped(rehearsal, "partly done", NULL);
		rehearsal->skipped = true;
		return;
	}

	/* without what was left out a verify body may well be wrong */
	mig_run_common_run_bodies(run, !rehearsal->skipped);
	mig_execute_reset(&rehearsal->run.execution);
	if (rehearsal->rows > 0)
		return;
	init_row(rehearsal, &row);
	put_rehearsed_row(rehearsal, &row);
}

/*
 * Run the migrations one after the other, in the subtransaction that is rolled
 * back.
 */
static void
rehearse_steps(void *arg)
{
	Rehearsal  *rehearsal = (Rehearsal *) arg;
	MemoryContext old = CurrentMemoryContext;
	int			guc_level = NewGUCNestLevel();
	int			i;

	mig_run_lock_bodies_begin();
	mig_execute_set_settings(&rehearsal->run.execution,
							 rehearsal->prepared.policy->search_path,
							 rehearsal->prepared.policy->sets_search_path);
	mig_lock_wait_reset();
	mig_lock_wait_begin();
	rehearsal->effects = mig_statement_effects_begin(CurrentMemoryContext);
	for (i = 0; i < rehearsal->run.nsteps; i++)
	{
		rehearsal->run.current = -1;
		if (!mig_loaded_bodies_have(&rehearsal->run.loaded, i))
			mig_run_common_load(&rehearsal->run, i);
		rehearsal->run.current = i;
		MemoryContextSwitchTo(rehearsal->run.scratch);
		rehearse_step(rehearsal);
		MemoryContextSwitchTo(old);
		MemoryContextReset(rehearsal->run.scratch);
	}
	rehearsal->run.current = -1;
	mig_progress_unmark();
	mig_run_lock_recheck();
	AtEOXact_GUC(false, guc_level);
}

/* every body must be there and parse before the first one runs */
static void
check_bodies_parse(Rehearsal *rehearsal)
{
	int			first;

	for (first = 0; first < rehearsal->run.nsteps;
		 first += rehearsal->run.loaded.count)
		mig_run_common_load(&rehearsal->run, first);
}


/*
 * The rehearsal
 */

static void
put_failure(Rehearsal *rehearsal, ErrorData *edata)
{
	const char *version = rehearsal->run.steps[rehearsal->run.current].entry->version;
	MigRehearsed row;
	MigFailure	failure;
	int			i;

	init_row(rehearsal, &row);
	describe_failure(rehearsal, edata, &failure);
	row.failure = &failure;
	if (row.statement > 0)
		row.execution_ms = mig_journal_elapsed_ms(rehearsal->statement_start);
	put_rehearsed_row(rehearsal, &row);

	mig_execute_reset(&rehearsal->run.execution);
	for (i = rehearsal->run.current + 1; i < rehearsal->run.nsteps; i++)
	{
		rehearsal->run.current = i;
		put_skipped(rehearsal,
					psprintf(_("not run, because migration \"%s\" failed"),
							 version), NULL);
	}
}

static void
add_plan_steps(Rehearsal *rehearsal, MigPart part)
{
	const MigPlan *plan = rehearsal->prepared.plan;
	int			i;

	rehearsal->run.nsteps = plan->nsteps;
	rehearsal->run.steps = palloc_extended(sizeof(MigStep) * plan->nsteps,
										   MCXT_ALLOC_HUGE);
	for (i = 0; i < plan->nsteps; i++)
	{
		rehearsal->run.steps[i].entry = plan->steps[i];
		rehearsal->run.steps[i].part = part;
	}
}

/* false if there is nothing to do */
static bool
plan_rehearsal(Rehearsal *rehearsal)
{
	const MigRunOptions *options = rehearsal->run.options;
	MigPlannedRun *prepared = &rehearsal->prepared;

	if (rehearsal->choice == NULL)
	{
		mig_preflight_transaction("rehearse migrations");
		mig_run_lock_acquire();
		if (!mig_plan_run_apply(options, prepared))
			return false;
		add_plan_steps(rehearsal, MIG_UP);
	}
	else
	{
		mig_plan_run_undo_guards(options);
		mig_run_lock_acquire();
		if (!mig_plan_run_undo(options, rehearsal->choice, prepared))
			return false;
		add_plan_steps(rehearsal, MIG_DOWN);
	}
	rehearsal->run.ledger_was_empty = prepared->ledger_was_empty;
	mig_plan_run_warn(prepared->project, false);
	return true;
}

static void
stop_watching(void)
{
	mig_statement_effects_end();
	mig_lock_wait_end();
	mig_run_lock_bodies_end();
	mig_progress_restore();
}

/* everything that is rolled back */
static void
rehearse_plan(void *arg)
{
	Rehearsal  *rehearsal = (Rehearsal *) arg;
	ErrorData  *edata;

	if (!plan_rehearsal(rehearsal))
		return;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	check_bodies_parse(rehearsal);
	mig_deferred_fire_callers();
	edata = mig_subxact_run(rehearse_steps, rehearsal, false);
	stop_watching();
	if (edata != NULL && rehearsal->run.current >= 0)
		mig_timeout_explain(edata,
							rehearsal->run.steps[rehearsal->run.current].entry->version);
	mig_timeout_end();
	if (edata != NULL)
	{
		/* a cancel ends the call */
		if (rehearsal->run.current < 0 ||
			edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(edata);
		put_failure(rehearsal, edata);
	}
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

static void
note_session_state(void *arg)
{
	((Rehearsal *) arg)->run.execution.session_state = mig_session_state_note();
}

static void
restore_session_state(void *arg)
{
	mig_session_state_remove(((Rehearsal *) arg)->run.execution.session_state);
}

/* even a look at the session locks something, if not for long */
static void
run_rolled_back(void (*function) (void *arg), void *arg)
{
	ErrorData  *edata = mig_subxact_run(function, arg, false);

	if (edata != NULL)
		ReThrowError(edata);
}

static void
run_rehearsal(Rehearsal *rehearsal)
{
	ErrorData  *edata;

	mig_run_lock_refuse_recursion();
	mig_run_common_init(&rehearsal->run, rehearsal->run.options);
	run_rolled_back(note_session_state, rehearsal);
	rehearsal->observer.decide = decide_plan;
	rehearsal->observer.begin = begin_statement;
	rehearsal->observer.end = end_statement;
	rehearsal->observer.failed = statement_failed;
	rehearsal->observer.arg = rehearsal;
	rehearsal->run.execution.observer = &rehearsal->observer;
	rehearsal->alter_type = -1;
	edata = mig_subxact_run(rehearse_plan, rehearsal, false);
	stop_watching();
	run_rolled_back(restore_session_state, rehearsal);
	if (edata != NULL)
		ReThrowError(edata);
}

void
mig_rehearse_up(const MigRunOptions *options, MigRehearsalSink sink,
				void *arg)
{
	Rehearsal	rehearsal = {0};

	rehearsal.run.options = options;
	rehearsal.sink = sink;
	rehearsal.sink_arg = arg;
	run_rehearsal(&rehearsal);
}

void
mig_rehearse_down(const MigRunOptions *options,
				  const MigDownChoice *choice, MigRehearsalSink sink,
				  void *arg)
{
	Rehearsal	rehearsal = {0};

	rehearsal.run.options = options;
	rehearsal.choice = choice;
	rehearsal.sink = sink;
	rehearsal.sink_arg = arg;
	run_rehearsal(&rehearsal);
}
