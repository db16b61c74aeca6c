/*-------------------------------------------------------------------------
 *
 * trigger.h
 *	  The gate: the trigger of the tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADMIN_TRIGGER_H
#define MIG_ADMIN_TRIGGER_H

#include "base/migrate.h"
#include "commands/trigger.h"

/*
 * The trigger: hash and parse what is stored, protect what is applied.
 * Returns the tuple to go on with.
 */
extern HeapTuple mig_trigger_gate(TriggerData *trigger);

/*
 * Around a statement of ours that stores texts: they have been parsed, those of
 * applied migrations may change, and by part whose they are.
 */
extern void mig_trigger_begin(bool amends, const MigAuthor *authors);
extern void mig_trigger_end(void);

/* the name of the current role */
extern const char *mig_trigger_caller(void);

/*
 * Whose texts they are that a function has been given: the caller's own, unless
 * a superuser says others'.
 */
extern void mig_trigger_find_authors(const MigAuthor *named, MigAuthor *authors);

#endif							/* MIG_ADMIN_TRIGGER_H */
