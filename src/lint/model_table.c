/*-------------------------------------------------------------------------
 *
 * model_table.c
 *	  What statements do to tables, as far as a model of the database goes.
 *
 * Names that the server would choose are guessed in the way that it chooses
 * them where nothing is in its way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_target.h"
#include "utils/builtins.h"

#include "lint/model_table.h"

const char *
mig_model_table_schema(MigLintModel *model, const RangeVar *range)
{
	if (range->relpersistence == RELPERSISTENCE_TEMP)
		return "pg_temp";
	return range->schemaname ? range->schemaname :
		mig_model_target_schema(model);
}

/* copies in the current memory context; what is no string is left out */
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
copy_to_model(List *strings)
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


/*
 * Columns and constraints
 */

static char *
column_of_ref(Node *node, void *arg)
{
	Node	   *last = IsA(node, ColumnRef) ?
		llast(((ColumnRef *) node)->fields) : NULL;

	return last != NULL && IsA(last, String) ? pstrdup(strVal(last)) : NULL;
}

/*
 * Name may be NULL, where the server would choose one; columns has a NULL for
 * an expression.
 */
static void
add_index(MigLintModel *model, MigLintRel *rel, const char *name,
		  List *columns, bool unique, Node *condition, bool btree)
{
	MigLintIndex *index = palloc0(sizeof(MigLintIndex));

	index->name = name ? pstrdup(name) : NULL;
	index->columns = columns;
	index->nkeys = list_length(columns);
	index->unique = unique;
	index->partial = (condition != NULL);
	if (condition != NULL)
		index->implied_by = mig_facts_implied_by(condition, column_of_ref, NULL);
	index->btree = btree;
	index->valid = true;
	rel->indexes = lappend(mig_model_indexes(model, rel), index);
	if (name != NULL)
		mig_model_add(model, rel->schema, name, RELKIND_INDEX)->table = rel;
}

/* as in pg_constraint.contype; 0 for what is none there, such as DEFAULT */
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

static bool
is_taken(MigLintModel *model, MigLintRel *rel, const char *name)
{
	return mig_model_find(model, rel->schema, name) != NULL ||
		mig_model_constraint(model, rel, name) != NULL;
}

char *
mig_model_table_new_name(MigLintModel *model, MigLintRel *rel, List *columns,
						 const char *suffix)
{
	StringInfoData addition;
	ListCell   *lc;
	const char *label = suffix;
	char	   *name;
	int			n = 0;

	initStringInfo(&addition);
	foreach(lc, columns)
	{
		if (addition.len >= NAMEDATALEN)
			break;
		appendStringInfo(&addition, "%s%s", addition.len > 0 ? "_" : "",
						 lfirst(lc) ? (char *) lfirst(lc) : "expr");
	}
	for (;;)
	{
		name = makeObjectName(rel->name, addition.len > 0 ? addition.data : NULL,
							  label);
		if (!is_taken(model, rel, name))
			return name;
		label = psprintf("%s%d", suffix, ++n);
	}
}

/* a walker: adds the name of each column once */
static bool
collect_column(Node *node, void *arg)
{
	List	  **columns = (List **) arg;
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		Node	   *last = llast(((ColumnRef *) node)->fields);

		foreach(lc, IsA(last, String) ? *columns : NIL)
			if (strcmp(lfirst(lc), strVal(last)) == 0)
			return false;
		if (IsA(last, String))
			*columns = lappend(*columns, pstrdup(strVal(last)));
		return false;
	}
	return raw_expression_tree_walker(node, collect_column, arg);
}

/* the columns that a raw CHECK names */
static List *
columns_of_check(Node *check)
{
	List	   *columns = NIL;

	(void) collect_column(check, &columns);
	return columns;
}

/* names of the columns of an exclusion constraint, NULL for an expression */
static List *
excluded_columns(List *exclusions)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, exclusions)
	{
		IndexElem  *element = linitial_node(IndexElem, lfirst_node(List, lc));

		columns = lappend(columns, element->name ? pstrdup(element->name) :
						  FigureIndexColname(element->expr));
	}
	return columns;
}

