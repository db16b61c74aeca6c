/*-------------------------------------------------------------------------
 *
 * sql.c
 *	  The extension's own SQL.
 *
 * Every statement of ours, whether it reads or writes, runs as the owner of
 * the tables (a superuser, see sql/parts), never as the caller.  Two
 * flags go with that.  SECURITY_LOCAL_USERID_CHANGE keeps SET ROLE and the
 * like from leaving that identity or surviving it, and
 * SECURITY_RESTRICTED_OPERATION keeps anything that might run under it from
 * leaving temporary objects, deferred triggers or cursors behind.  The
 * search_path is locked, row security is an error rather than a filter, and
 * the statements are constants with parameters.
 *
 * The identity must not be held over a commit.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "jit/jit.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/errors.h"
#include "base/sql.h"

/* see mig_sql_write_anyway() */
static bool write_anyway = false;

static void
set_guc(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Returns the value of XactReadOnly to restore.  It is not set as a setting,
 * since the server does not allow to undo that.  After an error the end of the
 * (sub)transaction puts it right.
 */
static bool
make_writable(void)
{
	bool		read_only = XactReadOnly;

	if (read_only && write_anyway && !RecoveryInProgress())
		XactReadOnly = false;
	return read_only;
}

void
mig_sql_become_owner(MigSqlScope *scope, Oid owner)
{
	Assert(OidIsValid(owner));
	Assert(IsTransactionState());
	GetUserIdAndSecContext(&scope->userid, &scope->sec_context);
	SetUserIdAndSecContext(owner, scope->sec_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	scope->guc_level = NewGUCNestLevel();
	set_guc("search_path", "pg_catalog, pg_temp");
	set_guc("row_security", "off");

	/* the gate is a trigger like any other */
	if (SessionReplicationRole != SESSION_REPLICATION_ROLE_ORIGIN)
		set_guc("session_replication_role", "origin");

	/* estimates for tables that nobody has analyzed may be far too high */
	if (jit_enabled)
		set_guc("jit", "off");
	scope->read_only = make_writable();
}

void
mig_sql_become_caller(MigSqlScope *scope)
{
	Assert(GetUserId() != scope->userid || scope->guc_level > 0);
	XactReadOnly = scope->read_only;
	AtEOXact_GUC(false, scope->guc_level);
	SetUserIdAndSecContext(scope->userid, scope->sec_context);
}

void
mig_sql_write_anyway(bool on)
{
	write_anyway = on;
}

void
mig_sql_begin(MigSqlScope *scope, Oid owner)
{
	Assert(IsTransactionState());
	scope->outer = CurrentMemoryContext;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	mig_sql_become_owner(scope, owner);
}

void
mig_sql_end(MigSqlScope *scope)
{
	mig_sql_become_caller(scope);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

uint64
mig_sql_execute(const char *sql, int nargs, Oid *types, Datum *values,
				const char *nulls)
{
	int			rc = SPI_execute_with_args(sql, nargs, types, values, nulls,
										   false, 0);

	Assert(nargs == 0 || (types != NULL && values != NULL));
	if (rc < 0)
		elog(ERROR, "SPI failed with code %d: %s", rc, sql);
	return SPI_processed;
}

uint64
mig_sql_kept(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types,
			 Datum *values, const char *nulls)
{
	int			rc;

	Assert(plan != NULL);
	Assert(nargs == 0 || (types != NULL && values != NULL));
	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare(sql, nargs, types);

		if (prepared == NULL || SPI_keepplan(prepared) != 0)
			elog(ERROR, "could not prepare a statement: %s", sql);
		*plan = prepared;
	}
	rc = SPI_execute_plan(*plan, values, nulls, false, 0);
	if (rc < 0)
		elog(ERROR, "SPI failed with code %d: %s", rc, sql);
	return SPI_processed;
}

int64
mig_sql_nextval(Oid sequence)
{
	bool		read_only = make_writable();
	int64		value = nextval_internal(sequence, false);

	Assert(OidIsValid(sequence));
	XactReadOnly = read_only;
	return value;
}

void
mig_sql_refuse_value(const char *table, const char *column, const char *row)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_BOOKS),
			 table ?
			 errmsg("column \"%s\" of table \"%s.%s\" has a value that cannot be",
					column, MIG_SCHEMA_NAME, table) :
			 errmsg("column \"%s\" of a table of extension \"%s\" has a value that cannot be",
					column, MIG_EXTENSION_NAME),
			 row ? errdetail("Row: %s.", row) : 0,
			 errhint("The extension has not written that: have a superuser correct the row, or delete it.")));
}

