/*-------------------------------------------------------------------------
 *
 * apply_each.c
 *	  Running migrations up or down, each in a transaction of its own.
 *
 * The runner lock is held for the session, over the ends of the transactions,
 * and given up for a pause before another attempt.  The plan is made under the
 * lock, and anew whenever the lock was given up, from what is there then and
 * with all that may forbid it.  A superuser can change the books without the
 * lock, and the owner of the database the policy: so before each migration
 * there is a look whether it has its place in the plan still.  If not, that is
 * made anew as well.
 *
 * An error aborts the transaction of its migration.  The failure is then
 * journalled in the next one.
 *
 * Nothing is connected to SPI between migrations and no snapshot is active, so
 * what waits here is waited for by nobody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/checksum.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/pause.h"
#include "base/session_settings.h"
#include "base/subxact.h"
#include "exec/error_hint.h"
#include "exec/execute.h"
#include "exec/failure_record.h"
#include "exec/lock_wait.h"
#include "exec/progress.h"
#include "ledger/migration.h"
#include "ledger/run.h"
#include "ledger/state.h"
#include "ledger/step.h"
#include "ledger/tables.h"
#include "lint/lint.h"
#include "plan/loaded_bodies.h"
#include "plan/project.h"
#include "plan/preflight.h"
#include "plan/recheck.h"
#include "plan/run_lock.h"
#include "plan/step_window.h"
#include "run/apply_each.h"
#include "run/nontransactional.h"

/* entries after which memory is given back to the operating system */
#define LARGE_PROJECT 500

typedef struct EachRun
{
	const MigRunOptions *options;
	const MigDownChoice *choice;	/* NULL: apply */
	MigApplyEachResult *result;
	MigPart		part;
	bool		background;
	bool		has_row;		/* in migrate.run */
	bool		pending;		/* there may be something to do */
	bool		locked;
	bool		begun;			/* there was something to do */
	bool		stale;			/* the plan has to be made anew */
	bool		half_way;		/* the current step is, after an error */
	Oid			extension;		/* that the run has begun with */
	bool		extension_is_gone;
	const char *role;
	char	   *search_path;
	bool		path_is_policys;
	bool		holds;			/* what is undone */
	bool		gaps_matter;	/* or else says what will be out of order */
	bool		ledger_was_empty;

	MemoryContext context;		/* the run */
	MemoryContext planned;		/* what a plan has left */
	MemoryContext migration;	/* one migration */
	MigDownChoice rest;			/* of what is to be undone, for a new plan */
	List	   *told_held;		/* versions (char *) of which the client knows */
	List	   *gaps;			/* versions (char *), see
								 * mig_plan_can_leave_gap() */
	MigStepWindow window;
	MigLoadedBodies loaded;		/* of the window's steps */
	MigJournalBatch *batch;
	MigExecution execution;
	List	   *settings;		/* of the session, before the run */
	MigSessionState *session_state; /* what else the session had by then */
	bool		pinned;			/* it has others now */
	int			nentries;		/* of the project */

	int			next;			/* the step that comes next */
	int			current;		/* the one that is running, -1: none */
	TimestampTz run_started_at;
	TimestampTz started_at;		/* of the current step */
	XLogRecPtr	wal_start;
	int			given_up;		/* rows of the journal about such */
	double		execution_ms;	/* of the step that was recorded last */
	MigLockSchedule schedule;	/* of attempts at the version: */
	char	   *tried;			/* NULL: none yet */
	char	   *blockers;		/* whom the last attempt waited for, or NULL */
	bool		in_vain;		/* another attempt would fail like the last */
} EachRun;


/*
 * Before the run
 */

static void
write_run_row(EachRun *each)
{
	MigRunRow	row;

	if (each->result->run != 0)
		return;
	each->result->run = mig_journal_next_run();
	memset(&row, 0, sizeof(row));
	row.run = each->result->run;
	row.project = unconstify(char *, each->options->project);
	row.action = unconstify(char *, mig_loaded_bodies_action(each->part));
	row.target = unconstify(char *, each->choice ? each->choice->target :
							each->options->target);
	row.restricted = each->options->restricted;
	row.versions = each->options->versions;
	row.note = unconstify(char *, each->options->note);
	row.backend_pid = MyProcPid;
	mig_run_insert(&row);
	mig_run_lock_mark_run(row.run);
}

