/*-------------------------------------------------------------------------
 *
 * rules_column.c
 *	  Rules about columns that are added or changed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"

#include "base/compat.h"
#include "lint/rules.h"

/* the columns that a statement adds to a table with rows; also that table */
static List *
added_columns(MigLint *lint, Node *stmt, MigLintRel **rel)
{
	List	   *columns = NIL;
	ListCell   *lc;

	*rel = mig_lint_altered(lint, stmt);
	if (mig_lint_is_harmless(lint, *rel))
		return NIL;
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype != AT_AddColumn ||
			(command->missing_ok &&
			 mig_model_column(lint->model, *rel,
							  ((ColumnDef *) command->def)->colname) != NULL))
			continue;
		columns = lappend(columns, command->def);
	}
	return columns;
}

/* the first one of this kind, or NULL */
static const Constraint *
column_constraint(const ColumnDef *column, ConstrType kind)
{
	ListCell   *lc;

	foreach(lc, column->constraints)
	{
		if (lfirst_node(Constraint, lc)->contype == kind)
			return lfirst(lc);
	}
	return NULL;
}

static Oid
type_of(MigLint *lint, const ColumnDef *column)
{
	int32		typmod;
	bool		known;
	bool		made;

	return column->typeName == NULL ? InvalidOid :
		mig_model_type(lint->model, column->typeName, &typmod, &known, &made);
}

static void
add_column_volatile_default(MigLint *lint, Node *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;

	foreach(lc, added_columns(lint, stmt, &rel))
	{
		ColumnDef  *column = lfirst_node(ColumnDef, lc);
		const Constraint *value = column_constraint(column, CONSTR_DEFAULT);
		char	   *name = mig_lint_name(lint, rel);

		if (value == NULL || !mig_model_is_volatile(lint->model, value->raw_expr))
			continue;
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("the default of %s is computed for each row, which rewrites table %s under ACCESS EXCLUSIVE (%s): nobody can read or write it",
								 mig_lint_quote(column->colname), name,
								 mig_lint_how_much(lint, rel)),
						psprintf("ALTER TABLE %s ADD COLUMN %s ...;\n"
								 "-- for new rows; then fill the old ones in batches:\n"
								 "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT ...;",
								 name, mig_lint_quote(column->colname), name,
								 mig_lint_quote(column->colname)));
	}
}

/*
 * Why adding the column rewrites the table, as a part of the message, or NULL.
 */
static const char *
rewriting_kind(MigLint *lint, const ColumnDef *column)
{
	const Constraint *generated = column_constraint(column, CONSTR_GENERATED);
	MigLintDomain domain;

	if (mig_model_table_is_serial(column))
		return "serial";
	if (column_constraint(column, CONSTR_IDENTITY) != NULL)
		return "an identity";
	if (generated != NULL && MIG_IS_STORED(generated))
		return "a stored generated column";
	if (column->typeName == NULL)
		return NULL;
	mig_model_domain(lint->model, column->typeName, &domain);
	if (domain.checked)
		return "a domain with a constraint";
	if (domain.volatile_default &&
		column_constraint(column, CONSTR_DEFAULT) == NULL)
		return "a domain whose default is computed for each row";
	return NULL;
}

static void
add_column_rewrites(MigLint *lint, Node *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;

	foreach(lc, added_columns(lint, stmt, &rel))
	{
		ColumnDef  *column = lfirst_node(ColumnDef, lc);
		const char *kind = rewriting_kind(lint, column);

		if (kind == NULL)
			continue;
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("%s is %s, which rewrites table %s under ACCESS EXCLUSIVE (%s): nobody can read or write it",
								 mig_lint_quote(column->colname), kind,
								 mig_lint_name(lint, rel),
								 mig_lint_how_much(lint, rel)),
						psprintf("Add %s as a plain column, have a default or a trigger fill it for new rows, and fill the old ones in batches.",
								 mig_lint_quote(column->colname)));
	}
}

