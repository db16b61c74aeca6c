/*-------------------------------------------------------------------------
 *
 * steps_session.c
 *	  What finished steps have left in the session.
 *
 * Settings that a body changes have to last over its transactions, so they are those
 * of the session, and put back at the end.  Each finished step has those that differ
 * by then in its row, found by comparing, and another attempt sets them first.  What
 * else it has left in the session is there by its name: a retry keeps that, but a
 * later call, which has lost it, does not go on.
 *
 * What a step has left is known for certain when its transaction has ended.  So what
 * it is taken to have left is written in there, and put right in the transaction that
 * starts the next one. *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "base/session_settings.h"
#include "base/subxact.h"
#include "run/steps_session.h"

static bool
has_string(char **strings, int count, const char *string)
{
	int			i;

	for (i = 0; i < count; i++)
	{
		if (strcmp(strings[i], string) == 0)
			return true;
	}
	return false;
}

char *
mig_steps_session_join(char **strings, int count)
{
	StringInfoData list;
	int			i;

	initStringInfo(&list);
	for (i = 0; i < count; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", strings[i]);
	return list.data;
}

/* the step that was the first to leave one of these */
static const MigStepRow *
step_that_left(const MigStepsRun *run, char **strings, int count)
{
	ListCell   *lc;
	int			i;

	foreach(lc, run->steps)
	{
		const MigStepRow *step = (const MigStepRow *) lfirst(lc);

		for (i = 0; i < count; i++)
		{
			if (has_string(step->session.session_state, step->session.nsession_state,
						   strings[i]))
				return step;
		}
	}
	return (const MigStepRow *) llast(run->steps);
}

/* names in a body would find something else, and locks protect nothing */
static void
refuse_lost_residue(const MigStepsRun *run, char **lost, int nlost)
{
	const MigStepKey *key = &run->stepwise->key;
	const char *version = quote_literal_cstr(key->version);
	int			first = step_that_left(run, lost, nlost)->statement;

	ereport(ERROR,
			(errcode(MIG_ERRCODE_PARTIAL),
			 errmsg("migration \"%s\" cannot go on in this session, which does not have what its finished statements have left",
					key->version),
			 errdetail_plural("Statement %d had left: %s.",
							  "Statements 1 to %d had left: %s.",
							  run->next, run->next,
							  mig_steps_session_join(lost, nlost)),
			 errhint("If the statements from %d on can be repeated, SELECT migrate.resume(%s, at => %d).  If those from %d on do not need it, at => %d.  Or do the rest by hand, and say so with migrate.%s().",
					 first, version, first, run->next + 1,
					 run->next + 1,
					 key->part == MIG_UP ? "stamp" : "unstamp")));
}

/* raise if any of it has gone with the session that it was in */
static void
check_residue(const MigStepsRun *run)
{
	const MigStepSession *session = &run->session;
	MigSessionState *session_state;
	char	  **left;
	char	  **lost;
	int			nleft;
	int			nlost = 0;
	int			i;

	if (session->nsession_state == 0)
		return;
	session_state = mig_session_state_note_step();
	left = mig_session_state_left(run->stepwise->execution->session_state,
								  session_state,
								  &nleft);
	lost = palloc(sizeof(char *) * session->nsession_state);
	for (i = 0; i < session->nsession_state; i++)
	{
		if (!has_string(left, nleft, session->session_state[i]))
			lost[nlost++] = session->session_state[i];
	}
	mig_session_state_free(session_state);
	if (nlost > 0)
		refuse_lost_residue(run, lost, nlost);
}

/* detail says which ones, and why */
static void
refuse_settings(const MigStepsRun *run, const char *detail)
{
	const MigStepKey *key = &run->stepwise->key;

	ereport(ERROR,
			(errcode(MIG_ERRCODE_PARTIAL),
			 errmsg("migration \"%s\" cannot go on with the settings that its finished statements have left",
					key->version),
			 errdetail("%s", detail),
			 errhint("If the statements from %d on do not need them, SELECT migrate.resume(%s, at => %d).",
					 run->next + 1, quote_literal_cstr(key->version),
					 run->next + 1)));
}

