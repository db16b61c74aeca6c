/*-------------------------------------------------------------------------
 *
 * load.c
 *	  Storing sets of migrations: add() and load().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "admin/amendment.h"
#include "admin/load.h"
#include "admin/renamed_files.h"
#include "admin/source_check.h"
#include "admin/trigger.h"
#include "base/checksum.h"
#include "base/errors.h"
#include "base/version_order.h"
#include "ledger/compare.h"
#include "ledger/entry.h"
#include "ledger/migration.h"
#include "ledger/policy.h"
#include "ledger/project_names.h"
#include "ledger/state.h"
#include "plan/project.h"
#include "plan/preflight.h"
#include "plan/run_lock.h"
#include "source/conventions.h"
#include "source/tokens.h"
#include "source/trial_parse.h"

/*
 * Sets of migrations
 */

/* what add() and load() both refuse, whatever is stored already */
static void
check_source(const MigSource *source)
{
	if (source->version[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a version must not be empty")));
	mig_source_check_lines(ERRCODE_INVALID_PARAMETER_VALUE, source);
	if (strcmp(source->version, MIG_TARGET_HEAD) == 0 ||
		strcmp(source->version, MIG_TARGET_BASE) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is a reserved word, not a version",
						source->version)));
	if (source->irreversible && source->down != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("migration \"%s\" is marked as irreversible but has a down body",
						source->version)));
}

/* a migration that only joins others, as the ledger sees it */
static bool
is_merge(const MigSource *source)
{
	return source->requires != NIL && source->kind == MIG_VERSIONED &&
		(source->source == NULL || strcmp(source->source, "sqitch") != 0) &&
		mig_trial_is_empty(source->up);
}

/*
 * Parse new and changed migrations.  Returns those that must be left out; which
 * are none unless partial.  *warned is set if the client was told of one.
 */
static List *
parse_sources(List *sources, bool partial, bool *warned)
{
	List	   *refused = NIL;
	List	   *empty = NIL;
	List	   *empty_downs = NIL;
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "migrate parsing",
							  ALLOCSET_DEFAULT_SIZES);
	ListCell   *lc;

	foreach(lc, sources)
	{
		MigSource  *source = (MigSource *) lfirst(lc);
		MemoryContext old = MemoryContextSwitchTo(context);
		MigTextsFound found;
		bool		stored;

		CHECK_FOR_INTERRUPTS();
		stored = mig_source_check_texts(source, partial, &found);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
		*warned |= found.warned;
		if (!stored)
			refused = lappend(refused, source);
		else if (found.up_empty && !is_merge(source))
			empty = lappend(empty, source->version);
		if (stored && found.down_empty)
			empty_downs = lappend(empty_downs, source->version);
	}
	MemoryContextDelete(context);
	mig_source_check_warn_empty(empty);
	mig_source_check_warn_empty_downs(empty_downs);
	*warned |= empty != NIL || empty_downs != NIL;
	return refused;
}

/*
 * Store migrations that have been parsed; amendments are about those of the
 * changed ones that are applied.  Warns of a project that begins with them.
 */
static void
store_sources(const char *project, List *new_sources, List *changed_sources,
			  List *amendments, const char *note, const MigAuthor *named)
{
	MigAuthor	authors[MIG_VERIFY + 1];
	bool		begins = new_sources != NIL &&
		mig_project_names_is_empty(project);

	mig_trigger_find_authors(named, authors);
	mig_trigger_begin(amendments != NIL, authors);
	PG_TRY();
	{
		mig_migration_insert(project, new_sources, mig_trigger_caller());
		mig_migration_replace(project, changed_sources, mig_trigger_caller());
	}
	PG_FINALLY();
	{
		mig_trigger_end();
	}
	PG_END_TRY();
	if (amendments != NIL)
		mig_amendment_record(amendments, note);
	if (begins)
		mig_project_names_tell_new(project);
}

