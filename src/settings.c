/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  The session's settings before and after code that may change them.
 *
 * And the search_path that bodies start with, which is the session's unless the
 * policy has one.
 *
 * Where everything happens in one transaction, a GUC nest level does this.
 * Nest levels end with the transaction, so what spans several needs a list of
 * the values that were there.  set_config() does not show in a parse tree:
 * only comparing tells what a body has set.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/varlena.h"

#include "compat.h"
#include "settings.h"

typedef struct Setting
{
	const char *name;
	char	   *value;
} Setting;

const struct config_generic *
mig_settings_find(const char *name)
{
	int			count;
	struct config_generic **variables = MIG_GET_GUC_VARIABLES(&count);
	int			i;

	for (i = 0; i < count; i++)
	{
		if (strcmp(variables[i]->name, name) == 0)
			return variables[i];
	}
	elog(ERROR, "unrecognized configuration parameter \"%s\"", name);
	return NULL;				/* keep compiler quiet */
}

static bool
is_identity(const char *name)
{
	return strcmp(name, "role") == 0 ||
		strcmp(name, "session_authorization") == 0;
}

/* has the session set it, and may anybody set it back? */
static bool
is_set_by_session(const struct config_generic *variable)
{
	if (variable->source != PGC_S_SESSION)
		return false;
	if (variable->context != PGC_USERSET && variable->context != PGC_SUSET)
		return false;

	/* seed, and what belongs to a transaction */
	return (variable->flags & GUC_NO_RESET_ALL) == 0 ||
		is_identity(variable->name);
}

List *
mig_settings_save(void)
{
	int			count;
	struct config_generic **variables = MIG_GET_GUC_VARIABLES(&count);
	List	   *saved = NIL;
	int			i;

	for (i = 0; i < count; i++)
	{
		Setting    *setting;

		if (!is_set_by_session(variables[i]))
			continue;
		setting = palloc(sizeof(Setting));
		setting->name = pstrdup(variables[i]->name);
		setting->value = GetConfigOptionByName(setting->name, NULL, false);
		saved = lappend(saved, setting);
	}
	return saved;
}

static const Setting *
find(List *settings, const char *name)
{
	ListCell   *lc;

	foreach(lc, settings)
	{
		const Setting *setting = (const Setting *) lfirst(lc);

		if (strcmp(setting->name, name) == 0)
			return setting;
	}
	return NULL;
}

/* value NULL: as if the session had never set it */
static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value,
							 superuser() ? PGC_SUSET : PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
}

static void
restore_one(List *now, List *saved, const char *name)
{
	const Setting *current = find(now, name);
	const Setting *before = find(saved, name);

	if (before == NULL && current != NULL)
		set(name, NULL);
	else if (before != NULL &&
			 (current == NULL || strcmp(current->value, before->value) != 0))
		set(name, before->value);
}

void
mig_settings_restore(List *saved)
{
	List	   *now = mig_settings_save();
	ListCell   *lc;

	/* first the identity, for it decides what may be set */
	restore_one(now, saved, "session_authorization");
	restore_one(now, saved, "role");
	foreach(lc, now)
	{
		const char *name = ((Setting *) lfirst(lc))->name;

		if (!is_identity(name))
			restore_one(now, saved, name);
	}
	foreach(lc, saved)
	{
		const char *name = ((Setting *) lfirst(lc))->name;

		if (!is_identity(name) && find(now, name) == NULL)
			restore_one(now, saved, name);
	}
}

/* may the current user look into, and so create in, a schema of this name? */
static bool
is_usable_schema(const char *name)
{
	Oid			schema;

	if (strcmp(name, "$user") == 0)
		name = GetUserNameFromId(GetUserId(), true);
	if (name == NULL)
		return false;
	schema = get_namespace_oid(name, true);
	return OidIsValid(schema) && MIG_HAS_USAGE(schema, GetUserId());
}

/* is the first schema of the path that can be used the temporary one? */
static bool
creates_in_pg_temp(List *names)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		const char *name = (const char *) lfirst(lc);

		if (strcmp(name, "pg_temp") == 0)
			return true;
		if (is_usable_schema(name))
			return false;
	}
	return false;
}

static char *
path_without(List *names, const char *left_out)
{
	StringInfoData path;
	ListCell   *lc;

	initStringInfo(&path);
	foreach(lc, names)
	{
		const char *name = (const char *) lfirst(lc);

		if (strcmp(name, left_out) != 0)
			appendStringInfo(&path, "%s%s", path.len > 0 ? ", " : "",
							 quote_identifier(name));
	}
	return path.data;
}

char *
mig_settings_search_path(const char *policy)
{
	char	   *path = pstrdup(policy ? policy : namespace_search_path);
	List	   *names;

	/* the server says so when it is to use it */
	if (!SplitIdentifierString(pstrdup(path), ',', &names))
		return path;

	/* it is searched first where it is not named */
	if (policy != NULL && strstr(path, "pg_catalog") != NULL)
	{
		path = path_without(names, "pg_catalog");
		(void) SplitIdentifierString(pstrdup(path), ',', &names);
	}
	return creates_in_pg_temp(names) ? path_without(names, "pg_temp") : path;
}
