/*
 * vfs_alter.c - changes that come by key, through the control socket: what the kernel
 * knew of the path has to be forgotten.
 *
 * L1  The kernel is told to forget a name only if no node stands behind it, or another
 *     than it believes.  Forgetting the name of a directory that is there would detach
 *     what is mounted below it, and getcwd() of whoever is in it would fail.
 * L2  A file with several names is told of by its number: the kernel may know it by
 *     another than the one that was given.
 * L3  With the writeback cache the kernel goes by the size that it knows, whatever it is told.  So a
 *     file that changed loses its names and gets another node, which the kernel looks up anew; who has
 *     it open gets ESTALE, and what is still to be written through that goes nowhere.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/deferred.h"
#include "vfs/inode.h"
#include "vfs/notify.h"
#include "vfs/op.h"
#include "vfs/vfs.h"

static const struct lsmkv_slice itself;

/* L3. */
static void
lose(struct op *op, struct node *node)
{
    struct vfs *vfs = op->vfs;
    char name[KEY_NAME_MAX + 1];
    struct link *lost = NULL;
    struct node *parent;

    if (!vfs->writeback || node->directory || node->unlinked)
        return;
    remains_set(vfs, node, NULL);
    node->unlinked = true;
    node_lose(vfs->nodes, node, ATTR_INO_SNAPSHOT | node->generation, &lost);
    while (nodes_next_lost(&lost, &parent, name)) {
        notices_add(vfs->notices, parent, lsmkv_str(name));
        node_unref(vfs->nodes, parent, 1);
    }
}

/* Does `child` stand at `name` of `parent`, whose key that makes `key`? */
static bool
stands(struct op *op, const struct node *parent, struct lsmkv_slice name,
       struct lsmkv_slice key, const struct node *child)
{
    struct inode inode;
    int result = inode_at(op, parent, name, key, INODE_ATTRIBUTES, &inode);
    bool same = result == 0 && inode.attr.ino == child->ino &&
                S_ISDIR(inode.attr.mode) == child->directory;

    inode_fini(&inode);
    return same;
}

/* Tells of one step of the path, and returns the node there with a reference, or NULL
 * (L1). */
static struct node *
tell_step(struct op *op, struct node *parent, struct lsmkv_slice name,
          struct lsmkv_slice key)
{
    struct vfs *vfs = op->vfs;
    struct node *child = nodes_find(vfs->nodes, parent, name);

    if (!child || !stands(op, parent, name, key, child))
        notices_add(vfs->notices, parent, name);
    if (child) {
        notices_add(vfs->notices, child, itself);
        lose(op, child);
    }
    return child;
}

/* Tells of every node on the way, and of the first name on it that has none. */
static void
tell_path(struct op *op, struct lsmkv_slice key)
{
    struct vfs *vfs = op->vfs;
    struct node *node = vfs->root, *child;
    const char *begin = key.data, *at = begin, *end = begin + key.size;

    node_ref(vfs->nodes, node);
    notices_add(vfs->notices, node, itself);
    while (at < end && node && node->realm == REALM_TREE) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *behind = slash ? slash : end;
        struct lsmkv_slice name = {at, (size_t)(behind - at)};

        if (!key_is_name(name))
            break;
        child = tell_step(op, node, name, lsmkv_bytes(begin, (size_t)(behind - begin)));
        node_unref(vfs->nodes, node, 1);
        node = child;
        at = slash ? slash + 1 : end;
    }
    if (node)
        node_unref(vfs->nodes, node, 1);
}

/* Tells of the file whose number the record at `key` has (L2); is it `changed`? */
static void
tell_number(struct op *op, struct lsmkv_slice key, bool changed)
{
    struct vfs *vfs = op->vfs;
    struct inode inode;
    struct node *node = NULL;

    inode_init(&inode, op, NULL, &vfs->live, key);
    if (inode_read(op, &inode, INODE_ATTRIBUTES) == LSMKV_EXACT &&
        inode_decode(op, &inode) == 0)
        node = nodes_find_ino(vfs->nodes, &vfs->live, inode.attr.ino);
    inode_fini(&inode);
    if (!node)
        return;
    notices_add(vfs->notices, node, itself);
    if (changed)
        lose(op, node);
    node_unref(vfs->nodes, node, 1);
}

