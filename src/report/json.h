/*-------------------------------------------------------------------------
 *
 * json.h
 *	  A report as JSON.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_REPORT_JSON_H
#define MIG_REPORT_JSON_H

#include "report/report.h"

/* valid JSON, whatever texts the report has */
extern char *mig_report_json(const MigReport *report);

#endif							/* MIG_REPORT_JSON_H */
