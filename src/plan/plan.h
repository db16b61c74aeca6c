/*-------------------------------------------------------------------------
 *
 * plan.h
 *	  The order of a project's migrations, and what a run has to do.
 *
 * All of plan_*.c is pure: it works on entries that have been read, touches no
 * table and runs nothing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_PLAN_H
#define MIG_PLAN_H

#include "base/migrate.h"

typedef struct MigProject
{
	const char *name;
	int			count;
	MigEntry   *entries;		/* bytewise by version */
	MigEntry  **order;			/* in the order of application */

	/*
	 * If "through" is not NULL, entries has all but settled migrations, and
	 * some of those.  All of plan_*.c gives the same result as with all of
	 * them if mig_plan_is_enough() and, to roll back, mig_plan_knows_down().
	 */
	MigSettled	settled;

	/*
	 * Every migration but at most one says what it requires, and versions are
	 * not just numbers: they are ids whose own order means nothing.
	 */
	bool		by_requirements;
} MigProject;

typedef struct MigPlan
{
	int			nsteps;
	MigEntry  **steps;
	List	   *held;			/* of MigEntry *, skipped because of a hold */
	List	   *left;			/* of MigEntry *, repeatable without a down */
	List	   *again;			/* of MigEntry *, repeatable, to be run again */
	List	   *half_way;		/* of MigEntry *, held in the middle */
} MigPlan;

/* answers for requirements on other projects */
typedef bool (*MigIsApplied) (const char *project, const char *version);

/* names applied migrations of other projects that require these versions */
typedef List *(*MigDependents) (const char *project, List *versions);

/*
 * Put entries (bytewise ordered by version) in order.  strict raises
 * MIG_ERRCODE_CYCLE and MIG_ERRCODE_REQUIREMENT, otherwise what cannot be
 * ordered by requirements is ordered by version.
 */
extern MigProject *mig_plan_project(const char *name, MigEntry *entries,
									int count, bool strict);

/* is it one of those that need not have been read? */
extern bool mig_plan_is_settled(const MigSettled *settled,
								const MigEntry *entry);

/*
 * Do these entries, which are all but settled ones, stand for the project?  The
 * highest version that is applied must be among them, that which was applied
 * last, and two that require nothing, so that the project is not ordered by
 * requirements.
 */
extern bool mig_plan_is_enough(const MigSettled *settled,
							   const MigEntry *entries, int count);

/*
 * Which migrations need not be read next time; NULL as "through" if there are
 * few such.
 */
extern void mig_plan_settle(const MigProject *project, MigSettled *settled);

/* NULL if there is none */
extern MigEntry *mig_plan_find(const MigProject *project, const char *version);

/* raises MIG_ERRCODE_UNKNOWN_VERSION if there is none */
extern MigEntry *mig_plan_find_or_error(const MigProject *project,
										const char *version);

/* index in project->entries, and in what has a place for each of them */
static inline int
mig_plan_index(const MigProject *project, const MigEntry *entry)
{
	Assert(entry >= project->entries &&
		   entry < project->entries + project->count);
	return entry - project->entries;
}

/* mark, by index, an entry and all that it requires */
extern void mig_plan_mark_required(const MigProject *project, MigEntry *entry,
								   bool *marked);

/*
 * Is this a requirement on another project, "project:version"?  A version of
 * the own project may contain a colon, and must have been looked for before.
 */
extern bool mig_plan_split_external(const char *requirement, char **project,
									char **version);

/* raise MIG_ERRCODE_REQUIREMENT: a requirement of entry does not exist */
extern void mig_plan_missing_requirement(const MigEntry *entry,
										 const char *requirement);

/* versions (char *) of entries (MigEntry *) */
extern List *mig_plan_versions(List *entries);

/* is it stored, and not applied or a repeatable one with a new text? */
extern bool mig_plan_is_pending(const MigEntry *entry);

/*
 * For each entry, by index: is it held, or does it require one that is?  With
 * only_pending, a held one that is applied holds nothing back.
 */
