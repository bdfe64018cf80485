/*
 * vfs_fixture.h - a filesystem in a mem_env, driven by paths without a kernel.
 *
 * Every helper walks from the root and gives back all references but those it says, so that a
 * test which forgets none leaves none.
 */
#ifndef TESTS_VFS_FIXTURE_H
#define TESTS_VFS_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/mem_env.h"
#include "support/random.h"
#include "support/suite.h"
#include "vfs/vfs.h"

struct vfs_fixture {
    struct mem_env *env;
    struct lsmkv_options engine;
    struct vfs_options options;
    struct vfs *vfs;
    struct vfs_caller caller;
};

static inline void
fs_open(struct vfs_fixture *fs)
{
    char why[512] = "";
    int result;

    fs->engine.env = mem_env_base(fs->env);
    result = vfs_open(&fs->options, &fs->vfs, why, sizeof(why));
    ck_assert_msg(result == 0, "vfs_open: %d %s", result, why);
}

static inline void
fs_close(struct vfs_fixture *fs)
{
    ck_assert_int_eq(vfs_close(fs->vfs), 0);
    fs->vfs = NULL;
}

static inline void
fs_init(struct vfs_fixture *fs)
{
    memset(fs, 0, sizeof(*fs));
    fs->env = mem_env_new();
    lsmkv_options_init(&fs->engine);
    fs->engine.write_buffer_size = 1 << 20;
    fs->engine.table_size = 256 << 10;
    fs->engine.space_reserve = 1 << 20;
    vfs_options_init(&fs->options);
    fs->options.store.path = "lsmfs-test-store";
    fs->options.store.engine = &fs->engine;
    fs->options.store.create = true;
    fs_open(fs);
}

static inline void
fs_fini(struct vfs_fixture *fs)
{
    if (fs->vfs)
        fs_close(fs);
    mem_env_free(fs->env);
}

static inline void
fs_reopen(struct vfs_fixture *fs)
{
    fs_close(fs);
    fs_open(fs);
}

static inline void
fs_go_on_in(struct vfs_fixture *fs, struct mem_env *image)
{
    fs_close(fs);
    mem_env_free(fs->env);
    fs->env = image;
    fs_open(fs);
}

/* The process dies: what was written is there, what was in its memory is not. */
static inline void
fs_kill(struct vfs_fixture *fs)
{
    fs_go_on_in(fs, mem_env_kill(fs->env));
}

/* The power goes: what was not synced is lost. */
static inline void
fs_cut_power(struct vfs_fixture *fs)
{
    struct mem_crash policy = {MEM_DATA_NONE, MEM_NAMES_DROPPED};

    fs_go_on_in(fs, mem_env_crash(fs->env, policy, 0));
}

/* ---- by path ---- */

/* The node at a path, with a reference (the root's is free). */
static inline int
fs_walk(struct vfs_fixture *fs, const char *path, size_t size, struct vfs_entry *entry)
{
    entry->node = vfs_root(fs->vfs);
    while (size > 0) {
        const char *slash = memchr(path, '/', size);
        size_t length = slash ? (size_t)(slash - path) : size;
        struct vfs_entry next;
        char name[300];
        int result;

        ck_assert_uint_lt(length, sizeof(name));
        memcpy(name, path, length);
        name[length] = '\0';
        result = vfs_lookup(fs->vfs, entry->node, name, &next, NULL);
        vfs_forget(fs->vfs, entry->node, 1);
        if (result < 0)
            return result;
        *entry = next;
        path += length + (slash ? 1 : 0);
        size -= length + (slash ? 1 : 0);
    }
    return 0;
}

static inline int
fs_node(struct vfs_fixture *fs, const char *path, struct node **node)
{
    struct vfs_entry entry;
    int result = fs_walk(fs, path, strlen(path), &entry);

    if (result == 0)
        *node = entry.node;
    return result;
}

