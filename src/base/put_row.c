/*-------------------------------------------------------------------------
 *
 * put_row.c
 *	  Result rows of SQL-callable functions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"

#include "base/put_row.h"

void
mig_put_row_check(TupleDesc desc, int count)
{
	if (desc->natts != count)
		elog(ERROR, "function returns rows of %d columns, but its declaration has %d",
			 count, desc->natts);
}

void
mig_put_row_counted(ReturnSetInfo *rsinfo, Datum *values, bool *nulls,
					int count)
{
	mig_put_row_check(rsinfo->setDesc, count);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
mig_put_row_counted_datum(TupleDesc desc, Datum *values, bool *nulls,
						  int count)
{
	mig_put_row_check(desc, count);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}
