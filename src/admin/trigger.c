/*-------------------------------------------------------------------------
 *
 * trigger.c
 *	  The gate: the trigger of the tables.
 *
 * It also guards plain INSERTs, a restore among
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

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "admin/amendment.h"
#include "admin/source_check.h"
#include "admin/trigger.h"
#include "base/checksum.h"
#include "base/errors.h"
#include "ledger/applied.h"
#include "ledger/columns.h"
#include "ledger/entry.h"
#include "ledger/policy.h"
#include "ledger/project_names.h"
#include "ledger/state.h"
#include "ledger/tables.h"
#include "plan/preflight.h"
#include "plan/run_lock.h"
#include "source/conventions.h"
#include "source/tokens.h"

typedef struct MigrationRow
{
	Datum		values[M_NCOLUMNS];
	bool		nulls[M_NCOLUMNS];
} MigrationRow;

/*
 * What mig_trigger_begin() has said of the statement that is running: that its
 * bodies have been parsed (an error raised here would quote that statement), and
 * that an applied text may change.
 */
static bool bodies_parsed = false;
static bool amending = false;

/* and whose texts they are, by part, that are new in that statement */
static const MigAuthor *incoming_authors = NULL;


static MigrationRow *
deform_row(Relation rel, HeapTuple tuple)
{
	MigrationRow *row = palloc(sizeof(MigrationRow));

	mig_columns_check("migration", RelationGetDescr(rel));
	heap_deform_tuple(tuple, RelationGetDescr(rel), row->values, row->nulls);
	return row;
}

static char *
get_text(const MigrationRow *row, MigMigrationColumn column)
{
	return row->nulls[column] ? NULL :
		TextDatumGetCString(row->values[column]);
}

static void
set_row_text(MigrationRow *row, MigMigrationColumn column, const char *string)
{
	row->nulls[column] = (string == NULL);
	row->values[column] = string ? CStringGetTextDatum(string) : (Datum) 0;
}

/* the requirements of a row; its constraints speak for arrays of other forms */
static List *
get_requires(const MigrationRow *row)
{
	List	   *requires = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			i;

	if (row->nulls[M_REQUIRES])
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(row->values[M_REQUIRES]), TEXTOID, -1,
					  false, TYPALIGN_INT, &elements, &nulls, &count);
	for (i = 0; i < count; i++)
	{
		if (!nulls[i])
			requires = lappend(requires, TextDatumGetCString(elements[i]));
	}
	return requires;
}

/* what is not a body in a row, as a source */
static void
source_of_row(MigSource *source, const MigrationRow *row)
{
	memset(source, 0, sizeof(MigSource));
	source->version = get_text(row, M_VERSION);
	source->name = get_text(row, M_NAME);
	source->path = get_text(row, M_PATH);
	source->source = get_text(row, M_SOURCE);
	source->down_path = get_text(row, M_DOWN_PATH);
	source->verify_path = get_text(row, M_VERIFY_PATH);
	source->requires = get_requires(row);
}

/* the same for what comes by a plain statement, as the constraints would say it */
static void
check_row_lines(const MigrationRow *row)
{
	MigSource	source;

	source_of_row(&source, row);
	mig_check_line_as(ERRCODE_CHECK_VIOLATION, "the name of a project", get_text(row, M_PROJECT),
					  MIG_VERSION_BYTES);
	mig_check_line_as(ERRCODE_CHECK_VIOLATION, "the reason why a migration is held",
					  get_text(row, M_HELD_REASON), MIG_NOTE_BYTES);
	mig_source_check_lines(ERRCODE_CHECK_VIOLATION, &source);
}

/*
 * Unless the function that writes the row has parsed the bodies itself; bodies
 * that cannot run are errors, empty ones warnings.
 */
static void
parse_row(const MigrationRow *row)
{
	MigSource	source;
	bool		has_up;
	int			part;

	if (bodies_parsed)
		return;
	source_of_row(&source, row);
	if (!row->nulls[M_TRANSACTIONAL])
		source.transactional = DatumGetBool(row->values[M_TRANSACTIONAL]) ?
			MIG_TX_ON : MIG_TX_OFF;
	for (part = MIG_UP; part <= MIG_VERIFY; part++)
	{
		if (!row->nulls[M_UP_LINE + part])
			source.lines[part] = DatumGetInt32(row->values[M_UP_LINE + part]);
	}
	has_up = mig_source_check_body(&source, MIG_UP, get_text(row, M_UP));
	if (!has_up && source.requires == NIL)
		mig_source_check_warn_empty(list_make1(source.version));
	if (!mig_source_check_body(&source, MIG_DOWN, get_text(row, M_DOWN)) && has_up)
		mig_source_check_warn_empty_downs(list_make1(source.version));
	mig_source_check_body(&source, MIG_VERIFY, get_text(row, M_VERIFY));
}

