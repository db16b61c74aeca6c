/*-------------------------------------------------------------------------
 *
 * status.c
 *	  What is applied, what is pending, what a run would do.
 *
 * Takes no lock and writes nothing, so all of it works on a standby.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "admin/status.h"
#include "base/errors.h"
#include "base/subxact.h"
#include "exec/execute.h"
#include "exec/lock_wait.h"
#include "exec/timeout.h"
#include "ledger/applied.h"
#include "ledger/migration.h"
#include "ledger/policy.h"
#include "ledger/project_names.h"
#include "plan/plan.h"
#include "plan/project.h"
#include "plan/plan_run.h"
#include "plan/preflight.h"
#include "plan/run_lock.h"
#include "source/trial_parse.h"

const char *
mig_status_state(const MigEntry *entry)
{
	if (entry->partial)
		return "partial";
	if (entry->applied)
	{
		if (!entry->stored)
			return "missing";
		if (entry->kind == MIG_VERSIONED)
			return entry->up_changed || entry->down_changed ?
				"changed" : "applied";
		if (!entry->up_changed)
			return "applied";
	}
	if (entry->held_reason != NULL)
		return "held";
	return entry->error != NULL ? "failed" : "pending";
}

/* warn unless the caller knows that the project has no migrations */
static MigProject *
warn_if_empty(MigProject *project)
{
	if (project->count == 0)
		mig_project_names_tell_empty(project->name, WARNING);
	return project;
}

/* with the version that is the target, unless that is NULL */
static MigProject *
read_up_to(const char *name, const char *target, bool details)
{
	return mig_project_read(name, target == NULL ? NIL :
							list_make1(unconstify(char *, target)),
							details, true);
}

/*
 * Tell the sink about one step.  A body that does not parse is the reason why
 * the step cannot run, and no error.
 */
static void
describe_step(const char *project, int step, MigEntry *entry, MigPart part,
			  MigPlanSink sink, void *arg)
{
	MigTexts   *texts = mig_migration_texts(project, &entry, 1);
	const char *text = mig_migration_texts_part(texts, part);
	MigLabel	label;
	MigBody    *body;
	List	   *trees;
	ErrorData  *edata;
	const MigStatement *statement;
	bool		own = false;
	char	   *reason;

	if (text == NULL)
		mig_migration_removed_meanwhile();

	/* who may look may not read bodies */
	mig_body_label_of_entry(&label, entry, part, true);
	edata = mig_trial_parse(text, &label, &body, &trees);
	statement = edata ? NULL : mig_body_own_transaction(body);
	if (edata != NULL)
		reason = psprintf("the %s body cannot be run (%s)",
						  mig_body_part_name(part),
						  unpack_sql_state(edata->sqlerrcode));
	else if (entry->partial)
	{
		own = true;
		reason = "partly done";
	}
	/* what somebody has said is about the up body */
	else if (part == MIG_UP && entry->transactional == MIG_TX_OFF)
	{
		own = true;
		reason = "marked as not transactional";
	}
	else if (part == MIG_UP && entry->transactional == MIG_TX_ON)
		reason = "marked as transactional";
	else if (statement != NULL)
	{
		own = true;
		reason = psprintf("line %d: %s cannot run in a transaction block",
						  statement->line, statement->own_transaction);
	}
	else if (part == MIG_DOWN && entry->down_is_empty)
		reason = "the down body has no statement: nothing would be undone";
	else
		reason = "every statement can run in a transaction block";
	sink(step, entry, part == MIG_UP ? "apply" : "rollback", own, reason, arg);
}

/*
 * Texts of one step at a time are in memory, so the sink copies what it keeps.
 */
static void
describe_plan(const char *project, const MigPlan *plan, MigPart part,
			  MigPlanSink sink, void *arg)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "migrate plan step",
							  ALLOCSET_DEFAULT_SIZES);
	int			i;

	for (i = 0; i < plan->nsteps; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		describe_step(project, i + 1, plan->steps[i], part, sink, arg);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
}

/*
 * Raise the error of a run, but not while another session is running: a run would
 * wait for that.
 */
