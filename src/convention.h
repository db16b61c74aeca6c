/*-------------------------------------------------------------------------
 *
 * convention.h
 *	  File names and markers of the tools whose files can be loaded.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_CONVENTION_H
#define MIG_CONVENTION_H

#include "migrate.h"

typedef struct MigFile
{
	char	   *path;			/* relative, '/' between the parts */
	char	   *content;		/* server encoding, NUL-terminated */
	bool		used;			/* set by the parser that took it */
} MigFile;

/*
 * Turn files into migrations.  convention is a name of the table in
 * convention.c or "auto".  Raises MIG_ERRCODE_CONVENTION if the convention is
 * not known, cannot be recognised, or a file breaks it, and
 * MIG_ERRCODE_DUPLICATE if two paths claim one version.  Returns a list of
 * MigSource * in the order of the files' paths; bodies are not parsed.
 */
extern List *mig_convention_parse(MigFile *files, int nfiles, const char *convention);

#endif							/* MIG_CONVENTION_H */
