/*-------------------------------------------------------------------------
 *
 * nontransactional.c
 *	  Running one body in several transactions.
 *
 * A step is a group of ordinary statements that share a transaction, and ends
 * before a BEGIN or COMMIT and with one that says how transactions are to begin,
 * a block between BEGIN and COMMIT, or one statement that cannot run in a
 * transaction block.  Before a step a row that
 * says that it was started is committed; that it is finished is written in the
 * step's own last transaction, which statements like CREATE INDEX CONCURRENTLY
 * leave open, so that the two are committed or lost together.  The last step
 * records the migration in the same way.
 *
 * What can be found afterwards is therefore a step that is finished, or one
 * that was started and whose last transaction did not commit.  Most statements
 * can then be repeated, after what they left has been dropped; see MigResume.
 * A procedure may have committed some of its work: each commit that it does
 * while it is running is counted in that same transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "parser/parser.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/session_settings.h"
#include "base/subxact.h"
#include "exec/invalid_index.h"
#include "exec/lock_wait.h"
#include "exec/toplevel.h"
#include "ledger/run.h"
#include "plan/run_lock.h"
#include "run/continue_steps.h"
#include "run/nontransactional.h"
#include "run/resume_concurrent_build.h"
#include "run/steps_run.h"
#include "run/steps_session.h"


/* the step whose commits are counted, if it is one that does any */
static const MigStepKey *counted_key = NULL;
static int	counted_statement;

/* is it REINDEX or CLUSTER of something that is partitioned, by now? */
static bool
is_of_partitioned(const MigBody *body, const MigStatement *statement)
{
	List	   *trees = raw_parser(pnstrdup(body->text + statement->location,
											statement->length),
								   RAW_PARSE_DEFAULT);
	Node	   *stmt = linitial_node(RawStmt, trees)->stmt;
	RangeVar   *name = IsA(stmt, ReindexStmt) ?
		((ReindexStmt *) stmt)->relation : castNode(ClusterStmt, stmt)->relation;
	Oid			schema;
	Oid			relation;
	char		kind;

	if (name->schemaname == NULL)
		relation = RelnameGetRelid(name->relname);
	else
	{
		schema = get_namespace_oid(name->schemaname, true);
		relation = OidIsValid(schema) ?
			get_relname_relid(name->relname, schema) : InvalidOid;
	}
	kind = OidIsValid(relation) ? get_rel_relkind(relation) : '\0';
	return kind == RELKIND_PARTITIONED_TABLE ||
		kind == RELKIND_PARTITIONED_INDEX;
}

/*
 * Must, or may, a statement run alone of which the text does not tell?  Those
 * that may commit only where the migration is marked for it.
 */
static bool
runs_alone(const MigBody *body, int i, bool marked)
{
	const MigStatement *statement = &body->statements[i];

	if (statement->resume == MIG_RESUME_PROCEDURE)
		return marked;
	if (statement->own_transaction != NULL || statement->block != 0 ||
		(strcmp(statement->tag, "REINDEX") != 0 &&
		 strcmp(statement->tag, "CLUSTER") != 0))
		return false;
	return marked || is_of_partitioned(body, statement);
}

bool
mig_nontransactional_is_needed(const MigBody *body, bool marked)
{
	int			i;

	for (i = 0; i < body->nstatements; i++)
	{
		if (runs_alone(body, i, marked))
			return true;
	}
	return false;
}

static bool
step_runs_alone(const MigStepsRun *run, int i)
{
	const MigStatement *statement = mig_steps_run_statement(run, i);

	return statement->block == 0 &&
		(run->stepwise->statement_by_statement ||
		 statement->own_transaction != NULL ||
		 runs_alone(mig_steps_run_body(run->stepwise), i,
					run->stepwise->marked));
}

/*
 * Is the migration recorded in the transaction of the step at hand?  Not in
 * that of a block, whose snapshot may be an old one.
 */
