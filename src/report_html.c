/*-------------------------------------------------------------------------
 *
 * report_html.c
 *	  A report as one HTML page.
 *
 * The page has everything that it needs, no script, and a policy that forbids
 * the browser to load or to run anything.  All text from the database goes
 * through mig_html_text().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report_escape.h"
#include "report_html.h"
#include "report_style.h"
#include "report_text.h"

/* of a body that is shown */
#define MAX_LINES	2000

/* of a body that is not folded away */
#define OPEN_LINES	30

static void
append_tagged(StringInfo buf, const char *tag, const char *text)
{
	appendStringInfo(buf, "<%s>", tag);
	mig_html_text(buf, text);
	appendStringInfo(buf, "</%s>", tag);
}

static void
append_migration(StringInfo buf, const char *version, const char *name)
{
	append_tagged(buf, "code", version);
	if (name != NULL && name[0] != '\0')
	{
		appendStringInfoChar(buf, ' ');
		append_tagged(buf, "bdi", name);
	}
}

static void
append_head(StringInfo buf, const MigReport *report)
{
	appendStringInfoString(buf, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
						   "<meta charset=\"utf-8\">\n"
						   "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
						   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
						   "<meta name=\"color-scheme\" content=\"light dark\">\n"
						   "<title>Migrations of ");
	mig_html_attribute(buf, report->database);
	appendStringInfo(buf, "</title>\n<style>\n%s</style>\n</head>\n<body>\n",
					 mig_report_style);
}

static void
append_fact(StringInfo buf, const char *class, const char *value,
			const char *what)
{
	appendStringInfo(buf, "<li class=\"%s\"><b>%s</b>%s</li>\n", class, value,
					 what);
}

static void
append_facts(StringInfo buf, const MigReport *report)
{
	appendStringInfoString(buf, "<ul class=\"facts\">\n");
	append_fact(buf, "", mig_show_count(report->nsteps), "pending");
	appendStringInfo(buf, "<li><b>%s</b>applied",
					 mig_show_count(report->applied));
	if (report->newest != NULL)
	{
		appendStringInfoString(buf, ", newest ");
		append_tagged(buf, "code", report->newest);
	}
	appendStringInfoString(buf, "</li>\n");
	if (report->nattention > 0)
		append_fact(buf, "warning",
					psprintf("&#9650; %s", mig_show_count(report->nattention)),
					report->nattention == 1 ? "needs a look" : "need a look");
	appendStringInfoString(buf, "</ul>\n");
}

static void
append_title(StringInfo buf, const MigReport *report)
{
	appendStringInfoString(buf, "<header>\n<p class=\"kicker\">Project ");
	append_tagged(buf, "bdi", report->project);
	if (report->target != NULL)
	{
		appendStringInfoString(buf, ", up to ");
		append_tagged(buf, "code", report->target);
	}
	appendStringInfo(buf, " &middot; %s</p>\n<h1>Migrations of ",
					 mig_show_time(report->made_at));
	append_tagged(buf, "bdi", report->database);
	appendStringInfoString(buf, "</h1>\n");
	append_facts(buf, report);
	appendStringInfoString(buf, "</header>\n");
}

/* what a class of severity looks like; the words are the caller's */
static const char *
sign_of(const char *class)
{
	if (strcmp(class, "error") == 0)
		return "&#10006;";
	return strcmp(class, "warning") == 0 ? "&#9650;" : "&#9679;";
}

static void
append_error(StringInfo buf, const char *title, const MigReportError *error)
{
	if (error == NULL)
		return;
	appendStringInfo(buf, "<div class=\"boxed error\"><p class=\"head\"><b>%s %s</b> <code>%s</code></p>\n<p>",
					 sign_of("error"), title, error->sqlstate);
	mig_html_text(buf, error->message);
	if (error->detail != NULL)
	{
		appendStringInfoString(buf, "</p>\n<p>");
		mig_html_text(buf, error->detail);
	}
	if (error->hint != NULL)
	{
		appendStringInfoString(buf, "</p>\n<p class=\"soft\">");
		mig_html_text(buf, error->hint);
	}
	appendStringInfoString(buf, "</p></div>\n");
}

