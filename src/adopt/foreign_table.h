/*-------------------------------------------------------------------------
 *
 * foreign_table.h
 *	  Reading a table that anybody may have made, without running their code.
 *
 * No query is made of it: the planner folds expressions of indexes and
 * constraints, and those call functions.  Only ordinary tables without row-level
 * security are read, and only columns of some types of the server's own.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADOPT_FOREIGN_TABLE_H
#define MIG_ADOPT_FOREIGN_TABLE_H

#include "adopt/known_ledgers.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* the ordinary, not temporary tables of that name (Oid), in any schema */
extern List *mig_foreign_table_named(const char *name);

/* its schema and name, quoted */
extern char *mig_foreign_table_name(Oid relation);

/*
 * The number of the column; 0 if there is none, or none of a type that can be
 * read.
 */
extern AttrNumber mig_foreign_table_column(Oid relation, const char *name);

/*
 * Why the current role cannot read it, for DETAIL, or NULL if it can: the
 * privilege, and row-level security, which would hide rows.
 */
extern const char *mig_foreign_table_unreadable(Oid relation);

typedef void (*MigForeignRow) (const MigLedgerValue *values, void *arg);

/*
 * Call a function with the values of these columns (0: null) of each row that
 * the snapshot sees, in the order of the table.  They are in a context that is
 * reset after the call.
 */
extern void mig_foreign_table_read(Relation relation, Snapshot snapshot,
								   const AttrNumber *columns, int ncolumns,
								   MigForeignRow row, void *arg);

#endif							/* MIG_ADOPT_FOREIGN_TABLE_H */
