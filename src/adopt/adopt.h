/*-------------------------------------------------------------------------
 *
 * adopt.h
 *	  The face of the wing that takes histories over from other tools.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADOPT_H
#define MIG_ADOPT_H

#include "datatype/timestamp.h"

/* a row of detect() */
typedef struct MigDetected
{
	const char *tool;
	const char *ledger;			/* schema and table, quoted */
	int64		entries;		/* -1: it cannot be read */
	const char *newest;			/* NULL: there is none */
	bool		has_time;
	TimestampTz newest_at;
	const char *state;
	const char *detail;			/* NULL: nothing more to say */
} MigDetected;

typedef void (*MigDetectSink) (const MigDetected *detected, void *arg);

/*
 * The ledgers of other tools in this database.  Reads catalogs and these tables,
 * runs nobody's code, takes no lock but that of a reader.
 */
extern void mig_adopt_detect(MigDetectSink sink, void *arg);

/*
 * Raise MIG_ERRCODE_FOREIGN_LEDGER, or another elevel, if one of them has an
 * entry: see plan/plan_run.h.
 */
extern void mig_adopt_other_ledgers(int elevel);

/* a row of adopt() */
typedef struct MigAdopted
{
	int64		run;			/* 0: nothing was written about it */
	const char *version;		/* NULL: it is not stored here */
	const char *name;
	const char *action;
	const char *entry;			/* what the tool calls it, or NULL */
	bool		has_time;
	TimestampTz applied_at;
	const char *detail;
} MigAdopted;

typedef void (*MigAdoptSink) (const MigAdopted *adopted, void *arg);

typedef struct MigAdoption
{
	const char *project;
	const char *tool;			/* NULL: whichever there is */
	Oid			relation;		/* its ledger, or InvalidOid: the only one */
	bool		dry_run;		/* write nothing, and tell all */
	bool		accept;			/* take texts that are not the tool's */
	const char *note;
} MigAdoption;

/*
 * What the tool has applied is applied here from now on.  Its tables are locked
 * against changes and it cannot run until the transaction ends; nothing in them
 * is changed.  Raises MIG_ERRCODE_FOREIGN_LEDGER.
 */
extern void mig_adopt_run(const MigAdoption *adoption, MigAdoptSink sink,
						  void *arg);

#endif							/* MIG_ADOPT_H */
