/*-------------------------------------------------------------------------
 *
 * known_tools.c
 *	  Markers and file names of known tools, and which conventions read them.
 *
 * A tool that keeps the way back in the same file, or in a file beside it that
 * looks like a migration, has its marker or its file name here: who loads such
 * files by a convention that does not read it would run the way back right
 * after the way forth.  The same goes for what says how a body is run.
 *
 * A marker can also be misspelt, or be of a tool that is not here.  So a comment
 * that says nothing but "down", in whatever spelling, is taken for one where it
 * parts statements from statements, and so is such a word in the name of a file
 * that has the number of another one.
 *
 * Tools find markers by lines.  A line counts unless it is inside of a literal,
 * a dollar body or a block comment, as far as that can be told, so that text
 * about migrations is not taken for one of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "source/known_tools.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "base/errors.h"
#include "source/conventions.h"
#include "source/lenient_scan.h"
#include "utils/formatting.h"

/* how the text of a comment is compared, dashes and ornaments before it aside */
typedef enum MarkerForm
{
	MARK_WORD,					/* begins with it, and there a word ends */
	MARK_PREFIX,				/* begins with it */
	MARK_TITLE,					/* is it, and SQL stands before and after */
	MARK_FIRST,					/* is it, in the first line */
	MARK_HEAD					/* begins with it, and no statement stands
								 * before it */
} MarkerForm;

typedef struct ForeignMarker
{
	const char *text;			/* in lower case */
	MarkerForm	form;
	const char *tool;
	const char *readers;		/* conventions, a blank around each */
	const char *hint;			/* if no convention reads it */
} ForeignMarker;

#define WRITE_SECTIONS \
	"Begin the two bodies with -- migrate:up and -- migrate:down instead."
#define WRITE_TRANSACTIONAL \
	"Take the marker out.  Statements that cannot run in a transaction are recognized; of others say -- migrate:transactional off."
#define TAKE_OUT \
	"Take the marker out of the file, and write down what it stands for."

/*
 * A title is also what people write over parts of a file that is one body, so
 * it counts only where it parts statements from statements.
 */
static const ForeignMarker foreign_markers[] = {
	{"migrate:up", MARK_WORD, "dbmate", " native name dbmate ", NULL},
	{"migrate:down", MARK_WORD, "dbmate", " native name dbmate ", NULL},
	{"migrate:verify", MARK_WORD, "convention \"native\"", " native name ", NULL},
	{"migrate:requires", MARK_WORD, "convention \"native\"", " native name ", NULL},
	{"migrate:repeatable", MARK_WORD, "convention \"native\"", " native name ", NULL},
	{"migrate:transactional", MARK_WORD, "convention \"native\"", " native name ", NULL},
	{"migrate:irreversible", MARK_WORD, "convention \"native\"", " native name ", NULL},
	{"+goose", MARK_WORD, "goose", " goose ", NULL},
	{"+migrate", MARK_WORD, "sql-migrate", " sql-migrate ", NULL},
	{"+micrate", MARK_WORD, "micrate", " micrate ", NULL},
	{"liquibase formatted sql", MARK_WORD, "Liquibase", "",
	"Write a file for each changeset, with -- migrate:down before what its --rollback lines say."},
	{"changeset ", MARK_PREFIX, "Liquibase", "",
	"Write a file for each changeset, with -- migrate:down before what its --rollback lines say."},
	{"create above / drop below", MARK_WORD, "tern", " tern ", NULL},
	{"tern:", MARK_PREFIX, "tern", " tern ", NULL},
	{"down migration", MARK_TITLE, "node-pg-migrate", " node-pg-migrate ", NULL},
	{"up migration", MARK_TITLE, "node-pg-migrate", " node-pg-migrate ", NULL},
	{"down", MARK_TITLE, "shmig", "", WRITE_SECTIONS},
	{"//@undo", MARK_WORD, "MyBatis Migrations", " mybatis ", NULL},
	{"// @undo", MARK_WORD, "MyBatis Migrations", " mybatis ", NULL},
	{"@undo", MARK_WORD, "MyBatis Migrations", " mybatis ", NULL},
	{"rambler up", MARK_WORD, "rambler", " rambler ", NULL},
	{"rambler down", MARK_WORD, "rambler", " rambler ", NULL},
	{"!ups", MARK_WORD, "Play", " play ", NULL},
	{"!downs", MARK_WORD, "Play", " play ", NULL},
	{"! previous:", MARK_PREFIX, "graphile-migrate", " graphile-migrate ",
	"Take out the lines at the head of the file that begin with --!."},
	{"! hash:", MARK_PREFIX, "graphile-migrate", " graphile-migrate ",
	"Take out the lines at the head of the file that begin with --!."},
	{"! message:", MARK_PREFIX, "graphile-migrate", " graphile-migrate ",
	"Take out the lines at the head of the file that begin with --!."},
	{"! allowinvalidhash", MARK_WORD, "graphile-migrate", " graphile-migrate ",
	"Take out the lines at the head of the file that begin with --!."},
	{"! no-transaction", MARK_WORD, "graphile-migrate", " graphile-migrate ", WRITE_TRANSACTIONAL},
	{"!no-transaction", MARK_WORD, "graphile-migrate", " graphile-migrate ", WRITE_TRANSACTIONAL},
	{"!include", MARK_WORD, "graphile-migrate", "",
	"Write the text of the included file in place of the marker."},
	{"atlas:txmode", MARK_WORD, "Atlas", " atlas ", WRITE_TRANSACTIONAL},
	{"atlas:delimiter", MARK_WORD, "Atlas", "", TAKE_OUT},
	{"atlas:checkpoint", MARK_WORD, "Atlas", "",
	"Leave the file out: it stands for all those before it."},
	{"atlas:txtar", MARK_WORD, "Atlas", "", TAKE_OUT},
	{"depends:", MARK_HEAD, "yoyo", " yoyo ", "Say -- migrate:requires for each of them instead."},
	{"transactional: ", MARK_HEAD, "yoyo", " yoyo ", WRITE_TRANSACTIONAL},
	{"postgres-migrations disable-transaction", MARK_WORD, "postgres-migrations", "",
	WRITE_TRANSACTIONAL},
	{"no-transaction", MARK_FIRST, "sqlx", " sqlx ", WRITE_TRANSACTIONAL}
};

