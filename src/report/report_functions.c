/*-------------------------------------------------------------------------
 *
 * report_functions.c
 *	  The SQL-callable function report().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/argument.h"
#include "base/printable.h"
#include "report/html.h"
#include "report/json.h"
#include "report/markdown.h"
#include "report/report.h"

PG_FUNCTION_INFO_V1(migrate_report);

/* a format of report(); body_limit is how many characters of a body it shows */
typedef struct ReportFormat
{
	const char *name;
	int			body_limit;
	char	   *(*render) (const MigReport *report);
} ReportFormat;

static const ReportFormat report_formats[] = {
	{"markdown", 65536, mig_report_markdown},
	{"html", 262144, mig_report_html},
	{"json", 0, mig_report_json},
};

/* never NULL: an unknown name is an error */
static const ReportFormat *
find_report_format(const char *name)
{
	int			i;

	for (i = 0; i < lengthof(report_formats); i++)
	{
		if (strcmp(report_formats[i].name, name) == 0)
			return &report_formats[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized format of a report: \"%s\"", name),
			 errhint("Formats are markdown, html and json.  A version is the argument \"target\".")));
}

Datum
migrate_report(PG_FUNCTION_ARGS)
{
	const ReportFormat *format =
		find_report_format(mig_argument_required_text(fcinfo, 0, "format"));
	MigReport  *report = mig_report_gather(mig_argument_project(fcinfo, 3),
										   mig_argument_version(fcinfo, 1),
										   mig_argument_bool(fcinfo, 2,
															 "rehearse"),
										   format->body_limit);

	PG_RETURN_TEXT_P(cstring_to_text(format->render(report)));
}
