/*-------------------------------------------------------------------------
 *
 * run.h
 *	  The runs that take several transactions: rows of migrate.run.
 *
 * Everything here works under the tables' owner and gives the caller's
 * identity back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_RUN_H
#define MIG_LEDGER_RUN_H

#include "access/transam.h"
#include "base/migrate.h"

#define MIG_RUN_SUCCESS "success"
#define MIG_RUN_FAILURE "failure"
#define MIG_RUN_INTERRUPTED "interrupted"

/*
 * SQL: is there a session that works at row r of migrate.run?  One in the
 * background has yet to start for a moment, and its start is not known then.
 */
#define MIG_RUN_IS_ALIVE \
	"EXISTS (SELECT FROM pg_catalog.pg_stat_get_activity(NULL) a" \
	" WHERE a.pid OPERATOR(pg_catalog.=) r.backend_pid" \
	" AND (a.backend_start OPERATOR(pg_catalog.=) r.backend_start" \
	"  OR r.backend_start OPERATOR(pg_catalog.=) '-infinity'))" \
	" OR (r.backend_start OPERATOR(pg_catalog.=) '-infinity'" \
	"  AND r.requested_at OPERATOR(pg_catalog.>)" \
	"   (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-)" \
	"    '10 s'::pg_catalog.interval))"

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
	TransactionId xmin;			/* that has written the row */
	bool		alive;			/* has a session that works at it; on a
								 * standby that is not known, and true */
} MigRunRow;

/* role and times are filled in; one that is not in the background is started */
extern void mig_run_insert(const MigRunRow *row);

/* a background run has a process, which waits for the current transaction */
extern void mig_run_set_worker(int64 run, int pid);

/* is the process a worker of a background run, as pg_stat_activity has it? */
extern bool mig_run_is_run_worker(int pid);

/* the session of a background run begins to work; false if it has ended */
extern bool mig_run_start(int64 run);
extern void mig_run_end(int64 run, const char *outcome, int migrations);

/*
 * End one as failed if it is open, and has not begun if unstarted.  Returns the
 * number that its line in the journal can have, or 0.
 */
extern int	mig_run_close(int64 run, bool unstarted);

/* a run that did nothing and whose failure is not worth a line */
extern void mig_run_forget(int64 run);

/* NULL if there is none; in CurrentMemoryContext */
extern MigRunRow *mig_run_read(int64 run);

/*
 * Record the runs whose session is gone as interrupted, in the journal too.
 * Returns how many there were.  Whoever takes the runner lock calls it.
 */
extern int	mig_run_sweep(void);

#endif							/* MIG_LEDGER_RUN_H */
