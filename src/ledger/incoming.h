/*-------------------------------------------------------------------------
 *
 * incoming.h
 *	  Sources as a relation that statements can read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_INCOMING_H
#define MIG_LEDGER_INCOMING_H

#include "base/migrate.h"
#include "utils/tuplestore.h"

/*
 * Make the sources (MigSource *) readable as "incoming" for the statements of
 * the current SPI connection.  The lists of checksums (char *), one for each
 * source, may be NIL; with them, the bodies are left out.  The caller frees the
 * result with tuplestore_end().
 */
extern Tuplestorestate *mig_incoming_register(List *sources, List *checksums,
											  List *down_checksums);

#endif							/* MIG_LEDGER_INCOMING_H */
