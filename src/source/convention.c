/*-------------------------------------------------------------------------
 *
 * convention.c
 *	  File names and markers of the tools whose files can be loaded.
 *
 * A convention is a row of the table below: its name, a function that
 * recognizes its files and one that makes migrations of them.  To add one,
 * write the two functions and the row; everything that holds for all of them
 * (files of other tools, unique versions, no file left over, the order of the
 * result) is done here, before and after the parser.  Parsers that need more than file names are in
 * source/convention_native.c and source/convention_sqitch.c, what they share
 * in source/file_set.c.
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
#include "source/convention.h"
#include "source/convention_native.h"
#include "source/convention_sqitch.h"
#include "source/file_set.h"
#include "source/known_tools.h"
#include "source/lenient_scan.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "base/version_order.h"

/* files that are named in one error */
#define MAX_REFUSALS 30

typedef struct Convention
{
	const char *name;
	const char *files;			/* its file names, for messages */

	/*
	 * Its tool has a place for migrations and looks at no file outside of it:
	 * such a file is named in a NOTICE and left out.
	 */
	bool		has_place;
	bool		nested;			/* its tool looks into sub-directories */
	bool		numbered;		/* its versions have a digit in them */

	/* the same for versions that are the same one to it; null: their bytes */
	char	   *(*version_key) (const char *version);

	/* a file that shows that the set is of it, or NULL; null: never is */
	MigSourceFile *(*detect) (const MigFileSet *set);
	void		(*parse) (MigFileSet *set);
} Convention;

static MigSourceFile *golang_migrate_detect(const MigFileSet *set);
static void golang_migrate_parse(MigFileSet *set);
static MigSourceFile *sqlx_detect(const MigFileSet *set);
static void sqlx_parse(MigFileSet *set);
static MigSourceFile *diesel_detect(const MigFileSet *set);
static void diesel_parse(MigFileSet *set);
static MigSourceFile *flyway_detect(const MigFileSet *set);
static void flyway_parse(MigFileSet *set);
static MigSourceFile *prisma_detect(const MigFileSet *set);
static void prisma_parse(MigFileSet *set);
static char *number_key(const char *version);

/* the first one is what a set is taken for that shows none */
static const Convention conventions[] = {
	{
		"native", "VERSION_name.sql, VERSION_name.down.sql, VERSION_name.verify.sql",
		false, false, true, mig_version_without_zeros, mig_convention_native_detect,
		mig_convention_native_parse
	},
	{
		"plain", "VERSION_name.sql, VERSION_name.down.sql, VERSION_name.verify.sql",
		false, false, true, mig_version_without_zeros, NULL, mig_convention_plain_parse
	},
	{
		"name", "VERSION.sql, VERSION.down.sql, VERSION.verify.sql",
		false, false, false, NULL, NULL, mig_convention_name_parse
	},
	{
		"golang-migrate", "NUMBER_name.up.sql, NUMBER_name.down.sql",
		false, false, true, number_key, golang_migrate_detect, golang_migrate_parse
	},
	{
		"sqlx", "NUMBER_name.sql, NUMBER_name.up.sql, NUMBER_name.down.sql",
		false, false, true, number_key, sqlx_detect, sqlx_parse
	},
	{
		"goose", "NUMBER_name.sql",
		false, false, true, number_key, mig_convention_goose_detect,
		mig_convention_goose_parse
	},
	{
		"diesel", "VERSION_name/up.sql, VERSION_name/down.sql",
		true, true, false, NULL, diesel_detect, diesel_parse
	},
	{
		"flyway", "VNUMBER__name.sql, UNUMBER__name.sql, R__name.sql",
		false, true, false, number_key, flyway_detect, flyway_parse
	},
	{
		"sqitch", "those planned in sqitch.plan, in deploy/, revert/ and verify/",
		true, true, false, NULL, mig_convention_sqitch_detect,
		mig_convention_sqitch_parse
	},
	{
		"prisma", "VERSION_name/migration.sql",
		true, true, false, NULL, prisma_detect, prisma_parse
	}
};


