/*-------------------------------------------------------------------------
 *
 * background.c
 *	  Runs in a background worker: start, wait, cancel.
 *
 * The worker is registered as the caller's transaction commits
 * (run/background_launch.c), and waits for it to end.  Only if it has
 * committed does it go on; the row of migrate.run, which came with it, says
 * what to do.  So nothing runs for a caller who rolls back.
 *
 * The worker connects as the caller's current role, and not as the role that
 * has logged in: what a body could reach with RESET ROLE is then no more than
 * that.  It runs a CALL of apply_each() as a client would.
 *
 * A run is canceled by its row as long as its session has not begun, and by a
 * signal then.  The signal goes to the process which the lock manager says is
 * at that run, see mig_run_lock_mark_run(); what a table says is not asked.
 *
 * A session that waits holds no snapshot, since a concurrent index build of the run waits
 * for every snapshot that is older.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/pause.h"
#include "base/subxact.h"
#include "exec/failure_record.h"
#include "exec/toplevel.h"
#include "ledger/journal.h"
#include "ledger/policy.h"
#include "ledger/project_names.h"
#include "ledger/run.h"
#include "ledger/tables.h"
#include "plan/preflight.h"
#include "plan/run_lock.h"
#include "run/background.h"
#include "run/background_launch.h"
#include "source/body.h"

#define POLL_INTERVAL_MS 100

/* for how long, and how often, cancel() looks for the process of a run */
#define CANCEL_WAIT_MS 2000
#define CANCEL_POLL_MS 10

/* the settings of the caller that go along */
static const char *const settings_to_pass[] = {
	"migrate.failure_quiet", "migrate.lock_retries", "migrate.lock_timeout",
	"migrate.notify", "migrate.timeout", "migrate.trust_authors",
	"migrate.wait_timeout"
};

static int64 my_run = 0;

int64
mig_background_run(void)
{
	return my_run;
}


/*
 * Start
 */

static void
check_role(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	Form_pg_authid form;
	bool		can_login;
	int			limit;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for role %u", role);
	form = (Form_pg_authid) GETSTRUCT(tuple);
	can_login = form->rolcanlogin || !MIG_BGWORKER_NEEDS_LOGIN;
	limit = form->rolsuper ? -1 : form->rolconnlimit;
	ReleaseSysCache(tuple);

	if (!can_login)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("role \"%s\" cannot run migrations in the background because it may not log in",
						mig_user_name(role)),
				 errhint("ALTER ROLE %s LOGIN, or use CALL migrate.apply_each().",
						 quote_identifier(GetUserNameFromId(role, false)))));
	if (limit >= 0 && CountUserBackends(role) > limit)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
				 errmsg("too many connections for role \"%s\"",
						mig_user_name(role)),
				 errdetail("Its connection limit is %d.", limit),
				 errhint("Raise the limit of the role, or use CALL migrate.apply_each() in the connection that there is.")));
}

static void
check_database(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID,
										ObjectIdGetDatum(MyDatabaseId));
	int			limit;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
	limit = ((Form_pg_database) GETSTRUCT(tuple))->datconnlimit;
	ReleaseSysCache(tuple);
	if (limit >= 0 && !superuser() && CountDBConnections(MyDatabaseId) > limit)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
				 errmsg("too many connections for this database"),
				 errdetail("Its connection limit is %d.", limit),
				 errhint("Raise the limit of the database, or use CALL migrate.apply_each() in the connection that there is.")));
}

static List *
current_settings(void)
{
	List	   *settings = NIL;
	int			i;

	for (i = 0; i < lengthof(settings_to_pass); i++)
	{
		const char *name = settings_to_pass[i];

		settings = lappend(settings,
						   psprintf("%s=%s", name,
									GetConfigOptionByName(name, NULL, false)));
	}
	return settings;
}

