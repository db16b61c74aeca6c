/*-------------------------------------------------------------------------
 *
 * tables.c
 *	  Which objects the extension's tables are, and whose they are.
 *
 * Statements of ours run as the tables' owner, a superuser.  So before each
 * use the tables are checked to be plain tables that belong to the extension
 * and all have one owner: a view, a foreign table or another role's table
 * in their place would run that role's code under this identity.  The
 * identity is the tables' owner and not the extension's, which changes in
 * pg_upgrade and in a restore by another role.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/migrate.h"
#include "ledger/tables.h"

/* at tables that others change meanwhile */
#define MAX_LOOKS 5

static const char *const table_names[] = {
	"migration", "applied", "journal", "executed_text", "run", "step", "policy", "state"
};

/*
 * What was found last, or InvalidOid once a message of the server has said that
 * it may have changed.  It is believed for the rest of the transaction that it
 * was found in, and in between mig_tables_trust_begin() and its end: nothing
 * says that the version of the extension has changed.
 */
static bool trust = false;
static LocalTransactionId trusted_in = InvalidLocalTransactionId;
static Oid	trusted_owner = InvalidOid;
static Oid	trusted_extension;
static uint64 generation = 1;
static Oid	trusted_tables[lengthof(table_names)];

static bool
is_trusted(void)
{
	return OidIsValid(trusted_owner) &&
		(trust || trusted_in == MIG_LOCAL_XID);
}

/* version of the extension's objects as installed, NULL if it is not */
static char *
installed_version(Oid extension)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *version = NULL;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(rel), &isnull);

		if (!isnull)
			version = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return version;
}

Oid
mig_tables_extension(void)
{
	/* whoever drops it drops the tables as well */
	if (is_trusted())
		return trusted_extension;
	return get_extension_oid(MIG_EXTENSION_NAME, true);
}

static Oid
checked_extension(void)
{
	Oid			extension = mig_tables_extension();
	char	   *version;

	if (!OidIsValid(extension))
		ereport(ERROR,
				(errcode(MIG_ERRCODE_EXTENSION),
				 errmsg("extension \"%s\" is not installed in this database",
						MIG_EXTENSION_NAME),
				 errhint("Run CREATE EXTENSION %s.", MIG_EXTENSION_NAME)));
	version = installed_version(extension);
	if (version == NULL || strcmp(version, MIG_VERSION) != 0)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_EXTENSION),
				 errmsg("installed version of extension \"%s\" does not match its library",
						MIG_EXTENSION_NAME),
				 errdetail("The database has version %s, the library is version %s.",
						   version ? version : "?", MIG_VERSION),
				 errhint("If the library is the newer one, run ALTER EXTENSION %s UPDATE; if it is the older one, install the package that the database was updated with.",
						 MIG_EXTENSION_NAME)));
	return extension;
}

/* OID of a table, if none of the tables has changed since they were checked */
static Oid
trusted_table(const char *name)
{
	int			i;

	if (!is_trusted())
		return InvalidOid;
	for (i = 0; i < lengthof(table_names); i++)
	{
		if (strcmp(table_names[i], name) == 0)
			return trusted_tables[i];
	}
	return InvalidOid;
}

static Oid
find_relation(const char *name)
{
	Oid			namespace = get_namespace_oid(MIG_SCHEMA_NAME, true);
	Oid			relation = OidIsValid(namespace) ?
		get_relname_relid(name, namespace) : InvalidOid;

	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(MIG_ERRCODE_EXTENSION),
				 errmsg("relation \"%s.%s\" of extension \"%s\" does not exist",
						MIG_SCHEMA_NAME, name, MIG_EXTENSION_NAME),
				 errhint("Restore it from a backup, or drop the extension and create it again.")));
	return relation;
}

Oid
mig_tables_relation(const char *name)
{
	Oid			relation = trusted_table(name);

	return OidIsValid(relation) ? relation : find_relation(name);
}

Relation
mig_tables_open_table(const char *name, LOCKMODE mode)
{
	Relation	rel = try_table_open(mig_tables_relation(name), mode);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_EXTENSION),
				 errmsg("extension \"%s\" was dropped", MIG_EXTENSION_NAME),
				 errdetail("Another session has dropped it while this one waited for its tables.")));
	return rel;
}

