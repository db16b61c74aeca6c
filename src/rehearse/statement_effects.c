/*-------------------------------------------------------------------------
 *
 * statement_effects.c
 *	  What a statement has done to relations.
 *
 * Each source tells of a few relations, and only these are looked at, so that
 * the cost is that of the statement and not of all that its transaction holds:
 *
 *	- the locks that are new in the server's lock table (base/held_locks.c),
 *	- the relations whose definition the server invalidates, which it does for
 *	  every change of one,
 *	- the relations of the queries that the executor is given, from functions
 *	  too.
 *
 * What has become of such a relation is found by reading its row of pg_class
 * twice, with a snapshot from before the statement and as it is now.
 *
 * A lock that the transaction has already is not taken again in the lock table.
 * To tell whether the statement would have taken it, the statement runs under
 * a resource owner of its own, which can be asked.  That is done only if there
 * is something to be asked for.
 *
 * The callback for invalidations stays registered for the life of the backend,
 * as the server has no way to take it out; while nothing is watched it returns
 * at once.  The executor's hook is set while a run is watched.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_namespace_d.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/held_locks.h"
#include "rehearse/statement_effects.h"

/* what is known of a relation */
typedef struct KnownRelation
{
	Oid			relation;		/* hash key */
	int			statement;		/* number of that which touched it last */
	bool		created;		/* by a statement that was watched */
	bool		emptied;		/* by one before */

	MigHeldLock lock;			/* in the lock table */
	LOCKMASK	fast;			/* outside of it, at the statement's end */
	int			fast_statement;
	LOCKMASK	seen;			/* held at the end of a statement before */
	LOCKMASK	taken;			/* by the migration, as far as it has come */
	int			migration;		/* that this is about */

	bool		has_scans;
	int64		scans;			/* at the end of the statement before */
	int64		rows;
} KnownRelation;

struct MigEffects
{
	MemoryContext context;
	MemoryContext scratch;
	HTAB	   *known;
	MigLockMarks marks;
	int			migration;		/* number */
	int			statement;		/* number */
	List	   *held;			/* of Known *, with a strong lock */
	bool		held_before;	/* some of them by an earlier migration */

	/* the statement that is running */
	bool		transient;		/* will be rolled back by itself */
	Snapshot	before;
	ResourceOwner outer_owner;	/* NULL: it has none of its own */
	ResourceOwner owner;
	WalUsage	wal;
	BufferUsage buffers;
	int			ntouched;
	int			max_touched;
	KnownRelation **touched;
};

/* a row of pg_class, as far as it matters */
typedef struct ClassRow
{
	bool		found;
	char	   *name;
	Oid			schema;
	char		relkind;
	Oid			filenode;
	Oid			tablespace;
	double		tuples;
	int64		bytes;
} ClassRow;

/* a relation that was created or dropped, or has a new file */
typedef struct ClassChange
{
	Oid			relation;
	char	   *name;
	char		relkind;
	Oid			filenode;
} ClassChange;

/* while statement_end() is at work */
typedef struct EffectsReport
{
	MigEffects *effects;
	MigStatementEffects *result;
	const char *tag;
	List	   *created;		/* of Change * */
	List	   *dropped;
	List	   *reindexed;
	List	   *truncated;		/* of Oid */
} EffectsReport;

/* what DDL takes, as opposed to queries */
#define STRONG_MODES \
	(LOCKBIT_ON(ShareUpdateExclusiveLock) | LOCKBIT_ON(ShareLock) | \
	 LOCKBIT_ON(ShareRowExclusiveLock) | LOCKBIT_ON(ExclusiveLock) | \
	 LOCKBIT_ON(AccessExclusiveLock))

static MigEffects *watching = NULL;
static bool in_statement = false;
static ExecutorStart_hook_type next_executor_start = NULL;
static bool hook_installed = false;


/*
 * Which relations
 */

