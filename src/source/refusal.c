/*-------------------------------------------------------------------------
 *
 * refusal.c
 *	  What becomes of files that were refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "lib/stringinfo.h"
#include "source/refusal.h"


/* files that are named in one error */
#define MAX_REFUSALS 30

/* path may be NULL */
static bool
is_refused(const MigFileSet *set, const char *path)
{
	const MigSourceFile *script = path ? mig_file_set_find(set, path) : NULL;

	return script != NULL && script->refused;
}

/* migrations one of whose files was refused are none */
void
mig_refusal_drop_sources(MigFileSet *set)
{
	List	   *kept = NIL;
	ListCell   *lc;

	foreach(lc, set->sources)
	{
		MigSource  *source = lfirst(lc);

		if (!is_refused(set, source->path) &&
			!is_refused(set, source->down_path) &&
			!is_refused(set, source->verify_path))
			kept = lappend(kept, source);
	}
	set->sources = kept;
}

/* name each file that is left out because it was refused */
void
mig_refusal_warn(const MigFileSet *set)
{
	ListCell   *lc;

	foreach(lc, set->refusals)
	{
		const MigRefusal *refusal = lfirst(lc);

		ereport(WARNING,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("%s: it is left out", refusal->message),
				 refusal->detail ? errdetail("%s", refusal->detail) : 0,
				 refusal->hint ? errhint("%s", refusal->hint) : 0));
	}
}

/* raise one error about all files that were refused */
void
mig_refusal_report(const MigFileSet *set)
{
	const MigRefusal *first;
	StringInfoData detail;
	List	   *hints = NIL;
	StringInfoData hint;
	ListCell   *lc;

	if (set->refusals == NIL || set->partial)
		return;

	initStringInfo(&detail);
	initStringInfo(&hint);
	foreach(lc, set->refusals)
	{
		const MigRefusal *refusal = lfirst(lc);

		if (foreach_current_index(lc) < MAX_REFUSALS)
			appendStringInfo(&detail, "%s%s.", detail.len > 0 ? "\n" : "",
							 refusal->message);
		if (refusal->hint != NULL)
			hints =
				mig_file_line_add_word(hints,
									   unconstify(char *, refusal->hint));
	}
	if (list_length(set->refusals) > MAX_REFUSALS)
		appendStringInfo(&detail, "\nand %d more",
						 list_length(set->refusals) - MAX_REFUSALS);
	foreach(lc, hints)
		appendStringInfo(&hint, "%s%s", hint.len > 0 ? "  " : "",
						 (char *) lfirst(lc));

	first = linitial(set->refusals);
	if (list_length(set->refusals) == 1)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("%s", first->message),
				 first->detail ? errdetail("%s", first->detail) : 0,
				 first->hint ? errhint("%s", first->hint) : 0));
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("%d files cannot be loaded", list_length(set->refusals)),
			 errdetail("%s", detail.data),
			 hint.len > 0 ? errhint("%s", hint.data) : 0));
}
