/*-------------------------------------------------------------------------
 *
 * state.c
 *	  The rows of migrate.state: what need not be looked at.
 *
 * A row is written by a session that has the runner lock and has read the
 * project, and is invalidated by whatever changes the tables that it is about:
 * the trigger of migrate.migration, which has the lock, and those of
 * migrate.applied, which a superuser may change without it.  So before it writes
 * a row, a session checks that no other transaction has written it since.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/version_order.h"
#include "ledger/key_lookup.h"
#include "ledger/state.h"
#include "ledger/tables.h"

/* changes of the tables that no run has explained, see ledger/state.h */
static uint64 changes = 0;

/*
 * The transaction that had written the row which this session has read or
 * written last (invalid: there was no row), and how often that was neither this
 * one nor the one of the time before.  Plans made before do not have its
 * changes.  A look at another project counts as well, which costs one reading
 * of all migrations.
 */
static TransactionId known_writer = InvalidTransactionId;
static uint64 foreign_changes = 0;

/* of the project whose rows a statement changes; a NULL through: nothing is settled */
static char *row_project = NULL;
static char *row_through = NULL;

/* what is known of the project of a statement */
static void
forget_row(void)
{
	char	   *project = row_project;
	char	   *through = row_through;

	row_project = row_through = NULL;
	if (project != NULL)
		pfree(project);
	if (through != NULL)
		pfree(through);
}

/* when a trigger of ours has to fire */
static char
required_firing(const char *trigger)
{
	if (strcmp(trigger, "gate_replica") == 0)
		return TRIGGER_FIRES_ON_REPLICA;
	if (strcmp(trigger, "gate_truncate") == 0)
		return TRIGGER_FIRES_ALWAYS;
	return TRIGGER_FIRES_ON_ORIGIN;
}

/* do as many triggers of ours of a table fire as there have to be? */
static bool
has_gates(const char *name, int expected)
{
	Relation	rel = mig_tables_open_table(name, AccessShareLock);
	const TriggerDesc *triggers = rel->trigdesc;
	int			i;

	for (i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (strncmp(trigger->tgname, "gate", 4) != 0)
			continue;
		if (trigger->tgenabled == required_firing(trigger->tgname))
			expected--;
	}
	table_close(rel, AccessShareLock);
	return expected == 0;
}

/*
 * Is every change of the tables noticed?  DISABLE TRIGGER ALL, which a
 * restore of data alone may say, ends that, and ENABLE TRIGGER ALL does not
 * bring it back for what logical replication brings.
 */
static bool
notices_changes(void)
{
	return has_gates("migration", 4) && has_gates("applied", 6);
}

/* the row of a project, if it has these files; NULL: any */
static bool
read_row(const char *project, const char *files, MigState *state)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {CStringGetTextDatum(project)};
	char		nulls[2] = {' ', ' '};
	bool		found;
	bool		isnull;

	values[1] = mig_sql_text_datum(files, &isnull);
	if (isnull)
		nulls[1] = 'n';
	mig_tables_open(&scope);
	found =
		mig_sql_execute("SELECT complete, applied, newest FROM migrate.state"
						" WHERE project OPERATOR(pg_catalog.=) $1"
						" AND target OPERATOR(pg_catalog.=) ''"
						" AND (files OPERATOR(pg_catalog.=) $2 OR $2 IS NULL)",
						2, types, values, nulls) > 0;
	if (found)
	{
		state->complete = mig_sql_get_bool(0, 1) && notices_changes();
		state->applied = mig_sql_get_int8(0, 2);
		state->newest = mig_sql_get_text(&scope, 0, 3);
	}
	mig_tables_close(&scope);
	return found;
}

bool
mig_state_read(const char *project, MigState *state)
{
	return read_row(project, NULL, state);
}

bool
mig_state_has_files(const char *project, const char *files, MigState *state)
{
	return read_row(project, files, state) && state->complete;
}

