/*-------------------------------------------------------------------------
 *
 * export.c
 *	  The migrations of a project as files of a convention.
 *
 * Whether a migration can be written in a convention is not worked out here:
 * the files are read again as load() reads them, and have to give what is stored.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "adopt/export.h"
#include "base/errors.h"
#include "ledger/migration.h"
#include "ledger/project_names.h"
#include "plan/project.h"
#include "source/convention.h"

/* the convention of add() has none of these limits; others have */
typedef enum Limits
{
	NO_VERIFY = 1,
	NO_REQUIRES = 2,
	NO_REPEATABLE = 4,
	NO_TRANSACTIONAL = 8,
	NO_IRREVERSIBLE = 16,
	NEEDS_LINE_END = 32			/* the down body follows in the same file */
} Limits;

typedef struct Exporter Exporter;

typedef struct ExportFormat
{
	const char *name;
	const char *reader;			/* the convention that reads it again */
	int			limits;

	/* what becomes of a body, or NULL: nothing */
	char	   *(*mark) (char *body);
	void		(*write) (Exporter *exporter, const MigEntry *migration,
						  const MigTexts *texts);
} ExportFormat;

struct Exporter
{
	const ExportFormat *format;
	const char *project;
	MigFile    *files;
	int			count;
	int			size;
	StringInfoData plan;		/* of Sqitch */
};

/* path and content are kept. */
static void
add_file(Exporter *exporter, char *path, char *content)
{
	if (exporter->count == exporter->size)
	{
		exporter->size = Max(64, 2 * exporter->size);
		exporter->files = exporter->files ?
			repalloc(exporter->files, sizeof(MigFile) * exporter->size) :
			palloc(sizeof(MigFile) * exporter->size);
	}
	exporter->files[exporter->count].path = path;
	exporter->files[exporter->count++].content = content;
}

/*
 * Version and name of a migration as a part of a file's name; other is said for
 * a name that is empty, NULL: nothing.
 */
static char *
file_name(const MigEntry *migration, const char *separator, const char *other)
{
	char	   *name = pstrdup(migration->name[0] == '\0' && other != NULL ?
							   other : migration->name);

	for (char *c = name; *c != '\0'; c++)
	{
		if (!isalnum((unsigned char) *c) && !IS_HIGHBIT_SET(*c) &&
			strchr("-.", *c) == NULL)
			*c = '_';
	}
	return *name ? psprintf("%s%s%s", migration->version, separator, name) :
		pstrdup(migration->version);
}

/* the text, ended by a line feed if something has to follow */
static char *
as_line(const char *text)
{
	int			length = strlen(text);

	return length > 0 && text[length - 1] == '\n' ?
		pstrdup(text) : psprintf("%s\n", text);
}

static void
add_optional(Exporter *exporter, char *path, const char *content)
{
	if (content != NULL)
		add_file(exporter, path, pstrdup(content));
}

/* ----------
 * Forms
 * ----------
 */

/*
 * The head and the up body in one file, each of the other bodies in its own, so that
 * a body may end without a line feed.
 */
static void
write_native(Exporter *exporter, const MigEntry *migration,
			 const MigTexts *texts)
{
	char	   *name = file_name(migration, "_", NULL);
	StringInfoData file;

	initStringInfo(&file);
	if (migration->nrequires > 0)
	{
		appendStringInfoString(&file, "-- migrate:requires");
		for (int i = 0; i < migration->nrequires; i++)
			appendStringInfo(&file, " %s", migration->requires[i]);
		appendStringInfoChar(&file, '\n');
	}
	if (migration->kind == MIG_REPEATABLE)
		appendStringInfoString(&file, "-- migrate:repeatable\n");
	if (migration->transactional != MIG_TX_RECOGNIZE)
		appendStringInfo(&file, "-- migrate:transactional %s\n",
						 migration->transactional == MIG_TX_ON ? "on" : "off");
	if (migration->irreversible)
		appendStringInfoString(&file, "-- migrate:irreversible\n");
	appendStringInfo(&file, "-- migrate:up\n%s", texts->up);
	add_file(exporter, psprintf("%s.sql", name), file.data);
	add_optional(exporter, psprintf("%s.down.sql", name), texts->down);
	add_optional(exporter, psprintf("%s.verify.sql", name), texts->verify);
}

