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

typedef enum MigBgworkerReply
{
	MIG_BGWORKER_NO_SLOT,		/* could not be started */
	MIG_BGWORKER_NO_ANSWER,		/* not done in time, or failed */
	MIG_BGWORKER_DONE,			/* did it */
	MIG_BGWORKER_NOTHING_TO_DO
} MigBgworkerReply;

/*
 * Have a background worker run function (of this library, by name) in this
 * database, and wait for its answer for at most timeout_ms.  Query cancel is
 * held off meanwhile, so that it cannot take the place of an error that is
 * being reported.
 */
extern MigBgworkerReply mig_bgworker_call(const char *function,
										  const void *request, Size length,
										  int timeout_ms);

/*
 * The other side: attach to the request, whose bytes stay valid until the
 * worker exits, connect to the database and begin no transaction.
 */
extern const void *mig_bgworker_attach(Datum main_arg);
extern void mig_bgworker_reply(MigBgworkerReply reply);

#endif							/* MIG_BASE_BGWORKER_H */
