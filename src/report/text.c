/*-------------------------------------------------------------------------
 *
 * text.c
 *	  Numbers, times and texts in a form for people.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"

#include "report/text.h"

char *
mig_report_text_bytes(int64 bytes)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
	double		value = bytes;
	int			unit = -1;

	if (bytes < 1024)
		return psprintf("%d bytes", (int) bytes);
	while (value >= 1023.5 && unit < (int) lengthof(units) - 1)
	{
		value /= 1024;
		unit++;
	}
	return psprintf(value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

char *
mig_report_text_count(double count)
{
	char	   *digits = psprintf("%.0f", count < 0 ? -count : count);
	int			length = strlen(digits);
	StringInfoData buf;
	int			i;

	initStringInfo(&buf);
	if (count < 0)
		appendStringInfoChar(&buf, '-');
	for (i = 0; i < length; i++)
	{
		if (i > 0 && (length - i) % 3 == 0)
			appendStringInfoChar(&buf, ',');
		appendStringInfoChar(&buf, digits[i]);
	}
	return buf.data;
}

char *
mig_report_text_ms(double ms)
{
	int			seconds;

	if (ms < 9.95)
		return psprintf(ms < 0.095 ? "%.2f ms" : "%.1f ms", ms);
	if (ms < 999.5)
		return psprintf("%.0f ms", ms);
	if (ms < 59950)
		return psprintf(ms < 9950 ? "%.1f s" : "%.0f s", ms / 1000);
	seconds = (int) rint(Min(ms, 3.6e12) / 1000);
	if (seconds < 3600)
		return psprintf("%d min %d s", seconds / 60, seconds % 60);
	return psprintf("%d h %d min", seconds / 3600, seconds / 60 % 60);
}

/*
 * time as report/report.c has it; what is not of that form is shown as it is
 */
char *
mig_report_text_time(const char *time)
{
	if (strlen(time) < 16 || time[10] != 'T')
		return pstrdup(time);
	return psprintf("%.10s %.5s UTC", time, time + 11);
}

char *
mig_report_text_many(int64 count, const char *one, const char *many)
{
	return psprintf("%s %s", mig_report_text_count(count),
					count == 1 ? one : many);
}

char *
mig_report_text_size(int64 bytes, double rows)
{
	char	   *count;

	if (rows < 0)
		return bytes < 0 ? NULL : mig_report_text_bytes(bytes);
	count = psprintf(rows == 1 ? "about %s row" : "about %s rows",
					 mig_report_text_count(rows));
	return bytes < 0 ? count :
		psprintf("%s, %s", mig_report_text_bytes(bytes), count);
}
