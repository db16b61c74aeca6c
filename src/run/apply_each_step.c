/*-------------------------------------------------------------------------
 *
 * apply_each_step.c
 *	  One migration of a run of many transactions.
 *
 * The body and its record are committed together: in one transaction, or in the last
 * one of several (see run/nontransactional.c). *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "executor/spi.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/subxact.h"
#include "exec/lock_wait.h"
#include "exec/progress.h"
#include "exec/timeout.h"
#include "ledger/applied.h"
#include "ledger/migration.h"
#include "ledger/policy.h"
#include "plan/preflight.h"
#include "plan/recheck.h"
#include "plan/run_lock.h"
#include "run/apply_each_step.h"
#include "run/nontransactional.h"

void
mig_apply_each_step_fill_row(const MigApplyEachRun *each, MigJournalRow *row)
{
	mig_run_common_fill_row(&each->common, each->result->run,
							mig_loaded_bodies_action(each->part), row);
	row->seq = each->result->migrations + each->given_up + 1;
}

/*
 * Along with a migration that has been undone, the ledger gives up what was
 * applied after it and may have gone with it.  Adds the versions to *undone.
 */
static void
give_up_repeatables(MigApplyEachRun *each, const MigEntry *undone_entry, List **undone)
{
	ListCell   *lc;

	foreach(lc, each->window.again)
	{
		const MigEntry *entry = (const MigEntry *) lfirst(lc);
		MigJournalRow row;

		if (undone_entry->kind != MIG_VERSIONED ||
			entry->seq < undone_entry->seq ||
			!mig_applied_exists(each->common.options->project, entry->version))
			continue;
		mig_journal_give_up(&row, each->result->run, each->common.options->project,
							entry, each->common.options->note);
		each->given_up++;
		row.seq = each->result->migrations + each->given_up + 1;
		mig_journal_batch_add(each->batch, &row);
		*undone = lappend(*undone, entry->version);
	}
}

/* in the migration's last transaction */
static void
record_migration(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;
	const MigEntry *entry = mig_apply_each_current_entry(each);
	int			i = each->common.current - each->common.loaded.first;
	List	   *undone = list_make1(entry->version);
	MigJournalRow row;

	mig_run_lock_recheck();
	mig_apply_each_step_fill_row(each, &row);
	row.effect = each->part == MIG_UP ? MIG_EFFECT_APPLIED : MIG_EFFECT_UNDONE;
	row.origin = "apply";
	row.replace = each->part == MIG_UP && entry->applied;
	mig_journal_batch_add(each->batch, &row);
	mig_journal_batch_add_body(each->batch, row.body_hash, row.run,
							   mig_loaded_bodies_text(&each->common.loaded,
													  each->window.steps, i));
	if (row.verify_hash != NULL)
		mig_journal_batch_add_body(each->batch, row.verify_hash, row.run,
								   each->common.loaded.bodies[i].texts->verify);
	give_up_repeatables(each, entry, &undone);
	mig_journal_batch_flush(each->batch);
	if (each->holds)
	{
		/* the gate would take it for a change by the body */
		mig_run_lock_bodies_end();
		mig_migration_hold(each->common.options->project, undone,
						   psprintf("rolled back by run " INT64_FORMAT,
									row.run));
		mig_run_lock_bodies_begin();
	}
	mig_progress_notify(mig_progress_payload(row.run, row.project, row.version,
											 row.action, NULL,
											 row.execution_ms));
	each->execution_ms = row.execution_ms;
}

/*
 * The lock protects neither the policy nor anything from a superuser: look
 * whether the migration may still be run, and has its place in the plan.
 */
static void
check_place_again(MigApplyEachRun *each)
{
	const char *project = each->common.options->project;

	if (!mig_recheck_policy(project))
		mig_preflight_policy(project, mig_policy_read(project));
	each->stale = !mig_recheck_plan(project, each->part, mig_apply_each_current_entry(each));
}

/* a subtransaction knows what was put off in it */
static void
run_body(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;

	mig_execute_body(&each->common.execution,
					 mig_run_common_bodies(&each->common)->body);
}

