/*-------------------------------------------------------------------------
 *
 * html.c
 *	  A report as one HTML page.
 *
 * The page has everything that it needs, no script, and a policy that forbids
 * the browser to load or to run anything.  All text from the database goes
 * through mig_report_escape_text().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "report/escape.h"
#include "report/html.h"
#include "report/style.h"
#include "report/text.h"
#include "report/timeline.h"

/* characters of a name */
#define MAX_NAME	200

/* of a body that is shown */
#define MAX_LINES	2000

/* of a body that is not folded away */
#define OPEN_LINES	30

/* of a rehearsal that is not folded away */
#define OPEN_STATEMENTS	10

static void
append_tagged(StringInfo buf, const char *tag, const char *text)
{
	appendStringInfo(buf, "<%s>", tag);
	mig_report_escape_text(buf, text);
	appendStringInfo(buf, "</%s>", tag);
}

/* a name, which may be of any length */
static void
append_html_name(StringInfo buf, const char *tag, const char *name)
{
	int			length = strlen(name);
	int			shown = pg_mbcharcliplen(name, length, MAX_NAME);

	appendStringInfo(buf, "<%s>", tag);
	mig_report_escape_text(buf, pnstrdup(name, shown));
	if (shown < length)
		appendStringInfoString(buf, "&hellip;");
	appendStringInfo(buf, "</%s>", tag);
}

static void
append_migration(StringInfo buf, const char *version, const char *name)
{
	append_html_name(buf, "code", version);
	if (name != NULL && name[0] != '\0')
	{
		appendStringInfoChar(buf, ' ');
		append_html_name(buf, "bdi", name);
	}
}

/* up to the body; the policy forbids scripts and everything from elsewhere */
static void
append_head(StringInfo buf, const MigReport *report)
{
	appendStringInfoString(buf, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
						   "<meta charset=\"utf-8\">\n"
						   "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
						   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
						   "<meta name=\"color-scheme\" content=\"light dark\">\n"
						   "<title>Migrations of ");
	mig_report_escape_attribute(buf, report->database);
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

/* counts; those that are zero are left out, but not pending and applied */
static void
append_facts(StringInfo buf, const MigReport *report)
{
	appendStringInfoString(buf, "<ul class=\"facts\">\n");
	append_fact(buf, "", mig_report_text_count(report->nsteps), "pending");
	appendStringInfo(buf, "<li><b>%s</b>applied",
					 mig_report_text_count(report->applied));
	if (report->newest != NULL)
	{
		appendStringInfoString(buf, ", newest ");
		append_tagged(buf, "code", report->newest);
	}
	appendStringInfoString(buf, "</li>\n");
	if (report->counts.errors > 0)
		append_fact(buf, "error",
					psprintf("&#10006; %s",
							 mig_report_text_count(report->counts.errors)),
					report->counts.errors == 1 ? "error found" : "errors found");
	if (report->counts.warnings > 0)
		append_fact(buf, "warning",
					psprintf("&#9650; %s",
							 mig_report_text_count(report->counts.warnings)),
					report->counts.warnings == 1 ? "warning" : "warnings");
	if (report->rehearsed)
		append_fact(buf, "", mig_report_text_ms(report->execution_ms),
					"rehearsed");
	if (report->nattention > 0)
		append_fact(buf, "warning",
					psprintf("&#9650; %s",
							 mig_report_text_count(report->nattention)),
					report->nattention == 1 ? "needs attention" : "need attention");
	appendStringInfoString(buf, "</ul>\n");
}

/* what a class of severity looks like; the words are the caller's */
static const char *
sign_of(const char *class)
{
	if (strcmp(class, "error") == 0)
		return "&#10006;";
	return strcmp(class, "warning") == 0 ? "&#9650;" : "&#9679;";
}

/* the first thing that the page says; a failure with all there is to know of it */
static void
append_verdict(StringInfo buf, const MigReport *report)
{
	const MigReportStep *step = report->failed;
	bool		is_good = mig_report_is_good(report);

	appendStringInfo(buf, "<div class=\"verdict boxed %s\"><p class=\"head\"><b>%s ",
					 is_good ? "good" : "error",
					 is_good ? "&#10004;" : sign_of("error"));
	mig_report_escape_text(buf, report->verdict_text);
	appendStringInfoString(buf, "</b></p>\n");
	if (report->verdict == MIG_VERDICT_FAILS)
	{
		if (step->failed->hint != NULL)
			append_tagged(buf, "p", step->failed->hint);
		appendStringInfo(buf, "<p><a href=\"#m%d\">", step->step);
		append_migration(buf, step->version, step->name);
		appendStringInfoString(buf, "</a></p>\n");
	}
	appendStringInfoString(buf, "</div>\n");
}

/* the header of the page, with the verdict */
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
					 mig_report_text_time(report->made_at));
	append_tagged(buf, "bdi", report->database);
	appendStringInfoString(buf, "</h1>\n");
	append_verdict(buf, report);
	append_facts(buf, report);
	appendStringInfoString(buf, "</header>\n");
}

