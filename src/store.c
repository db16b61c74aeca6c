/*-------------------------------------------------------------------------
 *
 * store.c
 *	  Storing migrations: the gate of migrate.migration, add, load, remove,
 *	  amend, hold.
 *
 * The gate is a trigger, so it also guards plain INSERTs, a restore among
 * them.  A row that brings its own, correct checksum has been through a gate
 * before: it is hashed but not parsed, since a body that an older server took
 * may be one that this server's parser refuses, and must not cost the whole
 * ledger.  Whatever the gate lets in, the runner hashes and parses again.
 *
 * Requirements are not looked at by the gate, for rows come in any order; the
 * end of a load and every plan look at them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "books.h"
#include "checksum.h"
#include "errors.h"
#include "guard.h"
#include "journal.h"
#include "ledger.h"
#include "plan.h"
#include "runlock.h"
#include "statement.h"
#include "store.h"
#include "subxact.h"

/* columns of migrate.migration, in order */
typedef enum MigrationColumn
{
	M_PROJECT,
	M_VERSION,
	M_NAME,
	M_KIND,
	M_UP,
	M_DOWN,
	M_VERIFY,
	M_REQUIRES,
	M_TRANSACTIONAL,
	M_IRREVERSIBLE,
	M_PATH,
	M_DOWN_PATH,
	M_VERIFY_PATH,
	M_UP_LINE,
	M_DOWN_LINE,
	M_VERIFY_LINE,
	M_SOURCE,
	M_CHECKSUM,
	M_DOWN_CHECKSUM,
	M_ADDED_AT,
	M_ADDED_BY,
	M_HELD_REASON,
	M_NCOLUMNS
} MigrationColumn;

typedef struct MigrationRow
{
	Datum		values[M_NCOLUMNS];
	bool		nulls[M_NCOLUMNS];
} MigrationRow;

/*
 * What a function of this file tells the gate about the statement that it is
 * running: that it has parsed the bodies itself (an error raised in there
 * would quote that statement), and that an applied text may change.
 */
static bool bodies_parsed = false;
static bool amending = false;


/*
 * The gate
 */

static MigrationRow *
deform(Relation rel, HeapTuple tuple)
{
	MigrationRow *row = palloc(sizeof(MigrationRow));

	mig_books_check_columns(rel->rd_rel->relname.data,
							RelationGetDescr(rel)->natts, M_NCOLUMNS);
	heap_deform_tuple(tuple, RelationGetDescr(rel), row->values, row->nulls);
	return row;
}

static char *
get_text(const MigrationRow *row, MigrationColumn column)
{
	return row->nulls[column] ? NULL :
		TextDatumGetCString(row->values[column]);
}

static void
set_text(MigrationRow *row, MigrationColumn column, const char *string)
{
	row->nulls[column] = (string == NULL);
	row->values[column] = string ? CStringGetTextDatum(string) : (Datum) 0;
}

