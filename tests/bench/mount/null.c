/*
 * null.c - lsm-null, a FUSE server that answers everything from memory and keeps nothing: the
 * ceiling that a mount is held against.
 *
 * It asks of the kernel what lsmfs asks: default_permissions, names, absent names and attributes
 * kept for ever, pages and listings kept from one open to the next, OPEN answered, extended
 * attributes answered with "there is none", no FLUSH, several requests of one directory at once.
 * So the kernel sends both the same requests, and what lsmfs takes longer is its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common.h"
#include "null_tree.h"

#define FOR_EVER   1e9 /* seconds */
#define BACKGROUND 64u

static struct inode *root;
static atomic_bool init_reply_due;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

static void
look(void)
{
    pthread_rwlock_rdlock(&lock);
}

static void
change(void)
{
    pthread_rwlock_wrlock(&lock);
}

static void
unlock(void)
{
    pthread_rwlock_unlock(&lock);
}

static struct inode *
inode_of(fuse_ino_t ino)
{
    return ino == FUSE_ROOT_ID ? root : (struct inode *)(uintptr_t)ino;
}

static void
on_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    conn->want &= ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_READDIRPLUS_AUTO |
                              FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_SPLICE_READ |
                              FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
    conn->want |= conn->capable & (FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_READDIRPLUS |
                                   FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_ATOMIC_O_TRUNC |
                                   FUSE_CAP_ASYNC_DIO);
    conn->time_gran = 1;
    conn->max_background = BACKGROUND;
    conn->congestion_threshold = BACKGROUND * 3 / 4;
    init_reply_due = true;
}

/* libfuse 3.14 leaves FUSE_PARALLEL_DIROPS out of its reply to INIT, the first one. */
static ssize_t
io_writev(int fd, struct iovec *parts, int count, void *userdata)
{
    (void)userdata;
    if (atomic_load_explicit(&init_reply_due, memory_order_relaxed)) {
        struct fuse_init_out *out = parts[1].iov_base;

        init_reply_due = false;
        if (count == 2 && parts[1].iov_len >= sizeof(*out))
            out->flags |= FUSE_PARALLEL_DIROPS;
    }
    return writev(fd, parts, count);
}

static ssize_t
io_read(int fd, void *buffer, size_t size, void *userdata)
{
    (void)userdata;
    return read(fd, buffer, size);
}

/* ---- names ---- */

/* The kernel is about to be told of the inode. */
static struct fuse_entry_param
entry_of(struct inode *inode)
{
    atomic_fetch_add(&inode->known, 1);
    return (struct fuse_entry_param){
        .ino = inode == root ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)inode,
        .attr = inode->attr,
        .attr_timeout = FOR_EVER,
        .entry_timeout = FOR_EVER,
    };
}

static void
on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param param = {.entry_timeout = FOR_EVER};
    struct entry *entry;

    look();
    entry = tree_find(inode_of(parent), name);
    if (entry != NULL)
        param = entry_of(entry->inode);
    unlock();
    fuse_reply_entry(req, &param);
}

static void
forget(fuse_ino_t ino, uint64_t count)
{
    struct inode *inode = inode_of(ino);

    if (atomic_fetch_sub(&inode->known, count) == count && inode != root)
        tree_drop(inode);
}

static void
on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    change();
    forget(ino, count);
    unlock();
    fuse_reply_none(req);
}

static void
on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    change();
    for (size_t i = 0; i < count; i++)
        forget(forgets[i].ino, forgets[i].nlookup);
    unlock();
    fuse_reply_none(req);
}

/* Makes what `mode` says and replies by `param`.  False: the name is there. */
static bool
make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device,
     const char *target, struct fuse_entry_param *param)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    struct inode *inode;
    bool absent;

    change();
    absent = tree_find(inode_of(parent), name) == NULL;
    if (absent) {
        inode = tree_make(mode, device, caller->uid, caller->gid);
        if (target != NULL) {
            inode_write(inode, target, strlen(target), 0);
        }
        tree_link(inode_of(parent), name, inode);
        *param = entry_of(inode);
    }
    unlock();
    return absent;
}