/* the name that a constraint gets, as the server chooses it */
static char *
name_of_constraint(MigLintModel *model, MigLintRel *rel,
				   const Constraint *constraint, char kind, List *columns)
{
	if (constraint->conname != NULL)
		return pstrdup(constraint->conname);
	if (constraint->indexname != NULL)
		return pstrdup(constraint->indexname);
	switch (kind)
	{
		case CONSTRAINT_PRIMARY:
			return mig_model_table_new_name(model, rel, NIL, "pkey");
		case CONSTRAINT_CHECK:
			columns = columns_of_check(constraint->raw_expr);
			return mig_model_table_new_name(model, rel,
											list_length(columns) == 1 ? columns : NIL,
											"check");
		case CONSTRAINT_FOREIGN:
			return mig_model_table_new_name(model, rel, columns, "fkey");
		case CONSTRAINT_UNIQUE:
			return mig_model_table_new_name(model, rel, columns, "key");
		default:
			return mig_model_table_new_name(model, rel,
											excluded_columns(constraint->exclusions),
											"excl");
	}
}

/* adds what is known of these columns; takes nothing away */
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

/* USING INDEX renames the index to the constraint, as the server does */
static void
add_unique(MigLintModel *model, MigLintRel *rel, const Constraint *constraint,
		   const char *name, List *columns)
{
	bool		primary = constraint->contype == CONSTR_PRIMARY;

	if (constraint->indexname != NULL)
	{
		if (strcmp(name, constraint->indexname) != 0)
		{
			MigLintRel *index = mig_model_find(model, rel->schema,
											   constraint->indexname);

			if (index != NULL)
				mig_model_move(model, index, rel->schema, name);
		}
		return;
	}
	add_index(model, rel, name, columns, true, NULL, true);
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
	made->other = -1;
	made->name = name_of_constraint(model, rel, constraint, made->kind, columns);
	if (made->kind == CONSTRAINT_CHECK)
	{
		made->columns =
			copy_to_model(mig_model_proved_columns(constraint->raw_expr));
		made->uses = columns_of_check(constraint->raw_expr);
	}
	else if (made->kind == CONSTRAINT_FOREIGN)
	{
		MigLintRel *other = mig_model_range(model, constraint->pktable);

		if (other != NULL)
			made->other = other->id;
	}
	rel->constraints = lappend(mig_model_constraints(model, rel), made);
	if (made->kind == CONSTRAINT_CHECK && made->valid)
		set_columns(model, rel, made->columns, false, true);
	else if (made->kind == CONSTRAINT_UNIQUE || made->kind == CONSTRAINT_PRIMARY)
		add_unique(model, rel, constraint, made->name, columns);
}

bool
mig_model_table_is_serial(const ColumnDef *column)
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
set_type(MigLintModel *model, MigLintColumn *column, const TypeName *type)
{
	bool		known;
	bool		made;

	column->typid = mig_model_type(model, type, &column->typmod, &known, &made);
	column->made_type = mig_model_made_type(model, type);
}

/* a column with the constraints and the sequence that come with it */
static void
add_column(MigLintModel *model, MigLintRel *rel, const ColumnDef *definition)
{
	MigLintColumn *column = palloc0(sizeof(MigLintColumn));
	bool		serial = mig_model_table_is_serial(definition);
	ListCell   *lc;

	column->name = pstrdup(definition->colname);
	column->not_null = definition->is_not_null || serial;
	column->has_default = serial;
	if (definition->typeName != NULL && !serial)
		set_type(model, column, definition->typeName);
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
					  mig_model_table_new_name(model, rel, list_make1(column->name), "seq"),
					  RELKIND_SEQUENCE);
}

/*
 * For LIKE and INHERITS; if the other table is not known, neither are all
 * columns of this one.
 */
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

