/*-------------------------------------------------------------------------
 *
 * tool_ledger.c
 *	  The ledgers of other tools in this database, and what they say.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/pg_crc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "adopt/foreign_table.h"
#include "adopt/tool_ledger.h"
#include "base/compat.h"
#include "base/errors.h"

/* more are nobody's history of a schema */
#define MAX_ENTRIES 1000000

/* ----------
 * Which tables they are
 * ----------
 */

/* the name of a column, and whether it must be there */
static const char *
column_name(const MigKnownLedger *known, int column, bool *required)
{
	const char *name = known->columns[column];

	*required = name != NULL && name[0] != '?';
	return name == NULL || *required ? name : name + 1;
}

/* is the table that known->beside asks for there, or not there? */
static bool
fits_neighbor(const MigKnownLedger *known, Oid relation)
{
	bool		wanted = known->beside != NULL && known->beside[0] != '!';

	if (known->beside == NULL)
		return true;
	return wanted ==
		OidIsValid(get_relname_relid(known->beside + (wanted ? 0 : 1),
									 get_rel_namespace(relation)));
}

static bool
fits_schema(const MigKnownLedger *known, Oid relation)
{
	char	   *schema = get_namespace_name(get_rel_namespace(relation));

	return schema != NULL &&
		(known->schema == NULL || strcmp(schema, known->schema) == 0);
}

/* without those that were dropped */
static int
count_columns(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	int			count = 0;

	if (!HeapTupleIsValid(tuple))
		return 0;
	for (AttrNumber column = 1;
		 column <= ((Form_pg_class) GETSTRUCT(tuple))->relnatts; column++)
		count += (get_attname(relation, column, true) != NULL);
	ReleaseSysCache(tuple);
	return count;
}

/* has it the columns, and none that it must not have?  Fills columns. */
static bool
fits_columns(const MigKnownLedger *known, Oid relation, AttrNumber *columns)
{
	int			named = 0;

	for (int i = 0; i < MIG_LC_NCOLUMNS; i++)
	{
		bool		required;
		const char *name = column_name(known, i, &required);

		columns[i] = name ? mig_foreign_table_column(relation, name) : 0;
		if (required && columns[i] == 0)
			return false;
		named += (columns[i] != 0);
	}
	if (known->without != NULL &&
		get_attnum(relation, known->without) != InvalidAttrNumber)
		return false;
	return !known->no_more || count_columns(relation) == named;
}

/* the table as what known says, or NULL if it is not that */
static MigToolLedger *
make_ledger(const MigKnownLedger *known, Oid relation)
{
	MigToolLedger *ledger = palloc0(sizeof(MigToolLedger));

	ledger->known = known;
	ledger->relation = relation;
	if (!fits_schema(known, relation) || !fits_neighbor(known, relation) ||
		!fits_columns(known, relation, ledger->columns))
		return NULL;
	ledger->name = mig_foreign_table_name(relation);
	return ledger;
}

bool
mig_tool_ledger_recheck(MigToolLedger *ledger)
{
	return fits_schema(ledger->known, ledger->relation) &&
		fits_neighbor(ledger->known, ledger->relation) &&
		fits_columns(ledger->known, ledger->relation, ledger->columns);
}

static int
compare_ledgers(const ListCell *a, const ListCell *b)
{
	const MigToolLedger *one = lfirst(a);
	const MigToolLedger *other = lfirst(b);
	int			order = strcmp(one->known->tool, other->known->tool);

	return order != 0 ? order : strcmp(one->name, other->name);
}

List *
mig_tool_ledger_find(void)
{
	const MigKnownLedger *known;
	List	   *ledgers = NIL;
	List	   *taken = NIL;

	for (int i = 0; (known = mig_known_ledgers_get(i)) != NULL; i++)
	{
		ListCell   *lc;

		foreach(lc, mig_foreign_table_named(known->table))
		{
			MigToolLedger *ledger = NULL;

			if (!list_member_oid(taken, lfirst_oid(lc)))
				ledger = make_ledger(known, lfirst_oid(lc));
			if (ledger == NULL)
				continue;
			taken = lappend_oid(taken, ledger->relation);
			ledgers = lappend(ledgers, ledger);
		}
	}
	list_sort(ledgers, compare_ledgers);
	return ledgers;
}

