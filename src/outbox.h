/*-------------------------------------------------------------------------
 *
 * outbox.h
 *	  Messages for the client that are sent together.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_OUTBOX_H
#define MIG_OUTBOX_H

/*
 * A NOTICE that is raised between these two stays in the server's buffer if one
 * was sent a moment ago, and is sent at once otherwise.  close also belongs
 * into the clean-up after an error.
 */
extern void mig_outbox_open(void);
extern void mig_outbox_close(void);

/* before something that may wait or take long: send what is there */
extern void mig_outbox_send(void);

#endif							/* MIG_OUTBOX_H */
