/*-------------------------------------------------------------------------
 *
 * journal.h
 *	  Recording runs: rows of migrate.journal, body and applied.
 *
 * Everything here works under the tables' owner and gives the caller's
 * identity back.  Those that write expect the caller to hold the runner lock,
 * but for mig_journal_insert_packed().
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_JOURNAL_H
#define MIG_LEDGER_JOURNAL_H

#include "access/xlogdefs.h"
#include "base/migrate.h"

/* what one statement took; goes into journal.statements */
typedef struct MigTiming
{
	MigPart		part;
	int			line;
	const char *tag;
	double		execution_ms;
	uint64		row_count;
} MigTiming;

/* why an attempt failed; strings may be NULL */
typedef struct MigFailure
{
	bool		in_body;		/* part, statement and line are known */
	MigPart		part;
	int			statement;		/* from 1 */
	int			line;
	int			position;		/* in the body, in characters; 0: unknown */
	const char *sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
	const char *context;
} MigFailure;

/* what a row of the journal does to the ledger */
typedef enum MigLedgerEffect
{
	MIG_EFFECT_NONE,
	MIG_EFFECT_APPLIED,			/* adds the version, or replaces its row */
	MIG_EFFECT_UNDONE			/* takes it out */
} MigLedgerEffect;

/* a row of migrate.journal, less what is the same for a whole session */
typedef struct MigJournalRow
{
	int64		run;
	int			seq;			/* in the run, from 1 */
	const char *action;
	const char *project;
	const char *version;		/* NULL: the attempt is not about one */
	const char *name;
	TimestampTz started_at;
	double		execution_ms;
	const char *checksum;
	const char *down_checksum;
	const char *body_hash;		/* exact hash of the text that ran */
	const char *verify_hash;
	const char *body;			/* amend: which text was replaced */
	MigLedgerEffect effect;
	const char *origin;			/* for the ledger */

	/* for the ledger, if another tool has applied it; or 0 and NULL */
	TimestampTz applied_at;
	double		applied_ms;
	const char *applied_by;
	bool		replace;		/* the version is in the ledger already */
	int			ntimings;
	const MigTiming *timings;
	const MigFailure *failure;	/* NULL: success */
	const char *role;
	const char *search_path;
	const char *note;
	XLogRecPtr	wal_start;
	XLogRecPtr	wal_end;
} MigJournalRow;

/* execution_ms from then to now; never less than 0: clocks are set */
extern double mig_journal_elapsed_ms(TimestampTz since);

/* rows on their way into the books; written together */
typedef struct MigJournalBatch MigJournalBatch;

/*
 * Number of a new run; numbers of failed runs are not given again, nor are
 * those that rows of the books have already.
 */
extern int64 mig_journal_next_run(void);

/* start a row for something that runs no body: stamp, hold, ... */
extern void mig_journal_event(MigJournalRow *row, int64 run,
							  const char *project, const char *action,
							  const char *note);

/*
 * Start a row for a version that goes out of the ledger without its down body,
 * so that it is pending.
 */
extern void mig_journal_give_up(MigJournalRow *row, int64 run,
								const char *project, const MigEntry *entry,
								const char *note);

/*
 * A batch lives in CurrentMemoryContext and is freed by
 * mig_journal_batch_end().  What is added to it is written when there is
 * enough of it, and by mig_journal_batch_flush(): the journal's rows, the
 * ledger's share of them, and the bodies that are not there yet.
 */
extern MigJournalBatch *mig_journal_batch_begin(void);

/* the place of a row of MIG_EFFECT_APPLIED in the order of application, else 0 */
extern int64 mig_journal_batch_add(MigJournalBatch *batch,
								   const MigJournalRow *row);
extern void mig_journal_batch_add_body(MigJournalBatch *batch,
									   const char *hash, int64 run,
									   const char *text);
extern void mig_journal_batch_flush(MigJournalBatch *batch);

/* forget what has not been written: its transaction was rolled back */
extern void mig_journal_batch_discard(MigJournalBatch *batch);
extern void mig_journal_batch_end(MigJournalBatch *batch);

/*
 * A journal row as bytes that another process of the same database can
 * insert with mig_journal_insert_packed().  The latter returns false without
 * inserting when the same failure was journalled less than quiet_seconds ago.
 */
extern bytea *mig_journal_pack(const MigJournalRow *row);
extern bool mig_journal_insert_packed(bytea *packed, const char *text,
									  int quiet_seconds);

/*
 * migrate.statement_timing[] and back; the result is in CurrentMemoryContext.
 * table and row are for the error about what is not ours.
 */
extern Oid	mig_journal_timings_type(void);
extern Datum mig_journal_timings(const MigTiming *timings, int count);
extern MigTiming *mig_journal_read_timings(Datum array, const char *table,
										   const char *row, int *count);

/* is there such a run, over or not?  A null project: of any */
extern bool mig_journal_has_run(const char *project, int64 run);

/* delete failures and statement timings older than an interval */
extern int64 mig_journal_prune(const char *project, Datum older_than);

#endif							/* MIG_LEDGER_JOURNAL_H */
