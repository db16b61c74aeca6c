/*-------------------------------------------------------------------------
 *
 * convention_db_migrate.c
 *	  The SQL files of db-migrate.
 *
 * Each migration is a file of JavaScript there that reads two of SQL.  The name of
 * that file is the version, as it is in the tool's table.  What else that file does
 * nobody can tell here.  The tool goes by the bytes of those names.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "source/byte_order.h"
#include "source/conventions.h"


/* MigClaimFunction: NUMBER-name-up.sql and NUMBER-name-down.sql */
static bool
db_migrate_claim(const MigSourceFile *script, const MigFileName *name,
				 MigClaim *claim)
{
	size_t		length = strlen(name->base);

	if (strspn(name->base, "0123456789") == 0)
		return false;
	if (mig_file_path_has_suffix(name->base, "-up"))
	{
		claim->part = MIG_UP;
		length -= strlen("-up");
	}
	else if (mig_file_path_has_suffix(name->base, "-down"))
	{
		claim->part = MIG_DOWN;
		length -= strlen("-down");
	}
	else
		return false;
	claim->version = pnstrdup(name->base, length);
	claim->key = claim->version;
	claim->name = "";
	return true;
}

/* a name is enough */
static MigSourceFile *
db_migrate_detect(const MigFileSet *set)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		MigFileName name;
		MigClaim	claim;

		if (!mig_file_path_is_sql(script->path))
			continue;
		mig_file_path_split(script->path, &name);
		if (db_migrate_claim(script, &name, &claim))
			return script;
	}
	return NULL;
}

/* is the file that of the tool which begins with a number, in a language it reads? */
static bool
is_wrapper(const char *base)
{
	static const char *const languages[] = {".js", ".cjs", ".mjs", ".ts", ".coffee"};

	for (int i = 0; i < lengthof(languages); i++)
	{
		if (mig_file_path_has_suffix(base, languages[i]))
			return strspn(base, "0123456789") > 0;
	}
	return false;
}

/* a file that reads one of the set needs no word; another is a migration by itself */
static void
take_wrappers(MigFileSet *set)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		const char *base = mig_file_path_base(script->path);
		const char *directory = mig_file_path_directory(script->path);
		char	   *up;

		CHECK_FOR_INTERRUPTS();
		if (script->used || script->refused || !is_wrapper(base))
			continue;
		up = psprintf("%.*s-up.sql", (int) (strrchr(base, '.') - base), base);
		if (mig_file_set_find(set, psprintf("%ssqls/%s", directory, up)) != NULL ||
			mig_file_set_find(set, psprintf("%s%s", directory, up)) != NULL)
			script->used = true;
		else
			mig_file_set_refuse(set, script,
								psprintf("file \"%s\" is a migration of db-migrate without a file of SQL",
										 script->path),
								psprintf("There is no file sqls/%s.", up),
								"Write it in SQL, or leave it out with ignore.");
	}
}

static void
db_migrate_parse(MigFileSet *set)
{
	mig_file_set_pair(set, db_migrate_claim, mig_file_set_take);
	mig_byte_order_keep(set->sources);
	take_wrappers(set);
}

const MigConvention mig_convention_db_migrate = {
	.name = "db-migrate",
	.files = "VERSION-up.sql, VERSION-down.sql, in sqls/",
	.has_place = true,
	.nested = true,
	.numbered = true,
	.detect = db_migrate_detect,
	.parse = db_migrate_parse
};
