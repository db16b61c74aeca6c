/*-------------------------------------------------------------------------
 *
 * markdown.c
 *	  A report for a comment on a pull request.
 *
 * GitHub's flavor of Markdown.  A comment there may have 65,536 characters.
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

#include "base/printable.h"
#include "report/markdown.h"
#include "report/text.h"

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

/*
 * Escaped, so that the text of a database can neither format nor link nor
 * mention anybody.
 */
static void
append_character(StringInfo buf, const char *p, int length)
{
	static const char special[] = "\\`*_[]<>#|~$@&";

	/* "://" would make a link */
	if (length == 1 && (strchr(special, *p) != NULL ||
						(*p == ':' && p[1] == '/')))
		appendStringInfo(buf, "&#%d;", *p);
	else
		appendBinaryStringInfo(buf, p, length);
}

/*
 * A text within a line: in <code>, or as prose, where mentions of people and
 * issues have to be taken apart.
 */
static void
append_inline(StringInfo buf, const char *text, int max_length, bool code)
{
	int			encoding = GetDatabaseEncoding();
	int			shown = 0;
	int			length;

	if (code)
		appendStringInfoString(buf, "<code>");
	for (; *text; text += length)
	{
		unsigned int hidden = mig_report_text_hidden_character(text, encoding,
															   &length);

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
			append_character(buf, text, length);
			if (!code && (*text == '@' || *text == '#'))
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

/* a fence has to be longer */
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
	int			encoding = GetDatabaseEncoding();
	int			fence = Max(3, longest_run_of_backticks(text, length) + 1);
	const char *end = text + length;
	int			step;

	append_fence(buf, fence);
	appendStringInfoString(buf, "sql\n");
	for (; text < end; text += step)
	{
		unsigned int hidden = mig_report_text_hidden_character(text, encoding,
															   &step);

		if (hidden == '\r' && text + 1 < end && text[1] == '\n')
			continue;
		if (hidden != 0)
			appendStringInfo(buf, "<U+%04X>", hidden);
		else
			appendBinaryStringInfo(buf, text, step);
	}
	if (buf->data[buf->len - 1] != '\n')
		appendStringInfoChar(buf, '\n');
	append_fence(buf, fence);
	appendStringInfoChar(buf, '\n');
}

/*
 * Folded, and cut off where it is long; nothing if the text may not be read or
 * there is none.
 */
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
					 mig_report_text_many(body->lines, "line", "lines"));
	append_block(buf, body->text, length);
	if (length < body->bytes && lines > 0)
		appendStringInfo(buf, "\n%s more.\n",
						 mig_report_text_many(body->lines - lines, "line",
											  "lines"));
	else if (length < body->bytes)
		appendStringInfo(buf, "\n%s more.\n",
						 mig_report_text_bytes(body->bytes - length));
	appendStringInfoString(buf, "\n</details>\n");
}

/* the first thing that the comment says */
static void
append_verdict(StringInfo buf, const MigReport *report)
{
	bool		is_good = mig_report_is_good(report);

	appendStringInfo(buf, "\n\n%s ", is_good ? ":white_check_mark:" : ":x:");
	append_inline(buf, report->verdict_text, MAX_MESSAGE, false);
	appendStringInfoChar(buf, '\n');
	if (report->verdict == MIG_VERDICT_FAILS &&
		report->failed->failed->hint != NULL)
	{
		appendStringInfoString(buf, "<br>");
		append_prose(buf, report->failed->failed->hint);
		appendStringInfoChar(buf, '\n');
	}
}

/* the heading, the verdict and the counts */
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
	append_verdict(buf, report);
	appendStringInfo(buf, "\n**%s pending**",
					 mig_report_text_count(report->nsteps));
	if (report->target != NULL)
	{
		appendStringInfoString(buf, " up to ");
		append_code(buf, report->target);
	}
	appendStringInfo(buf, " &middot; %s applied",
					 mig_report_text_count(report->applied));
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
		appendStringInfoString(buf, "a run started it and did not finish it");
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
	appendStringInfo(buf, "| %s more |", mig_report_text_count(count));
	while (--columns > 0)
		appendStringInfoString(buf, " |");
	appendStringInfoChar(buf, '\n');
}