static bool
same_string(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

/* raise what is wrong with a body, NULL if there is none */
static void
parse_body(const MigLabel *label, const char *text)
{
	if (text != NULL)
		(void) mig_body_parse(text, label);
}

static void
parse_source_body(const MigSource *source, MigPart part, const char *text)
{
	MigLabel	label;

	mig_label_of_source(&label, source, part);
	parse_body(&label, text);
}

typedef struct BodyToParse
{
	const MigSource *source;
	MigPart		part;
	const char *text;
} BodyToParse;

static void
parse_in_subtransaction(void *arg)
{
	BodyToParse *body = (BodyToParse *) arg;

	parse_source_body(body->source, body->part, body->text);
}

/*
 * Parse a body that another tool has had for years, perhaps without ever
 * running it: what is wrong with it is a warning, not the end of the load.
 * A call that would run it is refused with the error.
 */
static void
try_body(const MigSource *source, MigPart part, const char *text)
{
	BodyToParse body = {source, part, text};
	ErrorData  *edata = mig_subxact_run(parse_in_subtransaction, &body, true);
	MigLabel	label;

	if (edata == NULL)
		return;
	if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(edata);
	mig_label_of_source(&label, source, part);
	ereport(WARNING,
			(errcode(edata->sqlerrcode),
			 errmsg("the %s body of migration \"%s\" (%s) cannot be run: %s",
					mig_part_name(part), source->version, label.path,
					edata->message),
			 edata->detail ? errdetail("%s", edata->detail) : 0));
}

/* are these files in a form that is ours? */
static bool
is_own_convention(const MigSource *source)
{
	return source->source == NULL || strcmp(source->source, "native") == 0 ||
		strcmp(source->source, "plain") == 0 ||
		strcmp(source->source, "name") == 0;
}

static void
parse_source(const MigSource *source)
{
	parse_source_body(source, MIG_UP, source->up);
	if (is_own_convention(source))
	{
		parse_source_body(source, MIG_DOWN, source->down);
		parse_source_body(source, MIG_VERIFY, source->verify);
	}
	else
	{
		try_body(source, MIG_DOWN, source->down);
		try_body(source, MIG_VERIFY, source->verify);
	}
}

static void
parse_row(const MigrationRow *row)
{
	MigSource	source = {0};
	int			part;

	if (bodies_parsed)
		return;
	source.version = get_text(row, M_VERSION);
	source.path = get_text(row, M_PATH);
	source.down_path = get_text(row, M_DOWN_PATH);
	source.verify_path = get_text(row, M_VERIFY_PATH);
	for (part = MIG_UP; part <= MIG_VERIFY; part++)
	{
		if (!row->nulls[M_UP_LINE + part])
			source.lines[part] = DatumGetInt32(row->values[M_UP_LINE + part]);
	}
	for (part = MIG_UP; part <= MIG_VERIFY; part++)
		parse_source_body(&source, part, get_text(row, M_UP + part));
}

/* does the row bring a checksum, and the right one? */
static bool
has_checksum(const MigrationRow *row, MigrationColumn column,
			 const char *checksum)
{
	if (row->nulls[column] || checksum == NULL)
		return false;
	if (!same_string(get_text(row, column), checksum))
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CHANGED),
				 errmsg("the checksum given for migration \"%s\" is not that of its text",
						get_text(row, M_VERSION)),
				 errhint("Leave the checksum out to have it computed.")));
	return true;
}

/* a new row; the NOT NULL constraints speak for missing columns */
static void
gate_insert(MigrationRow *row)
{
	char	   *up = get_text(row, M_UP);
	char	   *down = get_text(row, M_DOWN);
	char	   *checksum = up ? mig_checksum(up) : NULL;
	char	   *down_checksum = down ? mig_checksum(down) : NULL;
	bool		known = has_checksum(row, M_CHECKSUM, checksum);

	known = (has_checksum(row, M_DOWN_CHECKSUM, down_checksum) ||
			 down == NULL) && known;
	if (!known)
		parse_row(row);
	set_text(row, M_CHECKSUM, checksum);
	set_text(row, M_DOWN_CHECKSUM, down_checksum);

	/* only a superuser is believed: a body runs with its author's trust */
	if (row->nulls[M_ADDED_BY] || !superuser())
		set_text(row, M_ADDED_BY, GetUserNameFromId(GetUserId(), false));
	if (row->nulls[M_ADDED_AT])
	{
		row->values[M_ADDED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
		row->nulls[M_ADDED_AT] = false;
	}
}

static void
refuse_applied(const char *version, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_APPLIED),
			 errmsg("cannot %s migration \"%s\" because it is applied", what,
					version),
			 errhint("%s", hint)));
}

static bool
is_applied(const MigrationRow *row)
{
	return mig_ledger_is_applied(get_text(row, M_PROJECT),
								 get_text(row, M_VERSION));
}

static bool
same_column(const MigrationRow *a, const MigrationRow *b,
			MigrationColumn column)
{
	return same_string(get_text(a, column), get_text(b, column));
}

