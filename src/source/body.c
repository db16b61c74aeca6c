/*-------------------------------------------------------------------------
 *
 * body.c
 *	  A body, cut into statements by the server's own parser.
 *
 * Works on raw parse trees only, so it needs no catalog, no snapshot and no
 * object to exist.  Parsing depends on a few settings; they are pinned here,
 * and pinned alike by exec/execute.c when the pieces are run, so that both see
 * the same statements.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "parser/scansup.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/errors.h"
#include "source/body.h"
#include "source/lexer.h"

typedef struct ParseErrorArg
{
	const char *text;
	const MigLabel *label;
} ParseErrorArg;

/* a body while it is cut */
typedef struct StatementCutter
{
	const MigLabel *label;
	MigBody    *body;
	bool		in_steps;		/* it runs in several transactions */
	int			begin;			/* of the BEGIN that has no COMMIT yet, or -1 */
	int			begin_end;
	MigBlock   *block;			/* that it has opened, or NULL */
	bool		moded;			/* the BEGIN has options */
	int			line;			/* of the byte counted */
	int			counted;
} StatementCutter;

void
mig_body_statement_place(MigPlace *place, const MigLabel *label,
						 const MigBody *body, int statement)
{
	const MigStatement *it = &body->statements[statement];

	Assert(statement >= 0 && statement < body->nstatements);
	mig_body_set_place(place, label, body->text, it->location,
					   it->location + it->length, -1);
}

/*
 * A syntax error of the parser becomes one in the body: position, line and
 * the line's text, for clients that show no LINE of their own, and a hint
 * where the cause is well known.
 */
static void
parse_error_callback(void *arg)
{
	ParseErrorArg *where = (ParseErrorArg *) arg;
	const MigLabel *label = where->label;
	int			position = geterrposition();
	int			offset = mig_error_byte_offset(where->text, position);
	MigPlace	place;

	if (position <= 0)
	{
		/* a NOTICE about a long identifier, for example */
		errcontext("%s body of migration \"%s\"",
				   mig_body_part_name(label->part), label->version);
		return;
	}
	errposition(0);
	mig_error_clip_current();
	if (!label->secret)
	{
		mig_body_set_place(&place, label, where->text, 0, strlen(where->text), offset);
		internalerrquery(mig_error_place_query(&place, &position));
		internalerrposition(position);
		errdetail("%s", mig_error_place_line(&place));
		if (where->text[offset] == '\\')
			errhint("A body is SQL for the server: take out the commands of psql that begin with a backslash.");
	}
	errcontext("%s", mig_body_label_place(label, 0,
										  mig_body_label_line(label, where->text,
															  offset)));
}

/* the statement [location, end) is wrong as a whole */
static void
refuse_statement(const char *text, const MigLabel *label, int location,
				 int end,
				 const char *what, const char *hint)
{
	MigPlace	place;
	int			position = 0;
	char	   *query = NULL;

	mig_body_set_place(&place, label, text, location, end, location);
	if (!label->secret)
		query = mig_error_place_query(&place, &position);
	ereport(ERROR,
			(errcode(MIG_ERRCODE_BODY),
			 errmsg("migration \"%s\" cannot contain %s", label->version, what),
			 errhint("%s", hint),
			 query ? internalerrposition(position) : 0,
			 query ? internalerrquery(query) : 0,
			 errcontext("%s", mig_body_label_place(label, 0,
												   mig_body_label_line(label, text,
																	   location)))));
}

/* where the text that a raw statement covers has its first token */
static int
skip_blanks_and_comments(const char *text, int location, int end)
{
	while (location < end)
	{
		if (scanner_isspace(text[location]))
			location++;
		else if (text[location] == '-' && text[location + 1] == '-')
		{
			while (location < end && text[location] != '\n' &&
				   text[location] != '\r')
				location++;
		}
		else if (text[location] == '/' && text[location + 1] == '*')
		{
			int			depth = 0;

			do
			{
				if (text[location] == '/' && text[location + 1] == '*')
				{
					depth++;
					location += 2;
				}
				else if (text[location] == '*' && text[location + 1] == '/')
				{
					depth--;
					location += 2;
				}
				else
					location++;
			} while (depth > 0 && location < end);
		}
		else
			break;
	}
	return location;
}

static void
refuse_read_only(const char *text, const MigLabel *label, int location,
				 int end)
{
	refuse_statement(text, label, location, end,
					 "a transaction that is READ ONLY",
					 "That it has been done is written in the same transaction.");
}

