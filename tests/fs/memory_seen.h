/*
 * memory_seen.h - for test_vfs_memory.c: what can be seen of a filesystem, as text, and when its
 * memory fails.
 */
#ifndef TESTS_MEMORY_SEEN_H
#define TESTS_MEMORY_SEEN_H

#include "support/failing_alloc.h"
#include "vfs_fixture.h"

static struct vfs_fixture fs;
static char large[300000];

#define ODD ".lsmfs/keys/odd%2F%2Fkey" /* the key odd//key */

/* ---- what can be seen of a tree ---- */

static char seen[1 << 17], before[1 << 17], after[1 << 17];
static size_t seen_size;

__attribute__((format(printf, 1, 2))) static void
see(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    seen_size +=
        (size_t)vsnprintf(seen + seen_size, sizeof(seen) - seen_size, format, arguments);
    va_end(arguments);
    ck_assert_uint_lt(seen_size, sizeof(seen));
}

static unsigned
sum(const char *bytes, size_t size)
{
    uint64_t result = size, word;

    for (; size > 0; bytes += 8, size -= size < 8 ? size : 8) {
        word = 0;
        memcpy(&word, bytes, size < 8 ? size : 8);
        result = (result ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    }
    return (unsigned)(result >> 32);
}

static void
see_xattrs(struct node *node)
{
    char names[4096], value[65536];
    size_t size = 0, length;

    ck_assert_int_eq(vfs_listxattr(fs.vfs, &fs.caller, node, names, sizeof(names), &size),
                     0);
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        ck_assert_int_eq(vfs_getxattr(fs.vfs, node, name, value, sizeof(value), &length),
                         0);
        see(" %s=%zu:%x", name, length, sum(value, length));
    }
}

static void
see_contents(struct node *node, const struct stat *st)
{
    static char bytes[1 << 20];
    size_t got = 0;

    if (S_ISREG(st->st_mode)) {
        ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, sizeof(bytes), O_NOATIME, &got),
                         0);
        see(" %zu:%x", got, sum(bytes, got));
    } else if (S_ISLNK(st->st_mode)) {
        ck_assert_int_eq(vfs_readlink(fs.vfs, node, bytes, sizeof(bytes)), 0);
        see(" %s", bytes);
    }
}

static void
see_tree(const char *path)
{
    struct fs_names *names = malloc(sizeof(*names));
    char *name, *rest = names->text;
    struct node *node;
    struct stat st;

    ck_assert_int_eq(fs_node(&fs, path, &node), 0);
    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &st, NULL), 0);
    see("%s %o %u %u %u %lld", path, st.st_mode, st.st_uid, st.st_gid,
        (unsigned)st.st_nlink, (long long)st.st_size);
    if (strcmp(path, ".snapshots") != 0)
        see_xattrs(node);
    see_contents(node, &st);
    vfs_forget(fs.vfs, node, 1);
    see("\n");
    if (S_ISDIR(st.st_mode)) {
        fs_list_by(&fs, path, true, 0, names);
        while ((name = strtok_r(rest, " ", &rest))) {
            char child[256];

            if (name[strlen(name) - 1] == '/')
                name[strlen(name) - 1] = '\0';
            snprintf(child, sizeof(child), "%s%s%s", path, *path ? "/" : "", name);
            see_tree(child);
        }
    }
    free(names);
}

/* It is in no listing. */
static void
see_odd_key(void)
{
    struct node *node;
    struct stat st;

    if (fs_node(&fs, ODD, &node) != 0)
        return;
    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &st, NULL), 0);
    see("%s %o", ODD, st.st_mode);
    see_contents(node, &st);
    vfs_forget(fs.vfs, node, 1);
}

static const char *
see_all(void)
{
    failing_alloc_pause(true);
    seen_size = 0;
    see_tree("");
    see_tree(".snapshots");
    see_odd_key();
    failing_alloc_pause(false);
    return seen;
}

/* ---- failing ---- */

/* The attempt being made: begun before the call that is looked at, ended behind it. */
static struct {
    uint64_t nth;
    bool onwards;
    uint64_t calls, failures;
} attempt;

static void
arm(void)
{
    failing_alloc_set(attempt.nth, attempt.onwards);
}

static int
disarm(int result)
{
    failing_alloc_heal();
    attempt.calls = failing_alloc_calls();
    attempt.failures = failing_alloc_failures();
    return result;
}

#endif
