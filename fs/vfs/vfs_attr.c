/*
 * vfs_attr.c - setattr: mode, owner, size, times.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "store/acl.h"
#include "vfs/deferred.h"
#include "vfs/inode.h"
#include "vfs/op.h"
#include "vfs/vfs.h"
#include "vfs/xattr.h"

/* Lists of extended attributes as successive changes leave them. */
struct lists {
    struct xattr_list privileges, acl;
};

/* The access list, if there is one, follows a new mode. */
static int
chmod_acl(struct op *op, struct inode *inode, struct lists *lists)
{
    struct lsmkv_slice name = lsmkv_str(ACL_ACCESS);
    struct lsmkv_slice changed;
    struct xattr found;
    int result;

    if (inode->attr.xattrs.size == 0 && !inode->attr.xattr_records)
        return 0;
    result = xattr_find(op, inode, name, &found);
    if (result < 0)
        return result == -ENODATA ? 0 : result;
    if (found.value.size <= sizeof(op->attributes)) {
        /* The scratch is free until the record is encoded, and the batch copies. */
        memcpy(op->attributes, found.value.data, found.value.size);
        acl_chmod(op->attributes, found.value.size, inode->attr.mode);
        changed = lsmkv_bytes(op->attributes, found.value.size);
        result = xattr_change(op, inode, &lists->acl, name, &changed);
    }
    xattr_fini(&found);
    return result;
}

static bool
is_owner(const struct vfs_caller *caller, const struct inode *inode)
{
    return caller->uid == inode->attr.uid || caller_capable(caller, CAP_FOWNER);
}

/* chown(-1, -1) takes set-id bits as any chown does, if it is the owner's.  If it is not, and would
 * take some, it should fail; but so comes a stranger's write, too, which takes them, and sets the
 * times, by itself: either way there is nothing to do. */
static bool
is_nothing(const struct vfs_caller *caller, const struct inode *inode, unsigned which)
{
    return (which & ~(unsigned)VFS_CTIME) == VFS_SAME_OWNER &&
           !S_ISDIR(inode->attr.mode) && inode->attr.mode & (S_ISUID | S_ISGID) &&
           !is_owner(caller, inode);
}

static int
change_owner(struct op *op, const struct vfs_caller *caller, struct inode *inode,
             const struct stat *change, unsigned which, struct lists *lists)
{
    gid_t old = inode->attr.gid;

    if (which & VFS_UID)
        inode->attr.uid = change->st_uid;
    if (which & VFS_GID)
        inode->attr.gid = change->st_gid;
    if (!(which & (VFS_UID | VFS_GID)) &&
        !(which & VFS_SAME_OWNER && is_owner(caller, inode)))
        return 0;
    return xattr_strip_by_owner(op, caller, old, inode, &lists->privileges);
}

static int
change_mode(struct op *op, struct inode *inode, const struct stat *change, unsigned which,
            struct lists *lists)
{
    if (!(which & VFS_MODE))
        return 0;
    inode->attr.mode = (inode->attr.mode & S_IFMT) | (change->st_mode & 07777);
    return op->vfs->acl ? chmod_acl(op, inode, lists) : 0;
}

static void
change_times(struct inode *inode, const struct stat *change, unsigned which,
             struct timespec now)
{
    struct attr *attr = &inode->attr;

    if (which & (VFS_ATIME | VFS_ATIME_NOW))
        attr->atime = which & VFS_ATIME_NOW ? now : change->st_atim;
    if (which & (VFS_MTIME | VFS_MTIME_NOW))
        attr->mtime = which & VFS_MTIME_NOW ? now : change->st_mtim;
    attr->ctime = now;
}

static int
put_size(struct op *op, const struct vfs_caller *caller, struct inode *inode,
         uint64_t size, unsigned which, struct lists *lists, struct data_edit *edit)
{
    int result;

    if (!S_ISREG(inode->attr.mode))
        return S_ISDIR(inode->attr.mode) ? -EISDIR : -EINVAL;
    inode_edit(op, inode, &op->buffer, edit);
    result = data_truncate(edit, size);
    if (result == 0 && !(which & (VFS_UID | VFS_GID)))
        result = xattr_strip_by_write(op, caller, inode, &lists->privileges);
    return result == 0 ? inode_put_contents(op, inode, edit) : result;
}

/* With the writeback cache the kernel says when a file changed; where it does not, it is opened and
 * truncated, or cut to the size that it has, and its times stay. */
static bool
kernel_has_times(const struct op *op, const struct inode *inode)
{
    return op->vfs->writeback && S_ISREG(inode->attr.mode);
}

static int
change_inode(struct op *op, const struct vfs_caller *caller, struct inode *inode,
             const struct stat *change, unsigned which)
{
    struct timespec now = which & VFS_CTIME ? change->st_ctim : vfs_now(op->vfs);
    struct lists lists;
    struct data_edit edit;
    int result = change_mode(op, inode, change, which, &lists);

    if (result == 0)
        result = change_owner(op, caller, inode, change, which, &lists);
    if (result < 0)
        return result;
    if (which & VFS_CTIME || !kernel_has_times(op, inode)) {
        if (which & VFS_SIZE && !(which & (VFS_MTIME | VFS_MTIME_NOW)))
            inode->attr.mtime = now;
        change_times(inode, change, which, now);
    }
    if (which & VFS_SIZE && change->st_size < 0)
        return -EINVAL;
    if (which & VFS_SIZE) {
        result =
            put_size(op, caller, inode, (uint64_t)change->st_size, which, &lists, &edit);
    } else {
        op->small = true;
        result = inode_put(op, inode);
    }
    if (result == 0)
        result = op_publish(op, false);
    if (result == 0 && which & VFS_CTIME) {
        deferred_told(inode->node, &inode->attr);
        vfs_told(op->vfs, change->st_ctim);
    }
    return result;
}

/* Which nodes let what be changed. */
static int
may_change(const struct vfs *vfs, const struct node *node, unsigned which)
{
    int result = op_writable(vfs, node);

    if (node->realm == REALM_TREE)
        return result;
    if (node->directory || which & (VFS_MODE | VFS_UID | VFS_GID))
        return -EPERM;
    return result;
}

int
vfs_setattr(struct vfs *vfs, const struct vfs_caller *caller, struct node *node,
            const struct stat *change, unsigned which, struct stat *st)
{
    struct inode inode;
    struct op *op;
    int result = may_change(vfs, node, which);

    if (result < 0)
        return result;
    op = op_begin_for(vfs, node);
    if (!op)
        return -ENOMEM;
    op_lock_node(op, node, true);
    result = inode_of(op, 0, node, INODE_VALUE, &inode);
    if (result == 0 && !is_nothing(caller, &inode, which))
        result = change_inode(op, caller, &inode, change, which);
    if (result == 0)
        inode_stat(&inode, st);
    inode_fini(&inode);
    op_end(op);
    return result;
}
