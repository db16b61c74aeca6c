/*-------------------------------------------------------------------------
 *
 * lint.c
 *	  What is wrong with the migrations that are pending.
 *
 * Each body is parsed by the server's own parser, and its statements go by one
 * after the other: all rules look at a statement, and then the model of the
 * database (lint/model.c) takes in what it does.  A down body is looked at
 * right after its up body, in a copy of the model that is thrown away.
 *
 * Takes no lock and writes nothing, so it works on a standby.  Bodies are read
 * as the tables' owner; findings contain names of relations, columns
 * and the like but never a literal, since the privilege look does not include
 * reading bodies.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_constraint.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "ledger/applied.h"
#include "ledger/migration.h"
#include "ledger/policy.h"
#include "ledger/project_names.h"
#include "lint/lint.h"
#include "lint/rules.h"
#include "lint/verify.h"
#include "plan/project.h"
#include "source/trial_parse.h"

/* limits of what is read at once; one body may be larger than that */
#define LOADED_MIGRATIONS 512
#define LOADED_BYTES (1024 * 1024)

/* secrets that are reported of one body, and findings in one error */
#define MAX_SECRETS 20
#define MAX_IN_DETAIL 10

static const MigLintRule *const statement_rules[] = {
	mig_rules_index,
	mig_rules_constraint,
	mig_rules_column,
	mig_rules_drop,
	mig_rules_type,
	mig_rules_name,
	mig_rules_run
};

/* the rules of tables, in one array: a body may have very many statements */
typedef struct Rules
{
	int			count;
	const MigLintRule *rules[100];
} Rules;

/* the rules about statements, in the order in which they are asked */
static void
collect_rules(Rules *rules)
{
	const MigLintRule *rule;
	int			i;

	rules->count = 0;
	for (i = 0; i < lengthof(statement_rules); i++)
	{
		for (rule = statement_rules[i]; rule->id != NULL; rule++)
		{
			if (rules->count == lengthof(rules->rules))
				elog(ERROR, "too many rules");
			rules->rules[rules->count++] = rule;
		}
	}
}

/* of all rules, those about whole migrations too: what may be switched off */
static List *
rule_ids(const Rules *rules)
{
	List	   *ids = NIL;
	const MigLintRule *rule;
	int			i;

	for (i = 0; i < rules->count; i++)
		ids = lappend(ids, (char *) rules->rules[i]->id);
	for (rule = mig_rules_migration; rule->id != NULL; rule++)
		ids = lappend(ids, (char *) rule->id);
	return ids;
}


/*
 * One body
 */

/* the rules there are among those that a comment names, each once */
static List *
add_off(const MigLint *lint, List *off, const MigLintOff *comment)
{
	ListCell   *lc;

	foreach(lc, comment->rules)
	{
		CHECK_FOR_INTERRUPTS();
		if (mig_lint_is_in(lint->known_rules, lfirst(lc)) &&
			!mig_lint_is_in(off, lfirst(lc)))
			off = lappend(off, lfirst(lc));
	}
	return off;
}

/*
 * Rules that comments before the statement, or in it, switch off, and those for
 * the whole body.  The comments come in the order of the text, and so do the
 * statements: *next is the first comment that has not been looked at.
 */
static List *
rules_off(const MigLint *lint, List *off_whole, int to, int *next)
{
	List	   *off = off_whole == NIL ? NIL : list_copy(off_whole);

	for (; *next < list_length(lint->text->offs); (*next)++)
	{
		const MigLintOff *comment = list_nth(lint->text->offs, *next);

		if (comment->location >= to)
			break;
		if (!comment->whole)
			off = add_off(lint, off, comment);
	}
	return off;
}

/*
 * A commit ends what is held and what cannot be used yet: that of a statement,
 * for those before it and those after it, and one between two.
 */
static void
cut_transaction(MigLint *lint, bool commits)
{
	if (!commits && mig_lint_in_transaction(lint))
		return;
	lint->locks = NIL;
	lint->altered = NIL;
	lint->model->transaction++;
}

/*
 * Let the foreign keys that the plan has made follow the new name of a table
 * or column.
 */
