/*-------------------------------------------------------------------------
 *
 * pause.h
 *	  A wait that can be interrupted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_PAUSE_H
#define MIG_BASE_PAUSE_H

/*
 * Wait for so long.  statement_timeout is off afterwards, until somebody sets
 * it again: it is meant for statements.
 */
extern void mig_pause(int ms);

#endif							/* MIG_BASE_PAUSE_H */
