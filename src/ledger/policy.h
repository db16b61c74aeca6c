/*-------------------------------------------------------------------------
 *
 * policy.h
 *	  The rows of migrate.policy.
 *
 * Runs under the tables' owner and gives the caller's identity back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_POLICY_H
#define MIG_LEDGER_POLICY_H

#include "base/migrate.h"

/* the policy of a project; the defaults if it has no row */
extern MigPolicy *mig_policy_read(const char *project);

#endif							/* MIG_LEDGER_POLICY_H */
