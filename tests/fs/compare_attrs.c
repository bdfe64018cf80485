/*
 * compare_attrs.c - modes, owners, times, access lists, extended attributes: set and asked.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "compare.h"

#define VALUE_MAX 65536

static void
do_chmod(const char *path, const struct handle *handle)
{
    mode_t mode = (mode_t)below(010000);

    switch (below(6)) {
    case 0:
        call_is("fchmod %o", mode);
        BOTH(fchmod(handle->fds[side], mode));
        break;
    case 1:
        call_is("chmod of what may be a symlink %s %o", path, mode);
        BOTH(fchmodat(run.roots[side], path, mode, AT_SYMLINK_NOFOLLOW));
        break;
    default:
        call_is("chmod %s %o", path, mode);
        BOTH(fchmodat(run.roots[side], path, mode, 0));
    }
}

static void
do_chown(const char *path, const struct handle *handle)
{
    uid_t uid = once_in(2) ? (uid_t)-1 : (uid_t)below(4);
    gid_t gid = once_in(2) ? (gid_t)-1 : (gid_t)below(4);
    int flags = once_in(2) ? AT_SYMLINK_NOFOLLOW : 0;

    /* That is a difference: see fs/README.md. */
    if (uid == (uid_t)-1 && gid == (gid_t)-1 && !acts_as_root())
        uid = 0;
    if (once_in(6)) {
        call_is("fchown %d %d", (int)uid, (int)gid);
        BOTH(fchown(handle->fds[side], uid, gid));
    } else {
        call_is("chown %s %d %d flags %x", path, (int)uid, (int)gid, flags);
        BOTH(fchownat(run.roots[side], path, uid, gid, flags));
    }
}

void
do_attributes(void)
{
    const struct handle *handle = random_handle();
    char path[PATH_ROOM];
    struct watch watch;
    mode_t mask;

    random_path(path);
    if (once_in(30)) {
        mask = once_in(2) ? 0 : (mode_t)below(01000);
        call_is("umask %o", mask);
        umask(mask);
        return;
    }
    watch_begin(&watch, path, NULL);
    if (once_in(2))
        do_chmod(path, handle);
    else
        do_chown(path, handle);
    watch_end(&watch);
}

/* ---- times ---- */

/* Within what ext4 can state: 1901 to 2446. */
static struct timespec
random_time(void)
{
    static const long nanoseconds[] = {UTIME_OMIT, UTIME_NOW,  0,       999999999,
                                       -1,         1000000000, 1L << 40};
    struct timespec time = {(time_t)below(UINT64_C(1) << 33) - (INT64_C(1) << 30),
                            (long)below(1000000000)};

    if (once_in(3))
        time.tv_nsec = nanoseconds[below(COUNT(nanoseconds))];
    return time;
}

/* What was set is there to the nanosecond. */
static void
times_agree(const char *path, const struct timespec times[2])
{
    struct stat st[SIDES];

    for (int side = 0; side < SIDES; side++)
        if (fstatat(run.roots[side], path, &st[side], AT_SYMLINK_NOFOLLOW) != 0)
            return;
    for (int i = 0; i < 2; i++) {
        struct timespec here = i == 0 ? st[0].st_atim : st[0].st_mtim;
        struct timespec there = i == 0 ? st[1].st_atim : st[1].st_mtim;

        if (times[i].tv_nsec < 1000000000 && !same_time(here, there))
            differ("%s of %s is %lld.%09ld, there %lld.%09ld", i == 0 ? "atime" : "mtime",
                   path, (long long)here.tv_sec, here.tv_nsec, (long long)there.tv_sec,
                   there.tv_nsec);
    }
}

