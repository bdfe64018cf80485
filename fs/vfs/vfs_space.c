/*
 * vfs_space.c - fallocate, copy_file_range and statfs.
 *
 * Long work is cut into operations of a bounded size, so that renames get their turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/data.h"
#include "store/sweep.h"
#include "vfs/deferred.h"
#include "vfs/inode.h"
#include "vfs/op.h"
#include "vfs/vfs.h"
#include "vfs/xattr.h"

#define COPY_REQUEST_MAX (8u << 20) /* bytes copied for one request */
#define BLOCK            4096u
#define SPACE_WAIT_MS    5000u /* for space that is coming */
#define SPACE_SLICE_MS   20u
#define SPACE_WAITERS    4u /* half of the threads of loop.c */

/* ---- fallocate ---- */

static int
load_regular(struct op *op, struct node *node, struct inode *inode)
{
    int result;

    op_lock_node(op, node, true);
    result = inode_of(op, 0, node, INODE_VALUE, inode);
    if (result == 0 && !S_ISREG(inode->attr.mode))
        result = S_ISDIR(inode->attr.mode) ? -EISDIR : -ENODEV;
    return result;
}

static int
put_edit(struct op *op, const struct vfs_caller *caller, struct inode *inode,
         struct data_edit *edit)
{
    struct xattr_list list;
    int result = xattr_strip_by_write(op, caller, inode, &list);

    deferred_touch(op->vfs, inode->node, &inode->attr);
    if (result == 0)
        result = inode_put_contents(op, inode, edit);
    if (result == 0)
        result = op_publish(op, false);
    if (result == 0)
        deferred_touched(op->vfs, inode->node);
    return result;
}

/* Sees that the file reaches `end`. */
static int
extend(struct vfs *vfs, const struct vfs_caller *caller, struct node *node, uint64_t end)
{
    struct op *op = op_begin_for(vfs, node);
    struct data_edit edit;
    struct inode inode;
    int result;

    if (!op)
        return -ENOMEM;
    result = load_regular(op, node, &inode);
    if (result == 0) {
        inode_edit(op, &inode, &op->buffer, &edit);
        if (edit.data.size < end)
            result = data_truncate(&edit, end);
        if (result == 0)
            result = put_edit(op, caller, &inode, &edit);
    }
    inode_fini(&inode);
    op_end(op);
    return result;
}

/* One batch of punching; `*from` moves on. */
static int
punch_some(struct vfs *vfs, const struct vfs_caller *caller, struct node *node,
           uint64_t *from, uint64_t end)
{
    struct op *op = op_begin_for(vfs, node);
    struct data_edit edit;
    struct inode inode;
    uint64_t done = end;
    int result;

    if (!op)
        return -ENOMEM;
    result = load_regular(op, node, &inode);
    if (result == 0) {
        inode_edit(op, &inode, &op->buffer, &edit);
        if (*from < edit.data.size)
            result = data_punch(&edit, *from, end, &done);
        if (result == 0)
            result = put_edit(op, caller, &inode, &edit);
    }
    inode_fini(&inode);
    op_end(op);
    if (result == 0)
        *from = done;
    return result;
}

static int
check_fallocate(const struct vfs *vfs, const struct node *node, int mode, uint64_t offset,
                uint64_t length)
{
    bool punch = mode & FALLOC_FL_PUNCH_HOLE, zero = mode & FALLOC_FL_ZERO_RANGE;
    int result = op_writable(vfs, node);

    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) ||
        (punch && (zero || !(mode & FALLOC_FL_KEEP_SIZE))))
        return -EOPNOTSUPP;
    if (node->directory)
        return -EISDIR;
    if (length == 0)
        return -EINVAL;
    if (offset > DATA_SIZE_MAX || length > DATA_SIZE_MAX - offset)
        return -EFBIG;
    return result;
}

/* No space is set aside, for the log takes whatever there is room for; but at least as much as the
 * file lacks has to be free. */
static int
check_room(struct vfs *vfs, struct node *node, uint64_t length)
{
    struct statvfs disk;
    struct stat st;
    uint64_t present;
    int result = vfs_getattr(vfs, node, &st, NULL);

    if (result == 0)
        result = vfs_statfs(vfs, &disk);
    if (result < 0)
        return result;
    present = (uint64_t)st.st_blocks * 512;
    return length > present && (length - present) / BLOCK > disk.f_bavail ? -ENOSPC : 0;
}

int
vfs_fallocate(struct vfs *vfs, const struct vfs_caller *caller, struct node *node,
              int mode, uint64_t offset, uint64_t length)
{
    bool zeros = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
    uint64_t end = offset + length;
    int result = check_fallocate(vfs, node, mode, offset, length);

    if (result == 0 && !(mode & FALLOC_FL_PUNCH_HOLE))
        result = check_room(vfs, node, length);
    while (result == 0 && zeros && offset < end)
        result = punch_some(vfs, caller, node, &offset, end);
    /* Where nothing else changes, times and set-id bits do. */
    if (result == 0 && (!zeros || !(mode & FALLOC_FL_KEEP_SIZE)))
        result = extend(vfs, caller, node, mode & FALLOC_FL_KEEP_SIZE ? 0 : end);
    return result;
}

/* ---- copy_file_range ---- */

struct copying {
    struct node *from, *to;
    uint64_t from_offset, to_offset;
    size_t size;
    bool durable;
};

static int
reserve_buffer(struct data_buffer *buffer)
{
    if (buffer->capacity >= DATA_CHUNK)
        return 0;
    free(buffer->bytes);
    buffer->bytes = malloc(DATA_CHUNK);
    buffer->capacity = buffer->bytes ? DATA_CHUNK : 0;
    return buffer->bytes ? 0 : -ENOMEM;
}

