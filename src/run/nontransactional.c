/*-------------------------------------------------------------------------
 *
 * nontransactional.c
 *	  Running one body in several transactions.
 *
 * A step is a group of ordinary statements that share a transaction, and ends
 * with one that says how transactions are to begin, a block
 * between BEGIN and COMMIT, or one statement that cannot run in a transaction
 * block.  Before a step a row that
 * says that it was started is committed; that it is finished is written in the
 * step's own last transaction, which statements like CREATE INDEX CONCURRENTLY
 * leave open, so that the two are committed or lost together.  The last step
 * records the migration in the same way.
 *
 * What can be found afterwards is therefore a step that is finished, or one
 * that was started and whose last transaction did not commit.  Most statements
 * can then be repeated, after what they left has been dropped; see MigResume.
 * A procedure may have committed some of its work: each commit that it does
 * while it is running is counted in that same transaction.
 *
 * Settings that the body changes have to last over its transactions, so they
 * are those of the session, and put back at the end.  Each finished step has
 * those that differ by then in its row, found by comparing, and another attempt
 * sets them first.  What else it has left in the session is there by its name:
 * a retry keeps that, but a later call, which has lost it, does not go on.
 * What a step has left is known for certain when its transaction has ended.
 * So what it is taken to have left is written in there, and put right in the
 * transaction that starts the next one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/errors.h"
#include "base/session_settings.h"
#include "base/subxact.h"
#include "base/superuser.h"
#include "exec/invalid_index.h"
#include "exec/lock_wait.h"
#include "exec/toplevel.h"
#include "ledger/migration.h"
#include "ledger/run.h"
#include "plan/run_lock.h"
#include "run/nontransactional.h"

typedef struct Progress
{
	MigNontransactional *stepwise;
	MemoryContext context;		/* until the body is done */
	List	   *settings;		/* before the body */
	char	   *role;			/* that runs it */
	bool		trusted;		/* the session could become a superuser */
	List	   *steps;			/* MigStepRow *, finished before this call */
	MigStepSession session;		/* what finished steps have left */
	int			last_step;		/* the statement that names the last of them */
	MigStepRow *interrupted;	/* started before, not finished */
	int			next;			/* index of the first unfinished statement */
	MigBodyHash hash;			/* of those before it, if there are any */
	bool		commented;		/* these have other comments or blanks now */

	/* the step at hand: statements [next, end) */
	int			end;
	const MigBlock *block;		/* NULL: none */
	bool		own;			/* at top level */
	char	   *sql;			/* if own */
	char	   *replacement;	/* to be run instead of it */
	int			first_timing;	/* of the execution's */
	List	   *invalid_indexes;
	MigInvalidIndex *invalid;	/* to be dropped now */
	char	   *done;			/* the index is there already: its name */
	MigSessionState *session_state; /* what the session had when it began */
	MigStepSession *finished_session;	/* what it has in the end */
} Progress;

/* the step whose commits are counted, if it is one that does any */
static const MigStepKey *counted_key = NULL;
static int	counted_statement;

static const MigBody *
body_of(const MigNontransactional *stepwise)
{
	return mig_runnable_body(stepwise->body);
}

static const MigStatement *
statement_at(const Progress *progress, int i)
{
	return &body_of(progress->stepwise)->statements[i];
}

/* is it REINDEX or CLUSTER of something that is partitioned, by now? */
static bool
is_of_partitioned(const MigBody *body, const MigStatement *statement)
{
	List	   *trees = raw_parser(pnstrdup(body->text + statement->location,
											statement->length),
								   RAW_PARSE_DEFAULT);
	Node	   *stmt = linitial_node(RawStmt, trees)->stmt;
	RangeVar   *name = IsA(stmt, ReindexStmt) ?
		((ReindexStmt *) stmt)->relation : castNode(ClusterStmt, stmt)->relation;
	Oid			schema;
	Oid			relation;
	char		kind;

	if (name->schemaname == NULL)
		relation = RelnameGetRelid(name->relname);
	else
	{
		schema = get_namespace_oid(name->schemaname, true);
		relation = OidIsValid(schema) ?
			get_relname_relid(name->relname, schema) : InvalidOid;
	}
	kind = OidIsValid(relation) ? get_rel_relkind(relation) : '\0';
	return kind == RELKIND_PARTITIONED_TABLE ||
		kind == RELKIND_PARTITIONED_INDEX;
}

