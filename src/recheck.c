/*-------------------------------------------------------------------------
 *
 * recheck.c
 *	  Is a body still to be run, as it was planned and read?
 *
 * For each migration of a long run, in its transaction: so it reads the rows by
 * their keys, without SQL, and without another identity than the caller's.  The
 * snapshot is a new one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "books.h"
#include "compat.h"
#include "recheck.h"

/* columns of the tables, in the order of sql/migrate.sql */
#define MIGRATION_PROJECT 1
#define MIGRATION_VERSION 2
#define MIGRATION_CHECKSUM 15
#define MIGRATION_DOWN_CHECKSUM 16
#define MIGRATION_HELD_REASON 19
#define MIGRATION_COLUMNS 19
#define APPLIED_PROJECT 1
#define APPLIED_TARGET 2
#define APPLIED_VERSION 3
#define APPLIED_CHECKSUM 5
#define APPLIED_RUN 11
#define APPLIED_N 12
#define APPLIED_COLUMNS 12
#define POLICY_PROJECT 1
#define POLICY_ROLE 2
#define POLICY_FROZEN_REASON 10
#define POLICY_COLUMNS 10

static void
set_scan_key(ScanKey key, AttrNumber column, const char *value)
{
	ScanKeyInit(key, column, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(value));
	key->sk_collation = C_COLLATION_OID;
}

/*
 * Some columns of the row with this primary key, copied; false if there is
 * none.  table_columns is how many the table must have.
 */
static bool
read_by_key(const char *table, int table_columns, int nkeys, ScanKey keys,
			int ncolumns, const AttrNumber *columns, Datum *values,
			bool *nulls)
{
	Relation	rel = table_open(mig_books_relation(table), AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;
	int			i;

	mig_books_check_columns(table, desc->natts, table_columns);
	scan = systable_beginscan(rel, MIG_PRIMARY_KEY_INDEX(rel), true,
							  GetActiveSnapshot(), nkeys, keys);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	for (i = 0; found && i < ncolumns; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, columns[i] - 1);

		values[i] = heap_getattr(tuple, columns[i], desc, &nulls[i]);
		if (!nulls[i])
			values[i] = datumCopy(values[i], column->attbyval, column->attlen);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

static bool
differ(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a != b;
	return strcmp(a, b) != 0;
}

static char *
text_or_null(Datum value, bool isnull)
{
	return isnull ? NULL : TextDatumGetCString(value);
}

/* what is in the ledger against what was planned */
static MigRecheck
look_at_applied(const char *project, MigPart part, const MigEntry *entry,
				const MigTexts *texts)
{
	static const AttrNumber columns[] = {
		APPLIED_CHECKSUM, APPLIED_RUN, APPLIED_N
	};
	ScanKeyData keys[3];
	Datum		values[3];
	bool		nulls[3];
	bool		applied;

	set_scan_key(&keys[0], APPLIED_PROJECT, project);
	set_scan_key(&keys[1], APPLIED_TARGET, "");
	set_scan_key(&keys[2], APPLIED_VERSION, entry->version);
	applied = read_by_key("applied", APPLIED_COLUMNS, 3, keys, 3, columns,
						  values, nulls);
	if (part == MIG_DOWN && !applied)
		return MIG_ALREADY_DONE;
	if (applied && part == MIG_UP &&
		strcmp(TextDatumGetCString(values[0]), texts->checksum) == 0 && !entry->partial)
		return MIG_ALREADY_DONE;
	if (applied != entry->applied)
		return MIG_TEXT_CHANGED;
	if (applied &&
		(DatumGetInt64(values[1]) != entry->run ||
		 DatumGetInt32(values[2]) != entry->n))
		return MIG_TEXT_CHANGED;
	return MIG_STILL_THE_SAME;
}

static bool
text_is_the_same(const char *project, MigPart part, const MigEntry *entry,
				 const MigTexts *texts)
{
	static const AttrNumber columns[] = {
		MIGRATION_CHECKSUM, MIGRATION_DOWN_CHECKSUM, MIGRATION_HELD_REASON
	};
	ScanKeyData keys[2];
	Datum		values[3];
	bool		nulls[3];

	set_scan_key(&keys[0], MIGRATION_PROJECT, project);
	set_scan_key(&keys[1], MIGRATION_VERSION, entry->version);
	if (!read_by_key("migration", MIGRATION_COLUMNS, 2, keys, 3, columns,
					 values, nulls))
		return false;
	return !differ(text_or_null(values[0], nulls[0]), texts->checksum) &&
		!differ(text_or_null(values[1], nulls[1]), texts->down_checksum) &&
		(part == MIG_DOWN || nulls[2]);
}

static bool
policy_is_silent(const char *project)
{
	static const AttrNumber columns[] = {POLICY_ROLE, POLICY_FROZEN_REASON};
	ScanKeyData key;
	Datum		values[2];
	bool		nulls[2];

	set_scan_key(&key, POLICY_PROJECT, project);
	return !read_by_key("policy", POLICY_COLUMNS, 1, &key, 2, columns, values,
						nulls) ||
		(nulls[0] && nulls[1]);
}

MigRecheck
mig_recheck(const char *project, MigPart part, const MigEntry *entry,
			const MigTexts *texts)
{
	MigRecheck	result;

	(void) mig_books_owner();
	PushActiveSnapshot(GetTransactionSnapshot());
	result = look_at_applied(project, part, entry, texts);
	if (result == MIG_STILL_THE_SAME &&
		!text_is_the_same(project, part, entry, texts))
		result = MIG_TEXT_CHANGED;
	if (result == MIG_STILL_THE_SAME && !policy_is_silent(project))
		result = MIG_POLICY_FORBIDS;
	PopActiveSnapshot();
	return result;
}
