/*-------------------------------------------------------------------------
 *
 * repair.c
 *	  Changing the ledger by hand: stamp, unstamp, prune the journal.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/fmgrprotos.h"

#include "admin/repair.h"
#include "base/errors.h"
#include "base/session_settings.h"
#include "base/subxact.h"
#include "ledger/entry.h"
#include "ledger/journal.h"
#include "ledger/migration.h"
#include "ledger/policy.h"
#include "ledger/state.h"
#include "ledger/step.h"
#include "plan/plan.h"
#include "plan/project.h"
#include "plan/preflight.h"
#include "plan/run_lock.h"
#include "source/body.h"

void
mig_repair_begin(const char *name, bool destructive, const char *confirm)
{
	MigPolicy  *policy;

	mig_run_lock_refuse_recursion();
	mig_preflight_transaction("change the ledger");
	policy = mig_policy_read(name);
	mig_preflight_policy(name, policy);
	if (destructive)
		mig_preflight_destructive(name, policy, confirm);
	mig_run_lock_acquire();

	/* it may have changed while we waited */
	policy = mig_policy_read(name);
	mig_preflight_policy(name, policy);
	if (destructive)
		mig_preflight_destructive(name, policy, confirm);
}

/*
 * Record entries as applied (origin is for the ledger), or as not applied if origin
 * is NULL; numbering of the run goes on from *n.
 */
static void
record_entries(const char *project, List *entries, const char *origin, int64 run,
			   int *n, const char *note, MigRepairSink sink, void *arg)
{
	bool		applied = origin != NULL;
	const char *action = applied ? "stamp" : "unstamp";
	MigJournalBatch *batch;
	ListCell   *lc;

	if (entries == NIL)
		return;
	batch = mig_journal_batch_begin();
	foreach(lc, entries)
	{
		MigEntry   *entry = (MigEntry *) lfirst(lc);
		MigJournalRow row;

		mig_journal_event(&row, run, project, action, note);
		row.seq = ++(*n);
		row.version = entry->version;
		row.name = entry->name;
		row.effect = applied ? MIG_EFFECT_APPLIED : MIG_EFFECT_UNDONE;
		row.origin = origin;
		row.replace = entry->applied;
		if (applied)
		{
			row.checksum = entry->checksum;
			row.down_checksum = entry->down_checksum;
		}
		mig_journal_batch_add(batch, &row);
		sink(run, entry->version, entry->name, action, arg);
	}
	mig_journal_batch_flush(batch);
	mig_journal_batch_end(batch);
	foreach(lc, entries)
	{
		MigEntry   *entry = (MigEntry *) lfirst(lc);

		/* who says what is applied says that it is wholly so */
		if (entry->partial)
			mig_step_forget(project, entry->version);
	}
}

/*
 * Never NULL; with stored, one whose text is not stored any more is an error
 * as well.
 */
static MigEntry *
find_entry(const char *project, const char *version, bool stored)
{
	MigEntry   *entry = mig_entry_read(project, version);

	if (entry == NULL || (stored && !entry->stored))
		ereport(ERROR,
				(errcode(MIG_ERRCODE_UNKNOWN_VERSION),
				 errmsg("migration \"%s\" does not exist", version),
				 errdetail("Project \"%s\" has no such version.", project),
				 errhint("migrate.status() lists the versions.")));
	return entry;
}

/*
 * One version is looked up and recorded without reading the project, so that
 * a script that stamps a thousand does not read it a thousand times.
 * migrate.state is unsure afterwards; the next run finds out.
 */
static void
record_one(const char *project, MigEntry *entry, const char *origin,
		   const char *note, MigRepairSink sink, void *arg)
{
	int			n = 0;

	record_entries(project, list_make1(entry), origin, mig_journal_next_run(), &n,
				   note,
				   sink, arg);
	mig_state_invalidate();
}

void
mig_repair_stamp(const char *project, const char *version,
				 const char *origin, const char *note, MigRepairSink sink,
				 void *arg)
{
	MigEntry   *entry;

	mig_repair_begin(project, false, NULL);
	entry = find_entry(project, version, true);
	if (entry->applied && !entry->up_changed && !entry->down_changed &&
		!entry->partial)
		ereport(NOTICE,
				(errmsg("migration \"%s\" is applied already", version)));
	else
		record_one(project, entry, origin, note, sink, arg);
}

