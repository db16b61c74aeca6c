/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  Recording runs: rows of migrate.journal, body and applied.
 *
 * A run of a thousand migrations must not cost thousands of small queries, so
 * rows are collected and inserted many at a time (see ledger/bulk_insert.c).
 * The ledger's rows are derived from the journal's.
 *
 * Nothing here waits for another session's uncommitted rows: the journal's key
 * is the run's own number, and migrate.executed_text has no key that two runs share.
 * That is what lets a background worker journal a failure while the failed
 * transaction is still open.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"
#include "utils/xid8.h"

#include "base/compat.h"
#include "ledger/bulk_insert.h"
#include "ledger/columns.h"
#include "ledger/journal.h"
#include "ledger/key_lookup.h"
#include "ledger/state.h"
#include "ledger/tables.h"
#include "source/body.h"

/* when a batch is large enough to be written */
#define BATCH_ROWS 1024
#define BATCH_BYTES (1024 * 1024)

typedef struct JournalShape
{
	TupleDesc	desc;			/* of migrate.journal */
	TupleDesc	timing;			/* of migrate.statement_timing */
	Oid			timing_type;
} JournalShape;

/* rows of one table */
typedef struct RowBuffer
{
	HeapTuple  *tuples;
	int			count;
	int			size;
} RowBuffer;

typedef struct BodyToStore
{
	char	   *hash;
	HeapTuple	tuple;
} BodyToStore;

struct MigJournalBatch
{
	MemoryContext context;		/* the batch itself */
	MemoryContext rows;			/* what has not been written yet */
	JournalShape shape;
	TupleDesc	applied_desc;
	TupleDesc	body_desc;
	char	   *project;		/* of all rows */
	RowBuffer	journal;
	RowBuffer	applied;
	List	   *undone;			/* of versions (char *) */
	List	   *bodies;			/* of BodyToStore * */
	Size		bytes;			/* of bodies */
	bool		seq_is_newest;	/* of migrate.applied_seq */
	uint64		generation;		/* of the books, when this was asked: */
	bool		needs_sql;
	Datum		values[J_NCOLUMNS]; /* what is the same for every row */
	bool		nulls[J_NCOLUMNS];
};

bool
mig_journal_has_run(const char *project, int64 run)
{
	MigSqlScope scope;
	Oid			types[2] = {INT8OID, TEXTOID};
	Datum		values[2] = {Int64GetDatum(run)};
	char		nulls[2] = {' ', project ? ' ' : 'n'};
	bool		found;

	if (project != NULL)
		values[1] = CStringGetTextDatum(project);
	mig_tables_open(&scope);
	found = mig_sql_execute("SELECT FROM migrate.journal j"
							" WHERE j.run OPERATOR(pg_catalog.=) $1"
							" AND ($2 IS NULL OR j.project OPERATOR(pg_catalog.=) $2)"
							" UNION ALL SELECT FROM migrate.run r"
							" WHERE r.run OPERATOR(pg_catalog.=) $1"
							" AND ($2 IS NULL OR r.project OPERATOR(pg_catalog.=) $2)"
							" LIMIT 1", 2, types, values, nulls) > 0;
	mig_tables_close(&scope);
	return found;
}

/*
 * Go on after the greatest number that a row has.  The largest possible number
 * cannot have been assigned, and the sequence begins again after it.
 */
static void
skip_known_runs(void)
{
	MigSqlScope scope;

	mig_tables_open(&scope);
	mig_sql_execute("SELECT pg_catalog.setval('migrate.run_seq', k.run)"
					" FROM (SELECT pg_catalog.max(m.run) AS run FROM ("
					"  SELECT pg_catalog.max(j.run) FROM migrate.journal j"
					"  UNION ALL SELECT pg_catalog.max(r.run) FROM migrate.run r) m (run)) k,"
					" migrate.run_seq s"
					" WHERE k.run OPERATOR(pg_catalog.>) s.last_value"
					" AND k.run OPERATOR(pg_catalog.<) 281474976710655",
					0, NULL, NULL, NULL);
	mig_tables_close(&scope);
}