/* the search_path that the body began with, unless the policy has one */
static const char *
path_to_go_on_with(const MigStepsRun *run)
{
	const MigNontransactional *stepwise = run->stepwise;

	if (stepwise->path_is_policys || run->session.search_path == NULL)
		return stepwise->search_path;
	return run->session.search_path;
}

typedef struct Change
{
	const char *change;
} Change;

static void
repeat_change(void *arg)
{
	(void) mig_session_settings_repeat(((Change *) arg)->change);
}

/*
 * The rest of the body expects what the finished part has set.  It is set with
 * the rights of this session.
 */
void
mig_steps_session_continue(void *arg)
{
	MigStepsRun *run = (MigStepsRun *) arg;
	MigNontransactional *stepwise = run->stepwise;
	const MigStepSession *session = &run->session;
	const char *path = path_to_go_on_with(run);
	int			i;

	if (run->next < mig_steps_run_body(stepwise)->nstatements ||
		stepwise->verify != NULL)
		check_residue(run);
	if ((session->nsettings > 0 || strcmp(path, stepwise->search_path) != 0) &&
		!mig_step_may_take_over(session))
		refuse_settings(run,
						psprintf("Role \"%s\" has run them, with: search_path=%s%s%s.",
								 session->role, path,
								 session->nsettings > 0 ? ", " : "",
								 mig_steps_session_join(session->settings, session->nsettings)));
	mig_execute_set_session(stepwise->execution, path,
							stepwise->path_is_policys);
	for (i = 0; i < session->nsettings; i++)
	{
		Change		change = {session->settings[i]};
		ErrorData  *edata = mig_subxact_run(repeat_change, &change, true);

		if (edata != NULL)
			refuse_settings(run, psprintf("%s cannot be set: %s.",
										  session->settings[i],
										  edata->message));
	}
}

/* what differs by now; session_state is what the session has, NULL: as it was */
static MigStepSession
session_by_now(const MigStepsRun *run, const MigSessionState *session_state)
{
	const MigExecution *execution = run->stepwise->execution;
	MigStepSession session = run->session;

	session.role = run->role;
	session.trusted = run->trusted;
	session.search_path = unconstify(char *, execution->search_path);
	session.settings = mig_session_settings_changes(run->settings,
													run->session.settings,
													run->session.nsettings,
													&session.nsettings);
	if (session_state != NULL)
		session.session_state =
			mig_session_state_left(execution->session_state, session_state,
								   &session.nsession_state);
	return session;
}

/* in the same order, too */
static bool
same_strings(char **a, int na, char **b, int nb)
{
	int			i;

	if (na != nb)
		return false;
	for (i = 0; i < na; i++)
	{
		if (strcmp(a[i], b[i]) != 0)
			return false;
	}
	return true;
}

/* the last step has ended: what it has left is as it is seen now */
void
mig_steps_session_correct(MigStepsRun *run)
{
	MigStepSession now = session_by_now(run, run->session_state);
	const MigStepSession *noted = &run->session;

	if (same_strings(now.settings, now.nsettings, noted->settings,
					 noted->nsettings) &&
		same_strings(now.session_state, now.nsession_state, noted->session_state,
					 noted->nsession_state))
		return;
	mig_step_set_session(&run->stepwise->key, run->last_step,
						 &now);
	run->session = now;
}

/* what the step at hand is taken to leave, before its transaction has ended */
MigStepSession *
mig_steps_session_of_step(MigStepsRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);
	MigSessionState *session_state = NULL;
	MigStepSession *session = palloc(sizeof(MigStepSession));

	if (mig_session_state_may_differ(mig_steps_run_body(run->stepwise),
									 run->next,
									 run->end))
		session_state = mig_session_state_note_step();
	*session = session_by_now(run, session_state);
	if (session_state != NULL)
		mig_session_state_free(session_state);
	MemoryContextSwitchTo(old);
	return session;
}
