/*-------------------------------------------------------------------------
 *
 * convention_sqlx.c
 *	  The files of sqlx.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "source/conventions.h"
#include "source/numbered_names.h"


/* MigClaimFunction: a file without up or down can only be applied */
static bool
sqlx_claim(const MigSourceFile *script, const MigFileName *name,
		   MigClaim *claim)
{
	return mig_numbered_claim(name, claim);
}

/* MigTakeFunction: how a down is run is seen from its statements */
static void
sqlx_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	mig_file_set_take(source, part, script);
	if (part == MIG_UP && mig_numbered_has_no_transaction(script))
		source->transactional = MIG_TX_OFF;
}

static MigSourceFile *
sqlx_detect(const MigFileSet *set)
{
	MigSourceFile *up;
	MigSourceFile *sqlx;

	mig_numbered_examine(set, &up, &sqlx);
	return sqlx;
}

static void
sqlx_parse(MigFileSet *set)
{
	mig_file_set_pair(set, sqlx_claim, sqlx_take);
}

const MigConvention mig_convention_sqlx = {
	.name = "sqlx",
	.files = "NUMBER_name.sql, NUMBER_name.up.sql, NUMBER_name.down.sql",
	.numbered = true,
	.version_key = mig_numbered_key,
	.detect = sqlx_detect,
	.transactional_off = "-- no-transaction",
	.parse = sqlx_parse
};
