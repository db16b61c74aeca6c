/*-------------------------------------------------------------------------
 *
 * model_apply.c
 *	  What statements do to the database, as far as a model of it goes.
 *
 * Tables are in lint/model_table.c, the rest is here.  What cannot be known,
 * since code runs or an extension's script does, makes the model opaque: from
 * there on a name that is not known may be there all the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "lint/model_apply.h"
#include "lint/model_table.h"
#include "lint/uses.h"

static void apply_statement(MigLintModel *model, Node *stmt);

static void
remember_gone(MigLintModel *model, const char *kind, const char *name)
{
	model->gone = lappend(model->gone, psprintf("%s:%s", kind, name));
}



/*
 * CREATE
 */

typedef struct RangeSearch
{
	MigLintModel *model;
	List	   *ids;
	List	   *columns;
} RangeSearch;

/*
 * A walker: the relations that a query reads, and the names of columns in it.
 */
static bool
collect_range(Node *node, void *arg)
{
	RangeSearch *search = (RangeSearch *) arg;
	MigLintRel *rel;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
	{
		rel = mig_model_range(search->model, (RangeVar *) node);
		if (rel != NULL)
			search->ids = list_append_unique_int(search->ids, rel->id);
		return false;
	}
	if (IsA(node, ColumnRef))
	{
		Node	   *last = llast(((ColumnRef *) node)->fields);

		search->columns = lappend(search->columns,
								  pstrdup(IsA(last, A_Star) ? "*" : strVal(last)));
		return false;
	}
	return raw_expression_tree_walker(node, collect_range, arg);
}

/* the query of a view */
static void
set_query(MigLintModel *model, MigLintRel *rel, Node *query)
{
	RangeSearch search = {model, NIL, NIL};

	(void) collect_range(query, &search);
	rel->reads = search.ids;
	rel->reads_columns = search.columns;
	rel->redefined = true;
}

/* SELECT INTO, CREATE TABLE AS, CREATE MATERIALIZED VIEW */
static void
create_from_query(MigLintModel *model, const IntoClause *into, Node *query,
				  char relkind)
{
	MigLintRel *rel;

	rel = mig_model_add(model, mig_model_table_schema(model, into->rel),
						into->rel->relname, relkind);
	rel->written = rel->constraints_known = true;
	if (relkind == RELKIND_MATVIEW)
		set_query(model, rel, query);
}

static void
create_view(MigLintModel *model, const ViewStmt *stmt)
{
	const char *schema = mig_model_table_schema(model, stmt->view);
	MigLintRel *rel = mig_model_find(model, schema, stmt->view->relname);

	if (rel == NULL)
		rel = mig_model_add(model, schema, stmt->view->relname, RELKIND_VIEW);
	set_query(model, rel, stmt->query);
}

static void
create_type(MigLintModel *model, List *names)
{
	char	   *schema;
	char	   *name = mig_model_last_name(names, &schema);

	model->types = lappend(model->types,
						   psprintf("%s.%s", schema ? schema :
									mig_model_target_schema(model), name));
}

/* the plan makes a domain of what an older one, or its base, was */
static MigLintDomain *
add_domain(MigLintModel *model, List *names, const TypeName *like)
{
	MigLintDomain *domain = palloc(sizeof(MigLintDomain));
	char	   *schema;
	char	   *name = mig_model_last_name(names, &schema);

	mig_model_domain(model, like, domain);
	domain->schema = schema ? pstrdup(schema) : NULL;
	domain->name = pstrdup(name);
	model->domains = lappend(model->domains, domain);
	return domain;
}

static void
set_domain_default(MigLintModel *model, MigLintDomain *domain, Node *expression)
{
	domain->volatile_default = mig_model_is_volatile(model, expression);
}

/* over what its base is, and more */
static void
create_domain(MigLintModel *model, const CreateDomainStmt *stmt)
{
	MigLintDomain *domain = add_domain(model, stmt->domainname, stmt->typeName);
	ListCell   *lc;

	foreach(lc, stmt->constraints)
	{
		const Constraint *constraint = lfirst_node(Constraint, lc);

		if (constraint->contype == CONSTR_CHECK ||
			constraint->contype == CONSTR_NOTNULL)
			domain->checked = true;
		else if (constraint->contype == CONSTR_DEFAULT)
			set_domain_default(model, domain, constraint->raw_expr);
	}
	create_type(model, stmt->domainname);
}

