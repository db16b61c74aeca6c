/*-------------------------------------------------------------------------
 *
 * foreign.c
 *	  Markers and file names of known tools, and which conventions read them.
 *
 * A tool that keeps the way back in the same file, or in a file beside it that
 * looks like a migration, has its marker or its file name here: who loads such
 * files by a convention that does not read it would run the way back right
 * after the way forth.  The same goes for what says how a body is run.
 *
 * Tools find markers by lines.  A line counts unless it is inside of a literal,
 * a dollar body or a block comment, as far as that can be told, so that text
 * about migrations is not taken for one of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "foreign.h"
#include "sqltext.h"

/* how the text of a comment is compared, dashes and ornaments before it aside */
typedef enum MarkerForm
{
	MARK_WORD,					/* begins with it, and there a word ends */
	MARK_PREFIX,				/* begins with it */
	MARK_TITLE,					/* is it, and SQL stands before and after */
	MARK_FIRST					/* is it, in the first line */
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
	{"migrate:up", MARK_WORD, "dbmate", " native name ", NULL},
	{"migrate:down", MARK_WORD, "dbmate", " native name ", NULL},
	{"migrate:verify", MARK_WORD, "convention \"native\"", " native name ", NULL},
	{"migrate:requires", MARK_WORD, "convention \"native\"", " native name ", NULL},
	{"migrate:repeatable", MARK_WORD, "convention \"native\"", " native name ", NULL},
	{"migrate:transactional", MARK_WORD, "convention \"native\"", " native name ", NULL},
	{"migrate:irreversible", MARK_WORD, "convention \"native\"", " native name ", NULL},
	{"+goose", MARK_WORD, "goose", " goose ", NULL},
	{"+migrate", MARK_WORD, "sql-migrate", "", WRITE_SECTIONS},
	{"+micrate", MARK_WORD, "micrate", "", WRITE_SECTIONS},
	{"liquibase formatted sql", MARK_WORD, "Liquibase", "",
	"Write a file for each changeset, with -- migrate:down before what its --rollback lines say."},
	{"changeset ", MARK_PREFIX, "Liquibase", "",
	"Write a file for each changeset, with -- migrate:down before what its --rollback lines say."},
	{"create above / drop below", MARK_WORD, "tern", "", WRITE_SECTIONS},
	{"tern:", MARK_PREFIX, "tern", "", WRITE_TRANSACTIONAL},
	{"down migration", MARK_TITLE, "node-pg-migrate", "", WRITE_SECTIONS},
	{"up migration", MARK_TITLE, "node-pg-migrate", "", WRITE_SECTIONS},
	{"down", MARK_TITLE, "shmig", "", WRITE_SECTIONS},
	{"//@undo", MARK_WORD, "MyBatis Migrations", "", WRITE_SECTIONS},
	{"// @undo", MARK_WORD, "MyBatis Migrations", "", WRITE_SECTIONS},
	{"@undo", MARK_WORD, "MyBatis Migrations", "", WRITE_SECTIONS},
	{"rambler up", MARK_WORD, "rambler", "", WRITE_SECTIONS},
	{"rambler down", MARK_WORD, "rambler", "", WRITE_SECTIONS},
	{"!ups", MARK_WORD, "Play", "", WRITE_SECTIONS},
	{"!downs", MARK_WORD, "Play", "", WRITE_SECTIONS},
	{"! previous:", MARK_PREFIX, "graphile-migrate", "",
	"Take out the lines at the head of the file that begin with --!."},
	{"! hash:", MARK_PREFIX, "graphile-migrate", "",
	"Take out the lines at the head of the file that begin with --!."},
	{"! message:", MARK_PREFIX, "graphile-migrate", "",
	"Take out the lines at the head of the file that begin with --!."},
	{"! allowinvalidhash", MARK_WORD, "graphile-migrate", "",
	"Take out the lines at the head of the file that begin with --!."},
	{"! no-transaction", MARK_WORD, "graphile-migrate", "", WRITE_TRANSACTIONAL},
	{"!no-transaction", MARK_WORD, "graphile-migrate", "", WRITE_TRANSACTIONAL},
	{"!include", MARK_WORD, "graphile-migrate", "",
	"Write the text of the included file in place of the marker."},
	{"atlas:txmode", MARK_WORD, "Atlas", "", WRITE_TRANSACTIONAL},
	{"atlas:delimiter", MARK_WORD, "Atlas", "", TAKE_OUT},
	{"atlas:checkpoint", MARK_WORD, "Atlas", "",
	"Leave the file out: it stands for all those before it."},
	{"atlas:txtar", MARK_WORD, "Atlas", "", TAKE_OUT},
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
	{"#.do.sql", "Postgrator", "", RENAME},
	{"#.do.*.sql", "Postgrator", "", RENAME},
	{"#.undo.sql", "Postgrator", "", RENAME},
	{"#.undo.*.sql", "Postgrator", "", RENAME},
	{"*.rollback.sql", "yoyo", "", RENAME},
	{"#-up.sql", "db-migrate", "", RENAME},
	{"#-down.sql", "db-migrate", "", RENAME},
	{"#-*-up.sql", "db-migrate", "", RENAME},
	{"#-*-down.sql", "db-migrate", "", RENAME},
	{"rollback-#*.sql", "Dogfish", "", RENAME},
	{"*.everytime.*sql", "grate", "",
	"Say -- migrate:repeatable in the file, and rename it to VERSION_name.sql."},
	{"V#*__*.sql", "Flyway", " flyway ", NULL},
	{"U#*__*.sql", "Flyway", " flyway ", NULL},
	{"B#*__*.sql", "Flyway", " flyway ", NULL},
	{"R__*.sql", "Flyway", " flyway ", NULL},
	{"*.sql.conf", "Flyway", " flyway ", NULL},
	{"*.verify.sql", "convention \"native\"", " native plain name ", NULL},
	{"*.up.sql", "golang-migrate", " native plain name golang-migrate sqlx ", NULL},
	{"*.down.sql", "golang-migrate", " native plain name golang-migrate sqlx ", NULL},
	{"up.sql", "diesel", " diesel ", NULL},
	{"down.sql", "diesel", " diesel ", NULL},
	{"metadata.toml", "diesel", " diesel ", NULL},
	{"migration.sql", "Prisma", " prisma ", NULL},
	{"migration_lock.toml", "Prisma", " prisma ", NULL},
	{"sqitch.plan", "Sqitch", " sqitch ", NULL}
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

char *
mig_foreign_name(const MigFileSet *set, const MigScript *script,
				 const char **hint)
{
	const char *base = mig_path_base(script->path);

	for (int i = 0; i < lengthof(foreign_names); i++)
	{
		const ForeignName *name = &foreign_names[i];

		if (!mig_path_matches(base, name->pattern) ||
			is_read(name->readers, set->convention))
			continue;
		*hint = make_hint(name->readers, name->hint);
		return psprintf("file \"%s\" has a name as %s gives it, which convention \"%s\" does not read",
						script->path, name->tool, set->convention);
	}
	return NULL;
}

/* does the comment say what the marker says? */
static bool
says(const char *text, int length, const ForeignMarker *marker, bool first_line)
{
	int			marker_length = strlen(marker->text);
	char		next = length > marker_length ? text[marker_length] : '\0';

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
	}
	return false;				/* keep compiler quiet */
}

