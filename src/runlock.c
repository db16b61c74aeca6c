/*-------------------------------------------------------------------------
 *
 * runlock.c
 *	  One runner at a time, and none inside another.
 *
 * The lock is a heavyweight lock of mode ShareUpdateExclusive on a sub-object
 * of the extension that does not exist.  Unlike an advisory lock no command
 * can take it, nor can DISCARD ALL drop it, and the server gives it up at the
 * end of the transaction however that ends.  (The extension itself will not
 * do: ALTER FUNCTION ... DEPENDS ON EXTENSION locks it for any role.)  DROP
 * EXTENSION waits for the tables that a runner has read.
 *
 * It is taken by polling, never by queueing.  A session that queues with a
 * snapshot would be waited for by a CREATE INDEX CONCURRENTLY of the holder,
 * and the deadlock detector would then end the holder's build.
 *
 * apply_each() holds it on the level of the session, over the end of its
 * transactions.  The server gives that up too at any error that reaches top
 * level.  While it runs a statement that cannot run in a transaction block,
 * which may have to wait until every older snapshot is gone, it also holds a
 * second lock: who polls with a snapshot sees that and gives up at once.
 *
 * A prepared transaction would keep the lock over a restart, so it is refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "books.h"
#include "compat.h"
#include "errors.h"
#include "guc.h"
#include "lock_schedule.h"
#include "migrate.h"
#include "runlock.h"

#define POLL_INTERVAL_MS 50

/* objsubids of the locks' tags */
#define EXTENSION_LOCK 0		/* the extension itself */
#define RUNNER_LOCK 1
#define STATEMENT_LOCK 2

/* the run that this session is at, 0 if none */
static int64 marked_run = 0;

/* set while a body is being run */
static bool bodies_running = false;

/* and that body may commit */
static bool bodies_commit = false;

static void
report_timeout(Oid extension)
{
	MigSqlScope scope;
	Oid			types[2] = {OIDOID, INT2OID};
	Datum		values[2] = {ObjectIdGetDatum(extension),
	Int16GetDatum(RUNNER_LOCK)};
	char	   *detail = NULL;

	mig_books_open(&scope);
	if (mig_sql("SELECT pg_catalog.format('Process %s of role \"%s\", application \"%s\", holds it; its transaction began at %s.',"
				" a.pid, a.usename, a.application_name, a.xact_start)"
				" FROM pg_catalog.pg_locks l"
				" JOIN pg_catalog.pg_stat_activity a"
				"  ON a.pid OPERATOR(pg_catalog.=) l.pid"
				" WHERE l.locktype OPERATOR(pg_catalog.=) 'object'"
				" AND l.database OPERATOR(pg_catalog.=) ("
				"  SELECT d.oid FROM pg_catalog.pg_database d"
				"  WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())"
				" AND l.classid OPERATOR(pg_catalog.=)"
				"  'pg_catalog.pg_extension'::pg_catalog.regclass"
				" AND l.objid OPERATOR(pg_catalog.=) $1"
				" AND l.objsubid OPERATOR(pg_catalog.=) $2 AND l.granted"
				" AND l.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()"
				" LIMIT 1", 2, types, values, NULL) > 0)
		detail = mig_get_text(&scope, 0, 1);
	mig_books_close(&scope);

	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not get the runner lock of extension \"%s\" within %d ms",
					MIG_EXTENSION_NAME, mig_wait_timeout),
			 detail ? errdetail("%s", detail) : 0,
			 errhint("Wait for the other run to end, or raise migrate.wait_timeout.")));
}

static void
set_lock_tag(LOCKTAG *tag, uint16 which)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, ExtensionRelationId,
					   mig_books_extension(), which);
}

/*
 * Does this transaction hold the lock?  Asked of the lock manager rather than
 * kept in a flag, because a rolled-back savepoint gives the lock up.
 */
