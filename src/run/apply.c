/*-------------------------------------------------------------------------
 *
 * apply.c
 *	  Running migrations up and down in the caller's transaction.
 *
 * A run is one internal subtransaction, not one for each migration, whose
 * clean-up would cost time quadratic in the number of tables.  When a body
 * fails, the subtransaction is rolled back first, which gives up all locks of
 * the run; only then is the failure journalled (see exec/failure_record.c) and
 * the error raised again.
 *
 * The runner lock is taken outside of that subtransaction, and the books are
 * read again once it is held.  Rows for the books are collected and written
 * at the end of the run, inside the subtransaction, so that a migration's
 * change and its ledger row commit together or not at all.
 *
 * Bodies are fetched and parsed in portions of limited size.  All are looked
 * at before the first one runs, so that what cannot run in a transaction is
 * refused before anything has been touched.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/checksum.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/pause.h"
#include "base/subxact.h"
#include "base/version_order.h"
#include "exec/deferred.h"
#include "exec/error_hint.h"
#include "exec/execute.h"
#include "exec/failure_record.h"
#include "exec/lock_blockers.h"
#include "exec/lock_wait.h"
#include "exec/progress.h"
#include "exec/timeout.h"
#include "ledger/migration.h"
#include "lint/lint.h"
#include "plan/loaded_bodies.h"
#include "plan/project.h"
#include "plan/preflight.h"
#include "plan/run_lock.h"
#include "run/apply.h"
#include "run/run_common.h"

/* what a step took */
typedef struct StepCost
{
	int			statements;
	double		execution_ms;
	int64		seq;			/* in the order of application */
} StepCost;

typedef struct ApplyRun
{
	MigRunContext common;
	const char *action;
	const MigDownChoice *choice;	/* NULL: up */
	MigPolicy  *policy;
	MigProject *project;
	int64		id;				/* 0: dry run */
	List	   *again;			/* see MigPlan */
	StepCost   *costs;			/* of each step */
	MigJournalBatch *batch;
	int			recorded;		/* journal rows so far */
} ApplyRun;


/*
 * Before the run
 */

/* a run without steps, in CurrentMemoryContext */
static ApplyRun *
begin_run(const MigRunOptions *options, const char *action,
		  const MigDownChoice *choice, const MigPlannedRun *prepared)
{
	ApplyRun   *run = palloc0(sizeof(ApplyRun));

	mig_run_common_init(&run->common, options);
	run->common.ledger_was_empty = prepared->ledger_was_empty;
	run->choice = choice;
	run->action = action;
	run->policy = prepared->policy;
	run->project = prepared->project;
	return run;
}

/* these come after the steps that the run has already */
static void
add_steps(ApplyRun *run, MigPart part, MigEntry **entries, int count)
{
	int			i;

	if (run->common.steps == NULL)
		run->common.steps = palloc_extended(sizeof(MigStep) * Max(count, 1),
											MCXT_ALLOC_HUGE);
	else
		run->common.steps = repalloc_huge(run->common.steps,
										  sizeof(MigStep) * (run->common.nsteps + count));
	for (i = 0; i < count; i++)
	{
		run->common.steps[run->common.nsteps].entry = entries[i];
		run->common.steps[run->common.nsteps].part = part;
		run->common.nsteps++;
	}
}


/*
 * Bodies
 */

static void
append_argument(StringInfo call, const char *name, const char *value)
{
	if (value != NULL)
		appendStringInfo(call, "%s%s => %s",
						 call->data[call->len - 1] == '(' ? "" : ", ", name,
						 quote_literal_cstr(value));
}

/* the call of the other mode that does the same */
static char *
other_mode_call(const ApplyRun *run)
{
	const MigRunOptions *options = run->common.options;
	const MigDownChoice *choice = run->choice;
	StringInfoData call;

	initStringInfo(&call);
	appendStringInfo(&call, "CALL migrate.%s(",
					 choice ? "rollback_each" : "apply_each");
	if (choice && choice->kind == MIG_DOWN_STEPS && choice->steps != 1)
		appendStringInfo(&call, INT64_FORMAT, choice->steps);
	append_argument(&call, "target", choice ? choice->target : options->target);
	if (options->hold_given)
		append_argument(&call, "hold", options->hold ? "true" : "false");
	append_argument(&call, "confirm", options->confirm);
	if (strcmp(options->project, "default") != 0)
		append_argument(&call, "project", options->project);
	appendStringInfoChar(&call, ')');
	return call.data;
}

