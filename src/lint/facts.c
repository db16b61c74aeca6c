/*-------------------------------------------------------------------------
 *
 * facts.c
 *	  What the catalogs say about the objects of a body.
 *
 * Everything is looked up by OID, or by name in a schema that is given: no
 * search_path of the session and no operator of anybody's choice plays a part.
 * No relation of the user's is opened or locked.  So what is found may be gone
 * the moment after, and every look-up can find nothing: then the answer is
 * that there is no such thing, never an error.
 *
 * And nothing is evaluated, for whoever looks may be a superuser, and what he
 * looks at is not his: no cast, default, CHECK or typmod function of anybody's
 * is called, and nothing of the server is that would fold one.  So neither the
 * planner nor the type cache (which plans the CHECKs of domains) is asked, nor
 * the relation cache (which plans those of indexes and partition keys).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "lint/facts.h"

Oid
mig_facts_schema(const char *name)
{
	return get_namespace_oid(name, true);
}

Oid
mig_facts_relation(Oid schema, const char *name)
{
	return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

char
mig_facts_relkind(Oid relation)
{
	return get_rel_relkind(relation);
}

char *
mig_facts_relation_name(Oid relation)
{
	return get_rel_name(relation);
}

char *
mig_facts_schema_of(Oid relation)
{
	return get_namespace_name(get_rel_namespace(relation));
}

bool
mig_facts_has_default_partition(Oid relation)
{
	return OidIsValid(get_default_partition_oid(relation));
}

Oid
mig_facts_index_table(Oid index)
{
	return IndexGetRelation(index, true);
}


/*
 * Columns, indexes, constraints
 */

List *
mig_facts_columns(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	List	   *columns = NIL;
	int			natts;
	int			attnum;

	Assert(OidIsValid(relation));
	if (!HeapTupleIsValid(tuple))
		return NIL;
	natts = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
	ReleaseSysCache(tuple);
	for (attnum = 1; attnum <= natts; attnum++)
	{
		Form_pg_attribute form;
		MigLintColumn *column;

		tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relation),
								Int16GetDatum(attnum));
		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_attribute) GETSTRUCT(tuple);
		if (!form->attisdropped)
		{
			column = palloc0(sizeof(MigLintColumn));
			column->name = pstrdup(NameStr(form->attname));
			column->attnum = form->attnum;
			column->typid = form->atttypid;
			column->typmod = form->atttypmod;
			column->collation = form->attcollation;
			column->not_null = form->attnotnull;
			column->has_default = form->atthasdef || form->attidentity != '\0';
			columns = lappend(columns, column);
		}
		ReleaseSysCache(tuple);
	}
	return columns;
}

/* the name of a column, or NULL */
static char *
attribute_name(Oid relation, AttrNumber attnum)
{
	return attnum > 0 ? get_attname(relation, attnum, true) : NULL;
}

/* columns of which each makes the condition true if it is not null */
static List *
sufficient_columns(Node *condition, char *(*column) (Node *node, void *arg),
				   void *arg)
{
	List	   *columns = NIL;
	NullTestType type = IS_NOT_NULL;
	ListCell   *lc;

	if (is_orclause(condition))
	{
		foreach(lc, ((BoolExpr *) condition)->args)
			columns = list_concat(columns,
								  sufficient_columns(lfirst(lc), column, arg));
		return columns;
	}
	if (is_notclause(condition))
	{
		condition = linitial(((BoolExpr *) condition)->args);
		type = IS_NULL;
	}
	if (IsA(condition, NullTest) &&
		((NullTest *) condition)->nulltesttype == type &&
		!((NullTest *) condition)->argisrow)
	{
		char	   *name = column((Node *) ((NullTest *) condition)->arg, arg);

		if (name != NULL)
			columns = lappend(columns, name);
	}
	return columns;
}

List *
mig_facts_implied_by(Node *condition, char *(*column) (Node *node, void *arg),
					 void *arg)
{
	List	   *demands = NIL;
	ListCell   *lc;

	if (!is_andclause(condition))
		return list_make1(sufficient_columns(condition, column, arg));
	foreach(lc, ((BoolExpr *) condition)->args)
		demands = list_concat(demands,
							  mig_facts_implied_by(lfirst(lc), column, arg));
	return demands;
}

static char *
column_of_var(Node *node, void *arg)
{
	return IsA(node, Var) ?
		attribute_name(*(Oid *) arg, ((Var *) node)->varattno) : NULL;
}

/* the condition of a partial index, which is no more than read */
static void
read_condition(MigLintIndex *index, HeapTuple tuple, Oid relation)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indpred,
										&isnull);

	index->partial = !isnull;
	if (!isnull)
		index->implied_by =
			mig_facts_implied_by(stringToNode(TextDatumGetCString(value)),
								 column_of_var, &relation);
}