static void
gate_update(const MigrationRow *old, MigrationRow *row)
{
	char	   *up;
	char	   *down;
	char	   *checksum;
	char	   *down_checksum;

	if ((!same_column(old, row, M_PROJECT) ||
		 !same_column(old, row, M_VERSION)) && is_applied(old))
		refuse_applied(get_text(old, M_VERSION), "rename",
					   "Give the new text a version of its own.");
	if (!same_column(old, row, M_KIND) && is_applied(old))
		refuse_applied(get_text(old, M_VERSION), "change the kind of",
					   "Give the new text a version of its own.");

	up = get_text(row, M_UP);
	down = get_text(row, M_DOWN);
	checksum = up ? mig_checksum(up) : NULL;
	down_checksum = down ? mig_checksum(down) : NULL;
	if ((!same_string(checksum, get_text(old, M_CHECKSUM)) ||
		 !same_string(down_checksum, get_text(old, M_DOWN_CHECKSUM))) &&
		!amending && strcmp(get_text(old, M_KIND), "repeatable") != 0 &&
		is_applied(old))
		refuse_applied(get_text(old, M_VERSION), "change",
					   "Write a new migration, or replace the text on purpose with migrate.amend().");
	if (!same_column(old, row, M_UP) || !same_column(old, row, M_DOWN) ||
		!same_column(old, row, M_VERIFY))
		parse_row(row);
	set_text(row, M_CHECKSUM, checksum);
	set_text(row, M_DOWN_CHECKSUM, down_checksum);
}

static void
gate_delete(const MigrationRow *old)
{
	if (is_applied(old))
		refuse_applied(get_text(old, M_VERSION), "delete",
					   "Roll it back, or record it as not applied with migrate.unstamp().");
}

/*
 * Before any row of a statement: one writer at a time, and one that sees what
 * the writers before it committed.
 */
static void
gate_statement(TriggerData *trigger)
{
	if (TRIGGER_FIRED_AFTER(trigger->tg_event))
	{
		/* somebody has changed the ledger itself */
		mig_ledger_invalidate_state();
		return;
	}
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(MIG_ERRCODE_APPLIED),
				 errmsg("cannot truncate table migrate.migration"),
				 errhint("Take migrations out with migrate.remove().")));
	mig_guard_transaction("change migrations");
	mig_lock_acquire();
	mig_ledger_invalidate_state();
}

/* a row of migrate.step, which is inserted by us or in a restore */
static HeapTuple
gate_step(TriggerData *trigger)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to say in table migrate.step how far a migration has come"),
				 errdetail("Only a superuser can restore migrations that are partly applied."),
				 errhint("Restore the rest without the data of this table, then say with migrate.resume() where to go on.")));
	return trigger->tg_trigtuple;
}

HeapTuple
mig_store_gate(TriggerData *trigger)
{
	Relation	rel = trigger->tg_relation;
	MigrationRow *old;
	MigrationRow *row;

	if (RelationGetRelid(rel) == mig_books_relation("step"))
		return gate_step(trigger);

	/* anybody may put a trigger on a table of his own */
	if (RelationGetRelid(rel) != mig_books_relation("migration") &&
		RelationGetRelid(rel) != mig_books_relation("applied"))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is a trigger of the extension's own tables",
						"migrate.gate")));
	if (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
	{
		gate_statement(trigger);
		return NULL;
	}
	old = deform(rel, trigger->tg_trigtuple);
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		gate_delete(old);
		return trigger->tg_trigtuple;
	}
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		row = old;
		gate_insert(row);
	}
	else
	{
		row = deform(rel, trigger->tg_newtuple);
		gate_update(old, row);
	}
	return heap_form_tuple(RelationGetDescr(rel), row->values, row->nulls);
}


/*
 * Sets of migrations
 */

static const char *
caller_name(void)
{
	return GetUserNameFromId(GetUserId(), false);
}

static void
check_source(const MigSource *source)
{
	const unsigned char *p;

	if (source->version[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a version must not be empty")));
	for (p = (const unsigned char *) source->version; *p; p++)
	{
		if (*p < ' ' || *p == 0x7f)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a version must not contain control characters")));
	}
	if (strcmp(source->version, MIG_TARGET_HEAD) == 0 ||
		strcmp(source->version, MIG_TARGET_BASE) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is a reserved word, not a version",
						source->version)));
	if (source->irreversible && source->down != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("migration \"%s\" is marked as irreversible but has a down body",
						source->version)));
}

