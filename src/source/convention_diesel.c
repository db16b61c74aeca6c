/*-------------------------------------------------------------------------
 *
 * convention_diesel.c
 *	  The directories of diesel.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/byte_order.h"
#include "source/conventions.h"
#include "source/setting_line.h"


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
		char	   *text = mig_setting_without_comment(mig_file_line_text(&line));
		char	   *key;
		char	   *value;

		if (*text == '[')
			break;
		if (mig_setting_split(text, &key, &value) &&
			strcmp(key, "run_in_transaction") == 0)
			result = mig_setting_boolean(script, &line, value) ?
				MIG_TX_ON : MIG_TX_OFF;
	}
	return result;
}

/* MigClaimFunction: VERSION_name/up.sql, dashes in the version do not count */
static bool
diesel_claim(const MigSourceFile *script, const MigFileName *name,
			 MigClaim *claim)
{
	char	   *directory = mig_file_path_directory_name(script->path);
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

static void
diesel_parse(MigFileSet *set)
{
	ListCell   *lc;

	mig_file_set_pair(set, diesel_claim, mig_file_set_take);
	mig_byte_order_keep(set->sources);

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
		directory = mig_file_path_directory_name(script->path);
		if (*directory >= '0' && *directory <= '9')
			return script;
	}
	return NULL;
}

const MigConvention mig_convention_diesel = {
	.name = "diesel",
	.files = "VERSION_name/up.sql, VERSION_name/down.sql",
	.has_place = true,
	.nested = true,
	.detect = diesel_detect,
	.transactional_off = "run_in_transaction = false",
	.parse = diesel_parse
};
