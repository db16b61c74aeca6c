/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  Settings of the extension and their definition.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"

#include "base/guc.h"

int			mig_guc_lock_timeout = 5000;
int			mig_guc_timeout = 0;
int			mig_guc_lock_retries = -1;
int			mig_guc_lock_retry_timeout = 600000;
int			mig_guc_wait_timeout = 600000;
int			mig_guc_failure_quiet = 60;
int			mig_guc_progress_notices = MIG_NOTICES_AUTO;
bool		mig_guc_notify = true;
bool		mig_guc_trust_authors = false;
bool		mig_guc_ignore_ledgers = false;

static const struct config_enum_entry notices_options[] = {
	{"auto", MIG_NOTICES_AUTO, false},
	{"off", MIG_NOTICES_OFF, false},
	{"slow", MIG_NOTICES_SLOW, false},
	{"all", MIG_NOTICES_ALL, false},
	{"verbose", MIG_NOTICES_VERBOSE, false},
	{NULL, 0, false}
};

void
mig_guc_define(void)
{
	DefineCustomIntVariable("migrate.failure_quiet",
							"Sets for how long the same failure is only logged, not journalled again.",
							"0 journals every failure.",
							&mig_guc_failure_quiet,
							60, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("migrate.ignore_ledgers",
							 "Lets the first run begin beside the ledger of another migration tool.",
							 NULL,
							 &mig_guc_ignore_ledgers,
							 false, PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("migrate.lock_retries",
							"Sets how often a run that could not obtain a lock is tried again.",
							"-1 leaves that to the function that runs it: as often as migrate.lock_retry_timeout allows in apply_each(), never in apply().",
							&mig_guc_lock_retries,
							-1, -1, 1000,
							PGC_USERSET, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("migrate.lock_retry_timeout",
							"Sets for how long a run that could not obtain a lock is tried again.",
							"It is counted from the first attempt.  0 turns this off.",
							&mig_guc_lock_retry_timeout,
							600000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomIntVariable("migrate.lock_timeout",
							"Sets how long a statement of a body waits for a lock.",
							"A lock_timeout of the session or of the body itself takes precedence.  Where an attempt can be repeated, the first ones wait for less.  0 turns this off.",
							&mig_guc_lock_timeout,
							5000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("migrate.notify",
							 "Sends a notification on channel \"migrate\" at the end of a run.",
							 NULL,
							 &mig_guc_notify,
							 true,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomEnumVariable("migrate.progress_notices",
							 "Sets for which migrations a NOTICE is raised when they have run.",
							 "\"slow\" is those that took a second or more, \"auto\" these in one transaction and all where each has its own; \"verbose\" is all, and when one begins.",
							 &mig_guc_progress_notices,
							 MIG_NOTICES_AUTO, notices_options,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("migrate.timeout",
							"Sets how long one migration may take.",
							"0 turns this off.",
							&mig_guc_timeout,
							0, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("migrate.trust_authors",
							 "Lets a superuser run bodies that were stored by other roles.",
							 NULL,
							 &mig_guc_trust_authors,
							 false,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("migrate.wait_timeout",
							"Sets how long a run waits for another run to end.",
							"0 waits for ever.",
							&mig_guc_wait_timeout,
							600000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
	MarkGUCPrefixReserved("migrate");
}
