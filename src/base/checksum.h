/*-------------------------------------------------------------------------
 *
 * checksum.h
 *	  Hashes of bodies.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_CHECKSUM_H
#define MIG_BASE_CHECKSUM_H

/*
 * SHA-256, in hex, of a text in UTF-8 with CRLF turned into LF and a leading
 * byte-order mark dropped.  Raw bytes where the server encoding is SQL_ASCII.
 */
extern char *mig_checksum(const char *text);

/*
 * SHA-256, in hex, of exactly these bytes.  checksum is mig_checksum() of the
 * same text: where normalizing changed nothing it is the answer already.
 */
extern const char *mig_checksum_exact(const char *text, const char *checksum);

/* hashes of bytes as other tools write them: SHA-1 in hex, SHA-256 in base64 */
extern char *mig_checksum_sha1_hex(const char *data, size_t length);
extern char *mig_checksum_sha256_base64(const char *data, size_t length);

#endif							/* MIG_BASE_CHECKSUM_H */
