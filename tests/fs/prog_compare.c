/*
 * prog_compare.c - the same random calls in two directories; any difference is a finding.
 *
 *     prog_compare A B [operations [seed]]
 *
 * A is on the mount, B on a file system known to be right (ext4): the expectation is never
 * ours alone.  After each call the results, errnos and which times of the file and its parents
 * changed are compared; every so often, and at the end, the whole trees: types, modes, owners,
 * link counts, sizes, contents, targets, extended attributes.  Files stay open across renames
 * and unlinks.  Prints its seed; exits with 1 and the call on a difference.
 *
 * With operations 0 it only compares the trees.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "support/random.h"

#define SIDES        2
#define HANDLES      4
#define DATA_MAX     (300 << 10)
#define PATH_ROOM    256
#define TREE_EVERY   500
#define SPARSE_LIMIT (UINT64_C(5) << 30)

static struct random dice;
static uint64_t step;
static int roots[SIDES];
static int handles[HANDLES][SIDES];
static char call[1024]; /* the call under way, for the report */
static uint8_t data[DATA_MAX], seen[SIDES][DATA_MAX];

static void differ(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));

static void
differ(const char *format, ...)
{
    va_list arguments;

    printf("not ok - step %llu, %s: ", (unsigned long long)step, call);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    exit(1);
}

static uint64_t
below(uint64_t limit)
{
    return random_below(&dice, limit);
}

/* ---- one call on both sides ---- */

static void
same_result(const long result[SIDES], const int error[SIDES])
{
    if (result[0] != result[1] || (result[0] < 0 && error[0] != error[1]))
        differ("gives %ld %s, there %ld %s", result[0],
               result[0] < 0 ? strerror(error[0]) : "", result[1],
               result[1] < 0 ? strerror(error[1]) : "");
}

/* Runs `expression` for both sides, `side` being 0 and 1, and compares. */
#define BOTH(expression)                           \
    do {                                           \
        long result_[SIDES];                       \
        int error_[SIDES];                         \
        for (int side = 0; side < SIDES; side++) { \
            errno = 0;                             \
            result_[side] = (long)(expression);    \
            error_[side] = errno;                  \
        }                                          \
        same_result(result_, error_);              \
    } while (0)

#define CALL(...) snprintf(call, sizeof(call), __VA_ARGS__)

/* ---- names ---- */

static const char *const names[] = {"a", "b", "c", "d0", "d1", "e.txt", "f-g", "x"};

static void
random_path(char *path)
{
    size_t depth = 1 + below(3), size = 0;

    for (size_t i = 0; i < depth; i++)
        size += (size_t)snprintf(path + size, PATH_ROOM - size, "%s%s", i > 0 ? "/" : "",
                                 names[below(sizeof(names) / sizeof(names[0]))]);
}

static void
parent_of(const char *path, char *parent)
{
    const char *slash = strrchr(path, '/');

    snprintf(parent, PATH_ROOM, "%.*s", slash == NULL ? 1 : (int)(slash - path),
             slash == NULL ? "." : path);
}

/* ---- which times a call changes ---- */

struct watch {
    char paths[4][PATH_ROOM]; /* "" ends it */
    struct stat before[SIDES][4];
    bool there[SIDES][4];
};

static void
watch_begin(struct watch *watch, const char *first, const char *second)
{
    memset(watch, 0, sizeof(*watch));
    snprintf(watch->paths[0], PATH_ROOM, "%s", first);
    parent_of(first, watch->paths[1]);
    if (second != NULL) {
        snprintf(watch->paths[2], PATH_ROOM, "%s", second);
        parent_of(second, watch->paths[3]);
    }
    for (int side = 0; side < SIDES; side++)
        for (int i = 0; i < 4 && watch->paths[i][0] != '\0'; i++)
            watch->there[side][i] =
                fstatat(roots[side], watch->paths[i], &watch->before[side][i],
                        AT_SYMLINK_NOFOLLOW) == 0;
}

