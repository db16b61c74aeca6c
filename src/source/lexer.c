/*-------------------------------------------------------------------------
 *
 * lexer.c
 *	  What can be told of a text by its tokens alone.
 *
 * The server's lexer reads as many operator characters at once as there are,
 * and gives back what does not belong to the token: all that follows the start
 * of a comment, or the sign at the end of an operator.  Where a text has
 * nothing but starts of comments or plus signs that is nearly everything each
 * time, so it takes time that grows with the square of the length, and neither
 * a cancel nor a time-out is looked at meanwhile.  Whoever stores such a text
 * would stop everybody who makes a plan.  What else the lexer reads again it
 * reads no more than twice.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/keywords.h"
#include "miscadmin.h"
#include "parser/scanner.h"
#include "parser/scansup.h"

#include "source/lexer.h"

/* this many characters are read again in a fraction of a second */
#define FREE_REREADS 20000000

/* and this often each byte of a long text: comments are full of signs */
#define REREADS_PER_BYTE 8

/* as in the server's scan.l */
#define OP_CHARS "~!@#^&|`?+-*/%<>="

/* how many tokens can begin in the run, after which all is read again */
static int64
count_starts(const char *run, size_t length)
{
	int64		starts = 0;
	size_t		i;

	for (i = 0; i < length; i++)
	{
		if (run[i] == '+' ||
			(run[i] == '/' && i + 1 < length && run[i + 1] == '*'))
			starts++;
	}
	return starts;
}

int
mig_lexer_slow_run(const char *text)
{
	const char *p = text + strcspn(text, OP_CHARS);
	double		rereads = 0;

	while (*p != '\0')
	{
		size_t		length = strspn(p, OP_CHARS);

		CHECK_FOR_INTERRUPTS();
		if (length > 1)
			rereads += (double) length * count_starts(p, length);
		if (rereads > FREE_REREADS + REREADS_PER_BYTE * (double) (p - text))
			return p - text;
		p += length;
		p += strcspn(p, OP_CHARS);
	}
	return -1;
}

/* is there this word, and not a longer one? */
static bool
has_word_at(const char *text, int location, const char *word)
{
	int			length = strlen(word);

	/* a token that is in quotes begins with them */
	return pg_strncasecmp(text + location, word, length) == 0 &&
		!isalnum((unsigned char) text[location + length]) &&
		text[location + length] != '_' && text[location + length] != '$' &&
		!IS_HIGHBIT_SET(text[location + length]);
}

int
mig_lexer_copy_from_client(const char *text, int *end)
{
	core_yy_extra_type extra;
	core_yyscan_t scanner = scanner_init(text, &extra, &ScanKeywords,
										 ScanKeywordTokens);
	int			copy = -1;		/* where the statement begins, if it is one */
	bool		begins = true;	/* is the token a statement's first one? */
	bool		after_from = false;
	int			depth = 0;		/* of parentheses */
	int			token;
	YYLTYPE		location;
	core_YYSTYPE value;

	while ((token = core_yylex(&value, &location, scanner)) != 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == ';')
		{
			begins = true;
			continue;
		}
		if (begins)
		{
			copy = has_word_at(text, location, "copy") ? location : -1;
			begins = after_from = false;
			depth = 0;
		}
		if (copy >= 0 && depth == 0 && after_from &&
			has_word_at(text, location, "stdin"))
			break;
		after_from = has_word_at(text, location, "from");
		if (token == '(')
			depth++;
		else if (token == ')')
			depth--;
	}
	scanner_finish(scanner);
	*end = location;
	return token != 0 ? copy : -1;
}
