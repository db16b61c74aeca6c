/*-------------------------------------------------------------------------
 *
 * rules_constraint.c
 *	  Rules about constraints, of tables and of domains.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "lib/stringinfo.h"

#include "base/compat.h"
#include "lint/rules.h"

/* a foreign key that a statement makes */
typedef struct ForeignKey
{
	const Constraint *constraint;
	MigLintRel *rel;			/* NULL: the statement makes the table */
	List	   *columns;		/* of char * */
	bool		new_column;		/* without a value in the rows there are */
} ForeignKey;

/*
 * Column is the one that the constraint stands at, NULL for one of the table.
 */
static ForeignKey *
foreign_key(const Constraint *constraint, MigLintRel *rel,
			const ColumnDef *column)
{
	ForeignKey *key = palloc0(sizeof(ForeignKey));
	ListCell   *lc;

	key->constraint = constraint;
	key->rel = rel;
	key->columns = column ? list_make1(column->colname) :
		mig_lint_strings(constraint->fk_attrs);
	key->new_column = column != NULL;
	foreach(lc, column ? column->constraints : NIL)
	{
		if (lfirst_node(Constraint, lc)->contype == CONSTR_DEFAULT)
			key->new_column = false;
	}
	return key;
}

/* appends those that stand at the column */
static List *
keys_of_column(List *keys, const ColumnDef *column, MigLintRel *rel)
{
	ListCell   *lc;

	foreach(lc, column->constraints)
	{
		if (lfirst_node(Constraint, lc)->contype == CONSTR_FOREIGN)
			keys = lappend(keys, foreign_key(lfirst(lc), rel, column));
	}
	return keys;
}

/* the foreign keys that a statement makes */
static List *
foreign_keys(MigLint *lint, Node *stmt)
{
	List	   *keys = NIL;
	ListCell   *lc;

	if (IsA(stmt, CreateStmt))
	{
		foreach(lc, ((CreateStmt *) stmt)->tableElts)
		{
			Node	   *element = lfirst(lc);

			if (IsA(element, ColumnDef))
				keys = keys_of_column(keys, (ColumnDef *) element, NULL);
			else if (IsA(element, Constraint) &&
					 ((Constraint *) element)->contype == CONSTR_FOREIGN)
				keys = lappend(keys, foreign_key((Constraint *) element, NULL,
												 NULL));
		}
		return keys;
	}
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddColumn)
			keys = keys_of_column(keys, (ColumnDef *) command->def,
								  mig_lint_altered(lint, stmt));
		else if (command->subtype == AT_AddConstraint &&
				 ((Constraint *) command->def)->contype == CONSTR_FOREIGN)
			keys = lappend(keys, foreign_key((Constraint *) command->def,
											 mig_lint_altered(lint, stmt),
											 NULL));
	}
	return keys;
}

/* its name, or one for it */
static const char *
constraint_name(MigLint *lint, const Constraint *constraint, const MigLintRel *rel,
				List *columns, const char *suffix)
{
	return constraint->conname ? mig_lint_quote(constraint->conname) :
		mig_lint_new_name(lint, rel, columns, suffix);
}

/* as SQL; NULL for NO ACTION, the default */
static const char *
key_action(char action)
{
	switch (action)
	{
		case FKCONSTR_ACTION_RESTRICT:
			return "RESTRICT";
		case FKCONSTR_ACTION_CASCADE:
			return "CASCADE";
		case FKCONSTR_ACTION_SETNULL:
			return "SET NULL";
		case FKCONSTR_ACTION_SETDEFAULT:
			return "SET DEFAULT";
		default:
			return NULL;
	}
}