int64
mig_background_start(const MigRunOptions *options)
{
	MigRunRow	row;

	mig_run_lock_refuse_recursion();
	mig_preflight_transaction("start a run");
	mig_preflight_policy(options->project, mig_policy_read(options->project));
	check_role(GetUserId());
	check_database();
	mig_background_launch_check();
	mig_project_names_warn_if_empty(options->project);
	mig_plan_run_check_choice(options);

	memset(&row, 0, sizeof(row));
	row.run = mig_journal_next_run();
	row.project = unconstify(char *, options->project);
	row.action = "apply";
	row.background = true;
	row.target = unconstify(char *, options->target);
	row.restricted = options->restricted;
	row.versions = options->versions;
	row.note = unconstify(char *, options->note);
	row.settings = current_settings();
	row.backend_pid = MyProcPid;	/* until it has a worker */
	mig_run_insert(&row);
	mig_background_launch_at_commit(row.run);
	return row.run;
}


/*
 * Wait
 */

static void
refuse_unknown_run(int64 run)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("run " INT64_FORMAT " does not exist", run),
			 errhint("Only runs of apply_each(), rollback_each() and start() can be waited for or canceled, and migrate.run has them all; one that was started is there when its transaction has committed.")));
}

void
mig_background_refuse_own(int64 run)
{
	MigRunRow  *row = mig_run_read(run);

	if (row != NULL && TransactionIdIsCurrentTransactionId(row->xmin))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot wait for run " INT64_FORMAT " in the transaction that has started it",
						run),
				 errdetail("It begins when this transaction is committed."),
				 errhint("Commit first.")));
}

/* the text of the body that failed, if the caller may read it */
static char *
readable_body(MigSqlScope *scope, int64 run)
{
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(run)};

	if (pg_class_aclcheck(mig_tables_relation("executed_text"), GetUserId(),
						  ACL_SELECT) != ACLCHECK_OK ||
		pg_class_aclcheck(mig_tables_relation("journal"), GetUserId(),
						  ACL_SELECT) != ACLCHECK_OK)
		return NULL;
	if (mig_sql_execute("SELECT b.text FROM migrate.journal j JOIN migrate.executed_text b"
						" ON b.body_hash OPERATOR(pg_catalog.=) j.body_hash"
						" WHERE j.run OPERATOR(pg_catalog.=) $1"
						" AND j.outcome OPERATOR(pg_catalog.=) 'failure'"
						" ORDER BY j.seq DESC LIMIT 1", 1, types, values,
						NULL) == 0)
		return NULL;
	return mig_sql_get_text(scope, 0, 1);
}

/* what the journal has of the error of a run, as far as the caller may see */
typedef struct RunError
{
	char	   *sqlstate;
	char	   *message;
	char	   *detail;
	char	   *hint;
	char	   *context;
	int			position;		/* in query; 0: unknown */
	char	   *query;
} RunError;

/*
 * Point the error at the statement, position being one in the body, and line
 * that of the file on which the statement begins.
 */
static void
locate_in_body(RunError *error, const char *text, int statement_number,
			   int line,
			   int position)
{
	MigLabel	label = {0};
	MigBody    *body;
	MigPlace	place;

	/* it has been run: no way to write it is to be refused here */
	label.version = "";
	label.transactional = MIG_TX_OFF;
	label.of_tool = true;
	label.secret = true;
	body = mig_body_parse(text, &label);
	if (statement_number < 1 || statement_number > body->nstatements ||
		position > pg_mbstrlen(text))
		return;
	mig_body_statement_place(&place, &label, body, statement_number - 1);
	place.at = mig_error_byte_offset(body->text, position);
	if (place.at < place.from || place.at > place.to)
		return;
	if (line > body->statements[statement_number - 1].line &&
		line < PG_INT32_MAX / 2)
		place.first_line += line - body->statements[statement_number - 1].line;
	error->query = mig_error_place_query(&place, &error->position);
}

/*
 * What the journal has of the error of a run, as far as the caller may read
 * it; false if it has none.
 */