/* a table; rows that do not fit are counted */
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

/* nothing if there is no error */
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

/* as words; zeros are left out */
static void
append_counts(StringInfo buf, const MigReportCounts *counts)
{
	const char *separator = "";

	if (counts->errors + counts->warnings + counts->notes == 0)
		appendStringInfoString(buf, ":white_check_mark: nothing found");
	if (counts->errors > 0)
	{
		appendStringInfo(buf, ":x: %s",
						 mig_report_text_many(counts->errors, "error",
											  "errors"));
		separator = ", ";
	}
	if (counts->warnings > 0)
	{
		appendStringInfo(buf, "%s:warning: %s", separator,
						 mig_report_text_many(counts->warnings, "warning",
											  "warnings"));
		separator = ", ";
	}
	if (counts->notes > 0)
		appendStringInfo(buf, "%s%s", separator,
						 mig_report_text_many(counts->notes, "note", "notes"));
}

static void
append_relation(StringInfo buf, const char *relation, int64 bytes, double rows)
{
	const char *size = mig_report_text_size(bytes, rows);

	append_code(buf, relation);
	if (size != NULL)
		appendStringInfo(buf, " (%s)", size);
}

/* "001_a.sql:9: " of a rehearsal that failed */
static void
append_failed_place(StringInfo buf, const MigReportStep *step)
{
	char	   *place = mig_report_place(step, step->failed->part,
										 step->failed->line);

	if (place == NULL)
		return;
	append_inline(buf, place, MAX_NAME, false);
	appendStringInfoString(buf, ": ");
}

/* how the rehearsal of a migration went, in a few words */
static void
append_outcome(StringInfo buf, const MigReportStep *step)
{
	if (step->failed != NULL)
	{
		appendStringInfoString(buf, ":x: fails, ");
		append_failed_place(buf, step);
		appendStringInfo(buf, "%s: ", step->failed->sqlstate);
		append_prose(buf, step->failed->message);
		return;
	}
	if (step->skipped >= step->nstatements)
	{
		appendStringInfoString(buf, "not run");
		return;
	}
	appendStringInfoString(buf, mig_report_text_ms(step->execution_ms));
	if (step->skipped > 0)
		appendStringInfo(buf, ", %s not run",
						 mig_report_text_count(step->skipped));
	if (step->worst == NULL)
		return;
	appendStringInfo(buf, "; %s on ", step->worst->mode);
	append_relation(buf, step->worst->relation, step->worst->bytes,
					step->worst->rows);
	appendStringInfo(buf, " for %s", mig_report_text_ms(step->worst_ms));
}

/* the columns depend on what could be linted and rehearsed */
static void
append_overview_row(StringInfo buf, const MigReport *report,
					const MigReportStep *step)
{
	appendStringInfo(buf, "| %d | ", step->step);
	append_migration(buf, step->version, step->name);
	appendStringInfoString(buf, " | ");
	if (report->plan_error == NULL && report->lint_error == NULL)
		append_counts(buf, &step->counts);
	appendStringInfoString(buf, " |");
	if (report->rehearsed)
	{
		appendStringInfoChar(buf, ' ');
		append_outcome(buf, step);
		appendStringInfoString(buf, " |");
	}
	appendStringInfoChar(buf, '\n');
}

/* what fails is there in any case */
static void
append_overview(StringInfo buf, const MigReport *report)
{
	int			columns = report->rehearsed ? 4 : 3;
	int			i;

	if (report->nsteps == 0)
		return;
	appendStringInfo(buf, "\n| | migration | lint |%s\n|---:|---|---|%s\n",
					 report->rehearsed ? " rehearsal |" : "",
					 report->rehearsed ? "---|" : "");
	for (i = 0; i < Min(report->nsteps, MAX_ROWS) &&
		 buf->len < OVERVIEW_LIMIT; i++)
		append_overview_row(buf, report, &report->steps[i]);
	if (report->failed != NULL && report->failed->step > i)
	{
		append_more_row(buf, report->failed->step - i - 1, columns);
		append_overview_row(buf, report, report->failed);
		i = report->failed->step;
	}
	append_more_row(buf, report->nsteps - i, columns);
}