static bool
is_last_step(const MigStepsRun *run)
{
	return run->block == NULL && run->end == mig_steps_run_body(run->stepwise)->nstatements &&
		run->stepwise->verify == NULL;
}

/* count the commits that a procedure does on its own */
static void
count_commit(XactEvent event, void *arg)
{
	const MigStepKey *key = counted_key;

	if (event != XACT_EVENT_PRE_COMMIT || key == NULL)
		return;

	/* or else SPI would give one to the portal, which has just lost its own */
	PushActiveSnapshot(GetTransactionSnapshot());
	mig_step_count_commit(key, counted_statement);
	PopActiveSnapshot();
}


/*
 * One step
 */

/* in the transaction that records that the step is started */
static void
start_step(void *arg)
{
	MigStepsRun *run = (MigStepsRun *) arg;
	MigNontransactional *stepwise = run->stepwise;
	const MigStatement *statement = mig_steps_run_statement(run, run->next);
	MigStepRow	step;

	if (run->session_state == NULL)
		run->session_state = mig_session_state_note_step();
	if (run->next > 0)
	{
		mig_steps_session_correct(run);
		mig_run_lock_half_way();
	}
	memset(&step, 0, sizeof(step));
	if (run->interrupted != NULL)
	{
		mig_continue_steps_check_interrupted(run);
		step.relation = run->interrupted->relation;
		step.nindexes = run->interrupted->nindexes;
		step.indexes = run->interrupted->indexes;
		step.definitions = run->interrupted->definitions;
		step.ndefinitions = run->interrupted->ndefinitions;
	}
	if (run->own && run->interrupted != NULL)
		mig_resume_concurrent_build_find(run);
	else if (run->own)
		mig_invalid_index_note(statement, run->sql, &step);
	step.statement = run->next + 1;
	step.last_statement = run->end;
	step.hash = mig_continue_steps_hash(run, run->end);
	mig_step_start(&stepwise->key, &step, stepwise->run);
}

/* in the step's last transaction */
static void
finish_step(MigStepsRun *run, double execution_ms)
{
	MigNontransactional *stepwise = run->stepwise;
	MigExecution *execution = stepwise->execution;

	mig_run_lock_recheck();
	if (is_last_step(run))
	{
		mig_step_forget(stepwise->key.project, stepwise->key.version);
		stepwise->finish(stepwise->finish_arg);
	}
	else
	{
		run->finished_session = mig_steps_session_of_step(run);
		mig_step_finish(&stepwise->key, run->next + 1, execution_ms,
						execution->timings + run->first_timing,
						execution->ntimings - run->first_timing,
						run->finished_session);
	}
}

static double
timings_since(const MigExecution *execution, int first)
{
	double		sum = 0;
	int			i;

	for (i = first; i < execution->ntimings; i++)
		sum += execution->timings[i].execution_ms;
	return sum;
}