void
mig_repair_unstamp(const char *project, const char *version,
				   const char *note, const char *confirm, MigRepairSink sink,
				   void *arg)
{
	MigEntry   *entry;

	mig_repair_begin(project, true, confirm);
	entry = find_entry(project, version, false);
	if (!entry->applied && !entry->partial)
		ereport(NOTICE,
				(errmsg("migration \"%s\" is not applied", version)));
	else
		record_one(project, entry, NULL, note, sink, arg);
}

void
mig_repair_stamp_to(const char *name, const char *target, const char *note,
					const char *confirm, MigRepairSink sink, void *arg)
{
	MigProject *project;
	bool	   *wanted;
	List	   *stamp = NIL;
	List	   *unstamp = NIL;
	int64		run;
	int			n = 0;
	int			i;

	mig_repair_begin(name, true, confirm);
	project = mig_project_read_all(name, true, false);
	wanted = mig_plan_up_to(project, target);
	for (i = 0; i < project->count; i++)
	{
		MigEntry   *entry = project->order[i];
		bool		in = wanted[entry - project->entries];

		if (in && (!entry->applied || entry->partial))
			stamp = lappend(stamp, entry);
		else if (!in && (entry->applied || entry->partial))
			unstamp = lcons(entry, unstamp);
	}
	if (stamp == NIL && unstamp == NIL)
	{
		ereport(NOTICE,
				(errmsg("the ledger is at \"%s\" already", target)));
		return;
	}
	run = mig_journal_next_run();
	record_entries(name, unstamp, NULL, run, &n, note, sink, arg);
	record_entries(name, stamp, "stamp", run, &n, note, sink, arg);
	mig_project_write_state(mig_project_read_all(name, false, false));
}

/* the body that a resume is about, parsed */
static MigBody *
body_to_resume(const char *project, MigEntry *entry, MigPart part,
			   MigLabel *label)
{
	MigTexts   *texts = mig_migration_texts(project, &entry, 1);
	const char *text = mig_migration_texts_part(texts, part);

	/* its file may have gone since */
	if (text == NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_NO_DOWN),
				 errmsg("migration \"%s\" is partly rolled back, and its down body is not stored any more",
						entry->version),
				 errhint("Store it again as it was, or say with migrate.stamp() or migrate.unstamp() what is so.")));
	mig_body_label_of_entry(label, entry, part, true);
	return mig_body_parse(text, label);
}

/* the argument is named in the error */
static void
check_statement_number(const MigBody *body, const MigLabel *label,
					   const char *argument, int value)
{
	if (value < 1 || value > body->nstatements)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be the number of a statement",
						argument),
				 errdetail("The %s body of migration \"%s\" has %d statements.",
						   mig_body_part_name(label->part), label->version,
						   body->nstatements)));
}

/* the step that begins with a statement and has not finished, or NULL */
static const MigStepRow *
find_started_step(const MigStepKey *key, int statement)
{
	ListCell   *lc;

	foreach(lc, mig_step_read(key))
	{
		const MigStepRow *step = (const MigStepRow *) lfirst(lc);

		if (!step->finished && step->statement == statement)
			return step;
	}
	return NULL;
}

typedef struct Change
{
	const char *change;
} Change;

static void
try_change(void *arg)
{
	(void) mig_session_settings_repeat(((Change *) arg)->change);
}

/*
 * What the finished steps up to a statement have set, for the rest to go on
 * from; NULL: nothing.  Not what this session could not set, which leads out
 * where a role was dropped, for example; and nothing else that they have left,
 * which is gone: whoever resumes decides about that, and is told.
 */
