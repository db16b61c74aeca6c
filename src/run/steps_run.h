/*-------------------------------------------------------------------------
 *
 * steps_run.h
 *	  One body that is run in several transactions, for the files that do it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_STEPS_RUN_H
#define MIG_RUN_STEPS_RUN_H

#include "exec/invalid_index.h"
#include "run/nontransactional.h"

typedef struct MigStepsRun
{
	MigNontransactional *stepwise;
	MemoryContext context;		/* until the body is done */
	List	   *settings;		/* before the body */
	char	   *role;			/* that runs it */
	bool		trusted;		/* the session could become a superuser */
	List	   *steps;			/* MigStepRow *, finished before this call */
	MigStepSession session;		/* what finished steps have left */
	int			last_step;		/* the statement that names the last of them */
	MigStepRow *interrupted;	/* started before, not finished */
	int			next;			/* index of the first unfinished statement */
	MigBodyHash hash;			/* of those before it, if there are any */
	bool		commented;		/* these have other comments or blanks now */

	/* the step at hand: statements [next, end) */
	int			end;
	const MigBlock *block;		/* NULL: none */
	bool		own;			/* at top level */
	char	   *sql;			/* if own */
	char	   *replacement;	/* to be run instead of it */
	int			first_timing;	/* of the execution's */
	List	   *invalid_indexes;
	MigInvalidIndex *invalid;	/* to be dropped now */
	char	   *done;			/* the index is there already: its name */
	MigSessionState *session_state; /* what the session had when it began */
	MigStepSession *finished_session;	/* what it has in the end */
} MigStepsRun;

/* the body, and a statement of it by its index */
static inline const MigBody *
mig_steps_run_body(const MigNontransactional *stepwise)
{
	return mig_runnable_body(stepwise->body);
}

static inline const MigStatement *
mig_steps_run_statement(const MigStepsRun *run, int i)
{
	return &mig_steps_run_body(run->stepwise)->statements[i];
}

#endif							/* MIG_RUN_STEPS_RUN_H */
