/*
 * op.h - the inside of struct vfs, and what an operation works with while it runs: the locks it
 * holds, the keys it built, its batch.  Private to vfs_*.c and the files beside them.
 */
#ifndef FS_OP_H
#define FS_OP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "lsmkv.h"
#include "store/data.h"
#include "store/key.h"
#include "store/store.h"
#include "store/sweep.h"
#include "vfs/node.h"
#include "vfs/vfs.h"

#define VFS_LOCKS 256u

struct listing;
struct notices;
struct stats_source;

struct vfs {
    /* Constant after vfs_open. */
    struct store *store;
    struct nodes *nodes;
    struct listing *listing;
    struct notices *notices;
    struct view live; /* or the snapshot that is mounted */
    struct node *root;
    bool read_only;
    bool show_snapshots;
    bool acl;
    bool writeback; /* the kernel's size of a file is the right one */
    enum vfs_atime atime;
    bool nodiratime;
    bool sync; /* nothing is deferred */
    size_t node_limit;
    void (*log)(void *context, enum lsmkv_level level, const char *line);
    void *log_context;
    void (*step_aside)(void);
    const struct stats_source *source; /* of what statsfile.h says; may be NULL */
    struct timespec born;              /* of the root: the times of implied directories */

    /* Others may have written files below files: looking for it costs a seek a file.  Set by
     * vfs_open and vfs_doubt, unset by the walker. */
    _Atomic bool foreign;
    _Atomic bool walk_stop;
    pthread_t walker; /* looks whether it is so, if `walking` */
    bool walking; /* guarded by the tree's lock, exclusively; and at both ends alone */

    /* Shared by uploads (vfs_begin_upload), exclusively held by a rollback; before `tree`. */
    pthread_rwlock_t uploads;
    pthread_rwlock_t tree;
    pthread_rwlock_t locks[VFS_LOCKS];

    pthread_mutex_t pool_mutex;
    struct op *pool; /* guarded by pool_mutex */

    _Atomic bool long_listings; /* the last one took long, so the next will */

    _Atomic int64_t told; /* the latest time, in nanoseconds, of vfs_told */

    _Atomic unsigned waiting; /* threads in vfs_wait_for_space */
    _Atomic bool ending;      /* they need not wait any longer */

    _Atomic size_t remains_bytes; /* of contents that unlinked nodes hold in memory */

    pthread_mutex_t walk_mutex; /* held through a walk of deferred.c, before any other */
    pthread_mutex_t deferred_mutex;
    struct node *deferred; /* the list: see deferred.c; added to under deferred_mutex */
};

/* Room for a directory's key, a '/', a name and a NUL: node_path fills it up to
 * LSMKV_KEY_MAX from behind, and a name is appended there. */
struct op_key {
    uint8_t bytes[LSMKV_KEY_MAX + 1 + KEY_NAME_MAX + 1];
};

#define OP_KEYS    2
#define OP_LOCKS   4
#define OP_REMAINS 2
#define OP_PUTS    6 /* both directories, what is at both names, and one to spare for each */

struct remains;

/* Taken from a pool, so a request allocates nothing. */
struct op {
    struct vfs *vfs;
    struct op *next;
    bool exclusive;
    unsigned locks_held;
    struct {
        unsigned index;
        bool exclusive;
    } locks[OP_LOCKS];
    struct lsmkv_batch *batch;
    bool small; /* a full store takes the batch, too (store_let_through) */
    struct sweep_list dead;
    struct data_buffer buffer, second_buffer;
    /* What nodes without a name get when the batch is published. */
    struct {
        struct node *node;
        struct remains *remains;
    } remains[OP_REMAINS];
    unsigned remains_count;
    /* Whose records, with the times deferred of them, are in the batch. */
    struct node *puts[OP_PUTS];
    unsigned puts_count;
    struct op_key keys[OP_KEYS];
    uint8_t attributes[LSMKV_ATTRIBUTES_MAX];
};

/* The time of a change.  With the writeback cache it is read as the kernel reads that of a file's
 * contents, from its clock's ticks: what is written after something was made is not older.  Nor is
 * what is made after something was written and closed: the kernel may be ahead of its ticks by then, and
 * told us. */
struct timespec vfs_now(const struct vfs *vfs);
/* The kernel told this time of a change. */
void vfs_told(struct vfs *vfs, struct timespec when);

/* Begins an operation: the tree is locked, the batch empty.  NULL: out of memory. */
struct op *op_begin(struct vfs *vfs);
struct op *op_begin_exclusive(struct vfs *vfs);
/* What follows may wait for others, or be long. */
void op_step_aside(const struct vfs *vfs);
/* Exclusively if the node's kind needs it (keysdir.h). */
struct op *op_begin_for(struct vfs *vfs, const struct node *node);
/* Gives up all locks. */
void op_end(struct op *op);
void op_pool_free(struct vfs *vfs);

/* A node to lock. */
struct op_lock {
    const struct node *node; /* NULL: none */
    bool exclusive;
};
/* Locks nodes, each once although several share a lock.  Once an operation, or again after
 * op_unlock_nodes.  Nothing to do if the tree is held exclusively. */
void op_lock_nodes(struct op *op, const struct op_lock *wanted, unsigned count);
void op_lock_node(struct op *op, const struct node *node, bool exclusive);
void op_unlock_nodes(struct op *op);

/* The key of a node of a tree, in keys[slot]. */
LSMKV_CHECKED int op_key(struct op *op, unsigned slot, const struct node *node,
                         struct lsmkv_slice *key);
/* The keys of a directory and of a name in it, in keys[slot].  -ENAMETOOLONG. */
LSMKV_CHECKED int op_child_key(struct op *op, unsigned slot, const struct node *parent,
                               struct lsmkv_slice name, struct lsmkv_slice *parent_key,
                               struct lsmkv_slice *key);

/* The record of `node` is in the batch with what was deferred of it. */
void op_note_put(struct op *op, struct node *node);

/* Writes the batch; then the remains that it left go to their nodes, and what was deferred of
 * those that it puts is not any more. */
LSMKV_CHECKED int op_publish(struct op *op, bool durable);
/* The same with trees moved at the head of the batch. */
LSMKV_CHECKED int op_publish_moves(struct op *op, const struct lsmkv_move *moves,
                                   size_t count);

/* 0, or -EROFS if what `node` belongs to cannot be changed, -EPERM if it itself cannot. */
LSMKV_CHECKED int op_writable(const struct vfs *vfs, const struct node *node);

/* A name as a slice; -EINVAL if it cannot be one, -ENAMETOOLONG. */
LSMKV_CHECKED int op_name(const char *text, struct lsmkv_slice *name);

/* Is there a key below `key`? 1, 0 or an error. */
LSMKV_CHECKED int op_has_below(struct op *op, const struct view *view,
                               struct lsmkv_slice key);

/* One line to the log. */
void vfs_log(const struct vfs *vfs, enum lsmkv_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Around a change of the whole store, in an operation that holds the tree exclusively: it may be
 * foreign now, and that is noted; then a walk finds out (V1 of vfs.c). */
LSMKV_CHECKED int vfs_doubt(struct vfs *vfs);
void vfs_walk_again(struct vfs *vfs);

/* What stat shows for a number of `view`. */
uint64_t view_ino(const struct view *view, uint64_t ino);

#endif
