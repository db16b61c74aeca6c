/*-------------------------------------------------------------------------
 *
 * runnable.h
 *	  Bodies that this session may run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_PLAN_RUNNABLE_H
#define MIG_PLAN_RUNNABLE_H

#include "ledger/migration.h"
#include "source/body.h"

/* something that a run does: a body of a migration */
typedef struct MigStep
{
	MigEntry   *entry;
	MigPart		part;
} MigStep;

/*
 * A body as it was read together with its author.  exec/execute.h takes
 * nothing else, and only plan/runnable.c can make one.
 */
typedef struct MigRunnable MigRunnable;

/* what a step runs */
typedef struct MigStepTexts
{
	const MigTexts *texts;
	const MigRunnable *body;
	const MigRunnable *verify;	/* after an up body; NULL: none */
} MigStepTexts;

/*
 * Read what these steps run.  Texts, checksums and authors come from one
 * SELECT, so what is decided holds for the very bytes that are returned.
 * Raises MIG_ERRCODE_AUTHOR if this session must not run one of them,
 * MIG_ERRCODE_CHANGED if one is not what was stored, and whatever is wrong with
 * a body that does not parse.  The result is in CurrentMemoryContext.
 */
extern MigStepTexts *mig_runnable_read(const char *project,
									   const MigStep *steps,
									   int count);

/*
 * Raise now what mig_runnable_read() will, if one of these is not to be run
 * here. This decides nothing: it only tells before a part of the run is done.
 */
extern void mig_runnable_refuse_strangers(const char *project, MigPart part,
										  MigEntry **entries, int count);

/* the parsed body and its label, which live as long as the runnable */
extern const MigBody *mig_runnable_body(const MigRunnable *runnable);
extern const MigLabel *mig_runnable_label(const MigRunnable *runnable);

/* decide again, for the session as it is now */
extern void mig_runnable_check(const MigRunnable *runnable);

#endif							/* MIG_PLAN_RUNNABLE_H */
