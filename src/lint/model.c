/*-------------------------------------------------------------------------
 *
 * model.c
 *	  The database as it will be when a plan has come to a statement: what is
 *	  where, and what there is of it.
 *
 * The catalogs say what is there now; what the statements before do is kept
 * here, over that.  A relation is read from the catalogs when it is first
 * asked for, and its columns, indexes and size one by one when they are.  What
 * the statements do is in lint/model_apply.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "lint/model.h"

typedef struct RelationEntry
{
	char		key[MIG_LINT_KEY_LENGTH];
	MigLintRel *rel;
} RelationEntry;

/* relations by their qualified names */
static HTAB *
new_table(MemoryContext context)
{
	HASHCTL		control;

	memset(&control, 0, sizeof(control));
	control.keysize = MIG_LINT_KEY_LENGTH;
	control.entrysize = sizeof(RelationEntry);
	control.hcxt = context;
	return hash_create("migrate lint relations", 256, &control,
					   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

MigLintModel *
mig_model_new(const char *search_path)
{
	MigLintModel *model = palloc0(sizeof(MigLintModel));

	model->context = CurrentMemoryContext;
	model->policy_path = pstrdup(search_path);
	model->relations = new_table(model->context);
	model->step = -1;
	return model;
}

void
mig_model_set_path(MigLintModel *model, const char *search_path)
{
	List	   *names;
	ListCell   *lc;

	model->path = NIL;
	if (!SplitIdentifierString(pstrdup(search_path), ',', &names))
		return;
	foreach(lc, names)
	{
		char	   *name = lfirst(lc);

		if (strcmp(name, "$user") == 0)
			name = GetUserNameFromId(GetUserId(), true);
		if (name != NULL && strcmp(name, "pg_catalog") != 0 &&
			strcmp(name, "pg_temp") != 0)
			model->path = lappend(model->path, name);
	}
}

void
mig_model_begin_body(MigLintModel *model, int step)
{
	MemoryContext old = MemoryContextSwitchTo(model->context);

	model->step = step;
	model->transaction++;
	mig_model_set_path(model, model->policy_path);
	MemoryContextSwitchTo(old);
}

void
mig_model_begin_aside(MigLintModel *model)
{
	MigLintMark *mark = &model->mark;

	model->overlay = new_table(model->context);
	mark->enums = list_length(model->enums);
	mark->types = list_length(model->types);
	mark->domains = list_length(model->domains);
	mark->schemas = list_length(model->schemas);
	mark->functions = list_length(model->functions);
	mark->gone = list_length(model->gone);
	mark->opaque = model->opaque;
	mark->cascaded = model->cascaded;
}

void
mig_model_end_aside(MigLintModel *model)
{
	const MigLintMark *mark = &model->mark;

	hash_destroy(model->overlay);
	model->overlay = NULL;
	model->enums = list_truncate(model->enums, mark->enums);
	model->types = list_truncate(model->types, mark->types);
	model->domains = list_truncate(model->domains, mark->domains);
	model->schemas = list_truncate(model->schemas, mark->schemas);
	model->functions = list_truncate(model->functions, mark->functions);
	model->gone = list_truncate(model->gone, mark->gone);
	model->opaque = mark->opaque;
	model->cascaded = mark->cascaded;
}


/*
 * Relations
 */

static void
make_key(char *key, const char *schema, const char *name)
{
	strlcpy(key, schema, NAMEDATALEN);
	strlcat(key, ".", MIG_LINT_KEY_LENGTH);
	strlcat(key, name, MIG_LINT_KEY_LENGTH);
}

/* a list of its own, so that changes of one do not show in the other */
static List *
copy_columns(List *columns)
{
	List	   *copy = NIL;
	ListCell   *lc;

	foreach(lc, columns)
	{
		MigLintColumn *column = palloc(sizeof(MigLintColumn));

		*column = *(MigLintColumn *) lfirst(lc);
		copy = lappend(copy, column);
	}
	return copy;
}

static MigLintRel *
copy_relation(const MigLintRel *rel)
{
	MigLintRel *copy = palloc(sizeof(MigLintRel));

	*copy = *rel;
	copy->columns = copy_columns(rel->columns);
	copy->indexes = list_copy(rel->indexes);
	copy->constraints = list_copy(rel->constraints);
	return copy;
}

/* what is known of the relation without the catalogs, dropped ones included */
static MigLintRel *
find_known(MigLintModel *model, const char *schema, const char *name)
{
	char		key[MIG_LINT_KEY_LENGTH];
	RelationEntry *entry;
	MemoryContext old;
	MigLintRel *rel;

	make_key(key, schema, name);
	if (model->overlay != NULL)
	{
		entry = hash_search(model->overlay, key, HASH_FIND, NULL);
		if (entry != NULL)
			return entry->rel;
	}
	entry = hash_search(model->relations, key, HASH_FIND, NULL);
	if (entry == NULL || model->overlay == NULL)
		return entry ? entry->rel : NULL;

	/* it may be changed from here on */
	old = MemoryContextSwitchTo(model->context);
	rel = copy_relation(entry->rel);
	entry = hash_search(model->overlay, key, HASH_ENTER, NULL);
	entry->rel = rel;
	MemoryContextSwitchTo(old);
	return rel;
}

MigLintRel *
mig_model_add(MigLintModel *model, const char *schema, const char *name,
			  char relkind)
{
	char		key[MIG_LINT_KEY_LENGTH];
	MemoryContext old = MemoryContextSwitchTo(model->context);
	MigLintRel *rel = palloc0(sizeof(MigLintRel));
	RelationEntry *entry;

	Assert(schema != NULL && name != NULL);
	rel->schema = pstrdup(schema);
	rel->name = pstrdup(name);
	rel->relkind = relkind;
	rel->step = model->step;
	rel->id = model->next_id++;
	rel->columns_read = rel->indexes_read = true;
	rel->constraints_read = true;
	make_key(key, schema, name);
	entry = hash_search(model->overlay ? model->overlay : model->relations,
						key, HASH_ENTER, NULL);
	entry->rel = rel;
	MemoryContextSwitchTo(old);
	return rel;
}

/* the relation under another name, and none under its own */
void
mig_model_move(MigLintModel *model, MigLintRel *rel, const char *schema,
			   const char *name)
{
	MigLintRel *moved = mig_model_add(model, schema, name, rel->relkind);
	char	   *new_schema = moved->schema;
	char	   *new_name = moved->name;

	*moved = *rel;
	moved->schema = new_schema;
	moved->name = new_name;
	rel->dropped = true;
}

/*
 * What the plan has made or dropped counts before the catalog, from which a
 * relation is read once.
 */
static MigLintRel *
find_in_schema(MigLintModel *model, const char *schema, const char *name)
{
	MigLintRel *rel = find_known(model, schema, name);
	Oid			oid;

	if (rel != NULL)
		return rel->dropped ? NULL : rel;
	if (mig_model_is_gone(model, "schema", schema))
		return NULL;
	oid = mig_facts_relation(mig_facts_schema(schema), name);
	if (!OidIsValid(oid))
		return NULL;
	rel = mig_model_add(model, schema, name, mig_facts_relkind(oid));
	rel->oid = oid;
	rel->step = -1;
	rel->columns_read = rel->indexes_read = false;
	rel->constraints_read = false;
	return rel;
}

MigLintRel *
mig_model_find(MigLintModel *model, const char *schema, const char *name)
{
	MigLintRel *rel;
	ListCell   *lc;

	Assert(name != NULL);
	if (schema != NULL)
		return find_in_schema(model, schema, name);

	/* nothing else is in pg_catalog, which comes first */
	rel = strncmp(name, "pg_", 3) == 0 ?
		find_in_schema(model, "pg_catalog", name) : NULL;
	foreach(lc, model->path)
	{
		if (rel != NULL)
			break;
		rel = find_in_schema(model, lfirst(lc), name);
	}
	return rel ? rel : find_in_schema(model, "pg_temp", name);
}

MigLintRel *
mig_model_range(MigLintModel *model, const RangeVar *range)
{
	return mig_model_find(model, range->schemaname, range->relname);
}

char *
mig_model_last_name(List *names, char **schema)
{
	int			count = list_length(names);

	*schema = count > 1 ? strVal(list_nth(names, count - 2)) : NULL;
	return strVal(llast(names));
}

MigLintRel *
mig_model_names(MigLintModel *model, List *names)
{
	char	   *schema;
	char	   *name = mig_model_last_name(names, &schema);

	return mig_model_find(model, schema, name);
}

/* by content, not by address */
static bool
has_string(List *strings, const char *string)
{
	ListCell   *lc;

	foreach(lc, strings)
	{
		if (strcmp(lfirst(lc), string) == 0)
			return true;
	}
	return false;
}

bool
mig_model_is_gone(const MigLintModel *model, const char *kind,
				  const char *name)
{
	return model->gone != NIL &&
		has_string(model->gone, psprintf("%s:%s", kind, name));
}

bool
mig_model_has_schema(const MigLintModel *model, const char *name)
{
	return has_string(model->schemas, name) ||
		(OidIsValid(mig_facts_schema(name)) &&
		 !mig_model_is_gone(model, "schema", name));
}

const char *
mig_model_target_schema(const MigLintModel *model)
{
	ListCell   *lc;

	foreach(lc, model->path)
	{
		if (mig_model_has_schema(model, lfirst(lc)))
			return lfirst(lc);
	}
	return "public";
}


/*
 * What belongs to a relation
 */

List *
mig_model_columns(MigLintModel *model, MigLintRel *rel)
{
	Assert(rel != NULL);
	if (!rel->columns_read)
	{
		MemoryContext old = MemoryContextSwitchTo(model->context);

		rel->columns = mig_facts_columns(rel->oid);
		rel->columns_read = rel->columns_known = true;
		MemoryContextSwitchTo(old);
	}
	return rel->columns;
}

MigLintColumn *
mig_model_column(MigLintModel *model, MigLintRel *rel, const char *name)
{
	ListCell   *lc;

	foreach(lc, mig_model_columns(model, rel))
	{
		MigLintColumn *column = (MigLintColumn *) lfirst(lc);

		if (strcmp(column->name, name) == 0)
			return column;
	}
	return NULL;
}

List *
mig_model_indexes(MigLintModel *model, MigLintRel *rel)
{
	Assert(rel != NULL);
	if (!rel->indexes_read)
	{
		MemoryContext old = MemoryContextSwitchTo(model->context);

		rel->indexes = mig_facts_indexes(rel->oid);
		rel->indexes_read = true;
		MemoryContextSwitchTo(old);
	}
	return rel->indexes;
}

List *
mig_model_constraints(MigLintModel *model, MigLintRel *rel)
{
	Assert(rel != NULL);
	if (!rel->constraints_read)
	{
		MemoryContext old = MemoryContextSwitchTo(model->context);

		rel->constraints = mig_facts_constraints(rel->oid);
		rel->constraints_read = rel->constraints_known = true;
		MemoryContextSwitchTo(old);
	}
	return rel->constraints;
}

MigLintConstraint *
mig_model_constraint(MigLintModel *model, MigLintRel *rel, const char *name)
{
	ListCell   *lc;

	foreach(lc, mig_model_constraints(model, rel))
	{
		MigLintConstraint *constraint = (MigLintConstraint *) lfirst(lc);

		if (constraint->name != NULL && strcmp(constraint->name, name) == 0)
			return constraint;
	}
	return NULL;
}

/* what is not dropped, and not hidden by an entry of the overlay */
static List *
add_all(List *rels, HTAB *table, HTAB *overlay)
{
	HASH_SEQ_STATUS status;
	RelationEntry *entry;

	hash_seq_init(&status, table);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!entry->rel->dropped &&
			(overlay == NULL ||
			 hash_search(overlay, entry->key, HASH_FIND, NULL) == NULL))
			rels = lappend(rels, entry->rel);
	}
	return rels;
}

