/*-------------------------------------------------------------------------
 *
 * incoming.c
 *	  Sources as a relation that statements can read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/sql.h"
#include "ledger/incoming.h"

/* columns of the rows that go into migrate.migration */
enum SourceColumn
{
	S_ORD, S_VERSION, S_NAME, S_KIND, S_UP, S_DOWN, S_VERIFY, S_REQUIRES,
	S_TRANSACTIONAL, S_IRREVERSIBLE, S_PATH, S_DOWN_PATH, S_VERIFY_PATH,
	S_UP_LINE, S_DOWN_LINE, S_VERIFY_LINE, S_SOURCE, S_CHECKSUM,
	S_DOWN_CHECKSUM, S_NCOLUMNS
};

static TupleDesc
source_desc(void)
{
	static const struct
	{
		const char *name;
		Oid			type;
	}			columns[S_NCOLUMNS] = {
		{"ord", INT4OID}, {"version", TEXTOID}, {"name", TEXTOID},
		{"kind", TEXTOID}, {"up", TEXTOID}, {"down", TEXTOID},
		{"verify", TEXTOID}, {"requires", TEXTARRAYOID},
		{"transactional", BOOLOID}, {"irreversible", BOOLOID},
		{"path", TEXTOID}, {"down_path", TEXTOID}, {"verify_path", TEXTOID},
		{"up_line", INT4OID}, {"down_line", INT4OID}, {"verify_line", INT4OID},
		{"source", TEXTOID}, {"checksum", TEXTOID}, {"down_checksum", TEXTOID}
	};
	TupleDesc	desc = CreateTemplateTupleDesc(S_NCOLUMNS);
	int			i;

	for (i = 0; i < S_NCOLUMNS; i++)
		TupleDescInitEntry(desc, i + 1, columns[i].name, columns[i].type,
						   -1, columns[i].type == TEXTARRAYOID ? 1 : 0);
	return desc;
}

/*
 * A source as a row of the relation that the statements of load() call
 * incoming.
 */
static void
put_source(Tuplestorestate *rows, TupleDesc desc, int ord,
		   const MigSource *source, const char *checksum,
		   const char *down_checksum)
{
	Datum		values[S_NCOLUMNS];
	bool		nulls[S_NCOLUMNS] = {false};
	int			part;

	values[S_ORD] = Int32GetDatum(ord);
	values[S_VERSION] = CStringGetTextDatum(source->version);
	values[S_NAME] = CStringGetTextDatum(source->name);
	values[S_KIND] = CStringGetTextDatum(source->kind == MIG_REPEATABLE ?
										 "repeatable" : "versioned");
	if (checksum != NULL)
		nulls[S_UP] = nulls[S_DOWN] = true; /* it stands for them */
	else
	{
		values[S_UP] = CStringGetTextDatum(source->up);
		values[S_DOWN] = mig_sql_text_datum(source->down, &nulls[S_DOWN]);
	}
	values[S_VERIFY] = mig_sql_text_datum(source->verify, &nulls[S_VERIFY]);
	values[S_REQUIRES] = mig_sql_text_list(source->requires);
	values[S_TRANSACTIONAL] = BoolGetDatum(source->transactional == MIG_TX_ON);
	nulls[S_TRANSACTIONAL] = source->transactional == MIG_TX_RECOGNIZE;
	values[S_IRREVERSIBLE] = BoolGetDatum(source->irreversible);
	values[S_PATH] = mig_sql_text_datum(source->path, &nulls[S_PATH]);
	values[S_DOWN_PATH] = mig_sql_text_datum(source->down_path,
											 &nulls[S_DOWN_PATH]);
	values[S_VERIFY_PATH] = mig_sql_text_datum(source->verify_path,
											   &nulls[S_VERIFY_PATH]);
	for (part = MIG_UP; part <= MIG_VERIFY; part++)
	{
		values[S_UP_LINE + part] = Int32GetDatum(source->lines[part]);
		nulls[S_UP_LINE + part] = source->lines[part] == 0;
	}
	values[S_SOURCE] = mig_sql_text_datum(source->source, &nulls[S_SOURCE]);
	values[S_CHECKSUM] = mig_sql_text_datum(checksum, &nulls[S_CHECKSUM]);
	values[S_DOWN_CHECKSUM] = mig_sql_text_datum(down_checksum,
												 &nulls[S_DOWN_CHECKSUM]);
	tuplestore_putvalues(rows, desc, values, nulls);
}

Tuplestorestate *
mig_incoming_register(List *sources, List *checksums, List *down_checksums)
{
	TupleDesc	desc = source_desc();
	Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
	MemoryContext row_context =
		AllocSetContextCreate(CurrentMemoryContext, "migrate source row",
							  ALLOCSET_DEFAULT_SIZES);
	EphemeralNamedRelation enr;
	int			i;

	for (i = 0; i < list_length(sources); i++)
	{
		MemoryContext old = MemoryContextSwitchTo(row_context);

		put_source(rows, desc, i, list_nth(sources, i),
				   checksums ? list_nth(checksums, i) : NULL,
				   down_checksums ? list_nth(down_checksums, i) : NULL);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_context);
	}
	enr = palloc0(sizeof(EphemeralNamedRelationData));
	enr->md.name = "incoming";
	enr->md.tupdesc = desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = list_length(sources);
	enr->reldata = rows;
	if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register rows");
	return rows;
}
