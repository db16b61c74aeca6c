/*-------------------------------------------------------------------------
 *
 * report_markdown.c
 *	  A report for a comment on a pull request.
 *
 * GitHub's flavour of Markdown.  A comment there may have 65,536 characters.
 * What does not fit is left out from the least important on, and each omission
 * is said: the SQL of a migration first, then all of it but its row in the
 * table at the beginning.
 *
 * Text from the database is either in a fence longer than any in it, or in
 * <code> with all that means something as a character reference.  References
 * cannot start anything in Markdown, and names in code are neither mentions of
 * people nor of issues.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "report_markdown.h"
#include "report_text.h"

/* in characters; the rest is for what a pipeline adds to find its comment */
#define COMMENT_LIMIT	65000

/* room for what says how much was left out */
#define CLOSING_ROOM	200

/* where tables stop, in bytes from the beginning or from the end */
#define ATTENTION_LIMIT	15000
#define OVERVIEW_LIMIT	30000
#define LATEST_LIMIT	5000

#define MAX_ROWS		50		/* of a table */
#define MAX_NAME		100		/* characters of a name */
#define MAX_MESSAGE		500		/* characters of a message */
#define MAX_LINES		300		/* of a body */
#define MAX_BODY		12000	/* bytes of it */

static void
append_character(StringInfo buf, const char *p, int length)
{
	static const char special[] = "\\`*_[]<>#|~$@&";

	if (length > 1 || strchr(special, *p) == NULL)
		appendBinaryStringInfo(buf, p, length);
	else
		appendStringInfo(buf, "&#%d;", *p);
}

/*
 * A text within a line: in <code>, or as prose, where mentions of people and
 * issues have to be taken apart.
 */
static void
append_inline(StringInfo buf, const char *text, int max_length, bool code)
{
	bool		is_utf8 = GetDatabaseEncoding() == PG_UTF8;
	int			shown = 0;
	int			length;

	if (code)
		appendStringInfoString(buf, "<code>");
	for (; *text; text += length)
	{
		unsigned int hidden = mig_hidden_character(text, is_utf8, &length);

		if (shown++ == max_length)
		{
			appendStringInfoString(buf, "&#8230;");
			break;
		}
		if (hidden == '\r' && text[1] == '\n')
			continue;
		if (hidden != 0)
			appendStringInfo(buf, "&#60;U+%04X&#62;", hidden);
		else if (*text == '\n' || *text == '\t')
			appendStringInfoChar(buf, ' ');
		else
		{
			length = pg_mblen(text);
			append_character(buf, text, length);
			if (!code && (*text == '@' || *text == '#' ||
						  strncmp(text, "://", 3) == 0))
				appendStringInfoString(buf, "&#8203;");
		}
	}
	if (code)
		appendStringInfoString(buf, "</code>");
}

static void
append_code(StringInfo buf, const char *text)
{
	append_inline(buf, text, MAX_NAME, true);
}

static void
append_prose(StringInfo buf, const char *text)
{
	append_inline(buf, text, MAX_MESSAGE, false);
}

static void
append_migration(StringInfo buf, const char *version, const char *name)
{
	append_code(buf, version);
	if (name != NULL && name[0] != '\0')
	{
		appendStringInfoChar(buf, ' ');
		append_inline(buf, name, MAX_NAME, false);
	}
}

/* the beginning of a body that is shown: whole lines, if that is possible */
static int
shown_length(const char *text)
{
	int			end = 0;
	int			lines = 0;
	int			i;

	for (i = 0; text[i] != '\0' && i < MAX_BODY && lines < MAX_LINES; i++)
	{
		if (text[i] == '\n')
		{
			end = i + 1;
			lines++;
		}
	}
	if (text[i] == '\0')
		return i;
	return end > 0 ? end : pg_mbcliplen(text, strlen(text), MAX_BODY);
}

static int
longest_run_of_backticks(const char *text, int length)
{
	int			longest = 0;
	int			run = 0;
	int			i;

	for (i = 0; i < length; i++)
	{
		run = text[i] == '`' ? run + 1 : 0;
		longest = Max(longest, run);
	}
	return longest;
}

static void
append_fence(StringInfo buf, int length)
{
	while (length-- > 0)
		appendStringInfoChar(buf, '`');
}

/* SQL as a block of code, of which nothing can be outside */
static void
append_block(StringInfo buf, const char *text, int length)
{
	bool		is_utf8 = GetDatabaseEncoding() == PG_UTF8;
	int			fence = Max(3, longest_run_of_backticks(text, length) + 1);
	const char *end = text + length;
	int			step;

	append_fence(buf, fence);
	appendStringInfoString(buf, "sql\n");
	for (; text < end; text += step)
	{
		unsigned int hidden = mig_hidden_character(text, is_utf8, &step);

		if (hidden == '\r' && text + 1 < end && text[1] == '\n')
			continue;
		if (hidden != 0)
			appendStringInfo(buf, "<U+%04X>", hidden);
		else
			appendStringInfoChar(buf, *text);
	}
	if (buf->data[buf->len - 1] != '\n')
		appendStringInfoChar(buf, '\n');
	append_fence(buf, fence);
	appendStringInfoChar(buf, '\n');
}

