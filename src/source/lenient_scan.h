/*-------------------------------------------------------------------------
 *
 * lenient_scan.h
 *	  Where comments, literals and words of SQL end, of texts that the
 *	  server's scanner may refuse.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_LENIENT_SCAN_H
#define MIG_SOURCE_LENIENT_SCAN_H

/*
 * The end of the comment, literal, quoted name, dollar body, word, run of
 * blanks or single character that begins at text, which must not be at its
 * end.  NULL if it is not closed before the end of the text.
 */
extern const char *mig_lenient_scan_skip(const char *text);

/*
 * The same in a text in which something was not closed: what could begin a
 * literal or a comment of several lines is a character like others there.  To
 * look for its end again and again would take for ever.
 */
extern const char *mig_lenient_scan_step(const char *text);

/* do blanks or a comment begin there? */
extern bool mig_lenient_scan_is_gap(const char *text);

/*
 * The end of the line, and so of a comment of the -- kind: at \r or \n, as the
 * server's scanner has it, or that of the text.
 */
extern const char *mig_lenient_scan_line_end(const char *text);

/*
 * False if there is a statement for sure, or what is none but no comment either.
 * Ask mig_trial_is_empty() otherwise.
 */
extern bool mig_lenient_scan_may_be_empty(const char *text);

#endif							/* MIG_SOURCE_LENIENT_SCAN_H */