static bool
is_about_down(const MigReportFinding *finding)
{
	return finding->part != NULL && strcmp(finding->part, "down") == 0;
}

static const char *
sign_of(const char *severity)
{
	if (strcmp(severity, "error") == 0)
		return ":x:";
	return strcmp(severity, "warning") == 0 ? ":warning:" :
		":information_source:";
}

/* with the safe way as a code block if it is SQL */
static void
append_finding(StringInfo buf, const MigReportStep *step,
			   const MigReportFinding *finding)
{
	char	   *place = mig_report_place(step, finding->part, finding->line);

	appendStringInfo(buf, "\n%s **%s** ", sign_of(finding->severity),
					 finding->severity);
	append_code(buf, finding->rule);
	if (place != NULL)
	{
		appendStringInfoString(buf, ", ");
		append_inline(buf, place, MAX_NAME, false);
	}
	appendStringInfoString(buf, ": ");
	append_prose(buf, finding->message);
	appendStringInfoChar(buf, '\n');
	if (finding->instead == NULL)
		return;

	/* SQL with comments, or a sentence */
	if (strchr(finding->instead, ';') != NULL)
	{
		appendStringInfoString(buf, "\n**Instead:**\n\n");
		append_block(buf, finding->instead, strlen(finding->instead));
		return;
	}
	appendStringInfoString(buf, "<br>**Instead:** ");
	append_prose(buf, finding->instead);
	appendStringInfoChar(buf, '\n');
}

/* those about the down body, or all others, folded away */
static void
append_findings(StringInfo buf, const MigReportStep *step, bool down)
{
	MigReportCounts counts = {0, 0, 0};
	int			shown = 0;
	int			count = 0;
	ListCell   *lc;

	foreach(lc, step->findings)
	{
		const MigReportFinding *finding = lfirst(lc);

		if (is_about_down(finding) == down)
		{
			mig_report_count(&counts, finding->severity);
			count++;
		}
	}
	if (count == 0)
		return;
	appendStringInfo(buf, "\n<details><summary>%s: ",
					 down ? "Findings in the down body" : "Findings");
	append_counts(buf, &counts);
	appendStringInfoString(buf, "</summary>\n");
	foreach(lc, step->findings)
	{
		const MigReportFinding *finding = lfirst(lc);

		if (is_about_down(finding) != down)
			continue;
		if (shown++ == MAX_ROWS)
			break;
		append_finding(buf, step, finding);
	}
	if (count > MAX_ROWS)
		appendStringInfo(buf, "\n%s more.\n",
						 mig_report_text_count(count - MAX_ROWS));
	appendStringInfoString(buf, "\n</details>\n");
}

static void
append_named(StringInfo buf, const char *what, const char *names)
{
	if (names == NULL)
		return;
	appendStringInfo(buf, "<br>%s ", what);
	append_code(buf, names);
}

/* what a statement did, for the last column */
static void
append_effects(StringInfo buf, const MigReportStatement *statement)
{
	int			i;

	if (statement->skipped != NULL)
	{
		appendStringInfoString(buf, "not run: ");
		append_prose(buf, statement->skipped);
		return;
	}
	if (statement->sqlstate != NULL)
	{
		appendStringInfo(buf, ":x: **%s**: ", statement->sqlstate);
		append_prose(buf, statement->message);
		return;
	}
	if (statement->row_count > 0)
		appendStringInfo(buf, "%s, ",
						 mig_report_text_many(statement->row_count, "row",
											  "rows"));
	appendStringInfo(buf, "%s of WAL",
					 mig_report_text_bytes(statement->wal_bytes));
	for (i = 0; i < statement->nlocks; i++)
	{
		const MigReportLock *lock = &statement->locks[i];

		if (mig_report_strength(lock) == 0 || strcmp(lock->kind, "index") == 0)
			continue;
		appendStringInfo(buf, "<br>locks: %s on ", lock->mode);
		append_relation(buf, lock->relation, lock->bytes, lock->rows);
	}
	append_named(buf, "rewrites:", statement->rewritten);
	append_named(buf, "truncates:", statement->truncated);
	append_named(buf, "drops:", statement->dropped);
	for (i = 0; i < statement->nscans; i++)
	{
		appendStringInfoString(buf, "<br>reads all of ");
		append_code(buf, statement->scans[i].relation);
	}
}

