/*-------------------------------------------------------------------------
 *
 * convention_native.h
 *	  Conventions whose files are cut into bodies by marker lines.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_CONVENTION_NATIVE_H
#define MIG_SOURCE_CONVENTION_NATIVE_H

#include "source/file_set.h"

/*
 * Cut the files of a set into migrations by the markers in them.  native, plain
 * and name differ in how a file name becomes version and name.  The detecting
 * functions return a file that shows the convention, or NULL.
 */
extern void mig_convention_native_parse(MigFileSet *set);
extern MigSourceFile *mig_convention_native_detect(const MigFileSet *set);
extern void mig_convention_plain_parse(MigFileSet *set);
extern void mig_convention_name_parse(MigFileSet *set);

extern void mig_convention_goose_parse(MigFileSet *set);
extern MigSourceFile *mig_convention_goose_detect(const MigFileSet *set);

/* line and text of the marker by which a file shows it, or an empty string */
extern char *mig_convention_marker_place(const char *convention,
										 const MigSourceFile *script);

#endif							/* MIG_SOURCE_CONVENTION_NATIVE_H */
