/*
 * fuse_ops.c - see fuse_ops.h.
 *
 * The daemon is the only writer, so the kernel keeps entries, the absence of entries, attributes,
 * pages and listings until it changes them itself or is told (vfs_notify).
 *
 * What libfuse 3.14 and the kernel want, found by tracing:
 *   - An absent name is kept only if the reply is an entry with inode 0 and a timeout.
 *   - AUTO_INVAL_DATA would drop pages just written; EXPLICIT_INVAL_DATA does not.
 *   - Before each write through its pages the kernel asks for security.capability, unless
 *     HANDLE_KILLPRIV_V2 is on: then once a file.  It leaves all set-id bits to us then, which takes
 *     attributes that do not last (fuse_attr.c).  HANDLE_KILLPRIV must be off: with it the kernel
 *     leaves set-user-id bits alone before truncating, and asks all the same.
 *   - Without PARALLEL_DIROPS the kernel has one LOOKUP, READDIR or READDIRPLUS of a directory under
 *     way and holds the others back, for file systems that rely on that.
 *   - ENOSYS to the first FLUSH or OPEN ends all of them.  For OPEN only a read-only mount may do
 *     so: elsewhere nothing else refuses O_RDWR inside a snapshot.
 *   - Without lock handlers the kernel does all locking itself.
 */
#include "daemon/fuse_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/fuse_attr.h"
#include "daemon/loop.h"
#include "vfs/newer.h"

#define READDIR_MAX  (1u << 20)
#define XATTR_MAX    65536u
#define LINK_MAX_LEN 4096u
#define DROPS_PAGES_MINOR \
    39u /* Linux 6.6; before, others would go on reading what was there */
#define BACKGROUND 64u

/* ---- the session ---- */

static void
want(struct fuse_conn_info *conn, unsigned capability, bool wanted)
{
    if (wanted && conn->capable & capability)
        conn->want |= capability;
    else
        conn->want &= ~capability;
}

static void
on_init(void *userdata, struct fuse_conn_info *conn)
{
    struct fuse_ops *ops = userdata;

    want(conn, FUSE_CAP_AUTO_INVAL_DATA, false);
    want(conn, FUSE_CAP_EXPLICIT_INVAL_DATA, true);
    want(conn, FUSE_CAP_HANDLE_KILLPRIV, false);
    want(conn, FUSE_CAP_READDIRPLUS, true);
    want(conn, FUSE_CAP_READDIRPLUS_AUTO, false);
    want(conn, FUSE_CAP_CACHE_SYMLINKS, vfs_contents_last(ops->vfs, vfs_root(ops->vfs)));
    want(conn, FUSE_CAP_ATOMIC_O_TRUNC, true);
    want(conn, FUSE_CAP_ASYNC_DIO, true);
    want(conn, FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE,
         false);
    want(conn, FUSE_CAP_WRITEBACK_CACHE, ops->writeback);
    want(conn, FUSE_CAP_POSIX_ACL, ops->acl);
    want(conn, FUSE_CAP_DONT_MASK, ops->acl);
    conn->time_gran = 1;
    conn->max_background = BACKGROUND;
    conn->congestion_threshold = BACKGROUND * 3 / 4;
    conn->max_write = rings_fit(ops->rings, conn->max_write);
    ops->past_pages = !ops->writeback && conn->proto_minor >= DROPS_PAGES_MINOR;
    ops->prunes = conn->proto_minor >= NEWER_PRUNE_MINOR;
    ops->init_reply_due = true;
    if (ops->ready)
        ops->ready(ops->ready_context);
}

/* libfuse 3.14 does not know FUSE_HANDLE_KILLPRIV_V2, and leaves out FUSE_PARALLEL_DIROPS whoever
 * wants it.  So they are put into its reply on the way; kernels before 5.11 and 4.7 pass them
 * over. */
