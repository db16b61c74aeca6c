/*-------------------------------------------------------------------------
 *
 * project.c
 *	  The migrations of a project, read and put in order.
 *
 * What is settled is not read, unless the rest is not enough.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "ledger/entry.h"
#include "ledger/state.h"
#include "plan/project.h"

static MigProject *
make_project(const char *name, MigEntry *entries, int count,
			 const MigSettled *settled, bool strict)
{
	MigProject *project = mig_plan_project(name, entries, count, strict);

	project->settled = *settled;
	return project;
}

/* with what has been found out about the state before they were read */
static MigProject *
read_all(const char *name, bool details, bool strict, MigSettled *settled)
{
	int			count;
	MigEntry   *entries = mig_entry_all(name, details, &count);

	settled->through = settled->highest = NULL;
	settled->count = settled->seq = settled->nexceptions = 0;
	return make_project(name, entries, count, settled, strict);
}

MigProject *
mig_project_read_all(const char *name, bool details, bool strict)
{
	MigSettled	settled;

	PushActiveSnapshot(GetTransactionSnapshot());
	mig_state_settled(name, &settled);
	PopActiveSnapshot();
	return read_all(name, details, strict, &settled);
}

/* requirements of the entries which are not among them */
static List *
find_missing_requirements(MigEntry *entries, int count)
{
	MigProject	project = {.count = count,.entries = entries};
	List	   *missing = NIL;
	int			i;
	int			r;

	for (i = 0; i < count; i++)
		for (r = 0; r < entries[i].nrequires; r++)
			if (mig_plan_find(&project, entries[i].requires[r]) == NULL)
				missing = lappend(missing, entries[i].requires[r]);
	return missing;
}

/* of this many it may be faster to read all, which takes half as long for each */
#define MANY 500

/*
 * All but settled entries, those of versions and what they require; NULL if
 * that is not enough, or too much.
 */
static MigEntry *
read_unsettled(const char *name, const MigSettled *settled, List *versions,
			   bool details, int *count)
{
	List	   *unsettled;
	List	   *missing;
	MigEntry   *entries;

	if (settled->through == NULL ||
		!mig_entry_unsettled(name, settled, &unsettled))
		return NULL;
	if (list_length(unsettled) > Max(settled->count / 2, MANY))
		return NULL;
	versions = list_concat_copy(versions, unsettled);
	entries = mig_entry_named(name, versions, details, count);
	missing = find_missing_requirements(entries, *count);
	if (missing != NIL)
		entries = mig_entry_named(name,
								  list_concat(versions, missing),
								  details, count);
	return mig_plan_is_enough(settled, entries, *count) ? entries : NULL;
}

MigProject *
mig_project_read(const char *name, List *versions, bool details, bool strict)
{
	MigSettled	settled;
	MigEntry   *entries;
	int			count;

	PushActiveSnapshot(GetTransactionSnapshot());
	mig_state_settled(name, &settled);
	entries = read_unsettled(name, &settled, versions, details, &count);
	PopActiveSnapshot();
	if (entries == NULL)
		return read_all(name, details, strict, &settled);
	return make_project(name, entries, count, &settled, strict);
}

/* the versions that a choice names */
static List *
versions_of_choice(const MigDownChoice *choice)
{
	List	   *versions = list_copy(choice->versions);
	ListCell   *lc;

	if (choice->target != NULL)
		versions = lappend(versions, unconstify(char *, choice->target));
	foreach(lc, choice->applications)
		versions = lappend(versions, ((MigApplication *) lfirst(lc))->version);
	return versions;
}

MigProject *
mig_project_read_down(const char *name, const MigDownChoice *choice)
{
	MigProject *project = mig_project_read(name, versions_of_choice(choice),
										   false, false);

	if (mig_plan_knows_down(project, choice))
		return project;
	return read_all(name, false, false, &project->settled);
}

bool
mig_project_has_news(const MigProject *project)
{
	MigState	state;

	mig_plan_state(project, &state);
	if (!state.complete && project->settled.through == NULL)
		mig_plan_settle(project, &state.settled);
	return state.complete || state.settled.through != NULL;
}

void
mig_project_write_state(const MigProject *project)
{
	MigState	state;

	mig_plan_state(project, &state);
	mig_plan_settle(project, &state.settled);
	mig_state_write(project->name, &state);
}
