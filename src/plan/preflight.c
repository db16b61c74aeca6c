/*-------------------------------------------------------------------------
 *
 * preflight.c
 *	  What must hold before anything is run or written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/syscache.h"

#include "base/errors.h"
#include "base/guc.h"
#include "base/superuser.h"
#include "plan/preflight.h"

void
mig_preflight_transaction(const char *what)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot %s on a standby", what),
				 errhint("Connect to the primary server.")));
	if (XactReadOnly)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot %s in a read-only transaction", what),
				 errhint("SET TRANSACTION READ WRITE, and look at default_transaction_read_only.")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot %s under isolation level REPEATABLE READ or SERIALIZABLE", what),
				 errdetail("The transaction would not see what another session has just applied."),
				 errhint("Use READ COMMITTED for this transaction.")));
}

bool
mig_preflight_can_write(void)
{
	return !RecoveryInProgress() && !XactReadOnly && !IsolationUsesXactSnapshot();
}

void
mig_preflight_policy(const char *project, const MigPolicy *policy)
{
	const char *role = GetUserNameFromId(GetUserId(), false);
	Oid			session_role;
	Oid			powerful;

	if (policy->frozen_reason != NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_FROZEN),
				 errmsg("project \"%s\" is frozen", project),
				 errdetail("Reason: %s", policy->frozen_reason),
				 errhint("Set frozen_reason to null in migrate.policy to go on.")));
	if (policy->role != NULL && strcmp(policy->role, role) != 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_ROLE),
				 errmsg("migrations of project \"%s\" run as role \"%s\"",
						project, policy->role),
				 errdetail("The current role is \"%s\".", role),
				 mig_superuser_within_reach(&session_role, &powerful) ?
				 errhint("Connect as %s, or SET ROLE to it, which will do only for bodies that a superuser has stored, as this session may become one.",
						 quote_identifier(policy->role)) :
				 errhint("SET ROLE %s first.",
						 quote_identifier(policy->role))));
}

void
mig_preflight_destructive(const char *project, const MigPolicy *policy,
						  const char *confirm)
{
	const char *database = get_database_name(MyDatabaseId);

	/* another one was meant, whatever the policy of this one says */
	if (confirm != NULL && strcmp(confirm, database) != 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_PROTECTED),
				 errmsg("confirm names database \"%s\", and this is \"%s\"",
						confirm, database),
				 errdetail("This call can lose data."),
				 errhint("Connect to the database that you mean.")));
	if (policy->protected && confirm == NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_PROTECTED),
				 errmsg("project \"%s\" is protected", project),
				 errdetail("This call can lose data."),
				 errhint("Pass confirm => %s to proceed.",
						 quote_literal_cstr(database))));
}

/* start() applies, so it is no way out for who rolls back or verifies */
static void
refuse_author(const char *version, MigPart part, const MigAuthor *author,
			  Oid role, Oid powerful)
{
	const char *role_name = mig_user_name(role);
	const char *detail;

	if (role != powerful)
		detail = psprintf(_("The body could become one, because the session belongs to role \"%s\", a member of role \"%s\"."),
						  role_name, mig_user_name(powerful));
	else if (role != GetUserId())
		detail = psprintf(_("The body could become one, because the session belongs to role \"%s\"."),
						  role_name);
	else
		detail = _("The body would run with the rights of a superuser.");
	ereport(ERROR,
			(errcode(MIG_ERRCODE_AUTHOR),
			 author->name == NULL ?
			 errmsg("a superuser cannot run migration \"%s\", whose author is unknown",
					version) :
			 errmsg("a superuser cannot run migration \"%s\", which role \"%s\" stored",
					version, author->name),
			 errdetail_internal("%s", detail),
			 part == MIG_UP ?
			 errhint("Connect as a role that is no superuser, or SET ROLE to it and apply by migrate.start(), which has a session of that role.  After reading the body, migrate.trust_authors lets a superuser run it.") :
			 errhint("Connect as a role that is no superuser.  After reading the body, migrate.trust_authors lets a superuser run it.")));
}

bool
mig_preflight_trusts_all(void)
{
	Oid			role;
	Oid			powerful;

	return mig_guc_trust_authors ||
		!mig_superuser_within_reach(&role, &powerful);
}

void
mig_preflight_author(const char *version, MigPart part,
					 const MigAuthor *author)
{
	Oid			role;
	Oid			powerful;

	if (author->trusted || mig_guc_trust_authors)
		return;
	if (mig_superuser_within_reach(&role, &powerful))
		refuse_author(version, part, author, role, powerful);
}

void
mig_preflight_function(const char *name, const char *what)
{
	Oid			namespace = get_namespace_oid(MIG_SCHEMA_NAME, false);
	CatCList   *functions = SearchSysCacheList1(PROCNAMEARGSNSP,
												CStringGetDatum(name));
	bool		allowed = false;
	int			i;

	for (i = 0; i < functions->n_members && !allowed; i++)
	{
		Form_pg_proc form =
			(Form_pg_proc) GETSTRUCT(&functions->members[i]->tuple);

		allowed = form->pronamespace == namespace &&
			DatumGetBool(DirectFunctionCall2(has_function_privilege_id,
											 ObjectIdGetDatum(form->oid),
											 CStringGetTextDatum("EXECUTE")));
	}
	ReleaseSysCacheList(functions);
	if (!allowed)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to %s", what),
				 errdetail("It does what %s.%s() does, which the current role may not call.",
						   MIG_SCHEMA_NAME, name)));
}