static bool
same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static void
watch_end(const struct watch *watch)
{
    for (int i = 0; i < 4 && watch->paths[i][0] != '\0'; i++) {
        bool there[SIDES], modified[SIDES], changed[SIDES];

        for (int side = 0; side < SIDES; side++) {
            const struct stat *before = &watch->before[side][i];
            struct stat now;
            bool stayed;

            there[side] =
                fstatat(roots[side], watch->paths[i], &now, AT_SYMLINK_NOFOLLOW) == 0;
            /* Another file under the name has times of its own. */
            stayed = there[side] && watch->there[side][i] && now.st_ino == before->st_ino;
            modified[side] = stayed && !same_time(now.st_mtim, before->st_mtim);
            changed[side] = stayed && !same_time(now.st_ctim, before->st_ctim);
        }
        if (there[0] != there[1])
            differ("%s is %s, there it is %s", watch->paths[i],
                   there[0] ? "there" : "absent", there[1] ? "there" : "absent");
        if (modified[0] != modified[1])
            differ("mtime of %s %s, there it %s", watch->paths[i],
                   modified[0] ? "changed" : "stayed",
                   modified[1] ? "changed" : "stayed");
        if (changed[0] != changed[1])
            differ("ctime of %s %s, there it %s", watch->paths[i],
                   changed[0] ? "changed" : "stayed", changed[1] ? "changed" : "stayed");
    }
}

/* ---- comparing stat and trees ---- */

