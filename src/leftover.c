/*-------------------------------------------------------------------------
 *
 * leftover.c
 *	  What a concurrent statement leaves behind that was cut off.
 *
 * A CREATE INDEX CONCURRENTLY that fails leaves an INVALID index, and one that
 * is being built looks just the same.  What may be dropped is therefore found
 * by what was there before: an index that is not valid, on the table of the
 * statement and of its name, or of one that it could have been given, that did
 * not exist when the statement was started, and whose table nobody else has
 * locked as a build would.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "access/twophase.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "errors.h"
#include "leftover.h"
#include "sqlutil.h"

/* what to look for among the indexes of the database */
typedef struct Search
{
	bool		rebuilt;		/* REINDEX: by the suffix of the name */
	bool		only_invalid;
	List	   *relations;		/* of Oid; NIL: all */
	const char *name;			/* NULL: any */
	IndexStmt  *unnamed;		/* of a name that it could get; NULL: any */
	const MigPartialStep *before;	/* not those that were there */
} Search;

static Node *
parse_statement(const char *sql)
{
	return linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT))->stmt;
}

/* the table that a concurrent build is about, InvalidOid if there are many */
static Oid
table_of(Node *stmt)
{
	RangeVar   *name;
	Oid			relation;

	if (IsA(stmt, IndexStmt))
		return RangeVarGetRelid(((IndexStmt *) stmt)->relation, NoLock, true);
	name = ((ReindexStmt *) stmt)->relation;
	if (name == NULL)
		return InvalidOid;
	relation = RangeVarGetRelid(name, NoLock, true);
	if (OidIsValid(relation) &&
		((ReindexStmt *) stmt)->kind == REINDEX_OBJECT_INDEX)
		return IndexGetRelation(relation, true);
	return relation;
}

/* a table, its partitions, and where they keep what is too long */
static List *
family_of(Oid relation)
{
	List	   *relations;
	List	   *result = NIL;
	ListCell   *lc;

	if (!OidIsValid(relation))
		return NIL;
	relations = find_all_inheritors(relation, NoLock, NULL);
	foreach(lc, relations)
	{
		Oid			member = lfirst_oid(lc);
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(member));

		result = lappend_oid(result, member);
		if (!HeapTupleIsValid(tuple))
			continue;
		if (OidIsValid(((Form_pg_class) GETSTRUCT(tuple))->reltoastrelid))
			result = lappend_oid(result,
								 ((Form_pg_class) GETSTRUCT(tuple))->reltoastrelid);
		ReleaseSysCache(tuple);
	}
	return result;
}

/* the name that REINDEX CONCURRENTLY gives to what it drops in the end */
static bool
has_rebuild_suffix(const char *name)
{
	const char *suffix = strstr(name, "_ccnew");

	if (suffix == NULL)
		suffix = strstr(name, "_ccold");
	return suffix != NULL &&
		strspn(suffix + strlen("_ccnew"), "0123456789") ==
		strlen(suffix + strlen("_ccnew"));
}

static bool
contains_string(List *strings, const char *string)
{
	ListCell   *lc;

	foreach(lc, strings)
	{
		if (strcmp((char *) lfirst(lc), string) == 0)
			return true;
	}
	return false;
}

/* what the server puts for the columns into the name of an index */
static char *
columns_in_name(IndexStmt *stmt)
{
	List	   *names = NIL;
	ListCell   *lc;
	StringInfoData joined;

	initStringInfo(&joined);
	foreach(lc, list_concat_copy(stmt->indexParams,
								 stmt->indexIncludingParams))
	{
		const IndexElem *element = (IndexElem *) lfirst(lc);
		const char *column = element->name ? element->name : "expr";
		char	   *name = pstrdup(column);
		int			i = 1;

		while (contains_string(names, name))
			name = psprintf("%s%d", column, i++);
		names = lappend(names, name);
		if (joined.len < NAMEDATALEN)
			appendStringInfo(&joined, "%s%s", joined.len > 0 ? "_" : "", name);
	}
	return joined.data;
}

