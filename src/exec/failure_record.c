/*-------------------------------------------------------------------------
 *
 * failure_record.c
 *	  The journal row of a failed run that survives the run's roll-back.
 *
 * In apply() the failing transaction is the caller's and may be rolled back,
 * so a background worker writes the row.  It is handed everything that it
 * needs as bytes and inherits no setting of this session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/bgworker.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/subxact.h"
#include "exec/failure_record.h"
#include "exec/progress.h"

/* how long an error may be delayed by recording it */
#define WAIT_MS 2000

void
mig_failure_record_from_error(MigFailure *failure, const ErrorData *edata)
{
	const char *sqlstate = unpack_sql_state(edata->sqlerrcode);

	/* what the journal could not take would not be in it */
	if (!mig_error_is_code(sqlstate))
		sqlstate = unpack_sql_state(ERRCODE_INTERNAL_ERROR);
	failure->sqlstate = pstrdup(sqlstate);
	failure->message = edata->message ? mig_error_clip(edata->message) :
		"missing error text";
	failure->detail = mig_error_clip(edata->detail);
	failure->hint = mig_error_clip(edata->hint);
	failure->context = mig_error_clip_context(edata->context);
}

/*
 * One chunk of memory with all that the worker needs; the length goes to
 * *length.
 */
static MigFailureRequest *
pack_request(const MigJournalRow *row, const char *text, Size *length)
{
	bytea	   *packed = mig_journal_pack(row);
	char	   *payload = mig_progress_payload(row->run, row->project,
											   row->version, row->action,
											   row->failure->sqlstate,
											   row->execution_ms);
	MigFailureRequest *request;
	Size		row_length = VARSIZE(packed);
	Size		text_length = text ? strlen(text) + 1 : 0;
	Size		payload_length = payload ? strlen(payload) + 1 : 0;
	char	   *p;

	*length = offsetof(MigFailureRequest, data) + MAXALIGN(row_length) +
		MAXALIGN(text_length) + payload_length;
	request = MemoryContextAllocHuge(CurrentMemoryContext, *length);
	request->quiet_seconds = mig_guc_failure_quiet;
	request->row_length = row_length;
	request->text_length = text_length;
	request->payload_length = payload_length;
	p = request->data;
	memcpy(p, packed, row_length);
	p += MAXALIGN(row_length);
	if (text != NULL)
		memcpy(p, text, text_length);
	p += MAXALIGN(text_length);
	if (payload != NULL)
		memcpy(p, payload, payload_length);
	return request;
}

typedef struct Recording
{
	const MigJournalRow *row;
	const char *text;
	bool		tried;			/* the worker has been asked */
} Recording;

/*
 * Have a worker write the failure.  Its own failures are warnings: the error
 * that is to be recorded goes on.
 */
static void
record_in_worker(void *arg)
{
	Recording  *recording = (Recording *) arg;
	Size		length;
	MigFailureRequest *request;
	MigBgworkerReply reply;

	/* a cancel that came afterwards */
	if (recording->tried)
		return;
	request = pack_request(recording->row, recording->text, &length);
	reply = mig_bgworker_call("mig_bgworker_failure_main", request, length,
							  WAIT_MS);
	recording->tried = true;
	switch (reply)
	{
		case MIG_BGWORKER_DONE:
		case MIG_BGWORKER_NOTHING_TO_DO:
			break;
		case MIG_BGWORKER_NO_SLOT:
			ereport(WARNING,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("could not record the failure in migrate.journal"),
					 errdetail("No background worker could be started."),
					 errhint("The server log has it.  You might need to increase max_worker_processes.")));
			break;
		case MIG_BGWORKER_NO_ANSWER:
			ereport(WARNING,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("could not confirm that the failure was recorded in migrate.journal"),
					 errdetail("The background worker did not report that it wrote the row."),
					 errhint("The server log has the failure, and the worker's own error.")));
			break;
	}
	pfree(request);
}

/*
 * Whatever goes wrong here must not take the place of the error that is being
 * recorded.
 */
void
mig_failure_record(const MigJournalRow *row, const char *text)
{
	Recording	recording = {row, text, false};
	ErrorData  *edata;

	Assert(row->failure != NULL);
	edata = mig_subxact_insist(record_in_worker, &recording);
	if (edata != NULL)
		ereport(WARNING,
				(errcode(edata->sqlerrcode),
				 errmsg("could not record the failure in migrate.journal: %s",
						edata->message)));
}

bool
mig_failure_record_insert_here(const MigJournalRow *row, const char *text,
							   bool always)
{
	Assert(row->failure != NULL);
	if (!mig_journal_insert_packed(mig_journal_pack(row), text,
								   always ? 0 : mig_guc_failure_quiet))
		return false;
	mig_progress_notify(mig_progress_payload(row->run, row->project,
											 row->version, row->action,
											 row->failure->sqlstate,
											 row->execution_ms));
	return true;
}

void
mig_failure_record_log(const MigJournalRow *row)
{
	Assert(row->failure != NULL);
	ereport(LOG_SERVER_ONLY,
			(row->version == NULL ?
			 errmsg("migrate: %s of project \"%s\" failed in run " INT64_FORMAT ": %s: %s",
					row->action, row->project, row->run,
					row->failure->sqlstate, row->failure->message) :
			 errmsg("migrate: %s of migration \"%s\" of project \"%s\" failed in run " INT64_FORMAT ": %s: %s",
					row->action, row->version, row->project, row->run,
					row->failure->sqlstate, row->failure->message),
			 errhidestmt(true), errhidecontext(true)));
}

bool
mig_failure_record_insert(const MigFailureRequest *request)
{
	bytea	   *packed = palloc(request->row_length);
	const char *text = request->data + MAXALIGN(request->row_length);
	const char *payload = text + MAXALIGN(request->text_length);

	/* a Datum may have to be aligned, and must not be in shared memory */
	memcpy(packed, request->data, request->row_length);
	if (!mig_journal_insert_packed(packed,
								   request->text_length > 0 ? text : NULL,
								   request->quiet_seconds))
		return false;
	if (request->payload_length > 0)
		mig_progress_notify(payload);
	return true;
}
