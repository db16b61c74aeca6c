/*-------------------------------------------------------------------------
 *
 * statement_kind.c
 *	  What a statement is, by its parse tree.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "base/compat.h"
#include "source/statement_kind.h"


static bool
reindex_own_transaction(ReindexStmt *stmt)
{
	ListCell   *lc;

	if (stmt->kind != REINDEX_OBJECT_INDEX && stmt->kind != REINDEX_OBJECT_TABLE)
		return true;
	foreach(lc, stmt->params)
	{
		DefElem    *option = (DefElem *) lfirst(lc);

		if (strcmp(option->defname, "concurrently") == 0)
			return defGetBoolean(option);
	}
	return false;
}

static bool
detaches_concurrently(AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = (AlterTableCmd *) lfirst(lc);

		if (cmd->subtype == AT_DetachPartition &&
			((PartitionCmd *) cmd->def)->concurrent)
			return true;
	}
	return false;
}

/* value of a boolean option, or the default where it is not given */
static bool
option_value(List *options, const char *name, bool default_value)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = (DefElem *) lfirst(lc);

		if (strcmp(option->defname, name) == 0)
			return defGetBoolean(option);
	}
	return default_value;
}

static bool
has_command_option(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		if (strcmp(((DefElem *) lfirst(lc))->defname, name) == 0)
			return true;
	}
	return false;
}

static bool
alter_subscription_own_transaction(AlterSubscriptionStmt *stmt)
{
	switch (stmt->kind)
	{
		case ALTER_SUBSCRIPTION_REFRESH:
			return true;
		case ALTER_SUBSCRIPTION_SET_PUBLICATION:
		case ALTER_SUBSCRIPTION_ADD_PUBLICATION:
		case ALTER_SUBSCRIPTION_DROP_PUBLICATION:
			return option_value(stmt->options, "refresh", true);
		case ALTER_SUBSCRIPTION_OPTIONS:
			return has_command_option(stmt->options, "failover") ||
				has_command_option(stmt->options, "two_phase");
		default:
			return false;
	}
}

/*
 * What a statement is, if it cannot run in a transaction block, else NULL.
 * The rules are those of PreventInTransactionBlock()'s callers.
 */
const char *
mig_statement_own_transaction(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return ((IndexStmt *) stmt)->concurrent ?
				"CREATE INDEX CONCURRENTLY" : NULL;
		case T_DropStmt:
			return ((DropStmt *) stmt)->concurrent ?
				"DROP INDEX CONCURRENTLY" : NULL;
		case T_ReindexStmt:
			return reindex_own_transaction((ReindexStmt *) stmt) ?
				"REINDEX CONCURRENTLY, SCHEMA, DATABASE or SYSTEM" : NULL;
		case T_VacuumStmt:
			return ((VacuumStmt *) stmt)->is_vacuumcmd ? "VACUUM" : NULL;
		case T_ClusterStmt:
			return ((ClusterStmt *) stmt)->relation == NULL ?
				"CLUSTER of all tables" : NULL;
		case T_AlterTableStmt:
			return detaches_concurrently((AlterTableStmt *) stmt) ?
				"DETACH PARTITION CONCURRENTLY" : NULL;
		case T_CreatedbStmt:
			return "CREATE DATABASE";
		case T_DropdbStmt:
			return "DROP DATABASE";
		case T_AlterDatabaseStmt:
			return has_command_option(((AlterDatabaseStmt *) stmt)->options,
									  "tablespace") ?
				"ALTER DATABASE SET TABLESPACE" : NULL;
		case T_CreateTableSpaceStmt:
			return "CREATE TABLESPACE";
		case T_DropTableSpaceStmt:
			return "DROP TABLESPACE";
		case T_AlterSystemStmt:
			return "ALTER SYSTEM";
		case T_DiscardStmt:
			return ((DiscardStmt *) stmt)->target == DISCARD_ALL ?
				"DISCARD ALL" : NULL;
		case T_CreateSubscriptionStmt:
			{
				List	   *options = ((CreateSubscriptionStmt *) stmt)->options;
				bool		connect = option_value(options, "connect", true);

				return option_value(options, "create_slot", connect) ?
					"CREATE SUBSCRIPTION with a replication slot" : NULL;
			}
		case T_AlterSubscriptionStmt:
			return alter_subscription_own_transaction((AlterSubscriptionStmt *) stmt) ?
				"ALTER SUBSCRIPTION with refresh" : NULL;
		case T_DropSubscriptionStmt:
			return "DROP SUBSCRIPTION";
		case T_TransactionStmt:
			{
				TransactionStmtKind kind = ((TransactionStmt *) stmt)->kind;

				if (kind == TRANS_STMT_COMMIT_PREPARED)
					return "COMMIT PREPARED";
				if (kind == TRANS_STMT_ROLLBACK_PREPARED)
					return "ROLLBACK PREPARED";
				return NULL;
			}
		default:
			return NULL;
	}
}

MigResume
mig_statement_resume(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return MIG_RESUME_CREATE_INDEX;
		case T_ReindexStmt:
			return MIG_RESUME_REINDEX;
		case T_AlterTableStmt:
			return MIG_RESUME_DETACH;
		case T_TransactionStmt:
			return MIG_RESUME_PREPARED;
		case T_CallStmt:
		case T_DoStmt:
			return MIG_RESUME_PROCEDURE;
		default:
			return MIG_RESUME_REPEAT;
	}
}

