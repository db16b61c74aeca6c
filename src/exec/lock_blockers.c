/*-------------------------------------------------------------------------
 *
 * lock_blockers.c
 *	  Which sessions were in the way of a wait for a lock.
 *
 * After the error of a wait and the roll-back, the lock manager is asked which
 * sessions have the lock that was waited for, or were before us in its queue.  That answer
 * comes late.  Sessions that queued behind us have the lock by then, so those whose
 * transaction began after our wait are left out. *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/subxact.h"
#include "exec/lock_blockers.h"
#include "exec/lock_wait.h"
#include "ledger/tables.h"

/* what is found out about those in the way */
typedef struct Description
{
	const MigLockWait *wait;
	StringInfoData text;
	bool		autovacuum;		/* one of them is an autovacuum */
} Description;

/* a session or prepared transaction that is in the way of a wait */
typedef struct Blocker
{
	int			pid;			/* 0: a prepared transaction */
	TransactionId xid;			/* of the prepared transaction */
	LOCKTAG		tag;
	LOCKMODE	mode;
	bool		waits;			/* for the lock itself, but came first */
	TimestampTz since;			/* start of the wait that it is in the way of */
} Blocker;

/* a message is for a person */
#define MAX_SHOWN 5
#define MAX_QUERY_BYTES 200

/* the search must not wait long for a lock itself */
#define SEARCH_LOCK_TIMEOUT "500ms"


/*
 * Finding them
 */

/* the strongest of the modes in held that conflicts with wanted, or NoLock */
static LOCKMODE
conflicting_mode(LOCKMASK held, LOCKMODE wanted)
{
	LOCKMODE	mode;

	for (mode = MaxLockMode; mode > NoLock; mode--)
	{
		if ((held & LOCKBIT_ON(mode)) && DoLockModesConflict(mode, wanted))
			return mode;
	}
	return NoLock;
}

/* what the prepared transaction that has this lock is called by the server */
static TransactionId
prepared_xid(const LockData *data, const LockInstanceData *of)
{
	int			i;

	for (i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *lock = &data->locks[i];

		if (lock->pid == 0 && MIG_LOCK_SAME_OWNER(lock, of) &&
			lock->locktag.locktag_type == LOCKTAG_TRANSACTION &&
			lock->holdMask != 0)
			return lock->locktag.locktag_field1;
	}
	return InvalidTransactionId;
}

/* each session once, with the first of its locks that was found */
static List *
add_blocker(List *blockers, const Blocker *blocker)
{
	ListCell   *lc;
	Blocker    *copy;

	foreach(lc, blockers)
	{
		Blocker    *known = (Blocker *) lfirst(lc);

		if (known->pid == blocker->pid && known->xid == blocker->xid)
			return blockers;
	}
	copy = palloc(sizeof(Blocker));
	*copy = *blocker;
	return lappend(blockers, copy);
}

/* add those who are in the way of a wait of process pid */
static List *
add_blockers(List *blockers, const LockData *data, const MigLockWait *wait,
			 int pid)
{
	int			i;

	for (i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *lock = &data->locks[i];
		Blocker		blocker;

		if (memcmp(&lock->locktag, &wait->tag, sizeof(LOCKTAG)) != 0 ||
			lock->leaderPid == pid || lock->leaderPid == MyProcPid)
			continue;
		memset(&blocker, 0, sizeof(blocker));
		blocker.pid = lock->leaderPid;
		blocker.tag = lock->locktag;
		blocker.since = wait->start;
		blocker.mode = conflicting_mode(lock->holdMask, wait->mode);
		if (blocker.mode == NoLock && lock->waitLockMode != NoLock &&
			lock->waitStart != 0 && lock->waitStart < wait->start &&
			DoLockModesConflict(lock->waitLockMode, wait->mode))
		{
			blocker.mode = lock->waitLockMode;
			blocker.waits = true;
		}
		if (blocker.mode == NoLock)
			continue;
		if (blocker.pid == 0)
			blocker.xid = prepared_xid(data, lock);
		blockers = add_blocker(blockers, &blocker);
	}
	return blockers;
}

