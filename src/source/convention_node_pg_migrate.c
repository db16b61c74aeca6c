/*-------------------------------------------------------------------------
 *
 * convention_node_pg_migrate.c
 *	  The SQL files of node-pg-migrate.
 *
 * The whole file name is the version, as it is in the tool's table.  A file
 * without annotations is its up body.  It may as well have a file for each way,
 * a.up.sql and a.down.sql.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "source/conventions.h"
#include "source/marker_line.h"
#include "source/numbered_names.h"
#include "source/section_cut.h"


/* dashes and blanks, "Up" or "Down", and "Migration", whatever follows */
static char *
node_marker(const MigFileLine *line)
{
	int			length;
	const char *text = mig_file_line_comment(line, &length);
	char	   *rest;
	char	   *way;
	char	   *word;

	while (text != NULL && length > 0 && strchr("- \t", *text) != NULL)
	{
		text++;
		length--;
	}
	if (text == NULL)
		return NULL;
	rest = pnstrdup(text, length);
	way = mig_file_line_next_word(&rest);
	word = mig_file_line_next_word(&rest);
	if (way == NULL || word == NULL || pg_strncasecmp(word, "migration", 9) != 0 ||
		(pg_strcasecmp(way, "up") != 0 && pg_strcasecmp(way, "down") != 0))
		return NULL;
	return way;
}

/* MigSectionStyle.mark */
static MigMark
node_mark(const MigSourceFile *script, const MigFileLine *line,
		  MigSource *source)
{
	char	   *way = node_marker(line);

	if (way == NULL)
		return MIG_MARK_NONE;
	return tolower((unsigned char) *way) == 'u' ? MIG_MARK_UP : MIG_MARK_DOWN;
}

/* MigTakeFunction */
static void
node_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	static const MigSectionStyle style = {
		.down_may_be_first = true,.mark = node_mark
	};

	if (part == MIG_UP && !mig_file_path_has_suffix(script->path, ".up.sql"))
		mig_section_take(source, script, &style);
	else
		mig_file_set_take(source, part, script);
}

/* MigClaimFunction */
static bool
node_claim(const MigSourceFile *script, const MigFileName *name,
		   MigClaim *claim)
{
	if (name->part == MIG_VERIFY || name->stem[0] == '\0' ||
		name->stem[0] == '.')
		return false;

	claim->key = name->stem;
	claim->version = name->stem;
	claim->name = "";
	claim->part = name->part;
	return true;
}

/* a title over the one body of a file is no proof: both ways are */
static MigSourceFile *
node_detect(const MigFileSet *set)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		MigFileLine line;
		bool		up = false;
		bool		down = false;

		if (!mig_file_path_is_sql(script->path))
			continue;
		mig_file_line_rewind(&line, script->content);
		while (mig_file_line_next(&line))
		{
			char	   *way = node_marker(&line);

			if (way != NULL && tolower((unsigned char) *way) == 'u')
				up = true;
			else if (way != NULL)
				down = true;
		}
		if (up && down)
			return script;
	}
	return NULL;
}

static void
node_parse(MigFileSet *set)
{
	mig_file_set_pair(set, node_claim, node_take);
}

const MigConvention mig_convention_node_pg_migrate = {
	.name = "node-pg-migrate",
	.files = "VERSION.sql, VERSION.up.sql, VERSION.down.sql",
	.marker = node_marker,
	.detect = node_detect,
	.parse = node_parse
};