/*
 * Rows that were inserted by hand, or a sequence that was set back in a
 * restore, must not make runs fail.
 */
int64
mig_journal_next_run(void)
{
	int64		run;

	int			taken = 0;

	do
	{
		CHECK_FOR_INTERRUPTS();
		if (taken++ == 2)
			skip_known_runs();
		run = mig_sql_nextval(mig_tables_relation("run_seq"));
	} while (mig_journal_has_run(NULL, run));
	return run;
}

static TupleDesc
table_desc(const char *name)
{
	Oid			rowtype = get_rel_type_id(mig_tables_relation(name));
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(rowtype, -1);

	mig_columns_check(name, desc);
	return desc;
}

static void
get_shape(JournalShape *shape)
{
	shape->desc = table_desc("journal");
	shape->timing_type =
		get_element_type(TupleDescAttr(shape->desc, J_STATEMENTS)->atttypid);
	shape->timing = lookup_rowtype_tupdesc_copy(shape->timing_type, -1);
	mig_columns_check("statement_timing", shape->timing);
}

static void
set_column_text(Datum *values, bool *nulls, MigJournalColumn column,
				const char *string)
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
set_session_columns(Datum *values, bool *nulls, FullTransactionId xid)
{

	set_column_text(values, nulls, J_TARGET, "");
	set_column_text(values, nulls, J_SESSION_ROLE,
					mig_user_name(GetSessionUserId()));
	set_column_text(values, nulls, J_APPLICATION,
					mig_printable_line(application_name, MIG_NAME_BYTES));
	set_column_text(values, nulls, J_SERVER_VERSION, PG_VERSION);
	set_column_text(values, nulls, J_EXTENSION_VERSION, MIG_VERSION);
	values[J_BACKEND_PID] = Int32GetDatum(MyProcPid);
	nulls[J_BACKEND_PID] = false;
	nulls[J_XID] = !FullTransactionIdIsValid(xid);
	values[J_XID] = FullTransactionIdGetDatum(xid);
	values[J_CLIENT_ADDRESS] = client_address(&nulls[J_CLIENT_ADDRESS]);
}

static Datum
timings_datum(const JournalShape *shape, const MigTiming *timings, int count)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(count, 1));
	int			i;

	for (i = 0; i < count; i++)
	{
		const MigTiming *timing = &timings[i];
		bool		nulls[T_NCOLUMNS] = {false};
		Datum		values[T_NCOLUMNS];

		values[T_BODY] = CStringGetTextDatum(mig_body_part_name(timing->part));
		values[T_LINE] = Int32GetDatum(timing->line);
		values[T_TAG] = CStringGetTextDatum(timing->tag);
		values[T_EXECUTION_MS] = Float8GetDatum(timing->execution_ms);
		values[T_ROW_COUNT] = Int64GetDatum((int64) timing->row_count);
		elements[i] = HeapTupleGetDatum(heap_form_tuple(shape->timing, values,
														nulls));
	}
	return PointerGetDatum(construct_array(elements, count,
										   shape->timing_type, -1, false,
										   TYPALIGN_DOUBLE));
}

Oid
mig_journal_timings_type(void)
{
	JournalShape shape;

	get_shape(&shape);
	return TupleDescAttr(shape.desc, J_STATEMENTS)->atttypid;
}

Datum
mig_journal_timings(const MigTiming *timings, int count)
{
	JournalShape shape;

	Assert(count == 0 || timings != NULL);
	get_shape(&shape);
	return timings_datum(&shape, timings, count);
}

static MigPart
part_of_name(const char *name)
{
	MigPart		part;

	for (part = MIG_UP; part < MIG_VERIFY; part++)
	{
		if (strcmp(mig_body_part_name(part), name) == 0)
			break;
	}
	return part;
}

