/*-------------------------------------------------------------------------
 *
 * run_lock.c
 *	  One runner at a time, and none inside another.
 *
 * The lock is a heavyweight lock of mode ShareUpdateExclusive on a sub-object
 * of the extension that does not exist.  Unlike an advisory lock no command
 * can take it, nor can DISCARD ALL drop it, and the server gives it up at the
 * end of the transaction however that ends.  (The extension itself will not
 * do: ALTER FUNCTION ... DEPENDS ON EXTENSION locks it for any role.)  DROP
 * EXTENSION waits for a lock on the extension that a run of many transactions
 * has along with it, or for the tables that one of a single transaction has read.
 *
 * It is taken by polling, never by queueing.  A session that queues with a
 * snapshot would be waited for by a CREATE INDEX CONCURRENTLY of the holder,
 * and the deadlock detector would then end the holder's build.
 *
 * apply_each() holds it on the level of the session, over the end of its
 * transactions.  But the server gives such a lock up whenever a transaction is
 * rolled back, and so does a ROLLBACK in a procedure.  A lock of the server's
 * other lock method, that of advisory locks, stays then, but DISCARD ALL and
 * pg_advisory_unlock_all() give that one up.  So the runner lock is two locks,
 * one of each method, under tags that no command uses.  No other session gets
 * both as long as a session has one of them, and it takes the other one again
 * before it commits.  One that has lost both must not commit.
 *
 * While a statement runs that cannot run in a transaction block, which may
 * have to wait until every older snapshot is gone, there is another lock: who
 * polls with a snapshot sees that and gives up at once.  It is kept as long as
 * a migration stands half-way, for that keeps the runner lock while it waits
 * for others, who may be those that poll.
 *
 * Whoever has got the lock closes the rows of runs whose session is gone.
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
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/migrate.h"
#include "base/pause.h"
#include "base/subxact.h"
#include "ledger/run.h"
#include "ledger/tables.h"
#include "plan/run_lock.h"

#define POLL_INTERVAL_MS 50

/* objsubids of the locks' tags; RUNNER_LOCK is of the method of advisory locks */
#define EXTENSION_LOCK 0		/* the extension itself */
#define RUNNER_LOCK 1
#define STATEMENT_LOCK 2
#define RUNNER_LOCK_TWIN 3

/* both, where a run has them for the session */
static LOCKTAG session_lock;
static LOCKTAG session_twin;
static bool has_session_lock = false;

/* no session waits for us with a snapshot: since when, 0 if never taken */
static LOCKTAG statement_lock;
static TimestampTz statement_lock_since = 0;

/* was anything written when the lock was taken? */
static bool wrote = false;

/* what a session has along with it */
static LOCKTAG run_mark;
static int64 marked_run = 0;	/* 0: none */
static LOCKTAG kept_extension;
static bool keeps_extension = false;

/*
 * Set while a body is being run, and after it until what it has put off to the
 * end of its transaction has been done: see plan/run_lock.h.
 */
static bool bodies_running = false;

/* that body may commit */
static bool bodies_commit = false;

/*
 * Raise the error, with the session that holds the lock in the detail if it
 * can be seen.
 */
static void
report_timeout(Oid extension)
{
	MigSqlScope scope;
	Oid			types[2] = {OIDOID, INT2OID};
	Datum		values[2] = {ObjectIdGetDatum(extension),
	Int16GetDatum(RUNNER_LOCK)};
	char	   *detail = NULL;

	mig_tables_open(&scope);
	if (mig_sql_execute("SELECT pg_catalog.format('Process %s of role \"%s\", application \"%s\", holds it; its transaction began at %s.',"
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
		detail = mig_sql_get_text(&scope, 0, 1);
	mig_tables_close(&scope);

	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not obtain the runner lock of extension \"%s\" within %d ms",
					MIG_EXTENSION_NAME, mig_guc_wait_timeout),
			 detail ? errdetail("%s", detail) : 0,
			 errhint("Wait for the other run to end, or raise migrate.wait_timeout.")));
}