/* a pattern of file names; # stands for a row of digits */
typedef struct ForeignName
{
	const char *pattern;
	const char *tool;
	const char *readers;
	const char *hint;
} ForeignName;

#define RENAME \
	"Rename the files to VERSION_name.sql and VERSION_name.down.sql."

static const ForeignName foreign_names[] = {
	{"#.do.sql", "Postgrator", " postgrator ", NULL},
	{"#.do.*.sql", "Postgrator", " postgrator ", NULL},
	{"#.undo.sql", "Postgrator", " postgrator ", NULL},
	{"#.undo.*.sql", "Postgrator", " postgrator ", NULL},
	{"*.rollback.sql", "yoyo", " yoyo ", NULL},
	{"#-up.sql", "db-migrate", " db-migrate ", NULL},
	{"#-down.sql", "db-migrate", " db-migrate ", NULL},
	{"#-*-up.sql", "db-migrate", " db-migrate ", NULL},
	{"#-*-down.sql", "db-migrate", " db-migrate ", NULL},
	{"rollback-#*.sql", "Dogfish", "", RENAME},
	{"*.everytime.*sql", "grate", "",
	"Say -- migrate:repeatable in the file, and rename it to VERSION_name.sql."},
	{"V#*__*.sql", "Flyway", " flyway refinery ", NULL},
	{"U#*__*.sql", "Flyway", " flyway refinery ", NULL},
	{"B#*__*.sql", "Flyway", " flyway ", NULL},
	{"R__*.sql", "Flyway", " flyway ", NULL},
	{"*.sql.conf", "Flyway", " flyway ", NULL},
	{"*.verify.sql", "convention \"native\"", " native plain name ", NULL},
	{"*.up.sql", "golang-migrate", " native plain name golang-migrate sqlx node-pg-migrate ", NULL},
	{"*.down.sql", "golang-migrate", " native plain name golang-migrate sqlx node-pg-migrate ", NULL},
	{"up.sql", "diesel", " diesel ", NULL},
	{"down.sql", "diesel", " diesel ", NULL},
	{"metadata.toml", "diesel", " diesel ", NULL},
	{"migration.sql", "Prisma", " prisma ", NULL},
	{"migration_lock.toml", "Prisma", " prisma ", NULL},
	{"sqitch.plan", "Sqitch", " sqitch ", NULL}
};


