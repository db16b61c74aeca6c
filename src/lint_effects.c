/*-------------------------------------------------------------------------
 *
 * lint_effects.c
 *	  What statements do to the database, as far as a model of it goes.
 *
 * Names that the server would choose are guessed in the way that it chooses
 * them where nothing is in its way.  What cannot be known, since code runs or
 * an extension's script does, makes the model opaque: from there on a name
 * that is not known may be there all the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "lint_effects.h"
#include "lint_uses.h"

static void apply_statement(MigLintModel *model, Node *stmt);

const char *
mig_effects_schema(MigLintModel *model, const RangeVar *range)
{
	if (range->relpersistence == RELPERSISTENCE_TEMP)
		return "pg_temp";
	return range->schemaname ? range->schemaname :
		mig_model_target_schema(model);
}

static List *
string_list(List *names)
{
	List	   *strings = NIL;
	ListCell   *lc;

	foreach(lc, names)
	{
		if (IsA(lfirst(lc), String))
			strings = lappend(strings, pstrdup(strVal(lfirst(lc))));
	}
	return strings;
}

/* the same strings in memory of the model */
static List *
copies(List *strings)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, strings)
		result = lappend(result, pstrdup(lfirst(lc)));
	return result;
}

/* put one constraint in the place of another; entries may be shared */
static void
replace_constraint(MigLintRel *rel, const MigLintConstraint *constraint,
				   MigLintConstraint *by)
{
	ListCell   *lc;

	foreach(lc, rel->constraints)
	{
		if (lfirst(lc) == constraint)
			lfirst(lc) = by;
	}
}

static void
remember_gone(MigLintModel *model, const char *kind, const char *name)
{
	model->gone = lappend(model->gone, psprintf("%s:%s", kind, name));
}


/*
 * Columns and constraints
 */

static void
add_index(MigLintModel *model, MigLintRel *rel, const char *name,
		  List *columns, bool unique, bool partial, bool btree)
{
	MigLintIndex *index = palloc0(sizeof(MigLintIndex));

	index->name = name ? pstrdup(name) : NULL;
	index->columns = columns;
	index->nkeys = list_length(columns);
	index->unique = unique;
	index->partial = partial;
	index->btree = btree;
	index->valid = true;
	rel->indexes = lappend(mig_model_indexes(model, rel), index);
	if (name != NULL)
		mig_model_add(model, rel->schema, name, RELKIND_INDEX)->table = rel;
}

static char
constraint_kind(const Constraint *constraint)
{
	switch (constraint->contype)
	{
		case CONSTR_CHECK:
			return CONSTRAINT_CHECK;
		case CONSTR_PRIMARY:
			return CONSTRAINT_PRIMARY;
		case CONSTR_UNIQUE:
			return CONSTRAINT_UNIQUE;
		case CONSTR_EXCLUSION:
			return CONSTRAINT_EXCLUSION;
		case CONSTR_FOREIGN:
			return CONSTRAINT_FOREIGN;
		default:
			return '\0';
	}
}

/* "table_column_suffix", as the server names constraints and indexes */
static char *
chosen_name(const MigLintRel *rel, List *columns, const char *suffix)
{
	StringInfoData name;
	ListCell   *lc;

	initStringInfo(&name);
	appendStringInfoString(&name, rel->name);
	foreach(lc, columns)
		if (lfirst(lc) != NULL)
		appendStringInfo(&name, "_%s", (char *) lfirst(lc));
	appendStringInfo(&name, "_%s", suffix);
	return name.data;
}

static void
set_columns(MigLintModel *model, MigLintRel *rel, List *columns, bool not_null,
			bool proved)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		MigLintColumn *column = mig_model_column(model, rel, lfirst(lc));

		if (column == NULL)
			continue;
		column->not_null = column->not_null || not_null;
		column->proved = column->proved || proved;
	}
}