/* parse, then store, new and changed migrations */
static void
write_sources(const char *project, List *new_sources, List *changed_sources)
{
	List	   *sources = list_concat_copy(new_sources, changed_sources);
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "migrate parsing",
							  ALLOCSET_DEFAULT_SIZES);
	ListCell   *lc;

	foreach(lc, sources)
	{
		MigSource  *source = (MigSource *) lfirst(lc);
		MemoryContext old = MemoryContextSwitchTo(context);

		CHECK_FOR_INTERRUPTS();
		parse_source(source);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);

	bodies_parsed = true;
	PG_TRY();
	{
		mig_ledger_insert(project, new_sources, caller_name());
		mig_ledger_replace(project, changed_sources, caller_name());
	}
	PG_FINALLY();
	{
		bodies_parsed = false;
	}
	PG_END_TRY();
}

static MigComparison *
compare(const char *project, List *sources)
{
	List	   *checksums = NIL;
	List	   *down_checksums = NIL;
	ListCell   *lc;

	foreach(lc, sources)
	{
		MigSource  *source = (MigSource *) lfirst(lc);

		check_source(source);
		checksums = lappend(checksums, mig_checksum(source->up));
		down_checksums = lappend(down_checksums, source->down ?
								 mig_checksum(source->down) : NULL);
	}
	return mig_ledger_compare(project, sources, checksums, down_checksums);
}

static void
refuse_missing_downs(const char *project, List *sources)
{
	MigPolicy  *policy = mig_ledger_policy(project);
	List	   *lacking = NIL;
	ListCell   *lc;

	if (!policy->require_down)
		return;
	foreach(lc, sources)
	{
		MigSource  *source = (MigSource *) lfirst(lc);

		if (source->kind == MIG_VERSIONED && source->down == NULL &&
			!source->irreversible)
			lacking = lappend(lacking, source->version);
	}
	mig_refuse_without_down(lacking, MIG_HINT_POLICY_DOWN);
}

/* applied texts never change but by amend(), and a kind never does */
static bool
conflicts_with_applied(const MigSource *source, const MigComparison *row)
{
	return row->applied &&
		(!row->same_kind ||
		 (source->kind == MIG_VERSIONED && !(row->same_up && row->same_down)));
}

void
mig_store_add(const char *project, MigSource *source)
{
	List	   *sources = list_make1(source);
	MigComparison *row;

	mig_guard_transaction("store a migration");
	mig_lock_acquire();
	row = compare(project, sources);
	if (!row->stored)
	{
		refuse_missing_downs(project, sources);
		write_sources(project, sources, NIL);
	}
	else if (!row->same_up || !row->same_down || !row->same_rest)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_TEXT_DIFFERS),
				 errmsg("migration \"%s\" is already stored with another text",
						source->version),
				 row->applied ?
				 errhint("It is applied: write a new migration, or replace the text on purpose with migrate.amend().") :
				 errhint("It is pending: take it out with migrate.remove() first.")));
}

/* what load() says of a source, in a constant string */
static const char *
load_result(const MigComparison *row)
{
	if (!row->stored)
		return "added";
	if (row->ran_before)
		return "superseded";
	if (row->same_up && row->same_down && row->same_rest && row->same_place)
		return "unchanged";
	return "changed";
}

typedef struct LoadPlan
{
	MigComparison *rows;
	List	   *new_sources;
	List	   *changed_sources;
	List	   *moved_sources;	/* the same texts in files of other names */
	MigEntry   *entries;		/* of the project before the load */
	int			nentries;
	List	   *absent;			/* of MigEntry * */
	List	   *pruned;			/* of versions (char *) */
} LoadPlan;

static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* nothing may ever have come of it, and nobody holds it back */
static bool
may_be_pruned(const MigEntry *entry)
{
	return !entry->applied && !entry->partial && entry->held_reason == NULL;
}