/* the body and its record, in one transaction */
static void
run_in_transaction(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;
	const MigStepTexts *bodies =
		mig_run_common_bodies(&each->common);
	ErrorData  *edata;

	MemoryContextSwitchTo(each->common.scratch);
	mig_progress_mark(true);
	check_place_again(each);
	if (each->stale)
		return;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	MemoryContextSwitchTo(each->common.scratch);
	mig_run_lock_bodies_begin();
	edata = mig_subxact_run(run_body, each, true);
	if (edata != NULL)
		ReThrowError(edata);
	if (bodies->verify != NULL)
		mig_execute_body(&each->common.execution, bodies->verify);
	record_migration(each);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

static void
check_place_before_steps(void *arg)
{
	MigApplyEachRun *each = (MigApplyEachRun *) arg;

	mig_progress_mark(true);
	check_place_again(each);
}

/* how many statements are committed, as a sentence */
static const char *
committed_part(int finished)
{
	if (finished == 0)
		return "None of its statements is committed.";
	if (finished == 1)
		return "The first of its statements is committed.";
	return psprintf("The first %d of its statements are committed.", finished);
}

/* what the next call does about the others */
static const char *
next_call(const MigApplyEachRun *each, int finished)
{
	const char *call = each->part == MIG_UP ? "apply_each" : "rollback_each";

	if (finished == 0)
		return psprintf("The next CALL migrate.%s() starts again.", call);
	if (finished == 1)
		return psprintf("The next CALL migrate.%s() goes on after it.", call);
	return psprintf("The next CALL migrate.%s() goes on after them.", call);
}

/* let the error say how many statements are committed, and how to go on */
static void
hint_where_it_stands(MigApplyEachRun *each, ErrorData *edata,
					 const MigNontransactional *stepwise)
{
	int			finished = stepwise->finished;

	if (edata->sqlerrcode == MIG_ERRCODE_PARTIAL ||
		edata->sqlerrcode == MIG_ERRCODE_BOOKS)
		return;
	mig_error_add_hint(edata, committed_part(finished));
	if (stepwise->committed_some)
		mig_error_add_hint(edata,
						   psprintf("Statement %d has committed a part of its work: say with migrate.resume() where to go on.",
									finished + 1));
	else if (stepwise->left != NULL)
		mig_error_add_hint(edata,
						   psprintf("What they have left in the session ends with this call (%s): say with migrate.resume() where to go on.",
									stepwise->left));
	else
		mig_error_add_hint(edata, next_call(each, finished));
}

/*
 * A concurrent build waits for others last, for as long as they take, and
 * nobody waits behind it; ours is no limit of that.  If the session has a
 * lock_timeout, each attempt would build all of it again to be ended there.
 */
static void
refuse_vain_build(MigApplyEachRun *each, ErrorData *edata,
				  const MigNontransactional *stepwise)
{
	if (!stepwise->left_build || LockTimeout <= 0 ||
		edata->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		return;
	each->in_vain = true;
	mig_error_add_hint(edata,
					   psprintf("The build was waiting for transactions of other sessions when lock_timeout, which is %d ms in this session, ended it: end those transactions, or SET lock_timeout = 0 for the call.",
								LockTimeout));
}

/* may CALL and DO commit in the down body of the current migration? */
static bool
is_marked_down(const MigApplyEachRun *each)
{
	return each->part == MIG_DOWN &&
		mig_apply_each_current_entry(each)->transactional == MIG_TX_OFF;
}

/* one migration of several transactions; returns its error, or NULL */
static ErrorData *
run_in_steps(MigApplyEachRun *each)
{
	const MigStepTexts *bodies =
		mig_run_common_bodies(&each->common);
	const MigStep *step = mig_run_common_step(&each->common);
	MigNontransactional stepwise;
	ErrorData  *edata = mig_transaction_run(check_place_before_steps, each);

	if (edata != NULL || each->stale)
		return edata;
	memset(&stepwise, 0, sizeof(stepwise));
	stepwise.key.project = each->common.options->project;
	stepwise.key.version = step->entry->version;
	stepwise.key.part = each->part;
	stepwise.body = bodies->body;
	stepwise.verify = bodies->verify;
	stepwise.statement_by_statement = each->part == MIG_UP &&
		step->entry->transactional == MIG_TX_OFF;
	stepwise.marked = is_marked_down(each);
	stepwise.search_path = each->search_path;
	stepwise.path_is_policys = each->path_is_policys;
	stepwise.run = each->result->run;
	stepwise.execution = &each->common.execution;
	stepwise.finish = record_migration;
	stepwise.finish_arg = each;
	edata = mig_nontransactional_run(&stepwise);
	if (edata != NULL)
	{
		/* it could not be repeated, and would hide this error */
		if (stepwise.committed_some)
			each->in_vain = true;
		refuse_vain_build(each, edata, &stepwise);
		hint_where_it_stands(each, edata, &stepwise);
	}
	return edata;
}

/*
 * An error that no statement of the body has raised by itself, of a constraint
 * that was put off for example.  Our own name the migration.
 */
static void
add_context(const MigApplyEachRun *each, ErrorData *edata)
{
	const MigEntry *entry = mig_apply_each_current_entry(each);
	const char *part = mig_body_part_name(each->part);
	char	   *place;

	if (each->common.execution.statement >= 0)
	{
		if (edata->context != NULL)
			return;
		place = psprintf("migration \"%s\", %s body, statement %d",
						 entry->version, part, each->common.execution.statement + 1);
	}
	else if (strncmp(unpack_sql_state(edata->sqlerrcode), "MG", 2) == 0)
		return;
	else
		place = psprintf("end of the %s body of migration \"%s\"",
						 part, entry->version);
	edata->context = edata->context == NULL ? place :
		psprintf("%s\n%s", edata->context, place);
}

/* does the current migration need several transactions? */
bool
mig_apply_each_step_is_nontransactional(const MigApplyEachRun *each)
{
	const MigStepTexts *texts =
		mig_run_common_bodies(&each->common);

	return (mig_apply_each_current_entry(each)->partial &&
			mig_apply_each_current_entry(each)->partial_part == each->part) ||
		(each->part == MIG_DOWN &&
		 mig_nontransactional_is_needed(mig_runnable_body(texts->body),
										is_marked_down(each))) ||
		mig_loaded_bodies_own_transaction(&each->common.loaded, each->window.steps,
										  each->common.current - each->common.loaded.first) != NULL;
}

/* run one migration and record it; returns its error, or NULL */
ErrorData *
mig_apply_each_step_run(MigApplyEachRun *each)
{
	int			done = each->result->migrations;
	ErrorData  *edata;

	mig_lock_wait_begin();
	mig_run_common_begin_step(&each->common, each->result->run,
							  mig_loaded_bodies_action(each->part), done + 1,
							  done + mig_apply_each_steps_left(each));
	mig_timeout_begin();
	if (mig_apply_each_step_is_nontransactional(each))
		edata = run_in_steps(each);
	else
		edata = mig_transaction_run(run_in_transaction, each);
	if (edata != NULL)
	{
		mig_journal_batch_discard(each->batch);
		mig_timeout_explain(edata,
							mig_apply_each_current_entry(each)->version);
		add_context(each, edata);
	}
	mig_lock_wait_end();
	mig_timeout_end();
	return edata;
}