static void
make_and_reply(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               dev_t device, const char *target)
{
    struct fuse_entry_param param;

    if (make(req, parent, name, mode, device, target, &param))
        fuse_reply_entry(req, &param);
    else
        fuse_reply_err(req, EEXIST);
}

static void
on_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    make_and_reply(req, parent, name, mode, device, NULL);
}

static void
on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    make_and_reply(req, parent, name, mode | S_IFDIR, 0, NULL);
}

static void
on_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    make_and_reply(req, parent, name, S_IFLNK | 0777, 0, target);
}

static void
on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param param;
    bool absent;

    change();
    absent = tree_find(inode_of(parent), name) == NULL;
    if (absent) {
        tree_link(inode_of(parent), name, inode_of(ino));
        param = entry_of(inode_of(ino));
    }
    unlock();
    if (absent)
        fuse_reply_entry(req, &param);
    else
        fuse_reply_err(req, EEXIST);
}

static void
on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct entry *entry;
    int result = ENOENT;

    change();
    entry = tree_find(inode_of(parent), name);
    if (entry != NULL)
        result = entry->inode->live > 0 ? ENOTEMPTY : 0;
    if (result == 0)
        tree_unlink(entry);
    unlock();
    fuse_reply_err(req, result);
}

static int
rename_entry(struct inode *from, const char *name, struct inode *to, const char *new_name,
             unsigned flags)
{
    struct entry *entry = tree_find(from, name), *old = tree_find(to, new_name);
    struct inode *inode;

    if (entry == NULL)
        return ENOENT;
    if ((flags & ~(unsigned)RENAME_NOREPLACE) != 0)
        return EINVAL;
    inode = entry->inode;
    if (old != NULL && flags != 0)
        return EEXIST;
    if (old != NULL && old->inode->live > 0)
        return ENOTEMPTY;
    if (old != NULL && old->inode == inode)
        return 0;
    if (old != NULL)
        tree_unlink(old);
    tree_link(to, new_name, inode);
    tree_unlink(entry);
    if (S_ISDIR(inode->attr.st_mode))
        inode->attr.st_nlink = 2;
    return 0;
}

static void
on_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
          const char *new_name, unsigned flags)
{
    int result;

    change();
    result = rename_entry(inode_of(parent), name, inode_of(new_parent), new_name, flags);
    unlock();
    fuse_reply_err(req, result);
}

static void
on_readlink(fuse_req_t req, fuse_ino_t ino)
{
    const struct inode *inode = inode_of(ino);
    char target[4096] = "";

    look();
    memcpy(target, inode->bytes, (size_t)inode->attr.st_size);
    unlock();
    fuse_reply_readlink(req, target);
}

/* ---- attributes ---- */

static void
on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat attr;

    (void)fi;
    look();
    attr = inode_of(ino)->attr;
    unlock();
    fuse_reply_attr(req, &attr, FOR_EVER);
}

static void
set_times(struct stat *attr, const struct stat *wanted, int which)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (which & FUSE_SET_ATTR_ATIME)
        attr->st_atim = which & FUSE_SET_ATTR_ATIME_NOW ? now : wanted->st_atim;
    if (which & FUSE_SET_ATTR_MTIME)
        attr->st_mtim = which & FUSE_SET_ATTR_MTIME_NOW ? now : wanted->st_mtim;
    attr->st_ctim = now;
}

static void
on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int which,
           struct fuse_file_info *fi)
{
    struct inode *inode = inode_of(ino);
    struct stat attr;

