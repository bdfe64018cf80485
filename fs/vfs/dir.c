/*
 * dir.c - see dir.h.
 */
#include "vfs/dir.h"

#include <errno.h>

#include "common/slice.h"
#include "vfs/deferred.h"
#include "vfs/notify.h"

bool
dir_is_reserved(const struct node *parent, struct lsmkv_slice name)
{
    return parent->top && parent->realm == REALM_TREE &&
           (slice_is(name, KEY_SNAPSHOTS) || slice_is(name, KEY_PRIVATE));
}

static int
read_own(struct op *op, struct dir *dir)
{
    dir->read = true;
    return inode_of_key(op, dir->node, dir->own, INODE_ATTRIBUTES, &dir->inode);
}

int
dir_init(struct op *op, unsigned slot, struct node *node, struct lsmkv_slice name,
         struct dir *dir)
{
    int result = dir_init_unread(op, slot, node, name, dir);

    return result < 0 ? result : read_own(op, dir);
}

int
dir_init_unread(struct op *op, unsigned slot, struct node *node, struct lsmkv_slice name,
                struct dir *dir)
{
    int result;

    dir->node = node;
    dir->name = name;
    dir->read = dir->defers = false;
    dir->inode.held = NULL;
    if (!node->directory)
        return -ENOTDIR;
    if (node->realm != REALM_TREE)
        return -EPERM;
    result = op_writable(op->vfs, node);
    if (result < 0)
        return result;
    if (dir_is_reserved(node, name))
        return -EPERM;
    if (node->unlinked)
        return -ENOENT;
    dir->now = vfs_now(op->vfs);
    return op_child_key(op, slot, node, name, &dir->own, &dir->key);
}

void
dir_fini(struct dir *dir)
{
    inode_fini(&dir->inode);
}

int
dir_must_be_absent(struct op *op, const struct dir *dir)
{
    struct store *store = op->vfs->store;
    int presence =
        lsmkv_lookup(store->db, store->files, NULL, dir->key, false, NULL, 0, NULL);

    if (presence < 0)
        return presence;
    return presence == LSMKV_ABSENT ? 0 : -EEXIST;
}

int
dir_change(struct op *op, struct dir *dir, int subdirs)
{
    bool may_defer = subdirs == 0 && !op->vfs->sync;
    struct attr *attr = &dir->inode.attr;
    int result = 0;

    /* Only one with a record has deferred times. */
    dir->defers = may_defer && dir->node->deferred & DEFERRED_CHANGED;
    if (!dir->defers && !dir->read)
        result = read_own(op, dir);
    if (result == 0 && !dir->defers)
        dir->defers = may_defer && !dir->inode.implied;
    if (result < 0 || dir->defers)
        return result;
    attr->mtime = attr->ctime = dir->now;
    if (attr->subdirs != ATTR_SUBDIRS_UNKNOWN) {
        /* Below zero: others wrote directories that were never counted. */
        if (subdirs < 0 && attr->subdirs < (uint32_t)-subdirs)
            attr->subdirs = ATTR_SUBDIRS_UNKNOWN;
        else
            attr->subdirs += (uint32_t)subdirs;
    }
    return inode_put(op, &dir->inode);
}

void
dir_changed(struct op *op, struct dir *dir)
{
    if (dir->defers)
        deferred_set(op->vfs, dir->node, DEFERRED_CHANGED, dir->now);
}

int
dir_find(struct op *op, struct node *parent, struct lsmkv_slice name,
         struct lsmkv_slice key, enum inode_want want, struct inode *inode,
         struct node **node)
{
    int result = inode_at(op, parent, name, key, want, inode);
    struct node *found;

    if (result < 0)
        return result;
    found = inode_enter(op, parent, name, inode, NULL);
    if (!found)
        return -ENOMEM;
    inode->node = found;
    deferred_apply(op->vfs, found, &inode->attr);
    notices_count(op->vfs->notices);
    *node = found;
    return 0;
}

/* The node at a name, made if there is none yet.  No lock is held, but while the name is
 * read: who removes it would take the record away that a reference was just seen to. */
static int
find_or_enter(struct op *op, struct node *parent, struct lsmkv_slice name,
              struct node **child)
{
    struct lsmkv_slice parent_key, key;
    struct inode inode;
    int result;

    *child = nodes_find(op->vfs->nodes, parent, name);
    if (*child)
        return 0;
    inode.held = NULL;
    op_lock_node(op, parent, false);
    result = op_child_key(op, 0, parent, name, &parent_key, &key);
    if (result == 0)
        result = dir_find(op, parent, name, key, INODE_ATTRIBUTES, &inode, child);
    inode_fini(&inode);
    op_unlock_nodes(op);
    return result;
}

int
dir_lock_child(struct op *op, struct node *parent, struct lsmkv_slice name,
               struct node **child)
{
    struct nodes *nodes = op->vfs->nodes;

    for (;;) {
        struct op_lock locks[] = {{parent, true}, {NULL, true}};
        struct node *found, *now;
        int result = find_or_enter(op, parent, name, &found);

        if (result < 0)
            return result;
        locks[1].node = found;
        op_lock_nodes(op, locks, 2);
        now = nodes_find(nodes, parent, name);
        if (now)
            node_unref(nodes, now, 1);
        if (now == found) {
            *child = found;
            return 0;
        }
        op_unlock_nodes(op);
        node_unref(nodes, found, 1);
    }
}
