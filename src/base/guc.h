/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  Settings of the extension.
 *
 * None of them is a guard: every role can SET most settings.  What protects
 * a project is a column of migrate.policy.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_GUC_H
#define MIG_BASE_GUC_H

/* which migrations a NOTICE is raised for */
typedef enum MigNotices
{
	MIG_NOTICES_AUTO,			/* slow or all, as the mode has it */
	MIG_NOTICES_OFF,
	MIG_NOTICES_SLOW,			/* those that took a second or more */
	MIG_NOTICES_ALL,
	MIG_NOTICES_VERBOSE			/* when one begins, too */
} MigNotices;

extern int	mig_guc_lock_timeout;	/* ms, 0 is off */
extern int	mig_guc_timeout;	/* of a migration, ms, 0 is off */
extern int	mig_guc_lock_retries;	/* -1: as the function that runs likes it */
extern int	mig_guc_lock_retry_timeout; /* ms, 0 is off */
extern int	mig_guc_wait_timeout;	/* ms, 0 waits for ever */
extern int	mig_guc_failure_quiet;	/* s, 0 is off */
extern int	mig_guc_progress_notices;	/* a MigNotices */
extern bool mig_guc_notify;
extern bool mig_guc_trust_authors;
extern bool mig_guc_ignore_ledgers;

/* define them: once for a process, when the library is loaded */
extern void mig_guc_define(void);

#endif							/* MIG_BASE_GUC_H */