List *
mig_model_all(MigLintModel *model)
{
	List	   *rels = add_all(NIL, model->relations, model->overlay);

	return model->overlay ? add_all(rels, model->overlay, NULL) : rels;
}

const MigRelationSize *
mig_model_size(MigLintModel *model, MigLintRel *rel)
{
	MigRelationSize *size = model->with_children ? &rel->tree_size : &rel->size;
	bool	   *is_read = model->with_children ? &rel->tree_size_read :
		&rel->size_read;

	Assert(rel != NULL);
	if (!*is_read && OidIsValid(rel->oid))
		mig_relation_size(rel->oid, model->with_children, size);
	*is_read = true;
	return size;
}

bool
mig_model_has_rows(MigLintModel *model, MigLintRel *rel)
{
	const MigRelationSize *size;

	if (rel == NULL || !OidIsValid(rel->oid) || rel->emptied)
		return false;
	size = mig_model_size(model, rel);
	return size->bytes > 0 && size->rows > 0;
}

MigLintRel *
mig_model_table_of(MigLintModel *model, MigLintRel *index)
{
	Oid			table;
	MigLintRel *rel;

	if (!OidIsValid(index->oid))
	{
		rel = index->table == NULL ? NULL :
			mig_model_find(model, index->table->schema, index->table->name);
		return rel != NULL && rel->id == index->table->id ? rel : NULL;
	}
	table = mig_facts_index_table(index->oid);
	if (!OidIsValid(table) || mig_facts_relation_name(table) == NULL)
		return NULL;
	rel = mig_model_find(model, mig_facts_schema_of(table),
						 mig_facts_relation_name(table));

	/* it may be another one now */
	return rel != NULL && rel->oid == table ? rel : NULL;
}