/*
 * NULL if the index has just been dropped; an expression is a NULL in columns.
 */
static MigLintIndex *
index_of_tuple(HeapTuple tuple)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
	MigLintIndex *index = palloc0(sizeof(MigLintIndex));
	HeapTuple	relation = SearchSysCache1(RELOID,
										   ObjectIdGetDatum(form->indexrelid));
	int			i;

	if (!HeapTupleIsValid(relation))
		return NULL;
	index->name = pstrdup(NameStr(((Form_pg_class) GETSTRUCT(relation))->relname));
	index->btree = ((Form_pg_class) GETSTRUCT(relation))->relam == BTREE_AM_OID;
	ReleaseSysCache(relation);
	index->nkeys = form->indnkeyatts;
	index->unique = form->indisunique;
	index->valid = form->indisvalid;
	read_condition(index, tuple, form->indrelid);
	for (i = 0; i < form->indnkeyatts; i++)
		index->columns = lappend(index->columns,
								 attribute_name(form->indrelid,
												form->indkey.values[i]));
	return index;
}

List *
mig_facts_indexes(Oid relation)
{
	Relation	rel = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *indexes = NIL;

	Assert(OidIsValid(relation));
	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relation));
	scan = systable_beginscan(rel, IndexIndrelidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		MigLintIndex *index = index_of_tuple(tuple);

		if (index != NULL)
			indexes = lappend(indexes, index);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return indexes;
}

/* names, in the order of the constraint; NIL for one on no column */
static List *
constrained_columns(HeapTuple tuple, TupleDesc desc, Oid relation)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, Anum_pg_constraint_conkey, desc,
									 &isnull);
	ArrayType  *array;
	List	   *columns = NIL;
	int			i;

	if (isnull)
		return NIL;
	array = DatumGetArrayTypeP(value);
	for (i = 0; i < ARR_DIMS(array)[0]; i++)
	{
		char	   *name = attribute_name(relation,
										  ((int16 *) ARR_DATA_PTR(array))[i]);

		if (name != NULL)
			columns = lappend(columns, name);
	}
	return columns;
}

/* read pg_constraint for a relation, and do something with each row */
typedef void (*ConstraintFunction) (HeapTuple tuple, TupleDesc desc, void *arg);

/* call the function for each constraint of the relation */
static void
scan_constraints(Oid relation, ConstraintFunction function, void *arg)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relation));
	scan = systable_beginscan(rel, ConstraintRelidTypidNameIndexId, true, NULL,
							  1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		function(tuple, RelationGetDescr(rel), arg);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* a ConstraintFunction; arg is the address of a list of MigLintConstraint */
static void
collect_constraint(HeapTuple tuple, TupleDesc desc, void *arg)
{
	List	  **constraints = (List **) arg;
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	MigLintConstraint *constraint = palloc0(sizeof(MigLintConstraint));

	constraint->name = pstrdup(NameStr(form->conname));
	constraint->kind = form->contype;
	constraint->valid = form->convalidated;
	constraint->columns = constrained_columns(tuple, desc, form->conrelid);
	constraint->other = constraint->transaction = -1;
	*constraints = lappend(*constraints, constraint);
}

List *
mig_facts_constraints(Oid relation)
{
	List	   *constraints = NIL;

	Assert(OidIsValid(relation));
	scan_constraints(relation, collect_constraint, &constraints);
	return constraints;
}

typedef struct Proof
{
	AttrNumber	attnum;
	bool		found;
} Proof;

/* is a row of which the check is true, or null, one whose column is not null? */
static bool
says_not_null(Node *check, AttrNumber attnum)
{
	ListCell   *lc;

	if (IsA(check, NullTest))
	{
		NullTest   *test = (NullTest *) check;

		return test->nulltesttype == IS_NOT_NULL && IsA(test->arg, Var) &&
			((Var *) test->arg)->varattno == attnum;
	}
	if (is_andclause(check))
	{
		foreach(lc, ((BoolExpr *) check)->args)
			if (says_not_null(lfirst(lc), attnum))
			return true;
		return false;
	}
	if (is_orclause(check))
	{
		foreach(lc, ((BoolExpr *) check)->args)
			if (!says_not_null(lfirst(lc), attnum))
			return false;
		return true;
	}
	return false;
}

/* a ConstraintFunction; only valid CHECKs prove anything */
static void
prove_by_constraint(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Proof	   *proof = (Proof *) arg;
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	bool		isnull;
	Datum		value;

	if (proof->found || form->contype != CONSTRAINT_CHECK ||
		!form->convalidated)
		return;
	value = heap_getattr(tuple, Anum_pg_constraint_conbin, desc, &isnull);
	proof->found = !isnull &&
		says_not_null(stringToNode(TextDatumGetCString(value)), proof->attnum);
}

/* what ALTER TABLE finds out in the same way, and no more than that */
bool
mig_facts_not_null_proved(Oid relation, const MigLintColumn *column)
{
	Proof		proof = {column->attnum, false};

	scan_constraints(relation, prove_by_constraint, &proof);
	return proof.found;
}


/*
 * Types
 */

Oid
mig_facts_type(Oid schema, const char *name)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
						   PointerGetDatum(name), ObjectIdGetDatum(schema));
}