static void
run_group(MigStepsRun *run)
{
	MigNontransactional *stepwise = run->stepwise;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	mig_run_lock_bodies_begin();
	mig_execute_part(stepwise->execution, stepwise->body,
					 run->next, run->end);
	finish_step(run, timings_since(stepwise->execution,
								   run->first_timing));
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

static void
run_block(MigStepsRun *run)
{
	MigNontransactional *stepwise = run->stepwise;

	MemoryContextSwitchTo(run->context);
	mig_run_lock_bodies_begin();
	mig_execute_block(stepwise->execution, stepwise->body, run->next,
					  run->end);
	finish_step(run, timings_since(stepwise->execution,
								   run->first_timing));
	(void) EndTransactionBlock(false);
}

/*
 * Run one statement outside of a transaction block.  It can commit.
 */
static void
run_alone(MigStepsRun *run)
{
	MigNontransactional *stepwise = run->stepwise;
	const MigStatement *statement = mig_steps_run_statement(run, run->next);

	MemoryContextSwitchTo(run->context);
	if (statement->own_transaction != NULL)
		mig_run_lock_statement_begin();
	mig_run_lock_bodies_begin_committing();
	if (statement->resume == MIG_RESUME_PROCEDURE)
	{
		counted_statement = run->next + 1;
		counted_key = &stepwise->key;
	}
	mig_execute_toplevel(stepwise->execution, stepwise->body,
						 run->next, run->replacement);
	counted_key = NULL;
	mig_run_lock_bodies_end_committing();
	CommandCounterIncrement();
	if (statement->resume == MIG_RESUME_CREATE_INDEX)
	{
		/* an error of this belongs to the statement */
		stepwise->execution->statement = run->next;
		mig_invalid_index_check(run->sql);
		stepwise->execution->statement = -1;
	}
	finish_step(run, timings_since(stepwise->execution,
								   run->first_timing));
}

/* how the step at hand is run */
static void
run_one_step(void *arg)
{
	MigStepsRun *run = (MigStepsRun *) arg;

	if (run->done != NULL)
	{
		mig_resume_concurrent_build_skip(run);
		finish_step(run, 0);
	}
	else if (run->block != NULL)
		run_block(run);
	else if (run->own)
		run_alone(run);
	else
		run_group(run);
}

static void
restore_session_state(void *arg)
{
	mig_session_state_remove(((MigStepsRun *) arg)->session_state);
}

static void
forget_start(void *arg)
{
	MigStepsRun *run = (MigStepsRun *) arg;

	if (!mig_run_lock_held_session())
		return;
	if (!mig_resume_concurrent_build_has_left(run))
		mig_step_forget_start(&run->stepwise->key,
							  run->next + 1);
	else if (mig_steps_run_statement(run, run->next)->resume == MIG_RESUME_PROCEDURE)
		run->stepwise->committed_some = true;
	else
		run->stepwise->left_build = true;
}


static void
choose_step(MigStepsRun *run)
{
	const MigBody *body = mig_steps_run_body(run->stepwise);
	const MigStatement *statement = mig_steps_run_statement(run, run->next);

	run->own = step_runs_alone(run, run->next);
	run->block = statement->block == 0 ? NULL :
		(const MigBlock *) list_nth(body->blocks, statement->block - 1);
	run->end = run->next + 1;
	if (run->block != NULL)
		run->end = run->block->end;
	while (!run->own && run->end < body->nstatements &&
		   !mig_steps_run_statement(run, run->end - 1)->sets_transactions &&
		   !mig_steps_run_statement(run, run->end)->starts_transaction &&
		   mig_steps_run_statement(run, run->end)->block == statement->block &&
		   !step_runs_alone(run, run->end))
		run->end++;
	run->sql = pnstrdup(body->text + statement->location,
						statement->length);
	run->replacement = NULL;
	run->invalid_indexes = NIL;
	run->done = NULL;
	run->finished_session = NULL;
	run->first_timing = run->stepwise->execution->ntimings;
}

/* what a finished step has left is there for those after it */
static void
keep_session_state(MigStepsRun *run)
{
	if (!mig_session_state_may_differ(mig_runnable_body(run->stepwise->body),
									  run->next, run->end))
		return;
	mig_session_state_free(run->session_state);
	run->session_state = NULL;
}

/*
 * Run the next statements that share a transaction, or one that has its own.
 * Returns the error, or NULL.
 */
static ErrorData *
run_next_step(MigStepsRun *run)
{
	ErrorData  *edata;
	ListCell   *lc;

	choose_step(run);
	edata = mig_transaction_run(start_step, run);
	foreach(lc, run->invalid_indexes)
	{
		run->invalid = (MigInvalidIndex *) lfirst(lc);
		if (edata == NULL)
			edata = mig_transaction_run(mig_resume_concurrent_build_drop, run);
	}
	mig_run_lock_bodies_end();
	if (edata != NULL)
		return edata;
	edata = mig_transaction_run(run_one_step, run);
	counted_key = NULL;
	mig_run_lock_bodies_end();
	run->interrupted = NULL;
	if (edata != NULL)
	{
		mig_lock_wait_end();

		/* an error, as opposed to a crash, leaves nothing in most cases */
		(void) mig_transaction_run(forget_start, run);
		(void) mig_transaction_run(restore_session_state, run);
		return edata;
	}
	keep_session_state(run);
	if (run->finished_session != NULL)
		run->session = *run->finished_session;
	run->last_step = run->next + 1;
	run->hash = mig_continue_steps_hash(run, run->end);
	run->next = run->end;
	return NULL;
}


/*
 * The body
 */

/*
 * For the next call, if the verify body fails in this one.  In a transaction of
 * its own, which is not rolled back with that.
 */
static void
correct_last_step(void *arg)
{
	MigStepsRun *run = (MigStepsRun *) arg;

	if (run->session_state == NULL)
		run->session_state = mig_session_state_note_step();
	mig_steps_session_correct(run);
}

/* when all steps are finished: what is left to do */
static void
finish_body(void *arg)
{
	MigStepsRun *run = (MigStepsRun *) arg;
	MigNontransactional *stepwise = run->stepwise;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (stepwise->verify != NULL)
	{
		mig_run_lock_bodies_begin();
		mig_execute_body(stepwise->execution, stepwise->verify);
	}
	mig_run_lock_recheck();
	mig_step_forget(stepwise->key.project, stepwise->key.version);
	stepwise->finish(stepwise->finish_arg);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

static void
restore_settings(void *arg)
{
	mig_session_settings_restore(((MigStepsRun *) arg)->settings);
}

static ErrorData *
run_remaining_steps(MigStepsRun *run)
{
	MigNontransactional *stepwise = run->stepwise;
	ErrorData  *edata = mig_transaction_run(mig_continue_steps_find, run);
	bool		finished = false;

	if (edata == NULL && run->next > 0)
		edata = mig_transaction_run(mig_steps_session_continue, run);
	while (edata == NULL && run->next < mig_steps_run_body(stepwise)->nstatements)
	{
		edata = run_next_step(run);
		finished = is_last_step(run);
	}
	if (edata == NULL && stepwise->verify != NULL && run->next > 0)
		edata = mig_transaction_run(correct_last_step, run);
	if (edata == NULL && !finished)
		edata = mig_transaction_run(finish_body, run);
	return edata;
}

ErrorData *
mig_nontransactional_run(MigNontransactional *stepwise)
{
	static bool registered = false;
	MemoryContext old = CurrentMemoryContext;
	MigStepsRun *run;
	ErrorData  *edata;
	ErrorData  *second;
	MemoryContext context = AllocSetContextCreate(old, "migrate steps",
												  ALLOCSET_DEFAULT_SIZES);

	Assert(stepwise->finish != NULL);
	Assert(mig_run_lock_held_session());
	if (!registered)
	{
		RegisterXactCallback(count_commit, NULL);
		registered = true;
	}
	MemoryContextSwitchTo(context);
	run = palloc0(sizeof(MigStepsRun));
	run->stepwise = stepwise;
	run->context = context;
	run->settings = mig_session_settings_save();
	edata = run_remaining_steps(run);
	if (edata != NULL)
		mig_lock_wait_end();	/* an error of the verify body, say */
	stepwise->finished = run->next;
	stepwise->left = run->session.nsession_state == 0 ? NULL :
		mig_steps_session_join(run->session.session_state, run->session.nsession_state);
	stepwise->execution->search_path = stepwise->search_path;
	second = mig_transaction_run(restore_settings, run);
	mig_run_lock_statement_end();
	MemoryContextSwitchTo(old);
	if (edata == NULL)
		edata = second;

	/* the error is in there, and goes with the caller's context */
	if (edata == NULL)
		MemoryContextDelete(context);
	return edata;
}
