/*-------------------------------------------------------------------------
 *
 * store.h
 *	  What is done with one stored migration: remove, amend, hold.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADMIN_STORE_H
#define MIG_ADMIN_STORE_H

#include "base/migrate.h"

/* raises an error if it is applied, partly applied, required by others or held */
extern void mig_store_remove(const char *project, const char *version);

/* NULL leaves a text as it is */
extern void mig_store_amend(const char *project, const char *version,
							const char *up, const char *down,
							const char *verify, const char *note);

/* reason NULL: let it go */
extern void mig_store_hold(const char *project, const char *version,
						   const char *reason);

#endif							/* MIG_ADMIN_STORE_H */