/* an auxiliary function of ereport() */
static int
errhint_other_mode(const ApplyRun *run)
{
	char	   *call = other_mode_call(run);

	if (run->choice == NULL && run->common.options->restricted)
		return errhint("%s can, with the same versions, outside of a transaction block.",
					   call);
	if (strcmp(run->action, "redo") == 0)
		return errhint("%s and then CALL migrate.apply_each() can, outside of a transaction block.",
					   call);
	if (run->choice != NULL && run->choice->kind != MIG_DOWN_STEPS &&
		run->choice->kind != MIG_DOWN_TO)
		return errhint("CALL migrate.rollback_each() can, outside of a transaction block, but undoes the newest ones, or all after a target.");
	return errhint("%s can, outside of a transaction block.", call);
}

/*
 * Look at every body before any is run: all must parse, have their checksums
 * and be able to run in a transaction.
 */
static void
check_transactional(ApplyRun *run)
{
	List	   *refused = NIL;
	bool	   *named = palloc0(sizeof(bool) * run->project->count);
	const char *reason = NULL;
	int			first;
	int			i;

	for (first = 0; first < run->common.nsteps; first += run->common.loaded.count)
	{
		mig_run_common_load(&run->common, first);
		for (i = 0; i < run->common.loaded.count; i++)
		{
			const char *why = mig_loaded_bodies_own_transaction(&run->common.loaded,
																run->common.steps, i);
			const MigEntry *entry = run->common.steps[first + i].entry;

			if (why == NULL)
				continue;
			if (reason == NULL)
				reason = why;
			/* redo() has each twice */
			if (!named[entry->position])
				refused = lappend(refused, entry->version);
			named[entry->position] = true;
		}
	}
	if (refused != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_OWN_TRANSACTION),
				 errmsg_plural("%d migration cannot run in a transaction block",
							   "%d migrations cannot run in a transaction block",
							   list_length(refused), list_length(refused)),
				 errdetail("Migrations: %s.  The first one: %s.",
						   mig_error_name_list(refused), reason),
				 errhint_other_mode(run)));
}


/*
 * The run
 */

static void
record_step(ApplyRun *run, double execution_ms)
{
	const MigRunContext *common = &run->common;
	const MigStep *step = mig_run_common_step(common);
	const MigTexts *texts = mig_run_common_bodies(common)->texts;
	StepCost   *cost = &run->costs[common->current];
	MigJournalRow row;

	cost->statements = common->execution.ntimings;
	cost->execution_ms = execution_ms;
	if (run->id == 0)
		return;
	mig_run_common_fill_row(common, run->id, run->action, &row);
	row.seq = ++run->recorded;
	row.execution_ms = execution_ms;
	row.replace = step->part == MIG_UP && step->entry->applied &&
		strcmp(run->action, "redo") != 0;
	row.effect = step->part == MIG_UP ? MIG_EFFECT_APPLIED : MIG_EFFECT_UNDONE;
	row.origin = "apply";
	cost->seq = mig_journal_batch_add(run->batch, &row);
	mig_journal_batch_add_body(run->batch, row.body_hash, run->id,
							   mig_migration_texts_part(texts, step->part));
	if (row.verify_hash != NULL)
		mig_journal_batch_add_body(run->batch, row.verify_hash, run->id,
								   texts->verify);
}

/*
 * Run one migration of the transaction, with its verify body, and add it to
 * what the journal gets at the end.
 */
static void
apply_step(ApplyRun *run)
{
	MigRunContext *common = &run->common;
	MigStep    *step = mig_run_common_step(common);
	instr_time	start;
	instr_time	duration;
	double		execution_ms;

	mig_run_common_begin_step(common, run->id,
							  mig_loaded_bodies_action(step->part),
							  common->current + 1, common->nsteps);
	if (!run->common.options->dry_run)
		mig_progress_notice_begin(step->part == MIG_UP ? "applying" : "rolling back",
								  common->current + 1, common->nsteps,
								  step->entry->version, step->entry->name);
	mig_progress_mark(false);
	INSTR_TIME_SET_CURRENT(start);
	mig_run_common_run_bodies(common, true);
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	execution_ms = INSTR_TIME_GET_MILLISEC(duration);
	record_step(run, execution_ms);
	mig_loaded_bodies_warn_empty(&common->loaded, common->steps,
								 common->current - common->loaded.first);
	if (common->options->dry_run)
		return;
	mig_progress_notice(step->part == MIG_UP ? "applied" : "rolled back",
						common->current + 1, common->nsteps,
						step->entry->version, step->entry->name, execution_ms,
						false);
}

/*
 * What has been undone is complete: what may have gone with it is given up, and
 * written before anything is applied again.
 */
