/*-------------------------------------------------------------------------
 *
 * rules_index.c
 *	  Rules about indexes, partitions and other things that take long.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"

#include "base/compat.h"
#include "lint/rules.h"
#include "source/conventions.h"

#define DROP_PARTITIONED_INDEX \
	"It cannot be done concurrently: use a short migration that does nothing else, with a low migrate.lock_timeout."

/* "a, b" with the names only */
static char *
index_columns(const IndexStmt *stmt)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, stmt->indexParams)
	{
		const char *name = lfirst_node(IndexElem, lc)->name;

		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "",
						 name ? mig_lint_quote(name) : "(...)");
	}
	return text.data;
}

/* quoted; the one that the server would choose if there is none */
static const char *
index_name(MigLint *lint, const IndexStmt *stmt, const MigLintRel *rel)
{
	List	   *columns = NIL;
	ListCell   *lc;

	if (stmt->idxname != NULL)
		return mig_lint_quote(stmt->idxname);
	foreach(lc, stmt->indexParams)
		columns = lappend(columns, lfirst_node(IndexElem, lc)->name);
	return mig_lint_new_name(lint, rel, columns, "idx");
}

char *
mig_lint_concurrent_index(MigLint *lint, const IndexStmt *stmt, const MigLintRel *rel)
{
	const char *unique = stmt->unique ? "UNIQUE " : "";
	const char *name = index_name(lint, stmt, rel);
	char	   *table = mig_lint_name(lint, rel);
	char	   *columns = index_columns(stmt);
	const char *method = stmt->accessMethod == NULL ||
		strcmp(stmt->accessMethod, "btree") == 0 ? "" :
		psprintf(" USING %s", mig_lint_quote(stmt->accessMethod));
	const char *where = stmt->whereClause ? " WHERE ..." : "";

	if (rel->relkind != RELKIND_PARTITIONED_TABLE)
		return psprintf(MIG_LINT_ON_ITS_OWN
						"CREATE %sINDEX CONCURRENTLY %s ON %s%s (%s)%s;",
						unique, name, table, method, columns, where);
	return psprintf("CREATE %sINDEX %s ON ONLY %s%s (%s)%s;\n"
					"-- for each partition, in migrations of their own, by CALL migrate.apply_each():\n"
					"CREATE %sINDEX CONCURRENTLY ... ON ...%s (%s)%s;\n"
					"-- for each of these:\n"
					"ALTER INDEX %s ATTACH PARTITION ...;",
					unique, name, table, method, columns, where, unique,
					method, columns, where, name);
}

static void
create_index_blocks_writes(MigLint *lint, Node *node)
{
	IndexStmt  *stmt = (IndexStmt *) node;
	MigLintRel *rel = mig_model_range(lint->model, stmt->relation);

	/* ON ONLY a partitioned table reads nothing */
	if (stmt->concurrent || mig_lint_is_harmless(lint, rel) ||
		(rel->relkind == RELKIND_PARTITIONED_TABLE && !stmt->relation->inh))
		return;
	mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
					psprintf("CREATE INDEX reads table %s under SHARE (%s): nobody can write to it until the index is built",
							 mig_lint_name(lint, rel),
							 mig_lint_how_much(lint, rel)),
					mig_lint_concurrent_index(lint, stmt, rel));
}

static void
index_concurrently_on_partitioned(MigLint *lint, Node *node)
{
	MigLintRel *rel;
	ListCell   *lc;

	if (IsA(node, IndexStmt) && ((IndexStmt *) node)->concurrent)
	{
		rel = mig_model_range(lint->model, ((IndexStmt *) node)->relation);
		if (rel != NULL && rel->relkind == RELKIND_PARTITIONED_TABLE)
			mig_lint_report(lint, MIG_LINT_ERROR, rel,
							psprintf("table %s is partitioned: the server cannot create an index on it concurrently",
									 mig_lint_name(lint, rel)),
							mig_lint_concurrent_index(lint, (IndexStmt *) node, rel));
	}
	else if (IsA(node, DropStmt) && ((DropStmt *) node)->concurrent)
	{
		foreach(lc, ((DropStmt *) node)->objects)
		{
			MigLintRel *index = mig_model_names(lint->model, lfirst(lc));

			rel = index ? mig_model_table_of(lint->model, index) : NULL;
			if (rel != NULL && rel->relkind == RELKIND_PARTITIONED_TABLE)
				mig_lint_report(lint, MIG_LINT_ERROR, rel,
								psprintf("table %s is partitioned: the server cannot drop an index of it concurrently",
										 mig_lint_name(lint, rel)),
								DROP_PARTITIONED_INDEX);
		}
	}
}