/* a constraint that is dropped may not be the only one */
static void
alter_domain(MigLintModel *model, const AlterDomainStmt *stmt)
{
	MigLintDomain *domain =
		add_domain(model, stmt->typeName,
				   makeTypeNameFromNameList(stmt->typeName));

	if (stmt->subtype == 'C' || stmt->subtype == 'O')
		domain->checked = true;
	else if (stmt->subtype == 'T')
		set_domain_default(model, domain, stmt->def);
}

static void
create_composite(MigLintModel *model, const RangeVar *range)
{
	model->types = lappend(model->types,
						   psprintf("%s.%s",
									mig_model_table_schema(model, range),
									range->relname));
}

static void
create_sequence(MigLintModel *model, const RangeVar *range)
{
	mig_model_add(model, mig_model_table_schema(model, range), range->relname,
				  RELKIND_SEQUENCE);
}

/* step is the one that creates the type, -1 if it exists before the plan */
static MigLintEnum *
add_enum(MigLintModel *model, List *names, int step)
{
	MigLintEnum *type = palloc0(sizeof(MigLintEnum));
	char	   *schema;
	char	   *name = mig_model_last_name(names, &schema);

	type->schema = pstrdup(schema ? schema : mig_model_target_schema(model));
	type->name = pstrdup(name);
	type->made = step;
	model->enums = lappend(model->enums, type);
	return type;
}

static void
create_enum(MigLintModel *model, const CreateEnumStmt *stmt)
{
	MigLintEnum *type = add_enum(model, stmt->typeName, model->step);
	ListCell   *lc;

	create_type(model, stmt->typeName);
	foreach(lc, stmt->vals)
		type->first = lappend(type->first, pstrdup(strVal(lfirst(lc))));
}

/* remember a new value, and in which transaction it was added */
static void
alter_enum(MigLintModel *model, const AlterEnumStmt *stmt)
{
	MigLintEnum *type = mig_model_enum(model, stmt->typeName);
	MigLintLabel *label;

	/* what is added aside would have to be taken out again */
	if (stmt->oldVal != NULL || model->overlay != NULL)
		return;
	if (type == NULL)
		type = add_enum(model, stmt->typeName, -1);
	label = palloc(sizeof(MigLintLabel));
	label->label = pstrdup(stmt->newVal);
	label->step = model->step;
	label->transaction = model->transaction;
	type->labels = lappend(type->labels, label);
}

/* its volatility counts, for defaults of columns */
static void
create_function(MigLintModel *model, const CreateFunctionStmt *stmt)
{
	char	   *schema;
	char	   *name = mig_model_last_name(stmt->funcname, &schema);
	char		volatility = 'v';
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "volatility") == 0 &&
			IsA(option->arg, String))
			volatility = strVal(option->arg)[0];
	}
	model->functions = lappend(model->functions,
							   psprintf("%c:%s", volatility, name));

	/* its old text is not the one that counts any more */
	remember_gone(model, "function", name);
}

/* with its elements, which are created in it */
static void
create_schema(MigLintModel *model, const CreateSchemaStmt *stmt)
{
	const char *name = stmt->schemaname ? stmt->schemaname :
		(stmt->authrole ? stmt->authrole->rolename : NULL);
	List	   *path = model->path;
	ListCell   *lc;

	if (name == NULL)
	{
		model->opaque = true;
		return;
	}
	model->schemas = lappend(model->schemas, pstrdup(name));
	model->path = lcons(pstrdup(name), list_copy(path));
	foreach(lc, stmt->schemaElts)
		apply_statement(model, lfirst(lc));
	model->path = path;
}


/*
 * After a renamed schema the model does not know what there is, so nothing is
 * unknown.
 */
