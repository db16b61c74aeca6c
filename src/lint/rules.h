/*-------------------------------------------------------------------------
 *
 * rules.h
 *	  The rules of the linter.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LINT_RULES_H
#define MIG_LINT_RULES_H

#include "lint/check.h"

/* each ends with a rule without an id */
extern const MigLintRule mig_rules_index[];
extern const MigLintRule mig_rules_constraint[];
extern const MigLintRule mig_rules_column[];
extern const MigLintRule mig_rules_drop[];
extern const MigLintRule mig_rules_type[];
extern const MigLintRule mig_rules_name[];

/* after those above, for they build on what those found */
extern const MigLintRule mig_rules_run[];

/* called once for each migration, with its bodies looked at and no statement */
extern const MigLintRule mig_rules_migration[];

/*
 * How to make that index without blocking anybody.  Of a condition or an
 * expression there may be literals in the body, which are not for everybody to
 * see.
 */
extern char *mig_lint_concurrent_index(MigLint *lint, const IndexStmt *stmt,
									   const MigLintRel *rel);

#endif							/* MIG_LINT_RULES_H */