/* how these sources compare with what is stored, in their order */
static MigComparison *
compare_some(const char *project, List *sources)
{
	List	   *checksums = NIL;
	List	   *down_checksums = NIL;
	ListCell   *lc;

	foreach(lc, sources)
	{
		MigSource  *source = (MigSource *) lfirst(lc);

		check_source(source);
		checksums = lappend(checksums, mig_checksum(source->up));
		down_checksums = lappend(down_checksums, source->down ?
								 mig_checksum(source->down) : NULL);
	}
	return mig_compare_sources(project, sources, checksums, down_checksums);
}

#define COMPARED_AT_ONCE 1024

/* in portions, so that checksums and rows are not in memory for all of them */
static MigComparison *
compare_with_stored(const char *project, List *sources)
{
	int			count = list_length(sources);
	MigComparison *result = palloc(sizeof(MigComparison) * Max(count, 1));
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "migrate comparison",
							  ALLOCSET_DEFAULT_SIZES);
	int			done;
	int			i;

	for (done = 0; done < count; done += COMPARED_AT_ONCE)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		int			n = Min(count - done, COMPARED_AT_ONCE);
		List	   *some = NIL;

		CHECK_FOR_INTERRUPTS();
		for (i = 0; i < n; i++)
			some = lappend(some, list_nth(sources, done + i));
		memcpy(&result[done], compare_some(project, some),
			   sizeof(MigComparison) * n);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
	return result;
}

/* has it a way back, or none to go? */
static bool
has_way_back(const MigSource *source)
{
	if (source->down == NULL)
		return source->irreversible || is_merge(source);
	return !mig_trial_is_empty(source->down) ||
		mig_trial_is_empty(source->up);
}

/* one error for all sources, if the policy requires down bodies */
static void
refuse_missing_downs(const char *project, List *sources)
{
	MigPolicy  *policy = mig_policy_read(project);
	List	   *lacking = NIL;
	ListCell   *lc;

	if (!policy->require_down)
		return;
	foreach(lc, sources)
	{
		MigSource  *source = (MigSource *) lfirst(lc);

		if (source->kind == MIG_VERSIONED && !has_way_back(source))
			lacking = lappend(lacking, source->version);
	}
	mig_error_refuse_without_down(lacking, MIG_HINT_POLICY_DOWN);
}

/* the text is not the one that was applied */
static bool
differs_from_applied(const MigSource *source, const MigComparison *row)
{
	return row->applied && row->stored && source->kind == MIG_VERSIONED &&
		row->same_kind && !(row->same_up && row->same_down);
}

/*
 * The file that a migration was stored from, if the source is not an edit of it
 * but another migration that has been given the same version: the file has
 * another name, and the text says something else.
 */
static const char *
find_taker(const MigEntry *entry, const MigTexts *old, const MigSource *source)
{
	if (entry->path == NULL || strcmp(entry->path, source->path) == 0 ||
		strcmp(entry->name, source->name) == 0 ||
		mig_tokens_same(old->up, source->up))
		return NULL;
	return entry->path;
}