void
mig_model_table_create(MigLintModel *model, const CreateStmt *stmt,
					   char relkind)
{
	const char *schema = mig_model_table_schema(model, stmt->relation);
	MigLintRel *rel;
	ListCell   *lc;

	if (stmt->if_not_exists &&
		mig_model_find(model, schema, stmt->relation->relname) != NULL)
		return;
	rel = mig_model_add(model, schema, stmt->relation->relname,
						stmt->partspec ? RELKIND_PARTITIONED_TABLE : relkind);
	rel->columns_known = stmt->ofTypename == NULL;
	rel->constraints_known = stmt->inhRelations == NIL && rel->columns_known;
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
		{
			copy_columns_of(model, rel, ((TableLikeClause *) element)->relation);
			rel->constraints_known = rel->constraints_known &&
				((TableLikeClause *) element)->options == 0;
		}
	}
	foreach(lc, stmt->tableElts)
	{
		if (IsA(lfirst(lc), Constraint))
			add_constraint(model, rel, lfirst(lc), NULL);
	}
	foreach(lc, stmt->constraints)
		add_constraint(model, rel, lfirst_node(Constraint, lc), NULL);
}

void
mig_model_table_index(MigLintModel *model, const IndexStmt *stmt)
{
	MigLintRel *rel = mig_model_range(model, stmt->relation);
	List	   *columns = NIL;
	List	   *name_columns = NIL;
	ListCell   *lc;

	if (rel == NULL)
		return;
	foreach(lc, stmt->indexParams)
	{
		IndexElem  *element = lfirst_node(IndexElem, lc);

		columns = lappend(columns, element->name ? pstrdup(element->name) : NULL);
		name_columns = lappend(name_columns, element->name ? element->name :
							   FigureIndexColname(element->expr));
	}
	if (stmt->if_not_exists && stmt->idxname != NULL &&
		mig_model_find(model, rel->schema, stmt->idxname) != NULL)
		return;
	add_index(model, rel, stmt->idxname ? stmt->idxname :
			  mig_model_table_new_name(model, rel, name_columns, "idx"), columns, stmt->unique,
			  stmt->whereClause,
			  stmt->accessMethod == NULL ||
			  strcmp(stmt->accessMethod, "btree") == 0);
}

/*
 * ALTER
 */

/* the server drops indexes that have a dropped column */
static void
drop_indexes_with(MigLintModel *model, MigLintRel *rel, const char *column)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, mig_model_indexes(model, rel))
	{
		MigLintIndex *index = (MigLintIndex *) lfirst(lc);

		foreach(lc2, index->columns)
		{
			MigLintRel *entry;

			if (lfirst(lc2) == NULL || strcmp(lfirst(lc2), column) != 0)
				continue;
			entry = index->name ?
				mig_model_find(model, rel->schema, index->name) : NULL;
			if (entry != NULL && entry->relkind == RELKIND_INDEX)
				entry->dropped = true;
			rel->indexes = foreach_delete_current(rel->indexes, lc);
			break;
		}
	}
}

/* by content; the list may have NULLs */
static bool
is_in(List *strings, const char *string)
{
	ListCell   *lc;

	foreach(lc, strings)
	{
		if (lfirst(lc) != NULL && strcmp(lfirst(lc), string) == 0)
			return true;
	}
	return false;
}

static void
remember_no_constraint(MigLintModel *model, const MigLintRel *rel,
					   const char *name)
{
	model->gone = lappend(model->gone,
						  psprintf("constraint:%s.%s", rel->name, name));
}

