/*-------------------------------------------------------------------------
 *
 * store_functions.c
 *	  The SQL-callable functions that store migrations.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "admin/load.h"
#include "admin/store.h"
#include "admin/trigger.h"
#include "base/argument.h"
#include "base/checksum.h"
#include "base/directory.h"
#include "base/printable.h"
#include "base/put_row.h"
#include "base/sql.h"
#include "source/convention.h"

PG_FUNCTION_INFO_V1(migrate_gate);
PG_FUNCTION_INFO_V1(migrate_add);
PG_FUNCTION_INFO_V1(migrate_load);
PG_FUNCTION_INFO_V1(migrate_load_table);
PG_FUNCTION_INFO_V1(migrate_load_directory);
PG_FUNCTION_INFO_V1(migrate_remove);
PG_FUNCTION_INFO_V1(migrate_amend);
PG_FUNCTION_INFO_V1(migrate_hold);
PG_FUNCTION_INFO_V1(migrate_unhold);

/* a set of files that grows */
typedef struct LoadSet
{
	MemoryContext context;
	MigFile    *files;
	int			count;
	int			size;
} LoadSet;

Datum
migrate_gate(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" can only be called as a trigger",
						"migrate.gate")));
	return PointerGetDatum(mig_trigger_gate((TriggerData *) fcinfo->context));
}

/* a member of add()'s argument "provenance", and where it goes */
typedef struct ProvenanceMember
{
	const char *name;
	enum jbvType type;
	void	   *place;			/* char *, int or bool */
} ProvenanceMember;

/* null leaves the default; a text is checked as one line */
static void
set_provenance_member(const ProvenanceMember *member, const JsonbValue *value)
{
	if (value->type == jbvNull)
		return;
	if (value->type != member->type)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("member \"%s\" of argument \"provenance\" has a value of the wrong type",
						member->name)));
	if (value->type == jbvString)
	{
		char	   *string = pnstrdup(value->val.string.val,
									  value->val.string.len);

		mig_check_line(psprintf("member \"%s\" of argument \"provenance\"",
								member->name), string,
					   strstr(member->name, "path") ?
					   MIG_PATH_BYTES : MIG_NAME_BYTES);
		*(char **) member->place = string;
	}
	else if (value->type == jbvNumeric)
		*(int *) member->place =
			DatumGetInt32(DirectFunctionCall1(numeric_int4,
											  NumericGetDatum(value->val.numeric)));
	else
		*(bool *) member->place = value->val.boolean;
}

/*
 * The columns of migrate.migration that load() fills in addition to what the
 * other arguments say.  Returns whether they name authors.
 */
static bool
read_provenance(Jsonb *provenance, MigSource *source, MigAuthor *authors)
{
	const ProvenanceMember members[] = {
		{"path", jbvString, &source->path},
		{"down_path", jbvString, &source->down_path},
		{"verify_path", jbvString, &source->verify_path},
		{"source", jbvString, &source->source},
		{"up_line", jbvNumeric, &source->lines[MIG_UP]},
		{"down_line", jbvNumeric, &source->lines[MIG_DOWN]},
		{"verify_line", jbvNumeric, &source->lines[MIG_VERIFY]},
		{"up_author", jbvString, &authors[MIG_UP].name},
		{"down_author", jbvString, &authors[MIG_DOWN].name},
		{"verify_author", jbvString, &authors[MIG_VERIFY].name},
		{"up_trusted", jbvBool, &authors[MIG_UP].trusted},
		{"down_trusted", jbvBool, &authors[MIG_DOWN].trusted},
		{"verify_trusted", jbvBool, &authors[MIG_VERIFY].trusted},
	};
	JsonbIterator *iterator = JsonbIteratorInit(&provenance->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	bool		names_authors = false;
	int			i = 0;

	if (JsonbIteratorNext(&iterator, &value, true) != WJB_BEGIN_OBJECT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"provenance\" must be an object")));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_VALUE)
			set_provenance_member(&members[i], &value);
		if (token != WJB_KEY)
			continue;
		for (i = 0; i < lengthof(members); i++)
		{
			if (strlen(members[i].name) == value.val.string.len &&
				strncmp(members[i].name, value.val.string.val,
						value.val.string.len) == 0)
				break;
		}
		if (i == lengthof(members))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"provenance\" has an unknown member \"%s\"",
							mig_printable_line(pnstrdup(value.val.string.val,
														value.val.string.len),
											   MIG_EXCERPT_BYTES))));
		if (strstr(members[i].name, "_author") ||
			strstr(members[i].name, "_trusted"))
			names_authors = true;
	}
	return names_authors;
}