static void
add_unique(MigLintModel *model, MigLintRel *rel, const Constraint *constraint,
		   List *columns)
{
	bool		primary = constraint->contype == CONSTR_PRIMARY;
	const char *name = constraint->conname;

	if (constraint->indexname != NULL)
	{
		if (name != NULL && strcmp(name, constraint->indexname) != 0)
		{
			MigLintRel *index = mig_model_find(model, rel->schema,
											   constraint->indexname);

			if (index != NULL)
				mig_model_move(model, index, rel->schema, name);
		}
		return;
	}
	if (name == NULL)
		name = primary ? chosen_name(rel, NIL, "pkey") :
			chosen_name(rel, columns, "key");
	add_index(model, rel, name, columns, true, false, true);
	if (primary)
		set_columns(model, rel, columns, true, false);
}

/* column is that of a column constraint, else NULL */
static void
add_constraint(MigLintModel *model, MigLintRel *rel,
			   const Constraint *constraint, const char *column)
{
	MigLintConstraint *made;
	List	   *columns = constraint->contype == CONSTR_FOREIGN ?
		string_list(constraint->fk_attrs) : string_list(constraint->keys);

	if (column != NULL)
		columns = list_make1(pstrdup(column));
	if (constraint_kind(constraint) == '\0')
	{
		if (constraint->contype == CONSTR_NOTNULL)
			set_columns(model, rel, columns, true, false);
		return;
	}
	made = palloc0(sizeof(MigLintConstraint));
	made->kind = constraint_kind(constraint);
	made->valid = !constraint->skip_validation;
	made->transaction = model->transaction;
	made->columns = columns;
	if (made->kind == CONSTRAINT_CHECK)
		made->columns = copies(mig_model_proved_columns(constraint->raw_expr));
	if (constraint->conname != NULL)
		made->name = pstrdup(constraint->conname);
	else if (made->kind == CONSTRAINT_PRIMARY)
		made->name = chosen_name(rel, NIL, "pkey");
	else
		made->name = chosen_name(rel, made->kind == CONSTRAINT_CHECK && column ?
								 list_make1(pstrdup(column)) : columns,
								 made->kind == CONSTRAINT_CHECK ? "check" :
								 made->kind == CONSTRAINT_FOREIGN ? "fkey" :
								 made->kind == CONSTRAINT_UNIQUE ? "key" :
								 "excl");
	rel->constraints = lappend(mig_model_constraints(model, rel), made);
	if (made->kind == CONSTRAINT_CHECK && made->valid)
		set_columns(model, rel, made->columns, false, true);
	else if (made->kind == CONSTRAINT_UNIQUE || made->kind == CONSTRAINT_PRIMARY)
		add_unique(model, rel, constraint, columns);
}

bool
mig_effects_is_serial(const ColumnDef *column)
{
	static const char *const names[] = {
		"serial", "serial4", "bigserial", "serial8", "smallserial", "serial2"
	};
	int			i;

	if (column->typeName == NULL || list_length(column->typeName->names) != 1)
		return false;
	for (i = 0; i < lengthof(names); i++)
	{
		if (strcmp(strVal(linitial(column->typeName->names)), names[i]) == 0)
			return true;
	}
	return false;
}

static void
add_column(MigLintModel *model, MigLintRel *rel, const ColumnDef *definition)
{
	MigLintColumn *column = palloc0(sizeof(MigLintColumn));
	bool		serial = mig_effects_is_serial(definition);
	bool		known;
	bool		made;
	ListCell   *lc;

	column->name = pstrdup(definition->colname);
	column->not_null = definition->is_not_null || serial;
	column->has_default = serial;
	if (definition->typeName != NULL && !serial)
		column->typid = mig_model_type(model, definition->typeName,
									   &column->typmod, &known, &made);
	rel->columns = lappend(mig_model_columns(model, rel), column);
	foreach(lc, definition->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		if (constraint->contype == CONSTR_DEFAULT ||
			constraint->contype == CONSTR_GENERATED)
			column->has_default = true;
		else if (constraint->contype == CONSTR_IDENTITY)
			column->has_default = column->not_null = serial = true;
		else
			add_constraint(model, rel, constraint, column->name);
	}
	if (serial)
		mig_model_add(model, rel->schema,
					  chosen_name(rel, list_make1(column->name), "seq"),
					  RELKIND_SEQUENCE);
}

