/*-------------------------------------------------------------------------
 *
 * columns.c
 *	  Checking that a table has the columns that this library knows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "base/migrate.h"
#include "ledger/columns.h"

static const char *const migration_columns[] = {
	MIG_MIGRATION_COLUMNS(MIG_COLUMN_NAME)
};
static const char *const applied_columns[] = {
	MIG_APPLIED_COLUMNS(MIG_COLUMN_NAME)
};
static const char *const journal_columns[] = {
	MIG_JOURNAL_COLUMNS(MIG_COLUMN_NAME)
};
static const char *const executed_text_columns[] = {
	MIG_EXECUTED_TEXT_COLUMNS(MIG_COLUMN_NAME)
};
static const char *const run_columns[] = {
	MIG_RUN_COLUMNS(MIG_COLUMN_NAME)
};
static const char *const statement_timing_columns[] = {
	MIG_STATEMENT_TIMING_COLUMNS(MIG_COLUMN_NAME)
};

static const struct
{
	const char *table;
	const char *const *columns;
	int			ncolumns;
}			tables[] =

{
	{"migration", migration_columns, lengthof(migration_columns)},
	{"applied", applied_columns, lengthof(applied_columns)},
	{"journal", journal_columns, lengthof(journal_columns)},
	{"executed_text", executed_text_columns, lengthof(executed_text_columns)},
	{"run", run_columns, lengthof(run_columns)},
	{"statement_timing", statement_timing_columns, lengthof(statement_timing_columns)}
};

/* column is the one that is not in its place; NULL: the numbers differ */
static void
refuse_altered(const char *table, int ncolumns, int expected,
			   const char *column)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_EXTENSION),
			 errmsg("table \"%s.%s\" of extension \"%s\" has been altered",
					MIG_SCHEMA_NAME, table, MIG_EXTENSION_NAME),
			 column == NULL ?
			 errdetail("It has %d columns instead of %d.", ncolumns, expected) :
			 errdetail("Column \"%s\" is not where it was.", column),
			 errhint("A column that was added counts even after it has been dropped: restore the tables from a dump without it.")));
}

void
mig_columns_check(const char *table, TupleDesc desc)
{
	const char *const *columns = NULL;
	int			expected = 0;
	int			i;

	for (i = 0; i < lengthof(tables); i++)
	{
		if (strcmp(tables[i].table, table) == 0)
		{
			columns = tables[i].columns;
			expected = tables[i].ncolumns;
		}
	}
	Assert(columns != NULL);
	if (desc->natts != expected)
		refuse_altered(table, desc->natts, expected, NULL);
	for (i = 0; i < expected; i++)
	{
		if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), columns[i]) != 0)
			refuse_altered(table, desc->natts, expected, columns[i]);
	}
}