/*
 * Names of other servers, as pop and others put them between dots into the name
 * of a file that is for one of them alone.
 */
static const char *const dialects[] = {
	"mysql", "mariadb", "sqlite", "sqlite3", "cockroach", "cockroachdb", "crdb",
	"mssql", "sqlserver", "oracle", "db2", "h2", "hsqldb", "clickhouse",
	"snowflake", "redshift", "spanner", NULL
};


/* is the convention one of those in the list? */
static bool
is_read(const char *readers, const char *convention)
{
	return strstr(readers, psprintf(" %s ", convention)) != NULL;
}

/* to the hint of the row, or to the first convention that reads such files */
static const char *
make_hint(const char *readers, const char *hint)
{
	if (hint != NULL)
		return hint;
	return psprintf("Pass convention => '%s', or leave it out with ignore.",
					pnstrdup(readers + 1, strcspn(readers + 1, " ")));
}

/* ----------
 * Words for the two ways
 * ----------
 */

static const char *const back_words[] = {
	"down", "downs", "dn", "undo", "undoing", "revert", "reverting", "rollback",
	"rollingback", "downgrade", "backward", "backwards", "wayback", "reverse",
	"reversing", "unapply", "unapplying", "createabovedropbelow", NULL
};

static const char *const forth_words[] = {
	"up", "ups", "do", "upgrade", "forward", "forwards", "apply", NULL
};

/* what may stand beside such words and says no more than they do */
static const char *const filler_words[] = {
	"dbmate", "goose", "sqlx", "micrate", "rambler", "db", "begin", "start",
	"migration", "migrations", "migrate", "script", "scripts", "section", "part",
	"sql", "to", "for", "the", "this", "it", "plan", "below", "step", "steps",
	"roll", "back", NULL
};

/* how far one of the words begins the text; the longest, 0: none does */
static int
begins_with_word(const char *text, const char *const *words)
{
	int			longest = 0;

	for (; *words != NULL; words++)
	{
		int			length = strlen(*words);

		if (length > longest && strncmp(text, *words, length) == 0)
			longest = length;
	}
	return longest;
}

static bool
is_word_of(const char *text, const char *const *words)
{
	return *text != '\0' && text[begins_with_word(text, words)] == '\0';
}

/* the words of a file's name */
typedef struct NameWords
{
	char	   *number;			/* the first one, with its parts: 1, 1.2 */
	StringInfoData rest;		/* all words but those for the ways */
	bool		back;			/* has one for the way back */
} NameWords;

static void
add_name_words(NameWords *words, char *text)
{
	while (*text != '\0')
	{
		char	   *end = text;

		while (isalnum((unsigned char) *end) || IS_HIGHBIT_SET(*end))
			end++;
		if (end > text)
		{
			char	   *word = pnstrdup(text, end - text);

			if (is_word_of(word, back_words))
				words->back = true;
			else if (!is_word_of(word, forth_words))
				appendStringInfo(&words->rest, " %s", word);
		}
		text = *end == '\0' ? end : end + 1;
	}
}

/*
 * Take the name of a .sql file apart; false if it has no number.  The letters
 * V and U right before it are Flyway's.
 */
static bool
split_name(const char *path, NameWords *words)
{
	MigFileName name;
	char	   *text;
	char	   *number;
	char	   *end;

	mig_file_path_split(path, &name);
	text = asc_tolower(name.stem, strlen(name.stem));
	number = text + strcspn(text, "0123456789");
	if (name.part != MIG_UP || *number == '\0')
		return false;
	end = number + strspn(number, "0123456789");
	while (strchr("._-", *end) != NULL && end[1] >= '0' && end[1] <= '9')
		end += 1 + strspn(end + 1, "0123456789");
	words->number = pnstrdup(number, end - number);
	words->back = number == text + 1 && *text == 'u';
	initStringInfo(&words->rest);
	text = pnstrdup(text, number - text);
	if (strcmp(text, "u") != 0 && strcmp(text, "v") != 0)
		add_name_words(words, text);
	add_name_words(words, end);
	return true;
}

/*
 * By their names, is one file the way back of the other?  The number of the one
 * begins that of the other (1a, 1.1), and what is said beside it is the same, or
 * it is the same number and none that several files have because it is a date.
 */
