/*-------------------------------------------------------------------------
 *
 * detect.c
 *	  Which tools have kept a ledger in this database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "adopt/adopt.h"
#include "adopt/foreign_table.h"
#include "adopt/tool_ledger.h"
#include "base/errors.h"

/* the newest entry that is applied, or NULL; and the first one that failed */
static const MigLedgerEntry *
newest_entry(List *entries, const MigLedgerEntry **failed)
{
	const MigLedgerEntry *newest = NULL;
	ListCell   *lc;

	*failed = NULL;
	foreach(lc, entries)
	{
		const MigLedgerEntry *entry = lfirst(lc);

		if (entry->state == MIG_ENTRY_APPLIED)
			newest = entry;
		else if (*failed == NULL)
			*failed = entry;
	}
	return newest;
}

/* Fill what the entries say: how many, the newest, and the state. */
static void
detect_entries(const MigToolLedger *ledger, Relation relation,
			   MigDetected *detected)
{
	Snapshot	snapshot = RegisterSnapshot(GetActiveSnapshot());
	List	   *entries = mig_tool_ledger_entries(ledger, relation, snapshot);
	const MigLedgerEntry *failed;
	const MigLedgerEntry *newest = newest_entry(entries, &failed);

	detected->entries = list_length(entries);
	if (newest != NULL)
	{
		detected->newest = newest->key;
		detected->has_time = newest->has_time;
		detected->newest_at = newest->applied_at;
	}
	if (failed != NULL)
	{
		detected->state = "failed";
		detected->detail = psprintf("%s: %s", failed->key, failed->problem);
	}
	else if (mig_tool_ledger_is_locked(ledger))
	{
		detected->state = "locked";
		detected->detail = "The tool is running, or has not released its lock.";
	}
	else
		detected->state = entries != NIL ? "ok" : "empty";
	UnregisterSnapshot(snapshot);
}

void
mig_adopt_detect(MigDetectSink sink, void *arg)
{
	ListCell   *lc;

	foreach(lc, mig_tool_ledger_find())
	{
		MigToolLedger *ledger = lfirst(lc);
		MigDetected detected = {0};
		const char *unreadable = mig_foreign_table_unreadable(ledger->relation);
		Relation	relation = NULL;

		detected.tool = ledger->known->tool;
		detected.ledger = ledger->name;
		detected.entries = -1;
		if (unreadable == NULL)
		{
			relation = try_table_open(ledger->relation, AccessShareLock);
			if (relation == NULL)
				continue;
			if (!mig_tool_ledger_recheck(ledger))
			{
				table_close(relation, AccessShareLock);
				continue;
			}
			unreadable = mig_foreign_table_unreadable(ledger->relation);
		}
		if (unreadable != NULL)
		{
			detected.state = "unreadable";
			detected.detail = unreadable;
		}
		else
			detect_entries(ledger, relation, &detected);
		if (relation != NULL)
			table_close(relation, NoLock);
		detected.newest = mig_printable_line(detected.newest, MIG_NAME_BYTES);
		detected.detail = mig_printable_line(detected.detail, MIG_NOTE_BYTES);
		sink(&detected, arg);
	}
}

/* a MigDetectSink: keeps the first ledger that says that something is applied */
static void
note_ledger(const MigDetected *detected, void *arg)
{
	char	  **found = (char **) arg;

	if (*found == NULL && detected->entries > 0)
		*found = psprintf("Ledger %s of %s has entries, the newest one for \"%s\".",
						  detected->ledger, detected->tool,
						  detected->newest ? detected->newest : "");
}

void
mig_adopt_other_ledgers(int elevel)
{
	char	   *found = NULL;

	mig_adopt_detect(note_ledger, &found);
	if (found != NULL)
		ereport(elevel,
				(errcode(MIG_ERRCODE_FOREIGN_LEDGER),
				 errmsg("another tool has applied migrations in this database, and nothing is recorded here"),
				 errdetail("%s  They would be applied again.", found),
				 errhint("Record what is applied with migrate.adopt(), or with migrate.stamp_to().  If these migrations have nothing to do with it, SET migrate.ignore_ledgers = on.")));
}
