/*-------------------------------------------------------------------------
 *
 * migration.h
 *	  Rows of migrate.migration: texts, and who wrote them.
 *
 * Every function here works under the tables' owner and gives the caller's
 * identity back.  Those that write expect the caller to hold the runner lock.
 * Results are in CurrentMemoryContext.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LEDGER_MIGRATION_H
#define MIG_LEDGER_MIGRATION_H

#include "base/migrate.h"

/* the texts of one migration */
typedef struct MigTexts
{
	char	   *up;
	char	   *down;
	char	   *verify;
	char	   *checksum;
	char	   *down_checksum;
	char	   *source;
	MigAuthor	authors[MIG_VERIFY + 1];	/* by part */
	bool		does_nothing;	/* no down is needed: up is empty */
} MigTexts;

/* one of them, or NULL; an empty down for what needs none */
extern const char *mig_migration_texts_part(const MigTexts *texts,
											MigPart part);

/* the texts of these entries, in their order; all must be stored */
extern MigTexts *mig_migration_texts(const char *project, MigEntry **entries,
									 int count);

/* raise the error for a row that was deleted in between */
extern void mig_migration_removed_meanwhile(void);

/*
 * The first of these versions, in their order, of which the part, or the verify
 * body that goes with an up body, is not trusted; false if there is none.
 */
extern bool mig_migration_stranger(const char *project, MigPart part,
								   char **versions, int count, char **version,
								   MigAuthor *author);

/* applied migrations of other projects that require one of these versions */
extern List *mig_migration_dependents(const char *project, List *versions);

/* is there a row of this version, applied or not?  By the primary key */
extern bool mig_migration_is_stored(const char *project, const char *version);

/* the gate parses and hashes what these store; added_by is its author */
extern void mig_migration_insert(const char *project, List *sources,
								 const char *added_by);
extern void mig_migration_replace(const char *project, List *sources,
								  const char *added_by);

/* only name, path, lines and source: the texts are the same */
extern void mig_migration_move(const char *project, List *sources);
extern void mig_migration_delete(const char *project, List *versions);
extern void mig_migration_hold(const char *project, List *versions,
							   const char *reason);

/* new texts for an applied migration; mig_applied_accept() is for the ledger */
extern void mig_migration_amend(const char *project, const char *version,
								const MigTexts *texts, const char *added_by);

#endif							/* MIG_LEDGER_MIGRATION_H */