/* ----------
 * golang-migrate and sqlx
 * ----------
 */

/*
 * Take NUMBER_name apart; false if the file is not called so, or is a verify
 * file, which only the native form has.
 */
static bool
numbered_claim(const MigFileName *name, MigClaim *claim)
{
	char	   *underscore = strchr(name->stem, '_');

	if (underscore == NULL || name->part == MIG_VERIFY)
		return false;

	claim->version = pnstrdup(name->stem, underscore - name->stem);
	if (!mig_file_path_is_digits(claim->version))
		return false;

	claim->name = underscore + 1;
	claim->key = mig_file_path_numeric_key(claim->version);
	claim->part = name->part;
	return true;
}

/* MigClaimFunction */
static bool
golang_migrate_claim(const MigSourceFile *script, const MigFileName *name,
					 MigClaim *claim)
{
	return name->suffixed && numbered_claim(name, claim);
}

/* MigClaimFunction: a file without up or down can only be applied */
static bool
sqlx_claim(const MigSourceFile *script, const MigFileName *name,
		   MigClaim *claim)
{
	return numbered_claim(name, claim);
}

/* does the file ask sqlx to run it outside of a transaction? */
static bool
has_no_transaction(const MigSourceFile *script)
{
	const char *wanted = "-- no-transaction";
	MigFileLine line;

	mig_file_line_rewind(&line, script->content);
	return strncmp(line.next, wanted, strlen(wanted)) == 0;
}

/* MigTakeFunction: how a down is run is seen from its statements */
static void
sqlx_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	mig_file_set_take(source, part, script);
	if (part == MIG_UP && has_no_transaction(script))
		source->transactional = MIG_TX_OFF;
}

/*
 * What the numbered files of a set have: an up file, a file that is sqlx's
 * alone because of its name or its first line.  A verify file shows that the
 * set is of the native form, whose files can have the same names.
 */
static void
examine_numbered(const MigFileSet *set, MigSourceFile **up,
				 MigSourceFile **sqlx)
{
	MigSourceFile *unsuffixed = NULL;

	*up = *sqlx = NULL;
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		MigFileName name;
		MigClaim	claim;

		if (!mig_file_path_is_sql(script->path))
			continue;
		mig_file_path_split(script->path, &name);

		if (name.part == MIG_VERIFY)
		{
			*up = *sqlx = NULL;
			return;
		}
		if (!numbered_claim(&name, &claim) || claim.part != MIG_UP)
			continue;

		if (*sqlx == NULL && has_no_transaction(script))
			*sqlx = script;
		if (name.suffixed && *up == NULL)
			*up = script;
		if (!name.suffixed && unsuffixed == NULL)
			unsuffixed = script;
	}

	/* without an up file these are names of the native form too */
	if (*up != NULL && *sqlx == NULL)
		*sqlx = unsuffixed;
}

/* what both tools would load in the same way is golang-migrate's */
static MigSourceFile *
golang_migrate_detect(const MigFileSet *set)
{
	MigSourceFile *up;
	MigSourceFile *sqlx;

	examine_numbered(set, &up, &sqlx);
	return sqlx == NULL ? up : NULL;
}

static MigSourceFile *
sqlx_detect(const MigFileSet *set)
{
	MigSourceFile *up;
	MigSourceFile *sqlx;

	examine_numbered(set, &up, &sqlx);
	return sqlx;
}

static void
golang_migrate_parse(MigFileSet *set)
{
	mig_file_set_pair(set, golang_migrate_claim, mig_file_set_take);
}

static void
sqlx_parse(MigFileSet *set)
{
	mig_file_set_pair(set, sqlx_claim, sqlx_take);
}


/* ----------
 * diesel, Prisma and Flyway: settings beside the scripts
 * ----------
 */

/* take off a comment of the # kind */
static char *
without_comment(char *text)
{
	text[strcspn(text, "#")] = '\0';
	return mig_file_line_trim(text);
}

