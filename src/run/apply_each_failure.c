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
#include "exec/error_hint.h"
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
	mig_session_state_remove(((MigApplyEachRun *) arg)->session_state);
}

/* have the session as it was before the run */
void
mig_apply_each_failure_restore_session(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;

	if (!each->pinned)
		return;
	mig_session_settings_restore(each->settings);
	mig_session_state_remove(each->session_state);
}

/* what a roll-back does not take away would fail the next attempt */
void
mig_apply_each_failure_restore(MigApplyEachRun *each, void (*function) (void *arg))
{
	ErrorData  *edata = mig_transaction_insist(function, each);

	if (edata != NULL)
		ereport(WARNING,
				(errcode(edata->sqlerrcode),
				 errmsg("the session is not as it was: %s", edata->message)));
}

static void
record_failure(void *arg)
{
	Failing    *failing = (Failing *) arg;
	MigApplyEachRun *each = failing->each;

	bool		recorded;

	/* who waits for a run in the background reads its error there */
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
			 errhint("What it has committed stays, but nothing tells of it any more.")));
}

/*
 * The transaction is rolled back: journal why, and raise it again.
 */
void
mig_apply_each_failure_raise(MigApplyEachRun *each, ErrorData *edata)
{
	MigHintFacts hints;
	MigFailure	failure;
	MigJournalRow row;
	Failing		failing = {each, &row, NULL};
	ErrorData  *second;

	mig_progress_restore();
	raise_if_extension_is_gone(each, edata);
	memset(&failure, 0, sizeof(failure));
	mig_apply_each_failure_restore(each, mig_apply_each_failure_restore_session);
	if (each->result->run == 0)
		ReThrowError(edata);	/* it had not begun */
	mig_execute_locate(&each->execution, edata, &failure);
	hints.project = each->options->project;
	hints.role = each->role;
	hints.ledger_was_empty = each->ledger_was_empty;
	hints.undoes = failure.in_body && failure.part == MIG_DOWN;
	hints.blockers_named = (each->blockers != NULL);
	if (each->blockers != NULL)
		mig_error_add_detail(edata, each->blockers);
	mig_error_hint_add(edata, &hints);
	mig_failure_record_from_error(&failure, edata);
	mig_apply_each_step_fill_row(each, &row);
	row.failure = &failure;
	if (each->current >= 0)
		failing.text = mig_loaded_bodies_text(&each->loaded,
											  each->window.steps,
											  each->current - each->loaded.first);
	mig_failure_record_log(&row);

	second = mig_transaction_insist(record_failure, &failing);
	if (second != NULL)
		raise_if_extension_is_gone(each, edata);
	if (second != NULL)
		ereport(WARNING,
				(errcode(second->sqlerrcode),
				 errmsg("the failure is not in the journal: %s",
						second->message)));
	ReThrowError(edata);
}