/* could the server have given this name to an index without one? */
static bool
could_be_named(IndexStmt *stmt, const char *name)
{
	int			length = strlen(name);
	int			digits = 0;
	char	   *label;

	while (digits < length && isdigit((unsigned char) name[length - digits - 1]))
		digits++;
	label = psprintf("idx%s", name + length - digits);
	return strcmp(makeObjectName(stmt->relation->relname,
								 columns_in_name(stmt), label), name) == 0;
}

static bool
was_there_before(const MigPartialStep *before, Oid index)
{
	int			i;

	for (i = 0; before != NULL && i < before->nindexes; i++)
	{
		if (before->indexes[i] == index)
			return true;
	}
	return false;
}

static bool
matches(const Search *search, Form_pg_index form)
{
	char	   *name;

	if (search->only_invalid && form->indisvalid)
		return false;
	if (search->relations != NIL &&
		!list_member_oid(search->relations, form->indrelid))
		return false;
	if (was_there_before(search->before, form->indexrelid))
		return false;
	name = get_rel_name(form->indexrelid);
	if (name == NULL || get_rel_relkind(form->indexrelid) != RELKIND_INDEX)
		return false;
	if (search->name != NULL && strcmp(name, search->name) != 0)
		return false;
	if (search->unnamed != NULL && !could_be_named(search->unnamed, name))
		return false;
	return !search->rebuilt || has_rebuild_suffix(name);
}

static List *
find_indexes(const Search *search)
{
	Relation	catalog = table_open(IndexRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0,
										  NULL);
	List	   *found = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
		MigLeftover *leftover;
		Oid			schema;

		if (!matches(search, form))
			continue;
		schema = get_rel_namespace(form->indexrelid);
		leftover = palloc(sizeof(MigLeftover));
		leftover->index = form->indexrelid;
		leftover->relation = form->indrelid;
		leftover->name =
			quote_qualified_identifier(get_namespace_name(schema),
									   get_rel_name(form->indexrelid));
		found = lappend(found, leftover);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

void
mig_leftover_note(const MigStatement *statement, const char *sql,
				  MigPartialStep *step)
{
	Search		search = {0};
	List	   *found;
	ListCell   *lc;

	if (statement->resume != MIG_RESUME_CREATE_INDEX &&
		statement->resume != MIG_RESUME_REINDEX)
		return;
	step->relation = table_of(parse_statement(sql));
	search.relations = family_of(step->relation);

	/* REINDEX makes valid ones invalid, and gives them another name */
	search.only_invalid = (statement->resume == MIG_RESUME_REINDEX);
	found = find_indexes(&search);
	step->indexes = palloc(sizeof(Oid) * Max(list_length(found), 1));
	foreach(lc, found)
		step->indexes[step->nindexes++] = ((MigLeftover *) lfirst(lc))->index;
}

List *
mig_leftover_find(const MigStatement *statement, const char *sql,
				  const MigPartialStep *step)
{
	Search		search = {0};
	Node	   *stmt;
	Oid			relation;

	if (statement->resume != MIG_RESUME_CREATE_INDEX &&
		statement->resume != MIG_RESUME_REINDEX)
		return NIL;
	stmt = parse_statement(sql);
	relation = table_of(stmt);

	/* another table by now, or the rows come from another database */
	if (relation != step->relation)
		return NIL;
	search.relations = family_of(relation);
	search.only_invalid = true;
	search.rebuilt = (statement->resume == MIG_RESUME_REINDEX);
	if (IsA(stmt, IndexStmt))
	{
		search.name = ((IndexStmt *) stmt)->idxname;
		if (search.name == NULL)
			search.unnamed = (IndexStmt *) stmt;
	}
	search.before = step;
	return find_indexes(&search);
}

bool
mig_leftover_may_drop(const MigLeftover *leftover)
{
	return superuser() ||
		!IsToastNamespace(get_rel_namespace(leftover->index));
}

static void
set_table_tag(LOCKTAG *tag, Oid relation)
{
	SET_LOCKTAG_RELATION(*tag, MyDatabaseId, relation);
}

void
mig_leftover_claim(const MigLeftover *leftover)
{
	LOCKTAG		tag;

	set_table_tag(&tag, leftover->relation);
	if (LockAcquire(&tag, ShareUpdateExclusiveLock, true, true) ==
		LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("cannot drop invalid index %s, which an earlier attempt has left",
						leftover->name),
				 errdetail("Another session has a lock on its table and may be building an index."),
				 errhint("Wait until it is done, and run the migration again.")));
}

