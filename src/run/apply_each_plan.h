/*-------------------------------------------------------------------------
 *
 * apply_each_plan.h
 *	  What a run of many transactions has to do.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_APPLY_EACH_PLAN_H
#define MIG_RUN_APPLY_EACH_PLAN_H

/*
 * With the lock held: find out what there is to do, and begin the run if there is
 * anything.  Nothing that was planned before is used.  arg is a MigApplyEachRun,
 * as for all functions here, which are called in a transaction of their own.
 */
extern void mig_apply_each_plan_make(void *arg);

/* load the next portion of bodies; the plan may turn out to be stale */
extern void mig_apply_each_plan_load_bodies(void *arg);

/* all is done: write the state of the project and the end of the run */
extern void mig_apply_each_plan_finish(void *arg);

#endif							/* MIG_RUN_APPLY_EACH_PLAN_H */