/* what the stored texts of these sources (MigSource *) are replaced by */
static List *
find_amendments(const char *project, List *sources)
{
	int			count = list_length(sources);
	char	  **versions = palloc(sizeof(char *) * Max(count, 1));
	List	   *amendments = NIL;
	MigEntry  **entries;
	MigTexts   *texts;
	ListCell   *lc;

	if (sources == NIL)
		return NIL;
	foreach(lc, sources)
		versions[foreach_current_index(lc)] = ((MigSource *) lfirst(lc))->version;
	entries = mig_entry_in_order(project, versions, count);
	texts = mig_migration_texts(project, entries, count);
	foreach(lc, sources)
	{
		const MigSource *source = lfirst(lc);
		const MigTexts *old = &texts[foreach_current_index(lc)];
		MigAmendment *amendment = palloc0(sizeof(MigAmendment));

		amendment->project = project;
		amendment->version = source->version;
		amendment->name = source->name;
		amendment->as_applied = !entries[foreach_current_index(lc)]->up_changed &&
			!entries[foreach_current_index(lc)]->down_changed;
		amendment->was_transactional =
			entries[foreach_current_index(lc)]->transactional;
		amendment->old[MIG_UP] = old->up;
		amendment->old[MIG_DOWN] = old->down;
		amendment->old[MIG_VERIFY] = old->verify;
		amendment->new[MIG_UP] = source->up;
		amendment->new[MIG_DOWN] = source->down;
		amendment->new[MIG_VERIFY] = source->verify;
		amendment->taken_by = source->path == NULL ? NULL :
			find_taker(entries[foreach_current_index(lc)], old, source);
		amendments = lappend(amendments, amendment);
	}
	return amendments;
}

/* may the new text of an applied migration be taken without being asked? */
static bool
is_harmless(const MigAmendment *amendment, const MigComparison *row,
			const MigPolicy *policy)
{
	return !policy->refuse_edits && row->same_head && mig_amendment_is_comment_edit(amendment);
}

#define HINT_EMPTY \
	"  It was applied with an empty text, which has done nothing: take it out of the ledger with migrate.unstamp(), and apply it."

/* take a comment edit of an applied migration, or refuse what add() was given */
static void
add_again(const char *project, MigSource *source, const MigComparison *row,
		  const MigAuthor *authors)
{
	MigAmendment *amendment;
	bool		warned = false;

	if (differs_from_applied(source, row))
	{
		amendment = linitial(find_amendments(project, list_make1(source)));
		if (is_harmless(amendment, row, mig_policy_read(project)))
		{
			(void) parse_sources(list_make1(source), false, &warned);
			store_sources(project, NIL, list_make1(source),
						  list_make1(amendment), MIG_AMENDMENT_COMMENTS, authors);
			mig_amendment_notice_comment_edits(list_make1(source->version));
			return;
		}
	}
	ereport(ERROR,
			(errcode(MIG_ERRCODE_TEXT_DIFFERS),
			 errmsg("migration \"%s\" is already stored with another text",
					source->version),
			 row->applied ?
			 errhint("It is applied: write a new migration, or replace the text on purpose with migrate.amend().") :
			 errhint("It is pending: take it out with migrate.remove() first.")));
}

void
mig_load_add(const char *project, MigSource *source, const MigAuthor *authors)
{
	List	   *sources = list_make1(source);
	MigComparison *row;
	bool		warned = false;

	mig_preflight_transaction("store a migration");
	mig_run_lock_acquire();
	check_source(source);
	if (!mig_migration_is_stored(project, source->version))
	{
		refuse_missing_downs(project, sources);
		if (source->source == NULL)
		{
			mig_source_check_body(source, MIG_DOWN, source->down);
			mig_source_check_body(source, MIG_VERIFY, source->verify);
		}
		(void) parse_sources(sources, false, &warned);
		store_sources(project, sources, NIL, NIL, NULL, authors);
		return;
	}
	row = compare_with_stored(project, sources);
	if (!row->same_up || !row->same_down || !row->same_head ||
		!row->same_verify)
		add_again(project, source, row, authors);
}

/* what load() says of a source, in a constant string */
static const char *
load_result(const MigSource *source, const MigComparison *row)
{
	if (source->renamed_from != NULL)
		return "renamed";
	if (!row->stored)
		return "added";
	if (row->ran_before)
		return "superseded";
	if (row->same_up && row->same_down && row->same_head && row->same_verify &&
		row->same_place)
		return "unchanged";
	if (differs_from_applied(source, row))
		return "amended";
	return "changed";
}