/* a session that is in the way may itself wait for others */
static List *
add_blockers_of(List *blockers, const LockData *data, int pid)
{
	int			i;

	for (i = 0; pid != 0 && i < data->nelements; i++)
	{
		const LockInstanceData *lock = &data->locks[i];
		MigLockWait wait;

		if (lock->leaderPid != pid || lock->waitLockMode == NoLock)
			continue;
		wait.tag = lock->locktag;
		wait.mode = lock->waitLockMode;
		wait.start = lock->waitStart != 0 ? lock->waitStart :
			GetCurrentTimestamp();
		blockers = add_blockers(blockers, data, &wait, pid);
	}
	return blockers;
}


/*
 * In words
 */

/* "table public.t"; NULL if there is no such object any more */
static char *
object_name(Oid classid, Oid objid, int32 subid)
{
	ObjectAddress address;

	ObjectAddressSubSet(address, classid, objid, subid);
	return mig_printable_line(getObjectDescription(&address, true),
							  MIG_NAME_BYTES);
}

/* "ShareLock on table public.t"; the search_path is ours, so it is qualified */
static void
append_lock(StringInfo buf, const LOCKTAG *tag, LOCKMODE mode)
{
	char	   *name = NULL;

	appendStringInfo(buf, _("%s on "),
					 GetLockmodeName(tag->locktag_lockmethodid, mode));
	switch ((LockTagType) tag->locktag_type)
	{
		case LOCKTAG_RELATION:
		case LOCKTAG_RELATION_EXTEND:
		case LOCKTAG_PAGE:
		case LOCKTAG_TUPLE:
			name = object_name(RelationRelationId, tag->locktag_field2, 0);
			break;
		case LOCKTAG_OBJECT:
			name = object_name(tag->locktag_field2, tag->locktag_field3, 0);
			break;
		default:
			break;
	}
	if (tag->locktag_type == LOCKTAG_TRANSACTION)
		appendStringInfo(buf, _("a row of transaction %u"),
						 tag->locktag_field1);
	else if (name == NULL)
		DescribeLockTag(buf, tag);
	else if (tag->locktag_type == LOCKTAG_TUPLE)
		appendStringInfo(buf, _("row (%u,%u) of %s"), tag->locktag_field3,
						 tag->locktag_field4, name);
	else if (tag->locktag_type == LOCKTAG_PAGE)
		appendStringInfo(buf, _("page %u of %s"), tag->locktag_field3, name);
	else if (tag->locktag_type == LOCKTAG_RELATION_EXTEND)
		appendStringInfo(buf, _("extension of %s"), name);
	else
		appendStringInfoString(buf, name);
}

static void
append_age(StringInfo buf, double seconds)
{
	seconds = Max(seconds, 0);
	if (seconds < 120)
		appendStringInfo(buf, _("%.1f s"), seconds);
	else if (seconds < 2 * 3600)
		appendStringInfo(buf, _("%.0f min"), seconds / 60);
	else
		appendStringInfo(buf, _("%.1f h"), seconds / 3600);
}

/* the start of a query on one line */
static void
append_query(StringInfo buf, const char *query)
{
	int			length = strlen(query);
	int			clipped;
	int			i;

	/* it may come from a database with another encoding */
	if (!pg_verifymbstr(query, length, true))
		return;
	clipped = pg_mbcliplen(query, length, MAX_QUERY_BYTES);
	appendStringInfoString(buf, _(", query: "));
	for (i = 0; i < clipped; i++)
	{
		char		c = query[i];

		if (c == '\n' || c == '\r' || c == '\t')
			c = ' ';
		appendStringInfoChar(buf, c);
	}
	if (clipped < length)
		appendStringInfoString(buf, "...");
}

/* the columns of sessions_query */
enum
{
	SESSION_PID = 1,
	SESSION_ROLE,
	SESSION_APPLICATION,
	SESSION_STATE,
	SESSION_IN_TRANSACTION,
	SESSION_XACT_START,
	SESSION_XACT_AGE,
	SESSION_QUERY,
	SESSION_AUTOVACUUM
};

