/*-------------------------------------------------------------------------
 *
 * error_hint.c
 *	  What to do about well-known errors of bodies.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/subxact.h"
#include "exec/error_hint.h"
#include "exec/lock_wait.h"
#include "ledger/applied.h"
#include "source/conventions.h"

typedef struct LastRole
{
	const char *project;
	char	   *role;
} LastRole;

static void
read_last_role(void *arg)
{
	LastRole   *last = (LastRole *) arg;

	last->role = mig_applied_last_role(last->project);
}

/* an error in here must not take the place of the one that gets the hint */
static char *
last_role_of(const char *project)
{
	LastRole	last = {project, NULL};

	(void) mig_subxact_run(read_last_role, &last, true);
	return last.role;
}

typedef struct SchemaRight
{
	const char *role;
	char	   *schema;
	const char *lacking;		/* NULL: neither */
} SchemaRight;

/* in a subtransaction, as looking may fail */
static void
find_lacking_right(void *arg)
{
	SchemaRight *right = (SchemaRight *) arg;
	Oid			role = get_role_oid(right->role, true);
	Oid			schema = get_namespace_oid(right->schema, true);

	if (!OidIsValid(role) || !OidIsValid(schema))
		return;
	if (!MIG_HAS_SCHEMA_RIGHT(schema, role, ACL_USAGE))
		right->lacking = "USAGE";
	else if (!MIG_HAS_SCHEMA_RIGHT(schema, role, ACL_CREATE))
		right->lacking = "CREATE";
}

/* what all roles had in public before PostgreSQL 15, among others */
static void
add_hint_about_schema(ErrorData *edata, const char *role)
{
	const char *denied = _("permission denied for schema %s");
	int			length = strcspn(denied, "%");
	SchemaRight right = {role, NULL, NULL};

	if (strncmp(edata->message, denied, length) != 0)
		return;
	right.schema = pstrdup(edata->message + length);
	right.schema[strcspn(right.schema, "\"")] = '\0';
	(void) mig_subxact_run(find_lacking_right, &right, true);
	if (right.lacking != NULL)
		mig_error_add_hint(edata, psprintf("Its owner can GRANT %s ON SCHEMA %s TO %s.",
										   right.lacking,
										   quote_identifier(right.schema),
										   quote_identifier(role)));
}

/* the procedure that runs such a body in several transactions */
static const char *
call_of_steps(const MigHintFacts *facts)
{
	return facts->undoes ? "rollback_each" : "apply_each";
}

/* the mark by which each statement is committed by itself; NULL: there is none */
static const char *
mark_of_steps(const MigHintFacts *facts)
{
	const MigConvention *convention = facts->convention;

	if (convention == NULL || convention->native_markers)
		return "transactional off";
	return convention->transactional_off;
}

static void
add_hint_about_enum(ErrorData *edata, const MigHintFacts *facts)
{
	const char *mark = mark_of_steps(facts);

	mig_error_add_hint(edata, psprintf("Use the new value in a migration of its own and CALL migrate.%s(), or %s.",
									   call_of_steps(facts),
									   mark ? psprintf("mark the migration \"%s\", so that each of its statements is committed by itself", mark) :
									   "write BEGIN and COMMIT around the statement that adds it, so that it is committed first"));
}

/* a statement that may commit, or must not be in a transaction block */
static void
add_hint_about_commit(ErrorData *edata, const MigHintFacts *facts)
{
	const char *mark = mark_of_steps(facts);
	const char *way;

	if (strstr(edata->message, "SET TRANSACTION") != NULL)
	{
		mig_error_add_hint(edata, psprintf("The transaction of a run has begun before its bodies: write BEGIN and COMMIT around the statements, and CALL migrate.%s().",
										   call_of_steps(facts)));
		return;
	}
	if (mark == NULL)
		way = psprintf("and no file of %s can say so: run it by hand, and record that with migrate.%s()",
					   facts->convention->name,
					   facts->undoes ? "unstamp" : "stamp");
	else if (facts->undoes)
		way = psprintf("CALL migrate.rollback_each(), with the migration marked \"%s\" if the statement is a CALL or DO",
					   mark);
	else
		way = psprintf("mark the migration \"%s\" and CALL migrate.apply_each()",
					   mark);
	mig_error_add_hint(edata, psprintf("Only the server can tell that this statement cannot run in a transaction block%s %s.",
									   mark ? ":" : ",", way));
}

/* a role or a tablespace, by the source file of the server that raised it */
static bool
is_of_cluster(const ErrorData *edata)
{
	return edata->filename != NULL &&
		(strcmp(edata->filename, "user.c") == 0 ||
		 strcmp(edata->filename, "tablespace.c") == 0);
}

void
mig_error_hint_add(ErrorData *edata, const MigHintFacts *facts)
{
	char	   *last_role;

	switch (edata->sqlerrcode)
	{
		case ERRCODE_OUT_OF_MEMORY:
			/* the server has a hint only where it is the lock table */
			if (edata->hint != NULL)
				mig_error_add_hint(edata, "The locks of a run are held to its end: apply in parts, with the argument \"target\".");
			break;
		case ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE:
			add_hint_about_enum(edata, facts);
			break;
		case ERRCODE_LOCK_NOT_AVAILABLE:
			if (!mig_lock_wait_is_lock_failure(edata))
				mig_error_add_hint(edata, "The lock was not waited for, as with NOWAIT, so it is not tried again either: apply again when the lock is free.");
			else if (facts->blockers_named)
				mig_error_add_hint(edata, "Let the sessions that are named end their transactions, or end them with pg_terminate_backend() or ROLLBACK PREPARED, and apply again.  migrate.lock_retries tries again, migrate.lock_retry_timeout for longer.");
			else
				mig_error_add_hint(edata, "Another session held the lock.  Apply again when it is gone, or let migrate.lock_retries try again.");
			break;
		case ERRCODE_T_R_DEADLOCK_DETECTED:
			mig_error_add_hint(edata, "Apply again, or let migrate.lock_retries try again.");
			break;
		case ERRCODE_DUPLICATE_TABLE:
		case ERRCODE_DUPLICATE_COLUMN:
		case ERRCODE_DUPLICATE_FUNCTION:
		case ERRCODE_DUPLICATE_OBJECT:
		case ERRCODE_DUPLICATE_SCHEMA:
			if (is_of_cluster(edata))
				mig_error_add_hint(edata, "All databases of the server share it: have the body create it only if it is not there.");
			else if (facts->ledger_was_empty)
				mig_error_add_hint(edata, "If the database had this schema before, record it with migrate.stamp_to().");
			break;
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_COLUMN:
		case ERRCODE_UNDEFINED_FUNCTION:
		case ERRCODE_UNDEFINED_OBJECT:
		case ERRCODE_UNDEFINED_SCHEMA:
			if (facts->undoes)
				mig_error_add_hint(edata, "If its work has been undone by hand, record that with migrate.unstamp().");
			break;
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
			last_role = last_role_of(facts->project);
			if (last_role != NULL && strcmp(last_role, facts->role) != 0)
				mig_error_add_hint(edata,
								   psprintf("The newest applied migration ran as role \"%s\", this one as \"%s\": SET ROLE may be missing.",
											last_role, facts->role));
			else
				add_hint_about_schema(edata, facts->role);
			break;
		case ERRCODE_ACTIVE_SQL_TRANSACTION:
		case ERRCODE_INVALID_TRANSACTION_TERMINATION:
			add_hint_about_commit(edata, facts);
			break;
		default:
			break;
	}
}