static bool
read_error(int64 run, RunError *error)
{
	MigSqlScope scope;
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(run)};
	bool		found;
	int			statement = 0;
	int			line = 0;
	int			position = 0;
	char	   *text = NULL;

	memset(error, 0, sizeof(RunError));

	/* as the caller: the view hides what he may not read */
	mig_sql_begin(&scope, GetUserId());
	found =
		mig_sql_execute("SELECT f.sqlstate, f.message, f.detail, f.hint, f.context,"
						" f.\"position\", f.statement, f.line"
						" FROM migrate.failures f"
						" WHERE f.run OPERATOR(pg_catalog.=) $1"
						" ORDER BY f.seq DESC LIMIT 1", 1, types, values, NULL) >
		0;
	if (found)
	{
		error->sqlstate = mig_sql_get_text(&scope, 0, 1);
		error->message = mig_sql_get_text(&scope, 0, 2);
		error->detail = mig_sql_get_text(&scope, 0, 3);
		error->hint = mig_sql_get_text(&scope, 0, 4);
		error->context = mig_sql_get_text(&scope, 0, 5);
		position = mig_sql_get_int4(0, 6);
		statement = mig_sql_get_int4(0, 7);
		line = mig_sql_get_int4(0, 8);
		text = readable_body(&scope, run);
	}
	mig_sql_end(&scope);
	if (position > 0 && text != NULL)
		locate_in_body(error, text, statement, line, position);
	return found;
}

static void
raise_error_of(int64 run)
{
	RunError	error;
	const char *s;

	if (!read_error(run, &error) || !mig_error_is_code(error.sqlstate))
		ereport(ERROR,
				(errcode(MIG_ERRCODE_RUN_FAILED),
				 errmsg("run " INT64_FORMAT " has failed", run),
				 errhint("The server log says why.")));
	s = error.sqlstate;
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4])),
			 errmsg_internal("%s", error.message ? error.message :
							 "missing error text"),
			 error.detail ? errdetail_internal("%s", error.detail) : 0,
			 error.hint ? errhint("%s", error.hint) : 0,
			 error.query ? internalerrposition(error.position) : 0,
			 error.query ? internalerrquery(error.query) : 0,
			 error.context ? errcontext_msg("%s", error.context) : 0,
			 errcontext("run " INT64_FORMAT, run)));
}

/* the outcome, or NULL while the run goes on */
static const char *
look_at_run(int64 run)
{
	MigRunRow  *row = mig_run_read(run);

	if (row == NULL)
		refuse_unknown_run(run);
	if (row->outcome != NULL)
		return row->outcome;
	return row->alive ? NULL : MIG_RUN_INTERRUPTED;
}

/* between two looks there is no transaction, so no snapshot and no lock */
static void
pause_without_transaction(MemoryContext context)
{
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 POLL_INTERVAL_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	mig_transaction_start();
	MemoryContextSwitchTo(context);
}

const char *
mig_background_wait(int64 run, double timeout_ms)
{
	MemoryContext context = CurrentMemoryContext;
	TimestampTz start = GetCurrentTimestamp();
	const char *outcome;

	for (;;)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		outcome = look_at_run(run);
		if (outcome != NULL)
			break;
		PopActiveSnapshot();
		if (timeout_ms >= 0 &&
			(GetCurrentTimestamp() - start) / 1000.0 >= timeout_ms)
			ereport(ERROR,
					(errcode(MIG_ERRCODE_STILL_RUNNING),
					 errmsg("run " INT64_FORMAT " has not ended yet", run),
					 errdetail("Waited for %.0f ms.", timeout_ms),
					 errhint("It goes on: wait again, look with migrate.progress(), or end it with migrate.cancel(" INT64_FORMAT ").",
							 run)));
		pause_without_transaction(context);
	}
	if (strcmp(outcome, MIG_RUN_INTERRUPTED) == 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_INTERRUPTED),
				 errmsg("the session of run " INT64_FORMAT " ended before the run did",
						run),
				 errhint("The next run goes on where this one was cut off; the server log says what became of the session.")));
	if (strcmp(outcome, MIG_RUN_FAILURE) == 0)
		raise_error_of(run);
	PopActiveSnapshot();
	return outcome;
}


