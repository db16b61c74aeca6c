/*-------------------------------------------------------------------------
 *
 * key_lookup.c
 *	  Rows of the books, found by their primary key.
 *
 * A plan of SQL depends on statistics, and a table that was never analyzed may
 * be read by a part of its key only: all rows of a project for each of its
 * migrations.  Here it is always the whole key.  It takes no other identity than
 * the caller's, since nothing runs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/migrate.h"
#include "ledger/key_lookup.h"
#include "ledger/tables.h"

static AttrNumber
column_number(const MigKeyLookup *lookup, Relation rel, const char *name)
{
	AttrNumber	number = get_attnum(RelationGetRelid(rel), name);

	if (number == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_EXTENSION),
				 errmsg("relation \"%s.%s\" is not as the extension has made it",
						MIG_SCHEMA_NAME, lookup->table),
				 errdetail("It has no column \"%s\".", name)));
	return number;
}

/* a snapshot must be active */
static SysScanDesc
begin_scan(const MigKeyLookup *lookup, Relation rel, const char *const *key,
		   ScanKey keys)
{
	int			i;

	Assert(ActiveSnapshotSet());
	for (i = 0; i < lookup->nkeys; i++)
	{
		ScanKeyInit(&keys[i], column_number(lookup, rel, lookup->keys[i]),
					BTEqualStrategyNumber, F_TEXTEQ,
					CStringGetTextDatum(key[i]));
		keys[i].sk_collation = C_COLLATION_OID;
	}
	return systable_beginscan(rel, MIG_PRIMARY_KEY_INDEX(rel), true,
							  GetActiveSnapshot(), lookup->nkeys, keys);
}

bool
mig_key_lookup_row(const MigKeyLookup *lookup, const char *const *key,
				   Datum *values, bool *nulls)
{
	ScanKeyData keys[MIG_KEY_COLUMNS];
	SysScanDesc scan;
	HeapTuple	tuple;
	TupleDesc	desc;
	Relation	rel;
	bool		found;
	int			i;

	Assert(lookup->nkeys > 0 && lookup->nkeys <= MIG_KEY_COLUMNS);
	(void) mig_tables_owner();
	rel = table_open(mig_tables_relation(lookup->table), AccessShareLock);
	desc = RelationGetDescr(rel);
	PushActiveSnapshot(GetTransactionSnapshot());
	scan = begin_scan(lookup, rel, key, keys);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	for (i = 0; found && i < MIG_KEY_WANTED && lookup->wanted[i]; i++)
	{
		AttrNumber	column = column_number(lookup, rel, lookup->wanted[i]);
		Form_pg_attribute attribute = TupleDescAttr(desc, column - 1);

		values[i] = heap_getattr(tuple, column, desc, &nulls[i]);
		if (!nulls[i])
			values[i] = datumCopy(values[i], attribute->attbyval,
								  attribute->attlen);
	}
	systable_endscan(scan);
	PopActiveSnapshot();
	table_close(rel, AccessShareLock);
	return found;
}

Datum
mig_key_lookup_tids(const MigKeyLookup *lookup, const char *project,
					List *versions)
{
	Datum	   *tids = palloc(sizeof(Datum) * (list_length(versions) + 1));
	int			count = 0;
	Relation	rel;
	ListCell   *lc;

	Assert(lookup->nkeys > 0 && lookup->nkeys <= MIG_KEY_COLUMNS);
	(void) mig_tables_owner();
	rel = table_open(mig_tables_relation(lookup->table), RowExclusiveLock);
	PushActiveSnapshot(GetTransactionSnapshot());
	foreach(lc, versions)
	{
		const char *key[MIG_KEY_COLUMNS] = {project, "", ""};
		ScanKeyData keys[MIG_KEY_COLUMNS];
		SysScanDesc scan;
		HeapTuple	tuple;

		key[lookup->nkeys - 1] = lfirst(lc);
		scan = begin_scan(lookup, rel, key, keys);
		tuple = systable_getnext(scan);
		if (HeapTupleIsValid(tuple))
		{
			ItemPointer tid = palloc(sizeof(ItemPointerData));

			*tid = tuple->t_self;
			tids[count++] = PointerGetDatum(tid);
		}
		systable_endscan(scan);
	}
	PopActiveSnapshot();
	table_close(rel, NoLock);
	return PointerGetDatum(construct_array(tids, count, TIDOID,
										   sizeof(ItemPointerData), false,
										   TYPALIGN_SHORT));
}
