/*-------------------------------------------------------------------------
 *
 * convention_auto.h
 *	  Which convention a set of files is of.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_CONVENTION_AUTO_H
#define MIG_SOURCE_CONVENTION_AUTO_H

#include "source/conventions.h"

/*
 * The convention that the files show; NULL if there is nothing to load.  Raises
 * MIG_ERRCODE_CONVENTION if they show two.
 */
extern const MigConvention *mig_convention_recognize(const MigFileSet *set);

#endif							/* MIG_SOURCE_CONVENTION_AUTO_H */
