/*-------------------------------------------------------------------------
 *
 * loaded_bodies.c
 *	  Texts and parsed bodies of some of the steps of a run.
 *
 * The texts of a long run may not fit into memory, and reading each on its own
 * would cost a query per migration: they are read in chunks of limited size.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/checksum.h"
#include "plan/loaded_bodies.h"

/* the other limit of a chunk; one body may be larger than that on its own */
#define CHUNK_BYTES (1024 * 1024)

void
mig_chunk_init(MigChunk *chunk, MemoryContext context)
{
	memset(chunk, 0, sizeof(MigChunk));
	chunk->context = AllocSetContextCreate(context, "migrate chunk",
										   ALLOCSET_DEFAULT_SIZES);
}

static int
chunk_size(const MigStep *steps, int nsteps, int first)
{
	int64		bytes = 0;
	int			count = 0;

	while (first + count < nsteps && count < MIG_CHUNK_MIGRATIONS)
	{
		const MigStep *step = &steps[first + count];

		/* a chunk is read by version, so it has each one once */
		if (step->part != steps[first].part)
			break;
		bytes += step->entry->length;
		if (count > 0 && bytes > CHUNK_BYTES)
			break;
		count++;
	}
	return count;
}

void
mig_chunk_load(MigChunk *chunk, const char *project, const MigStep *steps,
			   int nsteps, int first)
{
	int			count = chunk_size(steps, nsteps, first);
	MemoryContext old;

	if (chunk->count > 0 && chunk->first == first)
		return;
	chunk->count = 0;
	MemoryContextReset(chunk->context);
	old = MemoryContextSwitchTo(chunk->context);
	chunk->bodies = mig_texts_read(project, steps + first, count);
	MemoryContextSwitchTo(old);
	chunk->first = first;
	chunk->count = count;
}

const char *
mig_chunk_own_transaction(const MigChunk *chunk, const MigStep *steps, int i)
{
	const MigStep *step = &steps[chunk->first + i];
	const MigStatement *statement;

	if (step->entry->partial)
		return "partly done";

	/* what somebody has said is about the up body */
	if (step->part == MIG_UP && step->entry->transactional == MIG_TX_ON)
		return NULL;
	statement = mig_body_own_transaction(mig_runnable_body(chunk->bodies[i].body));
	if (statement != NULL)
		return statement->own_transaction;
	if (step->part == MIG_UP && step->entry->transactional == MIG_TX_OFF)
		return "marked as not transactional";
	return NULL;
}

const char *
mig_chunk_action(MigPart part)
{
	return part == MIG_UP ? "apply" : "rollback";
}

const char *
mig_chunk_text(const MigChunk *chunk, const MigStep *steps, int i)
{
	return mig_texts_part(chunk->bodies[i].texts, steps[chunk->first + i].part);
}

void
mig_chunk_fill_row(const MigChunk *chunk, const MigStep *steps, int i,
				   MigJournalRow *row)
{
	const MigStep *step = &steps[chunk->first + i];
	const MigTexts *texts = chunk->bodies[i].texts;
	const char *text = mig_chunk_text(chunk, steps, i);
	const char *checksum = step->part == MIG_UP ?
		texts->checksum : texts->down_checksum;

	row->action = mig_chunk_action(step->part);
	row->version = step->entry->version;
	row->name = step->entry->name;
	row->checksum = texts->checksum;
	row->down_checksum = texts->down_checksum;
	row->body = mig_exact_hash(text, checksum ? checksum : mig_checksum(text));
	if (chunk->bodies[i].verify != NULL)
		row->verify_body = mig_exact_hash(texts->verify,
										  mig_checksum(texts->verify));
}
