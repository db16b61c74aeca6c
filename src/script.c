/*-------------------------------------------------------------------------
 *
 * script.c
 *	  A plan as SQL for psql.
 *
 * The script stores each migration's text before it runs it, so that it can be
 * carried to a database that has the extension but not the texts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"

#include "errors.h"
#include "ledger.h"
#include "plan.h"
#include "script.h"
#include "statement.h"
#include "subxact.h"

/* a dollar-quoted literal whose tag is not in the text; NULL is null */
static void
append_dollar_quoted(StringInfo buf, const char *text)
{
	char	   *tag = pstrdup("$mig$");
	int			i;

	if (text == NULL)
	{
		appendStringInfoString(buf, "null");
		return;
	}
	/* the text may also end in the start of a tag */
	for (i = 1; strstr(text, pnstrdup(tag, strlen(tag) - 1)) != NULL; i++)
		tag = psprintf("$mig%d$", i);
	appendStringInfo(buf, "%s%s%s", tag, text, tag);
}

static void
append_requires(StringInfo buf, const MigEntry *entry)
{
	int			i;

	appendStringInfoString(buf, "ARRAY[");
	for (i = 0; i < entry->nrequires; i++)
		appendStringInfo(buf, "%s%s", i > 0 ? ", " : "",
						 quote_literal_cstr(entry->requires[i]));
	appendStringInfoString(buf, "]::pg_catalog.text[]");
}

typedef struct TextsToParse
{
	const MigEntry *entry;
	const MigTexts *texts;
} TextsToParse;

static void
parse_down_and_verify(void *arg)
{
	TextsToParse *parse = (TextsToParse *) arg;
	MigLabel	label = {0};

	label.version = parse->entry->version;
	label.part = MIG_DOWN;
	if (parse->texts->down != NULL)
		(void) mig_body_parse(parse->texts->down, &label);
	label.part = MIG_VERIFY;
	if (parse->texts->verify != NULL)
		(void) mig_body_parse(parse->texts->verify, &label);
}

/*
 * load() takes a down body of another tool that does not parse, add() does
 * not.  A row with its own checksums is let in as in a restore.
 */
static void
append_insert(StringInfo buf, const char *project, const MigEntry *entry,
			  const MigTexts *texts)
{
	appendStringInfo(buf, "INSERT INTO migrate.migration (project, version, name, kind, irreversible, transactional, checksum, down_checksum, requires, up, down, verify)\n"
					 "    VALUES (%s, %s, %s, '%s', %s, %s, '%s', ",
					 quote_literal_cstr(project),
					 quote_literal_cstr(entry->version),
					 quote_literal_cstr(entry->name),
					 entry->kind == MIG_REPEATABLE ? "repeatable" : "versioned",
					 entry->irreversible ? "true" : "false",
					 entry->transactional == MIG_TX_RECOGNISE ? "null" :
					 entry->transactional == MIG_TX_ON ? "true" : "false",
					 texts->checksum);
	if (texts->down_checksum == NULL)
		appendStringInfoString(buf, "null, ");
	else
		appendStringInfo(buf, "'%s', ", texts->down_checksum);
	append_requires(buf, entry);
	appendStringInfoString(buf, ",\n    ");
	append_dollar_quoted(buf, texts->up);
	appendStringInfoString(buf, ",\n    ");
	append_dollar_quoted(buf, texts->down);
	appendStringInfoString(buf, ",\n    ");
	append_dollar_quoted(buf, texts->verify);
	appendStringInfoString(buf, ")\n    ON CONFLICT (project, version) DO NOTHING;\n");
}

static void
append_add(StringInfo buf, const char *project, const MigEntry *entry,
		   const MigTexts *texts)
{
	TextsToParse parse = {entry, texts};

	if (mig_subxact_run(parse_down_and_verify, &parse, true) != NULL)
	{
		append_insert(buf, project, entry, texts);
		return;
	}
	appendStringInfo(buf, "SELECT migrate.add(%s,\n    up => ",
					 quote_literal_cstr(entry->version));
	append_dollar_quoted(buf, texts->up);
	appendStringInfoString(buf, ",\n    down => ");
	append_dollar_quoted(buf, texts->down);
	appendStringInfoString(buf, ",\n    verify => ");
	append_dollar_quoted(buf, texts->verify);
	appendStringInfo(buf, ",\n    name => %s, requires => ",
					 quote_literal_cstr(entry->name));
	append_requires(buf, entry);
	appendStringInfo(buf, ",\n    kind => '%s', irreversible => %s, transactional => %s, project => %s);\n",
					 entry->kind == MIG_REPEATABLE ? "repeatable" : "versioned",
					 entry->irreversible ? "true" : "false",
					 entry->transactional == MIG_TX_RECOGNISE ? "null" :
					 entry->transactional == MIG_TX_ON ? "true" : "false",
					 quote_literal_cstr(project));
}