/* The parent's node, and the last name. */
static inline int
fs_parent(struct vfs_fixture *fs, const char *path, struct node **parent,
          const char **name)
{
    const char *slash = strrchr(path, '/');
    struct vfs_entry entry;
    int result = fs_walk(fs, path, slash ? (size_t)(slash - path) : 0, &entry);

    if (result < 0)
        return result;
    *parent = entry.node;
    *name = slash ? slash + 1 : path;
    return 0;
}

static inline int
fs_stat(struct vfs_fixture *fs, const char *path, struct stat *st)
{
    struct node *node;
    int result = fs_node(fs, path, &node);

    if (result < 0)
        return result;
    result = vfs_getattr(fs->vfs, node, st, NULL);
    vfs_forget(fs->vfs, node, 1);
    return result;
}

static inline uint64_t
fs_ino(struct vfs_fixture *fs, const char *path)
{
    struct stat st;

    ck_assert_int_eq(fs_stat(fs, path, &st), 0);
    return st.st_ino;
}

static inline unsigned
fs_nlink(struct vfs_fixture *fs, const char *path)
{
    struct stat st;

    ck_assert_int_eq(fs_stat(fs, path, &st), 0);
    return (unsigned)st.st_nlink;
}

static inline int
fs_mkdir(struct vfs_fixture *fs, const char *path)
{
    struct vfs_entry entry;
    struct node *parent;
    const char *name;
    int result = fs_parent(fs, path, &parent, &name);

    if (result < 0)
        return result;
    result = vfs_mkdir(fs->vfs, &fs->caller, parent, name, 0755, &entry);
    if (result == 0)
        vfs_forget(fs->vfs, entry.node, 1);
    vfs_forget(fs->vfs, parent, 1);
    return result;
}

/* Creates or truncates, and writes; the node with a reference if `node` is not NULL. */
static inline int
fs_write(struct vfs_fixture *fs, const char *path, const void *bytes, size_t size,
         struct node **node)
{
    struct vfs_entry entry;
    struct node *parent;
    const char *name;
    int result = fs_parent(fs, path, &parent, &name);

    if (result < 0)
        return result;
    result =
        vfs_create(fs->vfs, &fs->caller, parent, name, 0644, O_WRONLY | O_TRUNC, &entry);
    vfs_forget(fs->vfs, parent, 1);
    if (result < 0)
        return result;
    if (size > 0)
        result = vfs_write(fs->vfs, &fs->caller, entry.node, 0, bytes, size, 0);
    if (result == 0 && node)
        *node = entry.node;
    else
        vfs_forget(fs->vfs, entry.node, 1);
    return result;
}

static inline int
fs_put(struct vfs_fixture *fs, const char *path, const char *text)
{
    return fs_write(fs, path, text, strlen(text), NULL);
}

/* All of a file, up to `size` bytes, and a NUL; its length or an error. */
static inline int
fs_read(struct vfs_fixture *fs, const char *path, char *bytes, size_t size)
{
    struct node *node;
    size_t got = 0;
    int result = fs_node(fs, path, &node);

    if (result < 0)
        return result;
    result = vfs_read(fs->vfs, node, 0, bytes, size - 1, 0, &got);
    vfs_forget(fs->vfs, node, 1);
    if (result < 0)
        return result;
    bytes[got] = '\0';
    return (int)got;
}

static inline void
fs_expect(struct vfs_fixture *fs, const char *path, const char *text)
{
    char bytes[4096];
    int got = fs_read(fs, path, bytes, sizeof(bytes));

    ck_assert_msg(got >= 0, "%s: %s", path, strerror(-got));
    ck_assert_str_eq(bytes, text);
}

static inline int
fs_remove(struct vfs_fixture *fs, const char *path, bool directory)
{
    struct node *parent;
    const char *name;
    int result = fs_parent(fs, path, &parent, &name);

    if (result < 0)
        return result;
    result =
        directory ? vfs_rmdir(fs->vfs, parent, name) : vfs_unlink(fs->vfs, parent, name);
    vfs_forget(fs->vfs, parent, 1);
    return result;
}