static void
add_init_flags(const struct iovec *parts, int count)
{
    struct fuse_init_out *out = parts[1].iov_base;

    if (count == 2 && parts[1].iov_len >= sizeof(*out))
        out->flags |= FUSE_HANDLE_KILLPRIV_V2 | FUSE_PARALLEL_DIROPS;
}

static ssize_t
bytes_of(const struct iovec *parts, int count)
{
    ssize_t sum = 0;

    for (int i = 0; i < count; i++)
        sum += (ssize_t)parts[i].iov_len;
    return sum;
}

static ssize_t
io_writev(int fd, struct iovec *parts, int count, void *userdata)
{
    struct fuse_ops *ops = userdata;

    if (ops->init_reply_due) {
        ops->init_reply_due = false;
        add_init_flags(parts, count);
        if (ops->rings != NULL)
            rings_accept(ops->rings, parts, count);
    } else if (ops->rings != NULL && ring_reply(parts, count)) {
        return bytes_of(parts, count);
    }
    return writev(fd, parts, count);
}

static ssize_t
io_read(int fd, void *buffer, size_t size, void *userdata)
{
    (void)userdata;
    return read(fd, buffer, size);
}

int
fuse_ops_take_io(struct fuse_session *session)
{
    static const struct fuse_custom_io io = {.writev = io_writev, .read = io_read};

    return fuse_session_custom_io(session, &io, fuse_session_fd(session));
}

/* ---- names ---- */

static void
reply_entry(fuse_req_t req, int result, const struct vfs_entry *entry)
{
    struct vfs *vfs = req_vfs(req);
    struct fuse_entry_param param;

    if (result < 0) {
        req_reply(req, result);
        return;
    }
    param = attr_entry(req, entry);
    if (fuse_reply_entry(req, &param) != 0)
        vfs_forget(vfs, entry->node, 1); /* interrupted: the kernel never saw it */
}

static void
on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct vfs_entry entry;
    bool lasting = false;
    int result = vfs_lookup(req_vfs(req), req_node(req, parent), name, &entry, &lasting);

    if (result == -ENOENT && lasting) {
        struct fuse_entry_param absent = {.entry_timeout = ATTR_FOR_EVER};

        fuse_reply_entry(req, &absent);
        return;
    }
    reply_entry(req, result, &entry);
}

static void
on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    vfs_forget(req_vfs(req), req_node(req, ino), count);
    fuse_reply_none(req);
}

static void
on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        vfs_forget(req_vfs(req), req_node(req, forgets[i].ino), forgets[i].nlookup);
    fuse_reply_none(req);
}

static void
on_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    struct vfs_caller caller = req_caller(req);
    struct vfs_entry entry;
    unsigned tries = 0;
    int result;

    mode = shown_new_mode(req_shown(req), mode);
    do
        result = vfs_mknod(req_vfs(req), &caller, req_node(req, parent), name, mode, rdev,
                           &entry);
    while (req_again(req, result, &tries));
    reply_entry(req, result, &entry);
}

static void
make_directory(fuse_req_t req, struct node *parent, const char *name, mode_t mode)
{
    struct vfs_caller caller = req_caller(req);
    struct vfs_entry entry;
    unsigned tries = 0;
    int result;

    do
        result = vfs_mkdir(req_vfs(req), &caller, parent, name, mode, &entry);
    while (req_again(req, result, &tries));
    reply_entry(req, result, &entry);
}

struct snapshot_to_take {
    fuse_req_t req;
    struct node *parent;
    mode_t mode;
    char name[];
};

static void
take_snapshot(void *context)
{
    struct snapshot_to_take *take = context;

    make_directory(take->req, take->parent, take->name, take->mode);
    free(take);
}

/* Of what the kernel has yet to send, too.  It sends that with other requests, for which the thread of
 * a ring does not wait.  False: it is to be taken at once. */
