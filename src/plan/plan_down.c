/*-------------------------------------------------------------------------
 *
 * plan_down.c
 *	  What is to be rolled back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "plan/plan.h"

/* newest application first */
static int
compare_applications(const void *a, const void *b)
{
	const MigEntry *left = *(MigEntry *const *) a;
	const MigEntry *right = *(MigEntry *const *) b;

	if (left->seq != right->seq)
		return left->seq > right->seq ? -1 : 1;
	return right->position - left->position;
}

static MigEntry **
applied_newest_first(const MigProject *project, int *count)
{
	MigEntry  **applied = palloc(sizeof(MigEntry *) * Max(project->count, 1));
	int			i;

	*count = 0;
	for (i = 0; i < project->count; i++)
	{
		if (project->entries[i].applied)
			applied[(*count)++] = &project->entries[i];
	}
	qsort(applied, *count, sizeof(MigEntry *), compare_applications);
	return applied;
}

static void
choose_versions(const MigProject *project, List *versions, bool *chosen)
{
	ListCell   *lc;

	foreach(lc, versions)
	{
		MigEntry   *entry = mig_plan_find_or_error(project, lfirst(lc));

		if (!entry->applied)
			ereport(ERROR,
					(errcode(MIG_ERRCODE_UNKNOWN_VERSION),
					 errmsg("migration \"%s\" is not applied", entry->version)));
		chosen[mig_plan_index(project, entry)] = true;
	}
}

static void
choose_applications(const MigProject *project, List *applications, bool *chosen)
{
	ListCell   *lc;

	foreach(lc, applications)
	{
		const MigApplication *application = (const MigApplication *) lfirst(lc);
		MigEntry   *entry = mig_plan_find(project, application->version);

		if (entry != NULL && entry->applied && entry->seq == application->seq)
			chosen[mig_plan_index(project, entry)] = true;
	}
}

/* what is partly rolled back is the first of so many steps; how many that are */
static int
choose_half_way(const MigProject *project, int64 steps, bool *chosen)
{
	int			count = 0;
	int			i;

	for (i = 0; i < project->count && count < steps; i++)
	{
		const MigEntry *entry = project->order[i];

		if (!entry->applied || !entry->partial ||
			entry->partial_part != MIG_DOWN)
			continue;
		chosen[mig_plan_index(project, entry)] = true;
		if (entry->kind == MIG_VERSIONED)
			count++;
	}
	return count;
}

/*
 * More steps than are applied: it is a version that was meant, or everything,
 * and to undo everything is not offered to those who may have meant a version.
 */
static void
refuse_too_many_steps(const MigProject *project, const MigDownChoice *choice,
					  int left)
{
	char	   *number = psprintf(INT64_FORMAT, choice->steps);
	int			applied = choice->steps - left;

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 choice->steps == 1 ?
			 errmsg("cannot roll back 1 migration") :
			 errmsg("cannot roll back %s migrations", number),
			 errdetail_plural("%d versioned migration is applied.",
							  "%d versioned migrations are applied.",
							  applied, applied),
			 choice->undo_to != NULL && mig_plan_find(project, number) != NULL ?
			 errhint("The number is a count.  What was applied after version %s is undone by %s.",
					 number,
					 psprintf(choice->undo_to, quote_literal_cstr(number))) :
			 errhint("The number is a count, and not a version.")));
}

/*
 * Which applied migrations are to be undone.  A repeatable one does not count
 * as a step, and goes along with what was applied before it.
 */
static bool *
choose_down(const MigProject *project, const MigDownChoice *choice,
			MigEntry **applied, int napplied)
{
	bool	   *chosen = palloc0(sizeof(bool) * Max(project->count, 1));
	bool	   *keep = NULL;
	int64		left = choice->steps;
	int64		run = choice->run;
	int			i;

	if (choice->kind == MIG_DOWN_VERSIONS)
	{
		choose_versions(project, choice->versions, chosen);
		return chosen;
	}
	if (choice->kind == MIG_DOWN_APPLICATIONS)
	{
		choose_applications(project, choice->applications, chosen);
		return chosen;
	}
	if (choice->kind == MIG_DOWN_TO)
		keep = mig_plan_up_to(project, choice->target);
	if (choice->kind == MIG_DOWN_STEPS)
		left -= choose_half_way(project, left, chosen);
	for (i = 0; run == 0 && i < napplied; i++)
	{
		if (strcmp(applied[i]->origin, "apply") == 0)
			run = applied[i]->run;
	}
	for (i = 0; i < napplied; i++)
	{
		int			index = mig_plan_index(project, applied[i]);

		if (choice->kind == MIG_DOWN_STEPS)
		{
			if (left <= 0)
				break;
			if (!chosen[index] && applied[i]->kind == MIG_VERSIONED)
				left--;
			chosen[index] = true;
		}
		else if (choice->kind == MIG_DOWN_RUN)
			chosen[index] = applied[i]->run == run;
		else
			chosen[index] = !keep[index];
	}
	/* where there are repeatable ones alone, they go along with one step */
	if (choice->kind == MIG_DOWN_STEPS && left > 0 && napplied > 0 &&
		(choice->steps > 1 || left < choice->steps))
		refuse_too_many_steps(project, choice, left);
	return chosen;
}

/*
 * Raise an error if a migration that stays requires one that is to be taken
 * back.
 */
