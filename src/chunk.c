/*-------------------------------------------------------------------------
 *
 * chunk.c
 *	  Texts and parsed bodies of some of the steps of a run.
 *
 * The texts of a long run may not fit into memory, and reading each on its own
 * would cost a query per migration: they are read in chunks of limited size.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "checksum.h"
#include "chunk.h"
#include "errors.h"

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

static void
refuse_wrong_hash(const MigEntry *entry, MigPart part)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CHANGED),
			 errmsg("the %s body of migration \"%s\" does not have its checksum",
					mig_part_name(part), entry->version),
			 errdetail("It was changed behind the back of the table's trigger."),
			 errhint("Put the text back, or store it again.")));
}

/* a gate can be switched off: hash again what is going to run */
static void
check_hash(const MigStep *step, const MigTexts *texts)
{
	const char *text = step->part == MIG_UP ? texts->up : texts->down;
	const char *checksum = step->part == MIG_UP ?
		texts->checksum : texts->down_checksum;

	if (checksum == NULL || strcmp(mig_checksum(text), checksum) != 0)
		refuse_wrong_hash(step->entry, step->part);
}

/* number i of the chunk, whose texts are there */
static void
parse_step(MigChunk *chunk, const MigStep *step, int i)
{
	MigTexts   *texts = &chunk->texts[i];
	MigLabel   *label = &chunk->labels[i];

	check_hash(step, texts);
	mig_label_of_entry(label, step->entry, step->part, false);
	chunk->bodies[i] = mig_body_parse(step->part == MIG_UP ?
									  texts->up : texts->down, label);
	if (step->part != MIG_UP || texts->verify == NULL)
		return;
	mig_label_of_entry(&chunk->verify_labels[i], step->entry, MIG_VERIFY,
					   false);
	chunk->verifies[i] = mig_body_parse(texts->verify,
										&chunk->verify_labels[i]);
}

void
mig_chunk_load(MigChunk *chunk, const char *project, const MigStep *steps,
			   int nsteps, int first)
{
	int			count = chunk_size(steps, nsteps, first);
	MigEntry  **entries;
	MemoryContext old;
	int			i;

	if (chunk->count > 0 && chunk->first == first)
		return;
	chunk->count = 0;
	MemoryContextReset(chunk->context);
	old = MemoryContextSwitchTo(chunk->context);
	entries = palloc(sizeof(MigEntry *) * count);
	for (i = 0; i < count; i++)
		entries[i] = steps[first + i].entry;
	chunk->texts = mig_ledger_texts(project, entries, count);
	chunk->bodies = palloc0(sizeof(MigBody *) * count);
	chunk->verifies = palloc0(sizeof(MigBody *) * count);
	chunk->labels = palloc0(sizeof(MigLabel) * count);
	chunk->verify_labels = palloc0(sizeof(MigLabel) * count);
	for (i = 0; i < count; i++)
		parse_step(chunk, &steps[first + i], i);
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
	statement = mig_body_own_transaction(chunk->bodies[i]);
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
	return steps[chunk->first + i].part == MIG_UP ?
		chunk->texts[i].up : chunk->texts[i].down;
}

void
mig_chunk_fill_row(const MigChunk *chunk, const MigStep *steps, int i,
				   MigJournalRow *row)
{
	const MigStep *step = &steps[chunk->first + i];
	const MigTexts *texts = &chunk->texts[i];

	row->action = mig_chunk_action(step->part);
	row->version = step->entry->version;
	row->name = step->entry->name;
	row->checksum = texts->checksum;
	row->down_checksum = texts->down_checksum;
	row->body = mig_exact_hash(mig_chunk_text(chunk, steps, i),
							   step->part == MIG_UP ?
							   texts->checksum : texts->down_checksum);
	if (chunk->verifies[i] != NULL)
		row->verify_body = mig_exact_hash(texts->verify,
										  mig_checksum(texts->verify));
}
