/*-------------------------------------------------------------------------
 *
 * invalid_index.c
 *	  What a concurrent statement leaves behind that was cut off.
 *
 * A CREATE INDEX CONCURRENTLY that fails leaves an INVALID index, and one that
 * is being built looks just the same.  What may be dropped is therefore found
 * by what was noted when the statement was started: which indexes the table
 * had, by OID, and for REINDEX what each of them was.  Ours is an index that
 * was not there, or was valid and is not any more, with the definition that the
 * statement or the index before has, and whose table nobody else has locked as
 * a build would.  The table, too, is the one of that OID: since then it may
 * have been renamed, or the index that was to be built again.
 *
 * A rewrite of the table, as by VACUUM FULL, makes what was left valid.  After
 * CREATE INDEX the statement is done then; after REINDEX it is one index too
 * many.
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
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/errors.h"
#include "base/sql.h"
#include "exec/index_definition.h"
#include "exec/invalid_index.h"

/* what to look for among the indexes of the database */
typedef struct Search
{
	List	   *relations;		/* of Oid; NIL: all */
	IndexStmt  *create;			/* what it could have made; NULL: any */
	const char *sql;			/* of create */
	bool		rebuilt;		/* what REINDEX could have left */
	bool		any_state;		/* or else only what is not valid */
	const MigStepRow *before;	/* not those that were there */
	bool		definitions;	/* wanted of each */
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

/* does the name end as what REINDEX CONCURRENTLY drops in the end? */
static bool
has_rebuild_suffix(const char *name)
{
	const int	suffix = strlen("_ccnew");
	int			length = strlen(name);

	while (length > 0 && isdigit((unsigned char) name[length - 1]))
		length--;
	return length > suffix &&
		(strncmp(name + length - suffix, "_ccnew", suffix) == 0 ||
		 strncmp(name + length - suffix, "_ccold", suffix) == 0);
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

/* could the statement have given the index this name? */
static bool
has_name_of(IndexStmt *stmt, const char *name)
{
	return stmt->idxname != NULL ? strcmp(stmt->idxname, name) == 0 :
		could_be_named(stmt, name);
}

/* which of those that were there it is, or -1 */
static int
place_before(const MigStepRow *before, Oid index)
{
	int			i;

	for (i = 0; before != NULL && i < before->nindexes; i++)
	{
		if (before->indexes[i] == index)
			return i;
	}
	return -1;
}


static bool
has_definition(const MigInvalidIndex *index, const char *definition)
{
	char	   *its_own = mig_index_definition_of(index->index);

	return definition != NULL && its_own != NULL &&
		strcmp(its_own, definition) == 0;
}


/*
 * The search
 */

/* has REINDEX left it? */
static bool
is_rebuilt(const MigStepRow *before, Form_pg_index form, const char *name)
{
	int			place = place_before(before, form->indexrelid);
	char	   *definition;
	int			i;

	if (before->ndefinitions != before->nindexes || !has_rebuild_suffix(name))
		return false;

	/* what was there is ours only if it has become invalid since */
	if (place >= 0 &&
		(form->indisvalid || before->definitions[place][0] == '!'))
		return false;
	definition = mig_index_definition_of(form->indexrelid);
	for (i = 0; definition != NULL && i < before->nindexes; i++)
	{
		const char *known = before->definitions[i];

		if (strcmp(known[0] == '!' ? known + 1 : known, definition) == 0)
			return true;
	}
	return false;
}

static bool
index_matches(const Search *search, Form_pg_index form)
{
	char	   *name;

	if (search->relations != NIL &&
		!list_member_oid(search->relations, form->indrelid))
		return false;
	if (!search->any_state && form->indisvalid)
		return false;
	name = get_rel_name(form->indexrelid);
	if (name == NULL || get_rel_relkind(form->indexrelid) != RELKIND_INDEX)
		return false;
	if (search->rebuilt)
		return is_rebuilt(search->before, form, name);
	if (place_before(search->before, form->indexrelid) >= 0)
		return false;
	return search->create == NULL || has_name_of(search->create, name);
}

static char *
qualified_relation_name(Oid relation)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
									  get_rel_name(relation));
}

