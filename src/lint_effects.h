/*-------------------------------------------------------------------------
 *
 * lint_effects.h
 *	  What statements do to the database, as far as a model of it goes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LINT_EFFECTS_H
#define MIG_LINT_EFFECTS_H

#include "lint_model.h"

/* take in what a statement does, if it succeeds */
extern void mig_effects_apply(MigLintModel *model, Node *stmt);

/* is this a definition of a column as serial and the like? */
extern bool mig_effects_is_serial(const ColumnDef *column);

/* the schema that the statement makes it in */
extern const char *mig_effects_schema(MigLintModel *model,
									  const RangeVar *range);

#endif							/* MIG_LINT_EFFECTS_H */