static void
rename_something(MigLintModel *model, const RenameStmt *stmt)
{
	MigLintRel *rel;
	List	   *names;

	switch (stmt->renameType)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_INDEX:
		case OBJECT_SEQUENCE:
		case OBJECT_FOREIGN_TABLE:
			rel = mig_model_range(model, stmt->relation);
			if (rel != NULL)
				mig_model_move(model, rel, rel->schema, stmt->newname);
			break;
		case OBJECT_COLUMN:
			mig_model_table_rename_column(model, stmt);
			break;
		case OBJECT_TABCONSTRAINT:
			mig_model_table_rename_constraint(model, stmt);
			break;
		case OBJECT_SCHEMA:
			remember_gone(model, "schema", stmt->subname);
			model->schemas = lappend(model->schemas, pstrdup(stmt->newname));
			model->opaque = true;
			break;
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			names = list_make1(makeString(stmt->newname));
			(void) add_domain(model, names,
							  makeTypeNameFromNameList((List *) stmt->object));
			create_type(model, names);
			break;
		case OBJECT_FUNCTION:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
			model->functions = lappend(model->functions,
									   psprintf("v:%s", stmt->newname));
			break;
		default:
			break;
	}
}


/*
 * DROP
 */

/* CASCADE takes the views over it that the catalog knows */
static void
drop_relation(MigLintModel *model, List *names, DropBehavior behavior)
{
	MigLintRel *rel = mig_model_names(model, names);
	ListCell   *lc;

	if (rel == NULL)
		return;
	rel->dropped = true;
	if (rel->relkind == RELKIND_INDEX)
	{
		MigLintRel *table = mig_model_table_of(model, rel);

		foreach(lc, table ? mig_model_indexes(model, table) : NIL)
		{
			MigLintIndex *index = (MigLintIndex *) lfirst(lc);

			if (index->name != NULL && strcmp(index->name, rel->name) == 0)
				table->indexes = foreach_delete_current(table->indexes, lc);
		}
	}
	if (behavior != DROP_CASCADE || !OidIsValid(rel->oid))
		return;
	foreach(lc, mig_uses_of(rel->oid, 0))
	{
		MigLintUse *use = (MigLintUse *) lfirst(lc);
		MigLintRel *view;

		if (use->subname != NULL)
			continue;
		view = mig_model_find(model, mig_facts_schema_of(use->relation),
							  mig_facts_relation_name(use->relation));
		if (view != NULL)
			view->dropped = true;
	}
}

/* "table.name" of a policy, trigger or rule */
static void
drop_part(MigLintModel *model, const char *kind, List *names)
{
	char	   *table;
	char	   *name = mig_model_last_name(names, &table);

	remember_gone(model, kind, psprintf("%s.%s", table ? table : "", name));
}

/* what goes is remembered by its name, so that a later use of it is found */
static void
drop_something(MigLintModel *model, const DropStmt *stmt)
{
	ListCell   *lc;

	if (stmt->behavior == DROP_CASCADE)
		model->cascaded = true;
	foreach(lc, stmt->objects)
	{
		Node	   *object = lfirst(lc);

		switch (stmt->removeType)
		{
			case OBJECT_TABLE:
			case OBJECT_VIEW:
			case OBJECT_MATVIEW:
			case OBJECT_INDEX:
			case OBJECT_SEQUENCE:
			case OBJECT_FOREIGN_TABLE:
				drop_relation(model, (List *) object, stmt->behavior);
				break;
			case OBJECT_SCHEMA:
				remember_gone(model, "schema", strVal(object));
				break;
			case OBJECT_FUNCTION:
			case OBJECT_PROCEDURE:
			case OBJECT_ROUTINE:
				{
					char	   *schema;

					remember_gone(model, "function",
								  mig_model_last_name(((ObjectWithArgs *) object)->objname,
													  &schema));
					break;
				}
			case OBJECT_TYPE:
			case OBJECT_DOMAIN:
				{
					char	   *schema;

					remember_gone(model, "type",
								  mig_model_last_name(((TypeName *) object)->names,
													  &schema));
					break;
				}
			case OBJECT_POLICY:
				drop_part(model, "policy", (List *) object);
				break;
			case OBJECT_TRIGGER:
				drop_part(model, "trigger", (List *) object);
				break;
			case OBJECT_EXTENSION:
				model->opaque = true;
				break;
			default:
				break;
		}
	}
}


/*
 * Everything else
 */

/*
 * A walker: a call of a user-defined function, whose effects are not known.  With
 * arg, one that makes values and is called for nothing else is no such call.
 */
