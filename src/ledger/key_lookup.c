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
#include "catalog/index.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

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

/* the keys of a scan for rows with these values */
static void
fill_keys(const MigKeyLookup *lookup, Relation rel, const char *const *key,
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
}

/* a snapshot must be active */
static SysScanDesc
begin_scan(const MigKeyLookup *lookup, Relation rel, const char *const *key,
		   ScanKey keys)
{
	fill_keys(lookup, rel, key, keys);
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
	rel = mig_tables_open_table(lookup->table, AccessShareLock);
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

static Datum
tid_array(Datum *tids, int count)
{
	return PointerGetDatum(construct_array(tids, count, TIDOID,
										   sizeof(ItemPointerData), false,
										   TYPALIGN_SHORT));
}

static Datum
tid_datum(HeapTuple tuple)
{
	ItemPointer tid = palloc(sizeof(ItemPointerData));

	*tid = tuple->t_self;
	return PointerGetDatum(tid);
}

/* a snapshot must be active */
static Datum
find_tids(const MigKeyLookup *lookup, Relation rel, const char *project,
		  List *versions)
{
	Datum	   *tids = palloc(sizeof(Datum) * (list_length(versions) + 1));
	int			count = 0;
	ListCell   *lc;

	Assert(lookup->nkeys > 0 && lookup->nkeys <= MIG_KEY_COLUMNS);
	foreach(lc, versions)
	{
		const char *key[MIG_KEY_COLUMNS] = {project, "", ""};
		ScanKeyData keys[MIG_KEY_COLUMNS];
		SysScanDesc scan;
		HeapTuple	tuple;

		CHECK_FOR_INTERRUPTS();
		key[lookup->nkeys - 1] = lfirst(lc);
		scan = begin_scan(lookup, rel, key, keys);
		tuple = systable_getnext(scan);
		if (HeapTupleIsValid(tuple))
			tids[count++] = tid_datum(tuple);
		systable_endscan(scan);
	}
	return tid_array(tids, count);
}

Datum
mig_key_lookup_tids(const MigKeyLookup *lookup, const char *project,
					List *versions)
{
	Relation	rel;
	Datum		tids;

	(void) mig_tables_owner();
	rel = mig_tables_open_table(lookup->table, RowExclusiveLock);
	PushActiveSnapshot(GetTransactionSnapshot());
	tids = find_tids(lookup, rel, project, versions);
	PopActiveSnapshot();
	table_close(rel, NoLock);
	return tids;
}

Datum
mig_key_lookup_tids_to_read(const MigKeyLookup *lookup, const char *project,
							List *versions)
{
	Relation	rel;
	Datum		tids;

	Assert(ActiveSnapshotSet());
	(void) mig_tables_owner();
	rel = mig_tables_open_table(lookup->table, AccessShareLock);
	tids = find_tids(lookup, rel, project, versions);
	table_close(rel, NoLock);
	return tids;
}

/* the version of each row that the scan has, as a list; ends it */
static List *
collect_versions(const MigKeyLookup *lookup, Relation rel, SysScanDesc scan)
{
	AttrNumber	column = column_number(lookup, rel, "version");
	List	   *versions = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, column, RelationGetDescr(rel),
										 &isnull);

		CHECK_FOR_INTERRUPTS();
		if (!isnull)
			versions = lappend(versions, TextDatumGetCString(value));
	}
	systable_endscan(scan);
	return versions;
}

List *
mig_key_lookup_versions_after(const MigKeyLookup *lookup, const char *project,
							  const char *version)
{
	const char *key[MIG_KEY_COLUMNS] = {project, "", ""};
	ScanKeyData keys[MIG_KEY_COLUMNS];
	int			last = lookup->nkeys - 1;
	List	   *versions;
	Relation	rel;

	Assert(ActiveSnapshotSet());
	(void) mig_tables_owner();
	rel = mig_tables_open_table(lookup->table, AccessShareLock);
	key[last] = version;
	fill_keys(lookup, rel, key, keys);
	keys[last].sk_strategy = BTGreaterStrategyNumber;
	fmgr_info(F_TEXT_GT, &keys[last].sk_func);
	versions = collect_versions(lookup, rel,
								systable_beginscan(rel,
												   MIG_PRIMARY_KEY_INDEX(rel),
												   true, GetActiveSnapshot(),
												   lookup->nkeys, keys));
	table_close(rel, AccessShareLock);
	return versions;
}

/* may the index be relied on to have all its rows? */
static bool
is_whole(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	bool		whole;

	if (!HeapTupleIsValid(tuple))
		return false;
	whole = ((Form_pg_index) GETSTRUCT(tuple))->indisvalid;
	ReleaseSysCache(tuple);
	return whole;
}

/* an index of a table that has all its rows; InvalidOid if there is none */
static Oid
find_index(Relation rel, const char *name)
{
	Oid			index = get_relname_relid(name, RelationGetNamespace(rel));

	if (!OidIsValid(index) || !is_whole(index) ||
		IndexGetRelation(index, false) != RelationGetRelid(rel))
		return InvalidOid;
	return index;
}

bool
mig_key_lookup_versions_in(const MigKeyLookup *lookup, const char *index,
						   const char *project, List **versions)
{
	ScanKeyData key;
	Relation	rel;
	Oid			oid;

	Assert(ActiveSnapshotSet());
	(void) mig_tables_owner();
	rel = mig_tables_open_table(lookup->table, AccessShareLock);
	oid = find_index(rel, index);
	if (OidIsValid(oid))
	{
		ScanKeyInit(&key, column_number(lookup, rel, lookup->keys[0]),
					BTEqualStrategyNumber, F_TEXTEQ,
					CStringGetTextDatum(project));
		key.sk_collation = C_COLLATION_OID;
		*versions = collect_versions(lookup, rel,
									 systable_beginscan(rel, oid, true,
														GetActiveSnapshot(), 1,
														&key));
	}
	table_close(rel, AccessShareLock);
	return OidIsValid(oid);
}

Datum
mig_key_lookup_tids_in(const MigKeyLookup *lookup, const char *index)
{
	Relation	rel;
	Oid			oid;
	List	   *tids = NIL;
	Datum	   *array;
	SysScanDesc scan;
	HeapTuple	tuple;
	ListCell   *lc;

	Assert(ActiveSnapshotSet());
	(void) mig_tables_owner();
	rel = mig_tables_open_table(lookup->table, AccessShareLock);
	oid = find_index(rel, index);
	scan = systable_beginscan(rel, oid, OidIsValid(oid), GetActiveSnapshot(),
							  0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		tids = lappend(tids, DatumGetPointer(tid_datum(tuple)));
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	array = palloc_extended(sizeof(Datum) * (list_length(tids) + 1),
							MCXT_ALLOC_HUGE);
	foreach(lc, tids)
		array[foreach_current_index(lc)] = PointerGetDatum(lfirst(lc));
	return tid_array(array, list_length(tids));
}
