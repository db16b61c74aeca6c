/*-------------------------------------------------------------------------
 *
 * convention_micrate.c
 *	  The files of micrate.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "source/conventions.h"
#include "source/marker_line.h"
#include "source/numbered_names.h"
#include "source/section_cut.h"


static char *
micrate_marker(const MigFileLine *line)
{
	return mig_marker_text(line, "+micrate");
}

/* MigSectionStyle.mark */
static MigMark
micrate_mark(const MigSourceFile *script, const MigFileLine *line,
			 MigSource *source)
{
	if (micrate_marker(line) == NULL)
		return MIG_MARK_NONE;
	return mig_section_command(script, line, "-- +micrate ", NULL, source);
}

/* MigTakeFunction */
static void
micrate_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	static const MigSectionStyle style = {
		.up = "-- +micrate Up",.mark = micrate_mark
	};

	mig_section_take(source, script, &style);
}

static MigSourceFile *
micrate_detect(const MigFileSet *set)
{
	return mig_marker_find_file(set, micrate_marker);
}

static void
micrate_parse(MigFileSet *set)
{
	mig_file_set_pair(set, mig_numbered_claim_whole, micrate_take);
}

const MigConvention mig_convention_micrate = {
	.name = "micrate",
	.files = "NUMBER_name.sql",
	.numbered = true,
	.version_key = mig_numbered_key,
	.marker = micrate_marker,
	.detect = micrate_detect,
	.parse = micrate_parse
};
