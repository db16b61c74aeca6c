/*-------------------------------------------------------------------------
 *
 * apply_each_failure.h
 *	  What becomes of an error of a run of many transactions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_APPLY_EACH_FAILURE_H
#define MIG_RUN_APPLY_EACH_FAILURE_H

#include "run/apply_each_run.h"

/*
 * The transaction is rolled back: journal the error in the next one, and raise it
 * again.
 */
extern void mig_apply_each_failure_raise(MigApplyEachRun *each, ErrorData *edata)
			pg_attribute_noreturn();

/* note whether the extension that the run has begun with is there; arg: the run */
extern void mig_apply_each_failure_look_for_extension(void *arg);

/*
 * Have the session as it was before the run: all of it, or but for its settings;
 * and call one of the two in a transaction of its own, with a warning if it fails.
 */
extern void mig_apply_each_failure_restore_session(void *arg);
extern void mig_apply_each_failure_restore_session_state(void *arg);
extern void mig_apply_each_failure_restore(MigApplyEachRun *each,
										   void (*function) (void *arg));

#endif							/* MIG_RUN_APPLY_EACH_FAILURE_H */
