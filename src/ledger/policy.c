/*-------------------------------------------------------------------------
 *
 * policy.c
 *	  The rows of migrate.policy.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/session_settings.h"
#include "ledger/policy.h"
#include "ledger/tables.h"

MigPolicy *
mig_policy_read(const char *project)
{
	static SPIPlanPtr plan = NULL;
	MigSqlScope scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(project)};
	MigPolicy  *policy = palloc0(sizeof(MigPolicy));

	mig_tables_open(&scope);
	if (mig_sql_kept(&plan,
					 "SELECT role, search_path,"
					 " out_of_order OPERATOR(pg_catalog.=) 'allow',"
					 " protected, require_down, frozen_reason,"
					 " CASE lint WHEN 'warn' THEN 1 WHEN 'error' THEN 2 ELSE 0 END,"
					 " lint_off, edits OPERATOR(pg_catalog.=) 'refuse'"
					 " FROM migrate.policy"
					 " WHERE project OPERATOR(pg_catalog.=) $1",
					 1, types, values, NULL) > 0)
	{
		policy->role = mig_sql_get_text(&scope, 0, 1);
		policy->search_path = mig_sql_get_text(&scope, 0, 2);
		policy->allow_out_of_order = mig_sql_get_bool(0, 3);
		policy->protected = mig_sql_get_bool(0, 4);
		policy->require_down = mig_sql_get_bool(0, 5);
		policy->frozen_reason = mig_sql_get_text(&scope, 0, 6);
		policy->lint = mig_sql_get_int4(0, 7);
		policy->lint_off = mig_sql_get_text_array(&scope, 0, 8,
												  &policy->nlint_off);
		policy->refuse_edits = mig_sql_get_bool(0, 9);
	}
	mig_tables_close(&scope);
	policy->sets_search_path = (policy->search_path != NULL);
	policy->search_path =
		mig_session_settings_search_path(policy->search_path);
	return policy;
}