/*
 * Types, functions
 */

/* "schema.name" of what the plan has made under that name, or NULL */
static const char *
find_made(const MigLintModel *model, List *made, const char *schema,
		  const char *name)
{
	ListCell   *lc;

	foreach(lc, made)
	{
		const char *qualified = lfirst(lc);
		const char *dot = strchr(qualified, '.');

		if (strcmp(dot + 1, name) != 0)
			continue;
		if (schema == NULL ||
			(strlen(schema) == dot - qualified &&
			 strncmp(schema, qualified, dot - qualified) == 0))
			return qualified;
	}
	return NULL;
}

/*
 * Of the catalog: pg_catalog before the search_path, as the server looks it
 * up.
 */
static Oid
find_type(const MigLintModel *model, const char *schema, const char *name)
{
	Oid			type;
	ListCell   *lc;

	if (schema != NULL)
	{
		Oid			namespace = mig_facts_schema(schema);

		return OidIsValid(namespace) ? mig_facts_type(namespace, name) :
			InvalidOid;
	}
	type = mig_facts_type(PG_CATALOG_NAMESPACE, name);
	foreach(lc, model->path)
	{
		Oid			namespace = mig_facts_schema(lfirst(lc));

		if (OidIsValid(type))
			break;
		if (OidIsValid(namespace))
			type = mig_facts_type(namespace, name);
	}
	return type;
}