static void
write_plain(Exporter *exporter, const MigEntry *migration,
			const MigTexts *texts)
{
	char	   *name = file_name(migration, "_", NULL);

	add_file(exporter, psprintf("%s.sql", name), pstrdup(texts->up));
	add_optional(exporter, psprintf("%s.down.sql", name), texts->down);
	add_optional(exporter, psprintf("%s.verify.sql", name), texts->verify);
}

/*
 * Both ways in one file; only the up body says whether it has a transaction.
 */
static void
write_dbmate(Exporter *exporter, const MigEntry *migration,
			 const MigTexts *texts)
{
	StringInfoData file;

	initStringInfo(&file);
	appendStringInfo(&file, "-- migrate:up%s\n%s",
					 migration->transactional == MIG_TX_OFF ?
					 " transaction:false" : "",
					 texts->down ? as_line(texts->up) : texts->up);
	if (texts->down != NULL)
		appendStringInfo(&file, "-- migrate:down\n%s", texts->down);
	add_file(exporter, psprintf("%s.sql", file_name(migration, "_", NULL)),
			 file.data);
}

static void
write_golang_migrate(Exporter *exporter, const MigEntry *migration,
					 const MigTexts *texts)
{
	char	   *name = file_name(migration, "_", "migration");

	add_file(exporter, psprintf("%s.up.sql", name), pstrdup(texts->up));
	add_optional(exporter, psprintf("%s.down.sql", name), texts->down);
}

/*
 * Goose ends a statement where a line ends with a semicolon, so that a body
 * with a function in it is marked as one statement, unless it has marks.
 */
static char *
goose_body(char *text)
{
	if (text == NULL || strchr(text, '$') == NULL ||
		strstr(text, "+goose") != NULL)
		return text;
	return psprintf("-- +goose StatementBegin\n%s-- +goose StatementEnd\n",
					as_line(text));
}

/* Both ways in one file; NO TRANSACTION is for both. */
static void
write_goose(Exporter *exporter, const MigEntry *migration,
			const MigTexts *texts)
{
	StringInfoData file;

	initStringInfo(&file);
	if (migration->transactional == MIG_TX_OFF)
		appendStringInfoString(&file, "-- +goose NO TRANSACTION\n");
	appendStringInfo(&file, "-- +goose Up\n%s",
					 texts->down ? as_line(texts->up) : texts->up);
	if (texts->down != NULL)
		appendStringInfo(&file, "-- +goose Down\n%s", texts->down);
	add_file(exporter, psprintf("%s.sql",
								file_name(migration, "_", "migration")),
			 file.data);
}

static void
write_diesel(Exporter *exporter, const MigEntry *migration,
			 const MigTexts *texts)
{
	char	   *name = file_name(migration, "_", NULL);

	add_file(exporter, psprintf("%s/up.sql", name), pstrdup(texts->up));
	add_optional(exporter, psprintf("%s/down.sql", name), texts->down);
	if (migration->transactional == MIG_TX_OFF)
		add_file(exporter, psprintf("%s/metadata.toml", name),
				 pstrdup("run_in_transaction = false\n"));
}

