/*-------------------------------------------------------------------------
 *
 * execute.h
 *	  Running one body in the current transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXECUTE_H
#define MIG_EXECUTE_H

#include "journal.h"
#include "statement.h"

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
	bool		contained;		/* keep the session's rights from bodies */
	int			statement;		/* index in body, -1: not in a statement */
	int			ntimings;
	int			max_timings;
	MigTiming  *timings;
} MigExecution;

extern void mig_execution_init(MigExecution *execution, MemoryContext context);

/* forget the last migration, keep the memory */
extern void mig_execution_reset(MigExecution *execution);

/*
 * Settings that every body starts with, until the end of the GUC nest level
 * that the caller has opened.
 */
extern void mig_execute_pin_settings(const char *search_path);

/*
 * A statement_timeout that a body has SET must not outlive it: set the timer
 * as the session's own setting says.
 */
extern void mig_execute_restart_timeout(void);

/*
 * Run the statements of a body; SPI must be connected.  What the body SETs is
 * undone.  A verify body is rolled back, and raises MIG_ERRCODE_VERIFY if the
 * first column of a row is false or null.
 *
 * With contained, the body cannot change role, and cannot leave anything behind
 * that would run later in the session: SET ROLE, deferred triggers, temporary
 * tables, PREPARE, LISTEN and cursors WITH HOLD are errors then.
 */
extern void mig_execute_body(MigExecution *execution, const MigBody *body,
							 const MigLabel *label);

/*
 * Check now what constraints (MigConstraint *) have put off, then put those
 * that are initially deferred back to that.
 */
extern void mig_execute_check_constraints(const MigLabel *label,
										  List *constraints);

#endif							/* MIG_EXECUTE_H */
