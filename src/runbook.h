/*-------------------------------------------------------------------------
 *
 * runbook.h
 *	  The runs that take several transactions: rows of migrate.run.
 *
 * Everything here works under the tables' owner and gives the caller's
 * identity back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUNBOOK_H
#define MIG_RUNBOOK_H

#include "migrate.h"

#define MIG_RUN_SUCCESS "success"
#define MIG_RUN_FAILURE "failure"
#define MIG_RUN_INTERRUPTED "interrupted"

typedef struct MigRunRow
{
	int64		run;
	char	   *project;
	char	   *action;			/* apply, rollback */
	bool		background;
	char	   *target;			/* NULL: none */
	bool		restricted;		/* to versions */
	List	   *versions;		/* of char * */
	char	   *note;			/* NULL: none */
	List	   *settings;		/* of char *: name=value */
	char	   *role;
	int			backend_pid;
	TimestampTz backend_start;	/* 0: not known yet */
	bool		started;
	char	   *outcome;		/* NULL: waiting or running */
	int			migrations;		/* that were run */
	bool		alive;			/* has a session that works at it */
} MigRunRow;

/* role and times are filled in; one that is not in the background is started */
extern void mig_runbook_insert(const MigRunRow *row);

/* the session of a background run begins to work */
extern void mig_runbook_start(int64 run);
extern void mig_runbook_end(int64 run, const char *outcome, int migrations);

/* NULL if there is none; in CurrentMemoryContext */
extern MigRunRow *mig_runbook_read(int64 run);

/*
 * Record the runs whose session is gone as interrupted, in the journal too.
 * Returns how many there were.
 */
extern int	mig_runbook_sweep(void);

#endif							/* MIG_RUNBOOK_H */
