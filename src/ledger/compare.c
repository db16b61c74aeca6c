/*-------------------------------------------------------------------------
 *
 * compare.c
 *	  Comparing sources with what is stored and was applied.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "ledger/compare.h"
#include "ledger/incoming.h"
#include "ledger/key_lookup.h"
#include "ledger/tables.h"

/* what the journal may know of a source, and what it knows */
typedef struct Past
{
	bool		asked;			/* whether this very text was applied before */
	char	   *stored;			/* the text in the place of the applied one */
	char	   *down;			/* the down body that the source has not */
	bool		ran;
	bool		stored_failed;
	bool		down_amended;
} Past;

#define SOURCE_RAN 1
#define SOURCE_FAILED 2
#define SOURCE_DOWN_AMENDED 3

/* ask it, with project and versions in values */
static void
read_pasts(Datum *values, List *checksums, Past *pasts)
{
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	uint64		nrows;
	uint64		i;

	nrows = mig_sql_execute("SELECT i.ord, j.what, j.hash FROM incoming i"
							" FULL JOIN (SELECT DISTINCT x.version, x.what,"
							"   CASE x.what WHEN 3 THEN x.down_checksum"
							"    ELSE x.checksum END AS hash"
							"  FROM (SELECT *, CASE WHEN outcome"
							"    OPERATOR(pg_catalog.=) 'failure' THEN 2"
							"    WHEN action OPERATOR(pg_catalog.=) 'apply' THEN 1"
							"    WHEN action OPERATOR(pg_catalog.=) 'amend'"
							"     AND body OPERATOR(pg_catalog.=) 'down' THEN 3"
							"    END AS what FROM migrate.journal) x"
							"  WHERE x.project OPERATOR(pg_catalog.=) $1"
							"  AND x.version OPERATOR(pg_catalog.=) ANY ($2)"
							"  AND x.what IS NOT NULL) j"
							" ON j.version OPERATOR(pg_catalog.=) i.version",
							2, types, values, NULL);
	for (i = 0; i < nrows; i++)
	{
		int			ord = mig_sql_get_int4(i, 1);
		char	   *hash = SPI_getvalue(SPI_tuptable->vals[i],
										SPI_tuptable->tupdesc, 3);
		Past	   *past = &pasts[ord];

		if (hash == NULL)
			continue;
		switch (mig_sql_get_int4(i, 2))
		{
			case SOURCE_RAN:
				past->ran |= past->asked &&
					strcmp(hash, list_nth(checksums, ord)) == 0;
				break;
			case SOURCE_FAILED:
				past->stored_failed |= past->stored != NULL &&
					strcmp(hash, past->stored) == 0;
				break;
			case SOURCE_DOWN_AMENDED:
				past->down_amended |= past->down != NULL &&
					strcmp(hash, past->down) == 0;
				break;
		}
		pfree(hash);
	}
}

/*
 * ran_before is about repeatable migrations whose text is not the stored one.
 * It is false for the text that is still in force if the stored, newer one has
 * failed: that is a way back.
 */
MigComparison *
mig_compare_sources(const char *project, List *sources, List *checksums,
					List *down_checksums)
{
	MigSqlScope scope;
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2] = {CStringGetTextDatum(project)};
	int			count = list_length(sources);
	MigComparison *result = palloc0(sizeof(MigComparison) * Max(count, 1));
	Past	   *pasts = palloc0(sizeof(Past) * Max(count, 1));
	char	  **versions = palloc(sizeof(char *) * Max(count, 1));
	bool		ask = false;
	uint64		nrows;
	uint64		i;
	Tuplestorestate *rows;
	ListCell   *lc;

	Assert(list_length(sources) == list_length(checksums));
	Assert(list_length(sources) == list_length(down_checksums));
	foreach(lc, sources)
		versions[foreach_current_index(lc)] = ((MigSource *) lfirst(lc))->version;
	values[1] = mig_sql_text_array(versions, count);
	mig_tables_open(&scope);
	rows = mig_incoming_register(sources, checksums, down_checksums);
	nrows =
		mig_sql_execute("SELECT i.ord, m.version IS NOT NULL, a.version IS NOT NULL,"
						" m.checksum OPERATOR(pg_catalog.=) i.checksum,"
						" NOT (m.down_checksum IS DISTINCT FROM i.down_checksum),"
						" m.kind OPERATOR(pg_catalog.=) i.kind,"
						" m.kind OPERATOR(pg_catalog.=) i.kind"
						"  AND m.requires OPERATOR(pg_catalog.=) i.requires"
						"  AND m.irreversible OPERATOR(pg_catalog.=) i.irreversible"
						"  AND NOT (m.transactional IS DISTINCT FROM i.transactional),"
						" NOT (m.verify IS DISTINCT FROM i.verify),"
						" m.name OPERATOR(pg_catalog.=) i.name"
						"  AND NOT (m.path IS DISTINCT FROM i.path)"
						"  AND NOT (m.down_path IS DISTINCT FROM i.down_path)"
						"  AND NOT (m.verify_path IS DISTINCT FROM i.verify_path)"
						"  AND NOT (m.up_line IS DISTINCT FROM i.up_line)"
						"  AND NOT (m.down_line IS DISTINCT FROM i.down_line)"
						"  AND NOT (m.verify_line IS DISTINCT FROM i.verify_line)"
						"  AND NOT (m.source IS DISTINCT FROM i.source),"
						" i.kind OPERATOR(pg_catalog.=) 'repeatable'"
						"  AND m.checksum OPERATOR(pg_catalog.<>) i.checksum"
						"  AND m.checksum IS NOT NULL,"
						" CASE WHEN a.checksum OPERATOR(pg_catalog.=) i.checksum"
						"  THEN m.checksum END,"
						" CASE WHEN i.down_checksum IS NULL"
						"  THEN m.down_checksum END"
						" FROM incoming i"
						MIG_MIGRATION_OF("i.version") MIG_APPLIED_OF("i.version"),
						1, types, values, NULL);
	for (i = 0; i < nrows; i++)
	{
		int			ord = mig_sql_get_int4(i, 1);
		MigComparison *row = &result[ord];

		row->stored = mig_sql_get_bool(i, 2);
		row->applied = mig_sql_get_bool(i, 3);
		row->same_up = mig_sql_get_bool(i, 4);
		row->same_down = mig_sql_get_bool(i, 5);
		row->same_kind = mig_sql_get_bool(i, 6);
		row->same_head = mig_sql_get_bool(i, 7);
		row->same_verify = mig_sql_get_bool(i, 8);
		row->same_place = mig_sql_get_bool(i, 9);
		pasts[ord].asked = mig_sql_get_bool(i, 10);
		pasts[ord].stored = mig_sql_get_text(&scope, i, 11);
		pasts[ord].down = mig_sql_get_text(&scope, i, 12);
		ask |= pasts[ord].asked || pasts[ord].down != NULL;
	}
	if (ask)
		read_pasts(values, checksums, pasts);
	for (i = 0; i < count; i++)
	{
		result[i].ran_before = pasts[i].ran && !pasts[i].stored_failed;
		result[i].amended_down = pasts[i].down_amended;
	}
	tuplestore_end(rows);
	mig_tables_close(&scope);
	return result;
}
