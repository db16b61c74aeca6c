/*-------------------------------------------------------------------------
 *
 * lock_schedule.c
 *	  How long an attempt waits for a lock, and when the next one begins.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>

#include "common/pg_prng.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "exec/lock_schedule.h"

/* what the first attempt waits for a lock */
#define FIRST_WAIT_MS 50

/* how much longer it is per time since then */
#define GROWTH 0.01

/* the limit changes in steps of this size, so that the timer is rarely set again */
#define WAIT_STEP_MS 50

/*
 * The queue behind an attempt is as long as what has come in while it waited,
 * and drains while others come in: that takes a multiple of the wait.
 */
#define PAUSE_PER_WAIT 4

static long
elapsed_ms(const MigLockSchedule *schedule)
{
	return TimestampDifferenceMilliseconds(schedule->began,
										   GetCurrentTimestamp());
}

/* what a statement that others queue behind may wait at this point */
static int
brief_wait_ms(const MigLockSchedule *schedule)
{
	double		ms = FIRST_WAIT_MS + GROWTH * elapsed_ms(schedule);

	ms = floor(ms / WAIT_STEP_MS) * WAIT_STEP_MS;

	/* the server cancels an autovacuum only after a wait of that length */
	if (schedule->autovacuum)
		ms = Max(ms, (double) DeadlockTimeout + FIRST_WAIT_MS);
	return (int) Min(ms, INT_MAX);
}

/*
 * Does a statement ask for locks that others queue behind?  A DO block may.
 * What reads and writes rows does not, and has more to lose: an UPDATE of an
 * hour that meets a locked row.
 */
static bool
others_queue_behind(const MigStatement *statement)
{
	static const char *const tags[] = {
		"LOCK TABLE", "TRUNCATE TABLE", "REINDEX", "VACUUM", "DO",
	};
	int			i;

	if (statement->log_level == LOGSTMT_DDL)
		return true;
	for (i = 0; i < lengthof(tags); i++)
	{
		if (strcmp(statement->tag, tags[i]) == 0)
			return true;
	}
	return false;
}

void
mig_lock_schedule_begin(MigLockSchedule *schedule, int by_default)
{
	schedule->began = GetCurrentTimestamp();
	schedule->retries = 0;
	schedule->max_retries = mig_guc_lock_retries >= 0 ? mig_guc_lock_retries :
		by_default;
	schedule->autovacuum = false;
}

int
mig_lock_schedule_limit(const MigLockSchedule *schedule,
						const MigStatement *statement, int ceiling)
{
	Assert(ceiling >= 0);
	if (schedule == NULL || schedule->max_retries == 0 || ceiling == 0 ||
		!others_queue_behind(statement))
		return ceiling;
	return Min(brief_wait_ms(schedule), ceiling);
}

bool
mig_lock_schedule_next(MigLockSchedule *schedule)
{
	if (schedule->max_retries >= 0 &&
		schedule->retries >= schedule->max_retries)
		return false;
	if (mig_guc_lock_retry_timeout > 0 &&
		elapsed_ms(schedule) >= mig_guc_lock_retry_timeout)
		return false;
	schedule->retries++;
	return true;
}

/* the first, the second, the fourth, ... */
bool
mig_lock_schedule_tells(const MigLockSchedule *schedule)
{
	Assert(schedule->retries > 0);
	return (schedule->retries & (schedule->retries - 1)) == 0;
}

int
mig_lock_schedule_pause_ms(const MigLockSchedule *schedule)
{
	int			wait = brief_wait_ms(schedule);
	double		ms;

	if (mig_guc_lock_timeout > 0)
		wait = Min(wait, mig_guc_lock_timeout);
	ms = (double) wait * PAUSE_PER_WAIT;

	/* those who collided once should not do so again */
	ms *= 0.5 + pg_prng_double(&pg_global_prng_state);
	return (int) Min(ms, INT_MAX);
}