static int
read_some(struct op *op, const struct copying *copying, size_t *got)
{
    size_t size = copying->size < DATA_CHUNK ? copying->size : DATA_CHUNK;
    struct inode inode;
    int result = inode_of(op, 0, copying->from, INODE_VALUE, &inode);

    if (result == 0 && !S_ISREG(inode.attr.mode))
        result = -EINVAL;
    if (result == 0)
        result = data_read(op->vfs->store, copying->from->view->snapshot,
                           &inode.attr.data, inode.record.value, copying->from_offset,
                           op->second_buffer.bytes, size, got);
    inode_fini(&inode);
    return result;
}

static int
write_some(struct op *op, const struct vfs_caller *caller, const struct copying *copying,
           size_t size)
{
    struct xattr_list list;
    struct data_edit edit;
    struct inode inode;
    int result = inode_of(op, 0, copying->to, INODE_VALUE, &inode);

    if (result == 0 && !S_ISREG(inode.attr.mode))
        result = -EINVAL;
    if (result == 0) {
        inode_edit(op, &inode, &op->buffer, &edit);
        result = data_write(&edit, copying->to_offset, op->second_buffer.bytes, size);
    }
    if (result == 0)
        result = xattr_strip_by_write(op, caller, &inode, &list);
    if (result == 0) {
        deferred_touch(op->vfs, inode.node, &inode.attr);
        result = inode_put_contents(op, &inode, &edit);
    }
    if (result == 0)
        result = op_publish(op, copying->durable);
    if (result == 0)
        deferred_touched(op->vfs, inode.node);
    inode_fini(&inode);
    return result;
}

/* One chunk's worth; `*got` is 0 at the end of the source. */
static int
copy_some(struct vfs *vfs, const struct vfs_caller *caller, const struct copying *copying,
          size_t *got)
{
    struct op_lock locks[] = {{copying->from, false}, {copying->to, true}};
    struct op *op = copying->from->realm == REALM_KEYS ? op_begin_exclusive(vfs)
                                                       : op_begin_for(vfs, copying->to);
    int result;

    if (!op)
        return -ENOMEM;
    op_lock_nodes(op, locks, 2);
    result = reserve_buffer(&op->second_buffer);
    if (result == 0)
        result = read_some(op, copying, got);
    if (result == 0 && *got > 0)
        result = write_some(op, caller, copying, *got);
    op_end(op);
    return result;
}

int
vfs_copy(struct vfs *vfs, const struct vfs_caller *caller, struct node *from,
         uint64_t from_offset, struct node *to, uint64_t to_offset, size_t size,
         int flags, size_t *copied)
{
    struct copying copying = {from, to, from_offset, to_offset, size, false};
    size_t done = 0;
    int result = op_writable(vfs, to);

    if (flags != 0)
        return -EINVAL;
    if (from->directory || to->directory)
        return -EISDIR;
    if (size > COPY_REQUEST_MAX)
        copying.size = COPY_REQUEST_MAX;
    /* A copy is cut at the largest size; one that begins there is left for data_write to refuse,
     * for at the end of the source it copies nothing and is right. */
    if (to_offset < DATA_SIZE_MAX && copying.size > DATA_SIZE_MAX - to_offset)
        copying.size = (size_t)(DATA_SIZE_MAX - to_offset);
    while (result == 0 && copying.size > 0) {
        size_t got = 0;

        result = copy_some(vfs, caller, &copying, &got);
        if (result == 0 && got == 0)
            break;
        if (result == 0) {
            copying.from_offset += got;
            copying.to_offset += got;
            copying.size -= got;
            done += got;
        }
    }
    if (result < 0 && done == 0)
        return result;
    *copied = done;
    return 0;
}

/* ---- statfs ---- */

int
vfs_statfs(struct vfs *vfs, struct statvfs *st)
{
    struct lsmkv_space space;
    uint64_t spare;
    int result = lsmkv_get_space(vfs->store->db, &space);

    if (result < 0)
        return result;
    spare = space.reserve_bytes;
    memset(st, 0, sizeof(*st));
    st->f_bsize = st->f_frsize = BLOCK;
    st->f_blocks = space.total_bytes > spare ? (space.total_bytes - spare) / BLOCK : 0;
    st->f_bfree = space.free_bytes > spare ? (space.free_bytes - spare) / BLOCK : 0;
    st->f_bavail = st->f_bfree;
    /* Inodes are not counted: as many as there is room for. */
    st->f_files = st->f_blocks;
    st->f_ffree = st->f_favail = st->f_bfree;
    st->f_namemax = KEY_NAME_MAX;
    return 0;
}

/* ---- a full disk ---- */

bool
vfs_is_full(const struct vfs *vfs)
{
    return lsmkv_is_full(vfs->store->db);
}

/* What the sweep has yet to delete comes first, and before it what only deferred times keep from it. */
static bool
await_space(struct vfs *vfs)
{
    struct store *store = vfs->store;
    const struct timespec slice = {0, SPACE_SLICE_MS * 1000000l};

    for (unsigned waited = 0; waited < SPACE_WAIT_MS && !vfs->ending;
         waited += SPACE_SLICE_MS) {
        bool held = deferred_let_go(vfs), due = held || sweep_is_busy(store);
        int result = lsmkv_wait_for_space(store->db, SPACE_SLICE_MS);

        if (result != -ETIMEDOUT && !(result == -ENOSPC && due))
            return result == 0;
        if (result == -ENOSPC)
            nanosleep(&slice, NULL);
    }
    return false;
}

bool
vfs_wait_for_space(struct vfs *vfs)
{
    bool came = false;

    if (vfs->waiting++ < SPACE_WAITERS)
        came = await_space(vfs);
    vfs->waiting--;
    return came;
}
