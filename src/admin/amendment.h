/*-------------------------------------------------------------------------
 *
 * amendment.h
 *	  Texts of applied migrations that give way to others.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADMIN_AMENDMENT_H
#define MIG_ADMIN_AMENDMENT_H

#include "nodes/pg_list.h"
#include "source/body.h"

/* a text of an applied migration that gives way to another one */
typedef struct MigAmendment
{
	const char *project;
	const char *version;
	const char *name;
	const char *old[MIG_VERIFY + 1];	/* up, down, verify; NULL: none */
	const char *new[MIG_VERIFY + 1];
	MigTransactional was_transactional; /* what was said of the old texts */
	bool		as_applied;		/* the old up and down are those that were
								 * applied */
	const char *note;			/* NULL: that of all of them */
	const char *taken_by;		/* the file of another migration that has this
								 * version, or NULL */
} MigAmendment;

/* the note of an edit that changes nothing that runs */
#define MIG_AMENDMENT_COMMENTS "comments or blanks only"

/* raise the error of a change of what is applied */
extern void mig_amendment_refuse(const char *version, const char *what,
								 const char *hint) pg_attribute_noreturn();

/* journal these (MigAmendment *) and have the ledger take the new texts */
extern void mig_amendment_record(List *amendments, const char *note);

/* do up and down differ in comments and blanks only? */
extern bool mig_amendment_is_comment_edit(const MigAmendment *amendment);

/* say of which versions (char *) that is so */
extern void mig_amendment_notice_comment_edits(List *versions);

#endif							/* MIG_ADMIN_AMENDMENT_H */