static void
copy_columns_of(MigLintModel *model, MigLintRel *rel, const RangeVar *range)
{
	MigLintRel *other = mig_model_range(model, range);
	ListCell   *lc;

	if (other == NULL)
	{
		rel->columns_known = false;
		return;
	}
	foreach(lc, mig_model_columns(model, other))
	{
		MigLintColumn *column = palloc(sizeof(MigLintColumn));

		*column = *(MigLintColumn *) lfirst(lc);
		column->attnum = 0;
		rel->columns = lappend(rel->columns, column);
	}
	rel->columns_known = rel->columns_known && other->columns_known;
}


/*
 * CREATE
 */

static void
create_table(MigLintModel *model, const CreateStmt *stmt, char relkind)
{
	const char *schema = mig_effects_schema(model, stmt->relation);
	MigLintRel *rel;
	ListCell   *lc;

	if (stmt->if_not_exists &&
		mig_model_find(model, schema, stmt->relation->relname) != NULL)
		return;
	rel = mig_model_add(model, schema, stmt->relation->relname,
						stmt->partspec ? RELKIND_PARTITIONED_TABLE : relkind);
	rel->columns_known = stmt->ofTypename == NULL;
	foreach(lc, stmt->inhRelations)
		copy_columns_of(model, rel, lfirst_node(RangeVar, lc));
	foreach(lc, stmt->tableElts)
	{
		Node	   *element = lfirst(lc);

		if (IsA(element, ColumnDef))
		{
			/* INHERITS merges what has the same name */
			if (((ColumnDef *) element)->typeName != NULL &&
				mig_model_column(model, rel, ((ColumnDef *) element)->colname) == NULL)
				add_column(model, rel, (ColumnDef *) element);
		}
		else if (IsA(element, TableLikeClause))
			copy_columns_of(model, rel, ((TableLikeClause *) element)->relation);
	}
	foreach(lc, stmt->tableElts)
	{
		if (IsA(lfirst(lc), Constraint))
			add_constraint(model, rel, lfirst(lc), NULL);
	}
	foreach(lc, stmt->constraints)
		add_constraint(model, rel, lfirst_node(Constraint, lc), NULL);
}

static void
create_index(MigLintModel *model, const IndexStmt *stmt)
{
	MigLintRel *rel = mig_model_range(model, stmt->relation);
	List	   *columns = NIL;
	ListCell   *lc;

	if (rel == NULL)
		return;
	foreach(lc, stmt->indexParams)
	{
		IndexElem  *element = lfirst_node(IndexElem, lc);

		columns = lappend(columns, element->name ? pstrdup(element->name) : NULL);
	}
	if (stmt->if_not_exists && stmt->idxname != NULL &&
		mig_model_find(model, rel->schema, stmt->idxname) != NULL)
		return;
	add_index(model, rel, stmt->idxname ? stmt->idxname :
			  chosen_name(rel, columns, "idx"), columns, stmt->unique,
			  stmt->whereClause != NULL,
			  stmt->accessMethod == NULL ||
			  strcmp(stmt->accessMethod, "btree") == 0);
}

/* SELECT INTO, CREATE TABLE AS, CREATE MATERIALIZED VIEW */
static void
create_from_query(MigLintModel *model, const IntoClause *into, char relkind)
{
	MigLintRel *rel;

	rel = mig_model_add(model, mig_effects_schema(model, into->rel),
						into->rel->relname, relkind);
	rel->written = true;
}

