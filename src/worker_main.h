/*-------------------------------------------------------------------------
 *
 * worker_main.h
 *	  Entry points of background workers, found by name.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_WORKER_MAIN_H
#define MIG_WORKER_MAIN_H

extern PGDLLEXPORT void mig_failure_worker_main(Datum main_arg);
extern PGDLLEXPORT void mig_run_worker_main(Datum main_arg);

#endif							/* MIG_WORKER_MAIN_H */
