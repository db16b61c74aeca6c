/*-------------------------------------------------------------------------
 *
 * export.h
 *	  The migrations of a project as files of a convention.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADOPT_EXPORT_H
#define MIG_ADOPT_EXPORT_H

typedef void (*MigExportSink) (const char *path, const char *content,
							   void *arg);

/*
 * Raises MIG_ERRCODE_CONVENTION if load() would not make the same migrations of
 * these files again, but for what a NOTICE names, which the convention has no
 * words for.
 */
extern void mig_export_project(const char *project, const char *convention,
							   MigExportSink sink, void *arg);

#endif							/* MIG_ADOPT_EXPORT_H */
