/*-------------------------------------------------------------------------
 *
 * text.c
 *	  What the parser does not keep of a body: comments, long names, secrets.
 *
 * The body has been parsed, so that its tokens are known to be good ones.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "miscadmin.h"
#include "parser/scansup.h"

#include "lint/text.h"
#include "source/lenient_scan.h"

#define OFF_MARKER "migrate:lint-off"
#define OFF_WHOLE "-file"

static bool
is_name_start(char c)
{
	return isalpha((unsigned char) c) || c == '_' || IS_HIGHBIT_SET(c);
}

static bool
is_name_part(char c)
{
	return is_name_start(c) || isdigit((unsigned char) c) || c == '$';
}

/* after the quote that ends what begins here */
static const char *
skip_quoted(const char *p, char quote, bool escapes)
{
	for (p++; *p; p++)
	{
		if (escapes && *p == '\\' && p[1] != '\0')
			p++;
		else if (*p == quote)
		{
			if (p[1] != quote)
				return p + 1;
			p++;
		}
	}
	return p;
}

/* after the dollar quotes that begin here, or after the dollar alone */
static const char *
skip_dollar_quoted(const char *p)
{
	const char *end = p + 1;
	char	   *tag;
	const char *close;

	while (is_name_part(*end) && *end != '$')
		end++;
	if (*end != '$')
		return p + 1;
	tag = pnstrdup(p, end - p + 1);
	close = strstr(end + 1, tag);
	return close ? close + strlen(tag) : p + strlen(p);
}

/*
 * P is at its beginning; comments nest. Returns the end of the text if it is
 * not closed.
 */
static const char *
skip_block_comment(const char *p)
{
	int			depth = 0;

	while (*p)
	{
		if (p[0] == '/' && p[1] == '*')
		{
			depth++;
			p += 2;
		}
		else if (p[0] == '*' && p[1] == '/')
		{
			p += 2;
			if (--depth == 0)
				break;
		}
		else
			p++;
	}
	return p;
}

/* the words up to the end of the line or of the comment */
static List *
rule_list(const char *p, const char *end)
{
	List	   *rules = NIL;

	while (p < end)
	{
		const char *start;

		while (p < end && (scanner_isspace(*p) || *p == ','))
			p++;
		start = p;
		while (p < end && !scanner_isspace(*p) && *p != ',')
			p++;
		if (p > start)
			rules = lappend(rules, pnstrdup(start, p - start));
	}
	return rules;
}

/* -- migrate:lint-off RULE[, RULE]... */
static void
look_at_comment(MigLintText *result, const char *text, const char *start,
				const char *end)
{
	const char *p = start + 2;
	MigLintOff *off;
	bool		whole = false;

	while (p < end && scanner_isspace(*p))
		p++;
	if (pg_strncasecmp(p, OFF_MARKER, strlen(OFF_MARKER)) != 0)
		return;
	p += strlen(OFF_MARKER);
	if (pg_strncasecmp(p, OFF_WHOLE, strlen(OFF_WHOLE)) == 0)
	{
		whole = true;
		p += strlen(OFF_WHOLE);
	}
	if (p < end && !scanner_isspace(*p))
		return;
	off = palloc(sizeof(MigLintOff));
	off->location = start - text;
	off->whole = whole;
	off->rules = rule_list(p, end);
	result->offs = lappend(result->offs, off);
}

/* looks for lint-off in it; returns what comes after it */
static const char *
scan_comment(MigLintText *result, const char *text, const char *p)
{
	const char *end = p;
	int			length;

	if (p[0] == '/')
	{
		end = skip_block_comment(p);
		length = end - p;
		look_at_comment(result, text, p, length >= 4 ? end - 2 : end);
		return end;
	}
	end = mig_lenient_scan_line_end(p);
	look_at_comment(result, text, p, end);
	return end;
}

static void
add_long_name(MigLintText *result, int location, char *name)
{
	MigLongName *entry = palloc(sizeof(MigLongName));

	entry->location = location;
	entry->name = name;
	result->long_names = lappend(result->long_names, entry);
}

/* what is between the quotes, of which those that are doubled count once */
static void
look_at_quoted_name(MigLintText *result, int location, const char *start,
					const char *end)
{
	char	   *name = palloc(end - start + 1);
	int			length = 0;

	for (; start < end; start++)
	{
		name[length++] = *start;
		if (*start == '"')
			start++;
	}
	name[length] = '\0';
	if (length < NAMEDATALEN)
		return;
	truncate_identifier(name, length, false);
	add_long_name(result, location, name);
}

/*
 * Notes a name that the server would truncate; returns what comes after it,
 * E'...' included.
 */
