/*-------------------------------------------------------------------------
 *
 * preflight.h
 *	  What must hold before anything is run or written.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_PLAN_PREFLIGHT_H
#define MIG_PLAN_PREFLIGHT_H

#include "base/migrate.h"

/*
 * Raise 25006 on a standby and in a read-only transaction, 25000 under an
 * isolation level that cannot see what an earlier runner committed.  what
 * completes "cannot ...".
 */
extern void mig_preflight_transaction(const char *what);

/* would mig_preflight_transaction() let it pass? */
extern bool mig_preflight_can_write(void);

/* raise if the policy freezes the project or wants another role */
extern void mig_preflight_policy(const char *project, const MigPolicy *policy);

/* raise unless confirm names this database, where the policy protects it */
extern void mig_preflight_destructive(const char *project,
									  const MigPolicy *policy,
									  const char *confirm);

/* is there nothing that mig_preflight_author() would refuse here? */
extern bool mig_preflight_trusts_all(void);

/*
 * Raise if the session may become a superuser and a body that it is to run is
 * not trusted: whoever may store bodies would be superuser otherwise.
 */
extern void mig_preflight_author(const char *version, MigPart part,
								 const MigAuthor *author);

/*
 * Raise ERRCODE_INSUFFICIENT_PRIVILEGE unless the current role may call a
 * function of the extension, since what it asks for is what that does.
 */
extern void mig_preflight_function(const char *name, const char *what);

#endif							/* MIG_PLAN_PREFLIGHT_H */
