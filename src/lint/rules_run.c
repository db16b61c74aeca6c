/*-------------------------------------------------------------------------
 *
 * rules_run.c
 *	  Rules about how a body runs: locks that are held, the way back, and the
 *	  numbering of the migrations.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "commands/tablecmds.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"

#include "base/guc.h"
#include "base/version_order.h"
#include "lint/rules.h"
#include "source/conventions.h"

/* places for a cut that are named of one body */
#define MAX_CUTS 10

/*
 * Locks
 */

/* only locks that block writers, on tables that have rows */
static List *
add_lock(MigLint *lint, List *locks, MigLintRel *rel, LOCKMODE mode)
{
	MigLintLock *lock;

	if (mode < ShareLock || mig_lint_is_harmless(lint, rel))
		return locks;
	lock = palloc0(sizeof(MigLintLock));
	lock->rel = rel;
	lock->mode = mode;
	lock->line = lint->body->statements[lint->statement].line;
	return lappend(locks, lock);
}

/*
 * A foreign key locks the other table too; for an index it is the table's lock
 * that counts.
 */
static List *
locks_of_alter_table(MigLint *lint, AlterTableStmt *stmt)
{
	List	   *locks = NIL;
	MigLintRel *rel = mig_model_range(lint->model, stmt->relation);
	ListCell   *lc;

	if (rel != NULL && (rel->relkind == RELKIND_INDEX ||
						rel->relkind == RELKIND_PARTITIONED_INDEX))
		rel = mig_model_table_of(lint->model, rel);
	locks = add_lock(lint, locks, rel, AlterTableGetLockLevel(stmt->cmds));
	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddConstraint &&
			((Constraint *) command->def)->contype == CONSTR_FOREIGN)
			locks = add_lock(lint, locks,
							 mig_model_range(lint->model,
											 ((Constraint *) command->def)->pktable),
							 ShareRowExclusiveLock);
	}
	return locks;
}

/* the tables that DROP locks against readers */
static List *
locks_of_drop(MigLint *lint, DropStmt *stmt)
{
	List	   *locks = NIL;
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		MigLintRel *rel = NULL;

		if (stmt->removeType == OBJECT_TABLE ||
			stmt->removeType == OBJECT_MATVIEW)
			rel = mig_model_names(lint->model, lfirst(lc));
		else if (stmt->removeType == OBJECT_INDEX && !stmt->concurrent)
		{
			rel = mig_model_names(lint->model, lfirst(lc));
			rel = rel ? mig_model_table_of(lint->model, rel) : NULL;
		}
		else if (stmt->removeType == OBJECT_TRIGGER ||
				 stmt->removeType == OBJECT_POLICY)
			rel = mig_model_names(lint->model,
								  list_copy_head(lfirst(lc),
												 list_length(lfirst(lc)) - 1));
		locks = add_lock(lint, locks, rel, AccessExclusiveLock);
	}
	return locks;
}

/*
 * The tables that CREATE TABLE locks: a partition's parent, and those that
 * foreign keys refer to.
 */
static List *
locks_of_create_table(MigLint *lint, CreateStmt *stmt)
{
	List	   *locks = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	if (stmt->partbound != NULL && stmt->inhRelations != NIL)
		locks = add_lock(lint, locks,
						 mig_model_range(lint->model,
										 linitial(stmt->inhRelations)),
						 AccessExclusiveLock);
	foreach(lc, stmt->tableElts)
	{
		Node	   *element = lfirst(lc);

		foreach(lc2, IsA(element, ColumnDef) ?
				((ColumnDef *) element)->constraints : list_make1(element))
		{
			Constraint *constraint = (Constraint *) lfirst(lc2);

			if (IsA(constraint, Constraint) &&
				constraint->contype == CONSTR_FOREIGN)
				locks = add_lock(lint, locks,
								 mig_model_range(lint->model,
												 constraint->pktable),
								 ShareRowExclusiveLock);
		}
	}
	return locks;
}

/* the same mode on each */
static List *
locks_of_ranges(MigLint *lint, List *ranges, LOCKMODE mode)
{
	List	   *locks = NIL;
	ListCell   *lc;

	foreach(lc, ranges)
		locks = add_lock(lint, locks,
						 mig_model_range(lint->model, lfirst_node(RangeVar, lc)),
						 mode);
	return locks;
}