static const char *
result_column_name(int col)
{
	return NameStr(TupleDescAttr(SPI_tuptable->tupdesc, col - 1)->attname);
}

Datum *
mig_sql_array_elements(Datum array, const char *table, const char *column,
					   const char *row, Oid type, int *count)
{
	ArrayType  *header = DatumGetArrayTypeP(array);
	Datum	   *elements;
	bool	   *nulls;
	int16		length;
	bool		by_value;
	char		align;
	int			i;

	if (ARR_NDIM(header) > 1 || ARR_ELEMTYPE(header) != type)
		mig_sql_refuse_value(table, column, row);
	get_typlenbyvalalign(type, &length, &by_value, &align);
	deconstruct_array(header, type, length, by_value, align, &elements,
					  &nulls, count);
	for (i = 0; i < *count; i++)
	{
		if (nulls[i])
			mig_sql_refuse_value(table, column, row);
	}
	return elements;
}

static Datum
get_value(uint64 row, int col, bool *isnull)
{
	Assert(SPI_tuptable != NULL && row < SPI_tuptable->numvals);
	Assert(col >= 1 && col <= SPI_tuptable->tupdesc->natts);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, col,
						 isnull);
}

/* in the memory context of the caller of the scope, which outlives SPI's */
static char *
to_text(MigSqlScope *scope, Datum value, bool isnull)
{
	MemoryContext old;
	char	   *result;

	Assert(scope->outer != NULL);
	if (isnull)
		return NULL;
	old = MemoryContextSwitchTo(scope->outer);
	result = TextDatumGetCString(value);
	MemoryContextSwitchTo(old);
	return result;
}

/*
 * In the memory context of the caller of the scope; NULL and no elements for
 * an empty array.
 */
static char **
to_text_array(MigSqlScope *scope, Datum value, bool isnull, int col,
			  int *count)
{
	Datum	   *elements;
	char	  **result;
	MemoryContext old;
	int			i;

	*count = 0;
	if (isnull)
		return NULL;
	elements = mig_sql_array_elements(value, NULL, result_column_name(col),
									  NULL, TEXTOID,
									  count);
	if (*count == 0)
		return NULL;
	old = MemoryContextSwitchTo(scope->outer);
	result = palloc(sizeof(char *) * *count);
	for (i = 0; i < *count; i++)
		result[i] = TextDatumGetCString(elements[i]);
	MemoryContextSwitchTo(old);
	return result;
}

char *
mig_sql_get_text(MigSqlScope *scope, uint64 row, int col)
{
	bool		isnull;
	Datum		value = get_value(row, col, &isnull);

	return to_text(scope, value, isnull);
}

char *
mig_sql_get_text_not_null(MigSqlScope *scope, uint64 row, int col)
{
	char	   *text = mig_sql_get_text(scope, row, col);

	if (text == NULL)
		mig_sql_refuse_value(NULL, result_column_name(col), NULL);
	return text;
}

bool
mig_sql_get_bool(uint64 row, int col)
{
	bool		isnull;
	Datum		value = get_value(row, col, &isnull);

	return !isnull && DatumGetBool(value);
}

