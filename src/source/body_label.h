/*-------------------------------------------------------------------------
 *
 * body_label.h
 *	  Names of bodies, and places in them, for messages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_BODY_LABEL_H
#define MIG_SOURCE_BODY_LABEL_H

#include "base/errors.h"

/* names a body in messages */
typedef struct MigLabel
{
	const char *version;
	const char *path;			/* may be NULL */
	MigPart		part;
	bool		secret;			/* errors must not show the text */
	int			first_line;		/* the line of path that the text begins on,
								 * 0: lines are those of the text */
	MigTransactional transactional; /* what somebody has said of the body */
	bool		verify_by_errors;	/* values of a verify body mean nothing */

	/*
	 * A COMMIT may lack its BEGIN: it ends the transaction of the tool that
	 * runs such files, which does not let an applied one be edited.
	 */
	bool		of_tool;
} MigLabel;

/* the file of a part: its own, or else the migration's */
extern const char *mig_body_part_path(MigPart part, const char *path,
									  const char *down_path,
									  const char *verify_path);

/* the label of a stored text, and of one of that convention to be stored */
extern void mig_body_label_of_entry(MigLabel *label, const MigEntry *entry,
									MigPart part, bool secret);
extern void mig_body_label_of_source(MigLabel *label, const MigSource *source,
									 const struct MigConvention *convention,
									 MigPart part);

/*
 * For CONTEXT: migration, file and line, body, and the statement unless it is
 * 0.  In CurrentMemoryContext.
 */
extern char *mig_body_label_place(const MigLabel *label, int statement,
								  int line);

/* "up", "down", "verify" */
extern const char *mig_body_part_name(MigPart part);

/* the line of a place in the text, as MigStatement has it */
extern int	mig_body_label_line(const MigLabel *label, const char *text,
								int location);

/* the bytes [from, to) of a text, and the one in question, or -1 */
extern void mig_body_set_place(MigPlace *place, const MigLabel *label,
							   const char *text, int from, int to, int at);

#endif							/* MIG_SOURCE_BODY_LABEL_H */
