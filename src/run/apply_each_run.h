/*-------------------------------------------------------------------------
 *
 * apply_each_run.h
 *	  One run of apply_each() or rollback_each(), for the files of that name.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_APPLY_EACH_RUN_H
#define MIG_RUN_APPLY_EACH_RUN_H

#include "plan/step_window.h"
#include "run/apply_each.h"
#include "run/run_common.h"

typedef struct MigApplyEachRun
{
	MigRunContext common;		/* its steps are those of the window */
	const MigDownChoice *choice;	/* NULL: apply */
	MigApplyEachResult *result;
	MigPart		part;
	bool		background;
	bool		has_row;		/* in migrate.run */
	bool		pending;		/* there may be something to do */
	bool		locked;
	bool		begun;			/* there was something to do */
	bool		stale;			/* the plan has to be made again */
	bool		half_way;		/* the current step is, after an error */
	Oid			extension;		/* that the run has begun with */
	bool		extension_is_gone;
	char	   *search_path;
	bool		path_is_policys;
	bool		holds;			/* what is undone */
	bool		gaps_matter;	/* or else says what will be out of order */

	MemoryContext context;		/* the run */
	MemoryContext planned;		/* what a plan has left */
	MigDownChoice rest;			/* of what is to be undone, for a new plan */
	List	   *told_held;		/* versions (char *) of which the client knows */
	List	   *gaps;			/* versions (char *), see
								 * mig_plan_can_leave_gap() */
	MigStepWindow window;
	MigJournalBatch *batch;
	List	   *settings;		/* of the session, before the run */
	bool		pinned;			/* it has others now */
	int			nentries;		/* of the project */

	int			next;			/* the step that comes next */
	int			given_up;		/* rows of the journal about such */
	double		execution_ms;	/* of the step that was recorded last */
	char	   *tried;			/* the version that is attempted, NULL: none */
	bool		in_vain;		/* another attempt would fail like the last */
} MigApplyEachRun;

static inline const MigEntry *
mig_apply_each_current_entry(const MigApplyEachRun *each)
{
	return mig_run_common_step(&each->common)->entry;
}

/* how many steps are left, this one included */
static inline int
mig_apply_each_steps_left(const MigApplyEachRun *each)
{
	return each->window.nsteps - each->window.first - each->common.current;
}

#endif							/* MIG_RUN_APPLY_EACH_RUN_H */
