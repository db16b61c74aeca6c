/*-------------------------------------------------------------------------
 *
 * convention_flyway.c
 *	  The files of Flyway, with their settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/conventions.h"
#include "source/numbered_names.h"
#include "source/placeholder.h"
#include "source/setting_line.h"


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
		char	   *text = mig_setting_without_comment(mig_file_line_text(&line));
		char	   *key;
		char	   *value;

		if (*text == '\0')
			continue;

		mig_setting_split(text, &key, &value);
		if (strcmp(key, "executeInTransaction") == 0)
			result = mig_setting_boolean(script, &line, value) ?
				MIG_TX_ON : MIG_TX_OFF;
		else if (strcmp(key, "placeholderReplacement") == 0)
		{
			*replaces = mig_setting_boolean(script, &line, value);
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
			mig_placeholder_refuse(script, "${", "}", "Flyway",
								   psprintf("Write its value there, or placeholderReplacement=false into \"%s.conf\" if it is to stay as it is.",
											script->path));
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

const MigConvention mig_convention_flyway = {
	.name = "flyway",
	.files = "VNUMBER__name.sql, UNUMBER__name.sql, R__name.sql",
	.namesake = "refinery",
	.nested = true,
	.version_key = mig_numbered_key,
	.detect = flyway_detect,
	.transactional_off = "executeInTransaction=false",
	.parse = flyway_parse
};
