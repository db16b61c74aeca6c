/*-------------------------------------------------------------------------
 *
 * migration.c
 *	  Rows of migrate.migration: texts, and who wrote them.
 *
 * All SQL is constant; values are parameters, and sets of rows come in as named
 * tuplestores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "base/errors.h"
#include "ledger/applied.h"
#include "ledger/incoming.h"
#include "ledger/key_lookup.h"
#include "ledger/migration.h"
#include "ledger/state.h"
#include "ledger/tables.h"
#include "source/trial_parse.h"

static const MigKeyLookup migration_row = {
	"migration", 2, {"project", "version"}, {NULL}
};

bool
mig_migration_is_stored(const char *project, const char *version)
{
	const char *key[] = {project, version};

	return mig_key_lookup_row(&migration_row, key, NULL, NULL);
}

void
mig_migration_removed_meanwhile(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("a migration was concurrently removed"),
			 errhint("Repeat the call.")));
}

const char *
mig_migration_texts_part(const MigTexts *texts, MigPart part)
{
	switch (part)
	{
		case MIG_UP:
			return texts->up;
		case MIG_DOWN:
			return texts->does_nothing ? "" : texts->down;
		case MIG_VERIFY:
			return texts->verify;
	}
	return NULL;				/* keep compiler quiet */
}

MigTexts *
mig_migration_texts(const char *project, MigEntry **entries, int count)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2];
	char	  **versions = palloc(sizeof(char *) * Max(count, 1));
	MigTexts   *texts = palloc0(sizeof(MigTexts) * Max(count, 1));
	int			i;
	int			part;

	Assert(count == 0 || entries != NULL);
	for (i = 0; i < count; i++)
		versions[i] = entries[i]->version;
	values[0] = CStringGetTextDatum(project);
	values[1] = mig_sql_text_array(versions, count);

	mig_tables_open(&scope);
	mig_sql_execute("SELECT v.ord::pg_catalog.int4, m.up, m.down, m.verify,"
					" m.checksum, m.down_checksum,"
					" m.up_author, m.up_trusted, m.down_author,"
					" m.down_trusted, m.verify_author, m.verify_trusted,"
					" m.source"
					" FROM pg_catalog.unnest($2) WITH ORDINALITY AS v (version, ord)"
					MIG_MIGRATION_OF("v.version"),
					2, types, values, NULL);
	for (i = 0; i < count; i++)
	{
		MigTexts   *text = &texts[mig_sql_get_int4(i, 1) - 1];

		if (mig_sql_get_text(&scope, i, 2) == NULL)
			mig_migration_removed_meanwhile();
		text->up = mig_sql_get_text_not_null(&scope, i, 2);
		text->down = mig_sql_get_text(&scope, i, 3);
		text->verify = mig_sql_get_text(&scope, i, 4);
		text->checksum = mig_sql_get_text_not_null(&scope, i, 5);
		text->down_checksum = mig_sql_get_text(&scope, i, 6);
		text->source = mig_sql_get_text(&scope, i, 13);

		/* of the text that is there now: an empty one has nothing to undo */
		text->does_nothing = text->down == NULL &&
			entries[mig_sql_get_int4(i, 1) - 1]->has_down &&
			mig_trial_is_empty(text->up);
		for (part = MIG_UP; part <= MIG_VERIFY; part++)
		{
			text->authors[part].name =
				mig_sql_get_text(&scope, i, 7 + 2 * part);
			text->authors[part].trusted = mig_sql_get_bool(i, 8 + 2 * part);
		}
	}
	mig_tables_close(&scope);
	return texts;
}

