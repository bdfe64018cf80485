/*
 * left_xattr.h - the long extended attributes of a file or directory that is open and has
 * no name any more: their records would outlive it, so they are in memory, a list in its
 * remains (inode.h), guarded by the node's lock.
 */
#ifndef FS_LEFT_XATTR_H
#define FS_LEFT_XATTR_H

#include <stddef.h>
#include <stdint.h>

#include "lsmkv.h"
#include "vfs/op.h"

struct left_xattr {
    struct left_xattr *next;
    size_t name_size, value_size;
    int unread;      /* why the value could not be read; 0: it was */
    uint8_t bytes[]; /* name, value */
};

/* Valid while the attribute is left as it is. */
struct lsmkv_slice left_xattr_name(const struct left_xattr *left);
/* The error of a value that could not be read. */
LSMKV_CHECKED int left_xattr_value(const struct left_xattr *left,
                                   struct lsmkv_slice *value);

/* All that the records of a number hold; the caller's to free. */
LSMKV_CHECKED int left_xattr_load(struct op *op, uint64_t ino, struct left_xattr **list);
void left_xattr_free(struct left_xattr *list);
/* The other way: puts them all into the batch as records of a number. */
LSMKV_CHECKED int left_xattr_put(struct op *op, uint64_t ino,
                                 const struct left_xattr *list);

/* NULL: there is none. */
struct left_xattr *left_xattr_find(struct left_xattr *list, struct lsmkv_slice name);
/* Sets one, or with `value` NULL takes it away.  -ENOMEM: as before. */
LSMKV_CHECKED int left_xattr_change(struct left_xattr **list, struct lsmkv_slice name,
                                    const struct lsmkv_slice *value);

#endif
