/*-------------------------------------------------------------------------
 *
 * rules_drop.c
 *	  Rules about what goes: dropped, renamed, emptied, overwritten.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "lib/stringinfo.h"

#include "lint/rules.h"

/* uses that are named in one message */
#define MAX_NAMED 5

/* data goes for good: an error if there is much of it */
static MigSeverity
loss_severity(MigLint *lint, MigLintRel *rel)
{
	MigSeverity severity = mig_lint_scale(lint, rel);

	return severity == MIG_LINT_NOTE ? MIG_LINT_WARNING : severity;
}

static bool
is_table_of_rows(const MigLintRel *rel)
{
	return rel->relkind == RELKIND_RELATION ||
		rel->relkind == RELKIND_PARTITIONED_TABLE;
}

static void
drop_table(MigLint *lint, Node *node)
{
	DropStmt   *stmt = (DropStmt *) node;
	ListCell   *lc;

	if (stmt->removeType != OBJECT_TABLE || lint->part != MIG_UP)
		return;
	foreach(lc, stmt->objects)
	{
		MigLintRel *rel = mig_model_names(lint->model, lfirst(lc));

		if (!mig_lint_is_harmless(lint, rel))
			mig_lint_report(lint, loss_severity(lint, rel), rel,
							psprintf("DROP TABLE %s loses its rows (%s), and programs that still use it fail",
									 mig_lint_name(lint, rel),
									 mig_lint_how_much(lint, rel)),
							"Rename it in a release that does not use it any more, keep a copy of the rows, and drop it later.");
	}
}

static void
check_drop_column(MigLint *lint, Node *stmt)
{
	MigLintRel *rel = mig_lint_altered(lint, stmt);
	ListCell   *lc;

	if (lint->part != MIG_UP || mig_lint_is_harmless(lint, rel))
		return;
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		MigLintColumn *column;

		if (command->subtype != AT_DropColumn)
			continue;
		column = mig_model_column(lint->model, rel, command->name);
		if (column == NULL || column->attnum == 0)
			continue;
		mig_lint_report(lint, MIG_LINT_WARNING, rel,
						psprintf("DROP COLUMN %s loses its values, and programs that still name it fail",
								 mig_lint_quote(command->name)),
						"First let no program use the column any more, then drop it in a later release.");
	}
}

static void
drop_schema(MigLint *lint, Node *node)
{
	DropStmt   *stmt = (DropStmt *) node;
	ListCell   *lc;

	if (stmt->removeType != OBJECT_SCHEMA || stmt->behavior != DROP_CASCADE)
		return;
	foreach(lc, stmt->objects)
	{
		const char *name = strVal(lfirst(lc));

		if (OidIsValid(mig_facts_schema(name)))
			mig_lint_report(lint, MIG_LINT_ERROR, NULL,
							psprintf("DROP SCHEMA %s CASCADE drops everything that is in it at that moment",
									 mig_lint_quote(name)),
							"Drop its objects by name, then the schema without CASCADE.");
	}
}

static void
drop_database(MigLint *lint, Node *node)
{
	mig_lint_report(lint, MIG_LINT_ERROR, NULL,
					"DROP DATABASE cannot be undone, and does not change this database",
					"Run it by hand.");
}

static void
truncate_loses_rows(MigLint *lint, Node *node)
{
	TruncateStmt *stmt = (TruncateStmt *) node;
	ListCell   *lc;

	if (lint->part != MIG_UP)
		return;
	foreach(lc, stmt->relations)
	{
		MigLintRel *rel = mig_model_range(lint->model, lfirst_node(RangeVar, lc));

		if (!mig_lint_is_harmless(lint, rel))
			mig_lint_report(lint, loss_severity(lint, rel), rel,
							psprintf("TRUNCATE loses the rows of %s (%s)",
									 mig_lint_name(lint, rel),
									 mig_lint_how_much(lint, rel)),
							"Keep a copy of the rows, or delete those that are not needed in batches.");
	}
}

