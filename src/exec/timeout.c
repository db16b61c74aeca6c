/*-------------------------------------------------------------------------
 *
 * timeout.c
 *	  How long a migration may take, and each of its statements.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/proc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/guc.h"
#include "exec/lock_wait.h"
#include "exec/timeout.h"

/* when migrate.timeout is over; 0: no limit, or no migration is running */
static TimestampTz migration_deadline = 0;

/*
 * statement_timeout of the session is meant for one statement, and the call
 * that runs many of them is one to the server: start it again for each.  It
 * also does for migrate.timeout, whatever is left of that.
 */
void
mig_timeout_restart(void)
{
	int			timeout = StatementTimeout;

	if (migration_deadline != 0)
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
														   migration_deadline);

		left = Max(left, 1);
		if (timeout <= 0 || left < timeout)
			timeout = (int) Min(left, INT_MAX);
	}
	if (timeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, timeout);
	else if (get_timeout_active(STATEMENT_TIMEOUT))
		disable_timeout(STATEMENT_TIMEOUT, false);
}

void
mig_timeout_begin(void)
{
	migration_deadline = mig_guc_timeout > 0 ?
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), mig_guc_timeout) :
		0;
}

void
mig_timeout_end(void)
{
	migration_deadline = 0;
	mig_timeout_restart();
}

void
mig_timeout_explain(ErrorData *edata, const char *version)
{
	mig_lock_wait_explain(edata);
	if (edata->sqlerrcode != ERRCODE_QUERY_CANCELED ||
		migration_deadline == 0 || GetCurrentTimestamp() < migration_deadline)
		return;
	edata->message = psprintf("migration \"%s\" took longer than migrate.timeout",
							  version);
	edata->detail = psprintf("migrate.timeout is %d ms.", mig_guc_timeout);
	mig_error_add_hint(edata, "Raise migrate.timeout, or set it to 0 to have no limit.");
}