/* entries of the project that no source names */
static void
find_absent(LoadPlan *load, List *sources, bool prune)
{
	int			count = list_length(sources);
	char	  **versions = palloc(sizeof(char *) * Max(count, 1));
	ListCell   *lc;
	int			i = 0;

	foreach(lc, sources)
		versions[i++] = ((MigSource *) lfirst(lc))->version;
	qsort(versions, count, sizeof(char *), compare_strings);
	for (i = 0; i < load->nentries; i++)
	{
		MigEntry   *entry = &load->entries[i];

		if (!entry->stored ||
			bsearch(&entry->version, versions, count, sizeof(char *),
					compare_strings) != NULL)
			continue;
		load->absent = lappend(load->absent, entry);
		if (prune && may_be_pruned(entry))
			load->pruned = lappend(load->pruned, entry->version);
	}
}

static void
refuse_changed_sources(List *conflicts)
{
	if (conflicts == NIL)
		return;
	ereport(ERROR,
			(errcode(MIG_ERRCODE_TEXT_DIFFERS),
			 errmsg_plural("the file of %d applied migration has another text or kind than the one that was applied",
						   "the files of %d applied migrations have other texts or kinds than those that were applied",
						   list_length(conflicts), list_length(conflicts)),
			 errdetail("Migrations: %s.", mig_name_list(conflicts)),
			 errhint("Put the applied text back and write a new migration, or accept the new text with migrate.amend().")));
}

static LoadPlan *
plan_load(const char *project, List *sources, bool prune)
{
	LoadPlan   *load = palloc0(sizeof(LoadPlan));
	List	   *conflicts = NIL;
	ListCell   *lc;

	load->rows = compare(project, sources);
	foreach(lc, sources)
	{
		MigSource  *source = (MigSource *) lfirst(lc);
		MigComparison *row = &load->rows[foreach_current_index(lc)];
		const char *result = load_result(row);

		if (conflicts_with_applied(source, row))
			conflicts = lappend(conflicts, psprintf("%s (%s)",
													source->version,
													source->path));
		else if (!row->stored)
			load->new_sources = lappend(load->new_sources, source);
		else if (strcmp(result, "changed") != 0)
			continue;
		else if (row->same_up && row->same_down && row->same_rest)
			load->moved_sources = lappend(load->moved_sources, source);
		else
			load->changed_sources = lappend(load->changed_sources, source);
	}
	refuse_changed_sources(conflicts);
	load->entries = mig_ledger_entries(project, false, &load->nentries);
	find_absent(load, sources, prune);
	return load;
}

/*
 * After a change: bring migrate.state up to date, and if strict, see that the
 * whole project has an order.
 */
static MigProject *
finish_change(const char *name, bool strict)
{
	int			count;
	MigEntry   *entries = mig_ledger_entries(name, false, &count);
	MigProject *project = mig_plan_project(name, entries, count, strict);
	MigState	state;

	mig_plan_state(project, &state);
	mig_ledger_set_state(name, &state);
	return project;
}

static bool
has_changes(const LoadPlan *load)
{
	return load->new_sources || load->changed_sources ||
		load->moved_sources || load->pruned;
}

/* a source and what became of it, at its place in the project's order */
typedef struct LoadedSource
{
	const MigSource *source;
	const MigComparison *row;
	int			position;
} LoadedSource;

static int
compare_loaded(const void *a, const void *b)
{
	return ((const LoadedSource *) a)->position -
		((const LoadedSource *) b)->position;
}

static LoadedSource *
order_sources(const LoadPlan *load, List *sources, const MigProject *project)
{
	LoadedSource *loaded = palloc(sizeof(LoadedSource) *
								  Max(list_length(sources), 1));
	ListCell   *lc;

	foreach(lc, sources)
	{
		int			i = foreach_current_index(lc);

		loaded[i].source = (MigSource *) lfirst(lc);
		loaded[i].row = &load->rows[i];
		loaded[i].position =
			mig_plan_find(project, loaded[i].source->version)->position;
	}
	qsort(loaded, list_length(sources), sizeof(LoadedSource), compare_loaded);
	return loaded;
}

