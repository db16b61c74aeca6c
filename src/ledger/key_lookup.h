/*-------------------------------------------------------------------------
 *
 * key_lookup.h
 *	  Rows of the books, found by their primary key.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_KEY_LOOKUP_H
#define MIG_LEDGER_KEY_LOOKUP_H

#include "nodes/pg_list.h"

#define MIG_KEY_COLUMNS 3
#define MIG_KEY_WANTED 2

/* a table whose primary key is of text columns, and what is wanted of its rows */
typedef struct MigKeyLookup
{
	const char *table;
	int			nkeys;
	const char *keys[MIG_KEY_COLUMNS];
	const char *wanted[MIG_KEY_WANTED]; /* NULL: no more */
} MigKeyLookup;

/*
 * The wanted columns of the row with this key, copied; false if there is none.
 * Sees what is committed now, and what this transaction has done.
 */
extern bool mig_key_lookup_row(const MigKeyLookup *lookup,
							   const char *const *key,
							   Datum *values, bool *nulls);

/*
 * An array (tid[]) of where the rows of these versions (char *) are, for "ctid =
 * ANY".  The key is project and version, or project, target and version; the
 * target is empty.
 */
extern Datum mig_key_lookup_tids(const MigKeyLookup *lookup,
								 const char *project,
								 List *versions);

#endif							/* MIG_LEDGER_KEY_LOOKUP_H */
