/*-------------------------------------------------------------------------
 *
 * quiet.c
 *	  Has anybody else committed anything since?
 *
 * The server counts the transactions of all databases that had an id and have
 * ended, and each snapshot bears the count as of when it was taken: equal
 * counts mean equal snapshots (GetSnapshotDataReuse() of procarray.c relies on
 * that).  The count only grows, so a run that adds one for each transaction of
 * its own sees whether there were others.  Aborted transactions and
 * subtransactions and prepared transactions count as well; to take one for a
 * commit of somebody else does no harm.  Once there was another, the counts
 * never meet again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/snapmgr.h"

#include "quiet.h"

/* 0 in REPEATABLE READ and SERIALIZABLE, whose snapshot is a copy */
static uint64
completed_transactions(void)
{
	return GetTransactionSnapshot()->snapXactCompletionCount;
}

void
mig_quiet_begin(MigQuiet *quiet)
{
	quiet->completed = completed_transactions();
}

void
mig_quiet_own_commit(MigQuiet *quiet)
{
	if (quiet->completed != 0 &&
		TransactionIdIsValid(GetTopTransactionIdIfAny()))
		quiet->completed++;
}

bool
mig_quiet_holds(const MigQuiet *quiet)
{
	return quiet->completed != 0 &&
		completed_transactions() == quiet->completed;
}