static void
append_failure(StringInfo buf, const MigReportEntry *entry)
{
	appendStringInfoString(buf, "<p>");
	if (entry->sqlstate != NULL)
	{
		append_tagged(buf, "code", entry->sqlstate);
		appendStringInfoString(buf, ": ");
	}
	append_tagged(buf, "bdi", entry->error);
	if (entry->statement > 0)
		appendStringInfo(buf, " (statement %d, line %d)", entry->statement,
						 entry->line);
	appendStringInfoString(buf, "</p>\n");
	if (entry->hint != NULL)
		append_tagged(buf, "p", entry->hint);
	if (entry->failed_at == NULL)
		return;
	appendStringInfo(buf, "<p class=\"soft small\">%s, as ",
					 mig_show_time(entry->failed_at));
	append_tagged(buf, "bdi", entry->failed_by);
	appendStringInfoString(buf, "</p>\n");
}

static void
append_attention(StringInfo buf, const MigReport *report)
{
	int			i;

	if (report->nattention == 0)
		return;
	appendStringInfoString(buf, "<section>\n<h2>Needs a look</h2>\n");
	for (i = 0; i < report->nattention; i++)
	{
		const MigReportEntry *entry = report->attention[i];
		const char *class = strcmp(entry->state, "held") == 0 ? "note" :
			strcmp(entry->state, "failed") == 0 ? "error" : "warning";

		appendStringInfo(buf, "<div class=\"boxed %s\"><p class=\"head\"><b>%s %s</b></p>\n<p>",
						 class, sign_of(class), entry->state);
		append_migration(buf, entry->version, entry->name);
		appendStringInfoString(buf, "</p>\n");
		if (entry->held_reason != NULL)
			append_tagged(buf, "p", entry->held_reason);
		else if (strcmp(entry->state, "changed") == 0)
			append_tagged(buf, "p", "The stored text is not the one that was applied.");
		else if (strcmp(entry->state, "missing") == 0)
			append_tagged(buf, "p", "Applied, but its text is not stored any more.");
		else if (strcmp(entry->state, "partial") == 0)
			append_tagged(buf, "p", "Some of its transactions are done; the next run goes on from there.");
		if (entry->error != NULL)
			append_failure(buf, entry);
		appendStringInfoString(buf, "</div>\n");
	}
	appendStringInfoString(buf, "</section>\n");
}

static void
append_body(StringInfo buf, const char *title, const char *prefix,
			const MigReportBody *body, bool open)
{
	if (body->text == NULL)
		return;
	appendStringInfo(buf, "<details%s><summary>%s, %s</summary>\n<pre class=\"sql\" dir=\"ltr\">",
					 open ? " open" : "", title,
					 mig_show_many(body->lines, "line", "lines"));
	mig_html_lines(buf, body->text, prefix, MAX_LINES, NULL, NULL);
	appendStringInfoString(buf, "</pre>\n");
	if (body->lines > MAX_LINES)
		appendStringInfo(buf, "<p class=\"soft\">%s more</p>\n",
						 mig_show_many(body->lines - MAX_LINES, "line",
									   "lines"));
	else if (strlen(body->text) < body->bytes)
		appendStringInfo(buf, "<p class=\"soft\">%s more</p>\n",
						 mig_show_bytes(body->bytes - strlen(body->text)));
	appendStringInfoString(buf, "</details>\n");
}

/* path, author, transaction */
static void
append_about(StringInfo buf, const MigReport *report,
			 const MigReportStep *step)
{
	appendStringInfoString(buf, "<p class=\"soft small\">");
	if (step->path != NULL)
	{
		append_tagged(buf, "code", step->path);
		appendStringInfoString(buf, " &middot; ");
	}
	if (step->added_by != NULL)
	{
		appendStringInfoString(buf, "stored by ");
		append_tagged(buf, "bdi", step->added_by);
		appendStringInfoString(buf, " &middot; ");
	}
	appendStringInfoString(buf, step->own_transaction ?
						   "several transactions: " : "one transaction");
	if (step->own_transaction)
		mig_html_text(buf, step->reason);
	if (report->plan_error == NULL && !step->has_down)
		appendStringInfoString(buf, step->irreversible ?
							   " &middot; irreversible" :
							   " &middot; no way back");
	appendStringInfoString(buf, "</p>\n");
}

