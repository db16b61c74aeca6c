/*-------------------------------------------------------------------------
 *
 * uses.h
 *	  Who uses a table, a column or a type.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LINT_USES_H
#define MIG_LINT_USES_H

#include "access/attnum.h"
#include "nodes/pg_list.h"

/* something that depends on a relation or a column */
typedef struct MigLintUse
{
	const char *kind;			/* "view", "foreign key", ... */
	char	   *name;			/* for people */
	Oid			relation;		/* the view, or the table that it is of */
	char	   *subname;		/* of the constraint, policy, trigger, or NULL */
	bool		blocks;			/* DROP without CASCADE fails */
} MigLintUse;

/* MigLintUse *: what depends on a relation, or, if attnum is not 0, a column */
extern List *mig_uses_of(Oid relation, AttrNumber attnum);

/* the same of a type, or of its array type */
extern List *mig_uses_of_type(Oid type);

/* a function whose text is only a string for the server */
typedef struct MigLintFunction
{
	char	   *schema;
	char	   *name;
	char	   *source;			/* lower case */
} MigLintFunction;

/* all of them but those of the server and of extensions */
extern List *mig_uses_functions(void);

/* has the function's text these words?  word2 may be NULL */
extern bool mig_uses_mentions(const MigLintFunction *function,
							  const char *word1, const char *word2);

/* "index a" that an index is a partition of, or NULL */
extern char *mig_uses_parent_of_index(Oid index);

/* oids of tables that have a column of the domain */
extern List *mig_uses_of_domain(Oid domain);

#endif							/* MIG_LINT_USES_H */
