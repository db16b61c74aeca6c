/*-------------------------------------------------------------------------
 *
 * invalid_index.h
 *	  What a concurrent statement leaves behind that was cut off.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_INVALID_INDEX_H
#define MIG_EXEC_INVALID_INDEX_H

#include "ledger/step.h"
#include "source/body.h"

/* an index that a statement has left */
typedef struct MigLeftover
{
	Oid			index;
	Oid			relation;
	char	   *name;			/* qualified and quoted */
	bool		valid;			/* by a rewrite of its table */
	char	   *definition;		/* a checksum, where it is asked for */
} MigLeftover;

/*
 * Note in step what indexes there are before a concurrent build, so that
 * afterwards one can tell what it has left.  Names are looked up as the caller
 * and in the search_path of the body.
 */
extern void mig_leftover_note(const MigStatement *statement, const char *sql,
							  MigPartialStep *step);

/*
 * What the attempt before, of which step tells, has left: MigLeftover * in
 * CurrentMemoryContext.
 */
extern List *mig_leftover_find(const MigStatement *statement, const char *sql,
							   const MigPartialStep *step);

/*
 * The name of the index that a CREATE INDEX should make, if the attempt before
 * has left it and it is valid by now; else NULL.  Raises
 * ERRCODE_DUPLICATE_TABLE if there is another one of that name, but for the
 * leftovers that mig_leftover_find() has found.
 */
extern char *mig_leftover_done(const MigStatement *statement, const char *sql,
							   const MigPartialStep *step, List *leftovers);

/* the index of a TOAST table belongs to its owner, who cannot drop it */
extern bool mig_leftover_may_drop(const MigLeftover *leftover);

/*
 * Make sure that nobody is building the index at this moment: takes a lock on
 * its table for the session, until mig_leftover_release(), or raises
 * ERRCODE_LOCK_NOT_AVAILABLE.  The name is the present one then, NULL if the
 * index is gone.
 */
extern void mig_leftover_claim(MigLeftover *leftover);
extern void mig_leftover_release(const MigLeftover *leftover);

/*
 * The statement that ends what the attempt before has begun, where that is
 * another one: FINALIZE for a partition that is pending to be detached.  NULL
 * if it is the same.
 */
extern char *mig_leftover_replacement(const char *sql);

/* is the transaction of COMMIT PREPARED or ROLLBACK PREPARED still there? */
extern bool mig_leftover_is_prepared(const char *sql);

/*
 * Raise MIG_ERRCODE_INVALID_INDEX if the statement is a CREATE INDEX ... IF NOT
 * EXISTS and the index that is there is not valid.
 */
extern void mig_leftover_check_index(const char *sql);

#endif							/* MIG_EXEC_INVALID_INDEX_H */
