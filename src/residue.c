/*-------------------------------------------------------------------------
 *
 * residue.c
 *	  What bodies leave in the session though they have been rolled back.
 *
 * Prepared statements and the advisory locks of the session are no part of any
 * transaction.
 *
 * How often the session has taken a lock is known to the lock manager alone,
 * which does not tell.  It is counted by giving the lock up that often and
 * taking it again.  Meanwhile the transaction holds it too, so that nobody can
 * get it in between.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/prepare.h"
#include "utils/builtins.h"

#include "books.h"
#include "ownlocks.h"
#include "residue.h"

typedef struct Prepared
{
	char	   *name;
	TimestampTz since;
} Prepared;

typedef struct Advisory
{
	LOCKTAG		tag;
	LOCKMODE	mode;
	int			count;			/* how often the session has it */
} Advisory;

static List *
list_prepared(void)
{
	MigSqlScope scope;
	List	   *list = NIL;
	MemoryContext old;
	uint64		rows;
	uint64		row;

	mig_books_open(&scope);
	rows = mig_sql("SELECT p.name, p.prepare_time FROM pg_catalog.pg_prepared_statement() p"
				   " ORDER BY 1", 0, NULL, NULL, NULL);
	old = MemoryContextSwitchTo(scope.outer);
	for (row = 0; row < rows; row++)
	{
		Prepared   *prepared = palloc(sizeof(Prepared));

		prepared->name = mig_get_text(&scope, row, 1);
		prepared->since = mig_get_timestamptz(row, 2);
		list = lappend(list, prepared);
	}
	MemoryContextSwitchTo(old);
	mig_books_close(&scope);
	return list;
}

static const Prepared *
find_prepared(List *list, const char *name)
{
	ListCell   *lc;

	foreach(lc, list)
	{
		const Prepared *prepared = (const Prepared *) lfirst(lc);

		if (strcmp(prepared->name, name) == 0)
			return prepared;
	}
	return NULL;
}

static void
restore_prepared(List *before)
{
	List	   *now = list_prepared();
	ListCell   *lc;

	foreach(lc, now)
	{
		const Prepared *prepared = (const Prepared *) lfirst(lc);
		const Prepared *old = find_prepared(before, prepared->name);

		if (old == NULL || old->since != prepared->since)
			DropPreparedStatement(prepared->name, false);
	}
	foreach(lc, before)
	{
		const Prepared *old = (const Prepared *) lfirst(lc);
		const Prepared *prepared = find_prepared(now, old->name);

		if (prepared == NULL || prepared->since != old->since)
			ereport(WARNING,
					(errmsg("prepared statement \"%s\" was deallocated by a body and cannot be brought back",
							old->name)));
	}
}

static int
count_of_session(const LOCKTAG *tag, LOCKMODE mode)
{
	int			count = 0;
	int			i;

	/* whoever has it gets it, and does not wait */
	if (LockAcquire(tag, mode, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return 0;
	while (mig_ownlocks_release(tag, mode, true))
		count++;
	for (i = 0; i < count; i++)
		(void) LockAcquire(tag, mode, true, true);
	LockRelease(tag, mode, false);
	return count;
}

static void
add_advisory(const MigOwnLock *lock, void *arg)
{
	List	  **list = (List **) arg;
	LOCKMODE	mode;

	if (lock->tag.locktag_lockmethodid != USER_LOCKMETHOD)
		return;
	for (mode = AccessShareLock; mode <= MaxLockMode; mode++)
	{
		Advisory   *advisory;

		if ((lock->modes & LOCKBIT_ON(mode)) == 0)
			continue;
		advisory = palloc(sizeof(Advisory));
		advisory->tag = lock->tag;
		advisory->mode = mode;
		advisory->count = count_of_session(&lock->tag, mode);
		*list = lappend(*list, advisory);
	}
}

static List *
list_advisory(void)
{
	MigLockMarks marks;
	List	   *list = NIL;

	memset(&marks, 0, sizeof(marks));
	mig_ownlocks_visit_new(&marks, add_advisory, &list);
	return list;
}

static const Advisory *
find_advisory(List *list, const Advisory *wanted)
{
	ListCell   *lc;

	foreach(lc, list)
	{
		const Advisory *advisory = (const Advisory *) lfirst(lc);

		if (advisory->mode == wanted->mode &&
			memcmp(&advisory->tag, &wanted->tag, sizeof(LOCKTAG)) == 0)
			return advisory;
	}
	return NULL;
}

static void
take_back(const Advisory *advisory, int missing)
{
	for (; missing > 0; missing--)
	{
		if (LockAcquire(&advisory->tag, advisory->mode, true, true) !=
			LOCKACQUIRE_NOT_AVAIL)
			continue;
		ereport(WARNING,
				(errmsg("an advisory lock that a body has given up is held by another session now")));
		return;
	}
}

static void
restore_advisory(List *before)
{
	List	   *now = list_advisory();
	ListCell   *lc;

	foreach(lc, now)
	{
		const Advisory *advisory = (const Advisory *) lfirst(lc);
		const Advisory *old = find_advisory(before, advisory);
		int			surplus = advisory->count - (old ? old->count : 0);

		for (; surplus > 0; surplus--)
			(void) mig_ownlocks_release(&advisory->tag, advisory->mode, true);
	}
	foreach(lc, before)
	{
		const Advisory *old = (const Advisory *) lfirst(lc);
		const Advisory *advisory = find_advisory(now, old);

		take_back(old, old->count - (advisory ? advisory->count : 0));
	}
}

MigResidue *
mig_residue_note(void)
{
	MigResidue *residue = palloc(sizeof(MigResidue));

	residue->prepared = list_prepared();
	residue->advisory = list_advisory();
	return residue;
}

void
mig_residue_remove(const MigResidue *before)
{
	restore_prepared(before->prepared);
	restore_advisory(before->advisory);
}