/* the entry of a relation, made if it was not there: *found */
static KnownRelation *
enter_relation(MigEffects *effects, Oid relation, bool *found)
{
	KnownRelation *known =
		hash_search(effects->known, &relation, HASH_ENTER,
					found);

	if (!*found)
	{
		memset((char *) known + sizeof(Oid), 0,
			   sizeof(KnownRelation) - sizeof(Oid));
		known->statement = -1;
		known->fast_statement = -1;
	}
	return known;
}

/* the backend's own counters, which the server sends off later */
static void
read_scan_counters(MigEffects *effects, Oid relation, int64 *scans,
				   int64 *rows)
{
	MemoryContext old = MemoryContextSwitchTo(effects->scratch);
	Datum		argument = ObjectIdGetDatum(relation);

	*scans = DatumGetInt64(DirectFunctionCall1(pg_stat_get_xact_numscans,
											   argument));
	*rows = DatumGetInt64(DirectFunctionCall1(pg_stat_get_xact_tuples_returned,
											  argument));
	MemoryContextSwitchTo(old);
}

/* the statement has something to do with this relation */
static KnownRelation *
note_relation(MigEffects *effects, Oid relation)
{
	bool		found;
	KnownRelation *known = enter_relation(effects, relation, &found);

	if (known->statement == effects->statement)
		return known;
	known->statement = effects->statement;
	if (effects->ntouched == effects->max_touched)
	{
		effects->max_touched *= 2;
		effects->touched = repalloc_huge(effects->touched,
										 sizeof(KnownRelation *) * effects->max_touched);
	}
	effects->touched[effects->ntouched++] = known;
	return known;
}

/* the same before it has read anything */
static void
touch_early(MigEffects *effects, Oid relation)
{
	KnownRelation *known = note_relation(effects, relation);

	if (!known->has_scans && !known->created)
	{
		known->has_scans = true;
		read_scan_counters(effects, relation, &known->scans, &known->rows);
	}
}

/* the server's message that a relation's definition has changed */
static void
note_invalidation(Datum arg, Oid relation)
{
	/* a roll-back has them as well */
	if (watching != NULL && in_statement && OidIsValid(relation) &&
		!IsCatalogRelationOid(relation) && IsTransactionState())
		touch_early(watching, relation);
}