/*
 * Split "key = value"; false if there is no "=", value being "" then.  Quotes
 * around the key are taken off.
 */
static bool
split_setting(char *text, char **key, char **value)
{
	char	   *equals = strchr(text, '=');
	size_t		length;

	*value = "";
	if (equals != NULL)
	{
		*equals = '\0';
		*value = mig_file_line_trim(equals + 1);
	}

	*key = mig_file_line_trim(text);
	length = strlen(*key);
	if (length >= 2 && **key == '"' && (*key)[length - 1] == '"')
	{
		(*key)[length - 1] = '\0';
		(*key)++;
	}
	return equals != NULL;
}

/* read true or false */
static bool
boolean_setting(const MigSourceFile *script, const MigFileLine *line,
				const char *value)
{
	if (pg_strcasecmp(value, "true") == 0)
		return true;
	if (pg_strcasecmp(value, "false") != 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("invalid setting \"%s\" in file \"%s\" line %d",
						mig_file_line_excerpt(line), script->path,
						line->number),
				 errdetail("Expected true or false.")));
	return false;
}

/*
 * metadata.toml, of which one key is known; keys of tables are others.
 */
static MigTransactional
diesel_metadata(const MigSourceFile *script)
{
	MigTransactional result = MIG_TX_RECOGNIZE;
	MigFileLine line;

	mig_file_line_rewind(&line, script->content);
	while (mig_file_line_next(&line))
	{
		char	   *text = without_comment(mig_file_line_text(&line));
		char	   *key;
		char	   *value;

		if (*text == '[')
			break;
		if (split_setting(text, &key, &value) &&
			strcmp(key, "run_in_transaction") == 0)
			result = boolean_setting(script, &line, value) ?
				MIG_TX_ON : MIG_TX_OFF;
	}
	return result;
}

/* the name of the directory that the file is in, "" if there is none */
static char *
directory_name(const char *path)
{
	char	   *directory = mig_file_path_directory(path);

	if (*directory == '\0')
		return directory;
	directory[strlen(directory) - 1] = '\0';
	return pstrdup(mig_file_path_base(directory));
}

/* MigClaimFunction: VERSION_name/up.sql, dashes in the version do not count */
static bool
diesel_claim(const MigSourceFile *script, const MigFileName *name,
			 MigClaim *claim)
{
	char	   *directory = directory_name(script->path);
	char	   *to;

	if (strcmp(name->base, "up") == 0)
		claim->part = MIG_UP;
	else if (strcmp(name->base, "down") == 0)
		claim->part = MIG_DOWN;
	else
		return false;

	claim->key = mig_file_path_directory(script->path);
	claim->name = directory + strcspn(directory, "_");
	if (*claim->name != '\0')
		*claim->name++ = '\0';

	claim->version = to = directory;
	for (; *directory != '\0'; directory++)
	{
		if (*directory != '-')
			*to++ = *directory;
	}
	*to = '\0';

	if (*claim->version == '\0' || *claim->version == '.')
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" is in no directory of a migration",
						script->path),
				 errdetail("The files of this convention are VERSION_name/up.sql and VERSION_name/down.sql.")));
	return true;
}

/* list_sort() helper: by version, then path */
static int
compare_source_version(const ListCell *a, const ListCell *b)
{
	const MigSource *sa = lfirst(a);
	const MigSource *sb = lfirst(b);
	int			result = strcmp(sa->version, sb->version);

	return result != 0 ? result : strcmp(sa->path, sb->path);
}

/*
 * Keep the order of a tool that compares versions as strings.
 *
 * It differs from the natural order if versions have numbers of different
 * length.  A version that has a naturally greater one before it is made to
 * require the nearest of these: then of all versions that can be next the
 * naturally smallest is always the next one as a string, too.
 */