/*
 * Authors
 */

const char *
mig_trigger_caller(void)
{
	return mig_user_name(GetUserId());
}

/*
 * Does the statement come from a superuser?  A caller of a SECURITY DEFINER
 * function of one does not count, nor does code that runs for an object's owner.
 */
static bool
superuser_speaks(void)
{
	return superuser() && superuser_arg(GetOuterUserId()) &&
		!InSecurityRestrictedOperation();
}

/*
 * Whose texts they are that a function has been given: the caller's own, unless
 * he says others' and is a superuser.  What a superuser says is others' is not
 * trusted unless he says that too, and a name alone never is: the role that
 * bears it by now may be another one.
 */
void
mig_trigger_find_authors(const MigAuthor *named, MigAuthor *authors)
{
	int			part;

	for (part = MIG_UP; part <= MIG_VERIFY; part++)
	{
		if (named != NULL && superuser_speaks())
			authors[part] = named[part];
		else
		{
			authors[part].name = mig_trigger_caller();
			authors[part].trusted = superuser_speaks();
		}
	}
}

static MigMigrationColumn
text_column(MigPart part)
{
	return part == MIG_UP ? M_UP : part == MIG_DOWN ? M_DOWN : M_VERIFY;
}

static void
set_author(MigrationRow *row, MigPart part, const MigAuthor *author)
{
	set_row_text(row, M_UP_AUTHOR + 2 * part, author->name);
	row->values[M_UP_TRUSTED + 2 * part] = BoolGetDatum(author->trusted);
	row->nulls[M_UP_TRUSTED + 2 * part] = false;
}

static void
get_author(const MigrationRow *row, MigPart part, MigAuthor *author)
{
	int			trusted = M_UP_TRUSTED + 2 * part;

	author->name = get_text(row, M_UP_AUTHOR + 2 * part);
	author->trusted = !row->nulls[trusted] && DatumGetBool(row->values[trusted]);
}

/* has a plain statement said whose text this is? */
static bool
names_author(const MigrationRow *old, const MigrationRow *row, MigPart part)
{
	MigAuthor	before;
	MigAuthor	after;

	if (old == NULL)
		return !row->nulls[M_UP_AUTHOR + 2 * part] ||
			!row->nulls[M_UP_TRUSTED + 2 * part];
	get_author(old, part, &before);
	get_author(row, part, &after);
	return !mig_source_check_same(before.name, after.name) ||
		before.trusted != after.trusted;
}

static bool
same_column(const MigrationRow *a, const MigrationRow *b,
			MigMigrationColumn column)
{
	return mig_source_check_same(get_text(a, column), get_text(b, column));
}

static const MigConvention *
get_convention(const MigrationRow *row)
{
	return mig_convention_of_source(get_text(row, M_SOURCE));
}

/* is there no difference in what decides when, after what and how a body runs? */
static bool
runs_alike(const MigrationRow *old, const MigrationRow *row)
{
	static const MigMigrationColumn columns[] = {
		M_PROJECT, M_VERSION, M_KIND, M_TRANSACTIONAL, M_REQUIRES
	};
	const MigConvention *old_convention = get_convention(old);
	const MigConvention *convention = get_convention(row);
	int			i;

	/* what a verify body says is judged by these, and a COMMIT */
	if (convention->verify_by_errors != old_convention->verify_by_errors ||
		convention->ours != old_convention->ours)
		return false;
	for (i = 0; i < lengthof(columns); i++)
	{
		MigMigrationColumn column = columns[i];
		ArrayType  *before;
		ArrayType  *after;

		if (old->nulls[column] || row->nulls[column])
		{
			if (old->nulls[column] != row->nulls[column])
				return false;
		}
		else if (column == M_TRANSACTIONAL)
		{
			if (DatumGetBool(old->values[column]) !=
				DatumGetBool(row->values[column]))
				return false;
		}
		else if (column == M_REQUIRES)
		{
			before = DatumGetArrayTypeP(old->values[column]);
			after = DatumGetArrayTypeP(row->values[column]);
			if (VARSIZE(before) != VARSIZE(after) ||
				memcmp(before, after, VARSIZE(before)) != 0)
				return false;
		}
		else if (!same_column(old, row, column))
			return false;
	}
	return true;
}

