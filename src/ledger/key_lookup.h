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
#define MIG_KEY_WANTED 3

/* a table whose primary key is of text columns, and what is wanted of its rows */
typedef struct MigKeyLookup
{
	const char *table;
	int			nkeys;
	const char *keys[MIG_KEY_COLUMNS];
	const char *wanted[MIG_KEY_WANTED]; /* NULL: no more */
} MigKeyLookup;

/* has those of some kind that a plan cannot do without, see sql/parts */
#define MIG_SPECIAL_INDEX "migration_special_idx"

/*
 * SQL: the row of a project, $1, with this version, if there is one.  OFFSET
 * keeps it a look-up by the whole key for each row before it: plans for rows
 * that are thought to be few read all rows of the project again for each, and
 * "version = ANY" may be a filter on all of them.
 */
#define MIG_ROW_OF(columns, rows, version) \
	" LEFT JOIN LATERAL (SELECT " columns " FROM " rows \
	"  project OPERATOR(pg_catalog.=) $1" \
	"  AND version OPERATOR(pg_catalog.=) " version " OFFSET 0)"
#define MIG_MIGRATION_OF(version) \
	MIG_ROW_OF("*", "migrate.migration WHERE", version) " m ON true"
#define MIG_APPLIED_OF(version) \
	MIG_ROW_OF("*", \
			   "migrate.applied WHERE target OPERATOR(pg_catalog.=) '' AND", \
			   version) " a ON true"

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

/* the same, for who only looks, by the active snapshot */
extern Datum mig_key_lookup_tids_to_read(const MigKeyLookup *lookup,
										 const char *project, List *versions);

/*
 * Likewise of all rows, of any project, that an index has; of all rows of the
 * table if there is no such index.  By the active snapshot.
 */
extern Datum mig_key_lookup_tids_in(const MigKeyLookup *lookup,
									const char *index);

/*
 * The versions (char *) of a project after this one, byte by byte; the target
 * is empty.  By the active snapshot.
 */
extern List *mig_key_lookup_versions_after(const MigKeyLookup *lookup,
										   const char *project,
										   const char *version);

/*
 * The versions (char *) of a project that an index has whose only column is the
 * project.  False if there is no such index.  By the active snapshot.
 */
extern bool mig_key_lookup_versions_in(const MigKeyLookup *lookup,
									   const char *index,
									   const char *project, List **versions);

#endif							/* MIG_LEDGER_KEY_LOOKUP_H */
