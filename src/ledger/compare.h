/*-------------------------------------------------------------------------
 *
 * compare.h
 *	  Comparing sources with what is stored and was applied.
 *
 * Runs under the tables' owner and gives the caller's identity back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_COMPARE_H
#define MIG_LEDGER_COMPARE_H

#include "base/migrate.h"

/* how a text that is to be stored compares with what is there */
typedef struct MigComparison
{
	bool		stored;
	bool		applied;
	bool		same_up;
	bool		same_down;
	bool		same_kind;
	bool		same_head;		/* kind, requires, transactional, irreversible */
	bool		same_verify;
	bool		same_place;		/* name, path, lines, source */
	bool		ran_before;		/* this very text was applied before */
	bool		amended_down;	/* the stored down was given to amend(), and
								 * there is none now */
} MigComparison;

/*
 * Compare sources (MigSource *), with their checksums (char *), with the
 * stored rows; results in their order.
 */
extern MigComparison *mig_compare_sources(const char *project, List *sources,
										  List *checksums,
										  List *down_checksums);

#endif							/* MIG_LEDGER_COMPARE_H */