static void
create_view(MigLintModel *model, const ViewStmt *stmt)
{
	const char *schema = mig_effects_schema(model, stmt->view);

	if (mig_model_find(model, schema, stmt->view->relname) == NULL)
		mig_model_add(model, schema, stmt->view->relname, RELKIND_VIEW);
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

static void
create_composite(MigLintModel *model, const RangeVar *range)
{
	model->types = lappend(model->types,
						   psprintf("%s.%s", mig_effects_schema(model, range),
									range->relname));
}

static void
create_sequence(MigLintModel *model, const RangeVar *range)
{
	mig_model_add(model, mig_effects_schema(model, range), range->relname,
				  RELKIND_SEQUENCE);
}

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
 * ALTER
 */

static void
drop_column(MigLintModel *model, MigLintRel *rel, const char *name)
{
	MigLintColumn *column = mig_model_column(model, rel, name);
	ListCell   *lc;

	if (column != NULL)
		rel->columns = list_delete_ptr(rel->columns, column);
	foreach(lc, mig_model_indexes(model, rel))
	{
		MigLintIndex *index = (MigLintIndex *) lfirst(lc);
		ListCell   *lc2;

		foreach(lc2, index->columns)
		{
			if (lfirst(lc2) == NULL || strcmp(lfirst(lc2), name) != 0)
				continue;
			rel->indexes = foreach_delete_current(rel->indexes, lc);
			break;
		}
	}
}

static void
drop_constraint(MigLintModel *model, MigLintRel *rel, const char *name)
{
	MigLintConstraint *constraint = mig_model_constraint(model, rel, name);
	MigLintRel *index = mig_model_find(model, rel->schema, name);
	ListCell   *lc;

	if (constraint != NULL)
		rel->constraints = list_delete_ptr(rel->constraints, constraint);
	remember_gone(model, "constraint", psprintf("%s.%s", rel->name, name));
	if (index == NULL || index->relkind != RELKIND_INDEX)
		return;
	index->dropped = true;
	foreach(lc, mig_model_indexes(model, rel))
	{
		MigLintIndex *entry = (MigLintIndex *) lfirst(lc);

		if (entry->name != NULL && strcmp(entry->name, name) == 0)
			rel->indexes = foreach_delete_current(rel->indexes, lc);
	}
}

static void
validate_constraint(MigLintModel *model, MigLintRel *rel, const char *name)
{
	MigLintConstraint *constraint = mig_model_constraint(model, rel, name);
	MigLintConstraint *valid;

	if (constraint == NULL)
		return;
	valid = palloc(sizeof(MigLintConstraint));
	*valid = *constraint;
	valid->valid = true;
	replace_constraint(rel, constraint, valid);
	if (valid->kind == CONSTRAINT_CHECK && valid->transaction >= 0)
		set_columns(model, rel, valid->columns, false, true);
}

static void
alter_type_of_column(MigLintModel *model, MigLintRel *rel,
					 const AlterTableCmd *command)
{
	MigLintColumn *column = mig_model_column(model, rel, command->name);
	ColumnDef  *definition = (ColumnDef *) command->def;
	bool		known;
	bool		made;

	if (column != NULL && definition->typeName != NULL)
		column->typid = mig_model_type(model, definition->typeName,
									   &column->typmod, &known, &made);
}

static void
alter_column(MigLintModel *model, MigLintRel *rel,
			 const AlterTableCmd *command)
{
	MigLintColumn *column = command->name ?
		mig_model_column(model, rel, command->name) : NULL;

	if (column == NULL)
		return;
	switch (command->subtype)
	{
		case AT_SetNotNull:
			column->not_null = true;
			break;
		case AT_DropNotNull:
			column->not_null = false;
			break;
		case AT_ColumnDefault:
			column->has_default = command->def != NULL;
			break;
		case AT_AddIdentity:
			column->has_default = true;
			break;
		default:
			break;
	}
}

static void
alter_table_command(MigLintModel *model, MigLintRel *rel,
					const AlterTableCmd *command)
{
	switch (command->subtype)
	{
		case AT_AddColumn:
			if (!command->missing_ok ||
				mig_model_column(model, rel,
								 ((ColumnDef *) command->def)->colname) == NULL)
				add_column(model, rel, (ColumnDef *) command->def);
			break;
		case AT_DropColumn:
			drop_column(model, rel, command->name);
			if (command->behavior == DROP_CASCADE)
				model->cascaded = true;
			break;
		case AT_AlterColumnType:
			alter_type_of_column(model, rel, command);
			break;
		case AT_AddConstraint:
			add_constraint(model, rel, (Constraint *) command->def, NULL);
			break;
		case AT_DropConstraint:
			drop_constraint(model, rel, command->name);
			break;
		case AT_ValidateConstraint:
			validate_constraint(model, rel, command->name);
			break;
		default:
			alter_column(model, rel, command);
			break;
	}
}

static void
alter_table(MigLintModel *model, const AlterTableStmt *stmt)
{
	MigLintRel *rel = mig_model_range(model, stmt->relation);
	ListCell   *lc;

	if (rel == NULL)
		return;
	foreach(lc, stmt->cmds)
		alter_table_command(model, rel, lfirst_node(AlterTableCmd, lc));
}

static void
rename_column(MigLintModel *model, const RenameStmt *stmt)
{
	MigLintRel *rel = mig_model_range(model, stmt->relation);
	MigLintColumn *column = rel ?
		mig_model_column(model, rel, stmt->subname) : NULL;
	ListCell   *lc;

	if (column == NULL)
		return;
	column->name = pstrdup(stmt->newname);

	/* entries may be shared with the model that this is an overlay of */
	foreach(lc, mig_model_indexes(model, rel))
	{
		MigLintIndex *index = palloc(sizeof(MigLintIndex));
		ListCell   *lc2;

		*index = *(MigLintIndex *) lfirst(lc);
		index->columns = list_copy(index->columns);
		foreach(lc2, index->columns)
		{
			if (lfirst(lc2) != NULL && strcmp(lfirst(lc2), stmt->subname) == 0)
				lfirst(lc2) = pstrdup(stmt->newname);
		}
		lfirst(lc) = index;
	}
}

static void
rename_constraint(MigLintModel *model, const RenameStmt *stmt)
{
	MigLintRel *rel = mig_model_range(model, stmt->relation);
	MigLintConstraint *constraint = rel ?
		mig_model_constraint(model, rel, stmt->subname) : NULL;
	MigLintConstraint *renamed;

	if (constraint == NULL)
		return;
	renamed = palloc(sizeof(MigLintConstraint));
	*renamed = *constraint;
	renamed->name = pstrdup(stmt->newname);
	replace_constraint(rel, constraint, renamed);
}

static void
rename_something(MigLintModel *model, const RenameStmt *stmt)
{
	MigLintRel *rel;

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
			rename_column(model, stmt);
			break;
		case OBJECT_TABCONSTRAINT:
			rename_constraint(model, stmt);
			break;
		case OBJECT_SCHEMA:
			remember_gone(model, "schema", stmt->subname);
			model->schemas = lappend(model->schemas, pstrdup(stmt->newname));
			model->opaque = true;
			break;
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			create_type(model, list_make1(makeString(stmt->newname)));
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

/* a call of what is not the server's own, of which nobody knows what it does */
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

		if ((schema != NULL && strcmp(schema, "pg_catalog") != 0) ||
			mig_facts_volatility(mig_facts_schema("pg_catalog"), name,
								 nargs) == '\0')
			return true;
	}
	return raw_expression_tree_walker(node, calls_unknown_code, arg);
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
		create_from_query(model, stmt->intoClause, RELKIND_RELATION);
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
move_to_schema(MigLintModel *model, const AlterObjectSchemaStmt *stmt)
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
			create_table(model, (CreateStmt *) stmt, RELKIND_RELATION);
			return true;
		case T_CreateForeignTableStmt:
			create_table(model, &((CreateForeignTableStmt *) stmt)->base,
						 RELKIND_FOREIGN_TABLE);
			return true;
		case T_IndexStmt:
			create_index(model, (IndexStmt *) stmt);
			return true;
		case T_CreateTableAsStmt:
			create_from_query(model, ((CreateTableAsStmt *) stmt)->into,
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
			create_type(model, ((CreateEnumStmt *) stmt)->typeName);
			add_enum(model, ((CreateEnumStmt *) stmt)->typeName, model->step);
			return true;
		case T_CreateDomainStmt:
			create_type(model, ((CreateDomainStmt *) stmt)->domainname);
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
			alter_table(model, (AlterTableStmt *) stmt);
			return true;
		case T_AlterEnumStmt:
			alter_enum(model, (AlterEnumStmt *) stmt);
			return true;
		case T_RenameStmt:
			rename_something(model, (RenameStmt *) stmt);
			return true;
		case T_AlterObjectSchemaStmt:
			move_to_schema(model, (AlterObjectSchemaStmt *) stmt);
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
mig_effects_apply(MigLintModel *model, Node *stmt)
{
	MemoryContext old = MemoryContextSwitchTo(model->context);

	apply_statement(model, stmt);
	MemoryContextSwitchTo(old);
}
