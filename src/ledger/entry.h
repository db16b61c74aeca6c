/*-------------------------------------------------------------------------
 *
 * entry.h
 *	  Reading MigEntry: what is stored, applied and partly done of a project.
 *
 * Runs under the tables' owner and gives the caller's identity back.
 * Results are in CurrentMemoryContext.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_ENTRY_H
#define MIG_LEDGER_ENTRY_H

#include "base/migrate.h"

/*
 * All versions of a project, stored, applied or both, in bytewise order.
 * details also fills the checksums, and error of those that are not applied.
 */
extern MigEntry *mig_entry_all(const char *project, bool details, int *count);

/*
 * Those of these versions (char *) that exist, likewise; by the active
 * snapshot.
 */
extern MigEntry *mig_entry_named(const char *project, List *versions,
								 bool details, int *count);

/*
 * Versions (char *) of all that are not settled, and perhaps of others; some
 * twice.  By the active snapshot.  False if only a look at all can tell.
 */
extern bool mig_entry_unsettled(const char *project,
								const MigSettled *settled, List **versions);

/* these, in their order, without details; NULL if one does not exist */
extern MigEntry **mig_entry_in_order(const char *project, char **versions,
									 int count);

/* one of them, with details; NULL if there is none */
extern MigEntry *mig_entry_read(const char *project, const char *version);

#endif							/* MIG_LEDGER_ENTRY_H */
