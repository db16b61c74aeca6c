/*-------------------------------------------------------------------------
 *
 * session_state.c
 *	  What bodies leave in the session: noted before, taken away afterwards.
 *
 * A migration is to begin where a new session would, whether it is tried again,
 * comes after another one in the same call, or in a call of its own; and the
 * session is to go on as it was.  Settings have a nest level or are restored by
 * base/session_settings.c; the rest is here.  Prepared statements and the
 * advisory locks of the session are no part of any transaction, so even a
 * roll-back leaves them.
 *
 * What the session had before stays.  Only what has come since is taken away.
 *
 * How often the session has taken a lock is known to the lock manager alone,
 * which does not tell.  It is counted by giving the lock up that often and
 * taking it again.  Meanwhile the transaction holds it too, so that nobody can
 * get it in between.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/portalcmds.h"
#include "commands/prepare.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/evtcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/errors.h"
#include "base/held_locks.h"
#include "exec/session_state.h"
#include "ledger/tables.h"

/* a prepared statement, a cursor, or a channel that is listened on */
typedef struct Named
{
	char		kind;
	char	   *name;
	TimestampTz since;			/* another one may have taken its name */
} Named;

#define PREPARED 'p'
#define CURSOR 'c'
#define CHANNEL 'l'

typedef struct Advisory
{
	LOCKTAG		tag;
	LOCKMODE	mode;
	int			count;			/* how often the session has it */
} Advisory;

/* a name of the session's temporary schema, as the one catalog or the other has it */
typedef struct Hiding
{
	Oid			oid;
	bool		is_type;
} Hiding;

struct MigSessionState
{
	MemoryContext context;
	List	   *named;			/* of Named * */
	List	   *advisory;		/* of Advisory * */
	List	   *temporary;		/* of ObjectAddress * */
	List	   *hiding;			/* of Hiding *; none in a note about a step */
	MigLockMarks marks;			/* locks that were looked at */
};


/*
 * What has a name
 */

static List *
list_named(void)
{
	static SPIPlanPtr plan = NULL;
	MigSqlScope scope;
	List	   *list = NIL;
	uint64		rows;
	uint64		row;

	/* the extension may have been dropped, and anybody may ask for these */
	mig_sql_begin(&scope, GetUserId());
	rows = mig_sql_kept(&plan,
						"SELECT 'p', p.name, p.prepare_time"
						" FROM pg_catalog.pg_prepared_statement() p"
						" UNION ALL"
						" SELECT 'c', c.name, c.creation_time"
						" FROM pg_catalog.pg_cursor() c"
						" UNION ALL"
						" SELECT 'l', l, NULL"
						" FROM pg_catalog.pg_listening_channels() l",
						0, NULL, NULL, NULL);
	for (row = 0; row < rows; row++)
	{
		Named	   *named =
			MemoryContextAlloc(scope.outer, sizeof(Named));

		named->kind = mig_sql_get_text(&scope, row, 1)[0];
		named->name = mig_sql_get_text(&scope, row, 2);
		named->since = mig_sql_get_timestamptz(row, 3);
		list = mig_sql_append(&scope, list, named);
	}
	mig_sql_end(&scope);
	return list;
}

static const Named *
find_named(List *list, const Named *wanted)
{
	ListCell   *lc;

	foreach(lc, list)
	{
		const Named *named = (const Named *) lfirst(lc);

		if (named->kind == wanted->kind && named->since == wanted->since &&
			strcmp(named->name, wanted->name) == 0)
			return named;
	}
	return NULL;
}

/*
 * As the server does at the end of a transaction, since the query may have
 * effects.  One that it has done this with is not of the transaction any more.
 */
static bool
run_held_query(Portal portal)
{
	if ((portal->cursorOptions & CURSOR_OPT_HOLD) == 0 ||
		portal->createSubid == InvalidSubTransactionId ||
		portal->status != PORTAL_READY || portal->holdStore != NULL)
		return false;
	PortalCreateHoldStore(portal);
	PersistHoldablePortal(portal);
	return true;
}