static void
end_undo(ApplyRun *run)
{
	ListCell   *lc;

	foreach(lc, run->again)
	{
		MigJournalRow row;

		if (run->id == 0)
			break;
		mig_journal_give_up(&row, run->id, run->common.options->project,
							(const MigEntry *) lfirst(lc), run->common.options->note);
		row.seq = ++run->recorded;
		mig_journal_batch_add(run->batch, &row);
	}
	mig_journal_batch_flush(run->batch);
}

static void
apply_steps(ApplyRun *run)
{
	MemoryContext old = CurrentMemoryContext;
	int			i;

	for (i = 0; i < run->common.nsteps; i++)
	{
		/* what fails from here on is not the migration before */
		run->common.current = -1;
		if (i > 0 && run->common.steps[i].part != run->common.steps[i - 1].part)
			end_undo(run);
		if (!mig_loaded_bodies_have(&run->common.loaded, i))
			mig_run_common_load(&run->common, i);
		run->common.current = i;
		MemoryContextSwitchTo(run->common.scratch);
		apply_step(run);
		MemoryContextSwitchTo(old);
		MemoryContextReset(run->common.scratch);
	}
	run->common.current = -1;
	mig_session_state_remove(run->common.execution.session_state);
	mig_progress_unmark();
	mig_run_lock_recheck();
	if (run->common.steps[run->common.nsteps - 1].part == MIG_DOWN)
		end_undo(run);
	mig_journal_batch_flush(run->batch);
}

static void
hold_undone(ApplyRun *run)
{
	List	   *versions = mig_plan_versions(run->again);
	int			i;

	for (i = 0; i < run->common.nsteps; i++)
		versions = lappend(versions, run->common.steps[i].entry->version);
	mig_migration_hold(run->common.options->project, versions,
					   psprintf("rolled back by run " INT64_FORMAT, run->id));
}

/* tell migrate.state, and this run's copy of the entries, what has been done */
static void
update_state(ApplyRun *run)
{
	ListCell   *lc;
	int			i;

	foreach(lc, run->again)
		((MigEntry *) lfirst(lc))->applied = false;
	for (i = 0; i < run->common.nsteps; i++)
	{
		MigEntry   *entry = run->common.steps[i].entry;

		entry->applied = (run->common.steps[i].part == MIG_UP);
		entry->up_changed = entry->down_changed = false;
		entry->run = run->id;
		entry->seq = run->costs[i].seq;
	}
	mig_project_write_state(run->project);
}

/* everything that is rolled back together when it fails */
static void
run_in_subtransaction(void *arg)
{
	ApplyRun   *run = (ApplyRun *) arg;
	int			guc_level = NewGUCNestLevel();

	mig_run_lock_bodies_begin();
	mig_execute_set_settings(&run->common.execution, run->policy->search_path,
							 run->policy->sets_search_path);
	mig_lock_wait_begin();
	apply_steps(run);
	mig_lock_wait_end();
	mig_run_lock_bodies_end();
	if (run->id != 0)
	{
		if (strcmp(run->action, "rollback") == 0 &&
			mig_plan_run_holds(run->common.options, run->policy))
			hold_undone(run);
		update_state(run);
	}
	AtEOXact_GUC(false, guc_level);
}


/*
 * Failure
 */

static void
journal_failure_here(ApplyRun *run, const MigJournalRow *row, const char *text)
{
	MigJournalBatch *batch = mig_journal_batch_begin();

	mig_journal_batch_add(batch, row);
	if (text != NULL)
		mig_journal_batch_add_body(batch, row->body_hash, run->id, text);
	mig_journal_batch_flush(batch);
	mig_journal_batch_end(batch);
	mig_progress_notify(mig_progress_payload(row->run, row->project,
											 row->version, row->action,
											 row->failure->sqlstate,
											 row->execution_ms));
}

static void
report_failure(const ApplyRun *run, const MigJournalRow *row,
			   MigApplySink sink,
			   void *arg)
{
	MigApplyResult result;

	memset(&result, 0, sizeof(result));
	result.run = run->id;
	result.version = row->version;
	result.name = row->name;
	result.action = "failed";
	result.statements = row->ntimings;
	result.execution_ms = row->execution_ms;
	result.failure = row->failure;
	sink(&result, arg);
}

/*
 * The run has failed and been rolled back: journal that, and raise the error
 * or report it.
 */
