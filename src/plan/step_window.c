/*-------------------------------------------------------------------------
 *
 * step_window.c
 *	  What a run of many transactions has to do.
 *
 * A run can be long, and its memory must not grow with it: of all steps it
 * keeps the version, and the rest only of those that are next.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "ledger/entry.h"
#include "plan/step_window.h"

struct MigStepWindowItem
{
	char	   *version;
	int64		seq;			/* what the ledger had when it was planned */
	bool		applied;
};

static void
set_item(MigStepWindowItem *item, const MigEntry *entry)
{
	item->version = pstrdup(entry->version);
	item->seq = entry->seq;
	item->applied = entry->applied;
}

static void
copy_entry(MigEntry *entry, const MigEntry *from)
{
	*entry = *from;
	entry->version = pstrdup(from->version);
	entry->name = pstrdup(from->name);
	entry->requires = NULL;
	entry->path = from->path ? pstrdup(from->path) : NULL;
	entry->down_path = from->down_path ? pstrdup(from->down_path) : NULL;
	entry->verify_path = from->verify_path ? pstrdup(from->verify_path) : NULL;
	entry->held_reason = entry->origin = NULL;
}

/* make room for the steps from number first on, and their entries */
static MigEntry *
begin_steps(MigStepWindow *window, int first)
{
	MigEntry   *entries;
	int			i;

	MemoryContextReset(window->context);
	window->first = first;
	window->count = Min(window->nsteps - first, MIG_LOADED_MIGRATIONS);
	window->steps = MemoryContextAlloc(window->context,
									   sizeof(MigStep) * window->count);
	entries = MemoryContextAlloc(window->context,
								 sizeof(MigEntry) * window->count);
	for (i = 0; i < window->count; i++)
	{
		window->steps[i].part = window->part;
		window->steps[i].entry = &entries[i];
	}
	return entries;
}

void
mig_step_window_begin(MigStepWindow *window, MigPart part, const MigPlan *plan)
{
	MemoryContext old;
	MigEntry   *entries;
	ListCell   *lc;
	int			i;

	window->again = NIL;
	foreach(lc, plan->again)
	{
		MigEntry   *entry = palloc(sizeof(MigEntry));

		copy_entry(entry, (const MigEntry *) lfirst(lc));
		window->again = lappend(window->again, entry);
	}
	window->context = AllocSetContextCreate(CurrentMemoryContext,
											"migrate next steps",
											ALLOCSET_DEFAULT_SIZES);
	window->part = part;
	window->nsteps = plan->nsteps;
	window->items = palloc_extended(sizeof(MigStepWindowItem) * plan->nsteps,
									MCXT_ALLOC_HUGE);
	for (i = 0; i < plan->nsteps; i++)
		set_item(&window->items[i], plan->steps[i]);
	entries = begin_steps(window, 0);
	old = MemoryContextSwitchTo(window->context);
	for (i = 0; i < window->count; i++)
		copy_entry(&entries[i], plan->steps[i]);
	MemoryContextSwitchTo(old);
}

bool
mig_step_window_read(MigStepWindow *window, const char *project, int first)
{
	MigEntry   *entries = begin_steps(window, first);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "migrate read steps",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	char	  **versions = palloc(sizeof(char *) * window->count);
	MigEntry  **read;
	int			i;

	Assert(first >= 0 && first < window->nsteps);
	for (i = 0; i < window->count; i++)
		versions[i] = window->items[first + i].version;
	read = mig_entry_in_order(project, versions, window->count);
	MemoryContextSwitchTo(window->context);
	for (i = 0; read != NULL && i < window->count; i++)
	{
		const MigStepWindowItem *item = &window->items[first + i];

		copy_entry(&entries[i], read[i]);

		/* whoever looks again compares with the plan */
		entries[i].applied = item->applied;
		entries[i].seq = item->seq;
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	return read != NULL;
}

List *
mig_step_window_rest(const MigStepWindow *window, int first)
{
	List	   *rest = NIL;
	int			i;

	Assert(first >= 0 && first <= window->nsteps);
	for (i = first; i < window->nsteps; i++)
	{
		MigApplication *application = palloc(sizeof(MigApplication));

		application->version = pstrdup(window->items[i].version);
		application->seq = window->items[i].seq;
		rest = lappend(rest, application);
	}
	return rest;
}
