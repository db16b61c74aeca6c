/*-------------------------------------------------------------------------
 *
 * project.h
 *	  The migrations of a project, read and put in order.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_PLAN_PROJECT_H
#define MIG_PLAN_PROJECT_H

#include "plan/plan.h"

/*
 * All migrations of a project that a plan may ask for; these versions (char *)
 * are among them, if there are such.  details and strict as in
 * ledger/entry.h and plan/plan.h.
 */
extern MigProject *mig_project_read(const char *name, List *versions,
									bool details, bool strict);

/* all of them, for what is about each, or about their neighbors */
extern MigProject *mig_project_read_all(const char *name, bool details,
										bool strict);

/* what a plan to undo asks for */
extern MigProject *mig_project_read_down(const char *name,
										 const MigDownChoice *choice);

/*
 * Is it worth to be written that nothing is to be done?  If it is not known
 * that all is complete, it is for what is settled, if that was not known.
 */
extern bool mig_project_has_news(const MigProject *project);

/*
 * Write what the project says into migrate.state.  It has been read in this
 * transaction with the runner lock held, and has been told of all changes that
 * this session has made since.
 */
extern void mig_project_write_state(const MigProject *project);

#endif							/* MIG_PLAN_PROJECT_H */
