/*
 * mountinfo.h - what is mounted where, from /proc/PID/mountinfo, so that nothing touches
 * a mount point whose daemon may be dead; and unmounting.
 *
 * Threads: any.
 */
#ifndef FS_MOUNTINFO_H
#define FS_MOUNTINFO_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lsmkv.h"

#define MOUNT_TYPE "fuse.lsmfs"
/* The control file system of FUSE. */
#define MOUNTINFO_CONNECTIONS "/sys/fs/fuse/connections"

struct mountinfo {
    uint64_t id;
    char point[PATH_MAX];
    char device[32]; /* "major:minor" */
    char root
        [PATH_MAX]; /* what of the file system is shown: "/", or of a bind mount more */
    char type[64];
    char source[PATH_MAX]; /* of ours: the store's directory */
    char options[512]; /* as mount(8) lists them: the mount's, then the file system's */
};

/* Calls `take` for every mount that process `pid` (0: the caller) sees, a later one on
 * top of an earlier, until it returns false; what it is given holds for the call.
 * -ENOENT: the process has ended or is about to.  Errors of reading /proc. */
LSMKV_CHECKED int mountinfo_each(
    pid_t pid, bool (*take)(void *context, const struct mountinfo *info), void *context);

/* The topmost mount at exactly `point`, an absolute path, as process `pid` sees it (0:
 * the caller).  -ENOENT: nothing is mounted there, or the process has ended or is about
 * to.  Errors of reading /proc. */
LSMKV_CHECKED int mountinfo_find(pid_t pid, const char *point, struct mountinfo *info);

/* Any mount of the device that has this source, as the caller sees it: a bind mount is
 * another of the same.  The number alone is soon another's: the kernel gives the lowest
 * that is free.  -ENOENT: there is none left. */
LSMKV_CHECKED int mountinfo_find_device(const char *device, const char *source,
                                        struct mountinfo *info);

/* Is the directory `folder`, a descriptor, on a mount of the store at `store`, an
 * absolute path?  By its device, not by its path, on which others may own a directory.
 * That the mount is one of lsmfs is what its type and source say, and an ordinary user
 * may choose both for a FUSE file system of his. */
bool mountinfo_holds(int folder, const char *store);

/* Is `folder`, a descriptor, the root of that mount, whatever its path leads to? */
bool mountinfo_is_root(int folder, const struct mountinfo *info);

/* Can a look at `path`, an absolute one, wait for a program or for another machine?  Of
 * the mounts on the way one is of FUSE or of the network, or that cannot be told. */
bool mountinfo_may_wait(const char *path);

/* `path` made absolute.  Its last component need not exist and is not looked at unless it
 * is a symbolic link, "." or "..".  Writes PATH_MAX bytes at most. */
LSMKV_CHECKED int mountinfo_absolute(const char *path, char *absolute);

/* Unmounts as umount(8) would; `lazily` even while it is in use.  -EBUSY: it is, and has
 * been for a moment; -EINVAL: not mounted; -EPERM: also whatever else fusermount3 may not
 * or cannot do, which unmounts for others than root. */
LSMKV_CHECKED int mountinfo_unmount(const char *point, bool lazily);

/* Is `error` what calls fail with on a mount whose daemon has died, or dies meanwhile? */
bool mountinfo_is_dead(int error);

/* In words, why this thread's last mountinfo_unmount gave `result`: those of fusermount3,
 * if it is not that it is in use.  Holds until the next. */
const char *mountinfo_why(int result);

/* The same without waiting for a daemon that does not answer: what is under way fails.
 * Only root can; for others it is mountinfo_unmount. */
LSMKV_CHECKED int mountinfo_abort(const char *point, bool lazily);

/* Ends the connection of a FUSE mount by its device, "major:minor", which it has for as long as it is
 * mounted: whatever waits for its daemon fails, and so does all that comes later.  Who mounted it can, and
 * root.  -ENOENT: it has ended, or the control file system is not there; other errors of opening. */
LSMKV_CHECKED int mountinfo_end_connection(const char *device);

#endif
