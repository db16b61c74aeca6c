/*-------------------------------------------------------------------------
 *
 * store.h
 *	  Storing migrations: the gate of migrate.migration, add, load, remove,
 *	  amend, hold.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_STORE_H
#define MIG_STORE_H

#include "commands/trigger.h"
#include "migrate.h"

/* what load() did with one version; result is a constant string */
typedef void (*MigStoreSink) (const char *version, const char *name,
							  const char *path, const char *result,
							  void *arg);

/*
 * The trigger: hash and parse what is stored, protect what is applied.
 * Returns the tuple to go on with.
 */
extern HeapTuple mig_store_gate(TriggerData *trigger);

/*
 * Store one migration.  Nothing happens if it is there with the same text;
 * MIG_ERRCODE_TEXT_DIFFERS if it is there with another one.
 */
extern void mig_store_add(const char *project, MigSource *source);

/*
 * Store a set of migrations, all or none.  A pending one takes the new text,
 * an applied one with another text is MIG_ERRCODE_TEXT_DIFFERS.  prune deletes
 * pending ones that are not in the set.  Takes no lock and writes nothing if
 * nothing is different.  The sink gets the sources in the project's order,
 * then what is not in the set.
 */
extern void mig_store_load(const char *name, List *sources, bool prune,
						   MigStoreSink sink, void *arg);

extern void mig_store_remove(const char *project, const char *version);

/* NULL leaves a text as it is */
extern void mig_store_amend(const char *project, const char *version,
							const char *up, const char *down,
							const char *verify, const char *note);

/* reason NULL: let it go */
extern void mig_store_hold(const char *project, const char *version,
						   const char *reason);

#endif							/* MIG_STORE_H */
