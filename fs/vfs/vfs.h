/*
 * vfs.h - every operation of the filesystem as a plain function on nodes, without FUSE: the
 * translation is in fuse_ops.c, and tests drive the filesystem through this header alone.
 *
 * Results are 0 or a negative errno.  Operations that hand out a node add one reference to it,
 * which vfs_forget takes back; a node may be used while one is held.  Out-parameters are
 * written only on success.
 *
 * Permissions are the kernel's work (default_permissions): nothing here checks modes, but
 * what POSIX has the file system do to them is done here.  Names are one component, never "."
 * or ".."; types, lengths and name clashes are checked.
 *
 * Threads.  Any operation may run on any number of threads at once.
 *
 * Lock order.  An earlier one is acquired before a later one, never the other way round:
 *   0  the walk over deferred times; uploads against going back to a snapshot
 *   1  tree       shared: by every operation, from building a path until its read sequence is
 *                 pinned or its batch is published.  Exclusive: by renames, across publishing
 *                 and relinking.  It prefers writers, so nobody may acquire it twice.
 *   2  node locks one of a fixed number of reader-writer locks, chosen by the node: several at
 *                 once only through lock_nodes, which sorts them.  A directory's guards its
 *                 record and which names it has; a file's, its record and contents.
 *   3  the sweep's and the store's own
 *   4  leaves: the table of nodes, the deferred times, the listing's spans, the pool of
 *      operations, the queue of notices.
 * A change to the record at a name holds the lock of the node there exclusively; making or
 * removing a name holds the parent's exclusively too.
 */
#ifndef FS_VFS_H
#define FS_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include "lsmkv.h"
#include "store/store.h"

struct node;
struct stats_source;
struct vfs;

/* What the kernel is told and asked.  Called from one thread of the vfs, which holds no lock. */
struct vfs_notify {
    /* Forget, since it changed without the kernel: the node's attributes, pages and listing; or,
     * if `name` is not NULL, the entry `name` of the directory `node`. */
    void (*invalidate)(void *context, struct node *node, const char *name, size_t size);
    /* Write what there is of all files, then their times, which are told when this returns; contents may
     * still be on their way.  May be NULL. */
    void (*sync)(void *context);
    /* Write, with requests that are answered before this returns, what was stored through
     * mappings into `size` bytes of a file; 0: up to its end. */
    void (*write_back)(void *context, struct node *node, uint64_t offset, uint64_t size);
    /* Forget these, up to VFS_PRUNE_MAX, if nobody uses them.  They may be gone by then, and are
     * but numbers here.  NULL, or false: they are forgotten by their names, one by one. */
    bool (*prune)(void *context, struct node *const *nodes, size_t count);
    void *context;
};
#define VFS_PRUNE_MAX 256u

/* When a read that reaches the filesystem changes the access time. */
enum vfs_atime {
    VFS_RELATIME,    /* if it was before the last change, or a day ago */
    VFS_NOATIME,     /* never */
    VFS_STRICTATIME, /* always: nothing is then to be kept from one open to the next */
};

struct vfs_options {
    struct store_options
        store;            /* path, engine, create, read_only, sync, commit_ms, ... */
    const char *snapshot; /* -o snapshot=NAME: show this one, read-only; or NULL */
    bool show_snapshots;  /* -o snapdir=visible: list .snapshots in the root */
    bool acl;             /* -o acl: ACLs are inherited and follow chmod */
    /* The kernel keeps what is written to files, their sizes and their times, and sends them when it
     * sees fit. */
    bool writeback;
    enum vfs_atime atime;
    bool nodiratime;      /* that of a directory: never */
    size_t node_limit;    /* nodes above which the kernel is asked to forget */
    size_t listing_limit; /* as of listing_new */
    /* Called in an operation's thread, with locks held, before what may wait for others or be
     * long though most of its kind are not; NULL. */
    void (*step_aside)(void);
    const struct stats_source *source; /* for .lsmfs/stats, see stats.h; NULL */
};

/* Read-write, no snapshot, hidden .snapshots, no ACLs, relatime, 262,144 nodes, 16 MiB of
 * listings. */
void vfs_options_init(struct vfs_options *options);

/* Opens the store and its root.  `why` as of store_open.  -ENOENT also: no such snapshot. */
LSMKV_CHECKED int vfs_open(const struct vfs_options *options, struct vfs **vfs, char *why,
                           size_t why_size);

/* Begins to notify; before, and after vfs_stop_notices, changes are not told to anybody.
 * vfs_stop_notices returns when no call is under way: it precedes the end of the session, so
 * nothing waits for space any longer. */
