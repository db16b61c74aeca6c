/*-------------------------------------------------------------------------
 *
 * convention_refinery.c
 *	  The files of refinery.
 *
 * Their names are Flyway's, which auto takes them for, but U means "unversioned"
 * there: such a migration may come later than those with higher numbers, and is no
 * way back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "source/conventions.h"
#include "source/numbered_names.h"


/* MigClaimFunction: VNUMBER__name.sql, UNUMBER__name.sql */
static bool
refinery_claim(const MigSourceFile *script, const MigFileName *name,
			   MigClaim *claim)
{
	const char *separator = strstr(name->base, "__");

	if (strchr("VU", name->base[0]) == NULL || separator == NULL ||
		separator[2] == '\0')
		return false;
	claim->version = pnstrdup(name->base + 1, separator - name->base - 1);
	if (!mig_file_path_is_digits(claim->version))
		return false;
	claim->name = pstrdup(separator + 2);
	claim->key = mig_file_path_numeric_key(claim->version);
	claim->part = MIG_UP;
	return true;
}

static void
refinery_parse(MigFileSet *set)
{
	mig_file_set_pair(set, refinery_claim, mig_file_set_take);
}

const MigConvention mig_convention_refinery = {
	.name = "refinery",
	.files = "VNUMBER__name.sql, UNUMBER__name.sql",
	.nested = true,
	.version_key = mig_numbered_key,
	.parse = refinery_parse
};
