/*-------------------------------------------------------------------------
 *
 * bulk_insert.h
 *	  Inserting many rows into one table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_BULK_INSERT_H
#define MIG_LEDGER_BULK_INSERT_H

#include "access/htup.h"

/*
 * Insert tuples that fit the table, as COPY does, and make them visible to the
 * next command.  For tables of the extension; SPI must be connected.
 */
extern void mig_bulk_insert(Oid relation, HeapTuple *tuples, int count);

/*
 * Does inserting into this table run code that is not the extension's?  If not,
 * it does not matter under whose identity it is done.
 */
extern bool mig_bulk_insert_needs_sql(Oid relation);

#endif							/* MIG_LEDGER_BULK_INSERT_H */