static void
report_load(const LoadPlan *load, List *sources, const MigProject *project,
			bool prune, MigStoreSink sink, void *arg)
{
	LoadedSource *loaded = order_sources(load, sources, project);
	ListCell   *lc;
	int			i;

	for (i = 0; i < list_length(sources); i++)
	{
		const MigSource *source = loaded[i].source;
		const char *result = load_result(loaded[i].row);

		if (strcmp(result, "superseded") == 0)
			ereport(WARNING,
					(errmsg("repeatable migration \"%s\" keeps its newer text",
							source->version),
					 errdetail("This text was applied before, and another one after it."),
					 errhint("To go back to it, change it in any way, a comment for example.")));
		sink(source->version, source->name, source->path, result, arg);
	}
	foreach(lc, load->absent)
	{
		MigEntry   *entry = (MigEntry *) lfirst(lc);

		sink(entry->version, entry->name, entry->path,
			 prune && may_be_pruned(entry) ? "pruned" : "absent", arg);
	}
}

static MigProject *
write_load(const char *project, LoadPlan *load)
{
	refuse_missing_downs(project, load->new_sources);
	refuse_missing_downs(project, load->changed_sources);
	write_sources(project, load->new_sources, load->changed_sources);
	mig_ledger_move(project, load->moved_sources);
	if (load->pruned != NIL)
		mig_ledger_delete(project, load->pruned);
	return finish_change(project, true);
}

void
mig_store_load(const char *name, List *sources, bool prune,
			   MigStoreSink sink, void *arg)
{
	LoadPlan   *load;
	MigProject *project;
	bool		held_before = true;
	bool		locked;

	mig_refuse_recursion();
	locked = mig_guard_can_write() && mig_lock_try(&held_before);
	load = plan_load(name, sources, prune);
	if (!locked && has_changes(load))
	{
		mig_guard_transaction("load migrations");
		mig_lock_acquire();
		locked = true;
		held_before = true;

		/* somebody else may have loaded the same while we waited */
		load = plan_load(name, sources, prune);
	}
	if (has_changes(load))
		project = write_load(name, load);
	else
	{
		if (locked && !held_before)
			mig_lock_release();
		project = mig_plan_project(name, load->entries, load->nentries, false);
	}
	report_load(load, sources, project, prune, sink, arg);
}


/*
 * One migration
 */

/* the stored row of a version, with the lock held */
static MigEntry *
locked_entry(const char *project, const char *version, const char *what)
{
	MigEntry   *entry;

	mig_guard_transaction(what);
	mig_lock_acquire();
	entry = mig_ledger_entry(project, version);
	if (entry != NULL && entry->stored)
		return entry;
	ereport(ERROR,
			(errcode(MIG_ERRCODE_UNKNOWN_VERSION),
			 errmsg("migration \"%s\" does not exist", version),
			 errdetail("Project \"%s\" has no text of such a version.", project),
			 errhint("migrate.status() lists the versions.")));
}

/* a removal must not leave a requirement without its migration */
static void
refuse_required(const char *name, const char *version)
{
	int			count;
	MigEntry   *entries = mig_ledger_entries(name, false, &count);
	int			i;
	int			r;

	for (i = 0; i < count; i++)
	{
		for (r = 0; r < entries[i].nrequires && !entries[i].applied; r++)
		{
			if (strcmp(entries[i].requires[r], version) == 0 &&
				strcmp(entries[i].version, version) != 0)
				ereport(ERROR,
						(errcode(MIG_ERRCODE_REQUIREMENT),
						 errmsg("cannot remove migration \"%s\" because \"%s\" requires it",
								version, entries[i].version),
						 errhint("Remove \"%s\" first.", entries[i].version)));
		}
	}
}

void
mig_store_remove(const char *project, const char *version)
{
	MigEntry   *entry = locked_entry(project, version, "remove a migration");

	if (entry->applied)
		refuse_applied(version, "remove",
					   "Roll it back first, or record it as not applied with migrate.unstamp().");
	if (entry->held_reason != NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_HELD),
				 errmsg("cannot remove migration \"%s\" because it is held",
						version),
				 errdetail("Reason: %s", entry->held_reason),
				 errhint("Let it go first with migrate.unhold().")));
	if (entry->partial)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_PARTIAL),
				 errmsg("cannot remove migration \"%s\" because it is partly applied",
						version),
				 errhint("Undo by hand what it has done and say so with SELECT migrate.resume('%s', at => 1), or go on with CALL migrate.apply_each().",
						 version)));
	refuse_required(project, version);
	mig_ledger_delete(project, list_make1(entry->version));
	(void) finish_change(project, false);
}

