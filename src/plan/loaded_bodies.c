/*-------------------------------------------------------------------------
 *
 * loaded_bodies.c
 *	  Texts and parsed bodies of some of the steps of a run.
 *
 * The texts of a long run may not fit into memory, and reading each on its own
 * would cost a query per migration: they are read in portions of limited size.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/checksum.h"
#include "plan/loaded_bodies.h"
#include "source/trial_parse.h"

/* the other limit of a portion; one body may be larger than that on its own */
#define LOADED_BYTES (1024 * 1024)

void
mig_loaded_bodies_init(MigLoadedBodies *loaded, MemoryContext context)
{
	Assert(MemoryContextIsValid(context));
	memset(loaded, 0, sizeof(MigLoadedBodies));
	loaded->context = AllocSetContextCreate(context, "migrate chunk",
											ALLOCSET_DEFAULT_SIZES);
}

static int
window_size(const MigStep *steps, int nsteps, int first)
{
	int64		bytes = 0;
	int			count = 0;

	while (first + count < nsteps && count < MIG_LOADED_MIGRATIONS)
	{
		const MigStep *step = &steps[first + count];

		/* a portion is read by version, so it has each one once */
		if (step->part != steps[first].part)
			break;
		bytes += step->entry->length;
		if (count > 0 && bytes > LOADED_BYTES)
			break;
		count++;
	}
	return count;
}

void
mig_loaded_bodies_load(MigLoadedBodies *loaded, const char *project,
					   const MigStep *steps,
					   int nsteps, int first)
{
	int			count = window_size(steps, nsteps, first);
	MemoryContext old;

	Assert(first >= 0 && first < nsteps);
	if (loaded->count > 0 && loaded->first == first)
		return;
	loaded->count = 0;
	MemoryContextReset(loaded->context);
	old = MemoryContextSwitchTo(loaded->context);
	loaded->bodies = mig_runnable_read(project, steps + first, count);
	MemoryContextSwitchTo(old);
	loaded->first = first;
	loaded->count = count;
}

bool
mig_loaded_bodies_have(const MigLoadedBodies *loaded, int i)
{
	Assert(i >= 0);
	return i >= loaded->first && i < loaded->first + loaded->count;
}

void
mig_loaded_bodies_forget(MigLoadedBodies *loaded)
{
	loaded->first = loaded->count = 0;
}

const char *
mig_loaded_bodies_own_transaction(const MigLoadedBodies *loaded,
								  const MigStep *steps, int i)
{
	const MigStep *step = &steps[loaded->first + i];
	const MigStatement *statement;

	Assert(i >= 0 && i < loaded->count);
	if (step->entry->partial)
		return "partly done";

	/* the marker "transactional" is about the up body */
	if (step->part == MIG_UP && step->entry->transactional == MIG_TX_ON)
		return NULL;
	statement =
		mig_body_own_transaction(mig_runnable_body(loaded->bodies[i].body));
	if (statement != NULL)
		return statement->own_transaction;
	if (step->part == MIG_UP && step->entry->transactional == MIG_TX_OFF)
		return "marked as not transactional";
	return NULL;
}

void
mig_loaded_bodies_warn_empty(const MigLoadedBodies *loaded,
							 const MigStep *steps, int i)
{
	const MigStep *step = &steps[loaded->first + i];
	const MigStepTexts *bodies = &loaded->bodies[i];

	if (step->part == MIG_DOWN && !bodies->texts->does_nothing &&
		mig_runnable_body(bodies->body)->nstatements == 0 &&
		!mig_trial_is_empty(bodies->texts->up))
		ereport(WARNING,
				(errmsg("the down body of migration \"%s\" has no statement: nothing was undone",
						step->entry->version)));
}

const char *
mig_loaded_bodies_action(MigPart part)
{
	return part == MIG_UP ? "apply" : "rollback";
}

const char *
mig_loaded_bodies_text(const MigLoadedBodies *loaded, const MigStep *steps,
					   int i)
{
	Assert(i >= 0 && i < loaded->count);
	return mig_migration_texts_part(loaded->bodies[i].texts,
									steps[loaded->first + i].part);
}

void
mig_loaded_bodies_fill_row(const MigLoadedBodies *loaded, const MigStep *steps,
						   int i,
						   MigJournalRow *row)
{
	const MigStep *step = &steps[loaded->first + i];
	const MigTexts *texts = loaded->bodies[i].texts;
	const char *text = mig_loaded_bodies_text(loaded, steps, i);
	const char *checksum = step->part == MIG_UP ?
		texts->checksum : texts->down_checksum;

	Assert(i >= 0 && i < loaded->count);
	row->action = mig_loaded_bodies_action(step->part);
	row->version = step->entry->version;
	row->name = step->entry->name;
	row->checksum = texts->checksum;
	row->down_checksum = texts->down_checksum;
	row->body_hash = mig_checksum_exact(text,
										checksum ? checksum : mig_checksum(text));
	if (loaded->bodies[i].verify != NULL)
		row->verify_hash = mig_checksum_exact(texts->verify,
											  mig_checksum(texts->verify));
}
