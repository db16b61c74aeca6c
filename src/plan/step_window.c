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

#include "ledger/migration.h"
#include "plan/step_window.h"

struct MigAgendaItem
{
	char	   *version;
	int64		seq;			/* what the ledger had when it was planned */
	bool		applied;
};

static void
set_item(MigAgendaItem *item, const MigEntry *entry)
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
	entry->held_reason = entry->how = NULL;
}

/* make room for the steps from number first on, and their entries */
static MigEntry *
begin_steps(MigAgenda *agenda, int first)
{
	MigEntry   *entries;
	int			i;

	MemoryContextReset(agenda->context);
	agenda->first = first;
	agenda->count = Min(agenda->nsteps - first, MIG_CHUNK_MIGRATIONS);
	agenda->steps = MemoryContextAlloc(agenda->context,
									   sizeof(MigStep) * agenda->count);
	entries = MemoryContextAlloc(agenda->context,
								 sizeof(MigEntry) * agenda->count);
	for (i = 0; i < agenda->count; i++)
	{
		agenda->steps[i].part = agenda->part;
		agenda->steps[i].entry = &entries[i];
	}
	return entries;
}

void
mig_agenda_begin(MigAgenda *agenda, MigPart part, const MigPlan *plan)
{
	MemoryContext old;
	MigEntry   *entries;
	int			i;

	agenda->context = AllocSetContextCreate(CurrentMemoryContext,
											"migrate next steps",
											ALLOCSET_DEFAULT_SIZES);
	agenda->part = part;
	agenda->nsteps = plan->nsteps;
	agenda->items = palloc_extended(sizeof(MigAgendaItem) * plan->nsteps,
									MCXT_ALLOC_HUGE);
	for (i = 0; i < plan->nsteps; i++)
		set_item(&agenda->items[i], plan->steps[i]);
	entries = begin_steps(agenda, 0);
	old = MemoryContextSwitchTo(agenda->context);
	for (i = 0; i < agenda->count; i++)
		copy_entry(&entries[i], plan->steps[i]);
	MemoryContextSwitchTo(old);
}

bool
mig_agenda_read(MigAgenda *agenda, const char *project, int first)
{
	MigEntry   *entries = begin_steps(agenda, first);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "migrate read steps",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	char	  **versions = palloc(sizeof(char *) * agenda->count);
	MigEntry  **read;
	int			i;

	for (i = 0; i < agenda->count; i++)
		versions[i] = agenda->items[first + i].version;
	read = mig_ledger_entries_of(project, versions, agenda->count);
	MemoryContextSwitchTo(agenda->context);
	for (i = 0; read != NULL && i < agenda->count; i++)
	{
		const MigAgendaItem *item = &agenda->items[first + i];

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
mig_agenda_rest(const MigAgenda *agenda, int first)
{
	List	   *rest = NIL;
	int			i;

	for (i = first; i < agenda->nsteps; i++)
	{
		MigApplication *application = palloc(sizeof(MigApplication));

		application->version = pstrdup(agenda->items[i].version);
		application->seq = agenda->items[i].seq;
		rest = lappend(rest, application);
	}
	return rest;
}
