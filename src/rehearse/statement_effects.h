/*-------------------------------------------------------------------------
 *
 * statement_effects.h
 *	  What a statement has done to relations.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_REHEARSE_STATEMENT_EFFECTS_H
#define MIG_REHEARSE_STATEMENT_EFFECTS_H

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

typedef struct MigEffects MigEffects;

/* a lock that a statement took on a relation that others can see */
typedef struct MigLockTaken
{
	char	   *relation;		/* qualified and quoted */
	const char *kind;			/* table, index, view, ... */
	LOCKMODE	mode;
	bool		blocks_reads;	/* of others, until the lock is given up */
	bool		blocks_writes;
	bool		held_before;	/* the transaction had it already */
	int64		bytes;			/* of the relation alone, -1: it has none */
	double		rows;			/* as the planner believes, -1: unknown */
} MigLockTaken;

/* how often all rows of a table were read, and how many in all */
typedef struct MigTableScan
{
	char	   *relation;
	int64		scans;
	int64		rows;
} MigTableScan;

/* what one statement did; names are qualified and quoted */
typedef struct MigStatementEffects
{
	List	   *locks;			/* of MigLockTaken *, the strongest first */
	List	   *rewritten;		/* tables; of char *, like the next ones */
	List	   *reindexed;		/* indexes that were there before */
	List	   *created;
	List	   *dropped;
	List	   *truncated;
	List	   *scans;			/* of MigTableScan * */
	int64		rewritten_bytes;	/* what rewritten tables have now */
	int64		wal_bytes;
	int64		blocks_read;	/* from the kernel or the disk */
	int64		blocks_dirtied;
} MigStatementEffects;

/*
 * Begin to watch the statements of a run.  The locks that the transaction has
 * are not those of any statement.  Everything is kept in a child of context.
 */
extern MigEffects *mig_statement_effects_begin(MemoryContext context);

/* also after an error; does nothing if nothing is watched */
extern void mig_statement_effects_end(void);

/*
 * What follows belongs to another migration: a lock that one before has taken
 * is reported again if this one would have taken it as well.
 */
extern void mig_statement_effects_next_migration(MigEffects *effects);

/*
 * What encloses a statement.  Both must be called in the same subtransaction,
 * with SPI connected; tag is the statement's command tag.  The result is in
 * CurrentMemoryContext.  A transient statement will be rolled back before the
 * run is, so that later ones do not find what it has locked and done.
 */
extern void mig_statement_effects_before(MigEffects *effects, bool transient);
extern MigStatementEffects *mig_statement_effects_after(MigEffects *effects,
														const char *tag);

/* instead of the end: the statement was rolled back, and so was its owner */
extern void mig_statement_effects_failed(MigEffects *effects);

#endif							/* MIG_REHEARSE_STATEMENT_EFFECTS_H */
