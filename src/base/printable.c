/*-------------------------------------------------------------------------
 *
 * printable.c
 *	  Texts of strangers that a terminal can be shown.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define MIG_PRINTABLE_INSIDE
#include "base/printable.h"

/*
 * Code points that are not seen, or turn what follows around.  Two that have no
 * width are part of how words and emoji are written: 200C and 200D.
 */
static bool
is_hidden(unsigned int code)
{
	return code < 0x20 ||
		(code >= 0x7f && code <= 0x9f) ||
		code == 0xad ||
		code == 0x61c ||		/* direction, of Arabic letters */
		code == 0x180e ||
		code == 0x200b ||		/* no width */
		(code >= 0x200e && code <= 0x200f) ||	/* direction */
		(code >= 0x2028 && code <= 0x202e) ||	/* lines, embedding */
		(code >= 0x2060 && code <= 0x206f) ||
		code == 0xfeff ||
		(code >= 0xfff9 && code <= 0xfffb) ||	/* annotations */
		(code & 0xfffe) == 0xfffe ||
		(code >= 0xe0000 && code <= 0xe007f);	/* tags */
}

/* are the bytes 80 to 9F control characters? */
static bool
is_iso_8859(int encoding)
{
	return (encoding >= PG_LATIN1 && encoding <= PG_LATIN10) ||
		(encoding >= PG_ISO_8859_5 && encoding <= PG_ISO_8859_8);
}

/* bytes of no known encoding are judged as UTF-8 where they can be that */
static unsigned int
hidden_of_many_bytes(const char *p, int encoding, int *length)
{
	unsigned char byte = (unsigned char) *p;
	int			judged = encoding == PG_SQL_ASCII ? PG_UTF8 : encoding;
	unsigned int code;

	*length = pg_encoding_verifymbchar(judged, p,
									   strnlen(p, MAX_MULTIBYTE_CHAR_LEN));
	if (*length < 1)
	{
		*length = 1;
		return encoding == PG_SQL_ASCII && byte >= 0xa0 ? 0 : byte;
	}
	if (judged != PG_UTF8)
		return 0;
	code = utf8_to_unicode((const unsigned char *) p);
	return is_hidden(code) ? code : 0;
}

unsigned int
mig_report_text_hidden_character(const char *p, int encoding, int *length)
{
	unsigned char byte = (unsigned char) *p;

	*length = 1;
	if (!IS_HIGHBIT_SET(byte))
		return byte != '\n' && byte != '\t' && is_hidden(byte) ? byte : 0;
	if (encoding == PG_SQL_ASCII || pg_encoding_max_length(encoding) > 1)
		return hidden_of_many_bytes(p, encoding, length);
	return byte < 0xa0 && is_iso_8859(encoding) ? byte : 0;
}

/* the same, for which a line ends the text */
static unsigned int
not_of_line(const char *p, int encoding, int *length)
{
	if (*p == '\n' || *p == '\t')
	{
		*length = 1;
		return *p;
	}
	return mig_report_text_hidden_character(p, encoding, length);
}

/* the first character that no line has, or NULL */
static const char *
find_not_of_line(const char *text)
{
	int			encoding = GetDatabaseEncoding();
	int			length;

	for (; *text != '\0'; text += length)
	{
		if (not_of_line(text, encoding, &length) != 0)
			return text;
	}
	return NULL;
}

bool
mig_is_line(const char *text, int bytes)
{
	return strnlen(text, (size_t) bytes + 1) <= bytes &&
		find_not_of_line(text) == NULL;
}

/* of a text of more than that no more is shown */
#define MOST_BYTES (128 * 1024 * 1024)

/* the character at p, length bytes, as what can be printed */
static void
append_shown(StringInfo buf, const char *p, int length, unsigned int hidden)
{
	if (hidden == 0)
		appendBinaryStringInfo(buf, p, length);
	else if (length == 1)
		appendStringInfo(buf, "\\x%02X", hidden);
	else
		appendStringInfo(buf, "<U+%04X>", hidden);
}

/* as a new string of at most so many bytes */
static char *
show(const char *text, bool line, int bytes)
{
	int			encoding = GetDatabaseEncoding();
	StringInfoData buf;
	int			fits = 0;		/* the length with which "..." fits, too */
	int			length;

	initStringInfo(&buf);
	for (; *text != '\0' && buf.len <= bytes; text += length)
	{
		unsigned int hidden = line ? not_of_line(text, encoding, &length) :
			mig_report_text_hidden_character(text, encoding, &length);

		append_shown(&buf, text, length, hidden);
		if (buf.len <= bytes - 3)
			fits = buf.len;
	}
	if (buf.len > bytes)
	{
		buf.data[fits] = '\0';
		buf.len = fits;
		appendStringInfoString(&buf, "...");
	}
	return buf.data;
}