static void
compare_stat(const char *path, const struct stat st[SIDES])
{
    const struct stat *a = &st[0], *b = &st[1];

    if (a->st_mode != b->st_mode)
        differ("%s: mode %o, there %o", path, a->st_mode, b->st_mode);
    if (a->st_nlink != b->st_nlink)
        differ("%s: %lu links, there %lu", path, (unsigned long)a->st_nlink,
               (unsigned long)b->st_nlink);
    if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
        differ("%s: owner %u:%u, there %u:%u", path, a->st_uid, a->st_gid, b->st_uid,
               b->st_gid);
    if (!S_ISDIR(a->st_mode) && a->st_size != b->st_size)
        differ("%s: size %lld, there %lld", path, (long long)a->st_size,
               (long long)b->st_size);
    if (a->st_rdev != b->st_rdev)
        differ("%s: another device", path);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names_list {
    char *items[512];
    size_t count;
};

static void
names_free(struct names_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    list->count = 0;
}

/* False: not for this user. */
static bool
list_directory(int side, const char *path, struct names_list *list)
{
    int fd = openat(roots[side], path, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    list->count = 0;
    if (dir == NULL && errno == EACCES)
        return false;
    if (dir == NULL)
        differ("%s cannot be listed: %s", path, strerror(errno));
    while ((entry = readdir(dir)) != NULL && list->count < 512)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            list->items[list->count++] = strdup(entry->d_name);
    closedir(dir);
    qsort(list->items, list->count, sizeof(list->items[0]), compare_names);
    return true;
}

static void
compare_contents(const char *path, uint64_t size)
{
    int fds[SIDES];

    BOTH((fds[side] = openat(roots[side], path, O_RDONLY | O_NOFOLLOW)) < 0 ? -1 : 0);
    if (fds[0] < 0)
        return; /* not for this user, on both sides alike */
    /* Of a huge sparse file only the parts that ext4 calls data, and the ends. */
    for (uint64_t at = 0; at < size;) {
        size_t want = size - at < DATA_MAX ? (size_t)(size - at) : DATA_MAX;
        ssize_t got[SIDES];
        off_t next;

        for (int side = 0; side < SIDES; side++)
            got[side] = pread(fds[side], seen[side], want, (off_t)at);
        if (got[0] != got[1] || got[0] != (ssize_t)want)
            differ("%s: read of %zu at %llu gives %zd, there %zd", path, want,
                   (unsigned long long)at, got[0], got[1]);
        for (size_t i = 0; i < want; i++)
            if (seen[0][i] != seen[1][i])
                differ("%s: byte %llu is %02x, there %02x", path,
                       (unsigned long long)(at + i), seen[0][i], seen[1][i]);
        at += want;
        next = lseek(fds[1], (off_t)at, SEEK_DATA);
        if (next > (off_t)at)
            at = (uint64_t)next;
        else if (next < 0 && size - at > DATA_MAX)
            at = size - DATA_MAX;
    }
    for (int side = 0; side < SIDES; side++)
        close(fds[side]);
}

/* The names of a file's user attributes, sorted, and their values, in one text. */
static size_t
attribute_text(int side, const char *path, char *text, size_t room)
{
    char full[PATH_MAX], list[4096], *items[256];
    size_t count = 0, size = 0;
    ssize_t length;

    snprintf(full, sizeof(full), "/proc/self/fd/%d/%s", roots[side], path);
    length = llistxattr(full, list, sizeof(list));
    if (length < 0)
        return (size_t)snprintf(text, room, "error %s", strerror(errno));
    for (ssize_t at = 0; at < length && count < 256; at += (ssize_t)strlen(list + at) + 1)
        if (strncmp(list + at, "user.", 5) == 0)
            items[count++] = list + at;
    qsort(items, count, sizeof(items[0]), compare_names);
    for (size_t i = 0; i < count; i++) {
        char value[4096];
        ssize_t got = lgetxattr(full, items[i], value, sizeof(value));

        size += (size_t)snprintf(text + size, room - size, "%s=%zd:%.*s;", items[i], got,
                                 (int)(got > 100 ? 100 : got), value);
    }
    return size;
}

static void
compare_attributes(const char *path)
{
    char text[SIDES][16384];

    for (int side = 0; side < SIDES; side++) {
        text[side][0] = '\0';
        attribute_text(side, path, text[side], sizeof(text[side]));
    }
    if (strcmp(text[0], text[1]) != 0)
        differ("%s: attributes %s, there %s", path, text[0], text[1]);
}

static void
compare_target(const char *path)
{
    char target[SIDES][PATH_MAX];

    for (int side = 0; side < SIDES; side++) {
        ssize_t size = readlinkat(roots[side], path, target[side], PATH_MAX - 1);

        target[side][size < 0 ? 0 : size] = '\0';
    }
    if (strcmp(target[0], target[1]) != 0)
        differ("%s: points to %s, there to %s", path, target[0], target[1]);
}

static void
compare_tree(const char *path)
{
    struct stat st[SIDES];

    BOTH(fstatat(roots[side], path, &st[side], AT_SYMLINK_NOFOLLOW));
    if (fstatat(roots[0], path, &st[0], AT_SYMLINK_NOFOLLOW) != 0)
        return; /* in a directory that this user may list but not search */
    compare_stat(path, st);
    if (S_ISLNK(st[0].st_mode)) {
        compare_target(path);
    } else if (S_ISREG(st[0].st_mode)) {
        compare_contents(path, (uint64_t)st[0].st_size);
        compare_attributes(path);
    } else if (S_ISDIR(st[0].st_mode)) {
        struct names_list lists[SIDES];

        compare_attributes(path);
        BOTH(list_directory(side, path, &lists[side]));
        if (lists[0].count != lists[1].count)
            differ("%s: lists %zu names, there %zu", path, lists[0].count,
                   lists[1].count);
        for (size_t i = 0; i < lists[0].count; i++) {
            char child[PATH_MAX];

            if (strcmp(lists[0].items[i], lists[1].items[i]) != 0)
                differ("%s: lists %s, there %s", path, lists[0].items[i],
                       lists[1].items[i]);
            snprintf(child, sizeof(child), "%s/%s", path, lists[0].items[i]);
            compare_tree(child);
        }
        names_free(&lists[0]);
        names_free(&lists[1]);
    }
}

/* ---- calls by name ---- */

static void
fill_data(size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(step * 131 + i * 7 + (i >> 8));
}

/* Sizes around the limits that matter: inline, block, chunk. */
static size_t
random_size(void)
{
    static const size_t around[] = {0,      1,      4095,   4096,  4097,
                                    131071, 131072, 131073, 262144};

    switch (below(4)) {
    case 0:
        return around[below(sizeof(around) / sizeof(around[0]))];
    case 1:
        return below(DATA_MAX);
    default:
        return below(6000);
    }
}

static uint64_t
random_offset(void)
{
    if (below(200) == 0)
        return below(SPARSE_LIMIT);
    return below(4) == 0 ? below(1 << 20) : random_size();
}

static void
do_open(void)
{
    static const int flags[] = {O_CREAT, O_CREAT | O_EXCL, O_CREAT | O_TRUNC, O_TRUNC,
                                0,       O_DIRECTORY,      O_CREAT | O_APPEND};
    int flag = flags[below(sizeof(flags) / sizeof(flags[0]))] | O_NOFOLLOW | O_NONBLOCK;
    int access = below(3) == 0 ? O_RDONLY : O_RDWR;
    size_t slot = below(HANDLES);
    mode_t mode = (mode_t)below(01000);
    char path[PATH_ROOM];
    struct watch watch;
    int fds[SIDES];

    random_path(path);
    if ((flag & O_TRUNC) != 0)
        access = O_RDWR; /* O_RDONLY | O_TRUNC is not specified */
    CALL("open %s flags %o mode %o", path, flag | access, mode);
    watch_begin(&watch, path, NULL);
    BOTH((fds[side] = openat(roots[side], path, flag | access, mode)) < 0 ? -1 : 0);
    watch_end(&watch);
    for (int side = 0; side < SIDES; side++) {
        if (fds[side] < 0)
            continue;
        if (handles[slot][side] >= 0)
            close(handles[slot][side]);
        handles[slot][side] = fds[side];
    }
}

static void
do_make(void)
{
    char path[PATH_ROOM], target[PATH_ROOM];
    struct watch watch;
    mode_t mode = (mode_t)below(01000);

    random_path(path);
    random_path(target);
    watch_begin(&watch, path, NULL);
    switch (below(8)) {
    case 0:
        CALL("mkfifo %s %o", path, mode);
        BOTH(mkfifoat(roots[side], path, mode));
        break;
    case 1:
        CALL("mknod %s null %o", path, mode);
        BOTH(mknodat(roots[side], path, S_IFCHR | mode, makedev(1, 3)));
        break;
    case 2:
        CALL("symlink %s -> %s", path, target);
        BOTH(symlinkat(target, roots[side], path));
        break;
    case 3:
        CALL("mknod %s socket %o", path, mode);
        BOTH(mknodat(roots[side], path, S_IFSOCK | mode, 0));
        break;
    default:
        if (below(8) == 0)
            mode |= S_ISGID;
        CALL("mkdir %s %o", path, mode);
        BOTH(mkdirat(roots[side], path, mode));
    }
    watch_end(&watch);
}

static void
do_link(void)
{
    char from[PATH_ROOM], to[PATH_ROOM];
    struct watch watch;

    random_path(from);
    random_path(to);
    CALL("link %s %s", from, to);
    watch_begin(&watch, from, to);
    BOTH(linkat(roots[side], from, roots[side], to, 0));
    watch_end(&watch);
}

static void
do_remove(void)
{
    char path[PATH_ROOM];
    struct watch watch;
    int flags = below(3) == 0 ? AT_REMOVEDIR : 0;

    random_path(path);
    CALL("%s %s", flags != 0 ? "rmdir" : "unlink", path);
    watch_begin(&watch, path, NULL);
    BOTH(unlinkat(roots[side], path, flags));
    watch_end(&watch);
}

static void
do_rename(void)
{
    static const unsigned all[] = {
        0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_NOREPLACE | RENAME_EXCHANGE};
    unsigned flags = all[below(sizeof(all) / sizeof(all[0]))];
    char from[PATH_ROOM], to[PATH_ROOM];
    struct watch watch;

    random_path(from);
    random_path(to);
    CALL("rename %s %s flags %u", from, to, flags);
    watch_begin(&watch, from, to);
    BOTH(renameat2(roots[side], from, roots[side], to, flags));
    watch_end(&watch);
}

static void
do_attributes(void)
{
    char path[PATH_ROOM];
    struct watch watch;
    mode_t mode = (mode_t)below(010000);
    uid_t uid = below(2) == 0 ? (uid_t)-1 : (uid_t)below(3);
    gid_t gid = below(2) == 0 ? (gid_t)-1 : (gid_t)below(3);
    struct timespec times[2] = {{(time_t)below(1u << 31), (long)below(1000000000)},
                                {-(time_t)below(1u << 30), (long)below(1000000000)}};

    random_path(path);
    watch_begin(&watch, path, NULL);
    switch (below(5)) {
    case 0:
        CALL("chmod %s %o", path, mode);
        BOTH(fchmodat(roots[side], path, mode, 0));
        break;
    case 1:
        CALL("chown %s %d %d", path, (int)uid, (int)gid);
        BOTH(fchownat(roots[side], path, uid, gid, AT_SYMLINK_NOFOLLOW));
        break;
    case 2:
        if (below(3) == 0)
            times[0].tv_nsec = UTIME_OMIT;
        if (below(3) == 0)
            times[1].tv_nsec = UTIME_OMIT;
        CALL("utimens %s", path);
        BOTH(utimensat(roots[side], path, times, AT_SYMLINK_NOFOLLOW));
        break;
    default:
        CALL("stat %s", path);
        {
            struct stat st[SIDES];
            bool there = true;

            BOTH(fstatat(roots[side], path, &st[side], AT_SYMLINK_NOFOLLOW));
            for (int side = 0; side < SIDES; side++)
                there = there &&
                        fstatat(roots[side], path, &st[side], AT_SYMLINK_NOFOLLOW) == 0;
            if (there)
                compare_stat(path, st);
        }
    }
    watch_end(&watch);
}

static void
do_xattr(void)
{
    char path[PATH_ROOM], full[SIDES][PATH_MAX], name[32];
    size_t size = below(10) == 0 ? below(1500) : below(60);
    int flags = below(3) == 0 ? XATTR_CREATE : below(3) == 0 ? XATTR_REPLACE : 0;
    struct watch watch;

    random_path(path);
    snprintf(name, sizeof(name), "user.%c", (char)('a' + below(4)));
    for (int side = 0; side < SIDES; side++)
        snprintf(full[side], PATH_MAX, "/proc/self/fd/%d/%s", roots[side], path);
    fill_data(size);
    watch_begin(&watch, path, NULL);
    if (below(3) == 0) {
        CALL("removexattr %s %s", path, name);
        BOTH(lremovexattr(full[side], name));
    } else {
        CALL("setxattr %s %s %zu flags %d", path, name, size, flags);
        BOTH(lsetxattr(full[side], name, data, size, flags));
    }
    watch_end(&watch);
    CALL("getxattr %s %s", path, name);
    BOTH(lgetxattr(full[side], name, seen[side], 8));
}

static void
do_truncate(void)
{
    char path[PATH_ROOM], full[SIDES][PATH_MAX];
    off_t size = (off_t)random_offset();
    struct stat st;
    struct watch watch;

    random_path(path);
    /* Through a symlink it would leave the tree, and a fifo would wait. */
    if (fstatat(roots[1], path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
        return;
    for (int side = 0; side < SIDES; side++)
        snprintf(full[side], PATH_MAX, "/proc/self/fd/%d/%s", roots[side], path);
    CALL("truncate %s %lld", path, (long long)size);
    watch_begin(&watch, path, NULL);
    BOTH(truncate(full[side], size));
    watch_end(&watch);
}

/* ---- calls on open files ---- */

static bool
is_regular(const int fds[SIDES])
{
    struct stat st;

    return fds[0] >= 0 && fds[1] >= 0 && fstat(fds[1], &st) == 0 && S_ISREG(st.st_mode);
}

static void
do_mmap(const int fds[SIDES], uint64_t offset, size_t size)
{
    struct stat st;
    uint64_t page = offset & ~UINT64_C(4095);

    if (fstat(fds[1], &st) != 0 || (uint64_t)st.st_size < page + 4096 || size == 0)
        return;
    if (size > 4096)
        size = 4096;
    CALL("store %zu bytes at %llu through a shared mapping", size,
         (unsigned long long)page);
    for (int side = 0; side < SIDES; side++) {
        uint8_t *map =
            mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[side], (off_t)page);

        if (map == MAP_FAILED) {
            if (errno == EACCES)
                return; /* opened for reading only, on both sides alike */
            differ("side %d cannot be mapped: %s", side, strerror(errno));
        }
        memcpy(map, data, size);
        if (below(2) == 0)
            msync(map, 4096, MS_SYNC);
        munmap(map, 4096);
    }
    BOTH(pread(fds[side], seen[side], 4096, (off_t)page));
    if (memcmp(seen[0], seen[1], 4096) != 0)
        differ("what was mapped reads differently");
}

static void
do_fallocate(const int fds[SIDES], uint64_t offset, size_t size)
{
    static const int modes[] = {
        0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
        FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
    int mode = modes[below(sizeof(modes) / sizeof(modes[0]))];

    CALL("fallocate mode %d at %llu size %zu", mode, (unsigned long long)offset, size);
    BOTH(fallocate(fds[side], mode, (off_t)offset, (off_t)size));
}

static void
do_read(const int fds[SIDES], uint64_t offset, size_t size)
{
    struct stat st;

    if (below(2) == 0 && fstat(fds[1], &st) == 0 && st.st_size > 0)
        offset = below((uint64_t)st.st_size);
    CALL("pread %zu at %llu", size, (unsigned long long)offset);
    memset(seen[0], 0xaa, size);
    memset(seen[1], 0xaa, size);
    BOTH(pread(fds[side], seen[side], size, (off_t)offset));
    if (memcmp(seen[0], seen[1], size) != 0)
        differ("what was read differs");
}

static void
do_handle(void)
{
    const int *fds = handles[below(HANDLES)];
    uint64_t offset = random_offset();
    size_t size = random_size();
    struct stat st[SIDES];

    if (!is_regular(fds))
        return;
    fill_data(size);
    switch (below(9)) {
    case 0:
    case 1:
    case 2:
        CALL("pwrite %zu at %llu", size, (unsigned long long)offset);
        BOTH(pwrite(fds[side], data, size, (off_t)offset));
        break;
    case 3:
    case 4:
        do_read(fds, offset, size);
        break;
    case 5:
        CALL("ftruncate %llu", (unsigned long long)offset);
        BOTH(ftruncate(fds[side], (off_t)offset));
        break;
    case 6:
        do_fallocate(fds, offset, size);
        break;
    case 7:
        do_mmap(fds, offset, size);
        break;
    default:
        CALL("fsync");
        BOTH(fsync(fds[side]));
    }
    CALL("fstat");
    BOTH(fstat(fds[side], &st[side]));
    compare_stat("open file", st);
}

/* ---- the run ---- */

static void
do_step(void)
{
    uint64_t share = below(100);

    step++;
    if (share < 16)
        do_open();
    else if (share < 28)
        do_make();
    else if (share < 34)
        do_link();
    else if (share < 46)
        do_remove();
    else if (share < 56)
        do_rename();
    else if (share < 66)
        do_attributes();
    else if (share < 74)
        do_xattr();
    else if (share < 78)
        do_truncate();
    else
        do_handle();
}

int
main(int argc, char **argv)
{
    uint64_t operations, seed;

    if (argc < 3) {
        fprintf(stderr, "usage: prog_compare A B [operations [seed]]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    umask(0);
    operations = argc > 3 ? strtoull(argv[3], NULL, 10) : 10000;
    seed = argc > 4 ? strtoull(argv[4], NULL, 10) : random_seed();
    dice = random_of(seed);
    for (int side = 0; side < SIDES; side++) {
        roots[side] = open(argv[1 + side], O_RDONLY | O_DIRECTORY);
        if (roots[side] < 0) {
            perror(argv[1 + side]);
            return 2;
        }
    }
    for (int i = 0; i < HANDLES; i++)
        handles[i][0] = handles[i][1] = -1;
    CALL("the trees");
    compare_tree(".");
    while (step < operations) {
        do_step();
        if (step % TREE_EVERY == 0 || step == operations) {
            CALL("the trees");
            compare_tree(".");
        }
    }
    printf("ok - %llu calls, no difference\n", (unsigned long long)operations);
    return 0;
}
