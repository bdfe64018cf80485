/*
 * remount.h - `mount -o remount,...`, which mount(8) has lsmfs do.
 *
 * Only what the kernel keeps changes: ro and rw, suid, dev, exec.  The daemon goes on as
 * it is; its own options (commit=, acl, noatime, snapdir=, ...) are those of the mount
 * and not looked at, for mount(8) repeats them here from fstab.
 */
#ifndef FS_REMOUNT_H
#define FS_REMOUNT_H

#include "daemon/options.h"

/* Does it, or says on stderr why not.  An exit status of mount.h. */
LSMKV_CHECKED int remount_run(const struct options *options);

#endif
