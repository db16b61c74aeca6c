/*-------------------------------------------------------------------------
 *
 * apply_each.h
 *	  Running migrations up or down, each in a transaction of its own.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_APPLY_EACH_H
#define MIG_RUN_APPLY_EACH_H

#include "plan/plan_run.h"

typedef struct MigApplyEachResult
{
	int64		run;			/* 0: there was nothing to do */
	int			migrations;
	int64		statements;
	double		execution_ms;
} MigApplyEachResult;

/*
 * Apply what is pending, or undo.  Every migration is committed together with
 * its rows in the books; an error ends the run, is journalled and raised again
 * with its own SQLSTATE, and what was committed before stays.
 *
 * background is the number of a run that has its row in migrate.run already,
 * or 0.  options->dry_run and raise mean nothing here.
 *
 * To be called at top level: with a transaction open, no snapshot active and
 * nothing connected to SPI.  Returns in another transaction.
 * CurrentMemoryContext must outlive transactions.
 */
extern void mig_apply_each_up(const MigRunOptions *options, int64 background,
							  MigApplyEachResult *result);
extern void mig_apply_each_down(const MigRunOptions *options,
								const MigDownChoice *choice,
								MigApplyEachResult *result);

#endif							/* MIG_RUN_APPLY_EACH_H */
