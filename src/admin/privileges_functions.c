/*-------------------------------------------------------------------------
 *
 * privileges_functions.c
 *	  The SQL-callable functions that give and take privileges.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "admin/privileges.h"
#include "base/argument.h"

PG_FUNCTION_INFO_V1(migrate_grant);
PG_FUNCTION_INFO_V1(migrate_revoke);
PG_FUNCTION_INFO_V1(migrate_take_back);

Datum
migrate_grant(PG_FUNCTION_ARGS)
{
	mig_privileges_change(true, mig_argument_required_text(fcinfo, 0, "right"),
						  mig_argument_required_text(fcinfo, 1, "role"));
	PG_RETURN_VOID();
}

Datum
migrate_revoke(PG_FUNCTION_ARGS)
{
	mig_privileges_change(false,
						  mig_argument_required_text(fcinfo, 0, "right"),
						  mig_argument_required_text(fcinfo, 1, "role"));
	PG_RETURN_VOID();
}

/* of the install script */
Datum
migrate_take_back(PG_FUNCTION_ARGS)
{
	mig_privileges_take_back();
	PG_RETURN_VOID();
}
