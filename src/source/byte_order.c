/*-------------------------------------------------------------------------
 *
 * byte_order.c
 *	  Orders of tools that are not the natural one of versions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

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
			source->requires =
				mig_file_line_add_word(source->requires,
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

/* migrations in the order of their versions as strings, and those that it has */
typedef struct Walk
{
	List	   *by_version;
	bool	   *placed;
	List	   *order;
}			Walk;

/* where a version is; -1: nowhere */
static int
find_version(const Walk * walk, const char *version)
{
	int			from = 0;
	int			to = list_length(walk->by_version);

	while (from < to)
	{
		int			middle = from + (to - from) / 2;
		const MigSource *source = list_nth(walk->by_version, middle);
		int			result = strcmp(version, source->version);

		if (result == 0)
			return middle;
		if (result < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return -1;
}

/* put a migration, unless it is there, after what it requires */
static void
place_version(Walk * walk, const char *version)
{
	int			n = find_version(walk, version);
	MigSource  *source;
	ListCell   *lc;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (n < 0 || walk->placed[n])
		return;
	walk->placed[n] = true;
	source = list_nth(walk->by_version, n);
	foreach(lc, source->requires)
		place_version(walk, lfirst(lc));
	walk->order = lappend(walk->order, source);
}

List *
mig_order_after_required(List *in_order)
{
	Walk		walk;
	ListCell   *lc;

	walk.by_version = list_copy(in_order);
	list_sort(walk.by_version, compare_source_version);
	walk.placed = palloc0(sizeof(bool) * Max(list_length(in_order), 1));
	walk.order = NIL;
	foreach(lc, in_order)
		place_version(&walk, ((MigSource *) lfirst(lc))->version);
	return walk.order;
}
