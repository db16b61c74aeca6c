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

#endif							/* MIG_LINT_EFFECTS_H */
