/*-------------------------------------------------------------------------
 *
 * plan_run.h
 *	  What a run has to do, found out before it does anything.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_PLAN_RUN_H
#define MIG_PLAN_RUN_H

#include "plan/plan.h"

typedef struct MigRunOptions
{
	const char *project;
	const char *target;			/* apply: NULL is head */
	bool		restricted;		/* to versions */
	List	   *versions;		/* of char * */
	bool		dry_run;		/* run, then roll back */
	bool		raise;			/* false: a failure becomes a result row */
	const char *note;			/* NULL: none */
	bool		hold_given;		/* else the policy decides */
	bool		hold;			/* keep what is undone from being applied */
	const char *confirm;		/* name of the database, if protected */
} MigRunOptions;

typedef struct MigPlannedRun
{
	MigPolicy  *policy;
	MigProject *project;
	MigPlan    *plan;
	bool		ledger_was_empty;

	/*
	 * Versions (char *) of which the client has been told that they are held.
	 * Begins as NIL, unless this is not the first plan of a run.
	 */
	List	   *told_held;
} MigPlannedRun;

/*
 * Raises an error, or another elevel, if another migration tool has applied
 * something in this database.  Of adopt/, which sets it: what comes later in the
 * order of the folders cannot be called from here.
 */
typedef void (*MigOtherLedgers) (int elevel);
extern MigOtherLedgers mig_plan_run_other_ledgers;

/*
 * If nothing has ever been applied here, in any project, has another tool
 * applied something?  A first run would do that again.
 */
extern void mig_plan_run_check_ledgers(int elevel);

/*
 * Is one look at migrate.state enough to know that nothing is pending?  Says
 * so to the client then.
 */
extern bool mig_plan_run_known_complete(const MigRunOptions *options);

/*
 * The same for these files, as their fingerprint, whatever else is loaded: they
 * were loaded as they are, and everything that is stored is applied.
 */
extern bool mig_plan_run_has_files(const char *project, const char *files);

/*
 * The same by a plan without the lock, in memory that is given back.  If there
 * is something to do, raises what forbids the project to be run.
 */
extern bool mig_plan_run_nothing_pending(const MigRunOptions *options);

/*
 * With the lock held: what to apply.  False if that is nothing, which the
 * client is told.  Raises what forbids it, the guards of plan/preflight.h
 * included.
 */
extern bool mig_plan_run_apply(const MigRunOptions *options,
							   MigPlannedRun *prepared);

/*
 * For who plans later: raise what mig_plan_up_choose() does, without the lock.
 */
extern void mig_plan_run_check_choice(const MigRunOptions *options);

/*
 * What to undo: the guards that need no lock, and then, with the lock held,
 * the plan.  The latter is false if there is nothing to undo.
 */
extern void mig_plan_run_undo_guards(const MigRunOptions *options);
extern bool mig_plan_run_undo(const MigRunOptions *options,
							  const MigDownChoice *choice,
							  MigPlannedRun *prepared);

/* is what is undone to be held? */
extern bool mig_plan_run_holds(const MigRunOptions *options,
							   const MigPolicy *policy);

/*
 * After an undo of versions (char *) for which mig_plan_can_leave_gap(): say
 * which of them will be out of order from now on, given the highest that is
 * still applied, or NULL.
 */
extern void mig_plan_run_notice_gaps(const char *highest, List *versions);

/*
 * There is something to do: tell the client of a setting that may end its
 * session in the middle, and of more heads than one.
 */
extern void mig_plan_run_warn(const MigProject *project, bool each);

#define MIG_HINT_SCHEMAS_GONE \
	"What was applied went with its schema: restore it, or say with migrate.stamp_to('base') that nothing is there, and apply again."

/*
 * The schemas that the newest migration was run with, if all of them are gone.
 * It says nothing about a schema that was dropped and made again.
 */
extern List *mig_plan_run_missing_schemas(const MigProject *project);
extern void mig_plan_run_warn_of_schemas(const MigProject *project);

#endif							/* MIG_PLAN_RUN_H */
