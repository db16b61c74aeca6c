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
#include "source/lenient_scan.h"
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
	int			groups;			/* of statements, by BEGIN and COMMIT */
	bool		in_steps;		/* it runs in several transactions */
	int			begin;			/* of the BEGIN that has no COMMIT yet, or -1 */
	int			begin_end;
	MigBlock   *block;			/* that it has opened, or NULL */
	bool		moded;			/* the BEGIN has options */
	const char *border;			/* what parts the next statement from the one
								 * before it, or NULL */
	int			border_at;
	int			line;			/* of the byte counted */
	int			counted;
} StatementCutter;

#define ONE_TRANSACTION \
	"Each migration runs in a transaction that the runner begins and ends.  Only a plain BEGIN and COMMIT around all of its statements are taken off."

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
			location = Min(mig_lenient_scan_line_end(text + location) - text,
						   end);
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
	bool		in_block;

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
	in_block = cutting->in_steps && cutting->block != NULL;
	if (IsA(stmt, TransactionStmt) && mig_statement_own_transaction(stmt) == NULL &&
		(!in_block || mig_statement_of_block(stmt) == NULL))
		refuse_statement(text, label, location, end, "transaction control",
						 cutting->in_steps ?
						 "Each BEGIN needs its COMMIT, with SAVEPOINT and ROLLBACK TO between them and nothing else." :
						 ONE_TRANSACTION);
	if (!in_block)
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
 * How many transactions the statements have if BEGIN and COMMIT are taken at
 * their word, and what stands between two of these is one.
 */
