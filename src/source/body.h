/*-------------------------------------------------------------------------
 *
 * body.h
 *	  A body, cut into statements by the server's own parser.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_BODY_H
#define MIG_SOURCE_BODY_H

#include "source/body_label.h"
#include "source/body_text.h"
#include "source/statement_kind.h"

typedef struct MigStatement
{
	int			location;		/* in bytes, of the first token */
	int			length;
	int			line;			/* of the first token: of the file if the
								 * label knows it, else of the text */
	const char *tag;			/* command tag */
	int			log_level;		/* a LogStmtLevel */

	/* what it is, if it cannot run in a transaction block, else NULL */
	const char *own_transaction;
	MigResume	resume;
	bool		sets;			/* SET or RESET for the rest of the session */
	bool		sets_transactions;	/* how transactions begin after it */
	int			block;			/* which of the body's, from 1; 0: none */
	bool		starts_transaction; /* in a body that runs in several, for a
									 * BEGIN or COMMIT before it */

	/* what it is, if it has a meaning in a transaction block alone, else NULL */
	const char *of_block;
	bool		runs_code;		/* may do what only functions and utilities do */
} MigStatement;

/*
 * The statements [first, end), between BEGIN and COMMIT, of a body that runs in
 * several transactions, or between BEGIN and ROLLBACK of a verify body.
 */
typedef struct MigBlock
{
	int			first;
	int			end;
	List	   *opening;		/* of char *: the statements that begin it */
} MigBlock;

typedef struct MigBody
{
	const char *text;			/* what locations refer to */
	int			nstatements;
	MigStatement *statements;	/* without BEGIN and COMMIT */
	List	   *blocks;			/* of MigBlock * */

	/*
	 * What has it run in several transactions, if it is not what a statement
	 * is, as the line and own_transaction of a copy of one; or NULL.
	 */
	MigStatement *several;

	bool		only_ddl;		/* and so fires no trigger of a table */
	bool		runs_code;		/* one of its statements does */
} MigBody;

/*
 * Cut a body into its statements.
 *
 * A plain BEGIN and COMMIT around all statements are taken off, in a verify body
 * ROLLBACK too, which is rolled back in any case.  Any other body with BEGIN or
 * COMMIT runs in several transactions, and so does one with a BEGIN that has
 * options or is followed by SET TRANSACTION: what stands between BEGIN and
 * COMMIT is a block there.  In a verify body a block is what ROLLBACK ends.
 * Raises the parser's own syntax error, with line and column, or
 * MIG_ERRCODE_BODY for what no runner can ever run: other transaction control,
 * COPY from or to the client, psql's commands, DROP EXTENSION migrate, and
 * turning standard_conforming_strings off.  Touches no catalog.  The result is
 * in CurrentMemoryContext and refers to text.
 */
extern MigBody *mig_body_parse(const char *text, const MigLabel *label);

/*
 * The same, with the parse tree of each statement (RawStmt *) in *trees, in
 * their order.
 */
extern MigBody *mig_body_parse_trees(const char *text, const MigLabel *label,
									 List **trees);

/*
 * The first statement that cannot run in a transaction block, or what else has
 * the body run in several transactions; or NULL.
 */
extern const MigStatement *mig_body_own_transaction(const MigBody *body);

/* the statement, from 0, as a place for mig_error_locate() */
extern void mig_body_statement_place(MigPlace *place, const MigLabel *label,
									 const MigBody *body, int statement);

#endif							/* MIG_SOURCE_BODY_H */
