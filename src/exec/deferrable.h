/*-------------------------------------------------------------------------
 *
 * deferrable.h
 *	  The tables with deferrable triggers that this transaction has locked.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_DEFERRABLE_H
#define MIG_EXEC_DEFERRABLE_H

#include "nodes/pg_list.h"

/*
 * The OIDs of all tables that may have an event put off.  There may be some
 * among them that cannot have any.  Costs time in proportion to what has been
 * locked since the last call.  The list is palloc'd.
 */
extern List *mig_deferrable_locked_tables(void);

#endif							/* MIG_EXEC_DEFERRABLE_H */