static void
truncate_cascade(MigLint *lint, Node *node)
{
	TruncateStmt *stmt = (TruncateStmt *) node;
	ListCell   *lc;

	if (stmt->behavior != DROP_CASCADE)
		return;
	foreach(lc, stmt->relations)
	{
		MigLintRel *rel = mig_model_range(lint->model, lfirst_node(RangeVar, lc));

		if (rel != NULL && OidIsValid(rel->oid))
			mig_lint_report(lint, MIG_LINT_ERROR, rel,
							psprintf("TRUNCATE CASCADE also empties every table that refers to %s",
									 mig_lint_name(lint, rel)),
							"Name all tables that are to be emptied.");
	}
}

/* UPDATE and DELETE of everything */
static void
write_all_rows(MigLint *lint, Node *stmt)
{
	bool		update = IsA(stmt, UpdateStmt);
	RangeVar   *range;
	MigLintRel *rel;

	if (!update && !IsA(stmt, DeleteStmt))
		return;
	if ((update ? ((UpdateStmt *) stmt)->whereClause :
		 ((DeleteStmt *) stmt)->whereClause) != NULL)
		return;
	range = update ? ((UpdateStmt *) stmt)->relation :
		((DeleteStmt *) stmt)->relation;
	rel = mig_model_range(lint->model, range);
	if (mig_lint_is_harmless(lint, rel))
		return;
	mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
					psprintf("%s of all rows of %s (%s) locks them until the migration ends",
							 update ? "UPDATE" : "DELETE",
							 mig_lint_name(lint, rel),
							 mig_lint_how_much(lint, rel)),
					"Do it in batches of a few thousand rows, each in a transaction of its own, outside of the migration that changes the schema.");
}


/*
 * Names
 */

static void
rename_column(MigLint *lint, Node *node)
{
	RenameStmt *stmt = (RenameStmt *) node;
	MigLintRel *rel;

	if (stmt->renameType != OBJECT_COLUMN || lint->part != MIG_UP)
		return;
	rel = mig_model_range(lint->model, stmt->relation);
	if (rel == NULL || !is_table_of_rows(rel) ||
		mig_lint_is_harmless(lint, rel))
		return;
	mig_lint_report(lint, MIG_LINT_WARNING, rel,
					psprintf("programs that still use %s as the name of the column fail",
							 mig_lint_quote(stmt->subname)),
					psprintf("Add a column %s, have a trigger keep both equal, move the programs, then drop %s. Or give %s a view with both names.",
							 mig_lint_quote(stmt->newname),
							 mig_lint_quote(stmt->subname),
							 mig_lint_name(lint, rel)));
}

static void
rename_table(MigLint *lint, Node *node)
{
	RenameStmt *stmt = (RenameStmt *) node;
	MigLintRel *rel;

	if (stmt->renameType != OBJECT_TABLE || lint->part != MIG_UP)
		return;
	rel = mig_model_range(lint->model, stmt->relation);
	if (rel == NULL || mig_lint_is_harmless(lint, rel))
		return;
	mig_lint_report(lint, MIG_LINT_WARNING, rel,
					psprintf("programs that still use %s as the name of the table fail",
							 mig_lint_quote(stmt->relation->relname)),
					psprintf("In the same migration, CREATE VIEW %s AS SELECT * FROM %s, which can be written to, and drop it later.",
							 mig_lint_quote(stmt->relation->relname),
							 mig_lint_quote(stmt->newname)));
}

static void
rename_schema(MigLint *lint, Node *node)
{
	RenameStmt *stmt = (RenameStmt *) node;

	if (stmt->renameType != OBJECT_SCHEMA || lint->part != MIG_UP ||
		!OidIsValid(mig_facts_schema(stmt->subname)))
		return;
	mig_lint_report(lint, MIG_LINT_WARNING, NULL,
					psprintf("programs that still use %s as the name of the schema fail",
							 mig_lint_quote(stmt->subname)),
					"Make a new schema and move what is in it step by step.");
}

