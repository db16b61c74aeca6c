/*-------------------------------------------------------------------------
 *
 * source_check.h
 *	  What the texts of a migration must be to be stored, whoever stores them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADMIN_SOURCE_CHECK_H
#define MIG_ADMIN_SOURCE_CHECK_H

#include "source/file_set.h"

/* whether both are null or the same */
extern bool mig_source_check_same(const char *a, const char *b);

/*
 * Raise what is wrong with a body.  False if it has no statement; a text of NULL
 * is no body, which is all right.
 */
extern bool mig_source_check_body(const MigSource *source, MigPart part,
								  const char *text);

/* what was found in the texts of a file */
typedef struct MigTextsFound
{
	bool		up_empty;		/* up has no statement */
	bool		down_empty;		/* down alone has none */
	bool		warned;			/* the client was told of a body */
} MigTextsFound;

/*
 * Parse the texts of a file, with warnings for what is stored all the same.
 * False if it is to be left out of a load of a part.
 */
extern bool mig_source_check_texts(const MigSource *source, bool partial,
								   MigTextsFound *found);

/* warn of bodies that do nothing (versions, char *) */
extern void mig_source_check_warn_empty(List *versions);
extern void mig_source_check_warn_empty_downs(List *versions);

/* refuse what is no line, or too long */
extern void mig_source_check_lines(int sqlstate, const MigSource *source);

#endif							/* MIG_ADMIN_SOURCE_CHECK_H */