static const char *const sessions_query =
"SELECT a.pid, a.usename::pg_catalog.text, a.application_name,"
" coalesce(a.state, a.backend_type, ''), a.xact_start IS NOT NULL,"
" coalesce(a.xact_start, 'infinity'),"
" coalesce(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) a.xact_start), 0),"
" CASE WHEN pg_catalog.pg_has_role($2, a.usesysid, 'USAGE')"
"  OR pg_catalog.pg_has_role($2, 'pg_read_all_stats', 'USAGE')"
"  THEN a.query END,"
" coalesce(a.backend_type OPERATOR(pg_catalog.=) 'autovacuum worker', false)"
" FROM pg_catalog.pg_stat_activity a"
" WHERE a.pid OPERATOR(pg_catalog.=) ANY ($1)"
" ORDER BY 6, 1";

/* a line about the session in this row of sessions_query */
static void
append_session(StringInfo buf, const Blocker *blocker, int row,
			   MigSqlScope *scope)
{
	const char *role = mig_sql_get_text(scope, row, SESSION_ROLE);
	const char *application = mig_sql_get_text(scope, row,
											   SESSION_APPLICATION);
	const char *query = mig_sql_get_text(scope, row, SESSION_QUERY);

	appendStringInfo(buf, _("Process %d"), blocker->pid);
	if (role != NULL)
		appendStringInfo(buf, _(" of role \"%s\""),
						 mig_printable_line(role, NAMEDATALEN));
	if (application != NULL && application[0] != '\0')
		appendStringInfo(buf, _(", application \"%s\""),
						 mig_printable_line(application, NAMEDATALEN));
	appendStringInfoString(buf, _(", holds "));
	append_lock(buf, &blocker->tag, blocker->mode);
	appendStringInfo(buf, ": %s", mig_sql_get_text(scope, row, SESSION_STATE));
	if (mig_sql_get_bool(row, SESSION_IN_TRANSACTION))
	{
		appendStringInfoString(buf, _(", transaction open for "));
		append_age(buf, mig_sql_get_float8(row, SESSION_XACT_AGE));
	}
	if (query != NULL && query[0] != '\0')
		append_query(buf, query);
}

static bool
append_prepared(StringInfo buf, const Blocker *blocker, MigSqlScope *scope)
{
	Oid			types[1] = {XIDOID};
	Datum		values[1] = {TransactionIdGetDatum(blocker->xid)};

	if (mig_sql_execute("SELECT p.gid, p.owner::pg_catalog.text,"
						" pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) p.prepared)"
						" FROM pg_catalog.pg_prepared_xacts p"
						" WHERE p.transaction OPERATOR(pg_catalog.=) $1",
						1, types, values, NULL) == 0)
		return false;
	appendStringInfo(buf, _("Prepared transaction \"%s\""),
					 mig_printable_line(mig_sql_get_text(scope, 0, 1),
										MIG_NAME_BYTES));
	appendStringInfo(buf, _(" of role \"%s\""),
					 mig_printable_line(mig_sql_get_text(scope, 0, 2),
										NAMEDATALEN));
	appendStringInfoString(buf, _(", holds "));
	append_lock(buf, &blocker->tag, blocker->mode);
	appendStringInfoString(buf, _(": in pg_prepared_xacts for "));
	append_age(buf, mig_sql_get_float8(0, 3));
	return true;
}

/* those in the way of a wait, of the sessions that wait in front, and so on */
static List *
find_blockers(const MigLockWait *wait, const LockData *data)
{
	List	   *blockers = add_blockers(NIL, data, wait, MyProcPid);
	int			i;

	/* the list grows meanwhile */
	for (i = 0; i < list_length(blockers); i++)
		blockers = add_blockers_of(blockers, data,
								   ((Blocker *) list_nth(blockers, i))->pid);
	return blockers;
}

static Blocker *
blocker_of_pid(List *blockers, int pid)
{
	ListCell   *lc;

	foreach(lc, blockers)
	{
		Blocker    *blocker = (Blocker *) lfirst(lc);

		if (blocker->pid == pid)
			return blocker;
	}
	return NULL;
}

/* an array of the processes that have what others wait for */
static Datum
holders_array(List *blockers)
{
	Datum	   *pids = palloc(sizeof(Datum) * (list_length(blockers) + 1));
	int			count = 0;
	ListCell   *lc;

	foreach(lc, blockers)
	{
		const Blocker *blocker = (const Blocker *) lfirst(lc);

		if (blocker->pid != 0 && !blocker->waits)
			pids[count++] = Int32GetDatum(blocker->pid);
	}
	return PointerGetDatum(construct_array(pids, count, INT4OID, 4, true,
										   TYPALIGN_INT));
}

