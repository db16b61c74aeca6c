/*-------------------------------------------------------------------------
 *
 * privileges_functions.c
 *	  The SQL-callable functions that give and take privileges, and the list of
 *	  all functions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "admin/privileges.h"
#include "base/argument.h"
#include "base/put_row.h"
#include "base/sql.h"

PG_FUNCTION_INFO_V1(migrate_grant);
PG_FUNCTION_INFO_V1(migrate_revoke);
PG_FUNCTION_INFO_V1(migrate_take_back);
PG_FUNCTION_INFO_V1(migrate_help);

Datum
migrate_grant(PG_FUNCTION_ARGS)
{
	mig_privileges_change(true, mig_argument_required_text(fcinfo, 0, "privilege"),
						  mig_argument_required_text(fcinfo, 1, "role"));
	PG_RETURN_VOID();
}

Datum
migrate_revoke(PG_FUNCTION_ARGS)
{
	mig_privileges_change(false,
						  mig_argument_required_text(fcinfo, 0, "privilege"),
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

/*
 * What users call: not what triggers, constraints and functions in SQL call, nor
 * what refuses arguments of other types.
 */
Datum
migrate_help(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	uint64		i;

	InitMaterializedSRF(fcinfo, 0);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute("SELECT p.proname::pg_catalog.text,"
					" pg_catalog.concat(CASE p.prokind WHEN 'p' THEN 'CALL ' END,"
					"  'migrate.', p.proname, '()'),"
					" pg_catalog.obj_description(p.oid, 'pg_proc'),"
					" (SELECT pg_catalog.string_agg(CASE"
					"   WHEN a.i OPERATOR(pg_catalog.>)"
					"    (p.pronargs OPERATOR(pg_catalog.-) p.pronargdefaults)"
					"   THEN pg_catalog.concat('[', a.name, ']') ELSE a.name END,"
					"   ', ' ORDER BY a.i)"
					"  FROM ROWS FROM (pg_catalog.unnest(p.proargnames))"
					"   WITH ORDINALITY AS a (name, i)"
					"  WHERE a.i OPERATOR(pg_catalog.<=) p.pronargs"
					"  AND coalesce(p.proargmodes[a.i], 'i') OPERATOR(pg_catalog.=) 'i')"
					" FROM pg_catalog.pg_proc p"
					" WHERE p.pronamespace OPERATOR(pg_catalog.=)"
					"  'migrate'::pg_catalog.regnamespace"
					" AND p.prosrc OPERATOR(pg_catalog.<>) ALL ('{migrate_gate,"
					"migrate_lines,migrate_required,migrate_known_project,migrate_has_files,"
					"migrate_refuse_text,migrate_refuse_version_type}'::pg_catalog.text[])"
					" ORDER BY p.oid", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look functions up");
	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *arguments = SPI_getvalue(row, desc, 4);
		Datum		values[4];
		bool		nulls[4] = {false};

		values[0] = CStringGetTextDatum(SPI_getvalue(row, desc, 2));
		values[1] = CStringGetTextDatum(mig_privileges_of_function(SPI_getvalue(row, desc, 1)));
		values[2] = mig_sql_text_datum(SPI_getvalue(row, desc, 3), &nulls[2]);
		values[3] = CStringGetTextDatum(arguments ? arguments : "");
		mig_put_row(rsinfo, values, nulls);
	}
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	return (Datum) 0;
}
