/*
 * dir.h - what operations on names have in common: the directory a name is in, and what a
 * change of its names does to it.
 */
#ifndef FS_DIR_H
#define FS_DIR_H

#include "vfs/inode.h"
#include "vfs/op.h"

/* A directory and one name in it. */
struct dir {
    struct node *node;
    struct lsmkv_slice name;
    struct lsmkv_slice key; /* of the name */
    struct lsmkv_slice own; /* of the directory */
    struct inode inode;     /* of the directory, if `read` */
    struct timespec now;
    bool read;
    bool defers; /* its times change in memory */
};

/* Is `name` of `parent` one of the entries that are not in the tree? */
bool dir_is_reserved(const struct node *parent, struct lsmkv_slice name);

/* Reads the directory and builds the keys in keys[slot]; the directory's lock is held.
 * -ENOTDIR; -ENOENT: it has been removed; -EROFS; -EPERM: a reserved name.  Whatever it
 * returns, dir_fini ends the use. */
LSMKV_CHECKED int dir_init(struct op *op, unsigned slot, struct node *node,
                           struct lsmkv_slice name, struct dir *dir);
/* The same without reading the directory, which dir_change does if it has to: for who asks
 * nothing else of it. */
LSMKV_CHECKED int dir_init_unread(struct op *op, unsigned slot, struct node *node,
                                  struct lsmkv_slice name, struct dir *dir);
void dir_fini(struct dir *dir);

/* -EEXIST: there is something at the name. */
LSMKV_CHECKED int dir_must_be_absent(struct op *op, const struct dir *dir);

/* Names in it change: its times, and its count of subdirectories by `subdirs`.  Puts its
 * record into the batch if that cannot wait: the count, an implied directory's first
 * record. */
LSMKV_CHECKED int dir_change(struct op *op, struct dir *dir, int subdirs);
/* After publishing: what can wait. */
void dir_changed(struct op *op, struct dir *dir);

/* The node at a name of the tree and, if `inode` is not NULL, what it is, with all of its
 * value if `want` says so; the key is the one that dir_init or op_child_key built.
 * -ENOENT. */
LSMKV_CHECKED int dir_find(struct op *op, struct node *parent, struct lsmkv_slice name,
                           struct lsmkv_slice key, enum inode_want want,
                           struct inode *inode, struct node **node);

/* Locks `parent` exclusively and, exclusively too, the node at `name`, which gets one
 * more reference: it is at that name while the locks are held.  -ENOENT: nothing is. */
LSMKV_CHECKED int dir_lock_child(struct op *op, struct node *parent,
                                 struct lsmkv_slice name, struct node **child);

#endif
