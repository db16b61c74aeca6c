/*-------------------------------------------------------------------------
 *
 * tokens.h
 *	  Whether two texts differ in comments and blanks only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_TOKENS_H
#define MIG_SOURCE_TOKENS_H

#include "source/body.h"

/* checksums of the beginning of a body */
typedef struct MigBodyHash
{
	char	   *text;			/* of all of it */
	char	   *tokens;			/* without comments and blanks */
} MigBodyHash;

/*
 * Are these the same texts for the server's scanner, comments and blanks
 * outside of literals, quoted names and dollar bodies left out?  Both may be
 * NULL.  False for texts that it refuses.
 */
extern bool mig_tokens_same(const char *a, const char *b);

/*
 * Checksums of the body up to the end of statement number last, from 1.  before
 * is that of the statements before number first, which are looked at no more, or
 * NULL if first is 1.  So it depends on where the body was divided.  Raises
 * what the scanner raises, which has taken this very text before.
 */
extern MigBodyHash mig_tokens_hash(const MigBody *body,
								   const MigBodyHash *before,
								   int first, int last);

#endif							/* MIG_SOURCE_TOKENS_H */
