/*-------------------------------------------------------------------------
 *
 * convention_native.c
 *	  Conventions whose files are cut into bodies by marker lines: the native
 *	  form, of which dbmate's files are a part, and goose.
 *
 * A marker is a comment line.  A section is what lies between a marker's line
 * and the next one's, byte for byte, and is recognized by lines alone: a
 * marker inside of a string literal or a block comment is one all the same, as
 * it is for the tools that these markers come from.
 *
 * What looks like a marker and is not a good one is an error and never a mere
 * comment: a misspelt "down" would otherwise run as a part of "up".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "base/errors.h"
#include "source/convention_native.h"
#include "lib/stringinfo.h"
#include "source/body.h"
#include "source/lenient_scan.h"

#define NATIVE_PREFIX "migrate:"
#define GOOSE_PREFIX "+goose"

/* comments that are not markers: see lint/text.c */
#define LINT_OFF "lint-off"
#define LINT_OFF_FILE "-file"

/* a file in the native form while it is cut */
typedef struct MarkerCut
{
	const MigSourceFile *script;
	MigSource  *source;
	MigFileLine line;
	const char *start;			/* of the open section, NULL: none yet */
	MigPart		part;			/* of the open section */
	char	   *sections[MIG_VERIFY + 1];	/* NULL: there is none */
	int			lines[MIG_VERIFY + 1];	/* where they begin */
} MarkerCut;

/* a native marker: either it opens the section of a part, or handle is set */
typedef struct NativeMarker
{
	const char *word;
	MigPart		part;
	void		(*handle) (MarkerCut *cut, char *words);
} NativeMarker;

static void native_requires(MarkerCut *cut, char *words);
static void native_repeatable(MarkerCut *cut, char *words);
static void native_transactional(MarkerCut *cut, char *words);
static void native_irreversible(MarkerCut *cut, char *words);

static const NativeMarker native_markers[] = {
	{"up", MIG_UP, NULL},
	{"down", MIG_DOWN, NULL},
	{"verify", MIG_VERIFY, NULL},
	{"requires", MIG_UP, native_requires},
	{"repeatable", MIG_UP, native_repeatable},
	{"transactional", MIG_UP, native_transactional},
	{"irreversible", MIG_UP, native_irreversible}
};


/*
 * If the line is a comment that begins with prefix, a copy of what follows.
 */
static char *
marker_text(const MigFileLine *line, const char *prefix)
{
	int			prefix_length = strlen(prefix);
	int			length;
	const char *text = mig_file_line_comment(line, &length);

	if (text == NULL || length < prefix_length ||
		pg_strncasecmp(text, prefix, prefix_length) != 0)
		return NULL;

	return pnstrdup(text + prefix_length, length - prefix_length);
}

/*
 * The same for the native form.  The comments that switch rules of the linter
 * off are for the linter, and part of a body.
 */
static char *
native_marker_text(const MigFileLine *line)
{
	char	   *text = marker_text(line, NATIVE_PREFIX);
	int			length;

	if (text == NULL || pg_strncasecmp(text, LINT_OFF, strlen(LINT_OFF)) != 0)
		return text;
	length = strlen(LINT_OFF);
	if (pg_strncasecmp(text + length, LINT_OFF_FILE, strlen(LINT_OFF_FILE)) == 0)
		length += strlen(LINT_OFF_FILE);
	return strchr(" \t\r\n", text[length]) != NULL ? NULL : text;
}

/*
 * A marker of the native form and nothing else.  "migrate:" may as well begin a
 * remark in a file of another tool, or be misspelt.
 */
static char *
native_marker_proof(const MigFileLine *line)
{
	static const char *const words[] = {
		"up", "down", "verify", "requires", "repeatable", "transactional",
		"irreversible"
	};
	char	   *text = native_marker_text(line);

	for (int i = 0; text != NULL && i < lengthof(words); i++)
	{
		size_t		length = strlen(words[i]);

		if (pg_strncasecmp(text, words[i], length) == 0 &&
			!isalnum((unsigned char) text[length]))
			return text;
	}
	return NULL;
}