/* folded, as a table of statements; nothing if there are none */
static void
append_rehearsal(StringInfo buf, const MigReportStep *step)
{
	int			i;

	if (step->nstatements == 0)
		return;
	appendStringInfoString(buf, "\n<details><summary>Rehearsal: ");
	if (step->failed != NULL)
		appendStringInfoString(buf, "fails");
	else if (step->skipped >= step->nstatements)
		appendStringInfoString(buf, "not run");
	else
		appendStringInfoString(buf, mig_report_text_ms(step->execution_ms));
	appendStringInfoString(buf, "</summary>\n\n| line | statement | time | effects |\n|---:|---|---:|---|\n");
	for (i = 0; i < Min(step->nstatements, MAX_ROWS); i++)
	{
		const MigReportStatement *statement = &step->statements[i];

		appendStringInfoString(buf, "| ");
		if (statement->line > 0)
			appendStringInfo(buf, "%d", statement->line);
		appendStringInfoString(buf, " | ");
		if (statement->tag != NULL)
			append_inline(buf, statement->tag, MAX_NAME, false);
		appendStringInfo(buf, " | %s | ", statement->skipped != NULL ? "" :
						 mig_report_text_ms(statement->execution_ms));
		append_effects(buf, statement);
		appendStringInfoString(buf, " |\n");
	}
	append_more_row(buf, step->nstatements - i, 4);
	appendStringInfoString(buf, "\n</details>\n");
}

/* everything about a pending migration */
static char *
render_step(const MigReport *report, const MigReportStep *step, bool bodies)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "\n### ");
	append_migration(&buf, step->version, step->name);
	appendStringInfoString(&buf, "\n");
	if (step->up.path != NULL)
	{
		appendStringInfoString(&buf, "\n");
		append_code(&buf, step->up.path);
		appendStringInfoString(&buf, "\n");
	}
	if (step->own_transaction)
	{
		appendStringInfoString(&buf, "\nRuns in several transactions: ");
		append_prose(&buf, step->reason);
		appendStringInfoString(&buf, ".\n");
	}
	append_findings(&buf, step, false);
	append_findings(&buf, step, true);
	append_rehearsal(&buf, step);
	if (bodies)
	{
		append_body(&buf, "SQL", &step->up);
		append_body(&buf, "SQL of the down body", &step->down);
	}
	else if (report->bodies_shown)
		appendStringInfo(&buf, "\nSQL: %s, left out here.\n",
						 mig_report_text_many(step->up.lines, "line",
											  "lines"));
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
		appendStringInfo(buf, "\n**%s more**, which do not fit into a comment.\n",
						 mig_report_text_many(report->nsteps - i, "migration",
											  "migrations"));
}

/* the newest applications, folded; the size of the comment bounds them */
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
		appendStringInfo(buf, " | %s | ",
						 mig_report_text_time(entry->applied_at));
		append_code(buf, entry->applied_by);
		appendStringInfo(buf, " | %s |\n",
						 strcmp(entry->origin, "apply") == 0 ?
						 mig_report_text_ms(entry->execution_ms) : entry->origin);
	}
	append_more_row(buf, report->applied - i, 4);
	appendStringInfoString(buf, "\n</details>\n");
}

static void
append_footer(StringInfo buf, const MigReport *report)
{
	appendStringInfo(buf, "\n<sub>%s as ",
					 mig_report_text_time(report->made_at));
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
	append_error(&buf, "Nothing was linted.", report->lint_error);
	append_error(&buf, "Nothing was rehearsed.", report->rehearsal_error);
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