/* a query, perhaps from within a function */
static void
note_query(QueryDesc *query, int flags)
{
	ListCell   *lc;

	if (watching != NULL && in_statement)
	{
		foreach(lc, query->plannedstmt->rtable)
		{
			RangeTblEntry *rte = (RangeTblEntry *) lfirst(lc);

			if (rte->rtekind == RTE_RELATION && !IsCatalogRelationOid(rte->relid))
				touch_early(watching, rte->relid);
		}
	}
	if (next_executor_start != NULL)
		next_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

static void
note_lock(const MigHeldLock *lock, void *arg)
{
	MigEffects *effects = (MigEffects *) arg;

	if (lock->tag.locktag_lockmethodid != DEFAULT_LOCKMETHOD ||
		lock->tag.locktag_type != LOCKTAG_RELATION ||
		lock->tag.locktag_field1 != MyDatabaseId)
		return;
	note_relation(effects, lock->tag.locktag_field2)->lock = *lock;
}

static void
note_fast_lock(Oid relation, LOCKMASK modes, void *arg)
{
	MigEffects *effects = (MigEffects *) arg;
	bool		found;
	KnownRelation *known = enter_relation(effects, relation, &found);

	known->fast = modes;
	known->fast_statement = effects->statement;
	if ((modes & ~known->seen) != 0)
		(void) note_relation(effects, relation);
}

static LOCKMASK
modes_held(const MigEffects *effects, const KnownRelation *known)
{
	LOCKMASK	modes = mig_held_locks_modes(&known->lock);

	if (known->fast_statement == effects->statement)
		modes |= known->fast;
	return modes;
}

/*
 * The few commands that lock a relation without a change that the server would
 * tell of.
 */
static void
touch_all_held(MigEffects *effects, const char *tag)
{
	static const char *const tags[] = {
		"LOCK TABLE", "COMMENT", "SECURITY LABEL"
	};
	ListCell   *lc;
	int			i;

	for (i = 0; i < lengthof(tags); i++)
	{
		if (strcmp(tag, tags[i]) != 0)
			continue;
		foreach(lc, effects->held)
			(void) note_relation(effects,
								 ((KnownRelation *) lfirst(lc))->relation);
	}
}


/*
 * What became of them
 */

static char *
schema_name(Oid schema, Snapshot snapshot)
{
	char	   *name = NULL;
	Relation	catalog;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (isTempNamespace(schema))
		return pstrdup("pg_temp");
	if (snapshot == NULL)
		return get_namespace_name(schema);

	/* it may have been dropped with the relation */
	catalog = table_open(NamespaceRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_namespace_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(schema));
	scan = systable_beginscan(catalog, NamespaceOidIndexId, true, snapshot, 1,
							  &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		name = pstrdup(NameStr(((Form_pg_namespace) GETSTRUCT(tuple))->nspname));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return name;
}

/* what is compared later of a row of pg_class */
static void
copy_class_row(Form_pg_class form, ClassRow *row)
{
	row->found = true;
	row->name = pstrdup(NameStr(form->relname));
	row->schema = form->relnamespace;
	row->relkind = form->relkind;
	row->filenode = form->relfilenode;
	row->tablespace = form->reltablespace;
	row->tuples = form->reltuples;
	row->bytes = (int64) (uint32) form->relpages * BLCKSZ;
}

static void
read_row_before(MigEffects *effects, Relation catalog, Oid relation,
				ClassRow *row)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	memset(row, 0, sizeof(ClassRow));
	ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relation));
	scan = systable_beginscan(catalog, ClassOidIndexId, true,
							  effects->before, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		copy_class_row((Form_pg_class) GETSTRUCT(tuple), row);
	systable_endscan(scan);
}

static void
read_row_now(Oid relation, ClassRow *row)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));

	memset(row, 0, sizeof(ClassRow));
	if (!HeapTupleIsValid(tuple))
		return;
	copy_class_row((Form_pg_class) GETSTRUCT(tuple), row);
	ReleaseSysCache(tuple);
}

static char *
qualified_class_name(MigEffects *effects, const ClassRow *row, bool is_old)
{
	char	   *schema = schema_name(row->schema,
									 is_old ? effects->before : NULL);

	return quote_qualified_identifier(schema, row->name);
}

static bool
is_toast(const ClassRow *row)
{
	return row->relkind == RELKIND_TOASTVALUE ||
		row->schema == PG_TOAST_NAMESPACE || isTempToastNamespace(row->schema);
}

/* kinds of relations that users know as relations */
static const char *
kind_name(const ClassRow *row)
{
	switch (row->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			return "table";
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			return "index";
		case RELKIND_SEQUENCE:
			return "sequence";
		case RELKIND_VIEW:
			return "view";
		case RELKIND_MATVIEW:
			return "materialized view";
		case RELKIND_FOREIGN_TABLE:
			return "foreign table";
		default:
			return NULL;
	}
}

static bool
is_table_class(const ClassRow *row)
{
	return row->relkind == RELKIND_RELATION || row->relkind == RELKIND_MATVIEW;
}

static int64
fork_bytes(Relation relation)
{
	return (int64) RelationGetNumberOfBlocks(relation) * BLCKSZ;
}

/* size of a relation that is there and locked, -1 if it has no storage */
static int64
relation_bytes(Oid oid, bool with_toast)
{
	Relation	relation = RelationIdGetRelation(oid);
	int64		bytes = -1;

	if (relation == NULL)
		return -1;
	if (RELKIND_HAS_STORAGE(relation->rd_rel->relkind))
		bytes = fork_bytes(relation);
	if (with_toast && OidIsValid(relation->rd_rel->reltoastrelid))
		bytes += relation_bytes(relation->rd_rel->reltoastrelid, false);
	RelationClose(relation);
	return bytes;
}

