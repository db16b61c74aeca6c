/*-------------------------------------------------------------------------
 *
 * superuser.c
 *	  Whether code in this session could become a superuser.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/catcache.h"
#include "utils/syscache.h"

#include "base/superuser.h"

/* a superuser, or what the server's documentation calls as good as one */
static bool
is_powerful(Oid role)
{
	return superuser_arg(role) ||
		role == ROLE_PG_EXECUTE_SERVER_PROGRAM ||
		role == ROLE_PG_WRITE_SERVER_FILES;
}

/*
 * The powerful role that this role is or can become, InvalidOid if there is
 * none.  Any membership counts, whatever its options: a member that may not
 * SET ROLE to it may inherit from it, or grant itself the option.
 */
static Oid
powerful_role_of(Oid role)
{
	List	   *roles = list_make1_oid(role);
	Oid			found = InvalidOid;
	int			i;

	for (i = 0; i < list_length(roles) && !OidIsValid(found); i++)
	{
		Oid			member = list_nth_oid(roles, i);
		CatCList   *memberships;
		int			n;

		if (is_powerful(member))
		{
			found = member;
			break;
		}
		memberships = SearchSysCacheList1(AUTHMEMMEMROLE,
										  ObjectIdGetDatum(member));
		for (n = 0; n < memberships->n_members; n++)
		{
			HeapTuple	tuple = &memberships->members[n]->tuple;

			roles = list_append_unique_oid(roles,
										   ((Form_pg_auth_members) GETSTRUCT(tuple))->roleid);
		}
		ReleaseSysCacheList(memberships);
	}
	list_free(roles);
	return found;
}

/*
 * The roles that code in this session can switch to by itself: the current one,
 * that of SET ROLE, the session's and the authenticated one.
 */
static Oid
role_of_session(int i)
{
	switch (i)
	{
		case 0:
			return GetUserId();
		case 1:
			return GetOuterUserId();
		case 2:
			return GetSessionUserId();
		case 3:
			return GetAuthenticatedUserId();
	}
	return InvalidOid;
}

bool
mig_superuser_within_reach(Oid *role, Oid *powerful)
{
	Oid			before = InvalidOid;
	int			i;

	for (i = 0; OidIsValid(*role = role_of_session(i)); i++)
	{
		if (*role == before)
			continue;
		before = *role;
		*powerful = powerful_role_of(*role);
		if (OidIsValid(*powerful))
			return true;
	}
	return false;
}
