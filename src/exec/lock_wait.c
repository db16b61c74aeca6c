/*-------------------------------------------------------------------------
 *
 * lock_wait.c
 *	  How long a statement of a body waits for a lock, and for which.
 *
 * When a lock time-out is caught, the wait is over and nothing tells any more
 * what it was for: the statement names neither the row, nor the table at the
 * other end of a foreign key, nor what a function does.  So while bodies run, a
 * timer looks now and then whether this backend waits, and copies the lock's
 * tag.  See exec/lock_blockers.c for what is made of it after the error.
 *
 * The same timer ends a wait that takes longer than the run allows.  It is not
 * done by lock_timeout, whose error a body may catch in order to go on without
 * the lock: that is about a limit which its author knows of.  This one cancels,
 * as a statement_timeout does, and is the failure of the run even if its error was
 * caught: a statement that goes on gets the error at its end, and a procedure when
 * it commits.
 *
 * The timer's handler runs in a signal: it only copies a few words.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/session_settings.h"
#include "exec/lock_wait.h"

#define MAX_PERIOD_MS 100

static MigLockWait sampled;		/* written by the handler */
static bool wait_failed = false;	/* sampled ended in an error */
static bool tracing = false;
static TimeoutId timer = MAX_TIMEOUTS;	/* not registered yet */
static int	timer_period;

/* for how many ms this backend may wait, 0: no limit of ours */
static volatile int wait_limit = 0;
static int	limit_after_commit = 0;

/* such a wait is sampled, and has been canceled */
static volatile sig_atomic_t limit_reached = false;
static volatile int limit_that_ended_it;
static volatile TimestampTz start_of_canceled;	/* the last of them */

/* our cancel has not been raised as an error yet */
static volatile sig_atomic_t cancel_pending = false;

/* after ours somebody else has canceled as well */
static bool canceled_by_others = false;

/* lock_timeout as it was before the bodies */
static const struct config_generic *lock_timeout = NULL;
static int	session_timeout;
static GucSource session_source;
static const GucStack *session_stack;


/*
 * Sampling
 */

/* then its author knows best; it may be the value that it was before */
static bool
body_has_set_lock_timeout(void)
{
	return LockTimeout != session_timeout ||
		lock_timeout->source != session_source ||
		lock_timeout->stack != session_stack;
}

/*
 * Is it the wait of a concurrent build for the transactions of others?  Such a
 * build has given up its snapshot, or two of them would wait for each other, and
 * has no lock that anybody waits for.  DETACH PARTITION ... FINALIZE waits in the
 * same way, but with a snapshot, and with ACCESS EXCLUSIVE on the partition.
 */
static bool
is_in_nobodys_way(const LOCKTAG *tag)
{
	return (tag->locktag_type == LOCKTAG_VIRTUALTRANSACTION ||
			tag->locktag_type == LOCKTAG_TRANSACTION) &&	/* a prepared one */
		!TransactionIdIsValid(MyProc->xmin) &&
		!TransactionIdIsValid(MyProc->xid);
}

/* has the wait that is sampled taken longer than it may? */
static bool
is_over_limit(void)
{
	TimestampTz end;

	if (wait_limit == 0 || sampled.start == 0 ||
		(LockTimeout > 0 && LockTimeout <= wait_limit) ||
		body_has_set_lock_timeout() || is_in_nobodys_way(&sampled.tag))
		return false;
	end = TimestampTzPlusMilliseconds(sampled.start, wait_limit);
	return GetCurrentTimestamp() >= end;
}

/* in the signal handler */
static void
cancel_wait(TimestampTz start)
{
	/* somebody else was faster */
	if (QueryCancelPending)
		return;
	start_of_canceled = start;
	cancel_pending = InterruptPending = QueryCancelPending = true;
	if (limit_reached)
		return;
	limit_that_ended_it = wait_limit;
	limit_reached = true;
}

/* signal handler */
static void
watch_wait(void)
{
	LOCK	   *lock;
	TimestampTz start;

	/* a backend that is ended in a body gives its place up with the timer on */
	if (MyProc == NULL)
		return;

	/* the status is set last when a wait begins */
	lock = MyProc->waitLock;
	if (lock == NULL || MyProc->waitStatus != PROC_WAIT_STATUS_WAITING)
		return;
	start = (TimestampTz) pg_atomic_read_u64(&MyProc->waitStart);

	/* the attempt is lost, and nobody is to queue behind another wait of it */
	if (limit_reached)
	{
		if (start != 0 && start != start_of_canceled)
			cancel_wait(start);
		return;
	}
	sampled.tag = lock->tag;
	sampled.mode = MyProc->waitLockMode;
	sampled.start = start;
	if (is_over_limit())
		cancel_wait(start);
}

/* is the error that is being raised the server's own for a cancel? */
static bool
is_cancel_by_server(void)
{
	MemoryContext old;
	ErrorData  *edata;
	bool		result;

	if (geterrcode() != ERRCODE_QUERY_CANCELED)
		return false;
	old = MemoryContextSwitchTo(TopMemoryContext);
	edata = CopyErrorData();
	result = edata->elevel >= ERROR && edata->funcname != NULL &&
		strcmp(edata->funcname, "ProcessInterrupts") == 0;
	FreeErrorData(edata);
	MemoryContextSwitchTo(old);
	return result;
}

/*
 * Context callback for as long as bodies run.  It adds nothing, but sees each
 * error when it is raised, also one that the body catches.  The first cancel
 * after ours is that, and any other is somebody else's.
 */
