/*-------------------------------------------------------------------------
 *
 * deferred.c
 *	  What a transaction has put off to its end: deferred triggers, and the
 *	  checks of constraints that they are.
 *
 * Where migrations share a transaction, each is to be followed by what the end
 * of its own would do.  SET CONSTRAINTS ALL IMMEDIATE fires all events, also
 * those of constraints that cannot be named: whose schema the caller may not
 * use, or whose name another one bears.  But it then holds for the rest of the
 * transaction, for constraints too that later migrations make, as does any SET
 * CONSTRAINTS of the body.  Only the end of a subtransaction that is rolled back
 * undoes that.  So this part of such an end is had alone: it puts the state of
 * constraints back to what it was when the subtransaction began, and shortens
 * the list of events to what it was then.  Nothing is lost with that, since
 * there is none among them that has not been fired.  Events that are older than
 * the subtransaction would be fired again, though, so they have to be fired
 * before it begins.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lock.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/subxact.h"
#include "exec/deferrable.h"
#include "exec/deferred.h"
#include "exec/lock_wait.h"
#include "ledger/tables.h"
#include "plan/run_lock.h"

/* is there an event of this table?  Only a transaction that has written to it has any. */
static bool
has_events(Oid relation)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relation);
	return MIG_LOCK_HELD_BY_ME(&tag, RowExclusiveLock) &&
		AfterTriggerPendingOnRel(relation);
}

/* has the transaction put anything off? */
static bool
has_put_off(void)
{
	List	   *tables = mig_deferrable_locked_tables();
	ListCell   *lc;
	bool		result = false;

	foreach(lc, tables)
	{
		result = has_events(lfirst_oid(lc));
		if (result)
			break;
	}
	list_free(tables);
	return result;
}

void
mig_deferred_fire(void)
{
	ConstraintsSetStmt *all_immediate = makeNode(ConstraintsSetStmt);

	Assert(IsSubTransaction());

	/* a trigger may put off something else, and say that it is deferred */
	do
	{
		CHECK_FOR_INTERRUPTS();
		AfterTriggerSetState(all_immediate);
		mig_lock_wait_check();
	} while (has_put_off());
	AfterTriggerEndSubXact(false);
	pfree(all_immediate);
}


/*
 * Events of the caller
 */

static void
set_constraints(List *constraints, bool deferred)
{
	ConstraintsSetStmt *stmt = makeNode(ConstraintsSetStmt);

	stmt->deferred = deferred;
	stmt->constraints = constraints;
	if (constraints != NIL)
		AfterTriggerSetState(stmt);
}

/*
 * SET CONSTRAINTS knows constraints by schema and name.  It refuses to defer
 * those of a name that one bears which cannot be deferred, and all that is in a
 * schema which the caller may not use.
 */
static void
find_constraints(List **all, List **deferred)
{
	MigSqlScope scope;
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(GetUserId())};
	uint64		nrows;
	uint64		i;

	mig_tables_open(&scope);
	nrows = mig_sql_execute("SELECT n.nspname::pg_catalog.text,"
							" c.conname::pg_catalog.text,"
							" pg_catalog.bool_or(c.condeferred)"
							" AND pg_catalog.bool_and(c.condeferrable)"
							" FROM pg_catalog.pg_constraint c"
							" JOIN pg_catalog.pg_namespace n"
							"  ON n.oid OPERATOR(pg_catalog.=) c.connamespace"
							" WHERE NOT pg_catalog.pg_is_other_temp_schema(n.oid)"
							" AND pg_catalog.has_schema_privilege($1, n.oid, 'USAGE')"
							" AND c.conparentid OPERATOR(pg_catalog.=) 0"
							" GROUP BY 1, 2 HAVING pg_catalog.bool_or(c.condeferrable)",
							1, types, values, NULL);
	for (i = 0; i < nrows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(scope.outer);
		RangeVar   *name = makeRangeVar(mig_sql_get_text(&scope, i, 1),
										mig_sql_get_text(&scope, i, 2), -1);

		MemoryContextSwitchTo(old);
		*all = mig_sql_append(&scope, *all, name);
		if (mig_sql_get_bool(i, 3))
			*deferred = mig_sql_append(&scope, *deferred, name);
	}
	mig_tables_close(&scope);
}

static void
callers_context_callback(void *arg)
{
	errcontext("deferred constraints of the transaction before the run");
}

/* and have those deferred again that are initially */
static void
fire_callers(void *arg)
{
	ErrorContextCallback callback = {error_context_stack, callers_context_callback, NULL};
	List	   *all = NIL;
	List	   *deferred = NIL;

	find_constraints(&all, &deferred);
	error_context_stack = &callback;
	set_constraints(all, false);
	error_context_stack = callback.previous;
	set_constraints(deferred, true);
}

/*
 * The constraints are named one by one, because those that the run or the caller
 * makes later are to be what they are by themselves.  One that the caller has
 * deferred by SET CONSTRAINTS, though it is initially immediate, ends up
 * immediate: the server does not tell.
 */
void
mig_deferred_fire_callers(void)
{
	ErrorData  *edata;

	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()) || !has_put_off())
		return;
	mig_run_lock_bodies_begin();
	edata = mig_subxact_run(fire_callers, NULL, true);
	mig_run_lock_bodies_end();
	if (edata != NULL)
		ReThrowError(edata);

	/* the run would fire it, and the commit again */
	if (has_put_off())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot run migrations in this transaction"),
				 errdetail("It has put off triggers that cannot be fired now: their constraints are in schemas that the current role may not use, or put off others again."),
				 errhint("Commit first.")));
}
