/*-------------------------------------------------------------------------
 *
 * bgworker.h
 *	  Doing something in a transaction of its own: a short-lived background
 *	  worker and the bytes that go to it and come back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_BGWORKER_H
#define MIG_BASE_BGWORKER_H

typedef enum MigWorkerReply
{
	MIG_WORKER_NO_SLOT,			/* could not be started */
	MIG_WORKER_NO_ANSWER,		/* not done in time, or failed */
	MIG_WORKER_DONE,			/* did it */
	MIG_WORKER_NOTHING_TO_DO
} MigWorkerReply;

/*
 * Have a background worker run function (of this library, by name) in this
 * database, and wait for its answer for at most timeout_ms.  Query cancel is
 * held off meanwhile, so that it cannot take the place of an error that is
 * being reported.
 */
extern MigWorkerReply mig_worker_call(const char *function,
									  const void *request, Size length,
									  int timeout_ms);

/*
 * The other side: attach to the request, whose bytes stay valid until the
 * worker exits, connect to the database and begin no transaction.
 */
extern const void *mig_worker_attach(Datum main_arg);
extern void mig_worker_reply(MigWorkerReply reply);

#endif							/* MIG_BASE_BGWORKER_H */
