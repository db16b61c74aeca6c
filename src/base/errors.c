/*-------------------------------------------------------------------------
 *
 * errors.c
 *	  Errors as data: where in a body they happened, what to do about them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "base/errors.h"

/* how much of a text an error shows: it is for a person */
#define LINES_AROUND 3
#define LINE_BYTES 200
#define TOKEN_BYTES 1000		/* a message of the parser, which quotes it */
#define TOKEN_LINES 10
#define MESSAGE_BYTES 8000		/* of a function, which may have meant it */

/* blank lines before it, for clients that count them */
#define PADDED_LINES 30

/*
 * Take SPI's context line, which quotes the whole statement, out of a context.
 *
 * A body may have statements of megabytes, and the caller's own context line
 * says which one it was.
 */
static void
remove_statement_line(ErrorData *edata, const char *sql)
{
	const char *statement = mig_printable(sql); /* as the context is by now */
	char	   *start;
	char	   *end;

	if (edata->context == NULL || statement[0] == '\0')
		return;

	/* the words around it may be translated */
	start = strstr(edata->context, statement);
	if (start == NULL)
		return;
	end = start + strlen(statement);
	while (start > edata->context && start[-1] != '\n')
		start--;
	while (*end != '\0' && *end != '\n')
		end++;
	if (*end == '\n')
		end++;
	else if (start > edata->context)
		start--;
	memmove(start, end, strlen(end) + 1);
	if (edata->context[0] == '\0')
		edata->context = NULL;
}

int
mig_error_byte_offset(const char *text, int position)
{
	const char *p = text;

	while (--position > 0 && *p)
		p += pg_mblen(p);
	return p - text;
}

/* the start of the line that a byte is on, not before from */
static int
line_start(const char *text, int from, int at)
{
	while (at > from && text[at - 1] != '\n')
		at--;
	return at;
}

/* the end of the line that a byte is on, without the line end */
static int
line_end(const char *text, int at, int to)
{
	while (at < to && text[at] != '\n' && text[at] != '\r')
		at++;
	return at;
}

/* line feeds in the bytes [from, to) */
static int
count_lines(const char *text, int from, int to)
{
	int			lines = 0;

	for (; from < to; from++)
	{
		if (text[from] == '\n')
			lines++;
	}
	return lines;
}

/*
 * Append the bytes [start, end) of text, which are a line or a part of one, or
 * if that is very long, what is around the byte at.  Returns how many
 * characters before that byte have been appended.
 */
static int
append_source_line(StringInfo buf, const char *text, int start, int end,
				   int at)
{
	int			first = start;
	int			last;
	int			before;

	at = Min(Max(at, start), end);
	if (at - start > LINE_BYTES)
		first += pg_mbcliplen(text + start, at - start,
							  at - start - LINE_BYTES / 2);
	if (first > start)
		appendStringInfoString(buf, "...");
	before = (first > start ? 3 : 0) +
		pg_mbstrlen_with_len(text + first, at - first);
	last = first + pg_mbcliplen(text + first, end - first,
								at - first + LINE_BYTES);
	appendBinaryStringInfo(buf, text + first, last - first);
	if (last < end)
		appendStringInfoString(buf, "...");
	return before;
}

/*
 * Blank lines and blanks for what is before the byte at and not shown, so that
 * clients count its line and column right.  False if that is too much.
 */
static bool
append_padding(StringInfo buf, const MigPlace *place, int at)
{
	int			lines = place->first_line - 1 + count_lines(place->text, 0, at);
	int			start = line_start(place->text, 0, at);

	if (lines > PADDED_LINES || at - start > LINE_BYTES)
		return false;
	for (; lines > 0; lines--)
		appendStringInfoChar(buf, '\n');
	appendStringInfoSpaces(buf, pg_mbstrlen_with_len(place->text + start,
													 at - start));
	return true;
}

