/*-------------------------------------------------------------------------
 *
 * outbox.c
 *	  Messages for the client that are sent together.
 *
 * The server sends each NOTICE at once (send_message_to_frontend() of elog.c).
 * With a client that sleeps in between, that costs both sides more than a
 * small migration does.  Here a NOTICE that follows another one closely is left
 * in the server's buffer by a flush that does nothing.  It goes out with the
 * first message that is sent after SEND_INTERVAL_MS, with any other message,
 * when the buffer is full, and at the end of the call; there is no timer.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

/*
 * The server's headers ask for those of these two libraries to define Port, at
 * which nothing here looks; they need not be installed.
 */
#undef ENABLE_GSS
#undef USE_OPENSSL
#undef USE_SSL
#include "libpq/libpq.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "outbox.h"

/* a person does not see that it is not at once */
#define SEND_INTERVAL_MS 100

static const PQcommMethods *usual;	/* NULL: not open */
static PQcommMethods put_off;
static bool unsent = false;
static TimestampTz sent_at = 0;

/*
 * Of one message.  The server looks for interrupts after that, and what it then
 * says as its last word must be sent.
 */
static int
flush_nothing(void)
{
	mig_outbox_close();
	return 0;
}

void
mig_outbox_open(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (whereToSendOutput != DestRemote || client_min_messages > NOTICE)
		return;
	unsent = now >= sent_at &&	/* the clock may have been set */
		!TimestampDifferenceExceeds(sent_at, now, SEND_INTERVAL_MS);
	if (!unsent)
	{
		sent_at = now;
		return;
	}
	usual = PqCommMethods;
	put_off = *usual;
	put_off.flush = flush_nothing;
	PqCommMethods = &put_off;
}

void
mig_outbox_close(void)
{
	if (usual != NULL)
		PqCommMethods = usual;
	usual = NULL;
}

void
mig_outbox_send(void)
{
	if (!unsent)
		return;
	unsent = false;
	sent_at = GetCurrentTimestamp();
	(void) pq_flush();			/* whoever writes next finds the error */
}
