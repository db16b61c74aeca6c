/*-------------------------------------------------------------------------
 *
 * plan_run.c
 *	  What a run has to do, found out before it does anything.
 *
 * When there is nothing to do, no session should wait for the runner lock, and a
 * standby should raise no error.  So the plan is made once without the lock, and
 * again with it; only the second one counts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "base/errors.h"
#include "base/guc.h"
#include "base/version_order.h"
#include "ledger/applied.h"
#include "ledger/journal.h"
#include "ledger/migration.h"
#include "ledger/policy.h"
#include "ledger/project_names.h"
#include "ledger/state.h"
#include "plan/project.h"
#include "plan/plan_run.h"
#include "plan/preflight.h"
#include "plan/run_lock.h"
#include "plan/runnable.h"

/* rules look at the neighbors of what is linted */
static MigProject *
read_project_to_apply(const MigRunOptions *options, const MigPolicy *policy)
{
	List	   *versions = list_copy(options->versions);

	if (policy->lint != MIG_LINT_OFF)
		return mig_project_read_all(options->project, false, true);
	if (options->target != NULL)
		versions = lappend(versions, unconstify(char *, options->target));
	return mig_project_read(options->project, versions, false, true);
}

/* true if this version is a new one in the list */
static bool
is_news(List **told, const char *version)
{
	ListCell   *lc;

	foreach(lc, *told)
	{
		if (strcmp(lfirst(lc), version) == 0)
			return false;
	}
	*told = lappend(*told, pstrdup(version));
	return true;
}