static void
index_with_many_columns(MigLint *lint, Node *node)
{
	IndexStmt  *stmt = (IndexStmt *) node;

	if (stmt->unique || list_length(stmt->indexParams) <= 3 ||
		(stmt->accessMethod != NULL && strcmp(stmt->accessMethod, "btree") != 0))
		return;
	mig_lint_report(lint, MIG_LINT_NOTE,
					mig_model_range(lint->model, stmt->relation),
					psprintf("an index of %d columns is large, and seldom better than one on the first few",
							 list_length(stmt->indexParams)),
					"Keep the most selective columns.");
}

/* an operator class, a collation or an order makes another index of it */
static bool
same_columns(const MigLintIndex *index, List *params)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (list_length(index->columns) != list_length(params))
		return false;
	forboth(lc, index->columns, lc2, params)
	{
		IndexElem  *element = lfirst_node(IndexElem, lc2);

		if (lfirst(lc) == NULL || element->name == NULL ||
			strcmp(lfirst(lc), element->name) != 0 ||
			element->opclass != NIL || element->collation != NIL ||
			element->ordering != SORTBY_DEFAULT ||
			element->nulls_ordering != SORTBY_NULLS_DEFAULT)
			return false;
	}
	return true;
}

static void
duplicate_index(MigLint *lint, Node *node)
{
	IndexStmt  *stmt = (IndexStmt *) node;
	MigLintRel *rel = mig_model_range(lint->model, stmt->relation);
	ListCell   *lc;

	if (rel == NULL || stmt->whereClause != NULL ||
		stmt->indexIncludingParams != NIL ||
		(stmt->accessMethod != NULL && strcmp(stmt->accessMethod, "btree") != 0))
		return;
	foreach(lc, mig_model_indexes(lint->model, rel))
	{
		MigLintIndex *index = (MigLintIndex *) lfirst(lc);

		if (!index->btree || index->partial || !index->valid ||
			(stmt->unique && !index->unique) || index->name == NULL ||
			!same_columns(index, stmt->indexParams))
			continue;

		/* IF NOT EXISTS does nothing then */
		if (stmt->idxname != NULL && strcmp(stmt->idxname, index->name) == 0)
			continue;
		mig_lint_report(lint, MIG_LINT_WARNING, rel,
						psprintf("index %s already has the same columns",
								 mig_lint_quote(index->name)),
						"Leave it out, or drop the other one.");
		return;
	}
}

/* CREATE INDEX IF NOT EXISTS is content with an index that is of no use */
static void
invalid_index_is_kept(MigLint *lint, Node *node)
{
	IndexStmt  *stmt = (IndexStmt *) node;
	MigLintRel *rel = mig_model_range(lint->model, stmt->relation);
	ListCell   *lc;

	if (rel == NULL || stmt->idxname == NULL || !stmt->if_not_exists)
		return;
	foreach(lc, mig_model_indexes(lint->model, rel))
	{
		MigLintIndex *index = (MigLintIndex *) lfirst(lc);

		if (index->valid || index->name == NULL ||
			strcmp(index->name, stmt->idxname) != 0)
			continue;
		mig_lint_report(lint, MIG_LINT_ERROR, rel,
						psprintf("index %s already exists but is invalid, and IF NOT EXISTS leaves it so",
								 mig_lint_quote(index->name)),
						psprintf(MIG_LINT_ON_ITS_OWN "REINDEX INDEX CONCURRENTLY %s;",
								 mig_lint_quote(index->name)));
	}
}

