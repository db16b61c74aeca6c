/*-------------------------------------------------------------------------
 *
 * body_text.h
 *	  The text of a body as the server's scanner gets it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_BODY_TEXT_H
#define MIG_SOURCE_BODY_TEXT_H

/* of the same length, so that every place is where it was */
extern const char *mig_body_sql(const char *text);

#endif							/* MIG_SOURCE_BODY_TEXT_H */