Oid
mig_facts_array_of(Oid type)
{
	return get_array_type(type);
}

int
mig_facts_enums_with(const char *label)
{
	Relation	rel = table_open(EnumRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	int			count = 0;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (strcmp(NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel),
				   label) == 0)
			count++;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return count;
}

/* of its own, not those of a domain under it */
static bool
domain_has_constraint(Oid domain)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(domain));
	scan = systable_beginscan(rel, ConstraintTypidIndexId, true, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Has the type, or one that it is a domain over, a CHECK or a NOT NULL?  What
 * DomainHasConstraints() says, which plans the CHECKs, and so folds them.
 */
bool
mig_facts_is_checked_domain(Oid type)
{
	while (OidIsValid(type))
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
		Form_pg_type form;
		bool		checked;
		Oid			base;

		if (!HeapTupleIsValid(tuple))
			return false;
		form = (Form_pg_type) GETSTRUCT(tuple);
		checked = form->typtype == TYPTYPE_DOMAIN &&
			(form->typnotnull || domain_has_constraint(type));
		base = form->typtype == TYPTYPE_DOMAIN ? form->typbasetype : InvalidOid;
		ReleaseSysCache(tuple);
		if (checked)
			return true;
		type = base;
	}
	return false;
}

/* is the default of a domain computed for each row? */
bool
mig_facts_has_volatile_default(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Datum		value;
	bool		isnull;
	bool		result = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	value = SysCacheGetAttr(TYPEOID, tuple, Anum_pg_type_typdefaultbin, &isnull);
	if (!isnull)
		result = contain_volatile_functions(stringToNode(TextDatumGetCString(value)));
	ReleaseSysCache(tuple);
	return result;
}

/* the integer of a constant, or false */
static bool
integer_constant(Node *node, int32 *value)
{
	A_Const    *constant = (A_Const *) node;

	if (!IsA(node, A_Const) || constant->isnull ||
		!IsA(&constant->val, Integer))
		return false;
	*value = intVal(&constant->val);
	return true;
}

/*
 * The types' own functions for this raise errors for what they do not like,
 * and nothing may raise one here: so only those are done whose typmod a
 * change of type is decided by.
 */
bool
mig_facts_typmod(Oid type, List *typmods, int32 *typmod)
{
	int32		first = 0;
	int32		second = 0;

	*typmod = -1;
	if (typmods == NIL)
	{
		/* char is char(1), bit is bit(1): the grammar has said so already */
		return true;
	}
	if (list_length(typmods) > 2 ||
		!integer_constant(linitial(typmods), &first) ||
		(list_length(typmods) == 2 &&
		 !integer_constant(lsecond(typmods), &second)))
		return false;
	switch (type)
	{
		case VARCHAROID:
		case BPCHAROID:
			*typmod = first + VARHDRSZ;
			return list_length(typmods) == 1;
		case VARBITOID:
		case BITOID:
		case TIMEOID:
		case TIMETZOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			*typmod = first;
			return list_length(typmods) == 1;
		case NUMERICOID:
			*typmod = ((first << 16) | (second & 0x7ff)) + VARHDRSZ;
			return true;
		case INTERVALOID:
			*typmod = INTERVAL_TYPMOD(list_length(typmods) == 2 ? second :
									  INTERVAL_FULL_PRECISION, first);
			return true;
		default:
			return false;
	}
}

