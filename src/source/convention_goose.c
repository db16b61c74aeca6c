/*-------------------------------------------------------------------------
 *
 * convention_goose.c
 *	  The files of goose.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "lib/stringinfo.h"
#include "source/conventions.h"
#include "source/marker_line.h"
#include "source/numbered_names.h"
#include "source/section_cut.h"


#define GOOSE_PREFIX "+goose"

static char *
goose_marker_text(const MigFileLine *line)
{
	return mig_marker_text(line, GOOSE_PREFIX);
}

/* MigSectionStyle.mark; blanks and case do not count */
static MigMark
goose_mark(const MigSourceFile *script, const MigFileLine *line,
		   MigSource *source)
{
	char	   *text = goose_marker_text(line);
	StringInfoData words;
	char	   *word;

	if (text == NULL)
		return MIG_MARK_NONE;
	mig_marker_check_not_indented(script, line);
	initStringInfo(&words);
	while ((word = mig_file_line_next_word(&text)) != NULL)
		appendStringInfo(&words, "%s%s", words.len > 0 ? " " : "", word);

	if (pg_strcasecmp(words.data, "Up") == 0)
		return MIG_MARK_UP;
	if (pg_strcasecmp(words.data, "Down") == 0)
		return MIG_MARK_DOWN;
	if (pg_strcasecmp(words.data, "StatementBegin") == 0)
		return MIG_MARK_STATEMENT_BEGIN;
	if (pg_strcasecmp(words.data, "StatementEnd") == 0)
		return MIG_MARK_STATEMENT_END;
	if (pg_strcasecmp(words.data, "NO TRANSACTION") == 0)
		source->transactional = MIG_TX_OFF;
	else if (pg_strcasecmp(words.data, "ENVSUB ON") == 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" line %d asks for the substitution of environment variables",
						script->path, line->number),
				 errdetail("The server does not have the environment of the one who loads a file."),
				 errhint("Write the values into the file and remove the annotation.")));
	else if (pg_strcasecmp(words.data, "ENVSUB OFF") != 0)
		mig_section_error(script, line,
						  "The annotations are Up, Down, StatementBegin, StatementEnd, NO TRANSACTION, ENVSUB ON and ENVSUB OFF.");
	return MIG_MARK_OTHER;
}

/* MigTakeFunction */
static void
goose_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	static const MigSectionStyle style = {
		.up = "-- +goose Up",.mark = goose_mark
	};

	mig_section_take(source, script, &style);
}

static void
goose_parse(MigFileSet *set)
{
	mig_file_set_pair(set, mig_numbered_claim_whole, goose_take);
}

static MigSourceFile *
goose_detect(const MigFileSet *set)
{
	return mig_marker_find_file(set, goose_marker_text);
}

const MigConvention mig_convention_goose = {
	.name = "goose",
	.files = "NUMBER_name.sql",
	.numbered = true,
	.version_key = mig_numbered_key,
	.marker = goose_marker_text,
	.detect = goose_detect,
	.transactional_off = "-- +goose NO TRANSACTION",
	.parse = goose_parse
};