/* what a run does before its first migration */
static void
begin_run(EachRun *each, const MigPlannedRun *prepared)
{
	each->begun = true;
	each->ledger_was_empty = prepared->ledger_was_empty;
	write_run_row(each);
	each->has_row = true;
	each->batch = mig_journal_batch_begin();
	if (each->part == MIG_UP)
		mig_plan_run_warn(prepared->project, true);
	else
		mig_state_invalidate();

	/* for the whole run, since it takes time */
	each->settings = mig_session_settings_save();
	each->session_state = each->execution.session_state =
		mig_session_state_note();
	each->pinned = true;
}

/*
 * What is to be undone was decided when the run began: what has been applied
 * since does not take the place of any of it.  But everything after a target is
 * everything that is there now.
 */
static const MigDownChoice *
choice_of_rest(EachRun *each)
{
	if (!each->begun || each->choice->kind == MIG_DOWN_TO)
		return each->choice;
	each->rest.kind = MIG_DOWN_APPLICATIONS;
	each->rest.applications = mig_step_window_rest(&each->window,
												   each->window.first +
												   each->next);
	return &each->rest;
}

static List *
copy_strings(List *strings)
{
	List	   *copy = NIL;
	ListCell   *lc;

	foreach(lc, strings)
		copy = lappend(copy, pstrdup(lfirst(lc)));
	return copy;
}

/* there is something to do: keep of the plan what the run needs of it */
static void
keep_plan(EachRun *each, const MigPlannedRun *prepared)
{
	MigPolicy  *policy = prepared->policy;

	if (each->part == MIG_UP &&
		(!each->begun || policy->lint == MIG_LINT_REFUSE))
		mig_lint_before_run(each->options->project, prepared->project,
							prepared->plan, policy);
	MemoryContextSwitchTo(each->context);
	if (!each->begun)
		begin_run(each, prepared);
	MemoryContextReset(each->planned);
	MemoryContextSwitchTo(each->planned);
	each->search_path = pstrdup(policy->search_path);
	each->path_is_policys = policy->sets_search_path;
	mig_execute_set_session(&each->execution, each->search_path,
							each->path_is_policys);
	each->holds = each->part == MIG_DOWN &&
		mig_plan_run_holds(each->options, policy);
	each->gaps_matter = each->part == MIG_DOWN && !each->holds &&
		!policy->allow_out_of_order;
	mig_step_window_begin(&each->window, each->part, prepared->plan);
}

/* with the lock held: find out what there is to do */
static void
make_plan(void *arg)
{
	EachRun    *each = (EachRun *) arg;
	MemoryContext context = AllocSetContextCreate(each->context,
												  "migrate plan",
												  ALLOCSET_DEFAULT_SIZES);
	MigPlannedRun prepared = {0};
	bool		something;

	MemoryContextSwitchTo(context);
	prepared.told_held = each->told_held;
	if (each->part == MIG_UP)
		something = mig_plan_run_apply(each->options, &prepared);
	else
		something = mig_plan_run_undo(each->options, choice_of_rest(each),
									  &prepared);
	each->nentries = prepared.project->count;
	if (something)
		keep_plan(each, &prepared);
	else
	{
		each->window.nsteps = 0;
		if (each->part == MIG_UP && mig_project_has_news(prepared.project))
			mig_project_write_state(prepared.project);
	}
	MemoryContextSwitchTo(each->context);
	each->told_held = copy_strings(prepared.told_held);
	MemoryContextDelete(context);
	each->loaded.count = 0;
	each->next = 0;
	each->stale = false;
}


/*
 * One migration
 */

static void
fill_row(EachRun *each, MigJournalRow *row)
{
	memset(row, 0, sizeof(MigJournalRow));
	row->run = each->result->run;
	row->n = each->result->migrations + each->given_up + 1;
	row->project = each->options->project;
	row->role = each->role;
	row->search_path = each->execution.search_path;
	row->note = each->options->note;
	if (each->current < 0)
	{
		row->action = mig_loaded_bodies_action(each->part);
		row->started_at = each->run_started_at;
		row->execution_ms = mig_journal_elapsed_ms(each->run_started_at);
		return;
	}
	mig_loaded_bodies_fill_row(&each->loaded, each->window.steps,
							   each->current - each->loaded.first, row);
	row->started_at = each->started_at;
	row->execution_ms = mig_journal_elapsed_ms(each->started_at);
	row->ntimings = each->execution.ntimings;
	row->timings = each->execution.timings;
	row->wal_start = each->wal_start;
	row->wal_end = GetXLogInsertRecPtr();
}