/* what the plan passes over */
static void
notice_held(MigPlannedRun *prepared)
{
	ListCell   *lc;

	foreach(lc, prepared->plan->half_way)
	{
		const MigEntry *entry = (const MigEntry *) lfirst(lc);

		if (!is_news(&prepared->told_held, entry->version))
			continue;
		ereport(WARNING,
				(entry->partial_part == MIG_UP ?
				 errmsg("migration \"%s\" is partly applied and held: %s",
						entry->version, entry->held_reason) :
				 errmsg("migration \"%s\" is partly rolled back and held: %s",
						entry->version, entry->held_reason)));
	}
	foreach(lc, prepared->plan->held)
	{
		const MigEntry *entry = (const MigEntry *) lfirst(lc);

		if (!is_news(&prepared->told_held, entry->version))
			continue;
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

/* the schemas that a search_path names, if there are some and none exists */
static List *
schemas_gone(char *path)
{
	List	   *names;
	List	   *missing = NIL;
	ListCell   *lc;

	if (!SplitIdentifierString(path, ',', &names))
		return NIL;
	foreach(lc, names)
	{
		char	   *name = lfirst(lc);

		if (strcmp(name, "$user") == 0 || strncmp(name, "pg_", 3) == 0)
			continue;
		if (OidIsValid(get_namespace_oid(name, true)))
			return NIL;
		missing = lappend(missing, name);
	}
	return missing;
}

/* search_path of what was run and applied last; NULL if that is not known */
static char *
newest_path(const MigProject *project)
{
	const MigEntry *newest = NULL;
	int			i;

	for (i = 0; i < project->count; i++)
	{
		const MigEntry *entry = &project->entries[i];

		if (entry->applied && strcmp(entry->origin, "apply") == 0 &&
			(newest == NULL || entry->seq > newest->seq))
			newest = entry;
	}
	if (newest == NULL || newest->seq <= project->settled.seq)
		return mig_applied_newest_path(project->name);
	return mig_applied_path_of(project->name, newest->version);
}

List *
mig_plan_run_missing_schemas(const MigProject *project)
{
	char	   *path = newest_path(project);

	return path ? schemas_gone(path) : NIL;
}

static void
warn_of_schemas(List *missing)
{
	if (missing != NIL)
		ereport(WARNING,
				(errmsg("schemas that migrations were applied to are gone: %s",
						mig_error_name_list(missing)),
				 errhint(MIG_HINT_SCHEMAS_GONE)));
}

void
mig_plan_run_warn_of_schemas(const MigProject *project)
{
	warn_of_schemas(mig_plan_run_missing_schemas(project));
}

static void
notice_nothing_to_apply(int64 applied, const char *newest)
{
	if (applied == 0)
		ereport(NOTICE, (errmsg("nothing to apply: no migration is applied")));
	else
		ereport(NOTICE,
				(errmsg("nothing to apply: " INT64_FORMAT " applied, newest \"%s\"",
						applied, newest)));
}

static void
notice_nothing_pending(const MigProject *project)
{
	MigState	state;

	if (project->count == 0)
	{
		mig_project_names_tell_empty(project->name, WARNING);
		return;
	}
	mig_plan_state(project, &state);
	notice_nothing_to_apply(state.applied, state.newest);
	mig_plan_run_warn_of_schemas(project);
}

/*
 * The state has told that nothing is pending.  The path of the session will do:
 * one look-up in the books is enough here.
 */
static void
notice_known_complete(const MigState *state)
{
	notice_nothing_to_apply(state->applied, state->newest);
	warn_of_schemas(schemas_gone(pstrdup(namespace_search_path)));
}

bool
mig_plan_run_known_complete(const MigRunOptions *options)
{
	MigState	state;

	if (options->target != NULL || options->restricted)
		return false;
	if (!mig_state_read(options->project, &state) || !state.complete ||
		state.applied == 0)
		return false;
	notice_known_complete(&state);
	return true;
}

bool
mig_plan_run_has_files(const char *project, const char *files)
{
	MigState	state;

	if (!mig_state_has_files(project, files, &state) || state.applied == 0)
		return false;
	notice_known_complete(&state);
	return true;
}

MigOtherLedgers mig_plan_run_other_ledgers = NULL;

void
mig_plan_run_check_ledgers(int elevel)
{
	if (!mig_guc_ignore_ledgers && mig_plan_run_other_ledgers != NULL &&
		!mig_applied_ever())
		mig_plan_run_other_ledgers(elevel);
}

static bool
nothing_applied(const MigProject *project)
{
	int			i;

	for (i = 0; i < project->count; i++)
	{
		if (project->entries[i].applied)
			return false;
	}
	return true;
}

static void
make_plan_up(const MigRunOptions *options, MigPlannedRun *prepared)
{
	prepared->policy = mig_policy_read(options->project);
	prepared->project = read_project_to_apply(options, prepared->policy);
	prepared->plan = mig_plan_up(prepared->project, options->target,
								 options->restricted, options->versions,
								 prepared->policy, mig_applied_exists);
	prepared->ledger_was_empty = nothing_applied(prepared->project);
}

void
mig_plan_run_check_choice(const MigRunOptions *options)
{
	List	   *versions = list_copy(options->versions);
	MigProject *project;

	if (options->target == NULL && versions == NIL)
		return;
	if (options->target != NULL)
		versions = lappend(versions, unconstify(char *, options->target));
	project = mig_project_read(options->project, versions, false, false);
	(void) mig_plan_up_choose(project, options->target, options->restricted,
							  options->versions);
}

/* false if there is nothing to apply */
static bool
has_steps(MigPlannedRun *prepared)
{
	if (prepared->plan->nsteps > 0)
		return true;
	notice_held(prepared);
	notice_nothing_pending(prepared->project);
	return false;
}

bool
mig_plan_run_nothing_pending(const MigRunOptions *options)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "migrate first look",
							  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MigPlannedRun prepared = {0};
	bool		nothing;

	/* another session may be running what stands half-way: the lock tells */
	make_plan_up(options, &prepared);
	nothing = !mig_plan_has_half_way(prepared.project) &&
		!has_steps(&prepared);
	if (!nothing)
		mig_preflight_policy(options->project, prepared.policy);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return nothing;
}

bool
mig_plan_run_apply(const MigRunOptions *options, MigPlannedRun *prepared)
{
	Assert(mig_run_lock_is_mine());
	make_plan_up(options, prepared);
	mig_plan_check_half_way(prepared->project, prepared->plan, MIG_UP,
							prepared->policy);
	if (!has_steps(prepared))
		return false;
	mig_preflight_policy(options->project, prepared->policy);
	if (prepared->ledger_was_empty)
		mig_plan_run_check_ledgers(ERROR);
	mig_runnable_refuse_strangers(options->project, MIG_UP,
								  prepared->plan->steps,
								  prepared->plan->nsteps);
	notice_held(prepared);
	return true;
}

void
mig_plan_run_undo_guards(const MigRunOptions *options)
{
	MigPolicy  *policy;

	mig_preflight_transaction("roll back migrations");
	policy = mig_policy_read(options->project);
	mig_preflight_policy(options->project, policy);
	if (!options->dry_run)
		mig_preflight_destructive(options->project, policy, options->confirm);
}

/* repeatable migrations that a roll-back does not undo */
static void
notice_staying(const MigPlan *plan, bool holds)
{
	ListCell   *lc;

	foreach(lc, plan->left)
	{
		if (!list_member_ptr(plan->again, lfirst(lc)))
			ereport(NOTICE,
					(errmsg("repeatable migration \"%s\" has no down body and stays applied",
							((MigEntry *) lfirst(lc))->version)));
	}
	foreach(lc, plan->again)
		ereport(NOTICE,
				(errmsg("repeatable migration \"%s\" will be run again%s, because the rollback may drop what it has created",
						((MigEntry *) lfirst(lc))->version,
						holds ? " once it is no longer held" : "")));
}

bool
mig_plan_run_undo(const MigRunOptions *options, const MigDownChoice *choice,
				  MigPlannedRun *prepared)
{
	Assert(mig_run_lock_is_mine());
	Assert(choice != NULL);

	/* it may have changed while we waited */
	prepared->policy = mig_policy_read(options->project);
	mig_preflight_policy(options->project, prepared->policy);
	if (!options->dry_run)
		mig_preflight_destructive(options->project, prepared->policy,
								  options->confirm);
	prepared->project = mig_project_read_down(options->project, choice);
	prepared->plan = mig_plan_down(prepared->project, choice,
								   mig_migration_dependents);
	mig_plan_check_half_way(prepared->project, prepared->plan, MIG_DOWN,
							prepared->policy);
	notice_held(prepared);
	prepared->ledger_was_empty = nothing_applied(prepared->project);
	notice_staying(prepared->plan,
				   mig_plan_run_holds(options, prepared->policy));
	if (prepared->project->count == 0)
		mig_project_names_tell_empty(options->project, WARNING);
	else if (prepared->plan->nsteps == 0)
	{
		if (choice->kind == MIG_DOWN_RUN && choice->run != 0 &&
			!mig_journal_has_run(options->project, choice->run))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("run " INT64_FORMAT " does not exist", choice->run),
					 errhint("migrate.history() shows the runs of a project.")));
		ereport(NOTICE, (errmsg("nothing to roll back")));
	}
	mig_runnable_refuse_strangers(options->project, MIG_DOWN,
								  prepared->plan->steps,
								  prepared->plan->nsteps);
	return prepared->plan->nsteps > 0;
}

