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
 * Which statements cannot run in a transaction block is a copy in data of the
 * calls of PreventInTransactionBlock() in the server's sources.  What only the
 * catalog can tell (REINDEX of a partitioned table, a procedure that commits)
 * is left to the server's own error.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"
#include "nodes/nodeFuncs.h"
#include "parser/parser.h"
#include "parser/scansup.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/checksum.h"
#include "base/compat.h"
#include "base/errors.h"
#include "source/body.h"
#include "source/lenient_scan.h"
#include "source/lexer.h"

/* a text has fewer lines than bytes, of which there are less than 1 GB */
#define MAX_FIRST_LINE 1000000000

#define UTF8_BOM "\xEF\xBB\xBF"

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

const char *
mig_body_part_name(MigPart part)
{
	Assert(part >= MIG_UP && part <= MIG_VERIFY);
	switch (part)
	{
		case MIG_UP:
			return "up";
		case MIG_DOWN:
			return "down";
		case MIG_VERIFY:
			return "verify";
	}
	return NULL;				/* keep compiler quiet */
}

const char *
mig_body_part_path(MigPart part, const char *path, const char *down_path,
				   const char *verify_path)
{
	if (part == MIG_DOWN && down_path != NULL)
		return down_path;
	if (part == MIG_VERIFY && verify_path != NULL)
		return verify_path;
	return path;
}

static int
line_of(const char *text, int location)
{
	int			line = 1;
	int			i;

	for (i = 0; i < location; i++)
	{
		if (text[i] == '\n')
			line++;
	}
	return line;
}

/* anybody may have stored it: to count on from there must not overflow */
static int
sound_line(int line)
{
	return line > 0 && line <= MAX_FIRST_LINE ? line : 0;
}

void
mig_body_label_of_entry(MigLabel *label, const MigEntry *entry, MigPart part,
						bool secret)
{
	label->version = entry->version;
	label->path = mig_body_part_path(part, entry->path, entry->down_path,
									 entry->verify_path);
	label->part = part;
	label->secret = secret;
	label->of_sqitch = entry->of_sqitch;
	label->first_line = label->path ? sound_line(entry->lines[part]) : 0;
	label->transactional = part == MIG_UP ? entry->transactional :
		MIG_TX_RECOGNIZE;
}

void
mig_body_label_of_source(MigLabel *label, const MigSource *source,
						 MigPart part)
{
	label->version = source->version;
	label->path = mig_body_part_path(part, source->path, source->down_path,
									 source->verify_path);
	label->part = part;
	label->secret = false;
	label->of_sqitch = source->source != NULL &&
		strcmp(source->source, "sqitch") == 0;
	label->first_line = label->path ? sound_line(source->lines[part]) : 0;
	label->transactional = part == MIG_UP ? source->transactional :
		MIG_TX_RECOGNIZE;
}

char *
mig_body_label_place(const MigLabel *label, int statement, int line)
{
	StringInfoData place;

	initStringInfo(&place);
	appendStringInfo(&place, "migration \"%s\"", label->version);
	if (label->path != NULL && label->first_line > 0)
		appendStringInfo(&place, " (%s:%d)", label->path, line);
	else if (label->path != NULL)
		appendStringInfo(&place, " (%s)", label->path);
	appendStringInfo(&place, ", %s body", mig_body_part_name(label->part));
	if (statement > 0)
		appendStringInfo(&place, ", statement %d", statement);
	if (label->path == NULL || label->first_line <= 0)
		appendStringInfo(&place, ", line %d", line);
	return place.data;
}

/* the line of a place in the text, as MigStatement has it */
static int
label_line(const MigLabel *label, const char *text, int location)
{
	return line_of(text, location) + Max(label->first_line, 1) - 1;
}

/* the bytes [from, to) of a text, and the one in question */
static void
set_place(MigPlace *place, const MigLabel *label, const char *text, int from,
		  int to, int at)
{
	place->path = label->first_line > 0 ? label->path : NULL;
	place->text = text;
	place->first_line = Max(label->first_line, 1);
	place->from = from;
	place->to = to;
	place->at = at;
}