static bool
take_snapshot_later(fuse_req_t req, struct node *parent, const char *name, mode_t mode)
{
    const struct fuse_ops *ops = fuse_req_userdata(req);
    struct snapshot_to_take *take;

    if (!ops->writeback || !vfs_takes_snapshots(parent) || rings_accepted(ops->rings))
        return false;
    take = malloc(sizeof(*take) + strlen(name) + 1);
    if (!take)
        return false;
    *take = (struct snapshot_to_take){req, parent, mode};
    stpcpy(take->name, name);
    if (vfs_write_back_then(req_vfs(req), take_snapshot, take) == 0)
        return true;
    free(take);
    return false;
}

static void
on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct node *node = req_node(req, parent);

    mode = shown_new_mode(req_shown(req), mode);
    if (!take_snapshot_later(req, node, name, mode))
        make_directory(req, node, name, mode);
}

static void
on_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    struct vfs_caller caller = req_caller(req);
    struct vfs_entry entry;
    unsigned tries = 0;
    int result;

    do
        result = vfs_symlink(req_vfs(req), &caller, target, req_node(req, parent), name,
                             &entry);
    while (req_again(req, result, &tries));
    reply_entry(req, result, &entry);
}

static void
on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    struct vfs_entry entry;
    unsigned tries = 0;
    int result;

    do
        result = vfs_link(req_vfs(req), req_node(req, ino), req_node(req, parent), name,
                          &entry);
    while (req_again(req, result, &tries));
    reply_entry(req, result, &entry);
}

static void
on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    req_reply(req, vfs_unlink(req_vfs(req), req_node(req, parent), name));
}

static void
on_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    req_reply(req, vfs_rmdir(req_vfs(req), req_node(req, parent), name));
}

static void
on_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
          const char *new_name, unsigned flags)
{
    unsigned tries = 0;
    int result;

    do
        result = vfs_rename(req_vfs(req), req_node(req, parent), name,
                            req_node(req, new_parent), new_name, flags);
    while (req_again(req, result, &tries));
    req_reply(req, result);
}

static void
on_readlink(fuse_req_t req, fuse_ino_t ino)
{
    char target[LINK_MAX_LEN];
    int result = vfs_readlink(req_vfs(req), req_node(req, ino), target, sizeof(target));

    if (result < 0)
        req_reply(req, result);
    else
        fuse_reply_readlink(req, target);
}

static void
on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    char *buffer = size > 0 ? req_buffer(XATTR_MAX) : NULL;
    size_t length;
    int result;

    if (size > 0 && !buffer) {
        req_reply(req, -ENOMEM);
        return;
    }
    result = vfs_getxattr(req_vfs(req), req_node(req, ino), name, buffer,
                          size < XATTR_MAX ? size : XATTR_MAX, &length);
    if (result < 0)
        req_reply(req, result);
    else if (size == 0)
        fuse_reply_xattr(req, length);
    else
        fuse_reply_buf(req, buffer, length);
}

static void
on_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    struct vfs_caller caller = req_caller(req);
    char *buffer = size > 0 ? req_buffer(XATTR_MAX) : NULL;
    size_t length;
    int result;

    if (size > 0 && !buffer) {
        req_reply(req, -ENOMEM);
        return;
    }
    result = vfs_listxattr(req_vfs(req), &caller, req_node(req, ino), buffer,
                           size < XATTR_MAX ? size : XATTR_MAX, &length);
    if (result < 0)
        req_reply(req, result);
    else if (size == 0)
        fuse_reply_xattr(req, length);
    else
        fuse_reply_buf(req, buffer, length);
}

static void
on_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
            size_t size, int flags)
{
    struct vfs_caller caller = req_caller(req);
    unsigned tries = 0;
    int result;

    do
        result = vfs_setxattr(req_vfs(req), &caller, req_node(req, ino), name, value,
                              size, flags);
    while (req_again(req, result, &tries));
    req_reply(req, result);
}

static void
on_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    req_reply(req, vfs_removexattr(req_vfs(req), req_node(req, ino), name));
}

/* ---- contents ---- */

