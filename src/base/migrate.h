/*-------------------------------------------------------------------------
 *
 * migrate.h
 *	  Structs and enums that three or more files of the extension share.
 *
 * No prototypes here: each .c file has a header of its own.  Strings are
 * NUL-terminated and in the server encoding; NULL where SQL has NULL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_MIGRATE_H
#define MIG_BASE_MIGRATE_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#define MIG_EXTENSION_NAME "migrate"
#define MIG_SCHEMA_NAME "migrate"
/* must equal default_version of migrate.control; a guard in CI compares */
#define MIG_VERSION "1.0"

#define MIG_TARGET_HEAD "head"
#define MIG_TARGET_BASE "base"

typedef enum MigKind
{
	MIG_VERSIONED,
	MIG_REPEATABLE
} MigKind;

/* the three texts of a migration */
typedef enum MigPart
{
	MIG_UP,
	MIG_DOWN,
	MIG_VERIFY
} MigPart;

/*
 * The author of a body.  Only trusted decides: a superuser has stored it as its
 * author, or has marked it as trusted.  The name may belong to another role now.
 */
typedef struct MigAuthor
{
	const char *name;			/* NULL: unknown */
	bool		trusted;
} MigAuthor;

/* migration.transactional: null, true, false */
typedef enum MigTransactional
{
	MIG_TX_RECOGNIZE,			/* null: decide by the parse tree */
	MIG_TX_OFF,
	MIG_TX_ON
} MigTransactional;

/*
 * A migration that is to be stored: made by source/convention.c from
 * files or by add() from its arguments, consumed by admin/store.c.
 */
typedef struct MigSource
{
	char	   *version;
	char	   *name;			/* never NULL */
	MigKind		kind;
	char	   *up;				/* never NULL */
	char	   *down;			/* NULL: there is none */
	char	   *verify;
	List	   *requires;		/* of char *; versions, or project:version */
	MigTransactional transactional;
	bool		irreversible;	/* says that there is no way back; down is
								 * NULL */
	char	   *path;			/* the (up) file, NULL for add() */
	char	   *down_path;		/* NULL: the same file */
	char	   *verify_path;
	int			lines[MIG_VERIFY + 1];	/* where each text begins in its file,
										 * 0: not known */
	const char *source;			/* name of the convention, NULL for add() */
	const char *renamed_from;	/* the version that this text had before */
} MigSource;

/*
 * One version of a project: stored, applied or both.  Filled by
 * ledger/entry.c, ordered and selected by plan/plan.c.  Has no bodies, so
 * that a plan's size is that of its names.
 */
typedef struct MigEntry
{
	char	   *version;
	char	   *name;
	MigKind		kind;
	int			nrequires;
	char	  **requires;
	bool		stored;			/* has a row in migrate.migration */
	bool		applied;		/* has a row in migrate.applied */
	bool		up_changed;		/* stored up differs from the one applied */
	bool		down_changed;	/* likewise down */
	bool		has_down;		/* or needs none */
	bool		down_is_empty;	/* has no statement, though up has */
	bool		has_verify;
	const struct MigConvention *convention; /* of its files; never NULL */
	bool		irreversible;
	bool		partial;		/* some of its steps are done, see
								 * ledger/step.h */
	MigPart		partial_part;	/* of this body, if so */
	MigTransactional transactional;
	char	   *path;
	char	   *down_path;		/* NULL: the same file */
	char	   *verify_path;
	int			lines[MIG_VERIFY + 1];	/* where each text begins in its file,
										 * 0: not known */
	char	   *held_reason;	/* NULL: not held */
	int64		length;			/* bytes of up, down and verify together */
	/* from the ledger; NULL and zero if not applied */
	char	   *origin;
	int64		run;			/* that applied it */
	int64		seq;			/* grows with each application */
	/* details, which only some callers ask for */
	char	   *applied_by;
	TimestampTz applied_at;
	double		execution_ms;
	char	   *checksum;		/* of the stored up, else of the applied one */
	char	   *down_checksum;	/* of the stored down, may be NULL */
	char	   *error;			/* not applied, and the newest attempt failed */
	int64		failed_run;		/* which that was */
	/* set by plan/plan.c */
	int			position;		/* in the order of the whole project */
} MigEntry;

/* what apply() makes of the linter's findings */
typedef enum MigLintMode
{
	MIG_LINT_OFF,
	MIG_LINT_WARN,
	MIG_LINT_REFUSE
} MigLintMode;

/* a row of migrate.policy, or the defaults */
typedef struct MigPolicy
{
	char	   *role;			/* NULL: any */
	char	   *search_path;	/* what bodies start with */
	bool		sets_search_path;	/* or else it is the session's */
	bool		allow_out_of_order;
	bool		protected;
	bool		require_down;
	bool		refuse_edits;	/* those of comments and blanks too */
	char	   *frozen_reason;	/* NULL: not frozen */
	MigLintMode lint;			/* before something is applied */
	int			nlint_off;
	char	  **lint_off;		/* rules that are not looked at */
} MigPolicy;

/* as many may be left out of what is settled */
#define MIG_SETTLED_EXCEPTIONS 256

/*
 * Migrations that need not be read to make a plan: their versions are at or
 * below "through", byte by byte, and are no exceptions.  Each is versioned,
 * stored and applied, has the text that was applied, is not held, and requires
 * nothing.  The rest is bounds, which may be too high.
 */
typedef struct MigSettled
{
	char	   *through;		/* NULL: none are known */
	int64		count;			/* exactly so many */
	int64		seq;			/* none has a greater one, see MigEntry */
	char	   *highest;		/* none has a higher version */
	int			nexceptions;
	char	  **exceptions;		/* versions, bytewise, there or not */

	/* when it was read, see mig_state_write() */
	bool		recorded;		/* there was a row */
	uint64		changes;
	uint64		foreign_changes;
} MigSettled;

/* a row of migrate.state */
typedef struct MigState
{
	bool		complete;		/* nothing is pending, held or changed */
	int64		applied;
	char	   *newest;			/* applied last, NULL if nothing is */
	MigSettled	settled;
} MigState;

#endif							/* MIG_BASE_MIGRATE_H */
