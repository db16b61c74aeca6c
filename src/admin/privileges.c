/*-------------------------------------------------------------------------
 *
 * privileges.c
 *	  The four rights that can be given to other roles.
 *
 * look		what is applied and pending, failures without DETAIL, no bodies
 * run		look, and apply and roll back
 * write	look, and store texts
 * repair	look, and change the ledger by hand
 *
 * The commands run as the caller: the server decides which roles may grant.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "admin/privileges.h"
#include "base/printable.h"

#define LOOK	0x01
#define RUN		0x02
#define WRITE	0x04
#define REPAIR	0x08
#define ANY		(LOOK | RUN | WRITE | REPAIR)

typedef struct Right
{
	const char *name;
	int			mask;			/* objects granted with it */
	int			own;			/* objects revoked with it */
	const char *example;		/* a function that goes with it */
} Right;

static const Right rights[] = {
	{"look", LOOK, ANY, "status"},
	{"run", LOOK | RUN, RUN, "apply"},
	{"write", LOOK | WRITE, WRITE, "add"},
	{"repair", LOOK | REPAIR, REPAIR, "stamp"},
};

typedef struct Object
{
	int			mask;
	const char *privilege;		/* as in GRANT; NULL: to execute a function */
	const char *name;
} Object;

/* all functions of that name */
#define FN(mask, name) {mask, NULL, name}

static const Object objects[] = {
	{LOOK, "USAGE ON SCHEMA", "migrate"},
	{LOOK, "SELECT ON", "migrate.failures"},
	{LOOK, "SELECT ON", "migrate.statements"},
	{LOOK, "SELECT ON", "migrate.schema_migrations"},
	{LOOK, "SELECT ON", "migrate.history"},
	/* no checksums: a short text can be guessed from its own */
	{LOOK, "SELECT (project, target, version, name, applied_at, applied_by, origin, execution_ms, run, seq, applied_seq) ON", "migrate.applied"},
	{LOOK, "SELECT ON", "migrate.policy"},
	{LOOK, "SELECT (project, version, name, kind, requires, transactional, irreversible, path, down_path, verify_path, up_line, down_line, verify_line, source, added_at, added_by, up_author, up_trusted, down_author, down_trusted, verify_author, verify_trusted, held_reason) ON", "migrate.migration"},
	FN(LOOK, "help"),
	FN(LOOK, "version"),
	FN(LOOK, "version_key"),
	FN(LOOK, "status"),
	FN(LOOK, "plan"),
	FN(LOOK, "plan_rollback"),
	FN(LOOK, "check"),
	FN(LOOK, "lint"),
	FN(LOOK, "current"),
	FN(LOOK, "has_files"),
	FN(LOOK, "heads"),
	FN(LOOK, "required"),
	FN(LOOK, "known_project"),
	FN(LOOK, "history"),
	FN(LOOK, "failures"),
	FN(LOOK, "outcome"),
	FN(LOOK, "statements"),
	FN(LOOK, "progress"),
	FN(LOOK, "report"),
	FN(LOOK, "detect"),
	FN(RUN, "apply"),
	FN(RUN, "rollback"),
	FN(RUN, "rollback_to"),
	FN(RUN, "rollback_run"),
	FN(RUN, "redo"),
	FN(RUN, "verify"),
	FN(RUN, "rehearse"),
	FN(RUN, "rehearse_rollback"),
	FN(RUN, "rehearse_summary"),
	FN(RUN, "apply_each"),
	FN(RUN, "start"),
	FN(RUN, "wait"),
	FN(RUN, "cancel"),
	FN(RUN, "rollback_each"),
	{WRITE, "INSERT (project, version, name, kind, up, down, verify, requires, transactional, irreversible, path, down_path, verify_path, up_line, down_line, verify_line, source) ON", "migrate.migration"},
	/* of constraints, which may be checked as whoever runs or stores */
	FN(LOOK, "are_lines"),
	FN(WRITE, "add"),
	FN(WRITE, "load"),
	FN(WRITE, "load_table"),
	FN(WRITE, "load_directory"),
	FN(WRITE, "remove"),
	FN(WRITE, "script"),
	FN(WRITE, "export"),
	FN(REPAIR, "stamp"),
	FN(REPAIR, "adopt"),
	FN(REPAIR, "unstamp"),
	FN(REPAIR, "stamp_to"),
	FN(REPAIR, "resume"),
	FN(REPAIR, "amend"),
	FN(REPAIR, "hold"),
	FN(REPAIR, "unhold"),
	FN(REPAIR, "prune_journal"),
};

/* never NULL: an unknown name is an error */
static const Right *
find_right(const char *name)
{
	int			i;

	for (i = 0; i < lengthof(rights); i++)
	{
		if (strcmp(rights[i].name, name) == 0)
			return &rights[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized privilege: \"%s\"", name),
			 errhint("Privileges are look, run, write and repair.")));
}

const char *
mig_privileges_of_function(const char *name)
{
	int			i;
	int			k;

	for (i = 0; i < lengthof(objects); i++)
	{
		if (objects[i].privilege != NULL || strcmp(objects[i].name, name) != 0)
			continue;
		for (k = 0; k < lengthof(rights); k++)
		{
			if (rights[k].mask & objects[i].mask)
				return rights[k].name;
		}
	}
	return "owner";
}

static void
run_command(const char *sql)
{
	int			rc = SPI_execute(sql, false, 0);

	if (rc < 0)
		elog(ERROR, "SPI failed with code %d: %s", rc, sql);
}

