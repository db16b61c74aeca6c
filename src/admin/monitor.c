/*-------------------------------------------------------------------------
 *
 * monitor.c
 *	  What runs are doing, and how they ended, seen from other sessions.
 *
 * A run that is one long transaction has committed nothing that others could
 * read.  They can see the lock that it holds, which identifies the session, its
 * application_name, which has the position, and the lock that exec/progress.c
 * leaves in pg_locks, which has the time of the start.  Any role can set an
 * application_name; it is used only for a session that has the lock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "admin/monitor.h"
#include "ledger/run.h"
#include "ledger/tables.h"

/* the sessions that hold the runner lock of this database: at most one */
#define RUNNERS \
	"(SELECT a.pid, a.usesysid, a.application_name, a.client_addr," \
	"  a.xact_start, a.wait_event_type" \
	" FROM pg_catalog.pg_locks l" \
	" JOIN pg_catalog.pg_stat_get_activity(NULL) a" \
	"  ON a.pid OPERATOR(pg_catalog.=) l.pid" \
	" WHERE l.locktype OPERATOR(pg_catalog.=) 'object' AND l.granted" \
	" AND l.database OPERATOR(pg_catalog.=) (SELECT d.oid" \
	"  FROM pg_catalog.pg_database d" \
	"  WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())" \
	" AND l.classid OPERATOR(pg_catalog.=)" \
	"  'pg_catalog.pg_extension'::pg_catalog.regclass" \
	" AND l.objid OPERATOR(pg_catalog.=) (SELECT e.oid" \
	"  FROM pg_catalog.pg_extension e" \
	"  WHERE e.extname OPERATOR(pg_catalog.=) 'migrate')" \
	" AND l.objsubid OPERATOR(pg_catalog.=) 1)"

/*
 * Hand all rows of the last SPI query to the sink, whose arrays are used again
 * for the next row.
 */
static void
put_rows(uint64 nrows, MigRowSink sink, void *arg)
{
	int			ncolumns = SPI_tuptable->tupdesc->natts;
	Datum	   *values = palloc(sizeof(Datum) * ncolumns);
	bool	   *nulls = palloc(sizeof(bool) * ncolumns);
	uint64		row;
	int			i;

	for (row = 0; row < nrows; row++)
	{
		for (i = 0; i < ncolumns; i++)
			values[i] = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, i + 1, &nulls[i]);
		sink(values, nulls, ncolumns, arg);
	}
}

void
mig_monitor_outcome(int64 run, MigRowSink sink, void *arg)
{
	MigSqlScope scope;
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(run)};
	uint64		nrows;

	mig_tables_open(&scope);
	nrows = mig_sql_execute("SELECT $1,"
							" CASE WHEN r.run IS NULL THEN j.outcome"
							"  WHEN r.outcome IS NOT NULL THEN r.outcome"
	/* a standby does not see the sessions of the primary */
							"  WHEN pg_catalog.pg_is_in_recovery()"
							"   AND r.started_at IS NOT NULL THEN 'running'"
							"  WHEN NOT pg_catalog.pg_is_in_recovery()"
							"   AND NOT (" MIG_RUN_IS_ALIVE ") THEN 'interrupted'"
							"  WHEN r.backend_pid OPERATOR(pg_catalog.=) ANY"
							"   (SELECT h.pid FROM " RUNNERS " h) THEN 'running'"
							"  ELSE 'waiting' END,"
							" coalesce(r.action, j.action), f.version, f.line,"
							" f.sqlstate, f.message,"
							" coalesce(j.migrations, 0)::pg_catalog.int4,"
							" coalesce(r.started_at, j.started_at), r.ended_at,"
							" f.body, f.statement, coalesce(r.role, j.role),"
							" coalesce(r.project, j.project), f.hint"
							" FROM (SELECT 1) one"
							" LEFT JOIN migrate.run r"
							"  ON r.run OPERATOR(pg_catalog.=) $1"
							" LEFT JOIN (SELECT pg_catalog.min(x.project) AS project,"
							"   CASE WHEN pg_catalog.count(DISTINCT x.action)"
							"     OPERATOR(pg_catalog.>) 1 THEN 'redo'"
							"    ELSE pg_catalog.min(x.action) END AS action,"
							"   pg_catalog.min(x.outcome) AS outcome,"
							"   pg_catalog.count(*) FILTER (WHERE"
							"    x.outcome OPERATOR(pg_catalog.=) 'success')"
							"    AS migrations,"
							"   pg_catalog.min(x.role) AS role,"
							"   pg_catalog.min(x.started_at) AS started_at"
							"  FROM migrate.journal x"
							"  WHERE x.run OPERATOR(pg_catalog.=) $1"
							"  HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0) j"
							"  ON true"
							" LEFT JOIN LATERAL (SELECT * FROM migrate.journal x"
							"  WHERE x.run OPERATOR(pg_catalog.=) $1"
							"  AND x.outcome OPERATOR(pg_catalog.=) 'failure'"
							"  ORDER BY x.seq DESC LIMIT 1) f ON true"
							" WHERE r.run IS NOT NULL OR j.project IS NOT NULL",
							1, types, values, NULL);
	put_rows(nrows, sink, arg);
	mig_tables_close(&scope);
}