static void
check_move_to_schema(MigLint *lint, Node *node)
{
	AlterObjectSchemaStmt *stmt = (AlterObjectSchemaStmt *) node;
	MigLintRel *rel;

	if (stmt->objectType != OBJECT_TABLE || lint->part != MIG_UP)
		return;
	rel = mig_model_range(lint->model, stmt->relation);
	if (mig_lint_is_harmless(lint, rel))
		return;
	mig_lint_report(lint, MIG_LINT_WARNING, rel,
					psprintf("programs that look for %s in schema %s fail",
							 mig_lint_quote(rel->name),
							 mig_lint_quote(rel->schema)),
					psprintf("In the same migration, CREATE VIEW %s.%s AS SELECT * FROM %s.%s, and drop it later.",
							 mig_lint_quote(rel->schema),
							 mig_lint_quote(rel->name),
							 mig_lint_quote(stmt->newschema),
							 mig_lint_quote(rel->name)));
}


/*
 * Who uses it
 */

/* has the plan dropped it, so that it does not block the drop? */
static bool
is_gone(MigLint *lint, const MigLintUse *use)
{
	char	   *table = mig_facts_relation_name(use->relation);
	char	   *schema = mig_facts_schema_of(use->relation);

	if (strcmp(use->kind, "function") == 0 || strcmp(use->kind, "type") == 0)
		return mig_model_is_gone(lint->model, use->kind, use->subname);
	if (table != NULL && strcmp(use->kind, "attribute") == 0)
		return mig_model_is_gone(lint->model, "type", table);
	if (table == NULL || schema == NULL ||
		mig_model_is_gone(lint->model, "schema", schema) ||
		mig_model_find(lint->model, schema, table) == NULL)
		return true;
	/* what the plan's own query of it uses is looked at by itself */
	if (use->subname == NULL)
		return mig_model_find(lint->model, schema, table)->redefined;
	if (strcmp(use->kind, "foreign key") == 0)
		return mig_model_is_gone(lint->model, "constraint",
								 psprintf("%s.%s", table, use->subname));
	if (strcmp(use->kind, "generated column") == 0)
		return mig_model_column(lint->model,
								mig_model_find(lint->model, schema, table),
								use->subname) == NULL;
	return mig_model_is_gone(lint->model, use->kind,
							 psprintf("%s.%s", table, use->subname));
}

/* does the body make or drop a function of that name after this statement? */
static bool
is_replaced_later(const MigLint *lint, const char *name)
{
	char	   *schema;
	ListCell   *lc;
	int			i;

	for (i = lint->statement + 1; i < list_length(lint->trees); i++)
	{
		Node	   *stmt = list_nth_node(RawStmt, lint->trees, i)->stmt;

		if (IsA(stmt, CreateFunctionStmt) &&
			strcmp(mig_model_last_name(((CreateFunctionStmt *) stmt)->funcname,
									   &schema), name) == 0)
			return true;
		if (!IsA(stmt, DropStmt) ||
			((DropStmt *) stmt)->removeType != OBJECT_FUNCTION)
			continue;
		foreach(lc, ((DropStmt *) stmt)->objects)
		{
			ObjectWithArgs *function = lfirst_node(ObjectWithArgs, lc);

			if (strcmp(mig_model_last_name(function->objname, &schema),
					   name) == 0)
				return true;
		}
	}
	return false;
}

/*
 * The functions whose text mentions these words, but for those that the plan
 * drops or replaces.
 */
static List *
functions_with(MigLint *lint, const char *word1, const char *word2)
{
	List	   *found = NIL;
	ListCell   *lc;

	if (!lint->functions_read)
	{
		MemoryContext old = MemoryContextSwitchTo(lint->context);

		lint->functions = mig_uses_functions();
		lint->functions_read = true;
		MemoryContextSwitchTo(old);
	}
	foreach(lc, lint->functions)
	{
		MigLintFunction *function = (MigLintFunction *) lfirst(lc);

		if (mig_uses_mentions(function, word1, word2) &&
			!mig_model_is_gone(lint->model, "function", function->name) &&
			!is_replaced_later(lint, function->name))
			found = lappend(found, psprintf("function %s.%s",
											mig_lint_quote(function->schema),
											mig_lint_quote(function->name)));
	}
	return found;
}

