/*-------------------------------------------------------------------------
 *
 * verify.h
 *	  Whether a verify body can fail.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LINT_VERIFY_H
#define MIG_LINT_VERIFY_H

#include "nodes/pg_list.h"

/*
 * Do these statements (RawStmt *) of a verify body pass whatever is in the
 * database?  sqitch: only an error fails.
 */
extern bool mig_verify_always_passes(List *trees, bool sqitch);

#endif							/* MIG_LINT_VERIFY_H */
