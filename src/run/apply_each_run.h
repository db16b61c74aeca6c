/*-------------------------------------------------------------------------
 *
 * apply_each_run.h
 *	  One run of apply_each() or rollback_each(), for the files of that name.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_APPLY_EACH_RUN_H
#define MIG_RUN_APPLY_EACH_RUN_H

#include "exec/execute.h"
#include "plan/loaded_bodies.h"
#include "plan/step_window.h"
#include "run/apply_each.h"

typedef struct MigApplyEachRun
{
	const MigRunOptions *options;
	const MigDownChoice *choice;	/* NULL: apply */
	MigApplyEachResult *result;
	MigPart		part;
	bool		background;
	bool		has_row;		/* in migrate.run */
	bool		pending;		/* there may be something to do */
	bool		locked;
	bool		begun;			/* there was something to do */
	bool		stale;			/* the plan has to be made anew */
	bool		half_way;		/* the current step is, after an error */
	Oid			extension;		/* that the run has begun with */
	bool		extension_is_gone;
	const char *role;
	char	   *search_path;
	bool		path_is_policys;
	bool		holds;			/* what is undone */
	bool		gaps_matter;	/* or else says what will be out of order */
	bool		ledger_was_empty;

	MemoryContext context;		/* the run */
	MemoryContext planned;		/* what a plan has left */
	MemoryContext migration;	/* one migration */
	MigDownChoice rest;			/* of what is to be undone, for a new plan */
	List	   *told_held;		/* versions (char *) of which the client knows */
	List	   *gaps;			/* versions (char *), see
								 * mig_plan_can_leave_gap() */
	MigStepWindow window;
	MigLoadedBodies loaded;		/* of the window's steps */
	MigJournalBatch *batch;
	MigExecution execution;
	List	   *settings;		/* of the session, before the run */
	MigSessionState *session_state; /* what else the session had by then */
	bool		pinned;			/* it has others now */
	int			nentries;		/* of the project */

	int			next;			/* the step that comes next */
	int			current;		/* the one that is running, -1: none */
	TimestampTz run_started_at;
	TimestampTz started_at;		/* of the current step */
	XLogRecPtr	wal_start;
	int			given_up;		/* rows of the journal about such */
	double		execution_ms;	/* of the step that was recorded last */
	MigLockSchedule schedule;	/* of attempts at the version: */
	char	   *tried;			/* NULL: none yet */
	char	   *blockers;		/* whom the last attempt waited for, or NULL */
	bool		in_vain;		/* another attempt would fail like the last */
} MigApplyEachRun;

/* the step that is running */
static inline MigStep *
mig_apply_each_current_step(const MigApplyEachRun *each)
{
	return &each->window.steps[each->current];
}

static inline const MigEntry *
mig_apply_each_current_entry(const MigApplyEachRun *each)
{
	return mig_apply_each_current_step(each)->entry;
}

/* how many steps are left, this one included */
static inline int
mig_apply_each_steps_left(const MigApplyEachRun *each)
{
	return each->window.nsteps - each->window.first - each->current;
}

#endif							/* MIG_RUN_APPLY_EACH_RUN_H */
