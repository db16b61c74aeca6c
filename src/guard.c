/*-------------------------------------------------------------------------
 *
 * guard.c
 *	  What must hold before anything is run or written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "errors.h"
#include "guard.h"
#include "guc.h"

void
mig_guard_transaction(const char *what)
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
mig_guard_can_write(void)
{
	return !RecoveryInProgress() && !XactReadOnly && !IsolationUsesXactSnapshot();
}

void
mig_guard_policy(const char *project, const MigPolicy *policy)
{
	const char *role = GetUserNameFromId(GetUserId(), false);

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
				 errhint("SET ROLE %s first.",
						 quote_identifier(policy->role))));
}

void
mig_guard_destructive(const char *project, const MigPolicy *policy,
					  const char *confirm)
{
	if (!policy->protected)
		return;
	if (confirm == NULL ||
		strcmp(confirm, get_database_name(MyDatabaseId)) != 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_PROTECTED),
				 errmsg("project \"%s\" is protected", project),
				 errdetail("This call can lose data."),
				 errhint("Say that you mean this database with confirm => current_database().")));
}

bool
mig_guard_is_superuser(const char *role)
{
	Oid			oid = get_role_oid(role, true);

	return OidIsValid(oid) && superuser_arg(oid);
}

void
mig_guard_authors(MigEntry **entries, int count)
{
	const char *trusted = NULL;
	int			i;

	if (!superuser() || mig_trust_authors)
		return;
	for (i = 0; i < count; i++)
	{
		const char *author = entries[i]->added_by;

		if (trusted != NULL && strcmp(author, trusted) == 0)
			continue;
		if (!mig_guard_is_superuser(author))
			ereport(ERROR,
					(errcode(MIG_ERRCODE_AUTHOR),
					 errmsg("a superuser cannot run migration \"%s\", which role \"%s\" stored",
							entries[i]->version, author),
					 errdetail("The body would run with the rights of a superuser."),
					 errhint("SET ROLE %s first, or read the body and set migrate.trust_authors.",
							 quote_identifier(author))));
		trusted = author;
	}
}

bool
mig_guard_must_contain(MigEntry **entries, int count)
{
	int			i;

	if (superuser() || mig_trust_authors ||
		(!superuser_arg(GetSessionUserId()) &&
		 !superuser_arg(GetAuthenticatedUserId())))
		return false;
	for (i = 0; i < count; i++)
	{
		if (!mig_guard_is_superuser(entries[i]->added_by))
			return true;
	}
	return false;
}
