/*-------------------------------------------------------------------------
 *
 * psql_script.h
 *	  A plan as SQL for psql.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADMIN_PSQL_SCRIPT_H
#define MIG_ADMIN_PSQL_SCRIPT_H

/*
 * SQL that psql runs to take a database, whatever its ledger says, from one
 * version to another, and that leaves the same ledger as apply() or rollback()
 * would.  from and to are versions, "base" or "head".  In one transaction only
 * if that is asked for.
 */
extern char *mig_psql_script(const char *project, const char *from,
							 const char *to, bool one_transaction);

#endif							/* MIG_ADMIN_PSQL_SCRIPT_H */
