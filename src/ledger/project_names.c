/*-------------------------------------------------------------------------
 *
 * project_names.c
 *	  Which projects there are, and what is said of one that is empty.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "ledger/project_names.h"
#include "ledger/tables.h"

List *
mig_project_names(void)
{
	MigSqlScope scope;
	uint64		nrows;
	uint64		row;
	List	   *projects = NIL;

	mig_tables_open(&scope);
	nrows = mig_sql_execute("SELECT project FROM migrate.migration"
							" UNION SELECT project FROM migrate.applied ORDER BY 1",
							0, NULL, NULL, NULL);
	for (row = 0; row < nrows; row++)
		projects = mig_sql_append(&scope, projects,
								  mig_sql_get_text(&scope, row, 1));
	mig_tables_close(&scope);
	return projects;
}

void
mig_project_names_tell_empty(const char *project, int elevel)
{
	List	   *projects = mig_project_names();

	ereport(elevel,
			(errcode(elevel >= ERROR ? MIG_ERRCODE_PENDING : ERRCODE_WARNING),
			 errmsg("project \"%s\" has no migrations", project),
			 projects != NIL ?
			 errdetail("Projects of this database: %s.",
					   mig_error_name_list(projects)) :
			 errdetail("None are stored or applied in this database."),
			 elevel >= ERROR ?
			 errhint("Load them, or correct the name of the project or the database.  SELECT migrate.check('base') accepts a project without migrations.") :
			 errhint("Load them, or correct the name of the project or the database.")));
}

bool
mig_project_names_is_empty(const char *project)
{
	MigSqlScope scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(project)};
	bool		empty;

	mig_tables_open(&scope);
	mig_sql_execute("SELECT NOT (EXISTS (SELECT FROM migrate.migration m"
					"  WHERE m.project OPERATOR(pg_catalog.=) $1)"
					" OR EXISTS (SELECT FROM migrate.applied a"
					"  WHERE a.project OPERATOR(pg_catalog.=) $1))",
					1, types, values, NULL);
	empty = mig_sql_get_bool(0, 1);
	mig_tables_close(&scope);
	return empty;
}

void
mig_project_names_warn_if_empty(const char *project)
{
	if (mig_project_names_is_empty(project))
		mig_project_names_tell_empty(project, WARNING);
}

/*
 * The versions of a project that are applied in another one with the same text:
 * in the first such project, which goes into *other.
 */
static List *
find_applied_elsewhere(const char *project, const char **other)
{
	MigSqlScope scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(project)};
	uint64		nrows;
	List	   *versions = NIL;

	mig_tables_open(&scope);
	nrows = mig_sql_execute("SELECT DISTINCT a.project, a.version"
							" FROM migrate.migration m JOIN migrate.applied a"
							"  ON a.version OPERATOR(pg_catalog.=) m.version"
							"  AND a.checksum OPERATOR(pg_catalog.=) m.checksum"
							" WHERE m.project OPERATOR(pg_catalog.=) $1"
							"  AND a.project OPERATOR(pg_catalog.<>) $1"
							" ORDER BY 1, 2", 1, types, values, NULL);
	for (uint64 row = 0; row < nrows; row++)
	{
		const char *name = mig_sql_get_text(&scope, row, 1);

		if (versions != NIL && strcmp(name, *other) != 0)
			break;
		*other = name;
		versions = mig_sql_append(&scope, versions,
								  mig_sql_get_text(&scope, row, 2));
	}
	mig_tables_close(&scope);
	return versions;
}

void
mig_project_names_tell_new(const char *project)
{
	List	   *others = NIL;
	List	   *projects = mig_project_names();
	const char *other = NULL;
	List	   *versions;
	ListCell   *lc;

	foreach(lc, projects)
	{
		if (strcmp(lfirst(lc), project) != 0)
			others = lappend(others, lfirst(lc));
	}
	if (others == NIL)
		return;
	versions = find_applied_elsewhere(project, &other);
	ereport(WARNING,
			(errmsg("project \"%s\" is new in this database", project),
			 versions != NIL ?
			 errdetail("Other projects: %s.  Applied in \"%s\" with the same text: %s.",
					   mig_error_name_list(others), other,
					   mig_error_name_list(versions)) :
			 errdetail("Other projects: %s.", mig_error_name_list(others)),
			 errhint("If another project is meant, take the migrations out of this one with migrate.remove() before they are applied.")));
}