static void
append_body(StringInfo buf, const char *title, const MigReportBody *body)
{
	int			length;
	int			lines = 0;
	int			i;

	if (body->text == NULL)
		return;
	length = shown_length(body->text);
	for (i = 0; i < length; i++)
		lines += body->text[i] == '\n';
	appendStringInfo(buf, "\n<details><summary>%s (%s)</summary>\n\n", title,
					 mig_show_many(body->lines, "line", "lines"));
	append_block(buf, body->text, length);
	if (length < body->bytes && lines > 0)
		appendStringInfo(buf, "\n%s more.\n",
						 mig_show_many(body->lines - lines, "line", "lines"));
	else if (length < body->bytes)
		appendStringInfo(buf, "\n%s more.\n",
						 mig_show_bytes(body->bytes - length));
	appendStringInfoString(buf, "\n</details>\n");
}

static void
append_title(StringInfo buf, const MigReport *report)
{
	appendStringInfoString(buf, "## Migrations of ");
	append_code(buf, report->database);
	if (strcmp(report->project, "default") != 0)
	{
		appendStringInfoString(buf, ", project ");
		append_code(buf, report->project);
	}
	appendStringInfo(buf, "\n\n**%s pending**",
					 mig_show_count(report->nsteps));
	if (report->target != NULL)
	{
		appendStringInfoString(buf, " up to ");
		append_code(buf, report->target);
	}
	appendStringInfo(buf, " &middot; %s applied",
					 mig_show_count(report->applied));
	if (report->newest != NULL)
	{
		appendStringInfoString(buf, ", newest ");
		append_code(buf, report->newest);
	}
	appendStringInfoString(buf, "\n");
}

/* why something is failed, held, ... */
static void
append_reason(StringInfo buf, const MigReportEntry *entry)
{
	if (entry->held_reason != NULL)
		append_prose(buf, entry->held_reason);
	else if (strcmp(entry->state, "changed") == 0)
		appendStringInfoString(buf, "the stored text is not the one that was applied");
	else if (strcmp(entry->state, "missing") == 0)
		appendStringInfoString(buf, "applied, but its text is not stored any more");
	else if (strcmp(entry->state, "partial") == 0 && entry->error == NULL)
		appendStringInfoString(buf, "some of its transactions are done");
	if (entry->error == NULL)
		return;
	if (entry->held_reason != NULL)
		appendStringInfoString(buf, "; ");
	if (entry->sqlstate != NULL)
		appendStringInfo(buf, "%s: ", entry->sqlstate);
	append_prose(buf, entry->error);
	if (entry->line > 0)
		appendStringInfo(buf, " (line %d)", entry->line);
}

static void
append_more_row(StringInfo buf, int count, int columns)
{
	if (count <= 0)
		return;
	appendStringInfo(buf, "| %s more |", mig_show_count(count));
	while (--columns > 0)
		appendStringInfoString(buf, " |");
	appendStringInfoChar(buf, '\n');
}

static void
append_attention(StringInfo buf, const MigReport *report)
{
	int			i;

	if (report->nattention == 0)
		return;
	appendStringInfoString(buf, "\n| migration | state | why |\n|---|---|---|\n");
	for (i = 0; i < Min(report->nattention, MAX_ROWS) &&
		 buf->len < ATTENTION_LIMIT; i++)
	{
		const MigReportEntry *entry = report->attention[i];

		appendStringInfoString(buf, "| ");
		append_migration(buf, entry->version, entry->name);
		appendStringInfo(buf, " | :warning: %s | ", entry->state);
		append_reason(buf, entry);
		appendStringInfoString(buf, " |\n");
	}
	append_more_row(buf, report->nattention - i, 3);
}

static void
append_error(StringInfo buf, const char *title, const MigReportError *error)
{
	if (error == NULL)
		return;
	appendStringInfo(buf, "\n> :x: **%s** %s: ", title, error->sqlstate);
	append_prose(buf, error->message);
	if (error->detail != NULL)
	{
		appendStringInfoString(buf, "<br>");
		append_prose(buf, error->detail);
	}
	if (error->hint != NULL)
	{
		appendStringInfoString(buf, "<br>");
		append_prose(buf, error->hint);
	}
	appendStringInfoChar(buf, '\n');
}