Datum
migrate_add(PG_FUNCTION_ARGS)
{
	MigSource	source;
	MigAuthor	authors[MIG_VERIFY + 1] = {{NULL, false}};
	bool		names_authors = !PG_ARGISNULL(10);
	int			part;
	char	   *kind = mig_argument_required_text(fcinfo, 6, "kind");

	memset(&source, 0, sizeof(source));
	source.version = mig_argument_required_version(fcinfo, 0, "version");
	source.up = mig_argument_required_text(fcinfo, 1, "up");
	source.down = mig_argument_text(fcinfo, 2);
	source.name = PG_ARGISNULL(3) ? "" : mig_argument_text(fcinfo, 3);
	source.requires = mig_argument_text_list(fcinfo, 4);
	source.verify = mig_argument_text(fcinfo, 5);
	if (strcmp(kind, "repeatable") == 0)
		source.kind = MIG_REPEATABLE;
	else if (strcmp(kind, "versioned") == 0)
		source.kind = MIG_VERSIONED;
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"kind\": \"%s\"", kind),
				 errhint("Valid values are versioned and repeatable.")));
	source.transactional = PG_ARGISNULL(7) ? MIG_TX_RECOGNIZE :
		PG_GETARG_BOOL(7) ? MIG_TX_ON : MIG_TX_OFF;
	source.irreversible = mig_argument_bool(fcinfo, 8, "irreversible");
	for (part = MIG_UP; part <= MIG_VERIFY && names_authors; part++)
		authors[part].name = mig_argument_line(fcinfo, 10, "author",
											   MIG_NAME_BYTES);
	if (!PG_ARGISNULL(11) &&
		read_provenance(PG_GETARG_JSONB_P(11), &source, authors))
		names_authors = true;
	mig_load_add(mig_argument_project(fcinfo, 9), &source,
				 names_authors ? authors : NULL);
	PG_RETURN_TEXT_P(cstring_to_text(source.version));
}

/* a MigDirectorySink; path and content are copied */
static void
add_file(char *path, char *content, void *arg)
{
	LoadSet    *set = (LoadSet *) arg;
	MemoryContext old = MemoryContextSwitchTo(set->context);
	MigFile    *file;

	if (set->count == set->size)
	{
		set->size = Max(64, 2 * set->size);
		set->files = set->files ?
			repalloc_huge(set->files, sizeof(MigFile) * set->size) :
			palloc(sizeof(MigFile) * set->size);
	}
	file = &set->files[set->count++];
	file->path = pstrdup(path);
	file->content = pstrdup(content);
	MemoryContextSwitchTo(old);
}

static void
init_file_set(LoadSet *set)
{
	memset(set, 0, sizeof(LoadSet));
	set->context = CurrentMemoryContext;
}

/* a MigLoadSink that adds to the function's result */
static void
put_load_result(const char *version, const char *name, const char *path,
				const char *result, void *arg)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) arg;
	Datum		values[4];
	bool		nulls[4] = {false};

	values[0] = mig_sql_text_datum(version, &nulls[0]);
	values[1] = CStringGetTextDatum(result);
	values[2] = mig_sql_text_datum(name, &nulls[2]);
	values[3] = mig_sql_text_datum(path, &nulls[3]);
	mig_put_row(rsinfo, values, nulls);
}