/* "FOREIGN KEY (a) REFERENCES t (b) ON DELETE CASCADE" */
static char *
foreign_key_clause(const ForeignKey *key)
{
	const Constraint *constraint = key->constraint;
	RangeVar   *table = constraint->pktable;
	List	   *columns = mig_lint_strings(constraint->pk_attrs);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "FOREIGN KEY (%s) REFERENCES ",
					 mig_lint_list(key->columns));
	if (table->schemaname != NULL)
		appendStringInfo(&text, "%s.", mig_lint_quote(table->schemaname));
	appendStringInfoString(&text, mig_lint_quote(table->relname));
	if (columns != NIL)
		appendStringInfo(&text, " (%s)", mig_lint_list(columns));
	if (constraint->fk_matchtype == FKCONSTR_MATCH_FULL)
		appendStringInfoString(&text, " MATCH FULL");
	if (key_action(constraint->fk_del_action) != NULL)
	{
		appendStringInfo(&text, " ON DELETE %s",
						 key_action(constraint->fk_del_action));
		columns = mig_lint_strings(constraint->fk_del_set_cols);
		if (columns != NIL)
			appendStringInfo(&text, " (%s)", mig_lint_list(columns));
	}
	if (key_action(constraint->fk_upd_action) != NULL)
		appendStringInfo(&text, " ON UPDATE %s",
						 key_action(constraint->fk_upd_action));
	if (constraint->deferrable)
		appendStringInfo(&text, " DEFERRABLE%s",
						 constraint->initdeferred ? " INITIALLY DEFERRED" : "");
	return text.data;
}

static bool
is_partitioned(const MigLintRel *rel)
{
	return rel->relkind == RELKIND_PARTITIONED_TABLE;
}

/* how to add the foreign key without reading the rows under its lock */
static char *
foreign_key_in_steps(MigLint *lint, const ForeignKey *key)
{
	char	   *table = mig_lint_name(lint, key->rel);
	const char *name = constraint_name(lint, key->constraint, key->rel, key->columns,
									   "fkey");
	char	   *clause = foreign_key_clause(key);

	if (is_partitioned(key->rel) && !MIG_PARTITIONED_KEY_NOT_VALID)
		return psprintf("-- on each partition of %s:\n"
						"ALTER TABLE ... ADD CONSTRAINT %s %s NOT VALID;"
						MIG_LINT_NEXT
						"ALTER TABLE ... VALIDATE CONSTRAINT %s;"
						"\n-- then on the table, which takes them over and reads nothing:\n"
						"ALTER TABLE %s ADD CONSTRAINT %s %s;",
						table, name, clause, name, table, name, clause);
	return psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s NOT VALID;"
					MIG_LINT_NEXT "ALTER TABLE %s VALIDATE CONSTRAINT %s;",
					table, name, clause, table, name);
}

static void
foreign_key_validates(MigLint *lint, Node *stmt)
{
	ListCell   *lc;

	mig_lint_without_children(lint);
	foreach(lc, foreign_keys(lint, stmt))
	{
		ForeignKey *key = (ForeignKey *) lfirst(lc);
		MigLintRel *other;
		char	   *name;

		if (key->rel == NULL || key->constraint->skip_validation ||
			key->new_column || mig_lint_is_harmless(lint, key->rel))
			continue;
		other = mig_model_range(lint->model, key->constraint->pktable);
		name = mig_lint_name(lint, key->rel);
		mig_lint_report(lint, mig_lint_scale(lint, key->rel), key->rel,
						psprintf("the foreign key reads table %s under SHARE ROW EXCLUSIVE (%s), which it takes on %s too: nobody can write to either",
								 name, mig_lint_how_much(lint, key->rel),
								 other ? mig_lint_name(lint, other) :
								 mig_lint_quote(key->constraint->pktable->relname)),
						foreign_key_in_steps(lint, key));
	}
}

static void
foreign_key_to_busy_table(MigLint *lint, Node *stmt)
{
	ListCell   *lc;

	foreach(lc, foreign_keys(lint, stmt))
	{
		ForeignKey *key = (ForeignKey *) lfirst(lc);
		MigLintRel *other = mig_model_range(lint->model,
											key->constraint->pktable);

		if (!mig_lint_is_busy(lint, other))
			continue;
		mig_lint_report(lint, MIG_LINT_WARNING, other,
						psprintf("the foreign key holds SHARE ROW EXCLUSIVE on table %s (%s) until the migration ends: nobody can write to it",
								 mig_lint_name(lint, other),
								 mig_lint_how_much(lint, other)),
						"Add it in a short migration that does nothing else.");
	}
}

