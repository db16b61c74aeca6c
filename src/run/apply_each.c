/*-------------------------------------------------------------------------
 *
 * apply_each.c
 *	  Running migrations up or down, each in a transaction of its own.
 *
 * The runner lock is held for the session, over the ends of the transactions,
 * and given up for a pause before another attempt.  The plan is made under the
 * lock, and made again whenever that was given up, from what is there then and
 * with all that may forbid it.  A superuser can change the books without the
 * lock, and the owner of the database the policy: so before each migration
 * there is a look whether it has its place in the plan still.  If not, the
 * plan is made again as well.
 *
 * An error aborts the transaction of its migration.  The failure is then
 * journalled in the next one.
 *
 * Nothing is connected to SPI between migrations and no snapshot is active, so
 * no other session has to wait for a run that waits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/pause.h"
#include "base/subxact.h"
#include "exec/execute.h"
#include "exec/lock_blockers.h"
#include "exec/lock_wait.h"
#include "exec/progress.h"
#include "ledger/run.h"
#include "ledger/step.h"
#include "ledger/tables.h"
#include "plan/loaded_bodies.h"
#include "plan/preflight.h"
#include "plan/run_lock.h"
#include "plan/step_window.h"
#include "run/apply_each.h"
#include "run/apply_each_failure.h"
#include "run/apply_each_plan.h"
#include "run/apply_each_run.h"
#include "run/apply_each_step.h"

/* entries after which memory is given back to the operating system */
#define LARGE_PROJECT 500


/*
 * Trying again
 */

/* whom the attempt waited for, and where it has left the migration */
static void
find_blockers_of_failure(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;
	MigPart		part;

	mig_apply_each_failure_look_for_extension(each);
	mig_run_lock_renew_mark();	/* the error has taken it */
	each->common.blockers = mig_lock_blockers_describe(&each->common.schedule.autovacuum);
	each->half_way = mig_step_exists(each->common.options->project,
									 mig_apply_each_current_entry(each)->version, &part);
	if (each->half_way)
		mig_run_lock_half_way();
}

static void
wait_for_lock(void *arg)
{
	mig_run_lock_wait_session();
}

static void
run_or_fail(MigApplyEachRun *each, void (*function) (void *arg))
{
	ErrorData  *edata = mig_transaction_run(function, each);

	if (edata != NULL)
		mig_apply_each_failure_raise(each, edata);
}

/* what the step that was run last consists of */
static const MigStepTexts *
last_texts(const MigApplyEachRun *each)
{
	Assert(mig_loaded_bodies_have(&each->common.loaded, each->next));
	return &each->common.loaded.bodies[each->next - each->common.loaded.first];
}

/*
 * After the migration is committed: have the session as it was, so that the
 * next one does not see what this one has left.
 */
static void
end_migration(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;
	const MigStepTexts *texts = last_texts(each);

	if (texts->verify != NULL)
		mig_session_state_end_migration(each->common.execution.session_state,
										mig_runnable_body(texts->verify));
	mig_session_state_end_migration(each->common.execution.session_state,
									mig_runnable_body(texts->body));
}

static bool
may_have_left_something(const MigApplyEachRun *each)
{
	const MigStepTexts *texts = last_texts(each);
	const MigBody *body = mig_runnable_body(texts->body);

	return texts->verify != NULL ||
		mig_session_state_may_differ(body, 0, body->nstatements);
}

/* what it raises is about the run, and no migration */
static void
plan_again(MigApplyEachRun *each)
{
	each->common.current = -1;
	each->common.blockers = NULL;
	run_or_fail(each, mig_apply_each_plan_make);
}

static void
regain_lock(void *arg)
{
	mig_run_lock_regain_session();
}

/*
 * Tell the client, and wait without a snapshot and without any lock, so that
 * others can go on.  What they have done meanwhile is what the new plan is made
 * of.  But in the middle of a migration the runner lock is kept, for it comes
 * before anything that others could do.
 */