typedef struct LoadPlan
{
	const MigLoading *how;
	List	   *sources;
	MigComparison *rows;
	List	   *new_sources;
	List	   *changed_sources;
	List	   *moved_sources;	/* the same texts in files of other names */
	List	   *amendments;		/* of those of the changed that are applied */
	List	   *kept_downs;		/* versions whose amended down stays */
	List	   *comment_edits;	/* versions of those that differ in no more */
	List	   *remarked;		/* versions of applied ones that are said to
								 * run in another way now */
	List	   *refused_sources;	/* that cannot be parsed */
	bool		warned;			/* of bodies that are stored all the same */
	MigEntry   *entries;		/* of the project before the load */
	int			nentries;
	List	   *absent;			/* of MigEntry * */
	List	   *pruned;			/* of versions (char *) */
	List	   *renamed;		/* of MigRenamed *, applied */
	List	   *renamed_pending;	/* likewise, not applied */
} LoadPlan;

/* never applied, not even partly, and not held */
static bool
may_be_pruned(const MigEntry *entry)
{
	return !entry->applied && !entry->partial && entry->held_reason == NULL;
}

/* was it loaded from a file that is there, but was refused? */
static bool
is_of_refused_file(const MigEntry *entry, const MigLoading *how)
{
	ListCell   *lc;

	foreach(lc, how->refusals)
	{
		if (entry->path != NULL &&
			strcmp(((MigRefusal *) lfirst(lc))->path, entry->path) == 0)
			return true;
	}
	return false;
}

/* entries of the project that no source names */
static void
find_absent(LoadPlan *load, List *sources)
{
	int			count = list_length(sources);
	char	  **versions = palloc(sizeof(char *) * Max(count, 1));
	ListCell   *lc;
	int			i = 0;

	foreach(lc, sources)
		versions[i++] = ((MigSource *) lfirst(lc))->version;
	qsort(versions, count, sizeof(char *), mig_version_compare_bytes);
	for (i = 0; i < load->nentries; i++)
	{
		MigEntry   *entry = &load->entries[i];

		if (!entry->stored ||
			bsearch(&entry->version, versions, count, sizeof(char *),
					mig_version_compare_bytes) != NULL ||
			is_of_refused_file(entry, load->how))
			continue;
		load->absent = lappend(load->absent, entry);
		if (load->how->prune && may_be_pruned(entry))
			load->pruned = lappend(load->pruned, entry->version);
	}
}

/*
 * Has everything of the set been taken?  If not, what is stored and not among
 * the sources may be what was refused.
 */
static bool
is_whole(const LoadPlan *load)
{
	return load->how->refusals == NIL && load->refused_sources == NIL;
}

/* a set without migrations is rather a wrong directory than meant to be one */
static void
refuse_empty_prune(const LoadPlan *load)
{
	if (load->sources != NIL || load->pruned == NIL)
		return;
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("cannot prune by a set that has no migrations"),
			 errdetail_plural("It would delete %d pending migration: %s.",
							  "It would delete all %d pending migrations: %s.",
							  list_length(load->pruned),
							  list_length(load->pruned),
							  mig_error_name_list(load->pruned)),
			 errhint("See that the files are there, and that this is their project.  To delete what is pending on purpose, give each version to migrate.remove(), the last one first.")));
}

static void
refuse_spellings(const LoadPlan *load)
{
	mig_renamed_refuse_spellings(load->new_sources, load->entries,
								 load->nentries,
								 list_concat_copy(load->renamed,
												  load->renamed_pending),
								 load->pruned);
}

/* when bodies have been parsed: delete nothing, unless the set is whole */
static void
recheck_pruning(LoadPlan *load)
{
	if (is_whole(load) || load->pruned == NIL)
		return;
	load->pruned = NIL;

	/* what stays may have the number of a new one */
	refuse_spellings(load);
}

/*
 * Find sources that would run what has run under a version without a file, and
 * raise it, unless the ledger is to take the new versions.  What is pending
 * under such a version gives way to the renamed file.
 */
