/*-------------------------------------------------------------------------
 *
 * resume_concurrent_build.c
 *	  How a concurrent statement that was cut off is resumed.
 *
 * Such a statement commits on its own, and may leave an invalid index, or a partition
 * that is detached half-way.  What exactly it left is found by exec/invalid_index.c;
 * here it is dropped, taken for done, or seen to be nothing. *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodes.h"

#include "exec/toplevel.h"
#include "plan/run_lock.h"
#include "run/resume_concurrent_build.h"

void
mig_resume_concurrent_build_find(MigStepsRun *run)
{
	const MigStatement *statement = mig_steps_run_statement(run, run->next);

	run->replacement = mig_invalid_index_replacement(run->sql);
	run->invalid_indexes =
		mig_invalid_index_find(statement, run->sql,
							   run->interrupted);
	run->done = mig_invalid_index_done(statement, run->sql,
									   run->interrupted,
									   run->invalid_indexes);
}

/*
 * The index that an earlier attempt has left is valid by now, because
 * the table was rewritten since: there is nothing more to do.
 */
void
mig_resume_concurrent_build_skip(MigStepsRun *run)
{
	MigNontransactional *stepwise = run->stepwise;
	const MigStatement *statement = mig_steps_run_statement(run, run->next);
	MigTiming	timing;

	memset(&timing, 0, sizeof(timing));
	timing.part = stepwise->key.part;
	timing.line = statement->line;
	timing.tag = statement->tag;
	mig_execute_add_timing(stepwise->execution, &timing);
	ereport(NOTICE,
			(errmsg("index %s, which an earlier attempt at migration \"%s\" has left, is valid by now",
					run->done, stepwise->key.version)));
}

/*
 * Drop an index that an earlier attempt has left, in a transaction of its own.
 */
void
mig_resume_concurrent_build_drop(void *arg)
{
	MigStepsRun *run = (MigStepsRun *) arg;

	if (!mig_invalid_index_may_drop(run->invalid))
	{
		ereport(WARNING,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("%sindex %s, which an earlier attempt at migration \"%s\" has left, stays",
						run->invalid->valid ? "" : "invalid ",
						run->invalid->name,
						run->stepwise->key.version),
				 errhint("Only a superuser can drop an index of a TOAST table: DROP INDEX CONCURRENTLY %s.",
						 run->invalid->name)));
		return;
	}
	mig_invalid_index_claim(run->invalid);
	if (run->invalid->name == NULL)
	{
		mig_invalid_index_release(run->invalid);
		return;
	}
	mig_run_lock_statement_begin();

	/* it may fire event triggers */
	mig_run_lock_bodies_begin_committing();
	(void) mig_toplevel_run(psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
									 run->invalid->name));
	mig_run_lock_bodies_end_committing();
	mig_invalid_index_release(run->invalid);
	ereport(NOTICE,
			(errmsg("dropped %sindex %s, which an earlier attempt at migration \"%s\" has left",
					run->invalid->valid ? "" : "invalid ",
					run->invalid->name,
					run->stepwise->key.version)));
}

/* the row that says that the step at hand is started */
static const MigStepRow *
started_row(const MigStepsRun *run)
{
	ListCell   *lc;

	foreach(lc, mig_step_read(&run->stepwise->key))
	{
		const MigStepRow *step = (const MigStepRow *) lfirst(lc);

		if (!step->finished && step->statement == run->next + 1)
			return step;
	}
	return NULL;
}

/* after an error: is there anything that the step has left behind? */
bool
mig_resume_concurrent_build_has_left(const MigStepsRun *run)
{
	const MigStatement *statement = mig_steps_run_statement(run, run->next);
	const MigStepRow *step = started_row(run);

	if (step == NULL)
		return false;
	switch (statement->resume)
	{
		case MIG_RESUME_CREATE_INDEX:
		case MIG_RESUME_REINDEX:
			return run->own &&
				mig_invalid_index_find(statement, run->sql, step) != NIL;
		case MIG_RESUME_DETACH:
			return run->own &&
				mig_invalid_index_replacement(run->sql) != NULL;
		case MIG_RESUME_PROCEDURE:
			return step->commits > 0;
		case MIG_RESUME_PREPARED:
			return false;
		case MIG_RESUME_REPEAT:
			/* the index is marked as not to be used first */
			return statement->own_transaction != NULL &&
				strcmp(statement->tag, "DROP INDEX") == 0;
	}
	return true;				/* keep compiler quiet */
}
