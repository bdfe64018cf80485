/*
 * xattr.h - extended attributes of an inode that was read: in its attributes while these
 * stay small, otherwise each in a record of its own.
 */
#ifndef FS_XATTR_H
#define FS_XATTR_H

#include "store/attr.h"
#include "vfs/inode.h"
#include "vfs/op.h"

/* One that was read; xattr_fini ends it. */
struct xattr {
    struct lsmkv_slice value; /* valid until then, and while the inode is */
    struct lsmkv_held *held;
};

/* -ENODATA: there is none. */
LSMKV_CHECKED int xattr_find(struct op *op, const struct inode *inode,
                             struct lsmkv_slice name, struct xattr *xattr);
void xattr_fini(struct xattr *xattr);

/* Room for the list of an inode's small ones after one change: a second change of the
 * same inode needs another. */
struct xattr_list {
    uint8_t bytes[ATTR_INLINE_MAX];
};

/* Sets one (`value` NULL: takes it away) in inode->attr, whose list then stands in
 * `list`, and in the batch; inode_put is the caller's. */
LSMKV_CHECKED int xattr_change(struct op *op, struct inode *inode,
                               struct xattr_list *list, struct lsmkv_slice name,
                               const struct lsmkv_slice *value);

bool caller_capable(const struct vfs_caller *caller, int capability);
/* Is the caller in the group, or may he do as if he were? */
bool caller_owns_group(const struct vfs_caller *caller, gid_t gid);

/* What changing the contents does to privileges: capabilities go, and unless who has
 * CAP_FSETID does it set-user-id and set-group-id; without execution by the group the
 * latter means something else and goes only if the caller is not in the group. */
LSMKV_CHECKED int xattr_strip_by_write(struct op *op, const struct vfs_caller *caller,
                                       struct inode *inode, struct xattr_list *list);
/* Likewise changing the owner, whoever does it; `gid` is the group that the file had. */
LSMKV_CHECKED int xattr_strip_by_owner(struct op *op, const struct vfs_caller *caller,
                                       gid_t gid, struct inode *inode,
                                       struct xattr_list *list);

#endif