static char *
goose_marker_text(const MigFileLine *line)
{
	return marker_text(line, GOOSE_PREFIX);
}

/* the first line of the file with such a marker; false if there is none */
static bool
find_marked_line(const MigSourceFile *script,
				 char *(*text_of) (const MigFileLine *line), MigFileLine *line)
{
	mig_file_line_rewind(line, script->content);
	while (mig_file_line_next(line))
	{
		if (text_of(line) != NULL)
			return true;
	}
	return false;
}

/* the first file that has a line with such a marker */
static MigSourceFile *
find_marked(const MigFileSet *set, char *(*text_of) (const MigFileLine *line))
{
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		MigFileLine line;

		if (mig_file_path_is_sql(script->path) &&
			find_marked_line(script, text_of, &line))
			return script;
	}
	return NULL;
}

char *
mig_convention_marker_place(const char *convention,
							const MigSourceFile *script)
{
	MigFileLine line;
	bool		goose = strcmp(convention, "goose") == 0;

	if ((!goose && strcmp(convention, "native") != 0) ||
		!find_marked_line(script, goose ? goose_marker_text :
						  native_marker_proof, &line))
		return "";
	return psprintf(" (line %d: \"%s\")", line.number,
					mig_file_line_excerpt(&line));
}

/* a marker must begin its line, as the tools want it */
static void
check_not_indented(const MigSourceFile *script, const MigFileLine *line)
{
	if (line->start[0] != '-')
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("marker \"%s\" is indented in file \"%s\" line %d",
						mig_file_line_excerpt(line), script->path,
						line->number),
				 errhint("Put the marker at the start of its line.")));
}

/* skip a block comment, which can have others in it; at text is its start */
static const char *
skip_block_comment(const char *text, const char *end)
{
	int			depth = 0;

	while (text < end)
	{
		if (text[0] == '/' && text[1] == '*')
		{
			depth++;
			text += 2;
		}
		else if (text[0] == '*' && text[1] == '/')
		{
			text += 2;
			if (--depth == 0)
				break;
		}
		else
			text++;
	}
	return Min(text, end);
}

/*
 * Make sure that nothing but comments comes before the first marker, because
 * it belongs to no section and is dropped.
 */
static void
check_preamble(const MigSourceFile *script, const char *end)
{
	MigFileLine line;
	const char *text;
	int			number = 1;

	mig_file_line_rewind(&line, script->content);
	text = line.next;

	while (text < end)
	{
		if (text[0] == '-' && text[1] == '-')
			text += strcspn(text, "\n");
		else if (text[0] == '/' && text[1] == '*')
		{
			const char *after = skip_block_comment(text, end);

			for (; text < after; text++)
				number += (*text == '\n');
		}
		else if (strchr(" \t\r\n\v\f", *text) != NULL)
			number += (*text++ == '\n');
		else
			ereport(ERROR,
					(errcode(MIG_ERRCODE_CONVENTION),
					 errmsg("text before the first marker in file \"%s\" line %d",
							script->path, number),
					 errdetail("Only blank lines and comments may come before it.")));
	}
}

/* the body of a section that may be left blank for "there is none" */
static char *
section_or_null(char *section)
{
	if (section == NULL || section[strspn(section, " \t\r\n\v\f")] == '\0')
		return NULL;
	return section;
}


/* ----------
 * The native form
 * ----------
 */

/* raise an error about the words of a marker */
static void
marker_error(MarkerCut *cut, const char *expected)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("invalid marker \"%s\" in file \"%s\" line %d",
					mig_file_line_excerpt(&cut->line), cut->script->path,
					cut->line.number),
			 errdetail("Expected \"%s\".", expected)));
}

