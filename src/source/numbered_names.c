/*-------------------------------------------------------------------------
 *
 * numbered_names.c
 *	  Names that begin with a number, and what tools mean by them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "source/numbered_names.h"


/*
 * Take NUMBER_name apart; false if the file is not called so, or is a verify
 * file, which only the native form has.
 */
bool
mig_numbered_claim(const MigFileName *name, MigClaim *claim)
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

/* does the file ask sqlx to run it outside of a transaction? */
bool
mig_numbered_has_no_transaction(const MigSourceFile *script)
{
	const char *wanted = "-- no-transaction";
	MigFileLine line;

	mig_file_line_rewind(&line, script->content);
	return strncmp(line.next, wanted, strlen(wanted)) == 0;
}

/*
 * What the numbered files of a set have: an up file, a file that is sqlx's
 * alone because of its name or its first line.  A verify file shows that the
 * set is of the native form, whose files can have the same names.
 */
void
mig_numbered_examine(const MigFileSet *set, MigSourceFile **up,
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
		if (!mig_numbered_claim(&name, &claim) || claim.part != MIG_UP)
			continue;

		if (*sqlx == NULL && mig_numbered_has_no_transaction(script))
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

/* versions that are the same number; those that are none only as they stand */
char *
mig_numbered_key(const char *version)
{
	return strspn(version, "0123456789.") == strlen(version) ?
		mig_file_path_numeric_key(version) : pstrdup(version);
}

/* see source/numbered_names.h */
bool
mig_numbered_claim_whole(const MigSourceFile *script, const MigFileName *name,
						 MigClaim *claim)
{
	char	   *underscore = strchr(name->base, '_');

	if (underscore == NULL)
		return false;

	claim->version = pnstrdup(name->base, underscore - name->base);
	if (!mig_file_path_is_digits(claim->version))
		return false;
	claim->key = mig_file_path_numeric_key(claim->version);
	claim->name = underscore + 1;
	claim->part = MIG_UP;
	return true;
}

bool
mig_whole_name_claim(const MigSourceFile *script, const MigFileName *name,
					 MigClaim *claim)
{
	if (name->base[0] == '\0' || name->base[0] == '.')
		return false;

	claim->key = name->base;
	claim->version = name->base;
	claim->name = "";
	claim->part = MIG_UP;
	return true;
}
