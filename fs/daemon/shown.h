/*
 * shown.h - owners and modes that a mount shows instead of those in the store: -o uid=,
 * gid= and umask=.
 *
 * What is shown is what the kernel judges by, for it gets nothing else.  The store keeps
 * what it has, and new files are their makers'; so without the options all is as it was.
 * As with other file systems that have such options a change that would not show is
 * refused with EPERM.  Set-id bits are for whom the store has as owner, which none of
 * them shows: nobody sets any.
 */
#ifndef FS_SHOWN_H
#define FS_SHOWN_H

#include <stdbool.h>
#include <sys/stat.h>

#include "lsmkv.h"

struct shown {
    bool has_uid, has_gid, has_umask;
    uid_t uid;
    gid_t gid;
    mode_t umask; /* every file has the permissions 0777 but these, a directory too */
};

void shown_apply(const struct shown *shown, struct stat *st);
/* Takes from `which` (VFS_MODE, VFS_UID, VFS_GID of vfs.h) what is as it is shown, or
 * -EPERM. */
LSMKV_CHECKED int shown_change(const struct shown *shown, const struct stat *change,
                               unsigned *which);

/* Of a file to be made. */
mode_t shown_new_mode(const struct shown *shown, mode_t mode);

#endif
