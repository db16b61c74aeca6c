/*-------------------------------------------------------------------------
 *
 * run_common.c
 *	  What all kinds of runs have in common.
 *
 * Runs of one transaction, of many, and rehearsals differ in their transactions.  How
 * a step begins, what its error is told, and what its journal row has is the same. *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/pause.h"
#include "exec/error_hint.h"
#include "exec/failure_record.h"
#include "exec/timeout.h"
#include "run/run_common.h"

void
mig_run_common_init(MigRunContext *run, const MigRunOptions *options)
{
	run->options = options;
	run->role = mig_user_name(GetUserId());
	run->current = -1;
	run->run_started_at = GetCurrentTimestamp();
	run->scratch = AllocSetContextCreate(CurrentMemoryContext,
										 "migrate one migration",
										 ALLOCSET_DEFAULT_SIZES);
	mig_loaded_bodies_init(&run->loaded, CurrentMemoryContext);
	mig_execute_init(&run->execution, CurrentMemoryContext);
}

void
mig_run_common_load(MigRunContext *run, int first)
{
	/* it may refer to a body of the portion that goes */
	mig_execute_reset(&run->execution);
	mig_loaded_bodies_load(&run->loaded, run->options->project, run->steps,
						   run->nsteps, first);
}

void
mig_run_common_begin_step(MigRunContext *run, int64 id, const char *action,
						  int position, int total)
{
	MigProgress *progress = &run->execution.progress;

	mig_execute_reset(&run->execution);
	run->started_at = GetCurrentTimestamp();
	run->wal_start = GetXLogInsertRecPtr();
	progress->run = id;
	progress->action = action;
	progress->position = position;
	progress->total = total;
}

void
mig_run_common_run_bodies(MigRunContext *run, bool verify)
{
	const MigStepTexts *bodies = mig_run_common_bodies(run);
	MigExecution *execution = &run->execution;

	verify = verify && bodies->verify != NULL;
	mig_timeout_begin();
	mig_execute_body(execution, bodies->body);
	if (verify)
		mig_execute_body(execution, bodies->verify);
	mig_session_state_end_migration(execution->session_state,
									mig_runnable_body(bodies->body));
	if (verify)
		mig_session_state_end_migration(execution->session_state,
										mig_runnable_body(bodies->verify));
	mig_timeout_end();
}

void
mig_run_common_fill_row(const MigRunContext *run, int64 id,
						const char *action, MigJournalRow *row)
{
	memset(row, 0, sizeof(MigJournalRow));
	row->run = id;
	row->project = run->options->project;
	row->role = run->role;
	row->search_path = run->execution.search_path;
	row->note = run->options->note;
	if (run->current < 0)
	{
		row->action = action;
		row->started_at = run->run_started_at;
		row->execution_ms = mig_journal_elapsed_ms(run->run_started_at);
		return;
	}
	mig_loaded_bodies_fill_row(&run->loaded, run->steps,
							   run->current - run->loaded.first, row);
	row->started_at = run->started_at;
	row->execution_ms = mig_journal_elapsed_ms(run->started_at);
	row->ntimings = run->execution.ntimings;
	row->timings = run->execution.timings;
	row->wal_start = run->wal_start;
	row->wal_end = GetXLogInsertRecPtr();
}

void
mig_run_common_describe_failure(const MigRunContext *run, ErrorData *edata,
								MigFailure *failure)
{
	MigHintFacts hints;

	memset(failure, 0, sizeof(MigFailure));
	if (run->current >= 0)
		mig_execute_locate(&run->execution, edata, failure);
	hints.project = run->options->project;
	hints.role = run->role;
	hints.ledger_was_empty = run->ledger_was_empty;
	hints.undoes = failure->in_body && failure->part == MIG_DOWN;
	hints.blockers_named = (run->blockers != NULL);
	hints.convention = run->current >= 0 ?
		mig_run_common_step(run)->entry->convention : NULL;
	if (run->blockers != NULL)
		mig_error_add_detail(edata, run->blockers);
	mig_error_hint_add(edata, &hints);
	mig_failure_record_from_error(failure, edata);
}

const char *
mig_run_common_text(const MigRunContext *run)
{
	if (run->current < 0)
		return NULL;
	return mig_loaded_bodies_text(&run->loaded, run->steps,
								  run->current - run->loaded.first);
}

int
mig_run_common_announce_retry(const MigRunContext *run)
{
	int			ms = mig_lock_schedule_pause_ms(&run->schedule);

	if (mig_lock_schedule_tells(&run->schedule))
		mig_progress_notice_retry(mig_run_common_step(run)->entry->version,
								  &run->schedule, ms, run->blockers);
	return ms;
}

void
mig_run_common_pause(void *ms)
{
	mig_pause(*(int *) ms);
}

void
mig_run_common_explain_cancel(ErrorData *edata, const ErrorData *failure)
{
	mig_error_add_detail(edata,
						 psprintf(_("The run was to be tried again after this error: %s"),
								  failure->message));
}

void
mig_run_common_warn_session(const ErrorData *edata)
{
	if (edata != NULL)
		ereport(WARNING,
				(errcode(edata->sqlerrcode),
				 errmsg("could not restore the state of the session: %s",
						edata->message)));
}