static void
rename_in_keys(MigLint *lint, const RenameStmt *stmt)
{
	MigLintRel *rel;
	ListCell   *lc;
	ListCell   *lc2;

	if (stmt->renameType == OBJECT_TABLE)
		rel = mig_model_find(lint->model, stmt->relation->schemaname,
							 stmt->newname);
	else if (stmt->renameType == OBJECT_COLUMN)
		rel = mig_model_range(lint->model, stmt->relation);
	else
		return;
	foreach(lc, rel ? lint->foreign_keys : NIL)
	{
		MigLintForeignKey *key = (MigLintForeignKey *) lfirst(lc);

		if (key->rel == NULL || key->rel->id != rel->id)
			continue;
		key->rel = rel;
		foreach(lc2, key->columns)
		{
			if (stmt->renameType == OBJECT_COLUMN &&
				strcmp(lfirst(lc2), stmt->subname) == 0)
				lfirst(lc2) = MemoryContextStrdup(lint->context, stmt->newname);
		}
	}
}

/* keep up with tables that are made and renamed after their foreign keys */
static void
follow_foreign_keys(MigLint *lint, Node *stmt)
{
	ListCell   *lc;

	if (lint->foreign_keys == NIL || lint->part != MIG_UP)
		return;
	if (IsA(stmt, CreateStmt))
	{
		foreach(lc, lint->foreign_keys)
		{
			MigLintForeignKey *key = (MigLintForeignKey *) lfirst(lc);

			/* one of a table that is nowhere has no name to look for */
			if (key->rel == NULL && key->table != NULL)
				key->rel = mig_model_find(lint->model, key->schema, key->table);
		}
	}
	else if (IsA(stmt, RenameStmt))
		rename_in_keys(lint, (RenameStmt *) stmt);
}

/*
 * Does the statement go down to the tables that inherit from the one that it
 * names?  Partitions are part of their table in any case.
 */
static bool
reaches_children(Node *stmt)
{
	RangeVar   *range = NULL;

	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			range = ((AlterTableStmt *) stmt)->relation;
			break;
		case T_UpdateStmt:
			range = ((UpdateStmt *) stmt)->relation;
			break;
		case T_DeleteStmt:
			range = ((DeleteStmt *) stmt)->relation;
			break;
		case T_TruncateStmt:
			range = linitial(((TruncateStmt *) stmt)->relations);
			break;
		case T_LockStmt:
			range = linitial(((LockStmt *) stmt)->relations);
			break;
		case T_RenameStmt:
			range = ((RenameStmt *) stmt)->relation;
			break;
		default:
			break;
	}
	return range != NULL && range->inh;
}

/*
 * Ask the rules about the state before the statement, then take the model past
 * it.
 */
static void
lint_statement(MigLint *lint, const Rules *rules, Node *stmt)
{
	NodeTag		tag = nodeTag(stmt);
	bool		with_children = reaches_children(stmt);
	int			i;

	lint->takes_long = MIG_LINT_NONE;
	cut_transaction(lint, lint->body->statements[lint->statement].starts_transaction);
	for (i = 0; i < rules->count; i++)
	{
		const MigLintRule *rule = rules->rules[i];

		if (rule->tag != T_Invalid && rule->tag != tag)
			continue;
		lint->rule = rule;
		lint->model->with_children = with_children;
		rule->check(lint, stmt);
	}
	lint->model->with_children = false;
	mig_model_apply(lint->model, stmt);
	follow_foreign_keys(lint, stmt);
	cut_transaction(lint, false);
}

/* remember the rules that comments name, for lint-off-unknown at the end */
static void
note_offs(MigLint *lint)
{
	MemoryContext old = MemoryContextSwitchTo(lint->context);
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, lint->text->offs)
		foreach(lc2, ((MigLintOff *) lfirst(lc))->rules)
		lint->offs_seen = lappend(lint->offs_seen, pstrdup(lfirst(lc2)));
	MemoryContextSwitchTo(old);
}

/* false, and the rule "body-refused" knows, if no run will ever take the body */
static bool
lint_refused_body(MigLint *lint, const char *text)
{
	MigLabel	label;
	MigBody    *body;
	ErrorData  *edata;

	mig_body_label_of_entry(&label, lint->entry, lint->part, true);
	edata = mig_trial_parse(text, &label, &body, &lint->trees);
	if (edata != NULL)
	{
		lint->refused[lint->part] = pstrdup(unpack_sql_state(edata->sqlerrcode));

		/* what it would make, or drop, is not known */
		lint->model->opaque = true;
		return false;
	}
	lint->body = body;
	return true;
}

/*
 * Show the statements of a body to the rules, with the suppressions of its
 * comments, one after the other: what each does is in the model when the next
 * one comes.
 */
