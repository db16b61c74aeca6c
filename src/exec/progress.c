/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  What others see of a run: application_name, NOTICE, NOTIFY.
 *
 * application_name is set in shared memory only, not as a setting, so that a
 * body that reads or sets the setting finds it untouched.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/async.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "exec/progress.h"
#include "ledger/tables.h"

#define CHANNEL "migrate"

/* from when on a migration is slow */
#define SLOW_MS 1000

/*
 * The lock that says since when the migration is running: on the journal, as
 * an object whose id is that time in seconds.  An error may have given it up.
 */
static LOCKTAG mark;
static bool mark_held = false;
static bool mark_of_session;

/* keeps the payload far below the 8000 bytes that NOTIFY allows */
#define MAX_NAME_BYTES 200

/*
 * The server cuts the line to 63 bytes, so the version comes last.  See
 * migrate.progress(), which reads it.
 */
void
mig_progress_show(const MigProgress *progress)
{
	char		line[NAMEDATALEN];

	Assert(progress->action != NULL && progress->version != NULL);
	snprintf(line, sizeof(line), "migrate %s " INT64_FORMAT " %d/%d %d/%d %s",
			 progress->action, progress->run, progress->position,
			 progress->total, progress->statement, progress->statements,
			 progress->version);
	pgstat_report_appname(line);
}

void
mig_progress_unmark(void)
{
	if (mark_held && MIG_LOCK_HELD_BY_ME(&mark, AccessShareLock))
		LockRelease(&mark, AccessShareLock, mark_of_session);
	mark_held = false;
}

void
mig_progress_mark(bool session)
{
	uint32		now = (uint32) timestamptz_to_time_t(GetCurrentTimestamp());

	/* that of the migration before serves for all of the same second */
	if (mark_held && mark_of_session && session && mark.locktag_field3 == now &&
		MIG_LOCK_HELD_BY_ME(&mark, AccessShareLock))
		return;
	mig_progress_unmark();
	SET_LOCKTAG_OBJECT(mark, MyDatabaseId, mig_tables_relation("journal"), now,
					   0);
	(void) LockAcquire(&mark, AccessShareLock, session, false);
	mark_of_session = session;
	mark_held = true;
}

void
mig_progress_restore(void)
{
	pgstat_report_appname(application_name);
}

void
mig_progress_notice_begin(const char *action, int position, int total,
						  const char *version, const char *name)
{
	if (mig_guc_progress_notices != MIG_NOTICES_VERBOSE)
		return;
	HOLD_CANCEL_INTERRUPTS();
	ereport(NOTICE,
			(errmsg("%s \"%s\"%s%s (%d of %d)", action, version,
					name[0] ? " " : "", name, position, total)));
	RESUME_CANCEL_INTERRUPTS();
}

void
mig_progress_notice(const char *action, int position, int total,
					const char *version, const char *name,
					double execution_ms, bool each)
{
	int			which = mig_guc_progress_notices;

	Assert(position >= 1 && position <= total);
	if (which == MIG_NOTICES_AUTO)
		which = each ? MIG_NOTICES_ALL : MIG_NOTICES_SLOW;
	if (which == MIG_NOTICES_OFF ||
		(which == MIG_NOTICES_SLOW && execution_ms < SLOW_MS))
		return;
	HOLD_CANCEL_INTERRUPTS();
	ereport(NOTICE,
			(errmsg("%s \"%s\"%s%s (%d of %d, %.1f ms)", action, version,
					name[0] ? " " : "", name, position, total,
					execution_ms)));
	RESUME_CANCEL_INTERRUPTS();
}

void
mig_progress_notice_retry(const char *version, const MigLockSchedule *schedule,
						  int pause_ms, const char *detail)
{
	HOLD_CANCEL_INTERRUPTS();
	if (schedule->max_retries > 0)
		ereport(NOTICE,
				(errmsg("migration \"%s\" could not obtain a lock, trying again in %d ms (retry %d of %d)",
						version, pause_ms, schedule->retries,
						schedule->max_retries),
				 detail ? errdetail("%s", detail) : 0));
	else
		ereport(NOTICE,
				(errmsg("migration \"%s\" could not obtain a lock, trying again in %d ms (retry %d)",
						version, pause_ms, schedule->retries),
				 detail ? errdetail("%s", detail) : 0));
	RESUME_CANCEL_INTERRUPTS();
}

static void
append_json_name(StringInfo buf, const char *key, const char *value)
{
	appendStringInfoString(buf, ",\"");
	appendStringInfoString(buf, key);
	appendStringInfoString(buf, "\":");
	if (value == NULL)
		appendStringInfoString(buf, "null");
	else
	{
		int			length = strlen(value);

		if (length > MAX_NAME_BYTES)
			value = pnstrdup(value, pg_mbcliplen(value, length,
												 MAX_NAME_BYTES));
		escape_json(buf, value);
	}
}

char *
mig_progress_payload(int64 run, const char *project, const char *version,
					 const char *action, const char *sqlstate,
					 double execution_ms)
{
	StringInfoData buf;

	if (!mig_guc_notify)
		return NULL;
	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"run\":" INT64_FORMAT, run);
	append_json_name(&buf, "project", project);
	append_json_name(&buf, "version", version);
	append_json_name(&buf, "action", action);
	append_json_name(&buf, "outcome", sqlstate ? "failure" : "success");
	append_json_name(&buf, "sqlstate", sqlstate);
	appendStringInfo(&buf, ",\"milliseconds\":%.3f}", execution_ms);
	return buf.data;
}

void
mig_progress_notify(const char *payload)
{
	if (payload != NULL)
		Async_Notify(CHANNEL, payload);
}