static void
plan_renamed(const char *project, LoadPlan *load)
{
	List	   *new_texts = NIL;
	ListCell   *lc;

	foreach(lc, load->sources)
	{
		const MigComparison *row = &load->rows[foreach_current_index(lc)];

		if (!row->applied && !(row->stored && row->same_up))
			new_texts = lappend(new_texts, lfirst(lc));
	}
	load->renamed = mig_renamed_find(project, new_texts, &load->absent);
	load->renamed_pending = mig_renamed_take_pending(&load->renamed);
	mig_renamed_refuse(load->renamed, load->how->accept);
	refuse_spellings(load);
}

/*
 * Conflicts are names of files; was_empty if nothing had been stored before,
 * when the wrong directory is likely.
 */
static void
refuse_changed_sources(List *conflicts, bool was_empty)
{
	if (conflicts == NIL)
		return;
	ereport(ERROR,
			(errcode(MIG_ERRCODE_TEXT_DIFFERS),
			 errmsg_plural("the file of %d applied migration has another text or kind than the one that was applied",
						   "the files of %d applied migrations have other texts or kinds than those that were applied",
						   list_length(conflicts), list_length(conflicts)),
			 errdetail("Migrations: %s.", mig_error_name_list(conflicts)),
			 errhint("Put the applied text back and write a new migration, or accept the new text with migrate.amend(), or all of them with accept => true.%s",
					 was_empty ? HINT_EMPTY : "")));
}

/* accept is for edits: what has never run must not count as applied */
static void
refuse_taken_versions(List *taken)
{
	if (taken == NIL)
		return;
	ereport(ERROR,
			(errcode(MIG_ERRCODE_DUPLICATE),
			 errmsg_plural("the version of %d file is that of another migration, which is applied",
						   "the versions of %d files are those of other migrations, which are applied",
						   list_length(taken), list_length(taken)),
			 errdetail("Versions: %s.", mig_error_name_list(taken)),
			 errhint("Give the file another version, or see that this is the database, and the project, that it is for.  If it is the same migration with a new name, give its new text to migrate.amend() first.  A file whose text was applied under another version is recorded with migrate.stamp().")));
}

/*
 * Decide about the sources whose text is not the applied one; rows are those of
 * the comparison, in the same order.  conflicts has what is refused already.
 */
static void
plan_amendments(LoadPlan *load, const char *project, List *sources, List *rows,
				List *conflicts)
{
	List	   *amendments = find_amendments(project, sources);
	MigPolicy  *policy = sources ? mig_policy_read(project) : NULL;
	List	   *taken = NIL;
	bool		was_empty = false;
	ListCell   *lc;

	foreach(lc, sources)
	{
		MigSource  *source = lfirst(lc);
		int			i = foreach_current_index(lc);
		MigAmendment *amendment = list_nth(amendments, i);
		bool		harmless;

		CHECK_FOR_INTERRUPTS();
		if (amendment->taken_by != NULL)
		{
			taken = lappend(taken, psprintf("%s (%s, where %s was applied)",
											source->version, source->path,
											amendment->taken_by));
			continue;
		}
		harmless = is_harmless(amendment, list_nth(rows, i), policy);
		if (harmless)
			load->comment_edits = lappend(load->comment_edits, source->version);
		if (harmless || load->how->accept)
		{
			load->changed_sources = lappend(load->changed_sources, source);
			load->amendments = lappend(load->amendments, amendment);
			continue;
		}
		conflicts = lappend(conflicts, psprintf("%s (%s)", source->version,
												source->path));
		if (mig_trial_is_empty(amendment->old[MIG_UP]))
			was_empty = true;
	}
	refuse_taken_versions(taken);
	refuse_changed_sources(conflicts, was_empty);
}

/*
 * What applied migrations (sources) have new beside their up and down: of a
 * verify body the old text is kept, and how a body is to be run is told.
 */
