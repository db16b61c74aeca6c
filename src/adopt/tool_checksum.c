/*-------------------------------------------------------------------------
 *
 * tool_checksum.c
 *	  The checksums of other tools.
 *
 * A text that was checked out with other line ends, or with a byte-order mark,
 * is the same text: what a tool has hashed elsewhere may have had either.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/cryptohash.h"
#include "common/sha1.h"
#include "common/sha2.h"
#include "common/md5.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/pg_crc.h"

#include "adopt/tool_checksum.h"
#include "base/errors.h"

#define UTF8_BOM "\xEF\xBB\xBF"

static const struct
{
	pg_cryptohash_type type;
	int			length;			/* of the digest, in bytes */
}			digests[] = {
	[MIG_CHECKSUM_MD5] = {PG_MD5, MD5_DIGEST_LENGTH},
	[MIG_CHECKSUM_SHA1] = {PG_SHA1, SHA1_DIGEST_LENGTH},
	[MIG_CHECKSUM_SHA256] = {PG_SHA256, PG_SHA256_DIGEST_LENGTH},
	[MIG_CHECKSUM_SHA384] = {PG_SHA384, PG_SHA384_DIGEST_LENGTH}
};

/* the digest in hex */
static char *
digest_of(MigLedgerChecksum kind, const char *data, Size length)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(digests[kind].type);
	uint8		digest[PG_SHA512_DIGEST_LENGTH];
	char	   *hex = palloc(2 * PG_SHA512_DIGEST_LENGTH + 1);

	Assert(kind >= MIG_CHECKSUM_MD5 && kind <= MIG_CHECKSUM_SHA384);
	if (context == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY),
						errmsg("out of memory")));
	if (pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) data, length) < 0 ||
		pg_cryptohash_final(context, digest, digests[kind].length) < 0)
	{
		const char *problem = pg_cryptohash_error(context);

		/* such as MD5 where the system forbids it */
		pg_cryptohash_free(context);
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("could not compute a checksum of another tool: %s",
						problem)));
	}
	pg_cryptohash_free(context);
	hex[hex_encode((const char *) digest, digests[kind].length, hex)] = '\0';
	return hex;
}

/* the text with each line end as LF or CRLF */
static char *
with_line_ends(const char *text, const char *end)
{
	StringInfoData result;

	initStringInfo(&result);
	for (; *text != '\0'; text++)
	{
		if (text[0] == '\r' && text[1] == '\n')
			continue;
		if (*text == '\n')
			appendStringInfoString(&result, end);
		else
			appendStringInfoChar(&result, *text);
	}
	return result.data;
}

/* has the file, with whichever line ends, this digest? */
static bool
is_digest_of(MigLedgerChecksum kind, const char *checksum, const char *text)
{
	const char *forms[] = {
		text, with_line_ends(text, "\n"), with_line_ends(text, "\r\n")
	};

	for (int i = 0; i < lengthof(forms); i++)
	{
		if (pg_strcasecmp(digest_of(kind, forms[i], strlen(forms[i])),
						  checksum) == 0 ||
			pg_strcasecmp(digest_of(kind, psprintf(UTF8_BOM "%s", forms[i]),
									strlen(forms[i]) + 3), checksum) == 0)
			return true;
	}
	return false;
}

/* CRC-32 of the lines, without their ends, as a signed number */
static char *
flyway_checksum(const char *text)
{
	pg_crc32	crc;

	INIT_TRADITIONAL_CRC32(crc);
	while (*text != '\0')
	{
		Size		length = strcspn(text, "\r\n");

		COMP_TRADITIONAL_CRC32(crc, text, length);
		text += length;
		if (text[0] == '\r' && text[1] == '\n')
			text++;
		if (*text != '\0')
			text++;
	}
	FIN_TRADITIONAL_CRC32(crc);
	return psprintf("%d", (int32) crc);
}

/* Without blanks at both ends, as JavaScript's trim() does for ASCII. */
static char *
trim(const char *text)
{
	Size		length;

	while (isspace((unsigned char) *text))
		text++;
	length = strlen(text);
	while (length > 0 && isspace((unsigned char) text[length - 1]))
		length--;
	return pnstrdup(text, length);
}

/* the hash of graphile-migrate, with its chain; the head lines are left out */
static char *
graphile_checksum(const char *text, const char *previous)
{
	char	   *whole;

	text = with_line_ends(text, "\n");
	while (strncmp(text, "--!", 3) == 0)
	{
		text += strcspn(text, "\n");
		text += (*text == '\n');
	}
	whole = psprintf("%s\n", trim(psprintf("%s\n%s",
										   previous ? previous : "",
										   trim(text))));
	return psprintf("sha1:%s", digest_of(MIG_CHECKSUM_SHA1, whole,
										 strlen(whole)));
}

/* what kind of digest has so many hexadecimal digits */
static MigLedgerChecksum
kind_of_length(const char *checksum)
{
	int			length = strspn(checksum, "0123456789abcdefABCDEF");

	if (checksum[length] != '\0')
		return MIG_CHECKSUM_NONE;
	for (MigLedgerChecksum kind = MIG_CHECKSUM_MD5;
		 kind <= MIG_CHECKSUM_SHA384; kind++)
	{
		if (length == 2 * digests[kind].length)
			return kind;
	}
	return MIG_CHECKSUM_NONE;
}

MigChecksumResult
mig_tool_checksum_compare(MigLedgerChecksum kind, const char *checksum,
						  const char *text, const char *previous)
{
	bool		same;

	if (checksum == NULL || checksum[0] == '\0')
		return MIG_CHECKSUM_UNKNOWN;
	if (kind == MIG_CHECKSUM_BY_LENGTH)
		kind = kind_of_length(checksum);
	if (kind == MIG_CHECKSUM_NONE)
		return MIG_CHECKSUM_UNKNOWN;
	text = (const char *)
		pg_do_encoding_conversion((unsigned char *) unconstify(char *, text),
								  strlen(text), GetDatabaseEncoding(),
								  PG_UTF8);
	if (strncmp(text, UTF8_BOM, 3) == 0)
		text += 3;
	if (kind == MIG_CHECKSUM_FLYWAY)
		same = strcmp(flyway_checksum(text), checksum) == 0;
	else if (kind == MIG_CHECKSUM_GRAPHILE)
		same = strcmp(graphile_checksum(text, previous), checksum) == 0;
	else
		same = is_digest_of(kind, checksum, text);
	return same ? MIG_CHECKSUM_SAME : MIG_CHECKSUM_DIFFERENT;
}
