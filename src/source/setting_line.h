/*-------------------------------------------------------------------------
 *
 * setting_line.h
 *	  Lines of settings: key = value.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_SETTING_LINE_H
#define MIG_SOURCE_SETTING_LINE_H

#include "source/file_set.h"

/* take off a comment of the # kind, and blanks, in place */
extern char *mig_setting_without_comment(char *text);

/*
 * Split "key = value", in place; false if there is no "=", value being "" then.
 * Quotes around the key are taken off.
 */
extern bool mig_setting_split(char *text, char **key, char **value);

/* the value of a setting that is true or false; MIG_ERRCODE_CONVENTION if not */
extern bool mig_setting_boolean(const MigSourceFile *script,
								const MigFileLine *line, const char *value);

#endif							/* MIG_SOURCE_SETTING_LINE_H */
