/*-------------------------------------------------------------------------
 *
 * byte_order.c
 *	  The order of tools that compare versions as strings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/version_order.h"
#include "source/byte_order.h"


/* list_sort() helper: by version, then path */
static int
compare_source_version(const ListCell *a, const ListCell *b)
{
	const MigSource *sa = lfirst(a);
	const MigSource *sb = lfirst(b);
	int			result = strcmp(sa->version, sb->version);

	return result != 0 ? result : strcmp(sa->path, sb->path);
}

/*
 * Keep the order of a tool that compares versions as strings.
 *
 * It differs from the natural order if versions have numbers of different
 * length.  A version that has a naturally greater one before it is made to
 * require the nearest of these: then of all versions that can be next the
 * naturally smallest is always the next one as a string, too.
 */
void
mig_byte_order_keep(List *sources)
{
	List	   *sorted = list_copy(sources);
	MigSource **greater = palloc((list_length(sources) + 1) *
								 sizeof(MigSource *));
	int			ngreater = 0;
	ListCell   *lc;

	list_sort(sorted, compare_source_version);
	foreach(lc, sorted)
	{
		MigSource  *source = lfirst(lc);

		/* greater[] falls: its last one is the nearest that is greater */
		while (ngreater > 0 &&
			   mig_version_order_compare(greater[ngreater - 1]->version,
										 source->version) <= 0)
			ngreater--;
		if (ngreater > 0)
			source->requires = list_make1(greater[ngreater - 1]->version);
		greater[ngreater++] = source;
	}
	list_free(sorted);
}
