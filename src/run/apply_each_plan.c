/*-------------------------------------------------------------------------
 *
 * apply_each_plan.c
 *	  What a run of many transactions has to do.
 *
 * The plan is made under the runner lock, and again whenever the lock was given up.
 * What the run needs of it is kept in a memory context of its own; the entries of
 * all migrations are not. *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/session_settings.h"
#include "ledger/run.h"
#include "ledger/state.h"
#include "lint/lint.h"
#include "plan/plan_run.h"
#include "plan/project.h"
#include "plan/run_lock.h"
#include "run/apply_each_failure.h"
#include "run/apply_each_plan.h"

static void
write_run_row(MigApplyEachRun *each)
{
	MigRunRow	row;

	if (each->result->run != 0)
		return;
	each->result->run = mig_journal_next_run();
	memset(&row, 0, sizeof(row));
	row.run = each->result->run;
	row.project = unconstify(char *, each->common.options->project);
	row.action = unconstify(char *, mig_loaded_bodies_action(each->part));
	row.target = unconstify(char *, each->choice ? each->choice->target :
							each->common.options->target);
	row.restricted = each->common.options->restricted;
	row.versions = each->common.options->versions;
	row.note = unconstify(char *, each->common.options->note);
	row.backend_pid = MyProcPid;
	mig_run_insert(&row);
	mig_run_lock_mark_run(row.run);
}

/* what a run does before its first migration */
static void
begin_run(MigApplyEachRun *each, const MigPlannedRun *prepared)
{
	each->begun = true;
	each->common.ledger_was_empty = prepared->ledger_was_empty;
	write_run_row(each);
	each->has_row = true;
	each->batch = mig_journal_batch_begin();
	if (each->part == MIG_UP)
		mig_plan_run_warn(prepared->project, true);
	else
		mig_state_invalidate();

	/* for the whole run, since it takes time */
	each->settings = mig_session_settings_save();
	each->common.execution.session_state =
		mig_session_state_note();
	each->pinned = true;
}

/*
 * What is to be undone was decided when the run began: what has been applied
 * since does not take the place of any of it.  But everything after a target is
 * everything that is there now.
 */
static const MigDownChoice *
choice_of_rest(MigApplyEachRun *each)
{
	if (!each->begun || each->choice->kind == MIG_DOWN_TO)
		return each->choice;
	each->rest.kind = MIG_DOWN_APPLICATIONS;
	each->rest.applications = mig_step_window_rest(&each->window,
												   each->window.first +
												   each->next);
	return &each->rest;
}

static List *
copy_strings(List *strings)
{
	List	   *copy = NIL;
	ListCell   *lc;

	foreach(lc, strings)
		copy = lappend(copy, pstrdup(lfirst(lc)));
	return copy;
}

/* there is something to do: keep of the plan what the run needs of it */
static void
keep_plan(MigApplyEachRun *each, const MigPlannedRun *prepared)
{
	MigPolicy  *policy = prepared->policy;

	if (each->part == MIG_UP &&
		(!each->begun || policy->lint == MIG_LINT_REFUSE))
		mig_lint_before_run(each->common.options->project, prepared->project,
							prepared->plan, policy);
	MemoryContextSwitchTo(each->context);
	if (!each->begun)
		begin_run(each, prepared);
	MemoryContextReset(each->planned);
	MemoryContextSwitchTo(each->planned);
	each->search_path = pstrdup(policy->search_path);
	each->path_is_policys = policy->sets_search_path;
	mig_execute_set_session(&each->common.execution, each->search_path,
							each->path_is_policys);
	each->holds = each->part == MIG_DOWN &&
		mig_plan_run_holds(each->common.options, policy);
	each->gaps_matter = each->part == MIG_DOWN && !each->holds &&
		!policy->allow_out_of_order;
	mig_step_window_begin(&each->window, each->part, prepared->plan);
}

/* with the lock held: find out what there is to do */
void
mig_apply_each_plan_make(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;
	MemoryContext context = AllocSetContextCreate(each->context,
												  "migrate plan",
												  ALLOCSET_DEFAULT_SIZES);
	MigPlannedRun prepared = {0};
	bool		something;

	MemoryContextSwitchTo(context);
	prepared.told_held = each->told_held;
	if (each->part == MIG_UP)
		something = mig_plan_run_apply(each->common.options, &prepared);
	else
		something = mig_plan_run_undo(each->common.options, choice_of_rest(each),
									  &prepared);
	each->nentries = prepared.project->count;
	if (something)
		keep_plan(each, &prepared);
	else
	{
		each->window.nsteps = 0;
		if (each->part == MIG_UP && mig_project_has_news(prepared.project))
			mig_project_write_state(prepared.project);
	}
	MemoryContextSwitchTo(each->context);
	each->told_held = copy_strings(prepared.told_held);
	MemoryContextDelete(context);
	mig_loaded_bodies_forget(&each->common.loaded);
	each->next = 0;
	each->stale = false;
}

void
mig_apply_each_plan_load_bodies(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;

	mig_execute_reset(&each->common.execution);
	if (each->next >= each->window.count)
	{
		each->stale = !mig_step_window_read(&each->window,
											each->common.options->project,
											each->window.first +
											each->window.count);
		mig_loaded_bodies_forget(&each->common.loaded);
		each->next = 0;
		if (each->stale)
			return;
	}
	each->common.steps = each->window.steps;
	each->common.nsteps = each->window.count;
	mig_run_common_load(&each->common, each->next);
}

void
mig_apply_each_plan_finish(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;
	MemoryContext context = AllocSetContextCreate(each->context,
												  "migrate state",
												  ALLOCSET_DEFAULT_SIZES);
	MigProject *project;
	const MigEntry *highest;

	MemoryContextSwitchTo(context);
	project = mig_project_read(each->common.options->project, NIL, false, false);
	mig_project_write_state(project);
	highest = mig_plan_highest(project);
	if (each->gaps_matter)
		mig_plan_run_notice_gaps(highest ? highest->version : NULL,
								 each->gaps);
	MemoryContextSwitchTo(each->context);
	MemoryContextDelete(context);
	mig_run_end(each->result->run, MIG_RUN_SUCCESS,
				each->result->migrations);
	mig_apply_each_failure_restore_session(each);
}
