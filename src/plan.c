/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  The order of a project's migrations, and what a run has to do.
 *
 * Pure: works on what ledger.c has read, touches no table and runs nothing.
 *
 * The order is that of the versions, repeatable migrations after versioned
 * ones, bent by requirements: a topological order in which, of all that may
 * come next, the lowest comes first.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/binaryheap.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "errors.h"
#include "plan.h"
#include "version.h"

/* requirements of a project as indexes of its entries */
typedef struct Graph
{
	int			count;
	int		  **requires;		/* per entry; -1: not in this project */
	int			nedges;
} Graph;

static int
entry_index(const MigProject *project, const MigEntry *entry)
{
	return entry - project->entries;
}

MigEntry *
mig_plan_find(const MigProject *project, const char *version)
{
	int			low = 0;
	int			high = project->count - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int			result = strcmp(version, project->entries[middle].version);

		if (result == 0)
			return &project->entries[middle];
		if (result < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return NULL;
}

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
remember(char **version, const char *value)
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
		remember(&tally->newest, entry->version);
		tally->newest_seq = entry->seq;
	}
	if (entry->kind == MIG_VERSIONED &&
		(tally->highest == NULL ||
		 mig_version_compare(tally->highest, entry->version) < 0))
		remember(&tally->highest, entry->version);
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

static void
unknown_version(const MigProject *project, const char *version)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_UNKNOWN_VERSION),
			 errmsg("migration \"%s\" does not exist", version),
			 errdetail("Project \"%s\" has no such version.", project->name),
			 errhint("migrate.status() lists the versions.")));
}

static MigEntry *
find_or_error(const MigProject *project, const char *version)
{
	MigEntry   *entry = mig_plan_find(project, version);

	if (entry == NULL)
		unknown_version(project, version);
	return entry;
}


/*
 * Order
 */

static int
compare_entries(const void *a, const void *b)
{
	const MigEntry *left = *(MigEntry *const *) a;
	const MigEntry *right = *(MigEntry *const *) b;

	if (left->kind != right->kind)
		return left->kind == MIG_VERSIONED ? -1 : 1;
	return mig_version_compare(left->version, right->version);
}

/* smallest position first; binaryheap keeps the greatest on top */
static int
compare_positions(Datum a, Datum b, void *arg)
{
	MigEntry   *entries = (MigEntry *) arg;
	int			left = entries[DatumGetInt32(a)].position;
	int			right = entries[DatumGetInt32(b)].position;

	return left == right ? 0 : (left < right ? 1 : -1);
}

/*
 * Is this a requirement on another project, "project:version"?  A version of
 * the own project may contain a colon, and has been looked for before.
 */
static bool
split_external(const char *requirement, char **project, char **version)
{
	const char *colon = strchr(requirement, ':');

	if (colon == NULL || colon == requirement || colon[1] == '\0')
		return false;
	*project = pnstrdup(requirement, colon - requirement);
	*version = pstrdup(colon + 1);
	return true;
}

static void
missing_requirement(const MigEntry *entry, const char *requirement)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_REQUIREMENT),
			 errmsg("migration \"%s\" requires \"%s\", which does not exist",
					entry->version, requirement),
			 errhint("Add the missing migration, or mend the requirement.")));
}

static Graph *
build_graph(const MigProject *project, bool strict)
{
	Graph	   *graph = palloc0(sizeof(Graph));
	int			i;
	int			r;

	graph->count = project->count;
	graph->requires = palloc0(sizeof(int *) * Max(project->count, 1));
	for (i = 0; i < project->count; i++)
	{
		const MigEntry *entry = &project->entries[i];

		graph->requires[i] = palloc(sizeof(int) * Max(entry->nrequires, 1));
		for (r = 0; r < entry->nrequires; r++)
		{
			MigEntry   *required = mig_plan_find(project, entry->requires[r]);
			char	   *other_project;
			char	   *other_version;

			graph->requires[i][r] = required ? entry_index(project, required) : -1;
			if (required != NULL)
				graph->nedges++;
			else if (strict && !entry->applied &&
					 !split_external(entry->requires[r], &other_project,
									 &other_version))
				missing_requirement(entry, entry->requires[r]);
		}
	}
	return graph;
}

