/*-------------------------------------------------------------------------
 *
 * superuser.h
 *	  Whether code in this session could become a superuser.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_SUPERUSER_H
#define MIG_SUPERUSER_H

/*
 * Could code that runs in this session become a superuser, or do what amounts
 * to it?  SET ROLE makes no difference, since RESET ROLE undoes it.  Then *role
 * is a role of the session, and *powerful the one that it is or can become.
 */
extern bool mig_superuser_within_reach(Oid *role, Oid *powerful);

#endif							/* MIG_SUPERUSER_H */
