/*-------------------------------------------------------------------------
 *
 * directory.c
 *	  Reading the files of a directory of the server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>
#include <sys/stat.h>

#include "catalog/pg_authid.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/acl.h"
#include "utils/memutils.h"

#include "base/directory.h"
#include "base/file_endings.h"
#include "base/printable.h"

/* nobody's migrations are nested deeper; ends a loop of symbolic links */
#define MAX_DEPTH 16

static bool
has_ending(const char *name, const char *ending)
{
	size_t		length = strlen(name);
	size_t		ending_length = strlen(ending);

	return length >= ending_length &&
		pg_strcasecmp(name + length - ending_length, ending) == 0;
}

/* is it a file that is read? */
static bool
is_wanted(const char *name)
{
	static const char *const endings[] = {MIG_READ_ENDINGS};

	for (int i = 0; i < lengthof(endings); i++)
	{
		if (has_ending(name, endings[i]))
			return true;
	}
	return false;
}

/* does the name begin with an id, which has a digit, and "_", or have a date? */
static bool
has_id(const char *name)
{
	size_t		id = strcspn(name, "_/");
	size_t		end = strcspn(name, "/");
	size_t		i;

	if (name[id] == '_' && strcspn(name, "0123456789") < id)
		return true;
	for (i = 0; i < end; i++)
	{
		size_t		digits = strspn(name + i, "0123456789");

		if (digits >= 8)
			return true;
		i += digits;
	}
	return false;
}

/*
 * Of a file that is not read: is its path that of a migration, a part of which
 * begins with a number, an id or Flyway's letter?  Who reads the files has to
 * know that it is there.
 */
static bool
looks_like_migration(const char *path)
{
	while (path != NULL)
	{
		if (*path == '/')
			path++;
		if (has_id(path))
			return true;
		if (isdigit((unsigned char) *path) || pg_strncasecmp(path, "R__", 3) == 0 ||
			(*path != '\0' && strchr("VUBRvubr", *path) != NULL &&
			 isdigit((unsigned char) path[1])))
			return true;
		path = strchr(path, '/');
	}
	return false;
}

/*
 * The contents of a file of this size, which must be text; what it has got
 * since is left out.
 */
static char *
read_file(const char *path, size_t size)
{
	FILE	   *file = AllocateFile(path, PG_BINARY_R);
	char	   *raw;
	size_t		length;

	if (file == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", path)));
	if (size >= MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("file \"%s\" is too large", path)));
	raw = palloc(size + 1);
	length = fread(raw, 1, size, file);
	if (ferror(file))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", path)));
	FreeFile(file);
	raw[length] = '\0';
	if (memchr(raw, '\0', length) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("file \"%s\" contains a zero byte", path)));
	return pg_any_to_server(raw, length, PG_UTF8);
}

/*
 * Give the files below a directory to the sink, with paths relative to its
 * top.  Of a file that is not wanted but bears the name of a migration it
 * gets the path alone, so that it is refused.
 */
static void
read_below(const char *directory, const char *prefix, int depth,
		   MigDirectorySink sink, void *arg)
{
	DIR		   *dir = AllocateDir(directory);
	struct dirent *entry;

	if (depth > MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("directory \"%s\" is nested too deeply", directory)));

	/* ReadDir() reports a directory that could not be opened */
	while ((entry = ReadDir(dir, directory)) != NULL)
	{
		char	   *full = psprintf("%s/%s", directory, entry->d_name);
		char	   *relative = psprintf("%s%s", prefix, entry->d_name);
		struct stat st;

		CHECK_FOR_INTERRUPTS();
		if (entry->d_name[0] == '.')
			continue;
		if (stat(full, &st) != 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not stat file \"%s\": %m", full)));
		relative = pg_any_to_server(relative, strlen(relative), PG_UTF8);
		if (S_ISDIR(st.st_mode))
			read_below(full, psprintf("%s/", relative), depth + 1, sink, arg);
		else if (S_ISREG(st.st_mode) && is_wanted(entry->d_name))
			sink(relative, read_file(full, st.st_size), arg);
		else if (looks_like_migration(relative))
			sink(relative, "", arg);
	}
	FreeDir(dir);
}

void
mig_directory_read(const char *directory, MigDirectorySink sink, void *arg)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to read files of the server"),
				 errdetail("Only members of role \"pg_read_server_files\" may load a directory."),
				 errhint("Use pg_migrate load, or migrate.load().")));
	read_below(directory, "", 0, sink, arg);
}
