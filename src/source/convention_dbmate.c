/*-------------------------------------------------------------------------
 *
 * convention_dbmate.c
 *	  The files of dbmate, in its order.
 *
 * They are files of the native form, too, and auto takes them for that: what is
 * different is that the tool goes by the bytes of their names, so that 10 comes
 * before 2, and that a version is what digits a name begins with.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "base/version_order.h"
#include "source/byte_order.h"
#include "source/convention_dbmate.h"
#include "source/conventions.h"
#include "source/marker_line.h"
#include "source/section_cut.h"

#define DBMATE_PREFIX "migrate:"


/* comments for the linter are no markers */
static char *
dbmate_marker(const MigFileLine *line)
{
	char	   *text = mig_marker_text(line, DBMATE_PREFIX);

	return text != NULL && strncmp(text, "lint-off", 8) == 0 ? NULL : text;
}

/* MigSectionStyle.mark */
static MigMark
dbmate_mark(const MigSourceFile *script, const MigFileLine *line,
			MigSource *source)
{
	char	   *text = dbmate_marker(line);
	char	   *word;
	MigMark		mark;

	if (text == NULL)
		return MIG_MARK_NONE;
	mig_marker_check_not_indented(script, line);
	word = strchr(" \t", *text) ? NULL : mig_file_line_next_word(&text);
	if (word != NULL && strcmp(word, "up") == 0)
		mark = MIG_MARK_UP;
	else if (word != NULL && strcmp(word, "down") == 0)
		mark = MIG_MARK_DOWN;
	else
	{
		mig_section_error(script, line,
						  "dbmate has \"-- migrate:up\" and \"-- migrate:down\".");
		return MIG_MARK_NONE;	/* keep compiler quiet */
	}
	while ((word = mig_file_line_next_word(&text)) != NULL)
	{
		if (strcmp(word, "transaction:false") != 0 &&
			strcmp(word, "transaction:true") != 0)
			mig_section_error(script, line,
							  "Only \"transaction:false\" or \"transaction:true\" may follow it.");
		if (mark == MIG_MARK_UP)
			source->transactional = strcmp(word, "transaction:false") == 0 ?
				MIG_TX_OFF : MIG_TX_ON;
	}
	return mark;
}

/* MigTakeFunction */
static void
dbmate_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	static const MigSectionStyle style = {
		.up = "-- migrate:up",.mark = dbmate_mark
	};

	mig_section_take(source, script, &style);
}

/* MigClaimFunction: digits, and whatever follows them */
static bool
dbmate_claim(const MigSourceFile *script, const MigFileName *name,
			 MigClaim *claim)
{
	size_t		digits = strspn(name->base, "0123456789");

	if (digits == 0)
		return false;
	claim->version = pnstrdup(name->base, digits);
	claim->name = name->base + digits;
	if (*claim->name == '_')
		claim->name++;
	claim->key = claim->version;
	claim->part = MIG_UP;
	return true;
}

static void
dbmate_parse(MigFileSet *set)
{
	mig_file_set_pair(set, dbmate_claim, dbmate_take);
	mig_order_keep(mig_byte_order_of_files(set->sources));
}

/* may the file be one of dbmate's, which has both ways and no other marker? */
static bool
may_be_dbmate(const MigSource *source)
{
	return source->down != NULL && source->down_path == NULL &&
		source->verify == NULL && source->requires == NIL &&
		source->kind == MIG_VERSIONED && !source->irreversible &&
		mig_file_path_is_digits(source->version);
}

bool
mig_dbmate_note_order(List *sources)
{
	const MigSource *last = NULL;
	const MigSource *first = NULL;
	ListCell   *lc;

	foreach(lc, mig_byte_order_of_files(sources))
	{
		const MigSource *source = lfirst(lc);

		if (!may_be_dbmate(source))
			return false;
		if (last != NULL && first == NULL &&
			mig_version_order_compare(last->version, source->version) > 0)
			first = source;
		if (first == NULL)
			last = source;
	}
	if (first != NULL)
		ereport(NOTICE,
				(errmsg("dbmate would run these files in another order"),
				 errdetail("It goes by the bytes of their names: \"%s\" comes before \"%s\" there.",
						   mig_file_path_base(last->path),
						   mig_file_path_base(first->path)),
				 errhint("If they are dbmate's, pass convention => 'dbmate' to keep its order, else convention => 'native'.")));
	return first != NULL;
}

const MigConvention mig_convention_dbmate = {
	.name = "dbmate",
	.files = "NUMBER_name.sql",
	.numbered = true,
	.marker = dbmate_marker,
	.transactional_off = "-- migrate:up transaction:false",
	.parse = dbmate_parse
};
