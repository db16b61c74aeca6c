/*-------------------------------------------------------------------------
 *
 * recheck.c
 *	  Does a migration still have its place in the plan?
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ledger/key_lookup.h"
#include "plan/recheck.h"

static const MigKeyLookup applied_row = {
	"applied", 3, {"project", "target", "version"}, {"applied_seq"}
};
static const MigKeyLookup migration_row = {
	"migration", 2, {"project", "version"}, {"held_reason"}
};
static const MigKeyLookup policy_row = {
	"policy", 1, {"project"}, {"role", "frozen_reason"}
};

bool
mig_recheck_plan(const char *project, MigPart part, const MigEntry *entry)
{
	const char *applied_key[] = {project, "", entry->version};
	const char *migration_key[] = {project, entry->version};
	Datum		values[MIG_KEY_WANTED];
	bool		nulls[MIG_KEY_WANTED];
	bool		applied = mig_key_lookup_row(&applied_row, applied_key, values,
											 nulls);

	if (applied != entry->applied ||
		(applied && DatumGetInt64(values[0]) != entry->seq))
		return false;
	return mig_key_lookup_row(&migration_row, migration_key, values, nulls) &&
		(part == MIG_DOWN || nulls[0]);
}

bool
mig_recheck_policy(const char *project)
{
	Datum		values[MIG_KEY_WANTED];
	bool		nulls[MIG_KEY_WANTED];

	return !mig_key_lookup_row(&policy_row, &project, values,
							   nulls) ||
		(nulls[0] && nulls[1]);
}