void
mig_body_statement_place(MigPlace *place, const MigLabel *label,
						 const MigBody *body, int statement)
{
	const MigStatement *it = &body->statements[statement];

	Assert(statement >= 0 && statement < body->nstatements);
	set_place(place, label, body->text, it->location,
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
		set_place(&place, label, where->text, 0, strlen(where->text), offset);
		internalerrquery(mig_error_place_query(&place, &position));
		internalerrposition(position);
		errdetail("%s", mig_error_place_line(&place));
		if (where->text[offset] == '\\')
			errhint("A body is SQL for the server: take out the commands of psql that begin with a backslash.");
	}
	errcontext("%s", mig_body_label_place(label, 0,
										  label_line(label, where->text,
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

	set_place(&place, label, text, location, end, location);
	if (!label->secret)
		query = mig_error_place_query(&place, &position);
	ereport(ERROR,
			(errcode(MIG_ERRCODE_BODY),
			 errmsg("migration \"%s\" cannot contain %s", label->version, what),
			 errhint("%s", hint),
			 query ? internalerrposition(position) : 0,
			 query ? internalerrquery(query) : 0,
			 errcontext("%s", mig_body_label_place(label, 0,
												   label_line(label, text,
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

/* true for lines that may stand before \restrict or after \unrestrict */
static bool
only_comment_lines(const char *from, const char *to)
{
	while (from < to)
	{
		while (from < to && scanner_isspace(*from))
			from++;
		if (from == to)
			return true;
		if (from[0] != '-' || from[1] != '-')
			return false;
		while (from < to && *from != '\n')
			from++;
	}
	return true;
}

/* blank out one command line of psql, keeping every position as it is */
static void
blank_line(char *p)
{
	while (*p && *p != '\n')
		*p++ = ' ';
}

/* the line in text that starts with word, or NULL; *end is set to its end */
static char *
find_line(char *text, const char *word, bool last, char **end)
{
	char	   *found = NULL;
	char	   *p = text;

	while (p != NULL && *p)
	{
		if (strncmp(p, word, strlen(word)) == 0)
		{
			found = p;
			if (!last)
				break;
		}
		p = strchr(p, '\n');
		if (p != NULL)
			p++;
	}
	if (found != NULL)
	{
		*end = strchr(found, '\n');
		if (*end == NULL)
			*end = found + strlen(found);
	}
	return found;
}

/* is the comment of the -- kind one by which a tool ends a statement? */
static bool
is_separator(const char *comment)
{
	const char *text = comment + 2;

	if (strncmp(text, "> statement-breakpoint", 22) == 0)
		return true;
	text += strspn(text, " \t");
	if (pg_strncasecmp(text, "+goose", 6) != 0)
		return false;
	text += 6;
	text += strspn(text, " \t");
	return pg_strncasecmp(text, "StatementEnd", 12) == 0;
}

/*
 * Have Drizzle's --> statement-breakpoint and goose's StatementEnd end a
 * statement, as they do there, where it needs no semicolon before them.
 */
static void
end_statements(char *text)
{
	const char *next;

	for (char *p = text; *p != '\0'; p = unconstify(char *, next))
	{
		next = mig_lenient_scan_skip(p);
		if (next == NULL)
			return;
		if (p[0] == '-' && p[1] == '-' && is_separator(p))
			memcpy(p, ";--", 3);
	}
}

/*
 * Blank out what is not SQL but harmless: a byte-order mark, and the
 * \restrict and \unrestrict lines of pg_dump, which are the first and the last
 * thing in its output but for comments.  Anywhere else such a line may be part
 * of a literal and is left alone.
 */
const char *
mig_body_sql(const char *text)
{
	bool		bom = (GetDatabaseEncoding() == PG_UTF8 ||
					   GetDatabaseEncoding() == PG_SQL_ASCII) &&
		strncmp(text, UTF8_BOM, strlen(UTF8_BOM)) == 0;
	bool		separated = strstr(text, "--> statement-breakpoint") != NULL ||
		strstr(text, "+goose") != NULL;
	char	   *copy;
	char	   *line;
	char	   *end;

	if (!bom && !separated && strstr(text, "\\restrict ") == NULL)
		return text;

	copy = pstrdup(text);
	if (separated)
		end_statements(copy);
	if (bom)
		memset(copy, ' ', strlen(UTF8_BOM));
	line = find_line(copy, "\\restrict ", false, &end);
	if (line != NULL && only_comment_lines(copy, line))
		blank_line(line);
	line = find_line(copy, "\\unrestrict ", true, &end);
	if (line != NULL && only_comment_lines(end, end + strlen(end)))
		blank_line(line);
	return copy;
}

static bool
reindex_own_transaction(ReindexStmt *stmt)
{
	ListCell   *lc;

	if (stmt->kind != REINDEX_OBJECT_INDEX && stmt->kind != REINDEX_OBJECT_TABLE)
		return true;
	foreach(lc, stmt->params)
	{
		DefElem    *option = (DefElem *) lfirst(lc);

		if (strcmp(option->defname, "concurrently") == 0)
			return defGetBoolean(option);
	}
	return false;
}

static bool
detaches_concurrently(AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = (AlterTableCmd *) lfirst(lc);

		if (cmd->subtype == AT_DetachPartition &&
			((PartitionCmd *) cmd->def)->concurrent)
			return true;
	}
	return false;
}

/* value of a boolean option, or the default where it is not given */
static bool
option_value(List *options, const char *name, bool default_value)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = (DefElem *) lfirst(lc);

		if (strcmp(option->defname, name) == 0)
			return defGetBoolean(option);
	}
	return default_value;
}

static bool
has_command_option(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		if (strcmp(((DefElem *) lfirst(lc))->defname, name) == 0)
			return true;
	}
	return false;
}

static bool
alter_subscription_own_transaction(AlterSubscriptionStmt *stmt)
{
	switch (stmt->kind)
	{
		case ALTER_SUBSCRIPTION_REFRESH:
			return true;
		case ALTER_SUBSCRIPTION_SET_PUBLICATION:
		case ALTER_SUBSCRIPTION_ADD_PUBLICATION:
		case ALTER_SUBSCRIPTION_DROP_PUBLICATION:
			return option_value(stmt->options, "refresh", true);
		case ALTER_SUBSCRIPTION_OPTIONS:
			return has_command_option(stmt->options, "failover") ||
				has_command_option(stmt->options, "two_phase");
		default:
			return false;
	}
}

/*
 * What a statement is, if it cannot run in a transaction block, else NULL.
 * The rules are those of PreventInTransactionBlock()'s callers.
 */
static const char *
own_transaction(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return ((IndexStmt *) stmt)->concurrent ?
				"CREATE INDEX CONCURRENTLY" : NULL;
		case T_DropStmt:
			return ((DropStmt *) stmt)->concurrent ?
				"DROP INDEX CONCURRENTLY" : NULL;
		case T_ReindexStmt:
			return reindex_own_transaction((ReindexStmt *) stmt) ?
				"REINDEX CONCURRENTLY, SCHEMA, DATABASE or SYSTEM" : NULL;
		case T_VacuumStmt:
			return ((VacuumStmt *) stmt)->is_vacuumcmd ? "VACUUM" : NULL;
		case T_ClusterStmt:
			return ((ClusterStmt *) stmt)->relation == NULL ?
				"CLUSTER of all tables" : NULL;
		case T_AlterTableStmt:
			return detaches_concurrently((AlterTableStmt *) stmt) ?
				"DETACH PARTITION CONCURRENTLY" : NULL;
		case T_CreatedbStmt:
			return "CREATE DATABASE";
		case T_DropdbStmt:
			return "DROP DATABASE";
		case T_AlterDatabaseStmt:
			return has_command_option(((AlterDatabaseStmt *) stmt)->options,
									  "tablespace") ?
				"ALTER DATABASE SET TABLESPACE" : NULL;
		case T_CreateTableSpaceStmt:
			return "CREATE TABLESPACE";
		case T_DropTableSpaceStmt:
			return "DROP TABLESPACE";
		case T_AlterSystemStmt:
			return "ALTER SYSTEM";
		case T_DiscardStmt:
			return ((DiscardStmt *) stmt)->target == DISCARD_ALL ?
				"DISCARD ALL" : NULL;
		case T_CreateSubscriptionStmt:
			{
				List	   *options = ((CreateSubscriptionStmt *) stmt)->options;
				bool		connect = option_value(options, "connect", true);

				return option_value(options, "create_slot", connect) ?
					"CREATE SUBSCRIPTION with a replication slot" : NULL;
			}
		case T_AlterSubscriptionStmt:
			return alter_subscription_own_transaction((AlterSubscriptionStmt *) stmt) ?
				"ALTER SUBSCRIPTION with refresh" : NULL;
		case T_DropSubscriptionStmt:
			return "DROP SUBSCRIPTION";
		case T_TransactionStmt:
			{
				TransactionStmtKind kind = ((TransactionStmt *) stmt)->kind;

				if (kind == TRANS_STMT_COMMIT_PREPARED)
					return "COMMIT PREPARED";
				if (kind == TRANS_STMT_ROLLBACK_PREPARED)
					return "ROLLBACK PREPARED";
				return NULL;
			}
		default:
			return NULL;
	}
}

static MigResume
resume_kind(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return MIG_RESUME_CREATE_INDEX;
		case T_ReindexStmt:
			return MIG_RESUME_REINDEX;
		case T_AlterTableStmt:
			return MIG_RESUME_DETACH;
		case T_TransactionStmt:
			return MIG_RESUME_PREPARED;
		case T_CallStmt:
		case T_DoStmt:
			return MIG_RESUME_PROCEDURE;
		default:
			return MIG_RESUME_REPEAT;
	}
}

/* is it about how transactions are to begin, read only or not, from here on? */
static bool
sets_transactions(Node *stmt)
{
	VariableSetStmt *set = (VariableSetStmt *) stmt;

	return IsA(stmt, VariableSetStmt) &&
		(set->kind == VAR_RESET_ALL ||
		 strcmp(set->name, "SESSION CHARACTERISTICS") == 0 ||
		 pg_strncasecmp(set->name, "default_transaction_",
						strlen("default_transaction_")) == 0);
}

/* does it change a setting for longer than the transaction? */
static bool
sets_for_session(Node *stmt)
{
	VariableSetStmt *set = (VariableSetStmt *) stmt;

	if (!IsA(stmt, VariableSetStmt) || set->is_local)
		return false;
	return set->kind != VAR_SET_MULTI ||
		strcmp(set->name, "SESSION CHARACTERISTICS") == 0;
}

static bool
is_begin(Node *stmt)
{
	TransactionStmt *tx = (TransactionStmt *) stmt;

	return IsA(stmt, TransactionStmt) &&
		(tx->kind == TRANS_STMT_BEGIN || tx->kind == TRANS_STMT_START);
}

static bool
is_commit(Node *stmt, MigPart part)
{
	TransactionStmt *tx = (TransactionStmt *) stmt;

	return IsA(stmt, TransactionStmt) &&
		(tx->kind == TRANS_STMT_COMMIT ||
		 (part == MIG_VERIFY && tx->kind == TRANS_STMT_ROLLBACK));
}

static bool
is_set_transaction(Node *stmt)
{
	return IsA(stmt, VariableSetStmt) &&
		((VariableSetStmt *) stmt)->kind == VAR_SET_MULTI &&
		strcmp(((VariableSetStmt *) stmt)->name, "TRANSACTION") == 0;
}

/* does it say, in a block, what kind of transaction that is to be? */
static bool
sets_mode(Node *stmt)
{
	return is_set_transaction(stmt) ||
		(IsA(stmt, VariableSetStmt) &&
		 ((VariableSetStmt *) stmt)->kind == VAR_SET_VALUE &&
		 pg_strcasecmp(((VariableSetStmt *) stmt)->name,
					   "transaction_isolation") == 0);
}

/* what can only be said in a transaction block, or NULL */
static const char *
of_block(Node *stmt)
{
	if (is_set_transaction(stmt))
		return "SET TRANSACTION";
	if (!IsA(stmt, TransactionStmt))
		return NULL;
	switch (((TransactionStmt *) stmt)->kind)
	{
		case TRANS_STMT_SAVEPOINT:
			return "SAVEPOINT";
		case TRANS_STMT_RELEASE:
			return "RELEASE SAVEPOINT";
		case TRANS_STMT_ROLLBACK_TO:
			return "ROLLBACK TO SAVEPOINT";
		default:
			return NULL;
	}
}

/* do these options of BEGIN or SET TRANSACTION forbid to write? */
static bool
is_read_only(List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "transaction_read_only") == 0 &&
			intVal(&castNode(A_Const, option->arg)->val) != 0)
			return true;
	}
	return false;
}

