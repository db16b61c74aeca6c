/*-------------------------------------------------------------------------
 *
 * timeout.h
 *	  How long a migration may take, and each of its statements.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_TIMEOUT_H
#define MIG_EXEC_TIMEOUT_H

#include "base/migrate.h"

/*
 * What migrate.timeout limits: everything in between.  The error of a
 * statement that was canceled by it is to be given to mig_timeout_explain()
 * before mig_timeout_end().
 */
extern void mig_timeout_begin(void);
extern void mig_timeout_end(void);
extern void mig_timeout_explain(ErrorData *edata, const char *version);

/*
 * A statement_timeout that a body has SET must not outlive it: set the timer
 * as the session's own setting says.
 */
extern void mig_timeout_restart(void);

#endif							/* MIG_EXEC_TIMEOUT_H */
