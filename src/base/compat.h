/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between the supported server versions, 15 to 18.
 *
 * The only file that asks for a version number.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_COMPAT_H
#define MIG_BASE_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "migrate needs PostgreSQL 15 or later"
#endif

/* 16 took this out of postgres.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 lets a module say its name and version */
#if PG_VERSION_NUM >= 180000
#define MIG_MODULE_MAGIC(modname, modversion) \
	PG_MODULE_MAGIC_EXT(.name = modname, .version = modversion)
#else
#define MIG_MODULE_MAGIC(modname, modversion) PG_MODULE_MAGIC
#endif

/* 16 can also insert into summarizing indexes only */
#if PG_VERSION_NUM >= 160000
#define MIG_EXEC_INSERT_INDEX_TUPLES(target, slot, estate) \
	ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL, false)
#else
#define MIG_EXEC_INSERT_INDEX_TUPLES(target, slot, estate) \
	ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL)
#endif

/* 16 has one function for the privileges on all kinds of objects */
#if PG_VERSION_NUM >= 160000
#include "catalog/pg_namespace.h"
#define MIG_HAS_SCHEMA_RIGHT(schema, role, right) \
	(object_aclcheck(NamespaceRelationId, schema, role, right) == ACLCHECK_OK)
#else
#define MIG_HAS_SCHEMA_RIGHT(schema, role, right) \
	(pg_namespace_aclcheck(schema, role, right) == ACLCHECK_OK)
#endif

/* 17 lets a background worker connect as a role that may not log in */
#if PG_VERSION_NUM >= 170000
#define MIG_BGWORKER_FLAGS (BGWORKER_BYPASS_ALLOWCONN | BGWORKER_BYPASS_ROLELOGINCHECK)
#else
#define MIG_BGWORKER_FLAGS BGWORKER_BYPASS_ALLOWCONN
#endif

/* the same for one that runs migrations, which has no business elsewhere */
#if PG_VERSION_NUM >= 170000
#define MIG_RUN_WORKER_FLAGS BGWORKER_BYPASS_ROLELOGINCHECK
#define MIG_BGWORKER_NEEDS_LOGIN false
#else
#define MIG_RUN_WORKER_FLAGS 0
#define MIG_BGWORKER_NEEDS_LOGIN true
#endif

/* 17 can limit whole transactions */
#if PG_VERSION_NUM >= 170000
#define MIG_MORE_WORKER_SETTINGS {"transaction_timeout", "0"},
#else
#define MIG_MORE_WORKER_SETTINGS
#endif

/* 18 has no run_once any more */
#if PG_VERSION_NUM >= 180000
#define MIG_PORTAL_RUN(portal, count, dest, completion) \
	PortalRun(portal, count, true, dest, dest, completion)
#else
#define MIG_PORTAL_RUN(portal, count, dest, completion) \
	PortalRun(portal, count, true, true, dest, dest, completion)
#endif

/* 16 took the array of settings out of the header */
#if PG_VERSION_NUM >= 160000
#define MIG_GET_GUC_VARIABLES(count) get_guc_variables(count)
#else
#define MIG_GET_GUC_VARIABLES(count) \
	(*(count) = GetNumConfigOptions(), get_guc_variables())
#endif

/* 17 can also ask for a stronger lock */
#if PG_VERSION_NUM >= 170000
#define MIG_LOCK_HELD_BY_ME(tag, mode) LockHeldByMe(tag, mode, false)
#else
#define MIG_LOCK_HELD_BY_ME(tag, mode) LockHeldByMe(tag, mode)
#endif

/* 17 names a virtual transaction in one field */
#if PG_VERSION_NUM >= 170000
#define MIG_LOCK_SAME_OWNER(a, b) \
	VirtualTransactionIdEquals((a)->vxid, (b)->vxid)
#else
#define MIG_LOCK_SAME_OWNER(a, b) \
	((a)->backend == (b)->backend && (a)->lxid == (b)->lxid)
