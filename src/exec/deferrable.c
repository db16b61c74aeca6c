/*-------------------------------------------------------------------------
 *
 * deferrable.c
 *	  The tables with deferrable triggers, constraint triggers among them.
 *
 * Whether a migration has put anything off is asked after each one, and a
 * schema may have thousands of deferrable foreign keys.  So the tables are
 * remembered, and an invalidation of the relation cache, which every change of
 * a table's triggers sends, says which of them to look at again.  A table that
 * has lost its last such trigger stays in the list, as nothing is wrong with
 * asking about it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "exec/deferrable.h"

/* with more changed tables all of pg_trigger is read */
#define MAX_CHANGED 256

static List *tables = NIL;		/* in TopMemoryContext */
static bool known = false;		/* it was complete, but for what has changed */

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

/* the tables of all deferrable triggers, or of those of one table */
static List *
read_tables(Oid table)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *found = NIL;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	scan = systable_beginscan(rel, TriggerRelidNameIndexId,
							  OidIsValid(table), NULL,
							  OidIsValid(table) ? 1 : 0, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		if (form->tgdeferrable &&
			(found == NIL || llast_oid(found) != form->tgrelid))
			found = lappend_oid(found, form->tgrelid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* has it any, or perhaps had some? */
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

/* replace the list by what pg_trigger says */
static void
read_all(void)
{
	List	   *found = read_tables(InvalidOid);
	MemoryContext old;

	list_sort(found, list_oid_cmp);
	list_deduplicate_oid(found);
	list_free(tables);
	tables = NIL;
	old = MemoryContextSwitchTo(TopMemoryContext);
	tables = list_copy(found);
	MemoryContextSwitchTo(old);
	list_free(found);
}

/* add those of the relations that have such triggers now */
static void
read_some(const Oid *relations, int count)
{
	int			i;

	for (i = 0; i < count; i++)
	{
		MemoryContext old;

		if (!has_triggers(relations[i]) || read_tables(relations[i]) == NIL)
			continue;
		old = MemoryContextSwitchTo(TopMemoryContext);
		tables = list_append_unique_oid(tables, relations[i]);
		MemoryContextSwitchTo(old);
	}
}

const List *
mig_deferrable_tables(void)
{
	static bool registered = false;
	Oid			relations[MAX_CHANGED];
	int			count = nchanged;
	bool		all = !known || nchanged > MAX_CHANGED;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(note_changed, (Datum) 0);
		registered = true;
	}
	if (!all && count == 0)
		return tables;
	if (!all)
		memcpy(relations, changed, sizeof(Oid) * count);

	/* an error, or what changes from here on, counts the next time */
	known = false;
	nchanged = 0;
	if (all)
		read_all();
	else
		read_some(relations, count);
	known = true;
	return tables;
}
