/*-------------------------------------------------------------------------
 *
 * checksum.c
 *	  Hashes of bodies.
 *
 * The normalization makes one migration hash alike whether it was checked out
 * with CRLF or LF and whatever the encoding of the database.  It is for the
 * checksum only: the stored text keeps its bytes, a CRLF inside a literal is
 * data.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha1.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "base/checksum.h"
#include "base/compat.h"

#define UTF8_BOM "\xEF\xBB\xBF"

/* in lower case, palloc'd; the data may have zero bytes */
/* the digest as bytea */
static bytea *
sha256_digest(const char *data, size_t length)
{
	bytea	   *input = (bytea *) palloc(VARHDRSZ + length);
	bytea	   *digest;

	SET_VARSIZE(input, VARHDRSZ + length);
	memcpy(VARDATA(input), data, length);
	digest = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea,
												 PointerGetDatum(input)));
	pfree(input);
	return digest;
}

/* the same in hex */
static char *
sha256_hex(const char *data, size_t length)
{
	bytea	   *digest = sha256_digest(data, length);
	char	   *hex;
	uint64		hex_length;

	hex = palloc(2 * VARSIZE_ANY_EXHDR(digest) + 1);
	hex_length = hex_encode(VARDATA_ANY(digest), VARSIZE_ANY_EXHDR(digest),
							hex);
	hex[hex_length] = '\0';
	pfree(digest);
	return hex;
}

static bool
has_bom(const char *text)
{
	return strncmp(text, UTF8_BOM, strlen(UTF8_BOM)) == 0;
}

char *
mig_checksum(const char *text)
{
	const char *utf8 = text;
	char	   *normal;
	char	   *hex;
	size_t		length = 0;
	const char *p;

	Assert(text != NULL);
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		return sha256_hex(text, strlen(text));

	/* returns its argument when there is nothing to convert */
	utf8 = (const char *) pg_server_to_any(text, strlen(text), PG_UTF8);
	if (has_bom(utf8))
		utf8 += strlen(UTF8_BOM);
	else if (strstr(utf8, "\r\n") == NULL)
		return sha256_hex(utf8, strlen(utf8));

	normal = palloc(strlen(utf8) + 1);
	for (p = utf8; *p; p++)
	{
		if (p[0] == '\r' && p[1] == '\n')
			continue;
		normal[length++] = *p;
	}
	hex = sha256_hex(normal, length);
	pfree(normal);
	return hex;
}

const char *
mig_checksum_exact(const char *text, const char *checksum)
{
	Assert(strlen(checksum) == 64);
	if (GetDatabaseEncoding() == PG_UTF8 && !has_bom(text) &&
		strstr(text, "\r\n") == NULL)
		return checksum;
	return sha256_hex(text, strlen(text));
}

char *
mig_checksum_sha1_hex(const char *data, size_t length)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA1);
	uint8		digest[SHA1_DIGEST_LENGTH];
	char	   *hex = palloc(2 * SHA1_DIGEST_LENGTH + 1);

	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) data, length) < 0 ||
		pg_cryptohash_final(context, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute a SHA-1 hash");
	pg_cryptohash_free(context);
	hex[hex_encode((const char *) digest, sizeof(digest), hex)] = '\0';
	return hex;
}

char *
mig_checksum_sha256_base64(const char *data, size_t length)
{
	bytea	   *digest = sha256_digest(data, length);

	return TextDatumGetCString(DirectFunctionCall2(binary_encode,
												   PointerGetDatum(digest),
												   CStringGetTextDatum("base64")));
}
