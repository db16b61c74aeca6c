/*-------------------------------------------------------------------------
 *
 * marker_line.h
 *	  Lines that are markers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_MARKER_LINE_H
#define MIG_SOURCE_MARKER_LINE_H

#include "source/file_set.h"

/* if the line is a comment that begins with prefix, a copy of what follows */
extern char *mig_marker_text(const MigFileLine *line, const char *prefix);

/* the first .sql file that has a line of which text_of() is not NULL, or NULL */
extern MigSourceFile *mig_marker_find_file(const MigFileSet *set,
										   char *(*text_of) (const MigFileLine *line));

/*
 * For messages: " (line 3: ...)", the first such line of the file; or "" if there
 * is none, or text_of is NULL.
 */
extern char *mig_marker_place(const MigSourceFile *script,
							  char *(*text_of) (const MigFileLine *line));

/* raise MIG_ERRCODE_CONVENTION if the marker does not begin its line */
extern void mig_marker_check_not_indented(const MigSourceFile *script,
										  const MigFileLine *line);

/*
 * The same if anything but comments comes before end, where the first marker is:
 * it would belong to no section and be dropped.
 */
extern void mig_marker_check_preamble(const MigSourceFile *script,
									  const char *end);

#endif							/* MIG_SOURCE_MARKER_LINE_H */
