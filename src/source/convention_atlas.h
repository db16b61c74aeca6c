/*-------------------------------------------------------------------------
 *
 * convention_atlas.h
 *	  The sums of Atlas.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_CONVENTION_ATLAS_H
#define MIG_SOURCE_CONVENTION_ATLAS_H

#include "source/file_set.h"

/*
 * Raise MIG_ERRCODE_CONVENTION if the set has an atlas.sum that does not fit its
 * files, whatever the convention of these is.
 */
extern void mig_atlas_check_sums(MigFileSet *set);

#endif							/* MIG_SOURCE_CONVENTION_ATLAS_H */
