/*-------------------------------------------------------------------------
 *
 * directory.h
 *	  Reading the files of a directory of the server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_DIRECTORY_H
#define MIG_BASE_DIRECTORY_H

/* called for each file; content is in the server encoding */
typedef void (*MigDirectorySink) (char *path, char *content, void *arg);

/*
 * Hand over all files below a directory that may be part of a set of
 * migrations (see base/file_endings.h), hidden ones aside, with their paths relative to it; and, with an empty content, others
 * that have the name of a migration.  Raises 42501 unless the caller may read server files.
 */
extern void mig_directory_read(const char *directory, MigDirectorySink sink,
							   void *arg);

#endif							/* MIG_BASE_DIRECTORY_H */
