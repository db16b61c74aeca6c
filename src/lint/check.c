/*-------------------------------------------------------------------------
 *
 * check.c
 *	  What the rules of the linter have in common.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "lint/check.h"

bool
mig_lint_is_in(List *strings, const char *string)
{
	ListCell   *lc;

	foreach(lc, strings)
	{
		if (strcmp(lfirst(lc), string) == 0)
			return true;
	}
	return false;
}

bool
mig_lint_is_on(MigLint *lint, const char *rule)
{
	int			i;

	for (i = 0; i < lint->policy->nlint_off; i++)
	{
		if (strcmp(lint->policy->lint_off[i], rule) == 0)
			return false;
	}
	return !mig_lint_is_in(lint->off, rule);
}

void
mig_lint_place(const MigLint *lint, MigFinding *finding)
{
	MigLabel	label;

	memset(finding, 0, sizeof(MigFinding));
	finding->rule = lint->rule->id;
	finding->step = lint->step;
	if (lint->entry == NULL)
		return;
	finding->version = lint->entry->version;
	finding->name = lint->entry->name;
	if (lint->body == NULL)
		return;
	finding->part = mig_body_part_name(lint->part);
	if (lint->statement < 0)
		return;
	finding->statement = lint->statement + 1;
	finding->line = lint->body->statements[lint->statement].line;
	mig_body_label_of_entry(&label, lint->entry, lint->part, true);
	if (label.first_line > 0)
		finding->path = label.path;
}

static char *
copy_or_null(const char *text)
{
	return text ? pstrdup(text) : NULL;
}

void
mig_lint_report_at(MigLint *lint, const MigFinding *place,
				   MigSeverity severity, MigLintRel *rel, const char *message,
				   const char *instead)
{
	MemoryContext old;
	MigFinding *finding;

	if (severity == MIG_LINT_NONE || !mig_lint_is_on(lint, place->rule))
		return;
	old = MemoryContextSwitchTo(lint->context);
	finding = palloc(sizeof(MigFinding));
	*finding = *place;
	finding->severity = severity;
	finding->message = pstrdup(message);
	finding->instead = copy_or_null(instead);
	if (rel != NULL)
	{
		finding->relation = psprintf("%s.%s", quote_identifier(rel->schema),
									 quote_identifier(rel->name));
		if (OidIsValid(rel->oid))
		{
			finding->has_size = true;
			finding->bytes = mig_model_size(lint->model, rel)->bytes;
			finding->rows = mig_model_size(lint->model, rel)->rows;
		}
	}
	finding->sequence = list_length(lint->findings);
	lint->findings = lappend(lint->findings, finding);
	MemoryContextSwitchTo(old);
}

void
mig_lint_report(MigLint *lint, MigSeverity severity, MigLintRel *rel,
				const char *message, const char *instead)
{
	MigFinding	place;

	if (lint->rule->foretells && severity == MIG_LINT_ERROR &&
		lint->model->opaque)
		return;
	if (lint->rule->takes_long)
		lint->takes_long = Max(lint->takes_long, severity);
	mig_lint_place(lint, &place);
	mig_lint_report_at(lint, &place, severity, rel, message, instead);
}

void
mig_lint_takes_long(MigLint *lint, MigLintRel *rel)
{
	MigSeverity severity = mig_lint_scale(lint, rel);

	lint->takes_long = Max(lint->takes_long, severity);
}

void
mig_lint_without_children(MigLint *lint)
{
	lint->model->with_children = false;
}

bool
mig_lint_is_busy(MigLint *lint, MigLintRel *rel)
{
	return rel != NULL && OidIsValid(rel->oid) &&
		mig_model_size(lint->model, rel)->writes >= MIG_LINT_BUSY;
}

bool
mig_lint_is_harmless(MigLint *lint, MigLintRel *rel)
{
	return !mig_model_has_rows(lint->model, rel);
}

MigSeverity
mig_lint_scale(MigLint *lint, MigLintRel *rel)
{
	const MigRelationSize *size;
	MigSeverity severity = MIG_LINT_NOTE;

	if (mig_lint_is_harmless(lint, rel))
		return MIG_LINT_NONE;
	size = mig_model_size(lint->model, rel);
	if (size->live_bytes >= MIG_LINT_LARGE_BYTES ||
		size->rows >= MIG_LINT_LARGE_ROWS)
		return MIG_LINT_ERROR;
	if (size->live_bytes >= MIG_LINT_MEDIUM_BYTES ||
		size->rows >= MIG_LINT_MEDIUM_ROWS)
		severity = MIG_LINT_WARNING;
	if (size->writes >= MIG_LINT_BUSY)
		severity++;
	return severity;
}

MigSeverity
mig_lint_foretold(const MigLint *lint)
{
	return lint->model->opaque ? MIG_LINT_WARNING : MIG_LINT_ERROR;
}

bool
mig_lint_in_transaction(const MigLint *lint)
{
	if (lint->part == MIG_UP && lint->entry->transactional == MIG_TX_OFF)
		return false;
	return lint->body->statements[lint->statement].own_transaction == NULL;
}

const char *
mig_lint_quote(const char *name)
{
	return quote_identifier(name);
}

char *
mig_lint_name(MigLint *lint, const MigLintRel *rel)
{
	if (strcmp(rel->schema, mig_model_target_schema(lint->model)) == 0 ||
		strcmp(rel->schema, "pg_temp") == 0)
		return pstrdup(quote_identifier(rel->name));
	return quote_qualified_identifier(rel->schema, rel->name);
}

char *
mig_lint_how_much(MigLint *lint, MigLintRel *rel)
{
	const MigRelationSize *size = mig_model_size(lint->model, rel);
	StringInfoData text;

	initStringInfo(&text);
	if (size->rows >= 2000000)
		appendStringInfo(&text, "about %.0f million rows", size->rows / 1000000);
	else if (size->rows >= 2000)
		appendStringInfo(&text, "about %.0f thousand rows", size->rows / 1000);
	else
		appendStringInfo(&text, "about %.0f rows", size->rows);
	if (size->bytes >= 10 * 1024 * 1024)
		appendStringInfo(&text, ", " INT64_FORMAT " MB",
						 size->bytes / (1024 * 1024));
	if (size->writes >= MIG_LINT_BUSY)
		appendStringInfo(&text, ", %.0f writes per second", size->writes);
	return text.data;
}

const char *
mig_lint_nobody(LOCKMODE mode)
{
	return mode >= AccessExclusiveLock ?
		"nobody can read or write it" : "nobody can write to it";
}

const char *
mig_lint_new_name(MigLint *lint, const MigLintRel *rel, List *columns,
				  const char *suffix)
{
	return quote_identifier(mig_model_table_new_name(lint->model,
													 unconstify(MigLintRel *, rel),
													 columns, suffix));
}

char *
mig_lint_list(List *names)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, names)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "",
						 quote_identifier(lfirst(lc)));
	return text.data;
}

List *
mig_lint_strings(List *names)
{
	List	   *strings = NIL;
	ListCell   *lc;

	foreach(lc, names)
	{
		if (IsA(lfirst(lc), String))
			strings = lappend(strings, strVal(lfirst(lc)));
	}
	return strings;
}

MigLintRel *
mig_lint_relation(MigLint *lint, Oid relation)
{
	char	   *schema = mig_facts_schema_of(relation);
	char	   *name = mig_facts_relation_name(relation);
	MigLintRel *rel;

	if (schema == NULL || name == NULL)
		return NULL;
	rel = mig_model_find(lint->model, schema, name);
	return rel != NULL && rel->oid == relation ? rel : NULL;
}

List *
mig_lint_commands(Node *stmt)
{
	return IsA(stmt, AlterTableStmt) ? ((AlterTableStmt *) stmt)->cmds : NIL;
}

MigLintRel *
mig_lint_altered(MigLint *lint, Node *stmt)
{
	return mig_model_range(lint->model, ((AlterTableStmt *) stmt)->relation);
}

/* is the condition of the index true wherever none of the columns is null? */
static bool
is_implied(const MigLintIndex *index, List *columns)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, index->implied_by)
	{
		bool		enough = false;

		foreach(lc2, (List *) lfirst(lc))
			enough = enough || mig_lint_is_in(columns, lfirst(lc2));
		if (!enough)
			return false;
	}
	return true;
}