static void
raise_or_report(ApplyRun *run, ErrorData *edata, MigApplySink sink, void *arg)
{
	MigFailure	failure;
	MigJournalRow row;
	const char *text = mig_run_common_text(&run->common);

	/* a cancel ends the call, whatever it said about errors */
	bool		raise = run->common.options->raise ||
		edata->sqlerrcode == ERRCODE_QUERY_CANCELED;

	mig_run_common_describe_failure(&run->common, edata, &failure);
	mig_run_common_fill_row(&run->common, run->id, run->action, &row);
	row.seq = Max(run->common.current, 0) + 1;
	row.failure = &failure;
	if (run->id != 0)
	{
		mig_failure_record_log(&row);
		if (raise)
			mig_failure_record(&row, text);
		else
			journal_failure_here(run, &row, text);
	}
	if (raise)
		ReThrowError(edata);
	report_failure(run, &row, sink, arg);
}

static void
report_results(const ApplyRun *run, MigApplySink sink, void *arg)
{
	int			i;

	for (i = 0; i < run->common.nsteps; i++)
	{
		const MigStep *step = &run->common.steps[i];
		MigApplyResult result;

		memset(&result, 0, sizeof(result));
		result.run = run->id;
		result.version = step->entry->version;
		result.name = step->entry->name;
		result.action = mig_loaded_bodies_action(step->part);
		result.statements = run->costs[i].statements;
		result.execution_ms = run->costs[i].execution_ms;
		sink(&result, arg);
	}
}

static void
restore_session_state(void *arg)
{
	mig_session_state_remove(((ApplyRun *) arg)->common.execution.session_state);
}

static ErrorData *
run_attempt(ApplyRun *run)
{
	ErrorData  *edata;

	run->common.current = -1;
	run->recorded = 0;
	run->common.blockers = NULL;
	MemoryContextReset(run->common.scratch);
	mig_lock_wait_reset();
	run->batch = mig_journal_batch_begin();
	edata = mig_subxact_run(run_in_subtransaction, run, !run->common.options->dry_run);
	mig_lock_wait_end();
	mig_run_lock_bodies_end();
	if (edata != NULL && run->common.current >= 0)
		mig_timeout_explain(edata,
							run->common.steps[run->common.current].entry->version);
	mig_timeout_end();
	mig_journal_batch_end(run->batch);
	if (edata != NULL)
		mig_run_common_warn_session(mig_subxact_insist(restore_session_state,
													   run));
	return edata;
}

/*
 * Pause, and return NULL, or the error of a cancel meanwhile, which takes the
 * place of failure.
 */
static ErrorData *
pause_before_retry(const ApplyRun *run, const ErrorData *failure)
{
	int			ms = mig_run_common_announce_retry(&run->common);
	ErrorData  *edata = mig_subxact_run(mig_run_common_pause, &ms, true);

	if (edata != NULL)
		mig_run_common_explain_cancel(edata, failure);
	return edata;
}

/*
 * Run until it works, or fails for another reason than a lock, or has been
 * tried often enough.  Each attempt that fails gives up the locks of the run.
 */
static ErrorData *
run_attempts(ApplyRun *run)
{
	mig_lock_schedule_begin(&run->common.schedule, 0);
	run->common.execution.schedule = &run->common.schedule;
	for (;;)
	{
		ErrorData  *edata = run_attempt(run);
		ErrorData  *canceled;

		if (edata == NULL || !mig_lock_wait_is_lock_failure(edata))
			return edata;
		run->common.blockers = mig_lock_blockers_describe(&run->common.schedule.autovacuum);

		/* what is not a migration's is not known to leave nothing behind */
		if (run->common.current < 0 || !mig_lock_schedule_next(&run->common.schedule))
			return edata;
		canceled = pause_before_retry(run, edata);
		if (canceled != NULL)
			return canceled;
	}
}