static bool
holds_lock(void)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, RUNNER_LOCK);
	return MIG_LOCK_HELD_BY_ME(&tag, ShareUpdateExclusiveLock);
}

static bool
try_lock(bool session)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, RUNNER_LOCK);
	return LockAcquire(&tag, ShareUpdateExclusiveLock, session, true) !=
		LOCKACQUIRE_NOT_AVAIL;
}

static void
pause_between_polls(void)
{
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 POLL_INTERVAL_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static void
check_waiting_time(TimestampTz start)
{
	if (mig_wait_timeout > 0 &&
		TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
								   mig_wait_timeout))
		report_timeout(mig_books_extension());
}

/*
 * The holder may be waiting for our snapshot, and the server does not see that
 * as a deadlock, for nobody queues.  A share lock leaves those alone who look
 * at the same time.
 */
static void
refuse_to_wait_for_statement(void)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, STATEMENT_LOCK);
	if (LockAcquire(&tag, ShareLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
	{
		LockRelease(&tag, ShareLock, false);
		return;
	}
	ereport(ERROR,
			(errcode(MIG_ERRCODE_BUSY),
			 errmsg("another session is running a migration that cannot run in a transaction block"),
			 errdetail("Waiting for it inside a transaction could keep it from ever ending."),
			 errhint("End this transaction and try again later, or use CALL migrate.apply_each(), which can wait.")));
}

void
mig_lock_acquire(void)
{
	TimestampTz start = GetCurrentTimestamp();

	mig_refuse_recursion();
	while (!try_lock(false))
	{
		refuse_to_wait_for_statement();
		check_waiting_time(start);
		pause_between_polls();
	}
	/* the extension may have been dropped while we waited */
	(void) mig_books_owner();
}

bool
mig_lock_try(bool *held_before)
{
	mig_refuse_recursion();
	*held_before = holds_lock();
	return try_lock(false);
}

/*
 * A lock for as long as the session has the runner lock, of a mode that nobody
 * ever waits for; and nor do we, if somebody has one that is in the way.
 */
static void
take_along(const LOCKTAG *tag)
{
	if (!MIG_LOCK_HELD_BY_ME(tag, AccessShareLock))
		(void) LockAcquire(tag, AccessShareLock, true, true);
}

static void
give_back(const LOCKTAG *tag)
{
	if (MIG_LOCK_HELD_BY_ME(tag, AccessShareLock))
		LockRelease(tag, AccessShareLock, true);
}

/* the run's number in the tag of an object that is none: see run_seq */
static void
set_run_tag(LOCKTAG *tag, int64 run)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, mig_books_relation("run"),
					   (uint32) run, (uint16) (run >> 32));
}

/*
 * DROP EXTENSION takes the strongest lock on the extension before anything
 * else.  It has to wait for a run of many transactions, not only for the tables
 * that its current one has read.
 */
static void
keep_extension(void)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, EXTENSION_LOCK);
	take_along(&tag);
}

void
mig_lock_renew_mark(void)
{
	LOCKTAG		tag;

	keep_extension();
	if (marked_run == 0)
		return;
	set_run_tag(&tag, marked_run);
	take_along(&tag);
}

void
mig_lock_mark_run(int64 run)
{
	LOCKTAG		tag;

	if (marked_run != 0 && marked_run != run)
	{
		set_run_tag(&tag, marked_run);
		give_back(&tag);
	}
	marked_run = run;
	if (run == 0)
		return;
	set_run_tag(&tag, run);
	take_along(&tag);
}

