/*-------------------------------------------------------------------------
 *
 * byte_order.h
 *	  The order of tools that compare versions as strings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_BYTE_ORDER_H
#define MIG_SOURCE_BYTE_ORDER_H

#include "source/file_set.h"

/*
 * Have migrations (MigSource *) require one another where the order of their
 * versions as strings is not the natural one.
 */
extern void mig_byte_order_keep(List *sources);

#endif							/* MIG_SOURCE_BYTE_ORDER_H */
