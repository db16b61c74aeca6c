/*-------------------------------------------------------------------------
 *
 * foreign_table.c
 *	  Reading a table that anybody may have made, without running their code.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "adopt/foreign_table.h"
#include "base/compat.h"

/* types that value_of() can read */
static const Oid readable_types[] = {
	TEXTOID, VARCHAROID, BPCHAROID, NAMEOID, INT2OID, INT4OID, INT8OID,
	BOOLOID, BYTEAOID, TIMESTAMPOID, TIMESTAMPTZOID, NUMERICOID, FLOAT8OID,
	TEXTARRAYOID
};

List *
mig_foreign_table_named(const char *name)
{
	CatCList   *found = SearchSysCacheList1(RELNAMENSP, CStringGetDatum(name));
	List	   *relations = NIL;

	for (int i = 0; i < found->n_members; i++)
	{
		Form_pg_class class =
			(Form_pg_class) GETSTRUCT(&found->members[i]->tuple);

		if (class->relkind == RELKIND_RELATION &&
			class->relpersistence != RELPERSISTENCE_TEMP)
			relations = lappend_oid(relations, class->oid);
	}
	ReleaseSysCacheList(found);
	list_sort(relations, list_oid_cmp);
	return relations;
}

char *
mig_foreign_table_name(Oid relation)
{
	char	   *schema = get_namespace_name(get_rel_namespace(relation));
	char	   *name = get_rel_name(relation);

	if (schema == NULL || name == NULL)
		return psprintf("%u", relation);
	return quote_qualified_identifier(schema, name);
}

AttrNumber
mig_foreign_table_column(Oid relation, const char *name)
{
	AttrNumber	column = get_attnum(relation, name);
	Oid			type;

	if (column <= 0)
		return 0;
	type = get_atttype(relation, column);
	for (int i = 0; i < lengthof(readable_types); i++)
	{
		if (readable_types[i] == type)
			return column;
	}
	return 0;
}

const char *
mig_foreign_table_unreadable(Oid relation)
{
	if (pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return "The current role has no SELECT privilege on it.";
	if (check_enable_rls(relation, InvalidOid, true) == RLS_ENABLED)
		return "Its row-level security hides rows from the current role.";
	return NULL;
}

/* the elements of text[], each ended by a semicolon */
static char *
join_statements(ArrayType *array)
{
	StringInfoData joined;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	initStringInfo(&joined);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			appendStringInfo(&joined, "%s;\n", TextDatumGetCString(elements[i]));
	}
	return joined.data;
}

static char *
bytea_hex(bytea *bytes)
{
	int			length = VARSIZE_ANY_EXHDR(bytes);
	char	   *hex = palloc(2 * (Size) length + 1);

	hex[hex_encode(VARDATA_ANY(bytes), length, hex)] = '\0';
	return hex;
}

static void
set_time(MigLedgerValue *value, TimestampTz time)
{
	value->is_time = !TIMESTAMP_NOT_FINITE(time);
	value->time = time;
}

/* the tools write what the time zone of their session says */
static void
set_local_time(MigLedgerValue *value, Timestamp local)
{
	int			overflow = 0;
	TimestampTz time = timestamp2timestamptz_opt_overflow(local, &overflow);

	if (overflow == 0)
		set_time(value, time);
}

/* a value that is not null, of one of readable_types */
static void
value_of(Oid type, Datum datum, MigLedgerValue *value)
{
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
			value->text = TextDatumGetCString(datum);
			break;
		case BPCHAROID:
			value->text = TextDatumGetCString(DirectFunctionCall1(rtrim1,
																  datum));
			break;
		case NAMEOID:
			value->text = pstrdup(NameStr(*DatumGetName(datum)));
			break;
		case INT2OID:
			value->text = psprintf("%d", DatumGetInt16(datum));
			break;
		case INT4OID:
			value->text = psprintf("%d", DatumGetInt32(datum));
			break;
		case INT8OID:
			value->text = psprintf(INT64_FORMAT, DatumGetInt64(datum));
			break;
		case BOOLOID:
			value->text = pstrdup(DatumGetBool(datum) ? "true" : "false");
			break;
		case BYTEAOID:
			value->text = bytea_hex(DatumGetByteaPP(datum));
			break;
		case NUMERICOID:
			value->text = DatumGetCString(DirectFunctionCall1(numeric_out,
															  datum));
			break;
		case FLOAT8OID:
			value->text = DatumGetCString(DirectFunctionCall1(float8out,
															  datum));
			break;
		case TEXTARRAYOID:
			value->text = join_statements(DatumGetArrayTypeP(datum));
			break;
		case TIMESTAMPTZOID:
			set_time(value, DatumGetTimestampTz(datum));
			break;
		case TIMESTAMPOID:
			set_local_time(value, DatumGetTimestamp(datum));
			break;
		default:
			elog(ERROR, "type %u cannot be read", type);
	}
}

void
mig_foreign_table_read(Relation relation, Snapshot snapshot,
					   const AttrNumber *columns, int ncolumns,
					   MigForeignRow row, void *arg)
{
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, NULL);
	MigLedgerValue *values = palloc(sizeof(MigLedgerValue) * ncolumns);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "migrate row of a tool",
												  ALLOCSET_DEFAULT_SIZES);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		MemoryContext old = MemoryContextSwitchTo(scratch);

		CHECK_FOR_INTERRUPTS();
		memset(values, 0, sizeof(MigLedgerValue) * ncolumns);
		for (int i = 0; i < ncolumns; i++)
		{
			Datum		datum;
			bool		isnull = true;

			if (columns[i] == 0)
				continue;
			datum = slot_getattr(slot, columns[i], &isnull);
			if (!isnull)
				value_of(TupleDescAttr(slot->tts_tupleDescriptor,
									   columns[i] - 1)->atttypid,
						 datum, &values[i]);
		}
		row(values, arg);
		MemoryContextSwitchTo(old);
		MemoryContextReset(scratch);
	}
	MemoryContextDelete(scratch);
	pfree(values);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}
