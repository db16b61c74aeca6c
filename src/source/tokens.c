/*-------------------------------------------------------------------------
 *
 * tokens.c
 *	  Whether two texts differ in comments and blanks only.
 *
 * Texts that are stored are read by the scanner of the server that asks, so that
 * nothing depends on how an older scanner has seen them.  Of the statements that a
 * migration in several transactions has finished there is no text any more but
 * checksums, and that of the bare text is enough if it is the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "parser/scanner.h"

#include "base/checksum.h"
#include "base/subxact.h"
#include "source/lexer.h"
#include "source/tokens.h"

typedef struct TokenTexts
{
	const char *texts[2];
	char	   *checksums[2];
} TokenTexts;

/*
 * Checksum of before and the tokens, as they are written and with one blank before each:
 * that text has the same tokens again, so texts of different tokens have
 * different ones.  Comments between the parts of a literal that goes on in
 * another line are a part of that token.
 */
static char *
checksum_of_tokens(const char *before, const char *sql)
{
	StringInfoData tokens;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location = 0;
	core_yyscan_t scanner;
	char	   *checksum;

	initStringInfo(&tokens);
	appendStringInfoString(&tokens, before);
	scanner = scanner_init(sql, &extra, &ScanKeywords, ScanKeywordTokens);
	extra.standard_conforming_strings = true;
	extra.backslash_quote = BACKSLASH_QUOTE_SAFE_ENCODING;
	extra.escape_string_warning = false;
	while (core_yylex(&value, &location, scanner) != 0)
	{
		CHECK_FOR_INTERRUPTS();

		/* the scanner has put a zero byte after the token */
		appendStringInfoChar(&tokens, ' ');
		appendStringInfoString(&tokens, extra.scanbuf + location);
	}
	scanner_finish(scanner);
	checksum = mig_checksum(tokens.data);
	pfree(tokens.data);
	return checksum;
}

static void
scan_both(void *arg)
{
	TokenTexts *both = (TokenTexts *) arg;

	for (int i = 0; i < 2; i++)
		both->checksums[i] = checksum_of_tokens("", mig_body_sql(both->texts[i]));
}

bool
mig_tokens_same(const char *a, const char *b)
{
	TokenTexts	both = {{a, b}, {NULL, NULL}};
	ErrorData  *edata;

	if (a == NULL || b == NULL)
		return a == b;
	if (mig_lexer_slow_run(a) >= 0 || mig_lexer_slow_run(b) >= 0)
		return false;
	edata = mig_subxact_run(scan_both, &both, true);
	if (edata == NULL)
		return strcmp(both.checksums[0], both.checksums[1]) == 0;
	if (edata->sqlerrcode != ERRCODE_SYNTAX_ERROR &&
		ERRCODE_TO_CATEGORY(edata->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
		ReThrowError(edata);
	FreeErrorData(edata);
	return false;
}

static int
statement_end(const MigBody *body, int number)
{
	const MigStatement *statement = &body->statements[number - 1];

	return statement->location + statement->length;
}

MigBodyHash
mig_tokens_hash(const MigBody *body, const MigBodyHash *before, int first,
				int last)
{
	int			start = first > 1 ? statement_end(body, first - 1) : 0;
	int			length = statement_end(body, last) - start;
	MigBodyHash hash;
	char	   *sql = pnstrdup(body->text + start, length);
	char	   *text = psprintf("%s%s", before ? before->text : "", sql);

	Assert(first >= 0 && first <= last);
	Assert(last <= body->nstatements);
	Assert((before != NULL) == (first > 1));
	hash.text = mig_checksum(text);
	hash.tokens = checksum_of_tokens(before ? before->tokens : "", sql);
	pfree(text);
	pfree(sql);
	return hash;
}
