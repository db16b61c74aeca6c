/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  Recording runs: rows of migrate.journal, body and applied.
 *
 * A run of a thousand migrations must not cost thousands of small queries, so
 * rows are collected in tuplestores and written with one INSERT ... SELECT per
 * table, which reads a tuplestore as a named relation (as triggers read their
 * transition tables).  The ledger's rows are derived from the journal's.
 *
 * Nothing here waits for another session's uncommitted rows: the journal's key
 * is the run's own number, and migrate.body has no key that two runs share.
 * That is what lets a background worker journal a failure while the failed
 * transaction is still open.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"
#include "utils/xid8.h"

#include "books.h"
#include "journal.h"
#include "statement.h"

/* columns of migrate.journal, in order */
typedef enum JournalColumn
{
	J_RUN,
	J_N,
	J_ACTION,
	J_PROJECT,
	J_TARGET,
	J_VERSION,
	J_NAME,
	J_OUTCOME,
	J_STARTED_AT,
	J_EXECUTION_MS,
	J_CHECKSUM,
	J_DOWN_CHECKSUM,
	J_BODY,
	J_VERIFY_BODY,
	J_STATEMENTS,
	J_PART,
	J_STATEMENT,
	J_LINE,
	J_SQLSTATE,
	J_MESSAGE,
	J_DETAIL,
	J_HINT,
	J_CONTEXT,
	J_ROLE,
	J_SEARCH_PATH,
	J_SESSION_ROLE,
	J_CLIENT_ADDRESS,
	J_APPLICATION,
	J_BACKEND_PID,
	J_XID,
	J_WAL_START,
	J_WAL_END,
	J_NOTE,
	J_SERVER_VERSION,
	J_EXTENSION_VERSION,
	J_NCOLUMNS
} JournalColumn;

typedef struct JournalShape
{
	TupleDesc	desc;			/* of migrate.journal */
	TupleDesc	timing;			/* of migrate.statement_timing */
	Oid			timing_type;
} JournalShape;

struct MigBatch
{
	MemoryContext context;		/* the batch itself */
	MemoryContext scratch;		/* one row */
	JournalShape shape;
	TupleDesc	body_desc;
	Tuplestorestate *journal;
	Tuplestorestate *bodies;
	int64		nbodies;
	bool		replace;		/* a row's version may be in the ledger */
	Datum		values[J_NCOLUMNS]; /* what is the same for every row */
	bool		nulls[J_NCOLUMNS];
};

int64
mig_journal_next_run(void)
{
	return nextval_internal(mig_books_relation("run_seq"), false);
}

static void
get_shape(JournalShape *shape)
{
	Oid			rowtype = get_rel_type_id(mig_books_relation("journal"));

	shape->desc = lookup_rowtype_tupdesc_copy(rowtype, -1);
	if (shape->desc->natts != J_NCOLUMNS)
		elog(ERROR, "migrate.journal has %d columns, expected %d",
			 shape->desc->natts, J_NCOLUMNS);
	shape->timing_type =
		get_element_type(TupleDescAttr(shape->desc, J_STATEMENTS)->atttypid);
	shape->timing = lookup_rowtype_tupdesc_copy(shape->timing_type, -1);
}

static void
set_text(Datum *values, bool *nulls, JournalColumn column, const char *string)
{
	nulls[column] = (string == NULL);
	values[column] = string ? CStringGetTextDatum(string) : (Datum) 0;
}

