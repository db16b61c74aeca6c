/*-------------------------------------------------------------------------
 *
 * status.h
 *	  What is applied, what is pending, what a run would do.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADMIN_STATUS_H
#define MIG_ADMIN_STATUS_H

#include "plan/plan.h"

/* applied, pending, held, changed, missing or failed */
extern const char *mig_status_state(const MigEntry *entry);

/* a NOTICE that names what mig_plan_late() returns, unless policy allows it */
extern void mig_status_notice_late(const MigProject *project);

/* one step of a plan; strings are valid during the call */
typedef void (*MigPlanSink) (int step, const MigEntry *entry,
							 const char *action, bool own_transaction,
							 const char *reason, void *arg);

/*
 * What apply() up to a target, or rollback() of so many steps, would do now, step
 * by step to the sink.  Raises what these would raise before they run anything.
 */
extern void mig_status_plan(const char *project, const char *target,
							MigPlanSink sink, void *arg);
extern void mig_status_plan_rollback(const char *project, int64 steps,
									 MigPlanSink sink, void *arg);

/* raise MIG_ERRCODE_PENDING unless all up to target is applied as stored */
extern void mig_status_check(const char *project, const char *target);

/* one verify body that was run and rolled back; sqlstate NULL: it passed */
typedef void (*MigVerifySink) (const MigEntry *entry, const char *sqlstate,
							   const char *message, void *arg);

/* run the verify bodies of all applied migrations, and tell how each went */
extern void mig_status_verify(const char *project, MigVerifySink sink,
							  void *arg);

#endif							/* MIG_ADMIN_STATUS_H */