/* owner of a table, having made sure that it is ours; name is for errors */
static Oid
checked_table_owner(Oid relation, const char *name, Oid extension)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Form_pg_class form;
	Oid			owner;
	char		relkind;

	Assert(OidIsValid(relation) && OidIsValid(extension));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relation);
	form = (Form_pg_class) GETSTRUCT(tuple);
	owner = form->relowner;
	relkind = form->relkind;
	ReleaseSysCache(tuple);

	if (relkind != RELKIND_RELATION ||
		getExtensionOfObject(RelationRelationId, relation) != extension)
		ereport(ERROR,
				(errcode(MIG_ERRCODE_EXTENSION),
				 errmsg("relation \"%s.%s\" is not the table of extension \"%s\"",
						MIG_SCHEMA_NAME, name, MIG_EXTENSION_NAME),
				 errdetail("Something else has been put in its place.")));
	return owner;
}

/*
 * The owner of all our tables, who must be a superuser: whoever owns them can
 * write anything into them.
 */
static Oid
check_owner(void)
{
	Oid			extension = checked_extension();
	Oid			owner = InvalidOid;
	int			i;

	for (i = 0; i < lengthof(table_names); i++)
	{
		Oid			table_owner;

		/* noted first: from now on forget_owner_of_table() knows it */
		trusted_tables[i] = find_relation(table_names[i]);
		table_owner = checked_table_owner(trusted_tables[i], table_names[i],
										  extension);
		if (i > 0 && table_owner != owner)
			ereport(ERROR,
					(errcode(MIG_ERRCODE_EXTENSION),
					 errmsg("tables of extension \"%s\" belong to several roles",
							MIG_EXTENSION_NAME),
					 errhint("Give them back to the superuser who installed the extension.")));
		owner = table_owner;
	}

	/* the owner of the tables can write anything into them */
	if (!superuser_arg(owner))
		ereport(ERROR,
				(errcode(MIG_ERRCODE_EXTENSION),
				 errmsg("tables of extension \"%s\" belong to role \"%s\", which is not a superuser",
						MIG_EXTENSION_NAME, mig_user_name(owner)),
				 errhint("A superuser gives them back with ALTER TABLE migrate.%s OWNER TO, and so on.",
						 "migration")));
	return owner;
}

/* any table or role: these are rare */
static void
forget_owner(Datum arg, int cache, uint32 hash)
{
	trusted_owner = InvalidOid;
	generation++;
}

static void
forget_owner_of_table(Datum arg, Oid relation)
{
	int			i;

	for (i = 0; i < lengthof(table_names); i++)
	{
		if (relation == InvalidOid || relation == trusted_tables[i])
			forget_owner((Datum) 0, 0, 0);
	}
}

static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	registered = true;
	CacheRegisterRelcacheCallback(forget_owner_of_table, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, forget_owner, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_owner, (Datum) 0);
}

Oid
mig_tables_owner(void)
{
	uint64		before;
	Oid			owner;
	int			i;

	Assert(IsTransactionState());
	if (is_trusted())
		return trusted_owner;
	register_callbacks();
	trusted_owner = InvalidOid;
	before = generation;
	owner = check_owner();

	/* whoever is about to drop it has been waited for then: look again */
	LockRelationOid(trusted_tables[0], AccessShareLock);
	for (i = 0; i < MAX_LOOKS && generation != before; i++)
	{
		before = generation;
		owner = check_owner();
		LockRelationOid(trusted_tables[0], AccessShareLock);
	}

	/* unless one of them has changed while we looked at the others */
	if (generation == before)
	{
		trusted_extension = mig_tables_extension();
		trusted_owner = owner;
		trusted_in = MIG_LOCAL_XID;
	}
	return owner;
}

void
mig_tables_check_again(void)
{
	trusted_owner = InvalidOid;
	(void) mig_tables_owner();
}

uint64
mig_tables_generation(void)
{
	return trust ? generation : 0;
}

void
mig_tables_trust_begin(void)
{
	Assert(!trust);
	trusted_owner = InvalidOid;
	trust = true;
}

void
mig_tables_trust_end(void)
{
	trust = false;
}

void
mig_tables_open(MigSqlScope *scope)
{
	mig_sql_begin(scope, mig_tables_owner());
}

void
mig_tables_close(MigSqlScope *scope)
{
	mig_sql_end(scope);
}
