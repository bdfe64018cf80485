/*
 * vfs_file.c - contents: open, read, write, seek, fsync.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/data.h"
#include "vfs/deferred.h"
#include "vfs/inode.h"
#include "vfs/notify.h"
#include "vfs/op.h"
#include "vfs/vfs.h"
#include "vfs/xattr.h"

static int
check_regular(const struct inode *inode)
{
    if (S_ISREG(inode->attr.mode))
        return 0;
    return S_ISDIR(inode->attr.mode) ? -EISDIR : -EINVAL;
}

int
vfs_file_open(struct vfs *vfs, const struct vfs_caller *caller, struct node *node,
              int flags)
{
    struct stat change = {.st_size = 0}, st;
    int result;

    if (node->directory)
        return -EISDIR;
    if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC))
        return 0;
    result = op_writable(vfs, node);
    if (result == 0 && flags & O_TRUNC)
        result = vfs_setattr(vfs, caller, node, &change, VFS_SIZE, &st);
    return result;
}

/* A shared mapping that stores go through wants both.  Its description is not released
 * before it is unmapped, and then its stores are written.  With the writeback cache so is all that
 * is written, before the release of what it is written through. */
static bool
allows_stores(const struct vfs *vfs, int flags)
{
    return (flags & O_ACCMODE) == O_RDWR ||
           (vfs->writeback && (flags & O_ACCMODE) == O_WRONLY);
}

void
vfs_opened(struct vfs *vfs, struct node *node, int flags)
{
    node_ref(vfs->nodes, node);
    node->opens++;
    node->mappable += allows_stores(vfs, flags);
}

void
vfs_released(struct vfs *vfs, struct node *node, int flags)
{
    node->mappable -= allows_stores(vfs, flags);
    node->opens--;
    node_unref(vfs->nodes, node, 1);
}

/* ---- reading ---- */

bool
vfs_was_read(const struct node *node)
{
    return node->was_read;
}

int
vfs_read(struct vfs *vfs, struct node *node, uint64_t offset, void *bytes, size_t size,
         int flags, size_t *got)
{
    struct op *op = op_begin_for(vfs, node);
    struct inode inode;
    int result;

    if (!op)
        return -ENOMEM;
    node->was_read = true;
    op_lock_node(op, node, false);
    result = inode_of(op, 0, node, INODE_VALUE, &inode);
    if (result == 0)
        result = check_regular(&inode);
    if (result == 0)
        result = data_read(vfs->store, node->view->snapshot, &inode.attr.data,
                           inode.record.value, offset, bytes, size, got);
    /* Who may not read has the kernel fill a page that is written to in part. */
    if (result == 0 && !(flags & O_NOATIME) && (flags & O_ACCMODE) != O_WRONLY)
        deferred_access(vfs, node, &inode.attr);
    inode_fini(&inode);
    op_end(op);
    return result;
}

int
vfs_seek(struct vfs *vfs, struct node *node, uint64_t offset, int whence, uint64_t *found)
{
    struct op *op = op_begin_for(vfs, node);
    struct inode inode;
    int result;

    if (!op)
        return -ENOMEM;
    op_lock_node(op, node, false);
    result = inode_of(op, 0, node, INODE_ATTRIBUTES, &inode);
    if (result == 0)
        result = check_regular(&inode);
    if (result == 0)
        result = data_seek(vfs->store, node->view->snapshot, &inode.attr.data, offset,
                           whence, found);
    inode_fini(&inode);
    op_end(op);
    return result;
}

/* ---- holes of a file that may be mapped ---- */

struct mapped_seek {
    struct vfs *vfs;
    struct node *node;
    uint64_t offset;
    int whence;
    void (*done)(void *context, int result, uint64_t found);
    void *context;
};

/* The hole that an answer rests on: what is stored there through a mapping makes it
 * wrong. */
static void
hole_behind(const struct mapped_seek *seek, int result, uint64_t found, uint64_t *begin,
            uint64_t *size)
{
    uint64_t data = found;

    *begin = seek->offset;
    if (seek->whence == SEEK_HOLE && result == 0) {
        *begin = found;
        result = vfs_seek(seek->vfs, seek->node, found, SEEK_DATA, &data);
    }
    *size = result == 0 ? data - *begin : 0;
}

