/*-------------------------------------------------------------------------
 *
 * section_cut.h
 *	  Files that a line cuts into the way forth and the way back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_SECTION_CUT_H
#define MIG_SOURCE_SECTION_CUT_H

#include "source/file_set.h"

/* what a line is to the tool */
typedef enum MigMark
{
	MIG_MARK_NONE,				/* no annotation */
	MIG_MARK_UP,
	MIG_MARK_DOWN,
	MIG_MARK_STATEMENT_BEGIN,
	MIG_MARK_STATEMENT_END,
	MIG_MARK_OTHER				/* about the file or a body, and acted on */
} MigMark;

typedef struct MigSectionStyle
{
	/* the annotation that a file must have, or NULL: it begins with its up */
	const char *up;
	bool		down_may_be_first;

	/*
	 * Says what a line is, and sets in source what it says about the
	 * migration. Raises MIG_ERRCODE_CONVENTION for an annotation that is
	 * misspelt, see mig_section_error().
	 */
	MigMark		(*mark) (const MigSourceFile *script, const MigFileLine *line,
						 MigSource *source);
} MigSectionStyle;

/*
 * Cut a file into up and down.  Annotations inside of a section stay in its
 * body, where they are comments, so that the lines of body and file go together.
 */
extern void mig_section_take(MigSource *source, const MigSourceFile *script,
							 const MigSectionStyle *style);

/* raise an error about the annotation in that line; detail says what is wrong */
extern void mig_section_error(const MigSourceFile *script,
							  const MigFileLine *line, const char *detail);

/*
 * The annotations that goose has given to others: Up, Down, StatementBegin and
 * StatementEnd after a prefix like "-- +goose ", to the letter; text is what
 * follows it.  no_transaction is what may follow Up and Down, or NULL.
 */
extern MigMark mig_section_command(const MigSourceFile *script,
								   const MigFileLine *line,
								   const char *prefix,
								   const char *no_transaction,
								   MigSource *source);

#endif							/* MIG_SOURCE_SECTION_CUT_H */
