/*-------------------------------------------------------------------------
 *
 * version_order.h
 *	  The natural order of versions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_VERSION_ORDER_H
#define MIG_BASE_VERSION_ORDER_H

/*
 * Runs of digits compare as numbers of any length, all else bytewise, and
 * equal numbers of different width ("1", "01") bytewise in the end.
 */
extern int	mig_version_order_compare(const char *a, const char *b);

/* for arrays of versions (char *), byte by byte as in the tables' keys */
extern int	mig_version_compare_bytes(const void *a, const void *b);

/* bytes whose order (memcmp, shorter first) is the same; *length is set */
extern char *mig_version_order_sort_key(const char *version, int *length);

/* does it consist of nothing but numbers, so that its order means something? */
extern bool mig_version_is_number(const char *version);

/* a copy in which no number begins with a zero that could be left out */
extern char *mig_version_without_zeros(const char *version);

#endif							/* MIG_BASE_VERSION_ORDER_H */