/*
 * Was this session in the way?  One without a transaction has given up since
 * then what it had, unless it is a lock that outlives transactions; it is in
 * still, the locks of a moment later, in that case.  One whose transaction is
 * younger than the wait has queued behind it.
 */
static bool
was_in_the_way(const Blocker *blocker, int row, List *still)
{
	if (mig_sql_get_bool(row, SESSION_IN_TRANSACTION))
		return mig_sql_get_timestamptz(row, SESSION_XACT_START) <
			blocker->since;
	return blocker_of_pid(still, blocker->pid) != NULL;
}

/* a new line; what was waited for comes before the first one */
static void
begin_line(Description *description)
{
	StringInfo	buf = &description->text;
	const MigLockWait *wait = description->wait;

	if (buf->len == 0)
	{
		appendStringInfoString(buf, _("Waited for "));
		append_lock(buf, &wait->tag, wait->mode);
		appendStringInfoChar(buf, '.');
	}
	appendStringInfoChar(buf, '\n');
}

/* prepared transactions; returns how many of max lines are left */
static int
append_prepared_ones(Description *description, List *blockers,
					 MigSqlScope *scope, int max)
{
	ListCell   *lc;

	foreach(lc, blockers)
	{
		const Blocker *blocker = (const Blocker *) lfirst(lc);
		StringInfoData line;

		if (max == 0 || blocker->pid != 0)
			continue;
		initStringInfo(&line);
		if (!append_prepared(&line, blocker, scope))
			continue;
		begin_line(description);
		appendStringInfoString(&description->text, line.data);
		max--;
	}
	return max;
}

/*
 * A line for each of those who hold what was waited for, the oldest
 * transaction first, and the number of all others.  Nothing at all if all of
 * them are gone.
 */
static void
append_blockers(Description *description, MigSqlScope *scope)
{
	StringInfo	buf = &description->text;
	List	   *blockers = find_blockers(description->wait, GetLockStatusData());
	Oid			types[2] = {INT4ARRAYOID, OIDOID};
	Datum		values[2] = {holders_array(blockers),
	ObjectIdGetDatum(scope->userid)};
	int			left = append_prepared_ones(description, blockers, scope, MAX_SHOWN);
	int			rows = mig_sql_execute(sessions_query, 2, types, values, NULL);
	List	   *still = find_blockers(description->wait, GetLockStatusData());
	int			others = 0;
	int			row;

	for (row = 0; row < rows; row++)
	{
		const Blocker *blocker =
			blocker_of_pid(blockers, mig_sql_get_int4(row, SESSION_PID));

		if (blocker == NULL || !was_in_the_way(blocker, row, still))
			continue;
		if (mig_sql_get_bool(row, SESSION_AUTOVACUUM))
			description->autovacuum = true;
		if (left == 0)
		{
			others++;
			continue;
		}
		begin_line(description);
		append_session(buf, blocker, row, scope);
		left--;
	}
	if (others > 0)
	{
		begin_line(description);
		appendStringInfo(buf,
						 ngettext("%d other session holds such a lock.",
								  "%d other sessions hold such locks.",
								  others), others);
	}
}

static void
describe_blockers(void *arg)
{
	Description *description = (Description *) arg;
	int			guc_level = NewGUCNestLevel();
	MigSqlScope scope;

	(void) set_config_option("lock_timeout", SEARCH_LOCK_TIMEOUT,
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);

	/* another attempt may have looked in this transaction */
	pgstat_clear_backend_activity_snapshot();
	mig_tables_open(&scope);
	append_blockers(description, &scope);
	mig_tables_close(&scope);
	AtEOXact_GUC(false, guc_level);
}

char *
mig_lock_blockers_describe(bool *autovacuum)
{
	Description description;
	ErrorData  *edata;

	*autovacuum = false;
	description.wait = mig_lock_wait_failed();
	if (description.wait == NULL)
		return NULL;
	initStringInfo(&description.text);
	description.autovacuum = false;
	edata = mig_subxact_run(describe_blockers, &description, true);
	if (edata == NULL)
	{
		*autovacuum = description.autovacuum;
		return description.text.len > 0 ? description.text.data : NULL;
	}
	if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
		InterruptPending = QueryCancelPending = true;
	return NULL;
}
