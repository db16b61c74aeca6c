/*-------------------------------------------------------------------------
 *
 * placeholder.h
 *	  Texts that a tool would replace before a file is run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_PLACEHOLDER_H
#define MIG_SOURCE_PLACEHOLDER_H

#include "source/file_set.h"

/*
 * Raise MIG_ERRCODE_CONVENTION if the file has something between open and close
 * in one line, in literals and bodies of functions, too, but not in comments.
 */
extern void mig_placeholder_refuse(const MigSourceFile *script,
								   const char *open, const char *close,
								   const char *tool, const char *hint);

#endif							/* MIG_SOURCE_PLACEHOLDER_H */