static void
drop_index_blocks(MigLint *lint, Node *node)
{
	DropStmt   *stmt = (DropStmt *) node;
	ListCell   *lc;

	if (stmt->removeType != OBJECT_INDEX || stmt->concurrent)
		return;
	foreach(lc, stmt->objects)
	{
		MigLintRel *index = mig_model_names(lint->model, lfirst(lc));
		MigLintRel *table = index ? mig_model_table_of(lint->model, index) : NULL;

		/* what cannot be dropped at all is a finding of still-used */
		if (mig_lint_is_harmless(lint, table) ||
			mig_lint_owner_of_index(lint, index, table) != NULL)
			continue;
		mig_lint_report(lint, mig_lint_is_busy(lint, table) ?
						MIG_LINT_ERROR : MIG_LINT_WARNING, table,
						psprintf("DROP INDEX takes ACCESS EXCLUSIVE on table %s: it waits for every transaction that uses it, and later statements queue behind it",
								 mig_lint_name(lint, table)),
						table->relkind == RELKIND_PARTITIONED_TABLE ?
						DROP_PARTITIONED_INDEX :
						psprintf(MIG_LINT_ON_ITS_OWN "DROP INDEX CONCURRENTLY %s;",
								 mig_lint_name(lint, index)));
	}
}

/* present and not switched off */
static bool
has_index_option(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) != 0)
			continue;

		/* (concurrently false) */
		return option->arg == NULL || !IsA(option->arg, String) ||
			(pg_strcasecmp(strVal(option->arg), "false") != 0 &&
			 pg_strcasecmp(strVal(option->arg), "off") != 0);
	}
	return false;
}

static void
reindex_blocks(MigLint *lint, Node *node)
{
	ReindexStmt *stmt = (ReindexStmt *) node;
	MigLintRel *named;
	MigLintRel *rel;
	MigLintConstraint *constraint;

	if (has_index_option(stmt->params, "concurrently") ||
		stmt->relation == NULL)
		return;
	rel = named = mig_model_range(lint->model, stmt->relation);
	if (rel != NULL && stmt->kind == REINDEX_OBJECT_INDEX)
		rel = mig_model_table_of(lint->model, rel);
	if (mig_lint_is_harmless(lint, rel))
		return;
	constraint = named == rel ? NULL :
		mig_model_constraint(lint->model, rel, named->name);
	mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
					psprintf("REINDEX reads table %s under SHARE (%s): nobody can write to it, or read with the index",
							 mig_lint_name(lint, rel),
							 mig_lint_how_much(lint, rel)),
					constraint != NULL &&
					constraint->kind == CONSTRAINT_EXCLUSION ?
					"It cannot be done concurrently for an exclusion constraint: do it in a maintenance window." :
					psprintf(MIG_LINT_ON_ITS_OWN "REINDEX %s CONCURRENTLY %s;",
							 stmt->kind == REINDEX_OBJECT_INDEX ?
							 "INDEX" : "TABLE", mig_lint_name(lint, named)));
}

static void
concurrently_in_transaction(MigLint *lint, Node *node)
{
	const MigStatement *statement = &lint->body->statements[lint->statement];

	if (lint->part != MIG_UP || statement->own_transaction == NULL ||
		lint->entry->transactional != MIG_TX_ON)
		return;
	mig_lint_report(lint, MIG_LINT_ERROR, NULL,
					psprintf("%s cannot run in a transaction block, but the migration is marked as transactional",
							 statement->own_transaction),
					lint->entry->convention->native_markers ?
					"Remove \"migrate:transactional on\"." :
					"Remove that mark.");
}

static void
detach_partition_blocks(MigLint *lint, Node *node)
{
	ListCell   *lc;

	foreach_command(lc, node)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		MigLintRel *rel;

		if (command->subtype != AT_DetachPartition ||
			((PartitionCmd *) command->def)->concurrent)
			continue;
		rel = mig_lint_altered(lint, node);
		if (mig_lint_is_harmless(lint, rel))
			continue;
		mig_lint_report(lint, MIG_LINT_WARNING, rel,
						psprintf("DETACH PARTITION takes ACCESS EXCLUSIVE on table %s: nobody can read or write it",
								 mig_lint_name(lint, rel)),
						mig_facts_has_default_partition(rel->oid) ?
						"It cannot be done concurrently while the table has a default partition: use a short migration that does nothing else, with a low migrate.lock_timeout." :
						psprintf(MIG_LINT_ON_ITS_OWN "ALTER TABLE %s DETACH PARTITION %s CONCURRENTLY;",
								 mig_lint_name(lint, rel),
								 mig_lint_quote(((PartitionCmd *) command->def)->name->relname)));
	}
}