MigToolLedger *
mig_tool_ledger_of(Oid relation)
{
	ListCell   *lc;

	foreach(lc, mig_tool_ledger_find())
	{
		MigToolLedger *ledger = lfirst(lc);

		if (ledger->relation == relation)
			return ledger;
	}
	return NULL;
}

/* ----------
 * What they say
 * ----------
 */

typedef struct EntryReader
{
	const MigToolLedger *ledger;
	MemoryContext context;		/* of the entries */
	List	   *entries;
} EntryReader;

static char *
copy_string(const char *string)
{
	return string ? pstrdup(string) : NULL;
}

static void
refuse_size(const MigToolLedger *ledger)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("ledger %s is too large", ledger->name),
			 errdetail("It has more than %d rows.", MAX_ENTRIES)));
}

/* a MigForeignRow; values are of this call only */
static void
read_entry(const MigLedgerValue *values, void *arg)
{
	EntryReader *reader = (EntryReader *) arg;
	const MigKnownLedger *known = reader->ledger->known;
	const char *key = values[MIG_LC_KEY].text;
	const char *group = values[MIG_LC_GROUP].text;
	MigLedgerEntry *entry;
	MemoryContext old;

	if (key == NULL)
		key = values[MIG_LC_NAME].text;
	if (key == NULL)
		return;
	if (list_length(reader->entries) >= MAX_ENTRIES)
		refuse_size(reader->ledger);
	old = MemoryContextSwitchTo(reader->context);
	entry = palloc0(sizeof(MigLedgerEntry));
	entry->key = pstrdup(key);
	entry->name = copy_string(values[MIG_LC_NAME].text);
	entry->group = copy_string(group);
	entry->applied_by = copy_string(values[MIG_LC_AUTHOR].text);
	entry->checksum = copy_string(values[MIG_LC_CHECKSUM].text);
	entry->text = copy_string(values[MIG_LC_TEXT].text);
	entry->down_text = copy_string(values[MIG_LC_DOWN_TEXT].text);
	entry->has_time = values[MIG_LC_TIME].is_time;
	entry->applied_at = values[MIG_LC_TIME].time;
	if (values[MIG_LC_DURATION].text != NULL)
		entry->duration_ms = strtod(values[MIG_LC_DURATION].text, NULL) *
			(known->ms_per_unit > 0 ? known->ms_per_unit : 1);
	if (values[MIG_LC_ORDER].text != NULL)
		entry->order = strtoll(values[MIG_LC_ORDER].text, NULL, 10);
	entry->position = list_length(reader->entries);
	if (known->read != NULL)
		known->read(values, entry);
	entry->problem = copy_string(entry->problem);
	reader->entries = lappend(reader->entries, entry);
	MemoryContextSwitchTo(old);
}

/*
 * By the order of application, as far as the ledger tells, else as the table has them.
 */
static int
compare_entries(const ListCell *a, const ListCell *b)
{
	const MigLedgerEntry *one = lfirst(a);
	const MigLedgerEntry *other = lfirst(b);

	if (one->order != other->order)
		return one->order < other->order ? -1 : 1;
	if (one->has_time && other->has_time &&
		one->applied_at != other->applied_at)
		return one->applied_at < other->applied_at ? -1 : 1;
	return one->position - other->position;
}

typedef struct KeyEntry
{
	char	   *key;			/* hash key, with the group before it */
	MigLedgerEntry *last;
	int			count;
} KeyEntry;

static uint32
hash_key(const void *key, Size size)
{
	const char *string = *(char *const *) key;

	return hash_bytes((const unsigned char *) string, strlen(string));
}

