/*-------------------------------------------------------------------------
 *
 * known_ledgers.h
 *	  The tables in which other tools keep what they have applied.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADOPT_KNOWN_LEDGERS_H
#define MIG_ADOPT_KNOWN_LEDGERS_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* what the columns of a ledger say, whatever their names are */
typedef enum MigLedgerColumn
{
	MIG_LC_KEY,					/* what the tool calls the migration */
	MIG_LC_NAME,				/* another name for it, such as its file */
	MIG_LC_GROUP,				/* which of several histories it belongs to */
	MIG_LC_ORDER,				/* grows with each application */
	MIG_LC_TIME,				/* when it was applied */
	MIG_LC_DURATION,			/* see ms_per_unit */
	MIG_LC_AUTHOR,				/* who applied it */
	MIG_LC_CHECKSUM,
	MIG_LC_STATUS,				/* these four: as the tool's reader takes them */
	MIG_LC_STATUS2,
	MIG_LC_STATUS3,
	MIG_LC_STATUS4,
	MIG_LC_TEXT,				/* what was run */
	MIG_LC_DOWN_TEXT,
	MIG_LC_NCOLUMNS
} MigLedgerColumn;

/* how the entries of a ledger name migrations */
typedef enum MigLedgerMeaning
{
	MIG_LEDGER_EACH,			/* an entry is a migration */
	MIG_LEDGER_UP_TO,			/* and so are all with lower numbers */
	MIG_LEDGER_HEADS			/* and all that it requires */
} MigLedgerMeaning;

/* what a tool's checksum is of */
typedef enum MigLedgerChecksum
{
	MIG_CHECKSUM_NONE,			/* none, or one that a text does not give */
	MIG_CHECKSUM_FLYWAY,		/* CRC-32 of the lines, signed */
	MIG_CHECKSUM_MD5,			/* of the file, in hex, as are the next ones */
	MIG_CHECKSUM_SHA1,
	MIG_CHECKSUM_SHA256,
	MIG_CHECKSUM_SHA384,
	MIG_CHECKSUM_BY_LENGTH,		/* MD5, SHA-1 or SHA-256, as long as it is */
	MIG_CHECKSUM_GRAPHILE		/* SHA-1 of the one before and the body */
} MigLedgerChecksum;

/* the advisory lock that a tool holds while it runs */
typedef enum MigLedgerLock
{
	MIG_LOCK_NONE,
	MIG_LOCK_FIXED,				/* lock_key */
	MIG_LOCK_FLYWAY,			/* of the table's name */
	MIG_LOCK_GOLANG_MIGRATE,	/* of database, schema and table */
	MIG_LOCK_OF_DATABASE		/* lock_key times CRC-32 of the database */
} MigLedgerLock;

/* what became of a migration, by its entry */
typedef enum MigEntryState
{
	MIG_ENTRY_APPLIED,
	MIG_ENTRY_UNDONE,			/* takes back an entry before it */
	MIG_ENTRY_FAILED,			/* failed, or has never ended */
	MIG_ENTRY_IGNORED			/* is about something else */
} MigEntryState;

/* a value of a ledger; the text is NULL for null */
typedef struct MigLedgerValue
{
	char	   *text;
	bool		is_time;
	TimestampTz time;
} MigLedgerValue;

typedef struct MigLedgerEntry
{
	char	   *key;			/* never NULL */
	char	   *name;			/* the rest may be NULL */
	char	   *group;
	char	   *applied_by;
	char	   *checksum;
	char	   *text;
	char	   *down_text;
	char	   *problem;		/* of MIG_ENTRY_FAILED */
	MigEntryState state;
	bool		up_to;			/* stands for all with lower numbers, too */
	bool		has_time;
	TimestampTz applied_at;
	double		duration_ms;	/* 0: not known */
	int64		order;
	int			position;		/* in the table */
} MigLedgerEntry;

/*
 * Fill state and problem from the STATUS columns; the rest is filled already.
 */
typedef void (*MigLedgerReader) (const MigLedgerValue *values,
								 MigLedgerEntry *entry);

typedef struct MigKnownLedger
{
	const char *tool;
	const char *schema;			/* NULL: any */
	const char *table;

	/* names of columns; one after '?' may be missing */
	const char *columns[MIG_LC_NCOLUMNS];
	const char *without;		/* a column that it has not, or NULL */
	bool		no_more;		/* it has no other columns */
	const char *beside;			/* a table in the same schema; '!': not there */
	MigLedgerMeaning meaning;
	MigLedgerReader read;		/* NULL: each entry is applied */
	bool		last_counts;	/* of the entries of one key */
	double		ms_per_unit;	/* of the duration; 0: milliseconds */
	MigLedgerChecksum checksum;
	MigLedgerLock lock;
	int64		lock_key;

	/*
	 * A table beside it whose first row has true, or a number but 0, in a
	 * column while the tool runs.
	 */
	const char *lock_table;
	const char *lock_column;
} MigKnownLedger;

/* NULL at the end */
extern const MigKnownLedger *mig_known_ledgers_get(int i);

/* is there a ledger of that tool? */
extern bool mig_known_ledgers_has_tool(const char *tool);

/* their names, for a hint */
extern char *mig_known_ledgers_names(void);

#endif							/* MIG_ADOPT_KNOWN_LEDGERS_H */
