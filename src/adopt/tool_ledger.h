/*-------------------------------------------------------------------------
 *
 * tool_ledger.h
 *	  The ledgers of other tools in this database, and what they say.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADOPT_TOOL_LEDGER_H
#define MIG_ADOPT_TOOL_LEDGER_H

#include "adopt/known_ledgers.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* a table that is taken for a tool's */
typedef struct MigToolLedger
{
	const MigKnownLedger *known;
	Oid			relation;
	char	   *name;			/* schema and name, quoted */
	AttrNumber	columns[MIG_LC_NCOLUMNS];	/* 0: it has none such */
} MigToolLedger;

/* all that there are (MigToolLedger *), by tool and name; reads catalogs only */
extern List *mig_tool_ledger_find(void);

/* is it still what it was when it was found?  To be asked once it is locked. */
extern bool mig_tool_ledger_recheck(MigToolLedger *ledger);

/* what this table is, or NULL */
extern MigToolLedger *mig_tool_ledger_of(Oid relation);

/*
 * Its entries (MigLedgerEntry *) in the order of application, without those that
 * an entry after them has taken back or that are ignored.  The caller holds a
 * lock on the relation, and has looked whether it can be read.
 */
extern List *mig_tool_ledger_entries(const MigToolLedger *ledger,
									 Relation relation,
									 Snapshot snapshot);

/* is the tool at work, by its lock or its table of locks? */
extern bool mig_tool_ledger_is_locked(const MigToolLedger *ledger);

/*
 * Keep the tool from running until the end of the transaction: take its
 * advisory lock and lock its table of locks, or raise 55P03 if it is running.
 * The ledger itself is locked by the caller.
 */
extern void mig_tool_ledger_lock(const MigToolLedger *ledger);

#endif							/* MIG_ADOPT_TOOL_LEDGER_H */