/*
 * "migrate ACTION RUN M/N S/T VERSION", see mig_progress_show().  A body may
 * have given the session any name: numbers that would not fit are none, and
 * nothing is believed of a version that is not stored.
 */
#define SHOWN \
	"pg_catalog.regexp_match(h.application_name," \
	" '^migrate ([a-z]{1,20}) ([0-9]{1,15}) ([0-9]{1,9})/([0-9]{1,9})" \
	" ([0-9]{1,9})/([0-9]{1,9}) (.+)$')"

void
mig_monitor_progress(MigRowSink sink, void *arg)
{
	MigSqlScope scope;
	uint64		nrows;

	mig_tables_open(&scope);
	nrows =
		mig_sql_execute("WITH named AS MATERIALIZED (SELECT h.*, " SHOWN " AS name,"
	/* the locks that say at which run it is, and since when */
						"  (SELECT (l.objid::pg_catalog.int8 OPERATOR(pg_catalog.|)"
						"     ((l.objsubid::pg_catalog.int8 OPERATOR(pg_catalog.&) 65535)"
						"      OPERATOR(pg_catalog.<<) 32))"
						"   FROM pg_catalog.pg_locks l"
						"   WHERE l.pid OPERATOR(pg_catalog.=) h.pid"
						"   AND l.locktype OPERATOR(pg_catalog.=) 'object'"
						"   AND l.classid OPERATOR(pg_catalog.=)"
						"    'migrate.run'::pg_catalog.regclass LIMIT 1) AS run,"
						"  (SELECT pg_catalog.to_timestamp(pg_catalog.max("
						"    l.objid::pg_catalog.int8::pg_catalog.float8))"
						"   FROM pg_catalog.pg_locks l"
						"   WHERE l.pid OPERATOR(pg_catalog.=) h.pid"
						"   AND l.locktype OPERATOR(pg_catalog.=) 'object'"
						"   AND l.classid OPERATOR(pg_catalog.=)"
						"    'migrate.journal'::pg_catalog.regclass)"
						"  AS migration_start"
						"  FROM " RUNNERS " h),"
						" holder AS (SELECT h.*, CASE WHEN EXISTS (SELECT"
						"   FROM migrate.migration x"
						"   WHERE pg_catalog.starts_with(x.version, h.name[7]))"
						"   THEN h.name END AS m"
						"  FROM named h),"
						" shown AS (SELECT h.pid, h.usesysid, h.client_addr,"
						"  h.wait_event_type, h.m[1] AS action,"
						"  coalesce(h.run, NULLIF(h.m[2]::pg_catalog.int8, 0)) AS run,"
						"  h.m[3]::pg_catalog.int4 AS position,"
						"  h.m[4]::pg_catalog.int4 AS total,"
						"  h.m[5]::pg_catalog.int4 AS statement,"
						"  h.m[6]::pg_catalog.int4 AS statements,"
	/* what was cut off is completed, if that is possible */
						"  coalesce((SELECT pg_catalog.min(x.version)"
						"    FROM migrate.migration x"
						"    WHERE pg_catalog.octet_length(h.application_name)"
						"     OPERATOR(pg_catalog.>=) 60"
						"    AND pg_catalog.starts_with(x.version, h.m[7])"
						"    HAVING pg_catalog.count(*)"
						"     OPERATOR(pg_catalog.=) 1), h.m[7]) AS version,"
						"  coalesce(h.migration_start, h.xact_start) AS since"
						"  FROM holder h)"
						" SELECT coalesce(s.run, r.run),"
						" CASE WHEN s.pid IS NULL THEN 'waiting'"
						"  ELSE 'running' END,"
						" coalesce(s.action, r.action), s.version, s.position,"
						" s.total, s.statement, s.statements,"
						" GREATEST(pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-)"
						"  coalesce(s.since, r.started_at, r.requested_at), '0'),"
						" s.wait_event_type OPERATOR(pg_catalog.=) 'Lock',"
						" (SELECT j.execution_ms FROM migrate.journal j"
						"  WHERE j.version OPERATOR(pg_catalog.=) s.version"
						"  AND j.action OPERATOR(pg_catalog.=) s.action"
						"  AND (r.project IS NULL"
						"   OR j.project OPERATOR(pg_catalog.=) r.project)"
						"  AND j.outcome OPERATOR(pg_catalog.=) 'success'"
						"  ORDER BY j.run DESC, j.seq DESC LIMIT 1),"
						" coalesce(s.pid, r.backend_pid),"
						" coalesce(r.role, pg_catalog.pg_get_userbyid(s.usesysid)::pg_catalog.text),"
						" s.client_addr::pg_catalog.inet,"
						" coalesce(s.since, r.started_at, r.requested_at),"
						" r.project"
						" FROM shown s FULL JOIN (SELECT * FROM migrate.run r"
						"  WHERE r.outcome IS NULL AND (" MIG_RUN_IS_ALIVE ")) r"
						"  ON r.backend_pid OPERATOR(pg_catalog.=) s.pid"
						" ORDER BY 2, 1",
						0, NULL, NULL, NULL);
	put_rows(nrows, sink, arg);
	mig_tables_close(&scope);
}
