/*-------------------------------------------------------------------------
 *
 * html.h
 *	  A report as one HTML page.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_REPORT_HTML_H
#define MIG_REPORT_HTML_H

#include "report/report.h"

/* one file that needs no other */
extern char *mig_report_html(const MigReport *report);

#endif							/* MIG_REPORT_HTML_H */
