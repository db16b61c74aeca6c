/*-------------------------------------------------------------------------
 *
 * index_definition.c
 *	  What an index is, but for its name, as a checksum that can be compared.
 *
 * The copy that REINDEX CONCURRENTLY builds has the checksum of the index that it is
 * built for, and what CREATE INDEX makes has that of its statement. *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_utilcmd.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/checksum.h"
#include "exec/index_definition.h"

static char *
index_column(HeapTuple tuple, AttrNumber column)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(INDEXRELID, tuple, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* an expression as it is stored, without where in a text it was written */
static void
append_tree(StringInfo buf, const char *tree)
{
	const char *location;

	appendStringInfoChar(buf, '|');
	if (tree == NULL)
		return;
	while ((location = strstr(tree, ":location ")) != NULL)
	{
		appendBinaryStringInfo(buf, tree, location - tree);
		tree = location + strlen(":location ");
		tree += strspn(tree, "-0123456789");
	}
	appendStringInfoString(buf, tree);
}

/* the columns of an index in terms of its table, one by one */
static void
append_columns(StringInfo buf, HeapTuple tuple)
{
	static const AttrNumber vectors[] = {
		Anum_pg_index_indclass, Anum_pg_index_indcollation
	};
	Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
	bool		isnull;
	int			i;
	int			k;

	for (i = 0; i < form->indnatts; i++)
		appendStringInfo(buf, " %d", form->indkey.values[i]);
	for (k = 0; k < lengthof(vectors); k++)
	{
		oidvector  *vector = (oidvector *)
			DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple, vectors[k],
											&isnull));

		appendStringInfoChar(buf, '|');
		for (i = 0; i < vector->dim1; i++)
			appendStringInfo(buf, " %u", vector->values[i]);
	}
}

static int16
option_of(HeapTuple tuple, int column)
{
	bool		isnull;
	int2vector *options = (int2vector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
										Anum_pg_index_indoption, &isnull));

	return column < options->dim1 ? options->values[column] : 0;
}

static Oid
method_of(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	Oid			method = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		method = ((Form_pg_class) GETSTRUCT(tuple))->relam;
		ReleaseSysCache(tuple);
	}
	return method;
}

/*
 * A checksum of what an index is, but for its name: the copy that REINDEX
 * CONCURRENTLY builds has the same.
 */
char *
mig_index_definition_of(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Form_pg_index form;
	StringInfoData buf;
	int			i;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_index) GETSTRUCT(tuple);
	initStringInfo(&buf);
	appendStringInfo(&buf, "%u|%u|%d|%d|%d|", form->indrelid, method_of(index),
					 form->indisunique, form->indnullsnotdistinct,
					 form->indnkeyatts);
	append_columns(&buf, tuple);
	for (i = 0; i < form->indnkeyatts; i++)
		appendStringInfo(&buf, " %d", option_of(tuple, i));
	append_tree(&buf, index_column(tuple, Anum_pg_index_indexprs));
	append_tree(&buf, index_column(tuple, Anum_pg_index_indpred));
	ReleaseSysCache(tuple);
	return mig_checksum(buf.data);
}

/* the expression of an element, or NULL if it is a column of this number */
static Node *
expression_of(const IndexElem *element, Oid relation, AttrNumber *column)
{
	Node	   *expr = element->expr;

	*column = 0;
	if (element->name != NULL)
	{
		*column = get_attnum(relation, element->name);
		return NULL;
	}
	/* as the server does when it creates the index */
	while (expr != NULL && IsA(expr, CollateExpr))
		expr = (Node *) ((CollateExpr *) expr)->arg;
	if (expr != NULL && IsA(expr, Var) && ((Var *) expr)->varattno > 0)
	{
		*column = ((Var *) expr)->varattno;
		return NULL;
	}
	return expr;
}

