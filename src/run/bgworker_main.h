/*-------------------------------------------------------------------------
 *
 * bgworker_main.h
 *	  Entry points of background workers, found by name.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_RUN_BGWORKER_MAIN_H
#define MIG_RUN_BGWORKER_MAIN_H

/* where background workers begin: their names are in the requests for them */
extern PGDLLEXPORT void mig_bgworker_failure_main(Datum main_arg);
extern PGDLLEXPORT void mig_bgworker_run_main(Datum main_arg);

#endif							/* MIG_RUN_BGWORKER_MAIN_H */