void
do_times(void)
{
    const struct handle *handle = random_handle();
    struct timespec times[2] = {random_time(), random_time()};
    int flags = once_in(4) ? 0 : AT_SYMLINK_NOFOLLOW;
    const struct timespec *given = once_in(8) ? NULL : times;
    char path[PATH_ROOM];
    struct watch watch;

    random_path(path);
    /* A dirty page that is written later would change the time that was set. */
    maps_settle(0);
    watch_begin(&watch, path, NULL);
    if (once_in(6) && handle->fds[0] >= 0) {
        call_is("futimens");
        BOTH(futimens(handle->fds[side], given));
        watch_end(&watch);
        return;
    }
    call_is("utimens %s flags %x %lld.%ld %lld.%ld%s", path, flags,
            (long long)times[0].tv_sec, times[0].tv_nsec, (long long)times[1].tv_sec,
            times[1].tv_nsec, given == NULL ? " of now" : "");
    BOTH(utimensat(run.roots[side], path, given, flags));
    watch_end(&watch);
    if (run.result == 0 && given != NULL && flags != 0)
        times_agree(path, times);
}

/* ---- extended attributes ---- */

/* Beneath first: ext4 keeps what fits in a block, the mount 64 KiB a value, so what has no room
 * there is not tried here.  Returns whether it was.  The value is in run.data. */
static bool
set_both(char full[SIDES][PATH_ROOM * 2], const char *name, size_t size, int flags,
         bool follow)
{
    long result[SIDES] = {0};
    int error[SIDES] = {0};

    act();
    for (int side = SIDES - 1; side >= 0 && error[1] != ENOSPC; side--) {
        errno = 0;
        result[side] = follow ? setxattr(full[side], name, run.data, size, flags)
                              : lsetxattr(full[side], name, run.data, size, flags);
        error[side] = errno;
    }
    act_no_more();
    if (error[1] == ENOSPC)
        return false;
    same_result(result, error);
    return true;
}

static void
set_attribute(const char *path, const char *name)
{
    static const int all[] = {
        0, 0, XATTR_CREATE, XATTR_REPLACE, XATTR_CREATE | XATTR_REPLACE, 1 << 5};
    size_t size = once_in(10) ? below(3500) : below(60);
    int flags = all[below(COUNT(all))];
    char full[SIDES][PATH_ROOM * 2];
    struct watch watch;

    if (once_in(40))
        size = VALUE_MAX + below(2);
    fill_data(size);
    for (int side = 0; side < SIDES; side++)
        full_path(side, path, full[side]);
    call_is("setxattr %s %s %zu flags %d", path, name, size, flags);
    watch_begin(&watch, path, NULL);
    if (set_both(full, name, size, flags, false))
        watch_end(&watch);
}

static void
get_attribute(const char *path, const char *name)
{
    char full[SIDES][PATH_ROOM * 2];
    size_t size = once_in(3) ? below(100) : DATA_MAX;

    for (int side = 0; side < SIDES; side++) {
        full_path(side, path, full[side]);
        memset(run.seen[side], 0, 256);
    }
    call_is("getxattr %s %s to %zu", path, name, size);
    BOTH(lgetxattr(full[side], name, run.seen[side], size));
    if (memcmp(run.seen[0], run.seen[1], 256) != 0)
        differ("another value");
    call_is("listxattr %s", path);
    BOTH(llistxattr(full[side], NULL, 0));
}

static const char *
random_attribute(char name[300])
{
    static const char *const odd[] = {"user.",     "nothing", "system.x",      "user",
                                      "trusted.a", "",        "trusted.overt", "other.a"};

    if (once_in(12))
        return odd[below(COUNT(odd))];
    snprintf(name, 300, "user.%c", (char)('a' + below(4)));
    if (once_in(20)) {
        memset(name + 5, 'n', 256);
        name[once_in(4) ? 256 : 255] = '\0';
    }
    return name;
}

void
do_xattr(void)
{
    char path[PATH_ROOM], full[SIDES][PATH_ROOM * 2], room[300];
    const char *name = random_attribute(room);
    struct watch watch;

    random_path(path);
    for (int side = 0; side < SIDES; side++)
        full_path(side, path, full[side]);
    if (once_in(3)) {
        watch_begin(&watch, path, NULL);
        call_is("removexattr %s %s", path, name);
        BOTH(lremovexattr(full[side], name));
        watch_end(&watch);
    } else {
        set_attribute(path, name);
    }
    get_attribute(path, name);
}