/*
 * Must, or may, a statement run alone of which the text does not tell?  Those
 * that may commit only where the migration is marked for it.
 */
static bool
runs_alone(const MigBody *body, int i, bool marked)
{
	const MigStatement *statement = &body->statements[i];

	if (statement->resume == MIG_RESUME_PROCEDURE)
		return marked;
	if (statement->own_transaction != NULL || statement->block != 0 ||
		(strcmp(statement->tag, "REINDEX") != 0 &&
		 strcmp(statement->tag, "CLUSTER") != 0))
		return false;
	return marked || is_of_partitioned(body, statement);
}

bool
mig_nontransactional_is_needed(const MigBody *body, bool marked)
{
	int			i;

	for (i = 0; i < body->nstatements; i++)
	{
		if (runs_alone(body, i, marked))
			return true;
	}
	return false;
}

static bool
step_runs_alone(const Progress *progress, int i)
{
	const MigStatement *statement = statement_at(progress, i);

	return statement->block == 0 &&
		(progress->stepwise->statement_by_statement ||
		 statement->own_transaction != NULL ||
		 runs_alone(body_of(progress->stepwise), i,
					progress->stepwise->marked));
}

/*
 * Is the migration recorded in the transaction of the step at hand?  Not in
 * that of a block, whose snapshot may be an old one.
 */
static bool
is_last(const Progress *progress)
{
	return progress->block == NULL && progress->end == body_of(progress->stepwise)->nstatements &&
		progress->stepwise->verify == NULL;
}

/* count the commits that a procedure does on its own */
static void
count_commit(XactEvent event, void *arg)
{
	const MigStepKey *key = counted_key;

	if (event != XACT_EVENT_PRE_COMMIT || key == NULL)
		return;

	/* or else SPI would give one to the portal, which has just lost its own */
	PushActiveSnapshot(GetTransactionSnapshot());
	mig_step_count_commit(key, counted_statement);
	PopActiveSnapshot();
}


/*
 * Where the body stands
 */

static void
refuse_changed_text(const Progress *progress, const MigStepRow *step)
{
	const MigStepKey *key = &progress->stepwise->key;

	ereport(ERROR,
			(errcode(MIG_ERRCODE_PARTIAL),
			 errmsg("migration \"%s\" is partly applied, and the part that has run was changed since",
					key->version),
			 errdetail("Statements %d to %d of the %s body were run with another text.",
					   step->statement, step->last_statement,
					   mig_body_part_name(key->part)),
			 errhint("Put that part of the text back, or say where to go on with SELECT migrate.resume(%s, at => N), or done => N for the last statement that is done.",
					 quote_literal_cstr(key->version))));
}

static MigBodyHash
hash_up_to(const Progress *progress, int last)
{
	return mig_tokens_hash(body_of(progress->stepwise),
						   progress->next > 0 ? &progress->hash : NULL,
						   progress->next + 1, last);
}

/* a finished step must be what it was, as the text of an applied migration */
static void
check_text(Progress *progress, const MigStepRow *step)
{
	MigBodyHash hash;

	if (step->statement != progress->next + 1 ||
		step->last_statement < step->statement ||
		step->last_statement > body_of(progress->stepwise)->nstatements)
		refuse_changed_text(progress, step);
	hash = hash_up_to(progress, step->last_statement);
	if (strcmp(hash.text, step->hash.text) == 0)
		return;
	if (strcmp(hash.tokens, step->hash.tokens) != 0 ||
		mig_policy_read(progress->stepwise->key.project)->refuse_edits)
		refuse_changed_text(progress, step);
	progress->commented = true;
}

/*
 * Timings of what ran before, so that the journal has them all.  What somebody
 * has declared to be done took no time that is known.
 */
