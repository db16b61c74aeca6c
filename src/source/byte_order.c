/*-------------------------------------------------------------------------
 *
 * byte_order.c
 *	  Orders of tools that are not the natural one of versions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/version_order.h"
#include "source/byte_order.h"


/*
 * A migration that has a naturally greater version before it is made to require
 * the nearest of these: then of all versions that can be next the naturally
 * smallest is always the next one of the list, too.
 */
void
mig_order_keep(List *in_order)
{
	MigSource **greater = palloc((list_length(in_order) + 1) *
								 sizeof(MigSource *));
	int			ngreater = 0;
	ListCell   *lc;

	foreach(lc, in_order)
	{
		MigSource  *source = lfirst(lc);

		/* greater[] falls: its last one is the nearest that is greater */
		while (ngreater > 0 &&
			   mig_version_order_compare(greater[ngreater - 1]->version,
										 source->version) <= 0)
			ngreater--;
		if (ngreater > 0)
			source->requires = lappend(source->requires,
									   greater[ngreater - 1]->version);
		greater[ngreater++] = source;
	}
}

/* list_sort() helper: by version, then path */
static int
compare_source_version(const ListCell *a, const ListCell *b)
{
	const MigSource *sa = lfirst(a);
	const MigSource *sb = lfirst(b);
	int			result = strcmp(sa->version, sb->version);

	return result != 0 ? result : strcmp(sa->path, sb->path);
}

void
mig_byte_order_keep(List *sources)
{
	List	   *sorted = list_copy(sources);

	list_sort(sorted, compare_source_version);
	mig_order_keep(sorted);
	list_free(sorted);
}

/* list_sort() helper */
static int
compare_source_file(const ListCell *a, const ListCell *b)
{
	const MigSource *sa = lfirst(a);
	const MigSource *sb = lfirst(b);

	return strcmp(mig_file_path_base(sa->path), mig_file_path_base(sb->path));
}

List *
mig_byte_order_of_files(List *sources)
{
	List	   *sorted = list_copy(sources);

	list_sort(sorted, compare_source_file);
	return sorted;
}
