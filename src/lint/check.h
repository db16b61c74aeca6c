/*-------------------------------------------------------------------------
 *
 * check.h
 *	  What the rules of the linter see, and how they say what they found.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LINT_CHECK_H
#define MIG_LINT_CHECK_H

#include "base/held_locks.h"
#include "lint/model_apply.h"
#include "lint/model_table.h"
#include "lint/text.h"
#include "lint/uses.h"
#include "plan/plan.h"
#include "source/body.h"

typedef enum MigSeverity
{
	MIG_LINT_NONE = -1,
	MIG_LINT_NOTE,
	MIG_LINT_WARNING,
	MIG_LINT_ERROR
} MigSeverity;

/* how large a table is, see doc/lint.md */
#define MIG_LINT_MEDIUM_BYTES INT64CONST(8388608)
#define MIG_LINT_MEDIUM_ROWS 10000.0
#define MIG_LINT_LARGE_BYTES INT64CONST(536870912)
#define MIG_LINT_LARGE_ROWS 1000000.0

/* statements per second that write, from which on a table is busy */
#define MIG_LINT_BUSY 50.0

typedef struct MigFinding
{
	const char *version;		/* NULL: about the project */
	const char *name;
	const char *part;			/* NULL: about the migration */
	int			statement;		/* from 1; 0: none */
	int			line;
	const char *path;			/* the file whose line it is, or NULL */
	const char *rule;
	MigSeverity severity;
	char	   *relation;		/* may be NULL, like all that follow */
	bool		has_size;
	int64		bytes;
	double		rows;
	char	   *message;
	char	   *instead;
	List	   *columns;		/* of char *, if it names several */
	/* order */
	int			step;
	int			sequence;
} MigFinding;

typedef struct MigLint MigLint;

/* a rule; tag limits the statements that it is shown, T_Invalid does not */
typedef struct MigLintRule
{
	const char *id;
	bool		takes_long;		/* what it finds keeps the server busy */
	bool		foretells;		/* its errors are about what is there: not
								 * after what may have changed that */
	NodeTag		tag;
	void		(*check) (MigLint *lint, Node *stmt);
} MigLintRule;

/* a foreign key whose columns should have an index at the end of the plan */
typedef struct MigLintForeignKey
{
	MigFinding	finding;
	MigLintRel *rel;
	char	   *schema;			/* of the table, while rel is not there yet */
	char	   *table;
	List	   *columns;
	MigLintRel *reported;		/* that table, once it is */
} MigLintForeignKey;

/* what missing-down has to say of all migrations in one finding */
typedef struct MigLintDowns
{
	MigFinding	first;			/* where the first one was missing */
	List	   *versions;		/* of char * */
	bool		marked;			/* their files can say "irreversible" */
} MigLintDowns;

/* a lock that others have to wait for */
typedef struct MigLintLock
{
	MigLintRel *rel;
	LOCKMODE	mode;
	int			line;
} MigLintLock;

struct MigLint
{
	MemoryContext context;		/* of the findings */
	const char *project_name;
	MigProject *project;
	MigPlan    *plan;
	MigPolicy  *policy;
	MigLintModel *model;
	List	   *findings;		/* of MigFinding * */
	List	   *functions;		/* of MigLintFunction *, once read */
	bool		functions_read;

	/* the migration */
	int			step;
	const MigEntry *entry;		/* NULL: the project */
	List	   *lost;			/* of char *, "table.column" that up drops */
	bool		empty;			/* up has no statement */
	bool		down_empty;		/* down has none, though up has */
	bool		verify_passes;	/* the verify body cannot fail */
	const char *refused[MIG_DOWN + 1];	/* what is wrong with up and down, as
										 * an SQLSTATE; NULL: nothing */

	/* the body; NULL for what is about the migration */
	const MigBody *body;
	MigPart		part;
	List	   *trees;			/* of RawStmt * */
	const MigLintText *text;
	List	   *locks;			/* of MigLintLock *, of this transaction */
	List	   *altered;		/* of MigLintRel *, by ALTER TABLE */
	int			statement;		/* -1: about the body */
	int			cuts;			/* places that could-be-cut has named */
	MigSeverity takes_long;		/* how long the statement does, so far */
	int			secret_location;	/* of the next one in the body */
	const char *secret_what;	/* NULL: there is none */
	int			secrets;		/* so many more are looked for */
	List	   *off;			/* of char *, rules that are off */
	List	   *offs_seen;		/* of char *, all of the migration */

