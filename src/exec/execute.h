/*-------------------------------------------------------------------------
 *
 * execute.h
 *	  Running one body in the current transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_EXECUTE_H
#define MIG_EXEC_EXECUTE_H

#include "exec/lock_schedule.h"
#include "exec/progress.h"
#include "exec/session_state.h"
#include "ledger/journal.h"
#include "plan/runnable.h"

/* what to do with a statement */
typedef enum MigDecision
{
	MIG_RUN_STATEMENT,
	MIG_TRY_STATEMENT,			/* in a subtransaction of its own */
	MIG_SKIP_STATEMENT
} MigDecision;

/*
 * Callbacks around each statement of a run; used by rehearse().  begin
 * and end enclose a statement that runs, in its subtransaction if it has one;
 * end is not called if it fails.  failed says whether to go on after one that
 * was tried has failed and been rolled back.
 */
typedef struct MigObserver
{
	MigDecision (*decide) (void *arg);
	void		(*begin) (void *arg);
	void		(*end) (const MigTiming *timing, void *arg);
	bool		(*failed) (ErrorData *edata, void *arg);
	void	   *arg;
} MigObserver;

/*
 * Where a migration's execution is, and what it took so far.  Kept outside of
 * the subtransaction that the bodies run in, so that it tells after an error
 * which statement raised it.
 */
typedef struct MigExecution
{
	MemoryContext context;		/* of timings */
	const MigBody *body;		/* running now */
	const MigLabel *label;
	bool		has_escapes;	/* the session: standard_conforming_strings */
	int			statement;		/* index in body, -1: not in a statement */
	int			ntimings;
	int			max_timings;
	MigTiming  *timings;
	bool		toplevel;		/* not through SPI */
	const MigLockSchedule *schedule;	/* NULL: there is one attempt */
	MigProgress progress;		/* shown to others, unless action is NULL */
	const MigObserver *observer;	/* or NULL */
	MigSessionState *session_state; /* what the session had before the run */
	const char *search_path;	/* that bodies start with */
	bool		path_is_policys;	/* then RESET gives it, too */
} MigExecution;

/* before the settings are pinned */
extern void mig_execute_init(MigExecution *execution, MemoryContext context);

/* forget the last migration, keep the memory */
extern void mig_execute_reset(MigExecution *execution);

/* a statement that was run, perhaps by an earlier session */
extern void mig_execute_add_timing(MigExecution *execution,
								   const MigTiming *timing);

/*
 * Where an error happened, if a statement was running: points the error at the
 * body, and tells the journal.
 */
extern void mig_execute_locate(const MigExecution *execution,
							   ErrorData *edata, MigFailure *failure);

/*
 * Settings that every body starts with and that need not be the session's,
 * until the end of the GUC nest level that the caller has opened: search_path,
 * standard_conforming_strings.  doc/reference.md says why.
 */
extern void mig_execute_set_settings(MigExecution *execution,
									 const char *search_path,
									 bool path_is_policys);

/*
 * The same for the session, where bodies run in several transactions.
 */
extern void mig_execute_set_session(MigExecution *execution,
									const char *search_path,
									bool path_is_policys);

/*
 * Run the statements of a body; SPI must be connected.  Then what they have put
 * off to the end of the transaction is done, in the session as they have left it,
 * so the body must be in a subtransaction: see exec/deferred.h.  What it SETs is
 * undone in the end.  A verify body is rolled back with all that it has put off,
 * and raises MIG_ERRCODE_VERIFY if the first column of a row is false or null.
 */
extern void mig_execute_body(MigExecution *execution,
							 const MigRunnable *runnable);

/*
 * Run statements [first, end) of a body that takes several transactions, as
 * part of the current one; SPI must be connected.  What they SET stays.
 */
extern void mig_execute_part(MigExecution *execution,
							 const MigRunnable *runnable, int first, int end);

/*
 * Run statements [first, end) of a body, which are of one block of it, as a
 * client would after BEGIN; see mig_toplevel_run().  Leaves the transaction
 * block open.
 */
extern void mig_execute_block(MigExecution *execution,
							  const MigRunnable *runnable, int first, int end);

/*
 * Run one statement of a body at top level; see mig_toplevel_run().  Instead
 * of the statement's own text, replacement is run if it is not NULL.
 */
extern void mig_execute_toplevel(MigExecution *execution,
								 const MigRunnable *runnable, int statement,
								 const char *replacement);

#endif							/* MIG_EXEC_EXECUTE_H */