static void
append_step(StringInfo buf, const MigReport *report, const MigReportStep *step)
{
	appendStringInfo(buf, "<article class=\"card\" id=\"m%d\">\n<h3><span class=\"number\">%d</span>",
					 step->step, step->step);
	append_migration(buf, step->version, step->name);
	appendStringInfoString(buf, "</h3>\n");
	append_about(buf, report, step);
	append_body(buf, "SQL", psprintf("up%d", step->step), &step->up,
				step->up.lines <= OPEN_LINES);
	append_body(buf, "The way back", psprintf("down%d", step->step),
				&step->down, false);
	appendStringInfoString(buf, "</article>\n");
}

static void
append_pending(StringInfo buf, const MigReport *report)
{
	int			i;

	appendStringInfoString(buf, "<section>\n<h2>Pending</h2>\n");
	append_error(buf, "A run would be refused", report->plan_error);
	if (report->nsteps == 0)
		appendStringInfoString(buf, "<p class=\"card good\">&#10004; Nothing is pending.</p>\n");
	else if (!report->bodies_shown)
	{
		appendStringInfoString(buf, "<p class=\"soft\">The SQL is not shown: role ");
		append_tagged(buf, "bdi", report->role);
		appendStringInfoString(buf, " may not read it.</p>\n");
	}
	for (i = 0; i < report->nsteps; i++)
		append_step(buf, report, &report->steps[i]);
	appendStringInfoString(buf, "</section>\n");
}

static void
append_latest(StringInfo buf, const MigReport *report)
{
	int			i;

	if (report->nlatest == 0)
		return;
	appendStringInfoString(buf, "<section>\n<h2>Applied last</h2>\n<div class=\"card scroll\" tabindex=\"0\"><table>\n"
						   "<thead><tr><th>migration</th><th>when</th><th>who</th><th class=\"right\">how long</th></tr></thead>\n<tbody>\n");
	for (i = 0; i < report->nlatest; i++)
	{
		const MigReportEntry *entry = report->latest[i];

		appendStringInfoString(buf, "<tr><td>");
		append_migration(buf, entry->version, entry->name);
		appendStringInfo(buf, "</td><td>%s</td><td>",
						 mig_show_time(entry->applied_at));
		append_tagged(buf, "bdi", entry->applied_by);
		appendStringInfo(buf, "</td><td class=\"right\">%s</td></tr>\n",
						 strcmp(entry->how, "apply") == 0 ?
						 mig_show_ms(entry->execution_ms) : entry->how);
	}
	appendStringInfoString(buf, "</tbody>\n</table>\n");
	if (report->applied > report->nlatest)
		appendStringInfo(buf, "<p class=\"soft small\">%s more</p>\n",
						 mig_show_count(report->applied - report->nlatest));
	appendStringInfoString(buf, "</div>\n</section>\n");
}

static void
append_footer(StringInfo buf, const MigReport *report)
{
	appendStringInfo(buf, "<footer>Made %s as ",
					 mig_show_time(report->made_at));
	append_tagged(buf, "bdi", report->role);
	appendStringInfoString(buf, " by migrate ");
	mig_html_text(buf, report->extension_version);
	appendStringInfoString(buf, " in PostgreSQL ");
	mig_html_text(buf, report->server_version);
	appendStringInfoString(buf, "</footer>\n</body>\n</html>\n");
}

char *
mig_report_html(const MigReport *report)
{
	StringInfoData buf;

	initStringInfo(&buf);
	append_head(&buf, report);
	append_title(&buf, report);
	append_attention(&buf, report);
	append_pending(&buf, report);
	append_latest(&buf, report);
	append_footer(&buf, report);
	return buf.data;
}
