/*-------------------------------------------------------------------------
 *
 * index_definition.h
 *	  What an index is, but for its name, as a checksum that can be compared.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_INDEX_DEFINITION_H
#define MIG_EXEC_INDEX_DEFINITION_H

#include "nodes/parsenodes.h"

/* of an index that there is; NULL if it is gone */
extern char *mig_index_definition_of(Oid index);

/*
 * The same of the index that CREATE INDEX would make of this table, NULL if the
 * table is gone.  sql is the text of the statement.
 */
extern char *mig_index_definition_wanted(Oid relation, IndexStmt *original,
										 const char *sql);

/* has the index the storage parameters that the statement asks for? */
extern bool mig_index_definition_same_options(Oid index, const IndexStmt *stmt);

#endif							/* MIG_EXEC_INDEX_DEFINITION_H */
