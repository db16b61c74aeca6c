/*-------------------------------------------------------------------------
 *
 * numbered_names.h
 *	  Names that begin with a number, and what tools mean by them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_NUMBERED_NAMES_H
#define MIG_SOURCE_NUMBERED_NAMES_H

#include "source/file_set.h"

/*
 * Take NUMBER_name apart, with .up or .down behind it; false if the file is not
 * called so, or is a verify file, which only the native form has.
 */
extern bool mig_numbered_claim(const MigFileName *name, MigClaim *claim);

/* does the file ask sqlx to run it outside of a transaction? */
extern bool mig_numbered_has_no_transaction(const MigSourceFile *script);

/*
 * What the files of a set show: an up file, and one that is sqlx's alone because
 * of its name or its first line.  NULL where there is none, and for both if the
 * set is of the native form, whose files can have the same names.
 */
extern void mig_numbered_examine(const MigFileSet *set, MigSourceFile **up,
								 MigSourceFile **sqlx);

/* the same string for versions that are the same number */
extern char *mig_numbered_key(const char *version);

/*
 * MigClaimFunctions of tools that have one file for up and down: NUMBER_name.sql,
 * and any name, which is the version.
 */
extern bool mig_numbered_claim_whole(const MigSourceFile *script,
									 const MigFileName *name,
									 MigClaim *claim);
extern bool mig_whole_name_claim(const MigSourceFile *script,
								 const MigFileName *name, MigClaim *claim);

#endif							/* MIG_SOURCE_NUMBERED_NAMES_H */
