/*-------------------------------------------------------------------------
 *
 * known_ledgers.c
 *	  The tables in which other tools keep what they have applied.
 *
 * A table is taken for a tool's by its name, its columns and what is beside it:
 * five tools call theirs schema_migrations.  The first row that fits counts, so
 * those that ask for more come first.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "adopt/known_ledgers.h"
#include "lib/stringinfo.h"

static bool
is_true(const MigLedgerValue *value)
{
	return value->text != NULL && strcmp(value->text, "true") == 0;
}

static bool
is_text(const MigLedgerValue *value, const char *text)
{
	return value->text != NULL && strcmp(value->text, text) == 0;
}

static void
set_failed(MigLedgerEntry *entry, char *problem)
{
	entry->state = MIG_ENTRY_FAILED;
	entry->problem = problem;
}

/* STATUS is true for success */
static void
read_success(const MigLedgerValue *values, MigLedgerEntry *entry)
{
	if (!is_true(&values[MIG_LC_STATUS]))
		set_failed(entry, "It is recorded as failed.");
}

/* STATUS is true while it runs, and after it has failed */
static void
read_dirty(const MigLedgerValue *values, MigLedgerEntry *entry)
{
	if (is_true(&values[MIG_LC_STATUS]))
		set_failed(entry, "It is marked as dirty.");
}

/* STATUS is false for an entry that takes the migration back */
static void
read_is_applied(const MigLedgerValue *values, MigLedgerEntry *entry)
{
	if (strcmp(entry->key, "0") == 0)
		entry->state = MIG_ENTRY_IGNORED;
	else if (!is_true(&values[MIG_LC_STATUS]))
		entry->state = MIG_ENTRY_UNDONE;
}

/*
 * STATUS is success and STATUS2 the type.  A repeatable migration has no
 * version, and is named by its description.
 */
static void
read_flyway(const MigLedgerValue *values, MigLedgerEntry *entry)
{
	const char *type = values[MIG_LC_STATUS2].text;

	if (type == NULL || strcmp(type, "SCHEMA") == 0)
		entry->state = MIG_ENTRY_IGNORED;
	else if (!is_true(&values[MIG_LC_STATUS]))
		set_failed(entry, "It is recorded as failed.");
	else if (strcmp(type, "DELETE") == 0 || strncmp(type, "UNDO_", 5) == 0)
		entry->state = MIG_ENTRY_UNDONE;
	else if (strstr(type, "BASELINE") != NULL)
	{
		entry->up_to = true;
		entry->checksum = NULL;
	}
}

/* STATUS is exectype */
static void
read_liquibase(const MigLedgerValue *values, MigLedgerEntry *entry)
{
	if (is_text(&values[MIG_LC_STATUS], "FAILED"))
		set_failed(entry, "Its exectype is FAILED.");
	else if (is_text(&values[MIG_LC_STATUS], "SKIPPED"))
		entry->state = MIG_ENTRY_IGNORED;
}

/* STATUS is finished_at and STATUS2 rolled_back_at, STATUS3 logs */
static void
read_prisma(const MigLedgerValue *values, MigLedgerEntry *entry)
{
	if (values[MIG_LC_STATUS2].is_time)
		entry->state = MIG_ENTRY_IGNORED;
	else if (!values[MIG_LC_STATUS].is_time)
		set_failed(entry, values[MIG_LC_STATUS3].text ?
				   values[MIG_LC_STATUS3].text :
				   "It was started and has not finished.");
	else if (entry->has_time)
	{
		/* the time is that of the start */
		entry->duration_ms =
			Max(0, values[MIG_LC_STATUS].time - entry->applied_at) / 1000.0;
		entry->applied_at = values[MIG_LC_STATUS].time;
	}
}

/* STATUS statements of STATUS2 are applied; STATUS3 is the error */
static void
read_atlas(const MigLedgerValue *values, MigLedgerEntry *entry)
{
	const MigLedgerValue *error = &values[MIG_LC_STATUS3];

	if (error->text != NULL && error->text[0] != '\0')
		set_failed(entry, error->text);
	else if (values[MIG_LC_STATUS].text != NULL &&
			 values[MIG_LC_STATUS2].text != NULL &&
			 strcmp(values[MIG_LC_STATUS].text,
					values[MIG_LC_STATUS2].text) != 0)
		set_failed(entry, psprintf("%s of %s statements are applied.",
								   values[MIG_LC_STATUS].text,
								   values[MIG_LC_STATUS2].text));
}

