/*-------------------------------------------------------------------------
 *
 * marker_line.c
 *	  Lines that are markers.
 *
 * A marker is a comment line.  A section is what lies between a marker's line
 * and the next one's, byte for byte, and is recognized by lines alone: a
 * marker inside of a string literal or a block comment is one all the same, as
 * it is for the tools that these markers come from.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/lenient_scan.h"
#include "source/marker_line.h"


/*
 * If the line is a comment that begins with prefix, a copy of what follows.
 */
char *
mig_marker_text(const MigFileLine *line, const char *prefix)
{
	int			prefix_length = strlen(prefix);
	int			length;
	const char *text = mig_file_line_comment(line, &length);

	if (text == NULL || length < prefix_length ||
		pg_strncasecmp(text, prefix, prefix_length) != 0)
		return NULL;

	return pnstrdup(text + prefix_length, length - prefix_length);
}

/* the first line of the file with such a marker; false if there is none */
static bool
find_marked_line(const MigSourceFile *script,
				 char *(*text_of) (const MigFileLine *line), MigFileLine *line)
{
	mig_file_line_rewind(line, script->content);
	while (mig_file_line_next(line))
	{
		if (text_of(line) != NULL)
			return true;
	}
	return false;
}

/* the first file that has a line with such a marker */
MigSourceFile *
mig_marker_find_file(const MigFileSet *set, char *(*text_of) (const MigFileLine *line))
{
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		MigFileLine line;

		if (mig_file_path_is_sql(script->path) &&
			find_marked_line(script, text_of, &line))
			return script;
	}
	return NULL;
}

/* a marker must begin its line, as the tools want it */
void
mig_marker_check_not_indented(const MigSourceFile *script, const MigFileLine *line)
{
	if (line->start[0] != '-')
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("marker \"%s\" is indented in file \"%s\" line %d",
						mig_file_line_excerpt(line), script->path,
						line->number),
				 errhint("Put the marker at the start of its line.")));
}

/* skip a block comment, which can have others in it; at text is its start */
static const char *
skip_block_comment(const char *text, const char *end)
{
	int			depth = 0;

	while (text < end)
	{
		if (text[0] == '/' && text[1] == '*')
		{
			depth++;
			text += 2;
		}
		else if (text[0] == '*' && text[1] == '/')
		{
			text += 2;
			if (--depth == 0)
				break;
		}
		else
			text++;
	}
	return Min(text, end);
}

/*
 * Make sure that nothing but comments comes before the first marker, because
 * it belongs to no section and is dropped.
 */
void
mig_marker_check_preamble(const MigSourceFile *script, const char *end)
{
	MigFileLine line;
	const char *text;
	int			number = 1;

	mig_file_line_rewind(&line, script->content);
	text = line.next;

	while (text < end)
	{
		if (text[0] == '-' && text[1] == '-')
			text = mig_lenient_scan_line_end(text);
		else if (text[0] == '/' && text[1] == '*')
		{
			const char *after = skip_block_comment(text, end);

			for (; text < after; text++)
				number += (*text == '\n');
		}
		else if (strchr(" \t\r\n\v\f", *text) != NULL)
			number += (*text++ == '\n');
		else
			ereport(ERROR,
					(errcode(MIG_ERRCODE_CONVENTION),
					 errmsg("text before the first marker in file \"%s\" line %d",
							script->path, number),
					 errdetail("Only blank lines and comments may come before it.")));
	}
}

/* the line and text of the marker by which a file shows its convention, or "" */
char *
mig_marker_place(const MigSourceFile *script,
				 char *(*text_of) (const MigFileLine *line))
{
	MigFileLine line;

	if (text_of == NULL || !find_marked_line(script, text_of, &line))
		return "";
	return psprintf(" (line %d: \"%s\")", line.number,
					mig_file_line_excerpt(&line));
}
