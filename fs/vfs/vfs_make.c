/*
 * vfs_make.c - new names for new inodes: create, mknod, mkdir, symlink.
 *
 * Each is one batch: the new record, and the parent's only if that cannot wait (dir.h).
 * A file without a name (O_TMPFILE) is no record at all: like one that has lost its name,
 * it is in its node's memory (inode.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "store/acl.h"
#include "vfs/dir.h"
#include "vfs/inode.h"
#include "vfs/notify.h"
#include "vfs/op.h"
#include "vfs/snapdir.h"
#include "vfs/vfs.h"
#include "vfs/xattr.h"

/* What is to be made. */
struct making {
    mode_t mode; /* with the type */
    dev_t rdev;
    struct lsmkv_slice contents; /* a link's target */
};

/* Access and default lists of something new: what xattr_change makes of them. */
struct inherited {
    struct xattr_list access, inherit;
};

/* A copy of the parent's default list, if it has one. */
static int
default_acl(struct op *op, const struct inode *parent, void *bytes, size_t space,
            size_t *size)
{
    struct xattr found;
    int result = xattr_find(op, parent, lsmkv_str(ACL_DEFAULT), &found);

    if (result < 0)
        return result;
    if (found.value.size > space)
        result = -ENOSPC;
    else if (!acl_is_valid(found.value))
        result = -ENODATA;
    if (result == 0) {
        *size = found.value.size;
        memcpy(bytes, found.value.data, *size);
    }
    xattr_fini(&found);
    return result;
}

/* Gives `inode` the lists that the parent's default one says, and the mode that follows;
 * or takes the umask from the mode. */
static int
inherit_acl(struct op *op, const struct dir *dir, const struct vfs_caller *caller,
            struct inode *inode, struct inherited *lists)
{
    struct op_key *scratch = &op->keys[1]; /* of the two only the first is in use */
    struct lsmkv_slice acl = {scratch->bytes, 0};
    int result = -ENODATA;

    if (op->vfs->acl && !S_ISLNK(inode->attr.mode))
        result = default_acl(op, &dir->inode, scratch->bytes, sizeof(scratch->bytes),
                             &acl.size);
    if (result == -ENODATA) {
        inode->attr.mode &= ~(caller->umask & 0777u);
        return 0;
    }
    if (result == 0 && S_ISDIR(inode->attr.mode))
        result = xattr_change(op, inode, &lists->inherit, lsmkv_str(ACL_DEFAULT), &acl);
    if (result < 0)
        return result;
    if (!acl_inherit(scratch->bytes, acl.size, &inode->attr.mode))
        return 0;
    return xattr_change(op, inode, &lists->access, lsmkv_str(ACL_ACCESS), &acl);
}

/* Fills in the new inode, but for the umask and what is inherited. */
static int
describe(struct op *op, const struct dir *dir, const struct vfs_caller *caller,
         const struct making *making, struct inode *inode)
{
    const struct attr *parent = &dir->inode.attr;
    uint32_t gid = caller->gid;
    mode_t mode = making->mode;
    uint64_t ino;
    int result = store_new_ino(op->vfs->store, &ino);

    if (result < 0)
        return result;
    if (parent->mode & S_ISGID) {
        gid = parent->gid;
        if (S_ISDIR(mode))
            mode |= S_ISGID;
    }
    inode_init(inode, op, NULL, dir->node->view, dir->key);
    attr_init(&inode->attr, mode, caller->uid, gid, ino, dir->now);
    inode->attr.rdev = making->rdev;
    inode->attr.data.size = making->contents.size;
    inode->record = (struct lsmkv_record){.value = making->contents};
    return 0;
}

static void
enter(struct op *op, struct dir *dir, struct inode *inode, struct node_room *room,
      struct vfs_entry *entry)
{
    entry->node = inode_enter(op, dir->node, dir->name, inode, room);
    entry->lasting = true;
    inode_stat(inode, &entry->stat);
    notices_count(op->vfs->notices);
}

static int
make_in(struct op *op, struct dir *dir, const struct vfs_caller *caller,
        const struct making *making, struct vfs_entry *entry)
{
    struct node_room room = {NULL, NULL, NULL};
    struct inherited lists;
    struct inode inode;
    int result = dir_must_be_absent(op, dir);

    if (result == 0)
        result = describe(op, dir, caller, making, &inode);
    if (result == 0 && !S_ISLNK(making->mode))
        result = inherit_acl(op, dir, caller, &inode, &lists);
    if (result == 0)
        result = dir_change(op, dir, S_ISDIR(making->mode) ? 1 : 0);
    if (S_ISDIR(making->mode) && result == 0)
        inode.attr.subdirs = 0;
    if (result == 0)
        result = inode_put(op, &inode);
    if (result == 0)
        result = node_room_for_entry(&room, dir->name);
    if (result == 0)
        result = op_publish(op, false);
    if (result == 0) {
        dir_changed(op, dir);
        enter(op, dir, &inode, &room, entry);
    }
    node_room_free(&room);
    return result;
}

static int
make(struct vfs *vfs, const struct vfs_caller *caller, struct node *parent,
     const char *text, const struct making *making, struct vfs_entry *entry)
{
    struct lsmkv_slice name;
    struct op *op;
    struct dir dir;
    int result = op_name(text, &name);

    if (result < 0)
        return result;
    op = op_begin(vfs);
    if (!op)
        return -ENOMEM;
    op_lock_node(op, parent, true);
    result = dir_init(op, 0, parent, name, &dir);
    if (result == 0)
        result = make_in(op, &dir, caller, making, entry);
    dir_fini(&dir);
    op_end(op);
    return result;
}

