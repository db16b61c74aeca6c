/*-------------------------------------------------------------------------
 *
 * file_set.h
 *	  A set of files: their names, their lines, and which belong together.
 *
 * What the parsers of all conventions share.  Nothing here knows a convention.
 *
 * A file that cannot be taken is refused and not raised at once, so that one
 * error can name all of them, or the rest be loaded without them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_FILE_SET_H
#define MIG_SOURCE_FILE_SET_H

#include "base/migrate.h"

typedef struct MigSourceFile
{
	const char *path;
	char	   *content;
	bool		used;			/* a parser took it */
	bool		refused;		/* none shall: see MigRefusal */
} MigSourceFile;

/* why a file was refused; the strings are for messages */
typedef struct MigRefusal
{
	const char *path;
	const char *message;
	const char *detail;			/* may be NULL */
	const char *hint;			/* may be NULL */
} MigRefusal;

typedef struct MigFileLine
{
	const char *start;			/* first byte, after a byte-order mark */
	int			length;			/* without the line end */
	int			number;			/* counted from 1 */
	const char *next;			/* first byte of the next line */
} MigFileLine;

typedef struct MigFileSet
{
	const char *convention;		/* for messages and MigSource.source */
	char	   *(*marker) (const MigFileLine *line);	/* see MigConvention */
	MigSourceFile *scripts;		/* in the order of their paths */
	int			nscripts;
	bool		partial;		/* refused files do not end the load */
	List	   *refusals;		/* of MigRefusal * */
	List	   *sources;		/* of MigSource *, filled by the parser */
	bool		told;			/* a message says what was left out of it */
	List	   *orphans;		/* paths (char *) of files of other parts that
								 * no source has */
} MigFileSet;

/* the name of a .sql file, taken apart */
typedef struct MigFileName
{
	char	   *base;			/* without directories and without .sql */
	char	   *stem;			/* base without .up, .down and .verify */
	MigPart		part;			/* what that suffix says, else MIG_UP */
	bool		suffixed;		/* has one of them */
} MigFileName;

/* what a file says it is, by its path */
typedef struct MigClaim
{
	char	   *version;
	char	   *name;
	char	   *key;			/* the same for all files of a migration */
	MigPart		part;
	MigKind		kind;
} MigClaim;

/* fill claim and return true if the file is one of the convention */
typedef bool (*MigClaimFunction) (const MigSourceFile *script,
								  const MigFileName *name, MigClaim *claim);

/* put a file's content into the migration */
typedef void (*MigTakeFunction) (MigSource *source, MigPart part,
								 const MigSourceFile *script);

extern const char *mig_file_path_base(const char *path);
extern char *mig_file_path_directory(const char *path);
extern char *mig_file_path_directory_name(const char *path);
extern bool mig_file_path_has_suffix(const char *path, const char *suffix);
extern bool mig_file_path_is_sql(const char *path);
extern bool mig_file_path_matches(const char *path, const char *pattern);
extern void mig_file_path_split(const char *path, MigFileName *name);

extern void mig_file_line_rewind(MigFileLine *line, const char *text);
extern bool mig_file_line_next(MigFileLine *line);
extern bool mig_file_line_is_blank(const MigFileLine *line);
extern const char *mig_file_line_comment(const MigFileLine *line, int *length);
extern char *mig_file_line_text(const MigFileLine *line);
extern char *mig_file_line_excerpt(const MigFileLine *line);
extern char *mig_file_line_next_word(char **rest);
extern char *mig_file_line_trim(char *text);
extern List *mig_file_line_words_once(List *list);
extern List *mig_file_line_add_word(List *words, char *word);

extern bool mig_file_path_is_digits(const char *text);
extern char *mig_file_path_numeric_key(const char *version);

extern MigSourceFile *mig_file_set_find(const MigFileSet *set,
										const char *path);
extern void mig_file_set_refuse(MigFileSet *set, MigSourceFile *script,
								const char *message, const char *detail,
								const char *hint);
extern MigSource *mig_file_set_add(MigFileSet *set, const MigSourceFile *up,
								   char *version, char *name);
extern void mig_file_set_pair(MigFileSet *set, MigClaimFunction claim,
							  MigTakeFunction take);
extern void mig_file_set_take(MigSource *source, MigPart part,
							  const MigSourceFile *script);

#endif							/* MIG_SOURCE_FILE_SET_H */
