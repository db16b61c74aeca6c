/*-------------------------------------------------------------------------
 *
 * body_text.c
 *	  The text of a body as the server's scanner gets it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "parser/scansup.h"
#include "source/body_text.h"
#include "source/lenient_scan.h"


#define UTF8_BOM "\xEF\xBB\xBF"

/* true for lines that may stand before \restrict or after \unrestrict */
static bool
only_comment_lines(const char *from, const char *to)
{
	while (from < to)
	{
		while (from < to && scanner_isspace(*from))
			from++;
		if (from == to)
			return true;
		if (from[0] != '-' || from[1] != '-')
			return false;
		from = mig_lenient_scan_line_end(from);
	}
	return true;
}

/* blank out one command line of psql, keeping every position as it is */
static void
blank_line(char *p)
{
	while (*p && *p != '\n')
		*p++ = ' ';
}

/* the line in text that starts with word, or NULL; *end is set to its end */
static char *
find_line(char *text, const char *word, bool last, char **end)
{
	char	   *found = NULL;
	char	   *p = text;

	while (p != NULL && *p)
	{
		if (strncmp(p, word, strlen(word)) == 0)
		{
			found = p;
			if (!last)
				break;
		}
		p = strchr(p, '\n');
		if (p != NULL)
			p++;
	}
	if (found != NULL)
	{
		*end = strchr(found, '\n');
		if (*end == NULL)
			*end = found + strlen(found);
	}
	return found;
}

/* is the comment of the -- kind one by which a tool ends a statement? */
static bool
is_separator(const char *comment)
{
	static const char *const prefixes[] = {"+goose", "+migrate", "+micrate"};
	const char *text = comment + 2;

	if (strncmp(text, "> statement-breakpoint", 22) == 0)
		return true;
	text += strspn(text, " \t");
	for (int i = 0; i < lengthof(prefixes); i++)
	{
		size_t		length = strlen(prefixes[i]);

		if (pg_strncasecmp(text, prefixes[i], length) != 0)
			continue;
		text += length;
		text += strspn(text, " \t");
		return pg_strncasecmp(text, "StatementEnd", 12) == 0;
	}
	return false;
}

/*
 * Have Drizzle's --> statement-breakpoint, and StatementEnd of goose and others,
 * end a statement, as they do there, where it needs no semicolon before them.
 */
static void
end_statements(char *text)
{
	const char *next;

	for (char *p = text; *p != '\0'; p = unconstify(char *, next))
	{
		next = mig_lenient_scan_skip(p);
		if (next == NULL)
			return;
		if (p[0] == '-' && p[1] == '-' && is_separator(p))
			memcpy(p, ";--", 3);
	}
}

/*
 * Blank out what is not SQL but harmless: a byte-order mark, and the
 * \restrict and \unrestrict lines of pg_dump, which are the first and the last
 * thing in its output but for comments.  Anywhere else such a line may be part
 * of a literal and is left alone.
 */
const char *
mig_body_sql(const char *text)
{
	bool		bom = (GetDatabaseEncoding() == PG_UTF8 ||
					   GetDatabaseEncoding() == PG_SQL_ASCII) &&
		strncmp(text, UTF8_BOM, strlen(UTF8_BOM)) == 0;
	bool		separated = strstr(text, "--> statement-breakpoint") != NULL ||
		strstr(text, "StatementEnd") != NULL ||
		strstr(text, "+goose") != NULL;
	char	   *copy;
	char	   *line;
	char	   *end;

	if (!bom && !separated && strstr(text, "\\restrict ") == NULL)
		return text;

	copy = pstrdup(text);
	if (separated)
		end_statements(copy);
	if (bom)
		memset(copy, ' ', strlen(UTF8_BOM));
	line = find_line(copy, "\\restrict ", false, &end);
	if (line != NULL && only_comment_lines(copy, line))
		blank_line(line);
	line = find_line(copy, "\\unrestrict ", true, &end);
	if (line != NULL && only_comment_lines(end, end + strlen(end)))
		blank_line(line);
	return copy;
}
