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
 * Wait, taking interrupts.  Leaves statement_timeout disabled, which is meant for
 * statements: the caller enables it again.
 */
extern void mig_pause(int ms);

#endif							/* MIG_BASE_PAUSE_H */