static inline int
fs_unlink(struct vfs_fixture *fs, const char *path)
{
    return fs_remove(fs, path, false);
}

static inline int
fs_rmdir(struct vfs_fixture *fs, const char *path)
{
    return fs_remove(fs, path, true);
}

static inline int
fs_rename(struct vfs_fixture *fs, const char *from, const char *to, unsigned flags)
{
    struct node *parent, *new_parent;
    const char *name, *new_name;
    int result = fs_parent(fs, from, &parent, &name);

    if (result < 0)
        return result;
    result = fs_parent(fs, to, &new_parent, &new_name);
    if (result == 0) {
        result = vfs_rename(fs->vfs, parent, name, new_parent, new_name, flags);
        vfs_forget(fs->vfs, new_parent, 1);
    }
    vfs_forget(fs->vfs, parent, 1);
    return result;
}

static inline int
fs_link(struct vfs_fixture *fs, const char *from, const char *to)
{
    struct vfs_entry entry;
    struct node *node, *parent;
    const char *name;
    int result = fs_node(fs, from, &node);

    if (result < 0)
        return result;
    result = fs_parent(fs, to, &parent, &name);
    if (result == 0) {
        result = vfs_link(fs->vfs, node, parent, name, &entry);
        if (result == 0)
            vfs_forget(fs->vfs, entry.node, 1);
        vfs_forget(fs->vfs, parent, 1);
    }
    vfs_forget(fs->vfs, node, 1);
    return result;
}

/* ---- listing ---- */

struct fs_names {
    char text[65536]; /* each name and a blank; a directory's with a '/' */
    size_t used;
    unsigned count, limit; /* entries of one call */
    uint64_t cookie;
    struct vfs *vfs;
};

static inline bool
fs_add_name(void *context, const struct vfs_listed *listed)
{
    struct fs_names *names = context;

    if (names->limit > 0 && names->count == names->limit)
        return false;
    names->count++;
    names->cookie = listed->cookie;
    if (listed->node)
        vfs_forget(names->vfs, listed->node, 1);
    if (strcmp(listed->name, ".") == 0 || strcmp(listed->name, "..") == 0)
        return true;
    names->used +=
        (size_t)snprintf(names->text + names->used, sizeof(names->text) - names->used,
                         "%s%s ", listed->name, S_ISDIR(listed->st.st_mode) ? "/" : "");
    return true;
}

/* The names in a directory, `limit` entries a reply (0: as many as it gives). */
static inline void
fs_list_by(struct vfs_fixture *fs, const char *path, bool plus, unsigned limit,
           struct fs_names *names)
{
    struct node *node;

    memset(names, 0, sizeof(*names));
    names->limit = limit;
    names->vfs = fs->vfs;
    ck_assert_int_eq(fs_node(fs, path, &node), 0);
    do {
        names->count = 0;
        ck_assert_int_eq(
            vfs_readdir(fs->vfs, node, names->cookie, plus, fs_add_name, names), 0);
    } while (names->count > 0);
    vfs_forget(fs->vfs, node, 1);
}

static inline void
fs_expect_names(struct vfs_fixture *fs, const char *path, const char *expected)
{
    static const unsigned limits[] = {0, 1, 3};
    struct fs_names names;

    for (unsigned i = 0; i < 6; i++) {
        fs_list_by(fs, path, i % 2, limits[i / 2], &names);
        ck_assert_str_eq(names.text, expected);
    }
}

/* ---- the store beneath ---- */

static inline void
fs_raw_put(struct vfs_fixture *fs, const char *key, size_t size, const char *value)
{
    ck_assert_int_eq(lsmkv_put(vfs_store(fs->vfs)->db, NULL, lsmkv_bytes(key, size),
                               lsmkv_bytes(NULL, 0), lsmkv_str(value), LSMKV_UNSYNCED),
                     0);
}

#endif