/* returns whether the query of a cursor was run for that */
static bool
remove_named(const Named *named)
{
	Portal		portal;
	bool		ran = false;

	switch (named->kind)
	{
		case PREPARED:
			DropPreparedStatement(named->name, false);
			break;
		case CURSOR:
			portal = GetPortalByName(named->name);
			if (!PortalIsValid(portal) || portal->portalPinned ||
				portal->status == PORTAL_ACTIVE)
				break;
			ran = run_held_query(portal);
			PortalDrop(portal, false);
			break;
		case CHANNEL:
			Async_Unlisten(named->name);
			break;
	}
	return ran;
}

/*
 * Have just those names in the session that it had: prepared statements, cursors
 * and channels.  What cannot be brought back is told in a WARNING, once.
 */
static void
restore_named(MigSessionState *session_state)
{
	List	   *now = list_named();
	ListCell   *lc;

	foreach(lc, now)
	{
		const Named *named = (const Named *) lfirst(lc);

		if (find_named(session_state->named, named) == NULL)
			(void) remove_named(named);
	}
	foreach(lc, session_state->named)
	{
		const Named *old = (const Named *) lfirst(lc);

		if (old->kind == CURSOR || find_named(now, old) != NULL)
			continue;
		if (old->kind == CHANNEL)
		{
			Async_Listen(old->name);
			continue;
		}
		ereport(WARNING,
				(errmsg("prepared statement \"%s\" was deallocated by a body and cannot be restored",
						old->name)));

		/* say it once */
		session_state->named =
			foreach_delete_current(session_state->named, lc);
	}
}

/* what functions of bodies have said is in no text: take all of it back */
void
mig_session_state_end_listening(const MigSessionState *session_state)
{
	ListCell   *lc;

	Async_UnlistenAll();
	foreach(lc, session_state->named)
	{
		const Named *named = (const Named *) lfirst(lc);

		if (named->kind == CHANNEL)
			Async_Listen(named->name);
	}
}

/*
 * LISTEN takes effect when the transaction is committed, and until then nobody
 * can see it but here.
 */
static void
end_listening(const MigSessionState *session_state, const MigBody *body)
{
	int			i;

	for (i = 0; i < body->nstatements; i++)
	{
		const MigStatement *statement = &body->statements[i];
		Named		named = {CHANNEL, NULL, 0};
		List	   *trees;
		Node	   *stmt;

		if (strcmp(statement->tag, "LISTEN") != 0)
			continue;
		trees = raw_parser(pnstrdup(body->text + statement->location,
									statement->length), RAW_PARSE_DEFAULT);
		stmt = linitial_node(RawStmt, trees)->stmt;
		named.name = castNode(ListenStmt, stmt)->conditionname;
		if (find_named(session_state->named, &named) == NULL)
			(void) remove_named(&named);
	}
}


/*
 * Temporary objects
 */

/* 0: the session has never made any */
static Oid
temporary_schema(void)
{
	Oid			schema;
	Oid			toast_schema;

	GetTempNamespaceState(&schema, &toast_schema);
	return schema;
}

/* the objects of the session's temporary schema; NIL if there is none */
static List *
list_temporary(void)
{
	Oid			schema = temporary_schema();
	List	   *list = NIL;
	Relation	depend;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(schema))
		return NIL;
	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(schema));
	depend = table_open(DependRelationId, AccessShareLock);
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2,
							  key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress *object = palloc(sizeof(ObjectAddress));

		ObjectAddressSet(*object, form->classid, form->objid);
		list = lappend(list, object);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return list;
}

static bool
has_object(List *objects, const ObjectAddress *wanted)
{
	ListCell   *lc;

	foreach(lc, objects)
	{
		const ObjectAddress *object = (const ObjectAddress *) lfirst(lc);

		if (object->classId == wanted->classId &&
			object->objectId == wanted->objectId)
			return true;
	}
	return false;
}

/* as DISCARD TEMP does, but for what the session had before */
static void
remove_temporary(const MigSessionState *session_state)
{
	List	   *now = list_temporary();
	ObjectAddresses *surplus;
	int			count = 0;
	ListCell   *lc;

	if (now == NIL)
		return;
	surplus = new_object_addresses();
	foreach(lc, now)
	{
		const ObjectAddress *object = (const ObjectAddress *) lfirst(lc);

		if (has_object(session_state->temporary, object))
			continue;
		add_exact_object_address(object, surplus);
		count++;
	}
	if (count > 0)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		performMultipleDeletions(surplus, DROP_CASCADE,
								 PERFORM_DELETION_INTERNAL |
								 PERFORM_DELETION_QUIETLY |
								 PERFORM_DELETION_SKIP_EXTENSIONS);
		PopActiveSnapshot();
		CommandCounterIncrement();
	}
	free_object_addresses(surplus);
}

