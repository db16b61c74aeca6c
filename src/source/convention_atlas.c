/*-------------------------------------------------------------------------
 *
 * convention_atlas.c
 *	  The files of Atlas, and their sums.
 *
 * A file's sum in atlas.sum is that of the names and texts of all files up to it, so
 * that the last one speaks for all of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/checksum.h"
#include "base/errors.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "source/byte_order.h"
#include "source/convention_atlas.h"
#include "source/conventions.h"

#define SUM_FILE "atlas.sum"
#define SUM_PREFIX " h1:"

/* a line of atlas.sum */
typedef struct SumLine
{
	char	   *name;
	char	   *hash;
	const MigSourceFile *script;
	int			end;			/* of what it is the sum of */
} SumLine;


/* the sums lie beside the files */
static MigSourceFile *
find_sums(const MigFileSet *set)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		if (strcmp(mig_file_path_base(set->scripts[i].path), SUM_FILE) == 0)
			return &set->scripts[i];
	}
	return NULL;
}

/*
 * The directive of that name at the head of a file, with its value; or NULL.
 * The head is comments with a blank line after them.
 */
static char *
head_directive(const MigSourceFile *script, const char *name)
{
	MigFileLine line;
	char	   *found = NULL;

	mig_file_line_rewind(&line, script->content);
	while (mig_file_line_next(&line) && !mig_file_line_is_blank(&line))
	{
		int			length;
		const char *text = mig_file_line_comment(&line, &length);
		char	   *rest;
		char	   *word;

		if (text == NULL)
			return NULL;
		rest = pnstrdup(text, length);
		word = mig_file_line_next_word(&rest);
		if (word != NULL && strcmp(word, psprintf("atlas:%s", name)) == 0)
			found = mig_file_line_trim(rest);
	}
	return found;
}

/* MigTakeFunction */
static void
atlas_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	char	   *mode = head_directive(script, "txmode");

	mig_file_set_take(source, part, script);
	if (mode == NULL && strstr(script->content, "-- atlas:txmode") != NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("directive \"atlas:txmode\" in file \"%s\" is out of place",
						script->path),
				 errdetail("Atlas passes over directives that are not at the head of the file, with a blank line after them."),
				 errhint("Put a blank line after it, or take it out.")));
	if (mode == NULL)
		return;
	if (strcmp(mode, "none") == 0)
		source->transactional = MIG_TX_OFF;
	else if (strcmp(mode, "file") != 0 && strcmp(mode, "all") != 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("invalid directive \"atlas:txmode %s\" in file \"%s\"",
						mig_printable_line(mode, MIG_EXCERPT_BYTES),
						script->path),
				 errdetail("Expected none, file or all.")));
}

/* MigClaimFunction: VERSION_name.sql */
static bool
atlas_claim(const MigSourceFile *script, const MigFileName *name,
			MigClaim *claim)
{
	size_t		length = strcspn(name->base, "_");

	if (length == 0 || name->base[0] == '.')
		return false;
	claim->version = pnstrdup(name->base, length);
	claim->name = name->base + length + (name->base[length] == '_' ? 1 : 0);
	claim->key = name->base;
	claim->part = MIG_UP;
	return true;
}

/* raise that the sums are not those of the files */
static void
sum_error(const MigSourceFile *sums, const char *detail)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("file \"%s\" does not fit the files of the migrations",
					sums->path),
			 errdetail("%s", detail),
			 errhint("Put back what was changed, or run \"atlas migrate hash\" if the change is meant.")));
}

/* the lines of the file but the first one, which is the sum of the others */
static SumLine *
read_sums(const MigSourceFile *sums, int *count)
{
	int			most = 1;
	SumLine    *lines;
	MigFileLine line;

	for (const char *p = sums->content; *p != '\0'; p++)
		most += (*p == '\n');
	lines = palloc0(sizeof(SumLine) * most);
	*count = 0;
	mig_file_line_rewind(&line, sums->content);
	while (mig_file_line_next(&line))
	{
		char	   *text = mig_file_line_text(&line);
		char	   *prefix = strstr(text, SUM_PREFIX);

		if (line.number == 1 || *text == '\0')
			continue;
		if (prefix == NULL)
			sum_error(sums, psprintf("Line %d has no sum.", line.number));
		*prefix = '\0';
		lines[*count].name = text;
		lines[*count].hash = prefix + strlen(SUM_PREFIX);
		(*count)++;
	}
	return lines;
}

/* those that lie beside the sums, in the order of their names */
static List *
find_scripts(const MigFileSet *set, const MigSourceFile *sums)
{
	char	   *directory = mig_file_path_directory(sums->path);
	List	   *scripts = NIL;

	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];

		if (mig_file_path_is_sql(script->path) &&
			strcmp(mig_file_path_directory(script->path), directory) == 0)
			scripts = lappend(scripts, script);
	}
	return scripts;
}

/*
 * The same for files in the form of another tool: Atlas sums them up in that
 * tool's order, which is that of the lines, and perhaps without the ways back.
 */
