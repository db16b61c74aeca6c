/*-------------------------------------------------------------------------
 *
 * json.c
 *	  A report as JSON.
 *
 * Everything that the other formats show, whole.  Times are in UTC, as ISO
 * 8601 has them; durations in milliseconds, sizes in bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "utils/json.h"

#include "report/json.h"

/* begin an element of an array or, with a key, of an object */
static void
begin_element(StringInfo buf, const char *key)
{
	char		last = buf->len > 0 ? buf->data[buf->len - 1] : '[';

	if (last != '{' && last != '[')
		appendStringInfoChar(buf, ',');
	if (key != NULL)
		appendStringInfo(buf, "\"%s\":", key);
}

static void
put_text(StringInfo buf, const char *key, const char *value)
{
	begin_element(buf, key);
	if (value == NULL)
		appendStringInfoString(buf, "null");
	else
		escape_json(buf, value);
}

static void
put_int(StringInfo buf, const char *key, int64 value)
{
	begin_element(buf, key);
	appendStringInfo(buf, INT64_FORMAT, value);
}

static void
put_bool(StringInfo buf, const char *key, bool value)
{
	begin_element(buf, key);
	appendStringInfoString(buf, value ? "true" : "false");
}

/* JSON has neither NaN nor infinity: null */
static void
put_float(StringInfo buf, const char *key, double value)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	begin_element(buf, key);
	if (isnan(value) || isinf(value))
		appendStringInfoString(buf, "null");
	else
	{
		double_to_shortest_decimal_buf(value, digits);
		appendStringInfoString(buf, digits);
	}
}

/* null if there is no error */
static void
put_error(StringInfo buf, const char *key, const MigReportError *error)
{
	begin_element(buf, key);
	if (error == NULL)
	{
		appendStringInfoString(buf, "null");
		return;
	}
	appendStringInfoChar(buf, '{');
	put_text(buf, "sqlstate", error->sqlstate);
	put_text(buf, "message", error->message);
	put_text(buf, "detail", error->detail);
	put_text(buf, "hint", error->hint);
	appendStringInfoChar(buf, '}');
}

/* what stopped the rehearsal, or the statement that failed in it */
static void
put_rehearsal_error(StringInfo buf, const MigReport *report)
{
	const MigReportStatement *failed;

	if (report->rehearsal_error != NULL || report->failed == NULL)
	{
		put_error(buf, "rehearsal_error", report->rehearsal_error);
		return;
	}
	failed = report->failed->failed;
	begin_element(buf, "rehearsal_error");
	appendStringInfoChar(buf, '{');
	put_text(buf, "sqlstate", failed->sqlstate);
	put_text(buf, "message", failed->message);
	put_text(buf, "hint", failed->hint);
	put_text(buf, "version", report->failed->version);
	put_text(buf, "name", report->failed->name);
	put_text(buf, "body", failed->part);
	put_int(buf, "statement", failed->statement);
	put_int(buf, "line", failed->line);
	put_text(buf, "path", failed->part != NULL &&
			 strcmp(failed->part, "down") == 0 ?
			 report->failed->down.path : report->failed->up.path);
	appendStringInfoChar(buf, '}');
}

/* how many, the newest, and the last few */
static void
put_applied(StringInfo buf, const MigReport *report)
{
	int			i;

	begin_element(buf, "applied");
	appendStringInfoChar(buf, '{');
	put_int(buf, "count", report->applied);
	put_text(buf, "newest", report->newest);
	begin_element(buf, "latest");
	appendStringInfoChar(buf, '[');
	for (i = 0; i < report->nlatest; i++)
	{
		const MigReportEntry *entry = report->latest[i];

		begin_element(buf, NULL);
		appendStringInfoChar(buf, '{');
		put_text(buf, "version", entry->version);
		put_text(buf, "name", entry->name);
		put_text(buf, "kind", entry->kind);
		put_text(buf, "state", entry->state);
		put_text(buf, "origin", entry->origin);
		put_text(buf, "applied_at", entry->applied_at);
		put_text(buf, "applied_by", entry->applied_by);
		put_float(buf, "execution_ms", entry->execution_ms);
		appendStringInfoChar(buf, '}');
	}
	appendStringInfoString(buf, "]}");
}

/* an array, empty if there is nothing to attend to */
static void
put_attention(StringInfo buf, const MigReport *report)
{
	int			i;

	begin_element(buf, "attention");
	appendStringInfoChar(buf, '[');
	for (i = 0; i < report->nattention; i++)
	{
		const MigReportEntry *entry = report->attention[i];

		begin_element(buf, NULL);
		appendStringInfoChar(buf, '{');
		put_text(buf, "version", entry->version);
		put_text(buf, "name", entry->name);
		put_text(buf, "state", entry->state);
		put_text(buf, "held_reason", entry->held_reason);
		put_text(buf, "error", entry->error);
		put_text(buf, "sqlstate", entry->sqlstate);
		put_text(buf, "hint", entry->hint);
		put_text(buf, "body", entry->part);
		put_int(buf, "statement", entry->statement);
		put_int(buf, "line", entry->line);
		put_text(buf, "failed_at", entry->failed_at);
		put_text(buf, "failed_by", entry->failed_by);
		appendStringInfoChar(buf, '}');
	}
	appendStringInfoChar(buf, ']');
}

static void
put_counts(StringInfo buf, const char *key, const MigReportCounts *counts)
{
	begin_element(buf, key);
	appendStringInfo(buf, "{\"error\":%d,\"warning\":%d,\"note\":%d}",
					 counts->errors, counts->warnings, counts->notes);
}

