/*-------------------------------------------------------------------------
 *
 * convention_sqitch.c
 *	  The files of Sqitch: a plan, and scripts that deploy, revert and verify.
 *
 * The plan alone says which changes there are and in what order they are
 * deployed.  To keep that order, whatever the names, every change requires the
 * one before it in addition to what it says itself.
 *
 * A change can be planned again ("reworked") once a tag lies between.  The
 * scripts of the later instance then have the plain name, and those of the
 * earlier one are named after the last tag before the later, NAME@TAG.sql.
 * Versions go the other way: what was once called NAME has to keep that name,
 * since it may be applied, so the later instances are called NAME#2, NAME#3.
 *
 * Scripts are taken with the BEGIN and COMMIT that they usually have; verify
 * scripts end with ROLLBACK.
 *
 * Conflicts (!name) have no effect.  They forbid to deploy a change while
 * another is deployed; between changes of one plan this could only matter in a
 * plan that Sqitch cannot deploy as a whole either.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/conventions.h"
#include "miscadmin.h"

#define PLAN_FILE "sqitch.plan"

/* a line of the plan that plans a change */
typedef struct SqitchChange
{
	int			position;		/* counted from 0 */
	int			line;
	char	   *name;
	char	   *depends;		/* what stands in the brackets, "" if nothing */
	char	   *note;
	char	   *script;			/* name or name@tag */
	char	   *version;		/* name or name#instance */
	MigSourceFile *deploy;
} SqitchChange;

/* a line that tags the change before it */
typedef struct SqitchTag
{
	char	   *name;
	int			position;		/* number of changes before it */
} SqitchTag;

typedef struct SqitchPlan
{
	const MigFileSet *set;
	const MigSourceFile *script;
	char	   *top;			/* directory of the plan, with its slash */
	char	   *project;		/* NULL if not said */
	SqitchChange *changes;
	int			nchanges;
	SqitchTag  *tags;
	int			ntags;
	SqitchChange **by_name;		/* by name, then position */
} SqitchPlan;


/* raise an error about a line of the plan */
static void
plan_error(const SqitchPlan *plan, int line, const char *detail)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("invalid plan in file \"%s\" line %d",
					plan->script->path, line),
			 errdetail("%s", detail)));
}

/* ----------
 * Reading the plan
 * ----------
 */

/* does text begin with a time like 2024-01-31T23:59:59Z? */
static bool
is_timestamp(const char *text)
{
	const char *model = "dddd-dd-ddTdd:dd:ddZ";

	for (; *model != '\0'; model++, text++)
	{
		if (*model == 'd' ? (*text < '0' || *text > '9') : *text != *model)
			return false;
	}
	return true;
}

/*
 * %name=value, of which only the project is of interest here.
 */
static void
read_pragma(SqitchPlan *plan, char *text)
{
	char	   *equals = strchr(text, '=');

	if (equals == NULL)
		return;

	*equals = '\0';
	if (strcmp(mig_file_line_trim(text + 1), "project") == 0)
		plan->project = mig_file_line_trim(equals + 1);
}

/*
 * Read "name [dependencies] timestamp planner" and return the name; *depends
 * is set to what stands in the brackets.
 */
static char *
read_name(SqitchPlan *plan, char *text, int line, char **depends)
{
	char	   *rest = text;
	char	   *name = mig_file_line_next_word(&rest);

	*depends = "";
	if (name == NULL || strpbrk(name, ":@[]\\") != NULL)
		plan_error(plan, line, "A name is expected, which has no :, @, [, ] or \\.");

	rest = mig_file_line_trim(rest);
	if (*rest == '[')
	{
		char	   *close = strchr(rest, ']');

		if (close == NULL)
			plan_error(plan, line, "The bracket is not closed.");
		*close = '\0';
		*depends = rest + 1;
		rest = mig_file_line_trim(close + 1);
	}

	if (!is_timestamp(rest))
		plan_error(plan, line, "A time like 2024-01-31T23:59:59Z is expected after name and dependencies.");
	return name;
}

/* act on a line of the plan that is not blank; text can be written to */
static void
read_line(SqitchPlan *plan, char *text, int line)
{
	char	   *note = strchr(text, '#');
	char	   *depends;
	SqitchChange *change;

	if (note != NULL)
		*note++ = '\0';
	text = mig_file_line_trim(text);

	if (*text == '\0')
		return;

	if (*text == '%')
	{
		read_pragma(plan, text);
		return;
	}

	if (*text == '@')
	{
		if (plan->nchanges == 0)
			plan_error(plan, line, "There is no change before the tag.");
		plan->tags[plan->ntags].name = read_name(plan, text + 1, line,
												 &depends);
		plan->tags[plan->ntags++].position = plan->nchanges;
		return;
	}

	if (*text == '-')
		plan_error(plan, line, "Changes that are to be reverted are not supported.");
	if (*text == '+')
		text++;

	change = &plan->changes[plan->nchanges];
	change->name = read_name(plan, text, line, &change->depends);
	change->note = note == NULL ? "" : mig_file_line_trim(note);
	change->line = line;
	change->position = plan->nchanges++;
}

