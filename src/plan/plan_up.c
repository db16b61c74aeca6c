/*-------------------------------------------------------------------------
 *
 * plan_up.c
 *	  What is to be applied.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "base/version_order.h"
#include "plan/plan.h"

/* an applied text that is not what it was when it was applied */
static void
refuse_changed(const MigProject *project)
{
	List	   *changed = NIL;
	int			i;

	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = project->order[i];

		if (entry->applied && entry->kind == MIG_VERSIONED &&
			(entry->up_changed || entry->down_changed))
			changed = lappend(changed, entry);
	}
	if (changed != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CHANGED),
				 errmsg_plural("the text of %d applied migration has changed",
							   "the texts of %d applied migrations have changed",
							   list_length(changed), list_length(changed)),
				 errdetail("Changed: %s.", mig_error_name_list(mig_plan_versions(changed))),
				 errhint("Put the applied text back, or accept the new one with migrate.amend().")));
}

bool *
mig_plan_held(const MigProject *project, bool only_pending)
{
	bool	   *blocked = palloc0(sizeof(bool) * Max(project->count, 1));
	int			i;
	int			r;

	/* in order, so that what an entry requires has been looked at before */
	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = project->order[i];
		int			index = mig_plan_index(project, entry);

		if (only_pending && !mig_plan_is_pending(entry))
			continue;
		blocked[index] = entry->held_reason != NULL;
		for (r = 0; r < entry->nrequires && !blocked[index]; r++)
		{
			MigEntry   *required = mig_plan_find(project, entry->requires[r]);

			if (required != NULL)
				blocked[index] = blocked[mig_plan_index(project, required)];
		}
	}
	return blocked;
}

/* reduce wanted to what is pending and not held back; fills plan->held */
static void
select_pending(const MigProject *project, bool *wanted, MigPlan *plan)
{
	bool	   *blocked = mig_plan_held(project, true);
	int			i;

	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = project->order[i];
		int			index = mig_plan_index(project, entry);

		if (!mig_plan_is_pending(entry))
			wanted[index] = false;
		if (wanted[index] && blocked[index])
			plan->held = lappend(plan->held, entry);
		if (blocked[index])
			wanted[index] = false;
	}
}

/*
 * Raise an error unless all that is wanted finds what it requires applied, or
 * wanted as well.
 */
static void
check_requirements(const MigProject *project, const bool *wanted,
				   MigIsApplied is_applied)
{
	int			i;
	int			r;

	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = &project->entries[i];

		for (r = 0; wanted[i] && r < entry->nrequires; r++)
		{
			MigEntry   *required = mig_plan_find(project, entry->requires[r]);
			char	   *other_project;
			char	   *other_version;

			if (required != NULL)
			{
				if (required->applied || wanted[mig_plan_index(project, required)])
					continue;
			}
			else if (!mig_plan_split_external(entry->requires[r], &other_project,
											  &other_version))
				mig_plan_missing_requirement(entry, entry->requires[r]);
			else if (is_applied(other_project, other_version))
				continue;
			ereport(ERROR,
					(errcode(MIG_ERRCODE_REQUIREMENT),
					 errmsg("migration \"%s\" requires \"%s\", which is not applied",
							entry->version, entry->requires[r]),
					 errhint("Apply \"%s\" first.", entry->requires[r])));
		}
	}
}

/* the highest that is applied, be it in part; NULL: none */
static MigEntry *
highest_applied(const MigProject *project)
{
	MigEntry   *highest = NULL;
	int			i;

	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = project->order[i];

		if ((entry->applied || entry->partial) &&
			entry->kind == MIG_VERSIONED &&
			(highest == NULL ||
			 mig_version_order_compare(highest->version, entry->version) < 0))
			highest = entry;
	}
	return highest;
}

/*
 * A pending migration that says what it requires has its place; any other
 * one belongs after all that are applied.
 */
static bool
is_late(const MigEntry *entry, const MigEntry *highest)
{
	return highest != NULL && mig_plan_can_leave_gap(entry) &&
		mig_version_order_compare(entry->version, highest->version) < 0;
}

List *
mig_plan_late(const MigProject *project, const bool *wanted)
{
	MigEntry   *highest = highest_applied(project);
	List	   *late = NIL;
	int			i;

	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = project->order[i];

		if (mig_plan_is_pending(entry) && !entry->partial &&
			entry->held_reason == NULL && is_late(entry, highest) &&
			(wanted == NULL || wanted[mig_plan_index(project, entry)]))
			late = lappend(late, entry->version);
	}
	return late;
}

