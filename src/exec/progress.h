/*-------------------------------------------------------------------------
 *
 * progress.h
 *	  What others see of a run: application_name, NOTICE, NOTIFY.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_PROGRESS_H
#define MIG_EXEC_PROGRESS_H

#include "exec/lock_schedule.h"

#include "base/migrate.h"

typedef struct MigProgress
{
	int64		run;			/* 0: none, in a dry run */
	const char *action;
	int			position;		/* of the migration, from 1 */
	int			total;
	int			statement;		/* from 1 */
	int			statements;
	const char *version;
} MigProgress;

/* one line for pg_stat_activity.application_name */
extern void mig_progress_show(const MigProgress *progress);

/*
 * A migration begins: leave the time in pg_locks for migrate.progress(), in a
 * lock that nothing ever waits for.  session keeps it over the end of the
 * transaction.  Else it is to be taken away in the subtransaction that left
 * it; an error in that does so too.
 */
extern void mig_progress_mark(bool session);
extern void mig_progress_unmark(void);

/* put the session's own application_name back */
extern void mig_progress_restore(void);

/* tell the client that a migration begins, if it wants to know that */
extern void mig_progress_notice_begin(const char *action, int position,
									  int total, const char *version,
									  const char *name);

/*
 * Tell the client about one migration that was run, if it wants to know; each
 * says that the run has a transaction for each.  No cancel is heeded here,
 * where no transaction of a migration would catch it.
 */
extern void mig_progress_notice(const char *action, int position, int total,
								const char *version, const char *name,
								double execution_ms, bool each);

/*
 * Tell the client that locks could not be got, and when that is tried again.
 * Nor is a cancel heeded here.
 */
extern void mig_progress_notice_retry(const char *version,
									  const MigLockSchedule *schedule,
									  int pause_ms, const char *detail);

/*
 * Payload of the notification about a run, NULL if migrate.notify is off.
 * Carries no message and no DETAIL: any role may LISTEN.  sqlstate is NULL on
 * success.
 */
extern char *mig_progress_payload(int64 run, const char *project,
								  const char *version, const char *action,
								  const char *sqlstate, double execution_ms);

/* NOTIFY on channel "migrate", delivered when the transaction commits */
extern void mig_progress_notify(const char *payload);

#endif							/* MIG_EXEC_PROGRESS_H */
