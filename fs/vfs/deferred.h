/*
 * deferred.h - times that change in memory first: a directory's mtime and ctime after a name in
 * it came or went, a file's atime after a read, and those of a file that the kernel keeps.  They
 * show at once, and are put at most once per commit interval, and before fsync, snapshots and
 * unmount.
 */
#ifndef FS_DEFERRED_H
#define FS_DEFERRED_H

#include <time.h>

#include "store/attr.h"
#include "vfs/node.h"
#include "vfs/op.h"

enum {
    DEFERRED_CHANGED = 1,  /* mtime and ctime */
    DEFERRED_ACCESSED = 2, /* atime */
    DEFERRED_TOLD = 16,    /* a file's mtime and ctime, as the kernel told them */
};

/* Notes that a time of `node` is now `when`. */
void deferred_set(struct vfs *vfs, struct node *node, unsigned which,
                  struct timespec when);
/* A node with these attributes was read: notes it if vfs->atime says that it counts. */
void deferred_access(struct vfs *vfs, struct node *node, const struct attr *attr);
/* With the writeback cache the kernel has its own mtime and ctime of a file.  It tells those of a change
 * of contents before it, after it, or not at all, if they are what they were.  So such a change
 * gives the record times of its own, in case the daemon dies, and those that were told come back
 * unless others are told.  Without it deferred_touch only sets them. */

/* The contents of `node` are being changed: its times, `attr`'s, are now. */
void deferred_touch(const struct vfs *vfs, struct node *node, struct attr *attr);
/* The record with these is put. */
void deferred_touched(struct vfs *vfs, struct node *node);
/* The record has the times that the kernel told. */
void deferred_told(struct node *node, const struct attr *attr);

/* Brings `attr`, read from the node's record, up to date. */
void deferred_apply(struct vfs *vfs, struct node *node, struct attr *attr);
/* The record is put as deferred_apply made it (op_note_put), or there is none any more. */
void deferred_clear(struct vfs *vfs, struct node *node);

/* Puts what is deferred of one node, unsynced, in an operation of its own. */
LSMKV_CHECKED int deferred_put(struct vfs *vfs, struct node *node);
/* Of all nodes; the first failure, after trying all. */
LSMKV_CHECKED int deferred_put_all(struct vfs *vfs);
/* Holds removed files no longer, whose times nobody will put: the sweep may have their contents.  False:
 * there was none.  True: there was, and may be yet if operations went on for long. */
LSMKV_CHECKED bool deferred_let_go(struct vfs *vfs);
/* Of all nodes, in an operation that holds the tree exclusively. */
LSMKV_CHECKED int deferred_put_all_in(struct op *op);
/* Nothing is deferred any more of any node, in such an operation. */
void deferred_drop_all_in(struct op *op);

#endif
