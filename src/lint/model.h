/*-------------------------------------------------------------------------
 *
 * model.h
 *	  The database as it will be when a plan has come to a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LINT_MODEL_H
#define MIG_LINT_MODEL_H

#include "lint/facts.h"
#include "nodes/parsenodes.h"
#include "base/relation_size.h"
#include "utils/hsearch.h"

#define MIG_LINT_KEY_LENGTH (2 * NAMEDATALEN)

/* a relation, or the index of a constraint */
typedef struct MigLintRel
{
	char	   *schema;
	char	   *name;
	Oid			oid;			/* InvalidOid: made by the plan */
	char		relkind;
	bool		dropped;
	bool		emptied;		/* by TRUNCATE */
	bool		written;		/* the plan has put rows into it */
	bool		redefined;		/* a view whose query is one of the plan */
	List	   *reads;			/* ids of the relations in that query */
	List	   *reads_columns;	/* of char *: names in it, "*": all */
	int			step;			/* of the plan that made it, -1: none */
	int			id;				/* the same in copies and under other names */
	struct MigLintRel *table;	/* of an index that the plan made */

	/* read when first asked for */
	bool		columns_read;
	bool		columns_known;
	List	   *columns;		/* of MigLintColumn * */
	bool		indexes_read;
	List	   *indexes;		/* of MigLintIndex * */
	bool		constraints_read;
	bool		constraints_known;	/* there are no others */
	List	   *constraints;	/* of MigLintConstraint * */
	bool		size_read;
	MigRelationSize size;
	bool		tree_size_read;
	MigRelationSize tree_size;	/* with the tables that inherit from it */
} MigLintRel;

/* an enum type and what the plan does to it */
typedef struct MigLintEnum
{
	char	   *schema;
	char	   *name;
	int			made;			/* step, -1: by no step of the plan */
	List	   *labels;			/* of MigLintLabel *, those added */
	List	   *first;			/* of char *, those it was made with */
} MigLintEnum;

typedef struct MigLintLabel
{
	char	   *label;
	int			step;
	int			transaction;	/* number within the plan */
} MigLintLabel;

/* a domain that the plan makes or alters; the last one of a name counts */
typedef struct MigLintDomain
{
	char	   *schema;
	char	   *name;
	bool		checked;		/* has a CHECK or NOT NULL, or is over one
								 * that has */
	bool		volatile_default;
} MigLintDomain;

/* lengths of the lists of a model, and its flags */
typedef struct MigLintMark
{
	int			enums;
	int			types;
	int			domains;
	int			schemas;
	int			functions;
	int			gone;
	bool		opaque;
	bool		cascaded;
} MigLintMark;

typedef struct MigLintModel
{
	MemoryContext context;
	char	   *policy_path;
	List	   *path;			/* of char *, schemas in which names are found */
	HTAB	   *relations;
	HTAB	   *overlay;		/* NULL, or what a down body changes */
	MigLintMark mark;			/* how it was before that */
	List	   *enums;			/* of MigLintEnum * */
	List	   *types;			/* "schema.name" of types made */
	List	   *domains;		/* of MigLintDomain * */
	List	   *schemas;		/* names made */
	List	   *functions;		/* "v:name" of functions made, v volatility */
	List	   *gone;			/* "kind:name" of other objects dropped */
	int			step;			/* that is being looked at */
	bool		with_children;	/* the statement is about these as well */
	int			next_id;
	int			transaction;

	/* after a statement that may do anything at all */
	bool		opaque;
	bool		cascaded;		/* something was dropped with CASCADE */
} MigLintModel;

/* lives in the current context, and so does what it reads later */
extern MigLintModel *mig_model_new(const char *search_path);

/* names are found as at the start of a body from here on */
extern void mig_model_begin_body(MigLintModel *model, int step);

/* what happens until the end is forgotten */
extern void mig_model_begin_aside(MigLintModel *model);
extern void mig_model_end_aside(MigLintModel *model);

/*
 * for lint/model_apply.c: a relation that the plan makes, moves or looks for
 */
extern MigLintRel *mig_model_add(MigLintModel *model, const char *schema,
								 const char *name, char relkind);
extern void mig_model_move(MigLintModel *model, MigLintRel *rel,
						   const char *schema, const char *name);
extern void mig_model_set_path(MigLintModel *model, const char *search_path);

/* NULL if there is no such relation, as far as is known */
extern MigLintRel *mig_model_find(MigLintModel *model, const char *schema,
								  const char *name);
extern MigLintRel *mig_model_range(MigLintModel *model, const RangeVar *range);
extern MigLintRel *mig_model_names(MigLintModel *model, List *names);

/* is the schema there, or has the plan made it? */
extern bool mig_model_has_schema(const MigLintModel *model, const char *name);

/* the first schema of the path, in which things are made */
extern const char *mig_model_target_schema(const MigLintModel *model);

/*
 * The columns, indexes and constraints of a relation as the plan has left them so
 * far.  Read from the catalogs when first asked for; they belong to the model.
 */
extern List *mig_model_columns(MigLintModel *model, MigLintRel *rel);
extern MigLintColumn *mig_model_column(MigLintModel *model, MigLintRel *rel,
									   const char *name);
extern List *mig_model_indexes(MigLintModel *model, MigLintRel *rel);
extern List *mig_model_constraints(MigLintModel *model, MigLintRel *rel);
extern MigLintConstraint *mig_model_constraint(MigLintModel *model,
											   MigLintRel *rel,
											   const char *name);

/* with the tables that inherit from it, if the statement goes down to them */
extern const MigRelationSize *mig_model_size(MigLintModel *model, MigLintRel *rel);

/* has it rows that were there before the plan? */
extern bool mig_model_has_rows(MigLintModel *model, MigLintRel *rel);

/* the table of an index; NULL if unknown */
extern MigLintRel *mig_model_table_of(MigLintModel *model, MigLintRel *index);

/* InvalidOid if there is none, or the plan has made it; then *made is set */
extern Oid	mig_model_type(MigLintModel *model, const TypeName *type,
						   int32 *typmod, bool *typmod_known, bool *made);

/* "schema.name" of a type that the plan has made, or NULL */
extern const char *mig_model_made_type(const MigLintModel *model,
									   const TypeName *type);

/* MigLintRel *: all that is known so far and has not been dropped */
extern List *mig_model_all(MigLintModel *model);
extern MigLintEnum *mig_model_enum(MigLintModel *model, List *names);

/* 'i', 's', 'v', or 0 for a function that is not there */
extern char mig_model_volatility(MigLintModel *model, List *name, int nargs);

/* does a raw expression call a function that is or may be volatile? */
extern bool mig_model_is_volatile(MigLintModel *model, Node *expression);

/*
 * The domain of this name as the plan has left it, in the current context; of
 * any other type *domain has no name, and says no to all.
 */
extern void mig_model_domain(MigLintModel *model, const TypeName *type,
							 MigLintDomain *domain);

/* has the plan dropped it? */
extern bool mig_model_is_gone(const MigLintModel *model, const char *kind,
							  const char *name);

/* columns that a raw CHECK says are not null */
extern List *mig_model_proved_columns(Node *check);

/* last part of a qualified name, and the one before or NULL */
extern char *mig_model_last_name(List *names, char **schema);

#endif							/* MIG_LINT_MODEL_H */
