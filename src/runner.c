/*-------------------------------------------------------------------------
 *
 * runner.c
 *	  Running migrations up and down in the caller's transaction.
 *
 * A run is one internal subtransaction, not one for each migration, whose
 * clean-up would cost time quadratic in the number of tables.  When a body
 * fails, the subtransaction is rolled back first, which gives up all locks of
 * the run; only then is the failure journalled (see failure.c) and the error
 * raised again.
 *
 * The runner lock is taken outside of that subtransaction, and the books are
 * read again once it is held.  Rows for the books are collected and written
 * at the end of the run, inside the subtransaction, so that a migration's
 * change and its ledger row commit together or not at all.
 *
 * Bodies are fetched and parsed in chunks of limited size.  All are looked at
 * before the first one runs, so that what cannot run in a transaction is
 * refused before anything has been touched.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "checksum.h"
#include "chunk.h"
#include "errors.h"
#include "execute.h"
#include "failure.h"
#include "guard.h"
#include "guc.h"
#include "hint.h"
#include "ledger.h"
#include "locktrace.h"
#include "progress.h"
#include "runlock.h"
#include "runner.h"
#include "subxact.h"
#include "version.h"

/* what a step took */
typedef struct StepCost
{
	int			statements;
	double		execution_ms;
} StepCost;

typedef struct Run
{
	const MigRunOptions *options;
	const char *action;
	MigPolicy  *policy;
	MigProject *project;
	const char *role;
	int64		id;				/* 0: dry run */
	bool		ledger_was_empty;

	int			nsteps;
	MigStep    *steps;
	StepCost   *costs;			/* of each step */
	MigChunk	chunk;
	MigBatch   *batch;
	MigExecution execution;
	MemoryContext scratch;		/* one migration */

	int			current;		/* step that is running, -1: none */
	int			recorded;		/* journal rows so far */
	TimestampTz started_at;		/* of the current step */
	XLogRecPtr	wal_start;
	TimestampTz run_started_at;
	bool		may_defer;		/* deferred constraints are about */
	char	   *blockers;		/* whom the last attempt waited for, or NULL */
} Run;


/*
 * Before the run
 */

static const char *
part_action(MigPart part)
{
	return part == MIG_UP ? "apply" : "rollback";
}

static MigProject *
read_project(const char *name, bool strict)
{
	int			count;
	MigEntry   *entries = mig_ledger_entries(name, false, &count);

	return mig_plan_project(name, entries, count, strict);
}

static void
notice_held(List *held)
{
	ListCell   *lc;

	foreach(lc, held)
	{
		MigEntry   *entry = (MigEntry *) lfirst(lc);

		if (entry->held_reason != NULL)
			ereport(NOTICE,
					(errmsg("migration \"%s\" is held and was skipped: %s",
							entry->version, entry->held_reason)));
		else
			ereport(NOTICE,
					(errmsg("migration \"%s\" was skipped because it requires one that is held",
							entry->version)));
	}
}

static void
notice_nothing_to_apply(int64 applied, const char *newest)
{
	if (applied == 0)
		ereport(NOTICE, (errmsg("nothing to apply: no migration is applied or pending")));
	else
		ereport(NOTICE,
				(errmsg("nothing to apply: " INT64_FORMAT " applied, newest \"%s\"",
						applied, newest)));
}

static void
notice_nothing_pending(const MigProject *project)
{
	MigState	state;

	mig_plan_state(project, &state);
	notice_nothing_to_apply(state.applied, state.newest);
}

static Run *
run_begin(const MigRunOptions *options, const char *action,
		  MigPolicy *policy, MigProject *project)
{
	Run		   *run = palloc0(sizeof(Run));
	int			i;

	run->options = options;
	run->action = action;
	run->policy = policy;
	run->project = project;
	run->role = GetUserNameFromId(GetUserId(), false);
	run->current = -1;
	run->ledger_was_empty = true;
	for (i = 0; i < project->count; i++)
	{
		if (project->entries[i].applied)
			run->ledger_was_empty = false;
	}
	run->scratch = AllocSetContextCreate(CurrentMemoryContext,
										 "migrate one migration",
										 ALLOCSET_DEFAULT_SIZES);
	mig_execution_init(&run->execution, CurrentMemoryContext);
	return run;
}

