/*-------------------------------------------------------------------------
 *
 * steps_session.h
 *	  What finished steps have left in the session.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_STEPS_SESSION_H
#define MIG_RUN_STEPS_SESSION_H

#include "run/steps_run.h"

/*
 * Before the first step of a later call: set what the finished ones have set, and
 * raise an error if something else that they had left is gone.  arg is a
 * MigStepsRun.
 */
extern void mig_steps_session_continue(void *arg);

/* what the step at hand is taken to leave, before its transaction has ended */
extern MigStepSession *mig_steps_session_of_step(MigStepsRun *run);

/* the last step has ended: record what it has left as it is seen now */
extern void mig_steps_session_correct(MigStepsRun *run);

/* strings in one line, for a message */
extern char *mig_steps_session_join(char **strings, int count);

#endif							/* MIG_RUN_STEPS_SESSION_H */
