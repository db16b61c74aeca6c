/*-------------------------------------------------------------------------
 *
 * subxact.h
 *	  Running a function in a (sub)transaction and catching its error.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_SUBXACT_H
#define MIG_BASE_SUBXACT_H

/*
 * Call function(arg) in an internal subtransaction.  Returns NULL if it came
 * back, or its error, as a copy in CurrentMemoryContext, with what a terminal
 * must not be shown escaped, after everything that it did has been rolled back.
 * Without keep that happens in any case.
 *
 * Usage:
 *		edata = mig_subxact_run(do_it, &arguments, true);
 *		if (edata != NULL)
 *			ReThrowError(edata);	-- or anything else
 */
extern ErrorData *mig_subxact_run(void (*function) (void *arg), void *arg,
								  bool keep);

/*
 * Call function(arg) in the current transaction and commit that.  Returns NULL
 * if both went well, or the error, as that copy, after the transaction has been
 * aborted.  A new one is open in either case.  The
 * function may have opened a transaction block, and must have ended it then.
 *
 * Only for code that runs at top level, with no snapshot active and nothing
 * connected to SPI, and whose CurrentMemoryContext outlives a transaction.  An
 * abort gives up the locks of the session too.
 */
extern ErrorData *mig_transaction_run(void (*function) (void *arg), void *arg);

/*
 * The same for what is done about an error that there is already, to which a
 * cancel comes second: after one it is tried again.  Interrupts are not held
 * for that, since what is called may catch errors itself, and that would end
 * the hold.
 */
extern ErrorData *mig_subxact_insist(void (*function) (void *arg), void *arg);
extern ErrorData *mig_transaction_insist(void (*function) (void *arg),
										 void *arg);

/*
 * Begin a transaction whose now() and statement_timestamp() are when it begins,
 * and not when the CALL did.
 */
extern void mig_transaction_start(void);

#endif							/* MIG_BASE_SUBXACT_H */