/*
 * The marker in a comment of the -- kind, or of Play's # kind, which begins at
 * comment and ends at end; NULL if there is none.
 */
static const ForeignMarker *
find_marker(const char *comment, const char *end, const char *convention,
			bool first_line)
{
	const char *text = comment;

	while (end > text && strchr(" \t\r", end[-1]) != NULL)
		end--;
	while (text < end && strchr("-#=* \t", *text) != NULL)
		text++;
	for (int i = 0; i < lengthof(foreign_markers); i++)
	{
		if (says(text, end - text, &foreign_markers[i], first_line) &&
			!is_read(foreign_markers[i].readers, convention))
			return &foreign_markers[i];
	}
	return NULL;
}

static char *
marker_message(const MigFileSet *set, const MigScript *script, int line,
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
	return place == start || place[-1] == '\n';
}

char *
mig_foreign_marker(const MigFileSet *set, const MigScript *script,
				   const char **hint)
{
	const ForeignMarker *title = NULL;
	int			title_line = 0;
	bool		statements = false;
	MigLine		line;
	const char *start;
	const char *next;
	int			number = 1;

	mig_line_rewind(&line, script->content);
	start = line.next;
	for (const char *p = start; *p != '\0'; p = next)
	{
		const ForeignMarker *marker = NULL;

		/* of what is not closed nobody can tell how far it goes */
		next = mig_sqltext_skip(p);
		if (next == NULL)
			next = p + 1;

		if ((*p == '#' || (p[0] == '-' && p[1] == '-')) &&
			begins_line(start, p))
			marker = find_marker(p, p + strcspn(p, "\n"), set->convention,
								 number == 1);
		if (marker != NULL && marker->form != MARK_TITLE)
			return marker_message(set, script, number, marker, hint);
		if (marker != NULL)
		{
			next = p + strcspn(p, "\n");
			if (statements && title == NULL)
			{
				title = marker;
				title_line = number;
			}
		}
		else if (!mig_sqltext_is_gap(p) && *p != ';')
		{
			if (title != NULL)
				return marker_message(set, script, title_line, title, hint);
			statements = true;
		}
		for (; p < next; p++)
			number += (*p == '\n');
	}
	return NULL;
}