int
mig_lock_run_holder(int64 run)
{
	MigSqlScope scope;
	Oid			types[4] = {OIDOID, OIDOID, INT8OID, INT2OID};
	Datum		values[4];
	int			pid = 0;

	values[0] = ObjectIdGetDatum(MyDatabaseId);
	values[1] = ObjectIdGetDatum(mig_books_relation("run"));
	values[2] = Int64GetDatum((int64) (uint32) run);
	values[3] = Int16GetDatum((int16) (run >> 32));
	mig_books_open(&scope);
	if (mig_sql("SELECT l.pid FROM pg_catalog.pg_locks l"
				" WHERE l.locktype OPERATOR(pg_catalog.=) 'object'"
				" AND l.database OPERATOR(pg_catalog.=) $1"
				" AND l.classid OPERATOR(pg_catalog.=) $2"
				" AND l.objid::pg_catalog.int8 OPERATOR(pg_catalog.=) $3"
				" AND l.objsubid OPERATOR(pg_catalog.=) $4"
				" AND l.granted LIMIT 1", 4, types, values, NULL) > 0)
		pid = mig_get_int4(0, 1);
	mig_books_close(&scope);
	return pid;
}

bool
mig_lock_try_session(void)
{
	mig_refuse_recursion();
	if (!try_lock(true))
		return false;
	mig_lock_renew_mark();
	return true;
}

void
mig_lock_wait_session(void)
{
	MemoryContext context = CurrentMemoryContext;
	TimestampTz start = GetCurrentTimestamp();

	while (!try_lock(true))
	{
		check_waiting_time(start);
		CommitTransactionCommand();
		MemoryContextSwitchTo(context);
		pause_between_polls();
		StartTransactionCommand();
		MemoryContextSwitchTo(context);
	}
	(void) mig_books_owner();
	mig_lock_renew_mark();
}

void
mig_lock_regain_session(void)
{
	TimestampTz start = GetCurrentTimestamp();

	if (holds_lock())
		return;
	while (!try_lock(true))
	{
		refuse_to_wait_for_statement();
		check_waiting_time(start);
		pause_between_polls();
	}
	mig_lock_renew_mark();
}

void
mig_lock_release_session(void)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, RUNNER_LOCK);
	LockRelease(&tag, ShareUpdateExclusiveLock, true);
	mig_lock_mark_run(0);
	set_lock_tag(&tag, EXTENSION_LOCK);
	give_back(&tag);
}

void
mig_lock_statement_begin(void)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, STATEMENT_LOCK);
	(void) LockAcquire(&tag, ExclusiveLock, true, false);

	/*
	 * Let those who poll with a snapshot see it.  One that gives up in a
	 * subtransaction keeps its transaction, and the statement would wait for
	 * that if it found its snapshot.
	 */
	mig_lock_pause(2 * POLL_INTERVAL_MS);
}

void
mig_lock_statement_end(void)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, STATEMENT_LOCK);
	LockRelease(&tag, ExclusiveLock, true);
}

void
mig_lock_release(void)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, RUNNER_LOCK);
	LockRelease(&tag, ShareUpdateExclusiveLock, false);
}

void
mig_lock_recheck(void)
{
	/* the lock is on the extension that was */
	if (!holds_lock())
		ereport(ERROR,
				(errcode(MIG_ERRCODE_EXTENSION),
				 errmsg("a migration has dropped extension \"%s\"",
						MIG_EXTENSION_NAME),
				 errdetail("The books would be lost, and with them what has been applied."),
				 errhint("Do that outside of migrations.")));
}

void
mig_refuse_recursion(void)
{
	if (bodies_running)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_RECURSION),
				 errmsg("a migration cannot run or change migrations"),
				 errhint("Take the call of the extension's function out of the body.")));
}

void
mig_bodies_begin(void)
{
	bodies_running = true;
}

void
mig_bodies_begin_committing(void)
{
	bodies_running = bodies_commit = true;
}

void
mig_bodies_end(void)
{
	bodies_running = bodies_commit = false;
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			if (holds_lock())
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has run or changed migrations"),
						 errdetail("It would keep the runner lock until COMMIT PREPARED, over a restart of the server too.")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			bodies_running = bodies_commit;
			break;
		default:
			break;
	}
}

void
mig_runlock_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
}
