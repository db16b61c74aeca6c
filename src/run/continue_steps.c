/*-------------------------------------------------------------------------
 *
 * continue_steps.c
 *	  Where a body that was begun before goes on.
 *
 * Finished steps are those whose rows of migrate.step say so; their text must be what
 * it was, as that of an applied migration.  The statement after them was perhaps
 * started and cut off, and not all statements can be repeated. *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "base/superuser.h"
#include "ledger/policy.h"
#include "run/continue_steps.h"

static void
refuse_changed_text(const MigStepsRun *run, const MigStepRow *step)
{
	const MigStepKey *key = &run->stepwise->key;

	ereport(ERROR,
			(errcode(MIG_ERRCODE_PARTIAL),
			 errmsg("migration \"%s\" is partly applied, and the part that was run has been changed",
					key->version),
			 errdetail("Statements %d to %d of the %s body were run with another text.",
					   step->statement, step->last_statement,
					   mig_body_part_name(key->part)),
			 errhint("Put that part of the text back, or say where to go on with SELECT migrate.resume(%s, at => N), or done => N for the last statement that is done.",
					 quote_literal_cstr(key->version))));
}

MigBodyHash
mig_continue_steps_hash(const MigStepsRun *run, int last)
{
	return mig_tokens_hash(mig_steps_run_body(run->stepwise),
						   run->next > 0 ? &run->hash : NULL,
						   run->next + 1, last);
}

/* a finished step must be what it was, as the text of an applied migration */
static void
check_text(MigStepsRun *run, const MigStepRow *step)
{
	MigBodyHash hash;

	if (step->statement != run->next + 1 ||
		step->last_statement < step->statement ||
		step->last_statement > mig_steps_run_body(run->stepwise)->nstatements)
		refuse_changed_text(run, step);
	hash = mig_continue_steps_hash(run, step->last_statement);
	if (strcmp(hash.text, step->hash.text) == 0)
		return;
	if (strcmp(hash.tokens, step->hash.tokens) != 0 ||
		mig_policy_read(run->stepwise->key.project)->refuse_edits)
		refuse_changed_text(run, step);
	run->commented = true;
}

/*
 * Timings of what ran before, so that the journal has them all.  For what
 * was declared to be done by resume() no time is known.
 */
static void
take_over_timings(const MigStepsRun *run, const MigStepRow *step)
{
	MigNontransactional *stepwise = run->stepwise;
	int			i;

	for (i = step->statement; i <= step->last_statement; i++)
	{
		int			n = i - step->statement;
		MigTiming	timing;

		memset(&timing, 0, sizeof(timing));
		timing.part = stepwise->key.part;
		if (n < step->ntimings)
			timing = step->timings[n];
		else
			timing.tag = mig_steps_run_statement(run, i - 1)->tag;

		/* new comments may have moved it */
		timing.line = mig_steps_run_statement(run, i - 1)->line;
		mig_execute_add_timing(stepwise->execution, &timing);
	}
}

/* set where to go on from what earlier attempts have recorded */
void
mig_continue_steps_find(void *arg)
{
	MigStepsRun *run = (MigStepsRun *) arg;
	MigNontransactional *stepwise = run->stepwise;
	Oid			role;
	Oid			powerful;
	ListCell   *lc;

	run->role = GetUserNameFromId(GetUserId(), false);
	run->trusted = mig_superuser_within_reach(&role, &powerful);

	foreach(lc, mig_step_read(&stepwise->key))
	{
		MigStepRow *step = (MigStepRow *) lfirst(lc);

		if (!step->finished)
		{
			run->interrupted = step;
			continue;
		}
		check_text(run, step);
		run->next = step->last_statement;
		run->hash = step->hash;
		run->session = step->session;
		run->last_step = step->statement;
		run->steps = lappend(run->steps, step);
		take_over_timings(run, step);
	}

	if (run->commented)
		ereport(NOTICE,
				(errmsg("the part of migration \"%s\" that has run has new comments or blanks, and is taken",
						stepwise->key.version)));

	/* what was started may be another statement now */
	if (run->interrupted != NULL &&
		(run->interrupted->statement != run->next + 1 ||
		 run->next >= mig_steps_run_body(stepwise)->nstatements))
		run->interrupted = NULL;
}

static void
refuse_unknown_place(const MigStepsRun *run, const char *why)
{
	const MigStepKey *key = &run->stepwise->key;
	int			n = run->next + 1;

	ereport(ERROR,
			(errcode(MIG_ERRCODE_PARTIAL),
			 errmsg("migration \"%s\" was cut off in statement %d, which cannot simply be repeated",
					key->version, n),
			 errdetail("%s", why),
			 errhint("Look at what is there, then say SELECT migrate.resume(%s, at => %d) to run the statement again, or done => %d to go on after it.",
					 quote_literal_cstr(key->version), n, n)));
}

/* may a statement that was started before be repeated? */
void
mig_continue_steps_check_interrupted(const MigStepsRun *run)
{
	const MigStepRow *step = run->interrupted;

	if (mig_steps_run_statement(run, run->next)->resume == MIG_RESUME_PROCEDURE &&
		step->commits > 0)
		refuse_unknown_place(run,
							 step->commits == 1 ?
							 "It had committed once by then." :
							 psprintf("It had committed %d times by then.",
									  step->commits));
	if (run->own &&
		mig_steps_run_statement(run, run->next)->resume == MIG_RESUME_PREPARED &&
		!mig_invalid_index_is_prepared(run->sql))
		refuse_unknown_place(run,
							 "The prepared transaction is not there any more.");
}
