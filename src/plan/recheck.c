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

static const MigKeyed applied_row = {
	"applied", 3, {"project", "target", "version"}, {"seq"}
};
static const MigKeyed migration_row = {
	"migration", 2, {"project", "version"}, {"held_reason"}
};
static const MigKeyed policy_row = {
	"policy", 1, {"project"}, {"role", "frozen_reason"}
};

bool
mig_recheck_plan(const char *project, MigPart part, const MigEntry *entry)
{
	const char *applied_key[] = {project, "", entry->version};
	const char *migration_key[] = {project, entry->version};
	Datum		values[MIG_KEYED_WANTED];
	bool		nulls[MIG_KEYED_WANTED];
	bool		applied = mig_keyed_look_up(&applied_row, applied_key, values,
											nulls);

	if (applied != entry->applied ||
		(applied && DatumGetInt64(values[0]) != entry->seq))
		return false;
	return mig_keyed_look_up(&migration_row, migration_key, values, nulls) &&
		(part == MIG_DOWN || nulls[0]);
}

bool
mig_recheck_policy(const char *project)
{
	Datum		values[MIG_KEYED_WANTED];
	bool		nulls[MIG_KEYED_WANTED];

	return !mig_keyed_look_up(&policy_row, &project, values,
							  nulls) ||
		(nulls[0] && nulls[1]);
}
