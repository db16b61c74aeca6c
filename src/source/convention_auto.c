/*-------------------------------------------------------------------------
 *
 * convention_auto.c
 *	  Which convention a set of files is of.
 *
 * A convention shows by markers or file names that no other one has.  What two of
 * them recognize is refused, with the file and the line that each of them has
 * seen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/convention_auto.h"
#include "source/marker_line.h"


/*
 * The convention that the files show, NULL if there is nothing to load.
 */
const MigConvention *
mig_convention_recognize(const MigFileSet *set)
{
	const MigConvention *found = NULL;
	MigSourceFile *shows_found = NULL;

	for (int i = 0; i < mig_nconventions; i++)
	{
		const MigConvention *convention = mig_conventions[i];
		MigSourceFile *shows;

		shows = convention->detect ? convention->detect(set) : NULL;
		if (shows == NULL)
			continue;

		if (found != NULL)
			ereport(ERROR,
					(errcode(MIG_ERRCODE_CONVENTION),
					 errmsg("cannot tell convention \"%s\" from convention \"%s\"",
							found->name, convention->name),
					 errdetail("File \"%s\"%s is of convention \"%s\", file \"%s\"%s is of convention \"%s\".",
							   shows_found->path,
							   mig_marker_place(shows_found, found->marker),
							   found->name,
							   shows->path,
							   mig_marker_place(shows, convention->marker),
							   convention->name),
					 errhint("Pass convention => '%s' or convention => '%s'.",
							 found->name, convention->name)));
		found = convention;
		shows_found = shows;
	}
	if (found != NULL)
		return found;

	for (int i = 0; i < set->nscripts; i++)
	{
		if (mig_file_path_is_sql(set->scripts[i].path))
			return mig_conventions[0];
	}
	return NULL;
}
