/*-------------------------------------------------------------------------
 *
 * tokens.h
 *	  Whether two texts differ in comments and blanks only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_TOKENS_H
#define MIG_TOKENS_H

/*
 * Are these the same texts for the server's scanner, comments and blanks
 * outside of literals, quoted names and dollar bodies left out?  Both may be
 * NULL.  False for texts that it refuses.
 */
extern bool mig_tokens_same(const char *a, const char *b);

#endif							/* MIG_TOKENS_H */
