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

PG_FUNCTION_INFO_V1(mig_grant);
PG_FUNCTION_INFO_V1(mig_revoke);
PG_FUNCTION_INFO_V1(mig_take_back);

Datum
mig_grant(PG_FUNCTION_ARGS)
{
	mig_rights_change(true, mig_arg_required_text(fcinfo, 0, "right"),
					  mig_arg_required_text(fcinfo, 1, "role"));
	PG_RETURN_VOID();
}

Datum
mig_revoke(PG_FUNCTION_ARGS)
{
	mig_rights_change(false, mig_arg_required_text(fcinfo, 0, "right"),
					  mig_arg_required_text(fcinfo, 1, "role"));
	PG_RETURN_VOID();
}

/* of the install script */
Datum
mig_take_back(PG_FUNCTION_ARGS)
{
	mig_rights_take_back();
	PG_RETURN_VOID();
}