const char *
mig_model_made_type(const MigLintModel *model, const TypeName *type)
{
	char	   *schema;
	char	   *name;

	if (type->names == NIL || type->pct_type)
		return NULL;
	name = mig_model_last_name(type->names, &schema);
	return find_made(model, model->types, schema, name);
}

Oid
mig_model_type(MigLintModel *model, const TypeName *type, int32 *typmod,
			   bool *typmod_known, bool *made)
{
	char	   *schema;
	char	   *name;
	Oid			oid;

	*typmod = -1;
	*typmod_known = false;
	*made = true;
	if (type->names == NIL || type->pct_type)
		return InvalidOid;
	name = mig_model_last_name(type->names, &schema);
	if (find_made(model, model->types, schema, name) != NULL)
		return InvalidOid;
	oid = find_type(model, schema, name);
	if (OidIsValid(oid) && type->arrayBounds != NIL)
	{
		*typmod_known = mig_facts_typmod(oid, type->typmods, typmod);
		oid = mig_facts_array_of(oid);
	}
	else if (OidIsValid(oid))
		*typmod_known = mig_facts_typmod(oid, type->typmods, typmod);
	*made = !OidIsValid(oid) && mig_model_find(model, schema, name) != NULL;
	return oid;
}

void
mig_model_domain(MigLintModel *model, const TypeName *type,
				 MigLintDomain *domain)
{
	MigLintDomain *found = NULL;
	char	   *schema;
	char	   *name;
	int32		typmod;
	bool		known;
	bool		made;
	Oid			oid;
	ListCell   *lc;

	memset(domain, 0, sizeof(MigLintDomain));
	if (type->names == NIL || type->pct_type || type->arrayBounds != NIL)
		return;
	name = mig_model_last_name(type->names, &schema);
	foreach(lc, model->domains)
	{
		MigLintDomain *entry = (MigLintDomain *) lfirst(lc);

		if (strcmp(entry->name, name) == 0 &&
			(schema == NULL || entry->schema == NULL ||
			 strcmp(entry->schema, schema) == 0))
			found = entry;
	}
	if (found != NULL)
	{
		*domain = *found;
		return;
	}
	oid = mig_model_type(model, type, &typmod, &known, &made);
	if (!OidIsValid(oid))
		return;
	domain->checked = mig_facts_is_checked_domain(oid);
	domain->volatile_default = mig_facts_has_volatile_default(oid);
}