/* Can nothing that was stored change this answer?  That there is nothing, what the kernel has yet to
 * write can, if it is the writeback cache that holds it: the file is longer then. */
static bool
is_final(const struct mapped_seek *seek, int result, uint64_t found)
{
    if (seek->whence == SEEK_DATA)
        return result == 0 && found == seek->offset;
    return result < 0 && !seek->vfs->writeback;
}

/* Only holes are written back, for the kernel drops what it writes back so. */
static void
seek_written(void *context, const struct vfs_notify *notify)
{
    struct mapped_seek *seek = context;
    uint64_t found = 0, before, begin, size;
    int result = vfs_seek(seek->vfs, seek->node, seek->offset, seek->whence, &found);

    do {
        before = found;
        if (!notify || is_final(seek, result, found))
            break;
        hole_behind(seek, result, found, &begin, &size);
        notify->write_back(notify->context, seek->node, begin, size);
        result = vfs_seek(seek->vfs, seek->node, seek->offset, seek->whence, &found);
    } while (seek->whence == SEEK_HOLE && found > before);
    seek->done(seek->context, result, found);
    free(seek);
}

bool
vfs_may_be_mapped(const struct node *node)
{
    return node->mappable > 0;
}

int
vfs_seek_mapped(struct vfs *vfs, struct node *node, uint64_t offset, int whence,
                void (*done)(void *context, int result, uint64_t found), void *context)
{
    struct mapped_seek *seek = malloc(sizeof(*seek));
    int result;

    if (!seek)
        return -ENOMEM;
    *seek = (struct mapped_seek){vfs, node, offset, whence, done, context};
    result = notices_ask(vfs->notices, node, seek_written, seek);
    if (result < 0)
        free(seek);
    return result;
}

/* ---- writing ---- */

/* The kernel appends at the size that it knows, which a change of the key made wrong; but with the
 * writeback cache it alone knows.  Direct writes come several at once and in any order: their
 * offsets are as they have to be. */
static uint64_t
place_append(struct op *op, const struct inode *inode, uint64_t offset, int flags)
{
    uint64_t size = inode->attr.data.size;

    if (!(flags & O_APPEND) || flags & O_DIRECT || offset == size || op->vfs->writeback)
        return offset;
    notices_add(op->vfs->notices, inode->node, lsmkv_bytes("", 0));
    return size;
}

static int
write_in(struct op *op, const struct vfs_caller *caller, struct inode *inode,
         uint64_t offset, const void *bytes, size_t size, int flags)
{
    bool durable = (flags & (O_SYNC | O_DSYNC)) != 0;
    struct xattr_list list;
    struct data_edit edit;
    int result = check_regular(inode);

    if (result < 0)
        return result;
    inode_edit(op, inode, &op->buffer, &edit);
    result = data_write(&edit, place_append(op, inode, offset, flags), bytes, size);
    if (result == 0)
        result = xattr_strip_by_write(op, caller, inode, &list);
    deferred_touch(op->vfs, inode->node, &inode->attr);
    if (result == 0)
        result = inode_put_contents(op, inode, &edit);
    if (result == 0)
        result = op_publish(op, durable);
    if (result == 0) {
        data_published(&edit);
        deferred_touched(op->vfs, inode->node);
    }
    return result;
}

int
vfs_write(struct vfs *vfs, const struct vfs_caller *caller, struct node *node,
          uint64_t offset, const void *bytes, size_t size, int flags)
{
    struct inode inode;
    struct op *op;
    int result = op_writable(vfs, node);

    if (result < 0)
        return result;
    op = op_begin_for(vfs, node);
    if (!op)
        return -ENOMEM;
    op_lock_node(op, node, true);
    result = inode_of(op, 0, node, INODE_VALUE, &inode);
    if (result == 0)
        result = write_in(op, caller, &inode, offset, bytes, size, flags);
    inode_fini(&inode);
    op_end(op);
    return result;
}

/* ---- making durable ---- */

int
vfs_fsync(struct vfs *vfs, struct node *node)
{
    int result = 0;

    if (vfs->read_only)
        return 0;
    if (node->deferred && node->directory)
        result = deferred_put(vfs, node);
    return result == 0 ? store_sync(vfs->store) : result;
}
