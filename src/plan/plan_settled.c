/*-------------------------------------------------------------------------
 *
 * plan_settled.c
 *	  Which migrations need not be read to make a plan.
 *
 * Of a hundred thousand migrations that have been applied for years a plan asks
 * nothing.  They have no edges in the graph of requirements but those that
 * come to them, so leaving them out does not change the order of the others,
 * and they are below what is applied last and highest.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/version_order.h"
#include "plan/plan.h"

/* what was applied last is always read, for roll-backs */
#define ALWAYS_READ 64

/* with fewer it is not worth it */
#define SETTLED_AT_LEAST 32

static bool
is_exception(const MigSettled *settled, const char *version)
{
	return settled->nexceptions > 0 &&
		bsearch(&version, settled->exceptions, settled->nexceptions,
				sizeof(char *), mig_version_compare_bytes) != NULL;
}

/* has it nothing that a plan would ask for? */
static bool
is_plain(const MigEntry *entry)
{
	return entry->stored && entry->kind == MIG_VERSIONED &&
		entry->nrequires == 0 && entry->held_reason == NULL;
}

bool
mig_plan_is_settled(const MigSettled *settled, const MigEntry *entry)
{
	return settled->through != NULL && is_plain(entry) &&
		strcmp(entry->version, settled->through) <= 0 &&
		!is_exception(settled, entry->version);
}

bool
mig_plan_is_enough(const MigSettled *settled, const MigEntry *entries,
				   int count)
{
	bool		has_highest = false;
	bool		has_newest = false;
	int			roots = 0;
	int			i;

	for (i = 0; i < count; i++)
	{
		const MigEntry *entry = &entries[i];

		if (entry->kind == MIG_VERSIONED && entry->nrequires == 0)
			roots++;
		if (!entry->applied)
			continue;
		if (entry->seq > settled->seq)
			has_newest = true;
		if (entry->kind == MIG_VERSIONED &&
			mig_version_order_compare(entry->version, settled->highest) >= 0)
			has_highest = true;
	}
	return has_highest && has_newest && roots >= 2;
}

bool
mig_plan_knows_down(const MigProject *project, const MigDownChoice *choice)
{
	const MigSettled *settled = &project->settled;
	MigEntry   *target;
	int			steps = 0;
	int			i;

	if (settled->through == NULL)
		return true;
	switch (choice->kind)
	{
		case MIG_DOWN_VERSIONS:
		case MIG_DOWN_APPLICATIONS:
			return true;		/* they have been read */
		case MIG_DOWN_RUN:
			return false;
		case MIG_DOWN_TO:
			if (strcmp(choice->target, MIG_TARGET_HEAD) == 0)
				return true;
			target = mig_plan_find(project, choice->target);

			/* all that is settled comes before it */
			return target != NULL &&
				(target->kind == MIG_REPEATABLE ||
				 mig_version_order_compare(target->version,
										   settled->highest) >= 0);
		case MIG_DOWN_STEPS:
			for (i = 0; i < project->count; i++)
			{
				const MigEntry *entry = &project->entries[i];

				if (entry->applied && entry->kind == MIG_VERSIONED &&
					entry->seq > settled->seq)
					steps++;
			}
			return steps >= choice->steps;
	}
	return false;				/* keep compiler quiet */
}

static int
compare_seqs(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return left == right ? 0 : left < right ? 1 : -1;
}

/* what was applied from this one on is always read; 0: everything is */
static int64
first_always_read(const MigProject *project)
{
	int64	   *seqs = palloc_extended(sizeof(int64) * Max(project->count, 1),
									   MCXT_ALLOC_HUGE);
	int64		result = 0;
	int			count = 0;
	int			i;

	for (i = 0; i < project->count; i++)
	{
		if (project->entries[i].applied)
			seqs[count++] = project->entries[i].seq;
	}
	qsort(seqs, count, sizeof(int64), compare_seqs);
	if (count > ALWAYS_READ)
		result = seqs[ALWAYS_READ - 1];
	pfree(seqs);
	return result;
}

const MigEntry *
mig_plan_highest(const MigProject *project)
{
	const MigEntry *highest = NULL;
	int			i;

	for (i = 0; i < project->count; i++)
	{
		const MigEntry *entry = &project->entries[i];

		if (entry->applied && entry->kind == MIG_VERSIONED &&
			(highest == NULL ||
			 mig_version_order_compare(highest->version, entry->version) < 0))
			highest = entry;
	}
	return highest;
}

/*
 * May an entry be settled from now on?  Not the highest, which is always read.  One that was and is as it was may be in
 * any case: the bounds are above it.
 */
static bool
may_settle(const MigProject *project, const MigEntry *entry,
		   int64 always_read, const MigEntry *highest)
{
	if (!is_plain(entry) || !entry->applied || entry->partial ||
		entry->up_changed || entry->down_changed)
		return false;
	return mig_plan_is_settled(&project->settled, entry) ||
		(entry->seq < always_read && entry != highest);
}

/* is it found among those with requirements, a hold and so on? */
static bool
is_found_by_kind(const MigEntry *entry)
{
	return entry->stored && !is_plain(entry);
}

/*
 * The version through which migrations are settled, with as many exceptions as
 * may be; NULL if that is not so, or few are.  may_settle is by index.
 */
static char *
choose_through(const MigProject *project, const bool *may_settle)
{
	const char *before = project->settled.through;
	char	   *through = NULL;
	int			exceptions = 0;
	int			i;

	for (i = 0; i < project->count; i++)
	{
		const MigEntry *entry = &project->entries[i];

		/* what was settled and has not been read stays so */
		if (before != NULL && strcmp(entry->version, before) > 0)
		{
			through = project->settled.through;
			before = NULL;
		}
		if (may_settle[i])
			through = entry->version;
		else if (!is_found_by_kind(entry) &&
				 ++exceptions > MIG_SETTLED_EXCEPTIONS)
			return before == NULL ? through : NULL;
	}
	return before == NULL ? through : project->settled.through;
}

/* count what is settled from now on, and find its bounds and exceptions */
static void
fill_settled(const MigProject *project, const bool *may_settle,
			 MigSettled *settled)
{
	int			i;

	settled->exceptions = palloc(sizeof(char *) * MIG_SETTLED_EXCEPTIONS);
	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = &project->entries[i];

		if (mig_plan_is_settled(&project->settled, entry))
			settled->count--;
		if (strcmp(entry->version, settled->through) > 0)
			continue;
		if (may_settle[i])
		{
			settled->count++;
			settled->seq = Max(settled->seq, entry->seq);
			if (settled->highest == NULL ||
				mig_version_order_compare(entry->version, settled->highest) >
				0)
				settled->highest = entry->version;
		}
		else if (!is_found_by_kind(entry))
			settled->exceptions[settled->nexceptions++] = entry->version;
	}
}

void
mig_plan_settle(const MigProject *project, MigSettled *settled)
{
	bool	   *settles = palloc_extended(Max(project->count, 1),
										  MCXT_ALLOC_HUGE);
	int64		always_read = first_always_read(project);
	const MigEntry *highest = mig_plan_highest(project);
	int			i;

	for (i = 0; i < project->count; i++)
		settles[i] = may_settle(project, &project->entries[i], always_read,
								highest);
	*settled = project->settled;
	settled->nexceptions = 0;
	settled->through = choose_through(project, settles);
	if (settled->through != NULL)
		fill_settled(project, settles, settled);
	if (settled->count < SETTLED_AT_LEAST)
		settled->through = NULL;
	pfree(settles);
}
