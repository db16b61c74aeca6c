/*-------------------------------------------------------------------------
 *
 * subxact.c
 *	  Running a function in a (sub)transaction and catching its error.
 *
 * The only place that catches an error in order to go on.  An error may only
 * be caught together with the (sub)transaction that it happened in: that gives
 * back locks, buffers, snapshots, settings and the user id.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "pgstat.h"
#include "tcop/pquery.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"

#include "subxact.h"

ErrorData *
mig_subxact_run(void (*function) (void *arg), void *arg, bool keep)
{
	MemoryContext old_context = CurrentMemoryContext;
	ResourceOwner old_owner = CurrentResourceOwner;
	int			nest_level = GetCurrentTransactionNestLevel();
	ErrorData  *volatile edata = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(old_context);
	PG_TRY();
	{
		function(arg);
		if (keep)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old_context);
		edata = CopyErrorData();
		FlushErrorState();
		/* there may be more of them if the function left some open */
		while (GetCurrentTransactionNestLevel() > nest_level)
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old_context);
	CurrentResourceOwner = old_owner;
	return edata;
}

ErrorData *
mig_transaction_run(void (*function) (void *arg), void *arg)
{
	MemoryContext old_context = CurrentMemoryContext;
	ErrorData  *volatile edata = NULL;

	PG_TRY();
	{
		function(arg);

		/* SPI gives one to the portal of a CALL, for its next statement */
		ForgetPortalSnapshots();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old_context);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		if (ActivePortal != NULL)
			ActivePortal->portalSnapshot = NULL;	/* gone with the rest */
	}
	PG_END_TRY();

	/* as between two messages of a client */
	(void) pgstat_report_stat(false);
	StartTransactionCommand();
	MemoryContextSwitchTo(old_context);
	return edata;
}
