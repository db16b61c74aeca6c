/*-------------------------------------------------------------------------
 *
 * rules_name.c
 *	  Rules about names: what is not there, what is there already, what is too
 *	  long; and about what should not be in a body.
 *
 * Nothing is said of names after a statement that may make anything (see
 * lint/model_apply.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"

#include "lint/rules.h"

static void
report_unknown(MigLint *lint, const char *kind, const char *name,
			   MigLintRel *rel)
{
	mig_lint_report(lint, MIG_LINT_ERROR, rel,
					rel ? psprintf("%s %s of %s does not exist", kind,
								   mig_lint_quote(name),
								   mig_lint_name(lint, rel)) :
					psprintf("%s %s does not exist", kind, mig_lint_quote(name)),
					"Check the spelling, the search_path of migrate.policy, and the order of the migrations.");
}

/* NULL, and reported, if there is none */
static MigLintRel *
known_relation(MigLint *lint, const RangeVar *range, const char *kind)
{
	MigLintRel *rel;

	if (range == NULL || range->catalogname != NULL ||
		(range->schemaname != NULL &&
		 (strcmp(range->schemaname, "information_schema") == 0 ||
		  strncmp(range->schemaname, "pg_", 3) == 0)))
		return NULL;
	rel = mig_model_range(lint->model, range);
	if (rel == NULL)
		report_unknown(lint, kind, range->relname, NULL);
	return rel;
}

/*
 * Names may have an empty one, which means all columns; new_columns are made
 * by the same statement.
 */
static void
check_columns(MigLint *lint, MigLintRel *rel, List *names, List *new_columns)
{
	ListCell   *lc;

	if (rel == NULL)
		return;
	(void) mig_model_columns(lint->model, rel);
	if (!rel->columns_known)
		return;
	foreach(lc, names)
	{
		const char *name = (const char *) lfirst(lc);
		ListCell   *lc2;
		bool		found = name[0] == '\0';

		foreach(lc2, new_columns)
			found = found || strcmp(lfirst(lc2), name) == 0;
		if (!found && mig_model_column(lint->model, rel, name) == NULL)
			report_unknown(lint, "column", name, rel);
	}
}


/*
 * ALTER TABLE
 */

/* an ALTER TABLE; later commands of it may name them */
static List *
columns_added_by(Node *stmt)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddColumn)
			names = lappend(names, ((ColumnDef *) command->def)->colname);
	}
	return names;
}

static void
unknown_in_constraint(MigLint *lint, MigLintRel *rel,
					  const Constraint *constraint, List *new_columns)
{
	List	   *columns = constraint->contype == CONSTR_FOREIGN ?
		constraint->fk_attrs : constraint->keys;

	check_columns(lint, rel, mig_lint_strings(columns), new_columns);
	if (constraint->contype == CONSTR_FOREIGN)
		check_columns(lint, known_relation(lint, constraint->pktable, "table"),
					  mig_lint_strings(constraint->pk_attrs), NIL);
}

/*
 * Report columns and constraints that a command of ALTER TABLE names and that
 * are not there.
 */
static void
unknown_in_command(MigLint *lint, MigLintRel *rel, AlterTableCmd *command,
				   List *new_columns)
{
	ListCell   *lc;

	switch (command->subtype)
	{
		case AT_DropColumn:
			if (command->missing_ok)
				break;
			/* FALLTHROUGH */
		case AT_ColumnDefault:
		case AT_SetNotNull:
		case AT_DropNotNull:
		case AT_AlterColumnType:
			if (command->name != NULL)
				check_columns(lint, rel, list_make1(command->name),
							  new_columns);
			break;
		case AT_AddConstraint:
			unknown_in_constraint(lint, rel, (Constraint *) command->def,
								  new_columns);
			break;
		case AT_AddColumn:
			foreach(lc, ((ColumnDef *) command->def)->constraints)
			{
				if (lfirst_node(Constraint, lc)->contype == CONSTR_FOREIGN)
					unknown_in_constraint(lint, rel, lfirst(lc), new_columns);
			}
			break;
		case AT_DropConstraint:
		case AT_ValidateConstraint:
			if (!command->missing_ok &&
				mig_model_constraint(lint->model, rel, command->name) == NULL &&
				rel->constraints_known &&
				(OidIsValid(rel->oid) ||
				 strstr(command->name, "_not_null") == NULL))
				report_unknown(lint, "constraint", command->name, rel);
			break;
		default:
			break;
	}
}