/* is the function one that initdb has made, in C? */
static bool
is_of_server(Oid function)
{
	HeapTuple	tuple;
	bool		internal;

	if (function >= FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	internal = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == INTERNALlanguageId;
	ReleaseSysCache(tuple);
	return internal;
}

/*
 * The call, or what is left of it if the function's own support function says
 * that it changes nothing: a longer varchar, a wider numeric.  Both must be the
 * server's.  The planner would ask the same, and evaluate things besides.
 */
static Node *
without_no_op(FuncExpr *call)
{
	RegProcedure support = get_func_support(call->funcid);
	SupportRequestSimplify request;
	Node	   *simple;

	if (!OidIsValid(support) || !is_of_server(call->funcid) ||
		!is_of_server(support))
		return (Node *) call;
	request.type = T_SupportRequestSimplify;
	request.root = NULL;
	request.fcall = call;
	simple = (Node *) DatumGetPointer(OidFunctionCall1(support,
													   PointerGetDatum(&request)));
	return simple ? simple : (Node *) call;
}

/* the conversion as ALTER TABLE would do it; NULL: none */
static Node *
find_conversion(const MigLintColumn *column, Oid type, int32 typmod,
				bool is_explicit)
{
	Node	   *node = (Node *) makeVar(1, 1, column->typid, column->typmod,
										column->collation, 0);

	return coerce_to_target_type(NULL, node, column->typid, type, typmod,
								 is_explicit ? COERCION_EXPLICIT :
								 COERCION_ASSIGNMENT,
								 COERCE_IMPLICIT_CAST, -1);
}

/*
 * Does a value stay the very bytes that it is?  Without a function that is not
 * the server's this is what ALTER TABLE will say; with one it may find out, by
 * running it, that the function does nothing.
 */
static MigLintCast
effect_of_conversion(Node *node)
{
	FuncExpr   *call;

	for (;;)
	{
		switch (nodeTag(node))
		{
			case T_Var:
				return MIG_CAST_NOTHING;
			case T_RelabelType:
				node = (Node *) ((RelabelType *) node)->arg;
				break;
			case T_CoerceToDomain:
				if (mig_facts_is_checked_domain(((CoerceToDomain *) node)->resulttype))
					return MIG_CAST_REWRITE;
				node = (Node *) ((CoerceToDomain *) node)->arg;
				break;
			case T_FuncExpr:
				call = (FuncExpr *) node;
				node = without_no_op(call);
				if (node != (Node *) call)
					break;
				if (!is_of_server(call->funcid))
					return MIG_CAST_UNKNOWN;

				/* they differ by the time zone, which may be none */
				if ((call->funcid != F_TIMESTAMPTZ_TIMESTAMP &&
					 call->funcid != F_TIMESTAMP_TIMESTAMPTZ) ||
					TimestampTimestampTzRequiresRewrite())
					return MIG_CAST_REWRITE;
				node = (Node *) linitial(call->args);
				break;
			default:
				return MIG_CAST_REWRITE;
		}
	}
}

/* would an index of the old type do for the new one? */
static bool
same_order(const MigLintColumn *column, Oid type)
{
	Oid			old_class = GetDefaultOpClass(column->typid, BTREE_AM_OID);
	Oid			new_class = GetDefaultOpClass(type, BTREE_AM_OID);

	return old_class == new_class &&
		column->collation == get_typcollation(type);
}

MigLintCast
mig_facts_cast(const MigLintColumn *column, Oid type, int32 typmod,
			   bool collate, bool is_explicit)
{
	Node	   *node;
	MigLintCast effect;

	if (!OidIsValid(column->typid))
		return MIG_CAST_UNKNOWN;
	node = find_conversion(column, type, typmod, is_explicit);
	if (node == NULL)
		return MIG_CAST_MISSING;
	effect = effect_of_conversion(node);
	if (effect == MIG_CAST_NOTHING && (collate || !same_order(column, type)))
		return MIG_CAST_INDEXES;
	return effect;
}


/*
 * Functions
 */

char
mig_facts_volatility(Oid schema, const char *function, int nargs)
{
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP,
										   CStringGetDatum(function));
	char		worst = '\0';
	int			i;

	for (i = 0; i < list->n_members; i++)
	{
		Form_pg_proc form = (Form_pg_proc)
			GETSTRUCT(&list->members[i]->tuple);

		if (form->pronamespace != schema)
			continue;
		if (!OidIsValid(form->provariadic) &&
			(form->pronargs < nargs ||
			 form->pronargs - form->pronargdefaults > nargs))
			continue;

		/* 'i' < 's' < 'v' */
		worst = Max(worst, form->provolatile);
	}
	ReleaseSysCacheList(list);
	return worst;
}

bool
mig_facts_may_run_sql(const char *function)
{
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP,
										   CStringGetDatum(function));
	bool		may = list->n_members == 0;
	int			i;

	for (i = 0; i < list->n_members; i++)
	{
		Form_pg_proc form = (Form_pg_proc)
			GETSTRUCT(&list->members[i]->tuple);

		may = may || (form->provolatile == PROVOLATILE_VOLATILE &&
					  form->prolang != INTERNALlanguageId &&
					  form->prolang != ClanguageId);
	}
	ReleaseSysCacheList(list);
	return may;
}