static void
add_column_not_null(MigLint *lint, Node *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;

	foreach(lc, added_columns(lint, stmt, &rel))
	{
		ColumnDef  *column = lfirst_node(ColumnDef, lc);

		if ((column_constraint(column, CONSTR_NOTNULL) == NULL &&
			 column_constraint(column, CONSTR_PRIMARY) == NULL) ||
			column_constraint(column, CONSTR_DEFAULT) != NULL ||
			column_constraint(column, CONSTR_IDENTITY) != NULL ||
			column_constraint(column, CONSTR_GENERATED) != NULL ||
			mig_model_table_is_serial(column))
			continue;
		mig_lint_report(lint, mig_lint_foretold(lint), rel,
						psprintf("%s is NOT NULL without a default: that fails because %s has rows",
								 mig_lint_quote(column->colname),
								 mig_lint_name(lint, rel)),
						psprintf("-- or add it without NOT NULL and fill it first:\n"
								 "ALTER TABLE %s ADD COLUMN %s ... NOT NULL DEFAULT ...;",
								 mig_lint_name(lint, rel),
								 mig_lint_quote(column->colname)));
	}
}

/* the SQL to do it without blocking reads and writes */
static char *
unique_column_in_steps(MigLint *lint, const MigLintRel *rel,
					   const ColumnDef *column)
{
	const char *quoted = mig_lint_quote(column->colname);
	char	   *table = mig_lint_name(lint, rel);
	bool		primary = column_constraint(column, CONSTR_PRIMARY) != NULL;
	const char *name = primary ? mig_lint_new_name(lint, rel, NIL, "pkey") :
		mig_lint_new_name(lint, rel, list_make1(column->colname), "key");

	return psprintf("ALTER TABLE %s ADD COLUMN %s ...;"
					"\n-- in the next migration, by CALL migrate.apply_each():\n"
					"CREATE UNIQUE INDEX CONCURRENTLY %s ON %s (%s);"
					MIG_LINT_NEXT
					"ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s;",
					table, quoted, name, table, quoted, table, name,
					primary ? "PRIMARY KEY" : "UNIQUE", name);
}

/* the SQL to do it without reading the rows under ACCESS EXCLUSIVE */
static char *
check_in_steps(MigLint *lint, const MigLintRel *rel, const ColumnDef *column)
{
	char	   *table = mig_lint_name(lint, rel);
	const char *name = mig_lint_new_name(lint, rel, list_make1(column->colname),
										 "check");

	return psprintf("ALTER TABLE %s ADD COLUMN %s ...;\n"
					"ALTER TABLE %s ADD CONSTRAINT %s CHECK (...) NOT VALID;"
					MIG_LINT_NEXT "ALTER TABLE %s VALIDATE CONSTRAINT %s;",
					table, mig_lint_quote(column->colname), table, name, table,
					name);
}

static void
add_column_unique(MigLint *lint, Node *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;

	mig_lint_without_children(lint);
	foreach(lc, added_columns(lint, stmt, &rel))
	{
		ColumnDef  *column = lfirst_node(ColumnDef, lc);

		/* the server refuses what has not all columns of the partition key */
		if ((column_constraint(column, CONSTR_UNIQUE) == NULL &&
			 column_constraint(column, CONSTR_PRIMARY) == NULL) ||
			rel->relkind == RELKIND_PARTITIONED_TABLE)
			continue;
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("the unique index of %s is built on table %s under ACCESS EXCLUSIVE (%s): nobody can read or write it",
								 mig_lint_quote(column->colname),
								 mig_lint_name(lint, rel),
								 mig_lint_how_much(lint, rel)),
						unique_column_in_steps(lint, rel, column));
	}
}

