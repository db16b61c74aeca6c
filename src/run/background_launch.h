/*-------------------------------------------------------------------------
 *
 * background_launch.h
 *	  The background worker of a run, registered when its transaction commits.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_BACKGROUND_LAUNCH_H
#define MIG_RUN_BACKGROUND_LAUNCH_H

#include "base/migrate.h"

/* name and type of the worker, as pg_stat_activity has it */
#define MIG_RUN_WORKER_TYPE "migrate run"

/* how many may wait or run for a role in a database */
#define MIG_RUNS_PER_ROLE 3

/* what travels to the worker */
typedef struct MigRunRequest
{
	Oid			database;
	Oid			role;
	TransactionId xid;			/* of the caller, perhaps a subtransaction */
	int64		run;
} MigRunRequest;

/* raise an error unless the current transaction may start one more run */
extern void mig_background_launch_check(void);

/*
 * Have a worker begin with a run of the current role when the transaction
 * commits, if its row of migrate.run is there and open by then.  If there is
 * no worker to be had, the commit fails.
 */
extern void mig_background_launch_at_commit(int64 run);

#endif							/* MIG_RUN_BACKGROUND_LAUNCH_H */