/* one element; false if it is not what timings_datum() makes */
static bool
read_timing(const JournalShape *shape, Datum element, MigTiming *timing)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(element);
	HeapTupleData tuple;
	Datum		values[T_NCOLUMNS];
	bool		nulls[T_NCOLUMNS];
	int			i;

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	heap_deform_tuple(&tuple, shape->timing, values, nulls);
	for (i = 0; i < lengthof(nulls); i++)
	{
		if (nulls[i])
			return false;
	}
	timing->part = part_of_name(TextDatumGetCString(values[T_BODY]));
	timing->line = DatumGetInt32(values[T_LINE]);
	timing->tag = TextDatumGetCString(values[T_TAG]);
	timing->execution_ms = DatumGetFloat8(values[T_EXECUTION_MS]);
	timing->row_count = (uint64) DatumGetInt64(values[T_ROW_COUNT]);
	return timing->line >= 0 && timing->execution_ms >= 0 &&
		!isinf(timing->execution_ms);
}

MigTiming *
mig_journal_read_timings(Datum array, const char *table, const char *row,
						 int *count)
{
	JournalShape shape;
	Datum	   *elements;
	MigTiming  *timings;
	int			i;

	get_shape(&shape);
	elements = mig_sql_array_elements(array, table, "statements", row,
									  shape.timing_type, count);
	timings = palloc(sizeof(MigTiming) * Max(*count, 1));
	for (i = 0; i < *count; i++)
	{
		if (!read_timing(&shape, elements[i], &timings[i]))
			mig_sql_refuse_value(table, "statements", row);
	}
	return timings;
}

static void
set_failure_columns(Datum *values, bool *nulls, const MigFailure *failure)
{
	set_column_text(values, nulls, J_OUTCOME, failure ? "failure" : "success");
	if (failure == NULL)
		return;
	set_column_text(values, nulls, J_SQLSTATE, failure->sqlstate);
	set_column_text(values, nulls, J_MESSAGE, failure->message);
	set_column_text(values, nulls, J_DETAIL, failure->detail);
	set_column_text(values, nulls, J_HINT, failure->hint);
	set_column_text(values, nulls, J_CONTEXT, failure->context);
	if (!failure->in_body)
		return;
	set_column_text(values, nulls, J_BODY, mig_body_part_name(failure->part));
	values[J_STATEMENT] = Int32GetDatum(failure->statement);
	nulls[J_STATEMENT] = false;
	values[J_LINE] = Int32GetDatum(failure->line);
	nulls[J_LINE] = false;
	values[J_POSITION] = Int32GetDatum(failure->position);
	nulls[J_POSITION] = (failure->position == 0);
}

/* values and nulls hold the session's columns already, nulls true elsewhere */
static HeapTuple
form_journal_tuple(const JournalShape *shape, const MigJournalRow *row,
				   Datum *values, bool *nulls)
{
	values[J_RUN] = Int64GetDatum(row->run);
	values[J_SEQ] = Int32GetDatum(row->seq);
	values[J_STARTED_AT] = TimestampTzGetDatum(row->started_at);
	values[J_EXECUTION_MS] = Float8GetDatum(row->execution_ms);
	nulls[J_RUN] = nulls[J_SEQ] = nulls[J_STARTED_AT] = false;
	nulls[J_EXECUTION_MS] = false;
	set_column_text(values, nulls, J_ACTION, row->action);
	set_column_text(values, nulls, J_PROJECT, row->project);
	set_column_text(values, nulls, J_VERSION, row->version);
	set_column_text(values, nulls, J_NAME, row->name);
	set_column_text(values, nulls, J_CHECKSUM, row->checksum);
	set_column_text(values, nulls, J_DOWN_CHECKSUM, row->down_checksum);
	set_column_text(values, nulls, J_BODY_HASH, row->body_hash);
	set_column_text(values, nulls, J_VERIFY_HASH, row->verify_hash);
	set_column_text(values, nulls, J_ROLE, row->role);
	set_column_text(values, nulls, J_SEARCH_PATH,
					mig_printable_line(row->search_path, MIG_NOTE_BYTES));
	set_column_text(values, nulls, J_NOTE,
					mig_printable_line(row->note, MIG_NOTE_BYTES));
	set_column_text(values, nulls, J_BODY, row->body);
	set_failure_columns(values, nulls, row->failure);
	if (row->ntimings > 0)
	{
		values[J_STATEMENTS] = timings_datum(shape, row->timings,
											 row->ntimings);
		nulls[J_STATEMENTS] = false;
	}
	values[J_WAL_START] = LSNGetDatum(row->wal_start);
	nulls[J_WAL_START] = XLogRecPtrIsInvalid(row->wal_start);
	values[J_WAL_END] = LSNGetDatum(row->wal_end);
	nulls[J_WAL_END] = XLogRecPtrIsInvalid(row->wal_end);
	return heap_form_tuple(shape->desc, values, nulls);
}