/* STATUS is state, STATUS2 last_problem */
static void
read_play(const MigLedgerValue *values, MigLedgerEntry *entry)
{
	if (!is_text(&values[MIG_LC_STATUS], "applied"))
		set_failed(entry, values[MIG_LC_STATUS2].text ?
				   values[MIG_LC_STATUS2].text :
				   psprintf("Its state is \"%s\".",
							values[MIG_LC_STATUS].text ?
							values[MIG_LC_STATUS].text : ""));
}

/* STATUS is the number of statements that are applied, STATUS2 no_txn_failed_at */
static void
read_codd(const MigLedgerValue *values, MigLedgerEntry *entry)
{
	if (values[MIG_LC_STATUS2].is_time)
		set_failed(entry, psprintf("It failed after %s statements.",
								   values[MIG_LC_STATUS].text ?
								   values[MIG_LC_STATUS].text : "some"));
}

#define KEY [MIG_LC_KEY]
#define NAME [MIG_LC_NAME]
#define GROUP [MIG_LC_GROUP]
#define ORDER [MIG_LC_ORDER]
#define TIME [MIG_LC_TIME]
#define DURATION [MIG_LC_DURATION]
#define AUTHOR [MIG_LC_AUTHOR]
#define CHECKSUM [MIG_LC_CHECKSUM]
#define STATUS [MIG_LC_STATUS]
#define STATUS2 [MIG_LC_STATUS2]
#define STATUS3 [MIG_LC_STATUS3]
#define TEXT [MIG_LC_TEXT]
#define DOWN_TEXT [MIG_LC_DOWN_TEXT]

