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
column_number(const MigKeyed *keyed, Relation rel, const char *name)
{
	AttrNumber	number = get_attnum(RelationGetRelid(rel), name);

	if (number == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_EXTENSION),
				 errmsg("relation \"%s.%s\" is not as the extension has made it",
						MIG_SCHEMA_NAME, keyed->table),
				 errdetail("It has no column \"%s\".", name)));
	return number;
}

/* a snapshot must be active */
static SysScanDesc
begin_scan(const MigKeyed *keyed, Relation rel, const char *const *key,
		   ScanKey keys)
{
	int			i;

	for (i = 0; i < keyed->nkeys; i++)
	{
		ScanKeyInit(&keys[i], column_number(keyed, rel, keyed->keys[i]),
					BTEqualStrategyNumber, F_TEXTEQ,
					CStringGetTextDatum(key[i]));
		keys[i].sk_collation = C_COLLATION_OID;
	}
	return systable_beginscan(rel, MIG_PRIMARY_KEY_INDEX(rel), true,
							  GetActiveSnapshot(), keyed->nkeys, keys);
}

bool
mig_keyed_look_up(const MigKeyed *keyed, const char *const *key,
				  Datum *values, bool *nulls)
{
	ScanKeyData keys[MIG_KEY_COLUMNS];
	SysScanDesc scan;
	HeapTuple	tuple;
	TupleDesc	desc;
	Relation	rel;
	bool		found;
	int			i;

	(void) mig_books_owner();
	rel = table_open(mig_books_relation(keyed->table), AccessShareLock);
	desc = RelationGetDescr(rel);
	PushActiveSnapshot(GetTransactionSnapshot());
	scan = begin_scan(keyed, rel, key, keys);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	for (i = 0; found && i < MIG_KEYED_WANTED && keyed->wanted[i]; i++)
	{
		AttrNumber	column = column_number(keyed, rel, keyed->wanted[i]);
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
mig_keyed_tids(const MigKeyed *keyed, const char *project, List *versions)
{
	Datum	   *tids = palloc(sizeof(Datum) * (list_length(versions) + 1));
	int			count = 0;
	Relation	rel;
	ListCell   *lc;

	(void) mig_books_owner();
	rel = table_open(mig_books_relation(keyed->table), RowExclusiveLock);
	PushActiveSnapshot(GetTransactionSnapshot());
	foreach(lc, versions)
	{
		const char *key[MIG_KEY_COLUMNS] = {project, "", ""};
		ScanKeyData keys[MIG_KEY_COLUMNS];
		SysScanDesc scan;
		HeapTuple	tuple;

		key[keyed->nkeys - 1] = lfirst(lc);
		scan = begin_scan(keyed, rel, key, keys);
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
