/*-------------------------------------------------------------------------
 *
 * privileges.h
 *	  The four rights that can be given to other roles.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIG_ADMIN_PRIVILEGES_H
#define MIG_ADMIN_PRIVILEGES_H

/*
 * Give a right (look, run, write, repair) to a role or take it away, with plain
 * GRANT and REVOKE commands under the caller's own identity.
 */
extern void mig_privileges_change(bool grant, const char *right,
								  const char *role);

/* the right with which a function is granted; "owner" if with none */
extern const char *mig_privileges_of_function(const char *name);

/*
 * Take back from everybody but the owner what he has on the objects of the
 * extension; the install script does so before it grants anything.
 */
extern void mig_privileges_take_back(void);

#endif							/* MIG_ADMIN_PRIVILEGES_H */
