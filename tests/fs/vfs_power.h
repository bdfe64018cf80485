/*
 * vfs_power.h - what test_vfs_power.c makes of a tree and does to it: a hash of all that a
 * program can see, and operations drawn from a seed, each of them one batch.
 */
#ifndef TESTS_VFS_POWER_H
#define TESTS_VFS_POWER_H

#include <sys/xattr.h>
#include <time.h>

#include "support/mem_pages.h"
#include "vfs_fixture.h"

#define TREE_HELD 3  /* files kept open without a name */
#define TREE_MANY 40 /* entries of the directory that is moved as a whole */
#define LARGE     160000

struct tree {
    struct vfs_fixture *fs;
    struct random dice;
    struct node *held[TREE_HELD];
    bool many_moved; /* it is d1/many, not many */
};

/* ---- a hash of a tree ---- */

static inline uint64_t
tree_mix(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static inline uint64_t
tree_hash_xattrs(struct vfs_fixture *of, struct node *node, uint64_t hash)
{
    static char names[4096], value[8192];
    size_t length;

    ck_assert_int_eq(
        vfs_listxattr(of->vfs, &of->caller, node, names, sizeof(names), &length), 0);
    hash = tree_mix(hash, names, length);
    for (char *name = names; name < names + length; name += strlen(name) + 1) {
        size_t size;

        ck_assert_int_eq(vfs_getxattr(of->vfs, node, name, value, sizeof(value), &size),
                         0);
        hash = tree_mix(hash, value, size);
    }
    return hash;
}

/* Attributes but for times, and contents.  In a snapshot inode numbers are others. */
static inline uint64_t
tree_hash_node(struct vfs_fixture *of, const char *path, bool numbers, uint64_t hash)
{
    static char bytes[LARGE * 2];
    struct stat st;
    struct node *node;
    size_t got = 0;

    ck_assert_int_eq(fs_node(of, path, &node), 0);
    ck_assert_int_eq(vfs_getattr(of->vfs, node, &st, NULL), 0);
    hash = tree_mix(hash, &st.st_mode, sizeof(st.st_mode));
    hash = tree_mix(hash, &st.st_uid, sizeof(st.st_uid));
    hash = tree_mix(hash, &st.st_nlink, sizeof(st.st_nlink));
    if (numbers && *path)
        hash = tree_mix(hash, &st.st_ino, sizeof(st.st_ino));
    if (S_ISREG(st.st_mode)) {
        ck_assert_int_eq(vfs_read(of->vfs, node, 0, bytes, sizeof(bytes), 0, &got), 0);
        ck_assert_msg((off_t)got == st.st_size, "%s: %zu of %lld bytes", path, got,
                      (long long)st.st_size);
    } else if (S_ISLNK(st.st_mode)) {
        ck_assert_int_eq(vfs_readlink(of->vfs, node, bytes, sizeof(bytes)), 0);
        got = strlen(bytes);
    }
    hash = tree_mix(hash, bytes, got);
    hash = tree_hash_xattrs(of, node, hash);
    vfs_forget(of->vfs, node, 1);
    return hash;
}

/* Of what is below `path`, which is `skip` bytes long at the top. */
static inline uint64_t
tree_hash(struct vfs_fixture *of, const char *path, size_t skip, bool numbers,
          uint64_t hash)
{
    struct fs_names *names = mem_need(sizeof(*names));
    char *name, *rest = names->text;

    hash = tree_hash_node(of, path, numbers, hash);
    fs_list_by(of, path, true, 0, names);
    while ((name = strtok_r(rest, " ", &rest))) {
        size_t size = strlen(name);
        char child[256];

        snprintf(child, sizeof(child), "%s%s%s", path, *path ? "/" : "", name);
        hash = tree_mix(hash, child + skip, strlen(child) - skip);
        if (name[size - 1] == '/') {
            child[strlen(child) - 1] = '\0';
            hash = tree_hash(of, child, skip, numbers, hash);
        } else {
            hash = tree_hash_node(of, child, numbers, hash);
        }
    }
    free(names);
    return hash;
}

/* ---- operations ---- */

static inline void
tree_path(struct random *dice, char *path, size_t size)
{
    snprintf(path, size, "d%u/n%u", (unsigned)random_below(dice, 3),
             (unsigned)random_below(dice, 6));
}

/* The node at a path with a reference, if it is a regular file. */
static inline struct node *
tree_file(struct tree *tree, const char *path)
{
    struct node *node;
    struct stat st;

    if (fs_node(tree->fs, path, &node) < 0)
        return NULL;
    ck_assert_int_eq(vfs_getattr(tree->fs->vfs, node, &st, NULL), 0);
    if (S_ISREG(st.st_mode))
        return node;
    vfs_forget(tree->fs->vfs, node, 1);
    return NULL;
}

static inline void
tree_write_node(struct tree *tree, struct node *node, int flags)
{
    static uint8_t bytes[LARGE];
    size_t limit = random_below(&tree->dice, 6) == 0 ? LARGE : 5000;
    size_t offset = random_below(&tree->dice, limit);
    size_t size = random_below(&tree->dice, limit - offset) + 1;

    memset(bytes, (int)random_below(&tree->dice, 256), size);
    ck_assert_int_eq(
        vfs_write(tree->fs->vfs, &tree->fs->caller, node, offset, bytes, size, flags), 0);
}

static inline bool
tree_write(struct tree *tree, const char *path, int flags)
{
    struct node *node = tree_file(tree, path);

    if (node == NULL)
        return false;
    tree_write_node(tree, node, flags);
    vfs_forget(tree->fs->vfs, node, 1);
    return (flags & O_SYNC) != 0;
}

static inline void
tree_truncate(struct tree *tree, const char *path)
{
    struct stat st = {.st_size = (off_t)random_below(&tree->dice, LARGE)};
    struct node *node = tree_file(tree, path);

    if (node == NULL)
        return;
    ck_assert_int_eq(
        vfs_setattr(tree->fs->vfs, &tree->fs->caller, node, &st, VFS_SIZE, &st), 0);
    vfs_forget(tree->fs->vfs, node, 1);
}

static inline void
tree_change_mode(struct tree *tree, const char *path)
{
    struct stat st = {.st_mode = (mode_t)random_below(&tree->dice, 01000),
                      .st_uid = (uid_t)random_below(&tree->dice, 5)};
    struct node *node;

    if (fs_node(tree->fs, path, &node) < 0)
        return;
    ck_assert_int_eq(
        vfs_setattr(tree->fs->vfs, &tree->fs->caller, node, &st, VFS_MODE | VFS_UID, &st),
        0);
    vfs_forget(tree->fs->vfs, node, 1);
}

/* fsync of a file or of a directory: all that was acknowledged until then is durable. */
static inline bool
tree_fsync(struct tree *tree, const char *path)
{
    struct node *node;

    if (fs_node(tree->fs, path, &node) < 0)
        return false;
    ck_assert_int_eq(vfs_fsync(tree->fs->vfs, node), 0);
    vfs_forget(tree->fs->vfs, node, 1);
    return true;
}

/* Short ones stand in the inode, those above 1 KiB in records of their own. */
static inline void
tree_set_xattr(struct tree *tree, const char *path)
{
    static char value[3000];
    size_t size =
        random_below(&tree->dice, random_below(&tree->dice, 3) == 0 ? 3000 : 100);
    char name[32];
    struct node *node;
    int result;

    snprintf(name, sizeof(name), "user.a%u", (unsigned)random_below(&tree->dice, 3));
    memset(value, (int)random_below(&tree->dice, 256), sizeof(value));
    if (fs_node(tree->fs, path, &node) < 0)
        return;
    if (random_below(&tree->dice, 4) == 0)
        result = vfs_removexattr(tree->fs->vfs, node, name);
    else
        result =
            vfs_setxattr(tree->fs->vfs, &tree->fs->caller, node, name, value, size, 0);
    ck_assert(result == 0 || result == -ENODATA);
    vfs_forget(tree->fs->vfs, node, 1);
}

static inline uint8_t *
tree_acl_entry(uint8_t *at, uint8_t tag, uint8_t bits, uint8_t id)
{
    memcpy(at, (uint8_t[8]){tag, 0, bits, 0, id, 0, 0, 0}, 8);
    return at + 8;
}

/* A list for a file sets its mode, one for a directory is inherited by what is made there. */
static inline void
tree_set_acl(struct tree *tree, const char *path, const char *name)
{
    uint8_t list[4 + 8 * 5] = {2}, *at = list + 4;
    struct node *node;
    int result;

    at = tree_acl_entry(at, 0x01, (uint8_t)random_below(&tree->dice, 8), 0);
    at = tree_acl_entry(at, 0x02, 6, (uint8_t)(1 + random_below(&tree->dice, 9)));
    at = tree_acl_entry(at, 0x04, 5, 0);
    at = tree_acl_entry(at, 0x10, 7, 0);
    at = tree_acl_entry(at, 0x20, (uint8_t)random_below(&tree->dice, 8), 0);
    memset(list + 4 + 4, 0xff, 4); /* no id but in the second */
    memset(list + 4 + 20, 0xff, 4);
    memset(list + 4 + 28, 0xff, 4);
    memset(list + 4 + 36, 0xff, 4);
    if (fs_node(tree->fs, path, &node) < 0)
        return;
    result =
        vfs_setxattr(tree->fs->vfs, &tree->fs->caller, node, name, list, sizeof(list), 0);
    ck_assert(result == 0 || result == -EOPNOTSUPP); /* a symbolic link */
    vfs_forget(tree->fs->vfs, node, 1);
}

static inline void
tree_symlink(struct tree *tree, const char *path)
{
    struct vfs_entry entry;
    struct node *parent;
    const char *name;

    ck_assert_int_eq(fs_parent(tree->fs, path, &parent, &name), 0);
    if (vfs_symlink(tree->fs->vfs, &tree->fs->caller, path, parent, name, &entry) == 0)
        vfs_forget(tree->fs->vfs, entry.node, 1);
    vfs_forget(tree->fs->vfs, parent, 1);
}

/* ---- open files without a name ---- */

static inline struct node **
tree_slot(struct tree *tree)
{
    struct node **slot = &tree->held[random_below(&tree->dice, TREE_HELD)];

    if (*slot != NULL)
        vfs_forget(tree->fs->vfs, *slot, 1);
    *slot = NULL;
    return slot;
}

static inline void
tree_unlink_open(struct tree *tree, const char *path)
{
    struct node **slot = tree_slot(tree);

    *slot = tree_file(tree, path);
    if (*slot != NULL)
        ck_assert_int_eq(fs_unlink(tree->fs, path), 0);
}

static inline void
tree_tmpfile(struct tree *tree)
{
    struct node **slot = tree_slot(tree);
    struct vfs_entry entry;

    ck_assert_int_eq(vfs_tmpfile(tree->fs->vfs, &tree->fs->caller,
                                 vfs_root(tree->fs->vfs), 0600, O_RDWR, &entry),
                     0);
    *slot = entry.node;
    tree_write_node(tree, entry.node, 0); /* a batch that changes nothing in the tree */
}

/* Written to, or given a name, if there is one; what was unlinked gets none: ENOENT. */
static inline void
tree_use_held(struct tree *tree, const char *path)
{
    struct node *node = NULL, *parent;
    struct vfs_entry entry;
    const char *name;

    for (unsigned i = 0; i < TREE_HELD && node == NULL; i++)
        node = tree->held[i];
    if (node == NULL)
        return;
    if (random_below(&tree->dice, 3) == 0) {
        tree_write_node(tree, node, 0);
        return;
    }
    ck_assert_int_eq(fs_parent(tree->fs, path, &parent, &name), 0);
    if (vfs_link(tree->fs->vfs, node, parent, name, &entry) == 0)
        vfs_forget(tree->fs->vfs, entry.node, 1);
    vfs_forget(tree->fs->vfs, parent, 1);
}

static inline void
tree_release(struct tree *tree)
{
    for (unsigned i = 0; i < TREE_HELD; i++) {
        if (tree->held[i] != NULL)
            vfs_forget(tree->fs->vfs, tree->held[i], 1);
        tree->held[i] = NULL;
    }
}

/* ---- all of them ---- */

/* Longer than the commit interval: when it is over all is durable. */
static inline bool
tree_wait(struct tree *tree)
{
    uint64_t wait = UINT64_C(2000000) * tree->fs->options.store.commit_ms;
    struct timespec time = {(time_t)(wait / 1000000000), (long)(wait % 1000000000)};

    nanosleep(&time, NULL);
#if defined(__SANITIZE_THREAD__)
    return false; /* threads run as the machine lets them: the timer's may be late */
#else
    return true;
#endif
}

/* A directory of many entries goes to another place at once. */
static inline void
tree_move_many(struct tree *tree)
{
    if (fs_rename(tree->fs, tree->many_moved ? "d1/many" : "many",
                  tree->many_moved ? "many" : "d1/many", 0) == 0)
        tree->many_moved = !tree->many_moved;
}

/* The first operations: the directories that the others use. */
static inline bool
tree_prepare(struct tree *tree, size_t number)
{
    static const char *const names[] = {"d0", "d1", "d2", "many"};
    char path[64];

    if (number < 4) {
        ck_assert_int_eq(fs_mkdir(tree->fs, names[number]), 0);
        return false;
    }
    snprintf(path, sizeof(path), "many/with a name that is not short %zu", number);
    for (char *at = path; *at; at++)
        *at = *at == ' ' ? '_' : *at;
    ck_assert_int_eq(fs_write(tree->fs, path, "", 0, NULL), 0);
    return false;
}

/* One operation; true: if it returns, all until then is durable. */
static inline bool
tree_operate(struct tree *tree, size_t number)
{
    struct random *dice = &tree->dice;
    struct vfs_fixture *fs = tree->fs;
    char a[32], b[32];

    if (number < 4 + TREE_MANY)
        return tree_prepare(tree, number);
    tree_path(dice, a, sizeof(a));
    tree_path(dice, b, sizeof(b));
    switch (random_below(dice, 25)) {
    case 0:
    case 1:
        (void)fs_write(fs, a, "", 0, NULL);
        return false;
    case 2:
        (void)fs_mkdir(fs, a);
        return false;
    case 3:
    case 4:
        (void)fs_link(fs, a, b);
        return false;
    case 5:
        (void)fs_unlink(fs, a);
        return false;
    case 6:
        (void)fs_rmdir(fs, a);
        return false;
    case 7:
    case 8:
        (void)fs_rename(fs, a, b, random_below(dice, 3) == 0 ? RENAME_EXCHANGE : 0);
        return false;
    case 9:
        a[2] = b[2] = '\0'; /* whole directories */
        if (!tree->many_moved)
            (void)fs_rename(fs, a, b, RENAME_EXCHANGE);
        return false;
    case 10:
        tree_move_many(tree);
        return false;
    case 11:
        tree_truncate(tree, a);
        return false;
    case 12:
        return tree_fsync(tree, a);
    case 13:
        a[2] = '\0';
        return tree_fsync(tree, random_coin(dice) ? a : "");
    case 14:
        return tree_write(tree, a, O_WRONLY | O_SYNC);
    case 15:
        return random_below(dice, 3) == 0 && tree_wait(tree);
    case 16:
    case 17:
        tree_set_xattr(tree, a);
        return false;
    case 18:
        tree_set_acl(tree, a, "system.posix_acl_access");
        return false;
    case 19:
        a[2] = '\0';
        tree_set_acl(tree, a, "system.posix_acl_default");
        return false;
    case 20:
        if (random_below(dice, 4) == 0)
            tree_symlink(tree, a);
        else
            tree_change_mode(tree, a);
        return false;
    case 21:
        tree_unlink_open(tree, a);
        return false;
    case 22:
        tree_tmpfile(tree);
        return false;
    case 23:
        tree_use_held(tree, a);
        return false;
    default:
        return tree_write(tree, a, O_WRONLY);
    }
}

#endif
