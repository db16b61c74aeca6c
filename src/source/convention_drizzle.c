/*-------------------------------------------------------------------------
 *
 * convention_drizzle.c
 *	  The files of Drizzle, and its journal.
 *
 * The tool runs what meta/_journal.json lists, in that order, and nothing else.
 * The name of a file, which is the "tag" there, is the version.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/byte_order.h"
#include "source/conventions.h"

#define JOURNAL "_journal.json"


/* its journal */
static MigSourceFile *
drizzle_detect(const MigFileSet *set)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];

		if (strcmp(mig_file_path_base(script->path), JOURNAL) == 0 &&
			strcmp(mig_file_path_directory_name(script->path), "meta") == 0)
			return script;
	}
	return NULL;
}

/* raise an error about the journal */
static void
journal_error(const MigSourceFile *journal, const char *detail)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("file \"%s\" is no journal of Drizzle", journal->path),
			 errdetail("%s", detail)));
}

/*
 * The string that belongs to the next such key at or after *text, which is moved
 * behind it; NULL if there is none.  A tool writes this file, and names files
 * with what needs no escapes.
 */
static char *
next_string(const MigSourceFile *journal, const char **text, const char *key)
{
	const char *quoted = psprintf("\"%s\"", key);
	const char *found = strstr(*text, quoted);
	size_t		length;

	if (found == NULL)
		return NULL;
	found += strlen(quoted);
	found += strspn(found, " \t\r\n");
	if (*found == ':')
		found++;
	found += strspn(found, " \t\r\n");
	length = *found == '"' ? strcspn(found + 1, "\"\\\n") : 0;
	if (length == 0 || found[1 + length] != '"')
		journal_error(journal,
					  psprintf("The value of \"%s\" is no plain string.", key));
	*text = found + 1 + length;
	return pnstrdup(found + 1, length);
}

/* for which kind of server the files are */
static void
check_dialect(const MigSourceFile *journal)
{
	const char *text = journal->content;
	char	   *dialect = next_string(journal, &text, "dialect");

	if (dialect != NULL && strcmp(dialect, "postgresql") != 0 &&
		strcmp(dialect, "pg") != 0)
		journal_error(journal,
					  psprintf("The migrations are in the dialect of another database, %s.",
							   mig_printable_line(dialect, MIG_EXCERPT_BYTES)));
}

/* the migration of that name, which the journal has */
static void
take_entry(MigFileSet *set, const MigSourceFile *journal, const char *directory,
		   char *tag)
{
	char	   *path = psprintf("%s%s.sql", directory, tag);
	MigSourceFile *script = mig_file_set_find(set, path);

	if (script == NULL)
		journal_error(journal, psprintf("There is no file \"%s\" for it.",
										mig_printable_line(path, MIG_PATH_BYTES)));
	script->used = true;
	mig_file_set_take(mig_file_set_add(set, script, tag, ""), MIG_UP, script);
}

/* refuse .sql files that the journal does not have; snapshots lie beside it */
static void
check_journalled(MigFileSet *set, const char *directory)
{
	char	   *meta = psprintf("%smeta/", directory);

	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		char	   *place = mig_file_path_directory(script->path);

		if (strcmp(place, meta) == 0)
			script->used = true;
		else if (!script->used && mig_file_path_is_sql(script->path) &&
				 strcmp(place, directory) == 0)
			mig_file_set_refuse(set, script,
								psprintf("file \"%s\" is not in the journal of Drizzle",
										 script->path),
								NULL,
								"Drizzle does not run it: leave it out with ignore, or generate the migration anew.");
	}
}

/* take the files that the journal lists, in its order */
static void
drizzle_parse(MigFileSet *set)
{
	MigSourceFile *journal = drizzle_detect(set);
	const char *text;
	char	   *directory;
	char	   *tag;

	if (journal == NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("there is no file \"meta/" JOURNAL "\"")));
	check_dialect(journal);
	directory = mig_file_path_directory(journal->path);
	directory[strlen(directory) - strlen("meta/")] = '\0';
	text = journal->content;
	while ((tag = next_string(journal, &text, "tag")) != NULL)
		take_entry(set, journal, directory, tag);
	mig_order_keep(set->sources);
	check_journalled(set, directory);
}

const MigConvention mig_convention_drizzle = {
	.name = "drizzle",
	.files = "VERSION.sql, those listed in meta/" JOURNAL,
	.has_place = true,
	.nested = true,
	.detect = drizzle_detect,
	.parse = drizzle_parse
};