/* what hangs on an object that is missing is not reported as well */
static void
unknown_in_alter_table(MigLint *lint, AlterTableStmt *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;
	List	   *new_columns = columns_added_by((Node *) stmt);

	if (stmt->missing_ok || stmt->objtype == OBJECT_TYPE)
		return;
	rel = known_relation(lint, stmt->relation,
						 stmt->objtype == OBJECT_INDEX ? "index" :
						 stmt->objtype == OBJECT_SEQUENCE ? "sequence" :
						 stmt->objtype == OBJECT_VIEW ? "view" : "table");
	if (rel == NULL || stmt->objtype != OBJECT_TABLE)
		return;
	foreach(lc, stmt->cmds)
		unknown_in_command(lint, rel, lfirst(lc), new_columns);
}


/*
 * Queries
 */

typedef struct RangeSearch
{
	MigLint    *lint;
	List	   *common;			/* names of WITH queries */
} RangeSearch;

/* a walker: the names of WITH, which are no tables */
static bool
collect_common(Node *node, void *arg)
{
	RangeSearch *search = (RangeSearch *) arg;

	if (node == NULL)
		return false;
	if (IsA(node, CommonTableExpr))
		search->common = lappend(search->common,
								 ((CommonTableExpr *) node)->ctename);
	return raw_expression_tree_walker(node, collect_common, arg);
}

/* a walker: report tables of a query that are not there */
static bool
check_range(Node *node, void *arg)
{
	RangeSearch *search = (RangeSearch *) arg;
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
	{
		RangeVar   *range = (RangeVar *) node;

		foreach(lc, range->schemaname == NULL ? search->common : NIL)
		{
			if (strcmp(lfirst(lc), range->relname) == 0)
				return false;
		}
		(void) known_relation(search->lint, range, "relation");
		return false;
	}

	/* FOR UPDATE OF names what is in FROM */
	if (IsA(node, LockingClause))
		return false;
	return raw_expression_tree_walker(node, check_range, arg);
}

/* tables only; columns could come from anywhere */
static void
unknown_in_query(MigLint *lint, Node *query)
{
	RangeSearch search = {lint, NIL};

	if (query == NULL ||
		!(IsA(query, SelectStmt) || IsA(query, InsertStmt) ||
		  IsA(query, UpdateStmt) || IsA(query, DeleteStmt)))
		return;
	(void) collect_common(query, &search);
	(void) check_range(query, &search);
}

/* columns of INSERT and UPDATE */
static void
unknown_targets(MigLint *lint, const RangeVar *range, List *targets)
{
	MigLintRel *rel = mig_model_range(lint->model, range);
	List	   *names = NIL;
	ListCell   *lc;

	if (rel == NULL || (rel->relkind != RELKIND_RELATION &&
						rel->relkind != RELKIND_PARTITIONED_TABLE))
		return;
	foreach(lc, targets)
	{
		ResTarget  *target = lfirst_node(ResTarget, lc);

		if (target->name != NULL)
			names = lappend(names, target->name);
	}
	check_columns(lint, rel, names, NIL);
}


/*
 * Everything else
 */

