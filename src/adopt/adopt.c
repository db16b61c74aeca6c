/*-------------------------------------------------------------------------
 *
 * adopt.c
 *	  Taking over what another tool has applied.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "admin/repair.h"
#include "admin/load.h"
#include "adopt/adopt.h"
#include "adopt/foreign_table.h"
#include "adopt/matching.h"
#include "adopt/tool_checksum.h"
#include "adopt/tool_ledger.h"
#include "base/errors.h"
#include "ledger/journal.h"
#include "ledger/migration.h"
#include "ledger/project_names.h"
#include "ledger/step.h"
#include "plan/project.h"
#include "plan/run_lock.h"

/* a migration that the tool has applied */
typedef struct Match
{
	MigEntry   *migration;
	const MigLedgerEntry *entry;
	const char *detail;			/* how its text differs, or NULL */
} Match;

typedef struct Adopter
{
	const MigAdoption *adoption;
	MigToolLedger *ledger;
	List	   *entries;		/* of MigLedgerEntry * */
	MigProject *project;
	List	   *matches;		/* of Match *, in the order of the entries */
	Match	  **by_index;		/* of the project's entries; NULL: none */
	List	   *unknown;		/* of MigLedgerEntry *, not stored here */
	MigAdoptSink sink;
	void	   *arg;
} Adopter;

/* ----------
 * The ledger
 * ----------
 */

/* those of the tool, or all, as the arguments say */
static List *
find_candidates(const MigAdoption *adoption)
{
	List	   *candidates = NIL;
	ListCell   *lc;

	foreach(lc, mig_tool_ledger_find())
	{
		MigToolLedger *ledger = lfirst(lc);

		if ((adoption->tool == NULL ||
			 strcmp(ledger->known->tool, adoption->tool) == 0) &&
			(!OidIsValid(adoption->relation) ||
			 ledger->relation == adoption->relation))
			candidates = lappend(candidates, ledger);
	}
	return candidates;
}

/* "flyway in public.flyway_schema_history", for messages */
static List *
candidate_names(List *candidates)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, candidates)
	{
		MigToolLedger *ledger = lfirst(lc);

		names = lappend(names, psprintf("%s in %s", ledger->known->tool,
										ledger->name));
	}
	return names;
}

/* the one ledger that the arguments name */
static MigToolLedger *
choose_ledger(const MigAdoption *adoption)
{
	List	   *candidates;

	if (adoption->tool != NULL &&
		!mig_known_ledgers_has_tool(adoption->tool))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized tool: \"%s\"", adoption->tool),
				 errhint("Tools are %s.", mig_known_ledgers_names())));
	candidates = find_candidates(adoption);
	if (candidates == NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_FOREIGN_LEDGER),
				 errmsg("no ledger of another tool was found"),
				 OidIsValid(adoption->relation) ?
				 errdetail("Table %s has not the columns of one.",
						   mig_foreign_table_name(adoption->relation)) : 0,
				 errhint("migrate.detect() lists those that there are.  migrate.stamp_to() records without one what is applied.")));
	if (list_length(candidates) > 1)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_FOREIGN_LEDGER),
				 errmsg("there are several ledgers of other tools"),
				 errdetail("They are %s.",
						   mig_error_name_list(candidate_names(candidates))),
				 errhint("Say which one with ledger => 'SCHEMA.TABLE'.")));
	return linitial(candidates);
}

static void
refuse_unreadable(const MigToolLedger *ledger, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("ledger %s cannot be read", ledger->name),
			 errdetail("%s", detail)));
}

/*
 * Open the ledger, locked against changes unless nothing is to be written.
 * That asks for the privileges that LOCK TABLE asks for.
 */
static Relation
open_ledger(MigToolLedger *ledger, bool dry_run)
{
	const char *unreadable = mig_foreign_table_unreadable(ledger->relation);
	Relation	relation;

	if (unreadable != NULL)
		refuse_unreadable(ledger, unreadable);
	if (!dry_run && pg_class_aclmask(ledger->relation, GetUserId(),
									 ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE,
									 ACLMASK_ANY) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("ledger %s cannot be locked", ledger->name),
				 errdetail("The current role has neither the UPDATE, DELETE nor TRUNCATE privilege on it."),
				 errhint("adopt() keeps the tool from changing the ledger meanwhile.  With dry_run => true it does not have to.")));
	relation = try_table_open(ledger->relation,
							  dry_run ? AccessShareLock : ShareLock);
	if (relation == NULL || !mig_tool_ledger_recheck(ledger))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("ledger %s was concurrently changed", ledger->name)));
	unreadable = mig_foreign_table_unreadable(ledger->relation);
	if (unreadable != NULL)
		refuse_unreadable(ledger, unreadable);
	return relation;
}