/* qsort() helper: instances of a name together, in the order of the plan */
static int
compare_change(const void *a, const void *b)
{
	const SqitchChange *ca = *(SqitchChange *const *) a;
	const SqitchChange *cb = *(SqitchChange *const *) b;
	int			result = strcmp(ca->name, cb->name);

	return result != 0 ? result : ca->position - cb->position;
}

/* read the plan's file */
static void
read_plan(SqitchPlan *plan, const MigFileSet *set, MigSourceFile *script)
{
	MigFileLine line;
	int			nlines = 0;

	memset(plan, 0, sizeof(SqitchPlan));
	plan->set = set;
	plan->script = script;
	plan->top = mig_file_path_directory(script->path);
	script->used = true;

	mig_file_line_rewind(&line, script->content);
	while (mig_file_line_next(&line))
		nlines++;
	plan->changes = palloc0((nlines + 1) * sizeof(SqitchChange));
	plan->tags = palloc0((nlines + 1) * sizeof(SqitchTag));

	mig_file_line_rewind(&line, script->content);
	while (mig_file_line_next(&line))
		read_line(plan, mig_file_line_text(&line), line.number);

	plan->by_name = palloc((nlines + 1) * sizeof(SqitchChange *));
	for (int i = 0; i < plan->nchanges; i++)
		plan->by_name[i] = &plan->changes[i];
	qsort(plan->by_name, plan->nchanges, sizeof(SqitchChange *), compare_change);
}


/* ----------
 * Changes, tags and scripts
 * ----------
 */

/* number of entries of by_name that are before name at that position */
static int
count_before(const SqitchPlan *plan, char *name, int position)
{
	SqitchChange wanted = {0};
	SqitchChange *wanted_p = &wanted;
	int			low = 0;
	int			high = plan->nchanges;

	wanted.name = name;
	wanted.position = position;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (compare_change(&plan->by_name[middle], &wanted_p) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* the last instance of a change before that position, or NULL */
static SqitchChange *
find_change(const SqitchPlan *plan, char *name, int position)
{
	int			n = count_before(plan, name, position);

	if (n == 0 || strcmp(plan->by_name[n - 1]->name, name) != 0)
		return NULL;
	return plan->by_name[n - 1];
}

/* the next instance of the same change, or NULL */
static SqitchChange *
find_rework(const SqitchPlan *plan, const SqitchChange *change)
{
	int			n = count_before(plan, change->name, change->position + 1);

	if (n == plan->nchanges ||
		strcmp(plan->by_name[n]->name, change->name) != 0)
		return NULL;
	return plan->by_name[n];
}

static const SqitchTag *
find_tag(const SqitchPlan *plan, const char *name)
{
	for (int i = 0; i < plan->ntags; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (strcmp(plan->tags[i].name, name) == 0)
			return &plan->tags[i];
	}
	return NULL;
}

/* the script of an instance, or NULL; kind is deploy, revert or verify */
static MigSourceFile *
find_script(const SqitchPlan *plan, const char *kind, const char *script)
{
	return mig_file_set_find(plan->set,
							 psprintf("%s%s/%s.sql", plan->top, kind,
									  script));
}

/* how an instance is called: the first one as it always was */
static char *
version_of(const SqitchPlan *plan, const SqitchChange *change)
{
	int			instance = count_before(plan, change->name, change->position) -
		count_before(plan, change->name, 0) + 1;

	return instance == 1 ? change->name :
		psprintf("%s#%d", change->name, instance);
}

/*
 * Find out how the scripts of an instance of a change are called.
 *
 * Sqitch itself renames the scripts after the last tag, but takes a script
 * named after any tag between the two instances.
 */
static void
resolve_script(SqitchPlan *plan, SqitchChange *change)
{
	SqitchChange *rework = find_rework(plan, change);
	char	   *script = NULL;

	if (rework == NULL)
		script = change->name;

	for (int i = plan->ntags - 1; rework != NULL && i >= 0; i--)
	{
		const SqitchTag *tag = &plan->tags[i];

		CHECK_FOR_INTERRUPTS();
		if (tag->position <= change->position)
			break;				/* the tags are in the order of the plan */
		if (tag->position <= rework->position)
		{
			char	   *candidate = psprintf("%s@%s", change->name, tag->name);
			bool		found = find_script(plan, "deploy", candidate) != NULL;

			/* the last one goes into the message if there is no script */
			if (found || script == NULL)
				script = candidate;
			if (found)
				break;
		}
	}

	if (script == NULL)
		plan_error(plan, rework->line, "The change is planned twice without a tag between.");

	change->script = script;
	change->version = version_of(plan, change);
	change->deploy = find_script(plan, "deploy", script);
	if (change->deploy == NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("there is no file \"%sdeploy/%s.sql\"",
						plan->top, script),
				 errdetail("It is planned in file \"%s\" line %d.",
						   plan->script->path, change->line)));
}


/* ----------
 * Requirements
 * ----------
 */

/* an ID is 40 lower-case hexadecimal digits */
static bool
is_change_id(const char *text)
{
	return strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40;
}

/*
 * The change of this plan that "name", "name@tag" or "@tag" means: the last
 * instance before the tag or before the change that requires it.
 */
static SqitchChange *
resolve_change(const SqitchPlan *plan, const SqitchChange *change, const char *reference)
{
	char	   *name = pstrdup(reference);
	char	   *at = strchr(name, '@');
	int			position = change->position;
	SqitchChange *found = NULL;

	if (at != NULL)
	{
		const SqitchTag *tag = find_tag(plan, at + 1);

		/* a later tag is as good as one that does not exist */
		position = tag == NULL || tag->position > position ? 0 : tag->position;
		*at = '\0';
	}

	if (*name != '\0')
		found = find_change(plan, name, position);
	else if (position > 0)
		found = &plan->changes[position - 1];

	if (found == NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("change \"%s\" requires \"%s\", which is not planned before it",
						change->name, reference),
				 errdetail("It is planned in file \"%s\" line %d.",
						   plan->script->path, change->line)));
	return found;
}