/*
 * Cancel
 */

/*
 * Record a failure of which no call of apply_each() is there to tell.  False if
 * the run has ended, or has begun and unstarted says that it must not have.
 */
static bool
close_run(const MigRunRow *row, bool unstarted, const MigFailure *failure)
{
	MigJournalRow journal;
	int			n = mig_run_close(row->run, unstarted);

	if (n == 0)
		return false;
	mig_journal_event(&journal, row->run, row->project, row->action,
					  row->note);
	journal.seq = n;
	journal.failure = failure;
	(void) mig_failure_record_insert_here(&journal, NULL, true);
	return true;
}

static void
check_may_cancel(const MigRunRow *row)
{
	Oid			role = get_role_oid(row->role, true);

	if ((OidIsValid(role) && has_privs_of_role(GetUserId(), role)) ||
		has_privs_of_role(GetUserId(), ROLE_PG_DATABASE_OWNER))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to cancel run " INT64_FORMAT, row->run),
			 errdetail("Only role \"%s\", which runs it, and the owner of the database may cancel it.",
					   row->role)));
}

/* one look: true if it is canceled now */
static bool
cancel_now(const MigRunRow *row)
{
	MigFailure	failure;
	int			pid;

	if (row->background && !row->started)
	{
		memset(&failure, 0, sizeof(failure));
		failure.sqlstate = "57014";
		failure.message = "the run was canceled before it had begun";
		return close_run(row, true, &failure);
	}
	pid = mig_run_lock_run_holder(row->run);
	if (pid == 0)
		return false;
	if (kill(pid, SIGINT) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not send a signal to process %d: %m", pid)));
	return true;
}

/*
 * After an error of a migration that is to be tried again its session has no
 * locks for a moment, so it is looked for more than once.
 */
bool
mig_background_cancel(int64 run)
{
	TimestampTz start = GetCurrentTimestamp();

	for (;;)
	{
		MigRunRow  *row;

		pgstat_clear_backend_activity_snapshot();
		row = mig_run_read(run);
		if (row == NULL)
			refuse_unknown_run(run);
		check_may_cancel(row);
		if (row->outcome != NULL)
			return false;
		if (cancel_now(row))
			return true;
		if (!row->alive ||
			TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
									   CANCEL_WAIT_MS))
			return false;
		mig_pause(CANCEL_POLL_MS);
	}
}


/*
 * The worker
 */

static void
apply_settings(List *settings)
{
	ListCell   *lc;

	foreach(lc, settings)
	{
		char	   *name = pstrdup((char *) lfirst(lc));
		char	   *value = strchr(name, '=');

		if (value == NULL)
			continue;
		*value++ = '\0';

		/* migrate.trust_authors is not for all to set, nor of use to them */
		(void) set_config_option(name, value,
								 superuser() ? PGC_SUSET : PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SET, true, DEBUG1,
								 false);
	}
}

static void
append_call_argument(StringInfo sql, const char *name, const char *value,
					 const char *type)
{
	appendStringInfo(sql, "%s%s => %s::pg_catalog.%s",
					 sql->data[sql->len - 1] == '(' ? "" : ", ", name,
					 value ? quote_literal_cstr(value) : "NULL", type);
}

