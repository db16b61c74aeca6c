/*-------------------------------------------------------------------------
 *
 * apply_each_failure.c
 *	  What becomes of an error of a run of many transactions.
 *
 * The error has aborted the transaction of its migration.  The session is put back
 * and the failure journalled in transactions of their own, unless the extension was
 * dropped meanwhile. *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "base/session_settings.h"
#include "base/subxact.h"
#include "exec/failure_record.h"
#include "exec/progress.h"
#include "ledger/run.h"
#include "ledger/tables.h"
#include "run/apply_each_failure.h"
#include "run/apply_each_step.h"

typedef struct Failing
{
	MigApplyEachRun *each;
	MigJournalRow *row;
	const char *text;
} Failing;

void
mig_apply_each_failure_restore_session_state(void *arg)
{
	mig_session_state_remove(((MigApplyEachRun *) arg)->common.execution.session_state);
}

/* have the session as it was before the run */
void
mig_apply_each_failure_restore_session(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;

	if (!each->pinned)
		return;
	mig_session_settings_restore(each->settings);
	mig_session_state_remove(each->common.execution.session_state);
}

/* what a roll-back does not take away would fail the next attempt */
void
mig_apply_each_failure_restore(MigApplyEachRun *each, void (*function) (void *arg))
{
	mig_run_common_warn_session(mig_transaction_insist(function, each));
}

static void
record_failure(void *arg)
{
	Failing    *failing = (Failing *) arg;
	MigApplyEachRun *each = failing->each;

	bool		recorded;

	/* wait() reads the error of a background run there */
	recorded = mig_failure_record_insert_here(failing->row, failing->text,
											  each->background);
	if (recorded || each->result->migrations > 0)
		mig_run_end(each->result->run, MIG_RUN_FAILURE,
					each->result->migrations);
	else
		mig_run_forget(each->result->run);
}

void
mig_apply_each_failure_look_for_extension(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;

	each->extension_is_gone = mig_tables_extension() != each->extension;
}

/*
 * An error gives up the lock that keeps DROP EXTENSION away, which may have
 * been waiting for that.  Then nothing can be journalled.
 */
static void
raise_if_extension_is_gone(MigApplyEachRun *each, const ErrorData *edata)
{
	mig_tables_trust_end();
	(void) mig_transaction_insist(mig_apply_each_failure_look_for_extension, each);
	if (!each->extension_is_gone)
		return;
	mig_apply_each_failure_restore(each, mig_apply_each_failure_restore_session);
	ereport(ERROR,
			(errcode(MIG_ERRCODE_EXTENSION),
			 errmsg("extension \"%s\" was dropped during the run",
					MIG_EXTENSION_NAME),
			 errdetail("The run has ended with this error: %s",
					   edata->message),
			 errhint("What it committed remains, but is no longer recorded anywhere.")));
}

/*
 * The transaction is rolled back: journal why, and raise it again.
 */
void
mig_apply_each_failure_raise(MigApplyEachRun *each, ErrorData *edata)
{
	MigFailure	failure;
	MigJournalRow row;
	Failing		failing = {each, &row, mig_run_common_text(&each->common)};
	ErrorData  *second;

	mig_progress_restore();
	raise_if_extension_is_gone(each, edata);
	mig_apply_each_failure_restore(each, mig_apply_each_failure_restore_session);
	if (each->result->run == 0)
		ReThrowError(edata);	/* it had not begun */
	mig_run_common_describe_failure(&each->common, edata, &failure);
	mig_apply_each_step_fill_row(each, &row);
	row.failure = &failure;
	mig_failure_record_log(&row);

	second = mig_transaction_insist(record_failure, &failing);
	if (second != NULL)
		raise_if_extension_is_gone(each, edata);
	if (second != NULL)
		ereport(WARNING,
				(errcode(second->sqlerrcode),
				 errmsg("could not record the failure in migrate.journal: %s",
						second->message)));
	ReThrowError(edata);
}
