/*
 * diff_told.h - what the tests of diff.h share: a filesystem, snapshots, what is told of two.
 */
#ifndef TESTS_DIFF_TOLD_H
#define TESTS_DIFF_TOLD_H

#include "vfs/snapshots.h"
#include "vfs_fixture.h"

#define LINES_MAX 4000u

static struct vfs_fixture fs;

static inline void
setup(void)
{
    fs_init(&fs);
}

static inline void
teardown(void)
{
    fs_fini(&fs);
}

static inline void
snapshot(const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), ".snapshots/%s", name);
    ck_assert_int_eq(fs_mkdir(&fs, path), 0);
}

static inline struct lsmkv *
db(void)
{
    return vfs_store(fs.vfs)->db;
}

static inline void
flush(void)
{
    ck_assert_int_eq(lsmkv_flush(db()), 0);
}

static inline void
merge(void)
{
    struct lsmkv_slice none = {NULL, 0};
    struct store *store = vfs_store(fs.vfs);
    struct lsmkv_keyspace *all[] = {store->files, store->inodes, store->chunks};

    flush();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(lsmkv_compact(db(), all[i], none, none), 0);
}

/* ---- what is told ---- */

/* "M path" and the like, a line each. */
struct lines {
    char *text[LINES_MAX];
    size_t count;
};

static inline void
lines_add(struct lines *lines, const char *kind, const char *path)
{
    ck_assert_uint_lt(lines->count, LINES_MAX);
    ck_assert_int_gt(asprintf(&lines->text[lines->count++], "%s %s", kind, path), 0);
}

static inline void
lines_free(struct lines *lines)
{
    while (lines->count > 0)
        free(lines->text[--lines->count]);
}

static inline int
compare_lines(const void *left, const void *right)
{
    const char *const *a = left, *const *b = right;

    return strcmp(*a, *b);
}

/* `to` "": now. */
static inline void
tell(const char *from, const char *to, struct lines *lines)
{
    char names[128], *text, *end;
    size_t size;
    struct snapshots_output output = {.out = open_memstream(&text, &size)};

    ck_assert_ptr_nonnull(output.out);
    snprintf(names, sizeof(names), "%s/%s", from, to);
    ck_assert_int_eq(snapshots_diff(fs.vfs, lsmkv_str(names), &output), 0);
    ck_assert_int_eq(fclose(output.out), 0);
    for (char *at = text; at < text + size; at = end + 1) {
        char kind[2] = {at[0], '\0'};

        end = memchr(at, '\0', (size_t)(text + size - at));
        ck_assert_ptr_nonnull(end);
        ck_assert_int_ge(end - at, 2);
        lines_add(lines, kind, at + 2);
    }
    free(text);
}

/* In the order in which it comes, which is that of paths. */
static inline void
expect(const char *from, const char *to, const char *wanted)
{
    struct lines lines = {0};
    char text[4096] = "";

    tell(from, to, &lines);
    for (size_t i = 0; i < lines.count; i++) {
        ck_assert_uint_lt(strlen(text) + strlen(lines.text[i]) + 2, sizeof(text));
        strcat(strcat(text, lines.text[i]), ";");
    }
    ck_assert_str_eq(text, wanted);
    lines_free(&lines);
}

#endif