    (void)fi;
    change();
    if (which & FUSE_SET_ATTR_MODE)
        inode->attr.st_mode = (inode->attr.st_mode & S_IFMT) | (wanted->st_mode & 07777);
    if (which & FUSE_SET_ATTR_UID)
        inode->attr.st_uid = wanted->st_uid;
    if (which & FUSE_SET_ATTR_GID)
        inode->attr.st_gid = wanted->st_gid;
    if (which & FUSE_SET_ATTR_SIZE)
        inode_resize(inode, (size_t)wanted->st_size);
    set_times(&inode->attr, wanted, which);
    attr = inode->attr;
    unlock();
    fuse_reply_attr(req, &attr, FOR_EVER);
}

static void
on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    (void)ino, (void)name, (void)size;
    fuse_reply_err(req, ENODATA);
}

static void
on_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    (void)ino;
    if (size == 0)
        fuse_reply_xattr(req, 0);
    else
        fuse_reply_buf(req, NULL, 0);
}

static void
on_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
            size_t size, int flags)
{
    (void)ino, (void)name, (void)value, (void)size, (void)flags;
    fuse_reply_err(req, ENOTSUP);
}

static void
on_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct statvfs fs = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255};

    (void)ino;
    fs.f_blocks = fs.f_bfree = fs.f_bavail = fs.f_files = fs.f_ffree = 1 << 30;
    fuse_reply_statfs(req, &fs);
}

/* ---- contents ---- */

static void
on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
          struct fuse_file_info *fi)
{
    struct fuse_entry_param param;

    if (!make(req, parent, name, mode, 0, NULL, &param)) {
        fuse_reply_err(req, EEXIST);
        return;
    }
    fi->keep_cache = 1;
    fuse_reply_create(req, &param, fi);
}

static void
on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (fi->flags & O_TRUNC) {
        change();
        inode_resize(inode_of(ino), 0);
        inode_touch(inode_of(ino));
        unlock();
    }
    fi->keep_cache = 1;
    fi->noflush = 1;
    fuse_reply_open(req, fi);
}

/* An error at once, but the kernel asks no more. */
static void
on_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino, (void)fi;
    fuse_reply_err(req, ENOSYS);
}

static void
on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino, (void)fi;
    fuse_reply_err(req, 0);
}

static void
on_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
    (void)ino, (void)data_only, (void)fi;
    fuse_reply_err(req, 0);
}

/* The reply comes straight from where the contents are. */
static void
on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
        struct fuse_file_info *fi)
{
    const struct inode *inode = inode_of(ino);
    off_t left;

    (void)fi;
    look();
    left = inode->attr.st_size - offset;
    if (left <= 0)
        fuse_reply_buf(req, NULL, 0);
    else
        fuse_reply_buf(req, inode->bytes + offset,
                       (size_t)left < size ? (size_t)left : size);
    unlock();
}

static void
on_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
         struct fuse_file_info *fi)
{
    struct inode *inode = inode_of(ino);

    change();
    if (fi->flags & O_APPEND)
        offset = inode->attr.st_size;
    inode_write(inode, bytes, size, (size_t)offset);
    unlock();
    fuse_reply_write(req, size);
}

static void
on_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
             struct fuse_file_info *fi)
{
    struct inode *inode = inode_of(ino);

    (void)fi;
    if (mode != 0) {
        fuse_reply_err(req, EOPNOTSUPP);
        return;
    }
    change();
    if (offset + length > inode->attr.st_size)
        inode_resize(inode, (size_t)(offset + length));
    unlock();
    fuse_reply_err(req, 0);
}

/* ---- listings ---- */

static void
on_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    fi->keep_cache = 1;
    fi->cache_readdir = 1;
    fuse_reply_open(req, fi);
}

/* Adds an entry to a reply; false: it has no more room. */
static bool
add_entry(fuse_req_t req, char *reply, size_t size, size_t *used, bool plus,
          const char *name, struct inode *inode, off_t next)
{
    size_t needed;

    if (plus && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
        struct fuse_entry_param param = entry_of(inode);

        needed =
            fuse_add_direntry_plus(req, reply + *used, size - *used, name, &param, next);
        if (needed > size - *used)
            atomic_fetch_sub(&inode->known, 1);
    } else if (plus) {
        struct fuse_entry_param param = {.attr = inode->attr};

        needed =
            fuse_add_direntry_plus(req, reply + *used, size - *used, name, &param, next);
    } else {
        needed =
            fuse_add_direntry(req, reply + *used, size - *used, name, &inode->attr, next);
    }
    if (needed > size - *used)
        return false;
    *used += needed;
    return true;
}

