/*-------------------------------------------------------------------------
 *
 * statement_kind.h
 *	  What a statement is, by its parse tree.
 *
 * Which statements cannot run in a transaction block is a copy in data of the
 * calls of PreventInTransactionBlock() in the server's sources.  What only the
 * catalog can tell (REINDEX of a partitioned table, a procedure that commits)
 * is left to the server's own error.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_STATEMENT_KIND_H
#define MIG_SOURCE_STATEMENT_KIND_H

#include "base/migrate.h"

/*
 * How to go on with a statement that was started and never recorded as
 * finished.  Whatever the server does in a statement's last transaction is
 * recorded in that very transaction, so most can simply be repeated.
 */
typedef enum MigResume
{
	MIG_RESUME_REPEAT,
	MIG_RESUME_CREATE_INDEX,	/* drop what it left, repeat */
	MIG_RESUME_REINDEX,			/* drop what it left, repeat */
	MIG_RESUME_DETACH,			/* finish what is pending, or repeat */
	MIG_RESUME_PREPARED,		/* repeat if the transaction is still there */
	MIG_RESUME_PROCEDURE		/* repeat if it has not committed anything */
} MigResume;

/* what it is, if it cannot run in a transaction block, else NULL */
extern const char *mig_statement_own_transaction(Node *stmt);

/* what it is, if it can only be said in a transaction block, else NULL */
extern const char *mig_statement_of_block(Node *stmt);
extern MigResume mig_statement_resume(Node *stmt);

/* is it about how transactions are to begin, read only or not, from here on? */
extern bool mig_statement_sets_transactions(Node *stmt);

/* does it change a setting for longer than the transaction? */
extern bool mig_statement_sets_for_session(Node *stmt);

/* does it say, in a block, what kind of transaction that is to be? */
extern bool mig_statement_sets_mode(Node *stmt);
extern bool mig_statement_is_begin(Node *stmt);

/* in a verify body ROLLBACK, too */
extern bool mig_statement_is_commit(Node *stmt, MigPart part);

/* do these options of BEGIN or SET TRANSACTION forbid to write? */
extern bool mig_statement_is_read_only(List *options);
extern bool mig_statement_drops_this_extension(Node *stmt);

/* a SET of standard_conforming_strings to anything but on? */
extern bool mig_statement_changes_string_syntax(Node *stmt);

/* may it prepare another statement, open a cursor, or listen? */
extern bool mig_statement_runs_code(Node *stmt);

#endif							/* MIG_SOURCE_STATEMENT_KIND_H */
