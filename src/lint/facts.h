/*-------------------------------------------------------------------------
 *
 * facts.h
 *	  What the catalogs say about the objects of a body.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LINT_FACTS_H
#define MIG_LINT_FACTS_H

#include "access/attnum.h"
#include "nodes/pg_list.h"
#include "nodes/parsenodes.h"

/* a column, of the catalog or of the plan */
typedef struct MigLintColumn
{
	char	   *name;
	AttrNumber	attnum;			/* 0: made by the plan */
	Oid			typid;			/* InvalidOid: not known */
	const char *made_type;		/* "schema.name" of one that the plan makes */
	int32		typmod;
	Oid			collation;
	bool		not_null;
	bool		proved;			/* a valid CHECK of the plan says not null */
	bool		has_default;
} MigLintColumn;

/* an index, of the catalog or of the plan */
typedef struct MigLintIndex
{
	char	   *name;
	List	   *columns;		/* of char *; NULL for an expression */
	int			nkeys;
	bool		unique;
	bool		partial;
	List	   *implied_by;		/* of a partial one's condition: a List (char
								 * *) for each thing that it demands, columns
								 * of which one that is not null is enough */
	bool		valid;
	bool		btree;
} MigLintIndex;

/* a constraint, of the catalog or of the plan */
typedef struct MigLintConstraint
{
	char	   *name;			/* NULL: the server will choose one */
	char		kind;			/* pg_constraint.contype */
	bool		valid;
	List	   *columns;		/* of char *; of a CHECK of the plan those
								 * that it proves not to be null */
	List	   *uses;			/* of char *, all columns of such a CHECK */
	int			other;			/* id of the table that a foreign key of the
								 * plan refers to, -1: none */
	int			transaction;	/* of the plan that made it, -1: none */
} MigLintConstraint;

/* what ALTER COLUMN TYPE does */
typedef enum MigLintCast
{
	MIG_CAST_NOTHING,			/* the catalog changes, and nothing else */
	MIG_CAST_INDEXES,			/* indexes are built again */
	MIG_CAST_REWRITE,
	MIG_CAST_UNKNOWN,			/* code that is not the server's decides */
	MIG_CAST_MISSING			/* fails without USING */
} MigLintCast;

/*
 * One value of a catalog row, read without a lock: InvalidOid, '\0', NULL or
 * false if the object is not there, or no longer.
 */
extern Oid	mig_facts_schema(const char *name);
extern Oid	mig_facts_relation(Oid schema, const char *name);
extern char mig_facts_relkind(Oid relation);
extern char *mig_facts_relation_name(Oid relation);
extern char *mig_facts_schema_of(Oid relation);
extern bool mig_facts_has_default_partition(Oid relation);

/* lists of MigLintColumn, MigLintIndex, MigLintConstraint; NIL if it is gone */
extern List *mig_facts_columns(Oid relation);
extern List *mig_facts_indexes(Oid relation);
extern List *mig_facts_constraints(Oid relation);

/*
 * MigLintIndex.implied_by for a condition, raw or analyzed; column says which
 * column an expression is, NULL: none.
 */
extern List *mig_facts_implied_by(Node *condition,
								  char *(*column) (Node *node, void *arg),
								  void *arg);

/* the table of an index */
extern Oid	mig_facts_index_table(Oid index);

/* does a valid CHECK say that a column is not null? */
extern bool mig_facts_not_null_proved(Oid relation,
									  const MigLintColumn *column);

/* a type by name in one schema */
extern Oid	mig_facts_type(Oid schema, const char *name);
extern Oid	mig_facts_array_of(Oid type);

/* how many enum types have this value? */
extern int	mig_facts_enums_with(const char *label);
extern bool mig_facts_is_checked_domain(Oid type);
extern bool mig_facts_has_volatile_default(Oid type);

/* typmod of a raw type name; false if that takes more than is known here */
extern bool mig_facts_typmod(Oid type, List *typmods, int32 *typmod);

/* what ALTER COLUMN TYPE does to the values of a column, and to its indexes */
extern MigLintCast mig_facts_cast(const MigLintColumn *column, Oid type,
								  int32 typmod, bool collate,
								  bool is_explicit);

/* 'i', 's', 'v', the most volatile of those that could be meant; 0: none */
extern char mig_facts_volatility(Oid schema, const char *function, int nargs);

/*
 * Could a function of this name, in whatever schema, change tables?  Not if it is
 * in C or not volatile; yes if there is none, which the plan may make.
 */
extern bool mig_facts_may_run_sql(const char *function);

#endif							/* MIG_LINT_FACTS_H */