void
mig_state_write_files(const char *project, const char *files)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {
		CStringGetTextDatum(project), CStringGetTextDatum(files)
	};

	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.state SET files = $2"
					" WHERE project OPERATOR(pg_catalog.=) $1"
					" AND target OPERATOR(pg_catalog.=) ''",
					2, types, values, NULL);
	known_writer = GetCurrentTransactionId();
	mig_tables_close(&scope);
}

void
mig_state_forget_files(const char *project)
{
	MigSqlScope scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	char		nulls[1] = {' '};
	bool		isnull;

	values[0] = mig_sql_text_datum(project, &isnull);
	if (isnull)
		nulls[0] = 'n';
	mig_tables_open(&scope);
	if (mig_sql_execute("UPDATE migrate.state SET files = NULL"
						" WHERE files IS NOT NULL"
						" AND (project OPERATOR(pg_catalog.=) $1 OR $1 IS NULL)",
						1, types, values, nulls) > 0)
		known_writer = GetCurrentTransactionId();
	mig_tables_close(&scope);
}

#define SETTLED_COLUMNS \
	"SELECT xmin, settled_through, settled_count, settled_seq," \
	" settled_highest, unsettled, complete FROM migrate.state" \
	" WHERE project OPERATOR(pg_catalog.=) $1" \
	" AND target OPERATOR(pg_catalog.=) ''"

/* remember which transaction has written the row of the last result */
static void
note_writer(void)
{
	TransactionId writer = InvalidTransactionId;
	bool		isnull;

	if (SPI_processed > 0)
		writer = DatumGetTransactionId(SPI_getbinval(SPI_tuptable->vals[0],
													 SPI_tuptable->tupdesc, 1,
													 &isnull));
	if (writer != known_writer && !TransactionIdIsCurrentTransactionId(writer))
		foreign_changes++;
	known_writer = writer;
}

/* the row of the last result; strings are in the scope's outer context */
static void
read_settled(MigSqlScope *scope, MigSettled *settled)
{
	note_writer();
	memset(settled, 0, sizeof(MigSettled));
	settled->changes = changes;
	settled->foreign_changes = foreign_changes;
	settled->recorded = SPI_processed > 0;
	if (!settled->recorded)
		return;
	settled->through = mig_sql_get_text(scope, 0, 2);
	if (settled->through == NULL || !notices_changes())
	{
		settled->through = NULL;
		return;
	}
	settled->count = mig_sql_get_int8(0, 3);
	settled->seq = mig_sql_get_int8(0, 4);
	settled->highest = mig_sql_get_text_not_null(scope, 0, 5);
	settled->exceptions = mig_sql_get_text_array(scope, 0, 6,
												 &settled->nexceptions);
	if (settled->count < 0 || settled->nexceptions > MIG_SETTLED_EXCEPTIONS)
		mig_sql_refuse_value("state", "unsettled", NULL);
	qsort(settled->exceptions, settled->nexceptions, sizeof(char *),
		  mig_version_compare_bytes);
}

void
mig_state_settled(const char *project, MigSettled *settled)
{
	MigSqlScope scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(project)};
	int			rc;

	Assert(ActiveSnapshotSet());
	mig_tables_open(&scope);
	rc = SPI_execute_with_args(SETTLED_COLUMNS, 1, types, values, NULL, true,
							   1);
	if (rc < 0)
		elog(ERROR, "SPI failed with code %d", rc);
	read_settled(&scope, settled);
	mig_tables_close(&scope);
}

/* the same as it is now, locked against other sessions; SPI is connected */
static void
lock_settled(MigSqlScope *scope, const char *project, MigSettled *settled)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(project)};

	(void) mig_sql_execute(SETTLED_COLUMNS " FOR UPDATE", 1, types, values,
						   NULL);
	read_settled(scope, settled);
}