extern bool *mig_plan_held(const MigProject *project, bool only_pending);

/* what a project says together, but for what is settled */
extern void mig_plan_state(const MigProject *project, MigState *state);

/* the highest versioned one that is applied, or NULL */
extern const MigEntry *mig_plan_highest(const MigProject *project);

/*
 * What to apply.  target NULL or "head" means everything; restricted limits
 * the plan to versions (char *), NIL then being nothing.  Raises what forbids the plan:
 * an unknown version, changed texts, requirements that are not there, an
 * order that policy does not allow, downs that policy demands.
 */
extern MigPlan *mig_plan_up(const MigProject *project, const char *target,
							bool restricted, List *versions,
							const MigPolicy *policy,
							MigIsApplied is_applied);

/*
 * Which entries these arguments name, applied or not.  Raises an unknown version,
 * and "base".
 */
extern bool *mig_plan_up_choose(const MigProject *project, const char *target,
								bool restricted, List *versions);

/* what to undo, newest first, chosen in one of these ways */
typedef enum MigDownKind
{
	MIG_DOWN_STEPS,				/* the newest so many */
	MIG_DOWN_VERSIONS,			/* these */
	MIG_DOWN_TO,				/* all that comes after a version */
	MIG_DOWN_RUN,				/* what one run applied */
	MIG_DOWN_APPLICATIONS		/* these, as far as they are still there */
} MigDownKind;

/* that a version was applied at one time, and not at another */
typedef struct MigApplication
{
	char	   *version;
	int64		seq;			/* see MigEntry */
} MigApplication;

typedef struct MigDownChoice
{
	MigDownKind kind;
	int64		steps;
	const char *undo_to;		/* for too many steps: the call that has a
								 * target, with %s where it goes; or NULL */
	List	   *versions;		/* of char * */
	const char *target;
	int64		run;			/* 0: the last that applied anything */
	List	   *applications;	/* of MigApplication * */
} MigDownChoice;

/*
 * What to take back, dependents first.  Raises an error if others, of this project
 * or of another, require what would go, or if a migration has no way back.
 */
extern MigPlan *mig_plan_down(const MigProject *project,
							  const MigDownChoice *choice,
							  MigDependents dependents_of);

/* has the project all that the choice may be about? */
extern bool mig_plan_knows_down(const MigProject *project,
								const MigDownChoice *choice);

/*
 * What stands half-way is gone on with before anything else, in its own
 * direction, and the plan begins with it if it has it.  Raises
 * MIG_ERRCODE_PARTIAL if it has not.  What is held in the middle is passed
 * over, and put into plan->half_way; MIG_ERRCODE_OUT_OF_ORDER if policy does not
 * allow that.
 */
extern bool mig_plan_has_half_way(const MigProject *project);
extern void mig_plan_check_half_way(const MigProject *project, MigPlan *plan,
									MigPart part, const MigPolicy *policy);

/*
 * For each entry, by index in project->entries: does it belong to the state
 * that the target names?  Raises MIG_ERRCODE_UNKNOWN_VERSION.
 */
extern bool *mig_plan_up_to(const MigProject *project, const char *target);

/*
 * Versions (char *), in order, that are pending, not held, and below one that
 * is applied without saying what they require: a run that has them is refused
 * unless policy allows it.  wanted is what mig_plan_up_to() returns; NULL: all.
 */
extern List *mig_plan_late(const MigProject *project, const bool *wanted);

#define MIG_HINT_OUT_OF_ORDER \
	"Give them higher versions, or say what they require, or set out_of_order to 'allow' in migrate.policy.  migrate.remove() takes away what is not to be applied, such as the row of a file that has been renamed."

/*
 * Once it is undone while a higher version stays applied, will it be out of
 * order?
 */
extern bool mig_plan_can_leave_gap(const MigEntry *entry);

/* entries (MigEntry *) that no other one follows */
extern List *mig_plan_heads(const MigProject *project);

/* a WARNING if there is more than one */
extern void mig_plan_warn_heads(const MigProject *project);


#endif							/* MIG_PLAN_H */