/* a relation or type that the session's temporary objects are not in front of */
static bool
may_be_hidden(Oid schema)
{
	return !isAnyTempNamespace(schema) &&
		schema != get_namespace_oid(MIG_SCHEMA_NAME, true) &&
		schema != get_namespace_oid("information_schema", true);
}

/* is there another one of that name?  By the index on name and schema. */
static bool
is_hiding(const char *name, bool is_type)
{
	NameData	key_name;
	Relation	catalog;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	namestrcpy(&key_name, name);
	ScanKeyInit(&key, is_type ? Anum_pg_type_typname : Anum_pg_class_relname,
				BTEqualStrategyNumber, F_NAMEEQ, NameGetDatum(&key_name));
	catalog = table_open(is_type ? TypeRelationId : RelationRelationId,
						 AccessShareLock);
	scan = systable_beginscan(catalog,
							  is_type ? TypeNameNspIndexId :
							  ClassNameNspIndexId,
							  true, NULL, 1, &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = may_be_hidden(is_type ?
							  ((Form_pg_type) GETSTRUCT(tuple))->typnamespace :
							  ((Form_pg_class) GETSTRUCT(tuple))->relnamespace);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/*
 * What names without a schema find first, relations before types.  The row type
 * of a relation, and an array type, are found as any other type is.
 */
static List *
list_hiding(void)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(temporary_schema())};
	MigSqlScope scope;
	List	   *list = NIL;
	uint64		rows;
	uint64		row;

	if (!OidIsValid(temporary_schema()))
		return NIL;
	mig_tables_open(&scope);
	rows = mig_sql_execute("SELECT c.oid::pg_catalog.int8, false"
						   " FROM pg_catalog.pg_class c"
						   " WHERE c.relnamespace OPERATOR(pg_catalog.=) $1"
						   " UNION ALL"
						   " SELECT t.oid::pg_catalog.int8, true"
						   " FROM pg_catalog.pg_type t"
						   " WHERE t.typnamespace OPERATOR(pg_catalog.=) $1",
						   1, types, values, NULL);
	for (row = 0; row < rows; row++)
	{
		Hiding	   *hiding =
			MemoryContextAlloc(scope.outer, sizeof(Hiding));

		hiding->oid = (Oid) mig_sql_get_int8(row, 1);
		hiding->is_type = mig_sql_get_bool(row, 2);
		list = mig_sql_append(&scope, list, hiding);
	}
	mig_tables_close(&scope);
	return list;
}

/* NULL: it is gone */
static char *
name_of_hiding(const Hiding *hiding)
{
	HeapTuple	tuple;
	char	   *name;

	if (!hiding->is_type)
		return get_rel_name(hiding->oid);
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(hiding->oid));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	name = pstrdup(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname));
	ReleaseSysCache(tuple);
	return name;
}

static void
refuse_hiding(const char *name, bool is_type, const MigLabel *label)
{
	ereport(ERROR,
			(errcode(MIG_ERRCODE_TEMPORARY),
			 errmsg("temporary %s \"%s\" of the session is in the way of migration \"%s\"",
					is_type ? "type" : "relation", name, label->version),
			 errdetail("Names are looked up among temporary objects first, and there is another object of this name."),
			 errhint("DISCARD TEMP, or run migrations in a connection of their own.")));
}

void
mig_session_state_check_names(const MigSessionState *session_state,
							  const MigLabel *label)
{
	ListCell   *lc;

	Assert(session_state != NULL);
	foreach(lc, session_state->hiding)
	{
		const Hiding *hiding = (const Hiding *) lfirst(lc);
		char	   *name = name_of_hiding(hiding);

		if (name != NULL && is_hiding(name, hiding->is_type))
			refuse_hiding(name, hiding->is_type, label);
	}
}


/*
 * Advisory locks
 */