/* nothing if there is no error */
static void
append_error(StringInfo buf, const char *title, const MigReportError *error)
{
	if (error == NULL)
		return;
	appendStringInfo(buf, "<div class=\"boxed error\"><p class=\"head\"><b>%s %s</b> <code>%s</code></p>\n<p>",
					 sign_of("error"), title, error->sqlstate);
	mig_report_escape_text(buf, error->message);
	if (error->detail != NULL)
	{
		appendStringInfoString(buf, "</p>\n<p>");
		mig_report_escape_text(buf, error->detail);
	}
	if (error->hint != NULL)
	{
		appendStringInfoString(buf, "</p>\n<p class=\"soft\">");
		mig_report_escape_text(buf, error->hint);
	}
	appendStringInfoString(buf, "</p></div>\n");
}

/* the last failure of a migration that has one */
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
					 mig_report_text_time(entry->failed_at));
	append_tagged(buf, "bdi", entry->failed_by);
	appendStringInfoString(buf, "</p>\n");
}

/* no section if there is nothing to attend to */
static void
append_attention(StringInfo buf, const MigReport *report)
{
	int			i;

	if (report->nattention == 0)
		return;
	appendStringInfoString(buf, "<section>\n<h2>Needs attention</h2>\n");
	for (i = 0; i < report->nattention; i++)
	{
		const MigReportEntry *entry = report->attention[i];
		const char *class = strcmp(entry->state, "held") == 0 ? "note" :
			strcmp(entry->state, "failed") == 0 ? "error" : "warning";

		appendStringInfo(buf, "<div class=\"boxed %s\"><p class=\"head\"><b>%s %s</b> ",
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
			append_tagged(buf, "p", "A run started it and did not finish it.");
		if (entry->error != NULL)
			append_failure(buf, entry);
		appendStringInfoString(buf, "</div>\n");
	}
	appendStringInfoString(buf, "</section>\n");
}

/* which body of which migration lines are marked for */
typedef struct Marked
{
	const MigReportStep *step;
	const char *part;
} Marked;

/* a MigLineMark: the worst of the findings about a line */
static const char *
mark_line(int line, void *arg)
{
	const Marked *marked = (const Marked *) arg;
	const char *result = NULL;
	ListCell   *lc;

	foreach(lc, marked->step->findings)
	{
		const MigReportFinding *finding = lfirst(lc);

		if (finding->line != line || finding->part == NULL ||
			strcmp(finding->part, marked->part) != 0)
			continue;
		if (result == NULL || strcmp(finding->severity, "error") == 0 ||
			strcmp(result, "note") == 0)
			result = finding->severity;
	}
	return result;
}

/* folded unless open; nothing if the text may not be read or there is none */
static void
append_body(StringInfo buf, const char *title, const MigReportStep *step,
			const char *part, const MigReportBody *body, bool open)
{
	Marked		marked = {step, part};

	if (body->text == NULL)
		return;
	appendStringInfo(buf, "<details%s><summary>%s, %s</summary>\n<pre class=\"sql\" dir=\"ltr\">",
					 open ? " open" : "", title,
					 mig_report_text_many(body->lines, "line", "lines"));
	mig_report_escape_lines(buf, body->text,
							psprintf("%s%d", part, step->step),
							body->first_line, MAX_LINES, mark_line, &marked);
	appendStringInfoString(buf, "</pre>\n");
	if (body->lines > MAX_LINES)
		appendStringInfo(buf, "<p class=\"soft\">%s more</p>\n",
						 mig_report_text_many(body->lines - MAX_LINES, "line",
											  "lines"));
	else if (strlen(body->text) < body->bytes)
		appendStringInfo(buf, "<p class=\"soft\">%s more</p>\n",
						 mig_report_text_bytes(body->bytes - strlen(body->text)));
	appendStringInfoString(buf, "</details>\n");
}

/* path, author, transaction */
static void
append_about(StringInfo buf, const MigReport *report,
			 const MigReportStep *step)
{
	appendStringInfoString(buf, "<p class=\"soft small\">");
	if (step->up.path != NULL)
	{
		append_tagged(buf, "code", step->up.path);
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
		mig_report_escape_text(buf, step->reason);
	if (report->plan_error == NULL && !step->has_down)
		appendStringInfoString(buf, step->irreversible ?
							   " &middot; irreversible" :
							   " &middot; no down body");
	appendStringInfoString(buf, "</p>\n");
}

/* a place in a body, as a link to it if it is shown */
static void
append_line_link(StringInfo buf, const MigReportStep *step, const char *part,
				 int line)
{
	const MigReportBody *body = mig_report_body(step, part);
	char	   *place = mig_report_place(step, part, line);

	if (place == NULL)
		return;
	if (body != NULL && body->text != NULL && line >= body->first_line &&
		line - body->first_line < Min(MAX_LINES, body->lines))
	{
		appendStringInfo(buf, "<a href=\"#%s%d-%d\">", part, step->step, line);
		mig_report_escape_text(buf, place);
		appendStringInfoString(buf, "</a>");
	}
	else
		mig_report_escape_text(buf, place);
}

static void
append_relation(StringInfo buf, const char *relation, int64 bytes, double rows)
{
	const char *size = mig_report_text_size(bytes, rows);

	append_tagged(buf, "code", relation);
	if (size != NULL)
		appendStringInfo(buf, " <span class=\"soft\">(%s)</span>", size);
}

/* SQL with comments, which can be copied in one go, or a sentence */
static void
append_instead(StringInfo buf, const char *instead)
{
	if (strchr(instead, ';') == NULL)
	{
		appendStringInfoString(buf, "<p class=\"small\"><b>Instead:</b> ");
		mig_report_escape_text(buf, instead);
		appendStringInfoString(buf, "</p>\n");
		return;
	}
	appendStringInfoString(buf, "<p class=\"small\"><b>Instead:</b></p>\n<pre class=\"instead\" dir=\"ltr\">");
	mig_report_escape_text(buf, instead);
	appendStringInfoString(buf, "</pre>\n");
}

/* as an item of a list; rule names lead to the table of rules */
static void
append_finding(StringInfo buf, const MigReportStep *step,
			   const MigReportFinding *finding)
{
	appendStringInfo(buf, "<li class=\"boxed %s\"><p class=\"head small\"><b>%s %s</b> <a href=\"#rule-%s\">",
					 finding->severity, sign_of(finding->severity),
					 finding->severity, finding->rule);
	append_tagged(buf, "code", finding->rule);
	appendStringInfoString(buf, "</a>");
	if (finding->line > 0)
	{
		appendStringInfoString(buf, " &middot; ");
		append_line_link(buf, step, finding->part, finding->line);
	}
	appendStringInfoString(buf, "</p>\n<p>");
	mig_report_escape_text(buf, finding->message);
	appendStringInfoString(buf, "</p>\n");
	if (finding->instead != NULL)
		append_instead(buf, finding->instead);
	appendStringInfoString(buf, "</li>\n");
}

/* those about the down body, or all others */
static void
append_findings(StringInfo buf, const MigReportStep *step, bool down)
{
	bool		any = false;
	ListCell   *lc;

	foreach(lc, step->findings)
	{
		const MigReportFinding *finding = lfirst(lc);

		if ((finding->part != NULL && strcmp(finding->part, "down") == 0) != down)
			continue;
		if (!any)
			appendStringInfo(buf, "%s<ul class=\"list\">\n",
							 down ? "<h4>Findings in the down body</h4>\n" : "");
		any = true;
		append_finding(buf, step, finding);
	}
	if (any)
		appendStringInfoString(buf, "</ul>\n");
}

static void
append_named(StringInfo buf, const char *what, const char *names)
{
	if (names == NULL)
		return;
	appendStringInfo(buf, "<p class=\"small\">%s ", what);
	append_tagged(buf, "code", names);
	appendStringInfoString(buf, "</p>\n");
}

/* locks on indexes go with those on their tables */
static void
append_locks(StringInfo buf, const MigReportStatement *statement)
{
	static const char *const classes[] = {"soft", "note", "warning", "error"};
	int			i;

	for (i = 0; i < statement->nlocks; i++)
	{
		const MigReportLock *lock = &statement->locks[i];

		if (strcmp(lock->kind, "index") == 0)
			continue;
		appendStringInfo(buf, "<p class=\"small\">takes <b class=\"%s\">%s</b> on ",
						 classes[mig_report_strength(lock)], lock->mode);
		append_relation(buf, lock->relation, lock->bytes, lock->rows);
		appendStringInfoString(buf, "</p>\n");
	}
}

/* what a statement did that ran to its end */
static void
append_effects(StringInfo buf, const MigReportStatement *statement)
{
	const char *separator = "";
	int			i;

	append_locks(buf, statement);
	append_named(buf, "rewrites", statement->rewritten);
	append_named(buf, "rebuilds", statement->reindexed);
	append_named(buf, "creates", statement->created);
	append_named(buf, "drops", statement->dropped);
	append_named(buf, "truncates", statement->truncated);
	appendStringInfoString(buf, "<p class=\"small soft\">");
	if (statement->row_count > 0)
	{
		appendStringInfoString(buf,
							   mig_report_text_many(statement->row_count,
													"row",
													"rows"));
		separator = " &middot; ";
	}
	for (i = 0; i < statement->nscans; i++)
	{
		appendStringInfo(buf, "%sreads all of ", separator);
		append_tagged(buf, "code", statement->scans[i].relation);
		separator = " &middot; ";
	}
	appendStringInfo(buf, "%s%s of WAL</p>\n", separator,
					 mig_report_text_bytes(statement->wal_bytes));
}

/* when a statement ran, within the time of its migration */
static void
append_meter(StringInfo buf, const MigReportStep *step,
			 const MigReportStatement *statement)
{
	if (step->execution_ms <= 0)
		return;
	appendStringInfo(buf, "<svg class=\"meter\" width=\"100%%\" height=\"5\" aria-hidden=\"true\">"
					 "<rect class=\"track\" width=\"100%%\" height=\"5\" rx=\"2\"/>"
					 "<rect class=\"bar\" x=\"%.3f%%\" width=\"%.3f%%\" height=\"5\" rx=\"2\"/></svg>\n",
					 100 * statement->start_ms / step->execution_ms,
					 100 * statement->execution_ms / step->execution_ms);
}

/* of a rehearsal, as an item of a list */
static void
append_statement(StringInfo buf, const MigReportStep *step,
				 const MigReportStatement *statement)
{
	appendStringInfoString(buf, "<li><div class=\"row\"><span>");
	if (statement->tag != NULL)
	{
		append_tagged(buf, "b", statement->tag);
		appendStringInfoChar(buf, ' ');
	}
	append_line_link(buf, step, statement->part, statement->line);
	appendStringInfo(buf, "</span><span>%s</span></div>\n",
					 statement->skipped != NULL ? "not run" :
					 mig_report_text_ms(statement->execution_ms));
	if (statement->skipped == NULL)
		append_meter(buf, step, statement);
	if (statement->skipped != NULL)
		append_tagged(buf, "p", statement->skipped);
	else if (statement->sqlstate != NULL)
	{
		appendStringInfo(buf, "<div class=\"boxed error\"><p class=\"head\"><b>%s %s</b></p>\n<p>",
						 sign_of("error"), statement->sqlstate);
		mig_report_escape_text(buf, statement->message);
		appendStringInfoString(buf, "</p>\n");
		if (statement->hint != NULL)
			append_tagged(buf, "p", statement->hint);
		appendStringInfoString(buf, "</div>\n");
	}
	else
		append_effects(buf, statement);
	appendStringInfoString(buf, "</li>\n");
}

/* how the rehearsal of a migration went, in a few words */
static void
append_outcome(StringInfo buf, const MigReportStep *step)
{
	if (step->failed != NULL)
		appendStringInfo(buf, "<b class=\"error\">%s fails</b>",
						 sign_of("error"));
	else if (step->skipped >= step->nstatements)
		appendStringInfoString(buf, "not run");
	else
		appendStringInfoString(buf, mig_report_text_ms(step->execution_ms));
	if (step->worst == NULL)
		return;
	appendStringInfo(buf, ", with %s on ", step->worst->mode);
	append_relation(buf, step->worst->relation, step->worst->bytes,
					step->worst->rows);
	appendStringInfo(buf, " for %s", mig_report_text_ms(step->worst_ms));
}

/* a sentence, and a list of statements */
static void
append_rehearsal(StringInfo buf, const MigReport *report,
				 const MigReportStep *step)
{
	int			i;

	if (!report->rehearsed || step->nstatements == 0)
		return;
	appendStringInfoString(buf, "<p class=\"summary\"><b>Rehearsal:</b> ");
	append_outcome(buf, step);
	appendStringInfo(buf, "</p>\n<details%s><summary>%s</summary>\n<ol class=\"list statements\">\n",
					 step->nstatements <= OPEN_STATEMENTS ? " open" : "",
					 mig_report_text_many(step->nstatements, "statement",
										  "statements"));
	for (i = 0; i < step->nstatements; i++)
		append_statement(buf, step, &step->statements[i]);
	appendStringInfoString(buf, "</ol></details>\n");
}

/* the card of one migration, to which the overview links */
static void
append_step(StringInfo buf, const MigReport *report, const MigReportStep *step)
{
	appendStringInfo(buf, "<article class=\"card\" id=\"m%d\">\n<h3><span class=\"number\">%d</span>",
					 step->step, step->step);
	append_migration(buf, step->version, step->name);
	appendStringInfoString(buf, "</h3>\n");
	append_about(buf, report, step);
	append_findings(buf, step, false);
	append_rehearsal(buf, report, step);
	append_body(buf, "SQL", step, "up", &step->up,
				step->up.lines <= OPEN_LINES);
	append_findings(buf, step, true);
	append_body(buf, "Down body", step, "down", &step->down, false);
	appendStringInfoString(buf, "</article>\n");
}

/* as words; zeros are left out */
static void
append_counts(StringInfo buf, const MigReportCounts *counts)
{
	static const char *const classes[] = {"error", "warning", "note"};
	const int	numbers[] = {counts->errors, counts->warnings, counts->notes};
	bool		any = false;
	int			i;

	for (i = 0; i < lengthof(classes); i++)
	{
		if (numbers[i] == 0)
			continue;
		appendStringInfo(buf, "%s<span class=\"%s\">%s %s</span>",
						 any ? ", " : "", classes[i], sign_of(classes[i]),
						 mig_report_text_many(numbers[i], classes[i],
											  psprintf("%ss", classes[i])));
		any = true;
	}
	if (!any)
		appendStringInfoString(buf, "<span class=\"good\">&#10004; nothing found</span>");
}

/* a row for each migration, which leads to what there is of it */
static void
append_overview(StringInfo buf, const MigReport *report)
{
	int			i;

	if (report->nsteps < 2)
		return;
	appendStringInfo(buf, "<div class=\"card scroll\" tabindex=\"0\"><table class=\"overview\">\n"
					 "<thead><tr><th></th><th>migration</th><th>found</th>%s</tr></thead>\n<tbody>\n",
					 report->rehearsed ? "<th>rehearsal</th>" : "");
	for (i = 0; i < report->nsteps; i++)
	{
		const MigReportStep *step = &report->steps[i];

		appendStringInfo(buf, "<tr><td>%d</td><td><a href=\"#m%d\">",
						 step->step, step->step);
		append_migration(buf, step->version, step->name);
		appendStringInfoString(buf, "</a></td><td>");
		if (report->plan_error == NULL && report->lint_error == NULL)
			append_counts(buf, &step->counts);
		appendStringInfoString(buf, "</td>");
		if (report->rehearsed)
		{
			appendStringInfoString(buf, "<td>");
			append_outcome(buf, step);
			appendStringInfoString(buf, "</td>");
		}
		appendStringInfoString(buf, "</tr>\n");
	}
	appendStringInfoString(buf, "</tbody>\n</table></div>\n");
}

/* also says why a plan, findings or a rehearsal are missing */
static void
append_pending(StringInfo buf, const MigReport *report)
{
	int			i;

	appendStringInfoString(buf, "<section>\n<h2>Pending</h2>\n");
	append_error(buf, "A run would be refused", report->plan_error);
	append_error(buf, "Nothing was linted", report->lint_error);
	append_error(buf, "Nothing was rehearsed", report->rehearsal_error);
	if (report->nsteps == 0 && report->plan_error == NULL)
		appendStringInfoString(buf, "<p class=\"card good\">&#10004; Nothing is pending.</p>\n");
	else if (report->nsteps > 0 && !report->bodies_shown)
	{
		appendStringInfoString(buf, "<p class=\"soft\">The SQL is not shown: role ");
		append_tagged(buf, "bdi", report->role);
		appendStringInfoString(buf, " may not read it.</p>\n");
	}
	append_overview(buf, report);
	for (i = 0; i < report->nsteps; i++)
		append_step(buf, report, &report->steps[i]);
	appendStringInfoString(buf, "</section>\n");
}

/* a rule and the migrations that it has found something in */
typedef struct Rule
{
	const char *name;
	const char *link;
	List	   *steps;			/* of int */
} Rule;

/* in the order of their first finding; each has its steps once */
static List *
rules_of(const MigReport *report)
{
	List	   *rules = NIL;
	ListCell   *lc;
	ListCell   *lc2;
	int			i;

	for (i = 0; i < report->nsteps; i++)
		foreach(lc, report->steps[i].findings)
	{
		const MigReportFinding *finding = lfirst(lc);
		Rule	   *rule = NULL;

		foreach(lc2, rules)
			if (strcmp(((Rule *) lfirst(lc2))->name, finding->rule) == 0)
			rule = (Rule *) lfirst(lc2);
		if (rule == NULL)
		{
			rule = palloc(sizeof(Rule));
			rule->name = finding->rule;
			rule->link = finding->link;
			rule->steps = NIL;
			rules = lappend(rules, rule);
		}
		if (rule->steps == NIL || llast_int(rule->steps) != i)
			rule->steps = lappend_int(rule->steps, i);
	}
	return rules;
}

/* where the names of rules lead: what they are, where else, how to be rid of one */
static void
append_rules(StringInfo buf, const MigReport *report)
{
	List	   *rules = rules_of(report);
	ListCell   *lc;
	ListCell   *lc2;

	if (rules == NIL)
		return;
	appendStringInfoString(buf, "<section>\n<h2>Rules</h2>\n<div class=\"card scroll\" tabindex=\"0\"><table>\n"
						   "<thead><tr><th>rule</th><th>described in</th><th>found in</th></tr></thead>\n<tbody>\n");
	foreach(lc, rules)
	{
		const Rule *rule = (Rule *) lfirst(lc);
		const char *separator = "";

		appendStringInfo(buf, "<tr id=\"rule-%s\"><td><code>%s</code></td><td>",
						 rule->name, rule->name);
		append_tagged(buf, "code", rule->link);
		appendStringInfoString(buf, "</td><td>");
		foreach(lc2, rule->steps)
		{
			const MigReportStep *step = &report->steps[lfirst_int(lc2)];

			appendStringInfo(buf, "%s<a href=\"#m%d\">", separator, step->step);
			append_html_name(buf, "code", step->version);
			appendStringInfoString(buf, "</a>");
			separator = ", ";
		}
		appendStringInfoString(buf, "</td></tr>\n");
	}
	appendStringInfoString(buf, "</tbody>\n</table></div>\n"
						   "<p class=\"soft small\">A rule is switched off by a comment <code>-- migrate:lint-off RULE</code> before the statement, or in <code>lint_off</code> of <code>migrate.policy</code>.</p>\n</section>\n");
}

/* the newest applications, and how many more there are */
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
						 mig_report_text_time(entry->applied_at));
		append_tagged(buf, "bdi", entry->applied_by);
		appendStringInfo(buf, "</td><td class=\"right\">%s</td></tr>\n",
						 strcmp(entry->origin, "apply") == 0 ?
						 mig_report_text_ms(entry->execution_ms) : entry->origin);
	}
	appendStringInfoString(buf, "</tbody>\n</table>\n");
	if (report->applied > report->nlatest)
		appendStringInfo(buf, "<p class=\"soft small\">%s more</p>\n",
						 mig_report_text_count(report->applied - report->nlatest));
	appendStringInfoString(buf, "</div>\n</section>\n");
}

/* ends the page */
static void
append_footer(StringInfo buf, const MigReport *report)
{
	appendStringInfo(buf, "<footer>Made %s as ",
					 mig_report_text_time(report->made_at));
	append_tagged(buf, "bdi", report->role);
	appendStringInfoString(buf, " by migrate ");
	mig_report_escape_text(buf, report->extension_version);
	appendStringInfoString(buf, " in PostgreSQL ");
	mig_report_escape_text(buf, report->server_version);
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
	mig_report_timeline(&buf, report);
	append_pending(&buf, report);
	append_rules(&buf, report);
	append_latest(&buf, report);
	append_footer(&buf, report);
	return buf.data;
}