bool
mig_plan_run_holds(const MigRunOptions *options, const MigPolicy *policy)
{
	return options->hold_given ? options->hold : policy->protected;
}

void
mig_plan_run_notice_gaps(const char *highest, List *versions)
{
	List	   *gaps = NIL;
	ListCell   *lc;

	if (highest == NULL)
		return;
	foreach(lc, versions)
	{
		if (mig_version_order_compare(lfirst(lc), highest) < 0)
			gaps = lappend(gaps, lfirst(lc));
	}
	if (gaps != NIL)
		ereport(NOTICE,
				(errmsg("%s will be out of order for apply(), because later versions are still applied",
						mig_error_name_list(gaps)),
				 errhint("Hold what is to stay out with migrate.hold(), take it out with migrate.remove(), or let it be applied by out_of_order = 'allow' in migrate.policy.")));
}

void
mig_plan_run_warn(const MigProject *project, bool each)
{
	/* of 17 and later; it does not raise an error that could be journalled */
	const char *timeout = GetConfigOption("transaction_timeout", true, false);

	mig_plan_warn_heads(project);
	if (timeout != NULL && strcmp(timeout, "0") != 0)
		ereport(NOTICE,
				(errmsg("transaction_timeout will end this session if %s takes longer than %s",
						each ? "a migration" : "the run",
						GetConfigOptionByName("transaction_timeout", NULL,
											  false))));
}
