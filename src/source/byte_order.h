/*-------------------------------------------------------------------------
 *
 * byte_order.h
 *	  Orders of tools that are not the natural one of versions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_BYTE_ORDER_H
#define MIG_SOURCE_BYTE_ORDER_H

#include "source/file_set.h"

/*
 * Have migrations (MigSource *) require one another where the order of the list
 * is not the natural one of their versions.
 */
extern void mig_order_keep(List *in_order);

/* the same for the order of their versions as strings */
extern void mig_byte_order_keep(List *sources);

/* a copy of the list in the order of the names of their files as strings */
extern List *mig_byte_order_of_files(List *sources);

/*
 * A copy of the list, which must have each version once, in which a migration is
 * preceded by those that it requires.  What requires itself stays in a circle.
 */
extern List *mig_order_after_required(List *in_order);

#endif							/* MIG_SOURCE_BYTE_ORDER_H */
