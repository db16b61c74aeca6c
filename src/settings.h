/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  The session's settings before and after code that may change them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SETTINGS_H
#define MIG_SETTINGS_H

#include "nodes/pg_list.h"

/*
 * What the session has SET, to be given to mig_settings_restore(); in
 * CurrentMemoryContext.
 */
extern List *mig_settings_save(void);

/*
 * Have the session's settings as they were, role and session authorization
 * included.  Takes effect for good when the transaction commits.
 */
extern void mig_settings_restore(List *saved);

#endif							/* MIG_SETTINGS_H */