/* "view a, function b and 3 more" */
static char *
some_of(List *names)
{
	StringInfoData text;
	ListCell   *lc;
	int			n = 0;

	initStringInfo(&text);
	foreach(lc, names)
	{
		if (n == MAX_NAMED)
			break;
		appendStringInfo(&text, "%s%s", n++ > 0 ? ", " : "",
						 (char *) lfirst(lc));
	}
	if (list_length(names) > n)
		appendStringInfo(&text, " and %d more", list_length(names) - n);
	return text.data;
}

/* to the table of this name, in whatever schema */
static bool
adds_column(Node *stmt, const char *table, const char *column)
{
	ListCell   *lc;

	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddColumn &&
			strcmp(((AlterTableStmt *) stmt)->relation->relname, table) == 0 &&
			strcmp(((ColumnDef *) command->def)->colname, column) == 0)
			return true;
	}
	return false;
}

/* does the body make something of that name after this statement? */
static bool
is_made_again(const MigLint *lint, const char *table, const char *column)
{
	int			i;

	for (i = lint->statement; i < list_length(lint->trees); i++)
	{
		Node	   *stmt = list_nth_node(RawStmt, lint->trees, i)->stmt;
		const RangeVar *made = NULL;

		if (column != NULL && adds_column(stmt, table, column))
			return true;
		if (IsA(stmt, CreateStmt))
			made = ((CreateStmt *) stmt)->relation;
		else if (IsA(stmt, ViewStmt))
			made = ((ViewStmt *) stmt)->view;
		else if (IsA(stmt, CreateTableAsStmt))
			made = ((CreateTableAsStmt *) stmt)->into->rel;
		if (made != NULL && strcmp(made->relname, table) == 0)
			return true;
		if (IsA(stmt, RenameStmt) && i > lint->statement &&
			((RenameStmt *) stmt)->renameType == OBJECT_TABLE &&
			strcmp(((RenameStmt *) stmt)->newname, table) == 0)
			return true;
	}
	return false;
}

/* a finding if there is anything in the way */
static void
report_blocking(MigLint *lint, MigLintRel *rel, const char *what,
				bool cascade, List *blocking)
{
	if (blocking != NIL)
		mig_lint_report(lint, cascade ? MIG_LINT_WARNING : MIG_LINT_ERROR, rel,
						psprintf(cascade ? "CASCADE also drops what uses %s: %s" :
								 "the server will refuse to drop %s, which is used by %s",
								 what, some_of(blocking)),
						"First drop by name what uses it, or change it so that it does not.");
}

/* foreign keys and views of the plan that need the relation */
static List *
uses_of_plan(MigLint *lint, const MigLintRel *rel, List *also_dropped)
{
	List	   *uses = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, mig_model_all(lint->model))
	{
		MigLintRel *other = (MigLintRel *) lfirst(lc);

		if (other->id == rel->id || list_member_int(also_dropped, other->id))
			continue;
		if (list_member_int(other->reads, rel->id))
			uses = lappend(uses, psprintf("view %s", mig_lint_name(lint, other)));
		foreach(lc2, other->constraints)
		{
			MigLintConstraint *constraint = (MigLintConstraint *) lfirst(lc2);

			if (constraint->kind == CONSTRAINT_FOREIGN &&
				constraint->other == rel->id)
				uses = lappend(uses, psprintf("foreign key %s of %s",
											  mig_lint_quote(constraint->name),
											  mig_lint_name(lint, other)));
		}
	}
	return uses;
}

/*
 * Views of the plan that show the column, or look at it.  Of a view of several
 * relations it is not known whose columns it names, nor of "*" which columns
 * there were.
 */
static List *
views_of_plan_with(MigLint *lint, const MigLintRel *rel,
				   const MigLintColumn *column)
{
	List	   *views = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, mig_model_all(lint->model))
	{
		MigLintRel *view = (MigLintRel *) lfirst(lc);

		if (list_length(view->reads) != 1 || linitial_int(view->reads) != rel->id)
			continue;
		foreach(lc2, view->reads_columns)
		{
			const char *name = (const char *) lfirst(lc2);

			if (strcmp(name, column->name) != 0 &&
				(strcmp(name, "*") != 0 || column->attnum == 0))
				continue;
			views = lappend(views, psprintf("view %s", mig_lint_name(lint, view)));
			break;
		}
	}
	return views;
}

