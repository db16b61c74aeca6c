/*-------------------------------------------------------------------------
 *
 * refusal.h
 *	  What becomes of files that were refused.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_REFUSAL_H
#define MIG_SOURCE_REFUSAL_H

#include "source/file_set.h"

/* take migrations out of the set one of whose files was refused */
extern void mig_refusal_drop_sources(MigFileSet *set);

/* a WARNING for each file that is left out because it was refused */
extern void mig_refusal_warn(const MigFileSet *set);

/* raise one error about all of them, unless the set is loaded in part */
extern void mig_refusal_report(const MigFileSet *set);

#endif							/* MIG_SOURCE_REFUSAL_H */