/* name one cycle among the entries that could not be placed */
static void
report_cycle(const MigProject *project, const Graph *graph, const bool *placed)
{
	bool	   *seen = palloc0(sizeof(bool) * project->count);
	StringInfoData path;
	int			i;
	int			start;

	for (i = 0; placed[i]; i++)
		;
	/* walk along unplaced requirements until one comes again */
	while (!seen[i])
	{
		int			r;

		seen[i] = true;
		for (r = 0; r < project->entries[i].nrequires; r++)
		{
			int			next = graph->requires[i][r];

			if (next >= 0 && !placed[next])
			{
				i = next;
				break;
			}
		}
	}
	initStringInfo(&path);
	start = i;
	appendStringInfo(&path, "\"%s\"", project->entries[i].version);
	do
	{
		int			r = 0;

		while (graph->requires[i][r] < 0 || placed[graph->requires[i][r]])
			r++;
		i = graph->requires[i][r];
		appendStringInfo(&path, " requires \"%s\"", project->entries[i].version);
	} while (i != start);

	ereport(ERROR,
			(errcode(MIG_ERRCODE_CYCLE),
			 errmsg("migrations require one another in a circle"),
			 errdetail("%s.", path.data),
			 errhint("Take one of these requirements out.")));
}

/*
 * Topological order with the position in version order as tie-break.  On
 * return order[] holds the entries; position is still that of the versions.
 */
static void
order_by_requirements(MigProject *project, const Graph *graph, bool strict)
{
	int			count = project->count;
	int		   *blockers = palloc0(sizeof(int) * count);
	int		   *first = palloc0(sizeof(int) * (count + 1));
	int		   *dependents = palloc(sizeof(int) * Max(graph->nedges, 1));
	bool	   *placed = palloc0(sizeof(bool) * count);
	binaryheap *ready = binaryheap_allocate(count, compare_positions,
											project->entries);
	int			nplaced = 0;
	int			i;
	int			r;

	/* dependents of entry i end up in dependents[first[i] .. first[i + 1]) */
	for (i = 0; i < count; i++)
		for (r = 0; r < project->entries[i].nrequires; r++)
			if (graph->requires[i][r] >= 0)
			{
				first[graph->requires[i][r] + 1]++;
				blockers[i]++;
			}
	for (i = 0; i < count; i++)
		first[i + 1] += first[i];
	for (i = 0; i < count; i++)
		for (r = 0; r < project->entries[i].nrequires; r++)
			if (graph->requires[i][r] >= 0)
				dependents[first[graph->requires[i][r]]++] = i;
	for (i = count; i > 0; i--)
		first[i] = first[i - 1];
	first[0] = 0;

	for (i = 0; i < count; i++)
		if (blockers[i] == 0)
			binaryheap_add(ready, Int32GetDatum(i));
	while (!binaryheap_empty(ready))
	{
		int			next = DatumGetInt32(binaryheap_remove_first(ready));

		placed[next] = true;
		project->order[nplaced++] = &project->entries[next];
		for (r = first[next]; r < first[next + 1]; r++)
			if (--blockers[dependents[r]] == 0)
				binaryheap_add(ready, Int32GetDatum(dependents[r]));
	}
	if (nplaced == count)
		return;
	if (strict)
		report_cycle(project, graph, placed);
	for (i = 0; i < count; i++)
		if (!placed[i])
			project->order[nplaced++] = &project->entries[i];
}

/* does a version consist of nothing but numbers, so that its order matters? */
static bool
is_number(const char *version)
{
	return strspn(version, "0123456789._-") == strlen(version);
}

/*
 * Is the project ordered by requirements alone?  All but at most one say what
 * they require, and the versions are not just numbers.
 */