static int
count_of_session(const LOCKTAG *tag, LOCKMODE mode)
{
	int			count = 0;
	int			i;

	/* a lock of this session is granted without a wait */
	if (LockAcquire(tag, mode, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return 0;
	while (mig_held_locks_release(tag, mode, true))
		count++;
	for (i = 0; i < count; i++)
		(void) LockAcquire(tag, mode, true, true);
	LockRelease(tag, mode, false);
	return count;
}

static void
add_advisory(const MigHeldLock *lock, void *arg)
{
	List	  **list = (List **) arg;
	LOCKMODE	mode;

	if (lock->tag.locktag_type != LOCKTAG_ADVISORY)
		return;
	for (mode = AccessShareLock; mode <= MaxLockMode; mode++)
	{
		Advisory   *advisory;

		if ((lock->modes & LOCKBIT_ON(mode)) == 0)
			continue;
		advisory = palloc(sizeof(Advisory));
		advisory->tag = lock->tag;
		advisory->mode = mode;
		advisory->count = count_of_session(&lock->tag, mode);
		*list = lappend(*list, advisory);
	}
}

static List *
list_advisory(MigLockMarks *marks)
{
	List	   *list = NIL;

	mig_held_locks_visit_new(marks, add_advisory, &list);
	return list;
}

static const Advisory *
find_advisory(List *list, const Advisory *wanted)
{
	ListCell   *lc;

	foreach(lc, list)
	{
		const Advisory *advisory = (const Advisory *) lfirst(lc);

		if (advisory->mode == wanted->mode &&
			memcmp(&advisory->tag, &wanted->tag, sizeof(LOCKTAG)) == 0)
			return advisory;
	}
	return NULL;
}

/* returns how often another session has it instead */
static int
acquire_missing(const Advisory *advisory, int missing)
{
	for (; missing > 0; missing--)
	{
		if (LockAcquire(&advisory->tag, advisory->mode, true, true) !=
			LOCKACQUIRE_NOT_AVAIL)
			continue;
		ereport(WARNING,
				(errmsg("could not restore an advisory lock that a body released: another session holds it")));
		break;
	}
	return Max(missing, 0);
}

/* give up what has been taken since, as far as the marks show it */
static List *
release_advisory(const MigSessionState *session_state, MigLockMarks *marks)
{
	List	   *now = list_advisory(marks);
	ListCell   *lc;

	foreach(lc, now)
	{
		const Advisory *advisory = (const Advisory *) lfirst(lc);
		const Advisory *old = find_advisory(session_state->advisory, advisory);
		int			surplus = advisory->count - (old ? old->count : 0);

		for (; surplus > 0; surplus--)
			(void) mig_held_locks_release(&advisory->tag, advisory->mode,
										  true);
	}
	return now;
}

static void
restore_advisory(MigSessionState *session_state)
{
	MigLockMarks marks = {0};
	List	   *now = release_advisory(session_state, &marks);
	ListCell   *lc;

	foreach(lc, session_state->advisory)
	{
		Advisory   *old = (Advisory *) lfirst(lc);
		const Advisory *advisory = find_advisory(now, old);

		old->count -= acquire_missing(old, old->count -
									  (advisory ? advisory->count : 0));
	}
}


/*
 * All of it
 */

MigSessionState *
mig_session_state_note_step(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "migrate residue",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MigSessionState *session_state = palloc0(sizeof(MigSessionState));

	session_state->context = context;
	session_state->named = list_named();
	session_state->advisory = list_advisory(&session_state->marks);
	session_state->temporary = list_temporary();
	MemoryContextSwitchTo(old);
	return session_state;
}

MigSessionState *
mig_session_state_note(void)
{
	MigSessionState *session_state = mig_session_state_note_step();
	MemoryContext old = MemoryContextSwitchTo(session_state->context);

	session_state->hiding = list_hiding();
	MemoryContextSwitchTo(old);
	return session_state;
}

void
mig_session_state_free(MigSessionState *session_state)
{
	MemoryContextDelete(session_state->context);
}

/* for messages, and to find it again */
static char *
name_of_named(const Named *named)
{
	const char *name = mig_printable_line(named->name, MIG_NAME_BYTES);

	switch (named->kind)
	{
		case PREPARED:
			return psprintf("prepared statement \"%s\"", name);
		case CURSOR:
			return psprintf("cursor \"%s\"", name);
		case CHANNEL:
			return psprintf("LISTEN \"%s\"", name);
	}
	return NULL;				/* keep compiler quiet */
}

/* as the functions that take it have its key */
static char *
name_of_advisory(const Advisory *advisory)
{
	const LOCKTAG *tag = &advisory->tag;
	const char *mode = advisory->mode == ShareLock ? "shared " : "";

	if (tag->locktag_field4 == 1)
		return psprintf("%sadvisory lock " INT64_FORMAT, mode,
						(int64) (((uint64) tag->locktag_field2 << 32) |
								 tag->locktag_field3));
	return psprintf("%sadvisory lock (%d, %d)", mode,
					(int32) tag->locktag_field2, (int32) tag->locktag_field3);
}

/* a cursor is of the transaction, unless its result was kept at an end of one */
static bool
ends_with_transaction(const Named *named)
{
	Portal		portal;

	if (named->kind != CURSOR)
		return false;
	portal = GetPortalByName(named->name);
	return !PortalIsValid(portal) ||
		(portal->cursorOptions & CURSOR_OPT_HOLD) == 0;
}

/* without the number that the temporary schema has in each session */
static char *
name_of_object(const ObjectAddress *object)
{
	char	   *kind = getObjectTypeDescription(object, true);
	char	   *identity = getObjectIdentity(object, true);
	char	   *schema = get_namespace_name(temporary_schema());

	if (kind == NULL || identity == NULL || schema == NULL)
		return psprintf("object %u", object->objectId);
	schema = psprintf("%s.", schema);
	if (strncmp(identity, schema, strlen(schema)) == 0)
		identity = psprintf("pg_temp.%s", identity + strlen(schema));
	return mig_printable_line(psprintf("%s %s", kind, identity),
							  MIG_NAME_BYTES);
}

char **
mig_session_state_left(const MigSessionState *before,
					   const MigSessionState *now, int *count)
{
	int			max = list_length(now->named) + list_length(now->advisory) +
		list_length(now->temporary);
	char	  **names = palloc(sizeof(char *) * Max(max, 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, now->temporary)
	{
		const ObjectAddress *object = (const ObjectAddress *) lfirst(lc);

		if (!has_object(before->temporary, object))
			names[n++] = name_of_object(object);
	}
	foreach(lc, now->named)
	{
		const Named *named = (const Named *) lfirst(lc);

		if (find_named(before->named, named) == NULL &&
			!ends_with_transaction(named))
			names[n++] = name_of_named(named);
	}
	foreach(lc, now->advisory)
	{
		const Advisory *advisory = (const Advisory *) lfirst(lc);
		const Advisory *old = find_advisory(before->advisory, advisory);

		if (advisory->count > (old ? old->count : 0))
			names[n++] = name_of_advisory(advisory);
	}
	*count = n;
	return names;
}

void
mig_session_state_remove(MigSessionState *session_state)
{
	Assert(session_state != NULL);
	Assert(IsTransactionState());
	restore_named(session_state);
	remove_temporary(session_state);
	restore_advisory(session_state);
}

/* then any DDL may run code; the server keeps these in a cache */
static bool
has_event_triggers(void)
{
	return EventCacheLookup(EVT_DDLCommandStart) != NIL ||
		EventCacheLookup(EVT_DDLCommandEnd) != NIL ||
		EventCacheLookup(EVT_SQLDrop) != NIL ||
		EventCacheLookup(EVT_TableRewrite) != NIL;
}

bool
mig_session_state_may_differ(const MigBody *body, int first, int end)
{
	int			i;

	Assert(first >= 0 && end <= body->nstatements);
	for (i = first; i < end; i++)
	{
		if (body->statements[i].runs_code)
			return true;
	}
	return OidIsValid(temporary_schema()) || has_event_triggers();
}

bool
mig_session_state_end_cursors(const MigSessionState *session_state,
							  const MigBody *body)
{
	bool		ran = false;
	ListCell   *lc;

	Assert(session_state != NULL);
	if (!body->runs_code && !has_event_triggers())
		return false;
	foreach(lc, list_named())
	{
		const Named *named = (const Named *) lfirst(lc);

		if (named->kind == CURSOR &&
			find_named(session_state->named, named) == NULL)
			ran = remove_named(named) || ran;
	}
	return ran;
}

void
mig_session_state_end_migration(MigSessionState *session_state,
								const MigBody *body)
{
	Assert(session_state != NULL);
	if (body->runs_code || has_event_triggers())
	{
		restore_named(session_state);
		end_listening(session_state, body);
	}
	remove_temporary(session_state);
	(void) release_advisory(session_state, &session_state->marks);
}