static void
keep_byte_order(List *sources)
{
	List	   *sorted = list_copy(sources);
	MigSource **greater = palloc((list_length(sources) + 1) *
								 sizeof(MigSource *));
	int			ngreater = 0;
	ListCell   *lc;

	list_sort(sorted, compare_source_version);
	foreach(lc, sorted)
	{
		MigSource  *source = lfirst(lc);

		/* greater[] falls: its last one is the nearest that is greater */
		while (ngreater > 0 &&
			   mig_version_order_compare(greater[ngreater - 1]->version,
										 source->version) <= 0)
			ngreater--;
		if (ngreater > 0)
			source->requires = list_make1(greater[ngreater - 1]->version);
		greater[ngreater++] = source;
	}
	list_free(sorted);
}

static void
diesel_parse(MigFileSet *set)
{
	ListCell   *lc;

	mig_file_set_pair(set, diesel_claim, mig_file_set_take);
	keep_byte_order(set->sources);

	foreach(lc, set->sources)
	{
		MigSource  *source = lfirst(lc);
		char	   *directory = mig_file_path_directory(source->path);
		MigSourceFile *metadata;

		metadata = mig_file_set_find(set, psprintf("%smetadata.toml",
												   directory));
		if (metadata != NULL)
		{
			metadata->used = true;
			source->transactional = diesel_metadata(metadata);
		}
	}
}

/* the directories that diesel makes begin with a time */
static MigSourceFile *
diesel_detect(const MigFileSet *set)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		char	   *directory;

		if (strcmp(mig_file_path_base(script->path), "up.sql") != 0)
			continue;
		directory = directory_name(script->path);
		if (*directory >= '0' && *directory <= '9')
			return script;
	}
	return NULL;
}

/*
 * MigClaimFunction: the directory's whole name is the version, as it is in the
 * table of Prisma
 */
static bool
prisma_claim(const MigSourceFile *script, const MigFileName *name,
			 MigClaim *claim)
{
	if (strcmp(name->base, "migration") == 0)
		claim->part = MIG_UP;
	else if (strcmp(name->base, "down") == 0)
		claim->part = MIG_DOWN;
	else
		return false;

	claim->key = mig_file_path_directory(script->path);
	claim->version = directory_name(script->path);
	claim->name = "";
	if (*claim->version == '\0' || *claim->version == '.')
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" is in no directory of a migration",
						script->path),
				 errdetail("The files of this convention are VERSION_name/migration.sql.")));
	return true;
}

/* migration_lock.toml says for which kind of server the files are */
static void
check_prisma_lock(const MigSourceFile *script)
{
	MigFileLine line;

	mig_file_line_rewind(&line, script->content);
	while (mig_file_line_next(&line))
	{
		char	   *key;
		char	   *value;

		if (split_setting(without_comment(mig_file_line_text(&line)), &key,
						  &value) &&
			strcmp(key, "provider") == 0 &&
			strcmp(value, "\"postgresql\"") != 0 &&
			strcmp(value, "\"postgres\"") != 0 &&
			strcmp(value, "\"cockroachdb\"") != 0)
			ereport(ERROR,
					(errcode(MIG_ERRCODE_CONVENTION),
					 errmsg("setting \"%s\" in file \"%s\" line %d is not supported",
							mig_file_line_excerpt(&line), script->path,
							line.number),
					 errdetail("The migrations are for another kind of server.")));
	}
}

static void
prisma_parse(MigFileSet *set)
{
	mig_file_set_pair(set, prisma_claim, mig_file_set_take);
	keep_byte_order(set->sources);

	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];

		if (strcmp(mig_file_path_base(script->path), "migration_lock.toml") ==
			0)
		{
			check_prisma_lock(script);
			script->used = true;
		}
	}
}

/* its directories begin with a time, or a 0; the lock file is its alone */
static MigSourceFile *
prisma_detect(const MigFileSet *set)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		const char *base = mig_file_path_base(script->path);
		char	   *directory = directory_name(script->path);

		if (strcmp(base, "migration_lock.toml") == 0 ||
			(strcmp(base, "migration.sql") == 0 &&
			 *directory >= '0' && *directory <= '9'))
			return script;
	}
	return NULL;
}

