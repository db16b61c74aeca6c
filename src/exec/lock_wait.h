/*-------------------------------------------------------------------------
 *
 * lock_wait.h
 *	  How long a statement of a body waits for a lock, and for which.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_LOCK_WAIT_H
#define MIG_EXEC_LOCK_WAIT_H

#include "datatype/timestamp.h"
#include "storage/lock.h"

/* a wait for a lock since start */
typedef struct MigLockWait
{
	LOCKTAG		tag;
	LOCKMODE	mode;			/* NoLock: nobody waits */
	TimestampTz start;
} MigLockWait;

/*
 * Sample what this backend waits for, from begin to end.  Both may be called
 * more often than needed.  lock_timeout is the session's when it begins, and a
 * body's own if it changes afterwards.  What catches an error of a body has to
 * call end before anything else that may wait for a lock or commits.
 */
extern void mig_lock_wait_begin(void);
extern void mig_lock_wait_end(void);

/* lock_timeout as it was when that began, 0: off */
extern int	mig_lock_wait_session_timeout(void);

/*
 * While that is going on: no wait for a lock may take longer than so many ms,
 * 0 for no limit, and after a commit not longer than after_commit ms.  Where the
 * session's lock_timeout is shorter, or a body has set one, that counts.  What a
 * concurrent build waits for when it has its locks is not limited.
 */
extern void mig_lock_wait_limit(int ms, int after_commit);

/*
 * Raises the error of a wait that has reached the limit, if there was one and
 * its error was caught.
 */
extern void mig_lock_wait_check(void);

/*
 * Before anything else is done about an error: if that limit was reached it is
 * a lock time-out, whatever the body has made of it.
 */
extern void mig_lock_wait_explain(ErrorData *edata);

/* forget what was sampled, before a new attempt */
extern void mig_lock_wait_reset(void);

/* an error after which a roll-back and another attempt make sense? */
extern bool mig_lock_wait_is_lock_failure(const ErrorData *edata);

/*
 * The wait that such an error has ended, NULL if it ended none.  Valid until
 * sampling begins again.
 */
extern const MigLockWait *mig_lock_wait_failed(void);

#endif							/* MIG_EXEC_LOCK_WAIT_H */