/*
 * The version that a word in the brackets requires, NULL if it is a conflict.
 */
static char *
resolve_requirement(const SqitchPlan *plan, const SqitchChange *change, char *word)
{
	char	   *colon = strchr(word, ':');

	if (*word == '!')
		return NULL;

	if (colon != NULL)
	{
		if (plan->project == NULL ||
			strlen(plan->project) != colon - word ||
			strncmp(plan->project, word, colon - word) != 0)
			return word;
		word = colon + 1;
	}

	if (is_change_id(word))
		plan_error(plan, change->line, "A change that is required by its ID is not supported, name it.");

	return resolve_change(plan, change, word)->version;
}

/* what the change requires, and the change before it */
static List *
collect_requires(const SqitchPlan *plan, const SqitchChange *change)
{
	List	   *requires = NIL;
	char	   *rest = pstrdup(change->depends);
	char	   *word;

	while ((word = mig_file_line_next_word(&rest)) != NULL)
	{
		char	   *version = resolve_requirement(plan, change, word);

		if (version != NULL)
			requires = lappend(requires, version);
	}

	if (change->position > 0)
		requires = lappend(requires, change[-1].version);
	return mig_file_line_words_once(requires);
}


/* ----------
 * The convention
 * ----------
 */

/* the first plan of the set from that index on, or NULL */
static MigSourceFile *
find_plan(const MigFileSet *set, int from)
{
	for (int i = from; i < set->nscripts; i++)
	{
		if (strcmp(mig_file_path_base(set->scripts[i].path), PLAN_FILE) == 0)
			return &set->scripts[i];
	}
	return NULL;
}

/* the plan to load; a second one would be a project of its own */
static MigSourceFile *
only_plan(const MigFileSet *set)
{
	MigSourceFile *plan = find_plan(set, 0);
	MigSourceFile *other;

	if (plan == NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("there is no file \"%s\"", PLAN_FILE),
				 errhint("Load the directory that has the plan.")));

	other = find_plan(set, plan - set->scripts + 1);
	if (other != NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("there are two plans, file \"%s\" and file \"%s\"",
						plan->path, other->path),
				 errhint("Load the directory of one plan at a time.")));
	return plan;
}

/* take the script of one kind, if there is one */
static void
take_sqitch_script(const SqitchPlan *plan, const SqitchChange *change,
				   MigSource *source, MigPart part, const char *kind)
{
	MigSourceFile *script = find_script(plan, kind, change->script);

	if (script != NULL)
	{
		script->used = true;
		mig_file_set_take(source, part, script);
	}
}

/* take the changes of the one sqitch.plan in the set, with their scripts */
static void
sqitch_parse(MigFileSet *set)
{
	SqitchPlan	plan;
	MigSourceFile *conf;

	read_plan(&plan, set, only_plan(set));
	conf = mig_file_set_find(set, psprintf("%ssqitch.conf", plan.top));
	if (conf != NULL)
		conf->used = true;
	for (int i = 0; i < plan.nchanges; i++)
		resolve_script(&plan, &plan.changes[i]);

	for (int i = 0; i < plan.nchanges; i++)
	{
		SqitchChange *change = &plan.changes[i];
		MigSource  *source;

		CHECK_FOR_INTERRUPTS();

		source = mig_file_set_add(set, change->deploy, change->version,
								  change->note);
		source->requires = collect_requires(&plan, change);
		take_sqitch_script(&plan, change, source, MIG_UP, "deploy");
		take_sqitch_script(&plan, change, source, MIG_DOWN, "revert");
		take_sqitch_script(&plan, change, source, MIG_VERIFY, "verify");
	}
}

static MigSourceFile *
sqitch_detect(const MigFileSet *set)
{
	return find_plan(set, 0);
}

const MigConvention mig_convention_sqitch = {
	.name = "sqitch",
	.files = "those planned in sqitch.plan, in deploy/, revert/ and verify/",
	.has_place = true,
	.nested = true,
	.detect = sqitch_detect,
	.verify_by_errors = true,
	.parse = sqitch_parse
};
