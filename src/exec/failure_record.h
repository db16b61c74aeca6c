/*-------------------------------------------------------------------------
 *
 * failure_record.h
 *	  The journal row of a failed run that survives the run's roll-back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_FAILURE_RECORD_H
#define MIG_EXEC_FAILURE_RECORD_H

#include "ledger/journal.h"

/* a request to mig_failure_record_insert(), as it travels to the worker */
typedef struct MigFailureRequest
{
	int			quiet_seconds;
	Size		row_length;
	Size		text_length;	/* with its NUL; 0: no text */
	Size		payload_length; /* with its NUL; 0: no notification */
	char		data[FLEXIBLE_ARRAY_MEMBER];	/* row, text, payload; each
												 * MAXALIGNed */
} MigFailureRequest;

/*
 * Have a background worker insert a row (and the text that failed, NULL if
 * none did) in a transaction of its own.  The caller must have given up the
 * failed run's locks.  Never raises an error for what goes wrong: a WARNING
 * says that the failure is not in the journal.
 */
extern void mig_failure_record(const MigJournalRow *row, const char *text);

/*
 * The same in the current transaction.  A failure that was journalled just now
 * is not journalled again, unless always is set; then it returns false.
 */
extern bool mig_failure_record_insert_here(const MigJournalRow *row,
										   const char *text, bool always);

/* a line in the server log, whatever becomes of the journal */
extern void mig_failure_record_log(const MigJournalRow *row);

/* in the worker: insert; false if the same failure was journalled just now */
extern bool mig_failure_record_insert(const MigFailureRequest *request);

/*
 * Fill a record from an error, with what the journal can take: strings that are
 * not too long, which may be those of edata, and a SQLSTATE of errors.
 */
extern void mig_failure_record_from_error(MigFailure *failure,
										  const ErrorData *edata);

#endif							/* MIG_EXEC_FAILURE_RECORD_H */