static void
check_half_way(const MigProject *project, MigPlan *plan, MigPart part,
			   const MigPolicy *policy)
{
	if (mig_plan_has_half_way(project) && !mig_run_lock_is_taken())
		mig_plan_check_half_way(project, plan, part, policy);
}

void
mig_status_plan(const char *project, const char *target, MigPlanSink sink,
				void *arg)
{
	MigPolicy  *policy = mig_policy_read(project);
	MigProject *read = warn_if_empty(read_up_to(project, target, false));
	MigPlan    *plan = mig_plan_up(read, target, false, NIL, policy,
								   mig_applied_exists);

	check_half_way(read, plan, MIG_UP, policy);
	if (plan->nsteps > 0)
		mig_plan_run_check_ledgers(WARNING);
	describe_plan(project, plan, MIG_UP, sink, arg);
}

void
mig_status_plan_rollback(const char *project, int64 steps, MigPlanSink sink,
						 void *arg)
{
	MigDownChoice choice = {MIG_DOWN_STEPS};
	MigProject *read;
	MigPlan    *plan;

	choice.steps = steps;
	choice.undo_to = "SELECT * FROM migrate.rollback_to(%s, dry_run => true)";
	read = warn_if_empty(mig_project_read_down(project, &choice));
	plan = mig_plan_down(read, &choice, mig_migration_dependents);
	check_half_way(read, plan, MIG_DOWN, mig_policy_read(project));
	describe_plan(project, plan, MIG_DOWN, sink, arg);
}

static void
append_finding(StringInfo detail, StringInfo hint, const char *title,
			   List *names, const char *what_to_do)
{
	if (names == NIL)
		return;
	appendStringInfo(detail, "%s%s: %s.", detail->len > 0 ? "  " : "", title,
					 mig_error_name_list(names));
	if (what_to_do != NULL)
		appendStringInfo(hint, "%s%s", hint->len > 0 ? "  " : "", what_to_do);
}

void
mig_status_notice_late(const MigProject *project)
{
	List	   *late = mig_plan_late(project, NULL);

	if (late != NIL && !mig_policy_read(project->name)->allow_out_of_order)
		ereport(NOTICE,
				(errmsg("out of order for apply(), because a later version is applied: %s",
						mig_error_name_list(late)),
				 errhint(MIG_HINT_OUT_OF_ORDER)));
}

/* what check() names, and what to do about it */
typedef struct CheckKind
{
	const char *state;
	const char *title;
	const char *hint;
	MigPart		part;			/* of what is partial */
} CheckKind;

static const CheckKind check_kinds[] = {
	{"pending", "Pending", "migrate.apply() applies what is pending.", MIG_UP},
	{"held", "Held", "migrate.unhold() lets go what is held.", MIG_UP},
	{"failed", "Failed", "migrate.failures() has what failed.", MIG_UP},
	{"partial", "Partly applied", "CALL migrate.apply_each() goes on with what is partly applied.", MIG_UP},
	{"partial", "Partly rolled back", "CALL migrate.rollback_each() goes on with what is partly rolled back.", MIG_DOWN},
	{"changed", "Changed", "migrate.amend() accepts a changed text.", MIG_UP},
};

/*
 * Wanted has an element per entry; what is applied counts even if not wanted.
 */
static List *
versions_of_kind(const MigProject *project, const CheckKind *kind,
				 const bool *wanted)
{
	List	   *versions = NIL;
	int			i;

	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = project->order[i];

		if (strcmp(mig_status_state(entry), kind->state) == 0 &&
			(!entry->partial || entry->partial_part == kind->part) &&
			(wanted[entry - project->entries] || entry->applied))
			versions = lappend(versions, entry->version);
	}
	return versions;
}

/* is there what makes apply() refuse whatever is pending? */
static bool
is_stuck(const MigProject *project)
{
	int			i;

	for (i = 0; i < project->count; i++)
	{
		const char *state = mig_status_state(&project->entries[i]);

		if (strcmp(state, "partial") == 0 || strcmp(state, "changed") == 0)
			return true;
	}
	return false;
}

