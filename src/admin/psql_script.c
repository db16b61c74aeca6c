/*-------------------------------------------------------------------------
 *
 * psql_script.c
 *	  A plan as SQL for psql.
 *
 * The script stores the texts and has them applied by the extension that is
 * there.  Whoever runs it runs it on a machine of his own, where psql has
 * commands that the server has not, and what a body does to the session can
 * change how psql reads the next line.  So no text is a part of the script: each
 * is a literal of printable ASCII without a quote or a backslash of its own,
 * which every psql and every server reads alike, whatever their settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "admin/psql_script.h"
#include "base/errors.h"
#include "ledger/migration.h"
#include "plan/plan.h"
#include "plan/project.h"
#include "source/body.h"

typedef struct ScriptBuilder
{
	const char *project;
	StringInfoData texts;		/* statements that store them */
	StringInfoData versions;	/* an array of those that are run */
	int			count;			/* in it */
	bool		each;			/* by apply_each() or rollback_each() */
	bool		each_if_needed; /* if a body cannot run in a transaction */
	MemoryContext scratch;		/* one migration */
} ScriptBuilder;

/* a literal, a line of the text on each of its lines; NULL is null */
static void
append_literal(StringInfo buf, const char *text)
{
	const unsigned char *p;

	if (text == NULL)
	{
		appendStringInfoString(buf, "null");
		return;
	}
	appendStringInfoString(buf, "E'");
	for (p = (const unsigned char *) text; *p; p++)
	{
		CHECK_FOR_INTERRUPTS();
		if (*p == '\n')
			appendStringInfoString(buf, p[1] ? "\\n'\n        '" : "\\n");
		else if (*p < ' ' || *p > '~' || *p == '\'' || *p == '\\')
			appendStringInfo(buf, "\\x%02x", *p);
		else
			appendStringInfoChar(buf, *p);
	}
	appendStringInfoChar(buf, '\'');
}

/* for people: what is not printable ASCII is not shown */
static void
append_comment(StringInfo buf, const char *text)
{
	const unsigned char *p;

	for (p = (const unsigned char *) text; *p; p++)
		appendStringInfoChar(buf, *p < ' ' || *p > '~' || *p == '\\' ?
							 '?' : *p);
}

/* an argument on a line of its own, unless it is null */
static void
append_argument_line(StringInfo buf, const char *name, const char *text)
{
	if (text == NULL)
		return;
	appendStringInfo(buf, ",\n    %s => ", name);
	append_literal(buf, text);
}

/* as an argument of add(); nothing if it requires nothing */
static void
append_requires(StringInfo buf, const MigEntry *entry)
{
	int			i;

	if (entry->nrequires == 0)
		return;
	appendStringInfoString(buf, ",\n    requires => ARRAY[");
	for (i = 0; i < entry->nrequires; i++)
	{
		if (i > 0)
			appendStringInfoString(buf, ", ");
		append_literal(buf, entry->requires[i]);
	}
	appendStringInfoString(buf, "]::pg_catalog.text[]");
}

static void
add_json_name(StringInfo json, const char *name)
{
	appendStringInfo(json, "%s\"%s\": ", json->len > 1 ? ", " : "", name);
}

static void
add_json_text(StringInfo json, const char *name, const char *text)
{
	if (text == NULL)
		return;
	add_json_name(json, name);
	escape_json(json, text);
}

/* where the texts come from, and whose they are */
static void
append_provenance(StringInfo buf, const MigEntry *entry, const MigTexts *texts)
{
	StringInfoData json;
	int			part;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	add_json_text(&json, "path", entry->path);
	add_json_text(&json, "down_path", entry->down_path);
	add_json_text(&json, "verify_path", entry->verify_path);
	add_json_text(&json, "source", texts->source);
	for (part = MIG_UP; part <= MIG_VERIFY; part++)
	{
		const char *name = mig_body_part_name(part);

		if (entry->lines[part] > 0)
		{
			add_json_name(&json, psprintf("%s_line", name));
			appendStringInfo(&json, "%d", entry->lines[part]);
		}
		if (mig_migration_texts_part(texts, part) == NULL)
			continue;
		add_json_text(&json, psprintf("%s_author", name),
					  texts->authors[part].name);
		add_json_name(&json, psprintf("%s_trusted", name));
		appendStringInfoString(&json, texts->authors[part].trusted ?
							   "true" : "false");
	}
	appendStringInfoChar(&json, '}');
	append_argument_line(buf, "provenance", json.data);
}

/*
 * The call of add() that stores the migration as it is here, author and origin
 * included.
 */
static void
append_add(StringInfo buf, const char *project, const MigEntry *entry,
		   const MigTexts *texts)
{
	appendStringInfoString(buf, "\n-- ");
	append_comment(buf, entry->version);
	if (entry->name[0] != '\0')
		appendStringInfoChar(buf, ' ');
	append_comment(buf, entry->name);
	appendStringInfoString(buf, "\nSELECT migrate.add(version => ");
	append_literal(buf, entry->version);
	append_argument_line(buf, "up", texts->up);
	append_argument_line(buf, "down", texts->down);
	append_argument_line(buf, "verify", texts->verify);
	append_argument_line(buf, "name", entry->name);
	append_requires(buf, entry);
	if (entry->kind == MIG_REPEATABLE)
		append_argument_line(buf, "kind", "repeatable");
	if (entry->irreversible)
		appendStringInfoString(buf, ",\n    irreversible => true");
	if (entry->transactional != MIG_TX_RECOGNIZE)
		appendStringInfo(buf, ",\n    transactional => %s",
						 entry->transactional == MIG_TX_ON ? "true" : "false");
	append_argument_line(buf, "project", project);
	append_provenance(buf, entry, texts);
	appendStringInfoString(buf, ");\n");
}

