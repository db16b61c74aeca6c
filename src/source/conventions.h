/*-------------------------------------------------------------------------
 *
 * conventions.h
 *	  What a convention is, and those that there are.
 *
 * To add one, write a file with its row, declare that here, and add it to the table
 * in convention_table.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_CONVENTIONS_H
#define MIG_SOURCE_CONVENTIONS_H

#include "source/file_set.h"

typedef struct MigConvention
{
	const char *name;
	const char *files;			/* its file names, for messages */

	/* one whose files are called the same and mean something else, or NULL */
	const char *namesake;

	/*
	 * Its tool has a place for migrations and looks at no file outside of it:
	 * such a file is named in a NOTICE and left out.
	 */
	bool		has_place;
	bool		nested;			/* its tool looks into sub-directories */
	bool		numbered;		/* its versions have a digit in them */

	/*
	 * No other tool runs its files, each in a transaction of its own, which a
	 * COMMIT without a BEGIN ends.
	 */
	bool		ours;
	bool		verify_by_errors;	/* a verify body fails by them alone */
	bool		native_markers; /* it reads "-- migrate:" */

	/*
	 * How a file says that its statements are not to share a transaction, for
	 * hints; NULL: it cannot.
	 */
	const char *transactional_off;

	/* the same for versions that are the same one to it; NULL: their bytes */
	char	   *(*version_key) (const char *version);

	/* what follows the marker in a line that only its files have, or NULL */
	char	   *(*marker) (const MigFileLine *line);

	/* a file that shows that the set is of it, or NULL; NULL: never is */
	MigSourceFile *(*detect) (const MigFileSet *set);
	void		(*parse) (MigFileSet *set);
} MigConvention;

extern const MigConvention mig_convention_native;
extern const MigConvention mig_convention_plain;
extern const MigConvention mig_convention_name;
extern const MigConvention mig_convention_golang_migrate;
extern const MigConvention mig_convention_sqlx;
extern const MigConvention mig_convention_goose;
extern const MigConvention mig_convention_diesel;
extern const MigConvention mig_convention_flyway;
extern const MigConvention mig_convention_sqitch;
extern const MigConvention mig_convention_prisma;
extern const MigConvention mig_convention_sql_migrate;
extern const MigConvention mig_convention_node_pg_migrate;
extern const MigConvention mig_convention_tern;
extern const MigConvention mig_convention_mybatis;
extern const MigConvention mig_convention_play;
extern const MigConvention mig_convention_micrate;
extern const MigConvention mig_convention_rambler;
extern const MigConvention mig_convention_dbmate;
extern const MigConvention mig_convention_drizzle;
extern const MigConvention mig_convention_postgrator;
extern const MigConvention mig_convention_yoyo;
extern const MigConvention mig_convention_refinery;
extern const MigConvention mig_convention_db_migrate;
extern const MigConvention mig_convention_graphile_migrate;
extern const MigConvention mig_convention_atlas;

/* the table; the first one is what a set is taken for that shows none */
extern const MigConvention *const mig_conventions[];
extern const int mig_nconventions;

/* the row of that name; MIG_ERRCODE_CONVENTION if there is none */
extern const MigConvention *mig_convention_find(const char *name);

/* that of a stored text, whose column "source" may say anything, or be NULL */
extern const MigConvention *mig_convention_of_source(const char *source);

#endif							/* MIG_SOURCE_CONVENTIONS_H */
