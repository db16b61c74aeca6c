/*-------------------------------------------------------------------------
 *
 * loaded_bodies.h
 *	  Texts and parsed bodies of some of the steps of a run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_PLAN_LOADED_BODIES_H
#define MIG_PLAN_LOADED_BODIES_H

#include "ledger/journal.h"
#include "plan/runnable.h"

/* how many migrations a portion has at most */
#define MIG_LOADED_MIGRATIONS 1024

/* steps [first, first + count); the arrays begin with that of step first */
typedef struct MigLoadedBodies
{
	MemoryContext context;
	int			first;
	int			count;			/* 0: nothing loaded */
	MigStepTexts *bodies;
} MigLoadedBodies;

/* what is loaded is kept in a child of context */
extern void mig_loaded_bodies_init(MigLoadedBodies *loaded,
								   MemoryContext context);

/*
 * Load as many steps from number first on as fit into a portion, instead of
 * what was there, unless it is there already.  At least one, and all of one
 * part. Raises what forbids to run a body: it does not parse, or is not the
 * one that has been stored.
 */
extern void mig_loaded_bodies_load(MigLoadedBodies *loaded,
								   const char *project,
								   const MigStep *steps, int nsteps,
								   int first);

/* is step number i in the portion that is loaded? */
extern bool mig_loaded_bodies_have(const MigLoadedBodies *loaded, int i);

/* the steps are other ones now: none of them is loaded */
extern void mig_loaded_bodies_forget(MigLoadedBodies *loaded);

/*
 * Why the step steps[portion->first + i] cannot run in a transaction block,
 * NULL if it can.
 */
extern const char *mig_loaded_bodies_own_transaction(const MigLoadedBodies *loaded,
													 const MigStep *steps,
													 int i);

/* a step has been run: warn if it was a roll-back without a statement */
extern void mig_loaded_bodies_warn_empty(const MigLoadedBodies *loaded,
										 const MigStep *steps, int i);

/* "apply" or "rollback" */
extern const char *mig_loaded_bodies_action(MigPart part);

/* the text of step steps[portion->first + i] */
extern const char *mig_loaded_bodies_text(const MigLoadedBodies *loaded,
										  const MigStep *steps,
										  int i);

/* the columns of a journal row that tell which body it is about */
extern void mig_loaded_bodies_fill_row(const MigLoadedBodies *loaded,
									   const MigStep *steps,
									   int i, MigJournalRow *row);

#endif							/* MIG_PLAN_LOADED_BODIES_H */