static MigStepSession *
session_to_keep(const MigStepKey *key, int last)
{
	MigStepSession *session = NULL;
	StringInfoData lost;
	ListCell   *lc;
	int			kept = 0;
	int			i;

	foreach(lc, mig_step_read(key))
	{
		MigStepRow *step = (MigStepRow *) lfirst(lc);

		if (step->finished && step->last_statement <= last)
			session = &step->session;
	}
	if (session == NULL || session->role == NULL)
		return NULL;
	initStringInfo(&lost);
	for (i = 0; i < session->nsession_state; i++)
		appendStringInfo(&lost, "%s%s", lost.len > 0 ? ", " : "",
						 session->session_state[i]);
	session->nsession_state = 0;
	for (i = 0; i < session->nsettings; i++)
	{
		Change		change = {session->settings[i]};

		if (mig_step_may_take_over(session) &&
			mig_subxact_run(try_change, &change, false) == NULL)
			session->settings[kept++] = session->settings[i];
		else
			appendStringInfo(&lost, "%s%s", lost.len > 0 ? ", " : "",
							 session->settings[i]);
	}
	session->nsettings = kept;
	if (lost.len > 0)
		ereport(WARNING,
				(errmsg("the rest of migration \"%s\" will not have what the finished part had left in its session",
						key->version),
				 errdetail("That was: %s.", lost.data)));
	return mig_step_may_take_over(session) ? session : NULL;
}

/* one at a time, or else it is not clear what comes first */
static void
refuse_second_partial(const char *project, const char *version)
{
	char	   *other = mig_step_other(project, version);

	if (other != NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_PARTIAL),
				 errmsg("migration \"%s\" stands half-way", other),
				 errdetail("What stands half-way comes before anything else."),
				 errhint("See to that one first: the table migrate.step says how far it has come.")));
}

void
mig_repair_resume(const char *project, const char *version, int at, int done,
				  const char *note, MigRepairSink sink, void *arg)
{
	MigStepKey	key = {project, version, MIG_UP};
	MigEntry   *entry;
	MigLabel	label;
	MigBody    *body;
	MigJournalBatch *batch;
	MigJournalRow row;
	const MigStepRow *started;
	MigBodyHash hash = {NULL, NULL};
	bool		partial;
	int			last;

	mig_repair_begin(project, false, NULL);
	entry = find_entry(project, version, true);
	partial = mig_step_exists(project, version, &key.part);
	if (!partial && entry->applied)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_APPLIED),
				 errmsg("migration \"%s\" is applied, and not in part",
						version),
				 errhint("migrate.status() says which ones are partly done.")));
	if (!partial)
		refuse_second_partial(project, version);
	body = body_to_resume(project, entry, key.part, &label);
	check_statement_number(body, &label, at > 0 ? "at" : "done",
						   at > 0 ? at : done);
	last = at > 0 ? at - 1 : done;

	mig_journal_event(&row, mig_journal_next_run(), project, "resume",
					  psprintf("after statement %d%s%s", last,
							   note ? ": " : "", note ? note : ""));
	started = find_started_step(&key, last + 1);
	if (last > 0)
		hash = mig_tokens_hash(body, NULL, 1, last);
	mig_step_declare(&key, last, &hash, row.run,
					 session_to_keep(&key, last));

	/* what it found when it was started tells what it has left */
	if (last > 0 && started != NULL)
		mig_step_start(&key, started, row.run);
	batch = mig_journal_batch_begin();
	row.seq = 1;
	row.version = entry->version;
	row.name = entry->name;
	row.body = mig_body_part_name(key.part);
	mig_journal_batch_add(batch, &row);
	mig_journal_batch_flush(batch);
	mig_journal_batch_end(batch);
	mig_state_invalidate();
	sink(row.run, entry->version, entry->name, "resume", arg);
}

/* an age in the future would take what has just been written */
static void
refuse_negative_age(Datum age)
{
	Interval	zero = {0};

	if (DatumGetInt32(DirectFunctionCall2(interval_cmp, age,
										  PointerGetDatum(&zero))) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"older_than\" must not be negative")));
}

int64
mig_repair_prune_journal(const char *project, Datum older_than,
						 const char *note)
{
	MigJournalBatch *batch;
	MigJournalRow row;
	int64		count;

	refuse_negative_age(older_than);
	mig_run_lock_refuse_recursion();
	mig_preflight_transaction("prune the journal");
	mig_run_lock_acquire();
	count = mig_journal_prune(project, older_than);
	batch = mig_journal_batch_begin();
	note = psprintf(INT64_FORMAT " rows older than %s%s%s", count,
					DatumGetCString(DirectFunctionCall1(interval_out, older_than)),
					note ? ": " : "", note ? note : "");
	mig_journal_event(&row, mig_journal_next_run(), project, "prune", note);
	row.seq = 1;
	mig_journal_batch_add(batch, &row);
	mig_journal_batch_flush(batch);
	mig_journal_batch_end(batch);
	return count;
}