/* column NULL: the table; relations in also_dropped (ids) do not block it */
static void
report_uses(MigLint *lint, MigLintRel *rel, MigLintColumn *column,
			bool renamed, bool cascade, List *also_dropped)
{
	bool		stored = OidIsValid(rel->oid) &&
		(column == NULL || column->attnum > 0);
	List	   *blocking = NIL;
	List	   *names = NIL;
	ListCell   *lc;
	const char *what = column ? psprintf("column %s of %s",
										 mig_lint_quote(column->name),
										 mig_lint_name(lint, rel)) :
		psprintf("%s", mig_lint_name(lint, rel));

	if (column == NULL && !renamed)
		blocking = uses_of_plan(lint, rel, also_dropped);
	else if (!renamed)
		blocking = views_of_plan_with(lint, rel, column);

	/* the server keeps names that it knows of up to date itself */
	foreach(lc, renamed || !stored ? NIL :
			mig_uses_of(rel->oid, column ? column->attnum : 0))
	{
		MigLintUse *use = (MigLintUse *) lfirst(lc);
		MigLintRel *user = !OidIsValid(use->relation) ? NULL :
			mig_lint_relation(lint, use->relation);

		if (use->blocks && !is_gone(lint, use) &&
			(user == NULL || !list_member_int(also_dropped, user->id)))
			blocking = lappend(blocking, psprintf("%s %s", use->kind, use->name));
	}
	report_blocking(lint, rel, what, cascade, blocking);
	if (stored &&
		!is_made_again(lint, rel->name, column ? column->name : NULL))
		names = functions_with(lint, rel->name, column ? column->name : NULL);
	if (names != NIL)
		mig_lint_report(lint, MIG_LINT_WARNING, rel,
						psprintf("%s is named in the text of %s, which will fail when it is called",
								 what, some_of(names)),
						"Replace the function in the same migration.");
}

/* what the same statement drops does not count as a user */
static void
still_used_by_drop(MigLint *lint, DropStmt *stmt)
{
	List	   *dropped = NIL;
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		MigLintRel *rel = mig_model_names(lint->model, lfirst(lc));

		if (rel != NULL)
			dropped = lappend_int(dropped, rel->id);
	}
	foreach(lc, stmt->objects)
	{
		MigLintRel *rel = mig_model_names(lint->model, lfirst(lc));

		if (rel != NULL)
			report_uses(lint, rel, NULL, false,
						stmt->behavior == DROP_CASCADE, dropped);
	}
}

/* an index that is not to be dropped by itself, with CASCADE neither */
static void
still_used_index(MigLint *lint, DropStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		MigLintRel *index = mig_model_names(lint->model, lfirst(lc));
		MigLintRel *table = index ? mig_model_table_of(lint->model, index) : NULL;
		char	   *owner = index == NULL ? NULL :
			mig_lint_owner_of_index(lint, index, table);

		if (owner != NULL)
			mig_lint_report(lint, MIG_LINT_ERROR, table,
							psprintf("the server will refuse to drop index %s, which %s needs",
									 mig_lint_name(lint, index), owner),
							"Drop that instead.");
	}
}

/*
 * Columns that have the type, or its array type, when the plan has come here.
 * Tables that are in the catalogs must have been read.
 */
static List *
columns_of_type(MigLint *lint, Oid type, const char *made)
{
	Oid			array = OidIsValid(type) ? mig_facts_array_of(type) : InvalidOid;
	List	   *columns = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, mig_model_all(lint->model))
	{
		MigLintRel *rel = (MigLintRel *) lfirst(lc);

		if (rel->relkind == RELKIND_VIEW)
			continue;
		foreach(lc2, rel->columns)
		{
			MigLintColumn *column = (MigLintColumn *) lfirst(lc2);

			if ((OidIsValid(column->typid) &&
				 (column->typid == type || column->typid == array)) ||
				(made != NULL && column->made_type != NULL &&
				 strcmp(made, column->made_type) == 0))
				columns = lappend(columns,
								  psprintf("column %s of %s",
										   mig_lint_quote(column->name),
										   mig_lint_name(lint, rel)));
		}
	}
	return columns;
}