static void
check_body(MigLint *lint, const Rules *rules, const char *text, MigPart part)
{
	List	   *off_whole = NIL;
	int			next_off = 0;
	ListCell   *lc;

	lint->part = part;
	lint->off = NIL;
	if (!lint_refused_body(lint, text))
		return;
	if (part == MIG_UP)
		lint->empty = lint->trees == NIL;
	else
		lint->down_empty = lint->trees == NIL && !lint->empty;
	lint->text = mig_lint_text_scan(lint->body->text);
	lint->secret_what = mig_lint_text_secret(lint->body->text, 0,
											 &lint->secret_location);
	lint->secrets = MAX_SECRETS;
	lint->locks = lint->altered = NIL;
	lint->cuts = 0;
	lint->statement = 0;
	note_offs(lint);
	foreach(lc, lint->text->offs)
	{
		const MigLintOff *comment = (const MigLintOff *) lfirst(lc);

		if (comment->whole)
			off_whole = add_off(lint, off_whole, comment);
	}
	mig_model_begin_body(lint->model, lint->step);
	foreach(lc, lint->trees)
	{
		const MigStatement *statement =
			&lint->body->statements[lint->statement];

		CHECK_FOR_INTERRUPTS();
		lint->off = rules_off(lint, off_whole,
							  statement->location + statement->length,
							  &next_off);
		lint_statement(lint, rules, lfirst_node(RawStmt, lc)->stmt);
		lint->statement++;
	}
	lint->off = off_whole;
	lint->statement = -1;
}


/*
 * One migration
 */

/* one that cannot be parsed is named by the load, and by each run */
static bool
verify_passes(const MigEntry *entry, const char *text)
{
	MigLabel	label;
	MigBody    *body;
	List	   *trees;

	if (text == NULL)
		return false;
	mig_body_label_of_entry(&label, entry, MIG_VERIFY, true);
	return mig_trial_parse(text, &label, &body, &trees) == NULL &&
		mig_verify_always_passes(trees, label.verify_by_errors);
}

/*
 * Check both bodies of a migration; the model goes on from the up body alone.
 */
static void
check_migration(MigLint *lint, const Rules *rules, const MigTexts *texts,
				bool downs)
{
	const MigLintRule *rule;
	List	   *off;

	lint->lost = NIL;
	lint->offs_seen = NIL;
	lint->empty = lint->down_empty = false;
	lint->verify_passes = verify_passes(lint->entry, texts->verify);
	memset(lint->refused, 0, sizeof(lint->refused));
	check_body(lint, rules, texts->up, MIG_UP);
	off = lint->off;
	if (downs && texts->down != NULL)
	{
		mig_model_begin_aside(lint->model);
		check_body(lint, rules, texts->down, MIG_DOWN);
		mig_model_end_aside(lint->model);
	}
	lint->body = NULL;
	lint->off = off;
	for (rule = mig_rules_migration; rule->id != NULL; rule++)
	{
		lint->rule = rule;
		rule->check(lint, NULL);
	}
	lint->off = NIL;
}

/*
 * How many steps from first on are read together: at least one, however long.
 */
static int
lint_window_size(const MigPlan *plan, int first)
{
	int64		bytes = 0;
	int			count = 0;

	while (first + count < plan->nsteps && count < LOADED_MIGRATIONS)
	{
		bytes += plan->steps[first + count]->length;
		if (count > 0 && bytes > LOADED_BYTES)
			break;
		count++;
	}
	return count;
}

/* check the migrations of a plan; their texts are read some at a time */
static void
check_plan(MigLint *lint, const Rules *rules, bool downs)
{
	MemoryContext loaded = AllocSetContextCreate(lint->context,
												 "migrate lint chunk",
												 ALLOCSET_DEFAULT_SIZES);
	MemoryContext one = AllocSetContextCreate(lint->context,
											  "migrate lint migration",
											  ALLOCSET_DEFAULT_SIZES);
	int			first;
	int			count;
	int			i;

	for (first = 0; first < lint->plan->nsteps; first += count)
	{
		MigTexts   *texts;

		MemoryContextReset(loaded);
		MemoryContextSwitchTo(loaded);
		count = lint_window_size(lint->plan, first);
		texts = mig_migration_texts(lint->project_name,
									&lint->plan->steps[first], count);
		MemoryContextSwitchTo(one);
		for (i = 0; i < count; i++)
		{
			lint->step = first + i;
			lint->entry = lint->plan->steps[first + i];
			check_migration(lint, rules, &texts[i], downs);
			MemoryContextReset(one);
		}
	}
	MemoryContextSwitchTo(lint->context);
}


/*
 * The whole
 */

