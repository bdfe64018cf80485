/*
 * helper.h - lsmfs under the names by which mount(8) and umount(8) call it.
 *
 * Both have no option of their own that means a file system; they run
 *
 *     /sbin/mount.lsmfs       STORE DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]
 *     /sbin/umount.fuse.lsmfs DIR [-flnrv] [-N NAMESPACE] [-t TYPE]
 *
 * and take what these return for their own exit status.  They drop the rights of root
 * before that if an ordinary user has called them, so that nothing here runs with more
 * than the caller's; who may mount is then decided by fusermount3.
 */
#ifndef FS_HELPER_H
#define FS_HELPER_H

#include "lsmkv.h"

/* Exit statuses of mount(8), of which it uses the sums. */
enum {
    HELPER_OK = 0,
    HELPER_USAGE = 1,  /* wrong call, or not permitted */
    HELPER_SYSTEM = 2, /* no memory, no process, no FUSE; a store that cannot be read */
    HELPER_BUG = 4,    /* the daemon died */
    HELPER_INTERRUPTED = 8, /* by the user */
    HELPER_FAILED = 32,     /* the store, the mount point, or that it is in use */
};

/* False: argv[0] is not the name of a helper.  True: it has run, and this is its exit
 * status. */
LSMKV_CHECKED bool helper_run(int argc, char **argv, int *status);

#endif