static void
append_overview(StringInfo buf, const MigReport *report)
{
	int			i;

	if (report->nsteps == 0)
		return;
	appendStringInfoString(buf, "\n| | migration | transaction |\n|---:|---|---|\n");
	for (i = 0; i < Min(report->nsteps, MAX_ROWS) &&
		 buf->len < OVERVIEW_LIMIT; i++)
	{
		const MigReportStep *step = &report->steps[i];

		appendStringInfo(buf, "| %d | ", step->step);
		append_migration(buf, step->version, step->name);
		appendStringInfo(buf, " | %s |\n", report->plan_error != NULL ? "" :
						 step->own_transaction ? "several" : "one");
	}
	append_more_row(buf, report->nsteps - i, 3);
}

/* everything about a pending migration; NULL if there is nothing */
static char *
render_step(const MigReport *report, const MigReportStep *step, bool bodies)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "\n### ");
	append_migration(&buf, step->version, step->name);
	appendStringInfoString(&buf, "\n");
	if (step->path != NULL)
	{
		appendStringInfoString(&buf, "\n");
		append_code(&buf, step->path);
		appendStringInfoString(&buf, "\n");
	}
	if (step->own_transaction)
	{
		appendStringInfoString(&buf, "\nRuns in several transactions: ");
		append_prose(&buf, step->reason);
		appendStringInfoString(&buf, ".\n");
	}
	if (bodies)
	{
		append_body(&buf, "SQL", &step->up);
		append_body(&buf, "SQL of the way back", &step->down);
	}
	else if (report->bodies_shown)
		appendStringInfo(&buf, "\nSQL: %s, left out here.\n",
						 mig_show_many(step->up.lines, "line", "lines"));
	return buf.data;
}

/*
 * Each migration with its SQL where that leaves room for what there is to say
 * about all others, without it where not, as long as there is room at all.
 */
static void
append_steps(StringInfo buf, const MigReport *report, int room)
{
	char	  **brief = palloc(sizeof(char *) * Max(report->nsteps, 1));
	int			later = 0;
	int			i;

	for (i = 0; i < report->nsteps; i++)
	{
		brief[i] = render_step(report, &report->steps[i], false);
		later += pg_mbstrlen(brief[i]);
		if (later > COMMENT_LIMIT)
			break;
	}
	for (i = 0; i < report->nsteps; i++)
	{
		char	   *full = render_step(report, &report->steps[i], true);

		if (later <= COMMENT_LIMIT)
			later -= pg_mbstrlen(brief[i]);
		if (pg_mbstrlen(full) + later > room)
			full = brief[i];
		if (pg_mbstrlen(full) > room)
			break;
		appendStringInfoString(buf, full);
		room -= pg_mbstrlen(full);
	}
	if (i < report->nsteps)
		appendStringInfo(buf, "\n**%s more**, which have no room in a comment.\n",
						 mig_show_many(report->nsteps - i, "migration",
									   "migrations"));
}

static void
append_latest(StringInfo buf, const MigReport *report)
{
	int			i;

	if (report->nlatest == 0)
		return;
	appendStringInfoString(buf, "\n<details><summary>Applied last</summary>\n\n"
						   "| migration | when | who | how long |\n|---|---|---|---:|\n");
	for (i = 0; i < report->nlatest && buf->len < LATEST_LIMIT; i++)
	{
		const MigReportEntry *entry = report->latest[i];

		appendStringInfoString(buf, "| ");
		append_migration(buf, entry->version, entry->name);
		appendStringInfo(buf, " | %s | ", mig_show_time(entry->applied_at));
		append_code(buf, entry->applied_by);
		appendStringInfo(buf, " | %s |\n",
						 strcmp(entry->how, "apply") == 0 ?
						 mig_show_ms(entry->execution_ms) : entry->how);
	}
	append_more_row(buf, report->applied - i, 4);
	appendStringInfoString(buf, "\n</details>\n");
}

static void
append_footer(StringInfo buf, const MigReport *report)
{
	appendStringInfo(buf, "\n<sub>%s as ", mig_show_time(report->made_at));
	append_code(buf, report->role);
	appendStringInfoString(buf, ", PostgreSQL ");
	append_inline(buf, report->server_version, MAX_NAME, false);
	appendStringInfo(buf, ", migrate %s</sub>\n", report->extension_version);
}

char *
mig_report_markdown(const MigReport *report)
{
	StringInfoData buf;
	StringInfoData end;

	initStringInfo(&buf);
	append_title(&buf, report);
	append_attention(&buf, report);
	append_error(&buf, "A run would be refused.", report->plan_error);
	append_overview(&buf, report);
	if (!report->bodies_shown && report->nsteps > 0)
	{
		appendStringInfoString(&buf, "\nThe SQL is not shown: role ");
		append_code(&buf, report->role);
		appendStringInfoString(&buf, " may not read it.\n");
	}
	initStringInfo(&end);
	append_latest(&end, report);
	append_footer(&end, report);
	append_steps(&buf, report,
				 COMMENT_LIMIT - CLOSING_ROOM - pg_mbstrlen(buf.data) -
				 pg_mbstrlen(end.data));
	appendStringInfoString(&buf, end.data);
	return buf.data;
}
