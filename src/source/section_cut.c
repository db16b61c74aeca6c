/*-------------------------------------------------------------------------
 *
 * section_cut.c
 *	  Files that a line cuts into the way forth and the way back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/marker_line.h"
#include "source/section_cut.h"

/* a file while it is cut */
typedef struct SectionCut
{
	const MigSourceFile *script;
	MigSource  *source;
	const MigSectionStyle *style;
	MigFileLine line;
	const char *start[MIG_DOWN + 1];	/* of the sections, NULL: none yet */
	const char *end[MIG_DOWN + 1];
	int			first[MIG_DOWN + 1];	/* their lines */
	MigPart		open;			/* the section that the line is in */
	bool		in_statement;	/* between StatementBegin and StatementEnd */
} SectionCut;


void
mig_section_error(const MigSourceFile *script, const MigFileLine *line,
				  const char *detail)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("invalid annotation \"%s\" in file \"%s\" line %d",
					mig_file_line_excerpt(line), script->path, line->number),
			 errdetail("%s", detail)));
}

/* end the open section where the line begins, and open one after it */
static void
begin_section(SectionCut *cut, MigPart part)
{
	bool		first = cut->start[MIG_UP] == NULL &&
		cut->start[MIG_DOWN] == NULL;

	if (first)
		mig_marker_check_preamble(cut->script, cut->line.start);
	else
		cut->end[cut->open] = cut->line.start;
	cut->open = part;
	cut->start[part] = cut->line.next;
	cut->first[part] = cut->line.number + 1;
}

/* is there nothing but the open up section, which began with the file? */
static bool
has_only_comments(const SectionCut *cut)
{
	MigFileLine line;

	mig_file_line_rewind(&line, cut->script->content);
	while (mig_file_line_next(&line) && line.number < cut->line.number)
	{
		int			length;

		if (!mig_file_line_is_blank(&line) &&
			mig_file_line_comment(&line, &length) == NULL)
			return false;
	}
	return true;
}

/* the way forth begins, perhaps behind comments that were taken for it */
static void
begin_up(SectionCut *cut)
{
	bool		began = cut->style->up == NULL && cut->first[MIG_UP] == 1 &&
		cut->open == MIG_UP && has_only_comments(cut);

	if (began)
		cut->start[MIG_UP] = NULL;
	if (cut->start[MIG_UP] != NULL ||
		(cut->start[MIG_DOWN] != NULL && !cut->style->down_may_be_first))
		mig_section_error(cut->script, &cut->line,
						  "A file has one Up, before its Down.");
	begin_section(cut, MIG_UP);
}

/* the way back begins */
static void
begin_down(SectionCut *cut)
{
	if (cut->style->down_may_be_first && cut->first[MIG_UP] == 1 &&
		cut->open == MIG_UP && has_only_comments(cut))
		cut->start[MIG_UP] = NULL;
	if (cut->start[MIG_DOWN] != NULL ||
		(cut->start[MIG_UP] == NULL && !cut->style->down_may_be_first))
		mig_section_error(cut->script, &cut->line,
						  "A file has one Down, after its Up.");
	begin_section(cut, MIG_DOWN);
}

/* StatementBegin, StatementEnd */
static void
note_statement(SectionCut *cut, bool begin)
{
	if (cut->start[MIG_UP] == NULL)
		mig_section_error(cut->script, &cut->line, "It comes before Up.");
	if (begin == cut->in_statement)
		mig_section_error(cut->script, &cut->line,
						  "StatementBegin and StatementEnd do not alternate.");
	cut->in_statement = begin;
}

/* act on the line at hand */
static void
take_line(SectionCut *cut)
{
	MigMark		mark = cut->style->mark(cut->script, &cut->line, cut->source);

	if ((mark == MIG_MARK_UP || mark == MIG_MARK_DOWN) && cut->in_statement)
		mig_section_error(cut->script, &cut->line,
						  "The statement before it has no StatementEnd.");
	switch (mark)
	{
		case MIG_MARK_UP:
			begin_up(cut);
			break;
		case MIG_MARK_DOWN:
			begin_down(cut);
			break;
		case MIG_MARK_STATEMENT_BEGIN:
		case MIG_MARK_STATEMENT_END:
			note_statement(cut, mark == MIG_MARK_STATEMENT_BEGIN);
			break;
		case MIG_MARK_NONE:
		case MIG_MARK_OTHER:
			break;
	}
}

/* the text of a section, or NULL */
static char *
section_text(const SectionCut *cut, MigPart part)
{
	if (cut->start[part] == NULL)
		return NULL;
	return pnstrdup(cut->start[part], cut->end[part] - cut->start[part]);
}

void
mig_section_take(MigSource *source, const MigSourceFile *script,
				 const MigSectionStyle *style)
{
	SectionCut	cut = {0};

	cut.script = script;
	cut.source = source;
	cut.style = style;
	mig_file_line_rewind(&cut.line, script->content);
	if (style->up == NULL)
	{
		cut.start[MIG_UP] = cut.line.next;
		cut.first[MIG_UP] = 1;
	}
	while (mig_file_line_next(&cut.line))
		take_line(&cut);
	cut.end[cut.open] = cut.line.next;

	if (cut.start[MIG_UP] == NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" has no annotation \"%s\"", script->path,
						style->up ? style->up : "Up")));
	if (cut.in_statement)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" ends within a StatementBegin",
						script->path)));
	source->up = section_text(&cut, MIG_UP);
	source->lines[MIG_UP] = cut.first[MIG_UP];
	source->down = section_text(&cut, MIG_DOWN);
	source->lines[MIG_DOWN] = cut.first[MIG_DOWN];
}

MigMark
mig_section_command(const MigSourceFile *script, const MigFileLine *line,
					const char *prefix, const char *no_transaction,
					MigSource *source)
{
	char	   *text = pnstrdup(line->start, line->length);
	char	   *command;
	char	   *option;
	MigMark		mark = MIG_MARK_OTHER;

	/* whatever else has that prefix is passed over by these tools */
	if (strncmp(text, prefix, strlen(prefix)) != 0)
		mig_section_error(script, line,
						  psprintf("Expected \"%sUp\" or the like, at the start of a line.",
								   prefix));
	text += strlen(prefix);
	command = mig_file_line_next_word(&text);
	option = mig_file_line_next_word(&text);
	if (command == NULL)
		command = "";
	if (strcmp(command, "Up") == 0)
		mark = MIG_MARK_UP;
	else if (strcmp(command, "Down") == 0)
		mark = MIG_MARK_DOWN;
	else if (strcmp(command, "StatementBegin") == 0)
		mark = MIG_MARK_STATEMENT_BEGIN;
	else if (strcmp(command, "StatementEnd") == 0)
		mark = MIG_MARK_STATEMENT_END;
	else
		mig_section_error(script, line,
						  "The annotations are Up, Down, StatementBegin and StatementEnd.");
	if (option == NULL)
		return mark;
	if (no_transaction == NULL || mark > MIG_MARK_DOWN ||
		strcmp(option, no_transaction) != 0 ||
		mig_file_line_next_word(&text) != NULL)
		mig_section_error(script, line, no_transaction ?
						  psprintf("Only \"%s\" may follow Up and Down.",
								   no_transaction) :
						  "Nothing may follow it.");
	if (mark == MIG_MARK_UP)
		source->transactional = MIG_TX_OFF;
	return mark;
}
