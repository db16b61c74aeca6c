/*-------------------------------------------------------------------------
 *
 * convention_mybatis.c
 *	  The files of MyBatis Migrations.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/conventions.h"
#include "source/marker_line.h"
#include "source/numbered_names.h"
#include "source/placeholder.h"
#include "source/section_cut.h"


/* "-- //@UNDO": a comment that begins with two slashes and has the word in it */
static char *
mybatis_marker(const MigFileLine *line)
{
	char	   *text = mig_marker_text(line, "//");

	return text != NULL && strstr(text, "@UNDO") != NULL ? text : NULL;
}

/* MigSectionStyle.mark */
static MigMark
mybatis_mark(const MigSourceFile *script, const MigFileLine *line,
			 MigSource *source)
{
	char	   *text = mig_marker_text(line, "//");

	if (mybatis_marker(line) != NULL)
		return MIG_MARK_DOWN;
	text = text ? mig_file_line_trim(text) : "";
	if (pg_strcasecmp(text, "@undo") == 0)
		mig_section_error(script, line, "Expected \"-- //@UNDO\".");
	return MIG_MARK_NONE;
}

/* MigTakeFunction */
static void
mybatis_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	static const MigSectionStyle style = {.mark = mybatis_mark};

	mig_placeholder_refuse(script, "${", "}", "MyBatis Migrations",
						   "Write its value there.");
	mig_section_take(source, script, &style);
}

static MigSourceFile *
mybatis_detect(const MigFileSet *set)
{
	return mig_marker_find_file(set, mybatis_marker);
}

static void
mybatis_parse(MigFileSet *set)
{
	mig_file_set_pair(set, mig_numbered_claim_whole, mybatis_take);
}

const MigConvention mig_convention_mybatis = {
	.name = "mybatis",
	.files = "NUMBER_name.sql",
	.numbered = true,
	.version_key = mig_numbered_key,
	.marker = mybatis_marker,
	.detect = mybatis_detect,
	.parse = mybatis_parse
};