/* looked at again at the end of the plan: the index may come later */
static void
foreign_key_without_index(MigLint *lint, Node *stmt)
{
	ListCell   *lc;

	if (lint->part != MIG_UP)
		return;
	foreach(lc, foreign_keys(lint, stmt))
	{
		ForeignKey *key = (ForeignKey *) lfirst(lc);
		MemoryContext old = MemoryContextSwitchTo(lint->context);
		MigLintForeignKey *later = palloc0(sizeof(MigLintForeignKey));
		ListCell   *lc2;

		mig_lint_place(lint, &later->finding);
		later->rel = key->rel;
		if (later->rel == NULL && IsA(stmt, CreateStmt))
		{
			RangeVar   *range = ((CreateStmt *) stmt)->relation;

			later->table = pstrdup(range->relname);
			later->schema =
				pstrdup(mig_model_table_schema(lint->model, range));
		}
		foreach(lc2, key->columns)
			later->columns = lappend(later->columns, pstrdup(lfirst(lc2)));
		if (mig_lint_is_on(lint, lint->rule->id))
			lint->foreign_keys = lappend(lint->foreign_keys, later);
		MemoryContextSwitchTo(old);
	}
}

/* constraints that ALTER TABLE adds to a table with rows */
static List *
added_constraints(MigLint *lint, Node *stmt, MigLintRel **rel)
{
	List	   *constraints = NIL;
	ListCell   *lc;

	*rel = mig_lint_altered(lint, stmt);
	if (mig_lint_is_harmless(lint, *rel))
		return NIL;
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddConstraint)
			constraints = lappend(constraints, command->def);
	}
	return constraints;
}

static void
check_validates(MigLint *lint, Node *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;

	foreach(lc, added_constraints(lint, stmt, &rel))
	{
		Constraint *constraint = lfirst_node(Constraint, lc);
		char	   *name = mig_lint_name(lint, rel);

		if (constraint->contype != CONSTR_CHECK || constraint->skip_validation)
			continue;
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("the CHECK reads table %s under ACCESS EXCLUSIVE (%s): nobody can read or write it",
								 name, mig_lint_how_much(lint, rel)),
						psprintf("ALTER TABLE %s ADD CONSTRAINT %s CHECK (...) NOT VALID;"
								 MIG_LINT_NEXT
								 "ALTER TABLE %s VALIDATE CONSTRAINT %s;", name,
								 constraint_name(lint, constraint, rel, NIL, "check"),
								 name,
								 constraint_name(lint, constraint, rel, NIL, "check")));
	}
}

/* how to make the index of the constraint without blocking anybody */
static char *
unique_constraint_in_steps(MigLint *lint, const MigLintRel *rel,
						   const Constraint *constraint)
{
	bool		primary = constraint->contype == CONSTR_PRIMARY;
	const char *kind = primary ? "PRIMARY KEY" : "UNIQUE";
	char	   *table = mig_lint_name(lint, rel);
	List	   *keys = mig_lint_strings(constraint->keys);
	char	   *columns = mig_lint_list(keys);
	const char *name = constraint_name(lint, constraint, rel, primary ? NIL : keys,
									   primary ? "pkey" : "key");

	if (is_partitioned(rel))
		return psprintf("-- on each partition of %s:\n"
						"CREATE UNIQUE INDEX CONCURRENTLY ... ON ... (%s);"
						MIG_LINT_NEXT
						"ALTER TABLE ... ADD CONSTRAINT ... %s USING INDEX ...;"
						"\n-- then on the table, which takes them over:\n"
						"ALTER TABLE %s ADD CONSTRAINT %s %s (%s);",
						table, columns, kind, table, name, kind, columns);
	return psprintf(MIG_LINT_ON_ITS_OWN
					"CREATE UNIQUE INDEX CONCURRENTLY %s ON %s (%s);"
					MIG_LINT_NEXT
					"ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s;",
					name, table, columns, table, name, kind, name);
}

