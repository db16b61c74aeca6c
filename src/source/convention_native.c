/*-------------------------------------------------------------------------
 *
 * convention_native.c
 *	  The native form: files cut into bodies by marker lines.  dbmate's files
 *	  are a part of it.
 *
 * What looks like a marker and is not a good one is an error and never a mere
 * comment: a misspelt "down" would otherwise run as a part of "up".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "base/errors.h"
#include "base/version_order.h"
#include "source/body.h"
#include "source/conventions.h"
#include "source/marker_line.h"
#include "source/trial_parse.h"

#define NATIVE_PREFIX "migrate:"

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
 * The same for the native form.  The comments that switch rules of the linter
 * off are for the linter, and part of a body.
 */
static char *
native_marker_text(const MigFileLine *line)
{
	char	   *text = mig_marker_text(line, NATIVE_PREFIX);
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
		if (mig_marker_text(&line, NATIVE_PREFIX LINT_OFF) != NULL)
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

	mig_marker_check_not_indented(cut->script, &cut->line);

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
				mig_marker_check_preamble(cut->script, cut->line.start);
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
		mig_trial_is_empty(source->down))
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

static void
native_parse(MigFileSet *set)
{
	mig_file_set_pair(set, native_claim, native_take);
}

static MigSourceFile *
native_detect(const MigFileSet *set)
{
	return mig_marker_find_file(set, native_marker_proof);
}

/* the names of the native form; what is in the files is not looked at */
static void
plain_parse(MigFileSet *set)
{
	mig_file_set_pair(set, native_claim, mig_file_set_take);
}

/* the markers of the native form */
static void
name_parse(MigFileSet *set)
{
	mig_file_set_pair(set, name_claim, native_take);
}

const MigConvention mig_convention_native = {
	.name = "native",
	.files = "VERSION_name.sql, VERSION_name.down.sql, VERSION_name.verify.sql",
	.numbered = true,
	.version_key = mig_version_without_zeros,
	.marker = native_marker_proof,
	.detect = native_detect,
	.ours = true,
	.native_markers = true,
	.transactional_off = "-- migrate:transactional off",
	.parse = native_parse
};

const MigConvention mig_convention_plain = {
	.name = "plain",
	.files = "VERSION_name.sql, VERSION_name.down.sql, VERSION_name.verify.sql",
	.numbered = true,
	.version_key = mig_version_without_zeros,
	.ours = true,
	.parse = plain_parse
};

const MigConvention mig_convention_name = {
	.name = "name",
	.files = "VERSION.sql, VERSION.down.sql, VERSION.verify.sql",
	.ours = true,
	.native_markers = true,
	.transactional_off = "-- migrate:transactional off",
	.parse = name_parse
};