/* in values from the first of five on */
static void
set_settled(const MigSettled *settled, Oid *types, Datum *values, char *nulls)
{
	static const Oid column_types[] = {
		TEXTOID, INT8OID, INT8OID, TEXTOID, TEXTARRAYOID
	};
	int			i;

	for (i = 0; i < lengthof(column_types); i++)
	{
		types[i] = column_types[i];
		nulls[i] = settled->through ? ' ' : 'n';
	}
	if (settled->through == NULL)
		return;
	values[0] = CStringGetTextDatum(settled->through);
	values[1] = Int64GetDatum(settled->count);
	values[2] = Int64GetDatum(settled->seq);
	values[3] = CStringGetTextDatum(settled->highest);
	values[4] = mig_sql_text_array(settled->exceptions, settled->nexceptions);
}

void
mig_state_write(const char *project, const MigState *state)
{
	MigSqlScope scope;
	MigSettled	now;
	MigSettled	settled = state->settled;
	Oid			types[9] = {TEXTOID, BOOLOID, INT8OID, TEXTOID};
	Datum		values[9];
	char		nulls[9] = {' ', ' ', ' ', ' '};
	bool		isnull;
	bool		valid;

	forget_row();
	Assert(state->applied >= 0);
	mig_tables_open(&scope);
	lock_settled(&scope, project, &now);

	/*
	 * Without a row when it was read, no change could have been recorded in
	 * it.  By now this transaction may have made one itself.
	 */
	valid = settled.recorded && settled.changes == changes &&
		settled.foreign_changes == foreign_changes;
	if (!valid)
		settled.through = NULL;
	values[0] = CStringGetTextDatum(project);
	values[1] = BoolGetDatum(state->complete && valid);
	values[2] = Int64GetDatum(state->applied);
	values[3] = mig_sql_text_datum(state->newest, &isnull);
	if (isnull)
		nulls[3] = 'n';
	set_settled(&settled, types + 4, values + 4, nulls + 4);
	mig_sql_execute("INSERT INTO migrate.state (project, complete, applied, newest,"
					" settled_through, settled_count, settled_seq, settled_highest,"
					" unsettled)"
					" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
					" ON CONFLICT (project, target) DO UPDATE SET"
					" complete = EXCLUDED.complete, applied = EXCLUDED.applied,"
					" newest = EXCLUDED.newest,"
					" settled_through = EXCLUDED.settled_through,"
					" settled_count = EXCLUDED.settled_count,"
					" settled_seq = EXCLUDED.settled_seq,"
					" settled_highest = EXCLUDED.settled_highest,"
					" unsettled = EXCLUDED.unsettled",
					9, types, values, nulls);
	known_writer = GetCurrentTransactionId();
	mig_tables_close(&scope);
}

void
mig_state_invalidate(void)
{
	static SPIPlanPtr plan = NULL;
	MigSqlScope scope;

	mig_tables_open(&scope);
	mig_sql_kept(&plan,
				 "UPDATE migrate.state SET complete = false WHERE complete",
				 0, NULL, NULL, NULL);
	if (SPI_processed > 0)
		known_writer = GetCurrentTransactionId();
	mig_tables_close(&scope);
}

void
mig_state_forget(void)
{
	MigSqlScope scope;

	changes++;
	foreign_changes++;
	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.state SET complete = false,"
					" settled_through = NULL, settled_count = NULL,"
					" settled_seq = NULL, settled_highest = NULL, unsettled = NULL",
					0, NULL, NULL, NULL);
	mig_tables_close(&scope);
}

/* is a version settled until now, and not just one that is read in any case? */
static bool
is_counted(const char *project, const char *version)
{
	static const MigKeyLookup migration_row = {
		"migration", 2, {"project", "version"},
		{"kind", "requires", "held_reason"}
	};
	const char *key[] = {project, version};
	Datum		values[MIG_KEY_WANTED];
	bool		nulls[MIG_KEY_WANTED];
	ArrayType  *requires;

	if (!mig_key_lookup_row(&migration_row, key, values, nulls) || !nulls[2])
		return false;
	requires = DatumGetArrayTypeP(values[1]);
	return ArrayGetNItems(ARR_NDIM(requires), ARR_DIMS(requires)) == 0 &&
		strcmp(TextDatumGetCString(values[0]), "versioned") == 0;
}