double
mig_journal_elapsed_ms(TimestampTz since)
{
	return Max(0, GetCurrentTimestamp() - since) / 1000.0;
}

void
mig_journal_event(MigJournalRow *row, int64 run, const char *project,
				  const char *action, const char *note)
{
	Assert(run > 0);
	memset(row, 0, sizeof(MigJournalRow));
	row->run = run;
	row->project = project;
	row->action = action;
	row->note = note;
	row->started_at = GetCurrentTimestamp();
	row->role = mig_user_name(GetUserId());
}

void
mig_journal_give_up(MigJournalRow *row, int64 run, const char *project,
					const MigEntry *entry, const char *note)
{
	mig_journal_event(row, run, project, "unstamp", note);
	row->version = entry->version;
	row->name = entry->name;
	row->effect = MIG_EFFECT_UNDONE;
}

MigJournalBatch *
mig_journal_batch_begin(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "migrate batch",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MigJournalBatch *batch = palloc0(sizeof(MigJournalBatch));

	batch->context = context;
	batch->rows = AllocSetContextCreate(context, "migrate batch rows",
										ALLOCSET_DEFAULT_SIZES);
	get_shape(&batch->shape);
	batch->applied_desc = table_desc("applied");
	batch->body_desc = table_desc("executed_text");
	memset(batch->nulls, true, sizeof(batch->nulls));
	MemoryContextSwitchTo(old);
	return batch;
}

/* the tuple is in batch->rows, and so is the array */
static void
buffer_row(RowBuffer *buffer, HeapTuple tuple)
{
	if (buffer->count == buffer->size)
	{
		buffer->size = Max(16, 2 * buffer->size);
		buffer->tuples = buffer->tuples ?
			repalloc(buffer->tuples, sizeof(HeapTuple) * buffer->size) :
			palloc(sizeof(HeapTuple) * buffer->size);
	}
	buffer->tuples[buffer->count++] = tuple;
}

/* journal and journal_nulls are the values of the journal's row */
static HeapTuple
form_applied_tuple(const MigJournalBatch *batch, const MigJournalRow *row,
				   int64 seq,
				   const Datum *journal, const bool *journal_nulls)
{
	static const MigJournalColumn sources[A_APPLIED_SEQ] = {
		[A_PROJECT] = J_PROJECT,[A_TARGET] = J_TARGET,
		[A_VERSION] = J_VERSION,[A_NAME] = J_NAME,
		[A_CHECKSUM] = J_CHECKSUM,[A_DOWN_CHECKSUM] = J_DOWN_CHECKSUM,
		[A_APPLIED_AT] = J_STARTED_AT,[A_APPLIED_BY] = J_ROLE,
		[A_ORIGIN] = J_ACTION,[A_EXECUTION_MS] = J_EXECUTION_MS,
		[A_RUN] = J_RUN,[A_SEQ] = J_SEQ
	};
	Datum		values[A_NCOLUMNS];
	bool		nulls[A_NCOLUMNS];
	int			i;

	for (i = 0; i < A_APPLIED_SEQ; i++)
	{
		values[i] = journal[sources[i]];
		nulls[i] = journal_nulls[sources[i]];
	}
	values[A_APPLIED_AT] =
		TimestampTzGetDatum(row->applied_at != 0 ? row->applied_at :
							row->started_at +
							(TimestampTz) (row->execution_ms * 1000.0));
	if (row->applied_ms > 0)
		values[A_EXECUTION_MS] = Float8GetDatum(row->applied_ms);
	if (row->applied_by != NULL)
		values[A_APPLIED_BY] = CStringGetTextDatum(row->applied_by);
	values[A_ORIGIN] = CStringGetTextDatum(row->origin);
	values[A_APPLIED_SEQ] = Int64GetDatum(seq);
	nulls[A_APPLIED_SEQ] = false;
	return heap_form_tuple(batch->applied_desc, values, nulls);
}