/* a CHECK that the server may be able to use instead of looking at the rows */
static bool
has_check(MigLint *lint, MigLintRel *rel)
{
	ListCell   *lc;

	foreach(lc, mig_model_constraints(lint->model, rel))
	{
		MigLintConstraint *constraint = (MigLintConstraint *) lfirst(lc);

		if (constraint->kind == 'c' && constraint->valid)
			return true;
	}
	return false;
}

static void
attach_partition_scans(MigLint *lint, Node *node)
{
	ListCell   *lc;

	foreach_command(lc, node)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		MigLintRel *rel;

		if (command->subtype != AT_AttachPartition ||
			((PartitionCmd *) command->def)->bound == NULL)
			continue;
		rel = mig_model_range(lint->model,
							  ((PartitionCmd *) command->def)->name);
		if (mig_lint_is_harmless(lint, rel) || has_check(lint, rel))
			continue;
		mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
						psprintf("ATTACH PARTITION reads table %s under ACCESS EXCLUSIVE (%s): nobody can read or write it",
								 mig_lint_name(lint, rel),
								 mig_lint_how_much(lint, rel)),
						psprintf("-- before, with the bounds of the partition:\n"
								 "ALTER TABLE %s ADD CONSTRAINT %s CHECK (...) NOT VALID;"
								 MIG_LINT_NEXT
								 "ALTER TABLE %s VALIDATE CONSTRAINT %s;",
								 mig_lint_name(lint, rel),
								 mig_lint_new_name(lint, rel, NIL, "bounds"),
								 mig_lint_name(lint, rel),
								 mig_lint_new_name(lint, rel, NIL, "bounds")));
	}
}

static void
partition_of_blocks(MigLint *lint, Node *node)
{
	CreateStmt *stmt = (CreateStmt *) node;
	MigLintRel *parent;

	if (stmt->partbound == NULL || stmt->inhRelations == NIL)
		return;
	parent = mig_model_range(lint->model, linitial(stmt->inhRelations));
	if (mig_lint_is_harmless(lint, parent))
		return;
	mig_lint_report(lint, MIG_LINT_WARNING, parent,
					psprintf("PARTITION OF takes ACCESS EXCLUSIVE on table %s: nobody can read or write it",
							 mig_lint_name(lint, parent)),
					psprintf("CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING IDENTITY);\n"
							 "-- %s:\n"
							 "ALTER TABLE %s ATTACH PARTITION %s FOR VALUES ...;",
							 mig_lint_quote(stmt->relation->relname),
							 mig_lint_name(lint, parent),
							 mig_facts_has_default_partition(parent->oid) ?
							 "blocks the default partition, which it reads unless a CHECK excludes these bounds" :
							 "does not block",
							 mig_lint_name(lint, parent),
							 mig_lint_quote(stmt->relation->relname)));
}

static void
refresh_blocks_reads(MigLint *lint, Node *node)
{
	RefreshMatViewStmt *stmt = (RefreshMatViewStmt *) node;
	MigLintRel *rel = mig_model_range(lint->model, stmt->relation);

	if (stmt->concurrent || mig_lint_is_harmless(lint, rel))
		return;
	mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
					psprintf("REFRESH MATERIALIZED VIEW fills %s under ACCESS EXCLUSIVE (%s): nobody can read it until it is filled",
							 mig_lint_name(lint, rel),
							 mig_lint_how_much(lint, rel)),
					psprintf("-- needs a unique index on it:\n"
							 "REFRESH MATERIALIZED VIEW CONCURRENTLY %s;",
							 mig_lint_name(lint, rel)));
}

static void
report_rewrite(MigLint *lint, MigLintRel *rel, const char *what)
{
	if (mig_lint_is_harmless(lint, rel))
		return;
	mig_lint_report(lint, mig_lint_scale(lint, rel), rel,
					psprintf("%s rewrites table %s under ACCESS EXCLUSIVE (%s): nobody can read or write it",
							 what, mig_lint_name(lint, rel),
							 mig_lint_how_much(lint, rel)),
					"Do it in a maintenance window, or with pg_repack, or copy the rows into a new table in batches.");
}

