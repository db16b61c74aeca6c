/*-------------------------------------------------------------------------
 *
 * step.c
 *	  How far a migration has come that runs in several transactions.
 *
 * A migration without rows here is applied or it is not.  One with rows is
 * partly applied: each row stands for a step that is finished, or that was
 * started by a session that did not live to finish it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "base/superuser.h"
#include "ledger/step.h"
#include "ledger/tables.h"
#include "source/body.h"

#define KEY_ARGS 3
#define WHERE_KEY \
	" WHERE project OPERATOR(pg_catalog.=) $1" \
	" AND target OPERATOR(pg_catalog.=) ''" \
	" AND version OPERATOR(pg_catalog.=) $2" \
	" AND body OPERATOR(pg_catalog.=) $3"

static void
set_key(const MigStepKey *key, Oid *types, Datum *values)
{
	types[0] = types[1] = types[2] = TEXTOID;
	values[0] = CStringGetTextDatum(key->project);
	values[1] = CStringGetTextDatum(key->version);
	values[2] = CStringGetTextDatum(mig_body_part_name(key->part));
}

/* the columns that mig_step_read() asks for */
enum StepColumn
{
	P_STATEMENT = 1, P_LAST_STATEMENT, P_TEXT_HASH, P_TOKEN_HASH, P_FINISHED,
	P_EXECUTION_MS, P_COMMITS, P_RELATION, P_INDEXES, P_STATEMENTS, P_RUN,
	P_DEFINITIONS, P_ROLE, P_TRUSTED, P_SEARCH_PATH, P_SETTINGS, P_SESSION_STATE
};

/* which row it is, for errors */
static char *
row_name(const MigStepKey *key, int statement)
{
	return psprintf("project \"%s\", version \"%s\", body \"%s\", statement %d",
					key->project, key->version, mig_body_part_name(key->part),
					statement);
}

static void
read_indexes(MigSqlScope *scope, const MigStepKey *key, const MigRow *row,
			 MigStepRow *step)
{
	Datum	   *elements;
	int			i;

	if (row->nulls[P_INDEXES - 1])
		return;
	elements = mig_sql_array_elements(row->values[P_INDEXES - 1], "step",
									  "indexes",
									  row_name(key, step->statement),
									  OIDOID, &step->nindexes);
	step->indexes = palloc(sizeof(Oid) * Max(step->nindexes, 1));
	for (i = 0; i < step->nindexes; i++)
		step->indexes[i] = DatumGetObjectId(elements[i]);
	step->definitions = mig_sql_row_text_array(scope, row, P_DEFINITIONS,
											   &step->ndefinitions);
}

static void
read_session(MigSqlScope *scope, const MigRow *row, MigStepSession *session)
{
	session->role = mig_sql_row_text(scope, row, P_ROLE);
	session->trusted = mig_sql_row_bool(row, P_TRUSTED);
	session->search_path = mig_sql_row_text(scope, row, P_SEARCH_PATH);
	session->settings = mig_sql_row_text_array(scope, row, P_SETTINGS,
											   &session->nsettings);
	session->session_state = mig_sql_row_text_array(scope, row, P_SESSION_STATE,
													&session->nsession_state);
}

static char *
read_hash(MigSqlScope *scope, const MigStepKey *key, const MigRow *row,
		  int column, const char *name)
{
	char	   *hash = mig_sql_row_text(scope, row, column);

	if (hash == NULL)
		mig_sql_refuse_value("step", name,
							 row_name(key,
									  mig_sql_row_int4(row, P_STATEMENT)));
	return hash;
}