/*
 * Take the name of a versioned file of Flyway apart, like V1.2__a_name; false
 * if it is not called so.  Underscores are dots in the version and blanks in
 * the name.
 */
static bool
flyway_versioned(const MigFileName *name, MigClaim *claim)
{
	const char *base = name->base;
	const char *separator = strstr(base, "__");
	size_t		length = separator == NULL ? strlen(base) : separator - base;

	if (length < 2 || strchr("VUB", *base) == NULL)
		return false;

	claim->version = pnstrdup(base + 1, length - 1);
	for (char *c = claim->version; *c != '\0'; c++)
	{
		if (*c == '_')
			*c = '.';

		/* digits, with single dots between them */
		if (*c == '.' ? c == claim->version || c[-1] == '.' || c[1] == '\0'
			: *c < '0' || *c > '9')
			return false;
	}

	claim->name = pstrdup(separator == NULL ? "" : separator + 2);
	claim->key = psprintf("V%s", mig_file_path_numeric_key(claim->version));
	claim->part = *base == 'U' ? MIG_DOWN : MIG_UP;
	return true;
}

/* likewise of a repeatable one, like R__a_name, which is its own version */
static bool
flyway_repeatable(const MigFileName *name, MigClaim *claim)
{
	if (strncmp(name->base, "R__", 3) != 0 || name->base[3] == '\0')
		return false;

	claim->version = name->base;
	claim->name = pstrdup(name->base + 3);
	claim->key = name->base;
	claim->part = MIG_UP;
	claim->kind = MIG_REPEATABLE;
	return true;
}

/* MigClaimFunction */
static bool
flyway_claim(const MigSourceFile *script, const MigFileName *name,
			 MigClaim *claim)
{
	if (!flyway_versioned(name, claim) && !flyway_repeatable(name, claim))
		return false;

	if (name->base[0] == 'B')
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" is a baseline migration of Flyway",
						script->path),
				 errdetail("It stands for all migrations up to version \"%s\", which is not supported.",
						   claim->version),
				 errhint("Leave it out, and load those migrations or the dump of a schema that has them.")));

	for (char *c = claim->name; *c != '\0'; c++)
	{
		if (*c == '_')
			*c = ' ';
	}
	return true;
}

/* raise an error about a setting of a script that cannot be honored */
static void
flyway_refuse(const MigSourceFile *script, const MigFileLine *line,
			  const char *detail)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("setting \"%s\" in file \"%s\" line %d is not supported",
					mig_file_line_excerpt(line), script->path, line->number),
			 errdetail("%s", detail)));
}

/* the placeholder that begins at text, or NULL */
static char *
flyway_placeholder(const char *text)
{
	int			length = 2;

	if (text[0] != '$' || text[1] != '{')
		return NULL;
	/* not over another one: no byte is looked at for two of them */
	while (text[length] != '\0' && text[length] != '\n' &&
		   text[length] != '}' &&
		   !(text[length] == '$' && text[length + 1] == '{'))
		length++;
	return text[length] == '}' ? pnstrdup(text, length + 1) : NULL;
}

/*
 * Flyway would put something else in its place, in literals and bodies of
 * functions, too.
 */
static void
flyway_refuse_placeholders(const MigSourceFile *script)
{
	const char *text = script->content;
	int			line = 1;

	while (*text != '\0')
	{
		const char *end = mig_lenient_scan_skip(text);
		bool		comment = mig_lenient_scan_is_gap(text);

		if (end == NULL)
			end = text + strlen(text);
		for (; text < end; text++)
		{
			char	   *name = comment ? NULL : flyway_placeholder(text);

			CHECK_FOR_INTERRUPTS();
			if (name != NULL)
				ereport(ERROR,
						(errcode(MIG_ERRCODE_CONVENTION),
						 errmsg("placeholder \"%s\" in file \"%s\" line %d is not supported",
								name, script->path, line),
						 errdetail("Flyway would replace it."),
						 errhint("Write its value there, or placeholderReplacement=false into \"%s.conf\" if it is to stay as it is.",
								 script->path)));
			if (*text == '\n')
				line++;
		}
	}
}

