/*-------------------------------------------------------------------------
 *
 * runnable.c
 *	  Bodies that this session may run.
 *
 * Whose text may run is decided where the text is read.  A row can be another
 * one whenever the runner lock has been lost, and so can its author: nothing
 * that was read at another time is asked, and what is executed is made here,
 * of the bytes that were judged.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/checksum.h"
#include "base/errors.h"
#include "plan/preflight.h"
#include "plan/runnable.h"

struct MigRunnable
{
	MigLabel	label;
	const MigBody *body;
	const MigAuthor *author;
};

const MigBody *
mig_runnable_body(const MigRunnable *runnable)
{
	Assert(runnable->body != NULL);
	return runnable->body;
}

const MigLabel *
mig_runnable_label(const MigRunnable *runnable)
{
	return &runnable->label;
}

void
mig_runnable_check(const MigRunnable *runnable)
{
	Assert(runnable->author != NULL);
	mig_preflight_author(runnable->label.version, runnable->label.part,
						 runnable->author);
}

/* a gate can be switched off: hash again what is going to run */
static void
check_hash(const MigEntry *entry, MigPart part, const char *text,
		   const char *checksum)
{
	Assert(text != NULL);
	if (checksum != NULL && strcmp(mig_checksum(text), checksum) == 0)
		return;
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CHANGED),
			 errmsg("the %s body of migration \"%s\" does not match its checksum",
					mig_body_part_name(part), entry->version),
			 errdetail("The row was modified while the trigger was disabled."),
			 errhint("Put the text back, or store it again.")));
}

/* NULL if there is no text */
static const MigRunnable *
make_runnable(const MigEntry *entry, MigPart part, const MigTexts *texts)
{
	static const MigAuthor nobody = {NULL, true};
	const char *text = mig_migration_texts_part(texts, part);
	bool		made_up = part == MIG_DOWN && texts->does_nothing;
	MigRunnable *runnable;

	if (text == NULL)
		return NULL;
	if (part != MIG_VERIFY && !made_up)
		check_hash(entry, part, text, part == MIG_UP ?
				   texts->checksum : texts->down_checksum);
	runnable = palloc(sizeof(MigRunnable));
	mig_body_label_of_entry(&runnable->label, entry, part, false);
	runnable->author = made_up ? &nobody : &texts->authors[part];
	mig_runnable_check(runnable);
	runnable->body = mig_body_parse(text, &runnable->label);
	return runnable;
}

MigStepTexts *
mig_runnable_read(const char *project, const MigStep *steps, int count)
{
	MigEntry  **entries = palloc(sizeof(MigEntry *) * Max(count, 1));
	MigStepTexts *result = palloc0(sizeof(MigStepTexts) * Max(count, 1));
	const MigTexts *texts;
	int			i;

	for (i = 0; i < count; i++)
		entries[i] = steps[i].entry;
	texts = mig_migration_texts(project, entries, count);
	for (i = 0; i < count; i++)
	{
		result[i].texts = &texts[i];
		result[i].body = make_runnable(entries[i], steps[i].part, &texts[i]);
		if (result[i].body == NULL)
			mig_migration_removed_meanwhile();
		if (steps[i].part == MIG_UP)
			result[i].verify = make_runnable(entries[i], MIG_VERIFY, &texts[i]);
	}
	return result;
}

void
mig_runnable_refuse_strangers(const char *project, MigPart part,
							  MigEntry **entries, int count)
{
	char	  **versions;
	char	   *version;
	MigAuthor	author;
	int			i;

	if (count == 0 || mig_preflight_trusts_all())
		return;
	versions = palloc(sizeof(char *) * count);
	for (i = 0; i < count; i++)
		versions[i] = entries[i]->version;
	if (mig_migration_stranger(project, part, versions, count, &version,
							   &author))
		mig_preflight_author(version, part, &author);
	pfree(versions);
}