/* Is a file only written through this descriptor?  Then its writes go past the kernel's pages,
 * unless it may have some that others read: before the first one through them the kernel asks for
 * security.capability, and it copies, and keeps what this descriptor never reads. */
static bool
only_fills(fuse_req_t req, int flags)
{
    const struct fuse_ops *ops = fuse_req_userdata(req);

    return ops->past_pages && (flags & O_ACCMODE) == O_WRONLY;
}

/* Of a file that is there: a log that is added to for days will be read meanwhile. */
static bool
fills_unread(const struct node *node, int flags)
{
    return flags & O_TRUNC || !(flags & O_APPEND || vfs_was_read(node));
}

static void
on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
          struct fuse_file_info *fi)
{
    struct vfs *vfs = req_vfs(req);
    struct vfs_caller caller = req_caller(req);
    struct fuse_entry_param param;
    struct vfs_entry entry;
    unsigned tries = 0;
    int result;

    mode = shown_new_mode(req_shown(req), mode);
    do {
        if (strcmp(name, NEWER_NO_NAME) == 0)
            result =
                vfs_tmpfile(vfs, &caller, req_node(req, parent), mode, fi->flags, &entry);
        else
            result = vfs_create(vfs, &caller, req_node(req, parent), name, mode,
                                fi->flags, &entry);
    } while (req_again(req, result, &tries));
    if (result < 0) {
        req_reply(req, result);
        return;
    }
    fi->keep_cache = 1;
    fi->direct_io = only_fills(req, fi->flags);
    param = attr_entry(req, &entry);
    vfs_opened(vfs, entry.node, fi->flags);
    if (fuse_reply_create(req, &param, fi) != 0) {
        vfs_released(vfs, entry.node, fi->flags);
        vfs_forget(vfs, entry.node, 1);
    }
}

static void
on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct vfs *vfs = req_vfs(req);
    struct vfs_caller caller = req_caller(req);
    struct node *node = req_node(req, ino);
    int result;

    if (vfs_is_read_only(vfs)) {
        req_reply(req, -ENOSYS);
        return;
    }
    /* Before it is cut to nothing: a rollback in between sees that it is open, and it does not get
     * what it held then to be written into. */
    vfs_opened(vfs, node, fi->flags);
    result = vfs_file_open(vfs, &caller, node, fi->flags);
    if (result < 0) {
        vfs_released(vfs, node, fi->flags);
        req_reply(req, result);
        return;
    }
    fi->keep_cache = vfs_contents_last(vfs, node);
    fi->direct_io = only_fills(req, fi->flags) && fills_unread(node, fi->flags);
    fi->noflush = 1;
    if (fuse_reply_open(req, fi) != 0)
        vfs_released(vfs, node, fi->flags); /* interrupted: there will be no release */
}

static void
on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    vfs_released(req_vfs(req), req_node(req, ino), fi->flags);
    req_reply(req, 0);
}

static void
on_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    req_reply(req, -ENOSYS);
}

static void
on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
        struct fuse_file_info *fi)
{
    char *buffer = req_reply_buffer(size);
    size_t got = 0;
    int result;

    if (!buffer || offset < 0) {
        req_reply(req, offset < 0 ? -EINVAL : -ENOMEM);
        return;
    }
    result = vfs_read(req_vfs(req), req_node(req, ino), (uint64_t)offset, buffer, size,
                      fi->flags, &got);
    if (result < 0)
        req_reply(req, result);
    else
        fuse_reply_buf(req, buffer, got);
}

static void
on_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
         struct fuse_file_info *fi)
{
    struct vfs_caller caller = req_caller(req);
    int flags = fi->flags, result;
    unsigned tries = 0;