LSMKV_CHECKED int vfs_start_notices(struct vfs *vfs, const struct vfs_notify *notify);
void vfs_stop_notices(struct vfs *vfs);

/* Puts what was deferred, syncs, closes the store and frees `vfs` whatever it returns.  Not 0:
 * acknowledged work may be lost. */
int vfs_close(struct vfs *vfs);

/* The store beneath, for commands that come through the control socket. */
struct store *vfs_store(struct vfs *vfs);
bool vfs_is_read_only(const struct vfs *vfs);

/* Everything acknowledged, directory times too, is on disk. */
LSMKV_CHECKED int vfs_sync(struct vfs *vfs);

/* May a change meet a full disk, and wait? */
bool vfs_is_full(const struct vfs *vfs);
/* After -ENOSPC: waits for what was deleted to come free, some seconds at most, while there is
 * something to come.  True: there is space, so that the change is worth another try.  Only a few
 * threads wait; others are told false at once. */
LSMKV_CHECKED bool vfs_wait_for_space(struct vfs *vfs);

/* Runs `alter`, a change of the key `key` that is none of the operations here (a command that
 * came through the control socket), while no operation runs, and returns what it returns.  By
 * then the kernel has forgotten what it knew of that path; so not from a request's handler. */
LSMKV_CHECKED int vfs_alter(struct vfs *vfs, struct lsmkv_slice key,
                            int (*alter)(void *context, struct store *store),
                            void *context);

/* Unlinks the file whose key is `key`, at its path or below .lsmfs/keys, durably, and tells the
 * kernel as vfs_alter does.  Who has it open reads on.  -ENOENT: no such file; a directory
 * without a value is none. */
LSMKV_CHECKED int vfs_remove_key(struct vfs *vfs, struct lsmkv_slice key);

/* Around what a command brings into the store for a later vfs_alter: the tree does not go back to a
 * snapshot in between, which would take it away. */
void vfs_begin_upload(struct vfs *vfs);
void vfs_end_upload(struct vfs *vfs);

struct vfs_rollback {
    const char *snapshot;
    bool force; /* though files are open: who has them gets ESTALE */
    /* Results, also of -EBUSY. */
    uint64_t open; /* files */
    uint64_t keys; /* that were put back */
};

/* Makes the tree what the snapshot sees: all of it and durably, or nothing happens.  By then the
 * kernel has forgotten what is not so any more; so not from a request's handler.  -ENOENT: no such
 * snapshot; -EBUSY: files are open; -EROFS, and as lsmkv_rollback. */
LSMKV_CHECKED int vfs_rollback(struct vfs *vfs, struct vfs_rollback *rollback);

/* ---- nodes ---- */

/* On whose behalf. */
struct vfs_caller {
    uid_t uid;
    gid_t gid;
    mode_t umask;   /* not yet applied to modes handed in */
    bool writeback; /* of nobody: of a write, the kernel's, of what was stored before */
    /* Is he in this group, other than by `gid`?  NULL: in none.  Asked rarely. */
    bool (*in_group)(void *context, gid_t gid);
    /* Has he this capability of capabilities(7)?  NULL: root has all.  Asked rarely. */
    bool (*capable)(void *context, int capability);
    void *context;
};

struct vfs_entry {
    struct node *node; /* with a reference */
    struct stat stat;
    bool
        lasting; /* the kernel may keep it for ever; false: those of .snapshots, .lsmfs */
};

/* Lives as long as `vfs`; needs no reference and takes none back. */
struct node *vfs_root(struct vfs *vfs);
uint64_t vfs_generation(const struct node *node);
/* May the kernel keep its attributes? */
bool vfs_attributes_last(const struct node *node);
/* May it keep what it has read of it, contents or listing, from one open to the next? */
bool vfs_contents_last(const struct vfs *vfs, const struct node *node);
/* At an opendir: is the listing that the kernel may have kept still right?  It is not the first
 * time after the directory went to another parent, for it holds the number of `..`. */
bool vfs_listing_holds(struct node *node);
void vfs_listing_changed(struct node *node);
/* At an opendir: may this one be served from the listing that the kernel keeps, and fill it?  One
 * at a time, until vfs_listing_give.  For the kernel begins it anew when the directory has changed,
 * and a second reader, half-way through, looks for its cookie there in vain; if the listing fills
 * its pages to the last byte, the kernel takes that for the end. */
bool vfs_listing_take(struct node *node);
void vfs_listing_give(struct node *node);