static void
note_cancel(void *arg)
{
	if (!limit_reached || !is_cancel_by_server())
		return;
	if (!cancel_pending)
		canceled_by_others = true;
	cancel_pending = false;
}

static ErrorContextCallback cancel_watcher = {NULL, note_cancel, NULL};

/* have it see all errors until bodies have run, or one of them escapes */
static void
push_cancel_watcher(void)
{
	ErrorContextCallback *callback;

	/* a body may have migrate.verify() begin once more */
	for (callback = error_context_stack; callback != NULL;
		 callback = callback->previous)
	{
		if (callback == &cancel_watcher)
			return;
	}
	cancel_watcher.previous = error_context_stack;
	error_context_stack = &cancel_watcher;
}

/* who has caught an error has taken it off already */
static void
pop_cancel_watcher(void)
{
	if (error_context_stack == &cancel_watcher)
		error_context_stack = cancel_watcher.previous;
}

static int
sampling_period(void)
{
	int			ms = MAX_PERIOD_MS;

	if (wait_limit > 0)
		ms = Min(ms, wait_limit / 10);
	if (LockTimeout > 0)
		ms = Min(ms, LockTimeout / 10);
	return Max(ms, 1);
}

static void
start_sampling(void)
{
	timer_period = sampling_period();
	enable_timeout_every(timer,
						 TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													 timer_period),
						 timer_period);
}

/* a statement may commit by itself, before it takes its locks or in between */
static void
before_commit(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_PRE_COMMIT || !tracing)
		return;
	mig_lock_wait_check();
	wait_limit = limit_after_commit;
}

void
mig_lock_wait_begin(void)
{
	if (timer == MAX_TIMEOUTS)
	{
		lock_timeout = mig_session_settings_find("lock_timeout");
		RegisterXactCallback(before_commit, NULL);
		timer = RegisterTimeout(USER_TIMEOUT, watch_wait);
	}
	session_timeout = LockTimeout;
	session_source = lock_timeout->source;
	session_stack = lock_timeout->stack;
	wait_limit = limit_after_commit = 0;
	tracing = true;
	push_cancel_watcher();
	start_sampling();
}

int
mig_lock_wait_session_timeout(void)
{
	return session_timeout;
}

void
mig_lock_wait_limit(int ms, int after_commit)
{
	if (!tracing)
		return;
	wait_limit = ms;
	limit_after_commit = after_commit;

	/* an error that nobody caught has disabled all timers */
	if (get_timeout_active(timer) && timer_period != sampling_period())
		start_sampling();
}

void
mig_lock_wait_check(void)
{
	if (!limit_reached)
		return;

	/* the lock may have come at the last moment */
	CHECK_FOR_INTERRUPTS();
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("canceling statement due to lock timeout")));
}

void
mig_lock_wait_end(void)
{
	if (!tracing)
		return;
	tracing = false;
	wait_limit = limit_after_commit = 0;
	disable_timeout(timer, false);
	pop_cancel_watcher();

	/* another error came first */
	if (cancel_pending)
		cancel_pending = QueryCancelPending = false;

	/* a wait that was successful leaves another status behind */
	wait_failed = limit_reached ||
		(sampled.mode != NoLock &&
		 MyProc->waitStatus == PROC_WAIT_STATUS_ERROR);
}

void
mig_lock_wait_reset(void)
{
	sampled.mode = NoLock;
	wait_failed = false;
	limit_reached = cancel_pending = canceled_by_others = false;
}

void
mig_lock_wait_explain(ErrorData *edata)
{
	if (canceled_by_others && edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
		limit_reached = false;
	if (!limit_reached)
		return;
	ereport(DEBUG1,
			(errmsg_internal("a wait for a lock was ended after %d ms",
							 limit_that_ended_it)));
	if (edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		return;
	if (edata->sqlerrcode != ERRCODE_QUERY_CANCELED)
		edata->detail = psprintf("The body caught this error and then failed: %s",
								 edata->message);
	edata->sqlerrcode = ERRCODE_LOCK_NOT_AVAILABLE;
	edata->message = pstrdup("canceling statement due to lock timeout");
}

bool
mig_lock_wait_is_lock_failure(const ErrorData *edata)
{
	if (limit_reached)
		return true;
	if (edata->funcname == NULL)
		return false;

	/*
	 * Any body can raise these SQLSTATEs.  NOWAIT, in a statement or in a
	 * function, asks to be told at once, and raises the same one.  Only the
	 * server's own deadlocks and time-outs come from there.
	 */
	if (edata->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED)
		return strcmp(edata->funcname, "DeadLockReport") == 0;
	if (edata->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		return false;
	return strcmp(edata->funcname, "ProcessInterrupts") == 0 ||
		strcmp(edata->funcname, "mig_invalid_index_claim") == 0;
}

/* what a signal handler has copied may be anything */
static bool
sample_is_sound(void)
{
	return (sampled.tag.locktag_lockmethodid == DEFAULT_LOCKMETHOD ||
			sampled.tag.locktag_lockmethodid == USER_LOCKMETHOD) &&
		sampled.tag.locktag_type <= LOCKTAG_LAST_TYPE &&
		sampled.mode > NoLock && sampled.mode <= MaxLockMode;
}

const MigLockWait *
mig_lock_wait_failed(void)
{
	if (!wait_failed || !sample_is_sound())
		return NULL;
	/* sampled before the server had noted it */
	if (sampled.start == 0)
		sampled.start = GetCurrentTimestamp();
	return &sampled;
}