void
mig_leftover_release(const MigLeftover *leftover)
{
	LOCKTAG		tag;

	set_table_tag(&tag, leftover->relation);
	LockRelease(&tag, ShareUpdateExclusiveLock, true);
}

static bool
is_detach_pending(Oid parent, Oid partition)
{
	Relation	catalog = table_open(InheritsRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0,
										  NULL);
	bool		pending = false;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_inherits form = (Form_pg_inherits) GETSTRUCT(tuple);

		if (form->inhrelid == partition && form->inhparent == parent)
			pending = form->inhdetachpending;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return pending;
}

static char *
qualified_name(Oid relation)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
									  get_rel_name(relation));
}

char *
mig_leftover_replacement(const char *sql)
{
	Node	   *stmt = parse_statement(sql);
	AlterTableCmd *cmd;
	Oid			parent;
	Oid			partition;

	if (!IsA(stmt, AlterTableStmt))
		return NULL;
	cmd = (AlterTableCmd *) linitial(((AlterTableStmt *) stmt)->cmds);
	if (cmd->subtype != AT_DetachPartition)
		return NULL;
	parent = RangeVarGetRelid(((AlterTableStmt *) stmt)->relation, NoLock,
							  true);
	partition = RangeVarGetRelid(((PartitionCmd *) cmd->def)->name, NoLock,
								 true);
	if (!OidIsValid(parent) || !OidIsValid(partition) ||
		!is_detach_pending(parent, partition))
		return NULL;
	return psprintf("ALTER TABLE %s DETACH PARTITION %s FINALIZE",
					qualified_name(parent), qualified_name(partition));
}

bool
mig_leftover_is_prepared(const char *sql)
{
	TransactionStmt *stmt = castNode(TransactionStmt, parse_statement(sql));
	MigSqlScope scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(stmt->gid)};
	bool		found;

	mig_sql_begin(&scope, GetUserId());
	found = mig_sql("SELECT FROM pg_catalog.pg_prepared_xact() p"
					" WHERE p.gid OPERATOR(pg_catalog.=) $1",
					1, types, values, NULL) > 0;
	mig_sql_end(&scope);
	return found;
}

void
mig_leftover_check_index(const char *sql)
{
	IndexStmt  *stmt = (IndexStmt *) parse_statement(sql);
	Search		search = {0};
	List	   *found;

	if (!IsA(stmt, IndexStmt) || !stmt->if_not_exists || stmt->idxname == NULL)
		return;
	search.only_invalid = true;
	search.name = stmt->idxname;
	search.relations = family_of(table_of((Node *) stmt));
	if (search.relations == NIL)
		return;
	found = find_indexes(&search);
	if (found != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_INVALID_INDEX),
				 errmsg("index %s is there but not valid",
						((MigLeftover *) linitial(found))->name),
				 errdetail("IF NOT EXISTS does not look at that, and this run has not made the index."),
				 errhint("If nobody is building it, drop it with DROP INDEX CONCURRENTLY %s, and run the migration again.",
						 ((MigLeftover *) linitial(found))->name)));
}
