/*-------------------------------------------------------------------------
 *
 * load.h
 *	  Storing sets of migrations: add() and load().
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADMIN_LOAD_H
#define MIG_ADMIN_LOAD_H

#include "source/file_set.h"

/* how a set of files is loaded */
typedef struct MigLoading
{
	bool		prune;			/* delete what is pending and not in the set */
	bool		partial;		/* leave out what cannot be parsed */
	bool		accept;			/* take new texts of what is applied */
	List	   *refusals;		/* of MigRefusal *: files that were left out */
	bool		told;			/* of the files, as each load is to */
	const char *fingerprint;	/* of the files, and how they are read */
} MigLoading;

/*
 * What load() did with one version; result is a constant string.  Of a file
 * that was left out there is only the path.
 */
typedef void (*MigLoadSink) (const char *version, const char *name,
							 const char *path, const char *result,
							 void *arg);

/*
 * Store one migration.  Nothing happens if it is there with the same text;
 * MIG_ERRCODE_TEXT_DIFFERS if it is there with another one, unless it is
 * applied and differs in comments and blanks only.  authors, by part, are
 * believed if the caller is a superuser; NULL: the texts are the caller's.
 */
extern void mig_load_add(const char *project, MigSource *source,
						 const MigAuthor *authors);

/*
 * Store a set of migrations, all or none, but for what loading says.  A pending
 * one takes the new text; an applied one does if it differs in comments and
 * blanks only, else it is MIG_ERRCODE_TEXT_DIFFERS.  Takes no lock and writes
 * nothing if nothing is different.  The sink gets the sources in the project's
 * order, then what is not in the set.
 */
extern void mig_load_files(const char *name, List *sources,
						   const MigLoading *how, MigLoadSink sink,
						   void *arg);

#endif							/* MIG_ADMIN_LOAD_H */