/* two lines of a file may say the same, but not the opposite */
static void
set_transactional(MarkerCut *cut, bool on)
{
	MigTransactional said = on ? MIG_TX_ON : MIG_TX_OFF;

	if (cut->source->transactional != MIG_TX_RECOGNIZE &&
		cut->source->transactional != said)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("marker \"%s\" in file \"%s\" line %d contradicts an earlier one",
						mig_file_line_excerpt(&cut->line), cut->script->path,
						cut->line.number)));
	cut->source->transactional = said;
}

/* -- migrate:requires VERSION ... */
static void
native_requires(MarkerCut *cut, char *words)
{
	char	   *word = mig_file_line_next_word(&words);

	if (word == NULL)
		marker_error(cut, "-- migrate:requires VERSION ...");

	for (; word != NULL; word = mig_file_line_next_word(&words))
	{
		if (strchr(word, ',') != NULL)
			marker_error(cut, "-- migrate:requires VERSION VERSION ..., without a comma");
		cut->source->requires = lappend(cut->source->requires, word);
	}
}

/* -- migrate:repeatable */
static void
native_repeatable(MarkerCut *cut, char *words)
{
	if (mig_file_line_next_word(&words) != NULL)
		marker_error(cut, "-- migrate:repeatable");
	cut->source->kind = MIG_REPEATABLE;
}

/* -- migrate:transactional on|off */
static void
native_transactional(MarkerCut *cut, char *words)
{
	char	   *word = mig_file_line_next_word(&words);

	if (word == NULL || mig_file_line_next_word(&words) != NULL ||
		(pg_strcasecmp(word, "on") != 0 && pg_strcasecmp(word, "off") != 0))
		marker_error(cut, "-- migrate:transactional on|off");

	set_transactional(cut, pg_strcasecmp(word, "on") == 0);
}

/* -- migrate:irreversible */
static void
native_irreversible(MarkerCut *cut, char *words)
{
	if (mig_file_line_next_word(&words) != NULL)
		marker_error(cut, "-- migrate:irreversible");
	cut->source->irreversible = true;
}

/*
 * The option transaction:false of a section's marker.
 *
 * It counts for up alone: how down and verify have to be run is seen from
 * their statements.  Any other word is an error: dbmate passes over what it does
 * not know, transaction=false for example.
 */
static void
section_options(MarkerCut *cut, MigPart part, char *words)
{
	char	   *word;

	while ((word = mig_file_line_next_word(&words)) != NULL)
	{
		bool		on = strcmp(word, "transaction:true") == 0;

		if (!on && strcmp(word, "transaction:false") != 0)
			ereport(ERROR,
					(errcode(MIG_ERRCODE_CONVENTION),
					 errmsg("unrecognized word \"%s\" after a marker in file \"%s\" line %d",
							mig_printable_line(word, MIG_EXCERPT_BYTES),
							cut->script->path, cut->line.number),
					 errdetail("Only \"transaction:false\" or \"transaction:true\" may follow \"-- migrate:%s\".",
							   mig_body_part_name(part)),
					 errhint("If it is to run outside of a transaction, write \"-- migrate:%s transaction:false\".  Put remarks on a line of their own.",
							 mig_body_part_name(part))));
		if (part == MIG_UP)
			set_transactional(cut, on);
	}
}

/* end the open section, if any, at the start of a marker or of nothing */
static void
close_section(MarkerCut *cut, const char *end)
{
	if (cut->start == NULL)
		return;

	cut->sections[cut->part] = pnstrdup(cut->start, end - cut->start);
}

/*
 * Raise an error about the second section of one part: a copied block, or a
 * merge that went wrong.  Two that were joined would be one body whose lines
 * are not those of the file.
 */
static void
check_first_section(MarkerCut *cut, MigPart part)
{
	if (cut->sections[part] != NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("marker \"%s\" in file \"%s\" line %d begins a second %s section",
						mig_file_line_excerpt(&cut->line), cut->script->path,
						cut->line.number, mig_body_part_name(part)),
				 errdetail("The first one begins after line %d.",
						   cut->lines[part] - 1),
				 errhint("Put the statements together, or into another file.")));
}