/* is it about how transactions are to begin, read only or not, from here on? */
bool
mig_statement_sets_transactions(Node *stmt)
{
	VariableSetStmt *set = (VariableSetStmt *) stmt;

	return IsA(stmt, VariableSetStmt) &&
		(set->kind == VAR_RESET_ALL ||
		 strcmp(set->name, "SESSION CHARACTERISTICS") == 0 ||
		 pg_strncasecmp(set->name, "default_transaction_",
						strlen("default_transaction_")) == 0);
}

/* does it change a setting for longer than the transaction? */
bool
mig_statement_sets_for_session(Node *stmt)
{
	VariableSetStmt *set = (VariableSetStmt *) stmt;

	if (!IsA(stmt, VariableSetStmt) || set->is_local)
		return false;
	return set->kind != VAR_SET_MULTI ||
		strcmp(set->name, "SESSION CHARACTERISTICS") == 0;
}

bool
mig_statement_is_begin(Node *stmt)
{
	TransactionStmt *tx = (TransactionStmt *) stmt;

	return IsA(stmt, TransactionStmt) &&
		(tx->kind == TRANS_STMT_BEGIN || tx->kind == TRANS_STMT_START);
}

bool
mig_statement_is_commit(Node *stmt, MigPart part)
{
	TransactionStmt *tx = (TransactionStmt *) stmt;

	return IsA(stmt, TransactionStmt) &&
		(tx->kind == TRANS_STMT_COMMIT ||
		 (part == MIG_VERIFY && tx->kind == TRANS_STMT_ROLLBACK));
}

static bool
is_set_transaction(Node *stmt)
{
	return IsA(stmt, VariableSetStmt) &&
		((VariableSetStmt *) stmt)->kind == VAR_SET_MULTI &&
		strcmp(((VariableSetStmt *) stmt)->name, "TRANSACTION") == 0;
}

/* does it say, in a block, what kind of transaction that is to be? */
bool
mig_statement_sets_mode(Node *stmt)
{
	return is_set_transaction(stmt) ||
		(IsA(stmt, VariableSetStmt) &&
		 ((VariableSetStmt *) stmt)->kind == VAR_SET_VALUE &&
		 pg_strcasecmp(((VariableSetStmt *) stmt)->name,
					   "transaction_isolation") == 0);
}

/* what can only be said in a transaction block, or NULL */
const char *
mig_statement_of_block(Node *stmt)
{
	if (is_set_transaction(stmt))
		return "SET TRANSACTION";
	if (!IsA(stmt, TransactionStmt))
		return NULL;
	switch (((TransactionStmt *) stmt)->kind)
	{
		case TRANS_STMT_SAVEPOINT:
			return "SAVEPOINT";
		case TRANS_STMT_RELEASE:
			return "RELEASE SAVEPOINT";
		case TRANS_STMT_ROLLBACK_TO:
			return "ROLLBACK TO SAVEPOINT";
		default:
			return NULL;
	}
}

/* do these options of BEGIN or SET TRANSACTION forbid to write? */
bool
mig_statement_is_read_only(List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "transaction_read_only") == 0 &&
			intVal(&castNode(A_Const, option->arg)->val) != 0)
			return true;
	}
	return false;
}

bool
mig_statement_drops_this_extension(Node *stmt)
{
	ListCell   *lc;

	if (IsA(stmt, AlterExtensionContentsStmt))
		return strcmp(((AlterExtensionContentsStmt *) stmt)->extname,
					  MIG_EXTENSION_NAME) == 0;
	if (IsA(stmt, AlterExtensionStmt))
		return strcmp(((AlterExtensionStmt *) stmt)->extname,
					  MIG_EXTENSION_NAME) == 0;
	if (!IsA(stmt, DropStmt) ||
		((DropStmt *) stmt)->removeType != OBJECT_EXTENSION)
		return false;
	foreach(lc, ((DropStmt *) stmt)->objects)
	{
		if (strcmp(strVal(lfirst(lc)), MIG_EXTENSION_NAME) == 0)
			return true;
	}
	return false;
}

/*
 * Is this a SET of standard_conforming_strings to anything but on?
 */
bool
mig_statement_changes_string_syntax(Node *stmt)
{
	VariableSetStmt *set = (VariableSetStmt *) stmt;
	A_Const    *value;
	bool		on;

	if (!IsA(stmt, VariableSetStmt) || set->name == NULL ||
		pg_strcasecmp(set->name, "standard_conforming_strings") != 0 ||
		set->kind != VAR_SET_VALUE || list_length(set->args) != 1)
		return false;
	value = (A_Const *) linitial(set->args);
	if (!IsA(value, A_Const) || !IsA(&value->val, String))
		return true;
	return !(parse_bool(strVal(&value->val), &on) && on);
}

/*
 * May the statement prepare another one, open a cursor, or listen?  Triggers may.
 * What a function does that a default calls while DDL rewrites is left out.
 */
bool
mig_statement_runs_code(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
		case T_CopyStmt:
		case T_TruncateStmt:
		case T_RefreshMatViewStmt:
		case T_SelectStmt:
		case T_CreateTableAsStmt:
		case T_ExplainStmt:
		case T_DoStmt:
		case T_CallStmt:
		case T_PrepareStmt:
		case T_ExecuteStmt:
		case T_DeclareCursorStmt:
		case T_ListenStmt:
		case T_CreateExtensionStmt:
		case T_AlterExtensionStmt:
			return true;
		default:
			return false;
	}
}