/* the same names in the same order */
static bool
equal_names(List *a, List *b)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (list_length(a) != list_length(b))
		return false;
	forboth(lc, a, lc2, b)
		if (strcmp(lfirst(lc), lfirst(lc2)) != 0)
		return false;
	return true;
}

/* is it still there, or has the plan dropped it again, or made it twice? */
static bool
has_foreign_key(MigLint *lint, MigLintRel *rel, const MigLintForeignKey *key)
{
	ListCell   *lc;

	foreach(lc, lint->foreign_keys)
	{
		const MigLintForeignKey *other = (MigLintForeignKey *) lfirst(lc);

		if (other == key)
			break;
		if (other->reported == rel && equal_names(other->columns, key->columns))
			return false;
	}
	foreach(lc, mig_model_constraints(lint->model, rel))
	{
		const MigLintConstraint *constraint = (MigLintConstraint *) lfirst(lc);

		if (constraint->kind == CONSTRAINT_FOREIGN &&
			equal_names(constraint->columns, key->columns))
			return true;
	}
	return false;
}

/* at the end of the plan, when all indexes are made */
static void
check_foreign_key(MigLint *lint, MigLintForeignKey *key)
{
	MigLintRel *rel = key->rel;
	IndexStmt  *index = makeNode(IndexStmt);
	MigSeverity severity;
	ListCell   *lc;
	char	   *columns = mig_lint_list(key->columns);

	if (rel == NULL || rel->dropped || !has_foreign_key(lint, rel, key) ||
		mig_lint_has_index(lint, rel, key->columns))
		return;
	key->reported = rel;
	severity = mig_lint_scale(lint, rel);
	foreach(lc, key->columns)
	{
		IndexElem  *element = makeNode(IndexElem);

		element->name = lfirst(lc);
		index->indexParams = lappend(index->indexParams, element);
	}
	mig_lint_report_at(lint, &key->finding, Max(severity, MIG_LINT_NOTE), rel,
					   psprintf("there is no index on %s (%s): each row that is deleted or gets another key in the referenced table reads all of %s",
								mig_lint_name(lint, rel), columns,
								mig_lint_name(lint, rel)),
					   mig_lint_concurrent_index(lint, index, rel));
}

/* one finding for all migrations, at the first of them */
static void
check_downs(MigLint *lint)
{
	const MigLintDowns *downs = &lint->downs;
	int			count = list_length(downs->versions);

	if (count == 0)
		return;
	mig_lint_report_at(lint, &downs->first, lint->policy->require_down ?
					   MIG_LINT_ERROR : MIG_LINT_NOTE, NULL,
					   count == 1 ?
					   "there is no down body: the migration cannot be rolled back" :
					   psprintf("there is no down body, here and in other migrations: %s cannot be rolled back",
								mig_error_name_list(downs->versions)),
					   downs->marked ?
					   "Write one, or mark the migration with -- migrate:irreversible." :
					   "Write one.");
}

/* what is about no migration */
static void
check_project(MigLint *lint)
{
	static const MigLintRule unknown = {"lint-off-unknown", false, false, T_Invalid, NULL};
	ListCell   *lc;
	int			i;

	lint->entry = NULL;
	lint->step = -1;
	lint->off = NIL;
	foreach(lc, lint->foreign_keys)
		check_foreign_key(lint, lfirst(lc));
	check_downs(lint);
	lint->rule = &unknown;
	for (i = 0; i < lint->policy->nlint_off; i++)
	{
		bool		known = false;

		foreach(lc, lint->known_rules)
			known = known ||
			strcmp(lfirst(lc), lint->policy->lint_off[i]) == 0;
		if (!known)
			mig_lint_report(lint, MIG_LINT_WARNING, NULL,
							psprintf("migrate.policy switches off rule %s, which does not exist",
									 quote_identifier(lint->policy->lint_off[i])),
							"doc/lint.md lists the rules.");
	}
}

/*
 * By migration, body and statement, in the order in which they were reported.
 */
static int
compare_findings(const ListCell *a, const ListCell *b)
{
	const MigFinding *left = (MigFinding *) lfirst(a);
	const MigFinding *right = (MigFinding *) lfirst(b);
	int			left_part = left->part == NULL ? 2 :
		(left->part[0] == 'u' ? 0 : 1);
	int			right_part = right->part == NULL ? 2 :
		(right->part[0] == 'u' ? 0 : 1);

	if (left->step != right->step)
		return left->step < right->step ? -1 : 1;
	if (left_part != right_part)
		return left_part - right_part;
	if (left->statement != right->statement)
		return left->statement - right->statement;
	return left->sequence - right->sequence;
}