char *
mig_printable(const char *text)
{
	int			encoding = GetDatabaseEncoding();
	const char *p;
	int			length;

	for (p = text; p != NULL && *p != '\0'; p += length)
	{
		if (mig_report_text_hidden_character(p, encoding, &length) != 0)
			return show(text, false, MOST_BYTES);
	}
	return unconstify(char *, text);
}

char *
mig_printable_line(const char *text, int bytes)
{
	Assert(bytes > 3);
	if (text == NULL || mig_is_line(text, bytes))
		return unconstify(char *, text);
	return show(text, true, bytes);
}

char *
mig_user_name(Oid role)
{
	return mig_printable_line(GetUserNameFromId(role, false), MIG_NAME_BYTES);
}

void
mig_check_line(const char *what, const char *text, int bytes)
{
	mig_check_line_as(ERRCODE_INVALID_PARAMETER_VALUE, what, text, bytes);
}

void
mig_check_line_as(int sqlstate, const char *what, const char *text, int bytes)
{
	const char *bad;
	StringInfoData shown;
	unsigned int code;
	int			length;

	if (text == NULL)
		return;
	if (strlen(text) > bytes)
		ereport(ERROR,
				(errcode(sqlstate),
				 mig_errmsg("%s is too long", what),
				 mig_errdetail("It has %zu bytes, and may have %d: \"%s\".",
							   strlen(text), bytes,
							   mig_printable_line(text, MIG_EXCERPT_BYTES))));
	bad = find_not_of_line(text);
	if (bad == NULL)
		return;
	code = not_of_line(bad, GetDatabaseEncoding(), &length);
	initStringInfo(&shown);
	append_shown(&shown, bad, length, code);
	ereport(ERROR,
			(errcode(sqlstate),
			 code < 0xa0 ?
			 mig_errmsg("%s must not contain control characters", what) :
			 mig_errmsg("%s must not contain invisible characters", what),
			 mig_errdetail("There is %s in \"%s\".", shown.data,
						   mig_printable_line(text, MIG_EXCERPT_BYTES)),
			 *bad == '\n' ? mig_errhint("Write it in one line.") :
			 mig_errhint("Leave it out: a terminal could show something else than what is there.")));
}

bool
mig_are_lines(ArrayType *texts, int bytes)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			i;

	deconstruct_array(texts, TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &count);
	for (i = 0; i < count; i++)
	{
		/* its length first, which takes no memory */
		if (!nulls[i] &&
			(toast_raw_datum_size(elements[i]) - VARHDRSZ > bytes ||
			 !mig_is_line(TextDatumGetCString(elements[i]), bytes)))
			return false;
	}
	return true;
}


/*
 * What ereport() is given.  The server's functions would look for translations,
 * of which this library has none.
 */

static char *format_printable(const char *fmt, va_list args)
			pg_attribute_printf(1, 0);

/* a new string; errno is for %m */
static char *
format_printable(const char *fmt, va_list args)
{
	int			save_errno = errno;
	StringInfoData buf;
	char	   *text;

	initStringInfo(&buf);
	for (;;)
	{
		va_list		copy;
		int			needed;

		errno = save_errno;
		va_copy(copy, args);
		needed = appendStringInfoVA(&buf, fmt, copy);
		va_end(copy);
		if (needed == 0)
			break;
		enlargeStringInfo(&buf, needed);
	}
	text = mig_printable(buf.data);
	if (text != buf.data)
		pfree(buf.data);
	return text;
}

/* a call of one of the server's functions, in one of that form; last is the last named argument */
#define SAY(function, fmt, last) \
	do { \
		va_list		args; \
		char	   *text; \
		va_start(args, last); \
		text = format_printable(fmt, args); \
		va_end(args); \
		function("%s", text); \
		pfree(text); \
		return 0; \
	} while (0)

int
mig_errmsg(const char *fmt,...)
{
	SAY(errmsg_internal, fmt, fmt);
}

int
mig_errdetail(const char *fmt,...)
{
	SAY(errdetail_internal, fmt, fmt);
}

int
mig_errhint(const char *fmt,...)
{
	SAY(errhint, fmt, fmt);
}

int
mig_errcontext(const char *fmt,...)
{
	SAY(errcontext_msg, fmt, fmt);
}

int
mig_errmsg_plural(const char *one, const char *many, unsigned long n,...)
{
	SAY(errmsg_internal, n == 1 ? one : many, n);
}

int
mig_errdetail_plural(const char *one, const char *many, unsigned long n,...)
{
	SAY(errdetail_internal, n == 1 ? one : many, n);
}