/* 2^47, half of what a row can have, and 2^40 */
#define LAST_HONEST_SEQ "140737488355328"
#define GREATEST_HONEST_GAP "1099511627776"

/*
 * Rows may have come without the sequence, by logical replication or from a dump
 * of the table alone; what is applied now is newer than all of them.  And whoever
 * may write the sequence or the rows may have given it or one of them a number
 * after which no row could follow: then it goes on after the others.
 */
static void
catch_up_with_rows(void)
{
	static SPIPlanPtr plan = NULL;
	MigSqlScope scope;

	mig_tables_open(&scope);
	mig_sql_kept(&plan,
				 "SELECT pg_catalog.setval('migrate.applied_seq',"
				 "  greatest(a.applied_seq, 1), a.applied_seq OPERATOR(pg_catalog.>) 0)"
				 " FROM (SELECT coalesce((SELECT applied_seq FROM migrate.applied"
				 "   WHERE applied_seq OPERATOR(pg_catalog.<) " LAST_HONEST_SEQ
				 "   ORDER BY applied_seq DESC LIMIT 1), 0) AS applied_seq) a,"
				 " migrate.applied_seq s"
				 " WHERE s.last_value OPERATOR(pg_catalog.<) a.applied_seq"
				 " OR s.last_value OPERATOR(pg_catalog.=) a.applied_seq AND NOT s.is_called"
				 " OR (s.last_value OPERATOR(pg_catalog.-) a.applied_seq)"
				 "  OPERATOR(pg_catalog.>) " GREATEST_HONEST_GAP,
				 0, NULL, NULL, NULL);
	mig_tables_close(&scope);
}

int64
mig_journal_batch_add(MigJournalBatch *batch, const MigJournalRow *row)
{
	MemoryContext old;
	int64		seq = 0;
	Datum		values[J_NCOLUMNS];
	bool		nulls[J_NCOLUMNS];

	Assert(row->run > 0 && row->seq > 0);
	Assert(row->project != NULL && row->action != NULL);
	if (batch->journal.count >= BATCH_ROWS || batch->bytes >= BATCH_BYTES)
		mig_journal_batch_flush(batch);
	old = MemoryContextSwitchTo(batch->context);
	if (batch->project == NULL)
	{
		/* once a batch */
		set_session_columns(batch->values, batch->nulls,
							GetTopFullTransactionId());
		batch->project = pstrdup(row->project);
	}
	else if (batch->journal.count == 0)
		batch->values[J_XID] =
			FullTransactionIdGetDatum(GetTopFullTransactionId());
	MemoryContextSwitchTo(batch->rows);
	memcpy(values, batch->values, sizeof(values));
	memcpy(nulls, batch->nulls, sizeof(nulls));
	buffer_row(&batch->journal,
			   form_journal_tuple(&batch->shape, row, values, nulls));
	if (row->effect == MIG_EFFECT_UNDONE || row->replace)
		batch->undone = lappend(batch->undone, pstrdup(row->version));
	if (row->effect == MIG_EFFECT_APPLIED)
	{
		if (!batch->seq_is_newest)
			catch_up_with_rows();
		batch->seq_is_newest = true;
		seq = mig_sql_nextval(mig_tables_relation("applied_seq"));
		buffer_row(&batch->applied,
				   form_applied_tuple(batch, row, seq, values, nulls));
	}
	MemoryContextSwitchTo(old);
	return seq;
}

