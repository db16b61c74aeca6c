/*-------------------------------------------------------------------------
 *
 * store.c
 *	  What is done with one stored migration: remove, amend, hold.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "admin/amendment.h"
#include "admin/source_check.h"
#include "admin/store.h"
#include "admin/trigger.h"
#include "base/errors.h"
#include "ledger/entry.h"
#include "ledger/journal.h"
#include "ledger/migration.h"
#include "plan/project.h"
#include "plan/preflight.h"
#include "plan/run_lock.h"

/* after a change: bring migrate.state up to date */
static void
finish_change(const char *name)
{
	mig_project_write_state(mig_project_read(name, NIL, false, false));
}

/* the stored row of a version, with the lock held */
static MigEntry *
locked_entry(const char *project, const char *version, const char *what)
{
	MigEntry   *entry;

	mig_preflight_transaction(what);
	mig_run_lock_acquire();
	entry = mig_entry_read(project, version);
	if (entry != NULL && entry->stored)
		return entry;
	ereport(ERROR,
			(errcode(MIG_ERRCODE_UNKNOWN_VERSION),
			 errmsg("migration \"%s\" does not exist", version),
			 errdetail("Project \"%s\" has no text of such a version.", project),
			 errhint("migrate.status() lists the versions.")));
}

/* a removal must not leave a requirement without its migration */
static void
refuse_required(const char *name, const char *version)
{
	const MigProject *project = mig_project_read(name, NIL, false, false);
	int			i;
	int			r;

	for (i = 0; i < project->count; i++)
	{
		const MigEntry *entry = &project->entries[i];

		for (r = 0; r < entry->nrequires && !entry->applied; r++)
		{
			if (strcmp(entry->requires[r], version) == 0 &&
				strcmp(entry->version, version) != 0)
				ereport(ERROR,
						(errcode(MIG_ERRCODE_REQUIREMENT),
						 errmsg("cannot remove migration \"%s\" because \"%s\" requires it",
								version, entry->version),
						 errhint("Remove \"%s\" first.", entry->version)));
		}
	}
}

void
mig_store_remove(const char *project, const char *version)
{
	MigEntry   *entry = locked_entry(project, version, "remove a migration");

	if (entry->applied)
		mig_amendment_refuse(version, "remove",
							 "Roll it back first, or record it as not applied with migrate.unstamp().");
	if (entry->held_reason != NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_HELD),
				 errmsg("cannot remove migration \"%s\" because it is held",
						version),
				 errdetail("Reason: %s", entry->held_reason),
				 errhint("Let it go first with migrate.unhold().")));
	if (entry->partial)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_PARTIAL),
				 errmsg("cannot remove migration \"%s\" because it is partly applied",
						version),
				 errhint("Undo by hand what it has done and say so with SELECT migrate.resume(%s, at => 1), or go on with CALL migrate.apply_each().",
						 quote_literal_cstr(version))));
	refuse_required(project, version);
	mig_migration_delete(project, list_make1(entry->version));
	finish_change(project);
}

void
mig_store_amend(const char *project, const char *version, const char *up,
				const char *down, const char *verify, const char *note)
{
	MigEntry   *entry = locked_entry(project, version, "amend a migration");
	MigTexts   *old = mig_migration_texts(project, &entry, 1);
	MigTexts	texts = *old;
	MigSource	source = {0};
	MigAmendment amendment = {0};
	MigAuthor	authors[MIG_VERIFY + 1];

	if (!entry->applied && !entry->partial)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_UNKNOWN_VERSION),
				 errmsg("migration \"%s\" is not applied", version),
				 errhint("The text of a pending migration is changed by migrate.load(), or by migrate.remove() and migrate.add().")));
	if (up == NULL && down == NULL && verify == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no new text for migration \"%s\"", version),
				 errhint("Give at least one of up, down and verify.  migrate.stamp() accepts a text as it is stored.")));
	if (up != NULL)
		texts.up = pstrdup(up);
	if (down != NULL)
		texts.down = pstrdup(down);
	if (verify != NULL)
		texts.verify = pstrdup(verify);

	/* these texts come from the call, not from the files */
	source.version = unconstify(char *, version);
	source.transactional = entry->transactional;
	mig_source_check_body(&source, MIG_UP, up);
	mig_source_check_body(&source, MIG_DOWN, down);
	mig_source_check_body(&source, MIG_VERIFY, verify);
	amendment.project = project;
	amendment.version = version;
	amendment.name = entry->name;
	amendment.old[MIG_UP] = old->up;
	amendment.old[MIG_DOWN] = old->down;
	amendment.old[MIG_VERIFY] = old->verify;
	amendment.new[MIG_UP] = texts.up;
	amendment.new[MIG_DOWN] = texts.down;
	amendment.new[MIG_VERIFY] = texts.verify;
	mig_trigger_find_authors(NULL, authors);
	mig_trigger_begin(true, authors);
	PG_TRY();
	{
		mig_migration_amend(project, version, &texts, mig_trigger_caller());
	}
	PG_FINALLY();
	{
		mig_trigger_end();
	}
	PG_END_TRY();
	mig_amendment_record(list_make1(&amendment), note);
	finish_change(project);
}

void
mig_store_hold(const char *project, const char *version, const char *reason)
{
	MigEntry   *entry = locked_entry(project, version, reason ?
									 "hold a migration" :
									 "unhold a migration");
	MigJournalBatch *batch = mig_journal_batch_begin();
	MigJournalRow row;

	if (reason == NULL && entry->held_reason == NULL)
	{
		ereport(NOTICE,
				(errmsg("migration \"%s\" is not held", version)));
		return;
	}
	mig_migration_hold(project, list_make1(entry->version), reason);
	mig_journal_event(&row, mig_journal_next_run(), project,
					  reason ? "hold" : "unhold", reason);
	row.seq = 1;
	row.version = version;
	row.name = entry->name;
	mig_journal_batch_add(batch, &row);
	mig_journal_batch_flush(batch);
	mig_journal_batch_end(batch);
	finish_change(project);
}