static void
add_column_check(MigLint *lint, Node *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;

	foreach(lc, added_columns(lint, stmt, &rel))
	{
		ColumnDef  *column = lfirst_node(ColumnDef, lc);

		if (column_constraint(column, CONSTR_CHECK) == NULL)
			continue;
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("the CHECK of %s reads table %s under ACCESS EXCLUSIVE (%s): nobody can read or write it",
								 mig_lint_quote(column->colname),
								 mig_lint_name(lint, rel),
								 mig_lint_how_much(lint, rel)),
						check_in_steps(lint, rel, column));
	}
}

static void
add_json_column(MigLint *lint, Node *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;

	foreach(lc, added_columns(lint, stmt, &rel))
	{
		ColumnDef  *column = lfirst_node(ColumnDef, lc);

		if (type_of(lint, column) != JSONOID)
			continue;
		mig_lint_report(lint, MIG_LINT_WARNING, rel,
						psprintf("%s is json, which has no equality: SELECT DISTINCT and GROUP BY over all columns of %s will fail",
								 mig_lint_quote(column->colname),
								 mig_lint_name(lint, rel)),
						"Use jsonb.");
	}
}


/*
 * Changes of type
 */

/* is USING nothing but the cast of the column to the type? */
static bool
is_plain_cast(const ColumnDef *definition, const char *column)
{
	Node	   *using = definition->raw_default;
	Node	   *argument = using;

	if (IsA(using, TypeCast))
	{
		if (!equal(((TypeCast *) using)->typeName->names,
				   definition->typeName->names) ||
			!equal(((TypeCast *) using)->typeName->typmods,
				   definition->typeName->typmods))
			return false;
		argument = ((TypeCast *) using)->arg;
	}
	return IsA(argument, ColumnRef) &&
		list_length(((ColumnRef *) argument)->fields) == 1 &&
		IsA(linitial(((ColumnRef *) argument)->fields), String) &&
		strcmp(strVal(linitial(((ColumnRef *) argument)->fields)), column) == 0;
}

/* a USING that is no plain cast always rewrites */
static MigLintCast
effect_of_type(MigLint *lint, const MigLintColumn *column,
			   const ColumnDef *definition)
{
	int32		typmod;
	bool		known;
	bool		made;
	Oid			type = mig_model_type(lint->model, definition->typeName,
									  &typmod, &known, &made);

	if (definition->raw_default != NULL &&
		!is_plain_cast(definition, column->name))
		return MIG_CAST_REWRITE;
	if (!OidIsValid(type) || !known)
		return MIG_CAST_UNKNOWN;
	return mig_facts_cast(column, type, typmod,
						  definition->collClause != NULL,
						  definition->raw_default != NULL &&
						  IsA(definition->raw_default, TypeCast));
}

/* by content; the list may have NULLs */
static bool
list_mentions(List *strings, const char *wanted)
{
	ListCell   *lc;

	foreach(lc, strings)
	{
		if (lfirst(lc) != NULL && strcmp(lfirst(lc), wanted) == 0)
			return true;
	}
	return false;
}

/* as a key column of an index, partial ones included */
static bool
is_indexed(MigLint *lint, MigLintRel *rel, const char *column)
{
	ListCell   *lc;

	foreach(lc, mig_model_indexes(lint->model, rel))
	{
		if (list_mentions(((MigLintIndex *) lfirst(lc))->columns, column))
			return true;
	}
	return false;
}

/* by a CHECK of the table, valid or not */
static bool
is_checked(MigLint *lint, MigLintRel *rel, const char *column)
{
	ListCell   *lc;

	foreach(lc, mig_model_constraints(lint->model, rel))
	{
		MigLintConstraint *constraint = (MigLintConstraint *) lfirst(lc);

		if (constraint->kind == 'c' &&
			list_mentions(constraint->columns, column))
			return true;
	}
	return false;
}

