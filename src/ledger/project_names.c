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

void
mig_project_names_warn_if_empty(const char *project)
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
	if (empty)
		mig_project_names_tell_empty(project, WARNING);
}
