/*-------------------------------------------------------------------------
 *
 * known_tools.h
 *	  Markers and file names of known tools, and which conventions read them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_KNOWN_TOOLS_H
#define MIG_SOURCE_KNOWN_TOOLS_H

#include "source/file_set.h"

/*
 * What is foreign about a file to the convention of its set, as a message, and
 * in *hint what to do about it; NULL if there is nothing.
 */
extern char *mig_known_tools_name(const MigFileSet *set,
								  const MigSourceFile *script,
								  const char **hint);
extern char *mig_known_tools_marker(const MigFileSet *set,
									const MigSourceFile *script,
									const char **hint);

#endif							/* MIG_SOURCE_KNOWN_TOOLS_H */
