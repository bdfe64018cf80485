/*
 * compare_names.c - calls that make, find and take away names.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "compare.h"

#define MANY 400 /* names in the crowded directory */

void
do_open(void)
{
    static const int kinds[] = {O_CREAT,
                                O_CREAT | O_EXCL,
                                O_CREAT | O_TRUNC,
                                O_TRUNC,
                                0,
                                O_DIRECTORY,
                                O_CREAT | O_APPEND,
                                O_CREAT | O_EXCL | O_TRUNC,
                                O_CREAT | O_DIRECTORY,
                                O_PATH,
                                O_PATH | O_DIRECTORY,
                                O_EXCL};
    static const int more[] = {O_DIRECT, O_SYNC, O_DSYNC, O_NOATIME, O_CREAT | O_DIRECT};
    static const int access[] = {O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY, O_ACCMODE};
    int flags = kinds[below(COUNT(kinds))] | access[below(COUNT(access))] | O_NONBLOCK;
    mode_t mode = (mode_t)below(once_in(10) ? 010000 : 01000);
    struct handle *handle = random_handle();
    char path[PATH_ROOM];
    struct watch watch;
    int fds[SIDES];

    random_path(path);
    if (once_in(3))
        flags |= more[below(COUNT(more))];
    if (!once_in(4))
        flags |= O_NOFOLLOW;
    /* An appending write begins anywhere, a direct one on a block. */
    if ((flags & O_DIRECT) != 0)
        flags &= ~O_APPEND;
    call_is("open %s flags %o mode %o", path, flags, mode);
    watch_begin(&watch, path, NULL);
    BOTH((fds[side] = openat(run.roots[side], path, flags, mode)) < 0 ? -1 : 0);
    watch_end(&watch);
    if (fds[0] >= 0)
        handle_set(handle, fds, flags);
}

static const char *
random_target(char room[PATH_ROOM * 5])
{
    random_path(room);
    if (once_in(10)) {
        /* A long one, up to a byte more than there may be. */
        size_t size = once_in(3) ? 4096 : 1 + below(4095);

        for (size_t i = 0; i < size; i++)
            room[i] = "a/"[i % 2];
        room[size] = '\0';
    }
    return room;
}

void
do_make(void)
{
    static const mode_t types[] = {S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK,
                                   S_IFREG, 0,       S_IFDIR, S_IFLNK};
    mode_t mode = (mode_t)below(once_in(6) ? 010000 : 01000);
    char path[PATH_ROOM], target[PATH_ROOM * 5];
    struct watch watch;

    random_path(path);
    random_target(target);
    watch_begin(&watch, path, NULL);
    if (once_in(3)) {
        mode_t type = types[below(COUNT(types))];
        dev_t device = type == S_IFBLK ? makedev(241, 7) : makedev(1, 3);

        call_is("mknod %s %o", path, type | mode);
        BOTH(mknodat(run.roots[side], path, type | mode, device));
    } else if (once_in(4)) {
        call_is("symlink %s -> %s", path, target);
        BOTH(symlinkat(target, run.roots[side], path));
    } else {
        call_is("mkdir %s %o", path, mode);
        BOTH(mkdirat(run.roots[side], path, mode));
    }
    watch_end(&watch);
}

/* Gives an open file another name, as O_TMPFILE's users do. */
static void
link_handle(const struct handle *handle, const char *to)
{
    char from[SIDES][64];
    struct watch watch;

    for (int side = 0; side < SIDES; side++)
        snprintf(from[side], sizeof(from[side]), "/proc/self/fd/%d", handle->fds[side]);
    watch_begin(&watch, to, NULL);
    if (once_in(2)) {
        call_is("link of an open file to %s", to);
        BOTH(linkat(AT_FDCWD, from[side], run.roots[side], to, AT_SYMLINK_FOLLOW));
    } else {
        call_is("link of a descriptor to %s", to);
        BOTH(linkat(handle->fds[side], "", run.roots[side], to, AT_EMPTY_PATH));
    }
    watch_end(&watch);
}

void
do_link(void)
{
    const struct handle *handle = random_handle();
    int flags = once_in(3) ? AT_SYMLINK_FOLLOW : once_in(20) ? AT_SYMLINK_NOFOLLOW : 0;
    char from[PATH_ROOM], to[PATH_ROOM];
    struct watch watch;

    random_path(from);
    random_path(to);
    if (once_in(5) && handle->fds[0] >= 0) {
        link_handle(handle, to);
        return;
    }
    call_is("link %s %s flags %x", from, to, flags);
    watch_begin(&watch, from, to);
    BOTH(linkat(run.roots[side], from, run.roots[side], to, flags));
    watch_end(&watch);
}

void
do_remove(void)
{
    char path[PATH_ROOM];
    struct watch watch;
    int flags = once_in(3) ? AT_REMOVEDIR : 0;

    random_path(path);
    call_is("%s %s", flags != 0 ? "rmdir" : "unlink", path);
    watch_begin(&watch, path, NULL);
    BOTH(unlinkat(run.roots[side], path, flags));
    watch_end(&watch);
}

/* The mount has none: whatever else is wrong, it fails; but for two names of one file, which
 * no rename changes. */