/*
 * <script>.sql.conf.  Its encoding does not matter any more, the content has
 * been converted by who sent it.
 */
static MigTransactional
flyway_configuration(const MigSourceFile *script, bool *replaces)
{
	MigTransactional result = MIG_TX_RECOGNIZE;
	MigFileLine line;

	mig_file_line_rewind(&line, script->content);
	while (mig_file_line_next(&line))
	{
		char	   *text = without_comment(mig_file_line_text(&line));
		char	   *key;
		char	   *value;

		if (*text == '\0')
			continue;

		split_setting(text, &key, &value);
		if (strcmp(key, "executeInTransaction") == 0)
			result = boolean_setting(script, &line, value) ?
				MIG_TX_ON : MIG_TX_OFF;
		else if (strcmp(key, "placeholderReplacement") == 0)
		{
			*replaces = boolean_setting(script, &line, value);
			if (*replaces)
				flyway_refuse(script, &line, "Placeholders are not replaced.");
		}
		else if (strcmp(key, "shouldExecute") == 0)
		{
			if (pg_strcasecmp(value, "true") != 0)
				flyway_refuse(script, &line, "Migrations are not executed on conditions.");
		}
		else if (strcmp(key, "encoding") != 0)
			flyway_refuse(script, &line, "The settings are executeInTransaction, placeholderReplacement, shouldExecute and encoding.");
	}
	return result;
}

static void
flyway_parse(MigFileSet *set)
{
	int			count = Max(set->nscripts, 1);
	MigTransactional *said = palloc0(count * sizeof(MigTransactional));
	bool	   *literal = palloc0(count * sizeof(bool));	/* placeholders are none */
	ListCell   *lc;

	mig_file_set_pair(set, flyway_claim, mig_file_set_take);

	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *conf = &set->scripts[i];
		bool		replaces = true;
		MigSourceFile *script;

		if (!mig_file_path_has_suffix(conf->path, ".sql.conf"))
			continue;

		script = mig_file_set_find(set, pnstrdup(conf->path,
												 strlen(conf->path) - strlen(".conf")));
		if (script == NULL || !script->used)
			ereport(ERROR,
					(errcode(MIG_ERRCODE_CONVENTION),
					 errmsg("file \"%s\" belongs to no migration",
							conf->path),
					 errdetail("There is no script for it.")));

		conf->used = true;
		said[script - set->scripts] = flyway_configuration(conf, &replaces);
		literal[script - set->scripts] = !replaces;
	}
	foreach(lc, set->sources)
	{
		MigSource  *source = lfirst(lc);
		const MigSourceFile *script = mig_file_set_find(set, source->path);

		source->transactional = said[script - set->scripts];
	}
	for (int i = 0; i < set->nscripts; i++)
	{
		const MigSourceFile *script = &set->scripts[i];

		if (script->used && mig_file_path_is_sql(script->path) && !literal[i])
			flyway_refuse_placeholders(script);
	}
}

static MigSourceFile *
flyway_detect(const MigFileSet *set)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		MigFileName name;
		MigClaim	claim;

		if (!mig_file_path_is_sql(script->path))
			continue;
		mig_file_path_split(script->path, &name);
		if (strstr(name.base, "__") != NULL &&
			(flyway_versioned(&name, &claim) ||
			 flyway_repeatable(&name, &claim)))
			return script;
	}
	return NULL;
}


/* ----------
 * All conventions
 * ----------
 */