MigLintEnum *
mig_model_enum(MigLintModel *model, List *names)
{
	char	   *schema;
	char	   *name = mig_model_last_name(names, &schema);
	ListCell   *lc;

	foreach(lc, model->enums)
	{
		MigLintEnum *type = (MigLintEnum *) lfirst(lc);

		if (strcmp(type->name, name) == 0 &&
			(schema == NULL || strcmp(type->schema, schema) == 0))
			return type;
	}
	return NULL;
}

char
mig_model_volatility(MigLintModel *model, List *names, int nargs)
{
	char	   *schema;
	char	   *name = mig_model_last_name(names, &schema);
	char		worst = '\0';
	ListCell   *lc;

	/* the last one counts */
	foreach(lc, model->functions)
	{
		const char *made = lfirst(lc);

		if (strcmp(made + 2, name) == 0)
			worst = made[0];
	}
	if (worst != '\0')
		return worst;
	if (schema != NULL)
		return mig_facts_volatility(mig_facts_schema(schema), name, nargs);
	worst = mig_facts_volatility(PG_CATALOG_NAMESPACE, name, nargs);
	foreach(lc, model->path)
	{
		Oid			namespace = mig_facts_schema(lfirst(lc));
		char		found = OidIsValid(namespace) ?
			mig_facts_volatility(namespace, name, nargs) : '\0';

		worst = Max(worst, found);
	}
	return worst;
}

/* a walker, with the model as its argument */
static bool
calls_volatile(Node *node, void *arg)
{
	MigLintModel *model = (MigLintModel *) arg;

	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) &&
		mig_model_volatility(model, ((FuncCall *) node)->funcname,
							 list_length(((FuncCall *) node)->args)) ==
		PROVOLATILE_VOLATILE)
		return true;
	return raw_expression_tree_walker(node, calls_volatile, arg);
}

bool
mig_model_is_volatile(MigLintModel *model, Node *expression)
{
	return calls_volatile(expression, model);
}

List *
mig_model_proved_columns(Node *check)
{
	List	   *columns = NIL;

	if (check == NULL)
		return NIL;
	if (IsA(check, BoolExpr) && ((BoolExpr *) check)->boolop == AND_EXPR)
	{
		ListCell   *lc;

		foreach(lc, ((BoolExpr *) check)->args)
			columns = list_concat(columns,
								  mig_model_proved_columns(lfirst(lc)));
	}
	else if (IsA(check, NullTest) &&
			 ((NullTest *) check)->nulltesttype == IS_NOT_NULL &&
			 IsA(((NullTest *) check)->arg, ColumnRef))
	{
		List	   *fields = ((ColumnRef *) ((NullTest *) check)->arg)->fields;

		if (IsA(llast(fields), String))
			columns = lappend(columns, strVal(llast(fields)));
	}
	return columns;
}
