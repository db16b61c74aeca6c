/*-------------------------------------------------------------------------
 *
 * bgworker_main.c
 *	  What runs inside a background worker.
 *
 * The one that records a failure is connected as the bootstrap superuser and
 * touches nothing but the extension's tables, under their owner's identity (see
 * base/sql.c).  The one that runs migrations is connected as who has asked for
 * them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "pgstat.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "base/bgworker.h"
#include "base/compat.h"
#include "exec/failure_record.h"
#include "run/background.h"
#include "run/bgworker_main.h"

/*
 * ALTER DATABASE SET reaches background workers too; none of this may keep the
 * worker from writing or have it wait for long.
 */
static void
set_worker_settings(void)
{
	static const char *const settings[][2] = {
		{"default_transaction_read_only", "off"},
		{"default_transaction_isolation", "read committed"},
		{"session_replication_role", "origin"},
		{"statement_timeout", "0"},
		{"lock_timeout", "1000"},
		{"idle_in_transaction_session_timeout", "0"},
		{"synchronous_commit", "local"},
		{"row_security", "off"},
		{"search_path", "pg_catalog, pg_temp"},
		MIG_MORE_WORKER_SETTINGS
	};
	int			i;

	for (i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET,
						PGC_S_OVERRIDE);
}

void
mig_bgworker_failure_main(Datum main_arg)
{
	const MigFailureRequest *request = mig_bgworker_attach(main_arg);
	bool		inserted;

	set_worker_settings();
	pgstat_report_activity(STATE_RUNNING, "recording a failed migration");
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	inserted = mig_failure_record_insert(request);
	PopActiveSnapshot();
	CommitTransactionCommand();
	mig_bgworker_reply(inserted ? MIG_BGWORKER_DONE :
					   MIG_BGWORKER_NOTHING_TO_DO);
}

void
mig_bgworker_run_main(Datum main_arg)
{
	mig_background_main();
}
