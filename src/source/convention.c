/*-------------------------------------------------------------------------
 *
 * convention.c
 *	  Files made into migrations by the convention that they are of.
 *
 * Everything that holds for all conventions (files of other tools, unique
 * versions, no file left over, the order of the result) is done here, before and
 * after the parser of the convention.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/convention.h"
#include "source/convention_atlas.h"
#include "source/convention_auto.h"
#include "source/convention_dbmate.h"
#include "source/refusal.h"
#include "source/set_check.h"


/* list_sort() helper */
static int
compare_source_path(const ListCell *a, const ListCell *b)
{
	return strcmp(((const MigSource *) lfirst(a))->path,
				  ((const MigSource *) lfirst(b))->path);
}

/* a migration of the set by its version, as the convention understands it */
typedef struct KeyedSource
{
	const char *key;
	const MigSource *source;
} KeyedSource;

/* qsort() helper */
static int
compare_keyed_source(const void *a, const void *b)
{
	const KeyedSource *ka = a;
	const KeyedSource *kb = b;
	int			result = strcmp(ka->key, kb->key);

	return result != 0 ? result : strcmp(ka->source->path, kb->source->path);
}

/* two files of one version, or of one number in two spellings */
static void
refuse_second(const MigConvention *convention, const MigSource *first,
			  const MigSource *second)
{
	if (strcmp(first->version, second->version) != 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_DUPLICATE),
				 errmsg("versions \"%s\" and \"%s\" are the same number, in file \"%s\" and in file \"%s\"",
						first->version, second->version, first->path,
						second->path),
				 errdetail("They would be two migrations, and run both."),
				 errhint("Give one of the files another version.")));
	ereport(ERROR,
			(errcode(MIG_ERRCODE_DUPLICATE),
			 errmsg("version \"%s\" is claimed by file \"%s\" and by file \"%s\"",
					second->version, first->path, second->path),
			 convention->has_place ?
			 errhint("Two branches may have taken the same version: give one of the files another.") :
			 errhint("Two branches may have taken the same version: give one of the files another, or pass convention => 'name' to take whole file names as versions.")));
}

/* each version once, and none that is a word for a target */
static void
check_versions(List *sources, const MigConvention *convention)
{
	int			count = list_length(sources);
	KeyedSource *keyed = palloc(Max(count, 1) * sizeof(KeyedSource));
	ListCell   *lc;

	foreach(lc, sources)
	{
		const MigSource *source = lfirst(lc);
		KeyedSource *one = &keyed[foreach_current_index(lc)];

		if (strcmp(source->version, MIG_TARGET_HEAD) == 0 ||
			strcmp(source->version, MIG_TARGET_BASE) == 0)
			ereport(ERROR,
					(errcode(MIG_ERRCODE_CONVENTION),
					 errmsg("version \"%s\" of file \"%s\" is a reserved word",
							source->version, source->path)));
		one->source = source;
		one->key = convention->version_key ?
			convention->version_key(source->version) : source->version;
	}
	qsort(keyed, count, sizeof(KeyedSource), compare_keyed_source);
	for (int i = 1; i < count; i++)
	{
		if (strcmp(keyed[i - 1].key, keyed[i].key) == 0)
			refuse_second(convention, keyed[i - 1].source, keyed[i].source);
	}
}

/* qsort() helper */
static int
compare_script(const void *a, const void *b)
{
	return strcmp(((const MigSourceFile *) a)->path,
				  ((const MigSourceFile *) b)->path);
}

/* has the caller asked for the file to be left out? */
static bool
is_ignored(const char *path, const List *patterns)
{
	ListCell   *lc;

	foreach(lc, patterns)
	{
		const char *pattern = lfirst(lc);

		if (mig_file_path_matches(path, pattern) ||
			(strchr(pattern, '/') == NULL &&
			 mig_file_path_matches(mig_file_path_base(path), pattern)))
			return true;
	}
	return false;
}

/* refuse a file by its name, and leave it out of the set */
static void
refuse_path(MigFileSet *set, const char *path)
{
	MigSourceFile script = {0};
	const char *shown = mig_printable_line(path, MIG_EXCERPT_BYTES);

	if (!set->partial)
		mig_check_line("the path of a file", path, MIG_PATH_BYTES);
	script.path = shown;
	mig_file_set_refuse(set, &script, strlen(path) > MIG_PATH_BYTES ?
						psprintf("the path of file \"%s\" is too long",
								 shown) :
						psprintf("the path of file \"%s\" has control or invisible characters in it", shown),
						NULL, "Rename it, or leave it out with ignore.");
}

/* the files as what the parsers work on */
static void
make_fileset(MigFileSet *set, MigFile *files, int nfiles,
			 const MigReading *reading)
{
	memset(set, 0, sizeof(MigFileSet));
	set->partial = reading->partial;
	set->scripts = palloc0(Max(nfiles, 1) * sizeof(MigSourceFile));
	for (int i = 0; i < nfiles; i++)
	{
		MigSourceFile *script = &set->scripts[set->nscripts];

		if (is_ignored(files[i].path, reading->ignore))
			continue;
		if (!mig_is_line(files[i].path, MIG_PATH_BYTES))
		{
			refuse_path(set, files[i].path);
			continue;
		}
		script->path = files[i].path;
		script->content = files[i].content;
		set->nscripts++;
	}
	qsort(set->scripts, set->nscripts, sizeof(MigSourceFile), compare_script);
}

/*
 * See source/convention.h.  The texts of the result may be those of the files
 * and not copies of them.
 */
List *
mig_convention_parse(MigFile *files, int nfiles, const MigReading *reading,
					 List **refusals, bool *told)
{
	const MigConvention *found = NULL;
	MigFileSet	set;

	*refusals = NIL;
	*told = false;
	if (strcmp(reading->convention, "auto") != 0)
		found = mig_convention_find(reading->convention);
	make_fileset(&set, files, nfiles, reading);
	if (set.nscripts == 0 && set.refusals == NIL)
		return NIL;
	if (found == NULL)
		found = mig_convention_recognize(&set);
	if (found == NULL)
		found = mig_conventions[0];

	set.convention = found->name;
	set.marker = found->marker;
	if (!found->has_place)
	{
		mig_set_check_foreign(&set, found);
		mig_set_check_numbers(&set, found);
		mig_set_check_others(&set, found);
		if (set.refusals != NIL && !found->nested && !reading->subdirectories)
			mig_set_check_directories(&set, found);
		mig_refusal_report(&set);
	}
	found->parse(&set);
	mig_atlas_check_sums(&set);
	if (found->has_place)
		mig_set_check_foreign(&set, found);
	if (!found->nested && !reading->subdirectories)
		mig_set_check_directories(&set, found);
	mig_set_check_left_over(&set, found);
	mig_refusal_report(&set);
	mig_refusal_drop_sources(&set);
	mig_set_check_result(&set, found);
	check_versions(set.sources, found);
	mig_refusal_warn(&set);
	if (found == &mig_convention_native &&
		strcmp(reading->convention, "auto") == 0)
		set.told |= mig_dbmate_note_order(set.sources);

	*refusals = set.refusals;
	*told = set.told || set.refusals != NIL || set.orphans != NIL;
	list_sort(set.sources, compare_source_path);
	return set.sources;
}
