/*
 * vfs_link.c - hard links and the targets of symbolic ones.
 *
 * The first link(2) of a file moves its record, attributes and contents, to `inodes` in
 * one batch and leaves references at both paths: from then on its names are equal, and
 * stay so when only one is left.  A file made without a name (O_TMPFILE) is in its node's
 * memory, and its first link is what puts it into the store.
 */
#include <errno.h>
#include <string.h>

#include "store/sweep.h"
#include "vfs/deferred.h"
#include "vfs/dir.h"
#include "vfs/inode.h"
#include "vfs/left_xattr.h"
#include "vfs/op.h"
#include "vfs/vfs.h"

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
    struct node_room room = {NULL, NULL, NULL};
    struct inode inode;
    int result = dir_must_be_absent(op, dir);

    inode.held = NULL;
    if (result == 0)
        result = inode_of(op, 1, node, INODE_VALUE, &inode);
    if (result == 0)
        result = node_room_for_entry(&room, dir->name);
    if (result == 0)
        result = add_name(op, dir, &inode);
    if (result == 0) {
        node->shared = true;
        dir_changed(op, dir);
        entry->node = inode_enter(op, dir->node, dir->name, &inode, &room);
        entry->lasting = true;
        inode_stat(&inode, &entry->stat);
    }
    node_room_free(&room);
    inode_fini(&inode);
    return result;
}

/* ---- the first name of a file that was made without ---- */

/* All of the file into the batch: as a file has it that was made with this name. */
static int
put_nameless(struct op *op, struct dir *dir, struct inode *inode)
{
    const struct attr_data *data = &inode->attr.data;
    struct left_xattr *xattrs = inode->node->remains->xattrs;
    int result = left_xattr_put(op, inode->attr.ino, xattrs);

    inode->attr.nlink = 1;
    inode->attr.ctime = dir->now;
    inode->attr.xattr_records = xattrs != NULL;
    if (result == 0 && data->kind == ATTR_CHUNKS)
        result = sweep_adopt_in(op->vfs->store, op->batch, data->id);
    if (result == 0)
        result = inode_put_at(op, inode, op->vfs->store->files, dir->key);
    if (result == 0)
        result = dir_change(op, dir, 0);
    if (result == 0)
        op_note_put(op, inode->node);
    return result == 0 ? op_publish(op, false) : result;
}

static bool
is_linkable(const struct node *node)
{
    return node->remains && node->remains->linkable;
}

static int
name_in(struct op *op, struct dir *dir, struct node *node, struct vfs_entry *entry)
{
    struct vfs *vfs = op->vfs;
    struct inode inode;
    int result = dir_must_be_absent(op, dir);

    inode.held = NULL;
    if (result == 0)
        result = inode_of(op, 1, node, INODE_VALUE, &inode);
    if (result == 0)
        result = node_name(vfs->nodes, node, dir->node, dir->name);
    if (result < 0)
        return result;
    result = put_nameless(op, dir, &inode);
    if (result < 0) {
        node_unlink(vfs->nodes, dir->node, dir->name);
        return result;
    }
    if (inode.attr.data.kind == ATTR_CHUNKS)
        sweep_adopt(vfs->store, inode.attr.data.id);
    node->unlinked = false;
    inode_stat(&inode, &entry->stat);
    remains_set(vfs, node, NULL);
    dir_changed(op, dir);
    node_ref(vfs->nodes, node);
    entry->node = node;
    entry->lasting = true;
    return 0;
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
    result = dir_init_unread(op, 0, parent, name, &dir);
    if (result == 0 && !node->unlinked)
        result = link_in(op, &dir, node, entry);
    else if (result == 0)
        result = is_linkable(node) ? name_in(op, &dir, node, entry) : -ENOENT;
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
