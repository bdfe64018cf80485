/*
 * compare_tree.c - whole trees: types, modes, owners, link counts, which names are one file,
 * sizes, contents, targets, extended attributes, times that were set.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "compare.h"

#define DAY      86400
#define TEXT_MAX (160 << 10)
#define LINKED   1024

/* Files with several names: the number on one side, and there. */
static struct {
    ino_t numbers[SIDES][LINKED];
    size_t count;
} linked;

void
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

/* An mtime that was set is far from now, and must be the same.  But not a directory's: what was
 * made in it since may be forgotten with the daemon (see "Promises" in fs/README.md). */
static bool
is_set(struct timespec time)
{
    return time.tv_sec < run.began - DAY || time.tv_sec > run.began + DAY;
}

static void
compare_set_times(const char *path, const struct stat st[SIDES])
{
    if ((is_set(st[0].st_mtim) || is_set(st[1].st_mtim)) &&
        !same_time(st[0].st_mtim, st[1].st_mtim))
        differ("%s: mtime %lld.%09ld, there %lld.%09ld", path,
               (long long)st[0].st_mtim.tv_sec, st[0].st_mtim.tv_nsec,
               (long long)st[1].st_mtim.tv_sec, st[1].st_mtim.tv_nsec);
}

/* Names of one file on one side are names of one file on the other. */
static void
compare_links(const char *path, const struct stat st[SIDES])
{
    for (size_t i = 0; i < linked.count; i++) {
        bool same[SIDES];

        for (int side = 0; side < SIDES; side++)
            same[side] = linked.numbers[side][i] == st[side].st_ino;
        if (same[0] != same[1])
            differ("%s is %s as another name, there it is %s", path,
                   same[0] ? "the same file" : "another file",
                   same[1] ? "the same" : "another");
        if (same[0])
            return;
    }
    if (linked.count == LINKED)
        return;
    for (int side = 0; side < SIDES; side++)
        linked.numbers[side][linked.count] = st[side].st_ino;
    linked.count++;
}

/* ---- contents ---- */

/* Where the next data begin on either side after `at`, which has been compared. */
static uint64_t
next_data(const int fds[SIDES], uint64_t at, uint64_t size)
{
    uint64_t next = size;

    for (int side = 0; side < SIDES; side++) {
        off_t data = lseek(fds[side], (off_t)at, SEEK_DATA);

        if (data >= 0 && (uint64_t)data < next)
            next = (uint64_t)data;
    }
    /* The end is read though it be a hole. */
    if (next == size && size - at > BLOCK)
        next = size - BLOCK;
    return next > at && next < size ? next : at;
}