/*
 * A new file is that of TRUNCATE if the statistics say so.  They do not tell
 * when that was, so what TRUNCATE left in an earlier statement is remembered.
 */
static bool
is_truncated(KnownRelation *known, const char *tag)
{
	Relation	relation;
	bool		truncated = false;

	if (strcmp(tag, "TRUNCATE TABLE") == 0)
		return true;
	relation = RelationIdGetRelation(known->relation);
	if (relation == NULL)
		return false;
	if (relation->pgstat_info != NULL && relation->pgstat_info->trans != NULL)
		truncated = relation->pgstat_info->trans->truncdropped &&
			RelationGetNumberOfBlocks(relation) == 0;
	RelationClose(relation);
	return truncated && !known->emptied;
}

static List *
add_change(List *changes, MigEffects *effects, Oid relation,
		   const ClassRow *row, bool is_old)
{
	ClassChange *change = palloc(sizeof(ClassChange));

	change->relation = relation;
	change->name = qualified_class_name(effects, row, is_old);
	change->relkind = row->relkind;
	change->filenode = row->filenode;
	return lappend(changes, change);
}

static void
report_new_file(EffectsReport *report, KnownRelation *known,
				const ClassRow *row)
{
	MigStatementEffects *result = report->result;
	char	   *name;

	if (row->relkind == RELKIND_INDEX)
		report->reindexed = add_change(report->reindexed, report->effects,
									   known->relation, row, false);
	if (!is_table_class(row))
		return;
	name = qualified_class_name(report->effects, row, false);
	if (is_truncated(known, report->tag))
	{
		result->truncated = lappend(result->truncated, name);
		report->truncated = lappend_oid(report->truncated, known->relation);
		known->emptied = !report->effects->transient;
	}
	else
	{
		result->rewritten = lappend(result->rewritten, name);
		result->rewritten_bytes += relation_bytes(known->relation, true);
	}
}

static void
report_lock(EffectsReport *report, KnownRelation *known,
			const ClassRow *before, LOCKMODE mode,
			bool held_before)
{
	MigLockTaken *lock = palloc0(sizeof(MigLockTaken));

	lock->relation = qualified_class_name(report->effects, before, true);
	lock->kind = kind_name(before);
	lock->mode = mode;
	lock->blocks_reads = DoLockModesConflict(mode, AccessShareLock);
	lock->blocks_writes = DoLockModesConflict(mode, RowExclusiveLock);
	lock->held_before = held_before;
	lock->bytes = relation_bytes(known->relation, false);
	if (lock->bytes < 0 && RELKIND_HAS_STORAGE(before->relkind))
		lock->bytes = before->bytes;	/* dropped */
	lock->rows = before->tuples;
	report->result->locks = lappend(report->result->locks, lock);
}

/*
 * Which of the modes that were held before has the statement taken again?  The
 * strongest, if it is stronger than these.
 */
static LOCKMODE
taken_again(MigEffects *effects, const KnownRelation *known,
			LOCKMODE stronger_than)
{
	LOCKMODE	mode;
	LOCKTAG		tag;

	if (effects->owner == NULL)
		return NoLock;
	SET_LOCKTAG_RELATION(tag, MyDatabaseId, known->relation);
	for (mode = MaxLockMode; mode > stronger_than; mode--)
	{
		if ((known->seen & STRONG_MODES & LOCKBIT_ON(mode)) != 0 &&
			mig_held_locks_release(&tag, mode, false))
			return mode;
	}
	return NoLock;
}

/*
 * That queries lock the indexes that they use is nobody's concern, nor that they
 * do so with the views of information_schema.
 */
