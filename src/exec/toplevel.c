/*-------------------------------------------------------------------------
 *
 * toplevel.c
 *	  Running a statement as a command of its own, at top level.
 *
 * CREATE INDEX CONCURRENTLY and its like commit in the middle, so they run
 * neither in a function nor through SPI.  But a procedure that is called at
 * top level may do what the server's own main loop does: give the statement a
 * portal and run that.  It must be a portal and not a bare call of
 * ProcessUtility(), because the portal knows which snapshot each command
 * wants.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/printable.h"
#include "exec/toplevel.h"
#include "plan/run_lock.h"

static List *
plan_statement(RawStmt *raw, const char *sql)
{
	bool		snapshot = analyze_requires_snapshot(raw);
	List	   *plans;

	if (snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	plans = pg_plan_queries(pg_analyze_and_rewrite_fixedparams(raw, sql, NULL,
															   0, NULL),
							sql, CURSOR_OPT_PARALLEL_OK, NULL);
	if (snapshot)
		PopActiveSnapshot();
	return plans;
}

uint64
mig_toplevel_run(const char *sql)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *trees = raw_parser(sql, RAW_PARSE_DEFAULT);
	RawStmt    *raw = linitial_node(RawStmt, trees);
	List	   *plans;
	Portal		portal;
	QueryCompletion completion;

	Assert(IsTransactionState());
	Assert(list_length(trees) == 1);
	plans = plan_statement(raw, sql);
	portal = CreateNewPortal();
	portal->visible = false;
	PortalDefineQuery(portal, NULL, sql, CreateCommandTag(raw->stmt), plans,
					  NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	InitializeQueryCompletion(&completion);
	(void) MIG_PORTAL_RUN(portal, FETCH_ALL, None_Receiver, &completion);
	PortalDrop(portal, false);
	MemoryContextSwitchTo(context);
	return completion.nprocessed;
}

/* a block that the server has opened for several messages, not for a BEGIN */
static bool
in_implicit_block(void)
{
	bool		implicit;

	if (!IsTransactionBlock())
		return false;
	EndImplicitTransactionBlock();
	implicit = !IsTransactionBlock();
	if (implicit)
		BeginImplicitTransactionBlock();
	return implicit;
}

static const char *
why_not_at_top_level(Node *context)
{
	if (in_implicit_block())
		return "It is one of several statements that were sent together, in one string or as a pipeline.";
	if (IsTransactionBlock())
		return "A transaction block is open.";
	if (context == NULL || !IsA(context, CallContext) ||
		castNode(CallContext, context)->atomic)
		return "It is called by a function, by a procedure with a SET clause, or in a block with an EXCEPTION clause.";
	if (SPI_inside_nonatomic_context())
		return "It is called by another procedure or by DO.";
	return NULL;
}

void
mig_toplevel_require(Node *context, const char *procedure)
{
	const char *why;

	/* a body may be able to, but must not: and it must not even commit */
	mig_run_lock_refuse_recursion();
	why = why_not_at_top_level(context);
	if (why == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
			 errmsg("%s must be called at top level, outside of a transaction block",
					procedure),
			 errdetail("%s", why),
			 errhint("Send CALL %s as a statement of its own with autocommit on: in psycopg connection.autocommit = True, in SQLAlchemy isolation_level=\"AUTOCOMMIT\", in Django outside of atomic(), in JDBC setAutoCommit(true), in node-postgres without BEGIN, in psql without -1 and BEGIN.  Inside a transaction use migrate.apply() or migrate.rollback().",
					 procedure)));
}
