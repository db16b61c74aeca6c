/*-------------------------------------------------------------------------
 *
 * state.h
 *	  The rows of migrate.state: what need not be looked at.
 *
 * Like ledger/migration.h, under the tables' owner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_STATE_H
#define MIG_LEDGER_STATE_H

#include "base/migrate.h"

/* false if there is no row yet; without what is settled */
extern bool mig_state_read(const char *project, MigState *state);

/*
 * Which migrations of a project are settled, by the active snapshot, with which
 * the others are to be read.  NULL as "through" if that is not known.
 */
extern void mig_state_settled(const char *project, MigSettled *settled);

/*
 * Write what has been found by the migrations that were read after
 * mig_state_settled() in this transaction.  If the ledger has been
 * changed since, nothing is known.  The caller has the runner lock.
 */
extern void mig_state_write(const char *project, const MigState *state);

/* something may be pending now, in any project */
extern void mig_state_invalidate(void);

/*
 * Which files were loaded last, as their fingerprint, if no migration has been
 * stored, changed or deleted since.  Who writes it has the runner lock.
 */
extern void mig_state_write_files(const char *project, const char *files);
extern void mig_state_forget_files(const char *project);	/* NULL: of all */

/*
 * Are these the files, and is all that is stored applied?  *newest is the
 * version that was applied last.
 */
extern bool mig_state_has_files(const char *project, const char *files,
								MigState *state);

/* nothing is known of any project */
extern void mig_state_forget(void);

/*
 * These versions (char *) are about to change, or have, and are not settled any
 * more.  The row is written in any case, once in a transaction, so that who has
 * read it notices; one that does not exist is made only if the versions were
 * there before.
 */
extern void mig_state_unsettle(const char *project, List *versions,
							   bool were_there);

/*
 * The same for one row of a statement that has the runner lock, and only if it
 * was settled.  mig_state_begin_statement() comes before the first row.
 */
extern void mig_state_begin_statement(void);
extern void mig_state_unsettle_row(const char *project, const char *version);

/*
 * What encloses changes by those who know of them when they call
 * mig_state_write(): mig_state_explain() with what mig_state_changes() was.
 */
extern uint64 mig_state_changes(void);
extern void mig_state_explain(uint64 changes);

#endif							/* MIG_LEDGER_STATE_H */
