/* shown.c - see shown.h. */
#include "daemon/shown.h"

#include <errno.h>

#include "vfs/vfs.h"

#define PERMISSIONS 0777u
#define SET_IDS     (S_ISUID | S_ISGID)

static bool
shows(const struct shown *shown)
{
    return shown->has_uid || shown->has_gid || shown->has_umask;
}

void
shown_apply(const struct shown *shown, struct stat *st)
{
    if (shown->has_uid)
        st->st_uid = shown->uid;
    if (shown->has_gid)
        st->st_gid = shown->gid;
    if (shown->has_umask && !S_ISLNK(st->st_mode))
        st->st_mode = (st->st_mode & S_IFMT) | (PERMISSIONS & ~shown->umask);
}

int
shown_change(const struct shown *shown, const struct stat *change, unsigned *which)
{
    struct stat after = *change;
    unsigned kept = 0;

    shown_apply(shown, &after);
    if (shown->has_uid)
        kept |= VFS_UID;
    if (shown->has_gid)
        kept |= VFS_GID;
    if (shown->has_umask)
        kept |= VFS_MODE;
    kept &= *which;
    if (*which & VFS_MODE && change->st_mode & SET_IDS && shows(shown))
        return -EPERM;
    if ((kept & VFS_UID && after.st_uid != change->st_uid) ||
        (kept & VFS_GID && after.st_gid != change->st_gid) ||
        (kept & VFS_MODE && (after.st_mode & 07777) != (change->st_mode & 07777)))
        return -EPERM;
    *which &= ~kept;
    return 0;
}

mode_t
shown_new_mode(const struct shown *shown, mode_t mode)
{
    return shows(shown) ? mode & ~(mode_t)SET_IDS : mode;
}