static void
add_steps(Run *run, MigPart part, MigEntry **entries, int count)
{
	int			i;

	if (run->steps == NULL)
		run->steps = palloc_extended(sizeof(MigStep) * Max(count, 1),
									 MCXT_ALLOC_HUGE);
	else
		run->steps = repalloc_huge(run->steps,
								   sizeof(MigStep) * (run->nsteps + count));
	for (i = 0; i < count; i++)
	{
		run->steps[run->nsteps].entry = entries[i];
		run->steps[run->nsteps].part = part;
		run->nsteps++;
	}
}


/*
 * Bodies
 */

static void
load_chunk(Run *run, int first)
{
	/* it may refer to a body of the chunk that goes */
	mig_execution_reset(&run->execution);
	mig_chunk_load(&run->chunk, run->options->project, run->steps,
				   run->nsteps, first);
}

/*
 * Look at every body before any is run: all must parse, have their checksums
 * and be able to run in a transaction.
 */
static void
check_bodies(Run *run)
{
	List	   *refused = NIL;
	const char *reason = NULL;
	int			first;
	int			i;

	for (first = 0; first < run->nsteps; first += run->chunk.count)
	{
		load_chunk(run, first);
		for (i = 0; i < run->chunk.count; i++)
		{
			const char *why = mig_chunk_own_transaction(&run->chunk, run->steps, i);

			if (why == NULL)
				continue;
			if (reason == NULL)
				reason = why;
			refused = lappend(refused, run->steps[first + i].entry->version);
		}
	}
	if (refused != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_OWN_TRANSACTION),
				 errmsg_plural("%d migration cannot run in a transaction block",
							   "%d migrations cannot run in a transaction block",
							   list_length(refused), list_length(refused)),
				 errdetail("Migrations: %s.  The first one: %s.",
						   mig_name_list(refused), reason),
				 errhint("Run their statements by hand outside a transaction block, and record each with migrate.stamp().")));
}


/*
 * The run
 */

static void
fill_journal_row(Run *run, MigJournalRow *row, double execution_ms)
{
	MigStep    *step = &run->steps[run->current];
	int			i = run->current - run->chunk.first;
	MigTexts   *texts = &run->chunk.texts[i];
	const char *text = step->part == MIG_UP ? texts->up : texts->down;
	const char *checksum = step->part == MIG_UP ?
		texts->checksum : texts->down_checksum;

	row->run = run->id;
	row->n = run->recorded + 1;
	row->action = part_action(step->part);
	row->project = run->options->project;
	row->version = step->entry->version;
	row->name = step->entry->name;
	row->replace = step->part == MIG_UP && step->entry->applied &&
		strcmp(run->action, "redo") != 0;
	row->started_at = run->started_at;
	row->execution_ms = execution_ms;
	row->checksum = texts->checksum;
	row->down_checksum = texts->down_checksum;
	row->body = mig_exact_hash(text, checksum);
	if (run->chunk.verifies[i] != NULL)
		row->verify_body = mig_exact_hash(texts->verify,
										  mig_checksum(texts->verify));
	row->ntimings = run->execution.ntimings;
	row->timings = run->execution.timings;
	row->role = run->role;
	row->search_path = run->policy->search_path;
	row->note = run->options->note;
	row->wal_start = run->wal_start;
	row->wal_end = GetXLogInsertRecPtr();
}

