/*-------------------------------------------------------------------------
 *
 * markdown.h
 *	  A report for a comment on a pull request.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_REPORT_MARKDOWN_H
#define MIG_REPORT_MARKDOWN_H

#include "report/report.h"

/* not longer than a comment on GitHub may be */
extern char *mig_report_markdown(const MigReport *report);

#endif							/* MIG_REPORT_MARKDOWN_H */