/* report what still uses a type that is to be dropped */
static void
report_uses_of_type(MigLint *lint, const TypeName *name, bool cascade)
{
	int32		typmod;
	bool		known;
	bool		made;
	const char *made_name = mig_model_made_type(lint->model, name);
	Oid			type = mig_model_type(lint->model, name, &typmod, &known, &made);
	List	   *blocking = NIL;
	ListCell   *lc;
	char	   *schema;

	foreach(lc, OidIsValid(type) ? mig_uses_of_type(type) : NIL)
	{
		MigLintUse *use = (MigLintUse *) lfirst(lc);
		MigLintRel *rel = NULL;

		if (!use->blocks)
			continue;
		if (strcmp(use->kind, "column") == 0)
		{
			rel = mig_lint_relation(lint, use->relation);
			if (rel != NULL)
				(void) mig_model_columns(lint->model, rel);
		}
		else if (!is_gone(lint, use))
			blocking = lappend(blocking, psprintf("%s %s", use->kind, use->name));
	}
	blocking = list_concat(columns_of_type(lint, type, made_name), blocking);
	report_blocking(lint, NULL,
					psprintf("type %s",
							 mig_lint_quote(mig_model_last_name(name->names,
																&schema))),
					cascade, blocking);
}

/* for each column that ALTER TABLE drops */
static void
still_used_by_alter(MigLint *lint, Node *stmt)
{
	MigLintRel *rel = mig_lint_altered(lint, stmt);
	ListCell   *lc;

	if (rel == NULL)
		return;
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		MigLintColumn *column;

		if (command->subtype != AT_DropColumn)
			continue;
		column = mig_model_column(lint->model, rel, command->name);
		if (column != NULL)
			report_uses(lint, rel, column, false,
						command->behavior == DROP_CASCADE, NIL);
	}
}

/* by the kind of object; of other kinds nothing is known */
static void
still_used_by(MigLint *lint, DropStmt *stmt)
{
	ListCell   *lc;

	switch (stmt->removeType)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
			still_used_by_drop(lint, stmt);
			break;
		case OBJECT_INDEX:
			still_used_index(lint, stmt);
			break;
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			foreach(lc, stmt->objects)
				report_uses_of_type(lint, lfirst_node(TypeName, lc),
									stmt->behavior == DROP_CASCADE);
			break;
		default:
			break;
	}
}

static void
still_used(MigLint *lint, Node *stmt)
{
	RenameStmt *renaming = (RenameStmt *) stmt;
	MigLintRel *rel;
	MigLintColumn *column;

	/* a down goes back to where these were not */
	if (lint->part != MIG_UP)
		return;
	if (IsA(stmt, DropStmt))
		still_used_by(lint, (DropStmt *) stmt);
	else if (IsA(stmt, AlterTableStmt))
		still_used_by_alter(lint, stmt);
	else if (IsA(stmt, RenameStmt) &&
			 (renaming->renameType == OBJECT_TABLE ||
			  renaming->renameType == OBJECT_COLUMN))
	{
		rel = mig_model_range(lint->model, renaming->relation);
		if (rel == NULL || !OidIsValid(rel->oid))
			return;
		if (renaming->renameType == OBJECT_TABLE)
			report_uses(lint, rel, NULL, true, false, NIL);
		else
		{
			column = mig_model_column(lint->model, rel, renaming->subname);
			if (column != NULL && column->attnum > 0)
				report_uses(lint, rel, column, true, false, NIL);
		}
	}
}