/* the client's address, NULL for a Unix socket or no client at all */
static Datum
client_address(bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 0);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	result = inet_client_addr(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

/* the columns that are the same for all that this session records */
static void
set_session_columns(Datum *values, bool *nulls)
{
	FullTransactionId xid = GetTopFullTransactionIdIfAny();

	set_text(values, nulls, J_TARGET, "");
	set_text(values, nulls, J_SESSION_ROLE,
			 GetUserNameFromId(GetSessionUserId(), false));
	set_text(values, nulls, J_APPLICATION, application_name);
	set_text(values, nulls, J_SERVER_VERSION, PG_VERSION);
	set_text(values, nulls, J_EXTENSION_VERSION, MIG_VERSION);
	values[J_BACKEND_PID] = Int32GetDatum(MyProcPid);
	nulls[J_BACKEND_PID] = false;
	nulls[J_XID] = !FullTransactionIdIsValid(xid);
	values[J_XID] = FullTransactionIdGetDatum(xid);
	values[J_CLIENT_ADDRESS] = client_address(&nulls[J_CLIENT_ADDRESS]);
}

static Datum
timings_datum(const JournalShape *shape, const MigJournalRow *row)
{
	Datum	   *elements = palloc(sizeof(Datum) * row->ntimings);
	int			i;

	for (i = 0; i < row->ntimings; i++)
	{
		const MigTiming *timing = &row->timings[i];
		bool		nulls[5] = {false};
		Datum		values[5];

		values[0] = CStringGetTextDatum(mig_part_name(timing->part));
		values[1] = Int32GetDatum(timing->line);
		values[2] = CStringGetTextDatum(timing->tag);
		values[3] = Float8GetDatum(timing->execution_ms);
		values[4] = Int64GetDatum((int64) timing->row_count);
		elements[i] = HeapTupleGetDatum(heap_form_tuple(shape->timing, values,
														nulls));
	}
	return PointerGetDatum(construct_array(elements, row->ntimings,
										   shape->timing_type, -1, false,
										   TYPALIGN_DOUBLE));
}

static void
set_failure_columns(Datum *values, bool *nulls, const MigFailure *failure)
{
	set_text(values, nulls, J_OUTCOME, failure ? "failure" : "success");
	if (failure == NULL)
		return;
	set_text(values, nulls, J_SQLSTATE, failure->sqlstate);
	set_text(values, nulls, J_MESSAGE, failure->message);
	set_text(values, nulls, J_DETAIL, failure->detail);
	set_text(values, nulls, J_HINT, failure->hint);
	set_text(values, nulls, J_CONTEXT, failure->context);
	if (!failure->in_body)
		return;
	set_text(values, nulls, J_PART, mig_part_name(failure->part));
	values[J_STATEMENT] = Int32GetDatum(failure->statement);
	nulls[J_STATEMENT] = false;
	values[J_LINE] = Int32GetDatum(failure->line);
	nulls[J_LINE] = false;
}

/* values and nulls hold the session's columns already, nulls true elsewhere */
static HeapTuple
form_journal_tuple(const JournalShape *shape, const MigJournalRow *row,
				   Datum *values, bool *nulls)
{
	values[J_RUN] = Int64GetDatum(row->run);
	values[J_N] = Int32GetDatum(row->n);
	values[J_STARTED_AT] = TimestampTzGetDatum(row->started_at);
	values[J_EXECUTION_MS] = Float8GetDatum(row->execution_ms);
	nulls[J_RUN] = nulls[J_N] = nulls[J_STARTED_AT] = false;
	nulls[J_EXECUTION_MS] = false;
	set_text(values, nulls, J_ACTION, row->action);
	set_text(values, nulls, J_PROJECT, row->project);
	set_text(values, nulls, J_VERSION, row->version);
	set_text(values, nulls, J_NAME, row->name);
	set_text(values, nulls, J_CHECKSUM, row->checksum);
	set_text(values, nulls, J_DOWN_CHECKSUM, row->down_checksum);
	set_text(values, nulls, J_BODY, row->body);
	set_text(values, nulls, J_VERIFY_BODY, row->verify_body);
	set_text(values, nulls, J_ROLE, row->role);
	set_text(values, nulls, J_SEARCH_PATH, row->search_path);
	set_text(values, nulls, J_NOTE, row->note);
	set_text(values, nulls, J_PART, row->part);
	set_failure_columns(values, nulls, row->failure);
	if (row->ntimings > 0)
	{
		values[J_STATEMENTS] = timings_datum(shape, row);
		nulls[J_STATEMENTS] = false;
	}
	values[J_WAL_START] = LSNGetDatum(row->wal_start);
	nulls[J_WAL_START] = XLogRecPtrIsInvalid(row->wal_start);
	values[J_WAL_END] = LSNGetDatum(row->wal_end);
	nulls[J_WAL_END] = XLogRecPtrIsInvalid(row->wal_end);
	return heap_form_tuple(shape->desc, values, nulls);
}

void
mig_journal_event(MigJournalRow *row, int64 run, const char *project,
				  const char *action, const char *note)
{
	memset(row, 0, sizeof(MigJournalRow));
	row->run = run;
	row->project = project;
	row->action = action;
	row->note = note;
	row->started_at = GetCurrentTimestamp();
	row->role = GetUserNameFromId(GetUserId(), false);
}

MigBatch *
mig_batch_begin(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "migrate batch",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MigBatch   *batch = palloc0(sizeof(MigBatch));

	batch->context = context;
	batch->scratch = AllocSetContextCreate(context, "migrate batch row",
										   ALLOCSET_DEFAULT_SIZES);
	get_shape(&batch->shape);
	batch->body_desc = CreateTemplateTupleDesc(3);
	TupleDescInitEntry(batch->body_desc, 1, "hash", TEXTOID, -1, 0);
	TupleDescInitEntry(batch->body_desc, 2, "run", INT8OID, -1, 0);
	TupleDescInitEntry(batch->body_desc, 3, "text", TEXTOID, -1, 0);
	batch->journal = tuplestore_begin_heap(false, false, work_mem);
	batch->bodies = tuplestore_begin_heap(false, false, work_mem);
	memset(batch->nulls, true, sizeof(batch->nulls));
	MemoryContextSwitchTo(old);
	return batch;
}

void
mig_batch_add(MigBatch *batch, const MigJournalRow *row)
{
	MemoryContext old = MemoryContextSwitchTo(batch->scratch);
	Datum		values[J_NCOLUMNS];
	bool		nulls[J_NCOLUMNS];

	if (batch->nulls[J_SESSION_ROLE])
	{
		/* once a batch, and not before the transaction has its id */
		MemoryContextSwitchTo(batch->context);
		set_session_columns(batch->values, batch->nulls);
		MemoryContextSwitchTo(batch->scratch);
	}
	batch->replace |= row->replace;
	memcpy(values, batch->values, sizeof(values));
	memcpy(nulls, batch->nulls, sizeof(nulls));
	tuplestore_puttuple(batch->journal,
						form_journal_tuple(&batch->shape, row, values, nulls));
	MemoryContextSwitchTo(old);
	MemoryContextReset(batch->scratch);
}

void
mig_batch_add_body(MigBatch *batch, const char *hash, int64 run,
				   const char *text)
{
	MemoryContext old = MemoryContextSwitchTo(batch->scratch);
	Datum		values[3];
	bool		nulls[3] = {false};

	values[0] = CStringGetTextDatum(hash);
	values[1] = Int64GetDatum(run);
	values[2] = CStringGetTextDatum(text);
	tuplestore_putvalues(batch->bodies, batch->body_desc, values, nulls);
	batch->nbodies++;
	MemoryContextSwitchTo(old);
	MemoryContextReset(batch->scratch);
}

void
mig_batch_end(MigBatch *batch)
{
	tuplestore_end(batch->journal);
	tuplestore_end(batch->bodies);
	MemoryContextDelete(batch->context);
}

/* give a tuplestore a name that the statements of this scope can use */
static void
register_rows(char *name, Tuplestorestate *rows, TupleDesc desc)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));
	int			rc;

	enr->md.name = name;
	enr->md.tupdesc = desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = tuplestore_tuple_count(rows);
	enr->reldata = rows;
	rc = SPI_register_relation(enr);
	if (rc != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register rows: SPI error %d", rc);
}