static int
compare_files(const void *a, const void *b)
{
	return strcmp(((const MigFile *) a)->path, ((const MigFile *) b)->path);
}

/*
 * SHA-256, in hex, of what "sha256sum" prints of the files in the order of their
 * paths, with "./" before each, and before that how they are read.  A client
 * that has the files makes the same of them and asks has_files().
 */
static const char *
fingerprint(LoadSet *set, const MigReading *reading)
{
	Size		size = sizeof(MigFile) * set->count;
	MigFile    *files = palloc_extended(Max(size, 1), MCXT_ALLOC_HUGE);
	StringInfoData buf;
	ListCell   *lc;
	int			i;

	if (set->count > 0)
		memcpy(files, set->files, size);
	qsort(files, set->count, sizeof(MigFile), compare_files);
	initStringInfo(&buf);
	appendStringInfo(&buf, "%s\n%s\n", reading->convention,
					 reading->subdirectories ? "subdirectories" : "");
	foreach(lc, reading->ignore)
		appendStringInfo(&buf, "%s\n", (char *) lfirst(lc));
	for (i = 0; i < set->count; i++)
	{
		const char *content = files[i].content;

		appendStringInfo(&buf, "%s  ./%s\n",
						 mig_checksum_exact(content, mig_checksum(content)),
						 files[i].path);
	}
	pfree(files);
	return mig_checksum_exact(buf.data, mig_checksum(buf.data));
}

/* what all three forms of load() do with their files */
static void
load_files(FunctionCallInfo fcinfo, LoadSet *set)
{
	MigReading	reading;
	MigLoading	loading = {0};
	List	   *sources;

	reading.convention = mig_argument_required_text(fcinfo, 1, "convention");
	reading.ignore = mig_argument_text_list(fcinfo, 4);
	reading.subdirectories = mig_argument_bool(fcinfo, 5, "subdirectories");
	reading.partial = mig_argument_bool(fcinfo, 6, "partial");
	loading.prune = mig_argument_bool(fcinfo, 2, "prune");
	loading.partial = reading.partial;
	loading.accept = mig_argument_bool(fcinfo, 7, "accept");
	loading.fingerprint = fingerprint(set, &reading);
	sources = mig_convention_parse(set->files, set->count, &reading,
								   &loading.refusals, &loading.told);
	mig_load_files(mig_argument_project(fcinfo, 3), sources, &loading,
				   put_load_result, fcinfo->resultinfo);
}

static void
refuse_json(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"files\" must be an object of the form {\"path\": \"content\"}")));
}

static char *
json_string(const JsonbValue *value)
{
	if (value->type != jbvString)
		refuse_json();
	return pnstrdup(value->val.string.val, value->val.string.len);
}

Datum
migrate_load(PG_FUNCTION_ARGS)
{
	LoadSet		set;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *path = NULL;

	if (PG_ARGISNULL(0))
		mig_argument_must_not_be_null("files");
	InitMaterializedSRF(fcinfo, 0);
	init_file_set(&set);
	iterator = JsonbIteratorInit(&PG_GETARG_JSONB_P(0)->root);
	if (JsonbIteratorNext(&iterator, &value, true) != WJB_BEGIN_OBJECT)
		refuse_json();
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			path = json_string(&value);
		else if (token == WJB_VALUE)
		{
			char	   *content = json_string(&value);

			add_file(path, content, &set);
			pfree(path);
			pfree(content);
		}
	}
	load_files(fcinfo, &set);
	return (Datum) 0;
}

/*
 * A table that the caller owns, with two columns of text: reading a view, or
 * converting a column, could run code of another role with the caller's
 * privileges.
 */
static Relation
open_source_table(Oid relation)
{
	Relation	rel = try_relation_open(relation, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relation)));
	if (rel->rd_rel->relkind != RELKIND_RELATION || RELATION_IS_OTHER_TEMP(rel))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", RelationGetRelationName(rel)),
				 errhint("Copy the rows into a temporary table.")));
	if (rel->rd_rel->relowner != GetUserId())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table %s", RelationGetRelationName(rel)),
				 errhint("Copy the rows into a temporary table.")));
	return rel;
}

