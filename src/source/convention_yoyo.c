/*-------------------------------------------------------------------------
 *
 * convention_yoyo.c
 *	  The SQL files of yoyo.
 *
 * The name of a file is the version.  Comments at its head say what must be applied
 * before, and whether it runs in a transaction.  The tool goes by the bytes of the
 * files' names where these do not say otherwise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/byte_order.h"
#include "source/conventions.h"


/* the setting in a comment at the head of a file, with its value; or NULL */
static char *
yoyo_setting(const MigFileLine *line, const char *key)
{
	int			length;
	const char *text = mig_file_line_comment(line, &length);
	char	   *copy;

	if (text == NULL)
		return NULL;
	copy = pnstrdup(text, length);
	if (strncmp(copy, key, strlen(key)) != 0)
		return NULL;
	copy += strlen(key);
	copy += strspn(copy, " \t");
	return *copy == ':' ? mig_file_line_trim(copy + 1) : NULL;
}

/* act on a line at the head */
static void
take_head_line(MigSource *source, const MigSourceFile *script,
			   const MigFileLine *line)
{
	char	   *value = yoyo_setting(line, "depends");
	char	   *word;

	while (value != NULL && (word = mig_file_line_next_word(&value)) != NULL)
		source->requires = lappend(source->requires, word);
	value = yoyo_setting(line, "transactional");
	if (value == NULL)
		return;
	if (pg_strcasecmp(value, "false") != 0 && pg_strcasecmp(value, "true") != 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("invalid setting \"%s\" in file \"%s\" line %d",
						mig_file_line_excerpt(line), script->path,
						line->number),
				 errdetail("Expected true or false.")));
	source->transactional = pg_strcasecmp(value, "true") == 0 ?
		MIG_TX_ON : MIG_TX_OFF;
}

/* MigTakeFunction */
static void
yoyo_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	MigFileLine line;
	int			length;

	mig_file_set_take(source, part, script);
	if (part != MIG_UP)
		return;
	mig_file_line_rewind(&line, script->content);
	while (mig_file_line_next(&line) &&
		   (mig_file_line_is_blank(&line) ||
			mig_file_line_comment(&line, &length) != NULL))
		take_head_line(source, script, &line);
	source->requires = mig_file_line_words_once(source->requires);
}

/* MigClaimFunction: NAME.sql, NAME.rollback.sql */
static bool
yoyo_claim(const MigSourceFile *script, const MigFileName *name,
		   MigClaim *claim)
{
	const char *suffix = ".rollback";

	if (name->base[0] == '\0' || name->base[0] == '.')
		return false;
	claim->part = mig_file_path_has_suffix(name->base, suffix) ?
		MIG_DOWN : MIG_UP;
	claim->version = pnstrdup(name->base, strlen(name->base) -
							  (claim->part == MIG_DOWN ? strlen(suffix) : 0));
	claim->key = claim->version;
	claim->name = "";
	if (strncmp(claim->version, "post-apply", strlen("post-apply")) == 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("file \"%s\" is a hook of yoyo, which runs it after each set of migrations",
						script->path),
				 errhint("Leave it out with ignore, or make a repeatable migration of it.")));
	return true;
}

static MigSourceFile *
yoyo_detect(const MigFileSet *set)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		if (mig_file_path_has_suffix(set->scripts[i].path, ".rollback.sql"))
			return &set->scripts[i];
	}
	return NULL;
}

static void
yoyo_parse(MigFileSet *set)
{
	List	   *files;

	mig_file_set_pair(set, yoyo_claim, yoyo_take);
	files = mig_byte_order_of_files(set->sources);
	mig_order_keep(mig_order_after_required(files));
}

const MigConvention mig_convention_yoyo = {
	.name = "yoyo",
	.files = "VERSION.sql, VERSION.rollback.sql",
	.detect = yoyo_detect,
	.transactional_off = "-- transactional: false",
	.parse = yoyo_parse
};
