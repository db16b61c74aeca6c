/*-------------------------------------------------------------------------
 *
 * migration.h
 *	  Reading the books, and writing migrate.migration, policy and state.
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

/* the names of all projects that have a migration, stored or applied */
extern List *mig_migration_projects(void);

/*
 * Say, as an error or a warning, that a project has no migrations, for whoever
 * asks for one is mistaken in its name, or nothing was loaded.  The second one
 * looks, and warns if that is so.
 */
extern void mig_migration_tell_empty(const char *project, int elevel);
extern void mig_migration_warn_if_empty(const char *project);

/* search_path of what was run and applied last; NULL if that is not known */
extern char *mig_migration_newest_path(const char *project);

/* search_path of the run that has applied this; likewise */
extern char *mig_migration_path_of(const char *project, const char *version);

/* the policy of a project; the defaults if it has no row */
extern MigPolicy *mig_policy_read(const char *project);

/*
 * All versions of a project, stored, applied or both, in bytewise order.
 * details also fills the checksums, and error of those that are not applied.
 */
extern MigEntry *mig_migration_entries(const char *project, bool details,
									   int *count);

/*
 * Of these versions (char *) those that there are, likewise; by the active
 * snapshot.
 */
extern MigEntry *mig_migration_entries_named(const char *project,
											 List *versions,
											 bool details, int *count);

/*
 * Versions (char *) of all that are not settled, and perhaps of others; some
 * twice.  By the active snapshot.  False if only a look at all can tell.
 */
extern bool mig_migration_unsettled(const char *project,
									const MigSettled *settled,
									List **versions);

/* these, in their order, without details; NULL if one is not there */
extern MigEntry **mig_migration_entries_of(const char *project,
										   char **versions,
										   int count);

/* one of them, with details; NULL if there is none */
extern MigEntry *mig_migration_entry(const char *project, const char *version);

/* the texts of these entries, in their order; all must be stored */
extern MigTexts *mig_migration_texts(const char *project, MigEntry **entries,
									 int count);

/* raise the error of a row that somebody has deleted in between */
extern void mig_migration_removed_meanwhile(void);

/*
 * The first of these versions, in their order, of which the part, or the verify
 * body that goes with an up body, is not trusted; false if there is none.
 */
extern bool mig_migration_stranger(const char *project, MigPart part,
								   char **versions, int count, char **version,
								   MigAuthor *author);

/* by the primary key, so that it does not matter how many there are */
extern bool mig_migration_is_applied(const char *project, const char *version);

/* applied migrations of other projects that require one of these versions */
extern List *mig_migration_dependents(const char *project, List *versions);

/* role under which the newest migration was applied, or NULL */
extern char *mig_migration_last_role(const char *project);


/* the same of a migration that may never have been applied */
extern bool mig_migration_is_stored(const char *project, const char *version);

/*
 * Compare sources (MigSource *) with the stored rows; result in their order.
 */
extern MigComparison *mig_migration_compare(const char *project, List *sources,
											List *checksums,
											List *down_checksums);

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

/*
 * new texts for an applied migration; mig_migration_accept() is for the ledger
 */
extern void mig_migration_amend(const char *project, const char *version,
								const MigTexts *texts, const char *added_by);

/* what is stored under these checksums counts as what was applied */
extern void mig_migration_accept(const char *project, const char *version,
								 const char *checksum,
								 const char *down_checksum);

/* the row of the ledger is that of this source from now on */
extern void mig_migration_rename(const char *project, const char *version,
								 const MigSource *source, const char *checksum,
								 const char *down_checksum);

#endif							/* MIG_LEDGER_MIGRATION_H */