/* journal one replaced text, and keep it */
static void
add_amended_part(MigBatch *batch, MigJournalRow *row, MigPart part,
				 const char *old_text, const char *new_text)
{
	if (new_text == NULL || same_string(old_text, new_text))
		return;
	row->n++;
	row->part = mig_part_name(part);
	row->body = old_text ? mig_exact_hash(old_text, mig_checksum(old_text)) : NULL;
	mig_batch_add(batch, row);
	if (old_text != NULL)
		mig_batch_add_body(batch, row->body, row->run, old_text);
}

/*
 * Whose texts they are now.  A superuser who replaces one of them does not
 * answer for those that somebody else has stored.
 */
static const char *
author_of_amended(const MigEntry *entry, const MigTexts *old, const char *up,
				  const char *down, const char *verify)
{
	bool		all = up != NULL && (down != NULL || old->down == NULL) &&
		(verify != NULL || old->verify == NULL);

	if (all || mig_guard_is_superuser(entry->added_by))
		return caller_name();
	return entry->added_by;
}

void
mig_store_amend(const char *project, const char *version, const char *up,
				const char *down, const char *verify, const char *note)
{
	MigEntry   *entry = locked_entry(project, version, "amend a migration");
	MigTexts   *old = mig_ledger_texts(project, &entry, 1);
	MigTexts	texts = *old;
	MigSource	source = {0};
	MigBatch   *batch;
	MigJournalRow row;

	if (!entry->applied && !entry->partial)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_UNKNOWN_VERSION),
				 errmsg("migration \"%s\" is not applied", version),
				 errhint("The text of a pending migration is changed by migrate.load(), or by migrate.remove() and migrate.add().")));
	if (up == NULL && down == NULL && verify == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no new text for migration \"%s\"", version),
				 errhint("Give at least one of up, down and verify.  migrate.stamp() accepts a text as it is stored.")));
	if (up != NULL)
		texts.up = pstrdup(up);
	if (down != NULL)
		texts.down = pstrdup(down);
	if (verify != NULL)
		texts.verify = pstrdup(verify);

	/* these texts come from the call, not from the files */
	source.version = unconstify(char *, version);
	parse_source_body(&source, MIG_UP, up);
	parse_source_body(&source, MIG_DOWN, down);
	parse_source_body(&source, MIG_VERIFY, verify);
	batch = mig_batch_begin();
	mig_journal_event(&row, mig_journal_next_run(), project, "amend", note);
	row.version = version;
	row.name = entry->name;
	row.checksum = mig_checksum(texts.up);
	row.down_checksum = texts.down ? mig_checksum(texts.down) : NULL;
	add_amended_part(batch, &row, MIG_UP, old->up, up);
	add_amended_part(batch, &row, MIG_DOWN, old->down, down);
	add_amended_part(batch, &row, MIG_VERIFY, old->verify, verify);
	amending = bodies_parsed = true;
	PG_TRY();
	{
		mig_ledger_amend(project, version, &texts,
						 author_of_amended(entry, old, up, down, verify));
	}
	PG_FINALLY();
	{
		amending = bodies_parsed = false;
	}
	PG_END_TRY();
	mig_batch_flush(batch);
	mig_batch_end(batch);
	(void) finish_change(project, false);
}

void
mig_store_hold(const char *project, const char *version, const char *reason)
{
	MigEntry   *entry = locked_entry(project, version, reason ?
									 "hold a migration" :
									 "unhold a migration");
	MigBatch   *batch = mig_batch_begin();
	MigJournalRow row;

	if (reason == NULL && entry->held_reason == NULL)
	{
		ereport(NOTICE,
				(errmsg("migration \"%s\" is not held", version)));
		return;
	}
	mig_ledger_hold(project, list_make1(entry->version), reason);
	mig_journal_event(&row, mig_journal_next_run(), project,
					  reason ? "hold" : "unhold", reason);
	row.n = 1;
	row.version = version;
	row.name = entry->name;
	mig_batch_add(batch, &row);
	mig_batch_flush(batch);
	mig_batch_end(batch);
	(void) finish_change(project, false);
}
