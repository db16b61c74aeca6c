/*-------------------------------------------------------------------------
 *
 * printable.h
 *	  Texts of strangers that a terminal can be shown.
 *
 * Two rules.  A text of one line has no character that moves the cursor, begins
 * another line, is not seen or turns others around, and has a length: what is
 * stored is refused otherwise, by whoever takes it from a caller and by the
 * constraints of the tables.  And no message of ours has such characters,
 * wherever its texts come from: the functions that ereport() takes them with
 * are those below, by the server's names, in every file that includes this one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_PRINTABLE_H
#define MIG_BASE_PRINTABLE_H

#include "utils/array.h"

/* how long a line may be, in bytes; sql/parts says the same */
#define MIG_VERSION_BYTES	500 /* a version, the name of a project */
#define MIG_NAME_BYTES		1001	/* names of all kinds, project:version */
#define MIG_PATH_BYTES		4096
#define MIG_NOTE_BYTES		10000	/* notes, reasons, a search_path */
#define MIG_MAX_REQUIRED	1000	/* migrations that one requires */

/*
 * Is there a character at p that would not be seen, or would change how others
 * are seen?  Then its code point, or the byte that is no character, else 0.
 * Line feed and tab are no such characters.  *length is that of any character,
 * in bytes.
 *
 * UTF-8 is judged by code points.  Of other encodings nothing but the control
 * characters is known: in those of ISO 8859 the bytes 80 to 9F are such, in
 * those of Windows, DOS and KOI8 they are letters.
 */
extern unsigned int mig_report_text_hidden_character(const char *p,
													 int encoding,
													 int *length);

/* a line of at most so many bytes without such a character? */
extern bool mig_is_line(const char *text, int bytes);

/* are all elements of the array such lines, or null? */
extern bool mig_are_lines(ArrayType *texts, int bytes);

/*
 * Refuse what is no such line; what names it: "a version".  NULL is all right.
 */
extern void mig_check_line(const char *what, const char *text, int bytes);

/* the same with an SQLSTATE of the caller's, and not 22023 */
extern void mig_check_line_as(int sqlstate, const char *what, const char *text,
							  int bytes);

/*
 * The text with each hidden character as \x1B or <U+202E>; the very text if it
 * has none.  NULL stays NULL.
 */
extern char *mig_printable(const char *text);

/* the same as one line, and cut after so many bytes */
extern char *mig_printable_line(const char *text, int bytes);

/* how much of a text a message quotes */
#define MIG_EXCERPT_BYTES	200

/*
 * The name of a role as a line, for messages and rows of ours: others make
 * roles, in databases of other encodings, too.  Not for comparisons.
 */
extern char *mig_user_name(Oid role);

/* what ereport() is given */
extern int	mig_errmsg(const char *fmt,...) pg_attribute_printf(1, 2);
extern int	mig_errdetail(const char *fmt,...) pg_attribute_printf(1, 2);
extern int	mig_errhint(const char *fmt,...) pg_attribute_printf(1, 2);
extern int	mig_errcontext(const char *fmt,...) pg_attribute_printf(1, 2);
extern int	mig_errmsg_plural(const char *one, const char *many,
							  unsigned long n,...)
			pg_attribute_printf(1, 4) pg_attribute_printf(2, 4);
extern int	mig_errdetail_plural(const char *one, const char *many,
								 unsigned long n,...)
			pg_attribute_printf(1, 4) pg_attribute_printf(2, 4);

#ifndef MIG_PRINTABLE_INSIDE
#define errmsg mig_errmsg
#define errmsg_internal mig_errmsg
#define errmsg_plural mig_errmsg_plural
#define errdetail mig_errdetail
#define errdetail_internal mig_errdetail
#define errdetail_plural mig_errdetail_plural
#define errhint mig_errhint
#define errcontext_msg mig_errcontext
#endif

#endif							/* MIG_BASE_PRINTABLE_H */