static void
refuse_dependents(const MigProject *project, const bool *chosen)
{
	int			i;
	int			r;

	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = &project->entries[i];

		if (!entry->applied || chosen[i])
			continue;
		for (r = 0; r < entry->nrequires; r++)
		{
			MigEntry   *required = mig_plan_find(project, entry->requires[r]);

			if (required != NULL && chosen[mig_plan_index(project, required)])
				ereport(ERROR,
						(errcode(MIG_ERRCODE_REQUIREMENT),
						 errmsg("cannot roll back migration \"%s\" because \"%s\" requires it",
								required->version, entry->version),
						 entry->has_down ?
						 errhint("Roll back \"%s\" too.", entry->version) :
						 errhint("It has no down body: undo its work by hand, then SELECT migrate.unstamp(%s).",
								 quote_literal_cstr(entry->version))));
		}
	}
}

/* what makes a roll-back impossible, named before anything runs */
static void
refuse_impossible_downs(const MigPlan *plan)
{
	List	   *lacking = NIL;
	List	   *changed = NIL;
	int			i;

	for (i = 0; i < plan->nsteps; i++)
	{
		MigEntry   *entry = plan->steps[i];

		if (!entry->has_down)
			lacking = lappend(lacking, entry);
		else if (entry->down_changed && entry->kind == MIG_VERSIONED)
			changed = lappend(changed, entry);
	}
	mig_error_refuse_without_down(mig_plan_versions(lacking),
								  "Give it one with migrate.amend(), or undo its work by hand and then call migrate.unstamp().");
	if (changed != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CHANGED),
				 errmsg_plural("the down body of %d applied migration has changed",
							   "the down bodies of %d applied migrations have changed",
							   list_length(changed), list_length(changed)),
				 errdetail("Changed: %s.", mig_error_name_list(mig_plan_versions(changed))),
				 errhint("Put the text back, or accept the new one with migrate.amend().")));
}

/*
 * Put chosen entries into the plan, each after those that require it.  An
 * application that came later does not always mean that: a repeatable
 * migration that has run again is newer than what requires it.
 */
static void
add_down_step(const MigProject *project, MigEntry *entry, bool *chosen,
			  List **dependents, MigPlan *plan)
{
	int			index = mig_plan_index(project, entry);
	ListCell   *lc;

	check_stack_depth();
	if (!chosen[index])
		return;
	chosen[index] = false;
	foreach(lc, dependents[index])
		add_down_step(project, (MigEntry *) lfirst(lc), chosen, dependents, plan);
	plan->steps[plan->nsteps++] = entry;
}

/* for each entry, by index, those that require it */
static List **
collect_dependents(const MigProject *project)
{
	List	  **dependents = palloc0(sizeof(List *) * Max(project->count, 1));
	int			i;
	int			r;

	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = &project->entries[i];

		for (r = 0; r < entry->nrequires; r++)
		{
			MigEntry   *required = mig_plan_find(project, entry->requires[r]);

			if (required != NULL)
				dependents[mig_plan_index(project, required)] =
					lappend(dependents[mig_plan_index(project, required)], entry);
		}
	}
	return dependents;
}

static void
refuse_foreign_dependents(const MigProject *project, const MigPlan *plan,
						  MigDependents dependents_of)
{
	List	   *versions = NIL;
	List	   *dependents;
	int			i;

	for (i = 0; i < plan->nsteps; i++)
		versions = lappend(versions, plan->steps[i]->version);
	dependents = dependents_of(project->name, versions);
	if (dependents != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_REQUIREMENT),
				 errmsg("cannot roll back what migrations of other projects require"),
				 errdetail("They are %s.", mig_error_name_list(dependents)),
				 errhint("Roll those back first.")));
}

/*
 * Repeatable migrations that stay, and were applied after something that goes.
 * What they have made may go with it, by a CASCADE, so that they are to be run
 * again: the ledger gives them up along with it.
 */
static List *
collect_again(const MigProject *project, const MigPlan *plan)
{
	bool	   *goes = palloc0(sizeof(bool) * Max(project->count, 1));
	int64		oldest = PG_INT64_MAX;
	List	   *again = NIL;
	int			i;

	for (i = 0; i < plan->nsteps; i++)
	{
		goes[mig_plan_index(project, plan->steps[i])] = true;
		if (plan->steps[i]->kind == MIG_VERSIONED)
			oldest = Min(oldest, plan->steps[i]->seq);
	}
	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = &project->entries[i];

		if (entry->kind == MIG_REPEATABLE && entry->stored &&
			entry->applied && !entry->partial && entry->seq > oldest &&
			!goes[i])
			again = lappend(again, entry);
	}
	return again;
}

MigPlan *
mig_plan_down(const MigProject *project, const MigDownChoice *choice,
			  MigDependents dependents_of)
{
	MigPlan    *plan = palloc0(sizeof(MigPlan));
	int			napplied;
	MigEntry  **applied = applied_newest_first(project, &napplied);
	bool	   *chosen = choose_down(project, choice, applied, napplied);
	List	  **dependents = collect_dependents(project);
	int			i;

	Assert(choice != NULL && dependents_of != NULL);
	plan->steps = palloc(sizeof(MigEntry *) * Max(napplied, 1));
	for (i = 0; i < napplied; i++)
	{
		int			index = mig_plan_index(project, applied[i]);

		if (!chosen[index])
			continue;
		if (applied[i]->kind == MIG_REPEATABLE && !applied[i]->has_down &&
			choice->kind != MIG_DOWN_VERSIONS)
		{
			plan->left = lappend(plan->left, applied[i]);
			chosen[index] = false;
		}
	}
	refuse_dependents(project, chosen);
	for (i = 0; i < napplied; i++)
	{
		if (applied[i]->partial)
			add_down_step(project, applied[i], chosen, dependents, plan);
	}
	for (i = 0; i < napplied; i++)
		add_down_step(project, applied[i], chosen, dependents, plan);
	refuse_impossible_downs(plan);
	refuse_foreign_dependents(project, plan, dependents_of);
	plan->again = collect_again(project, plan);
	return plan;
}