static void
record_step(Run *run, double execution_ms)
{
	MigStep    *step = &run->steps[run->current];
	MigTexts   *texts = &run->chunk.texts[run->current - run->chunk.first];
	MigJournalRow row;

	run->costs[run->current].statements = run->execution.ntimings;
	run->costs[run->current].execution_ms = execution_ms;
	if (run->id == 0)
		return;
	memset(&row, 0, sizeof(row));
	fill_journal_row(run, &row, execution_ms);
	row.effect = step->part == MIG_UP ? MIG_EFFECT_APPLIED : MIG_EFFECT_UNDONE;
	row.how = "apply";
	mig_batch_add(run->batch, &row);
	mig_batch_add_body(run->batch, row.body, run->id,
					   step->part == MIG_UP ? texts->up : texts->down);
	if (row.verify_body != NULL)
		mig_batch_add_body(run->batch, row.verify_body, run->id, texts->verify);
	run->recorded++;
}

/*
 * Deferred constraints are checked at the end of each migration, so that the
 * one that violates them is the one that fails.  Looking for them costs a scan
 * of pg_constraint, so it is done only if there may be any.
 */
static void
check_deferred(Run *run, const MigBody *body, const MigLabel *label)
{
	List	   *constraints;

	if (!body->mentions_deferrable && (!run->may_defer || body->only_ddl))
		return;
	constraints = mig_ledger_deferrable_constraints();
	run->may_defer = (constraints != NIL);
	mig_execute_check_constraints(label, constraints);
}

static void
run_step(Run *run)
{
	MigStep    *step = &run->steps[run->current];
	int			i = run->current - run->chunk.first;
	MigChunk   *chunk = &run->chunk;
	instr_time	start;
	instr_time	duration;
	double		execution_ms;

	mig_progress_show(part_action(step->part), run->current + 1, run->nsteps,
					  step->entry->version);
	mig_execution_reset(&run->execution);
	run->started_at = GetCurrentTimestamp();
	run->wal_start = GetXLogInsertRecPtr();
	INSTR_TIME_SET_CURRENT(start);

	mig_execute_body(&run->execution, chunk->bodies[i], &chunk->labels[i]);
	check_deferred(run, chunk->bodies[i], &chunk->labels[i]);
	if (chunk->verifies[i] != NULL)
		mig_execute_body(&run->execution, chunk->verifies[i],
						 &chunk->verify_labels[i]);

	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	execution_ms = INSTR_TIME_GET_MILLISEC(duration);
	record_step(run, execution_ms);
	if (run->options->dry_run)
		return;
	mig_progress_notice(step->part == MIG_UP ? "applied" : "rolled back",
						run->current + 1, run->nsteps, step->entry->version,
						step->entry->name, execution_ms);
}

static void
run_steps(Run *run)
{
	MemoryContext old = CurrentMemoryContext;
	int			i;

	for (i = 0; i < run->nsteps; i++)
	{
		/* what fails from here on is not the migration before */
		run->current = -1;
		if (i > 0 && run->steps[i].part != run->steps[i - 1].part)
			mig_batch_flush(run->batch);
		if (i < run->chunk.first || i >= run->chunk.first + run->chunk.count)
			load_chunk(run, i);
		run->current = i;
		MemoryContextSwitchTo(run->scratch);
		run_step(run);
		MemoryContextSwitchTo(old);
		MemoryContextReset(run->scratch);
	}
	run->current = -1;
	mig_lock_recheck();
	mig_batch_flush(run->batch);
}

static void
hold_undone(Run *run)
{
	List	   *versions = NIL;
	int			i;

	for (i = 0; i < run->nsteps; i++)
		versions = lappend(versions, run->steps[i].entry->version);
	mig_ledger_hold(run->options->project, versions,
					psprintf("rolled back by run " INT64_FORMAT, run->id));
}

/* tell migrate.state, and this run's copy of the entries, what has been done */
static void
update_state(Run *run)
{
	MigState	state;
	int			i;

	for (i = 0; i < run->nsteps; i++)
	{
		MigEntry   *entry = run->steps[i].entry;

		entry->applied = (run->steps[i].part == MIG_UP);
		entry->up_changed = entry->down_changed = false;
		entry->run = run->id;
		entry->n = i + 1;
	}
	mig_plan_state(run->project, &state);
	mig_ledger_set_state(run->options->project, &state);
}