static bool
is_worth_telling(const KnownRelation *known, const ClassRow *row,
				 LOCKMODE mode)
{
	if (kind_name(row) == NULL || is_toast(row))
		return false;
	return (LOCKBIT_ON(mode) & STRONG_MODES) != 0 ||
		(known->relation >= FirstNormalObjectId &&
		 row->relkind != RELKIND_INDEX &&
		 row->relkind != RELKIND_PARTITIONED_INDEX);
}

/* for the statements to come, unless the locks will be gone */
static void
remember_locks(MigEffects *effects, KnownRelation *known, LOCKMASK held,
			   LOCKMASK taken)
{
	MemoryContext old;

	if (effects->transient)
		return;
	if ((held & STRONG_MODES) != 0 && (known->seen & STRONG_MODES) == 0)
	{
		old = MemoryContextSwitchTo(effects->context);
		effects->held = lappend(effects->held, known);
		MemoryContextSwitchTo(old);
	}
	known->taken |= taken;
	known->seen |= held;
}

/*
 * Report the strongest lock on a relation that a statement took, if it conflicts
 * with a mode that the locks before it did not conflict with.
 */
static void
check_locks(EffectsReport *report, KnownRelation *known,
			const ClassRow *before)
{
	MigEffects *effects = report->effects;
	LOCKMASK	held = modes_held(effects, known);
	LOCKMASK	taken = held & ~known->seen;
	LOCKMASK	news;
	LOCKMODE	mode;
	LOCKMODE	again;

	if (held == 0)
		return;
	if (known->migration != effects->migration)
		known->taken = 0;
	known->migration = effects->migration;
	mode = mig_held_locks_strongest(taken);
	again = taken_again(effects, known,
						Max(mode, mig_held_locks_strongest(known->taken)));
	if (again != NoLock)
	{
		taken |= LOCKBIT_ON(again);
		mode = again;
	}

	/* a lock that keeps nobody off who was not kept off before is not new */
	news = mig_held_locks_conflicts(LOCKBIT_ON(mode)) &
		~mig_held_locks_conflicts(known->taken);
	remember_locks(effects, known, held, taken);
	if (mode != NoLock && news != 0 && is_worth_telling(known, before, mode))
		report_lock(report, known, before, mode, again != NoLock);
}

static void
check_scans(EffectsReport *report, KnownRelation *known, const ClassRow *row)
{
	MigTableScan *scan;
	int64		scans;
	int64		rows;

	if (!known->has_scans || !is_table_class(row))
		return;
	read_scan_counters(report->effects, known->relation, &scans, &rows);
	if (scans > known->scans && rows > known->rows)
	{
		scan = palloc(sizeof(MigTableScan));
		scan->relation = qualified_class_name(report->effects, row, true);
		scan->scans = scans - known->scans;
		scan->rows = rows - known->rows;
		report->result->scans = lappend(report->result->scans, scan);
	}
	known->scans = scans;
	known->rows = rows;
}

/*
 * Compare a relation with what it was before the statement: created, dropped,
 * rewritten, scanned, locked.
 */
static void
check_relation(EffectsReport *report, Relation catalog, KnownRelation *known)
{
	MigEffects *effects = report->effects;
	ClassRow	before;
	ClassRow	now;

	read_row_now(known->relation, &now);
	read_row_before(effects, catalog, known->relation, &before);
	if (!before.found)
	{
		known->created = true;
		if (now.found && !is_toast(&now))
			report->created = add_change(report->created, effects,
										 known->relation, &now, false);
		return;
	}
	if (!now.found)
	{
		if (!is_toast(&before))
			report->dropped = add_change(report->dropped, effects,
										 known->relation, &before, true);
	}
	else if ((now.filenode != before.filenode ||
			  now.tablespace != before.tablespace) && !is_toast(&before))
		report_new_file(report, known, &now);
	if (known->created)
		return;
	if (!is_toast(&before))
		check_scans(report, known, &before);
	check_locks(report, known, &before);
}


/*
 * The result
 */