/* -ENOENT: there is none.  `lasting` (may be NULL) says then whether that may be kept. */
LSMKV_CHECKED int vfs_lookup(struct vfs *vfs, struct node *parent, const char *name,
                             struct vfs_entry *entry, bool *lasting);
void vfs_forget(struct vfs *vfs, struct node *node, uint64_t count);

/* `birth` (may be NULL): when it was made. */
LSMKV_CHECKED int vfs_getattr(struct vfs *vfs, struct node *node, struct stat *st,
                              struct timespec *birth);

/* What setattr changes. */
enum {
    VFS_MODE = 1,
    VFS_UID = 2,
    VFS_GID = 4,
    VFS_SIZE = 8,
    VFS_ATIME = 16,
    VFS_MTIME = 32,
    VFS_ATIME_NOW = 64,
    VFS_MTIME_NOW = 128,
    VFS_CTIME = 256,      /* by a kernel that keeps times itself */
    VFS_SAME_OWNER = 512, /* chown(-1, -1), or what a kernel makes of a write */
};
/* Sets those fields of `change` that `which` names; `st` is the new state. */
LSMKV_CHECKED int vfs_setattr(struct vfs *vfs, const struct vfs_caller *caller,
                              struct node *node, const struct stat *change,
                              unsigned which, struct stat *st);

/* ---- names ---- */

/* `mode` carries the type: anything but a directory or a symbolic link. */
LSMKV_CHECKED int vfs_mknod(struct vfs *vfs, const struct vfs_caller *caller,
                            struct node *parent, const char *name, mode_t mode,
                            dev_t rdev, struct vfs_entry *entry);
/* A regular file, made and opened. */
LSMKV_CHECKED int vfs_create(struct vfs *vfs, const struct vfs_caller *caller,
                             struct node *parent, const char *name, mode_t mode,
                             int flags, struct vfs_entry *entry);
/* A regular file without a name (O_TMPFILE): `entry` is not one, its node has no link.  Unless
 * `flags` have O_EXCL, vfs_link may give it a name. */
LSMKV_CHECKED int vfs_tmpfile(struct vfs *vfs, const struct vfs_caller *caller,
                              struct node *parent, mode_t mode, int flags,
                              struct vfs_entry *entry);
/* In .snapshots it takes a snapshot.  One that was taken but for want of memory cannot be shown is
 * dropped again; if that fails too it stays, and the log says so. */
LSMKV_CHECKED int vfs_mkdir(struct vfs *vfs, const struct vfs_caller *caller,
                            struct node *parent, const char *name, mode_t mode,
                            struct vfs_entry *entry);
LSMKV_CHECKED int vfs_symlink(struct vfs *vfs, const struct vfs_caller *caller,
                              const char *target, struct node *parent, const char *name,
                              struct vfs_entry *entry);
LSMKV_CHECKED int vfs_link(struct vfs *vfs, struct node *node, struct node *parent,
                           const char *name, struct vfs_entry *entry);
LSMKV_CHECKED int vfs_unlink(struct vfs *vfs, struct node *parent, const char *name);
LSMKV_CHECKED int vfs_rmdir(struct vfs *vfs, struct node *parent, const char *name);
/* `flags`: 0, RENAME_NOREPLACE or RENAME_EXCHANGE; others -EINVAL. */
LSMKV_CHECKED int vfs_rename(struct vfs *vfs, struct node *parent, const char *name,
                             struct node *new_parent, const char *new_name,
                             unsigned flags);
/* Copies the target and a NUL; -ENAMETOOLONG if it does not fit. */
LSMKV_CHECKED int vfs_readlink(struct vfs *vfs, struct node *node, char *buffer,
                               size_t size);

/* ---- contents ---- */

/* Checks and prepares an open with `flags` of open(2); O_TRUNC is obeyed.  There is nothing to
 * close; but the kernel is not asked to forget a file between vfs_opened and vfs_released. */
LSMKV_CHECKED int vfs_file_open(struct vfs *vfs, const struct vfs_caller *caller,
                                struct node *node, int flags);
void vfs_opened(struct vfs *vfs, struct node *node, int flags);
void vfs_released(struct vfs *vfs, struct node *node, int flags);
/* `*got` is less than `size` only at the end of the file.  `flags` of the open file:
 * O_NOATIME. */
LSMKV_CHECKED int vfs_read(struct vfs *vfs, struct node *node, uint64_t offset,
                           void *bytes, size_t size, int flags, size_t *got);
/* All or nothing; at most DATA_WRITE_MAX.  `flags` of the open file: O_SYNC, O_DSYNC; with
 * O_APPEND, but not with O_DIRECT, it is written at the end wherever the kernel thinks that is. */
