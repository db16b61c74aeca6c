/*-------------------------------------------------------------------------
 *
 * convention_sqitch.h
 *	  The files of Sqitch: a plan, and scripts that deploy, revert and verify.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_CONVENTION_SQITCH_H
#define MIG_SOURCE_CONVENTION_SQITCH_H

#include "source/file_set.h"

/*
 * Take the changes of the one sqitch.plan in the set, with their scripts; the
 * other function returns that plan, or NULL.
 */
extern void mig_convention_sqitch_parse(MigFileSet *set);
extern MigSourceFile *mig_convention_sqitch_detect(const MigFileSet *set);

#endif							/* MIG_SOURCE_CONVENTION_SQITCH_H */
