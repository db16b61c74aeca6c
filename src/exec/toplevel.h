/*-------------------------------------------------------------------------
 *
 * toplevel.h
 *	  Running a statement as a command of its own, at top level.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_TOPLEVEL_H
#define MIG_EXEC_TOPLEVEL_H

/*
 * Run the one statement in sql as if a client had sent it outside of a
 * transaction block; returns the number of rows.  The transaction that it
 * leaves open, which may be another one than it began in, is the caller's.
 *
 * No snapshot may be active and nothing connected to SPI, and
 * CurrentMemoryContext must outlive the transaction.  Parsed under the
 * session's settings.
 */
extern uint64 mig_toplevel_run(const char *sql);

/*
 * Raise ERRCODE_INVALID_TRANSACTION_TERMINATION, saying why, unless a
 * procedure with this call context (fcinfo->context) may commit and may run
 * statements at top level; MIG_ERRCODE_RECURSION in a body.
 */
extern void mig_toplevel_require(Node *context, const char *procedure);

#endif							/* MIG_EXEC_TOPLEVEL_H */