/* everything that is rolled back together when it fails */
static void
run_everything(void *arg)
{
	Run		   *run = (Run *) arg;
	int			guc_level = NewGUCNestLevel();
	bool		hold = run->options->hold_given ?
		run->options->hold : run->policy->protected;

	mig_bodies_begin();
	mig_execute_pin_settings(run->policy->search_path);
	mig_locktrace_begin();
	run->may_defer = mig_ledger_deferrable_constraints() != NIL;
	run_steps(run);
	mig_locktrace_end();
	mig_bodies_end();
	if (run->id != 0)
	{
		if (strcmp(run->action, "rollback") == 0 && hold)
			hold_undone(run);
		update_state(run);
	}
	AtEOXact_GUC(false, guc_level);
}


/*
 * Failure
 */

/* where it happened, if a body's statement was running */
static void
locate_failure(Run *run, ErrorData *edata, MigFailure *failure)
{
	MigExecution *execution = &run->execution;
	const MigStatement *statement;

	if (run->current < 0 || execution->body == NULL ||
		execution->statement < 0)
		return;
	statement = &execution->body->statements[execution->statement];
	mig_error_locate(edata, execution->body->text, statement->location,
					 statement->length);
	failure->in_body = true;
	failure->part = execution->label->part;
	failure->statement = execution->statement + 1;
	failure->line = statement->line;
}

static double
elapsed_ms(TimestampTz since)
{
	return (GetCurrentTimestamp() - since) / 1000.0;
}

/* a line in the server log, whatever becomes of the journal */
static void
log_failure(const Run *run, const ErrorData *edata, const char *version)
{
	ereport(LOG_SERVER_ONLY,
			(errmsg("migrate: %s of migration \"%s\" of project \"%s\" failed in run " INT64_FORMAT ": %s: %s",
					run->action, version ? version : "",
					run->options->project, run->id,
					unpack_sql_state(edata->sqlerrcode), edata->message),
			 errhidestmt(true), errhidecontext(true)));
}

static void
journal_failure_here(Run *run, const MigJournalRow *row, const char *text)
{
	MigBatch   *batch = mig_batch_begin();

	mig_batch_add(batch, row);
	if (text != NULL)
		mig_batch_add_body(batch, row->body, run->id, text);
	mig_batch_flush(batch);
	mig_batch_end(batch);
	mig_progress_notify(mig_progress_payload(row->run, row->project,
											 row->version, row->action,
											 row->failure->sqlstate,
											 row->execution_ms));
}

static void
report_failure(const Run *run, const MigJournalRow *row, MigRunSink sink,
			   void *arg)
{
	MigRunResult result;

	memset(&result, 0, sizeof(result));
	result.run = run->id;
	result.version = row->version;
	result.name = row->name;
	result.action = "failed";
	result.statements = row->ntimings;
	result.execution_ms = row->execution_ms;
	result.failure = row->failure;
	sink(&result, arg);
}

/*
 * The run has failed and been rolled back: journal that, and raise the error
 * or report it.
 */