/* a comment for the linter before the first marker would be dropped */
static void
check_no_lint_off(const MarkerCut *cut)
{
	MigFileLine line;

	mig_file_line_rewind(&line, cut->script->content);
	while (mig_file_line_next(&line) && line.number < cut->line.number)
	{
		if (marker_text(&line, NATIVE_PREFIX LINT_OFF) != NULL)
			ereport(ERROR,
					(errcode(MIG_ERRCODE_CONVENTION),
					 errmsg("comment \"%s\" is out of place in file \"%s\" line %d",
							mig_file_line_excerpt(&line), cut->script->path,
							line.number),
					 errhint("It belongs into a body, after the marker that begins it.")));
	}
}

/* act on a marker line; text is what follows the prefix */
static void
native_marker(MarkerCut *cut, char *text)
{
	char	   *word = text;

	check_not_indented(cut->script, &cut->line);

	/* the word follows the colon at once */
	if (mig_file_line_next_word(&text) != word)
		word = "";

	for (int i = 0; i < lengthof(native_markers); i++)
	{
		const NativeMarker *marker = &native_markers[i];

		if (pg_strcasecmp(word, marker->word) != 0)
			continue;

		if (marker->handle != NULL)
			marker->handle(cut, text);
		else
		{
			if (cut->start == NULL)
			{
				check_preamble(cut->script, cut->line.start);
				check_no_lint_off(cut);
			}
			close_section(cut, cut->line.start);
			check_first_section(cut, marker->part);
			cut->start = cut->line.next;
			cut->part = marker->part;
			cut->lines[marker->part] = cut->line.number + 1;
			section_options(cut, marker->part, text);
		}
		return;
	}

	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("unrecognized marker \"%s\" in file \"%s\" line %d",
					mig_file_line_excerpt(&cut->line), cut->script->path,
					cut->line.number),
			 errhint("The markers are migrate:up, migrate:down, migrate:verify, migrate:requires, migrate:repeatable, migrate:transactional and migrate:irreversible.")));
}

/* take the sections as the texts of the migration */
static void
finish_cut(MarkerCut *cut)
{
	MigSource  *source = cut->source;

	if (cut->start == NULL)
	{
		/* no marker: the file is the up body */
		mig_file_set_take(source, MIG_UP, cut->script);
		return;
	}

	close_section(cut, cut->line.next);
	if (cut->sections[MIG_UP] == NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" has no marker \"-- migrate:up\"",
						cut->script->path)));

	source->up = cut->sections[MIG_UP];
	source->down = cut->sections[MIG_DOWN];
	source->verify = section_or_null(cut->sections[MIG_VERIFY]);
	source->lines[MIG_UP] = cut->lines[MIG_UP];
	source->lines[MIG_DOWN] = cut->lines[MIG_DOWN];
	source->lines[MIG_VERIFY] = source->verify ? cut->lines[MIG_VERIFY] : 0;
}

/* no way back can be had and said to be missing at once */
static void
check_irreversible(MigSource *source, const MigSourceFile *script)
{
	if (source->irreversible && source->down != NULL &&
		mig_lenient_scan_is_empty(source->down))
	{
		source->down = NULL;
		source->lines[MIG_DOWN] = 0;
	}
	if (source->irreversible && source->down != NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("migration \"%s\" is irreversible and has a down in file \"%s\"",
						source->version, script->path)));
}

/* MigTakeFunction of an up file */
static void
native_take_up(MigSource *source, const MigSourceFile *script)
{
	MarkerCut	cut = {0};

	cut.script = script;
	cut.source = source;
	mig_file_line_rewind(&cut.line, script->content);
	while (mig_file_line_next(&cut.line))
	{
		char	   *text = native_marker_text(&cut.line);

		if (text != NULL)
			native_marker(&cut, text);
	}
	finish_cut(&cut);
	source->requires = mig_file_line_words_once(source->requires);
	check_irreversible(source, script);
}