/* the position, of a character or 0, goes with what is escaped before it */
static char *
printable_query(char *query, int *position)
{
	int			at = *position > 0 ? mig_error_byte_offset(query, *position) :
		0;
	char	   *before = mig_printable(pnstrdup(query, at));

	if (*position > 0)
		*position = pg_mbstrlen(before) + 1;
	return psprintf("%s%s", before, mig_printable(query + at));
}

char *
mig_error_place_query(const MigPlace *place, int *position)
{
	const char *text = place->text;
	int			at = place->at < 0 ? place->from : place->at;
	int			start = line_start(text, place->from, at);
	int			lines_left = 2 * LINES_AROUND + 1;
	bool		padded;
	StringInfoData buf;
	int			i;

	for (i = 0; i < LINES_AROUND && start > place->from; i++)
		start = line_start(text, place->from, start - 1);
	initStringInfo(&buf);
	padded = append_padding(&buf, place, start);
	*position = 0;
	for (;;)
	{
		int			end = line_end(text, start, place->to);
		int			chars = padded ? pg_mbstrlen(buf.data) : 0;
		bool		here = at >= start && at <= end;
		int			before;

		before = append_source_line(&buf, text, start, end, here ? at : start);
		if (here && padded && place->at >= 0)
			*position = chars + before + 1;
		while (end < place->to && text[end] != '\n')
			end++;
		if (end == place->to)
			break;
		appendStringInfoChar(&buf, '\n');
		if (--lines_left == 0)
		{
			appendStringInfoString(&buf, "...");
			break;
		}
		start = end + 1;
	}
	return printable_query(buf.data, position);
}

char *
mig_error_place_line(const MigPlace *place)
{
	const char *text = place->text;
	int			start = line_start(text, 0, place->at);
	int			line = place->first_line + count_lines(text, 0, start);
	int			column = pg_mbstrlen_with_len(text + start, place->at - start) + 1;
	StringInfoData buf;

	initStringInfo(&buf);
	if (place->path != NULL)
		appendStringInfo(&buf, "%s:%d, column %d: ", place->path, line, column);
	else
		appendStringInfo(&buf, "Line %d, column %d: ", line, column);
	start = Max(start, place->from);
	(void) append_source_line(&buf, text, start,
							  line_end(text, place->at, place->to), place->at);
	return mig_printable(buf.data);
}

/* a string of so many bytes and lines, or NULL */
static char *
clip_string(char *string, int bytes, int lines)
{
	int			length = string ? strlen(string) : 0;
	int			end = string ? pg_mbcliplen(string, length, bytes) : 0;
	int			i;

	for (i = 0; i < end; i++)
	{
		if (string[i] == '\n' && --lines == 0)
			end = i;
	}
	return end == length ? string : psprintf("%.*s...", end, string);
}

char *
mig_error_clip(char *string)
{
	return clip_string(string, MESSAGE_BYTES, INT_MAX);
}

/* the innermost lines of a context, and the outermost, which name the body */
char *
mig_error_clip_context(char *context)
{
	int			length = context ? strlen(context) : 0;
	const char *rest;

	if (length <= MESSAGE_BYTES)
		return context;
	rest = strchr(context + length - MESSAGE_BYTES / 2, '\n');
	return psprintf("%.*s...%s",
					pg_mbcliplen(context, length, MESSAGE_BYTES / 2), context,
					rest ? rest : "");
}

void
mig_error_clip_query(ErrorData *edata)
{
	MigPlace	place = {0};
	int			length = edata->internalquery ? strlen(edata->internalquery) : 0;

	if (length == 0)
		return;
	if (length <= MESSAGE_BYTES)
	{
		edata->internalquery = printable_query(edata->internalquery,
											   &edata->internalpos);
		return;
	}
	place.text = edata->internalquery;
	place.first_line = 1;
	place.to = length;
	place.at = edata->internalpos > 0 ?
		mig_error_byte_offset(place.text, edata->internalpos) : -1;
	edata->internalquery = mig_error_place_query(&place, &edata->internalpos);
}