/* the step that is running */
static MigStep *
current_step(const EachRun *each)
{
	return &each->window.steps[each->current];
}

static const MigEntry *
current_entry(const EachRun *each)
{
	return current_step(each)->entry;
}

/* how many steps are left, this one included */
static int
steps_left(const EachRun *each)
{
	return each->window.nsteps - each->window.first - each->current;
}

/*
 * Along with a migration that has been undone, the ledger gives up what was
 * applied after it and may have gone with it.  Adds the versions to *undone.
 */
static void
give_up(EachRun *each, const MigEntry *undone_entry, List **undone)
{
	ListCell   *lc;

	foreach(lc, each->window.again)
	{
		const MigEntry *entry = (const MigEntry *) lfirst(lc);
		MigJournalRow row;

		if (undone_entry->kind != MIG_VERSIONED ||
			entry->seq < undone_entry->seq ||
			!mig_migration_is_applied(each->options->project, entry->version))
			continue;
		mig_journal_give_up(&row, each->result->run, each->options->project,
							entry, each->options->note);
		each->given_up++;
		row.n = each->result->migrations + each->given_up + 1;
		mig_journal_batch_add(each->batch, &row);
		*undone = lappend(*undone, entry->version);
	}
}

/* in the migration's last transaction */
static void
record_migration(void *arg)
{
	EachRun    *each = (EachRun *) arg;
	const MigEntry *entry = current_entry(each);
	int			i = each->current - each->loaded.first;
	List	   *undone = list_make1(entry->version);
	MigJournalRow row;

	mig_run_lock_recheck();
	fill_row(each, &row);
	row.effect = each->part == MIG_UP ? MIG_EFFECT_APPLIED : MIG_EFFECT_UNDONE;
	row.how = "apply";
	row.replace = each->part == MIG_UP && entry->applied;
	mig_journal_batch_add(each->batch, &row);
	mig_journal_batch_add_body(each->batch, row.body, row.run,
							   mig_loaded_bodies_text(&each->loaded,
													  each->window.steps, i));
	if (row.verify_body != NULL)
		mig_journal_batch_add_body(each->batch, row.verify_body, row.run,
								   each->loaded.bodies[i].texts->verify);
	give_up(each, entry, &undone);
	mig_journal_batch_flush(each->batch);
	if (each->holds)
	{
		/* the gate would take it for a change by the body */
		mig_run_lock_bodies_end();
		mig_migration_hold(each->options->project, undone,
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
look_again(EachRun *each)
{
	const char *project = each->options->project;

	if (!mig_recheck_policy(project))
		mig_preflight_policy(project, mig_policy_read(project));
	each->stale = !mig_recheck_plan(project, each->part, current_entry(each));
}

static void
load_bodies_of_window(void *arg)
{
	EachRun    *each = (EachRun *) arg;

	mig_execute_reset(&each->execution);
	if (each->next >= each->window.count)
	{
		each->stale = !mig_step_window_read(&each->window,
											each->options->project,
											each->window.first +
											each->window.count);
		each->loaded.count = 0;
		each->next = 0;
		if (each->stale)
			return;
	}
	mig_loaded_bodies_load(&each->loaded, each->options->project,
						   each->window.steps,
						   each->window.count, each->next);
}

/* the body and its record, in one transaction */
static void
run_in_transaction(void *arg)
{
	EachRun    *each = (EachRun *) arg;
	const MigStepTexts *bodies =
		&each->loaded.bodies[each->current - each->loaded.first];

	MemoryContextSwitchTo(each->migration);
	mig_progress_mark(true);
	look_again(each);
	if (each->stale)
		return;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	MemoryContextSwitchTo(each->migration);
	mig_run_lock_bodies_begin();
	mig_execute_body(&each->execution, bodies->body);
	if (bodies->verify != NULL)
		mig_execute_body(&each->execution, bodies->verify);
	record_migration(each);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

static void
look_before_steps(void *arg)
{
	EachRun    *each = (EachRun *) arg;

	mig_progress_mark(true);
	look_again(each);
}

/* let the error say how many statements are committed, and how to go on */
static void
hint_where_it_stands(EachRun *each, ErrorData *edata,
					 const MigNontransactional *stepwise)
{
	const char *call = each->part == MIG_UP ? "apply_each" : "rollback_each";
	const char *stands;

	if (edata->sqlerrcode == MIG_ERRCODE_PARTIAL ||
		edata->sqlerrcode == MIG_ERRCODE_BOOKS)
		return;
	if (stepwise->finished == 0)
		stands = "None of its statements is committed";
	else if (stepwise->finished == 1)
		stands = "The first of its statements is committed";
	else
		stands = psprintf("The first %d of its statements are committed",
						  stepwise->finished);
	if (stepwise->committed_some)
		mig_error_add_hint(edata,
						   psprintf("%s, and statement %d has committed a part of its work: say with migrate.resume() where to go on.",
									stands, stepwise->finished + 1));
	else if (stepwise->left != NULL)
		mig_error_add_hint(edata,
						   psprintf("%s, and what they have left in the session ends with this call (%s): say with migrate.resume() where to go on.",
									stands, stepwise->left));
	else
		mig_error_add_hint(edata,
						   psprintf("%s: the next CALL migrate.%s() %s.",
									stands, call,
									stepwise->finished == 0 ? "starts again" :
									stepwise->finished == 1 ?
									"goes on after it" : "goes on after them"));
}

/*
 * A concurrent build waits for others last, for as long as they take, and
 * nobody waits behind it; ours is no limit of that.  If the session has a
 * lock_timeout, each attempt would build all of it again to be ended there.
 */
static void
refuse_vain_build(EachRun *each, ErrorData *edata,
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
is_marked_down(const EachRun *each)
{
	return each->part == MIG_DOWN &&
		current_entry(each)->transactional == MIG_TX_OFF;
}

/* one migration of several transactions; returns its error, or NULL */
static ErrorData *
run_in_steps(EachRun *each)
{
	const MigStepTexts *bodies =
		&each->loaded.bodies[each->current - each->loaded.first];
	const MigStep *step = current_step(each);
	MigNontransactional stepwise;
	ErrorData  *edata = mig_transaction_run(look_before_steps, each);

	if (edata != NULL || each->stale)
		return edata;
	memset(&stepwise, 0, sizeof(stepwise));
	stepwise.key.project = each->options->project;
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
	stepwise.execution = &each->execution;
	stepwise.finish = record_migration;
	stepwise.finish_arg = each;
	edata = mig_nontransactional_run(&stepwise);
	if (edata != NULL)
	{
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
add_context(const EachRun *each, ErrorData *edata)
{
	const MigEntry *entry = current_entry(each);
	const char *part = mig_body_part_name(each->part);
	char	   *place;

	if (each->execution.statement >= 0)
	{
		if (edata->context != NULL)
			return;
		place = psprintf("migration \"%s\", %s body, statement %d",
						 entry->version, part, each->execution.statement + 1);
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
static bool
takes_steps(const EachRun *each)
{
	const MigStepTexts *texts =
		&each->loaded.bodies[each->current - each->loaded.first];

	return (current_entry(each)->partial &&
			current_entry(each)->partial_part == each->part) ||
		(each->part == MIG_DOWN &&
		 mig_nontransactional_is_needed(mig_runnable_body(texts->body),
										is_marked_down(each))) ||
		mig_loaded_bodies_own_transaction(&each->loaded, each->window.steps,
										  each->current - each->loaded.first) != NULL;
}

/* run one migration and record it; returns its error, or NULL */
static ErrorData *
run_migration(EachRun *each)
{
	ErrorData  *edata;

	mig_lock_wait_begin();
	mig_execute_reset(&each->execution);
	each->started_at = GetCurrentTimestamp();
	each->wal_start = GetXLogInsertRecPtr();
	each->execution.progress.run = each->result->run;
	each->execution.progress.action = mig_loaded_bodies_action(each->part);
	each->execution.progress.position = each->result->migrations + 1;
	each->execution.progress.total = each->result->migrations + steps_left(each);
	mig_execute_migration_begin();
	if (takes_steps(each))
		edata = run_in_steps(each);
	else
		edata = mig_transaction_run(run_in_transaction, each);
	if (edata != NULL)
	{
		mig_journal_batch_discard(each->batch);
		mig_execute_explain_timeout(edata,
									current_entry(each)->version);
		add_context(each, edata);
	}
	mig_lock_wait_end();
	mig_execute_migration_end();
	return edata;
}


/*
 * Failure
 */

typedef struct Failing
{
	EachRun    *each;
	MigJournalRow *row;
	const char *text;
} Failing;

static void
restore_session_state(void *arg)
{
	mig_session_state_remove(((EachRun *) arg)->session_state);
}

/* have the session as it was before the run */
static void
restore_session(void *arg)
{
	EachRun    *each = (EachRun *) arg;

	if (!each->pinned)
		return;
	mig_session_settings_restore(each->settings);
	mig_session_state_remove(each->session_state);
}

/* what a roll-back does not take away would fail the next attempt */
static void
restore_session_in_transaction(EachRun *each, void (*function) (void *arg))
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
	EachRun    *each = failing->each;

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

static void
look_for_extension(void *arg)
{
	EachRun    *each = (EachRun *) arg;

	each->extension_is_gone = mig_tables_extension() != each->extension;
}

/*
 * An error gives up the lock that keeps DROP EXTENSION away, which may have
 * been waiting for that.  Then nothing can be journalled.
 */
static void
raise_if_extension_is_gone(EachRun *each, const ErrorData *edata)
{
	mig_tables_trust_end();
	(void) mig_transaction_insist(look_for_extension, each);
	if (!each->extension_is_gone)
		return;
	restore_session_in_transaction(each, restore_session);
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
static void
journal_and_raise(EachRun *each, ErrorData *edata)
{
	MigHintFacts hints;
	MigFailure	failure;
	MigJournalRow row;
	Failing		failing = {each, &row, NULL};
	ErrorData  *second;

	mig_progress_restore();
	raise_if_extension_is_gone(each, edata);
	memset(&failure, 0, sizeof(failure));
	restore_session_in_transaction(each, restore_session);
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
	fill_row(each, &row);
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


/*
 * Trying again
 */

/* whom the attempt waited for, and where it has left the migration */
static void
find_blockers_of_failure(void *arg)
{
	EachRun    *each = (EachRun *) arg;
	MigPart		part;

	look_for_extension(each);
	mig_run_lock_renew_mark();	/* the error has taken it */
	each->blockers = mig_lock_wait_blockers(&each->schedule.autovacuum);
	each->half_way = mig_step_exists(each->options->project,
									 current_entry(each)->version, &part);
	if (each->half_way)
		mig_run_lock_half_way();
}

static void
pause_between_attempts(void *arg)
{
	mig_pause(*(int *) arg);
}

static void
wait_for_lock(void *arg)
{
	mig_run_lock_wait_session();
}

static void
run_or_fail(EachRun *each, void (*function) (void *arg))
{
	ErrorData  *edata = mig_transaction_run(function, each);

	if (edata != NULL)
		journal_and_raise(each, edata);
}

/* what the step that was run last consists of */
static const MigStepTexts *
last_texts(const EachRun *each)
{
	return &each->loaded.bodies[each->next - each->loaded.first];
}

/*
 * After the migration is committed: have the session as it was, so that the
 * next one does not see what this one has left.
 */
static void
end_migration(void *arg)
{
	EachRun    *each = (EachRun *) arg;
	const MigStepTexts *texts = last_texts(each);

	if (texts->verify != NULL)
		(void) mig_session_state_end_migration(each->session_state,
											   mig_runnable_body(texts->verify));
	(void) mig_session_state_end_migration(each->session_state,
										   mig_runnable_body(texts->body));
}

static bool
may_have_left_something(const EachRun *each)
{
	const MigStepTexts *texts = last_texts(each);
	const MigBody *body = mig_runnable_body(texts->body);

	return texts->verify != NULL ||
		mig_session_state_may_differ(body, 0, body->nstatements);
}

/* what it raises is about the run, and no migration */
static void
plan_again(EachRun *each)
{
	each->current = -1;
	each->blockers = NULL;
	run_or_fail(each, make_plan);
}

static void
regain_lock(void *arg)
{
	mig_run_lock_regain_session();
}

/*
 * Tell the client, and wait without a snapshot and without any lock, so that
 * others can go on.  What they have done meanwhile is what the new plan is made
 * of.  But in the middle of a migration the runner lock is kept, for it comes
 * before anything that others could do.
 */
static void
pause_and_plan_again(EachRun *each, const ErrorData *failure)
{
	int			ms = mig_lock_schedule_pause_ms(&each->schedule);
	ErrorData  *edata;

	if (mig_lock_schedule_tells(&each->schedule))
		mig_progress_notice_retry(current_entry(each)->version,
								  &each->schedule, ms, each->blockers);
	if (!each->half_way)
		mig_run_lock_yield_session();
	edata = mig_transaction_run(pause_between_attempts, &ms);
	if (edata != NULL)
	{
		mig_error_add_detail(edata,
							 psprintf(_("The migration was to be tried again after this error: %s"),
									  failure->message));
		journal_and_raise(each, edata);
	}
	run_or_fail(each, each->half_way ? regain_lock : wait_for_lock);
	if (each->half_way)
		each->current = -1;
	else
		plan_again(each);
}

/* the attempts at a migration go on when it comes again in a new plan */
static void
begin_attempt(EachRun *each)
{
	const char *version = current_entry(each)->version;

	each->blockers = NULL;
	mig_lock_wait_reset();
	if (each->tried != NULL && strcmp(each->tried, version) == 0)
		return;
	if (each->tried != NULL)
		pfree(each->tried);
	each->tried = MemoryContextStrdup(each->context, version);
	mig_lock_schedule_begin(&each->schedule, -1);
	each->execution.schedule = &each->schedule;
}

static bool
may_try_again(EachRun *each, const ErrorData *edata)
{
	if (!mig_lock_wait_is_lock_failure(edata))
		return false;
	(void) mig_transaction_run(find_blockers_of_failure, each);
	if (each->extension_is_gone || each->in_vain ||
		!mig_lock_schedule_next(&each->schedule))
		return false;
	if (!takes_steps(each))
		restore_session_in_transaction(each, restore_session_state);
	return true;
}


/*
 * The run
 */

static void
report_step(EachRun *each)
{
	const MigEntry *entry = current_entry(each);
	int			before = each->result->migrations++;

	each->result->statements += each->execution.ntimings;
	mig_loaded_bodies_warn_empty(&each->loaded, each->window.steps,
								 each->current - each->loaded.first);
	mig_progress_notice(each->part == MIG_UP ? "applied" : "rolled back",
						before + 1, before + steps_left(each), entry->version,
						entry->name, each->execution_ms, true);
	if (each->part == MIG_UP || !mig_plan_can_leave_gap(entry))
		return;
	MemoryContextSwitchTo(each->context);
	each->gaps = lappend(each->gaps, pstrdup(entry->version));
	MemoryContextSwitchTo(each->migration);
}

/* a background run has its row in any case */
static void
finish_background_row(void *arg)
{
	EachRun    *each = (EachRun *) arg;

	if (each->has_row)
		mig_run_end(each->result->run, MIG_RUN_SUCCESS, 0);
}

static void
finish_run(void *arg)
{
	EachRun    *each = (EachRun *) arg;
	MemoryContext context = AllocSetContextCreate(each->context,
												  "migrate state",
												  ALLOCSET_DEFAULT_SIZES);
	MigProject *project;
	const MigEntry *highest;

	MemoryContextSwitchTo(context);
	project = mig_project_read(each->options->project, NIL, false, false);
	mig_project_write_state(project);
	highest = mig_plan_highest(project);
	if (each->gaps_matter)
		mig_plan_run_notice_gaps(highest ? highest->version : NULL,
								 each->gaps);
	MemoryContextSwitchTo(each->context);
	MemoryContextDelete(context);
	mig_run_end(each->result->run, MIG_RUN_SUCCESS,
				each->result->migrations);
	restore_session(each);
}

/* a step, or a look at what else there is to do */
static void
run_next(EachRun *each)
{
	ErrorData  *edata;

	if (each->next >= each->loaded.first + each->loaded.count)
		run_or_fail(each, load_bodies_of_window);
	if (!each->stale)
	{
		each->current = each->next;
		begin_attempt(each);
		edata = run_migration(each);
		if (edata != NULL)
		{
			if (!may_try_again(each, edata))
				journal_and_raise(each, edata);
			pause_and_plan_again(each, edata);
			return;
		}
	}
	if (each->stale)
	{
		plan_again(each);
		return;
	}
	report_step(each);
	each->current = -1;
	if (may_have_left_something(each))
		run_or_fail(each, end_migration);
	each->next++;
}

static void
run_all(EachRun *each)
{
	while (each->window.first + each->next < each->window.nsteps)
	{
		MemoryContextSwitchTo(each->migration);
		run_next(each);
		MemoryContextReset(each->migration);
	}
	run_or_fail(each, finish_run);
	each->pinned = false;
}

static EachRun *
begin_call(const MigRunOptions *options, const MigDownChoice *choice,
		   int64 background, MigApplyEachResult *result)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "migrate run",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	EachRun    *each = palloc0(sizeof(EachRun));

	memset(result, 0, sizeof(MigApplyEachResult));
	result->run = background;
	each->options = options;
	each->choice = choice;
	each->result = result;
	each->part = choice ? MIG_DOWN : MIG_UP;
	each->background = each->has_row = (background != 0);
	each->role = mig_user_name(GetUserId());
	each->context = context;
	each->planned = AllocSetContextCreate(context, "migrate agenda",
										  ALLOCSET_DEFAULT_SIZES);
	each->migration = AllocSetContextCreate(context, "migrate one migration",
											ALLOCSET_DEFAULT_SIZES);
	each->current = -1;
	each->extension = mig_tables_extension();
	each->run_started_at = GetCurrentTimestamp();
	mig_loaded_bodies_init(&each->loaded, context);
	mig_execute_init(&each->execution, context);
	MemoryContextSwitchTo(old);
	return each;
}

/* with the lock held */
static void
run_plan(EachRun *each)
{
	MemoryContextSwitchTo(each->context);
	run_or_fail(each, make_plan);
	if (each->begun)
		run_all(each);
	else
		run_or_fail(each, finish_background_row);

	/* not before what it protects is committed */
	mig_run_lock_release_session();
	each->result->execution_ms = mig_journal_elapsed_ms(each->run_started_at);
	mig_progress_unmark();
	mig_progress_restore();
}

/* everything that an error before the first migration may come from */
static void
begin_apply(void *arg)
{
	EachRun    *each = (EachRun *) arg;

	mig_run_lock_refuse_recursion();
	mig_run_lock_mark_run(each->result->run);
	if (mig_plan_run_known_complete(each->options))
		return;
	each->pending = true;
	if (mig_preflight_can_write() && mig_run_lock_try_session())
	{
		each->locked = true;
		return;
	}
	if (mig_plan_run_nothing_pending(each->options))
		each->pending = false;
	else
		mig_preflight_transaction("apply migrations");
}

static void
begin_undo(void *arg)
{
	EachRun    *each = (EachRun *) arg;

	mig_run_lock_refuse_recursion();
	mig_run_lock_mark_run(0);
	mig_plan_run_undo_guards(each->options);
	each->pending = true;
	each->locked = mig_run_lock_try_session();
}

/*
 * The C library keeps what was freed for this process, up to megabytes.  The
 * session may be one of a pool, which lives on for days.
 */
static void
give_memory_back(void)
{
#ifdef __GLIBC__
	(void) malloc_trim(0);
#endif
}

/*
 * Run all that is pending under the runner lock of the session, which is
 * released in any case.
 */
static void
run_under_lock(EachRun *each, void (*begin_function) (void *arg))
{
	MemoryContext old = CurrentMemoryContext;
	int			nentries;

	MemoryContextSwitchTo(each->context);
	mig_tables_trust_begin();

	/* it is for each statement, and not for how long others take */
	disable_timeout(STATEMENT_TIMEOUT, false);
	PG_TRY();
	{
		run_or_fail(each, begin_function);
		if (each->pending)
		{
			if (!each->locked)
				run_or_fail(each, wait_for_lock);
			run_plan(each);
		}
		else
			run_or_fail(each, finish_background_row);
	}
	PG_FINALLY();
	{
		mig_run_lock_release_session();
	}
	PG_END_TRY();
	mig_tables_trust_end();
	MemoryContextSwitchTo(old);
	nentries = each->nentries;
	MemoryContextDelete(each->context);
	if (nentries >= LARGE_PROJECT)
		give_memory_back();
}

void
mig_apply_each_up(const MigRunOptions *options, int64 background,
				  MigApplyEachResult *result)
{
	run_under_lock(begin_call(options, NULL, background, result), begin_apply);
}

void
mig_apply_each_down(const MigRunOptions *options, const MigDownChoice *choice,
					MigApplyEachResult *result)
{
	run_under_lock(begin_call(options, choice, 0, result), begin_undo);
}