/* locks of a statement that make others wait, on tables with rows */
static List *
locks_of(MigLint *lint, Node *stmt)
{
	RangeVar   *range = NULL;
	LOCKMODE	mode = AccessExclusiveLock;

	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			return locks_of_alter_table(lint, (AlterTableStmt *) stmt);
		case T_DropStmt:
			return locks_of_drop(lint, (DropStmt *) stmt);
		case T_CreateStmt:
			return locks_of_create_table(lint, (CreateStmt *) stmt);
		case T_TruncateStmt:
			return locks_of_ranges(lint, ((TruncateStmt *) stmt)->relations,
								   AccessExclusiveLock);
		case T_LockStmt:
			return locks_of_ranges(lint, ((LockStmt *) stmt)->relations,
								   ((LockStmt *) stmt)->mode);
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType != OBJECT_INDEX)
				range = ((RenameStmt *) stmt)->relation;
			break;
		case T_AlterObjectSchemaStmt:
			range = ((AlterObjectSchemaStmt *) stmt)->relation;
			break;
		case T_IndexStmt:
			if (!((IndexStmt *) stmt)->concurrent)
				range = ((IndexStmt *) stmt)->relation;
			mode = ShareLock;
			break;
		case T_CreateTrigStmt:
			range = ((CreateTrigStmt *) stmt)->relation;
			mode = ShareRowExclusiveLock;
			break;
		case T_CreatePolicyStmt:
			range = ((CreatePolicyStmt *) stmt)->table;
			break;
		case T_AlterPolicyStmt:
			range = ((AlterPolicyStmt *) stmt)->table;
			break;
		case T_RuleStmt:
			range = ((RuleStmt *) stmt)->relation;
			break;
		case T_ClusterStmt:
			range = ((ClusterStmt *) stmt)->relation;
			break;
		case T_RefreshMatViewStmt:
			range = ((RefreshMatViewStmt *) stmt)->relation;
			mode = ((RefreshMatViewStmt *) stmt)->concurrent ?
				ExclusiveLock : AccessExclusiveLock;
			break;
		default:
			break;
	}
	return range == NULL ? NIL : locks_of_ranges(lint, list_make1(range), mode);
}

/* what may take long though no rule has anything against it by itself */
static void
weigh_statement(MigLint *lint, Node *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;
	List	   *from = NIL;

	switch (nodeTag(stmt))
	{
		case T_UpdateStmt:
			from = list_make1(((UpdateStmt *) stmt)->relation);
			break;
		case T_DeleteStmt:
			from = list_make1(((DeleteStmt *) stmt)->relation);
			break;
		case T_InsertStmt:
			stmt = ((InsertStmt *) stmt)->selectStmt;
			if (stmt != NULL && IsA(stmt, SelectStmt))
				from = ((SelectStmt *) stmt)->fromClause;
			break;
		case T_CreateTableAsStmt:
			stmt = ((CreateTableAsStmt *) stmt)->query;
			if (IsA(stmt, SelectStmt))
				from = ((SelectStmt *) stmt)->fromClause;
			break;
		case T_AlterTableStmt:
			foreach(lc, ((AlterTableStmt *) stmt)->cmds)
				if (lfirst_node(AlterTableCmd, lc)->subtype ==
					AT_ValidateConstraint)
				from = list_make1(((AlterTableStmt *) stmt)->relation);
			break;
		default:
			break;
	}
	foreach(lc, from)
	{
		if (!IsA(lfirst(lc), RangeVar))
			continue;
		rel = mig_model_range(lint->model, lfirst(lc));
		if (rel != NULL)
			mig_lint_takes_long(lint, rel);
	}
}

/* does one of the locks make the other one no worse? */
static bool
is_covered(List *locks, const MigLintLock *other)
{
	ListCell   *lc;

	foreach(lc, locks)
	{
		MigLintLock *lock = (MigLintLock *) lfirst(lc);

		if (lock->rel == other->rel && lock->mode >= other->mode)
			return true;
	}
	return false;
}