    if (offset < 0) {
        req_reply(req, -EINVAL);
        return;
    }
    if (fi->writepage) {
        /* Nobody's write: privileges went when the page was dirtied. */
        caller.writeback = true;
        flags &= ~O_APPEND;
    }
    do
        result = vfs_write(req_vfs(req), &caller, req_node(req, ino), (uint64_t)offset,
                           bytes, size, flags);
    while (req_again(req, result, &tries));
    if (result < 0)
        req_reply(req, result);
    else
        fuse_reply_write(req, size);
}

static void
on_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
             struct fuse_file_info *fi)
{
    struct vfs_caller caller = req_caller(req);
    unsigned tries = 0;
    int result;

    (void)fi;
    do
        result = offset < 0 || length < 0
                     ? -EINVAL
                     : vfs_fallocate(req_vfs(req), &caller, req_node(req, ino), mode,
                                     (uint64_t)offset, (uint64_t)length);
    while (req_again(req, result, &tries));
    req_reply(req, result);
}

static void
reply_lseek(void *context, int result, uint64_t found)
{
    fuse_req_t req = context;

    if (result < 0)
        req_reply(req, result);
    else
        fuse_reply_lseek(req, (off_t)found);
}

/* True as well, whatever holes there are.  Of what is stored through a mapping the kernel first
 * has to tell, with other requests: the thread of a ring does not wait for those. */
static void
all_is_data(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence)
{
    struct stat st;
    int result = vfs_getattr(req_vfs(req), req_node(req, ino), &st, NULL);

    if (result == 0 && offset >= st.st_size)
        result = -ENXIO;
    reply_lseek(req, result,
                result == 0 ? (uint64_t)(whence == SEEK_DATA ? offset : st.st_size) : 0);
}

static void
on_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
         struct fuse_file_info *fi)
{
    const struct fuse_ops *ops = fuse_req_userdata(req);
    struct vfs *vfs = req_vfs(req);
    struct node *node = req_node(req, ino);
    uint64_t found = 0;
    int result = -ENXIO;

    (void)fi;
    if (ops->writeback && rings_accepted(ops->rings)) {
        req_reply(
            req,
            -ENOSYS); /* from now on the kernel answers by the size, which it knows */
        return;
    }
    if (offset >= 0 && vfs_may_be_mapped(node)) {
        if (rings_accepted(ops->rings)) {
            all_is_data(req, ino, offset, whence);
            return;
        }
        if (vfs_seek_mapped(vfs, node, (uint64_t)offset, whence, reply_lseek, req) == 0)
            return; /* it replies, or has done so */
    }
    if (offset >= 0)
        result = vfs_seek(vfs, node, (uint64_t)offset, whence, &found);
    reply_lseek(req, result, found);
}

static void
on_copy(fuse_req_t req, fuse_ino_t from, off_t from_offset,
        struct fuse_file_info *from_fi, fuse_ino_t to, off_t to_offset,
        struct fuse_file_info *to_fi, size_t size, int flags)
{
    struct vfs_caller caller = req_caller(req);
    size_t copied;
    unsigned tries = 0;
    int result;

    (void)from_fi;
    (void)to_fi;
    if (from_offset < 0 || to_offset < 0) {
        req_reply(req, -EINVAL);
        return;
    }
    do
        result =
            vfs_copy(req_vfs(req), &caller, req_node(req, from), (uint64_t)from_offset,
                     req_node(req, to), (uint64_t)to_offset, size, flags, &copied);
    while (req_again(req, result, &tries));
    if (result < 0)
        req_reply(req, result);
    else
        fuse_reply_write(req, copied);
}

static void
on_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)datasync; /* a log knows no difference */
    (void)fi;
    req_reply(req, vfs_fsync(req_vfs(req), req_node(req, ino)));
}

/* ---- directories ---- */

/* fi->fh says whether it has the kept listing.  Not ENOSYS, on read-only mounts either: then all
 * would have it at once. */