static bool
is_by_requirements(const MigEntry *entries, int count)
{
	int			roots = 0;
	int			names = 0;
	int			versioned = 0;
	int			i;

	for (i = 0; i < count; i++)
	{
		if (entries[i].kind != MIG_VERSIONED)
			continue;
		versioned++;
		if (entries[i].nrequires == 0)
			roots++;
		if (!is_number(entries[i].version))
			names++;
	}
	return versioned > 1 && roots <= 1 && names > 0;
}

MigProject *
mig_plan_project(const char *name, MigEntry *entries, int count, bool strict)
{
	MigProject *project = palloc0(sizeof(MigProject));
	Graph	   *graph;
	int			i;

	project->name = name;
	project->count = count;
	project->entries = entries;
	project->order = palloc(sizeof(MigEntry *) * Max(count, 1));
	for (i = 0; i < count; i++)
		project->order[i] = &entries[i];
	project->by_requirements = is_by_requirements(entries, count);
	qsort(project->order, count, sizeof(MigEntry *), compare_entries);
	for (i = 0; i < count; i++)
		project->order[i]->position = i;

	graph = build_graph(project, strict);
	if (graph->nedges > 0)
	{
		order_by_requirements(project, graph, strict);
		for (i = 0; i < count; i++)
			project->order[i]->position = i;
	}
	return project;
}

/* mark an entry and all that it requires */
static void
mark_required(const MigProject *project, MigEntry *entry, bool *marked)
{
	int			index = entry_index(project, entry);
	int			r;

	check_stack_depth();
	if (marked[index])
		return;
	marked[index] = true;
	for (r = 0; r < entry->nrequires; r++)
	{
		MigEntry   *required = mig_plan_find(project, entry->requires[r]);

		if (required != NULL)
			mark_required(project, required, marked);
	}
}

bool *
mig_plan_up_to(const MigProject *project, const char *target)
{
	bool	   *wanted = palloc0(sizeof(bool) * Max(project->count, 1));
	MigEntry   *entry;
	int			i;

	if (target == NULL || strcmp(target, MIG_TARGET_HEAD) == 0)
	{
		memset(wanted, true, project->count);
		return wanted;
	}
	if (strcmp(target, MIG_TARGET_BASE) == 0)
		return wanted;
	entry = find_or_error(project, target);
	if (project->by_requirements)
		mark_required(project, entry, wanted);
	else
		for (i = 0; i <= entry->position; i++)
			wanted[entry_index(project, project->order[i])] = true;
	return wanted;
}

List *
mig_plan_heads(const MigProject *project)
{
	bool	   *followed = palloc0(sizeof(bool) * Max(project->count, 1));
	List	   *heads = NIL;
	int			i;
	int			r;

	for (i = 0; project->by_requirements && i < project->count; i++)
		for (r = 0; r < project->entries[i].nrequires; r++)
		{
			MigEntry   *required = mig_plan_find(project,
												 project->entries[i].requires[r]);

			if (required != NULL && project->entries[i].kind == MIG_VERSIONED)
				followed[entry_index(project, required)] = true;
		}
	for (i = project->count - 1; i >= 0; i--)
	{
		MigEntry   *entry = project->order[i];

		if (entry->kind != MIG_VERSIONED ||
			followed[entry_index(project, entry)])
			continue;
		heads = lcons(entry, heads);
		if (!project->by_requirements)
			break;
	}
	return heads;
}

void
mig_plan_warn_heads(const MigProject *project)
{
	List	   *heads = NIL;
	ListCell   *lc;

	foreach(lc, mig_plan_heads(project))
		heads = lappend(heads, ((MigEntry *) lfirst(lc))->version);
	if (list_length(heads) > 1)
		ereport(WARNING,
				(errmsg("project \"%s\" has %d heads: %s",
						project->name, list_length(heads),
						mig_name_list(heads)),
				 errhint("Add a migration that requires all of them, so that what follows has one order everywhere.")));
}


/*
 * Up
 */