/* what is not what we write is refused: see mig_sql_refuse_value() */
static MigStepRow *
read_step(MigSqlScope *scope, const MigStepKey *key, uint64 number)
{
	MemoryContext old = MemoryContextSwitchTo(scope->outer);
	MigStepRow *step = palloc0(sizeof(MigStepRow));
	MigRow		row;

	mig_sql_row_read(&row, number);
	step->statement = mig_sql_row_int4(&row, P_STATEMENT);
	step->last_statement = mig_sql_row_int4(&row, P_LAST_STATEMENT);
	if (step->statement < 1 || step->last_statement < step->statement)
		mig_sql_refuse_value("step", "last_statement",
							 row_name(key, step->statement));
	step->hash.text = read_hash(scope, key, &row, P_TEXT_HASH, "text_hash");
	step->hash.tokens = read_hash(scope, key, &row, P_TOKEN_HASH, "token_hash");
	step->finished = mig_sql_row_bool(&row, P_FINISHED);
	step->execution_ms = mig_sql_row_float8(&row, P_EXECUTION_MS);
	step->commits = mig_sql_row_int4(&row, P_COMMITS);
	step->relation = (Oid) mig_sql_row_int8(&row, P_RELATION);
	step->run = mig_sql_row_int8(&row, P_RUN);
	read_indexes(scope, key, &row, step);
	read_session(scope, &row, &step->session);
	if (!row.nulls[P_STATEMENTS - 1])
		step->timings =
			mig_journal_read_timings(row.values[P_STATEMENTS - 1], "step",
									 row_name(key, step->statement),
									 &step->ntimings);
	MemoryContextSwitchTo(old);
	return step;
}

List *
mig_step_read(const MigStepKey *key)
{
	MigSqlScope scope;
	Oid			types[KEY_ARGS];
	Datum		values[KEY_ARGS];
	List	   *steps = NIL;
	uint64		nrows;
	uint64		i;

	set_key(key, types, values);
	mig_tables_open(&scope);
	nrows = mig_sql_execute("SELECT statement, last_statement, text_hash,"
							" token_hash, finished_at IS NOT NULL, execution_ms, commits,"
							" relation::pg_catalog.int8, indexes, statements, run,"
							" definitions, role, trusted, search_path, settings, session_state"
							" FROM migrate.step" WHERE_KEY " ORDER BY statement",
							KEY_ARGS, types, values, NULL);
	for (i = 0; i < nrows; i++)
		steps = mig_sql_append(&scope, steps, read_step(&scope, key, i));
	mig_tables_close(&scope);
	return steps;
}

static Datum
oid_array(const Oid *oids, int count)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(count, 1));
	int			i;

	for (i = 0; i < count; i++)
		elements[i] = ObjectIdGetDatum(oids[i]);
	return PointerGetDatum(construct_array(elements, count, OIDOID,
										   sizeof(Oid), true, TYPALIGN_INT));
}

/* until it is wholly done or undone */
static void
note_incomplete(const char *project)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(project)};

	mig_sql_execute("UPDATE migrate.state SET complete = false"
					" WHERE project OPERATOR(pg_catalog.=) $1 AND complete",
					1, types, values, NULL);
}

void
mig_step_start(const MigStepKey *key, const MigStepRow *step,
			   int64 run)
{
	MigSqlScope scope;
	Oid			types[11];
	Datum		values[11];

	Assert(step->statement > 0 && step->last_statement >= step->statement);
	Assert(run > 0);
	set_key(key, types, values);
	types[3] = types[4] = INT4OID;
	types[5] = TEXTOID;
	types[6] = INT8OID;
	types[7] = OIDOID;
	types[8] = OIDARRAYOID;
	values[3] = Int32GetDatum(step->statement);
	values[4] = Int32GetDatum(step->last_statement);
	values[5] = CStringGetTextDatum(step->hash.text);
	values[6] = Int64GetDatum(run);
	values[7] = ObjectIdGetDatum(step->relation);
	values[8] = oid_array(step->indexes, step->nindexes);
	types[10] = TEXTOID;
	values[10] = CStringGetTextDatum(step->hash.tokens);
	types[9] = TEXTARRAYOID;
	values[9] = step->definitions ?
		mig_sql_text_array(step->definitions, step->ndefinitions) : (Datum) 0;
	mig_tables_open(&scope);
	mig_sql_execute("DELETE FROM migrate.step" WHERE_KEY
					" AND statement OPERATOR(pg_catalog.>=) $4",
					4, types, values, NULL);
	note_incomplete(key->project);
	mig_sql_execute("INSERT INTO migrate.step (project, version, body, statement,"
					" last_statement, text_hash, run, started_at, relation, indexes,"
					" definitions, token_hash)"
					" VALUES ($1, $2, $3, $4, $5, $6, $7,"
					" pg_catalog.clock_timestamp(), $8, $9, $10, $11)",
					11, types, values,
					step->definitions ? NULL : "         n ");
	mig_tables_close(&scope);
}