static void
pause_and_plan_again(MigApplyEachRun *each, const ErrorData *failure)
{
	int			ms = mig_run_common_announce_retry(&each->common);
	ErrorData  *edata;

	if (!each->half_way)
		mig_run_lock_yield_session();
	edata = mig_transaction_run(mig_run_common_pause, &ms);
	if (edata != NULL)
	{
		mig_run_common_explain_cancel(edata, failure);
		mig_apply_each_failure_raise(each, edata);
	}
	run_or_fail(each, each->half_way ? regain_lock : wait_for_lock);
	if (each->half_way)
		each->common.current = -1;
	else
		plan_again(each);
}

/* the attempts at a migration go on when it comes again in a new plan */
static void
begin_attempt(MigApplyEachRun *each)
{
	const char *version = mig_apply_each_current_entry(each)->version;

	each->common.blockers = NULL;
	mig_lock_wait_reset();
	if (each->tried != NULL && strcmp(each->tried, version) == 0)
		return;
	if (each->tried != NULL)
		pfree(each->tried);
	each->tried = MemoryContextStrdup(each->context, version);
	mig_lock_schedule_begin(&each->common.schedule, -1);
	each->common.execution.schedule = &each->common.schedule;
	mig_progress_notice_begin(each->part == MIG_UP ? "applying" : "rolling back",
							  each->result->migrations + 1,
							  each->result->migrations +
							  mig_apply_each_steps_left(each),
							  version, mig_apply_each_current_entry(each)->name);
}

static bool
may_try_again(MigApplyEachRun *each, const ErrorData *edata)
{
	if (!mig_lock_wait_is_lock_failure(edata))
		return false;
	(void) mig_transaction_run(find_blockers_of_failure, each);
	if (each->extension_is_gone || each->in_vain ||
		!mig_lock_schedule_next(&each->common.schedule))
		return false;
	if (!mig_apply_each_step_is_nontransactional(each))
		mig_apply_each_failure_restore(each, mig_apply_each_failure_restore_session_state);
	return true;
}


/*
 * The run
 */

static void
report_step(MigApplyEachRun *each)
{
	const MigEntry *entry = mig_apply_each_current_entry(each);
	int			before = each->result->migrations++;

	each->result->statements += each->common.execution.ntimings;
	mig_loaded_bodies_warn_empty(&each->common.loaded, each->window.steps,
								 each->common.current - each->common.loaded.first);
	mig_progress_notice(each->part == MIG_UP ? "applied" : "rolled back",
						before + 1, before + mig_apply_each_steps_left(each), entry->version,
						entry->name, each->execution_ms, true);
	if (each->part == MIG_UP || !mig_plan_can_leave_gap(entry))
		return;
	MemoryContextSwitchTo(each->context);
	each->gaps = lappend(each->gaps, pstrdup(entry->version));
	MemoryContextSwitchTo(each->common.scratch);
}

/* a background run has its row in any case */
static void
finish_background_row(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;

	if (each->has_row)
		mig_run_end(each->result->run, MIG_RUN_SUCCESS, 0);
}

/* a step, or a look at what else there is to do */
static void
run_next_step(MigApplyEachRun *each)
{
	ErrorData  *edata;

	if (!mig_loaded_bodies_have(&each->common.loaded, each->next))
		run_or_fail(each, mig_apply_each_plan_load_bodies);
	if (!each->stale)
	{
		each->common.current = each->next;
		begin_attempt(each);
		edata = mig_apply_each_step_run(each);
		if (edata != NULL)
		{
			if (!may_try_again(each, edata))
				mig_apply_each_failure_raise(each, edata);
			pause_and_plan_again(each, edata);
			return;
		}
	}
	if (each->stale)
	{
		plan_again(each);
		return;
	}
	report_step(each);
	each->common.current = -1;
	if (may_have_left_something(each))
		run_or_fail(each, end_migration);
	each->next++;
}

/* until no step of the plan is left; then the state and the row of the run */
static void
run_all_steps(MigApplyEachRun *each)
{
	while (each->window.first + each->next < each->window.nsteps)
	{
		MemoryContextSwitchTo(each->common.scratch);
		run_next_step(each);
		MemoryContextReset(each->common.scratch);
	}
	run_or_fail(each, mig_apply_each_plan_finish);
	each->pinned = false;
}