/*
 * Is it the same body?  A trusted body stays trusted when only comments and blanks
 * change, so that a role with write cannot take away a superuser's down body.
 */
static bool
is_same_body(const MigrationRow *old, const MigrationRow *row, MigPart part,
			 bool trusted)
{
	char	   *before = get_text(old, text_column(part));
	char	   *after = get_text(row, text_column(part));
	MigAuthor	author;

	if (mig_source_check_same(before, after))
		return true;
	get_author(old, part, &author);
	return author.trusted && !trusted && before != NULL && after != NULL &&
		mig_tokens_same(before, after);
}

/*
 * Set the author of a body, and whether it is trusted; old is NULL for a new row.
 * An unchanged body keeps its author, unless an untrusted role changes how it
 * runs: in several transactions, say, or before its requirements.  In our own
 * SQL no caller counts as a superuser: a function that does not name the author
 * of a text stores an untrusted one.
 */
static void
settle_author(const MigrationRow *old, MigrationRow *row, MigPart part)
{
	MigMigrationColumn column = text_column(part);
	bool		believed = superuser_speaks();
	bool		trusted = incoming_authors != NULL ?
		incoming_authors[part].trusted : believed;
	bool		same = old != NULL &&
		is_same_body(old, row, part, trusted) &&
		(trusted || runs_alike(old, row));
	MigAuthor	author = {NULL, false};

	if (row->nulls[column])
		;						/* nobody's */
	else if (incoming_authors != NULL && !same)
		author = incoming_authors[part];
	else if (believed && names_author(old, row, part))
		get_author(row, part, &author);
	else if (same)
		get_author(old, part, &author);
	else if (believed && old == NULL && !row->nulls[M_ADDED_BY])
		author.name = get_text(row, M_ADDED_BY);
	else
	{
		author.name = mig_trigger_caller();
		author.trusted = believed;
	}
	set_author(row, part, &author);
}

static void
settle_authors(const MigrationRow *old, MigrationRow *row)
{
	int			part;

	for (part = MIG_UP; part <= MIG_VERIFY; part++)
		settle_author(old, row, part);
}

