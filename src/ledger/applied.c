/*-------------------------------------------------------------------------
 *
 * applied.c
 *	  Rows of migrate.applied, the ledger, one at a time.
 *
 * They are made and taken out with the journal's rows, see ledger/journal.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "ledger/applied.h"
#include "ledger/key_lookup.h"
#include "ledger/tables.h"

static const MigKeyLookup applied_row = {
	"applied", 3, {"project", "target", "version"}, {NULL}
};

bool
mig_applied_exists(const char *project, const char *version)
{
	const char *key[] = {project, "", version};

	return mig_key_lookup_row(&applied_row, key, NULL, NULL);
}

bool
mig_applied_ever(void)
{
	MigSqlScope scope;
	bool		ever;

	mig_tables_open(&scope);
	ever = mig_sql_execute("SELECT FROM migrate.applied"
						   " UNION ALL SELECT FROM migrate.journal"
						   " WHERE outcome OPERATOR(pg_catalog.=) 'success'"
						   " AND version IS NOT NULL LIMIT 1",
						   0, NULL, NULL, NULL) > 0;
	mig_tables_close(&scope);
	return ever;
}

char *
mig_applied_newest_path(const char *project)
{
	MigSqlScope scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(project)};
	char	   *path = NULL;

	mig_tables_open(&scope);
	if (mig_sql_execute("SELECT j.search_path FROM (SELECT a.run, a.seq"
						"  FROM migrate.applied a"
						"  WHERE a.project OPERATOR(pg_catalog.=) $1"
						"  AND a.target OPERATOR(pg_catalog.=) ''"
						"  AND a.origin OPERATOR(pg_catalog.=) 'apply'"
						"  ORDER BY a.applied_seq DESC LIMIT 1) a"
						" JOIN migrate.journal j ON j.run OPERATOR(pg_catalog.=) a.run"
						" AND j.seq OPERATOR(pg_catalog.=) a.seq",
						1, types, values, NULL) > 0)
		path = mig_sql_get_text(&scope, 0, 1);
	mig_tables_close(&scope);
	return path;
}

char *
mig_applied_path_of(const char *project, const char *version)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {CStringGetTextDatum(project),
	CStringGetTextDatum(version)};
	char	   *path = NULL;

	mig_tables_open(&scope);
	if (mig_sql_execute("SELECT j.search_path FROM (SELECT a.run, a.seq"
						"  FROM migrate.applied a"
						"  WHERE a.project OPERATOR(pg_catalog.=) $1"
						"  AND a.target OPERATOR(pg_catalog.=) ''"
						"  AND a.version OPERATOR(pg_catalog.=) $2 OFFSET 0) a"
						" JOIN migrate.journal j ON j.run OPERATOR(pg_catalog.=) a.run"
						" AND j.seq OPERATOR(pg_catalog.=) a.seq",
						2, types, values, NULL) > 0)
		path = mig_sql_get_text(&scope, 0, 1);
	mig_tables_close(&scope);
	return path;
}

char *
mig_applied_last_role(const char *project)
{
	MigSqlScope scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(project)};
	char	   *role = NULL;

	mig_tables_open(&scope);
	if (mig_sql_execute("SELECT applied_by FROM migrate.applied"
						" WHERE project OPERATOR(pg_catalog.=) $1"
						" AND target OPERATOR(pg_catalog.=) ''"
						" AND origin OPERATOR(pg_catalog.=) 'apply'"
						" ORDER BY applied_seq DESC LIMIT 1",
						1, types, values, NULL) > 0)
		role = mig_sql_get_text(&scope, 0, 1);
	mig_tables_close(&scope);
	return role;
}

void
mig_applied_accept(const char *project, const char *version,
				   const char *checksum, const char *down_checksum)
{
	MigSqlScope scope;
	Oid			types[4] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[4];
	char		nulls[4] = {' ', ' ', ' ', ' '};
	bool		isnull;

	Assert(strlen(checksum) == 64);
	values[0] = CStringGetTextDatum(project);
	values[1] = CStringGetTextDatum(version);
	values[2] = CStringGetTextDatum(checksum);
	values[3] = mig_sql_text_datum(down_checksum, &isnull);
	if (isnull)
		nulls[3] = 'n';
	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.applied SET checksum = $3, down_checksum = $4"
					" WHERE project OPERATOR(pg_catalog.=) $1"
					" AND target OPERATOR(pg_catalog.=) ''"
					" AND version OPERATOR(pg_catalog.=) $2",
					4, types, values, nulls);
	mig_tables_close(&scope);
}

void
mig_applied_rename(const char *project, const char *version,
				   const MigSource *source, const char *checksum,
				   const char *down_checksum)
{
	MigSqlScope scope;
	Oid			types[6] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	const char *strings[6] = {project, version, source->version, source->name,
	checksum, down_checksum};
	Datum		values[6];
	char		nulls[6];
	int			i;

	for (i = 0; i < lengthof(strings); i++)
	{
		bool		isnull;

		values[i] = mig_sql_text_datum(strings[i], &isnull);
		nulls[i] = isnull ? 'n' : ' ';
	}
	mig_tables_open(&scope);
	mig_sql_execute("UPDATE migrate.applied SET version = $3, name = $4,"
					" checksum = $5, down_checksum = $6"
					" WHERE project OPERATOR(pg_catalog.=) $1"
					" AND version OPERATOR(pg_catalog.=) $2",
					6, types, values, nulls);
	mig_tables_close(&scope);
}
