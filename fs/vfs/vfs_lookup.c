/*
 * vfs_lookup.c - names to nodes, nodes to attributes.
 */
#include <errno.h>

#include "vfs/dir.h"
#include "vfs/inode.h"
#include "vfs/keysdir.h"
#include "vfs/op.h"
#include "vfs/snapdir.h"
#include "vfs/vfs.h"

/* An entry that is in no keyspace. */
static int
lookup_reserved(struct vfs *vfs, struct node *parent, struct lsmkv_slice name,
                struct vfs_entry *entry)
{
    bool snapshots = name.size == sizeof(KEY_SNAPSHOTS) - 1;

    if (!snapshots) {
        entry->node = keysdir_enter(vfs, parent);
        if (!entry->node)
            return -ENOMEM;
        keysdir_stat(vfs, entry->node, &entry->stat);
        return 0;
    }
    if (parent != vfs->root || vfs->live.snapshot)
        return -ENOENT;
    entry->node = snapdir_enter(vfs);
    return entry->node ? snapdir_getattr(vfs, &entry->stat) : -ENOMEM;
}

static int
lookup_tree(struct vfs *vfs, struct node *parent, struct lsmkv_slice name,
            struct vfs_entry *entry)
{
    struct op *op = op_begin(vfs);
    struct lsmkv_slice parent_key, key;
    struct inode inode;
    int result;

    if (!op)
        return -ENOMEM;
    inode.held = NULL;
    op_lock_node(op, parent, false);
    result = op_child_key(op, 0, parent, name, &parent_key, &key);
    if (result == 0)
        result = dir_find(op, parent, name, key, INODE_ATTRIBUTES, &inode, &entry->node);
    if (result == 0) {
        node_asked_for(entry->node);
        inode_stat(&inode, &entry->stat);
    }
    inode_fini(&inode);
    op_end(op);
    return result;
}

int
vfs_lookup(struct vfs *vfs, struct node *parent, const char *text,
           struct vfs_entry *entry, bool *lasting)
{
    bool lasts = parent->realm == REALM_TREE;
    struct lsmkv_slice name;
    int result = op_name(text, &name);

    if (lasting)
        *lasting = lasts;
    if (result < 0)
        return result == -EINVAL ? -ENOENT : result;
    if (!parent->directory)
        return -ENOTDIR;
    entry->lasting = lasts;
    if (parent->realm == REALM_SNAPSHOTS)
        return snapdir_lookup(vfs, parent, name, entry);
    if (parent->realm != REALM_TREE)
        return keysdir_lookup(vfs, parent, name, entry);
    if (dir_is_reserved(parent, name))
        return lookup_reserved(vfs, parent, name, entry);
    return lookup_tree(vfs, parent, name, entry);
}

void
vfs_forget(struct vfs *vfs, struct node *node, uint64_t count)
{
    if (node != vfs->root)
        node_unref(vfs->nodes, node, count);
}

int
vfs_getattr(struct vfs *vfs, struct node *node, struct stat *st, struct timespec *birth)
{
    struct inode inode;
    struct op *op;
    int result;

    if (birth)
        *birth = vfs->born;
    if (node->realm == REALM_SNAPSHOTS)
        return snapdir_getattr(vfs, st);
    if (node->realm != REALM_TREE && node->directory) {
        keysdir_stat(vfs, node, st);
        return 0;
    }
    op = op_begin_for(vfs, node);
    if (!op)
        return -ENOMEM;
    op_lock_node(op, node, false);
    result = inode_of(op, 0, node, INODE_ATTRIBUTES, &inode);
    if (result == 0)
        inode_stat(&inode, st);
    if (result == 0 && birth)
        *birth = inode.attr.btime;
    inode_fini(&inode);
    op_end(op);
    return result;
}
