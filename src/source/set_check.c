/*-------------------------------------------------------------------------
 *
 * set_check.c
 *	  Which files of a set are none of its convention.
 *
 * A file that was meant to be a migration and is not loaded is found too late,
 * and one that was not meant to be a migration and runs as one cannot be taken
 * back.  So each file is taken, left out because somebody said so, or refused
 * by its name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "base/file_endings.h"
#include "miscadmin.h"
#include "source/known_tools.h"
#include "source/set_check.h"
#include "utils/memutils.h"


/*
 * Files that no convention needs: hidden ones, texts and data about the
 * migrations, what editors and merges leave, and settings of tools, which are
 * handed over because they might be ours.
 */
static bool
is_beside(const MigSourceFile *script)
{
	static const char *const patterns[] = {MIG_BESIDE_PATTERNS};
	const char *base = mig_file_path_base(script->path);

	/* a migration that has been put aside, or sent by mail */
	if (mig_file_path_matches(base, "*.sql.txt"))
		return false;

	for (int i = 0; i < lengthof(patterns); i++)
	{
		if (mig_file_path_matches(base, patterns[i]))
			return true;
	}
	return false;
}

static void
refuse_misfit(MigFileSet *set, MigSourceFile *script,
			  const MigConvention *convention)
{
	mig_file_set_refuse(set, script,
						psprintf("file \"%s\" does not fit convention \"%s\"",
								 script->path, convention->name),
						psprintf("The files of this convention are %s.",
								 convention->files),
						"Rename it, pass another convention, or leave it out with ignore.");
}

/* refuse what is neither SQL nor beside it: a migration in another language? */
void
mig_set_check_others(MigFileSet *set, const MigConvention *convention)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];

		if (!convention->has_place && !script->refused &&
			!mig_file_path_is_sql(script->path) && !is_beside(script))
			refuse_misfit(set, script, convention);
	}
}

/* refuse, or name in a NOTICE, what the parser did not take */
void
mig_set_check_left_over(MigFileSet *set, const MigConvention *convention)
{
	List	   *paths = NIL;

	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];

		if (script->used || script->refused ||
			*mig_file_path_base(script->path) == '.')
			continue;
		if (convention->has_place || !mig_file_path_is_sql(script->path))
			paths = lappend(paths, unconstify(char *, script->path));
		else
			refuse_misfit(set, script, convention);
	}

	set->told = set->told || paths != NIL;
	if (paths != NIL)
		ereport(NOTICE,
				(errmsg_plural("%d file is not part of convention \"%s\" and was left out",
							   "%d files are not part of convention \"%s\" and were left out",
							   list_length(paths), list_length(paths),
							   convention->name),
				 errdetail_plural("The file is %s.", "The files are %s.",
								  list_length(paths),
								  mig_error_name_list(paths))));
}

/* does the version that the file's name begins with have a digit in it? */
static bool
has_number(const char *path)
{
	const char *base = mig_file_path_base(path);

	return base[strcspn(base, "0123456789_")] != '_' &&
		strpbrk(base, "0123456789") != NULL;
}

static int
path_depth(const char *path)
{
	int			depth = 0;

	for (; *path != '\0'; path++)
		depth += (*path == '/');
	return depth;
}

/* files of other parts may lie anywhere: they run with their up file, or never */
static bool
is_up_file(const MigSourceFile *script)
{
	MigFileName name;

	if (!mig_file_path_is_sql(script->path))
		return false;
	mig_file_path_split(script->path, &name);
	return name.part == MIG_UP;
}

/*
 * The directory of the migrations: the first of those that are nested least.
 * NULL if there are none.
 */
static char *
find_root(const MigFileSet *set, const MigConvention *convention)
{
	const MigSourceFile *highest = NULL;

	for (int i = 0; i < set->nscripts; i++)
	{
		const MigSourceFile *script = &set->scripts[i];

		if (is_up_file(script) &&
			(!convention->numbered || has_number(script->path)) &&
			(highest == NULL ||
			 path_depth(script->path) < path_depth(highest->path)))
			highest = script;
	}
	return highest ? mig_file_path_directory(highest->path) : NULL;
}

/*
 * Refuse .sql files that lie among migrations and are none by their names: they
 * would run.
 */
