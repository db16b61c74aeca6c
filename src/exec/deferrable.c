/*-------------------------------------------------------------------------
 *
 * deferrable.c
 *	  The tables with deferrable triggers that this transaction has locked.
 *
 * Whether a migration has put anything off is asked after each one.  A schema may
 * have thousands of deferrable foreign keys, and a run thousands of locks, so
 * neither is gone through each time: of the locks only those that are new, and of
 * the tables that were locked before those which the relation cache calls
 * changed, as any change of a table's triggers makes it do.
 *
 * A weak lock that is kept in the process itself has no place among the others
 * yet.  There are few of these, so they are all taken each time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/held_locks.h"
#include "exec/deferrable.h"

/* with more changed tables all locks are looked at again */
#define MAX_CHANGED 256

/* the subtransaction that the rest is about; its end may give up locks */
static LocalTransactionId transaction = InvalidLocalTransactionId;
static SubTransactionId subtransaction;
static MigLockMarks marks;
static List *found = NIL;		/* in its context */

/* written by a callback, which must not allocate; more than fit: all */
static Oid	changed[MAX_CHANGED];
static int	nchanged = 0;

/* callback for invalidations of the relation cache */
static void
note_changed(Datum arg, Oid relation)
{
	int			i;

	if (nchanged > MAX_CHANGED)
		return;
	if (!OidIsValid(relation) || nchanged == MAX_CHANGED)
	{
		nchanged = MAX_CHANGED + 1;
		return;
	}
	for (i = nchanged - 1; i >= 0; i--)
	{
		if (changed[i] == relation)
			return;
	}
	changed[nchanged++] = relation;
}

/* has it any triggers, or perhaps had some? */
static bool
has_triggers(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_class) GETSTRUCT(tuple))->relhastriggers;
	ReleaseSysCache(tuple);
	return result;
}

/* is one of its triggers deferrable?  Constraint triggers are among them. */
static bool
has_deferrable_trigger(Oid relation)
{
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		result = false;

	if (!has_triggers(relation))
		return false;
	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relation));
	scan = systable_beginscan(rel, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (!result && HeapTupleIsValid(tuple = systable_getnext(scan)))
		result = ((Form_pg_trigger) GETSTRUCT(tuple))->tgdeferrable;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

static void
add_relation(List **relations, Oid relation)
{
	*relations = lappend_oid(*relations, relation);
}

/* for mig_held_locks_visit_new(); it may not read catalogs */
static void
note_lock(const MigHeldLock *lock, void *arg)
{
	if (lock->tag.locktag_type == LOCKTAG_RELATION &&
		lock->tag.locktag_field1 == MyDatabaseId)
		add_relation((List **) arg, (Oid) lock->tag.locktag_field2);
}

/* for mig_held_locks_visit_fast(); only who writes to a table puts events off */
static void
note_fast_lock(Oid relation, LOCKMASK modes, void *arg)
{
	if ((modes & LOCKBIT_ON(RowExclusiveLock)) != 0)
		add_relation((List **) arg, relation);
}

/* relations that were locked, or have changed, since the last time */
static List *
list_new_relations(void)
{
	static bool registered = false;
	List	   *relations = NIL;
	bool		all = transaction != MIG_LOCAL_XID ||
		subtransaction != GetCurrentSubTransactionId();
	int			i;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(note_changed, (Datum) 0);
		registered = true;
	}
	if (all)
		found = NIL;			/* gone with its context */
	if (all || nchanged > MAX_CHANGED)
		memset(&marks, 0, sizeof(marks));
	for (i = 0; i < nchanged && i < MAX_CHANGED; i++)
		add_relation(&relations, changed[i]);

	/* an error, or what changes from here on, counts the next time */
	transaction = InvalidLocalTransactionId;
	nchanged = 0;
	mig_held_locks_visit_new(&marks, note_lock, &relations);
	return relations;
}

List *
mig_deferrable_locked_tables(void)
{
	List	   *relations;
	List	   *result;
	ListCell   *lc;

	Assert(IsTransactionState());
	relations = list_new_relations();
	foreach(lc, relations)
	{
		Oid			relation = lfirst_oid(lc);
		MemoryContext old;

		if (!has_deferrable_trigger(relation))
			continue;
		old = MemoryContextSwitchTo(CurTransactionContext);
		found = list_append_unique_oid(found, relation);
		MemoryContextSwitchTo(old);
	}
	list_free(relations);
	transaction = MIG_LOCAL_XID;
	subtransaction = GetCurrentSubTransactionId();
	result = list_copy(found);
	mig_held_locks_visit_fast(note_fast_lock, &result);
	return result;
}
