/*-------------------------------------------------------------------------
 *
 * trial_parse.c
 *	  Cutting a body into statements that perhaps no run will ever take.
 *
 * Projects have ways back that do not parse, and nobody has noticed.  Whoever
 * stores them, or only looks, has to go on with the others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"
#include "base/subxact.h"
#include "source/lenient_scan.h"
#include "source/trial_parse.h"

typedef struct Trial
{
	const char *text;
	const MigLabel *label;
	MigBody    *body;
	List	   *trees;
} Trial;

static void
parse_trial(void *arg)
{
	Trial	   *trial = (Trial *) arg;

	trial->body = mig_body_parse_trees(trial->text, trial->label,
									   &trial->trees);
}

ErrorData *
mig_trial_parse(const char *text, const MigLabel *label, MigBody **body,
				List **trees)
{
	Trial		trial = {text, label, NULL, NIL};
	ErrorData  *edata = mig_subxact_run(parse_trial, &trial, true);

	if (edata == NULL)
	{
		*body = trial.body;
		*trees = trial.trees;
		return NULL;
	}
	if (edata->sqlerrcode != MIG_ERRCODE_BODY &&
		ERRCODE_TO_CATEGORY(edata->sqlerrcode) != ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION &&
		ERRCODE_TO_CATEGORY(edata->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
		ERRCODE_TO_CATEGORY(edata->sqlerrcode) != ERRCODE_FEATURE_NOT_SUPPORTED &&
		ERRCODE_TO_CATEGORY(edata->sqlerrcode) != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
		ReThrowError(edata);
	return edata;
}

bool
mig_trial_is_empty(const char *text)
{
	MigLabel	label = {0};
	MigBody    *body;
	List	   *trees;
	ErrorData  *edata;

	if (!mig_lenient_scan_may_be_empty(text))
		return false;
	label.version = "";
	label.of_tool = true;
	edata = mig_trial_parse(text, &label, &body, &trees);
	if (edata == NULL)
		return body->nstatements == 0;
	FreeErrorData(edata);
	return false;
}
