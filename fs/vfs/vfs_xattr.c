/*
 * vfs_xattr.c - extended attributes.
 *
 * The namespaces are those of ext4: user, trusted, security, and of system the two access
 * control lists, with -o acl.  Who may do what is the kernel's to check.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/xattr.h>

#include "common/slice.h"
#include "store/acl.h"
#include "vfs/inode.h"
#include "vfs/left_xattr.h"
#include "vfs/op.h"
#include "vfs/vfs.h"
#include "vfs/xattr.h"

#define TRUSTED "trusted."

static bool
begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool
is_acl(const char *name)
{
    return strcmp(name, ACL_ACCESS) == 0 || strcmp(name, ACL_DEFAULT) == 0;
}

static int
check_name(const struct vfs *vfs, const struct node *node, const char *name)
{
    if (strlen(name) > 255)
        return -ERANGE;
    if (is_acl(name) ? !vfs->acl
                     : !begins(name, "user.") && !begins(name, TRUSTED) &&
                           !begins(name, "security."))
        return -EOPNOTSUPP;
    if (strchr(name, '.')[1] == '\0')
        return -EINVAL;
    return node->realm == REALM_TREE ? 0 : -ENODATA;
}

/* ---- reading ---- */

static int
hand_out(struct lsmkv_slice from, void *to, size_t size, size_t *length)
{
    *length = from.size;
    if (size == 0)
        return 0;
    if (from.size > size)
        return -ERANGE;
    if (from.size > 0)
        memcpy(to, from.data, from.size);
    return 0;
}

int
vfs_getxattr(struct vfs *vfs, struct node *node, const char *name, void *value,
             size_t size, size_t *length)
{
    struct op *op;
    struct inode inode;
    struct xattr found;
    int result = check_name(vfs, node, name);

    if (result < 0)
        return result;
    op = op_begin(vfs);
    if (!op)
        return -ENOMEM;
    op_lock_node(op, node, false);
    result = inode_of(op, 0, node, INODE_ATTRIBUTES, &inode);
    if (result == 0)
        result = xattr_find(op, &inode, lsmkv_str(name), &found);
    if (result == 0) {
        result = hand_out(found.value, value, size, length);
        xattr_fini(&found);
    }
    inode_fini(&inode);
    op_end(op);
    return result;
}

/* A list of names being put together. */
struct names {
    const struct vfs_caller *caller;
    char *buffer;
    size_t size, used;
};

static void
add_name(struct names *names, struct lsmkv_slice name)
{
    size_t prefix = strlen(TRUSTED);

    if (name.size > prefix && memcmp(name.data, TRUSTED, prefix) == 0 &&
        !caller_capable(names->caller, CAP_SYS_ADMIN))
        return;
    if (names->used < names->size && name.size + 1 <= names->size - names->used) {
        memcpy(names->buffer + names->used, name.data, name.size);
        names->buffer[names->used + name.size] = '\0';
    }
    names->used += name.size + 1;
}

static int
list_records(struct op *op, const struct inode *inode, struct names *names)
{
    struct store *store = op->vfs->store;
    struct lsmkv_iter *iter;
    int result;

    if (!store->inodes)
        return -EUCLEAN;
    result = record_xattrs(store->db, store->inodes, inode->view->snapshot,
                           inode->attr.ino, &iter);
    if (result < 0)
        return result;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter))
        add_name(names, record_xattr_name(lsmkv_iter_key(iter)));
    result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

static void
list_left(const struct left_xattr *left, struct names *names)
{
    for (; left; left = left->next)
        add_name(names, left_xattr_name(left));
}

static int
list_names(struct op *op, struct node *node, struct names *names)
{
    struct lsmkv_slice list, name, value;
    struct inode inode;
    int result = inode_of(op, 0, node, INODE_ATTRIBUTES, &inode);

    if (result == 0) {
        list = inode.attr.xattrs;
        while (attr_xattr_next(&list, &name, &value))
            add_name(names, name);
        if (node->unlinked)
            list_left(node->remains->xattrs, names);
        else if (inode.attr.xattr_records)
            result = list_records(op, &inode, names);
    }
    inode_fini(&inode);
    return result;
}

