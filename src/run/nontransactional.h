/*-------------------------------------------------------------------------
 *
 * nontransactional.h
 *	  Running one body in several transactions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_NONTRANSACTIONAL_H
#define MIG_RUN_NONTRANSACTIONAL_H

#include "exec/execute.h"
#include "ledger/step.h"

typedef struct MigNontransactional
{
	MigStepKey	key;
	const MigRunnable *body;
	const MigRunnable *verify;	/* NULL: none */
	bool		statement_by_statement; /* none shares a transaction */
	bool		marked;			/* a down body of a migration that is marked
								 * so */
	const char *search_path;
	bool		path_is_policys;
	int64		run;
	MigExecution *execution;

	/* called in the last transaction, to record the migration */
	void		(*finish) (void *arg);
	void	   *finish_arg;

	/* result: so many statements are committed */
	int			finished;

	/* and have left this in the session, which a later call has not; or NULL */
	char	   *left;

	/* and the one after them has committed a part of its own work */
	bool		committed_some;

	/* or has left a concurrent build that it could not finish */
	bool		left_build;
} MigNontransactional;

/*
 * Has a down body statements that run alone, though their text does not say
 * that they must?  marked: the migration is not transactional.  Raises nothing.
 */
extern bool mig_nontransactional_is_needed(const MigBody *body, bool marked);

/*
 * Run the body from its first unfinished statement on.  Returns NULL when all
 * of it is committed and recorded, or the error that ended it; statements
 * that were committed before stay, and are not run again by the next call.
 *
 * As for mig_transaction_run(): at top level, with the runner lock held for
 * the session, which is lost after an error.  CurrentMemoryContext must
 * outlive the transactions.  The session's settings are put back.
 */
extern ErrorData *mig_nontransactional_run(MigNontransactional *stepwise);

#endif							/* MIG_RUN_NONTRANSACTIONAL_H */
