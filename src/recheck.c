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
#define MIGRATION_CHECKSUM 18
#define MIGRATION_DOWN_CHECKSUM 19
#define MIGRATION_HELD_REASON 28
#define MIGRATION_COLUMNS 28
#define APPLIED_PROJECT 1
#define APPLIED_TARGET 2
#define APPLIED_VERSION 3
#define APPLIED_CHECKSUM 5
#define APPLIED_SEQ 13
#define APPLIED_COLUMNS 13
#define POLICY_PROJECT 1
#define POLICY_ROLE 2
#define POLICY_FROZEN_REASON 11
#define POLICY_COLUMNS 11

#define MAX_KEYS 3
#define MAX_WANTED 3

/* rows of a table of the books, found by their primary key of text columns */
typedef struct Lookup
{
	const char *table;
	int			table_columns;	/* how many it must have */
	int			nkeys;
	AttrNumber	keys[MAX_KEYS];
	int			nwanted;
	AttrNumber	wanted[MAX_WANTED];
} Lookup;

static const Lookup applied_lookup = {
	"applied", APPLIED_COLUMNS,
	3, {APPLIED_PROJECT, APPLIED_TARGET, APPLIED_VERSION},
	2, {APPLIED_CHECKSUM, APPLIED_SEQ}
};

static const Lookup migration_lookup = {
	"migration", MIGRATION_COLUMNS,
	2, {MIGRATION_PROJECT, MIGRATION_VERSION},
	3, {MIGRATION_CHECKSUM, MIGRATION_DOWN_CHECKSUM, MIGRATION_HELD_REASON}
};

static const Lookup policy_lookup = {
	"policy", POLICY_COLUMNS,
	1, {POLICY_PROJECT},
	2, {POLICY_ROLE, POLICY_FROZEN_REASON}
};

static void
set_scan_key(ScanKey key, AttrNumber column, const char *value)
{
	ScanKeyInit(key, column, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(value));
	key->sk_collation = C_COLLATION_OID;
}

/* the wanted columns of the row with this key, copied; false if there is none */
static bool
look_up(const Lookup *lookup, const char *const *key, Datum *values,
		bool *nulls)
{
	Relation	rel = table_open(mig_books_relation(lookup->table),
								 AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	ScanKeyData keys[MAX_KEYS];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;
	int			i;

	mig_books_check_columns(lookup->table, desc->natts, lookup->table_columns);
	for (i = 0; i < lookup->nkeys; i++)
		set_scan_key(&keys[i], lookup->keys[i], key[i]);
	scan = systable_beginscan(rel, MIG_PRIMARY_KEY_INDEX(rel), true,
							  GetActiveSnapshot(), lookup->nkeys, keys);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	for (i = 0; found && i < lookup->nwanted; i++)
	{
		AttrNumber	column = lookup->wanted[i];
		Form_pg_attribute attribute = TupleDescAttr(desc, column - 1);

		values[i] = heap_getattr(tuple, column, desc, &nulls[i]);
		if (!nulls[i])
			values[i] = datumCopy(values[i], attribute->attbyval,
								  attribute->attlen);
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
	const char *key[] = {project, "", entry->version};
	Datum		values[MAX_WANTED];
	bool		nulls[MAX_WANTED];
	bool		applied = look_up(&applied_lookup, key, values, nulls);

	if (part == MIG_DOWN && !applied)
		return MIG_ALREADY_DONE;
	if (applied && part == MIG_UP &&
		strcmp(TextDatumGetCString(values[0]), texts->checksum) == 0 && !entry->partial)
		return MIG_ALREADY_DONE;
	if (applied != entry->applied)
		return MIG_TEXT_CHANGED;
	if (applied && DatumGetInt64(values[1]) != entry->seq)
		return MIG_TEXT_CHANGED;
	return MIG_STILL_THE_SAME;
}

static bool
text_is_the_same(const char *project, MigPart part, const MigEntry *entry,
				 const MigTexts *texts)
{
	const char *key[] = {project, entry->version};
	Datum		values[MAX_WANTED];
	bool		nulls[MAX_WANTED];

	if (!look_up(&migration_lookup, key, values, nulls))
		return false;
	return !differ(text_or_null(values[0], nulls[0]), texts->checksum) &&
		!differ(text_or_null(values[1], nulls[1]), texts->down_checksum) &&
		(part == MIG_DOWN || nulls[2]);
}

static bool
policy_is_silent(const char *project)
{
	Datum		values[MAX_WANTED];
	bool		nulls[MAX_WANTED];

	return !look_up(&policy_lookup, &project, values, nulls) ||
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