static int16
option_wanted(const IndexElem *element)
{
	int16		option = 0;

	if (element->ordering == SORTBY_DESC)
		option |= INDOPTION_DESC;
	if (element->nulls_ordering == SORTBY_NULLS_FIRST ||
		(element->nulls_ordering == SORTBY_NULLS_DEFAULT &&
		 element->ordering == SORTBY_DESC))
		option |= INDOPTION_NULLS_FIRST;
	return option;
}

/* what is written of the key columns of an index that is to be made */
typedef struct KeyColumns
{
	StringInfoData numbers;
	StringInfoData classes;
	StringInfoData collations;
	StringInfoData options;
	List	   *exprs;
} KeyColumns;

/*
 * Note a column of the index that a statement asks for, the way pg_index has
 * those of the indexes that there are.
 */
static void
append_wanted(KeyColumns *columns, Oid relation, Oid method,
			  const IndexElem *element, bool key)
{
	AttrNumber	column;
	Node	   *expr = expression_of(element, relation, &column);
	Oid			type;
	int32		typmod;
	Oid			collation;

	appendStringInfo(&columns->numbers, " %d", column);
	if (expr != NULL)
		columns->exprs = lappend(columns->exprs, expr);
	if (!key)
		return;
	if (element->expr != NULL)
	{
		type = exprType(element->expr);
		collation = exprCollation(element->expr);
	}
	else
		get_atttypetypmodcoll(relation, column, &type, &typmod, &collation);
	if (element->collation != NIL)
		collation = get_collation_oid(element->collation, false);
	appendStringInfo(&columns->classes, " %u",
					 ResolveOpClass(element->opclass, type,
									get_am_name(method), method));
	appendStringInfo(&columns->collations, " %u", collation);
	appendStringInfo(&columns->options, " %d", option_wanted(element));
}

/*
 * The same of what a statement would make of this table: NULL if the table is
 * gone.
 */
char *
mig_index_definition_wanted(Oid relation, IndexStmt *original, const char *sql)
{
	Relation	table = try_table_open(relation, AccessShareLock);
	KeyColumns	columns = {0};
	IndexStmt  *stmt;
	Oid			method;
	StringInfoData buf;
	ListCell   *lc;

	if (table == NULL)
		return NULL;
	stmt = transformIndexStmt(relation, copyObject(original), sql);
	method = get_index_am_oid(stmt->accessMethod, false);
	initStringInfo(&columns.numbers);
	initStringInfo(&columns.classes);
	initStringInfo(&columns.collations);
	initStringInfo(&columns.options);
	foreach(lc, stmt->indexParams)
		append_wanted(&columns, relation, method, lfirst(lc), true);
	foreach(lc, stmt->indexIncludingParams)
		append_wanted(&columns, relation, method, lfirst(lc), false);
	initStringInfo(&buf);
	appendStringInfo(&buf, "%u|%u|%d|%d|%d|%s|%s|%s%s", relation, method,
					 stmt->unique, stmt->nulls_not_distinct,
					 list_length(stmt->indexParams), columns.numbers.data,
					 columns.classes.data, columns.collations.data,
					 columns.options.data);
	append_tree(&buf, columns.exprs ? nodeToString(columns.exprs) : NULL);
	append_tree(&buf, stmt->whereClause ?
				nodeToString(make_ands_explicit(make_ands_implicit((Expr *) stmt->whereClause))) :
				NULL);
	table_close(table, AccessShareLock);
	return mig_checksum(buf.data);
}

bool
mig_index_definition_same_options(Oid index, const IndexStmt *stmt)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	Datum		wanted = transformRelOptions((Datum) 0, stmt->options, NULL, NULL,
											 false, false);
	bool		isnull;
	Datum		options;
	bool		same;

	if (!HeapTupleIsValid(tuple))
		return false;
	options = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &isnull);
	same = isnull ? wanted == (Datum) 0 :
		wanted != (Datum) 0 &&
		datumIsEqual(PointerGetDatum(PG_DETOAST_DATUM(options)), wanted,
					 false, -1);
	ReleaseSysCache(tuple);
	return same;
}