/* A repeatable migration is named by what follows R__, and has no undo. */
static void
write_flyway(Exporter *exporter, const MigEntry *migration,
			 const MigTexts *texts)
{
	char	   *name = file_name(migration, "__", "migration");
	bool		repeatable = migration->kind == MIG_REPEATABLE;

	if (repeatable)
		name = strncmp(migration->version, "R__", 3) == 0 ?
			migration->version + 3 : migration->version;
	add_file(exporter, psprintf("%s%s.sql", repeatable ? "R__" : "V", name),
			 pstrdup(texts->up));
	if (migration->transactional == MIG_TX_OFF)
		add_file(exporter, psprintf("%s%s.sql.conf", repeatable ? "R__" : "V",
									name),
				 pstrdup("executeInTransaction=false\n"));
	if (!repeatable)
		add_optional(exporter, psprintf("U%s.sql", name), texts->down);
}

static void
write_prisma(Exporter *exporter, const MigEntry *migration,
			 const MigTexts *texts)
{
	if (exporter->count == 0)
		add_file(exporter, pstrdup("migration_lock.toml"),
				 pstrdup("provider = \"postgresql\"\n"));
	add_file(exporter, psprintf("%s/migration.sql", migration->version),
			 pstrdup(texts->up));
	add_optional(exporter, psprintf("%s/down.sql", migration->version),
				 texts->down);
}

/* 2024-01-31T23:59:59Z */
static char *
iso_time(TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		return pstrdup("2000-01-01T00:00:00Z");
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year, tm.tm_mon,
					tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* The plan is the first file, and grows with each migration. */
static void
write_sqitch(Exporter *exporter, const MigEntry *migration,
			 const MigTexts *texts)
{
	StringInfo	plan = &exporter->plan;
	const char *version = migration->version;

	if (exporter->count == 0)
	{
		initStringInfo(plan);
		appendStringInfo(plan, "%%syntax-version=1.0.0\n%%project=%s\n\n",
						 exporter->project);
		add_file(exporter, pstrdup("sqitch.plan"), NULL);
	}
	appendStringInfoString(plan, version);
	for (int i = 0; i < migration->nrequires; i++)
		appendStringInfo(plan, "%s%s", i == 0 ? " [" : " ",
						 migration->requires[i]);
	appendStringInfo(plan, "%s %s migrate <migrate@localhost>\n",
					 migration->nrequires > 0 ? "]" : "",
					 iso_time(migration->applied ? migration->applied_at :
							  GetCurrentTransactionStartTimestamp()));
	exporter->files[0].content = plan->data;
	add_file(exporter, psprintf("deploy/%s.sql", version), pstrdup(texts->up));
	add_optional(exporter, psprintf("revert/%s.sql", version), texts->down);
	add_optional(exporter, psprintf("verify/%s.sql", version), texts->verify);
}

#define NO_HEAD (NO_VERIFY | NO_REQUIRES | NO_REPEATABLE | NO_IRREVERSIBLE)

static const ExportFormat formats[] = {
	{"native", "native", 0, NULL, write_native},
	{"plain", "plain",
		NO_REQUIRES | NO_REPEATABLE | NO_TRANSACTIONAL | NO_IRREVERSIBLE,
	NULL, write_plain},
	{"dbmate", "native", NO_HEAD | NEEDS_LINE_END, NULL, write_dbmate},
	{"goose", "goose", NO_HEAD | NEEDS_LINE_END, goose_body, write_goose},
	{"golang-migrate", "golang-migrate", NO_HEAD | NO_TRANSACTIONAL,
	NULL, write_golang_migrate},
	{"sqlx", "sqlx", NO_HEAD | NO_TRANSACTIONAL, NULL,
	write_golang_migrate},
	{"diesel", "diesel", NO_HEAD, NULL, write_diesel},
	{"flyway", "flyway", NO_VERIFY | NO_REQUIRES | NO_IRREVERSIBLE,
	NULL, write_flyway},
	{"prisma", "prisma", NO_HEAD | NO_TRANSACTIONAL, NULL, write_prisma},
	{"sqitch", "sqitch", NO_REPEATABLE | NO_TRANSACTIONAL | NO_IRREVERSIBLE,
	NULL, write_sqitch}
};

/* Raises ERRCODE_INVALID_PARAMETER_VALUE if there is none of that name. */
static const ExportFormat *
find_format(const char *name)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(formats); i++)
	{
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", formats[i].name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("migrations cannot be exported as \"%s\"", name),
			 errhint("Valid values are %s.", names.data)));
	return NULL;				/* keep compiler quiet */
}