/* as lint() has them, rows made into JSON by the server */
static void
put_findings(StringInfo buf, const MigReportStep *step)
{
	ListCell   *lc;

	put_counts(buf, "lint", &step->counts);
	begin_element(buf, "findings");
	appendStringInfoChar(buf, '[');
	foreach(lc, step->findings)
	{
		begin_element(buf, NULL);
		appendStringInfoString(buf, ((MigReportFinding *) lfirst(lc))->json);
	}
	appendStringInfoChar(buf, ']');
}

/* sizes that are not known are null */
static void
put_lock(StringInfo buf, const MigReportLock *lock)
{
	begin_element(buf, NULL);
	appendStringInfoChar(buf, '{');
	put_text(buf, "relation", lock->relation);
	put_text(buf, "kind", lock->kind);
	put_text(buf, "mode", lock->mode);
	put_bool(buf, "blocks_reads", lock->blocks_reads);
	put_bool(buf, "blocks_writes", lock->blocks_writes);
	put_bool(buf, "held_before", lock->held_before);
	if (lock->bytes < 0)
		put_text(buf, "bytes", NULL);
	else
		put_int(buf, "bytes", lock->bytes);
	if (lock->rows < 0)
		put_text(buf, "estimated_rows", NULL);
	else
		put_int(buf, "estimated_rows", (int64) lock->rows);
	appendStringInfoChar(buf, '}');
}

/* the row as rehearse() has it, but for the sizes of what it locks */
static void
put_statement(StringInfo buf, const MigReportStatement *statement)
{
	int			i;

	Assert(statement->json[0] == '{');
	begin_element(buf, NULL);
	appendStringInfoChar(buf, '{');
	begin_element(buf, "locks");
	appendStringInfoChar(buf, '[');
	for (i = 0; i < statement->nlocks; i++)
		put_lock(buf, &statement->locks[i]);
	appendStringInfo(buf, "],%s", statement->json + 1);
}

/* of one migration, with all statements */
static void
put_rehearsal(StringInfo buf, const MigReportStep *step)
{
	int			i;

	begin_element(buf, "rehearsal");
	appendStringInfoChar(buf, '{');
	put_float(buf, "execution_ms", step->execution_ms);
	put_int(buf, "skipped", step->skipped);
	put_text(buf, "error", step->failed ? step->failed->message : NULL);
	put_text(buf, "worst_lock", step->worst ? step->worst->mode : NULL);
	put_text(buf, "relation", step->worst ? step->worst->relation : NULL);
	if (step->worst != NULL)
		put_float(buf, "held_ms", step->worst_ms);
	else
		put_text(buf, "held_ms", NULL);
	begin_element(buf, "statements");
	appendStringInfoChar(buf, '[');
	for (i = 0; i < step->nstatements; i++)
		put_statement(buf, &step->statements[i]);
	appendStringInfoString(buf, "]}");
}

/*
 * Members that could not be found out, for an error of the plan or missing
 * privileges, are left out.
 */
static void
put_step(StringInfo buf, const MigReport *report, const MigReportStep *step)
{
	begin_element(buf, NULL);
	appendStringInfoChar(buf, '{');
	put_int(buf, "step", step->step);
	put_text(buf, "version", step->version);
	put_text(buf, "name", step->name);
	put_text(buf, "kind", step->kind);
	put_text(buf, "path", step->up.path);
	put_text(buf, "added_by", step->added_by);
	if (report->plan_error == NULL)
	{
		put_bool(buf, "own_transaction", step->own_transaction);
		put_text(buf, "reason", step->reason);
		put_bool(buf, "has_down", step->has_down);
		put_bool(buf, "irreversible", step->irreversible);
	}
	if (report->bodies_shown)
	{
		put_text(buf, "up", step->up.text);
		put_text(buf, "down", step->down.text);
	}
	if (report->plan_error == NULL && report->lint_error == NULL)
		put_findings(buf, step);
	if (report->rehearsed)
		put_rehearsal(buf, step);
	appendStringInfoChar(buf, '}');
}

char *
mig_report_json(const MigReport *report)
{
	StringInfoData buf;
	int			i;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	put_text(&buf, "verdict", mig_report_verdict_name(report->verdict));
	put_text(&buf, "verdict_text", report->verdict_text);
	put_text(&buf, "database", report->database);
	put_text(&buf, "project", report->project);
	put_text(&buf, "target", report->target);
	put_text(&buf, "made_at", report->made_at);
	put_text(&buf, "role", report->role);
	put_text(&buf, "server_version", report->server_version);
	put_text(&buf, "extension_version", report->extension_version);
	put_bool(&buf, "bodies_shown", report->bodies_shown);
	put_applied(&buf, report);
	put_attention(&buf, report);
	put_error(&buf, "plan_error", report->plan_error);
	put_error(&buf, "lint_error", report->lint_error);
	put_counts(&buf, "lint", &report->counts);
	put_bool(&buf, "rehearsed", report->rehearsed);
	put_rehearsal_error(&buf, report);
	put_float(&buf, "execution_ms", report->execution_ms);
	begin_element(&buf, "pending");
	appendStringInfoChar(&buf, '[');
	for (i = 0; i < report->nsteps; i++)
		put_step(&buf, report, &report->steps[i]);
	appendStringInfoString(&buf, "]}");
	return buf.data;
}
