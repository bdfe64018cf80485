/*
 * implied.h - the inode numbers of directories that only keys below them imply: a hash of
 * the path, so that a store without any record of theirs shows the same ones at every
 * mount.
 *
 * I1  The first record of such a directory takes its number along, and a rename both of
 *     them elsewhere.  A second record, in `inodes`, says that the number is in use; keys
 *     below the old path imply a directory with the next number then.  It goes with the
 *     directory.
 */
#ifndef FS_IMPLIED_H
#define FS_IMPLIED_H

#include <stdbool.h>
#include <stdint.h>

#include "lsmkv.h"
#include "store/store.h"

/* Numbers that are tried: so many directories may have been renamed away from one
 * path. */
#define IMPLIED_TRIES 1024u

/* The `attempt`th number for `key`. */
uint64_t implied_number(const struct store *store, struct lsmkv_slice key,
                        unsigned attempt);
/* Is it of this kind? */
bool implied_is(uint64_t ino);
/* Does a record have it?  1, 0 or an error.  `snapshot` NULL: now. */
LSMKV_CHECKED int implied_in_use(const struct store *store,
                                 const struct lsmkv_snapshot *snapshot, uint64_t ino);
/* The first that no record has. */
LSMKV_CHECKED int implied_find(const struct store *store, struct lsmkv_slice key,
                               uint64_t *ino);

/* Beside the record that takes it, and beside the one's removal. */
LSMKV_CHECKED int implied_take(const struct store *store, struct lsmkv_batch *batch,
                               uint64_t ino);
LSMKV_CHECKED int implied_give_back(const struct store *store, struct lsmkv_batch *batch,
                                    uint64_t ino);

#endif
