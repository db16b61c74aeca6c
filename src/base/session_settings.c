/*-------------------------------------------------------------------------
 *
 * session_settings.c
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

#include "base/compat.h"
#include "base/errors.h"
#include "base/session_settings.h"

typedef struct Setting
{
	const char *name;
	char	   *value;			/* to be shown and set */
	char	   *raw;			/* to be compared: it has no unit */
} Setting;

const struct config_generic *
mig_session_settings_find(const char *name)
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

/* can it be set in a session, and restored afterwards? */
static bool
may_be_set(const struct config_generic *variable)
{
	if (variable->context != PGC_USERSET && variable->context != PGC_SUSET)
		return false;

	/* seed, and what belongs to a transaction */
	return (variable->flags & GUC_NO_RESET_ALL) == 0 ||
		is_identity(variable->name);
}

/*
 * What a setting will be after the commit, which ends SET LOCAL but not SET, and
 * by whom it will be set.  NULL is what it is now.  The transaction may have
 * savepoints, and both of them at each level.
 */
static const config_var_value *
value_after_commit(const struct config_generic *variable, GucSource *source)
{
	const config_var_value *value = NULL;
	const GucStack *stack;

	*source = variable->source;
	for (stack = variable->stack; stack != NULL; stack = stack->prev)
	{
		if (stack->state == GUC_SET)
			break;
		if (stack->state == GUC_SET_LOCAL)
		{
			*source = PGC_S_SESSION;
			return &stack->masked;
		}
		value = &stack->prior;
		*source = stack->source;
	}
	return value;
}

/* its strings are the variable's own */
static config_var_value
current_value(const struct config_generic *variable)
{
	config_var_value value = {0};

	switch (variable->vartype)
	{
		case PGC_BOOL:
			value.val.boolval = *((const struct config_bool *) variable)->variable;
			break;
		case PGC_INT:
			value.val.intval = *((const struct config_int *) variable)->variable;
			break;
		case PGC_REAL:
			value.val.realval = *((const struct config_real *) variable)->variable;
			break;
		case PGC_STRING:
			value.val.stringval = *((const struct config_string *) variable)->variable;
			break;
		case PGC_ENUM:
			value.val.enumval = *((const struct config_enum *) variable)->variable;
			break;
	}
	return value;
}

/* as the server reads it, without a unit */
static char *
raw_text(const struct config_generic *variable, const config_var_value *value)
{
	switch (variable->vartype)
	{
		case PGC_BOOL:
			return pstrdup(value->val.boolval ? "on" : "off");
		case PGC_INT:
			return psprintf("%d", value->val.intval);
		case PGC_REAL:
			return psprintf("%.17g", value->val.realval);
		case PGC_STRING:
			return pstrdup(value->val.stringval ? value->val.stringval : "");
		case PGC_ENUM:
			return pstrdup(config_enum_lookup_by_value((struct config_enum *)
													   unconstify(struct config_generic *, variable),
													   value->val.enumval));
	}
	return NULL;				/* keep compiler quiet */
}

/* one that does not exist is NULL */
static const struct config_generic *
find_variable(const char *name)
{
	int			count;
	struct config_generic **variables = MIG_GET_GUC_VARIABLES(&count);
	int			i;

	for (i = 0; i < count; i++)
	{
		if (strcmp(variables[i]->name, name) == 0)
			return variables[i];
	}
	return NULL;
}

List *
mig_session_settings_save(void)
{
	int			count;
	struct config_generic **variables = MIG_GET_GUC_VARIABLES(&count);
	List	   *saved = NIL;
	int			i;

	for (i = 0; i < count; i++)
	{
		GucSource	source;
		const config_var_value *later = value_after_commit(variables[i], &source);
		config_var_value now = current_value(variables[i]);
		Setting    *setting;

		if (source != PGC_S_SESSION || !may_be_set(variables[i]))
			continue;
		setting = palloc(sizeof(Setting));
		setting->name = pstrdup(variables[i]->name);
		setting->raw = raw_text(variables[i], later ? later : &now);
		setting->value = later ? setting->raw :
			GetConfigOptionByName(setting->name, NULL, false);
		saved = lappend(saved, setting);
	}
	return saved;
}