static MigApplyEachRun *
begin_call(const MigRunOptions *options, const MigDownChoice *choice,
		   int64 background, MigApplyEachResult *result)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "migrate run",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MigApplyEachRun *each = palloc0(sizeof(MigApplyEachRun));

	memset(result, 0, sizeof(MigApplyEachResult));
	result->run = background;
	each->choice = choice;
	each->result = result;
	each->part = choice ? MIG_DOWN : MIG_UP;
	each->background = each->has_row = (background != 0);
	each->context = context;
	each->planned = AllocSetContextCreate(context, "migrate agenda",
										  ALLOCSET_DEFAULT_SIZES);
	each->extension = mig_tables_extension();
	mig_run_common_init(&each->common, options);
	MemoryContextSwitchTo(old);
	return each;
}

/* with the lock held */
static void
run_plan(MigApplyEachRun *each)
{
	MemoryContextSwitchTo(each->context);
	run_or_fail(each, mig_apply_each_plan_make);
	if (each->begun)
		run_all_steps(each);
	else
		run_or_fail(each, finish_background_row);

	/* not before what it protects is committed */
	mig_run_lock_release_session();
	each->result->execution_ms = mig_journal_elapsed_ms(each->common.run_started_at);
	mig_progress_unmark();
	mig_progress_restore();
}

/* everything that an error before the first migration may come from */
static void
begin_apply(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;

	mig_run_lock_refuse_recursion();
	mig_run_lock_mark_run(each->result->run);
	if (mig_plan_run_known_complete(each->common.options))
		return;
	each->pending = true;
	if (mig_preflight_can_write() && mig_run_lock_try_session())
	{
		each->locked = true;
		return;
	}
	if (mig_plan_run_nothing_pending(each->common.options))
		each->pending = false;
	else
		mig_preflight_transaction("apply migrations");
}

static void
begin_undo(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;

	mig_run_lock_refuse_recursion();
	mig_run_lock_mark_run(0);
	mig_plan_run_undo_guards(each->common.options);
	each->pending = true;
	each->locked = mig_run_lock_try_session();
}

/*
 * The C library keeps what was freed for this process, up to megabytes.  The
 * session may be one of a pool, which lives on for days.
 */
static void
give_memory_back(void)
{
#ifdef __GLIBC__
	(void) malloc_trim(0);
#endif
}

/*
 * Run all that is pending under the runner lock of the session, which is
 * released in any case.
 */
static void
run_under_lock(MigApplyEachRun *each, void (*begin_function) (void *arg))
{
	MemoryContext old = CurrentMemoryContext;
	int			nentries;

	MemoryContextSwitchTo(each->context);
	mig_tables_trust_begin();

	/*
	 * statement_timeout is per statement; do not count the wait for other
	 * runs
	 */
	disable_timeout(STATEMENT_TIMEOUT, false);
	PG_TRY();
	{
		run_or_fail(each, begin_function);
		if (each->pending)
		{
			if (!each->locked)
				run_or_fail(each, wait_for_lock);
			run_plan(each);
		}
		else
			run_or_fail(each, finish_background_row);
	}
	PG_FINALLY();
	{
		mig_run_lock_release_session();
	}
	PG_END_TRY();
	mig_tables_trust_end();
	MemoryContextSwitchTo(old);
	nentries = each->nentries;
	MemoryContextDelete(each->context);
	if (nentries >= LARGE_PROJECT)
		give_memory_back();
}

void
mig_apply_each_up(const MigRunOptions *options, int64 background,
				  MigApplyEachResult *result)
{
	run_under_lock(begin_call(options, NULL, background, result), begin_apply);
}

void
mig_apply_each_down(const MigRunOptions *options, const MigDownChoice *choice,
					MigApplyEachResult *result)
{
	run_under_lock(begin_call(options, choice, 0, result), begin_undo);
}
