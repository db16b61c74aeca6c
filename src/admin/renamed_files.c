/*-------------------------------------------------------------------------
 *
 * renamed_files.c
 *	  Files that have been given another version.
 *
 * A version is what the ledger knows a migration by.  The file of an applied
 * one that is renamed to another version is a new migration for the ledger, and
 * would change the data a second time.  That a version has no file any more is
 * nothing unusual, since an old release may start beside a new one; that a file
 * which is not applied has its very text is.
 *
 * Two migrations may have the same text, if both have their files.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "admin/renamed_files.h"
#include "base/checksum.h"
#include "base/errors.h"
#include "base/sql.h"
#include "ledger/applied.h"
#include "ledger/entry.h"
#include "ledger/journal.h"
#include "ledger/migration.h"
#include "source/convention.h"
#include "source/tokens.h"
#include "source/trial_parse.h"

/* a source that could be a renamed one, by its checksum and by its name */
typedef struct Candidate
{
	const char *key;
	int			number;			/* of the source in their list */
} Candidate;

typedef struct Candidates
{
	List	   *sources;
	bool	   *taken;			/* by number */
	Candidate  *keys;
	int			nkeys;
} Candidates;

static int
compare_candidates(const void *a, const void *b)
{
	const Candidate *one = a;
	const Candidate *other = b;
	int			order = strcmp(one->key, other->key);

	return order != 0 ? order : one->number - other->number;
}

/* each source is found by its text and by its name */
static void
make_candidates(Candidates *candidates, List *sources)
{
	int			count = list_length(sources);
	ListCell   *lc;

	candidates->sources = sources;
	candidates->taken = palloc0(sizeof(bool) * count);
	candidates->keys = palloc(sizeof(Candidate) * 2 * count);
	candidates->nkeys = 0;
	foreach(lc, sources)
	{
		const MigSource *source = lfirst(lc);
		const char *keys[2] = {mig_checksum(source->up), source->name};

		for (int i = 0; i < lengthof(keys); i++)
		{
			Candidate  *candidate = &candidates->keys[candidates->nkeys];

			if (keys[i][0] == '\0')
				continue;
			candidate->key = keys[i];
			candidate->number = foreach_current_index(lc);
			candidates->nkeys++;
		}
	}
	qsort(candidates->keys, candidates->nkeys, sizeof(Candidate),
		  compare_candidates);
}

/* the first source with this key that is not taken, or -1 */
static int
find_candidate(const Candidates *candidates, const char *key)
{
	int			low = 0;
	int			high = candidates->nkeys;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (strcmp(candidates->keys[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < candidates->nkeys &&
		 strcmp(candidates->keys[low].key, key) == 0; low++)
	{
		if (!candidates->taken[candidates->keys[low].number])
			return candidates->keys[low].number;
	}
	return -1;
}

/* is anything at stake if this version's text runs under another one? */
static bool
may_be_renamed(const MigEntry *entry)
{
	return entry->kind == MIG_VERSIONED && entry->stored &&
		(entry->applied || entry->partial ||
		 (entry->path != NULL && entry->held_reason == NULL));
}

/* the number of the source that has the text of this entry, or -1 */
static int
find_source(const char *project, const Candidates *candidates,
			MigEntry *entry)
{
	bool		done = entry->applied || entry->partial;
	int			number = find_candidate(candidates, entry->checksum);
	const MigSource *source;

	if (number >= 0 && done)
		return number;
	number = entry->name[0] ? find_candidate(candidates, entry->name) : -1;
	if (number < 0)
		return -1;
	source = list_nth(candidates->sources, number);
	return mig_tokens_same(mig_migration_texts(project, &entry, 1)->up,
						   source->up) ? number : -1;
}

static int
compare_version(const void *key, const void *entry)
{
	return strcmp(key, ((const MigEntry *) entry)->version);
}

/* versioned ones that do something */
static List *
sources_that_count(List *sources)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, sources)
	{
		MigSource  *source = lfirst(lc);

		if (source->kind == MIG_VERSIONED &&
			!mig_trial_is_empty(source->up))
			result = lappend(result, source);
	}
	return result;
}

List *
mig_renamed_find(const char *project, List *sources, List **absent)
{
	List	   *renamed = NIL;
	List	   *left = NIL;
	Candidates	candidates;
	MigEntry   *entries;
	int			count;
	ListCell   *lc;

	sources = *absent != NIL ? sources_that_count(sources) : NIL;
	if (sources == NIL)
		return NIL;
	make_candidates(&candidates, sources);
	entries = mig_entry_all(project, true, &count);
	foreach(lc, *absent)
	{
		MigEntry   *entry = bsearch(((MigEntry *) lfirst(lc))->version,
									entries, count, sizeof(MigEntry),
									compare_version);
		MigRenamed *one;
		int			number = -1;

		CHECK_FOR_INTERRUPTS();
		if (entry != NULL && may_be_renamed(entry))
			number = find_source(project, &candidates, entry);
		if (number < 0)
		{
			left = lappend(left, lfirst(lc));
			continue;
		}
		candidates.taken[number] = true;
		one = palloc(sizeof(MigRenamed));
		one->source = list_nth(sources, number);
		one->source->renamed_from = entry->version;
		one->entry = entry;
		renamed = lappend(renamed, one);
	}
	*absent = left;
	return renamed;
}