static int
count_groups(List *trees, MigPart part)
{
	int			groups = 0;
	bool		open = false;
	ListCell   *lc;

	foreach(lc, trees)
	{
		Node	   *stmt = lfirst_node(RawStmt, lc)->stmt;

		if (mig_statement_is_begin(stmt) || mig_statement_is_commit(stmt, part))
			open = false;
		else if (!open)
		{
			open = true;
			groups++;
		}
	}
	return groups;
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
	if (label->transactional == MIG_TX_OFF ||
		count_groups(trees, label->part) > 1)
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

/*
 * Refuse to part the statements of a body that is to be one transaction.  A
 * verify body can be parted by blocks that end with ROLLBACK.
 */
static void
refuse_parts(const StatementCutter *cutting, int location, int end)
{
	if (cutting->in_steps || cutting->groups <= 1)
		return;
	refuse_statement(cutting->body->text, cutting->label, location, end,
					 "transaction control",
					 cutting->label->part == MIG_VERIFY ?
					 "A verify body is rolled back as a whole: end a block beside other statements with ROLLBACK, or take BEGIN and COMMIT out." :
					 "It is marked as transactional: only a plain BEGIN and COMMIT around all of its statements are taken off then.");
}

/* BEGIN or START TRANSACTION */
static void
cut_begin(StatementCutter *cutting, TransactionStmt *stmt, int location,
		  int end)
{
	const char *text = cutting->body->text;
	bool		verify = cutting->label->part == MIG_VERIFY;

	if (cutting->begin >= 0 || (!cutting->in_steps && stmt->options != NIL))
		refuse_statement(text, cutting->label, location, end,
						 "transaction control",
						 cutting->begin >= 0 ?
						 "BEGIN stands where one has no COMMIT yet." :
						 ONE_TRANSACTION);
	if (mig_statement_is_read_only(stmt->options))
		refuse_read_only(text, cutting->label, location, end);
	if (!verify)
		refuse_parts(cutting, location, end);
	cutting->begin = location;
	cutting->begin_end = end;
	cutting->moded = (stmt->options != NIL);
	if (cutting->in_steps || (verify && cutting->groups > 1))
		open_block(cutting, list_make1(copy_slice(text, location, end)));
}

/*
 * A COMMIT without a BEGIN, which psql only warns of.  Where a tool has begun a
 * transaction around the file, it ends that; the last one has nothing after it.
 */
static void
cut_stray_end(const StatementCutter *cutting, TransactionStmt *stmt,
			  int location, int end, bool last)
{
	if (!cutting->label->of_tool || stmt->chain)
		refuse_statement(cutting->body->text, cutting->label, location, end,
						 "transaction control",
						 "COMMIT stands where there is no BEGIN: take it out, or write BEGIN before what it is to commit.");
	if (!last || cutting->label->part != MIG_VERIFY)
		refuse_parts(cutting, location, end);
}

/* the next block is of the same kind as the one that ends with AND CHAIN */
static void
chain_block(StatementCutter *cutting, const MigBlock *block, int location,
			int end)
{
	MigBody    *body = cutting->body;
	List	   *opening = list_copy(block->opening);
	int			i;

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

/* COMMIT or END, in a verify body ROLLBACK, too */
static void
cut_commit(StatementCutter *cutting, TransactionStmt *stmt, int location,
		   int end, bool last)
{
	MigBody    *body = cutting->body;
	MigBlock   *block = cutting->block;

	if (cutting->begin < 0)
	{
		cut_stray_end(cutting, stmt, location, end, last);
		return;
	}
	if (!cutting->in_steps && stmt->chain)
		refuse_statement(body->text, cutting->label, location, end,
						 "transaction control", ONE_TRANSACTION);
	if (stmt->kind != TRANS_STMT_ROLLBACK)
		refuse_parts(cutting, location, end);
	cutting->begin = -1;
	cutting->block = NULL;
	if (block == NULL)
		return;
	block->end = body->nstatements;
	if (block->end > block->first)
		body->blocks = lappend(body->blocks, block);
	if (stmt->chain)
		chain_block(cutting, block, location, end);
}

/* does the statement, of the block at hand, say what kind that is? */
static const char *
mode_of_block(const StatementCutter *cutting, Node *stmt)
{
	if (cutting->block == NULL || !cutting->in_steps)
		return NULL;
	if (mig_statement_sets_mode(stmt))
		return "BEGIN with SET TRANSACTION";
	if (cutting->moded)
		return "BEGIN with an isolation level";
	return NULL;
}

/* the body is to run in several transactions for that; the first one counts */
static void
set_several(MigBody *body, const MigStatement *statement, const char *why,
			int line)
{
	if (body->several != NULL)
		return;
	body->several = palloc(sizeof(MigStatement));
	*body->several = *statement;
	body->several->own_transaction = why;
	body->several->line = line;
}

/* is it the first one after a BEGIN or COMMIT that others stand before? */
static void
note_border(StatementCutter *cutting, MigStatement *statement)
{
	MigBody    *body = cutting->body;

	statement->starts_transaction = cutting->in_steps &&
		cutting->border != NULL && body->nstatements > 1;
	if (statement->starts_transaction &&
		cutting->label->transactional == MIG_TX_RECOGNIZE)
		set_several(body, statement, cutting->border,
					mig_body_label_line(cutting->label, body->text,
										cutting->border_at));
	cutting->border = NULL;
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
	if (mode != NULL)
		set_several(body, statement, mode, statement->line);
	note_border(cutting, statement);
}

/* BEGIN, COMMIT and their like; false: it is none */
static bool
cut_control(StatementCutter *cutting, const RawStmt *raw, int location,
			int end, bool last)
{
	TransactionStmt *stmt = (TransactionStmt *) raw->stmt;
	bool		begins = mig_statement_is_begin(raw->stmt);

	if (begins)
		cut_begin(cutting, stmt, location, end);
	else if (mig_statement_is_commit(raw->stmt, cutting->label->part))
		cut_commit(cutting, stmt, location, end, last);
	else
		return false;
	cutting->border = begins ? "BEGIN after other statements" :
		"COMMIT before other statements";
	cutting->border_at = location;
	return true;
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

		if (cut_control(cutting, raw, location, end, lnext(*trees, lc) == NULL))
			continue;
		refuse_impossible(cutting, raw, location, end);
		cut_statement(cutting, raw, location, end);
		rest = lappend(rest, raw);
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
	cutting.groups = count_groups(*trees, label->part);
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
	return body->several;
}
