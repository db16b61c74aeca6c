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

/* such a wait is sampled, and has been canceled */
static volatile sig_atomic_t limit_reached = false;
static volatile int limit_that_ended_it;

/*
 * How often the timer has found the body at work since: twice, and it has caught
 * that error, for nothing that the server does about an error takes as long
 * without holding interrupts.  A cancel from then on is not ours.
 */
static volatile int times_at_work = 0;
#define HAS_CAUGHT (times_at_work >= 2)

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

/* has the wait that is sampled taken longer than it may? */
static bool
is_over_limit(void)
{
	TimestampTz end;

	if (wait_limit == 0 || sampled.start == 0 ||
		(LockTimeout > 0 && LockTimeout <= wait_limit) ||
		body_has_set_lock_timeout())
		return false;
	end = TimestampTzPlusMilliseconds(sampled.start, wait_limit);
	return GetCurrentTimestamp() >= end;
}

/* signal handler */
static void
watch_wait(void)
{
	LOCK	   *lock;

	/* a backend that is ended in a body gives its place up with the timer on */
	if (MyProc == NULL)
		return;
	if (limit_reached)
	{
		/* one hold is that of the signal handler itself */
		if (!QueryCancelPending && InterruptHoldoffCount == 1 && !HAS_CAUGHT)
			times_at_work++;
		return;
	}

	/* the status is set last when a wait begins */
	lock = MyProc->waitLock;
	if (lock == NULL || MyProc->waitStatus != PROC_WAIT_STATUS_WAITING)
		return;
	sampled.tag = lock->tag;
	sampled.mode = MyProc->waitLockMode;
	sampled.start = (TimestampTz) pg_atomic_read_u64(&MyProc->waitStart);
	if (!is_over_limit())
		return;
	limit_that_ended_it = wait_limit;
	limit_reached = InterruptPending = QueryCancelPending = true;
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

/*
 * A statement may commit more than once: a limit is for its first transaction.
 * A concurrent build that has its locks and waits for older snapshots is in
 * nobody's way.
 */
static void
end_limit(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (tracing)
				mig_lock_wait_check();
			wait_limit = 0;
			break;
		case XACT_EVENT_ABORT:
			wait_limit = 0;
			break;
		default:
			break;
	}
}

void
mig_lock_wait_begin(void)
{
	if (timer == MAX_TIMEOUTS)
	{
		lock_timeout = mig_session_settings_find("lock_timeout");
		RegisterXactCallback(end_limit, NULL);
		timer = RegisterTimeout(USER_TIMEOUT, watch_wait);
	}
	session_timeout = LockTimeout;
	session_source = lock_timeout->source;
	session_stack = lock_timeout->stack;
	wait_limit = 0;
	tracing = true;
	start_sampling();
}

int
mig_lock_wait_session_timeout(void)
{
	return session_timeout;
}

void
mig_lock_wait_limit(int ms)
{
	if (!tracing)
		return;
	wait_limit = ms;

	/* an error that nobody caught has disabled all timers */
	if (get_timeout_active(timer) && timer_period != sampling_period())
		start_sampling();
}

bool
mig_lock_wait_is_limited(void)
{
	return wait_limit > 0;
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
	wait_limit = 0;
	disable_timeout(timer, false);

	/* another error came first */
	if (limit_reached && !HAS_CAUGHT)
		QueryCancelPending = false;

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
	limit_reached = false;
	times_at_work = 0;
}

void
mig_lock_wait_explain(ErrorData *edata)
{
	if (limit_reached && HAS_CAUGHT &&
		edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
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
