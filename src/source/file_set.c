/*-------------------------------------------------------------------------
 *
 * file_set.c
 *	  A set of files: their names, their lines, and which belong together.
 *
 * Paths and contents are compared byte by byte.  What is looked for in them
 * (suffixes, markers, digits) is ASCII, and no byte of a multibyte character
 * is an ASCII byte in any encoding that a server can have, so no function here
 * needs to know the encoding.
 *
 * Texts are not copied where they can be shared: a MigSource made here may
 * point into the content of its file.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/file_set.h"
#include "source/lenient_scan.h"
#include "miscadmin.h"
#include "base/subxact.h"

#define BLANKS " \t\r\n\v\f"

/* a file that a convention took, on its way to a migration */
typedef struct Claimed
{
	MigClaim	claim;
	MigSourceFile *script;
} Claimed;

typedef struct PartSuffix
{
	const char *suffix;
	MigPart		part;
} PartSuffix;

static const PartSuffix part_suffixes[] = {
	{".up", MIG_UP},
	{".down", MIG_DOWN},
	{".verify", MIG_VERIFY}
};


/* the path without its directories */
const char *
mig_file_path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* the directories of the path with the last slash; "" if there are none */
char *
mig_file_path_directory(const char *path)
{
	return pnstrdup(path, mig_file_path_base(path) - path);
}

/* the name of the directory that the file is in, "" if there is none */
char *
mig_file_path_directory_name(const char *path)
{
	char	   *directory = mig_file_path_directory(path);

	if (*directory == '\0')
		return directory;
	directory[strlen(directory) - 1] = '\0';
	return pstrdup(mig_file_path_base(directory));
}

/* suffixes are compared without regard to case, .SQL is .sql */
bool
mig_file_path_has_suffix(const char *path, const char *suffix)
{
	size_t		length = strlen(path);
	size_t		suffix_length = strlen(suffix);

	return length >= suffix_length &&
		pg_strcasecmp(path + length - suffix_length, suffix) == 0;
}

/* only such files hold bodies; all others may be left out by a convention */
bool
mig_file_path_is_sql(const char *path)
{
	return mig_file_path_has_suffix(path, ".sql");
}

/*
 * Does the pattern fit all of the path?  * stands for any characters, those
 * between directories too, ? for one, # for a row of digits.  Upper and lower
 * case are the same.
 */
bool
mig_file_path_matches(const char *path, const char *pattern)
{
	const char *star = NULL;	/* the last * in the pattern, and what it */
	const char *rest = NULL;	/* leaves of the path so far */

	while (*path != '\0' || *pattern != '\0')
	{
		if (*pattern == '*')
		{
			star = pattern++;
			rest = path;
		}
		else if (*pattern == '#' && *path >= '0' && *path <= '9')
		{
			path += strspn(path, "0123456789");
			pattern++;
		}
		else if (*path != '\0' &&
				 (*pattern == '?' ||
				  pg_tolower((unsigned char) *pattern) ==
				  pg_tolower((unsigned char) *path)))
		{
			path++;
			pattern++;
		}
		else if (star != NULL && *rest != '\0')
		{
			CHECK_FOR_INTERRUPTS();
			pattern = star + 1;
			path = ++rest;
		}
		else
			return false;
	}
	return true;
}

/*
 * Take the path of a .sql file apart.
 */
void
mig_file_path_split(const char *path, MigFileName *name)
{
	name->base = pstrdup(mig_file_path_base(path));
	name->base[strlen(name->base) - strlen(".sql")] = '\0';
	name->stem = name->base;
	name->part = MIG_UP;
	name->suffixed = false;

	for (int i = 0; i < lengthof(part_suffixes); i++)
	{
		const char *suffix = part_suffixes[i].suffix;

		if (mig_file_path_has_suffix(name->base, suffix))
		{
			name->stem = pnstrdup(name->base,
								  strlen(name->base) - strlen(suffix));
			name->part = part_suffixes[i].part;
			name->suffixed = true;
			break;
		}
	}
}

/*
 * Before the first line of text: mig_file_line_next() has to be called to get
 * it.
 */
void
mig_file_line_rewind(MigFileLine *line, const char *text)
{
	/* a UTF-8 byte-order mark would hide a marker in the first line */
	if (strncmp(text, "\xEF\xBB\xBF", 3) == 0)
		text += 3;

	line->start = text;
	line->length = 0;
	line->number = 0;
	line->next = text;
}

/*
 * Go to the next line, which ends with LF, CRLF, CR or the text; false: no more.
 * It is counted as everywhere, by LF.
 */
bool
mig_file_line_next(MigFileLine *line)
{
	const char *end;

	CHECK_FOR_INTERRUPTS();
	if (*line->next == '\0')
		return false;

	line->start = line->next;
	if (line->number == 0 || line->start[-1] == '\n')
		line->number++;

	end = mig_lenient_scan_line_end(line->start);
	line->length = end - line->start;
	if (end[0] == '\r' && end[1] == '\n')
		end++;
	line->next = *end == '\0' ? end : end + 1;
	return true;
}

