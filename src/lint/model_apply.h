/*-------------------------------------------------------------------------
 *
 * model_apply.h
 *	  What statements do to the database, as far as a model of it goes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LINT_MODEL_APPLY_H
#define MIG_LINT_MODEL_APPLY_H

#include "lint/model.h"

/* take in what a statement does, if it succeeds */
extern void mig_model_apply(MigLintModel *model, Node *stmt);

#endif							/* MIG_LINT_MODEL_APPLY_H */