/* one lock for each relation, the strongest */
static void
remember_lock(MigLint *lint, MigLintLock *lock)
{
	ListCell   *lc;

	if (is_covered(lint->locks, lock))
		return;
	foreach(lc, lint->locks)
	{
		if (((MigLintLock *) lfirst(lc))->rel == lock->rel)
		{
			lfirst(lc) = lock;
			return;
		}
	}
	lint->locks = lappend(lint->locks, lock);
}

/* does one of the locks have to be waited for, on a table not locked so far? */
static bool
waits_for_table(const MigLint *lint, List *locks)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, locks)
	{
		bool		is_held = false;

		foreach(lc2, lint->locks)
			is_held = is_held || ((MigLintLock *) lfirst(lc2))->rel ==
			((MigLintLock *) lfirst(lc))->rel;
		if (!is_held)
			return true;
	}
	return false;
}

/* "SHARE on table a (line 1), ...": what is held and not needed, or NULL */
static char *
locks_to_give_up(MigLint *lint, List *needed)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, lint->locks)
	{
		MigLintLock *lock = (MigLintLock *) lfirst(lc);

		if (!is_covered(needed, lock))
			appendStringInfo(&text, "%s%s on table %s (line %d)",
							 text.len > 0 ? " and " : "",
							 mig_held_locks_mode_name(lock->mode),
							 mig_lint_name(lint, lock->rel), lock->line);
	}
	return text.len > 0 ? text.data : NULL;
}

/*
 * A migration is one transaction, in apply_each() too: what a tool in
 * autocommit mode would give up between two statements is held to the end.
 * The finding is at the statement after which the migration could end.
 */
static void
could_be_cut(MigLint *lint, Node *stmt)
{
	List	   *needed;
	char	   *given_up;
	MigFinding	place;
	int			line = lint->body->statements[lint->statement].line;

	if (lint->part != MIG_UP || lint->locks == NIL || lint->cuts == MAX_CUTS)
		return;
	needed = locks_of(lint, stmt);
	weigh_statement(lint, stmt);
	given_up = locks_to_give_up(lint, needed);
	if (given_up == NULL ||
		(lint->takes_long == MIG_LINT_NONE && !waits_for_table(lint, needed)))
		return;
	lint->cuts++;
	mig_lint_place(lint, &place);
	place.statement = lint->statement;
	place.line = lint->body->statements[lint->statement - 1].line;
	mig_lint_report_at(lint, &place, MIG_LINT_NOTE, NULL,
					   psprintf("the migration could be split after this statement, so that line %d %s without holding %s",
								line, lint->takes_long != MIG_LINT_NONE ?
								"takes long" : "waits for its lock", given_up),
					   "Unless it has to be atomic, end the migration here, put the rest into the next one, and CALL migrate.apply_each().");
}

/* has validate-in-same-migration said it of this statement already? */
static bool
is_late_validation(const MigLint *lint)
{
	int			i;

	/* could-be-cut may have said something of the statement before */
	for (i = list_length(lint->findings) - 1; i >= 0; i--)
	{
		MigFinding *finding = (MigFinding *) list_nth(lint->findings, i);

		if (finding->step != lint->step ||
			finding->statement < lint->statement)
			break;
		if (finding->statement == lint->statement + 1 &&
			strcmp(finding->rule, "validate-in-same-migration") == 0)
			return true;
	}
	return false;
}

/* one finding, about the strongest of the locks that the statement needs not */
static void
report_held(MigLint *lint, List *needed)
{
	MigLintLock *worst = NULL;
	char	   *held = locks_to_give_up(lint, needed);
	ListCell   *lc;

	foreach(lc, lint->locks)
	{
		MigLintLock *lock = (MigLintLock *) lfirst(lc);

		if (!is_covered(needed, lock) &&
			(worst == NULL || lock->mode > worst->mode))
			worst = lock;
	}
	if (worst != NULL)
		mig_lint_report(lint, lint->takes_long, worst->rel,
						psprintf("the statement takes long while the migration holds %s: %s", held,
								 mig_lint_nobody(worst->mode)),
						"Do the long work in a migration of its own, or before the lock is taken, and CALL migrate.apply_each().");
}

static void
lock_held_long(MigLint *lint, Node *stmt)
{
	List	   *locks = locks_of(lint, stmt);
	ListCell   *lc;

	weigh_statement(lint, stmt);
	if (lint->takes_long >= MIG_LINT_WARNING && !is_late_validation(lint))
		report_held(lint, locks);
	foreach(lc, locks)
		remember_lock(lint, lfirst(lc));
}