static int
compare_keys(const void *a, const void *b, Size size)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* A hash table of KeyEntry by key, in CurrentMemoryContext. */
static HTAB *
make_key_table(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(char *);
	ctl.entrysize = sizeof(KeyEntry);
	ctl.hash = hash_key;
	ctl.match = compare_keys;
	ctl.hcxt = CurrentMemoryContext;
	return hash_create("migrate entries by key", 256, &ctl,
					   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/*
 * Take out what is ignored or taken back, and what another entry of the same
 * key stands for.  Where each counts, the second one of a key is called key#2,
 * as Sqitch's reworked changes are.
 */
static List *
settle_entries(const MigKnownLedger *known, List *entries)
{
	HTAB	   *by_key = make_key_table();
	List	   *settled = NIL;
	ListCell   *lc;

	foreach(lc, entries)
	{
		MigLedgerEntry *entry = lfirst(lc);
		char	   *key = entry->group ?
			psprintf("%s\n%s", entry->group, entry->key) : entry->key;
		KeyEntry   *found;
		bool		known_key;

		CHECK_FOR_INTERRUPTS();
		if (entry->state == MIG_ENTRY_IGNORED)
			continue;
		found = hash_search(by_key, &key, HASH_ENTER, &known_key);
		if (!known_key)
			found->count = 0;
		else if (known->last_counts)
			found->last->state = MIG_ENTRY_IGNORED;
		found->last = entry;
		if (++found->count > 1 && !known->last_counts)
			entry->key = psprintf("%s#%d", entry->key, found->count);
	}
	hash_destroy(by_key);
	foreach(lc, entries)
	{
		MigLedgerEntry *entry = lfirst(lc);

		if (entry->state == MIG_ENTRY_APPLIED ||
			entry->state == MIG_ENTRY_FAILED)
			settled = lappend(settled, entry);
	}
	return settled;
}

List *
mig_tool_ledger_entries(const MigToolLedger *ledger, Relation relation,
						Snapshot snapshot)
{
	EntryReader reader = {ledger, CurrentMemoryContext, NIL};

	Assert(RelationGetRelid(relation) == ledger->relation);
	mig_foreign_table_read(relation, snapshot, ledger->columns,
						   MIG_LC_NCOLUMNS, read_entry, &reader);
	list_sort(reader.entries, compare_entries);
	return settle_entries(ledger->known, reader.entries);
}

/* ----------
 * Its locks
 * ----------
 */

static uint32
crc32_of(const char *string, Size length)
{
	pg_crc32	crc;

	INIT_TRADITIONAL_CRC32(crc);
	COMP_TRADITIONAL_CRC32(crc, string, length);
	FIN_TRADITIONAL_CRC32(crc);
	return crc;
}

/* Java's String.hashCode(), of ASCII */
static int32
java_hash_code(const char *string)
{
	uint32		hash = 0;

	for (; *string != '\0'; string++)
		hash = hash * 31 + (unsigned char) *string;
	return (int32) hash;
}

/* schema, table and database with a NUL between them, as golang-migrate has it */
static int64
golang_migrate_key(Oid relation)
{
	StringInfoData name;

	initStringInfo(&name);
	appendStringInfoString(&name,
						   get_namespace_name(get_rel_namespace(relation)));
	appendStringInfoChar(&name, '\0');
	appendStringInfoString(&name, get_rel_name(relation));
	appendStringInfoChar(&name, '\0');
	appendStringInfoString(&name, get_database_name(MyDatabaseId));
	return (uint32) (crc32_of(name.data, name.len) * (uint32) 1486364155);
}

/* false if the tool has none */
static bool
advisory_tag(const MigToolLedger *ledger, LOCKTAG *tag)
{
	const MigKnownLedger *known = ledger->known;
	char	   *database = get_database_name(MyDatabaseId);
	int64		key = known->lock_key;

	switch (known->lock)
	{
		case MIG_LOCK_NONE:
			return false;
		case MIG_LOCK_FIXED:
			break;
		case MIG_LOCK_FLYWAY:
			key = INT64CONST(77431708279161) +
				java_hash_code(psprintf("\"%s\".\"%s\"",
										get_namespace_name(get_rel_namespace(ledger->relation)),
										get_rel_name(ledger->relation)));
			break;
		case MIG_LOCK_GOLANG_MIGRATE:
			key = golang_migrate_key(ledger->relation);
			break;
		case MIG_LOCK_OF_DATABASE:
			key *= crc32_of(database, strlen(database));
			break;
	}
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) (key >> 32),
						 (uint32) key, 1);
	return true;
}