static void
take_over_timings(const Progress *progress, const MigStepRow *step)
{
	MigNontransactional *stepwise = progress->stepwise;
	int			i;

	for (i = step->statement; i <= step->last_statement; i++)
	{
		int			n = i - step->statement;
		MigTiming	timing;

		memset(&timing, 0, sizeof(timing));
		timing.part = stepwise->key.part;
		if (n < step->ntimings)
			timing = step->timings[n];
		else
			timing.tag = statement_at(progress, i - 1)->tag;

		/* new comments may have moved it */
		timing.line = statement_at(progress, i - 1)->line;
		mig_execute_add_timing(stepwise->execution, &timing);
	}
}

/* set where to go on from what earlier attempts have recorded */
static void
find_position(void *arg)
{
	Progress   *progress = (Progress *) arg;
	MigNontransactional *stepwise = progress->stepwise;
	Oid			role;
	Oid			powerful;
	ListCell   *lc;

	progress->role = GetUserNameFromId(GetUserId(), false);
	progress->trusted = mig_superuser_within_reach(&role, &powerful);

	foreach(lc, mig_step_read(&stepwise->key))
	{
		MigStepRow *step = (MigStepRow *) lfirst(lc);

		if (!step->finished)
		{
			progress->interrupted = step;
			continue;
		}
		check_text(progress, step);
		progress->next = step->last_statement;
		progress->hash = step->hash;
		progress->session = step->session;
		progress->last_step = step->statement;
		progress->steps = lappend(progress->steps, step);
		take_over_timings(progress, step);
	}

	if (progress->commented)
		ereport(NOTICE,
				(errmsg("the part of migration \"%s\" that has run has new comments or blanks, and is taken",
						stepwise->key.version)));

	/* what was started may be another statement now */
	if (progress->interrupted != NULL &&
		(progress->interrupted->statement != progress->next + 1 ||
		 progress->next >= body_of(stepwise)->nstatements))
		progress->interrupted = NULL;
}

/*
 * What finished steps have left
 */

static bool
has_string(char **strings, int count, const char *string)
{
	int			i;

	for (i = 0; i < count; i++)
	{
		if (strcmp(strings[i], string) == 0)
			return true;
	}
	return false;
}