/* by the name as the server spells it; NULL if the session has not set it */
static const Setting *
find_setting(List *settings, const char *name)
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
set_setting(const char *name, const char *value)
{
	(void) set_config_option(name, value,
							 superuser() ? PGC_SUSET : PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
}

/* one setting, which may be missing in either list */
static void
restore_one(List *now, List *saved, const char *name)
{
	const Setting *current = find_setting(now, name);
	const Setting *before = find_setting(saved, name);

	if (before == NULL && current != NULL)
		set_setting(name, NULL);
	else if (before != NULL &&
			 (current == NULL || strcmp(current->value, before->value) != 0))
		set_setting(name, before->value);
}

void
mig_session_settings_restore(List *saved)
{
	List	   *now = mig_session_settings_save();
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

		if (!is_identity(name) && find_setting(now, name) == NULL)
			restore_one(now, saved, name);
	}
}

bool
mig_session_settings_is_reset(const char *name)
{
	return find_variable(name)->source != PGC_S_SESSION;
}

static char *
note_of(const char *name, const char *value)
{
	return value ? psprintf("%s=%s", name, value) : pstrdup(name);
}

/*
 * does a note that mig_session_settings_changes() has made say something of a
 * setting?
 */
static bool
is_about(const char *note, const char *name)
{
	size_t		length = strlen(name);

	return strncmp(note, name, length) == 0 &&
		(note[length] == '=' || note[length] == '\0');
}

/* what is noted of a setting, or NULL */
static const char *
find_note(char **notes, int count, const char *name)
{
	int			i;

	for (i = 0; i < count; i++)
	{
		if (is_about(notes[i], name))
			return notes[i];
	}
	return NULL;
}

/* a List of char *, with what there is to say of one setting */
static List *
add_change(List *changes, List *now, List *saved, char **known, int count_known,
		   const char *name)
{
	const Setting *current = find_setting(now, name);
	const Setting *before = find_setting(saved, name);
	const char *note = find_note(known, count_known, name);

	if (note == NULL &&
		(current && before ? strcmp(current->raw, before->raw) == 0 :
		 current == before))
		return changes;
	return lappend(changes, note_of(name, current ? current->value : NULL));
}

char **
mig_session_settings_changes(List *saved, char **known, int count_known,
							 int *count)
{
	List	   *now = mig_session_settings_save();
	List	   *changes = NIL;
	char	  **notes;
	ListCell   *lc;
	int			i;

	foreach(lc, now)
	{
		const char *name = ((Setting *) lfirst(lc))->name;

		if (!is_identity(name))
			changes = add_change(changes, now, saved, known, count_known, name);
	}
	foreach(lc, saved)
	{
		const char *name = ((Setting *) lfirst(lc))->name;

		if (!is_identity(name) && find_setting(now, name) == NULL)
			changes = add_change(changes, now, saved, known, count_known, name);
	}
	for (i = 0; i < count_known; i++)
	{
		char	   *name = pnstrdup(known[i], strcspn(known[i], "="));

		if (!is_identity(name) && find_setting(now, name) == NULL &&
			find_setting(saved, name) == NULL)
			changes = lappend(changes, name);
	}

	/* at the end, as it decides what may be set */
	changes = add_change(changes, now, saved, known, count_known,
						 "session_authorization");
	changes = add_change(changes, now, saved, known, count_known, "role");
	*count = list_length(changes);
	notes = palloc(sizeof(char *) * Max(*count, 1));
	foreach(lc, changes)
		notes[foreach_current_index(lc)] = (char *) lfirst(lc);
	return notes;
}

char *
mig_session_settings_repeat(const char *change)
{
	const char *value = strchr(change, '=');
	char	   *name = pnstrdup(change, strcspn(change, "="));
	const struct config_generic *variable = find_variable(name);

	if (variable != NULL && !may_be_set(variable))
		ereport(ERROR,
				(errcode(ERRCODE_CANT_CHANGE_RUNTIME_PARAM),
				 errmsg("parameter \"%s\" is none of those that last for a session",
						name)));
	set_setting(name, value ? value + 1 : NULL);
	return name;
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
	return OidIsValid(schema) && MIG_HAS_SCHEMA_RIGHT(schema, GetUserId(), ACL_USAGE);
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

/* the names as a search_path, quoted where needed */
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
mig_session_settings_search_path(const char *policy)
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
