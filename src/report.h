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

#include "migrate.h"

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
	char	   *how;
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
} MigReportBody;

/* a step of the plan */
typedef struct MigReportStep
{
	int			step;
	char	   *version;
	char	   *name;
	char	   *kind;
	char	   *path;
	char	   *added_by;
	bool		own_transaction;
	char	   *reason;
	bool		irreversible;
	bool		has_down;
	MigReportBody up;
	MigReportBody down;
} MigReportStep;

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
	MigReportError *plan_error;
	int			nsteps;
	MigReportStep *steps;
} MigReport;

/* how many of what is applied a report names */
#define MIG_REPORT_LATEST	10

/*
 * Gather the facts, as the caller.  Of each body at most body_limit characters
 * are read; 0 is all of it.
 */
extern MigReport *mig_report_gather(const char *project, const char *target,
									bool rehearse, int body_limit);

#endif							/* MIG_REPORT_H */
