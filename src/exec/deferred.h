/*-------------------------------------------------------------------------
 *
 * deferred.h
 *	  What a transaction has put off to its end.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_DEFERRED_H
#define MIG_EXEC_DEFERRED_H

/*
 * Before a subtransaction with bodies: do what the caller's transaction has put
 * off so far.  An error of that is the caller's.
 */
extern void mig_deferred_fire_callers(void);

/*
 * Do all that has been put off since the current subtransaction began, as the
 * end of a transaction would, and forget every SET CONSTRAINTS since then.  To
 * be called in that very subtransaction, and with nothing older left to do.
 */
extern void mig_deferred_fire(void);

#endif							/* MIG_EXEC_DEFERRED_H */
