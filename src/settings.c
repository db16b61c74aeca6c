/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  The session's settings before and after code that may change them.
 *
 * Where everything happens in one transaction, a GUC nest level does this.
 * Nest levels end with the transaction, so what spans several needs a list of
 * the values that were there.  set_config() does not show in a parse tree:
 * only comparing tells what a body has set.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

#include "compat.h"
#include "settings.h"

typedef struct Setting
{
	const char *name;
	char	   *value;
} Setting;

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
