/*-------------------------------------------------------------------------
 *
 * escape.c
 *	  Text from the database in HTML.
 *
 * Everything but plain ASCII becomes a character reference, so the page means
 * the same whatever encoding it is written in on its way.  Characters that are
 * not seen, or that change how others are seen, are shown by their numbers:
 * SQL has to be read as the server reads it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "base/printable.h"
#include "report/escape.h"

/*
 * The text in UTF-8.  A database without an encoding may have any bytes; they
 * are taken for UTF-8 where they can be, see append_utf8().
 */
static const char *
to_utf8(const char *text)
{
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		return text;
	return pg_server_to_any(text, strlen(text), PG_UTF8);
}

/* code points that no reference may have */
static bool
is_noncharacter(unsigned int code)
{
	return (code & 0xfffe) == 0xfffe || (code >= 0xfdd0 && code <= 0xfdef);
}

/* a code point that is shown by its number */
static void
append_hidden(StringInfo buf, unsigned int code, bool markup)
{
	appendStringInfo(buf, markup ? "<i class=u>U+%04X</i>" : "U+%04X", code);
}

/* a character of one byte */
static void
append_ascii(StringInfo buf, char c)
{
	if (c == '&')
		appendStringInfoString(buf, "&amp;");
	else if (c == '<')
		appendStringInfoString(buf, "&lt;");
	else if (c == '>')
		appendStringInfoString(buf, "&gt;");
	else if (c == '"')
		appendStringInfoString(buf, "&quot;");
	else
		appendStringInfoChar(buf, c);
}

/* the character at p, before end; returns how many bytes it has */
static int
append_utf8(StringInfo buf, const char *p, const char *end, bool markup)
{
	int			length = pg_encoding_verifymbchar(PG_UTF8, p, end - p);
	int			hidden_length;
	unsigned int hidden;
	unsigned int code;

	if (length < 1)
	{
		appendStringInfoString(buf, "&#xFFFD;");
		return 1;
	}
	if (p[0] == '\r' && p + 1 < end && p[1] == '\n')
		return 1;
	hidden = mig_report_text_hidden_character(p, PG_UTF8, &hidden_length);
	code = utf8_to_unicode((const unsigned char *) p);
	if (hidden != 0 || is_noncharacter(code))
		append_hidden(buf, code, markup);
	else if (length == 1)
		append_ascii(buf, *p);
	else
		appendStringInfo(buf, "&#x%X;", code);
	return length;
}

static void
append_range(StringInfo buf, const char *p, const char *end, bool markup)
{
	while (p < end)
		p += append_utf8(buf, p, end, markup);
}

void
mig_report_escape_text(StringInfo buf, const char *text)
{
	const char *utf8 = to_utf8(text);

	append_range(buf, utf8, utf8 + strlen(utf8), true);
}

void
mig_report_escape_attribute(StringInfo buf, const char *text)
{
	const char *utf8 = to_utf8(text);

	append_range(buf, utf8, utf8 + strlen(utf8), false);
}

void
mig_report_escape_lines(StringInfo buf, const char *text, const char *prefix,
						int first_line, int max_lines, MigLineMark mark,
						void *arg)
{
	const char *p = to_utf8(text);
	int			line;

	for (line = first_line; *p != '\0' && line - first_line < max_lines; line++)
	{
		const char *end = strchr(p, '\n');
		const char *class = mark != NULL ? mark(line, arg) : NULL;

		if (end == NULL)
			end = p + strlen(p);
		appendStringInfo(buf, "<span id=\"%s-%d\" data-line=\"%d\"", prefix,
						 line, line);
		if (class != NULL)
			appendStringInfo(buf, " class=%s", class);
		appendStringInfoChar(buf, '>');
		append_range(buf, p, end, true);
		appendStringInfoString(buf, "\n</span>");
		p = *end == '\n' ? end + 1 : end;
	}
}