LSMKV_CHECKED int vfs_write(struct vfs *vfs, const struct vfs_caller *caller,
                            struct node *node, uint64_t offset, const void *bytes,
                            size_t size, int flags);
/* As fallocate(2).  Collapsing and inserting ranges is -EOPNOTSUPP.  -ENOSPC where there is less
 * free than the file lacks, but no space is set aside.  A long range is zeroed piece by piece: an
 * error may leave some of it done. */
LSMKV_CHECKED int vfs_fallocate(struct vfs *vfs, const struct vfs_caller *caller,
                                struct node *node, int mode, uint64_t offset,
                                uint64_t length);
/* SEEK_DATA and SEEK_HOLE. */
LSMKV_CHECKED int vfs_seek(struct vfs *vfs, struct node *node, uint64_t offset,
                           int whence, uint64_t *found);
/* Has it been read, so that the kernel is likely to have pages of it? */
bool vfs_was_read(const struct node *node);
/* Is it open so that it may be mapped, and hold what the kernel has not written yet? */
bool vfs_may_be_mapped(const struct node *node);
/* As vfs_seek, but the kernel writes that first.  It is handed to `done`, once, from the thread
 * that notifies or from vfs_stop_notices; unless this returns an error: -ENOMEM, -ESHUTDOWN. */
LSMKV_CHECKED int vfs_seek_mapped(struct vfs *vfs, struct node *node, uint64_t offset,
                                  int whence,
                                  void (*done)(void *context, int result, uint64_t found),
                                  void *context);
/* Has the kernel write what it holds of files that are open for writing, then calls `done`, once, from
 * the thread that notifies or from vfs_stop_notices; unless this returns an error: -ENOMEM,
 * -ESHUTDOWN. */
LSMKV_CHECKED int vfs_write_back_then(struct vfs *vfs, void (*done)(void *context),
                                      void *context);
/* The same, and returns when it is written; so not from a request's handler.  Nothing happens
 * where nobody listens. */
LSMKV_CHECKED int vfs_write_back(struct vfs *vfs);
/* Does vfs_mkdir in it take a snapshot? */
bool vfs_takes_snapshots(const struct node *parent);
/* Copies up to `size` bytes; `*copied` is less at the end of `from`, or where one request has
 * done enough. */
LSMKV_CHECKED int vfs_copy(struct vfs *vfs, const struct vfs_caller *caller,
                           struct node *from, uint64_t from_offset, struct node *to,
                           uint64_t to_offset, size_t size, int flags, size_t *copied);
/* fsync, fdatasync and fsyncdir: durable on return. */
LSMKV_CHECKED int vfs_fsync(struct vfs *vfs, struct node *node);

/* ---- listing ---- */

struct vfs_listed {
    const char *name;  /* with a NUL; valid during the call */
    struct node *node; /* plus only, with a reference, which `add` takes over unless it
                          returns false; NULL: for "." and "..", and without plus */
    struct stat st;    /* st_ino and the type in st_mode; all of it if node is set */
    uint64_t cookie;   /* listing goes on behind this entry from here */
    bool lasting;
};

/* Hands entries of a directory to `add`, beginning behind the one whose cookie is given (0: at
 * the beginning), until it returns false: that one did not fit and is not taken.  -EINVAL: a
 * cookie that is not known any more. */
LSMKV_CHECKED int vfs_readdir(struct vfs *vfs, struct node *node, uint64_t cookie,
                              bool plus,
                              bool (*add)(void *context, const struct vfs_listed *listed),
                              void *context);

/* ---- extended attributes ---- */

/* Size 0 asks for the length; `*length` is set then, too.  -ERANGE: it does not fit. */
LSMKV_CHECKED int vfs_getxattr(struct vfs *vfs, struct node *node, const char *name,
                               void *value, size_t size, size_t *length);
/* The names with their NULs, likewise; those of `trusted` only with CAP_SYS_ADMIN. */
LSMKV_CHECKED int vfs_listxattr(struct vfs *vfs, const struct vfs_caller *caller,
                                struct node *node, char *names, size_t size,
                                size_t *length);
/* `flags`: 0, XATTR_CREATE or XATTR_REPLACE. */
LSMKV_CHECKED int vfs_setxattr(struct vfs *vfs, const struct vfs_caller *caller,
                               struct node *node, const char *name, const void *value,
                               size_t size, int flags);
LSMKV_CHECKED int vfs_removexattr(struct vfs *vfs, struct node *node, const char *name);

/* ---- the whole ---- */

LSMKV_CHECKED int vfs_statfs(struct vfs *vfs, struct statvfs *st);

#endif
