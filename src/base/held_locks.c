/*-------------------------------------------------------------------------
 *
 * held_locks.c
 *	  The heavyweight locks of this backend.
 *
 * The server keeps for each process a list of its locks, one for each partition
 * of the lock table, and a lock that is new comes to the end of its list.  So
 * what is new is found from the end, without a look at all that a long
 * transaction holds.  Where to stop is remembered: a lock that is there until
 * the end of the transaction.
 *
 * The lists are read under the partition's lock, as others may move our weak
 * locks into them.  What is remembered of a lock is its place in shared memory,
 * which may belong to another one after it has been released; the tag tells.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "base/held_locks.h"

static bool
is_same(const MigHeldLock *lock, const PROCLOCK *proclock)
{
	return lock->proclock == proclock &&
		memcmp(&lock->tag, &proclock->tag.myLock->tag, sizeof(LOCKTAG)) == 0;
}

/*
 * Locks of these kinds are not given up before the transaction ends.  A lock on
 * something that is in no catalog is one of the extension's own.
 */
static bool
lasts_until_commit(const LOCKTAG *tag)
{
	return tag->locktag_type == LOCKTAG_RELATION ||
		tag->locktag_type == LOCKTAG_TRANSACTION ||
		(tag->locktag_type == LOCKTAG_OBJECT &&
		 tag->locktag_field2 < FirstNormalObjectId);
}

/* returns how many were added to the array, which may have to grow */
static int
collect_locks(MigHeldLock *newest, int partition, MigHeldLock **locks,
			  int count,
			  int *size)
{
	PROCLOCK   *proclock;
	MigHeldLock mark = *newest;
	bool		marked = false;

	for (proclock = MIG_NEWEST_PROCLOCK(MyProc, partition); proclock != NULL;
		 proclock = MIG_OLDER_PROCLOCK(MyProc, partition, proclock))
	{
		MigHeldLock *lock;

		if (is_same(&mark, proclock))
			break;
		if (count == *size)
		{
			*size *= 2;
			*locks = repalloc_huge(*locks, sizeof(MigHeldLock) * *size);
		}
		lock = &(*locks)[count];
		lock->tag = proclock->tag.myLock->tag;
		lock->proclock = proclock;
		lock->modes = proclock->holdMask;
		if (lock->modes == 0)
			continue;
		if (!marked && lasts_until_commit(&lock->tag))
		{
			*newest = *lock;
			marked = true;
		}
		count++;
	}
	return count;
}

void
mig_held_locks_visit_new(MigLockMarks *marks, MigOwnLockVisitor visit,
						 void *arg)
{
	int			size = 32;
	int			count = 0;
	MigHeldLock *locks = palloc(sizeof(MigHeldLock) * size);
	int			i;

	for (i = 0; i < NUM_LOCK_PARTITIONS; i++)
	{
		LWLock	   *partition_lock = LockHashPartitionLockByIndex(i);

		LWLockAcquire(partition_lock, LW_SHARED);
		count = collect_locks(&marks->newest[i], i, &locks, count, &size);
		LWLockRelease(partition_lock);
	}
	for (i = 0; i < count; i++)
		visit(&locks[i], arg);
	pfree(locks);
}

void
mig_held_locks_visit_fast(MigFastLockVisitor visit, void *arg)
{
	int			group;
	int			i;

	for (group = 0; group < MIG_FAST_PATH_GROUPS; group++)
	{
		uint64		bits;
		Oid			relations[16];

		LWLockAcquire(&MyProc->fpInfoLock, LW_SHARED);
		bits = MIG_FAST_PATH_BITS(MyProc, group);
		if (bits != 0)
			memcpy(relations, &MyProc->fpRelId[group * 16], sizeof(relations));
		LWLockRelease(&MyProc->fpInfoLock);
		for (i = 0; bits != 0; i++, bits >>= 3)
		{
			/* the first bit of three is for mode 1 */
			if ((bits & 7) != 0)
				visit(relations[i], (LOCKMASK) (bits & 7) << AccessShareLock,
					  arg);
		}
	}
}

LOCKMASK
mig_held_locks_modes(const MigHeldLock *lock)
{
	const PROCLOCK *proclock = lock->proclock;

	/* nobody but this backend changes what it holds */
	if (proclock == NULL || proclock->tag.myProc != MyProc ||
		!is_same(lock, proclock))
		return 0;
	return proclock->holdMask;
}

bool
mig_held_locks_release(const LOCKTAG *tag, LOCKMODE mode, bool session)
{
	int			client_level = client_min_messages;
	int			log_level = log_min_messages;
	bool		released;

	Assert(mode > NoLock && mode <= MaxLockMode);
	/* nothing raises an error in between */
	client_min_messages = log_min_messages = ERROR;
	released = LockRelease(tag, mode, session);
	client_min_messages = client_level;
	log_min_messages = log_level;
	return released;
}

LOCKMODE
mig_held_locks_strongest(LOCKMASK modes)
{
	LOCKMODE	mode;

	for (mode = MaxLockMode; mode > NoLock; mode--)
	{
		if ((modes & LOCKBIT_ON(mode)) != 0)
			break;
	}
	return mode;
}

LOCKMASK
mig_held_locks_conflicts(LOCKMASK modes)
{
	LOCKMASK	result = 0;
	LOCKMODE	mode;
	LOCKMODE	other;

	for (mode = AccessShareLock; mode <= MaxLockMode; mode++)
	{
		for (other = AccessShareLock; other <= MaxLockMode; other++)
		{
			if ((modes & LOCKBIT_ON(mode)) != 0 &&
				DoLockModesConflict(mode, other))
				result |= LOCKBIT_ON(other);
		}
	}
	return result;
}

const char *
mig_held_locks_mode_name(LOCKMODE mode)
{
	static const char *const names[] = {
		"", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE",
		"SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE",
		"ACCESS EXCLUSIVE"
	};

	Assert(mode > NoLock && mode <= MaxLockMode);
	Assert(mode >= 0 && mode < lengthof(names));
	return names[mode];
}