/*
 * Where a ledger has several histories, that of the project's name counts if
 * there is one.  Else names are only unique together with the history's:
 * migrations of such versions are meant, and no others.
 */
static List *
choose_history(List *entries, const char *project)
{
	List	   *chosen = NIL;
	const char *first = NULL;
	bool		several = false;
	ListCell   *lc;

	foreach(lc, entries)
	{
		MigLedgerEntry *entry = lfirst(lc);

		if (entry->group == NULL)
			continue;
		if (strcmp(entry->group, project) == 0)
			chosen = lappend(chosen, entry);
		if (first == NULL)
			first = entry->group;
		several |= strcmp(first, entry->group) != 0;
	}
	if (chosen != NIL || !several)
		return chosen != NIL ? chosen : entries;
	foreach(lc, entries)
	{
		MigLedgerEntry *entry = lfirst(lc);

		if (entry->group != NULL)
			entry->key = psprintf("%s.%s", entry->group, entry->key);
	}
	return entries;
}

/*
 * Fill adopter->entries.  The ledger and, unless nothing is to be written, the
 * tool stay locked until the end of the transaction.
 */
static void
read_ledger(Adopter *adopter)
{
	MigToolLedger *ledger = adopter->ledger;
	const MigAdoption *adoption = adopter->adoption;
	Relation	relation = open_ledger(ledger, adoption->dry_run);
	Snapshot	snapshot;

	if (!adoption->dry_run)
		mig_tool_ledger_lock(ledger);
	snapshot = RegisterSnapshot(adoption->dry_run ? GetActiveSnapshot() :
								GetLatestSnapshot());
	adopter->entries = choose_history(mig_tool_ledger_entries(ledger, relation,
															  snapshot),
									  adoption->project);
	UnregisterSnapshot(snapshot);
	table_close(relation, NoLock);
}

/* an entry that has failed says that the schema is not what the ledger says */
static void
refuse_failed(const Adopter *adopter)
{
	List	   *failed = NIL;
	const char *problem = NULL;
	ListCell   *lc;

	foreach(lc, adopter->entries)
	{
		const MigLedgerEntry *entry = lfirst(lc);

		if (entry->state != MIG_ENTRY_FAILED)
			continue;
		failed = lappend(failed, entry->key);
		if (problem == NULL)
			problem = entry->problem;
	}
	if (failed != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_FOREIGN_LEDGER),
				 errmsg("ledger %s has migrations that failed or have not finished",
						adopter->ledger->name),
				 errdetail("They are %s.  Of the first one it says: %s",
						   mig_error_name_list(failed), problem),
				 errhint("Repair them with %s, and call migrate.adopt() then.",
						 adopter->ledger->known->tool)));
}

/* ----------
 * Which migrations they are
 * ----------
 */

/* The first entry that stands for a migration counts. */
static void
add_match(Adopter *adopter, MigEntry *migration, const MigLedgerEntry *entry)
{
	int			i = mig_plan_index(adopter->project, migration);
	Match	   *match;

	if (adopter->by_index[i] != NULL)
		return;
	match = palloc0(sizeof(Match));
	match->migration = migration;
	match->entry = entry;
	adopter->by_index[i] = match;
	adopter->matches = lappend(adopter->matches, match);
}

/* all that an entry stands for, in the order of the project */
static void
match_up_to(Adopter *adopter, const MigLedgerEntry *entry,
			MigEntry *migration)
{
	bool		heads = adopter->ledger->known->meaning == MIG_LEDGER_HEADS;
	bool	   *wanted = heads ?
		mig_plan_up_to(adopter->project, migration->version) : NULL;

	for (int i = 0; i < adopter->project->count; i++)
	{
		MigEntry   *other = adopter->project->order[i];

		if (heads ? wanted[mig_plan_index(adopter->project, other)] :
			other->kind == MIG_VERSIONED &&
			mig_matching_is_up_to(other, entry->key))
			add_match(adopter, other, entry);
	}
}

/* Fill matches, by_index and unknown from entries and project. */
static void
match_entries(Adopter *adopter)
{
	MigMatching *matching = mig_matching_create(adopter->project);
	MigLedgerMeaning meaning = adopter->ledger->known->meaning;
	ListCell   *lc;

	adopter->matches = adopter->unknown = NIL;
	adopter->by_index = palloc0(sizeof(Match *) *
								Max(adopter->project->count, 1));
	foreach(lc, adopter->entries)
	{
		const MigLedgerEntry *entry = lfirst(lc);
		MigEntry   *migration = mig_matching_find(matching, entry);

		CHECK_FOR_INTERRUPTS();
		if (migration == NULL)
			adopter->unknown = lappend(adopter->unknown, lfirst(lc));
		if (meaning == MIG_LEDGER_UP_TO || entry->up_to ||
			(meaning == MIG_LEDGER_HEADS && migration != NULL))
			match_up_to(adopter, entry, migration);
		if (migration != NULL)
			add_match(adopter, migration, entry);
	}
}

