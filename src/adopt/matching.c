/*-------------------------------------------------------------------------
 *
 * matching.c
 *	  Which migration of ours an entry of another tool's ledger is.
 *
 * Tools name a migration by its version, its file, its directory or the hash of
 * its text, with an ending or without, with zeros before a number or without
 * them.  Each migration is entered under all its names, by what they are names
 * of, and each entry is looked up from the most to the least certain of them.
 * A name that two migrations have is nobody's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/hsearch.h"

#include "adopt/matching.h"
#include "base/version_order.h"

/* what a name is of; the first character of its key */
#define OF_VERSION	'v'
#define OF_FILE		'f'			/* without its endings */
#define OF_DIRECTORY 'd'
#define OF_TEXT		'h'			/* its hash */
#define OF_NUMBER	'n'			/* see number_of() */

struct MigMatching
{
	HTAB	   *names;
};

typedef struct NameEntry
{
	char	   *name;			/* hash key */
	MigEntry   *migration;		/* NULL: several have it */
} NameEntry;

static uint32
hash_name(const void *key, Size size)
{
	const char *name = *(char *const *) key;

	return hash_bytes((const unsigned char *) name, strlen(name));
}

static int
compare_names(const void *a, const void *b, Size size)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* the name of the directory that a file lies in, or NULL */
static char *
directory_of(const char *path)
{
	const char *base = base_of(path);

	if (base == path)
		return NULL;
	return pstrdup(base_of(pnstrdup(path, base - path - 1)));
}

/* the name of a file without what tools write after it */
static char *
stem_of(const char *file)
{
	static const char *const endings[] = {
		".sql", ".up", ".do", ".js", ".mjs", ".cjs", ".ts", ".rb", ".py",
		".exs", ".php", ".java", ".xml", ".yaml", ".yml", ".json"
	};
	char	   *stem = pstrdup(base_of(file));
	bool		found;

	do
	{
		found = false;
		for (int i = 0; i < lengthof(endings); i++)
		{
			int			length = strlen(stem) - strlen(endings[i]);

			if (length > 0 &&
				pg_strcasecmp(stem + length, endings[i]) == 0)
			{
				stem[length] = '\0';
				found = true;
			}
		}
	} while (found);
	return stem;
}

/*
 * The number that a version is, as one spelling of it: 007 is 7, 1.2.0 is 1.2;
 * with joined, 2024-01-31 is 20240131.  NULL if there is more than digits and
 * what parts them.
 */
static char *
number_of(const char *version, bool joined)
{
	StringInfoData number;

	if (*version == '\0' || version[strspn(version, "0123456789._-")] != '\0')
		return NULL;
	initStringInfo(&number);
	while (*version != '\0')
	{
		int			length = strspn(version, "0123456789");

		if (length == 0)
		{
			version++;
			continue;
		}
		if (number.len > 0 && !joined)
			appendStringInfoChar(&number, '.');
		while (length > 1 && *version == '0' && (!joined || number.len == 0))
		{
			version++;
			length--;
		}
		appendBinaryStringInfo(&number, version, length);
		version += length;
	}
	while (number.len > 2 && strcmp(number.data + number.len - 2, ".0") == 0)
		number.data[number.len -= 2] = '\0';
	return number.len > 0 ? number.data : NULL;
}

/*
 * Enter a migration under a name of this kind; NULL and the empty name are none.
 */
static void
enter(MigMatching *matching, MigEntry *migration, char kind, const char *name)
{
	NameEntry  *entry;
	char	   *key;
	bool		found;

	if (name == NULL || *name == '\0')
		return;
	key = psprintf("%c%s", kind, name);
	entry = hash_search(matching->names, &key, HASH_ENTER, &found);
	if (!found)
		entry->migration = migration;
	else if (entry->migration != migration)
		entry->migration = NULL;
}

MigMatching *
mig_matching_create(const MigProject *project)
{
	MigMatching *matching = palloc0(sizeof(MigMatching));
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(char *);
	ctl.entrysize = sizeof(NameEntry);
	ctl.hash = hash_name;
	ctl.match = compare_names;
	ctl.hcxt = CurrentMemoryContext;
	matching->names = hash_create("migrate names of migrations", 1024, &ctl,
								  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE |
								  HASH_CONTEXT);
	for (int i = 0; i < project->count; i++)
	{
		MigEntry   *migration = &project->entries[i];

		CHECK_FOR_INTERRUPTS();
		enter(matching, migration, OF_VERSION, migration->version);
		enter(matching, migration, OF_FILE,
			  psprintf("%s_%s", migration->version, migration->name));
		enter(matching, migration, OF_NUMBER,
			  number_of(migration->version, false));
		enter(matching, migration, OF_NUMBER,
			  number_of(migration->version, true));
		enter(matching, migration, OF_TEXT, migration->checksum);
		if (migration->path != NULL)
		{
			enter(matching, migration, OF_FILE, stem_of(migration->path));
			enter(matching, migration, OF_DIRECTORY,
				  directory_of(migration->path));
		}
	}
	return matching;
}

/* The migration that alone has this name, or NULL. */
static MigEntry *
find(const MigMatching *matching, char kind, const char *name)
{
	NameEntry  *entry;
	char	   *key;

	if (name == NULL)
		return NULL;
	key = psprintf("%c%s", kind, name);
	entry = hash_search(matching->names, &key, HASH_FIND, NULL);
	return entry ? entry->migration : NULL;
}

MigEntry *
mig_matching_find(const MigMatching *matching, const MigLedgerEntry *entry)
{
	const struct
	{
		char		kind;
		const char *name;
	}			names[] =
	{
		{OF_FILE, entry->name ? stem_of(entry->name) : NULL},
		{OF_VERSION, entry->key},
		{OF_FILE, stem_of(entry->key)},
		{OF_VERSION, stem_of(entry->key)},
		{OF_DIRECTORY, entry->key},
		{OF_TEXT, entry->key},
		{OF_NUMBER, number_of(entry->key, false)},
		{OF_NUMBER, number_of(entry->key, true)}
	};

	for (int i = 0; i < lengthof(names); i++)
	{
		MigEntry   *migration = find(matching, names[i].kind, names[i].name);

		if (migration != NULL)
			return migration;
	}
	return NULL;
}

bool
mig_matching_is_up_to(const MigEntry *migration, const char *key)
{
	char	   *number = number_of(migration->version, false);
	char	   *bound = number_of(key, false);

	return number != NULL && bound != NULL &&
		mig_version_order_compare(number, bound) <= 0;
}