List *
mig_renamed_take_pending(List **renamed)
{
	List	   *pending = NIL;
	ListCell   *lc;

	foreach(lc, *renamed)
	{
		MigRenamed *one = lfirst(lc);

		if (one->entry->applied || one->entry->partial)
			continue;
		pending = lappend(pending, one);
		*renamed = foreach_delete_current(*renamed, lc);
	}
	return pending;
}

void
mig_renamed_refuse(List *renamed, bool accept)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, renamed)
	{
		const MigRenamed *one = lfirst(lc);

		if (!accept || one->entry->partial)
			names = lappend(names, psprintf("%s (%s, %s as %s)",
											one->source->version,
											one->source->path,
											one->entry->partial ?
											"partly applied" : "applied",
											one->entry->version));
	}
	if (names == NIL)
		return;
	ereport(ERROR,
			(errcode(MIG_ERRCODE_DUPLICATE),
			 errmsg_plural("the text of %d file was applied under another version, which has no file any more",
						   "the texts of %d files were applied under other versions, which have no files any more",
						   list_length(names), list_length(names)),
			 errdetail("Versions: %s.", mig_error_name_list(names)),
			 accept ?
			 errhint("Give the file its old version back until the migration is wholly applied.") :
			 errhint("It would run a second time.  Give the file its old version back, or have the ledger take the new one, without running it, with accept => true.  If the text is to run again, change a part of it that is no comment.")));
}

/* a new source by its version, as its convention understands it */
typedef struct Spelling
{
	char	   *key;
	const MigSource *source;
} Spelling;

static int
compare_spelling(const void *a, const void *b)
{
	return strcmp(((const Spelling *) a)->key, ((const Spelling *) b)->key);
}

/* is the version given up, by renaming its file or by a prune? */
static bool
gives_way(const char *version, List *renamed, List *gone)
{
	ListCell   *lc;

	foreach(lc, renamed)
	{
		if (strcmp(((MigRenamed *) lfirst(lc))->entry->version, version) == 0)
			return true;
	}
	foreach(lc, gone)
	{
		if (strcmp(lfirst(lc), version) == 0)
			return true;
	}
	return false;
}

void
mig_renamed_refuse_spellings(List *sources, const MigEntry *entries,
							 int nentries, List *renamed, List *gone)
{
	int			count = list_length(sources);
	Spelling   *spellings = palloc(Max(count, 1) * sizeof(Spelling));
	const MigSource *first = sources ? linitial(sources) : NULL;
	ListCell   *lc;

	if (first == NULL)
		return;
	foreach(lc, sources)
	{
		Spelling   *one = &spellings[foreach_current_index(lc)];

		one->source = lfirst(lc);
		one->key = mig_convention_version_key(one->source->source,
											  one->source->version);
	}
	qsort(spellings, count, sizeof(Spelling), compare_spelling);
	for (int i = 0; i < nentries; i++)
	{
		const char *version = entries[i].version;
		Spelling	wanted;
		Spelling   *found;

		wanted.key = mig_convention_version_key(first->source, version);
		found = bsearch(&wanted, spellings, count, sizeof(Spelling),
						compare_spelling);
		pfree(wanted.key);
		if (found == NULL || strcmp(found->source->version, version) == 0 ||
			gives_way(version, renamed, gone))
			continue;
		ereport(ERROR,
				(errcode(MIG_ERRCODE_DUPLICATE),
				 errmsg("version \"%s\"%s is the number of migration \"%s\", which is %s",
						found->source->version,
						found->source->path ?
						psprintf(" of file \"%s\"", found->source->path) : "",
						version, entries[i].applied ? "applied" : "stored"),
				 errdetail("They would be two migrations, and run both."),
				 errhint("Give it another number, or if it is that migration write its version as \"%s\".",
						 version)));
	}
}

static void
add_event(MigJournalBatch *batch, MigJournalRow *row, const char *version,
		  const char *note)
{
	row->seq++;
	row->version = version;
	row->note = note;
	mig_journal_batch_add(batch, row);
}

void
mig_renamed_record(const char *project, List *renamed)
{
	MigJournalBatch *batch = mig_journal_batch_begin();
	int64		run = mig_journal_next_run();
	List	   *versions = NIL;
	int			n = 0;
	ListCell   *lc;

	foreach(lc, renamed)
	{
		const MigRenamed *one = lfirst(lc);
		const MigSource *source = one->source;
		const char *old = one->entry->version;
		MigJournalRow row;

		/* the row of the ledger keeps its place, so these do nothing to it */
		mig_journal_event(&row, run, project, "unstamp", NULL);
		row.seq = n;
		row.name = one->entry->name;
		add_event(batch, &row, old, psprintf("renamed to %s", source->version));
		row.action = "stamp";
		row.name = source->name;
		row.checksum = mig_checksum(source->up);
		row.down_checksum = source->down ? mig_checksum(source->down) : NULL;
		add_event(batch, &row, source->version, psprintf("renamed from %s", old));
		n = row.seq;
		mig_applied_rename(project, old, source, row.checksum,
						   row.down_checksum);
		versions = lappend(versions, one->entry->version);
	}
	mig_journal_batch_flush(batch);
	mig_journal_batch_end(batch);
	mig_migration_delete(project, versions);
}