/* report what ALTER COLUMN TYPE with this effect does */
static void
report_type_change(MigLint *lint, MigLintRel *rel, const char *column,
				   MigLintCast effect)
{
	const char *name = mig_lint_name(lint, rel);
	const char *column_name = mig_lint_quote(column);

	if (effect == MIG_CAST_MISSING)
		mig_lint_report(lint, mig_lint_foretold(lint), rel,
						psprintf("the type of %s cannot be changed to the new one without USING",
								 column_name),
						psprintf("ALTER TABLE %s ALTER COLUMN %s TYPE ... USING ...;",
								 name, column_name));
	else if (effect == MIG_CAST_REWRITE)
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("the new type of %s rewrites table %s under ACCESS EXCLUSIVE (%s), and its indexes: nobody can read or write it",
								 column_name, name, mig_lint_how_much(lint, rel)),
						psprintf("Add a new column, have a trigger fill it from %s, fill the old rows in batches, then use the new one and drop %s.",
								 column_name, column_name));
	else if (effect == MIG_CAST_UNKNOWN)
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("the new type of %s may rewrite table %s under ACCESS EXCLUSIVE (%s), and its indexes: this depends on a type or cast that is not built in",
								 column_name, name, mig_lint_how_much(lint, rel)),
						"migrate.rehearse() finds out.");
	else if (effect == MIG_CAST_INDEXES && is_indexed(lint, rel, column))
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("the new type of %s rebuilds its indexes on table %s under ACCESS EXCLUSIVE (%s): nobody can read or write it",
								 column_name, name, mig_lint_how_much(lint, rel)),
						"Drop the indexes before, and create them CONCURRENTLY after.");
	else if (is_checked(lint, rel, column))
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("%s has a CHECK, so the new type reads table %s under ACCESS EXCLUSIVE (%s): nobody can read or write it",
								 column_name, name, mig_lint_how_much(lint, rel)),
						"Drop the CHECK before, and add it again NOT VALID and validate it after.");
}

static void
change_type_rewrites(MigLint *lint, Node *stmt)
{
	MigLintRel *rel = mig_lint_altered(lint, stmt);
	ListCell   *lc;

	if (rel == NULL || mig_lint_is_harmless(lint, rel) ||
		rel->relkind == RELKIND_VIEW)
		return;
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		MigLintColumn *column;

		if (command->subtype != AT_AlterColumnType)
			continue;
		column = mig_model_column(lint->model, rel, command->name);
		if (column != NULL && ((ColumnDef *) command->def)->typeName != NULL)
			report_type_change(lint, rel, column->name,
							   effect_of_type(lint, column,
											  (ColumnDef *) command->def));
	}
}

static void
drop_not_null(MigLint *lint, Node *stmt)
{
	MigLintRel *rel = mig_lint_altered(lint, stmt);
	ListCell   *lc;

	if (lint->part != MIG_UP || mig_lint_is_harmless(lint, rel))
		return;
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype != AT_DropNotNull)
			continue;
		mig_lint_report(lint, MIG_LINT_NOTE, rel,
						psprintf("programs that read %s of %s may not expect nulls",
								 mig_lint_quote(command->name),
								 mig_lint_name(lint, rel)),
						"Make sure that all programs that read the column can handle nulls.");
	}
}

const MigLintRule mig_rules_column[] = {
	{"add-column-volatile-default", true, false, T_AlterTableStmt, add_column_volatile_default},
	{"add-column-rewrites", true, false, T_AlterTableStmt, add_column_rewrites},
	{"add-column-not-null", false, false, T_AlterTableStmt, add_column_not_null},
	{"add-column-unique", true, false, T_AlterTableStmt, add_column_unique},
	{"add-column-check", true, false, T_AlterTableStmt, add_column_check},
	{"add-json-column", false, false, T_AlterTableStmt, add_json_column},
	{"change-type-rewrites", true, false, T_AlterTableStmt, change_type_rewrites},
	{"drop-not-null", false, false, T_AlterTableStmt, drop_not_null},
	{NULL, false, false, T_Invalid, NULL}
};
