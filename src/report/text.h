/*-------------------------------------------------------------------------
 *
 * text.h
 *	  Numbers, times and texts in a form for people.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_REPORT_TEXT_H
#define MIG_REPORT_TEXT_H

/* palloc'd, in ASCII */
extern char *mig_report_text_bytes(int64 bytes);	/* 1.2 GB */
extern char *mig_report_text_count(double count);	/* 40,000,000 */
extern char *mig_report_text_ms(double ms); /* 3.1 ms, 1.2 s, 2 min 5 s */
extern char *mig_report_text_time(const char *time);	/* 2027-01-31 10:48 UTC */
extern char *mig_report_text_many(int64 count, const char *one,
								  const char *many);

/* "12 MB, about 200,000 rows"; -1: not known; NULL if neither is */
extern char *mig_report_text_size(int64 bytes, double rows);

#endif							/* MIG_REPORT_TEXT_H */
