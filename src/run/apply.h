/*-------------------------------------------------------------------------
 *
 * apply.h
 *	  Running migrations up and down in the caller's transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_APPLY_H
#define MIG_RUN_APPLY_H

#include "ledger/journal.h"
#include "plan/plan_run.h"

/* one migration that was run; valid during the call of the sink */
typedef struct MigApplyResult
{
	int64		run;			/* 0: a dry run has no number */
	const char *version;		/* NULL: failed outside of any migration */
	const char *name;
	const char *action;			/* apply, rollback, failed */
	int			statements;
	double		execution_ms;
	const MigFailure *failure;
} MigApplyResult;

typedef void (*MigApplySink) (const MigApplyResult *result, void *arg);

/*
 * Apply what is pending, undo, or undo and apply again.  All or nothing: an
 * error in a body rolls back what the call did, is journalled, and is raised
 * again with its own SQLSTATE, or handed to the sink if options->raise is
 * false.  What forbids the run before it starts is raised in any case.
 */
extern void mig_apply_up(const MigRunOptions *options, MigApplySink sink,
						 void *arg);
extern void mig_apply_down(const MigRunOptions *options,
						   const MigDownChoice *choice, MigApplySink sink,
						   void *arg);
extern void mig_apply_redo(const MigRunOptions *options, int64 steps,
						   MigApplySink sink, void *arg);

#endif							/* MIG_RUN_APPLY_H */
