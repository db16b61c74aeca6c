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
#include "miscadmin.h"
#include "pgstat.h"
#include "tcop/pquery.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"

#include "base/errors.h"
#include "base/subxact.h"

/* how many cancel requests mig_subxact_insist() and its like outlive */
#define CANCELS_OUTLIVED 2

/*
 * How often interrupts are held.  Every error sets that to zero, one that is
 * caught by what we call as well: in a trigger with an EXCEPTION block, say.
 * Whoever held them would release them once more than they are held, and the
 * session would not take an interrupt ever again.
 */
typedef struct Holdoff
{
	uint32		interrupts;
	uint32		cancels;
} Holdoff;

static Holdoff
save_holdoff(void)
{
	Holdoff		holdoff = {InterruptHoldoffCount, QueryCancelHoldoffCount};

	return holdoff;
}

static void
restore_holdoff(Holdoff holdoff)
{
	InterruptHoldoffCount = holdoff.interrupts;
	QueryCancelHoldoffCount = holdoff.cancels;
}

ErrorData *
mig_subxact_run(void (*function) (void *arg), void *arg, bool keep)
{
	MemoryContext old_context = CurrentMemoryContext;
	ResourceOwner old_owner = CurrentResourceOwner;
	int			nest_level = GetCurrentTransactionNestLevel();
	Holdoff		holdoff = save_holdoff();
	ErrorData  *volatile edata = NULL;

	Assert(IsTransactionState());
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
	restore_holdoff(holdoff);
	MemoryContextSwitchTo(old_context);
	CurrentResourceOwner = old_owner;
	if (edata != NULL)
		mig_error_make_printable(edata);
	return edata;
}

void
mig_transaction_start(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
}

ErrorData *
mig_transaction_run(void (*function) (void *arg), void *arg)
{
	MemoryContext old_context = CurrentMemoryContext;
	Holdoff		holdoff = save_holdoff();
	ErrorData  *volatile edata = NULL;

	Assert(IsTransactionState());
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

		/* or the block that it has opened would wait for its ROLLBACK */
		if (IsTransactionBlock())
			AbortOutOfAnyTransaction();
		else
			AbortCurrentTransaction();
		if (ActivePortal != NULL)
			ActivePortal->portalSnapshot = NULL;	/* gone with the rest */
	}
	PG_END_TRY();
	restore_holdoff(holdoff);

	/* as between two messages of a client */
	(void) pgstat_report_stat(false);
	mig_transaction_start();
	MemoryContextSwitchTo(old_context);
	if (edata != NULL)
		mig_error_make_printable(edata);
	return edata;
}

static bool
is_cancel(const ErrorData *edata)
{
	return edata != NULL && edata->sqlerrcode == ERRCODE_QUERY_CANCELED;
}

ErrorData *
mig_subxact_insist(void (*function) (void *arg), void *arg)
{
	ErrorData  *edata = mig_subxact_run(function, arg, true);
	int			i;

	for (i = 0; i < CANCELS_OUTLIVED && is_cancel(edata); i++)
		edata = mig_subxact_run(function, arg, true);
	return edata;
}

ErrorData *
mig_transaction_insist(void (*function) (void *arg), void *arg)
{
	ErrorData  *edata = mig_transaction_run(function, arg);
	int			i;

	for (i = 0; i < CANCELS_OUTLIVED && is_cancel(edata); i++)
		edata = mig_transaction_run(function, arg);
	return edata;
}
