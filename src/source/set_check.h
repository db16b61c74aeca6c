/*-------------------------------------------------------------------------
 *
 * set_check.h
 *	  Which files of a set are none of its convention.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_SET_CHECK_H
#define MIG_SOURCE_SET_CHECK_H

#include "source/conventions.h"

/*
 * Each refuses files, with mig_file_set_refuse(): those with markers or names of
 * other tools; .sql files without a version number; those that are neither SQL
 * nor beside it; those in other directories than the first one; and those that
 * the parser did not take, or names these in a NOTICE.  Call foreign before the
 * parser, or after it if the convention has a place: then those that it took
 * count.  numbers and others belong before it, directories and left_over after.
 */
extern void mig_set_check_foreign(MigFileSet *set,
								  const MigConvention *convention);
extern void mig_set_check_numbers(MigFileSet *set,
								  const MigConvention *convention);
extern void mig_set_check_others(MigFileSet *set,
								 const MigConvention *convention);
extern void mig_set_check_directories(MigFileSet *set,
									  const MigConvention *convention);
extern void mig_set_check_left_over(MigFileSet *set,
									const MigConvention *convention);

/*
 * At the end: raise MIG_ERRCODE_CONVENTION if there are SQL files and no
 * migration, and none was refused; else a WARNING for each orphan.
 */
extern void mig_set_check_result(const MigFileSet *set,
								 const MigConvention *convention);

#endif							/* MIG_SOURCE_SET_CHECK_H */
