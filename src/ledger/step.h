/*-------------------------------------------------------------------------
 *
 * step.h
 *	  How far a migration has come that runs in several transactions.
 *
 * Rows of migrate.step.  Everything here works under the tables' owner and
 * gives the caller's identity back; what writes expects the caller to hold the
 * runner lock.  Statements are numbered from 1.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_STEP_H
#define MIG_LEDGER_STEP_H

#include "ledger/journal.h"
#include "source/tokens.h"

/* one body of one migration */
typedef struct MigStepKey
{
	const char *project;
	const char *version;
	MigPart		part;
} MigStepKey;

/*
 * What the steps of a body that are finished have left in the session, which
 * those after them go on from.  Strings of others: see run/nontransactional.c.
 */
typedef struct MigStepSession
{
	char	   *role;			/* that ran the last of them; NULL: none did */
	bool		trusted;		/* the session could become a superuser */
	char	   *search_path;	/* that the body began with; NULL: any */
	int			nsettings;
	char	  **settings;		/* see mig_session_settings_changes() */
	int			nsession_state;
	char	  **session_state;	/* see mig_session_state_left() */
} MigStepSession;

/* statements that were run together, or one that was run alone */
typedef struct MigStepRow
{
	int			statement;		/* the first of them */
	int			last_statement;
	MigBodyHash hash;			/* of the body up to the end of the last */
	bool		finished;
	int64		run;			/* that has started it */
	double		execution_ms;
	int			commits;		/* that a procedure has done */
	int			ntimings;
	MigTiming  *timings;

	/* what a concurrent build found when it was started */
	Oid			relation;		/* InvalidOid: not about one table */
	int			nindexes;
	Oid		   *indexes;
	int			ndefinitions;
	char	  **definitions;	/* see exec/invalid_index.c */

	MigStepSession session;		/* if it is finished */
} MigStepRow;

/* of MigStepRow *, in order; in CurrentMemoryContext */
extern List *mig_step_read(const MigStepKey *key);

/* a step is going to be run, perhaps once more */
extern void mig_step_start(const MigStepKey *key,
						   const MigStepRow *step, int64 run);

/* statement names the step; to be called in its last transaction */
extern void mig_step_finish(const MigStepKey *key, int statement,
							double execution_ms, const MigTiming *timings,
							int ntimings, const MigStepSession *session);

/* what that transaction has left, as is seen after its end */
extern void mig_step_set_session(const MigStepKey *key, int statement,
								 const MigStepSession *session);

/* may this session go on with the settings of that one? */
extern bool mig_step_may_take_over(const MigStepSession *session);

/* in a transaction that a started step is going to commit by itself */
extern void mig_step_count_commit(const MigStepKey *key, int statement);

/* the step has not been started after all, unless it has committed anything */
extern void mig_step_forget_start(const MigStepKey *key, int statement);

/* all rows of a version: it is not partly applied any more */
extern void mig_step_forget(const char *project, const char *version);

/*
 * Record, as the user has declared, that exactly the first last_statement
 * statements, whose text hash is of, are done; 0 is a fresh start.
 * session may be NULL.
 */
extern void mig_step_declare(const MigStepKey *key, int last_statement,
							 const MigBodyHash *hash, int64 run,
							 const MigStepSession *session);

/* another version of the project that stands half-way, or NULL */
extern char *mig_step_other(const char *project, const char *version);

/* does a version have rows, and of which part?  Down if it has both. */
extern bool mig_step_exists(const char *project, const char *version,
							MigPart *part);

#endif							/* MIG_LEDGER_STEP_H */
