/*-------------------------------------------------------------------------
 *
 * plan_half_way.c
 *	  What stands half-way comes first.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/errors.h"
#include "base/version_order.h"
#include "plan/plan.h"

static bool
is_in_plan(const MigPlan *plan, const MigEntry *entry)
{
	int			i;

	for (i = 0; i < plan->nsteps; i++)
	{
		if (plan->steps[i] == entry)
			return true;
	}
	return false;
}

static void
refuse_half_way(const MigEntry *entry)
{
	bool		up = entry->partial_part == MIG_UP;

	ereport(ERROR,
			(errcode(MIG_ERRCODE_PARTIAL),
			 up ? errmsg("migration \"%s\" is partly applied", entry->version) :
			 errmsg("migration \"%s\" is partly rolled back", entry->version),
			 errdetail("What stands half-way comes before anything else."),
			 up ? errhint("CALL migrate.apply_each() goes on with it.  Or undo by hand what it has done, and say so with SELECT migrate.resume(%s, at => 1).",
						  quote_literal_cstr(entry->version)) :
			 errhint("CALL migrate.rollback_each() goes on with that, or say with migrate.resume() what is done.")));
}

/*
 * entry is held: refuse to apply what comes after it in the order of versions,
 * and to take back what it was begun on.
 */
static void
refuse_past_half_way(const MigPlan *plan, MigPart part, const MigEntry *entry)
{
	List	   *past = NIL;
	int			i;

	for (i = 0; i < plan->nsteps; i++)
	{
		MigEntry   *step = plan->steps[i];
		int			order = mig_version_order_compare(step->version,
													  entry->version);

		if (step->kind == MIG_VERSIONED && entry->kind == MIG_VERSIONED &&
			(part == MIG_UP ? order > 0 && step->nrequires == 0 : order < 0))
			past = lappend(past, step);
	}
	if (past != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_OUT_OF_ORDER),
				 errmsg("cannot go past migration \"%s\", which is held half-way",
						entry->version),
				 errdetail("Held: %s.  %s: %s.", entry->held_reason,
						   part == MIG_UP ? "Pending" : "To be rolled back",
						   mig_error_name_list(mig_plan_versions(past))),
				 errhint("Let it go on with SELECT migrate.unhold(%s), or set out_of_order to 'allow' in migrate.policy.",
						 quote_literal_cstr(entry->version))));
}

bool
mig_plan_has_half_way(const MigProject *project)
{
	int			i;

	for (i = 0; i < project->count; i++)
	{
		if (project->entries[i].partial)
			return true;
	}
	return false;
}

void
mig_plan_check_half_way(const MigProject *project, MigPlan *plan,
						MigPart part, const MigPolicy *policy)
{
	int			i;

	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = project->order[i];

		if (!entry->partial ||
			(entry->partial_part == part && is_in_plan(plan, entry)))
			continue;

		/* a hold keeps nothing from being rolled back */
		if (entry->held_reason == NULL ||
			(part == MIG_DOWN && entry->partial_part == MIG_DOWN))
			refuse_half_way(entry);
		if (!policy->allow_out_of_order)
			refuse_past_half_way(plan, part, entry);
		plan->half_way = lappend(plan->half_way, entry);
	}
}