static void
set_lock_tag(LOCKTAG *tag, uint16 which)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, ExtensionRelationId,
					   mig_tables_extension(), which);
	if (which == RUNNER_LOCK)
		tag->locktag_lockmethodid = USER_LOCKMETHOD;
}

static bool
has_lock(const LOCKTAG *tag)
{
	return MIG_LOCK_HELD_BY_ME(tag, ShareUpdateExclusiveLock);
}

static void
release_at_exit(int code, Datum arg)
{
	LockReleaseSession(DEFAULT_LOCKMETHOD);
}

/*
 * The server gives such locks up when it aborts a transaction, and so does a
 * process that ends in one.  One that is ended while it waits outside of any
 * would leave them behind until the server is restarted.
 */
static void
release_session_locks_at_exit(void)
{
	static bool registered = false;

	if (!registered)
		before_shmem_exit(release_at_exit, (Datum) 0);
	registered = true;
}

static bool
take_lock(const LOCKTAG *tag, bool session)
{
	if (session)
		release_session_locks_at_exit();
	return LockAcquire(tag, ShareUpdateExclusiveLock, session, true) !=
		LOCKACQUIRE_NOT_AVAIL;
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
	return has_lock(&tag);
}

/* in this order: who has rolled back has the other one still */
static bool
try_lock(bool session)
{
	LOCKTAG		lock;
	LOCKTAG		twin;
	bool		held;

	set_lock_tag(&lock, RUNNER_LOCK);
	set_lock_tag(&twin, RUNNER_LOCK_TWIN);
	held = has_lock(&lock);
	if (!take_lock(&twin, session))
		return false;
	if (!take_lock(&lock, session))
	{
		LockRelease(&twin, ShareUpdateExclusiveLock, session);
		return false;
	}
	if (session)
	{
		session_lock = lock;
		session_twin = twin;
		has_session_lock = true;
		mig_sql_write_anyway(true);
	}
	if (!held)
		wrote = mig_run_sweep() > 0;
	return true;
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
	if (mig_guc_wait_timeout > 0 &&
		TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
								   mig_guc_wait_timeout))
		report_timeout(mig_tables_extension());
}

/*
 * The holder may be waiting for our snapshot, and the server does not see that
 * as a deadlock, because no session queues.  A share lock does not conflict
 * with other sessions that look at the same time.
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
mig_run_lock_acquire(void)
{
	TimestampTz start = GetCurrentTimestamp();

	mig_run_lock_refuse_recursion();
	while (!try_lock(false))
	{
		refuse_to_wait_for_statement();
		check_waiting_time(start);
		pause_between_polls();
	}
	/* the extension may have been dropped while we waited */
	(void) mig_tables_owner();
}

bool
mig_run_lock_try(bool *held_before)
{
	mig_run_lock_refuse_recursion();
	*held_before = holds_lock();
	return try_lock(false);
}

/*
 * A lock for as long as the session has the runner lock, of a mode that no
 * session ever waits for.  If another session has a conflicting lock, do without
 * it.
 */
static void
take_along(const LOCKTAG *tag)
{
	release_session_locks_at_exit();
	if (!MIG_LOCK_HELD_BY_ME(tag, AccessShareLock))
		(void) LockAcquire(tag, AccessShareLock, true, true);
}

static void
release_if_held(const LOCKTAG *tag, LOCKMODE mode)
{
	if (MIG_LOCK_HELD_BY_ME(tag, mode))
		LockRelease(tag, mode, true);
}

/* the run's number in the tag of an object that is none: see run_seq */
static void
set_run_tag(LOCKTAG *tag, int64 run)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, mig_tables_relation("run"),
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
	if (!keeps_extension)
		set_lock_tag(&kept_extension, EXTENSION_LOCK);
	keeps_extension = true;
	take_along(&kept_extension);
}

void
mig_run_lock_renew_mark(void)
{
	keep_extension();
	if (marked_run != 0)
		take_along(&run_mark);
}