static char *
join(char **strings, int count)
{
	StringInfoData list;
	int			i;

	initStringInfo(&list);
	for (i = 0; i < count; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", strings[i]);
	return list.data;
}

/* "Statement 1 has", for the finished part */
static char *
finished_part(const Progress *progress)
{
	return progress->next == 1 ? pstrdup("Statement 1") :
		psprintf("Statements 1 to %d", progress->next);
}

/* the step that was the first to leave one of these */
static const MigStepRow *
step_that_left(const Progress *progress, char **strings, int count)
{
	ListCell   *lc;
	int			i;

	foreach(lc, progress->steps)
	{
		const MigStepRow *step = (const MigStepRow *) lfirst(lc);

		for (i = 0; i < count; i++)
		{
			if (has_string(step->session.session_state, step->session.nresidue,
						   strings[i]))
				return step;
		}
	}
	return (const MigStepRow *) llast(progress->steps);
}

/* names in a body would find something else, and locks protect nothing */
static void
refuse_lost_residue(const Progress *progress, char **lost, int nlost)
{
	const MigStepKey *key = &progress->stepwise->key;
	const char *version = quote_literal_cstr(key->version);
	int			first = step_that_left(progress, lost, nlost)->statement;

	ereport(ERROR,
			(errcode(MIG_ERRCODE_PARTIAL),
			 errmsg("migration \"%s\" cannot go on in this session, which does not have what its finished statements have left",
					key->version),
			 errdetail("%s had left: %s.", finished_part(progress),
					   join(lost, nlost)),
			 errhint("If the statements from %d on can be repeated, SELECT migrate.resume(%s, at => %d).  If those from %d on do not need it, at => %d.  Or do the rest by hand, and say so with migrate.%s().",
					 first, version, first, progress->next + 1,
					 progress->next + 1,
					 key->part == MIG_UP ? "stamp" : "unstamp")));
}

/* raise if any of it has gone with the session that it was in */
static void
check_residue(const Progress *progress)
{
	const MigStepSession *session = &progress->session;
	MigSessionState *session_state;
	char	  **left;
	char	  **lost;
	int			nleft;
	int			nlost = 0;
	int			i;

	if (session->nresidue == 0)
		return;
	session_state = mig_session_state_note_step();
	left = mig_session_state_left(progress->stepwise->execution->session_state,
								  session_state,
								  &nleft);
	lost = palloc(sizeof(char *) * session->nresidue);
	for (i = 0; i < session->nresidue; i++)
	{
		if (!has_string(left, nleft, session->session_state[i]))
			lost[nlost++] = session->session_state[i];
	}
	mig_session_state_free(session_state);
	if (nlost > 0)
		refuse_lost_residue(progress, lost, nlost);
}

/* detail says which ones, and why */
static void
refuse_settings(const Progress *progress, const char *detail)
{
	const MigStepKey *key = &progress->stepwise->key;

	ereport(ERROR,
			(errcode(MIG_ERRCODE_PARTIAL),
			 errmsg("migration \"%s\" cannot go on with the settings that its finished statements have left",
					key->version),
			 errdetail("%s", detail),
			 errhint("If the statements from %d on do not need them, SELECT migrate.resume(%s, at => %d).",
					 progress->next + 1, quote_literal_cstr(key->version),
					 progress->next + 1)));
}

/* the search_path that the body began with, unless the policy has one */
static const char *
path_to_go_on_with(const Progress *progress)
{
	const MigNontransactional *stepwise = progress->stepwise;

	if (stepwise->path_is_policys || progress->session.search_path == NULL)
		return stepwise->search_path;
	return progress->session.search_path;
}

typedef struct Change
{
	const char *change;
} Change;

static void
repeat_change(void *arg)
{
	(void) mig_session_settings_repeat(((Change *) arg)->change);
}

/*
 * The rest of the body expects what the finished part has set.  It is set with
 * the rights of this session.
 */
static void
continue_session(void *arg)
{
	Progress   *progress = (Progress *) arg;
	MigNontransactional *stepwise = progress->stepwise;
	const MigStepSession *session = &progress->session;
	const char *path = path_to_go_on_with(progress);
	int			i;

	if (progress->next < body_of(stepwise)->nstatements ||
		stepwise->verify != NULL)
		check_residue(progress);
	if ((session->nsettings > 0 || strcmp(path, stepwise->search_path) != 0) &&
		!mig_step_may_take_over(session))
		refuse_settings(progress,
						psprintf("Role \"%s\" has run them, with: search_path=%s%s%s.",
								 session->role, path,
								 session->nsettings > 0 ? ", " : "",
								 join(session->settings, session->nsettings)));
	mig_execute_set_session(stepwise->execution, path,
							stepwise->path_is_policys);
	for (i = 0; i < session->nsettings; i++)
	{
		Change		change = {session->settings[i]};
		ErrorData  *edata = mig_subxact_run(repeat_change, &change, true);

		if (edata != NULL)
			refuse_settings(progress, psprintf("%s cannot be set: %s.",
											   session->settings[i],
											   edata->message));
	}
}

/* what differs by now; residue is what the session has, NULL: as it was */
static MigStepSession
session_by_now(const Progress *progress, const MigSessionState *session_state)
{
	const MigExecution *execution = progress->stepwise->execution;
	MigStepSession session = progress->session;

	session.role = progress->role;
	session.trusted = progress->trusted;
	session.search_path = unconstify(char *, execution->search_path);
	session.settings = mig_session_settings_changes(progress->settings,
													progress->session.settings,
													progress->session.nsettings,
													&session.nsettings);
	if (session_state != NULL)
		session.session_state =
			mig_session_state_left(execution->session_state, session_state,
								   &session.nresidue);
	return session;
}

/* in the same order, too */
static bool
same_strings(char **a, int na, char **b, int nb)
{
	int			i;

	if (na != nb)
		return false;
	for (i = 0; i < na; i++)
	{
		if (strcmp(a[i], b[i]) != 0)
			return false;
	}
	return true;
}

/* the last step has ended: what it has left is as it is seen now */
static void
correct_session(Progress *progress)
{
	MigStepSession now = session_by_now(progress, progress->session_state);
	const MigStepSession *noted = &progress->session;

	if (same_strings(now.settings, now.nsettings, noted->settings,
					 noted->nsettings) &&
		same_strings(now.session_state, now.nresidue, noted->session_state,
					 noted->nresidue))
		return;
	mig_step_set_session(&progress->stepwise->key, progress->last_step,
						 &now);
	progress->session = now;
}

/* what the step at hand is taken to leave, before its transaction has ended */
static MigStepSession *
session_of_step(Progress *progress)
{
	MemoryContext old = MemoryContextSwitchTo(progress->context);
	MigSessionState *session_state = NULL;
	MigStepSession *session = palloc(sizeof(MigStepSession));

	if (mig_session_state_may_differ(body_of(progress->stepwise),
									 progress->next,
									 progress->end))
		session_state = mig_session_state_note_step();
	*session = session_by_now(progress, session_state);
	if (session_state != NULL)
		mig_session_state_free(session_state);
	MemoryContextSwitchTo(old);
	return session;
}


/*
 * One step
 */

static void
refuse_unknown_place(const Progress *progress, const char *why)
{
	const MigStepKey *key = &progress->stepwise->key;
	int			n = progress->next + 1;

	ereport(ERROR,
			(errcode(MIG_ERRCODE_PARTIAL),
			 errmsg("migration \"%s\" was cut off in statement %d, which cannot simply be repeated",
					key->version, n),
			 errdetail("%s", why),
			 errhint("Look at what is there, then say SELECT migrate.resume(%s, at => %d) to run the statement again, or done => %d to go on after it.",
					 quote_literal_cstr(key->version), n, n)));
}

/* may a statement that was started before be repeated? */
static void
check_interrupted(const Progress *progress)
{
	const MigStepRow *step = progress->interrupted;

	if (statement_at(progress, progress->next)->resume == MIG_RESUME_PROCEDURE &&
		step->commits > 0)
		refuse_unknown_place(progress,
							 step->commits == 1 ?
							 "It had committed once by then." :
							 psprintf("It had committed %d times by then.",
									  step->commits));
	if (progress->own &&
		statement_at(progress, progress->next)->resume == MIG_RESUME_PREPARED &&
		!mig_invalid_index_is_prepared(progress->sql))
		refuse_unknown_place(progress,
							 "The prepared transaction is not there any more.");
}

/* in the transaction that records that the step is started */
static void
start_step(void *arg)
{
	Progress   *progress = (Progress *) arg;
	MigNontransactional *stepwise = progress->stepwise;
	const MigStatement *statement = statement_at(progress, progress->next);
	MigStepRow	step;

	if (progress->session_state == NULL)
		progress->session_state = mig_session_state_note_step();
	if (progress->next > 0)
	{
		correct_session(progress);
		mig_run_lock_half_way();
	}
	memset(&step, 0, sizeof(step));
	if (progress->interrupted != NULL)
	{
		check_interrupted(progress);
		step.relation = progress->interrupted->relation;
		step.nindexes = progress->interrupted->nindexes;
		step.indexes = progress->interrupted->indexes;
		step.definitions = progress->interrupted->definitions;
		step.ndefinitions = progress->interrupted->ndefinitions;
	}
	if (progress->own && progress->interrupted != NULL)
	{
		progress->replacement = mig_invalid_index_replacement(progress->sql);
		progress->invalid_indexes =
			mig_invalid_index_find(statement, progress->sql,
								   progress->interrupted);
		progress->done = mig_invalid_index_done(statement, progress->sql,
												progress->interrupted,
												progress->invalid_indexes);
	}
	else if (progress->own)
		mig_invalid_index_note(statement, progress->sql, &step);
	step.statement = progress->next + 1;
	step.last_statement = progress->end;
	step.hash = hash_up_to(progress, progress->end);
	mig_step_start(&stepwise->key, &step, stepwise->run);
}

/* in the step's last transaction */
static void
finish_step(Progress *progress, double execution_ms)
{
	MigNontransactional *stepwise = progress->stepwise;
	MigExecution *execution = stepwise->execution;

	mig_run_lock_recheck();
	if (is_last(progress))
	{
		mig_step_forget(stepwise->key.project, stepwise->key.version);
		stepwise->finish(stepwise->finish_arg);
	}
	else
	{
		progress->finished_session = session_of_step(progress);
		mig_step_finish(&stepwise->key, progress->next + 1, execution_ms,
						execution->timings + progress->first_timing,
						execution->ntimings - progress->first_timing,
						progress->finished_session);
	}
}

static double
timings_since(const MigExecution *execution, int first)
{
	double		sum = 0;
	int			i;

	for (i = first; i < execution->ntimings; i++)
		sum += execution->timings[i].execution_ms;
	return sum;
}

static void
run_group(Progress *progress)
{
	MigNontransactional *stepwise = progress->stepwise;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	mig_run_lock_bodies_begin();
	mig_execute_part(stepwise->execution, stepwise->body,
					 progress->next, progress->end);
	finish_step(progress, timings_since(stepwise->execution,
										progress->first_timing));
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

static void
run_block(Progress *progress)
{
	MigNontransactional *stepwise = progress->stepwise;

	MemoryContextSwitchTo(progress->context);
	mig_run_lock_bodies_begin();
	mig_execute_block(stepwise->execution, stepwise->body, progress->next,
					  progress->end);
	finish_step(progress, timings_since(stepwise->execution,
										progress->first_timing));
	(void) EndTransactionBlock(false);
}

/*
 * Run one statement outside of a transaction block.  It can commit.
 */
static void
run_alone(Progress *progress)
{
	MigNontransactional *stepwise = progress->stepwise;
	const MigStatement *statement = statement_at(progress, progress->next);

	MemoryContextSwitchTo(progress->context);
	if (statement->own_transaction != NULL)
		mig_run_lock_statement_begin();
	mig_run_lock_bodies_begin_committing();
	if (statement->resume == MIG_RESUME_PROCEDURE)
	{
		counted_statement = progress->next + 1;
		counted_key = &stepwise->key;
	}
	mig_execute_toplevel(stepwise->execution, stepwise->body,
						 progress->next, progress->replacement);
	counted_key = NULL;
	mig_run_lock_bodies_end_committing();
	CommandCounterIncrement();
	if (statement->resume == MIG_RESUME_CREATE_INDEX)
	{
		/* an error of this belongs to the statement */
		stepwise->execution->statement = progress->next;
		mig_invalid_index_check(progress->sql);
		stepwise->execution->statement = -1;
	}
	finish_step(progress, timings_since(stepwise->execution,
										progress->first_timing));
}

/*
 * The index that an earlier attempt has left is valid by now, since somebody
 * has rewritten the table: there is nothing more to do.
 */
static void
skip_done(Progress *progress)
{
	MigNontransactional *stepwise = progress->stepwise;
	const MigStatement *statement = statement_at(progress, progress->next);
	MigTiming	timing;

	memset(&timing, 0, sizeof(timing));
	timing.part = stepwise->key.part;
	timing.line = statement->line;
	timing.tag = statement->tag;
	mig_execute_add_timing(stepwise->execution, &timing);
	ereport(NOTICE,
			(errmsg("index %s, which an earlier attempt at migration \"%s\" has left, is valid by now",
					progress->done, stepwise->key.version)));
	finish_step(progress, 0);
}

/* how the step at hand is run */
static void
run_one_step(void *arg)
{
	Progress   *progress = (Progress *) arg;

	if (progress->done != NULL)
		skip_done(progress);
	else if (progress->block != NULL)
		run_block(progress);
	else if (progress->own)
		run_alone(progress);
	else
		run_group(progress);
}

/*
 * Drop an index that an earlier attempt has left, in a transaction of its own.
 */
static void
drop_invalid_index(void *arg)
{
	Progress   *progress = (Progress *) arg;

	if (!mig_invalid_index_may_drop(progress->invalid))
	{
		ereport(WARNING,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("%sindex %s, which an earlier attempt at migration \"%s\" has left, stays",
						progress->invalid->valid ? "" : "invalid ",
						progress->invalid->name,
						progress->stepwise->key.version),
				 errhint("Only a superuser can drop an index of a TOAST table: DROP INDEX CONCURRENTLY %s.",
						 progress->invalid->name)));
		return;
	}
	mig_invalid_index_claim(progress->invalid);
	if (progress->invalid->name == NULL)
	{
		mig_invalid_index_release(progress->invalid);
		return;
	}
	mig_run_lock_statement_begin();

	/* it may fire event triggers */
	mig_run_lock_bodies_begin_committing();
	(void) mig_toplevel_run(psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
									 progress->invalid->name));
	mig_run_lock_bodies_end_committing();
	mig_invalid_index_release(progress->invalid);
	ereport(NOTICE,
			(errmsg("dropped %sindex %s, which an earlier attempt at migration \"%s\" has left",
					progress->invalid->valid ? "" : "invalid ",
					progress->invalid->name,
					progress->stepwise->key.version)));
}