static bool
is_way_back_of(const NameWords *back, const NameWords *forth)
{
	int			length = strlen(forth->number);

	if (forth->back || strncmp(back->number, forth->number, length) != 0 ||
		isdigit((unsigned char) back->number[length]))
		return false;
	if (strcmp(back->rest.data, forth->rest.data) == 0)
		return true;
	return back->number[length] == '\0' &&
		mig_file_path_is_digits(back->number) &&
		length < 8;
}

/* the file whose way back this one is by its name, though it is not read so */
static const MigSourceFile *
find_way_forth(const MigFileSet *set, const MigSourceFile *script)
{
	const char *digits = "0123456789";
	NameWords	back;
	NameWords	forth;
	int			length;

	if (!mig_file_path_is_sql(script->path) ||
		!split_name(script->path, &back) || !back.back)
		return NULL;
	length = strspn(back.number, digits);
	for (int i = 0; i < set->nscripts; i++)
	{
		const MigSourceFile *other = &set->scripts[i];
		const char *number = mig_file_path_base(other->path);

		CHECK_FOR_INTERRUPTS();
		number += strcspn(number, digits);
		if (other != script && strspn(number, digits) == length &&
			strncmp(number, back.number, length) == 0 &&
			mig_file_path_is_sql(other->path) &&
			split_name(other->path, &forth) &&
			is_way_back_of(&back, &forth))
			return other;
	}
	return NULL;
}

/* the server that a .sql file is for by its name, if it is another one */
static const char *
find_dialect(const char *path)
{
	const char *base = mig_file_path_base(path);
	char	   *part = asc_tolower(base, strlen(base));

	if (!mig_file_path_is_sql(path))
		return NULL;
	for (part = strchr(part, '.'); part != NULL; part = strchr(part, '.'))
	{
		size_t		length = strcspn(++part, ".");

		for (int i = 0; dialects[i] != NULL; i++)
		{
			if (length == strlen(dialects[i]) && part[length] == '.' &&
				strncmp(part, dialects[i], length) == 0)
				return dialects[i];
		}
	}
	return NULL;
}

/* does the pattern stand for names of files that are ways back? */
static bool
is_back_pattern(const char *pattern)
{
	return strstr(pattern, "undo") != NULL || strstr(pattern, "down") != NULL ||
		strstr(pattern, "rollback") != NULL;
}

char *
mig_known_tools_name(const MigFileSet *set, const MigSourceFile *script,
					 const char **hint)
{
	const char *base = mig_file_path_base(script->path);
	const char *dialect = find_dialect(script->path);
	const MigSourceFile *forth;
	bool		known_back = false;

	if (dialect != NULL)
	{
		*hint = psprintf("Leave such files out with ignore => '{*.%s.*}'.",
						 dialect);
		return psprintf("file \"%s\" is in the dialect of another database, %s, by its name",
						script->path, dialect);
	}
	for (int i = 0; i < lengthof(foreign_names); i++)
	{
		const ForeignName *name = &foreign_names[i];

		if (!mig_file_path_matches(base, name->pattern))
			continue;
		if (is_read(name->readers, set->convention))
		{
			known_back = known_back || is_back_pattern(name->pattern);
			continue;
		}
		*hint = make_hint(name->readers, name->hint);
		return psprintf("file \"%s\" has a name as %s gives it, which convention \"%s\" does not read",
						script->path, name->tool, set->convention);
	}
	if (known_back)
		return NULL;
	if ((strcmp(set->convention, "flyway") == 0 ||
		 strcmp(set->convention, "refinery") == 0) && (*base == 'U' || *base == 'u'))
		return NULL;
	forth = find_way_forth(set, script);
	if (forth == NULL)
		return NULL;
	*hint = RENAME;
	return psprintf("file \"%s\" seems to be the way back of file \"%s\", and its name does not say so in convention \"%s\"",
					script->path, forth->path, set->convention);
}

