/*-------------------------------------------------------------------------
 *
 * convention_play.c
 *	  The evolutions of Play.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/conventions.h"
#include "source/marker_line.h"
#include "source/numbered_names.h"
#include "source/section_cut.h"


/* a line that begins with # or -- and has the word in it */
static char *
play_marker(const MigFileLine *line)
{
	char	   *text = pnstrdup(line->start, line->length);

	if (*text != '#' && strncmp(text, "--", 2) != 0)
		return NULL;
	return strstr(text, "!Ups") != NULL || strstr(text, "!Downs") != NULL ?
		text : NULL;
}

/*
 * MigSectionStyle.mark.  In the place of a semicolon that ends no statement there
 * are two in these files.
 */
static MigMark
play_mark(const MigSourceFile *script, const MigFileLine *line,
		  MigSource *source)
{
	char	   *text = play_marker(line);

	if (text != NULL)
		return strstr(text, "!Ups") != NULL ? MIG_MARK_UP : MIG_MARK_DOWN;
	text = mig_file_line_text(line);
	if (strstr(text, ";;") != NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" line %d has a doubled semicolon",
						script->path, line->number),
				 errdetail("Play makes one of the two."),
				 errhint("Write one semicolon, and load the file as one of another convention.")));
	return MIG_MARK_NONE;
}

/* MigTakeFunction */
static void
play_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	static const MigSectionStyle style = {
		.up = "-- !Ups",.mark = play_mark
	};

	mig_section_take(source, script, &style);
}

/* MigClaimFunction: NUMBER.sql */
static bool
play_claim(const MigSourceFile *script, const MigFileName *name,
		   MigClaim *claim)
{
	claim->version = name->base;
	if (!mig_file_path_is_digits(claim->version))
		return false;
	claim->key = mig_file_path_numeric_key(claim->version);
	claim->name = "";
	claim->part = MIG_UP;
	return true;
}

static MigSourceFile *
play_detect(const MigFileSet *set)
{
	return mig_marker_find_file(set, play_marker);
}

static void
play_parse(MigFileSet *set)
{
	mig_file_set_pair(set, play_claim, play_take);
}

const MigConvention mig_convention_play = {
	.name = "play",
	.files = "NUMBER.sql",
	.numbered = true,
	.version_key = mig_numbered_key,
	.marker = play_marker,
	.detect = play_detect,
	.parse = play_parse
};