/* parameters 5 to 9 */
#define SET_SESSION \
	"role = $5, trusted = $6, search_path = $7, settings = $8, session_state = $9"
#define SESSION_ARGS 9

/* their values */
static void
set_session(const MigStepSession *session, Oid *types, Datum *values)
{
	types[4] = types[6] = TEXTOID;
	types[5] = BOOLOID;
	types[7] = types[8] = TEXTARRAYOID;
	values[4] = CStringGetTextDatum(session->role);
	values[5] = BoolGetDatum(session->trusted);
	values[6] = CStringGetTextDatum(session->search_path);
	values[7] = mig_sql_text_array(session->settings, session->nsettings);
	values[8] = mig_sql_text_array(session->session_state, session->nsession_state);
}

void
mig_step_finish(const MigStepKey *key, int statement,
				double execution_ms, const MigTiming *timings,
				int ntimings, const MigStepSession *session)
{
	MigSqlScope scope;
	Oid			types[SESSION_ARGS + 2];
	Datum		values[SESSION_ARGS + 2];

	Assert(statement > 0);
	Assert(execution_ms >= 0);
	set_key(key, types, values);
	set_session(session, types, values);
	mig_tables_open(&scope);
	types[3] = INT4OID;
	values[3] = Int32GetDatum(statement);
	types[SESSION_ARGS] = FLOAT8OID;
	values[SESSION_ARGS] = Float8GetDatum(execution_ms);
	types[SESSION_ARGS + 1] = mig_journal_timings_type();
	values[SESSION_ARGS + 1] = mig_journal_timings(timings, ntimings);
	if (mig_sql_execute("UPDATE migrate.step SET"
						" finished_at = pg_catalog.clock_timestamp(),"
						" execution_ms = $10, statements = $11, relation = NULL,"
						" indexes = NULL, definitions = NULL, " SET_SESSION WHERE_KEY
						" AND statement OPERATOR(pg_catalog.=) $4",
						SESSION_ARGS + 2, types, values, NULL) != 1)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_PARTIAL),
				 errmsg("progress of migration \"%s\" was concurrently changed",
						key->version),
				 errdetail("Statement %d is no longer in migrate.step.",
						   statement),
				 errhint("Check what the migration has done, and set its position with migrate.resume().")));
	mig_tables_close(&scope);
}

void
mig_step_set_session(const MigStepKey *key, int statement,
					 const MigStepSession *session)
{
	MigSqlScope scope;
	Oid			types[SESSION_ARGS];
	Datum		values[SESSION_ARGS];

	set_key(key, types, values);
	set_session(session, types, values);
	types[3] = INT4OID;
	values[3] = Int32GetDatum(statement);
	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.step SET " SET_SESSION WHERE_KEY
					" AND statement OPERATOR(pg_catalog.=) $4"
					" AND finished_at IS NOT NULL",
					SESSION_ARGS, types, values, NULL);
	mig_tables_close(&scope);
}

/*
 * Settings decide what the rest of a body does, a search_path which functions
 * it calls: they are taken over from oneself, and from a session that could do
 * as it liked in any case.
 */
bool
mig_step_may_take_over(const MigStepSession *session)
{
	Oid			role;
	Oid			powerful;

	if (session->role == NULL || session->trusted)
		return true;
	return !mig_superuser_within_reach(&role, &powerful) &&
		strcmp(session->role, GetUserNameFromId(GetUserId(), false)) == 0;
}

void
mig_step_count_commit(const MigStepKey *key, int statement)
{
	MigSqlScope scope;
	Oid			types[4];
	Datum		values[4];

	Assert(statement > 0);
	set_key(key, types, values);
	types[3] = INT4OID;
	values[3] = Int32GetDatum(statement);
	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.step SET"
					" commits = commits OPERATOR(pg_catalog.+) 1" WHERE_KEY
					" AND statement OPERATOR(pg_catalog.=) $4",
					4, types, values, NULL);
	mig_tables_close(&scope);
}

