/*-------------------------------------------------------------------------
 *
 * lint.h
 *	  What is wrong with the migrations that are pending, as far as the server
 *	  can tell without running them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LINT_H
#define MIG_LINT_H

#include "lint/check.h"

/*
 * MigFinding *, in order, for what apply() would run.  Does not raise what
 * apply() would raise about the order and missing downs, which are findings.
 * Takes no lock, writes nothing.
 */
extern List *mig_lint(const char *project, const char *target,
					  bool restricted, List *versions);

/* "error", "warning", "note" */
extern const char *mig_lint_severity_name(MigSeverity severity);

/* the page and section about a rule */
extern char *mig_lint_link(const char *rule);

/*
 * Before a plan is run: do what the policy says about findings in its up
 * bodies, which is to warn or to raise MIG_ERRCODE_LINT.
 */
extern void mig_lint_before_run(const char *name, MigProject *project,
								MigPlan *plan, MigPolicy *policy);

#endif							/* MIG_LINT_H */