static void
lock_on_busy_table(MigLint *lint, Node *stmt)
{
	ListCell   *lc;

	/* then there is a finding that is more to the point */
	if (lint->takes_long != MIG_LINT_NONE)
		return;
	foreach(lc, locks_of(lint, stmt))
	{
		MigLintLock *lock = (MigLintLock *) lfirst(lc);

		if (!mig_lint_is_busy(lint, lock->rel))
			continue;
		mig_lint_report(lint, MIG_LINT_WARNING, lock->rel,
						psprintf("the statement takes %s on table %s, which is busy (%s): it waits for every transaction that uses it, and later statements queue behind it",
								 mig_held_locks_mode_name(lock->mode),
								 mig_lint_name(lint, lock->rel),
								 mig_lint_how_much(lint, lock->rel)),
						"Use a short migration that does nothing else, with a low migrate.lock_timeout and migrate.lock_retries.");
	}
}

static void
merge_alter_table(MigLint *lint, Node *stmt)
{
	MigLintRel *rel = mig_lint_altered(lint, stmt);

	/* that belongs into another migration rather */
	if (is_late_validation(lint))
		return;
	if (mig_lint_is_harmless(lint, rel) || !mig_lint_in_transaction(lint))
		return;
	if (!list_member_ptr(lint->altered, rel))
		lint->altered = lappend(lint->altered, rel);
	else if (lint->takes_long != MIG_LINT_NONE)
		mig_lint_report(lint, MIG_LINT_NOTE, rel,
						psprintf("%s was already altered in this body: one ALTER TABLE with all commands would read its rows only once",
								 mig_lint_name(lint, rel)),
						"Put the commands into one ALTER TABLE, with commas.");
}

static void
lock_timeout_off(MigLint *lint, Node *node)
{
	VariableSetStmt *stmt = (VariableSetStmt *) node;
	A_Const    *value;
	bool		zero;

	if (stmt->name == NULL || strcmp(stmt->name, "lock_timeout") != 0)
		return;
	if (stmt->kind == VAR_SET_VALUE)
	{
		value = (A_Const *) linitial(stmt->args);
		if (!IsA(value, A_Const) || value->isnull)
			return;
		zero = IsA(&value->val, Integer) ? intVal(&value->val) == 0 :
			IsA(&value->val, String) && strcmp(strVal(&value->val), "0") == 0;
		if (!zero)
			return;
	}
	else if (mig_guc_lock_timeout > 0 || stmt->kind == VAR_SET_CURRENT)
		return;
	mig_lint_report(lint, MIG_LINT_WARNING, NULL,
					"without lock_timeout a statement waits for its lock indefinitely, and later statements queue behind it",
					"Leave it to migrate.lock_timeout.");
}


/*
 * The way back
 */

static char *
lost_name(const MigLintRel *rel, const char *column)
{
	return psprintf("%s.%s.%s", rel->schema, rel->name, column ? column : "");
}

/* has the up body dropped it, with rows in it? */
static bool
was_lost(const MigLint *lint, const char *name)
{
	ListCell   *lc;

	foreach(lc, lint->lost)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

/* in up: what goes with what is in it */
static void
remember_lost(MigLint *lint, Node *stmt)
{
	MemoryContext old = MemoryContextSwitchTo(lint->context);
	ListCell   *lc;

	if (IsA(stmt, DropStmt) && ((DropStmt *) stmt)->removeType == OBJECT_TABLE)
	{
		foreach(lc, ((DropStmt *) stmt)->objects)
		{
			MigLintRel *rel = mig_model_names(lint->model, lfirst(lc));

			if (!mig_lint_is_harmless(lint, rel))
				lint->lost = lappend(lint->lost, lost_name(rel, NULL));
		}
	}
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		MigLintRel *rel = mig_lint_altered(lint, stmt);
		MigLintColumn *column;

		if (command->subtype != AT_DropColumn || mig_lint_is_harmless(lint, rel))
			continue;
		column = mig_model_column(lint->model, rel, command->name);
		if (column != NULL && column->attnum > 0)
			lint->lost = lappend(lint->lost, lost_name(rel, command->name));
	}
	MemoryContextSwitchTo(old);
}