/* ---- access lists ---- */

static size_t
put_entry(uint8_t *acl, size_t at, unsigned tag, uint32_t id)
{
    unsigned permissions = (unsigned)below(once_in(40) ? 16 : 8);

    acl[at] = (uint8_t)tag;
    acl[at + 1] = 0;
    acl[at + 2] = (uint8_t)permissions;
    acl[at + 3] = 0;
    for (size_t i = 0; i < 4; i++)
        acl[at + 4 + i] = (uint8_t)(id >> 8 * i);
    return at + 8;
}

/* As it is passed to setxattr: mostly valid, now and then not. */
static size_t
random_acl(uint8_t *acl)
{
    const uint32_t nobody = UINT32_MAX;
    bool named = !once_in(3);
    size_t size = 4;

    memcpy(acl, "\2\0\0\0", 4);
    size = put_entry(acl, size, 0x01, nobody);
    if (named) {
        size = put_entry(acl, size, 0x02, 1);
        if (once_in(2))
            size = put_entry(acl, size, 0x02, 2 + (uint32_t)below(2));
    }
    size = put_entry(acl, size, 0x04, nobody);
    if (named && once_in(2))
        size = put_entry(acl, size, 0x08, (uint32_t)below(3));
    if ((named || once_in(4)) && !once_in(20))
        size = put_entry(acl, size, 0x10, nobody);
    if (!once_in(20))
        size = put_entry(acl, size, 0x20, nobody);
    if (once_in(40))
        acl[below(4)] ^= 1;
    if (once_in(30))
        size -= below(size);
    return size;
}

void
do_acl(void)
{
    static const char *const names[] = {"system.posix_acl_access",
                                        "system.posix_acl_default"};
    const char *name = names[below(2)];
    char path[PATH_ROOM], full[SIDES][PATH_ROOM * 2];
    struct stat st[SIDES];
    struct watch watch;
    size_t size = random_acl(run.data);

    random_path(path);
    for (int side = 0; side < SIDES; side++)
        full_path(side, path, full[side]);
    if (!run.acl)
        return;
    watch_begin(&watch, path, NULL);
    if (once_in(4)) {
        call_is("removexattr %s %s", path, name);
        BOTH(removexattr(full[side], name));
        /* Where the kernel keeps times it notes a change though there was no list. */
        if (!run.kernels_times)
            watch_end(&watch);
    } else {
        call_is("setxattr %s %s of %zu bytes", path, name, size);
        if (set_both(full, name, size, 0, true))
            watch_end(&watch);
    }
    get_attribute(path, name);
    call_is("stat %s", path);
    BOTH(fstatat(run.roots[side], path, &st[side], 0));
    if (fstatat(run.roots[0], path, &st[0], 0) == 0 &&
        fstatat(run.roots[1], path, &st[1], 0) == 0)
        compare_stat(path, st);
}

/* ---- asking ---- */

void
do_look(void)
{
    char path[PATH_ROOM], target[SIDES][64];
    int mode = (int)below(8), flags = once_in(3) ? 0 : AT_SYMLINK_NOFOLLOW;
    bool effective = once_in(2);
    struct stat st[SIDES] = {{0}, {0}};

    random_path(path);
    switch (below(3)) {
    case 0:
        flags |= effective ? AT_EACCESS : 0;
        call_is("access %s %d flags %x", path, mode, flags);
        BOTH(faccessat(run.roots[side], path, mode, flags));
        break;
    case 1:
        call_is("readlink %s", path);
        memset(target, 0, sizeof(target));
        BOTH(readlinkat(run.roots[side], path, target[side], sizeof(target[side])));
        if (memcmp(target[0], target[1], sizeof(target[0])) != 0)
            differ("another target");
        break;
    default:
        call_is("stat %s flags %x", path, flags);
        BOTH(fstatat(run.roots[side], path, &st[side], flags));
        compare_stat(path, st);
    }
}
