/*-------------------------------------------------------------------------
 *
 * apply_each_step.h
 *	  One migration of a run of many transactions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_APPLY_EACH_STEP_H
#define MIG_RUN_APPLY_EACH_STEP_H

#include "run/apply_each_run.h"

/* run one migration and record it; returns its error, or NULL */
extern ErrorData *mig_apply_each_step_run(MigApplyEachRun *each);

/* does the current migration need several transactions? */
extern bool mig_apply_each_step_is_nontransactional(const MigApplyEachRun *each);

/* the journal row of the current migration, or of the run if there is none */
extern void mig_apply_each_step_fill_row(const MigApplyEachRun *each,
										 MigJournalRow *row);

#endif							/* MIG_RUN_APPLY_EACH_STEP_H */