/*
 * Store what is in the ledger only, if it has the text.  It is nobody's whose
 * name counts: anybody may have written that table.
 */
static bool
store_texts(const Adopter *adopter)
{
	static const MigAuthor authors[MIG_VERIFY + 1] = {{NULL, false}};
	bool		stored = false;
	ListCell   *lc;

	foreach(lc, adopter->unknown)
	{
		const MigLedgerEntry *entry = lfirst(lc);
		MigSource  *source = palloc0(sizeof(MigSource));

		if (entry->text == NULL || entry->text[0] == '\0')
			continue;
		source->version = entry->key;
		source->name = entry->name ? entry->name : pstrdup("");
		source->up = entry->text;
		source->down = entry->down_text;
		mig_load_add(adopter->adoption->project, source, authors);
		CommandCounterIncrement();
		stored = true;
	}
	return stored;
}

/*
 * Fill project and the matches.  Texts that only the ledger has are stored first,
 * unless nothing is to be written.
 */
static void
read_project(Adopter *adopter)
{
	adopter->project = mig_project_read_all(adopter->adoption->project, true,
											false);
	match_entries(adopter);
	if (!adopter->adoption->dry_run && store_texts(adopter))
	{
		adopter->project =
			mig_project_read_all(adopter->adoption->project, true, false);
		match_entries(adopter);
	}
	if (adopter->project->count == 0 &&
		adopter->ledger->columns[MIG_LC_TEXT] == 0)
		mig_project_names_tell_empty(adopter->adoption->project, WARNING);
}

/* ----------
 * Whether they are the same
 * ----------
 */

/* note which texts are not those that the tool has applied */
static void
compare_checksums(Adopter *adopter)
{
	MigLedgerChecksum kind = adopter->ledger->known->checksum;
	int			count = 0;
	MigEntry  **stored = palloc(sizeof(MigEntry *) *
								Max(list_length(adopter->matches), 1));
	Match	  **matches = palloc(sizeof(Match *) *
								 Max(list_length(adopter->matches), 1));
	MigTexts   *texts;
	const char *previous = NULL;
	ListCell   *lc;

	if (kind == MIG_CHECKSUM_NONE)
		return;
	foreach(lc, adopter->matches)
	{
		Match	   *match = lfirst(lc);

		if (!match->migration->stored || match->entry->checksum == NULL)
			continue;
		matches[count] = match;
		stored[count++] = match->migration;
	}
	if (count == 0)
		return;
	texts = mig_migration_texts(adopter->project->name, stored, count);
	for (int i = 0; i < count; i++)
	{
		const char *checksum = matches[i]->entry->checksum;

		CHECK_FOR_INTERRUPTS();
		if (mig_tool_checksum_compare(kind, checksum, texts[i].up,
									  previous) == MIG_CHECKSUM_DIFFERENT)
			matches[i]->detail =
				psprintf("The text stored here does not have the checksum %s of the text that %s has applied.",
						 checksum, adopter->ledger->known->tool);
		previous = checksum;
	}
}

static bool
is_news(const Match *match)
{
	return !match->migration->applied || match->migration->partial;
}

/*
 * Raise MIG_ERRCODE_FOREIGN_LEDGER if a migration that is new here has another
 * text than the tool has applied.
 */
static void
refuse_different(const Adopter *adopter)
{
	List	   *different = NIL;
	ListCell   *lc;

	foreach(lc, adopter->matches)
	{
		const Match *match = lfirst(lc);

		if (is_news(match) && match->detail != NULL)
			different = lappend(different, match->migration->version);
	}
	if (different != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_FOREIGN_LEDGER),
				 errmsg("%s has applied other texts than those that are stored",
						adopter->ledger->known->tool),
				 errdetail("Versions whose checksums differ: %s.",
						   mig_error_name_list(different)),
				 errhint("Load the files that were applied.  If the stored texts are right nevertheless, pass accept => true.")));
}

/* ----------
 * What is said and written
 * ----------
 */

/* One row of the result; migration, entry and detail may be NULL. */
static void
tell(const Adopter *adopter, int64 run, const MigEntry *migration,
	 const MigLedgerEntry *entry, const char *action, const char *detail)
{
	MigAdopted	row = {0};

	row.run = run;
	row.action = action;
	row.detail = mig_printable_line(detail, MIG_NOTE_BYTES);
	if (migration != NULL)
	{
		row.version = migration->version;
		row.name = migration->name;
	}
	if (entry != NULL)
	{
		row.entry = mig_printable_line(entry->key, MIG_NAME_BYTES);
		row.has_time = entry->has_time;
		row.applied_at = entry->applied_at;
	}
	adopter->sink(&row, adopter->arg);
}