static bool
calls_unknown_code(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall))
	{
		char	   *schema;
		char	   *name = mig_model_last_name(((FuncCall *) node)->funcname,
											   &schema);
		int			nargs = list_length(((FuncCall *) node)->args);

		if (((schema != NULL && strcmp(schema, "pg_catalog") != 0) ||
			 mig_facts_volatility(mig_facts_schema("pg_catalog"), name,
								  nargs) == '\0') &&
			(arg == NULL || mig_facts_may_run_sql(name)))
			return true;
	}
	return raw_expression_tree_walker(node, calls_unknown_code, arg);
}

/* the part of a statement that runs functions with its rows; NULL: none */
static Node *
executed_query(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			return stmt;
		case T_CreateTableAsStmt:
			return executed_query(((CreateTableAsStmt *) stmt)->query);
		case T_CopyStmt:
			return ((CopyStmt *) stmt)->query;
		case T_ExplainStmt:
			return ((ExplainStmt *) stmt)->query;
		case T_SelectStmt:
			return stmt;
		default:
			return NULL;
	}
}

/* set_config('search_path', '...', ...), as pg_dump writes it */
static void
look_for_set_config(MigLintModel *model, const SelectStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->targetList)
	{
		FuncCall   *call = (FuncCall *) lfirst_node(ResTarget, lc)->val;
		char	   *schema;
		A_Const    *name;
		A_Const    *value;

		if (call == NULL || !IsA(call, FuncCall) ||
			list_length(call->args) < 2 ||
			strcmp(mig_model_last_name(call->funcname, &schema),
				   "set_config") != 0)
			continue;
		name = linitial(call->args);
		value = lsecond(call->args);
		if (IsA(name, A_Const) && IsA(value, A_Const) && !name->isnull &&
			!value->isnull && IsA(&name->val, String) &&
			IsA(&value->val, String) &&
			pg_strcasecmp(strVal(&name->val), "search_path") == 0)
			mig_model_set_path(model, strVal(&value->val));
	}
}

/* only search_path matters; SET ... TO DEFAULT is the path of the policy */
static void
set_variable(MigLintModel *model, const VariableSetStmt *stmt)
{
	StringInfoData path;
	ListCell   *lc;

	if (stmt->name == NULL || pg_strcasecmp(stmt->name, "search_path") != 0)
		return;
	if (stmt->kind != VAR_SET_VALUE)
	{
		mig_model_set_path(model, model->policy_path);
		return;
	}
	initStringInfo(&path);
	foreach(lc, stmt->args)
	{
		A_Const    *value = (A_Const *) lfirst(lc);

		if (IsA(value, A_Const) && !value->isnull && IsA(&value->val, String))
			appendStringInfo(&path, "%s%s", path.len > 0 ? ", " : "",
							 quote_identifier(strVal(&value->val)));
	}
	mig_model_set_path(model, path.data);
}

static void
select_something(MigLintModel *model, SelectStmt *stmt)
{
	if (stmt->intoClause != NULL)
		create_from_query(model, stmt->intoClause, NULL, RELKIND_RELATION);
	if (stmt->targetList != NIL)
		look_for_set_config(model, stmt);
	if (calls_unknown_code((Node *) stmt, NULL))
		model->opaque = true;
}

static void
write_rows(MigLintModel *model, const RangeVar *range)
{
	MigLintRel *rel = mig_model_range(model, range);

	if (rel != NULL)
		rel->written = true;
}

/* an emptied table has no rows for the rules that ask for its size */
static void
truncate_tables(MigLintModel *model, const TruncateStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->relations)
	{
		MigLintRel *rel = mig_model_range(model, lfirst_node(RangeVar, lc));

		if (rel != NULL)
			rel->emptied = true;
	}
}

static void
model_move_to_schema(MigLintModel *model, const AlterObjectSchemaStmt *stmt)
{
	MigLintRel *rel = stmt->relation ?
		mig_model_range(model, stmt->relation) : NULL;

	if (rel != NULL)
		mig_model_move(model, rel, stmt->newschema, rel->name);
	else
		model->opaque = true;
}