/* parents, and what foreign keys refer to, unless it is the table itself */
static void
unknown_in_create_table(MigLint *lint, CreateStmt *stmt)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, stmt->inhRelations)
		(void) known_relation(lint, lfirst_node(RangeVar, lc), "table");
	foreach(lc, stmt->tableElts)
	{
		Constraint *constraint = (Constraint *) lfirst(lc);
		List	   *constraints = IsA(constraint, ColumnDef) ?
			((ColumnDef *) constraint)->constraints : list_make1(constraint);

		foreach(lc2, constraints)
		{
			constraint = (Constraint *) lfirst(lc2);
			if (!IsA(constraint, Constraint) ||
				constraint->contype != CONSTR_FOREIGN ||
				strcmp(constraint->pktable->relname,
					   stmt->relation->relname) == 0)
				continue;
			check_columns(lint, known_relation(lint, constraint->pktable,
											   "table"),
						  mig_lint_strings(constraint->pk_attrs), NIL);
		}
	}
}

/* the table, and columns that are no expressions */
static void
unknown_in_index(MigLint *lint, IndexStmt *stmt)
{
	MigLintRel *rel = known_relation(lint, stmt->relation, "table");
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, stmt->indexParams)
	{
		if (lfirst_node(IndexElem, lc)->name != NULL)
			names = lappend(names, lfirst_node(IndexElem, lc)->name);
	}
	check_columns(lint, rel, names, NIL);
}

/* kinds that the model follows; IF EXISTS finds nothing */
static void
unknown_in_drop(MigLint *lint, DropStmt *stmt)
{
	const char *kind;
	ListCell   *lc;

	switch (stmt->removeType)
	{
		case OBJECT_TABLE:
			kind = "table";
			break;
		case OBJECT_VIEW:
			kind = "view";
			break;
		case OBJECT_MATVIEW:
			kind = "materialized view";
			break;
		case OBJECT_INDEX:
			kind = "index";
			break;
		case OBJECT_SEQUENCE:
			kind = "sequence";
			break;
		default:
			return;
	}
	foreach(lc, stmt->missing_ok ? NIL : stmt->objects)
	{
		char	   *schema;

		if (mig_model_names(lint->model, lfirst(lc)) == NULL)
			report_unknown(lint, kind, mig_model_last_name(lfirst(lc), &schema),
						   NULL);
	}
}

/* the relation, and the column if one is renamed */
static void
unknown_in_rename(MigLint *lint, RenameStmt *stmt)
{
	MigLintRel *rel;

	if (stmt->relation == NULL || stmt->missing_ok ||
		stmt->renameType == OBJECT_ATTRIBUTE)
		return;
	rel = known_relation(lint, stmt->relation, "relation");
	if (rel != NULL && stmt->renameType == OBJECT_COLUMN)
		check_columns(lint, rel, list_make1(stmt->subname), NIL);
}

static void
unknown_object(MigLint *lint, Node *stmt)
{
	ListCell   *lc;

	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			unknown_in_alter_table(lint, (AlterTableStmt *) stmt);
			break;
		case T_CreateStmt:
			unknown_in_create_table(lint, (CreateStmt *) stmt);
			break;
		case T_IndexStmt:
			unknown_in_index(lint, (IndexStmt *) stmt);
			break;
		case T_DropStmt:
			unknown_in_drop(lint, (DropStmt *) stmt);
			break;
		case T_RenameStmt:
			unknown_in_rename(lint, (RenameStmt *) stmt);
			break;
		case T_ViewStmt:
			unknown_in_query(lint, ((ViewStmt *) stmt)->query);
			break;
		case T_CreateTableAsStmt:
			unknown_in_query(lint, ((CreateTableAsStmt *) stmt)->query);
			break;
		case T_SelectStmt:
			if (((SelectStmt *) stmt)->intoClause == NULL)
				unknown_in_query(lint, stmt);
			break;
		case T_InsertStmt:
			unknown_in_query(lint, stmt);
			unknown_targets(lint, ((InsertStmt *) stmt)->relation,
							((InsertStmt *) stmt)->cols);
			break;
		case T_UpdateStmt:
			unknown_in_query(lint, stmt);
			unknown_targets(lint, ((UpdateStmt *) stmt)->relation,
							((UpdateStmt *) stmt)->targetList);
			break;
		case T_DeleteStmt:
			unknown_in_query(lint, stmt);
			break;
		case T_TruncateStmt:
			foreach(lc, ((TruncateStmt *) stmt)->relations)
				(void) known_relation(lint, lfirst(lc), "table");
			break;
		case T_CreateTrigStmt:
			(void) known_relation(lint, ((CreateTrigStmt *) stmt)->relation,
								  "table");
			break;
		case T_CreatePolicyStmt:
			(void) known_relation(lint, ((CreatePolicyStmt *) stmt)->table,
								  "table");
			break;
		default:
			break;
	}
}

