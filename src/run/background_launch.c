/*-------------------------------------------------------------------------
 *
 * background_launch.c
 *	  The background worker of a run, registered when its transaction commits.
 *
 * A worker that is registered takes one of few slots of the whole server until
 * it ends.  So a transaction takes none before it commits, and no more than one
 * then; and all runs together never take more than half of them, so that others
 * find one: failures of apply() are journalled by workers, too.  Who counts and
 * registers does it alone in the server, for the few milliseconds until his
 * worker is counted as well.
 *
 * It happens as the last thing that can still fail: the worker waits for the
 * transaction to end, and goes away if that was not by a commit.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/backend_status.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/printable.h"
#include "ledger/run.h"
#include "ledger/tables.h"
#include "run/background_launch.h"

#define POLL_INTERVAL_MS 5
#define MAX_WAIT_MS 5000

/* sub-object of the lock's tag, see plan/run_lock.c; of no database */
#define LAUNCH_LOCK 3

/* what the current transaction has started; run is 0 if nothing */
static MigRunRequest pending;

static bool
is_pending(void)
{
	/* a savepoint that was rolled back takes it along */
	return pending.run != 0 &&
		TransactionIdIsCurrentTransactionId(pending.xid);
}

/* what to do about it is the same for all reasons */
#define HINT_NO_WORKER "Try again later, raise max_worker_processes, or use CALL migrate.apply_each()."

static void
pause_a_moment(void)
{
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 POLL_INTERVAL_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* workers of runs: in the server, and of a role in this database */
static void
count_workers(Oid role, int *all, int *own)
{
	MigSqlScope scope;
	Oid			types[2] = {OIDOID, OIDOID};
	Datum		values[2] = {ObjectIdGetDatum(MyDatabaseId),
	ObjectIdGetDatum(role)};

	pgstat_clear_backend_activity_snapshot();
	mig_tables_open(&scope);
	mig_sql_execute("SELECT pg_catalog.count(*)::pg_catalog.int4,"
					" pg_catalog.count(*) FILTER (WHERE"
					"  a.datid OPERATOR(pg_catalog.=) $1"
					"  AND a.usesysid OPERATOR(pg_catalog.=) $2)::pg_catalog.int4"
					" FROM pg_catalog.pg_stat_get_activity(NULL) a"
					" WHERE a.backend_type OPERATOR(pg_catalog.=) '"
					MIG_RUN_WORKER_TYPE "'", 2, types, values, NULL);
	*all = mig_sql_get_int4(0, 1);
	*own = mig_sql_get_int4(0, 2);
	mig_tables_close(&scope);
}

static void
check_room(Oid role)
{
	int			limit = Max(max_worker_processes / 2, 1);
	int			all;
	int			own;

	count_workers(role, &all, &own);
	if (own >= MIG_RUNS_PER_ROLE)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many runs of role \"%s\" are waiting or running in the background",
						mig_user_name(role)),
				 errdetail("There are %d of them in this database, which is the limit.",
						   own),
				 errhint("Wait for one of them with migrate.wait(), or end it with migrate.cancel(); migrate.progress() lists them.")));
	if (all >= limit)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start a background worker"),
				 errdetail("Runs take no more than half of the server's max_worker_processes, and %d are waiting or running.",
						   all),
				 errhint(HINT_NO_WORKER)));
}

void
mig_background_launch_check(void)
{
	if (is_pending())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a transaction can start one run in the background"),
				 errdetail("This one has started run " INT64_FORMAT " already.",
						   pending.run),
				 errhint("Commit, then start the next one.")));
	check_room(GetUserId());
}

/* alone among all databases: the slots are the server's */
static void
lock_launching(LOCKTAG *tag)
{
	TimestampTz start = GetCurrentTimestamp();

	SET_LOCKTAG_OBJECT(*tag, InvalidOid, ExtensionRelationId, InvalidOid,
					   LAUNCH_LOCK);
	while (LockAcquire(tag, ExclusiveLock, false, true) ==
		   LOCKACQUIRE_NOT_AVAIL)
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
									   MAX_WAIT_MS))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("could not start a background worker"),
					 errdetail("Others have been starting runs for %d ms.",
							   MAX_WAIT_MS),
					 errhint(HINT_NO_WORKER)));
		pause_a_moment();
	}
}

/* the slot of a worker that is told its run; an error if there is none */
static BackgroundWorkerHandle *
register_worker(const MigRunRequest *request)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;

	StaticAssertStmt(sizeof(MigRunRequest) <= BGW_EXTRALEN,
					 "request does not fit");
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, MIG_EXTENSION_NAME, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "mig_bgworker_run_main", BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "migrate run " INT64_FORMAT,
			 request->run);
	strlcpy(worker.bgw_type, MIG_RUN_WORKER_TYPE, BGW_MAXLEN);
	memcpy(worker.bgw_extra, request, sizeof(MigRunRequest));
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start a background worker"),
				 errdetail("All slots for background workers are in use."),
				 errhint(HINT_NO_WORKER)));
	return handle;
}

/* until count_workers() counts it */
static void
wait_until_counted(BackgroundWorkerHandle *handle)
{
	TimestampTz start = GetCurrentTimestamp();
	pid_t		pid;

	while (GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED &&
		   !TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
									   MAX_WAIT_MS))
	{
		pgstat_clear_backend_activity_snapshot();
		if (mig_run_is_run_worker(pid))
			break;
		pause_a_moment();
	}
}

/* start the worker, and wait until it counts as a connection of the role */
static void
launch_run(const MigRunRequest *request)
{
	BackgroundWorkerHandle *handle;
	MigRunRow  *row;
	LOCKTAG		tag;
	pid_t		pid;

	/* canceled or deleted by its own transaction, or the extension dropped */
	if (!OidIsValid(mig_tables_extension()))
		return;
	row = mig_run_read(request->run);
	if (row == NULL || row->outcome != NULL)
		return;
	lock_launching(&tag);
	check_room(request->role);
	handle = register_worker(request);
	if (WaitForBackgroundWorkerStartup(handle, &pid) != BGWH_STARTED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start a background worker"),
				 errdetail("The worker exited immediately."),
				 errhint("The server log says why.")));
	mig_run_set_worker(request->run, pid);
	wait_until_counted(handle);
	LockRelease(&tag, ExclusiveLock, false);
}

/*
 * Start the worker of a run when the transaction that asked for it commits,
 * not before.
 */
static void
at_transaction_end(XactEvent event, void *arg)
{
	MigRunRequest request = pending;

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (!is_pending())
				break;
			pending.run = 0;
			PushActiveSnapshot(GetTransactionSnapshot());
			launch_run(&request);
			PopActiveSnapshot();
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (is_pending())
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has started a run in the background"),
						 errdetail("Its worker would have to wait until COMMIT PREPARED.")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			pending.run = 0;
			break;
		default:
			break;
	}
}

void
mig_background_launch_at_commit(int64 run)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		registered = true;
	}
	pending.database = MyDatabaseId;
	pending.role = GetUserId();
	pending.xid = GetCurrentTransactionId();
	pending.run = run;
}