static bool
drops_this_extension(Node *stmt)
{
	ListCell   *lc;

	if (IsA(stmt, AlterExtensionContentsStmt))
		return strcmp(((AlterExtensionContentsStmt *) stmt)->extname,
					  MIG_EXTENSION_NAME) == 0;
	if (IsA(stmt, AlterExtensionStmt))
		return strcmp(((AlterExtensionStmt *) stmt)->extname,
					  MIG_EXTENSION_NAME) == 0;
	if (!IsA(stmt, DropStmt) ||
		((DropStmt *) stmt)->removeType != OBJECT_EXTENSION)
		return false;
	foreach(lc, ((DropStmt *) stmt)->objects)
	{
		if (strcmp(strVal(lfirst(lc)), MIG_EXTENSION_NAME) == 0)
			return true;
	}
	return false;
}

/*
 * Is this a SET of standard_conforming_strings to anything but on?
 */
static bool
changes_string_syntax(Node *stmt)
{
	VariableSetStmt *set = (VariableSetStmt *) stmt;
	A_Const    *value;
	bool		on;

	if (!IsA(stmt, VariableSetStmt) || set->name == NULL ||
		pg_strcasecmp(set->name, "standard_conforming_strings") != 0 ||
		set->kind != VAR_SET_VALUE || list_length(set->args) != 1)
		return false;
	value = (A_Const *) linitial(set->args);
	if (!IsA(value, A_Const) || !IsA(&value->val, String))
		return true;
	return !(parse_bool(strVal(&value->val), &on) && on);
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
	if (drops_this_extension(stmt))
		refuse_statement(text, label, location, end,
						 "DROP EXTENSION or ALTER EXTENSION of migrate",
						 "Run it by hand, outside a migration.");
	if (changes_string_syntax(stmt))
		refuse_statement(text, label, location, end,
						 "a change of standard_conforming_strings",
						 "Write backslash escapes as E'...' instead.");
	if (IsA(stmt, TransactionStmt) && own_transaction(stmt) == NULL &&
		(cutting->block == NULL || of_block(stmt) == NULL))
		refuse_statement(text, label, location, end, "transaction control",
						 cutting->in_steps ?
						 "Each BEGIN needs its COMMIT, with SAVEPOINT and ROLLBACK TO between them and nothing else." :
						 "Each migration runs in a transaction that the runner begins and ends.  Only pairs of a plain BEGIN and COMMIT are taken off.");
	if (cutting->block == NULL)
		return;
	if (own_transaction(stmt) != NULL)
		refuse_statement(text, label, location, end,
						 psprintf("%s between BEGIN and COMMIT",
								  own_transaction(stmt)),
						 "Take it out of the transaction block, in which it cannot run.");
	if (IsA(stmt, VariableSetStmt) && of_block(stmt) != NULL &&
		is_read_only(((VariableSetStmt *) stmt)->args))
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

/*
 * May the statement prepare another one, open a cursor, or listen?  Triggers may.
 * What a function does that a default calls while DDL rewrites is left out.
 */
static bool
runs_code(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
		case T_CopyStmt:
		case T_TruncateStmt:
		case T_RefreshMatViewStmt:
		case T_SelectStmt:
		case T_CreateTableAsStmt:
		case T_ExplainStmt:
		case T_DoStmt:
		case T_CallStmt:
		case T_PrepareStmt:
		case T_ExecuteStmt:
		case T_DeclareCursorStmt:
		case T_ListenStmt:
		case T_CreateExtensionStmt:
		case T_AlterExtensionStmt:
			return true;
		default:
			return false;
	}
}

static void
fill_statement(MigStatement *statement, const char *text, const RawStmt *raw,
			   int location, int end)
{
	statement->location = location;
	statement->length = end - location;
	statement->tag = GetCommandTagName(CreateCommandTag(raw->stmt));
	statement->log_level = GetCommandLogLevel(raw->stmt);
	statement->own_transaction = own_transaction(raw->stmt);
	statement->resume = resume_kind(raw->stmt);
	statement->sets = sets_for_session(raw->stmt);
	statement->sets_transactions = sets_transactions(raw->stmt);
	statement->runs_code = runs_code(raw->stmt);
	statement->of_block = of_block(raw->stmt);
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

		if (own_transaction(stmt) != NULL ||
			(in_block && sets_mode(stmt)) ||
			(is_begin(stmt) && ((TransactionStmt *) stmt)->options != NIL))
			return true;
		if (is_begin(stmt))
			in_block = true;
		else if (is_commit(stmt, label->part))
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
	if (is_read_only(stmt->options))
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
	if (sets_mode(stmt))
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

		if (is_begin(raw->stmt))
			cut_begin(cutting, (TransactionStmt *) raw->stmt, location, end);
		else if (is_commit(raw->stmt, cutting->label->part))
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
