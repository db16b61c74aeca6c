/*-------------------------------------------------------------------------
 *
 * put_row.h
 *	  Result rows of SQL-callable functions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_PUT_ROW_H
#define MIG_BASE_PUT_ROW_H

#include "nodes/execnodes.h"

/*
 * The server reads as many values as the SQL declaration has columns, wherever
 * the array ends.  So all rows of results are made here: both arrays must have
 * just that many elements, or it is an internal error.
 */

/* add a row to the result of a set-returning function; for arrays only */
#define mig_put_row(rsinfo, values, nulls) \
	(StaticAssertExpr(lengthof(values) == lengthof(nulls), \
					  "values and nulls must have the same length"), \
	 mig_put_row_counted(rsinfo, values, nulls, lengthof(values)))

/* make a row of a composite type; for arrays only */
#define mig_put_row_datum(desc, values, nulls) \
	(StaticAssertExpr(lengthof(values) == lengthof(nulls), \
					  "values and nulls must have the same length"), \
	 mig_put_row_counted_datum(desc, values, nulls, lengthof(values)))

/* the same for arrays that are passed on as pointers */
extern void mig_put_row_counted(ReturnSetInfo *rsinfo, Datum *values,
								bool *nulls, int count);
extern Datum mig_put_row_counted_datum(TupleDesc desc, Datum *values,
									   bool *nulls, int count);

/* raise the error unless rows of desc have count columns */
extern void mig_put_row_check(TupleDesc desc, int count);

#endif							/* MIG_BASE_PUT_ROW_H */
