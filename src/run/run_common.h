/*-------------------------------------------------------------------------
 *
 * run_common.h
 *	  What all kinds of runs have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_RUN_COMMON_H
#define MIG_RUN_RUN_COMMON_H

#include "access/xlogdefs.h"

#include "exec/execute.h"
#include "plan/loaded_bodies.h"
#include "plan/plan_run.h"

/* one run: its steps, their bodies, and the one that is running */
typedef struct MigRunContext
{
	const MigRunOptions *options;
	const char *role;			/* that bodies run as */
	bool		ledger_was_empty;
	MigStep    *steps;
	int			nsteps;
	MigLoadedBodies loaded;		/* of some of the steps */
	MigExecution execution;
	MemoryContext scratch;		/* one migration */
	int			current;		/* index of the running step, -1: none */
	TimestampTz run_started_at;
	TimestampTz started_at;		/* of the current step */
	XLogRecPtr	wal_start;
	MigLockSchedule schedule;	/* of attempts */
	char	   *blockers;		/* whom the last attempt waited for, or NULL */
} MigRunContext;

/* the step that is running */
static inline MigStep *
mig_run_common_step(const MigRunContext *run)
{
	Assert(run->current >= 0 && run->current < run->nsteps);
	return &run->steps[run->current];
}

/* its bodies, which have been loaded */
static inline const MigStepTexts *
mig_run_common_bodies(const MigRunContext *run)
{
	Assert(mig_loaded_bodies_have(&run->loaded, run->current));
	return &run->loaded.bodies[run->current - run->loaded.first];
}

/*
 * Begin with a zeroed struct, in a memory context that lives as long as the run
 * and outlives its transactions.
 */
extern void mig_run_common_init(MigRunContext *run,
								const MigRunOptions *options);

/* load the bodies of the steps from this one on, as many as fit */
extern void mig_run_common_load(MigRunContext *run, int first);

/*
 * The current step begins: note when, and what others see of it.  id is 0 for a
 * run that has no number.
 */
extern void mig_run_common_begin_step(MigRunContext *run, int64 id,
									  const char *action, int position,
									  int total);

/*
 * Run the bodies of the current step, and what they have put off, in a
 * subtransaction that all steps share; SPI must be connected.
 */
extern void mig_run_common_run_bodies(MigRunContext *run, bool verify);

/*
 * The journal row of the current step as far as it has come, or of the run if
 * there is none.
 */
extern void mig_run_common_fill_row(const MigRunContext *run, int64 id,
									const char *action, MigJournalRow *row);

/*
 * After an error and the roll-back: point the error at the body, with its hints
 * and run->blockers, and tell *failure of it.
 */
extern void mig_run_common_describe_failure(const MigRunContext *run,
											ErrorData *edata,
											MigFailure *failure);

/* the text that the current step has run, NULL if there is none */
extern const char *mig_run_common_text(const MigRunContext *run);

/*
 * Before another attempt: tell the client, and return for how many ms to pause.
 * mig_run_common_pause() takes a pointer to them.  mig_run_common_explain_cancel()
 * adds to the error of a cancel meanwhile why there was a pause.
 */
extern int	mig_run_common_announce_retry(const MigRunContext *run);
extern void mig_run_common_pause(void *ms);
extern void mig_run_common_explain_cancel(ErrorData *edata,
										  const ErrorData *failure);

/* NULL, or why the state of the session could not be restored: a warning */
extern void mig_run_common_warn_session(const ErrorData *edata);

#endif							/* MIG_RUN_RUN_COMMON_H */
