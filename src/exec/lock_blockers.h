/*-------------------------------------------------------------------------
 *
 * lock_blockers.h
 *	  Which sessions were in the way of a wait for a lock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_LOCK_BLOCKERS_H
#define MIG_EXEC_LOCK_BLOCKERS_H

/*
 * After an error for which mig_lock_wait_is_lock_failure() is true, and the
 * roll-back of what failed: what was waited for,
 * and a line for each session that holds it, for DETAIL, in
 * CurrentMemoryContext.  NULL if the error did not end a wait, or nobody is in
 * the way any more.  *autovacuum says whether one of them is an autovacuum.
 * Shows queries of those roles only whose statistics the current user may see.
 *
 * Needs an open transaction.  Never raises an error for what goes wrong; a
 * request to cancel stays for the next CHECK_FOR_INTERRUPTS().
 */
extern char *mig_lock_blockers_describe(bool *autovacuum);

#endif							/* MIG_EXEC_LOCK_BLOCKERS_H */