/* can a down body not run in a transaction block? */
static bool
runs_alone(const MigEntry *entry, const MigTexts *texts)
{
	MigLabel	label;

	mig_body_label_of_entry(&label, entry, MIG_DOWN, false);
	return mig_body_own_transaction(mig_body_parse(texts->down,
												   &label)) != NULL;
}

/*
 * Texts are read one migration at a time, into memory that is reset after
 * each.
 */
static void
add_step(ScriptBuilder *script, MigEntry *entry)
{
	MemoryContext old = MemoryContextSwitchTo(script->scratch);
	MigTexts   *texts = mig_migration_texts(script->project, &entry, 1);

	if (script->each_if_needed && runs_alone(entry, texts))
		script->each = true;
	append_add(&script->texts, script->project, entry, texts);
	if (script->count++ > 0)
		appendStringInfoString(&script->versions, ", ");
	append_literal(&script->versions, entry->version);
	MemoryContextSwitchTo(old);
	MemoryContextReset(script->scratch);
}

/*
 * What is applied by one transaction here need not work in one elsewhere, a
 * value that it adds to an enum among it, so the way up is apply_each().  The
 * way down is rollback() if it can be: it undoes what it names, and
 * rollback_each() whatever comes after the target.
 */
static void
begin_script(ScriptBuilder *script, const char *project, MigPart part,
			 bool one_transaction)
{
	memset(script, 0, sizeof(ScriptBuilder));
	script->project = project;
	if (!one_transaction)
	{
		script->each = (part == MIG_UP);
		script->each_if_needed = (part == MIG_DOWN);
	}
	initStringInfo(&script->texts);
	initStringInfo(&script->versions);
	script->scratch = AllocSetContextCreate(CurrentMemoryContext,
											"migrate script",
											ALLOCSET_DEFAULT_SIZES);
}

/* store the texts together, then have them run */
static void
append_script(StringInfo buf, const ScriptBuilder *script, MigPart part,
			  const char *to)
{
	if (script->count == 0)
		return;
	appendStringInfo(buf, "\nBEGIN;\n%s\nCOMMIT;\n%s",
					 script->texts.data,
					 script->each ? "CALL" : "SELECT version, action FROM");
	appendStringInfo(buf, " migrate.%s%s(",
					 part == MIG_UP ? "apply" : "rollback",
					 script->each ? "_each" : "");
	if (part == MIG_DOWN && script->each)
	{
		appendStringInfoString(buf, "target => ");
		append_literal(buf, to);
	}
	else
		appendStringInfo(buf, "versions => ARRAY[%s]::pg_catalog.text[]",
						 script->versions.data);
	append_argument_line(buf, "note", "script");
	if (part == MIG_DOWN)
		appendStringInfoString(buf, ",\n    confirm => pg_catalog.current_database()");
	append_argument_line(buf, "project", script->project);
	appendStringInfoString(buf, ");\n");
}

/*
 * Comments, and settings under which the literals that follow mean the same in
 * every session.
 */
static void
append_head(StringInfo buf, const char *project, const char *from,
			const char *to)
{
	appendStringInfoString(buf, "-- migrations of project ");
	append_comment(buf, quote_identifier(project));
	appendStringInfoString(buf, ", from ");
	append_comment(buf, quote_identifier(from));
	appendStringInfoString(buf, " to ");
	append_comment(buf, quote_identifier(to));
	appendStringInfoString(buf, "\n-- psql -X -v ON_ERROR_STOP=1 -f THIS_FILE\n"
						   "\\set ON_ERROR_STOP on\n"
						   "SET standard_conforming_strings = on;\n");
}

char *
mig_psql_script(const char *project_name, const char *from, const char *to,
				bool one_transaction)
{
	MigProject *project = mig_project_read_all(project_name, false, true);
	bool	   *before = mig_plan_up_to(project, from);
	bool	   *after = mig_plan_up_to(project, to);
	bool	   *held = mig_plan_held(project, false);
	List	   *lacking = NIL;
	StringInfoData buf;
	ScriptBuilder script;
	int			i;

	for (i = project->count - 1; i >= 0; i--)
	{
		MigEntry   *entry = project->order[i];
		int			index = entry - project->entries;

		if (entry->stored && !entry->has_down && before[index] && !after[index])
			lacking = lappend(lacking, entry->version);
	}
	mig_error_refuse_without_down(lacking,
								  "A script can only go back over migrations that have one.");

	initStringInfo(&buf);
	append_head(&buf, project_name, from, to);
	begin_script(&script, project_name, MIG_DOWN, one_transaction);
	for (i = project->count - 1; i >= 0; i--)
	{
		MigEntry   *entry = project->order[i];
		int			index = entry - project->entries;

		if (entry->stored && before[index] && !after[index])
			add_step(&script, entry);
	}
	append_script(&buf, &script, MIG_DOWN, to);

	begin_script(&script, project_name, MIG_UP, one_transaction);
	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = project->order[i];
		int			index = entry - project->entries;

		if (!entry->stored || before[index] || !after[index])
			continue;
		if (!held[index])
		{
			add_step(&script, entry);
			continue;
		}
		appendStringInfoString(&buf, "\n-- migration ");
		append_comment(&buf, quote_identifier(entry->version));
		appendStringInfoString(&buf, " is held, or requires one that is\n");
	}
	append_script(&buf, &script, MIG_UP, to);
	return buf.data;
}
