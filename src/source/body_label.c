/*-------------------------------------------------------------------------
 *
 * body_label.c
 *	  Names of bodies, and places in them, for messages.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "source/body_label.h"
#include "source/conventions.h"


/* a text has fewer lines than bytes, of which there are less than 1 GB */
#define MAX_FIRST_LINE 1000000000

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

static void
set_convention(MigLabel *label, const MigConvention *convention)
{
	label->verify_by_errors = convention->verify_by_errors;
	label->of_tool = !convention->ours;
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
	set_convention(label, entry->convention);
	label->first_line = label->path ? sound_line(entry->lines[part]) : 0;
	label->transactional = part == MIG_UP ? entry->transactional :
		MIG_TX_RECOGNIZE;
}

void
mig_body_label_of_source(MigLabel *label, const MigSource *source,
						 const MigConvention *convention, MigPart part)
{
	label->version = source->version;
	label->path = mig_body_part_path(part, source->path, source->down_path,
									 source->verify_path);
	label->part = part;
	label->secret = false;
	set_convention(label, convention);
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
int
mig_body_label_line(const MigLabel *label, const char *text, int location)
{
	return line_of(text, location) + Max(label->first_line, 1) - 1;
}

/* the bytes [from, to) of a text, and the one in question */
void
mig_body_set_place(MigPlace *place, const MigLabel *label, const char *text, int from,
				   int to, int at)
{
	place->path = label->first_line > 0 ? label->path : NULL;
	place->text = text;
	place->first_line = Max(label->first_line, 1);
	place->from = from;
	place->to = to;
	place->at = at;
}