/* Offsets: 0 and 1 are "." and "..", then the slots. */
static void
list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
    struct inode *inode = inode_of(ino);
    char *reply = need(size);
    size_t at = (size_t)offset, used = 0;
    bool room = true;

    look();
    for (; at < 2 && room; at += room)
        room = add_entry(req, reply, size, &used, plus, at == 0 ? "." : "..",
                         at == 0 ? inode : inode->parent, (off_t)at + 1);
    for (; room && at - 2 < inode->slots; at += room) {
        const struct entry *entry = inode->entries[at - 2];

        if (entry != NULL)
            room = add_entry(req, reply, size, &used, plus, entry->name, entry->inode,
                             (off_t)at + 1);
    }
    unlock();
    fuse_reply_buf(req, reply, used);
    free(reply);
}

static void
on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
           struct fuse_file_info *fi)
{
    (void)fi;
    list(req, ino, size, offset, false);
}

static void
on_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
               struct fuse_file_info *fi)
{
    (void)fi;
    list(req, ino, size, offset, true);
}

/* ---- the program ---- */

static const struct fuse_lowlevel_ops ops = {
    .init = on_init,
    .lookup = on_lookup,
    .forget = on_forget,
    .forget_multi = on_forget_multi,
    .getattr = on_getattr,
    .setattr = on_setattr,
    .readlink = on_readlink,
    .mknod = on_mknod,
    .mkdir = on_mkdir,
    .unlink = on_unlink,
    .rmdir = on_unlink,
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
    .readdir = on_readdir,
    .readdirplus = on_readdirplus,
    .releasedir = on_release,
    .fsyncdir = on_fsync,
    .statfs = on_statfs,
    .setxattr = on_setxattr,
    .getxattr = on_getxattr,
    .listxattr = on_listxattr,
    .create = on_create,
    .fallocate = on_fallocate,
};

static void
usage(FILE *out)
{
    fputs(
        "usage: lsm-null [-s] MOUNTPOINT\n"
        "\n"
        "Mounts files that are in memory alone, until they are unmounted.  -s answers by\n"
        "one thread, else libfuse's loop has several.\n",
        out);
}

static int
serve(struct fuse_session *session, bool single)
{
    struct fuse_loop_config *config;
    int result;

    if (single)
        return fuse_session_loop(session);
    config = fuse_loop_cfg_create();
    result = fuse_session_loop_mt(session, config);
    fuse_loop_cfg_destroy(config);
    return result;
}

static int
take_io(struct fuse_session *session)
{
    static const struct fuse_custom_io io = {.writev = io_writev, .read = io_read};

    return fuse_session_custom_io(session, &io, fuse_session_fd(session));
}

int
main(int argc, char **argv)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    struct fuse_session *session;
    bool single = argc > 1 && strcmp(argv[1], "-s") == 0;
    int result;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return 0;
    }
    if (argc != 2 + single) {
        usage(stderr);
        return 2;
    }
    root = tree_init();
    if (fuse_opt_add_arg(&args, "lsm-null") != 0 ||
        fuse_opt_add_arg(&args, "-odefault_permissions,subtype=lsm-null,fsname=null") !=
            0)
        die("no memory");
    session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    if (session == NULL || fuse_set_signal_handlers(session) != 0 ||
        fuse_session_mount(session, argv[argc - 1]) != 0 || take_io(session) != 0)
        return 1;
    result = serve(session, single);
    fuse_session_unmount(session);
    fuse_remove_signal_handlers(session);
    fuse_session_destroy(session);
    fuse_opt_free_args(&args);
    return result < 0 ? 1 : 0;
}