/* by name; an error unless it is text or varchar */
static AttrNumber
source_column(Relation rel, const char *name)
{
	AttrNumber	column = get_attnum(RelationGetRelid(rel), name);
	Oid			type = column > 0 ?
		get_atttype(RelationGetRelid(rel), column) : InvalidOid;

	if (type != TEXTOID && type != VARCHAROID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("table \"%s\" has no column \"%s\" of type text",
						RelationGetRelationName(rel), name)));
	return column;
}

/* a null is an error, since a file has both */
static char *
source_value(TupleTableSlot *slot, AttrNumber column)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, column, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("path and content of a file must not be null")));
	return TextDatumGetCString(value);
}

/*
 * The table is scanned and not queried: by the time a query is run, another
 * relation could have its name.
 */
Datum
migrate_load_table(PG_FUNCTION_ARGS)
{
	LoadSet		set;
	Relation	rel;
	AttrNumber	path_column;
	AttrNumber	content_column;
	TableScanDesc scan;
	TupleTableSlot *slot;

	if (PG_ARGISNULL(0))
		mig_argument_must_not_be_null("source");
	InitMaterializedSRF(fcinfo, 0);
	init_file_set(&set);
	rel = open_source_table(PG_GETARG_OID(0));
	path_column = source_column(rel, "path");
	content_column = source_column(rel, "content");
	slot = table_slot_create(rel, NULL);
	scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		char	   *path = source_value(slot, path_column);
		char	   *content = source_value(slot, content_column);

		CHECK_FOR_INTERRUPTS();
		add_file(path, content, &set);
		pfree(path);
		pfree(content);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	relation_close(rel, NoLock);
	load_files(fcinfo, &set);
	return (Datum) 0;
}

Datum
migrate_load_directory(PG_FUNCTION_ARGS)
{
	LoadSet		set;

	InitMaterializedSRF(fcinfo, 0);
	init_file_set(&set);
	mig_directory_read(mig_argument_required_text(fcinfo, 0, "path"), add_file,
					   &set);
	load_files(fcinfo, &set);
	return (Datum) 0;
}

Datum
migrate_remove(PG_FUNCTION_ARGS)
{
	char	   *version = mig_argument_required_version(fcinfo, 0, "version");

	mig_store_remove(mig_argument_project(fcinfo, 1), version);
	PG_RETURN_TEXT_P(cstring_to_text(version));
}

Datum
migrate_amend(PG_FUNCTION_ARGS)
{
	char	   *version = mig_argument_required_version(fcinfo, 0, "version");

	mig_store_amend(mig_argument_project(fcinfo, 5), version,
					mig_argument_text(fcinfo, 1), mig_argument_text(fcinfo, 2),
					mig_argument_text(fcinfo, 3),
					mig_argument_note(fcinfo, 4));
	PG_RETURN_TEXT_P(cstring_to_text(version));
}

Datum
migrate_hold(PG_FUNCTION_ARGS)
{
	char	   *version = mig_argument_required_version(fcinfo, 0, "version");
	char	   *reason = mig_argument_line(fcinfo, 1, "reason",
										   MIG_NOTE_BYTES);

	/* it may be left out, so that a version of another type is found first */
	if (reason == NULL)
		mig_argument_must_not_be_null("reason");
	mig_store_hold(mig_argument_project(fcinfo, 2), version, reason);
	PG_RETURN_TEXT_P(cstring_to_text(version));
}

Datum
migrate_unhold(PG_FUNCTION_ARGS)
{
	char	   *version = mig_argument_required_version(fcinfo, 0, "version");

	mig_store_hold(mig_argument_project(fcinfo, 1), version, NULL);
	PG_RETURN_TEXT_P(cstring_to_text(version));
}
