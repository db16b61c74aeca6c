/*-------------------------------------------------------------------------
 *
 * session_state.h
 *	  What bodies leave in the session: noted before, taken away afterwards.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_EXEC_SESSION_STATE_H
#define MIG_EXEC_SESSION_STATE_H

#include "source/body.h"

typedef struct MigSessionState MigSessionState;

/*
 * Note what the session has, in a child of CurrentMemoryContext.  Needs an open
 * transaction, like all of these.
 */
extern MigSessionState *mig_session_state_note(void);

/* the same of a step, for all but mig_session_state_check_names() */
extern MigSessionState *mig_session_state_note_step(void);
extern void mig_session_state_free(MigSessionState *session_state);

/*
 * What has come since before was noted and is there in now, by names that are
 * the same in each session; in CurrentMemoryContext.
 */
extern char **mig_session_state_left(const MigSessionState *before,
									 const MigSessionState *now, int *count);

/*
 * After an attempt that has failed and been rolled back, and at the end of a
 * run: take away what has come since, which is temporary objects, prepared
 * statements, cursors, registrations for NOTIFY, advisory locks of the session.
 * Advisory locks that were given up are taken again.  A statement that was
 * deallocated cannot be brought back, nor can a lock that another session has by
 * now: for these there is a WARNING, once.
 */
extern void mig_session_state_remove(MigSessionState *session_state);

/*
 * Drop the cursors that a body has left, at its end and in its transaction.  The
 * query of one WITH HOLD is run first, as the end of the transaction would: true
 * if there was one, which may have put off something in turn.  Cheap where the
 * body cannot have left anything.
 */
extern bool mig_session_state_end_cursors(const MigSessionState *session_state,
										  const MigBody *body);

/*
 * Take away what a migration has left whose body was this one; likewise.
 */
extern void mig_session_state_end_migration(MigSessionState *session_state,
											const MigBody *body);

/*
 * At the end of a run in a transaction that has nothing else in it: take back
 * LISTEN and UNLISTEN, which take effect with its end and cannot be seen yet.
 */
extern void mig_session_state_end_listening(const MigSessionState *session_state);

/* false if statements [first, end) have left nothing */
extern bool mig_session_state_may_differ(const MigBody *body, int first,
										 int end);

/*
 * Raise MIG_ERRCODE_TEMPORARY if a temporary object that the session had when
 * it was noted is found in the place of another one: when a body begins, and
 * after each statement of it, which may have made that.  Takes no snapshot of
 * the transaction's.
 */
extern void mig_session_state_check_names(const MigSessionState *session_state,
										  const MigLabel *label);

#endif							/* MIG_EXEC_SESSION_STATE_H */
