/*-------------------------------------------------------------------------
 *
 * tables.h
 *	  Which objects the extension's tables are, and whose they are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_TABLES_H
#define MIG_LEDGER_TABLES_H

#include "base/sql.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

/*
 * Verify that the tables are what CREATE EXTENSION made and return their
 * owner; once in a transaction, unless something may have changed.  From then on
 * DROP EXTENSION waits for the transaction.  Raises MIG_ERRCODE_EXTENSION if the extension is not installed, its
 * objects are older or newer than this library, or a table has been replaced.
 */
extern Oid	mig_tables_owner(void);

/* the same, whatever was found before */
extern void mig_tables_check_again(void);

/*
 * Between begin and end that is also not done in each transaction, but for the
 * sequence; for runs that ask before and after each of many small ones.
 */
extern void mig_tables_trust_begin(void);
extern void mig_tables_trust_end(void);

/*
 * Changes whenever the definition of one of the tables may have changed; 0
 * outside of begin and end, where it is not maintained.
 */
extern uint64 mig_tables_generation(void);

/* the extension's own OID; 0 if it is not installed in this database */
extern Oid	mig_tables_extension(void);

/* OID of one of the tables, or of the sequence */
extern Oid	mig_tables_relation(const char *name);

/*
 * table_open() for one of the tables: MIG_ERRCODE_EXTENSION if it was dropped
 * while the lock was waited for.
 */
extern Relation mig_tables_open_table(const char *name, LOCKMODE mode);

/* mig_sql_begin() as the owner of the tables, after checking them */
extern void mig_tables_open(MigSqlScope *scope);
extern void mig_tables_close(MigSqlScope *scope);

#endif							/* MIG_LEDGER_TABLES_H */