/*
 * Raise an error if a step of the plan has a lower version than one that is
 * applied.
 */
static void
refuse_out_of_order(const MigPlan *plan, const MigProject *project)
{
	MigEntry   *newest = highest_applied(project);
	List	   *late = NIL;
	bool		letters = false;
	ListCell   *lc;
	int			i;

	for (i = 0; i < plan->nsteps; i++)
	{
		if (is_late(plan->steps[i], newest))
			late = lappend(late, plan->steps[i]);
	}
	foreach(lc, late)
		letters = letters || !mig_version_is_number(((MigEntry *) lfirst(lc))->version);
	if (late != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_OUT_OF_ORDER),
				 errmsg_plural("%d pending migration is out of order",
							   "%d pending migrations are out of order",
							   list_length(late), list_length(late)),
				 errdetail("Pending: %s.  Applied already%s: \"%s\".%s",
						   mig_error_name_list(mig_plan_versions(late)),
						   newest->applied ? "" : " in part", newest->version,
						   letters || !mig_version_is_number(newest->version) ?
						   "  In the order of versions digits come before letters, and numbers count as such." : ""),
				 errhint(MIG_HINT_OUT_OF_ORDER)));
}

static void
refuse_without_down(const MigPlan *plan)
{
	List	   *lacking = NIL;
	int			i;

	for (i = 0; i < plan->nsteps; i++)
	{
		MigEntry   *entry = plan->steps[i];

		if (entry->kind == MIG_VERSIONED && !entry->irreversible &&
			(!entry->has_down || entry->down_is_empty))
			lacking = lappend(lacking, entry);
	}
	mig_error_refuse_without_down(mig_plan_versions(lacking),
								  MIG_HINT_POLICY_DOWN);
}

/* what is wanted, in order, but first what stands half-way and what that needs */
static void
collect_steps(const MigProject *project, const bool *wanted, MigPlan *plan)
{
	bool	   *first = palloc0(sizeof(bool) * Max(project->count, 1));
	int			i;
	int			pass;

	for (i = 0; i < project->count; i++)
	{
		if (project->entries[i].partial && wanted[i])
			mig_plan_mark_required(project, &project->entries[i], first);
	}
	plan->steps = palloc(sizeof(MigEntry *) * Max(project->count, 1));
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < project->count; i++)
		{
			int			index = mig_plan_index(project, project->order[i]);

			if (wanted[index] && first[index] == (pass == 0))
				plan->steps[plan->nsteps++] = project->order[i];
		}
}

bool *
mig_plan_up_choose(const MigProject *project, const char *target,
				   bool restricted, List *versions)
{
	bool	   *wanted;
	bool	   *named;
	ListCell   *lc;
	int			i;

	if (target != NULL && strcmp(target, MIG_TARGET_BASE) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot apply up to \"%s\"", MIG_TARGET_BASE),
				 errhint("SELECT * FROM migrate.rollback_to('base') undoes everything, and so does CALL migrate.rollback_each(target => 'base').")));
	wanted = mig_plan_up_to(project, target);
	if (!restricted)
		return wanted;
	named = palloc0(sizeof(bool) * Max(project->count, 1));
	foreach(lc, versions)
		named[mig_plan_index(project, mig_plan_find_or_error(project, lfirst(lc)))] = true;
	for (i = 0; i < project->count; i++)
		wanted[i] = wanted[i] && named[i];
	return wanted;
}

MigPlan *
mig_plan_up(const MigProject *project, const char *target, bool restricted,
			List *versions, const MigPolicy *policy, MigIsApplied is_applied)
{
	MigPlan    *plan = palloc0(sizeof(MigPlan));
	bool	   *wanted;

	Assert(policy != NULL && is_applied != NULL);
	refuse_changed(project);
	wanted = mig_plan_up_choose(project, target, restricted, versions);
	select_pending(project, wanted, plan);
	check_requirements(project, wanted, is_applied);
	collect_steps(project, wanted, plan);
	if (!policy->allow_out_of_order)
		refuse_out_of_order(plan, project);
	if (policy->require_down)
		refuse_without_down(plan);
	return plan;
}
