/*-------------------------------------------------------------------------
 *
 * plan_state.c
 *	  What the entries of a project say together: migrate.state.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plan/plan.h"

bool
mig_plan_is_pending(const MigEntry *entry)
{
	return entry->stored &&
		(!entry->applied ||
		 (entry->kind == MIG_REPEATABLE && entry->up_changed));
}

bool
mig_plan_can_leave_gap(const MigEntry *entry)
{
	return entry->kind == MIG_VERSIONED && entry->nrequires == 0;
}

/* applied later; whatever the order in which they come */
static bool
is_newer(const MigEntry *entry, const MigEntry *newest)
{
	if (entry->seq != newest->seq)
		return entry->seq > newest->seq;
	return strcmp(entry->version, newest->version) > 0;
}

/* does it keep a project from being complete? */
static bool
is_open(const MigEntry *entry)
{
	return mig_plan_is_pending(entry) || entry->held_reason != NULL ||
		entry->partial ||
		(entry->applied && entry->kind == MIG_VERSIONED &&
		 (entry->up_changed || entry->down_changed));
}

void
mig_plan_state(const MigProject *project, MigState *state)
{
	const MigEntry *newest = NULL;
	int			i;

	memset(state, 0, sizeof(MigState));
	state->complete = true;
	state->applied = project->settled.count;
	for (i = 0; i < project->count; i++)
	{
		const MigEntry *entry = &project->entries[i];

		if (is_open(entry))
			state->complete = false;
		if (mig_plan_is_settled(&project->settled, entry))
			state->applied--;
		if (!entry->applied)
			continue;
		state->applied++;
		if (newest == NULL || is_newer(entry, newest))
			newest = entry;
	}
	state->newest = newest ? newest->version : NULL;
}
