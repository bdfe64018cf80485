/*
 * fuse_notices.c - what the kernel is told that it did not ask for: see vfs_notify.
 */
#include <linux/fuse.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/fuse_ops.h"
#include "daemon/fuse_req.h"

#define PRUNE 9 /* FUSE_NOTIFY_PRUNE, which Debian 12's headers end before */

/* -ENOENT only says that the kernel knows nothing of it. */
static void
invalidate(void *context, struct node *node, const char *name, size_t size)
{
    const struct fuse_ops *ops = context;
    fuse_ino_t id = req_id(ops->vfs, node);

    if (name)
        fuse_lowlevel_notify_inval_entry(ops->session, id, name, size);
    else
        fuse_lowlevel_notify_inval_inode(ops->session, id, 0, 0);
}

static void
sync_all(void *context)
{
    const struct fuse_ops *ops = context;

    ops->sync(ops->sync_context);
}

/* Forgetting pages that are dirty, the kernel writes them; mapped ones, too. */
static void
write_back(void *context, struct node *node, uint64_t offset, uint64_t size)
{
    const struct fuse_ops *ops = context;

    fuse_lowlevel_notify_inval_inode(ops->session, req_id(ops->vfs, node), (off_t)offset,
                                     (off_t)size);
}

/* The kernel takes no lock of a directory for that: lookups in it go on. */
static bool
prune(void *context, struct node *const *nodes, size_t count)
{
    const struct fuse_ops *ops = context;
    struct {
        uint32_t count, padding;
        uint64_t spare, ids[VFS_PRUNE_MAX];
    } what = {.count = (uint32_t)count};
    const size_t size = offsetof(__typeof__(what), ids) + count * sizeof(what.ids[0]);
    struct fuse_out_header header = {.len = (uint32_t)(sizeof(header) + size),
                                     .error = PRUNE};
    struct iovec parts[] = {{&header, sizeof(header)}, {&what, size}};

    for (size_t i = 0; i < count; i++)
        what.ids[i] = req_id(ops->vfs, nodes[i]);
    return writev(fuse_session_fd(ops->session), parts, 2) >= 0;
}

int
fuse_ops_start_notices(struct fuse_ops *ops, struct fuse_session *session)
{
    struct vfs_notify notify = {.invalidate = invalidate,
                                .sync = sync_all,
                                .write_back = write_back,
                                .prune = ops->prunes ? prune : NULL,
                                .context = ops};

    ops->session = session;
    return vfs_start_notices(ops->vfs, &notify);
}