void
mig_journal_batch_add_body(MigJournalBatch *batch, const char *hash, int64 run,
						   const char *text)
{
	MemoryContext old = MemoryContextSwitchTo(batch->rows);
	BodyToStore *body = palloc(sizeof(BodyToStore));
	Datum		values[X_NCOLUMNS];
	bool		nulls[X_NCOLUMNS] = {false};

	Assert(strlen(hash) == 64);
	Assert(text != NULL);
	values[X_RUN] = Int64GetDatum(run);
	values[X_BODY_HASH] = CStringGetTextDatum(hash);
	values[X_TEXT] = CStringGetTextDatum(text);
	body->hash = pstrdup(hash);
	body->tuple = heap_form_tuple(batch->body_desc, values, nulls);
	pfree(DatumGetPointer(values[X_TEXT]));
	batch->bodies = lappend(batch->bodies, body);
	batch->bytes += body->tuple->t_len;
	MemoryContextSwitchTo(old);
}

void
mig_journal_batch_end(MigJournalBatch *batch)
{
	MemoryContextDelete(batch->context);
}

static void
take_from_ledger(const char *project, List *versions)
{
	static const MigKeyLookup applied_row = {
		"applied", 3, {"project", "target", "version"}, {NULL}
	};
	Oid			types[1] = {TIDARRAYOID};
	Datum		values[1];

	if (versions == NIL)
		return;
	values[0] = mig_key_lookup_tids(&applied_row, project, versions);
	mig_sql_execute("DELETE FROM migrate.applied"
					" WHERE ctid OPERATOR(pg_catalog.=) ANY ($1)",
					1, types, values, NULL);
}

static int
compare_bodies(const ListCell *a, const ListCell *b)
{
	return strcmp(((BodyToStore *) lfirst(a))->hash,
				  ((BodyToStore *) lfirst(b))->hash);
}

/*
 * Is a text of this hash in migrate.executed_text as far as we can see?  *differs says
 * whether it is another text, which was inserted by hand or which a restore has
 * brought from a database of another encoding.
 */
static bool
is_stored(Relation table, Relation index, const BodyToStore *body,
		  bool *differs)
{
	TupleDesc	desc = RelationGetDescr(table);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	stored;
	bool		found = false;
	bool		isnull;

	*differs = false;
	ScanKeyInit(&key, X_BODY_HASH + 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(body->hash));
	key.sk_collation = C_COLLATION_OID;
	scan = systable_beginscan_ordered(table, index, GetActiveSnapshot(), 1,
									  &key);
	while (HeapTupleIsValid(stored = systable_getnext_ordered(scan,
															  ForwardScanDirection)))
	{
		Datum		text = heap_getattr(stored, X_TEXT + 1, desc, &isnull);
		Datum		ran = heap_getattr(body->tuple, X_TEXT + 1, desc, &isnull);

		found = true;
		if (!DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID,
												  text, ran)))
			*differs = true;
	}
	systable_endscan_ordered(scan);
	return found;
}

/* what has run is what its hash stands for */
static void
replace_body(const BodyToStore *body, TupleDesc desc)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	bool		isnull;

	values[0] = CStringGetTextDatum(body->hash);
	values[1] = heap_getattr(body->tuple, X_TEXT + 1, desc, &isnull);
	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.executed_text SET text = $2"
					" WHERE body_hash OPERATOR(pg_catalog.=) $1", 2, types, values,
					NULL);
	mig_tables_close(&scope);
}

/* store each distinct text that is not there; in order, for the index's sake */
static void
insert_bodies(List *bodies)
{
	RowBuffer	buffer = {NULL, 0, 0};
	Relation	body_table;
	Relation	index;
	char	   *before = NULL;
	ListCell   *lc;

	if (bodies == NIL)
		return;
	list_sort(bodies, compare_bodies);
	body_table = mig_tables_open_table("executed_text", RowExclusiveLock);
	index = index_open(MIG_PRIMARY_KEY_INDEX(body_table),
					   RowExclusiveLock);
	PushActiveSnapshot(GetLatestSnapshot());
	foreach(lc, bodies)
	{
		BodyToStore *body = (BodyToStore *) lfirst(lc);
		bool		differs;

		if (before != NULL && strcmp(body->hash, before) == 0)
			continue;
		before = body->hash;
		if (!is_stored(body_table, index, body, &differs))
			buffer_row(&buffer, body->tuple);
		else if (differs)
			replace_body(body, RelationGetDescr(body_table));
	}
	PopActiveSnapshot();
	index_close(index, NoLock);
	if (buffer.count > 0)
		mig_bulk_insert(RelationGetRelid(body_table), buffer.tuples,
						buffer.count);
	table_close(body_table, NoLock);
}