bool
mig_migration_stranger(const char *project, MigPart part, char **versions,
					   int count, char **version, MigAuthor *author)
{
	MigSqlScope scope;
	Oid			types[3] = {TEXTOID, TEXTARRAYOID, BOOLOID};
	Datum		values[3];
	bool		found;

	values[0] = CStringGetTextDatum(project);
	values[1] = mig_sql_text_array(versions, count);
	values[2] = BoolGetDatum(part == MIG_UP);
	mig_tables_open(&scope);
	found = mig_sql_execute("SELECT m.version,"
							" CASE WHEN NOT $3 THEN m.down_author"
							"  WHEN m.up_trusted THEN m.verify_author"
							"  ELSE m.up_author END"
							" FROM pg_catalog.unnest($2) WITH ORDINALITY AS v (version, ord)"
							MIG_MIGRATION_OF("v.version")
							" WHERE CASE WHEN m.version IS NULL THEN false"
							"  WHEN NOT $3"
							"  THEN m.down IS NOT NULL AND NOT m.down_trusted"
							"  WHEN m.up_trusted"
							"  THEN m.verify IS NOT NULL AND NOT m.verify_trusted"
							"  ELSE true END"
							" ORDER BY v.ord LIMIT 1",
							3, types, values, NULL) > 0;
	if (found)
	{
		*version = mig_sql_get_text(&scope, 0, 1);
		author->name = mig_sql_get_text(&scope, 0, 2);
		author->trusted = false;
	}
	mig_tables_close(&scope);
	return found;
}

List *
mig_migration_dependents(const char *project, List *versions)
{
	MigSqlScope scope;
	Oid			types[3] = {TEXTOID, TEXTARRAYOID, TIDARRAYOID};
	Datum		values[3];
	List	   *requirements = NIL;
	List	   *dependents = NIL;
	ListCell   *lc;
	uint64		nrows;
	uint64		i;

	foreach(lc, versions)
		requirements = lappend(requirements,
							   psprintf("%s:%s", project, (char *) lfirst(lc)));
	values[0] = CStringGetTextDatum(project);
	values[1] = mig_sql_text_list(requirements);
	mig_tables_open(&scope);
	PushActiveSnapshot(GetTransactionSnapshot());
	values[2] = mig_key_lookup_tids_in(&migration_row, MIG_SPECIAL_INDEX);
	PopActiveSnapshot();
	nrows = mig_sql_execute("SELECT m.project, m.version,"
							" pg_catalog.concat(m.project, ':', m.version)"
							" FROM migrate.migration m"
							" WHERE m.ctid OPERATOR(pg_catalog.=) ANY ($3)"
							" AND m.project OPERATOR(pg_catalog.<>) $1"
							" AND m.requires OPERATOR(pg_catalog.&&) $2"
							" ORDER BY 3",
							3, types, values, NULL);
	for (i = 0; i < nrows; i++)
	{
		char	   *other = mig_sql_get_text(&scope, i, 1);
		char	   *version = mig_sql_get_text(&scope, i, 2);

		if (mig_applied_exists(other, version))
			dependents = mig_sql_append(&scope, dependents,
										mig_sql_get_text(&scope, i, 3));
	}
	mig_tables_close(&scope);
	return dependents;
}

/*
 * Run a statement over "incoming" with project and author as $1 and $2; plan is
 * where its plan is kept, or NULL.
 */
static void
write_incoming(SPIPlanPtr *plan, const char *sql, const char *project,
			   List *sources, const char *added_by)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {CStringGetTextDatum(project),
	CStringGetTextDatum(added_by)};
	Tuplestorestate *rows;

	if (sources == NIL)
		return;
	mig_tables_open(&scope);
	rows = mig_incoming_register(sources, NIL, NIL);
	if (plan != NULL)
		mig_sql_kept(plan, sql, 2, types, values, NULL);
	else
		mig_sql_execute(sql, 2, types, values, NULL);
	tuplestore_end(rows);
	mig_tables_close(&scope);
}

void
mig_migration_insert(const char *project, List *sources, const char *added_by)
{
	static SPIPlanPtr plan = NULL;

	write_incoming(&plan,
				   "INSERT INTO migrate.migration (project, version, name, kind,"
				   " up, down, verify, requires, transactional, irreversible,"
				   " path, down_path, verify_path, up_line, down_line,"
				   " verify_line, source, added_by)"
				   " SELECT $1, i.version, i.name, i.kind, i.up, i.down,"
				   " i.verify, i.requires, i.transactional, i.irreversible,"
				   " i.path, i.down_path, i.verify_path, i.up_line,"
				   " i.down_line, i.verify_line, i.source, $2"
				   " FROM incoming i ORDER BY i.ord",
				   project, sources, added_by);
}

