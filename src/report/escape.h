/*-------------------------------------------------------------------------
 *
 * escape.h
 *	  Text from the database in HTML.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_REPORT_ESCAPE_H
#define MIG_REPORT_ESCAPE_H

#include "lib/stringinfo.h"

/*
 * A text as the content of an element or of an attribute in double quotes.
 * The result is ASCII.  In an attribute nothing may be marked up.
 */
extern void mig_report_escape_text(StringInfo buf, const char *text);
extern void mig_report_escape_attribute(StringInfo buf, const char *text);

/*
 * A text as lines of code, each an element of its own with the id
 * PREFIX-NUMBER and its number before it, from first_line on.  mark says for each line whether it is marked, and how.
 */
typedef const char *(*MigLineMark) (int line, void *arg);
extern void mig_report_escape_lines(StringInfo buf, const char *text,
									const char *prefix, int first_line,
									int max_lines, MigLineMark mark,
									void *arg);

#endif							/* MIG_REPORT_ESCAPE_H */
