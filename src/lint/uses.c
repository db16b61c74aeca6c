/*-------------------------------------------------------------------------
 *
 * uses.c
 *	  Who uses a table, a column or a type.
 *
 * pg_depend knows views, foreign keys, policies, triggers, generated columns
 * and functions with a parsed body.  What is only a string to the server, the
 * text of most functions, is searched for words.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "lint/uses.h"

/* copy of the row of a catalog with that OID, or NULL */
static HeapTuple
row_by_oid(Oid catalog, Oid index, AttrNumber oid_column, Oid oid)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, oid_column, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(oid));
	scan = systable_beginscan(rel, index, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return tuple;
}

static char *
relation_label(Oid relation)
{
	char	   *name = get_rel_name(relation);
	char	   *schema = get_namespace_name(get_rel_namespace(relation));

	if (name == NULL || schema == NULL)
		return NULL;
	return quote_qualified_identifier(schema, name);
}

/* "x" of table s.t; false if it has gone */
static bool
set_part(MigLintUse *use, const char *kind, const char *name, Oid relation)
{
	char	   *label = relation_label(relation);

	if (label == NULL)
		return false;
	use->kind = kind;
	use->relation = relation;
	use->subname = pstrdup(name);
	use->name = psprintf("%s of %s", quote_identifier(name), label);
	return true;
}

/*
 * A view; the rule of the relation itself is none of its users. False if there
 * is nothing to name.
 */
static bool
describe_rule(const FormData_pg_depend *depend, Oid relation, MigLintUse *use)
{
	HeapTuple	tuple = row_by_oid(RewriteRelationId, RewriteOidIndexId,
								   Anum_pg_rewrite_oid, depend->objid);
	Form_pg_rewrite form;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_rewrite) GETSTRUCT(tuple);
	if (form->ev_class == relation)
		return false;
	use->kind = get_rel_relkind(form->ev_class) == RELKIND_MATVIEW ?
		"materialized view" : "view";
	use->relation = form->ev_class;
	use->name = relation_label(form->ev_class);
	return use->name != NULL;
}

/* foreign keys of other tables only */
static bool
describe_constraint(const FormData_pg_depend *depend, Oid relation,
					MigLintUse *use)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(depend->objid));
	Form_pg_constraint form;
	bool		found;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	found = form->contype == CONSTRAINT_FOREIGN &&
		form->conrelid != relation && form->confrelid == relation &&
		set_part(use, "foreign key", NameStr(form->conname), form->conrelid);
	ReleaseSysCache(tuple);
	return found;
}

/* of any table. False if it has just been dropped */
static bool
describe_policy(const FormData_pg_depend *depend, MigLintUse *use)
{
	HeapTuple	tuple = row_by_oid(PolicyRelationId, PolicyOidIndexId,
								   Anum_pg_policy_oid, depend->objid);
	Form_pg_policy form;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_policy) GETSTRUCT(tuple);
	return set_part(use, "policy", NameStr(form->polname), form->polrelid);
}

/* the internal ones of foreign keys are left out */
static bool
describe_trigger(const FormData_pg_depend *depend, MigLintUse *use)
{
	HeapTuple	tuple = row_by_oid(TriggerRelationId, TriggerOidIndexId,
								   Anum_pg_trigger_oid, depend->objid);
	Form_pg_trigger form;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_trigger) GETSTRUCT(tuple);
	return !form->tgisinternal &&
		set_part(use, "trigger", NameStr(form->tgname), form->tgrelid);
}

/* of a dependency that the catalog has, as those of SQL-standard bodies */
static bool
describe_function(const FormData_pg_depend *depend, MigLintUse *use)
{
	char	   *name = get_func_name(depend->objid);
	char	   *schema = get_namespace_name(get_func_namespace(depend->objid));

	if (name == NULL || schema == NULL)
		return false;
	use->kind = "function";
	use->name = quote_qualified_identifier(schema, name);
	use->subname = name;
	return true;
}

/* a generated column */
static bool
describe_default(const FormData_pg_depend *depend, Oid relation,
				 AttrNumber attnum, MigLintUse *use)
{
	HeapTuple	tuple = row_by_oid(AttrDefaultRelationId, AttrDefaultOidIndexId,
								   Anum_pg_attrdef_oid, depend->objid);
	Form_pg_attrdef form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_attrdef) GETSTRUCT(tuple);
	if (attnum == 0 || form->adrelid != relation || form->adnum == attnum)
		return false;
	name = get_attname(relation, form->adnum, true);
	return name != NULL &&
		set_part(use, "generated column", name, relation);
}

/*
 * Fills use and returns true if the dependent object is one that a rule names.
 */
static bool
describe_dependency(const FormData_pg_depend *depend, Oid relation,
					AttrNumber attnum,
					MigLintUse *use)
{
	switch (depend->classid)
	{
		case RewriteRelationId:
			return describe_rule(depend, relation, use);
		case ConstraintRelationId:
			return describe_constraint(depend, relation, use);
		case PolicyRelationId:
			return describe_policy(depend, use);
		case TriggerRelationId:
			return describe_trigger(depend, use);
		case ProcedureRelationId:
			return describe_function(depend, use);
		case AttrDefaultRelationId:
			return describe_default(depend, relation, attnum, use);
		default:
			return false;
	}
}

/* a table's own policies and triggers go with it, with a column they do not */
static bool
goes_with(const MigLintUse *use, Oid relation, AttrNumber attnum)
{
	return attnum == 0 && use->relation == relation;
}

/* an object can depend on a table by several columns */
static bool
is_listed(List *uses, const MigLintUse *use)
{
	ListCell   *lc;

	foreach(lc, uses)
	{
		MigLintUse *other = (MigLintUse *) lfirst(lc);

		if (strcmp(other->kind, use->kind) == 0 &&
			strcmp(other->name, use->name) == 0)
			return true;
	}
	return false;
}