/* does the comment say what the marker says? */
static bool
matches_marker(const char *text, int length, const ForeignMarker *marker,
			   bool first_line, bool head)
{
	int			marker_length;
	char		next;

	if (length == 0 || pg_tolower((unsigned char) *text) != *marker->text)
		return false;
	marker_length = strlen(marker->text);
	next = length > marker_length ? text[marker_length] : '\0';
	if (length < marker_length ||
		pg_strncasecmp(text, marker->text, marker_length) != 0)
		return false;
	switch (marker->form)
	{
		case MARK_PREFIX:
			return true;
		case MARK_WORD:
			return !isalnum((unsigned char) next) && next != '_' &&
				!(next == '-' && isalnum((unsigned char) text[marker_length + 1]));
		case MARK_TITLE:
			for (; marker_length < length; marker_length++)
			{
				if (strchr(" \t\r-=*#:;.", text[marker_length]) == NULL)
					return false;
			}
			return true;
		case MARK_FIRST:
			return first_line && next == '\0';
		case MARK_HEAD:
			return head;
	}
	return false;				/* keep compiler quiet */
}

/*
 * The marker in a comment of the -- kind, or of Play's # kind, which begins at
 * comment and ends at end; NULL if there is none.
 */
static const ForeignMarker *
find_marker(const char *comment, const char *end, const char *convention,
			bool first_line, bool head)
{
	const char *text = comment;

	while (end > text && strchr(" \t\r", end[-1]) != NULL)
		end--;
	while (text < end && strchr("-#=* \t", *text) != NULL)
		text++;
	for (int i = 0; i < lengthof(foreign_markers); i++)
	{
		if (matches_marker(text, end - text, &foreign_markers[i],
						   first_line, head) &&
			!is_read(foreign_markers[i].readers, convention))
			return &foreign_markers[i];
	}
	return NULL;
}

static char *
marker_message(const MigFileSet *set, const MigSourceFile *script, int line,
			   const ForeignMarker *marker, const char **hint)
{
	*hint = make_hint(marker->readers, marker->hint);
	return psprintf("file \"%s\" line %d has a marker of %s, which convention \"%s\" does not read",
					script->path, line, marker->tool, set->convention);
}

/* does nothing but blanks stand before that place in its line? */
static bool
begins_line(const char *start, const char *place)
{
	while (place > start && (place[-1] == ' ' || place[-1] == '\t'))
		place--;
	return place == start || place[-1] == '\n' || place[-1] == '\r';
}


/* ----------
 * Markers that are misspelt, or of unknown tools
 * ----------
 */

/*
 * The length of a character that is no letter: of ASCII, or a blank or a mark
 * of Unicode as they come along from web pages (no-break and zero-width blanks,
 * long dashes, arrows, full-width colons).  0 if it is a letter or a digit.
 */
static int
ornament_length(const unsigned char *c)
{
	if (*c < 0x80)
		return isalnum(*c) ? 0 : 1;
	if (GetDatabaseEncoding() != PG_UTF8)
		return 0;
	if (c[0] == 0xC2 && c[1] >= 0x80 && c[1] <= 0xBF)
		return 2;
	if ((c[0] == 0xE2 && (c[1] == 0x80 || c[1] == 0x81 || c[1] == 0x86 || c[1] == 0x88 || c[1] == 0x94)) ||
		(c[0] == 0xE3 && c[1] == 0x80) ||
		(c[0] == 0xEF && c[1] == 0xBB && c[2] == 0xBF) ||
		(c[0] == 0xEF && c[1] == 0xBC && (c[2] <= 0x8F || (c[2] >= 0x9A && c[2] <= 0xA0))))
		return c[2] != '\0' ? 3 : 0;
	return 0;
}

/* skip what is neither a letter nor a digit */
static const char *
skip_ornaments(const char *text, const char *end)
{
	int			length;

	while (text < end &&
		   (length = ornament_length((const unsigned char *) text)) > 0)
		text += length;
	return text;
}

/*
 * Is the text, which is in lower case and has no blanks, nothing but some of the
 * words, one at least, and fillers?
 */
static bool
consists_of(const char *text, const char *const *words)
{
	int			length = strlen(text);
	bool		reached[NAMEDATALEN + 1] = {true};	/* by words so far */
	bool		named[NAMEDATALEN + 1] = {false};	/* one of them counts */

	Assert(length <= NAMEDATALEN);
	for (int i = 0; i < length; i++)
	{
		if (!reached[i])
			continue;
		for (int list = 0; list < 2; list++)
		{
			const char *const *word = list == 0 ? words : filler_words;

			for (; *word != NULL; word++)
			{
				int			end;

				if (**word != text[i])
					continue;
				end = i + strlen(*word);
				if (strncmp(text + i, *word, end - i) != 0)
					continue;
				reached[end] = true;
				if (list == 0 || named[i])
					named[end] = true;
			}
		}
	}
	return named[length];
}

