/*-------------------------------------------------------------------------
 *
 * convention_tern.c
 *	  The files of tern.
 *
 * A file is its up body, down to the line that parts it from what undoes it.
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

#define TERN_SEPARATOR "---- create above / drop below ----"
#define TERN_DISABLE_TX "---- tern: disable-tx ----"


/* what follows the dashes, if it is one of the two lines, however it is spelled */
static char *
tern_marker(const MigFileLine *line)
{
	int			length;
	const char *text = mig_file_line_comment(line, &length);

	while (text != NULL && length > 0 && strchr("- \t", *text) != NULL)
	{
		text++;
		length--;
	}
	if (text == NULL ||
		(pg_strncasecmp(text, "create above / drop below", 25) != 0 &&
		 pg_strncasecmp(text, "tern:", 5) != 0))
		return NULL;
	return pnstrdup(text, length);
}

/* MigSectionStyle.mark */
static MigMark
tern_mark(const MigSourceFile *script, const MigFileLine *line,
		  MigSource *source)
{
	char	   *text = mig_file_line_text(line);

	if (tern_marker(line) == NULL)
		return MIG_MARK_NONE;
	mig_marker_check_not_indented(script, line);
	if (strcmp(text, TERN_SEPARATOR) == 0)
		return MIG_MARK_DOWN;
	if (strcmp(text, TERN_DISABLE_TX) != 0)
		mig_section_error(script, line,
						  "Expected \"" TERN_SEPARATOR "\" or \"" TERN_DISABLE_TX "\".");
	source->transactional = MIG_TX_OFF;
	return MIG_MARK_OTHER;
}

/* MigTakeFunction: a file can be a template */
static void
tern_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	static const MigSectionStyle style = {.mark = tern_mark};

	mig_placeholder_refuse(script, "{{", "}}", "tern",
						   "Write what the template makes of it there.");
	mig_section_take(source, script, &style);
}

static MigSourceFile *
tern_detect(const MigFileSet *set)
{
	return mig_marker_find_file(set, tern_marker);
}

static void
tern_parse(MigFileSet *set)
{
	mig_file_set_pair(set, mig_numbered_claim_whole, tern_take);
}

const MigConvention mig_convention_tern = {
	.name = "tern",
	.files = "NUMBER_name.sql",
	.numbered = true,
	.version_key = mig_numbered_key,
	.marker = tern_marker,
	.detect = tern_detect,
	.transactional_off = "---- tern: disable-tx ----",
	.parse = tern_parse
};