/* what has the column of the table, which is of the type that is asked for */
static bool
describe_column(const FormData_pg_depend *depend, MigLintUse *use)
{
	char	   *name = depend->objsubid == 0 ? NULL :
		get_attname(depend->objid, depend->objsubid, true);
	char		relkind = get_rel_relkind(depend->objid);

	/* a composite type has columns too, and views are found by their rules */
	return name != NULL && relkind != RELKIND_VIEW &&
		set_part(use, relkind == RELKIND_COMPOSITE_TYPE ? "attribute" : "column",
				 name, depend->objid);
}

/* a domain over the type, a range of it */
static bool
describe_type(const FormData_pg_depend *depend, MigLintUse *use)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID,
										ObjectIdGetDatum(depend->objid));
	Form_pg_type form;
	char	   *schema;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_type) GETSTRUCT(tuple);
	schema = get_namespace_name(form->typnamespace);
	use->kind = "type";
	use->subname = pstrdup(NameStr(form->typname));
	use->name = schema ? quote_qualified_identifier(schema, use->subname) :
		NULL;
	ReleaseSysCache(tuple);
	return use->name != NULL;
}

/* the same for what depends on a type */
static bool
describe_for_type(const FormData_pg_depend *depend, MigLintUse *use)
{
	switch (depend->classid)
	{
		case RelationRelationId:
			return describe_column(depend, use);
		case TypeRelationId:
			return describe_type(depend, use);
		case RewriteRelationId:
			return describe_rule(depend, InvalidOid, use);
		case ProcedureRelationId:
			return describe_function(depend, use);
		default:
			return false;
	}
}

/*
 * What depends on an object: a relation, or one of its columns if sub is not 0,
 * or a type.
 */
static List *
find_uses(List *uses, Oid catalog, Oid object, AttrNumber sub)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(catalog));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object));
	ScanKeyInit(&key[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(sub));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL,
							  sub != 0 ? 3 : 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		const FormData_pg_depend *depend = (Form_pg_depend) GETSTRUCT(tuple);
		MigLintUse *use = palloc0(sizeof(MigLintUse));

		if (depend->deptype == DEPENDENCY_INTERNAL ||
			!(catalog == TypeRelationId ? describe_for_type(depend, use) :
			  describe_dependency(depend, object, sub, use)) ||
			(catalog == RelationRelationId && goes_with(use, object, sub)) ||
			is_listed(uses, use))
			continue;
		use->blocks = depend->deptype == DEPENDENCY_NORMAL;
		uses = lappend(uses, use);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return uses;
}

List *
mig_uses_of(Oid relation, AttrNumber attnum)
{
	return find_uses(NIL, RelationRelationId, relation, attnum);
}

List *
mig_uses_of_type(Oid type)
{
	List	   *uses = find_uses(NIL, TypeRelationId, type, 0);
	Oid			array = get_array_type(type);

	return OidIsValid(array) ? find_uses(uses, TypeRelationId, array, 0) : uses;
}

char *
mig_uses_parent_of_index(Oid index)
{
	char	   *label;

	if (!get_rel_relispartition(index))
		return NULL;
	label = relation_label(get_partition_parent(index, true));
	return label ? psprintf("index %s", label) : NULL;
}


/*
 * Texts of functions
 */

static char *
lower_case(char *text)
{
	char	   *p;

	for (p = text; *p; p++)
		*p = pg_ascii_tolower((unsigned char) *p);
	return text;
}

static bool
is_searched(Form_pg_proc form)
{
	return form->pronamespace != PG_CATALOG_NAMESPACE &&
		form->prolang != INTERNALlanguageId && form->prolang != ClanguageId &&
		form->oid >= FirstNormalObjectId;
}

List *
mig_uses_functions(void)
{
	Relation	rel = table_open(ProcedureRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	List	   *functions = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
		MigLintFunction *function;
		bool		isnull;
		Datum		source;

		if (!is_searched(form) ||
			OidIsValid(getExtensionOfObject(ProcedureRelationId, form->oid)))
			continue;
		source = heap_getattr(tuple, Anum_pg_proc_prosrc, RelationGetDescr(rel),
							  &isnull);
		if (isnull)
			continue;
		function = palloc(sizeof(MigLintFunction));
		function->schema = get_namespace_name(form->pronamespace);
		function->name = pstrdup(NameStr(form->proname));
		function->source = lower_case(TextDatumGetCString(source));
		functions = lappend(functions, function);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return functions;
}

static bool
is_word_character(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '$' ||
		IS_HIGHBIT_SET(c);
}

/* not as a part of a longer identifier */
static bool
has_word(const char *text, const char *word)
{
	char	   *wanted = lower_case(pstrdup(word));
	size_t		length = strlen(wanted);
	const char *p = text;

	if (length == 0)
		return false;
	while ((p = strstr(p, wanted)) != NULL)
	{
		if ((p == text || !is_word_character(p[-1])) &&
			!is_word_character(p[length]))
			return true;
		p++;
	}
	return false;
}

bool
mig_uses_mentions(const MigLintFunction *function, const char *word1,
				  const char *word2)
{
	return has_word(function->source, word1) &&
		(word2 == NULL || has_word(function->source, word2));
}

List *
mig_uses_of_domain(Oid domain)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *tables = NIL;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(TypeRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(domain));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		const FormData_pg_depend *depend = (Form_pg_depend) GETSTRUCT(tuple);

		if (depend->classid == RelationRelationId && depend->objsubid > 0)
			tables = list_append_unique_oid(tables, depend->objid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return tables;
}