/*
 * An index that ALTER TABLE drops and creates again is rebuilt, or its file is
 * taken over.
 */
static bool
take_rebuilt_index(EffectsReport *report, const ClassChange *dropped)
{
	ListCell   *lc;

	if (dropped->relkind != RELKIND_INDEX &&
		dropped->relkind != RELKIND_PARTITIONED_INDEX)
		return false;
	foreach(lc, report->created)
	{
		ClassChange *created = (ClassChange *) lfirst(lc);

		if (created->relkind != dropped->relkind ||
			strcmp(created->name, dropped->name) != 0)
			continue;
		if (created->filenode != dropped->filenode)
			report->reindexed = lappend(report->reindexed, created);
		report->created = foreach_delete_current(report->created, lc);
		return true;
	}
	return false;
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp((const char *) lfirst(a), (const char *) lfirst(b));
}

static int
compare_locks(const ListCell *a, const ListCell *b)
{
	const MigLockTaken *x = (const MigLockTaken *) lfirst(a);
	const MigLockTaken *y = (const MigLockTaken *) lfirst(b);

	if (x->mode != y->mode)
		return y->mode - x->mode;
	return strcmp(x->relation, y->relation);
}

static int
compare_scans(const ListCell *a, const ListCell *b)
{
	return strcmp(((const MigTableScan *) lfirst(a))->relation,
				  ((const MigTableScan *) lfirst(b))->relation);
}

static List *
names_of(List *changes)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, changes)
	{
		ClassChange *change = (ClassChange *) lfirst(lc);

		/* a row type is no relation to its users */
		if (change->relkind != RELKIND_COMPOSITE_TYPE)
			names = lappend(names, change->name);
	}
	list_sort(names, compare_names);
	return names;
}

/*
 * Take out what only looks like a change: an index that was rebuilt, or built
 * for no rows.
 */
static void
finish_report(EffectsReport *report)
{
	MigStatementEffects *result = report->result;
	ListCell   *lc;

	foreach(lc, report->dropped)
	{
		if (take_rebuilt_index(report, (ClassChange *) lfirst(lc)))
			report->dropped = foreach_delete_current(report->dropped, lc);
	}
	foreach(lc, report->reindexed)
	{
		ClassChange *change = (ClassChange *) lfirst(lc);

		/* an index that is empty because its table is was not built */
		if (list_member_oid(report->truncated,
							IndexGetRelation(change->relation, true)))
			report->reindexed = foreach_delete_current(report->reindexed, lc);
	}
	result->reindexed = names_of(report->reindexed);
	result->created = names_of(report->created);
	result->dropped = names_of(report->dropped);
	list_sort(result->rewritten, compare_names);
	list_sort(result->truncated, compare_names);
	list_sort(result->locks, compare_locks);
	list_sort(result->scans, compare_scans);
}

static void
count_usage(const MigEffects *effects, MigStatementEffects *result)
{
	const BufferUsage *then = &effects->buffers;

	result->wal_bytes = pgWalUsage.wal_bytes - effects->wal.wal_bytes;
	result->blocks_read =
		pgBufferUsage.shared_blks_read - then->shared_blks_read +
		pgBufferUsage.local_blks_read - then->local_blks_read;
	result->blocks_dirtied =
		pgBufferUsage.shared_blks_dirtied - then->shared_blks_dirtied +
		pgBufferUsage.local_blks_dirtied - then->local_blks_dirtied;
}


/*
 * Entry points
 */

static void
install_hook(void)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(note_invalidation, (Datum) 0);
		registered = true;
	}
	if (hook_installed)
		return;
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = note_query;
	hook_installed = true;
}

/*
 * A module that was loaded after this one may have our address: then the hook stays,
 * and does nothing.
 */
static void
remove_hook(void)
{
	if (!hook_installed || ExecutorStart_hook != note_query)
		return;
	ExecutorStart_hook = next_executor_start;
	hook_installed = false;
}

