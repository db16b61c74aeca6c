/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  Whether a verify body can fail.
 *
 * It fails by an error, or by a row whose first column is false or null.  A
 * count is neither, nor is a constant; and a query of the catalogs that finds
 * nothing has no row.  A table of the user's own that is not there is an error,
 * and a function or a cast may raise one: a statement with any of these is not
 * said to pass always.
 *
 * The parse tree decides; nothing is run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_namespace.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "utils/lsyscache.h"

#include "lint/verify.h"

/* what in a statement can raise an error */
typedef struct Dangers
{
	bool		expression;		/* a function, a cast to an object's name, a
								 * division */
	bool		relation;		/* one that may not be there */
} Dangers;

static bool passes(Node *stmt, bool sqitch);

static const char *
last_name(List *names)
{
	return strVal(llast(names));
}

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
	{
		if (strcmp(name, *names) == 0)
			return true;
	}
	return false;
}

static bool
is_count(Node *node)
{
	return IsA(node, FuncCall) &&
		strcmp(last_name(((FuncCall *) node)->funcname), "count") == 0;
}

/* functions that raise nothing */
static bool
is_harmless_function(const FuncCall *call)
{
	static const char *const names[] = {
		"count", "lower", "upper", "current_database", "current_schema",
		"current_schemas", "btrim", "length", "min", "max", NULL
	};

	return is_one_of(last_name(call->funcname), names);
}

static bool
is_system_relation(const RangeVar *range)
{
	if (range->schemaname != NULL)
		return strcmp(range->schemaname, "pg_catalog") == 0 ||
			strcmp(range->schemaname, "information_schema") == 0;
	return OidIsValid(get_relname_relid(range->relname, PG_CATALOG_NAMESPACE));
}

/*
 * A walker: what could make the query fail, or return false, for want of an
 * object.
 */
static bool
find_dangers(Node *node, Dangers *dangers)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeVar) && !is_system_relation((RangeVar *) node))
		dangers->relation = true;
	else if (IsA(node, FuncCall) && !is_harmless_function((FuncCall *) node))
		dangers->expression = true;
	else if (IsA(node, TypeCast) &&
			 strncmp(last_name(((TypeCast *) node)->typeName->names), "reg", 3) == 0)
		dangers->expression = true;
	else if (IsA(node, A_Expr) &&
			 strpbrk(last_name(((A_Expr *) node)->name), "/%") != NULL)
		dangers->expression = true;
	return raw_expression_tree_walker(node, find_dangers, dangers);
}

/* is the column never false and never null? */
static bool
is_never_false(Node *node)
{
	static const char *const numbers[] = {"int2", "int4", "int8", "numeric",
	"text", NULL};

	if (is_count(node))
		return true;
	if (IsA(node, A_Const))
	{
		A_Const    *constant = (A_Const *) node;

		return !constant->isnull &&
			!(IsA(&constant->val, Boolean) && !boolVal(&constant->val));
	}
	if (IsA(node, TypeCast) &&
		is_one_of(last_name(((TypeCast *) node)->typeName->names), numbers))
	{
		Node	   *arg = ((TypeCast *) node)->arg;

		return is_never_false(arg) || (IsA(arg, SubLink) &&
									   ((SubLink *) arg)->subLinkType == EXISTS_SUBLINK);
	}

	/* a count always has a row, unless it is one for each group */
	if (IsA(node, SubLink) && ((SubLink *) node)->subLinkType == EXPR_SUBLINK)
	{
		const SelectStmt *select = (SelectStmt *) ((SubLink *) node)->subselect;

		return select->targetList != NIL && select->groupClause == NIL &&
			select->havingClause == NULL &&
			is_count(((ResTarget *) linitial(select->targetList))->val);
	}
	return false;
}

/* a column of a catalog, in which nothing is null */
static bool
is_name_of_object(Node *node)
{
	static const char *const names[] = {
		"oid", "relname", "nspname", "attname", "conname", "proname",
		"typname", "extname", "rolname", "datname", "tgname", "indexname",
		"tablename", "schemaname", "viewname", "table_name", "table_schema",
		"column_name", "constraint_name", "routine_name", "trigger_name", NULL
	};
	Node	   *last;

	if (!IsA(node, ColumnRef))
		return false;
	last = llast(((ColumnRef *) node)->fields);
	return IsA(last, A_Star) || (IsA(last, String) && is_one_of(strVal(last), names));
}

/*
 * Does it return a row, with a first column that is true, whatever the
 * database has?
 */
static bool
select_passes(SelectStmt *select, bool sqitch)
{
	Dangers		dangers = {false, false};
	Node	   *first;

	if (select->op != SETOP_NONE)
		return passes((Node *) select->larg, sqitch) &&
			passes((Node *) select->rarg, sqitch);
	(void) find_dangers((Node *) select, &dangers);
	if (dangers.expression || (select->targetList == NIL &&
							   select->valuesLists == NIL))
		return false;
	if (select->valuesLists != NIL)
		first = linitial(linitial_node(List, select->valuesLists));
	else
		first = ((ResTarget *) linitial(select->targetList))->val;

	/* its table is there, or else it could not count the rows */
	if (is_count(first) && !sqitch)
		return true;
	return !dangers.relation &&
		(is_never_false(first) || is_name_of_object(first));
}

/*
 * True only if nothing that the statement does can make the verify body fail.
 */
static bool
passes(Node *stmt, bool sqitch)
{
	switch (nodeTag(stmt))
	{
		case T_SelectStmt:
			return select_passes((SelectStmt *) stmt, sqitch);
		case T_VariableSetStmt:
		case T_VariableShowStmt:
			return true;
		default:
			return false;
	}
}

bool
mig_verify_always_passes(List *trees, bool sqitch)
{
	ListCell   *lc;

	foreach(lc, trees)
	{
		if (!passes(lfirst_node(RawStmt, lc)->stmt, sqitch))
			return false;
	}
	return true;
}
