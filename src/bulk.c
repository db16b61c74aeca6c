/*-------------------------------------------------------------------------
 *
 * bulk.c
 *	  Inserting many rows into one table.
 *
 * What COPY does for a plain table, without its input: rows go into the heap
 * many at a time, then into each index.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"

#include "bulk.h"
#include "compat.h"

/* rows that go into the heap together */
#define ROWS_AT_ONCE 100

static void
insert_some(ResultRelInfo *target, EState *estate, TupleTableSlot **slots,
			HeapTuple *tuples, int count)
{
	int			i;

	for (i = 0; i < count; i++)
		ExecStoreHeapTuple(tuples[i], slots[i], false);
	table_multi_insert(target->ri_RelationDesc, slots, count,
					   GetCurrentCommandId(true), 0, NULL);
	for (i = 0; i < count; i++)
	{
		MIG_EXEC_INSERT_INDEX_TUPLES(target, slots[i], estate);
		ResetPerTupleExprContext(estate);
	}
}

void
mig_bulk_insert(Oid relation, HeapTuple *tuples, int count)
{
	Relation	rel = table_open(relation, RowExclusiveLock);
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *target = makeNode(ResultRelInfo);
	TupleTableSlot *slots[ROWS_AT_ONCE];
	int			nslots = Min(count, ROWS_AT_ONCE);
	int			done;
	int			i;

	InitResultRelInfo(target, rel, 0, NULL, 0);
	ExecOpenIndices(target, false);
	for (i = 0; i < nslots; i++)
		slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(rel),
											&TTSOpsHeapTuple);
	for (done = 0; done < count; done += nslots)
		insert_some(target, estate, slots, tuples + done,
					Min(nslots, count - done));
	for (i = 0; i < nslots; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	ExecCloseIndices(target);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}
