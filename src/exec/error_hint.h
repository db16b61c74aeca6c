/*-------------------------------------------------------------------------
 *
 * error_hint.h
 *	  What to do about well-known errors of bodies.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_ERROR_HINT_H
#define MIG_EXEC_ERROR_HINT_H

/* what is known of the run in which the error was raised */
typedef struct MigHintFacts
{
	const char *project;
	const char *role;			/* that the bodies run as */
	bool		ledger_was_empty;
	bool		undoes;			/* a down body has raised it */
	bool		blockers_named; /* DETAIL has what
								 * mig_lock_blockers_describe() found */
	const struct MigConvention *convention; /* NULL: of no body */
} MigHintFacts;

/* add a hint, after the server's own, to an error that a body has raised */
extern void mig_error_hint_add(ErrorData *edata, const MigHintFacts *facts);

#endif							/* MIG_EXEC_ERROR_HINT_H */