/* nothing but white space? */
bool
mig_file_line_is_blank(const MigFileLine *line)
{
	for (int i = 0; i < line->length; i++)
	{
		if (strchr(BLANKS, line->start[i]) == NULL)
			return false;
	}
	return true;
}

/*
 * If the line is a comment of the -- kind: what follows the dashes and blanks,
 * not terminated, length bytes of it.  Else NULL.
 */
const char *
mig_file_line_comment(const MigFileLine *line, int *length)
{
	const char *end = line->start + line->length;
	const char *text = line->start + strspn(line->start, " \t");

	/* the terminating NUL or line end stops these tests in time */
	if (text[0] != '-' || text[1] != '-')
		return NULL;
	text += 2;
	text += strspn(text, " \t");

	*length = end - text;
	return text;
}

/* a copy of the line without white space at its ends */
char *
mig_file_line_text(const MigFileLine *line)
{
	return mig_file_line_trim(pnstrdup(line->start, line->length));
}

/* the same for a message */
char *
mig_file_line_excerpt(const MigFileLine *line)
{
	return mig_printable_line(mig_file_line_text(line), MIG_EXCERPT_BYTES);
}

/*
 * The next word of a string that may be written to, NULL if there is none.
 */
char *
mig_file_line_next_word(char **rest)
{
	char	   *word = *rest + strspn(*rest, BLANKS);
	char	   *end = word + strcspn(word, BLANKS);

	if (end == word)
		return NULL;

	*rest = end;
	if (*end != '\0')
	{
		*end = '\0';
		*rest = end + 1;
	}
	return word;
}

/* take white space off both ends, in place */
char *
mig_file_line_trim(char *text)
{
	char	   *end;

	text += strspn(text, BLANKS);
	end = text + strlen(text);
	while (end > text && strchr(BLANKS, end[-1]) != NULL)
		end--;
	*end = '\0';

	return text;
}

/* one of the words of a list, while those that come again are looked for */
typedef struct Word
{
	char	   *word;
	int			position;
} Word;

/* qsort() helper: equal words together, the first one first */
static int
compare_word(const void *a, const void *b)
{
	const Word *wa = a;
	const Word *wb = b;
	int			result = strcmp(wa->word, wb->word);

	return result != 0 ? result : wa->position - wb->position;
}

/*
 * The list without words that it has had before.  A file may have any number of
 * them.
 */
List *
mig_file_line_words_once(List *list)
{
	int			count = list_length(list);
	Word	   *words = palloc(Max(count, 1) * sizeof(Word));
	bool	   *again = palloc0(Max(count, 1) * sizeof(bool));
	List	   *once = NIL;
	int			i;

	for (i = 0; i < count; i++)
	{
		words[i].word = list_nth(list, i);
		words[i].position = i;
	}
	qsort(words, count, sizeof(Word), compare_word);
	for (i = 1; i < count; i++)
		again[words[i].position] =
			strcmp(words[i].word, words[i - 1].word) == 0;
	for (i = 0; i < count; i++)
	{
		if (!again[i])
			once = lappend(once, list_nth(list, i));
	}
	return once;
}

/* append a word to a short list that shall have it once */
List *
mig_file_line_add_word(List *words, char *word)
{
	ListCell   *lc;

	foreach(lc, words)
	{
		if (strcmp(lfirst(lc), word) == 0)
			return words;
	}
	return lappend(words, word);
}

/* one digit or more, and nothing else */
bool
mig_file_path_is_digits(const char *text)
{
	return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/*
 * A string that is equal for versions that are equal as numbers: "1", "001"
 * and "1.0", but not "10".  version consists of digits and dots.
 */
char *
mig_file_path_numeric_key(const char *version)
{
	char	   *key = palloc(strlen(version) + 1);
	char	   *to = key;
	char	   *end = key;

	/* end follows the last digit kept that is not a trailing zero number */
	while (*version != '\0')
	{
		version += strspn(version, "0");
		while (*version != '\0' && *version != '.')
		{
			*to++ = *version++;
			end = to;
		}
		if (*version == '.')
			*to++ = *version++;
	}
	*end = '\0';

	return key;
}

/* bsearch() helper: path with script */
static int
compare_path(const void *a, const void *b)
{
	return strcmp((const char *) a, ((const MigSourceFile *) b)->path);
}

/* the file of that path, or NULL */
MigSourceFile *
mig_file_set_find(const MigFileSet *set, const char *path)
{
	/* bsearch() must not be given the null pointer of an empty set */
	if (set->nscripts == 0)
		return NULL;

	return bsearch(path, set->scripts, set->nscripts, sizeof(MigSourceFile),
				   compare_path);
}

/* leave the file out, and remember why; the strings are kept */
void
mig_file_set_refuse(MigFileSet *set, MigSourceFile *script,
					const char *message,
					const char *detail, const char *hint)
{
	MigRefusal *refusal = palloc(sizeof(MigRefusal));

	refusal->path = script->path;
	refusal->message = message;
	refusal->detail = detail;
	refusal->hint = hint;
	set->refusals = lappend(set->refusals, refusal);
	script->refused = true;
}

/* a new migration of the set, versioned, with all that is optional missing */
MigSource *
mig_file_set_add(MigFileSet *set, const MigSourceFile *up, char *version,
				 char *name)
{
	MigSource  *source = palloc0(sizeof(MigSource));

	source->version = version;
	source->name = name;
	source->kind = MIG_VERSIONED;
	source->transactional = MIG_TX_RECOGNIZE;
	source->path = pstrdup(up->path);
	source->source = set->convention;
	set->sources = lappend(set->sources, source);

	return source;
}

/* the path of a script that is not the migration's first one, else NULL */
static char *
other_path(const MigSource *source, const MigSourceFile *script)
{
	return strcmp(source->path, script->path) == 0 ? NULL :
		pstrdup(script->path);
}

/*
 * A whole file is a body: the simplest MigTakeFunction.
 */
void
mig_file_set_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	source->lines[part] = 1;
	switch (part)
	{
		case MIG_UP:
			source->up = script->content;
			break;
		case MIG_DOWN:
			source->down = script->content;
			source->down_path = other_path(source, script);
			break;
		case MIG_VERIFY:
			source->verify = script->content;
			source->verify_path = other_path(source, script);
			break;
	}
}

