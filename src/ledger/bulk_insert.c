/*-------------------------------------------------------------------------
 *
 * bulk_insert.c
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
#include "catalog/pg_trigger.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/sql.h"
#include "ledger/bulk_insert.h"

/* rows that go into the heap together */
#define ROWS_AT_ONCE 100

/* ours are about what others insert: rows of ours have nothing to fear of them */
static bool
is_own_trigger(const Trigger *trigger)
{
	return strcmp(trigger->tgname, "gate") == 0 ||
		strncmp(trigger->tgname, "gate_", strlen("gate_")) == 0;
}

/*
 * A superuser may have put a trigger on one of the tables, to audit the books
 * for example; then the server's own INSERT has to do it.
 */
static bool
has_insert_trigger(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;
	int			i;

	for (i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (TRIGGER_FOR_INSERT(trigger->tgtype) && !is_own_trigger(trigger))
			return true;
	}
	return false;
}

/*
 * The extension's own CHECK constraints are for what others insert, a restore
 * for example; our rows meet them by construction, and evaluating them would
 * cost more than inserting.  Any other CHECK was added by the user and must be
 * evaluated.
 */
static bool
is_own_check(const char *table, const char *check)
{
	static const char *const own[] = {
		"applied_line_check", "applied_number_check", "applied_origin_check",
		"applied_version_check",
		"executed_text_hash_check",
		"journal_failure_check", "journal_line_check",
		"journal_number_check", "journal_outcome_check", "journal_place_check",
		"journal_statements_check", "journal_version_check"
	};
	int			i;

	for (i = 0; i < lengthof(own); i++)
	{
		if (strcmp(check, own[i]) == 0)
			return strncmp(check, table, strlen(table)) == 0;
	}
	return false;
}

static bool
has_foreign_check(Relation rel)
{
	TupleConstr *constr = rel->rd_att->constr;
	int			i;

	for (i = 0; constr != NULL && i < constr->num_check; i++)
	{
		if (!is_own_check(RelationGetRelationName(rel),
						  constr->check[i].ccname))
			return true;
	}
	return false;
}

static void
insert_by_statement(Relation rel, HeapTuple *tuples, int count)
{
	char	   *sql = psprintf("INSERT INTO %s SELECT ($1).*",
							   quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
														  RelationGetRelationName(rel)));
	Oid			types[1] = {rel->rd_rel->reltype};
	int			i;

	for (i = 0; i < count; i++)
	{
		Datum		values[1] = {heap_copy_tuple_as_datum(tuples[i],
														  RelationGetDescr(rel))};

		mig_sql_execute(sql, 1, types, values, NULL);
	}
}

static void
insert_some(ResultRelInfo *target, EState *estate, TupleTableSlot **slots,
			HeapTuple *tuples, int count)
{
	bool		check = has_foreign_check(target->ri_RelationDesc);
	int			i;

#ifdef USE_ASSERT_CHECKING
	check = true;				/* it is so by construction, or is it? */
#endif

	for (i = 0; i < count; i++)
	{
		ExecStoreHeapTuple(tuples[i], slots[i], false);
		if (check)
			ExecConstraints(target, slots[i], estate);
	}
	table_multi_insert(target->ri_RelationDesc, slots, count,
					   GetCurrentCommandId(true), 0, NULL);
	for (i = 0; i < count; i++)
	{
		MIG_EXEC_INSERT_INDEX_TUPLES(target, slots[i], estate);
		ResetPerTupleExprContext(estate);
	}
}

static void
insert_by_executor(Relation rel, HeapTuple *tuples, int count)
{
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
}

bool
mig_bulk_insert_needs_sql(Oid relation)
{
	Relation	rel = table_open(relation, RowExclusiveLock);
	bool		result = has_insert_trigger(rel) || has_foreign_check(rel) ||
		rel->rd_rules != NULL;

	table_close(rel, NoLock);
	return result;
}

void
mig_bulk_insert(Oid relation, HeapTuple *tuples, int count)
{
	Relation	rel = table_open(relation, RowExclusiveLock);

	Assert(OidIsValid(relation));
	Assert(count > 0);
	if (has_insert_trigger(rel))
		insert_by_statement(rel, tuples, count);
	else
		insert_by_executor(rel, tuples, count);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}
