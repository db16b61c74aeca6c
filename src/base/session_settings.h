/*-------------------------------------------------------------------------
 *
 * session_settings.h
 *	  The session's settings before and after code that may change them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_SESSION_SETTINGS_H
#define MIG_BASE_SESSION_SETTINGS_H

#include "nodes/pg_list.h"

/* a setting of the server's own, as the server keeps it */
extern const struct config_generic *mig_session_settings_find(const char *name);

/*
 * What the session has SET, to be given to mig_session_settings_restore(); in
 * CurrentMemoryContext.
 */
extern List *mig_session_settings_save(void);

/*
 * Have the session's settings as they were, role and session authorization
 * included.  Takes effect for good when the transaction commits.
 */
extern void mig_session_settings_restore(List *saved);

/*
 * What has changed since they were saved, and of what known says something: as
 * "name=value", or "name" for one that is not set any more.  The session's
 * identity comes last.  Values that end with the transaction are left out, but
 * for what is known of them.  In CurrentMemoryContext.
 */
extern char **mig_session_settings_changes(List *saved, char **known,
										   int count_known,
										   int *count);

/* has it the value of the session's beginning, by RESET or not set at all? */
extern bool mig_session_settings_is_reset(const char *name);

/*
 * Make one of these changes again, with the privileges of the current user.
 * Raises the errors of SET, and returns the name.
 */
extern char *mig_session_settings_repeat(const char *change);

/*
 * The search_path that bodies start with: the policy's, or the session's if
 * that is NULL.  As psql would use it, with two exceptions.  A policy cannot
 * put anything before pg_catalog, for it need not be its author's right to
 * decide what a superuser's body calls.  And pg_temp is left out where it would
 * be the schema to create in: the server searches it first all the same.
 */
extern char *mig_session_settings_search_path(const char *policy);

#endif							/* MIG_BASE_SESSION_SETTINGS_H */
