/*-------------------------------------------------------------------------
 *
 * setting_line.c
 *	  Lines of settings: key = value.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "source/setting_line.h"


/* take off a comment of the # kind */
char *
mig_setting_without_comment(char *text)
{
	text[strcspn(text, "#")] = '\0';
	return mig_file_line_trim(text);
}

/*
 * Split "key = value"; false if there is no "=", value being "" then.  Quotes
 * around the key are taken off.
 */
bool
mig_setting_split(char *text, char **key, char **value)
{
	char	   *equals = strchr(text, '=');
	size_t		length;

	*value = "";
	if (equals != NULL)
	{
		*equals = '\0';
		*value = mig_file_line_trim(equals + 1);
	}

	*key = mig_file_line_trim(text);
	length = strlen(*key);
	if (length >= 2 && **key == '"' && (*key)[length - 1] == '"')
	{
		(*key)[length - 1] = '\0';
		(*key)++;
	}
	return equals != NULL;
}

/* read true or false */
bool
mig_setting_boolean(const MigSourceFile *script, const MigFileLine *line,
					const char *value)
{
	if (pg_strcasecmp(value, "true") == 0)
		return true;
	if (pg_strcasecmp(value, "false") != 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_CONVENTION),
				 errmsg("invalid setting \"%s\" in file \"%s\" line %d",
						mig_file_line_excerpt(line), script->path,
						line->number),
				 errdetail("Expected true or false.")));
	return false;
}