/* ---- without a name ---- */

static struct node *
add_nameless(struct op *op, const struct inode *inode)
{
    struct node_seed seed = {
        .ino = inode->attr.ino, .view = inode->view, .realm = REALM_TREE};
    struct node *node = nodes_add(op->vfs->nodes, &seed);

    if (node)
        node->unlinked = true;
    return node;
}

/* Puts the inode into the node; nobody else knows it yet. */
static int
fill_nameless(struct op *op, struct inode *inode, bool linkable)
{
    int result = inode_put(op, inode);

    if (result == 0)
        result = op_publish(op, false);
    if (result == 0)
        inode->node->remains->linkable = linkable;
    return result;
}

static int
make_nameless(struct op *op, struct dir *dir, const struct vfs_caller *caller,
              mode_t mode, int flags, struct vfs_entry *entry)
{
    struct making making = {.mode = (mode & ~(mode_t)S_IFMT) | S_IFREG};
    bool linkable = (flags & O_EXCL) == 0;
    struct inherited lists;
    struct inode inode;
    int result = describe(op, dir, caller, &making, &inode);

    if (result < 0)
        return result;
    inode.node = add_nameless(op, &inode);
    if (!inode.node)
        return -ENOMEM;
    /* First without lists: a long one has its place in the remains. */
    result = fill_nameless(op, &inode, linkable);
    if (result == 0)
        result = inherit_acl(op, dir, caller, &inode, &lists);
    if (result == 0)
        result = fill_nameless(op, &inode, linkable);
    if (result < 0) {
        node_unref(op->vfs->nodes, inode.node, 1);
        return result;
    }
    entry->node = inode.node;
    entry->lasting = true;
    inode_stat(&inode, &entry->stat);
    notices_count(op->vfs->notices);
    return 0;
}

int
vfs_tmpfile(struct vfs *vfs, const struct vfs_caller *caller, struct node *parent,
            mode_t mode, int flags, struct vfs_entry *entry)
{
    struct op *op = op_begin(vfs);
    struct dir dir;
    int result;

    if (!op)
        return -ENOMEM;
    op_lock_node(op, parent, false);
    result = dir_init(op, 0, parent, lsmkv_bytes("", 0), &dir);
    if (result == 0)
        result = make_nameless(op, &dir, caller, mode, flags, entry);
    dir_fini(&dir);
    op_end(op);
    return result;
}

/* ---- with one ---- */

int
vfs_mknod(struct vfs *vfs, const struct vfs_caller *caller, struct node *parent,
          const char *name, mode_t mode, dev_t rdev, struct vfs_entry *entry)
{
    struct making making = {.mode = mode};

    if ((mode & S_IFMT) == 0)
        making.mode |= S_IFREG;
    if (S_ISCHR(mode) || S_ISBLK(mode))
        making.rdev = rdev;
    else if (!S_ISREG(making.mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
        return -EINVAL;
    return make(vfs, caller, parent, name, &making, entry);
}

int
vfs_create(struct vfs *vfs, const struct vfs_caller *caller, struct node *parent,
           const char *name, mode_t mode, int flags, struct vfs_entry *entry)
{
    struct making making = {.mode = (mode & ~(mode_t)S_IFMT) | S_IFREG};
    struct stat emptied = {.st_size = 0};
    int refusal, result = make(vfs, caller, parent, name, &making, entry);

    if ((result != -EEXIST && result != -EPERM) || flags & O_EXCL)
        return result;
    /* Where nothing can be made there may still be something to open. */
    refusal = result;
    result = vfs_lookup(vfs, parent, name, entry, NULL);
    if (result < 0)
        return result == -ENOENT ? refusal : result;
    /* Behind a truncation nothing may fail: it gives the new state itself. */
    result = vfs_file_open(vfs, caller, entry->node, flags & ~O_TRUNC);
    if (result == 0 && flags & O_TRUNC)
        result = vfs_setattr(vfs, caller, entry->node, &emptied, VFS_SIZE, &entry->stat);
    if (result < 0)
        vfs_forget(vfs, entry->node, 1);
    return result;
}

int
vfs_mkdir(struct vfs *vfs, const struct vfs_caller *caller, struct node *parent,
          const char *name, mode_t mode, struct vfs_entry *entry)
{
    struct making making = {.mode = (mode & ~(mode_t)S_IFMT) | S_IFDIR};
    struct lsmkv_slice snapshot;
    int result;

    if (parent->realm != REALM_SNAPSHOTS)
        return make(vfs, caller, parent, name, &making, entry);
    result = op_name(name, &snapshot);
    return result < 0 ? result : snapdir_mkdir(vfs, parent, snapshot, entry);
}

int
vfs_symlink(struct vfs *vfs, const struct vfs_caller *caller, const char *target,
            struct node *parent, const char *name, struct vfs_entry *entry)
{
    struct making making = {.mode = S_IFLNK | 0777, .contents = lsmkv_str(target)};

    if (making.contents.size == 0)
        return -ENOENT;
    if (making.contents.size >= 4096)
        return -ENAMETOOLONG;
    return make(vfs, caller, parent, name, &making, entry);
}
