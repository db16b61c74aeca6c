/*-------------------------------------------------------------------------
 *
 * tokens.c
 *	  Whether two texts differ in comments and blanks only.
 *
 * Both texts are read by the scanner of the server that asks, so nothing about
 * tokens is stored that a newer scanner would see in another way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "parser/scanner.h"

#include "checksum.h"
#include "lexer.h"
#include "statement.h"
#include "subxact.h"
#include "tokens.h"

typedef struct TokenTexts
{
	const char *texts[2];
	char	   *checksums[2];
} TokenTexts;

/*
 * Checksum of the tokens, as they are written and with one blank before each:
 * that text has the same tokens again, so texts of different tokens have
 * different ones.  Comments between the parts of a literal that goes on in
 * another line are a part of that token.
 */
static char *
checksum_of_tokens(const char *text)
{
	StringInfoData tokens;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location = 0;
	core_yyscan_t scanner;

	initStringInfo(&tokens);
	scanner = scanner_init(mig_body_sql(text), &extra, &ScanKeywords,
						   ScanKeywordTokens);
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
	return mig_checksum(tokens.data);
}

static void
scan_both(void *arg)
{
	TokenTexts *both = (TokenTexts *) arg;

	for (int i = 0; i < 2; i++)
		both->checksums[i] = checksum_of_tokens(both->texts[i]);
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