int
vfs_alter(struct vfs *vfs, struct lsmkv_slice key,
          int (*alter)(void *context, struct store *store), void *context)
{
    struct op *op;
    int result;

    if (vfs->read_only)
        return -EROFS;
    op = op_begin_exclusive(vfs);
    if (!op)
        return -ENOMEM;
    /* The times that the records have, so that older ones do not follow.  A full store
     * may not take them all, and still lets files be removed. */
    result = deferred_put_all_in(op);
    if (result == 0 || result == -ENOSPC) {
        tell_number(op, key, false);
        result = alter(context, vfs->store);
        tell_number(op, key, result == 0);
        tell_path(op, key);
    }
    op_end(op);
    notices_wait(vfs->notices);
    return result;
}

/* ---- removing ---- */

/* Takes the first component off `*path`, copied with a NUL; -ENAMETOOLONG. */
static int
take_component(struct lsmkv_slice *path, char name[KEY_NAME_MAX + 1])
{
    const char *bytes = path->data, *slash = memchr(bytes, '/', path->size);
    size_t size = slash ? (size_t)(slash - bytes) : path->size;

    if (size > KEY_NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, bytes, size);
    name[size] = '\0';
    *path =
        lsmkv_bytes(bytes + size + (slash ? 1 : 0), path->size - size - (slash ? 1 : 0));
    return 0;
}

/* The directory that the path's last component, copied to `name`, is in, with a
 * reference. */
static int
walk(struct vfs *vfs, struct lsmkv_slice path, struct node **parent, char *name)
{
    struct node *node = vfs->root;
    int result = take_component(&path, name);

    while (result == 0 && path.size > 0) {
        struct vfs_entry entry;

        result = vfs_lookup(vfs, node, name, &entry, NULL);
        vfs_forget(vfs, node, 1);
        if (result < 0)
            return result;
        node = entry.node;
        result = take_component(&path, name);
    }
    if (result < 0)
        vfs_forget(vfs, node, 1);
    else
        *parent = node;
    return result;
}

static int
remove_path(struct vfs *vfs, struct lsmkv_slice path)
{
    struct node *parent;
    struct vfs_entry entry;
    char name[KEY_NAME_MAX + 1];
    int result = walk(vfs, path, &parent, name);

    if (result < 0)
        return result;
    /* Looked up, for its node may be known by another name only (L2). */
    result = vfs_lookup(vfs, parent, name, &entry, NULL);
    if (result == 0) {
        result = vfs_unlink(vfs, parent, name);
        if (result == 0) {
            notices_add(vfs->notices, parent, lsmkv_str(name));
            notices_add(vfs->notices, parent, itself);
            notices_add(vfs->notices, entry.node, itself);
            notices_wait(vfs->notices);
        }
        vfs_forget(vfs, entry.node, 1);
    }
    vfs_forget(vfs, parent, 1);
    return result;
}

/* What has no path, or not at its path, has one below .lsmfs/keys. */
static int
remove_coded(struct vfs *vfs, struct lsmkv_slice key)
{
    static const char above[] = KEY_PRIVATE "/keys/";
    size_t size = sizeof(above) - 1 + key_encoded_size(key);
    char *path = malloc(size);
    int result;

    if (!path)
        return -ENOMEM;
    memcpy(path, above, sizeof(above) - 1);
    key_encode(key, path + sizeof(above) - 1);
    result = remove_path(vfs, lsmkv_bytes(path, size));
    free(path);
    return result;
}

int
vfs_remove_key(struct vfs *vfs, struct lsmkv_slice key)
{
    int result = -ENOENT;

    if (vfs->read_only)
        return -EROFS;
    if (key.size > 0 && key_is_plain(key))
        result = remove_path(vfs, key);
    if (result == -ENOENT || result == -ENOTDIR || result == -EISDIR)
        result = remove_coded(vfs, key);
    return result < 0 ? result : store_sync(vfs->store);
}
