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


#define GOOSE_PREFIX "+goose"

static char *
goose_marker_text(const MigFileLine *line)
{
	return mig_marker_text(line, GOOSE_PREFIX);
}

/* a file of goose while it is cut; a section is closed when the next opens */
typedef struct Goose
{
	const MigSourceFile *script;
	MigSource  *source;
	MigFileLine line;
	const char *up;				/* start of the section, NULL: none yet */
	const char *down;
	const char *up_end;
	int			up_line;
	int			down_line;
	bool		in_statement;	/* between StatementBegin and StatementEnd */
} Goose;

/* raise an error about the annotation of the current line */
static void
goose_error(Goose *goose, const char *detail)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("invalid annotation \"%s\" in file \"%s\" line %d",
					mig_file_line_excerpt(&goose->line), goose->script->path,
					goose->line.number),
			 errdetail("%s", detail)));
}

/* -- +goose Up, -- +goose Down */
static void
goose_section(Goose *goose, bool up)
{
	if (goose->in_statement)
		goose_error(goose, "The statement before it has no StatementEnd.");

	if (up)
	{
		if (goose->up != NULL)
			goose_error(goose, "A file has one Up, before its Down.");
		mig_marker_check_preamble(goose->script, goose->line.start);
		goose->up = goose->line.next;
		goose->up_line = goose->line.number + 1;
	}
	else
	{
		if (goose->up == NULL || goose->down != NULL)
			goose_error(goose, "A file has one Down, after its Up.");
		goose->up_end = goose->line.start;
		goose->down = goose->line.next;
		goose->down_line = goose->line.number + 1;
	}
}

/* -- +goose StatementBegin, -- +goose StatementEnd */
static void
goose_statement(Goose *goose, bool begin)
{
	if (goose->up == NULL)
		goose_error(goose, "It comes before Up.");
	if (begin == goose->in_statement)
		goose_error(goose, "StatementBegin and StatementEnd do not alternate.");
	goose->in_statement = begin;
}

/* act on an annotation; text is what follows the prefix */
static void
goose_annotation(Goose *goose, char *text)
{
	StringInfoData words;
	char	   *word;

	mig_marker_check_not_indented(goose->script, &goose->line);

	initStringInfo(&words);
	while ((word = mig_file_line_next_word(&text)) != NULL)
		appendStringInfo(&words, "%s%s", words.len > 0 ? " " : "", word);

	if (pg_strcasecmp(words.data, "Up") == 0)
		goose_section(goose, true);
	else if (pg_strcasecmp(words.data, "Down") == 0)
		goose_section(goose, false);
	else if (pg_strcasecmp(words.data, "StatementBegin") == 0)
		goose_statement(goose, true);
	else if (pg_strcasecmp(words.data, "StatementEnd") == 0)
		goose_statement(goose, false);
	else if (pg_strcasecmp(words.data, "NO TRANSACTION") == 0)
		goose->source->transactional = MIG_TX_OFF;
	else if (pg_strcasecmp(words.data, "ENVSUB ON") == 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" line %d asks for the substitution of environment variables",
						goose->script->path, goose->line.number),
				 errdetail("The server does not have the environment of the one who loads a file."),
				 errhint("Write the values into the file and remove the annotation.")));
	else if (pg_strcasecmp(words.data, "ENVSUB OFF") != 0)
		goose_error(goose, "The annotations are Up, Down, StatementBegin, StatementEnd, NO TRANSACTION, ENVSUB ON and ENVSUB OFF.");
}

/*
 * MigTakeFunction.  Annotations inside of a section stay in its body, where
 * they are comments, so that the lines of body and file go together.
 */
static void
goose_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	Goose		goose = {0};
	const char *end;

	goose.script = script;
	goose.source = source;
	mig_file_line_rewind(&goose.line, script->content);
	while (mig_file_line_next(&goose.line))
	{
		char	   *text = mig_marker_text(&goose.line, GOOSE_PREFIX);

		if (text != NULL)
			goose_annotation(&goose, text);
	}
	end = goose.line.next;

	if (goose.up == NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" has no annotation \"-- +goose Up\"",
						script->path)));
	if (goose.in_statement)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" ends within a StatementBegin",
						script->path)));

	source->up = pnstrdup(goose.up,
						  (goose.down != NULL ? goose.up_end : end) - goose.up);
	source->lines[MIG_UP] = goose.up_line;
	if (goose.down != NULL)
	{
		source->down = pnstrdup(goose.down, end - goose.down);
		source->lines[MIG_DOWN] = goose.down_line;
	}
}

/* MigClaimFunction: NUMBER_name.sql */
static bool
goose_claim(const MigSourceFile *script, const MigFileName *name,
			MigClaim *claim)
{
	char	   *underscore = strchr(name->base, '_');

	if (underscore == NULL)
		return false;

	claim->version = pnstrdup(name->base, underscore - name->base);
	if (!mig_file_path_is_digits(claim->version))
		return false;
	claim->key = mig_file_path_numeric_key(claim->version);
	claim->name = underscore + 1;
	claim->part = MIG_UP;
	return true;
}

static void
goose_parse(MigFileSet *set)
{
	mig_file_set_pair(set, goose_claim, goose_take);
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
	.parse = goose_parse
};