static void
unique_blocks(MigLint *lint, Node *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;

	mig_lint_without_children(lint);
	foreach(lc, added_constraints(lint, stmt, &rel))
	{
		Constraint *constraint = lfirst_node(Constraint, lc);
		bool		primary = constraint->contype == CONSTR_PRIMARY;
		char	   *name = mig_lint_name(lint, rel);

		if ((!primary && constraint->contype != CONSTR_UNIQUE) ||
			constraint->indexname != NULL)
			continue;
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("the index of %s is built on table %s under ACCESS EXCLUSIVE (%s): nobody can read or write it",
								 primary ? "PRIMARY KEY" : "UNIQUE", name,
								 mig_lint_how_much(lint, rel)),
						unique_constraint_in_steps(lint, rel, constraint));
	}
}

static void
exclusion_blocks(MigLint *lint, Node *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;

	mig_lint_without_children(lint);
	foreach(lc, added_constraints(lint, stmt, &rel))
	{
		if (lfirst_node(Constraint, lc)->contype != CONSTR_EXCLUSION)
			continue;
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("the exclusion constraint builds its index on table %s under ACCESS EXCLUSIVE (%s): nobody can read or write it",
								 mig_lint_name(lint, rel),
								 mig_lint_how_much(lint, rel)),
						"It cannot be done concurrently: do it in a maintenance window, or in a new table.");
	}
}

/* index is the columns of the index, by its name */
static List *
columns_of_index(MigLint *lint, MigLintRel *rel, const char *name)
{
	ListCell   *lc;

	foreach(lc, mig_model_indexes(lint->model, rel))
	{
		MigLintIndex *index = (MigLintIndex *) lfirst(lc);

		if (index->name != NULL && strcmp(index->name, name) == 0)
			return index->columns;
	}
	return NIL;
}

static bool
is_known_not_null(MigLintRel *rel, const MigLintColumn *column)
{
	return column->not_null || column->proved ||
		(OidIsValid(rel->oid) && column->attnum > 0 &&
		 mig_facts_not_null_proved(rel->oid, column));
}

/* SET NOT NULL looks at a valid CHECK instead of the rows */
static char *
not_null_in_steps(MigLint *lint, const MigLintRel *rel, char *column)
{
	char	   *table = mig_lint_name(lint, rel);
	const char *quoted = mig_lint_quote(column);
	const char *name = mig_lint_new_name(lint, rel, list_make1(column), "not_null");

	return psprintf("ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s IS NOT NULL) NOT VALID;"
					MIG_LINT_NEXT
					"ALTER TABLE %s VALIDATE CONSTRAINT %s;"
					MIG_LINT_NEXT
					"ALTER TABLE %s ALTER COLUMN %s SET NOT NULL;\n"
					"ALTER TABLE %s DROP CONSTRAINT %s;",
					table, name, quoted, table, name, table, quoted, table,
					name);
}

static void
primary_key_sets_not_null(MigLint *lint, Node *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;
	ListCell   *lc2;

	mig_lint_without_children(lint);
	foreach(lc, added_constraints(lint, stmt, &rel))
	{
		Constraint *constraint = lfirst_node(Constraint, lc);
		List	   *nullable = NIL;

		if (constraint->contype != CONSTR_PRIMARY ||
			constraint->indexname == NULL)
			continue;
		foreach(lc2, columns_of_index(lint, rel, constraint->indexname))
		{
			MigLintColumn *column = lfirst(lc2) == NULL ? NULL :
				mig_model_column(lint->model, rel, lfirst(lc2));

			if (column != NULL && !is_known_not_null(rel, column))
				nullable = lappend(nullable, column->name);
		}
		if (nullable != NIL)
			mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
							psprintf("PRIMARY KEY makes %s NOT NULL, which reads table %s under ACCESS EXCLUSIVE (%s): nobody can read or write it",
									 mig_lint_list(nullable),
									 mig_lint_name(lint, rel),
									 mig_lint_how_much(lint, rel)),
							psprintf("-- before:\n%s",
									 not_null_in_steps(lint, rel, linitial(nullable))));
	}
}

