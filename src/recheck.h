/*-------------------------------------------------------------------------
 *
 * recheck.h
 *	  Is a body still to be run, as it was planned and read?
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RECHECK_H
#define MIG_RECHECK_H

#include "ledger.h"

typedef enum MigRecheck
{
	MIG_STILL_THE_SAME,
	MIG_ALREADY_DONE,			/* or undone */
	MIG_TEXT_CHANGED,			/* or held, or removed */
	MIG_POLICY_FORBIDS			/* or a role is demanded: ask guard.c */
} MigRecheck;

/* quick, for it may be asked before each migration */
extern MigRecheck mig_recheck(const char *project, MigPart part,
							  const MigEntry *entry, const MigTexts *texts);

#endif							/* MIG_RECHECK_H */