static const char *
scan_name(MigLintText *result, const char *text, const char *p)
{
	const char *end = p;

	while (is_name_part(*end))
		end++;
	if (end - p >= NAMEDATALEN)
		add_long_name(result, p - text,
					  downcase_truncate_identifier(p, end - p, false));

	/* E'...' */
	if (end - p == 1 && (*p == 'e' || *p == 'E') && *end == '\'')
		return skip_quoted(end, '\'', true);
	return end;
}

MigLintText *
mig_lint_text_scan(const char *text)
{
	MigLintText *result = palloc0(sizeof(MigLintText));
	const char *p = text;

	while (*p)
	{
		CHECK_FOR_INTERRUPTS();
		if (*p == '\'')
			p = skip_quoted(p, '\'', false);
		else if (*p == '"')
		{
			const char *end = skip_quoted(p, '"', false);

			if (end - p - 2 >= NAMEDATALEN)
				look_at_quoted_name(result, p - text, p + 1, end - 1);
			p = end;
		}
		else if (*p == '$')
			p = skip_dollar_quoted(p);
		else if ((p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*'))
			p = scan_comment(result, text, p);
		else if (is_name_start(*p))
			p = scan_name(result, text, p);
		else if (isdigit((unsigned char) *p))
		{
			while (is_name_part(*p))
				p++;
		}
		else
			p++;
	}
	return result;
}


/*
 * Secrets
 */

typedef struct SecretForm
{
	const char *prefix;
	int			length;			/* of what follows, at least */
	const char *what;
} SecretForm;

static const SecretForm secret_forms[] = {
	{"AKIA", 16, "an access key of AWS"},
	{"ASIA", 16, "an access key of AWS"},
	{"ghp_", 20, "a token of GitHub"},
	{"gho_", 20, "a token of GitHub"},
	{"github_pat_", 20, "a token of GitHub"},
	{"glpat-", 16, "a token of GitLab"},
	{"xoxb-", 16, "a token of Slack"},
	{"xoxp-", 16, "a token of Slack"},
	{"sk_live_", 16, "a key of Stripe"},
	{"rk_live_", 16, "a key of Stripe"},
	{"AIza", 30, "a key of Google"},
	{"eyJhbGciOi", 40, "a JSON web token"},
};

static bool
is_token_character(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '-' || c == '.';
}

/* what the secret that begins at p seems to be, or NULL; text is where all begins */
static const char *
secret_form(const char *text, const char *p)
{
	int			i;

	for (i = 0; i < lengthof(secret_forms); i++)
	{
		const SecretForm *form = &secret_forms[i];
		int			prefix = strlen(form->prefix);
		int			length = 0;

		if (*p != form->prefix[0] || strncmp(p, form->prefix, prefix) != 0 ||
			(p > text && is_token_character(p[-1])))
			continue;
		while (length < form->length &&
			   is_token_character(p[prefix + length]))
			length++;
		if (length == form->length)
			return form->what;
	}
	return NULL;
}

#define KEY_BEGINS "-----BEGIN "
#define KEY_ENDS "PRIVATE KEY-----"
#define KEY_BYTES 60			/* of such a line, up to the dashes */

/* the head of a PEM block, at p */
static bool
is_private_key(const char *p)
{
	const char *end;

	if (strncmp(p, KEY_BEGINS, strlen(KEY_BEGINS)) != 0)
		return false;
	for (end = p + strlen(KEY_BEGINS); *end && end - p < KEY_BYTES; end++)
	{
		if (strncmp(end, KEY_ENDS, strlen(KEY_ENDS)) == 0)
			return true;
		if (*end == '-')
			return false;
	}
	return false;
}

/*
 * scheme://user:password@host, p being at the colon.  Neither part has a slash
 * in it, so no byte is looked at for two of them.
 */
static bool
is_url_with_password(const char *p)
{
	const char *user = p + 3;
	const char *colon = user;
	const char *at;

	if (strncmp(p, "://", 3) != 0)
		return false;
	while (is_token_character(*colon))
		colon++;
	if (*colon != ':' || colon == user)
		return false;
	at = colon + 1;
	while (*at && strchr("@/ \t\r\n'\"", *at) == NULL)
		at++;
	return *at == '@' && at - colon > 3;
}

const char *
mig_lint_text_secret(const char *text, int from, int *location)
{
	const char *p;
	const char *what = NULL;

	for (p = text + from; *p && what == NULL; p++)
	{
		CHECK_FOR_INTERRUPTS();
		if (is_private_key(p))
			what = "a private key";
		else if (is_url_with_password(p))
			what = "an address with a password";
		else
			what = secret_form(text, p);
	}
	if (what != NULL)
		*location = p - 1 - text;
	return what;
}