static void
fail(Run *run, ErrorData *edata, MigRunSink sink, void *arg)
{
	MigHintFacts hints;
	MigFailure	failure;
	MigJournalRow row;
	const char *text = NULL;

	/* nobody who cancels wants to go on, whatever the call said */
	bool		raise = run->options->raise ||
		edata->sqlerrcode == ERRCODE_QUERY_CANCELED;

	memset(&failure, 0, sizeof(failure));
	memset(&row, 0, sizeof(row));
	locate_failure(run, edata, &failure);
	hints.project = run->options->project;
	hints.role = run->role;
	hints.ledger_was_empty = run->ledger_was_empty;
	hints.contained = run->execution.contained;
	hints.blockers_named = (run->blockers != NULL);
	if (run->blockers != NULL)
		mig_error_add_detail(edata, run->blockers);
	mig_hint_add(edata, &hints);
	mig_failure_from_error(&failure, edata);
	if (run->current >= 0)
	{
		MigTexts   *texts = &run->chunk.texts[run->current - run->chunk.first];

		run->recorded = run->current;
		fill_journal_row(run, &row, elapsed_ms(run->started_at));
		text = run->steps[run->current].part == MIG_UP ? texts->up : texts->down;
	}
	else
	{
		row.run = run->id;
		row.n = 1;
		row.action = run->action;
		row.project = run->options->project;
		row.started_at = run->run_started_at;
		row.execution_ms = elapsed_ms(run->run_started_at);
		row.role = run->role;
		row.note = run->options->note;
	}
	row.failure = &failure;

	if (run->id != 0)
	{
		log_failure(run, edata, row.version);
		if (raise)
			mig_failure_record(&row, text);
		else
			journal_failure_here(run, &row, text);
	}
	if (raise)
		ReThrowError(edata);
	report_failure(run, &row, sink, arg);
}

static void
report_results(const Run *run, MigRunSink sink, void *arg)
{
	int			i;

	for (i = 0; i < run->nsteps; i++)
	{
		const MigStep *step = &run->steps[i];
		MigRunResult result;

		memset(&result, 0, sizeof(result));
		result.run = run->id;
		result.version = step->entry->version;
		result.name = step->entry->name;
		result.action = part_action(step->part);
		result.statements = run->costs[i].statements;
		result.execution_ms = run->costs[i].execution_ms;
		sink(&result, arg);
	}
}

static bool
must_contain(const Run *run)
{
	MigEntry  **entries = palloc(sizeof(MigEntry *) * run->nsteps);
	int			i;

	for (i = 0; i < run->nsteps; i++)
		entries[i] = run->steps[i].entry;
	return mig_guard_must_contain(entries, run->nsteps);
}

static ErrorData *
run_attempt(Run *run)
{
	ErrorData  *edata;

	run->current = -1;
	run->recorded = 0;
	run->blockers = NULL;
	MemoryContextReset(run->scratch);
	mig_locktrace_reset();
	run->batch = mig_batch_begin();
	edata = mig_subxact_run(run_everything, run, !run->options->dry_run);
	mig_locktrace_end();
	mig_bodies_end();
	mig_execute_restart_timeout();
	mig_batch_end(run->batch);
	return edata;
}

static void
pause_run(void *arg)
{
	mig_lock_pause(*(int *) arg);
}

/* the error if somebody cancels, which takes the place of failure */
static ErrorData *
pause_before_retry(const Run *run, const ErrorData *failure, int retry,
				   int retries)
{
	int			ms = mig_lock_pause_ms(retry);
	ErrorData  *edata;

	mig_progress_notice_retry(run->steps[run->current].entry->version, retry,
							  retries, ms, run->blockers);
	edata = mig_subxact_run(pause_run, &ms, true);
	if (edata != NULL)
		mig_error_add_detail(edata,
							 psprintf(_("The run was to be tried again after this error: %s"),
									  failure->message));
	return edata;
}

/*
 * Run until it works, or fails for another reason than a lock, or has been
 * tried often enough.  Each attempt that fails gives up the locks of the run.
 */
static ErrorData *
run_attempts(Run *run)
{
	int			retries = Max(mig_lock_retries, 0);
	int			retry;

	for (retry = 1;; retry++)
	{
		ErrorData  *edata = run_attempt(run);
		ErrorData  *canceled;

		if (edata == NULL || !mig_locktrace_is_lock_failure(edata))
			return edata;
		run->blockers = mig_locktrace_blockers();

		/* what is not a migration's is not known to leave nothing behind */
		if (retry > retries || run->current < 0)
			return edata;
		canceled = pause_before_retry(run, edata, retry, retries);
		if (canceled != NULL)
			return canceled;
	}
}

