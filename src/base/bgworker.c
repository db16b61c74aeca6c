/*-------------------------------------------------------------------------
 *
 * bgworker.c
 *	  A short-lived background worker and the bytes that go to it.
 *
 * Knows nothing of migrations: the work is a function named by a string.  The
 * request travels in a dynamic shared memory segment.  The worker writes its
 * reply before it exits; the leader reads it after it saw the worker gone, so
 * no lock is needed, and a worker that died has left "no answer".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/bgworker.h"
#include "base/compat.h"
#include "base/migrate.h"
#include "base/printable.h"

/* how often a slot for a worker is asked for */
#define RETRY_INTERVAL_MS 50

typedef struct Segment
{
	Oid			database;
	volatile int reply;			/* MigBgworkerReply, written by the worker */
	char		request[FLEXIBLE_ARRAY_MEMBER];
} Segment;

/* in the worker: the segment it was given */
static Segment *attached = NULL;

/*
 * False if no worker slot is free; segment is the argument that the worker's
 * function gets.
 */
static bool
launch_worker(const char *function, dsm_handle segment,
			  BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = UInt32GetDatum(segment);
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, MIG_EXTENSION_NAME, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "migrate worker for process %d",
			 MyProcPid);
	strlcpy(worker.bgw_type, "migrate worker", BGW_MAXLEN);
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

static void
pause_for(long ms)
{
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* all slots may be taken for a moment, as parallel queries take them */
static bool
launch_in_time(const char *function, dsm_handle segment, int timeout_ms,
			   BackgroundWorkerHandle **handle)
{
	TimestampTz start = GetCurrentTimestamp();

	while (!launch_worker(function, segment, handle))
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
									   timeout_ms))
			return false;
		pause_for(RETRY_INTERVAL_MS);
	}
	return true;
}

/* true when the worker is gone, false at the deadline */
static bool
wait_for_end(BackgroundWorkerHandle *handle, int timeout_ms)
{
	TimestampTz start = GetCurrentTimestamp();
	pid_t		pid;

	for (;;)
	{
		long		left = timeout_ms -
			TimestampDifferenceMilliseconds(start, GetCurrentTimestamp());

		if (GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED)
			return true;
		if (left <= 0)
			return false;
		pause_for(left);
	}
}

MigBgworkerReply
mig_bgworker_call(const char *function, const void *request, Size length,
				  int timeout_ms)
{
	dsm_segment *segment;
	Segment    *shared;
	BackgroundWorkerHandle *handle;
	MigBgworkerReply reply;

	HOLD_CANCEL_INTERRUPTS();
	segment = dsm_create(offsetof(Segment, request) + length,
						 DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (segment == NULL)
	{
		RESUME_CANCEL_INTERRUPTS();
		return MIG_BGWORKER_NO_SLOT;
	}
	shared = dsm_segment_address(segment);
	shared->database = MyDatabaseId;
	shared->reply = MIG_BGWORKER_NO_ANSWER;
	memcpy(shared->request, request, length);

	if (!launch_in_time(function, dsm_segment_handle(segment), timeout_ms,
						&handle))
		reply = MIG_BGWORKER_NO_SLOT;
	else
	{
		if (!wait_for_end(handle, timeout_ms))
			TerminateBackgroundWorker(handle);
		reply = shared->reply;
	}
	dsm_detach(segment);
	RESUME_CANCEL_INTERRUPTS();
	return reply;
}

const void *
mig_bgworker_attach(Datum main_arg)
{
	dsm_segment *segment;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	segment = dsm_attach(DatumGetUInt32(main_arg));
	if (segment == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not map dynamic shared memory segment"),
				 errdetail("The session that asked for the work is gone.")));
	dsm_pin_mapping(segment);
	attached = dsm_segment_address(segment);
	BackgroundWorkerInitializeConnectionByOid(attached->database, InvalidOid,
											  MIG_BGWORKER_FLAGS);
	return attached->request;
}

void
mig_bgworker_reply(MigBgworkerReply reply)
{
	attached->reply = reply;
}