/* False if this user may not read it. */
static bool
compare_contents(const char *path, uint64_t size)
{
    int fds[SIDES];

    BOTH((fds[side] = openat(run.roots[side], path, O_RDONLY | O_NOFOLLOW)) < 0 ? -1 : 0);
    if (fds[0] < 0)
        return false;
    for (uint64_t at = 0; at < size;) {
        size_t want = size - at < DATA_MAX ? (size_t)(size - at) : DATA_MAX;
        ssize_t got[SIDES];

        for (int side = 0; side < SIDES; side++)
            got[side] = pread(fds[side], run.seen[side], want, (off_t)at);
        if (got[0] != got[1] || got[0] != (ssize_t)want)
            differ("%s: read of %zu at %llu gives %zd, there %zd", path, want,
                   (unsigned long long)at, got[0], got[1]);
        for (size_t i = 0; i < want; i++)
            if (run.seen[0][i] != run.seen[1][i])
                differ("%s: byte %llu is %02x, there %02x", path,
                       (unsigned long long)(at + i), run.seen[0][i], run.seen[1][i]);
        at += want;
        if (at < size)
            at = next_data(fds, at, size);
    }
    for (int side = 0; side < SIDES; side++)
        close(fds[side]);
    return true;
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of a file's extended attributes, sorted, and their values, in one text. */
static void
attribute_text(int side, const char *path, char *text)
{
    static char list[65536];
    static uint8_t value[65536];
    char full[PATH_ROOM * 2], *items[256];
    size_t count = 0, size = 0;
    ssize_t length;

    full_path(side, path, full);
    length = llistxattr(full, list, sizeof(list));
    size += (size_t)snprintf(text, TEXT_MAX, "%zd %s;", length,
                             length < 0 ? strerror(errno) : "");
    for (ssize_t at = 0; at < length && count < 256; at += (ssize_t)strlen(list + at) + 1)
        items[count++] = list + at;
    qsort(items, count, sizeof(items[0]), compare_texts);
    for (size_t i = 0; i < count && size < TEXT_MAX - 20000; i++) {
        ssize_t got = lgetxattr(full, items[i], value, sizeof(value));

        size += (size_t)snprintf(text + size, TEXT_MAX - size, "%s=%zd:", items[i], got);
        for (ssize_t at = 0; at < got && at < 8000; at++)
            size += (size_t)snprintf(text + size, TEXT_MAX - size, "%02x", value[at]);
        size += (size_t)snprintf(text + size, TEXT_MAX - size, ";");
    }
}

static void
compare_attributes(const char *path)
{
    static char text[SIDES][TEXT_MAX];

    for (int side = 0; side < SIDES; side++)
        attribute_text(side, path, text[side]);
    if (strcmp(text[0], text[1]) != 0)
        differ("%s: attributes %.500s, there %.500s", path, text[0], text[1]);
}

static void
compare_target(const char *path)
{
    char target[SIDES][PATH_MAX];

    for (int side = 0; side < SIDES; side++) {
        ssize_t size = readlinkat(run.roots[side], path, target[side], PATH_MAX - 1);

        target[side][size < 0 ? 0 : size] = '\0';
    }
    if (strcmp(target[0], target[1]) != 0)
        differ("%s: points to %s, there to %s", path, target[0], target[1]);
}

/* ---- directories ---- */

struct names_list {
    char **items;
    size_t count, room;
};

static void
names_add(struct names_list *list, const char *name)
{
    if (list->count == list->room) {
        list->room = list->room * 2 + 64;
        list->items = realloc(list->items, list->room * sizeof(list->items[0]));
        if (list->items == NULL)
            abort();
    }
    list->items[list->count++] = strdup(name);
}

static void
names_free(struct names_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

/* The listing and lstat must agree on what an entry is. */
static void
check_entry(int side, DIR *dir, const char *path, const struct dirent *entry)
{
    struct stat st;

    if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return; /* a directory that this user may list but not search */
    if (st.st_ino != entry->d_ino || IFTODT(st.st_mode) != entry->d_type)
        differ("%s: side %d lists %s as %llu of type %d, and it is %llu of type %d", path,
               side, entry->d_name, (unsigned long long)entry->d_ino, entry->d_type,
               (unsigned long long)st.st_ino, IFTODT(st.st_mode));
}

/* False: not for this user. */
static bool
list_directory(int side, const char *path, struct names_list *list)
{
    int fd = openat(run.roots[side], path, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    memset(list, 0, sizeof(*list));
    if (dir == NULL && errno == EACCES)
        return false;
    if (dir == NULL)
        differ("%s cannot be listed: %s", path, strerror(errno));
    while ((entry = readdir(dir)) != NULL) {
        /* What lies above the root of the comparison is not compared. */
        if (strcmp(path, ".") != 0 || strcmp(entry->d_name, "..") != 0)
            check_entry(side, dir, path, entry);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            names_add(list, entry->d_name);
    }
    closedir(dir);
    if (list->count > 0)
        qsort(list->items, list->count, sizeof(list->items[0]), compare_texts);
    return true;
}

static void compare_tree(const char *path);

static void
compare_directory(const char *path)
{
    struct names_list lists[SIDES];

    compare_attributes(path);
    BOTH(list_directory(side, path, &lists[side]));
    for (size_t i = 0; i < lists[0].count || i < lists[1].count; i++) {
        const char *here = i < lists[0].count ? lists[0].items[i] : "nothing";
        const char *there = i < lists[1].count ? lists[1].items[i] : "nothing";
        char child[PATH_MAX];

        if (strcmp(here, there) != 0)
            differ("%s: lists %s, there %s", path, here, there);
        snprintf(child, sizeof(child), "%s/%s", path, here);
        compare_tree(child);
    }
    names_free(&lists[0]);
    names_free(&lists[1]);
}

static void
compare_tree(const char *path)
{
    struct stat st[SIDES];
    bool readable = true;

    BOTH(fstatat(run.roots[side], path, &st[side], AT_SYMLINK_NOFOLLOW));
    if (fstatat(run.roots[0], path, &st[0], AT_SYMLINK_NOFOLLOW) != 0)
        return; /* in a directory that this user may list but not search */
    compare_stat(path, st);
    if (S_ISLNK(st[0].st_mode)) {
        compare_target(path);
    } else if (S_ISREG(st[0].st_mode)) {
        readable = compare_contents(path, (uint64_t)st[0].st_size);
        compare_attributes(path);
    } else if (S_ISDIR(st[0].st_mode)) {
        compare_directory(path);
    }
    if (!S_ISDIR(st[0].st_mode) && st[0].st_nlink > 1)
        compare_links(path, st);
    if (readable && !S_ISDIR(st[0].st_mode))
        compare_set_times(path, st);
}

void
compare_trees(void)
{
    call_is("the trees");
    maps_settle(0);
    linked.count = 0;
    compare_tree(".");
}