static List *
versions_of(List *entries)
{
	List	   *versions = NIL;
	ListCell   *lc;

	foreach(lc, entries)
		versions = lappend(versions, ((MigEntry *) lfirst(lc))->version);
	return versions;
}

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
				 errdetail("Changed: %s.", mig_name_list(versions_of(changed))),
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
		int			index = entry_index(project, entry);

		if (only_pending && !mig_plan_is_pending(entry))
			continue;
		blocked[index] = entry->held_reason != NULL;
		for (r = 0; r < entry->nrequires && !blocked[index]; r++)
		{
			MigEntry   *required = mig_plan_find(project, entry->requires[r]);

			if (required != NULL)
				blocked[index] = blocked[entry_index(project, required)];
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
		int			index = entry_index(project, entry);

		if (!mig_plan_is_pending(entry))
			wanted[index] = false;
		if (wanted[index] && blocked[index])
			plan->held = lappend(plan->held, entry);
		if (blocked[index])
			wanted[index] = false;
	}
}

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
				if (required->applied || wanted[entry_index(project, required)])
					continue;
			}
			else if (!split_external(entry->requires[r], &other_project,
									 &other_version))
				missing_requirement(entry, entry->requires[r]);
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
			 mig_version_compare(highest->version, entry->version) < 0))
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
		mig_version_compare(entry->version, highest->version) < 0;
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
			(wanted == NULL || wanted[entry_index(project, entry)]))
			late = lappend(late, entry->version);
	}
	return late;
}

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
		letters = letters || !is_number(((MigEntry *) lfirst(lc))->version);
	if (late != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_OUT_OF_ORDER),
				 errmsg_plural("%d pending migration is out of order",
							   "%d pending migrations are out of order",
							   list_length(late), list_length(late)),
				 errdetail("Pending: %s.  Applied already%s: \"%s\".%s",
						   mig_name_list(versions_of(late)),
						   newest->applied ? "" : " in part", newest->version,
						   letters || !is_number(newest->version) ?
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

		if (entry->kind == MIG_VERSIONED && !entry->has_down &&
			!entry->irreversible)
			lacking = lappend(lacking, entry);
	}
	mig_refuse_without_down(versions_of(lacking), MIG_HINT_POLICY_DOWN);
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
			mark_required(project, &project->entries[i], first);
	}
	plan->steps = palloc(sizeof(MigEntry *) * Max(project->count, 1));
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < project->count; i++)
		{
			int			index = entry_index(project, project->order[i]);

			if (wanted[index] && first[index] == (pass == 0))
				plan->steps[plan->nsteps++] = project->order[i];
		}
}

MigPlan *
mig_plan_up(const MigProject *project, const char *target, bool restricted,
			List *versions, const MigPolicy *policy, MigIsApplied is_applied)
{
	MigPlan    *plan = palloc0(sizeof(MigPlan));
	bool	   *wanted;
	ListCell   *lc;

	if (target != NULL && strcmp(target, MIG_TARGET_BASE) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot apply up to \"%s\"", MIG_TARGET_BASE),
				 errhint("migrate.rollback_to('%s') undoes everything.",
						 MIG_TARGET_BASE)));
	refuse_changed(project);
	wanted = mig_plan_up_to(project, target);
	if (restricted)
	{
		bool	   *named = palloc0(sizeof(bool) * Max(project->count, 1));
		int			i;

		foreach(lc, versions)
			named[entry_index(project, find_or_error(project, lfirst(lc)))] = true;
		for (i = 0; i < project->count; i++)
			wanted[i] = wanted[i] && named[i];
	}
	select_pending(project, wanted, plan);
	check_requirements(project, wanted, is_applied);
	collect_steps(project, wanted, plan);
	if (!policy->allow_out_of_order)
		refuse_out_of_order(plan, project);
	if (policy->require_down)
		refuse_without_down(plan);
	return plan;
}


