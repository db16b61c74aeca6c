/*-------------------------------------------------------------------------
 *
 * file_endings.h
 *	  Which files of a directory are read, and which are left aside.
 *
 * The client has the same lists, and .ci/check-endings compares them.  Upper
 * and lower case are the same.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_FILE_ENDINGS_H
#define MIG_BASE_FILE_ENDINGS_H

/* what names end with of files that are read: migrations, and settings of tools */
#define MIG_READ_ENDINGS \
	".sql", ".plan", ".toml", ".conf", "_journal.json", "atlas.sum"

/* patterns of what lies beside migrations and is none, in whatever convention */
#define MIG_BESIDE_PATTERNS \
	".*", "*.md", "README*", "LICENSE*", "*.toml", "*.conf", "*.plan", \
	"*.json", "*.sum", "*.txt", "*.orig", "*~"

#endif							/* MIG_BASE_FILE_ENDINGS_H */