/* the row that says that the step at hand is started */
static const MigStepRow *
started_row(const Progress *progress)
{
	ListCell   *lc;

	foreach(lc, mig_step_read(&progress->stepwise->key))
	{
		const MigStepRow *step = (const MigStepRow *) lfirst(lc);

		if (!step->finished && step->statement == progress->next + 1)
			return step;
	}
	return NULL;
}

/* after an error: is there anything that the step has left behind? */
static bool
has_left_something(const Progress *progress)
{
	const MigStatement *statement = statement_at(progress, progress->next);
	const MigStepRow *step = started_row(progress);

	if (step == NULL)
		return false;
	switch (statement->resume)
	{
		case MIG_RESUME_CREATE_INDEX:
		case MIG_RESUME_REINDEX:
			return progress->own &&
				mig_invalid_index_find(statement, progress->sql, step) != NIL;
		case MIG_RESUME_DETACH:
			return progress->own &&
				mig_invalid_index_replacement(progress->sql) != NULL;
		case MIG_RESUME_PROCEDURE:
			return step->commits > 0;
		case MIG_RESUME_PREPARED:
			return false;
		case MIG_RESUME_REPEAT:
			/* the index is marked as not to be used first */
			return statement->own_transaction != NULL &&
				strcmp(statement->tag, "DROP INDEX") == 0;
	}
	return true;				/* keep compiler quiet */
}

