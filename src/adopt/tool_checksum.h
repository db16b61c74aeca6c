/*-------------------------------------------------------------------------
 *
 * tool_checksum.h
 *	  The checksums of other tools.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADOPT_TOOL_CHECKSUM_H
#define MIG_ADOPT_TOOL_CHECKSUM_H

#include "adopt/known_ledgers.h"

/* how a text compares with the checksum of an entry */
typedef enum MigChecksumResult
{
	MIG_CHECKSUM_SAME,
	MIG_CHECKSUM_DIFFERENT,
	MIG_CHECKSUM_UNKNOWN		/* there is none, or it is of another kind */
} MigChecksumResult;

/*
 * text is the body as it is stored, which is the file where a file is one body.
 * previous is the checksum of the entry before this one, or NULL.
 */
extern MigChecksumResult mig_tool_checksum_compare(MigLedgerChecksum kind,
												   const char *checksum,
												   const char *text,
												   const char *previous);

#endif							/* MIG_ADOPT_TOOL_CHECKSUM_H */
