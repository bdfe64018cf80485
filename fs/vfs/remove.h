/*
 * remove.h - what unlink, rmdir and a rename that replaces have in common.
 */
#ifndef FS_REMOVE_H
#define FS_REMOVE_H

#include <time.h>

#include "vfs/inode.h"
#include "vfs/op.h"

/* Builds into the batch that a file loses the name at `key`; with its last, the inode
 * goes. */
LSMKV_CHECKED int remove_name(struct op *op, struct inode *inode, struct lsmkv_slice key,
                              struct timespec now);

/* -ENOTEMPTY: a directory has keys below it, or its own holds a value. */
LSMKV_CHECKED int remove_check_empty(struct op *op, const struct inode *inode);

#endif