bool
mig_lint_has_index(MigLint *lint, MigLintRel *rel, List *columns)
{
	ListCell   *lc;

	foreach(lc, mig_model_indexes(lint->model, rel))
	{
		MigLintIndex *index = (MigLintIndex *) lfirst(lc);
		int			i = 0;
		ListCell   *lc2;

		if (!index->valid || !is_implied(index, columns) ||
			list_length(index->columns) < list_length(columns))
			continue;
		foreach(lc2, index->columns)
		{
			if (i == list_length(columns) || lfirst(lc2) == NULL ||
				!mig_lint_is_in(columns, lfirst(lc2)))
				break;
			i++;
		}
		if (i >= list_length(columns))
			return true;
	}
	return false;
}

char *
mig_lint_owner_of_index(MigLint *lint, MigLintRel *index, MigLintRel *table)
{
	MigLintConstraint *constraint = table == NULL ? NULL :
		mig_model_constraint(lint->model, table, index->name);

	if (constraint != NULL &&
		(constraint->kind == CONSTRAINT_UNIQUE ||
		 constraint->kind == CONSTRAINT_PRIMARY ||
		 constraint->kind == CONSTRAINT_EXCLUSION))
		return psprintf("constraint %s of %s",
						quote_identifier(constraint->name),
						mig_lint_name(lint, table));
	return OidIsValid(index->oid) ? mig_uses_parent_of_index(index->oid) : NULL;
}