/* run the steps that were added, with the lock held */
static void
run_execute(Run *run, MigRunSink sink, void *arg)
{
	ErrorData  *edata;
	const MigStep *last = &run->steps[run->nsteps - 1];

	run->run_started_at = GetCurrentTimestamp();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	run->costs = palloc_extended(sizeof(StepCost) * run->nsteps,
								 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	mig_chunk_init(&run->chunk, CurrentMemoryContext);
	check_bodies(run);
	run->execution.contained = must_contain(run);
	if (!run->options->dry_run)
		run->id = mig_journal_next_run();
	edata = run_attempts(run);
	mig_progress_restore();
	if (edata != NULL)
		fail(run, edata, sink, arg);
	else
	{
		if (run->id != 0)
			mig_progress_notify(mig_progress_payload(run->id, run->options->project,
													 last->entry->version,
													 run->action, NULL,
													 elapsed_ms(run->run_started_at)));
		report_results(run, sink, arg);
		if (IsTransactionBlock() && run->id != 0)
			ereport(NOTICE,
					(errmsg("the run takes effect when the transaction is committed")));
	}
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}


/*
 * Entry points
 */

/* is one look at migrate.state enough to know that nothing is pending? */
static bool
known_complete(const MigRunOptions *options)
{
	MigState	state;

	if (options->target != NULL || options->restricted)
		return false;
	if (!mig_ledger_state(options->project, &state) || !state.complete)
		return false;
	notice_nothing_to_apply(state.applied, state.newest);
	return true;
}

static MigPlan *
plan_apply(const MigRunOptions *options, MigPolicy **policy,
		   MigProject **project)
{
	*policy = mig_ledger_policy(options->project);
	*project = read_project(options->project, true);
	return mig_plan_up(*project, options->target, options->restricted,
					   options->versions, *policy, mig_ledger_is_applied);
}

static bool
nothing_to_apply(const MigPlan *plan, const MigProject *project)
{
	if (plan->nsteps > 0)
		return false;
	notice_held(plan->held);
	notice_nothing_pending(project);
	return true;
}

/*
 * There was nothing to do, though migrate.state did not say so (a migration
 * may have been stamped): let it know, if that costs the caller nothing.  In a
 * transaction block it would keep the lock until the end of the block.
 */
static void
note_complete(const char *name, const MigProject *project)
{
	MigState	state;

	mig_plan_state(project, &state);
	if (state.complete && !IsTransactionBlock())
		mig_ledger_set_state(name, &state);
	else
		mig_lock_release();
}

/* the plan without the lock, in memory that is given back */
static bool
nothing_pending(const MigRunOptions *options)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "migrate first look",
							  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MigPolicy  *policy;
	MigProject *project;
	MigPlan    *plan = plan_apply(options, &policy, &project);
	bool		nothing = nothing_to_apply(plan, project);

	if (!nothing)
		mig_guard_policy(options->project, policy);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return nothing;
}

void
mig_run_apply(const MigRunOptions *options, MigRunSink sink, void *arg)
{
	MigPolicy  *policy;
	MigProject *project;
	MigPlan    *plan;
	Run		   *run;
	bool		held_before = true;

	mig_refuse_recursion();
	if (known_complete(options))
		return;
	if (!mig_guard_can_write() || !mig_lock_try(&held_before))
	{
		/* nobody waits, and no standby complains, if there is nothing to do */
		if (nothing_pending(options))
			return;
		mig_guard_transaction("apply migrations");
		mig_lock_acquire();
	}
	plan = plan_apply(options, &policy, &project);
	if (nothing_to_apply(plan, project))
	{
		if (!held_before)
			note_complete(options->project, project);
		return;
	}
	mig_guard_policy(options->project, policy);
	mig_guard_authors(plan->steps, plan->nsteps);
	notice_held(plan->held);

	run = run_begin(options, "apply", policy, project);
	add_steps(run, MIG_UP, plan->steps, plan->nsteps);
	run_execute(run, sink, arg);
}

