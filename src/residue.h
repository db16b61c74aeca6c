/*-------------------------------------------------------------------------
 *
 * residue.h
 *	  What bodies leave in the session though they have been rolled back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RESIDUE_H
#define MIG_RESIDUE_H

#include "nodes/pg_list.h"

typedef struct MigResidue
{
	List	   *prepared;		/* names and times of prepared statements */
	List	   *advisory;		/* advisory locks of the session */
} MigResidue;

/* note what there is, in CurrentMemoryContext */
extern MigResidue *mig_residue_note(void);

/*
 * After the roll-back: take prepared statements and advisory locks away that
 * have come since, and take advisory locks again that were given up.  A
 * statement that was deallocated cannot be brought back, nor can a lock that
 * somebody else has by now: for these there is a WARNING.
 */
extern void mig_residue_remove(const MigResidue *before);

#endif							/* MIG_RESIDUE_H */