/*
 * psql reads string literals as the setting of its session says, and a body may
 * change that from within a function.
 */
static void
append_string_syntax(StringInfo buf)
{
	appendStringInfoString(buf, "SET standard_conforming_strings = on;\n");
}

static void
append_body(StringInfo buf, const MigBody *body)
{
	int			i;

	for (i = 0; i < body->nstatements; i++)
	{
		const MigStatement *statement = &body->statements[i];
		char	   *sql = pnstrdup(body->text + statement->location,
								   statement->length);

		/* a comment at the end would swallow the semicolon */
		appendStringInfo(buf, "%s%s;\n", sql, strstr(sql, "--") ? "\n" : "");
		if (statement->log_level != LOGSTMT_DDL)
			append_string_syntax(buf);
	}
}

static void
append_books(StringInfo buf, const char *project, const MigEntry *entry,
			 MigPart part)
{
	if (part == MIG_UP)
		appendStringInfo(buf, "SELECT version, action FROM migrate.stamp(%s, note => 'script', how => 'apply', project => %s);\n",
						 quote_literal_cstr(entry->version),
						 quote_literal_cstr(project));
	else
		appendStringInfo(buf, "SELECT version, action FROM migrate.unstamp(%s, note => 'script', confirm => pg_catalog.current_database(), project => %s);\n",
						 quote_literal_cstr(entry->version),
						 quote_literal_cstr(project));
}

static void
append_step(StringInfo buf, const char *project, MigEntry *entry,
			MigPart part, const char *search_path)
{
	MigTexts   *texts = mig_ledger_texts(project, &entry, 1);
	MigLabel	label;
	const char *text = part == MIG_UP ? texts->up : texts->down;
	MigBody    *body;
	bool		own;

	mig_label_of_entry(&label, entry, part, false);
	body = mig_body_parse(text, &label);
	own = mig_body_own_transaction(body) != NULL;
	if (part == MIG_UP && entry->transactional != MIG_TX_RECOGNISE)
		own = entry->transactional == MIG_TX_OFF;

	appendStringInfo(buf, "\n-- %s of migration %s\n",
					 part == MIG_UP ? "apply" : "rollback",
					 quote_identifier(entry->version));
	if (!own)
		appendStringInfoString(buf, "BEGIN;\n");
	if (part == MIG_UP)
		append_add(buf, project, entry, texts);
	appendStringInfo(buf, "SELECT pg_catalog.set_config('search_path', %s, false);\n",
					 quote_literal_cstr(search_path));
	append_body(buf, body);
	append_books(buf, project, entry, part);
	if (!own)
		appendStringInfoString(buf, "COMMIT;\n");
	appendStringInfoString(buf, "RESET ALL;\n");
	append_string_syntax(buf);
}

char *
mig_script(const char *project_name, const char *from, const char *to)
{
	int			count;
	MigEntry   *entries = mig_ledger_entries(project_name, false, &count);
	MigProject *project = mig_plan_project(project_name, entries, count, true);
	MigPolicy  *policy = mig_ledger_policy(project_name);
	bool	   *before = mig_plan_up_to(project, from);
	bool	   *after = mig_plan_up_to(project, to);
	bool	   *held = mig_plan_held(project, false);
	List	   *lacking = NIL;
	StringInfoData buf;
	int			i;

	for (i = count - 1; i >= 0; i--)
	{
		MigEntry   *entry = project->order[i];
		int			index = entry - entries;

		if (entry->stored && !entry->has_down && before[index] && !after[index])
			lacking = lappend(lacking, entry->version);
	}
	mig_refuse_without_down(lacking, "A script can only go back over migrations that have one.");

	initStringInfo(&buf);
	appendStringInfo(&buf, "-- migrations of project %s, from %s to %s\n"
					 "-- psql -X -v ON_ERROR_STOP=1 -f THIS_FILE\n"
					 "\\set ON_ERROR_STOP on\n",
					 quote_identifier(project_name), quote_identifier(from),
					 quote_identifier(to));
	append_string_syntax(&buf);
	for (i = count - 1; i >= 0; i--)
	{
		MigEntry   *entry = project->order[i];
		int			index = entry - entries;

		if (entry->stored && before[index] && !after[index])
			append_step(&buf, project_name, entry, MIG_DOWN,
						policy->search_path);
	}
	for (i = 0; i < count; i++)
	{
		MigEntry   *entry = project->order[i];
		int			index = entry - entries;

		if (!entry->stored || before[index] || !after[index])
			continue;
		if (held[index])
			appendStringInfo(&buf, "\n-- migration %s is held, or requires one that is\n",
							 quote_identifier(entry->version));
		else
			append_step(&buf, project_name, entry, MIG_UP,
						policy->search_path);
	}
	return buf.data;
}
