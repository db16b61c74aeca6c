/*-------------------------------------------------------------------------
 *
 * convention_sql_migrate.c
 *	  The files of sql-migrate.
 *
 * The whole file name is the version, for the tool's table has it: two files may
 * have the same number there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "source/conventions.h"
#include "source/marker_line.h"
#include "source/numbered_names.h"
#include "source/section_cut.h"


static char *
sql_migrate_marker(const MigFileLine *line)
{
	return mig_marker_text(line, "+migrate");
}

/* MigSectionStyle.mark */
static MigMark
sql_migrate_mark(const MigSourceFile *script, const MigFileLine *line,
				 MigSource *source)
{
	if (sql_migrate_marker(line) == NULL)
		return MIG_MARK_NONE;
	return mig_section_command(script, line, "-- +migrate ", "notransaction",
							   source);
}

/* MigTakeFunction */
static void
sql_migrate_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	static const MigSectionStyle style = {
		.up = "-- +migrate Up",.mark = sql_migrate_mark
	};

	mig_section_take(source, script, &style);
}

static MigSourceFile *
sql_migrate_detect(const MigFileSet *set)
{
	return mig_marker_find_file(set, sql_migrate_marker);
}

static void
sql_migrate_parse(MigFileSet *set)
{
	mig_file_set_pair(set, mig_whole_name_claim, sql_migrate_take);
}

const MigConvention mig_convention_sql_migrate = {
	.name = "sql-migrate",
	.files = "VERSION.sql",
	.marker = sql_migrate_marker,
	.detect = sql_migrate_detect,
	.transactional_off = "-- +migrate Up notransaction",
	.parse = sql_migrate_parse
};