int
vfs_listxattr(struct vfs *vfs, const struct vfs_caller *caller, struct node *node,
              char *buffer, size_t size, size_t *length)
{
    struct names names = {caller, buffer, size, 0};
    struct op *op;
    int result;

    if (node->realm != REALM_TREE) {
        *length = 0;
        return 0;
    }
    op = op_begin(vfs);
    if (!op)
        return -ENOMEM;
    op_lock_node(op, node, false);
    result = list_names(op, node, &names);
    op_end(op);
    if (result == 0 && size > 0 && names.used > size)
        result = -ERANGE;
    if (result == 0)
        *length = names.used;
    return result;
}

/* ---- changing ---- */

/* What a list says goes to the mode; one that says no more need not be kept.  There is a
 * caller whenever there is a value. */
static int
obey_acl(const struct vfs_caller *caller, struct inode *inode, const char *name,
         const struct lsmkv_slice **value)
{
    if (!*value || !is_acl(name))
        return 0;
    if (S_ISLNK(inode->attr.mode))
        return -EOPNOTSUPP;
    if (!acl_is_valid(**value))
        return -EINVAL;
    if (strcmp(name, ACL_DEFAULT) == 0)
        return S_ISDIR(inode->attr.mode) ? 0 : -EACCES;
    if (!acl_to_mode(**value, &inode->attr.mode))
        *value = NULL;
    if (inode->attr.mode & S_ISGID && !caller_owns_group(caller, inode->attr.gid))
        inode->attr.mode &= ~(uint32_t)S_ISGID;
    return 0;
}

/* `*there`: it has a value, and `*same`, this one. */
static int
check_presence(struct op *op, const struct inode *inode, const char *name,
               const struct lsmkv_slice *value, int flags, bool *there, bool *same)
{
    struct xattr found;
    int result = xattr_find(op, inode, lsmkv_str(name), &found);

    *there = result == 0;
    *same = result == 0 && value && slices_equal(found.value, *value);
    if (result == 0)
        xattr_fini(&found);
    if (result < 0 && result != -ENODATA)
        return result;
    if (result == 0)
        return flags & XATTR_CREATE ? -EEXIST : 0;
    /* To take away what is not there is wrong, but not for a list that the mode
     * expresses. */
    return flags & XATTR_REPLACE || (!value && !is_acl(name)) ? -ENODATA : 0;
}

static int
change_in(struct op *op, const struct vfs_caller *caller, struct inode *inode,
          const char *name, const struct lsmkv_slice *value, int flags)
{
    struct xattr_list list;
    uint32_t mode = inode->attr.mode;
    bool there, same;
    int result = check_presence(op, inode, name, value, flags, &there, &same);

    if (result == 0)
        result = obey_acl(caller, inode, name, &value);
    /* As ext4: to set what is set, or take away what is not there, does not even change
     * ctime. */
    if (result == 0 && (value ? same : !there) && inode->attr.mode == mode)
        return 0;
    if (result == 0)
        result = xattr_change(op, inode, &list, lsmkv_str(name), value);
    if (result < 0)
        return result;
    inode->attr.ctime = vfs_now(op->vfs);
    result = inode_put(op, inode);
    return result == 0 ? op_publish(op, false) : result;
}

static int
change(struct vfs *vfs, const struct vfs_caller *caller, struct node *node,
       const char *name, const struct lsmkv_slice *value, int flags)
{
    struct op *op;
    struct inode inode;
    int result = check_name(vfs, node, name);

    if (result == 0)
        result = op_writable(vfs, node);
    if (result < 0)
        return result;
    op = op_begin(vfs);
    if (!op)
        return -ENOMEM;
    op_lock_node(op, node, true);
    result = inode_of(op, 0, node, INODE_VALUE, &inode);
    if (result == 0)
        result = change_in(op, caller, &inode, name, value, flags);
    inode_fini(&inode);
    op_end(op);
    return result;
}

int
vfs_setxattr(struct vfs *vfs, const struct vfs_caller *caller, struct node *node,
             const char *name, const void *value, size_t size, int flags)
{
    struct lsmkv_slice bytes = {value, size};

    if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    return change(vfs, caller, node, name, &bytes, flags);
}

int
vfs_removexattr(struct vfs *vfs, struct node *node, const char *name)
{
    return change(vfs, NULL, node, name, NULL, 0);
}
