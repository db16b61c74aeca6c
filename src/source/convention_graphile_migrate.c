/*-------------------------------------------------------------------------
 *
 * convention_graphile_migrate.c
 *	  The committed migrations of graphile-migrate.
 *
 * What is not in committed/ (current.sql, fixtures) is left out.  Each file has the
 * hash of the one before it and its own one, of which the chain is checked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/checksum.h"
#include "base/errors.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "source/conventions.h"

/* the head of a file */
typedef struct Header
{
	char	   *previous;		/* "" of the first one */
	char	   *hash;
	bool		unchecked;		/* says itself that the hash is wrong */
	const char *body;
	bool		no_transaction;
} Header;


/* what follows "--!" and blanks in a line, or NULL */
static char *
graphile_marker(const MigFileLine *line)
{
	char	   *text = mig_file_line_text(line);

	if (strncmp(text, "--!", 3) != 0)
		return NULL;
	return mig_file_line_trim(text + 3);
}

/* the value of such a line */
static char *
header_value(char *text, const char *key)
{
	size_t		length = strlen(key);

	return strncmp(text, key, length) == 0 ?
		mig_file_line_trim(text + length) : NULL;
}

/* raise an error about a file */
static void
graphile_error(const MigSourceFile *script, const char *detail)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("file \"%s\" is no committed migration of graphile-migrate",
					script->path),
			 errdetail("%s", detail)));
}

/* read the head, which ends with a blank line */
static void
read_header(const MigSourceFile *script, Header *header)
{
	MigFileLine line;
	char	   *text;

	memset(header, 0, sizeof(Header));
	mig_file_line_rewind(&line, script->content);
	while (mig_file_line_next(&line) &&
		   (text = graphile_marker(&line)) != NULL)
	{
		char	   *value;

		if ((value = header_value(text, "Previous:")) != NULL)
			header->previous = strcmp(value, "-") == 0 ? "" : value;
		else if ((value = header_value(text, "Hash:")) != NULL)
			header->hash = value;
		else if (strncmp(text, "AllowInvalidHash", 16) == 0)
			header->unchecked = true;
	}
	if (header->previous == NULL || header->hash == NULL ||
		!mig_file_line_is_blank(&line))
		graphile_error(script,
					   "It does not begin with \"--! Previous:\", \"--! Hash:\" and a blank line.");
	header->body = line.next;
	header->no_transaction = mig_file_line_next(&line) &&
		(text = graphile_marker(&line)) != NULL &&
		strncmp(text, "no-transaction", 14) == 0;
}

/* the hash that the tool gives to the body */
static char *
graphile_hash(const Header *header)
{
	char	   *body = mig_file_line_trim(pstrdup(header->body));
	char	   *text = mig_file_line_trim(psprintf("%s\n%s", header->previous,
												   body));
	char	   *utf8;

	text = psprintf("%s\n", text);
	utf8 = pg_server_to_any(text, strlen(text), PG_UTF8);
	return psprintf("sha1:%s", mig_checksum_sha1_hex(utf8, strlen(utf8)));
}

/* the tool would write the name of the database or of a role there */
static void
refuse_placeholders(const MigSourceFile *script)
{
	const char *found = strstr(script->content, ":DATABASE_");
	int			line = 1;

	if (found == NULL)
		return;
	for (const char *p = script->content; p < found; p++)
		line += (*p == '\n');
	ereport(ERROR,
			(errcode(MIG_ERRCODE_CONVENTION),
			 errmsg("placeholder \"%s\" in file \"%s\" line %d is not supported",
					pnstrdup(found, 1 + strspn(found + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")),
					script->path, line),
			 errdetail("graphile-migrate would replace it."),
			 errhint("Write a new migration with the value, or load the file as one of another convention.")));
}

/* MigTakeFunction: the head stays, as comments, so that lines are those of the file */
static void
graphile_take(MigSource *source, MigPart part, const MigSourceFile *script)
{
	Header		header;

	read_header(script, &header);
	refuse_placeholders(script);
	mig_file_set_take(source, part, script);
	if (header.no_transaction)
		source->transactional = MIG_TX_OFF;
}

/* MigClaimFunction: committed/NUMBER-name.sql, or NUMBER.sql */
static bool
graphile_claim(const MigSourceFile *script, const MigFileName *name,
			   MigClaim *claim)
{
	size_t		digits = strspn(name->base, "0123456789");
	char	   *directory = mig_file_path_directory_name(script->path);

	if (digits == 0 || strchr("-", name->base[digits]) == NULL ||
		(*directory != '\0' && strcmp(directory, "committed") != 0))
		return false;
	claim->version = pnstrdup(name->base, digits);
	claim->name = name->base + digits + (name->base[digits] == '-' ? 1 : 0);
	claim->key = mig_file_path_numeric_key(claim->version);
	claim->part = MIG_UP;
	return true;
}

/* list_sort() helper: the order of the files' names */
static int
compare_committed(const ListCell *a, const ListCell *b)
{
	return strcmp(((const MigSource *) lfirst(a))->path,
				  ((const MigSource *) lfirst(b))->path);
}

/* is each file what it was when it was committed, and in its place? */
static void
check_chain(const MigFileSet *set)
{
	List	   *sorted = list_copy(set->sources);
	const char *previous = "";
	ListCell   *lc;

	list_sort(sorted, compare_committed);
	foreach(lc, sorted)
	{
		const MigSource *source = lfirst(lc);
		const MigSourceFile *script = mig_file_set_find(set, source->path);
		Header		header;

		read_header(script, &header);
		if (strcmp(header.previous, previous) != 0 && !set->partial)
			graphile_error(script,
						   "The hash of its \"Previous\" is not that of the file before it.");
		if (!header.unchecked && strcmp(graphile_hash(&header), header.hash) != 0)
			graphile_error(script,
						   "It is not what was committed: its hash is another one.");
		previous = header.hash;
	}
}

/* take what is committed, and check that it is unchanged */
static void
graphile_parse(MigFileSet *set)
{
	mig_file_set_pair(set, graphile_claim, graphile_take);
	check_chain(set);
}

/* a file that begins with the hash of another one */
static MigSourceFile *
graphile_detect(const MigFileSet *set)
{
	for (int i = 0; i < set->nscripts; i++)
	{
		MigSourceFile *script = &set->scripts[i];
		MigFileLine line;
		char	   *text;

		mig_file_line_rewind(&line, script->content);
		if (mig_file_path_is_sql(script->path) && mig_file_line_next(&line) &&
			(text = graphile_marker(&line)) != NULL &&
			header_value(text, "Previous:") != NULL)
			return script;
	}
	return NULL;
}

const MigConvention mig_convention_graphile_migrate = {
	.name = "graphile-migrate",
	.files = "NUMBER-name.sql, in committed/",
	.has_place = true,
	.nested = true,
	.version_key = mig_file_path_numeric_key,
	.detect = graphile_detect,
	.parse = graphile_parse
};
