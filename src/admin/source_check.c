/*-------------------------------------------------------------------------
 *
 * source_check.c
 *	  What the texts of a migration must be to be stored, whoever stores them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"


#include "admin/source_check.h"
#include "base/errors.h"
#include "source/conventions.h"
#include "source/trial_parse.h"

bool
mig_source_check_same(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static void
set_label(MigLabel *label, const MigSource *source, MigPart part)
{
	mig_body_label_of_source(label, source,
							 mig_convention_of_source(source->source), part);
}

/*
 * Raise what is wrong with a body.  False if it has no statement; text NULL is
 * no body, which is all right.
 */
static bool
check_body(const MigLabel *label, const char *text)
{
	return text == NULL || mig_body_parse(text, label)->nstatements > 0;
}

bool
mig_source_check_body(const MigSource *source, MigPart part, const char *text)
{
	MigLabel	label;

	set_label(&label, source, part);
	return check_body(&label, text);
}

/* the error of a body of a file, or NULL if there is none; *empty may be NULL */
static ErrorData *
try_body_of_file(const MigSource *source, MigPart part, const char *text,
				 bool *empty)
{
	MigLabel	label;
	MigBody    *body;
	List	   *trees;
	ErrorData  *edata;

	if (text == NULL)
		return NULL;
	set_label(&label, source, part);
	edata = mig_trial_parse(text, &label, &body, &trees);
	if (edata == NULL && empty != NULL)
		*empty = body->nstatements == 0;
	return edata;
}

/* with line and reason, which an error has in its context and hint */
static void
warn_of_body(const MigSource *source, MigPart part, const ErrorData *edata,
			 const char *hint)
{
	MigLabel	label;
	const char *detail = edata->detail;

	if (detail == NULL && edata->context != NULL)
		detail = psprintf("At %s.", edata->context);

	set_label(&label, source, part);
	ereport(WARNING,
			(errcode(edata->sqlerrcode),
			 errmsg("the %s body of migration \"%s\" (%s) cannot be run: %s",
					mig_body_part_name(part), source->version, label.path,
					edata->message),
			 detail ? errdetail("%s", detail) : 0,
			 errhint("%s%s%s", edata->hint ? edata->hint : "",
					 edata->hint ? "  " : "", hint)));
}

#define HINT_STORED "It is stored, and a call that would run it is refused."

/*
 * Parse the texts of a file.  A way back that can never be run is a warning,
 * not the end of the load: it may have been there for years without being run.
 * A call that would run it is refused with the error.
 *
 * The same goes for an up body of another tool, which has perhaps run what this
 * server refuses, psql's commands for example: its text is needed to say that
 * it is applied.  In a load of a part no such body is stored: false, then.
 */
bool
mig_source_check_texts(const MigSource *source, bool partial,
					   MigTextsFound *found)
{
	ErrorData  *edata = NULL;

	memset(found, 0, sizeof(MigTextsFound));
	if (!partial && mig_convention_of_source(source->source)->ours)
		found->up_empty = !mig_source_check_body(source, MIG_UP, source->up);
	else
		edata = try_body_of_file(source, MIG_UP, source->up,
								 &found->up_empty);
	found->warned = edata != NULL;
	if (edata != NULL)
		warn_of_body(source, MIG_UP, edata,
					 partial ? "The migration is left out." : HINT_STORED);
	if (edata != NULL && partial)
		return false;
	for (int part = MIG_DOWN; part <= MIG_VERIFY; part++)
	{
		edata = try_body_of_file(source, part, part == MIG_DOWN ?
								 source->down : source->verify,
								 part == MIG_DOWN ? &found->down_empty : NULL);
		found->warned |= edata != NULL;
		if (edata != NULL)
			warn_of_body(source, part, edata, HINT_STORED);
	}
	found->down_empty = found->down_empty && !found->up_empty;
	return true;
}

/* say which roll-backs are going to do nothing (versions, char *) */
void
mig_source_check_warn_empty_downs(List *versions)
{
	if (versions != NIL)
		ereport(WARNING,
				(errmsg_plural("the down body of %d migration has no statement",
							   "the down bodies of %d migrations have no statement",
							   list_length(versions), list_length(versions)),
				 errdetail_plural("The migration is %s: a roll-back of it would undo nothing.",
								  "The migrations are %s: a roll-back of them would undo nothing.",
								  list_length(versions),
								  mig_error_name_list(versions)),
				 errhint("Write what undoes the up body.  If there is nothing to undo, SELECT 1 says so.")));
}

/* say which migrations are going to do nothing (versions, char *) */
void
mig_source_check_warn_empty(List *versions)
{
	if (versions != NIL)
		ereport(WARNING,
				(errmsg_plural("the up body of %d migration is empty",
							   "the up bodies of %d migrations are empty",
							   list_length(versions), list_length(versions)),
				 errdetail_plural("The migration is %s.",
								  "The migrations are %s.",
								  list_length(versions),
								  mig_error_name_list(versions)),
				 errhint("What is missing has to be filled in before it is applied: afterwards it counts as done.")));
}

static void
check_line(int sqlstate, const MigSource *source, const char *what,
		   const char *text, int bytes)
{
	if (text != NULL && !mig_is_line(text, bytes))
		mig_check_line_as(sqlstate, psprintf("%s of migration \"%s\"", what,
											 source->version), text, bytes);
}

/*
 * Raise an error for a text that is not a line, or is too long.  The constraints
 * of the table would not say what is wrong with it.
 */
void
mig_source_check_lines(int sqlstate, const MigSource *source)
{
	ListCell   *lc;

	mig_check_line_as(sqlstate, "a version", source->version, MIG_VERSION_BYTES);
	check_line(sqlstate, source, "the name", source->name, MIG_NAME_BYTES);
	check_line(sqlstate, source, "the path", source->path, MIG_PATH_BYTES);
	check_line(sqlstate, source, "the path of the down file", source->down_path,
			   MIG_PATH_BYTES);
	check_line(sqlstate, source, "the path of the verify file", source->verify_path,
			   MIG_PATH_BYTES);
	check_line(sqlstate, source, "the source", source->source, MIG_NAME_BYTES);
	foreach(lc, source->requires)
		check_line(sqlstate, source, "a requirement", lfirst(lc), MIG_NAME_BYTES);
	if (list_length(source->requires) > MIG_MAX_REQUIRED)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("migration \"%s\" requires too many others",
						source->version),
				 errdetail("It requires %d, and may require %d.",
						   list_length(source->requires), MIG_MAX_REQUIRED)));
}