/* as SQL, or NULL if it rewrites nothing */
static const char *
rewriting_command(const AlterTableCmd *command)
{
	switch (command->subtype)
	{
		case AT_SetLogged:
			return "SET LOGGED";
		case AT_SetUnLogged:
			return "SET UNLOGGED";
		case AT_SetTableSpace:
			return "SET TABLESPACE";
		case AT_SetAccessMethod:
			return "SET ACCESS METHOD";
		default:
			return MIG_IS_SET_EXPRESSION(command->subtype) ?
				"SET EXPRESSION" : NULL;
	}
}

static void
rewrite_table(MigLint *lint, Node *node)
{
	ListCell   *lc;

	if (IsA(node, ClusterStmt) && ((ClusterStmt *) node)->relation != NULL)
		report_rewrite(lint, mig_model_range(lint->model,
											 ((ClusterStmt *) node)->relation),
					   "CLUSTER");
	else if (IsA(node, VacuumStmt) &&
			 has_index_option(((VacuumStmt *) node)->options, "full"))
		foreach(lc, ((VacuumStmt *) node)->rels)
			report_rewrite(lint, mig_model_range(lint->model,
												 lfirst_node(VacuumRelation, lc)->relation),
						   "VACUUM FULL");
	foreach_command(lc, node)
	{
		const char *what = rewriting_command(lfirst(lc));
		MigLintRel *rel = mig_lint_altered(lint, node);

		/* of a partitioned table the partitions are left as they are */
		if (what != NULL && rel != NULL &&
			(rel->relkind != RELKIND_PARTITIONED_TABLE ||
			 MIG_IS_SET_EXPRESSION(lfirst_node(AlterTableCmd, lc)->subtype)))
			report_rewrite(lint, rel, what);
	}
}

static void
lock_table(MigLint *lint, Node *node)
{
	LockStmt   *stmt = (LockStmt *) node;
	ListCell   *lc;

	/* what does not get in the way of writers */
	if (stmt->mode < ShareLock)
		return;
	foreach(lc, stmt->relations)
	{
		MigLintRel *rel = mig_model_range(lint->model, lfirst_node(RangeVar, lc));

		if (mig_lint_is_harmless(lint, rel))
			continue;
		mig_lint_report(lint, MIG_LINT_WARNING, rel,
						psprintf("LOCK TABLE holds %s on table %s until the migration ends: %s",
								 mig_held_locks_mode_name(stmt->mode),
								 mig_lint_name(lint, rel),
								 mig_lint_nobody(stmt->mode)),
						"Let the statements take the locks that they need.");
	}
}

const MigLintRule mig_rules_index[] = {
	{"create-index-blocks-writes", true, false, T_IndexStmt, create_index_blocks_writes},
	{"index-concurrently-on-partitioned", false, true, T_Invalid, index_concurrently_on_partitioned},
	{"index-with-many-columns", false, false, T_IndexStmt, index_with_many_columns},
	{"duplicate-index", false, false, T_IndexStmt, duplicate_index},
	{"invalid-index-is-kept", false, true, T_IndexStmt, invalid_index_is_kept},
	{"drop-index-blocks", false, false, T_DropStmt, drop_index_blocks},
	{"reindex-blocks", true, false, T_ReindexStmt, reindex_blocks},
	{"concurrently-in-transaction", false, false, T_Invalid, concurrently_in_transaction},
	{"detach-partition-blocks", false, false, T_AlterTableStmt, detach_partition_blocks},
	{"attach-partition-scans", true, false, T_AlterTableStmt, attach_partition_scans},
	{"partition-of-blocks", false, false, T_CreateStmt, partition_of_blocks},
	{"refresh-blocks-reads", true, false, T_RefreshMatViewStmt, refresh_blocks_reads},
	{"rewrite-table", true, false, T_Invalid, rewrite_table},
	{"lock-table", false, false, T_LockStmt, lock_table},
	{NULL, false, false, T_Invalid, NULL}
};
