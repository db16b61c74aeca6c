/*-------------------------------------------------------------------------
 *
 * model_table.h
 *	  What statements do to tables, as far as a model of the database goes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_LINT_MODEL_TABLE_H
#define MIG_LINT_MODEL_TABLE_H

#include "lint/model.h"

/* the current memory context must be that of the model */
extern void mig_model_table_create(MigLintModel *model, const CreateStmt *stmt,
								   char relkind);
extern void mig_model_table_index(MigLintModel *model, const IndexStmt *stmt);
extern void mig_model_table_alter(MigLintModel *model,
								  const AlterTableStmt *stmt);
extern void mig_model_table_rename_column(MigLintModel *model,
										  const RenameStmt *stmt);
extern void mig_model_table_rename_constraint(MigLintModel *model,
											  const RenameStmt *stmt);

/* is this a definition of a column as serial and the like? */
extern bool mig_model_table_is_serial(const ColumnDef *column);

/* the schema that the statement makes it in */
extern const char *mig_model_table_schema(MigLintModel *model,
										  const RangeVar *range);

/*
 * "table_column_suffix", as the server names constraints and indexes: a name
 * that is not taken.  NULL in columns (char *) is an expression.
 */
extern char *mig_model_table_new_name(MigLintModel *model, MigLintRel *rel,
									  List *columns, const char *suffix);

#endif							/* MIG_LINT_MODEL_TABLE_H */