static void
refuse_copy(const char *text, const MigLabel *label, int location, int end)
{
	refuse_statement(text, label, location, end, "COPY from or to the client",
					 "A body has no client to exchange data with: use INSERT instead.");
}

/* refuse what no runner can ever run */
static void
refuse_impossible(const StatementCutter *cutting, const RawStmt *raw,
				  int location,
				  int end)
{
	const char *text = cutting->body->text;
	const MigLabel *label = cutting->label;
	Node	   *stmt = raw->stmt;

	if (IsA(stmt, CopyStmt) && ((CopyStmt *) stmt)->filename == NULL)
		refuse_copy(text, label, location, end);
	if (mig_statement_drops_this_extension(stmt))
		refuse_statement(text, label, location, end,
						 "DROP EXTENSION or ALTER EXTENSION of migrate",
						 "Run it by hand, outside a migration.");
	if (mig_statement_changes_string_syntax(stmt))
		refuse_statement(text, label, location, end,
						 "a change of standard_conforming_strings",
						 "Write backslash escapes as E'...' instead.");
	if (IsA(stmt, TransactionStmt) && mig_statement_own_transaction(stmt) == NULL &&
		(cutting->block == NULL || mig_statement_of_block(stmt) == NULL))
		refuse_statement(text, label, location, end, "transaction control",
						 cutting->in_steps ?
						 "Each BEGIN needs its COMMIT, with SAVEPOINT and ROLLBACK TO between them and nothing else." :
						 "Each migration runs in a transaction that the runner begins and ends.  Only pairs of a plain BEGIN and COMMIT are taken off.");
	if (cutting->block == NULL)
		return;
	if (mig_statement_own_transaction(stmt) != NULL)
		refuse_statement(text, label, location, end,
						 psprintf("%s between BEGIN and COMMIT",
								  mig_statement_own_transaction(stmt)),
						 "Take it out of the transaction block, in which it cannot run.");
	if (IsA(stmt, VariableSetStmt) && mig_statement_of_block(stmt) != NULL &&
		mig_statement_is_read_only(((VariableSetStmt *) stmt)->args))
		refuse_read_only(text, label, location, end);
}