/*
 * A version that is taken out below others will be out of order for every
 * runner from now on: say so to who did it.
 */
static void
notice_gaps(const Run *run)
{
	const MigEntry *newest = NULL;
	List	   *gaps = NIL;
	int			i;

	for (i = 0; i < run->project->count; i++)
	{
		const MigEntry *entry = &run->project->entries[i];

		if (entry->applied && entry->kind == MIG_VERSIONED &&
			(newest == NULL ||
			 mig_version_compare(newest->version, entry->version) < 0))
			newest = entry;
	}
	for (i = 0; newest != NULL && i < run->nsteps; i++)
	{
		const MigEntry *entry = run->steps[i].entry;

		if (entry->kind == MIG_VERSIONED && entry->nrequires == 0 &&
			mig_version_compare(entry->version, newest->version) < 0)
			gaps = lappend(gaps, entry->version);
	}
	if (gaps != NIL)
		ereport(NOTICE,
				(errmsg("%s will be out of order for apply(), because later versions are still applied",
						mig_name_list(gaps)),
				 errhint("Hold what is to stay out with migrate.hold(), take it out with migrate.remove(), or let it be applied by out_of_order = 'allow' in migrate.policy.")));
}

/* take the lock for undoing and read what there is */
static MigPlan *
plan_undo(const MigRunOptions *options, const MigDownChoice *choice,
		  MigPolicy **policy, MigProject **project)
{
	MigPlan    *plan;
	ListCell   *lc;

	mig_refuse_recursion();
	mig_guard_transaction("roll back migrations");
	*policy = mig_ledger_policy(options->project);
	mig_guard_policy(options->project, *policy);
	if (!options->dry_run)
		mig_guard_destructive(options->project, *policy, options->confirm);
	mig_lock_acquire();
	*policy = mig_ledger_policy(options->project);
	mig_guard_policy(options->project, *policy);
	*project = read_project(options->project, false);
	plan = mig_plan_down(*project, choice, mig_ledger_dependents);
	foreach(lc, plan->left)
		ereport(NOTICE,
				(errmsg("repeatable migration \"%s\" has no down body and stays applied",
						((MigEntry *) lfirst(lc))->version)));
	if (plan->nsteps == 0)
		ereport(NOTICE, (errmsg("nothing to roll back")));
	mig_guard_authors(plan->steps, plan->nsteps);
	return plan;
}

void
mig_run_rollback(const MigRunOptions *options, const MigDownChoice *choice,
				 MigRunSink sink, void *arg)
{
	MigPolicy  *policy;
	MigProject *project;
	MigPlan    *plan = plan_undo(options, choice, &policy, &project);
	Run		   *run;

	if (plan->nsteps == 0)
		return;
	run = run_begin(options, "rollback", policy, project);
	add_steps(run, MIG_DOWN, plan->steps, plan->nsteps);
	run_execute(run, sink, arg);
	if (!options->dry_run && !policy->allow_out_of_order &&
		!(options->hold_given ? options->hold : policy->protected))
		notice_gaps(run);
}

static int
compare_positions(const void *a, const void *b)
{
	return (*(MigEntry *const *) a)->position - (*(MigEntry *const *) b)->position;
}

void
mig_run_redo(const MigRunOptions *options, int steps, MigRunSink sink,
			 void *arg)
{
	MigDownChoice choice = {MIG_DOWN_STEPS};
	MigPolicy  *policy;
	MigProject *project;
	MigPlan    *plan;
	Run		   *run;

	choice.steps = steps;
	plan = plan_undo(options, &choice, &policy, &project);
	if (plan->nsteps == 0)
		return;
	run = run_begin(options, "redo", policy, project);
	add_steps(run, MIG_DOWN, plan->steps, plan->nsteps);
	qsort(plan->steps, plan->nsteps, sizeof(MigEntry *), compare_positions);
	add_steps(run, MIG_UP, plan->steps, plan->nsteps);
	run_execute(run, sink, arg);
}
