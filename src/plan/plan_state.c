/*-------------------------------------------------------------------------
 *
 * plan_state.c
 *	  What the entries of a project say together: migrate.state.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/version_order.h"
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

static void
remember_version(char **version, const char *value)
{
	if (*version != NULL)
		pfree(*version);
	*version = pstrdup(value);
}

/* the last, whatever the order in which they come */
static bool
is_newer(const MigEntry *entry, const MigTally *tally)
{
	if (entry->seq != tally->newest_seq)
		return entry->seq > tally->newest_seq;
	return strcmp(entry->version, tally->newest) > 0;
}

void
mig_plan_tally(MigTally *tally, const MigEntry *entry)
{
	if (mig_plan_is_pending(entry) || entry->held_reason != NULL ||
		entry->partial ||
		(entry->applied && entry->kind == MIG_VERSIONED &&
		 (entry->up_changed || entry->down_changed)))
		tally->incomplete = true;
	if (!entry->applied)
		return;
	tally->applied++;
	if (tally->newest == NULL || is_newer(entry, tally))
	{
		remember_version(&tally->newest, entry->version);
		tally->newest_seq = entry->seq;
	}
	if (entry->kind == MIG_VERSIONED &&
		(tally->highest == NULL ||
		 mig_version_order_compare(tally->highest, entry->version) < 0))
		remember_version(&tally->highest, entry->version);
}

void
mig_plan_tally_all(MigTally *tally, const MigProject *project)
{
	int			i;

	for (i = 0; i < project->count; i++)
		mig_plan_tally(tally, &project->entries[i]);
}

void
mig_plan_tally_state(const MigTally *tally, MigState *state)
{
	memset(state, 0, sizeof(MigState));
	state->complete = !tally->incomplete;
	state->applied = tally->applied;
	state->newest = tally->newest;
}

void
mig_plan_state(const MigProject *project, MigState *state)
{
	MigTally	tally = {0};

	mig_plan_tally_all(&tally, project);
	mig_plan_tally_state(&tally, state);
}
