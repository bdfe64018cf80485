/*
 * vfs_remove.c - unlink and rmdir.
 *
 * A file with several names loses one; with the last, the inode goes, but what a node
 * still shows of it (inode.h).
 */
#include <errno.h>

#include "vfs/deferred.h"
#include "vfs/dir.h"
#include "vfs/inode.h"
#include "vfs/keysdir.h"
#include "vfs/op.h"
#include "vfs/remove.h"
#include "vfs/snapdir.h"
#include "vfs/vfs.h"

int
remove_name(struct op *op, struct inode *inode, struct lsmkv_slice key,
            struct timespec now)
{
    struct store *store = op->vfs->store;
    int result;

    if (inode->keyspace != store->inodes)
        return inode_remove(op, inode);
    result = lsmkv_batch_delete(op->batch, store->files, key);
    if (result < 0)
        return result;
    if (inode->attr.nlink <= 1)
        return inode_remove(op, inode);
    inode->attr.nlink--;
    inode->attr.ctime = now;
    return inode_put(op, inode);
}

int
remove_check_empty(struct op *op, const struct inode *inode)
{
    int below = op_has_below(op, inode->view, inode->key);

    if (below < 0)
        return below;
    if (!below && !inode->attr.has_value)
        return 0;
    return -ENOTEMPTY;
}

/* Does a listing of the directory show anything?  Looks at the first few keys only.
 * True, too, if that cannot be told. */
#define EXPLAIN_KEYS 16u

static bool
shows_something(struct op *op, const struct inode *inode)
{
    struct store *store = op->vfs->store;
    struct lsmkv_iter_options options = {.lower = inode->key, .lazy_values = true};
    struct lsmkv_iter *iter;
    unsigned looked = 0;
    bool shown = false;

    if (lsmkv_iter_new(store->db, store->files, &options, &iter) < 0)
        return true;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter) && !shown;
         lsmkv_iter_next(iter)) {
        struct lsmkv_slice key = lsmkv_iter_key(iter);

        if (key_is_below(key, inode->key))
            shown = key_is_plain(key) || ++looked == EXPLAIN_KEYS;
        else if (key.size != inode->key.size)
            break;
    }
    if (lsmkv_iter_status(iter) != 0)
        shown = true;
    lsmkv_iter_free(iter);
    return shown;
}

/* Says in the log what keeps a directory from going if no listing shows it. */
static void
remove_explain(struct op *op, const struct inode *inode)
{
    if (inode->attr.has_value || !shows_something(op, inode))
        vfs_log(
            op->vfs, LSMKV_LOG_WARNING,
            "cannot remove directory '%.*s': keys that are not paths are below it, or its "
            "own key holds a value; see .lsmfs/keys",
            (int)(inode->key.size < 200 ? inode->key.size : 200),
            (const char *)inode->key.data);
}

static int
unlink_in(struct op *op, struct dir *dir, struct node *child)
{
    struct inode inode;
    int result;

    result = inode_at(op, dir->node, dir->name, dir->key, INODE_VALUE, &inode);
    inode.node = child;
    if (result == 0 && S_ISDIR(inode.attr.mode))
        result = -EISDIR;
    if (result == 0) {
        deferred_apply(op->vfs, child, &inode.attr);
        result = dir_change(op, dir, 0);
    }
    if (result == 0)
        result = remove_name(op, &inode, dir->key, dir->now);
    if (result == 0)
        result = op_publish(op, false);
    if (result == 0) {
        node_unlink(op->vfs->nodes, dir->node, dir->name);
        dir_changed(op, dir);
    }
    inode_fini(&inode);
    return result;
}

static int
rmdir_in(struct op *op, struct dir *dir, struct node *child)
{
    struct inode inode;
    int result;

    result = inode_at(op, dir->node, dir->name, dir->key, INODE_ATTRIBUTES, &inode);
    inode.node = child;
    if (result == 0 && !S_ISDIR(inode.attr.mode))
        result = -ENOTDIR;
    if (result == 0)
        result = remove_check_empty(op, &inode);
    if (result == -ENOTEMPTY)
        remove_explain(op, &inode);
    if (result == 0)
        result = dir_change(op, dir, -1);
    if (result == 0)
        result = inode_remove(op, &inode);
    if (result == 0)
        result = op_publish(op, false);
    if (result == 0) {
        deferred_clear(op->vfs, child);
        node_unlink(op->vfs->nodes, dir->node, dir->name);
        dir_changed(op, dir);
    }
    inode_fini(&inode);
    return result;
}

static int
take_away(struct vfs *vfs, struct node *parent, struct lsmkv_slice name,
          int (*take)(struct op *op, struct dir *dir, struct node *child))
{
    struct op *op;
    struct node *child = NULL;
    struct dir dir;
    int result;

    if (!parent->directory)
        return -ENOTDIR;
    op = op_begin(vfs);
    if (!op)
        return -ENOMEM;
    result = dir_lock_child(op, parent, name, &child);
    if (result == 0) {
        result = dir_init_unread(op, 0, parent, name, &dir);
        if (result == 0)
            result = take(op, &dir, child);
        dir_fini(&dir);
    }
    op_end(op);
    if (child)
        node_unref(vfs->nodes, child, 1);
    return result;
}

int
vfs_unlink(struct vfs *vfs, struct node *parent, const char *text)
{
    struct lsmkv_slice name;
    int result = op_name(text, &name);

    if (result < 0)
        return result;
    if (parent->realm == REALM_SNAPSHOTS)
        return -EISDIR;
    if (parent->realm != REALM_TREE)
        return keysdir_unlink(vfs, parent, name);
    if (dir_is_reserved(parent, name))
        return -EISDIR;
    result = op_writable(vfs, parent);
    return result < 0 ? result : take_away(vfs, parent, name, unlink_in);
}

int
vfs_rmdir(struct vfs *vfs, struct node *parent, const char *text)
{
    struct lsmkv_slice name;
    int result = op_name(text, &name);

    if (result < 0)
        return result;
    if (parent->realm == REALM_SNAPSHOTS)
        return snapdir_rmdir(vfs, parent, name);
    if (parent->realm != REALM_TREE || dir_is_reserved(parent, name))
        return -EPERM;
    result = op_writable(vfs, parent);
    return result < 0 ? result : take_away(vfs, parent, name, rmdir_in);
}