/*
 * Half-way
 */

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
			 up ? errhint("CALL migrate.apply_each() goes on with it.  Or undo by hand what it has done, and say so with SELECT migrate.resume('%s', at => 1).",
						  entry->version) :
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
		int			order = mig_version_compare(step->version, entry->version);

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
						   mig_name_list(versions_of(past))),
				 errhint("Let it go on with migrate.unhold('%s'), or set out_of_order to 'allow' in migrate.policy.",
						 entry->version)));
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


/*
 * Down
 */

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
		MigEntry   *entry = find_or_error(project, lfirst(lc));

		if (!entry->applied)
			ereport(ERROR,
					(errcode(MIG_ERRCODE_UNKNOWN_VERSION),
					 errmsg("migration \"%s\" is not applied", entry->version)));
		chosen[entry_index(project, entry)] = true;
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
			chosen[entry_index(project, entry)] = true;
	}
}

/* what is partly rolled back is the first of so many steps; how many that are */
static int
choose_half_way(const MigProject *project, int steps, bool *chosen)
{
	int			count = 0;
	int			i;

	for (i = 0; i < project->count && count < steps; i++)
	{
		const MigEntry *entry = project->order[i];

		if (!entry->applied || !entry->partial ||
			entry->partial_part != MIG_DOWN)
			continue;
		chosen[entry_index(project, entry)] = true;
		if (entry->kind == MIG_VERSIONED)
			count++;
	}
	return count;
}

/*
 * More steps than are applied: it is a version that was meant, or everything,
 * and whoever means everything can say so.
 */
static void
refuse_too_many_steps(const MigProject *project, int steps, int left)
{
	char	   *number = psprintf("%d", steps);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg_plural("cannot roll back %d migration",
						   "cannot roll back %d migrations", steps, steps),
			 errdetail_plural("%d versioned migration is applied.",
							  "%d versioned migrations are applied.",
							  steps - left, steps - left),
			 mig_plan_find(project, number) != NULL ?
			 errhint("The number is a count.  Target '%s', as in migrate.rollback_to('%s'), undoes what came after that version, and target '%s' undoes everything.",
					 number, number, MIG_TARGET_BASE) :
			 errhint("The number is a count.  Target '%s', as in migrate.rollback_to('%s'), undoes everything.",
					 MIG_TARGET_BASE, MIG_TARGET_BASE)));
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
	int			left = choice->steps;
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
		if (strcmp(applied[i]->how, "apply") == 0)
			run = applied[i]->run;
	}
	for (i = 0; i < napplied; i++)
	{
		int			index = entry_index(project, applied[i]);

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
		refuse_too_many_steps(project, choice->steps, left);
	return chosen;
}

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

			if (required != NULL && chosen[entry_index(project, required)])
				ereport(ERROR,
						(errcode(MIG_ERRCODE_REQUIREMENT),
						 errmsg("cannot roll back migration \"%s\" because \"%s\" requires it",
								required->version, entry->version),
						 entry->has_down ?
						 errhint("Roll back \"%s\" too.", entry->version) :
						 errhint("It has no down body: undo its work by hand, then call migrate.unstamp('%s').",
								 entry->version)));
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
	mig_refuse_without_down(versions_of(lacking),
							"Give it one with migrate.amend(), or undo its work by hand and then call migrate.unstamp().");
	if (changed != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CHANGED),
				 errmsg_plural("the down body of %d applied migration has changed",
							   "the down bodies of %d applied migrations have changed",
							   list_length(changed), list_length(changed)),
				 errdetail("Changed: %s.", mig_name_list(versions_of(changed))),
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
	int			index = entry_index(project, entry);
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
				dependents[entry_index(project, required)] =
					lappend(dependents[entry_index(project, required)], entry);
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
				 errdetail("They are %s.", mig_name_list(dependents)),
				 errhint("Roll those back first.")));
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

	plan->steps = palloc(sizeof(MigEntry *) * Max(napplied, 1));
	for (i = 0; i < napplied; i++)
	{
		int			index = entry_index(project, applied[i]);

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
	return plan;
}
