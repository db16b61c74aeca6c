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
typedef struct MigInvalidIndex
{
	Oid			index;
	Oid			relation;
	char	   *name;			/* qualified and quoted */
	bool		valid;			/* by a rewrite of its table */
	char	   *definition;		/* a checksum, where it is asked for */
} MigInvalidIndex;

/*
 * Note in step what indexes there are before a concurrent build, so that
 * afterwards one can tell what it has left.  Names are looked up as the caller
 * and in the search_path of the body.
 */
extern void mig_invalid_index_note(const MigStatement *statement,
								   const char *sql,
								   MigStepRow *step);

/*
 * What the attempt before, of which step tells, has left: MigInvalidIndex * in
 * CurrentMemoryContext.
 */
extern List *mig_invalid_index_find(const MigStatement *statement,
									const char *sql,
									const MigStepRow *step);

/*
 * The name of the index that a CREATE INDEX should make, if the attempt before
 * has left it and it is valid by now; else NULL.  Raises
 * ERRCODE_DUPLICATE_TABLE if there is another one of that name, but for the
 * leftovers that mig_invalid_index_find() has found.
 */
extern char *mig_invalid_index_done(const MigStatement *statement,
									const char *sql,
									const MigStepRow *step,
									List *invalid_indexes);

/* the index of a TOAST table belongs to its owner, who cannot drop it */
extern bool mig_invalid_index_may_drop(const MigInvalidIndex *invalid);

/*
 * Make sure that nobody is building the index at this moment: takes a lock on
 * its table for the session, until mig_invalid_index_release(), or raises
 * ERRCODE_LOCK_NOT_AVAILABLE.  The name is the present one then, NULL if the
 * index is gone.
 */
extern void mig_invalid_index_claim(MigInvalidIndex *invalid);
extern void mig_invalid_index_release(const MigInvalidIndex *invalid);

/*
 * The statement that ends what the attempt before has begun, where that is
 * another one: FINALIZE for a partition that is pending to be detached.  NULL
 * if it is the same.
 */
extern char *mig_invalid_index_replacement(const char *sql);

/* is the transaction of COMMIT PREPARED or ROLLBACK PREPARED still there? */
extern bool mig_invalid_index_is_prepared(const char *sql);

/*
 * Raise MIG_ERRCODE_INVALID_INDEX if the statement is a CREATE INDEX ... IF NOT
 * EXISTS and the index that is there is not valid.
 */
extern void mig_invalid_index_check(const char *sql);

#endif							/* MIG_EXEC_INVALID_INDEX_H */