static char *
call_of(const MigRunRow *row)
{
	StringInfoData sql;
	StringInfoData versions;
	ListCell   *lc;

	initStringInfo(&sql);
	initStringInfo(&versions);
	appendStringInfoString(&sql, "CALL migrate.apply_each(");
	append_call_argument(&sql, "target", row->target, "text");
	append_call_argument(&sql, "note", row->note, "text");
	append_call_argument(&sql, "project", row->project, "text");
	if (row->restricted)
	{
		foreach(lc, row->versions)
			appendStringInfo(&versions, "%s%s", versions.len > 0 ? ", " : "",
							 quote_literal_cstr((char *) lfirst(lc)));
		appendStringInfo(&sql, ", versions => ARRAY[%s]::pg_catalog.text[]",
						 versions.data);
	}
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* true when the transaction that has asked for the run is committed */
static bool
wait_for_starter(const MigRunRequest *request)
{
	bool		committed;

	mig_transaction_start();
	XactLockTableWait(request->xid, NULL, NULL, XLTW_None);
	committed = TransactionIdDidCommit(request->xid);
	CommitTransactionCommand();
	return committed;
}

/* a run on its way through the worker */
typedef struct Work
{
	int64		run;
	MemoryContext context;		/* until the worker ends */
	MigRunRow  *row;
	char	   *sql;			/* NULL: there is nothing to do */
	const MigFailure *failure;
} Work;

/* from here on it can be canceled by a signal */
static void
begin_run_in_worker(void *arg)
{
	Work	   *work = (Work *) arg;

	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(work->context);
	mig_run_lock_mark_run(work->run);
	work->row = mig_run_read(work->run);
	if (work->row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("run " INT64_FORMAT " does not exist", work->run),
				 errdetail("Its row was deleted from migrate.run before its background worker had begun.")));
	if (mig_run_start(work->run))
	{
		apply_settings(work->row->settings);
		work->sql = call_of(work->row);
	}
	PopActiveSnapshot();
}

static void
run_in_worker(void *arg)
{
	Work	   *work = (Work *) arg;

	debug_query_string = work->sql;
	pgstat_report_activity(STATE_RUNNING, work->sql);
	MemoryContextSwitchTo(work->context);
	(void) mig_toplevel_run(work->sql);
}

/* of an error that apply_each() has recorded there is nothing more to say */
static void
record_error(void *arg)
{
	Work	   *work = (Work *) arg;

	PushActiveSnapshot(GetTransactionSnapshot());
	(void) close_run(work->row, false, work->failure);
	PopActiveSnapshot();
}

/*
 * Every error ends the run, wherever it comes from, so that a session that waits
 * for it learns of it.
 */
static void
raise_in_worker(Work *work, ErrorData *edata)
{
	MigFailure	failure;
	ErrorData  *second = NULL;

	memset(&failure, 0, sizeof(failure));
	mig_failure_record_from_error(&failure, edata);
	work->failure = &failure;
	if (work->row != NULL)
		second = mig_transaction_insist(record_error, work);
	if (second != NULL)
		ereport(WARNING,
				(errcode(second->sqlerrcode),
				 errmsg("could not record the failure in migrate.journal: %s",
						second->message)));
	ReThrowError(edata);
}

void
mig_background_main(void)
{
	MigRunRequest request;
	Work		work;
	ErrorData  *edata;

	memcpy(&request, MyBgworkerEntry->bgw_extra, sizeof(request));
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, StatementCancelHandler);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(request.database, request.role,
											  MIG_RUN_WORKER_FLAGS);

	/* the caller's transaction is like that, whatever its role's settings are */
	SetConfigOption("default_transaction_read_only", "off", PGC_USERSET,
					PGC_S_SESSION);
	SetConfigOption("default_transaction_isolation", "read committed",
					PGC_USERSET, PGC_S_SESSION);
	pgstat_report_activity(STATE_RUNNING, "waiting for the transaction that has asked for migrations");
	if (!wait_for_starter(&request))
		return;
	memset(&work, 0, sizeof(work));
	work.run = my_run = request.run;
	work.context = AllocSetContextCreate(TopMemoryContext, "migrate worker",
										 ALLOCSET_DEFAULT_SIZES);
	SetConfigOption("application_name", MyBgworkerEntry->bgw_name,
					PGC_USERSET, PGC_S_SESSION);
	mig_transaction_start();
	MemoryContextSwitchTo(work.context);
	edata = mig_transaction_run(begin_run_in_worker, &work);
	if (edata == NULL && work.sql != NULL)
		edata = mig_transaction_run(run_in_worker, &work);
	if (edata != NULL)
		raise_in_worker(&work, edata);
	CommitTransactionCommand();
	pgstat_report_activity(STATE_IDLE, NULL);
}
