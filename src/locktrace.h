/*-------------------------------------------------------------------------
 *
 * locktrace.h
 *	  Which sessions a statement of a body waited for in vain, and the pause
 *	  before it is tried again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LOCKTRACE_H
#define MIG_LOCKTRACE_H

/*
 * Sample what this backend waits for, from begin to end.  Both may be called
 * more often than needed.  What catches an error of a body has to call end
 * before anything else that may wait for a lock.
 */
extern void mig_locktrace_begin(void);
extern void mig_locktrace_end(void);

/* while that is going on: lock_timeout may have been set to something else */
extern void mig_locktrace_adjust(void);

/* forget what was sampled, before a new attempt */
extern void mig_locktrace_reset(void);

/* an error after which a roll-back and another attempt make sense? */
extern bool mig_locktrace_is_lock_failure(const ErrorData *edata);

/*
 * After such an error and the roll-back of what failed: what was waited for,
 * and a line for each session that holds it, for DETAIL, in
 * CurrentMemoryContext.  NULL if the error did not end a wait, or nobody is in
 * the way any more.  *autovacuum says whether one of them is an autovacuum.
 * Shows queries of those roles only whose statistics the current user may see.
 *
 * Needs an open transaction.  Never raises an error for what goes wrong; a
 * request to cancel stays for the next CHECK_FOR_INTERRUPTS().
 */
extern char *mig_locktrace_blockers(bool *autovacuum);

#endif							/* MIG_LOCKTRACE_H */