/* does the text name one of the ways, perhaps after a misspelt "migrate"? */
static bool
names_way(const char *text, const char *const *words)
{
	if (consists_of(text, words))
		return true;
	if (strncmp(text, "migr", 4) != 0)
		return false;
	for (text += 4; *text != '\0'; text++)
	{
		if (consists_of(text, words))
			return true;
	}
	return false;
}

/*
 * Does the comment from start to end say nothing but the way that the words
 * stand for?  What is not a letter does not count.
 */
static bool
says_way(const char *start, const char *end, const char *const *words)
{
	char		letters[NAMEDATALEN];
	int			n = 0;

	while (start < end)
	{
		int			length = ornament_length((const unsigned char *) start);

		if (length > 0)
			start += length;
		else if (n + 1 < sizeof(letters) && isalpha((unsigned char) *start))
			letters[n++] = pg_tolower((unsigned char) *start++);
		else
			return false;
	}
	letters[n] = '\0';
	return names_way(letters, words);
}

/*
 * Is the comment from start to end the marker of the way back of some tool,
 * whatever its name is: "+tool down", "@my-tool undo"?
 */
static bool
is_marker_of_any_tool(const char *start, const char *end)
{
	const char *text = skip_ornaments(start, end);
	const char *word = "";

	if (strchr("+@", text[-1]) == NULL)
		return false;
	for (int n = 0; n < 3 && text < end; n++)
	{
		const char *first = text;

		while (text < end && isalnum((unsigned char) *text))
			text++;
		word = asc_tolower(first, text - first);
		text = skip_ornaments(text, end);
	}
	return text == end && is_word_of(word, back_words);
}

static bool
has_native_markers(const char *convention)
{
	return strcmp(convention, "native") == 0 ||
		strcmp(convention, "name") == 0 || strcmp(convention, "dbmate") == 0;
}

/* is the line a marker that the convention reads, whatever it says of it? */
static bool
is_own_marker(const MigFileSet *set, const char *comment)
{
	MigFileLine line = {0};
	const char *text;

	if (has_native_markers(set->convention))
	{
		text = comment + 2;
		text += strspn(text, " \t");
		return comment[0] == '-' && pg_strncasecmp(text, "migrate:", 8) == 0;
	}
	if (set->marker == NULL)
		return false;
	line.start = comment;
	line.length = mig_lenient_scan_line_end(comment) - comment;
	return set->marker(&line) != NULL;
}

/* does the comment from p to next have its lines for itself? */
static bool
is_lone_comment(const char *start, const char *p, const char *next)
{
	return begins_line(start, p) &&
		((p[0] == '-' && p[1] == '-') ||
		 (p[0] == '/' && p[1] == '*' &&
		  strchr("\r\n", next[strspn(next, " \t")]) != NULL));
}

/* ----------
 * Markers of ours that are misspelt, or at the end of a line of SQL
 * ----------
 */

/* what misspelt words of a marker stand for */
typedef struct MarkerWord
{
	const char *word;
	const char *marker;
} MarkerWord;

static const MarkerWord native_words[] = {
	{"up", "up"}, {"ups", "up"}, {"down", "down"}, {"downs", "down"},
	{"verify", "verify"}, {"verifies", "verify"}, {"verification", "verify"},
	{"require", "requires VERSION"}, {"requires", "requires VERSION"},
	{"repeatable", "repeatable"}, {"repeatables", "repeatable"},
	{"irreversible", "irreversible"},
	{"transactional", "transactional off"}, {"transaction", "transactional off"},
	{"notransaction", "transactional off"}
};

static const MarkerWord goose_words[] = {
	{"up", "Up"}, {"ups", "Up"}, {"down", "Down"}, {"downs", "Down"},
	{"statementbegin", "StatementBegin"}, {"statementend", "StatementEnd"},
	{"no", "NO TRANSACTION"}, {"notransaction", "NO TRANSACTION"},
	{"envsub", "ENVSUB ON"}
};

/* what comments say that ask for a body outside of a transaction, blanks and
 * marks aside */
static const char *const no_transaction_words[] = {
	"notransaction", "notransactions", "nontransactional",
	"disabletransaction", "disabletransactions", "disabletx", "notx",
	"transactionfalse", "transactionoff", "transactionaloff",
	"transactionalfalse", NULL
};