void
mig_run_lock_mark_run(int64 run)
{
	Assert(run >= 0);
	if (marked_run != 0)
		release_if_held(&run_mark, AccessShareLock);
	marked_run = run;
	if (run == 0)
		return;
	set_run_tag(&run_mark, run);
	take_along(&run_mark);
}

int
mig_run_lock_run_holder(int64 run)
{
	MigSqlScope scope;
	Oid			types[4] = {OIDOID, OIDOID, INT8OID, INT2OID};
	Datum		values[4];
	int			pid = 0;

	values[0] = ObjectIdGetDatum(MyDatabaseId);
	values[1] = ObjectIdGetDatum(mig_tables_relation("run"));
	values[2] = Int64GetDatum((int64) (uint32) run);
	values[3] = Int16GetDatum((int16) (run >> 32));
	mig_tables_open(&scope);
	if (mig_sql_execute("SELECT l.pid FROM pg_catalog.pg_locks l"
						" WHERE l.locktype OPERATOR(pg_catalog.=) 'object'"
						" AND l.database OPERATOR(pg_catalog.=) $1"
						" AND l.classid OPERATOR(pg_catalog.=) $2"
						" AND l.objid::pg_catalog.int8 OPERATOR(pg_catalog.=) $3"
						" AND l.objsubid OPERATOR(pg_catalog.=) $4"
						" AND l.granted LIMIT 1", 4, types, values, NULL) > 0)
		pid = mig_sql_get_int4(0, 1);
	mig_tables_close(&scope);
	return pid;
}

bool
mig_run_lock_is_taken(void)
{
	MigSqlScope scope;
	Oid			types[3] = {OIDOID, OIDOID, INT2OID};
	Datum		values[3];
	bool		taken;

	values[0] = ObjectIdGetDatum(MyDatabaseId);
	values[1] = ObjectIdGetDatum(mig_tables_extension());
	values[2] = Int16GetDatum(RUNNER_LOCK);
	mig_tables_open(&scope);
	taken = mig_sql_execute("SELECT FROM pg_catalog.pg_locks l"
							" WHERE l.locktype OPERATOR(pg_catalog.=) 'object'"
							" AND l.database OPERATOR(pg_catalog.=) $1"
							" AND l.classid OPERATOR(pg_catalog.=)"
							"  'pg_catalog.pg_extension'::pg_catalog.regclass"
							" AND l.objid OPERATOR(pg_catalog.=) $2"
							" AND l.objsubid OPERATOR(pg_catalog.=) $3 AND l.granted"
							" AND l.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()"
							" LIMIT 1", 3, types, values, NULL) > 0;
	mig_tables_close(&scope);
	return taken;
}

bool
mig_run_lock_try_session(void)
{
	mig_run_lock_refuse_recursion();
	if (!try_lock(true))
		return false;
	mig_run_lock_renew_mark();
	return true;
}

void
mig_run_lock_wait_session(void)
{
	MemoryContext context = CurrentMemoryContext;
	TimestampTz start = GetCurrentTimestamp();

	/* the extension may have been dropped since the last transaction */
	mig_tables_check_again();
	while (!try_lock(true))
	{
		check_waiting_time(start);
		CommitTransactionCommand();
		MemoryContextSwitchTo(context);
		pause_between_polls();
		mig_transaction_start();
		MemoryContextSwitchTo(context);
		mig_tables_check_again();
	}
	mig_run_lock_renew_mark();
}

void
mig_run_lock_yield_session(void)
{
	if (!has_session_lock)
		return;
	release_if_held(&session_lock, ShareUpdateExclusiveLock);
	release_if_held(&session_twin, ShareUpdateExclusiveLock);
	has_session_lock = false;
	mig_sql_write_anyway(false);
}

/* perhaps after an error, when nothing can be looked up */
void
mig_run_lock_release_session(void)
{
	mig_run_lock_statement_end();
	mig_run_lock_yield_session();
	if (marked_run != 0)
		release_if_held(&run_mark, AccessShareLock);
	marked_run = 0;
	if (keeps_extension)
		release_if_held(&kept_extension, AccessShareLock);
	keeps_extension = false;
}

