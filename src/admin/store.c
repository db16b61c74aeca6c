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
 * An applied text never changes but on purpose, or in comments and blanks
 * alone.  Both go by amend_all(): the old text is kept, the journal has a row
 * for it, and the ledger takes the new checksum.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "admin/renamed_files.h"
#include "admin/store.h"
#include "base/checksum.h"
#include "base/errors.h"
#include "base/version_order.h"
#include "ledger/columns.h"
#include "ledger/journal.h"
#include "ledger/migration.h"
#include "ledger/state.h"
#include "ledger/tables.h"
#include "plan/plan.h"
#include "plan/project.h"
#include "plan/preflight.h"
#include "plan/run_lock.h"
#include "source/body.h"
#include "source/lenient_scan.h"
#include "source/tokens.h"
#include "source/trial_parse.h"

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

/* and whose texts they are, by part, that are new in that statement */
static const MigAuthor *incoming_authors = NULL;


/*
 * The gate
 */

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

static bool
same_string(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

/*
 * Raise what is wrong with a body.  False if it has no statement; text NULL is
 * no body, which is all right.
 */
static bool
check_body(const MigLabel *label, const char *text)
{
	return text == NULL || mig_body_parse(text, label)->nstatements > 0;
}

static bool
parse_source_body(const MigSource *source, MigPart part, const char *text)
{
	MigLabel	label;

	mig_body_label_of_source(&label, source, part);
	return check_body(&label, text);
}

/* the error of a body of a file, or NULL if there is none; *empty may be NULL */
static ErrorData *
try_body_of_file(const MigSource *source, MigPart part, const char *text,
				 bool *empty)
{
	MigLabel	label;
	MigBody    *body;
	List	   *trees;
	ErrorData  *edata;

	if (text == NULL)
		return NULL;
	mig_body_label_of_source(&label, source, part);
	edata = mig_trial_parse(text, &label, &body, &trees);
	if (edata == NULL && empty != NULL)
		*empty = body->nstatements == 0;
	return edata;
}

/* with line and reason, which an error has in its context and hint */
static void
warn_of_body(const MigSource *source, MigPart part, const ErrorData *edata,
			 const char *hint)
{
	MigLabel	label;
	const char *detail = edata->detail;

	if (detail == NULL && edata->context != NULL)
		detail = psprintf("At %s.", edata->context);

	mig_body_label_of_source(&label, source, part);
	ereport(WARNING,
			(errcode(edata->sqlerrcode),
			 errmsg("the %s body of migration \"%s\" (%s) cannot be run: %s",
					mig_body_part_name(part), source->version, label.path,
					edata->message),
			 detail ? errdetail("%s", detail) : 0,
			 errhint("%s%s%s", edata->hint ? edata->hint : "",
					 edata->hint ? "  " : "", hint)));
}

/* are these files in a form that is ours? */
static bool
is_own_convention(const MigSource *source)
{
	return source->source == NULL || strcmp(source->source, "native") == 0 ||
		strcmp(source->source, "plain") == 0 ||
		strcmp(source->source, "name") == 0;
}

#define HINT_STORED "It is stored, and a call that would run it is refused."

/*
 * Parse the texts of a file.  A way back that can never be run is a warning,
 * not the end of the load: it may have been there for years without being run.
 * A call that would run it is refused with the error.
 *
 * The same goes for an up body of another tool, which has perhaps run what this
 * server refuses, psql's commands for example: its text is needed to say that
 * it is applied.  In a load of a part no such body is stored: false, then.
 * Sets *empty if up has no statement, *down_empty if down alone has none.
 */
static bool
parse_source(const MigSource *source, bool partial, bool *empty,
			 bool *down_empty)
{
	ErrorData  *edata = NULL;

	if (!partial && is_own_convention(source))
		*empty = !parse_source_body(source, MIG_UP, source->up);
	else
		edata = try_body_of_file(source, MIG_UP, source->up, empty);
	if (edata != NULL)
		warn_of_body(source, MIG_UP, edata,
					 partial ? "The migration is left out." : HINT_STORED);
	if (edata != NULL && partial)
		return false;
	for (int part = MIG_DOWN; part <= MIG_VERIFY; part++)
	{
		edata = try_body_of_file(source, part, part == MIG_DOWN ?
								 source->down : source->verify,
								 part == MIG_DOWN ? down_empty : NULL);
		if (edata != NULL)
			warn_of_body(source, part, edata, HINT_STORED);
	}
	*down_empty = *down_empty && !*empty;
	return true;
}

/* say which roll-backs are going to do nothing (versions, char *) */
static void
warn_of_empty_downs(List *versions)
{
	if (versions != NIL)
		ereport(WARNING,
				(errmsg_plural("the down body of %d migration has no statement",
							   "the down bodies of %d migrations have no statement",
							   list_length(versions), list_length(versions)),
				 errdetail_plural("The migration is %s: a roll-back of it would undo nothing.",
								  "The migrations are %s: a roll-back of them would undo nothing.",
								  list_length(versions),
								  mig_error_name_list(versions)),
				 errhint("Write what undoes the up body.  If there is nothing to undo, SELECT 1 says so.")));
}

/* say which migrations are going to do nothing (versions, char *) */
static void
warn_of_empty(List *versions)
{
	if (versions != NIL)
		ereport(WARNING,
				(errmsg_plural("the up body of %d migration is empty",
							   "the up bodies of %d migrations are empty",
							   list_length(versions), list_length(versions)),
				 errdetail_plural("The migration is %s.",
								  "The migrations are %s.",
								  list_length(versions),
								  mig_error_name_list(versions)),
				 errhint("What is missing has to be filled in before it is applied: afterwards it counts as done.")));
}

static void
check_line(int sqlstate, const MigSource *source, const char *what,
		   const char *text, int bytes)
{
	if (text != NULL && !mig_is_line(text, bytes))
		mig_check_line_as(sqlstate, psprintf("%s of migration \"%s\"", what,
											 source->version), text, bytes);
}

/*
 * Raise an error for a text that is not a line, or is too long.  The constraints
 * of the table would not say what is wrong with it.
 */
static void
check_lines(int sqlstate, const MigSource *source)
{
	ListCell   *lc;

	mig_check_line_as(sqlstate, "a version", source->version, MIG_VERSION_BYTES);
	check_line(sqlstate, source, "the name", source->name, MIG_NAME_BYTES);
	check_line(sqlstate, source, "the path", source->path, MIG_PATH_BYTES);
	check_line(sqlstate, source, "the path of the down file", source->down_path,
			   MIG_PATH_BYTES);
	check_line(sqlstate, source, "the path of the verify file", source->verify_path,
			   MIG_PATH_BYTES);
	check_line(sqlstate, source, "the source", source->source, MIG_NAME_BYTES);
	foreach(lc, source->requires)
		check_line(sqlstate, source, "a requirement", lfirst(lc), MIG_NAME_BYTES);
	if (list_length(source->requires) > MIG_MAX_REQUIRED)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("migration \"%s\" requires too many others",
						source->version),
				 errdetail("It requires %d, and may require %d.",
						   list_length(source->requires), MIG_MAX_REQUIRED)));
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
	check_lines(ERRCODE_CHECK_VIOLATION, &source);
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
	has_up = parse_source_body(&source, MIG_UP, get_text(row, M_UP));
	if (!has_up && source.requires == NIL)
		warn_of_empty(list_make1(source.version));
	if (!parse_source_body(&source, MIG_DOWN, get_text(row, M_DOWN)) && has_up)
		warn_of_empty_downs(list_make1(source.version));
	parse_source_body(&source, MIG_VERIFY, get_text(row, M_VERIFY));
}

