/*
 * xattr.c - see xattr.h.
 */
#include "vfs/xattr.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "vfs/left_xattr.h"

#define CAPABILITY "security.capability"

static bool
is_removed(const struct inode *inode)
{
    return inode->node && inode->node->unlinked;
}

static bool
may_have_records(const struct inode *inode)
{
    return inode->attr.xattr_records && !is_removed(inode);
}

static int
find_left(const struct inode *inode, struct lsmkv_slice name, struct xattr *xattr)
{
    struct left_xattr *left = left_xattr_find(inode->node->remains->xattrs, name);

    if (!left)
        return -ENODATA;
    return left_xattr_value(left, &xattr->value);
}

static int
find_record(struct op *op, const struct inode *inode, struct lsmkv_slice name,
            struct xattr *xattr)
{
    struct store *store = op->vfs->store;
    struct record_key key = record_xattr(inode->attr.ino, name);
    int result;

    if (!store->inodes)
        return -EUCLEAN;
    result = lsmkv_get_held(store->db, store->inodes, inode->view->snapshot,
                            record_slice(&key), &xattr->held);

    if (result < 0)
        return result == -ENOENT ? -ENODATA : result;
    xattr->value = lsmkv_held_record(xattr->held)->value;
    return 0;
}

int
xattr_find(struct op *op, const struct inode *inode, struct lsmkv_slice name,
           struct xattr *xattr)
{
    xattr->held = NULL;
    if (attr_xattr_find(inode->attr.xattrs, name, &xattr->value))
        return 0;
    if (is_removed(inode))
        return find_left(inode, name, xattr);
    return may_have_records(inode) ? find_record(op, inode, name, xattr) : -ENODATA;
}

void
xattr_fini(struct xattr *xattr)
{
    if (xattr->held)
        lsmkv_held_release(xattr->held);
    xattr->held = NULL;
}

/* Does the list still fit in the attributes with `more` bytes added at most? */
static bool
fits(const struct inode *inode, size_t more)
{
    return attr_encoded_size(&inode->attr) + more + 8 < ATTR_INLINE_MAX;
}

int
xattr_change(struct op *op, struct inode *inode, struct xattr_list *list,
             struct lsmkv_slice name, const struct lsmkv_slice *value)
{
    struct store *store = op->vfs->store;
    struct lsmkv_slice old = inode->attr.xattrs, held;
    struct record_key key = record_xattr(inode->attr.ino, name);
    bool small = value && fits(inode, 3 + name.size + value->size);

    if (old.size > sizeof(list->bytes))
        return -EUCLEAN;
    if (small || attr_xattr_find(old, name, &held)) {
        size_t size = attr_xattr_replace(old, name, small ? value : NULL, list->bytes);

        inode->attr.xattrs = lsmkv_bytes(list->bytes, size);
    }
    if (is_removed(inode))
        return left_xattr_change(&inode->node->remains->xattrs, name,
                                 small ? NULL : value);
    if (value && !small) {
        inode->attr.xattr_records = true;
        return lsmkv_batch_put(op->batch, store->inodes, record_slice(&key),
                               lsmkv_bytes(NULL, 0), *value);
    }
    if (may_have_records(inode))
        return lsmkv_batch_delete(op->batch, store->inodes, record_slice(&key));
    return 0;
}

static int
strip_capability(struct op *op, struct inode *inode, struct xattr_list *list)
{
    struct lsmkv_slice name = lsmkv_str(CAPABILITY);
    struct xattr found;
    int result;

    if (inode->attr.xattrs.size == 0 && !may_have_records(inode))
        return 0;
    result = xattr_find(op, inode, name, &found);
    if (result < 0)
        return result == -ENODATA ? 0 : result;
    xattr_fini(&found);
    return xattr_change(op, inode, list, name, NULL);
}

bool
caller_capable(const struct vfs_caller *caller, int capability)
{
    return caller->capable ? caller->capable(caller->context, capability)
                           : caller->uid == 0;
}

bool
caller_owns_group(const struct vfs_caller *caller, gid_t gid)
{
    return caller->gid == gid ||
           (caller->in_group && caller->in_group(caller->context, gid)) ||
           caller_capable(caller, CAP_FSETID);
}

/* Set-user-id and set-group-id of a file that was of the group `gid`. */
static void
strip_modes(const struct vfs_caller *caller, gid_t gid, uint32_t *mode)
{
    *mode &= ~(uint32_t)S_ISUID;
    if (*mode & S_ISGID && (*mode & S_IXGRP || !caller_owns_group(caller, gid)))
        *mode &= ~(uint32_t)S_ISGID;
}

int
xattr_strip_by_write(struct op *op, const struct vfs_caller *caller, struct inode *inode,
                     struct xattr_list *list)
{
    if (caller->writeback)
        return 0; /* that was when it was stored, and others may have been given since */
    /* Looked at first: to ask for the capability costs more than a write. */
    if (inode->attr.mode & (S_ISUID | S_ISGID) && !caller_capable(caller, CAP_FSETID))
        strip_modes(caller, inode->attr.gid, &inode->attr.mode);
    return strip_capability(op, inode, list);
}

int
xattr_strip_by_owner(struct op *op, const struct vfs_caller *caller, gid_t gid,
                     struct inode *inode, struct xattr_list *list)
{
    if (S_ISDIR(inode->attr.mode))
        return 0;
    strip_modes(caller, gid, &inode->attr.mode);
    return strip_capability(op, inode, list);
}