/* does the row bring a checksum, and the right one? */
static bool
has_checksum(const MigrationRow *row, MigMigrationColumn column,
			 const char *checksum)
{
	if (row->nulls[column] || checksum == NULL)
		return false;
	if (!mig_source_check_same(get_text(row, column), checksum))
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
	set_row_text(row, M_CHECKSUM, checksum);
	set_row_text(row, M_DOWN_CHECKSUM, down_checksum);

	settle_authors(NULL, row);

	/* only a superuser is believed */
	if (row->nulls[M_ADDED_BY] || !superuser())
		set_row_text(row, M_ADDED_BY, mig_trigger_caller());
	if (row->nulls[M_ADDED_AT])
	{
		row->values[M_ADDED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
		row->nulls[M_ADDED_AT] = false;
	}
}

static bool
is_applied(const MigrationRow *row)
{
	return mig_applied_exists(get_text(row, M_PROJECT),
							  get_text(row, M_VERSION));
}

void
mig_trigger_begin(bool amends, const MigAuthor *authors)
{
	bodies_parsed = true;
	amending = amends;
	incoming_authors = authors;
}

void
mig_trigger_end(void)
{
	bodies_parsed = amending = false;
	incoming_authors = NULL;
}

/* an UPDATE of texts by hand is recorded as amend() would */
static void
amendment_of_rows(MigAmendment *amendment, const MigrationRow *old,
				  const MigrationRow *row)
{
	const MigEntry *entry;

	amendment->project = get_text(old, M_PROJECT);
	amendment->version = get_text(old, M_VERSION);
	amendment->name = get_text(row, M_NAME);
	entry = mig_entry_read(amendment->project, amendment->version);
	amendment->as_applied = entry != NULL && !entry->up_changed &&
		!entry->down_changed;
	for (int part = MIG_UP; part <= MIG_VERIFY; part++)
	{
		amendment->old[part] = get_text(old, M_UP + part);
		amendment->new[part] = get_text(row, M_UP + part);
	}
}

/*
 * A plain UPDATE of an applied text: one of its comments is taken, any other
 * one refused.  What markers say is in columns, whether they changed or not.
 */
static void
gate_applied_text(const MigrationRow *old, const MigrationRow *row)
{
	MigAmendment amendment;

	amendment_of_rows(&amendment, old, row);
	if (amendment.new[MIG_UP] == NULL ||
		mig_policy_read(amendment.project)->refuse_edits ||
		!mig_amendment_is_comment_edit(&amendment))
		mig_amendment_refuse(amendment.version, "change",
							 "Write a new migration, or replace the text on purpose with migrate.amend().");
	mig_amendment_notice_comment_edits(list_make1(unconstify(char *, amendment.version)));
	mig_amendment_record(list_make1(&amendment), MIG_AMENDMENT_COMMENTS);
}

/*
 * What may be changed in a stored row: the text of one that is applied only by
 * amend(), its version and kind not at all.
 */
static void
gate_update(const MigrationRow *old, MigrationRow *row)
{
	char	   *up;
	char	   *down;
	char	   *checksum;
	char	   *down_checksum;

	if ((!same_column(old, row, M_PROJECT) ||
		 !same_column(old, row, M_VERSION)) && is_applied(old))
		mig_amendment_refuse(get_text(old, M_VERSION), "rename",
							 "Give the new text a version of its own.");
	if (!same_column(old, row, M_KIND) && is_applied(old))
		mig_amendment_refuse(get_text(old, M_VERSION), "change the kind of",
							 "Give the new text a version of its own.");

	up = get_text(row, M_UP);
	down = get_text(row, M_DOWN);
	checksum = up ? mig_checksum(up) : NULL;
	down_checksum = down ? mig_checksum(down) : NULL;
	if ((!mig_source_check_same(checksum, get_text(old, M_CHECKSUM)) ||
		 !mig_source_check_same(down_checksum, get_text(old, M_DOWN_CHECKSUM))) &&
		!amending && strcmp(get_text(old, M_KIND), "repeatable") != 0 &&
		is_applied(old))
		gate_applied_text(old, row);
	if (!same_column(old, row, M_UP) || !same_column(old, row, M_DOWN) ||
		!same_column(old, row, M_VERIFY) ||
		old->nulls[M_TRANSACTIONAL] != row->nulls[M_TRANSACTIONAL] ||
		old->values[M_TRANSACTIONAL] != row->values[M_TRANSACTIONAL])
		parse_row(row);
	set_row_text(row, M_CHECKSUM, checksum);
	set_row_text(row, M_DOWN_CHECKSUM, down_checksum);
	settle_authors(old, row);
}

/* the NOT NULL constraints speak for what is missing */
static void
unsettle_row(const MigrationRow *row)
{
	if (!row->nulls[M_PROJECT] && !row->nulls[M_VERSION])
		mig_state_unsettle_row(get_text(row, M_PROJECT),
							   get_text(row, M_VERSION));
}

static void
gate_delete(const MigrationRow *old)
{
	if (is_applied(old))
		mig_amendment_refuse(get_text(old, M_VERSION), "delete",
							 "Roll it back, or record it as not applied with migrate.unstamp().");
}

/* unsettle what rows of migrate.applied are about */
static void
unsettle_rows(Tuplestorestate *rows, TupleDesc desc, bool were_there)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	char	   *project = NULL;
	List	   *versions = NIL;

	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		bool		isnull;
		char	   *name = TextDatumGetCString(slot_getattr(slot, A_PROJECT + 1,
															&isnull));

		if (project != NULL && strcmp(project, name) != 0)
		{
			mig_state_unsettle(project, versions, were_there);
			versions = NIL;
		}
		project = name;
		versions = lappend(versions,
						   TextDatumGetCString(slot_getattr(slot, A_VERSION + 1,
															&isnull)));
	}
	if (project != NULL)
		mig_state_unsettle(project, versions, were_there);
	ExecDropSingleTupleTableSlot(slot);
}

