/*-------------------------------------------------------------------------
 *
 * convention_postgrator.c
 *	  The files of Postgrator.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "source/conventions.h"
#include "source/numbered_names.h"


/* MigClaimFunction: NUMBER.do.name.sql and NUMBER.undo.name.sql, or no name */
static bool
postgrator_claim(const MigSourceFile *script, const MigFileName *name,
				 MigClaim *claim)
{
	char	   *action = strchr(name->base, '.');
	char	   *rest;

	if (action == NULL)
		return false;
	claim->version = pnstrdup(name->base, action - name->base);
	if (!mig_file_path_is_digits(claim->version))
		return false;
	action++;
	rest = action + strcspn(action, ".");
	claim->name = pstrdup(*rest == '.' ? rest + 1 : rest);
	action = pnstrdup(action, rest - action);
	if (strcmp(action, "do") == 0)
		claim->part = MIG_UP;
	else if (strcmp(action, "undo") == 0)
		claim->part = MIG_DOWN;
	else
		return false;
	claim->key = mig_file_path_numeric_key(claim->version);
	return true;
}

/* a name is enough */
static MigSourceFile *
postgrator_detect(const MigFileSet *set)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		MigFileName name;
		MigClaim	claim;

		if (!mig_file_path_is_sql(script->path))
			continue;
		mig_file_path_split(script->path, &name);
		if (postgrator_claim(script, &name, &claim))
			return script;
	}
	return NULL;
}

static void
postgrator_parse(MigFileSet *set)
{
	mig_file_set_pair(set, postgrator_claim, mig_file_set_take);
}

const MigConvention mig_convention_postgrator = {
	.name = "postgrator",
	.files = "NUMBER.do.name.sql, NUMBER.undo.name.sql",
	.numbered = true,
	.version_key = mig_numbered_key,
	.detect = postgrator_detect,
	.parse = postgrator_parse
};
