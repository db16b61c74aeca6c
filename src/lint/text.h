/*-------------------------------------------------------------------------
 *
 * text.h
 *	  What the parser does not keep of a body: comments, long names, secrets.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LINT_TEXT_H
#define MIG_LINT_TEXT_H

#include "nodes/pg_list.h"

/* a comment that switches rules off */
typedef struct MigLintOff
{
	int			location;		/* in bytes */
	bool		whole;			/* for the whole body */
	List	   *rules;			/* of char * */
} MigLintOff;

typedef struct MigLintText
{
	List	   *offs;			/* of MigLintOff * */
	List	   *long_names;		/* of MigLongName * */
} MigLintText;

/* a name that is longer than the server's names */
typedef struct MigLongName
{
	int			location;		/* in bytes */
	char	   *name;			/* as it will be once it is cut off */
} MigLongName;

/* the comments and names of a body, which need not be correct SQL */
extern MigLintText *mig_lint_text_scan(const char *text);

/*
 * Does this look like a secret?  Returns what it seems to be, or NULL, and its
 * place in *location, at or after from.
 */
extern const char *mig_lint_text_secret(const char *text, int from,
										int *location);

#endif							/* MIG_LINT_TEXT_H */