static void
plan_other_changes(LoadPlan *load, const char *project, List *sources)
{
	List	   *amendments = find_amendments(project, sources);
	ListCell   *lc;

	foreach(lc, sources)
	{
		const MigSource *source = (const MigSource *) lfirst(lc);
		MigAmendment *amendment = list_nth(amendments,
										   foreach_current_index(lc));

		if (!mig_source_check_same(amendment->old[MIG_VERIFY], source->verify))
		{
			amendment->note = "verify body only";
			load->amendments = lappend(load->amendments, amendment);
		}
		if (amendment->was_transactional != source->transactional)
			load->remarked = lappend(load->remarked, source->version);
	}
}

/*
 * A file that says nothing about the way back does not take away the one that
 * amend() has been given: it goes on with the source, and a NOTICE says so.
 */
static void
keep_amended_downs(const char *project, LoadPlan *load)
{
	int			count = list_length(load->sources);

	for (int i = 0; i < count; i++)
	{
		MigSource  *source = list_nth(load->sources, i);
		MigComparison *row = &load->rows[i];
		MigEntry  **entries;
		MigTexts   *texts;

		if (!row->amended_down || source->irreversible)
			continue;
		entries = mig_entry_in_order(project, &source->version, 1);
		texts = mig_migration_texts(project, entries, 1);
		source->down = pstrdup(texts->down);
		source->down_path = entries[0]->down_path;
		source->lines[MIG_DOWN] = entries[0]->lines[MIG_DOWN];
		load->kept_downs = lappend(load->kept_downs, source->version);
	}
	if (load->kept_downs == NIL)
		return;

	/* with their downs they may be what is stored */
	load->rows = compare_with_stored(project, load->sources);
}

/*
 * Compare a set with what is stored, and refuse what cannot be loaded; nothing
 * is written.
 */
static LoadPlan *
plan_load(const char *project, List *sources, const MigLoading *how)
{
	LoadPlan   *load = palloc0(sizeof(LoadPlan));
	List	   *conflicts = NIL;
	List	   *others = NIL;
	List	   *different = NIL;
	List	   *different_rows = NIL;
	ListCell   *lc;

	load->how = how;
	load->sources = sources;
	load->rows = compare_with_stored(project, sources);
	keep_amended_downs(project, load);
	foreach(lc, sources)
	{
		MigSource  *source = (MigSource *) lfirst(lc);
		MigComparison *row = &load->rows[foreach_current_index(lc)];
		const char *result = load_result(source, row);

		if (differs_from_applied(source, row))
		{
			different = lappend(different, source);
			different_rows = lappend(different_rows, row);
		}
		else if (row->applied && !row->same_kind)
			conflicts = lappend(conflicts, psprintf("%s (%s)",
													source->version,
													source->path));
		else if (!row->stored)
			load->new_sources = lappend(load->new_sources, source);
		else if (strcmp(result, "changed") != 0)
			continue;
		else if (row->same_up && row->same_down && row->same_head &&
				 row->same_verify)
			load->moved_sources = lappend(load->moved_sources, source);
		else
		{
			load->changed_sources = lappend(load->changed_sources, source);
			if (row->applied && source->kind == MIG_VERSIONED)
				others = lappend(others, source);
		}
	}
	plan_amendments(load, project, different, different_rows, conflicts);
	plan_other_changes(load, project, others);
	load->entries = mig_entry_all(project, false, &load->nentries);
	find_absent(load, sources);
	if (!is_whole(load))
		load->pruned = NIL;
	refuse_empty_prune(load);
	plan_renamed(project, load);
	return load;
}


static bool
has_changes(const LoadPlan *load)
{
	return load->new_sources || load->changed_sources ||
		load->moved_sources || load->pruned;
}

/* a source and what became of it, at its place in the project's order */
typedef struct LoadedSource
{
	const MigSource *source;
	const MigComparison *row;
	int			position;
} LoadedSource;

