/*-------------------------------------------------------------------------
 *
 * version_order.c
 *	  The natural order of versions.
 *
 * No collation has a say in it: an upgrade of a collation library must not
 * change the order in which migrations run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "port/pg_bswap.h"

#include "base/version_order.h"

#define IS_DIGIT(c) ((c) >= '0' && (c) <= '9')

static int
count_digits(const char *p)
{
	int			n = 0;

	while (IS_DIGIT(p[n]))
		n++;
	return n;
}

static const char *
skip_zeros(const char *p)
{
	while (p[0] == '0' && IS_DIGIT(p[1]))
		p++;
	return p;
}

int
mig_version_order_compare(const char *a, const char *b)
{
	const char *p = a;
	const char *q = b;

	while (*p && *q)
	{
		if (IS_DIGIT(*p) && IS_DIGIT(*q))
		{
			int			p_length;
			int			q_length;
			int			result;

			p = skip_zeros(p);
			q = skip_zeros(q);
			p_length = count_digits(p);
			q_length = count_digits(q);
			if (p_length != q_length)
				return p_length - q_length;
			result = strncmp(p, q, p_length);
			if (result != 0)
				return result;
			p += p_length;
			q += q_length;
		}
		else
		{
			if (*p != *q)
				return (unsigned char) *p - (unsigned char) *q;
			p++;
			q++;
		}
	}
	if (*p || *q)
		return *p ? 1 : -1;
	return strcmp(a, b);
}

int
mig_version_compare_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/*
 * A number becomes the byte '0', the count of its digits and the digits, so
 * that it sorts among other bytes where a digit would; a zero byte ends the
 * key proper, and the version itself breaks ties.
 */
char *
mig_version_order_sort_key(const char *version, int *length)
{
	StringInfoData key;
	const char *p = version;

	initStringInfo(&key);
	while (*p)
	{
		if (IS_DIGIT(*p))
		{
			uint32		count;

			p = skip_zeros(p);
			count = count_digits(p);
			appendStringInfoChar(&key, '0');
			count = pg_hton32(count);
			appendBinaryStringInfo(&key, (char *) &count, sizeof(count));
			count = count_digits(p);
			appendBinaryStringInfo(&key, p, count);
			p += count;
		}
		else
			appendStringInfoChar(&key, *p++);
	}
	appendStringInfoChar(&key, '\0');
	appendStringInfoString(&key, version);
	*length = key.len;
	return key.data;
}

bool
mig_version_is_number(const char *version)
{
	return strspn(version, "0123456789._-") == strlen(version);
}

char *
mig_version_without_zeros(const char *version)
{
	char	   *key = palloc(strlen(version) + 1);
	char	   *to = key;

	while (*version != '\0')
	{
		int			digits;

		if (IS_DIGIT(*version))
			version = skip_zeros(version);
		digits = Max(count_digits(version), 1);
		memcpy(to, version, digits);
		to += digits;
		version += digits;
	}
	*to = '\0';
	return key;
}