static void
set_not_null_scans(MigLint *lint, Node *stmt)
{
	MigLintRel *rel = mig_lint_altered(lint, stmt);
	ListCell   *lc;

	if (mig_lint_is_harmless(lint, rel))
		return;
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		MigLintColumn *column;
		char	   *name = mig_lint_name(lint, rel);

		if (command->subtype != AT_SetNotNull)
			continue;
		column = mig_model_column(lint->model, rel, command->name);
		if (column == NULL || is_known_not_null(rel, column))
			continue;
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("SET NOT NULL reads table %s under ACCESS EXCLUSIVE (%s): nobody can read or write it",
								 name, mig_lint_how_much(lint, rel)),
						not_null_in_steps(lint, rel, column->name));
	}
}

/* the lock of ADD CONSTRAINT is still held when the rows are read */
static void
validate_in_same_migration(MigLint *lint, Node *stmt)
{
	MigLintRel *rel = mig_lint_altered(lint, stmt);
	ListCell   *lc;

	if (mig_lint_is_harmless(lint, rel))
		return;
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		MigLintConstraint *constraint;
		LOCKMODE	mode;

		if (command->subtype != AT_ValidateConstraint)
			continue;
		constraint = mig_model_constraint(lint->model, rel, command->name);
		if (constraint == NULL || constraint->valid ||
			constraint->transaction != lint->model->transaction)
			continue;
		mode = constraint->kind == CONSTRAINT_FOREIGN ?
			ShareRowExclusiveLock : AccessExclusiveLock;
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("VALIDATE CONSTRAINT reads table %s under %s (%s), which adding the constraint took: %s",
								 mig_lint_name(lint, rel),
								 mig_held_locks_mode_name(mode),
								 mig_lint_how_much(lint, rel),
								 mig_lint_nobody(mode)),
						"Validate it in the next migration, and CALL migrate.apply_each().");
	}
}

/* what the server cannot do with a partitioned table, or NULL */
static const char *
refused_command(const MigLintRel *rel, const AlterTableCmd *command)
{
	const Constraint *constraint = (Constraint *) command->def;

	if (command->subtype == AT_DetachPartition)
		return ((PartitionCmd *) command->def)->concurrent &&
			OidIsValid(rel->oid) &&
			mig_facts_has_default_partition(rel->oid) ?
			"DETACH PARTITION CONCURRENTLY while it has a default partition" :
			NULL;
	if (command->subtype != AT_AddConstraint)
		return NULL;
	if (constraint->contype == CONSTR_FOREIGN)
		return constraint->skip_validation && !MIG_PARTITIONED_KEY_NOT_VALID ?
			"foreign keys that are NOT VALID" : NULL;
	if (constraint->contype == CONSTR_EXCLUSION)
		return MIG_PARTITIONED_EXCLUSION ? NULL : "exclusion constraints";
	return constraint->indexname ? "constraints USING INDEX" : NULL;
}

static void
refused_on_partitioned(MigLint *lint, Node *stmt)
{
	MigLintRel *rel = mig_lint_altered(lint, stmt);
	ListCell   *lc;

	if (rel == NULL || !is_partitioned(rel))
		return;
	foreach_command(lc, stmt)
	{
		const char *what = refused_command(rel, lfirst(lc));

		if (what != NULL)
			mig_lint_report(lint, MIG_LINT_ERROR, rel,
							psprintf("table %s is partitioned and does not support %s",
									 mig_lint_name(lint, rel), what),
							"Do it on each partition first, then on the partitioned table, in the form that the server supports.");
	}
}