/* the indexes, valid or not, that are what the search asks for */
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
		MigInvalidIndex *invalid;

		if (!index_matches(search, form))
			continue;
		invalid = palloc0(sizeof(MigInvalidIndex));
		invalid->index = form->indexrelid;
		invalid->relation = form->indrelid;
		invalid->valid = form->indisvalid;
		invalid->name = qualified_relation_name(form->indexrelid);
		if (search->definitions)
			invalid->definition = mig_index_definition_of(form->indexrelid);
		found = lappend(found, invalid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

static bool
builds_index(const MigStatement *statement)
{
	return statement->resume == MIG_RESUME_CREATE_INDEX ||
		statement->resume == MIG_RESUME_REINDEX;
}

void
mig_invalid_index_note(const MigStatement *statement, const char *sql,
					   MigStepRow *step)
{
	Search		search = {0};
	List	   *found;
	ListCell   *lc;
	int			size;
	Node	   *stmt;

	if (!builds_index(statement))
		return;
	stmt = parse_statement(sql);
	step->relation = table_of(stmt);
	search.relations = family_of(step->relation);
	search.any_state = true;
	search.definitions = (statement->resume == MIG_RESUME_REINDEX);
	found = find_indexes(&search);
	size = Max(list_length(found), 1);
	step->indexes = palloc(sizeof(Oid) * size);
	if (search.definitions)
		step->definitions = palloc(sizeof(char *) * size);
	foreach(lc, found)
	{
		MigInvalidIndex *index = (MigInvalidIndex *) lfirst(lc);

		if (search.definitions)
			step->definitions[step->nindexes] =
				psprintf("%s%s", index->valid ? "" : "!",
						 index->definition ? index->definition : "");
		step->indexes[step->nindexes++] = index->index;
	}
	step->ndefinitions = step->definitions ? step->nindexes : 0;
	if (IsA(stmt, IndexStmt) && OidIsValid(step->relation))
	{
		char	   *wanted = mig_index_definition_wanted(step->relation,
														 (IndexStmt *) stmt, sql);

		step->definitions = memcpy(palloc(sizeof(char *)), &wanted,
								   sizeof(char *));
		step->ndefinitions = wanted ? 1 : 0;
	}
}

List *
mig_invalid_index_find(const MigStatement *statement, const char *sql,
					   const MigStepRow *step)
{
	Search		search = {0};
	Node	   *stmt;
	List	   *found = NIL;
	ListCell   *lc;

	if (!builds_index(statement))
		return NIL;
	stmt = parse_statement(sql);
	search.relations = family_of(step->relation);

	/* there are no such tables any more */
	if (OidIsValid(step->relation) && search.relations == NIL)
		return NIL;
	search.before = step;
	if (!IsA(stmt, IndexStmt))
	{
		search.rebuilt = search.any_state = true;
		return find_indexes(&search);
	}
	/* the statement may have been changed since */
	search.create = (IndexStmt *) stmt;
	foreach(lc, find_indexes(&search))
	{
		if (step->ndefinitions == 1 &&
			has_definition((MigInvalidIndex *) lfirst(lc),
						   step->definitions[0]))
			found = lappend(found, lfirst(lc));
	}
	return found;
}

char *
mig_invalid_index_done(const MigStatement *statement, const char *sql,
					   const MigStepRow *step, List *invalid_indexes)
{
	Search		search = {0};
	char	   *wanted;
	List	   *dropped = NIL;
	ListCell   *lc;

	if (statement->resume != MIG_RESUME_CREATE_INDEX)
		return NULL;
	search.create = castNode(IndexStmt, parse_statement(sql));
	if (step->relation != table_of((Node *) search.create))
		return NULL;
	search.relations = list_make1_oid(step->relation);
	search.before = step;
	search.any_state = true;
	wanted = mig_index_definition_wanted(step->relation, search.create, sql);
	foreach(lc, invalid_indexes)
		dropped = lappend_oid(dropped,
							  ((MigInvalidIndex *) lfirst(lc))->index);
	foreach(lc, find_indexes(&search))
	{
		MigInvalidIndex *index = (MigInvalidIndex *) lfirst(lc);

		if (index->valid && has_definition(index, wanted) &&
			mig_index_definition_same_options(index->index, search.create))
			return index->name;
		if (search.create->idxname == NULL || search.create->if_not_exists ||
			list_member_oid(dropped, index->index))
			continue;

		/* it may be about to become what it is to be */
		mig_invalid_index_claim(index);
		mig_invalid_index_release(index);
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("index %s has been made since the statement was cut off, and is another one",
						index->name ? index->name : search.create->idxname),
				 errdetail("It has the name, and not the definition, of the index that the statement makes."),
				 errhint("Rename or drop it, and run the migration again.")));
	}
	return NULL;
}

