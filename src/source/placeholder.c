/*-------------------------------------------------------------------------
 *
 * placeholder.c
 *	  Texts that a tool would replace before a file is run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "miscadmin.h"
#include "source/lenient_scan.h"
#include "source/placeholder.h"


/* the placeholder that begins at text, or NULL */
static char *
find_placeholder(const char *text, const char *open, const char *close)
{
	int			length = strlen(open);

	if (strncmp(text, open, length) != 0)
		return NULL;
	/* not over another one: no byte is looked at for two of them */
	while (text[length] != '\0' && text[length] != '\n' &&
		   strncmp(text + length, close, strlen(close)) != 0 &&
		   strncmp(text + length, open, strlen(open)) != 0)
		length++;
	if (strncmp(text + length, close, strlen(close)) != 0)
		return NULL;
	return pnstrdup(text, length + strlen(close));
}

void
mig_placeholder_refuse(const MigSourceFile *script, const char *open,
					   const char *close, const char *tool, const char *hint)
{
	const char *text = script->content;
	int			line = 1;

	while (*text != '\0')
	{
		const char *end = mig_lenient_scan_skip(text);
		bool		comment = mig_lenient_scan_is_gap(text);

		if (end == NULL)
			end = text + strlen(text);
		for (; text < end; text++)
		{
			char	   *name = comment ? NULL :
				find_placeholder(text, open, close);

			CHECK_FOR_INTERRUPTS();
			if (name != NULL)
				ereport(ERROR,
						(errcode(MIG_ERRCODE_CONVENTION),
						 errmsg("placeholder \"%s\" in file \"%s\" line %d is not supported",
								mig_printable_line(name, MIG_EXCERPT_BYTES),
								script->path, line),
						 errdetail("%s would replace it.", tool),
						 errhint("%s", hint)));
			if (*text == '\n')
				line++;
		}
	}
}