/* the statement itself was wrong, and not what it has called */
static int
locate_in_statement(ErrorData *edata, const MigPlace *statement)
{
	MigPlace	place = *statement;
	int			position = 0;

	if (edata->internalpos > 0)
	{
		place.at = place.from +
			mig_error_byte_offset(edata->internalquery, edata->internalpos);
		position = edata->internalpos +
			pg_mbstrlen_with_len(place.text, place.from);
	}
	edata->internalquery = mig_error_place_query(&place, &edata->internalpos);
	if (place.at >= 0 && edata->internalpos == 0)
		mig_error_add_detail(edata, mig_error_place_line(&place));
	return position;
}

int
mig_error_locate(ErrorData *edata, const MigPlace *statement)
{
	char	   *sql = pnstrdup(statement->text + statement->from,
							   statement->to - statement->from);
	int			position = 0;

	remove_statement_line(edata, sql);

	/* of a statement that ran at top level, and not through SPI */
	if (edata->internalquery == NULL && edata->cursorpos > 0)
	{
		edata->internalquery = pstrdup(sql);
		edata->internalpos = edata->cursorpos;
		edata->cursorpos = 0;
	}

	if (edata->internalquery != NULL)
	{
		if (strcmp(edata->internalquery, sql) == 0)
			position = locate_in_statement(edata, statement);
		else
			mig_error_clip_query(edata);
	}
	edata->message = mig_error_clip(edata->message);
	edata->context = mig_error_clip_context(edata->context);
	pfree(sql);
	return position;
}

void
mig_error_make_printable(ErrorData *edata)
{
	edata->message = mig_printable(edata->message);
	edata->detail = mig_printable(edata->detail);
	edata->hint = mig_printable(edata->hint);
	edata->context = mig_printable(edata->context);
}

void
mig_error_clip_current(void)
{
	MemoryContext context =
		AllocSetContextCreate(TopTransactionContext, "migrate message",
							  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ErrorData  *edata = CopyErrorData();
	char	   *message;

	message =
		mig_printable(clip_string(edata->message, TOKEN_BYTES, TOKEN_LINES));
	if (message != edata->message)
		errmsg_internal("%s", message);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * Class 00 is that of success, and a body can raise it all the same; libraries
 * can raise codes with other characters.
 */
bool
mig_error_is_code(const char *sqlstate)
{
	return sqlstate != NULL && strlen(sqlstate) == 5 &&
		strspn(sqlstate, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 &&
		strncmp(sqlstate, "00", 2) != 0;
}

void
mig_error_add_detail(ErrorData *edata, const char *detail)
{
	detail = mig_printable(detail);
	if (edata->detail == NULL)
		edata->detail = pstrdup(detail);
	else
		edata->detail = psprintf("%s\n%s", edata->detail, detail);
}

void
mig_error_add_hint(ErrorData *edata, const char *hint)
{
	hint = mig_printable(hint);
	if (edata->hint == NULL)
		edata->hint = pstrdup(hint);
	else
		edata->hint = psprintf("%s  %s", edata->hint, hint);
}

void
mig_error_refuse_without_down(List *versions, const char *hint)
{
	if (versions != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_NO_DOWN),
				 errmsg_plural("%d migration has no down body",
							   "%d migrations have no down body",
							   list_length(versions), list_length(versions)),
				 errdetail("Lacking: %s.", mig_error_name_list(versions)),
				 errhint("%s", hint)));
}

char *
mig_error_name_list(List *names)
{
	StringInfoData buf;
	ListCell   *lc;
	int			shown = 0;

	/* a message is for a person: name some, count the rest */
	const int	max_shown = 20;

	initStringInfo(&buf);
	foreach(lc, names)
	{
		if (shown == max_shown && list_length(names) > max_shown + 1)
		{
			appendStringInfo(&buf, _(" and %d more"),
							 list_length(names) - shown);
			break;
		}
		appendStringInfo(&buf, "%s\"%s\"", shown > 0 ? ", " : "",
						 mig_printable_line(lfirst(lc), MIG_NAME_BYTES));
		shown++;
	}
	return buf.data;
}
