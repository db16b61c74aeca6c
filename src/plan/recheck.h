/*-------------------------------------------------------------------------
 *
 * recheck.h
 *	  Does a migration still have its place in the plan?
 *
 * About what the runner lock does not keep others from changing.  Quick, for it
 * is asked before each migration.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_PLAN_RECHECK_H
#define MIG_PLAN_RECHECK_H

#include "base/migrate.h"

/* false if a superuser has changed, by hand, what the plan was made of */
extern bool mig_recheck_plan(const char *project, MigPart part,
							 const MigEntry *entry);

/*
 * false if the policy forbids anything, or demands a role: ask
 * plan/preflight.c
 */
extern bool mig_recheck_policy(const char *project);

#endif							/* MIG_PLAN_RECHECK_H */