static void
on_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct node *node = req_node(req, ino);

    if (vfs_contents_last(req_vfs(req), node)) {
        fi->keep_cache = vfs_listing_holds(node);
        fi->cache_readdir = vfs_listing_take(node);
        fi->fh = fi->cache_readdir;
    }
    if (fuse_reply_open(req, fi) == 0)
        return;
    /* Interrupted: there will be no releasedir, and nothing was dropped. */
    if (fi->fh != 0)
        vfs_listing_give(node);
    if (!fi->keep_cache)
        vfs_listing_changed(node);
}

static void
on_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (fi->fh != 0)
        vfs_listing_give(req_node(req, ino));
    req_reply(req, 0);
}

struct filling {
    fuse_req_t req;
    struct vfs *vfs;
    bool plus;
    char *buffer;
    size_t size, used;
};

static bool
fill(void *context, const struct vfs_listed *listed)
{
    struct filling *filling = context;
    char *at = filling->buffer + filling->used;
    size_t left = filling->size - filling->used, needed;
    struct fuse_entry_param param = {.attr = listed->st};

    if (filling->plus && listed->node) {
        struct vfs_entry entry = {listed->node, listed->st, listed->lasting};

        param = attr_entry(filling->req, &entry);
    }
    if (filling->plus)
        needed = fuse_add_direntry_plus(filling->req, at, left, listed->name, &param,
                                        (off_t)listed->cookie);
    else
        needed = fuse_add_direntry(filling->req, at, left, listed->name, &listed->st,
                                   (off_t)listed->cookie);
    if (needed > left)
        return false;
    filling->used += needed;
    return true;
}

static void
list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie, bool plus)
{
    struct filling filling = {.req = req, .vfs = req_vfs(req), .plus = plus};
    int result;

    filling.size = size < READDIR_MAX ? size : READDIR_MAX;
    filling.buffer = req_reply_buffer(filling.size);
    if (!filling.buffer) {
        req_reply(req, -ENOMEM);
        return;
    }
    result = vfs_readdir(filling.vfs, req_node(req, ino), (uint64_t)cookie, plus, fill,
                         &filling);
    /* Entries handed over count as looked up: they are sent, the error comes next time. */
    if (result < 0 && filling.used == 0)
        req_reply(req, result);
    else
        fuse_reply_buf(req, filling.buffer, filling.used);
}

static void
on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie,
           struct fuse_file_info *fi)
{
    (void)fi;
    list(req, ino, size, cookie, false);
}

static void
on_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie,
               struct fuse_file_info *fi)
{
    (void)fi;
    list(req, ino, size, cookie, true);
}

static void
on_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct statvfs st;
    int result = vfs_statfs(req_vfs(req), &st);

    (void)ino;
    if (result < 0)
        req_reply(req, result);
    else
        fuse_reply_statfs(req, &st);
}

static const struct fuse_lowlevel_ops table = {
    .init = on_init,
    .lookup = on_lookup,
    .forget = on_forget,
    .forget_multi = on_forget_multi,
    .getattr = attr_on_getattr,
    .bmap = attr_on_statx,
    .setattr = attr_on_setattr,
    .readlink = on_readlink,
    .mknod = on_mknod,
    .mkdir = on_mkdir,
    .unlink = on_unlink,
    .rmdir = on_rmdir,
    .symlink = on_symlink,
    .rename = on_rename,
    .link = on_link,
    .open = on_open,
    .read = on_read,
    .write = on_write,
    .flush = on_flush,
    .release = on_release,
    .fsync = on_fsync,
    .opendir = on_opendir,
    .releasedir = on_releasedir,
    .readdir = on_readdir,
    .readdirplus = on_readdirplus,
    .fsyncdir = on_fsync,
    .statfs = on_statfs,
    .setxattr = on_setxattr,
    .getxattr = on_getxattr,
    .listxattr = on_listxattr,
    .removexattr = on_removexattr,
    .create = on_create,
    .fallocate = on_fallocate,
    .copy_file_range = on_copy,
    .lseek = on_lseek,
};

const struct fuse_lowlevel_ops *
fuse_ops_table(void)
{
    return &table;
}
