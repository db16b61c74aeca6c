/*-------------------------------------------------------------------------
 *
 * renamed_files.h
 *	  Files that have been given another version.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADMIN_RENAMED_FILES_H
#define MIG_ADMIN_RENAMED_FILES_H

#include "base/migrate.h"

/* a file, and the version that its text had, whose file is gone */
typedef struct MigRenamed
{
	MigSource  *source;
	MigEntry   *entry;
} MigRenamed;

/*
 * Find, among sources (MigSource *) that are not applied and new, those whose text is
 * stored under one of the absent versions (MigEntry *): the same text, or, if
 * the name is the same, one that differs in comments and blanks.  What is
 * pending there counts only if it has that name and is from a file.  Result is a
 * list of MigRenamed *, no source and no entry twice; these entries are taken out
 * of *absent, and the sources know what they were called.
 */
extern List *mig_renamed_find(const char *project, List *sources,
							  List **absent);

/* take those that are pending out of a list of them, and return them */
extern List *mig_renamed_take_pending(List **renamed);

/*
 * Raise MIG_ERRCODE_DUPLICATE: the rest would run a second time.  With accept
 * only what is partly applied is refused.
 */
extern void mig_renamed_refuse(List *renamed, bool accept);

/*
 * Have the ledger take the new versions, whose rows are stored, and write the
 * journal; the old rows are deleted.  Expects the runner lock.
 */
extern void mig_renamed_record(const char *project, List *renamed);

/*
 * Raise MIG_ERRCODE_DUPLICATE if one of the new sources (MigSource *) has a
 * version that is, as its convention understands it, one of the stored ones in
 * another spelling.  Those of the renamed (MigRenamed *) and gone (char *) do
 * not count.
 */
extern void mig_renamed_refuse_spellings(List *sources,
										 const MigEntry *entries, int nentries,
										 List *renamed, List *gone);

#endif							/* MIG_ADMIN_RENAMED_FILES_H */
