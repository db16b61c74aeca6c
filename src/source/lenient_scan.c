/*-------------------------------------------------------------------------
 *
 * lenient_scan.c
 *	  Where comments, literals and words of SQL end, of texts that the
 *	  server's scanner may refuse.
 *
 * Files of other tools need not be SQL of this server throughout, and a scanner
 * that raises an error says nothing about the rest of a file.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "source/lenient_scan.h"

#define BLANKS " \t\r\n\v\f"
#define UTF8_BOM "\xEF\xBB\xBF"

/* part of a name, or of a number: those in other alphabets have the high bit */
static bool
is_word_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '_' || IS_HIGHBIT_SET(c);
}

/* after the closing quote; a doubled one is part of what is quoted */
static const char *
skip_quoted(const char *text, bool escapes)
{
	char		quote = *text++;

	for (; *text != '\0'; text++)
	{
		if (escapes && *text == '\\' && text[1] != '\0')
			text++;
		else if (*text == quote && *++text != quote)
			return text;
	}
	return NULL;
}

static const char *
skip_block_comment(const char *text)
{
	int			depth = 0;

	while (*text != '\0')
	{
		if (text[0] == '/' && text[1] == '*')
		{
			depth++;
			text += 2;
		}
		else if (text[0] == '*' && text[1] == '/')
		{
			text += 2;
			if (--depth == 0)
				return text;
		}
		else
			text++;
	}
	return NULL;
}

/* a dollar body, or the dollar alone if it does not begin one */
static const char *
skip_dollar(const char *text)
{
	const char *tag = text + 1;
	char	   *delimiter;
	const char *end;

	while (is_word_character(*tag))
		tag++;
	if (*tag != '$' || (text[1] >= '0' && text[1] <= '9'))
		return text + 1;
	delimiter = pnstrdup(text, tag + 1 - text);
	end = strstr(tag + 1, delimiter);
	if (end != NULL)
		end += strlen(delimiter);
	pfree(delimiter);
	return end;
}

/* a name may have a dollar in it, which begins nothing there */
static const char *
skip_word(const char *text)
{
	while (is_word_character(*text) || *text == '$')
		text++;
	return text;
}

bool
mig_lenient_scan_is_gap(const char *text)
{
	return (*text != '\0' && strchr(BLANKS, *text) != NULL) ||
		(text[0] == '-' && text[1] == '-') ||
		(text[0] == '/' && text[1] == '*');
}

/* what may lack its end; *text is none of these if it is a step of its own */
static const char *
skip_closed(const char *text)
{
	if (text[0] == '/' && text[1] == '*')
		return skip_block_comment(text);
	if (*text == '\'' || *text == '"')
		return skip_quoted(text, false);
	if ((*text == 'e' || *text == 'E') && text[1] == '\'')
		return skip_quoted(text + 1, true);
	if (*text == '$')
		return skip_dollar(text);
	return text;
}

const char *
mig_lenient_scan_line_end(const char *text)
{
	return text + strcspn(text, "\r\n");
}

const char *
mig_lenient_scan_step(const char *text)
{
	Assert(*text != '\0');
	CHECK_FOR_INTERRUPTS();
	if (strchr(BLANKS, *text) != NULL)
		return text + strspn(text, BLANKS);
	if (text[0] == '-' && text[1] == '-')
		return mig_lenient_scan_line_end(text);
	if (is_word_character(*text))
		return skip_word(text);
	return text + 1;
}

const char *
mig_lenient_scan_skip(const char *text)
{
	const char *end = skip_closed(text);

	return end == text ? mig_lenient_scan_step(text) : end;
}

/* a word of BEGIN and COMMIT, which a body may have around nothing */
static bool
is_transaction_word(const char *text)
{
	static const char *const words[] = {
		"begin", "start", "transaction", "work", "commit", "end", "rollback",
		"abort", "isolation", "level", "serializable", "repeatable", "read",
		"committed", "uncommitted", "write", "only", "not", "deferrable", "and",
		"no", "chain"
	};
	size_t		length = skip_word(text) - text;

	for (int i = 0; i < lengthof(words); i++)
	{
		if (length == strlen(words[i]) &&
			pg_strncasecmp(text, words[i], length) == 0)
			return true;
	}
	return false;
}

bool
mig_lenient_scan_may_be_empty(const char *text)
{
	if (strncmp(text, UTF8_BOM, strlen(UTF8_BOM)) == 0)
		text += strlen(UTF8_BOM);
	while (text != NULL && *text != '\0')
	{
		if (*text == '\\')		/* a line of pg_dump for psql */
			text = mig_lenient_scan_line_end(text);
		else if (*text == ';' || *text == ',' || mig_lenient_scan_is_gap(text) ||
				 is_transaction_word(text))
			text = mig_lenient_scan_skip(text);
		else
			return false;
	}
	return text != NULL;
}