static int
compare_loaded(const void *a, const void *b)
{
	return ((const LoadedSource *) a)->position -
		((const LoadedSource *) b)->position;
}

/* what was loaded, in the project's order; the number of them in *count */
static LoadedSource *
order_sources(const LoadPlan *load, const MigProject *project, int *count)
{
	LoadedSource *loaded = palloc(sizeof(LoadedSource) *
								  Max(list_length(load->sources), 1));
	ListCell   *lc;

	*count = 0;
	foreach(lc, load->sources)
	{
		LoadedSource *one = &loaded[*count];

		if (list_member_ptr(load->refused_sources, lfirst(lc)))
			continue;
		one->source = (MigSource *) lfirst(lc);
		one->row = &load->rows[foreach_current_index(lc)];
		one->position =
			mig_plan_find(project, one->source->version)->position;
		(*count)++;
	}
	qsort(loaded, *count, sizeof(LoadedSource), compare_loaded);
	return loaded;
}

/*
 * May the next load of these files be left out, once everything is applied?
 * Then nothing was refused or warned of, and none of what load() reports anew
 * each time is to be said: what is stored has the files and no more.
 */
static bool
has_told_all(const LoadPlan *load)
{
	ListCell   *lc;

	if (!is_whole(load) || load->how->told || load->warned ||
		load->kept_downs != NIL)
		return false;
	foreach(lc, load->sources)
	{
		if (strcmp(load_result(lfirst(lc),
							   &load->rows[foreach_current_index(lc)]),
				   "superseded") == 0)
			return false;
	}
	foreach(lc, load->absent)
	{
		if (!list_member_ptr(load->pruned,
							 ((MigEntry *) lfirst(lc))->version))
			return false;
	}
	return true;
}

/* what load() says of files, and of bodies, that were left out */
static void
report_refused(const LoadPlan *load, MigLoadSink sink, void *arg)
{
	ListCell   *lc;

	foreach(lc, load->refused_sources)
	{
		const MigSource *source = lfirst(lc);

		sink(source->version, source->name, source->path, "refused", arg);
	}
	foreach(lc, load->how->refusals)
		sink(NULL, NULL, ((MigRefusal *) lfirst(lc))->path, "refused", arg);
}

/*
 * Tell the sink what became of each file, in the project's order, and then
 * what is not in the set.
 */
static void
report_load(const LoadPlan *load, const MigProject *project,
			MigLoadSink sink, void *arg)
{
	int			count;
	LoadedSource *loaded = order_sources(load, project, &count);
	ListCell   *lc;
	int			i;

	for (i = 0; i < count; i++)
	{
		const MigSource *source = loaded[i].source;
		const char *result = load_result(source, loaded[i].row);

		if (strcmp(result, "superseded") == 0)
			ereport(WARNING,
					(errmsg("repeatable migration \"%s\" keeps its newer text",
							source->version),
					 errdetail("This text was applied before, and another one after it."),
					 errhint("To go back to it, change it in any way, a comment for example.")));
		sink(source->version, source->name, source->path, result, arg);
	}
	report_refused(load, sink, arg);
	foreach(lc, load->absent)
	{
		MigEntry   *entry = (MigEntry *) lfirst(lc);

		sink(entry->version, entry->name, entry->path,
			 list_member_ptr(load->pruned, entry->version) ? "pruned" :
			 "absent", arg);
	}
	if (load->comment_edits != NIL)
		mig_amendment_notice_comment_edits(load->comment_edits);
	if (load->kept_downs != NIL)
	{
		const MigSource *first = linitial(load->sources);

		ereport(NOTICE,
				(errmsg_plural("%d migration keeps a down body that its file does not have",
							   "%d migrations keep down bodies that their files do not have",
							   list_length(load->kept_downs),
							   list_length(load->kept_downs)),
				 errdetail("Amended: %s.", mig_error_name_list(load->kept_downs)),
				 mig_convention_of_source(first->source)->native_markers ?
				 errhint("Put it into the file.  To take it away, say -- migrate:irreversible there.") :
				 errhint("Put it into the file.")));
	}
}