bool
mig_invalid_index_may_drop(const MigInvalidIndex *invalid)
{
	return superuser() ||
		!IsToastNamespace(get_rel_namespace(invalid->index));
}

static void
set_table_tag(LOCKTAG *tag, Oid relation)
{
	SET_LOCKTAG_RELATION(*tag, MyDatabaseId, relation);
}

void
mig_invalid_index_claim(MigInvalidIndex *invalid)
{
	LOCKTAG		tag;

	set_table_tag(&tag, invalid->relation);
	if (LockAcquire(&tag, ShareUpdateExclusiveLock, true, true) ==
		LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("cannot drop invalid index %s, which an earlier attempt has left",
						invalid->name),
				 errdetail("Another session has a lock on its table and may be building an index."),
				 errhint("Wait until it is done, and run the migration again.")));

	/* from here on nobody can rename it */
	AcceptInvalidationMessages();
	invalid->name = get_rel_name(invalid->index) ?
		qualified_relation_name(invalid->index) : NULL;
}

void
mig_invalid_index_release(const MigInvalidIndex *invalid)
{
	LOCKTAG		tag;

	set_table_tag(&tag, invalid->relation);
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

char *
mig_invalid_index_replacement(const char *sql)
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
					qualified_relation_name(parent),
					qualified_relation_name(partition));
}

bool
mig_invalid_index_is_prepared(const char *sql)
{
	TransactionStmt *stmt = castNode(TransactionStmt, parse_statement(sql));
	MigSqlScope scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(stmt->gid)};
	bool		found;

	mig_sql_begin(&scope, GetUserId());
	found = mig_sql_execute("SELECT FROM pg_catalog.pg_prepared_xact() p"
							" WHERE p.gid OPERATOR(pg_catalog.=) $1",
							1, types, values, NULL) > 0;
	mig_sql_end(&scope);
	return found;
}

void
mig_invalid_index_check(const char *sql)
{
	IndexStmt  *stmt = (IndexStmt *) parse_statement(sql);
	Search		search = {0};
	List	   *found;

	if (!IsA(stmt, IndexStmt) || !stmt->if_not_exists || stmt->idxname == NULL)
		return;
	search.create = stmt;
	search.relations = family_of(table_of((Node *) stmt));
	if (search.relations == NIL)
		return;
	found = find_indexes(&search);
	if (found != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_INVALID_INDEX),
				 errmsg("index %s already exists but is invalid",
						((MigInvalidIndex *) linitial(found))->name),
				 errdetail("IF NOT EXISTS does not check whether an index is valid, and this run did not create it."),
				 errhint("If nobody is building it, drop it with DROP INDEX CONCURRENTLY %s, and run the migration again.",
						 ((MigInvalidIndex *) linitial(found))->name)));
}