/* report it unless it exists or the plan makes it */
static void
check_type(MigLint *lint, const TypeName *type)
{
	int32		typmod;
	bool		known;
	bool		made;
	char	   *schema;

	if (type == NULL ||
		OidIsValid(mig_model_type(lint->model, type, &typmod, &known, &made)) ||
		made)
		return;
	report_unknown(lint, "type", mig_model_last_name(type->names, &schema),
				   NULL);
}

/* types of columns */
static void
unknown_type(MigLint *lint, Node *stmt)
{
	List	   *columns = NIL;
	ListCell   *lc;

	if (IsA(stmt, CreateStmt))
		columns = ((CreateStmt *) stmt)->tableElts;
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddColumn)
			columns = lappend(columns, command->def);

		/* serial is no type, but a way to write one in a definition */
		else if (command->subtype == AT_AlterColumnType)
			check_type(lint, ((ColumnDef *) command->def)->typeName);
	}
	foreach(lc, columns)
	{
		ColumnDef  *column = (ColumnDef *) lfirst(lc);

		if (IsA(column, ColumnDef) && !mig_model_table_is_serial(column))
			check_type(lint, column->typeName);
	}
}

/* report the name if a relation of any kind has it */
static void
check_free(MigLint *lint, const RangeVar *range, const char *kind)
{
	MigLintRel *rel = mig_model_find(lint->model,
									 mig_model_table_schema(lint->model,
															range),
									 range->relname);

	/* an index goes with its table */
	if (rel != NULL && (rel->relkind == RELKIND_INDEX ||
						rel->relkind == RELKIND_PARTITIONED_INDEX))
	{
		MigLintRel *table = mig_model_table_of(lint->model, rel);

		if (table == NULL || table->dropped)
			return;
	}
	if (rel != NULL)
		mig_lint_report(lint, MIG_LINT_ERROR, rel,
						psprintf("%s %s already exists", kind,
								 mig_lint_name(lint, rel)),
						"Choose another name, or drop the existing one first.");
}

/* columns are dropped before others are added */
static bool
drops_column(Node *stmt, const char *name)
{
	ListCell   *lc;

	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_DropColumn &&
			strcmp(command->name, name) == 0)
			return true;
	}
	return false;
}

static void
already_exists(MigLint *lint, Node *stmt)
{
	ListCell   *lc;

	if (lint->model->cascaded)
		return;
	if (IsA(stmt, CreateStmt) && !((CreateStmt *) stmt)->if_not_exists)
		check_free(lint, ((CreateStmt *) stmt)->relation, "relation");
	else if (IsA(stmt, ViewStmt) && !((ViewStmt *) stmt)->replace)
		check_free(lint, ((ViewStmt *) stmt)->view, "relation");
	else if (IsA(stmt, IndexStmt) && ((IndexStmt *) stmt)->idxname != NULL &&
			 !((IndexStmt *) stmt)->if_not_exists)
	{
		IndexStmt  *index = (IndexStmt *) stmt;
		MigLintRel *table = mig_model_range(lint->model, index->relation);
		RangeVar	range;

		if (table == NULL)
			return;
		memset(&range, 0, sizeof(range));
		range.type = T_RangeVar;
		range.schemaname = table->schema;
		range.relname = index->idxname;
		check_free(lint, &range, "relation");
	}
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		MigLintRel *rel = mig_lint_altered(lint, stmt);
		const char *name;

		if (command->subtype != AT_AddColumn || command->missing_ok ||
			rel == NULL)
			continue;
		name = ((ColumnDef *) command->def)->colname;
		if (!drops_column(stmt, name) &&
			mig_model_column(lint->model, rel, name) != NULL)
			mig_lint_report(lint, MIG_LINT_ERROR, rel,
							psprintf("column %s of %s already exists",
									 mig_lint_quote(name),
									 mig_lint_name(lint, rel)),
							"Choose another name, or leave it out.");
	}
}

