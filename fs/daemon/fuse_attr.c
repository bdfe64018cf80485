/* fuse_attr.c - see fuse_attr.h. */
#include "daemon/fuse_attr.h"

#include "vfs/newer.h"

/* How long the kernel may keep attributes.  Set-id bits that a write takes away are the
 * daemon's: all of them past the kernel's pages (only_fills of fuse_ops.c), else
 * set-group-id without execution by the group.  Of the reply the kernel learns only that
 * size and times are new; it would answer statx(STATX_MODE) with the old mode, and
 * execute the new contents with it. */
static double
attributes_last(const struct node *node, const struct stat *st)
{
    if (S_ISREG(st->st_mode) && st->st_mode & (S_ISUID | S_ISGID))
        return 0;
    return vfs_attributes_last(node) ? ATTR_FOR_EVER : 0;
}

struct fuse_entry_param
attr_entry(fuse_req_t req, const struct vfs_entry *entry)
{
    struct fuse_entry_param param = {
        .ino = req_id(req_vfs(req), entry->node),
        .generation = vfs_generation(entry->node),
        .attr = entry->stat,
        .attr_timeout = attributes_last(entry->node, &entry->stat),
        .entry_timeout = entry->lasting ? ATTR_FOR_EVER : 0,
    };

    shown_apply(req_shown(req), &param.attr);
    return param;
}

static void
reply_attr(fuse_req_t req, const struct node *node, int result, struct stat *st)
{
    double lasting;

    if (result < 0) {
        req_reply(req, result);
        return;
    }
    lasting = attributes_last(node, st);
    shown_apply(req_shown(req), st);
    fuse_reply_attr(req, st, lasting);
}

void
attr_on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct node *node = req_node(req, ino);
    struct stat st;
    int result = vfs_getattr(req_vfs(req), node, &st, NULL);

    (void)fi;
    reply_attr(req, node, result, &st);
}

void
attr_on_statx(fuse_req_t req, fuse_ino_t ino, size_t block_size, uint64_t block)
{
    struct node *node = req_node(req, ino);
    struct newer_statx statx;
    struct timespec birth;
    struct stat st;
    double lasting;
    int result = vfs_getattr(req_vfs(req), node, &st, &birth);

    (void)block_size, (void)block;
    if (result < 0) {
        req_reply(req, result);
        return;
    }
    lasting = attributes_last(node, &st);
    shown_apply(req_shown(req), &st);
    newer_statx(&st, birth, (uint64_t)lasting, &statx);
    fuse_reply_buf(req, (const char *)&statx, sizeof(statx));
}

/* A change of nothing is chown(-1, -1), or comes before a write that takes set-id bits
 * away.  With the writeback cache the former has a ctime; the kernel's own times come with mtime. */
static unsigned
which_of(int to_set)
{
    static const struct {
        int fuse;
        unsigned vfs;
    } table[] = {
        {FUSE_SET_ATTR_MODE, VFS_MODE},
        {FUSE_SET_ATTR_UID, VFS_UID},
        {FUSE_SET_ATTR_GID, VFS_GID},
        {FUSE_SET_ATTR_SIZE, VFS_SIZE},
        {FUSE_SET_ATTR_ATIME, VFS_ATIME},
        {FUSE_SET_ATTR_MTIME, VFS_MTIME},
        {FUSE_SET_ATTR_ATIME_NOW, VFS_ATIME_NOW},
        {FUSE_SET_ATTR_MTIME_NOW, VFS_MTIME_NOW},
        {FUSE_SET_ATTR_CTIME, VFS_CTIME},
    };
    unsigned which = 0;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (to_set & table[i].fuse)
            which |= table[i].vfs;
    return (which & ~(unsigned)VFS_CTIME) == 0 ? which | VFS_SAME_OWNER : which;
}

void
attr_on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *change, int to_set,
                struct fuse_file_info *fi)
{
    struct vfs_caller caller = req_caller(req);
    struct node *node = req_node(req, ino);
    unsigned asked = which_of(to_set), which = asked, tries = 0;
    struct stat st;
    int result = shown_change(req_shown(req), change, &which);

    (void)fi;
    if (result == 0 && which == 0 && asked != 0) {
        result = vfs_getattr(req_vfs(req), node, &st, NULL);
    } else if (result == 0) {
        do
            result = vfs_setattr(req_vfs(req), &caller, node, change, which, &st);
        while (req_again(req, result, &tries));
    }
    reply_attr(req, node, result, &st);
}
