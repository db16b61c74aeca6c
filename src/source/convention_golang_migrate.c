/*-------------------------------------------------------------------------
 *
 * convention_golang_migrate.c
 *	  The files of golang-migrate.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "source/conventions.h"
#include "source/numbered_names.h"


/* MigClaimFunction */
static bool
golang_migrate_claim(const MigSourceFile *script, const MigFileName *name,
					 MigClaim *claim)
{
	return name->suffixed && mig_numbered_claim(name, claim);
}

/* what both tools would load in the same way is golang-migrate's */
static MigSourceFile *
golang_migrate_detect(const MigFileSet *set)
{
	MigSourceFile *up;
	MigSourceFile *sqlx;

	mig_numbered_examine(set, &up, &sqlx);
	return sqlx == NULL ? up : NULL;
}

static void
golang_migrate_parse(MigFileSet *set)
{
	mig_file_set_pair(set, golang_migrate_claim, mig_file_set_take);
}

const MigConvention mig_convention_golang_migrate = {
	.name = "golang-migrate",
	.files = "NUMBER_name.up.sql, NUMBER_name.down.sql",
	.numbered = true,
	.version_key = mig_numbered_key,
	.detect = golang_migrate_detect,
	.parse = golang_migrate_parse
};