/* findings in the current memory context */
static List *
lint_plan(const char *name, MigProject *project, MigPlan *plan,
		  MigPolicy *policy, bool downs)
{
	MigLint    *lint = palloc0(sizeof(MigLint));
	MemoryContext old = CurrentMemoryContext;
	Rules		rules;

	collect_rules(&rules);
	lint->context = CurrentMemoryContext;
	lint->project_name = name;
	lint->project = project;
	lint->plan = plan;
	lint->policy = policy;
	lint->model = mig_model_new(policy->search_path);
	lint->known_rules = rule_ids(&rules);
	lint->counted = -1;
	check_plan(lint, &rules, downs);
	check_project(lint);
	list_sort(lint->findings, compare_findings);
	MemoryContextSwitchTo(old);
	return lint->findings;
}

List *
mig_lint(const char *project_name, const char *target, bool restricted,
		 List *versions)
{
	MigPolicy  *policy = mig_policy_read(project_name);
	MigPolicy	lenient = *policy;
	MigProject *project = mig_project_read_all(project_name, false, true);
	MigPlan    *plan;

	if (project->count == 0)
		mig_project_names_tell_empty(project_name, WARNING);
	lenient.allow_out_of_order = true;
	lenient.require_down = false;
	plan = mig_plan_up(project, target, restricted, versions, &lenient,
					   mig_applied_exists);
	return lint_plan(project_name, project, plan, policy, true);
}

const char *
mig_lint_severity_name(MigSeverity severity)
{
	switch (severity)
	{
		case MIG_LINT_ERROR:
			return "error";
		case MIG_LINT_WARNING:
			return "warning";
		default:
			return "note";
	}
}

char *
mig_lint_link(const char *rule)
{
	return psprintf("doc/lint.md#%s", rule);
}


/*
 * Before a run
 */

/* migration "003" (003_a.sql:4): ... (rule) */
static char *
describe_finding(const MigFinding *finding)
{
	if (finding->line == 0)
		return psprintf("migration \"%s\": %s (%s)",
						finding->version ? finding->version : "",
						finding->message, finding->rule);
	if (finding->path != NULL)
		return psprintf("migration \"%s\" (%s:%d): %s (%s)", finding->version,
						finding->path, finding->line, finding->message,
						finding->rule);
	return psprintf("migration \"%s\" line %d: %s (%s)", finding->version,
					finding->line, finding->message, finding->rule);
}

/* an error if one of them has severity error; names the first few */
static void
refuse_findings(List *findings)
{
	StringInfoData detail;
	ListCell   *lc;
	int			errors = 0;

	initStringInfo(&detail);
	foreach(lc, findings)
	{
		MigFinding *finding = (MigFinding *) lfirst(lc);

		if (finding->severity != MIG_LINT_ERROR)
			continue;
		if (++errors <= MAX_IN_DETAIL)
			appendStringInfo(&detail, "%s%s", errors > 1 ? "\n" : "",
							 describe_finding(finding));
	}
	if (errors == 0)
		return;
	if (errors > MAX_IN_DETAIL)
		appendStringInfo(&detail, "\nand %d more", errors - MAX_IN_DETAIL);
	ereport(ERROR,
			(errcode(MIG_ERRCODE_LINT),
			 errmsg_plural("the linter has found %d error in what is to be applied",
						   "the linter has found %d errors in what is to be applied",
						   errors, errors),
			 errdetail("%s", detail.data),
			 errhint("migrate.lint() says what to do instead.  A rule is switched off by a comment -- migrate:lint-off RULE before the statement, or in lint_off of migrate.policy.")));
}

void
mig_lint_before_run(const char *name, MigProject *project, MigPlan *plan,
					MigPolicy *policy)
{
	MemoryContext context;
	MemoryContext old;
	List	   *findings;
	ListCell   *lc;

	if (policy->lint == MIG_LINT_OFF)
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "migrate lint",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	findings = lint_plan(name, project, plan, policy, false);
	if (policy->lint == MIG_LINT_REFUSE)
		refuse_findings(findings);
	foreach(lc, findings)
	{
		MigFinding *finding = (MigFinding *) lfirst(lc);

		if (finding->severity != MIG_LINT_NOTE)
			ereport(WARNING,
					(errmsg("%s", describe_finding(finding)),
					 finding->instead ? errhint("%s", finding->instead) : 0));
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
