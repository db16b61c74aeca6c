/*-------------------------------------------------------------------------
 *
 * lock_schedule.h
 *	  How long an attempt waits for a lock, and when the next one begins.
 *
 * A statement that queues for a strong lock makes everybody queue who comes
 * after it, so a run that is tried again waits briefly, gives up, lets the
 * queue drain, and comes back.  The waits grow with the time since the first
 * attempt: what has cost much may wait longer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_LOCK_SCHEDULE_H
#define MIG_EXEC_LOCK_SCHEDULE_H

#include "source/body.h"

/* the attempts at one thing: a migration in apply_each(), the run in apply() */
typedef struct MigLockSchedule
{
	TimestampTz began;			/* the first attempt */
	int			retries;		/* that have been granted */
	int			max_retries;	/* -1: only the time is limited */
	bool		autovacuum;		/* one was in the way of the last attempt */
} MigLockSchedule;

/*
 * Before the first attempt.  by_default is the number of retries if
 * migrate.lock_retries leaves it to the function: 0, or -1 for as many as
 * migrate.lock_retry_timeout allows.
 */
extern void mig_lock_schedule_begin(MigLockSchedule *schedule,
									int by_default);

/*
 * For how many ms statement may wait for a lock now: not longer than ceiling,
 * and 0 for no limit if ceiling is 0.  schedule is NULL where nothing is tried
 * again.
 */
extern int	mig_lock_schedule_limit(const MigLockSchedule *schedule,
									const MigStatement *statement,
									int ceiling);

/* may there be another attempt?  Counts it. */
extern bool mig_lock_schedule_next(MigLockSchedule *schedule);

/* is the retry that was granted last one of which the client is told? */
extern bool mig_lock_schedule_tells(const MigLockSchedule *schedule);

/* how long to pause before that retry, in ms */
extern int	mig_lock_schedule_pause_ms(const MigLockSchedule *schedule);

#endif							/* MIG_EXEC_LOCK_SCHEDULE_H */
