/*-------------------------------------------------------------------------
 *
 * convention.h
 *	  File names and markers of the tools whose files can be loaded.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_CONVENTION_H
#define MIG_SOURCE_CONVENTION_H

#include "source/file_set.h"

typedef struct MigFile
{
	char	   *path;			/* relative, '/' between the parts */
	char	   *content;		/* server encoding, NUL-terminated */
} MigFile;

/* how a set of files is read */
typedef struct MigReading
{
	const char *convention;		/* a name of the table in source/convention.c,
								 * or "auto" */
	List	   *ignore;			/* patterns (char *) of paths and file names */
	bool		subdirectories; /* may migrations lie in them? */
	bool		partial;		/* leave refused files out, with a WARNING */
} MigReading;

/*
 * Turn files into migrations.  Raises MIG_ERRCODE_CONVENTION if the convention
 * is not known or cannot be recognized, or files are refused, and
 * MIG_ERRCODE_DUPLICATE if two paths claim one version.  Returns a list of
 * MigSource * in the order of the files' paths; bodies are not parsed.
 * *refusals gets the files that were left out because of partial, as
 * MigRefusal *.  *told is whether the client was told something of the files,
 * which each load of them has to tell.
 */
extern List *mig_convention_parse(MigFile *files, int nfiles,
								  const MigReading *reading, List **refusals,
								  bool *told);

/*
 * The same string for versions that mean the same one in the convention, as 1
 * and 01 do where they are numbers.  NULL is the convention of add().
 */
extern char *mig_convention_version_key(const char *convention,
										const char *version);

#endif							/* MIG_SOURCE_CONVENTION_H */
