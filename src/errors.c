/*-------------------------------------------------------------------------
 *
 * errors.c
 *	  Errors as data: where in a body they happened, what to do about them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "errors.h"

/*
 * Take SPI's context line, which quotes the whole statement, out of a context.
 *
 * A body may have statements of megabytes, and the caller's own context line
 * says which one it was.
 */
static void
remove_statement_line(ErrorData *edata, const char *statement)
{
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

/*
 * Clients find line and column by counting from the start of the query text.
 * So that they come out right, the lines before the statement are there, but
 * empty: other statements have no business in the log.
 */
char *
mig_error_query(const char *text, int location, int length, int *shift)
{
	StringInfoData query;
	const char *line_start = text + location;
	int			indent;
	int			lines = 0;
	int			i;

	while (line_start > text && line_start[-1] != '\n')
		line_start--;
	indent = pg_mbstrlen_with_len(line_start, text + location - line_start);
	for (i = 0; i < location; i++)
	{
		if (text[i] == '\n')
			lines++;
	}
	initStringInfo(&query);
	for (i = 0; i < lines; i++)
		appendStringInfoChar(&query, '\n');
	appendStringInfoSpaces(&query, indent);
	appendBinaryStringInfo(&query, text + location, length);
	*shift = lines + indent;
	return query.data;
}

int
mig_error_locate(ErrorData *edata, const char *text, int location, int length)
{
	char	   *statement = pnstrdup(text + location, length);
	int			position = 0;

	remove_statement_line(edata, statement);

	/* of a statement that ran at top level, and not through SPI */
	if (edata->internalquery == NULL && edata->cursorpos > 0)
	{
		edata->internalquery = pstrdup(statement);
		edata->internalpos = edata->cursorpos;
		edata->cursorpos = 0;
	}

	if (edata->internalquery != NULL &&
		strcmp(edata->internalquery, statement) == 0)
	{
		int			shift;

		edata->internalquery = mig_error_query(text, location, length, &shift);
		if (edata->internalpos > 0)
		{
			position = edata->internalpos +
				pg_mbstrlen_with_len(text, location);
			edata->internalpos += shift;
		}
	}
	pfree(statement);
	return position;
}

void
mig_error_add_detail(ErrorData *edata, const char *detail)
{
	if (edata->detail == NULL)
		edata->detail = pstrdup(detail);
	else
		edata->detail = psprintf("%s\n%s", edata->detail, detail);
}

void
mig_error_add_hint(ErrorData *edata, const char *hint)
{
	if (edata->hint == NULL)
		edata->hint = pstrdup(hint);
	else
		edata->hint = psprintf("%s  %s", edata->hint, hint);
}

void
mig_refuse_without_down(List *versions, const char *hint)
{
	if (versions != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_NO_DOWN),
				 errmsg_plural("%d migration has no down body",
							   "%d migrations have no down body",
							   list_length(versions), list_length(versions)),
				 errdetail("Lacking: %s.", mig_name_list(versions)),
				 errhint("%s", hint)));
}

char *
mig_name_list(List *names)
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
						 (char *) lfirst(lc));
		shown++;
	}
	return buf.data;
}