/* the server refuses to change the type of a column that a view shows */
static void
type_of_used_column(MigLint *lint, Node *stmt)
{
	MigLintRel *rel = mig_lint_altered(lint, stmt);
	ListCell   *lc;
	ListCell   *lc2;

	if (lint->part != MIG_UP || rel == NULL || !OidIsValid(rel->oid))
		return;
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		MigLintColumn *column;
		List	   *blocking = NIL;

		if (command->subtype != AT_AlterColumnType)
			continue;
		column = mig_model_column(lint->model, rel, command->name);
		if (column == NULL || column->attnum == 0)
			continue;
		foreach(lc2, mig_uses_of(rel->oid, column->attnum))
		{
			MigLintUse *use = (MigLintUse *) lfirst(lc2);

			if (strcmp(use->kind, "foreign key") != 0 && !is_gone(lint, use))
				blocking = lappend(blocking, psprintf("%s %s", use->kind,
													  use->name));
		}
		if (blocking != NIL)
			mig_lint_report(lint, MIG_LINT_ERROR, rel,
							psprintf("the server will refuse to change the type of %s, which is used by %s",
									 mig_lint_quote(column->name),
									 some_of(blocking)),
							"Drop what uses it first, and create it again afterwards.");
	}
}

static void
drop_cascade(MigLint *lint, Node *node)
{
	DropStmt   *stmt = (DropStmt *) node;

	if (stmt->behavior != DROP_CASCADE || lint->part != MIG_UP ||
		stmt->removeType == OBJECT_SCHEMA)
		return;
	if (stmt->removeType == OBJECT_TABLE || stmt->removeType == OBJECT_VIEW)
	{
		MigLintRel *rel = mig_model_names(lint->model, linitial(stmt->objects));

		if (rel == NULL || !OidIsValid(rel->oid))
			return;
	}
	mig_lint_report(lint, MIG_LINT_NOTE, NULL,
					"CASCADE drops whatever depends on it at that moment, which can differ between databases",
					"Drop the dependent objects by name.");
}

static void
disable_trigger(MigLint *lint, Node *stmt)
{
	ListCell   *lc;

	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		MigLintRel *rel = mig_lint_altered(lint, stmt);

		if ((command->subtype != AT_DisableTrig &&
			 command->subtype != AT_DisableTrigAll &&
			 command->subtype != AT_DisableTrigUser) ||
			mig_lint_is_harmless(lint, rel))
			continue;
		mig_lint_report(lint, MIG_LINT_WARNING, rel,
						command->subtype == AT_DisableTrigAll ?
						psprintf("disabling all triggers disables foreign-key enforcement on %s for all sessions, and rows written meanwhile are never checked",
								 mig_lint_name(lint, rel)) :
						psprintf("the trigger does not fire for rows of %s while it is disabled, in any session",
								 mig_lint_name(lint, rel)),
						"Have the migration do what the trigger would do, or enable the trigger again in the same migration.");
	}
}

const MigLintRule mig_rules_drop[] = {
	{"drop-table", false, false, T_DropStmt, drop_table},
	{"drop-column", false, false, T_AlterTableStmt, check_drop_column},
	{"drop-schema", false, false, T_DropStmt, drop_schema},
	{"drop-database", false, false, T_DropdbStmt, drop_database},
	{"drop-cascade", false, false, T_DropStmt, drop_cascade},
	{"truncate-loses-rows", false, false, T_TruncateStmt, truncate_loses_rows},
	{"truncate-cascade", false, false, T_TruncateStmt, truncate_cascade},
	{"write-all-rows", true, false, T_Invalid, write_all_rows},
	{"rename-column", false, false, T_RenameStmt, rename_column},
	{"rename-table", false, false, T_RenameStmt, rename_table},
	{"rename-schema", false, false, T_RenameStmt, rename_schema},
	{"move-to-schema", false, false, T_AlterObjectSchemaStmt, check_move_to_schema},
	{"still-used", false, true, T_Invalid, still_used},
	{"type-of-used-column", false, true, T_AlterTableStmt, type_of_used_column},
	{"disable-trigger", false, false, T_AlterTableStmt, disable_trigger},
	{NULL, false, false, T_Invalid, NULL}
};