/* the word at *text in lower case, letters alone; *text is moved behind it */
static char *
take_letters(const char **text, const char *end)
{
	const char *start = *text;

	while (*text < end && isalpha((unsigned char) **text))
		(*text)++;
	return asc_tolower(start, *text - start);
}

/* nothing but versions, and values of options? */
static bool
are_arguments(const char *text, const char *end)
{
	char	   *rest = pnstrdup(text, end - text);
	char	   *word;

	while ((word = mig_file_line_next_word(&rest)) != NULL)
	{
		if (strpbrk(word, "0123456789=:") == NULL &&
			strspn(word, "-=*#/;.") != strlen(word) &&
			pg_strcasecmp(word, "on") != 0 && pg_strcasecmp(word, "off") != 0)
			return false;
	}
	return true;
}

/*
 * The marker that a comment from start to end was meant for: it begins with the
 * name of the tool, perhaps misspelt, and one of the words, and says nothing else
 * that would make a remark of it.  NULL if it is none.
 */
static const char *
meant_marker(const char *start, const char *end, const char *tool,
			 int tool_length, const MarkerWord *words, int nwords)
{
	const char *text = skip_ornaments(start, end);
	char	   *word = take_letters(&text, end);
	bool		colon;

	if (strncmp(word, tool, tool_length) != 0)
		return NULL;
	text = skip_ornaments(text, end);
	colon = (text[-1] == ':');
	word = take_letters(&text, end);
	for (int i = 0; i < nwords; i++)
	{
		if (strcmp(word, words[i].word) == 0)
			return colon || are_arguments(text, end) ? words[i].marker : NULL;
	}
	return NULL;
}

/* what a comment of a set of that convention should have been, or NULL */
static char *
right_marker(const char *convention, const char *start, const char *end,
			 bool head)
{
	bool		goose = strcmp(convention, "goose") == 0;
	const char *meant;

	if (!goose && !has_native_markers(convention))
		return NULL;
	if (head && says_way(start, end, no_transaction_words))
		return pstrdup(goose ? "-- +goose NO TRANSACTION" :
					   "-- migrate:transactional off");
	meant = goose ?
		meant_marker(start, end, "goose", 5, goose_words,
					 lengthof(goose_words)) :
		meant_marker(start, end, "migr", 4, native_words,
					 lengthof(native_words));
	return meant ? psprintf("-- %s%s", goose ? "+goose " : "migrate:", meant) :
		NULL;
}

/*
 * A marker after SQL in its line is a comment to the tools, and what follows it
 * would run as one body with what stands before it.
 */
static bool
is_late_marker(const char *comment, const char *convention)
{
	const char *text = comment + 2;
	int			length = mig_lenient_scan_line_end(text) - text;

	if (strcmp(convention, "plain") != 0 &&
		meant_marker(text, text + length, "migr", 4, native_words,
					 lengthof(native_words)) != NULL)
		return true;
	for (; length > 0 && strchr("- \t", *text) != NULL; length--)
		text++;
	for (int i = 0; i < lengthof(foreign_markers); i++)
	{
		const ForeignMarker *marker = &foreign_markers[i];

		if ((strncmp(marker->text, "migrate:", 8) == 0 ||
			 strcmp(marker->text, "+goose") == 0 ||
			 strcmp(marker->text, "+migrate") == 0) &&
			matches_marker(text, length, marker, false, false))
			return true;
	}
	return false;
}

/*
 * What is wrong with the comment from p to next, if it is nearly a marker of the
 * set's own convention; else NULL.
 */
static char *
misspelt_message(const MigFileSet *set, const MigSourceFile *script,
				 const char *start, const char *p, const char *next,
				 int number, bool head, const char **hint)
{
	MigFileName name;
	char	   *right;

	if (p[0] == '-' && p[1] == '-' && !begins_line(start, p) &&
		is_late_marker(p, set->convention))
	{
		*hint = "Put the marker at the start of a line of its own.";
		return psprintf("file \"%s\" line %d has a marker after SQL, where it is a comment",
						script->path, number);
	}
	mig_file_path_split(script->path, &name);
	if (!is_lone_comment(start, p, next) || name.suffixed ||
		is_own_marker(set, p))
		return NULL;
	right = right_marker(set->convention, p, next, head);
	if (right == NULL)
		return NULL;
	*hint = psprintf("Write \"%s\", at the start of a line, if that is meant, or say more in a remark.",
					 right);
	return psprintf("file \"%s\" line %d has \"%s\", which looks like a marker of convention \"%s\" and is none",
					script->path, number,
					mig_printable_line(mig_file_line_trim(pnstrdup(p, next - p)),
									   MIG_EXCERPT_BYTES),
					set->convention);
}