int64
mig_sql_get_int8(uint64 row, int col)
{
	bool		isnull;
	Datum		value = get_value(row, col, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

int32
mig_sql_get_int4(uint64 row, int col)
{
	bool		isnull;
	Datum		value = get_value(row, col, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

double
mig_sql_get_float8(uint64 row, int col)
{
	bool		isnull;
	Datum		value = get_value(row, col, &isnull);

	return isnull ? 0 : DatumGetFloat8(value);
}

TimestampTz
mig_sql_get_timestamptz(uint64 row, int col)
{
	bool		isnull;
	Datum		value = get_value(row, col, &isnull);

	return isnull ? 0 : DatumGetTimestampTz(value);
}

char **
mig_sql_get_text_array(MigSqlScope *scope, uint64 row, int col, int *count)
{
	bool		isnull;
	Datum		value = get_value(row, col, &isnull);

	return to_text_array(scope, value, isnull, col, count);
}

List *
mig_sql_append(MigSqlScope *scope, List *list, void *datum)
{
	MemoryContext old = MemoryContextSwitchTo(scope->outer);

	Assert(scope->outer != NULL);
	list = lappend(list, datum);
	MemoryContextSwitchTo(old);
	return list;
}

void
mig_sql_row_read(MigRow *row, uint64 number)
{
	Assert(SPI_tuptable != NULL && number < SPI_tuptable->numvals);
	if (SPI_tuptable->tupdesc->natts > MIG_ROW_COLUMNS)
		elog(ERROR, "too many columns: %d", SPI_tuptable->tupdesc->natts);
	heap_deform_tuple(SPI_tuptable->vals[number], SPI_tuptable->tupdesc,
					  row->values, row->nulls);
}

char *
mig_sql_row_text(MigSqlScope *scope, const MigRow *row, int col)
{
	Assert(col >= 1 && col <= MIG_ROW_COLUMNS);
	return to_text(scope, row->values[col - 1], row->nulls[col - 1]);
}

char *
mig_sql_row_text_not_null(MigSqlScope *scope, const MigRow *row, int col)
{
	if (row->nulls[col - 1])
		mig_sql_refuse_value(NULL, result_column_name(col), NULL);
	return mig_sql_row_text(scope, row, col);
}

bool
mig_sql_row_bool(const MigRow *row, int col)
{
	Assert(col >= 1 && col <= MIG_ROW_COLUMNS);
	return !row->nulls[col - 1] && DatumGetBool(row->values[col - 1]);
}

int64
mig_sql_row_int8(const MigRow *row, int col)
{
	Assert(col >= 1 && col <= MIG_ROW_COLUMNS);
	return row->nulls[col - 1] ? 0 : DatumGetInt64(row->values[col - 1]);
}

int32
mig_sql_row_int4(const MigRow *row, int col)
{
	return row->nulls[col - 1] ? 0 : DatumGetInt32(row->values[col - 1]);
}

double
mig_sql_row_float8(const MigRow *row, int col)
{
	return row->nulls[col - 1] ? 0 : DatumGetFloat8(row->values[col - 1]);
}

TimestampTz
mig_sql_row_timestamptz(const MigRow *row, int col)
{
	return row->nulls[col - 1] ? 0 : DatumGetTimestampTz(row->values[col - 1]);
}

char **
mig_sql_row_text_array(MigSqlScope *scope, const MigRow *row, int col,
					   int *count)
{
	return to_text_array(scope, row->values[col - 1], row->nulls[col - 1], col,
						 count);
}

Datum
mig_sql_text_array(char **strings, int count)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(count, 1));
	int			i;

	Assert(count == 0 || strings != NULL);
	for (i = 0; i < count; i++)
		elements[i] = CStringGetTextDatum(strings[i]);
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

Datum
mig_sql_text_list(List *strings)
{
	char	  **array = palloc(sizeof(char *) * Max(list_length(strings), 1));
	ListCell   *lc;
	int			n = 0;

	foreach(lc, strings)
		array[n++] = lfirst(lc);
	return mig_sql_text_array(array, n);
}

Datum
mig_sql_text_datum(const char *string, bool *isnull)
{
	*isnull = (string == NULL);
	return string ? CStringGetTextDatum(string) : (Datum) 0;
}