static void
take_from_ledger(void)
{
	mig_sql("DELETE FROM migrate.applied a USING journal_rows j"
			" WHERE a.project OPERATOR(pg_catalog.=) j.project"
			" AND a.target OPERATOR(pg_catalog.=) j.target"
			" AND a.version OPERATOR(pg_catalog.=) j.version",
			0, NULL, NULL, NULL);
}

/*
 * A repeatable migration that runs again, and one that is stamped because its
 * text has changed, replace their row.  That is done by hand: ON CONFLICT would
 * make every insertion a speculative one.
 */
static void
add_to_ledger(const char *how, bool replace)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(how)};

	if (replace)
		take_from_ledger();
	mig_sql("INSERT INTO migrate.applied (project, target, version, name,"
			" checksum, down_checksum, applied_at, applied_by, how,"
			" execution_ms, run, n)"
			" SELECT j.project, j.target, j.version, j.name, j.checksum,"
			" j.down_checksum,"
			" j.started_at OPERATOR(pg_catalog.+) pg_catalog.make_interval("
			"  secs => j.execution_ms OPERATOR(pg_catalog./) 1000.0),"
			" j.role, $1, j.execution_ms, j.run, j.n"
			" FROM journal_rows j",
			1, types, values, NULL);
}

void
mig_batch_flush(MigBatch *batch, MigBatchEffect effect, const char *how)
{
	MigSqlScope scope;

	mig_books_open(&scope);
	register_rows("journal_rows", batch->journal, batch->shape.desc);
	mig_sql("INSERT INTO migrate.journal SELECT * FROM journal_rows",
			0, NULL, NULL, NULL);
	if (effect == MIG_BATCH_APPLIED)
		add_to_ledger(how, batch->replace);
	else if (effect == MIG_BATCH_UNDONE)
		take_from_ledger();
	if (batch->nbodies > 0)
	{
		register_rows("body_rows", batch->bodies, batch->body_desc);
		mig_sql("INSERT INTO migrate.body (run, hash, text)"
				" SELECT DISTINCT ON (b.hash) b.run, b.hash, b.text"
				" FROM body_rows b WHERE NOT EXISTS ("
				" SELECT FROM migrate.body x"
				" WHERE x.hash OPERATOR(pg_catalog.=) b.hash)",
				0, NULL, NULL, NULL);
	}
	mig_books_close(&scope);
	tuplestore_clear(batch->journal);
	tuplestore_clear(batch->bodies);
	batch->nbodies = 0;
	batch->replace = false;
}

