/*-------------------------------------------------------------------------
 *
 * resume_concurrent_build.h
 *	  How a concurrent statement that was cut off is resumed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_RESUME_CONCURRENT_BUILD_H
#define MIG_RUN_RESUME_CONCURRENT_BUILD_H

#include "run/steps_run.h"

/*
 * Before a statement that was cut off is run again: set what is to be dropped
 * first, what is to be run instead of it, and whether it is done already.
 */
extern void mig_resume_concurrent_build_find(MigStepsRun *run);

/*
 * The index is there and valid: nothing is to be done but to say so and to record
 * the statement.
 */
extern void mig_resume_concurrent_build_skip(MigStepsRun *run);

/*
 * Drop run->invalid, which an earlier attempt has left, in a transaction of
 * its own.  arg is a MigStepsRun.
 */
extern void mig_resume_concurrent_build_drop(void *arg);

/* after an error: is there anything that the step has left behind? */
extern bool mig_resume_concurrent_build_has_left(const MigStepsRun *run);

#endif							/* MIG_RUN_RESUME_CONCURRENT_BUILD_H */