static void
pin_setting(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static bool
mentions_word(const char *text, const char *word)
{
	size_t		length = strlen(word);

	for (; *text; text++)
	{
		if (pg_strncasecmp(text, word, length) == 0)
			return true;
	}
	return false;
}

/*
 * The parse trees of a text.  An error has the label and the position in the
 * text; COPY FROM STDIN is refused with its place.
 */
static List *
parse_text(const char *text, const MigLabel *label)
{
	ParseErrorArg arg;
	ErrorContextCallback callback;
	List	   *trees = NIL;
	int			guc_level;
	int			copy = -1;
	int			copy_end;
	int			slow = mig_lexer_slow_run(text);

	if (slow >= 0)
		refuse_statement(text, label, slow, slow,
						 "such a long run of operator characters",
						 "The server would take very long to read it: put blanks between them.");
	guc_level = NewGUCNestLevel();

	/* the two settings that scanner and grammar look at */
	if (!standard_conforming_strings)
		pin_setting("standard_conforming_strings", "on");
	if (backslash_quote != BACKSLASH_QUOTE_ON)
		pin_setting("backslash_quote", "on");
	arg.text = text;
	arg.label = label;
	callback.callback = parse_error_callback;
	callback.arg = &arg;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	if (mentions_word(text, "stdin"))
		copy = mig_lexer_copy_from_client(text, &copy_end);
	if (copy < 0)
		trees = raw_parser(text, RAW_PARSE_DEFAULT);
	error_context_stack = callback.previous;
	AtEOXact_GUC(false, guc_level);

	/* before the parser gets to the data, and quotes it */
	if (copy >= 0)
		refuse_copy(text, label, copy, copy_end + strlen("stdin"));
	return trees;
}

static void
fill_statement(MigStatement *statement, const char *text, const RawStmt *raw,
			   int location, int end)
{
	statement->location = location;
	statement->length = end - location;
	statement->tag = GetCommandTagName(CreateCommandTag(raw->stmt));
	statement->log_level = GetCommandLogLevel(raw->stmt);
	statement->own_transaction = mig_statement_own_transaction(raw->stmt);
	statement->resume = mig_statement_resume(raw->stmt);
	statement->sets = mig_statement_sets_for_session(raw->stmt);
	statement->sets_transactions = mig_statement_sets_transactions(raw->stmt);
	statement->runs_code = mig_statement_runs_code(raw->stmt);
	statement->of_block = mig_statement_of_block(raw->stmt);
}

/*
 * Statements that are said to be each for itself, or that one could not be, or
 * a block that says what kind of transaction it is, which that of a run is not.
 */
static bool
runs_in_steps(List *trees, const MigLabel *label)
{
	bool		in_block = false;
	ListCell   *lc;

	if (label->part == MIG_VERIFY || label->transactional == MIG_TX_ON)
		return false;
	if (label->transactional == MIG_TX_OFF)
		return true;
	foreach(lc, trees)
	{
		Node	   *stmt = lfirst_node(RawStmt, lc)->stmt;

		if (mig_statement_own_transaction(stmt) != NULL ||
			(in_block && mig_statement_sets_mode(stmt)) ||
			(mig_statement_is_begin(stmt) && ((TransactionStmt *) stmt)->options != NIL))
			return true;
		if (mig_statement_is_begin(stmt))
			in_block = true;
		else if (mig_statement_is_commit(stmt, label->part))
			in_block = false;
	}
	return false;
}

static char *
copy_slice(const char *text, int location, int end)
{
	return pnstrdup(text + location, end - location);
}

static void
open_block(StatementCutter *cutting, List *opening)
{
	cutting->block = palloc(sizeof(MigBlock));
	cutting->block->first = cutting->body->nstatements;
	cutting->block->opening = opening;
}

/* BEGIN or START TRANSACTION */
static void
cut_begin(StatementCutter *cutting, TransactionStmt *stmt, int location,
		  int end)
{
	const char *text = cutting->body->text;

	if (cutting->begin >= 0 || (!cutting->in_steps && stmt->options != NIL))
		refuse_statement(text, cutting->label, location, end,
						 "transaction control",
						 cutting->begin >= 0 ?
						 "BEGIN stands where one has no COMMIT yet." :
						 "Each migration runs in a transaction that the runner begins and ends.  Only pairs of a plain BEGIN and COMMIT are taken off.");
	if (mig_statement_is_read_only(stmt->options))
		refuse_read_only(text, cutting->label, location, end);
	cutting->begin = location;
	cutting->begin_end = end;
	cutting->moded = (stmt->options != NIL);
	if (cutting->in_steps)
		open_block(cutting, list_make1(copy_slice(text, location, end)));
}

/* what psql only warns of: there is nothing to end, and nothing follows */
static bool
is_stray_end(const StatementCutter *cutting, const TransactionStmt *stmt,
			 int end)
{
	const char *text = cutting->body->text;
	int			length = strlen(text);

	if (!cutting->label->of_sqitch || cutting->begin >= 0 ||
		cutting->in_steps || stmt->chain)
		return false;
	while (end < length)
	{
		int			next = skip_blanks_and_comments(text, end, length);

		if (next == end && text[end] != ';')
			return false;
		end = next == end ? end + 1 : next;
	}
	return true;
}

/*
 * COMMIT or END, in a verify body ROLLBACK, too.  AND CHAIN begins a block of
 * the same kind, so it is begun in the same way.
 */
static void
cut_commit(StatementCutter *cutting, TransactionStmt *stmt, int location,
		   int end)
{
	MigBody    *body = cutting->body;
	MigBlock   *block = cutting->block;
	List	   *opening;
	int			i;

	if (is_stray_end(cutting, stmt, end))
		return;
	if (cutting->begin < 0 || (!cutting->in_steps && stmt->chain))
		refuse_statement(body->text, cutting->label, location, end,
						 "transaction control",
						 cutting->begin < 0 ?
						 "COMMIT stands where there is no BEGIN." :
						 "Each migration runs in a transaction that the runner begins and ends.  Only pairs of a plain BEGIN and COMMIT are taken off.");
	cutting->begin = -1;
	cutting->block = NULL;
	if (block == NULL)
		return;
	block->end = body->nstatements;
	if (block->end > block->first)
		body->blocks = lappend(body->blocks, block);
	if (!stmt->chain)
		return;
	opening = list_copy(block->opening);
	for (i = block->first; i < block->end; i++)
	{
		const MigStatement *set = &body->statements[i];

		if (set->of_block != NULL && strcmp(set->of_block, "SET TRANSACTION") == 0)
			opening = lappend(opening,
							  copy_slice(body->text, set->location,
										 set->location + set->length));
	}
	cutting->begin = location;
	cutting->begin_end = end;
	open_block(cutting, opening);
}

/* does the statement, of the block at hand, say what kind that is? */
static const char *
mode_of_block(const StatementCutter *cutting, Node *stmt)
{
	if (cutting->block == NULL)
		return NULL;
	if (mig_statement_sets_mode(stmt))
		return "BEGIN with SET TRANSACTION";
	if (cutting->moded)
		return "BEGIN with an isolation level";
	return NULL;
}

/* any other statement */
static void
cut_statement(StatementCutter *cutting, const RawStmt *raw, int location,
			  int end)
{
	MigBody    *body = cutting->body;
	MigStatement *statement = &body->statements[body->nstatements++];
	const char *mode;

	fill_statement(statement, body->text, raw, location, end);
	if (statement->log_level != LOGSTMT_DDL)
		body->only_ddl = false;
	if (statement->runs_code)
		body->runs_code = true;
	for (; cutting->counted < location; cutting->counted++)
	{
		if (body->text[cutting->counted] == '\n')
			cutting->line++;
	}
	statement->line = cutting->line;
	statement->block = cutting->block ? list_length(body->blocks) + 1 : 0;
	mode = mode_of_block(cutting, raw->stmt);
	if (mode != NULL && body->moded == NULL)
	{
		body->moded = palloc(sizeof(MigStatement));
		*body->moded = *statement;
		body->moded->own_transaction = mode;
	}
}

/* cut the trees into statements; the list loses what is none */
static void
cut_statements(StatementCutter *cutting, List **trees)
{
	int			total = strlen(cutting->body->text);
	List	   *rest = NIL;
	ListCell   *lc;

	foreach(lc, *trees)
	{
		RawStmt    *raw = lfirst_node(RawStmt, lc);
		int			end = raw->stmt_len > 0 ?
			raw->stmt_location + raw->stmt_len : total;
		int			location =
			skip_blanks_and_comments(cutting->body->text,
									 Max(raw->stmt_location, 0), end);

		if (mig_statement_is_begin(raw->stmt))
			cut_begin(cutting, (TransactionStmt *) raw->stmt, location, end);
		else if (mig_statement_is_commit(raw->stmt, cutting->label->part))
			cut_commit(cutting, (TransactionStmt *) raw->stmt, location, end);
		else
		{
			refuse_impossible(cutting, raw, location, end);
			cut_statement(cutting, raw, location, end);
			rest = lappend(rest, raw);
		}
	}
	*trees = rest;
	if (cutting->begin >= 0)
		refuse_statement(cutting->body->text, cutting->label, cutting->begin,
						 cutting->begin_end, "transaction control",
						 "There is no COMMIT for this BEGIN.");
}

/* trees are made in context, everything else in the current one */
static MigBody *
parse_in_context(const char *text, const MigLabel *label,
				 MemoryContext context,
				 List **trees)
{
	MigBody    *body = palloc0(sizeof(MigBody));
	StatementCutter cutting = {0};
	MemoryContext old;

	body->text = mig_body_sql(text);
	old = MemoryContextSwitchTo(context);
	*trees = parse_text(body->text, label);
	MemoryContextSwitchTo(old);

	body->only_ddl = true;
	body->statements = palloc(sizeof(MigStatement) * Max(list_length(*trees), 1));
	cutting.label = label;
	cutting.body = body;
	cutting.in_steps = runs_in_steps(*trees, label);
	cutting.begin = -1;
	cutting.line = Max(label->first_line, 1);
	cut_statements(&cutting, trees);
	return body;
}

MigBody *
mig_body_parse(const char *text, const MigLabel *label)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "migrate parse trees",
							  ALLOCSET_DEFAULT_SIZES);
	List	   *trees;
	MigBody    *body = parse_in_context(text, label, context, &trees);

	Assert(text != NULL && label->version != NULL);
	MemoryContextDelete(context);
	return body;
}

MigBody *
mig_body_parse_trees(const char *text, const MigLabel *label, List **trees)
{
	return parse_in_context(text, label, CurrentMemoryContext, trees);
}

const MigStatement *
mig_body_own_transaction(const MigBody *body)
{
	int			i;

	for (i = 0; i < body->nstatements; i++)
	{
		if (body->statements[i].own_transaction != NULL)
			return &body->statements[i];
	}
	return body->moded;
}
