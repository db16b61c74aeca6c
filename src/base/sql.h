/*-------------------------------------------------------------------------
 *
 * sql.h
 *	  The extension's own SQL: under whose identity and settings it runs, and
 *	  how results are read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_SQL_H
#define MIG_BASE_SQL_H

#include "executor/spi.h"
#include "utils/array.h"
#include "utils/timestamp.h"

/*
 * What mig_sql_begin() changed and mig_sql_end() puts back.
 */
typedef struct MigSqlScope
{
	MemoryContext outer;		/* the caller's context, for results */
	Oid			userid;
	int			sec_context;
	int			guc_level;
	bool		read_only;		/* the transaction */
} MigSqlScope;

/*
 * Connect to SPI and become role owner under a locked search_path.  An error
 * in between needs no clean-up: (sub)transaction abort undoes it all.
 */
extern void mig_sql_begin(MigSqlScope *scope, Oid owner);
extern void mig_sql_end(MigSqlScope *scope);

/*
 * Only the identity and the settings, for code that does not use SPI.
 */
extern void mig_sql_become_owner(MigSqlScope *scope, Oid owner);
extern void mig_sql_become_caller(MigSqlScope *scope);

/*
 * While it is on, our own statements may write in a transaction that is READ
 * ONLY: for runs that write in the transactions of bodies, which may have made
 * them so.
 */
extern void mig_sql_write_anyway(bool on);

/*
 * Run one statement of ours; returns the number of rows.  Whatever the result
 * kind, an SPI error code becomes an error.  types, values and nulls as for
 * SPI_execute_with_args(); nulls may be NULL.
 */
extern uint64 mig_sql_execute(const char *sql, int nargs, Oid *types,
							  Datum *values,
							  const char *nulls);

/*
 * The same with a plan that the session keeps in *plan, a static variable of
 * the caller's that is NULL at first: for what is run often and can be run in
 * one good way only, whatever the statistics and the values are.
 */
extern uint64 mig_sql_kept(SPIPlanPtr *plan, const char *sql, int nargs,
						   Oid *types, Datum *values, const char *nulls);

/* the next value of a sequence of ours, whoever calls */
extern int64 mig_sql_nextval(Oid sequence);

/*
 * Typed getters for column col (from 1) of row number row of the last result.
 * Strings are copied into the scope's outer context; NULL is NULL or zero.
 * Rows may have been inserted by hand, so an array with a null in it or of
 * several dimensions is an error, and so is NULL in the getter for a value
 * that must be there.
 */
extern char *mig_sql_get_text(MigSqlScope *scope, uint64 row, int col);
extern char *mig_sql_get_text_not_null(MigSqlScope *scope, uint64 row,
									   int col);
extern bool mig_sql_get_bool(uint64 row, int col);
extern int64 mig_sql_get_int8(uint64 row, int col);
extern int32 mig_sql_get_int4(uint64 row, int col);
extern double mig_sql_get_float8(uint64 row, int col);
extern TimestampTz mig_sql_get_timestamptz(uint64 row, int col);
extern char **mig_sql_get_text_array(MigSqlScope *scope, uint64 row, int col,
									 int *count);

/*
 * lappend() in the scope's outer context: SPI_connect() has made another one
 * the current one, and a list that began there would go with the scope.
 */
extern List *mig_sql_append(MigSqlScope *scope, List *list, void *datum);

/*
 * A row of the last result that is taken apart at once.  For results of many
 * columns: the getters above walk over all columns before the one they want.
 * It points into SPI_tuptable and is gone with it.
 */
#define MIG_ROW_COLUMNS 48

typedef struct MigRow
{
	Datum		values[MIG_ROW_COLUMNS];
	bool		nulls[MIG_ROW_COLUMNS];
} MigRow;

/* take a row of SPI_tuptable apart once, for the functions below */
extern void mig_sql_row_read(MigRow *row, uint64 number);

/* as above */
extern char *mig_sql_row_text(MigSqlScope *scope, const MigRow *row, int col);
extern char *mig_sql_row_text_not_null(MigSqlScope *scope, const MigRow *row,
									   int col);
extern bool mig_sql_row_bool(const MigRow *row, int col);
extern int64 mig_sql_row_int8(const MigRow *row, int col);
extern int32 mig_sql_row_int4(const MigRow *row, int col);
extern double mig_sql_row_float8(const MigRow *row, int col);
extern TimestampTz mig_sql_row_timestamptz(const MigRow *row, int col);
extern char **mig_sql_row_text_array(MigSqlScope *scope, const MigRow *row,
									 int col, int *count);

/*
 * Raise MIG_ERRCODE_BOOKS: a row has a value that we would not have written.
 * table and row, which says which one, may be NULL.
 */
extern void mig_sql_refuse_value(const char *table, const char *column,
								 const char *row);

/* the elements of an array, none of them NULL; the rest is for that error */
extern Datum *mig_sql_array_elements(Datum array, const char *table,
									 const char *column, const char *row,
									 Oid type, int *count);

/* text[] of C strings */
extern Datum mig_sql_text_array(char **strings, int count);

/* the same of a list of char * */
extern Datum mig_sql_text_list(List *strings);

/* a text Datum, or (Datum) 0 and *isnull for NULL */
extern Datum mig_sql_text_datum(const char *string, bool *isnull);

#endif							/* MIG_BASE_SQL_H */
