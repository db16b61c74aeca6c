/*-------------------------------------------------------------------------
 *
 * init.c
 *	  Entry point of the library.
 *
 * Nothing is preloaded and loading sets no hook: the library is loaded by the first
 * call of one of its functions, and does nothing on its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "adopt/adopt.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/migrate.h"
#include "plan/plan_run.h"
#include "plan/run_lock.h"

MIG_MODULE_MAGIC(MIG_EXTENSION_NAME, MIG_VERSION);

void		_PG_init(void);

/* the server calls this when it has loaded the library */
void
_PG_init(void)
{
	mig_guc_define();
	mig_run_lock_init();
	mig_plan_run_other_ledgers = mig_adopt_other_ledgers;
}