/* with the column go its indexes and the constraints that have it */
static void
model_drop_column(MigLintModel *model, MigLintRel *rel, const char *name)
{
	MigLintColumn *column = mig_model_column(model, rel, name);
	ListCell   *lc;

	if (column != NULL)
		rel->columns = list_delete_ptr(rel->columns, column);
	drop_indexes_with(model, rel, name);
	foreach(lc, mig_model_constraints(model, rel))
	{
		MigLintConstraint *constraint = (MigLintConstraint *) lfirst(lc);

		if (!is_in(constraint->columns, name) && !is_in(constraint->uses, name))
			continue;
		if (constraint->name != NULL)
			remember_no_constraint(model, rel, constraint->name);
		rel->constraints = foreach_delete_current(rel->constraints, lc);
	}
}

/* with its index, if it has one */
static void
drop_constraint(MigLintModel *model, MigLintRel *rel, const char *name)
{
	MigLintConstraint *constraint = mig_model_constraint(model, rel, name);
	MigLintRel *index = mig_model_find(model, rel->schema, name);
	ListCell   *lc;

	if (constraint != NULL)
		rel->constraints = list_delete_ptr(rel->constraints, constraint);
	remember_no_constraint(model, rel, name);
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

/*
 * A valid CHECK of the plan proves NOT NULL of its columns, one of the catalog
 * is asked for later.
 */
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

	if (column != NULL && definition->typeName != NULL)
		set_type(model, column, definition->typeName);
}

/* what a command of ALTER TABLE changes in a column */
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

/* let the model follow one command of ALTER TABLE */
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
			model_drop_column(model, rel, command->name);
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

static bool
is_drop(const AlterTableCmd *command)
{
	return command->subtype == AT_DropColumn ||
		command->subtype == AT_DropConstraint;
}

void
mig_model_table_alter(MigLintModel *model, const AlterTableStmt *stmt)
{
	MigLintRel *rel = mig_model_range(model, stmt->relation);
	ListCell   *lc;

	if (rel == NULL)
		return;

	/* what is dropped goes first, wherever it stands */
	foreach(lc, stmt->cmds)
		if (is_drop(lfirst_node(AlterTableCmd, lc)))
		alter_table_command(model, rel, lfirst(lc));
	foreach(lc, stmt->cmds)
		if (!is_drop(lfirst_node(AlterTableCmd, lc)))
		alter_table_command(model, rel, lfirst(lc));
}

/* a copy of the names with the new one in the place of the old one */
static List *
rename_in_list(List *names, const RenameStmt *stmt)
{
	List	   *copy = list_copy(names);
	ListCell   *lc;

	foreach(lc, copy)
	{
		if (lfirst(lc) != NULL && strcmp(lfirst(lc), stmt->subname) == 0)
			lfirst(lc) = pstrdup(stmt->newname);
	}
	return copy;
}

void
mig_model_table_rename_column(MigLintModel *model, const RenameStmt *stmt)
{
	MigLintRel *rel = mig_model_range(model, stmt->relation);
	MigLintColumn *column = rel ?
		mig_model_column(model, rel, stmt->subname) : NULL;
	ListCell   *lc;
	ListCell   *lc2;

	if (column == NULL)
		return;
	column->name = pstrdup(stmt->newname);

	/* entries may be shared with the model that this is an overlay of */
	foreach(lc, mig_model_constraints(model, rel))
	{
		MigLintConstraint *constraint = palloc(sizeof(MigLintConstraint));

		*constraint = *(MigLintConstraint *) lfirst(lc);
		constraint->columns = rename_in_list(constraint->columns, stmt);
		constraint->uses = rename_in_list(constraint->uses, stmt);
		lfirst(lc) = constraint;
	}
	foreach(lc, mig_model_indexes(model, rel))
	{
		MigLintIndex *index = palloc(sizeof(MigLintIndex));

		*index = *(MigLintIndex *) lfirst(lc);
		index->columns = rename_in_list(index->columns, stmt);
		index->implied_by = list_copy(index->implied_by);
		foreach(lc2, index->implied_by)
			lfirst(lc2) = rename_in_list(lfirst(lc2), stmt);
		lfirst(lc) = index;
	}
}

void
mig_model_table_rename_constraint(MigLintModel *model, const RenameStmt *stmt)
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