/*
 * MigTakeFunction: an up file can have all parts and the head lines, a down or
 * verify file is its body and nothing else.
 */
static void
native_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	MigFileLine line;

	if (part == MIG_UP)
	{
		native_take_up(source, script);
		return;
	}

	mig_file_line_rewind(&line, script->content);
	while (mig_file_line_next(&line))
	{
		if (native_marker_text(&line) != NULL)
			ereport(ERROR,
					(errcode(MIG_ERRCODE_CONVENTION),
					 errmsg("marker \"%s\" is out of place in file \"%s\" line %d",
							mig_file_line_excerpt(&line), script->path,
							line.number),
					 errhint("Markers belong in the file \"%s\".",
							 source->path)));
	}

	if ((part == MIG_DOWN ? source->down : source->verify) != NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" repeats a section of file \"%s\"",
						script->path, source->path),
				 errhint("Keep one of the two.")));

	mig_file_set_take(source, part, script);
	check_irreversible(source, script);
}

/* MigClaimFunction: VERSION_name.sql, or VERSION.sql */
static bool
native_claim(const MigSourceFile *script, const MigFileName *name,
			 MigClaim *claim)
{
	char	   *underscore = strchr(name->stem, '_');

	/* neither an empty version nor a hidden file */
	if (strchr("_.", name->stem[0]) != NULL)
		return false;

	claim->key = name->stem;
	claim->part = name->part;
	if (underscore == NULL)
	{
		claim->version = name->stem;
		claim->name = "";
	}
	else
	{
		claim->version = pnstrdup(name->stem, underscore - name->stem);
		claim->name = underscore + 1;
	}
	return true;
}

/* MigClaimFunction: the whole file name is the version */
static bool
name_claim(const MigSourceFile *script, const MigFileName *name,
		   MigClaim *claim)
{
	if (name->stem[0] == '\0' || name->stem[0] == '.')
		return false;

	claim->key = name->stem;
	claim->version = name->stem;
	claim->name = "";
	claim->part = name->part;
	return true;
}

void
mig_convention_native_parse(MigFileSet *set)
{
	mig_file_set_pair(set, native_claim, native_take);
}

MigSourceFile *
mig_convention_native_detect(const MigFileSet *set)
{
	return find_marked(set, native_marker_proof);
}

/* the names of the native form; what is in the files is not looked at */
void
mig_convention_plain_parse(MigFileSet *set)
{
	mig_file_set_pair(set, native_claim, mig_file_set_take);
}

/* the markers of the native form */
void
mig_convention_name_parse(MigFileSet *set)
{
	mig_file_set_pair(set, name_claim, native_take);
}


/* ----------
 * goose
 * ----------
 */

/* a file of goose while it is cut; a section is closed when the next opens */
typedef struct Goose
{
	const MigSourceFile *script;
	MigSource  *source;
	MigFileLine line;
	const char *up;				/* start of the section, NULL: none yet */
	const char *down;
	const char *up_end;
	int			up_line;
	int			down_line;
	bool		in_statement;	/* between StatementBegin and StatementEnd */
} Goose;

/* raise an error about the annotation of the current line */
static void
goose_error(Goose *goose, const char *detail)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("invalid annotation \"%s\" in file \"%s\" line %d",
					mig_file_line_excerpt(&goose->line), goose->script->path,
					goose->line.number),
			 errdetail("%s", detail)));
}

/* -- +goose Up, -- +goose Down */
static void
goose_section(Goose *goose, bool up)
{
	if (goose->in_statement)
		goose_error(goose, "The statement before it has no StatementEnd.");

	if (up)
	{
		if (goose->up != NULL)
			goose_error(goose, "A file has one Up, before its Down.");
		check_preamble(goose->script, goose->line.start);
		goose->up = goose->line.next;
		goose->up_line = goose->line.number + 1;
	}
	else
	{
		if (goose->up == NULL || goose->down != NULL)
			goose_error(goose, "A file has one Down, after its Up.");
		goose->up_end = goose->line.start;
		goose->down = goose->line.next;
		goose->down_line = goose->line.number + 1;
	}
}

