/*-------------------------------------------------------------------------
 *
 * convention_dbmate.h
 *	  The files of dbmate, in its order.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_CONVENTION_DBMATE_H
#define MIG_SOURCE_CONVENTION_DBMATE_H

#include "nodes/pg_list.h"

/*
 * Of migrations (MigSource *) that were taken for the native form without
 * anybody having said so: if dbmate could have written all of them, and would
 * run them in another order, say so in a NOTICE.
 */
extern bool mig_dbmate_note_order(List *sources);

#endif							/* MIG_SOURCE_CONVENTION_DBMATE_H */
