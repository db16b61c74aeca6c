/*-------------------------------------------------------------------------
 *
 * plan_order.c
 *	  The order of a project's migrations.
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

#include "base/errors.h"
#include "base/version_order.h"
#include "plan/plan.h"

/* requirements of a project as indexes of its entries */
typedef struct Graph
{
	int			count;
	int		  **requires;		/* per entry; -1: not in this project */
	int			nedges;
} Graph;

MigEntry *
mig_plan_find(const MigProject *project, const char *version)
{
	int			low = 0;
	int			high = project->count - 1;

	Assert(version != NULL);
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

static void
unknown_version(const MigProject *project, const char *version)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_UNKNOWN_VERSION),
			 errmsg("migration \"%s\" does not exist", version),
			 errdetail("Project \"%s\" has no such version.", project->name),
			 errhint("migrate.status() lists the versions.")));
}

MigEntry *
mig_plan_find_or_error(const MigProject *project, const char *version)
{
	MigEntry   *entry = mig_plan_find(project, version);

	if (entry == NULL)
		unknown_version(project, version);
	return entry;
}

List *
mig_plan_versions(List *entries)
{
	List	   *versions = NIL;
	ListCell   *lc;

	foreach(lc, entries)
		versions = lappend(versions, ((MigEntry *) lfirst(lc))->version);
	return versions;
}

static int
compare_entries(const void *a, const void *b)
{
	const MigEntry *left = *(MigEntry *const *) a;
	const MigEntry *right = *(MigEntry *const *) b;

	if (left->kind != right->kind)
		return left->kind == MIG_VERSIONED ? -1 : 1;
	return mig_version_order_compare(left->version, right->version);
}

/* smallest position first; binaryheap keeps the greatest on top */
static int
compare_heap_positions(Datum a, Datum b, void *arg)
{
	MigEntry   *entries = (MigEntry *) arg;
	int			left = entries[DatumGetInt32(a)].position;
	int			right = entries[DatumGetInt32(b)].position;

	return left == right ? 0 : (left < right ? 1 : -1);
}

bool
mig_plan_split_external(const char *requirement, char **project, char **version)
{
	const char *colon = strchr(requirement, ':');

	if (colon == NULL || colon == requirement || colon[1] == '\0')
		return false;
	*project = pnstrdup(requirement, colon - requirement);
	*version = pstrdup(colon + 1);
	return true;
}

void
mig_plan_missing_requirement(const MigEntry *entry, const char *requirement)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_REQUIREMENT),
			 errmsg("migration \"%s\" requires \"%s\", which does not exist",
					entry->version, requirement),
			 errhint("Add the missing migration, or correct the requirement.")));
}

/*
 * The migrations as nodes, in the order of project->entries, and what each
 * requires; -1 is one of another project.  If strict, one that is not stored
 * is an error.
 */
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

			graph->requires[i][r] = required ? mig_plan_index(project, required) : -1;
			if (required != NULL)
				graph->nedges++;
			else if (strict && !entry->applied &&
					 !mig_plan_split_external(entry->requires[r], &other_project,
											  &other_version))
				mig_plan_missing_requirement(entry, entry->requires[r]);
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
			 errmsg("circular requirement between migrations"),
			 errdetail("%s.", path.data),
			 errhint("Remove one of these requirements.")));
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
	binaryheap *ready = binaryheap_allocate(count, compare_heap_positions,
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
		if (!mig_version_is_number(entries[i].version))
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

void
mig_plan_mark_required(const MigProject *project, MigEntry *entry, bool *marked)
{
	int			index = mig_plan_index(project, entry);
	int			r;

	Assert(marked != NULL);
	check_stack_depth();
	if (marked[index])
		return;
	marked[index] = true;
	for (r = 0; r < entry->nrequires; r++)
	{
		MigEntry   *required = mig_plan_find(project, entry->requires[r]);

		if (required != NULL)
			mig_plan_mark_required(project, required, marked);
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
	entry = mig_plan_find_or_error(project, target);
	if (project->by_requirements)
		mig_plan_mark_required(project, entry, wanted);
	else
		for (i = 0; i <= entry->position; i++)
			wanted[mig_plan_index(project, project->order[i])] = true;
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
				followed[mig_plan_index(project, required)] = true;
		}
	for (i = project->count - 1; i >= 0; i--)
	{
		MigEntry   *entry = project->order[i];

		if (entry->kind != MIG_VERSIONED ||
			followed[mig_plan_index(project, entry)])
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
						mig_error_name_list(heads)),
				 errhint("Add a migration that requires all of them, so that what follows has one order everywhere.")));
}
