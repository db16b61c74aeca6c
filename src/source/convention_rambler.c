/*-------------------------------------------------------------------------
 *
 * convention_rambler.c
 *	  The files of rambler.
 *
 * The tool runs several sections of a file as one, those of the way back in the
 * reverse order.  A file has one of each here.  It goes by the bytes of the files'
 * names.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "source/byte_order.h"
#include "source/conventions.h"
#include "source/marker_line.h"
#include "source/numbered_names.h"
#include "source/section_cut.h"

#define RAMBLER_PREFIX "-- rambler"


/* the word of an annotation, in whatever case; NULL: none, or a remark */
static char *
rambler_marker(const MigFileLine *line)
{
	char	   *text = mig_marker_text(line, "rambler");
	char	   *rest = text;
	char	   *word = text ? mig_file_line_next_word(&rest) : NULL;

	if (word == NULL || (pg_strcasecmp(word, "up") != 0 &&
						 pg_strcasecmp(word, "down") != 0))
		return NULL;
	return word;
}

/* MigSectionStyle.mark: whatever begins so ends a section of the tool */
static MigMark
rambler_mark(const MigSourceFile *script, const MigFileLine *line,
			 MigSource *source)
{
	char	   *text = pnstrdup(line->start, line->length);

	if (strncmp(text, RAMBLER_PREFIX, strlen(RAMBLER_PREFIX)) == 0)
	{
		text = mig_file_line_trim(text + strlen(RAMBLER_PREFIX));
		if (strcmp(text, "up") == 0)
			return MIG_MARK_UP;
		if (strcmp(text, "down") == 0)
			return MIG_MARK_DOWN;
	}
	else if (rambler_marker(line) == NULL)
		return MIG_MARK_NONE;
	mig_section_error(script, line,
					  "The annotations are \"-- rambler up\" and \"-- rambler down\".");
	return MIG_MARK_NONE;		/* keep compiler quiet */
}

/* MigTakeFunction */
static void
rambler_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	static const MigSectionStyle style = {
		.up = "-- rambler up",.mark = rambler_mark
	};

	mig_section_take(source, script, &style);
}

static MigSourceFile *
rambler_detect(const MigFileSet *set)
{
	return mig_marker_find_file(set, rambler_marker);
}

static void
rambler_parse(MigFileSet *set)
{
	mig_file_set_pair(set, mig_whole_name_claim, rambler_take);
	mig_order_keep(mig_byte_order_of_files(set->sources));
}

const MigConvention mig_convention_rambler = {
	.name = "rambler",
	.files = "VERSION.sql",
	.marker = rambler_marker,
	.detect = rambler_detect,
	.parse = rambler_parse
};