	/* looked at in the end */
	List	   *foreign_keys;	/* of MigLintForeignKey * */
	MigLintDowns downs;
	HTAB	   *by_table;		/* findings that name several columns */
	List	   *known_rules;	/* of char *, all ids */
	int			counted;		/* are versions 1, 2, 3...? -1: not known yet */

	const MigLintRule *rule;
};

/* is it one of the list (char *)? */
extern bool mig_lint_is_in(List *strings, const char *string);

/* may the rule say something here? */
extern bool mig_lint_is_on(MigLint *lint, const char *rule);

/*
 * Report what the current rule found at the current statement.  rel and
 * instead may be NULL; strings are copied.
 */
extern void mig_lint_report(MigLint *lint, MigSeverity severity,
							MigLintRel *rel, const char *message,
							const char *instead);

/* the statement reads or writes all of the relation */
extern void mig_lint_takes_long(MigLint *lint, MigLintRel *rel);

/* the same elsewhere: what is known of the place is in finding */
extern void mig_lint_report_at(MigLint *lint, const MigFinding *finding,
							   MigSeverity severity, MigLintRel *rel,
							   const char *message, const char *instead);

/* finding with the place of the current statement and rule */
extern void mig_lint_place(const MigLint *lint, MigFinding *finding);

/*
 * How bad it is that a relation is read from one end to the other, or written,
 * while others wait.  MIG_LINT_NONE for one that has no rows or was made by the
 * plan.
 */
extern MigSeverity mig_lint_scale(MigLint *lint, MigLintRel *rel);

/*
 * For the rest of the rule, children by inheritance do not count: what it is
 * about does not go down to them.
 */
extern void mig_lint_without_children(MigLint *lint);

/* rows are written all the time */
extern bool mig_lint_is_busy(MigLint *lint, MigLintRel *rel);

/* a table of the plan, or without rows, or not there at all */
extern bool mig_lint_is_harmless(MigLint *lint, MigLintRel *rel);

/*
 * How bad it is that the server will probably refuse the statement: no error
 * where one before it may have changed the reason.
 */
extern MigSeverity mig_lint_foretold(const MigLint *lint);

/* is this body run in one transaction, or is the statement on its own? */
extern bool mig_lint_in_transaction(const MigLint *lint);

/* quoted, with its schema unless that is the first of the path */
extern char *mig_lint_name(MigLint *lint, const MigLintRel *rel);
extern const char *mig_lint_quote(const char *name);

/* "about 40 million rows, 4096 MB" */
extern char *mig_lint_how_much(MigLint *lint, MigLintRel *rel);

/* "nobody can write to it" */
extern const char *mig_lint_nobody(LOCKMODE mode);

/* how a statement that does not block is to be run, as a comment */
#define MIG_LINT_ON_ITS_OWN \
	"-- in a migration of its own, by CALL migrate.apply_each():\n"
#define MIG_LINT_NEXT "\n-- in the next migration:\n"

/*
 * a name for what the statement gives none, quoted and not taken yet:
 * "t_a_b_suffix"
 */
extern const char *mig_lint_new_name(MigLint *lint, const MigLintRel *rel,
									 List *columns, const char *suffix);

/* "a, b" of char * */
extern char *mig_lint_list(List *names);

/* char * of String nodes */
extern List *mig_lint_strings(List *names);

/* a relation of the catalogs as it is in the plan; NULL: no more, or another */
extern MigLintRel *mig_lint_relation(MigLint *lint, Oid relation);

/* commands of ALTER TABLE; NIL for other statements */
extern List *mig_lint_commands(Node *stmt);
extern MigLintRel *mig_lint_altered(MigLint *lint, Node *stmt);

/*
 * What needs the index of the table, so that DROP INDEX is refused: the
 * constraint that it is of, or an index of the partitioned table.  NULL: none.
 */
extern char *mig_lint_owner_of_index(MigLint *lint, MigLintRel *index,
									 MigLintRel *table);

/*
 * Is there an index whose first columns are these, in any order, with all rows
 * in which none of them is null?
 */
extern bool mig_lint_has_index(MigLint *lint, MigLintRel *rel, List *columns);

#define foreach_command(lc, stmt) foreach(lc, mig_lint_commands(stmt))

#endif							/* MIG_LINT_CHECK_H */