bytea *
mig_journal_pack(const MigJournalRow *row)
{
	JournalShape shape;
	Datum		values[J_NCOLUMNS];
	bool		nulls[J_NCOLUMNS];
	HeapTuple	tuple;

	get_shape(&shape);
	memset(nulls, true, sizeof(nulls));
	set_session_columns(values, nulls);
	tuple = form_journal_tuple(&shape, row, values, nulls);
	return (bytea *) DatumGetPointer(heap_copy_tuple_as_datum(tuple,
															  shape.desc));
}

/* was the same failure journalled within the last so many seconds? */
static bool
failed_alike_before(Oid rowtype, bytea *packed, int quiet_seconds)
{
	Oid			types[2] = {rowtype, INT4OID};
	Datum		values[2] = {PointerGetDatum(packed),
	Int32GetDatum(quiet_seconds)};

	return quiet_seconds > 0 &&
		mig_sql("SELECT FROM migrate.journal j"
				" WHERE j.project OPERATOR(pg_catalog.=) ($1).project"
				" AND j.version OPERATOR(pg_catalog.=) ($1).version"
				" AND j.action OPERATOR(pg_catalog.=) ($1).action"
				" AND j.outcome OPERATOR(pg_catalog.=) 'failure'"
				" AND j.sqlstate OPERATOR(pg_catalog.=) ($1).sqlstate"
				" AND j.message OPERATOR(pg_catalog.=) ($1).message"
				" AND j.body IS NOT DISTINCT FROM ($1).body"
				" AND j.started_at OPERATOR(pg_catalog.>)"
				"  (($1).started_at OPERATOR(pg_catalog.-)"
				"   pg_catalog.make_interval(secs => $2))"
				" LIMIT 1", 2, types, values, NULL) > 0;
}

bool
mig_journal_insert_packed(bytea *packed, const char *text, int quiet_seconds)
{
	MigSqlScope scope;
	Oid			types[2];
	Datum		values[2];
	bool		inserted = false;

	mig_books_open(&scope);
	types[0] = get_rel_type_id(mig_books_relation("journal"));
	types[1] = TEXTOID;
	values[0] = PointerGetDatum(packed);
	if (!failed_alike_before(types[0], packed, quiet_seconds))
	{
		mig_sql("INSERT INTO migrate.journal SELECT ($1).*",
				1, types, values, NULL);
		if (text != NULL)
		{
			values[1] = CStringGetTextDatum(text);
			mig_sql("INSERT INTO migrate.body (run, hash, text)"
					" SELECT ($1).run, ($1).body, $2"
					" WHERE ($1).body IS NOT NULL AND NOT EXISTS ("
					" SELECT FROM migrate.body x"
					" WHERE x.hash OPERATOR(pg_catalog.=) ($1).body)",
					2, types, values, NULL);
		}
		inserted = true;
	}
	mig_books_close(&scope);
	return inserted;
}

int64
mig_journal_prune(const char *project, Datum older_than)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, INTERVALOID};
	Datum		values[2] = {CStringGetTextDatum(project), older_than};
	int64		count;

	mig_books_open(&scope);
	count = mig_sql("DELETE FROM migrate.journal j"
					" WHERE j.project OPERATOR(pg_catalog.=) $1"
					" AND j.outcome OPERATOR(pg_catalog.=) 'failure'"
					" AND j.started_at OPERATOR(pg_catalog.<)"
					"  (pg_catalog.now() OPERATOR(pg_catalog.-) $2)",
					2, types, values, NULL);
	count += mig_sql("UPDATE migrate.journal j SET statements = NULL"
					 " WHERE j.project OPERATOR(pg_catalog.=) $1"
					 " AND j.statements IS NOT NULL"
					 " AND j.started_at OPERATOR(pg_catalog.<)"
					 "  (pg_catalog.now() OPERATOR(pg_catalog.-) $2)",
					 2, types, values, NULL);
	mig_sql("DELETE FROM migrate.body b WHERE NOT EXISTS ("
			" SELECT FROM migrate.journal j"
			" WHERE j.body OPERATOR(pg_catalog.=) b.hash"
			" OR j.verify_body OPERATOR(pg_catalog.=) b.hash)",
			0, NULL, NULL, NULL);
	mig_books_close(&scope);
	return count;
}