static void
never_whiteout(const char *from, const char *to)
{
    struct stat st[2];

    if (fstatat(run.roots[0], from, &st[0], AT_SYMLINK_NOFOLLOW) == 0 &&
        fstatat(run.roots[0], to, &st[1], AT_SYMLINK_NOFOLLOW) == 0 &&
        st[0].st_ino == st[1].st_ino)
        return;
    call_is("rename %s %s with a whiteout", from, to);
    if (renameat2(run.roots[0], from, run.roots[0], to, RENAME_WHITEOUT) == 0)
        differ("succeeds");
}

void
do_rename(void)
{
    static const unsigned all[] = {0,
                                   0,
                                   0,
                                   0,
                                   RENAME_NOREPLACE,
                                   RENAME_EXCHANGE,
                                   RENAME_EXCHANGE,
                                   RENAME_NOREPLACE | RENAME_EXCHANGE,
                                   RENAME_EXCHANGE | RENAME_WHITEOUT,
                                   1u << 3,
                                   1u << 31};
    unsigned flags = all[below(COUNT(all))];
    char from[PATH_ROOM], to[PATH_ROOM];
    struct watch watch;

    random_path(from);
    random_path(to);
    call_is("rename %s %s flags %u", from, to, flags);
    watch_begin(&watch, from, to);
    BOTH(renameat2(run.roots[side], from, run.roots[side], to, flags));
    watch_end(&watch);
    if (run.mounted && once_in(20))
        never_whiteout(from, to);
}

void
do_truncate(void)
{
    char path[PATH_ROOM], full[SIDES][PATH_ROOM * 2];
    off_t size = once_in(50) ? -1 : (off_t)random_offset();
    struct watch watch;

    random_path(path);
    for (int side = 0; side < SIDES; side++)
        full_path(side, path, full[side]);
    call_is("truncate %s %lld", path, (long long)size);
    watch_begin(&watch, path, NULL);
    BOTH(truncate(full[side], size));
    watch_end(&watch);
}

/* ---- standing in a directory that goes ---- */

/* What a process sees that stands in a directory as it is removed or renamed. */
static int
stand_in(int side, const char *path, const char *to, char *text, size_t room)
{
    int fd = openat(run.roots[side], path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    char buffer[PATH_MAX];
    const char *last;
    struct stat st = {0};
    size_t size = 0;
    int result, error;

    if (fd < 0 || fchdir(fd) != 0) {
        error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    close(fd);
#define TELL(call)                                                                    \
    do {                                                                              \
        errno = 0;                                                                    \
        result = (call);                                                              \
        size +=                                                                       \
            (size_t)snprintf(text + size, room - size, "%d %d, ", result < 0, errno); \
    } while (0)
    TELL(to == NULL ? unlinkat(run.roots[side], path, AT_REMOVEDIR)
                    : renameat(run.roots[side], path, run.roots[side], to));
    TELL(getcwd(buffer, sizeof(buffer)) == NULL ? -1 : 0);
    last = result < 0 ? NULL : strrchr(buffer, '/');
    TELL(stat(".", &st));
    TELL(mkdir("made", 0755));
    TELL(rmdir("made"));
    TELL(open("..", O_PATH | O_CLOEXEC));
    if (result >= 0)
        close(result);
    TELL(rename("../nothing", "here"));
    TELL(rmdir("."));
#undef TELL
    snprintf(text + size, room - size, "%s, mode %o, %lu links", last ? last : "",
             st.st_mode, (unsigned long)st.st_nlink);
    return chdir("/");
}

void
do_stand_in(void)
{
    char path[PATH_ROOM], to[PATH_ROOM], text[SIDES][1024] = {"", ""};
    bool removed = once_in(2);
    struct watch watch;

    random_path(path);
    random_path(to);
    call_is("standing in %s, %s %s", path, removed ? "rmdir" : "rename to",
            removed ? "" : to);
    watch_begin(&watch, path, to);
    BOTH(stand_in(side, path, removed ? NULL : to, text[side], sizeof(text[side])));
    watch_end(&watch);
    if (strcmp(text[0], text[1]) != 0)
        differ("sees %s, there %s", text[0], text[1]);
}

/* ---- a directory of many names ---- */

static void
many_name(char name[PATH_ROOM])
{
    uint64_t number = below(MANY);

    /* Short ones, and longer ones that begin like these. */
    snprintf(name, PATH_ROOM, "many/%03llu%s", (unsigned long long)number,
             once_in(2) ? "" : "-and-another-forty-bytes-behind-the-same");
}

void
do_many(void)
{
    char from[PATH_ROOM], to[PATH_ROOM];

    call_is("mkdir many");
    BOTH(mkdirat(run.roots[side], "many", 0777));
    for (uint64_t i = 1 + below(60); i > 0; i--) {
        many_name(from);
        many_name(to);
        dirs_touch(from);
        dirs_touch(to);
        switch (below(8)) {
        case 0:
            call_is("rename %s %s", from, to);
            BOTH(renameat(run.roots[side], from, run.roots[side], to));
            break;
        case 1:
            call_is("link %s %s", from, to);
            BOTH(linkat(run.roots[side], from, run.roots[side], to, 0));
            break;
        case 2:
        case 3:
            call_is("unlink %s", from);
            BOTH(unlinkat(run.roots[side], from, 0));
            break;
        default:
            call_is("mknod %s", from);
            BOTH(mknodat(run.roots[side], from, S_IFREG | 0644, 0));
        }
    }
}