/* ----------
 * What is lost
 * ----------
 */

/* does reading the files again give that text? */
static bool
is_same_text(const Exporter *exporter, const char *written, const char *read)
{
	int			length;

	if (written == NULL || read == NULL)
		return written == read;
	length = strlen(written);
	if (strncmp(written, read, length) != 0)
		return false;
	return read[length] == '\0' ||
		((exporter->format->limits & NEEDS_LINE_END) != 0 &&
		 strcmp(read + length, "\n") == 0);
}

/* for arrays of MigSource * */
static int
compare_sources(const void *a, const void *b)
{
	return strcmp((*(MigSource *const *) a)->version,
				  (*(MigSource *const *) b)->version);
}

static MigSource **
sort_sources(List *sources)
{
	MigSource **sorted = palloc(sizeof(MigSource *) *
								Max(list_length(sources), 1));

	for (int i = 0; i < list_length(sources); i++)
		sorted[i] = list_nth(sources, i);
	qsort(sorted, list_length(sources), sizeof(MigSource *), compare_sources);
	return sorted;
}

/*
 * Error context callback: the files are not the caller's, who can neither rename
 * them nor leave one out.
 */
static void
replace_hint(void *arg)
{
	const ExportFormat *format = arg;

	if (geterrcode() != MIG_ERRCODE_CONVENTION &&
		geterrcode() != MIG_ERRCODE_DUPLICATE)
		return;
	if (strcmp(format->name, "sqitch") == 0)
		errhint("Such a migration cannot be written in the form \"%s\".  Another form may do.",
				format->name);
	else
		errhint("Such a migration cannot be written in the form \"%s\".  Another form may do: SELECT * FROM migrate.export('sqitch') has versions of any name.",
				format->name);
}

/* raise an error unless load() would make of the files what is stored */
static void
read_again(const Exporter *exporter, MigEntry **migrations,
		   const MigTexts *texts, int count)
{
	const MigReading reading = {.convention = exporter->format->reader};
	MigFile    *files = palloc(sizeof(MigFile) * Max(exporter->count, 1));
	List	   *different = NIL;
	List	   *refusals;
	bool		told;
	List	   *sources;
	MigSource **sorted;
	ErrorContextCallback callback;

	for (int i = 0; i < exporter->count; i++)
	{
		files[i].path = pstrdup(exporter->files[i].path);
		files[i].content = pstrdup(exporter->files[i].content);
	}
	callback.callback = replace_hint;
	callback.arg = unconstify(ExportFormat *, exporter->format);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	sources = mig_convention_parse(files, exporter->count, &reading,
								   &refusals, &told);
	error_context_stack = callback.previous;
	sorted = sort_sources(sources);
	for (int i = 0; i < count; i++)
	{
		MigSource	wanted = {.version = migrations[i]->version};
		MigSource  *wanted_p = &wanted;
		MigSource **found = bsearch(&wanted_p, sorted, list_length(sources),
									sizeof(MigSource *), compare_sources);

		CHECK_FOR_INTERRUPTS();
		if (found == NULL ||
			!is_same_text(exporter, texts[i].up, (*found)->up) ||
			!is_same_text(exporter, texts[i].down, (*found)->down))
			different = lappend(different, migrations[i]->version);
	}
	if (different != NIL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("migrations cannot be exported as \"%s\"",
						exporter->format->name),
				 errdetail("Loading the files would not give versions %s as they are stored.",
						   mig_error_name_list(different)),
				 errhint("Lines that look like markers of the form cannot stand in a body.  Another form may do.")));
}