/* after a statement that has changed migrate.applied, ours or another one */
static void
gate_ledger(TriggerData *trigger)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);

	mig_columns_check("applied", desc);
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		mig_state_forget();
	if (trigger->tg_oldtable != NULL)
		unsettle_rows(trigger->tg_oldtable, desc, true);
	if (trigger->tg_newtable != NULL)
		unsettle_rows(trigger->tg_newtable, desc, false);
}

static void
unsettle_tuple(HeapTuple tuple, TupleDesc desc)
{
	mig_state_unsettle(SPI_getvalue(tuple, desc, SPI_fnumber(desc, "project")),
					   list_make1(SPI_getvalue(tuple, desc,
											   SPI_fnumber(desc, "version"))),
					   false);
}

/* after a row that logical replication has brought */
static void
gate_replica(TriggerData *trigger)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);

	mig_state_forget_files(NULL);
	unsettle_tuple(trigger->tg_trigtuple, desc);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		unsettle_tuple(trigger->tg_newtuple, desc);
}

/*
 * A statement on one of the tables that say what has been done.  Rows may be
 * inserted with the privilege, as in a restore; but a body that does so would
 * forge history, its own for example.  A role may have the privilege to change
 * them by other means, such as pg_write_all_data.
 */
static void
gate_record(TriggerData *trigger)
{
	const char *table = RelationGetRelationName(trigger->tg_relation);
	bool		is_insert = TRIGGER_FIRED_BY_INSERT(trigger->tg_event);

	if (TRIGGER_FIRED_AFTER(trigger->tg_event))
	{
		gate_ledger(trigger);
		return;
	}
	if (mig_run_lock_bodies_are_running() && !superuser())
		ereport(ERROR,
				(errcode(MIG_ERRCODE_RECURSION),
				 errmsg("a migration cannot change table %s.%s",
						MIG_SCHEMA_NAME, table),
				 errdetail("The extension writes down there what migrations do.")));
	if (!superuser() &&
		(!is_insert || strcmp(table, "run") == 0 || strcmp(table, "state") == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to change table %s.%s",
						MIG_SCHEMA_NAME, table),
				 errdetail("What it says was written down by the extension, and only a superuser can change it."),
				 errhint("The functions of extension \"%s\" change it by its rules.",
						 MIG_EXTENSION_NAME)));
}

/*
 * Before any row of a statement: one writer at a time, and one that sees what
 * the writers before it committed.
 */
static void
gate_statement(TriggerData *trigger)
{
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(MIG_ERRCODE_APPLIED),
				 errmsg("cannot truncate table migrate.migration"),
				 errhint("Take migrations out with migrate.remove().")));
	mig_preflight_transaction("change migrations");
	mig_run_lock_acquire();
	mig_state_invalidate();
	mig_state_begin_statement();
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

/* the words of migrate.policy, which has them in its constraints as well */
static const struct
{
	const char *column;
	const char *words[4];
}			policy_words[] =

{
	{"out_of_order", {"error", "allow"}},
	{"lint", {"off", "warn", "error"}},
	{"edits", {"ignore comments", "refuse"}}
};

static const struct
{
	const char *column;
	int			bytes;
}			policy_lines[] =

{
	{"project", MIG_VERSION_BYTES},
	{"role", MIG_NAME_BYTES},
	{"search_path", MIG_NOTE_BYTES},
	{"frozen_reason", MIG_NOTE_BYTES}
};

static bool
is_policy_word(const char *const *words, const char *value)
{
	for (; *words != NULL; words++)
	{
		if (strcmp(*words, value) == 0)
			return true;
	}
	return false;
}

/*
 * Only a NOTICE: the schemas may be created later; a path that cannot be split
 * is the server's to refuse.
 */
static void
notice_missing_schemas(char *search_path)
{
	List	   *names;
	List	   *missing = NIL;
	ListCell   *lc;

	if (!SplitIdentifierString(search_path, ',', &names))
		return;
	foreach(lc, names)
	{
		char	   *name = lfirst(lc);

		if (strcmp(name, "$user") != 0 && strcmp(name, "pg_temp") != 0 &&
			!OidIsValid(get_namespace_oid(name, true)))
			missing = lappend(missing, name);
	}
	if (missing != NIL)
		ereport(NOTICE,
				(errmsg("schemas of search_path in migrate.policy do not exist: %s",
						mig_error_name_list(missing))));
}

