/*-------------------------------------------------------------------------
 *
 * project_names.h
 *	  Which projects there are, and what is said of one that is empty.
 *
 * Runs under the tables' owner and gives the caller's identity back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_PROJECT_NAMES_H
#define MIG_LEDGER_PROJECT_NAMES_H

#include "nodes/pg_list.h"

/* the names of all projects that have a migration, stored or applied */
extern List *mig_project_names(void);

/*
 * Say, as an error or a warning, that a project has no migrations: its name may
 * be wrong, or nothing was loaded.
 */
extern void mig_project_names_tell_empty(const char *project, int elevel);

/* is that so? */
extern bool mig_project_names_is_empty(const char *project);

/* warn if that is so */
extern void mig_project_names_warn_if_empty(const char *project);

/*
 * Warn that a project which was empty has migrations now, if the database has
 * others: its name may be wrong, and the same texts be applied in one of them.
 */
extern void mig_project_names_tell_new(const char *project);

#endif							/* MIG_LEDGER_PROJECT_NAMES_H */