/*
 * Authors
 */

static const char *
caller_name(void)
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
static void
find_authors(const MigAuthor *named, MigAuthor *authors)
{
	int			part;

	for (part = MIG_UP; part <= MIG_VERIFY; part++)
	{
		if (named != NULL && superuser_speaks())
			authors[part] = named[part];
		else
		{
			authors[part].name = caller_name();
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
	return !same_string(before.name, after.name) ||
		before.trusted != after.trusted;
}

static bool
same_column(const MigrationRow *a, const MigrationRow *b,
			MigMigrationColumn column)
{
	return same_string(get_text(a, column), get_text(b, column));
}

static bool
is_of_sqitch(const MigrationRow *row)
{
	return !row->nulls[M_SOURCE] &&
		strcmp(get_text(row, M_SOURCE), "sqitch") == 0;
}

/* is there no difference in what decides when, after what and how a body runs? */
static bool
runs_alike(const MigrationRow *old, const MigrationRow *row)
{
	static const MigMigrationColumn columns[] = {
		M_PROJECT, M_VERSION, M_KIND, M_TRANSACTIONAL, M_REQUIRES
	};
	int			i;

	/* what a verify body says is judged by that */
	if (is_of_sqitch(old) != is_of_sqitch(row))
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

	if (same_string(before, after))
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
		author.name = caller_name();
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
	set_row_text(row, M_CHECKSUM, checksum);
	set_row_text(row, M_DOWN_CHECKSUM, down_checksum);

	settle_authors(NULL, row);

	/* only a superuser is believed */
	if (row->nulls[M_ADDED_BY] || !superuser())
		set_row_text(row, M_ADDED_BY, caller_name());
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
	return mig_migration_is_applied(get_text(row, M_PROJECT),
									get_text(row, M_VERSION));
}

/* a text of an applied migration that gives way to another one */
typedef struct Amendment
{
	const char *project;
	const char *version;
	const char *name;
	const char *old[MIG_VERIFY + 1];	/* up, down, verify; NULL: none */
	const char *new[MIG_VERIFY + 1];
	MigTransactional was_transactional; /* what was said of the old texts */
	bool		as_applied;		/* the old up and down are those that were
								 * applied */
	const char *note;			/* NULL: that of all of them */
	const char *taken_by;		/* the file of another migration that has this
								 * version, or NULL */
} Amendment;

/* journal one replaced text, and keep it */
static void
add_amended_part(MigJournalBatch *batch, MigJournalRow *row, MigPart part,
				 const char *old_text, const char *new_text)
{
	if (same_string(old_text, new_text))
		return;
	row->seq++;
	row->body = mig_body_part_name(part);
	row->body_hash = old_text ? mig_checksum_exact(old_text,
												   mig_checksum(old_text)) : NULL;
	mig_journal_batch_add(batch, row);
	if (old_text != NULL)
		mig_journal_batch_add_body(batch, row->body_hash, row->run, old_text);
}

/*
 * Write down that the texts of migrations (Amendment *) are replaced, and have
 * the ledger take the new ones for what was applied.
 */
static void
amend_all(List *amendments, const char *note)
{
	const Amendment *first = linitial(amendments);
	MigJournalBatch *batch = mig_journal_batch_begin();
	MigJournalRow row;
	ListCell   *lc;

	mig_journal_event(&row, mig_journal_next_run(), first->project, "amend",
					  note);
	foreach(lc, amendments)
	{
		const Amendment *amendment = lfirst(lc);

		row.version = amendment->version;
		row.name = amendment->name;
		row.note = amendment->note ? amendment->note : note;
		row.checksum = mig_checksum(amendment->new[MIG_UP]);
		row.down_checksum = amendment->new[MIG_DOWN] ?
			mig_checksum(amendment->new[MIG_DOWN]) : NULL;
		for (int part = MIG_UP; part <= MIG_VERIFY; part++)
			add_amended_part(batch, &row, part, amendment->old[part],
							 amendment->new[part]);
		mig_migration_accept(amendment->project, amendment->version,
							 row.checksum, row.down_checksum);
	}
	mig_journal_batch_flush(batch);
	mig_journal_batch_end(batch);
}

#define NOTE_COMMENTS "comments or blanks only"

/* do up and down differ in comments and blanks only? */
static bool
is_comment_edit(const Amendment *amendment)
{
	return amendment->as_applied &&
		mig_tokens_same(amendment->old[MIG_UP], amendment->new[MIG_UP]) &&
		mig_tokens_same(amendment->old[MIG_DOWN], amendment->new[MIG_DOWN]);
}

static void
notice_comment_edits(List *versions)
{
	ereport(NOTICE,
			(errmsg_plural("the text of %d applied migration has new comments or blanks, and is taken",
						   "the texts of %d applied migrations have new comments or blanks, and are taken",
						   list_length(versions), list_length(versions)),
			 errdetail_plural("The migration is %s.", "The migrations are %s.",
							  list_length(versions),
							  mig_error_name_list(versions))));
}

/* an UPDATE of texts by hand is recorded as amend() would */
static void
amendment_of_rows(Amendment *amendment, const MigrationRow *old,
				  const MigrationRow *row)
{
	const MigEntry *entry;

	amendment->project = get_text(old, M_PROJECT);
	amendment->version = get_text(old, M_VERSION);
	amendment->name = get_text(row, M_NAME);
	entry = mig_migration_entry(amendment->project, amendment->version);
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
	Amendment	amendment;

	amendment_of_rows(&amendment, old, row);
	if (amendment.new[MIG_UP] == NULL ||
		mig_policy_read(amendment.project)->refuse_edits ||
		!is_comment_edit(&amendment))
		refuse_applied(amendment.version, "change",
					   "Write a new migration, or replace the text on purpose with migrate.amend().");
	notice_comment_edits(list_make1(unconstify(char *, amendment.version)));
	amend_all(list_make1(&amendment), NOTE_COMMENTS);
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
		refuse_applied(get_text(old, M_VERSION), "delete",
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
	List	   *projects = mig_migration_projects();
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
mig_store_gate(TriggerData *trigger)
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


/*
 * Sets of migrations
 */

/* what add() and load() both refuse, whatever is stored already */
static void
check_source(const MigSource *source)
{
	if (source->version[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a version must not be empty")));
	check_lines(ERRCODE_INVALID_PARAMETER_VALUE, source);
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

/* a migration that only joins others, as the ledger sees it */
static bool
is_merge(const MigSource *source)
{
	return source->requires != NIL && source->kind == MIG_VERSIONED &&
		(source->source == NULL || strcmp(source->source, "sqitch") != 0) &&
		mig_lenient_scan_is_empty(source->up);
}

/*
 * Parse new and changed migrations.  Returns those that must be left out; which
 * are none unless partial.
 */
static List *
parse_sources(List *sources, bool partial)
{
	List	   *refused = NIL;
	List	   *empty = NIL;
	List	   *empty_downs = NIL;
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "migrate parsing",
							  ALLOCSET_DEFAULT_SIZES);
	ListCell   *lc;

	foreach(lc, sources)
	{
		MigSource  *source = (MigSource *) lfirst(lc);
		MemoryContext old = MemoryContextSwitchTo(context);

		bool		is_empty = false;
		bool		down_is_empty = false;
		bool		stored;

		CHECK_FOR_INTERRUPTS();
		stored = parse_source(source, partial, &is_empty, &down_is_empty);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
		if (!stored)
			refused = lappend(refused, source);
		else if (is_empty && !is_merge(source))
			empty = lappend(empty, source->version);
		if (stored && down_is_empty)
			empty_downs = lappend(empty_downs, source->version);
	}
	MemoryContextDelete(context);
	warn_of_empty(empty);
	warn_of_empty_downs(empty_downs);
	return refused;
}

/*
 * Store migrations that have been parsed; amendments are about those of the
 * changed ones that are applied.
 */
static void
store_sources(const char *project, List *new_sources, List *changed_sources,
			  List *amendments, const char *note, const MigAuthor *named)
{
	MigAuthor	authors[MIG_VERIFY + 1];

	find_authors(named, authors);
	bodies_parsed = true;
	amending = amendments != NIL;
	incoming_authors = authors;
	PG_TRY();
	{
		mig_migration_insert(project, new_sources, caller_name());
		mig_migration_replace(project, changed_sources, caller_name());
	}
	PG_FINALLY();
	{
		bodies_parsed = amending = false;
		incoming_authors = NULL;
	}
	PG_END_TRY();
	if (amendments != NIL)
		amend_all(amendments, note);
}

/* how these sources compare with what is stored, in their order */
static MigComparison *
compare_some(const char *project, List *sources)
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
	return mig_migration_compare(project, sources, checksums, down_checksums);
}

#define COMPARED_AT_ONCE 1024

/* in portions, so that checksums and rows are not in memory for all of them */
static MigComparison *
compare_with_stored(const char *project, List *sources)
{
	int			count = list_length(sources);
	MigComparison *result = palloc(sizeof(MigComparison) * Max(count, 1));
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "migrate comparison",
							  ALLOCSET_DEFAULT_SIZES);
	int			done;
	int			i;

	for (done = 0; done < count; done += COMPARED_AT_ONCE)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		int			n = Min(count - done, COMPARED_AT_ONCE);
		List	   *some = NIL;

		CHECK_FOR_INTERRUPTS();
		for (i = 0; i < n; i++)
			some = lappend(some, list_nth(sources, done + i));
		memcpy(&result[done], compare_some(project, some),
			   sizeof(MigComparison) * n);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
	return result;
}

/* has it a way back, or none to go? */
static bool
has_way_back(const MigSource *source)
{
	if (source->down == NULL)
		return source->irreversible || is_merge(source);
	return !mig_lenient_scan_is_empty(source->down) ||
		mig_lenient_scan_is_empty(source->up);
}

/* one error for all sources, if the policy requires down bodies */
static void
refuse_missing_downs(const char *project, List *sources)
{
	MigPolicy  *policy = mig_policy_read(project);
	List	   *lacking = NIL;
	ListCell   *lc;

	if (!policy->require_down)
		return;
	foreach(lc, sources)
	{
		MigSource  *source = (MigSource *) lfirst(lc);

		if (source->kind == MIG_VERSIONED && !has_way_back(source))
			lacking = lappend(lacking, source->version);
	}
	mig_error_refuse_without_down(lacking, MIG_HINT_POLICY_DOWN);
}

/* the text is not the one that was applied */
static bool
differs_from_applied(const MigSource *source, const MigComparison *row)
{
	return row->applied && row->stored && source->kind == MIG_VERSIONED &&
		row->same_kind && !(row->same_up && row->same_down);
}

/*
 * The file that a migration was stored from, if the source is not an edit of it
 * but another migration that has been given the same version: the file has
 * another name, and the text says something else.
 */
static const char *
find_taker(const MigEntry *entry, const MigTexts *old, const MigSource *source)
{
	if (entry->path == NULL || strcmp(entry->path, source->path) == 0 ||
		strcmp(entry->name, source->name) == 0 ||
		mig_tokens_same(old->up, source->up))
		return NULL;
	return entry->path;
}

/* what the stored texts of these sources (MigSource *) are replaced by */
static List *
find_amendments(const char *project, List *sources)
{
	int			count = list_length(sources);
	char	  **versions = palloc(sizeof(char *) * Max(count, 1));
	List	   *amendments = NIL;
	MigEntry  **entries;
	MigTexts   *texts;
	ListCell   *lc;

	if (sources == NIL)
		return NIL;
	foreach(lc, sources)
		versions[foreach_current_index(lc)] = ((MigSource *) lfirst(lc))->version;
	entries = mig_migration_entries_of(project, versions, count);
	texts = mig_migration_texts(project, entries, count);
	foreach(lc, sources)
	{
		const MigSource *source = lfirst(lc);
		const MigTexts *old = &texts[foreach_current_index(lc)];
		Amendment  *amendment = palloc0(sizeof(Amendment));

		amendment->project = project;
		amendment->version = source->version;
		amendment->name = source->name;
		amendment->as_applied = !entries[foreach_current_index(lc)]->up_changed &&
			!entries[foreach_current_index(lc)]->down_changed;
		amendment->was_transactional =
			entries[foreach_current_index(lc)]->transactional;
		amendment->old[MIG_UP] = old->up;
		amendment->old[MIG_DOWN] = old->down;
		amendment->old[MIG_VERIFY] = old->verify;
		amendment->new[MIG_UP] = source->up;
		amendment->new[MIG_DOWN] = source->down;
		amendment->new[MIG_VERIFY] = source->verify;
		amendment->taken_by = source->path == NULL ? NULL :
			find_taker(entries[foreach_current_index(lc)], old, source);
		amendments = lappend(amendments, amendment);
	}
	return amendments;
}

/* may the new text of an applied migration be taken without being asked? */
static bool
is_harmless(const Amendment *amendment, const MigComparison *row,
			const MigPolicy *policy)
{
	return !policy->refuse_edits && row->same_head && is_comment_edit(amendment);
}

#define HINT_EMPTY \
	"  It was applied with an empty text, which has done nothing: take it out of the ledger with migrate.unstamp(), and apply it."

/* take a comment edit of an applied migration, or refuse what add() was given */
static void
add_again(const char *project, MigSource *source, const MigComparison *row,
		  const MigAuthor *authors)
{
	Amendment  *amendment;

	if (differs_from_applied(source, row))
	{
		amendment = linitial(find_amendments(project, list_make1(source)));
		if (is_harmless(amendment, row, mig_policy_read(project)))
		{
			(void) parse_sources(list_make1(source), false);
			store_sources(project, NIL, list_make1(source),
						  list_make1(amendment), NOTE_COMMENTS, authors);
			notice_comment_edits(list_make1(source->version));
			return;
		}
	}
	ereport(ERROR,
			(errcode(MIG_ERRCODE_TEXT_DIFFERS),
			 errmsg("migration \"%s\" is already stored with another text",
					source->version),
			 row->applied ?
			 errhint("It is applied: write a new migration, or replace the text on purpose with migrate.amend().") :
			 errhint("It is pending: take it out with migrate.remove() first.")));
}

void
mig_store_add(const char *project, MigSource *source, const MigAuthor *authors)
{
	List	   *sources = list_make1(source);
	MigComparison *row;

	mig_preflight_transaction("store a migration");
	mig_run_lock_acquire();
	check_source(source);
	if (!mig_migration_is_stored(project, source->version))
	{
		refuse_missing_downs(project, sources);
		if (source->source == NULL)
		{
			parse_source_body(source, MIG_DOWN, source->down);
			parse_source_body(source, MIG_VERIFY, source->verify);
		}
		(void) parse_sources(sources, false);
		store_sources(project, sources, NIL, NIL, NULL, authors);
		return;
	}
	row = compare_with_stored(project, sources);
	if (!row->same_up || !row->same_down || !row->same_head ||
		!row->same_verify)
		add_again(project, source, row, authors);
}

/* what load() says of a source, in a constant string */
static const char *
load_result(const MigSource *source, const MigComparison *row)
{
	if (source->renamed_from != NULL)
		return "renamed";
	if (!row->stored)
		return "added";
	if (row->ran_before)
		return "superseded";
	if (row->same_up && row->same_down && row->same_head && row->same_verify &&
		row->same_place)
		return "unchanged";
	if (differs_from_applied(source, row))
		return "amended";
	return "changed";
}

typedef struct LoadPlan
{
	const MigLoading *how;
	List	   *sources;
	MigComparison *rows;
	List	   *new_sources;
	List	   *changed_sources;
	List	   *moved_sources;	/* the same texts in files of other names */
	List	   *amendments;		/* of those of the changed that are applied */
	List	   *kept_downs;		/* versions whose amended down stays */
	List	   *comment_edits;	/* versions of those that differ in no more */
	List	   *remarked;		/* versions of applied ones that are said to
								 * run in another way now */
	List	   *refused_sources;	/* that cannot be parsed */
	MigEntry   *entries;		/* of the project before the load */
	int			nentries;
	List	   *absent;			/* of MigEntry * */
	List	   *pruned;			/* of versions (char *) */
	List	   *renamed;		/* of MigRenamed *, applied */
	List	   *renamed_pending;	/* likewise, not applied */
} LoadPlan;

/*
 * Never applied, not even partly, and not held.  If files were refused, one of
 * them may be its file.
 */
static bool
may_be_pruned(const MigEntry *entry, const MigLoading *how)
{
	return how->prune && how->refusals == NIL && !entry->applied &&
		!entry->partial && entry->held_reason == NULL;
}

/* was it loaded from a file that is there, but was refused? */
static bool
is_of_refused_file(const MigEntry *entry, const MigLoading *how)
{
	ListCell   *lc;

	foreach(lc, how->refusals)
	{
		if (entry->path != NULL &&
			strcmp(((MigRefusal *) lfirst(lc))->path, entry->path) == 0)
			return true;
	}
	return false;
}

/* entries of the project that no source names */
static void
find_absent(LoadPlan *load, List *sources)
{
	int			count = list_length(sources);
	char	  **versions = palloc(sizeof(char *) * Max(count, 1));
	ListCell   *lc;
	int			i = 0;

	foreach(lc, sources)
		versions[i++] = ((MigSource *) lfirst(lc))->version;
	qsort(versions, count, sizeof(char *), mig_version_compare_bytes);
	for (i = 0; i < load->nentries; i++)
	{
		MigEntry   *entry = &load->entries[i];

		if (!entry->stored ||
			bsearch(&entry->version, versions, count, sizeof(char *),
					mig_version_compare_bytes) != NULL ||
			is_of_refused_file(entry, load->how))
			continue;
		load->absent = lappend(load->absent, entry);
		if (may_be_pruned(entry, load->how))
			load->pruned = lappend(load->pruned, entry->version);
	}
}

/*
 * Find sources that would run what has run under a version without a file, and
 * raise it, unless the ledger is to take the new versions.  What is pending
 * under such a version gives way to the renamed file.
 */
static void
plan_renamed(const char *project, LoadPlan *load)
{
	List	   *new_texts = NIL;
	ListCell   *lc;

	foreach(lc, load->sources)
	{
		const MigComparison *row = &load->rows[foreach_current_index(lc)];

		if (!row->applied && !(row->stored && row->same_up))
			new_texts = lappend(new_texts, lfirst(lc));
	}
	load->renamed = mig_renamed_find(project, new_texts, &load->absent);
	load->renamed_pending = mig_renamed_take_pending(&load->renamed);
	mig_renamed_refuse(load->renamed, load->how->accept);
	mig_renamed_refuse_spellings(load->new_sources, load->entries,
								 load->nentries,
								 list_concat_copy(load->renamed,
												  load->renamed_pending),
								 load->pruned);
}

/*
 * Conflicts are names of files; was_empty if nothing had been stored before,
 * when the wrong directory is likely.
 */
static void
refuse_changed_sources(List *conflicts, bool was_empty)
{
	if (conflicts == NIL)
		return;
	ereport(ERROR,
			(errcode(MIG_ERRCODE_TEXT_DIFFERS),
			 errmsg_plural("the file of %d applied migration has another text or kind than the one that was applied",
						   "the files of %d applied migrations have other texts or kinds than those that were applied",
						   list_length(conflicts), list_length(conflicts)),
			 errdetail("Migrations: %s.", mig_error_name_list(conflicts)),
			 errhint("Put the applied text back and write a new migration, or accept the new text with migrate.amend(), or all of them with accept => true.%s",
					 was_empty ? HINT_EMPTY : "")));
}

/* accept is for edits: what has never run must not count as applied */
static void
refuse_taken_versions(List *taken)
{
	if (taken == NIL)
		return;
	ereport(ERROR,
			(errcode(MIG_ERRCODE_DUPLICATE),
			 errmsg_plural("the version of %d file is that of another migration, which is applied",
						   "the versions of %d files are those of other migrations, which are applied",
						   list_length(taken), list_length(taken)),
			 errdetail("Versions: %s.", mig_error_name_list(taken)),
			 errhint("Give the file another version, or see that this is the database, and the project, that it is for.  If it is the same migration with a new name, give its new text to migrate.amend() first.  A file whose text was applied under another version is recorded with migrate.stamp().")));
}

/*
 * Decide about the sources whose text is not the applied one; rows are those of
 * the comparison, in the same order.  conflicts has what is refused already.
 */
static void
plan_amendments(LoadPlan *load, const char *project, List *sources, List *rows,
				List *conflicts)
{
	List	   *amendments = find_amendments(project, sources);
	MigPolicy  *policy = sources ? mig_policy_read(project) : NULL;
	List	   *taken = NIL;
	bool		was_empty = false;
	ListCell   *lc;

	foreach(lc, sources)
	{
		MigSource  *source = lfirst(lc);
		int			i = foreach_current_index(lc);
		Amendment  *amendment = list_nth(amendments, i);
		bool		harmless;

		CHECK_FOR_INTERRUPTS();
		if (amendment->taken_by != NULL)
		{
			taken = lappend(taken, psprintf("%s (%s, where %s was applied)",
											source->version, source->path,
											amendment->taken_by));
			continue;
		}
		harmless = is_harmless(amendment, list_nth(rows, i), policy);
		if (harmless)
			load->comment_edits = lappend(load->comment_edits, source->version);
		if (harmless || load->how->accept)
		{
			load->changed_sources = lappend(load->changed_sources, source);
			load->amendments = lappend(load->amendments, amendment);
			continue;
		}
		conflicts = lappend(conflicts, psprintf("%s (%s)", source->version,
												source->path));
		if (mig_lenient_scan_is_empty(amendment->old[MIG_UP]))
			was_empty = true;
	}
	refuse_taken_versions(taken);
	refuse_changed_sources(conflicts, was_empty);
}

/*
 * What applied migrations (sources) have new beside their up and down: of a
 * verify body the old text is kept, and how a body is to be run is told.
 */
static void
plan_other_changes(LoadPlan *load, const char *project, List *sources)
{
	List	   *amendments = find_amendments(project, sources);
	ListCell   *lc;

	foreach(lc, sources)
	{
		const MigSource *source = (const MigSource *) lfirst(lc);
		Amendment  *amendment = list_nth(amendments,
										 foreach_current_index(lc));

		if (!same_string(amendment->old[MIG_VERIFY], source->verify))
		{
			amendment->note = "verify body only";
			load->amendments = lappend(load->amendments, amendment);
		}
		if (amendment->was_transactional != source->transactional)
			load->remarked = lappend(load->remarked, source->version);
	}
}

/*
 * A file that says nothing about the way back does not take away the one that
 * amend() has been given: it goes on with the source, and a NOTICE says so.
 */
static void
keep_amended_downs(const char *project, LoadPlan *load)
{
	int			count = list_length(load->sources);

	for (int i = 0; i < count; i++)
	{
		MigSource  *source = list_nth(load->sources, i);
		MigComparison *row = &load->rows[i];
		MigEntry  **entries;
		MigTexts   *texts;

		if (!row->amended_down || source->irreversible)
			continue;
		entries = mig_migration_entries_of(project, &source->version, 1);
		texts = mig_migration_texts(project, entries, 1);
		source->down = pstrdup(texts->down);
		source->down_path = entries[0]->down_path;
		source->lines[MIG_DOWN] = entries[0]->lines[MIG_DOWN];
		load->kept_downs = lappend(load->kept_downs, source->version);
	}
	if (load->kept_downs == NIL)
		return;

	/* with their downs they may be what is stored */
	load->rows = compare_with_stored(project, load->sources);
}

/*
 * Compare a set with what is stored, and refuse what cannot be loaded; nothing
 * is written.
 */
static LoadPlan *
plan_load(const char *project, List *sources, const MigLoading *how)
{
	LoadPlan   *load = palloc0(sizeof(LoadPlan));
	List	   *conflicts = NIL;
	List	   *others = NIL;
	List	   *different = NIL;
	List	   *different_rows = NIL;
	ListCell   *lc;

	load->how = how;
	load->sources = sources;
	load->rows = compare_with_stored(project, sources);
	keep_amended_downs(project, load);
	foreach(lc, sources)
	{
		MigSource  *source = (MigSource *) lfirst(lc);
		MigComparison *row = &load->rows[foreach_current_index(lc)];
		const char *result = load_result(source, row);

		if (differs_from_applied(source, row))
		{
			different = lappend(different, source);
			different_rows = lappend(different_rows, row);
		}
		else if (row->applied && !row->same_kind)
			conflicts = lappend(conflicts, psprintf("%s (%s)",
													source->version,
													source->path));
		else if (!row->stored)
			load->new_sources = lappend(load->new_sources, source);
		else if (strcmp(result, "changed") != 0)
			continue;
		else if (row->same_up && row->same_down && row->same_head &&
				 row->same_verify)
			load->moved_sources = lappend(load->moved_sources, source);
		else
		{
			load->changed_sources = lappend(load->changed_sources, source);
			if (row->applied && source->kind == MIG_VERSIONED)
				others = lappend(others, source);
		}
	}
	plan_amendments(load, project, different, different_rows, conflicts);
	plan_other_changes(load, project, others);
	load->entries = mig_migration_entries(project, false, &load->nentries);
	find_absent(load, sources);
	plan_renamed(project, load);
	return load;
}

/* after a change: bring migrate.state up to date */
static void
finish_change(const char *name)
{
	mig_project_write_state(mig_project_read(name, NIL, false, false));
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

/* what was loaded, in the project's order; the number of them in *count */
static LoadedSource *
order_sources(const LoadPlan *load, const MigProject *project, int *count)
{
	LoadedSource *loaded = palloc(sizeof(LoadedSource) *
								  Max(list_length(load->sources), 1));
	ListCell   *lc;

	*count = 0;
	foreach(lc, load->sources)
	{
		LoadedSource *one = &loaded[*count];

		if (list_member_ptr(load->refused_sources, lfirst(lc)))
			continue;
		one->source = (MigSource *) lfirst(lc);
		one->row = &load->rows[foreach_current_index(lc)];
		one->position =
			mig_plan_find(project, one->source->version)->position;
		(*count)++;
	}
	qsort(loaded, *count, sizeof(LoadedSource), compare_loaded);
	return loaded;
}

/* what load() says of files, and of bodies, that were left out */
static void
report_refused(const LoadPlan *load, MigStoreSink sink, void *arg)
{
	ListCell   *lc;

	foreach(lc, load->refused_sources)
	{
		const MigSource *source = lfirst(lc);

		sink(source->version, source->name, source->path, "refused", arg);
	}
	foreach(lc, load->how->refusals)
		sink(NULL, NULL, ((MigRefusal *) lfirst(lc))->path, "refused", arg);
}

/*
 * Tell the sink what became of each file, in the project's order, and then
 * what is not in the set.
 */
static void
report_load(const LoadPlan *load, const MigProject *project,
			MigStoreSink sink, void *arg)
{
	int			count;
	LoadedSource *loaded = order_sources(load, project, &count);
	ListCell   *lc;
	int			i;

	for (i = 0; i < count; i++)
	{
		const MigSource *source = loaded[i].source;
		const char *result = load_result(source, loaded[i].row);

		if (strcmp(result, "superseded") == 0)
			ereport(WARNING,
					(errmsg("repeatable migration \"%s\" keeps its newer text",
							source->version),
					 errdetail("This text was applied before, and another one after it."),
					 errhint("To go back to it, change it in any way, a comment for example.")));
		sink(source->version, source->name, source->path, result, arg);
	}
	report_refused(load, sink, arg);
	foreach(lc, load->absent)
	{
		MigEntry   *entry = (MigEntry *) lfirst(lc);

		sink(entry->version, entry->name, entry->path,
			 may_be_pruned(entry, load->how) ? "pruned" : "absent",
			 arg);
	}
	if (load->comment_edits != NIL)
		notice_comment_edits(load->comment_edits);
	if (load->kept_downs != NIL)
		ereport(NOTICE,
				(errmsg_plural("%d migration keeps a down body that its file does not have",
							   "%d migrations keep down bodies that their files do not have",
							   list_length(load->kept_downs),
							   list_length(load->kept_downs)),
				 errdetail("Amended: %s.", mig_error_name_list(load->kept_downs)),
				 errhint("Put it into the file.  To take it away, say -- migrate:irreversible there.")));
}

/* the list without the renaming that the source stands for */
static List *
drop_renamed(List *renamed, const MigSource *source)
{
	ListCell   *lc;

	foreach(lc, renamed)
	{
		if (((MigRenamed *) lfirst(lc))->source == source)
			renamed = foreach_delete_current(renamed, lc);
	}
	return renamed;
}

/* an amendment goes with its source, and so does a new version */
static void
drop_refused_sources(LoadPlan *load)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, load->refused_sources)
	{
		MigSource  *source = lfirst(lc);

		load->new_sources = list_delete_ptr(load->new_sources, source);
		load->changed_sources = list_delete_ptr(load->changed_sources, source);
		load->renamed = drop_renamed(load->renamed, source);
		load->renamed_pending = drop_renamed(load->renamed_pending, source);
		foreach(lc2, load->amendments)
		{
			if (strcmp(((Amendment *) lfirst(lc2))->version,
					   source->version) == 0)
				load->amendments = foreach_delete_current(load->amendments,
														  lc2);
		}
	}
}

/*
 * Everything that the plan of a load writes, in one transaction; refused
 * sources are left out. Returns the project as it is stored then.
 */
static MigProject *
write_load(const char *project, LoadPlan *load)
{
	MigProject *stored;
	ListCell   *lc;

	load->refused_sources =
		parse_sources(list_concat_copy(load->new_sources,
									   load->changed_sources),
					  load->how->partial);
	drop_refused_sources(load);
	if (load->remarked != NIL)
		ereport(NOTICE,
				(errmsg("%s: applied, and said to be run in another way now, which changes nothing of what was run",
						mig_error_name_list(load->remarked))));
	refuse_missing_downs(project, load->new_sources);
	refuse_missing_downs(project, load->changed_sources);
	store_sources(project, load->new_sources, load->changed_sources,
				  load->amendments, load->how->accept ?
				  "accepted by load()" : NOTE_COMMENTS, NULL);
	mig_migration_move(project, load->moved_sources);
	foreach(lc, load->renamed_pending)
		load->pruned = lappend(load->pruned,
							   ((MigRenamed *) lfirst(lc))->entry->version);
	if (load->pruned != NIL)
		mig_migration_delete(project, load->pruned);
	if (load->renamed != NIL)
		mig_renamed_record(project, load->renamed);

	/* what a refused migration is required by has its order once it is there */
	stored = mig_project_read_all(project, false,
								  load->refused_sources == NIL &&
								  load->how->refusals == NIL);
	mig_project_write_state(stored);
	return stored;
}

void
mig_store_load(const char *name, List *sources, const MigLoading *how,
			   MigStoreSink sink, void *arg)
{
	LoadPlan   *load;
	MigProject *project;
	bool		held_before = true;
	bool		locked;

	mig_run_lock_refuse_recursion();
	if (how->accept)
		mig_preflight_function("amend",
							   "accept new texts of applied migrations");
	locked = mig_preflight_can_write() && mig_run_lock_try(&held_before);
	load = plan_load(name, sources, how);
	if (!locked && has_changes(load))
	{
		mig_preflight_transaction("load migrations");
		mig_run_lock_acquire();
		locked = true;
		held_before = true;

		/* somebody else may have loaded the same while we waited */
		load = plan_load(name, sources, how);
	}
	if (has_changes(load))
		project = write_load(name, load);
	else
	{
		if (locked && !held_before)
			mig_run_lock_release();
		project = mig_plan_project(name, load->entries, load->nentries, false);
	}
	report_load(load, project, sink, arg);
}


/*
 * One migration
 */

/* the stored row of a version, with the lock held */
static MigEntry *
locked_entry(const char *project, const char *version, const char *what)
{
	MigEntry   *entry;

	mig_preflight_transaction(what);
	mig_run_lock_acquire();
	entry = mig_migration_entry(project, version);
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
	const MigProject *project = mig_project_read(name, NIL, false, false);
	int			i;
	int			r;

	for (i = 0; i < project->count; i++)
	{
		const MigEntry *entry = &project->entries[i];

		for (r = 0; r < entry->nrequires && !entry->applied; r++)
		{
			if (strcmp(entry->requires[r], version) == 0 &&
				strcmp(entry->version, version) != 0)
				ereport(ERROR,
						(errcode(MIG_ERRCODE_REQUIREMENT),
						 errmsg("cannot remove migration \"%s\" because \"%s\" requires it",
								version, entry->version),
						 errhint("Remove \"%s\" first.", entry->version)));
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
				 errhint("Undo by hand what it has done and say so with SELECT migrate.resume(%s, at => 1), or go on with CALL migrate.apply_each().",
						 quote_literal_cstr(version))));
	refuse_required(project, version);
	mig_migration_delete(project, list_make1(entry->version));
	finish_change(project);
}

void
mig_store_amend(const char *project, const char *version, const char *up,
				const char *down, const char *verify, const char *note)
{
	MigEntry   *entry = locked_entry(project, version, "amend a migration");
	MigTexts   *old = mig_migration_texts(project, &entry, 1);
	MigTexts	texts = *old;
	MigSource	source = {0};
	Amendment	amendment = {0};
	MigAuthor	authors[MIG_VERIFY + 1];

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
	source.transactional = entry->transactional;
	parse_source_body(&source, MIG_UP, up);
	parse_source_body(&source, MIG_DOWN, down);
	parse_source_body(&source, MIG_VERIFY, verify);
	amendment.project = project;
	amendment.version = version;
	amendment.name = entry->name;
	amendment.old[MIG_UP] = old->up;
	amendment.old[MIG_DOWN] = old->down;
	amendment.old[MIG_VERIFY] = old->verify;
	amendment.new[MIG_UP] = texts.up;
	amendment.new[MIG_DOWN] = texts.down;
	amendment.new[MIG_VERIFY] = texts.verify;
	find_authors(NULL, authors);
	amending = bodies_parsed = true;
	incoming_authors = authors;
	PG_TRY();
	{
		mig_migration_amend(project, version, &texts, caller_name());
	}
	PG_FINALLY();
	{
		amending = bodies_parsed = false;
		incoming_authors = NULL;
	}
	PG_END_TRY();
	amend_all(list_make1(&amendment), note);
	finish_change(project);
}

void
mig_store_hold(const char *project, const char *version, const char *reason)
{
	MigEntry   *entry = locked_entry(project, version, reason ?
									 "hold a migration" :
									 "unhold a migration");
	MigJournalBatch *batch = mig_journal_batch_begin();
	MigJournalRow row;

	if (reason == NULL && entry->held_reason == NULL)
	{
		ereport(NOTICE,
				(errmsg("migration \"%s\" is not held", version)));
		return;
	}
	mig_migration_hold(project, list_make1(entry->version), reason);
	mig_journal_event(&row, mig_journal_next_run(), project,
					  reason ? "hold" : "unhold", reason);
	row.seq = 1;
	row.version = version;
	row.name = entry->name;
	mig_journal_batch_add(batch, &row);
	mig_journal_batch_flush(batch);
	mig_journal_batch_end(batch);
	finish_change(project);
}