/* CREATE; false if it is something else */
static bool
apply_create(MigLintModel *model, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
			mig_model_table_create(model, (CreateStmt *) stmt,
								   RELKIND_RELATION);
			return true;
		case T_CreateForeignTableStmt:
			mig_model_table_create(model,
								   &((CreateForeignTableStmt *) stmt)->base,
								   RELKIND_FOREIGN_TABLE);
			return true;
		case T_IndexStmt:
			mig_model_table_index(model, (IndexStmt *) stmt);
			return true;
		case T_CreateTableAsStmt:
			create_from_query(model, ((CreateTableAsStmt *) stmt)->into,
							  ((CreateTableAsStmt *) stmt)->query,
							  ((CreateTableAsStmt *) stmt)->objtype == OBJECT_MATVIEW ?
							  RELKIND_MATVIEW : RELKIND_RELATION);
			return true;
		case T_ViewStmt:
			create_view(model, (ViewStmt *) stmt);
			return true;
		case T_CreateSeqStmt:
			create_sequence(model, ((CreateSeqStmt *) stmt)->sequence);
			return true;
		case T_CreateEnumStmt:
			create_enum(model, (CreateEnumStmt *) stmt);
			return true;
		case T_CreateDomainStmt:
			create_domain(model, (CreateDomainStmt *) stmt);
			return true;
		case T_CreateRangeStmt:
			create_type(model, ((CreateRangeStmt *) stmt)->typeName);
			return true;
		case T_CompositeTypeStmt:
			create_composite(model, ((CompositeTypeStmt *) stmt)->typevar);
			return true;
		case T_DefineStmt:
			if (((DefineStmt *) stmt)->kind == OBJECT_TYPE)
				create_type(model, ((DefineStmt *) stmt)->defnames);
			return true;
		case T_CreateFunctionStmt:
			create_function(model, (CreateFunctionStmt *) stmt);
			return true;
		case T_CreateSchemaStmt:
			create_schema(model, (CreateSchemaStmt *) stmt);
			return true;
		default:
			return false;
	}
}

/* ALTER, DROP and TRUNCATE; false if it is something else */
static bool
apply_change(MigLintModel *model, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			mig_model_table_alter(model, (AlterTableStmt *) stmt);
			return true;
		case T_AlterDomainStmt:
			alter_domain(model, (AlterDomainStmt *) stmt);
			return true;
		case T_AlterEnumStmt:
			alter_enum(model, (AlterEnumStmt *) stmt);
			return true;
		case T_RenameStmt:
			rename_something(model, (RenameStmt *) stmt);
			return true;
		case T_AlterObjectSchemaStmt:
			model_move_to_schema(model, (AlterObjectSchemaStmt *) stmt);
			return true;
		case T_DropStmt:
			drop_something(model, (DropStmt *) stmt);
			return true;
		case T_TruncateStmt:
			truncate_tables(model, (TruncateStmt *) stmt);
			return true;
		default:
			return false;
	}
}

/*
 * Let the model be what the database is after a statement.  One whose effects
 * cannot be known makes it opaque.
 */
static void
apply_statement(MigLintModel *model, Node *stmt)
{
	if (apply_create(model, stmt) || apply_change(model, stmt))
		return;
	switch (nodeTag(stmt))
	{
		case T_VariableSetStmt:
			set_variable(model, (VariableSetStmt *) stmt);
			break;
		case T_SelectStmt:
			select_something(model, (SelectStmt *) stmt);
			break;
		case T_InsertStmt:
			write_rows(model, ((InsertStmt *) stmt)->relation);
			break;
		case T_CopyStmt:
			if (((CopyStmt *) stmt)->relation != NULL)
				write_rows(model, ((CopyStmt *) stmt)->relation);
			break;
		case T_DoStmt:
		case T_CallStmt:
		case T_ExecuteStmt:
		case T_CreateExtensionStmt:
		case T_ImportForeignSchemaStmt:
		case T_LoadStmt:
		case T_DropOwnedStmt:
			model->opaque = true;
			break;
		default:
			break;
	}
}

void
mig_model_apply(MigLintModel *model, Node *stmt)
{
	MemoryContext old = MemoryContextSwitchTo(model->context);
	Node	   *query = executed_query(stmt);

	apply_statement(model, stmt);
	if (query != NULL && !IsA(stmt, SelectStmt) &&
		calls_unknown_code(query, model))
		model->opaque = true;
	MemoryContextSwitchTo(old);
}