#endif

/* 18 also asks about primary keys that can be deferred */
#if PG_VERSION_NUM >= 180000
#define MIG_PRIMARY_KEY_INDEX(relation) \
	RelationGetPrimaryKeyIndex(relation, false)
#else
#define MIG_PRIMARY_KEY_INDEX(relation) RelationGetPrimaryKeyIndex(relation)
#endif

/*
 * The locks of a process in one partition of the lock table, newest first.
 * NULL at the end.  16 has other lists.
 */
#if PG_VERSION_NUM >= 160000
#define MIG_NEWEST_PROCLOCK(proc, i) \
	(dlist_is_empty(&(proc)->myProcLocks[i]) ? NULL : \
	 dlist_tail_element(PROCLOCK, procLink, &(proc)->myProcLocks[i]))
#define MIG_OLDER_PROCLOCK(proc, i, proclock) \
	(dlist_has_prev(&(proc)->myProcLocks[i], &(proclock)->procLink) ? \
	 dlist_container(PROCLOCK, procLink, \
					 dlist_prev_node(&(proc)->myProcLocks[i], \
									 &(proclock)->procLink)) : NULL)
#else
#define MIG_NEWEST_PROCLOCK(proc, i) \
	((PROCLOCK *) SHMQueuePrev(&(proc)->myProcLocks[i], \
							   &(proc)->myProcLocks[i], \
							   offsetof(PROCLOCK, procLink)))
#define MIG_OLDER_PROCLOCK(proc, i, proclock) \
	((PROCLOCK *) SHMQueuePrev(&(proc)->myProcLocks[i], \
							   &(proclock)->procLink, \
							   offsetof(PROCLOCK, procLink)))
#endif

/* 17 keeps the two halves of a virtual transaction ID together */
#if PG_VERSION_NUM >= 170000
#define MIG_LOCAL_XID (MyProc->vxid.lxid)
#else
#define MIG_LOCAL_XID (MyProc->lxid)
#endif

/*
 * Weak locks on relations that are kept in the process itself: groups of 16,
 * three bits each, for the modes from 1 on.  18 has as many groups as needed.
 */
#if PG_VERSION_NUM >= 180000
#define MIG_FAST_PATH_GROUPS FastPathLockGroupsPerBackend
#define MIG_FAST_PATH_BITS(proc, group) ((proc)->fpLockBits[group])
#else
#define MIG_FAST_PATH_GROUPS 1
#define MIG_FAST_PATH_BITS(proc, group) ((proc)->fpLockBits)
#endif

/* 17 can change the expression of a generated column */
#if PG_VERSION_NUM >= 170000
#define MIG_IS_SET_EXPRESSION(subtype) ((subtype) == AT_SetExpression)
#else
#define MIG_IS_SET_EXPRESSION(subtype) false
#endif

/* 18 also has generated columns that are computed when they are read */
#if PG_VERSION_NUM >= 180000
#define MIG_IS_STORED(constraint) \
	((constraint)->generated_kind == ATTRIBUTE_GENERATED_STORED)
#else
#define MIG_IS_STORED(constraint) true
#endif

/* 17 lets a transaction use the values that it added to an enum of its own */
#if PG_VERSION_NUM >= 170000
#define MIG_NEW_ENUM_IS_SAFE true
#else
#define MIG_NEW_ENUM_IS_SAFE false
#endif

/* a foreign key of a partitioned table can be NOT VALID from 18 on */
#if PG_VERSION_NUM >= 180000
#define MIG_PARTITIONED_KEY_NOT_VALID true
#else
#define MIG_PARTITIONED_KEY_NOT_VALID false
#endif

/* an exclusion constraint of a partitioned table is possible from 17 on */
#if PG_VERSION_NUM >= 170000
#define MIG_PARTITIONED_EXCLUSION true
#else
#define MIG_PARTITIONED_EXCLUSION false
#endif

#endif							/* MIG_BASE_COMPAT_H */