static void
down_does_not_restore(MigLint *lint, Node *stmt)
{
	ListCell   *lc;

	if (lint->part == MIG_UP)
	{
		remember_lost(lint, stmt);
		return;
	}
	if (lint->lost == NIL)
		return;
	if (IsA(stmt, CreateStmt))
	{
		RangeVar   *range = ((CreateStmt *) stmt)->relation;

		if (was_lost(lint, psprintf("%s.%s.",
									mig_model_table_schema(lint->model, range),
									range->relname)))
			mig_lint_report(lint, MIG_LINT_NOTE, NULL,
							psprintf("table %s is created again without its rows",
									 mig_lint_quote(range->relname)),
							"Have the up body rename the table instead, and drop it in a later migration.");
	}
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		MigLintRel *rel = mig_lint_altered(lint, stmt);
		const char *name;

		if (command->subtype != AT_AddColumn || rel == NULL)
			continue;
		name = ((ColumnDef *) command->def)->colname;
		if (was_lost(lint, lost_name(rel, name)))
			mig_lint_report(lint, MIG_LINT_NOTE, rel,
							psprintf("column %s of %s is added again without its values",
									 mig_lint_quote(name),
									 mig_lint_name(lint, rel)),
							"Drop the column only when its values are not needed any more.");
	}
}

static void
report_loss(MigLint *lint, MigLintRel *rel, const char *what)
{
	MigSeverity severity = mig_lint_scale(lint, rel);

	mig_lint_report(lint, Max(severity, MIG_LINT_WARNING), rel,
					psprintf("%s loses rows of %s (%s) that the up body did not create",
							 what, mig_lint_name(lint, rel),
							 mig_lint_how_much(lint, rel)),
					"Have the down body undo what the up body does and nothing else.");
}

/* what the up has made may go; what was there before it should not */
static void
down_loses_data(MigLint *lint, Node *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;

	if (lint->part != MIG_DOWN)
		return;
	if (IsA(stmt, DropStmt) && ((DropStmt *) stmt)->removeType == OBJECT_TABLE)
	{
		foreach(lc, ((DropStmt *) stmt)->objects)
		{
			rel = mig_model_names(lint->model, lfirst(lc));
			if (!mig_lint_is_harmless(lint, rel))
				report_loss(lint, rel, "DROP TABLE");
		}
	}
	else if (IsA(stmt, TruncateStmt))
	{
		foreach(lc, ((TruncateStmt *) stmt)->relations)
		{
			rel = mig_model_range(lint->model, lfirst_node(RangeVar, lc));
			if (!mig_lint_is_harmless(lint, rel))
				report_loss(lint, rel, "TRUNCATE");
		}
	}
	else if (IsA(stmt, DeleteStmt) && ((DeleteStmt *) stmt)->whereClause == NULL)
	{
		rel = mig_model_range(lint->model, ((DeleteStmt *) stmt)->relation);
		if (!mig_lint_is_harmless(lint, rel))
			report_loss(lint, rel, "DELETE");
	}
	foreach_command(lc, stmt)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		MigLintColumn *column;

		if (command->subtype != AT_DropColumn)
			continue;
		rel = mig_lint_altered(lint, stmt);
		if (mig_lint_is_harmless(lint, rel))
			continue;
		column = mig_model_column(lint->model, rel, command->name);
		if (column != NULL && column->attnum > 0)
			report_loss(lint, rel, "DROP COLUMN");
	}
}

/* collected, for one finding at the end */
static void
missing_down(MigLint *lint, Node *stmt)
{
	const MigEntry *entry = lint->entry;
	MigLintDowns *downs = &lint->downs;
	MemoryContext old;

	if (entry->kind != MIG_VERSIONED || entry->has_down ||
		entry->irreversible || !mig_lint_is_on(lint, lint->rule->id))
		return;
	if (downs->versions == NIL)
	{
		mig_lint_place(lint, &downs->first);
		downs->marked = entry->convention->native_markers;
	}
	old = MemoryContextSwitchTo(lint->context);
	downs->versions = lappend(downs->versions, (char *) entry->version);
	MemoryContextSwitchTo(old);
}

