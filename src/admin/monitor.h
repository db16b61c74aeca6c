/*-------------------------------------------------------------------------
 *
 * monitor.h
 *	  What runs are doing, and how they ended, seen from other sessions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADMIN_MONITOR_H
#define MIG_ADMIN_MONITOR_H

#include "base/migrate.h"

/* a row of the result; valid during the call */
typedef void (*MigRowSink) (Datum *values, bool *nulls, int count,
							void *arg);

/* one row, or none if the run does not exist; see doc/reference.md */
extern void mig_monitor_outcome(int64 run, MigRowSink sink, void *arg);

/* a row per run that is running or waiting in this database */
extern void mig_monitor_progress(MigRowSink sink, void *arg);

#endif							/* MIG_ADMIN_MONITOR_H */