static void
restore_session_state(void *arg)
{
	mig_session_state_remove(((Progress *) arg)->session_state);
}

static void
forget_start(void *arg)
{
	Progress   *progress = (Progress *) arg;

	if (!mig_run_lock_held_session())
		return;
	if (!has_left_something(progress))
		mig_step_forget_start(&progress->stepwise->key,
							  progress->next + 1);
	else if (statement_at(progress, progress->next)->resume == MIG_RESUME_PROCEDURE)
		progress->stepwise->committed_some = true;
	else
		progress->stepwise->left_build = true;
}


static void
choose_step(Progress *progress)
{
	const MigBody *body = body_of(progress->stepwise);
	const MigStatement *statement = statement_at(progress, progress->next);

	progress->own = step_runs_alone(progress, progress->next);
	progress->block = statement->block == 0 ? NULL :
		(const MigBlock *) list_nth(body->blocks, statement->block - 1);
	progress->end = progress->next + 1;
	if (progress->block != NULL)
		progress->end = progress->block->end;
	while (!progress->own && progress->end < body->nstatements &&
		   !statement_at(progress, progress->end - 1)->sets_transactions &&
		   statement_at(progress, progress->end)->block == statement->block &&
		   !step_runs_alone(progress, progress->end))
		progress->end++;
	progress->sql = pnstrdup(body->text + statement->location,
							 statement->length);
	progress->replacement = NULL;
	progress->invalid_indexes = NIL;
	progress->done = NULL;
	progress->finished_session = NULL;
	progress->first_timing = progress->stepwise->execution->ntimings;
}

