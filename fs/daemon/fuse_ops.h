/*
 * fuse_ops.h - requests of libfuse's low-level interface turned into calls of vfs.h, and
 * results into replies.
 */
#ifndef FS_FUSE_OPS_H
#define FS_FUSE_OPS_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include <fuse_lowlevel.h>
#include <stdbool.h>

#include "daemon/ring.h"
#include "daemon/shown.h"
#include "vfs/vfs.h"

/* The user data of the session: fill in, then fuse_session_new(args, fuse_ops_table(),
 * sizeof(struct fuse_lowlevel_ops), &ops). */
struct fuse_ops {
    struct vfs *vfs;
    bool acl;           /* negotiate POSIX ACLs: the same as vfs_options.acl */
    bool writeback;     /* negotiate the writeback cache: as vfs_options.writeback */
    struct shown shown; /* instead of owners and modes */
    /* Called from the INIT request's handler: the mount answers from now on.  May be
     * NULL. */
    void (*ready)(void *context);
    void *ready_context;
    /* syncfs(2) of the mount, from the thread that notifies. */
    void (*sync)(void *context);
    void *sync_context;
    struct rings *rings; /* to be accepted if the kernel offers them; NULL: not wanted */
    struct fuse_session *session; /* set by fuse_ops_start_notices */
    bool prunes;                  /* the kernel forgets nodes by their numbers */
    bool past_pages;     /* the kernel drops its pages of what is written past them */
    bool init_reply_due; /* the next reply is that to INIT */
};

const struct fuse_lowlevel_ops *fuse_ops_table(void);

/* Reads and writes for libfuse, to say more to the kernel than it does: call this when
 * the session is mounted, before its first request.  0, or what fuse_session_custom_io
 * says. */
LSMKV_CHECKED int fuse_ops_take_io(struct fuse_session *session);

/* Tells the kernel of changes that it did not ask for, until vfs_stop_notices (fuse_notices.c): call
 * this when the session is mounted. */
LSMKV_CHECKED int fuse_ops_start_notices(struct fuse_ops *ops,
                                         struct fuse_session *session);

#endif
