/*-------------------------------------------------------------------------
 *
 * report.h
 *	  The facts of a report, in the form that all formats are made from.
 *
 * Strings are in the server's encoding and come from the database: whatever
 * prints them has to escape them.  NULL where SQL has NULL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_REPORT_H
#define MIG_REPORT_H

#include "base/migrate.h"

/* what stopped a part of the report: SQLSTATEs of class MG only */
typedef struct MigReportError
{
	char	   *sqlstate;
	char	   *message;
	char	   *detail;
	char	   *hint;
} MigReportError;

/* a row of status(), and why it is as it is */
typedef struct MigReportEntry
{
	char	   *version;
	char	   *name;
	char	   *kind;
	char	   *state;
	char	   *origin;
	char	   *applied_at;		/* YYYY-MM-DDTHH:MI:SS.UUUUUUZ */
	char	   *applied_by;
	double		execution_ms;
	char	   *path;
	char	   *held_reason;
	/* of the newest attempt, if that failed */
	char	   *error;
	char	   *sqlstate;
	char	   *hint;
	char	   *part;
	int			statement;		/* 0: not in a statement */
	int			line;
	char	   *failed_at;
	char	   *failed_by;
} MigReportEntry;

/* one text of a pending migration */
typedef struct MigReportBody
{
	char	   *text;			/* NULL: there is none, or it is not shown */
	int64		bytes;			/* of the whole; text may be its beginning */
	int64		lines;
	char	   *path;			/* its file, or NULL */
	int			first_line;		/* where it begins there; 1 if that is not
								 * known */
	bool		in_file;		/* lines are those of the file */
} MigReportBody;

/* a row of lint() */
typedef struct MigReportFinding
{
	char	   *part;			/* NULL: about the migration as a whole */
	int			line;			/* 0: not in a statement */
	char	   *rule;
	char	   *severity;		/* error, warning or note */
	char	   *relation;
	int64		bytes;			/* of the relation, -1: not known */
	double		rows;
	char	   *message;
	char	   *instead;
	char	   *link;
	char	   *json;			/* the row, without version and name */
} MigReportFinding;

/* how many of each severity */
typedef struct MigReportCounts
{
	int			errors;
	int			warnings;
	int			notes;
} MigReportCounts;

/* a lock that a statement took */
typedef struct MigReportLock
{
	char	   *relation;
	char	   *kind;
	char	   *mode;			/* ACCESS EXCLUSIVE */
	bool		blocks_reads;
	bool		blocks_writes;
	bool		held_before;	/* an earlier migration had it already */
	int64		bytes;			/* -1: not known */
	double		rows;
} MigReportLock;

/* a table that a statement read from one end to the other */
typedef struct MigReportScan
{
	char	   *relation;
	double		rows;
} MigReportScan;

/* a row of rehearse() */
typedef struct MigReportStatement
{
	char	   *part;			/* NULL: about the migration as a whole */
	int			statement;
	int			line;
	char	   *tag;
	double		start_ms;		/* since the migration began */
	double		execution_ms;
	int64		row_count;
	int			nlocks;
	MigReportLock *locks;
	int			nscans;
	MigReportScan *scans;
	char	   *rewritten;		/* names with commas between, or NULL */
	char	   *reindexed;
	char	   *created;
	char	   *dropped;
	char	   *truncated;
	int64		wal_bytes;
	char	   *skipped;		/* why it was not run */
	char	   *sqlstate;		/* of its error */
	char	   *message;
	char	   *hint;
	char	   *json;			/* the row, without version, name, detail and
								 * locks */
} MigReportStatement;

/* a step of the plan */
typedef struct MigReportStep
{
	int			step;
	char	   *version;
	char	   *name;
	char	   *kind;
	char	   *added_by;
	bool		own_transaction;
	char	   *reason;
	bool		irreversible;
	bool		has_down;
	MigReportBody up;
	MigReportBody down;

	/* lint() */
	List	   *findings;		/* of MigReportFinding * */
	MigReportCounts counts;

	/* rehearse() */
	int			nstatements;
	MigReportStatement *statements;
	double		start_ms;		/* since the rehearsal began */
	double		execution_ms;
	int			skipped;		/* statements that were not run */
	const MigReportStatement *failed;	/* the one with the error, or NULL */
	const MigReportLock *worst; /* the lock that is in the way most, or NULL */
	double		worst_ms;		/* how long it is held */
} MigReportStep;

/* what would happen if everything that is pending were applied now */
typedef enum MigReportVerdict
{
	MIG_VERDICT_NOTHING,		/* nothing is pending */
	MIG_VERDICT_RUNS,
	MIG_VERDICT_FAILS,
	MIG_VERDICT_REFUSED,
	MIG_VERDICT_EMPTY,			/* no migrations */
	MIG_VERDICT_GONE			/* what was applied went with its schema */
} MigReportVerdict;

typedef struct MigReport
{
	/* where and when */
	char	   *database;
	char	   *project;
	char	   *target;			/* NULL: everything */
	char	   *server_version;
	char	   *extension_version;
	char	   *role;
	char	   *made_at;
	bool		bodies_shown;	/* the caller may read them */

	/* what is there */
	int			nentries;
	MigReportEntry *entries;	/* in the order of application */
	int			applied;
	char	   *newest;			/* the last of them in the order */
	int			nlatest;
	MigReportEntry **latest;	/* applied last, newest first */
	int			nattention;
	MigReportEntry **attention; /* failed, partial, changed, held, missing */

	/* what is to come */
	MigReportVerdict verdict;
	char	   *verdict_text;	/* "would run" */
	const MigReportStep *failed;	/* the first whose rehearsal did, or NULL */
	MigReportError *plan_error;
	int			nsteps;
	MigReportStep *steps;
	MigReportError *lint_error;
	MigReportCounts counts;		/* of all findings */
	bool		rehearsed;
	MigReportError *rehearsal_error;
	double		execution_ms;	/* of all that was rehearsed */
} MigReport;

/* how many of what is applied a report names */
#define MIG_REPORT_LATEST	10

/*
 * Gather the facts, as the caller.  Of each body at most body_limit characters
 * are read; 0 is all of it.
 */
extern MigReport *mig_report_gather(const char *project, const char *target,
									bool rehearse, int body_limit);

/* count a finding of this severity in */
extern void mig_report_count(MigReportCounts *counts, const char *severity);

/* does the verdict let anybody go on?  Nothing to do, of nothing at all, does not */
extern bool mig_report_is_good(const MigReport *report);

/* "nothing", "runs", "fails", "refused" */
extern const char *mig_report_verdict_name(MigReportVerdict verdict);

/* the body of that name, "up" or "down"; NULL: another, or none */
extern const MigReportBody *mig_report_body(const MigReportStep *step,
											const char *part);

/* "001_a.sql:9", or "line 9" where there is no file; NULL: no place at all */
extern char *mig_report_place(const MigReportStep *step, const char *part,
							  int line);

/*
 * How much a lock is in the way of others: 3 of reads, 2 of writes, 1 of other
 * migrations and VACUUM, 0 of hardly anybody.
 */
extern int	mig_report_strength(const MigReportLock *lock);

#endif							/* MIG_REPORT_H */