static const MigKnownLedger known_ledgers[] = {
	{.tool = "alembic",.table = "alembic_version",
		.columns = {KEY = "version_num"},
	.meaning = MIG_LEDGER_HEADS},
	{.tool = "atlas",.table = "atlas_schema_revisions",
		.columns = {KEY = "version", NAME = "description", TIME = "executed_at",
			DURATION = "execution_time", STATUS = "applied", STATUS2 = "total",
		STATUS3 = "error"},
	.read = read_atlas,.ms_per_unit = 1e-6},
	{.tool = "codd",.schema = "codd",.table = "sql_migrations",
		.columns = {KEY = "name", TIME = "applied_at",
		STATUS = "?num_applied_statements", STATUS2 = "?no_txn_failed_at"},
	.read = read_codd},
	{.tool = "db-migrate",.table = "migrations",
	.columns = {KEY = "name", ORDER = "id", TIME = "run_on"}},
	{.tool = "diesel",.table = "__diesel_schema_migrations",
	.columns = {KEY = "version", TIME = "run_on"}},
	{.tool = "django",.table = "django_migrations",
		.columns = {KEY = "name", GROUP = "app", ORDER = "id",
	TIME = "applied"}},
	{.tool = "doctrine",.table = "doctrine_migration_versions",
		.columns = {KEY = "version", TIME = "executed_at",
	DURATION = "execution_time"}},
	{.tool = "drizzle",.table = "__drizzle_migrations",
	.columns = {KEY = "hash", ORDER = "id", STATUS = "created_at"}},
	{.tool = "ef-core",.table = "__EFMigrationsHistory",
	.columns = {KEY = "MigrationId", STATUS = "ProductVersion"}},
	{.tool = "flyway",.table = "flyway_schema_history",
		.columns = {KEY = "version", NAME = "script", ORDER = "installed_rank",
			TIME = "installed_on", DURATION = "execution_time",
			AUTHOR = "installed_by", CHECKSUM = "checksum", STATUS = "success",
		STATUS2 = "type"},
		.read = read_flyway,.last_counts = true,
	.checksum = MIG_CHECKSUM_FLYWAY,.lock = MIG_LOCK_FLYWAY},
	{.tool = "flyway",.table = "schema_version",
		.columns = {KEY = "version", NAME = "script", ORDER = "installed_rank",
			TIME = "installed_on", DURATION = "execution_time",
			AUTHOR = "installed_by", CHECKSUM = "checksum", STATUS = "success",
		STATUS2 = "type"},
		.read = read_flyway,.last_counts = true,
	.checksum = MIG_CHECKSUM_FLYWAY,.lock = MIG_LOCK_FLYWAY},
	{.tool = "goose",.table = "goose_db_version",
		.columns = {KEY = "version_id", ORDER = "id", TIME = "tstamp",
		STATUS = "is_applied"},
		.read = read_is_applied,.last_counts = true,
	.lock = MIG_LOCK_FIXED,.lock_key = INT64CONST(4097083626)},
	{.tool = "graphile-migrate",.schema = "graphile_migrate",
		.table = "migrations",
		.columns = {KEY = "filename", TIME = "date", CHECKSUM = "hash",
		STATUS = "previous_hash"},
		.checksum = MIG_CHECKSUM_GRAPHILE,
	.lock = MIG_LOCK_FIXED,.lock_key = INT64CONST(4727445306447283)},
	{.tool = "grate",.schema = "grate",.table = "ScriptsRun",
		.columns = {KEY = "script_name", ORDER = "id", TIME = "entry_date",
		AUTHOR = "entered_by", TEXT = "text_of_script"},
	.last_counts = true},
	{.tool = "knex",.table = "knex_migrations",
		.columns = {KEY = "name", ORDER = "id", TIME = "migration_time",
		STATUS = "batch"},
	.lock_table = "knex_migrations_lock",.lock_column = "is_locked"},
	{.tool = "kysely",.table = "kysely_migration",
		.columns = {KEY = "name", STATUS = "timestamp"},
		.lock = MIG_LOCK_FIXED,.lock_key = INT64CONST(3853314791062309107),
	.lock_table = "kysely_migration_lock",.lock_column = "is_locked"},
	{.tool = "laravel",.table = "migrations",
	.columns = {KEY = "migration", ORDER = "id", STATUS = "batch"}},
	{.tool = "liquibase",.table = "databasechangelog",
		.columns = {KEY = "id", NAME = "filename", ORDER = "orderexecuted",
			TIME = "dateexecuted", STATUS = "exectype", STATUS2 = "md5sum",
		STATUS3 = "author"},
		.read = read_liquibase,.lock_table = "databasechangeloglock",
	.lock_column = "locked"},
	{.tool = "micrate",.table = "micrate_db_version",
		.columns = {KEY = "version_id", ORDER = "id", TIME = "tstamp",
		STATUS = "is_applied"},
	.read = read_is_applied,.last_counts = true},
	{.tool = "mybatis",.table = "changelog",
	.columns = {KEY = "id", STATUS = "description", STATUS2 = "applied_at"}},
	{.tool = "node-pg-migrate",.table = "pgmigrations",
		.columns = {KEY = "name", ORDER = "id", TIME = "run_on"},
	.lock = MIG_LOCK_FIXED,.lock_key = INT64CONST(7241865325823964)},
	{.tool = "play",.table = "play_evolutions",
		.columns = {KEY = "id", TIME = "applied_at", STATUS = "state",
			STATUS2 = "last_problem", TEXT = "apply_script",
		DOWN_TEXT = "revert_script"},
	.read = read_play},
	{.tool = "postgrator",.table = "schemaversion",
		.columns = {KEY = "version", STATUS = "name", CHECKSUM = "md5",
		TIME = "?run_at"},
	.checksum = MIG_CHECKSUM_MD5},
	{.tool = "postgres-migrations",.table = "migrations",
		.columns = {KEY = "id", NAME = "name", STATUS = "hash",
	TIME = "executed_at"}},
	{.tool = "prisma",.table = "_prisma_migrations",
		.columns = {KEY = "migration_name", TIME = "started_at",
			CHECKSUM = "checksum", STATUS = "finished_at",
		STATUS2 = "rolled_back_at", STATUS3 = "logs"},
		.read = read_prisma,.checksum = MIG_CHECKSUM_SHA256,
	.lock = MIG_LOCK_FIXED,.lock_key = INT64CONST(72707369)},
	{.tool = "refinery",.table = "refinery_schema_history",
		.columns = {KEY = "version", NAME = "name", STATUS = "applied_on",
	STATUS2 = "checksum"}},
	{.tool = "sequelize",.table = "SequelizeMeta",
	.columns = {KEY = "name"}},
	{.tool = "sql-migrate",.table = "gorp_migrations",
	.columns = {KEY = "id", TIME = "applied_at"}},
	{.tool = "sqitch",.schema = "sqitch",.table = "changes",
		.columns = {KEY = "change", TIME = "committed_at",
			AUTHOR = "committer_name", CHECKSUM = "script_hash",
		STATUS = "change_id", GROUP = "project"},
		.checksum = MIG_CHECKSUM_SHA1,
	.lock = MIG_LOCK_FIXED,.lock_key = INT64CONST(75474063)},
	{.tool = "sqlx",.table = "_sqlx_migrations",
		.columns = {KEY = "version", NAME = "description",
			TIME = "installed_on", DURATION = "execution_time",
		CHECKSUM = "checksum", STATUS = "success"},
		.read = read_success,.ms_per_unit = 1e-6,
		.checksum = MIG_CHECKSUM_SHA384,
	.lock = MIG_LOCK_OF_DATABASE,.lock_key = INT64CONST(0x3d32ad9e)},
	{.tool = "tern",.table = "schema_version",
		.columns = {KEY = "version"},.without = "installed_on",
		.meaning = MIG_LEDGER_UP_TO,
	.lock = MIG_LOCK_FIXED,.lock_key = INT64CONST(9628173550095224)},
	{.tool = "typeorm",.table = "migrations",
	.columns = {KEY = "timestamp", NAME = "name", ORDER = "id"}},
	{.tool = "yandex-pgmigrate",.table = "schema_version",
		.columns = {KEY = "version", NAME = "description",
			TIME = "installed_on", AUTHOR = "installed_by",
	STATUS = "type"},.without = "installed_rank"},
	{.tool = "yoyo",.table = "_yoyo_migration",
		.columns = {KEY = "migration_id", TIME = "applied_at_utc",
	STATUS = "migration_hash"}},

	/* five tools by the name of schema_migrations, and a table of one's own */
	{.tool = "supabase",.table = "schema_migrations",
	.columns = {KEY = "version", NAME = "name", TEXT = "statements"}},
	{.tool = "golang-migrate",.table = "schema_migrations",
		.columns = {KEY = "version", STATUS = "dirty"},
		.meaning = MIG_LEDGER_UP_TO,.read = read_dirty,
	.lock = MIG_LOCK_GOLANG_MIGRATE},
	{.tool = "ecto",.table = "schema_migrations",
	.columns = {KEY = "version", TIME = "inserted_at"}},
	{.tool = "home-made",.table = "schema_migrations",
		.columns = {KEY = "version", NAME = "?name", TIME = "applied_at",
			DURATION = "?execution_time_ms", CHECKSUM = "checksum",
		STATUS = "success"},
	.read = read_success,.checksum = MIG_CHECKSUM_BY_LENGTH},
	{.tool = "home-made",.table = "schema_migrations",
		.columns = {KEY = "version", NAME = "?name", TIME = "applied_at",
		DURATION = "?execution_time_ms", CHECKSUM = "?checksum"},
	.checksum = MIG_CHECKSUM_BY_LENGTH},
	{.tool = "rails",.table = "schema_migrations",
		.columns = {KEY = "version"},.no_more = true,
		.beside = "ar_internal_metadata",
	.lock = MIG_LOCK_OF_DATABASE,.lock_key = INT64CONST(2053462845)},
	{.tool = "dbmate",.table = "schema_migrations",
		.columns = {KEY = "version"},.no_more = true,
	.beside = "!ar_internal_metadata"}
};

const MigKnownLedger *
mig_known_ledgers_get(int i)
{
	Assert(i >= 0);
	return i < lengthof(known_ledgers) ? &known_ledgers[i] : NULL;
}

bool
mig_known_ledgers_has_tool(const char *tool)
{
	for (int i = 0; i < lengthof(known_ledgers); i++)
	{
		if (strcmp(known_ledgers[i].tool, tool) == 0)
			return true;
	}
	return false;
}

char *
mig_known_ledgers_names(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(known_ledgers); i++)
	{
		if (i > 0 && strcmp(known_ledgers[i].tool,
							known_ledgers[i - 1].tool) == 0)
			continue;
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "",
						 known_ledgers[i].tool);
	}
	return names.data;
}
