/*-------------------------------------------------------------------------
 *
 * repair.h
 *	  Changing the ledger by hand: stamp, unstamp, prune the journal.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADMIN_REPAIR_H
#define MIG_ADMIN_REPAIR_H

#include "base/migrate.h"

typedef void (*MigRepairSink) (int64 run, const char *version,
							   const char *name, const char *action,
							   void *arg);

/*
 * Before the ledger is changed by hand: see that nothing forbids it, and take
 * the runner lock.
 */
extern void mig_repair_begin(const char *project, bool destructive,
							 const char *confirm);

/* no body is run; what is so already is left alone and not reported */
extern void mig_repair_stamp(const char *project, const char *version,
							 const char *origin, const char *note,
							 MigRepairSink sink, void *arg);
extern void mig_repair_unstamp(const char *project, const char *version,
							   const char *note, const char *confirm,
							   MigRepairSink sink, void *arg);
extern void mig_repair_stamp_to(const char *name, const char *target,
								const char *note, const char *confirm,
								MigRepairSink sink, void *arg);

/*
 * Say where the next run goes on with a migration that runs in several
 * transactions: at a statement, or after one that is done; the other is 0.
 */
extern void mig_repair_resume(const char *project, const char *version, int at,
							  int done, const char *note, MigRepairSink sink,
							  void *arg);

/* returns the number of journal rows deleted or shortened */
extern int64 mig_repair_prune_journal(const char *project, Datum older_than,
									  const char *note);

#endif							/* MIG_ADMIN_REPAIR_H */