/* has a superuser put triggers, rules or constraints on the tables? */
static bool
needs_sql(MigJournalBatch *batch)
{
	uint64		generation = mig_tables_generation();

	/* the tables have not changed since it was asked */
	if (generation != 0 && generation == batch->generation)
		return batch->needs_sql;
	batch->needs_sql =
		mig_bulk_insert_needs_sql(mig_tables_relation("journal")) ||
		mig_bulk_insert_needs_sql(mig_tables_relation("applied")) ||
		mig_bulk_insert_needs_sql(mig_tables_relation("executed_text"));
	batch->generation = generation;
	return batch->needs_sql;
}

void
mig_journal_batch_flush(MigJournalBatch *batch)
{
	MigSqlScope scope;
	bool		sql;
	uint64		changes = mig_state_changes();

	if (batch->journal.count == 0 && batch->bodies == NIL)
		return;
	(void) mig_tables_owner();
	sql = batch->undone != NIL || needs_sql(batch);
	if (sql)
		mig_tables_open(&scope);

	/* for what goes into TOAST tables */
	PushActiveSnapshot(GetTransactionSnapshot());
	if (batch->journal.count > 0)
		mig_bulk_insert(mig_tables_relation("journal"), batch->journal.tuples,
						batch->journal.count);
	take_from_ledger(batch->project, batch->undone);
	if (batch->applied.count > 0)
		mig_bulk_insert(mig_tables_relation("applied"), batch->applied.tuples,
						batch->applied.count);
	mig_state_explain(changes);
	insert_bodies(batch->bodies);
	PopActiveSnapshot();
	if (sql)
		mig_tables_close(&scope);
	mig_journal_batch_discard(batch);
}

void
mig_journal_batch_discard(MigJournalBatch *batch)
{
	memset(&batch->journal, 0, sizeof(RowBuffer));
	memset(&batch->applied, 0, sizeof(RowBuffer));
	batch->undone = NIL;
	batch->bodies = NIL;
	batch->bytes = 0;
	MemoryContextReset(batch->rows);
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
	set_session_columns(values, nulls, GetTopFullTransactionIdIfAny());
	tuple = form_journal_tuple(&shape, row, values, nulls);
	return (bytea *) DatumGetPointer(heap_copy_tuple_as_datum(tuple,
															  shape.desc));
}

/*
 * Was the same failure journalled within the last so many seconds, and nothing
 * else of this migration since?
 */
static bool
failed_alike_before(Oid rowtype, bytea *packed, int quiet_seconds)
{
	Oid			types[2] = {rowtype, INT4OID};
	Datum		values[2] = {PointerGetDatum(packed),
	Int32GetDatum(quiet_seconds)};

	return quiet_seconds > 0 &&
		mig_sql_execute("SELECT FROM migrate.journal j"
						" WHERE j.project OPERATOR(pg_catalog.=) ($1).project"
						" AND j.version IS NOT DISTINCT FROM ($1).version"
						" AND j.action OPERATOR(pg_catalog.=) ($1).action"
						" AND j.outcome OPERATOR(pg_catalog.=) 'failure'"
						" AND j.sqlstate OPERATOR(pg_catalog.=) ($1).sqlstate"
						" AND j.message OPERATOR(pg_catalog.=) ($1).message"
						" AND j.body_hash IS NOT DISTINCT FROM ($1).body_hash"
						" AND j.body IS NOT DISTINCT FROM ($1).body"
						" AND j.statement IS NOT DISTINCT FROM ($1).statement"
						" AND j.role OPERATOR(pg_catalog.=) ($1).role"
						" AND NOT EXISTS (SELECT FROM migrate.journal k"
						"  WHERE k.run OPERATOR(pg_catalog.>) j.run"
						"  AND k.project OPERATOR(pg_catalog.=) j.project"
						"  AND k.version IS NOT DISTINCT FROM j.version)"
						" AND j.started_at OPERATOR(pg_catalog.>)"
						"  (($1).started_at OPERATOR(pg_catalog.-)"
						"   pg_catalog.make_interval(secs => $2))"
						" AND j.started_at OPERATOR(pg_catalog.<=) ($1).started_at"
						" LIMIT 1", 2, types, values, NULL) > 0;
}