/* does a session have this lock? */
static bool
is_held(const LOCKTAG *tag)
{
	LockData   *locks = GetLockStatusData();

	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *lock = &locks->locks[i];

		if (lock->holdMask != 0 &&
			memcmp(&lock->locktag, tag, sizeof(LOCKTAG)) == 0)
			return true;
	}
	return false;
}

/* a MigForeignRow: says one row that the tool is at work? */
static void
read_lock(const MigLedgerValue *values, void *arg)
{
	const char *value = values[0].text;

	if (value != NULL && strcmp(value, "0") != 0 &&
		strcmp(value, "false") != 0)
		*(bool *) arg = true;
}

/* the table of locks, or InvalidOid if there is none that can be read */
static Oid
lock_table(const MigToolLedger *ledger, AttrNumber *column)
{
	const MigKnownLedger *known = ledger->known;
	Oid			relation;
	ListCell   *lc;

	if (known->lock_table == NULL)
		return InvalidOid;
	relation = get_relname_relid(known->lock_table,
								 get_rel_namespace(ledger->relation));
	foreach(lc, mig_foreign_table_named(known->lock_table))
	{
		if (lfirst_oid(lc) != relation)
			continue;
		*column = mig_foreign_table_column(relation, known->lock_column);
		return *column != 0 && mig_foreign_table_unreadable(relation) == NULL ?
			relation : InvalidOid;
	}
	return InvalidOid;
}

/*
 * Does its table of locks say so?  To write is to lock it against changes until
 * the end of the transaction, as far as LOCK TABLE would let the caller.
 */
static bool
says_running(const MigToolLedger *ledger, bool write)
{
	LOCKMODE	mode = AccessShareLock;
	AttrNumber	column;
	Oid			table = lock_table(ledger, &column);
	Relation	relation;
	Snapshot	snapshot;
	bool		running = false;

	if (!OidIsValid(table))
		return false;
	if (write && pg_class_aclmask(table, GetUserId(),
								  ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE,
								  ACLMASK_ANY) != 0)
		mode = ShareLock;
	relation = try_table_open(table, mode);
	if (relation == NULL)
		return false;
	snapshot = RegisterSnapshot(write ? GetLatestSnapshot() :
								GetActiveSnapshot());
	if (lock_table(ledger, &column) == table)
		mig_foreign_table_read(relation, snapshot, &column, 1, read_lock,
							   &running);
	UnregisterSnapshot(snapshot);
	table_close(relation, NoLock);
	return running;
}

bool
mig_tool_ledger_is_locked(const MigToolLedger *ledger)
{
	LOCKTAG		tag;

	return (advisory_tag(ledger, &tag) && is_held(&tag)) ||
		says_running(ledger, false);
}

void
mig_tool_ledger_lock(const MigToolLedger *ledger)
{
	LOCKTAG		tag;
	bool		has_lock = advisory_tag(ledger, &tag);

	if ((has_lock && LockAcquire(&tag, ExclusiveLock, false, true) ==
		 LOCKACQUIRE_NOT_AVAIL) ||
		says_running(ledger, true))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("%s is running in this database",
						ledger->known->tool),
				 has_lock ?
				 errdetail("Another session holds its advisory lock.") :
				 errdetail("Table \"%s\" says so.",
						   ledger->known->lock_table),
				 errhint("Call migrate.adopt() again when it has ended.")));
}
