/*-------------------------------------------------------------------------
 *
 * relation_size.c
 *	  How large a table is, and how much it is written to.
 *
 * What counts is what survives.  The server's counters of rows inserted,
 * updated and deleted have those of transactions that were rolled back too, a
 * rehearsal's for example, and one load of a table counts as much as years of
 * traffic.  So traffic is counted in statements and transactions:
 *
 *	- no more statements can have updated or deleted than have scanned the table
 *	  or one of its indexes;
 *	- no more can have written at all than transactions of the database have
 *	  committed.
 *
 * No relation is opened or locked, and no code of anybody's runs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>
#include <sys/stat.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/relation_size.h"

/* bytes of a row of a table that has never been analyzed */
#define GUESSED_ROW_BYTES 100

/* a shorter span says nothing of the traffic */
#define SHORTEST_SECONDS 3600.0

/* the function's result, 0 for NULL */
static Datum
call_or_zero(PGFunction function, Datum argument, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = argument;
	fcinfo->args[0].isnull = false;
	result = function(fcinfo);
	*isnull = fcinfo->isnull;
	return fcinfo->isnull ? (Datum) 0 : result;
}

/* a counter of the statistics */
static int64
count_of(PGFunction function, Oid object)
{
	bool		isnull;

	return DatumGetInt64(call_or_zero(function, ObjectIdGetDatum(object),
									  &isnull));
}


/*
 * Bytes of the main fork, from the files: pg_class has only what the last
 * VACUUM has seen, and pg_relation_size() locks the relation.
 */
static int64
file_bytes(Oid relation)
{
	bool		isnull;
	Datum		value = call_or_zero(pg_relation_filepath,
									 ObjectIdGetDatum(relation), &isnull);
	char	   *path;
	int64		bytes = 0;
	int			segment;

	if (isnull)
		return 0;
	path = text_to_cstring(DatumGetTextPP(value));
	for (segment = 0;; segment++)
	{
		struct stat status;
		char	   *name = segment == 0 ? path :
			psprintf("%s.%d", path, segment);

		if (stat(name, &status) < 0)
			break;
		bytes += status.st_size;
	}
	return bytes;
}

/*
 * Rows of a table whose main fork has so many bytes: as many as fill it if it
 * is as full as when it was last analyzed, less those that have died since; or
 * those that were there then and have not gone, if that is more, for the space
 * of dead rows is used again.  (The count of live rows alone is no good: what
 * the session of an ANALYZE has inserted before may be in it twice.)
 */
static double
estimate_rows(Form_pg_class form, int64 bytes, int64 live, int64 dead)
{
	double		filled;

	if (bytes == 0)
		return 0;
	if (form->reltuples < 0 || form->relpages == 0)
		return live + dead > 0 ? live : rint((double) bytes / GUESSED_ROW_BYTES);
	filled = rint((double) form->reltuples * (bytes / BLCKSZ) /
				  form->relpages);
	return Max(filled - dead, Min(form->reltuples, live));
}

/* how often the table and its indexes have been scanned */
static int64
scans_of(Oid relation)
{
	Relation	rel = table_open(IndexRelationId, AccessShareLock);
	int64		scans = count_of(pg_stat_get_numscans, relation);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relation));
	scan = systable_beginscan(rel, IndexIndrelidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		scans += count_of(pg_stat_get_numscans,
						  ((Form_pg_index) GETSTRUCT(tuple))->indexrelid);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return scans;
}

/* statements that may have changed or deleted rows of the table, at most */
static double
count_changes(Oid relation)
{
	int64		changed = count_of(pg_stat_get_tuples_updated, relation) +
		count_of(pg_stat_get_tuples_deleted, relation);
	int64		scans = changed > 0 ? scans_of(relation) : 0;

	return Min(changed, scans);
}

/*
 * Add the rows and bytes of one relation without partitions, and its TOAST
 * table, to the sum.
 */
static void
add_table(Oid relation, MigRelationSize *size, int64 *inserts)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Form_pg_class form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (form->relkind == RELKIND_RELATION || form->relkind == RELKIND_MATVIEW ||
		form->relkind == RELKIND_INDEX)
	{
		int64		bytes = file_bytes(relation);
		int64		live = count_of(pg_stat_get_live_tuples, relation);
		int64		dead = count_of(pg_stat_get_dead_tuples, relation);
		double		rows = estimate_rows(form, bytes, live, dead);

		size->rows += rows;
		if (bytes > 0)
		{
			size->writes += count_changes(relation);
			*inserts += count_of(pg_stat_get_tuples_inserted, relation);
		}
		if (OidIsValid(form->reltoastrelid))
			bytes += file_bytes(form->reltoastrelid);
		size->bytes += bytes;
		size->live_bytes += dead > 0 ? bytes * (rows / (rows + dead)) : bytes;
	}
	ReleaseSysCache(tuple);
}

/*
 * Since when the counters of this database have been counting, at the latest:
 * its creation, the last reset, or the last crash, which resets them all.
 */
static TimestampTz
counting_since(void)
{
	LOCAL_FCINFO(fcinfo, 1);
	struct stat status;
	char	   *file = psprintf("%s/PG_VERSION", DatabasePath);
	TimestampTz since = 0;
	bool		isnull;
	Datum		value;

	if (stat(file, &status) == 0)
		since = time_t_to_timestamptz(status.st_mtime);
	value = call_or_zero(pg_stat_get_db_stat_reset_time,
						 ObjectIdGetDatum(MyDatabaseId), &isnull);
	if (!isnull)
		since = Max(since, DatumGetTimestampTz(value));
	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	value = pg_stat_get_bgwriter_stat_reset_time(fcinfo);
	if (!fcinfo->isnull)
		since = Max(since, DatumGetTimestampTz(value));
	return since;
}

/*
 * The relation and all that inherit from it.  Nothing is locked, so any of them
 * may be gone, of which find_all_inheritors() makes an error.
 */
static List *
relation_and_descendants(Oid relation)
{
	List	   *all = list_make1_oid(relation);
	Relation	inherits = table_open(InheritsRelationId, AccessShareLock);
	int			i;

	for (i = 0; i < list_length(all); i++)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, Anum_pg_inherits_inhparent, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(list_nth_oid(all, i)));
		scan = systable_beginscan(inherits, InheritsParentIndexId, true, NULL,
								  1, &key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
			all = lappend_oid(all,
							  ((Form_pg_inherits) GETSTRUCT(tuple))->inhrelid);
		systable_endscan(scan);
	}
	table_close(inherits, AccessShareLock);

	/* one with several parents counts once */
	list_sort(all, list_oid_cmp);
	list_deduplicate_oid(all);
	return all;
}

void
mig_relation_size(Oid relation, bool with_children, MigRelationSize *size)
{
	double		seconds;
	int64		commits;
	int64		inserts = 0;
	ListCell   *lc;

	memset(size, 0, sizeof(MigRelationSize));
	if (!with_children &&
		get_rel_relkind(relation) != RELKIND_PARTITIONED_TABLE)
		add_table(relation, size, &inserts);
	else
		foreach(lc, relation_and_descendants(relation))
			add_table(lfirst_oid(lc), size, &inserts);
	if (size->writes + inserts == 0)
		return;
	commits = count_of(pg_stat_get_db_xact_commit, MyDatabaseId);
	seconds = (GetCurrentTimestamp() - counting_since()) / 1000000.0;

	/* what is inserted into a new database may be a load, row by row */
	if (seconds >= SHORTEST_SECONDS)
		size->writes += inserts;
	size->writes = Min(size->writes, commits) / Max(seconds, SHORTEST_SECONDS);
}