static List *
find_scripts_of_other(const MigFileSet *set, const MigSourceFile *sums,
					  const SumLine *lines, int count)
{
	List	   *scripts = find_scripts(set, sums);
	List	   *ordered = NIL;
	ListCell   *lc;

	for (int i = 0; i < count; i++)
	{
		foreach(lc, scripts)
		{
			MigSourceFile *script = lfirst(lc);

			if (strcmp(mig_file_path_base(script->path), lines[i].name) != 0)
				continue;
			ordered = lappend(ordered, script);
			scripts = foreach_delete_current(scripts, lc);
			break;
		}
	}
	foreach(lc, scripts)
	{
		MigSourceFile *script = lfirst(lc);
		MigFileName name;

		mig_file_path_split(script->path, &name);
		if (name.part == MIG_UP &&
			!mig_file_path_matches(name.base, "U#*__*"))
			ordered = lappend(ordered, script);
	}
	return ordered;
}

/*
 * Put the names and texts of the scripts in a row, as they go into the sums;
 * *matched gets how many of the lines have their file in its place.
 */
static char *
join_files(List *scripts, SumLine *lines, int count, int *matched,
		   const MigSourceFile **extra)
{
	StringInfoData joined;
	ListCell   *lc;

	initStringInfo(&joined);
	*matched = 0;
	*extra = NULL;
	foreach(lc, scripts)
	{
		const MigSourceFile *script = lfirst(lc);
		const char *name = mig_file_path_base(script->path);
		char	   *mode;

		appendStringInfoString(&joined, name);
		mode = head_directive(script, "sum");
		if (mode != NULL && strcmp(mode, "ignore") == 0)
			continue;
		appendStringInfoString(&joined,
							   pg_server_to_any(script->content,
												strlen(script->content),
												PG_UTF8));
		if (*matched == count || strcmp(lines[*matched].name, name) != 0)
		{
			*extra = script;
			break;
		}
		lines[*matched].script = script;
		lines[(*matched)++].end = joined.len;
	}
	return joined.data;
}

static bool
is_sum_of(const SumLine *line, const char *joined)
{
	return strcmp(mig_checksum_sha256_base64(joined, line->end),
				  line->hash) == 0;
}

/*
 * Raise the first file that is not the one that has been summed up; own: the
 * files are in the form of Atlas.
 */
static void
check_sums(const MigFileSet *set, const MigSourceFile *sums, bool own)
{
	int			count;
	SumLine    *lines = read_sums(sums, &count);
	int			matched;
	const MigSourceFile *extra;
	List	   *scripts = own ? find_scripts(set, sums) :
		find_scripts_of_other(set, sums, lines, count);
	char	   *joined = join_files(scripts, lines, count, &matched, &extra);
	int			low = 0;
	int			high = matched;

	/* the first one that differs: from there on all do */
	if (matched == 0 || is_sum_of(&lines[matched - 1], joined))
		low = matched;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (is_sum_of(&lines[middle], joined))
			low = middle + 1;
		else
			high = middle;
	}
	if (low < matched)
		sum_error(sums, psprintf("File \"%s\" has another text.",
								 lines[low].script->path));
	if (extra != NULL && (matched == count ||
						  strcmp(mig_file_path_base(extra->path),
								 lines[matched].name) < 0))
		sum_error(sums, psprintf("It does not list file \"%s\".", extra->path));
	if (matched < count)
		sum_error(sums, psprintf("There is no file \"%s\".",
								 mig_printable_line(lines[matched].name,
													MIG_PATH_BYTES)));
}

void
mig_atlas_check_sums(MigFileSet *set)
{
	MigSourceFile *sums = find_sums(set);

	if (sums == NULL)
		return;
	check_sums(set, sums,
			   strcmp(set->convention, mig_convention_atlas.name) == 0);
	sums->used = true;
}

/* the order of files' names is that of their bytes */
static void
atlas_parse(MigFileSet *set)
{
	mig_file_set_pair(set, atlas_claim, atlas_take);
	mig_order_keep(mig_byte_order_of_files(set->sources));
}

/* sums, and no file that is in the form of another tool, for which Atlas has them */
static MigSourceFile *
atlas_detect(const MigFileSet *set)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		const MigSourceFile *script = &set->scripts[i];
		const char *base = mig_file_path_base(script->path);

		if (mig_file_path_has_suffix(base, ".up.sql") ||
			mig_file_path_has_suffix(base, ".down.sql") ||
			mig_file_path_matches(base, "V#*__*.sql") ||
			mig_file_path_matches(base, "R__*.sql") ||
			strstr(script->content, "-- +goose") != NULL ||
			strstr(script->content, "-- migrate:up") != NULL ||
			strstr(script->content, "--liquibase formatted") != NULL)
			return NULL;
	}
	return find_sums(set);
}

const MigConvention mig_convention_atlas = {
	.name = "atlas",
	.files = "VERSION_name.sql, with " SUM_FILE,
	.numbered = true,
	.detect = atlas_detect,
	.parse = atlas_parse
};