/* does the current statement hold this place of the body? */
static bool
is_here(const MigLint *lint, int location)
{
	const MigStatement *statement = &lint->body->statements[lint->statement];

	return location >= statement->location &&
		location < statement->location + statement->length;
}

/* each name once in a statement */
static void
name_too_long(MigLint *lint, Node *stmt)
{
	List	   *names = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, lint->text->long_names)
	{
		MigLongName *entry = (MigLongName *) lfirst(lc);
		bool		is_known = !is_here(lint, entry->location);

		foreach(lc2, names)
			is_known = is_known || strcmp(lfirst(lc2), entry->name) == 0;
		if (is_known)
			continue;
		names = lappend(names, entry->name);
		mig_lint_report(lint, MIG_LINT_WARNING, NULL,
						psprintf("the server truncates identifiers of more than %d bytes: %s",
								 NAMEDATALEN - 1, mig_lint_quote(entry->name)),
						"Use the truncated name, or a shorter one.");
	}
}


/*
 * Secrets
 */

/* PASSWORD NULL is none */
static bool
has_password_option(List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "password") == 0 && option->arg != NULL)
			return true;
	}
	return false;
}

/* by the parse tree: CREATE and ALTER ROLE, user mappings, subscriptions */
static bool
has_password(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateRoleStmt:
			return has_password_option(((CreateRoleStmt *) stmt)->options);
		case T_AlterRoleStmt:
			return has_password_option(((AlterRoleStmt *) stmt)->options);
		case T_CreateUserMappingStmt:
			return has_password_option(((CreateUserMappingStmt *) stmt)->options);
		case T_AlterUserMappingStmt:
			return has_password_option(((AlterUserMappingStmt *) stmt)->options);
		case T_CreateSubscriptionStmt:
			return strstr(((CreateSubscriptionStmt *) stmt)->conninfo,
						  "password") != NULL;
		default:
			return false;
	}
}

static void
secret_in_body(MigLint *lint, Node *stmt)
{
	const MigStatement *statement = &lint->body->statements[lint->statement];
	const char *what = NULL;

	while (lint->secret_what != NULL &&
		   lint->secret_location < statement->location && lint->secrets > 0)
	{
		lint->secret_what = mig_lint_text_secret(lint->body->text,
												 statement->location,
												 &lint->secret_location);
		lint->secrets--;
	}
	if (has_password(stmt))
		what = "a password";
	else if (lint->secret_what != NULL && is_here(lint, lint->secret_location))
		what = lint->secret_what;
	if (what != NULL)
		mig_lint_report(lint, MIG_LINT_WARNING, NULL,
						psprintf("this looks like %s, which is stored permanently and visible to every role that can read bodies",
								 what),
						"Set it by hand, or have the body read it from where it is kept, and revoke the one that was here.");
}

const MigLintRule mig_rules_name[] = {
	{"unknown-object", false, true, T_Invalid, unknown_object},
	{"unknown-type", false, true, T_Invalid, unknown_type},
	{"already-exists", false, true, T_Invalid, already_exists},
	{"name-too-long", false, false, T_Invalid, name_too_long},
	{"secret-in-body", false, false, T_Invalid, secret_in_body},
	{NULL, false, false, T_Invalid, NULL}
};
