/*-------------------------------------------------------------------------
 *
 * matching.h
 *	  Which migration of ours an entry of another tool's ledger is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADOPT_MATCHING_H
#define MIG_ADOPT_MATCHING_H

#include "adopt/known_ledgers.h"
#include "plan/plan.h"

typedef struct MigMatching MigMatching;

/* the project must outlive it */
extern MigMatching *mig_matching_create(const MigProject *project);

/*
 * The migration of this entry; NULL if there is none, or if several have the
 * only name that fits.
 */
extern MigEntry *mig_matching_find(const MigMatching *matching,
								   const MigLedgerEntry *entry);

/* has the migration this number, or a lower one?  Both are nothing but numbers. */
extern bool mig_matching_is_up_to(const MigEntry *migration, const char *key);

#endif							/* MIG_ADOPT_MATCHING_H */
