/*-------------------------------------------------------------------------
 *
 * quiet.h
 *	  Has anybody else committed anything since?
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_QUIET_H
#define MIG_QUIET_H

#include "postgres.h"

/*
 * What a run has seen of the server's count of transactions, together with its
 * own since; 0: not known.
 */
typedef struct MigQuiet
{
	uint64		completed;
} MigQuiet;

/* from now on; before the first read of what is relied upon later */
extern void mig_quiet_begin(MigQuiet *quiet);

/*
 * The last thing in a transaction of the run that is about to commit, and has
 * changed nothing that is relied upon.  A transaction for which this is not
 * said ends the quiet if it writes.
 */
extern void mig_quiet_own_commit(MigQuiet *quiet);

/*
 * True if no transaction has written and ended since mig_quiet_begin() but
 * those of mig_quiet_own_commit(): whatever was read since is then what would
 * be read now.
 */
extern bool mig_quiet_holds(const MigQuiet *quiet);

#endif							/* MIG_QUIET_H */
