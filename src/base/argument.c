/*-------------------------------------------------------------------------
 *
 * argument.c
 *	  Arguments of SQL-callable functions as C values.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/argument.h"
#include "base/printable.h"

void
mig_argument_must_not_be_null(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("argument \"%s\" must not be null", name)));
}

char *
mig_argument_text(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

char *
mig_argument_line(FunctionCallInfo fcinfo, int n, const char *name, int bytes)
{
	char	   *text = mig_argument_text(fcinfo, n);

	mig_check_line(psprintf("argument \"%s\"", name), text, bytes);
	return text;
}

char *
mig_argument_note(FunctionCallInfo fcinfo, int n)
{
	char	   *note = mig_argument_text(fcinfo, n);
	char	   *to = note;

	if (note == NULL)
		return NULL;
	for (const char *from = note; *from != '\0';)
	{
		int			length = strspn(from, " \t\r\n");

		/* nothing but blanks stays as it is */
		if (length > 0 && strcspn(from, "\t\r\n") < length)
		{
			from += length;
			if (to > note && *from != '\0')
				*to++ = ' ';
		}
		else
			*to++ = *from++;
	}
	*to = '\0';
	mig_check_line("argument \"note\"", note, MIG_NOTE_BYTES);
	return note;
}

char *
mig_argument_required_text(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		mig_argument_must_not_be_null(name);
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/* a number, or numbers, as the text that may have been meant; NULL: neither */
static char *
number_literal(Oid type, Oid element, Datum value)
{
	char		category;
	bool		preferred;
	Oid			output;
	bool		is_varlena;

	/* the output function of any other type could be anybody's */
	if (element >= FirstNormalObjectId)
		return NULL;
	get_type_category_preferred(element, &category, &preferred);
	if (category != TYPCATEGORY_NUMERIC)
		return NULL;
	getTypeOutputInfo(type, &output, &is_varlena);
	return quote_literal_cstr(OidOutputFunctionCall(output, value));
}

/*
 * Versions are text.  A number could not be told from the text that looks like
 * it: 2 is "002" where versions are padded.  An array is right only where
 * several versions are wanted.
 */
void
mig_argument_refuse_version_type(FunctionCallInfo fcinfo, int n, bool several)
{
	char	   *function = get_func_name(fcinfo->flinfo->fn_oid);
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, n);
	Oid			element = OidIsValid(type) ? get_base_element_type(type) :
		InvalidOid;
	bool		too_many = OidIsValid(element) && !several;
	char	   *literal = NULL;

	if (OidIsValid(type) && !PG_ARGISNULL(n) && !too_many)
		literal = number_literal(type, OidIsValid(element) ? element : type,
								 PG_GETARG_DATUM(n));
	if (literal == NULL)
		literal = several && OidIsValid(element) ? "'{001,002}'" : "'002'";
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("a version is text, and migrate.%s() is given type %s",
					function, format_type_be(type)),
	/* what comes first there is no version */
			 strcmp(function, "report") == 0 ?
			 errhint("Write versions in quotes, as migrate.status() shows them: SELECT migrate.report(target => %s).",
					 literal) :
			 too_many ?
			 errhint("Write one version in quotes, as migrate.status() shows it: %s.  Several are for the argument \"versions\" of a function that has it.",
					 literal) :
			 errhint("Write versions in quotes, as migrate.status() shows them: %s.",
					 literal)));
}

/* raise an error unless an argument is text; with several: an array of text */
static void
require_text(FunctionCallInfo fcinfo, int n, bool several)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, n);
	Oid			element = InvalidOid;

	/* none is known in a call by the fast-path protocol */
	if (OidIsValid(type))
		element = get_base_element_type(type);
	if (OidIsValid(element) != several ||
		!OidIsValid(type) ||
		!IsBinaryCoercible(several ? element : type, TEXTOID))
		mig_argument_refuse_version_type(fcinfo, n, several);
}

char *
mig_argument_version(FunctionCallInfo fcinfo, int n)
{
	char	   *version;

	require_text(fcinfo, n, false);
	version = mig_argument_text(fcinfo, n);
	mig_check_line("a version", version, MIG_VERSION_BYTES);
	return version;
}

char *
mig_argument_required_version(FunctionCallInfo fcinfo, int n, const char *name)
{
	char	   *version = mig_argument_version(fcinfo, n);

	if (version == NULL)
		mig_argument_must_not_be_null(name);
	return version;
}

char *
mig_argument_project(FunctionCallInfo fcinfo, int n)
{
	char	   *project = mig_argument_required_text(fcinfo, n, "project");

	if (project[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the name of a project must not be empty")));
	mig_check_line("the name of a project", project, MIG_VERSION_BYTES);
	return project;
}

bool
mig_argument_bool(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		mig_argument_must_not_be_null(name);
	return PG_GETARG_BOOL(n);
}

int64
mig_argument_steps(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		mig_argument_must_not_be_null("steps");
	if (PG_GETARG_INT64(n) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"steps\" must not be negative")));
	return PG_GETARG_INT64(n);
}

List *
mig_argument_text_list(FunctionCallInfo fcinfo, int n)
{
	ArrayType  *array;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	List	   *list = NIL;
	char	   *element;
	int			i;

	if (PG_ARGISNULL(n))
		return NIL;
	array = PG_GETARG_ARRAYTYPE_P(n);
	require_text(fcinfo, n, true);
	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("the array must not contain nulls")));
		element = TextDatumGetCString(elements[i]);
		mig_check_line("an element of the array", element, MIG_PATH_BYTES);
		list = lappend(list, element);
	}
	return list;
}