void
mig_status_check(const char *project_name, const char *target)
{
	MigProject *project = read_up_to(project_name, target, true);
	bool	   *wanted;
	List	   *late = NIL;
	StringInfoData detail;
	StringInfoData hint;
	bool		stuck;
	int			k;

	if (project->count == 0 &&
		(target == NULL || strcmp(target, MIG_TARGET_BASE) != 0))
		mig_project_names_tell_empty(project_name, ERROR);
	wanted = mig_plan_up_to(project, target);
	if (!mig_policy_read(project_name)->allow_out_of_order)
		late = mig_plan_late(project, wanted);
	stuck = late != NIL || is_stuck(project);
	initStringInfo(&detail);
	initStringInfo(&hint);
	for (k = 0; k < lengthof(check_kinds); k++)
	{
		const CheckKind *kind = &check_kinds[k];

		append_finding(&detail, &hint, kind->title,
					   versions_of_kind(project, kind, wanted),
					   k == 0 && stuck ? NULL : kind->hint);
	}
	append_finding(&detail, &hint, "Out of order", late,
				   MIG_HINT_OUT_OF_ORDER);
	append_finding(&detail, &hint, "Schemas that are gone",
				   mig_plan_run_missing_schemas(project),
				   MIG_HINT_SCHEMAS_GONE);
	mig_plan_warn_heads(project);
	if (detail.len > 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_PENDING),
				 errmsg("project \"%s\" is not up to date", project_name),
				 errdetail("%s", detail.data),
				 errhint("%s", hint.data)));
}

typedef struct VerifyRun
{
	MigExecution *execution;
	const MigRunnable *body;
	const MigPolicy *policy;
} VerifyRun;

static void
run_verify(void *arg)
{
	VerifyRun  *run = (VerifyRun *) arg;

	mig_run_lock_bodies_begin();
	mig_execute_set_settings(run->execution, run->policy->search_path,
							 run->policy->sets_search_path);
	mig_lock_wait_begin();
	mig_execute_body(run->execution, run->body);
}

/*
 * In a subtransaction that is rolled back; only a cancel ends the call, other
 * errors go to the sink.
 */
static void
verify_one(const char *project, MigEntry *entry, MigExecution *execution,
		   const MigPolicy *policy, MigVerifySink sink, void *arg)
{
	MigStep		step = {entry, MIG_VERIFY};
	VerifyRun	run;
	ErrorData  *edata;

	mig_execute_reset(execution);
	run.execution = execution;
	run.body = mig_runnable_read(project, &step, 1)->body;
	run.policy = policy;
	mig_lock_wait_reset();
	edata = mig_subxact_run(run_verify, &run, false);
	mig_lock_wait_end();
	mig_run_lock_bodies_end();
	if (edata != NULL)
		mig_lock_wait_explain(edata);
	mig_timeout_restart();
	mig_session_state_end_migration(execution->session_state,
									mig_runnable_body(run.body));
	if (edata != NULL && edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(edata);
	sink(entry, edata ? unpack_sql_state(edata->sqlerrcode) : NULL,
		 edata ? edata->message : NULL, arg);
}

void
mig_status_verify(const char *project_name, MigVerifySink sink, void *arg)
{
	MigPolicy  *policy = mig_policy_read(project_name);
	MigProject *project = warn_if_empty(mig_project_read_all(project_name,
															 false, false));
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "migrate verify",
							  ALLOCSET_DEFAULT_SIZES);
	MigExecution execution;
	int			i;

	mig_run_lock_refuse_recursion();
	mig_preflight_policy(project_name, policy);
	mig_execute_init(&execution, CurrentMemoryContext);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	execution.session_state = mig_session_state_note();
	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = project->order[i];
		MemoryContext old;

		/* not one that belongs to a text that has yet to be applied */
		if (!entry->applied || !entry->has_verify || entry->up_changed)
			continue;
		old = MemoryContextSwitchTo(context);
		verify_one(project_name, entry, &execution, policy, sink, arg);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}