bool
mig_run_lock_is_mine(void)
{
	LOCKTAG		lock;

	set_lock_tag(&lock, RUNNER_LOCK);
	return has_lock(&lock);
}

bool
mig_run_lock_held_session(void)
{
	return has_session_lock &&
		(has_lock(&session_lock) || has_lock(&session_twin));
}

static void
refuse_lost_lock(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the migration has given up the runner lock"),
			 errdetail("It has called pg_advisory_unlock_all() or DISCARD ALL, and has rolled back."),
			 errhint("Give up advisory locks one by one with pg_advisory_unlock().")));
}

/*
 * No other session has the twin for longer than it takes to see that the lock
 * itself is taken.
 */
void
mig_run_lock_regain_session(void)
{
	if (!mig_run_lock_held_session())
		refuse_lost_lock();
	while (!has_lock(&session_twin) && !take_lock(&session_twin, true))
		pause_between_polls();
	if (!has_lock(&session_lock) && !take_lock(&session_lock, true))
		refuse_lost_lock();
	mig_run_lock_renew_mark();
}

void
mig_run_lock_half_way(void)
{
	set_lock_tag(&statement_lock, STATEMENT_LOCK);
	if (MIG_LOCK_HELD_BY_ME(&statement_lock, ExclusiveLock))
		return;
	release_session_locks_at_exit();
	(void) LockAcquire(&statement_lock, ExclusiveLock, true, false);
	statement_lock_since = GetCurrentTimestamp();
}

void
mig_run_lock_statement_begin(void)
{
	long		held;

	mig_run_lock_half_way();
	held = TimestampDifferenceMilliseconds(statement_lock_since,
										   GetCurrentTimestamp());

	/*
	 * Let those who poll with a snapshot see it.  One that gives up in a
	 * subtransaction keeps its transaction, and the statement would wait for
	 * that if it found its snapshot.
	 */
	if (held < 2 * POLL_INTERVAL_MS)
		mig_pause(2 * POLL_INTERVAL_MS - (int) held);
}

void
mig_run_lock_statement_end(void)
{
	if (statement_lock_since != 0)
		release_if_held(&statement_lock, ExclusiveLock);
	statement_lock_since = 0;
}

void
mig_run_lock_release(void)
{
	LOCKTAG		tag;

	if (wrote)
		return;
	set_lock_tag(&tag, RUNNER_LOCK);
	LockRelease(&tag, ShareUpdateExclusiveLock, false);
	set_lock_tag(&tag, RUNNER_LOCK_TWIN);
	LockRelease(&tag, ShareUpdateExclusiveLock, false);
}

static void
refuse_dropped_extension(void)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_EXTENSION),
			 errmsg("a migration has dropped extension \"%s\"",
					MIG_EXTENSION_NAME),
			 errdetail("The ledger would be lost, and with it the record of what has been applied."),
			 errhint("Do that outside of migrations.")));
}

void
mig_run_lock_recheck(void)
{
	if (has_session_lock)
		mig_run_lock_regain_session();

	/* the lock is on the extension that was */
	if (!holds_lock())
		refuse_dropped_extension();
}

void
mig_run_lock_refuse_recursion(void)
{
	if (bodies_running)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_RECURSION),
				 errmsg("a migration cannot run or change migrations"),
				 errhint("Take the call of the extension's function out of the body.")));
}

bool
mig_run_lock_bodies_are_running(void)
{
	return bodies_running;
}

void
mig_run_lock_bodies_begin(void)
{
	bodies_running = true;
}

void
mig_run_lock_bodies_begin_committing(void)
{
	bodies_running = bodies_commit = true;
}

void
mig_run_lock_bodies_end_committing(void)
{
	bodies_commit = false;
}

void
mig_run_lock_bodies_end(void)
{
	bodies_running = bodies_commit = false;
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (bodies_commit && !mig_run_lock_held_session())
				refuse_lost_lock();

			/* a procedure has, or what the body has put off */
			if (bodies_running && has_session_lock &&
				session_lock.locktag_field3 != mig_tables_extension())
				refuse_dropped_extension();
			break;
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
mig_run_lock_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
}