/* a requirement is what an empty one is for: it joins others */
static void
empty_body(MigLint *lint, Node *stmt)
{
	if (lint->empty && lint->entry->nrequires == 0)
		mig_lint_report(lint, MIG_LINT_WARNING, NULL,
						"the up body is empty: the migration would count as applied without doing anything",
						"Fill it in, or remove the migration with migrate.remove().");
}

/* as good as none, but a roll-back would go on as if it had undone something */
static void
empty_down(MigLint *lint, Node *stmt)
{
	if (lint->down_empty)
		mig_lint_report(lint, lint->policy->require_down &&
						lint->entry->kind == MIG_VERSIONED ?
						MIG_LINT_ERROR : MIG_LINT_WARNING, NULL,
						"the down body has no statement: a roll-back would undo nothing, but count as one",
						"Write what undoes the up body, or SELECT 1 if there is nothing to undo.");
}

static void
body_refused(MigLint *lint, Node *stmt)
{
	if (lint->refused[MIG_UP] != NULL)
		mig_lint_report(lint, MIG_LINT_ERROR, NULL,
						psprintf("the up body cannot be run (%s), so it is not checked whether later ones find what they need",
								 lint->refused[MIG_UP]),
						"Correct it and load it again.");
	if (lint->refused[MIG_DOWN] != NULL)
		mig_lint_report(lint, MIG_LINT_WARNING, NULL,
						psprintf("the down body cannot be run (%s): it cannot be rolled back",
								 lint->refused[MIG_DOWN]),
						lint->entry->convention->native_markers ?
						"Correct it and load it again, or mark the migration with -- migrate:irreversible." :
						"Correct it and load it again.");
}

static void
verify_cannot_fail(MigLint *lint, Node *stmt)
{
	if (lint->verify_passes)
		mig_lint_report(lint, MIG_LINT_NOTE, NULL,
						"the verify body always passes: its first column is never false or null",
						lint->entry->convention->verify_by_errors ?
						"Have it raise an error, SELECT 1 / count(*) ... for example." :
						"Compare: SELECT count(*) = 1 FROM ..., or SELECT EXISTS (SELECT FROM ...).");
}


/*
 * Numbering
 */

/* the versioned migration before this one in the order, or NULL */
static const MigEntry *
find_predecessor(const MigLint *lint, const MigEntry *entry)
{
	const MigEntry *before;

	if (entry->position == 0)
		return NULL;
	before = lint->project->order[entry->position - 1];
	return before->kind == MIG_VERSIONED ? before : NULL;
}

/* the same numbers, whatever their width? */
static bool
same_numbers(const char *a, const char *b)
{
	while (*a && *b)
	{
		/* zeros in front of a number */
		while (*a == '0' && a[1] >= '0' && a[1] <= '9')
			a++;
		while (*b == '0' && b[1] >= '0' && b[1] <= '9')
			b++;
		if (*a != *b)
			return false;
		while (*a >= '0' && *a <= '9' && *a == *b)
		{
			a++;
			b++;
		}
		if ((*a >= '0' && *a <= '9') || (*b >= '0' && *b <= '9'))
			return false;
		if (*a != *b)
			return false;
		if (*a)
		{
			a++;
			b++;
		}
	}
	return *a == *b;
}

static void
version_duplicate(MigLint *lint, Node *stmt)
{
	const MigEntry *entry = lint->entry;
	const MigEntry *neighbors[2];
	int			i;

	if (lint->project->by_requirements || entry->kind != MIG_VERSIONED)
		return;
	neighbors[0] = find_predecessor(lint, entry);
	neighbors[1] = entry->position + 1 < lint->project->count ?
		lint->project->order[entry->position + 1] : NULL;
	for (i = 0; i < lengthof(neighbors); i++)
	{
		if (neighbors[i] == NULL ||
			!same_numbers(neighbors[i]->version, entry->version))
			continue;
		mig_lint_report(lint, MIG_LINT_WARNING, NULL,
						psprintf("\"%s\" is the same number",
								 neighbors[i]->version),
						"Give one of the two a number of its own.");
		return;
	}
}

/* the number that a version is, or -1 */
static int64
number_of(const MigEntry *entry)
{
	int64		number = 0;
	const char *p;

	if (entry == NULL || entry->kind != MIG_VERSIONED ||
		strlen(entry->version) > 9)
		return -1;
	for (p = entry->version; *p; p++)
	{
		if (*p < '0' || *p > '9')
			return -1;
		number = number * 10 + (*p - '0');
	}
	return number;
}

