/*-------------------------------------------------------------------------
 *
 * amendment.c
 *	  Texts of applied migrations that give way to others.
 *
 * An applied text never changes but on purpose, or in comments and blanks
 * alone.  Both go by mig_amendment_record(): the old text is kept, the journal has a row
 * for it, and the ledger takes the new checksum.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"


#include "admin/amendment.h"
#include "admin/source_check.h"
#include "base/checksum.h"
#include "base/errors.h"
#include "ledger/applied.h"
#include "ledger/journal.h"
#include "source/tokens.h"

void
mig_amendment_refuse(const char *version, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_APPLIED),
			 errmsg("cannot %s migration \"%s\" because it is applied", what,
					version),
			 errhint("%s", hint)));
}

/* journal one replaced text, and keep it */
static void
add_amended_part(MigJournalBatch *batch, MigJournalRow *row, MigPart part,
				 const char *old_text, const char *new_text)
{
	if (mig_source_check_same(old_text, new_text))
		return;
	row->seq++;
	row->body = mig_body_part_name(part);
	row->body_hash = old_text ? mig_checksum_exact(old_text,
												   mig_checksum(old_text)) : NULL;
	mig_journal_batch_add(batch, row);
	if (old_text != NULL)
		mig_journal_batch_add_body(batch, row->body_hash, row->run, old_text);
}

/*
 * Write down that the texts of migrations (MigAmendment *) are replaced, and have
 * the ledger take the new ones for what was applied.
 */
void
mig_amendment_record(List *amendments, const char *note)
{
	const MigAmendment *first = linitial(amendments);
	MigJournalBatch *batch = mig_journal_batch_begin();
	MigJournalRow row;
	ListCell   *lc;

	mig_journal_event(&row, mig_journal_next_run(), first->project, "amend",
					  note);
	foreach(lc, amendments)
	{
		const MigAmendment *amendment = lfirst(lc);

		row.version = amendment->version;
		row.name = amendment->name;
		row.note = amendment->note ? amendment->note : note;
		row.checksum = mig_checksum(amendment->new[MIG_UP]);
		row.down_checksum = amendment->new[MIG_DOWN] ?
			mig_checksum(amendment->new[MIG_DOWN]) : NULL;
		for (int part = MIG_UP; part <= MIG_VERIFY; part++)
			add_amended_part(batch, &row, part, amendment->old[part],
							 amendment->new[part]);
		mig_applied_accept(amendment->project, amendment->version,
						   row.checksum, row.down_checksum);
	}
	mig_journal_batch_flush(batch);
	mig_journal_batch_end(batch);
}

/* do up and down differ in comments and blanks only? */
bool
mig_amendment_is_comment_edit(const MigAmendment *amendment)
{
	return amendment->as_applied &&
		mig_tokens_same(amendment->old[MIG_UP], amendment->new[MIG_UP]) &&
		mig_tokens_same(amendment->old[MIG_DOWN], amendment->new[MIG_DOWN]);
}

void
mig_amendment_notice_comment_edits(List *versions)
{
	ereport(NOTICE,
			(errmsg_plural("the text of %d applied migration has new comments or blanks, and is taken",
						   "the texts of %d applied migrations have new comments or blanks, and are taken",
						   list_length(versions), list_length(versions)),
			 errdetail_plural("The migration is %s.", "The migrations are %s.",
							  list_length(versions),
							  mig_error_name_list(versions))));
}
