/*
 * vfs_link.c - hard links and the targets of symbolic ones.
 *
 * The first link(2) of a file moves its record, attributes and contents, to `inodes` in one
 * batch and leaves references at both paths: from then on its names are equal, and stay so when
 * only one is left.
 */
#include <errno.h>
#include <string.h>

#include "deferred.h"
#include "dir.h"
#include "inode.h"
#include "op.h"
#include "vfs.h"

#define NLINK_MAX 65000u /* as ext4 */

/* Moves the record at the file's only path. */
static int
convert(struct op *op, struct inode *inode)
{
    struct lsmkv_slice path = inode->key;
    int result;

    inode->inode_key = record_inode(inode->attr.ino);
    result =
        inode_put_at(op, inode, op->vfs->store->inodes, record_slice(&inode->inode_key));
    if (result == 0)
        result = inode_put_reference(op, inode, path);
    inode->keyspace = op->vfs->store->inodes;
    inode->key = record_slice(&inode->inode_key);
    return result;
}

static int
add_name(struct op *op, struct dir *dir, struct inode *inode)
{
    struct store *store = op->vfs->store;
    int result;

    if (inode->attr.nlink >= NLINK_MAX)
        return -EMLINK;
    inode->attr.nlink++;
    inode->attr.ctime = dir->now;
    result = inode->keyspace == store->inodes ? inode_put(op, inode) : convert(op, inode);
    if (result == 0)
        result = inode_put_reference(op, inode, dir->key);
    if (result == 0)
        result = dir_change(op, dir, 0);
    return result == 0 ? op_publish(op, false) : result;
}

static int
link_in(struct op *op, struct dir *dir, struct node *node, struct vfs_entry *entry)
{
    struct inode inode;
    int result = dir_must_be_absent(op, dir);

    inode.held = NULL;
    if (result == 0)
        result = inode_of(op, 1, node, INODE_VALUE, &inode);
    if (result == 0)
        result = add_name(op, dir, &inode);
    if (result == 0) {
        node->shared = true;
        dir_changed(op, dir);
        entry->node = inode_enter(op, dir->node, dir->name, &inode);
        entry->lasting = true;
        inode_stat(&inode, &entry->stat);
        if (!entry->node)
            result = -ENOMEM;
    }
    inode_fini(&inode);
    return result;
}

int
vfs_link(struct vfs *vfs, struct node *node, struct node *parent, const char *text,
         struct vfs_entry *entry)
{
    struct op_lock locks[] = {{parent, true}, {node, true}};
    struct lsmkv_slice name;
    struct op *op;
    struct dir dir;
    int result = op_name(text, &name);

    if (result < 0)
        return result;
    if (node->view != parent->view || node->realm != REALM_TREE ||
        parent->realm != REALM_TREE)
        return -EXDEV;
    if (node->directory)
        return -EPERM;
    op = op_begin(vfs);
    if (!op)
        return -ENOMEM;
    op_lock_nodes(op, locks, 2);
    result = dir_init(op, 0, parent, name, &dir);
    if (result == 0)
        result = node->unlinked ? -ENOENT : link_in(op, &dir, node, entry);
    dir_fini(&dir);
    op_end(op);
    return result;
}

int
vfs_readlink(struct vfs *vfs, struct node *node, char *buffer, size_t size)
{
    struct op *op = op_begin(vfs);
    struct inode inode;
    int result;

    if (!op)
        return -ENOMEM;
    op_lock_node(op, node, false);
    result = inode_of(op, 0, node, INODE_VALUE, &inode);
    if (result == 0 && !S_ISLNK(inode.attr.mode))
        result = -EINVAL;
    if (result == 0 && inode.record.value.size >= size)
        result = -ENAMETOOLONG;
    if (result == 0) {
        memcpy(buffer, inode.record.value.data, inode.record.value.size);
        buffer[inode.record.value.size] = '\0';
        deferred_access(vfs, node, &inode.attr);
    }
    inode_fini(&inode);
    op_end(op);
    return result;
}