/*
 * A policy may come before what it is about, and no word of it protects
 * anything if that is misspelt.  The first project of a database may be new.
 */
static void
notice_unknown_names(const char *project, const char *role, char *search_path)
{
	List	   *projects = mig_project_names();
	bool		known = projects == NIL;
	ListCell   *lc;

	foreach(lc, projects)
		known = known || strcmp(lfirst(lc), project) == 0;
	if (!known)
		ereport(NOTICE,
				(errmsg("migrate.policy has a row for project \"%s\", which has no migrations",
						project),
				 errdetail("Projects of this database: %s.",
						   mig_error_name_list(projects))));
	if (role != NULL && !OidIsValid(get_role_oid(role, true)))
		ereport(NOTICE,
				(errmsg("role \"%s\" of migrate.policy does not exist", role)));
	if (search_path != NULL)
		notice_missing_schemas(search_path);
}

/* a row of migrate.policy: a constraint would not say what is possible */
static HeapTuple
gate_policy(TriggerData *trigger)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	HeapTuple	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
	char	   *project;
	int			i;

	for (i = 0; i < lengthof(policy_words); i++)
	{
		const char *column = policy_words[i].column;
		const char *const *words = policy_words[i].words;
		char	   *value = SPI_getvalue(row, desc, SPI_fnumber(desc, column));
		List	   *names = NIL;

		if (value == NULL || is_policy_word(words, value))
			continue;
		for (; *words != NULL; words++)
			names = lappend(names, (char *) *words);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for column \"%s\" of migrate.policy: \"%s\"",
						column, mig_printable_line(value, MIG_EXCERPT_BYTES)),
				 errhint("Valid values are %s.", mig_error_name_list(names))));
	}
	for (i = 0; i < lengthof(policy_lines); i++)
	{
		const char *column = policy_lines[i].column;

		mig_check_line_as(ERRCODE_CHECK_VIOLATION,
						  psprintf("column \"%s\" of migrate.policy", column),
						  SPI_getvalue(row, desc, SPI_fnumber(desc, column)),
						  policy_lines[i].bytes);
	}
	project = SPI_getvalue(row, desc, SPI_fnumber(desc, "project"));
	if (project != NULL)
		notice_unknown_names(project,
							 SPI_getvalue(row, desc, SPI_fnumber(desc, "role")),
							 SPI_getvalue(row, desc,
										  SPI_fnumber(desc, "search_path")));
	return row;
}

/* a table that says what has been done, and not what is to be done */
static bool
is_record(Relation rel)
{
	static const char *const names[] = {
		"applied", "journal", "executed_text", "step", "run", "state"
	};
	int			i;

	for (i = 0; i < lengthof(names); i++)
	{
		if (RelationGetRelid(rel) == mig_tables_relation(names[i]))
			return true;
	}
	return false;
}

/* anybody may put a trigger on a table of his own */
static void
refuse_foreign_table(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("function \"%s\" is a trigger of the extension's own tables",
					"migrate.gate")));
}

HeapTuple
mig_trigger_gate(TriggerData *trigger)
{
	Relation	rel = trigger->tg_relation;
	MigrationRow *old;
	MigrationRow *row;

	if (is_record(rel) && TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
	{
		gate_record(trigger);
		return NULL;
	}
	if (TRIGGER_FIRED_AFTER(trigger->tg_event))
	{
		if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
			mig_state_forget();
		else
			gate_replica(trigger);
		return NULL;
	}
	if (RelationGetRelid(rel) == mig_tables_relation("step"))
		return gate_step(trigger);
	if (RelationGetRelid(rel) == mig_tables_relation("policy"))
		return gate_policy(trigger);

	if (RelationGetRelid(rel) != mig_tables_relation("migration"))
		refuse_foreign_table();
	if (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
	{
		gate_statement(trigger);
		return NULL;
	}
	old = deform_row(rel, trigger->tg_trigtuple);
	unsettle_row(old);
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		gate_delete(old);
		return trigger->tg_trigtuple;
	}
	row = TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? old :
		deform_row(rel, trigger->tg_newtuple);
	check_row_lines(row);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		gate_insert(row);
	else
	{
		unsettle_row(row);
		gate_update(old, row);
	}
	return heap_form_tuple(RelationGetDescr(rel), row->values, row->nulls);
}
