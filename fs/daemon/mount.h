/*
 * mount.h - a mount from its beginning to its end: the daemon.
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include "daemon/options.h"

/* Exit statuses of lsmfs; the man page explains them. */
enum {
    STATUS_OK = 0,
    STATUS_FAILED = 1,     /* none of the below */
    STATUS_USAGE = 2,      /* the command line is wrong */
    STATUS_LOCKED = 3,     /* somebody else has the store */
    STATUS_STORE = 4,      /* not a store, a newer one, or a damaged one */
    STATUS_PERMISSION = 5, /* not allowed */
    STATUS_MOUNTPOINT = 6, /* not there, no directory, or stale */
    STATUS_FUSE = 7,       /* no FUSE here */
    STATUS_DIED = 8,       /* the daemon died before the mount answered */
};

/* Which of them tells of an error of opening a store, or of one of its snapshots. */
int mount_status_of(int result);

/* Mounts, and returns when the mount answers, leaving a daemon behind; in the foreground,
 * returns when it has been unmounted and the store is closed.  The result is the exit
 * status; what went wrong has been said on stderr. */
int mount_run(const struct options *options);

#endif
