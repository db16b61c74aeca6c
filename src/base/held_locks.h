/*-------------------------------------------------------------------------
 *
 * held_locks.h
 *	  The heavyweight locks of this backend.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_HELD_LOCKS_H
#define MIG_BASE_HELD_LOCKS_H

#include "storage/lock.h"

/* a lock in the server's lock table */
typedef struct MigHeldLock
{
	LOCKTAG		tag;
	PROCLOCK   *proclock;
	LOCKMASK	modes;
} MigHeldLock;

/* up to where the locks have been looked at; all zero: not at all */
typedef struct MigLockMarks
{
	MigHeldLock newest[NUM_LOCK_PARTITIONS];
} MigLockMarks;

typedef void (*MigOwnLockVisitor) (const MigHeldLock *lock, void *arg);
typedef void (*MigFastLockVisitor) (Oid relation, LOCKMASK modes, void *arg);

/*
 * Visit the locks that were taken since the last time, and set the marks.  Costs
 * time in proportion to these.  A lock that was held before in another mode is
 * not new.
 */
extern void mig_held_locks_visit_new(MigLockMarks *marks,
									 MigOwnLockVisitor visit, void *arg);

/*
 * Visit the weak locks on relations of this database that are not in the lock
 * table.  There are few of them.
 */
extern void mig_held_locks_visit_fast(MigFastLockVisitor visit, void *arg);

/* in which modes a lock is held that was visited before, or 0 */
extern LOCKMASK mig_held_locks_modes(const MigHeldLock *lock);

/*
 * Does CurrentResourceOwner, or the session, have this lock, taken once or
 * more?  If so, one of these is given up.  Unlike LockRelease() it is silent if not.
 */
extern bool mig_held_locks_release(const LOCKTAG *tag, LOCKMODE mode,
								   bool session);

/* the strongest of some modes, or NoLock */
extern LOCKMODE mig_held_locks_strongest(LOCKMASK modes);

/* the modes that conflict with one of these */
extern LOCKMASK mig_held_locks_conflicts(LOCKMASK modes);

/* "SHARE ROW EXCLUSIVE" */
extern const char *mig_held_locks_mode_name(LOCKMODE mode);

#endif							/* MIG_BASE_HELD_LOCKS_H */