/* what a finished step has left is there for those after it */
static void
keep_session_state(Progress *progress)
{
	if (!mig_session_state_may_differ(mig_runnable_body(progress->stepwise->body),
									  progress->next, progress->end))
		return;
	mig_session_state_free(progress->session_state);
	progress->session_state = NULL;
}

/*
 * Run the next statements that share a transaction, or one that has its own.
 * Returns the error, or NULL.
 */
static ErrorData *
run_next_step(Progress *progress)
{
	ErrorData  *edata;
	ListCell   *lc;

	choose_step(progress);
	edata = mig_transaction_run(start_step, progress);
	foreach(lc, progress->invalid_indexes)
	{
		progress->invalid = (MigInvalidIndex *) lfirst(lc);
		if (edata == NULL)
			edata = mig_transaction_run(drop_invalid_index, progress);
	}
	mig_run_lock_bodies_end();
	if (edata != NULL)
		return edata;
	edata = mig_transaction_run(run_one_step, progress);
	counted_key = NULL;
	mig_run_lock_bodies_end();
	progress->interrupted = NULL;
	if (edata != NULL)
	{
		mig_lock_wait_end();

		/* an error, as opposed to a crash, leaves nothing in most cases */
		(void) mig_transaction_run(forget_start, progress);
		(void) mig_transaction_run(restore_session_state, progress);
		return edata;
	}
	keep_session_state(progress);
	if (progress->finished_session != NULL)
		progress->session = *progress->finished_session;
	progress->last_step = progress->next + 1;
	progress->hash = hash_up_to(progress, progress->end);
	progress->next = progress->end;
	return NULL;
}


