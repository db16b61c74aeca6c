/*-------------------------------------------------------------------------
 *
 * run_lock.h
 *	  One runner at a time, and none inside another.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_PLAN_RUN_LOCK_H
#define MIG_PLAN_RUN_LOCK_H

/*
 * Take the runner lock until the end of the transaction.  Waits for at most
 * migrate.wait_timeout, then raises 55P03 naming the holder.  After it
 * returns, a new snapshot sees all that earlier holders committed.
 */
extern void mig_run_lock_acquire(void);

/*
 * Take the lock if it is free now.  *held_before says whether this transaction
 * had it already; if not, mig_run_lock_release() gives it up again, which is
 * right as long as nothing has been written under it.  It does not if runs
 * that were cut off have been closed.
 */
extern bool mig_run_lock_try(bool *held_before);
extern void mig_run_lock_release(void);

/*
 * The same lock on the level of the session: it outlives the transaction,
 * however that ends, so mig_run_lock_release_session() must follow in any
 * case. Waiting commits the current transaction and leaves a new one; no
 * snapshot may be active, nothing connected to SPI.
 */
extern bool mig_run_lock_try_session(void);
extern void mig_run_lock_wait_session(void);
extern void mig_run_lock_release_session(void);

/* give it up for a pause, and stay marked as being at a run */
extern void mig_run_lock_yield_session(void);

/*
 * After an error that a run goes on from in spite of it: make the lock whole
 * again, of which the end of the transaction has taken a part.
 */
extern void mig_run_lock_regain_session(void);

/* false if bodies have managed to lose it: another session may have it */
extern bool mig_run_lock_held_session(void);

/* for the transaction or the session; for assertions */
extern bool mig_run_lock_is_mine(void);

/*
 * From now on this session is at that run, as others can see in pg_locks; 0
 * ends it.  Like the runner lock it is a lock of the session, which an error
 * takes away: the functions above that take that lock take this one again, and
 * so does mig_run_lock_renew_mark().
 */
extern void mig_run_lock_mark_run(int64 run);
extern void mig_run_lock_renew_mark(void);

/* the process that is at a run of this database, 0 if none is */
extern int	mig_run_lock_run_holder(int64 run);

/* whether another session has the runner lock; does not take it */
extern bool mig_run_lock_is_taken(void);

/*
 * From now on a session that waits for the runner lock with a snapshot gives
 * up: before a statement that cannot run in a transaction block, or as long as
 * a migration stands half-way.  An error takes it away, and so does
 * mig_run_lock_statement_end().
 */
extern void mig_run_lock_statement_begin(void);
extern void mig_run_lock_half_way(void);
extern void mig_run_lock_statement_end(void);

/*
 * After bodies have been run, before their transaction commits: makes the lock
 * of a session whole again.  Raises MIG_ERRCODE_EXTENSION if one of them has
 * dropped the extension: if it is there again, the books are others.
 */
extern void mig_run_lock_recheck(void);

/* raises MIG_ERRCODE_RECURSION while a body is running in this backend */
extern void mig_run_lock_refuse_recursion(void);

/*
 * What encloses the running of bodies.  It lasts until the transaction has
 * ended, whose end does what they have put off: deferred triggers, the queries
 * of cursors WITH HOLD.  mig_run_lock_bodies_end() ends it before, in a
 * transaction of the caller's, where all that must have been done by then; and
 * in any case after an error.
 */
extern void mig_run_lock_bodies_begin(void);
extern bool mig_run_lock_bodies_are_running(void);
extern void mig_run_lock_bodies_end(void);

/*
 * The same, for a statement that may commit or roll back: the end of a
 * transaction does not end it.  mig_run_lock_bodies_end_committing() comes
 * after the statement, and leaves the transaction that this has left open to
 * its end.
 */
extern void mig_run_lock_bodies_begin_committing(void);
extern void mig_run_lock_bodies_end_committing(void);

/* once for a process, when the library is loaded */
extern void mig_run_lock_init(void);

#endif							/* MIG_PLAN_RUN_LOCK_H */