bool
mig_journal_insert_packed(bytea *packed, const char *text, int quiet_seconds)
{
	MigSqlScope scope;
	Oid			types[2];
	Datum		values[2];
	bool		inserted = false;

	mig_tables_open(&scope);
	types[0] = get_rel_type_id(mig_tables_relation("journal"));
	types[1] = TEXTOID;
	values[0] = PointerGetDatum(packed);
	if (!failed_alike_before(types[0], packed, quiet_seconds))
	{
		mig_sql_execute("INSERT INTO migrate.journal SELECT ($1).*",
						1, types, values, NULL);
		if (text != NULL)
		{
			values[1] = CStringGetTextDatum(text);
			mig_sql_execute("UPDATE migrate.executed_text SET text = $2"
							" WHERE body_hash OPERATOR(pg_catalog.=) ($1).body_hash"
							" AND text OPERATOR(pg_catalog.<>) $2",
							2, types, values, NULL);
			mig_sql_execute("INSERT INTO migrate.executed_text (run, body_hash, text)"
							" SELECT ($1).run, ($1).body_hash, $2"
							" WHERE ($1).body_hash IS NOT NULL AND NOT EXISTS ("
							" SELECT FROM migrate.executed_text x"
							" WHERE x.body_hash OPERATOR(pg_catalog.=) ($1).body_hash)",
							2, types, values, NULL);
		}
		inserted = true;
	}
	mig_tables_close(&scope);
	return inserted;
}

/*
 * The texts that no row refers to any more go as well.  Who records a failure
 * does not hold the runner lock; so that it cannot find a text that is about
 * to go, and leave it at that, it waits for the lock on migrate.executed_text.
 */
int64
mig_journal_prune(const char *project, Datum older_than)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, INTERVALOID};
	Datum		values[2] = {CStringGetTextDatum(project), older_than};
	int64		count;

	mig_tables_open(&scope);
	mig_sql_execute("LOCK TABLE migrate.executed_text IN SHARE ROW EXCLUSIVE MODE", 0,
					NULL,
					NULL, NULL);
	count = mig_sql_execute("DELETE FROM migrate.journal j"
							" WHERE j.project OPERATOR(pg_catalog.=) $1"
							" AND j.outcome OPERATOR(pg_catalog.=) 'failure'"
							" AND j.started_at OPERATOR(pg_catalog.<)"
							"  (pg_catalog.now() OPERATOR(pg_catalog.-) $2)"
	/* what is not over yet, and what stands half-way */
							" AND NOT EXISTS (SELECT FROM migrate.run r"
							"  WHERE r.run OPERATOR(pg_catalog.=) j.run"
							"  AND r.outcome IS NULL)"
							" AND NOT EXISTS (SELECT FROM migrate.step s"
							"  WHERE s.project OPERATOR(pg_catalog.=) j.project"
							"  AND s.version OPERATOR(pg_catalog.=) j.version)",
							2, types, values, NULL);
	count += mig_sql_execute("UPDATE migrate.journal j SET statements = NULL"
							 " WHERE j.project OPERATOR(pg_catalog.=) $1"
							 " AND j.statements IS NOT NULL"
							 " AND j.started_at OPERATOR(pg_catalog.<)"
							 "  (pg_catalog.now() OPERATOR(pg_catalog.-) $2)",
							 2, types, values, NULL);
	mig_sql_execute("DELETE FROM migrate.executed_text b WHERE NOT EXISTS ("
					" SELECT FROM migrate.journal j"
					" WHERE j.body_hash OPERATOR(pg_catalog.=) b.body_hash)"
					" AND NOT EXISTS ("
					" SELECT FROM migrate.journal j"
					" WHERE j.verify_hash OPERATOR(pg_catalog.=) b.body_hash)",
					0, NULL, NULL, NULL);
	mig_tables_close(&scope);
	return count;
}
