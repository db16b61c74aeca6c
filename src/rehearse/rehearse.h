/*-------------------------------------------------------------------------
 *
 * rehearse.h
 *	  Running a plan to see what it does, and rolling it back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_REHEARSE_H
#define MIG_REHEARSE_H

#include "ledger/journal.h"
#include "plan/plan_run.h"
#include "rehearse/statement_effects.h"

/* one statement of a rehearsal; valid during the call of the sink */
typedef struct MigRehearsed
{
	const char *version;
	const char *name;
	MigPart		part;
	int			statement;		/* from 1; 0: this is about the migration */
	int			line;
	const char *tag;
	double		execution_ms;
	uint64		row_count;
	const MigStatementEffects *effects; /* NULL: it did not run to its end */
	const char *skipped;		/* why it was not run, or NULL */
	const MigFailure *failure;	/* or NULL */
} MigRehearsed;

typedef void (*MigRehearsalSink) (const MigRehearsed *row, void *arg);

/*
 * Run what mig_apply_up() or mig_apply_down() would run, statement by
 * statement, and roll all of it back.  The guards are the same and raise their
 * errors; the error of a body ends the rehearsal and is the failure of its
 * statement, unless it is canceled.  Each migration has a row at least.
 */
extern void mig_rehearse_up(const MigRunOptions *options,
							MigRehearsalSink sink, void *arg);
extern void mig_rehearse_down(const MigRunOptions *options,
							  const MigDownChoice *choice,
							  MigRehearsalSink sink, void *arg);

#endif							/* MIG_REHEARSE_H */