/* "ROUTINE a, b": all functions and procedures of that name */
static char *
routines_named(const char *name)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(name)};

	if (SPI_execute_with_args("SELECT pg_catalog.concat('ROUTINE ', pg_catalog.string_agg("
							  "  p.oid::pg_catalog.regprocedure::pg_catalog.text, ', '))"
							  " FROM pg_catalog.pg_proc p"
							  " WHERE p.pronamespace OPERATOR(pg_catalog.=)"
							  "  'migrate'::pg_catalog.regnamespace"
							  " AND p.proname OPERATOR(pg_catalog.=) $1",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look functions up");
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

/* run the commands for all objects of a right */
static void
run_commands(bool grant, int mask, const char *role)
{
	int			i;

	for (i = 0; i < lengthof(objects); i++)
	{
		const Object *object = &objects[i];

		if ((object->mask & mask) == 0)
			continue;
		run_command(psprintf("%s %s %s %s %s", grant ? "GRANT" : "REVOKE",
							 object->privilege ? object->privilege :
							 "EXECUTE ON",
							 object->privilege ? object->name :
							 routines_named(object->name),
							 grant ? "TO" : "FROM", quote_identifier(role)));
	}
}

/*
 * A superuser's REVOKE takes away what superusers have granted.  What the
 * database's owner has granted, he takes away in the owner's name.
 */
static void
revoke_for_owner(int mask, const char *role)
{
	Oid			userid;
	int			sec_context;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(ROLE_PG_DATABASE_OWNER, sec_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	run_commands(false, mask, role);
	SetUserIdAndSecContext(userid, sec_context);
}

/* REVOKE ignores what another role has granted, so check */
static void
warn_if_left(const Right *right, const char *role)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {CStringGetTextDatum(role),
	CStringGetTextDatum(right->example)};

	if (SPI_execute_with_args("SELECT FROM pg_catalog.pg_proc p"
							  " WHERE p.pronamespace OPERATOR(pg_catalog.=)"
							  "  'migrate'::pg_catalog.regnamespace"
							  " AND p.proname OPERATOR(pg_catalog.=) $2"
							  " AND pg_catalog.has_function_privilege("
							  "  $1::pg_catalog.name, p.oid, 'EXECUTE')",
							  2, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look at the privileges of a role");
	if (SPI_processed > 0)
		ereport(WARNING,
				(errmsg("role \"%s\" still has the privilege to %s", role,
						right->name),
				 errdetail("Another role has granted it, or \"%s\" is a superuser or a member of a role that has it.",
						   role)));
}

/* returns what AtEOXact_GUC() needs to undo it */
static int
lock_search_path(void)
{
	int			guc_level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	return guc_level;
}

void
mig_privileges_change(bool grant, const char *right_name, const char *role)
{
	const Right *right = find_right(right_name);
	int			guc_level;

	(void) get_role_oid(role, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	guc_level = lock_search_path();
	run_commands(grant, grant ? right->mask : right->own, role);
	if (!grant)
	{
		if (superuser())
			revoke_for_owner(right->own, role);
		warn_if_left(right, role);
	}
	AtEOXact_GUC(false, guc_level);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

/*
 * A command for each grantee but the owner of each of our objects.  Rows of
 * composite types are what a type is named for that has privileges of its own.
 */
#define TAKE_BACK \
	"SELECT DISTINCT pg_catalog.concat('REVOKE ALL ON ', o.object, ' FROM '," \
	" CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(" \
	"  pg_catalog.pg_get_userbyid(a.grantee)::pg_catalog.text) END)" \
	" FROM (" \
	"  SELECT 'SCHEMA migrate' AS object, n.nspowner AS owner, n.nspacl AS acl" \
	"  FROM pg_catalog.pg_namespace n" \
	"  WHERE n.nspname OPERATOR(pg_catalog.=) 'migrate'" \
	" UNION ALL" \
	"  SELECT pg_catalog.concat(CASE c.relkind WHEN 'S' THEN 'SEQUENCE '" \
	"   WHEN 'c' THEN 'TYPE ' ELSE 'TABLE ' END," \
	"   CASE c.relkind WHEN 'c' THEN c.reltype::pg_catalog.regtype::pg_catalog.text" \
	"   ELSE c.oid::pg_catalog.regclass::pg_catalog.text END), c.relowner," \
	"   CASE c.relkind WHEN 'c' THEN coalesce(t.typacl," \
	"    pg_catalog.acldefault('T', t.typowner)) ELSE c.relacl END" \
	"  FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_type t" \
	"   ON t.oid OPERATOR(pg_catalog.=) c.reltype" \
	"  WHERE c.relnamespace OPERATOR(pg_catalog.=) 'migrate'::pg_catalog.regnamespace" \
	"  AND c.relkind OPERATOR(pg_catalog.<>) ALL (ARRAY['i', 't']::pg_catalog.\"char\"[])" \
	" UNION ALL" \
	"  SELECT pg_catalog.concat('ROUTINE ', p.oid::pg_catalog.regprocedure)," \
	"   p.proowner, coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))" \
	"  FROM pg_catalog.pg_proc p" \
	"  WHERE p.pronamespace OPERATOR(pg_catalog.=) 'migrate'::pg_catalog.regnamespace" \
	" ) o, pg_catalog.aclexplode(o.acl) a" \
	" WHERE a.grantee OPERATOR(pg_catalog.<>) o.owner"

void
mig_privileges_take_back(void)
{
	SPITupleTable *commands;
	int			guc_level;
	uint64		i;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	guc_level = lock_search_path();
	if (SPI_execute(TAKE_BACK, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look at the privileges of the objects");
	commands = SPI_tuptable;
	for (i = 0; i < commands->numvals; i++)
		run_command(SPI_getvalue(commands->vals[i], commands->tupdesc, 1));
	AtEOXact_GUC(false, guc_level);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}
