/*-------------------------------------------------------------------------
 *
 * timeline.h
 *	  The locks of a rehearsal over time, as a picture.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_REPORT_TIMELINE_H
#define MIG_REPORT_TIMELINE_H

#include "lib/stringinfo.h"

#include "report/report.h"

/* a section with an SVG; nothing if nothing was locked */
extern void mig_report_timeline(StringInfo buf, const MigReport *report);

#endif							/* MIG_REPORT_TIMELINE_H */