/* are most of the versions one after the other? */
static bool
is_counted(MigLint *lint)
{
	int			next = 0;
	int			i;

	if (lint->counted >= 0)
		return lint->counted;
	for (i = 1; i < lint->project->count; i++)
	{
		int64		number = number_of(lint->project->order[i]);

		if (number > 0 &&
			number_of(lint->project->order[i - 1]) == number - 1)
			next++;
	}
	lint->counted = next >= 2 && next * 4 >= (lint->project->count - 1) * 3;
	return lint->counted;
}

static void
version_gap(MigLint *lint, Node *stmt)
{
	int64		number = number_of(lint->entry);
	int64		before = number_of(find_predecessor(lint, lint->entry));

	if (lint->project->by_requirements || number < 0 || before < 0 ||
		number - before <= 1 || !is_counted(lint))
		return;
	mig_lint_report(lint, MIG_LINT_NOTE, NULL,
					number - before == 2 ?
					psprintf("number " INT64_FORMAT " is missing before it",
							 number - 1) :
					psprintf("numbers " INT64_FORMAT " to " INT64_FORMAT " are missing before it",
							 before + 1, number - 1),
					"Make sure that no migration was forgotten: if it comes later, it will be out of order.");
}

static void
version_out_of_order(MigLint *lint, Node *stmt)
{
	const MigEntry *entry = lint->entry;
	int			i;

	if (lint->policy->allow_out_of_order || entry->kind != MIG_VERSIONED ||
		entry->nrequires > 0 || lint->project->by_requirements ||
		entry->applied)
		return;
	for (i = lint->project->count - 1; i > entry->position; i--)
	{
		const MigEntry *later = lint->project->order[i];

		if (!later->applied || later->kind != MIG_VERSIONED)
			continue;
		mig_lint_report(lint, MIG_LINT_ERROR, NULL,
						psprintf("\"%s\", which comes later, is already applied: apply() will refuse this one",
								 later->version),
						"Give it a higher version, or say what it requires, or set out_of_order to 'allow' in migrate.policy.");
		return;
	}
}

/* comments that switch off what there is not; the policy's are the project's */
static void
lint_off_unknown(MigLint *lint, Node *stmt)
{
	ListCell   *lc;

	foreach(lc, lint->offs_seen)
	{
		CHECK_FOR_INTERRUPTS();
		if (!mig_lint_is_in(lint->known_rules, lfirst(lc)))
			mig_lint_report(lint, MIG_LINT_WARNING, NULL,
							psprintf("a comment switches off rule %s, which does not exist",
									 mig_lint_quote(lfirst(lc))),
							"doc/lint.md lists the rules.");
	}
}

const MigLintRule mig_rules_run[] = {
	{"could-be-cut", false, false, T_Invalid, could_be_cut},
	{"lock-held-long", false, false, T_Invalid, lock_held_long},
	{"lock-on-busy-table", false, false, T_Invalid, lock_on_busy_table},
	{"merge-alter-table", false, false, T_AlterTableStmt, merge_alter_table},
	{"lock-timeout-off", false, false, T_VariableSetStmt, lock_timeout_off},
	{"down-does-not-restore", false, false, T_Invalid, down_does_not_restore},
	{"down-loses-data", false, false, T_Invalid, down_loses_data},
	{NULL, false, false, T_Invalid, NULL}
};

const MigLintRule mig_rules_migration[] = {
	{"missing-down", false, false, T_Invalid, missing_down},
	{"empty-body", false, false, T_Invalid, empty_body},
	{"empty-down", false, false, T_Invalid, empty_down},
	{"body-refused", false, false, T_Invalid, body_refused},
	{"verify-cannot-fail", false, false, T_Invalid, verify_cannot_fail},
	{"version-duplicate", false, false, T_Invalid, version_duplicate},
	{"version-gap", false, false, T_Invalid, version_gap},
	{"version-out-of-order", false, false, T_Invalid, version_out_of_order},
	{"lint-off-unknown", false, false, T_Invalid, lint_off_unknown},
	{NULL, false, false, T_Invalid, NULL}
};