/* the row of that name; an error if there is none */
static const Convention *
find_convention(const char *name)
{
	StringInfoData names;

	for (int i = 0; i < lengthof(conventions); i++)
	{
		if (strcmp(conventions[i].name, name) == 0)
			return &conventions[i];
	}

	initStringInfo(&names);
	for (int i = 0; i < lengthof(conventions); i++)
		appendStringInfo(&names, ", %s", conventions[i].name);
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("convention \"%s\" does not exist", name),
			 errhint("The conventions are auto%s.", names.data)));
	return NULL;
}

/*
 * The convention that the files show, NULL if there is nothing to load.
 */
static const Convention *
recognize_convention(const MigFileSet *set)
{
	const Convention *found = NULL;
	MigSourceFile *shows_found = NULL;

	for (int i = 0; i < lengthof(conventions); i++)
	{
		const Convention *convention = &conventions[i];
		MigSourceFile *shows;

		shows = convention->detect ? convention->detect(set) : NULL;
		if (shows == NULL)
			continue;

		if (found != NULL)
			ereport(ERROR,
					(errcode(MIG_ERRCODE_CONVENTION),
					 errmsg("cannot tell convention \"%s\" from convention \"%s\"",
							found->name, convention->name),
					 errdetail("File \"%s\"%s is of convention \"%s\", file \"%s\"%s is of convention \"%s\".",
							   shows_found->path,
							   mig_convention_marker_place(found->name, shows_found),
							   found->name,
							   shows->path,
							   mig_convention_marker_place(convention->name, shows),
							   convention->name),
					 errhint("Pass convention => '%s' or convention => '%s'.",
							 found->name, convention->name)));
		found = convention;
		shows_found = shows;
	}
	if (found != NULL)
		return found;

	for (int i = 0; i < set->nscripts; i++)
	{
		if (mig_file_path_is_sql(set->scripts[i].path))
			return &conventions[0];
	}
	return NULL;
}

/*
 * Files that no convention needs: hidden ones, texts and data about the
 * migrations, what editors and merges leave, and settings of tools, which are
 * handed over because they might be ours.
 */
static bool
is_beside(const MigSourceFile *script)
{
	static const char *const patterns[] = {
		".*", "*.md", "README*", "LICENSE*", "*.toml", "*.conf", "*.plan",
		"*.json", "*.txt", "*.orig", "*~"
	};
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
			  const Convention *convention)
{
	mig_file_set_refuse(set, script,
						psprintf("file \"%s\" does not fit convention \"%s\"",
								 script->path, convention->name),
						psprintf("The files of this convention are %s.",
								 convention->files),
						"Rename it, pass another convention, or leave it out with ignore.");
}

/* refuse what is neither SQL nor beside it: a migration in another language? */
static void
check_others(MigFileSet *set, const Convention *convention)
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
static void
check_left_over(MigFileSet *set, const Convention *convention)
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
find_root(const MigFileSet *set, const Convention *convention)
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
static void
check_numbers(MigFileSet *set, const Convention *convention)
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
static void
check_directories(MigFileSet *set, const Convention *convention)
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
static void
check_foreign(MigFileSet *set, const Convention *convention)
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

/* path may be NULL */
static bool
is_refused(const MigFileSet *set, const char *path)
{
	const MigSourceFile *script = path ? mig_file_set_find(set, path) : NULL;

	return script != NULL && script->refused;
}

/* migrations one of whose files was refused are none */
static void
drop_refused(MigFileSet *set)
{
	List	   *kept = NIL;
	ListCell   *lc;

	foreach(lc, set->sources)
	{
		MigSource  *source = lfirst(lc);

		if (!is_refused(set, source->path) &&
			!is_refused(set, source->down_path) &&
			!is_refused(set, source->verify_path))
			kept = lappend(kept, source);
	}
	set->sources = kept;
}

/* name each file that is left out because it was refused */
static void
warn_of_refusals(const MigFileSet *set)
{
	ListCell   *lc;

	foreach(lc, set->refusals)
	{
		const MigRefusal *refusal = lfirst(lc);

		ereport(WARNING,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("%s: it is left out", refusal->message),
				 refusal->detail ? errdetail("%s", refusal->detail) : 0,
				 refusal->hint ? errhint("%s", refusal->hint) : 0));
	}
}