void
mig_step_forget_start(const MigStepKey *key, int statement)
{
	MigSqlScope scope;
	Oid			types[4];
	Datum		values[4];

	set_key(key, types, values);
	types[3] = INT4OID;
	values[3] = Int32GetDatum(statement);
	mig_tables_open(&scope);
	mig_sql_execute("DELETE FROM migrate.step" WHERE_KEY
					" AND statement OPERATOR(pg_catalog.=) $4"
					" AND finished_at IS NULL AND commits OPERATOR(pg_catalog.=) 0",
					4, types, values, NULL);
	mig_tables_close(&scope);
}

void
mig_step_forget(const char *project, const char *version)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];

	values[0] = CStringGetTextDatum(project);
	values[1] = CStringGetTextDatum(version);
	mig_tables_open(&scope);
	mig_sql_execute("DELETE FROM migrate.step"
					" WHERE project OPERATOR(pg_catalog.=) $1"
					" AND target OPERATOR(pg_catalog.=) ''"
					" AND version OPERATOR(pg_catalog.=) $2",
					2, types, values, NULL);
	mig_tables_close(&scope);
}

void
mig_step_declare(const MigStepKey *key, int last_statement,
				 const MigBodyHash *hash, int64 run,
				 const MigStepSession *session)
{
	MigSqlScope scope;
	Oid			types[7];
	Datum		values[7];

	Assert(last_statement >= 0);
	mig_step_forget(key->project, key->version);
	if (last_statement == 0)
		return;
	set_key(key, types, values);
	types[3] = INT4OID;
	types[4] = TEXTOID;
	types[5] = INT8OID;
	values[3] = Int32GetDatum(last_statement);
	values[4] = CStringGetTextDatum(hash->text);
	values[5] = Int64GetDatum(run);
	types[6] = TEXTOID;
	values[6] = CStringGetTextDatum(hash->tokens);
	mig_tables_open(&scope);
	note_incomplete(key->project);
	mig_sql_execute("INSERT INTO migrate.step (project, version, body, statement,"
					" last_statement, text_hash, run, started_at, finished_at,"
					" execution_ms, token_hash)"
					" VALUES ($1, $2, $3, 1, $4, $5, $6,"
					" pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp(), 0,"
					" $7)",
					7, types, values, NULL);
	mig_tables_close(&scope);
	if (session != NULL)
		mig_step_set_session(key, 1, session);
}

char *
mig_step_other(const char *project, const char *version)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	char	   *other = NULL;

	values[0] = CStringGetTextDatum(project);
	values[1] = CStringGetTextDatum(version);
	mig_tables_open(&scope);
	if (mig_sql_execute("SELECT version FROM migrate.step"
						" WHERE project OPERATOR(pg_catalog.=) $1"
						" AND target OPERATOR(pg_catalog.=) ''"
						" AND version OPERATOR(pg_catalog.<>) $2"
						" ORDER BY version LIMIT 1",
						2, types, values, NULL) > 0)
		other = mig_sql_get_text(&scope, 0, 1);
	mig_tables_close(&scope);
	return other;
}

bool
mig_step_exists(const char *project, const char *version, MigPart *part)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	bool		found;

	values[0] = CStringGetTextDatum(project);
	values[1] = CStringGetTextDatum(version);
	mig_tables_open(&scope);
	found = mig_sql_execute("SELECT body OPERATOR(pg_catalog.=) 'down'"
							" FROM migrate.step"
							" WHERE project OPERATOR(pg_catalog.=) $1"
							" AND target OPERATOR(pg_catalog.=) ''"
							" AND version OPERATOR(pg_catalog.=) $2"
							" ORDER BY body LIMIT 1",
							2, types, values, NULL) > 0;
	if (found)
		*part = mig_sql_get_bool(0, 1) ? MIG_DOWN : MIG_UP;
	mig_tables_close(&scope);
	return found;
}
