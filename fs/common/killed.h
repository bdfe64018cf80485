/*
 * killed.h - daemons that were killed and cannot end.
 *
 * Where the kernel is told to write back pages of a shared mapping, a thread of the daemon waits
 * there for requests that other threads of it answer.  Killed meanwhile, these end, and that one
 * never does; with it stay the store's lock, the socket, and the connection, so that whatever the
 * mount is asked waits as well.  Only the end of the connection ends it.
 *
 * Threads: any.
 */
#ifndef FS_KILLED_H
#define FS_KILLED_H

#include <sys/types.h>

#include "lsmkv.h"

/* Who listens where `connected`, a socket's descriptor, leads to, if that process has been killed; 0: it
 * runs, or cannot be told.  It is known by the socket, not by what the store's lock file says: a
 * process number there may be of another namespace, or by now another's. */
pid_t killed_peer(int connected);

/* Ends the connections of all mounts of `store` that the caller sees, and waits until process `pid`,
 * as killed_peer told, has let go of the store.  -ENOTCONN: it has not; why has been said. */
LSMKV_CHECKED int killed_end(const char *store, pid_t pid);

#endif
