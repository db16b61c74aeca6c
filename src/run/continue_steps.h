/*-------------------------------------------------------------------------
 *
 * continue_steps.h
 *	  Where a body that was begun before goes on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_CONTINUE_STEPS_H
#define MIG_RUN_CONTINUE_STEPS_H

#include "run/steps_run.h"

/*
 * Set where to go on from what earlier attempts have recorded.  Raises an error if
 * their text was changed since.  arg is a MigStepsRun.
 */
extern void mig_continue_steps_find(void *arg);

/* the hash of the body up to a statement, given the one of what is finished */
extern MigBodyHash mig_continue_steps_hash(const MigStepsRun *run, int last);

/* raise an error unless the statement that was cut off may be repeated */
extern void mig_continue_steps_check_interrupted(const MigStepsRun *run);

#endif							/* MIG_RUN_CONTINUE_STEPS_H */
