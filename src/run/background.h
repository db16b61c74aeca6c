/*-------------------------------------------------------------------------
 *
 * background.h
 *	  Runs in a background worker: start, wait, cancel.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_BACKGROUND_H
#define MIG_RUN_BACKGROUND_H

#include "plan/plan_run.h"

/*
 * Have a background worker apply what is pending once the current transaction
 * has committed, as the current role.  Returns the number of the run.  Raises
 * what forbids it: no free worker slot, a role that may not log in, a
 * connection limit.
 */
extern int64 mig_background_start(const MigRunOptions *options);

/*
 * Wait until a run has ended, at most timeout_ms (-1: for ever), and raise its
 * error if it failed.  To be called as mig_apply_each_up().  Returns the
 * outcome.
 */
extern const char *mig_background_wait(int64 run, double timeout_ms);

/* raise if the run was started by the transaction that is open */
extern void mig_background_refuse_own(int64 run);

/*
 * Cancel a run, in the background or not.  False if it has ended already.
 */
extern bool mig_background_cancel(int64 run);

/* the run that this process is the worker of, or 0 */
extern int64 mig_background_run(void);

/* in the worker */
extern void mig_background_main(void);

#endif							/* MIG_RUN_BACKGROUND_H */
