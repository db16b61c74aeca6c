/*-------------------------------------------------------------------------
 *
 * argument.h
 *	  Arguments of SQL-callable functions as C values.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_ARGUMENT_H
#define MIG_BASE_ARGUMENT_H

#include "fmgr.h"
#include "nodes/pg_list.h"

/* copies in CurrentMemoryContext; NULL for null */
extern char *mig_argument_text(FunctionCallInfo fcinfo, int n);

/*
 * the same of what must be a line, 22023 if it is none; see base/printable.h
 */
extern char *mig_argument_line(FunctionCallInfo fcinfo, int n,
							   const char *name,
							   int bytes);

/*
 * A note, which may be the message of a commit: line feeds and tabs, with the
 * blanks beside them, become one blank, and go at its ends.
 */
extern char *mig_argument_note(FunctionCallInfo fcinfo, int n);

/* of text, or of text of a binary-compatible type; NIL for null */
extern List *mig_argument_text_list(FunctionCallInfo fcinfo, int n);

/* raise 22004 for null */
extern char *mig_argument_required_text(FunctionCallInfo fcinfo, int n,
										const char *name);

/*
 * A version, or versions, of an argument that may be of any type, so that a
 * number is refused in our words: 42804 unless it is text.
 */
extern char *mig_argument_version(FunctionCallInfo fcinfo, int n);
extern char *mig_argument_required_version(FunctionCallInfo fcinfo, int n,
										   const char *name);

/* raise that error; several: what is wanted is an array */
extern void mig_argument_refuse_version_type(FunctionCallInfo fcinfo, int n,
											 bool several) pg_attribute_noreturn();

/* the name of a project: 22004 for null, 22023 for what cannot be one */
extern char *mig_argument_project(FunctionCallInfo fcinfo, int n);
extern bool mig_argument_bool(FunctionCallInfo fcinfo, int n,
							  const char *name);
extern void mig_argument_must_not_be_null(const char *name);

/* a number of steps: 22004 for null, 22023 below zero */
extern int64 mig_argument_steps(FunctionCallInfo fcinfo, int n);

#endif							/* MIG_BASE_ARGUMENT_H */