/* ----------
 * Where the way back begins, in whatever words
 * ----------
 */

/*
 * Where a file goes over from the way forth to the way back
 */
typedef struct Turn
{
	bool		back;			/* this is the way back, or has no way */
	bool		forth;			/* statements, or a word for the way forth */
	int			line;			/* of a word for the way back after it; or 0 */
	const char *start;
	const char *end;
	const ForeignMarker *title; /* if it is a tool's */
} Turn;

/*
 * Note what a comment says, be it a marker that the convention reads, a title
 * or none of them.
 */
static void
note_way(Turn *turn, const MigFileSet *set, const char *start,
		 const char *end, const ForeignMarker *title, int line)
{
	bool		back = says_way(start, end, back_words) ||
		is_marker_of_any_tool(start, end);

	if (is_own_marker(set, start))
	{
		memset(turn, 0, sizeof(Turn));
		turn->back = back;
	}
	if (turn->line != 0 || (turn->back && title == NULL))
		return;
	if (says_way(start, end, forth_words) && !turn->forth)
		turn->forth = true;
	else if (turn->forth && (back || title != NULL))
	{
		turn->line = line;
		turn->start = start;
		turn->end = end;
		turn->title = title;
	}
}

static char *
turn_message(const MigFileSet *set, const MigSourceFile *script,
			 const Turn *turn,
			 const char **hint)
{
	char	   *comment;

	if (turn->title != NULL)
		return marker_message(set, script, turn->line, turn->title, hint);
	comment =
		mig_file_line_trim(pnstrdup(turn->start, turn->end - turn->start));

	*hint = "A marker of the way back?  Begin the two bodies with -- migrate:up and -- migrate:down then.  In a remark say more than that, or pass convention => 'plain', which reads no markers.";
	return psprintf("file \"%s\" line %d has statements after \"%s\", which is no marker of convention \"%s\"",
					script->path, turn->line, comment, set->convention);
}

char *
mig_known_tools_marker(const MigFileSet *set, const MigSourceFile *script,
					   const char **hint)
{
	MigFileName name;
	Turn		turn = {0};
	bool		unclosed = false;
	bool		head = true;	/* no statement so far */
	MigFileLine line;
	const char *start;
	const char *next;
	int			number = 1;
	char	   *message;

	mig_file_path_split(script->path, &name);
	turn.back = name.part != MIG_UP || strcmp(set->convention, "plain") == 0;
	mig_file_line_rewind(&line, script->content);
	start = line.next;
	for (const char *p = start; *p != '\0'; p = next)
	{
		const ForeignMarker *marker = NULL;

		/* of what is not closed nobody can tell how far it goes */
		next = unclosed ? mig_lenient_scan_step(p) : mig_lenient_scan_skip(p);
		if (next == NULL)
		{
			unclosed = true;
			next = p + 1;
		}

		if ((*p == '#' || (p[0] == '-' && p[1] == '-')) &&
			begins_line(start, p))
			marker = find_marker(p, mig_lenient_scan_line_end(p), set->convention,
								 number == 1, head);
		if (marker != NULL && marker->form != MARK_TITLE)
			return marker_message(set, script, number, marker, hint);
		message = (p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*') ?
			misspelt_message(set, script, start, p, next, number, head, hint) :
			NULL;
		if (message != NULL)
			return message;
		if (marker != NULL || is_lone_comment(start, p, next))
		{
			next = Max(next, *p == '#' ? mig_lenient_scan_line_end(p) : p);
			note_way(&turn, set, p, next, marker, number);
		}
		else if (!mig_lenient_scan_is_gap(p) && *p != ';')
		{
			head = false;
			if (turn.line != 0)
				return turn_message(set, script, &turn, hint);
			turn.forth = true;
		}
		for (; p < next; p++)
			number += (*p == '\n');
	}
	return NULL;
}
