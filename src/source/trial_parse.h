/*-------------------------------------------------------------------------
 *
 * trial_parse.h
 *	  Cutting a body into statements that perhaps no run will ever take.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SOURCE_TRIAL_PARSE_H
#define MIG_SOURCE_TRIAL_PARSE_H

#include "source/body.h"

/*
 * As mig_body_parse_trees(), but what is wrong with the body is returned, as a
 * copy in CurrentMemoryContext, and *body and *trees are not set then.  Errors
 * that are not about the body are raised.
 */
extern ErrorData *mig_trial_parse(const char *text, const MigLabel *label,
								  MigBody **body, List **trees);

/* has the text no statement, as the server's parser sees it? */
extern bool mig_trial_is_empty(const char *text);

#endif							/* MIG_SOURCE_TRIAL_PARSE_H */