/* one NOTICE for each thing that the form has no words for */
static void
tell_loss(const Exporter *exporter, const char *what, List *versions)
{
	if (versions != NIL)
		ereport(NOTICE,
				(errmsg("files of \"%s\" do not have %s",
						exporter->format->name, what),
				 errdetail("Left out for versions %s.",
						   mig_error_name_list(versions))));
}

/* Name in NOTICEs what the form has no words for. */
static void
tell_losses(const Exporter *exporter, MigEntry **migrations,
			const MigTexts *texts, int count)
{
	int			limits = exporter->format->limits;
	List	   *verify = NIL;
	List	   *requires = NIL;
	List	   *repeatable = NIL;
	List	   *transactional = NIL;
	List	   *irreversible = NIL;

	for (int i = 0; i < count; i++)
	{
		char	   *version = migrations[i]->version;

		if ((limits & NO_VERIFY) && texts[i].verify != NULL)
			verify = lappend(verify, version);
		if ((limits & NO_REQUIRES) && migrations[i]->nrequires > 0)
			requires = lappend(requires, version);
		if ((limits & NO_REPEATABLE) && migrations[i]->kind == MIG_REPEATABLE)
			repeatable = lappend(repeatable, version);
		if ((limits & NO_TRANSACTIONAL) &&
			migrations[i]->transactional == MIG_TX_OFF)
			transactional = lappend(transactional, version);
		if ((limits & NO_IRREVERSIBLE) && migrations[i]->irreversible)
			irreversible = lappend(irreversible, version);
	}
	tell_loss(exporter, "verify bodies", verify);
	tell_loss(exporter, "requirements", requires);
	tell_loss(exporter, "repeatable migrations", repeatable);
	tell_loss(exporter, "a mark for migrations without a transaction",
			  transactional);
	tell_loss(exporter, "a mark for irreversible migrations", irreversible);
}

/* give bodies the marks that the form asks for */
static void
mark_bodies(const Exporter *exporter, MigEntry **migrations, MigTexts *texts,
			int count)
{
	List	   *marked = NIL;

	for (int i = 0; i < count && exporter->format->mark != NULL; i++)
	{
		char	   *up = exporter->format->mark(texts[i].up);
		char	   *down = exporter->format->mark(texts[i].down);

		if (up != texts[i].up || down != texts[i].down)
			marked = lappend(marked, migrations[i]->version);
		texts[i].up = up;
		texts[i].down = down;
	}
	if (marked != NIL)
		ereport(NOTICE,
				(errmsg("bodies get marks of \"%s\", so that their checksums change",
						exporter->format->name),
				 errdetail("Those of versions %s.",
						   mig_error_name_list(marked))));
}

/* those that are stored, in the order of application */
static MigEntry **
stored_migrations(const MigProject *project, int *count)
{
	MigEntry  **stored = palloc(sizeof(MigEntry *) * Max(project->count, 1));

	*count = 0;
	for (int i = 0; i < project->count; i++)
	{
		if (project->order[i]->stored)
			stored[(*count)++] = project->order[i];
	}
	return stored;
}

void
mig_export_project(const char *name, const char *convention,
				   MigExportSink sink, void *arg)
{
	Exporter	exporter = {0};
	MigProject *project;
	MigEntry  **migrations;
	MigTexts   *texts;
	int			count;

	exporter.format = find_format(convention);
	exporter.project = name;
	project = mig_project_read_all(name, true, false);
	migrations = stored_migrations(project, &count);
	if (count == 0)
	{
		mig_project_names_tell_empty(name, WARNING);
		return;
	}
	texts = mig_migration_texts(name, migrations, count);
	mark_bodies(&exporter, migrations, texts, count);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		exporter.format->write(&exporter, migrations[i], &texts[i]);
	}
	read_again(&exporter, migrations, texts, count);
	tell_losses(&exporter, migrations, texts, count);
	for (int i = 0; i < exporter.count; i++)
		sink(exporter.files[i].path, exporter.files[i].content, arg);
}