/* raise one error about all files that were refused */
static void
report_refusals(const MigFileSet *set)
{
	const MigRefusal *first;
	StringInfoData detail;
	List	   *hints = NIL;
	StringInfoData hint;
	ListCell   *lc;

	if (set->refusals == NIL || set->partial)
		return;

	initStringInfo(&detail);
	initStringInfo(&hint);
	foreach(lc, set->refusals)
	{
		const MigRefusal *refusal = lfirst(lc);

		if (foreach_current_index(lc) < MAX_REFUSALS)
			appendStringInfo(&detail, "%s%s.", detail.len > 0 ? "\n" : "",
							 refusal->message);
		if (refusal->hint != NULL)
			hints =
				mig_file_line_add_word(hints,
									   unconstify(char *, refusal->hint));
	}
	if (list_length(set->refusals) > MAX_REFUSALS)
		appendStringInfo(&detail, "\nand %d more",
						 list_length(set->refusals) - MAX_REFUSALS);
	foreach(lc, hints)
		appendStringInfo(&hint, "%s%s", hint.len > 0 ? "  " : "",
						 (char *) lfirst(lc));

	first = linitial(set->refusals);
	if (list_length(set->refusals) == 1)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("%s", first->message),
				 first->detail ? errdetail("%s", first->detail) : 0,
				 first->hint ? errhint("%s", first->hint) : 0));
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("%d files cannot be loaded", list_length(set->refusals)),
			 errdetail("%s", detail.data),
			 hint.len > 0 ? errhint("%s", hint.data) : 0));
}

/* versions that are the same number; those that are none only as they stand */
static char *
number_key(const char *version)
{
	return strspn(version, "0123456789.") == strlen(version) ?
		mig_file_path_numeric_key(version) : pstrdup(version);
}

/* convention NULL: of what was given to add() */
char *
mig_convention_version_key(const char *convention, const char *version)
{
	for (int i = 0; i < lengthof(conventions); i++)
	{
		const Convention *row = &conventions[i];

		if (strcmp(row->name, convention ? convention : "native") == 0)
			return row->version_key ? row->version_key(version) :
				pstrdup(version);
	}
	return pstrdup(version);
}

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
}			KeyedSource;

/* qsort() helper */
static int
compare_keyed_source(const void *a, const void *b)
{
	const		KeyedSource *ka = a;
	const		KeyedSource *kb = b;
	int			result = strcmp(ka->key, kb->key);

	return result != 0 ? result : strcmp(ka->source->path, kb->source->path);
}

/* two files of one version, or of one number in two spellings */
static void
refuse_second(const Convention *convention, const MigSource *first,
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
check_versions(List *sources, const Convention *convention)
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
					 List **refusals)
{
	const Convention *found = NULL;
	MigFileSet	set;

	*refusals = NIL;
	if (strcmp(reading->convention, "auto") != 0)
		found = find_convention(reading->convention);
	make_fileset(&set, files, nfiles, reading);
	if (set.nscripts == 0 && set.refusals == NIL)
		return NIL;
	if (found == NULL)
		found = recognize_convention(&set);
	if (found == NULL)
		found = &conventions[0];

	set.convention = found->name;
	if (!found->has_place)
	{
		check_foreign(&set, found);
		check_numbers(&set, found);
		check_others(&set, found);
		if (set.refusals != NIL && !found->nested && !reading->subdirectories)
			check_directories(&set, found);
		report_refusals(&set);
	}
	found->parse(&set);
	if (found->has_place)
		check_foreign(&set, found);
	if (!found->nested && !reading->subdirectories)
		check_directories(&set, found);
	check_left_over(&set, found);
	report_refusals(&set);
	drop_refused(&set);
	check_versions(set.sources, found);
	warn_of_refusals(&set);

	*refusals = set.refusals;
	list_sort(set.sources, compare_source_path);
	return set.sources;
}