void
mig_migration_replace(const char *project, List *sources, const char *added_by)
{
	write_incoming(NULL, "UPDATE migrate.migration m SET name = i.name,"
				   " kind = i.kind, up = i.up, down = i.down,"
				   " verify = i.verify, requires = i.requires,"
				   " transactional = i.transactional,"
				   " irreversible = i.irreversible, path = i.path,"
				   " down_path = i.down_path, verify_path = i.verify_path,"
				   " up_line = i.up_line, down_line = i.down_line,"
				   " verify_line = i.verify_line,"
				   " source = i.source, added_by = $2,"
				   " added_at = pg_catalog.clock_timestamp()"
				   " FROM incoming i"
				   MIG_ROW_OF("ctid", "migrate.migration WHERE",
							  "i.version") " r ON true"
				   " WHERE m.ctid OPERATOR(pg_catalog.=) r.ctid",
				   project, sources, added_by);
}

void
mig_migration_move(const char *project, List *sources)
{
	write_incoming(NULL, "UPDATE migrate.migration m SET name = i.name,"
				   " path = i.path, down_path = i.down_path,"
				   " verify_path = i.verify_path, up_line = i.up_line,"
				   " down_line = i.down_line, verify_line = i.verify_line,"
				   " source = i.source"
				   " FROM incoming i"
				   MIG_ROW_OF("ctid", "migrate.migration WHERE",
							  "i.version") " r ON true"
				   " WHERE m.ctid OPERATOR(pg_catalog.=) r.ctid",
				   project, sources, "");
}

void
mig_migration_delete(const char *project, List *versions)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2] = {CStringGetTextDatum(project),
	mig_sql_text_list(versions)};

	mig_tables_open(&scope);
	mig_sql_execute("DELETE FROM migrate.migration"
					" WHERE project OPERATOR(pg_catalog.=) $1"
					" AND version OPERATOR(pg_catalog.=) ANY ($2)",
					2, types, values, NULL);
	mig_tables_close(&scope);
}

void
mig_migration_hold(const char *project, List *versions, const char *reason)
{
	MigSqlScope scope;
	Oid			types[2] = {TIDARRAYOID, TEXTOID};
	Datum		values[2];
	char		nulls[2] = {' ', ' '};
	bool		isnull;
	uint64		changes = mig_state_changes();

	values[0] = mig_key_lookup_tids(&migration_row, project, versions);
	values[1] = mig_sql_text_datum(reason, &isnull);
	if (isnull)
		nulls[1] = 'n';
	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.migration SET held_reason = $2"
					" WHERE ctid OPERATOR(pg_catalog.=) ANY ($1)",
					2, types, values, nulls);
	mig_tables_close(&scope);
	mig_state_explain(changes);
}

void
mig_migration_amend(const char *project, const char *version,
					const MigTexts *texts, const char *added_by)
{
	MigSqlScope scope;
	Oid			types[6] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	const char *strings[6] = {project, version, texts->up, texts->down,
	texts->verify, added_by};
	Datum		values[6];
	char		nulls[6];
	int			i;

	for (i = 0; i < 6; i++)
	{
		bool		isnull;

		values[i] = mig_sql_text_datum(strings[i], &isnull);
		nulls[i] = isnull ? 'n' : ' ';
	}
	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.migration SET up = $3, down = $4, verify = $5,"
					" irreversible = irreversible AND $4 IS NULL, added_by = $6,"
					" added_at = pg_catalog.clock_timestamp()"
					" WHERE project OPERATOR(pg_catalog.=) $1"
					" AND version OPERATOR(pg_catalog.=) $2",
					6, types, values, nulls);
	mig_tables_close(&scope);
}
