/*-------------------------------------------------------------------------
 *
 * step_window.h
 *	  What a run of many transactions has to do.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_PLAN_STEP_WINDOW_H
#define MIG_PLAN_STEP_WINDOW_H

#include "plan/loaded_bodies.h"
#include "plan/plan.h"

typedef struct MigStepWindowItem MigStepWindowItem;

/* steps [first, first + count) of nsteps are in memory */
typedef struct MigStepWindow
{
	MemoryContext context;		/* of those steps */
	MigPart		part;
	int			nsteps;			/* 0: nothing to do */
	List	   *again;			/* of MigEntry *, see MigPlan */
	MigStepWindowItem *items;
	int			first;
	int			count;
	MigStep    *steps;
} MigStepWindow;

/*
 * Copy from a plan what is needed of it into CurrentMemoryContext, and of the
 * first steps all.
 */
extern void mig_step_window_begin(MigStepWindow *window, MigPart part,
								  const MigPlan *plan);

/*
 * Read the steps from number first on from the books, instead of those that
 * were in memory.  False if one has been removed.
 */
extern bool mig_step_window_read(MigStepWindow *window, const char *project,
								 int first);

/* of a plan to undo: MigApplication *, from number first on, copied */
extern List *mig_step_window_rest(const MigStepWindow *window, int first);

#endif							/* MIG_PLAN_STEP_WINDOW_H */