/* make a version an exception; false if it is one or is not concerned */
static bool
add_exception(const char *project, const char *version, MigSettled *settled)
{
	if (settled->through == NULL ||
		strcmp(version, settled->through) > 0 ||
		bsearch(&version, settled->exceptions, settled->nexceptions,
				sizeof(char *), mig_version_compare_bytes) != NULL)
		return false;
	if (settled->nexceptions == MIG_SETTLED_EXCEPTIONS)
	{
		settled->through = NULL;
		return true;
	}
	if (is_counted(project, version))
		settled->count--;
	settled->exceptions[settled->nexceptions++] =
		unconstify(char *, version);
	qsort(settled->exceptions, settled->nexceptions, sizeof(char *),
		  mig_version_compare_bytes);
	return true;
}

/* write the row, which is there or not, so that the next run looks */
static void
write_settled(const char *project, const MigSettled *settled)
{
	Oid			types[6] = {TEXTOID};
	Datum		values[6] = {CStringGetTextDatum(project)};
	char		nulls[6] = {' '};

	set_settled(settled, types + 1, values + 1, nulls + 1);
	mig_sql_execute("INSERT INTO migrate.state (project, complete, applied,"
					" settled_through, settled_count, settled_seq, settled_highest,"
					" unsettled) VALUES ($1, false, 0, $2, $3, $4, $5, $6)"
					" ON CONFLICT (project, target) DO UPDATE SET complete = false,"
					" settled_through = EXCLUDED.settled_through,"
					" settled_count = EXCLUDED.settled_count,"
					" settled_seq = EXCLUDED.settled_seq,"
					" settled_highest = EXCLUDED.settled_highest,"
					" unsettled = EXCLUDED.unsettled",
					6, types, values, nulls);
	known_writer = GetCurrentTransactionId();
}

void
mig_state_unsettle(const char *project, List *versions, bool were_there)
{
	MigSqlScope scope;
	MigSettled	settled;
	char	  **room = palloc(sizeof(char *) * MIG_SETTLED_EXCEPTIONS);
	bool		write;
	ListCell   *lc;

	changes++;
	forget_row();
	mig_tables_open(&scope);
	lock_settled(&scope, project, &settled);

	/* a row that one transaction writes again and again is slow to read */
	write = SPI_processed == 0 ? were_there : mig_sql_get_bool(0, 7) ||
		!TransactionIdIsCurrentTransactionId(known_writer);
	if (settled.nexceptions > 0)
		memcpy(room, settled.exceptions, sizeof(char *) * settled.nexceptions);
	settled.exceptions = room;
	foreach(lc, versions)
	{
		if (add_exception(project, lfirst(lc), &settled))
			write = true;
	}
	if (write)
		write_settled(project, &settled);
	mig_tables_close(&scope);
	pfree(room);
}

void
mig_state_begin_statement(void)
{
	changes++;
	forget_row();
}

/* have row_through be that of the project; its files are not known any more */
static void
find_row(const char *project)
{
	static const MigKeyLookup state_row = {
		"state", 2, {"project", "target"}, {"settled_through", "files"}
	};
	const char *key[] = {project, ""};
	Datum		values[MIG_KEY_WANTED];
	bool		nulls[MIG_KEY_WANTED];

	if (row_project != NULL && strcmp(row_project, project) == 0)
		return;
	forget_row();
	if (mig_key_lookup_row(&state_row, key, values, nulls))
	{
		if (!nulls[0])
			row_through = MemoryContextStrdup(TopMemoryContext,
											  TextDatumGetCString(values[0]));
		if (!nulls[1])
			mig_state_forget_files(project);
	}
	row_project = MemoryContextStrdup(TopMemoryContext, project);
}

void
mig_state_unsettle_row(const char *project, const char *version)
{
	find_row(project);
	if (row_through != NULL && strcmp(version, row_through) <= 0)
		mig_state_unsettle(project, list_make1(unconstify(char *, version)),
						   true);
}

uint64
mig_state_changes(void)
{
	return changes;
}

void
mig_state_explain(uint64 before)
{
	changes = before;
}
