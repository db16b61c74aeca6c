/*-------------------------------------------------------------------------
 *
 * lexer.h
 *	  What can be told of a text by its tokens alone.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_LEXER_H
#define MIG_SOURCE_LEXER_H

/*
 * Where in the text a run of operator characters begins that the lexer must
 * not be given, or -1 if there is none.  To be asked before a text that
 * somebody else has written gets to raw_parser() or to the lexer.
 */
extern int	mig_lexer_slow_run(const char *text);

/*
 * Where the first COPY FROM STDIN begins, and the token that ends it, or -1.
 * What follows it is data and no SQL.  Raises the lexer's own errors, and
 * depends on the same settings as raw_parser().
 */
extern int	mig_lexer_copy_from_client(const char *text, int *end);

#endif							/* MIG_SOURCE_LEXER_H */
