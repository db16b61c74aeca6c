/*-------------------------------------------------------------------------
 *
 * applied.h
 *	  Rows of migrate.applied, the ledger, one at a time.
 *
 * Runs under the tables' owner and gives the caller's identity back.
 * Those that write expect the caller to hold the runner lock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_APPLIED_H
#define MIG_LEDGER_APPLIED_H

#include "base/migrate.h"

/* by the primary key, so that it does not matter how many there are */
extern bool mig_applied_exists(const char *project, const char *version);

/* has anything ever been applied or recorded in this database, in any project? */
extern bool mig_applied_ever(void);

/* search_path of the newest run that applied anything; NULL if unknown */
extern char *mig_applied_newest_path(const char *project);

/* search_path of the run that applied this version; NULL if unknown */
extern char *mig_applied_path_of(const char *project, const char *version);

/* role under which the newest migration was applied, or NULL */
extern char *mig_applied_last_role(const char *project);

/* what is stored under these checksums counts as what was applied */
extern void mig_applied_accept(const char *project, const char *version,
							   const char *checksum,
							   const char *down_checksum);

/* the row of the ledger is that of this source from now on */
extern void mig_applied_rename(const char *project, const char *version,
							   const MigSource *source, const char *checksum,
							   const char *down_checksum);

#endif							/* MIG_LEDGER_APPLIED_H */