/* qsort() helper: the files of a migration together, its up file first */
static int
compare_claimed(const void *a, const void *b)
{
	const Claimed *ca = a;
	const Claimed *cb = b;
	int			result = strcmp(ca->claim.key, cb->claim.key);

	if (result == 0)
		result = (int) ca->claim.part - (int) cb->claim.part;
	if (result == 0)
		result = strcmp(ca->script->path, cb->script->path);
	return result;
}

/* the files of the set that the convention takes, sorted; returns how many */
static int
collect_claims(MigFileSet *set, MigClaimFunction claim, Claimed *claimed)
{
	int			n = 0;

	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		MigFileName name;

		CHECK_FOR_INTERRUPTS();

		if (script->refused || !mig_file_path_is_sql(script->path))
			continue;

		mig_file_path_split(script->path, &name);
		memset(&claimed[n].claim, 0, sizeof(MigClaim));
		if (claim(script, &name, &claimed[n].claim))
		{
			script->used = true;
			claimed[n++].script = script;
		}
	}

	if (n > 1)
		qsort(claimed, n, sizeof(Claimed), compare_claimed);
	return n;
}

/* a call of a MigTakeFunction */
typedef struct Taking
{
	MigTakeFunction take;
	MigSource  *source;
	MigPart		part;
	const MigSourceFile *script;
} Taking;

static void
take_claimed_script(void *arg)
{
	Taking	   *taking = (Taking *) arg;

	taking->take(taking->source, taking->part, taking->script);
}

/*
 * Take a file of a migration; of a set that is loaded in part, refuse it for
 * an error in it.  Without its up body there is no migration, and without
 * another one it must not be there as if it had never had one.
 */
static void
take_or_refuse(MigFileSet *set, MigTakeFunction take, MigSource *source,
			   MigPart part, MigSourceFile *script)
{
	Taking		taking = {take, source, part, script};
	ErrorData  *edata;

	if (!set->partial)
	{
		take(source, part, script);
		return;
	}
	edata = mig_subxact_run(take_claimed_script, &taking, true);
	if (edata == NULL)
		return;
	if (edata->sqlerrcode != MIG_ERRCODE_CONVENTION)
		ReThrowError(edata);
	mig_file_set_refuse(set, script, edata->message, edata->detail,
						edata->hint);
	set->sources = list_delete_ptr(set->sources, source);
}

/*
 * Make migrations of the files that belong together by their names.
 *
 * A migration needs an up file and can have one file of each other part.
 * take is called for its files in the order up, down, verify.  A file of
 * another part without an up file is an orphan, and left out.
 */
void
mig_file_set_pair(MigFileSet *set, MigClaimFunction claim,
				  MigTakeFunction take)
{
	Claimed    *claimed = palloc(Max(set->nscripts, 1) * sizeof(Claimed));
	int			n = collect_claims(set, claim, claimed);
	MigSource  *source = NULL;

	for (int i = 0; i < n; i++)
	{
		MigClaim   *this = &claimed[i].claim;
		MigSourceFile *script = claimed[i].script;
		bool		same;

		CHECK_FOR_INTERRUPTS();

		same = i > 0 && strcmp(this->key, claimed[i - 1].claim.key) == 0;
		if (same && this->part == claimed[i - 1].claim.part)
			ereport(ERROR,
					(errcode(MIG_ERRCODE_DUPLICATE),
					 errmsg("version \"%s\" is claimed by file \"%s\" and by file \"%s\"",
							this->version, claimed[i - 1].script->path,
							script->path),
					 errhint("Two branches may have taken the same version: give one of the files another.")));

		if (!same)
			source = NULL;
		if (this->part == MIG_UP)
		{
			source = mig_file_set_add(set, script, this->version, this->name);
			source->kind = this->kind;
		}
		if (source == NULL)
			set->orphans = lappend(set->orphans,
								   unconstify(char *, script->path));
		else
			take_or_refuse(set, take, source, this->part, script);
	}
}
