/*-------------------------------------------------------------------------
 *
 * convention_table.c
 *	  The conventions that there are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "lib/stringinfo.h"
#include "source/convention.h"
#include "source/conventions.h"


const MigConvention *const mig_conventions[] = {
	&mig_convention_native,
	&mig_convention_plain,
	&mig_convention_name,
	&mig_convention_golang_migrate,
	&mig_convention_sqlx,
	&mig_convention_goose,
	&mig_convention_diesel,
	&mig_convention_flyway,
	&mig_convention_sqitch,
	&mig_convention_prisma,
	&mig_convention_sql_migrate,
	&mig_convention_node_pg_migrate,
	&mig_convention_tern,
	&mig_convention_mybatis,
	&mig_convention_play,
	&mig_convention_micrate,
	&mig_convention_rambler,
	&mig_convention_dbmate,
	&mig_convention_drizzle,
	&mig_convention_postgrator,
	&mig_convention_yoyo,
	&mig_convention_refinery,
	&mig_convention_db_migrate,
	&mig_convention_graphile_migrate,
	&mig_convention_atlas
};

const int	mig_nconventions = lengthof(mig_conventions);

/* the row of that name; an error if there is none */
const MigConvention *
mig_convention_find(const char *name)
{
	StringInfoData names;

	for (int i = 0; i < mig_nconventions; i++)
	{
		if (strcmp(mig_conventions[i]->name, name) == 0)
			return mig_conventions[i];
	}

	initStringInfo(&names);
	for (int i = 0; i < mig_nconventions; i++)
		appendStringInfo(&names, ", %s", mig_conventions[i]->name);
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("convention \"%s\" does not exist", name),
			 errhint("The conventions are auto%s.", names.data)));
	return NULL;
}

/* NULL is what was given to add(), which is the native form */
const MigConvention *
mig_convention_of_source(const char *source)
{
	for (int i = 0; source != NULL && i < mig_nconventions; i++)
	{
		if (strcmp(mig_conventions[i]->name, source) == 0)
			return mig_conventions[i];
	}
	return &mig_convention_native;
}

/* convention NULL: of what was given to add() */
char *
mig_convention_version_key(const char *convention, const char *version)
{
	for (int i = 0; i < mig_nconventions; i++)
	{
		const MigConvention *row = mig_conventions[i];

		if (strcmp(row->name, convention ? convention : "native") == 0)
			return row->version_key ? row->version_key(version) :
				pstrdup(version);
	}
	return pstrdup(version);
}