/* the list without the renaming that the source stands for */
static List *
drop_renamed(List *renamed, const MigSource *source)
{
	ListCell   *lc;

	foreach(lc, renamed)
	{
		if (((MigRenamed *) lfirst(lc))->source == source)
			renamed = foreach_delete_current(renamed, lc);
	}
	return renamed;
}

/* an amendment goes with its source, and so does a new version */
static void
drop_refused_sources(LoadPlan *load)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, load->refused_sources)
	{
		MigSource  *source = lfirst(lc);

		load->new_sources = list_delete_ptr(load->new_sources, source);
		load->changed_sources = list_delete_ptr(load->changed_sources, source);
		load->renamed = drop_renamed(load->renamed, source);
		load->renamed_pending = drop_renamed(load->renamed_pending, source);
		foreach(lc2, load->amendments)
		{
			if (strcmp(((MigAmendment *) lfirst(lc2))->version,
					   source->version) == 0)
				load->amendments = foreach_delete_current(load->amendments,
														  lc2);
		}
	}
}

/*
 * Everything that the plan of a load writes, in one transaction; refused
 * sources are left out. Returns the project as it is stored then.
 */
static MigProject *
write_load(const char *project, LoadPlan *load)
{
	MigProject *stored;
	ListCell   *lc;

	load->refused_sources =
		parse_sources(list_concat_copy(load->new_sources,
									   load->changed_sources),
					  load->how->partial, &load->warned);
	drop_refused_sources(load);
	recheck_pruning(load);
	if (load->remarked != NIL)
		ereport(NOTICE,
				(errmsg("%s: applied, and said to be run in another way now, which changes nothing of what was run",
						mig_error_name_list(load->remarked))));
	refuse_missing_downs(project, load->new_sources);
	refuse_missing_downs(project, load->changed_sources);
	store_sources(project, load->new_sources, load->changed_sources,
				  load->amendments, load->how->accept ?
				  "accepted by load()" : MIG_AMENDMENT_COMMENTS, NULL);
	mig_migration_move(project, load->moved_sources);
	foreach(lc, load->renamed_pending)
		load->pruned = lappend(load->pruned,
							   ((MigRenamed *) lfirst(lc))->entry->version);
	if (load->pruned != NIL)
		mig_migration_delete(project, load->pruned);
	if (load->renamed != NIL)
		mig_renamed_record(project, load->renamed);

	/* what a refused migration is required by has its order once it is there */
	stored = mig_project_read_all(project, false, is_whole(load));
	mig_project_write_state(stored);
	return stored;
}

void
mig_load_files(const char *name, List *sources, const MigLoading *how,
			   MigLoadSink sink, void *arg)
{
	LoadPlan   *load;
	MigProject *project;
	bool		held_before = true;
	bool		locked;

	mig_run_lock_refuse_recursion();
	if (how->accept)
		mig_preflight_function("amend",
							   "accept new texts of applied migrations");
	locked = mig_preflight_can_write() && mig_run_lock_try(&held_before);
	load = plan_load(name, sources, how);
	if (!locked && has_changes(load))
	{
		mig_preflight_transaction("load migrations");
		mig_run_lock_acquire();
		locked = true;
		held_before = true;

		/* somebody else may have loaded the same while we waited */
		load = plan_load(name, sources, how);
	}
	if (has_changes(load))
	{
		project = write_load(name, load);
		if (has_told_all(load))
			mig_state_write_files(name, how->fingerprint);
		else
			mig_state_forget_files(name);
	}
	else
	{
		if (locked && !held_before)
			mig_run_lock_release();
		project = mig_plan_project(name, load->entries, load->nentries, false);
	}
	report_load(load, project, sink, arg);
}
