/*-------------------------------------------------------------------------
 *
 * deferrable.h
 *	  The tables with deferrable triggers, constraint triggers among them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_DEFERRABLE_H
#define MIG_EXEC_DEFERRABLE_H

#include "nodes/pg_list.h"

/*
 * The OIDs of all tables of this database that have deferrable triggers by now,
 * and perhaps of some that had.  The list is valid until the next call.  Reads
 * pg_trigger once in a session, and then only the rows of what has changed.
 */
extern const List *mig_deferrable_tables(void);

#endif							/* MIG_EXEC_DEFERRABLE_H */
