/*-------------------------------------------------------------------------
 *
 * subxact.h
 *	  Running a function in a subtransaction and catching its error.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SUBXACT_H
#define MIG_SUBXACT_H

/*
 * Call function(arg) in an internal subtransaction.  Returns NULL if it came
 * back, or its error, as a copy in CurrentMemoryContext, after everything that
 * it did has been rolled back.  Without keep that happens in any case.
 *
 * Usage:
 *		edata = mig_subxact_run(do_it, &arguments, true);
 *		if (edata != NULL)
 *			ReThrowError(edata);	-- or anything else
 */
extern ErrorData *mig_subxact_run(void (*function) (void *arg), void *arg,
								  bool keep);

#endif							/* MIG_SUBXACT_H */
