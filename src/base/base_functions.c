/*-------------------------------------------------------------------------
 *
 * base_functions.c
 *	  The SQL-callable functions that need no migration: versions, arguments of
 *	  other functions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/argument.h"
#include "base/migrate.h"
#include "base/printable.h"
#include "base/version_order.h"

PG_FUNCTION_INFO_V1(migrate_refuse_version_type);
PG_FUNCTION_INFO_V1(migrate_version);
PG_FUNCTION_INFO_V1(migrate_version_key);
PG_FUNCTION_INFO_V1(migrate_required);
PG_FUNCTION_INFO_V1(migrate_lines);

/*
 * The function of the same name for arguments of other types: a number where a
 * version is wanted.
 */
Datum
migrate_refuse_version_type(PG_FUNCTION_ARGS)
{
	Oid		   *types;
	int			count;
	int			n = 0;

	get_func_signature(fcinfo->flinfo->fn_oid, &types, &count);
	while (types[n] != ANYELEMENTOID)
		n++;
	mig_argument_refuse_version_type(fcinfo, n, false);
}

Datum
migrate_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(MIG_VERSION));
}

Datum
migrate_version_key(PG_FUNCTION_ARGS)
{
	int			length;
	char	   *key =
		mig_version_order_sort_key(text_to_cstring(PG_GETARG_TEXT_PP(0)),
								   &length);
	bytea	   *result = palloc(VARHDRSZ + length);

	SET_VARSIZE(result, VARHDRSZ + length);
	memcpy(VARDATA(result), key, length);
	PG_RETURN_BYTEA_P(result);
}

/* an argument of a function in SQL, which could not raise 22004 itself */
Datum
migrate_required(PG_FUNCTION_ARGS)
{
	char	   *argument = mig_argument_required_text(fcinfo, 1, "argument");

	if (PG_ARGISNULL(0))
		mig_argument_must_not_be_null(argument);
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* for the constraints of the tables */
Datum
migrate_lines(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(mig_are_lines(PG_GETARG_ARRAYTYPE_P(1), PG_GETARG_INT32(0)));
}