/*
 * The body
 */

/* when all steps are finished: what is left to do */
static void
finish_body(void *arg)
{
	Progress   *progress = (Progress *) arg;
	MigNontransactional *stepwise = progress->stepwise;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (stepwise->verify != NULL)
	{
		mig_run_lock_bodies_begin();
		mig_execute_body(stepwise->execution, stepwise->verify);
	}
	mig_run_lock_recheck();
	mig_step_forget(stepwise->key.project, stepwise->key.version);
	stepwise->finish(stepwise->finish_arg);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

static void
restore_settings(void *arg)
{
	mig_session_settings_restore(((Progress *) arg)->settings);
}

static ErrorData *
run_remaining_steps(Progress *progress)
{
	MigNontransactional *stepwise = progress->stepwise;
	ErrorData  *edata = mig_transaction_run(find_position, progress);
	bool		finished = false;

	if (edata == NULL && progress->next > 0)
		edata = mig_transaction_run(continue_session, progress);
	while (edata == NULL && progress->next < body_of(stepwise)->nstatements)
	{
		edata = run_next_step(progress);
		finished = is_last(progress);
	}
	if (edata == NULL && !finished)
		edata = mig_transaction_run(finish_body, progress);
	return edata;
}

ErrorData *
mig_nontransactional_run(MigNontransactional *stepwise)
{
	static bool registered = false;
	MemoryContext old = CurrentMemoryContext;
	Progress   *progress;
	ErrorData  *edata;
	ErrorData  *second;
	MemoryContext context = AllocSetContextCreate(old, "migrate steps",
												  ALLOCSET_DEFAULT_SIZES);

	Assert(stepwise->finish != NULL);
	Assert(mig_run_lock_held_session());
	if (!registered)
	{
		RegisterXactCallback(count_commit, NULL);
		registered = true;
	}
	MemoryContextSwitchTo(context);
	progress = palloc0(sizeof(Progress));
	progress->stepwise = stepwise;
	progress->context = context;
	progress->settings = mig_session_settings_save();
	edata = run_remaining_steps(progress);
	stepwise->finished = progress->next;
	stepwise->left = progress->session.nresidue == 0 ? NULL :
		join(progress->session.session_state, progress->session.nresidue);
	stepwise->execution->search_path = stepwise->search_path;
	second = mig_transaction_run(restore_settings, progress);
	mig_run_lock_statement_end();
	MemoryContextSwitchTo(old);
	if (edata == NULL)
		edata = second;

	/* the error is in there, and goes with the caller's context */
	if (edata == NULL)
		MemoryContextDelete(context);
	return edata;
}