/* -- +goose StatementBegin, -- +goose StatementEnd */
static void
goose_statement(Goose *goose, bool begin)
{
	if (goose->up == NULL)
		goose_error(goose, "It comes before Up.");
	if (begin == goose->in_statement)
		goose_error(goose, "StatementBegin and StatementEnd do not alternate.");
	goose->in_statement = begin;
}

/* act on an annotation; text is what follows the prefix */
static void
goose_annotation(Goose *goose, char *text)
{
	StringInfoData words;
	char	   *word;

	check_not_indented(goose->script, &goose->line);

	initStringInfo(&words);
	while ((word = mig_file_line_next_word(&text)) != NULL)
		appendStringInfo(&words, "%s%s", words.len > 0 ? " " : "", word);

	if (pg_strcasecmp(words.data, "Up") == 0)
		goose_section(goose, true);
	else if (pg_strcasecmp(words.data, "Down") == 0)
		goose_section(goose, false);
	else if (pg_strcasecmp(words.data, "StatementBegin") == 0)
		goose_statement(goose, true);
	else if (pg_strcasecmp(words.data, "StatementEnd") == 0)
		goose_statement(goose, false);
	else if (pg_strcasecmp(words.data, "NO TRANSACTION") == 0)
		goose->source->transactional = MIG_TX_OFF;
	else if (pg_strcasecmp(words.data, "ENVSUB ON") == 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" line %d asks for the substitution of environment variables",
						goose->script->path, goose->line.number),
				 errdetail("The server does not have the environment of the one who loads a file."),
				 errhint("Write the values into the file and remove the annotation.")));
	else if (pg_strcasecmp(words.data, "ENVSUB OFF") != 0)
		goose_error(goose, "The annotations are Up, Down, StatementBegin, StatementEnd, NO TRANSACTION, ENVSUB ON and ENVSUB OFF.");
}

/*
 * MigTakeFunction.  Annotations inside of a section stay in its body, where
 * they are comments, so that the lines of body and file go together.
 */
static void
goose_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	Goose		goose = {0};
	const char *end;

	goose.script = script;
	goose.source = source;
	mig_file_line_rewind(&goose.line, script->content);
	while (mig_file_line_next(&goose.line))
	{
		char	   *text = marker_text(&goose.line, GOOSE_PREFIX);

		if (text != NULL)
			goose_annotation(&goose, text);
	}
	end = goose.line.next;

	if (goose.up == NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" has no annotation \"-- +goose Up\"",
						script->path)));
	if (goose.in_statement)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" ends within a StatementBegin",
						script->path)));

	source->up = pnstrdup(goose.up,
						  (goose.down != NULL ? goose.up_end : end) - goose.up);
	source->lines[MIG_UP] = goose.up_line;
	if (goose.down != NULL)
	{
		source->down = pnstrdup(goose.down, end - goose.down);
		source->lines[MIG_DOWN] = goose.down_line;
	}
}

/* MigClaimFunction: NUMBER_name.sql */
static bool
goose_claim(const MigSourceFile *script, const MigFileName *name,
			MigClaim *claim)
{
	char	   *underscore = strchr(name->base, '_');

	if (underscore == NULL)
		return false;

	claim->version = pnstrdup(name->base, underscore - name->base);
	if (!mig_file_path_is_digits(claim->version))
		return false;
	claim->key = mig_file_path_numeric_key(claim->version);
	claim->name = underscore + 1;
	claim->part = MIG_UP;
	return true;
}

void
mig_convention_goose_parse(MigFileSet *set)
{
	mig_file_set_pair(set, goose_claim, goose_take);
}

MigSourceFile *
mig_convention_goose_detect(const MigFileSet *set)
{
	return find_marked(set, goose_marker_text);
}