/* the largest table that has the domain, or NULL */
static MigLintRel *
table_of_domain(MigLint *lint, List *names)
{
	TypeName	type;
	int32		typmod;
	bool		known;
	bool		made;
	Oid			domain;
	MigLintRel *largest = NULL;
	ListCell   *lc;

	memset(&type, 0, sizeof(type));
	type.type = T_TypeName;
	type.names = names;
	domain = mig_model_type(lint->model, &type, &typmod, &known, &made);
	if (!OidIsValid(domain))
		return NULL;
	foreach(lc, mig_uses_of_domain(domain))
	{
		char	   *name = mig_facts_relation_name(lfirst_oid(lc));
		MigLintRel *rel = name == NULL ? NULL :
			mig_model_find(lint->model, mig_facts_schema_of(lfirst_oid(lc)),
						   name);

		if (!mig_lint_is_harmless(lint, rel) &&
			(largest == NULL ||
			 mig_model_size(lint->model, largest)->bytes <
			 mig_model_size(lint->model, rel)->bytes))
			largest = rel;
	}
	return largest;
}

static void
domain_constraint_validates(MigLint *lint, Node *node)
{
	AlterDomainStmt *stmt = (AlterDomainStmt *) node;
	MigLintRel *rel;

	if (stmt->subtype != 'O' &&
		(stmt->subtype != 'C' || ((Constraint *) stmt->def)->skip_validation))
		return;
	rel = table_of_domain(lint, stmt->typeName);
	if (rel == NULL)
		return;
	mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
					psprintf("the new constraint of the domain reads every table with such a column under SHARE, including table %s (%s): nobody can write to them",
							 mig_lint_name(lint, rel),
							 mig_lint_how_much(lint, rel)),
					"ALTER DOMAIN ... ADD CONSTRAINT ... CHECK (...) NOT VALID;"
					MIG_LINT_NEXT "ALTER DOMAIN ... VALIDATE CONSTRAINT ...;");
}

static void
domain_with_constraint(MigLint *lint, Node *node)
{
	CreateDomainStmt *stmt = (CreateDomainStmt *) node;
	ListCell   *lc;

	foreach(lc, stmt->constraints)
	{
		ConstrType	kind = lfirst_node(Constraint, lc)->contype;

		if (kind != CONSTR_CHECK && kind != CONSTR_NOTNULL)
			continue;
		mig_lint_report(lint, MIG_LINT_NOTE, NULL,
						"a domain's constraint is hard to change: a new one is checked in all tables at once",
						"Put the CHECK on the columns of the tables.");
		return;
	}
}

const MigLintRule mig_rules_constraint[] = {
	{"foreign-key-validates", true, false, T_AlterTableStmt, foreign_key_validates},
	{"foreign-key-to-busy-table", false, false, T_Invalid, foreign_key_to_busy_table},
	{"foreign-key-without-index", false, false, T_Invalid, foreign_key_without_index},
	{"check-validates", true, false, T_AlterTableStmt, check_validates},
	{"unique-blocks", true, false, T_AlterTableStmt, unique_blocks},
	{"exclusion-blocks", true, false, T_AlterTableStmt, exclusion_blocks},
	{"primary-key-sets-not-null", true, false, T_AlterTableStmt, primary_key_sets_not_null},
	{"set-not-null-scans", true, false, T_AlterTableStmt, set_not_null_scans},
	{"validate-in-same-migration", true, false, T_AlterTableStmt, validate_in_same_migration},
	{"refused-on-partitioned", false, true, T_AlterTableStmt, refused_on_partitioned},
	{"domain-constraint-validates", true, false, T_AlterDomainStmt, domain_constraint_validates},
	{"domain-with-constraint", false, false, T_CreateDomainStmt, domain_with_constraint},
	{NULL, false, false, T_Invalid, NULL}
};
