/*-------------------------------------------------------------------------
 *
 * convention_prisma.c
 *	  The directories of Prisma.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/byte_order.h"
#include "source/conventions.h"
#include "source/setting_line.h"


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
	claim->version = mig_file_path_directory_name(script->path);
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

		if (mig_setting_split(mig_setting_without_comment(mig_file_line_text(&line)), &key,
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
	mig_byte_order_keep(set->sources);

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
		char	   *directory = mig_file_path_directory_name(script->path);

		if (strcmp(base, "migration_lock.toml") == 0 ||
			(strcmp(base, "migration.sql") == 0 &&
			 *directory >= '0' && *directory <= '9'))
			return script;
	}
	return NULL;
}

const MigConvention mig_convention_prisma = {
	.name = "prisma",
	.files = "VERSION_name/migration.sql",
	.has_place = true,
	.nested = true,
	.detect = prisma_detect,
	.parse = prisma_parse
};
