/*-------------------------------------------------------------------------
 *
 * errors.h
 *	  SQLSTATEs of the extension, and the plain record of an error.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_ERRORS_H
#define MIG_BASE_ERRORS_H

#include "base/migrate.h"
#include "base/printable.h"

/* class MG: each is documented in doc/errors.md */
#define MIG_ERRCODE_UNKNOWN_VERSION		MAKE_SQLSTATE('M', 'G', '0', '0', '1')
#define MIG_ERRCODE_TEXT_DIFFERS		MAKE_SQLSTATE('M', 'G', '0', '0', '2')
#define MIG_ERRCODE_CHANGED				MAKE_SQLSTATE('M', 'G', '0', '0', '3')
#define MIG_ERRCODE_CYCLE				MAKE_SQLSTATE('M', 'G', '0', '0', '4')
#define MIG_ERRCODE_REQUIREMENT			MAKE_SQLSTATE('M', 'G', '0', '0', '5')
#define MIG_ERRCODE_OUT_OF_ORDER		MAKE_SQLSTATE('M', 'G', '0', '0', '6')
#define MIG_ERRCODE_NO_DOWN				MAKE_SQLSTATE('M', 'G', '0', '0', '7')
#define MIG_ERRCODE_OWN_TRANSACTION		MAKE_SQLSTATE('M', 'G', '0', '0', '8')
#define MIG_ERRCODE_BODY				MAKE_SQLSTATE('M', 'G', '0', '0', '9')
#define MIG_ERRCODE_VERIFY				MAKE_SQLSTATE('M', 'G', '0', '1', '0')
#define MIG_ERRCODE_CONVENTION			MAKE_SQLSTATE('M', 'G', '0', '1', '1')
#define MIG_ERRCODE_DUPLICATE			MAKE_SQLSTATE('M', 'G', '0', '1', '2')
#define MIG_ERRCODE_APPLIED				MAKE_SQLSTATE('M', 'G', '0', '1', '3')
#define MIG_ERRCODE_HELD				MAKE_SQLSTATE('M', 'G', '0', '1', '4')
#define MIG_ERRCODE_FROZEN				MAKE_SQLSTATE('M', 'G', '0', '1', '5')
#define MIG_ERRCODE_ROLE				MAKE_SQLSTATE('M', 'G', '0', '1', '6')
#define MIG_ERRCODE_AUTHOR				MAKE_SQLSTATE('M', 'G', '0', '1', '7')
#define MIG_ERRCODE_PROTECTED			MAKE_SQLSTATE('M', 'G', '0', '1', '8')
#define MIG_ERRCODE_RECURSION			MAKE_SQLSTATE('M', 'G', '0', '1', '9')
#define MIG_ERRCODE_PENDING				MAKE_SQLSTATE('M', 'G', '0', '2', '0')
#define MIG_ERRCODE_EXTENSION			MAKE_SQLSTATE('M', 'G', '0', '2', '1')
#define MIG_ERRCODE_PARTIAL				MAKE_SQLSTATE('M', 'G', '0', '2', '2')
#define MIG_ERRCODE_INVALID_INDEX		MAKE_SQLSTATE('M', 'G', '0', '2', '3')
#define MIG_ERRCODE_STILL_RUNNING		MAKE_SQLSTATE('M', 'G', '0', '2', '4')
#define MIG_ERRCODE_INTERRUPTED			MAKE_SQLSTATE('M', 'G', '0', '2', '5')
#define MIG_ERRCODE_RUN_FAILED			MAKE_SQLSTATE('M', 'G', '0', '2', '6')
#define MIG_ERRCODE_LINT				MAKE_SQLSTATE('M', 'G', '0', '2', '7')
#define MIG_ERRCODE_TEMPORARY			MAKE_SQLSTATE('M', 'G', '0', '3', '2')
#define MIG_ERRCODE_BOOKS				MAKE_SQLSTATE('M', 'G', '0', '3', '6')
#define MIG_ERRCODE_BUSY				MAKE_SQLSTATE('M', 'G', '0', '4', '1')
#define MIG_ERRCODE_FOREIGN_LEDGER		MAKE_SQLSTATE('M', 'G', '0', '4', '2')

/* a place in a text, and what an error may show of it */
typedef struct MigPlace
{
	const char *path;			/* the file that it is from, or NULL */
	const char *text;
	int			first_line;		/* what the first line of text is called */
	int			from;			/* bytes [from, to) may be shown */
	int			to;
	int			at;				/* the byte in question, -1: not known */
} MigPlace;

/*
 * The lines around the place, for QUERY.  Where it is near the start of its
 * file, blank lines stand for those before it, so that clients, which count
 * from the start, find its line; *position is then its place in the result, in
 * characters from 1, else 0.
 */
extern char *mig_error_place_query(const MigPlace *place, int *position);

/* "file.sql:9, column 5: " and that line, for DETAIL */
extern char *mig_error_place_line(const MigPlace *place);

/* byte offset of a position in characters, counted from 1; at most the end */
extern int	mig_error_byte_offset(const char *text, int position);

/*
 * Point an error that a body's statement raised at the body.
 *
 * The statement is the bytes [from, to) of the place, sent to the server as a
 * string of its own.  A position that the server reported in that string
 * becomes one in the body, the context line that quotes the whole string is
 * taken out, and what is very long is cut.  edata must be a copy that belongs
 * to the caller.  Returns the position in the body, in characters from 1, or 0.
 */
extern int	mig_error_locate(ErrorData *edata, const MigPlace *statement);

/*
 * Escape what a terminal must not be shown in an error that was caught; its
 * query stays as it is until it is located.
 */
extern void mig_error_make_printable(ErrorData *edata);

/*
 * The same for the query of a function, which may have anything in it.  It is cut
 * around the position, if it is very long.
 */
extern void mig_error_clip_query(ErrorData *edata);

/*
 * To be called in an error context callback: escape the message, and cut it if
 * it is very long.  The parser quotes tokens, and a literal may have megabytes.
 */
extern void mig_error_clip_current(void);

/*
 * A string of an error as the journal and a worker take it: a body may raise
 * one of gigabytes.  NULL stays NULL; what is short enough is not copied.
 */
extern char *mig_error_clip(char *string);

/* the same for a context, of which the outermost lines are kept, too */
extern char *mig_error_clip_context(char *context);

/* can it be the SQLSTATE of an error?  NULL cannot */
extern bool mig_error_is_code(const char *sqlstate);

/* add lines to the detail of an error, escaped, after those of the server */
extern void mig_error_add_detail(ErrorData *edata, const char *detail);

/* likewise sentences to the hint */
extern void mig_error_add_hint(ErrorData *edata, const char *hint);


#define MIG_HINT_POLICY_DOWN \
	"The policy of the project demands a down body, or the statement that a migration is irreversible."

/* raise MIG_ERRCODE_NO_DOWN for versions (char *), unless there are none */
extern void mig_error_refuse_without_down(List *versions, const char *hint);

/* "a", "b" and 3 more: for DETAIL lines that name versions */
extern char *mig_error_name_list(List *names);

#endif							/* MIG_BASE_ERRORS_H */