/* run the steps that were added, with the lock held */
static void
run_steps(ApplyRun *run, MigApplySink sink, void *arg)
{
	ErrorData  *edata;
	const MigStep *last = &run->common.steps[run->common.nsteps - 1];

	Assert(mig_run_lock_is_mine());
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	run->costs = palloc_extended(sizeof(StepCost) * run->common.nsteps,
								 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	check_transactional(run);
	run->common.execution.session_state = mig_session_state_note();
	if (!run->common.options->dry_run)
		run->id = mig_journal_next_run();
	mig_deferred_fire_callers();
	edata = run_attempts(run);
	mig_progress_restore();
	if (edata != NULL)
		raise_or_report(run, edata, sink, arg);
	else
	{
		/* unless the caller may have said LISTEN in this transaction */
		if (!IsTransactionBlock())
			mig_session_state_end_listening(run->common.execution.session_state);
		if (run->id != 0)
			mig_progress_notify(mig_progress_payload(run->id, run->common.options->project,
													 last->entry->version,
													 run->action, NULL,
													 mig_journal_elapsed_ms(run->common.run_started_at)));
		report_results(run, sink, arg);
		if (IsTransactionBlock() && run->id != 0)
			ereport(NOTICE,
					(errmsg("the run takes effect when the transaction is committed")));
	}
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}


/*
 * Entry points
 */

/*
 * There was nothing to do, though migrate.state did not say so (a migration
 * may have been stamped): let it know, if that costs the caller nothing.  In a
 * transaction block it would keep the lock until the end of the block.
 */
static void
write_complete_state(const MigProject *project)
{
	if (mig_project_has_news(project) && !IsTransactionBlock())
		mig_project_write_state(project);
	else
		mig_run_lock_release();
}

void
mig_apply_up(const MigRunOptions *options, MigApplySink sink, void *arg)
{
	MigPlannedRun prepared = {0};
	ApplyRun   *run;
	bool		held_before = true;

	mig_run_lock_refuse_recursion();
	if (mig_plan_run_known_complete(options))
		return;
	if (!mig_preflight_can_write() || !mig_run_lock_try(&held_before))
	{
		if (mig_plan_run_nothing_pending(options))
			return;
		mig_preflight_transaction("apply migrations");
		mig_run_lock_acquire();
	}
	if (!mig_plan_run_apply(options, &prepared))
	{
		if (!held_before)
			write_complete_state(prepared.project);
		return;
	}
	mig_plan_run_warn(prepared.project, false);
	mig_lint_before_run(options->project, prepared.project, prepared.plan,
						prepared.policy);
	run = begin_run(options, "apply", NULL, &prepared);
	add_steps(run, MIG_UP, prepared.plan->steps, prepared.plan->nsteps);
	run_steps(run, sink, arg);
}

static bool
prepare_undo(const MigRunOptions *options, const MigDownChoice *choice,
			 MigPlannedRun *prepared)
{
	mig_run_lock_refuse_recursion();
	mig_plan_run_undo_guards(options);
	mig_run_lock_acquire();
	return mig_plan_run_undo(options, choice, prepared);
}

static void
notice_gaps(const MigProject *project, const MigPlan *plan)
{
	const MigEntry *highest = mig_plan_highest(project);
	List	   *versions = NIL;
	int			i;

	for (i = 0; i < plan->nsteps; i++)
	{
		if (mig_plan_can_leave_gap(plan->steps[i]))
			versions = lappend(versions, plan->steps[i]->version);
	}
	mig_plan_run_notice_gaps(highest ? highest->version : NULL, versions);
}

void
mig_apply_down(const MigRunOptions *options, const MigDownChoice *choice,
			   MigApplySink sink, void *arg)
{
	MigPlannedRun prepared = {0};
	ApplyRun   *run;

	if (!prepare_undo(options, choice, &prepared))
		return;
	run = begin_run(options, "rollback", choice, &prepared);
	run->again = prepared.plan->again;
	add_steps(run, MIG_DOWN, prepared.plan->steps, prepared.plan->nsteps);
	run_steps(run, sink, arg);
	if (options->dry_run || prepared.policy->allow_out_of_order ||
		mig_plan_run_holds(options, prepared.policy))
		return;
	notice_gaps(prepared.project, prepared.plan);
}

static int
compare_entry_positions(const void *a, const void *b)
{
	return (*(MigEntry *const *) a)->position - (*(MigEntry *const *) b)->position;
}

void
mig_apply_redo(const MigRunOptions *options, int64 steps, MigApplySink sink,
			   void *arg)
{
	MigDownChoice choice = {MIG_DOWN_STEPS};
	MigPlannedRun prepared = {0};
	MigPlan    *plan;
	ApplyRun   *run;
	MigEntry  **up;
	int			nup;
	ListCell   *lc;

	choice.steps = steps;
	if (!prepare_undo(options, &choice, &prepared))
		return;
	plan = prepared.plan;
	run = begin_run(options, "redo", &choice, &prepared);
	run->again = plan->again;
	add_steps(run, MIG_DOWN, plan->steps, plan->nsteps);
	up = palloc(sizeof(MigEntry *) *
				(plan->nsteps + list_length(plan->again)));
	memcpy(up, plan->steps, sizeof(MigEntry *) * plan->nsteps);
	nup = plan->nsteps;
	foreach(lc, plan->again)
	{
		if (((MigEntry *) lfirst(lc))->held_reason == NULL)
			up[nup++] = (MigEntry *) lfirst(lc);
	}
	qsort(up, nup, sizeof(MigEntry *), compare_entry_positions);
	add_steps(run, MIG_UP, up, nup);
	run_steps(run, sink, arg);
}