/* what is only in the ledger, only stored, or has been taken back there */
static void
tell_differences(const Adopter *adopter)
{
	ListCell   *lc;

	foreach(lc, adopter->unknown)
	{
		const MigLedgerEntry *entry = lfirst(lc);

		if (entry->state == MIG_ENTRY_FAILED)
			tell(adopter, 0, NULL, entry, "failed", entry->problem);
		else if (entry->text != NULL)
			tell(adopter, 0, NULL, entry, "adopt",
				 "Its text is in the ledger.");
		else
			tell(adopter, 0, NULL, entry, "unknown",
				 "No migration of that name is stored.");
	}
	for (int i = 0; i < adopter->project->count; i++)
	{
		const MigEntry *migration = adopter->project->order[i];

		if (adopter->by_index[mig_plan_index(adopter->project,
											 migration)] != NULL)
			continue;
		if (!migration->applied)
			tell(adopter, 0, migration, NULL, "pending", NULL);
		else if (strcmp(migration->origin, "adopt") == 0)
			tell(adopter, 0, migration, NULL, "missing",
				 "It was adopted, and the tool's ledger does not have it any more.");
	}
}

/*
 * Add a migration to the journal and the ledger, as the tool's entry says.
 */
static void
record(MigJournalBatch *batch, const Adopter *adopter, const Match *match,
	   int64 run, int seq)
{
	const MigAdoption *adoption = adopter->adoption;
	const MigEntry *migration = match->migration;
	MigJournalRow row;

	mig_journal_event(&row, run, adoption->project, "adopt",
					  adoption->note ? adoption->note :
					  psprintf("from %s, %s", adopter->ledger->known->tool,
							   adopter->ledger->name));
	row.seq = seq;
	row.version = migration->version;
	row.name = migration->name;
	row.effect = MIG_EFFECT_APPLIED;
	row.origin = "adopt";
	row.replace = migration->applied;
	row.checksum = migration->checksum;
	row.down_checksum = migration->down_checksum;
	if (match->entry->has_time)
		row.applied_at = match->entry->applied_at;
	if (match->entry->applied_by != NULL)
		row.applied_by = mig_printable_line(match->entry->applied_by,
											MIG_NAME_BYTES);
	if (match->entry->duration_ms > 0 && match->entry->duration_ms < 1e15)
		row.applied_ms = match->entry->duration_ms;
	mig_journal_batch_add(batch, &row);
}

/* write what is new; all of it is told */
static void
write_matches(const Adopter *adopter)
{
	const char *project = adopter->project->name;
	bool		write = !adopter->adoption->dry_run;
	MigJournalBatch *batch = write ? mig_journal_batch_begin() : NULL;
	int64		run = 0;
	int			seq = 0;
	ListCell   *lc;

	foreach(lc, adopter->matches)
	{
		const Match *match = lfirst(lc);
		const char *action = match->entry->state == MIG_ENTRY_FAILED ?
			"failed" : !is_news(match) ? "applied" :
			match->detail != NULL && !adopter->adoption->accept ?
			"different" : "adopt";

		if (write && is_news(match))
		{
			if (run == 0)
				run = mig_journal_next_run();
			record(batch, adopter, match, run, ++seq);
		}
		tell(adopter, is_news(match) ? run : 0, match->migration,
			 match->entry, action,
			 match->detail ? match->detail : match->entry->problem);
	}
	if (!write)
		return;
	mig_journal_batch_flush(batch);
	mig_journal_batch_end(batch);
	foreach(lc, adopter->matches)
	{
		const Match *match = lfirst(lc);

		if (match->migration->partial)
			mig_step_forget(project, match->migration->version);
	}
	if (run == 0)
		ereport(NOTICE,
				(adopter->unknown == NIL ?
				 errmsg("nothing to adopt: the ledger of project \"%s\" has all that %s has applied",
						project, adopter->ledger->known->tool) :
				 errmsg("nothing adopted: what is new in %s is not stored in project \"%s\"",
						adopter->ledger->name, project)));
}

void
mig_adopt_run(const MigAdoption *adoption, MigAdoptSink sink, void *arg)
{
	Adopter		adopter = {0};

	adopter.adoption = adoption;
	adopter.sink = sink;
	adopter.arg = arg;
	if (adoption->dry_run)
		mig_run_lock_refuse_recursion();
	else
		mig_repair_begin(adoption->project, false, NULL);
	adopter.ledger = choose_ledger(adoption);
	read_ledger(&adopter);
	if (!adoption->dry_run)
		refuse_failed(&adopter);
	read_project(&adopter);
	compare_checksums(&adopter);
	if (!adoption->dry_run && !adoption->accept)
		refuse_different(&adopter);
	write_matches(&adopter);
	tell_differences(&adopter);
	if (!adoption->dry_run)
		mig_project_write_state(mig_project_read_all(adoption->project, false,
													 false));
}