void
mig_set_check_numbers(MigFileSet *set, const MigConvention *convention)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];

		if (convention->numbered && mig_file_path_is_sql(script->path) &&
			!script->refused && !has_number(script->path))
			mig_file_set_refuse(set, script,
								psprintf("file \"%s\" has no version number",
										 script->path),
								NULL,
								"Give it a number, pass convention => 'name' to take whole file names as versions, or leave it out with ignore.");
	}
}

/*
 * The same for those that lie somewhere else.  After the parser, which has more
 * to say about two files of one version.
 */
void
mig_set_check_directories(MigFileSet *set, const MigConvention *convention)
{
	char	   *root = find_root(set, convention);

	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];

		if (root == NULL || script->refused || !is_up_file(script) ||
			strcmp(mig_file_path_directory(script->path), root) == 0)
			continue;
		mig_file_set_refuse(set, script,
							strncmp(script->path, root, strlen(root)) == 0 ?
							psprintf("file \"%s\" is in a sub-directory",
									 script->path) :
							psprintf("file \"%s\" is not in directory \"%s\" with the others",
									 script->path, root),
							NULL,
							"Pass subdirectories => true, or leave it out with ignore.");
	}
}

/*
 * Refuse files with markers or names of other tools.  Before the parser all
 * files count; a convention with a place has only those that it took.
 */
void
mig_set_check_foreign(MigFileSet *set, const MigConvention *convention)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "migrate one file",
												  ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		MemoryContext old = MemoryContextSwitchTo(scratch);
		const char *hint = NULL;
		char	   *message = NULL;

		CHECK_FOR_INTERRUPTS();
		if (!convention->has_place)
			message = mig_known_tools_name(set, script, &hint);
		if (message == NULL && mig_file_path_is_sql(script->path) &&
			(!convention->has_place || script->used))
			message = mig_known_tools_marker(set, script, &hint);
		MemoryContextSwitchTo(old);
		if (message != NULL)
			mig_file_set_refuse(set, script, pstrdup(message), NULL,
								hint ? pstrdup(hint) : NULL);
		MemoryContextReset(scratch);
	}
	MemoryContextDelete(scratch);
}

/* for the hints of files whose names mean something else to another tool */
static const char *
name_namesake(const MigConvention *convention)
{
	if (convention->namesake == NULL)
		return "";
	return psprintf("  Files of %s are called the same: if they are that tool's, pass convention => '%s'.",
					convention->namesake, convention->namesake);
}

/* the .sql files of the set that the caller has not asked to be left out */
static List *
list_sql_paths(const MigFileSet *set)
{
	List	   *paths = NIL;

	for (int i = 0; i < set->nscripts; i++)
	{
		const char *path = set->scripts[i].path;

		if (mig_file_path_is_sql(path) && *mig_file_path_base(path) != '.')
			paths = lappend(paths, unconstify(char *, path));
	}
	return paths;
}

/* a deployment that has files and does nothing is one that went wrong */
static void
refuse_no_migration(const MigFileSet *set, const MigConvention *convention)
{
	List	   *paths = list_sql_paths(set);

	if (set->sources != NIL || set->refusals != NIL || paths == NIL)
		return;
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg_plural("there is %d SQL file, and no migration",
						   "there are %d SQL files, and no migration",
						   list_length(paths), list_length(paths)),
			 set->orphans != NIL ?
			 errdetail("Down and verify files without an up file: %s.",
					   mig_error_name_list(set->orphans)) :
			 errdetail("The files are %s; those of convention \"%s\" are %s.",
					   mig_error_name_list(paths), convention->name,
					   convention->files),
			 errhint("Give the up files too, or leave these out with ignore.%s",
					 name_namesake(convention))));
}

void
mig_set_check_result(const MigFileSet *set, const MigConvention *convention)
{
	ListCell   *lc;

	refuse_no_migration(set, convention);
	foreach(lc, set->orphans)
		ereport(WARNING,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" belongs to no migration and is left out",
						(char *) lfirst(lc)),
				 errdetail("There is no up file for it."),
				 errhint("Give it the name of the migration that it undoes or verifies.%s",
						 name_namesake(convention))));
}