/* what is held now is no statement's */
static void
note_baseline(MigEffects *effects)
{
	int			i;

	effects->statement++;
	mig_held_locks_visit_new(&effects->marks, note_lock, effects);
	mig_held_locks_visit_fast(note_fast_lock, effects);
	for (i = 0; i < effects->ntouched; i++)
	{
		KnownRelation *known = effects->touched[i];

		known->seen = modes_held(effects, known);
		if ((known->seen & STRONG_MODES) != 0)
			effects->held = lappend(effects->held, known);
	}
	effects->ntouched = 0;
}

MigEffects *
mig_statement_effects_begin(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "migrate effects",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MigEffects *effects = palloc0(sizeof(MigEffects));
	HASHCTL		control;

	Assert(MemoryContextIsValid(context));
	effects->context = context;
	effects->scratch = AllocSetContextCreate(context, "migrate effects scratch",
											 ALLOCSET_SMALL_SIZES);
	memset(&control, 0, sizeof(control));
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(KnownRelation);
	control.hcxt = context;
	effects->known = hash_create("migrate relations", 64, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	effects->max_touched = 64;
	effects->touched = palloc(sizeof(KnownRelation *) * effects->max_touched);
	note_baseline(effects);
	effects->held_before = (effects->held != NIL);
	MemoryContextSwitchTo(old);
	install_hook();
	watching = effects;
	return effects;
}

void
mig_statement_effects_end(void)
{
	remove_hook();
	watching = NULL;
	in_statement = false;
}

void
mig_statement_effects_next_migration(MigEffects *effects)
{
	effects->migration++;
	effects->held_before = (effects->held != NIL);
}

void
mig_statement_effects_before(MigEffects *effects, bool transient)
{
	effects->statement++;
	effects->ntouched = 0;
	MemoryContextReset(effects->scratch);

	effects->before = RegisterSnapshot(GetLatestSnapshot());
	effects->owner = NULL;
	effects->transient = transient;
	if (effects->held_before)
	{
		effects->outer_owner = CurrentResourceOwner;
		effects->owner = ResourceOwnerCreate(CurrentResourceOwner,
											 "migrate statement");
		CurrentResourceOwner = effects->owner;
	}
	effects->wal = pgWalUsage;
	effects->buffers = pgBufferUsage;
	in_statement = true;
}

void
mig_statement_effects_failed(MigEffects *effects)
{
	in_statement = false;
}

/* as the server does it for a portal: the locks go to the one that is outside */
static void
give_up_owner(MigEffects *effects)
{
	ResourceOwner owner = effects->owner;

	if (owner == NULL)
		return;
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, true, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, true, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, true, false);
	CurrentResourceOwner = effects->outer_owner;
	ResourceOwnerDelete(owner);
	effects->owner = NULL;
}

MigStatementEffects *
mig_statement_effects_after(MigEffects *effects, const char *tag)
{
	EffectsReport report = {0};
	MigLockMarks marks = effects->marks;
	Relation	catalog;
	int			i;

	report.effects = effects;
	report.result = palloc0(sizeof(MigStatementEffects));
	report.tag = tag;
	count_usage(effects, report.result);

	/* see what it did, and hear of it */
	CommandCounterIncrement();
	in_statement = false;
	mig_held_locks_visit_new(&effects->marks, note_lock, effects);
	mig_held_locks_visit_fast(note_fast_lock, effects);
	touch_all_held(effects, tag);
	catalog = table_open(RelationRelationId, AccessShareLock);
	for (i = 0; i < effects->ntouched; i++)
	{
		KnownRelation *known = effects->touched[i];

		if (!IsCatalogRelationOid(known->relation))
			check_relation(&report, catalog, known);
		else
			known->seen |= modes_held(effects, known);
	}
	table_close(catalog, AccessShareLock);
	if (effects->transient)
		effects->marks = marks;
	finish_report(&report);
	give_up_owner(effects);
	UnregisterSnapshot(effects->before);
	return report.result;
}
