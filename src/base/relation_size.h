/*-------------------------------------------------------------------------
 *
 * relation_size.h
 *	  How large a table is, and how much it is written to.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_BASE_RELATION_SIZE_H
#define MIG_BASE_RELATION_SIZE_H

/* partitions included */
typedef struct MigRelationSize
{
	int64		bytes;			/* of the files, with TOAST, without indexes */
	int64		live_bytes;		/* the share of them that rows have which live */
	double		rows;			/* estimate of those that live */
	double		writes;			/* statements that wrote rows, per second */
} MigRelationSize;

/*
 * Takes no lock on the relation; one that is not there has no size.  Tables
 * that inherit from it are counted only if with_children is set; partitions
 * always are.
 */
extern void mig_relation_size(Oid relation, bool with_children,
							  MigRelationSize *size);

#endif							/* MIG_BASE_RELATION_SIZE_H */
